/* SPDX-License-Identifier: BSD-3-Clause */
/* fib4 against a list that is searched from end to end, at its limits, and under readers. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "dataplane/table/fib4.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#define MODEL_MAX 512

static uint64_t random_state = 0x243f6a8885a308d3;

static uint32_t rnd(void)
{
	random_state ^= random_state << 13;
	random_state ^= random_state >> 7;
	random_state ^= random_state << 17;
	return (uint32_t)(random_state >> 16);
}

static uint32_t mask_of(unsigned len)
{
	return len ? UINT32_MAX << (32 - len) : 0;
}

/* A grace period that ends when the test says so. */
struct grace {
	struct {
		table_free_fn free_fn;
		void *owner;
		uint32_t index;
	} wait[4096];
	unsigned n;
};

static void grace_retire(void *ctx, table_free_fn free_fn, void *owner, uint32_t index)
{
	struct grace *grace = ctx;

	assert_true(grace->n < 4096);
	grace->wait[grace->n].free_fn = free_fn;
	grace->wait[grace->n].owner = owner;
	grace->wait[grace->n++].index = index;
}

static void grace_end(struct grace *grace)
{
	for (unsigned i = 0; i < grace->n; i++)
		grace->wait[i].free_fn(grace->wait[i].owner, grace->wait[i].index);
	grace->n = 0;
}

struct model {
	struct fib4_route route[MODEL_MAX];
	unsigned n;
};

static struct fib4_route *model_find(struct model *m, uint32_t addr, uint8_t len)
{
	for (unsigned i = 0; i < m->n; i++)
		if (m->route[i].addr == addr && m->route[i].len == len)
			return &m->route[i];
	return NULL;
}

static const struct fib4_route *model_match(const struct model *m, uint32_t addr)
{
	const struct fib4_route *best = NULL;

	for (unsigned i = 0; i < m->n; i++) {
		const struct fib4_route *r = &m->route[i];

		if ((addr & mask_of(r->len)) == r->addr && (!best || r->len > best->len))
			best = r;
	}
	return best;
}

static uint32_t model_lookup(const struct model *m, uint32_t addr)
{
	const struct fib4_route *best = model_match(m, addr);

	return best ? best->nexthop : 0;
}

static int route_order(const void *a, const void *b)
{
	const struct fib4_route *x = a, *y = b;

	if (x->addr != y->addr)
		return x->addr < y->addr ? -1 : 1;
	return x->len - y->len;
}

static void check_addr(struct fib4 *fib, struct model *m, uint32_t addr)
{
	struct fib4_route route;
	const struct fib4_route *want = model_match(m, addr);

	assert_int_equal(fib4_lookup(fib, addr), model_lookup(m, addr));
	assert_int_equal(fib4_match(fib, addr, &route), want ? 0 : -ENOENT);
	if (want)
		assert_memory_equal(&route, want, sizeof(route));
}

static void check_list(struct fib4 *fib, struct model *m)
{
	static struct fib4_route got[MODEL_MAX + 64];
	unsigned n = 0, page, more;

	do {
		page = 1 + rnd() % 64;
		more = fib4_list(fib, n ? &got[n - 1] : NULL, &got[n], page);
		n += more;
		assert_true(n <= m->n);
	} while (more == page);
	assert_int_equal(n, m->n);
	qsort(m->route, m->n, sizeof(m->route[0]), route_order);
	assert_memory_equal(got, m->route, n * sizeof(got[0]));
}

static void check_bulk(struct fib4 *fib, struct model *m, uint32_t spread)
{
	uint32_t addr[FIB4_BULK_MAX] = {0}, nexthop[FIB4_BULK_MAX];
	unsigned n = rnd() % (FIB4_BULK_MAX + 1);

	for (unsigned i = 0; i < n; i++)
		addr[i] = m->n ? m->route[rnd() % m->n].addr ^ (rnd() & spread & rnd()) : rnd();
	fib4_lookup_bulk(fib, addr, nexthop, n);
	for (unsigned i = 0; i < n; i++)
		assert_int_equal(nexthop[i], model_lookup(m, addr[i]));
}

