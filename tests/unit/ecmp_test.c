/* SPDX-License-Identifier: BSD-3-Clause */
/* Who owns which bucket of a group of next hops: shares against the weights, moves against the
 * least that there could be, and the hash that picks buckets. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "dataplane/ecmp_hash.h"
#include "dataplane/table/ecmp.h"

struct set {
	struct ecmp_layout layout;
	struct ecmp_member member[PR_NEXTHOPS_MAX];
	uint8_t home[ECMP_BUCKETS_MAX];
};

static void set_make(struct set *set, unsigned n, uint16_t (*weight)(unsigned k))
{
	for (unsigned k = 0; k < n; k++)
		set->member[k] = (struct ecmp_member){
		        (k + 1) * UINT64_C(0x2545f4914f6cdd1d), weight ? weight(k) : 1};
	set->layout = (struct ecmp_layout){ecmp_buckets(set->member, n), n, set->member, set->home};
}

static void count(const struct set *set, uint64_t alive, uint32_t owned[PR_NEXTHOPS_MAX])
{
	memset(owned, 0, PR_NEXTHOPS_MAX * sizeof(owned[0]));
	for (uint32_t b = 0; b < set->layout.buckets; b++)
		owned[ecmp_owner(&set->layout, b, alive)]++;
}

static uint64_t all(const struct set *set)
{
	return UINT64_MAX >> (64 - set->layout.n);
}

/* Each has its exact share, rounded up or down, and at least one bucket. */
static void assert_exact(const struct set *set)
{
	uint32_t owned[PR_NEXTHOPS_MAX], sum = 0;

	for (unsigned k = 0; k < set->layout.n; k++)
		sum += set->member[k].weight;
	count(set, all(set), owned);
	for (unsigned k = 0; k < set->layout.n; k++) {
		double share = (double)set->layout.buckets * set->member[k].weight / sum;

		assert_true(owned[k] > share - 1 && owned[k] < share + 1);
		assert_true(owned[k] > 0);
	}
}

static uint16_t rising(unsigned k)
{
	return (uint16_t)(1 + 4 * k);
}

static uint16_t uneven(unsigned k)
{
	return k ? 256 : 1;
}

static uint16_t heavy(unsigned k)
{
	(void)k;
	return 256;
}

static struct set one, two, three;

static void shares_are_exact(void **state)
{
	uint16_t (*const weights[])(unsigned) = {NULL, rising, uneven, heavy};

	(void)state;
	for (unsigned n = 1; n <= PR_NEXTHOPS_MAX; n++)
		for (unsigned w = 0; w < 4; w++) {
			set_make(&one, n, weights[w]);
			assert_true(one.layout.buckets >= ECMP_BUCKETS_MIN &&
			            one.layout.buckets <= ECMP_BUCKETS_MAX);
			ecmp_fill(&one.layout);
			assert_exact(&one);
		}
	/* Many only where somebody has very little. */
	set_make(&one, PR_NEXTHOPS_MAX, heavy);
	assert_int_equal(one.layout.buckets, ECMP_BUCKETS_MIN);
	set_make(&one, PR_NEXTHOPS_MAX, uneven);
	assert_int_equal(one.layout.buckets, ECMP_BUCKETS_MAX);
}

/* The same members give the same layout, whatever was there before them. */
static void layout_is_a_function_of_the_members(void **state)
{
	uint32_t sum = 0;

	(void)state;
	set_make(&one, 9, rising);
	ecmp_fill(&one.layout);
	set_make(&two, 9, rising);
	memset(two.home, 0x77, sizeof(two.home));
	ecmp_fill(&two.layout);
	assert_memory_equal(one.home, two.home, one.layout.buckets);
	/* And of the code: flows stay over an update of podrail. */
	for (uint32_t b = 0; b < one.layout.buckets; b++)
		sum = sum * 31 + one.home[b];
	assert_int_equal(sum, 0x43f410a7);
}

/* Members leave and return at random. A model of who owned what says what may move. */
static void leaving_and_returning(void **state)
{
	static uint8_t owner[ECMP_BUCKETS_MAX];

	(void)state;
	srandom(20261124);
	for (unsigned n = 2; n <= PR_NEXTHOPS_MAX; n = n * 2 - (n == 2)) {
		uint64_t alive;

		set_make(&one, n, rising);
		ecmp_fill(&one.layout);
		alive = all(&one);
		memcpy(owner, one.home, one.layout.buckets);
		for (unsigned step = 0; step < 200; step++) {
			unsigned k = (unsigned)random() % n;
			uint64_t now = alive ^ UINT64_C(1) << k;
			bool leaves = alive >> k & 1;

			for (uint32_t b = 0; b < one.layout.buckets; b++) {
				uint8_t new = (uint8_t)ecmp_owner(&one.layout, b, now);

				if (!now)
					assert_int_equal(new, one.home[b]);
				else
					assert_true(now >> new & 1);
				/* Only its own go, and it takes only for itself. */
				if (new != owner[b] && now && alive)
					assert_int_equal(leaves ? owner[b] : new, k);
				owner[b] = new;
			}
			alive = now;
		}
		/* In whatever order they came back. */
		for (uint32_t b = 0; b < one.layout.buckets; b++)
			assert_int_equal(ecmp_owner(&one.layout, b, all(&one)), one.home[b]);
	}
}

