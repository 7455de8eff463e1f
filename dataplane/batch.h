/* SPDX-License-Identifier: BSD-3-Clause */
/* A batch: up to PR_BATCH packets on their way through the stages, as parallel arrays.
 *
 * A batch belongs to one worker; nobody else reads or writes it. The head is what stages read and
 * rewrite: memory that only this process can write. What follows the head (the rest) stays where it
 * arrived until tx moves it, once: in a guest's buffer, or in an mbuf.
 *
 * Where a packet is:
 *   body NULL            head in batch.heads, rest in guest memory, which the guest may still write
 *   body, head inside    head and rest in the mbuf; it is ours alone
 *   body, head outside   head in batch.heads, rest in an mbuf that other entries may share (floods)
 * In all three the frame is head[0 .. head_length) followed by the rest, length bytes in all.
 *
 * Which stage a packet waits for is a bit in todo[], so a stage is a loop over the set bits of one
 * word. */
#ifndef DATAPLANE_BATCH_H
#define DATAPLANE_BATCH_H

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include <rte_mbuf.h>

#include <podrail/drop_reasons.h>
#include <podrail/limits.h>
#include <podrail/stages.h>

#define NO_PORT    UINT16_MAX
#define NO_SEGMENT 0 /* segments are numbered from 1 */

#define HEAD_ROOM 128 /* before a head in batch.heads: tags and tunnel headers */
#define CHAIN_MAX 64  /* pieces of one packet in guest memory */
/* Pieces of a batch. rx takes no more packets once half is used; the rest is for chains of mbufs:
 * at most 8 a packet, or as many as it had fragments, which looks whether they fit. */
#define BATCH_SPANS 2048

/* Readable bytes, in guest memory or in an mbuf. */
struct span {
	const uint8_t *at;
	uint32_t length;
};

/* What the sender left to us (virtio 1.1, 5.1.6). */
enum offload {
	OFFLOAD_CSUM = 1 << 0, /* the checksum field holds the pseudo-header's sum */
	OFFLOAD_TSO4 = 1 << 1, /* to be cut into segments of gso_size bytes of payload */
	OFFLOAD_TSO6 = 1 << 2,
	OFFLOAD_TSO = OFFLOAD_TSO4 | OFFLOAD_TSO6,
	/* Ours: to be cut into fragments of at most gso_size bytes, IP header included (IPv6: by
	 * the fragment header that it has);
	 * header_length is that of the MAC header. No device takes it. */
	OFFLOAD_FRAGMENT = 1 << 3,
	OFFLOAD_CUT = OFFLOAD_TSO | OFFLOAD_FRAGMENT,
	/* Ours, and nothing to do by itself: put together from fragments, the largest of which had
	 * gso_size bytes, IP header included. To be cut no larger, if it must be; IPv6 always must
	 * and has OFFLOAD_FRAGMENT, too: its sender knows no path for more, and was told of none.
	 */
	OFFLOAD_REASSEMBLED = 1 << 4,
};

struct guest_ring;
struct next_hop;

struct batch {
	uint64_t todo[PR_STAGE_COUNT]; /* bit i: entry i waits for that stage */
	uint32_t count;                /* entries in use, dead ones included */
	uint32_t n_spans, n_sources;
	bool offloads;           /* some entry has any */
	bool mbufs;              /* some entry has or had a body */
	uint8_t *head[PR_BATCH]; /* first byte; moves when a tag is taken off or put on */
	struct rte_mbuf *body[PR_BATCH];
	const uint8_t *rest[PR_BATCH]; /* first piece of what follows the head */
	uint32_t rest_length[PR_BATCH];
	uint16_t more[PR_BATCH], n_more[PR_BATCH]; /* further pieces, in span[] */
	uint32_t length[PR_BATCH];                 /* bytes of the frame; pieces may hold more */
	uint16_t head_length[PR_BATCH];            /* bytes at head that may be looked at */
	uint16_t in_device[PR_BATCH];              /* device it came from */
	uint16_t in_port[PR_BATCH];                /* port; NO_PORT until parse found it */
	uint16_t segment[PR_BATCH];
	uint16_t tci[PR_BATCH];       /* priority bits of the tag that was taken off */
	uint16_t ethertype[PR_BATCH]; /* host order, behind the tag */
	uint16_t out_port[PR_BATCH];
	uint16_t out_tag[PR_BATCH];           /* VLAN id to put on, 0: none */
	const struct next_hop *hop[PR_BATCH]; /* set by route: valid for this turn */
	uint32_t next_hop[PR_BATCH];          /* its index */
	uint8_t reason[PR_BATCH];  /* why it dies (enum pr_drop_reason), or what error to send */
	uint8_t offload[PR_BATCH]; /* enum offload; the four below count only with it */
	uint16_t csum_start[PR_BATCH];  /* from the head's first byte */
	uint16_t csum_offset[PR_BATCH]; /* from csum_start */
	uint16_t gso_size[PR_BATCH];
	uint16_t header_length[PR_BATCH]; /* TSO: Ethernet to TCP header, as we read it */
	struct guest_ring
	        *source[PR_BATCH]; /* guests' queues whose buffers go back with the batch */
	struct span span[BATCH_SPANS];
	uint8_t heads[PR_BATCH][HEAD_ROOM + PR_HEAD_MAX] __rte_cache_aligned;
};

