#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""The CNI plugin as a runtime calls it, with Debian's IPAM plugins and a daemon in a script. Prints TAP.

    tests/smoke/test_cni_fake.py --build DIR [--ipam /usr/lib/cni] [--only PART_OF_A_NAME]
"""
import argparse
import concurrent.futures
import json
import os
import shutil
import signal
import socket
import stat
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
VERSIONS = ["0.1.0", "0.2.0", "0.3.0", "0.3.1", "0.4.0", "1.0.0", "1.1.0"]
CID = "0123456789abcdef0123456789abcdef"
TESTS = []


def test(function):
    TESTS.append(function)
    return function


def same(have, want, what=""):
    if have != want:
        raise AssertionError(f"{what}: have {have!r}, want {want!r}")


def true(value, what):
    if not value:
        raise AssertionError(what)


class Answer:
    def __init__(self, done):
        self.code = done.returncode
        self.out = done.stdout
        self.err = done.stderr
        self.json = json.loads(done.stdout) if done.stdout.strip() else None

    def ok(self):
        same(self.code, 0, f"exit status ({self.out} {self.err})")
        return self

    def fails(self, code, *words):
        true(self.code != 0, f"must fail with {code}, printed {self.out}")
        same(self.json["code"], code, f"code in {self.out} {self.err}")
        true(self.json["cniVersion"] in VERSIONS, "cniVersion of the error")
        text = self.json["msg"] + self.json.get("details", "")
        for word in words:
            true(word in text, f"{word!r} in {text!r}")
        return self


class Lab:
    """One temporary directory, one network namespace and one fake daemon for a test."""

    def __init__(self, options):
        self.options = options
        self.dir = tempfile.mkdtemp(prefix="podrail-cni-")
        self.run = f"{self.dir}/run"
        os.makedirs(f"{self.dir}/bin")
        os.mkdir(self.run)
        self.plugin = f"{options.build}/cni/podrail"
        for name in ("host-local", "static"):
            os.symlink(f"{options.ipam}/{name}", f"{self.dir}/bin/{name}")
        self.holder = subprocess.Popen(["unshare", "-n", "sh", "-c", "echo; exec sleep 1000"],
                                       stdout=subprocess.PIPE)
        self.holder.stdout.readline()
        self.netns = f"/proc/{self.holder.pid}/ns/net"
        self.daemon = None
        self.control({})
        self.start()

    def close(self):
        self.stop()
        self.holder.kill()
        self.holder.wait()
        self.holder.stdout.close()
        shutil.rmtree(self.dir, ignore_errors=True)

    def control(self, value):
        with open(f"{self.dir}/control.tmp", "w", encoding="utf-8") as file:
            json.dump(value, file)
        os.rename(f"{self.dir}/control.tmp", f"{self.dir}/control")

    def start(self):
        self.daemon = subprocess.Popen([sys.executable, f"{HERE}/cni_fake_daemon", "--socket", f"{self.run}/control.sock",
                                        "--control", f"{self.dir}/control"])
        for _ in range(200):
            try:
                self.rpc("hello")
                return
            except OSError:
                time.sleep(0.02)
        raise AssertionError("the fake daemon does not start")

    def stop(self, unlink=False):
        if self.daemon:
            self.daemon.send_signal(signal.SIGKILL)
            self.daemon.wait()
            self.daemon = None
        if unlink:
            os.unlink(f"{self.run}/control.sock")

    def rpc(self, method, **params):
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(f"{self.run}/control.sock")
            client.sendall(json.dumps({"jsonrpc": "2.0", "id": 1, "method": method, "params": params}).encode() + b"\n")
            return json.loads(client.makefile().readline())["result"]

    def ports(self):
        return self.rpc("fake.calls")["ports"]

    def calls(self, method):
        return [params for name, params in self.rpc("fake.calls")["calls"] if name == method]

    def conf(self, version="1.0.0", **more):
        conf = {"cniVersion": version, "name": "net-a", "type": "podrail", "network": "routed",
                "daemonSocket": f"{self.run}/control.sock", "socketDir": f"{self.run}/pods",
                "stateDir": f"{self.dir}/state",
                "ipam": {"type": "host-local", "subnet": "198.18.1.0/24", "dataDir": f"{self.dir}/ipam"}}
        conf.update(more)
        return {key: value for key, value in conf.items() if value is not None}

    def cni(self, command, conf, cid=CID, ifname="eth0", netns=None, args="", path=None, text=None, timeout=60, **more):
        env = {"CNI_COMMAND": command, "CNI_CONTAINERID": cid, "CNI_IFNAME": ifname,
               "CNI_NETNS": self.netns if netns is None else netns, "CNI_ARGS": args,
               "CNI_PATH": f"{self.dir}/none:{self.dir}/bin" if path is None else path, **more}
        done = subprocess.run([self.plugin], env={k: v for k, v in env.items() if v is not None},
                              input=json.dumps(conf) if text is None else text, text=True,
                              capture_output=True, timeout=timeout, check=False)
        return Answer(done)

    def reservations(self, name="net-a"):
        try:
            return sorted(f for f in os.listdir(f"{self.dir}/ipam/{name}") if f[0].isdigit())
        except FileNotFoundError:
            return []

    def files(self):
        found = []
        for top in (f"{self.run}/pods", f"{self.run}/cni"):
            for where, _, names in os.walk(top):
                found += [os.path.relpath(f"{where}/{n}", self.run) for n in names]
                if where != top:
                    found.append(os.path.relpath(where, self.run) + "/")
        return sorted(found)

    def nothing_left(self):
        same(self.reservations(), [], "addresses left")
        same(self.files(), [], "files left")
        if self.daemon:
            same(self.ports(), {}, "ports left")

    def script(self, name, body):
        path = f"{self.dir}/bin/{name}"
        with open(path, "w", encoding="utf-8") as file:
            file.write("#!/bin/sh\n" + body)
        os.chmod(path, 0o755)


# --- environment and configuration ------------------------------------------------------------

@test
def version_needs_nothing(lab):
    lab.stop()
    for stdin in ('{"cniVersion":"0.4.0"}', '{"cniVersion":"9.9"}', "", "nonsense"):
        env = {"CNI_COMMAND": "VERSION", "CNI_NETNS": "dummy", "CNI_IFNAME": "dummy", "CNI_PATH": "dummy", "CNI_CONTAINERID": ""}
        done = subprocess.run([lab.plugin], env=env, input=stdin, text=True, capture_output=True, check=False)
        same(done.returncode, 0, done.stdout)
        same(json.loads(done.stdout)["supportedVersions"], VERSIONS)
        same(json.loads(done.stdout)["cniVersion"], "0.4.0" if "0.4" in stdin else "1.1.0")


@test
def no_command_says_what_it_is(lab):
    done = subprocess.run([lab.plugin], env={}, input="", text=True, capture_output=True, check=False)
    same((done.returncode, done.stdout, len(done.stderr.splitlines())), (0, "", 1))


@test
def environment_is_checked(lab):
    conf = lab.conf()
    for name in ("CNI_CONTAINERID", "CNI_NETNS", "CNI_IFNAME", "CNI_PATH"):
        for command in ("ADD", "CHECK", "DEL", "STATUS", "GC"):
            answer = lab.cni(command, lab.conf("1.1.0", **{"cni.dev/valid-attachments": []}), **{name: None})
            if name == "CNI_PATH" or (command in ("ADD", "CHECK")) or (command == "DEL" and name != "CNI_NETNS"):
                answer.fails(4, "required env variables", name)
            elif command != "CHECK":
                answer.ok()
    lab.cni("ADD", conf, cid="", ifname="").fails(4, "CNI_CONTAINERID,CNI_IFNAME")
    lab.cni("add", conf).fails(4, "unknown CNI_COMMAND")
    for cid in ("../x", "-x", "a b", "a/b", "ä"):
        lab.cni("ADD", conf, cid=cid).fails(4, "containerID")
    for ifname in (".", "..", "a/b", "a:b", "a b", "0123456789abcdef"):
        lab.cni("ADD", conf, ifname=ifname).fails(4, "CNI_IFNAME")
    lab.cni("ADD", conf, args="FOO=1").fails(4, "FOO=1")
    lab.cni("ADD", conf, args="FOO").fails(4, "FOO")
    lab.cni("ADD", conf, args="MAC=zz").fails(4, "MAC")
    lab.cni("ADD", conf, netns="/proc/self/ns/net").fails(8, "netns")
    lab.cni("ADD", conf, netns=f"{lab.dir}/none").fails(3, "CNI_NETNS")
    lab.cni("ADD", conf, path="/nowhere").fails(7, "host-local")
    lab.nothing_left()
    lab.cni("ADD", conf, netns="/proc/self/ns/net", CNI_NETNS_OVERRIDE="1").ok()
    lab.cni("DEL", conf, netns="/proc/self/ns/net").fails(8, "netns")
    lab.nothing_left()


@test
def configuration_is_checked(lab):
    for text in ("", "{", "[]", "{} x", '{"cniVersion":1}', '"x"', "{\"a\":\"\\u0000", "x" * 2000000):
        lab.cni("ADD", None, text=text).fails(6)
    lab.cni("ADD", lab.conf("1.2.0")).fails(1, "1.2.0", "1.1.0")
    lab.cni("ADD", lab.conf(name=None)).fails(7, "missing network name")
    lab.cni("ADD", lab.conf(name="a b")).fails(7, "network name")
    lab.cni("ADD", lab.conf(name="../../x")).fails(7, "network name")
    text = json.dumps(lab.conf())
    lab.cni("ADD", None, text=text[:-1] + ', "name": "b"}').fails(7, "twice")
    bad = {"queues": [0, 9, 1.5, "1"], "mtu": [67, 9001, "x"], "vlan": [-1, 4095], "mac": ["x", "01:00:00:00:00:01", 1],
           "mode": ["x", 1], "socketDir": ["relative", 1], "socketName": ["a/b", "..", "", "x" * 65, "eth0.json"],
           "socketVolume": ["a/b", ".."], "trust": [1, "yes"], "isolated": ["x"], "trunk": [1, ["x"], [0], [5000], ["9-3"], ["1-2-3"]],
           "allowedPrefixes": ["x", ["x"], [1]], "allowedMACs": [["x"]], "floodRate": [-1], "ipam": [[], {"subnet": "x"},
           {"type": "../x"}, {"type": "podrail"}], "runtimeConfig": [{"mac": "x"}, {"ips": ["x"]}, 7], "args": [{"cni": 1},
           {"cni": {"queues": 77}}], "network": ["", "a/b", "nowhere"], "ipamTimeout": [0]}
    for key, values in bad.items():
        for value in values:
            answer = lab.cni("ADD", lab.conf(**{key: value}), args="K8S_POD_UID=u1")
            answer.fails(7)
            true(key.split("Config")[0] in answer.json["msg"] or key in ("args", "socketName"), f"{key}: {answer.out}")
    unsupported = {"kind": "kernel", "ipMasq": True, "bridge": "cni0", "hairpinMode": True,
                   "runtimeConfig": {"portMappings": [{"hostPort": 1, "containerPort": 2, "protocol": "tcp"}]}}
    for key, value in unsupported.items():
        lab.cni("ADD", lab.conf(**{key: value})).fails(2, key if key != "runtimeConfig" else "portMappings")
    lab.cni("ADD", lab.conf(runtimeConfig={"bandwidth": {"ingressRate": 1, "ingressBurst": 1}})).fails(2, "bandwidth", "ingressRate")
    lab.cni("ADD", lab.conf(ipam=None)).fails(7, "ipam")
    lab.cni("ADD", lab.conf(socketVolume="v")).fails(4, "K8S_POD_UID")
    lab.cni("ADD", lab.conf(args={"cni": {"trust": True}})).fails(2, "trust")
    lab.nothing_left()
    answer = lab.cni("ADD", lab.conf(somethingNew={"a": 1}, ipMasq=False, runtimeConfig={"portMappings": [], "bandwidth": {},
                                     "somethingElse": 1})).ok()
    true("somethingNew" in answer.err and "somethingElse" in answer.err, answer.err)
    same(len(answer.err.splitlines()), 2)


# --- ADD --------------------------------------------------------------------------------------

@test
def add_answers_in_every_version(lab):
    for index, version in enumerate(VERSIONS):
        cid = f"c{index}" * 10
        out = lab.cni("ADD", lab.conf(version), cid=cid).ok().json
        port = lab.ports()[f"{cid[:12]}-eth0"]
        address, mac = port["addresses"][0], port["mac"]
        path = f"{lab.run}/pods/{cid[:12]}/eth0.sock"
        interface = {"name": "eth0", "mac": mac, "sandbox": lab.netns}
        ip = {"interface": 0, "address": address, "gateway": "198.18.1.1"}
        route = {"dst": "0.0.0.0/0", "gw": "198.18.1.1"}
        if version in ("0.1.0", "0.2.0"):
            want = {"ip4": {"ip": address, "gateway": "198.18.1.1", "routes": [route]}}
        elif version < "1.0.0":
            want = {"interfaces": [interface], "ips": [{"version": "4", **ip}], "routes": [route]}
        elif version == "1.0.0":
            want = {"interfaces": [interface], "ips": [ip], "routes": [route]}
        else:
            want = {"interfaces": [{**interface, "mtu": 1500, "socketPath": path}], "ips": [ip], "routes": [route]}
        same(out, {"cniVersion": version, **want, "dns": {}}, version)
        lab.cni("DEL", lab.conf(version), cid=cid).ok()
    lab.nothing_left()


@test
def add_tells_the_daemon_everything(lab):
    conf = lab.conf(network="bridged", vlan=7, trunk=[1, "10-20"], isolated=True, queues=2, mtu=9000, floodRate=5,
                    mode="server", socketGroup=4242, allowedPrefixes=["192.0.2.0/24"], allowedMACs=["02:00:00:00:00:0a"],
                    podArgs=True, args={"cni": {"trust": True, "queues": 4, "allowedPrefixes": ["2001:db8::/64"], "labels": {}}},
                    dns={"nameservers": ["192.0.2.53"]})
    args = "IgnoreUnknown=1;X=y;K8S_POD_NAMESPACE=ns;K8S_POD_NAME=pod;K8S_POD_UID=u-1;K8S_POD_INFRA_CONTAINER_ID=z"
    out = lab.cni("ADD", conf, args=args, ifname="net@1").ok().json
    same(out["dns"], {"nameservers": ["192.0.2.53"]})
    same(out["routes"], [], "a bridged network gets no default route of its own")
    port = lab.ports()["0123456789ab-net_1"]
    created = port["cni"].pop("created")
    true(abs(created - time.time()) < 60, "created")
    for key, want in {"kind": "vhost-user", "network": "bridged", "vlan": 7, "trunk": [1, "10-20"], "isolated": True,
                      "queues": 4, "mtu": 9000, "floodRate": 5, "mode": "server", "socketGroup": 4242, "trust": True,
                      "allowedPrefixes": ["192.0.2.0/24", "2001:db8::/64"], "allowedMacs": ["02:00:00:00:00:0a"],
                      "socket": f"{lab.run}/pods/0123456789ab/net@1.sock", "addresses": ["198.18.1.2/24"],
                      "cni": {"containerId": CID, "ifname": "net@1", "netns": lab.netns, "podNamespace": "ns",
                              "podName": "pod", "podUid": "u-1", "networkName": "net-a",
                              "socketDirectory": f"{lab.run}/pods/0123456789ab"}}.items():
        same(port[key], want, key)
    st = os.stat(f"{lab.run}/pods/0123456789ab")
    same((st.st_gid, oct(st.st_mode & 0o7777)), (4242, "0o2750"))
    lab.cni("DEL", conf, ifname="net@1").ok()
    lab.nothing_left()


@test
def mac_comes_from_the_strongest_source(lab):
    macs = [f"02:00:00:00:00:0{i}" for i in range(4)]
    sources = [{"mac": macs[0]}, {}, {"args": {"cni": {"mac": macs[2]}}}, {"runtimeConfig": {"mac": macs[3]}}]
    for strongest in range(4):
        conf = lab.conf()
        for source in sources[:strongest + 1]:
            conf.update(source)
        out = lab.cni("ADD", conf, args=f"IgnoreUnknown=1;MAC={macs[1]}" if strongest >= 1 else "").ok().json
        same(out["interfaces"][0]["mac"], macs[strongest])
        lab.cni("DEL", conf).ok()


@test
def pod_file_and_device_info(lab):
    path = f"{lab.dir}/devinfo/cni/x-device.json"
    for mode, side in (("client", "server"), ("server", "client")):
        conf = lab.conf(mode=mode, mountPath="/sock", runtimeConfig={"CNIDeviceInfoFile": path})
        lab.cni("ADD", conf).ok()
        with open(path, encoding="utf-8") as file:
            device = json.load(file)
        same(device, {"type": "vhost-user", "version": "1.1.0", "vhost-user": {"mode": side, "path": "/sock/eth0.sock"}})
        name = f"{lab.run}/pods/0123456789ab/eth0.json"
        same(oct(os.stat(name).st_mode & 0o777), "0o644")
        with open(name, encoding="utf-8") as file:
            info = json.load(file)
        port = lab.ports()["0123456789ab-eth0"]
        want = {"deviceInfo": device, "ifname": "eth0", "socket": "eth0.sock", "mode": side, "queues": 1, "mtu": 1500,
                "mac": port["mac"], "addresses": [{"address": port["addresses"][0], "gateway": "198.18.1.1"}],
                "routes": [{"dst": "0.0.0.0/0", "gw": "198.18.1.1"}], "gatewayMac": "02:70:72:00:00:01"}
        for key, value in want.items():
            same(info[key], value, key)
        lab.cni("DEL", lab.conf()).ok()
        true(not os.path.exists(path), "device-info file left by a DEL whose configuration does not name it")
        lab.nothing_left()


@test
def bridged_without_ipam(lab):
    conf = lab.conf("1.1.0", network="bridged", ipam=None)
    out = lab.cni("ADD", conf).ok().json
    same((out["ips"], out["routes"], out["interfaces"][0]["mtu"]), ([], [], 9000))
    lab.cni("CHECK", {**conf, "prevResult": out}).ok()
    lab.cni("DEL", conf).ok()
    lab.nothing_left()


@test
def static_addresses_get_the_link_gateway(lab):
    ipam = {"type": "static", "addresses": [{"address": "192.0.2.9/24"}, {"address": "2001:db8::9/64", "gateway": "2001:db8::1"}]}
    for version in ("0.2.0", "0.3.1", "1.1.0"):
        out = lab.cni("ADD", lab.conf(version, ipam=ipam)).ok().json
        if version == "0.2.0":
            same(out["ip4"]["gateway"], "169.254.1.1")
            same(out["ip6"]["routes"], [{"dst": "::/0", "gw": "2001:db8::1"}])
        else:
            same(out["routes"], [{"dst": "169.254.1.1/32"}, {"dst": "0.0.0.0/0", "gw": "169.254.1.1"},
                                 {"dst": "::/0", "gw": "2001:db8::1"}])
        same(lab.ports()["0123456789ab-eth0"]["addresses"], ["192.0.2.9/24", "2001:db8::9/64"])
        lab.cni("DEL", lab.conf(version, ipam=ipam)).ok()
    ipam = {"type": "static", "addresses": [{"address": "2001:db8::9/128"}]}
    out = lab.cni("ADD", lab.conf("1.0.0", ipam=ipam)).ok().json
    same((out["ips"][0]["gateway"], out["routes"]), ("fe80::1", [{"dst": "::/0", "gw": "fe80::1"}]))
    lab.cni("DEL", lab.conf("1.0.0", ipam=ipam)).ok()


@test
def requested_address_reaches_ipam(lab):
    out = lab.cni("ADD", lab.conf(args={"cni": {"ips": ["198.18.1.77"]}})).ok().json
    same(out["ips"][0]["address"], "198.18.1.77/24")
    lab.cni("DEL", lab.conf()).ok()
    out = lab.cni("ADD", lab.conf("1.1.0"), args="IgnoreUnknown=1;IP=198.18.1.78").ok().json
    same(out["ips"][0]["address"], "198.18.1.78/24")
    lab.cni("ADD", lab.conf(ipam=None, network="bridged"), ifname="e2", args="IP=198.18.1.78").fails(2, "IP")


@test
def previous_result_is_kept(lab):
    prev = {"cniVersion": "1.0.0", "interfaces": [{"name": "lo", "sandbox": lab.netns}, {"name": "x"}],
            "ips": [{"interface": 1, "address": "192.0.2.1/24"}], "routes": [{"dst": "192.0.2.0/24"}], "dns": {"domain": "a.b"}}
    out = lab.cni("ADD", lab.conf(prevResult=prev)).ok().json
    same([i["name"] for i in out["interfaces"]], ["lo", "x", "eth0"])
    same([(i["interface"], i["address"]) for i in out["ips"]], [(1, "192.0.2.1/24"), (2, "198.18.1.2/24")])
    same((out["dns"], len(out["routes"])), ({"domain": "a.b"}, 2))
    lab.cni("CHECK", lab.conf(prevResult=out)).ok()
    lab.cni("ADD", lab.conf(prevResult={"ips": 7}), ifname="e1").fails(6, "prevResult")


@test
def existing_port_is_an_error_and_stays(lab):
    lab.cni("ADD", lab.conf()).ok()
    before = lab.reservations()
    lab.cni("ADD", lab.conf()).fails(101, "exists")
    same((len(lab.ports()), lab.reservations()), (1, before))
    same(os.listdir(f"{lab.run}/pods/0123456789ab"), ["eth0.json"])
    other = CID[:12] + "ffff"
    lab.cni("ADD", lab.conf(), cid=other).fails(101, "exists")
    same((len(lab.ports()), lab.reservations()), (1, before))
    shutil.rmtree(f"{lab.run}/cni")
    lab.cni("ADD", lab.conf(), cid=other).fails(101, "exists")
    same((len(lab.ports()), lab.reservations()), (1, before))
    lab.cni("DEL", lab.conf(), cid=other).ok()
    same(len(lab.ports()), 1, "a DEL for another container of the same prefix")
    lab.cni("DEL", lab.conf()).ok()
    lab.nothing_left()


@test
def several_interfaces_share_the_directory(lab):
    conf2 = lab.conf(name="net-b", network="bridged")
    lab.cni("ADD", lab.conf()).ok()
    lab.cni("ADD", conf2, ifname="net1").ok()
    same(sorted(os.listdir(f"{lab.run}/pods/0123456789ab")), ["eth0.json", "net1.json"])
    with socket.socket(socket.AF_UNIX) as app:
        app.bind(f"{lab.run}/pods/0123456789ab/eth0.sock")
    lab.cni("DEL", lab.conf()).ok()
    same(os.listdir(f"{lab.run}/pods/0123456789ab"), ["net1.json"])
    lab.cni("DEL", conf2, ifname="net1").ok()
    lab.nothing_left()


@test
def volume_of_the_pod(lab):
    kubelet, uid = f"{lab.dir}/kubelet", "d5b1a1a0-0000-4000-8000-000000000001"
    volumes = f"{kubelet}/pods/{uid}/volumes/kubernetes.io~empty-dir"
    os.makedirs(f"{volumes}/sock")
    os.chown(f"{volumes}/sock", 0, 5555)
    conf = lab.conf(socketVolume="sock", kubeletDir=kubelet, mode="server")
    args = f"IgnoreUnknown=1;K8S_POD_UID={uid}"
    lab.cni("ADD", conf, args=args).ok()
    same(os.listdir(f"{volumes}/sock"), ["eth0.json"])
    port = lab.ports()["0123456789ab-eth0"]
    same((port["socket"], port["socketGroup"]), (f"{volumes}/sock/eth0.sock", 5555))
    true(len(port["socket"]) > 0, "socket")
    lab.cni("DEL", conf, netns="").ok()
    same(os.listdir(f"{volumes}/sock"), [], "DEL without K8S_POD_UID")
    lab.cni("DEL", conf, args=args).ok()
    lab.cni("ADD", conf, args="K8S_POD_UID=../../x").fails(4, "K8S_POD_UID")
    lab.cni("ADD", lab.conf(socketVolume="other", kubeletDir=kubelet), args=args).fails(104, "other")
    os.symlink("/tmp", f"{volumes}/link")
    lab.cni("ADD", lab.conf(socketVolume="link", kubeletDir=kubelet), args=args).fails(104, "symbolic link")
    os.rename(f"{kubelet}/pods", f"{kubelet}/real")
    os.symlink("real", f"{kubelet}/pods")
    lab.cni("ADD", conf, args=args).fails(104, "symbolic link")
    lab.nothing_left()


@test
def links_in_the_pods_directory_lead_nowhere(lab):
    victim = f"{lab.dir}/victim"
    os.mkdir(victim)
    with open(f"{victim}/file", "w", encoding="utf-8") as file:
        file.write("x")
    os.makedirs(f"{lab.run}/pods")
    os.symlink(victim, f"{lab.run}/pods/0123456789ab")
    lab.cni("ADD", lab.conf()).fails(104, "symbolic link")
    os.unlink(f"{lab.run}/pods/0123456789ab") if os.path.lexists(f"{lab.run}/pods/0123456789ab") else None
    lab.cni("ADD", lab.conf()).ok()
    pod = f"{lab.run}/pods/0123456789ab"
    os.unlink(f"{pod}/eth0.json")
    os.symlink(f"{victim}/file", f"{pod}/eth0.json")
    os.symlink(victim, f"{pod}/dir")
    os.makedirs(f"{pod}/deep/er")
    lab.cni("DEL", lab.conf()).ok()
    same(os.listdir(victim), ["file"])
    lab.nothing_left()


@test
def parallel_containers(lab):
    cids = [f"{i:02d}" + "f" * 30 for i in range(24)]
    conf = lab.conf("1.1.0")
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        outs = [a.ok().json for a in pool.map(lambda c: lab.cni("ADD", conf, cid=c), cids)]
        same(len({o["ips"][0]["address"] for o in outs}), len(cids))
        same(len(lab.ports()), len(cids))
        for answer in pool.map(lambda c: lab.cni("DEL", conf, cid=c), cids):
            answer.ok()
    lab.nothing_left()


# --- failing ADD ------------------------------------------------------------------------------

@test
def daemon_down_or_busy(lab):
    lab.stop()
    lab.cni("ADD", lab.conf()).fails(11)
    os.unlink(f"{lab.run}/control.sock")
    lab.cni("ADD", lab.conf()).fails(11)
    lab.nothing_left()
    lab.start()
    lab.control({"fail": {"port.add": [-32016, "starting"]}})
    lab.cni("ADD", lab.conf()).fails(11, "starting")
    lab.nothing_left()


@test
def daemon_refuses(lab):
    for code, want in {-32602: 7, -32010: 101, -32011: 7, -32013: 103, -32014: 102, -32015: 104, -32001: 105,
                       -32017: 5, -32603: 999}.items():
        lab.control({"fail": {"port.add": [code, "because", "socket"]}})
        lab.cni("ADD", lab.conf(runtimeConfig={"CNIDeviceInfoFile": f"{lab.dir}/di"})).fails(want, "because", "socket")
        if code == -32010:
            lab.cni("DEL", lab.conf()).ok()
        lab.nothing_left()


@test
def daemon_dies_in_port_add(lab):
    lab.control({"die": ["port.add"]})
    lab.cni("ADD", lab.conf()).fails(11)
    lab.daemon.wait()
    lab.daemon = None
    same(os.listdir(f"{lab.dir}/state/tombstones"), ["0123456789ab-eth0"], "the port may be stored")
    lab.nothing_left()


@test
def ipam_fails(lab):
    log = f"{lab.dir}/ipam.log"
    result = 'echo \'{"cniVersion":"1.0.0","ips":[{"address":"198.18.1.9/24"}]}\''
    bodies = {
        "own-error": ('echo \'{"cniVersion":"1.0.0","code":123,"msg":"no room","details":"at all"}\'; exit 1', 123, "no room"),
        "silent": ("exit 3", 999, "status 3"),
        "nonsense": ("echo hello", 6, "JSON"),
        "empty": ("echo '{}'", 6, "missing IP"),
        "bad-address": ('echo \'{"ips":[{"address":"x"}]}\'', 6, "address"),
        "no-prefix": ('echo \'{"ips":[{"address":"192.0.2.1"}]}\'', 6, "address"),
        "bad-version": ('echo \'{"cniVersion":"7.0.0","ips":[]}\'', 6, "cniVersion"),
        "endless": ("yes", 6, "more than"),
        "killed": ("kill -9 $$", 999, "137"),
        "hangs": ("sleep 100 & sleep 100", 11, "within 1 s"),
        "says-and-fails": (f"{result}; sleep 0.2; exit 3", 999, "status 3"),
        "says-and-hangs": (f"{result}; sleep 100", 11, "within 1 s"),
    }
    for name, (body, code, word) in bodies.items():
        lab.script("bad", f'echo "$CNI_COMMAND" >> {log}\n[ "$CNI_COMMAND" = DEL ] && exit 0\n{body}\n')
        conf = lab.conf(ipam={"type": "bad"}, ipamTimeout=1)
        start = time.time()
        lab.cni("ADD", conf).fails(code, word)
        true(time.time() - start < 10, f"{name} takes too long")
        with open(log, encoding="utf-8") as file:
            same(file.read().split(), ["ADD", "DEL"], f"{name}: delegated commands")
        os.unlink(log)
        lab.nothing_left()


@test
def ipam_that_fails_after_its_answer_tells_why(lab):
    """Its failure is the one that is told, also when the daemon has refused the port meanwhile."""
    lab.script("late", '[ "$CNI_COMMAND" = DEL ] && exit 0\necho \'{"ips":[{"address":"198.18.1.9/24"}]}\'; sleep 0.2; exit 4\n')
    lab.control({"fail": {"port.add": [-32014, "taken", "addresses[0]"]}})
    lab.cni("ADD", lab.conf(ipam={"type": "late"})).fails(999, "status 4")
    lab.control({})
    lab.nothing_left()


@test
def ipam_answers_in_pieces(lab):
    lab.script("slow", '[ "$CNI_COMMAND" = DEL ] && exit 0\nprintf \'{"ips":[{"address":"198.18.1.9/2\'; sleep 0.1; '
               'printf \'4"}],"dns":{}\'; sleep 0.1; echo "}"; sleep 0.1; echo\n')
    conf = lab.conf(ipam={"type": "slow"})
    same(lab.cni("ADD", conf).ok().json["ips"][0]["address"], "198.18.1.9/24")
    lab.cni("DEL", conf).ok()
    lab.nothing_left()


@test
def ipam_sees_environment_and_configuration(lab):
    lab.script("spy", f'cat > {lab.dir}/stdin.$CNI_COMMAND; env > {lab.dir}/env.$CNI_COMMAND; echo spied >&2\n'
               'echo \'{"cniVersion":"1.0.0","ips":[{"address":"192.0.2.5/24"}]}\'\n')
    for version, sent in (("0.3.1", "0.3.1"), ("1.1.0", "1.0.0")):
        conf = lab.conf(version, ipam={"type": "spy", "big": 1e300, "deep": {"x": [None, "é\n"]}}, extra="kept")
        answer = lab.cni("ADD", conf, args="IgnoreUnknown=1;A=b").ok()
        true("spied" in answer.err, "stderr is passed through")
        with open(f"{lab.dir}/stdin.ADD", encoding="utf-8") as file:
            same(json.load(file), {**conf, "cniVersion": sent})
        with open(f"{lab.dir}/env.ADD", encoding="utf-8") as file:
            true("CNI_ARGS=IgnoreUnknown=1;A=b\n" in file.read(), "CNI_ARGS")
        lab.cni("DEL", {**conf, "prevResult": answer.json}).ok()
        with open(f"{lab.dir}/stdin.DEL", encoding="utf-8") as file:
            seen = json.load(file)
        same((seen["cniVersion"], seen["prevResult"]["cniVersion"]), (sent, sent))
        true("mtu" not in seen["prevResult"]["interfaces"][0], "prevResult in the form of 1.0.0")


@test
def device_info_that_can_not_be_written(lab):
    with open(f"{lab.dir}/file", "w", encoding="utf-8"):
        pass
    lab.cni("ADD", lab.conf(runtimeConfig={"CNIDeviceInfoFile": f"{lab.dir}/file/x.json"})).fails(5, "device-info")
    lab.nothing_left()


@test
def killed_add_is_cleaned_by_del(lab):
    lab.control({"hang": ["port.add"]})
    process = subprocess.Popen([lab.plugin], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env={
        "CNI_COMMAND": "ADD", "CNI_CONTAINERID": CID, "CNI_IFNAME": "eth0", "CNI_NETNS": lab.netns, "CNI_PATH": f"{lab.dir}/bin"})
    process.stdin.write(json.dumps(lab.conf()).encode())
    process.stdin.close()
    for _ in range(300):
        if lab.reservations() and os.path.isdir(f"{lab.run}/pods/0123456789ab"):
            break
        time.sleep(0.01)
    process.kill()
    process.wait()
    true(lab.reservations() and lab.files(), "ADD was killed half way")
    lab.control({})
    lab.cni("DEL", lab.conf(socketDir=f"{lab.dir}/elsewhere")).ok()
    lab.nothing_left()


# --- DEL --------------------------------------------------------------------------------------

@test
def del_twice_and_of_nothing(lab):
    conf = lab.conf("1.1.0")
    out = lab.cni("ADD", conf).ok().json
    answer = lab.cni("DEL", {**conf, "prevResult": out}).ok()
    same(answer.out, "", "DEL prints nothing")
    lab.nothing_left()
    lab.cni("DEL", conf, netns="").ok()
    lab.cni("DEL", conf, netns=f"{lab.dir}/gone").ok()
    lab.cni("DEL", lab.conf(ipam=None), cid="neverseen").ok()
    lab.cni("DEL", lab.conf(ipam={"type": "missing"}), cid="neverseen").ok()
    lab.cni("DEL", lab.conf(queues="x", kind="kernel", mode=3, ipMasq=True, runtimeConfig={"mac": 7, "portMappings": [1]})).ok()
    lab.cni("DEL", lab.conf(ipam=None, runtimeConfig=7, args=8, prevResult=9, dns=10), args="=;A;MAC=z").ok()
    lab.cni("DEL", lab.conf(socketVolume="v"), netns="").ok()
    lab.nothing_left()


@test
def del_goes_on_when_parts_are_missing(lab):
    for spoil in ("pods", "cni", "both", "netns", "port", "address"):
        lab.cni("ADD", lab.conf(), cid=CID).ok()
        if spoil in ("pods", "both"):
            shutil.rmtree(f"{lab.run}/pods")
        if spoil in ("cni", "both"):
            shutil.rmtree(f"{lab.run}/cni")
        if spoil == "port":
            lab.rpc("port.del", name="0123456789ab-eth0")
        if spoil == "address":
            shutil.rmtree(f"{lab.dir}/ipam")
        lab.cni("DEL", lab.conf(), netns="" if spoil == "netns" else None).ok()
        lab.nothing_left()


@test
def del_with_the_daemon_down(lab):
    for unlink in (False, True):
        lab.cni("ADD", lab.conf()).ok()
        lab.stop(unlink)
        lab.cni("DEL", lab.conf(), netns="").ok()
        lab.nothing_left()
        with open(f"{lab.dir}/state/tombstones/0123456789ab-eth0", encoding="utf-8") as file:
            stone = json.load(file)
        with open("/proc/sys/kernel/random/boot_id", encoding="utf-8") as file:
            same(stone, {"port": "0123456789ab-eth0", "containerId": CID, "bootId": file.read().strip()})
        same(os.listdir(f"{lab.dir}/state/tombstones"), ["0123456789ab-eth0"])
        lab.cni("DEL", lab.conf(), netns="").ok()
        shutil.rmtree(f"{lab.dir}/state")
        lab.start()


@test
def del_with_a_hanging_daemon(lab):
    lab.cni("ADD", lab.conf()).ok()
    lab.control({"hang": ["port.del"]})
    start = time.time()
    lab.cni("DEL", lab.conf()).ok()
    true(time.time() - start < 15, "DEL waits too long")
    true(os.path.exists(f"{lab.dir}/state/tombstones/0123456789ab-eth0"), "tombstone")
    same((lab.reservations(), lab.files()), ([], []))


@test
def tombstone_that_can_not_be_written_keeps_the_address(lab):
    lab.cni("ADD", lab.conf()).ok()
    lab.stop()
    with open(f"{lab.dir}/state", "w", encoding="utf-8"):
        pass
    lab.cni("DEL", lab.conf()).fails(5, "tombstone")
    same(len(lab.reservations()), 1, "the address is freed only when the port can not come back")
    os.unlink(f"{lab.dir}/state")
    lab.cni("DEL", lab.conf()).ok()
    lab.nothing_left()


@test
def del_that_the_daemon_refuses_keeps_the_address(lab):
    lab.cni("ADD", lab.conf()).ok()
    lab.control({"fail": {"port.del": [-32603, "broken"]}})
    lab.cni("DEL", lab.conf()).fails(999, "broken")
    same(len(lab.reservations()), 1)
    lab.control({})
    lab.cni("DEL", lab.conf()).ok()
    lab.nothing_left()


@test
def del_reports_an_ipam_that_leaks(lab):
    lab.cni("ADD", lab.conf()).ok()
    os.unlink(f"{lab.dir}/bin/host-local")
    lab.cni("DEL", lab.conf()).fails(7, "host-local")
    os.symlink(f"{lab.options.ipam}/host-local", f"{lab.dir}/bin/host-local")
    lab.cni("DEL", lab.conf()).ok()
    lab.nothing_left()


# --- CHECK, STATUS, GC ------------------------------------------------------------------------

@test
def check(lab):
    for version in ("0.4.0", "1.0.0", "1.1.0"):
        conf = lab.conf(version)
        out = lab.cni("ADD", conf).ok().json
        answer = lab.cni("CHECK", {**conf, "prevResult": out}).ok()
        same(answer.out, "")
        lab.cni("CHECK", conf).fails(7, "prevResult")
        more = json.loads(json.dumps(out))
        more["interfaces"].append({"name": "other"})
        more["ips"].append({"interface": 1, "address": "192.0.2.1/24", **({"version": "4"} if version < "1" else {})})
        lab.cni("CHECK", {**conf, "prevResult": more}).ok()
        for change, word in ((lambda r: r["interfaces"][0].update(mac="02:00:00:00:00:99"), "Mac"),
                             (lambda r: r["ips"][0].update(address="198.18.1.99/24"), "addr"),
                             (lambda r: r["interfaces"][0].update(sandbox="/x"), "prevResult")):
            wrong = json.loads(json.dumps(out))
            change(wrong)
            lab.cni("CHECK", {**conf, "prevResult": wrong}).fails(106, word)
        lab.rpc("port.del", name="0123456789ab-eth0")
        lab.cni("CHECK", {**conf, "prevResult": out}).fails(106, "0123456789ab-eth0")
        lab.cni("DEL", conf).ok()
    out = lab.cni("ADD", lab.conf()).ok().json
    shutil.rmtree(f"{lab.dir}/ipam")
    true(lab.cni("CHECK", lab.conf(prevResult=out)).code != 0, "the delegate's CHECK must fail")
    lab.stop()
    lab.cni("CHECK", lab.conf(prevResult=out)).fails(11)
    for version in VERSIONS[:4]:
        lab.cni("CHECK", lab.conf(version)).fails(1, "CHECK")


@test
def status(lab):
    conf = lab.conf("1.1.0")
    same(lab.cni("STATUS", conf).ok().out, "")
    lab.cni("STATUS", conf, cid=None, ifname=None, netns="").ok()
    lab.control({"status": {"ready": False, "portsFree": 0, "reason": "full"}})
    lab.cni("STATUS", conf).fails(50, "full")
    lab.control({"status": {"ready": False, "portsFree": 3, "reason": "uplink down"}})
    lab.cni("STATUS", conf).fails(51, "uplink down")
    lab.control({})
    lab.cni("STATUS", lab.conf("1.1.0", network="nowhere")).fails(50, "nowhere")
    lab.cni("STATUS", lab.conf("1.1.0", ipam={"type": "missing"})).fails(50, "missing")
    lab.script("modern", 'if [ "$CNI_COMMAND" = VERSION ]; then echo \'{"cniVersion":"1.1.0","supportedVersions":["1.0.0","1.1.0"]}\'; exit; fi\n'
               f'cat > {lab.dir}/seen.$CNI_COMMAND\n[ -e {lab.dir}/down ] && {{ echo \'{{"code":50,"msg":"dry"}}\'; exit 1; }}\nexit 0\n')
    conf = lab.conf("1.1.0", ipam={"type": "modern"})
    lab.cni("STATUS", conf).ok()
    with open(f"{lab.dir}/seen.STATUS", encoding="utf-8") as file:
        same(json.load(file), conf)
    with open(f"{lab.dir}/down", "w", encoding="utf-8"):
        pass
    lab.cni("STATUS", conf).fails(50, "dry")
    lab.stop()
    lab.cni("STATUS", conf).fails(50)
    for version in VERSIONS[:6]:
        lab.cni("STATUS", lab.conf(version)).fails(1, "STATUS")
        lab.cni("GC", lab.conf(version)).fails(1, "GC")


def three_attachments(lab):
    """Two of net-a, of which the first is to stay, and one of net-b."""
    for cid in ("keepkeepkeep1", "gonegonegone2"):
        lab.cni("ADD", lab.conf("1.1.0"), cid=cid).ok()
    lab.cni("ADD", lab.conf("1.1.0", name="net-b"), cid="othernetwork3").fails(102)
    lab.cni("ADD", lab.conf("1.1.0", name="net-b", network="bridged"), cid="othernetwork3").ok()
    return lab.conf("1.1.0", **{"cni.dev/valid-attachments": [{"containerID": "keepkeepkeep1", "ifname": "eth0"}]})


def only_the_stale_one_is_gone(lab):
    same(sorted(os.listdir(f"{lab.run}/pods")), ["keepkeepkeep", "othernetwork"])
    same(len(lab.reservations()), 1)
    same(len(lab.reservations("net-b")), 1)
    same([f for f in lab.files() if f.endswith("-eth0.json")], ["cni/keepkeepkeep-eth0.json", "cni/othernetwork-eth0.json"])


@test
def gc(lab):
    conf = three_attachments(lab)
    same(lab.cni("GC", conf, cid=None, ifname=None, netns="").ok().out, "")
    only_the_stale_one_is_gone(lab)
    same(sorted(lab.ports()), ["keepkeepkeep-eth0", "othernetwork-eth0"])
    lab.cni("GC", conf).ok()
    for bad in (None, {}, [7], [{"containerID": "x"}], "x"):
        lab.cni("GC", lab.conf("1.1.0", **{"cni.dev/valid-attachments": bad})).fails(7, "valid-attachments")
    same(len(lab.ports()), 2, "a damaged list removes nothing")
    lab.cni("GC", None, text=json.dumps({**conf, "cni.dev/valid-attachments": None})).ok()
    same(sorted(lab.ports()), ["othernetwork-eth0"])
    same(lab.reservations(), [])


@test
def gc_with_the_daemon_down(lab):
    conf = three_attachments(lab)
    lab.stop()
    lab.cni("GC", conf).fails(11)
    only_the_stale_one_is_gone(lab)
    same(os.listdir(f"{lab.dir}/state/tombstones"), ["gonegonegone-eth0"])


@test
def gc_that_the_daemon_refuses_frees_nothing(lab):
    conf = three_attachments(lab)
    lab.control({"fail": {"cni.gc": [-32603, "broken"]}})
    lab.cni("GC", conf).fails(999, "broken")
    same((len(lab.reservations()), len(lab.ports())), (2, 3))


@test
def gc_goes_to_an_ipam_that_knows_it(lab):
    lab.script("modern", 'if [ "$CNI_COMMAND" = VERSION ]; then echo \'{"cniVersion":"1.1.0","supportedVersions":["1.1.0"]}\'; exit; fi\n'
               f'cat > {lab.dir}/seen.$CNI_COMMAND\n')
    conf = lab.conf("1.1.0", ipam={"type": "modern"}, **{"cni.dev/valid-attachments": []})
    lab.cni("GC", conf).ok()
    with open(f"{lab.dir}/seen.GC", encoding="utf-8") as file:
        same(json.load(file), conf)


@test
def directories_are_for_those_who_need_them(lab):
    lab.cni("ADD", lab.conf()).ok()
    same(oct(stat.S_IMODE(os.stat(f"{lab.run}/pods/0123456789ab").st_mode)), "0o770")
    lab.cni("DEL", lab.conf()).ok()
    os.makedirs(f"{lab.run}/pods", exist_ok=True)
    os.chown(f"{lab.run}/pods", 0, 6666)
    lab.cni("ADD", lab.conf()).ok()
    st = os.stat(f"{lab.run}/pods/0123456789ab")
    same((st.st_gid, oct(st.st_mode & 0o7777)), (6666, "0o2770"))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    asan = os.environ.get("PODRAIL_FLAVOUR") == "asan"
    build = os.environ.get("PODRAIL_BUILD_ASAN" if asan else "PODRAIL_BUILD")
    parser.add_argument("--build", default=build, required=not build)
    parser.add_argument("--ipam", default="/usr/lib/cni")
    parser.add_argument("--only", default="")
    options = parser.parse_args()
    options.build = os.path.abspath(options.build)
    chosen = [t for t in TESTS if options.only in t.__name__]
    print(f"1..{len(chosen)}", flush=True)
    missing = [p for p in (f"{options.build}/cni/podrail", f"{options.ipam}/host-local", f"{options.ipam}/static") if not os.path.exists(p)]
    failed = 0
    for number, function in enumerate(chosen, 1):
        problem, lab = None, None
        try:
            true(not missing, f"missing: {missing}")
            lab = Lab(options)
            function(lab)
        except Exception as error:  # pylint: disable=broad-except
            problem = f"{type(error).__name__}: {error}"
        finally:
            if lab:
                lab.close()
        failed += bool(problem)
        print(f"{'not ok' if problem else 'ok'} {number} - cni: {function.__name__.replace('_', ' ')}")
        if problem:
            print("\n".join("# " + line for line in problem.splitlines()), flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
