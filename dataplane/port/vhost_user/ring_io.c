/* SPDX-License-Identifier: BSD-3-Clause */
/* The less common ways of one packet: chains, indirect tables, offloads. Workers only. */
#include <netinet/in.h>

#include "dataplane/port/vhost_user/ring_io.h"
#include "dataplane/stage/ip4.h"

unsigned ring_fail(struct guest_ring *ring, enum ring_error error)
{
	atomic_store_explicit(&ring->error, (uint8_t)error, memory_order_release);
	return 0;
}

void ring_arm(struct guest_ring *ring)
{
	if (ring->is_packed)
		store16(&ring->device_event->flags, VRING_PACKED_EVENT_FLAG_ENABLE);
	else if (ring->event_index)
		store16(&ring->used->ring[ring->size], ring->next_avail);
	else
		store16(&ring->used->flags, 0);
	ring->armed = true;
}

/* With event indexes there is no "off": an index that was passed already comes again after 65535
 * buffers, with one kick too many. */
void ring_disarm(struct guest_ring *ring)
{
	if (ring->is_packed)
		store16(&ring->device_event->flags, VRING_PACKED_EVENT_FLAG_DISABLE);
	else if (ring->event_index)
		store16(&ring->used->ring[ring->size], (uint16_t)(ring->next_avail - 1));
	else
		store16(&ring->used->flags, VRING_USED_F_NO_NOTIFY);
	ring->armed = false;
}

const char *ring_error_text(unsigned error)
{
	static const char *const text[] = {
	        [RING_OK] = "no error",
	        [RING_INDEX] = "its index jumped by more than the ring has",
	        [RING_ID] = "it names a descriptor that the ring does not have",
	        [RING_ADDRESS] = "a buffer lies outside the guest's memory",
	        [RING_CHAIN] = "a chain of descriptors is too long or has no end",
	        [RING_INDIRECT] = "an indirect table is nested, empty, misplaced or not allowed",
	        [RING_ACCESS] = "a buffer may be written where it must be read, or the reverse",
	        [RING_PLACE] = "the ring is misaligned or outside the guest's memory",
	        [RING_LENGTH] = "a buffer is shorter than its header or longer than 64 KiB",
	};

	return error < sizeof(text) / sizeof(text[0]) ? text[error] : "?";
}

/* An indirect table is copied, entry by entry, while it is walked (virtio 1.1, 2.6.5.3, 2.7.7). */
enum ring_error indirect_table(const struct guest_ring *ring, const struct descriptor *d,
        bool writable, struct pieces *pieces)
{
	unsigned entries = d->length / sizeof(struct vring_desc), at = 0;
	const uint8_t *table;

	if (!ring->indirect || !entries || d->length % sizeof(struct vring_desc) ||
	        entries > RING_SIZE_MAX)
		return RING_INDIRECT;
	table = guest_address(ring->memory, d->address, d->length);
	if (!table || (uintptr_t)table % 8)
		return RING_INDIRECT;
	for (unsigned walked = 0; walked < entries; walked++) {
		const uint8_t *from = table + (size_t)at * sizeof(struct vring_desc);
		struct descriptor entry =
		        ring->is_packed ? packed_descriptor_load(from) : descriptor_load(from);
		enum ring_error error;

		if (walked == CHAIN_MAX)
			return RING_CHAIN;
		if (entry.flags & VRING_DESC_F_INDIRECT)
			return RING_INDIRECT;
		/* DPDK's virtio marks what we are to read in a packed ring's table as to be
		 * written, too (22.11, vring_desc_init_indirect_packed); its descriptor in the ring
		 * is right.
		 */
		if (writable ? !(entry.flags & VRING_DESC_F_WRITE)
		             : entry.flags & VRING_DESC_F_WRITE && !ring->is_packed)
			return RING_ACCESS;
		error = pieces_add(pieces, ring->memory, entry.address, entry.length);
		if (error)
			return error;
		/* A packed ring's table is one chain in order, its flags say nothing of it. */
		if (ring->is_packed) {
			at++;
			continue;
		}
		if (!(entry.flags & VRING_DESC_F_NEXT))
			return RING_OK;
		at = entry.next;
		if (at >= entries)
			return RING_INDIRECT;
	}
	return ring->is_packed ? RING_OK : RING_CHAIN;
}

