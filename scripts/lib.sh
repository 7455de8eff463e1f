# SPDX-License-Identifier: BSD-3-Clause
# shellcheck shell=bash
# Functions that setup, test, demo and bench share. Source it; it does nothing by itself.
#   pr_setup [--no-tests] [pages] [least]   everything below, in order
# Values: PODRAIL_TREE (this tree), PODRAIL_BUILD (build directory, default <tree>/build).

PODRAIL_TREE=$(CDPATH='' cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.." && pwd -P)
PODRAIL_BUILD=${PODRAIL_BUILD:-$PODRAIL_TREE/build}
case $PODRAIL_BUILD in
/*) ;;
*) PODRAIL_BUILD=$PWD/$PODRAIL_BUILD ;;
esac
export PODRAIL_TREE PODRAIL_BUILD

# The machine's former values, and who still needs ours.
PR_STATE=/run/podrail-setup
PR_HUGEPAGES=/sys/kernel/mm/hugepages/hugepages-2048kB/nr_hugepages
PR_FREE_HUGEPAGES=/sys/kernel/mm/hugepages/hugepages-2048kB/free_hugepages
PR_AUTOGROUP=/proc/sys/kernel/sched_autogroup_enabled
PR_POLICY=/usr/sbin/policy-rc.d

PR_PACKAGES_BUILD="gcc libc6-dev meson ninja-build pkg-config python3 dpdk dpdk-dev libdpdk-dev
	libcjson-dev libsqlite3-dev libbsd-dev libnuma-dev libcmocka-dev iproute2 procps"
PR_PACKAGES_TEST="podman runc containerd containernetworking-plugins busybox-static catatonit
	iptables nftables iputils-ping ethtool iperf3 tcpdump python3-scapy python3-grpcio
	python3-protobuf protobuf-compiler clang-format shellcheck mandoc jq
	iputils-arping iputils-tracepath traceroute ndisc6 tshark frr gnuplot-nox"
# For tests with real virtual machines. The guests' kernel is only unpacked: pr_guest_kernel.
PR_PACKAGES_QEMU="qemu-system-x86 cpio kmod"
PR_GUEST_KERNEL=linux-image-cloud-amd64

pr_say() {
	printf '%s\n' "podrail: $*" >&2
}

pr_die() {
	pr_say "error: $*"
	exit 1
}

# Can this machine do it? One sentence for each reason why not.
pr_check_machine() {
	local kib pretty

	[ "$(id -u)" = 0 ] ||
		pr_die "this needs root (namespaces, hugepages, packages): run it as root or with sudo"
	pretty=$(. /etc/os-release 2>/dev/null && printf '%s' "${PRETTY_NAME:-unknown}") || pretty=unknown
	if ! command -v apt-get >/dev/null || ! command -v dpkg-query >/dev/null; then
		pr_die "this is $pretty, but packages are installed with apt: use Debian 12"
	fi
	case $pretty in
	"Debian GNU/Linux 12"*) ;;
	*) pr_say "note: this is $pretty; podrail is tested on Debian 12, package names may differ" ;;
	esac
	[ "$(uname -m)" = x86_64 ] ||
		pr_say "note: this is a $(uname -m) machine; podrail is tested on x86_64"
	[ "$(nproc)" -ge 2 ] ||
		pr_die "only one CPU can be used here, and a worker needs one of its own: give the machine 2 CPUs or more"
	kib=$(awk '/^MemTotal:/ { print $2 }' /proc/meminfo)
	# A machine of 2 GiB reports a little less: the kernel keeps some.
	[ "$kib" -ge 1800000 ] ||
		pr_die "this machine has $((kib / 1024)) MiB of memory, and 2 GiB are needed"
	unshare --net --mount true 2>/dev/null ||
		pr_die "network namespaces can not be made here (an unprivileged container?): run it in a virtual machine or in a container with --privileged"
	[ -c /dev/net/tun ] ||
		pr_die "/dev/net/tun is missing: load the module with 'modprobe tun', or start the container with --device /dev/net/tun"
	( : <>/dev/net/tun ) 2>/dev/null ||
		pr_die "/dev/net/tun can not be opened (an unprivileged container?): start the container with --privileged"
	[ -e "$PR_HUGEPAGES" ] ||
		pr_die "this kernel or CPU has no 2 MiB hugepages ($PR_HUGEPAGES is missing): use a kernel with CONFIG_HUGETLBFS"
	( : >>"$PR_HUGEPAGES" ) 2>/dev/null ||
		pr_die "$PR_HUGEPAGES can not be written (an unprivileged container?): start the container with --privileged"
}

pr_installed() {
	[ "$(dpkg-query -W -f '${db:Status-Status}' "$1" 2>/dev/null)" = installed ]
}

# Docker's own package has containerd and runc in it and can not live beside Debian's.
pr_provided() {
	case $1 in
	containerd) pr_installed containerd.io ;;
	runc) pr_installed containerd.io && [ -x /usr/bin/runc ] ;;
	pkg-config) pr_installed pkgconf ;;
	*) false ;;
	esac
}

pr_missing_packages() {
	local p

	for p in "$@"; do
		pr_installed "$p" || pr_provided "$p" || printf '%s\n' "$p"
	done
}

# Packages start their services from their installation scripts unless this program says no.
pr_policy_deny() {
	PR_POLICY_SAVED=
	if [ -e "$PR_POLICY" ] || [ -L "$PR_POLICY" ]; then
		PR_POLICY_SAVED=$PR_POLICY.podrail-saved
		mv -- "$PR_POLICY" "$PR_POLICY_SAVED"
	fi
	printf '#!/bin/sh\nexit 101\n' >"$PR_POLICY"
	chmod 755 "$PR_POLICY"
}

pr_policy_restore() {
	rm -f -- "$PR_POLICY"
	[ -z "$PR_POLICY_SAVED" ] || mv -- "$PR_POLICY_SAVED" "$PR_POLICY"
}

# A run that was killed between the two leaves its own behind.
pr_policy_repair() {
	if [ -e "$PR_POLICY.podrail-saved" ] || [ -L "$PR_POLICY.podrail-saved" ]; then
		mv -f -- "$PR_POLICY.podrail-saved" "$PR_POLICY"
	fi
}

pr_apt_get() {
	DEBIAN_FRONTEND=noninteractive apt-get -q -o Dpkg::Use-Pty=0 -o DPkg::Lock::Timeout=300 "$@"
}

# pr_install PACKAGE...: the missing ones, and nothing is removed or started for them.
pr_install() {
	local missing log rc=0

	missing=$(pr_missing_packages "$@" | tr '\n' ' ')
	missing=${missing% }
	[ -n "$missing" ] || return 0
	pr_say "will install with apt: $missing"
	log=$(mktemp /tmp/podrail-apt.XXXXXX)
	pr_policy_repair
	(
		trap pr_policy_restore EXIT
		trap 'exit 130' INT TERM HUP
		pr_policy_deny
		pr_apt_get update || pr_say "note: apt-get update failed, the package lists at hand are used"
		# shellcheck disable=SC2086 # one word a package
		pr_apt_get install -y --no-install-recommends --no-remove $missing
	) >"$log" 2>&1 || rc=$?
	if [ "$rc" != 0 ]; then
		tail -n 15 -- "$log" >&2
		rm -f -- "$log"
		pr_die "apt could not install these packages (its last words are above): $missing"
	fi
	rm -f -- "$log"
}

# Holds the state directory's lock in fd 9 until pr_unlock.
pr_lock() {
	while :; do
		mkdir -p -- "$PR_STATE/holders"
		exec 9<"$PR_STATE" || continue
		flock 9
		# Whoever held it may have removed the directory meanwhile.
		[ "$(stat -Lc %i /proc/self/fd/9)" = "$(stat -c %i "$PR_STATE" 2>/dev/null)" ] && return 0
		exec 9<&-
	done
}

pr_unlock() {
	exec 9<&-
}

# A process's start time: pids come again.
pr_start_time() {
	sed -e 's/.*) //' "/proc/$1/stat" 2>/dev/null | cut -d' ' -f20
}

pr_prune_holders() {
	local f pid

	for f in "$PR_STATE"/holders/*; do
		[ -e "$f" ] || continue
		pid=${f##*/}
		[ "$pid" = keep ] || [ "$(pr_start_time "$pid")" = "$(cat "$f")" ] || rm -f -- "$f"
	done
}

