# SPDX-License-Identifier: BSD-3-Clause
"""containerd with everything of its own, driven through CRI as kubelet would."""

import collections
import glob
import importlib.util
import json
import os
import shutil
import signal
import subprocess
import uuid

from . import image
from .borrowed import remove_empty
from .podman import runtime
from .process import ProcessError
from .wait import wait_for

IMAGE = 'localhost/bb:latest'
PAUSE = 'localhost/pause:1'
_PROTO = os.path.join(os.path.dirname(__file__), 'cri.proto')
_modules = {}

ExecResult = collections.namedtuple('ExecResult', 'status stdout stderr')


def _messages(directory):
    """Message classes of cri.proto. They can be loaded once in a process."""
    if 'cri' not in _modules:
        subprocess.run(['protoc', f'--python_out={directory}', f'--proto_path={os.path.dirname(_PROTO)}',
                        _PROTO], check=True, timeout=60)
        spec = importlib.util.spec_from_file_location('cri_pb2', f'{directory}/cri_pb2.py')
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        _modules['cri'] = module
    return _modules['cri']


class Cri:
    """Calls of CRI by name: cri.call('RunPodSandbox', config=…) returns the answer's message."""

    def __init__(self, socket, directory):
        # No handlers around fork: our children only exec.
        os.environ.setdefault('GRPC_ENABLE_FORK_SUPPORT', '0')
        import grpc
        self.grpc = grpc
        self.pb = _messages(directory)
        self.channel = grpc.insecure_channel('unix:' + socket)

    def call(self, method, timeout=60, **fields):
        for service in self.pb.DESCRIPTOR.services_by_name.values():
            found = service.methods_by_name.get(method)
            if found:
                break
        else:
            raise ValueError(f'cri.proto has no method {method}')
        request = getattr(self.pb, found.input_type.name)
        answer = getattr(self.pb, found.output_type.name)
        rpc = self.channel.unary_unary(
            f'/{service.full_name}/{method}', request_serializer=request.SerializeToString,
            response_deserializer=answer.FromString)
        return rpc(request(**fields), timeout=timeout)

    def close(self):
        self.channel.close()


