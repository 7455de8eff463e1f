/* SPDX-License-Identifier: BSD-3-Clause */
/* rx: a turn of a worker fills one batch from its queues and runs it through the stages. */
#include <rte_cycles.h>
#include <rte_prefetch.h>
#include <rte_ring_elem.h>

#include "dataplane/port/vhost_user/vhost.h"
#include "dataplane/stage/ip4.h"
#include "dataplane/stage/stage.h"
#include "dataplane/tables.h"
#include "dataplane/worker_idle.h"
#include "dataplane/worker_loop.h"

#define SILENT_HZ    1000 /* a queue that was silent for a millisecond is polled less often */
#define COLD_TURNS   256
#define COLD_BETWEEN 4u /* in a turn that found nothing, while some queue is hot */

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
		batch->ethertype[i] = load_be16(batch->head[i] + 12);
		batch->out_port[i] = note->out_port;
		batch->out_tag[i] = note->out_tag;
		batch->next_hop[i] = note->next_hop;
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

/* A list that the worker has not seen: everything is hot until it proves silent. */
static void order_anew(struct poll_order *order, const struct poll_list *polls, uint32_t now)
{
	order->n = order->n_hot = (uint16_t)polls->n;
	order->hot_next = order->cold_next = 0;
	for (unsigned n = 0; n < polls->n; n++) {
		order->order[n] = (uint16_t)n;
		order->queue[n].seen = now;
		__atomic_store_n(&order->queue[n].packets, 0, __ATOMIC_RELAXED);
	}
	__atomic_store_n(&order->generation, polls->generation, __ATOMIC_RELEASE);
}

static inline void swap_places(struct poll_order *order, unsigned a, unsigned b)
{
	uint16_t index = order->order[a];

	order->order[a] = order->order[b];
	order->order[b] = index;
}

/* Polls the queue with that index in the list; returns how many packets came. */
static inline unsigned poll_index(
        struct worker *worker, const struct poll_list *polls, struct batch *batch, unsigned index)
{
	struct poll_order *order = &worker->polling;
	unsigned first = batch->count;
	struct device *device = polls->queue[index].device;
	unsigned n = device->ops->rx(device, polls->queue[index].queue, batch, RX_BURST);

	if (!n)
		return 0;
	add_received(batch, device, first);
	order->queue[index].seen = (uint32_t)(worker->now >> SEEN_SHIFT);
	__atomic_store_n(
	        &order->queue[index].packets, order->queue[index].packets + n, __ATOMIC_RELAXED);
	counter_add(&worker->counters.full_polls, 1);
	return n;
}

static inline unsigned poll_place(
        struct worker *worker, const struct poll_list *polls, struct batch *batch, unsigned place)
{
	return poll_index(worker, polls, batch, worker->polling.order[place]);
}

/* Polls some of those that were silent, or all; whoever has something is hot from now on. */
static unsigned gather_cold(
        struct worker *worker, const struct poll_list *polls, struct batch *batch, unsigned visits)
{
	struct poll_order *order = &worker->polling;
	unsigned received = 0;

	for (; visits && order->n_hot < order->n && PR_BATCH - batch->count >= RX_BURST; visits--) {
		unsigned place, n;

		if (order->cold_next < order->n_hot || order->cold_next >= order->n)
			order->cold_next = order->n_hot;
		place = order->cold_next++;
		n = poll_place(worker, polls, batch, place);
		if (!n)
			continue;
		received += n;
		swap_places(order, place, order->n_hot++);
	}
	return received;
}

/* Silent queues are out of every cache: those whose turn comes next are fetched meanwhile. */
static void approach_cold(const struct poll_order *order, const struct poll_list *polls)
{
	unsigned cold = order->n - order->n_hot;

	for (unsigned turns = 1; turns <= POLL_AHEAD; turns++) {
		unsigned place = order->cold_next + turns - 1, index;
		struct device *device;

		if (place < order->n_hot || place >= order->n)
			place = order->n_hot + (turns - 1) % cold;
		index = order->order[place];
		device = polls->queue[index].device;
		if (device->ops->approach)
			device->ops->approach(device, polls->queue[index].queue, turns);
	}
}