enum ring_error entry_from_pieces(
        const struct guest_ring *ring, struct batch *batch, const struct pieces *pieces)
{
	uint32_t skip = ring->header, header_at = 0, want, i;
	struct virtio_net_hdr_mrg_rxbuf header;
	unsigned n = 0;
	uint32_t offset = 0;

	if (pieces->length < skip || pieces->length - skip > PR_FRAME_MAX)
		return RING_LENGTH;
	for (; skip; n++) {
		uint32_t part = RTE_MIN(skip, pieces->piece[n].length);

		memcpy((uint8_t *)&header + header_at, pieces->piece[n].at, part);
		header_at += part;
		skip -= part;
		offset = part;
		if (offset < pieces->piece[n].length)
			break;
		offset = 0;
	}
	i = batch_begin(batch);
	batch->length[i] = pieces->length - ring->header;
	want = RTE_MIN(batch->length[i], (uint32_t)PR_HEAD);
	batch->head_length[i] = (uint16_t)want;
	for (uint32_t done = 0; done < want;) {
		uint32_t part = RTE_MIN(want - done, pieces->piece[n].length - offset);

		memcpy(batch->head[i] + done, pieces->piece[n].at + offset, part);
		done += part;
		offset += part;
		if (offset == pieces->piece[n].length) {
			offset = 0;
			n++;
		}
	}
	batch->more[i] = (uint16_t)batch->n_spans;
	for (; n < pieces->n; n++, offset = 0) {
		struct span span = {pieces->piece[n].at + offset, pieces->piece[n].length - offset};

		batch->span[batch->n_spans++] = span;
		batch->n_more[i]++;
	}
	if (ring->csum_in && (header.hdr.flags | header.hdr.gso_type) &&
	        !offload_parse(batch, i, &header.hdr))
		batch_drop(batch, i, PR_DROP_BAD_OFFLOAD);
	return RING_OK;
}

/* Finds the TCP header of what is to be cut: our own reading, not the sender's. 0: there is none
 * within the head. */
static unsigned tcp_header_at(const struct batch *batch, uint64_t i, bool v6)
{
	const uint8_t *head = batch->head[i];
	unsigned l3 = RTE_ETHER_HDR_LEN, room = batch->head_length[i], l4;
	uint16_t type = load_be16(head + 12);

	if (type == RTE_ETHER_TYPE_VLAN) {
		type = load_be16(head + 16);
		l3 += 4;
	}
	if (type != (v6 ? RTE_ETHER_TYPE_IPV6 : RTE_ETHER_TYPE_IPV4))
		return 0;
	if (v6) {
		/* Extension headers before TCP: none are cut. */
		l4 = l3 + 40;
		return l4 + 20 <= room && head[l3 + 6] == 6 ? l4 : 0;
	}
	if (l3 + 20 > room || head[l3] >> 4 != 4 || head[l3 + 9] != 6 ||
	        load_be16(head + l3 + 6) & 0x3fff)
		return 0;
	l4 = l3 + (head[l3] & 15) * 4u;
	return (head[l3] & 15) >= 5 && l4 + 20 <= room ? l4 : 0;
}

/* What is left to us is written after all checks, so it must be a checksum's place: never the
 * addresses, types and ports that were checked. A tunnel's inner checksum is as good. */
