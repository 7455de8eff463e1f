/* SPDX-License-Identifier: BSD-3-Clause */
#include "worker.h"

#include <sched.h>

#include <rte_cycles.h>

/* Seconds until packets are given up at the end of one traffic of several. */
#define CONTROL_DRAIN 2.0

static uint64_t cycles(const struct worker *w, double seconds)
{
	return (uint64_t)(seconds * (double)w->hz);
}

static void announce(struct worker *w)
{
	uint8_t frame[NEIGHBOUR_FRAME_MAX];

	for (unsigned i = 0; i < w->devices->n; i++) {
		struct device *dev = &w->devices->port[i];

		worker_send_frame(
		        w, dev, frame, neighbour_announce(&dev->self, &dev->self.ip4, frame));
		worker_send_frame(
		        w, dev, frame, neighbour_announce(&dev->self, &dev->self.ip6, frame));
	}
}

/* Asks for gateways whose MAC is not known. Returns the port of one, -1 when all are known. */
static int ask_gateways(struct worker *w)
{
	uint8_t frame[NEIGHBOUR_FRAME_MAX];
	int unknown = -1;

	for (unsigned i = 0; i < w->devices->n; i++) {
		const struct port_options *o = &w->options->ports[i];
		struct device *dev = &w->devices->port[i];

		if (!dev->gateway4_known) {
			worker_send_frame(
			        w, dev, frame, neighbour_ask(&dev->self, &o->gateway4, frame));
			unknown = (int)i;
		}
		if (!dev->gateway6_known) {
			worker_send_frame(
			        w, dev, frame, neighbour_ask(&dev->self, &o->gateway6, frame));
			unknown = (int)i;
		}
	}
	return unknown;
}

/* Announces the ports' addresses, waits for the gateways' and for the settling time. */
static int begin(struct worker *w)
{
	uint64_t start = rte_rdtsc(), again = start;
	uint64_t limit = start + cycles(w, w->options->wait_link);
	uint64_t settled = start + cycles(w, w->options->settle);
	int unknown = -1;

	announce(w);
	do {
		worker_receive(w);
		w->now = rte_rdtsc();
		if (w->now >= again) {
			unknown = ask_gateways(w);
			again = w->now + w->hz / 10;
		}
		if (unknown >= 0 && w->now > limit) {
			snprintf(w->error, sizeof(w->error),
			        "the gateway of port %d does not answer", unknown);
			return -1;
		}
	} while ((unknown >= 0 || w->now < settled) && !w->stop);
	announce(w);
	return 0;
}

static void next_epoch(struct worker *w)
{
	if (!plan_next_epoch(&w->plan))
		w->epoch_time[w->plan.epoch] = w->now;
}

static void publish(struct worker *w, unsigned wanted)
{
	w->snapshot = plan_sum(&w->plan, w->plan.epoch ? 1 : 0);
	w->snapshot_epoch = plan_sum(&w->plan, w->plan.epoch);
	w->snapshot_number = w->plan.epoch;
	atomic_store_explicit(&w->snapshot_done, wanted, memory_order_release);
}

/* What needs to be done some times a second, and what the main thread asks for. */
static void tick(struct worker *w)
{
	uint64_t timeout = cycles(w, w->options->timeout);
	unsigned wanted = atomic_load_explicit(&w->snapshot_wanted, memory_order_relaxed);

	w->next_tick = w->now + w->hz / 200;
	for (unsigned i = 0; i < w->plan.n_pairs && w->now >= w->next_mark; i++)
		pair_mark(&w->plan.pairs[i], w->now, timeout);
	if (w->now >= w->next_mark)
		w->next_mark = w->now + timeout / 16;
	if (wanted != atomic_load_explicit(&w->snapshot_done, memory_order_relaxed))
		publish(w, wanted);
	if (atomic_exchange_explicit(&w->announce, false, memory_order_relaxed))
		announce(w);
	if (w->options->announce > 0 && w->now >= w->next_announce) {
		announce(w);
		w->next_announce = w->now + cycles(w, w->options->announce);
	}
}

static void housekeeping(struct worker *w)
{
	unsigned wanted = atomic_load_explicit(&w->epoch_wanted, memory_order_relaxed);

	if (w->now >= w->next_tick)
		tick(w);
	if (w->plan.n_pairs) {
		pair_sweep(&w->plan, &w->plan.pairs[w->sweep], 64);
		w->sweep = w->sweep + 1 < w->plan.n_pairs ? w->sweep + 1 : 0;
	}
	if (w->plan.epoch && wanted > w->plan.epoch)
		next_epoch(w);
}

static bool finished(const struct worker *w, uint64_t end)
{
	if (atomic_load_explicit(&w->stop, memory_order_relaxed))
		return true;
	if (w->options->count && w->built >= w->options->count)
		return true;
	return end && w->now >= end;
}

/* Waits until all is back or its time is up, and a little for duplicates. */
static void drain(struct worker *w)
{
	double seconds = w->options->timeout;
	uint64_t limit, linger = 0;

	w->now = rte_rdtsc();
	/* who stops and continues us makes the timeout long; whoever waits for the end does not */
	if (w->options->control && seconds > CONTROL_DRAIN)
		seconds = CONTROL_DRAIN;
	limit = w->now + cycles(w, seconds);
	while (w->now < limit && (!linger || w->now < linger)) {
		unsigned n = worker_receive(w);

		w->now = rte_rdtsc();
		if (!w->plan.total_open && (n || !linger))
			linger = w->now + w->hz / 50;
		if (!n && w->options->yield)
			sched_yield();
	}
	for (unsigned i = 0; i < w->plan.n_pairs; i++)
		pair_finish(&w->plan, &w->plan.pairs[i]);
}

int worker_main(void *arg)
{
	struct worker *w = arg;
	double seconds = w->options->duration;
	uint64_t end, warm;

	if (begin(w))
		return -1;
	w->now = w->send_start = w->epoch_time[0] = rte_rdtsc();
	warm = w->now + cycles(w, w->options->warmup);
	end = seconds > 0 ? warm + cycles(w, seconds) : 0;
	while (!finished(w, end)) {
		uint64_t busy = worker_receive(w);

		w->now = rte_rdtsc();
		if (!w->plan.epoch && w->now >= warm)
			next_epoch(w);
		if (w->options->mode == GEN_SEND)
			busy += worker_send(w);
		housekeeping(w);
		if (!busy && w->options->yield)
			sched_yield();
	}
	if (!w->plan.epoch)
		next_epoch(w);
	worker_send_end(w);
	w->epoch_time[w->plan.epoch + 1] = rte_rdtsc();
	drain(w);
	if (w->options->mode != GEN_SEND) {
		w->sink.counts = &w->plan.stray[w->plan.epoch];
		sink_finish(&w->sink);
	}
	return 0;
}
