#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
# podrail-test: limit=300
"""Very many routes: how long they take, and that packets do not notice. With --long a million, else a tenth."""

import random
import time

from lib import Lab, RpcError, Tap, assert_conserved, settings
from lib.bulk import own_us, pipeline, requests, routes4, routes6, sync, text4, text6
from lib.stream import Stream

FAST = settings.flavour == 'release'
COUNT = 1000000 if settings.long and FAST else 100000 if FAST else 10000
COUNT6 = COUNT * 3 // 10
NETWORK = {'name': 'n', 'mode': 'routed', 'subnets': ['198.18.0.0/16', '2001:db8::/64']}
REQUEST_US = 10    # of the daemon's own time: what the machine does besides does not count
DELETE_US = 10
INSIDE = ('198.18.128.0', 17)


def daemon(lab, count=COUNT, **more):
    """Sized for the routes alone: fibNodes follows limits.routes."""
    return lab.daemon(memory=0, limits={'routes': count + 100, 'routes6': COUNT6 + 100}, **more)


def timed(t, d, lines, wanted, bar, text):
    """Sends lines without waiting; every answer has `wanted` in it. bar: microseconds a request."""
    before = own_us(d)
    seconds, answers = pipeline(d.socket, lines)
    count = lines.count(b'\n')
    own = (own_us(d) - before) / count
    assert answers.count(wanted) == count, f'{answers.count(wanted)} of {count}: {answers[:500]}'
    # In order: each answer ends with the id of its request.
    ids = [int(line[line.rindex(b':') + 1:-1]) for line in answers.splitlines()[:20000]]
    assert ids == list(range(len(ids))), 'answers are out of order'
    t.note(f'{text}: {count} in {seconds:.2f} s, {1e6 * seconds / count:.1f} us each, {own:.1f} us of the control thread')
    assert not FAST or own <= bar, f'{own:.1f} us a request, at most {bar} are allowed'


def tables(d):
    return d.call('stats.get')['tables']


def settled(d, name, timeout=10):
    """What was retired has come back: the fill of a table once it stays."""
    end = time.monotonic() + timeout
    last = tables(d)[name]['used']
    while time.monotonic() < end:
        time.sleep(0.05)
        now = tables(d)[name]['used']
        if now == last:
            break
        last = now
    return last


