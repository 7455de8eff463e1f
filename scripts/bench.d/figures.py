# SPDX-License-Identifier: BSD-3-Clause
"""What may be concluded from samples: figures of a round, what does not count, ratios, verdicts. It measures nothing."""

import collections
import statistics

LEAST_ROUNDS = 3         # in which both devices count; fewer make no ratio
LEAST_PER_POLL = 16      # below, a figure says more about polling than about packets
MOST_DROPS = 0.01        # of the packets received; more void the sample
CLOCK_SLACK = 1.02       # busy cycles x rate, to the clock
CLOCK_ERROR = 0.05       # what a device takes the clock for, to what it is
DELIVERY_SLACK = 1.01    # what a device says it delivered, to what the generator received
# The second does the work of the first and a little more: between 1.0 and 2.5, less a tenth for noise: where
# copies are nearly all, it lies on either side of 1.0. Outside, the machine was too busy to say anything.
PEERS = (0.9, 2.5)
PEER_PAIRS = (('testpmd-io', 'testpmd-macswap'), ('ovs', 'ovs-l3'), ('ovs', 'ovs-normal'))
OVS_FLOWS = 1024   # of many more, OVS's caches, which in_port alone needs not, may cost any multiple

# received: packets taken in; polls: those that brought packets; clock: cycles a second, as the device counts them;
# slack: by how much seconds may be wrong, as the device was asked over a socket.
Sample = collections.namedtuple('Sample', 'cycles received delivered drops polls seconds clock slack', defaults=(0,))


def quartiles(values):
    if len(values) < 2:
        return (values[0],) * 3 if values else (None,) * 3
    return tuple(statistics.quantiles(values, n=4, method='inclusive'))


def figures(sample, clock):
    """
    The numbers of one round of one device; 'void' says why it does not count, or None. clock: cycles a second by
    somebody else than the device, 0 when not known.
    """
    delivered = max(sample.delivered, 1)
    round_ = {
        'busy_cycles_per_packet': sample.cycles / delivered,
        'mpps': sample.delivered / sample.seconds / 1e6,
        'packets_per_poll': sample.received / max(sample.polls, 1),
        'egress_drops': sample.drops / max(sample.received, 1),
        'busy_share': sample.cycles / sample.seconds / (clock or sample.clock or 1),
        'delivered': sample.delivered,
    }
    round_['void'] = void(sample, round_, clock)
    return round_


def void(sample, round_, clock):
    if not sample.delivered or not sample.cycles:
        return 'no packets'
    if round_['egress_drops'] > MOST_DROPS:
        return f'{100 * round_["egress_drops"]:.1f} % dropped'
    if round_['packets_per_poll'] < LEAST_PER_POLL:
        return f'{round_["packets_per_poll"]:.1f} packets a poll'
    longest = sample.seconds + sample.slack
    if clock and not clock * (1 - CLOCK_ERROR) * (sample.seconds - sample.slack) <= sample.clock * sample.seconds \
            <= clock * (1 + CLOCK_ERROR) * longest:
        return f'it counts {sample.clock / 1e9:.2f} G cycles a second, the clock has {clock / 1e9:.2f}'
    if round_['busy_share'] * sample.seconds > CLOCK_SLACK * longest:
        return (f'{round_["busy_cycles_per_packet"]:.0f} cycles x {round_["mpps"]:.2f} Mpps are '
                f'{round_["busy_share"]:.2f} times what the clock has')
    return None


def ratios(rounds, name, reference):
    """Of each round in which both samples count."""
    return [a['busy_cycles_per_packet'] / b['busy_cycles_per_packet']
            for a, b in zip(rounds[name], rounds[reference]) if not a['void'] and not b['void']]


def beside(rows, name, reference):
    """Median ratio of two devices of one case's results, where they may be compared; else None."""
    found = {row['dut']: row for row in rows}
    if name not in found or reference not in found or found[name]['no_ratio']:
        return None
    values = ratios({n: row['rounds'] for n, row in found.items()}, name, reference)
    return statistics.median(values) if len(values) >= LEAST_ROUNDS else None


