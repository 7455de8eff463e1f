# SPDX-License-Identifier: BSD-3-Clause
"""What the tests of routed networks share: pods and uplinks whose frames are the test's own."""

import os
import re

from scapy.config import conf
from scapy.layers.inet import ICMP, IP, UDP
from scapy.layers.l2 import ARP, Ether
from scapy.packet import Raw

from lib import RawPort, assert_conserved
from lib.testpmd import virtio_user

conf.verb = 0
GATEWAY_MAC = '02:70:72:00:00:01'
GROUP_MAC = 'ff:ff:ff:ff:ff:ff'


def mac_text(mac):
    return ':'.join(f'{byte:02x}' for byte in mac)


class RawPods:
    """
    Vhost-user pods played by raw frames: one testpmd joins the virtio-user port of each to a tap
    that a RawPort sits on (net_af_packet would put fragments together). pods: {name: members of
    port.add}.
    """

    def __init__(self, lab, daemon, pods, label='raw', memory=64):
        self.ns = lab.netns(label)
        self.daemon = daemon
        self.ports = {}
        self.macs = {}
        vdevs = []
        for index, (name, members) in enumerate(pods.items()):
            port = daemon.call('port.add', **{
                'name': name, 'kind': 'vhost-user', 'socket': lab.socket_path(name),
                'floodRate': 0, **members})['port']
            self.macs[name] = port['mac']
            vdevs += [virtio_user(lab.socket_path(name), index, mac=port['mac']),
                      f'net_tap{index},iface=tap-{name}']
        self.testpmd = lab.testpmd(label, vdevs=vdevs, netns=self.ns, memory=memory,
                                   arguments=['--no-flush-rx'])
        give_way(self.testpmd.process.pid)
        for name in pods:
            self.ns.ip('link', 'set', f'tap-{name}', 'mtu', max(1500, pods[name].get('mtu', 1500)),
                       'txqueuelen', 4000, 'up')
            self.ports[name] = RawPort(self.ns, f'tap-{name}')
            daemon.wait_port(name)

    def stop(self):
        for port in self.ports.values():
            port.close()
        return self.testpmd.stop()


def give_way(pid):
    """Its polling threads share a CPU with those who answer us: let these run first."""
    for thread in os.listdir(f'/proc/{pid}/task'):
        os.setpriority(os.PRIO_PROCESS, int(thread), 5)
    try:
        with open(f'/proc/{pid}/autogroup', 'w', encoding='ascii') as f:
            f.write('5')
    except OSError:
        pass  # a kernel without such groups


class Station:
    """One end of a RawPort: its addresses, and what it looks like to send from it."""

    def __init__(self, port, mac, ip, gateway_mac=GATEWAY_MAC):
        self.port, self.mac, self.ip, self.gateway_mac = port, mac, ip, gateway_mac

    def frame(self, payload, mac=None):
        return Ether(src=self.mac, dst=mac or self.gateway_mac) / payload

    def udp(self, to, text='payload', mac=None, ttl=64, **ip):
        return self.frame(IP(src=ip.pop('src', self.ip), dst=to, ttl=ttl, **ip) /
                          UDP(sport=4000, dport=5000) / Raw(text.encode()), mac)

    def send(self, frame):
        self.port.send(bytes(frame))

    def ask(self, address, sender=None, mac=GROUP_MAC, vlan=None, timeout=1.0):
        """Sends an ARP request; returns the MAC that was answered, or None."""
        self.send(self.arp(1, address, sender, mac))
        return self.answer(address, timeout)

    def arp(self, op, address, sender=None, mac=GROUP_MAC, hwdst='00:00:00:00:00:00', hwsrc=None):
        return Ether(src=self.mac, dst=mac) / ARP(
            op=op, hwsrc=hwsrc or self.mac, psrc=self.ip if sender is None else sender,
            hwdst=hwdst, pdst=address)

    def answer(self, address, timeout=1.0):
        frame = self.port.recv(lambda f: is_arp(f, 2) and ARP(f[14:]).psrc == address, timeout)
        return ARP(frame[14:]).hwsrc if frame else None

    def reply(self, request, mac=None):
        """The answer to an ARP request frame that came in here."""
        asked = ARP(request[14:])
        self.send(Ether(src=mac or self.mac, dst=asked.hwsrc) / ARP(
            op=2, hwsrc=mac or self.mac, psrc=asked.pdst, hwdst=asked.hwsrc, pdst=asked.psrc))

    def requests(self, timeout, address=None):
        """ARP requests that come in until none came for `timeout` seconds."""
        return self.port.recv_all(timeout, lambda f: is_arp(f, 1) and (
            address is None or ARP(f[14:]).pdst == address))


