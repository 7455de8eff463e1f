#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
# podrail-test: limit=180
"""What a router must keep quiet about, and what the rarer codes are for, in both families: RFC 792, 1122, 1812 section
4.3.2.7, 826, 5227; RFC 4443 section 2.4 (a) to (f), 4861, 4862, 6980, 7112, 4291. The common rows are in
test_routed_rfc1812.py and test_routed_rfc8200.py, whose worlds and tables these are."""

from scapy.layers.inet import ICMP, IP, UDP, IPOption
from scapy.layers.inet6 import (
    HBHOptUnknown, ICMPv6DestUnreach, ICMPv6EchoReply, ICMPv6EchoRequest, ICMPv6ND_NA, ICMPv6ND_NS, ICMPv6NDOptDstLLAddr,
    ICMPv6PacketTooBig, ICMPv6TimeExceeded, ICMPv6Unknown, IPv6, IPv6ExtHdrDestOpt, IPv6ExtHdrFragment,
    IPv6ExtHdrHopByHop, in6_chksum)
from scapy.layers.l2 import ARP, Ether
from scapy.packet import Raw

import test_routed_rfc1812 as v4
import test_routed_rfc8200 as v6
from kernel_world import link_local
from lib import Lab, Tap, settings
from routed_world import GATEWAY_MAC
from test_routed_rfc8200 import ALL_NODES, ALL_ROUTERS, group_mac, solicited

GATEWAY, GATEWAY6 = '198.18.1.1', '2001:db8:1::1'
MANY = 'ff:ff:ff:ff:ff:ff'
SSRR, LSRR, RECORD = 137, 131, 7


# ---- IPv4 ----

def never4(t, w):
    """RFC 1812 section 4.3.2.7: for each reason that an error is sent for, what none is sent about."""
    a, u = w.s['a'], w.s['u']
    quote = bytes(IP(src='198.18.1.3', dst=a.ip) / UDP())
    reasons = {'ttl_expired': ('198.18.1.3', {'ttl': 1}), 'no_route': ('100.64.0.1', {}), 'unreachable': ('203.0.113.5', {}),
               'mtu_exceeded': ('198.18.2.4', {'flags': 'DF'})}
    for reason, (to, more) in reasons.items():
        big = bytes(700) if reason == 'mtu_exceeded' else b''
        for kind in (3, 5, 11, 12, 4, 42):
            t.lost(f'{reason}: about ICMP type {kind}', 'a',
                   a.frame(IP(src=a.ip, dst=to, **more) / ICMP(type=kind) / Raw(quote + big)), reason)
        t.lost(f'{reason}: about ICMP of which nothing is there', 'a',
               a.frame(IP(src=a.ip, dst=to, proto=1, **more) / Raw(b'' if not big else b'\x03' + big)), reason)
        t.lost(f'{reason}: about a later fragment', 'a', a.udp(to, 'x' * (700 if big else 10), frag=10, **more), reason)
        t.lost(f'{reason}: about a later fragment of which more come', 'a',
               a.udp(to, 'x' * (700 if big else 10), frag=1, **{**more, 'flags': 'MF+DF' if big else 'MF'}), reason)
        for mac in (MANY, '01:00:5e:00:00:05'):
            t.lost(f'{reason}: about a frame to {mac}', 'a', a.udp(to, 'x' * len(big), mac=mac, **more), 'mac_not_ours')
        for source in ('0.0.0.0', '127.0.0.1', '224.0.0.1', '255.255.255.255'):
            t.lost(f'{reason}: about what came from {source}', 'u', u.udp(to, 'x' * len(big), src=source, **more), 'ip_martian')
    for to in ('224.0.0.1', '239.1.1.1', '255.255.255.255'):
        t.lost(f'TTL 1 to {to}', 'a', a.udp(to, ttl=1), 'ip_martian')
    # An uplink's subnet has a broadcast address (section 5.3.5.2): nobody is asked for it.
    for text, packet in (('UDP', a.udp('198.18.9.255')), ('echo', a.frame(IP(src=a.ip, dst='198.18.9.255') / ICMP()))):
        t.lost(f"{text} to the broadcast address of the uplink's subnet", 'a', packet, 'ip_martian')
    t.t.ok(not [n for n in w.daemon.call('neighbour.list', network='n')['neighbours'] if n['address'] == '198.18.9.255'],
           f'and it is no neighbour ({t.label})')
    # What asks is answered, whatever it asks.
    for kind in (8, 13, 0, 14):
        t.error(f'about ICMP type {kind}, which is no error', 'a',
                a.frame(IP(src=a.ip, dst='198.18.1.3', ttl=1) / ICMP(type=kind) / Raw(bytes(12))), 11, 0, 'ttl_expired', GATEWAY)


