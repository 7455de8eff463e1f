#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
# podrail-test: limit=240
"""Routes with several next hops, kernels: flows spread, and stay, but for those of a router that is gone."""

import struct
import time

from scapy.layers.inet import IP, UDP
from scapy.layers.inet6 import IPv6
from scapy.packet import Raw

from lib import Lab, RawPort, RpcError, Tap, assert_conserved, settings, wait_for
from routed_world import RawPods, Station, is_ip

ROUTERS = (1, 2, 3, 4)
FLOWS = 192
PODS = {'a': {'network': 'n', 'addresses': ['198.18.1.2/24', '2001:db8:1::2/64'], 'mac': '02:00:00:00:01:02'}}
NETWORK = {'name': 'n', 'mode': 'routed', 'subnets': ['198.18.1.0/24', '2001:db8:1::/64']}
# A silent router has left after 0.8 s at most; what CPUs that are shared add to that is not ours.
LEAVES = 3 if settings.flavour == 'asan' else 1.5


class Family:
    def __init__(self, v6):
        self.v6 = v6
        self.name = 'IPv6' if v6 else 'IPv4'
        self.target = '2001:db8:ff::7' if v6 else '192.0.2.7'
        self.prefix = '2001:db8:ff::/64' if v6 else '192.0.2.0/24'
        self.source = '2001:db8:1::2' if v6 else '198.18.1.2'
        self.port_at = 54 if v6 else 34

    def via(self, router):
        return f'2001:db8:1{router}::2' if self.v6 else f'198.18.1{router}.2'

    def nexthops(self, weights=None):
        return [{'via': self.via(r), 'port': f'u{r}' if self.v6 else '', 'weight': (weights or {}).get(r, 1)}
                for r in ROUTERS]


class World:
    """Pod a, and four uplinks with a router (a kernel) on each; who sees which flow."""

    def __init__(self, lab, workers):
        d = self.daemon = lab.daemon(workers=workers, networks=[NETWORK])
        self.lab = lab
        self.ns, self.sniff = {}, {}
        self.pods = RawPods(lab, d, PODS)
        self.a = Station(self.pods.ports['a'], PODS['a']['mac'], '198.18.1.2')
        for r in ROUTERS:
            ns = self.ns[r] = lab.netns(f'r{r}')
            lab.ns.veth(f'up{r}', ns, 'eth0')
            for key in ('all', 'default', 'eth0'):
                ns.sysctl(f'net.ipv6.conf.{key}.disable_ipv6', 0)
            ns.sysctl('net.ipv6.conf.eth0.router_solicitations', 0)
            ns.sysctl('net.ipv6.conf.eth0.accept_dad', 0)
            self.answer(r, True)
            self.sniff[r] = RawPort(ns, 'eth0')
            self.add_uplink(r)
        self.frames = {v6: self.make_frame(Family(v6)) for v6 in (False, True)}

    def add_uplink(self, r):
        self.daemon.call('port.add', name=f'u{r}', kind='eth', network='n', device=f'net_af_packet{r},iface=up{r}',
                         addresses=[f'198.18.1{r}.1/24', f'2001:db8:1{r}::1/64'], floodRate=0)
        self.daemon.wait_port(f'u{r}')

    def answer(self, r, on, families=(False, True)):
        """A router whose address is not there answers nobody."""
        for v6 in families:
            address = f'2001:db8:1{r}::2/64' if v6 else f'198.18.1{r}.2/24'
            self.ns[r].ip('addr', 'add' if on else 'del', address, 'dev', 'eth0', *(['nodad'] if on and v6 else []))

    def make_frame(self, f):
        ip = IPv6(src=f.source, dst=f.target) if f.v6 else IP(src=f.source, dst=f.target)
        return bytearray(bytes(self.a.frame(ip / UDP(sport=1, dport=9) / Raw(b'a flow of ours'))))

    def send(self, f, flows=range(FLOWS)):
        frame = self.frames[f.v6]
        for sport in flows:
            frame[f.port_at:f.port_at + 2] = struct.pack('!H', 10000 + sport)
            self.a.send(bytes(frame))

    def arrived(self, f, timeout=0.002):
        """{flow: router} of what came meanwhile."""
        got = {}
        for r in ROUTERS:
            for frame in self.sniff[r].recv_all(timeout, lambda x: x.endswith(b'a flow of ours')):
                got[struct.unpack_from('!H', frame, f.port_at)[0] - 10000] = r
        return got

    def where(self, f):
        """Each flow's router. On a busy machine some packets come late: what is missing is sent again."""
        got = {}
        self.arrived(f)
        for _ in range(50):
            self.send(f, [flow for flow in range(FLOWS) if flow not in got])
            time.sleep(0.02)
            got.update(self.arrived(f, 0.02))
            if len(got) == FLOWS:
                return got
        raise AssertionError(f'{FLOWS - len(got)} of {FLOWS} flows arrive nowhere: {self.states(f)}')

    def route(self, f):
        found = [r for r in self.daemon.call('route.list', network='n')['routes'] if r['prefix'] == f.prefix]
        return found[0] if found else None

    def states(self, f):
        names = {f.via(r): r for r in ROUTERS}
        return {names[m['via']]: m['state'] for m in self.route(f)['nexthops']}

    def wait_states(self, f, wanted, timeout=10):
        wait_for(f'{f.name} next hops to be {wanted}', lambda: self.states(f) == wanted, timeout, 0.05)


