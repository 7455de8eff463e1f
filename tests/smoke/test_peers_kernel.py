#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
# podrail-test: limit=300 flavours=release
"""The tools that a network engineer reaches for, against a router of both families and a bridge: traceroute, tracepath,
arping, ndisc6, rdisc6, iperf3, the kernel's own neighbour states, and tshark's opinion of every checksum."""

import json
import re
import socket
import time

from scapy.layers.inet import ICMP, IP, TCP, UDP
from scapy.layers.inet6 import ICMPv6EchoRequest, IPv6
from scapy.layers.l2 import Ether
from scapy.utils import wrpcap

from kernel_world import CHECKSUMS, Capture, answered, checksums, enable6, kernel_pod, valid6
from lib import Lab, ProcessError, Tap, assert_conserved, settings, wait_for
from routed_world import GATEWAY_MAC

NETWORKS = [{'name': 'n', 'mode': 'routed', 'routerAdvertisements': True,
             'subnets': ['198.18.1.0/24', '198.18.2.0/24', '2001:db8:1::/64', '2001:db8:2::/64']},
            {'name': 'l2', 'mode': 'bridged'}]


class World:
    """
    p and q are pods of the routed network, q with an MTU of 1300; host is on the uplink, whose MTU
    is 1400, with 192.0.2.0/24 and 2001:db8:ff::/64 behind it. x and y are on the bridge.
    """

    def __init__(self, lab, workers):
        d = self.daemon = lab.daemon(workers=workers, networks=NETWORKS)
        self.lab = lab
        self.host = lab.netns('host')
        lab.ns.veth('up0', self.host, 'eth0')
        self.up_mac = d.call('port.add', name='u', kind='eth', network='n', device='net_af_packet0,iface=up0', mtu=1400,
                             addresses=['198.18.9.1/24', '2001:db8:9::1/64'])['port']['mac']
        enable6(self.host, 'eth0')
        self.host.ip('link', 'set', 'eth0', 'mtu', 1400)
        for address, device in (('198.18.9.2/24', 'eth0'), ('2001:db8:9::2/64', 'eth0'), ('192.0.2.1/24', 'lo'),
                                ('2001:db8:ff::1/64', 'lo')):
            self.host.ip('addr', 'add', address, 'dev', device)
        valid6(self.host, 'eth0')
        # The kernel says that it takes more than fits through the uplink: so that senders must find out.
        for prefix, gateway in (('198.18.0.0/20', '198.18.9.1'), ('2001:db8:1::/64', '2001:db8:9::1'),
                                ('2001:db8:2::/64', '2001:db8:9::1')):
            self.host.ip('route', 'add', prefix, 'via', gateway, 'advmss', 1440)
        d.call('route.add', network='n', prefix='192.0.2.0/24', gateway='198.18.9.2')
        d.call('route.add', network='n', prefix='2001:db8:ff::/64', gateway='2001:db8:9::2')
        self.p = kernel_pod(lab, d, 'p', 'n', '198.18.1.2/24', '2001:db8:1::2/64', '198.18.1.1').ns
        self.q = kernel_pod(lab, d, 'q', 'n', '198.18.2.2/24', '2001:db8:2::2/64', '198.18.2.1', mtu=1300).ns
        self.x = kernel_pod(lab, d, 'x', 'l2', '198.18.5.2/24', '2001:db8:5::2/64').ns
        self.y = kernel_pod(lab, d, 'y', 'l2', '198.18.5.3/24', '2001:db8:5::3/64').ns
        d.wait_port('u')
        self.captures = [Capture(lab, name, getattr(self, name), 'eth0') for name in ('p', 'q', 'x', 'y', 'host')]

    def neighbour(self, address):
        found = [n for n in self.daemon.call('neighbour.list', network='n')['neighbours'] if n['address'] == address]
        return found[0]['state'] if found else None

    def forget_paths(self):
        """What was learned of path MTUs."""
        for family in ('-4', '-6'):
            self.p.ip(family, 'route', 'flush', 'cache')


