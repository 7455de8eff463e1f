# SPDX-License-Identifier: BSD-3-Clause
"""Debian's OVS with DPDK as a device under test: unpacked, not installed, nothing of it runs but for the bench."""

import json
import os
import re
import socket

from devices import Device
from figures import Sample
from lib import settings, wait_for
from lib.process import ProcessError

GATEWAY_MAC = '02:70:72:00:00:01'


class Ovs(Device):
    """
    ovs         from one port to the other, whatever comes
    ovs-normal  the learning switch
    ovs-l3      by destination: TTL, both MAC addresses, output
    """

    def __init__(self, lab, world, spec, name, size):
        super().__init__(lab, world, spec, name, size)
        self.root = f'{settings.build}/ovs'
        self.routes = spec.kind == 'ovs-l3'
        self.dir = f'{lab.dir}/{self.name}.run'
        self.bridge = f'br-{spec.kind}'   # also the name of an interface
        self.ns = lab.netns(self.name)   # each instance makes an interface ovs-netdev
        self.switch = None
        self.before = None
        os.mkdir(self.dir)

    @property
    def pid(self):
        return self.switch.pid

    def gateway(self, i):
        return ['--gw-mac', GATEWAY_MAC]

    # ---- its tools ----

    def _env(self):
        return {'OVS_RUNDIR': self.dir, 'OVS_LOGDIR': self.dir, 'OVS_DBDIR': self.dir, 'OVS_SYSCONFDIR': self.dir,
                'OVS_PKGDATADIR': f'{self.root}/usr/share/openvswitch', 'PATH': '/usr/sbin:/usr/bin:/sbin:/bin',
                'RUNTIME_DIRECTORY': self.dir}

    def _run(self, program, *arguments):
        argv = [f'{self.root}/usr/bin/{program}', *map(str, arguments)]
        if not os.path.exists(argv[0]):
            raise ProcessError('Debian\'s openvswitch-switch-dpdk is not there')
        done = self.ns.run(*argv, check=False, env=self._env(), timeout=60)
        if done.returncode:
            raise ProcessError(f'{" ".join(argv)}: {done.stdout}{done.stderr}')
        return done.stdout

    def _vsctl(self, *arguments):
        return self._run('ovs-vsctl', f'--db=unix:{self.dir}/db.sock', '--timeout=30', *arguments)

    def _appctl(self, command, *arguments):
        """What ovs-appctl does, without a process of its own beside the sample."""
        with socket.socket(socket.AF_UNIX) as s:
            s.settimeout(30)
            s.connect(f'{self.dir}/switch.ctl')
            s.sendall(json.dumps({'id': 0, 'method': command, 'params': arguments}).encode())
            text = ''
            while True:
                more = s.recv(65536).decode()
                text += more
                try:
                    answer = json.loads(text)
                    break
                except ValueError:
                    if not more:
                        raise ProcessError(f'{self.name}: no answer to {command}: {text}') from None
        if answer['error']:
            raise ProcessError(f'{self.name}: {command}: {answer["error"]}')
        return answer['result']

    def _ofctl(self, *arguments):
        return self._run('ovs-ofctl', '-O', 'OpenFlow13', *arguments)

    # ---- start ----

    def _start_database(self):
        schema = f'{self.root}/usr/share/openvswitch/vswitch.ovsschema'
        self._run('ovsdb-tool', 'create', f'{self.dir}/conf.db', schema)
        self.lab.spawn(f'{self.name}-db', [
            f'{self.root}/usr/sbin/ovsdb-server', f'--remote=punix:{self.dir}/db.sock', f'{self.dir}/conf.db',
            '--unixctl=' + f'{self.dir}/db.ctl', '-vconsole:warn'], netns=self.ns, env=self._env())
        wait_for('ovsdb-server', lambda: os.path.exists(f'{self.dir}/db.sock'), 20, 0.02)
        self._vsctl('--no-wait', 'init')
        self._vsctl('--no-wait', 'set', 'Open_vSwitch', '.', 'other_config:dpdk-init=true',
                    f'other_config:pmd-cpu-mask={1 << self.cpu:#x}',
                    f'other_config:dpdk-lcore-mask={1 << self.other_cpu:#x}', 'other_config:dpdk-socket-mem=256', 'other_config:dpdk-socket-limit=256',
                    'other_config:dpdk-extra=--in-memory --no-pci --single-file-segments --no-telemetry')

    def open(self):
        self._start_database()
        self.switch = self.lab.spawn(self.name, [
            f'{self.root}/usr/lib/openvswitch-switch-dpdk/ovs-vswitchd-dpdk', f'unix:{self.dir}/db.sock',
            f'--unixctl={self.dir}/switch.ctl', '-vconsole:warn', '-vconsole:off:dpdk'],
            netns=self.ns, env=self._env(), cpus=[self.other_cpu, self.cpu])
        wait_for('ovs-vswitchd', lambda: os.path.exists(f'{self.dir}/switch.ctl'), 30, 0.05)
        self._vsctl('add-br', self.bridge, '--', 'set', 'bridge', self.bridge, 'datapath_type=netdev',
                    'other_config:mac-aging-time=3600')   # it is stopped while others are measured
        self._add_flows()   # first: the generator sends as soon as both ports are up, and waits for each packet
        for i, path in enumerate(self.sockets):
            self.wait_socket(i)
            self._vsctl('add-port', self.bridge, f'v{i}', '--', 'set', 'Interface', f'v{i}', 'type=dpdkvhostuserclient',
                        f'options:vhost-server-path={path}', f'ofport_request={i + 1}', f'mtu_request={self.world.mtu}')

    def _management(self):
        return f'{self.dir}/{self.bridge}.mgmt'

    def _add_flows(self):
        bridge = self._management()
        wait_for('the bridge', lambda: os.path.exists(bridge), 20, 0.02)
        self._ofctl('del-flows', bridge)
        if self.spec.kind == 'ovs-normal':
            flows = ['actions=NORMAL']
        elif self.spec.kind == 'ovs':
            flows = [f'in_port={i + 1},actions=output:{2 - i}' for i in range(2)]
        else:
            flows = [f'{match}={prefix},actions=dec_ttl,mod_dl_src:{GATEWAY_MAC},mod_dl_dst:{self.mac(i)},output:{i + 1}'
                     for i in range(2) for match, prefix in zip(('ip,nw_dst', 'ipv6,ipv6_dst'), self.prefixes(i))]
        for flow in flows:
            self._ofctl('add-flow', bridge, flow)

    # ---- samples ----

    def _out(self):
        """(sent, dropped on the way out) of both ports."""
        text = self._appctl('dpctl/show', '-s')
        ports = re.findall(r'port \d+: v\d \(.*?\).*?TX packets:(\d+) errors:\S+ dropped:(\d+)', text, re.S)
        return tuple(sum(int(p[k]) for p in ports) for k in (0, 1))

    def mark(self):
        self._appctl('dpif-netdev/pmd-stats-clear')
        self.before = self._out()

    def read(self):
        text = self._appctl('dpif-netdev/pmd-perf-show')
        sent, dropped = (b - a for a, b in zip(self.before, self._out()))

        def number(pattern):
            found = re.search(pattern, text)
            return float(found[1]) if found else 0

        used = number(r'Used TSC cycles:\s+(\d+)')
        share = number(r'busy iterations:\s+\d+\s+\(\s*([\d.]+) % of used cycles')
        received = number(r'Rx packets:\s+(\d+)')
        return Sample(int(used * share / 100), int(received), sent, dropped,
                              int(number(r'busy iterations:\s+(\d+)')), 1, used)

    def close(self):
        self.switch.kill()
