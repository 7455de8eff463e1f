#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
# podrail-test: limit=120 flavours=release
"""Router advertisements, asked for and not, as RFC 4861 sections 6.1.2 and 6.2 have them; none where none are wanted."""

import time

from scapy.layers.inet6 import (
    ICMPv6ND_RA, ICMPv6ND_RS, ICMPv6NDOptMTU, ICMPv6NDOptPrefixInfo, ICMPv6NDOptSrcLLAddr, IPv6, in6_chksum)
from scapy.layers.l2 import Ether

from lib import Lab, RawPort, Tap, assert_conserved, settings
from routed_world import RawPods

GATEWAY_MAC = '02:00:00:00:ff:01'
NETWORKS = [{'name': 'told', 'mode': 'routed', 'routerAdvertisements': True, 'gatewayMac': GATEWAY_MAC,
             'subnets': ['2001:db8:1::/64', '198.18.1.0/24', '2001:db8:2::/56'], 'mtu': 9000},
            {'name': 'silent', 'mode': 'routed', 'subnets': ['2001:db8:1::/64'], 'gatewayMac': GATEWAY_MAC}]
PODS = {'a': {'network': 'told', 'addresses': ['2001:db8:1::2/64'], 'mac': '02:00:00:00:01:02', 'mtu': 1400},
        'b': {'network': 'told', 'addresses': ['198.18.1.3/24'], 'mac': '02:00:00:00:01:03', 'mtu': 1500},
        'x': {'network': 'silent', 'addresses': ['2001:db8:1::2/64'], 'mac': '02:00:00:00:02:02', 'mtu': 1500}}
ALL_NODES, ALL_ROUTERS = ('ff02::1', '33:33:00:00:00:01'), ('ff02::2', '33:33:00:00:00:02')


class World:
    def __init__(self, lab, workers):
        self.lab = lab
        self.daemon = lab.daemon(workers=workers, networks=NETWORKS)
        self.pods = RawPods(lab, self.daemon, PODS)
        lab.ns.veth('up0', self.pods.ns, 'peer0')
        self.wire = RawPort(self.pods.ns, 'peer0')
        self.daemon.call('port.add', name='u', kind='eth', network='told', device='net_af_packet0,iface=up0', mtu=1500,
                         addresses=['2001:db8:9::1/64'])
        self.daemon.wait_port('u')
        self.ports = self.pods.ports

    def flush(self):
        for port in (*self.ports.values(), self.wire):
            port.flush()


def is_ra(frame):
    return frame[12:14] == b'\x86\xdd' and frame[20] == 58 and frame[54] == 134


def check(frame, name, to, mac):
    packet = Ether(frame)
    ip, ra = packet[IPv6], packet[ICMPv6ND_RA]
    assert (packet.src, packet.dst, ip.src, ip.dst) == (GATEWAY_MAC, mac, 'fe80::1', to), packet.summary()
    assert ip.hlim == 255 and ra.code == 0 and in6_chksum(58, ip, frame[54:]) == 0, packet.show(dump=True)
    assert (ra.chlim, ra.M, ra.O, ra.routerlifetime, ra.reachabletime, ra.retranstimer) == (64, 0, 0, 1800, 0, 0)
    assert packet[ICMPv6NDOptSrcLLAddr].lladdr == GATEWAY_MAC
    assert packet[ICMPv6NDOptMTU].mtu == PODS[name]['mtu'], packet[ICMPv6NDOptMTU].mtu
    prefixes, option = [], packet.getlayer(ICMPv6NDOptPrefixInfo)
    while option:
        assert (option.L, option.A, option.validlifetime, option.preferredlifetime) == (1, 0, 0xffffffff, 0xffffffff)
        prefixes.append((option.prefix, option.prefixlen))
        option = option.payload.getlayer(ICMPv6NDOptPrefixInfo)
    assert prefixes == [('2001:db8:1::', 64), ('2001:db8:2::', 56)], prefixes


def ask(name, source, option):
    mac = PODS[name]['mac']
    packet = IPv6(src=source, dst=ALL_ROUTERS[0], hlim=255) / ICMPv6ND_RS()
    if option:
        packet = packet / ICMPv6NDOptSrcLLAddr(lladdr=mac)
    return bytes(Ether(src=mac, dst=ALL_ROUTERS[1]) / packet)


