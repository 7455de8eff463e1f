#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
# podrail-test: limit=300
"""Routes: what the tables say is what packets do; lists, syncs, and routes that outlive their port."""

import ipaddress
import random

from lib import Lab, RawPort, RpcError, Tap, assert_conserved, settings, wait_for
from routed_world import Probe, RawPods, Station, is_ip

SEED = 20121
NETWORKS = [
    {'name': 'n', 'mode': 'routed', 'subnets': ['198.18.1.0/24']},
    {'name': 'm', 'mode': 'routed', 'subnets': ['198.18.1.0/24']},
]
POD = {'a': ('n', '198.18.1.2', '02:00:00:00:01:02'), 'b': ('n', '198.18.1.3', '02:00:00:00:01:03'),
       'c': ('n', '198.18.1.4', '02:00:00:00:01:04'), 'x': ('m', '198.18.1.2', '02:00:00:00:02:02'),
       'y': ('m', '198.18.1.3', '02:00:00:00:02:03')}
PODS = {name: {'network': n, 'addresses': [f'{ip}/24'], 'mac': mac} for name, (n, ip, mac) in POD.items()}


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
                                       device='net_af_packet0,iface=up0', addresses=['198.18.9.1/24'])['port']['mac']
            d.call('neighbour.add', network=network, port=f'u{vlan}', address='198.18.9.2',
                   mac=f'02:00:00:00:09:{vlan}')
            d.wait_port(f'u{vlan}')
        self.s = {name: Station(self.pods.ports[name], mac, ip) for name, (_, ip, mac) in POD.items()}


class Model:
    """The naive table: the longest of all prefixes that contain the address."""

    def __init__(self):
        self.routes = {}

    def add(self, prefix, to):
        self.routes[ipaddress.ip_network(prefix)] = to

    def find(self, address):
        ip = ipaddress.ip_address(address)
        found = [n for n in self.routes if ip in n]
        return max(found, key=lambda n: n.prefixlen) if found else None


def prefixes(rng, count):
    """Nested ones mostly, so that the longest match matters; of every length."""
    chosen = {'0.0.0.0/0', '203.0.113.77/32', '198.51.100.0/24', '198.51.100.128/25', '198.51.100.255/32'}
    while len(chosen) < count:
        base = rng.choice(('198.51.100.0', '203.0.113.0', '192.0.2.0', '100.64.0.0', '10.0.0.0'))
        address = int(ipaddress.ip_address(base)) + rng.getrandbits(rng.choice((8, 16, 22)))
        chosen.add(str(ipaddress.ip_network((address, rng.randint(1, 32)), strict=False)))
    return sorted(p for p in chosen if not ipaddress.ip_network(p).overlaps(ipaddress.ip_network('198.18.0.0/15'))
                  or p == '0.0.0.0/0')


