#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
# podrail-test: limit=180 mutants=ttl,swap
"""What a router owes its neighbours, packet by packet: RFC 1812 sections 4.2, 4.3, 5.2 and 5.3."""

import struct

from scapy.layers.inet import ICMP, IP, TCP, UDP, IPOption, fragment
from scapy.layers.inet6 import IPv6
from scapy.layers.l2 import Ether
from scapy.packet import Raw
from scapy.utils import checksum

from lib import Lab, RawPort, Tap, settings
from routed_world import GATEWAY_MAC, Probe, RawPods, Station, forwarded

NETWORK = {'name': 'n', 'mode': 'routed', 'subnets': ['198.18.1.0/24', '198.18.2.0/24']}
PODS = {
    'a': {'network': 'n', 'addresses': ['198.18.1.2/24'], 'mac': '02:00:00:00:01:02',
          'allowedPrefixes': ['0.0.0.0/0']},
    'b': {'network': 'n', 'addresses': ['198.18.1.3/24'], 'mac': '02:00:00:00:01:03'},
    'c': {'network': 'n', 'addresses': ['198.18.2.4/24'], 'mac': '02:00:00:00:01:04', 'mtu': 576},
}
UPLINK_PEER = '02:00:00:00:09:02'


class World:
    def __init__(self, lab, workers):
        self.daemon = lab.daemon(workers=workers, networks=[NETWORK])
        self.pods = RawPods(lab, self.daemon, PODS)
        lab.ns.veth('up0', self.pods.ns, 'peer0')
        up = self.daemon.call('port.add', name='u', kind='eth', network='n',
                              device='net_af_packet0,iface=up0', addresses=['198.18.9.1/24'])['port']
        for prefix, more in {
                '203.0.113.0/25': {'type': 'unreachable'}, '203.0.113.128/25': {'type': 'blackhole'},
                '192.0.2.0/24': {'gateway': '198.18.9.2'}, '198.51.100.0/24': {'gateway': '198.18.2.4'},
                }.items():
            self.daemon.call('route.add', network='n', prefix=prefix, **more)
        self.daemon.call('neighbour.add', network='n', port='u', address='198.18.9.2', mac=UPLINK_PEER)
        self.daemon.wait_port('u')
        self.s = {name: Station(self.pods.ports[name], PODS[name]['mac'],
                                PODS[name]['addresses'][0].split('/')[0]) for name in PODS}
        self.s['u'] = Station(RawPort(self.pods.ns, 'peer0'), UPLINK_PEER, '198.18.9.2', up['mac'])
        self.s['a'].gateway = self.s['b'].gateway = '198.18.1.1'
        self.s['c'].gateway = '198.18.2.1'
        self.s['u'].gateway = '198.18.9.1'
        self.uplink_mac = up['mac']
        self.probe = Probe(self.daemon, self.s)


def broken(packet, **fields):
    """Bytes of a frame in which header fields were changed after the checksum, or before it."""
    data = bytearray(bytes(packet))
    for at, value in fields.get('before', {}).items():
        data[14 + at] = value
    if fields.get('before'):
        header = (data[14] & 15) * 4
        data[24:26] = b'\0\0'
        data[24:26] = struct.pack('!H', checksum(bytes(data[14:14 + header])))
    for at, value in fields.get('after', {}).items():
        data[14 + at] = value
    return bytes(data)


def check_error(frame, station, about, kind, code, source, mtu=0):
    """Every field of an ICMP error; `about` is the frame as it was sent."""
    packet = Ether(frame)
    ip, icmp = packet[IP], packet[ICMP]
    assert (packet.src, packet.dst) == (station.gateway_mac, station.mac), packet.summary()
    assert (ip.src, ip.dst) == (source, station.ip), f'{ip.src} > {ip.dst}'
    assert ip.tos == 0xc0, f'precedence {ip.tos:#x} is not internetwork control'
    assert ip.ttl == 64 and ip.ihl == 5 and ip.frag == 0, ip.summary()
    assert checksum(frame[14:34]) == 0, 'the IP checksum is wrong'
    assert checksum(frame[34:14 + ip.len]) == 0, 'the ICMP checksum is wrong'
    assert (icmp.type, icmp.code) == (kind, code), f'{icmp.type}/{icmp.code}'
    assert frame[38:40] == b'\0\0', 'the unused word is not zero'
    assert struct.unpack('!H', frame[40:42])[0] == mtu, f'MTU {frame[40:42].hex()}'
    length = struct.unpack('!H', about[16:18])[0]
    quote = frame[42:14 + ip.len]
    assert len(quote) == min(length, 576 - 28), f'{len(quote)} bytes of {length} are quoted'
    assert quote == about[14:14 + len(quote)], 'the quote is not what was sent'