def codes4(t, w):
    """Packets to the gateway itself: which code, or none (RFC 1122 section 3.2.2, RFC 1812 section 4.3.3.1)."""
    a, u = w.s['a'], w.s['u']
    t.error('a first fragment of UDP', 'a', a.udp(GATEWAY, flags='MF'), 3, 3, 'local_unhandled', GATEWAY)
    t.lost('a later one', 'a', a.udp(GATEWAY, frag=3), 'local_unhandled')
    t.error('UDP to our address on the uplink', 'u', u.udp('198.18.9.1'), 3, 3, 'local_unhandled', '198.18.9.1')
    t.error('the same from a pod', 'a', a.udp('198.18.9.1'), 3, 3, 'local_unhandled', GATEWAY)
    for kind in (3, 4, 5, 9, 10, 11, 12, 13, 15, 17, 200):
        t.lost(f'ICMP type {kind} to the gateway', 'a', a.frame(IP(src=a.ip, dst=GATEWAY) / ICMP(type=kind) / Raw(bytes(28))),
               'local_unhandled')
    t.lost('an echo request by broadcast', 'a', a.frame(IP(src=a.ip, dst='255.255.255.255') / ICMP(), MANY), 'mac_not_ours')
    t.lost("an echo request to the pods' broadcast address", 'a', a.frame(IP(src=a.ip, dst='198.18.1.255') / ICMP(), MANY),
           'mac_not_ours')
    # Source routes (RFC 791): carried along, but not followed when one names us.
    for kind, name in ((LSRR, 'loose'), (SSRR, 'strict')):
        route = IPOption(bytes([kind, 7, 4, 198, 18, 1, 3]))
        t.error(f'a {name} source route by way of us', 'a', a.udp(GATEWAY, options=[route]), 3, 5, 'local_unhandled', GATEWAY)
        t.error(f'a {name} one of an echo request', 'a', a.frame(IP(src=a.ip, dst=GATEWAY, options=[route]) / ICMP()), 3, 5,
                'local_unhandled', GATEWAY)
        done = IPOption(bytes([kind, 7, 8, 198, 18, 1, 3]))
        t.error(f'a {name} one that ends here', 'a', a.udp(GATEWAY, options=[IPOption(b'\x01'), done]), 3, 3,
                'local_unhandled', GATEWAY)
        t.passes(f'a {name} one on its way to somebody else', 'a', a.udp('198.18.1.3', options=[route]), 'b')
    for text, option in (('no length', b'\x83\0'), ('a length of one', b'\x83\1'), ('more than there is', b'\x83\x28\4'),
                         ('cut off', b'\x01\x01\x01\x83'), ('behind the end', b'\0\x83\3\4')):
        # Scapy can neither write nor read it.
        text, out, drops = t.run(f'a source route with {text} is none', 'a', v4.broken(
            a.udp(GATEWAY, options=[IPOption(b'\x01')] * 4), before={20 + n: b for n, b in enumerate(option)}))
        t.t.ok(len(out) == 1 and out[0][1][34:36] == b'\3\3' and drops == {'local_unhandled': 1}, text, f'{out} {drops}')
    text, out, drops = t.run('a recorded route comes back', 'a', a.frame(
        IP(src=a.ip, dst=GATEWAY, options=[IPOption(bytes([RECORD, 7, 4, 0, 0, 0, 0]))]) / ICMP(id=3)))
    t.t.ok(len(out) == 1 and not drops and Ether(out[0][1])[ICMP].type == 0 and Ether(out[0][1])[IP].options, text,
           f'{out} {drops}')
    # In and out by the same link: sent on, and no redirect (docs/architecture.md).
    t.passes('back out of the uplink', 'u', u.udp('192.0.2.9'), 'u', gateway_mac=w.uplink_mac)


