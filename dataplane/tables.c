/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include <rte_lcore.h>
#include <rte_malloc.h>
#include <rte_ring_elem.h>

#include "dataplane/hop_group_deal.h"
#include "dataplane/liveness.h"
#include "dataplane/multicast_control.h"
#include "dataplane/polls.h"
#include "dataplane/router_advertisement.h"
#include "dataplane/tables.h"
#include "dataplane/worker_idle.h"

#define TICK_MS       100 /* timers, when nothing else happens */
#define GRACE_TICK_MS 1   /* while something waits for a grace period */
#define SETTLE_US     50
#define EVENTS_A_TURN 256 /* per worker: no worker's news delay another's for long */

/* What waits for a grace period, in order. Tables thread only. */
struct retired {
	struct retired *next;
	uint64_t token;
	void (*fn)(void *arg);
	void (*fn_index)(void *owner, uint32_t index);
	void *arg;
	uint32_t index;
};

static struct {
	pthread_t thread;
	bool running;
	int wake; /* eventfd */
	_Atomic bool
	        asleep; /* this thread sets it before it sleeps; whoever clears it writes wake */
	_Atomic bool stop;
	uint64_t start_ms, now_ms, last_tick_ms;
	struct retired *oldest, **newest, *unused;
	/* Who may write the tables: one thread at a time, in the order in which they asked. Under
	 * lock, which nobody holds for longer than it takes to draw or call a number. */
	pthread_mutex_t lock;
	pthread_cond_t called;
	uint64_t next_number, served;
	int doze_ms;         /* tables thread only: how long it may sleep */
	_Atomic bool dozing; /* the thread is about to sleep as if nothing waited for a grace
	                      * period; a transaction that retires something clears it */
} tables = {.lock = PTHREAD_MUTEX_INITIALIZER, .called = PTHREAD_COND_INITIALIZER};

struct counters *tables_counters;

static struct poll_list empty_polls;

struct poll_list *tables_empty_polls(void)
{
	return &empty_polls;
}

static uint64_t clock_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000;
}

uint64_t tables_now(void)
{
	return tables.now_ms;
}

void tables_wake(void)
{
	/* What was posted must be seen before asleep is looked at: a ring's own store is only a
	 * release, which a later load may overtake. */
	atomic_thread_fence(memory_order_seq_cst);
	if (atomic_load_explicit(&tables.asleep, memory_order_seq_cst) &&
	        atomic_exchange(&tables.asleep, false))
		eventfd_write(tables.wake, 1);
}

/* ---- the one writer: whoever's turn it is ---- */

/* First come, first served: a plain mutex would let a thread that is always busy take it again and
 * again before one that waits has woken up. */
static void turn_take(void)
{
	uint64_t number;

	pthread_mutex_lock(&tables.lock);
	number = tables.next_number++;
	while (tables.served != number)
		pthread_cond_wait(&tables.called, &tables.lock);
	pthread_mutex_unlock(&tables.lock);
	tables.now_ms = clock_ms() - tables.start_ms;
}

static void turn_give(void)
{
	pthread_mutex_lock(&tables.lock);
	if (++tables.served != tables.next_number)
		pthread_cond_broadcast(&tables.called);
	pthread_mutex_unlock(&tables.lock);
}

/* ---- grace periods ---- */

static void retire(struct retired what)
{
	struct retired *item = tables.unused;

	if (item)
		tables.unused = item->next;
	else
		item = malloc(sizeof(*item));
	if (!item) {
		/* No memory to remember it: wait here for the workers instead. */
		rte_rcu_qsbr_synchronize(shared->qsbr, RTE_QSBR_THRID_INVALID);
		what.fn ? what.fn(what.arg) : what.fn_index(what.arg, what.index);
		return;
	}
	*item = what;
	item->next = NULL;
	item->token = rte_rcu_qsbr_start(shared->qsbr);
	*tables.newest = item;
	tables.newest = &item->next;
}

void tables_retire(void (*fn)(void *arg), void *arg)
{
	retire((struct retired){.fn = fn, .arg = arg});
}

void tables_retire_index(
        void *ctx, void (*fn)(void *owner, uint32_t index), void *owner, uint32_t index)
{
	(void)ctx;
	retire((struct retired){.fn_index = fn, .arg = owner, .index = index});
}

static void reclaim(bool wait)
{
	while (tables.oldest) {
		struct retired *item = tables.oldest;

		if (rte_rcu_qsbr_check(shared->qsbr, item->token, wait) != 1)
			return;
		tables.oldest = item->next;
		if (!tables.oldest)
			tables.newest = &tables.oldest;
		item->fn ? item->fn(item->arg) : item->fn_index(item->arg, item->index);
		item->next = tables.unused;
		tables.unused = item;
	}
}

int tables_call(int (*fn)(void *arg), void *arg)
{
	bool look_sooner;
	int result;

	turn_take();
	result = fn(arg);
	reclaim(false);
	look_sooner =
	        (tables.oldest || groups_deal_left()) && atomic_exchange(&tables.dozing, false);
	turn_give();
	if (look_sooner)
		tables_wake();
	return result;
}

void tables_reclaim_wait(void)
{
	rte_rcu_qsbr_synchronize(shared->qsbr, RTE_QSBR_THRID_INVALID);
	reclaim(false);
}

void tables_grace(void)
{
	rte_rcu_qsbr_synchronize(shared->qsbr, RTE_QSBR_THRID_INVALID);
}

void tables_settle(void)
{
	uint32_t behind[PR_WORKERS_MAX];

	for (unsigned w = 0; w < shared->n_workers; w++)
		behind[w] = workers[w]->inject->prod.tail;
	for (unsigned w = 0; w < shared->n_workers; w++)
		while ((int32_t)(workers[w]->inject->cons.tail - behind[w]) < 0)
			usleep(SETTLE_US);
	tables_grace();
}

