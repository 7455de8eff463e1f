/* SPDX-License-Identifier: BSD-3-Clause */
/* The reassembly table against a naive model: random datagrams, cut at random, shuffled, repeated,
 * contradicted; then its limits. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "dataplane/table/reassembly.h"
#include "tests/unit/guarded.h"

#define PORTS   5
#define MANY    16 /* ports of the table */
#define HOSTILE 12
#define IDS     12
#define STEPS   400000
#define PACKETS 8192
#define TIMEOUT 1000

static uint64_t seed = 1, now = 100;
static struct reassembly *table;
static struct reassembly_taken taken;

/* Each packet is a byte: whether the table has it. */
static uint8_t in_table[PACKETS];

static void *new_packet(void)
{
	for (;;) {
		unsigned n = random_below(&seed, PACKETS);

		if (!in_table[n])
			return &in_table[n];
	}
}

static void check_taken(void)
{
	for (unsigned k = 0; k < taken.n; k++) {
		uint8_t *packet = taken.piece[k].packet;

		assert_int_equal(*packet, 1);
		*packet = 0;
	}
}

static void create(uint32_t datagrams, uint32_t packets, uint32_t bytes)
{
	struct reassembly_config config = {.ports = MANY,
	        .datagrams = datagrams,
	        .packets = packets,
	        .bytes = bytes,
	        .timeout = TIMEOUT,
	        .seed = {7, 9}};

	memset(in_table, 0, sizeof(in_table));
	table = reassembly_create(NULL, &config);
	assert_non_null(table);
}

/* Everything comes back. */
static void destroy(void)
{
	struct reassembly_stats stats;

	for (uint16_t p = 0; p < MANY; p++) {
		while (reassembly_purge(table, p, &taken)) {
			assert_int_equal(taken.why, REASSEMBLY_REMOVED);
			check_taken();
		}
		assert_int_equal(reassembly_port_count(table, p), 0);
	}
	for (unsigned n = 0; n < PACKETS; n++)
		assert_int_equal(in_table[n], 0);
	reassembly_stats(table, &stats);
	assert_int_equal(stats.datagrams, 0);
	assert_int_equal(stats.packets, 0);
	assert_int_equal(stats.bytes, 0);
	reassembly_destroy(table);
}

static struct reassembly_fragment make(
        uint16_t port, uint32_t id, uint32_t offset, uint32_t length, bool more)
{
	return (struct reassembly_fragment){
	        .key = {.source = {1}, .destination = {2}, .id = id, .segment = 3, .family = 2},
	        .port = port,
	        .packet = new_packet(),
	        .offset = (uint16_t)offset,
	        .length = (uint16_t)length,
	        .more = more,
	        .size = (uint16_t)(length + 20),
	        .marks = (uint8_t)(1u << (id % 8)),
	};
}

static enum reassembly_outcome insert(const struct reassembly_fragment *fragment)
{
	enum reassembly_outcome outcome = reassembly_insert(table, fragment, now, &taken);

	if (outcome == REASSEMBLY_HELD || outcome == REASSEMBLY_WHOLE)
		*(uint8_t *)fragment->packet = 1;
	check_taken();
	return outcome;
}

/* ---- the model ---- */

struct model {
	bool used, refused;
	enum reassembly_why why;
	uint64_t since;
	unsigned n;
	struct reassembly_fragment piece[REASSEMBLY_PIECES];
};

static struct model models[PORTS][IDS];

static bool contradicts(const struct reassembly_fragment *a, const struct reassembly_fragment *b)
{
	unsigned a_end = (unsigned)a->offset + a->length, b_end = (unsigned)b->offset + b->length;

	if (a->offset < b_end && b->offset < a_end)
		return true;
	if (!a->more && !b->more)
		return true;
	return (!a->more && b_end > a_end) || (!b->more && a_end > b_end);
}

static enum reassembly_outcome model_insert(
        struct model *m, const struct reassembly_fragment *fragment)
{
	unsigned sum = 0, total = 0;