def arp(t, w):
    """RFC 826, 1122, 1812 section 3.3.2, 5227: what is said by ARP on an uplink, where nobody is held to anything."""
    u = w.s['u']

    def known(address):
        return [n['mac'] for n in w.daemon.call('neighbour.list', network='n')['neighbours'] if n['address'] == address]

    def says(text, op, sender, mac, target, to=MANY, wanted=()):
        packet = Ether(src=u.mac, dst=to) / ARP(op=op, hwsrc=mac, psrc=sender, hwdst=w.uplink_mac, pdst=target)
        before = known(sender)
        out, drops = w.probe.run(u, packet)
        t.t.ok(not out and drops == {r: 1 for r in wanted} and known(sender) == before, f'{text} ({t.label})',
               f'{out} {drops} {before} {known(sender)}')

    says('nobody gets to be a neighbour by saying so', 2, '198.18.9.50', u.mac, '198.18.9.1', w.uplink_mac)
    says('nor by announcing it', 1, '198.18.9.50', u.mac, '198.18.9.50')
    says('our own address, announced by another', 1, '198.18.9.1', '02:00:00:00:09:66', '198.18.9.1')
    says('and answered by another', 2, '198.18.9.1', '02:00:00:00:09:66', '198.18.9.2', w.uplink_mac)
    says('a configured neighbour stays, whatever is said', 2, '198.18.9.2', '02:00:00:00:09:66', '198.18.9.1', w.uplink_mac)
    says('a group as a MAC', 2, '198.18.9.2', '01:00:5e:00:00:01', '198.18.9.1', w.uplink_mac)
    says('broadcast as a MAC', 1, '198.18.9.2', MANY, '198.18.9.2')
    says('a question for somebody else', 1, '198.18.9.2', u.mac, '198.18.9.77', wanted=('arp_not_for_us',))
    t.passes('and packets go where they went', 'a', w.s['a'].udp('192.0.2.77'), 'u', gateway_mac=w.uplink_mac)


# ---- IPv6 ----

def never6(t, w):
    """RFC 4443 section 2.4 (e), for each reason that an error is sent for."""
    ips = v6.IP
    quote = bytes(IPv6(src=ips['b'], dst=ips['a']) / UDP())
    reasons = {'ttl_expired': (ips['b'], {'hlim': 1}), 'no_route': ('2001:db8:9999::1', {}), 'unreachable': ('2001:db8:dead::5', {}),
               'mtu_exceeded': (ips['c'], {})}
    errors = (ICMPv6DestUnreach(), ICMPv6PacketTooBig(mtu=1280), ICMPv6TimeExceeded(), ICMPv6Unknown(type=4), ICMPv6Unknown(type=5),
              ICMPv6Unknown(type=100), ICMPv6Unknown(type=127))
    for reason, (to, more) in reasons.items():
        big = bytes(1300) if reason == 'mtu_exceeded' else b''
        ip = IPv6(src=ips['a'], dst=to, **more)
        for error in errors:
            t.lost(f'{reason}: about ICMPv6 type {error.type}', 'a', v6.frame(w, 'a', ip / error / Raw(quote + big)), reason)
        t.lost(f'{reason}: about a later fragment', 'a', v6.frame(
            w, 'a', ip / IPv6ExtHdrFragment(offset=10, m=1, id=3, nh=17) / Raw(bytes(64) + big)), reason)
        t.lost(f'{reason}: about a first fragment whose headers go on in the next (RFC 7112)', 'u', v6.frame(
            w, 'u', IPv6(src=ips['u'], dst=to, **more) / IPv6ExtHdrFragment(m=1, id=3, nh=60) / Raw(b'\x3a\xff' + bytes(14) + big)),
            reason)
        t.lost(f'{reason}: about a frame to many', 'a', v6.frame(w, 'a', ip / UDP() / Raw(big), group_mac(ALL_NODES)),
               'mac_not_ours')
        for source in ('::', '::1', 'ff02::5'):
            t.lost(f'{reason}: about what came from {source}', 'u', v6.frame(
                w, 'u', IPv6(src=source, dst=to, **more) / UDP() / Raw(big)), 'ip_martian')
        for asks in (ICMPv6EchoRequest(), ICMPv6EchoReply(), ICMPv6Unknown(type=200)):
            kind, code, address, word = {'ttl_expired': (3, 0, GATEWAY6, 0), 'no_route': (1, 0, GATEWAY6, 0),
                                         'unreachable': (1, 3, GATEWAY6, 0), 'mtu_exceeded': (2, 0, GATEWAY6, 1300)}[reason]
            t.error(f'{reason}: about type {asks.type}, which is no error', 'a', v6.frame(
                w, 'a', ip / asks / Raw(bytes(8) + big)), kind, code, reason, address, word)


