# SPDX-License-Identifier: BSD-3-Clause
"""What the tests of the CNI plugin share: its configuration, calling it, and what it may leave."""

import glob
import json
import os
import subprocess

from lib import ProcessError, wait_for
from lib.podman import image
from lib.testpmd import eal_arguments, lcore_map

# What testpmd does last to its ports: before, it may still set the tap's MAC address itself.
READY = 'PROMISC'
SEARCH = '/usr/sbin:/usr/bin:/sbin:/bin'


def plugin_conf(daemon, pods_dir, network, subnet, ipam=None, **more):
    """Our plugin as one member of a conflist. subnet '198.18.1.0/24'; ipam={}: none."""
    if ipam is None:
        ipam = {'type': 'host-local', 'dataDir': f'{os.path.dirname(pods_dir)}/leases',
                'ranges': [[{'subnet': subnet}]]}
    conf = {'type': 'podrail', 'network': network, 'socketDir': pods_dir,
            'daemonSocket': daemon.socket, 'stateDir': daemon.state_dir, **more}
    if ipam:
        conf['ipam'] = ipam
    return conf


def leases(lab):
    """Addresses that host-local holds: {path: container's id}."""
    found = {}
    for path in glob.glob(f'{lab.dir}/leases/*/*'):
        name = os.path.basename(path)
        if name != 'lock' and not name.startswith('last_reserved_ip'):
            with open(path, encoding='utf-8') as f:
                found[path] = f.read().split()
    return found


def leftovers(lab, daemon, pods_dir):
    """What is left of containers, as sentences; empty when all is gone."""
    found = [f'address {path} of {who}' for path, who in leases(lab).items()]
    if daemon.alive:
        found += [f'port {p["name"]}' for p in daemon.call('port.list')['ports'] if 'cni' in p]
    found += [f'entry {p}' for p in glob.glob(f'{pods_dir}/*')]
    found += [f'record {p}' for p in glob.glob(f'{daemon.run_dir}/cni/*')]
    found += [f'tombstone {p}' for p in glob.glob(f'{daemon.state_dir}/tombstones/*')]
    found += [f'device-info {p}' for p in glob.glob(f'{lab.dir}/devinfo/*')]
    return found


class Plugin:
    """Calls the plugin as a runtime does. The caller is in the node's namespace: `with lab.ns.enter()`."""

    def __init__(self, lab, plugins=('/usr/lib/cni',)):
        self.lab = lab
        self.program = lab.program('podrail')
        self.path = ':'.join(plugins)
        self.env = {'PATH': SEARCH, 'ASAN_OPTIONS': 'exitcode=99:detect_leaks=1'}

    def start(self, command, conf, container, netns, ifname='eth0', args=''):
        """conf goes to it through a file: who kills the plugin waits for nothing."""
        env = {**self.env, 'CNI_COMMAND': command, 'CNI_CONTAINERID': container, 'CNI_IFNAME': ifname,
               'CNI_NETNS': netns, 'CNI_PATH': self.path, 'CNI_ARGS': args}
        read, write = os.pipe()
        with os.fdopen(write, 'w') as f:
            f.write(json.dumps(conf))
        try:
            return subprocess.Popen([self.program], env=env, stdin=read, stdout=subprocess.PIPE,
                                    stderr=subprocess.PIPE, text=True)
        finally:
            os.close(read)

    def call(self, command, conf, container='c', netns='', ifname='eth0', args='', timeout=90):
        """(status, output as JSON or None, stderr)"""
        process = self.start(command, conf, container, netns, ifname, args)
        out, err = process.communicate(timeout=timeout)
        if process.returncode not in (0, 1):
            raise AssertionError(f'podrail {command}: status {process.returncode}\n{out}{err}')
        return process.returncode, json.loads(out) if out.strip() else None, err


def testpmd_line(socket, name, cpu, interface='dtap0'):
    """A shell's line: testpmd joins the port to a tap. It polls without end, and is nice to the rest."""
    eal = ' '.join(eal_arguments(64, name, lcore_map(cpu, [cpu])))
    return (f'exec nice -n 5 dpdk-testpmd {eal} --vdev "net_virtio_user0,path={socket},server=1,queue_size=1024"'
            f' --vdev net_tap0,iface={interface} -- --forward-mode=io --auto-start '
            '--total-num-mbufs=8192 --stats-period 3600')


def tap_commands(info, interface='dtap0'):
    """What a pod's entry script would do with its own file (docs/cni.md)."""
    address = info['addresses'][0]
    lines = [f'ip link set {interface} address {info["mac"]} mtu {info["mtu"]} up',
             f'ethtool -K {interface} tx off', f'ip addr add {address["address"]} dev {interface}']
    for route in info.get('routes', ()):
        via = f'via {route["gw"]}' if route.get('gw') else ''
        if route.get('gw'):
            lines.append(f'ip route replace {route["gw"]}/32 dev {interface}')
        lines.append(f'ip route replace {route["dst"]} {via} dev {interface}')
    return '\n'.join(lines)


class PodmanPod:
    """A DPDK pod by podman whose application is the kernel."""

    def __init__(self, world, name, network, **more):
        """world has lab, podman, daemon, pods_dir, namespaces (a set) and started (a number)."""
        self.world = world
        lab = world.lab
        world.started += 1
        cpu = lab.cpus[world.started % len(lab.cpus)]
        self.container = world.podman.run(
            name, 'sh', '-c', testpmd_line('/sock/$HOSTNAME/eth0.sock', name, cpu), network=network,
            options=[*world.podman.dpdk_options(world.pods_dir),
                     '--sysctl', 'net.ipv6.conf.all.disable_ipv6=1',
                     '--sysctl', 'net.ipv6.conf.default.disable_ipv6=1'], **more)
        self.name = name
        self.configure()

    def configure(self):
        """Waits for the port, then gives the tap what the plugin said."""
        seen = self.container.inspect()
        self.id = seen['Id'][:12]
        self.world.namespaces.add(seen['NetworkSettings']['SandboxKey'])
        with open(f'{self.world.pods_dir}/{self.id}/eth0.json', encoding='utf-8') as f:
            self.info = json.load(f)
        self.address = self.info['addresses'][0]['address'].split('/')[0]

        def there():
            if not self.container.running:
                raise ProcessError(f'pod {self.name} ended:\n{self.container.logs()}')
            return READY in self.container.exec('ip', 'link', 'show', 'dtap0', check=False).stdout

        wait_for(f'the tap in pod {self.name}', there, 60, 0.1)
        self.container.exec('sh', '-e', '-c', tap_commands(self.info))
        self.world.daemon.wait_port(self.info['port'], timeout=60)

    def ping(self, address, count=3):
        return self.container.ping(address, count=count, timeout=5)

    def background(self, label, *argv):
        podman = self.world.podman
        return self.world.lab.spawn(
            label, ['podman', '--runtime-flag', f'root={podman.dir}/runc', 'exec', self.name, *argv],
            netns=podman.ns, env=podman.env)


def host_binds(lab):
    """(host, inside, readonly) with which the machine's programs run in a container."""
    return [(p, p, True) for p in (*image.HOST_DIRECTORIES, lab.settings.build) if os.path.exists(p)]
