# SPDX-License-Identifier: BSD-3-Clause
"""
The devices under test, each with a generator of its own, and how a sample is taken of them.

Every device has two ports, or more with traffic between all. Its worker has CPU 0 (the first that may be used), everything
else CPU 1.
"""

import collections
import json
import os
import re
import signal
import time

from cases import FRAME
from lib import wait_for
from lib.front_end import FrontEnd
from lib.process import ProcessError
from lib.testpmd import Testpmd

WINDOW = 512          # packets under way to each port: half of the smallest ring
BURST = 64            # packets that a generator sends at once
FOR_EVER = 1000       # seconds; a generator is ended by a signal
GATEWAY = {'vhost': '198.18.1.1', 'memif': '198.18.2.254'}
GATEWAY6 = '2001:db8:1::1'
MEMIF_ADDRESS = '198.18.2.2'

# received: packets taken in; polls: those that brought packets; clock: cycles a second.
Sample = collections.namedtuple('Sample', 'cycles received delivered drops polls seconds clock')


class Device:
    """One device, its ports and its generator. Stopped (SIGSTOP) unless it is being measured."""

    def __init__(self, lab, case, contestant):
        self.lab = lab
        self.case = case
        self.name = contestant.name
        self.ports = contestant.ports
        self.flows = contestant.flows
        self.cpu, self.other_cpu = lab.cpus[0], lab.cpus[1]
        self.sockets = [lab.socket_path(f'{self.name}-{i}') for i in range(self.ports)]
        self.json_file = f'{lab.dir}/{self.name}.gen.json'
        self.gen = None
        self.since = 0.0

    # ---- what the kinds of device say ----

    pid = None
    routes = False    # it routes: frames go to the gateway's MAC

    def mac(self, i):
        return f'02:00:00:00:00:{i + 1:02x}'

    def memif(self, i):
        return self.case.egress == 'memif' and i == 1

    def address(self, i):
        return MEMIF_ADDRESS if self.memif(i) else f'198.18.1.{i + 2}'

    def address6(self, i):
        return f'2001:db8:1::{i + 2}'

    def prefix(self, i):
        """The destinations behind port i: one a flow."""
        if self.case.mode == 'routed6':
            return f'2001:db8:f{i}::/{129 - self.flows.bit_length()}'
        return f'198.19.{4 * i}.0/{33 - self.flows.bit_length()}'

    def gateway(self, i):
        """What the generator needs to know of whom it sends to by way of."""
        if self.case.mode == 'routed6':
            return ['--gw', GATEWAY6]
        return ['--gw', GATEWAY['memif' if self.memif(i) else 'vhost']]

    def open(self):
        """Starts the device and connects it to the generator, which waits for it."""
        raise NotImplementedError

    def mark(self):
        """The sample begins here."""
        raise NotImplementedError

    def read(self):
        """The sample ends here: a Sample."""
        raise NotImplementedError

    def losses(self):
        """What the device knows about packets that it did not deliver."""
        return 'its own counters say nothing'

    def stages(self):
        """{stage: cycles a packet} where the device tells."""
        return {}

    # ---- start, stop ----

    def launch(self):
        """Starts the generator; those of all devices may start at the same time, they sleep then."""
        self.gen = self.lab.gen(f'{self.name}-gen', *self._gen_arguments(), netns=self.lab.ns)
        prefer(self.gen.process.pid, -15)

    def start(self):
        """Returns when packets flow."""
        self.wait_socket(0)
        self.open()
        prefer(self.pid, -20)
        prefer(self.gen.process.pid, -15)
        wait_for(f'packets through {self.name}', self._flows, 40, 0.2)
        self.pause()

    def wait_socket(self, i):
        """The generator makes the socket of port i once the one before is connected."""
        wait_for(f'socket {i} of {self.name}', lambda: os.path.exists(self.sockets[i]), 30, 0.005)

    def _flows(self):
        if not self.gen.process.alive:
            raise ProcessError(f'the generator of {self.name} ended:\n{self.gen.process.tail()}')
        self.mark()
        time.sleep(0.05)
        return self.read().delivered > 0

    def _gen_arguments(self):
        window = WINDOW // (self.ports - 1) // BURST * BURST
        arguments = ['--cpu', self.other_cpu, '--main-cpu', self.other_cpu, '--flows', self.flows,
                     '--size', FRAME[self.case.size], '--window', window,
                     '--burst', BURST, '--whole-bursts', '--duration', FOR_EVER,
                     '--timeout', FOR_EVER * 1000, '--wait-link', 40, '--quiet',
                     '--json', self.json_file]
        if self.case.egress == 'memif':
            arguments += ['--pairs', '0>1']   # one way
        if self.case.mode == 'routed6':
            arguments += ['--family', '6']
        for i in range(self.ports):
            arguments += self._gen_port(i)
        return [str(a) for a in arguments]

    def _gen_port(self, i):
        if self.memif(i):
            port = f'net_memif0,socket={self.sockets[1]},socket-abstract=no,id=0,role=client'
        else:
            port = f'net_virtio_user{i},path={self.sockets[i]},server=1,queue_size=1024'
            port += ',packed_vq=1' if self.case.packed else ''
        v6 = self.case.mode == 'routed6'
        arguments = ['--port', port, '--mac', self.mac(i), '--ip', self.address6(i) if v6 else self.address(i),
                     '--queues', '1']
        if self.case.mode != 'bridged':
            arguments += ['--prefix', self.prefix(i)]
            if self.routes:
                arguments += self.gateway(i)
        return arguments

    # ---- taking turns ----

    def resume(self):
        os.kill(self.pid, signal.SIGCONT)
        self.gen.process.send_signal(signal.SIGCONT)

    def pause(self):
        """The generator first: the device is quiet then, and nothing is lost."""
        self.gen.process.send_signal(signal.SIGSTOP)
        time.sleep(0.01)
        os.kill(self.pid, signal.SIGSTOP)

    def sample(self, seconds, warm=0.1):
        self.resume()
        try:
            time.sleep(warm)
            self.mark()
            time.sleep(seconds)
            return self.read()
        finally:
            self.pause()

    def finish(self):
        """Ends the generator; a sentence when packets were lost or harmed, else None."""
        self.resume()
        self.gen.process.send_signal(signal.SIGINT)
        try:
            self.gen.process.wait(10)
        except ProcessError:
            return f'{self.name}: packets are missing: {self.losses()}'
        try:
            with open(self.json_file, encoding='utf-8') as f:
                result = json.load(f)
        except (OSError, ValueError):
            return f'the generator of {self.name} gave no result: {self.gen.process.tail(3)}'
        wrong = {k: result[k] for k in ('missing', 'duplicated', 'reordered', 'corrupted', 'unexpected')
                 if result[k]}
        if wrong or not result['received']:
            return f'{self.name}: of {result["sent"]} packets sent {wrong or "none came back"}'
        return None