class Containerd:
    """
    c = Containerd(lab); c.network('own', [{'type': 'podrail', …}]); p = c.pod('a')
    Errors of CRI are grpc.RpcError (c.cri.grpc.RpcError): .code(), .details().
    """

    def __init__(self, lab, netns=None, plugins=None, programs=None):
        """programs: a directory with another containerd and its shim, first in PATH."""
        self.lab = lab
        self.ns = netns or lab.ns
        self.dir = f'{lab.dir}/cd'
        self.net_dir = f'{self.dir}/net.d'
        os.makedirs(self.net_dir)
        if plugins is None:
            plugins = {'podrail': lab.program('podrail')}
        self.bin_dir = image.plugin_directory(f'{self.dir}/bin', plugins)
        self.socket = f'{self.dir}/c.sock'
        self.path = '/usr/sbin:/usr/bin:/sbin:/bin'
        if programs:
            self.path = f'{programs}:{self.path}'
        self.process = None
        self.cri = None
        self.starts = 0
        self._configure()
        lab.on_close(self.close)
        self.start()
        self._import_images()

    def _configure(self):
        with open(f'{self.dir}/config.toml', 'w', encoding='utf-8') as f:
            f.write(f'''version = 2
root = "{self.dir}/root"
state = "{self.dir}/state"
disabled_plugins = ["io.containerd.snapshotter.v1.btrfs", "io.containerd.snapshotter.v1.zfs", "io.containerd.snapshotter.v1.aufs", "io.containerd.snapshotter.v1.devmapper", "io.containerd.internal.v1.tracing", "io.containerd.nri.v1.nri"]
[grpc]
  address = "{self.socket}"
[ttrpc]
  address = "{self.socket}.ttrpc"
[plugins."io.containerd.internal.v1.opt"]
  path = "{self.dir}/opt"
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "{PAUSE}"
  restrict_oom_score_adj = true
  disable_tcp_service = true
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "{self.bin_dir}"
    conf_dir = "{self.net_dir}"
  [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
    runtime_type = "io.containerd.runc.v2"
    [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
      BinaryName = "{runtime()}"
      Root = "{self.dir}/runc"
''')

    def _environment(self):
        return {'PATH': self.path, 'TMPDIR': self.dir, 'ASAN_OPTIONS': 'exitcode=99:detect_leaks=1'}

    def start(self):
        program = shutil.which('containerd', path=self.path)
        if not program:
            raise ProcessError('containerd is not installed: run scripts/setup')
        self.starts += 1
        self.process = self.lab.spawn(
            'containerd', [program, '-c', f'{self.dir}/config.toml'],
            netns=self.ns, env=self._environment())
        self.cri = Cri(self.socket, self.dir)

        def ready():
            if not self.process.alive:
                raise ProcessError(f'containerd ended:\n{self.process.tail()}')
            try:
                return self.cri.call('Version', timeout=2)
            except self.cri.grpc.RpcError:
                # A channel that failed once waits longer and longer: take a new one.
                self.cri.close()
                self.cri = Cri(self.socket, self.dir)
                return None

        return wait_for('containerd', ready, 30, 0.1)

    def stop(self):
        """Ends containerd; its pods go on."""
        self.cri.close()
        self.process.stop()

    def _import_images(self):
        tar = f'{self.dir}/images.tar'
        docker_archive(tar, {IMAGE: ['/bin/sh'], PAUSE: ['/bin/sleep', '2147483647']})
        self.ctr('images', 'import', tar)
        os.unlink(tar)
        wait_for('the pause image in CRI', lambda: self.cri.call(
            'ImageStatus', image=self.cri.pb.ImageSpec(image=PAUSE)).image.id, 10)

    def ctr(self, *args):
        return self.ns.run('ctr', '-a', self.socket, '-n', 'k8s.io', *args, env=self._environment())

    def network(self, name, plugins, version='1.0.0'):
        """
        Writes NAME.conflist; the first by name is containerd's network. containerd 1.6 sees only
        files that are renamed within the directory.
        """
        plugins = json.loads(json.dumps(plugins))
        for plugin in plugins:
            ipam = plugin.get('ipam')
            if ipam and ipam.get('type') in ('host-local', 'podrail'):
                ipam.setdefault('dataDir', f'{self.dir}/leases')
        path = f'{self.net_dir}/{name}.conflist'
        hidden = f'{self.net_dir}/.{name}.tmp'
        with open(hidden, 'w', encoding='utf-8') as f:
            json.dump({'cniVersion': version, 'name': name, 'plugins': plugins}, f, indent=2)
        os.rename(hidden, path)
        return path

    def condition(self, kind='NetworkReady'):
        status = self.cri.call('Status', verbose=True).status
        return next(c for c in status.conditions if c.type == kind)

    def wait_network(self, timeout=20):
        return wait_for('NetworkReady', lambda: self.condition().status, timeout, 0.1)

    def pod(self, name, namespace='default', uid=None, attempt=0, annotations=None, labels=None,
            port_mappings=(), timeout=60):
        """Runs a sandbox (CNI ADD); returns Pod. grpc.RpcError when it is refused."""
        pb = self.cri.pb
        config = pb.PodSandboxConfig(
            metadata=pb.PodSandboxMetadata(
                name=name, uid=uid or str(uuid.uuid4()), namespace=namespace, attempt=attempt),
            hostname=name, log_directory=f'{self.dir}/podlogs/{name}',
            annotations=annotations or {}, labels=labels or {},
            port_mappings=[pb.PortMapping(**m) for m in port_mappings],
            linux=pb.LinuxPodSandboxConfig(cgroup_parent=f'/{self.lab.name}'))
        answer = self.cri.call('RunPodSandbox', timeout=timeout, config=config)
        return Pod(self, answer.pod_sandbox_id, config)

    def pods(self):
        return list(self.cri.call('ListPodSandbox').items)

    def close(self):
        if self.process.alive:
            for box in self.pods():
                for method in ('StopPodSandbox', 'RemovePodSandbox'):
                    try:
                        self.cri.call(method, pod_sandbox_id=box.id, timeout=20)
                    except self.cri.grpc.RpcError as e:
                        print(f'# {method} {box.metadata.name}: {e.details()}', flush=True)
            self.cri.close()
            self.process.stop()
        self._kill_shims()
        remove_cgroups(self.lab.name)

    def _kill_shims(self):
        """Shims that lost their containerd, and what runs under them."""
        for pid in [int(p) for p in os.listdir('/proc') if p.isdigit()]:
            try:
                with open(f'/proc/{pid}/cmdline', 'rb') as f:
                    arguments = f.read().decode(errors='replace').split('\0')
                if self.socket in arguments and 'shim' in arguments[0]:
                    for child in descendants(pid) + [pid]:
                        os.kill(child, signal.SIGKILL)
            except (OSError, ProcessLookupError):
                continue


def descendants(pid):
    found = []
    try:
        for task in os.listdir(f'/proc/{pid}/task'):
            with open(f'/proc/{pid}/task/{task}/children', encoding='ascii') as f:
                for child in f.read().split():
                    found += descendants(int(child)) + [int(child)]
    except OSError:
        pass
    return found