def output(ns, *argv, status=0):
    done = ns.run(*argv, check=False, timeout=90)
    assert status is None or done.returncode == status, f'{argv}: {done.returncode}\n{done.stdout}{done.stderr}'
    return done.stdout


def pings(w):
    for ns, targets in ((w.p, ('198.18.1.1', '198.18.2.2', '198.18.9.2', '192.0.2.1', '2001:db8:1::1', '2001:db8:2::2',
                               '2001:db8:9::2', '2001:db8:ff::1', 'fe80::1%eth0')),
                        (w.host, ('198.18.1.2', '198.18.2.2', '2001:db8:1::2', '2001:db8:2::2')),
                        (w.x, ('198.18.5.3', '2001:db8:5::3'))):
        for target in targets:
            answered(ns, target)


def traceroutes(w):
    """Every hop, by UDP, ICMP and TCP; the last one of each must be the target itself."""
    for ns, target, path in (
            (w.p, '192.0.2.1', ['198.18.1.1', '192.0.2.1']), (w.p, '2001:db8:ff::1', ['2001:db8:1::1', '2001:db8:ff::1']),
            (w.p, '198.18.2.2', ['198.18.1.1', '198.18.2.2']), (w.q, '2001:db8:1::2', ['2001:db8:2::1', '2001:db8:1::2']),
            (w.host, '198.18.2.2', ['198.18.9.1', '198.18.2.2']), (w.host, '2001:db8:1::2', ['2001:db8:9::1', '2001:db8:1::2']),
            (w.p, '198.18.1.1', ['198.18.1.1']), (w.p, '2001:db8:1::1', ['2001:db8:1::1'])):
        for method in ('-U', '-I', '-T'):
            text = output(ns, 'traceroute', '-n', method, '-q', '1', '-N', '1', '-w', '10', '-m', '5', target)
            hops = re.findall(r'^ *\d+ +(\S+)', text, re.M)
            assert hops == path and '!' not in text, f'traceroute {method} {target}:\n{text}'
    # Nobody there, and no way there: the router says so, in traceroute's own words.
    for target, router, mark in (('198.18.9.77', '198.18.1.1', '!H'), ('100.64.0.1', '198.18.1.1', '!N'),
                                 ('2001:db8:9::77', '2001:db8:1::1', '!H'), ('2001:db8:dead::1', '2001:db8:1::1', '!N')):
        text = output(w.p, 'traceroute', '-n', '-q', '1', '-N', '1', '-w', '10', '-f', '2', '-m', '2', target, status=None)
        assert re.search(rf'^ *2 +{re.escape(router)} .*{mark}', text, re.M), f'{target}:\n{text}'


def tracepaths(w):
    """Path MTU discovery of both families (RFC 1191, RFC 8201)."""
    for target, router, mtu in (('192.0.2.1', '198.18.1.1', 1400), ('198.18.2.2', '198.18.1.1', 1300),
                                ('2001:db8:ff::1', '2001:db8:1::1', 1400), ('2001:db8:2::2', '2001:db8:1::1', 1300)):
        w.forget_paths()
        text = output(w.p, 'tracepath', '-n', '-m', '6', target)
        assert re.search(rf'^ 1: +{re.escape(router)} ', text, re.M), text
        assert re.search(rf'^ 2: +{re.escape(router)} .*pmtu {mtu}$', text, re.M), text
        assert re.search(rf'^ 2: +{re.escape(target)} .*reached$', text, re.M), text
        assert re.search(rf'Resume: pmtu {mtu} hops 2 back 2', text), text
        assert f'mtu {mtu}' in w.p.ip('route', 'get', target)
        w.forget_paths()
        text = output(w.p, 'traceroute', '--mtu', '-n', '-q', '1', '-w', '10', '-m', '5', target)
        assert f'F={mtu}' in text and target in text.splitlines()[-1], text
        w.forget_paths()
    # What may be fragmented, is: by the router (IPv4), by the sender (IPv6).
    answered(w.p, '198.18.2.2', 3000, ('-M', 'dont'))
    w.p.ping('2001:db8:2::2', count=1, size=3000)  # the error counts as an answer
    answered(w.p, '2001:db8:2::2', 3000)
    w.forget_paths()