def polls(worker):
    """Polls of a queue that brought packets."""
    return worker.get('polls', worker['batches'])


class Podrail(Device):
    def __init__(self, lab, case, contestant):
        super().__init__(lab, case, contestant)
        self.routes = case.mode != 'bridged'
        self.idle = [FrontEnd(lab.socket_path(f'{self.name}-idle{k}')) for k in range(contestant.idle)]
        self.daemon = None
        self.client = None
        self.before = None

    @property
    def pid(self):
        return self.daemon.pid

    def open(self):
        network = {'name': 'n', 'mode': 'bridged', 'macAgeing': 0}
        if self.routes:
            network = {'name': 'n', 'mode': 'routed', 'subnets': ['198.18.1.0/24', '198.18.2.0/24', '2001:db8:1::/64']}
        self.daemon = self.lab.daemon(name=self.name, workers=[self.cpu], idle='poll', networks=[network])
        self.client = self.daemon.client(30)
        self._connect_idle()   # before the generator spins on the daemon's CPU
        # A memif must be there before the generator looks for it, which it does once port 0 is up.
        for i in sorted(range(self.ports), key=lambda i: not self.memif(i)):
            if not self.memif(i):   # else it is looked for again only a second later
                self.wait_socket(i)
            self.client.call('port.add', **self._port(i))
        if self.routes:
            for i in range(self.ports):
                v6 = self.case.mode == 'routed6'
                self.client.call('route.add', network='n', prefix=self.prefix(i), port=f'p{i}',
                                 gateway=self.address6(i) if v6 else self.address(i))
            if self.case.egress == 'memif':   # what waits for a neighbour is bounded: none shall wait
                self.client.call('neighbour.add', network='n', port='p1', mac=self.mac(1), address=self.address(1))

    def _connect_idle(self):
        """Ports whose guests have all that it takes to send and receive, and do nothing."""
        if not self.idle:
            return
        answers = self.client.batch([('port.add', {
            'name': f'idle{k}', 'kind': 'vhost-user', 'network': 'n', 'socket': guest.path,
            **({'addresses': [f'198.18.2.{k + 2}/24']} if self.routes else {})})
            for k, guest in enumerate(self.idle)])
        for answer in answers:
            if isinstance(answer, Exception):
                raise answer
        for guest in self.idle:
            guest.connect().start()
        wait_for('the idle guests', lambda: all(
            p['state'] == 'up' for p in self.client.call('port.list')['ports'] if p['name'].startswith('idle')))

    def _port(self, i):
        if self.memif(i):
            port = {'name': 'p1', 'kind': 'eth', 'network': 'n', 'queues': 1,
                    'device': f'net_memif0,socket={self.sockets[1]},socket-abstract=no,id=0,role=server'}
            return {**port, 'addresses': [f'{GATEWAY["memif"]}/24']} if self.routes else port
        port = {'name': f'p{i}', 'kind': 'vhost-user', 'network': 'n', 'socket': self.sockets[i],
                'mac': self.mac(i)}
        return {**port, 'addresses': [f'{self.address(i)}/24', f'{self.address6(i)}/64']} if self.routes else port

    def _counters(self):
        worker, stats = self.client.batch([('worker.show', {'index': 0}), ('stats.get', {})])
        return worker, stats['conservation']

    def mark(self):
        self.before = self._counters()
        self.since = time.monotonic()

    def read(self):
        (w0, c0), (w1, c1) = self.before, self._counters()
        seconds = time.monotonic() - self.since
        busy = w1['busyCycles'] - w0['busyCycles']
        clock = (busy + w1['idleCycles'] - w0['idleCycles']) / seconds
        return Sample(busy, c1['in'] - c0['in'], c1['out'] - c0['out'], c1['drops'] - c0['drops'],
                      polls(w1) - polls(w0), seconds, clock)

    def losses(self):
        return str(self.client.call('stats.get')['drops'])

    def stages(self):
        os.kill(self.pid, signal.SIGCONT)
        try:
            stages = self.client.call('worker.show', index=0)['stages']
        finally:
            os.kill(self.pid, signal.SIGSTOP)
        return {name: s['cyclesPerPacket'] for name, s in stages.items() if s['cyclesPerPacket']}

    def finish(self):
        wrong = super().finish()
        self.client.close()
        self.daemon.stop()
        for guest in self.idle:
            guest.close()
        return wrong


