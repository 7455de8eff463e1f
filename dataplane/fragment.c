/* SPDX-License-Identifier: BSD-3-Clause */
/* Fragments of IPv4 packets that are larger than the MTU of where they go (RFC 791 section 3.2, RFC
 * 1812 section 4.2.2.7), and of packets that came in fragments (RFC 8200 section 4.5). */
#include "dataplane/offload.h"
#include "dataplane/stage/ip6.h"

#define IP_BYTES       20
#define IP_MAX         60
#define MORE_FRAGMENTS 0x2000
#define OFFSET_BITS    0x1fff
#define DONT_FRAGMENT  0x4000
#define MORE6          0x0001
#define OPTION_END     0
#define OPTION_NOP     1
#define OPTION_COPIED  0x80

/* The header of all fragments but the first: only options with the copied flag. Returns its length.
 * What makes no sense is left out with all that follows. */
static unsigned later_header(uint8_t *to, const uint8_t *ip, unsigned length)
{
	unsigned out = IP_BYTES, at = IP_BYTES;

	memcpy(to, ip, IP_BYTES);
	while (at < length && ip[at] != OPTION_END) {
		unsigned n = ip[at] == OPTION_NOP || at + 1 == length ? 1 : ip[at + 1];

		if (!n || at + n > length || (n == 1 && ip[at] != OPTION_NOP))
			break;
		if (ip[at] & OPTION_COPIED) {
			memcpy(to + out, ip + at, n);
			out += n;
		}
		at += n;
	}
	while (out % 4)
		to[out++] = OPTION_END;
	to[0] = (uint8_t)(0x40 | out / 4);
	return out;
}

static void finish_header(uint8_t *ip, unsigned header, uint32_t payload, uint16_t fragment)
{
	uint16_t sum;

	store_be16(ip + 2, (uint16_t)(header + payload));
	store_be16(ip + 6, fragment);
	store_be16(ip + 10, 0);
	sum = (uint16_t)~bytes_sum(ip, header);
	memcpy(ip + 10, &sum, sizeof(sum));
}

/* Payload of a fragment that is not the last one: a multiple of eight bytes. */
static uint32_t room_of(uint16_t mtu, unsigned header)
{
	return mtu > header ? (mtu - header) & ~7u : 0;
}

static bool fits(uint32_t all, uint32_t first, uint32_t later)
{
	return first && later &&
	       (all <= first || 1 + (all - first + later - 1) / later <= PR_BATCH);
}

/* What all pieces have of the packet that is cut. */
static void finish_piece(struct batch *to, uint32_t k, const struct batch *from, uint64_t i,
        unsigned headers, uint32_t payload)
{
	to->head_length[k] = (uint16_t)headers;
	to->length[k] = headers + payload;
	to->out_port[k] = from->out_port[i];
	to->in_port[k] = from->in_port[i];
}

/* By the fragment header that it came with: everything up to it is in all of them. */
static unsigned fragments6(struct batch *to, const struct batch *from, uint64_t i)
{
	const uint8_t *head = from->head[i];
	unsigned l2 = from->header_length[i];
	struct ip6_fragment found = ip6_find_fragment(head + l2, from->head_length[i] - l2);
	unsigned header = found.at + (unsigned)IP6_FRAGMENT_BYTES, begin = l2 + header;
	uint32_t all = from->length[i] - begin, room = room_of(from->gso_size[i], header);
	struct cursor in_head = {head + begin, from->head_length[i] - begin, NULL, NULL};
	struct cursor payload = batch_rest(from, i);

	if (!found.at || begin > PR_HEAD_MAX || !fits(all, room, room))
		return 0;
	for (uint32_t offset = 0, n; offset < all; offset += n) {
		bool last = all - offset <= (uint32_t)(from->gso_size[i] - header);
		uint32_t k = batch_add_empty(to);
		uint8_t *own = to->head[k] + l2;

		n = last ? all - offset : room;
		memcpy(to->head[k], head, begin);
		store_be16(own + 4, (uint16_t)(header - IP6_BYTES + n));
		store_be16(own + found.at + 2, (uint16_t)(offset | (last ? 0 : MORE6)));
		finish_piece(to, k, from, i, begin, n);
		offload_take_rest(to, k, &in_head, &payload, n);
	}
	return to->count;
}

static unsigned fragments4(struct batch *to, const struct batch *from, uint64_t i)
{
	const uint8_t *head = from->head[i];
	unsigned l2 = from->header_length[i], header = (head[l2] & 15) * 4u, begin = l2 + header;
	uint32_t all = from->length[i] - begin, offset = 0, n;
	uint16_t mtu = from->gso_size[i], fragment = load_be16(head + l2 + 6);
	struct cursor in_head = {head + begin, from->head_length[i] - begin, NULL, NULL};
	struct cursor payload = batch_rest(from, i);
	uint8_t later[IP_MAX];
	unsigned later_length = later_header(later, head + l2, header);

	if (!fits(all, room_of(mtu, header), room_of(mtu, later_length)))
		return 0;
	for (; offset < all; offset += n) {
		unsigned own_header = offset ? later_length : header;
		uint32_t k = batch_add_empty(to);
		uint8_t *own = to->head[k];
		bool last = all - offset <= (uint32_t)(mtu - own_header);

		n = last ? all - offset : room_of(mtu, own_header);
		memcpy(own, head, l2);
		memcpy(own + l2, offset ? later : head + l2, own_header);
		finish_header(own + l2, own_header, n,
		        (uint16_t)(((fragment & OFFSET_BITS) + offset / 8) |
		                   (fragment & DONT_FRAGMENT) |
		                   (last ? fragment & MORE_FRAGMENTS : MORE_FRAGMENTS)));
		finish_piece(to, k, from, i, l2 + own_header, n);
		offload_take_rest(to, k, &in_head, &payload, n);
	}
	return to->count;
}

unsigned offload_fragments(struct batch *to, const struct batch *from, uint64_t i)
{
	return from->head[i][from->header_length[i]] >> 4 == 4 ? fragments4(to, from, i)
	                                                       : fragments6(to, from, i);
}
