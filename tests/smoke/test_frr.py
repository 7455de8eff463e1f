#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
# podrail-test: limit=180 flavours=release
"""FRR: BGP between pods that are routers, and the kernel's routes that come of it, given to podrail by
docs/examples/podrail-kernel-routes; a withdrawn route, a router that falls silent, a daemon that is restarted."""

import os
import re

from kernel_world import answered, enable6, kernel_pod
from lib import Lab, ProcessError, Tap, assert_conserved, settings, wait_for
from lib.frr import Frr, missing

TREE = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
NETWORK = {'name': 'n', 'mode': 'routed', 'subnets': ['198.18.1.0/24', '2001:db8:1::/64']}
BEHIND = {'r1': ('198.19.7.', '2001:db8:7::'), 'r2': ('198.19.8.', '2001:db8:8::')}
ADDRESS = {'r1': ('198.18.1.7', '2001:db8:1::7'), 'r2': ('198.18.1.8', '2001:db8:1::8'), 'rs': ('198.18.1.9', '2001:db8:1::9')}
ASN = {'r1': 65001, 'r2': 65002, 'rs': 65000}


def bgp_config(name):
    """Routers speak with the route server only: by IPv4 for IPv4, by IPv6 for IPv6. A session's packets pass through a
    router (podrail), so that their time to live must be more than one."""
    peers = [n for n in ASN if (n == 'rs') != (name == 'rs')]
    lines = ['log stdout', f'router bgp {ASN[name]}', f'bgp router-id {ADDRESS[name][0]}', 'no bgp ebgp-requires-policy',
             'no bgp default ipv4-unicast', 'no bgp network import-check', 'timers bgp 1 5']
    for peer in peers:
        for address in ADDRESS[peer]:
            lines += [f'neighbor {address} remote-as {ASN[peer]}', f'neighbor {address} ebgp-multihop 2',
                      f'neighbor {address} timers connect 1', f'neighbor {address} advertisement-interval 0']
    for n, family in enumerate(('ipv4', 'ipv6')):
        lines.append(f'address-family {family} unicast')
        for peer in peers:
            lines.append(f'neighbor {ADDRESS[peer][n]} activate')
            if name == 'rs':
                lines.append(f'neighbor {ADDRESS[peer][n]} route-server-client')
            if n:
                # No link reaches from pod to pod: link-local next hops lead nowhere.
                lines.append(f'neighbor {ADDRESS[peer][n]} route-map GLOBAL in')
        if name != 'rs':
            lines.append('network ' + BEHIND[name][n] + ('0/24' if not n else '/64'))
        lines.append('exit-address-family')
    return '\n'.join([*lines, 'exit', 'route-map GLOBAL permit 10', 'set ipv6 next-hop prefer-global', 'exit', ''])


class World:
    """Pods r1 and r2 are routers with a namespace behind each; rs, a pod too, is the route server whose kernel's routes
    podrail is given; p is a pod like any other."""

    def __init__(self, lab, workers):
        self.lab = lab
        d = self.daemon = lab.daemon(workers=workers, networks=[NETWORK])
        self.pod, self.behind, self.frr = {}, {}, {}
        for name in ('p', *ASN):
            ip4, ip6 = ADDRESS.get(name, ('198.18.1.2', '2001:db8:1::2'))
            allowed = {'allowedPrefixes': [BEHIND[name][0] + '0/24', BEHIND[name][1] + '/64']} if name in BEHIND else {}
            pod = kernel_pod(lab, d, name, 'n', f'{ip4}/24', f'{ip6}/64', '198.18.1.1', **allowed)
            self.pod[name] = pod.ns
        for name, (prefix4, prefix6) in BEHIND.items():
            router, ns = self.pod[name], lab.netns(f'behind-{name}')
            router.veth('in0', ns, 'eth0')
            for at, here in ((router, 'in0'), (ns, 'eth0')):
                enable6(at, here)
            for end, at, here in ((1, router, 'in0'), (9, ns, 'eth0')):
                at.ip('addr', 'add', f'{prefix4}{end}/24', 'dev', here)
                at.ip('addr', 'add', f'{prefix6}{end}/64', 'dev', here, 'nodad')
            router.sysctl('net.ipv4.ip_forward', 1)
            router.sysctl('net.ipv6.conf.all.forwarding', 1)
            ns.ip('route', 'add', 'default', 'via', f'{prefix4}1')
            ns.ip('route', 'add', 'default', 'via', f'{prefix6}1')
            self.behind[name] = ns
        for name in ASN:
            self.frr[name] = Frr(lab, name, self.pod[name], bgp_config(name))
        self.watcher = lab.spawn('kernel-routes', [
            f'{TREE}/docs/examples/podrail-kernel-routes', '--network', 'n', '--owner', 'bgp', '--every', '2',
            '--ctl', lab.program('podrailctl'), '--socket', d.socket], netns=self.pod['rs'])

    def routes(self):
        """What podrail was given: {prefix: gateway}."""
        listed = self.daemon.call('route.list', network='n', owner='bgp')['routes']
        return {r['prefix']: r['gateway'] for r in listed}

    def expect(self, *routers):
        """Waits until podrail has exactly the routes to what is behind these."""
        wanted = {prefix: ADDRESS[r][n] for r in routers
                  for n, prefix in enumerate((BEHIND[r][0] + '0/24', BEHIND[r][1] + '/64'))}
        wait_for(f'the routes to what is behind {routers}', lambda: self.routes() == wanted, 60)

    def far(self, router):
        return BEHIND[router][0] + '9', BEHIND[router][1] + '9'