def codes6(t, w):
    """Packets to the gateway itself, and to the groups that it is in."""
    ips = v6.IP
    ip = IPv6(src=ips['a'], dst=GATEWAY6)
    for kind in (1, 2, 3, 4, 100, 127, 128 + 72, 255):
        t.lost(f'ICMPv6 type {kind} to the gateway: 2.4 (a), (b)', 'a', v6.frame(
            w, 'a', ip / ICMPv6Unknown(type=kind) / Raw(bytes(48))), 'local_unhandled')
    t.error('UDP to our address on the uplink', 'u', v6.udp(w, 'u', '2001:db8:9::1'), 1, 4, 'local_unhandled', '2001:db8:9::1')
    t.error('the same from a pod', 'a', v6.udp(w, 'a', '2001:db8:9::1'), 1, 4, 'local_unhandled', GATEWAY6)
    t.error('UDP to our link-local address', 'u', v6.udp(w, 'u', w.link_local), 1, 4, 'local_unhandled', '2001:db8:9::1')
    for to in ('fec0::5', 'fd00::5', '64:ff9b::1'):
        t.error(f'{to} is an address like others', 'a', v6.udp(w, 'a', to), 1, 0, 'no_route', GATEWAY6)
    t.error('a link-local source, from the uplink', 'u', v6.udp(w, 'u', ips['a'], src='fe80::66'), 1, 2, 'beyond_scope', w.link_local)
    for to in ('ff01::1', 'ff02::1', 'ff02::5', 'ff05::2', 'ff0e::1'):
        t.lost(f'UDP to {to}', 'a', v6.udp(w, 'a', to, mac=group_mac(to)), 'mac_not_ours')

    def to_group(kind, group=ALL_NODES, header=IPv6ExtHdrDestOpt):
        option = header(options=HBHOptUnknown(otype=kind, optdata=bytes(4)))
        return v6.frame(w, 'a', IPv6(src=ips['a'], dst=group) / option / ICMPv6EchoRequest(id=3, data=b'x'), group_mac(group))

    # 2.4 (e.3): the one error that is sent about what went to many.
    for group in (ALL_NODES, ALL_ROUTERS):
        for header in (IPv6ExtHdrDestOpt, IPv6ExtHdrHopByHop):
            t.error(f'{header.__name__} to {group}: an option that wants an answer from all', 'a',
                    to_group(0x9e, group, header), 4, 2, 'local_unhandled', GATEWAY6, 42)
    t.lost('one that wants an answer from one', 'a', to_group(0xde), 'local_unhandled')
    t.lost('one that wants silence', 'a', to_group(0x5e), 'local_unhandled')
    t.lost('to a group that we are not in', 'a', to_group(0x9e, 'ff02::5'), 'mac_not_ours')
    text, out, drops = t.run('one that may be skipped: echo', 'a', to_group(0x1e))
    packet = Ether(out[0][1]) if out else None
    t.t.ok(len(out) == 1 and not drops and ICMPv6EchoReply in packet and packet[IPv6].src == 'fe80::1' and
           in6_chksum(58, packet[IPv6], out[0][1][54:]) == 0, text, f'{out} {drops}')
    t.lost('UDP to all nodes behind options', 'a', v6.frame(
        w, 'a', IPv6(src=ips['a'], dst=ALL_NODES) / IPv6ExtHdrDestOpt() / UDP(), group_mac(ALL_NODES)), 'local_unhandled')


