#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
# podrail-test: limit=120
"""IPv6 neighbours on an uplink (RFC 4861 sections 7.2.2 to 7.2.5 and 7.3): asked for, learned, doubted, overridden, given up."""

from scapy.layers.inet6 import (
    ICMPv6ND_NA, ICMPv6ND_NS, ICMPv6NDOptDstLLAddr, ICMPv6NDOptSrcLLAddr, IPv6, in6_chksum)
from scapy.layers.l2 import Ether

import test_neighbours as v4
from kernel_world import link_local
from lib import Lab, RawPort, Tap, assert_conserved, settings
from routed_world import RawPods, Station, is_ip6
from test_routed_rfc8200 import ALL_NODES, group_mac, solicited, udp

NETWORK = {'name': 'n', 'mode': 'routed', 'subnets': ['2001:db8:1::/64']}
PODS = {'a': {'network': 'n', 'addresses': ['2001:db8:1::2/64'], 'mac': '02:00:00:00:01:02'}}
OWN, HOST = '2001:db8:9::1', '2001:db8:9::50'
PEER, OTHER = '02:00:00:00:09:02', '02:00:00:00:09:03'


class World(v4.World):
    def __init__(self, lab, workers):
        d = self.daemon = lab.daemon(workers=workers, networks=[NETWORK])
        self.pods = RawPods(lab, d, PODS)
        lab.ns.veth('up0', self.pods.ns, 'peer0')
        self.up_mac = d.call('port.add', name='u', kind='eth', network='n', device='net_af_packet0,iface=up0',
                             addresses=[f'{OWN}/64'], floodRate=0)['port']['mac']
        d.wait_port('u')
        self.s = {'a': Station(self.pods.ports['a'], PODS['a']['mac'], None),
                  'u': Station(RawPort(self.pods.ns, 'peer0'), PEER, None, self.up_mac)}
        self.u = self.s['u'].port

    def send(self, to, text):
        self.s['a'].send(udp(self, 'a', to, text))

    def question(self, target, timeout=10):
        """The next solicitation for it that comes out of the uplink, or None."""
        return self.u.recv(lambda f: is_ip6(f) and f[20] == 58 and f[54] == 135 and
                           Ether(f)[ICMPv6ND_NS].tgt == target, timeout)

    def arrives(self, text, mac):
        frame = self.u.recv(lambda f: is_ip6(f) and f.endswith(text.encode()), 10)
        assert frame and Ether(frame).dst == mac, f'{text}: {frame and Ether(frame).dst}, not {mac}'

    def says(self, target, mac=None, to=OWN, **flags):
        """An advertisement."""
        packet = IPv6(src=target, dst=to, hlim=255) / ICMPv6ND_NA(tgt=target, **{'R': 0, 'S': 0, 'O': 0, **flags})
        if mac:
            packet = packet / ICMPv6NDOptDstLLAddr(lladdr=mac)
        self.u.send(bytes(Ether(src=mac or PEER, dst=group_mac(to) if to == ALL_NODES else self.up_mac) / packet))

    def is_now(self, state, mac, after):
        found = self.wait_state(HOST, state)
        assert (found['mac'], found['port']) == (mac, 'u'), f'{after}: {found}'


def asked(w):
    """7.2.2: by multicast, from our link-local address, with our MAC; what waits for the answer goes on."""
    w.send(HOST, 'first')
    frame = w.question(HOST)
    packet = Ether(frame)
    assert (packet.src, packet.dst) == (w.up_mac, group_mac(solicited(HOST))), packet.summary()
    assert (packet[IPv6].src, packet[IPv6].dst) == (link_local(w.up_mac), 'ff02::1:ff00:50'), packet.summary()
    assert packet[ICMPv6NDOptSrcLLAddr].lladdr == w.up_mac and packet[IPv6].hlim == 255, packet.summary()
    assert in6_chksum(58, packet[IPv6], frame[54:]) == 0
    assert w.wait_state(HOST, 'incomplete')['held'] == 1
    w.says(HOST, PEER, S=1, O=1)
    w.arrives('first', PEER)
    w.is_now('reachable', PEER, 'the answer')
    w.send(HOST, 'second')
    w.arrives('second', PEER)
    assert not w.question(HOST, 0.1), 'it is asked for again'


def advertised(w):
    """7.2.5, row by row. What must change nothing is sent before what changes something, on the same way."""
    w.says(HOST, PEER, to=ALL_NODES)
    w.says(HOST, to=ALL_NODES, O=1)
    w.says(HOST, '33:33:00:00:00:09', S=1, O=1)
    w.says('2001:db8:9::51', OTHER, S=1, O=1)
    w.says(HOST, OTHER)
    w.is_now('stale', PEER, 'another MAC without override: doubt')
    assert w.state('2001:db8:9::51')['state'] == 'none', 'a stranger was learned'
    w.says(HOST, OTHER, S=1)
    w.says(HOST, S=1)
    w.is_now('reachable', PEER, 'the answer that names no MAC; the one before it overrides nothing')
    w.says(HOST, OTHER, to=ALL_NODES, O=1)
    w.is_now('stale', OTHER, 'another MAC with override, unasked')
    w.send(HOST, 'third')
    w.arrives('third', OTHER)
    w.says(HOST, PEER, S=1, O=1)
    w.is_now('reachable', PEER, 'another MAC with override, asked')
    w.send(HOST, 'fourth')
    w.arrives('fourth', PEER)


def solicits(w):
    """7.2.3: who asks us says where he is."""
    question = IPv6(src=HOST, dst=solicited(OWN), hlim=255) / ICMPv6ND_NS(tgt=OWN) / ICMPv6NDOptSrcLLAddr(lladdr=OTHER)
    w.u.send(bytes(Ether(src=OTHER, dst=group_mac(solicited(OWN))) / question))
    w.is_now('stale', OTHER, 'its question')
    # In use: asked by unicast (7.3.3), and the answer confirms.
    frame, tries = None, 0
    while not frame and tries < 60:
        w.send(HOST, f'use {tries}')
        frame, tries = w.question(HOST, 0.5), tries + 1
    packet = Ether(frame)
    assert (packet.dst, packet[IPv6].dst) == (OTHER, HOST), packet.summary()
    w.says(HOST, S=1)
    w.is_now('reachable', OTHER, 'the answer to the probe')


def silent(w):
    """Three questions, then address unreachable, to the sender of each that waited."""
    w.send('2001:db8:9::60', 'lost')
    for _ in range(3):
        assert w.question('2001:db8:9::60', 15), w.state('2001:db8:9::60')
    error = w.s['a'].port.recv(lambda f: is_ip6(f) and f[20] == 58 and f[54:56] == b'\x01\x03', 15)
    assert error and error.endswith(b'lost') and Ether(error)[IPv6].src == '2001:db8:1::1', error
    assert w.wait_state('2001:db8:9::60', 'failed')['held'] == 0


def main():
    t = Tap()
    workers = settings.workers[:2][-1]
    with Lab('neighbours6') as lab:
        w = World(lab, workers)
        for part in (asked, advertised, solicits, silent):
            for station in w.s.values():
                station.port.flush()
            with t.case(f'{part.__name__}, {workers} workers'):
                part(w)
        with t.case(f'packets are conserved, {workers} workers'), w.daemon.client() as c:
            assert_conserved(c)
        with t.case(f'clean end, {workers} workers'):
            w.daemon.stop()
    t.done()


if __name__ == '__main__':
    main()
