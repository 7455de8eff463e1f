/* SPDX-License-Identifier: BSD-3-Clause */
/* The traffic generator's options, and plans that they do not make. No EAL. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>
#include <unistd.h>

#include "tests/gen/options.h"
#include "tests/gen/plan.h"

static int parse(struct options *o, char *error, const char *line)
{
	char copy[512];
	char *rest = copy, *argv[64];
	int argc = 0;

	strcpy(copy, line);
	while (rest)
		argv[argc++] = strsep(&rest, " ");
	argv[argc] = NULL;
	*error = '\0';
	return options_parse(argc, argv, o, error, 256);
}

static void options_good(void **state)
{
	struct options *o = calloc(1, sizeof(*o));
	char error[256];

	(void)state;
	assert_int_equal(
	        parse(o, error,
	                "gen --port net_virtio_user0,path=/x,server=1 --mac 02:00:00:00:00:01 "
	                "--ip 198.18.0.1/24 --ip 2001:db8::1/64 --vlan 7 --port b --peer --mac "
	                "02:00:00:00:00:03 --pairs 0>1,1>r0 --rate 1e6 --window 64 --size "
	                "60,1514 --tolerate missing=3,late"),
	        -EINVAL);
	assert_non_null(strstr(error, "--tolerate"));
	assert_int_equal(
	        parse(o, error,
	                "gen --port net_virtio_user0,path=/x,server=1 --mac 02:00:00:00:00:01 "
	                "--ip 198.18.0.1/24 --ip 2001:db8::1/64 --vlan 7 --port b --peer --mac "
	                "02:00:00:00:00:03 --pairs 0>1,1>r0 --rate 1e6 --window 64 --size "
	                "60,1514 --tolerate missing=3"),
	        0);
	assert_int_equal(o->n_ports, 2);
	assert_int_equal(o->n_peers, 1);
	assert_string_equal(o->ports[0].devargs, "net_virtio_user0,path=/x,server=1");
	assert_int_equal(o->ports[0].vlan, 7);
	assert_int_equal(o->ports[0].ip6.family, AF_INET6);
	assert_int_equal(o->pairs[1].from, 1);
	assert_int_equal(o->pairs[1].to, 2);
	assert_int_equal(o->ports[2].mac.b[5], 3);
	assert_true(o->rate == 1e6);
	assert_int_equal(o->tolerate.missing, 3);
	assert_true(o->duration == 10);
	assert_int_equal(parse(o, error, "gen --port a --port b --port c"), 0);
	assert_int_equal(o->n_pairs, 6);
	assert_int_equal(parse(o, error, "gen --port a --reflect"), 0);
	assert_true(o->duration == 0);
	free(o);
}

static void options_bad(void **state)
{
	static const char *const bad[] = {"gen", "gen --mac 02:00:00:00:00:01", "gen --port",
	        "gen --nonsense", "gen --port a extra", "gen --port a --mac 01:00:00:00:00:01",
	        "gen --port a --vlan 4095", "gen --port a --size 59", "gen --port a --size 64,",
	        "gen --port a --rate -1", "gen --port a --rate nan", "gen --port a --pairs 0>1",
	        "gen --port a --pairs 0", "gen --port a --pairs r0>0", "gen --port a --pairs 0>r0",
	        "gen --port a --flows 0", "gen --port a --flows 9999999", "gen --port a --window 0",
	        "gen --port a --family 5", "gen --port a --proto icmp", "gen --port a --timeout 0",
	        "gen --port a --reflect --window 4", "gen --peer --port a",
	        "gen --port a --peer --one-way --window 4", "gen --port a --duration 1x",
	        "gen --port a --ip 198.18.0.1/33", "gen --file /nonexistent/options",
	        "gen --port a --family both --flows 1", "gen --port a --count 1e6"};
	struct options *o = calloc(1, sizeof(*o));
	char error[256];

	(void)state;
	for (unsigned i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		if (parse(o, error, bad[i]) != -EINVAL || !*error)
			fail_msg("accepted or no sentence: %s", bad[i]);
	}
	free(o);
}

static void options_from_file(void **state)
{
	char path[] = "/tmp/gen_test.XXXXXX", line[128], error[256];
	struct options *o = calloc(1, sizeof(*o));
	int fd = mkstemp(path);

	(void)state;
	assert_true(fd >= 0);
	dprintf(fd, "# ports\n\n  port net_memif0,socket=/x y \nmac 02:00:00:00:00:01\r\n"
	            "one-way\npeer\nmac 02:00:00:00:00:02\nflows 9");
	snprintf(line, sizeof(line), "gen --file %s --proto tcp", path);
	assert_int_equal(parse(o, error, line), 0);
	assert_string_equal(o->ports[0].devargs, "net_memif0,socket=/x y");
	assert_int_equal(o->flows, 9);
	assert_true(o->one_way && o->tcp && !o->udp);
	assert_int_equal(o->ports[1].mac.b[5], 2);
	dprintf(fd, "\nflows\n");
	assert_int_equal(parse(o, error, line), -EINVAL);
	assert_non_null(strstr(error, ":9: flows: needs a value"));
	close(fd);
	unlink(path);
	free(o);
}

/* Lines that change the traffic of a generator that runs. */
static void traffic_lines(void **state)
{
	static const struct {
		const char *line, *error;
	} rows[] = {
	        {"flows 1024 size 60 pairs 1>0", NULL},
	        {"family 6 size 92", NULL},
	        {" \r\n", NULL},
	        {"size 9014", NULL},
	        {"size 9015", "at most 9014"},
	        {"port x", "can not be changed"},
	        {"flows", "needs a value"},
	        {"flows 0", "not possible"},
	        {"pairs 2>0", "no such port"},
	        {"flows 7 size 60 mac 02:00:00:00:00:01", "can not be changed"},
	};
	struct options *o = calloc(2, sizeof(*o));
	char error[300];

	(void)state;
	assert_int_equal(
	        parse(o, error, "gen --port a --port b --size 9014 --flows 5 --control"), 0);
	o[1] = o[0];
	for (unsigned r = 0; r < sizeof(rows) / sizeof(rows[0]); r++) {
		char line[100];
		struct options *before = calloc(1, sizeof(*before));

		*before = *o;
		strcpy(line, rows[r].line);
		*error = '\0';
		assert_int_equal(options_traffic(o, &o[1], line, error, sizeof(error)),
		        rows[r].error ? -EINVAL : 0);
		if (rows[r].error) {
			assert_non_null(strstr(error, rows[r].error));
			assert_memory_equal(o, before, sizeof(*o)); /* all or nothing */
		}
		free(before);
	}
	assert_int_equal(o->flows, 1024);
	assert_int_equal(o->sizes[0], 9014);
	assert_int_equal(o->n_sizes, 1);
	assert_true(o->ip6 && !o->ip4);
	assert_int_equal(o->n_pairs, 1);
	assert_int_equal(o->pairs[0].from, 1);
	free(o);
}

static void plan_refuses(void **state)
{
	static const char *const bad[] = {
	        "gen --port a --mac 02:00:00:00:00:01 --peer --ip 198.18.0.2",
	        "gen --port a --mac 02:00:00:00:00:01 --family 6 --size 64",
	        "gen --port a --mac 02:00:00:00:00:01 --prefix 198.19.0.0/30 --flows 5 --scatter"};
	struct options *o = calloc(1, sizeof(*o));
	struct plan plan;
	char error[256];

	(void)state;
	for (unsigned i = 0; i < 3; i++) {
		assert_int_equal(parse(o, error, bad[i]), 0);
		assert_int_equal(plan_init(&plan, o, 1, error, sizeof(error)), -EINVAL);
		assert_true(strlen(error) > 10);
	}
	free(o);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(options_good),
	        cmocka_unit_test(options_bad),
	        cmocka_unit_test(options_from_file),
	        cmocka_unit_test(traffic_lines),
	        cmocka_unit_test(plan_refuses),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
