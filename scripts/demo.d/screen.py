# SPDX-License-Identifier: BSD-3-Clause
"""What the person in front of the demo sees."""

import os
import sys
import time

_COLOUR = sys.stdout.isatty() and not os.environ.get('NO_COLOR')
_start = time.monotonic()
_WIDTH = 44


def _paint(code, text):
    return f'\033[{code}m{text}\033[0m' if _COLOUR else text


def elapsed():
    return time.monotonic() - _start


def heading(title, explanation):
    print(f'\n{_paint("1", title)}  {_paint("2", f"({elapsed():.0f} s)")}')
    say(explanation)


def say(text):
    print(f'  {text}', flush=True)


def show(what, figure, good=None):
    """One aligned line; good: True, False, or None when there is nothing to judge."""
    mark = '' if good is None else _paint('32', ' ok') if good else _paint('31', ' FAILED')
    print(f'  {what:<{_WIDTH}}  {figure}{mark}', flush=True)


def last_line(text):
    print('\n' + text, flush=True)


def count(n):
    """1234567 as people read it."""
    return f'{n:,}'


def rate(pps):
    return f'{pps / 1e6:.2f} Mpps' if pps >= 1e6 else f'{pps / 1e3:.0f} kpps'


def plural(n, word):
    return f'{count(n)} {word}' + ('' if n == 1 else 's')
