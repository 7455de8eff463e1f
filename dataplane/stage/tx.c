/* SPDX-License-Identifier: BSD-3-Clause */
/* tx: groups the batch by egress port and sends each group in one call. What a receiver does not
 * take (checksums, segmentation) is done here, on the way. */
#include <emmintrin.h>

#include "dataplane/offload.h"
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
	batch->head_length[i] = (uint16_t)(batch->head_length[i] + 4);
	batch->csum_start[i] = (uint16_t)(batch->csum_start[i] + 4);
	batch->header_length[i] = (uint16_t)(batch->header_length[i] + 4);
}

/* A frame that had two tags shows the inner one: untagged, it would be one of that VLAN to whoever
 * is behind the port (VLAN hopping). */
static inline bool is_still_tagged(const struct batch *batch, uint64_t i)
{
	return load_be16(batch->head[i] + 12) == RTE_ETHER_TYPE_VLAN;
}

static unsigned cut_packet(struct batch *to, struct batch *batch, uint64_t i, uint8_t accepts)
{
	if (batch->offload[i] & OFFLOAD_TSO)
		return offload_segments(to, batch, i, accepts & OFFLOAD_CSUM);
	if (batch->offload[i] & OFFLOAD_CSUM)
		offload_checksum(batch, i);
	return offload_fragments(to, batch, i);
}

/* Segments and fragments go out like a batch of their own, bodies still where they are. Returns
 * whether any went; the caller counts the first of them. */
static bool send_pieces(struct worker *worker, struct device *device, struct batch *batch,
        uint64_t i, uint8_t accepts)
{
	struct counters *counters = &worker->counters;
	struct batch *cut = &worker->segments;
	unsigned n = cut_packet(cut, batch, i, accepts), went, lost;
	uint64_t all = n < PR_BATCH ? (UINT64_C(1) << n) - 1 : UINT64_MAX;
	uint64_t sent = device->ops->tx(device, worker, cut, all);
	uint16_t port = batch->out_port[i];

	/* A device without guest memory took copies, and left those that it refused. */
	BATCH_FOREACH (k, all & ~sent)
		if (cut->body[k])
			rte_pktmbuf_free(cut->body[k]);
	went = (unsigned)__builtin_popcountll(sent);
	lost = n - went;
	batch->reason[i] = n ? PR_DROP_EGRESS_FULL : PR_DROP_MTU_EXCEEDED;
	if (went) {
		counter_add(&counters->fragments, n - 1);
		counter_add(&counters->out, went - 1);
		counter_add(&counters->port[port].tx_packets, went - 1);
		counter_add(&counters->drops, lost);
		counter_add(&counters->drop_reasons[PR_DROP_EGRESS_FULL], lost);
		counter_add(&counters->port[port].drops[PR_DROP_EGRESS_FULL], lost);
	}
	cut->count = cut->n_spans = 0;
	cut->offloads = cut->mbufs = false;
	return went;
}

/* Some entries have what the device does not take. The order of packets is kept: what stands before
 * a packet that is cut goes out before it. */
static uint64_t send_finished(struct worker *worker, struct device *device, struct batch *batch,
        uint64_t mask, uint8_t accepts)
{
	uint64_t waiting = 0, sent = 0;

	BATCH_FOREACH (i, mask) {
		uint8_t unfinished = (uint8_t)(batch->offload[i] & ~accepts);

		if (unfinished & OFFLOAD_CUT) {
			if (waiting)
				sent |= device->ops->tx(device, worker, batch, waiting);
			waiting = 0;
			if (send_pieces(worker, device, batch, i, accepts))
				sent |= UINT64_C(1) << i;
			continue;
		}
		if (unfinished & OFFLOAD_CSUM)
			offload_checksum(batch, i);
		waiting |= UINT64_C(1) << i;
	}
	if (waiting)
		sent |= device->ops->tx(device, worker, batch, waiting);
	return sent;
}

static uint64_t send_group(
        struct worker *worker, struct port *port, struct batch *batch, uint64_t mask)
{
	struct device *device = port->device;
	uint8_t accepts;

	if (unlikely(!(port_flags(port) & PORT_READY))) {
		BATCH_FOREACH (i, mask)
			batch->reason[i] = PR_DROP_EGRESS_DOWN;
		return 0;
	}
	if (likely(!batch->offloads))
		return device->ops->tx(device, worker, batch, mask);
	accepts = atomic_load_explicit(&device->accepts, memory_order_relaxed);
	return send_finished(worker, device, batch, mask, accepts);
}

static void free_sent(const struct batch *batch, uint64_t sent)
{
	struct rte_mbuf *done[PR_BATCH];
	unsigned n = 0;

	BATCH_FOREACH (i, sent) {
		if (batch->body[i])
			done[n++] = batch->body[i];
	}
	if (n)
		rte_pktmbuf_free_bulk(done, n);
}

/* Sends the entries of the mask through one port. Entries too large for it are dropped. */
static void send_port(struct worker *worker, struct batch *batch, uint16_t number, uint64_t mask)
{
	struct port *port = &shared->port[number];
	uint32_t limit = port->mtu + (uint32_t)RTE_ETHER_HDR_LEN;
	uint64_t bytes = 0, sendable = mask, sent;

	BATCH_FOREACH (i, mask) {
		if (unlikely(batch_wire_length(batch, i) > limit)) {
			batch_drop(batch, i, PR_DROP_MTU_EXCEEDED);
			sendable &= ~(UINT64_C(1) << i);
			continue;
		}
		if (batch->out_tag[i]) {
			tag_on(batch, i);
		} else if (unlikely(is_still_tagged(batch, i))) {
			batch_drop(batch, i, PR_DROP_VLAN_NOT_MEMBER);
			sendable &= ~(UINT64_C(1) << i);
			continue;
		}
		bytes += batch->length[i];
	}
	sent = send_group(worker, port, batch, sendable);
	if (unlikely(sent != sendable)) {
		BATCH_FOREACH (i, sendable & ~sent)
			bytes -= batch->length[i];
		batch->todo[PR_STAGE_DROP] |= sendable & ~sent;
	}
	if (batch->mbufs)
		free_sent(batch, sent);
	counter_add(&worker->counters.out, (unsigned)__builtin_popcountll(sent));
	counter_add(
	        &worker->counters.port[number].tx_packets, (unsigned)__builtin_popcountll(sent));
	counter_add(&worker->counters.port[number].tx_bytes, bytes);
}

void stage_tx(struct worker *worker, struct batch *batch)
{
	uint64_t left = batch_take(batch, PR_STAGE_TX), mask[PR_BATCH];
	uint16_t port[PR_BATCH];
	unsigned n = 0;

	for (; left; left &= ~mask[n++]) {
		struct device *device;

		port[n] = batch->out_port[__builtin_ctzll(left)];
		mask[n] = equal16(batch->out_port, port[n]) & left;
		device = shared->port[port[n]].device;
		if (device->ops->prepare)
			device->ops->prepare(device);
	}
	for (unsigned k = 0; k < n; k++)
		send_port(worker, batch, port[k], mask[k]);
}
