/* SPDX-License-Identifier: BSD-3-Clause */
/* The multicast table against a naive model, full to the brim, and read while it changes. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "dataplane/table/mdb.h"

#define GROUPS  24 /* that are asked for */
#define PORTS   12
#define ROOM    16 /* groups that the table takes */
#define MEMBERS 100
#define LIMIT   9

/* ---- what is retired waits a while, as behind a grace period ---- */

struct waiting {
	table_free_fn fn;
	void *owner;
	uint32_t index;
};

static struct waiting queue[4096];
static unsigned n_queue;

static void retire(void *ctx, table_free_fn fn, void *owner, uint32_t index)
{
	(void)ctx;
	assert_true(n_queue < sizeof(queue) / sizeof(queue[0]));
	queue[n_queue++] = (struct waiting){fn, owner, index};
}

static void grace(void)
{
	for (unsigned n = 0; n < n_queue; n++)
		queue[n].fn(queue[n].owner, queue[n].index);
	n_queue = 0;
}

static uint32_t random_state = 1;

static uint32_t rnd(uint32_t n)
{
	random_state = random_state * 1664525 + 1013904223;
	return (random_state >> 8) % n;
}

/* ---- the model ---- */

static uint64_t model[GROUPS][PORTS]; /* expires, 0: no member */

static unsigned model_members(void)
{
	unsigned n = 0;

	for (unsigned g = 0; g < GROUPS; g++)
		for (unsigned p = 0; p < PORTS; p++)
			n += model[g][p] != 0;
	return n;
}

static bool model_has(unsigned g)
{
	for (unsigned p = 0; p < PORTS; p++)
		if (model[g][p])
			return true;
	return false;
}

static unsigned model_groups(void)
{
	unsigned n = 0;

	for (unsigned g = 0; g < GROUPS; g++)
		n += model_has(g);
	return n;
}

static unsigned model_of_port(unsigned p)
{
	unsigned n = 0;

	for (unsigned g = 0; g < GROUPS; g++)
		n += model[g][p] != 0;
	return n;
}

/* Both families, two segments; some differ in one byte only. */
static struct mdb_key key_of(unsigned g)
{
	uint8_t v6[16] = {0xff, 0x05, [15] = (uint8_t)(g / 4)};
	uint8_t v4[4] = {239, 1, 1, (uint8_t)(g / 4)};

	return g & 1 ? mdb_key6((uint16_t)(1 + (g >> 1 & 1)), v6)
	             : mdb_key4((uint16_t)(1 + (g >> 1 & 1)), v4);
}

static void compare(struct mdb *mdb)
{
	for (unsigned g = 0; g < GROUPS; g++) {
		struct mdb_key key = key_of(g);
		const struct members *list = mdb_find(mdb, &key);
		unsigned at = 0;

		assert_int_equal(list != NULL, model_has(g));
		for (unsigned p = 0; p < PORTS; p++) {
			if (!model[g][p])
				continue;
			assert_true(at < list->n);
			assert_int_equal(list->member[at].port, p);
			assert_int_equal(list->member[at++].tag, 100 + p);
		}
		if (list)
			assert_int_equal(at, list->n);
	}
	assert_int_equal(mdb->n_members, model_members());
	assert_int_equal(mdb->n_groups, model_groups());
	for (unsigned p = 0; p < PORTS; p++)
		assert_int_equal(mdb->port_groups[p], model_of_port(p));
}

static void compare_walk(struct mdb *mdb)
{
	uint32_t cursor = 0, all = 0;

	while (cursor != MDB_NONE) {
		struct mdb_entry part[7];
		uint32_t n = mdb_walk(mdb, &cursor, part, 7);

		for (uint32_t k = 0; k < n; k++, all++) {
			struct mdb_key key = mdb_key_of(part[k].segment, &part[k].group);
			unsigned g = 0;

			for (; g < GROUPS; g++) {
				struct mdb_key one = key_of(g);

				if (mdb_key_equal(&key, &one))
					break;
			}
			assert_true(g < GROUPS);
			assert_int_equal(model[g][part[k].port], part[k].expires);
			assert_int_equal(part[k].version, 1 + part[k].port % 3);
		}
	}
	assert_int_equal(all, model_members());
}

static void join(struct mdb *mdb, unsigned g, unsigned p, uint64_t expires)
{
	struct mdb_key key = key_of(g);
	int wanted = 1, rc;

	if (model[g][p])
		wanted = 0;
	else if (model_of_port(p) >= LIMIT)
		wanted = -EDQUOT;
	else if (model_members() == MEMBERS)
		wanted = -ENOSPC;
	else if (!model_has(g) && model_groups() == ROOM)
		wanted = -ENOSPC;
	rc = mdb_join(
	        mdb, &key, (uint16_t)p, (uint16_t)(100 + p), (uint8_t)(1 + p % 3), expires, LIMIT);
	/* A group that was just retired is not free before the grace period. */
	if (rc == -ENOSPC && wanted == 1 && n_queue) {
		grace();
		rc = mdb_join(mdb, &key, (uint16_t)p, (uint16_t)(100 + p), (uint8_t)(1 + p % 3),
		        expires, LIMIT);
	}
	assert_int_equal(rc, wanted);
	if (rc >= 0)
		model[g][p] = expires;
}

