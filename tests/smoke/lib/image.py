# SPDX-License-Identifier: BSD-3-Clause
"""The one container image of the tests: busybox, made here, from no registry."""

import io
import os
import tarfile

APPLETS = ('sh', 'ip', 'ping', 'nc', 'sleep', 'cat', 'wget', 'httpd', 'ls', 'mkdir', 'mount')

# With these mounted, the machine's own programs (testpmd, iperf3, podrail-gen) run in a container.
HOST_DIRECTORIES = ('/usr', '/lib', '/lib64', '/etc/alternatives')

# /bin is busybox's: after the machine's, for 'ip' and 'ping' are in both.
HOST_PATH = '/usr/bin:/usr/sbin:/sbin:/bin'


def busybox_tar(path):
    """A root file system as `podman import` takes it."""
    with tarfile.open(path, 'w') as tar:
        for name in ('bin', 'sbin', 'etc', 'tmp', 'proc', 'sys', 'dev', 'run', 'usr', 'lib', 'lib64', 'var'):
            entry = tarfile.TarInfo(name)
            entry.type = tarfile.DIRTYPE
            entry.mode = 0o755 if name != 'tmp' else 0o1777
            tar.addfile(entry)
        for name, target in [(f'bin/{a}', 'busybox') for a in APPLETS] + [('var/run', '/run')]:
            entry = tarfile.TarInfo(name)
            entry.type = tarfile.SYMTYPE
            entry.linkname = target
            tar.addfile(entry)
        entry = tarfile.TarInfo('bin/busybox')
        with open('/bin/busybox', 'rb') as f:
            data = f.read()
        entry.size = len(data)
        entry.mode = 0o755
        tar.addfile(entry, io.BytesIO(data))


def plugin_directory(path, plugins):
    """A CNI bin directory: Debian's plugins and, by name, ours (None: not there yet)."""
    os.makedirs(path, exist_ok=True)
    for source in ('/usr/lib/cni',):
        for name in sorted(os.listdir(source)) if os.path.isdir(source) else ():
            os.symlink(f'{source}/{name}', f'{path}/{name}')
    for name, program in plugins.items():
        if os.path.lexists(f'{path}/{name}'):
            os.unlink(f'{path}/{name}')
        os.symlink(program, f'{path}/{name}')
    return path
