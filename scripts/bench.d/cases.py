# SPDX-License-Identifier: BSD-3-Clause
"""What is measured: which ports, which frames, and the bar that a case must pass."""

import collections
import fnmatch

# A frame of 64 bytes on the wire has 60 without its FCS; "1500" is an IP packet of the common MTU.
FRAME = {64: 60, 1500: 1514}
FLOWS = 1024
DEVICES = ('podrail', 'testpmd-io', 'testpmd-macswap')
REFERENCE = 'testpmd-io'
# Busy cycles a packet of podrail, as a multiple of the reference's.
BARS = {'vhost-routed4-64-1024': 2.0}

Case = collections.namedtuple('Case', 'name egress mode size bar')


def _case(egress, mode, size):
    name = f'{"vhost" if egress == "vhost" else "vhost-memif"}-{mode}-{size}-{FLOWS}'
    return Case(name, egress, mode, size, BARS.get(name))


def matching(name, patterns):
    return not patterns or any(fnmatch.fnmatchcase(name, f'*{p}*') for p in patterns)


def selected(patterns):
    """The cases whose name has one of the patterns in it; all when there is none."""
    cases = [_case(egress, mode, size) for egress in ('vhost', 'memif')
             for size in (64, 1500) for mode in ('routed4', 'bridged')]
    return [c for c in cases if matching(c.name, patterns)]