def arpings(w):
    found = output(w.p, 'arping', '-I', 'eth0', '-c', '2', '-w', '20', '198.18.1.1')
    assert found.count('reply from 198.18.1.1') >= 2 and GATEWAY_MAC in found.lower(), found
    found = output(w.host, 'arping', '-I', 'eth0', '-c', '1', '-w', '20', '198.18.9.1')
    assert w.up_mac in found.lower(), found
    # Duplicate address detection (RFC 5227): status 1 says that somebody has it.
    for ns, address, status in ((w.p, '198.18.1.1', 1), (w.p, '198.18.2.2', 1), (w.p, '169.254.1.1', 1), (w.p, '198.18.1.2', 0),
                                (w.p, '198.18.1.99', 0), (w.host, '198.18.9.1', 1), (w.host, '198.18.9.77', 0),
                                (w.host, '198.18.1.2', 0), (w.x, '198.18.5.3', 1), (w.x, '198.18.5.2', 0)):
        text = output(ns, 'arping', '-D', '-I', 'eth0', '-c', '1', '-w', '10' if status else '1', address, status=None)
        replies = len(re.findall('reply from', text))
        assert (status == 1) == (replies > 0), f'{ns.name} asks for {address}:\n{text}'


def discoveries(w):
    """ndisc6 and rdisc6 (RFC 4861)."""
    for ns, address, mac in ((w.p, '2001:db8:1::1', GATEWAY_MAC), (w.p, 'fe80::1', GATEWAY_MAC), (w.q, 'fe80::1', GATEWAY_MAC),
                             (w.host, '2001:db8:9::1', w.up_mac)):
        text = output(ns, 'ndisc6', '-1', '-n', '-w', '5000', address, 'eth0')
        assert mac.upper() in text.upper(), f'{address}: {text}'
    for ns, address in ((w.p, '2001:db8:1::99'), (w.host, '2001:db8:1::2')):
        text = output(ns, 'ndisc6', '-1', '-n', '-r', '1', '-w', '700', address, 'eth0', status=None)
        assert 'link-layer' not in text.lower() and 'No response' in text, text
    text = output(w.p, 'rdisc6', '-1', '-n', '-w', '5000', 'eth0')
    for line in (r'Hop limit +: +64', r'Router lifetime +: +1800', r'Stateful address conf\. +: +No', r'MTU +: +1500 bytes',
                 r'Prefix +: 2001:db8:1::/64', r'On-link +: +Yes', r'Autonomous address conf\.: +No',
                 rf'Source link-layer address: {GATEWAY_MAC.upper()}', 'from fe80::1'):
        assert re.search(line, text), f'{line}:\n{text}'
    text = output(w.host, 'rdisc6', '-1', '-n', '-r', '1', '-w', '700', 'eth0', status=None)
    assert 'No response' in text, text


def datagram(ns, target):
    """Nothing that its sender takes for a proof that the neighbour is there, as ping does its answers."""
    family = socket.AF_INET6 if ':' in target else socket.AF_INET
    with ns.enter():
        s = socket.socket(family, socket.SOCK_DGRAM)
    with s:
        s.sendto(b'one', (target, 9))


