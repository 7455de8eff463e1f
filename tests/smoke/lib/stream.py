# SPDX-License-Identifier: BSD-3-Clause
"""A closed-loop stream of podrail-gen between ports of its own: what must not lose a packet while a test does harm."""

import json
import signal

from .wait import wait_for

FAULTS = ('missing', 'duplicated', 'reordered', 'corrupted', 'unexpected')


class Stream:
    """
    Ports are made in a bridged network, a routed one, or both (two each), named <name>0 to <name>3;
    addresses are 198.19.<net>.1 and .2. In the routed network the gateway is 198.19.<net>.254.
    before() is called when the ports are there and nothing is sent yet.
    """

    def __init__(self, lab, daemon, name='stream', bridged=None, routed=None, window=128, net=1,
                 timeout=8000, arguments=(), queues=1, flows=16, before=None):
        self.lab = lab
        self.daemon = daemon
        self.name = name
        self.json_file = f'{lab.dir}/{name}.json'
        self.ports = []
        self.queues = queues
        argv = ['--cpu', lab.cpus[-1], '--main-cpu', lab.cpus[-1], '--window', window,
                '--timeout', timeout, '--duration', 3600, '--json', self.json_file, '--flows', flows,
                '--wait-link', 30]
        pairs = []
        for network, gateway in ((bridged, None), (routed, True)):
            if network is None:
                continue
            first = len(self.ports)
            pairs += [f'{first}>{first + 1}', f'{first + 1}>{first}']
            for i in (1, 2):
                argv += self._port(network, f'198.19.{net}.{i}', f'198.19.{net}.254' if gateway else None)
            net += 1
        if before:
            before()
        self.gen = lab.gen(name, *[str(a) for a in argv], '--pairs', ','.join(pairs), *arguments)
        for port in self.ports:
            daemon.wait_port(port)
        self.wait_packets(100)

    def _port(self, network, address, gateway):
        index = len(self.ports)
        name = f'{self.name}{index}'
        path = self.lab.socket_path(name)
        port = self.daemon.call('port.add', name=name, kind='vhost-user', network=network, socket=path,
                                addresses=[f'{address}/24'], queues=self.queues)['port']
        self.ports.append(name)
        argv = ['--port', f'net_virtio_user{index},path={path},server=1,queue_size=1024,queues={self.queues}',
                '--mac', port['mac'], '--ip', address]
        if self.queues > 1:
            argv += ['--queues', str(self.queues)]
        return argv + (['--gw', gateway] if gateway else [])

    def count(self):
        """Packets that the switch has given to the stream's ports."""
        with self.daemon.client() as client:
            rows = {p['name']: p for p in client.call('stats.get')['ports']}
        return min(rows[name]['txPackets'] for name in self.ports)

    def wait_packets(self, more, timeout=30):
        """Waits until each port got that many packets more: the stream runs."""
        def look():
            if not self.gen.process.alive:
                raise AssertionError(f'{self.name} ended:\n{self.gen.process.tail()}')
            return self.count() >= goal

        goal = more + self.count()
        wait_for(f'{more} packets on each port of {self.name}', look, timeout)

    def mark(self):
        """Begins a new interval: packets are counted in the interval in which they were sent."""
        self.gen.process.send_signal(signal.SIGUSR1)

    def finish(self):
        """Ends it and returns what was counted."""
        self.gen.process.send_signal(signal.SIGINT)
        self.gen.process.wait(60)
        with open(self.json_file, encoding='utf-8') as f:
            return json.load(f)

    def finish_whole(self, least=1000):
        """Ends it; raises unless every single packet arrived, once, in order, unharmed."""
        result = self.finish()
        wrong = {k: result[k] for k in FAULTS if result[k]}
        if wrong or result['received'] != result['sent'] or result['received'] < least:
            raise AssertionError(f'{self.name}: {wrong or "too few packets"} of {result["sent"]} sent, '
                                 f'{result["received"]} received:\n{self.gen.process.tail(12)}')
        return result
