#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
# podrail-test: limit=120
"""1,024 flows over a group of next hops, in a closed loop: nothing is lost while members and weights change."""

import json
import time

from lib import Lab, Tap, assert_conserved, settings, wait_for
from lib.testpmd import virtio_user

MEMBERS = 8
FAULTS = ('missing', 'duplicated', 'corrupted', 'unexpected')
SUBNETS = ['198.18.1.0/24', '198.18.2.0/24']
PREFIX = '198.19.0.0/16'


class World:
    """Two pods in one generator; eight addresses behind the second are the next hops."""

    def __init__(self, lab, workers):
        d = self.daemon = lab.daemon(workers=workers, networks=[{'name': 'n', 'mode': 'routed', 'subnets': SUBNETS}])
        self.lab = lab
        self.ports = []
        for i in (1, 2):
            self.ports.append(d.call('port.add', name=f'p{i}', kind='vhost-user', network='n',
                                     socket=lab.socket_path(f'p{i}'), addresses=[f'198.18.{i}.2/24'],
                                     allowedPrefixes=['198.18.2.0/24', PREFIX] if i == 2 else [])['port'])
        for k in range(MEMBERS):
            d.call('neighbour.add', network='n', port='p2', address=self.via(k), mac=self.ports[1]['mac'])

    @staticmethod
    def via(k):
        return f'198.18.2.{11 + k}'

    def group(self, weights):
        return {'network': 'n', 'prefix': PREFIX,
                'nexthops': [{'via': self.via(k), 'port': 'p2', 'weight': w} for k, w in enumerate(weights) if w]}

    def generator(self, seconds, label):
        arguments = ['--cpu', str(self.lab.cpus[-1]), '--main-cpu', str(self.lab.cpus[-1]), '--yield', '--window', '128',
                     '--timeout', '5000', '--expect-ttl', '63', '--flows', '1024', '--size', '60', '--pairs', '0>1',
                     '--duration', str(seconds), '--json', f'{self.lab.dir}/{label}.json']
        for i, port in enumerate(self.ports):
            arguments += ['--port', virtio_user(self.lab.socket_path(f'p{i + 1}'), i, mac=port['mac']),
                          '--mac', port['mac'], '--ip', f'198.18.{i + 1}.2', '--gw', f'198.18.{i + 1}.1',
                          *(['--prefix', PREFIX] if i else [])]
        return self.lab.gen(f'gen-{label}', *arguments)

    def result(self, gen, label):
        gen.wait(60)
        with open(f'{self.lab.dir}/{label}.json', encoding='utf-8') as f:
            return json.load(f)


def change(w, seconds):
    """Other weights, members that leave and return, one at a time; returns how many changes there were."""
    changes = 0
    end = time.monotonic() + seconds
    with w.daemon.client() as c:
        while time.monotonic() < end:
            weights = [1 + (changes * 7 + k * 3) % 5 for k in range(MEMBERS)]
            weights[changes % MEMBERS] = 0
            assert c.call('route.add', **w.group(weights))['replaced']
            changes += 1
            time.sleep(0.01)
    return changes


def main():
    t = Tap()
    for workers in settings.workers:
        with t.case(f'nothing is lost while next hops change, {workers} workers'), Lab('ecmpgen') as lab:
            w = World(lab, workers)
            assert w.daemon.call('route.add', **w.group([1] * MEMBERS))['created']
            gen = w.generator(4, 'change')
            for i in (1, 2):
                w.daemon.wait_port(f'p{i}')
            wait_for('packets', lambda: w.daemon.call('stats.get', port='p2')['ports'][0]['txPackets'] > 1000, 30)
            changes = change(w, 2)
            result = w.result(gen, 'change')
            with w.daemon.client() as c:
                stats = assert_conserved(c)
            faults = {k: result[k] for k in FAULTS}
            assert not any(faults.values()), f'{faults} {result["faults"]} {stats["drops"]}'
            assert changes > 10 and not stats['drops'], f'{changes} changes, {stats["drops"]}'
            assert stats['tables']['groups']['used'] == 1, stats['tables']
            w.daemon.stop()
            t.note(f'{workers} workers: {changes} changes, {result["sent"]} packets')
    t.done()


if __name__ == '__main__':
    main()
