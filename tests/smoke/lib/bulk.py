# SPDX-License-Identifier: BSD-3-Clause
"""Very many routes, and a client that does not wait for each answer before it sends the next request."""

import json
import random
import socket
import threading
import time

# Of a full Internet table's prefixes longer than /16, in per cent; the rest is /24.
LENGTHS = {16: 2, 17: 1, 18: 2, 19: 3, 20: 6, 21: 6, 22: 11, 23: 9}


def routes4(count, seed=1, taken=('198.18.0.0', 15)):
    """
    That many different IPv4 prefixes, six of ten a /24, spread over all unicast addresses; none
    overlaps `taken`. As (address, length), in random order.
    """
    rng = random.Random(seed)
    base, bits = taken
    low = int.from_bytes(socket.inet_aton(base), 'big')
    high = low + (1 << 32 - bits)
    lengths = [24] * (100 - sum(LENGTHS.values())) + [n for n, share in LENGTHS.items() for _ in range(share)]
    chosen = set()
    while len(chosen) < count:
        length = rng.choice(lengths)
        address = rng.randrange(1 << 24, 224 << 24) >> 32 - length << 32 - length
        if address >> 24 == 127 or address < high and address + (1 << 32 - length) > low:
            continue
        chosen.add((address, length))
    result = list(chosen)
    rng.shuffle(result)
    return result


def routes6(count, seed=1):
    """The same for IPv6: half of them /48, below 2000::/3 as the Internet's are."""
    rng = random.Random(seed)
    lengths = [48] * 50 + [32] * 15 + [40] * 10 + [44] * 10 + [36] * 5 + [29] * 5 + [46] * 3 + [56, 64]
    chosen = set()
    while len(chosen) < count:
        length = rng.choice(lengths)
        # Few thousand providers, each with many prefixes.
        high = 0x2400 << 112 | rng.randrange(1 << 13) << 98 | rng.getrandbits(98)
        chosen.add((high >> 128 - length << 128 - length, length))
    result = list(chosen)
    rng.shuffle(result)
    return result


def text4(route):
    address, length = route
    return f'{address >> 24}.{address >> 16 & 255}.{address >> 8 & 255}.{address & 255}/{length}'


def text6(route):
    return f'{socket.inet_ntop(socket.AF_INET6, route[0].to_bytes(16, "big"))}/{route[1]}'


def requests(method, prefixes, **params):
    """A line for each prefix (text), as bytes."""
    tail = ''.join(f',{json.dumps(k)}:{json.dumps(v)}' for k, v in params.items())
    return ''.join(f'{{"jsonrpc":"2.0","id":{i},"method":"{method}","params":{{"prefix":"{p}"{tail}}}}}\n'
                   for i, p in enumerate(prefixes)).encode()


def sync(client, prefixes, owner, network, **route):
    """route.sync of these prefixes (text), all with the same members. (seconds, answer of the commit)"""
    chunks = [prefixes[i:i + 8000] for i in range(0, len(prefixes), 8000)]
    steps = [{'step': 'begin'}, *({'step': 'chunk', 'routes': [{'prefix': p, **route} for p in c]} for c in chunks),
             {'step': 'commit'}]
    lines = [json.dumps({'jsonrpc': '2.0', 'id': i, 'method': 'route.sync', 'params': {
        'owner': owner, 'network': network, **step}}).encode() + b'\n' for i, step in enumerate(steps)]
    start = time.perf_counter()
    for line in lines:
        client.send_raw(line)
        answer = client.read_answer()
        if 'error' in answer:
            raise RuntimeError(answer['error']['message'])
    return time.perf_counter() - start, answer['result']


def pipeline(path, lines, timeout=120):
    """
    Sends all lines on a connection of its own while it reads the answers.
    (seconds, the answers as bytes)
    """
    answers, left = [], lines.count(b'\n')
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as s:
        s.settimeout(timeout)
        s.connect(str(path))
        start = time.perf_counter()
        writer = threading.Thread(target=s.sendall, args=(lines,))
        writer.start()
        while left:
            data = s.recv(1 << 20)
            if not data:
                raise ConnectionError(f'closed with {left} answers missing')
            answers.append(data)
            left -= data.count(b'\n')
        seconds = time.perf_counter() - start
        writer.join()
    return seconds, b''.join(answers)


def own_us(d):
    """Microseconds that the control thread of a daemon has run: what others do on its CPU does not count."""
    with open(f'/proc/{d.pid}/task/{d.pid}/schedstat', encoding='ascii') as f:
        return int(f.read().split()[0]) / 1000
