# SPDX-License-Identifier: BSD-3-Clause
"""podraild with run and state directories of its own."""

import glob
import json
import os
import signal
import stat

from .process import ProcessError
from .rpc import Client
from .wait import WaitError, wait_for

# Exit status of a process in which a sanitizer found something.
SANITIZER_STATUS = 99


class Podraild:
    """
    Made by Lab.daemon(). Members: config (dict, may be changed between stop() and start()),
    socket (path), process, pid.
    """

    def __init__(self, lab, netns, name='podraild', workers=1, networks=(), ports=(), memory=256,
                 idle='sleep', build=None, env=None, **more):
        self.lab = lab
        self.netns = netns
        self.name = name
        self.program = lab.program('podraild', build)
        self.env = dict(env or {})
        self.run_dir = f'{lab.dir}/{name}.run'
        self.state_dir = f'{lab.dir}/{name}.state'
        self.socket = f'{self.run_dir}/control.sock'
        self.config_file = f'{lab.dir}/{name}.json'
        self.starts = 0
        self.process = None
        # With more workers than CPUs they share: 0,1,0,1.
        cpus = [lab.cpus[i % len(lab.cpus)] for i in range(workers)] \
            if isinstance(workers, int) else list(workers)
        self.config = {
            'runDir': self.run_dir, 'stateDir': self.state_dir, 'controlCpu': lab.cpus[-1],
            'workers': cpus, 'idle': idle, 'memory': memory, 'networks': list(networks),
            'ports': list(ports), **more,
        }
        for path in (self.run_dir, self.state_dir):
            os.makedirs(path, exist_ok=True)

    @property
    def pid(self):
        return self.process.pid

    @property
    def alive(self):
        return self.process is not None and self.process.alive

    def write_config(self):
        with open(self.config_file, 'w', encoding='utf-8') as f:
            json.dump(self.config, f, indent=2)
        return self.config_file

    def start(self, wait=True, timeout=30):
        if self.alive:
            raise ProcessError(f'{self.name} runs already')
        self.write_config()
        self.starts += 1
        reports = f'{self.lab.logs}/{self.name}.sanitizer'
        env = {
            'ASAN_OPTIONS': f'exitcode={SANITIZER_STATUS}:log_path={reports}:detect_leaks=1',
            'UBSAN_OPTIONS': f'print_stacktrace=1:exitcode={SANITIZER_STATUS}:log_path={reports}',
            **self.env,
        }
        self.process = self.lab.spawn(
            f'{self.name}', [self.program, '--config', self.config_file],
            netns=self.netns, env=env)
        if wait:
            self.wait_ready(timeout)
        return self

    def wait_ready(self, timeout=30):
        def ready():
            if not self.alive:
                raise ProcessError(
                    f'{self.name} ended with status {self.process.status} at start:\n'
                    f'{self.process.tail()}{self.sanitizer_reports()}')
            try:
                with Client(self.socket) as client:
                    return client.call('hello').get('ready')
            except (OSError, ConnectionError):
                return False

        try:
            wait_for(f'{self.name} to be ready', ready, timeout, 0.02)
        except WaitError as e:
            raise ProcessError(f'{e}; its output:\n{self.process.tail()}') from e

    def client(self, timeout=10):
        return Client(self.socket, timeout)

    def call(self, method, **params):
        """One call on a connection of its own."""
        with self.client() as client:
            return client.call(method, **params)

    def stop(self, timeout=30):
        """SIGTERM. Raises when the end was not clean: status, a sanitizer's report, files left."""
        if self.process is None:
            return
        status = self.process.stop(timeout)
        reports = self.sanitizer_reports()
        if status or reports:
            raise ProcessError(f'{self.name} ended with status {status}:\n{self.process.tail()}{reports}')
        sockets = [e.name for e in os.scandir(self.run_dir) if stat.S_ISSOCK(e.stat().st_mode)]
        if sockets:
            raise ProcessError(f'{self.name} left in its run directory: {", ".join(sockets)}')
        self.process = None

    def kill(self):
        """SIGKILL, at once. Raises when it had ended by itself before."""
        if not self.alive:
            raise ProcessError(f'{self.name} was gone before it was killed:\n{self.process.tail()}'
                               f'{self.sanitizer_reports()}')
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()
        self.process = None

    def restart(self, kill=True):
        if kill:
            self.kill()
        else:
            self.stop()
        return self.start()

    def sanitizer_reports(self):
        text = ''
        for path in sorted(glob.glob(f'{self.lab.logs}/{self.name}.sanitizer.*')):
            with open(path, encoding='utf-8', errors='replace') as f:
                text += f'\n{path}:\n' + f.read()
        return text

    def wait_port(self, name, state='up', timeout=20):
        """Waits until the guest of a port is there (or gone); returns the port."""
        def look():
            port = self.call('port.show', name=name)['port']
            return port if port.get('state') == state else None

        return wait_for(f'port {name} to be {state}', look, timeout, 0.05)

    def ctl(self, *args, check=True, timeout=30):
        """podrailctl on this daemon's socket."""
        return self.netns.run(
            self.lab.program('podrailctl'), '--socket', self.socket, *args,
            check=check, timeout=timeout)
