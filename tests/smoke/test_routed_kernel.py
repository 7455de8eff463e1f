#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
# podrail-test: limit=240
"""The Linux kernel on all sides of routed networks: ping, traceroute, TCP, a pod that is a router."""

import json
import re
import select
import socket
import struct
import time

from lib import Lab, ProcessError, Tap, assert_conserved, settings, wait_for
from routed_world import GATEWAY_MAC, give_way

NETWORK = {'name': 'n', 'mode': 'routed', 'subnets': ['198.18.1.0/24', '198.18.2.0/24']}


class World:
    """
    Pods p (198.18.1.2, default route by 198.18.1.1) and q (198.18.2.2/32, default route by the
    link-local gateway); r is a router with 198.19.7.0/24 behind it; host sits on the uplink's wire,
    with 192.0.2.0/24 behind it.
    """

    def __init__(self, lab, workers):
        d = self.daemon = lab.daemon(workers=workers, networks=[NETWORK])
        self.lab = lab
        self.host = lab.netns('host')
        lab.ns.veth('up0', self.host, 'eth0')
        self.up_mac = d.call('port.add', name='u', kind='eth', network='n', device='net_af_packet0,iface=up0',
                             addresses=['198.18.9.1/24'])['port']['mac']
        self.host.ip('addr', 'add', '198.18.9.2/24', 'dev', 'eth0')
        self.host.ip('addr', 'add', '192.0.2.1/24', 'dev', 'lo')
        for prefix in ('198.18.1.0/24', '198.18.2.0/24', '198.19.7.0/24'):
            self.host.ip('route', 'add', prefix, 'via', '198.18.9.1')
        self.p = self.pod('p', '198.18.1.2/24', '198.18.1.1')
        self.q = self.pod('q', '198.18.2.2/32', '169.254.1.1')
        self.r = self.pod('r', '198.18.1.7/24', '198.18.1.1', allowedPrefixes=['198.19.7.0/24'])
        self.behind = lab.netns('behind')
        self.r.ns.veth('in0', self.behind, 'eth0')
        self.r.ns.ip('addr', 'add', '198.19.7.1/24', 'dev', 'in0')
        self.r.ns.sysctl('net.ipv4.ip_forward', 1)
        self.behind.ip('addr', 'add', '198.19.7.9/24', 'dev', 'eth0')
        self.behind.ip('route', 'add', 'default', 'via', '198.19.7.1')
        d.call('route.add', network='n', prefix='198.19.7.0/24', gateway='198.18.1.7')
        d.call('route.add', network='n', prefix='192.0.2.0/24', gateway='198.18.9.2')

    def pod(self, name, address, gateway, **more):
        port = self.daemon.call('port.add', name=name, kind='vhost-user', network='n', addresses=[address],
                                socket=self.lab.socket_path(name), **more)['port']
        pod = self.lab.kernel_pod(name, self.lab.socket_path(name), mac=port['mac'], address=address,
                                  gateway=gateway)
        give_way(pod.testpmd.process.pid)
        self.daemon.wait_port(name)
        return pod


def neighbour(ns, address):
    """What the kernel knows of an address: ('02:…', 'REACHABLE')."""
    line = ns.ip('neigh', 'show', address).split()
    return (line[line.index('lladdr') + 1] if 'lladdr' in line else None, line[-1] if line else None)


def traceroute(ns, target, hops=6):
    """As traceroute does it: UDP with a rising TTL; who answers each, and the last one's ICMP type."""
    path = []
    with ns.enter():
        listen = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP)
        send = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    with listen, send:
        for ttl in range(1, hops + 1):
            send.setsockopt(socket.IPPROTO_IP, socket.IP_TTL, ttl)
            port = 33434 + ttl
            try:
                send.sendto(b'traceroute', (target, port))
            except OSError:
                send.sendto(b'traceroute', (target, port))  # the last error was reported here
            end = time.monotonic() + 10
            while True:
                assert select.select([listen], [], [], max(0, end - time.monotonic()))[0], \
                    f'no answer with TTL {ttl}, so far {path}'
                data, (who, _) = listen.recvfrom(2048)
                # The quoted header tells which of ours it is about.
                if data[20] in (3, 11) and struct.unpack('!H', data[50:52])[0] == port:
                    break
            path.append(who)
            if data[20] == 3:
                return path, (data[20], data[21])
    return path, None


