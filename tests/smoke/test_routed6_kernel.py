#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
# podrail-test: limit=240
"""The Linux kernel on all sides of routed IPv6 networks: DAD, ping, traceroute, TCP, path MTU, a pod that is a router."""

import json
import re
import select
import socket
import struct
import time

from lib import Lab, ProcessError, Tap, assert_conserved, settings, wait_for
from routed_world import GATEWAY_MAC, give_way

ADVERTISED = {'name': 'm', 'mode': 'routed', 'subnets': ['2001:db8:8::/64'], 'routerAdvertisements': True,
              'mtu': 1400}
NETWORK = {'name': 'n', 'mode': 'routed', 'subnets': ['2001:db8:1::/64', '2001:db8:2::/64', '198.18.1.0/24']}


def enable(ns, interface):
    """Namespaces of the lab begin without IPv6, so that nothing is said that no test asked for."""
    for key in ('all', 'default', interface):
        ns.sysctl(f'net.ipv6.conf.{key}.disable_ipv6', 0)
    ns.sysctl(f'net.ipv6.conf.{interface}.router_solicitations', 0)


def valid(ns, interface):
    """Waits until duplicate address detection is over, and has found none."""
    def done():
        text = ns.ip('-6', 'addr', 'show', 'dev', interface)
        if 'dadfailed' in text:
            raise AssertionError(text)
        return 'tentative' not in text and 'inet6 2001' in text

    wait_for(f'the addresses of {ns.name} to be valid', done, 20)


class World:
    """
    Pods p (2001:db8:1::2/64, default route by the subnet's first address) and q (2001:db8:2::2/128,
    default route by fe80::1); r is a router with 2001:db8:7::/64 behind it; host sits on the uplink's
    wire, with 2001:db8:ff::/64 behind it.
    """

    def __init__(self, lab, workers):
        d = self.daemon = lab.daemon(workers=workers, networks=[NETWORK, ADVERTISED])
        self.lab = lab
        self.host = lab.netns('host')
        lab.ns.veth('up0', self.host, 'eth0')
        self.up_mac = d.call('port.add', name='u', kind='eth', network='n', device='net_af_packet0,iface=up0',
                             addresses=['2001:db8:9::1/64'])['port']['mac']
        enable(self.host, 'eth0')
        self.host.ip('addr', 'add', '2001:db8:9::2/64', 'dev', 'eth0')
        self.host.ip('addr', 'add', '2001:db8:ff::1/64', 'dev', 'lo')
        self.host_routes('2001:db8:9::1')
        self.p = self.pod('p', '2001:db8:1::2/64', '2001:db8:1::1')
        self.q = self.pod('q', '2001:db8:2::2/128', 'fe80::1')
        self.r = self.pod('r', '2001:db8:1::7/64', 'fe80::1', allowedPrefixes=['2001:db8:7::/64'])
        self.behind = lab.netns('behind')
        self.r.ns.veth('in0', self.behind, 'eth0')
        enable(self.r.ns, 'in0')
        enable(self.behind, 'eth0')
        self.r.ns.ip('addr', 'add', '2001:db8:7::1/64', 'dev', 'in0', 'nodad')
        self.r.ns.sysctl('net.ipv6.conf.all.forwarding', 1)
        self.behind.ip('addr', 'add', '2001:db8:7::9/64', 'dev', 'eth0', 'nodad')
        self.behind.ip('route', 'add', 'default', 'via', '2001:db8:7::1')
        d.call('route.add', network='n', prefix='2001:db8:7::/64', gateway='2001:db8:1::7')
        d.call('route.add', network='n', prefix='2001:db8:ff::/64', gateway='2001:db8:9::2')
        for ns in (self.p.ns, self.q.ns, self.r.ns, self.host):
            valid(ns, 'eth0')

    def host_routes(self, gateway, command='add'):
        for prefix in ('2001:db8:1::/64', '2001:db8:2::/64', '2001:db8:7::/64'):
            self.host.ip('route', command, prefix, 'via', gateway, 'dev', 'eth0')

    def pod(self, name, address, gateway, mtu=1500, network='n', **more):
        port = self.daemon.call('port.add', name=name, kind='vhost-user', network=network, addresses=[address],
                                socket=self.lab.socket_path(name), mtu=mtu, **more)['port']
        pod = self.lab.kernel_pod(name, self.lab.socket_path(name), mac=port['mac'], mtu=mtu)
        give_way(pod.testpmd.process.pid)
        self.daemon.wait_port(name)
        enable(pod.ns, 'eth0')
        pod.ns.ip('addr', 'add', address, 'dev', 'eth0')
        if gateway:
            pod.ns.ip('route', 'add', 'default', 'via', gateway, 'dev', 'eth0')
        return pod


