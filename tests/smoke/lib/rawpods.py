# SPDX-License-Identifier: BSD-3-Clause
"""
Pods and uplinks whose frames the test itself sends and receives, one by one.

A pod is a virtio-user port of testpmd, joined to a tap on which a RawPort listens. exchange() waits
for counters, not for time: when it returns, every frame sent has been through the daemon and every
frame that the daemon sent has been received, so that "nothing arrived" is a fact.
"""

import os
import struct

from .conservation import assert_conserved, conservation_error
from .pktio import RawPort
from .testpmd import Testpmd, virtio_user
from .wait import WaitError, wait_for

_MARK = b'prmk'
BROADCAST = 'ff:ff:ff:ff:ff:ff'


def marked(frame, serial, size=None):
    """The frame, padded to size (60 with the mark at least), its last 8 bytes say which it is."""
    frame = bytes(frame)
    return frame.ljust((size or max(len(frame) + 8, 60)) - 8, b'\0') + _MARK + struct.pack('!I', serial)


def serial_of(frame):
    return struct.unpack('!I', frame[-4:])[0] if frame[-8:-4] == _MARK else None


class Sent:
    """What became of one frame: .frame as sent, .at = {port name: [frames received there]}."""

    def __init__(self, source, frame):
        self.source = source
        self.frame = frame
        self.at = {}

    @property
    def ports(self):
        """Names of the ports it came out of, one for each copy, in order."""
        return sorted(name for name, frames in self.at.items() for _ in frames)


