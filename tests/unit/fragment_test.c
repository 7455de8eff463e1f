/* SPDX-License-Identifier: BSD-3-Clause */
/* Fragments, put together again by a naive receiver. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "dataplane/offload.h"
#include "dataplane/stage/ip4.h"
#include "tests/unit/guarded.h"

#define L2     14
#define ROUNDS 20000

static struct batch batch, cut;
static uint64_t seed = 1;

static uint16_t naive_sum(const uint8_t *at, unsigned n)
{
	uint32_t sum = 0;

	for (unsigned k = 0; k < n; k++)
		sum += k & 1 ? at[k] : (uint32_t)at[k] << 8;
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t)sum;
}

/* Random options, whole or not: `copied` gets those that later fragments must have. */
static unsigned make_options(uint8_t *at, unsigned room, uint8_t *copied, unsigned *n_copied)
{
	unsigned used = 0;

	*n_copied = 0;
	while (used < room && random_below(&seed, 4)) {
		unsigned n = 2 + random_below(&seed, 9);
		uint8_t type = (uint8_t)(2 + random_below(&seed, 254));

		if (!random_below(&seed, 3)) {
			at[used++] = 1;
			continue;
		}
		if (used + n > room)
			break;
		at[used] = type;
		at[used + 1] = (uint8_t)n;
		for (unsigned k = 2; k < n; k++)
			at[used + k] = (uint8_t)random_below(&seed, 256);
		if (type & 0x80) {
			memcpy(copied + *n_copied, at + used, n);
			*n_copied += n;
		}
		used += n;
	}
	memset(at + used, 0, room - used);
	memset(copied + *n_copied, 0, 3);
	return (used + 3) & ~3u;
}

struct packet {
	uint8_t *bytes; /* of exactly length */
	uint32_t length;
	unsigned header, n_copied;
	uint16_t fragment;
	uint8_t copied[48];
};

static struct packet make(uint32_t payload)
{
	struct packet p = {.header = 20};
	uint8_t options[40];
	uint8_t *ip;

	if (random_below(&seed, 2))
		p.header +=
		        make_options(options, 4 * random_below(&seed, 11), p.copied, &p.n_copied);
	p.length = L2 + p.header + payload;
	p.bytes = malloc(p.length);
	for (uint32_t k = 0; k < p.length; k++)
		p.bytes[k] = (uint8_t)random_below(&seed, 256);
	ip = p.bytes + L2;
	memcpy(ip + 20, options, p.header - 20);
	/* A fragment can be cut again. */
	p.fragment = (uint16_t)(random_below(&seed, 2) * 0x2000);
	if (random_below(&seed, 3) == 0)
		p.fragment |= (uint16_t)random_below(&seed, 0x1000);
	ip[0] = (uint8_t)(0x40 | p.header / 4);
	store_be16(ip + 2, (uint16_t)(p.length - L2));
	store_be16(ip + 6, p.fragment);
	store_be16(ip + 10, 0);
	store_be16(ip + 10, (uint16_t)~naive_sum(ip, p.header));
	return p;
}

/* With the head as long as a guest's or less, the rest in pieces. */
static void enter(const struct packet *p, uint16_t mtu)
{
	uint32_t i, head, at;

	batch.count = batch.n_spans = 0;
	i = batch_add_empty(&batch);
	head = L2 + p->header + random_below(&seed, 70);
	head = RTE_MIN(RTE_MIN(head, (uint32_t)PR_HEAD), p->length);
	head = RTE_MAX(head, (uint32_t)(L2 + p->header));
	memcpy(batch.head[i], p->bytes, head);
	batch.head_length[i] = (uint16_t)head;
	batch.length[i] = p->length;
	at = head;
	batch.rest[i] = p->bytes + at;
	batch.rest_length[i] = random_below(&seed, p->length - at + 1);
	at += batch.rest_length[i];
	batch.more[i] = 0;
	while (at < p->length) {
		uint32_t n = batch.n_spans > 20 ? p->length - at
		                                : 1 + random_below(&seed, p->length - at);

		batch.span[batch.n_spans++] = (struct span){p->bytes + at, n};
		batch.n_more[i]++;
		at += n;
	}
	batch.offload[i] = OFFLOAD_FRAGMENT;
	batch.gso_size[i] = mtu;
	batch.header_length[i] = L2;
	batch.in_port[i] = 3;
	batch.out_port[i] = 4;
}

