# SPDX-License-Identifier: BSD-3-Clause
"""
A vhost-user front end in a few lines: a guest that connects at once, sends a few packets, and leaves or
lies as the test wants. It is the pod's side: it serves the socket (podrail's client mode) or connects.
"""

import mmap
import os
import select
import socket
import struct
import time

GET_FEATURES, SET_FEATURES, SET_OWNER, SET_MEM_TABLE = 1, 2, 3, 5
SET_VRING_NUM, SET_VRING_ADDR, SET_VRING_BASE, GET_VRING_BASE = 8, 9, 10, 11
SET_VRING_KICK, SET_VRING_CALL, GET_PROTOCOL_FEATURES, SET_PROTOCOL_FEATURES = 12, 13, 15, 16
GET_QUEUE_NUM, SET_VRING_ENABLE = 17, 18
VERSION, REPLY = 1, 4
NO_FD = 1 << 8
MRG_RXBUF, MQ, PROTOCOL_FEATURES, VERSION_1 = 1 << 15, 1 << 22, 1 << 30, 1 << 32
HEADER = 12          # struct virtio_net_hdr_mrg_rxbuf
BASE = 0x100000000   # guest physical and user address of the memory
SIZE = 2 << 20
RING = 256           # descriptors of a ring
AREA = 16 << 10      # of each ring: descriptors, avail, used
BUFFER = 2048


def message(request, payload=b'', flags=VERSION, size=None):
    """A vhost-user message: header in the machine's byte order, payload."""
    return struct.pack('=III', request, flags, len(payload) if size is None else size) + payload


