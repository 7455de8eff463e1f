#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
# podrail-test: limit=240 mutants=ttl,swap
"""What an IPv6 router owes its neighbours, packet by packet: RFC 8200, 4291, 4443, 4861, 6105 and 8201."""

import struct

from scapy.layers.inet import TCP, UDP
from scapy.layers.inet6 import (
    ICMPv6DestUnreach, ICMPv6EchoReply, ICMPv6EchoRequest, ICMPv6MLReport2, ICMPv6ND_NA, ICMPv6ND_NS, ICMPv6ND_RA,
    ICMPv6ND_Redirect, ICMPv6ND_RS, ICMPv6NDOptDstLLAddr, ICMPv6NDOptSrcLLAddr, ICMPv6PacketTooBig,
    ICMPv6TimeExceeded, IPv6, IPv6ExtHdrDestOpt, IPv6ExtHdrFragment, IPv6ExtHdrHopByHop, IPv6ExtHdrRouting, HBHOptUnknown, PadN, RouterAlert,
    in6_chksum)
from scapy.layers.l2 import Ether
from scapy.packet import Raw

from lib import Lab, RawPort, Tap, settings
from routed_world import GATEWAY_MAC, Probe, RawPods, Station, forwarded6, is_ip6

NETWORKS = [{'name': 'n', 'mode': 'routed',
             'subnets': ['2001:db8:1::/64', '2001:db8:2::/64', '198.18.1.0/24', '198.18.2.0/24']},
            {'name': 'l2', 'mode': 'bridged'}]
PODS = {
    'a': {'network': 'n', 'addresses': ['2001:db8:1::2/64', '198.18.1.2/24'], 'mac': '02:00:00:00:01:02',
          'allowedPrefixes': ['2001:db8:77::/48', '::/128']},
    'b': {'network': 'n', 'addresses': ['2001:db8:1::3/64', '198.18.1.3/24'], 'mac': '02:00:00:00:01:03'},
    'c': {'network': 'n', 'addresses': ['2001:db8:2::4/64', '198.18.2.4/24'], 'mac': '02:00:00:00:01:04', 'mtu': 1300},
}
BRIDGED = {
    'x': {'network': 'l2', 'addresses': ['2001:db8:5::2/64', '198.18.5.2/24'], 'mac': '02:00:00:00:05:02'},
    'y': {'network': 'l2', 'mac': '02:00:00:00:05:03', 'trust': True},
}
IP = {name: p['addresses'][0].split('/')[0] for name, p in {**PODS, **BRIDGED}.items() if 'addresses' in p}
UPLINK_PEER = '02:00:00:00:09:02'
IP['u'] = '2001:db8:9::2'
ALL_NODES, ALL_ROUTERS = 'ff02::1', 'ff02::2'


def solicited(address):
    return 'ff02::1:ff' + address_bytes(address)[-3:].hex()[:2] + ':' + address_bytes(address)[-2:].hex()


def address_bytes(address):
    import socket
    return socket.inet_pton(socket.AF_INET6, address)


def group_mac(address):
    return '33:33:' + ':'.join(f'{b:02x}' for b in address_bytes(address)[-4:])


class World:
    def __init__(self, lab, workers):
        d = self.daemon = lab.daemon(workers=workers, networks=NETWORKS)
        self.pods = RawPods(lab, d, {**PODS, **BRIDGED}, memory=96)
        lab.ns.veth('up0', self.pods.ns, 'peer0')
        up = d.call('port.add', name='u', kind='eth', network='n', device='net_af_packet0,iface=up0',
                    addresses=['2001:db8:9::1/64', '198.18.9.1/24'])['port']
        for prefix, more in {
                '2001:db8:dead::/48': {'type': 'unreachable'}, '2001:db8:beef::/48': {'type': 'blackhole'},
                '2001:db8:ff::/48': {'gateway': '2001:db8:9::2'}, '2001:db8:77::/48': {'gateway': '2001:db8:1::2'},
                }.items():
            d.call('route.add', network='n', prefix=prefix, **more)
        for address in ('2001:db8:9::2', '198.18.9.2'):
            d.call('neighbour.add', network='n', port='u', address=address, mac=UPLINK_PEER)
        d.wait_port('u')
        self.uplink_mac = up['mac']
        self.s = {name: Station(self.pods.ports[name], PODS[name]['mac'], PODS[name]['addresses'][1].split('/')[0])
                  for name in PODS}
        self.s['u'] = Station(RawPort(self.pods.ns, 'peer0'), UPLINK_PEER, '198.18.9.2', up['mac'])
        for name, gateway in {'a': '198.18.1.1', 'b': '198.18.1.1', 'c': '198.18.2.1', 'u': '198.18.9.1'}.items():
            self.s[name].gateway = gateway
        self.probe = Probe(d, self.s)
        self.bridged = {name: Station(self.pods.ports[name], BRIDGED[name]['mac'], None) for name in BRIDGED}


