#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
# podrail-test: limit=240
"""
Every table filled to the brim: the error says what is full and what to do, nothing is half done, stats.get
shows it, and the space comes back. (MAC addresses, neighbours and a restart with full tables: test_start.)
"""

import json
import time

from lib import Lab, RpcError, Tap, hugepages_of, settings, wait_for
from lib.bulk import own_us, pipeline, requests, sync

FULL = -32013
SMALL = {'mbufs': 1024, 'routes': 1024, 'routes6': 64, 'fibNodes': 64, 'macs': 64, 'neighbours': 16}
NETWORK = {'name': 'n', 'mode': 'routed', 'subnets': ['198.18.0.0/16', '2001:db8::/64']}
SEGMENTS, OWNERS, NETWORKS, NEXT_HOPS = 4095, 253, 256, 65535


def fill(d, table):
    entry = d.call('stats.get')['tables'][table]
    return entry['used'], entry['size']


def comes_back(d, table, used):
    """What was taken out is free again once no worker can hold it."""
    wait_for(f'{table} to be back at {used}', lambda: fill(d, table)[0] == used, 10, 0.02)


def refused(call, *words):
    """The error of a full table, which has all these words in it."""
    try:
        call()
    except RpcError as e:
        assert e.code == FULL, e
        assert all(word in e.message for word in words), f'{e} does not say {words}'
        return e
    raise AssertionError('it was taken')


def until_full(call, most):
    """How many were taken."""
    for n in range(most + 1):
        try:
            call(n)
        except RpcError as e:
            assert e.code == FULL, e
            return n
    raise AssertionError(f'{most} were taken, and one more')


def have(c, owner):
    return sorted(r['prefix'] for r in c.call('route.list', network='n', owner=owner, limit=10000)['routes'])


def routes(lab):
    """Both families, and the nodes of the tree: one by one, and by a sync that must change nothing."""
    d = lab.daemon(memory=0, limits=SMALL, networks=[NETWORK])
    # Prefixes that need no node, one for each /16, and IPv6.
    cases = (('routes', 'limits.routes of', [f'{i // 250 + 20}.{i % 250}.0.0/16' for i in range(1100)]),
             ('fibNodes', 'limits.fibNodes', [f'20.{i}.1.0/24' for i in range(100)]),
             ('routes6', 'limits.routes6', [f'2001:db8:{i:x}::/48' for i in range(1, 100)]))
    with d.client(60) as c:
        for table, option, prefixes in cases:
            empty, size = fill(d, table)
            keep = prefixes[:5]
            sync(c, keep, 'ctl', 'n', type='blackhole')
            nothing = have(c, 'ctl')
            try:
                # A chunk that is refused leaves the sync open: a connection of its own.
                with d.client(60) as other:
                    sync(other, prefixes, 'ctl', 'n', type='unreachable')
            except RuntimeError as e:
                assert option.split()[0] in str(e) and str(size) in str(e), e
            else:
                raise AssertionError('more was synced than there is room for')
            assert have(c, 'ctl') == nothing and {r['type'] for r in c.call(
                'route.list', network='n', owner='ctl')['routes']} == {'blackhole'}, 'the sync is half done'
            n = until_full(lambda i: c.call('route.add', network='n', prefix=prefixes[5 + i], type='blackhole',
                                            owner='ctl'), len(prefixes))
            used, size = fill(d, table)
            assert used == size, (table, used, size)
            assert have(c, 'ctl') == sorted(prefixes[:5 + n])
            refused(lambda: c.call('route.add', network='n', prefix=prefixes[5 + n], type='blackhole'), option, str(size))
            # What is there can still be changed, and goes; then there is room for just as many.
            assert not c.call('route.add', network='n', prefix=prefixes[4 + n], type='blackhole', owner='ctl')['created']
            assert c.call('route.del', network='n', prefix=prefixes[4 + n], owner='ctl')['removed']
            comes_back(d, table, used - 1)
            assert c.call('route.add', network='n', prefix=prefixes[5 + n], type='blackhole', owner='ctl')['created']
            refused(lambda: c.call('route.add', network='n', prefix=prefixes[4 + n], type='blackhole'), option)
            sync(c, [], 'ctl', 'n')
            comes_back(d, table, empty)
    d.stop()


