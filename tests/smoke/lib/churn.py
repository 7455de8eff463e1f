# SPDX-License-Identifier: BSD-3-Clause
"""Ports that come and go with guests, routes, neighbours and MAC addresses, beside whatever must not notice."""

from .front_end import FrontEnd

BROADCAST = bytes.fromhex('ffffffffffff')
NETWORKS = [
    {'name': 'b', 'mode': 'bridged'},
    {'name': 'r', 'mode': 'routed', 'subnets': ['198.19.2.0/24', '198.18.0.0/16'],
     'gateways': ['198.19.2.254', '198.18.255.254']},
]


def frames(mac, address):
    """Broadcasts and a unicast to nobody: flooded, policed, dropped; all must be accounted for."""
    source = bytes.fromhex(mac.replace(':', ''))
    arp = BROADCAST + source + bytes.fromhex('0806000108000604' '0001') + source + \
        bytes(map(int, address.split('.'))) + bytes(6) + bytes([198, 18, 255, 254]) + bytes(18)
    unknown = bytes.fromhex('02aabbccddee') + source + bytes.fromhex('88b5') + bytes(46)
    return [arp, unknown] * 8


class Pod:
    """One port of the churn; every second one has a guest, every fourth something that points at it."""

    def __init__(self, lab, client, number):
        self.client = client
        self.number = number
        self.name = f'c{number}'
        self.network = 'r' if number % 2 else 'b'
        self.mode = 'server' if number % 3 == 0 else 'client'
        self.address = f'198.18.{number // 200}.{number % 200 + 1}'
        self.path = lab.socket_path(self.name)
        self.guest = self.started = None

    def add(self, guests):
        # Most guests serve their socket before the port comes: podrail looks again once a second only.
        early = self.number % 4 < 2 and self.mode == 'client' and self.number % 50
        if early:
            self.guest = FrontEnd(self.path, pairs=1 + self.number % 2)
        port = self.client.call(
            'port.add', name=self.name, kind='vhost-user', network=self.network, socket=self.path,
            mode=self.mode, addresses=[f'{self.address}/16'], queues=1 + self.number % 2)['port']
        if self.number % 4 < 2:
            self.guest = self.guest or FrontEnd(
                self.path, serve=self.mode == 'client', pairs=port['queues'])
            self.started = guests.submit(self.start_guest, port['mac'])
        if self.network == 'r':
            self.client.call('route.add', network='r', port=self.name, gateway=self.address,
                             prefix=f'203.0.113.{self.number}/32')
            self.client.call('neighbour.add', network='r', port=self.name,
                             address=f'192.0.2.{self.number}', mac=f'02:00:5e:00:00:{self.number:02x}')
        else:
            self.client.call('fdb.add', network='b', port=self.name,
                             mac=f'02:00:5e:00:01:{self.number:02x}')

    def start_guest(self, mac):
        self.guest.connect().start()
        self.guest.transmit(frames(mac, self.address))

    def remove(self):
        if self.started:
            self.started.result()
        if self.guest and self.number % 8 < 4:
            self.guest.close()  # the guest first, or the port first
        if self.number % 3:
            self.forget()
        assert self.client.call('port.del', name=self.name)['removed']
        if not self.number % 3:
            self.forget()  # what pointed at it outlives it
        if self.guest:
            self.guest.close()

    def forget(self):
        if self.network == 'r':
            assert self.client.call(
                'route.del', network='r', prefix=f'203.0.113.{self.number}/32')['removed']
            assert self.client.call(
                'neighbour.del', network='r', address=f'192.0.2.{self.number}')['removed']
        elif self.number % 3:
            assert self.client.call(
                'fdb.del', network='b', mac=f'02:00:5e:00:01:{self.number:02x}')['removed']


def networks_come_and_go(client, number):
    name = f'n{number}'
    routed = number % 2 == 0
    client.call('network.add', name=name, mode='routed' if routed else 'bridged',
                **({'subnets': [f'198.18.{number}.0/24']} if routed else {}))
    if routed:
        client.call('route.add', network=name, prefix='0.0.0.0/0', type='blackhole')
    client.call('network.del', name=name)


def churn(lab, client, guests, rng, ports):
    """`ports` ports come, at most 40 at a time, and go, in the order that rng says. guests: an executor."""
    living = []
    for number in range(ports):
        pod = Pod(lab, client, number)
        pod.add(guests)
        living.append(pod)
        if number % 10 == 0:
            networks_come_and_go(client, number)
        if len(living) > 40:
            living.pop(rng.randrange(len(living))).remove()
    rng.shuffle(living)
    for pod in living:
        pod.remove()
