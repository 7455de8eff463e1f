# SPDX-License-Identifier: BSD-3-Clause
"""podman with configuration, storage and CNI networks of its own, inside the lab's namespace."""

import json
import os
import shutil
import time

from . import image
from .process import ProcessError
from .testpmd import configure_tap, eal_arguments, lcore_map, virtio_user
from .wait import wait_for

IMAGE = 'localhost/bb:latest'


def runtime():
    """crun 1.8 does not run with hybrid cgroups: runc."""
    path = shutil.which('runc', path='/usr/sbin:/usr/bin:/usr/local/bin')
    if not path:
        raise ProcessError('runc is not installed: run scripts/setup')
    return path


class Podman:
    """
    p = Podman(lab); p.network('own', [{'type': 'podrail', …}]); c = p.run('a', network='own')
    Everything it starts is removed when the lab closes.
    """

    def __init__(self, lab, netns=None, plugins=None):
        self.lab = lab
        self.ns = netns or lab.ns
        self.dir = f'{lab.dir}/pm'
        self.net_dir = f'{self.dir}/net.d'
        self.containers = {}
        os.makedirs(self.net_dir)
        if plugins is None:
            plugins = {'podrail': lab.program('podrail')}
        self.bin_dir = image.plugin_directory(f'{self.dir}/bin', plugins)
        self.env = {
            'CONTAINERS_CONF': f'{self.dir}/containers.conf',
            'CONTAINERS_STORAGE_CONF': f'{self.dir}/storage.conf',
            'TMPDIR': self.dir,
            # The plugin's own; podman hands its environment on.
            'ASAN_OPTIONS': 'exitcode=99:detect_leaks=1',
        }
        self._configure()
        lab.on_close(self.close)
        tar = f'{self.dir}/bb.tar'
        image.busybox_tar(tar)
        self('import', '--change', 'CMD ["/bin/sh"]', '--change', 'ENV PATH=' + image.HOST_PATH,
             tar, IMAGE)

    def _configure(self):
        with open(self.env['CONTAINERS_CONF'], 'w', encoding='utf-8') as f:
            f.write(f'''[containers]
default_ulimits = ["nofile=20000:20000", "nproc=30000:30000"]
log_driver = "k8s-file"
[network]
network_backend = "cni"
network_config_dir = "{self.net_dir}"
cni_plugin_dirs = ["{self.bin_dir}"]
[engine]
cgroup_manager = "cgroupfs"
events_logger = "file"
runtime = "runc"
lock_type = "file"
static_dir = "{self.dir}/static"
tmp_dir = "{self.dir}/tmp"
volume_path = "{self.dir}/volumes"
[engine.runtimes]
runc = ["{runtime()}"]
''')
        with open(self.env['CONTAINERS_STORAGE_CONF'], 'w', encoding='utf-8') as f:
            f.write(f'[storage]\ndriver = "overlay"\ngraphroot = "{self.dir}/graph"\n'
                    f'runroot = "{self.dir}/run"\n')

    def __call__(self, *args, check=True, timeout=60, input=None):
        """Any podman command; returns CompletedProcess."""
        return self.ns.run('podman', '--runtime-flag', f'root={self.dir}/runc', *args,
                           check=check, timeout=timeout, input=input, env=self.env)

    def network(self, name, plugins, version='1.0.0'):
        """Writes NAME.conflist. An IPAM of type host-local or podrail keeps its leases in the lab."""
        plugins = json.loads(json.dumps(plugins))
        for plugin in plugins:
            ipam = plugin.get('ipam')
            if ipam and ipam.get('type') in ('host-local', 'podrail'):
                ipam.setdefault('dataDir', f'{self.dir}/leases')
        path = f'{self.net_dir}/{name}.conflist'
        # Complete at once: a runtime may be watching.
        with open(path + '.tmp', 'w', encoding='utf-8') as f:
            json.dump({'cniVersion': version, 'name': name, 'plugins': plugins}, f, indent=2)
        os.rename(path + '.tmp', path)
        return path

    def run(self, name, *command, network=None, ip=None, mac=None, options=(), check=True,
            timeout=60):
        """A container in the background (by default one that sleeps); returns Container."""
        args = ['run', '-d', '--name', name]
        if network:
            args += ['--network', network]
        if ip:
            args += ['--ip', ip]
        if mac:
            args += ['--mac-address', mac]
        done = self(*args, *options, IMAGE, *(command or ('sleep', '2147483647')),
                    check=check, timeout=timeout)
        if done.returncode:
            return done
        container = Container(self, name)
        self.containers[name] = container
        return container

    def dpdk_options(self, sockets=None):
        """podman run options with which the machine's DPDK programs run inside."""
        options = ['--cap-add', 'NET_ADMIN,NET_RAW,IPC_LOCK,SYS_RAWIO,SYS_NICE',
                   '--device', '/dev/net/tun', '--security-opt', 'seccomp=unconfined']
        for path in (*image.HOST_DIRECTORIES, self.lab.settings.build):
            if os.path.exists(path):
                options += ['-v', f'{path}:{path}:ro']
        if sockets:
            options += ['-v', f'{sockets}:/sock']
        return options

    def kernel_pod(self, name, network, sockets, socket, mac=None, address=None, gateway=None,
                   mtu=1500, server=True, queues=1, ip=None, cpu=None, ifname='dtap0', options=(),
                   wait=True):
        """
        A DPDK pod whose application is the kernel: testpmd joins the virtio-user port
        <sockets>/<socket> (a directory of the host) to a tap in the container. Returns Container;
        with wait, configure() is called on it. testpmd makes the tap when a switch has connected.
        """
        cpu = self.lab.cpus[-1] if cpu is None else cpu
        argv = ['dpdk-testpmd', *eal_arguments(64, name, lcore_map(cpu, [cpu])),
                '--vdev', virtio_user(f'/sock/{socket}', server=server, queues=queues, mac=mac),
                '--vdev', f'net_tap0,iface={ifname}', '--', '--forward-mode=io', '--auto-start',
                f'--rxq={queues}', f'--txq={queues}', '--total-num-mbufs=8192', '--stats-period', '3600']
        if mtu > 1500:
            argv.append(f'--max-pkt-len={mtu + 18}')
        container = self.run(name, *argv, network=network, ip=ip, mac=mac,
                             options=[*self.dpdk_options(sockets), *options])
        container.ifname = ifname
        if wait:
            container.configure(mac, address, gateway, mtu)
        return container

    def gen(self, name, network, sockets, *arguments, options=()):
        """A container that runs podrail-gen; wait() on it gives status and output."""
        return self.run(name, f'{self.lab.settings.build}/tests/gen/podrail-gen', *arguments,
                        network=network, options=[*self.dpdk_options(sockets), *options])

    def close(self):
        try:
            self('rm', '-f', '-a', '-t', '0', check=False)
            self('pod', 'rm', '-f', '-a', '-t', '0', check=False)
        finally:
            self._forget_cached_results()

    def _forget_cached_results(self):
        """libcni keeps the result of an ADD whose DEL failed."""
        directory = '/var/lib/cni/results'
        for name in os.listdir(directory) if os.path.isdir(directory) else ():
            path = f'{directory}/{name}'
            try:
                with open(path, encoding='utf-8') as f:
                    ours = self.dir in f.read()
            except (OSError, UnicodeDecodeError):
                continue
            if ours:
                os.unlink(path)


