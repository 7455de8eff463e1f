# SPDX-License-Identifier: BSD-3-Clause
"""The control plane: CNI ADD, first packet, routes, ports, start, idle CPU. Each measurement is a function."""

import concurrent.futures
import json
import os
import random
import statistics
import subprocess
import time

import idle
from cases import matching
from idle import arp_request
from lib import Lab, wait_for
from lib.churn import NETWORKS, churn
from lib.front_end import FrontEnd
from lib.stream import FAULTS, Stream
from figures import quartiles

DEBIAN = '/usr/lib/cni'
ADD_BAR = 0.5
OWN_ADD_BAR = 0.25   # with our own IPAM
NETWORK = {'name': 'n', 'mode': 'routed', 'subnets': ['198.18.0.0/16']}


def clock():
    return time.perf_counter()


def result(what, text, verdict=None, **values):
    return {'what': what, 'text': text, 'verdict': verdict, **values}


def timed(values, unit='ms'):
    """Median and quartiles, for people."""
    low, middle, high = quartiles(values)
    return f'{middle:.2f} [{low:.2f}-{high:.2f}] {unit}'


class Runtime:
    """Calls CNI plugins as a container runtime does."""

    def __init__(self, lab, daemon):
        self.lab = lab
        self.path = f'{DEBIAN}:{os.path.dirname(lab.program("podrail"))}'
        self.podrail = {
            'cniVersion': '1.0.0', 'name': 'ours', 'type': 'podrail', 'network': 'n',
            'daemonSocket': daemon.socket, 'stateDir': daemon.state_dir, 'socketDir': f'{lab.dir}/pods',
            'ipam': self._ipam('198.18.1.0/24', 'ours')}
        self.bridge = {
            'cniVersion': '1.0.0', 'name': 'theirs', 'type': 'bridge', 'bridge': 'br0', 'isGateway': True,
            'ipam': self._ipam('198.18.2.0/24', 'theirs')}

    def _ipam(self, subnet, name):
        return {'type': 'host-local', 'dataDir': f'{self.lab.dir}/{name}', 'ranges': [[{'subnet': subnet}]]}

    def call(self, command, conf, container, netns):
        """(milliseconds, output)"""
        program = self.lab.program('podrail') if conf['type'] == 'podrail' else f'{DEBIAN}/{conf["type"]}'
        env = {'CNI_COMMAND': command, 'CNI_CONTAINERID': container, 'CNI_NETNS': netns.path,
               'CNI_IFNAME': 'eth0', 'CNI_PATH': self.path, 'PATH': '/usr/sbin:/usr/bin:/sbin:/bin'}
        start = clock()
        done = subprocess.run([program], input=json.dumps(conf), env=env, text=True, capture_output=True,
                              check=False, timeout=60)
        elapsed = (clock() - start) * 1000
        if done.returncode:
            raise RuntimeError(f'{program} {command}: {done.stdout}{done.stderr}')
        return elapsed, done.stdout


def compare_add(quick, what, bar, **ipam):
    """The whole process, against Debian's bridge plugin with host-local, taking turns."""
    with Lab('bench') as lab:
        daemon = lab.daemon(networks=[NETWORK])
        runtime = Runtime(lab, daemon)
        ours = {**runtime.podrail, 'ipam': {**runtime.podrail['ipam'], **ipam}}
        contestants = [(conf, lab.netns(conf['name']), []) for conf in (ours, runtime.bridge)]
        with lab.ns.enter():
            for i in range(-3, 20 if quick else 60):   # the first ones only warm the caches
                for conf, netns, times in contestants:
                    elapsed, _ = runtime.call('ADD', conf, f'c{i + 3:012d}', netns)
                    runtime.call('DEL', conf, f'c{i + 3:012d}', netns)
                    if i >= 0:
                        times.append(elapsed)
        daemon.stop()
    ours, theirs = (times for _, _, times in contestants)
    ratio = statistics.median(a / b for a, b in zip(ours, theirs))
    return result(
        f'CNI ADD, whole process, {what}',
        f'{timed(ours)}; bridge plugin with host-local {timed(theirs)}; ratio {ratio:.2f}',
        f'{"pass" if ratio <= bar else "fail"}', bar=bar, ratio=ratio, podrail_ms=ours, bridge_ms=theirs)


def cni_add(quick):
    return compare_add(quick, 'host-local addresses', ADD_BAR)


def cni_add_own(quick):
    return compare_add(quick, 'our own IPAM', OWN_ADD_BAR, type='podrail')


