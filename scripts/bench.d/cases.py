# SPDX-License-Identifier: BSD-3-Clause
"""What is measured: the matrix and the cases beside it, who is compared with whom, and the bars."""

import collections
import fnmatch

# A frame of 64 bytes on the wire has 60 without its FCS; "1500" is an IP packet of the common MTU. IPv6 with
# what tells a packet from others does not fit into 64: its smallest is 96.
FRAME = {64: 60, 96: 92, 256: 252, 1500: 1514, 9000: 9014}
SIZES = {'bridged': (64, 256, 1500, 9000), 'routed4': (64, 256, 1500, 9000), 'routed6': (96, 256, 1500, 9000)}
FLOWS = {'1': 1, '1024': 1024, '1m': 1 << 20}
# With more than two ports, flows of each pair: there are as many destinations as with two.
FLOWS_MANY = 256
MANY = 8
IDLE = 200
ROUTES = 1 << 20
GROUP = 8
ONE_WAY = '-oneway'

# Busy cycles a packet of podrail, as a multiple of the reference's: what must be and what should be.
BARS = {
    'vhost-routed4-64-1024': (0.75, 0.55),
    'vhost-bridged-64-1024': (0.7, 0.5),
    'vhost-routed4-1500-1024': (0.6, 0.45),
    'vhost-packed-routed4-64-1024': (0.85, 0.65),
    'vhost-routed6-96-1024': (0.8, 0.65),
    'vhost-ovs-routed4-64-1024': (0.45, 0.35),
    'vhost-ovs-bridged-64-1024': (0.45, 0.35),
    f'vhost-{MANY}ports-routed4-64-{FLOWS_MANY}': (1.3, 1.15),
    f'vhost-idle{IDLE}-routed4-64-1024': (1.05, None),
    'vhost-1mroutes-routed4-64-1m': (1.6, 1.3),
    f'vhost-ecmp{GROUP}-routed4-64-1024': (1.3, 1.15),
}
# What --quick measures of the matrix besides.
QUICK = ('vhost-routed4-1500-1024', 'vhost-bridged-1500-1024', 'vhost-memif-routed4-64-1024')

# Devices that are there at the same time. egress: what port 1 is; packed: the guests' rings; wide: destinations of each port
# in an eighth of the IPv4 addresses.
World = collections.namedtuple('World', 'name egress packed mtu wide', defaults=('vhost', False, 1500, False))
# A device with its own generator. kind: podrail-bridged, podrail-routed, testpmd-…, ovs…; idle: further ports whose
# guests are silent; routes: the destinations are behind so many; group: and each route has so many next hops.
Spec = collections.namedtuple('Spec', 'kind ports idle routes group', defaults=(2, 0, 0, 0))
# What the generator sends. flows: of each pair of ports; way: both, there (port 0 to 1), back.
Traffic = collections.namedtuple('Traffic', 'size flows way family')
# A row of a case's results.
Contestant = collections.namedtuple('Contestant', 'name spec traffic')
# The first contestant is judged, and all are compared with the reference.
Case = collections.namedtuple('Case', 'name world mode size flows way contestants reference bar goal')


def _kind(name, mode):
    return f'podrail-{mode.rstrip("46")}' if name.startswith('podrail') else name


def _traffic(mode, size, flows, way='both'):
    return Traffic(size, flows, way, 6 if mode == 'routed6' else 4)


def _case(name, world, mode, size, flows, way, contestants, reference):
    return Case(name, world, mode, size, flows, way, tuple(contestants), reference, *BARS.get(name, (None, None)))


def _point(world, name, mode, size, flows, way, peers, reference='testpmd-io'):
    """podrail beside peers, all with the same traffic."""
    traffic = _traffic(mode, size, FLOWS[flows], way)
    contestants = [Contestant(peer, Spec(_kind(peer, mode)), traffic) for peer in ('podrail', *peers)]
    return _case(f'{name}-{mode}-{size}-{flows}{"" if way == "both" else ONE_WAY}', world, mode, size, FLOWS[flows],
                 way, contestants, reference)