def longest(w):
    """Hundreds of nested prefixes against a model: route.get and packets agree with it."""
    rng = random.Random(SEED)
    model = Model()
    kinds = {'b': {'gateway': '198.18.1.3'}, 'c': {'gateway': '198.18.1.4'}, 'u10': {'gateway': '198.18.9.2'},
             'blackhole': {'type': 'blackhole'}, 'unreachable': {'type': 'unreachable'},
             'group': {'nexthops': [{'via': '198.18.1.3', 'weight': 3}, {'via': '198.18.1.4'}]}}
    requests = []
    for prefix in prefixes(rng, 400):
        kind = rng.choice(list(kinds))
        model.add(prefix, kind)
        requests.append(('route.add', {'network': 'n', 'prefix': prefix, **kinds[kind]}))
    with w.daemon.client(30) as c:
        for answer in c.batch(requests):
            assert not isinstance(answer, RpcError), answer
        check(w, c, model, rng, 120)
        # Half of them go, and what they hid is in force again.
        gone = rng.sample(list(model.routes), len(model.routes) // 2)
        for answer in c.batch([('route.del', {'network': 'n', 'prefix': str(p)}) for p in gone]):
            assert answer == {'removed': True}, answer
        for prefix in gone:
            del model.routes[prefix]
        check(w, c, model, rng, 120)
        for answer in c.batch([('route.del', {'network': 'n', 'prefix': str(p)}) for p in model.routes]):
            assert answer == {'removed': True}, answer
        assert [r for r in c.call('route.list', network='n')['routes'] if r['owner'] == 'static'] == []


def check(w, c, model, rng, count):
    """Addresses at the edges of prefixes: asked for, and sent to."""
    targets = []
    for prefix in rng.sample(list(model.routes), min(count, len(model.routes))):
        first, last = int(prefix[0]), int(prefix[-1])
        targets.append(str(ipaddress.ip_address(rng.choice((first, last, max(first - 1, 1), min(last + 1, 2 ** 32 - 1))))))
    targets = [a for a in targets if not (ip := ipaddress.ip_address(a)).is_multicast and not ip.is_loopback
               and int(ip) >> 24 and int(ip) < 0xe0000000 and ip not in ipaddress.ip_network('198.18.0.0/15')]
    assert len(targets) > count / 3, f'only {len(targets)} targets'
    expected = []
    for target in targets:
        prefix = model.find(target)
        if prefix is None:
            try:
                c.call('route.get', network='n', address=target)
            except RpcError as e:
                assert e.code == -32011 and e.field == 'address', e
            else:
                raise AssertionError(f'{target} has a route')
            expected.append('no_route')
            continue
        # The flow that is sent below: of several next hops it takes one, and what is said is what is done.
        got = c.call('route.get', network='n', address=target, source='198.18.1.2', protocol=17, sourcePort=4000,
                     destinationPort=5000)
        to = model.routes[prefix]
        if to == 'group':
            to = got['nextHop']['port']
            assert to in ('b', 'c'), got
        assert got['route']['prefix'] == str(prefix), f'{target}: {got}, the model says {prefix}'
        assert got['nextHop']['port'] == (to if to in ('b', 'c', 'u10') else ''), got
        expected.append(to)
    before = c.call('stats.get')['drops']
    for station in w.s.values():
        station.port.flush()
    w.wire.flush()
    for n, target in enumerate(targets):
        w.s['a'].send(w.s['a'].udp(target, f'#{n:06}'))
    arrived = {name: sorted(int(f[-6:]) for f in receive(port, expected.count(name)))
               for name, port in (('b', w.s['b'].port), ('c', w.s['c'].port), ('u10', w.wire))}
    wanted = {name: [n for n, to in enumerate(expected) if to == name] for name in arrived}
    assert arrived == wanted, f'{arrived}\nwanted {wanted}'
    for reason in ('blackhole', 'unreachable', 'no_route'):
        wait_for(f'{reason} to be counted', lambda: c.call('stats.get')['drops'].get(reason, 0) -
                 before.get(reason, 0) == expected.count(reason))


def receive(port, count):
    frames = []
    while len(frames) < count:
        frame = port.recv(lambda f: f[-7:-6] == b'#' and f[-6:].isdigit(), 10)
        if frame is None:
            break
        frames.append(frame)
    return frames + port.recv_all(0.05, lambda f: f[-7:-6] == b'#' and f[-6:].isdigit())


def overlapping(w):
    """The same addresses in two networks: nobody meets the other's packets, nor on the shared wire."""
    probe = Probe(w.daemon, {'x': w.s['x'], 'y': w.s['y']})
    other = Probe(w.daemon, {'a': w.s['a'], 'b': w.s['b']})
    for source, target, mine, theirs in (('x', 'y', probe, other), ('a', 'b', other, probe)):
        out, drops = mine.run(w.s[source], w.s[source].udp('198.18.1.3', 'mine'))
        assert [n for n, f in out] == [target] and not drops, f'{out} {drops}'
        strange, _ = theirs.run(w.s['a' if source == 'x' else 'x'])
        assert not strange, strange
    out, drops = probe.run(w.s['x'], w.s['x'].udp('198.18.1.4'))
    assert drops == {'unreachable': 1} and [n for n, f in out] == ['x'], 'c is in n only'
    w.wire.flush()
    for source, vlan in (('a', 10), ('x', 20)):
        w.s[source].send(w.s[source].udp('198.18.9.2', 'wired'))
        frame = w.wire.recv(lambda f: f.endswith(b'wired'), 10)
        assert frame[12:16] == bytes([0x81, 0, 0, vlan]) and frame[5] == int(str(vlan), 16), frame.hex()
        assert w.wire.recv(lambda f: f.endswith(b'wired'), 0.05) is None
    for vlan, to, never in ((10, 'b', 'y'), (20, 'y', 'b')):
        inner = bytes(Station(None, f'02:00:00:00:09:{vlan}', '198.18.9.2', w.up_mac[vlan]).udp('198.18.1.3', 'in'))
        w.s[never].port.flush()
        w.wire.send(inner[:12] + bytes([0x81, 0, 0, vlan]) + inner[12:])
        frame = w.s[to].port.recv(lambda f: f.endswith(b'in'), 10)
        assert frame and is_ip(frame), f'nothing reaches {to}'
        assert w.s[never].port.recv(lambda f: f.endswith(b'in'), 0.05) is None, f'{never} got it'
    before = w.daemon.call('stats.get')['drops'].get('vlan_not_member', 0)
    for tag in (b'', bytes([0x81, 0, 0, 30]), bytes([0x81, 0, 0x0f, 0xff])):
        w.wire.send(inner[:12] + tag + inner[12:])
    wait_for('foreign tags to be dropped',
             lambda: w.daemon.call('stats.get')['drops'].get('vlan_not_member', 0) == before + 3)


def lists(w):
    """Paging gives each route once and in order, whatever the page; filters and counts agree."""
    with w.daemon.client(30) as c:
        c.batch([('route.add', {'network': 'n', 'prefix': f'10.{i // 256}.{i % 256}.0/24', 'type': 'blackhole'})
                 for i in range(500)])
        whole = c.call('route.list', network='n', limit=10000)
        assert not whole['next'], whole['next']
        keys = [ipaddress.ip_network(r['prefix']) for r in whole['routes']]
        assert keys == sorted(keys) and len(set(keys)) == len(keys)
        for limit in (1, 7, 100, len(keys), 1000):
            pages, after = [], ''
            while True:
                page = c.call('route.list', network='n', after=after, limit=limit)
                assert len(page['routes']) <= limit
                pages += page['routes']
                after = page['next']
                if not after or len(pages) > 2 * len(keys):
                    break
                if limit == 1 and len(pages) == 20:
                    break
            assert pages == whole['routes'][:len(pages)], f'pages of {limit}'
            assert len(pages) == (20 if limit == 1 else len(keys)), f'{len(pages)} by pages of {limit}'
        assert {r['prefix'] for r in c.call('route.list', network='n', owner='port')['routes']} == \
            {'198.18.1.2/32', '198.18.1.3/32', '198.18.1.4/32'}
        assert all(r['owner'] == 'static' for r in c.call('route.list', network='n', owner='static')['routes'])
        c.batch([('route.del', {'network': 'n', 'prefix': f'10.{i // 256}.{i % 256}.0/24'}) for i in range(500)])


def sync(w):
    """A controller replaces all its routes at once; what it began and did not finish leaves no trace."""
    def routes(start, count):
        return [{'prefix': f'100.64.{i}.0/24', 'gateway': '198.18.1.3'} for i in range(start, start + count)]

    def have():
        return {r['prefix'] for r in w.daemon.call('route.list', network='n', owner='ctl', limit=10000)['routes']}

    def step(c, name, **more):
        return c.call('route.sync', owner='ctl', network='n', step=name, **more)

    def names(*ranges):
        return {f'100.64.{i}.0/24' for r in ranges for i in r}

    with w.daemon.client() as c:
        step(c, 'begin')
        step(c, 'chunk', routes=routes(0, 50))
        step(c, 'chunk', routes=routes(50, 50))
        done = step(c, 'commit')
        assert (done['added'], done['removed'], done['kept']) == (100, 0, 0), done
        assert have() == names(range(100))
        w.s['a'].send(w.s['a'].udp('100.64.77.5', '#000077'))
        assert receive(w.s['b'].port, 1), 'a synced route carries nothing'
        step(c, 'begin')
        step(c, 'chunk', routes=routes(60, 80))
        done = step(c, 'commit')
        assert (done['added'], done['removed'], done['kept']) == (40, 60, 40), done
        assert have() == names(range(60, 140))
        w.daemon.call('route.add', network='n', prefix='100.64.200.0/24', type='blackhole')
        step(c, 'begin')
        try:
            step(c, 'chunk', routes=[{'prefix': '100.64.300.0/24'}])
        except RpcError as e:
            assert e.code == -32602, e
        else:
            raise AssertionError('a prefix that is none was taken')
        step(c, 'abort')
        assert have() == names(range(60, 140))
    with w.daemon.client() as c:
        step(c, 'begin')
        step(c, 'chunk', routes=routes(60, 10))
        try:
            with w.daemon.client() as second:
                step(second, 'commit')
        except RpcError:
            pass
        else:
            raise AssertionError('another connection commits')
    # Disconnected before commit: nothing is swept.
    w.daemon.call('hello')
    assert names(range(60, 140)) <= have(), 'routes went with a disconnect'
    with w.daemon.client() as c:
        step(c, 'begin')
        done = step(c, 'commit')
        assert done['removed'] == 80 and have() == set(), done
    left = [r['prefix'] for r in w.daemon.call('route.list', network='n', owner='static')['routes']]
    assert left == ['100.64.200.0/24'], 'a sync touches its own routes only'
    w.daemon.call('route.del', network='n', prefix='100.64.200.0/24')


def outlive(w):
    """Static routes through a port are inactive without it and come back with it, after a restart too."""
    d = w.daemon
    d.call('route.add', network='n', prefix='203.0.113.0/24', gateway='198.18.1.4')
    d.call('route.add', network='n', prefix='203.0.114.0/24', port='c', gateway='198.18.1.4')
    d.call('route.add', network='n', prefix='203.0.0.0/16', gateway='198.18.1.3')
    a, b, c = (w.s[n] for n in 'abc')

    def reaches(station, address, text='#000001'):
        station.port.flush()
        a.send(a.udp(address, text))
        assert station.port.recv(lambda f: f.endswith(text.encode()), 10), f'{address} is not reached'

    reaches(c, '203.0.113.5')
    reaches(c, '203.0.114.5')
    d.call('port.del', name='c')
    listed = {r['prefix'] for r in d.call('route.list', network='n', owner='static', limit=10000)['routes']}
    assert {'203.0.113.0/24', '203.0.114.0/24'} <= listed, f'forgotten: {listed}'
    port = d.call('port.add', name='c', kind='vhost-user', socket=w.pods.daemon.lab.socket_path('c'), floodRate=0,
                  **PODS['c'])['port']
    assert port['mac'] == PODS['c']['mac']
    d.wait_port('c')
    reaches(c, '203.0.113.6')
    reaches(c, '203.0.114.6')
    d.restart(kill=True)
    for name in ('a', 'b', 'c'):
        d.wait_port(name)
    reaches(c, '203.0.113.7')
    reaches(c, '203.0.114.7')
    reaches(b, '203.0.77.7')
    for prefix in ('203.0.113.0/24', '203.0.114.0/24', '203.0.0.0/16'):
        assert d.call('route.del', network='n', prefix=prefix)['removed']


def both_families(w):
    """One owner's routes of both families in one sync; IPv4 comes first in lists, pages meet each once."""
    routes = [{'prefix': f'100.64.{i}.0/24', 'type': 'blackhole'} for i in range(150)]
    routes += [{'prefix': f'2001:db8:{i:x}::/{40 + i % 9 if i % 256 == 0 else 48}', 'type': 'unreachable'}
               for i in range(0x1000, 0x1000 + 300)]
    with w.daemon.client() as c:
        for step, more in (('begin', {}), ('chunk', {'routes': routes}), ('commit', {})):
            done = c.call('route.sync', owner='six', network='n', step=step, **more)
        assert done['added'] == 450, done
        seen, after = [], ''
        while True:
            page = c.call('route.list', network='n', owner='six', limit=70, **({'after': after} if after else {}))
            seen += [r['prefix'] for r in page['routes']]
            after = page.get('next', '')
            if not after:
                break
        assert len(seen) == len(set(seen)) == 450 and set(seen) == {r['prefix'] for r in routes}, len(seen)
        assert [':' in p for p in seen] == [False] * 150 + [True] * 300
        found = c.call('route.get', network='n', address='2001:db8:1005::77')
        assert (found['route']['prefix'], found['nextHop']['type']) == ('2001:db8:1005::/48', 'unreachable'), found
        for step in ('begin', 'commit'):
            done = c.call('route.sync', owner='six', network='n', step=step)
        assert done['removed'] == 450, done


def refused(w):
    """What can not be: each says which member is wrong and changes nothing."""
    before = w.daemon.call('route.list', network='n', limit=10000)
    for params, field in (
            ({'prefix': '10.0.0.0/33'}, 'prefix'), ({'prefix': 'fe80::/64', 'type': 'blackhole'}, 'prefix'),
            ({'prefix': '2001:db8::/129', 'type': 'blackhole'}, 'prefix'),
            ({'prefix': '2001:db8::/32', 'gateway': '198.18.1.2'}, 'gateway'),
            ({'prefix': '10.0.0.0/8', 'gateway': '100.64.0.1'}, 'gateway'),
            ({'prefix': '10.0.0.0/8', 'port': 'nobody'}, 'port'), ({'prefix': '10.0.0.0/8', 'port': 'x'}, 'port'),
            ({'prefix': '10.0.0.0/8', 'type': 'x'}, 'type'), ({'prefix': '198.18.1.3/32', 'type': 'blackhole'}, 'prefix'),
            ({'prefix': '198.18.1.1/32', 'type': 'blackhole'}, 'prefix'), ({'prefix': '10.0.0.0/8', 'z': 1}, 'z'),
            ({'prefix': '10.0.0.0/8', 'network': 'nobody', 'type': 'blackhole'}, 'network')):
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
        with Lab('routes') as lab:
            w = World(lab, workers)
            for part in (longest, overlapping, lists, sync, both_families, refused, outlive):
                with t.case(f'{part.__name__}, {workers} workers'):
                    part(w)
            with t.case(f'packets are conserved, {workers} workers'), w.daemon.client() as c:
                assert_conserved(c)
            with t.case(f'clean end, {workers} workers'):
                w.daemon.stop()
    t.done()


if __name__ == '__main__':
    main()