def learned(w):
    """Sessions through podrail, routes in all three kernels and in podrail; then traffic between what is behind."""
    both = {a for r in BEHIND for a in ADDRESS[r]}
    wait_for('the sessions', lambda: w.frr['rs'].established() == both, 60)
    w.expect('r1', 'r2')
    for here, there in (('r1', 'r2'), ('r2', 'r1')):
        prefix, prefix6 = BEHIND[there][0] + '0/24', BEHIND[there][1] + '/64'
        wait_for(f'the kernel of {here}', lambda: 'via ' + ADDRESS[there][0] in w.pod[here].ip('route', 'show', prefix), 20)
        assert 'proto bgp' in w.pod[here].ip('route', 'show', prefix)
        wait_for(f'the kernel of {here}', lambda: 'via ' + ADDRESS[there][1] in w.pod[here].ip('-6', 'route', 'show', prefix6), 20)
    for target in (*w.far('r1'), *w.far('r2')):
        answered(w.pod['p'], target)
    for target in w.far('r2'):
        answered(w.behind['r1'], target)
        text = w.behind['r1'].run('traceroute', '-n', '-q', '1', '-N', '1', '-w', '10', '-m', '6', target).stdout
        hops = re.findall(r'^ *\d+ +(\S+)', text, re.M)
        n = ':' in target
        assert hops == [BEHIND['r1'][n] + '1', ('198.18.1.1', '2001:db8:1::1')[n], ADDRESS['r2'][n], target], text


def withdrawn(w):
    """A route that is taken back leaves podrail; the other stays, and the pod is told that there is no way."""
    w.frr['r1'].configure(f'router bgp {ASN["r1"]}', 'address-family ipv4 unicast', f'no network {BEHIND["r1"][0]}0/24')
    gone = BEHIND['r1'][0] + '0/24'
    wait_for('the route to leave', lambda: gone not in w.routes(), 30)
    assert len(w.routes()) == 3, w.routes()
    done = w.pod['p'].run('ping', '-n', '-c', '1', '-W', '12', w.far('r1')[0], check=False)
    assert 'Destination Net Unreachable' in done.stdout, done.stdout
    answered(w.pod['p'], w.far('r1')[1])
    w.frr['r1'].configure(f'router bgp {ASN["r1"]}', 'address-family ipv4 unicast', f'network {BEHIND["r1"][0]}0/24')
    w.expect('r1', 'r2')
    answered(w.pod['p'], w.far('r1')[0])


def restarted(w):
    """podrail stores no route of another owner: the watcher brings them again."""
    w.daemon.restart(kill=True)
    w.expect('r1', 'r2')
    for name in w.pod:
        w.daemon.wait_port(name)
    answered(w.pod['p'], w.far('r2')[0])


def silent(w):
    """A router that falls silent is given up after the hold time of its sessions, and its routes with it."""
    w.frr['r2'].freeze()
    w.expect('r1')
    done = w.pod['p'].run('ping', '-n', '-c', '1', '-W', '12', w.far('r2')[0], check=False)
    assert 'Destination Net Unreachable' in done.stdout, done.stdout
    answered(w.pod['p'], w.far('r1')[0])


def main():
    reason = missing()
    if reason:
        Tap.skip_all(reason)
    t = Tap()
    workers = settings.workers[:2][-1]
    with Lab('frr') as lab:
        try:
            w = World(lab, workers)
        except ProcessError as e:
            t.bail(e)
        for part in (learned, withdrawn, restarted, silent):
            with t.case(f'{part.__name__}, {workers} workers'):
                part(w)
        with t.case(f'packets are conserved, {workers} workers'), w.daemon.client() as c:
            stats = assert_conserved(c)
            t.note(f'drops: {stats["drops"]}')
        with t.case(f'clean end, {workers} workers'):
            w.daemon.stop()
    t.done()


if __name__ == '__main__':
    main()
