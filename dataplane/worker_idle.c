/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include <rte_cycles.h>
#include <rte_pause.h>

#include "dataplane/tables.h"
#include "dataplane/worker_idle.h"

/* Microseconds without packets until a worker sleeps between turns, and until it waits for kicks.
 */
#define NAP_AFTER  20
#define WAIT_AFTER 500
/* Nanoseconds. A nap is a quarter of the silence. */
#define NAP_MIN 4000
#define NAP_MAX 200000
/* Queues without kicks: how often they are polled, by how long all was silent. A first packet waits
 * for one such time and for the CPU: less than 2 ms. Guests wait when their rings are full, but a
 * NIC's overflows: so the longest only after long. */
static const struct {
	uint64_t silent_us;
	uint64_t poll_ns;
} poll_times[] = {{1000000, 1000000}, {10000, 500000}, {0, 200000}};

/* All queues are polled so often at least, kicks or not: a guest that forgets to kick is late, not
 * forgotten. */
#define LOOK_NS 100000000
/* So many kicks in a row with nothing behind them are believed; each further one costs its guest's
 * neighbours this much delay, and us no more than a thousand wake-ups a second. */
#define VAIN_MAX 4
#define VAIN_NS  1000000

#define EVENTS 64

int worker_idle_init(struct worker *worker)
{
	struct epoll_event event = {.events = EPOLLIN};
	struct worker_idle *idle = &worker->idle;

	idle->tsc_us = RTE_MAX(shared->tsc_hz / 1000000, UINT64_C(1));
	idle->epoll = epoll_create1(EPOLL_CLOEXEC);
	idle->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (idle->epoll >= 0 && idle->wake >= 0 &&
	        !epoll_ctl(idle->epoll, EPOLL_CTL_ADD, idle->wake, &event))
		return 0;
	worker_idle_free(worker);
	return -EMFILE;
}

void worker_idle_free(struct worker *worker)
{
	int *fds[] = {&worker->idle.epoll, &worker->idle.wake};

	for (unsigned n = 0; n < 2; n++) {
		if (*fds[n] >= 0)
			close(*fds[n]);
		*fds[n] = -1;
	}
}

void worker_wake(struct worker *worker)
{
	/* What it shall see must be there before waiting is looked at. */
	atomic_thread_fence(memory_order_seq_cst);
	if (atomic_load_explicit(&worker->idle.waiting, memory_order_relaxed) &&
	        atomic_exchange(&worker->idle.waiting, false))
		eventfd_write(worker->idle.wake, 1);
}

void workers_wake(void)
{
	for (unsigned w = 0; w < shared->n_workers; w++)
		if (worker_at(w))
			worker_wake(worker_at(w));
}

bool worker_watch(struct worker *worker, int fd)
{
	struct epoll_event event = {.events = EPOLLIN | EPOLLET, .data.ptr = worker};

	return !epoll_ctl(worker->idle.epoll, EPOLL_CTL_ADD, fd, &event) || errno == EEXIST;
}

void worker_unwatch(struct worker *worker, int fd)
{
	epoll_ctl(worker->idle.epoll, EPOLL_CTL_DEL, fd, NULL);
}

/* A worker that sleeps holds up no grace period. */
static void sleep_begin(struct worker *worker)
{
	atomic_store_explicit(&worker->sleeping, true, memory_order_relaxed);
	rte_rcu_qsbr_thread_offline(shared->qsbr, worker->qsbr_id);
}

static void sleep_end(struct worker *worker)
{
	rte_rcu_qsbr_thread_online(shared->qsbr, worker->qsbr_id);
	atomic_store_explicit(&worker->sleeping, false, memory_order_relaxed);
}

static void nap(struct worker *worker, uint64_t nanoseconds)
{
	struct timespec time = {.tv_nsec = (long)nanoseconds};

	sleep_begin(worker);
	clock_nanosleep(CLOCK_MONOTONIC, 0, &time, NULL);
	sleep_end(worker);
}

/* Asks all queues to tell. What came before they knew is found by the next turn. */
static void arm(struct worker *worker)
{
	const struct poll_list *polls = atomic_load_explicit(&worker->polls, memory_order_acquire);
	struct worker_idle *idle = &worker->idle;

	/* Whoever publishes a ring behind our back from here on wakes us. */
	atomic_store(&idle->waiting, true);
	idle->generation = polls->generation;
	idle->n_unarmed = 0;
	for (unsigned n = 0; n < polls->n; n++) {
		struct device *device = polls->queue[n].device;

		if (!device->ops->arm || !device->ops->arm(device, polls->queue[n].queue, worker))
			idle->unarmed[idle->n_unarmed++] = (uint16_t)n;
	}
	atomic_thread_fence(memory_order_seq_cst);
	idle->armed = idle->look = true;
	idle->looked_at = worker->now;
}

static bool has_news(const struct worker *worker)
{
	const struct poll_list *polls = atomic_load_explicit(&worker->polls, memory_order_acquire);

	return !rte_ring_empty(worker->inject) || polls->generation != worker->idle.generation ||
	       atomic_load_explicit(&worker->stop, memory_order_relaxed);
}

static uint64_t wait_time(const struct worker *worker, uint64_t silent_us)
{
	unsigned n = 0;

	if (!worker->idle.n_unarmed)
		return LOOK_NS;
	while (silent_us < poll_times[n].silent_us)
		n++;
	return poll_times[n].poll_ns;
}

/* Kicks of a guest that has nothing to say: the first ones may be left from when it had. */
static void bear_kicks(struct worker *worker)
{
	struct worker_idle *idle = &worker->idle;

	if (!idle->kicked)
		return;
	idle->kicked = false;
	if (++idle->vain > VAIN_MAX)
		nap(worker, VAIN_NS);
}

static void wait_for_news(struct worker *worker, uint64_t nanoseconds)
{
	struct timespec time = {.tv_nsec = (long)nanoseconds};
	struct worker_idle *idle = &worker->idle;
	struct epoll_event events[EVENTS];
	eventfd_t value;
	int n;

	sleep_begin(worker);
	n = epoll_pwait2(idle->epoll, events, EVENTS, &time, NULL);
	if (unlikely(n < 0 && errno != EINTR))
		clock_nanosleep(CLOCK_MONOTONIC, 0, &(struct timespec){.tv_nsec = NAP_MAX}, NULL);
	sleep_end(worker);
	for (int k = 0; k < n; k++) {
		if (events[k].data.ptr) {
			idle->kicked = true;
			continue;
		}
		eventfd_read(idle->wake, &value);
		/* There may be rings that are not armed. */
		idle->armed = false;
	}
	idle->look = n || rte_rdtsc() - idle->looked_at >= LOOK_NS / 1000 * idle->tsc_us;
	if (idle->look)
		idle->looked_at = rte_rdtsc();
	if (!n && idle->look)
		idle->vain = 0;
}

void worker_idle(struct worker *worker)
{
	struct worker_idle *idle = &worker->idle;
	uint64_t silent = worker->now - idle->busy_at, us;

	if (!worker->idle_sleep || silent < NAP_AFTER * idle->tsc_us) {
		rte_pause();
		return;
	}
	us = silent / idle->tsc_us;
	idle->look = false;
	if (us < WAIT_AFTER) {
		nap(worker, RTE_MIN(RTE_MAX(us * 250, (uint64_t)NAP_MIN), (uint64_t)NAP_MAX));
		return;
	}
	bear_kicks(worker);
	if (!idle->armed) {
		arm(worker);
	} else if (has_news(worker)) {
		idle->armed = false;
		idle->look = true;
	} else {
		wait_for_news(worker, wait_time(worker, us));
	}
}
