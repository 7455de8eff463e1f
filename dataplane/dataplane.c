/* SPDX-License-Identifier: BSD-3-Clause */
/* Start and stop of the data plane: one table of parts, run forwards and backwards. */
#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include <rte_cycles.h>
#include <rte_eal.h>
#include <rte_errno.h>
#include <rte_lcore.h>
#include <rte_log.h>
#include <rte_malloc.h>
#include <rte_mbuf.h>

#include "dataplane/dataplane.h"
#include "dataplane/hop_group.h"
#include "dataplane/neighbour_control.h"
#include "dataplane/network_control.h"
#include "dataplane/next_hop.h"
#include "dataplane/port/eth.h"
#include "dataplane/port/ports.h"
#include "dataplane/port/vhost_user/vhost.h"
#include "dataplane/tables.h"

/* Every packet is contiguous: an Ethernet frame of the largest MTU with a tag, and headroom. */
#define MBUF_ROOM                (RTE_PKTMBUF_HEADROOM + 18 + PR_MTU_MAX + 46)
#define MBUFS_DEFAULT            8192
#define MBUF_CACHE               256
#define MULTICAST_DEFAULT        1024
#define REASSEMBLIES_DEFAULT     64
#define REASSEMBLY_BYTES_DEFAULT (1u << 20)
#define GROUPS_DEFAULT           16
#define MEMBERS_A_GROUP          16 /* ports, on average */
#define MIB                      (UINT64_C(1) << 20)
#define EAL_PREFIX               "podrail"

struct shared *shared;

static struct dp_config config;
static bool eal_running;

/* ---- log ---- */

void dp_log(int priority, const char *format, ...)
{
	char message[512];
	va_list args;

	va_start(args, format);
	vsnprintf(message, sizeof(message), format, args);
	va_end(args);
	if (config.log)
		config.log(priority, message);
}

/* ---- memory ---- */

static unsigned mbufs_of(const struct dp_config *c)
{
	return c->mbufs ? c->mbufs : MBUFS_DEFAULT;
}

static unsigned multicast_of(const struct dp_config *c)
{
	return c->max_multicast ? c->max_multicast : MULTICAST_DEFAULT;
}

static unsigned reassemblies_of(const struct dp_config *c)
{
	return c->max_reassemblies ? c->max_reassemblies : REASSEMBLIES_DEFAULT;
}

static unsigned reassembly_bytes_of(const struct dp_config *c)
{
	return c->max_reassembly_bytes ? c->max_reassembly_bytes : REASSEMBLY_BYTES_DEFAULT;
}

static unsigned groups_of(const struct dp_config *c)
{
	return c->max_groups ? c->max_groups : GROUPS_DEFAULT;
}

uint64_t dp_memory_needed(const struct dp_config *c)
{
	uint64_t bytes = 0;

	if (c->memory_mib)
		return c->memory_mib * MIB;
	bytes += (uint64_t)mbufs_of(c) * (MBUF_ROOM + sizeof(struct rte_mbuf) + 192);
	bytes += (uint64_t)c->max_fib_nodes * 1100 + (uint64_t)c->max_routes * 48;
	bytes += (uint64_t)c->max_routes6 * 136;
	bytes += reassembly_memory(reassemblies_of(c), PR_PORTS_MAX);
	bytes += (uint64_t)c->max_fdb * 72 + (uint64_t)c->max_neighbours * 256;
	bytes += sizeof(struct shared) + (c->n_workers + 1) * (sizeof(struct worker) + MIB / 4);
	bytes += (uint64_t)NEXT_HOPS_MAX * 128 + groups_memory(groups_of(c));
	bytes += (uint64_t)multicast_of(c) * (96 + MEMBERS_A_GROUP * 40);
	/* Roots of some networks, devices' queues, and what allocation loses. */
	bytes += 32 * MIB + bytes / 16;
	return (bytes + 2 * MIB - 1) / (2 * MIB) * (2 * MIB);
}

static void *table_memory_alloc(size_t size)
{
	return rte_malloc("table", size, RTE_CACHE_LINE_SIZE);
}

static const struct table_memory table_memory = {
        .alloc = table_memory_alloc,
        .release = rte_free,
};

/* ---- parts ---- */

static int fail(struct dp_error *error, int rc, const char *format, ...)
        __attribute__((format(printf, 3, 4)));

static int fail(struct dp_error *error, int rc, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(error->message, sizeof(error->message), format, args);
	va_end(args);
	error->code = PR_ERR_UNUSABLE;
	return rc;
}

