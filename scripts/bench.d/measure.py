# SPDX-License-Identifier: BSD-3-Clause
"""Rounds of alternating samples, and what may be concluded from them."""

import statistics

import devices
from lib import Lab

LEAST_ROUNDS = 3         # in which both devices count; fewer make no ratio
LEAST_PER_POLL = 16      # below, a figure says more about polling than about packets
MOST_DROPS = 0.01        # of the packets received; more void the sample
PEERS = (0.8, 2.5)       # macswap / io: outside, the machine was too busy to say anything
CLOCK_SLACK = 1.02


class Plan:
    """How long to look: seconds a sample, rounds at least and at most."""

    def __init__(self, quick):
        self.seconds = 0.3 if quick else 0.5
        self.least, self.most = (5, 8) if quick else (9, 31)


def quartiles(values):
    if len(values) < 2:
        return (values[0],) * 3 if values else (None,) * 3
    return tuple(statistics.quantiles(values, n=4, method='inclusive'))


def figures(sample):
    """The numbers of one round of one device; 'void' says why it does not count, or None."""
    delivered = max(sample.delivered, 1)
    round_ = {
        'busy_cycles_per_packet': sample.cycles / delivered,
        'mpps': sample.delivered / sample.seconds / 1e6,
        'packets_per_poll': sample.received / max(sample.polls, 1),
        'egress_drops': sample.drops / max(sample.received, 1),
        'busy_share': sample.cycles / sample.seconds / sample.clock if sample.clock else 0,
    }
    round_['void'] = void(sample, round_)
    return round_


def void(sample, round_):
    if not sample.delivered or not sample.cycles:
        return 'no packets'
    if round_['egress_drops'] > MOST_DROPS:
        return f'{100 * round_["egress_drops"]:.1f} % dropped'
    if round_['packets_per_poll'] < LEAST_PER_POLL:
        return f'{round_["packets_per_poll"]:.1f} packets a poll'
    if round_['busy_share'] > CLOCK_SLACK:
        return 'more cycles than the clock has'
    return None


def ratios(rounds, name, reference):
    """Of each round in which both samples count."""
    return [a['busy_cycles_per_packet'] / b['busy_cycles_per_packet']
            for a, b in zip(rounds[name], rounds[reference]) if not a['void'] and not b['void']]


def undecided(rounds, case, least):
    """More rounds may still tell on which side of a bar it is."""
    values = ratios(rounds, case.contestants[0].name, case.reference)
    low, _, high = quartiles(values)
    return len(values) < least or any(bar and low < bar < high for bar in (case.bar, case.goal))


def measure(case, plan, say):
    """One case with all devices: a list of results, one for each."""
    with Lab('bench') as lab:
        contestants = [devices.make(lab, case, contestant) for contestant in case.contestants]
        for device in contestants:
            device.launch()
        for device in contestants:
            device.start()
        rounds = {device.name: [] for device in contestants}
        for number in range(plan.most):
            if number >= plan.least and not undecided(rounds, case, plan.least):
                break
            for device in contestants:
                rounds[device.name].append(figures(device.sample(plan.seconds)))
        stages = {device.name: device.stages() for device in contestants}
        wrong = [w for w in (device.finish() for device in contestants) if w]
    return conclude(case, rounds, stages, wrong, say)


def insane(rounds, wrong):
    """Why no ratio of this case may be believed, or None."""
    if wrong:
        return '; '.join(wrong)
    if 'testpmd-macswap' not in rounds:
        return None
    peers = ratios(rounds, 'testpmd-macswap', 'testpmd-io')
    if len(peers) < LEAST_ROUNDS:
        return f'{len(peers)} rounds in which both peers count, {LEAST_ROUNDS} are needed'
    middle = statistics.median(peers)
    if not PEERS[0] <= middle <= PEERS[1]:
        return f'macswap takes {middle:.2f} times the cycles of io: the machine is not quiet'
    return None


def conclude(case, rounds, stages, wrong, say):
    reason = insane(rounds, wrong)
    if reason:
        say(f'{case.name}: no ratios: {reason}')
    return [_result(case, name, rounds, stages[name], reason) for name in rounds]


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
