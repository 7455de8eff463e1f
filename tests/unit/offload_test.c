/* SPDX-License-Identifier: BSD-3-Clause */
/* Checksums and segments against a naive model that works on whole frames, and what a guest's
 * header may ask for. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "dataplane/offload.h"
#include "dataplane/port/vhost_user/ring_io.h"
#include "dataplane/stage/ip4.h"
#include "tests/unit/guarded.h"

#define FRAME_MAX (18 + 65535)

static struct batch batch, cut;
static uint64_t seed = 42;

/* How a TCP frame is made. */
struct shape {
	bool v6, tagged;
	unsigned ip_options, tcp_options; /* bytes */
	uint32_t payload;
	uint8_t flags;
};

struct frame {
	uint8_t *bytes; /* of exactly its length */
	uint32_t length;
	unsigned l3, l4, end;
};

/* ---- the model ---- */

static uint16_t naive_sum(uint32_t sum, const uint8_t *at, uint32_t n)
{
	for (uint32_t k = 0; k < n; k++)
		sum += k & 1 ? at[k] : (uint32_t)at[k] << 8;
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t)sum;
}

static uint16_t naive_pseudo(const struct frame *f, bool v6, uint32_t l4_length)
{
	uint32_t sum = naive_sum(6 + l4_length, f->bytes + f->l3 + (v6 ? 8 : 12), v6 ? 32 : 8);

	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t)sum;
}

static void put16(uint8_t *at, uint32_t value)
{
	at[0] = (uint8_t)(value >> 8);
	at[1] = (uint8_t)value;
}

static uint32_t get32(const uint8_t *at)
{
	return (uint32_t)at[0] << 24 | (uint32_t)at[1] << 16 | (uint32_t)at[2] << 8 | at[3];
}

static void fill_ip(struct frame *f, const struct shape *shape)
{
	uint8_t *ip = f->bytes + f->l3;
	uint32_t total = f->length - f->l3;

	if (shape->v6) {
		ip[0] = 0x60;
		put16(ip + 4, total - 40);
		ip[6] = 6;
		return;
	}
	ip[0] = (uint8_t)(0x40 | (f->l4 - f->l3) / 4);
	put16(ip + 2, total);
	put16(ip + 6, 0x4000);
	ip[9] = 6;
	put16(ip + 10, 0);
	put16(ip + 10, (uint16_t)~naive_sum(0, ip, f->l4 - f->l3));
}

/* With the pseudo-header's sum where the checksum will be. */
static struct frame make(const struct shape *shape)
{
	struct frame f = {.l3 = shape->tagged ? 18 : 14};
	uint8_t *tcp;

	f.l4 = f.l3 + (shape->v6 ? 40 : 20 + shape->ip_options);
	f.end = f.l4 + 20 + shape->tcp_options;
	f.length = f.end + shape->payload;
	f.bytes = malloc(f.length);
	for (uint32_t k = 0; k < f.length; k++)
		f.bytes[k] = (uint8_t)(random_next(&seed) >> 16);
	if (shape->tagged)
		put16(f.bytes + 12, 0x8100);
	put16(f.bytes + f.l3 - 2, shape->v6 ? 0x86dd : 0x0800);
	fill_ip(&f, shape);
	tcp = f.bytes + f.l4;
	tcp[12] = (uint8_t)((f.end - f.l4) / 4 << 4);
	tcp[13] = shape->flags;
	put16(tcp + 16, naive_pseudo(&f, shape->v6, f.length - f.l4));
	return f;
}

/* Whether a whole frame's TCP checksum is right. */
static bool checksum_right(const struct frame *f, bool v6)
{
	uint32_t sum = naive_pseudo(f, v6, f->length - f->l4);

	return naive_sum(sum, f->bytes + f->l4, f->length - f->l4) == 0xffff;
}

/* ---- frames in batches ---- */

