# SPDX-License-Identifier: BSD-3-Clause
"""
QEMU guests (emulated, TCG) with Debian's own kernel, whose network cards are vhost-user ports. The kernel's
package is unpacked in the build directory by pr_guest_kernel of scripts/lib.sh; the rest of a guest is made here.
"""

import json
import os
import shutil
import socket
import subprocess

from .lab import TREE, settings
from .process import ProcessError
from .wait import wait_for

QEMU = 'qemu-system-x86_64'
MEMORY = 160  # MiB
MODULES = ('virtio_pci', 'virtio_net')
PROGRAMS = ('/usr/bin/iperf3', '/usr/sbin/ethtool')
BUSYBOX = '/bin/busybox'
APPLETS = ('sh', 'mount', 'insmod', 'ip', 'ping', 'cat', 'stty', 'setsid', 'sleep', 'mkdir', 'kill', 'grep', 'ls',
           'basename', 'readlink')

# Commands come as lines "number text" on the serial console; what they print goes back, then "@number status".
INIT = '''#!/bin/sh
export PATH=/bin
mount -t proc p /proc; mount -t sysfs s /sys; mount -t devtmpfs d /dev
for m in $(cat /modules); do insmod /$m; done
ip link set lo up
exec 0<>/dev/ttyS0 1>&0 2>&0
stty -echo raw opost
echo; echo guest is ready
while read -r number line; do
    eval "$line"
    echo "@$number $?"
done
'''


def missing():
    """Why no guest can be had here, or None. The kernel is fetched when it is not there yet."""
    for program in (QEMU, 'cpio', 'modprobe', 'depmod', *PROGRAMS, BUSYBOX):
        if not shutil.which(program):
            return f'{program} is not installed'
    if not os.path.exists(f'{kernel_directory()}/complete'):
        done = subprocess.run(['bash', '-c', '. scripts/lib.sh && pr_guest_kernel'], cwd=TREE, capture_output=True,
                              text=True, timeout=120, env={**os.environ, 'PODRAIL_BUILD': settings.build})
        if done.returncode:
            return (done.stderr.strip().splitlines() or ['the kernel of the guests can not be had'])[-1]
    return None


def kernel_directory():
    return f'{settings.build}/guest-kernel'


def kernel_version():
    return os.listdir(f'{kernel_directory()}/lib/modules')[0]


def libraries(program):
    """What the dynamic linker loads for it, the linker included."""
    text = subprocess.run(['ldd', program], capture_output=True, text=True, check=True).stdout
    return [word for line in text.splitlines() for word in line.split() if word.startswith('/')]


def modules():
    """Paths of the kernel modules that MODULES need, in the order of loading."""
    text = subprocess.run(['modprobe', '-D', '-a', '-d', kernel_directory(), '-S', kernel_version(), *MODULES],
                          capture_output=True, text=True, check=True).stdout
    found = [line.split()[1] for line in text.splitlines() if line.startswith('insmod ')]
    return list(dict.fromkeys(found))


def make_initramfs(lab):
    """One for all guests of a lab; returns its path."""
    path, root = f'{lab.dir}/guest.cpio', f'{lab.dir}/guest'
    if os.path.exists(path):
        return path
    for directory in ('bin', 'proc', 'sys', 'dev', 'tmp', 'etc'):
        os.makedirs(f'{root}/{directory}')
    shutil.copy(BUSYBOX, f'{root}/bin/busybox')
    for applet in APPLETS:
        os.symlink('busybox', f'{root}/bin/{applet}')
    for program in PROGRAMS:
        shutil.copy(program, f'{root}/bin/')
        for library in libraries(program):
            os.makedirs(root + os.path.dirname(library), exist_ok=True)
            shutil.copy(os.path.realpath(library), root + library)
    with open(f'{root}/modules', 'w', encoding='ascii') as f:
        for module in modules():
            shutil.copy(module, root)
            f.write(os.path.basename(module) + '\n')
    with open(f'{root}/init', 'w', encoding='ascii') as f:
        f.write(INIT)
    os.chmod(f'{root}/init', 0o755)
    subprocess.run('find . | cpio --quiet -o -H newc', shell=True, cwd=root, check=True,
                   stdout=open(path, 'wb'))
    shutil.rmtree(root)
    return path


class Monitor:
    """QEMU's machine protocol (QMP)."""

    def __init__(self, path):
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.socket.settimeout(30)
        wait_for('the monitor', lambda: self._connect(path), 20)
        self.file = self.socket.makefile('r')
        self.file.readline()
        self('qmp_capabilities')

    def _connect(self, path):
        try:
            self.socket.connect(path)
            return True
        except (FileNotFoundError, ConnectionRefusedError):
            return False

    def __call__(self, command, **arguments):
        self.socket.sendall(json.dumps({'execute': command, 'arguments': arguments}).encode() + b'\n')
        while True:
            answer = json.loads(self.file.readline())
            if 'error' in answer:
                raise ProcessError(f'{command}: {answer["error"]}')
            if 'return' in answer:
                return answer['return']

    def close(self):
        self.file.close()
        self.socket.close()