class Table:
    """Rows: sent by whom, what, and then one of lost(reason), passes(to), error(...), advertised(...)."""

    def __init__(self, t, world, label):
        self.t, self.w, self.label = t, world, label

    def run(self, text, source, frame):
        out, drops = self.w.probe.run(self.w.s[source], frame)
        return f'{text} ({self.label})', out, drops

    def lost(self, text, source, frame, reason):
        text, out, drops = self.run(text, source, frame)
        self.t.ok(not out and drops == {reason: 1}, f'{text}: {reason}', f'{out} {drops}')

    def silent(self, text, source, frame):
        text, out, drops = self.run(text, source, frame)
        self.t.ok(not out and not drops, f'{text}: consumed', f'{out} {drops}')

    def passes(self, text, source, frame, to, wanted=None, gateway_mac=GATEWAY_MAC):
        text, out, drops = self.run(text, source, frame)
        wanted = wanted or forwarded6(frame, self.w.s[to], gateway_mac)
        self.t.ok(out == [(to, wanted)] and not drops, f'{text}: reaches {to}',
                  f'wanted {wanted.hex()}\ngot {[(n, f.hex()) for n, f in out]} {drops}')

    def error(self, text, source, frame, kind, code, reason, address, word=0):
        text, out, drops = self.run(text, source, frame)
        text = f'{text}: {kind}/{code} from {address}'
        try:
            assert len(out) == 1 and out[0][0] == source and drops == {reason: 1}, f'{out} {drops}'
            check_error(out[0][1], self.w.s[source], IP[source], bytes(frame), kind, code, address, word)
        except AssertionError as e:
            self.t.ok(False, text, str(e))
        else:
            self.t.ok(True, text)

    def advertised(self, text, source, frame, target, own=True, to=None):
        """A neighbour advertisement as RFC 4861 section 7.2.4 has it."""
        text, out, drops = self.run(text, source, frame)
        station = self.w.s[source]
        try:
            assert len(out) == 1 and out[0][0] == source and not drops, f'{out} {drops}'
            data = out[0][1]
            packet = Ether(data)
            ip, na = packet[IPv6], packet[ICMPv6ND_NA]
            anonymous = Ether(bytes(frame))[IPv6].src == '::'
            assert packet.dst == (group_mac(ALL_NODES) if anonymous else station.mac), packet.dst
            assert packet.src == station.gateway_mac and ip.hlim == 255, packet.summary()
            assert ip.dst == (ALL_NODES if anonymous else (to or IP[source])), ip.dst
            assert in6_chksum(58, ip, data[54:]) == 0, 'the checksum is wrong'
            assert (na.R, na.S, na.O) == (1, not anonymous, own), f'R {na.R} S {na.S} O {na.O}'
            assert na.tgt == target and packet[ICMPv6NDOptDstLLAddr].lladdr == station.gateway_mac
            assert len(data) == 86
        except (AssertionError, IndexError) as e:
            self.t.ok(False, f'{text}: advertised', f'{e} {drops}')
        else:
            self.t.ok(True, f'{text}: advertised')


def check_error(frame, station, address_of_station, about, kind, code, source, word):
    packet = Ether(frame)
    ip = packet[IPv6]
    assert (packet.src, packet.dst) == (station.gateway_mac, station.mac), packet.summary()
    assert (ip.src, ip.dst) == (source, Ether(about)[IPv6].src), f'{ip.src} > {ip.dst}'
    assert ip.hlim == 64 and ip.nh == 58 and len(frame) <= 1294, packet.summary()
    assert (frame[54], frame[55]) == (kind, code), f'{frame[54]}/{frame[55]}'
    assert struct.unpack('!I', frame[58:62])[0] == word, frame[58:62].hex()
    assert in6_chksum(58, ip, frame[54:]) == 0, 'the checksum is wrong'
    quote = frame[62:]
    length = 40 + struct.unpack('!H', about[18:20])[0]
    assert len(quote) == min(length, 1280 - 48), f'{len(quote)} bytes of {length} are quoted'
    assert quote == about[14:14 + len(quote)], 'the quote is not what was sent'