def check_fragments(sent, frames, station, mtu):
    """RFC 791, section 3.2: what the receiver puts together is what was sent."""
    payload, at = b'', sent.frag * 8
    for frame in frames:
        ip = frame[IP]
        last = frame is frames[-1]
        raw = bytes(ip)[:ip.ihl * 4]
        assert (frame.src, frame.dst) == (GATEWAY_MAC, station.mac), frame.summary()
        assert ip.len <= mtu and ip.ttl == sent.ttl - 1 and ip.id == sent.id, ip.show(dump=True)
        assert checksum(raw) == 0, 'the IP checksum is wrong'
        assert ip.frag * 8 == at, f'offset {ip.frag * 8}, not {at}'
        assert ip.flags.MF == (sent.flags.MF if last else True) and not ip.flags.DF, ip.summary()
        wanted = [o for o in sent.options if frame is frames[0] or o.copy_flag]
        assert [bytes(o) for o in ip.options if bytes(o) != b'\0'] == [bytes(o) for o in wanted if bytes(o) != b'\0'], ip.options
        part = bytes(ip)[ip.ihl * 4:ip.len]
        assert last or len(part) % 8 == 0
        payload += part
        at += len(part)
    assert payload == bytes(sent)[sent.ihl * 4:sent.len], 'the payload is another'


class Table:
    """Rows: sent by whom, what, and then one of lost(reason), passes(to), error(...)."""

    def __init__(self, t, world, label):
        self.t, self.w, self.label = t, world, label

    def run(self, text, source, frame):
        out, drops = self.w.probe.run(self.w.s[source], frame)
        return f'{text} ({self.label})', out, drops

    def lost(self, text, source, frame, reason):
        text, out, drops = self.run(text, source, frame)
        self.t.ok(not out and drops == {reason: 1}, f'{text}: {reason}', f'{out} {drops}')

    def passes(self, text, source, frame, to, wanted=None, gateway_mac=GATEWAY_MAC):
        text, out, drops = self.run(text, source, frame)
        if wanted is None:
            wanted = forwarded(Ether(bytes(frame)), self.w.s[to], gateway_mac)
        self.t.ok(out == [(to, wanted)] and not drops, f'{text}: reaches {to}',
                  f'wanted {wanted.hex()}\ngot {[(n, f.hex()) for n, f in out]} {drops}')

    def fragments(self, text, source, frame, to, mtu):
        text, out, drops = self.run(text, source, frame)
        sent = Ether(bytes(frame))[IP]
        try:
            assert len(out) > 1 and not drops and all(name == to for name, _ in out), f'{out} {drops}'
            check_fragments(sent, [Ether(f) for _, f in out], self.w.s[to], mtu)
        except AssertionError as e:
            self.t.ok(False, f'{text}: fragments', str(e))
        else:
            self.t.ok(True, f'{text}: {len(out)} fragments reach {to}')

    def error(self, text, source, frame, kind, code, reason, address, mtu=0):
        text, out, drops = self.run(text, source, frame)
        text = f'{text}: {kind}/{code} from {address}'
        if not (len(out) == 1 and out[0][0] == source and drops == {reason: 1}):
            self.t.ok(False, text, f'{[(n, f.hex()) for n, f in out]} {drops}')
            return
        try:
            check_error(out[0][1], self.w.s[source], bytes(frame), kind, code, address, mtu)
        except (AssertionError, IndexError) as e:
            self.t.ok(False, text, f'{e}\n{Ether(out[0][1]).show(dump=True)}')
        else:
            self.t.ok(True, text)