def is_arp(frame, op):
    return frame[12:14] == b'\x08\x06' and frame[20:22] == bytes([0, op])


def is_ip(frame):
    return frame[12:14] == b'\x08\x00'


def is_ip6(frame):
    return frame[12:14] == b'\x86\xdd'


def forwarded6(frame, station, gateway_mac=GATEWAY_MAC):
    """The same for IPv6: nothing changes but the hop limit."""
    data = bytearray(bytes(frame))
    data[:12] = bytes.fromhex((station.mac + gateway_mac).replace(':', ''))
    data[21] -= 1
    return bytes(data)


def forwarded(frame, station, gateway_mac=GATEWAY_MAC):
    """What an IPv4 frame must look like when it reaches the station, one hop later."""
    packet = frame[IP].copy()
    packet.ttl -= 1
    del packet.chksum
    return bytes(Ether(src=gateway_mac, dst=station.mac) / packet)


class Probe:
    """
    Sends a frame and tells what came of it, without waiting for silence: behind it go two rounds
    of packets that do come through, to every station, and what comes before them is the outcome.
    A port has one queue, so one worker takes them in order; the second round is sent when the
    first is over, and with it the batch that our frame was in.
    """

    def __init__(self, daemon, stations):
        self.client = daemon.client(30)
        self.stations = stations
        self.count = 0

    def close(self):
        self.client.close()

    def _mark(self, source, station, token):
        if station is source:
            source.send(source.frame(IP(src=source.ip, dst=self.echo_of(source)) /
                                     ICMP(id=7, seq=self.count & 0xffff) / Raw(token)))
        else:
            source.send(source.udp(station.ip, token.decode()))

    def _markers(self, source, out):
        """On a busy machine a marker may meet a ring that is full of what came before it: then there is another."""
        self.count += 1
        token = f'marker {self.count}'.encode()
        for station in self.stations.values():
            self._mark(source, station, token)
        for name, station in self.stations.items():
            tries = 4
            while True:
                frame = station.port.recv(timeout=5)
                if frame is None:
                    tries -= 1
                    assert tries, f'{token} does not reach {name}'
                    self._mark(source, station, token)
                    continue
                if frame.endswith(token):
                    break
                if re.search(rb'marker \d+$', frame):
                    continue   # a second one that was not needed
                if is_ip(frame) or is_ip6(frame) or is_arp(frame, 1) or is_arp(frame, 2):
                    out.append((name, frame))

    @staticmethod
    def echo_of(station):
        return getattr(station, 'gateway', '169.254.1.1')

    def drops(self):
        return self.client.call('stats.get')['drops']

    def run(self, source, *frames):
        """Returns ([(station, frame)], {reason: how many more})."""
        out = []
        for station in self.stations.values():
            station.port.flush()
        before = self.drops()
        for frame in frames:
            source.send(frame)
        self._markers(source, out)
        self._markers(source, out)
        after = self.drops()
        return out, {k: v - before.get(k, 0) for k, v in after.items() if v != before.get(k, 0)}

    def conserved(self):
        return assert_conserved(self.client)