def frame(w, name, ip, mac=None):
    return Ether(src=w.s[name].mac, dst=mac or w.s[name].gateway_mac) / ip


def udp(w, name, to, text='payload', hlim=64, src=None, mac=None, between=None, **more):
    ip = IPv6(src=src or IP[name], dst=to, hlim=hlim, **more)
    if between is not None:
        ip = ip / between
    return frame(w, name, ip / UDP(sport=4000, dport=5000) / Raw(text.encode()), mac)


def changed(packet, **bytes_at):
    data = bytearray(bytes(packet))
    for at, value in bytes_at.items():
        data[14 + int(at[1:])] = value
    return bytes(data)


def headers(t, w):
    good = udp(w, 'a', IP['b'])
    t.passes('a sound packet', 'a', good, 'b')
    t.lost('version 4 in an IPv6 frame', 'a', changed(good, b0=0x40), 'ip_header')
    t.lost('payload longer than the frame', 'a', changed(good, b5=200), 'too_short')
    t.lost('payload 65535', 'a', changed(good, b4=255, b5=255), 'too_short')
    t.lost('frame cut in its header', 'a', bytes(good)[:53], 'too_short')
    t.passes('a bare header', 'a', frame(w, 'a', IPv6(src=IP['a'], dst=IP['b'], nh=59)), 'b')
    t.passes('padding behind the packet', 'a', bytes(good) + b'\xaa' * 9, 'b', forwarded6(good, w.s['b']))
    t.passes('traffic class and flow label stay', 'a', udp(w, 'a', IP['b'], tc=0xb8, fl=0x12345), 'b')
    t.passes('hop limit 255', 'a', udp(w, 'a', IP['b'], hlim=255), 'b')
    t.passes('hop limit 2 leaves with 1', 'a', udp(w, 'a', IP['b'], hlim=2), 'b')
    for name, header in (('hop-by-hop options', IPv6ExtHdrHopByHop(options=PadN(optdata=b'\0' * 4))),
                         ('destination options', IPv6ExtHdrDestOpt(options=PadN(optdata=b'\0' * 4))),
                         ('a routing header of an unknown type', IPv6ExtHdrRouting(type=77, addresses=[])),
                         ('a fragment', IPv6ExtHdrFragment(offset=10, m=1, id=3))):
        t.passes(f'{name}: carried along', 'a', udp(w, 'a', IP['b'], between=header), 'b')
    for n in range(3):
        t.passes(f'{1 << n} headers more than anyone looks at', 'a', udp(
            w, 'a', IP['b'], between=chain(8 << n)), 'b')


def chain(n):
    packet = IPv6ExtHdrDestOpt()
    for _ in range(n - 1):
        packet = packet / IPv6ExtHdrDestOpt()
    return packet