def answered(ns, target, size=None, extra=()):
    got = ns.ping(target, count=2, size=size, extra=('-w', '20', *extra))
    assert got >= 2, f'{ns.name} to {target}: {got} of 2 answered'


def pings(w):
    for ns, targets in ((w.p.ns, ('2001:db8:1::1', 'fe80::1%eth0', '2001:db8:2::1', '2001:db8:2::2', '2001:db8:1::7',
                                  '2001:db8:9::1', '2001:db8:9::2', '2001:db8:ff::1', '2001:db8:7::9')),
                        (w.q.ns, ('fe80::1%eth0', '2001:db8:1::2', '2001:db8:9::2', '2001:db8:7::9')),
                        (w.host, ('2001:db8:9::1', '2001:db8:1::2', '2001:db8:2::2', '2001:db8:7::9')),
                        (w.behind, ('2001:db8:1::2', '2001:db8:2::2', '2001:db8:ff::1'))):
        for target in targets:
            answered(ns, target)
    answered(w.p.ns, '2001:db8:2::2', 1452)
    answered(w.p.ns, '2001:db8:2::2', 4000)  # the sender's fragments


def neighbour(ns, address):
    line = ns.ip('-6', 'neigh', 'show', address).split()
    return line[line.index('lladdr') + 1] if 'lladdr' in line else None


def neighbours(w):
    assert neighbour(w.p.ns, '2001:db8:1::1') == GATEWAY_MAC, neighbour(w.p.ns, '2001:db8:1::1')
    assert neighbour(w.q.ns, 'fe80::1') == GATEWAY_MAC
    assert neighbour(w.p.ns, '2001:db8:1::7') == GATEWAY_MAC, 'on-link by its prefix, so by proxy'
    assert neighbour(w.host, '2001:db8:9::1') == w.up_mac
    ours = {n['address']: n for n in w.daemon.call('neighbour.list', network='n')['neighbours']}
    mac = json.loads(w.host.run('ip', '-j', 'link', 'show', 'eth0').stdout)[0]['address']
    assert (ours['2001:db8:9::2']['mac'], ours['2001:db8:9::2']['state']) == (mac, 'reachable'), ours
    # The other end gets a new MAC; its unsolicited advertisement overrides what is known.
    w.host.sysctl('net.ipv6.conf.eth0.ndisc_notify', 1)
    w.host.sysctl('net.ipv6.conf.eth0.keep_addr_on_down', 1)
    w.host.ip('link', 'set', 'eth0', 'down')
    w.host.ip('link', 'set', 'eth0', 'address', '02:00:00:00:09:99')
    w.host.ip('link', 'set', 'eth0', 'up')
    valid(w.host, 'eth0')
    w.host_routes('2001:db8:9::1', 'replace')
    wait_for('the new MAC', lambda: [n for n in w.daemon.call('neighbour.list', network='n')['neighbours']
                                     if n['mac'] == '02:00:00:00:09:99'], 30)
    answered(w.p.ns, '2001:db8:9::2')
    failed = w.daemon.call('stats.get')['drops'].get('neighbour_failed', 0)
    # In use, it is asked by unicast: the kernel's answer to that confirms, and does not say a MAC.
    wait_for('the new MAC to be confirmed', lambda: w.p.ns.ping('2001:db8:9::2', count=1, timeout=1) and [
        n for n in w.daemon.call('neighbour.list', network='n')['neighbours']
        if n['address'] == '2001:db8:9::2' and n['state'] == 'reachable'], 20)
    assert w.daemon.call('stats.get')['drops'].get('neighbour_failed', 0) == failed, 'it was given up'
    # Nobody there: the kernel hears of it as of any router.
    done = w.p.ns.run('ping', '-n', '-c', '1', '-W', '12', '2001:db8:9::77', check=False)
    assert 'Address unreachable' in done.stdout and '2001:db8:1::1' in done.stdout, done.stdout
    done = w.p.ns.run('ping', '-n', '-c', '1', '-W', '12', '2001:db8:dead::1', check=False)
    assert 'No route' in done.stdout, done.stdout


