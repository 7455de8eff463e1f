/* SPDX-License-Identifier: BSD-3-Clause */
/* Placement of queues against all possible placements, and the spreading of flows over queues. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "dataplane/flow_hash.h"
#include "dataplane/placement.h"
#include "tests/unit/guarded.h"

#define QUEUES_MAX 64
#define FLOWS      1024

static uint64_t seed = 11;

static struct placement_workers workers(unsigned n)
{
	struct placement_workers w = {.n = n};

	for (unsigned k = 0; k < n; k++)
		w.numa[k] = -1;
	return w;
}

static uint64_t largest(const struct placement_workers *w)
{
	uint64_t most = 0;

	for (unsigned k = 0; k < w->n; k++)
		most = w->load[k] > most ? w->load[k] : most;
	return most;
}

/* Sums by hand: what the function says of itself must be true. */
static void check_sums(const struct placement_workers *w, const struct placed_queue *q, unsigned n)
{
	uint64_t sum[PR_WORKERS_MAX] = {0};

	for (unsigned k = 0; k < n; k++) {
		assert_in_range(q[k].worker, 0, w->n - 1);
		sum[q[k].worker] += placement_cost(w, q[k].worker, q[k].numa, q[k].load);
	}
	for (unsigned k = 0; k < w->n; k++)
		assert_int_equal(sum[k], w->load[k]);
}

/* The least possible largest sum, by trying everything. */
static uint64_t optimum(const struct placement_workers *w, const struct placed_queue *q, unsigned n)
{
	uint64_t best = UINT64_MAX, all = 1;

	for (unsigned k = 0; k < n; k++)
		all *= w->n;
	for (uint64_t code = 0; code < all; code++) {
		struct placement_workers tried = *w;
		uint64_t rest = code, most;

		memset(tried.load, 0, sizeof(tried.load));
		for (unsigned k = 0; k < n; k++, rest /= w->n)
			tried.load[rest % w->n] += q[k].load + PLACEMENT_QUEUE;
		most = largest(&tried);
		best = most < best ? most : best;
	}
	return best;
}

static void fill(struct placed_queue *q, unsigned n, unsigned n_workers, bool numa)
{
	for (unsigned k = 0; k < n; k++)
		q[k] = (struct placed_queue){.device = (uint16_t)k,
		        .worker = (uint16_t)random_below(&seed, n_workers),
		        .numa = numa ? (int16_t)(random_below(&seed, 3) - 1) : -1,
		        .load = random_below(&seed, 3) ? random_below(&seed, 400000) : 0};
}

static void test_against_all(void **state)
{
	struct placed_queue q[8];

	(void)state;
	for (unsigned round = 0; round < 2000; round++) {
		unsigned m = 1 + random_below(&seed, 3), n = random_below(&seed, 8);
		struct placement_workers w = workers(m);

		fill(q, n, m, false);
		placement_balance(&w, q, n, 0, 1000);
		check_sums(&w, q, n);
		/* largest <= (2 - 2 / (m + 1)) * optimum */
		assert_true(largest(&w) * (m + 1) <= 2 * m * optimum(&w, q, n));
	}
}

/* No step is for nothing: fewer steps allowed end higher or equal, none is left that helps, and the
 * same again changes nothing. */
static void test_steps(void **state)
{
	struct placed_queue q[QUEUES_MAX], again[QUEUES_MAX];

	(void)state;
	for (unsigned round = 0; round < 500; round++) {
		unsigned m = 1 + random_below(&seed, 8), n = random_below(&seed, QUEUES_MAX);
		struct placement_workers w = workers(m), limited;
		uint64_t gain = random_below(&seed, 2) ? 0 : 50000, before = UINT64_MAX;
		unsigned steps;

		for (unsigned k = 0; k < m; k++)
			w.numa[k] = (int)random_below(&seed, 3) - 1;
		fill(q, n, m, true);
		for (unsigned most = 0; most < 5; most++) {
			memcpy(again, q, sizeof(q));
			limited = w;
			steps = placement_balance(&limited, again, n, gain, most);
			assert_in_range(steps, 0, most);
			assert_true(largest(&limited) <= before);
			before = largest(&limited);
		}
		placement_balance(&w, q, n, gain, 100000);
		check_sums(&w, q, n);
		memcpy(again, q, sizeof(q));
		assert_int_equal(placement_balance(&w, again, n, gain, 100000), 0);
		assert_memory_equal(again, q, n * sizeof(q[0]));
	}
}

/* Small differences are left alone where a gain is asked for. */
static void test_gain(void **state)
{
	struct placed_queue q[3] = {{.worker = 0, .load = 300000}, {.worker = 0, .load = 40000},
	        {.worker = 1, .load = 300000}};
	struct placement_workers w = workers(2);

	(void)state;
	for (unsigned k = 0; k < 3; k++)
		q[k].numa = -1;
	assert_int_equal(placement_balance(&w, q, 3, 50000, 100), 0);
	q[1].load = 200000;
	q[2].load = 100000;
	assert_int_equal(placement_balance(&w, q, 3, 50000, 100), 1);
	assert_int_equal(q[1].worker, 1);
}