# Remembers what we are about to change, once: the first holder's view is the machine's own.
pr_remember() {
	[ -e "$PR_STATE/nr_hugepages" ] || cat "$PR_HUGEPAGES" >"$PR_STATE/nr_hugepages"
	[ -e "$PR_STATE/autogroup" ] || cat "$PR_AUTOGROUP" >"$PR_STATE/autogroup" 2>/dev/null || :
}

pr_raise_hugepages() {
	local want=$1 least=$2 nr free room

	nr=$(cat "$PR_HUGEPAGES")
	free=$(cat "$PR_FREE_HUGEPAGES")
	[ "$free" -lt "$want" ] || return 0
	# What the kernel and the programs need stays: 768 MiB.
	room=$(($(awk '/^MemAvailable:/ { print $2 }' /proc/meminfo) / 2048 - 384))
	[ "$room" -gt 0 ] || room=0
	[ $((want - free)) -le "$room" ] || want=$((free + room))
	if [ "$want" -gt "$free" ]; then
		echo $((nr + want - free)) >"$PR_HUGEPAGES"
		if [ "$(cat "$PR_FREE_HUGEPAGES")" -lt "$want" ]; then
			echo 1 >/proc/sys/vm/compact_memory 2>/dev/null || :
			echo $((nr + want - free)) >"$PR_HUGEPAGES"
		fi
		free=$(cat "$PR_FREE_HUGEPAGES")
	fi
	if [ "$free" -lt "$least" ]; then
		pr_say "error: $free free hugepages of 2 MiB could be had, and $least are needed (memory is short or fragmented): close programs or reboot, or reserve them at boot with the kernel option hugepages=$least"
		return 1
	fi
	[ "$free" -ge "$1" ] ||
		pr_say "note: $free free hugepages of 2 MiB instead of $1; that is enough, with less room"
}

