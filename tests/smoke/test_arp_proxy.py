#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
# podrail-test: limit=120
"""Who gets an answer to which ARP request in a routed network (docs: gateway and proxy ARP)."""

from scapy.layers.l2 import ARP, Ether

from lib import Lab, RawPort, Tap, assert_conserved, settings
from routed_world import GATEWAY_MAC, Probe, RawPods, Station, is_arp

PODS = {
    'a': {'network': 'n', 'addresses': ['198.18.1.2/24', '198.18.1.22/32'], 'mac': '02:00:00:00:01:02',
          'allowedPrefixes': ['198.18.9.128/28']},
    'b': {'network': 'n', 'addresses': ['198.18.1.3/32'], 'mac': '02:00:00:00:01:03'},
    'c': {'network': 'n', 'addresses': ['198.18.1.4/32'], 'mac': '02:00:00:00:01:04',
          'gatewayMac': '02:00:00:00:ff:04'},
    'm': {'network': 'm', 'addresses': ['198.18.1.3/24'], 'mac': '02:00:00:00:02:03'},
    'q': {'network': 'q', 'addresses': ['198.18.3.2/24'], 'mac': '02:00:00:00:03:02'},
    'r': {'network': 'q', 'addresses': ['198.18.3.3/24'], 'mac': '02:00:00:00:03:03'},
}
NETWORKS = [
    {'name': 'n', 'mode': 'routed', 'subnets': ['198.18.1.0/24']},
    {'name': 'm', 'mode': 'routed', 'subnets': ['198.18.1.0/24'], 'gatewayMac': '02:00:00:00:ff:0a',
     'gateways': ['198.18.1.254']},
    {'name': 'q', 'mode': 'routed', 'subnets': ['198.18.3.0/24'], 'proxyArp': False},
]


class World:
    def __init__(self, lab, workers):
        d = self.daemon = lab.daemon(workers=workers, networks=NETWORKS)
        self.pods = RawPods(lab, d, PODS)
        lab.ns.veth('up0', self.pods.ns, 'peer0')
        up = d.call('port.add', name='u', kind='eth', network='n', device='net_af_packet0,iface=up0',
                    addresses=['198.18.9.1/24'], floodRate=0)['port']
        for prefix, more in {
                '192.0.2.0/24': {'gateway': '198.18.9.2'}, '198.51.100.0/24': {'gateway': '198.18.1.3'},
                '203.0.113.0/25': {'type': 'unreachable'}, '203.0.113.128/25': {'type': 'blackhole'},
                }.items():
            d.call('route.add', network='n', prefix=prefix, **more)
        d.wait_port('u')
        gateways = {'a': GATEWAY_MAC, 'b': GATEWAY_MAC, 'c': '02:00:00:00:ff:04', 'm': '02:00:00:00:ff:0a',
                    'q': GATEWAY_MAC, 'r': GATEWAY_MAC}
        self.s = {n: Station(self.pods.ports[n], PODS[n]['mac'], PODS[n]['addresses'][0].split('/')[0],
                             gateways[n]) for n in PODS}
        port = RawPort(self.pods.ns, 'peer0')
        self.s['u'] = Station(port, '02:00:00:00:09:02', '198.18.9.2', up['mac'])
        # Stations that reach one another, for each network.
        self.probes = {name: Probe(d, {name: self.s[name]}) for name in self.s}
        for name, gateway in {'u': '198.18.9.1', 'm': '198.18.1.254', 'q': '198.18.3.1', 'r': '198.18.3.1'}.items():
            self.s[name].gateway = gateway


