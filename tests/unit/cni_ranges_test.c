/* SPDX-License-Identifier: BSD-3-Clause */
/* The ranges of our own IPAM: defaults, order, what is refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "cni_conf.h"

static int ranges_of(struct cni_ranges *ranges, const char *version, const char *rest,
        const char *ip, struct cni_error *err)
{
	struct cni_env env = {.command = CNI_ADD, .ifname = "eth0"};
	struct cni_netconf conf;
	int ret;

	snprintf(env.ip, sizeof(env.ip), "%s", ip);
	parse(&conf, version, rest);
	memset(err, 0, sizeof(*err));
	ret = cni_ranges_parse(ranges, &conf, &env, err);
	cni_netconf_free(&conf);
	return ret;
}

static void ranges_have_the_defaults_of_host_local(void **state)
{
	static const struct {
		const char *range, *text, *gateway;
	} cases[] = {
	        {"\"subnet\":\"198.18.1.0/24\"", "198.18.1.1-198.18.1.254", "198.18.1.1"},
	        {"\"subnet\":\"198.18.1.4/30\"", "198.18.1.5-198.18.1.6", "198.18.1.5"},
	        {"\"subnet\":\"198.18.0.0/15\",\"gateway\":\"198.18.7.7\"",
	                "198.18.0.1-198.19.255.254", "198.18.7.7"},
	        {"\"subnet\":\"198.18.1.0/24\",\"rangeStart\":\"198.18.1.9\",\"rangeEnd\":\"198.18."
	         "1.9\"",
	                "198.18.1.9-198.18.1.9", "198.18.1.1"},
	        {"\"subnet\":\"2001:db8::/64\"", "2001:db8::1-2001:db8::ffff:ffff:ffff:ffff",
	                "2001:db8::1"},
	        {"\"subnet\":\"2001:db8::/126\",\"rangeStart\":\"2001:db8::2\",\"gateway\":\"fe80::"
	         "1\"",
	                "2001:db8::2-2001:db8::3", "fe80::1"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char rest[512], text[256], gateway[PR_IP_STRLEN];
		struct cni_ranges ranges;
		struct cni_error err;

		snprintf(rest, sizeof(rest), "\"ipam\":{\"type\":\"podrail\",%s}", cases[i].range);
		if (ranges_of(&ranges, "1.0.0", rest, "", &err))
			fail_msg("%s: %s", rest, err.msg);
		assert_int_equal(ranges.n_sets, 1);
		assert_string_equal(
		        cni_range_set_format(&ranges.set[0], text, sizeof(text)), cases[i].text);
		assert_string_equal(
		        pr_ip_format(&ranges.all[0].gateway, gateway), cases[i].gateway);
	}
}

static void sets_come_in_order(void **state)
{
	static const char rest[] =
	        "\"runtimeConfig\":{\"ipRanges\":[[{\"subnet\":\"192.0.2.0/25\"}]],"
	        "\"ips\":[\"192.0.2.9\",\"2001:db8::9/"
	        "64\"]},\"args\":{\"cni\":{\"ips\":[\"192.0.2.9\"]}},"
	        "\"ipam\":{\"type\":\"podrail\",\"subnet\":\"198.18.1.0/"
	        "24\",\"ranges\":[[{\"subnet\":"
	        "\"198.19.1.0/24\"},{\"subnet\":\"198.19.3.0/24\"}],[{\"subnet\":\"2001:db8::/"
	        "64\"}]]}";
	static const char *const texts[] = {"192.0.2.1-192.0.2.126", "198.18.1.1-198.18.1.254",
	        "198.19.1.1-198.19.1.254,198.19.3.1-198.19.3.254",
	        "2001:db8::1-2001:db8::ffff:ffff:ffff:ffff"};
	struct cni_ranges ranges;
	struct cni_error err;
	char text[256];

	(void)state;
	assert_int_equal(ranges_of(&ranges, "1.1.0", rest, "198.18.1.3,198.19.3.4", &err), 0);
	assert_int_equal(ranges.n_sets, 4);
	for (unsigned i = 0; i < 4; i++)
		assert_string_equal(
		        cni_range_set_format(&ranges.set[i], text, sizeof(text)), texts[i]);
	/* One that is asked for twice is meant once. */
	assert_int_equal(ranges.n_wanted, 4);
	assert_int_equal(ranges_of(&ranges, "0.2.0", rest, "", &err), -EINVAL);
	assert_non_null(strstr(err.msg, "more than 1 address per family"));
}