def addresses(t, w):
    for source in ('::1', '::ffff:198.18.1.2', 'ff02::1', 'ff0e::5'):
        t.lost(f'source {source} from a pod', 'b', udp(w, 'b', IP['a'], src=source), 'spoofed_ip')
        t.lost(f'source {source} from the uplink', 'u', udp(w, 'u', IP['a'], src=source), 'ip_martian')
    t.lost('no source', 'b', udp(w, 'b', IP['a'], src='::'), 'ip_martian')
    for to in ('::', '::1', '::ffff:198.18.1.3', 'ff02::1', 'ff0e::5'):
        t.lost(f'destination {to} by unicast MAC', 'a', udp(w, 'a', to), 'ip_martian')
    t.lost("source that is not the pod's", 'b', udp(w, 'b', IP['a'], src='2001:db8:1::9'), 'spoofed_ip')
    t.lost("a MAC that is not the pod's", 'b',
           Ether(src=w.s['a'].mac, dst=GATEWAY_MAC) / udp(w, 'b', IP['a'])[IPv6], 'spoofed_mac')
    t.lost('not to our MAC', 'a', udp(w, 'a', IP['b'], mac='02:00:00:00:01:03'), 'mac_not_ours')
    t.lost('a multicast', 'a', udp(w, 'a', 'ff05::2', mac=group_mac('ff05::2')), 'mac_not_ours')
    t.passes('allowed prefixes are the pod\'s too', 'a', udp(w, 'a', IP['b'], src='2001:db8:77::5'), 'b')
    t.passes('and are routed to it', 'b', udp(w, 'b', '2001:db8:77::5'), 'a')
    t.passes('out by the uplink', 'a', udp(w, 'a', '2001:db8:ff::77'), 'u', gateway_mac=w.uplink_mac)
    t.passes('in by the uplink', 'u', udp(w, 'u', IP['a'], src='2001:db8:ff::77'), 'a')
    t.error('a link-local source to elsewhere', 'a', udp(w, 'a', IP['b'], src='fe80::77'), 1, 2, 'beyond_scope', 'fe80::1')
    t.error('a link-local destination that is not ours', 'a', udp(w, 'a', 'fe80::99'), 1, 3, 'unreachable', '2001:db8:1::1')


def hop_limit(t, w):
    for value in (1, 0):
        t.error(f'hop limit {value}', 'a', udp(w, 'a', IP['b'], hlim=value), 3, 0, 'ttl_expired', '2001:db8:1::1')
    t.error('hop limit 1 with a long payload', 'a', udp(w, 'a', IP['b'], 'x' * 1400, hlim=1), 3, 0, 'ttl_expired',
            '2001:db8:1::1')
    t.error('hop limit 1 in the other subnet', 'c', udp(w, 'c', IP['a'], hlim=1), 3, 0, 'ttl_expired', '2001:db8:2::1')
    t.error('hop limit 1 from the uplink', 'u', udp(w, 'u', IP['a'], hlim=1), 3, 0, 'ttl_expired', '2001:db8:9::1')
    t.error('hop limit 1 of TCP', 'a', frame(w, 'a', IPv6(src=IP['a'], dst=IP['b'], hlim=1) / TCP(flags='S')), 3, 0,
            'ttl_expired', '2001:db8:1::1')
    t.error('hop limit 1 of an echo request', 'a', frame(
        w, 'a', IPv6(src=IP['a'], dst=IP['b'], hlim=1) / ICMPv6EchoRequest()), 3, 0, 'ttl_expired', '2001:db8:1::1')
    t.error('hop limit 1 behind options', 'a', udp(w, 'a', IP['b'], hlim=1, between=chain(2)), 3, 0, 'ttl_expired',
            '2001:db8:1::1')
    quote = bytes(IPv6(src=IP['b'], dst=IP['a']) / UDP())
    for error in (ICMPv6DestUnreach(), ICMPv6PacketTooBig(mtu=1280), ICMPv6TimeExceeded()):
        t.lost(f'no error about ICMPv6 type {error.type}', 'a', frame(
            w, 'a', IPv6(src=IP['a'], dst=IP['b'], hlim=1) / error / Raw(quote)), 'ttl_expired')
    t.lost('nor behind an options header', 'a', frame(
        w, 'a', IPv6(src=IP['a'], dst=IP['b'], hlim=1) / chain(1) / ICMPv6DestUnreach() / Raw(quote)), 'ttl_expired')
    t.lost('nor where it can not be seen', 'a', frame(
        w, 'a', IPv6(src=IP['a'], dst=IP['b'], hlim=1) / chain(9) / ICMPv6DestUnreach() / Raw(quote)), 'nd_invalid')
    t.passes('an error is carried like any packet', 'a', frame(
        w, 'a', IPv6(src=IP['a'], dst=IP['b']) / ICMPv6DestUnreach() / Raw(quote)), 'b')


