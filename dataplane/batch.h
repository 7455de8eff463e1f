/* SPDX-License-Identifier: BSD-3-Clause */
/* A batch: up to PR_BATCH packets on their way through the stages, as parallel arrays.
 *
 * A batch belongs to one worker; nobody else reads or writes it. The head is what stages read and
 * rewrite: memory that only this process can write. For a packet in an mbuf, head and body stay in
 * the mbuf, and head points into it; tx makes the mbuf agree with the head. Which stage a packet
 * waits for is a bit in todo[], so a stage is a loop over the set bits of one word. */
#ifndef DATAPLANE_BATCH_H
#define DATAPLANE_BATCH_H

#include <stdint.h>

#include <rte_mbuf.h>

#include <podrail/drop_reasons.h>
#include <podrail/limits.h>
#include <podrail/stages.h>

#define NO_PORT    UINT16_MAX
#define NO_SEGMENT 0 /* segments are numbered from 1 */

struct batch {
	uint64_t todo[PR_STAGE_COUNT]; /* bit i: entry i waits for that stage */
	uint32_t count;                /* entries in use, dead ones included */
	uint8_t *head[PR_BATCH]; /* first byte of the frame; moves when a tag is taken off or put on
	                          */
	struct rte_mbuf *body[PR_BATCH]; /* owns the packet */
	uint32_t length[PR_BATCH];       /* bytes of the frame, from head */
	uint16_t head_length[PR_BATCH];  /* bytes at head that may be looked at */
	uint16_t in_device[PR_BATCH];    /* device it came from */
	uint16_t in_port[PR_BATCH];      /* port; NO_PORT until parse found it */
	uint16_t segment[PR_BATCH];
	uint16_t tci[PR_BATCH];       /* priority bits of the tag that was taken off */
	uint16_t ethertype[PR_BATCH]; /* host order, behind the tag */
	uint16_t out_port[PR_BATCH];
	uint16_t out_tag[PR_BATCH];     /* VLAN id to put on, 0: none */
	uint32_t next_hop[PR_BATCH];    /* index */
	uint32_t destination[PR_BATCH]; /* IPv4, host order: set by route */
	uint8_t reason[PR_BATCH]; /* why it dies (enum pr_drop_reason), or what error to send */
};

/* Runs the body for each entry of a 64-bit mask, lowest first. The mask is read once. */
#define BATCH_FOREACH(i, mask)                                                                     \
	for (uint64_t left_ = (mask), i = 0;                                                       \
	        left_ && (i = (uint64_t)__builtin_ctzll(left_), true); left_ &= left_ - 1)

/* Takes all entries that wait for a stage. */
static inline uint64_t batch_take(struct batch *batch, enum pr_stage stage)
{
	uint64_t mask = batch->todo[stage];

	batch->todo[stage] = 0;
	return mask;
}

static inline void batch_next(struct batch *batch, uint64_t i, enum pr_stage stage)
{
	batch->todo[stage] |= UINT64_C(1) << i;
}

static inline void batch_drop(struct batch *batch, uint64_t i, enum pr_drop_reason reason)
{
	batch->reason[i] = (uint8_t)reason;
	batch->todo[PR_STAGE_DROP] |= UINT64_C(1) << i;
}

/* The packet did what it came for (an answer to our ARP): freed, but no drop. */
static inline void batch_consume(struct batch *batch, uint64_t i)
{
	batch_drop(batch, i, PR_DROP_COUNT);
}

/* Makes the mbuf's first byte and length agree with the head. Single-segment or chained: only the
 * first segment changes. */
static inline struct rte_mbuf *batch_mbuf(struct batch *batch, uint64_t i)
{
	struct rte_mbuf *m = batch->body[i];
	uint16_t data_off = (uint16_t)(batch->head[i] - (uint8_t *)m->buf_addr);
	int moved = (int)data_off - (int)m->data_off;

	m->data_off = data_off;
	m->data_len = (uint16_t)(m->data_len - moved);
	m->pkt_len = (uint32_t)((int)m->pkt_len - moved);
	return m;
}

/* Adds an entry whose head is the mbuf's first segment. The caller has left room. */
static inline uint32_t batch_add(struct batch *batch, struct rte_mbuf *m)
{
	uint32_t i = batch->count++;

	batch->body[i] = m;
	batch->head[i] = rte_pktmbuf_mtod(m, uint8_t *);
	batch->length[i] = m->pkt_len;
	batch->head_length[i] = m->data_len;
	batch->out_tag[i] = 0;
	batch->tci[i] = 0;
	return i;
}

#endif
