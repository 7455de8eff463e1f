/* SPDX-License-Identifier: BSD-3-Clause */
/* A data plane whose optional limits are 0: it starts, and the tables have their default sizes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#include "dataplane/dataplane.h"

static char directory[] = "/tmp/podrail-defaults.XXXXXX";

static void log_nothing(int priority, const char *message)
{
	(void)priority;
	(void)message;
}

static void test_start(void **state)
{
	struct dp_config config = {.n_workers = 1,
	        .idle = DP_IDLE_SLEEP,
	        .no_huge = true,
	        .max_routes = 64,
	        .max_routes6 = 64,
	        .max_fib_nodes = 64,
	        .max_fdb = 64,
	        .max_neighbours = 64,
	        .log = log_nothing};
	struct dp_config same = config;
	struct dp_totals totals;
	struct dp_error error;

	(void)state;
	same.max_multicast = 1024;
	same.max_reassemblies = 64;
	same.max_reassembly_bytes = 1u << 20;
	same.max_groups = 16;
	assert_int_equal(dp_memory_needed(&config), dp_memory_needed(&same));
	assert_non_null(mkdtemp(directory));
	snprintf(config.run_dir, sizeof(config.run_dir), "%s", directory);
	if (dp_start(&config, &error))
		fail_msg("%s", error.message);
	dp_totals(&totals);
	assert_int_equal(totals.reassemblies.size, same.max_reassemblies);
	assert_int_equal(totals.reassembly_bytes.size, same.max_reassembly_bytes);
	assert_int_equal(totals.multicast_groups.size, same.max_multicast);
	assert_int_equal(totals.groups.size, same.max_groups);
	dp_stop();
	rmdir(directory);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(test_start),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