def unreachable(t, w):
    t.error('no route', 'a', udp(w, 'a', '2001:db8:9999::1'), 1, 0, 'no_route', '2001:db8:1::1')
    t.error('no route, from the uplink', 'u', udp(w, 'u', '2001:db8:9999::1'), 1, 0, 'no_route', '2001:db8:9::1')
    t.error('a route of type unreachable', 'a', udp(w, 'a', '2001:db8:dead::5'), 1, 3, 'unreachable', '2001:db8:1::1')
    t.error('nobody has that address of the subnet', 'a', udp(w, 'a', '2001:db8:1::99'), 1, 3, 'unreachable',
            '2001:db8:1::1')
    t.lost('blackhole', 'a', udp(w, 'a', '2001:db8:beef::5'), 'blackhole')
    t.error('UDP to the gateway', 'a', udp(w, 'a', '2001:db8:1::1'), 1, 4, 'local_unhandled', '2001:db8:1::1')
    t.error('UDP to the link-local gateway', 'a', udp(w, 'a', 'fe80::1'), 1, 4, 'local_unhandled', '2001:db8:1::1')
    t.error('an unknown next header to the gateway', 'a', frame(
        w, 'a', IPv6(src=IP['a'], dst='2001:db8:1::1', nh=253) / Raw(b'abcd')), 4, 1, 'local_unhandled', '2001:db8:1::1', 6)
    t.error('the same behind options', 'a', frame(
        w, 'a', IPv6(src=IP['a'], dst='2001:db8:1::1') / IPv6ExtHdrDestOpt(nh=253) / Raw(b'abcd')), 4, 1, 'local_unhandled',
        '2001:db8:1::1', 40)
    t.lost('an echo reply to the gateway', 'a', frame(
        w, 'a', IPv6(src=IP['a'], dst='2001:db8:1::1') / ICMPv6EchoReply()), 'local_unhandled')
    big = udp(w, 'a', IP['c'], 'x' * 1253)
    t.error('one byte more than the MTU', 'a', big, 2, 0, 'mtu_exceeded', '2001:db8:1::1', 1300)
    t.passes('exactly the MTU', 'a', udp(w, 'a', IP['c'], 'x' * 1252), 'c')


def echo(t, w):
    for name, target in (('a', '2001:db8:1::1'), ('a', '2001:db8:2::1'), ('a', 'fe80::1'), ('u', '2001:db8:9::1')):
        for limit in (64, 1, 0):
            text, out, drops = t.run(f'echo to {target}, hop limit {limit}', name, frame(
                w, name, IPv6(src=IP[name], dst=target, hlim=limit) / ICMPv6EchoRequest(id=7, seq=9, data=b'h' * 33)))
            packet = Ether(out[0][1]) if out else None
            t.t.ok(len(out) == 1 and not drops and ICMPv6EchoReply in packet and packet[IPv6].hlim == 64 and
                   (packet[IPv6].src, packet[IPv6].dst) == (target, IP[name]) and packet[ICMPv6EchoReply].id == 7 and
                   packet[ICMPv6EchoReply].data == b'h' * 33 and
                   in6_chksum(58, packet[IPv6], out[0][1][54:]) == 0, text, f'{out} {drops}')


