/* SPDX-License-Identifier: BSD-3-Clause */
/* fib6 against a list that is searched from end to end, and at its limits. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "dataplane/table/fib6.h"
#include "tests/unit/fib6_grace.h"
#include "tests/unit/guarded.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#define MODEL_MAX 400
#define NETWORKS  3

static uint64_t seed = 0x243f6a8885a308d3;

static uint32_t below(uint32_t n)
{
	return random_below(&seed, n);
}

static bool covers(const uint8_t prefix[16], unsigned len, const uint8_t addr[16])
{
	for (unsigned bit = 0; bit < len; bit++)
		if ((prefix[bit / 8] ^ addr[bit / 8]) >> (7 - bit % 8) & 1)
			return false;
	return true;
}

static void mask(uint8_t addr[16], unsigned len)
{
	for (unsigned bit = len; bit < 128; bit++)
		addr[bit / 8] &= (uint8_t) ~(0x80 >> bit % 8);
}

/* Few distinct bits, so that prefixes nest and meet. */
static void random_address(uint8_t addr[16])
{
	memset(addr, 0, 16);
	addr[0] = 0x20;
	for (unsigned i = 0; i < 16; i++)
		if (!below(6))
			addr[i] = (uint8_t)(below(3) * 0x41);
}

static uint8_t random_length(void)
{
	static const uint8_t usual[] = {0, 32, 48, 64, 64, 128, 128};

	return below(2) ? usual[below(sizeof(usual))] : (uint8_t)below(129);
}

struct model {
	struct fib6_route route[MODEL_MAX];
	unsigned n;
};

static struct fib6_route *model_find(struct model *m, const uint8_t addr[16], uint8_t len)
{
	for (unsigned i = 0; i < m->n; i++)
		if (!memcmp(m->route[i].addr, addr, 16) && m->route[i].len == len)
			return &m->route[i];
	return NULL;
}

static const struct fib6_route *model_match(const struct model *m, const uint8_t addr[16])
{
	const struct fib6_route *best = NULL;

	for (unsigned i = 0; i < m->n; i++)
		if (covers(m->route[i].addr, m->route[i].len, addr) &&
		        (!best || m->route[i].len > best->len))
			best = &m->route[i];
	return best;
}

static int route_order(const void *a, const void *b)
{
	const struct fib6_route *x = a, *y = b;
	int order = memcmp(x->addr, y->addr, 16);

	return order ? order : x->len - y->len;
}

static void same(const struct fib6_route *a, const struct fib6_route *b)
{
	assert_memory_equal(a->addr, b->addr, 16);
	assert_int_equal(a->len, b->len);
	assert_int_equal(a->nexthop, b->nexthop);
	assert_int_equal(a->owner, b->owner);
	assert_int_equal(a->mark, b->mark);
}

static void change(struct fib6 *fib, struct model *m)
{
	uint8_t addr[16], len = random_length();
	struct fib6_route *known, found;

	random_address(addr);
	mask(addr, len);
	if (below(3) == 0 && m->n) {
		struct fib6_route *any = &m->route[below(m->n)];

		memcpy(addr, any->addr, 16);
		len = any->len;
	}
	known = model_find(m, addr, len);
	assert_int_equal(fib6_get(fib, addr, len, &found), known ? 0 : -ENOENT);
	if (known)
		same(&found, known);
	if (below(5) < 2) {
		assert_int_equal(fib6_del(fib, addr, len), known ? 0 : -ENOENT);
		if (known)
			*known = m->route[--m->n];
		return;
	}
	if (known && below(4) == 0) {
		known->mark = (uint8_t)below(256);
		assert_int_equal(fib6_set_mark(fib, addr, len, known->mark), 0);
		return;
	}
	if (!known && m->n == MODEL_MAX)
		return;
	if (!known) {
		known = &m->route[m->n++];
		*known = (struct fib6_route){.len = len};
		memcpy(known->addr, addr, 16);
	}
	known->nexthop = 1 + below(FIB6_NEXTHOP_MAX);
	known->owner = (uint16_t)below(65536);
	assert_int_equal(fib6_add(fib, addr, len, known->nexthop, known->owner), 0);
}