/* An entry whose rest is in pieces of odd and even lengths. */
static uint64_t add(const struct frame *f, uint32_t head, unsigned pieces)
{
	uint32_t i = batch_add_empty(&batch), done;

	head = RTE_MIN(head, f->length);
	memcpy(batch.head[i], f->bytes, head);
	batch.length[i] = f->length;
	batch.head_length[i] = (uint16_t)head;
	batch.rest[i] = f->bytes + head;
	done = pieces > 1 ? random_below(&seed, f->length - head + 1) : f->length - head;
	batch.rest_length[i] = done;
	batch.more[i] = (uint16_t)batch.n_spans;
	for (; pieces > 1; pieces--) {
		uint32_t left = f->length - head - done;
		uint32_t part = pieces == 2 ? left : random_below(&seed, left + 1);

		batch.span[batch.n_spans++] = (struct span){f->bytes + head + done, part};
		batch.n_more[i]++;
		done += part;
	}
	batch.offload[i] = OFFLOAD_CSUM;
	batch.csum_start[i] = (uint16_t)f->l4;
	batch.csum_offset[i] = 16;
	batch.header_length[i] = (uint16_t)f->end;
	return i;
}

static struct frame flatten(const struct batch *from, uint64_t i, const struct frame *like)
{
	struct cursor rest = batch_rest(from, i);
	struct frame f = *like;

	f.length = from->length[i];
	f.bytes = malloc(f.length);
	memcpy(f.bytes, from->head[i], from->head_length[i]);
	assert_int_equal(
	        cursor_copy(&rest, f.bytes + from->head_length[i], f.length - from->head_length[i]),
	        f.length - from->head_length[i]);
	return f;
}

static void clear(void)
{
	memset(&batch, 0, offsetof(struct batch, span));
	memset(&cut, 0, offsetof(struct batch, span));
}

static struct shape random_shape(uint32_t payload_max)
{
	struct shape shape = {
	        .v6 = random_below(&seed, 2),
	        .tagged = random_below(&seed, 2),
	        .tcp_options = random_below(&seed, 3) ? 12 : 4 * random_below(&seed, 11),
	        .payload = random_below(&seed, payload_max + 1),
	        .flags = (uint8_t)random_next(&seed),
	};

	if (!shape.v6 && random_below(&seed, 4) == 0)
		shape.ip_options = 4 * random_below(&seed, 6);
	return shape;
}

/* ---- tests ---- */

static void test_checksum(void **state)
{
	(void)state;
	for (unsigned n = 0; n < 3000; n++) {
		struct shape shape = random_shape(n % 50 ? 3000 : 65000);
		struct frame f = make(&shape), whole;
		uint64_t i;

		clear();
		i = add(&f, PR_HEAD, 1 + random_below(&seed, 5));
		offload_checksum(&batch, i);
		assert_int_equal(batch.offload[i], 0);
		whole = flatten(&batch, i, &f);
		assert_true(checksum_right(&whole, shape.v6));
		/* Nothing else changed. */
		memcpy(whole.bytes + f.l4 + 16, f.bytes + f.l4 + 16, 2);
		assert_memory_equal(whole.bytes, f.bytes, f.length);
		free(f.bytes);
		free(whole.bytes);
	}
}

/* RFC 768: a UDP checksum that comes out as 0 is sent as 0xffff. */
static void test_zero(void **state)
{
	uint8_t bytes[64] = {0};
	struct frame f = {bytes, sizeof(bytes), 14, 34, 42};
	uint64_t i;

	(void)state;
	clear();
	bytes[40] = bytes[41] = 0xff;
	i = add(&f, PR_HEAD, 1);
	batch.csum_offset[i] = 6;
	offload_checksum(&batch, i);
	assert_int_equal(batch.head[i][40], 0xff);
	assert_int_equal(batch.head[i][41], 0xff);
}

