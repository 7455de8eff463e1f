# SPDX-License-Identifier: BSD-3-Clause
"""What became of every packet: of the generator's by its own account, of the drops by podraild's."""

import screen

MILLION = 1_000_000
RING = 1024
# A kill repeats at most the batch whose used entries were not published yet.
BATCH = 64


class Account:
    def __init__(self):
        self.sent = self.received = 0
        self.missing = self.duplicated = self.reordered = self.corrupted = 0
        self.dropped = 0           # all drops of podraild's, those to the stopped pod too
        self.dropped_stopped = 0   # of them
        self.modes = {}            # name -> packets of the generator received
        self.failures = []

    def check(self, what, figure, good, why=''):
        screen.show(what, figure, bool(good))
        if not good:
            self.failures.append(f'{what}: {figure}' + (f' ({why})' if why else ''))
        return good

    def add(self, counts, mode=None):
        """Counts of podrail-gen's JSON."""
        self.sent += counts['sent']
        self.received += counts['received']
        self.missing += counts['missing']
        self.duplicated += counts['duplicated']
        self.reordered += counts['reordered']
        # At the wrong port or with the wrong address: as good as broken.
        self.corrupted += counts['corrupted'] + counts['unexpected']
        if mode:
            self.modes[mode] = self.modes.get(mode, 0) + counts['received']

    def add_pings(self, sent, answered):
        self.sent += sent
        self.received += answered
        self.missing += sent - answered

    @property
    def good(self):
        return not (self.failures or self.missing or self.duplicated or self.reordered or
                    self.corrupted or self.dropped != self.dropped_stopped)

    def line(self):
        return (f'demo: {self.sent / MILLION:.2f} million sent, '
                f'{self.received / MILLION:.2f} million received, {self.missing} missing, '
                f'{self.duplicated} duplicated, {self.reordered} reordered, '
                f'{self.corrupted} corrupted, {self.dropped} dropped')


def trouble(counts):
    """'0 missing, …' of podrail-gen's counts."""
    return ', '.join(f'{counts[k]} {k}' for k in ('missing', 'duplicated', 'reordered', 'corrupted')) + (
        f', {counts["unexpected"]} unexpected' if counts['unexpected'] else '')


def clean(counts):
    return not any(counts[k] for k in ('missing', 'duplicated', 'reordered', 'corrupted', 'unexpected'))


class Drops:
    """podraild's drop counters, step by step; they start again from 0 with every podraild."""

    def __init__(self, daemon):
        self.daemon = daemon
        self.before = {}

    def restarted(self):
        """A new podraild: what it has dropped so far is the restart's."""
        self.before = {}
        return self.since()

    def since(self):
        """Drops by reason since the last call."""
        now = self.daemon.call('stats.get')['drops']
        new = {r: n - self.before.get(r, 0) for r, n in now.items() if n != self.before.get(r, 0)}
        self.before = now
        return new


def reasons(drops):
    return ', '.join(f'{n} {r}' for r, n in sorted(drops.items())) or 'none'
