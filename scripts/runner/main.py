# SPDX-License-Identifier: BSD-3-Clause
"""Runs the suites one after the other and adds up their results. Started by scripts/test."""

import argparse
import concurrent.futures
import ctypes
import json
import os
import signal
import subprocess
import sys
import time

import clean
import suites
from tap import FAIL, PASS, SKIP, Result, ending, parse

sys.path.insert(0, suites.SMOKE)
sys.dont_write_bytecode = True

PR_SET_PDEATHSIG = 1
PR_SET_CHILD_SUBREAPER = 36


class Interrupted(Exception):
    pass


class Runner:
    def __init__(self, options):
        self.options = options
        self.build = os.environ.get('PODRAIL_BUILD') or f'{suites.TREE}/build'
        self.asan = f'{self.build}-asan'
        self.logs = f'{self.build}/test-logs'
        self.run_id = f'{os.getpid():x}'
        self.results = []
        self.start = time.monotonic()
        self.running = set()
        os.makedirs(self.logs, exist_ok=True)

    # What is said

    def say(self, text=''):
        print(text, flush=True)

    def add(self, results, seconds=None):
        """Keeps results of one suite and prints their line, and what failed at once."""
        if not results:
            return
        self.results += results
        counts = {s: sum(r.status == s for r in results) for s in (PASS, FAIL, SKIP)}
        text = f'{counts[PASS]} passed'
        if counts[FAIL]:
            text += f', {counts[FAIL]} FAILED'
        if counts[SKIP]:
            text += f', {counts[SKIP]} skipped'
        took = '' if seconds is None else f'{seconds:8.1f} s'
        self.say(f'{"FAIL" if counts[FAIL] else "ok":5}{results[0].suite:45}{took}  {text}')
        for r in results:
            if r.status == FAIL:
                self.say(f'     not ok: {r.name}')
                for line in r.detail.splitlines():
                    self.say(f'       {line}')

    def one(self, suite, name, problem, seconds=None):
        self.add([Result(suite, name, FAIL if problem else PASS, problem or '')], seconds)

    # Running things

    def workers(self, suite, flavour):
        """
        Of the counts 1, 2 and 4 each smoke test sees all: what runs under the sanitizers too has 2
        there, where two workers find what several can do to one another, and 1 and 4 without.
        """
        if self.options.quick:
            return '1'
        if self.options.long or suites.flavours(suite) == ['release']:
            return '1,2,4'
        return '2' if flavour == 'asan' else '1,4'

    def environment(self, suite, flavour, extra):
        quick = self.options.quick
        env = {
            **os.environ, 'PODRAIL_BUILD': self.build, 'PODRAIL_BUILD_ASAN': self.asan,
            'PODRAIL_FLAVOUR': flavour, 'PODRAIL_TEST_RUN': self.run_id,
            'PODRAIL_QUICK': '1' if quick else '0',
            'PODRAIL_LONG': '1' if self.options.long else '0', 'PYTHONDONTWRITEBYTECODE': '1',
        }
        env.setdefault('PODRAIL_WORKERS', self.workers(suite, flavour))
        env.update(extra)
        return env

    def execute(self, argv, env, limit, log):
        """Runs argv to its end or its limit; returns (status, output, seconds, problem)."""
        begin = time.monotonic()
        problem = ''
        with open(log, 'wb') as out:
            process = subprocess.Popen(
                argv, stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.STDOUT, env=env,
                cwd=suites.TREE, start_new_session=True)
            self.running.add(process)
            try:
                status = process.wait(limit)
            except subprocess.TimeoutExpired:
                problem = f'it was stopped after its limit of {limit} s'
                status = self.end_process(process)
            finally:
                if process.poll() is None:
                    self.end_process(process)
                self.running.discard(process)
        with open(log, encoding='utf-8', errors='replace') as f:
            return status, f.read(), time.monotonic() - begin, problem

    @staticmethod
    def end_process(process):
        """Politely, so that the test cleans up; then not."""
        process.terminate()
        try:
            return process.wait(30)
        except subprocess.TimeoutExpired:
            try:
                os.killpg(process.pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
            return process.wait()

    def reap(self):
        """
        Ends what a test left running. As subreaper this process inherits its orphans; they get a
        moment to end by themselves. Returns what had to be killed.
        """
        end = time.monotonic() + 3
        while (left := clean.descendants()) and time.monotonic() < end:
            self.collect()
            time.sleep(0.05)
        for pid, _ in left:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
        if left:
            time.sleep(0.2)
        self.collect()
        return [f'process {pid}: {command[:150]}' for pid, command in left]

    @staticmethod
    def collect():
        try:
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass
        except ChildProcessError:
            pass

    def suite_alone(self, suite, flavour, env=None, label=None):
        """Returns the suite's results without keeping them, and the seconds it took."""
        name = f'{suite.name} ({label or flavour})'
        log = f'{self.logs}/{name.replace("/", "-").replace(" ", "")}.log'
        status, text, seconds, problem = self.execute(
            suite.argv, self.environment(suite, flavour, {**suite.env, **(env or {})}),
            suite.limit * (3 if self.options.long else 1), log)
        results = parse(name, text, status, problem)
        return results or [Result(name, 'it has no test', FAIL, '')], seconds

    def suite(self, suite, flavour, env=None, label=None):
        """The same; what it leaves behind is ended, and is a failure."""
        results, seconds = self.suite_alone(suite, flavour, env, label)
        left = self.reap() + self.sweep()
        if left:
            results.append(Result(results[0].suite, 'nothing is left of it', FAIL, '\n'.join(left)))
        return results, seconds

    def sweep(self):
        from lib.lab import sweep
        return sweep(self.run_id)

    def build_tree(self, directory, *arguments):
        """Returns '' or what went wrong."""
        done = subprocess.run(
            ['bash', '-c', '. "$0"; pr_build "$@"', f'{suites.TREE}/scripts/lib.sh',
             directory, *arguments], capture_output=True, text=True)
        return '' if done.returncode == 0 else (done.stderr or ending(done.returncode))

    def build_suite(self, name, directory, *arguments):
        """Builds, and says whether that went well."""
        begin = time.monotonic()
        self.say(f'...  {name}')
        problem = self.build_tree(directory, *arguments)
        self.one(name, 'it builds', problem, time.monotonic() - begin)
        return not problem

    # The parts

    def wants(self, name):
        return suites.matches(name, self.options.only)

    def check(self):
        if self.wants('check'):
            s = suites.Suite('check', [f'{suites.TREE}/scripts/check'], {}, 300, {})
            self.add(*self.suite(s, 'source'))

    def unit(self, flavour, build):
        """Several at once: they share nothing, and none measures time."""
        wanted = [s for s in suites.unit(build, flavour) if self.wants(s.name)]
        with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
            try:
                for done in pool.map(lambda s: self.suite_alone(s, flavour), wanted):
                    self.add(*done)
            except BaseException:
                pool.shutdown(wait=False, cancel_futures=True)
                for process in list(self.running):
                    self.end_process(process)
                raise
        left = self.reap()
        if left:
            self.one(f'unit ({flavour})', 'nothing is left of them', '\n'.join(left))

    def smoke(self, flavour):
        for s in suites.smoke():
            if self.wants(s.name) and flavour in suites.flavours(s):
                self.add(*self.suite(s, flavour))

    def mutants(self):
        """Each fault built in on purpose must be found by a smoke test that says it finds it."""
        names = suites.mutants(self.build)
        if not names:
            self.add([Result('mutants', 'the build has mutants', FAIL, 'no control/podraild-* in the build')])
        for mutant in names:
            name = f'mutant/{mutant}'
            if self.wants(name) or 'mutant' in self.options.only:
                self.mutant(name, mutant)

    def mutant(self, name, mutant):
        begin = time.monotonic()
        hunters = [s for s in suites.smoke() if suites.kills(s, mutant)]
        env = {'PODRAIL_MUTANT': mutant, 'PODRAIL_WORKERS': '1'}
        found, seen = [], []
        for s in hunters:
            results, _ = self.suite(s, 'release', env, label=f'mutant {mutant}')
            # Failing for another reason (it does not start, it runs into its limit) is no find.
            found += [r.name for r in results if r.status == FAIL and r.name and ' limit of ' not in r.name]
            seen += [f'{r.suite}: {r.status} {r.name}' for r in results]
        if not hunters:
            problem = f'no smoke test has mutants={mutant} in its podrail-test line'
        else:
            problem = '' if found else 'no test turned red:\n' + '\n'.join(seen)
        self.one(name, f'a product broken on purpose is found ({len(found)} tests red)', problem,
                 time.monotonic() - begin)

    def cleanliness(self, before):
        left = self.reap()
        end = time.monotonic() + 10
        while True:
            rows = clean.difference(before, clean.snapshot(self.run_id))
            if not any(text for _, text in rows) or time.monotonic() > end:
                break
            time.sleep(0.5)
        rows.append(('process', '\n'.join(left)))
        self.add([Result('clean', f'no {kind} is left', FAIL if text else PASS, text)
                  for kind, text in rows])

    def everything(self):
        from lib.borrowed import Borrowed
        options = self.options
        borrowed = Borrowed()
        before = clean.snapshot(self.run_id)
        try:
            self.check()
            if self.build_suite('build (release)', self.build):
                if options.mutants:
                    self.mutants()
                else:
                    self.parts()
        finally:
            self.reap()
            self.sweep()
            borrowed.give_back()
        self.cleanliness(before)

    def parts(self):
        options = self.options
        self.unit('release', self.build)
        # gcc 12 warns of what the sanitizers' own checks seem to allow: there, warnings do not count.
        asan = not options.quick and self.build_suite(
            'build (asan)', self.asan, '-Dsanitize=address,undefined', '-Db_lundef=false',
            '-Dwerror=false', '-Doptimization=1')
        if asan:
            self.unit('asan', self.asan)
        self.smoke('release')
        if asan:
            self.smoke('asan')
        if not options.quick and not options.no_mutants:
            self.mutants()

    def summary(self):
        """Prints it and returns the exit status."""
        skipped = [r for r in self.results if r.status == SKIP]
        failed = [r for r in self.results if r.status == FAIL]
        passed = sum(r.status == PASS for r in self.results)
        seconds = time.monotonic() - self.start
        self.say()
        for title, rows in (('Skipped', skipped), ('Failed', failed)):
            if rows:
                self.say(f'{title}:')
            for r in rows:
                reason = f': {r.detail}' if r.status == SKIP else ''
                self.say(f'  {r.suite}  {r.name}{reason}')
        with open(f'{self.logs}/results.json', 'w', encoding='utf-8') as f:
            json.dump([r._asdict() for r in self.results], f, indent=1)
        self.say(f'Total time: {int(seconds) // 60} min {seconds % 60:.0f} s. Logs: {self.logs}')
        self.say(f'{len(skipped)} skipped')
        self.say(f'{passed} passed, {len(failed)} failed')
        return 1 if failed or not passed else 0


def list_suites(options):
    names = ['check'] + [f'unit/{n}' for n in suites.unit_names()] + [s.name for s in suites.smoke()]
    for name in names:
        if suites.matches(name, options.only):
            print(name)


def main():
    parser = argparse.ArgumentParser()
    for flag in ('quick', 'long', 'mutants', 'no-mutants', 'list'):
        parser.add_argument(f'--{flag}', action='store_true')
    parser.add_argument('--only', action='append', default=[])
    options = parser.parse_args()
    if options.list:
        list_suites(options)
        return 0

    def interrupt(number, _frame):
        signal.signal(number, signal.SIG_IGN)
        raise Interrupted(signal.Signals(number).name)

    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, interrupt)
    libc = ctypes.CDLL(None)
    libc.prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    # scripts/test puts the machine's values back: no run goes on without it.
    libc.prctl(PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)
    runner = Runner(options)
    try:
        runner.everything()
    except Interrupted as e:
        runner.one('run', 'it runs to its end', f'{e}: stopped')
    return runner.summary()


if __name__ == '__main__':
    sys.exit(main())
