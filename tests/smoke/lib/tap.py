# SPDX-License-Identifier: BSD-3-Clause
"""Test Anything Protocol on stdout."""

import contextlib
import sys
import time
import traceback


class Skip(Exception):
    pass


class Tap:
    """
    t = Tap()
    t.ok(condition, 'description', 'what is said only if it failed')
    with t.case('description'):      # ok unless it raises
        ...
    t.done()                         # prints the plan and exits
    """

    def __init__(self, plan=None):
        self.count = 0
        self.failed = 0
        self.plan = plan
        self.finished = False
        if plan is not None:
            self._print(f'1..{plan}')

    @staticmethod
    def _print(line):
        print(line, flush=True)

    def note(self, text):
        for line in str(text).splitlines():
            self._print('# ' + line)

    def ok(self, condition, description, detail=''):
        self.count += 1
        self._print(f'{"ok" if condition else "not ok"} {self.count} - {description}')
        if not condition:
            self.failed += 1
            self.note(detail() if callable(detail) else detail)
        return bool(condition)

    def equal(self, got, wanted, description):
        return self.ok(got == wanted, description, f'got {got!r}, wanted {wanted!r}')

    def skip(self, description, reason):
        self.count += 1
        self._print(f'ok {self.count} - {description} # SKIP {reason}')

    @contextlib.contextmanager
    def case(self, description):
        start = time.monotonic()
        try:
            yield
        except Skip as e:
            self.skip(description, str(e))
        except Exception:  # noqa: the test goes on with its next case
            self.ok(False, description, traceback.format_exc())
        else:
            self.ok(True, f'{description} ({time.monotonic() - start:.1f} s)')

    def raises(self, kind, call, description):
        """ok if call raises kind; returns the exception, or None."""
        try:
            value = call()
        except kind as e:
            self.ok(True, description)
            return e
        except Exception:
            self.ok(False, description, traceback.format_exc())
        else:
            self.ok(False, description, f'it returned {value!r}')
        return None

    def bail(self, reason):
        self._print(f'Bail out! {reason}')
        sys.exit(1)

    @staticmethod
    def skip_all(reason):
        print(f'1..0 # SKIP {reason}', flush=True)
        sys.exit(0)

    def done(self):
        if self.plan is None:
            self._print(f'1..{self.count}')
        elif self.plan != self.count:
            self.note(f'{self.plan} tests were planned and {self.count} were run')
            self.failed += 1
        self.finished = True
        sys.exit(1 if self.failed else 0)
