/* SPDX-License-Identifier: BSD-3-Clause */
/* What split and packed rings have in common: one packet into the batch, one packet out of it.
 * Workers only. */
#ifndef DATAPLANE_PORT_VHOST_USER_RING_IO_H
#define DATAPLANE_PORT_VHOST_USER_RING_IO_H

#include <rte_byteorder.h>
#include <rte_ether.h>
#include <rte_memcpy.h>
#include <rte_prefetch.h>

#include "dataplane/port/vhost_user/ring.h"

#define HEADER_MAX 12  /* struct virtio_net_hdr_mrg_rxbuf */
#define PIECES_MAX 256 /* of one packet in the receiver's buffers */

_Static_assert(sizeof(struct virtio_net_hdr_mrg_rxbuf) == HEADER_MAX, "virtio 1.1, 5.1.6");
_Static_assert(sizeof(struct vring_desc) == 16 && sizeof(struct vring_packed_desc) == 16,
        "descriptors are read as two words");

/* Guest memory is read once: these can not be repeated or torn by the compiler. */
static inline uint16_t load16(const void *at)
{
	return __atomic_load_n((const uint16_t *)at, __ATOMIC_RELAXED);
}

static inline void store16(void *at, uint16_t value)
{
	__atomic_store_n((uint16_t *)at, value, __ATOMIC_RELAXED);
}

static inline struct descriptor descriptor_load(const void *at)
{
	const uint64_t *word = at;
	uint64_t address = __atomic_load_n(&word[0], __ATOMIC_RELAXED);
	uint64_t other = __atomic_load_n(&word[1], __ATOMIC_RELAXED);

	return (struct descriptor){
	        .address = address,
	        .length = (uint32_t)other,
	        .flags = (uint16_t)(other >> 32),
	        .next = (uint16_t)(other >> 48),
	};
}

/* A packed ring's: the id stands where flags are, and flags where the next one is (2.7.1). The word
 * with the flags is read first: what it says is available was written before it. */
static inline struct descriptor packed_descriptor_load(const void *at)
{
	const uint64_t *word = at;
	uint64_t other = __atomic_load_n(&word[1], __ATOMIC_ACQUIRE);

	return (struct descriptor){
	        .address = __atomic_load_n(&word[0], __ATOMIC_RELAXED),
	        .length = (uint32_t)other,
	        .flags = (uint16_t)(other >> 48),
	        .next = (uint16_t)(other >> 32),
	};
}

/* A packet's bytes in guest memory while its descriptors are walked. */
struct pieces {
	unsigned n;
	uint32_t length;
	struct {
		uint8_t *at;
		uint32_t length;
	} piece[PIECES_MAX];
};

/* Adds a descriptor's buffer, cut where regions end. Buffers of no bytes add nothing. */
static inline enum ring_error pieces_add(
        struct pieces *pieces, const struct guest_memory *memory, uint64_t address, uint32_t length)
{
	if (unlikely(length > PR_FRAME_MAX + HEADER_MAX ||
	             pieces->length + length > 2 * (PR_FRAME_MAX + HEADER_MAX)))
		return RING_LENGTH;
	while (length) {
		uint32_t part = length;
		uint8_t *at = guest_piece(memory, address, &part);

		if (unlikely(!at))
			return RING_ADDRESS;
		if (unlikely(pieces->n == PIECES_MAX))
			return RING_CHAIN;
		pieces->piece[pieces->n].at = at;
		pieces->piece[pieces->n++].length = part;
		pieces->length += part;
		address += part;
		length -= part;
	}
	return RING_OK;
}

/* Walks an indirect table, for reading or for writing. */
enum ring_error indirect_table(const struct guest_ring *ring, const struct descriptor *d,
        bool writable, struct pieces *pieces);

/* Fills the next prepared entry from a chain of any layout. */
enum ring_error entry_from_pieces(
        const struct guest_ring *ring, struct batch *batch, const struct pieces *pieces);

/* Reads what the sender left to us: false when it makes no sense. The frame's length and head are
 * set. */
bool offload_parse(struct batch *batch, uint64_t i, const struct virtio_net_hdr *header);

static inline void copy_head(uint8_t *to, const uint8_t *from, uint32_t n)
{
	if (likely(n >= 64)) {
		/* No load or store behind the first 64 bytes is wider than what is left: it would
		 * cross a line of the head. */
		memcpy(to, from, 64);
		if (n >= 96) {
			memcpy(to + 64, from + 64, 32);
			memcpy(to + n - 32, from + n - 32, 32);
		} else if (n >= 80) {
			memcpy(to + 64, from + 64, 16);
			memcpy(to + n - 16, from + n - 16, 16);
		} else if (n > 64) {
			memcpy(to + n - 16, from + n - 16, 16);
		}
	} else if (likely(n >= 32)) {
		memcpy(to, from, 32);
		memcpy(to + n - 32, from + n - 32, 32);
	} else {
		memcpy(to, from, n);
	}
}