	if (m->used && now - m->since > TIMEOUT) {
		m->used = false;
		return REASSEMBLY_AGAIN;
	}
	if (!m->used)
		*m = (struct model){.used = true, .since = now};
	if (m->refused)
		return REASSEMBLY_REFUSED;
	for (unsigned k = 0; k < m->n; k++)
		if (m->piece[k].offset == fragment->offset &&
		        m->piece[k].length == fragment->length &&
		        m->piece[k].more == fragment->more)
			return REASSEMBLY_DUPLICATE;
	m->why = REASSEMBLY_OVERLAP;
	for (unsigned k = 0; k < m->n && !m->refused; k++)
		m->refused = contradicts(&m->piece[k], fragment);
	if (!m->refused && m->n == REASSEMBLY_PIECES) {
		m->refused = true;
		m->why = REASSEMBLY_LIMIT;
	}
	if (m->refused)
		return REASSEMBLY_REFUSED;
	m->piece[m->n++] = *fragment;
	for (unsigned k = 0; k < m->n; k++) {
		sum += m->piece[k].length;
		if (!m->piece[k].more)
			total = (unsigned)m->piece[k].offset + m->piece[k].length;
	}
	return total && sum == total ? REASSEMBLY_WHOLE : REASSEMBLY_HELD;
}

static void check_whole(const struct model *m)
{
	unsigned at = 0, largest = 0;

	assert_int_equal(taken.n, m->n);
	for (unsigned k = 0; k < taken.n; k++) {
		const struct reassembly_piece *piece = &taken.piece[k];
		unsigned found = 0;

		assert_int_equal(piece->offset, at);
		at += piece->length;
		for (unsigned j = 0; j < m->n; j++)
			if (m->piece[j].packet == piece->packet) {
				assert_int_equal(m->piece[j].offset, piece->offset);
				assert_int_equal(m->piece[j].length, piece->length);
				largest = m->piece[j].size > largest ? m->piece[j].size : largest;
				found++;
			}
		assert_int_equal(found, 1);
	}
	assert_int_equal(taken.length, at);
	assert_int_equal(taken.largest, largest);
	assert_int_equal(taken.marks, m->piece[0].marks);
}

/* Mostly parts of one division, so that datagrams become whole; some that fit nothing. */
static struct reassembly_fragment random_fragment(void)
{
	uint16_t port = (uint16_t)random_below(&seed, PORTS);
	uint32_t id = random_below(&seed, IDS), parts = 2 + id % 5, unit = 8 * (1 + id), n;
	bool tiny = id == IDS - 1; /* 70 parts: more than there may be */

	if (tiny) {
		parts = 70;
		unit = 8;
	}
	n = random_below(&seed, parts);
	if (!random_below(&seed, 300))
		return make(port, id, 8 * random_below(&seed, 40), 8 + 8 * random_below(&seed, 20),
		        random_below(&seed, 2));
	return make(port, id, n * unit, n + 1 == parts ? unit - id % 8 : unit, n + 1 < parts);
}

static void test_model(void **state)
{
	unsigned outcomes[5] = {0}, expired = 0;

	(void)state;
	create(4096, 65536, 1u << 30);
	for (unsigned step = 0; step < STEPS; step++) {
		struct reassembly_fragment fragment = random_fragment();
		struct model *m = &models[fragment.port][fragment.key.id];
		enum reassembly_outcome wanted = model_insert(m, &fragment);

		outcomes[wanted]++;
		assert_int_equal(insert(&fragment), wanted);
		if (wanted == REASSEMBLY_REFUSED)
			assert_int_equal(taken.why, m->why);
		if (wanted == REASSEMBLY_AGAIN)
			assert_int_equal(taken.why, REASSEMBLY_TIMEOUT);
		if (wanted == REASSEMBLY_WHOLE) {
			check_whole(m);
			m->used = false;
		}
		now += random_below(&seed, 4);
		if (random_below(&seed, 50))
			continue;
		while (reassembly_expire(table, fragment.port, now, &taken)) {
			check_taken();
			expired++;
		}
		for (unsigned id = 0; id < IDS; id++) {
			m = &models[fragment.port][id];
			expired -= m->used && now - m->since > TIMEOUT;
			m->used &= now - m->since <= TIMEOUT;
		}
	}
	assert_int_equal(expired, 0);
	for (unsigned k = 0; k < 5; k++)
		assert_true(outcomes[k] > 100);
	destroy();
}

/* ---- limits ---- */

/* A port that floods with first fragments has a quarter; another's pings become whole all the same.
 */
