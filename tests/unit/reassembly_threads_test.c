/* SPDX-License-Identifier: BSD-3-Clause */
/* Several workers put the same datagrams together while the tables thread expires others: each
 * packet is in one place at a time, and nothing is left. Best with meson setup build-tsan
 * -Dsanitize=thread. */
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "dataplane/table/reassembly.h"
#include "tests/unit/guarded.h"

#define WORKERS   4
#define PORTS     3
#define PARTS     6
#define DATAGRAMS 40000
#define TIMEOUT   1000000

/* A packet: whose it is. What is written before it is given away is read by who gets it. */
struct packet {
	uint32_t datagram, part;
	unsigned visits; /* plain: whoever has the packet */
};

static struct reassembly *table;
static struct packet packets[DATAGRAMS][PARTS];
static _Atomic unsigned whole, lost, wrong;
static _Atomic bool stop;

static void count_lost(const struct reassembly_taken *taken)
{
	for (unsigned k = 0; k < taken->n; k++)
		((struct packet *)taken->piece[k].packet)->visits++;
	lost += taken->n;
}

static void check_whole(const struct reassembly_taken *taken)
{
	const struct packet *first = taken->piece[0].packet;

	wrong += taken->n != PARTS;
	for (unsigned k = 0; k < taken->n; k++) {
		struct packet *packet = taken->piece[k].packet;

		packet->visits++;
		wrong += packet->datagram != first->datagram || packet->part != k;
	}
	whole++;
}

/* Datagrams come in windows that all workers are in: each has other parts of them. */
static void *work(void *arg)
{
	unsigned self = (unsigned)(uintptr_t)arg;
	struct reassembly_taken taken;

	for (uint32_t n = 0; n < DATAGRAMS * PARTS; n++) {
		uint32_t part = n % PARTS, d = n / PARTS;
		struct packet *packet = &packets[d][part];
		struct reassembly_fragment fragment = {
		        .key = {.id = d},
		        .port = (uint16_t)(d % PORTS),
		        .packet = packet,
		        .offset = (uint16_t)(8 * part),
		        .length = 8,
		        .more = part + 1 < PARTS,
		        .size = 28,
		};
		enum reassembly_outcome outcome;

		if ((d * 7 + part) % WORKERS != self)
			continue;
		packet->datagram = d;
		packet->part = part;
		packet->visits = 1;
		do {
			outcome = reassembly_insert(table, &fragment, 1, &taken);
			if (outcome != REASSEMBLY_WHOLE)
				count_lost(&taken);
			/* Its holder may wait for the CPU that we have. */
			if (outcome == REASSEMBLY_BUSY)
				sched_yield();
		} while (outcome == REASSEMBLY_AGAIN || outcome == REASSEMBLY_BUSY);
		if (outcome == REASSEMBLY_WHOLE) {
			check_whole(&taken);
		} else if (outcome != REASSEMBLY_HELD) {
			packet->visits++;
			lost++;
		}
	}
	return NULL;
}

static void *expire(void *arg)
{
	uint64_t now = *(uint64_t *)arg;
	struct reassembly_taken taken;

	while (!stop)
		for (uint16_t p = 0; p < PORTS; p++)
			if (reassembly_expire(table, p, now, &taken))
				count_lost(&taken);
	return NULL;
}

static void run(uint32_t datagrams, uint64_t now)
{
	struct reassembly_config config = {.ports = PORTS,
	        .datagrams = datagrams,
	        .packets = datagrams * PARTS,
	        .bytes = datagrams * PARTS * 28,
	        .timeout = TIMEOUT};
	struct reassembly_stats stats;
	struct reassembly_taken taken;
	pthread_t worker[WORKERS], other;

	table = reassembly_create(NULL, &config);
	assert_non_null(table);
	whole = lost = wrong = 0;
	stop = false;
	pthread_create(&other, NULL, expire, &now);
	for (uintptr_t w = 0; w < WORKERS; w++)
		pthread_create(&worker[w], NULL, work, (void *)w);
	for (unsigned w = 0; w < WORKERS; w++)
		pthread_join(worker[w], NULL);
	stop = true;
	pthread_join(other, NULL);
	for (uint16_t p = 0; p < PORTS; p++)
		while (reassembly_purge(table, p, &taken))
			count_lost(&taken);
	assert_int_equal(wrong, 0);
	assert_int_equal(whole * PARTS + lost, DATAGRAMS * PARTS);
	for (unsigned d = 0; d < DATAGRAMS; d++)
		for (unsigned k = 0; k < PARTS; k++)
			assert_int_equal(packets[d][k].visits, 2);
	reassembly_stats(table, &stats);
	assert_int_equal(stats.datagrams + stats.packets + stats.bytes, 0);
	reassembly_destroy(table);
}

/* Room for all, and time: every one becomes whole, whoever has the last part. */
static void test_all_whole(void **state)
{
	(void)state;
	run(4 * DATAGRAMS, 2);
	assert_int_equal(lost, 0);
	assert_int_equal(whole, DATAGRAMS);
}

/* Little room, and their time is over at once: what counts is that nothing is lost or twice. */
static void test_crowded(void **state)
{
	(void)state;
	run(64, TIMEOUT + 2);
	run(64, 2);
	assert_true(lost > 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(test_all_whole),
	        cmocka_unit_test(test_crowded),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
