#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
# podrail-test: limit=180
"""IPv6 routes: what the tables say is what packets do; link-local gateways, hosts that were looked for, a restart."""

import ipaddress
import random

from scapy.layers.inet import UDP
from scapy.layers.inet6 import ICMPv6ND_NA, ICMPv6NDOptDstLLAddr, IPv6
from scapy.layers.l2 import Ether
from scapy.packet import Raw

from lib import Lab, RawPort, RpcError, Tap, assert_conserved, settings, wait_for
from routed_world import RawPods, Station, is_ip6

SEED = 61
NETWORKS = [{'name': name, 'mode': 'routed', 'subnets': ['2001:db8:1::/64']} for name in ('n', 'm')]
POD = {'a': ('n', '2001:db8:1::2', '02:00:00:00:01:02'), 'b': ('n', '2001:db8:1::3', '02:00:00:00:01:03'),
       'c': ('n', '2001:db8:1::4', '02:00:00:00:01:04'), 'x': ('m', '2001:db8:1::2', '02:00:00:00:02:02'),
       'y': ('m', '2001:db8:1::3', '02:00:00:00:02:03')}
PODS = {name: {'network': n, 'addresses': [f'{ip}/64'], 'mac': mac} for name, (n, ip, mac) in POD.items()}
LINK = 'fe80::77'


class World:
    """Two networks with the same addresses, and an uplink wire that both share by VLAN."""

    def __init__(self, lab, workers):
        d = self.daemon = lab.daemon(workers=workers, networks=NETWORKS)
        self.pods = RawPods(lab, d, PODS)
        lab.ns.veth('up0', self.pods.ns, 'peer0')
        self.wire = RawPort(self.pods.ns, 'peer0')
        self.up_mac = {}
        for network, vlan in (('n', 10), ('m', 20)):
            self.up_mac[vlan] = d.call('port.add', name=f'u{vlan}', kind='eth', network=network, vlan=vlan,
                                       device='net_af_packet0,iface=up0', addresses=['2001:db8:9::1/64'])['port']['mac']
            d.call('neighbour.add', network=network, port=f'u{vlan}', address='2001:db8:9::2',
                   mac=f'02:00:00:00:09:{vlan}')
            d.wait_port(f'u{vlan}')
        self.s = {name: Station(self.pods.ports[name], mac, ip) for name, (_, ip, mac) in POD.items()}
        self.n = 0

    def udp(self, source, to, text):
        station = self.s[source]
        station.send(station.frame(IPv6(src=station.ip, dst=to) / UDP(sport=4000, dport=5000) / Raw(text.encode())))

    def text(self):
        self.n += 1
        return f'#{self.n:06}'

    def reaches(self, source, to, port):
        """One packet from the pod arrives at the RawPort; returns it."""
        text = self.text()
        port.flush()
        self.udp(source, to, text)
        frame = port.recv(lambda f: f.endswith(text.encode()), 10)
        assert frame, f'{to} is not reached from {source}'
        return frame


# ---- discovery on raw ports ----

def tag_of(frame):
    """(VLAN tag or b'', what follows the Ethernet header and tag)."""
    return (frame[12:16], frame[16:]) if frame[12:14] == b'\x81\x00' else (b'', frame[12:])


def is_question(frame, target):
    tag, rest = tag_of(frame)
    return rest[:2] == b'\x86\xdd' and rest[8] == 58 and rest[42] == 135 and \
        rest[50:66] == ipaddress.ip_address(target).packed


def question(port, target, timeout=10):
    return port.recv(lambda f: is_question(f, target), timeout)


def answer(port, asked, mac, target):
    """RFC 4861 section 7.2.4, to whoever asked."""
    tag, rest = tag_of(asked)
    asker = str(ipaddress.ip_address(rest[10:26]))
    packet = bytes(Ether(dst=asked[6:12], src=mac) / IPv6(src=target, dst=asker, hlim=255) /
                   ICMPv6ND_NA(tgt=target, R=1, S=1, O=1) / ICMPv6NDOptDstLLAddr(lladdr=mac))
    port.send(packet[:12] + tag + packet[12:])


# ---- longest match against a model ----

class Model:
    def __init__(self):
        self.routes = {}

    def find(self, address):
        ip = ipaddress.ip_address(address)
        found = [n for n in self.routes if ip in n]
        return max(found, key=lambda n: n.prefixlen) if found else None