/* What the gone ones had is spread over the others by weight. */
static void what_is_left_is_shared_by_weight(void **state)
{
	uint32_t owned[PR_NEXTHOPS_MAX], had[PR_NEXTHOPS_MAX], gone;
	double deviation = 0;

	(void)state;
	set_make(&one, 16, heavy);
	for (unsigned k = 0; k < 16; k++)
		one.member[k].weight = (uint16_t)(k % 2 ? 192 : 64);
	one.layout.buckets = ECMP_BUCKETS_MAX;
	ecmp_fill(&one.layout);
	count(&one, all(&one), had);
	gone = had[0] + had[1] + had[2] + had[3];
	count(&one, all(&one) & ~UINT64_C(15), owned);
	for (unsigned k = 4; k < 16; k++) {
		double wanted = (double)gone * one.member[k].weight / (6 * 192 + 6 * 64);
		double d = (double)owned[k] - had[k] - wanted;

		deviation += d * d / wanted;
	}
	/* Chi-square of 11 degrees of freedom: 31.3 in one of a thousand. */
	assert_true(deviation < 31.3);
}

/* How many buckets must move: what each loses of its share. */
static uint32_t least_moves(const struct set *old, const struct set *new)
{
	uint32_t before[PR_NEXTHOPS_MAX], after[PR_NEXTHOPS_MAX], times, moves = 0;

	times = new->layout.buckets / old->layout.buckets;
	count(old, all(old), before);
	count(new, all(new), after);
	for (unsigned o = 0; o < old->layout.n; o++) {
		uint32_t keeps = 0;

		for (unsigned k = 0; k < new->layout.n; k++)
			if (new->member[k].id == old->member[o].id)
				keeps = after[k];
		if (before[o] * times > keeps)
			moves += before[o] * times - keeps;
	}
	return moves;
}

static uint32_t moves(const struct set *old, const struct set *new)
{
	uint32_t n = 0;

	for (uint32_t b = 0; b < new->layout.buckets; b++)
		n += old->member[old->home[b & (old->layout.buckets - 1)]].id !=
		     new->member[new->home[b]].id;
	return n;
}

static void change_at_random(struct set *to, const struct set *from)
{
	unsigned n = 0;

	for (unsigned k = 0; k < from->layout.n; k++) {
		if (random() % 8 == 0 && from->layout.n > 1)
			continue;
		to->member[n] = from->member[k];
		if (random() % 8 == 0)
			to->member[n].weight = (uint16_t)(1 + random() % (random() % 4 ? 8 : 256));
		n++;
	}
	if (!n || (random() % 2 && n < PR_NEXTHOPS_MAX)) {
		to->member[n].id = (uint64_t)random() << 32 | (uint64_t)random();
		to->member[n++].weight = (uint16_t)(1 + random() % 16);
	}
	to->layout = (struct ecmp_layout){ecmp_buckets(to->member, n), n, to->member, to->home};
	if (to->layout.buckets < from->layout.buckets)
		to->layout.buckets = from->layout.buckets;
}

static void changes_move_the_least(void **state)
{
	struct set *old = &one, *new = &two, *swap;
	uint64_t strayed = 0, buckets = 0;

	(void)state;
	srandom(4711);
	set_make(old, 8, NULL);
	ecmp_fill(&old->layout);
	for (unsigned step = 0; step < 400; step++) {
		change_at_random(new, old);
		ecmp_fill_from(&new->layout, &old->layout);
		assert_exact(new);
		assert_int_equal(moves(old, new), least_moves(old, new));
		/* How far it is from what a restart makes of the members. */
		memcpy(three.member, new->member, sizeof(three.member));
		three.layout = new->layout;
		three.layout.member = three.member;
		three.layout.home = three.home;
		ecmp_fill(&three.layout);
		strayed += moves(new, &three);
		buckets += new->layout.buckets;
		swap = old;
		old = new;
		new = swap;
	}
	assert_true(strayed * 5 < buckets);
}

/* Layouts that have nothing to do with each other but their members are close, too. */
static void close_sets_have_close_layouts(void **state)
{
	(void)state;
	set_make(&one, 8, NULL);
	ecmp_fill(&one.layout);
	set_make(&two, 9, NULL);
	ecmp_fill(&two.layout);
	assert_true(moves(&one, &two) < least_moves(&one, &two) + ECMP_BUCKETS_MIN / 8);
}