class Card:
    """
    A network card of a guest. With serve the guest serves the socket and podraild connects, else the other way
    round, and QEMU connects again a second after it has lost it. `options` are those of virtio-net-pci.
    """

    def __init__(self, path, mac, serve=True, queues=1, options=''):
        self.path = path
        self.mac = mac
        self.serve = serve
        self.queues = queues
        self.options = options

    def arguments(self, n):
        # Without a vector this QEMU does not crash when the driver starts (MSI-X, vhost-user and TCG together).
        return ['-chardev', f'socket,id=c{n},path={self.path},' + ('server=on' if self.serve else 'reconnect=1'),
                '-netdev', f'vhost-user,id=n{n},chardev=c{n},queues={self.queues}',
                '-device', f'virtio-net-pci,netdev=n{n},mac={self.mac},vectors=0,romfile=,disable-legacy=on'
                + (',mq=on' if self.queues > 1 else '') + (f',{self.options}' if self.options else '')]


class Guest:
    """
    A running guest; its cards are eth0, eth1, … in the order given. wait() until its shell is there; run('ip addr')
    returns what a command line in it prints. It boots on all CPUs and then has the last one: the worker has its own.
    """

    def __init__(self, lab, name, cards, memory=MEMORY):
        self.lab = lab
        self.name = name
        self.cards = cards
        self.commands = 0
        monitor = f'{lab.dir}/{name}.qmp'
        argv = [QEMU, '-accel', 'tcg,thread=single,tb-size=64', '-cpu', 'max', '-machine', 'pc', '-nodefaults',
                '-no-user-config', '-display', 'none', '-m', str(memory),
                '-object', f'memory-backend-memfd,id=mem,size={memory}M,share=on', '-numa', 'node,memdev=mem',
                '-serial', 'stdio', '-qmp', f'unix:{monitor},server=on,wait=off',
                '-kernel', f'{kernel_directory()}/boot/vmlinuz-{kernel_version()}', '-initrd', make_initramfs(lab),
                '-append', 'console=ttyS0 quiet panic=-1 no_timer_check mitigations=off nokaslr net.ifnames=0 '
                           'ipv6.disable=1 apparmor=0 audit=0 tsc=reliable']
        for n, card in enumerate(cards):
            argv += card.arguments(n)
        self.process = lab.spawn(name, argv, netns=lab.ns, stdin=True)
        self._monitor_path = monitor
        self._monitor = None
        lab.on_close(self.kill)

    @property
    def monitor(self):
        if self._monitor is None:
            self._monitor = Monitor(self._monitor_path)
        return self._monitor

    def boots(self):
        return self.process.output().count('guest is ready')

    def wait(self, boots=1, timeout=120):
        def look():
            if not self.process.alive:
                raise ProcessError(f'{self.name} ended with {self.process.status}:\n{self.process.tail()}')
            return self.boots() >= boots

        wait_for(f'{self.name} to boot', look, timeout, 0.1)
        self.pin({self.lab.cpus[-1]})
        return self

    def pin(self, cpus):
        for thread in os.listdir(f'/proc/{self.process.pid}/task'):
            os.sched_setaffinity(int(thread), cpus)

    def start(self, line):
        """Sends a command line; finish(what this returns) waits for its end."""
        self.commands += 1
        self.process.write(f'{self.commands} {line}\n')
        return self.commands, len(self.process.output())

    def finish(self, command, timeout=60):
        number, at = command
        found = self.process.expect(rf'^@{number} (\d+)\s*$', timeout)
        return int(found[1]), self.process.output()[at:].split(f'@{number} ')[0].replace('\r', '').strip()

    def run(self, line, timeout=60, check=True):
        status, text = self.finish(self.start(line), timeout)
        if check and status:
            raise ProcessError(f'{self.name}: {line!r} ended with {status}: {text}')
        return text

    def configure(self, card, address, mtu=1500, gateway=None):
        self.run(f'ip link set eth{card} mtu {mtu} up && ip addr add {address} dev eth{card}'
                 + (f' && ip route add {gateway} dev eth{card}' if gateway else ''))

    def ping(self, address, count=3, interval=0.1):
        """How many of count were answered."""
        return received(self.run(f'ping -q -c {count} -i {interval} -W 2 {address}', check=False))

    def features(self, card):
        """Bits that the guest's driver and the back end agreed on."""
        text = self.run(f'cat /sys/class/net/eth{card}/device/features')
        return sum(1 << n for n, bit in enumerate(text) if bit == '1')

    def reset_driver(self, card):
        """The driver leaves the device and takes it again: what a reset of the device is for a back end."""
        self.run(f'd=$(basename $(readlink -f /sys/class/net/eth{card}/device)) && cd /sys/bus/virtio/drivers/virtio_net '
                 '&& echo $d > unbind && echo $d > bind; cd /')

    def kill(self):
        if self._monitor:
            self._monitor.close()
            self._monitor = None
        self.process.kill()


def received(text):
    """From ping's summary."""
    for line in text.splitlines():
        if ' received' in line:
            return int(line.split(', ')[1].split()[0])
    raise ProcessError(f'no summary of ping: {text}')