static void lower(struct mdb *mdb, unsigned g, unsigned p, uint64_t expires)
{
	struct mdb_key key = key_of(g);
	bool any = false;

	for (unsigned k = 0; k < PORTS; k++) {
		if ((p != MDB_NO_PORT && k != p) || model[g][k] <= expires)
			continue;
		model[g][k] = expires;
		any = true;
	}
	assert_int_equal(mdb_lower(mdb, &key, (uint16_t)p, expires), any);
}

static void age(struct mdb *mdb, uint64_t now)
{
	unsigned gone = 0;

	for (unsigned g = 0; g < GROUPS; g++)
		for (unsigned p = 0; p < PORTS; p++)
			if (model[g][p] && model[g][p] <= now) {
				model[g][p] = 0;
				gone++;
			}
	assert_int_equal(mdb_age(mdb, now, UINT32_MAX), gone);
}

static void test_model(void **state)
{
	struct mdb *mdb = mdb_create(NULL, ROOM, MEMBERS, 77, retire, NULL, NULL);
	uint64_t now = 1;

	(void)state;
	memset(model, 0, sizeof(model));
	for (unsigned step = 0; step < 40000; step++) {
		unsigned g = rnd(GROUPS), p = rnd(PORTS), what = rnd(100);
		struct mdb_key key = key_of(g);

		if (what < 60) {
			join(mdb, g, p, now + 1 + rnd(400));
		} else if (what < 75) {
			assert_int_equal(mdb_leave(mdb, &key, (uint16_t)p), model[g][p] != 0);
			model[g][p] = 0;
		} else if (what < 85) {
			lower(mdb, g, rnd(2) ? p : MDB_NO_PORT, now + rnd(20));
		} else if (what < 98) {
			now += rnd(8);
			age(mdb, now);
		} else {
			assert_int_equal(mdb_port_gone(mdb, (uint16_t)p), model_of_port(p));
			for (unsigned k = 0; k < GROUPS; k++)
				model[k][p] = 0;
		}
		if (n_queue > 2000 || rnd(50) == 0)
			grace();
		if (step % 16 == 0)
			compare(mdb);
		if (step % 500 == 0)
			compare_walk(mdb);
	}
	grace();
	mdb_destroy(mdb);
}

/* Ageing in small slices ends all the same. */
static void test_slices(void **state)
{
	struct mdb *mdb = mdb_create(NULL, ROOM, MEMBERS, 5, retire, NULL, NULL);
	uint32_t gone = 0;

	(void)state;
	memset(model, 0, sizeof(model));
	for (unsigned n = 0; n < 60; n++)
		join(mdb, n % 8, n % PORTS, n < 30 ? 10 : 1000);
	for (unsigned n = 0; n < MEMBERS; n += 3)
		gone += mdb_age(mdb, 10, 3);
	for (unsigned g = 0; g < GROUPS; g++)
		for (unsigned p = 0; p < PORTS; p++)
			if (model[g][p] == 10) {
				model[g][p] = 0;
				gone--;
			}
	assert_int_equal(gone, 0);
	compare(mdb);
	grace();
	mdb_destroy(mdb);
}

static void test_full(void **state)
{
	struct mdb *mdb = mdb_create(NULL, 4, 6, 9, retire, NULL, NULL);
	struct mdb_key key;

	(void)state;
	for (unsigned g = 0; g < 4; g++) {
		key = key_of(g);
		assert_int_equal(mdb_join(mdb, &key, 1, 0, 2, 10, 100), 1);
	}
	key = key_of(9);
	assert_int_equal(mdb_join(mdb, &key, 1, 0, 2, 10, 100), -ENOSPC);
	assert_int_equal(mdb_join(mdb, &key, 1, 0, 2, 10, 4), -EDQUOT);
	assert_null(mdb_find(mdb, &key));
	key = key_of(0);
	assert_int_equal(mdb_join(mdb, &key, 2, 0, 2, 10, 100), 1);
	assert_int_equal(mdb_join(mdb, &key, 3, 0, 2, 10, 100), 1);
	assert_int_equal(mdb_join(mdb, &key, 4, 0, 2, 10, 100), -ENOSPC);
	assert_int_equal(mdb_join(mdb, &key, 3, 0, 2, 20, 1), 0); /* known: no limit */
	/* Room comes back behind the grace period. */
	key = key_of(1);
	assert_true(mdb_leave(mdb, &key, 1));
	key = key_of(9);
	assert_int_equal(mdb_join(mdb, &key, 1, 0, 2, 10, 100), -ENOSPC);
	grace();
	assert_int_equal(mdb_join(mdb, &key, 1, 0, 2, 10, 100), 1);
	grace();
	mdb_destroy(mdb);
	assert_null(mdb_create(NULL, 0, 1, 0, retire, NULL, NULL));
	assert_int_equal(errno, EINVAL);
}