static unsigned gather_hot(
        struct worker *worker, const struct poll_list *polls, struct batch *batch)
{
	struct poll_order *order = &worker->polling;
	uint32_t now = (uint32_t)(worker->now >> SEEN_SHIFT);
	uint32_t silent = (uint32_t)(shared->tsc_hz / SILENT_HZ >> SEEN_SHIFT);
	unsigned received = 0;

	for (unsigned visits = order->n_hot; visits; visits--) {
		unsigned place, n;

		if (PR_BATCH - batch->count < RX_BURST)
			break;
		if (order->hot_next >= order->n_hot)
			order->hot_next = 0;
		place = order->hot_next++;
		n = poll_place(worker, polls, batch, place);
		received += n;
		if (n || now - order->queue[order->order[place]].seen < silent)
			continue;
		/* The last of the hot ones takes its place, and its turn. */
		swap_places(order, place, --order->n_hot);
		order->hot_next--;
	}
	return received;
}

/* All others would have kicked. */
static unsigned gather_unarmed(
        struct worker *worker, const struct poll_list *polls, struct batch *batch)
{
	const struct worker_idle *idle = &worker->idle;
	unsigned received = 0;

	for (unsigned n = 0; n < idle->n_unarmed && PR_BATCH - batch->count >= RX_BURST; n++)
		received += poll_index(worker, polls, batch, idle->unarmed[n]);
	return received;
}

static unsigned gather_any(
        struct worker *worker, const struct poll_list *polls, struct batch *batch)
{
	struct poll_order *order = &worker->polling;
	unsigned received = 0, cold = order->n - order->n_hot;

	if (cold)
		received = gather_cold(worker, polls, batch, cold / COLD_TURNS + 1);
	received += gather_hot(worker, polls, batch);
	if (received && order->n_hot < order->n)
		approach_cold(order, polls);
	else if (!received && cold)
		/* Between the bursts of busy queues, all silent ones would empty the caches. */
		received = gather_cold(worker, polls, batch,
		        order->n_hot && !worker->idle.look ? RTE_MIN(cold, COLD_BETWEEN) : cold);
	return received;
}

/* Fills the batch from as many queues as it takes, starting behind the last turn's. A cold queue
 * waits at most COLD_TURNS turns. */
static void gather(struct worker *worker, struct batch *batch)
{
	const struct poll_list *polls = atomic_load_explicit(&worker->polls, memory_order_acquire);
	struct poll_order *order = &worker->polling;
	const struct worker_idle *idle = &worker->idle;
	struct counters *counters = &worker->counters;
	unsigned received;

	if (unlikely(order->generation != polls->generation))
		order_anew(order, polls, (uint32_t)(worker->now >> SEEN_SHIFT));
	if (unlikely(idle->armed) && !idle->look && idle->generation == polls->generation)
		received = gather_unarmed(worker, polls, batch);
	else
		received = gather_any(worker, polls, batch);
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
	uint64_t start = rte_rdtsc();

	worker->now = worker->idle.busy_at = start;
	while (!atomic_load_explicit(&worker->stop, memory_order_relaxed)) {
		bool busy = turn(worker);
		uint64_t now;

		rte_rcu_qsbr_quiescent(shared->qsbr, worker->qsbr_id);
		counter_add(&counters->polls, 1);
		if (!busy)
			worker_idle(worker);
		now = rte_rdtsc();
		if (busy)
			worker_busy(worker, now);
		counter_add(
		        busy ? &counters->busy_cycles : &counters->idle_cycles, now - worker->now);
		worker->now = now;
		if (unlikely(now - start >= shared->tsc_hz)) {
			worker->seconds++;
			start += shared->tsc_hz;
		}
	}
}