def answers(t, w, label):
    def row(text, who, target, wanted, sender=None, mac='ff:ff:ff:ff:ff:ff'):
        station = w.s[who]
        out, drops = w.probes[who].run(station, station.arp(1, target, sender, mac))
        got = [f for n, f in out if is_arp(f, 2)]
        others = [f.hex() for n, f in out if not is_arp(f, 2)]
        good = not others
        if wanted is None:
            good = good and not got and drops == ({} if sender == target else {'arp_not_for_us': 1})
        else:
            arp = ARP(got[0][14:]) if len(got) == 1 else None
            good = good and arp and not drops and (
                arp.hwsrc, arp.psrc, arp.hwdst, arp.pdst) == (
                wanted, target, station.mac, station.ip if sender is None else sender) and (
                Ether(got[0]).src, Ether(got[0]).dst) == (wanted, station.mac)
        t.ok(good, f'{text}: {who} asks for {target}: {wanted or "no answer"} ({label})',
             f'{[f.hex() for f in got]} {others} {drops}')

    gw, own, up = GATEWAY_MAC, '02:00:00:00:ff:04', w.s['u'].gateway_mac
    row('the gateway', 'a', '198.18.1.1', gw)
    row('the link-local gateway', 'a', '169.254.1.1', gw)
    row('by unicast', 'a', '198.18.1.1', gw, mac=gw)
    row('probed by address 0', 'a', '198.18.1.1', gw, sender='0.0.0.0')
    row('gateway MAC of a port', 'c', '198.18.1.1', own)
    row('and by proxy', 'c', '198.18.1.2', own)
    row('gateway MAC of a network, address of its own', 'm', '198.18.1.254', '02:00:00:00:ff:0a')
    row('and link-local', 'm', '169.254.1.1', '02:00:00:00:ff:0a')
    row("what is the other network's gateway", 'm', '198.18.1.1', None)
    row("another pod's address", 'a', '198.18.1.3', gw)
    row('one that a pod of /32 asks for', 'b', '198.18.1.2', gw)
    row("a pod's second address", 'b', '198.18.1.22', gw)
    row('behind an uplink', 'a', '192.0.2.99', gw)
    row('behind another pod', 'a', '198.51.100.7', gw)
    row('behind the pod itself', 'b', '198.51.100.7', None)
    row("on the uplink's subnet", 'a', '198.18.9.77', gw)
    row('our address on the uplink', 'a', '198.18.9.1', gw)
    row('its own, from its second', 'a', '198.18.1.2', None, sender='198.18.1.22')
    row('its own, announced', 'a', '198.18.1.2', None, sender='198.18.1.2')
    row('its own, duplicate address detection', 'a', '198.18.1.2', None, sender='0.0.0.0')
    row('its second own, duplicate address detection', 'a', '198.18.1.22', None, sender='0.0.0.0')
    row('one it may use besides, duplicate address detection', 'a', '198.18.9.129', None, sender='0.0.0.0')
    row('one it may use besides, announced', 'a', '198.18.9.129', None, sender='198.18.9.129')
    row('an address in use, duplicate address detection', 'a', '198.18.1.3', gw, sender='0.0.0.0')
    row('no route', 'a', '100.64.0.1', None)
    row('nobody has it', 'a', '198.18.1.99', None)
    row('a route of type unreachable', 'a', '203.0.113.5', None)
    row('a blackhole', 'a', '203.0.113.200', None)
    row("only in the other network", 'm', '198.18.1.2', None)
    row('without proxy ARP the gateway still', 'q', '198.18.3.1', gw)
    row('but no pod', 'q', '198.18.3.3', None)
    row('on an uplink our address', 'u', '198.18.9.1', up)
    for target, what in (('198.18.1.2', "no pod's"), ('198.18.1.1', 'no gateway'), ('169.254.1.1', 'no link-local one'),
                         ('192.0.2.1', 'nothing behind it'), ('198.18.9.55', 'nothing on it')):
        row(f'on an uplink {what}', 'u', target, None)
    w.daemon.call('route.add', network='n', prefix='0.0.0.0/0', gateway='198.18.9.2')
    row('with a default route, anything', 'a', '100.64.0.1', gw)
    for target in ('0.0.0.0', '127.0.0.1', '224.0.0.1', '255.255.255.255'):
        row('no host has it, default route or not', 'a', target, None)
    w.daemon.call('route.del', network='n', prefix='0.0.0.0/0')
    row('no longer', 'a', '100.64.0.1', None)