static void test_one_floods(void **state)
{
	struct reassembly_fragment fragment;
	unsigned lost = 0;

	(void)state;
	create(64, 1024, 1u << 22);
	for (uint32_t id = 0; id < 10000; id++) {
		fragment = make(0, id, 0, 800, true);
		while (insert(&fragment) == REASSEMBLY_AGAIN) {
			assert_int_equal(taken.why, REASSEMBLY_LIMIT);
			lost++;
		}
		assert_true(reassembly_port_count(table, 0) <= 16);
		fragment = make(1, id, 0, 800, true);
		assert_int_equal(insert(&fragment), REASSEMBLY_HELD);
		fragment = make(1, id, 800, 1, false);
		assert_int_equal(insert(&fragment), REASSEMBLY_WHOLE);
	}
	assert_int_equal(lost, 10000 - 16);
	/* The oldest went: the newest is still there. */
	fragment = make(0, 9999, 800, 1, false);
	assert_int_equal(insert(&fragment), REASSEMBLY_WHOLE);
	fragment = make(0, 9000, 800, 1, false);
	assert_int_equal(insert(&fragment), REASSEMBLY_HELD);
	destroy();
}

/* All but one flood: each leaves as much as it takes, so something is left. */
static void test_many_flood(void **state)
{
	struct reassembly_fragment fragment;
	unsigned sum = 0;

	(void)state;
	create(64, 1024, 1u << 22);
	for (uint32_t id = 0; id < 10000; id++) {
		fragment = make((uint16_t)(id % (PORTS - 1)), id, 0, 800, true);
		while (insert(&fragment) == REASSEMBLY_AGAIN)
			;
	}
	for (uint16_t p = 0; p < PORTS - 1; p++)
		sum += reassembly_port_count(table, p);
	assert_in_range(sum, 32, 63);
	fragment = make(PORTS - 1, 1, 0, 800, true);
	assert_int_equal(insert(&fragment), REASSEMBLY_HELD);
	fragment = make(PORTS - 1, 1, 800, 1, false);
	assert_int_equal(insert(&fragment), REASSEMBLY_WHOLE);
	destroy();
}

/* As the stage does: a fragment drives out four datagrams at most. */
static enum reassembly_outcome insert_tries(const struct reassembly_fragment *fragment)
{
	enum reassembly_outcome outcome = REASSEMBLY_AGAIN;

	for (unsigned n = 0; n < 4 && outcome == REASSEMBLY_AGAIN; n++) {
		outcome = insert(fragment);
		if (outcome == REASSEMBLY_AGAIN) {
			assert_int_equal(taken.why, REASSEMBLY_LIMIT);
			assert_true(taken.port == fragment->port || taken.port < HOSTILE);
		}
	}
	return outcome;
}

/* Each port in turn takes all that it may have, and then keeps still: a half of what the one before
 * has left, down to nothing. */
static void take_all(uint32_t pieces, uint32_t length)
{
	for (uint16_t p = 0; p < HOSTILE; p++) {
		bool full = false;

		for (uint32_t id = 0; !full; id++)
			for (uint32_t n = 0; n < pieces && !full; n++) {
				struct reassembly_fragment fragment =
				        make(p, id, 2 * n * length, length, true);

				full = insert(&fragment) != REASSEMBLY_HELD;
			}
	}
}

/* Ports that come then send datagrams in as many parts, two at a time: all become whole, and what
 * they need comes from whoever has most. */
static void expect_newcomers(uint32_t parts, uint32_t length)
{
	for (uint32_t id = 0; id < 200; id++) {
		uint16_t port = (uint16_t)(HOSTILE + id % (MANY - HOSTILE));

		for (uint32_t n = 0; n < parts; n++)
			for (uint32_t k = 0; k < 2; k++) {
				struct reassembly_fragment fragment =
				        make(port, 2 * id + k, n * length, length, n + 1 < parts);

				assert_int_equal(insert_tries(&fragment),
				        n + 1 < parts ? REASSEMBLY_HELD : REASSEMBLY_WHOLE);
			}
		/* Who had all goes on taking what it can get. */
		for (uint16_t p = 0; p < HOSTILE; p++) {
			struct reassembly_fragment fragment = make(p, 1000 + id, 0, length, true);

			insert_tries(&fragment);
		}
	}
}

static void expect_bounds(uint32_t datagrams, uint32_t packets, uint32_t bytes)
{
	struct reassembly_stats stats;
	uint32_t most = 0, sum = 0;

	reassembly_stats(table, &stats);
	assert_in_range(stats.datagrams, 1, datagrams);
	assert_in_range(stats.packets, 1, packets);
	assert_in_range(stats.bytes, 1, bytes);
	for (uint16_t p = 0; p < MANY; p++) {
		uint32_t n = reassembly_port_count(table, p);

		most = n > most ? n : most;
		sum += n;
	}
	assert_int_equal(sum, stats.datagrams);
	assert_in_range(most, 1, datagrams / 4);
}