def kernel_states(w):
    """A kernel whose entries age within a second asks again and again, and never gives us up."""
    for family, address, other in (('ipv4', '198.18.1.1', '198.18.2.2'), ('ipv6', 'fe80::1', '2001:db8:2::2')):
        w.p.sysctl(f'net.{family}.neigh.eth0.base_reachable_time_ms', 500)
        w.p.sysctl(f'net.{family}.neigh.eth0.delay_first_probe_time', 1)
        # Entries of before keep their time.
        w.p.ip(f'-{family[-1]}', 'neigh', 'flush', 'dev', 'eth0')
        answered(w.p, other)
        watch = w.lab.spawn(f'monitor-{family}', ['ip', '-o', f'-{family[-1]}', 'monitor', 'neigh', 'dev', 'eth0'], netns=w.p)
        probed = rf'{re.escape(address)} lladdr {GATEWAY_MAC} .*PROBE'

        def confirmed():
            """Probed, and found: in that order."""
            datagram(w.p, other)
            return re.search(probed + r'[\s\S]*\n' + re.escape(address) + r' lladdr \S+ .*REACHABLE', watch.output())

        wait_for(f'{address} to be probed and found', confirmed, 40)
        assert 'FAILED' not in watch.output() and 'INCOMPLETE' not in watch.output(), watch.output()
        watch.expected_end = True
        watch.stop()
        entries = json.loads(w.p.ip('-j', f'-{family[-1]}', 'neigh', 'show', 'dev', 'eth0'))
        mine = [e for e in entries if e['dst'] == address]
        assert mine[0]['lladdr'] == GATEWAY_MAC and mine[0]['state'] != ['FAILED'], entries
    # That it could be seen: what nobody has, fails.
    assert w.p.ping('198.18.1.99', count=1, timeout=4) == 0
    wait_for('an address that nobody has to fail', lambda: 'FAILED' in w.p.ip('neigh', 'show', '198.18.1.99'), 20)


def our_states(w):
    """podrail's view of a kernel: nothing, incomplete, reachable; after 30 s stale; in use it asks, and is answered."""
    assert w.neighbour('198.18.9.78') is None
    w.p.run('ping', '-n', '-c', '1', '-W', '1', '198.18.9.78', check=False)
    wait_for('one that is silent to fail', lambda: w.neighbour('198.18.9.78') == 'failed', 20)
    for address in ('198.18.9.2', '2001:db8:9::2'):
        seen = set()

        def step(state, traffic):
            if traffic:
                w.p.ping(address, count=1, timeout=1)
            seen.add(w.neighbour(address))
            return w.neighbour(address) == state

        wait_for(f'{address} to be stale', lambda: step('stale', False), 60)
        wait_for(f'{address} to be reachable again', lambda: step('reachable', True), 30)
        assert seen <= {'reachable', 'stale', 'probe'}, seen


def iperf(w, text, server, client, target, *options):
    """Returns iperf3's own account. One server a run."""
    listening = w.lab.spawn(f'iperf3-{text.replace(" ", "-")}', ['iperf3', '-s', '-1', '--forceflush'], netns=server)
    listening.expect('Server listening', 20)
    done = client.run('iperf3', '-c', target, '-J', *options, check=False, timeout=90)
    result = json.loads(done.stdout)
    assert 'error' not in result, f'{text}: {result["error"]}'
    assert listening.wait(20) == 0
    return result['end']


