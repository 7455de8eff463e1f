/* SPDX-License-Identifier: BSD-3-Clause */
/* What is sent, arrives, and is given up, in each pair and interval. */
#include "plan.h"

struct gone {
	struct plan *plan;
	struct pair *pair;
	uint32_t flow;
};

static void gone_one(void *arg, uint64_t seq)
{
	struct gone *g = arg;
	struct pair *p = g->pair;

	p->counts[pair_epoch(g->plan, p, seq * p->flows + g->flow)].missing++;
	p->settled++;
	g->plan->total_open--;
}

static uint64_t *flow_bits(const struct pair *p, uint32_t flow)
{
	return p->bits + (size_t)flow * (p->width / 64);
}

void pair_sent(struct plan *plan, struct pair *p, unsigned n)
{
	p->sent += n;
	p->counts[plan->epoch].sent += n;
	if (p->untracked)
		p->settled = p->sent;
	else
		plan->total_open += n;
}

enum track_verdict pair_received(struct plan *plan, struct pair *p, uint32_t flow, uint64_t seq)
{
	struct gone g = {plan, p, flow};
	struct counts *c = &p->counts[pair_epoch(plan, p, seq * p->flows + flow)];
	enum track_verdict v =
	        track_receive(&p->tracks[flow], flow_bits(p, flow), p->width, seq, gone_one, &g);

	switch (v) {
	case TRACK_REORDERED:
		c->reordered++;
		/* fall through */
	case TRACK_NEW:
		c->received++;
		p->settled++;
		plan->total_open--;
		break;
	case TRACK_LATE:
		c->received++;
		c->late++;
		c->missing--;
		break;
	case TRACK_ANCIENT:
		c->late++;
		break;
	case TRACK_DUPLICATE:
		c->duplicated++;
		break;
	}
	return v;
}

void pair_mark(struct pair *p, uint64_t now, uint64_t timeout)
{
	uint64_t due = p->sweep_to;

	for (unsigned i = 0; i < PLAN_MARKS; i++) {
		if (now - p->marks[i].time >= timeout && p->marks[i].sent > due)
			due = p->marks[i].sent;
	}
	p->marks[p->mark].time = now;
	p->marks[p->mark].sent = p->sent;
	p->mark = (p->mark + 1) % PLAN_MARKS;
	if (p->sweep_from == p->sweep_to && !p->untracked)
		p->sweep_to = due;
}

static void give_up_flow(struct plan *plan, struct pair *p, uint32_t flow, uint64_t upto)
{
	struct gone g = {plan, p, flow};

	track_give_up(&p->tracks[flow], flow_bits(p, flow), p->width, upto, gone_one, &g);
}

/* How many packets of a flow are among the first n of the pair. */
static uint64_t flow_share(const struct pair *p, uint32_t flow, uint64_t n)
{
	return n / p->flows + (flow < n % p->flows);
}

void pair_sweep(struct plan *plan, struct pair *p, unsigned limit)
{
	if (p->sweep_from == p->sweep_to)
		return;
	if (!p->sweep_flow && p->sweep_to - p->sweep_from < p->flows) {
		for (; limit && p->sweep_from < p->sweep_to; limit--, p->sweep_from++)
			give_up_flow(plan, p, (uint32_t)(p->sweep_from % p->flows),
			        p->sweep_from / p->flows + 1);
		return;
	}
	for (; limit && p->sweep_flow < p->flows; limit--, p->sweep_flow++)
		give_up_flow(plan, p, p->sweep_flow, flow_share(p, p->sweep_flow, p->sweep_to));
	if (p->sweep_flow == p->flows) {
		p->sweep_flow = 0;
		p->sweep_from = p->sweep_to;
	}
}

void pair_finish(struct plan *plan, struct pair *p)
{
	for (uint32_t flow = 0; !p->untracked && flow < p->flows; flow++)
		give_up_flow(plan, p, flow, flow_share(p, flow, p->sent));
}

int plan_next_epoch(struct plan *plan)
{
	if (plan->epoch + 1 == PLAN_EPOCHS)
		return -ENOSPC;
	plan->epoch++;
	for (unsigned i = 0; i < plan->n_pairs; i++)
		plan->pairs[i].epoch_start[plan->epoch] = plan->pairs[i].sent;
	return 0;
}

void counts_add(struct counts *sum, const struct counts *more)
{
	uint64_t *a = (uint64_t *)sum;
	const uint64_t *b = (const uint64_t *)more;

	for (unsigned i = 0; i < sizeof(*sum) / sizeof(*a); i++)
		a[i] += b[i];
}

struct counts plan_sum(const struct plan *plan, unsigned first)
{
	struct counts sum = {0};

	for (unsigned e = first; e <= plan->epoch; e++)
		counts_add(&sum, &plan->stray[e]);
	for (unsigned i = 0; i < plan->n_pairs; i++) {
		for (unsigned e = first; e <= plan->epoch; e++)
			counts_add(&sum, &plan->pairs[i].counts[e]);
	}
	return sum;
}