def _world(egress, size):
    """Jumbo frames have a world of their own: what they need shall not slow the others."""
    return World(egress + ('-jumbo' if size > 1500 else ''), egress, mtu=max(size, 1500))


def _matrix():
    """
    Left out: memif-vhost both ways, which is vhost-memif both ways; 9000 B over memif, as DPDK's net_memif has an MTU of
    1500; OVS beside memif.
    """
    for egress, name, ways in (('vhost', 'vhost', ('both', 'there')), ('memif', 'vhost-memif', ('both', 'there')),
                               ('memif', 'memif-vhost', ('back',))):
        for mode, sizes in SIZES.items():
            peers = ['testpmd-io', 'testpmd-macswap']
            if egress == 'vhost':
                peers += ['ovs', 'ovs-normal' if mode == 'bridged' else 'ovs-l3']
            for size in sizes if egress == 'vhost' else sizes[:-1]:
                for flows in FLOWS:
                    for way in ways:
                        yield _point(_world(egress, size), name, mode, size, flows, way, peers)


def _against_itself(name, changed, reference, flows, flows_reference):
    """podrail changed so beside podrail with two ports."""
    world = World(name)
    return _case(f'vhost-{name}-routed4-64-{flows}', world, 'routed4', 64, flows, 'both', [
        Contestant('podrail', changed, _traffic('routed4', 64, flows)),
        Contestant(reference, Spec('podrail-routed'), _traffic('routed4', 64, flows_reference))], reference)


def _routes():
    """As many routes as flows, and one that leads to all of them."""
    traffic = _traffic('routed4', 64, ROUTES // 2)   # of each way
    return _case('vhost-1mroutes-routed4-64-1m', World('1mroutes', wide=True), 'routed4', 64, ROUTES // 2, 'both', [
        Contestant('podrail', Spec('podrail-routed', routes=ROUTES), traffic),
        Contestant('podrail-1route', Spec('podrail-routed'), traffic)], 'podrail-1route')


def _special():
    small = _world('vhost', 64)
    return [
        _point(World('packed', packed=True), 'vhost-packed', 'routed4', 64, '1024', 'both',
               ('testpmd-io', 'testpmd-macswap')),
        _point(small, 'vhost-ovs', 'routed4', 64, '1024', 'both', ('ovs', 'ovs-l3'), 'ovs-l3'),
        _point(small, 'vhost-ovs', 'bridged', 64, '1024', 'both', ('ovs', 'ovs-normal'), 'ovs-normal'),
        _against_itself(f'{MANY}ports', Spec('podrail-routed', ports=MANY), 'podrail-2ports', FLOWS_MANY, 1024),
        _against_itself(f'idle{IDLE}', Spec('podrail-routed', idle=IDLE), 'podrail-alone', 1024, 1024),
        _against_itself(f'ecmp{GROUP}', Spec('podrail-routed', group=GROUP), 'podrail-plain', 1024, 1024),
        _routes(),
    ]


def every():
    return [*_special(), *_matrix()]


def matching(name, patterns):
    return not patterns or any(fnmatch.fnmatchcase(name, f'*{p}*') for p in patterns)


def selected(patterns, quick=False):
    """The cases whose name has one of the patterns in it; without patterns all, or those of a quick run."""
    few = quick and not patterns
    return [c for c in every() if matching(c.name, patterns) and (not few or c.bar or c.name in QUICK)]


def worlds(chosen):
    """[(world, its cases)], in order."""
    found = {}
    for case in chosen:
        found.setdefault(case.world, []).append(case)
    return list(found.items())


def points(chosen):
    """[cases that one set of samples serves], of a world: their devices have the same traffic, each its own."""
    found = {}
    for case in chosen:
        found.setdefault(case.contestants[0].traffic, []).append(case)
    return list(found.values())
