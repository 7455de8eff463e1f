# SPDX-License-Identifier: BSD-3-Clause
"""What a daemon costs while nothing happens, and how long the first packet after that takes."""

import os
import statistics
import time

from lib import Lab, wait_for
from lib.front_end import FrontEnd
from figures import quartiles

PORTS = 100
BAR, GOAL = 2.0, 0.5      # percent of a core: the whole daemon
WAKE_BAR = 2.0            # milliseconds from the guest's store to the buffer's return
SETTLE = 1.5              # seconds until everything that follows a connection is over
NETWORK = {'name': 'n', 'mode': 'routed', 'subnets': ['198.18.0.0/16']}


def result(what, text, verdict=None, **values):
    return {'what': what, 'text': text, 'verdict': verdict, **values}


def cpu_seconds(pid):
    """{thread name: seconds} of CPU so far."""
    times = {}
    for task in os.listdir(f'/proc/{pid}/task'):
        with open(f'/proc/{pid}/task/{task}/stat', encoding='utf-8') as f:
            text = f.read()
        with open(f'/proc/{pid}/task/{task}/schedstat', encoding='ascii') as f:
            nanoseconds = int(f.read().split()[0])
        times[f'{text[text.index("(") + 1:text.rindex(")")]}:{task}'] = nanoseconds / 1e9
    return times


def shares(pid, seconds):
    """{thread name: percent of a core}, over so many seconds."""
    before, start = cpu_seconds(pid), time.monotonic()
    time.sleep(seconds)
    after, elapsed = cpu_seconds(pid), time.monotonic() - start
    return {name: 100 * (after[name] - before.get(name, 0)) / elapsed for name in after}


def add_port(client, lab, i, mode='client'):
    return client.call('port.add', name=f'p{i}', kind='vhost-user', network='n', mode=mode,
                       socket=lab.socket_path(f'p{i}'),
                       addresses=[f'198.18.{1 + i // 250}.{1 + i % 250}/16'])['port']


def _wait_up(client, count):
    wait_for('the guests', lambda: sum(p['state'] == 'up' for p in client.call('port.list')['ports'] if p['kind'] == 'vhost-user')
             == count, 30, 0.05)


def _verdict(total):
    return 'goal' if total <= GOAL else 'pass' if total <= BAR else 'fail'


def _idle(quick, connected, eth=False):
    seconds = 3 if quick else 10
    guests = []
    with Lab('bench') as lab:
        daemon = lab.daemon(networks=[NETWORK], idle='sleep')
        with daemon.client(60) as client:
            if eth:
                client.call('network.add', name='b', mode='bridged')
                client.call('port.add', name='memif', kind='eth', network='b',
                            device=f'net_memif0,socket={lab.dir}/m.sock,socket-abstract=no,id=0,role=server')
            for i in range(PORTS):
                if connected:
                    guests.append(FrontEnd(lab.socket_path(f'p{i}')))
                add_port(client, lab, i)
            for guest in guests:
                guest.connect().start()
            if connected:
                _wait_up(client, PORTS)
        time.sleep(SETTLE)
        share = shares(daemon.pid, seconds)
        for guest in guests:
            guest.close()
        daemon.stop()
    total = sum(share.values())
    busiest = sorted(share.items(), key=lambda item: -item[1])[:3]
    return result(f'idle CPU, {PORTS} ports {"with silent" if connected else "without"} pods'
                  f'{", a memif port" if eth else ""}, idle "sleep"',
                  f'whole daemon {total:.2f} % of a core ('
                  + ', '.join(f'{name.split(":")[0]} {value:.2f}' for name, value in busiest) + ')',
                  _verdict(total), total_percent=total, threads_percent=share)


def idle_connected(quick):
    return _idle(quick, True)


def idle_unconnected(quick):
    return _idle(quick, False)


def idle_eth(quick):
    return _idle(quick, True, True)


def arp_request(mac, address, target):
    def ip(text):
        return bytes(int(b) for b in text.split('.'))

    mac = bytes.fromhex(mac.replace(':', ''))
    return (b'\xff' * 6 + mac + bytes.fromhex('0806' '0001080006040001') + mac + ip(address) + bytes(6)
            + ip(target) + bytes(18))


def first_packet(guest, frame, timeout=5):
    """Milliseconds from making a frame available until the switch has returned its buffer."""
    before, start = guest.used(), time.perf_counter()
    guest.transmit([frame])
    while guest.used() == before:
        if time.perf_counter() - start > timeout:
            raise RuntimeError(f'a packet was not taken within {timeout} s')
        os.sched_yield()   # a worker may be on this CPU, too
    return (time.perf_counter() - start) * 1000


def first_packets(lab, guest, frame, tries, pause):
    """first_packet() so many times, each after so many silent seconds."""
    affinity, times = os.sched_getaffinity(0), []
    os.sched_setaffinity(0, {lab.cpus[-1]})   # not on the worker's CPU: this one spins
    try:
        for _ in range(tries):
            time.sleep(pause)
            times.append(first_packet(guest, frame))
    finally:
        os.sched_setaffinity(0, affinity)
    return times


def wake_times(lab, daemon, ports, tries, pause, before=lambda: None):
    """
    first_packet() of the last of so many ports, each time after so many silent seconds. before() is
    called once all guests are there.
    """
    guests = []
    with daemon.client(60) as client:
        for i in range(ports):
            guests.append(FrontEnd(lab.socket_path(f'p{i}')))
            port = add_port(client, lab, i)
        for guest in guests:
            guest.connect().start()
        _wait_up(client, ports)
    before()
    frame = arp_request(port['mac'], port['addresses'][0].split('/')[0], '198.18.0.1')
    times = first_packets(lab, guests[-1], frame, tries, pause)
    for guest in guests:
        guest.close()
    return times


def wake(quick):
    """The first packet of one of 100 silent pods, after a second in which nothing happened."""
    with Lab('bench') as lab:
        daemon = lab.daemon(networks=[NETWORK], idle='sleep')
        times = wake_times(lab, daemon, PORTS, 20 if quick else 30, 1)
        daemon.stop()
    low, middle, high = quartiles(times)
    # One try in which the machine gave the CPU to somebody else says nothing of the daemon.
    worst = sorted(times)[-2]
    return result('first packet after 1 s idle, 100 ports',
                  f'{middle:.3f} [{low:.3f}-{high:.3f}] ms, worst {max(times):.3f} ms',
                  'pass' if worst <= WAKE_BAR else 'fail', median_ms=statistics.median(times),
                  worst_ms=max(times), milliseconds=times)


MEASUREMENTS = {'idle100': idle_connected, 'idle100-unconnected': idle_unconnected, 'idle100-eth': idle_eth,
                'wake': wake}
BARS = {
    'idle100': f'pass <= {BAR:g} % of a core, goal <= {GOAL:g} %',
    'idle100-unconnected': f'pass <= {BAR:g} % of a core, goal <= {GOAL:g} %',
    'idle100-eth': f'pass <= {BAR:g} % of a core, goal <= {GOAL:g} %',
    'wake': f'pass <= {WAKE_BAR:g} ms',
}