UP = dict.fromkeys(ROUTERS, 'up')


def without(*routers, state):
    return {**UP, **dict.fromkeys(routers, state)}


def only_moved(before, after, *routers):
    """Those flows of these routers moved, and no others."""
    strange = {flow: (before[flow], after[flow]) for flow in moved(before, after) ^ of(before, *routers)}
    assert not strange, f'flows from and to: {strange}'


def moved(before, after):
    return {flow for flow in before if before[flow] != after[flow]}


def of(where, *routers):
    return {flow for flow in where if where[flow] in routers}


def start(w, f):
    answer = w.daemon.call('route.add', network='n', prefix=f.prefix, nexthops=f.nexthops())
    assert answer['created'], answer
    assert not w.daemon.call('route.add', network='n', prefix=f.prefix, nexthops=f.nexthops()[::-1])['created']
    w.wait_states(f, UP)
    where = w.where(f)
    count = {r: len(of(where, r)) for r in ROUTERS}
    assert min(count.values()) > FLOWS / 10, count
    assert w.where(f) == where, 'flows move by themselves'
    for flow in range(0, FLOWS, 16):
        got = w.daemon.call('route.get', network='n', address=f.target, source=f.source, protocol=17,
                            sourcePort=10000 + flow, destinationPort=9)['nextHop']
        assert (got['gateway'], got['state']) == (f.via(where[flow]), 'resolved'), f'{flow}: {got}, {where[flow]}'
    return where


def leaves(w, f, where, router, leave):
    """Seconds until no packet goes to the router any more."""
    w.arrived(f)
    leave()
    begin = last = time.monotonic()
    while time.monotonic() - last < 1 and time.monotonic() - begin < 20:
        w.send(f, sorted(of(where, router))[:16])
        time.sleep(0.02)
        if of(w.arrived(f), router):
            last = time.monotonic()
    return last - begin


def silent(t, w, f, where):
    took = leaves(w, f, where, 2, lambda: w.answer(2, False, [f.v6]))
    assert took < LEAVES, f'left after {took:.2f} s'
    w.wait_states(f, without(2, state='silent'))
    after = w.where(f)
    only_moved(where, after, 2)
    assert len({after[flow] for flow in of(where, 2)}) == 3, 'all went to one'
    w.answer(2, True, [f.v6])
    w.wait_states(f, UP)
    assert w.where(f) == where, 'not as before when it is back'
    t.note(f'{f.name}: a silent next hop left after {took:.2f} s')


