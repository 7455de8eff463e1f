# SPDX-License-Identifier: BSD-3-Clause
"""The node of the demo: podraild, its networks, podman with our plugin, and the third party."""

import json
import os

from lib import Lab, Podman, ProcessError, wait_for
from lib.testpmd import eal_arguments, lcore_map

# What each CNI network attaches to: podrail's network, members of the plugin's configuration, and
# the first and last address it gives.
LAN, BLUE, INNER, GREEN = '198.18.0', '198.18.1', '198.19.7', '198.19.8'
ATTACHMENTS = {
    'lan': ('lan', {}, f'{LAN}.0/24', 10, 59),
    'lan-2': ('lan', {}, f'{LAN}.0/24', 60, 99),
    'vlan10': ('lan', {'vlan': 10}, '198.18.10.0/24', 10, 59),
    'vlan10-2': ('lan', {'vlan': 10}, '198.18.10.0/24', 60, 99),
    'vlan20': ('lan', {'vlan': 20}, '198.18.10.0/24', 100, 149),
    'blue': ('blue', {}, f'{BLUE}.0/24', 10, 59),
    'blue-2': ('blue', {}, '198.18.2.0/24', 10, 59),
    'blue-router': ('blue', {'trust': True}, f'{BLUE}.0/24', 200, 209),
    'inner': ('inner', {}, f'{INNER}.0/24', 10, 59),
    'inner-router': ('inner', {'trust': True}, f'{INNER}.0/24', 1, 1),
    'green': ('green', {}, f'{GREEN}.0/24', 10, 59),
    'green-router': ('green', {'trust': True}, f'{GREEN}.0/24', 200, 209),
}
LAN_THIRD, BLUE_UPLINK, BLUE_THIRD, BLUE_MIRROR = f'{LAN}.200', '192.0.2.1', '192.0.2.2', '192.0.2.3'
MIRROR_MAC = '02:00:00:00:02:03'
VLAN_THIRD = '198.18.10.200'

# Kernels ask whether a neighbour is still there; asking for a pod that has ended is a drop that
# nobody means.
NO_PROBES = 'ip ntable change name arp_cache dev {} delay_probe 3600000'


class World:
    def __init__(self):
        self.lab = Lab('demo')
        self.pods_dir = f'{self.lab.dir}/pods'
        os.mkdir(self.pods_dir)
        os.chmod(self.pods_dir, 0o755)
        self.cpu = self.lab.cpus[-1]
        self.third = None
        self.daemon = None
        self.podman = None
        self.started = 0

    def start(self):
        """The third party, podraild, its networks and uplinks, podman's networks."""
        lab = self.lab
        self.third = lab.netns('third')
        lab.ns.veth('up0', self.third, 'lan0')
        lab.ns.veth('up1', self.third, 'blue0')
        for link in ('lan0', 'blue0'):
            self.third.run(*NO_PROBES.format(link).split())
        self.third.ip('addr', 'add', f'{LAN_THIRD}/24', 'dev', 'lan0')
        self.third.ip('addr', 'add', f'{BLUE_THIRD}/24', 'dev', 'blue0')
        self.third.ip('route', 'add', '198.18.0.0/15', 'via', BLUE_UPLINK)
        self.daemon = lab.daemon(
            workers=[lab.cpus[0]], memory=256,
            networks=[{'name': 'lan', 'mode': 'bridged'},
                      {'name': 'blue', 'mode': 'routed', 'subnets': [f'{BLUE}.0/24', '198.18.2.0/24']},
                      {'name': 'inner', 'mode': 'bridged'},
                      {'name': 'green', 'mode': 'routed', 'subnets': [f'{GREEN}.0/24']}],
            ports=[{'name': 'lan-uplink', 'kind': 'eth', 'network': 'lan', 'trunk': [10, 20],
                    'device': 'net_af_packet0,iface=up0,framecnt=2048'},
                   {'name': 'blue-uplink', 'kind': 'eth', 'network': 'blue',
                    'addresses': [f'{BLUE_UPLINK}/24'],
                    'device': 'net_af_packet1,iface=up1,framecnt=2048'}])
        self.podman = Podman(lab)
        for name, (network, more, subnet, first, last) in ATTACHMENTS.items():
            self.podman.network(name, [self._plugin(network, more, subnet, first, last)])

    def _plugin(self, network, more, subnet, first, last):
        base = subnet.rsplit('.', 1)[0]
        return {'type': 'podrail', 'network': network, 'socketDir': self.pods_dir,
                'daemonSocket': self.daemon.socket, 'stateDir': self.daemon.state_dir,
                'ipam': {'type': 'host-local', 'ranges': [[{
                    'subnet': subnet,
                    # host-local gives nobody the gateway's address, and there the router has .1.
                    'gateway': f'{base}.{254 if network == "inner" else 1}', 'rangeStart': f'{base}.{first}', 'rangeEnd': f'{base}.{last}'}]]},
                **more}

    def pod(self, name, networks, command, options=()):
        """A container with a port in each of the networks."""
        container = self.podman.run(
            name, *command, network=','.join(networks),
            options=[*self.podman.dpdk_options(self.pods_dir),
                     '--sysctl', 'net.ipv6.conf.all.disable_ipv6=1',
                     '--sysctl', 'net.ipv6.conf.default.disable_ipv6=1', *options])
        return Pod(self, container, len(networks))

    def idle_pod(self, name, *networks, options=()):
        """A pod whose application is started later, by exec()."""
        return self.pod(name, networks, ['sleep', '2147483647'], options)

    def dpdk_router(self, name, *networks):
        """
        A pod whose application is a DPDK router of the simplest kind: testpmd sends what comes in at one
        of two ports out at the other, to the gateway there. It polls without end beside podraild's worker,
        which sleeps when it has nothing to do: as an idle task it gives way as soon as that wakes up.
        """
        pod = self.idle_pod(name, *networks)
        eal = eal_arguments(64, name, lcore_map(self.cpu, [self.lab.cpus[0]]))
        vdevs = [word for i in range(2) for word in (
            '--vdev', f'net_virtio_user{i},path=/sock/{pod.id}/eth{i}.sock,server=1,queue_size=1024,mac={pod.mac(i)}')]
        peers = [f'--eth-peer={i},{pod.info[i]["gatewayMac"]}' for i in range(2)]
        application = pod.start_exec(
            name, 'chrt', '--idle', '0', 'stdbuf', '-oL', 'dpdk-testpmd', *eal, *vdevs, '--', '--forward-mode=mac', *peers,
            '--auto-start', '--total-num-mbufs=8192', '--stats-period', '3600')
        application.expect('mac packet forwarding', 30)
        pod.wait_up()
        return pod

    def kernel_pod(self, name, *networks, options=(), nice=5):
        """
        A pod whose application is the kernel: testpmd joins each vhost-user port to a tap. The
        sockets' directory is named by the container's id, which is its host name. testpmd polls
        without end: it gives way a little to programs that have something to do.
        """
        vdevs = ' '.join(
            f'--vdev net_virtio_user{i},path=/sock/$(cat /etc/hostname)/eth{i}.sock,server=1,'
            f'queue_size=1024 --vdev net_tap{i},iface=eth{i}' for i in range(len(networks)))
        cpu = self.lab.cpus[self.started % len(self.lab.cpus)]
        self.started += 1
        eal = ' '.join(eal_arguments(64, name, lcore_map(self.cpu, [cpu])))
        pod = self.pod(
            name, networks,
            ['sh', '-c', f'exec nice -n {nice} stdbuf -oL dpdk-testpmd {eal} {vdevs} -- --forward-mode=io --auto-start '
                         '--total-num-mbufs=8192 --stats-period 3600'], options)
        pod.configure()
        return pod


