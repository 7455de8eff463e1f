# SPDX-License-Identifier: BSD-3-Clause
"""A pod stopped and started under traffic; podraild killed and started under traffic."""

import json
import os
import signal
import time

import screen
import traffic
import world as names
from account import BATCH, RING, clean, reasons, trouble
from lib import wait_conserved, wait_for
from steps import settle
from world import remove

OUTAGE = 2.0


def transmitted(world, *ports):
    """Packets that podraild has given to each of the ports."""
    return [world.daemon.call('stats.get', port=p)['ports'][0]['txPackets'] for p in ports]


def wait_moving(world, *ports, more=100, timeout=60):
    """Until packets reach each of the ports, beyond the few of ARP."""
    first = transmitted(world, *ports)
    wait_for(f'traffic to {", ".join(ports)}',
             lambda: all(b > a + more for a, b in zip(first, transmitted(world, *ports))), timeout, 0.05)


def program_of(pod):
    """The pid, on the machine, of podrail-gen in a pod."""
    for entry in os.listdir('/proc'):
        try:
            with open(f'/proc/{entry}/cmdline', 'rb') as f:
                argv = f.read().decode(errors='replace').split('\0')
        except OSError:
            continue
        if argv[0].endswith('/podrail-gen') and any(f'/{pod.id}/' in a for a in argv):
            return int(entry)
    raise ProcessLookupError(f'there is no podrail-gen in pod {pod.name}')


def finish(pod, process):
    os.kill(program_of(pod), signal.SIGINT)
    process.wait(60)
    return traffic.result(process.output())


def pod_stops(demo):
    account, world = demo.account, demo.world
    screen.heading('A pod stops and starts again',
                   'A stream to it (2,000 a second) goes on, and so does traffic between two others.')
    address, mac = f'{names.BLUE}.50', '02:00:00:00:00:50'
    generator = ' '.join(traffic.generator(world, share=True))
    sink = world.pod('sink', ['blue'], [
        'sh', '-c', f'exec {generator} --sink --port net_virtio_user0,path=/sock/$(cat /etc/hostname)'
        f'/eth0.sock,server=1,queue_size={RING} --mac {mac} --ip {address} --gw {names.BLUE}.1 '
        '--duration 1000000'], ['--ip', address, '--mac-address', mac])
    port = sink.info[0]['port']
    others, sender = world.idle_pod('gen', 'blue', 'blue-2'), world.idle_pod('sender', 'blue')
    sink.wait_up()
    beside = traffic.start(others, 'beside', *traffic.own_ports(others), '--window', '100',
                           '--rate', '20000', '--duration', '1000000', share=True)
    stream = traffic.start(sender, 'stream', *traffic.own_ports(sender), '--peer', '--ip', address,
                           '--one-way', '--rate', '2000', '--flows', '4', '--duration', '1000000', share=True)
    wait_moving(world, port, *(i['port'] for i in others.info))
    _stop_and_start(demo, sink, port, others)
    sent = finish(sender, stream)
    between = finish(others, beside)
    with world.daemon.client() as client:
        wait_conserved(client, 10)
    sink.container.stop(20)
    lives = _results(sink.container.logs())
    remove(sink, others, sender)
    _judge_stop(demo, sent, between, lives)


def _stop_and_start(demo, sink, port, others):
    world = demo.world
    sink.container.stop(20)
    began = time.monotonic()
    # That the others go on is seen before the pod is back.
    wait_moving(world, *(i['port'] for i in others.info))
    time.sleep(max(0.0, 1 - (time.monotonic() - began)))
    sink.container.start()
    sink.learn()
    sink.wait_up()
    wait_moving(world, port)
    away = time.monotonic() - began
    wait_moving(world, port, more=2000)
    screen.show('stopped and started by podman', f'away for {away:.1f} s')


def _results(text):
    """Each JSON object of a log."""
    decoder, found = json.JSONDecoder(), []
    while (at := text.find('{')) >= 0:
        value, end = decoder.raw_decode(text[at:])
        found.append(value)
        text = text[at + end:]
    return found


def _whole(result):
    """A sink's counts; podrail-gen keeps those of its first moments apart."""
    return {k: sum(i[k] for i in result['intervals'])
            for k in ('received', 'duplicated', 'reordered', 'corrupted', 'unexpected')}


def _judge_stop(demo, sent, between, lives):
    account = demo.account
    each = [_whole(life)['received'] for life in lives]
    arrived = sum(each)
    lost = sent['sent'] - arrived
    drops = demo.drops.since()
    dropped = sum(drops.values())
    # What podraild had put into the pod's ring and the pod never read.
    unread = lost - dropped
    account.add({**sent, 'received': arrived, **{
        k: sum(_whole(life)[k] for life in lives) for k in ('duplicated', 'reordered', 'corrupted', 'unexpected')}, 'missing': 0})
    account.add(between)
    account.dropped += dropped
    account.dropped_stopped += min(dropped, lost)
    account.check('the stream to it', f'{screen.count(sent["sent"])} sent, {screen.count(arrived)} received, '
                  f'in its two lives {" and ".join(map(screen.count, each))}', len(each) == 2 and all(each))
    account.check('dropped while it was away', f'{screen.count(dropped)} ({reasons(drops)})', 0 < dropped <= lost)
    account.check('unread in its ring when it ended', f'{unread} (a ring holds {RING})', 0 <= unread <= 2 * RING)
    account.check('traffic between the others', f'{screen.count(between["received"])} of '
                  f'{screen.count(between["sent"])} received', between['received'] > 0)
    account.check('', trouble(between), clean(between))


