/* SPDX-License-Identifier: BSD-3-Clause */
/* reassemble: in networks that ask for it, fragments wait here for the rest of their datagram, and
 * what comes after sees whole packets only. Who may: table/reassembly.h. */
#include "dataplane/stage/ip6.h"
#include "dataplane/stage/reassemble.h"

#define FRAGMENT_BITS 0x3fff /* IPv4: more fragments, offset */
#define TRIES         4      /* datagrams that one fragment may drive out */

/* ---- which packets ---- */

static bool is_fragment4(const struct batch *batch, uint64_t i)
{
	return batch->head_length[i] >= L3_OFFSET + 8 &&
	       load_be16(batch->head[i] + L3_OFFSET + 6) & FRAGMENT_BITS;
}

/* What can not be seen may be one. */
static bool is_fragment6(const struct batch *batch, uint64_t i)
{
	struct ip6_fragment found;

	if (batch->head_length[i] < L3_OFFSET + IP6_BYTES)
		return false;
	found = ip6_find_fragment(batch->head[i] + L3_OFFSET, batch->head_length[i] - L3_OFFSET);
	return found.at || found.hidden;
}

static bool asks_for_it(const struct batch *batch, uint64_t i)
{
	return shared->segment[batch->segment[i]].reassemble;
}

void reassemble_pick(struct batch *batch, uint64_t *route, uint64_t *route6)
{
	uint64_t picked = 0;

	BATCH_FOREACH (i, *route)
		if (asks_for_it(batch, i) && is_fragment4(batch, i))
			picked |= UINT64_C(1) << i;
	BATCH_FOREACH (i, *route6)
		if (asks_for_it(batch, i) && is_fragment6(batch, i))
			picked |= UINT64_C(1) << i;
	*route &= ~picked;
	*route6 &= ~picked;
	batch->todo[PR_STAGE_REASSEMBLE] |= picked;
}

/* ---- what becomes of them ---- */

/* Pieces that die with their datagram; held of them were counted as held. */
static void lose(struct worker *worker, uint16_t port, const struct reassembly_taken *taken,
        unsigned held, enum pr_drop_reason reason)
{
	struct counters *counters = &worker->counters;
	struct rte_mbuf *dead[REASSEMBLY_PIECES];

	if (!taken->n)
		return;
	for (unsigned k = 0; k < taken->n; k++)
		dead[k] = taken->piece[k].packet;
	counter_add(&counters->released, held);
	counter_add(&counters->drops, taken->n);
	counter_add(&counters->drop_reasons[reason], taken->n);
	counter_add(&counters->port[port].drops[reason], taken->n);
	rte_pktmbuf_free_bulk(dead, taken->n);
}

/* The entry becomes the whole packet, or goes with all its fragments. */
static void complete(struct worker *worker, struct batch *batch, uint64_t i, bool v6,
        const struct reassembly_taken *taken)
{
	enum pr_drop_reason reason =
	        v6 ? reassemble_join6(batch, i, taken) : reassemble_join4(batch, i, taken);

	if (unlikely(reason != PR_DROP_COUNT)) {
		lose(worker, batch->in_port[i], taken, taken->n - 1, reason);
		return;
	}
	counter_add(&worker->counters.released, taken->n - 1);
	counter_add(&worker->counters.merged, taken->n - 1);
	batch_next(batch, i, v6 ? PR_STAGE_ROUTE6 : PR_STAGE_ROUTE);
}

static void insert(struct worker *worker, struct batch *batch, uint64_t i, bool v6,
        const struct reassembly_fragment *fragment)
{
	struct reassembly_taken taken;
	enum reassembly_outcome outcome = REASSEMBLY_AGAIN;

	/* Once it is in the table, another worker may have it. */
	*mbuf_note(fragment->packet) = (struct note){.in_port = batch->in_port[i]};
	for (unsigned n = 0; n < TRIES && outcome == REASSEMBLY_AGAIN; n++) {
		outcome = reassembly_insert(shared->reassembly, fragment, worker->now, &taken);
		if (outcome != REASSEMBLY_WHOLE)
			lose(worker, taken.port, &taken, taken.n, reassemble_reason(taken.why));
	}
	switch (outcome) {
	case REASSEMBLY_HELD:
		counter_add(&worker->counters.held, 1);
		return;
	case REASSEMBLY_WHOLE:
		complete(worker, batch, i, v6, &taken);
		return;
	case REASSEMBLY_DUPLICATE:
		batch_drop(batch, i, PR_DROP_FRAGMENT_DUPLICATE);
		return;
	case REASSEMBLY_REFUSED:
		batch_drop(batch, i, reassemble_reason(taken.why));
		return;
	default:
		batch_drop(batch, i, PR_DROP_REASSEMBLY_LIMIT);
		return;
	}
}

void stage_reassemble(struct worker *worker, struct batch *batch)
{
	uint64_t mask = batch_take(batch, PR_STAGE_REASSEMBLE);

	BATCH_FOREACH (i, mask) {
		struct reassembly_fragment fragment = {.port = batch->in_port[i]};
		bool v6 = batch->ethertype[i] == RTE_ETHER_TYPE_IPV6;
		enum pr_drop_reason reason = v6 ? reassemble_read6(batch, i, &fragment)
		                                : reassemble_read4(batch, i, &fragment);

		if (reason != PR_DROP_COUNT)
			batch_drop(batch, i, reason);
		else if (fragment.length)
			insert(worker, batch, i, v6, &fragment);
		else
			batch_next(batch, i, v6 ? PR_STAGE_ROUTE6 : PR_STAGE_ROUTE);
	}
}
