# SPDX-License-Identifier: BSD-3-Clause
"""Waiting for events instead of sleeping for a guess."""

import time


class WaitError(Exception):
    pass


def wait_for(what, condition, timeout=10, step=0.02):
    """Calls condition until it is true and returns its value. `what` is for the error."""
    end = time.monotonic() + timeout
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > end:
            raise WaitError(f'after {timeout} s still waiting for {what} (last: {value!r})')
        time.sleep(step)