def to_ourselves(t, w):
    """Extension headers of packets to the gateway itself (RFC 8200 section 4)."""
    gateway = '2001:db8:1::1'

    def options(kind, header=IPv6ExtHdrDestOpt):
        return udp(w, 'a', gateway, between=header(options=HBHOptUnknown(otype=kind, optdata=bytes(4))))

    def problem(text, packet, code, pointer):
        t.error(text, 'a', packet, 4, code, 'local_unhandled', gateway, pointer)

    def unreachable_port(text, packet):
        t.error(text, 'a', packet, 1, 4, 'local_unhandled', gateway)

    unreachable_port('an unknown option that may be skipped', options(0x1e))
    t.lost('one that asks for silence', 'a', options(0x5e), 'local_unhandled')
    problem('one that wants to be told of', options(0x9e), 2, 42)
    problem('one that wants to be told of if it is for one', options(0xde, IPv6ExtHdrHopByHop), 2, 42)
    problem('hop-by-hop options that are not first', udp(
        w, 'a', gateway, between=IPv6ExtHdrDestOpt() / IPv6ExtHdrHopByHop()), 1, 40)
    problem('a routing header of type 0 (RFC 5095)', udp(
        w, 'a', gateway, between=IPv6ExtHdrRouting(type=0, segleft=1, addresses=[IP['b']])), 0, 42)
    unreachable_port('one without segments left', udp(
        w, 'a', gateway, between=IPv6ExtHdrRouting(type=0, segleft=0, addresses=[IP['b']])))
    t.lost('a fragment', 'a', udp(w, 'a', gateway, between=IPv6ExtHdrFragment(m=1, id=3)), 'local_unhandled')
    unreachable_port('the only fragment (RFC 6946)', udp(w, 'a', gateway, between=IPv6ExtHdrFragment(id=3)))
    t.lost('nine headers', 'a', udp(w, 'a', gateway, between=chain(9)), 'header_too_long')
    t.lost('no error about a later fragment', 'a', udp(
        w, 'a', '2001:db8:9999::1', between=IPv6ExtHdrFragment(offset=10, m=1, id=3)), 'no_route')
    t.error('but about the first', 'a', udp(w, 'a', '2001:db8:9999::1', between=IPv6ExtHdrFragment(m=1, id=3)),
            1, 0, 'no_route', gateway)
    request = ICMPv6EchoRequest(id=7, seq=9, data=b'h' * 33)
    for text, source, target, between, mac in (
            ('behind options', IP['a'], gateway, IPv6ExtHdrHopByHop() / IPv6ExtHdrDestOpt(), GATEWAY_MAC),
            ('in the only fragment', IP['a'], gateway, IPv6ExtHdrFragment(id=3), GATEWAY_MAC),
            ('to all nodes', 'fe80::77', ALL_NODES, None, group_mac(ALL_NODES)),
            ('to all routers', IP['a'], ALL_ROUTERS, None, group_mac(ALL_ROUTERS))):
        ip = IPv6(src=source, dst=target)
        text, out, drops = t.run(f'echo {text}', 'a', frame(w, 'a', ip / between / request if between else ip / request, mac))
        packet = Ether(out[0][1]) if out else None
        own = 'fe80::1' if target in (ALL_NODES, ALL_ROUTERS) else target
        t.t.ok(len(out) == 1 and not drops and packet[IPv6].nh == 58 and (packet[IPv6].src, packet[IPv6].dst) == (own, source)
               and ICMPv6EchoReply in packet and packet[ICMPv6EchoReply].data == b'h' * 33 and
               in6_chksum(58, packet[IPv6], out[0][1][54:]) == 0, text, f'{out} {drops}')


def solicitation(w, name, target, src=None, dst=None, option=True, mac=None, hlim=255, extra=None):
    ip = IPv6(src=src or IP[name], dst=dst or solicited(target), hlim=hlim) / ICMPv6ND_NS(tgt=target)
    if option:
        ip = ip / ICMPv6NDOptSrcLLAddr(lladdr=w.s[name].mac if option is True else option)
    if extra:
        ip = ip / Raw(extra)
    return frame(w, name, ip, mac or group_mac(dst or solicited(target)))