def headers(t, w):
    a = w.s['a']
    good = a.udp('198.18.1.3')
    t.passes('a sound packet', 'a', good, 'b')
    t.lost('checksum off by one', 'a', broken(good, after={10: bytes(good)[24] ^ 1}), 'ip_checksum')
    t.lost('checksum zero', 'a', broken(good, after={10: 0, 11: 0}), 'ip_checksum')
    t.lost('version 5', 'a', broken(good, before={0: 0x55}), 'ip_header')
    t.lost('version 6 in an IPv4 frame', 'a', broken(good, before={0: 0x65}), 'ip_header')
    t.lost('header of 16 bytes', 'a', broken(good, before={0: 0x44}), 'ip_header')
    t.lost('header of 0 bytes', 'a', broken(good, before={0: 0x40}), 'ip_header')
    t.lost('header longer than the frame', 'a', broken(a.udp('198.18.1.3', ''), after={0: 0x4f}),
           'ip_header')
    t.lost('header longer than the frame, total length not', 'a',
           broken(a.udp('198.18.1.3', ''), after={0: 0x4f, 3: 80}), 'too_short')
    t.lost('total length below the header', 'a', broken(good, before={3: 19}), 'ip_header')
    t.lost('total length beyond the frame', 'a', broken(good, before={3: bytes(good)[17] + 1}), 'too_short')
    t.lost('total length 65535', 'a', broken(good, before={2: 255, 3: 255}), 'too_short')
    t.lost('frame cut in its IP header', 'a', bytes(good)[:33], 'too_short')
    t.passes('a bare IP header', 'a', a.frame(IP(dst='198.18.1.3', ttl=9, proto=253)), 'b')
    whole = bytes(good)
    t.passes('padding behind the packet', 'a', whole + b'\xaa' * 18, 'b',
             forwarded(Ether(whole), w.s['b']))
    options = a.udp('198.18.1.3', options=[IPOption(b'\x07\x0b\x04' + bytes(8)), IPOption(b'\x01')])
    t.passes('options are carried along', 'a', options, 'b')
    full = a.udp('198.18.1.3', options=[IPOption(b'\x01')] * 40)
    t.passes('40 bytes of options', 'a', full, 'b')
    t.lost('options under a wrong checksum', 'a', broken(full, after={30: 0}), 'ip_checksum')
    t.passes('every other field stays', 'a', a.udp('198.18.1.3', tos=0xb8, id=0xbeef, flags='DF'), 'b')
    t.passes('TTL 255', 'a', a.udp('198.18.1.3', ttl=255), 'b')
    t.passes('TTL 2 leaves with 1', 'a', a.udp('198.18.1.3', ttl=2), 'b')
    t.passes('a last fragment', 'a', a.udp('198.18.1.3', frag=100), 'b')
    # The checksum's ends: 0xffff and 0 are the same sum, and RFC 1624 tells them apart.
    for low in (0, 1, 0xfe, 0xff):
        packet = a.udp('198.18.1.3', id=0)
        base = Ether(bytes(packet))[IP].chksum
        packet[IP].id = (base - (low << 8) - (base & 0xff)) & 0xffff
        t.passes(f'checksum {Ether(bytes(packet))[IP].chksum:04x}', 'a', packet, 'b')


def addresses(t, w):
    a, u = w.s['a'], w.s['u']
    for source in ('0.0.0.0', '0.1.2.3', '127.0.0.1', '127.255.255.255', '224.0.0.1', '239.1.1.1',
                   '240.0.0.1', '255.255.255.255'):
        t.lost(f'source {source}', 'a', a.udp('198.18.1.3', src=source), 'ip_martian')
    for to in ('0.0.0.0', '127.0.0.1', '224.0.0.5', '239.255.0.1', '255.255.255.255', '240.1.1.1'):
        t.lost(f'destination {to}', 'a', a.udp(to), 'ip_martian')
    t.lost('an uplink is not spared', 'u', u.udp('198.18.1.3', src='127.0.0.1'), 'ip_martian')
    t.lost("source that is not the pod's", 'b', w.s['b'].udp('198.18.1.2', src='198.18.1.9'), 'spoofed_ip')
    t.lost("a MAC that is not the pod's", 'b', Ether(src=a.mac, dst=GATEWAY_MAC) / w.s['b'].udp('198.18.1.2')[IP],
           'spoofed_mac')
    t.lost('not to our MAC', 'a', a.udp('198.18.1.3', mac='02:00:00:00:01:03'), 'mac_not_ours')
    t.lost('an IP packet by broadcast', 'a', a.udp('198.18.1.3', mac='ff:ff:ff:ff:ff:ff'), 'mac_not_ours')
    t.lost('an IP packet by multicast', 'a', a.udp('198.18.1.3', mac='01:00:5e:00:00:05'), 'mac_not_ours')
    t.lost("the uplink's MAC is not a gateway for pods", 'a', a.udp('198.18.1.3', mac=w.uplink_mac),
           'mac_not_ours')
    t.lost("nor the pods' gateway one on an uplink", 'u', u.udp('198.18.1.3', mac=GATEWAY_MAC), 'mac_not_ours')
    t.lost('source MAC is a group', 'a', Ether(src='03:00:00:00:00:01', dst=GATEWAY_MAC) / a.udp('198.18.1.3')[IP],
           'bad_source_mac')
    t.lost('IPv6 from a pod without such an address', 'a', a.frame(IPv6(src='2001:db8::9', dst='2001:db8::1') / UDP()),
           'spoofed_ip')
    t.lost('neither IP nor ARP', 'a', Ether(src=a.mac, dst=GATEWAY_MAC, type=0x88b5) / Raw(bytes(50)), 'not_ip')
    t.lost('a tag where none belongs', 'a', bytes(a.udp('198.18.1.3'))[:12] + b'\x81\0\0\x07' +
           bytes(a.udp('198.18.1.3'))[12:], 'vlan_not_member')
    t.passes('out by the uplink', 'a', a.udp('192.0.2.77'), 'u', gateway_mac=w.uplink_mac)
    t.passes('in by the uplink', 'u', u.udp('198.18.1.2', src='192.0.2.77'), 'a')


