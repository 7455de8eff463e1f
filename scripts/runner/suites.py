# SPDX-License-Identifier: BSD-3-Clause
"""The suites: what there is to run, and with which options."""

import collections
import fnmatch
import glob
import json
import os
import re
import subprocess

TREE = os.path.realpath(os.path.join(os.path.dirname(__file__), '..', '..'))
SMOKE = f'{TREE}/tests/smoke'

# argv, extra environment, seconds it may take; tags: the words of a smoke test's header.
Suite = collections.namedtuple('Suite', 'name argv env limit tags')

ASAN_ENV = {
    'ASAN_OPTIONS': 'detect_leaks=1:exitcode=99',
    'UBSAN_OPTIONS': 'print_stacktrace=1',
}


def matches(name, patterns):
    return not patterns or any(
        fnmatch.fnmatch(name, p) or fnmatch.fnmatch(name, f'*{p}*') for p in patterns)


def unit_names():
    """Before anything is built, by their sources."""
    return sorted(os.path.basename(p)[:-len('_test.c')] for p in glob.glob(f'{TREE}/tests/unit/*_test.c'))


def unit(build, flavour):
    done = subprocess.run(['meson', 'introspect', '--tests', build],
                          capture_output=True, text=True, timeout=60)
    if done.returncode:
        raise RuntimeError(f'meson introspect: {done.stderr or done.stdout}')
    suites = []
    for t in json.loads(done.stdout):
        env = {**t.get('env', {}), 'CMOCKA_MESSAGE_OUTPUT': 'TAP'}
        if flavour == 'asan':
            env.update(ASAN_ENV)
        suites.append(Suite(f'unit/{t["name"]}', t['cmd'], env, t.get('timeout') or 300, {}))
    return suites


def header(path):
    """'# podrail-test: limit=120 flavours=release mutants=ttl long' as a dictionary."""
    with open(path, encoding='utf-8', errors='replace') as f:
        for line in f.readlines()[:12]:
            found = re.match(r'#\s*podrail-test:\s*(.*)', line)
            if found:
                words = (w.partition('=') for w in found[1].split())
                return {k: v for k, _, v in words}
    return {}


def smoke():
    suites = []
    for path in sorted(glob.glob(f'{SMOKE}/test_*')):
        if os.path.isfile(path) and os.access(path, os.X_OK):
            tags = header(path)
            suites.append(Suite(f'smoke/{os.path.basename(path)}', [path], {},
                                int(tags.get('limit', 300)), tags))
    return suites


def flavours(suite):
    return suite.tags.get('flavours', 'release,asan').split(',')


def mutants(build):
    """The daemons that were broken on purpose."""
    return sorted(os.path.basename(p)[len('podraild-'):] for p in glob.glob(f'{build}/control/podraild-*')
                  if os.path.isfile(p))


def kills(suite, mutant):
    """Has this smoke test said that it finds this fault?"""
    words = suite.tags.get('mutants', '').split(',')
    return mutant in words or 'all' in words
