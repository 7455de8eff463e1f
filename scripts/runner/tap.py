# SPDX-License-Identifier: BSD-3-Clause
"""Reading TAP, and results of tests."""

import collections
import re

Result = collections.namedtuple('Result', 'suite name status detail')
PASS, FAIL, SKIP = 'pass', 'fail', 'skip'

_LINE = re.compile(r'^(not )?ok\b\s*(\d+)?\s*-?\s*(.*?)\s*$')
_PLAN = re.compile(r'^1\.\.(\d+)(?:\s*#\s*SKIP\S*\s*(.*))?$', re.I)
_SKIP = re.compile(r'\s*#\s*SKIP\S*\s*(.*)$', re.I)


def parse(suite, text, status, stopped=''):
    """
    Results of one program from what it printed. Its exit status counts too, and so does a plan
    that was not kept: a test that dies early has failed. Without TAP, the program is one test.
    stopped says why we ended it; that is one failure, whatever else is missing for it.
    """
    results = []
    plan = None
    bail = None
    lines = text.splitlines()
    is_tap = any(_PLAN.match(line) for line in lines) or any(
        re.match(r'^(not )?ok \d+', line) for line in lines)
    if not is_tap and not stopped:
        if status == 77:
            return [Result(suite, '', SKIP, lines[-1] if lines else 'exit status 77')]
        return [Result(suite, '', PASS if status == 0 else FAIL,
                       '' if status == 0 else ending(status) + '\n' + tail(lines))]
    for i, line in enumerate(lines):
        if (found := _PLAN.match(line)):
            plan = int(found[1])
            if plan == 0:
                results.append(Result(suite, '', SKIP, found[2] or 'no reason given'))
        elif line.startswith('Bail out!'):
            bail = line
        elif (found := _LINE.match(line)):
            name = found[3]
            skip = _SKIP.search(name)
            if skip:
                name = name[:skip.start()]
            if found[1]:
                results.append(Result(suite, name, FAIL, '\n'.join(comments_after(lines, i))))
            elif skip:
                results.append(Result(suite, name, SKIP, skip[1] or 'no reason given'))
            else:
                results.append(Result(suite, name, PASS, ''))
    ran = len(results)
    problems = []
    if bail:
        problems.append(bail)
    if stopped:
        problems.append(stopped)
    elif plan is None:
        problems.append('it printed no plan: it ended early')
    elif plan and plan != ran:
        problems.append(f'{plan} tests were planned and {ran} were run')
    if status and not stopped and not any(r.status == FAIL for r in results):
        problems.append(ending(status))
    for problem in problems:
        results.append(Result(suite, problem, FAIL, tail(lines)))
    return results


def ending(status):
    return f'it was killed by signal {-status}' if status < 0 else f'its exit status was {status}'


def comments_after(lines, i, limit=60):
    found = []
    for line in lines[i + 1:]:
        if not line.startswith('#') or len(found) == limit:
            break
        found.append(line)
    return found


def tail(lines, count=25):
    return '\n'.join(lines[-count:])
