/* SPDX-License-Identifier: BSD-3-Clause */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "dataplane/table/token_bucket.h"

#include <pthread.h>

static uint64_t random_state = 88172645463325252ull;

static uint32_t rnd(void)
{
	random_state ^= random_state << 13;
	random_state ^= random_state >> 7;
	random_state ^= random_state << 17;
	return (uint32_t)(random_state >> 16);
}

static void assert_within(double got, double want, double percent)
{
	if (got < want * (1 - percent / 100) || got > want * (1 + percent / 100)) {
		print_error("%.0f is not within %.1f %% of %.0f\n", got, percent, want);
		fail();
	}
}

/* Offers `offered` packets a second in random batches; returns packets passed a second. */
static double run_rate(uint64_t hz, uint32_t rate, uint32_t burst, double offered, double seconds)
{
	struct token_bucket bucket;
	uint64_t start = 1ull << 62, now = start, end = start + (uint64_t)(seconds * (double)hz);
	double due = 0;
	uint64_t passed = 0;

	token_bucket_init(&bucket, now, hz, rate, burst);
	/* Only the rate is asked for: empty it first. */
	assert_int_equal(token_bucket_take(&bucket, now, burst + 5), burst);
	assert_int_equal(token_bucket_take(&bucket, now, 1), 0);
	while (now < end) {
		uint32_t n = 1 + rnd() % (burst < 64 ? burst : 64);

		due += n * (double)hz / offered;
		now = start + (uint64_t)due;
		passed += token_bucket_take(&bucket, now, n);
	}
	return (double)passed / ((double)(now - start) / (double)hz);
}

/* Frames that cost many tokens at once: a debt, and the same mean. */
static void test_spend(void **state)
{
	static const uint32_t rate[] = {100, 5000, 1000000}, most[] = {1, 30, 1000};

	(void)state;
	for (unsigned k = 0; k < 9; k++) {
		const uint64_t hz = 2100000017, start = 1ull << 62;
		uint64_t now = start, spent = 0, wanted = 20000u * most[k % 3];
		struct token_bucket bucket;

		token_bucket_init(&bucket, now, hz, rate[k / 3], 64);
		while (spent < wanted) {
			/* Offered at ten times the rate at most. */
			now += hz / rate[k / 3] / 10 * (1 + rnd() % most[k % 3]);
			if (token_bucket_has_any(&bucket, now)) {
				uint32_t n = 1 + rnd() % most[k % 3];

				token_bucket_spend(&bucket, now, n);
				spent += n;
			}
		}
		assert_within((double)(spent - 64) / ((double)(now - start) / (double)hz),
		        rate[k / 3], 1);
	}
}

static void test_accuracy(void **state)
{
	static const uint64_t hz[] = {1000000000, 2100000017, 2995200000, 4999999999};
	static const uint32_t rate[] = {7, 1000, 33333, 148809, 1488095, 14880952, 40000000};

	(void)state;
	for (unsigned i = 0; i < sizeof(hz) / sizeof(hz[0]); i++) {
		for (unsigned k = 0; k < sizeof(rate) / sizeof(rate[0]); k++) {
			double seconds = rate[k] < 5000 ? 1e6 / rate[k] / 10 : 1e6 / rate[k];

			assert_within(
			        run_rate(hz[i], rate[k], 1000, 3.0 * rate[k], seconds), rate[k], 2);
			assert_within(
			        run_rate(hz[i], rate[k], 64, 1.05 * rate[k], seconds), rate[k], 2);
			assert_within(run_rate(hz[i], rate[k], 1000, 0.5 * rate[k], seconds),
			        0.5 * rate[k], 2);
		}
	}
	assert_within(run_rate(1000000000, 1000, 1, 50000, 100), 1000, 2);
}

static void test_burst(void **state)
{
	const uint64_t hz = 2000000000;
	struct token_bucket bucket;
	uint64_t now = 12345;

	(void)state;
	token_bucket_init(&bucket, now, hz, 1000, 100);
	assert_int_equal(token_bucket_take(&bucket, now, 60), 60);
	assert_int_equal(token_bucket_take(&bucket, now, 60), 40);
	assert_int_equal(token_bucket_take(&bucket, now, 60), 0);
	/* A clock that is behind takes nothing and breaks nothing. */
	assert_int_equal(token_bucket_take(&bucket, now - 10000, 1), 0);
	now += hz / 100 + 10;
	assert_int_equal(token_bucket_take(&bucket, now, 60), 10);
	/* However long it fills up, it holds no more than the burst. */
	now += 3600 * 24 * 365 * hz;
	assert_int_equal(token_bucket_take(&bucket, now, 1000), 100);
	token_bucket_set(&bucket, hz, 10, 5);
	now += 3600 * hz;
	assert_int_equal(token_bucket_take(&bucket, now, 1000), 5);
	token_bucket_set(&bucket, hz, 0, 5);
	assert_int_equal(token_bucket_take(&bucket, now, 1000000), 1000000);
	token_bucket_set(&bucket, hz, 1, 0);
	now += 3600 * hz;
	assert_int_equal(token_bucket_take(&bucket, now, 9), 1);
}

#define THREADS 4

struct shared {
	struct token_bucket bucket;
	uint64_t clock;
	uint64_t passed;
};

/* Each step of the common clock is one tick: greedy takers at a million ticks a second. */
static void *taker(void *arg)
{
	struct shared *shared = arg;
	uint64_t passed = 0, now;

	do {
		now = __atomic_add_fetch(&shared->clock, 1, __ATOMIC_RELAXED);
		passed += token_bucket_take(&shared->bucket, now, 1 + now % 3);
	} while (now < 4000000);
	__atomic_fetch_add(&shared->passed, passed, __ATOMIC_RELAXED);
	return NULL;
}

static void test_threads(void **state)
{
	static struct shared shared;
	pthread_t thread[THREADS];

	(void)state;
	token_bucket_init(&shared.bucket, 0, 1000000, 20000, 100);
	for (unsigned i = 0; i < THREADS; i++)
		assert_int_equal(pthread_create(&thread[i], NULL, taker, &shared), 0);
	for (unsigned i = 0; i < THREADS; i++)
		pthread_join(thread[i], NULL);
	assert_within((double)shared.passed, 80000 + 100, 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(test_accuracy),
	        cmocka_unit_test(test_spend),
	        cmocka_unit_test(test_burst),
	        cmocka_unit_test(test_threads),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
