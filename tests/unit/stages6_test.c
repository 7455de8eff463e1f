/* SPDX-License-Identifier: BSD-3-Clause */
/* The IPv6 stages: forwarding, errors, extension headers, echo. */
#include "tests/unit/stages6_world.h"

static void test_forward(void **state)
{
	struct frame f = udp(A, PA, PB, 20);

	(void)state;
	passes(A, f, B, 0);
	passes(A, udp(A, PA, PB, 1460), B, 0);
	passes(A, udp(A, PA, PB, 0), B, 0);
	f.length += 9; /* padding */
	passes(A, f, B, 0);
	passes(UPLINK, udp(UPLINK, "2001:db8:99::1", PA, 300), A, 0);
	passes(A, packet(A, PA, PB, IPPROTO_HOPOPTS, NULL, 40), B, 0);
	passes(A, packet(A, PA, PB, IPPROTO_FRAGMENT, NULL, 40), B, 0);
	passes(A, packet(A, PA, PB, 253, NULL, 40), B, 0);
	f = udp(A, PA, PB, 20);
	f.bytes[21] = 2;
	passes(A, f, B, 0);
	f = packet(A, PA, PB, IPPROTO_TCP, NULL, 4000);
	f.bytes[66] = 0x50;
	world_run(A, &f, OFFLOAD_CSUM | OFFLOAD_TSO6);
	assert_int_equal(n_out, 3);
	for (unsigned n = 0; n < 3; n++) {
		assert_int_equal(out[n].bytes[21], 63);
		assert_int_equal(out[n].length, n < 2 ? 1500 : 54 + 20 + 4000 - 20 - 2 * 1426);
		assert_int_equal(load_be16(out[n].bytes + 18), out[n].length - 54);
	}
}

static void test_headers(void **state)
{
	struct frame good = udp(A, PA, PB, 20), f = good;

	(void)state;
	f.bytes[14] = 0x40;
	dies(A, f, PR_DROP_IP_HEADER);
	f = good;
	f.bytes[19]++;
	dies(A, f, PR_DROP_TOO_SHORT);
	f = good;
	f.length = 53;
	dies(A, f, PR_DROP_TOO_SHORT);
	f = packet(A, PA, PB, IPPROTO_HOPOPTS, NULL, 0);
	dies(A, f, PR_DROP_IP_HEADER);
	dies(A, udp(A, "::", PB, 20), PR_DROP_IP_MARTIAN);
	dies(A, udp(A, PA, "::1", 20), PR_DROP_IP_MARTIAN);
	dies(A, udp(A, PA, "ff0e::1", 20), PR_DROP_IP_MARTIAN);
	dies(A, udp(A, PA, "::ffff:198.18.0.2", 20), PR_DROP_IP_MARTIAN);
	dies(UPLINK, udp(UPLINK, "::1", PA, 20), PR_DROP_IP_MARTIAN);
	dies(UPLINK, udp(UPLINK, "ff02::1", PA, 20), PR_DROP_IP_MARTIAN);
	dies(A, udp(A, PB, PB, 20), PR_DROP_SPOOFED_IP);
	dies(A, udp(A, PA, "2001:db8:3::1", 20), PR_DROP_BLACKHOLE);
}

static void test_errors(void **state)
{
	struct frame f = udp(A, PA, PB, 20);

	(void)state;
	f.bytes[21] = 1;
	refused(A, f, PR_DROP_TTL_EXPIRED, 3, 0, 0, GW);
	f = udp(A, PA, PB, 1440);
	f.bytes[21] = 0;
	refused(A, f, PR_DROP_TTL_EXPIRED, 3, 0, 0, GW);
	refused(A, udp(A, PA, "2001:db8:99::1", 20), PR_DROP_NO_ROUTE, 1, 0, 0, GW);
	refused(UPLINK, udp(UPLINK, PA, "2001:db8:99::1", 20), PR_DROP_NO_ROUTE, 1, 0, 0, GW);
	refused(A, udp(A, PA, "2001:db8:4::1", 20), PR_DROP_UNREACHABLE, 1, 3, 0, GW);
	refused(A, udp(A, PA, "2001:db8:5::1", 20), PR_DROP_NEIGHBOUR_FAILED, 1, 3, 0, GW);
	refused(A, udp(A, "fe80::2", PB, 20), PR_DROP_BEYOND_SCOPE, 1, 2, 0, "fe80::1");
	refused(A, udp(A, "fe80::2", "fe80::3", 20), PR_DROP_UNREACHABLE, 1, 3, 0, "fe80::1");
	refused(A, udp(A, PA, "2001:db8:2::1", 1241), PR_DROP_MTU_EXCEEDED, 2, 0, 1280, GW);
	passes(A, udp(A, PA, "2001:db8:2::1", 1240), B, 0);
	refused(A, udp(A, PA, GW, 20), PR_DROP_LOCAL_UNHANDLED, 1, 4, 0, GW);
	refused(A, udp(A, "fe80::2", "fe80::1", 20), PR_DROP_LOCAL_UNHANDLED, 1, 4, 0, "fe80::1");
	refused(A, packet(A, PA, GW, 253, NULL, 20), PR_DROP_LOCAL_UNHANDLED, 4, 1, 6, GW);
	/* Hop limit 0 to ourselves is no fault. */
	f = udp(A, PA, GW, 20);
	f.bytes[21] = 0;
	refused(A, f, PR_DROP_LOCAL_UNHANDLED, 1, 4, 0, GW);
}

