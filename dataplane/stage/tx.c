/* SPDX-License-Identifier: BSD-3-Clause */
/* tx: groups the batch by egress port and sends each group in one call. */
#include <emmintrin.h>

#include "dataplane/stage/ip4.h"
#include "dataplane/stage/stage.h"

_Static_assert(PR_BATCH == 64, "equal16 compares 64 entries");

/* Bit i of the answer: array[i] == value. */
static inline uint64_t equal16(const uint16_t *array, uint16_t value)
{
	const __m128i wanted = _mm_set1_epi16((short)value);
	uint64_t mask = 0;

	for (unsigned n = 0; n < 4; n++) {
		const __m128i *at = (const __m128i *)(const void *)(array + 16 * n);
		__m128i low = _mm_cmpeq_epi16(_mm_loadu_si128(at), wanted);
		__m128i high = _mm_cmpeq_epi16(_mm_loadu_si128(at + 1), wanted);
		unsigned bits = (unsigned)_mm_movemask_epi8(_mm_packs_epi16(low, high));

		mask |= (uint64_t)bits << (16 * n);
	}
	return mask;
}

static inline void tag_on(struct batch *batch, uint64_t i)
{
	uint8_t *head = batch->head[i] - 4;

	memmove(head, head + 4, 2 * RTE_ETHER_ADDR_LEN);
	store_be16(head + 12, RTE_ETHER_TYPE_VLAN);
	store_be16(head + 14, batch->tci[i] | batch->out_tag[i]);
	batch->head[i] = head;
	batch->length[i] += 4;
}

/* A frame that had two tags shows the inner one: untagged, it would be one of that VLAN to whoever
 * is behind the port (VLAN hopping). */
static inline bool is_still_tagged(const struct batch *batch, uint64_t i)
{
	return load_be16(batch->head[i] + 12) == RTE_ETHER_TYPE_VLAN;
}

/* Drops the entries whose packets the device left to us. */
static void refuse_packets(struct batch *batch, uint64_t mask, const struct port *port,
        struct rte_mbuf *const *packets, unsigned n)
{
	bool down = !(port_flags(port) & PORT_READY) ||
	            !atomic_load_explicit(&port->device->guest, memory_order_relaxed);

	for (unsigned k = 0; k < n; k++) {
		BATCH_FOREACH (i, mask) {
			if (batch->body[i] == packets[k])
				batch_drop(
				        batch, i, down ? PR_DROP_EGRESS_DOWN : PR_DROP_EGRESS_FULL);
		}
	}
}

/* Sends the entries of the mask through one port. Entries too large for it are dropped. */
static void send_port(struct worker *worker, struct batch *batch, uint16_t number, uint64_t mask)
{
	struct port *port = &shared->port[number];
	struct rte_mbuf *packets[PR_BATCH];
	unsigned n = 0, sent = 0;
	uint64_t bytes = 0, sendable = 0;

	BATCH_FOREACH (i, mask) {
		if (unlikely(batch->length[i] > port->mtu + (uint32_t)RTE_ETHER_HDR_LEN)) {
			batch_drop(batch, i, PR_DROP_MTU_EXCEEDED);
			continue;
		}
		if (batch->out_tag[i]) {
			tag_on(batch, i);
		} else if (unlikely(is_still_tagged(batch, i))) {
			batch_drop(batch, i, PR_DROP_VLAN_NOT_MEMBER);
			continue;
		}
		sendable |= UINT64_C(1) << i;
		bytes += batch->length[i];
		packets[n++] = batch_mbuf(batch, i);
	}
	if (likely(port_flags(port) & PORT_READY))
		sent = port->device->ops->tx(port->device, worker->index, packets, n);
	if (unlikely(sent < n)) {
		for (unsigned k = sent; k < n; k++)
			bytes -= packets[k]->pkt_len;
		refuse_packets(batch, sendable, port, packets + sent, n - sent);
	}
	counter_add(&worker->counters.out, sent);
	counter_add(&worker->counters.port[number].tx_packets, sent);
	counter_add(&worker->counters.port[number].tx_bytes, bytes);
}

void stage_tx(struct worker *worker, struct batch *batch)
{
	uint64_t mask = batch_take(batch, PR_STAGE_TX);

	while (mask) {
		uint16_t port = batch->out_port[__builtin_ctzll(mask)];
		uint64_t same = equal16(batch->out_port, port) & mask;

		send_port(worker, batch, port, same);
		mask &= ~same;
	}
}