static void free_now(void *ctx, table_free_fn fn, void *owner, uint32_t index)
{
	(void)ctx;
	fn(owner, index);
}

/* A port in more groups than 16 bits count: its limit holds, and it takes all of them along. */
static void test_many_groups(void **state)
{
	const uint32_t limit = UINT16_MAX + 2;
	struct mdb *mdb = mdb_create(NULL, 1u << 17, 1u << 17, 6, free_now, NULL, NULL);

	(void)state;
	for (uint32_t n = 0; n <= limit; n++) {
		uint8_t group[4] = {239, (uint8_t)(n >> 16), (uint8_t)(n >> 8), (uint8_t)n};
		struct mdb_key key = mdb_key4(1, group);

		assert_int_equal(mdb_join(mdb, &key, 3, 0, 2, 10, limit), n < limit ? 1 : -EDQUOT);
	}
	assert_int_equal(mdb->port_groups[3], limit);
	assert_int_equal(mdb_port_gone(mdb, 3), limit);
	assert_int_equal(mdb->n_members, 0);
	assert_int_equal(mdb->port_groups[3], 0);
	mdb_destroy(mdb);
}

/* Groups that follow one another, as applications number them, spread over the chains: as many as
 * groups, of which none at random would have 17 in 10^9 such tables. */
static void test_spread(void **state)
{
	enum { MANY = 4096 };
	static unsigned in_chain[MANY];

	(void)state;
	for (unsigned round = 0; round < 64; round++) {
		uint64_t seed =
		        (uint64_t)rnd(1 << 24) << 40 ^ (uint64_t)rnd(1 << 24) << 20 ^ rnd(1 << 24);
		struct mdb *mdb = mdb_create(NULL, MANY, MANY, seed, free_now, NULL, NULL);
		unsigned at = round / 2 % 8; /* which bytes count, from the end */
		unsigned longest = 0;

		memset(in_chain, 0, sizeof(in_chain));
		for (unsigned n = 0; n < MANY; n++) {
			uint8_t v6[16] = {0xff, 0x05}, v4[4] = {239, 1};
			uint8_t *low = round & 1 ? &v6[15 - at] : &v4[3];
			struct mdb_key key;

			low[0] = (uint8_t)n;
			low[-1] = (uint8_t)(n >> 8);
			key = round & 1 ? mdb_key6(1, v6) : mdb_key4(1, v4);
			if (++in_chain[mdb_hash(mdb, &key)] > longest)
				longest = in_chain[mdb_hash(mdb, &key)];
		}
		assert_true(longest <= 16);
		mdb_destroy(mdb);
	}
}

/* ---- a reader beside the writer ---- */

static _Atomic uint64_t quiet; /* the reader's turns */
static _Atomic bool stop;

static void *reader(void *arg)
{
	const struct mdb *mdb = arg;

	while (!atomic_load(&stop)) {
		for (unsigned g = 0; g < GROUPS; g++) {
			struct mdb_key key = key_of(g);
			const struct members *list = mdb_find(mdb, &key);

			for (unsigned n = 0; list && n < list->n; n++)
				if (list->member[n].tag != 100 + list->member[n].port ||
				        (n && list->member[n - 1].port >= list->member[n].port))
					abort();
			/* Port 0 is always a member of group 0. */
			if (!g && (!list || list->member[0].port))
				abort();
		}
		atomic_fetch_add(&quiet, 1);
	}
	return NULL;
}

static void test_reader(void **state)
{
	struct mdb *mdb = mdb_create(NULL, ROOM, MEMBERS, 3, retire, NULL, NULL);
	pthread_t thread;

	(void)state;
	memset(model, 0, sizeof(model));
	join(mdb, 0, 0, 1000);
	atomic_store(&stop, false);
	assert_int_equal(pthread_create(&thread, NULL, reader, mdb), 0);
	for (unsigned round = 0; round < 300; round++) {
		uint64_t since;

		for (unsigned n = 0; n < 100; n++) {
			unsigned g = rnd(GROUPS), p = 1 + rnd(PORTS - 1);
			struct mdb_key key = key_of(g);

			if (rnd(2))
				mdb_join(
				        mdb, &key, (uint16_t)p, (uint16_t)(100 + p), 1, 1000, 1000);
			else
				mdb_leave(mdb, &key, (uint16_t)p);
		}
		since = atomic_load(&quiet);
		while (atomic_load(&quiet) < since + 2)
			sched_yield();
		grace();
	}
	atomic_store(&stop, true);
	pthread_join(thread, NULL);
	grace();
	mdb_destroy(mdb);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(test_model),
	        cmocka_unit_test(test_slices),
	        cmocka_unit_test(test_full),
	        cmocka_unit_test(test_many_groups),
	        cmocka_unit_test(test_spread),
	        cmocka_unit_test(test_reader),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
