# SPDX-License-Identifier: BSD-3-Clause
"""dpdk-testpmd as a device under test."""

import re

from devices import Device
from figures import Sample
from lib import wait_for
from lib.process import ProcessError
from lib.testpmd import Testpmd

SUMMARY = r'\nNumber of available ports: .*\n.*\n.*\n'   # ends the answer to "show port summary 0"


class TestpmdDevice(Device):
    """Between net_vhost and net_vhost or net_memif; it counts the cycles of bursts with packets."""

    __test__ = False
    knows_clock = True

    def __init__(self, lab, world, spec, name, size):
        super().__init__(lab, world, spec, name, size)
        self.forward = spec.kind.removeprefix('testpmd-')
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
        if self.world.egress == 'vhost':
            vdevs += [f'net_vhost1,iface={self.sockets[1]},client=1,queues=1']
        else:
            vdevs[:0] = [f'net_memif0,socket={self.sockets[1]},socket-abstract=no,id=0,role=server']
        arguments = ['--no-flush-rx']   # "start" would throw away the first window, and nothing came back ever
        jumbo = self.world.mtu > 1500
        if jumbo:
            arguments += [f'--max-pkt-len={self.world.mtu + 18}', f'--mbuf-size={self.world.mtu + 472}']
        self.testpmd = Testpmd(
            self.lab, self.name, vdevs, forward=self.forward, memory=256 if jumbo else 128, mbufs=16384,
            netns=self.lab.ns, workers=[self.cpu], main=self.other_cpu, interactive=True, arguments=arguments)
        for line in ('set record-core-cycles on', 'set record-burst-stats on', 'start'):
            self.testpmd.command(line)

    def mark(self):
        self.testpmd.command('clear fwd stats all')
        self.testpmd.command('show port summary 0')
        self._answer(SUMMARY)

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
        text = self._answer(SUMMARY)
        return parse_testpmd(text)

    def close(self):
        self.testpmd.kill()


def parse_testpmd(text):
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
                  figures.get('TX-packets', 0), figures.get('TX-dropped', 0), bursts, 1,
                  int(cycles.group(2)) * 1e6 if cycles else 0)