def removed(t, w, f, where):
    def remove():
        w.daemon.call('port.del', name='u3')
    took = leaves(w, f, where, 3, remove)
    assert w.states(f) == without(3, state='down'), w.states(f)
    after = w.where(f)
    only_moved(where, after, 3)
    w.add_uplink(3)
    w.wait_states(f, UP)
    assert w.where(f) == where, 'not as before when it is back'
    t.note(f'{f.name}: a next hop whose port was removed left after {took:.2f} s')


def all_gone(w, f):
    """Nobody answers: the sender learns of it, as with a single next hop."""
    before = w.daemon.call('stats.get')['drops'].get('neighbour_failed', 0)
    for r in ROUTERS:
        w.answer(r, False, [f.v6])
    w.wait_states(f, without(*ROUTERS, state='silent'), 20)
    kind = (lambda x: x[12:14] == b'\x86\xdd' and x[54:56] == b'\x01\x03') if f.v6 else \
        (lambda x: is_ip(x) and x[34:36] == b'\x03\x01')

    def refused():
        w.send(f, range(4))
        return w.a.port.recv(kind, 0.1)
    wait_for('host unreachable', refused, 20)
    assert w.daemon.call('stats.get')['drops']['neighbour_failed'] > before
    for r in ROUTERS:
        w.answer(r, True, [f.v6])
    w.wait_states(f, UP, 20)


def weights(w, f, where):
    """Another list of members: the new shares, and who keeps or gains keeps its flows."""
    answer = w.daemon.call('route.add', network='n', prefix=f.prefix, nexthops=f.nexthops({1: 5}))
    assert (answer['created'], answer['replaced']) == (False, True), answer
    after = w.where(f)
    assert all(after[flow] == 1 for flow in moved(where, after)), 'a flow went to one that lost share'
    assert len(of(after, 1)) > len(of(where, 1)) + FLOWS / 10, f'{len(of(where, 1))} to {len(of(after, 1))}'
    try:
        w.daemon.call('route.add', network='n', prefix=f.prefix, gateway=f.via(1))
    except RpcError as e:
        assert e.code == -32010, e
    else:
        raise AssertionError('one gateway in place of several')


def restarted(w, f, where):
    w.daemon.restart(kill=True)
    for name in ('a', *(f'u{r}' for r in ROUTERS)):
        w.daemon.wait_port(name)
    w.wait_states(f, UP)
    assert w.where(f) == where, f'{len(moved(where, w.where(f)))} flows moved'


def main():
    t = Tap()
    both = (Family(False), Family(True))
    for n, workers in enumerate(settings.workers):
        # With several numbers of workers the families take turns.
        families = both if len(settings.workers) == 1 else (both[n % 2],)
        with Lab('ecmp') as lab:
            w = World(lab, workers)
            for f in families:
                text = f'{f.name}, {workers} workers'
                where = {}
                with t.case(f'flows spread and stay, {text}'):
                    where = start(w, f)
                with t.case(f'a silent next hop, {text}'):
                    silent(t, w, f, where)
                with t.case(f'a port that goes, {text}'):
                    removed(t, w, f, where)
                with t.case(f'all are gone, {text}'):
                    all_gone(w, f)
                with t.case(f'a restart moves no flow, {text}'):
                    restarted(w, f, where)
                with t.case(f'other weights, {text}'):
                    weights(w, f, where)
            with t.case(f'packets are conserved, {workers} workers'), w.daemon.client() as c:
                stats = assert_conserved(c)
                assert stats['tables']['groups']['used'] == len(families), stats['tables']
                for f in families:
                    c.call('route.del', network='n', prefix=f.prefix)
                wait_for('the groups to be free', lambda: c.call('stats.get')['tables']['groups']['used'] == 0)
            with t.case(f'clean end, {workers} workers'):
                w.daemon.stop()
    t.done()


if __name__ == '__main__':
    main()
