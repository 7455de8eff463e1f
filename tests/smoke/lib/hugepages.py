# SPDX-License-Identifier: BSD-3-Clause
"""Hugepage accounting, of the machine and of one process. Counts are in pages of 2 MiB."""

_DIR = '/sys/kernel/mm/hugepages/hugepages-2048kB/'


def _read(name):
    with open(_DIR + name, encoding='ascii') as f:
        return int(f.read())


def hugepages_total():
    return _read('nr_hugepages')


def hugepages_free():
    return _read('free_hugepages')


def hugepages_of(pid):
    """What one process has mapped: exact even while other programs take and give pages."""
    kib = 0
    with open(f'/proc/{pid}/smaps_rollup', encoding='ascii') as f:
        for line in f:
            if line.startswith(('Private_Hugetlb:', 'Shared_Hugetlb:')):
                kib += int(line.split()[1])
    return kib // 2048