/* One random change, with the same done to the model; returns what fib4 said. */
static int change(struct fib4 *fib, struct model *m, uint32_t spread)
{
	uint8_t len = (uint8_t)(rnd() % 33);
	uint32_t addr = (0xc6120000 ^ (rnd() & spread)) & mask_of(len);
	struct fib4_route *known;
	uint16_t owner = (uint16_t)rnd();
	uint32_t nexthop = 1 + rnd() % FIB4_NEXTHOP_MAX;
	int rc;

	if (m->n && (rnd() % 3 == 0 || m->n == MODEL_MAX)) {
		addr = m->route[rnd() % m->n].addr;
		len = m->route[rnd() % m->n].len;
		addr &= mask_of(len);
	}
	known = model_find(m, addr, len);
	if (rnd() % 2 || (!known && m->n == MODEL_MAX)) {
		rc = fib4_del(fib, addr, len);
		assert_int_equal(rc, known ? 0 : -ENOENT);
		if (known)
			*known = m->route[--m->n];
	} else {
		rc = fib4_add(fib, addr, len, nexthop, owner);
		if (!rc && !known) {
			known = &m->route[m->n++];
			*known = (struct fib4_route){.addr = addr, .len = len};
		}
		if (!rc) {
			known->nexthop = nexthop;
			known->owner = owner;
			known->mark = (uint8_t)(known->mark + 1);
			assert_int_equal(fib4_set_mark(fib, addr, len, known->mark), 0);
		}
	}
	check_addr(fib, m, addr);
	check_addr(fib, m, addr - 1);
	check_addr(fib, m, addr | ~mask_of(len));
	check_addr(fib, m, (addr | ~mask_of(len)) + 1);
	check_addr(fib, m, addr | (rnd() & ~mask_of(len)));
	return rc;
}

static void run_random(uint32_t spread, uint32_t max_nodes, uint32_t max_routes, int expect_full)
{
	static struct grace grace;
	static struct model model[2];
	struct fib4_pool *pool =
	        fib4_pool_create(NULL, max_nodes, max_routes, grace_retire, &grace);
	struct fib4 *fib[2] = {fib4_create(pool, 7), fib4_create(pool, 0xffff)};
	struct fib4_pool_stats stats, before;
	unsigned full = 0;

	memset(model, 0, sizeof(model));
	for (unsigned i = 0; i < 12000; i++) {
		unsigned which = rnd() % 2;

		fib4_pool_stats(pool, &before);
		if (change(fib[which], &model[which], spread) == -ENOSPC) {
			full++;
			fib4_pool_stats(pool, &stats);
			assert_memory_equal(&stats, &before, sizeof(stats));
		}
		if (i % 16 == 0)
			check_bulk(fib[which], &model[which], spread);
		if (i % 256 == 0 || (full && full < 50))
			check_list(fib[which], &model[which]);
		if (rnd() % 8 == 0)
			grace_end(&grace);
	}
	assert_true(!full == !expect_full);
	fib4_pool_stats(pool, &stats);
	assert_int_equal(stats.routes, model[0].n + model[1].n);
	assert_true(stats.routes > 0);
	assert_int_equal(fib4_clear(fib[0], UINT32_MAX), model[0].n);
	model[0].n = 0;
	for (unsigned i = 0; i < 1000; i++) {
		check_addr(fib[0], &model[0], 0xc6120000 ^ (rnd() & spread));
		check_addr(fib[1], &model[1], 0xc6120000 ^ (rnd() & spread));
	}
	fib4_destroy(fib[0]);
	fib4_destroy(fib[1]);
	grace_end(&grace);
	fib4_pool_stats(pool, &stats);
	assert_int_equal(stats.routes, 0);
	assert_int_equal(stats.nodes_free, max_nodes);
	assert_int_equal(stats.nodes_retired, 0);
	fib4_pool_destroy(pool);
}

static void test_random_sparse(void **state)
{
	(void)state;
	run_random(0xffffffff, 2048, 1024, 0);
}

static void test_random_dense(void **state)
{
	(void)state;
	run_random(0x00010307, 2048, 1024, 0);
	run_random(0x0000ffff, 2048, 1024, 0);
}

static void test_random_few_nodes(void **state)
{
	(void)state;
	run_random(0xffffffff, 8, 1024, 1);
	run_random(0x00010307, 5, 1024, 1);
}

static void test_random_few_routes(void **state)
{
	(void)state;
	run_random(0x000fffff, 2048, 20, 1);
}

