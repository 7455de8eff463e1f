# SPDX-License-Identifier: BSD-3-Clause
"""in + generated + replicated + fragments = out + drops + consumed + merged + held (docs/protocol.md)."""

import time

SOURCES = ('in', 'generated', 'replicated', 'fragments')
SINKS = ('out', 'drops', 'consumed', 'merged', 'held')


def conservation_error(stats):
    """None, or a sentence that says what does not add up in an answer of stats.get."""
    c = stats['conservation']
    missing = [k for k in SOURCES + SINKS if k not in c]
    if missing:
        return f'members are missing in conservation: {", ".join(missing)}'
    left = sum(c[k] for k in SOURCES)
    right = sum(c[k] for k in SINKS)
    if left != right:
        return f'{left} packets came and {right} went: {c}'
    by_reason = sum(stats.get('drops', {}).values())
    if by_reason != c['drops']:
        return f'{c["drops"]} packets were dropped but the reasons add up to {by_reason}: {stats["drops"]}'
    return None


def wait_conserved(client, timeout=5):
    """Waits until nothing moves any more, then returns (stats, error or None)."""
    end = time.monotonic() + timeout
    before = client.call('stats.get')
    while True:
        time.sleep(0.1)
        stats = client.call('stats.get')
        error = conservation_error(stats)
        if error is None and stats['conservation'] == before['conservation']:
            return stats, None
        if time.monotonic() > end:
            return stats, error
        before = stats


def assert_conserved(client, timeout=5):
    """As wait_conserved; raises AssertionError instead of returning an error."""
    stats, error = wait_conserved(client, timeout)
    if error:
        raise AssertionError(error)
    return stats
