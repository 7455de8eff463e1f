# SPDX-License-Identifier: BSD-3-Clause
"""Raw frames on an interface, by AF_PACKET. Frames are bytes; craft them with scapy."""

import select
import socket
import struct
import time

_SOL_PACKET = 263
_PACKET_ADD_MEMBERSHIP = 1
_PACKET_AUXDATA = 8
_PACKET_MR_PROMISC = 1
_ETH_P_ALL = 3
_PACKET_OUTGOING = 4
_TP_STATUS_VLAN_VALID = 1 << 4
_TP_STATUS_VLAN_TPID_VALID = 1 << 6


class RawPort:
    """
    p = RawPort(ns, 'veth0'); p.send(bytes(Ether()/IP()/UDP())); p.recv(lambda f: …, timeout=2)
    VLAN tags, which the kernel takes off, are put back.
    """

    def __init__(self, netns, ifname):
        self.ifname = ifname
        with netns.enter():
            self.socket = socket.socket(
                socket.AF_PACKET, socket.SOCK_RAW, socket.htons(_ETH_P_ALL))
            index = socket.if_nametoindex(ifname)
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8 << 20)
        self.socket.setsockopt(_SOL_PACKET, _PACKET_AUXDATA, 1)
        self.socket.bind((ifname, 0x0003))
        self.socket.setsockopt(_SOL_PACKET, _PACKET_ADD_MEMBERSHIP,
                               struct.pack('iHH8s', index, _PACKET_MR_PROMISC, 0, b''))
        self.mac = self.socket.getsockname()[4]

    def fileno(self):
        return self.socket.fileno()

    def close(self):
        self.socket.close()

    def send(self, frame):
        self.socket.send(bytes(frame))

    def _receive(self):
        data, control, _, address = self.socket.recvmsg(1 << 17, 64)
        if address[2] == _PACKET_OUTGOING:
            return None
        for level, kind, aux in control:
            if level != _SOL_PACKET or kind != _PACKET_AUXDATA or len(aux) < 20:
                continue
            status, _, _, _, _, tci, tpid = struct.unpack('IIIHHHH', aux[:20])
            if status & _TP_STATUS_VLAN_VALID:
                if not status & _TP_STATUS_VLAN_TPID_VALID:
                    tpid = 0x8100
                data = data[:12] + struct.pack('!HH', tpid, tci) + data[12:]
        return data

    def recv(self, match=None, timeout=2):
        """The next frame that came in (and for which match(frame) is true), or None."""
        end = time.monotonic() + timeout
        while True:
            left = end - time.monotonic()
            if left <= 0 or not select.select([self.socket], [], [], left)[0]:
                return None
            frame = self._receive()
            if frame is not None and (match is None or match(frame)):
                return frame

    def recv_all(self, timeout=0.5, match=None):
        """All frames until none came for `timeout` seconds."""
        frames = []
        while (frame := self.recv(match, timeout)) is not None:
            frames.append(frame)
        return frames

    def flush(self):
        while select.select([self.socket], [], [], 0)[0]:
            self.socket.recv(1 << 17)