static void bad_ranges_are_code_7(void **state)
{
	static const char *const bad[] = {
	        "\"x\":1",
	        "\"subnet\":1",
	        "\"subnet\":\"198.18.1.0\"",
	        "\"subnet\":\"198.18.1.1/24\"",
	        "\"subnet\":\"198.18.1.0/31\"",
	        "\"subnet\":\"2001:db8::/127\"",
	        "\"subnet\":\"198.18.1.0/24\",\"gateway\":\"fe80::1\"",
	        "\"subnet\":\"198.18.1.0/24\",\"gateway\":7",
	        "\"subnet\":\"198.18.1.0/24\",\"rangeStart\":\"198.18.2.1\"",
	        "\"subnet\":\"198.18.1.0/24\",\"rangeEnd\":\"x\"",
	        "\"subnet\":\"198.18.1.0/"
	        "24\",\"rangeStart\":\"198.18.1.9\",\"rangeEnd\":\"198.18.1."
	        "8\"",
	        "\"ranges\":{}",
	        "\"ranges\":[]",
	        "\"ranges\":[[]]",
	        "\"ranges\":[{\"subnet\":\"198.18.1.0/24\"}]",
	        "\"ranges\":[[7]]",
	        "\"ranges\":[[{\"subnet\":\"198.18.1.0/24\"},{\"subnet\":\"2001:db8::/64\"}]]",
	        "\"ranges\":[[{\"subnet\":\"198.18.1.0/24\"}],[{\"subnet\":\"198.18.0.0/16\"}]]",
	        "\"subnet\":\"198.18.1.0/24\",\"ranges\":[[{\"subnet\":\"198.18.1.128/25\"}]]",
	};
	struct cni_ranges ranges;
	struct cni_error err;
	char rest[512];

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		snprintf(rest, sizeof(rest), "\"ipam\":{\"type\":\"podrail\",%s}", bad[i]);
		if (!ranges_of(&ranges, "1.0.0", rest, "", &err))
			fail_msg("accepted: %s", rest);
		assert_int_equal(err.code, CNI_ERR_CONFIG);
		assert_non_null(strstr(err.msg, "ipam"));
	}
	assert_int_equal(ranges_of(&ranges, "1.0.0",
	                         "\"ipam\":{\"type\":\"podrail\",\"subnet\":\"198.18.1.0/24\"}",
	                         "198.18.1.2,x", &err),
	        -EINVAL);
	assert_non_null(strstr(err.msg, "ips: \"x\""));
}

static void more_than_there_is_room_for(void **state)
{
	size_t size = 1 << 16, length;
	char *rest = malloc(size);
	struct cni_ranges ranges;
	struct cni_error err;

	(void)state;
	for (int kind = 0; kind < 2; kind++) {
		length = (size_t)snprintf(
		        rest, size, "\"ipam\":{\"type\":\"podrail\",\"ranges\":[[");
		for (int i = 0; i < 100; i++)
			length += (size_t)snprintf(rest + length, size - length,
			        "%s{\"subnet\":\"198.18.%d.0/24\"}",
			        !i     ? ""
			        : kind ? "],["
			               : ",",
			        i);
		snprintf(rest + length, size - length, "]]}");
		assert_int_equal(ranges_of(&ranges, "1.0.0", rest, "", &err), -EINVAL);
		assert_non_null(strstr(err.msg, "more than"));
	}
	free(rest);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(ranges_have_the_defaults_of_host_local),
	        cmocka_unit_test(sets_come_in_order),
	        cmocka_unit_test(bad_ranges_are_code_7),
	        cmocka_unit_test(more_than_there_is_room_for),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