/* Fills the next prepared entry, whose header and frame lie in one piece, which is nearly every
 * one. */
static inline enum ring_error entry_from_one(
        const struct guest_ring *ring, struct batch *batch, const uint8_t *at, uint32_t length)
{
	uint32_t frame = length - ring->header, head = RTE_MIN(frame, (uint32_t)PR_HEAD), i;
	struct virtio_net_hdr header;

	if (unlikely(length < ring->header || frame > PR_FRAME_MAX))
		return RING_LENGTH;
	i = batch_begin(batch);
	copy_head(batch->head[i], at + ring->header, head);
	batch->head_length[i] = (uint16_t)head;
	batch->length[i] = frame;
	batch->rest[i] = at + ring->header + head;
	batch->rest_length[i] = frame - head;
	if (ring->csum_in) {
		memcpy(&header, at, sizeof(header));
		if (unlikely(header.flags | header.gso_type) && !offload_parse(batch, i, &header))
			batch_drop(batch, i, PR_DROP_BAD_OFFLOAD);
	}
	return RING_OK;
}

/* The virtio_net_hdr of an entry for a receiver: made from what we know, never copied through. */
static inline void header_fill(
        struct virtio_net_hdr_mrg_rxbuf *header, const struct batch *batch, uint64_t i)
{
	memset(header, 0, sizeof(*header));
	header->num_buffers = 1;
	if (!(batch->offload[i] & OFFLOAD_CSUM))
		return;
	header->hdr.flags = VIRTIO_NET_HDR_F_NEEDS_CSUM;
	header->hdr.csum_start = batch->csum_start[i];
	header->hdr.csum_offset = batch->csum_offset[i];
	if (!(batch->offload[i] & OFFLOAD_TSO))
		return;
	header->hdr.gso_type = batch->offload[i] & OFFLOAD_TSO4 ? VIRTIO_NET_HDR_GSO_TCPV4
	                                                        : VIRTIO_NET_HDR_GSO_TCPV6;
	header->hdr.hdr_len = batch->header_length[i];
	header->hdr.gso_size = batch->gso_size[i];
}

/* Where a packet's bytes will be looked for: its header only if it may say something. */
static inline void prefetch_in(const struct guest_ring *ring, const uint8_t *at, uint32_t length)
{
	const uint8_t *frame = at + ring->header;

	if (ring->csum_in)
		rte_prefetch0(at);
	rte_prefetch0(frame);
	if (length > RTE_CACHE_LINE_SIZE)
		rte_prefetch0(frame + RTE_CACHE_LINE_SIZE - 1);
}

/* Writes the header only where it differs: mostly it is what the last packet in that buffer had,
 * and a line that nobody writes stays in both cores' caches. What is read decides nothing else. */
static inline void header_store(
        const struct guest_ring *ring, uint8_t *to, const struct virtio_net_hdr_mrg_rxbuf *header)
{
	uint64_t old, new;
	uint32_t old_end, new_end;

	memcpy(&new, header, sizeof(new));
	memcpy(&new_end, (const uint8_t *)header + sizeof(new), sizeof(new_end));
	memcpy(&old, to, sizeof(old));
	if (unlikely(ring->header != HEADER_MAX)) {
		memcpy(to, header, sizeof(header->hdr));
		return;
	}
	memcpy(&old_end, to + sizeof(old), sizeof(old_end));
	if (unlikely(old != new))
		memcpy(to, &new, sizeof(new));
	if (unlikely(old_end != new_end))
		memcpy(to + sizeof(new), &new_end, sizeof(new_end));
}

/* Header and frame into one buffer that is large enough. */
static inline void copy_out(
        const struct guest_ring *ring, const struct batch *batch, uint64_t i, uint8_t *to)
{
	static const struct virtio_net_hdr_mrg_rxbuf plain = {.num_buffers = 1};
	uint32_t head = batch->head_length[i], left = batch->length[i] - head;

	if (likely(!batch->offload[i])) {
		header_store(ring, to, &plain);
	} else {
		struct virtio_net_hdr_mrg_rxbuf header;

		header_fill(&header, batch, i);
		header_store(ring, to, &header);
	}
	to += ring->header;
	if (likely(head <= PR_HEAD))
		copy_head(to, batch->head[i], head);
	else
		rte_memcpy(to, batch->head[i], head);
	if (likely(!left))
		return;
	to += head;
	if (likely(left <= batch->rest_length[i])) {
		rte_memcpy(to, batch->rest[i], left);
	} else {
		struct cursor rest = batch_rest(batch, i);

		cursor_copy(&rest, to, left);
	}
}

/* The same over any layout of buffers: from byte skip of (header, frame), as many bytes as the
 * pieces hold. Returns how many. */
uint32_t copy_to_pieces(const struct guest_ring *ring, const struct batch *batch, uint64_t i,
        uint16_t buffers, const struct pieces *pieces, uint32_t total);

#endif
