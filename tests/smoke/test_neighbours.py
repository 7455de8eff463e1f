#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
# podrail-test: limit=180
"""Neighbours in routed networks: asked for, learned, probed, given up; and packets that wait for them."""

import time

from scapy.layers.l2 import ARP, Ether

from lib import Lab, RawPort, RpcError, Tap, assert_conserved, settings, wait_for
from routed_world import GATEWAY_MAC, RawPods, Station, is_arp, is_ip

NETWORK = {'name': 'n', 'mode': 'routed', 'subnets': ['198.18.1.0/24']}
PODS = {
    'a': {'network': 'n', 'addresses': ['198.18.1.2/24'], 'mac': '02:00:00:00:01:02'},
    'r': {'network': 'n', 'addresses': ['198.18.1.3/24'], 'mac': '02:00:00:00:01:03',
          'allowedPrefixes': ['198.18.1.64/26', '198.19.0.0/16'], 'allowedMacs': ['02:00:00:00:01:77']},
}
PEER = '02:00:00:00:09:02'
OTHER = '02:00:00:00:09:03'


class World:
    def __init__(self, lab, workers):
        d = self.daemon = lab.daemon(workers=workers, networks=[NETWORK])
        self.pods = RawPods(lab, d, PODS)
        lab.ns.veth('up0', self.pods.ns, 'peer0')
        self.uplink = {'name': 'u', 'kind': 'eth', 'network': 'n', 'device': 'net_af_packet0,iface=up0',
                       'addresses': ['198.18.9.1/24'], 'floodRate': 0}
        self.up_mac = d.call('port.add', **self.uplink)['port']['mac']
        d.wait_port('u')
        self.a = Station(self.pods.ports['a'], PODS['a']['mac'], '198.18.1.2')
        self.r = Station(self.pods.ports['r'], PODS['r']['mac'], '198.18.1.3')
        self.u = Station(RawPort(self.pods.ns, 'peer0'), PEER, '198.18.9.2', self.up_mac)

    def state(self, address):
        for n in self.daemon.call('neighbour.list', network='n')['neighbours']:
            if n['address'] == address:
                return n
        return {'state': 'none', 'held': 0, 'mac': ''}

    def wait_state(self, address, *states, timeout=10):
        return wait_for(f'{address} to be {states}', lambda: (
            lambda n: n if n['state'] in states else None)(self.state(address)), timeout, 0.05)

    def burst(self, to, count, text='p'):
        frame = bytearray(bytes(self.a.udp(to, f'{text}0000')))
        frame[40:42] = b'\0\0'  # no UDP checksum: only the text differs
        for i in range(count):
            self.a.send(bytes(frame[:-4]) + f'{i:04}'.encode())

    def dropped(self, reason):
        return self.daemon.call('stats.get')['drops'].get(reason, 0)

    @staticmethod
    def texts(station, count, mac=None, text='p', timeout=10):
        """The payloads of the next packets of ours that come in there."""
        got = []
        while len(got) < count:
            frame = station.port.recv(lambda f: is_ip(f) and f[-5:-4] == text.encode(), timeout)
            if frame is None:
                break
            assert mac is None or Ether(frame).dst == mac, f'{Ether(frame).dst} instead of {mac}'
            got.append(int(frame[-4:]))
        return got


def flush(w):
    for station in (w.a, w.r, w.u):
        station.port.flush()


def asked(w):
    """A host on the uplink's subnet is asked for; what waits for it goes on, in order."""
    w.burst('198.18.9.50', 5)
    request = w.u.port.recv(lambda f: is_arp(f, 1), 10)
    arp, ether = ARP(request[14:]), Ether(request)
    assert (ether.src, ether.dst) == (w.up_mac, 'ff:ff:ff:ff:ff:ff'), ether.summary()
    assert (arp.hwsrc, arp.psrc, arp.pdst) == (w.up_mac, '198.18.9.1', '198.18.9.50'), arp.summary()
    wait_for('5 packets to wait', lambda: w.state('198.18.9.50')['held'] == 5)
    assert w.state('198.18.9.50')['state'] == 'incomplete'
    got = w.daemon.call('route.get', network='n', address='198.18.9.50')['nextHop']
    assert (got['port'], got['state']) == ('u', 'unresolved'), got
    w.u.reply(request)
    assert w.texts(w.u, 5, PEER) == list(range(5))
    n = w.wait_state('198.18.9.50', 'reachable')
    assert (n['mac'], n['port'], n['held']) == (PEER, 'u', 0), n
    w.burst('198.18.9.50', 3)
    assert w.texts(w.u, 3, PEER) == [0, 1, 2]
    got = w.daemon.call('route.get', network='n', address='198.18.9.50')['nextHop']
    assert (got['mac'], got['port'], got['state']) == (PEER, 'u', 'resolved'), got
    assert not w.u.requests(0.1, '198.18.9.50'), 'it is asked for again'