def link_local_gateway(w):
    """Routes by way of link-local addresses, ours and theirs."""
    address = re.search(r'inet6 (fe80::\S+)/64', w.host.ip('-6', 'addr', 'show', 'dev', 'eth0'))[1]
    w.daemon.call('route.del', network='n', prefix='2001:db8:ff::/64')
    w.daemon.call('route.add', network='n', prefix='2001:db8:ff::/64', gateway=address, port='u')
    listed = [r for r in w.daemon.call('route.list', network='n')['routes'] if r['prefix'] == '2001:db8:ff::/64']
    assert listed[0]['gateway'] == address and listed[0]['port'] == 'u', listed
    answered(w.p.ns, '2001:db8:ff::1')
    found = [n for n in w.daemon.call('neighbour.list', network='n')['neighbours'] if n['address'] == address]
    assert [n['port'] for n in found] == ['u'] and found[0]['state'] == 'reachable', found
    mac = bytes.fromhex(w.up_mac.replace(':', ''))
    own = bytes([mac[0] ^ 2, mac[1], mac[2], 0xff, 0xfe, *mac[3:]])
    ours = socket.inet_ntop(socket.AF_INET6, b'\xfe\x80' + bytes(6) + own)
    w.host_routes(ours, 'replace')
    answered(w.host, '2001:db8:2::2')


def traceroute(ns, target, hops=6):
    """UDP with a rising hop limit; who answers each, and the last one's ICMPv6 type and code."""
    path = []
    with ns.enter():
        listen = socket.socket(socket.AF_INET6, socket.SOCK_RAW, socket.IPPROTO_ICMPV6)
        send = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
    with listen, send:
        for limit in range(1, hops + 1):
            send.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_UNICAST_HOPS, limit)
            port = 33434 + limit
            try:
                send.sendto(b'traceroute', (target, port))
            except OSError:
                send.sendto(b'traceroute', (target, port))  # the last error was reported here
            end = time.monotonic() + 10
            while True:
                assert select.select([listen], [], [], max(0, end - time.monotonic()))[0], \
                    f'no answer with hop limit {limit}, so far {path}'
                data, (who, *_) = listen.recvfrom(2048)
                if data[0] in (1, 3) and struct.unpack('!H', data[50:52])[0] == port:
                    break
            path.append(who)
            if data[0] == 1:
                return path, (data[0], data[1])
    return path, None


def traces(w):
    for ns, target, path in (
            (w.p.ns, '2001:db8:2::2', ['2001:db8:1::1', '2001:db8:2::2']),
            (w.q.ns, '2001:db8:1::2', ['2001:db8:2::1', '2001:db8:1::2']),
            (w.p.ns, '2001:db8:ff::1', ['2001:db8:1::1', '2001:db8:ff::1']),
            (w.host, '2001:db8:1::2', ['2001:db8:9::1', '2001:db8:1::2']),
            (w.behind, '2001:db8:2::2', ['2001:db8:7::1', '2001:db8:1::1', '2001:db8:2::2']),
            (w.p.ns, '2001:db8:1::1', ['2001:db8:1::1'])):
        got = traceroute(ns, target)
        assert got == (path, (1, 4)), f'{ns.name} to {target}: {got}, wanted {path}'


