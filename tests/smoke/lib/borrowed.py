# SPDX-License-Identifier: BSD-3-Clause
"""
Directories of the whole machine that container runtimes make whatever their configuration says.
Those that were absent are removed again, if nobody else has put anything there.
"""

import glob
import os

from . import netns

PLACES = ('/run/containerd', '/var/lib/cni', '/var/lib/containers', '/run/runc', '/run/libpod',
          '/run/containers', '/var/lib/containerd', '/etc/cni', '/etc/cni/net.d', '/opt/containerd',
          '/opt/cni', '/run/cni', '/var/cache/containers')
# Caches that podman writes for root and that no option moves.
FILES = ('/var/lib/containers/cache/blob-info-cache-v1.boltdb',)
CGROUP = 'libpod_parent'


def _cgroups():
    return glob.glob(f'/sys/fs/cgroup/{CGROUP}') + glob.glob(f'/sys/fs/cgroup/*/{CGROUP}')


class Borrowed:
    def __init__(self):
        self.netns = not os.path.isdir(netns.DIRECTORY)
        self.absent = [p for p in PLACES if not os.path.lexists(p)]
        self.cgroups = set(_cgroups())

    def give_back(self):
        for path in self.absent:
            for name in FILES:
                if name.startswith(path + '/') and not _others_in(path, name):
                    _try(os.unlink, name)
            remove_empty(path)
        for path in set(_cgroups()) - self.cgroups:
            remove_empty(path)
        if self.netns:
            netns.remove_directory()


def _others_in(path, name):
    return any(f'{base}/{f}' != name for base, _, files in os.walk(path) for f in files)


def _try(call, path):
    try:
        call(path)
    except OSError:
        pass


def remove_empty(path):
    """Removes what is empty of a tree, from its leaves up; a cgroup's own files do not count."""
    for base, _, _ in os.walk(path, topdown=False):
        _try(os.rmdir, base)
