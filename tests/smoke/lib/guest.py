# SPDX-License-Identifier: BSD-3-Clause
"""podrail-guest: guests that exchange numbered frames as they should, or lie (docs/guest.md)."""

import json

from .process import ProcessError


class GuestPort:
    """A port of the daemon and what podrail-guest must know of it. mode: the daemon's."""

    def __init__(self, lab, daemon, name, network, address=None, mode='server', mtu=None, **more):
        self.name = name
        self.mode = mode
        self.path = lab.socket_path(name)
        self.address = address
        extra = dict(more)
        if address:
            extra['addresses'] = [f'{address}/24']
        if mtu:
            extra['mtu'] = mtu
        self.port = daemon.call('port.add', name=name, kind='vhost-user', network=network, mode=mode,
                                socket=self.path, **extra)['port']
        self.mac = self.port['mac']

    def argument(self, *keys):
        """What --port takes."""
        own = [self.path, f'mac={self.mac}']
        if self.address:
            own.append(f'ip={self.address}')
        if self.mode == 'server':
            own.append('connect')
        return ','.join([*own, *keys])


class Guest:
    """A podrail-guest that runs. ports: strings, as GuestPort.argument makes them."""

    def __init__(self, lab, name, scenario, ports, *options):
        argv = [lab.program('podrail-guest'), *scenario.split()]
        for port in ports:
            argv += ['--port', port]
        self.process = lab.spawn(name, argv + [str(o) for o in options])

    def wait(self, timeout=60):
        """Its result, whatever it is."""
        self.process.wait(timeout)
        return self.result()

    def stop(self, timeout=20):
        self.process.stop(timeout)
        return self.result()

    def result(self):
        for line in reversed(self.process.output().splitlines()):
            if line.startswith('{'):
                return {**json.loads(line), 'status': self.process.status}
        raise ProcessError(f'{self.process.name} ended with status {self.process.status} and no result:\n'
                           f'{self.process.tail()}')


def guest_result(lab, name, scenario, ports, *options, timeout=60):
    return Guest(lab, name, scenario, ports, *options).wait(timeout)


def guest_good(lab, name, scenario, ports, *options, timeout=60):
    """Raises unless all went well."""
    result = guest_result(lab, name, scenario, ports, *options, timeout=timeout)
    if result['status'] != 0 or not result['ok']:
        raise AssertionError(f'{name} ({scenario}): {result}')
    return result