def iperfs(w):
    w.forget_paths()
    before = w.daemon.call('stats.get')['drops'].get('mtu_exceeded', 0)
    for text, server, client, target in (
            ('routed4', w.q, w.p, '198.18.2.2'), ('routed6', w.q, w.p, '2001:db8:2::2'),
            ('uplink4', w.host, w.p, '198.18.9.2'), ('uplink6', w.host, w.p, '2001:db8:9::2'),
            ('from-uplink4', w.p, w.host, '198.18.1.2'), ('from-uplink6', w.p, w.host, '2001:db8:1::2'),
            ('bridged4', w.y, w.x, '198.18.5.3'), ('bridged6', w.y, w.x, '2001:db8:5::3')):
        tcp = iperf(w, f'tcp {text}', server, client, target, '-n', '1M', '-w', '64K')
        # What is under way when the sender has sent it all, iperf3 does not count.
        assert tcp['sum_sent']['bytes'] >= 1 << 20 and tcp['sum_received']['bytes'] >= 1 << 19, f'{text}: {tcp}'
        udp = iperf(w, f'udp {text}', server, client, target, '-u', '-b', '2M', '-l', '1200', '-n', '120K')
        stream = udp['streams'][0]['udp']
        assert stream['packets'] >= 100 and stream['out_of_order'] == 0, f'{text}: {udp}'
        assert stream['lost_packets'] <= stream['packets'] // 4, f'{text}: {udp}'
    # Datagrams that both ends and the router cut.
    udp = iperf(w, 'udp fragments', w.host, w.p, '198.18.9.2', '-u', '-b', '2M', '-l', '5000', '-n', '200K')
    assert udp['streams'][0]['udp']['lost_packets'] <= 10, udp
    # TCP to the uplink began with what its ends agreed on, and was told.
    assert w.daemon.call('stats.get')['drops']['mtu_exceeded'] >= before + 2


def corrupted(w):
    """The check below can fail: one packet of each kind whose checksum is off by one."""
    ip, ip6 = IP(src='192.0.2.1', dst='192.0.2.2'), IPv6(src='2001:db8::1', dst='2001:db8::2')
    packets = {'ip': ip / UDP() / b'x', 'tcp': ip / TCP() / b'x', 'udp': ip6 / UDP(sport=9, dport=9) / b'x',
               'icmp': ip / ICMP() / b'x', 'icmpv6': ip6 / ICMPv6EchoRequest() / b'x'}
    field = {'ip': 24, 'tcp': 50, 'udp': 60, 'icmp': 36, 'icmpv6': 56}
    frames = {p: bytes(Ether(src='02:00:00:00:00:01', dst='02:00:00:00:00:02') / packet) for p, packet in packets.items()}
    path = f'{w.lab.dir}/control.pcap'
    wrpcap(path, [Ether(f) for f in frames.values()])
    for protocol, (good, bad) in checksums(path).items():
        assert good and not bad, f'{protocol}: the sound one: {good} {bad}'
    for protocol, at in field.items():
        frames[protocol] = frames[protocol][:at] + bytes([frames[protocol][at] ^ 1]) + frames[protocol][at + 1:]
    wrpcap(path, [Ether(f) for f in frames.values()])
    for protocol, (_, bad) in checksums(path).items():
        assert len(bad) == 1, f'{protocol}: {bad}'


def no_bad_checksum(w):
    """Of all that came out of the router and the bridge in this test."""
    total = dict.fromkeys(CHECKSUMS, 0)
    for capture in w.captures:
        for protocol, (good, bad) in checksums(capture.stop()).items():
            assert not bad, f'{capture.path}: {len(bad)} bad {protocol} checksums:\n' + '\n'.join(bad[:10])
            total[protocol] += good
    assert total['ip'] >= 1000 and total['tcp'] >= 500 and total['udp'] >= 500, total
    assert total['icmp'] >= 50 and total['icmpv6'] >= 50, total
    return f'good checksums: {total}'


PARTS = (pings, traceroutes, tracepaths, arpings, discoveries, kernel_states, iperfs, our_states, corrupted, no_bad_checksum)


def main():
    t = Tap()
    workers = settings.workers[:2][-1]
    with Lab('peers') as lab:
        try:
            w = World(lab, workers)
        except ProcessError as e:
            t.bail(e)
        for part in PARTS:
            begin = time.monotonic()
            with t.case(f'{part.__name__}, {workers} workers'):
                note = part(w)
                t.note(f'{time.monotonic() - begin:.1f} s {note or ""}')
        with t.case(f'packets are conserved, {workers} workers'), w.daemon.client() as c:
            stats = assert_conserved(c)
            t.note(f'drops: {stats["drops"]}')
        with t.case(f'clean end, {workers} workers'):
            w.daemon.stop()
    t.done()


if __name__ == '__main__':
    main()