def ttl(t, w):
    a, u = w.s['a'], w.s['u']
    for value in (1, 0):
        t.error(f'TTL {value}', 'a', a.udp('198.18.1.3', ttl=value), 11, 0, 'ttl_expired', '198.18.1.1')
    t.error('TTL 1 with a long payload', 'a', a.udp('198.18.1.3', 'x' * 1400, ttl=1), 11, 0, 'ttl_expired',
            '198.18.1.1')
    t.error('TTL 1 with options', 'a', a.udp('198.18.1.3', ttl=1, options=[IPOption(b'\x01')] * 8), 11, 0,
            'ttl_expired', '198.18.1.1')
    t.error('TTL 1 in the other subnet', 'c', w.s['c'].udp('198.18.1.3', ttl=1), 11, 0, 'ttl_expired', '198.18.2.1')
    t.error('TTL 1 from the uplink', 'u', u.udp('198.18.1.3', ttl=1), 11, 0, 'ttl_expired', '198.18.9.1')
    t.error('TTL 1 of a first fragment', 'a', a.udp('198.18.1.3', ttl=1, flags='MF'), 11, 0, 'ttl_expired',
            '198.18.1.1')
    t.error('TTL 1 of TCP', 'a', a.frame(IP(src=a.ip, dst='198.18.1.3', ttl=1) / TCP(dport=80, flags='S')), 11, 0,
            'ttl_expired', '198.18.1.1')
    t.error('TTL 1 of an echo request', 'a', a.frame(IP(src=a.ip, dst='198.18.1.3', ttl=1) / ICMP(id=1)), 11, 0,
            'ttl_expired', '198.18.1.1')
    t.lost('TTL 1 of a later fragment: no error', 'a', a.udp('198.18.1.3', ttl=1, frag=10), 'ttl_expired')
    for kind in (3, 4, 5, 11, 12):
        quote = bytes(IP(src='198.18.1.3', dst=a.ip) / UDP())
        t.lost(f'no error about ICMP type {kind}', 'a',
               a.frame(IP(src=a.ip, dst='198.18.1.3', ttl=1) / ICMP(type=kind) / Raw(quote)), 'ttl_expired')
    t.passes('an ICMP error is carried like any packet', 'a',
             a.frame(IP(src=a.ip, dst='198.18.1.3') / ICMP(type=3, code=1) / Raw(quote)), 'b')
    # RFC 1812 5.3.1: what is for ourselves is not judged by its TTL.
    for value in (1, 0):
        text, out, drops = t.run(f'TTL {value} to the gateway itself is answered', 'a', a.frame(
            IP(src=a.ip, dst='198.18.1.1', ttl=value) / ICMP(id=3, seq=4) / Raw(b'hello')))
        reply = Ether(out[0][1]) if out else None
        t.t.ok(len(out) == 1 and not drops and reply[ICMP].type == 0 and reply[IP].ttl == 64 and
               reply[ICMP].id == 3 and reply[ICMP].seq == 4 and bytes(reply[Raw]) == b'hello' and
               checksum(out[0][1][14:34]) == 0 and checksum(out[0][1][34:]) == 0 and
               (reply[IP].src, reply[IP].dst) == ('198.18.1.1', a.ip), text, f'{out} {drops}')