def discovery(t, w):
    def ask(*args, **more):
        return solicitation(w, *args, **more)

    t.advertised('the gateway of the subnet', 'a', ask('a', '2001:db8:1::1'), '2001:db8:1::1')
    t.advertised("another subnet's gateway", 'a', ask('a', '2001:db8:2::1'), '2001:db8:2::1')
    t.advertised('the link-local gateway', 'a', ask('a', 'fe80::1'), 'fe80::1')
    t.advertised('asked from a link-local address', 'a', ask('a', 'fe80::1', src='fe80::77'), 'fe80::1', to='fe80::77')
    t.advertised('asked by unicast', 'a', ask('a', '2001:db8:1::1', dst='2001:db8:1::1', mac=GATEWAY_MAC), '2001:db8:1::1')
    t.advertised('by proxy: another pod', 'a', ask('a', IP['b']), IP['b'], own=False)
    t.advertised('by proxy: behind the uplink', 'a', ask('a', '2001:db8:ff::1'), '2001:db8:ff::1', own=False)
    t.lost('not without a route', 'a', ask('a', '2001:db8:9999::1'), 'nd_not_for_us')
    t.lost('not for what nobody has', 'a', ask('a', '2001:db8:1::99'), 'nd_not_for_us')
    t.lost('not for a blackhole', 'a', ask('a', '2001:db8:beef::1'), 'nd_not_for_us')
    t.lost("not for the asker's own address", 'a', ask('a', IP['a']), 'nd_not_for_us')
    t.lost('nor for what is routed to it', 'a', ask('a', '2001:db8:77::1'), 'nd_not_for_us')
    t.lost("nor for another's link-local address", 'a', ask('a', 'fe80::5'), 'nd_not_for_us')
    # Duplicate address detection (RFC 4862, 5.4).
    t.lost('detection of its own address', 'a', ask('a', IP['a'], src='::', option=False), 'nd_not_for_us')
    t.advertised("detection of the gateway's", 'a', ask('a', '2001:db8:1::1', src='::', option=False), '2001:db8:1::1')
    t.advertised('detection of fe80::1', 'a', ask('a', 'fe80::1', src='::', option=False), 'fe80::1')
    t.advertised("detection of another pod's", 'a', ask('a', IP['b'], src='::', option=False), IP['b'], own=False)
    # On the uplink we are a host.
    t.advertised('our address on the uplink', 'u', ask('u', '2001:db8:9::1'), '2001:db8:9::1')
    t.lost('nobody else\'s on the uplink', 'u', ask('u', IP['a']), 'nd_not_for_us')
    t.lost("nor the pods' gateway's", 'u', ask('u', '2001:db8:1::1'), 'nd_not_for_us')
    # RFC 4861, 7.1.1 and 7.1.2.
    good = bytes(ask('u', '2001:db8:9::1'))
    t.lost('hop limit 254', 'u', ask('u', '2001:db8:9::1', hlim=254), 'nd_invalid')
    t.lost('a wrong checksum', 'u', good[:56] + bytes([good[56] ^ 1]) + good[57:], 'nd_invalid')
    t.lost('a multicast target', 'u', ask('u', 'ff02::1', dst=solicited('2001:db8:9::1')), 'nd_invalid')
    t.lost('cut short', 'u', ask('u', '2001:db8:9::1', option=False).build()[:70], 'nd_invalid')
    t.lost('an option of no length', 'u', ask('u', '2001:db8:9::1', extra=b'\x0e\0' + bytes(6)), 'nd_invalid')
    t.lost('an option that is cut off', 'u', ask('u', '2001:db8:9::1', extra=b'\x0e\2' + bytes(6)), 'nd_invalid')
    t.lost('no source, but its MAC', 'u', ask('u', '2001:db8:9::1', src='::'), 'nd_invalid')
    t.lost('no source, by unicast', 'u', ask('u', '2001:db8:9::1', src='::', option=False, dst='2001:db8:9::1',
                                             mac=w.uplink_mac), 'nd_invalid')
    t.advertised('an option that nobody knows', 'u', ask('u', '2001:db8:9::1', extra=b'\x63\1' + bytes(6)), '2001:db8:9::1')
    # Pods say what is true of themselves.
    na = IPv6(src=IP['b'], dst=ALL_NODES, hlim=255) / ICMPv6ND_NA(tgt=IP['b'], R=0, S=0, O=1)
    mine = ICMPv6NDOptDstLLAddr(lladdr=w.s['b'].mac)
    many = group_mac(ALL_NODES)
    t.silent('an advertisement of its own', 'b', frame(w, 'b', na / mine, many))
    spoofed = na.copy()
    spoofed[ICMPv6ND_NA].tgt = IP['a']
    t.lost("another's address", 'b', frame(w, 'b', spoofed / mine, many), 'spoofed_ip')
    t.lost("another's MAC", 'b', frame(w, 'b', na / ICMPv6NDOptDstLLAddr(lladdr=w.s['a'].mac), many), 'spoofed_mac')
    t.lost("another's MAC in a question", 'b', ask('b', IP['a'], option=w.s['a'].mac), 'spoofed_mac')
    t.lost('a router advertisement of a pod', 'b', frame(
        w, 'b', IPv6(src='fe80::7', dst=ALL_NODES, hlim=255) / ICMPv6ND_RA(), many), 'nd_router')
    t.lost('a redirect of a pod', 'b', frame(
        w, 'b', IPv6(src='fe80::7', dst=IP['a'], hlim=255) / ICMPv6ND_Redirect(tgt=IP['a'], dst=IP['a'])), 'nd_router')
    t.lost('discovery behind options (RFC 7113)', 'b', frame(
        w, 'b', IPv6(src=IP['b'], dst=ALL_NODES, hlim=255) / IPv6ExtHdrDestOpt() / ICMPv6ND_NA(tgt=IP['b']) / mine, many),
        'nd_invalid')
    t.lost('a router solicitation', 'b', frame(
        w, 'b', IPv6(src=IP['b'], dst=ALL_ROUTERS, hlim=255) / ICMPv6ND_RS(), group_mac(ALL_ROUTERS)), 'nd_not_for_us')
    t.silent('a multicast listener report', 'b', frame(
        w, 'b', IPv6(src='fe80::7', dst='ff02::16', hlim=1) / IPv6ExtHdrHopByHop(options=RouterAlert()) /
        ICMPv6MLReport2(), group_mac('ff02::16')))


