/* SPDX-License-Identifier: BSD-3-Clause */
#include <netinet/in.h>

#include <rte_ip.h>

#include "dataplane/offload.h"
#include "dataplane/stage/ip4.h"

#define TCP_CSUM 16
#define TCP_FIN  0x01
#define TCP_PSH  0x08
#define TCP_CWR  0x80

/* A sum over pieces of any length: a piece that begins at an odd byte counts swapped (RFC 1071
 * section 2 B). */
struct sum {
	uint64_t value;
	bool odd;
};

static void sum_add(struct sum *sum, const uint8_t *at, uint32_t n)
{
	uint32_t part = rte_raw_cksum(at, n);

	sum->value += sum->odd ? (uint16_t)(part << 8 | part >> 8) : part;
	sum->odd ^= n & 1;
}

static uint16_t sum_finish(const struct sum *sum)
{
	uint64_t value = sum->value;

	while (value >> 16)
		value = (value & 0xffff) + (value >> 16);
	return (uint16_t)~value;
}

/* Adds the entry's bytes from an offset within its head to its end. */
static void sum_entry(struct sum *sum, const struct batch *batch, uint64_t i, uint32_t from)
{
	struct cursor rest = batch_rest(batch, i);
	uint32_t left = batch->length[i] - batch->head_length[i];

	sum_add(sum, batch->head[i] + from, batch->head_length[i] - from);
	while (left) {
		struct span span = cursor_take(&rest, left);

		if (!span.length)
			break;
		sum_add(sum, span.at, span.length);
		left -= span.length;
	}
}

void offload_checksum(struct batch *batch, uint64_t i)
{
	uint8_t *field = batch->head[i] + batch->csum_start[i] + batch->csum_offset[i];
	struct sum sum = {0};
	uint16_t value;

	/* The field holds the pseudo-header's sum and is part of what is summed. */
	sum_entry(&sum, batch, i, batch->csum_start[i]);
	value = sum_finish(&sum);
	if (!value)
		value = 0xffff;
	memcpy(field, &value, sizeof(value));
	batch->offload[i] = (uint8_t)(batch->offload[i] & ~OFFLOAD_CSUM);
}

/* ---- segments ---- */

/* Where the TCP header and the IP header of an entry begin; the tag, if there is one, is in front.
 */
struct layout {
	unsigned l3, l4, end;
	bool v6;
};

static struct layout layout_of(const struct batch *batch, uint64_t i)
{
	struct layout layout = {
	        .l3 = RTE_ETHER_HDR_LEN,
	        .l4 = batch->csum_start[i],
	        .end = batch->header_length[i],
	        .v6 = batch->offload[i] & OFFLOAD_TSO6,
	};

	if (load_be16(batch->head[i] + 12) == RTE_ETHER_TYPE_VLAN)
		layout.l3 += 4;
	return layout;
}

static uint32_t pseudo_sum(const uint8_t *head, const struct layout *layout, uint32_t length)
{
	unsigned addresses = layout->v6 ? 32 : 8, at = layout->l3 + (layout->v6 ? 8 : 12);
	struct sum sum = {0};
	uint8_t tail[4];

	sum_add(&sum, head + at, addresses);
	store_be16(tail, IPPROTO_TCP);
	store_be16(tail + 2, (uint16_t)length);
	sum_add(&sum, tail, sizeof(tail));
	return (uint16_t)~sum_finish(&sum);
}

static void fix_ip(uint8_t *head, const struct layout *layout, uint32_t payload, unsigned number)
{
	uint8_t *ip = head + layout->l3;
	uint32_t total = layout->end - layout->l3 + payload;
	struct sum sum = {0};
	uint16_t value;

	if (layout->v6) {
		store_be16(ip + 4, (uint16_t)(total - 40));
		return;
	}
	store_be16(ip + 2, (uint16_t)total);
	store_be16(ip + 4, (uint16_t)(load_be16(ip + 4) + number));
	store_be16(ip + 10, 0);
	sum_add(&sum, ip, layout->l4 - layout->l3);
	value = sum_finish(&sum);
	memcpy(ip + 10, &value, sizeof(value));
}

static void fix_tcp(uint8_t *head, const struct layout *layout, uint32_t payload, unsigned number,
        uint32_t offset, bool last)
{
	uint8_t *tcp = head + layout->l4;
	uint16_t pseudo;

	store_be32(tcp + 4, load_be32(tcp + 4) + offset);
	if (!last)
		tcp[13] = (uint8_t)(tcp[13] & ~(TCP_FIN | TCP_PSH));
	if (number)
		tcp[13] = (uint8_t)(tcp[13] & ~TCP_CWR);
	pseudo = (uint16_t)pseudo_sum(head, layout, layout->end - layout->l4 + payload);
	memcpy(tcp + TCP_CSUM, &pseudo, sizeof(pseudo));
}

/* The head of a packet that was held holds more payload than a piece's head takes. */
static struct span next_piece(struct cursor *in_head, struct cursor *payload, uint32_t n)
{
	return in_head->left ? cursor_take(in_head, n) : cursor_take(payload, n);
}

void offload_take_rest(
        struct batch *to, uint32_t k, struct cursor *in_head, struct cursor *payload, uint32_t n)
{
	struct span span = next_piece(in_head, payload, n);

	to->rest[k] = span.at;
	to->rest_length[k] = span.length;
	to->more[k] = (uint16_t)to->n_spans;
	for (n -= span.length; n && to->n_spans < BATCH_SPANS; n -= span.length) {
		span = next_piece(in_head, payload, n);
		if (!span.length)
			break;
		to->span[to->n_spans++] = span;
		to->n_more[k]++;
	}
}

unsigned offload_segments(struct batch *to, const struct batch *from, uint64_t i, bool partial)
{
	struct layout layout = layout_of(from, i);
	uint32_t size = from->gso_size[i], all = from->length[i] - layout.end, offset = 0;
	struct span first = {from->head[i] + layout.end, from->head_length[i] - layout.end};
	struct cursor payload = batch_rest(from, i), in_head = {first.at, first.length, NULL, NULL};

	for (unsigned number = 0; offset < all && number < PR_BATCH; number++) {
		uint32_t n = RTE_MIN(size, all - offset), k = batch_add_empty(to);
		uint32_t own = RTE_MIN(n, in_head.left);

		memcpy(to->head[k], from->head[i], layout.end);
		/* Payload that came with the head goes with the segment's head. */
		own = RTE_MIN(own, (uint32_t)(PR_HEAD_MAX - layout.end));
		cursor_copy(&in_head, to->head[k] + layout.end, own);
		fix_ip(to->head[k], &layout, n, number);
		fix_tcp(to->head[k], &layout, n, number, offset, offset + n == all);
		to->head_length[k] = (uint16_t)(layout.end + own);
		to->length[k] = layout.end + n;
		offload_take_rest(to, k, &in_head, &payload, n - own);
		to->offload[k] = OFFLOAD_CSUM;
		to->csum_start[k] = (uint16_t)layout.l4;
		to->csum_offset[k] = TCP_CSUM;
		to->out_port[k] = from->out_port[i];
		to->in_port[k] = from->in_port[i];
		if (!partial)
			offload_checksum(to, k);
		offset += n;
	}
	return to->count;
}
