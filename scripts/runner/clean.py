# SPDX-License-Identifier: BSD-3-Clause
"""What a run of tests must leave as it was: a snapshot of the machine, and the difference of two."""

import glob
import os
import re
import subprocess

# Directories whose entries are compared, and how deep.
PLACES = {
    '/run': 2, '/dev/shm': 1, '/var/lib': 1, '/var/lib/cni': 3, '/var/lib/containers': 3,
    '/var/lib/containerd': 2, '/run/containerd': 3, '/etc/cni': 2, '/etc/containers': 2,
    '/etc/podrail': 2, '/var/log': 1, '/root': 1, '/opt': 1, '/dev/hugepages': 1, '/sys/fs/bpf': 1,
}
# In these, only what programs of ours are known to make.
SHARED = re.compile(r'^(pr-|podrail|podman|libpod|containers|containerd|conmon|buildah|dpdk|rte_|'
                    r'crun|runc|cni|netns|storage\.|ctrd)')
# State of the scripts themselves, put back after the run; and what mount(8) makes at its first use.
OURS = ('/run/podrail-setup', '/run/mount')


def _entries(top, depth):
    found = []
    try:
        names = os.listdir(top)
    except OSError:
        return found
    for name in names:
        path = f'{top}/{name}'
        if path in OURS or (os.path.ismount(path) and path != '/run/netns'):
            continue
        found.append(path)
        if depth > 1 and os.path.isdir(path) and not os.path.islink(path):
            found += _entries(path, depth - 1)
    return found


def _output(*argv):
    try:
        done = subprocess.run(argv, capture_output=True, text=True, timeout=30)
    except (OSError, subprocess.SubprocessError):
        return []
    return [line for line in done.stdout.splitlines() if line and not line.startswith('#')]


def _read(path):
    try:
        with open(path, encoding='utf-8', errors='replace') as f:
            return f.read()
    except OSError:
        return ''


def _links():
    return [re.split(r'[@ ]', line)[0] for line in _output('ip', '-br', 'link')]


def _mounts():
    return [line.split()[4] for line in _read('/proc/self/mountinfo').splitlines()]


def _unix_sockets():
    fields = (line.split() for line in _read('/proc/net/unix').splitlines()[1:])
    return [f[7] for f in fields if len(f) > 7 and re.search(r'podrail|containerd|podman|/pr-', f[7])]


def _cgroups():
    found = []
    for base, directories, _ in os.walk('/sys/fs/cgroup'):
        found += [f'{base}/{d}' for d in directories]
    return [c for c in found if re.search(r'libpod|/pr-|cri-|k8s', c)]


def _firewall():
    # Counters differ from one moment to the next.
    return [re.sub(r'counter packets \d+ bytes \d+', 'counter', line)
            for line in _output('nft', 'list', 'ruleset')]


def hugepages_in_use():
    base = '/sys/kernel/mm/hugepages/hugepages-2048kB/'
    total, free = (int(_read(base + n) or 0) for n in ('nr_hugepages', 'free_hugepages'))
    return total - free


def _other_run(path, run):
    """Is it of another run of the tests, that goes on beside this one?"""
    found = re.search(r'/pr-([0-9a-f]+)-', path)
    return bool(found) and found[1] != run


def snapshot(run):
    files = []
    for place, depth in PLACES.items():
        files += _entries(place, depth)
    for top in ('/tmp', '/var/tmp'):
        files += [p for p in glob.glob(f'{top}/*') + glob.glob(f'{top}/.*')
                  if SHARED.match(os.path.basename(p).lstrip('.'))]
    state = {
        'file': files, 'mount': _mounts(), 'network interface': _links(),
        'socket': _unix_sockets(), 'cgroup': _cgroups(), 'firewall rule': _firewall(),
        'network namespace': glob.glob('/run/netns/*'),
    }
    state = {k: {v for v in values if not _other_run(v, run)} for k, values in state.items()}
    state['hugepages'] = hugepages_in_use()
    return state


def difference(before, after):
    """[(kind, sentence or '')] for each kind of thing; '' when nothing was left."""
    rows = []
    for kind, old in before.items():
        if kind == 'hugepages':
            more = after[kind] - old
            rows.append((kind, f'{more} more are in use than before' if more > 0 else ''))
            continue
        left = sorted(after[kind] - old)
        gone = sorted(old - after[kind]) if kind in ('firewall rule', 'network interface') else []
        text = [f'left: {x}' for x in left] + [f'gone: {x}' for x in gone]
        rows.append((kind, '\n'.join(text)))
    return rows


def descendants(pid=None):
    """All living processes below pid, as (pid, command line)."""
    parents = {}
    for name in os.listdir('/proc'):
        if name.isdigit():
            text = _read(f'/proc/{name}/stat')
            if text:
                fields = text.rsplit(')', 1)[1].split()
                if fields[0] != 'Z':
                    parents.setdefault(int(fields[1]), []).append(int(name))
    found = []
    todo = [pid or os.getpid()]
    while todo:
        for child in parents.get(todo.pop(), []):
            found.append((child, _read(f'/proc/{child}/cmdline').replace('\0', ' ').strip()))
            todo.append(child)
    return found
