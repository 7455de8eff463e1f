/* SPDX-License-Identifier: BSD-3-Clause */
/* The one thread that polls: it sends, receives and counts. */
#ifndef GEN_WORKER_H
#define GEN_WORKER_H

#include <stdatomic.h>

#include "device.h"
#include "histogram.h"
#include "plan.h"
#include "sink.h"

#define WORKER_STAMP_SHIFT 6 /* time stamps count 64 TSC cycles: 32 bits last over a minute */

struct worker {
	/* set before the worker starts, read-only then */
	const struct options *options;
	struct devices *devices;
	uint64_t hz;

	/* written by the main thread, read by the worker: what it shall do; relaxed, polled */
	atomic_bool stop;
	atomic_bool announce;
	atomic_uint epoch_wanted;    /* begin intervals up to this */
	atomic_uint snapshot_wanted; /* publish counts; answered in snapshot_done */
	/* written by the worker, read by the main thread once snapshot_done (release) says so */
	struct counts snapshot;       /* since the warm-up ended */
	struct counts snapshot_epoch; /* the current interval */
	unsigned snapshot_number;
	atomic_uint snapshot_done;

	/* the worker's; the main thread reads it after it has ended */
	struct plan plan;
	struct sink sink;
	struct histogram rtt; /* in stamps */
	uint64_t faults[FRAME_FAULTS];
	uint64_t foreign, neighbour, answered, tx_full;
	uint64_t epoch_time[PLAN_EPOCHS + 1]; /* TSC when each began; the last: sending ended */
	uint64_t now;
	uint64_t send_start, granted; /* pacing: packets allowed since then */
	uint64_t built;               /* packets made after the warm-up */
	uint64_t next_tick, next_mark, next_announce;
	unsigned sweep; /* the pair to look at next */
	unsigned turn;  /* the device that may send first */
	char error[200];
};

/* Runs until told to stop, or done. Returns 0, or -1 with a sentence in w->error. */
int worker_main(void *arg);

/* Polls all ports once. Returns the number of packets. */
unsigned worker_receive(struct worker *w);

/* Sends what rate and windows allow, one burst a port. Returns how many packets that were. */
uint64_t worker_send(struct worker *w);

/* Frees what was made but not sent. */
void worker_send_end(struct worker *w);

/* Sends a short frame of `len` bytes written by `write` on the port. */
void worker_send_frame(struct worker *w, struct device *dev, const uint8_t *frame, uint32_t len);

#endif