def answered(ns, target, size=None, extra=()):
    """Two answers within a time that any machine makes.
    Without -w, ping waits two round trips at most; with it, it goes on until two were answered.
    """
    got = ns.ping(target, count=2, interval=0.02, size=size, extra=('-w', '20', *extra))
    assert got >= 2, f'{ns.name} to {target}: {got} of 2 answered'


def pings(w):
    for ns, targets in ((w.p.ns, ('198.18.1.1', '169.254.1.1', '198.18.2.2', '198.18.1.7', '198.18.9.1', '198.18.9.2',
                                  '192.0.2.1', '198.19.7.9')),
                        (w.q.ns, ('169.254.1.1', '198.18.1.2', '198.18.9.2', '198.19.7.9')),
                        (w.host, ('198.18.9.1', '198.18.1.2', '198.18.2.2', '198.19.7.9')),
                        (w.behind, ('198.18.1.2', '198.18.2.2', '192.0.2.1'))):
        for target in targets:
            answered(ns, target)
    answered(w.p.ns, '198.18.2.2', 1472, ('-M', 'do'))
    answered(w.p.ns, '198.18.2.2', 4000)  # in fragments


def kernel_neighbours(w):
    assert neighbour(w.p.ns, '198.18.1.1')[0] == GATEWAY_MAC, neighbour(w.p.ns, '198.18.1.1')
    assert neighbour(w.q.ns, '169.254.1.1')[0] == GATEWAY_MAC
    assert neighbour(w.p.ns, '198.18.1.7')[0] == GATEWAY_MAC, 'on-link by its prefix, so by proxy ARP'
    assert neighbour(w.host, '198.18.9.1')[0] == w.up_mac, neighbour(w.host, '198.18.9.1')
    ours = {n['address']: n for n in w.daemon.call('neighbour.list', network='n')['neighbours']}
    mac = json.loads(w.host.run('ip', '-j', 'link', 'show', 'eth0').stdout)[0]['address']
    assert (ours['198.18.9.2']['mac'], ours['198.18.9.2']['state']) == (mac, 'reachable'), ours
    # The other end gets a new MAC and says so as kernels do: traffic goes on.
    w.host.ip('link', 'set', 'eth0', 'address', '02:00:00:00:09:99')
    w.host.sysctl('net.ipv4.conf.eth0.arp_notify', 1)
    w.host.ip('link', 'set', 'eth0', 'down')
    w.host.ip('link', 'set', 'eth0', 'up')
    for prefix in ('198.18.1.0/24', '198.18.2.0/24', '198.19.7.0/24'):
        w.host.ip('route', 'replace', prefix, 'via', '198.18.9.1')
    wait_for('the new MAC', lambda: [n for n in w.daemon.call('neighbour.list', network='n')['neighbours']
                                     if n['mac'] == '02:00:00:00:09:99'])
    answered(w.p.ns, '198.18.9.2')
    # Nobody there: the kernel hears of it as of any router.
    done = w.p.ns.run('ping', '-n', '-c', '1', '-W', '12', '198.18.9.77', check=False)
    assert 'Destination Host Unreachable' in done.stdout and '198.18.1.1' in done.stdout, done.stdout
    done = w.p.ns.run('ping', '-n', '-c', '1', '-W', '12', '100.64.0.1', check=False)
    assert 'Destination Net Unreachable' in done.stdout, done.stdout


