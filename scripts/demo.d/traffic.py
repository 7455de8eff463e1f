# SPDX-License-Identifier: BSD-3-Clause
"""Ping, TCP and podrail-gen in pods."""

import json
import re
import time

import screen
from account import MILLION, clean, trouble
from lib import ProcessError

# Well below a ring of 1024, so that TCP's own window can not overflow it.
TCP_WINDOW = '192K'


def ping(account, pod, address, what, count=5, ttl=None):
    done = pod.exec('ping', '-n', '-c', count, '-i', '0.05', '-W', '5', address, check=False)
    answers = re.findall(r'ttl=(\d+)', done.stdout)
    times = re.search(r'= [\d.]+/([\d.]+)/', done.stdout)
    good = len(answers) == count and (ttl is None or set(answers) == {str(ttl)})
    account.add_pings(count, len(answers))
    account.check(what, f'{len(answers)} of {count} answered, ttl {answers[0] if answers else "-"}, '
                        f'{times.group(1) if times else "-"} ms', good)


def tcp_server(start):
    """start(label, *argv) starts a program where the server shall be."""
    server = start('iperf3-server', 'iperf3', '-s', '-1', '--forceflush')
    server.expect('Server listening', 20)
    return server


def tcp(account, client, server_start, address, what, seconds=1):
    server = tcp_server(server_start)
    done = client.exec('iperf3', '-J', '-c', address, '-t', seconds, '-w', TCP_WINDOW, check=False)
    try:
        end = json.loads(done.stdout)['end']
        mbits = end['sum_received']['bits_per_second'] / 1e6
        figure, good = f'{mbits:.0f} Mbit/s, {end["sum_sent"]["retransmits"]} retransmitted', mbits > 0
    except (ValueError, KeyError):
        figure, good = (done.stdout + done.stderr).strip()[-200:], False
    account.check(what, figure, good)
    server.wait(20)


def generator(world, share=False):
    """podrail-gen and what all runs have in common. share: others poll on the same CPU."""
    return [f'{world.lab.settings.build}/tests/gen/podrail-gen', '--cpu', str(world.cpu), '--main-cpu',
            str(world.cpu), '--quiet', '--timeout', '5000', '--wait-link', '30', '--json', '-', *(['--yield'] if share else [])]


def own_ports(pod, gateways=None):
    """Options of podrail-gen for each port of the pod's. Gateways by number, beside the network's."""
    options = []
    for i in range(pod.interfaces):
        options += ['--port', f'net_virtio_user{i},path=/sock/{pod.id}/eth{i}.sock,server=1,'
                              'queue_size=1024',
                    '--mac', pod.mac(i), '--ip', pod.address(i)]
        gateway = (gateways or {}).get(i) or pod.gateway(i)
        if gateway:
            options += ['--gw', gateway]
    return options


def result(output):
    """The JSON in podrail-gen's output."""
    at = output.find('{')
    try:
        return json.loads(output[at:output.rindex('}') + 1])
    except ValueError as e:
        raise ProcessError(f'the generator gave no result:\n{output}') from e


def run(pod, *options, timeout=120, share=False):
    done = pod.exec(*generator(pod.world, share), *options, check=False, timeout=timeout)
    try:
        return result(done.stdout)
    except ProcessError as e:
        raise ProcessError(f'{e}{done.stderr}') from e


def start(pod, label, *options, share=False):
    return pod.start_exec(label, *generator(pod.world, share), *options)


def measured(account, pod, mode, *options, window=400, gateways=None, at_least=None, seconds=3, probe=1.0,
             share=False, few_first=False):
    """
    Measures what goes through at most, then sends at half of that until a million has come.
    few_first: somebody on the way asks for MAC addresses, and holds only so many packets meanwhile.
    """
    options = (*own_ports(pod, gateways), *options)
    if few_first:
        few = run(pod, *options, '--window', '8', '--count', '64', share=share)
        account.add(few, mode)
        if not clean(few):
            account.check('the first 64 packets', trouble(few), False)
    options = (*options, '--window', str(window))
    warm = run(pod, *options, '--duration', str(probe), share=share)
    account.add(warm, mode)
    capacity = warm['received'] / max(warm['duration'], 1e-9)
    if clean(warm):
        screen.show('capacity, closed loop', screen.rate(capacity))
    else:
        account.check('capacity, closed loop', f'{screen.rate(capacity)}, {trouble(warm)}', False)
    if not capacity:
        account.check(f'{mode}: at half of it', 'nothing arrived', False)
        return
    half = capacity / 2
    count = max(at_least or int(1.05 * MILLION), int(half * seconds))
    counts = run(pod, *options, '--rate', f'{half:.0f}', '--count', str(count), timeout=300, share=share)
    account.add(counts, mode)
    pace = screen.rate(counts['received'] / max(counts['duration'], 1e-9))
    account.check(f'at half of it, {pace}',
                  f'{screen.count(counts["received"])} of {screen.count(counts["sent"])} received',
                  counts['received'] >= MILLION)
    account.check('', trouble(counts), clean(counts))
    return half


def packets_of(pod, dev='eth0'):
    """Packets received by the pod's kernel, read without entering the pod."""
    pid = pod.container.inspect()['State']['Pid']

    def read():
        with open(f'/proc/{pid}/net/dev', encoding='ascii') as f:
            for line in f:
                if line.strip().startswith(dev + ':'):
                    return int(line.split(':')[1].split()[1])
        raise ProcessError(f'pod {pod.name} has no {dev}')

    return read


def longest_gap(read, seconds, step=0.002):
    """Watches a counter; returns the longest time in which it stood still."""
    end = time.monotonic() + seconds
    last, since, longest = read(), time.monotonic(), 0.0
    while (now := time.monotonic()) < end:
        value = read()
        longest = max(longest, now - since)
        if value != last:
            last, since = value, now
        time.sleep(step)
    return longest