/* A segment's fields that differ from the original's, and nothing else does. */
static void check_segment(const struct frame *s, const struct frame *f, const struct shape *shape,
        uint32_t offset, unsigned number, bool partial)
{
	uint8_t head[256];
	uint32_t n = s->length - f->end;
	bool last = offset + n == shape->payload;
	struct frame wanted = {head, s->length, f->l3, f->l4, f->end};

	memcpy(head, f->bytes, f->end);
	if (!shape->v6)
		put16(head + f->l3 + 4,
		        ((uint32_t)head[f->l3 + 4] << 8 | head[f->l3 + 5]) + number);
	fill_ip(&wanted, shape);
	if (!last)
		head[f->l4 + 13] &= (uint8_t)~0x09;
	if (number)
		head[f->l4 + 13] &= (uint8_t)~0x80;
	assert_int_equal(get32(s->bytes + f->l4 + 4), get32(head + f->l4 + 4) + offset);
	memcpy(head + f->l4 + 4, s->bytes + f->l4 + 4, 4);
	if (partial) {
		uint16_t sum = naive_pseudo(&wanted, shape->v6, s->length - f->l4);

		assert_int_equal((uint32_t)s->bytes[f->l4 + 16] << 8 | s->bytes[f->l4 + 17], sum);
	} else {
		assert_true(checksum_right(s, shape->v6));
	}
	memcpy(head + f->l4 + 16, s->bytes + f->l4 + 16, 2);
	assert_memory_equal(s->bytes, head, f->end);
	assert_memory_equal(s->bytes + f->end, f->bytes + f->end + offset, n);
}

static void check_segments(const struct shape *shape, uint32_t size, uint32_t head, bool in_mbuf)
{
	struct frame f = make(shape);
	bool partial = random_below(&seed, 2);
	uint32_t offset = 0;
	unsigned n;
	uint64_t i;

	clear();
	i = add(&f, in_mbuf ? PR_HEAD : head, 1 + random_below(&seed, 5));
	if (in_mbuf) {
		/* As of a packet that was held: its first mbuf is its head. */
		batch.head[i] = f.bytes;
		batch.head_length[i] = (uint16_t)RTE_MIN(head, f.length);
		batch.rest[i] = f.bytes + batch.head_length[i];
		batch.rest_length[i] = f.length - batch.head_length[i];
		batch.n_more[i] = 0;
	}
	batch.offload[i] |= shape->v6 ? OFFLOAD_TSO6 : OFFLOAD_TSO4;
	batch.gso_size[i] = (uint16_t)size;
	n = offload_segments(&cut, &batch, i, partial);
	assert_int_equal(n, (shape->payload + size - 1) / size);
	assert_int_equal(cut.count, n);
	for (unsigned k = 0; k < n; k++) {
		struct frame s = flatten(&cut, k, &f);

		assert_int_equal(s.length - f.end, RTE_MIN(size, shape->payload - offset));
		assert_int_equal(cut.offload[k], partial ? OFFLOAD_CSUM : 0);
		check_segment(&s, &f, shape, offset, k, partial);
		offset += s.length - f.end;
		free(s.bytes);
	}
	assert_int_equal(offset, shape->payload);
	free(f.bytes);
}

static void test_segments(void **state)
{
	(void)state;
	for (unsigned n = 0; n < 2000; n++) {
		struct shape shape = random_shape(n % 20 ? 9000 : 65000);
		uint32_t size, most;

		shape.payload += 2;
		most = shape.v6 ? 65535 + 40 : 65535 - 20 - shape.ip_options;
		shape.payload = RTE_MIN(shape.payload, most - 100);
		size = (shape.payload + PR_BATCH - 1) / PR_BATCH;
		size += random_below(&seed, shape.payload - size);
		check_segments(&shape, size, n % 3 ? PR_HEAD : PR_HEAD_MAX, false);
	}
}

/* A packet that was held for a neighbour comes back with much payload in its head. */
static void test_segments_landed(void **state)
{
	(void)state;
	for (unsigned n = 0; n < 300; n++) {
		struct shape shape = random_shape(60000);

		shape.payload += 3000;
		check_segments(&shape, 1000 + random_below(&seed, 500),
		        300 + random_below(&seed, 9000), true);
	}
}