_Static_assert(PR_BATCH == 64, "masks of entries are 64-bit words");
_Static_assert(HEAD_ROOM % RTE_CACHE_LINE_SIZE == 0 && PR_HEAD_MAX % RTE_CACHE_LINE_SIZE == 0,
        "a head of 64 bytes is one cache line");

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

/* Whether the head lies in the mbuf, which then is ours alone. */
static inline bool batch_head_in_mbuf(const struct batch *batch, uint64_t i)
{
	return batch->body[i] &&
	       (batch->head[i] < batch->heads[0] ||
	               batch->head[i] >= batch->heads[PR_BATCH - 1] + sizeof(batch->heads[0]));
}

/* Makes the next n entries empty; a burst at a time, which is a few wide stores. */
static inline void batch_prepare(struct batch *batch, uint32_t n)
{
	uint32_t first = batch->count, end = first + n;

	for (uint32_t i = first; i < end; i++)
		batch->body[i] = NULL;
	for (uint32_t i = first; i < end; i++)
		batch->rest_length[i] = 0;
	for (uint32_t i = first; i < end; i++)
		batch->n_more[i] = 0;
	for (uint32_t i = first; i < end; i++)
		batch->out_tag[i] = 0;
	for (uint32_t i = first; i < end; i++)
		batch->tci[i] = 0;
	for (uint32_t i = first; i < end; i++)
		batch->offload[i] = 0;
}

/* The next prepared entry; its head will be in batch.heads. The caller sets head_length, length and
 * the rest. */
static inline uint32_t batch_begin(struct batch *batch)
{
	uint32_t i = batch->count++;

	batch->head[i] = batch->heads[i] + HEAD_ROOM;
	return i;
}

/* Both for one entry. The caller has left room. */
static inline uint32_t batch_add_empty(struct batch *batch)
{
	batch_prepare(batch, 1);
	return batch_begin(batch);
}

/* Adds an entry whose head is the mbuf's first segment. The caller has left room. */
static inline uint32_t batch_add(struct batch *batch, struct rte_mbuf *m)
{
	uint32_t i = batch_add_empty(batch);

	batch->body[i] = m;
	batch->mbufs = true;
	batch->head[i] = rte_pktmbuf_mtod(m, uint8_t *);
	batch->length[i] = m->pkt_len;
	batch->head_length[i] = m->data_len;
	return i;
}

/* Cuts the frame to length bytes (what Ethernet padded). Pieces of the rest stay as they are. */
static inline void batch_trim(struct batch *batch, uint64_t i, uint32_t length)
{
	batch->length[i] = length;
	if (batch->head_length[i] > length)
		batch->head_length[i] = (uint16_t)length;
}

/* Bytes of the largest frame that this entry puts on a wire, Ethernet header included: a packet to
 * be cut counts as its largest piece. */
static inline uint32_t batch_wire_length(const struct batch *batch, uint64_t i)
{
	if (likely(!(batch->offload[i] & OFFLOAD_CUT)))
		return batch->length[i];
	return (uint32_t)batch->header_length[i] + batch->gso_size[i];
}

/* Where the reading of a frame's rest stands. */
struct cursor {
	const uint8_t *at;
	uint32_t left; /* of this piece */
	const struct span *next, *end;
};

static inline struct cursor batch_rest(const struct batch *batch, uint64_t i)
{
	const struct span *more = &batch->span[batch->more[i]];

	return (struct cursor){
	        batch->rest[i], batch->rest_length[i], more, more + batch->n_more[i]};
}

/* The next piece of at most max bytes; its length is 0 at the end. */
static inline struct span cursor_take(struct cursor *cursor, uint32_t max)
{
	struct span span;

	while (!cursor->left && cursor->next < cursor->end) {
		cursor->at = cursor->next->at;
		cursor->left = cursor->next->length;
		cursor->next++;
	}
	span.at = cursor->at;
	span.length = RTE_MIN(cursor->left, max);
	cursor->at += span.length;
	cursor->left -= span.length;
	return span;
}

/* Copies the next n bytes; returns how many there were. */
static inline uint32_t cursor_copy(struct cursor *cursor, uint8_t *to, uint32_t n)
{
	uint32_t done = 0;

	while (done < n) {
		struct span span = cursor_take(cursor, n - done);

		if (!span.length)
			break;
		memcpy(to + done, span.at, span.length);
		done += span.length;
	}
	return done;
}

/* Lands a packet: afterwards head and rest are in an mbuf, whoever owned them before. Chained when
 * it is longer than one mbuf. False: no mbuf. The worker that owns the batch. */
bool batch_land(struct batch *batch, uint64_t i);
/* The packet as one mbuf or chain that is ours alone, its first byte and length in agreement with
 * the entry, or NULL: no mbuf. The entry keeps the reference until it is sent or dropped. */
struct rte_mbuf *batch_mbuf(struct batch *batch, uint64_t i);
/* An entry that batch_add made of a chain of mbufs: its rest is what is chained. */
void batch_chain(struct batch *batch, uint64_t i);
/* Lands a packet anew in as few mbufs as it takes, to be held for longer. False: no mbuf. */
bool batch_compact(struct batch *batch, uint64_t i);
/* Lands a packet and takes its head out of the mbuf, so that others may share that. False: no mbuf.
 */
bool batch_share(struct batch *batch, uint64_t i);
/* A second entry of a shared packet in another batch: own head, same body. The caller has left room
 * and sets where it goes. */
uint32_t batch_clone(struct batch *to, const struct batch *from, uint64_t i);

#endif