/* What a receiver sees of one piece; adds its payload to whole and returns its length. */
static uint32_t receive(const struct packet *p, uint32_t k, uint16_t mtu, uint32_t offset,
        bool last, uint8_t *whole)
{
	struct cursor rest = batch_rest(&cut, k);
	const uint8_t *ip = cut.head[k] + L2;
	unsigned header = (ip[0] & 15) * 4u;
	uint32_t n = cut.length[k] - L2 - header, in_head = cut.head_length[k] - L2 - header;
	uint16_t fragment = load_be16(ip + 6);

	assert_memory_equal(cut.head[k], p->bytes, L2);
	assert_true(cut.length[k] <= (uint32_t)mtu + L2);
	assert_int_equal(load_be16(ip + 2), cut.length[k] - L2);
	assert_int_equal(naive_sum(ip, header), 0xffff);
	assert_memory_equal(ip + 12, p->bytes + L2 + 12, 8);
	assert_memory_equal(ip + 4, p->bytes + L2 + 4, 2);
	assert_int_equal(ip[9], p->bytes[L2 + 9]);
	assert_int_equal((fragment & 0x1fff) * 8, (p->fragment & 0x1fff) * 8 + offset);
	assert_int_equal(fragment & 0xe000, last ? p->fragment & 0xe000 : 0x2000);
	if (!offset) {
		assert_int_equal(header, p->header);
		assert_memory_equal(ip + 20, p->bytes + L2 + 20, header - 20);
	} else {
		assert_int_equal(header, 20 + ((p->n_copied + 3) & ~3u));
		assert_memory_equal(ip + 20, p->copied, header - 20);
	}
	if (!last)
		assert_int_equal(n % 8, 0);
	memcpy(whole + offset, ip + header, in_head);
	assert_int_equal(cursor_copy(&rest, whole + offset + in_head, n - in_head), n - in_head);
	assert_int_equal(cut.out_port[k], 4);
	assert_int_equal(cut.offload[k], 0);
	return n;
}

static void fragments_make_the_packet_again(void **state)
{
	static uint8_t whole[65536];
	unsigned most = 0;

	(void)state;
	for (int round = 0; round < ROUNDS; round++) {
		uint16_t mtu = (uint16_t)(random_below(&seed, 3) ? 576 + random_below(&seed, 1000)
		                                                 : 68 + random_below(&seed, 200));
		struct packet p = make(1 + random_below(&seed, 9 * mtu < 8900 ? 9u * mtu : 8900));
		uint32_t offset = 0, all = p.length - L2 - p.header;
		unsigned n;

		cut.count = cut.n_spans = 0;
		enter(&p, mtu);
		if (p.length - L2 > mtu) {
			assert_int_equal(batch_wire_length(&batch, 0), mtu + L2);
			n = offload_fragments(&cut, &batch, 0);
			most = RTE_MAX(most, n);
			if (!n)
				/* Refused for their number alone. */
				assert_true(all / ((mtu - 60u) & ~7u) >= PR_BATCH - 2);
			for (uint32_t k = 0; k < n; k++)
				offset += receive(&p, k, mtu, offset, k + 1 == n, whole);
			if (n) {
				assert_true(n >= 2);
				assert_int_equal(offset, all);
				assert_memory_equal(whole, p.bytes + L2 + p.header, all);
			}
		}
		free(p.bytes);
	}
	assert_true(most > 16);
}

/* 8 bytes a fragment would make a thousand packets of one. */
static void too_many_are_refused(void **state)
{
	struct packet p = make(8900);

	(void)state;
	cut.count = cut.n_spans = 0;
	enter(&p, 68);
	assert_int_equal(offload_fragments(&cut, &batch, 0), 0);
	assert_int_equal(cut.count, 0);
	free(p.bytes);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(fragments_make_the_packet_again),
	        cmocka_unit_test(too_many_are_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