def daemon_dies(demo):
    account, world = demo.account, demo.world
    screen.heading('podraild is killed', 'SIGKILL under closed-loop traffic between two ports, then started again.')
    pod = world.idle_pod('gen', 'blue', 'blue-2')
    ports = [i['port'] for i in pod.info]
    # What is lost comes out of the window, and is sent anew only after the time-out.
    process = traffic.start(pod, 'killed', *traffic.own_ports(pod), '--window', '200', '--timeout', '250',
                            '--expect-ttl', '63', '--duration', '1000000')
    wait_moving(world, *ports)
    time.sleep(1)
    generator = program_of(pod)
    os.kill(generator, signal.SIGUSR1)
    time.sleep(0.3)
    drops = demo.drops.since()
    account.dropped += sum(drops.values())
    world.daemon.kill()
    killed = time.monotonic()
    world.daemon.start(wait=False)
    world.daemon.wait_ready(30)
    ready = time.monotonic() - killed
    wait_for('traffic on both ports', lambda: all(n > 100 for n in transmitted(world, *ports)), 30, 0.01)
    back = time.monotonic() - killed
    time.sleep(0.3)
    os.kill(generator, signal.SIGUSR1)
    time.sleep(0.3)
    around = demo.drops.restarted()
    time.sleep(1)
    counts = finish(pod, process)
    _judge_kill(account, counts['intervals'], around, ready, back)
    remove(pod)
    settle(demo)


def _judge_kill(account, intervals, around, ready, back):
    before, during, after = (next(i for i in intervals if i['interval'] == n) for n in (1, 2, 3))
    rings = 4 * RING
    account.check('traffic is back after', f'{back:.2f} s (podraild answers after {ready:.2f} s; at most {OUTAGE:.0f} s)',
                  back <= OUTAGE)
    for what, interval in (('before', before), ('after', after)):
        account.add(interval)
        account.check(what, f'{screen.count(interval["received"])} of {screen.count(interval["sent"])} received, '
                      f'{trouble(interval)}', clean(interval) and interval['received'] > 0)
    screen.say('Apart from the last line, the 0.3 s before the kill and what follows until traffic is back:')
    account.check('sent around the kill', f'{screen.count(during["received"])} of {screen.count(during["sent"])} received',
                  during['received'] > 0)
    account.check('in flight', f'{trouble(during)}; dropped: {reasons(around)}',
                  during['missing'] <= rings and during['duplicated'] <= BATCH and
                  not (during['reordered'] or during['corrupted'] or during['unexpected']))
    screen.show('', f'(at most {rings} missing, what the rings hold; at most {BATCH} duplicated, a batch)')


def connection_lives(demo):
    account, world = demo.account, demo.world
    screen.heading('A TCP connection lives through it', 'iperf3 between two pods and a ping beside it, while podraild is killed again.')
    a, b = world.kernel_pod('a', 'blue'), world.kernel_pod('b', 'blue-2')
    server = traffic.tcp_server(b.start_exec)
    client = a.start_exec('iperf3-client', 'iperf3', '-J', '-c', b.address(), '-t', '9', '-i', '0.5',
                          '-w', traffic.TCP_WINDOW)
    pinger = a.start_exec('ping', 'ping', '-n', '-q', '-i', '0.02', '-w', '7', b.address())
    wait_moving(world, b.info[0]['port'])
    time.sleep(1)
    read = traffic.packets_of(b)
    account.dropped += sum(demo.drops.since().values())
    world.daemon.kill()
    world.daemon.start(wait=False)
    gap = traffic.longest_gap(read, 4)
    world.daemon.wait_ready(30)
    around = demo.drops.restarted()
    status = client.wait(60)
    pinger.wait(30)
    account.check('longest silence in the other pod', f'{gap:.2f} s (at most {OUTAGE:.0f} s)', gap <= OUTAGE)
    _judge_tcp(account, status, client.output(), around)
    server.wait(20)
    remove(a, b)
    settle(demo)


def _judge_tcp(account, status, output, around):
    try:
        parts = [i['sum'] for i in json.loads(output)['intervals']]
    except (ValueError, KeyError):
        account.check('the connection', output[-200:].strip(), False)
        return
    rates = [p['bits_per_second'] / 1e6 for p in parts]
    screen.show('Mbit/s in each half second', ' '.join(f'{r:.0f}' for r in rates))
    # The same connection: iperf3 opens one, and ends with an error when it breaks.
    account.check('the connection went on', f'{rates[-1]:.0f} Mbit/s at its end, dropped around the kill: {reasons(around)}',
                  status == 0 and min(rates[-3:]) > 0)
