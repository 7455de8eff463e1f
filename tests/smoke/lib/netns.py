# SPDX-License-Identifier: BSD-3-Clause
"""Network namespaces of the test's own, and what is plugged into them."""

import ctypes
import os
import subprocess
import threading

from .process import ProcessError, child_setup, setns

DIRECTORY = '/run/netns'


class Namespace:
    """Made by Lab.netns(). Its file can be given to nsenter --net, podman and CNI."""

    def __init__(self, name):
        self.name = name
        self.path = f'{DIRECTORY}/{name}'
        done = subprocess.run(['ip', 'netns', 'add', name], capture_output=True, text=True)
        if done.returncode:
            raise ProcessError(f'namespace {name} could not be made: {done.stderr.strip()}')
        # Neighbour discovery of interfaces nobody asked for would be in every counter.
        self.sysctl('net.ipv6.conf.all.disable_ipv6', 1)
        self.sysctl('net.ipv6.conf.default.disable_ipv6', 1)
        self.ip('link', 'set', 'lo', 'up')

    def close(self):
        subprocess.run(['ip', 'netns', 'del', self.name], capture_output=True)

    def run(self, *argv, check=True, timeout=60, input=None, env=None):
        """A program in it, to its end; returns subprocess.CompletedProcess with text."""
        fd = os.open(self.path, os.O_RDONLY)
        try:
            done = subprocess.run(
                [str(a) for a in argv], capture_output=True, text=True, timeout=timeout,
                input=input, stdin=None if input is not None else subprocess.DEVNULL,
                env={**os.environ, **(env or {})}, preexec_fn=child_setup(fd, os.getpid()))
        finally:
            os.close(fd)
        if check and done.returncode:
            raise ProcessError(
                f'{" ".join(str(a) for a in argv)}: status {done.returncode}\n{done.stdout}{done.stderr}')
        return done

    def ip(self, *args):
        return self.run('ip', *args).stdout

    def sysctl(self, key, value):
        self.run('sysctl', '-q', '-w', f'{key}={value}')

    def enter(self):
        """with ns.enter(): sockets opened by this thread belong to the namespace."""
        return _Entered(self.path)

    def veth(self, name, peer_ns, peer_name, mtu=1500, mac=None, peer_mac=None):
        """A pair, both ends up, without checksum offload (partial checksums break AF_PACKET)."""
        self.ip('link', 'add', name, 'mtu', mtu, *(('address', mac) if mac else ()),
                'type', 'veth', 'peer', 'name', peer_name, 'mtu', mtu,
                *(('address', peer_mac) if peer_mac else ()), 'netns', peer_ns.name)
        for ns, link in ((self, name), (peer_ns, peer_name)):
            ns.ip('link', 'set', link, 'up')
            ns.offload(link, False)

    def offload(self, link, on):
        value = 'on' if on else 'off'
        self.run('ethtool', '-K', link, 'tx', value, 'rxvlan', value, 'txvlan', value, check=False)

    def ping(self, address, count=3, interval=0.2, timeout=2, size=None, extra=()):
        """Returns how many of count were answered."""
        done = self.run(
            'ping', '-n', '-q', '-c', count, '-i', interval, '-W', timeout,
            *(('-s', size) if size is not None else ()), *extra, address, check=False)
        for line in done.stdout.splitlines():
            if ' received' in line:
                return int(line.split(', ')[1].split()[0])
        raise ProcessError(f'ping {address}: {done.stdout}{done.stderr}')


class _Entered:
    def __init__(self, path):
        self.path = path

    def __enter__(self):
        self.home = os.open(f'/proc/self/task/{threading.get_native_id()}/ns/net', os.O_RDONLY)
        fd = os.open(self.path, os.O_RDONLY)
        try:
            setns(fd)
        finally:
            os.close(fd)

    def __exit__(self, *_):
        setns(self.home)
        os.close(self.home)


def mounts():
    """Mount points of this process, latest last, with the kernel's escapes undone."""
    with open('/proc/self/mountinfo', encoding='utf-8') as f:
        return [line.split()[4].encode().decode('unicode_escape') for line in f]


def unmount(path):
    libc = ctypes.CDLL(None, use_errno=True)
    return libc.umount2(path.encode(), 2) == 0  # MNT_DETACH


def remove_directory():
    """
    `ip netns` and container runtimes mount /run/netns onto itself and leave it so. Undone when it
    is empty, by whoever found it absent.
    """
    try:
        if os.listdir(DIRECTORY):
            return
        while DIRECTORY in mounts() and unmount(DIRECTORY):
            pass
        os.rmdir(DIRECTORY)
    except OSError:
        pass
