/* SPDX-License-Identifier: BSD-3-Clause */
/* What a worker does when a turn found nothing. With idle "poll" it only pauses. With "sleep" it
 * gives its core away: after 20 us without packets it sleeps for a few microseconds between turns,
 * after 500 us it asks the guests to kick, looks once more, and waits for kicks. Queues that can
 * not kick are then polled every 200 us, in the end every millisecond. */
#ifndef DATAPLANE_WORKER_IDLE_H
#define DATAPLANE_WORKER_IDLE_H

#include "dataplane/worker.h"

/* What it waits with. -errno: no descriptors. Control thread, before the worker starts. */
int worker_idle_init(struct worker *worker);
/* Control thread, when the worker has ended. */
void worker_idle_free(struct worker *worker);

/* A turn found nothing. The worker's thread, between batches. */
void worker_idle(struct worker *worker);

/* A turn found something. The worker's thread. */
static inline void worker_busy(struct worker *worker, uint64_t now)
{
	struct worker_idle *idle = &worker->idle;

	idle->busy_at = now;
	if (likely(!idle->armed))
		return;
	idle->armed = idle->kicked = false;
	idle->vain = 0;
	atomic_store_explicit(&idle->waiting, false, memory_order_relaxed);
}

/* Makes a worker look at its poll list, its inject ring, stop and all queues soon. What it shall
 * see was stored before. Any thread; a system call only if the worker waits. */
void worker_wake(struct worker *worker);
/* The same for all that run. */
void workers_wake(void);

/* The worker waits for an eventfd, too. False: it can not be waited for. Nobody reads it, so
 * nobody can be held by reading: each write is news by itself (EPOLLET). The worker's thread. */
bool worker_watch(struct worker *worker, int fd);
/* The worker waits for it no longer; before it is closed. Any thread. */
void worker_unwatch(struct worker *worker, int fd);

#endif
