/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <sched.h>
#include <string.h>
#include <unistd.h>
#include <sys/prctl.h>

#include <rte_lcore.h>
#include <rte_malloc.h>
#include <rte_ring_elem.h>

#include "dataplane/tables.h"
#include "dataplane/worker_idle.h"
#include "dataplane/worker_loop.h"

struct worker *workers[PR_WORKERS_MAX];

static int pin_to(int cpu)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	return -pthread_setaffinity_np(pthread_self(), sizeof(set), &set);
}

static void *worker_main(void *arg)
{
	struct worker *worker = arg;
	char name[16];

	snprintf(name, sizeof(name), "worker-%u", worker->index);
	pthread_setname_np(pthread_self(), name);
	/* Registered threads have a DPDK lcore number, and with it a cache in each mempool. */
	if (pin_to(worker->cpu) || rte_thread_register()) {
		atomic_store(&worker->state, WORKER_FAILED);
		return NULL;
	}
	worker->numa = (int)rte_socket_id();
	/* Sleeps of a few microseconds mean it. */
	prctl(PR_SET_TIMERSLACK, 1000);
	rte_rcu_qsbr_thread_register(shared->qsbr, worker->qsbr_id);
	rte_rcu_qsbr_thread_online(shared->qsbr, worker->qsbr_id);
	atomic_store(&worker->state, WORKER_RUNS);
	worker_loop(worker);
	rte_rcu_qsbr_thread_offline(shared->qsbr, worker->qsbr_id);
	rte_rcu_qsbr_thread_unregister(shared->qsbr, worker->qsbr_id);
	rte_thread_unregister();
	return NULL;
}

static int make_rings(struct worker *worker)
{
	char name[RTE_RING_NAMESIZE];

	snprintf(name, sizeof(name), "events-%u", worker->index);
	worker->events = rte_ring_create_elem(name, sizeof(struct event), EVENT_RING, SOCKET_ID_ANY,
	        RING_F_SP_ENQ | RING_F_SC_DEQ);
	snprintf(name, sizeof(name), "inject-%u", worker->index);
	worker->inject =
	        rte_ring_create(name, INJECT_RING, SOCKET_ID_ANY, RING_F_SP_ENQ | RING_F_SC_DEQ);
	return worker->events && worker->inject ? 0 : -ENOMEM;
}

static void free_worker(struct worker *worker)
{
	rte_ring_free(worker->events);
	rte_ring_free(worker->inject);
	notifier_free(&worker->notifier);
	worker_idle_free(worker);
	rte_free(worker);
}

int worker_start(unsigned index, int cpu, bool idle_sleep)
{
	struct worker *worker = rte_zmalloc("worker", sizeof(*worker), RTE_CACHE_LINE_SIZE);
	int rc;

	if (!worker)
		return -ENOMEM;
	worker->index = index;
	worker->cpu = cpu;
	worker->idle_sleep = idle_sleep;
	rc = worker_idle_init(worker);
	if (rc) {
		rte_free(worker);
		return rc;
	}
	rc = notifier_init(&worker->notifier);
	if (rc) {
		worker_idle_free(worker);
		rte_free(worker);
		return rc;
	}
	worker->qsbr_id = index;
	atomic_store(&worker->polls, tables_empty_polls());
	rc = make_rings(worker);
	if (!rc)
		rc = -pthread_create(&worker->thread, NULL, worker_main, worker);
	if (rc) {
		free_worker(worker);
		return rc;
	}
	/* The tables thread looks at its rings from now on. */
	__atomic_store_n(&workers[index], worker, __ATOMIC_RELEASE);
	while (atomic_load(&worker->state) == WORKER_STARTS)
		usleep(100);
	return atomic_load(&worker->state) == WORKER_RUNS ? 0 : -EINVAL;
}

void worker_stop(unsigned index)
{
	struct worker *worker = workers[index];

	if (!worker || atomic_exchange(&worker->stop, true))
		return;
	worker_wake(worker);
	pthread_join(worker->thread, NULL);
}

void worker_free(unsigned index)
{
	struct worker *worker = workers[index];

	if (!worker)
		return;
	workers[index] = NULL;
	free_worker(worker);
}