def cni_first_packet(quick):
    """
    From the start of ADD until the switch has taken the pod's first packet. The pod's application is a
    front end of a few lines that is there at once; it serves its socket as soon as ADD has told where.
    """
    times = []
    with Lab('bench') as lab:
        daemon = lab.daemon(networks=[NETWORK])
        runtime = Runtime(lab, daemon)
        netns = lab.netns('pod')
        for i in range(5 if quick else 15):
            container = f'{i:04d}c0000000'
            start = clock()
            _, output = runtime.call('ADD', runtime.podrail, container, netns)
            with daemon.client() as client:
                port = client.call('port.list')['ports'][0]
            address = json.loads(output)['ips'][0]['address'].split('/')[0]
            with FrontEnd(port['socket']) as guest:
                guest.connect().start()
                guest.transmit([arp_request(port['mac'], address, '198.18.0.1')])
                wait_for('the first packet', guest.used, 10, 0.0002)
                times.append((clock() - start) * 1000)
            runtime.call('DEL', runtime.podrail, container, netns)
        daemon.stop()
    return result('CNI ADD to first packet', timed(times), milliseconds=times)


def prefixes(count, offset=0):
    """Different /24 and /32, spread over the address space as a full table is."""
    for i in range(count):
        n = (i + offset) * 2654435761 % (1 << 24)
        yield f'{1 + (n >> 16) % 120}.{n >> 8 & 255}.{n & 255}.0/24' if i % 4 else \
            f'{128 + (n >> 16) % 60}.{n >> 8 & 255}.{n & 255}.{i & 255}/32'


def synced(client, routes):
    """Seconds from the first byte sent to the answer of the commit. Messages are made before."""
    routes = sorted(set(routes))
    chunks = [routes[i:i + 10000] for i in range(0, len(routes), 10000)]
    steps = [{'step': 'begin'}]
    steps += [{'step': 'chunk', 'routes': [{'prefix': p, 'gateway': '198.18.1.2'} for p in c]} for c in chunks]
    steps += [{'step': 'commit'}]
    lines = [json.dumps({'jsonrpc': '2.0', 'id': i, 'method': 'route.sync', 'params': {
        'owner': 'bench', 'network': 'n', **step}}).encode() + b'\n' for i, step in enumerate(steps)]
    start = clock()
    for line in lines:
        client.send_raw(line)
        answer = client.read_answer()
        if 'error' in answer:
            raise RuntimeError(answer['error']['message'])
    return clock() - start, answer['result']


def route_world(lab, routes):
    daemon = lab.daemon(networks=[NETWORK], memory=0, limits={'routes': 2 * routes, 'fibNodes': 400000})
    daemon.call('port.add', name='p', kind='vhost-user', network='n', socket=lab.socket_path('p'),
                addresses=['198.18.1.2/16'])
    return daemon