/* ---- what a guest's header may say ---- */

static bool parse(
        const struct frame *f, uint8_t gso_type, unsigned start, unsigned offset, uint16_t gso_size)
{
	const struct virtio_net_hdr header = {
	        .flags = VIRTIO_NET_HDR_F_NEEDS_CSUM,
	        .gso_type = gso_type,
	        .csum_start = (uint16_t)start,
	        .csum_offset = (uint16_t)offset,
	        .gso_size = gso_size,
	};
	uint64_t i;

	clear();
	i = add(f, PR_HEAD, 1);
	batch.offload[i] = 0;
	return offload_parse(&batch, i, &header);
}

/* A checksum may be written where one is, and over nothing that was checked before. */
static void test_field(void **state)
{
	(void)state;
	for (unsigned n = 0; n < 8; n++) {
		const struct shape shape = {.v6 = n & 1, .tagged = n & 2, .payload = 100};
		struct frame f = make(&shape);
		unsigned own = n & 4 ? 6 : 16; /* UDP, TCP */

		f.bytes[f.l3 + (shape.v6 ? 6 : 9)] = n & 4 ? 17 : 6;
		for (unsigned start = 0; start < PR_HEAD; start++)
			for (unsigned offset = 0; start + offset < PR_HEAD + 4; offset++) {
				unsigned inner = f.l4 + (n & 4 ? 8 : 20);
				bool allowed = (start == f.l4 && offset == own) || start >= inner;

				allowed &= start + offset + 2 <= PR_HEAD;
				assert_int_equal(
				        parse(&f, VIRTIO_NET_HDR_GSO_NONE, start, offset, 0),
				        allowed);
			}
		free(f.bytes);
	}
}

static void test_arp(void **state)
{
	const struct shape shape = {.payload = 60};
	struct frame f = make(&shape);

	(void)state;
	f.bytes[13] = 0x06;
	for (unsigned start = 0; start < PR_HEAD; start++)
		assert_false(parse(&f, VIRTIO_NET_HDR_GSO_NONE, start, 8, 0));
	free(f.bytes);
}

static void test_gso_refused(void **state)
{
	const struct shape shape = {.payload = 6400};
	struct frame f = make(&shape);
	const unsigned v4 = VIRTIO_NET_HDR_GSO_TCPV4;

	(void)state;
	assert_true(parse(&f, v4, f.l4, 16, 100));
	assert_int_equal(batch.offload[0], OFFLOAD_CSUM | OFFLOAD_TSO4);
	assert_int_equal(batch.header_length[0], f.end);
	assert_true(parse(&f, v4, f.l4, 16, 6400));
	assert_int_equal(batch.offload[0], OFFLOAD_CSUM);
	assert_false(parse(&f, v4, f.l4, 16, 99));
	assert_false(parse(&f, v4, f.l4, 16, 0));
	assert_false(parse(&f, VIRTIO_NET_HDR_GSO_TCPV6, f.l4, 16, 100));
	assert_false(parse(&f, VIRTIO_NET_HDR_GSO_UDP, f.l4, 16, 100));
	assert_false(parse(&f, v4 | VIRTIO_NET_HDR_GSO_ECN, f.l4, 16, 100));
	f.bytes[f.l4 + 12] = 0x40; /* a TCP header of 16 bytes */
	assert_false(parse(&f, v4, f.l4, 16, 100));
	f.bytes[f.l4 + 12] = 0x50;
	f.bytes[f.l3 + 7] = 1; /* a fragment */
	assert_false(parse(&f, v4, f.l4, 16, 100));
	free(f.bytes);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(test_checksum),
	        cmocka_unit_test(test_zero),
	        cmocka_unit_test(test_segments),
	        cmocka_unit_test(test_segments_landed),
	        cmocka_unit_test(test_field),
	        cmocka_unit_test(test_arp),
	        cmocka_unit_test(test_gso_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