/* ---- packets of our own ---- */

void tables_drop(struct rte_mbuf *m, enum pr_drop_reason reason)
{
	const struct note *note = mbuf_note(m);

	counter_add(&tables_counters->released, 1);
	counter_add(&tables_counters->drops, 1);
	counter_add(&tables_counters->drop_reasons[reason], 1);
	if (note->in_port != NO_PORT)
		counter_add(&tables_counters->port[note->in_port].drops[reason], 1);
	rte_pktmbuf_free(m);
}

bool tables_inject(unsigned worker, struct rte_mbuf *m)
{
	if (worker >= shared->n_workers)
		worker = 0;
	if (rte_ring_sp_enqueue(workers[worker]->inject, m) == 0) {
		worker_wake(workers[worker]);
		return true;
	}
	if (mbuf_note(m)->generated)
		rte_pktmbuf_free(m);
	else
		tables_drop(m, PR_DROP_PUNT_FULL);
	return false;
}

/* ---- the loop ---- */

static void handle_event(const struct event *event)
{
	switch (event->type) {
	case EVENT_MAC:
		fdb_learned(event);
		break;
	case EVENT_NEIGHBOUR:
		neighbour_event(event);
		break;
	case EVENT_PUNT:
		neighbour_punt(event);
		break;
	case EVENT_GROUP:
		multicast_group_event(event);
		break;
	case EVENT_QUERY:
		multicast_query_event(event);
		break;
	}
}

/* Returns whether any ring may hold more. */
static bool take_events(void)
{
	bool more = false;

	for (unsigned w = 0; w < shared->n_workers; w++) {
		struct event events[32];
		unsigned taken = 0, n;

		const struct worker *worker = worker_at(w);

		if (!worker)
			continue;
		do {
			n = rte_ring_sc_dequeue_burst_elem(
			        worker->events, events, sizeof(events[0]), 32, NULL);
			for (unsigned k = 0; k < n; k++)
				handle_event(&events[k]);
			taken += n;
		} while (n && taken < EVENTS_A_TURN);
		more |= n > 0;
	}
	return more;
}

/* What is there now and no more: whoever posts faster than this thread reads does not hold it. */
void tables_drain_events(void)
{
	for (unsigned w = 0; w < shared->n_workers; w++) {
		unsigned left = rte_ring_count(workers[w]->events);
		struct event event;

		for (; left && !rte_ring_sc_dequeue_elem(workers[w]->events, &event, sizeof(event));
		        left--)
			handle_event(&event);
	}
}

static void sleep_until_needed(void)
{
	struct pollfd wait = {.fd = tables.wake, .events = POLLIN};
	bool pending = false;
	eventfd_t value;

	atomic_store_explicit(&tables.asleep, true, memory_order_seq_cst);
	/* Whoever posted before it could see asleep is seen here. */
	for (unsigned w = 0; w < shared->n_workers; w++)
		pending |= worker_at(w) && !rte_ring_empty(worker_at(w)->events);
	if (!pending && !atomic_load(&tables.stop))
		poll(&wait, 1, atomic_load(&tables.dozing) ? tables.doze_ms : GRACE_TICK_MS);
	atomic_store(&tables.asleep, false);
	if (poll(&wait, 1, 0) == 1)
		eventfd_read(tables.wake, &value);
}

/* Returns whether there is more to do at once. */
static bool one_turn(void)
{
	bool more;

	turn_take();
	more = take_events();
	if (tables.now_ms - tables.last_tick_ms >= TICK_MS) {
		tables.last_tick_ms = tables.now_ms;
		neighbours_tick(tables.now_ms);
		ra_tick(tables.now_ms);
		fdb_tick(tables.now_ms);
		multicast_tick(tables.now_ms);
		reassembly_tick();
		loads_sample(tables.now_ms);
	}
	liveness_tick(tables.now_ms);
	more |= groups_deal();
	reclaim(false);
	tables.doze_ms = liveness_wait(tables.now_ms, TICK_MS);
	atomic_store(&tables.dozing, !tables.oldest);
	turn_give();
	return more;
}

static void *tables_main(void *arg)
{
	(void)arg;
	pthread_setname_np(pthread_self(), "tables");
	/* Without a number of its own it would share the main thread's mempool cache. */
	rte_thread_register();
	while (!atomic_load(&tables.stop)) {
		if (!one_turn())
			sleep_until_needed();
	}
	rte_thread_unregister();
	return NULL;
}

int tables_start(void)
{
	int rc;

	tables_counters = rte_zmalloc("counters", sizeof(*tables_counters), RTE_CACHE_LINE_SIZE);
	tables.wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	tables.newest = &tables.oldest;
	tables.start_ms = clock_ms();
	tables.now_ms = tables.last_tick_ms = 0;
	atomic_store(&tables.stop, false);
	if (!tables_counters || tables.wake < 0)
		return -ENOMEM;
	rc = -pthread_create(&tables.thread, NULL, tables_main, NULL);
	tables.running = !rc;
	return rc;
}

void tables_stop(void)
{
	struct retired *item;

	if (tables.running) {
		atomic_store(&tables.stop, true);
		atomic_store(&tables.asleep, false);
		eventfd_write(tables.wake, 1);
		pthread_join(tables.thread, NULL);
		tables.running = false;
		/* Workers are gone: nobody holds up a grace period. */
		reclaim(true);
		while ((item = tables.unused)) {
			tables.unused = item->next;
			free(item);
		}
	}
	if (tables.wake > 0)
		close(tables.wake);
	tables.wake = -1;
}