# pr_reserve [PAGES] [LEAST]: hugepages and sysctls for as long as this shell lives. The caller's
# EXIT trap must call pr_release. "keep" as HOLDER: until scripts/setup --restore.
pr_reserve() {
	local want=${1:-1536} least=${2:-512} holder=${3:-$$} rc=0

	[ "$least" -le "$want" ] || least=$want
	pr_lock
	pr_prune_holders
	pr_remember
	if [ "$holder" = keep ]; then
		: >"$PR_STATE/holders/keep"
	else
		pr_start_time "$holder" >"$PR_STATE/holders/$holder"
	fi
	pr_raise_hugepages "$want" "$least" || rc=1
	# Niceness does not work across sessions with it, and tests share two cores.
	[ ! -w "$PR_AUTOGROUP" ] || echo 0 >"$PR_AUTOGROUP"
	pr_unlock
	if [ "$rc" != 0 ]; then
		pr_release "$holder"
		exit 1
	fi
}

# The last holder puts everything back. Harmless when nothing was reserved.
pr_release() {
	local holder=${1:-$$}

	[ -e "$PR_STATE/holders/$holder" ] || return 0
	pr_lock
	rm -f -- "$PR_STATE/holders/$holder"
	pr_prune_holders
	if [ -z "$(ls -A "$PR_STATE/holders")" ]; then
		[ ! -s "$PR_STATE/nr_hugepages" ] || cat "$PR_STATE/nr_hugepages" >"$PR_HUGEPAGES"
		[ ! -s "$PR_STATE/autogroup" ] || cat "$PR_STATE/autogroup" >"$PR_AUTOGROUP"
		rm -rf -- "$PR_STATE"
	fi
	pr_unlock
}

