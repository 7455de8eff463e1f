/* SPDX-License-Identifier: BSD-3-Clause */
#include "device.h"

#include <dirent.h>
#include <sched.h>

#include <rte_eal.h>
#include <rte_errno.h>

/* Queue pairs that a port will have, by its devargs. */
static unsigned queues_of(const struct port_options *port)
{
	const char *n = strstr(port->devargs, "queues=");

	if (port->queues)
		return port->queues;
	if (!n)
		n = strstr(port->devargs, "qpairs=");
	return n && atoi(n + 7) > 0 && atoi(n + 7) <= OPTIONS_QUEUES ? (unsigned)atoi(n + 7) : 1;
}

/* MiB for both pools, rings, and what DPDK takes for itself. */
static unsigned memory_needed(const struct options *o)
{
	uint64_t queues = 0, room = 2048 + 640;

	for (unsigned i = 0; i < o->n_ports; i++)
		queues += queues_of(&o->ports[i]);
	for (unsigned i = 0; i < o->n_sizes; i++)
		room = o->sizes[i] + 768u > room ? o->sizes[i] + 768u : room;
	room *= 2;
	if (o->segments > 1)
		room += room / 2 + (o->segments - 1) * 512u;
	return (unsigned)(((queues * 1100 + 512) * room >> 20) + queues + 20 + 1) & ~1u;
}

/* MiB of free hugepages of all sizes; -1 when the kernel does not say. */
static long hugepages_free(void)
{
	DIR *dir = opendir("/sys/kernel/mm/hugepages");
	struct dirent *entry;
	long free_kib = 0;

	if (!dir)
		return -1;
	while ((entry = readdir(dir))) {
		char path[320];
		long kib, pages;
		FILE *file;

		if (sscanf(entry->d_name, "hugepages-%ldkB", &kib) != 1)
			continue;
		snprintf(path, sizeof(path), "/sys/kernel/mm/hugepages/%s/free_hugepages",
		        entry->d_name);
		file = fopen(path, "re");
		if (file && fscanf(file, "%ld", &pages) == 1)
			free_kib += pages * kib;
		if (file)
			fclose(file);
	}
	closedir(dir);
	return free_kib / 1024;
}

static int choose_cpus(
        const struct options *o, int *worker, int *main_cpu, char *error, size_t size)
{
	int first = -1, last = -1;
	cpu_set_t set;

	if (sched_getaffinity(0, sizeof(set), &set))
		CPU_ZERO(&set);
	for (int i = 0; i < CPU_SETSIZE; i++) {
		if (!CPU_ISSET(i, &set))
			continue;
		last = i;
		first = first < 0 ? i : first;
	}
	*worker = o->cpu < 0 ? last : o->cpu;
	*main_cpu = o->main_cpu < 0 ? first : o->main_cpu;
	if (CPU_ISSET(*worker, &set) && CPU_ISSET(*main_cpu, &set))
		return 0;
	snprintf(error, size,
	        "--cpu and --main-cpu must be among the CPUs that this process may "
	        "use (%d to %d)",
	        first, last);
	return -EINVAL;
}

int devices_eal(const struct options *o, char *error, size_t size)
{
	unsigned need = o->memory ? o->memory : memory_needed(o);
	char lcores[48], memory[16], simd[48];
	char *argv[OPTIONS_PORTS_MAX * 2 + 17];
	int argc = 0, worker = 0, main_cpu = 0, rc;
	long have = hugepages_free();

	rc = choose_cpus(o, &worker, &main_cpu, error, size);
	if (rc)
		return rc;
	if (!o->no_huge && have >= 0 && have < (long)need) {
		snprintf(error, size,
		        "%u MiB of hugepages are needed and %ld MiB are free: write a "
		        "number larger by %ld to /proc/sys/vm/nr_hugepages (2 MiB "
		        "pages), or use --no-huge",
		        need, have, (need - have + 1) / 2);
		return -ENOMEM;
	}
	snprintf(lcores, sizeof(lcores), "--lcores=0@%d,1@%d", main_cpu, worker);
	snprintf(memory, sizeof(memory), "%u", need);
	argv[argc++] = (char *)(uintptr_t) "podrail-gen";
	argv[argc++] = lcores;
	argv[argc++] = (char *)(uintptr_t) "-m";
	argv[argc++] = memory;
	argv[argc++] = (char *)(uintptr_t) "--no-pci";
	argv[argc++] = (char *)(uintptr_t) "--no-telemetry";
	argv[argc++] = (char *)(uintptr_t) "--iova-mode=va";
	if (o->no_huge) {
		/* excludes --in-memory; DPDK takes one memfd, which vhost-user can share */
		argv[argc++] = (char *)(uintptr_t) "--no-huge";
		argv[argc++] = (char *)(uintptr_t) "--no-shconf";
	} else {
		argv[argc++] = (char *)(uintptr_t) "--in-memory";
		argv[argc++] = (char *)(uintptr_t) "--single-file-segments";
	}
	if (o->simd) {
		snprintf(simd, sizeof(simd), "--force-max-simd-bitwidth=%u", o->simd);
		argv[argc++] = simd;
	}
	argv[argc++] =
	        (char *)(uintptr_t)(o->verbose ? "--log-level=pmd.*:info" : "--log-level=error");
	for (unsigned i = 0; i < o->n_ports; i++) {
		argv[argc++] = (char *)(uintptr_t) "--vdev";
		argv[argc++] = (char *)(uintptr_t)o->ports[i].devargs;
	}
	rc = rte_eal_init(argc, argv);
	if (rc >= 0)
		return 0;
	snprintf(error, size,
	        "DPDK can not start (%s): check the ports' device arguments; "
	        "--verbose says more",
	        rte_strerror(rte_errno));
	return -rte_errno;
}
