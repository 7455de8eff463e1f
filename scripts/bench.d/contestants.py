# SPDX-License-Identifier: BSD-3-Clause
"""Which class a device is of."""

from daemon_device import Podrail
from ovs import Ovs
from testpmd_device import TestpmdDevice


def make(lab, world, spec, name, size):
    """size: the largest frame that its generator will send, as cases.FRAME names them."""
    kind = {'testpmd': TestpmdDevice, 'ovs': Ovs, 'podrail': Podrail}[spec.kind.split('-')[0]]
    return kind(lab, world, spec, name, size)
