# SPDX-License-Identifier: BSD-3-Clause
"""podraild as a device under test."""

import json
import os
import signal

import devices
from figures import Sample
from lib import wait_for
from lib.front_end import FrontEnd

CHUNK = 16384   # routes of a message


def wide_routes(base, count, gateway):
    """
    One route for each of so many destinations in an eighth of the IPv4 addresses, as the generator spreads them: the
    first address behind each step. Six of ten are /24, three shorter, one is a host's.
    """
    step = (1 << 29) // count
    for i in range(count):
        length = (24, 24, 24, 24, 24, 24, 22, 23, 22, 32)[i % 10]
        n = base + i * step + (length == 32)
        yield {'prefix': f'{n >> 24}.{n >> 16 & 255}.{n >> 8 & 255}.{n & 255}/{length}', 'gateway': gateway}


class Podrail(devices.Device):
    def __init__(self, lab, world, spec, name, size):
        super().__init__(lab, world, spec, name, size)
        self.routes = spec.kind == 'podrail-routed'
        self.idle = [FrontEnd(lab.socket_path(f'{self.name}-idle{k}')) for k in range(spec.idle)]
        self.daemon = None
        self.client = None
        self.before = None

    @property
    def pid(self):
        return self.daemon.pid

    def open(self):
        network = {'name': 'n', 'mode': 'bridged', 'macAgeing': 0, 'mtu': self.world.mtu}
        if self.routes:
            network = {'name': 'n', 'mode': 'routed', 'mtu': self.world.mtu, 'subnets': [
                '198.18.1.0/24', '198.18.2.0/24', '2001:db8:1::/64', '2001:db8:2::/64']}
        limits = {'limits': {'routes': 2 * self.spec.routes, 'fibNodes': 262144}, 'memory': 0} if self.spec.routes else {}
        self.daemon = self.lab.daemon(name=self.name, workers=[self.cpu], idle='poll', networks=[network], **limits)
        self.client = self.daemon.client(60)
        self._connect_idle()   # before the generator spins on the daemon's CPU
        if self.spec.routes:   # the generator shall leave its CPU to the daemon until they are there
            self.gen.process.send_signal(signal.SIGSTOP)
        # A memif must be there before the generator looks for it, which it does once port 0 is up.
        for i in sorted(range(self.ports), key=lambda i: not self.memif(i)):
            if not self.memif(i) and not self.spec.routes:   # else it is looked for again only a second later
                self.wait_socket(i)
            self.client.call('port.add', **self._port(i))
        if self.routes:
            self._add_routes()
        if self.spec.routes:
            self._sync_routes()
            self.gen.process.send_signal(signal.SIGCONT)

    def _add_routes(self):
        if self.world.egress == 'memif':   # what waits for a neighbour is bounded: none shall wait
            for address in (self.address(1), self.address6(1)):
                self.client.call('neighbour.add', network='n', port='p1', mac=self.mac(1), address=address)
        for i in range(self.ports):
            four, six = self.prefixes(i)
            hop = {'nexthops': [{'via': a} for a in self._more_addresses(i)]} if self.spec.group else {
                'port': f'p{i}', 'gateway': self.address(i)}
            self.client.call('route.add', network='n', prefix=four, **hop)
            self.client.call('route.add', network='n', prefix=six, port=f'p{i}', gateway=self.address6(i))

    def _more_addresses(self, i):
        """Of the port's pod: each is a next hop of its own."""
        return [f'198.18.1.{16 * (i + 1) + k}' for k in range(self.spec.group)]

    def _sync_routes(self):
        """Longer prefixes beside the short ones, which no packet needs then."""
        routes = [route for i in range(self.ports) for route in wide_routes(
            32 * (i + 1) << 24, self.spec.routes // self.ports, self.address(i))]
        steps = [{'step': 'begin'}, *({'step': 'chunk', 'routes': routes[at:at + CHUNK]}
                                      for at in range(0, len(routes), CHUNK)), {'step': 'commit'}]
        for number, step in enumerate(steps):
            self.client.send_raw(json.dumps({'jsonrpc': '2.0', 'id': number, 'method': 'route.sync', 'params': {
                'owner': 'bench', 'network': 'n', **step}}).encode() + b'\n')
            answer = self.client.read_answer()
            if 'error' in answer:
                raise RuntimeError(answer['error']['message'])
        if answer['result']['added'] != len(routes):
            raise RuntimeError(f'of {len(routes)} routes were added: {answer["result"]}')

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
            own = [f'{devices.GATEWAY["memif"]}/24', f'{devices.GATEWAY6["memif"]}/64']
            return {**port, 'addresses': own} if self.routes else port
        port = {'name': f'p{i}', 'kind': 'vhost-user', 'network': 'n', 'socket': self.sockets[i],
                'mac': self.mac(i)}
        addresses = [self.address(i), *self._more_addresses(i)]
        return {**port, 'addresses': [*(f'{a}/24' for a in addresses), f'{self.address6(i)}/64']} if self.routes else port

    def _counters(self):
        worker, stats = self.client.batch([('worker.show', {'index': 0}), ('stats.get', {})])
        return worker, stats['conservation']

    def mark(self):
        self.before = self._counters()

    def read(self):
        (w0, c0), (w1, c1) = self.before, self._counters()
        busy = w1['busyCycles'] - w0['busyCycles']
        return Sample(busy, c1['in'] - c0['in'], c1['out'] - c0['out'], c1['drops'] - c0['drops'],
                      w1['polls'] - w0['polls'], 1, busy + w1['idleCycles'] - w0['idleCycles'])

    def end(self):
        ended = super().end()
        if ended.wrong:
            os.kill(self.pid, signal.SIGCONT)
            drops = self.client.call('stats.get')['drops']
            os.kill(self.pid, signal.SIGSTOP)
            ended = ended._replace(wrong=f'{ended.wrong}; drops so far: {drops}')
        return ended

    def stages(self):
        os.kill(self.pid, signal.SIGCONT)
        try:
            stages = self.client.call('worker.show', index=0)['stages']
        finally:
            os.kill(self.pid, signal.SIGSTOP)
        return {name: s['cyclesPerPacket'] for name, s in stages.items() if s['cyclesPerPacket']}

    def close(self):
        self.client.close()
        self.daemon.stop()
        for guest in self.idle:
            guest.close()