/* Silent queues are spread by number; a device's node is preferred until it costs too much. */
static void test_choose(void **state)
{
	struct placement_workers w = workers(4);
	unsigned count[4] = {0};

	(void)state;
	for (unsigned k = 0; k < 40; k++)
		count[placement_choose(&w, -1, 0)]++;
	for (unsigned k = 0; k < 4; k++)
		assert_int_equal(count[k], 10);
	w = workers(4);
	w.load[0] = 500000;
	assert_int_not_equal(placement_choose(&w, -1, 0), 0);
	w = workers(2);
	w.numa[0] = 0;
	w.numa[1] = 1;
	assert_int_equal(placement_choose(&w, 1, 100000), 1);
	assert_int_equal(placement_choose(&w, 1, 100000), 0);
	assert_int_equal(placement_choose(&w, 1, 100000), 1);
}

/* ---- flows ---- */

enum shape { V4_ADDRESS, V4_SOURCE, V4_PORT, V6_ADDRESS, V6_BOTH, V6_PORT, TAGGED, SHAPES };

static unsigned frame(uint8_t *head, enum shape shape, unsigned flow)
{
	bool v6 = shape == V6_ADDRESS || shape == V6_BOTH || shape == V6_PORT;
	unsigned l3 = shape == TAGGED ? 18 : 14, l4 = l3 + (v6 ? 40 : 20);

	memset(head, 0, 128);
	head[0] = 2;
	head[12] = 0x81;
	head[l3 - 2] = v6 ? 0x86 : 0x08;
	head[l3 - 1] = v6 ? 0xdd : 0x00;
	head[l3] = v6 ? 0x60 : 0x45;
	head[l3 + (v6 ? 6 : 9)] = 17;
	memcpy(head + l4, "\x04\x00\x00\x50", 4);
	if (shape == V4_ADDRESS || shape == TAGGED || v6) {
		head[l4 - 2] = (uint8_t)(flow >> 8);
		head[l4 - 1] = (uint8_t)flow;
	}
	if (shape == V6_BOTH)
		memcpy(head + l3 + 22, head + l4 - 2, 2);
	if (shape == V4_SOURCE)
		memcpy(head + l3 + 14, (uint8_t[]){(uint8_t)(flow >> 8), (uint8_t)flow}, 2);
	if (shape == V4_PORT || shape == V6_PORT) {
		head[l4 - 2] = head[l4 - 1] = 0;
		head[l4] = (uint8_t)(4 + (flow >> 8));
		head[l4 + 1] = (uint8_t)flow;
	}
	return l4 + 8;
}

/* The bar: 1,024 flows over 8 queues, most to least at most 1.3. */
static void test_flows_spread(void **state)
{
	(void)state;
	for (unsigned shape = 0; shape < SHAPES; shape++) {
		unsigned count[8] = {0}, least = FLOWS, most = 0;
		uint8_t head[128];

		for (unsigned flow = 0; flow < FLOWS; flow++) {
			unsigned length = frame(head, (enum shape)shape, flow);

			count[flow_queue(flow_hash(head, length), 8)]++;
		}
		for (unsigned q = 0; q < 8; q++) {
			least = count[q] < least ? count[q] : least;
			most = count[q] > most ? count[q] : most;
		}
		print_message("shape %u: %u to %u flows a queue\n", shape, least, most);
		assert_true(10 * most <= 13 * least);
	}
}

/* Whatever else changes, a flow keeps its queue: TTL, checksums, lengths; fragments keep together.
 */
static void test_flow_is_one(void **state)
{
	uint8_t head[128], other[128];
	unsigned length;

	(void)state;
	for (unsigned shape = 0; shape < SHAPES; shape++) {
		unsigned l3 = shape == TAGGED ? 18 : 14;
		bool is_v6 = shape >= V6_ADDRESS && shape <= V6_PORT;

		length = frame(head, (enum shape)shape, 77);
		memcpy(other, head, sizeof(head));
		other[l3 + (is_v6 ? 7 : 8)] = 9; /* hop limit, TTL */
		other[l3 + (is_v6 ? 4 : 2)] = 7; /* length */
		memset(other + length - 4, 0xee, 4);
		other[5] ^= 1;
		assert_int_equal(flow_hash(head, length), flow_hash(other, length));
	}
	/* First fragment (with ports) and a later one. */
	length = frame(head, V4_PORT, 5);
	head[20] = 0x20;
	memcpy(other, head, sizeof(head));
	other[20] = 0;
	other[21] = 185;
	memset(other + 34, 0x11, 8);
	assert_int_equal(flow_hash(head, length), flow_hash(other, length));
	/* Short ones are read no further than they go. */
	for (unsigned n = 0; n < 64; n++) {
		uint8_t *end = guarded_map(n);

		memcpy(end, head, n);
		flow_hash(end, n);
		guarded_unmap(end, n);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(test_against_all),
	        cmocka_unit_test(test_steps),
	        cmocka_unit_test(test_gain),
	        cmocka_unit_test(test_choose),
	        cmocka_unit_test(test_flows_spread),
	        cmocka_unit_test(test_flow_is_one),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
