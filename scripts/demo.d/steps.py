# SPDX-License-Identifier: BSD-3-Clause
"""The forwarding modes, one function each: first the kernel's ping and TCP, then the generator."""

import frames
import screen
import traffic
import world as names
from account import reasons
from lib import RawPort, wait_conserved
from world import remove


def settle(demo, meant=None):
    """
    After each step: every packet is accounted for, and nothing was dropped but what the step meant
    to have refused: {reason: packets}.
    """
    with demo.world.daemon.client() as client:
        stats, error = wait_conserved(client, 10)
    drops = demo.drops.since()
    for reason, n in (meant or {}).items():
        drops[reason] = drops.get(reason, 0) - n
    drops = {r: n for r, n in drops.items() if n}
    demo.account.dropped += sum(drops.values())
    if drops:
        for port in stats['ports']:
            if port['drops']:
                screen.show(f'  {port["name"]}', reasons(port['drops']))
    told = ', '.join(f'{n} {r} that was asked for' for r, n in (meant or {}).items())
    demo.account.check("podraild's own count", error or f'drops: {reasons(drops)}' + (f' beyond the {told}' if told else ''),
                       not error and not drops)


def bridged(demo):
    account, world = demo.account, demo.world
    screen.heading('Bridged', 'Two pods and a third party behind the uplink, in one Ethernet segment.')
    a, b = (world.kernel_pod(n, 'lan') for n in ('a', 'b'))
    traffic.ping(account, a, b.address(), 'ping, pod to pod', ttl=64)
    traffic.ping(account, a, names.LAN_THIRD, 'ping, pod to uplink', ttl=64)
    traffic.tcp(account, a, b.start_exec, b.address(), 'TCP, pod to pod')
    traffic.tcp(account, a, demo.in_third, names.LAN_THIRD, 'TCP, pod to uplink')
    remove(a, b)
    gen = world.idle_pod('gen', 'lan', 'lan-2')
    screen.say('The generator, a pod with two ports that sends from each to the other:')
    traffic.measured(account, gen, 'bridged')
    remove(gen)
    settle(demo)


def vlan(demo):
    account, world = demo.account, demo.world
    screen.heading('VLAN', 'Two pods in VLAN 10 and one in VLAN 20 of that network; the uplink is a trunk of both.')
    a, b, c = world.kernel_pod('a', 'vlan10'), world.kernel_pod('b', 'vlan10'), world.kernel_pod('c', 'vlan20')
    traffic.ping(account, a, b.address(), 'ping, VLAN 10 to VLAN 10', ttl=64)
    done = c.exec('ping', '-n', '-c', '2', '-i', '0.2', '-W', '1', a.address(), check=False)
    account.check('ping, VLAN 20 to VLAN 10', 'no answer, as it must be' if ' 0 received' in done.stdout
                  else 'answered!', ' 0 received' in done.stdout)
    tagged_ping(demo, a)
    traffic.tcp(account, a, b.start_exec, b.address(), 'TCP, VLAN 10 to VLAN 10')
    remove(a, b, c)
    gen = world.idle_pod('gen', 'vlan10', 'vlan10-2')
    screen.say('The generator, two ports in VLAN 10:')
    traffic.measured(account, gen, 'VLAN')
    remove(gen)
    settle(demo)


def tagged_ping(demo, pod):
    """The pod, asked by the third party with the tag of its VLAN and with that of the other."""
    port = RawPort(demo.world.third, 'lan0')
    mac = bytes.fromhex(port.mac.replace(':', '')) if isinstance(port.mac, str) else port.mac
    try:
        port.send(frames.arp_request(mac, names.VLAN_THIRD, pod.address(), 10))
        answer = port.recv(lambda f: frames.is_arp_reply(f, 10), 10)
        port.send(frames.echo_request(mac, names.VLAN_THIRD, pod.mac(), pod.address(), 10))
        answer = answer and port.recv(lambda f: frames.is_echo_reply(f, 10), 10)
        demo.account.check('ping from the uplink with tag 10',
                           'answered with that tag' if answer else 'no answer', answer)
        port.flush()
        port.send(frames.arp_request(mac, names.VLAN_THIRD, pod.address(), 20))
        answer = port.recv(lambda f: frames.is_arp_reply(f, 20) or frames.is_arp_reply(f, 10), 1)
        demo.account.check('the same with tag 20', 'answered!' if answer else 'no answer, as it must be',
                           not answer)
    finally:
        port.close()


