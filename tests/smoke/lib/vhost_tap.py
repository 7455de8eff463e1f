# SPDX-License-Identifier: BSD-3-Clause
"""A vhost-user connection overheard: what front end and back end say to each other, and with which descriptors."""

import contextlib
import os
import select
import socket
import struct
import threading
import time

REQUESTS = {
    1: 'GET_FEATURES', 2: 'SET_FEATURES', 3: 'SET_OWNER', 4: 'RESET_OWNER', 5: 'SET_MEM_TABLE',
    6: 'SET_LOG_BASE', 7: 'SET_LOG_FD', 8: 'SET_VRING_NUM', 9: 'SET_VRING_ADDR', 10: 'SET_VRING_BASE',
    11: 'GET_VRING_BASE', 12: 'SET_VRING_KICK', 13: 'SET_VRING_CALL', 14: 'SET_VRING_ERR',
    15: 'GET_PROTOCOL_FEATURES', 16: 'SET_PROTOCOL_FEATURES', 17: 'GET_QUEUE_NUM', 18: 'SET_VRING_ENABLE',
    19: 'SEND_RARP', 20: 'NET_SET_MTU', 21: 'SET_BACKEND_REQ_FD', 24: 'GET_CONFIG', 25: 'SET_CONFIG',
    31: 'GET_INFLIGHT_FD', 32: 'SET_INFLIGHT_FD', 34: 'RESET_DEVICE', 36: 'GET_MAX_MEM_SLOTS',
    37: 'ADD_MEM_REG', 38: 'REM_MEM_REG', 39: 'SET_STATUS', 40: 'GET_STATUS',
}
FEATURES = {
    0: 'CSUM', 1: 'GUEST_CSUM', 2: 'CTRL_GUEST_OFFLOADS', 3: 'MTU', 5: 'MAC', 6: 'GSO', 7: 'GUEST_TSO4', 8: 'GUEST_TSO6', 11: 'HOST_TSO4',
    12: 'HOST_TSO6', 15: 'MRG_RXBUF', 16: 'STATUS', 17: 'CTRL_VQ', 18: 'CTRL_RX', 19: 'CTRL_VLAN',
    21: 'GUEST_ANNOUNCE', 22: 'MQ', 23: 'CTRL_MAC_ADDR', 24: 'NOTIFY_ON_EMPTY', 26: 'LOG_ALL', 27: 'ANY_LAYOUT',
    28: 'INDIRECT_DESC', 29: 'EVENT_IDX', 30: 'PROTOCOL_FEATURES', 32: 'VERSION_1', 33: 'IOMMU_PLATFORM',
    34: 'RING_PACKED', 35: 'IN_ORDER', 36: 'ORDER_PLATFORM',
}
PROTOCOL_FEATURES = {
    0: 'MQ', 1: 'LOG_SHMFD', 2: 'RARP', 3: 'REPLY_ACK', 4: 'NET_MTU', 5: 'BACKEND_REQ', 6: 'CROSS_ENDIAN',
    7: 'CRYPTO', 8: 'PAGEFAULT', 9: 'CONFIG', 10: 'BACKEND_SEND_FD', 11: 'HOST_NOTIFIER', 12: 'INFLIGHT_SHMFD',
    13: 'RESET_DEVICE', 14: 'INBAND_NOTIFICATIONS', 15: 'CONFIGURE_MEM_SLOTS', 16: 'STATUS',
}
NEED_REPLY = 8


def names(bits, table):
    return ' '.join(table.get(n, f'bit{n}') for n in range(64) if bits >> n & 1)


