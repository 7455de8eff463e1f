/* SPDX-License-Identifier: BSD-3-Clause */
/* What the routers of both families do once the next hops are known. v6 is a constant of the
 * caller's, so that each has code of its own. */
#ifndef DATAPLANE_STAGE_DISPATCH_H
#define DATAPLANE_STAGE_DISPATCH_H

#include "dataplane/ecmp_hash.h"
#include "dataplane/stage/ip4.h"
#include "dataplane/stage/stage.h"

#define IP4_TTL           8
#define IP6_HOP_LIMIT     7
#define IP4_DONT_FRAGMENT 0x4000

static inline void dispatch_refuse(
        struct batch *batch, uint64_t i, enum pr_drop_reason reason, bool v6)
{
	batch->reason[i] = (uint8_t)reason;
	batch_next(batch, i, v6 ? PR_STAGE_ICMP6_ERROR : PR_STAGE_ICMP_ERROR);
}

/* All of n places. */
static inline uint64_t dispatch_places(unsigned n)
{
	return n < PR_BATCH ? (UINT64_C(1) << n) - 1 : UINT64_MAX;
}

/* Takes those of the first one's segment out of the places that are left: own are their entries,
 * place where they stand in entry[]. Returns how many. */
static inline unsigned dispatch_same_segment(const struct batch *batch, const uint8_t *entry,
        uint64_t *left, uint8_t *own, uint8_t *place)
{
	uint16_t segment = batch->segment[entry[__builtin_ctzll(*left)]];
	unsigned n = 0;

	BATCH_FOREACH (k, *left) {
		if (batch->segment[entry[k]] != segment)
			continue;
		own[n] = entry[k];
		place[n++] = (uint8_t)k;
		*left &= ~(UINT64_C(1) << k);
	}
	return n;
}

static inline void dispatch_mark_used(uint32_t index)
{
	_Atomic uint8_t *used = &shared->next_hop_used[index];

	if (unlikely(!atomic_load_explicit(used, memory_order_relaxed)))
		atomic_store_explicit(used, 1, memory_order_relaxed);
}

/* To be cut into fragments of at most size bytes, IP header included. */
static inline void dispatch_fragment(struct batch *batch, uint64_t i, uint16_t size)
{
	batch->offload[i] |= OFFLOAD_FRAGMENT;
	batch->offloads = true;
	batch->gso_size[i] = size;
	batch->header_length[i] = L3_OFFSET;
}

/* A sender that left segmentation to us and lets the network cut gets shorter segments, which a
 * stream is indifferent to: better than fragments of each. False: that would be too many. */
static inline bool dispatch_resegment(struct batch *batch, uint64_t i, uint16_t mtu)
{
	unsigned headers = batch->header_length[i] - (unsigned)L3_OFFSET;
	uint32_t payload = batch->length[i] - batch->header_length[i];

	if (mtu <= headers || (payload + mtu - headers - 1) / (mtu - headers) > PR_BATCH)
		return false;
	batch->gso_size[i] = (uint16_t)(mtu - headers);
	return true;
}

/* Larger than the MTU of where it goes: cut, unless the sender forbids that, as IPv6 always does.
 */
static inline void dispatch_too_large(
        struct batch *batch, uint64_t i, const struct next_hop *hop, bool v6)
{
	bool may_cut = !v6 && !(load_be16(batch->head[i] + L3_OFFSET + 6) & IP4_DONT_FRAGMENT);
	uint16_t size = hop->mtu;

	if (unlikely(batch->offload[i] & OFFLOAD_REASSEMBLED)) {
		/* As it was cut before, whatever its sender says of cutting it anew. */
		may_cut |= !v6 && batch->gso_size[i] <= hop->mtu;
		size = RTE_MIN(size, batch->gso_size[i]);
	}
	if (may_cut && batch->offload[i] & OFFLOAD_TSO)
		may_cut = dispatch_resegment(batch, i, hop->mtu);
	else if (may_cut)
		dispatch_fragment(batch, i, size);
	if (may_cut)
		batch_next(batch, i, PR_STAGE_REWRITE);
	else
		dispatch_refuse(batch, i, PR_DROP_MTU_EXCEEDED, v6);
}

