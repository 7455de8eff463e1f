# SPDX-License-Identifier: BSD-3-Clause
"""What smoke tests, demo and bench share: see ../README.md."""

from .conservation import assert_conserved, conservation_error, wait_conserved
from .containerd import Containerd
from .daemon import Podraild
from .hugepages import hugepages_free, hugepages_of, hugepages_total
from .lab import Lab, Settings, cpus, settings, sweep
from .netns import Namespace
from .pktio import RawPort
from .podman import Podman
from .process import Process, ProcessError
from .rpc import Client, RpcError
from .tap import Tap
from .testpmd import Gen, KernelPod, Testpmd
from .wait import WaitError, wait_for

__all__ = [
    'Client', 'Containerd', 'Gen', 'KernelPod', 'Lab', 'Namespace', 'Podman', 'Podraild', 'Process',
    'ProcessError', 'RawPort', 'RpcError', 'Settings', 'Tap', 'Testpmd', 'WaitError',
    'assert_conserved', 'conservation_error', 'cpus', 'hugepages_free', 'hugepages_of',
    'hugepages_total', 'settings', 'sweep', 'wait_conserved', 'wait_for',
]
