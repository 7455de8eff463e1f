# SPDX-License-Identifier: BSD-3-Clause
"""What is measured: which ports, which frames, who is compared with whom, and the bars that a case must pass."""

import collections
import fnmatch

# A frame of 64 bytes on the wire has 60 without its FCS; "1500" is an IP packet of the common MTU.
FRAME = {64: 60, 96: 92, 256: 252, 1500: 1514, 9000: 9014}
FLOWS = 1024
# With more than two ports, flows of each pair: there are as many destinations as with two.
FLOWS_MANY = 256
MANY = 8
IDLE = 200

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
}

# A device beside the others of its case. flows: of each pair of ports; idle: further ports whose guests are silent.
Contestant = collections.namedtuple('Contestant', 'name ports flows idle', defaults=(2, FLOWS, 0))
# The first contestant is judged. packed: the guests' rings.
Case = collections.namedtuple('Case', 'name egress mode size packed contestants reference bar goal')


def _case(kind, mode, size, *contestants, egress='vhost', packed=False, reference='testpmd-io'):
    name = f'{kind}-{mode}-{size}-{contestants[0].flows}'
    return Case(name, egress, mode, size, packed, contestants, reference, *BARS.get(name, (None, None)))


def _against_testpmd(kind, mode, size, **more):
    peers = [Contestant(name) for name in ('podrail', 'testpmd-io', 'testpmd-macswap')]
    return _case(kind, mode, size, *peers, **more)


def _against_itself(kind, changed, reference):
    """podrail changed so beside podrail with two ports."""
    return _case(kind, 'routed4', 64, changed, Contestant(reference), reference=reference)


def _against_ovs(mode, size, peer):
    peers = [Contestant(name) for name in ('podrail', peer)]
    return _case('vhost-ovs', mode, size, *peers, reference=peer)


def _all():
    both = [(size, mode) for size in (64, 1500) for mode in ('routed4', 'bridged')]
    return [
        *[_against_testpmd('vhost', mode, size) for size, mode in both],
        _against_testpmd('vhost', 'routed6', 96),
        _against_testpmd('vhost-packed', 'routed4', 64, packed=True),
        _against_ovs('routed4', 64, 'ovs-l3'),
        _against_ovs('bridged', 64, 'ovs-normal'),
        _against_itself(f'vhost-{MANY}ports', Contestant('podrail', MANY, FLOWS_MANY), 'podrail-2ports'),
        _against_itself(f'vhost-idle{IDLE}', Contestant('podrail', idle=IDLE), 'podrail-alone'),
        *[_against_testpmd('vhost-memif', mode, size, egress='memif') for size, mode in both],
    ]


def matching(name, patterns):
    return not patterns or any(fnmatch.fnmatchcase(name, f'*{p}*') for p in patterns)


def selected(patterns):
    """The cases whose name has one of the patterns in it; all when there is none."""
    return [c for c in _all() if matching(c.name, patterns)]