def unreachable(t, w):
    a = w.s['a']
    t.error('no route', 'a', a.udp('100.64.0.1'), 3, 0, 'no_route', '198.18.1.1')
    t.error('no route, from the uplink', 'u', w.s['u'].udp('100.64.0.1'), 3, 0, 'no_route', '198.18.9.1')
    t.error('a route of type unreachable', 'a', a.udp('203.0.113.5'), 3, 1, 'unreachable', '198.18.1.1')
    t.error('nobody has that address of the subnet', 'a', a.udp('198.18.1.99'), 3, 1, 'unreachable', '198.18.1.1')
    t.lost('blackhole', 'a', a.udp('203.0.113.200'), 'blackhole')
    t.error('UDP to the gateway', 'a', a.udp('198.18.1.1'), 3, 3, 'local_unhandled', '198.18.1.1')
    t.error('an unknown protocol to the gateway', 'a', a.frame(IP(src=a.ip, dst='198.18.1.1', proto=253) / b'abcd'),
            3, 2, 'local_unhandled', '198.18.1.1')
    t.lost('no error about an error to nowhere', 'a', a.frame(IP(src=a.ip, dst='100.64.0.1') / ICMP(type=3) / bytes(28)),
           'no_route')
    t.lost('an echo reply to the gateway', 'a', a.frame(IP(src=a.ip, dst='198.18.1.1') / ICMP(type=0)),
           'local_unhandled')
    big = a.udp('198.18.2.4', 'x' * 600, flags='DF')
    t.error('larger than the MTU, DF', 'a', big, 3, 4, 'mtu_exceeded', '198.18.1.1', mtu=576)
    t.error('behind a router pod', 'a', a.udp('198.51.100.9', 'x' * 549, flags='DF'), 3, 4, 'mtu_exceeded',
            '198.18.1.1', mtu=576)
    t.passes('exactly the MTU', 'a', a.udp('198.18.2.4', 'x' * 548, flags='DF'), 'c')
    t.fragments('one byte more than the MTU', 'a', a.udp('198.18.2.4', 'x' * 549), 'c', 576)
    t.fragments('twice the MTU', 'a', a.udp('198.18.2.4', ''.join(map(chr, range(33, 127))) * 13), 'c', 576)
    t.fragments('with options of both kinds', 'a', a.udp('198.18.2.4', 'z' * 1300, options=[
        IPOption(b'\x07\x0b\x04' + bytes(8)), IPOption(b'\x83\x07\x04\xc6\x12\x02\x04'), IPOption(b'\x01')]), 'c', 576)
    first, second, *_ = fragment(a.udp('198.18.2.4', 'w' * 1400)[IP], 1200)
    t.fragments('a first fragment is cut again', 'a', a.frame(first), 'c', 576)
    t.passes('and the last one as it is', 'a', a.frame(second), 'c')
    t.error('TTL 1 comes before the size', 'a', a.udp('198.18.2.4', 'x' * 600, ttl=1), 11, 0, 'ttl_expired', '198.18.1.1')
    for piece in fragment(a.udp('198.18.2.4', 'y' * 1000)[IP], 512):
        t.passes(f'a fragment at {piece.frag * 8}', 'a', a.frame(piece), 'c')


def limits(t, w):
    a = w.s['a']
    frames = [bytes(a.udp('198.18.1.3', ttl=1, id=n)) for n in range(800)]
    out, drops = w.probe.run(a, *frames)
    told, silent = drops.get('ttl_expired', 0), drops.get('icmp_limit', 0)
    errors = [f for name, f in out if name == 'a' and f[34:36] == b'\x0b\0']
    t.t.ok(told + silent == 800 and len(errors) == told == len(out), f'{told} of 800 errors are sent, each '
           f'packet has one reason ({t.label})', f'{len(out)} frames, {drops}')
    # 100 at once and 1,000 a second: a slow machine may take its time over 800 packets.
    t.t.ok(told >= 100 and silent > 0, f'the rate of errors is limited ({t.label})', str(drops))
    t.t.ok([struct.unpack('!H', f[46:48])[0] for f in errors] ==
           sorted(struct.unpack('!H', f[46:48])[0] for f in errors), f'and they are in order ({t.label})')
    t.passes('while other packets pass', 'a', a.udp('198.18.1.3'), 'b')


def main():
    t = Tap()
    for workers in settings.workers:
        with Lab('rfc1812') as lab:
            world = World(lab, workers)
            table = Table(t, world, f'{workers} workers')
            for part in (headers, addresses, ttl, unreachable, limits):
                part(table, world)
            with t.case(f'packets are conserved ({workers} workers)'):
                world.probe.conserved()
            with t.case(f'clean end ({workers} workers)'):
                world.daemon.stop()
    t.done()


if __name__ == '__main__':
    main()
