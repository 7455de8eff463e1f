/* SPDX-License-Identifier: BSD-3-Clause */
#include "dataplane/stage/error_quote.h"
#include "dataplane/stage/ip6.h"

#define MORE_FRAGMENTS  0x2000
#define MORE_FRAGMENTS6 0x0001

/* Of a packet that was put together the sender knows fragments only: it is told of the first. */
static void show_first_fragment(uint8_t *ip, unsigned length, unsigned quoted)
{
	unsigned header = (ip[0] & 15) * 4u;
	struct ip6_fragment found;
	uint16_t sum;

	if (ip[0] >> 4 == 4) {
		store_be16(ip + 2, (uint16_t)length);
		store_be16(ip + 6, load_be16(ip + 6) | MORE_FRAGMENTS);
		store_be16(ip + 10, 0);
		sum = (uint16_t)~bytes_sum(ip, header);
		memcpy(ip + 10, &sum, sizeof(sum));
		return;
	}
	found = ip6_find_fragment(ip, quoted);
	store_be16(ip + 4, (uint16_t)(length - IP6_BYTES));
	if (found.at)
		store_be16(ip + found.at + 2, MORE_FRAGMENTS6);
}

struct rte_mbuf *error_quote(struct worker *worker, struct batch *batch, uint64_t i,
        unsigned headers, unsigned quote_max, unsigned *quote)
{
	struct port *port = &shared->port[batch->in_port[i]];
	bool reassembled = batch->offload[i] & OFFLOAD_REASSEMBLED;
	unsigned length = batch->length[i] - (unsigned)L3_OFFSET, n;
	struct rte_mbuf *m;
	uint8_t *to;

	if (!token_bucket_take(&port->icmp_bucket, worker->now, 1))
		return NULL;
	/* Its first mbuf is the first fragment, unless it had to wait for a neighbour. */
	if (unlikely(reassembled))
		length = RTE_MIN(
		        batch->head_length[i] - (unsigned)L3_OFFSET, (unsigned)batch->gso_size[i]);
	n = RTE_MIN(length, quote_max);
	/* The quote may be longer than the head, which is all that we may look at of a guest's. */
	if (batch->head_length[i] < L3_OFFSET + n && !batch_land(batch, i))
		return NULL;
	n = RTE_MIN(n, batch->head_length[i] - (unsigned)L3_OFFSET);
	m = rte_pktmbuf_alloc(shared->mbufs);
	if (unlikely(!m))
		return NULL;
	to = (uint8_t *)rte_pktmbuf_append(m, (uint16_t)(L3_OFFSET + headers + n));
	if (unlikely(!to)) {
		rte_pktmbuf_free(m);
		return NULL;
	}
	memcpy(to + L3_OFFSET + headers, batch->head[i] + L3_OFFSET, n);
	if (unlikely(reassembled))
		show_first_fragment(to + L3_OFFSET + headers, length, n);
	*quote = n;
	return m;
}