def traces(w):
    for ns, target, path in (
            (w.p.ns, '198.18.2.2', ['198.18.1.1', '198.18.2.2']),
            (w.q.ns, '198.18.1.2', ['198.18.2.1', '198.18.1.2']),
            (w.p.ns, '192.0.2.1', ['198.18.1.1', '192.0.2.1']),
            (w.host, '198.18.1.2', ['198.18.9.1', '198.18.1.2']),
            (w.p.ns, '198.19.7.9', ['198.18.1.1', '198.18.1.7', '198.19.7.9']),
            (w.host, '198.19.7.9', ['198.18.9.1', '198.18.1.7', '198.19.7.9']),
            (w.behind, '192.0.2.1', ['198.19.7.1', '198.18.1.1', '192.0.2.1']),
            (w.p.ns, '198.18.1.1', ['198.18.1.1'])):
        got = traceroute(ns, target)
        assert got == (path, (3, 3)), f'{ns.name} to {target}: {got}, wanted {path}'


def tcp(w):
    for name, server, client, target in (('pod to pod', w.q.ns, w.p.ns, '198.18.2.2'),
                                         ('pod to uplink', w.host, w.p.ns, '198.18.9.2'),
                                         ('uplink to pod', w.p.ns, w.host, '198.18.1.2'),
                                         ('through the router pod', w.behind, w.q.ns, '198.19.7.9')):
        listening = w.lab.spawn(f'iperf3-{name.replace(" ", "-")}', ['iperf3', '-s', '-1', '--forceflush'],
                                netns=server)
        listening.expect('Server listening', 20)
        done = client.run('iperf3', '-c', target, '-n', '2M', '-w', '64K', '-J', check=False, timeout=60)
        result = json.loads(done.stdout)
        assert 'error' not in result, f'{name}: {result["error"]}'
        # What is under way when the sender has sent it all, iperf3 does not count.
        sent, received = (result['end'][k]['bytes'] for k in ('sum_sent', 'sum_received'))
        assert sent >= 2 << 20 and received >= 1 << 20, f'{name}: {sent} bytes sent, {received} received'
        assert listening.wait(20) == 0


def too_big(w):
    """Path MTU discovery: the kernel believes our 3/4 and sends smaller."""
    d = w.daemon
    port = d.call('port.add', name='s', kind='vhost-user', network='n', addresses=['198.18.1.8/24'], mtu=1000,
                  socket=w.lab.socket_path('s'))['port']
    pod = w.lab.kernel_pod('s', w.lab.socket_path('s'), mac=port['mac'], address='198.18.1.8/24',
                           gateway='198.18.1.1', mtu=1000)
    give_way(pod.testpmd.process.pid)
    d.wait_port('s')
    done = w.p.ns.run('ping', '-n', '-c', '1', '-W', '12', '-M', 'do', '-s', '1200', '198.18.1.8', check=False)
    assert re.search(r'198\.18\.1\.1 .*[Ff]rag needed.*mtu = 1000', done.stdout), done.stdout + done.stderr
    assert 'mtu 1000' in w.p.ns.ip('route', 'get', '198.18.1.8'), w.p.ns.ip('route', 'get', '198.18.1.8')
    answered(pod.ns, '198.18.1.2', 972)
    pod.stop()
    d.call('port.del', name='s')


def pod_again(w):
    """The router pod goes and comes back: what is behind it is unreachable meanwhile, and there again."""
    w.daemon.call('port.del', name='r')
    done = w.p.ns.run('ping', '-n', '-c', '1', '-W', '12', '198.19.7.9', check=False)
    assert 'Unreachable' in done.stdout, done.stdout
    w.daemon.call('port.add', name='r', kind='vhost-user', network='n', addresses=['198.18.1.7/24'],
                  socket=w.lab.socket_path('r'), mac=w.r.mac, allowedPrefixes=['198.19.7.0/24'])
    w.daemon.wait_port('r')
    wait_for('the router to be back', lambda: w.p.ns.ping('198.19.7.9', count=1, timeout=2) == 1, 20)


def main():
    t = Tap()
    for workers in settings.workers:
        with Lab('kernel') as lab:
            try:
                w = World(lab, workers)
            except ProcessError as e:
                t.bail(e)
            for part in (pings, kernel_neighbours, traces, tcp, too_big, pod_again):
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