def next_hops(lab):
    d = lab.daemon(memory=0, limits={'mbufs': 1024, 'routes': NEXT_HOPS + 100}, networks=[NETWORK])
    d.call('port.add', name='p', kind='vhost-user', network='n', socket=lab.socket_path('p'), trust=True)
    empty, size = fill(d, 'nextHops')
    assert size == NEXT_HOPS - 1 or size == NEXT_HOPS, size
    lines = []
    for i in range(size - empty + 50):
        a, b = i >> 8, i & 255
        lines.append(json.dumps({'jsonrpc': '2.0', 'id': i, 'method': 'route.add', 'params': {
            'network': 'n', 'owner': 'ctl', 'port': 'p', 'prefix': f'20.{a >> 4}.{(a & 15) << 4 | b >> 4}.{(b & 15) << 4}/28',
            'gateway': f'10.{1 + (a >> 7)}.{a & 127}.{b}' if b not in (0, 255) else f'11.{1 + (a >> 7)}.{a & 127}.{b}'}}))
    _, answers = pipeline(d.socket, ('\n'.join(lines) + '\n').encode())
    answers = answers.splitlines()
    made = [b'"created":true' in a for a in answers]
    count = sum(made)
    assert made == [True] * count + [False] * (len(lines) - count), answers[made.index(False)]
    assert b'next-hop table is full' in answers[-1] and b'-32013' in answers[-1], answers[-1]
    assert fill(d, 'nextHops')[0] == size, fill(d, 'nextHops')
    assert fill(d, 'routes')[0] < NEXT_HOPS + 100
    with d.client(60) as c:
        # A gateway that is known needs none.
        first = json.loads(lines[0])['params']
        c.call('route.add', **{**first, 'prefix': '203.0.113.0/24'})
        sync(c, [], 'ctl', 'n')
    comes_back(d, 'nextHops', empty)
    d.stop()
    return count


def networks(lab):
    """Of 256 networks 64 are routed, with routes, in 512 MiB; then as many as memory allows."""
    d = lab.daemon(memory=512)
    with d.client(60) as c:
        for n in range(64):
            c.call('network.add', name=f'r{n}', mode='routed', subnets=[f'198.18.{n}.0/24', f'2001:db8:{n}::/64'])
            prefixes = [f'{20 + n}.{i}.{k}.0/24' for i in range(50) for k in range(20)]
            _, answers = pipeline(d.socket, requests('route.add', prefixes, network=f'r{n}', type='blackhole', owner='ctl'))
            assert answers.count(b'"created":true') == len(prefixes), answers[:300]
        assert hugepages_of(d.pid) <= 256, f'{hugepages_of(d.pid)} hugepages'
        bridged = until_full(lambda n: c.call('network.add', name=f'b{n}', mode='bridged'), NETWORKS)
        assert bridged == NETWORKS - 64 and fill(d, 'networks') == (NETWORKS, NETWORKS)
        refused(lambda: c.call('network.add', name='more', mode='routed'), '256')
        assert not any(n['name'] == 'more' for n in c.call('network.list')['networks'])
        for n in range(bridged):
            c.call('network.del', name=f'b{n}')
        used = fill(d, 'segments')[0]
        assert used == 64, used
        routed = 0
        try:
            for routed in range(NETWORKS - 64):
                c.call('network.add', name=f'm{routed}', mode='routed')
            routed += 1
        except RpcError as e:
            assert e.code == FULL and 'memory' in e.message, e
        assert len(c.call('network.list')['networks']) == 64 + routed
        names = [n['name'] for n in c.call('network.list')['networks']]
        for name in names:
            c.call('network.del', name=name)
        for table in ('routes', 'routes6', 'fibNodes', 'nextHops', 'networks', 'segments'):
            comes_back(d, table, 0)
        c.call('network.add', name='again', mode='routed', subnets=['198.18.0.0/24'])
    d.stop()
    return 64 + routed


def segments(lab):
    """A trunk of all VLANs in one network takes them all; what does not fit is refused whole."""
    d = lab.daemon(memory=0, limits=SMALL, networks=[{'name': n, 'mode': 'bridged'} for n in 'abc'])
    with d.client(60) as c:
        def port(name, network, **more):
            return c.call('port.add', name=name, kind='vhost-user', network=network, socket=lab.socket_path(name), **more)

        port('a', 'a', trunk=['1-4000'])
        port('b', 'b')
        used, size = fill(d, 'segments')
        assert (used, size) == (4002, SEGMENTS), (used, size)
        e = refused(lambda: port('c', 'c', trunk=['1-200']), 'VLAN', str(SEGMENTS))
        assert fill(d, 'segments')[0] == used and [p['name'] for p in c.call('port.list')['ports']] == ['a', 'b'], e
        port('c', 'c', trunk=['1-92'])
        assert fill(d, 'segments')[0] == SEGMENTS
        port('c2', 'c', trunk=['1-92'])    # shares them
        refused(lambda: port('c3', 'c', vlan=93), 'VLAN')
        c.call('port.del', name='a')
        comes_back(d, 'segments', SEGMENTS - 4001)
        port('c3', 'c', trunk=['1-4000'])
    d.stop()


