# SPDX-License-Identifier: BSD-3-Clause
"""One test's private world: directory, namespaces, processes; all of it gone at the end."""

import atexit
import glob
import os
import shutil
import signal
import sys
import tempfile

from . import netns as _netns
from .borrowed import Borrowed
from .daemon import Podraild
from .netns import Namespace
from .process import Process
from .testpmd import Gen, KernelPod, Testpmd, virtio_user

TREE = os.path.realpath(os.path.join(os.path.dirname(__file__), '..', '..', '..'))
PROGRAMS = {
    'podraild': 'control/podraild', 'podrailctl': 'control/podrailctl', 'podrail': 'cni/podrail',
    'podrail-gen': 'tests/gen/podrail-gen', 'podrail-guest': 'tests/guest/podrail-guest',
}


def cpus():
    """CPUs that may be used here, in order."""
    return sorted(os.sched_getaffinity(0))


class Settings:
    """What scripts/test says in the environment; the defaults are for a test run by hand."""

    def __init__(self):
        env = os.environ.get
        self.build = env('PODRAIL_BUILD') or f'{TREE}/build'
        self.build_asan = env('PODRAIL_BUILD_ASAN') or f'{self.build}-asan'
        self.flavour = env('PODRAIL_FLAVOUR') or 'release'
        self.workers = [int(n) for n in (env('PODRAIL_WORKERS') or '1,2,4').split(',')]
        self.quick = env('PODRAIL_QUICK') == '1'
        self.long = env('PODRAIL_LONG') == '1'
        self.mutant = env('PODRAIL_MUTANT') or ''
        self.run = env('PODRAIL_TEST_RUN') or f'{os.getpid():x}'
        self.keep = env('PODRAIL_KEEP') == '1'

    @property
    def daemon_build(self):
        return self.build_asan if self.flavour == 'asan' else self.build


settings = Settings()
_count = 0


class Lab:
    """
    with Lab('bridge') as lab:
        d = lab.daemon(workers=2, networks=[…])
    Closing twice is harmless; it is closed at exit, on SIGTERM, SIGINT and SIGHUP too.
    """

    def __init__(self, label='lab'):
        global _count
        _count += 1
        self.label = label
        self.borrowed = Borrowed()
        self.name = f'pr-{settings.run}-{os.getpid():x}.{_count}'
        self.dir = tempfile.mkdtemp(prefix=self.name + '-', dir='/tmp')
        os.chmod(self.dir, 0o755)
        self.name = os.path.basename(self.dir)
        self.logs = f'{self.dir}/logs'
        self.sockets = f'{self.dir}/s'
        for path in (self.logs, self.sockets):
            os.mkdir(path)
        self.cpus = cpus()
        self.settings = settings
        self.processes = []
        self.namespaces = []
        self.daemons = []
        self.closers = []
        self.closed = False
        self.pid = os.getpid()
        self._root = None
        atexit.register(self.close)
        _catch_signals()

    def __enter__(self):
        return self

    def __exit__(self, kind, *_):
        if kind is not None:
            self.show_logs()
        self.close()

    @property
    def ns(self):
        """The namespace in which daemon and container runtimes run."""
        if self._root is None:
            self._root = self.netns('node')
        return self._root

    def program(self, name, build=None):
        # Tools, not the product: always the fast ones.
        default = settings.build if name in ('podrail-gen', 'podrail-guest') else settings.daemon_build
        path = f'{build or default}/{PROGRAMS[name]}'
        if name == 'podraild' and settings.mutant:
            path += f'-{settings.mutant}'
        if not os.path.exists(path):
            raise FileNotFoundError(f'{path} is not built: run scripts/setup')
        return path

    def netns(self, label):
        ns = Namespace(f'{self.name}-{label}')
        self.namespaces.append(ns)
        return ns

    def spawn(self, name, argv, netns=None, env=None, stdin=False, cpus=None, cwd=None):
        process = Process(name, argv, f'{self.logs}/{name}.log', netns, env, stdin, cpus, cwd)
        self.processes.append(process)
        return process

    def on_close(self, function):
        """function() runs before processes are killed; the last one added runs first."""
        self.closers.append(function)

    def daemon(self, start=True, netns=None, **config):
        daemon = Podraild(self, netns or self.ns, **config)
        self.daemons.append(daemon)
        if start:
            daemon.start()
        return daemon

    def socket_path(self, name):
        return f'{self.sockets}/{name}'

    def testpmd(self, name, socket=None, vdevs=(), server=True, mac=None, queues=1, **more):
        """A pod: testpmd on a virtio-user port (socket) and further vdevs."""
        vdevs = list(vdevs)
        if socket:
            vdevs.insert(0, virtio_user(socket, server=server, mac=mac, queues=queues))
        return Testpmd(self, name, vdevs, queues=queues, **more)

    def kernel_pod(self, name, socket, **more):
        return KernelPod(self, name, socket, **more)

    def gen(self, name, *arguments, netns=None):
        return Gen(self, name, arguments, netns)

    def show_logs(self, lines=15):
        """The ends of all logs, as comments of the test's output."""
        for path in sorted(glob.glob(f'{self.logs}/*')):
            with open(path, encoding='utf-8', errors='replace') as f:
                tail = f.read().splitlines()[-lines:]
            print(f'# --- {os.path.basename(path)}', flush=True)
            for line in tail:
                print('#   ' + line, flush=True)

    def close(self):
        if self.closed or os.getpid() != self.pid:
            return
        self.closed = True
        for close in reversed(self.closers):
            try:
                close()
            except Exception as e:  # noqa: the rest must be closed all the same
                print(f'# while closing: {e}', flush=True)
        for process in reversed(self.processes):
            process.kill()
        for ns in reversed(self.namespaces):
            ns.close()
        if settings.keep:
            print(f'# kept: {self.dir}', flush=True)
        else:
            remove_tree(self.dir)
        self.borrowed.give_back()


def remove_tree(path):
    """Deletes a lab's directory with whatever a container runtime has mounted in it."""
    for point in reversed(_netns.mounts()):
        if point == path or point.startswith(path + '/'):
            _netns.unmount(point)
    shutil.rmtree(path, ignore_errors=True)


def sweep(run):
    """Removes what killed tests of a run left; returns a description of each thing found."""
    found = []
    for path in sorted(glob.glob(f'{_netns.DIRECTORY}/pr-{run}-*')):
        name = os.path.basename(path)
        found.append(f'namespace {name}')
        _netns.unmount(path)
        try:
            os.unlink(path)
        except OSError:
            pass
    for path in sorted(glob.glob(f'/tmp/pr-{run}-*')):
        found.append(f'directory {path}')
        remove_tree(path)
    return found


_caught = False


def _catch_signals():
    """atexit does not run for signals: turn them into an exit."""
    global _caught
    if _caught:
        return
    _caught = True

    def leave(number, _frame):
        signal.signal(number, signal.SIG_IGN)
        sys.exit(128 + number)

    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, leave)
