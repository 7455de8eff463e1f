# SPDX-License-Identifier: BSD-3-Clause
"""Worlds of devices, started once, walked through the traffic of all their cases in rounds of alternating samples."""

import time

import contestants
from cases import points
from figures import LEAST_ROUNDS, conclude, figures, overcounted, undecided
from lib import Lab


class Plan:
    """How long to look: seconds a sample; rounds at least and at most, of cases with a bar and of others."""

    def __init__(self, quick, end=None):
        self.seconds = 0.3
        self.least, self.most = (5, 8) if quick else (9, 31)
        self.others = (5, 5) if quick else (LEAST_ROUNDS, 5)
        self.short = 0.3 if quick else 0.2
        self.end = end   # then nothing gets more rounds than it must have

    def wants_more(self, case, rounds, number):
        least, most = (self.least, self.most) if case.bar else self.others
        if number < least:
            return True
        if number >= most or (self.end is not None and time.monotonic() > self.end):
            return False
        return not case.bar or undecided(rounds, case, self.least)


class Measured:
    """The devices of one world, and what is wrong with those that fail."""

    def __init__(self, lab, world, cases, say):
        self.world = world
        self.say = say
        self.dead = {}     # Spec: why
        order = points(cases)
        size = max(c.size for c in cases)
        self.devices = {}
        self.coming = {}   # Spec: traffic that follows
        for case in (case for point in order for case in point):
            for c in case.contestants:
                self.devices.setdefault(c.spec, None)
                ahead = self.coming.setdefault(c.spec, [])
                if c.traffic not in ahead:
                    ahead.append(c.traffic)
        for number, spec in enumerate(self.devices):
            self.devices[spec] = contestants.make(lab, world, spec, f'{spec.kind}-{number}', size)

    def start(self):
        for action in ('launch', 'start'):
            for spec, device in self.devices.items():
                self.attempt(spec, getattr(device, action))

    def attempt(self, spec, call, *arguments):
        """What the device does, unless it is dead, or dies of it."""
        if spec in self.dead:
            return None
        try:
            return call(*arguments)
        except Exception as e:  # noqa: the others can be measured all the same
            self.dead[spec] = str(e).strip() or type(e).__name__
            self.say(f'{self.world.name}: {spec.kind} is out: {e}')
            self.devices[spec].kill()
            return None

    def begin(self, spec):
        """The device's next traffic."""
        self.attempt(spec, self.devices[spec].begin, self.coming[spec].pop(0))

    def end(self, spec):
        """What became of its traffic (generator.Ended); None from a dead one. After its last traffic it goes."""
        device = self.devices[spec]
        ended = self.attempt(spec, device.end)
        if not self.coming[spec]:
            self.attempt(spec, device.finish)
            if ended and spec in self.dead:
                ended = ended._replace(wrong=f'it did not end well: {self.dead[spec]}')
        return ended

    def point(self, cases, plan):
        """Cases that share samples: their results. Each device in them has one traffic."""
        specs = list(dict.fromkeys(c.spec for case in cases for c in case.contestants))
        for spec in specs:
            self.begin(spec)
        rounds = {spec: [] for spec in specs}
        open_cases, number = [c for c in cases if self.can(c)], 0
        while open_cases:
            open_cases = [c for c in open_cases if self.can(c) and plan.wants_more(c, _of(c, rounds), number)]
            seconds = plan.seconds if any(c.bar for c in cases) else plan.short
            for spec in dict.fromkeys(c.spec for case in open_cases for c in case.contestants):
                sample = self.attempt(spec, self.devices[spec].sample, seconds)
                if sample:
                    rounds[spec].append(figures(sample, self.devices[spec].clock))
            number += 1
        stages = {spec: self.attempt(spec, self.devices[spec].stages) for spec in specs}
        ends = {spec: self.end(spec) for spec in specs}
        return [r for case in cases for r in self.judge(case, rounds, stages, ends)]

    def can(self, case):
        """Who is judged and the reference are there."""
        needed = {case.contestants[0].name, case.reference}
        return not any(c.name in needed and c.spec in self.dead for c in case.contestants)

    def judge(self, case, rounds, stages, ends):
        there = [c for c in case.contestants if rounds[c.spec]]
        names = [c.name for c in there]
        if case.contestants[0].name not in names or case.reference not in names:
            why = '; '.join(self.dead[c.spec].splitlines()[0] for c in case.contestants if c.spec in self.dead)
            self.say(f'{case.name} could not be measured: {why}')
            return []
        wrong = [f'{c.name}: {w}' for c in there for w in _wrong(c.spec, rounds, ends, self.dead) if w]
        kin = case.reference.split('-')[0]   # whose own ratio tells whether the machine was quiet
        wrong += [f'{c.name} is not there to be compared with {case.reference}' for c in case.contestants
                  if c not in there and c.name.split('-')[0] == kin]
        results = conclude(case, {c.name: rounds[c.spec] for c in there},
                           {c.name: stages[c.spec] for c in there}, wrong)
        for result in results:
            if result['no_ratio'] and result['dut'] == case.contestants[0].name:
                self.say(f'{case.name}: no ratio: {result["no_ratio"]}')
        return results


def _of(case, rounds):
    return {c.name: rounds[c.spec] for c in case.contestants}


def _wrong(spec, rounds, ends, dead):
    if ends[spec] is None:
        return [dead.get(spec, 'it did not end')]
    return [ends[spec].wrong, overcounted(rounds[spec], ends[spec].received)]


def measure(world, cases, plan, say):
    """All cases of a world: a list of results, one for each case and device."""
    results = []
    with Lab('bench') as lab:
        measured = Measured(lab, world, cases, say)
        measured.start()
        order = points(cases)
        for number, point in enumerate(order, 1):
            say(f'{world.name} {number}/{len(order)}: {", ".join(c.name for c in point)}')
            results += measured.point(point, plan)
    return results