/* ---- the hash ---- */

#define SEED 0x5eed1234

static void packet4(uint8_t ip[60], uint16_t source_port)
{
	static const uint8_t sample[] = {0x45, 0, 0, 60, 0x12, 0x34, 0, 0, 64, 17, 0, 0, 198, 18, 1,
	        2, 192, 0, 2, 7, 0, 0, 0x12, 0xb5};

	memset(ip, 0, 60);
	memcpy(ip, sample, sizeof(sample));
	ip[20] = (uint8_t)(source_port >> 8);
	ip[21] = (uint8_t)source_port;
}

static void fragments_stay_together(void **state)
{
	uint8_t ip[60], first[60], later[60];

	(void)state;
	packet4(ip, 1000);
	packet4(first, 1000);
	packet4(later, 2000);
	first[6] = 0x20; /* more fragments */
	later[7] = 100;  /* an offset; what stands where ports are is payload */
	assert_int_equal(ecmp_hash4(first, 60, SEED), ecmp_hash4(later, 60, SEED));
	assert_int_equal(ecmp_hash4(first, 60, SEED), ecmp_hash4(first, 20, SEED));
	assert_int_not_equal(ecmp_hash4(ip, 60, SEED), ecmp_hash4(first, 60, SEED));
	packet4(first, 1000);
	first[6] = 0x40; /* DF is no fragment */
	assert_int_equal(ecmp_hash4(ip, 60, SEED), ecmp_hash4(first, 60, SEED));
	first[8] = 1; /* nor is what changes from packet to packet part of a flow */
	first[4] = 0x99;
	assert_int_equal(ecmp_hash4(ip, 60, SEED), ecmp_hash4(first, 60, SEED));
	packet4(first, 1000);
	first[9] = 6;
	assert_int_not_equal(ecmp_hash4(ip, 60, SEED), ecmp_hash4(first, 60, SEED));
}

static void fragments6_stay_together(void **state)
{
	uint8_t ip[60] = {0x60, [6] = 17, 64, 0x20, 1, [24] = 0x20, 1, [41] = 7, [43] = 9},
	        other[60];

	(void)state;
	memcpy(other, ip, sizeof(other));
	/* Linux takes another flow label when it sends again. */
	other[1] = 0x0f;
	other[3] = 0xaa;
	assert_int_equal(ecmp_hash6(ip, 60, SEED), ecmp_hash6(other, 60, SEED));
	other[41] = 8;
	assert_int_not_equal(ecmp_hash6(ip, 60, SEED), ecmp_hash6(other, 60, SEED));
	ip[6] = other[6] = 44;
	assert_int_equal(ecmp_hash6(ip, 60, SEED), ecmp_hash6(other, 60, SEED));
	assert_int_equal(ecmp_hash6(ip, 60, SEED), ecmp_hash6(ip, 40, SEED));
}

/* Flows spread over buckets, over the queues of one bucket's receiver, and over the members of the
 * next router, which has another seed: no two of the three know of each other. */
static void flows_spread_independently(void **state)
{
	enum { FLOWS = 1 << 16, WAYS = 8 };
	static uint32_t queue[WAYS][WAYS], router[WAYS][WAYS];
	double expected = (double)FLOWS / WAYS / WAYS, q = 0, r = 0;

	(void)state;
	for (unsigned flow = 0; flow < FLOWS; flow++) {
		uint8_t ip[60];
		unsigned bucket;

		packet4(ip, (uint16_t)flow);
		bucket = ecmp_hash4(ip, 60, SEED) & (ECMP_BUCKETS_MIN - 1);
		queue[bucket % WAYS][flow_queue(flow_hash4(ip, 60), WAYS)]++;
		router[bucket % WAYS][ecmp_hash4(ip, 60, SEED + 1) % WAYS]++;
	}
	for (unsigned a = 0; a < WAYS; a++)
		for (unsigned b = 0; b < WAYS; b++) {
			q += (queue[a][b] - expected) * (queue[a][b] - expected) / expected;
			r += (router[a][b] - expected) * (router[a][b] - expected) / expected;
		}
	/* Chi-square of 63 degrees of freedom: 103.4 in one of a thousand. */
	assert_true(q < 103.4);
	assert_true(r < 103.4);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(shares_are_exact),
	        cmocka_unit_test(layout_is_a_function_of_the_members),
	        cmocka_unit_test(leaving_and_returning),
	        cmocka_unit_test(what_is_left_is_shared_by_weight),
	        cmocka_unit_test(changes_move_the_least),
	        cmocka_unit_test(close_sets_have_close_layouts),
	        cmocka_unit_test(fragments_stay_together),
	        cmocka_unit_test(fragments6_stay_together),
	        cmocka_unit_test(flows_spread_independently),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