def route_sync(quick):
    """A whole table of 100 k at once; then one in which a tenth differs."""
    count = 100000
    added, changed = [], []
    with Lab('bench') as lab:
        daemon = route_world(lab, count)
        for _ in range(1 if quick else 3):
            with daemon.client(120) as client:
                seconds, _ = synced(client, prefixes(count))
                added.append(count / seconds)
                seconds, counts = synced(client, prefixes(count, count // 10))
                changed.append((counts['added'] + counts['removed'] + counts['kept']) / seconds)
                synced(client, [])
        daemon.stop()
    return result(
        'route.sync of 100 k routes',
        f'{statistics.median(added) / 1000:.0f} k routes a second into an empty table, '
        f'{statistics.median(changed) / 1000:.0f} k when a tenth differs',
        added_per_second=added, changed_per_second=changed)


def route_batches(quick):
    """route.add in batches of 1,000 requests, routes that are stored; then the same one by one."""
    count, single = (3000, 300) if quick else (20000, 1000)
    routes = sorted(set(prefixes(count + single)))[:count + single]
    params = [('route.add', {'network': 'n', 'prefix': p, 'gateway': '198.18.1.2'}) for p in routes]
    with Lab('bench') as lab:
        daemon = route_world(lab, count + single)
        with daemon.client(120) as client:
            start = clock()
            for i in range(0, count, 1000):
                refused = [a for a in client.batch(params[i:i + 1000]) if isinstance(a, Exception)]
                if refused:
                    raise refused[0]
            batched = len(params[:count]) / (clock() - start)
            start = clock()
            for method, members in params[count:]:
                client.call(method, **members)
            alone = len(params[count:]) / (clock() - start)
        daemon.stop()
    return result('route.add, stored', f'{batched:.0f} a second in batches of 1,000, '
                  f'{alone:.0f} one by one', batched_per_second=batched, single_per_second=alone)


def add_ports(client, lab, count):
    start = clock()
    for i in range(count):
        client.call('port.add', name=f'p{i}', kind='vhost-user', network='n',
                    socket=lab.socket_path(f'p{i}'), addresses=[f'198.18.{1 + i // 250}.{1 + i % 250}/16'])
    return count / (clock() - start)


def port_add(quick):
    """One by one; then deleted one by one."""
    count = 100 if quick else 200
    with Lab('bench') as lab:
        daemon = lab.daemon(networks=[NETWORK])
        with daemon.client(60) as client:
            added = add_ports(client, lab, count)
            start = clock()
            for i in range(count):
                client.call('port.del', name=f'p{i}')
            deleted = count / (clock() - start)
        daemon.stop()
    return result(f'port.add of {count} vhost-user ports',
                  f'{added:.0f} a second; port.del {deleted:.0f} a second',
                  added_per_second=added, deleted_per_second=deleted)


def start_time(quick):
    """From exec to the first answer; nothing stored, then 100 ports."""
    empty, full = [], []
    rounds = 3 if quick else 7
    with Lab('bench') as lab:
        daemon = lab.daemon(networks=[NETWORK], start=False)
        for times in (empty, full):
            for _ in range(rounds):
                start = clock()
                daemon.start(wait=False)
                wait_for('the daemon', lambda: _answers(daemon), 30, 0.002)
                times.append((clock() - start) * 1000)
                if times is empty and len(times) == rounds:
                    with daemon.client(60) as client:
                        add_ports(client, lab, 100)
                daemon.stop()
    return result('start of podraild to its first answer',
                  f'{timed(empty)}; with 100 stored ports {timed(full)}', empty_ms=empty, ports_ms=full)


def _answers(daemon):
    if not daemon.alive:
        raise RuntimeError(f'podraild ended:\n{daemon.process.tail()}')
    try:
        with daemon.client() as client:
            return client.call('hello')['ready']
    except (OSError, ConnectionError):
        return False


def churn_loss(quick):
    """What a closed-loop stream, bridged and routed, loses while 100 ports come and go, every second with a guest."""
    count, rounds = 100, 1 if quick else 5
    results, seconds = [], 0
    with Lab('bench') as lab:
        daemon = lab.daemon(networks=NETWORKS, limits={'mbufs': 16384})
        for i in range(rounds):
            stream = Stream(lab, daemon, name=f'stream{i}', bridged='b', routed='r', window=100)
            start = clock()
            with daemon.client(60) as client, concurrent.futures.ThreadPoolExecutor(16) as guests:
                churn(lab, client, guests, random.Random(i), count)
                seconds += clock() - start
                stream.wait_packets(100)
                results.append(stream.finish())
                for port in stream.ports:
                    client.call('port.del', name=port)
        daemon.stop()
    wrong = {fault: sum(r[fault] for r in results) for fault in FAULTS}
    sent = sum(r['sent'] for r in results)
    other = ', '.join(f'{n} {fault}' for fault, n in wrong.items() if n and fault != 'missing')
    return result(f'missing while {count} ports come and go',
                  f'{wrong["missing"]} of {sent / 1e6:.2f} million packets{", " + other if other else ""}; '
                  f'{rounds * count} ports at {rounds * count / seconds:.0f} a second',
                  'fail' if any(wrong.values()) or not sent else 'pass', sent=sent, **wrong)


MEASUREMENTS = {
    'cni-add': cni_add, 'cni-add-own': cni_add_own, 'cni-first-packet': cni_first_packet, 'route-sync': route_sync,
    'route-add': route_batches, 'port-add': port_add, 'start': start_time,
    'churn': churn_loss, **idle.MEASUREMENTS,
}


BARS = {'cni-add': f'pass <= {ADD_BAR:g} x bridge plugin with host-local',
        'cni-add-own': f'pass <= {OWN_ADD_BAR:g} x bridge plugin with host-local',
        'churn': 'pass: 0 missing',
        **idle.BARS}


def names(patterns):
    return [name for name in MEASUREMENTS if matching(f'control-{name}', patterns)]


def run(name, quick):
    return MEASUREMENTS[name](quick)
