# SPDX-License-Identifier: BSD-3-Clause
"""What tests with the Linux kernel at the ends of routed networks share: both families, and captures of what arrives."""

import os
import signal
import socket
import subprocess

from lib import wait_for
from routed_world import give_way


def enable6(ns, interface):
    """Namespaces of the lab begin without IPv6, so that nothing is said that no test asked for."""
    for key in ('all', 'default', interface):
        ns.sysctl(f'net.ipv6.conf.{key}.disable_ipv6', 0)
    ns.sysctl(f'net.ipv6.conf.{interface}.router_solicitations', 0)
    ns.sysctl(f'net.ipv6.conf.{interface}.accept_ra', 0)


def valid6(ns, interface):
    """Waits until duplicate address detection is over, and has found none."""
    def done():
        text = ns.ip('-6', 'addr', 'show', 'dev', interface)
        if 'dadfailed' in text:
            raise AssertionError(text)
        return 'tentative' not in text and 'inet6 2001' in text

    wait_for(f'the addresses of {ns.name} to be valid', done, 20)


def kernel_pod(lab, daemon, name, network, address, address6, gateway=None, mtu=1500, **more):
    """A pod with both families, with duplicate address detection over; default routes if gateway."""
    port = daemon.call('port.add', name=name, kind='vhost-user', network=network, mtu=mtu,
                       addresses=[address, address6], socket=lab.socket_path(name), **more)['port']
    pod = lab.kernel_pod(name, lab.socket_path(name), mac=port['mac'], address=address, gateway=gateway, mtu=mtu)
    give_way(pod.testpmd.process.pid)
    daemon.wait_port(name)
    enable6(pod.ns, 'eth0')
    pod.ns.ip('addr', 'add', address6, 'dev', 'eth0')
    if gateway:
        pod.ns.ip('route', 'add', 'default', 'via', 'fe80::1', 'dev', 'eth0')
    valid6(pod.ns, 'eth0')
    return pod


def answered(ns, target, size=None, extra=()):
    """Two answers within a time that any machine makes.
    Without -w, ping waits two round trips at most; with it, it goes on until two were answered.
    """
    got = ns.ping(target, count=2, interval=0.02, size=size, extra=('-w', '20', *extra))
    assert got >= 2, f'{ns.name} to {target}: {got} of 2 answered'


def link_local(mac):
    """What is made of a MAC (RFC 4291, appendix A)."""
    b = bytes.fromhex(mac.replace(':', ''))
    b = bytes([b[0] ^ 2, b[1], b[2], 0xff, 0xfe, b[3], b[4], b[5]])
    return socket.inet_ntop(socket.AF_INET6, b'\xfe\x80' + bytes(6) + b)


class Capture:
    """Everything that comes in by an interface, whole, in a file that tshark reads."""

    def __init__(self, lab, name, ns, interface):
        self.path = f'{lab.dir}/{name}.pcap'
        self.process = lab.spawn(f'tcpdump-{name}', ['tcpdump', '-i', interface, '-Q', 'in', '-s', '0', '-U', '-n',
                                                     '-B', '16384', '-Z', 'root', '-w', self.path], netns=ns)
        self.process.expect('listening on', 20)

    def stop(self):
        self.process.send_signal(signal.SIGINT)
        self.process.expected_end = True
        self.process.wait(20)
        return self.path


# Wireshark's "checksum.status": 0 is bad, 1 good; what it could not verify is neither.
CHECKSUMS = ('ip', 'tcp', 'udp', 'icmp', 'icmpv6')


def checksums(path):
    """What tshark thinks of a capture: {protocol: (how many are good, [lines of the bad])}."""
    argv = ['tshark', '-r', path, '-n', '-T', 'fields']
    for protocol in ('ip', 'tcp', 'udp'):
        argv += ['-o', f'{protocol}.check_checksum:TRUE']
    for field in ('frame.number', *(f'{p}.checksum.status' for p in CHECKSUMS), '_ws.col.Info'):
        argv += ['-e', field]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=120, env={**os.environ, 'HOME': '/nonexistent'})
    assert not done.returncode, done.stderr
    result = {p: (0, []) for p in CHECKSUMS}
    for line in done.stdout.splitlines():
        columns = line.split('\t')
        states_of = dict(zip(CHECKSUMS, columns[1:]))
        # What an error quotes is cut off: its own checksums can not be right.
        if states_of['icmp'] or states_of['icmpv6']:
            states_of['tcp'] = states_of['udp'] = ''
        for protocol, states in states_of.items():
            good, bad = result[protocol]
            states = states.split(',')
            if '0' in states:
                bad.append(line)
            result[protocol] = (good + states.count('1'), bad)
    return result