def explain(request, body, reply):
    """A message's payload for people."""
    if request in (1, 2) and len(body) == 8:
        return names(struct.unpack('=Q', body)[0], FEATURES)
    if request in (15, 16) and len(body) == 8:
        return names(struct.unpack('=Q', body)[0], PROTOCOL_FEATURES)
    if request in (12, 13, 14) and len(body) == 8:
        value = struct.unpack('=Q', body)[0]
        return f'queue {value & 0xff}{", no descriptor" if value & 0x100 else ""}'
    if request == 9 and len(body) == 40:
        queue, flags, desc, used, avail, log = struct.unpack('=IIQQQQ', body)
        return f'queue {queue} flags {flags} desc {desc:#x} used {used:#x} avail {avail:#x} log {log:#x}'
    if request == 5 and not reply and len(body) >= 8:
        count = struct.unpack_from('=I', body)[0]
        regions = [struct.unpack_from('=QQQQ', body, 8 + 32 * i) for i in range(min(count, (len(body) - 8) // 32))]
        return ', '.join(f'guest {g:#x} size {s:#x} user {u:#x} offset {o:#x}' for g, s, u, o in regions)
    if len(body) == 8 and request in (8, 10, 11, 18):
        queue, value = struct.unpack('=II', body)
        return f'queue {queue}: {value:#x}' if request in (10, 11) else f'queue {queue}: {value}'
    if len(body) == 8:
        return f'{struct.unpack("=Q", body)[0]:#x}'
    return body[:64].hex()


class Message:
    def __init__(self, to_back_end, request, flags, body, descriptors, connection):
        self.at = time.monotonic()
        self.to_back_end = to_back_end
        self.request = request
        self.flags = flags
        self.body = body
        self.descriptors = descriptors
        self.connection = connection

    @property
    def name(self):
        return REQUESTS.get(self.request, str(self.request))

    def __str__(self):
        return (f'{">" if self.to_back_end else "<"} {self.name} {explain(self.request, self.body, not self.to_back_end)}'
                f'{f" [{self.descriptors} fd]" if self.descriptors else ""}'
                f'{" NEED_REPLY" if self.flags & NEED_REPLY else ""}')


class Overheard:
    """
    Stands between two sockets: who connects to `path` talks to who serves `behind`. daemon_connects says which
    of the two is podraild: it connects to a pod that serves, or serves. A connection ends when either end leaves.
    .messages has all that was said; .features the last features that a front end chose. While `gate` (a
    threading.Event) is not set, a connection waits.
    """

    def __init__(self, path, behind, daemon_connects=True):
        self.gate = threading.Event()
        self.gate.set()
        self.behind = behind
        self.daemon_connects = daemon_connects
        self.path = path
        self.messages = []
        self.connections = 0
        self.ended = False
        self.listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.listener.bind(path)
        self.listener.listen(4)
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()

    @property
    def features(self):
        chosen = [m for m in self.messages if m.request == 2 and m.to_back_end]
        return struct.unpack('=Q', chosen[-1].body)[0] if chosen else None

    def close(self):
        self.ended = True
        self.gate.set()
        self.thread.join(5)
        self.listener.close()
        with contextlib.suppress(FileNotFoundError):
            os.unlink(self.path)

    def _run(self):
        while not self.ended:
            if select.select([self.listener], [], [], 0.1)[0]:
                near, _ = self.listener.accept()
                self.gate.wait()
                far = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
                try:
                    far.connect(self.behind)
                    self.connections += 1
                    self._relay(near, far)
                except OSError:
                    pass
                near.close()
                far.close()

    def _relay(self, near, far):
        while not self.ended:
            for source in select.select([near, far], [], [], 0.1)[0]:
                if not self._pass_on(source, far if source is near else near,
                                     (source is far) == self.daemon_connects):
                    return

    def _pass_on(self, source, target, to_back_end):
        """One whole message with its descriptors."""
        data, fds, _, _ = socket.recv_fds(source, 12, 32)
        try:
            while data and len(data) < 12:
                data += source.recv(12 - len(data))
            if not data:
                return False
            request, flags, size = struct.unpack('=III', data)
            while len(data) < 12 + size:
                more = source.recv(12 + size - len(data))
                if not more:
                    return False
                data += more
            self.messages.append(Message(to_back_end, request, flags, data[12:], len(fds), self.connections))
            if fds:
                socket.send_fds(target, [data], fds)
            else:
                target.sendall(data)
            return True
        finally:
            for fd in fds:
                os.close(fd)
