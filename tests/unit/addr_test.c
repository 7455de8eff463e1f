/* SPDX-License-Identifier: BSD-3-Clause */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>

#include <podrail/addr.h>
#include <podrail/protocol.h>

static void mac_text(void **state)
{
	static const char *const bad[] = {"", "02:70:72:00:00",
	        "02:70:72:00:00:01:", "2:70:72:0:0:1", "02-70-72-00-00-01", "02:70:72:00:00:0g",
	        "02:70:72:00:00:011", " 2:70:72:00:00:01"};
	struct pr_mac mac;
	char text[PR_MAC_STRLEN];

	(void)state;
	assert_int_equal(pr_mac_parse("02:70:72:aB:00:01", &mac), 0);
	assert_string_equal(pr_mac_format(&mac, text), "02:70:72:ab:00:01");
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_int_equal(pr_mac_parse(bad[i], &mac), -EINVAL);
}

static void prefix_text(void **state)
{
	static const char *const bad[] = {"", "/", "198.18.0.1/", "198.18.0.1/33", "198.18.0/24",
	        "198.18.0.1/-1", "198.18.0.1/ 8", "2001:db8::/129", "2001:db8::/0x10", "a/1",
	        "198.18.0.1/0008", "0198.18.0.1/8/8"};
	struct pr_prefix prefix;
	char text[PR_PREFIX_STRLEN];

	(void)state;
	assert_int_equal(pr_prefix_parse("198.18.5.77/22", &prefix), 0);
	assert_string_equal(pr_prefix_format(&prefix, text), "198.18.5.77/22");
	pr_prefix_mask(&prefix);
	assert_string_equal(pr_prefix_format(&prefix, text), "198.18.4.0/22");
	assert_int_equal(pr_prefix_parse("2001:db8::ff/121", &prefix), 0);
	pr_prefix_mask(&prefix);
	assert_string_equal(pr_prefix_format(&prefix, text), "2001:db8::80/121");
	assert_int_equal(pr_prefix_parse("198.18.0.1", &prefix), 0);
	assert_int_equal(prefix.len, 32);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_int_equal(pr_prefix_parse(bad[i], &prefix), -EINVAL);
}

static void prefix_contains(void **state)
{
	struct pr_prefix prefix;
	struct pr_ip ip;

	(void)state;
	for (unsigned len = 0; len <= 32; len++) {
		uint32_t mask = len ? ~0u << (32 - len) : 0;

		prefix = (struct pr_prefix){pr_ip4_from_host(0xc6120304), (uint8_t)len};
		for (unsigned bit = 0; bit < 32; bit++) {
			ip = pr_ip4_from_host(0xc6120304 ^ (1u << bit));
			assert_int_equal(pr_prefix_contains(&prefix, &ip), !((1u << bit) & mask));
		}
	}
	assert_int_equal(pr_ip_parse("2001:db8::1", &ip), 0);
	assert_false(pr_prefix_contains(&prefix, &ip));
	/* Another bit at n is another address for prefixes longer than n; host bits of the prefix
	 * itself do not matter. */
	for (unsigned len = 0; len <= 128; len++) {
		prefix = (struct pr_prefix){ip, (uint8_t)len};
		for (unsigned bit = 0; bit < 128; bit++) {
			struct pr_ip other = ip;

			other.v6[bit / 8] ^= (uint8_t)(0x80 >> bit % 8);
			assert_int_equal(pr_prefix_contains(&prefix, &other), bit >= len);
		}
		assert_true(pr_prefix_contains(&prefix, &ip));
	}
	assert_int_equal(pr_ip_parse("32.1.13.184", &ip), 0);
	assert_false(pr_prefix_contains(&prefix, &ip));
}

static void names(void **state)
{
	char longest[PR_NAME_MAX + 2];

	(void)state;
	memset(longest, 'a', sizeof(longest));
	longest[PR_NAME_MAX] = '\0';
	assert_true(pr_name_valid(longest));
	longest[PR_NAME_MAX] = 'a';
	longest[PR_NAME_MAX + 1] = '\0';
	assert_false(pr_name_valid(longest));
	assert_true(pr_name_valid("0a_.-"));
	assert_false(pr_name_valid(""));
	assert_false(pr_name_valid("-a"));
	assert_false(pr_name_valid(".."));
	assert_false(pr_name_valid("a/b"));
	assert_false(pr_name_valid("a b"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(mac_text),
	        cmocka_unit_test(prefix_text),
	        cmocka_unit_test(prefix_contains),
	        cmocka_unit_test(names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
