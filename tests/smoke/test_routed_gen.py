#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
# podrail-test: limit=240 mutants=ttl,swap
"""Streams over routed ports: nothing missing, twice, out of order or changed; one hop is counted."""

import json

from lib import Lab, ProcessError, Tap, assert_conserved, settings, wait_conserved
from lib.testpmd import virtio_user

FAULTS = ('missing', 'duplicated', 'reordered', 'corrupted', 'unexpected')


def run(lab, d, pods, label, more):
    arguments = ['--cpu', str(lab.cpus[-1]), '--main-cpu', str(lab.cpus[-1]), '--window-total', '128',
                 '--timeout', '5000', '--expect-ttl', '63', '--json', f'{lab.dir}/{label}.json', *more]
    for index, (name, port, address, gateway) in enumerate(pods):
        arguments += ['--port', virtio_user(lab.socket_path(name), index, mac=port['mac'],
                                            queues=port['queues']),
                      '--mac', port['mac'], '--ip', address, '--gw', gateway,
                      '--ip', f'2001:db8:{index + 1}::2', '--gw', f'2001:db8:{index + 1}::1',
                      *(['--queues', str(port['queues'])] if port['queues'] > 1 else [])]
    arguments.append('--yield')
    gen = lab.gen(f'gen-{label}', *arguments)
    try:
        gen.wait(60)
    except ProcessError as e:
        with d.client() as c:
            stats, error = wait_conserved(c)
        raise AssertionError(f'{e}\n{error}\n{json.dumps(stats)}') from e
    with open(f'{lab.dir}/{label}.json', encoding='utf-8') as f:
        return json.load(f)


def stream(t, workers, n_ports, queues, more, text, mtu=1500):
    label = f'{n_ports} ports of {queues} queues, {workers} workers, {text}'
    with t.case(label), Lab('gen') as lab:
        subnets = [prefix for i in range(1, n_ports + 1) for prefix in (f'198.18.{i}.0/24', f'2001:db8:{i}::/64')]
        d = lab.daemon(workers=workers, networks=[
            {'name': 'n', 'mode': 'routed', 'subnets': subnets, 'mtu': mtu}])
        pods = []
        for i in range(1, n_ports + 1):
            port = d.call('port.add', name=f'p{i}', kind='vhost-user', network='n', queues=queues,
                          socket=lab.socket_path(f'p{i}'), addresses=[f'198.18.{i}.2/24', f'2001:db8:{i}::2/64'])['port']
            pods.append((f'p{i}', port, f'198.18.{i}.2', f'198.18.{i}.1'))
        result = run(lab, d, pods, 'stream', more)
        with d.client() as c:
            stats = assert_conserved(c)
        faults = {k: result[k] for k in FAULTS}
        assert not any(faults.values()), f'{faults} {result["faults"]} {stats["drops"]}'
        assert result['sent'] == result['received'] > 1000, result
        assert stats['stages']['rewrite'] >= result['sent'], stats['stages']
        assert not stats['drops'], stats['drops']
        d.stop()
        t.note(f'{label}: {result["sent"]} packets, {result["rate_mpps"]:.2f} Mpps')


def main():
    t = Tap()
    duration = ['--duration', '5' if settings.long else '1']
    for workers in settings.workers:
        for n_ports, queues in ((2, 1), (4, 2)):
            stream(t, workers, n_ports, queues, [*duration, '--flows', '16', '--size', 'imix', '--proto', 'both'],
                   'all to all, mixed sizes')
        stream(t, workers, 2, 1, [*duration, '--flows', '64', '--size', 'imix', '--proto', 'both', '--family', 'both'],
               'both families, mixed sizes')
    stream(t, settings.workers[-1], 2, 1, [*duration, '--flows', '256', '--size', '60'], 'small packets')
    t.done()


if __name__ == '__main__':
    main()
