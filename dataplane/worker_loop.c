/* SPDX-License-Identifier: BSD-3-Clause */
/* rx: a turn of a worker fills one batch from its queues and runs it through the stages. */
#include <time.h>

#include <rte_cycles.h>
#include <rte_pause.h>
#include <rte_prefetch.h>
#include <rte_ring_elem.h>

#include "dataplane/port/vhost_user/vhost.h"
#include "dataplane/stage/stage.h"
#include "dataplane/tables.h"
#include "dataplane/worker_loop.h"

#define IDLE_PAUSES    256  /* empty turns before the first sleep */
#define IDLE_SLEEP_MIN 4000 /* nanoseconds */
#define IDLE_SLEEP_MAX 200000

bool worker_post(struct worker *worker, const struct event *event)
{
	worker->posted = true;
	return rte_ring_sp_enqueue_elem(worker->events, (void *)(uintptr_t)event, sizeof(*event)) ==
	       0;
}

/* Packets from the tables thread: answers, requests, and what was held for a neighbour. */
static void take_injected(struct worker *worker, struct batch *batch)
{
	struct rte_mbuf *packets[RX_BURST];
	unsigned n = rte_ring_sc_dequeue_burst(worker->inject, (void **)packets, RX_BURST, NULL);
	unsigned generated = 0;

	for (unsigned k = 0; k < n; k++) {
		const struct note *note = mbuf_note(packets[k]);
		uint32_t i = batch_add(batch, packets[k]);

		batch->in_device[i] = 0;
		batch->in_port[i] = note->in_port;
		batch->segment[i] = note->segment;
		batch->out_port[i] = note->out_port;
		batch->out_tag[i] = note->out_tag;
		batch->next_hop[i] = note->next_hop;
		batch->destination[i] = note->destination;
		batch->reason[i] = note->reason;
		batch->offload[i] = note->generated ? 0 : note->offload;
		batch->offloads |= batch->offload[i] != 0;
		batch->csum_start[i] = note->csum_start;
		batch->csum_offset[i] = note->csum_offset;
		batch->gso_size[i] = note->gso_size;
		batch->header_length[i] = note->header_length;
		if (unlikely(packets[k]->nb_segs > 1))
			batch_chain(batch, i);
		batch->todo[note->stage] |= UINT64_C(1) << i;
		generated += note->generated;
	}
	counter_add(&worker->counters.generated, generated);
	counter_add(&worker->counters.released, n - generated);
}

/* What rx has just added: nothing is known of it but its device. */
static inline void add_received(struct batch *batch, struct device *device, unsigned first)
{
	uint64_t mask = UINT64_MAX << first;

	if (batch->count < PR_BATCH)
		mask &= (UINT64_C(1) << batch->count) - 1;
	for (unsigned i = first; i < batch->count; i++) {
		batch->in_device[i] = device->index;
		batch->in_port[i] = NO_PORT;
	}
	if (unlikely(batch->todo[PR_STAGE_DROP] & mask)) {
		struct link link = atomic_load_explicit(&device->untagged, memory_order_acquire);

		BATCH_FOREACH (i, batch->todo[PR_STAGE_DROP] & mask)
			batch->in_port[i] = link.port;
	}
	batch->todo[PR_STAGE_PARSE] |= mask & ~batch->todo[PR_STAGE_DROP];
}

/* Fills the batch from as many queues as it takes, starting behind the last turn's. */
static void gather(struct worker *worker, struct batch *batch)
{
	const struct poll_list *polls = atomic_load_explicit(&worker->polls, memory_order_acquire);
	struct counters *counters = &worker->counters;
	unsigned received = 0;

	for (unsigned visited = 0; visited < polls->n; visited++) {
		struct device *device;
		unsigned n, first = batch->count, room = PR_BATCH - first;

		if (room < RX_BURST)
			break;
		if (worker->cursor >= polls->n)
			worker->cursor = 0;
		device = polls->queue[worker->cursor].device;
		n = device->ops->rx(device, polls->queue[worker->cursor].queue, batch, RX_BURST);
		worker->cursor++;
		if (!n)
			continue;
		add_received(batch, device, first);
		received += n;
		counter_add(&counters->full_polls, 1);
	}
	counter_add(&counters->in, received);
	counter_add(&counters->stage_packets[PR_STAGE_RX], received);
}

/* The batch whose stages will be sampled has its rx sampled too. */
static void gather_sampled(struct worker *worker, struct batch *batch)
{
	struct counters *counters = &worker->counters;
	unsigned injected = batch->count;
	uint64_t before;

	if (likely(worker->batch_number % SAMPLE_EVERY)) {
		gather(worker, batch);
		return;
	}
	before = rte_rdtsc();
	gather(worker, batch);
	if (batch->count == injected)
		return;
	counter_add(&counters->sampled_cycles[PR_STAGE_RX], rte_rdtsc() - before);
	counter_add(&counters->sampled_packets[PR_STAGE_RX], batch->count - injected);
}

/* Nothing to do: gives the core away for longer and longer, and holds up no grace period. */
static void nap(struct worker *worker, unsigned empty_turns)
{
	unsigned long sleep = IDLE_SLEEP_MIN;

	if (!worker->idle_sleep || empty_turns < IDLE_PAUSES) {
		rte_pause();
		return;
	}
	sleep <<= RTE_MIN((empty_turns - IDLE_PAUSES) / 8, 8u);
	sleep = RTE_MIN(sleep, (unsigned long)IDLE_SLEEP_MAX);
	atomic_store_explicit(&worker->sleeping, true, memory_order_relaxed);
	rte_rcu_qsbr_thread_offline(shared->qsbr, worker->qsbr_id);
	clock_nanosleep(CLOCK_MONOTONIC, 0, &(struct timespec){.tv_nsec = (long)sleep}, NULL);
	rte_rcu_qsbr_thread_online(shared->qsbr, worker->qsbr_id);
	atomic_store_explicit(&worker->sleeping, false, memory_order_relaxed);
}

static bool turn(struct worker *worker)
{
	struct batch *batch = &worker->batch;

	if (!rte_ring_empty(worker->inject))
		take_injected(worker, batch);
	gather_sampled(worker, batch);
	if (!batch->count)
		return false;
	counter_add(&worker->counters.batches, 1);
	pipeline_run(worker, batch);
	/* Senders' buffers go back after their packets have arrived: a kill repeats some, loses
	 * none. */
	vhost_finish(worker, batch);
	if (worker->posted) {
		worker->posted = false;
		tables_wake();
	}
	return true;
}

void worker_loop(struct worker *worker)
{
	struct counters *counters = &worker->counters;
	unsigned empty_turns = 0;
	uint64_t start = rte_rdtsc();

	worker->now = start;
	while (!atomic_load_explicit(&worker->stop, memory_order_relaxed)) {
		bool busy = turn(worker);
		uint64_t now;

		rte_rcu_qsbr_quiescent(shared->qsbr, worker->qsbr_id);
		counter_add(&counters->polls, 1);
		if (busy) {
			empty_turns = 0;
		} else {
			empty_turns++;
			nap(worker, empty_turns);
		}
		now = rte_rdtsc();
		counter_add(
		        busy ? &counters->busy_cycles : &counters->idle_cycles, now - worker->now);
		worker->now = now;
		if (unlikely(now - start >= shared->tsc_hz)) {
			worker->seconds++;
			start += shared->tsc_hz;
		}
	}
}