def silent(w):
    """Three questions, then host unreachable to whoever waits; a sign of life repairs it."""
    w.burst('198.18.9.51', 3)
    errors = []
    for _ in range(3):
        frame = w.a.port.recv(lambda f: is_ip(f) and f[34:36] == b'\x03\x01', 15)
        assert frame is not None, f'{len(errors)} errors, {w.state("198.18.9.51")}'
        errors.append(int(frame[-4:]))
    assert errors == [0, 1, 2], errors
    requests = len(w.u.requests(0.1, '198.18.9.51'))
    assert requests == 3, f'{requests} requests'
    assert w.state('198.18.9.51')['state'] == 'failed', w.state('198.18.9.51')
    before = w.dropped('neighbour_failed')
    w.burst('198.18.9.51', 1)
    assert w.a.port.recv(lambda f: is_ip(f) and f[34:36] == b'\x03\x01', 5), 'the next is not told at once'
    assert w.dropped('neighbour_failed') == before + 1
    w.u.send(w.u.arp(1, '198.18.9.1', sender='198.18.9.51', hwsrc=OTHER))
    w.wait_state('198.18.9.51', 'stale', 'reachable', 'probe')
    w.burst('198.18.9.51', 2)
    assert w.texts(w.u, 2, OTHER) == [0, 1]


def bounded(w):
    """16 packets wait for one neighbour: the newest."""
    before = w.dropped('neighbour_queue')
    w.burst('198.18.9.52', 40)
    request = w.u.port.recv(lambda f: is_arp(f, 1) and ARP(f[14:]).pdst == '198.18.9.52', 10)
    wait_for('24 to be dropped', lambda: w.dropped('neighbour_queue') == before + 24)
    assert w.state('198.18.9.52')['held'] == 16
    w.u.reply(request)
    assert w.texts(w.u, 16) == list(range(24, 40))
    # And 256 for all that one port waits for: two times 16 more than that are too many.
    before = w.dropped('neighbour_queue')
    for host in range(100, 118):
        w.burst(f'198.18.9.{host}', 16)
    wait_for('32 to be dropped', lambda: w.dropped('neighbour_queue') == before + 32)
    with w.daemon.client() as c:
        stats = c.call('stats.get')
    assert stats['conservation']['held'] == 256, stats['conservation']
    for host in range(100, 118):
        w.daemon.call('neighbour.del', network='n', address=f'198.18.9.{host}')
    wait_for('none to be held', lambda: w.daemon.call('stats.get')['conservation']['held'] == 0)


def static(w):
    w.daemon.call('neighbour.add', network='n', port='u', address='198.18.9.60', mac=OTHER)
    assert w.state('198.18.9.60')['state'] == 'static'
    w.burst('198.18.9.60', 2)
    assert w.texts(w.u, 2, OTHER) == [0, 1]
    w.u.send(w.u.arp(2, '198.18.9.1', sender='198.18.9.60', mac=w.up_mac))
    w.u.send(w.u.arp(1, '198.18.9.60', sender='198.18.9.60'))
    w.burst('198.18.9.60', 2)
    assert w.texts(w.u, 2, OTHER) == [0, 1], 'a static neighbour believed what it heard'
    assert not w.u.requests(0.1, '198.18.9.60')
    assert w.daemon.call('neighbour.del', network='n', address='198.18.9.60')['removed']
    assert not w.daemon.call('neighbour.del', network='n', address='198.18.9.60')['removed']
    w.burst('198.18.9.60', 1)
    request = w.u.port.recv(lambda f: is_arp(f, 1) and ARP(f[14:]).pdst == '198.18.9.60', 10)
    assert request, 'nobody asks after it was removed'
    # What waits goes on when the answer comes from the operator instead.
    w.daemon.call('neighbour.add', network='n', port='u', address='198.18.9.60', mac=OTHER)
    assert w.texts(w.u, 1, OTHER) == [0]
    for wrong, field in (({'mac': '01:00:5e:00:00:01'}, 'mac'), ({'port': 'x'}, 'port'),
                         ({'address': '198.18.1.2'}, 'address'), ({'address': '198.18.1.1'}, 'address'),
                         ({'mac': PEER}, 'mac')):
        try:
            w.daemon.call('neighbour.add', **{'network': 'n', 'port': 'u', 'address': '198.18.9.60',
                                              'mac': OTHER, **wrong})
        except RpcError as e:
            assert e.field == field, f'{wrong}: {e}'
        else:
            raise AssertionError(f'{wrong} was accepted')


