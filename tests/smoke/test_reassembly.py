#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
# podrail-test: limit=240 mutants=ttl
"""Networks that put fragments together (RFC 791, 8200, 5722): packet by packet, with the Linux kernel, under a flood."""

import struct

from scapy.layers.inet import IP, UDP, fragment
from scapy.layers.inet6 import IPv6, IPv6ExtHdrFragment, fragment6
from scapy.layers.l2 import Ether
from scapy.packet import Raw
from scapy.utils import checksum

from lib import Lab, ProcessError, RawPort, Tap, assert_conserved, settings, wait_for
from routed_world import Probe, RawPods, Station, give_way

NETWORK = {'name': 'n', 'mode': 'routed', 'reassemble': True, 'subnets': ['198.18.1.0/24', '2001:db8:1::/64']}
PODS = {
    'a': {'network': 'n', 'addresses': ['198.18.1.2/24', '2001:db8:1::2/64'], 'mac': '02:00:00:00:01:02'},
    'b': {'network': 'n', 'addresses': ['198.18.1.3/24', '2001:db8:1::3/64'], 'mac': '02:00:00:00:01:03'},
    'c': {'network': 'n', 'addresses': ['198.18.1.4/24', '2001:db8:1::4/64'], 'mac': '02:00:00:00:01:04', 'mtu': 1280},
}
PAYLOAD = bytes(range(1, 251)) * 16  # 4000


class World:
    """Raw pods a, b and c (MTU 1280); p and q (MTU 1280) are kernels, and so is host, on the uplink's wire."""

    def __init__(self, lab, workers):
        self.lab = lab
        d = self.daemon = lab.daemon(workers=workers, networks=[NETWORK])
        self.pods = RawPods(lab, d, PODS)
        self.s = {name: Station(self.pods.ports[name], PODS[name]['mac'], PODS[name]['addresses'][0].split('/')[0])
                  for name in PODS}
        for station in self.s.values():
            station.gateway = '198.18.1.1'
        self.probe = Probe(d, self.s)
        self.host = lab.netns('host')
        lab.ns.veth('up0', self.host, 'eth0')
        d.call('port.add', name='u', kind='eth', network='n', device='net_af_packet0,iface=up0',
               addresses=['198.18.9.1/24', '2001:db8:9::1/64'])
        self.enable6(self.host, '2001:db8:9::2/64', '2001:db8:9::1')
        self.host.ip('addr', 'add', '198.18.9.2/24', 'dev', 'eth0')
        d.wait_port('u')
        self.p, self.q = self.kernel('p', 5, 1500), self.kernel('q', 6, 1280)

    def kernel(self, name, host, mtu):
        addresses = [f'198.18.1.{host}/24', f'2001:db8:1::{host}/64']
        port = self.daemon.call('port.add', name=name, kind='vhost-user', network='n', addresses=addresses,
                                socket=self.lab.socket_path(name), mtu=mtu)['port']
        pod = self.lab.kernel_pod(name, self.lab.socket_path(name), mac=port['mac'], mtu=mtu, address=addresses[0],
                                  gateway='198.18.1.1')
        give_way(pod.testpmd.process.pid)
        self.daemon.wait_port(name)
        self.enable6(pod.ns, addresses[1], 'fe80::1')
        return pod.ns

    @staticmethod
    def enable6(ns, address, gateway):
        for key in ('all', 'default', 'eth0'):
            ns.sysctl(f'net.ipv6.conf.{key}.disable_ipv6', 0)
        ns.ip('addr', 'add', address, 'dev', 'eth0', 'nodad')
        ns.ip('route', 'add', 'default', 'via', gateway, 'dev', 'eth0')

    def stats(self):
        return self.daemon.call('stats.get')

    def run(self, *frames):
        """What kernels say of their own accord is not looked at."""
        out, drops = self.probe.run(self.s['a'], *(bytes(f) for f in frames))
        return out, {reason: n for reason, n in drops.items() if not reason.startswith('nd_')}


def parts4(w, to='b', size=1000, **more):
    a = w.s['a']
    return [a.frame(f) for f in fragment(IP(src=a.ip, dst=w.s[to].ip, id=more.pop('id', 77), **more) /
                                         UDP(sport=4000, dport=5000) / Raw(PAYLOAD), size)]


def parts6(w, to='b', size=1040, identification=78):
    host = {'b': 3, 'c': 4}[to]
    packet = IPv6(src='2001:db8:1::2', dst=f'2001:db8:1::{host}') / IPv6ExtHdrFragment() / \
        UDP(sport=4000, dport=5000) / Raw(PAYLOAD)
    frames = [w.s['a'].frame(f) for f in fragment6(packet, size)]
    for f in frames:
        f[IPv6ExtHdrFragment].id = identification
    return frames


