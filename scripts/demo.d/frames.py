# SPDX-License-Identifier: BSD-3-Clause
"""The few tagged frames that the third party sends by hand: its kernel may have no VLAN devices."""

import socket
import struct


def _mac(text):
    return bytes.fromhex(text.replace(':', ''))


def _sum(data):
    total = sum(struct.unpack(f'!{len(data) // 2}H', data))
    total = (total & 0xffff) + (total >> 16)
    return 0xffff - ((total & 0xffff) + (total >> 16))


def _tagged(source, destination, vlan, kind, payload):
    return (destination + source + struct.pack('!HHH', 0x8100, vlan, kind) + payload).ljust(64, b'\0')


def arp_request(mac, address, wanted, vlan):
    body = struct.pack('!HHBBH', 1, 0x0800, 6, 4, 1) + mac + socket.inet_aton(address) + bytes(6) + \
        socket.inet_aton(wanted)
    return _tagged(mac, b'\xff' * 6, vlan, 0x0806, body)


def echo_request(mac, address, to_mac, to_address, vlan):
    icmp = struct.pack('!BBHHH', 8, 0, 0, 7, 1) + b'podrail!'
    icmp = icmp[:2] + struct.pack('!H', _sum(icmp)) + icmp[4:]
    ip = struct.pack('!BBHHHBBH', 0x45, 0, 20 + len(icmp), 1, 0, 64, 1, 0) + \
        socket.inet_aton(address) + socket.inet_aton(to_address)
    ip = ip[:10] + struct.pack('!H', _sum(ip)) + ip[12:]
    return _tagged(mac, _mac(to_mac), vlan, 0x0800, ip + icmp)


def is_tagged(frame, vlan):
    return frame[12:14] == b'\x81\x00' and int.from_bytes(frame[14:16], 'big') & 0xfff == vlan


def is_arp_reply(frame, vlan):
    return is_tagged(frame, vlan) and frame[16:18] == b'\x08\x06' and frame[24:26] == b'\0\2'


def is_echo_reply(frame, vlan):
    return is_tagged(frame, vlan) and frame[16:18] == b'\x08\0' and frame[27] == 1 and frame[38] == 0