static void test_no_errors(void **state)
{
	uint8_t fragment[16] = {IPPROTO_UDP, 0, 0, 9};

	(void)state;
	for (unsigned type = 0; type < 256; type++) {
		struct frame f = icmp(UPLINK, PA, "2001:db8:99::1", (uint8_t)type, 40);

		if (icmp6_is_nd((uint8_t)type))
			continue;
		if (type < 128)
			dies(UPLINK, f, PR_DROP_NO_ROUTE);
		else if (type % 16 == 0)
			refused(UPLINK, f, PR_DROP_NO_ROUTE, 1, 0, 0, GW);
	}
	dies(A, packet(A, PA, "2001:db8:99::1", IPPROTO_FRAGMENT, fragment, 16), PR_DROP_NO_ROUTE);
	fragment[3] = 1;
	refused(A, packet(A, PA, "2001:db8:99::1", IPPROTO_FRAGMENT, fragment, 16),
	        PR_DROP_NO_ROUTE, 1, 0, 0, GW);
	dies(A, packet(A, PA, "2001:db8:99::1", IPPROTO_DSTOPTS, NULL, 100), PR_DROP_NO_ROUTE);
	dies(A, packet(A, PA, GW, IPPROTO_NONE, NULL, 20), PR_DROP_LOCAL_UNHANDLED);
	dies(A, icmp(A, PA, GW, ICMP6_ECHO_ANSWER, 20), PR_DROP_LOCAL_UNHANDLED);
}

static void test_extensions(void **state)
{
	static const uint8_t skipped[8] = {IPPROTO_UDP, 0, 0x1e, 4}, /* unknown, to be skipped */
	        silent[8] = {IPPROTO_UDP, 0, 0x5e, 4}, loud[8] = {IPPROTO_UDP, 0, 0x9e, 4},
	                     loud2[8] = {IPPROTO_UDP, 0, 0xde, 4},
	                     again[16] = {IPPROTO_HOPOPTS, 0, 1, 4, 0, 0, 0, 0, IPPROTO_UDP, 0, 1,
	                             4},
	                     routing[24] = {IPPROTO_UDP, 2, 0, 1},
	                     done[24] = {IPPROTO_UDP, 2, 0, 0};

	(void)state;
	refused(A, packet(A, PA, GW, IPPROTO_DSTOPTS, skipped, 8), PR_DROP_LOCAL_UNHANDLED, 1, 4, 0,
	        GW);
	dies(A, packet(A, PA, GW, IPPROTO_DSTOPTS, silent, 8), PR_DROP_LOCAL_UNHANDLED);
	refused(A, packet(A, PA, GW, IPPROTO_DSTOPTS, loud, 8), PR_DROP_LOCAL_UNHANDLED, 4, 2, 42,
	        GW);
	refused(A, packet(A, PA, GW, IPPROTO_HOPOPTS, loud2, 8), PR_DROP_LOCAL_UNHANDLED, 4, 2, 42,
	        GW);
	refused(A, packet(A, PA, GW, IPPROTO_HOPOPTS, again, 16), PR_DROP_LOCAL_UNHANDLED, 4, 1, 40,
	        GW);
	refused(A, packet(A, PA, GW, IPPROTO_ROUTING, routing, 24), PR_DROP_LOCAL_UNHANDLED, 4, 0,
	        42, GW);
	refused(A, packet(A, PA, GW, IPPROTO_ROUTING, done, 24), PR_DROP_LOCAL_UNHANDLED, 1, 4, 0,
	        GW);
}