def undecided(rounds, case, least):
    """More rounds may still tell on which side of a bar it is."""
    values = ratios(rounds, case.contestants[0].name, case.reference)
    low, _, high = quartiles(values)
    return len(values) < least or any(bar and low < bar < high for bar in (case.bar, case.goal))


def overcounted(rounds, received):
    """What a device claims beyond what arrived; None when it may be believed. received: the generator's, of all the time."""
    delivered = sum(r['delivered'] for r in rounds)
    if delivered > received * DELIVERY_SLACK:
        return f'it says it delivered {delivered} packets in its samples, and {received} arrived in all'
    return None


def insane(case, rounds, wrong):
    """Why no ratio of this case may be believed, or None."""
    if wrong:
        return '; '.join(wrong)
    for base, more in PEER_PAIRS:
        if base not in rounds or more not in rounds or (base == 'ovs' and case.flows > OVS_FLOWS):
            continue
        peers = ratios(rounds, more, base)
        if len(peers) < LEAST_ROUNDS:
            return f'{base} and {more}: {len(peers)} rounds in which both count, {LEAST_ROUNDS} are needed' \
                   f'{_voids(rounds, (base, more))}'
        middle = statistics.median(peers)
        if not PEERS[0] <= middle <= PEERS[1]:
            return f'{more} takes {middle:.2f} times the cycles of {base}: the machine was not quiet'
    return None


def _voids(rounds, names):
    reasons = sorted({f'{name}: {r["void"]}' for name in names for r in rounds[name] if r['void']})
    return f' ({"; ".join(reasons[:3])})' if reasons else ''


def conclude(case, rounds, stages, wrong):
    """rounds: {contestant's name: [figures]}; wrong: sentences. A list of results, one for each contestant."""
    reason = insane(case, rounds, wrong)
    return [_result(case, name, rounds, stages.get(name), reason) for name in rounds]


def _result(case, name, rounds, stages, reason):
    counted = [r for r in rounds[name] if not r['void']]
    low, middle, high = quartiles([r['busy_cycles_per_packet'] for r in counted])
    result = {
        'case': case.name, 'dut': name, 'busy_cycles_per_packet': middle,
        'busy_cycles_quartiles': [low, high], 'valid_rounds': len(counted),
    }
    # Of a device none of whose rounds count, what was seen is shown all the same.
    for key in ('mpps', 'packets_per_poll', 'egress_drops', 'busy_share'):
        result[key] = statistics.median([r[key] for r in counted or rounds[name]])
    result['limited_by'] = 'device' if result['busy_share'] > 0.9 else 'generator'
    result['void'] = None if counted else rounds[name][-1]['void']
    _compare(result, case, rounds, reason)
    for key in ('mode', 'size', 'flows', 'way'):
        result[key] = getattr(case, key)
    result['egress'] = case.world.egress
    if stages:
        result['stages'] = stages
    result['rounds'] = rounds[name]
    return result


def _compare(result, case, rounds, reason):
    """ratio to the reference, its quartiles, and the verdict against the bars."""
    first = result['dut'] == case.contestants[0].name
    values = [] if reason or result['dut'] == case.reference else \
        ratios(rounds, result['dut'], case.reference)
    result['ratio_rounds'] = len(values)
    low, middle, high = quartiles(values if len(values) >= LEAST_ROUNDS else [])
    result['ratio'], result['ratio_quartiles'] = middle, [low, high]
    result['no_ratio'] = reason
    if first and not reason and middle is None and result['dut'] != case.reference:
        result['no_ratio'] = f'{len(values)} rounds count, {LEAST_ROUNDS} are needed' \
                             f'{_voids(rounds, (result["dut"], case.reference))}'
    result['reference'] = case.reference
    result['bar'], result['goal'] = (case.bar, case.goal) if first else (None, None)
    result['verdict'] = _verdict(low, high, case) if first and case.bar else None


def _verdict(low, high, case):
    """Both quartiles are on one side of a bar, or it is not decided."""
    if high is None:
        return 'not measured'
    if case.goal and high <= case.goal:
        return 'goal'
    if high <= case.bar:
        return 'pass'
    return 'fail' if low >= case.bar else 'undecided'