static void test_bad_arguments(void **state)
{
	struct fib4_pool *pool = fib4_pool_create(NULL, 4, 4, NULL, NULL);
	struct fib4 *fib = fib4_create(pool, 1);

	(void)state;
	assert_int_equal(fib4_add(fib, 0, 33, 1, 0), -EINVAL);
	assert_int_equal(fib4_add(fib, 1, 31, 1, 0), -EINVAL);
	assert_int_equal(fib4_add(fib, 1, 0, 1, 0), -EINVAL);
	assert_int_equal(fib4_add(fib, 0, 8, 0, 0), -EINVAL);
	assert_int_equal(fib4_add(fib, 0, 8, FIB4_NEXTHOP_MAX + 1, 0), -EINVAL);
	assert_int_equal(fib4_del(fib, 1, 24), -EINVAL);
	assert_int_equal(fib4_get(fib, 0, 33, NULL), -EINVAL);
	assert_int_equal(fib4_get(fib, 0, 0, NULL), -ENOENT);
	assert_int_equal(fib4_set_mark(fib, 0, 0, 1), -ENOENT);
	assert_int_equal(fib4_add(fib, 0xffffffff, 32, FIB4_NEXTHOP_MAX, 1), 0);
	assert_int_equal(fib4_lookup(fib, 0xffffffff), FIB4_NEXTHOP_MAX);
	assert_int_equal(fib4_lookup(fib, 0xfffffffe), 0);
	fib4_destroy(fib);
	fib4_pool_destroy(pool);
	errno = 0;
	assert_null(fib4_pool_create(NULL, 0, 1, NULL, NULL));
	assert_int_equal(errno, EINVAL);
	fib4_pool_destroy(NULL);
	fib4_destroy(NULL);
}

/* Readers look up while the writer links, unlinks and reuses the nodes that they pass through. */
#define READERS 2
#define COVERED 0xc6120a05u

struct race {
	struct fib4 *fib;
	uint32_t stop;
	uint32_t wrong;
	uint64_t rounds[READERS]; /* quiescent states, written by the reader */
};

struct reader {
	struct race *race;
	unsigned index;
};

static void *race_reader(void *arg)
{
	struct reader *reader = arg;
	struct race *race = reader->race;
	uint32_t addr[8] = {COVERED, COVERED ^ 1, COVERED ^ 0x100, COVERED ^ 0x10000, COVERED,
	        COVERED, COVERED ^ 2, COVERED ^ 0x8000};
	uint32_t nexthop[8];

	while (!__atomic_load_n(&race->stop, __ATOMIC_RELAXED)) {
		uint32_t one = fib4_lookup(race->fib, COVERED);
		int ok = one >= 1 && one <= 4;

		fib4_lookup_bulk(race->fib, addr, nexthop, 8);
		for (unsigned i = 0; i < 8; i++)
			ok &= nexthop[i] >= 1 && nexthop[i] <= 4;
		/* No prefix but the /8 ever covers this one. */
		ok &= nexthop[3] == 1;
		if (!ok)
			__atomic_fetch_add(&race->wrong, 1, __ATOMIC_RELAXED);
		__atomic_fetch_add(&race->rounds[reader->index], 1, __ATOMIC_RELEASE);
	}
	return NULL;
}

static void race_grace(struct race *race, struct grace *grace)
{
	for (unsigned i = 0; i < READERS; i++) {
		uint64_t start = __atomic_load_n(&race->rounds[i], __ATOMIC_SEQ_CST);

		while (__atomic_load_n(&race->rounds[i], __ATOMIC_ACQUIRE) < start + 2)
			sched_yield();
	}
	grace_end(grace);
}