def prefixes(rng, count):
    """Nested ones mostly, of every length, about the /32 that the tables divide at."""
    chosen = {'::/0', '2001:db8:5000::1/128', '2001:db8:5000::/36', '2400::/6'}
    while len(chosen) < count:
        base = rng.choice(('2001:db8:5000::', '2001:db8:a000::', '2001:db9::', '2400:cafe::', '2a00::'))
        address = int(ipaddress.ip_address(base)) + rng.getrandbits(rng.choice((8, 64, 84, 92)))
        chosen.add(str(ipaddress.ip_network((address, rng.randint(4, 128)), strict=False)))
    ours = ipaddress.ip_network('2001:db8::/44')
    return sorted(p for p in chosen if not ipaddress.ip_network(p).subnet_of(ours))


KINDS = {'b': {'gateway': '2001:db8:1::3'}, 'c': {'gateway': '2001:db8:1::4'}, 'u10': {'gateway': '2001:db8:9::2'},
         'blackhole': {'type': 'blackhole'}, 'unreachable': {'type': 'unreachable'}}


def longest(w):
    """Hundreds of nested prefixes against a model: route.get and packets agree with it."""
    rng = random.Random(SEED)
    model = Model()
    with w.daemon.client(30) as c:
        for prefix in prefixes(rng, 400):
            kind = rng.choice(list(KINDS))
            model.routes[ipaddress.ip_network(prefix)] = kind
        for got in c.batch([('route.add', {'network': 'n', 'prefix': str(p), **KINDS[k]})
                            for p, k in model.routes.items()]):
            assert not isinstance(got, RpcError), got
        check(w, c, model, rng, 120)
        gone = rng.sample(list(model.routes), len(model.routes) // 2)
        for got in c.batch([('route.del', {'network': 'n', 'prefix': str(p)}) for p in gone]):
            assert got == {'removed': True}, got
        for prefix in gone:
            del model.routes[prefix]
        check(w, c, model, rng, 120)
        for got in c.batch([('route.del', {'network': 'n', 'prefix': str(p)}) for p in model.routes]):
            assert got == {'removed': True}, got
        assert [r for r in c.call('route.list', network='n')['routes'] if r['owner'] == 'static'] == []


def targets_of(model, rng, count):
    """Addresses at the edges of prefixes."""
    ours = ipaddress.ip_network('2001:db8::/44')
    for prefix in rng.sample(list(model.routes), min(count, len(model.routes))):
        first, last = int(prefix[0]), int(prefix[-1])
        value = rng.choice((first, last, max(first - 1, 1 << 120), min(last + 1, (1 << 128) - 1)))
        ip = ipaddress.ip_address(value)
        if not ip.is_multicast and not ip.is_link_local and value >> 120 and ip not in ours:
            yield str(ip)


def expected_of(c, model, target):
    """What the model says, after route.get said the same."""
    prefix = model.find(target)
    if prefix is None:
        try:
            c.call('route.get', network='n', address=target)
        except RpcError as e:
            assert e.code == -32011 and e.field == 'address', e
        else:
            raise AssertionError(f'{target} has a route')
        return 'no_route'
    got = c.call('route.get', network='n', address=target)
    to = model.routes[prefix]
    assert got['route']['prefix'] == str(prefix), f'{target}: {got}, the model says {prefix}'
    assert got['nextHop']['port'] == (to if to in ('b', 'c', 'u10') else ''), got
    return to


def check(w, c, model, rng, count):
    targets = list(targets_of(model, rng, count))
    assert len(targets) > count / 3, f'only {len(targets)} targets'
    expected = [expected_of(c, model, target) for target in targets]
    before = c.call('stats.get')['drops']
    ports = {'b': w.s['b'].port, 'c': w.s['c'].port, 'u10': w.wire}
    for port in (*ports.values(), w.s['a'].port):
        port.flush()
    for n, target in enumerate(targets):
        w.udp('a', target, f'#{n:06}')
    arrived = {name: sorted(int(f[-6:]) for f in receive(port, expected.count(name))) for name, port in ports.items()}
    wanted = {name: [n for n, to in enumerate(expected) if to == name] for name in arrived}
    assert arrived == wanted, f'{arrived}\nwanted {wanted}'
    for reason in ('blackhole', 'unreachable', 'no_route'):
        wait_for(f'{reason} to be counted', lambda: c.call('stats.get')['drops'].get(reason, 0) -
                 before.get(reason, 0) == expected.count(reason))


def receive(port, count):
    def ours(f):
        return f[-7:-6] == b'#' and f[-6:].isdigit()

    frames = []
    while len(frames) < count:
        frame = port.recv(ours, 10)
        if frame is None:
            break
        frames.append(frame)
    return frames + port.recv_all(0.05, ours)


# ---- the rest ----

def overlapping(w):
    """The same addresses in two networks: nobody meets the other's packets, nor on the shared wire."""
    for source, mine, theirs in (('a', 'b', 'y'), ('x', 'y', 'b')):
        w.s[theirs].port.flush()
        frame = w.reaches(source, '2001:db8:1::3', w.s[mine].port)
        assert is_ip6(frame)
        assert w.s[theirs].port.recv(lambda f: f[-7:-6] == b'#', 0.05) is None, f'{theirs} got it'
    for source, vlan in (('a', 10), ('x', 20)):
        frame = w.reaches(source, '2001:db8:9::2', w.wire)
        assert frame[12:16] == bytes([0x81, 0, 0, vlan]) and frame[5] == int(str(vlan), 16), frame.hex()
    for vlan, to, never in ((10, 'b', 'y'), (20, 'y', 'b')):
        inner = bytes(Ether(src=f'02:00:00:00:09:{vlan}', dst=w.up_mac[vlan]) /
                      IPv6(src='2001:db8:9::2', dst='2001:db8:1::3') / UDP() / Raw(b'#in'))
        w.s[never].port.flush()
        w.wire.send(inner[:12] + bytes([0x81, 0, 0, vlan]) + inner[12:])
        frame = w.s[to].port.recv(lambda f: f.endswith(b'#in'), 10)
        assert frame and is_ip6(frame), f'nothing reaches {to}'
        assert w.s[never].port.recv(lambda f: f.endswith(b'#in'), 0.05) is None, f'{never} got it'


def by_way_of(w, source, to, name):
    """
    A packet to somewhere behind LINK on the pod's link: the pod is asked, answers, and gets it; nobody
    else is asked.
    """
    text, port = w.text(), w.s[name].port
    for station in w.s.values():
        station.port.flush()
    w.udp(source, to, text)
    asked = question(port, LINK)
    assert asked, f'{name} is not asked for {LINK}'
    assert asked[:6] == b'\x33\x33\xff\x00\x00\x77' and str(ipaddress.ip_address(asked[22:38])) == 'fe80::1', asked.hex()
    answer(port, asked, POD[name][2], LINK)
    frame = port.recv(lambda f: f.endswith(text.encode()), 10)
    assert frame, f'{to} is not reached by way of {name}'
    others = [n for n, s in w.s.items() if n not in (name, source) and question(s.port, LINK, 0.05)]
    assert not others, f'{others} were asked too'


def one_address_on_two_links(w):
    """A link-local gateway is one on each link; each is asked for, listed and removed by itself."""
    d = w.daemon
    for name, prefix in (('b', '2001:db8:b000::/36'), ('c', '2001:db8:c000::/36')):
        d.call('route.add', network='n', prefix=prefix, gateway=LINK, port=name)
    by_way_of(w, 'a', '2001:db8:b000::1', 'b')
    by_way_of(w, 'a', '2001:db8:c000::1', 'c')

    def known():
        return [(n['port'], n['mac'], n['state']) for n in d.call('neighbour.list', network='n')['neighbours']
                if n['address'] == LINK]

    wanted = [(name, POD[name][2], 'reachable') for name in ('b', 'c')]
    assert known() == wanted, known()
    got = d.call('route.get', network='n', address='2001:db8:c000::1')
    assert (got['route']['gateway'], got['nextHop']) == (LINK, {
        'type': 'via', 'port': 'c', 'gateway': LINK, 'mac': POD['c'][2], 'state': 'resolved'}), got
    assert d.call('neighbour.del', network='n', address=LINK, port='b') == {'removed': True}
    assert known() == wanted[1:], known()
    w.reaches('a', '2001:db8:c000::2', w.s['c'].port)
    # A static one on one link leaves the other alone, and goes by itself.
    d.call('neighbour.add', network='n', port='b', address=LINK, mac='02:00:00:00:77:77')
    frame = w.reaches('a', '2001:db8:b000::3', w.s['b'].port)
    assert frame[:6].hex(':') == '02:00:00:00:77:77', frame.hex()
    assert w.reaches('a', '2001:db8:c000::3', w.s['c'].port)[:6].hex(':') == POD['c'][2]
    assert d.call('neighbour.del', network='n', address=LINK, port='b') == {'removed': True}
    assert known() == wanted[1:], known()


def looked_for(w):
    """
    Hosts of a connected prefix that were looked for: a longer route takes those that it covers, and no
    others, and gives them back.
    """
    d, mac = w.daemon, '02:00:00:00:09:50'
    for host in ('2001:db8:9::50', '2001:db8:9::90'):
        text = w.text()
        w.wire.flush()
        w.udp('a', host, text)
        asked = question(w.wire, host)
        assert asked and asked[12:16] == b'\x81\x00\x00\x0a', f'{host} is not looked for'
        answer(w.wire, asked, mac, host)
        assert w.wire.recv(lambda f: f.endswith(text.encode()), 10), f'{host} is not reached'
    for prefix in ('2001:db8:9::40/122', '2001:db8:9::50/128'):
        d.call('route.add', network='n', prefix=prefix, gateway='2001:db8:1::3')
        w.reaches('a', '2001:db8:9::50', w.s['b'].port)
        w.reaches('a', '2001:db8:9::90', w.wire)
        d.call('route.del', network='n', prefix=prefix)
        w.reaches('a', '2001:db8:9::50', w.wire)
        w.reaches('a', '2001:db8:9::90', w.wire)
    # Of a request with many routes, too.
    routes = [{'prefix': f'2001:db8:d{i:03x}::/48', 'type': 'blackhole'} for i in range(100)]
    routes.append({'prefix': '2001:db8:9::40/122', 'gateway': '2001:db8:1::3'})
    with d.client() as c:
        for step, more in (('begin', {}), ('chunk', {'routes': routes}), ('commit', {})):
            c.call('route.sync', owner='ctl', network='n', step=step, **more)
        w.reaches('a', '2001:db8:9::50', w.s['b'].port)
        w.reaches('a', '2001:db8:9::90', w.wire)
        for step in ('begin', 'commit'):
            c.call('route.sync', owner='ctl', network='n', step=step)
    w.reaches('a', '2001:db8:9::50', w.wire)


def outlive(w):
    """Routes through a port are inactive without it and come back with it, after a kill too."""
    d = w.daemon
    d.call('route.add', network='n', prefix='2001:db8:e000::/36', gateway='2001:db8:1::4')

    def states():
        return {r['prefix']: r['state'] for r in d.call('route.list', network='n', owner='static')['routes']}

    d.call('port.del', name='c')
    assert states() == {'2001:db8:b000::/36': 'active', '2001:db8:c000::/36': 'inactive',
                        '2001:db8:e000::/36': 'inactive'}, states()
    d.call('port.add', name='c', kind='vhost-user', socket=w.pods.daemon.lab.socket_path('c'), floodRate=0, **PODS['c'])
    d.wait_port('c')
    assert set(states().values()) == {'active'}, states()
    d.restart(kill=True)
    for name in POD:
        d.wait_port(name)
    assert set(states().values()) == {'active'} and len(states()) == 3, states()
    w.reaches('a', '2001:db8:e000::1', w.s['c'].port)
    by_way_of(w, 'a', '2001:db8:c000::7', 'c')
    by_way_of(w, 'a', '2001:db8:b000::7', 'b')
    for prefix in states():
        assert d.call('route.del', network='n', prefix=prefix)['removed']


def refused(w):
    """What can not be: each says which member is wrong and changes nothing."""
    before = w.daemon.call('route.list', network='n', limit=10000)
    for params, field in (
            ({'prefix': '2001:db8:f000::/36', 'gateway': LINK}, 'gateway'),
            ({'prefix': '2001:db8:f000::/36', 'gateway': 'fe80::1', 'port': 'b'}, 'gateway'),
            ({'prefix': '2001:db8:f000::/36', 'gateway': 'fe80:1::7', 'port': 'b'}, 'gateway'),
            ({'prefix': '2001:db8:f000::/36', 'gateway': '2001:db8:1::1'}, 'gateway'),
            ({'prefix': '2001:db8:f000::/36', 'gateway': '2001:db8:9::1'}, 'gateway'),
            ({'prefix': '2001:db8:f000::/36', 'gateway': '2001:db8:77::1'}, 'gateway'),
            ({'prefix': '2001:db8:1::3/128', 'type': 'blackhole'}, 'prefix'),
            ({'prefix': '2001:db8:1::1/128', 'type': 'blackhole'}, 'prefix'),
            ({'prefix': '2001:db8:9::1/128', 'type': 'blackhole'}, 'prefix'),
            ({'prefix': '2001:db8:1::/64', 'type': 'blackhole'}, 'prefix')):
        try:
            w.daemon.call('route.add', **{'network': 'n', **params})
        except RpcError as e:
            assert e.field == field, f'{params}: {e}'
        else:
            raise AssertionError(f'{params} was accepted')
    assert w.daemon.call('route.list', network='n', limit=10000) == before


def main():
    t = Tap()
    for workers in settings.workers:
        with Lab('routes6') as lab:
            w = World(lab, workers)
            for part in (longest, overlapping, refused, one_address_on_two_links, looked_for, outlive):
                with t.case(f'{part.__name__}, {workers} workers'):
                    part(w)
            with t.case(f'packets are conserved, {workers} workers'), w.daemon.client() as c:
                assert_conserved(c)
            with t.case(f'clean end, {workers} workers'):
                w.daemon.stop()
    t.done()


if __name__ == '__main__':
    main()