/* Where a packet goes that is not simply forwarded. */
static inline void dispatch_rare(
        struct batch *batch, uint64_t i, const struct next_hop *hop, bool v6)
{
	if (!hop) {
		dispatch_refuse(batch, i, PR_DROP_NO_ROUTE, v6);
		return;
	}
	if (hop->type == NEXT_HOP_LOCAL) {
		batch_next(batch, i, v6 ? PR_STAGE_LOCAL6 : PR_STAGE_LOCAL);
		return;
	}
	/* RFC 1812 5.3.1, RFC 8200 3: looked at only once the packet is known to be forwarded. */
	if (batch->head[i][L3_OFFSET + (v6 ? IP6_HOP_LIMIT : IP4_TTL)] <= 1) {
		dispatch_refuse(batch, i, PR_DROP_TTL_EXPIRED, v6);
		return;
	}
	switch (hop->type) {
	case NEXT_HOP_FORWARD:
		dispatch_too_large(batch, i, hop, v6);
		return;
	case NEXT_HOP_INCOMPLETE:
	case NEXT_HOP_GLEAN:
		batch->out_port[i] = hop->port;
		batch_next(batch, i, PR_STAGE_PUNT);
		return;
	case NEXT_HOP_FAILED:
		dispatch_refuse(batch, i, PR_DROP_NEIGHBOUR_FAILED, v6);
		return;
	case NEXT_HOP_BLACKHOLE:
		batch_drop(batch, i, PR_DROP_BLACKHOLE);
		return;
	default:
		dispatch_refuse(batch, i, PR_DROP_UNREACHABLE, v6);
		return;
	}
}

/* Whether the packet leaves as it is, but for its rewrite. */
static inline bool dispatch_forwards(
        const struct batch *batch, uint64_t i, const struct next_hop *hop, unsigned ttl)
{
	return hop && hop->type == NEXT_HOP_FORWARD && batch->head[i][ttl] > 1 &&
	       batch_wire_length(batch, i) - L3_OFFSET <= hop->mtu;
}

/* Packets whose next hop is a group: from here on that of a member. Returns those that are simply
 * forwarded. */
static inline uint64_t dispatch_groups(struct batch *batch, uint64_t grouped, bool v6)
{
	const unsigned ttl = L3_OFFSET + (v6 ? IP6_HOP_LIMIT : IP4_TTL);
	uint64_t forward = 0;

	/* All buckets first: none waits for another's. */
	BATCH_FOREACH (i, grouped) {
		const struct next_hop *group = batch->hop[i];
		const uint8_t *ip = batch->head[i] + L3_OFFSET;
		unsigned length = batch->head_length[i] - L3_OFFSET;
		uint32_t hash = v6 ? ecmp_hash6(ip, length, shared->flow_seed)
		                   : ecmp_hash4(ip, length, shared->flow_seed);

		batch->next_hop[i] = atomic_load_explicit(
		        &group->buckets[hash & group->mask], memory_order_acquire);
	}
	BATCH_FOREACH (i, grouped) {
		const struct next_hop *hop = next_hop_get(batch->next_hop[i]);

		batch->hop[i] = hop;
		if (likely(hop && hop->type == NEXT_HOP_FORWARD))
			dispatch_mark_used(batch->next_hop[i]);
		if (likely(dispatch_forwards(batch, i, hop, ttl)))
			forward |= UINT64_C(1) << i;
		else
			dispatch_rare(batch, i, hop, v6);
	}
	return forward;
}

/* Sends each on by its next hop. Those to be forwarded are nearly all, and their next hops few. */
static inline void dispatch(
        struct batch *batch, const uint8_t *entry, const uint32_t *index, unsigned n, bool v6)
{
	const unsigned ttl = L3_OFFSET + (v6 ? IP6_HOP_LIMIT : IP4_TTL);
	const struct next_hop *hop = NULL;
	uint64_t forward = 0, grouped = 0;

	for (unsigned k = 0; k < n; k++) {
		uint64_t i = entry[k];

		if (!k || index[k] != index[k - 1]) {
			hop = next_hop_get(index[k]);
			if (likely(hop && hop->type == NEXT_HOP_FORWARD))
				dispatch_mark_used(index[k]);
		}
		batch->next_hop[i] = index[k];
		batch->hop[i] = hop;
		if (likely(dispatch_forwards(batch, i, hop, ttl)))
			forward |= UINT64_C(1) << i;
		else if (hop && hop->type == NEXT_HOP_GROUP)
			grouped |= UINT64_C(1) << i;
		else
			dispatch_rare(batch, i, hop, v6);
	}
	if (unlikely(grouped))
		forward |= dispatch_groups(batch, grouped, v6);
	batch->todo[PR_STAGE_REWRITE] |= forward;
}

#endif