def routed(demo):
    account, world = demo.account, demo.world
    screen.heading('Routed', 'Two pods with podraild as their gateway, a third party behind a routed uplink.')
    a, b = world.kernel_pod('a', 'blue'), world.kernel_pod('b', 'blue-2')
    traffic.ping(account, a, a.gateway(), 'ping, pod to its gateway')
    first_hop(account, a, b)
    traffic.ping(account, a, b.address(), 'ping, pod to pod, one hop', ttl=63)
    traffic.ping(account, a, names.BLUE_THIRD, 'ping, pod to uplink, one hop', ttl=63)
    traffic.tcp(account, a, b.start_exec, b.address(), 'TCP, pod to pod')
    traffic.tcp(account, a, demo.in_third, names.BLUE_THIRD, 'TCP, pod to uplink')
    remove(a, b)
    gen = world.idle_pod('gen', 'blue', 'blue-2')
    screen.say('The generator, one port in each subnet; packets must arrive with one hop less:')
    traffic.measured(account, gen, 'routed', '--expect-ttl', '63')
    remove(gen)
    settle(demo, {'ttl_expired': 1})


def first_hop(account, a, b):
    """What traceroute does: a packet with one hop to live, and who says that it died."""
    done = a.exec('ping', '-n', '-c', '1', '-t', '1', '-W', '5', b.address(), check=False)
    good = f'From {a.gateway()}' in done.stdout and 'Time to live exceeded' in done.stdout
    account.check('ping with one hop to live', f'time exceeded, says {a.gateway()}' if good
                  else done.stdout.strip()[-100:], good)


def uplink(demo):
    account, world = demo.account, demo.world
    screen.heading('Uplink', 'A generator in a pod; the third party behind the AF_PACKET uplink sends all back.')
    gen = world.idle_pod('gen', 'blue')
    mirror = world.lab.spawn('mirror', [
        *traffic.generator(world, share=True), '--port', 'net_af_packet0,iface=blue0,framecnt=2048', '--mac', names.MIRROR_MAC,
        '--ip', names.BLUE_MIRROR, '--gw', names.BLUE_UPLINK, '--reflect', '--duration', '1000000'],
        netns=world.third, env={'RUNTIME_DIRECTORY': world.lab.dir})
    traffic.measured(account, gen, 'uplink', '--peer', '--ip', names.BLUE_MIRROR, window=450, share=True, few_first=True)
    remove(gen)
    mirror.stop(30)
    settle(demo)


def transit(demo):
    account, world = demo.account, demo.world
    screen.heading('A router in a pod', 'A pod with a port in each of two networks forwards between them: its kernel, then DPDK.')
    router = world.kernel_pod('router', 'blue-router', 'inner-router', nice=0,
                              options=['--sysctl', 'net.ipv4.ip_forward=1'])
    world.daemon.call('route.add', network='blue', prefix=f'{names.INNER}.0/24', gateway=router.address(0))
    router.exec('ip', 'route', 'del', 'default', 'dev', 'eth1', check=False)
    a, z = world.kernel_pod('a', 'blue'), world.kernel_pod('z', 'inner')
    z.exec('ip', 'route', 'replace', 'default', 'via', router.address(1))
    traffic.ping(account, a, z.address(), 'ping through it, two hops', ttl=62)
    traffic.tcp(account, a, z.start_exec, z.address(), 'TCP through it')
    remove(a, z, router)
    world.daemon.call('route.del', network='blue', prefix=f'{names.INNER}.0/24')
    dpdk_transit(demo)
    settle(demo)


def dpdk_transit(demo):
    """Two routed networks, in each a route for the other one's subnet with the pod's address as gateway."""
    account, world = demo.account, demo.world
    router = world.dpdk_router('router', 'blue-router', 'green-router')
    routes = [{'network': 'blue', 'prefix': f'{names.GREEN}.0/24'}, {'network': 'green', 'prefix': f'{names.BLUE}.0/24'}]
    for i, route in enumerate(routes):
        world.daemon.call('route.add', **route, gateway=router.address(i))
    gen = world.idle_pod('gen', 'blue', 'green')
    screen.say('The generator, a port in each network, through a DPDK router: two gateways, two hops less:')
    traffic.measured(account, gen, 'transit', '--expect-ttl', '62', window=450, share=True)
    remove(gen)
    for route in routes:
        world.daemon.call('route.del', **route)
    remove(router)
