# SPDX-License-Identifier: BSD-3-Clause
"""FRR's zebra and bgpd in a namespace of the test's own, started by hand: no service, nothing outside its directory."""

import json
import os
import shutil
import signal

from .process import ProcessError
from .wait import wait_for

PROGRAMS = '/usr/lib/frr'


def missing():
    """Why there can be no FRR, or None."""
    for program in (f'{PROGRAMS}/zebra', f'{PROGRAMS}/bgpd', shutil.which('vtysh') or '/usr/bin/vtysh'):
        if not os.access(program, os.X_OK):
            return f'{program} is not there (Debian package frr)'
    return None


class Frr:
    """zebra puts routes into the kernel of `ns`; bgpd with the configuration `bgp` (text)."""

    def __init__(self, lab, name, ns, bgp):
        self.lab, self.name, self.ns = lab, name, ns
        self.dir = f'{lab.dir}/frr-{name}'
        os.mkdir(self.dir)
        self.zebra = self._start('zebra', 'hostname zebra\n')
        wait_for(f'zebra of {name}', lambda: os.path.exists(f'{self.dir}/zserv.api'), 30)
        self.bgpd = self._start('bgpd', bgp)
        wait_for(f'bgpd of {name}', lambda: self._vtysh('show version').returncode == 0, 30)

    def _start(self, program, config):
        path = f'{self.dir}/{program}.conf'
        with open(path, 'w', encoding='utf-8') as f:
            f.write(config)
        # What it writes to /var/tmp and /run besides is seen by itself alone. It wants a user who belongs to the group
        # frrvty, and one who changes to another would not die with the test any more.
        private = ('mount -t tmpfs none /var/tmp && mkdir -p /run/frr && mount -t tmpfs none /run/frr && '
                   f'sed "s/^frrvty:.*/&,root/" /etc/group >"{self.dir}/group" && mount --bind "{self.dir}/group" /etc/group '
                   '&& exec "$@"')
        return self.lab.spawn(f'{program}-{self.name}', [
            'unshare', '--mount', 'sh', '-c', private, 'sh', f'{PROGRAMS}/{program}', '-u', 'root', '-g', 'root',
            '--vty_socket', self.dir, '-z', f'{self.dir}/zserv.api', '-i', f'{self.dir}/{program}.pid', '-f', path,
            '-P', '0', '--log', 'stdout'], netns=self.ns)

    def _vtysh(self, *commands):
        argv = ['vtysh', '--vty_socket', self.dir, '--config_dir', self.dir, '-d', 'bgpd']
        for command in commands:
            argv += ['-c', command]
        return self.ns.run(*argv, check=False, timeout=30)

    def show(self, command):
        """The JSON answer to `show …`."""
        done = self._vtysh(f'show {command} json')
        if done.returncode:
            raise ProcessError(f'show {command}: {done.stdout}{done.stderr}')
        return json.loads(done.stdout)

    def configure(self, *lines):
        done = self._vtysh('configure terminal', *lines)
        if done.returncode or '%' in done.stdout:
            raise ProcessError(f'{lines}: {done.stdout}{done.stderr}')

    def established(self):
        """Neighbours whose sessions are up."""
        families = self.show('bgp summary').values()
        return {peer for family in families for peer, state in family.get('peers', {}).items()
                if state['state'] == 'Established'}

    def freeze(self):
        """As a machine that stands still: nobody says goodbye for it, its connections stay."""
        for process in (self.bgpd, self.zebra):
            process.send_signal(signal.SIGSTOP)
