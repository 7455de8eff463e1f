/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Flows of other generators, found as they come. What was lost before a flow's first packet (if
 * that is not near its beginning) or behind its last one can not be known here; the sender knows
 * when packets are reflected. Any memory is taken at start. One thread.
 */
#ifndef GEN_SINK_H
#define GEN_SINK_H

#include "frame.h"
#include "plan.h"

#define SINK_FLOWS 65536u
#define SINK_WIDTH 1024u

struct sink_flow {
	uint64_t key; /* 0: free */
	struct track track;
};

struct sink {
	struct sink_flow *flows;
	uint64_t *bits;
	unsigned used;
	uint64_t untracked; /* arrivals of flows beyond SINK_FLOWS * 3 / 4 */
	struct counts *counts;
};

/* counts: where results go to. Returns 0 or -ENOMEM. */
int sink_init(struct sink *s, struct counts *counts);
void sink_free(struct sink *s);

/* Notes an arrival. */
void sink_receive(struct sink *s, const struct frame_id *id);

/* Gives up what has not arrived and counts what is missing; once, at the end. */
void sink_finish(struct sink *s);

#endif