def tcp(w):
    for name, server, client, target in (('pod to pod', w.q.ns, w.p.ns, '2001:db8:2::2'),
                                         ('uplink to pod', w.p.ns, w.host, '2001:db8:1::2'),
                                         ('through the router pod', w.behind, w.q.ns, '2001:db8:7::9')):
        listening = w.lab.spawn(f'iperf3-{name.replace(" ", "-")}', ['iperf3', '-6', '-s', '-1', '--forceflush'],
                                netns=server)
        listening.expect('Server listening', 20)
        done = client.run('iperf3', '-6', '-c', target, '-n', '2M', '-w', '64K', '-J', check=False, timeout=60)
        result = json.loads(done.stdout)
        assert 'error' not in result, f'{name}: {result["error"]}'
        sent, received = (result['end'][k]['bytes'] for k in ('sum_sent', 'sum_received'))
        assert sent >= 2 << 20 and received >= 1 << 20, f'{name}: {sent} bytes sent, {received} received'
        assert listening.wait(20) == 0


def too_big(w):
    """Path MTU discovery: the kernel believes our packet too big and sends smaller."""
    pod = w.pod('s', '2001:db8:1::8/64', 'fe80::1', mtu=1300)
    valid(pod.ns, 'eth0')
    done = w.p.ns.run('ping', '-n', '-c', '1', '-W', '12', '-M', 'do', '-s', '1400', '2001:db8:1::8', check=False)
    assert re.search(r'2001:db8:1::1 .*too big.*mtu=1300', done.stdout), done.stdout + done.stderr
    assert 'mtu 1300' in w.p.ns.ip('route', 'get', '2001:db8:1::8'), w.p.ns.ip('route', 'get', '2001:db8:1::8')
    answered(w.p.ns, '2001:db8:1::8', 2000)
    pod.stop()
    w.daemon.call('port.del', name='s')


def advertised(w):
    """A pod that has only an address asks for the rest."""
    pod = w.pod('z', '2001:db8:8::5/128', None, network='m', mtu=1400)
    pod.ns.sysctl('net.ipv6.conf.eth0.accept_ra', 2)
    pod.ns.sysctl('net.ipv6.conf.eth0.keep_addr_on_down', 1)
    pod.ns.sysctl('net.ipv6.conf.eth0.router_solicitations', 3)
    pod.ns.ip('link', 'set', 'eth0', 'mtu', '1500')
    pod.ns.ip('link', 'set', 'eth0', 'down')
    pod.ns.ip('link', 'set', 'eth0', 'up')

    def told():
        routes = pod.ns.ip('-6', 'route', 'show', 'dev', 'eth0')
        return 'default via fe80::1 proto ra' in routes and '2001:db8:8::/64 proto' in routes and 'mtu 1400' in routes

    wait_for('the router advertisement', told, 20)
    addresses = pod.ns.ip('-6', 'addr', 'show', 'dev', 'eth0')
    assert addresses.count('2001:db8:8:') == 1, f'nothing is for autoconfiguration: {addresses}'
    answered(pod.ns, '2001:db8:8::1')
    pod.stop()
    w.daemon.call('port.del', name='z')


def duplicate(w):
    """Who takes an address that the gateway has, or that another pod has, is told."""
    for address in ('2001:db8:1::1', 'fe80::1', '2001:db8:2::2'):
        pod = w.p.ns
        pod.ip('addr', 'add', f'{address}/64', 'dev', 'eth0')
        wait_for(f'detection of {address}', lambda: 'tentative' not in pod.ip('-6', 'addr', 'show', 'dev', 'eth0') or
                 'dadfailed' in pod.ip('-6', 'addr', 'show', 'dev', 'eth0'), 20)
        text = pod.ip('-6', 'addr', 'show', 'dev', 'eth0')
        pod.ip('addr', 'del', f'{address}/64', 'dev', 'eth0')
        assert 'dadfailed' in text, text


def main():
    t = Tap()
    for workers in settings.workers:
        with Lab('kernel6') as lab:
            try:
                w = World(lab, workers)
            except ProcessError as e:
                t.bail(e)
            for part in (pings, neighbours, traces, tcp, too_big, link_local_gateway, advertised, duplicate):
                with t.case(f'{part.__name__}, {workers} workers'):
                    part(w)
            with t.case(f'packets are conserved, {workers} workers'), w.daemon.client() as c:
                stats = assert_conserved(c)
                t.note(f'drops: {stats["drops"]}')
            with t.case(f'clean end, {workers} workers'):
                w.daemon.stop()
    t.done()


if __name__ == '__main__':
    main()