def malformed(t, w, label):
    a = w.s['a']
    good = bytes(a.arp(1, '198.18.1.1'))

    def row(text, frame, reason, station=a, name='a'):
        out, drops = w.probes[name].run(station, frame)
        t.ok(not out and drops == {reason: 1}, f'{text}: {reason} ({label})', f'{out} {drops}')

    for text, at, value in (('hardware type 6', 15, 6), ('protocol type not IP', 16, 9), ('hardware length 7', 18, 7),
                            ('protocol length 16', 19, 16), ('operation 3', 21, 3), ('operation 0', 21, 0)):
        row(text, good[:at] + bytes([value]) + good[at + 1:], 'arp_invalid')
    row('cut short', good[:41], 'arp_invalid')
    row('sender MAC is not its own', a.arp(1, '198.18.1.1', hwsrc='02:00:00:00:01:03'), 'spoofed_mac')
    row('sender address is not its own', a.arp(1, '198.18.1.1', '198.18.1.3'), 'spoofed_ip')
    row("claims the gateway's address", a.arp(2, '198.18.1.2', '198.18.1.1'), 'spoofed_ip')
    row("claims another pod's address", a.arp(1, '198.18.1.3', '198.18.1.3'), 'spoofed_ip')
    padded = good + bytes(18)
    out, drops = w.probes['a'].run(a, padded)
    t.ok(len(out) == 1 and is_arp(out[0][1], 2) and not drops, f'padding does no harm ({label})', f'{out} {drops}')
    # An answer that nobody asked for is taken note of and gone: consumed, not dropped.
    before = w.daemon.call('stats.get')['conservation']['consumed']
    out, drops = w.probes['a'].run(a, a.arp(2, '198.18.1.1', mac=GATEWAY_MAC))
    now = w.daemon.call('stats.get')['conservation']['consumed']
    t.ok(not out and not drops and now == before + 1, f'an unasked answer is consumed ({label})', f'{out} {drops}')
    # Nobody else's packets go astray by it: the pods' neighbours are what the control side said.
    got = {n['address']: n['mac'] for n in w.daemon.call('neighbour.list', network='n')['neighbours']
           if n['port'] == 'b'}
    t.equal(got, {'198.18.1.3': w.s['b'].mac}, f"b's neighbours are as configured ({label})")


def quiet(t, w, label):
    """Requests stay where they were sent: nothing of them reaches other ports."""
    for station in w.s.values():
        station.port.flush()
    w.probes['a'].run(w.s['a'], *[w.s['a'].arp(1, f'198.18.1.{n}') for n in range(2, 30)])
    w.probes['b'].run(w.s['b'], w.s['b'].arp(1, '198.18.1.2'))
    for name in ('m', 'c', 'u', 'q'):
        t.equal([f.hex() for f in w.s[name].port.recv_all(0.05)], [], f'{name} hears nothing of it ({label})')


def limited(t, lab, workers):
    """A pod may ask only so often: floodRate."""
    d = lab.daemon(workers=workers, networks=[NETWORKS[0]])
    pods = RawPods(lab, d, {'a': {**PODS['a'], 'floodRate': 10}}, label='limited')
    a = Station(pods.ports['a'], PODS['a']['mac'], '198.18.1.2')
    frame = bytes(a.arp(1, '198.18.1.1'))
    with d.client() as c:
        for _ in range(300):
            a.send(frame)
        stats = assert_conserved(c, 20)
    dropped = stats['drops'].get('flood_limit', 0)
    got = len(a.port.recv_all(0.2, lambda f: is_arp(f, 2)))
    t.ok(0 < dropped < 300, f'requests are limited: {300 - dropped} of 300 answered ({workers} workers)', str(stats))
    t.equal(got, 300 - dropped, 'as many answers come back')
    pods.stop()
    d.stop()


def main():
    t = Tap()
    for workers in settings.workers:
        label = f'{workers} workers'
        with Lab('arp') as lab:
            w = World(lab, workers)
            for part in (answers, malformed, quiet):
                with t.case(f'{part.__name__} ({label})'):
                    part(t, w, label)
            with t.case(f'packets are conserved ({label})'):
                w.probes['a'].conserved()
            with t.case(f'clean end ({label})'):
                w.daemon.stop()
    with t.case('limit'), Lab('arp') as lab:
        limited(t, lab, settings.workers[0])
    t.done()


if __name__ == '__main__':
    main()