def whole(out, to):
    """Puts together what reached `to`; every piece must be sound. Returns the datagram and the pieces' sizes."""
    data, end, sizes = {}, None, []
    for name, frame in out:
        assert name == to, out
        if frame[12:14] == b'\x08\0':
            header, length = (frame[14] & 15) * 4, struct.unpack('!H', frame[16:18])[0]
            bits = struct.unpack('!H', frame[20:22])[0]
            assert checksum(frame[14:14 + header]) == 0 and frame[22] == 63, frame.hex()
            at, more = (bits & 0x1fff) * 8, bits & 0x2000
        else:
            header, length = 48, 40 + struct.unpack('!H', frame[18:20])[0]
            bits = struct.unpack('!H', frame[56:58])[0]
            assert frame[20] == 44 and frame[21] == 63 and struct.unpack('!I', frame[58:62])[0] == 78, frame.hex()
            at, more = bits & 0xfff8, bits & 1
        sizes.append(length)
        data[at] = frame[14 + header:14 + length]
        if not more:
            end = at + length - header
    joined = b''.join(data[at] for at in sorted(data))
    assert len(joined) == end, f'{len(joined)} of {end} bytes'
    return joined, sizes


def becomes_whole(w):
    """In any order, whatever the worker; cut again no larger than it came."""
    for parts in (parts4, parts6):
        for to in ('b', 'c'):
            for order in (slice(None), slice(None, None, -1)):
                frames = parts(w, to)
                before = w.stats()['conservation']['merged']
                out, drops = w.run(*frames[order])
                got, sizes = whole(out, to)
                assert got[8:] == PAYLOAD and not drops, f'{len(got)} bytes, {drops}'
                assert max(sizes) <= 1048 and len(sizes) == len(frames), sizes
                assert w.stats()['conservation']['merged'] - before == len(frames) - 1
    # IPv4 that fits is one packet.
    a = w.s['a']
    out, drops = w.run(*(a.frame(f) for f in fragment(
        IP(src=a.ip, dst=w.s['b'].ip, id=5) / UDP() / Raw(PAYLOAD[:1000]), 400)))
    assert [len(f) for _, f in out] == [1042] and not drops, out
    assert out[0][1][20:22] == b'\0\0' and out[0][1][42:] == PAYLOAD[:1000]


def keeps_dont_fragment(w):
    frames = parts4(w, 'b')
    for f in frames:
        f[IP].flags |= 2
        del f[IP].chksum
    out, drops = w.run(*frames)
    got, sizes = whole(out, 'b')
    assert got[8:] == PAYLOAD and max(sizes) <= 1020 and not drops, drops
    assert all(f[20] & 0x40 for _, f in out), 'DF was lost'


def sender_is_told(w):
    """A fragment larger than what is ahead: the error quotes the first one, as it was sent."""
    frames = [Ether(bytes(f)) for f in parts6(w, 'c', size=1480)]
    out, drops = w.run(*frames)
    assert len(out) == 1 and out[0][0] == 'a' and drops == {'mtu_exceeded': 1}, f'{out} {drops}'
    error = out[0][1]
    assert (error[54], struct.unpack('!I', error[58:62])[0]) == (2, 1280), error[54:62].hex()
    assert error[62:] == bytes(frames[0])[14:14 + len(error) - 62], 'the quote is not what was sent'


def refused(w):
    frames = parts4(w)
    for extra, wanted in (
            ([frames[0], frames[0]], {'fragment_duplicate': 1}),
            ([parts4(w, size=992)[1]], {'fragment_overlap': 2}),
            (frames[1:], {'fragment_overlap': len(frames) - 1})):
        out, drops = w.run(*extra)
        assert not out and drops == wanted, f'{out} {drops}, not {wanted}'
    a = w.s['a']
    for text, packet in (
            ('empty', IP(flags='MF', id=9) / b''),
            ('not a multiple of 8', IP(flags='MF', id=9) / UDP() / (b'x' * 5)),
            ('ping of death', IP(frag=8191, id=9) / (b'x' * 100)),
            ('TCP header cut', IP(flags='MF', id=9, proto=6) / (b'x' * 16)),
            ('within a TCP header', IP(frag=1, id=9, proto=6) / (b'x' * 32)),
            ('IPv6, second fragment header', IPv6() / IPv6ExtHdrFragment(m=1, id=3) / IPv6ExtHdrFragment(id=4) / UDP()),
            ('IPv6, no header of the transport', IPv6() / IPv6ExtHdrFragment(m=1, id=3, nh=6) / (b'x' * 16))):
        packet.src, packet.dst = (a.ip, w.s['b'].ip) if IP in packet else ('2001:db8:1::2', '2001:db8:1::3')
        out, drops = w.run(a.frame(packet))
        assert not out and drops == {'fragment_invalid': 1}, f'{text}: {out} {drops}'