def owners(lab):
    d = lab.daemon(memory=0, limits=SMALL, networks=[NETWORK])
    with d.client(60) as c:
        n = until_full(lambda i: c.call('route.add', network='n', prefix=f'203.0.113.{i}/32', type='blackhole',
                                        owner=f'o{i}'), OWNERS)
        assert n == OWNERS and fill(d, 'owners') == (OWNERS, OWNERS), n
        refused(lambda: c.call('route.sync', owner='more', network='n', step='begin'), str(OWNERS))
        assert len(c.call('route.list', network='n', limit=1000)['routes']) >= n
        c.call('route.del', network='n', prefix='203.0.113.7/32', owner='o7')
        c.call('route.add', network='n', prefix='203.0.113.7/32', type='blackhole', owner='more')
        assert have(c, 'more') == ['203.0.113.7/32'] and have(c, 'o8') == ['203.0.113.8/32']
        refused(lambda: c.call('route.add', network='n', prefix='203.0.114.7/32', type='blackhole', owner='o7'), 'owner')
    d.stop()


def thousand_ports(lab):
    """Time and memory of 1,000 ports without guests, in a routed network."""
    def rss():
        with open(f'/proc/{d.pid}/status', encoding='ascii') as f:
            return next(int(line.split()[1]) for line in f if line.startswith('VmRSS:'))

    d = lab.daemon(memory=0, networks=[{'name': 'n', 'mode': 'routed', 'subnets': ['198.18.0.0/16']}])
    before = rss()
    start, own = time.perf_counter(), own_us(d)
    with d.client(120) as c:
        for i in range(1000):
            c.call('port.add', name=f'p{i}', kind='vhost-user', network='n', socket=lab.socket_path(f'p{i}'),
                   addresses=[f'198.18.{1 + i // 250}.{1 + i % 250}/16'])
        added, own = time.perf_counter() - start, own_us(d) - own
        grown = rss() - before
        assert fill(d, 'ports')[0] == 1000
        until_full(lambda i: c.call('port.add', name=f'q{i}', kind='vhost-user', network='n', socket=lab.socket_path(f'q{i}')),
                   24)
        refused(lambda: c.call('port.add', name='q', kind='vhost-user', network='n', socket=lab.socket_path('q')),
                'port', '1024')
        c.call('port.del', name='p500')
        assert fill(d, 'ports')[0] == 1023
        # A route's gateway is looked for among all ports.
        lines = requests('route.add', [f'203.0.{i // 256}.{i % 256}/32' for i in range(20000)], network='n',
                         gateway='198.18.1.1', owner='ctl')
        route_us = own_us(d)
        _, answers = pipeline(d.socket, lines)
        route_us = (own_us(d) - route_us) / 20000
        assert answers.count(b'"created":true') == 20000, answers[:300]
    start = time.perf_counter()
    d.restart(kill=True)
    again = time.perf_counter() - start
    assert fill(d, 'ports')[0] == 1023
    d.stop()
    return added, own / 1000, grown, route_us, again


def main():
    t = Tap()
    with t.case('routes of both families, and nodes'), Lab('brim') as lab:
        routes(lab)
    if settings.flavour == 'release':
        with t.case('next hops'), Lab('brim') as lab:
            t.note(f'{next_hops(lab)} next hops')
    with t.case('networks'), Lab('brim') as lab:
        t.note(f'512 MiB have room for 64 routed networks with 1,000 routes each, and for {networks(lab)} with few')
    with t.case('segments'), Lab('brim') as lab:
        segments(lab)
    with t.case('owners'), Lab('brim') as lab:
        owners(lab)
    with t.case('1,000 ports'), Lab('brim') as lab:
        added, own, grown, route_us, again = thousand_ports(lab)
        t.note(f'1,000 ports: {added:.2f} s ({own:.0f} us each of the control thread), {grown / 1024:.1f} MiB; a route beside '
               f'them {route_us:.1f} us; killed and there again in {again:.2f} s')
    t.done()


if __name__ == '__main__':
    main()
