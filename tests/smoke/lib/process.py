# SPDX-License-Identifier: BSD-3-Clause
"""Child processes that die with the test, each with its output in a log file."""

import ctypes
import os
import re
import signal
import subprocess

from .wait import WaitError, wait_for

_libc = ctypes.CDLL(None, use_errno=True)
_PR_SET_PDEATHSIG = 1
_CLONE_NEWNET = 0x40000000


class ProcessError(Exception):
    pass


def setns(fd):
    """Moves the calling thread into the network namespace that fd is open on."""
    if _libc.setns(fd, _CLONE_NEWNET):
        errno = ctypes.get_errno()
        raise OSError(errno, os.strerror(errno), 'setns')


def child_setup(netns_fd, parent, cpus=None):
    """For preexec_fn: die with the parent, and live in its namespace."""

    def run():
        _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
        if os.getppid() != parent:
            os._exit(1)
        if netns_fd is not None:
            setns(netns_fd)
        if cpus is not None:
            os.sched_setaffinity(0, cpus)

    return run


class Process:
    """
    A running program. PR_SET_PDEATHSIG follows the starting thread: start programs from a thread
    that lives as long as they should.
    """

    def __init__(self, name, argv, log, netns=None, env=None, stdin=False, cpus=None, cwd=None):
        self.name = name
        self.argv = [str(a) for a in argv]
        self.log = log
        self.expected_end = False
        fd = os.open(netns.path, os.O_RDONLY) if netns else None
        try:
            with open(log, 'ab') as out:
                self._start = out.tell()
                self.popen = subprocess.Popen(
                    self.argv,
                    stdin=subprocess.PIPE if stdin else subprocess.DEVNULL,
                    stdout=out,
                    stderr=subprocess.STDOUT,
                    env={**os.environ, **(env or {})},
                    cwd=cwd,
                    start_new_session=True,
                    preexec_fn=child_setup(fd, os.getpid(), cpus),
                )
        except (OSError, subprocess.SubprocessError) as e:
            raise ProcessError(f'{name}: {self.argv[0]} could not be started: {e}') from e
        finally:
            if fd is not None:
                os.close(fd)

    @property
    def pid(self):
        return self.popen.pid

    @property
    def alive(self):
        return self.popen.poll() is None

    @property
    def status(self):
        """Exit status, -N when killed by signal N, None while it runs."""
        return self.popen.poll()

    def output(self):
        with open(self.log, 'rb') as f:
            f.seek(self._start)
            return f.read().decode(errors='replace')

    def tail(self, lines=20):
        return '\n'.join(self.output().splitlines()[-lines:])

    def expect(self, pattern, timeout=20):
        """Waits until the output has a match; returns it."""

        def look():
            found = re.search(pattern, self.output(), re.M)
            if not found and not self.alive:
                found = re.search(pattern, self.output(), re.M)
                if not found:
                    raise ProcessError(
                        f'{self.name} ended with status {self.status} before it said '
                        f'{pattern!r}:\n{self.tail()}')
            return found

        try:
            return wait_for(f'{self.name} to say {pattern!r}', look, timeout, 0.05)
        except WaitError as e:
            raise ProcessError(f'{e}; its output:\n{self.tail()}') from e

    def write(self, text):
        self.popen.stdin.write(text.encode())
        self.popen.stdin.flush()

    def wait(self, timeout=20):
        try:
            return self.popen.wait(timeout)
        except subprocess.TimeoutExpired as e:
            raise ProcessError(
                f'{self.name} (pid {self.pid}) still runs after {timeout} s:\n{self.tail()}') from e

    def send_signal(self, number):
        if self.alive:
            self.popen.send_signal(number)

    def stop(self, timeout=20, number=signal.SIGTERM):
        """Asks it to end and returns its exit status."""
        self.send_signal(number)
        return self.wait(timeout)

    def kill(self):
        """SIGKILL to it and to what it started in its session. Harmless when it is gone."""
        try:
            os.killpg(self.pid, signal.SIGKILL)
        except (ProcessLookupError, PermissionError):
            pass
        self.popen.wait()
        if self.popen.stdin:
            try:
                self.popen.stdin.close()
            except OSError:
                pass