static bool is_checksum(const struct batch *batch, uint64_t i, uint32_t start, uint32_t field)
{
	const uint8_t *head = batch->head[i];
	uint32_t l3 = RTE_ETHER_HDR_LEN, l4;
	uint16_t type = load_be16(head + 12);
	uint8_t protocol;

	if (type == RTE_ETHER_TYPE_VLAN) {
		type = load_be16(head + 16);
		l3 += 4;
	}
	if (start < l3 + 20 || type == RTE_ETHER_TYPE_ARP)
		return false;
	if (type == RTE_ETHER_TYPE_IPV4) {
		l4 = l3 + (head[l3] & 15) * 4u;
		protocol = head[l3 + 9];
	} else if (type == RTE_ETHER_TYPE_IPV6) {
		l4 = l3 + 40;
		protocol = head[l3 + 6];
	} else {
		return true;
	}
	if (protocol == IPPROTO_TCP && start < l4 + 20)
		return start == l4 && field == l4 + 16;
	if (protocol == IPPROTO_UDP && start < l4 + 8)
		return start == l4 && field == l4 + 6;
	return start >= l4;
}

bool offload_parse(struct batch *batch, uint64_t i, const struct virtio_net_hdr *header)
{
	uint32_t field = (uint32_t)header->csum_start + header->csum_offset;
	unsigned type = header->gso_type, l4, end;
	uint32_t payload;

	if (batch->length[i] < RTE_ETHER_HDR_LEN + 4)
		return false;
	if (!(header->flags & VIRTIO_NET_HDR_F_NEEDS_CSUM))
		return type == VIRTIO_NET_HDR_GSO_NONE;
	if (field + 2 > batch->head_length[i] || !is_checksum(batch, i, header->csum_start, field))
		return false;
	batch->csum_start[i] = header->csum_start;
	batch->csum_offset[i] = header->csum_offset;
	batch->offload[i] = OFFLOAD_CSUM;
	batch->offloads = true;
	if (type == VIRTIO_NET_HDR_GSO_NONE)
		return true;
	if (type != VIRTIO_NET_HDR_GSO_TCPV4 && type != VIRTIO_NET_HDR_GSO_TCPV6)
		return false;
	l4 = tcp_header_at(batch, i, type == VIRTIO_NET_HDR_GSO_TCPV6);
	if (!l4 || header->csum_start != l4 || header->csum_offset != 16)
		return false;
	end = l4 + (batch->head[i][l4 + 12] >> 4) * 4u;
	if (end < l4 + 20 || end > batch->head_length[i] || end >= batch->length[i] ||
	        !header->gso_size)
		return false;
	payload = batch->length[i] - end;
	if ((payload + header->gso_size - 1) / header->gso_size > PR_BATCH)
		return false;
	batch->header_length[i] = (uint16_t)end;
	batch->gso_size[i] = header->gso_size;
	/* One segment needs no cutting. */
	if (payload > header->gso_size)
		batch->offload[i] |= type == VIRTIO_NET_HDR_GSO_TCPV4 ? OFFLOAD_TSO4 : OFFLOAD_TSO6;
	return true;
}

uint32_t copy_to_pieces(const struct guest_ring *ring, const struct batch *batch, uint64_t i,
        uint16_t buffers, const struct pieces *pieces, uint32_t total)
{
	struct virtio_net_hdr_mrg_rxbuf header;
	struct cursor rest = batch_rest(batch, i);
	uint32_t done = 0, head_end = ring->header + batch->head_length[i];

	header_fill(&header, batch, i);
	header.num_buffers = buffers;
	for (unsigned n = 0; n < pieces->n && done < total; n++) {
		uint8_t *to = pieces->piece[n].at;
		uint32_t room = RTE_MIN(pieces->piece[n].length, total - done);

		while (room) {
			uint32_t part;

			if (done < ring->header) {
				part = RTE_MIN(room, ring->header - done);
				memcpy(to, (const uint8_t *)&header + done, part);
			} else if (done < head_end) {
				part = RTE_MIN(room, head_end - done);
				memcpy(to, batch->head[i] + (done - ring->header), part);
			} else {
				part = cursor_copy(&rest, to, room);
				if (!part)
					return done;
			}
			to += part;
			done += part;
			room -= part;
		}
	}
	return done;
}