/* EAL makes $RUNTIME_DIRECTORY/dpdk/<prefix>, by default below /run, and leaves it there. Ours is
 * in the run directory, which no other instance uses: the name need not differ from life to life,
 * so what a killed daemon left is taken over and goes with the next clean stop. */
static void use_runtime_directory(void)
{
	if (config.run_dir[0])
		setenv("RUNTIME_DIRECTORY", config.run_dir, 1);
}

static void remove_runtime_directory(void)
{
	char path[sizeof(config.run_dir) + 32];

	if (!config.run_dir[0])
		return;
	snprintf(path, sizeof(path), "%s/dpdk/" EAL_PREFIX, config.run_dir);
	rmdir(path);
	*strrchr(path, '/') = '\0';
	rmdir(path);
}

static int start_eal(struct dp_error *error)
{
	char lcores[32], memory[32];
	unsigned mib = (unsigned)(dp_memory_needed(&config) / MIB);
	const char *argv[20];
	int argc = 0, rc;

	snprintf(lcores, sizeof(lcores), "0@%d", config.control_cpu);
	snprintf(memory, sizeof(memory), "%u", mib);
	argv[argc++] = "podraild";
	argv[argc++] = "--lcores";
	argv[argc++] = lcores;
	argv[argc++] = "-m";
	argv[argc++] = memory;
	argv[argc++] = "--file-prefix";
	argv[argc++] = EAL_PREFIX;
	argv[argc++] = "--no-telemetry";
	argv[argc++] = "--no-shconf";
	if (config.no_huge)
		argv[argc++] = "--no-huge";
	else
		argv[argc++] = "--in-memory";
	/* Devices come when ports ask for them; none is taken from the kernel by itself. */
	argv[argc++] = "--allow";
	argv[argc++] = "0000:00:00.0";
	argv[argc++] = "--log-level";
	argv[argc++] = "lib.eal:error";
	argv[argc] = NULL;
	use_runtime_directory();
	rc = rte_eal_init(argc, (char **)(uintptr_t)argv);
	if (rc < 0)
		return fail(error, -ENOMEM,
		        "DPDK can not start with %u MiB of hugepages (%s): reserve them with "
		        "'echo %u > /proc/sys/vm/nr_hugepages', or lower memory and limits",
		        mib, rte_strerror(rte_errno), mib / 2 + 8);
	eal_running = true;
	return 0;
}

static void stop_eal(void)
{
	if (eal_running)
		rte_eal_cleanup();
	eal_running = false;
	remove_runtime_directory();
}

static int start_shared(struct dp_error *error)
{
	size_t size = rte_rcu_qsbr_get_memsize(PR_WORKERS_MAX);

	shared = rte_zmalloc("shared", sizeof(*shared), RTE_CACHE_LINE_SIZE);
	if (!shared)
		return fail(error, -ENOMEM, "out of hugepage memory: raise memory");
	shared->n_workers = config.n_workers;
	shared->tsc_hz = rte_get_tsc_hz();
	shared->flow_seed = config.flow_seed;
	shared->qsbr = rte_zmalloc("qsbr", size, RTE_CACHE_LINE_SIZE);
	if (!shared->qsbr || rte_rcu_qsbr_init(shared->qsbr, PR_WORKERS_MAX))
		return fail(error, -ENOMEM, "out of hugepage memory: raise memory");
	return 0;
}

static void stop_shared(void)
{
	if (shared)
		rte_free(shared->qsbr);
	rte_free(shared);
	shared = NULL;
}

static int start_mbufs(struct dp_error *error)
{
	shared->mbufs = rte_pktmbuf_pool_create("packets", mbufs_of(&config), MBUF_CACHE,
	        RTE_ALIGN(sizeof(struct note), RTE_MBUF_PRIV_ALIGN), MBUF_ROOM, SOCKET_ID_ANY);
	if (!shared->mbufs)
		return fail(error, -ENOMEM, "no memory for %u packet buffers: raise memory",
		        mbufs_of(&config));
	return 0;
}

static void stop_mbufs(void)
{
	rte_mempool_free(shared->mbufs);
}