static void replies(struct frame f, const char *from, unsigned extensions, uint8_t offload)
{
	const uint8_t *ip = out[0].bytes + 14;
	unsigned length = f.length - 54 - extensions;

	if (offload) {
		static const uint8_t zeros[FRAME_MAX];
		uint16_t sum = ip6_sum(f.bytes + 14, IPPROTO_ICMPV6, zeros, length);

		memcpy(f.bytes + 56, &sum, 2);
	}
	assert_string_equal(pr_drop_name(world_run(A, &f, offload)), "?");
	assert_int_equal(n_out, 1);
	assert_int_equal(out[0].port, A);
	assert_memory_equal(out[0].bytes, mac_of[A], 6);
	assert_memory_equal(out[0].bytes + 6, gateway_mac, 6);
	assert_int_equal(out[0].length, f.length - extensions);
	assert_memory_equal(ip + 8, address(from), 16);
	assert_memory_equal(ip + 24, f.bytes + 22, 16);
	assert_int_equal(ip[40], ICMP6_ECHO_ANSWER);
	assert_int_equal(ip6_sum(ip, IPPROTO_ICMPV6, ip + 40, length), 0xffff);
	assert_memory_equal(ip + 44, f.bytes + 58 + extensions, length - 4);
}

static void test_echo(void **state)
{
	struct frame f, whole = icmp(A, PA, GW, ICMP6_ECHO, 30);
	uint8_t extended[8 + 30] = {IPPROTO_ICMPV6, 0, 1, 4};

	(void)state;
	replies(whole, GW, 0, 0);
	for (unsigned n = 8; n < 1440; n += 51)
		replies(icmp(A, PA, GW, ICMP6_ECHO, n), GW, 0, 0);
	replies(icmp(A, "fe80::2", "fe80::1", ICMP6_ECHO, 64), "fe80::1", 0, 0);
	replies(icmp(A, "fe80::2", GW, ICMP6_ECHO, 64), GW, 0, 0);
	f = icmp(A, "fe80::2", "ff02::1", ICMP6_ECHO, 64);
	memcpy(f.bytes, "\x33\x33\0\0\0\1", 6);
	replies(f, "fe80::1", 0, 0);
	f = icmp(A, "fe80::2", "ff02::9", ICMP6_ECHO, 64);
	memcpy(f.bytes, "\x33\x33\0\0\0\x09", 6);
	dies(A, f, PR_DROP_MAC_NOT_OURS);
	memcpy(extended + 8, whole.bytes + 54, 30);
	replies(packet(A, PA, GW, IPPROTO_DSTOPTS, extended, 38), GW, 8, 0);
	memset(extended + 2, 0, 2);
	replies(packet(A, PA, GW, IPPROTO_FRAGMENT, extended, 38), GW, 8, 0);
	extended[3] = 1;
	dies(A, packet(A, PA, GW, IPPROTO_FRAGMENT, extended, 38), PR_DROP_LOCAL_UNHANDLED);
	/* The checksum is left to us: the field holds the pseudo-header's sum. */
	replies(whole, GW, 0, OFFLOAD_CSUM);
	replies(icmp(A, PA, GW, ICMP6_ECHO, 999), GW, 0, OFFLOAD_CSUM);
	/* A wrong checksum stays wrong. */
	f = whole;
	f.bytes[70] ^= 1;
	world_run(A, &f, 0);
	assert_int_not_equal(
	        ip6_sum(out[0].bytes + 14, IPPROTO_ICMPV6, out[0].bytes + 54, 30), 0xffff);
}

static void test_punt(void **state)
{
	struct frame f = udp(A, PA, "2001:db8:6::7", 500);

	(void)state;
	assert_string_equal(pr_drop_name(world_run(A, &f, 0)), "?");
	assert_int_equal(n_out, 0);
	assert_int_equal(n_told, 1);
	assert_int_equal(told[0].type, EVENT_PUNT);
	assert_int_equal(told[0].address.family, AF_INET6);
	assert_memory_equal(told[0].address.v6, address("2001:db8:6::7"), 16);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(test_forward),
	        cmocka_unit_test(test_headers),
	        cmocka_unit_test(test_errors),
	        cmocka_unit_test(test_no_errors),
	        cmocka_unit_test(test_extensions),
	        cmocka_unit_test(test_echo),
	        cmocka_unit_test(test_punt),
	};

	return cmocka_run_group_tests(tests, world_start, world_stop);
}