def one_by_one(t, lab):
    d = daemon(lab, networks=[NETWORK])
    d.call('port.add', name='p', kind='vhost-user', network='n', socket=lab.socket_path('p'),
           addresses=['198.18.1.2/16', '2001:db8::2/64'])
    empty = tables(d)
    prefixes = [text4(r) for r in routes4(COUNT)]
    add = requests('route.add', prefixes, network='n', gateway='198.18.1.2', owner='ctl')
    timed(t, d, add, b'"created":true', REQUEST_US, 'route.add')
    t.note(f'tables: {tables(d)}')
    assert tables(d)['routes']['used'] == empty['routes']['used'] + COUNT
    random.Random(7).shuffle(prefixes)
    some = prefixes[:min(COUNT, 100000)]
    delete = requests('route.del', some, network='n', owner='ctl')
    timed(t, d, delete, b'"removed":true', DELETE_US, 'route.del, at random')
    assert tables(d)['routes']['used'] == empty['routes']['used'] + COUNT - len(some)
    timed(t, d, requests('route.add', some[:COUNT // 10], network='n', gateway='198.18.1.2'),
          b'"created":true', 100, 'stored route.add')
    timed(t, d, requests('route.del', some[:COUNT // 10], network='n'), b'"removed":true', 100, 'stored route.del')
    with d.client(60) as c:
        start = time.perf_counter()
        for prefix in some[:1000]:
            c.call('route.add', network='n', prefix=prefix, gateway='198.18.1.2', owner='ctl')
        t.note(f'one after the other, each answer waited for: {1e3 * (time.perf_counter() - start):.0f} us a route.add')
    d.stop()


def synced(t, lab):
    """Both families by route.sync; the same again changes nothing; a tenth less; none; the network goes."""
    d = daemon(lab, networks=[NETWORK])
    d.call('port.add', name='p', kind='vhost-user', network='n', socket=lab.socket_path('p'),
           addresses=['198.18.1.2/16', '2001:db8::2/64'])
    empty = tables(d)
    sets = ((text4, routes4(COUNT), '198.18.1.2', 'four', 'routes'), (text6, routes6(COUNT6), '2001:db8::2', 'six', 'routes6'))
    with d.client(120) as c:
        for text, routes, gateway, owner, table in sets:
            prefixes = [text(r) for r in routes]
            seconds, answer = sync(c, prefixes, owner, 'n', gateway=gateway)
            assert (answer['added'], answer['removed'], answer['kept']) == (len(routes), 0, 0), answer
            t.note(f'route.sync of {len(routes)}: {seconds:.2f} s, {len(routes) / seconds / 1000:.0f} k a second')
            assert tables(d)[table]['used'] == empty[table]['used'] + len(routes)
            seconds, answer = sync(c, prefixes, owner, 'n', gateway=gateway)
            assert (answer['added'], answer['removed'], answer['kept']) == (0, 0, len(routes)), answer
            rest = prefixes[len(prefixes) // 10:]
            seconds, answer = sync(c, rest, owner, 'n', gateway=gateway)
            assert (answer['added'], answer['removed'], answer['kept']) == (0, len(routes) - len(rest), len(rest)), answer
        t.note(f'tables: {tables(d)}')
        sync(c, [], 'six', 'n')
        assert settled(d, 'routes6') == empty['routes6']['used'], tables(d)
        # The rest goes with the network. It is emptied in slices; here only the time is seen.
        left = tables(d)['routes']['used']
        c.call('port.del', name='p')
        start = time.perf_counter()
        c.call('network.del', name='n')
        t.note(f'network.del of {left} routes: {time.perf_counter() - start:.2f} s')
        for table in ('routes', 'routes6', 'fibNodes', 'nextHops'):
            assert settled(d, table) == 0, tables(d)
    d.stop()


def inside(count, rng):
    """Prefixes of all lengths where the stream's packets go to."""
    first = int.from_bytes(bytes(map(int, INSIDE[0].split('.'))), 'big')
    chosen = set()
    while len(chosen) < count:
        length = rng.randint(18, 32)
        chosen.add((first | rng.getrandbits(15) >> 32 - length << 32 - length, length))
    return list(chosen)


def beside_traffic(t, lab, workers):
    """A stream whose packets follow the very routes that come and go, each of which leads to the same pod."""
    d = daemon(lab, workers=workers, networks=[
        {'name': 'r', 'mode': 'routed', 'subnets': ['198.19.1.0/24'], 'gateways': ['198.19.1.254']}])
    base = f'{INSIDE[0]}/{INSIDE[1]}'
    stream = Stream(lab, d, routed='r', window=100, flows=64, timeout=30000, arguments=['--prefix', base],
                    before=lambda: d.call('route.add', network='r', prefix=base, gateway='198.19.1.2'))
    rng = random.Random(workers)
    within = min(COUNT // 10, 20000)   # there are 65,534 at all
    adds = [text4(r) for r in routes4(COUNT // 2 - within, workers) + inside(within, rng)]
    rng.shuffle(adds)
    dels = adds[:]
    rng.shuffle(dels)
    seconds = 0
    for method, prefixes, more, wanted in (('route.add', adds, {'gateway': '198.19.1.2'}, b'"created":true'),
                                           ('route.del', dels, {}, b'"removed":true')):
        took, answers = pipeline(d.socket, requests(method, prefixes, network='r', owner='ctl', **more))
        seconds += took
        assert answers.count(wanted) == len(prefixes), answers[:500]
    stream.wait_packets(1000)
    result = stream.finish_whole(least=5000)
    with d.client() as c:
        stats = assert_conserved(c)
    t.note(f'{workers} workers: {len(adds) + len(dels)} changes in {seconds:.1f} s beside {result["received"]} packets, '
           'none missing')
    assert not set(stats['drops']) - {'flood_empty', 'flood_limit', 'egress_down'}, stats['drops']
    d.stop()


def limits(t, lab):
    """Requests that wait together stand and fall alone."""
    d = lab.daemon(memory=0, limits={'routes': 64}, networks=[NETWORK])
    prefixes = [f'203.0.113.{i}/32' for i in range(100)]
    _, answers = pipeline(d.socket, requests('route.add', prefixes, network='n', type='blackhole'))
    made = [b'"created":true' in line for line in answers.splitlines()]
    count = sum(made)
    assert count < 64 and made == [True] * count + [False] * (100 - count), made
    assert answers.count(b'limits.routes') == 100 - count, answers[-300:]
    d.restart()
    listed = d.call('route.list', network='n', owner='static', limit=1000)['routes']
    assert sorted(r['prefix'] for r in listed) == sorted(prefixes[:count]), 'what was answered is there after a kill'
    t.raises(RpcError, lambda: d.call('route.add', network='n', prefix='203.0.114.0/24', type='blackhole'), 'still full')
    d.stop()


def main():
    t = Tap()
    for case in (one_by_one, synced, limits):
        with t.case(case.__name__.replace('_', ' ')), Lab('scale') as lab:
            case(t, lab)
    for workers in settings.workers if FAST and not settings.long else settings.workers[:1]:
        with t.case(f'routes change beside traffic, {workers} workers'), Lab('scale') as lab:
            beside_traffic(t, lab, workers)
    t.done()


if __name__ == '__main__':
    main()