static int start_tables(struct dp_error *error)
{
	uint64_t seed;

	if (getrandom(&seed, sizeof(seed), 0) != sizeof(seed))
		return fail(error, -EIO, "no random numbers");
	shared->fib_pool = fib4_pool_create(
	        &table_memory, config.max_fib_nodes, config.max_routes, tables_retire_index, NULL);
	shared->fdb = fdb_create(&table_memory, config.max_fdb, seed);
	shared->fib6_pool = fib6_pool_create(
	        &table_memory, config.max_routes6, seed, tables_retire_index, NULL);
	shared->mdb = mdb_create(&table_memory, multicast_of(&config),
	        multicast_of(&config) * MEMBERS_A_GROUP, seed, tables_retire_index, NULL,
	        tables_reclaim_wait);
	if (!shared->fib_pool || !shared->fib6_pool || !shared->fdb || !shared->mdb ||
	        hops_init() || groups_init(groups_of(&config)) ||
	        neighbours_init(config.max_neighbours))
		return fail(
		        error, -ENOMEM, "no memory for the tables: raise memory or lower limits");
	return 0;
}

static void stop_tables(void)
{
	neighbours_free();
	groups_free();
	hops_free();
	mdb_destroy(shared->mdb);
	fdb_destroy(shared->fdb);
	fib6_pool_destroy(shared->fib6_pool);
	fib4_pool_destroy(shared->fib_pool);
}

static int start_reassembly(struct dp_error *error)
{
	struct reassembly_config own = {
	        .ports = PR_PORTS_MAX,
	        .datagrams = reassemblies_of(&config),
	        /* The other buffers are for those who send no fragments; devices' rings may have
	         * all but these. */
	        .packets = RTE_MIN(mbufs_of(&config) / 4, ETH_BUFFERS_LEFT / 2u),
	        .bytes = reassembly_bytes_of(&config),
	        .timeout = shared->tsc_hz * REASSEMBLY_SECONDS,
	};

	if (getrandom(own.seed, sizeof(own.seed), 0) != sizeof(own.seed))
		return fail(error, -EIO, "no random numbers");
	shared->reassembly = reassembly_create(&table_memory, &own);
	return shared->reassembly ? 0
	                          : fail(error, -ENOMEM,
	                                    "no memory for %u datagrams in fragments: raise memory "
	                                    "or lower limits.reassemblyDatagrams",
	                                    own.datagrams);
}

static void stop_reassembly(void)
{
	reassembly_destroy(shared->reassembly);
}

static int start_tables_thread(struct dp_error *error)
{
	int rc = tables_start();

	return rc ? fail(error, rc, "the tables thread can not start: %s", strerror(-rc)) : 0;
}

static int start_workers(struct dp_error *error)
{
	for (unsigned w = 0; w < config.n_workers; w++) {
		int rc = worker_start(w, config.worker_cpu[w], config.idle == DP_IDLE_SLEEP);

		if (rc)
			return fail(error, rc, "worker %u can not start on CPU %d: %s", w,
			        config.worker_cpu[w], strerror(-rc));
	}
	return 0;
}

static int start_guests_thread(struct dp_error *error)
{
	int rc = guests_start();

	return rc ? fail(error, rc, "the guests thread can not start: %s", strerror(-rc)) : 0;
}

static void stop_workers(void)
{
	for (unsigned w = 0; w < config.n_workers; w++)
		worker_stop(w);
}

static void free_workers(void)
{
	for (unsigned w = 0; w < config.n_workers; w++)
		worker_free(w);
	rte_free(tables_counters);
	tables_counters = NULL;
}

static int nothing(struct dp_error *error)
{
	(void)error;
	return 0;
}

static const struct part {
	int (*start)(struct dp_error *error);
	void (*stop)(void);
} parts[] = {
        {start_eal, stop_eal},
        {start_shared, stop_shared},
        {start_mbufs, stop_mbufs},
        {nothing, free_workers}, /* counters outlive the threads that write them */
        {start_tables, stop_tables},
        {start_reassembly, stop_reassembly},
        {start_tables_thread, tables_stop},
        {start_workers, stop_workers},
        {start_guests_thread, guests_stop},
        {nothing, networks_stop},
        {nothing, ports_stop},
};

#define N_PARTS (sizeof(parts) / sizeof(parts[0]))

static unsigned started;

int dp_start(const struct dp_config *wanted, struct dp_error *error)
{
	memset(error, 0, sizeof(*error));
	config = *wanted;
	for (started = 0; started < N_PARTS; started++) {
		int rc = parts[started].start(error);

		if (rc) {
			/* A part that failed undoes what it had begun. */
			started++;
			dp_stop();
			return rc;
		}
	}
	return 0;
}

void dp_open(void)
{
	guests_open();
}

void dp_stop(void)
{
	while (started)
		parts[--started].stop();
}
