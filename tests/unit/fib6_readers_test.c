/* SPDX-License-Identifier: BSD-3-Clause */
/* fib6 under readers: each lookup finds what was there before a change or what is there after it.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "dataplane/table/fib6.h"
#include "tests/unit/fib6_grace.h"
#include "tests/unit/guarded.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

static uint64_t seed = 0x243f6a8885a308d3;

static uint32_t below(uint32_t n)
{
	return random_below(&seed, n);
}

/* ---- readers ---- */

static struct fib6 *shared_fib;
static bool stop;
static uint64_t turns[2]; /* of each reader: it holds nothing between two */

/* What is always there is always found: a /48 that nobody touches, or what covers it better. */
static void *reader(void *arg)
{
	uint64_t own = (uint64_t)(uintptr_t)arg, wrong = 0, *turn = &turns[own - 1];

	while (!__atomic_load_n(&stop, __ATOMIC_RELAXED)) {
		uint8_t addr[2][16] = {{0x20, 1, 0, 0, 0, 1}, {0x20, 1, 0, 0, 0, 2}};
		const uint8_t *at[2] = {addr[0], addr[1]};
		uint32_t nexthop[2];

		addr[0][7] = addr[1][7] = (uint8_t)random_below(&own, 8);
		addr[0][15] = addr[1][15] = (uint8_t)random_below(&own, 8);
		fib6_lookup_bulk(shared_fib, at, nexthop, 2);
		/* 1: the /48; 0x100 and up: one of its /64 or hosts, by number. */
		wrong += nexthop[0] != 1 && nexthop[0] != 0x100u + addr[0][7] &&
		         nexthop[0] != 0x200u + addr[0][15];
		wrong += nexthop[1] != 2;
		__atomic_store_n(turn, *turn + 1, __ATOMIC_RELEASE);
	}
	return (void *)(uintptr_t)wrong;
}

/* One address, covered by a /63 or by its two halves by turns: always by something. */
static void *turns_reader(void *arg)
{
	uint64_t *turn = &turns[(uintptr_t)arg], wrong = 0;
	uint8_t addr[4][16];
	const uint8_t *at[4];
	uint32_t nexthop[4];

	for (unsigned k = 0; k < 4; k++) {
		memset(addr[k], 0, 16);
		addr[k][0] = 0x20;
		addr[k][3] = (uint8_t)(k / 2); /* not all below one /32 */
		addr[k][7] = (uint8_t)(k % 2);
		at[k] = addr[k];
	}
	while (!__atomic_load_n(&stop, __ATOMIC_RELAXED)) {
		fib6_lookup_bulk(shared_fib, at, nexthop, (uintptr_t)arg ? 4 : 2);
		for (unsigned k = 0; k < 2; k++)
			wrong += nexthop[k] != 63 && nexthop[k] != 64;
		nexthop[0] = fib6_lookup(shared_fib, addr[1]);
		wrong += nexthop[0] != 63 && nexthop[0] != 64;
		__atomic_store_n(turn, *turn + 1, __ATOMIC_RELEASE);
	}
	return (void *)(uintptr_t)wrong;
}

static void wait_for_readers(void)
{
	struct timespec pause = {.tv_nsec = 50000};

	for (unsigned k = 0; k < 2; k++) {
		uint64_t then = __atomic_load_n(&turns[k], __ATOMIC_ACQUIRE);

		while (__atomic_load_n(&turns[k], __ATOMIC_ACQUIRE) == then)
			nanosleep(&pause, NULL);
	}
}

/* None of them may have seen what was never there. */
static void readers_end(pthread_t thread[2], struct fib6_pool *pool)
{
	__atomic_store_n(&stop, true, __ATOMIC_RELAXED);
	for (unsigned k = 0; k < 2; k++) {
		void *wrong;

		pthread_join(thread[k], &wrong);
		assert_ptr_equal(wrong, NULL);
	}
	fib6_destroy(shared_fib);
	grace_end();
	fib6_pool_destroy(pool);
}

static void readers_see_old_or_new(void **state)
{
	struct fib6_pool *pool = fib6_pool_create(NULL, 4096, 5, grace_retire, NULL);
	uint8_t fixed[16] = {0x20, 1, 0, 0, 0, 1};
	pthread_t thread[2];

	(void)state;
	shared_fib = fib6_create(pool, 3);
	fib6_add(shared_fib, fixed, 48, 1, 0);
	fixed[5] = 2;
	fib6_add(shared_fib, fixed, 48, 2, 0);
	for (uintptr_t k = 0; k < 2; k++)
		assert_int_equal(pthread_create(&thread[k], NULL, reader, (void *)(k + 1)), 0);
	for (int round = 0; round < 300; round++) {
		for (int n = 0; n < 1000; n++) {
			uint8_t addr[16] = {0x20, 1, 0, 0, 0, 1};
			bool host = below(2);

			addr[7] = (uint8_t)below(8);
			addr[15] = host ? (uint8_t)below(8) : 0;
			if (below(2))
				fib6_add(shared_fib, addr, host ? 128 : 64,
				        host ? 0x200u + addr[15] : 0x100u + addr[7], 0);
			else
				fib6_del(shared_fib, addr, host ? 128 : 64);
		}
		wait_for_readers();
		grace_end();
	}
	readers_end(thread, pool);
}

/* What replaces a route is added before that is removed: no lookup may fall between the two. */
static void replaced_routes_never_leave_a_gap(void **state)
{
	struct fib6_pool *pool = fib6_pool_create(NULL, 8192, 5, grace_retire, NULL);
	uint8_t whole[16] = {0x20}, half[16] = {0x20, [7] = 1};
	pthread_t thread[2];

	(void)state;
	__atomic_store_n(&stop, false, __ATOMIC_RELAXED);
	shared_fib = fib6_create(pool, 3);
	fib6_add(shared_fib, whole, 63, 63, 0);
	for (uintptr_t k = 0; k < 2; k++)
		assert_int_equal(pthread_create(&thread[k], NULL, turns_reader, (void *)k), 0);
	for (int round = 0; round < 400; round++) {
		for (int n = 0; n < 500; n++) {
			fib6_add(shared_fib, whole, 64, 64, 0);
			fib6_add(shared_fib, half, 64, 64, 0);
			fib6_del(shared_fib, whole, 63);
			fib6_add(shared_fib, whole, 63, 63, 0);
			fib6_del(shared_fib, whole, 64);
			fib6_del(shared_fib, half, 64);
		}
		wait_for_readers();
		grace_end();
	}
	readers_end(thread, pool);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(readers_see_old_or_new),
	        cmocka_unit_test(replaced_routes_never_leave_a_gap),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