def bridged(t, w):
    """A bridged port's discovery is inspected too: what x may not say does not reach y."""
    x, y = w.bridged['x'], w.bridged['y']
    many = group_mac(ALL_NODES)

    def na(target, mac, src=IP['x']):
        return Ether(src=x.mac, dst=many) / IPv6(src=src, dst=ALL_NODES, hlim=255) / ICMPv6ND_NA(tgt=target, O=1) / \
            ICMPv6NDOptDstLLAddr(lladdr=mac)

    claim = Ether(src=x.mac, dst=group_mac(solicited('2001:db8:5::9'))) / IPv6(
        src='::', dst=solicited('2001:db8:5::9'), hlim=255) / ICMPv6ND_NS(tgt='2001:db8:5::9')
    hidden = Ether(src=x.mac, dst=many) / IPv6(src='fe80::7', dst=ALL_NODES, hlim=255)
    rows = [(na(IP['x'], x.mac), None), (na('2001:db8:5::9', x.mac), 'spoofed_ip'), (na(IP['x'], y.mac), 'spoofed_mac'),
            (claim, 'spoofed_ip'), (na('fe80::7', x.mac, 'fe80::7'), None),
            (Ether(src=x.mac, dst=many) / IPv6(src='fe80::7', dst=ALL_NODES, hlim=255) / ICMPv6ND_RA(), 'nd_router'),
            (hidden / chain(3) / ICMPv6ND_RA(), 'nd_invalid'), (hidden / chain(20) / ICMPv6ND_RA(), 'header_too_long'),
            (hidden / IPv6ExtHdrFragment(m=1) / ICMPv6ND_RA(), 'nd_invalid'),
            (hidden / IPv6ExtHdrFragment(m=1, nh=60) / Raw(bytes([58, 40])), 'header_too_long'),
            (hidden / chain(3) / UDP() / Raw(b'data'), None)]
    for packet, reason in rows:
        y.port.flush()
        before = w.probe.drops()
        x.send(packet)
        x.send(na(IP['x'], x.mac))  # one that passes comes behind it
        frames = [y.port.recv(is_ip6, 5)]
        if reason is None:
            frames.append(y.port.recv(is_ip6, 5))
        after = w.probe.drops()
        drops = {k: v - before.get(k, 0) for k, v in after.items() if v != before.get(k, 0)}
        passed = bytes(packet) in frames
        t.t.ok(passed == (reason is None) and None not in frames and drops == ({reason: 1} if reason else {}),
               f'bridged: {packet.summary()[:90]} ({t.label}): {reason or "passes"}', f'{frames} {drops}')


def limits(t, w):
    frames = [bytes(udp(w, 'a', IP['b'], f'{n}', hlim=1)) for n in range(600)]
    out, drops = w.probe.run(w.s['a'], *frames)
    told, silent = drops.get('ttl_expired', 0), drops.get('icmp_limit', 0)
    t.t.ok(told + silent == 600 and len(out) == told and told >= 100 and silent > 0,
           f'the rate of errors is limited, each packet has one reason ({t.label})', f'{len(out)} {drops}')


def main():
    t = Tap()
    for workers in settings.workers:
        with Lab('rfc8200') as lab:
            world = World(lab, workers)
            table = Table(t, world, f'{workers} workers')
            for part in (headers, addresses, hop_limit, unreachable, echo, to_ourselves, discovery, bridged, limits):
                part(table, world)
            with t.case(f'packets are conserved ({workers} workers)'):
                world.probe.conserved()
            with t.case(f'clean end ({workers} workers)'):
                world.daemon.stop()
    t.done()


if __name__ == '__main__':
    main()