# pr_build DIRECTORY [MESON OPTION...]: configured when the options or the tree changed, then built.
pr_build() {
	local dir=$1 log wanted
	shift

	mkdir -p -- "$dir" || pr_die "the build directory $dir can not be made"
	log=$dir/build.log
	wanted="$PODRAIL_TREE $*"
	if ! [ -e "$dir/build.ninja" ] || [ "$wanted" != "$(cat "$dir/.podrail-options" 2>/dev/null)" ]; then
		rm -rf -- "$dir/meson-private" "$dir/meson-info" "$dir/build.ninja"
		if ! meson setup "$dir" "$PODRAIL_TREE" "$@" >"$log" 2>&1; then
			tail -n 20 -- "$log" >&2
			pr_say "error: meson could not configure $dir (all of it: $log)"
			return 1
		fi
		printf '%s\n' "$wanted" >"$dir/.podrail-options"
	fi
	if ! ninja -C "$dir" >"$log" 2>&1; then
		grep -E -A5 'error|FAILED|undefined' -- "$log" | head -n 60 >&2
		pr_say "error: $dir could not be built (all of it: $log)"
		return 1
	fi
}

pr_guest_kernel_package() {
	apt-cache depends "$PR_GUEST_KERNEL" 2>/dev/null | awk '/Depends: linux-image/ { print $2; exit }'
}

# pr_guest_kernel_unpack DIRECTORY: apt checks the package's checksum.
pr_guest_kernel_unpack() {
	local package

	package=$(pr_guest_kernel_package)
	[ -n "$package" ] || {
		echo "apt knows no $PR_GUEST_KERNEL"
		return 1
	}
	rm -rf -- "$1"
	mkdir -p -- "$1/unpacked" && cd -- "$1" &&
		pr_apt_get -o APT::Sandbox::User=root download "$package" &&
		dpkg -x ./*.deb unpacked &&
		mv unpacked/boot unpacked/lib . &&
		depmod -b . "$(ls lib/modules)" &&
		sha256sum ./*.deb >complete.tmp &&
		rm -rf -- unpacked ./*.deb &&
		mv complete.tmp complete
}

# Debian's smallest kernel for guests, into $PODRAIL_BUILD/guest-kernel, once; nothing of it is installed.
# Returns 1 with a sentence when it can not be had.
pr_guest_kernel() {
	local dir=$PODRAIL_BUILD/guest-kernel log

	[ ! -e "$dir/complete" ] || return 0
	log=$(mktemp /tmp/podrail-apt.XXXXXX)
	# Package lists may be missing, or older than the archive.
	if ! (pr_guest_kernel_unpack "$dir") >"$log" 2>&1 &&
		! (pr_apt_get update && pr_guest_kernel_unpack "$dir") >"$log" 2>&1; then
		pr_say "note: the guests' kernel can not be had: $(tail -n 1 -- "$log")"
		rm -f -- "$log"
		return 1
	fi
	rm -f -- "$log"
}

# What tests with virtual machines need; without it they are skipped.
pr_qemu() {
	# shellcheck disable=SC2086 # one word a package
	if ! (pr_install $PR_PACKAGES_QEMU) || ! pr_guest_kernel; then
		pr_say "note: tests with virtual machines will be skipped"
	fi
}

# pr_setup [--no-tests] [PAGES] [LEAST]
# Debian's OVS with DPDK, into $PODRAIL_BUILD/ovs, once, for scripts/bench; nothing of it is installed or
# started. Returns 1 with a sentence when it can not be had.
pr_ovs() {
	local dir=$PODRAIL_BUILD/ovs output

	[ -e "$dir/complete" ] && return 0
	pr_say "unpacking Debian's openvswitch-switch-dpdk to measure beside it"
	output=$(
		rm -rf -- "$dir" && mkdir -p -- "$dir" && cd -- "$dir" &&
			pr_apt_get -o APT::Sandbox::User=root download openvswitch-switch-dpdk \
				openvswitch-switch openvswitch-common 2>&1 &&
			for package in ./*.deb; do
				dpkg -x "$package" . || exit 1
			done && rm -f -- ./*.deb && : >complete
	) && return 0
	pr_say "no OVS to measure beside: $output"
	return 1
}

pr_setup() {
	local packages="$PR_PACKAGES_BUILD $PR_PACKAGES_TEST"

	if [ "${1:-}" = --no-tests ]; then
		packages=$PR_PACKAGES_BUILD
		shift
	fi
	pr_check_machine
	# shellcheck disable=SC2086 # one word a package
	pr_install $packages
	pr_reserve "$@"
	pr_build "$PODRAIL_BUILD" || exit 1
}