class Pod:
    def __init__(self, world, container, interfaces):
        self.world = world
        self.container = container
        self.name = container.name
        self.interfaces = interfaces
        self.learn()

    def learn(self):
        """What the plugin has written into the pod's own directory."""
        self.id = self.container.inspect()['Id'][:12]
        self.info = []
        for i in range(self.interfaces):
            with open(f'{self.world.pods_dir}/{self.id}/eth{i}.json', encoding='utf-8') as f:
                self.info.append(json.load(f))

    def address(self, i=0):
        return self.info[i]['addresses'][0]['address'].split('/')[0]

    def mac(self, i=0):
        return self.info[i]['mac']

    def gateway(self, i=0):
        if self.info[i].get('mode') and self.info[i].get('gatewayMac'):
            return self.info[i]['addresses'][0].get('gateway') or '169.254.1.1'
        return None

    def exec(self, *argv, check=True, timeout=60):
        return self.container.exec(*argv, check=check, timeout=timeout)

    def configure(self):
        """Gives the taps what the plugin gave, in one visit to the container."""
        commands = []
        for i, info in enumerate(self.info):
            dev, gateway = f'eth{i}', self.gateway(i)
            commands += [f'ip link set {dev} address {info["mac"]} mtu {info["mtu"]} up',
                         NO_PROBES.format(dev), f'ethtool -K {dev} tx off',
                         f'ip addr add {info["addresses"][0]["address"]} dev {dev}']
            if gateway:
                commands += [f'ip route replace {gateway}/32 dev {dev}',
                             f'ip route add default via {gateway} dev {dev}']
        last = f'eth{self.interfaces - 1}'

        def tap_is_there():
            if not self.container.running:
                raise ProcessError(f'pod {self.name} ended:\n{self.container.logs()}')
            return self.exec('ip', 'link', 'show', last, check=False).returncode == 0

        wait_for(f'the tap in pod {self.name}', tap_is_there, 30, 0.1)
        wait_for(f'testpmd in pod {self.name}', self.forwards, 30, 0.1)
        self.exec('sh', '-e', '-c', '\n'.join(commands))
        self.wait_up()

    def forwards(self):
        """Before it does, its queue is there and has no room for a packet yet."""
        with open(self.container.inspect()['HostConfig']['LogConfig']['Path'], encoding='utf-8') as f:
            return 'io packet forwarding' in f.read()

    def wait_up(self):
        for info in self.info:
            self.world.daemon.wait_port(info['port'])

    def start_exec(self, label, *argv):
        """A program in the pod, in the background; returns lab's Process."""
        podman = self.world.podman
        return self.world.lab.spawn(
            label, ['podman', '--runtime-flag', f'root={podman.dir}/runc', 'exec', self.name, *argv],
            netns=podman.ns, env=podman.env)

    def remove(self):
        self.container.remove()


def remove(*pods):
    """All at once: podman is slow at this."""
    podman = pods[0].world.podman
    podman('rm', '-f', '-t', '0', *(p.name for p in pods))
    for p in pods:
        podman.containers.pop(p.name, None)
