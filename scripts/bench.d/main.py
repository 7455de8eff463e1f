# SPDX-License-Identifier: BSD-3-Clause
"""scripts/bench's work: the cases of the data plane, then the control plane; the table; the JSON."""

import argparse
import json
import os
import sys
import time

HERE = os.path.dirname(os.path.realpath(__file__))
sys.path[:0] = [HERE, os.path.join(HERE, '..', '..', 'tests', 'smoke')]

import cases      # noqa: E402
import control    # noqa: E402
import measure    # noqa: E402
import plots      # noqa: E402
import report     # noqa: E402

# Seconds from the start, after which no case gets more rounds than it must have: the rest takes what is left of 20 minutes.
LATE = {True: 90, False: 780}


START = time.monotonic()


def say(text):
    print(f'bench: {time.monotonic() - START:4.0f} s: {text}', file=sys.stderr, flush=True)


def arguments():
    parser = argparse.ArgumentParser(prog='scripts/bench', add_help=False)
    parser.add_argument('--quick', action='store_true')
    parser.add_argument('--only', action='append', default=[])
    parser.add_argument('--json')
    parser.add_argument('--markdown', action='store_true')
    parser.add_argument('--list', action='store_true')
    parser.add_argument('--plot', metavar='FILE')
    parser.add_argument('--plots', metavar='DIRECTORY', default=os.path.join(HERE, '..', '..', 'docs', 'plots'))
    return parser.parse_args()


def prefer_self(nice):
    """To stop a generator in time although it spins on our CPU. Children start at the usual priority."""
    os.setpriority(os.PRIO_PROCESS, 0, nice)


def run(options):
    results = {'machine': report.machine(), 'quick': options.quick, 'cases': [], 'control': {}}
    failed = False
    worlds = cases.worlds(cases.selected(options.only, options.quick))
    plan = measure.Plan(options.quick, START + LATE[options.quick])
    os.register_at_fork(after_in_child=lambda: os.setpriority(os.PRIO_PROCESS, 0, 0))
    prefer_self(-20)
    for world, chosen in worlds:
        measured = []
        try:
            measured = measure.measure(world, chosen, plan, say)
        except Exception as e:  # noqa: the other worlds can be measured all the same
            say(f'{world.name} could not be measured: {e}')
        failed |= {r['case'] for r in measured} != {c.name for c in chosen}
        results['cases'] += measured
        if options.json:   # what is there is not lost when the rest is interrupted
            report.write_json(results, options.json)
    prefer_self(0)   # plugins and daemon shall be equals
    for name in control.names(options.only):
        say(f'control: {name}')
        try:
            results['control'][name] = control.run(name, options.quick)
        except Exception as e:  # noqa
            failed = True
            say(f'{name} could not be measured: {e}')
    results['seconds'] = round(time.monotonic() - START)
    return results, failed


def bad(results):
    everything = [*results['cases'], *results['control'].values()]
    return any(r.get('verdict') in ('fail', 'not measured', 'undecided') or r.get('no_ratio') for r in everything)


def former(options):
    """--plot: the pictures of a run, and on demand its tables; nothing is measured."""
    with open(options.plot, encoding='utf-8') as f:
        results = json.load(f)
    for path in plots.draw(results, options.plots):
        say(f'drew {os.path.relpath(path)}')
    if options.markdown:
        print(report.text(results, True))
    return 0


def main():
    options = arguments()
    if options.plot:
        return former(options)
    if options.list:
        for case in cases.selected(options.only, options.quick):
            bars = [f'{what} <= {bar:g}' for what, bar in (('pass', case.bar), ('goal', case.goal)) if bar]
            print(f'{case.name:40}{", ".join(bars)} x {case.reference}' if bars else case.name)
        for name in control.names(options.only):
            print(f'{name:40}{control.BARS[name]}' if name in control.BARS else name)
        return 0
    if not cases.selected(options.only) and not control.names(options.only):
        say(f'error: nothing has {" or ".join(options.only)} in its name: see --list')
        return 2
    if len(os.sched_getaffinity(0)) < 2:
        say('error: two CPUs are needed, one for the device and one for its generator')
        return 1
    if options.json:  # what can not be written should be known before, not after 15 minutes
        open(options.json, 'a', encoding='utf-8').close()
    results, failed = run(options)
    print(report.text(results, options.markdown))
    if options.json:
        report.write_json(results, options.json)
    return 1 if failed or bad(results) else 0


if __name__ == '__main__':
    try:
        sys.exit(main())
    except OSError as e:
        say(f'error: {e}')
        sys.exit(1)