def discovery6(t, w):
    """RFC 4861 sections 7.1 and 7.2, RFC 4862 section 5.4, RFC 6980: on an uplink."""
    ips, u = v6.IP, w.s['u']
    own = '2001:db8:9::1'
    link = ICMPv6NDOptDstLLAddr(lladdr='02:00:00:00:09:66')

    def known(address):
        return [n['mac'] for n in w.daemon.call('neighbour.list', network='n')['neighbours'] if n['address'] == address]

    t.advertised('detection of our address', 'u', v6.solicitation(w, 'u', own, src='::', option=False), own)
    bad = bytearray(bytes(v6.solicitation(w, 'u', own)))
    bad[55], bad[56], bad[57] = 1, 0, 0
    bad[56:58] = in6_chksum(58, Ether(bytes(bad))[IPv6], bytes(bad[54:])).to_bytes(2, 'big')
    t.lost('a solicitation of code 1', 'u', bytes(bad), 'nd_invalid')
    t.lost('one of length 0 in its payload', 'u', v6.changed(v6.solicitation(w, 'u', own), b5=0), 'nd_invalid')
    t.lost('an advertisement to many that says it was asked for', 'u', v6.frame(
        w, 'u', IPv6(src=ips['u'], dst=ALL_NODES, hlim=255) / ICMPv6ND_NA(tgt=ips['u'], S=1, O=1) / link, group_mac(ALL_NODES)),
        'nd_invalid')
    for text, packet in (
            ('of hop limit 254', IPv6(src=ips['u'], dst=own, hlim=254) / ICMPv6ND_NA(tgt=ips['u'], S=1, O=1) / link),
            ('of a multicast target', IPv6(src=ips['u'], dst=own, hlim=255) / ICMPv6ND_NA(tgt='ff02::1', S=1, O=1) / link),
            ('from no address', IPv6(src='::', dst=own, hlim=255) / ICMPv6ND_NA(tgt=ips['u'], S=1, O=1) / link)):
        t.lost(f'an advertisement {text}', 'u', v6.frame(w, 'u', packet), 'nd_invalid')
    before = known(ips['u'])
    for text, target, mac in (('a configured neighbour stays', ips['u'], '02:00:00:00:09:66'),
                              ('our own address', own, '02:00:00:00:09:66'), ('a stranger', '2001:db8:9::50', '02:00:00:00:09:66'),
                              ('a group as its MAC', '2001:db8:9::50', '33:33:00:00:00:01')):
        t.silent(f'advertised: {text}', 'u', v6.frame(
            w, 'u', IPv6(src=ips['u'], dst=own, hlim=255) / ICMPv6ND_NA(tgt=target, S=1, O=1) / ICMPv6NDOptDstLLAddr(lladdr=mac)))
    t.t.ok((known(ips['u']), known(own), known('2001:db8:9::50')) == (before, [], []), f'and nothing is learned of it ({t.label})')
    # In fragments there is no discovery (RFC 6980).
    question = ICMPv6ND_NS(tgt=own)
    for text, header in (('the only fragment', IPv6ExtHdrFragment(id=3)), ('a first fragment', IPv6ExtHdrFragment(m=1, id=3))):
        t.lost(f'a question in {text}', 'u', v6.frame(w, 'u', IPv6(src=ips['u'], dst=own, hlim=255) / header / question),
               'local_unhandled')
        t.lost(f'to many, in {text}', 'u', v6.frame(
            w, 'u', IPv6(src=ips['u'], dst=solicited(own), hlim=255) / header / question, group_mac(solicited(own))), 'mac_not_ours')
        t.lost(f"a pod's, in {text}", 'a', v6.frame(
            w, 'a', IPv6(src=ips['a'], dst=GATEWAY6, hlim=255) / header / ICMPv6ND_NS(tgt=GATEWAY6)), 'nd_invalid')
    t.passes('and packets go where they went', 'a', v6.udp(w, 'a', '2001:db8:ff::77'), 'u', gateway_mac=w.uplink_mac)
    t.t.equal(GATEWAY_MAC, w.s['a'].gateway_mac, f'by the gateway ({t.label})')
    u.port.flush()


def main():
    t = Tap()
    workers = settings.workers[:2][-1]
    for name, module, parts in (('IPv4', v4, (never4, codes4, arp)), ('IPv6', v6, (never6, codes6, discovery6))):
        with Lab('errors') as lab:
            world = module.World(lab, workers)
            world.link_local = link_local(world.uplink_mac)
            table = module.Table(t, world, f'{name}, {workers} workers')
            for part in parts:
                part(table, world)
            with t.case(f'packets are conserved ({name})'):
                world.probe.conserved()
            with t.case(f'clean end ({name})'):
                world.daemon.stop()
    t.done()


if __name__ == '__main__':
    main()