def time_is_over(w):
    """5 s after the first one; no error tells of it."""
    before = w.stats()['drops'].get('reassembly_timeout', 0)
    held = w.stats()['conservation']['held']
    w.run(*parts4(w, id=1000)[1:])
    assert w.stats()['conservation']['held'] > held
    wait_for('all fragments to go', lambda: w.stats()['conservation']['held'] == 0, 30)
    assert w.stats()['drops'].get('reassembly_timeout', 0) >= before + 4
    assert w.stats()['tables']['reassemblies']['used'] == 0


def answered(ns, target, size):
    got = ns.ping(target, count=3, interval=0.05, size=size, extra=('-w', '30'))
    assert got >= 3, f'{ns.name} to {target}, {size} bytes: {got} of 3 answered'


def kernels(w):
    """Pings of 20000 bytes both ways: the sender's fragments of 1500 must become such of 1280."""
    before = w.stats()['conservation']['merged']
    # The first one is too big for the way to q, and p is told.
    assert w.p.ping('2001:db8:1::6', count=1, size=20000, timeout=5) == 0
    assert 'mtu 1280' in w.p.ip('-6', 'route', 'get', '2001:db8:1::6')
    for ns, host in ((w.p, 6), (w.q, 5)):
        answered(ns, f'198.18.1.{host}', 20000)
        answered(ns, f'2001:db8:1::{host}', 20000)
        answered(ns, '198.18.1.1', 4000)
        answered(ns, '2001:db8:1::1', 4000)
    assert w.stats()['conservation']['merged'] - before >= 12 * 14


def uplink(w):
    """
    The first datagram waits for its neighbour, whole; NICs get contiguous frames. Only IPv6 comes back:
    AF_PACKET puts IPv4 together by itself, to what no MTU allows.
    """
    answered(w.p, '2001:db8:9::2', 8000)
    a, peer = w.s['a'], RawPort(w.host, 'eth0')
    for n, size in enumerate((1000, 4000)):
        for f in fragment(IP(src=a.ip, dst='198.18.9.2', id=40 + n) / UDP() / Raw(PAYLOAD[:size]), 400):
            a.send(a.frame(f))
        frame = peer.recv(lambda f: f[12:14] == b'\x08\0' and f[18:20] == bytes([0, 40 + n]), 10)
        assert frame, f'{size} bytes did not come'
        # What fits is whole; the rest as it came.
        assert len(frame) == (42 + size if n == 0 else 434), len(frame)
        assert n or frame[42:] == PAYLOAD[:size]
    peer.close()


def flood(w):
    """A pod that fills what it may have: its own oldest go, others' pings pass."""
    a = w.s['a']
    frame = bytearray(bytes(a.frame(IP(src=a.ip, dst=w.s['b'].ip, flags='MF', id=0) / UDP() / Raw(b'x' * 64))))

    def burst(first):
        for n in range(first, first + 400):
            frame[18:20] = struct.pack('!H', n)
            frame[24:26] = b'\0\0'
            frame[24:26] = struct.pack('!H', checksum(bytes(frame[14:34])))
            a.send(bytes(frame))

    before = w.stats()['drops'].get('reassembly_limit', 0)
    for n in range(4):
        burst(1 + 400 * n)
        answered(w.p, '198.18.1.6', 20000)
        answered(w.p, '2001:db8:1::6', 20000)
    wait_for('the flood to meet its limit', lambda: w.stats()['drops'].get('reassembly_limit', 0) > before, 20)
    assert w.stats()['tables']['reassemblies']['used'] <= 512, w.stats()['tables']


def removal(w):
    """What waits goes with its port."""
    w.run(*parts4(w, id=2000)[1:])
    assert w.stats()['conservation']['held'] >= 4
    w.daemon.call('port.del', name='a')
    assert w.stats()['conservation']['held'] == 0 and w.stats()['tables']['reassemblies']['used'] == 0
    assert w.stats()['drops'].get('port_not_ready', 0) >= 4, w.stats()['drops']


def main():
    t = Tap()
    for workers in settings.workers:
        with Lab('reassembly') as lab:
            try:
                w = World(lab, workers)
            except ProcessError as e:
                t.bail(e)
            for part in (becomes_whole, keeps_dont_fragment, sender_is_told, refused, time_is_over, kernels, uplink,
                         flood, removal):
                with t.case(f'{part.__name__}, {workers} workers'):
                    part(w)
            with t.case(f'packets are conserved, {workers} workers'), w.daemon.client() as c:
                stats = assert_conserved(c)
                assert stats['conservation']['held'] == 0, stats['conservation']
                t.note(f'{stats["conservation"]}, drops: {stats["drops"]}')
            with t.case(f'clean end, {workers} workers'):
                w.daemon.stop()
    t.done()


if __name__ == '__main__':
    main()