def remove_cgroups(name):
    """The parent that the pods' own cgroups were made under, in every hierarchy."""
    for path in glob.glob(f'/sys/fs/cgroup/{name}') + glob.glob(f'/sys/fs/cgroup/*/{name}'):
        remove_empty(path)


def docker_archive(path, images):
    """{name: entrypoint} as `docker save` would write them, all of one layer."""
    import hashlib
    import io
    import tarfile

    layer = path + '.layer'
    image.busybox_tar(layer)
    with open(layer, 'rb') as f:
        data = f.read()
    os.unlink(layer)
    manifest = []
    with tarfile.open(path, 'w') as tar:
        def add(name, content):
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            tar.addfile(entry, io.BytesIO(content))

        add('layer.tar', data)
        for name, entrypoint in images.items():
            config = json.dumps({
                'architecture': 'amd64', 'os': 'linux',
                'config': {'Env': ['PATH=' + image.HOST_PATH], 'Entrypoint': entrypoint},
                'rootfs': {'type': 'layers',
                           'diff_ids': ['sha256:' + hashlib.sha256(data).hexdigest()]},
            }).encode()
            config_name = hashlib.sha256(config).hexdigest() + '.json'
            add(config_name, config)
            manifest.append({'Config': config_name, 'RepoTags': [name], 'Layers': ['layer.tar']})
        add('manifest.json', json.dumps(manifest).encode())


class Pod:
    def __init__(self, runtime, sandbox, config):
        self.runtime = runtime
        self.id = sandbox
        self.config = config

    def status(self):
        return self.runtime.cri.call('PodSandboxStatus', pod_sandbox_id=self.id).status

    def info(self):
        """The verbose status: netns path, cniResult, …"""
        answer = self.runtime.cri.call('PodSandboxStatus', pod_sandbox_id=self.id, verbose=True)
        return json.loads(answer.info['info'])

    def container(self, name, command=('/bin/sleep', '2147483647'), mounts=(), devices=(),
                  capabilities=()):
        """Creates and starts one; mounts are (host, inside, readonly), devices are paths."""
        pb = self.runtime.cri.pb
        config = pb.ContainerConfig(
            metadata=pb.ContainerMetadata(name=name), image=pb.ImageSpec(image=IMAGE),
            command=list(command), log_path=f'{name}.log',
            mounts=[pb.Mount(host_path=h, container_path=c, readonly=r) for h, c, r in mounts],
            devices=[pb.Device(host_path=d, container_path=d, permissions='rwm') for d in devices],
            linux=pb.LinuxContainerConfig(security_context=pb.LinuxContainerSecurityContext(
                capabilities=pb.Capability(add_capabilities=list(capabilities)))))
        answer = self.runtime.cri.call('CreateContainer', pod_sandbox_id=self.id, config=config,
                                       sandbox_config=self.config)
        self.runtime.cri.call('StartContainer', container_id=answer.container_id)
        return CriContainer(self.runtime, answer.container_id, f'{self.config.log_directory}/{name}.log')

    def host_mounts(self):
        """mounts with which the machine's programs run inside."""
        paths = (*image.HOST_DIRECTORIES, self.runtime.lab.settings.build)
        return [(p, p, True) for p in paths if os.path.exists(p)]

    def stop(self):
        self.runtime.cri.call('StopPodSandbox', pod_sandbox_id=self.id)

    def remove(self):
        self.runtime.cri.call('RemovePodSandbox', pod_sandbox_id=self.id)


class CriContainer:
    def __init__(self, runtime, container, log):
        self.runtime = runtime
        self.id = container
        self.log = log

    def exec(self, *argv, timeout=30):
        """ExecResult(status, stdout, stderr)."""
        a = self.runtime.cri.call('ExecSync', container_id=self.id, cmd=[str(x) for x in argv],
                                  timeout=timeout + 10)
        return ExecResult(a.exit_code, a.stdout.decode(errors='replace'),
                          a.stderr.decode(errors='replace'))

    def status(self):
        return self.runtime.cri.call('ContainerStatus', container_id=self.id).status

    def logs(self):
        with open(self.log, encoding='utf-8', errors='replace') as f:
            # "time stream tag text"
            return ''.join(line.split(' ', 3)[3] for line in f if line.count(' ') >= 3)

    def remove(self):
        self.runtime.cri.call('StopContainer', container_id=self.id, timeout=30)
        self.runtime.cri.call('RemoveContainer', container_id=self.id)
