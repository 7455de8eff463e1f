# SPDX-License-Identifier: BSD-3-Clause
"""DPDK applications as pods: testpmd on virtio-user, and a pod whose application is the kernel."""

import re

from .process import ProcessError

QUEUE_SIZE = 1024


def virtio_user(path, index=0, queues=1, server=True, mac=None, queue_size=QUEUE_SIZE, extra=''):
    """The --vdev of a pod's port. server=True: the pod serves the socket (podrail's client mode)."""
    text = f'net_virtio_user{index},path={path},queues={queues},queue_size={queue_size}'
    if server:
        text += ',server=1'
    if mac:
        text += f',mac={mac}'
    return text + extra


def eal_arguments(memory, prefix, lcores):
    """
    A guest passes at most 8 memory regions, so one segment file; nothing is left on a hugetlbfs.
    Server mode with a numa-less EAL needs no other option.
    """
    return ['--lcores', lcores, '--in-memory', '--single-file-segments', '-m', str(memory),
            '--no-pci', '--no-telemetry', '--file-prefix', prefix]


def lcore_map(main, workers):
    """'0@1,1@0': the main thread on CPU main, a worker on each of the given CPUs."""
    return ','.join([f'0@{main}'] + [f'{i}@{cpu}' for i, cpu in enumerate(workers, 1)])


class Testpmd:
    """Made by Lab.testpmd(). Runs until stop(); the reconnecting interrupt is on."""

    __test__ = False

    def __init__(self, lab, name, vdevs, forward='io', memory=64, queues=1, netns=None, mbufs=8192,
                 workers=None, main=None, arguments=(), wait=True, interactive=False):
        cpus = lab.cpus
        main = cpus[-1] if main is None else main
        workers = [cpus[-1]] if workers is None else workers
        argv = ['stdbuf', '-oL', 'dpdk-testpmd',
                *eal_arguments(memory, f'{lab.name}-{name}', lcore_map(main, workers))]
        for vdev in vdevs:
            argv += ['--vdev', vdev]
        argv += ['--', f'--forward-mode={forward}', f'--total-num-mbufs={mbufs}',
                 f'--rxq={queues}', f'--txq={queues}', f'--nb-cores={len(workers)}']
        argv += ['-i'] if interactive else ['--auto-start']
        argv += list(arguments)
        self.process = lab.spawn(
            name, argv, netns=netns, stdin=True, env={'RUNTIME_DIRECTORY': lab.dir})
        if wait:
            self.process.expect(r'testpmd> ' if interactive else r'Press enter to exit', 30)

    @property
    def alive(self):
        return self.process.alive

    def command(self, text):
        """Interactive only: one line for its prompt."""
        self.process.write(text + '\n')

    def stop(self, timeout=20):
        """Ends it and returns its accumulated figures: {'rx-packets': …, 'tx-dropped': …}."""
        if self.alive:
            try:
                self.process.write('\n')
                self.process.popen.stdin.close()
            except BrokenPipeError:
                pass
        status = self.process.wait(timeout)
        if status:
            raise ProcessError(f'{self.process.name} ended with status {status}:\n{self.process.tail()}')
        return self.figures()

    def figures(self):
        text = self.process.output()
        at = text.rfind('Accumulated forward statistics for all ports')
        return {k.lower(): int(v) for k, v in re.findall(r'([RT]X-[a-z]+): *(\d+)', text[at:])} \
            if at >= 0 else {}

    def kill(self):
        self.process.kill()


class KernelPod:
    """
    A pod whose application is the kernel, without a container: testpmd joins the virtio-user port
    to a tap in a namespace of its own, so that ping and iperf3 there are the traffic.
    """

    def __init__(self, lab, name, path, mac=None, address=None, gateway=None, mtu=1500,
                 server=True, queues=1, main=None, workers=None, ifname='eth0'):
        self.ns = lab.netns(name)
        self.ifname = ifname
        self.mac = mac
        self.testpmd = Testpmd(
            lab, name, [virtio_user(path, server=server, queues=queues, mac=mac),
                        f'net_tap0,iface={ifname}'],
            queues=queues, netns=self.ns, main=main, workers=workers,
            arguments=(['--max-pkt-len=' + str(mtu + 18)] if mtu > 1500 else []))
        configure_tap(self.ns.run, ifname, mac, address, gateway, mtu)

    def ping(self, *args, **kwargs):
        return self.ns.ping(*args, **kwargs)

    def stop(self):
        return self.testpmd.stop()

    def kill(self):
        self.testpmd.kill()


def configure_tap(run, ifname, mac=None, address=None, gateway=None, mtu=1500):
    """run(*argv): a program in the pod. A gateway outside the subnet gets an on-link route."""
    run('ip', 'link', 'set', ifname, 'down')
    if mac:
        run('ip', 'link', 'set', ifname, 'address', mac)
    run('ip', 'link', 'set', ifname, 'mtu', str(mtu), 'up')
    if address:
        run('ip', 'addr', 'add', address, 'dev', ifname)
    if gateway:
        run('ip', 'route', 'add', gateway + '/32', 'dev', ifname)
        run('ip', 'route', 'add', 'default', 'via', gateway, 'dev', ifname)


class Gen:
    """podrail-gen with the arguments given; its summary is what it prints last."""

    def __init__(self, lab, name, arguments, netns=None, program=None):
        self.process = lab.spawn(
            name, [program or lab.program('podrail-gen'), *arguments], netns=netns,
            env={'RUNTIME_DIRECTORY': lab.dir})

    def wait(self, timeout=120):
        status = self.process.wait(timeout)
        if status:
            raise ProcessError(f'{self.process.name}: status {status}\n{self.process.tail()}')
        return self.process.output()

    def stop(self, timeout=20):
        self.process.stop(timeout)
        return self.process.output()