def asked(w):
    """To whoever asked; to all nodes when he has no address yet."""
    for name, source in (('a', '2001:db8:1::2'), ('a', 'fe80::2'), ('a', '::'), ('b', 'fe80::3')):
        w.flush()
        w.ports[name].send(ask(name, source, source != '::'))
        frame = w.ports[name].recv(is_ra, 5)
        assert frame, f'{name} hears nothing, asking from {source}'
        check(frame, name, *(ALL_NODES if source == '::' else (source, PODS[name]['mac'])))
    others = [n for n, p in {**w.ports, 'u': w.wire}.items() if p.recv(is_ra, 0.1)]
    assert not others, f'{others} hear what they did not ask for'


def unasked(w, begin):
    """As soon as the guest listens, a few times quickly; each pod by itself, uplinks and the silent never."""
    w.flush()
    begin()
    for name in ('a', 'b'):
        frame = w.ports[name].recv(is_ra, 10)
        assert frame, f'{name} is told nothing'
        check(frame, name, *ALL_NODES)
    first = time.monotonic()
    for name, port in {**w.ports, 'u': w.wire}.items():
        assert not port.recv(is_ra, 0.5), f'{name} is told again at once' if name in 'ab' else f'{name} is told'
    for name in ('a', 'b'):
        frame = w.ports[name].recv(is_ra, 25)
        assert frame, f'{name} is told only once'
        check(frame, name, *ALL_NODES)
    passed = time.monotonic() - first
    assert 12 < passed < 25, f'the second one comes after {passed:.1f} s'


def return_of_the_ports(w):
    """Ports that come again begin anew."""
    def begin():
        for name in ('a', 'b', 'x'):
            w.daemon.call('port.del', name=name)
        for name in ('a', 'b', 'x'):
            w.daemon.call('port.add', name=name, kind='vhost-user', socket=w.lab.socket_path(name), floodRate=0,
                          **PODS[name])

    unasked(w, begin)


def return_of_the_daemon(w):
    unasked(w, lambda: w.daemon.restart(kill=True))


def refused(w):
    """Nobody is told in a network that does not ask for it, nor by what RFC 4861 section 6.1.1 forbids."""
    drops = w.daemon.call('stats.get')['drops']
    def bad(at, value, fix=True, cut=None):
        frame = bytearray(ask('a', '2001:db8:1::2', True)[:cut])
        frame[at] = value
        if fix:
            frame[56:58] = b'\0\0'
            frame[56:58] = in6_chksum(58, Ether(bytes(frame))[IPv6], bytes(frame[54:])).to_bytes(2, 'big')
        return bytes(frame)

    for name, frame, reason in (('x', ask('x', '2001:db8:1::2', True), 'nd_not_for_us'), ('a', bad(21, 254), 'nd_invalid'),
                                ('a', ask('a', '::', True), 'nd_invalid'), ('a', bad(55, 1), 'nd_invalid'),
                                ('a', bad(60, 1, fix=False), 'nd_invalid'), ('a', bad(63, 0), 'nd_invalid'),
                                ('a', bad(63, 2), 'nd_invalid'), ('a', bad(19, 7, cut=61), 'nd_invalid')):
        w.flush()
        w.ports[name].send(frame)
        assert not w.ports[name].recv(is_ra, 0.3), f'{reason}: answered'
        now = w.daemon.call('stats.get')['drops']
        assert now.get(reason, 0) == drops.get(reason, 0) + 1, f'{reason}: {now}'
        drops = now


def main():
    t = Tap()
    for workers in settings.workers[:1]:
        with Lab('advertised') as lab:
            w = World(lab, workers)
            for part in (return_of_the_ports, asked, refused, return_of_the_daemon):
                with t.case(f'{part.__name__}, {workers} workers'):
                    part(w)
            with t.case(f'packets are conserved, {workers} workers'), w.daemon.client() as c:
                assert_conserved(c)
            with t.case(f'clean end, {workers} workers'):
                w.daemon.stop()
    t.done()


if __name__ == '__main__':
    main()
