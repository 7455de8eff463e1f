/* SPDX-License-Identifier: BSD-3-Clause */
/* flood: one copy for each other member of the segment, with a head of its own and a body that they
 * share. The last one gets the packet itself. */
#include "dataplane/stage/flood.h"

static inline bool may_leave(const struct batch *batch, uint64_t i, uint16_t port)
{
	uint16_t in_port = batch->in_port[i];

	/* Our own queries come from no port. */
	return port != in_port &&
	       (in_port == NO_PORT || !(port_flags(&shared->port[port]) &
	                                      port_flags(&shared->port[in_port]) & PORT_ISOLATED));
}

static void count_lost_copy(struct worker *worker, const struct batch *batch, uint64_t i)
{
	struct counters *counters = &worker->counters;

	counter_add(&counters->drop_reasons[PR_DROP_NO_MBUF], 1);
	counter_add(&counters->drops, 1);
	if (batch->in_port[i] != NO_PORT)
		counter_add(&counters->port[batch->in_port[i]].drops[PR_DROP_NO_MBUF], 1);
}

static void add_copy(
        struct worker *worker, struct batch *batch, uint64_t i, uint16_t port, uint16_t tag)
{
	uint32_t copy;

	counter_add(&worker->counters.replicated, 1);
	if (unlikely(!batch_share(batch, i))) {
		count_lost_copy(worker, batch, i);
		return;
	}
	copy = pipeline_add_clone(worker, batch, i);
	worker->copies.out_port[copy] = port;
	worker->copies.out_tag[copy] = tag;
}

/* Two lists as one, each port once. Both are sorted where both are given. */
struct walk {
	const struct members *a, *b;
	unsigned at_a, at_b;
	uint16_t port, tag;
};

static inline bool walk_next(struct walk *walk)
{
	bool in_a = walk->a && walk->at_a < walk->a->n, in_b = walk->b && walk->at_b < walk->b->n;
	uint16_t a = in_a ? walk->a->member[walk->at_a].port : NO_PORT;
	uint16_t b = in_b ? walk->b->member[walk->at_b].port : NO_PORT;

	if (!in_a && !in_b)
		return false;
	if (in_a && a <= b) {
		walk->port = a;
		walk->tag = walk->a->member[walk->at_a++].tag;
		walk->at_b += in_b && a == b;
	} else {
		walk->port = b;
		walk->tag = walk->b->member[walk->at_b++].tag;
	}
	return true;
}

/* What a frame pays for is known once its copies are made: a port that still has credit may send
 * one to all, and pays it back before its next. */
static inline struct token_bucket *copies_bucket(const struct batch *batch, uint64_t i)
{
	return batch->in_port[i] == NO_PORT ? NULL : &shared->port[batch->in_port[i]].copy_bucket;
}

void flood_to(struct worker *worker, struct batch *batch, uint64_t i, const struct members *a,
        const struct members *b, enum pr_drop_reason empty)
{
	struct token_bucket *bucket = copies_bucket(batch, i);
	struct walk walk = {.a = a, .b = b};
	uint16_t last = NO_PORT, tag = 0;
	unsigned copies = 0;

	if (bucket && unlikely(!token_bucket_has_any(bucket, worker->now))) {
		batch_drop(batch, i, PR_DROP_FLOOD_LIMIT);
		return;
	}
	while (walk_next(&walk)) {
		if (!may_leave(batch, i, walk.port))
			continue;
		if (last != NO_PORT)
			add_copy(worker, batch, i, last, tag);
		last = walk.port;
		tag = walk.tag;
		copies++;
	}
	if (bucket)
		token_bucket_spend(bucket, worker->now, copies);
	if (last == NO_PORT) {
		batch_drop(batch, i, empty);
		return;
	}
	batch->out_port[i] = last;
	batch->out_tag[i] = tag;
	batch_next(batch, i, PR_STAGE_TX);
}

void stage_flood(struct worker *worker, struct batch *batch)
{
	uint64_t mask = batch_take(batch, PR_STAGE_FLOOD);

	BATCH_FOREACH (i, mask)
		flood_to(worker, batch, i,
		        atomic_load_explicit(
		                &shared->segment[batch->segment[i]].members, memory_order_acquire),
		        NULL, PR_DROP_FLOOD_EMPTY);
}