/* By datagrams, by fragments, and by bytes. */
static void test_newcomers(void **state)
{
	(void)state;
	create(256, 4096, 1u << 24);
	take_all(1, 80);
	expect_newcomers(2, 800);
	expect_bounds(256, 4096, 1u << 24);
	destroy();

	create(2048, 2048, 1u << 24);
	take_all(REASSEMBLY_PIECES, 8);
	expect_newcomers(REASSEMBLY_PIECES / 2, 800);
	expect_bounds(2048, 2048, 1u << 24);
	destroy();

	create(2048, 4096, 1u << 20);
	take_all(1, 1480);
	expect_newcomers(8, 4000);
	expect_bounds(2048, 4096, 1u << 20);
	destroy();
}

/* Few datagrams with many or large fragments: packets and bytes are bounded by themselves, and one
 * datagram does not drive itself out. */
static void test_packets_and_bytes(void **state)
{
	struct reassembly_fragment fragment;
	struct reassembly_stats stats;

	(void)state;
	create(64, 256, 1u << 22);
	for (uint32_t n = 0; n < REASSEMBLY_PIECES; n++) {
		fragment = make(0, 1, 16 * n, 8, true);
		assert_int_equal(insert(&fragment), REASSEMBLY_HELD);
	}
	fragment = make(0, 1, 16 * 64, 8, true);
	assert_int_equal(insert(&fragment), REASSEMBLY_REFUSED);
	assert_int_equal(taken.why, REASSEMBLY_LIMIT);
	assert_int_equal(taken.n, 0);
	reassembly_stats(table, &stats);
	assert_int_equal(stats.packets, REASSEMBLY_PIECES);
	/* Another one of the port takes its place, and then there is room. */
	fragment = make(0, 2, 0, 8, true);
	assert_int_equal(insert(&fragment), REASSEMBLY_AGAIN);
	assert_int_equal(taken.n, REASSEMBLY_PIECES);
	assert_int_equal(insert(&fragment), REASSEMBLY_HELD);
	destroy();

	create(64, 4096, 400000);
	for (uint32_t n = 0; n < 12; n++) {
		fragment = make(0, n, 0, 7980, true);
		assert_int_equal(insert(&fragment), REASSEMBLY_HELD);
	}
	fragment = make(0, 12, 0, 7980, true);
	assert_int_equal(insert(&fragment), REASSEMBLY_AGAIN);
	assert_int_equal(taken.n, 1);
	reassembly_stats(table, &stats);
	assert_int_equal(stats.bytes, 11 * 8000);
	destroy();
}

/* The 64th fragment may be the one that was missing, and 64 that leave a hole are too many. */
static void test_pieces(void **state)
{
	struct reassembly_fragment fragment;

	(void)state;
	create(64, 4096, 1u << 22);
	for (uint32_t n = 0; n < REASSEMBLY_PIECES; n++) {
		fragment = make(0, 1, 8 * n, 8, n + 1 < REASSEMBLY_PIECES);
		assert_int_equal(insert(&fragment),
		        n + 1 < REASSEMBLY_PIECES ? REASSEMBLY_HELD : REASSEMBLY_WHOLE);
	}
	assert_int_equal(taken.n, REASSEMBLY_PIECES);
	for (uint32_t n = 0; n < REASSEMBLY_PIECES; n++) {
		fragment = make(0, 1, 8 + 8 * n, 8, true);
		assert_int_equal(insert(&fragment), REASSEMBLY_HELD);
	}
	fragment = make(0, 1, 0, 8, true);
	assert_int_equal(insert(&fragment), REASSEMBLY_REFUSED);
	assert_int_equal(taken.why, REASSEMBLY_LIMIT);
	assert_int_equal(taken.n, REASSEMBLY_PIECES);
	fragment = make(0, 1, 8 + 8 * 64, 8, false);
	assert_int_equal(insert(&fragment), REASSEMBLY_REFUSED);
	assert_int_equal(taken.n, 0);
	destroy();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(test_model),
	        cmocka_unit_test(test_one_floods),
	        cmocka_unit_test(test_many_flood),
	        cmocka_unit_test(test_newcomers),
	        cmocka_unit_test(test_packets_and_bytes),
	        cmocka_unit_test(test_pieces),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