class Container:
    def __init__(self, podman, name):
        self.podman = podman
        self.name = name
        self.ifname = 'eth0'

    def exec(self, *argv, check=True, timeout=60):
        return self.podman('exec', self.name, *argv, check=check, timeout=timeout)

    def inspect(self):
        return json.loads(self.podman('inspect', self.name).stdout)[0]

    @property
    def running(self):
        return self.inspect()['State']['Running']

    def logs(self):
        done = self.podman('logs', self.name)
        return done.stdout + done.stderr

    def configure(self, mac=None, address=None, gateway=None, mtu=1500, timeout=20):
        """Waits for the tap of a kernel pod and gives it what the plugin gave."""
        def there():
            if not self.running:
                raise ProcessError(f'container {self.name} ended:\n{self.logs()}')
            return self.exec('ip', 'link', 'show', self.ifname, check=False).returncode == 0

        wait_for(f'{self.ifname} in container {self.name}', there, timeout, 0.1)
        configure_tap(self.exec, self.ifname, mac, address, gateway, mtu)
        self.exec('ethtool', '-K', self.ifname, 'tx', 'off')

    def ping(self, address, count=3, interval=0.2, timeout=2):
        """Returns how many of count were answered (the host's ping where it is mounted)."""
        done = self.exec('ping', '-q', '-c', count, '-W', timeout, '-i', interval, address,
                         check=False, timeout=60 + count)
        for line in done.stdout.splitlines():
            if ' received' in line:
                return int(line.split(', ')[1].split()[0])
        raise ProcessError(f'ping {address} in {self.name}: {done.stdout}{done.stderr}')

    def wait(self, timeout=120):
        """Waits for its end; returns (status, output). `podman wait` would look at it every 20 s."""
        wait_for(f'container {self.name} to end', lambda: not self.running, timeout, 0.1)
        return self.inspect()['State']['ExitCode'], self.logs()

    def stop(self, timeout=2):
        self.podman('stop', '-t', timeout, self.name)

    def start(self):
        self.podman('start', self.name)

    def remove(self):
        start = time.monotonic()
        self.podman('rm', '-f', '-t', '0', self.name)
        self.podman.containers.pop(self.name, None)
        return time.monotonic() - start