class World:
    """
    w = World(lab, workers=2, networks=[…])
    w.pods({'name': 'a', 'network': 'n', 'mac': …}, …)      all members of port.add
    w.wire('w0', [{'name': 'u', 'network': 'n', 'vlan': 5}, …])  eth ports on one AF_PACKET device
    sent = w.exchange(('a', frame), ('w0', frame))          in order; sent[0].ports == ['b', 'c']
    w.end()                                                 conservation, then a clean stop
    """

    def __init__(self, lab, workers=1, networks=(), **config):
        self.lab = lab
        self.daemon = lab.daemon(workers=workers, networks=networks, **config)
        self.client = self.daemon.client(30)
        self.raw = {}      # name of a pod or wire -> RawPort
        self.ports = {}    # name of a pod or wire -> names of its ports
        self.switches = []
        self.serial = 0

    def pods(self, *specs, queues=1, mtu=1500, memory=96):
        number = len(self.switches)
        ns = self.lab.netns(f'pods{number}')
        vdevs, jumbo = [], mtu > 1500
        specs = [{'kind': 'vhost-user', 'socket': self.lab.socket_path(s['name']), **s} for s in specs]
        for index, spec in enumerate(specs):
            server = spec.get('mode', 'client') == 'client'
            if not server:
                self.client.call('port.add', **spec)
            vdevs.append(virtio_user(spec['socket'], index, queues=queues, server=server, mac=spec['mac']))
            if jumbo:
                # net_tap carries 1500 bytes at most.
                ns.veth(f't{index}', ns, f'e{index}', mtu=mtu + 8)
                vdevs.append(f'net_af_packet{index},iface=e{index},framesz=16384,blocksz=65536,framecnt=256')
            else:
                vdevs.append(f'net_tap{index},iface=t{index}')
        testpmd = Testpmd(self.lab, f'pods{number}', vdevs, memory=2 * memory if jumbo else memory,
                          mbufs=6144 if jumbo else 16384, queues=queues, netns=ns, wait=False,
                          arguments=['--mbuf-size=16640'] if jumbo else [])
        for spec in specs:
            # testpmd makes one socket after the other, each when the one before is connected.
            if spec.get('mode', 'client') == 'client':
                wait_for(f'socket of {spec["name"]}', lambda s=spec: os.path.exists(s['socket']), 30)
                self.client.call('port.add', **spec)
        testpmd.process.expect('Press enter to exit', 30)
        for index, spec in enumerate(specs):
            # Frames that are too large must reach the daemon.
            ns.ip('link', 'set', f't{index}', 'mtu', mtu + 8, 'up')
            self.raw[spec['name']] = RawPort(ns, f't{index}')
            self.ports[spec['name']] = [spec['name']]
            self.daemon.wait_port(spec['name'])
        self.switches.append(testpmd)
        return testpmd

    def wire(self, name, ports):
        """A veth: one end is the device of all these ports, the other is the test's."""
        ns = self.lab.netns(f'wire-{name}')
        self.lab.ns.veth(f'{name}d', ns, name, mtu=1504)
        device = f'net_af_packet_{name}'
        for number, spec in enumerate(ports):
            self.client.call('port.add', **{
                'kind': 'eth', 'device': device if number else f'{device},iface={name}d', **spec})
            self.daemon.wait_port(spec['name'])
        self.raw[name] = RawPort(ns, name)
        self.ports[name] = [spec['name'] for spec in ports]
        return ns

    def stats(self):
        return self.client.call('stats.get')

    def exchange(self, *frames, size=None):
        """Sends (source, frame) in order; returns a list of Sent."""
        before = self.stats()
        sent = {}
        for source, frame in frames:
            self.serial += 1
            sent[self.serial] = Sent(source, marked(frame, self.serial, size))
        owed = self._owed(before)
        for one in sent.values():
            self.raw[one.source].send(one.frame)
        came = before['conservation']['in'] + len(sent)
        self._collect(owed, self._settled(came), sent)
        return list(sent.values())

    def _settled(self, came):
        """Waits until that many packets came and all of them are accounted for; the stats."""
        def settled():
            nonlocal last
            before, last = last, self.stats()
            return last['conservation'] == before['conservation'] \
                and last['conservation']['in'] >= came and not conservation_error(last)

        last = self.stats()
        try:
            wait_for('frames to be accounted for', settled, 15, 0.002)
        except WaitError as e:
            raise AssertionError(f'{came - last["conservation"]["in"]} frames never came to the daemon; '
                                 f'{conservation_error(last)}') from e
        assert last['conservation']['in'] == came, 'more frames came in than were sent'
        return last

    def _owed(self, stats):
        tx = {p['name']: p['txPackets'] for p in stats['ports']}
        return {name: sum(tx[p] for p in ports) for name, ports in self.ports.items()}

    def _collect(self, owed, after, sent):
        for name, total in self._owed(after).items():
            for number in range(total - owed[name]):
                frame = self.raw[name].recv(timeout=10)
                assert frame is not None, f'{name}: frame {number + 1} of {total - owed[name]} is lost'
                serial = serial_of(frame)
                assert serial in sent, f'{name}: unexpected frame {frame.hex()}'
                sent[serial].at.setdefault(name, []).append(frame)
            stray = self.raw[name].recv(timeout=0.001)
            assert stray is None, f'{name}: a frame that nobody counted: {stray.hex()}'

    def drops(self, port=None):
        """Drop reasons of a port or of all, without zeros."""
        stats = self.stats()
        if port is None:
            return stats['drops']
        return next(p for p in stats['ports'] if p['name'] == port)['drops']

    def refused(self, source, frame, reason, port=None, count=1):
        """The frame goes nowhere, and is counted under reason at the port (that of the source)."""
        port = port or source
        before = self.drops(port).get(reason, 0)
        for sent in self.exchange(*[(source, frame)] * count):
            assert not sent.ports, f'it should die of {reason} and came out at {sent.ports}'
        now = self.drops(port)
        assert now.get(reason, 0) == before + count, f'{reason} at {port}: {before} before, now {now}'

    def passes(self, source, frame, *to):
        """The frame comes out at exactly these, each once; returns {name: frame received}."""
        (sent,) = self.exchange((source, frame))
        assert sent.ports == sorted(to), f'from {source} to {sent.ports}, wanted {sorted(to)}; {self.drops()}'
        return {name: frames[0] for name, frames in sent.at.items()}

    def fdb(self, learned=True, **where):
        """{(mac, vlan): port} of the learned entries (all with learned=False)."""
        entries = self.client.call('fdb.list', **where)['entries']
        return {(e['mac'], e['vlan']): e['port'] for e in entries if not (learned and e['static'])}

    def learns(self, source, frame, *to, port=None, vlan=0):
        """passes(), and its source MAC is learned at the port. News of a MAC go once a second."""
        mac, port = bytes(frame)[6:12].hex(':'), port or source

        def look():
            wait_for(f'{mac} to be learned', lambda: (mac, vlan) in self.fdb(port=port), 1)
            return True

        for _ in range(5):
            self.passes(source, frame, *to)
            try:
                return look()
            except WaitError:
                continue
        raise AssertionError(f'{mac} is not learned at {port}: {self.fdb(learned=False)}')

    def end(self):
        stats = assert_conserved(self.client)
        self.client.close()
        for testpmd in self.switches:
            if testpmd.alive:
                testpmd.kill()
        self.daemon.stop()
        return stats