static void look(const struct fib6 *fib, const struct model *m)
{
	uint8_t addr[FIB6_BULK_MAX][16];
	const uint8_t *at[FIB6_BULK_MAX] = {0};
	uint32_t nexthop[FIB6_BULK_MAX];
	unsigned n = below(FIB6_BULK_MAX + 1);
	struct fib6_route route;

	for (unsigned k = 0; k < n; k++) {
		random_address(addr[k]);
		if (m->n && below(2)) {
			memcpy(addr[k], m->route[below(m->n)].addr, 16);
			addr[k][below(16)] ^= (uint8_t)(below(2) << below(8));
		}
		at[k] = addr[k];
	}
	fib6_lookup_bulk(fib, at, nexthop, n);
	for (unsigned k = 0; k < n; k++) {
		const struct fib6_route *best = model_match(m, addr[k]);

		assert_int_equal(nexthop[k], best ? best->nexthop : 0);
		assert_int_equal(fib6_lookup(fib, addr[k]), best ? best->nexthop : 0);
		assert_int_equal(fib6_match(fib, addr[k], &route), best ? 0 : -ENOENT);
		if (best)
			same(&route, best);
	}
}

static void list_is_ordered(const struct fib6 *fib, struct model *m)
{
	struct fib6_route page[16], after;
	unsigned seen = 0, n = 16;

	qsort(m->route, m->n, sizeof(m->route[0]), route_order);
	for (bool first = true; n == 16; first = false) {
		n = fib6_list(fib, first ? NULL : &after, page, 16);
		for (unsigned k = 0; k < n; k++)
			same(&page[k], &m->route[seen++]);
		if (n)
			after = page[n - 1];
	}
	assert_int_equal(seen, m->n);
	/* A prefix that need not exist. */
	random_address(after.addr);
	after.len = random_length();
	mask(after.addr, after.len);
	n = fib6_list(fib, &after, page, 1);
	for (seen = 0; seen < m->n && route_order(&m->route[seen], &after) <= 0; seen++)
		;
	assert_int_equal(n, seen < m->n);
	if (n)
		same(&page[0], &m->route[seen]);
}

static void as_the_model_says(void **state)
{
	static struct model models[NETWORKS];
	struct fib6_pool *pool =
	        fib6_pool_create(NULL, NETWORKS * MODEL_MAX * 2, 77, grace_retire, NULL);
	struct fib6 *fib[NETWORKS];

	(void)state;
	for (unsigned k = 0; k < NETWORKS; k++)
		fib[k] = fib6_create(pool, (uint16_t)(k * 7));
	for (int step = 0; step < 60000; step++) {
		unsigned k = below(NETWORKS);

		change(fib[k], &models[k]);
		if (step % 16 == 0)
			look(fib[k], &models[k]);
		if (step % 500 == 0)
			list_is_ordered(fib[k], &models[k]);
		if (grace.n > 300)
			grace_end();
	}
	for (unsigned k = 0; k < NETWORKS; k++) {
		struct fib6_pool_stats stats;
		unsigned before = 0, after;

		assert_int_equal(fib[k]->routes, models[k].n);
		fib6_pool_stats(pool, &stats);
		before = stats.routes;
		after = fib[k]->routes;
		fib6_destroy(fib[k]);
		fib6_pool_stats(pool, &stats);
		assert_int_equal(stats.routes, before - after);
		/* What another network has is untouched. */
		for (unsigned other = k + 1; other < NETWORKS; other++)
			list_is_ordered(fib[other], &models[other]);
		grace_end();
	}
	fib6_pool_destroy(pool);
}

static void what_is_wrong_is_refused(void **state)
{
	struct fib6_pool *pool = fib6_pool_create(NULL, 4, 1, NULL, NULL);
	struct fib6 *fib = fib6_create(pool, 1);
	uint8_t addr[16] = {0x20, 1};

	(void)state;
	assert_null(fib6_pool_create(NULL, 0, 1, NULL, NULL));
	assert_int_equal(fib6_add(fib, addr, 129, 1, 0), -EINVAL);
	assert_int_equal(fib6_add(fib, addr, 15, 1, 0), -EINVAL);
	assert_int_equal(fib6_add(fib, addr, 16, 0, 0), -EINVAL);
	assert_int_equal(fib6_add(fib, addr, 16, FIB6_NEXTHOP_MAX + 1, 0), -EINVAL);
	assert_int_equal(fib6_del(fib, addr, 15), -EINVAL);
	assert_int_equal(fib6_get(fib, addr, 15, NULL), -EINVAL);
	assert_int_equal(fib6_set_mark(fib, addr, 15, 1), -EINVAL);
	assert_int_equal(fib6_set_mark(fib, addr, 16, 1), -ENOENT);
	assert_int_equal(fib->routes, 0);
	fib6_destroy(fib);
	fib6_destroy(NULL);
	fib6_pool_destroy(pool);
	fib6_pool_destroy(NULL);
}