class FrontEnd:
    """
    with FrontEnd(path, serve=True) as guest:
        guest.connect(); guest.start(); guest.transmit([frame, …])
    """

    def __init__(self, path, serve=True, pairs=1):
        self.path = path
        self.pairs = pairs
        self.listener = self.connection = self.memory = None
        self.memory_fd = -1
        self.fds = []
        self.sent = 0
        self.kickless = False   # to be polled: no kick descriptors
        if serve:
            self.listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            if os.path.exists(path):
                os.unlink(path)
            self.listener.bind(path)
            self.listener.listen(4)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    # ---- connection ----

    def connect(self, timeout=20):
        if self.listener:
            self.listener.settimeout(timeout)
            self.connection, _ = self.listener.accept()
        else:
            end = time.monotonic() + timeout
            while True:
                self.connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
                try:
                    self.connection.connect(self.path)
                    break
                except (ConnectionRefusedError, FileNotFoundError, BlockingIOError):
                    self.connection.close()
                    if time.monotonic() > end:
                        raise
                    time.sleep(0.02)
        self.connection.settimeout(timeout)
        return self

    def leave(self):
        """Closes the connection and forgets the memory, as a killed process does."""
        if self.connection:
            self.connection.close()
            self.connection = None
        for fd in self.fds:
            os.close(fd)
        self.fds = []
        if self.memory:
            self.memory.close()
            self.memory = None
        if self.memory_fd >= 0:
            os.close(self.memory_fd)
            self.memory_fd = -1

    def close(self):
        self.leave()
        if self.listener:
            self.listener.close()
            self.listener = None
            if os.path.exists(self.path):
                os.unlink(self.path)

    # ---- messages ----

    def send_raw(self, data, fds=()):
        if fds:
            socket.send_fds(self.connection, [data], list(fds))
        else:
            self.connection.sendall(data)

    def send(self, request, payload=b'', fds=()):
        self.send_raw(message(request, payload), fds)

    def ask(self, request, payload=b''):
        self.send(request, payload)
        header = self._read(12)
        number, _, size = struct.unpack('=III', header)
        body = self._read(size)
        if number != request:
            raise ConnectionError(f'answer to {number} instead of {request}')
        return struct.unpack('=Q', body)[0] if size == 8 else body

    def _read(self, size):
        data = b''
        while len(data) < size:
            more = self.connection.recv(size - len(data))
            if not more:
                raise ConnectionError('the back end closed the connection')
            data += more
        return data

    def gone(self, timeout):
        """True when the back end closes the connection within timeout seconds."""
        end = time.monotonic() + timeout
        while time.monotonic() < end:
            if select.select([self.connection], [], [], 0.05)[0]:
                try:
                    if not self.connection.recv(4096):
                        return True
                except ConnectionResetError:
                    return True
        return False

    # ---- the whole start, as virtio-user does it ----

    def share_memory(self, size=SIZE):
        self.memory_fd = os.memfd_create('guest')
        os.ftruncate(self.memory_fd, size)
        self.memory = mmap.mmap(self.memory_fd, size)

    def mem_table(self, regions=((BASE, SIZE, BASE, 0),)):
        return struct.pack('=II', len(regions), 0) + b''.join(
            struct.pack('=QQQQ', *region) for region in regions)

    def negotiate(self):
        self.send(SET_OWNER)
        offered = self.ask(GET_FEATURES)
        self.ask(GET_PROTOCOL_FEATURES)
        self.send(SET_PROTOCOL_FEATURES, struct.pack('=Q', 1))  # MQ
        self.ask(GET_QUEUE_NUM)
        wanted = MRG_RXBUF | MQ | PROTOCOL_FEATURES | VERSION_1
        self.send(SET_FEATURES, struct.pack('=Q', offered & wanted))

    def start(self):
        self.negotiate()
        self.share_memory()
        self.send(SET_MEM_TABLE, self.mem_table(), [self.memory_fd])
        for q in range(2 * self.pairs):
            self.start_queue(q)
        for q in range(2 * self.pairs):
            self.send(SET_VRING_ENABLE, struct.pack('=II', q, 1))
        return self

    def start_queue(self, q):
        desc = BASE + q * AREA
        for request in (SET_VRING_CALL, SET_VRING_KICK):
            fd = os.eventfd(0)
            self.fds.append(fd)
            if request == SET_VRING_KICK:
                self.send(SET_VRING_NUM, struct.pack('=II', q, RING))
                self.send(SET_VRING_BASE, struct.pack('=II', q, 0))
                self.send(SET_VRING_ADDR, struct.pack(
                    '=IIQQQQ', q, 0, desc, desc + 12288, desc + 8192, 0))
            if request == SET_VRING_KICK and self.kickless:
                self.send(request, struct.pack('=Q', q | NO_FD))
            else:
                self.send(request, struct.pack('=Q', q), [fd])

    # ---- packets, on the first queue pair ----

    def transmit(self, frames):
        """At most RING frames that no one has to return, into the first transmit ring."""
        ring = AREA
        avail = ring + 8192
        for frame in frames:
            slot = self.sent % RING
            at = (1 << 20) + slot * BUFFER
            self.memory[at:at + HEADER + len(frame)] = bytes(HEADER) + frame
            self.memory[ring + 16 * slot:ring + 16 * slot + 16] = struct.pack(
                '=QIHH', BASE + at, HEADER + len(frame), 0, 0)
            self.memory[avail + 4 + 2 * slot:avail + 6 + 2 * slot] = struct.pack('=H', slot)
            self.sent += 1
        self.memory[avail + 2:avail + 4] = struct.pack('=H', self.sent & 0xffff)
        if not self.kickless and self.wants_kick():
            os.eventfd_write(self.fds[3], 1)

    def wants_kick(self):
        """Whether the back end wants to be told of frames (VRING_USED_F_NO_NOTIFY)."""
        at = AREA + 12288
        return not struct.unpack('=H', self.memory[at:at + 2])[0] & 1

    def used(self):
        """How many of the frames sent the back end has given back (modulo 65536)."""
        at = AREA + 12288 + 2
        return struct.unpack('=H', self.memory[at:at + 2])[0]
