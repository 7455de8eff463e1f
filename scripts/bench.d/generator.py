# SPDX-License-Identifier: BSD-3-Clause
"""The generator of a device: podrail-gen --control, whose traffic changes while the device stays."""

import collections
import json
import re

from cases import FRAME
from lib import wait_for
from lib.process import ProcessError

WINDOW = 512          # packets under way to each port: half of the smallest ring
BURST = 64            # packets that a generator sends at once
FOR_EVER = 1000000    # seconds; a generator is ended by a signal

# A traffic is over. wrong: a sentence or None; sent, received: packets; clock: cycles a second, as DPDK measured it.
Ended = collections.namedtuple('Ended', 'wrong sent received clock')
FAULTS = ('missing', 'duplicated', 'reordered', 'corrupted', 'unexpected')


def pairs(way, ports):
    """Who sends to whom, as --pairs takes it."""
    one = {'there': '0>1', 'back': '1>0'}.get(way)
    return one or ','.join(f'{a}>{b}' for a in range(ports) for b in range(ports) if a != b)


def fault(result):
    """What a result of podrail-gen says is wrong, or None."""
    wrong = [f'{result[k]} {k}' for k in FAULTS if result[k]]
    if wrong or not result['received']:
        return f'of {result["sent"]} packets sent {", ".join(wrong) or "none came back"}'
    return None


class Generator:
    """Sends to `ports` ports; begins as soon as the links are up."""

    def __init__(self, lab, name, cpu, ports, size, arguments):
        self.name = name
        self.ports = ports
        self.number = 0      # of its traffic
        self.at = 0          # bytes of its output that were read
        self.json_file = f'{lab.dir}/{name}.json'
        window = WINDOW // (ports - 1) // BURST * BURST
        argv = [lab.program('podrail-gen'), '--cpu', cpu, '--main-cpu', cpu, '--flows', 1024, '--size', FRAME[size],
                '--window', window, '--burst', BURST, '--whole-bursts', '--duration', FOR_EVER, '--timeout', 1000000,
                '--wait-link', 40, '--quiet', '--json', self.json_file, '--control', *arguments]
        self.process = lab.spawn(name, argv, netns=lab.ns, env={'RUNTIME_DIRECTORY': lab.dir}, stdin=True)

    def check_alive(self):
        if not self.process.alive:
            raise ProcessError(f'{self.name} ended:\n{self.process.tail()}')

    def _answer(self, pattern, timeout):
        """Waits for output with a match in it, and moves behind that."""
        def look():
            with open(self.process.log, 'rb') as f:
                f.seek(self.at)
                text = f.read().decode(errors='replace')
            found = re.search(pattern, text)
            if found:
                self.at += len(text[:found.end()].encode())
            else:
                self.check_alive()
            return found

        found = wait_for(f'{self.name} to say {pattern!r}', look, timeout, 0.002)
        if found[0].startswith('refused'):
            raise ProcessError(f'{self.name} {found[0]}')
        return found

    def begin(self, traffic):
        """Its traffic was held, and is another from now on."""
        self.process.write(f'flows {traffic.flows} size {FRAME[traffic.size]} family {traffic.family} '
                           f'pairs {pairs(traffic.way, self.ports)}\n')
        self.number += 1
        self._answer(rf'traffic {self.number} begins\n|refused: .*\n', 20)

    def hold(self):
        """Its traffic ends, once all is back: what became of it."""
        self.process.write('hold\n')
        self._answer(rf'traffic {self.number} ends: .*\n', 20)
        with open(self.json_file, encoding='utf-8') as f:
            result = json.load(f)
        return Ended(fault(result), result['sent'], result['received'], result['tsc_hz'])