class TestpmdDevice(Device):
    """dpdk-testpmd between net_vhost and net_vhost or net_memif; it counts the cycles of bursts with packets."""

    __test__ = False

    def __init__(self, lab, case, contestant):
        super().__init__(lab, case, contestant)
        self.forward = contestant.name.removeprefix('testpmd-')
        self.testpmd = None
        self.at = 0

    @property
    def pid(self):
        return self.testpmd.process.pid

    def mac(self, i):
        # Swapped addresses must be those that the generator knows.
        return super().mac(i if self.forward == 'io' else 0)

    def open(self):
        vdevs = [f'net_vhost0,iface={self.sockets[0]},client=1,queues=1']
        if self.case.egress == 'vhost':
            vdevs += [f'net_vhost1,iface={self.sockets[1]},client=1,queues=1']
        else:
            vdevs[:0] = [f'net_memif0,socket={self.sockets[1]},socket-abstract=no,id=0,role=server']
        self.testpmd = Testpmd(
            self.lab, self.name, vdevs, forward=self.forward, memory=128, mbufs=16384, netns=self.lab.ns,
            workers=[self.cpu], main=self.other_cpu, interactive=True,
            arguments=['--no-flush-rx'])   # "start" would throw away the first window, and nothing came back ever
        for line in ('set record-core-cycles on', 'set record-burst-stats on', 'start'):
            self.testpmd.command(line)

    def mark(self):
        self.testpmd.command('clear fwd stats all')
        self.testpmd.command('show port summary 0')
        self._answer(r'\nNumber of available ports: .*\n.*\n.*\n')
        self.since = time.monotonic()

    def _answer(self, pattern, timeout=10):
        """Waits for more of its output with a match in it, and moves behind that."""
        def look():
            with open(self.testpmd.process.log, 'rb') as f:
                f.seek(self.at)
                text = f.read().decode(errors='replace')
            found = re.search(pattern, text)
            if found:
                self.at += len(text[:found.end()].encode())
                return text[:found.end()]
            if not self.testpmd.alive:
                raise ProcessError(f'{self.name} ended:\n{self.testpmd.process.tail()}')
            return None

        return wait_for(f'{self.name} to answer {pattern!r}', look, timeout, 0.002)

    def read(self):
        self.testpmd.command('show fwd stats all')
        self.testpmd.command('show port summary 0')
        text = self._answer(r'\nNumber of available ports: .*\n.*\n.*\n')
        seconds = time.monotonic() - self.since
        return parse_testpmd(text, seconds)

    def finish(self):
        wrong = super().finish()
        self.testpmd.kill()
        return wrong


def parse_testpmd(text, seconds):
    """
    show fwd stats all: per port RX-packets, TX-packets, TX-bursts; then the same for all ports, and the
    cycles of the bursts that brought packets. Each poll that found packets is one TX-burst, whatever the
    ring took; of RX-bursts, the empty ones are told as whole percents only.
    """
    head, _, total = text.rpartition('Accumulated forward statistics for all ports')
    figures = {k: int(v) for k, v in re.findall(r'([RT]X-[a-z]+): *(\d+)', total)}
    cycles = re.search(r'total cycles=(\d+) .*at (\d+) MHz', total)
    bursts = sum(int(n) for n in re.findall(r'TX-bursts : (\d+) ', head))
    return Sample(int(cycles.group(1)) if cycles else 0, figures.get('RX-packets', 0),
                  figures.get('TX-packets', 0), figures.get('TX-dropped', 0), bursts, seconds,
                  int(cycles.group(2)) * 1e6 if cycles else 0)


def prefer(pid, nice):
    """The device before its generator, both before the rest of the machine: fewer rounds are spoilt."""
    for task in os.listdir(f'/proc/{pid}/task'):
        try:
            os.setpriority(os.PRIO_PROCESS, int(task), nice)
        except OSError:
            pass


def make(lab, case, contestant):
    import ovs   # it is a Device, too
    kind = TestpmdDevice if contestant.name.startswith('testpmd') else \
        ovs.Ovs if contestant.name.startswith('ovs') else Podrail
    return kind(lab, case, contestant)
