# SPDX-License-Identifier: BSD-3-Clause
"""
What all devices under test have in common: a generator each, and how a sample is taken of them.

Every device has two ports, or more with traffic between all. Its worker has CPU 0 (the first that may be used), everything
else CPU 1.
"""

import os
import signal
import time

from generator import Generator
from lib import wait_for

GATEWAY = {'vhost': '198.18.1.1', 'memif': '198.18.2.254'}
GATEWAY6 = {'vhost': '2001:db8:1::1', 'memif': '2001:db8:2::fe'}
# Shared memory holds these destinations of a million routes, and nothing sends them elsewhere.
WIDE = ('32.0.0.0/3', '64.0.0.0/3')
# Packets of a flow come in turn with those of all others: then each has been there once.
WARM_FLOWS = 2e6
SETTLE = 0.05


class Device:
    """One device, its ports and its generator. Stopped (SIGSTOP) unless it is being measured."""

    def __init__(self, lab, world, spec, name, size):
        self.lab = lab
        self.world = world
        self.spec = spec
        self.name = name
        self.ports = spec.ports
        self.size = size
        self.cpu, self.other_cpu = lab.cpus[0], lab.cpus[1]
        self.sockets = [lab.socket_path(f'{self.name}-{i}') for i in range(self.ports)]
        self.gen = None
        self.wrong_at_start = None
        self.clock = 0    # cycles a second, as DPDK measured it for the generator

    # ---- what the kinds of device say ----

    pid = None
    knows_clock = False   # its samples say the clock, not how many cycles there were
    routes = False    # it routes: frames go to the gateway's MAC

    def mac(self, i):
        return f'02:00:00:00:00:{i + 1:02x}'

    def memif(self, i):
        return self.world.egress == 'memif' and i == 1

    def address(self, i):
        return '198.18.2.2' if self.memif(i) else f'198.18.1.{i + 2}'

    def address6(self, i):
        return f'2001:db8:{2 if self.memif(i) else 1}::{i + 2}'

    def prefixes(self, i):
        """The destinations behind port i, of both families; flows are spread over them."""
        if self.world.wide:
            return WIDE[i], f'2001:db8:f{i}::/108'
        narrow = f'198.{18 + i}.{128 * (1 - i)}.0/17' if self.ports == 2 else f'198.19.{16 * i}.0/20'
        return narrow, f'2001:db8:f{i}::/108'

    def gateway(self, i):
        """What the generator needs to know of whom it sends to by way of."""
        kind = 'memif' if self.memif(i) else 'vhost'
        return ['--gw', GATEWAY[kind], '--gw', GATEWAY6[kind]]

    def open(self):
        """Starts the device and connects it to the generator, which waits for it."""
        raise NotImplementedError

    def close(self):
        """Ends the device; the generator is gone."""
        raise NotImplementedError

    def mark(self):
        """The sample begins here."""
        raise NotImplementedError

    def read(self):
        """The sample ends here: a Sample of one second, of which only the length is wrong."""
        raise NotImplementedError

    def stages(self):
        """{stage: cycles a packet} where the device tells."""
        return {}

    # ---- start, stop ----

    def launch(self):
        """Starts the generator; those of all devices may start at the same time, they sleep then."""
        arguments = [str(a) for i in range(self.ports) for a in self._gen_port(i)]
        if self.world.wide:
            arguments.append('--scatter')
        self.gen = Generator(self.lab, f'{self.name}-gen', self.other_cpu, self.ports, self.size, arguments)
        prefer(self.gen.process.pid, -15)

    def start(self):
        """Returns when packets have been through it."""
        self.wait_socket(0)
        self.open()
        prefer(self.pid, -20)
        prefer(self.gen.process.pid, -15)
        wait_for(f'packets through {self.name}', self._flows, 40, 0.1)
        ended = self.gen.hold()   # what came through may have been announcements only
        self.wrong_at_start = ended.wrong if ended.sent else None
        self.clock = ended.clock
        self.pause()

    def wait_socket(self, i):
        """The generator makes the socket of port i once the one before is connected."""
        wait_for(f'socket {i} of {self.name}', self._socket_there(i), 30, 0.005)

    def _socket_there(self, i):
        def there():
            self.gen.check_alive()
            return os.path.exists(self.sockets[i])
        return there

    def _flows(self):
        self.gen.check_alive()
        return self._sample(0.05).delivered > 0

    def _gen_port(self, i):
        if self.memif(i):
            port = f'net_memif0,socket={self.sockets[1]},socket-abstract=no,id=0,role=client'
        else:
            port = f'net_virtio_user{i},path={self.sockets[i]},server=1,queue_size=1024'
            port += ',packed_vq=1' if self.world.packed else ''
        four, six = self.prefixes(i)
        arguments = ['--port', port, '--mac', self.mac(i), '--ip', self.address(i), '--ip', self.address6(i),
                     '--queues', 1, '--prefix', four, '--prefix', six]
        return arguments + (self.gateway(i) if self.routes else [])

    def finish(self):
        """The generator ends, then the device."""
        self.resume()
        self.gen.process.send_signal(signal.SIGINT)
        self.gen.process.wait(10)
        self.close()

    def kill(self):
        """Whatever became of it: it shall not disturb the others."""
        for process in (self.gen and self.gen.process, *self.lab.processes):
            if process and process.name.startswith(self.name):
                process.kill()

    # ---- taking turns ----

    def resume(self):
        os.kill(self.pid, signal.SIGCONT)
        self.gen.process.send_signal(signal.SIGCONT)

    def pause(self):
        """The generator first: the device is quiet then, and nothing is lost."""
        self.gen.process.send_signal(signal.SIGSTOP)
        time.sleep(0.005)
        os.kill(self.pid, signal.SIGSTOP)

    def begin(self, traffic):
        """Other traffic, until it flows."""
        self.resume()
        try:
            self.gen.begin(traffic)
            time.sleep(SETTLE + traffic.flows / WARM_FLOWS)
        finally:
            self.pause()

    def end(self):
        """The traffic ends: Ended."""
        self.resume()
        try:
            ended = self.gen.hold()
        finally:
            self.pause()
        if self.wrong_at_start:
            ended = ended._replace(wrong=f'at the start, {self.wrong_at_start}')
            self.wrong_at_start = None
        return ended

    def sample(self, seconds, warm=0.04):
        self.resume()
        try:
            time.sleep(warm)
            return self._sample(seconds)
        finally:
            self.pause()

    def _sample(self, seconds):
        """Between the middles of asking and answer; by half of both, its length may be wrong."""
        start = time.monotonic()
        self.mark()
        marked = time.monotonic()
        time.sleep(seconds)
        asked = time.monotonic()
        sample = self.read()
        answered = time.monotonic()
        length = (asked + answered - start - marked) / 2
        return sample._replace(seconds=length, slack=(marked - start + answered - asked) / 2,
                               clock=sample.clock if self.knows_clock else sample.clock / length)


def prefer(pid, nice):
    """The device before its generator, both before the rest of the machine: fewer rounds are spoilt."""
    for task in os.listdir(f'/proc/{pid}/task'):
        try:
            os.setpriority(os.PRIO_PROCESS, int(task), nice)
        except OSError:
            pass
