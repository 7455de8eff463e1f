/* SPDX-License-Identifier: BSD-3-Clause */
/* A datagram whose fragments are all there becomes one packet. */
#include "dataplane/stage/ip6.h"
#include "dataplane/stage/reassemble.h"

#define DONT_FRAGMENT 0x4000
#define ECN_CE        3
#define CHAIN_PIECES  (REASSEMBLY_PIECES - 1)

/* A router on the way may mark one fragment; a sender marks all alike (RFC 3168 section 5.3). */
static bool marks_agree(uint8_t marks)
{
	return !(marks & MARK_NOT_ECT) || (marks & MARK_ECN) == MARK_NOT_ECT;
}

static enum pr_drop_reason check(
        const struct batch *batch, const struct reassembly_taken *taken, unsigned header)
{
	/* The first one's header may be longer than that of those that were measured. */
	if (header + taken->length > REASSEMBLY_MAX || !marks_agree(taken->marks))
		return PR_DROP_FRAGMENT_INVALID;
	return batch->n_spans + CHAIN_PIECES > BATCH_SPANS ? PR_DROP_REASSEMBLY_LIMIT
	                                                   : PR_DROP_COUNT;
}

/* Chains the payloads and makes the chain the entry's packet; its head is the first one's. */
static void chain(struct batch *batch, uint64_t i, const struct reassembly_taken *taken)
{
	struct rte_mbuf *first = taken->piece[0].packet, *last = first;

	for (unsigned k = 1; k < taken->n; k++) {
		struct rte_mbuf *m = taken->piece[k].packet;

		m->data_off = (uint16_t)(m->data_off + m->data_len - taken->piece[k].length);
		m->data_len = taken->piece[k].length;
		first->pkt_len += m->data_len;
		first->nb_segs++;
		last->next = m;
		last = m;
	}
	batch->body[i] = first;
	batch->mbufs = true;
	batch->head[i] = rte_pktmbuf_mtod(first, uint8_t *);
	batch->head_length[i] = first->data_len;
	batch->length[i] = first->pkt_len;
	batch_chain(batch, i);
	batch->offload[i] = OFFLOAD_REASSEMBLED;
	batch->offloads = true;
	batch->gso_size[i] = taken->largest;
	batch->header_length[i] = L3_OFFSET;
}

enum pr_drop_reason reassemble_join4(
        struct batch *batch, uint64_t i, const struct reassembly_taken *taken)
{
	struct rte_mbuf *first = taken->piece[0].packet;
	uint8_t *ip = rte_pktmbuf_mtod_offset(first, uint8_t *, L3_OFFSET);
	unsigned header = (ip[0] & 15) * 4u;
	enum pr_drop_reason reason = check(batch, taken, header);
	uint16_t sum;

	if (reason != PR_DROP_COUNT)
		return reason;
	chain(batch, i, taken);
	if (taken->marks & MARK_CE)
		ip[1] |= ECN_CE;
	store_be16(ip + 2, (uint16_t)(header + taken->length));
	store_be16(ip + 6, taken->marks & MARK_DF ? DONT_FRAGMENT : 0);
	store_be16(ip + 10, 0);
	sum = (uint16_t)~bytes_sum(ip, header);
	memcpy(ip + 10, &sum, sizeof(sum));
	return PR_DROP_COUNT;
}

enum pr_drop_reason reassemble_join6(
        struct batch *batch, uint64_t i, const struct reassembly_taken *taken)
{
	struct rte_mbuf *first = taken->piece[0].packet;
	uint8_t *ip6 = rte_pktmbuf_mtod_offset(first, uint8_t *, L3_OFFSET);
	unsigned header = first->data_len - (unsigned)L3_OFFSET - taken->piece[0].length;
	enum pr_drop_reason reason = check(batch, taken, header - IP6_BYTES);

	if (reason != PR_DROP_COUNT)
		return reason;
	chain(batch, i, taken);
	if (taken->marks & MARK_CE)
		ip6[1] |= ECN_CE << 4;
	store_be16(ip6 + 4, (uint16_t)(header - IP6_BYTES + taken->length));
	/* The last eight bytes of the header are the fragment header's: offset 0, no more. */
	store_be16(ip6 + header - 6, 0);
	batch->offload[i] |= OFFLOAD_FRAGMENT;
	return PR_DROP_COUNT;
}