/* A full pool changes nothing; what waits for readers counts. */
static void full(void **state)
{
	struct fib6_pool *pool = fib6_pool_create(NULL, 50, 1, grace_retire, NULL);
	struct fib6 *fib = fib6_create(pool, 1);
	uint8_t addr[16] = {0x20};
	struct fib6_pool_stats stats;

	(void)state;
	for (unsigned n = 0; n < 50; n++) {
		addr[1] = (uint8_t)n;
		assert_int_equal(fib6_add(fib, addr, 64, n + 1, 0), 0);
	}
	addr[1] = 200;
	assert_int_equal(fib6_add(fib, addr, 64, 1, 0), -ENOSPC);
	assert_int_equal(fib6_add(fib, addr, 8 + 8, 1, 0), -ENOSPC);
	addr[1] = 7;
	assert_int_equal(fib6_add(fib, addr, 64, 99, 0), 0);
	assert_int_equal(fib6_lookup(fib, addr), 99);
	assert_int_equal(fib6_del(fib, addr, 64), 0);
	assert_int_equal(fib6_add(fib, addr, 64, 1, 0), -ENOSPC);
	fib6_pool_stats(pool, &stats);
	assert_int_equal(stats.routes, 49);
	assert_int_equal(stats.retired, 1);
	grace_end();
	assert_int_equal(fib6_add(fib, addr, 64, 1, 0), 0);
	fib6_destroy(fib);
	grace_end();
	fib6_pool_destroy(pool);
}

/* ---- scale: printed, not judged ---- */

static double seconds(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

#define MANY 300000

/* A full table's mix: provider and site prefixes, and pods' hosts. */
static void many_address(uint32_t n, uint8_t addr[16], uint8_t *len)
{
	static const uint8_t lens[] = {32, 36, 40, 44, 48, 48, 48, 48, 64, 128};
	uint64_t state = (n + 1) * 0x9e3779b97f4a7c15ull;

	for (unsigned i = 0; i < 16; i++)
		addr[i] = (uint8_t)(random_next(&state) >> 24);
	addr[0] = 0x20 | (addr[0] & 0x0f);
	addr[1] &= 3;
	*len = lens[n % sizeof(lens)];
	mask(addr, *len);
}

static void a_full_table(void **state)
{
	struct fib6_pool *pool = fib6_pool_create(NULL, MANY + 1000, 5, NULL, NULL);
	struct fib6 *fib = fib6_create(pool, 3);
	static uint8_t addr[MANY][16];
	static uint8_t len[MANY];
	uint32_t nexthop[FIB6_BULK_MAX];
	double begin = seconds(), add, del, bulk;
	uint64_t sum = 0, deleted = 0;

	(void)state;
	for (uint32_t n = 0; n < MANY; n++) {
		many_address(n, addr[n], &len[n]);
		assert_int_equal(fib6_add(fib, addr[n], len[n], n % 1000 + 1, 0), 0);
	}
	add = seconds() - begin;
	begin = seconds();
	for (uint32_t n = 0; n + 64 <= MANY; n += 64) {
		const uint8_t *at[64];

		for (unsigned k = 0; k < 64; k++)
			at[k] = addr[(n + k) * 7919ull % MANY];
		fib6_lookup_bulk(fib, at, nexthop, 64);
		for (unsigned k = 0; k < 64; k++)
			sum += nexthop[k] != 0;
	}
	bulk = seconds() - begin;
	assert_int_equal(sum, MANY / 64 * 64);
	begin = seconds();
	for (uint32_t n = 0; n < 100000; n++)
		deleted += fib6_del(fib, addr[n], len[n]) == 0;
	/* Some prefixes are drawn twice. */
	assert_in_range(deleted, 99000, 100000);
	del = seconds() - begin;
	printf("# %d routes: %.2f M adds/s, %.0f ns a bulk lookup, %.2f M deletes/s\n", MANY,
	        MANY / add / 1e6, 1e9 * bulk / MANY, 0.1 / del);
	fib6_destroy(fib);
	fib6_pool_destroy(pool);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(as_the_model_says),
	        cmocka_unit_test(what_is_wrong_is_refused),
	        cmocka_unit_test(full),
	        cmocka_unit_test(a_full_table),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