static void test_readers(void **state)
{
	static struct grace grace;
	static struct race race;
	struct fib4_pool *pool = fib4_pool_create(NULL, 8, 64, grace_retire, &grace);
	struct fib4 *other = fib4_create(pool, 2);
	struct reader reader[READERS];
	pthread_t thread[READERS];

	(void)state;
	race.fib = fib4_create(pool, 1);
	assert_int_equal(fib4_add(race.fib, COVERED & mask_of(8), 8, 1, 0), 0);
	for (unsigned i = 0; i < READERS; i++) {
		reader[i] = (struct reader){.race = &race, .index = i};
		assert_int_equal(pthread_create(&thread[i], NULL, race_reader, &reader[i]), 0);
	}
	for (unsigned i = 0; i < 3000; i++) {
		/* The other table takes over nodes with values that readers must never see. */
		fib4_add(other, COVERED, 32, 99, 0);
		fib4_del(other, COVERED, 32);
		if (i % 4 == 0 || grace.n > 4)
			race_grace(&race, &grace);
		fib4_add(race.fib, COVERED, 32, 2 + i % 2, 0);
		fib4_add(race.fib, COVERED & mask_of(20), 20, 4, 0);
		fib4_add(race.fib, COVERED & mask_of(25), 25, 3, 0);
		fib4_del(race.fib, COVERED & mask_of(20), 20);
		fib4_del(race.fib, COVERED, 32);
		fib4_del(race.fib, COVERED & mask_of(25), 25);
	}
	__atomic_store_n(&race.stop, 1, __ATOMIC_RELAXED);
	for (unsigned i = 0; i < READERS; i++)
		pthread_join(thread[i], NULL);
	assert_int_equal(race.wrong, 0);
	assert_true(race.rounds[0] > 1000);
	assert_int_equal(race.fib->routes, 1);
	fib4_destroy(other);
	fib4_destroy(race.fib);
	grace_end(&grace);
	fib4_pool_destroy(pool);
}

static double seconds(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

/* Many routes at the lengths of a full table; TABLE_BENCH=1 in the environment: a million. */
static void test_many(void **state)
{
	uint32_t count = getenv("TABLE_BENCH") ? 1000000 : 100000;
	struct fib4_pool *pool = fib4_pool_create(NULL, 66000, count, NULL, NULL);
	struct fib4 *fib = fib4_create(pool, 1);
	struct fib4_route *route = calloc(count, sizeof(*route)), page[1000], last;
	uint32_t addr[FIB4_BULK_MAX], nexthop[FIB4_BULK_MAX], listed = 0, n;
	struct fib4_pool_stats stats;
	double start, add, del, list, look;

	(void)state;
	for (uint32_t i = 0; i < count; i++) {
		route[i].len = (uint8_t)(rnd() % 3 ? 24 : 16 + rnd() % 9);
		route[i].addr = rnd() & mask_of(route[i].len);
	}
	start = seconds();
	for (uint32_t i = 0; i < count; i++)
		assert_true(!fib4_add(fib, route[i].addr, route[i].len, i + 1, 1));
	add = count / (seconds() - start);
	n = 0;
	start = seconds();
	for (uint32_t i = 0; i < 2000000; i += FIB4_BULK_MAX) {
		for (unsigned k = 0; k < FIB4_BULK_MAX; k++)
			addr[k] = route[rnd() % count].addr;
		fib4_lookup_bulk(fib, addr, nexthop, FIB4_BULK_MAX);
		for (unsigned k = 0; k < FIB4_BULK_MAX; k++)
			n += nexthop[k] == 0;
	}
	look = (seconds() - start) / 2000000 * 1e9;
	assert_int_equal(n, 0);
	start = seconds();
	for (n = 0; (n = fib4_list(fib, listed ? &last : NULL, page, 1000)) > 0; listed += n)
		last = page[n - 1];
	list = listed / (seconds() - start);
	assert_int_equal(listed, fib->routes);
	for (uint32_t i = count - 1; i > 0; i--) {
		uint32_t k = rnd() % (i + 1);
		struct fib4_route swap = route[i];

		route[i] = route[k];
		route[k] = swap;
	}
	start = seconds();
	for (uint32_t i = 0; i < count; i++)
		fib4_del(fib, route[i].addr, route[i].len);
	del = count / (seconds() - start);
	print_message("%u routes: %.0f adds/s, %.0f random deletes/s, %.0f listed/s, "
	              "%.1f ns a random lookup (with choosing it)\n",
	        listed, add, del, list, look);
	fib4_pool_stats(pool, &stats);
	assert_int_equal(stats.routes, 0);
	assert_int_equal(stats.nodes_free, 66000);
	fib4_destroy(fib);
	fib4_pool_destroy(pool);
	free(route);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(test_bad_arguments),
	        cmocka_unit_test(test_random_sparse),
	        cmocka_unit_test(test_random_dense),
	        cmocka_unit_test(test_random_few_nodes),
	        cmocka_unit_test(test_random_few_routes),
	        cmocka_unit_test(test_readers),
	        cmocka_unit_test(test_many),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
