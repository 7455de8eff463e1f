/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The pairs of ports and what is known of their packets. The n-th packet of a pair belongs to
 * flow n % flows and has sequence number n / flows, so that one number a pair says what was sent.
 * No EAL. plan_init and plan_free: the main thread, before and after the worker; all else: the
 * worker. The main thread reads only what the worker publishes (struct progress, worker.h).
 */
#ifndef GEN_PLAN_H
#define GEN_PLAN_H

#include "frame.h"
#include "options.h"
#include "track.h"

#define PLAN_EPOCHS    64 /* interval 0 is the warm-up */
#define PLAN_TEMPLATES 4
#define PLAN_MARKS     32 /* times remembered to know what was sent `timeout` ago */
#define PLAN_FLOW_BITS 20 /* of the flow number in a packet; the rest is the pair */

struct counts {
	uint64_t sent;
	uint64_t received; /* distinct packets; sent = received + missing at the end */
	uint64_t missing;
	uint64_t duplicated;
	uint64_t reordered;
	uint64_t corrupted;
	uint64_t unexpected; /* wrong port, address, or never sent */
	uint64_t late;       /* received after the timeout */
	uint64_t tx_dropped; /* due by the rate, but the ring was full */
};

struct pair {
	uint8_t from, to; /* ports */
	uint8_t arrives;  /* the port where its packets are expected */
	bool reflected;   /* they come back with addresses swapped */
	bool untracked;   /* they never come back */
	uint32_t flows;
	unsigned n_templates;
	struct frame_template templates[PLAN_TEMPLATES];
	struct pr_mac arrival_mac; /* the destination MAC that arriving frames must have */

	uint64_t sent;       /* packets that a device has taken */
	uint32_t build_flow; /* flow and number of the next packet to be made */
	uint64_t build_seq;
	uint64_t settled; /* of them, those that arrived in time or were given up */
	struct track *tracks;
	uint64_t *bits;
	uint32_t width; /* bits of a flow */

	struct {
		uint64_t time, sent;
	} marks[PLAN_MARKS];
	unsigned mark;                 /* the next to write */
	uint64_t sweep_from, sweep_to; /* packets whose time is up */
	uint32_t sweep_flow;

	uint64_t epoch_start[PLAN_EPOCHS]; /* packet number */
	struct counts counts[PLAN_EPOCHS];
};

struct plan {
	const struct options *options;
	struct pair *pairs;
	unsigned n_pairs;
	uint16_t run;
	unsigned epoch;                   /* the current one */
	uint64_t total_open;              /* under way, of all pairs */
	struct counts stray[PLAN_EPOCHS]; /* what belongs to no pair, or can not be told */
};

/*
 * Makes pairs, templates and tracks of the options. Port MACs that are zero must have been
 * filled in. Returns 0, -ENOMEM, or -EINVAL with a sentence in error.
 */
int plan_init(struct plan *plan, const struct options *o, uint16_t run, char *error, size_t size);
void plan_free(struct plan *plan);

/* The stations' addresses, with defaults for those not given. */
struct pr_ip plan_address(const struct options *o, unsigned station, bool ipv6);

/* Packets of the pair that are under way. */
static inline uint64_t pair_open(const struct pair *p)
{
	return p->sent - p->settled;
}

static inline uint16_t pair_size(const struct plan *plan, const struct pair *p, uint64_t packet)
{
	const struct options *o = plan->options;
	uint64_t n = o->n_sizes == 1 ? 0 : packet % o->n_sizes;
	uint16_t size = o->sizes[n];
	uint16_t min;

	if (!o->imix)
		return size;
	min = frame_size_min(&p->templates[packet % p->flows % p->n_templates]);
	return size > min ? size : min;
}

/* The interval in which a packet of the pair was sent. */
static inline unsigned pair_epoch(const struct plan *plan, const struct pair *p, uint64_t packet)
{
	unsigned e = plan->epoch;

	while (e && packet < p->epoch_start[e])
		e--;
	return e;
}

/* Sends what port `from` sends over IPv4 or IPv6 to this MAC, a gateway's that was asked for. */
void plan_gateway(struct plan *plan, unsigned from, bool ipv6, const struct pr_mac *mac);

/* Notes that n more packets were sent. */
void pair_sent(struct plan *plan, struct pair *p, unsigned n);

/* Notes an arrival that belongs to the pair; flow is within range. */
enum track_verdict pair_received(struct plan *plan, struct pair *p, uint32_t flow, uint64_t seq);

/* Remembers how much was sent by `now`, and from when on older packets are given up. */
void pair_mark(struct pair *p, uint64_t now, uint64_t timeout);

/* Gives up packets whose time is up, `limit` flows or so at a call. */
void pair_sweep(struct plan *plan, struct pair *p, unsigned limit);

/* Gives up all that is under way. */
void pair_finish(struct plan *plan, struct pair *p);

/* Begins a new interval. Returns -ENOSPC when there were PLAN_EPOCHS. */
int plan_next_epoch(struct plan *plan);

/* Sums of all pairs from interval `first` to the current one. */
struct counts plan_sum(const struct plan *plan, unsigned first);
void counts_add(struct counts *sum, const struct counts *more);

#endif