def moved(w):
    """A neighbour announces a new MAC: believed, and asked at that MAC before it counts as reachable."""
    w.u.send(w.u.arp(1, '198.18.9.50', sender='198.18.9.50', hwsrc=OTHER))
    wait_for('the new MAC', lambda: w.state('198.18.9.50')['mac'] == OTHER)
    w.burst('198.18.9.50', 2)
    assert w.texts(w.u, 2, OTHER) == [0, 1]
    request = w.u.port.recv(lambda f: is_arp(f, 1) and ARP(f[14:]).pdst == '198.18.9.50', 10)
    assert request and Ether(request).dst == OTHER, 'the question does not go to the new MAC alone'
    w.u.reply(request, mac=OTHER)
    w.wait_state('198.18.9.50', 'reachable')


def behind_pod(w):
    """Next hops behind a pod: an address it may use, and destinations looked for on its port."""
    w.daemon.call('route.add', network='n', prefix='198.19.1.0/24', port='r', gateway='198.18.1.70')
    w.daemon.call('route.add', network='n', prefix='198.19.2.0/24', port='r')
    for to, asked_for in (('198.19.1.9', '198.18.1.70'), ('198.19.2.9', '198.19.2.9')):
        flush(w)
        w.burst(to, 3)
        request = w.r.port.recv(lambda f: is_arp(f, 1), 10)
        arp = ARP(request[14:])
        assert (arp.pdst, arp.psrc, arp.hwsrc) == (asked_for, '198.18.1.1', GATEWAY_MAC), arp.summary()
        # Another pod can not answer in its place.
        before = w.dropped('spoofed_ip')
        w.a.send(Ether(src=w.a.mac, dst=GATEWAY_MAC) / ARP(op=2, hwsrc=w.a.mac, psrc=asked_for,
                                                           hwdst=GATEWAY_MAC, pdst='198.18.1.1'))
        wait_for('the false answer to be dropped', lambda: w.dropped('spoofed_ip') == before + 1)
        assert w.state(asked_for)['state'] == 'incomplete', w.state(asked_for)
        # Nor somebody on the uplink, who may send from any address.
        w.u.send(Ether(src=PEER, dst=w.up_mac) / ARP(op=2, hwsrc=PEER, psrc=asked_for, hwdst=w.up_mac,
                                                     pdst='198.18.9.1'))
        w.u.send(w.u.arp(1, '198.18.9.1'))
        assert w.u.answer('198.18.9.1', 5)
        assert w.state(asked_for)['state'] == 'incomplete', w.state(asked_for)
        w.r.reply(request, mac='02:00:00:00:01:77')
        assert w.texts(w.r, 3, '02:00:00:00:01:77') == [0, 1, 2]
    w.daemon.call('route.del', network='n', prefix='198.19.1.0/24')
    w.daemon.call('route.del', network='n', prefix='198.19.2.0/24')


def removed(w):
    """A port goes while packets wait for neighbours on it: they are counted, and the next ask anew."""
    w.burst('198.18.9.90', 4)
    wait_for('4 to be held', lambda: w.state('198.18.9.90')['held'] == 4)
    w.daemon.call('port.del', name='u')
    assert w.state('198.18.9.90')['state'] == 'none'
    w.burst('198.18.9.90', 1)
    assert w.a.port.recv(lambda f: is_ip(f) and f[34] == 3, 5), 'no error without the uplink'
    with w.daemon.client() as c:
        assert assert_conserved(c)['conservation']['held'] == 0
    w.up_mac = w.daemon.call('port.add', **w.uplink)['port']['mac']
    w.daemon.wait_port('u')
    w.u.gateway_mac = w.up_mac
    flush(w)
    w.burst('198.18.9.90', 2)
    request = w.u.port.recv(lambda f: is_arp(f, 1) and ARP(f[14:]).pdst == '198.18.9.90', 10)
    w.u.reply(request)
    assert w.texts(w.u, 2, PEER) == [0, 1]


