#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""The demo: see docs/demo.md. Started by scripts/demo."""

import os
import subprocess
import sys

TREE = os.path.realpath(os.path.join(os.path.dirname(__file__), '..', '..'))
sys.path[:0] = [f'{TREE}/tests/smoke']
sys.dont_write_bytecode = True

import lifecycle  # noqa: E402
import screen  # noqa: E402
import steps  # noqa: E402
from account import MILLION, Account, Drops  # noqa: E402
from lib import ProcessError, RpcError, WaitError  # noqa: E402
from world import World  # noqa: E402

STEPS = {'bridged': steps.bridged, 'vlan': steps.vlan, 'routed': steps.routed, 'uplink': steps.uplink,
         'transit': steps.transit, 'stop': lifecycle.pod_stops, 'kill': lifecycle.daemon_dies,
         'tcp': lifecycle.connection_lives}
MODES = {'bridged': 'bridged', 'vlan': 'VLAN', 'routed': 'routed', 'uplink': 'uplink', 'transit': 'transit'}


class Demo:
    """What every step has."""

    def __init__(self, world):
        self.world = world
        self.account = Account()
        self.drops = Drops(world.daemon)

    def in_third(self, label, *argv):
        return self.world.lab.spawn(label, argv, netns=self.world.third)


def start():
    screen.heading('The node', 'In namespaces of the demo\'s own; nothing of the machine is touched.')
    world = World()
    world.start()
    version = world.daemon.call('hello')['version']
    screen.show('podraild', f'{version}, one worker on CPU {world.lab.cpus[0]}, the rest on CPU {world.cpu}')
    screen.show('networks', 'lan (bridged), blue (routed), inner (bridged), green (routed)')
    screen.show('uplinks', 'lan-uplink (trunk of VLAN 10 and 20), blue-uplink: DPDK AF_PACKET')
    screen.show('pods', 'containers started by podman through the CNI plugin')
    return world


def judge(account, chosen):
    for step in chosen:
        mode = MODES.get(step)
        if mode and account.modes.get(mode, 0) < MILLION:
            account.failures.append(f'{mode}: {account.modes.get(mode, 0)} packets received, {MILLION} are asked for')
    for failure in account.failures:
        print(f'failed: {failure}', flush=True)


def main(chosen):
    unknown = [c for c in chosen if c not in STEPS]
    if unknown:
        sys.exit(f'podrail: error: no such step: {unknown[0]}; there are {", ".join(STEPS)}')
    chosen = chosen or list(STEPS)
    try:
        # Beside other work on the machine, the figures shall still be the product's.
        os.nice(-10)
    except OSError:
        pass
    demo = world = None
    error = None
    try:
        world = start()
        demo = Demo(world)
        for name in chosen:
            STEPS[name](demo)
        world.daemon.stop()
    except (ProcessError, RpcError, WaitError, OSError, AssertionError,
            subprocess.SubprocessError) as e:
        error = e
        if world:
            world.lab.show_logs()
    if world:
        world.lab.close()
    account = demo.account if demo else Account()
    if error:
        account.failures.append(f'{type(error).__name__}: {error}')
    screen.heading('Result', 'What the generator received in each mode:')
    for mode, n in account.modes.items():
        screen.show(mode, f'{screen.count(n)} received')
    judge(account, chosen)
    screen.last_line(account.line())
    sys.exit(0 if account.good else 1)


if __name__ == '__main__':
    main(sys.argv[1:])