def shadowed(w):
    """A host's own route, made because somebody looked for it, never hides what an operator says, nor outlives it."""
    def to_uplink(address, mac, text):
        w.burst(address, 2, text)
        assert w.texts(w.u, 2, mac, text) == [0, 1], f'{address} by {mac}: {text}'

    def learn(address):
        w.burst(address, 1, 'l')
        w.u.reply(w.u.port.recv(lambda f: is_arp(f, 1) and ARP(f[14:]).pdst == address, 10))
        assert w.texts(w.u, 1, PEER, 'l') == [0]

    learn('198.18.9.80')
    for n, prefix in enumerate(('198.18.9.80/32', '198.18.9.80/30')):
        w.daemon.call('route.add', network='n', prefix=prefix, gateway='198.18.9.50')
        to_uplink('198.18.9.80', OTHER, 'ab'[n])
        w.daemon.call('route.del', network='n', prefix=prefix)
        flush(w)
        w.burst('198.18.9.80', 1, 'd')
        assert w.texts(w.u, 1, PEER, 'd') == [0], f'after {prefix} went'
    # A route to one host that names only the port is still there when the neighbour is not.
    host = {'network': 'n', 'prefix': '198.19.3.9/32', 'port': 'u'}
    for created in (True, False):
        assert w.daemon.call('route.add', **host)['created'] == created
    learn('198.19.3.9')
    assert w.daemon.call('neighbour.del', network='n', address='198.19.3.9')['removed']
    learn('198.19.3.9')
    assert w.daemon.call('route.add', **host)['created'] is False
    assert w.daemon.call('route.del', network='n', prefix=host['prefix'])['removed']


class Ageing:
    """Two neighbours in a world of their own, resolved at the start: it takes 30 s until they are stale."""

    def __init__(self, lab):
        self.w = World(lab, 1)
        for address in ('198.18.9.70', '198.18.9.71', '198.18.9.72'):
            self.w.burst(address, 1)
            self.w.u.reply(self.w.u.port.recv(lambda f: is_arp(f, 1), 10))
            assert self.w.texts(self.w.u, 1, PEER) == [0]
        self.start = time.monotonic()

    def run(self):
        w = self.w
        left = 30 - (time.monotonic() - self.start)
        assert all(w.state(f'198.18.9.{i}')['state'] == 'reachable' for i in (70, 71, 72)) or left < 2
        for address in ('198.18.9.70', '198.18.9.71', '198.18.9.72'):
            w.wait_state(address, 'stale', timeout=max(left, 0) + 10)
        flush(w)
        # In use: asked by unicast. 71 answers and lives; 70 does not.
        errors = probes = 0
        end = time.monotonic() + 20
        while not errors and time.monotonic() < end:
            w.burst('198.18.9.70', 1)
            w.burst('198.18.9.71', 1)
            for request in w.u.requests(0.05):
                arp = ARP(request[14:])
                assert Ether(request).dst == PEER, 'a probe by broadcast'
                assert arp.pdst != '198.18.9.72', 'one that nobody uses is probed'
                if arp.pdst == '198.18.9.71':
                    w.u.reply(request)
                probes += arp.pdst == '198.18.9.70'
            errors = len(w.a.port.recv_all(0.05, lambda f: is_ip(f) and f[34:36] == b'\x03\x01'))
        assert errors and probes == 3, f'{errors} errors, {probes} probes'
        states = [w.state(f'198.18.9.{i}')['state'] for i in (70, 71, 72)]
        assert states == ['failed', 'reachable', 'stale'], states
        with w.daemon.client() as c:
            assert_conserved(c)
        w.daemon.stop()


def main():
    t = Tap()
    with Lab('ageing') as slow:
        ageing = Ageing(slow)
        for workers in settings.workers:
            with Lab('neighbours') as lab:
                w = World(lab, workers)
                for part in (asked, silent, bounded, static, moved, shadowed, behind_pod, removed):
                    flush(w)
                    with t.case(f'{part.__name__}, {workers} workers'):
                        part(w)
                with t.case(f'packets are conserved, {workers} workers'), w.daemon.client() as c:
                    assert_conserved(c)
                with t.case(f'clean end, {workers} workers'):
                    w.daemon.stop()
        with t.case('stale, probed, failed or confirmed'):
            ageing.run()
    t.done()


if __name__ == '__main__':
    main()
