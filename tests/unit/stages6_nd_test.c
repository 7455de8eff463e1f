/* SPDX-License-Identifier: BSD-3-Clause */
/* The IPv6 stages: neighbour discovery, groups, and what guarded ports may say of themselves. */
#include "tests/unit/stages6_world.h"

static void answered(unsigned from, struct frame f, const char *source, uint8_t flags)
{
	const uint8_t *ip = out[0].bytes + 14;
	bool probe = ip6_is_unspecified(f.bytes + 22);

	assert_string_equal(pr_drop_name(world_run(from, &f, 0)), "?");
	assert_int_equal(n_out, 1);
	assert_int_equal(out[0].port, from);
	assert_int_equal(out[0].length, 86);
	assert_memory_equal(
	        out[0].bytes, probe ? (const uint8_t *)"\x33\x33\0\0\0\1" : mac_of[from], 6);
	assert_memory_equal(ip + 8, address(source), 16);
	assert_memory_equal(ip + 24, probe ? address("ff02::1") : f.bytes + 22, 16);
	assert_int_equal(ip[7], 255);
	assert_int_equal(ip6_sum(ip, IPPROTO_ICMPV6, ip + 40, 32), 0xffff);
	assert_int_equal(ip[40], 136);
	assert_int_equal(ip[44], flags);
	assert_memory_equal(ip + 48, f.bytes + 62, 16);
	assert_memory_equal(ip + 64, "\2\1", 2);
	assert_memory_equal(ip + 66, gateway_mac, 6);
}

static void test_solicitations(void **state)
{
	(void)state;
	answered(A, nd(A, PA, "ff02::1:ff00:1", 135, GW, 1), GW, 0xe0);
	assert_int_equal(n_told, 1);
	assert_int_equal(told[0].type, EVENT_NEIGHBOUR);
	assert_memory_equal(told[0].address.v6, address(PA), 16);
	assert_memory_equal(&told[0].mac, mac_of[A], 6);
	assert_false(told[0].solicited);
	assert_false(told[0].keep);
	answered(A, nd(A, PA, GW, 135, GW, 0), GW, 0xe0);
	assert_int_equal(n_told, 0);
	answered(A, nd(A, "fe80::2", "ff02::1:ff00:1", 135, "fe80::1", 1), "fe80::1", 0xe0);
	answered(A, nd(A, "::", "ff02::1:ff00:1", 135, GW, 0), GW, 0xa0);
	answered(A, nd(A, "::", "ff02::1:ff00:1", 135, "fe80::1", 0), "fe80::1", 0xa0);
	answered(A, nd(A, PA, "ff02::1:ff00:3", 135, PB, 1), "fe80::1", 0xc0);
	answered(A, nd(A, PA, "ff02::1:ff00:7", 135, "2001:db8:6::7", 1), "fe80::1", 0xc0);
	answered(A, nd(A, PA, "ff02::1:ff00:1", 135, "2001:db8:9::1", 1), "2001:db8:9::1", 0xe0);
	dies(A, nd(A, PA, "ff02::1:ff00:2", 135, PA, 1), PR_DROP_ND_NOT_FOR_US);
	dies(A, nd(A, "::", "ff02::1:ff00:2", 135, PA, 0), PR_DROP_ND_NOT_FOR_US);
	answered(A, nd(A, "::", "ff02::1:ff00:3", 135, PB, 0), "fe80::1", 0x80);
	dies(A, nd(A, PA, "ff02::1:ff00:9", 135, "2001:db8:99::9", 1), PR_DROP_ND_NOT_FOR_US);
	dies(A, nd(A, PA, "ff02::1:ff00:9", 135, "2001:db8:3::9", 1), PR_DROP_ND_NOT_FOR_US);
	dies(A, nd(A, PA, "ff02::1:ff00:9", 135, "2001:db8:4::9", 1), PR_DROP_ND_NOT_FOR_US);
	dies(A, nd(A, PA, "ff02::1:ff00:9", 135, "fe80::9", 1), PR_DROP_ND_NOT_FOR_US);
	dies(A, nd(A, PA, "ff02::1:ff00:1", 135, "::1", 1), PR_DROP_ND_NOT_FOR_US);
	/* On an uplink we are a host. */
	answered(UPLINK, nd(UPLINK, "fe80::9", "ff02::1:ff00:1", 135, "2001:db8:9::1", 1),
	        "2001:db8:9::1", 0xe0);
	answered(UPLINK, nd(UPLINK, "fe80::9", "ff02::1:ff00:1", 135, "fe80::1", 1), "fe80::1",
	        0xe0);
	dies(UPLINK, nd(UPLINK, "fe80::9", "ff02::1:ff00:1", 135, GW, 1), PR_DROP_ND_NOT_FOR_US);
	dies(UPLINK, nd(UPLINK, "fe80::9", "ff02::1:ff00:2", 135, PA, 1), PR_DROP_ND_NOT_FOR_US);
}

static void test_advertisements(void **state)
{
	struct frame f = nd(UPLINK, "fe80::9", "2001:db8:9::1", 136, "2001:db8:6::7", 2);

	(void)state;
	f.bytes[58] = 0xe0;
	fix(&f);
	assert_string_equal(pr_drop_name(world_run(UPLINK, &f, 0)), "?");
	assert_int_equal(n_told, 1);
	assert_memory_equal(told[0].address.v6, address("2001:db8:6::7"), 16);
	assert_memory_equal(&told[0].mac, mac_of[UPLINK], 6);
	assert_true(told[0].solicited && !told[0].keep);
	f = nd(UPLINK, "fe80::9", "2001:db8:9::1", 136, "2001:db8:6::7", 0);
	f.bytes[58] = 0x40;
	fix(&f);
	assert_string_equal(pr_drop_name(world_run(UPLINK, &f, 0)), "?");
	assert_int_equal(n_told, 1);
	assert_true(told[0].solicited && told[0].keep);
	assert_memory_equal(&told[0].mac, "\0\0\0\0\0\0", 6);
	dies(A, nd(A, PA, GW, 136, PB, 2), PR_DROP_SPOOFED_IP);
	f = nd(A, PA, GW, 136, PA, 2);
	f.bytes[85] ^= 1;
	fix(&f);
	dies(A, f, PR_DROP_SPOOFED_MAC);
}

static void test_malformed_nd(void **state)
{
	struct frame good = nd(A, PA, "ff02::1:ff00:1", 135, GW, 1), f = good;

	(void)state;
	f.bytes[21] = 254;
	dies(A, f, PR_DROP_ND_INVALID);
	f = good;
	f.bytes[57] ^= 1;
	dies(A, f, PR_DROP_ND_INVALID);
	f = good;
	f.bytes[79] = 0;
	fix(&f);
	dies(A, f, PR_DROP_ND_INVALID);
	f = nd(A, "::", "ff02::1:ff00:1", 135, GW, 1);
	dies(A, f, PR_DROP_ND_INVALID);
	f = good;
	f.length--;
	dies(A, f, PR_DROP_ND_INVALID);
	/* Longer than a head: options of 1,016 bytes, the last of them checked. */
	f = nd(UPLINK, "fe80::9", "ff02::1:ff00:1", 135, "2001:db8:9::1", 1);
	f.length += 1016;
	store_be16(f.bytes + 18, 32 + 1016);
	memset(f.bytes + 86, 0, 1016);
	f.bytes[86] = 99;
	f.bytes[87] = 127;
	fix(&f);
	answered(UPLINK, f, "2001:db8:9::1", 0xe0);
	f.bytes[1000] ^= 1;
	dies(UPLINK, f, PR_DROP_ND_INVALID);
	f.bytes[87] = 126;
	f.bytes[1000] ^= 1;
	fix(&f);
	dies(UPLINK, f, PR_DROP_ND_INVALID);
}

static void test_groups(void **state)
{
	static const uint8_t report[8 + 28] = {IPPROTO_ICMPV6, 0, 5, 2, 0, 0, 1, 0, 143};
	struct frame f = packet(A, "fe80::2", "ff02::16", IPPROTO_HOPOPTS, report, sizeof(report));

	(void)state;
	memcpy(f.bytes, "\x33\x33\0\0\0\x16", 6);
	assert_string_equal(pr_drop_name(world_run(A, &f, 0)), "?");
	assert_int_equal(n_out, 0);
	f.bytes[62] = 200;
	dies(A, f, PR_DROP_MAC_NOT_OURS);
	f = udp(A, "fe80::2", "ff02::fb", 30);
	memcpy(f.bytes, "\x33\x33\0\0\0\xfb", 6);
	dies(A, f, PR_DROP_MAC_NOT_OURS);
	/* An IPv6 unicast in a frame to many. */
	f = icmp(A, PA, GW, ICMP6_ECHO, 30);
	memcpy(f.bytes, "\x33\x33\0\0\0\1", 6);
	dies(A, f, PR_DROP_MAC_NOT_OURS);
}

/* A guarded port of a bridged network that has no other: what may pass dies of that. */
static void judged(struct frame f, uint8_t offload, unsigned reason)
{
	assert_string_equal(pr_drop_name(world_run(BRIDGED, &f, offload)), pr_drop_name(reason));
}

/* An advertisement of `target` behind headers: pairs of a header's protocol and its bytes. */
static struct frame claim(const char *target, unsigned n, const unsigned (*header)[2])
{
	struct frame f = nd(BRIDGED, PC, "ff02::1", 136, target, 2);
	unsigned at = 54, named = 20;

	for (unsigned k = 0; k < n; k++) {
		unsigned bytes = header[k][1];

		memmove(f.bytes + at + bytes, f.bytes + at, f.length - at);
		memset(f.bytes + at, 0, bytes);
		f.bytes[at] = f.bytes[named];
		f.bytes[named] = (uint8_t)header[k][0];
		f.bytes[at + 1] =
		        (uint8_t)(header[k][0] == IPPROTO_AH ? bytes / 4 - 2 : bytes / 8 - 1);
		named = at;
		at += bytes;
		f.length += bytes;
	}
	store_be16(f.bytes + 18, (uint16_t)(f.length - 54));
	return f;
}

static void test_guard(void **state)
{
	static const unsigned options[][2] = {{IPPROTO_DSTOPTS, 8}, {IPPROTO_DSTOPTS, 8}},
	                      two[][2] = {{IPPROTO_DSTOPTS, 72}, {IPPROTO_DSTOPTS, 8}},
	                      long_one[][2] = {{IPPROTO_DSTOPTS, 120}},
	                      authentication[][2] = {{IPPROTO_AH, 24}},
	                      fragment[][2] = {{IPPROTO_FRAGMENT, 8}, {IPPROTO_DSTOPTS, 8}};
	struct frame f;

	(void)state;
	judged(claim(PC, 0, NULL), 0, PR_DROP_FLOOD_EMPTY);
	judged(claim("2001:db8:7::3", 0, NULL), 0, PR_DROP_SPOOFED_IP);
	judged(udp(BRIDGED, PC, PA, 700), 0, PR_DROP_FLOOD_EMPTY);
	judged(claim("2001:db8:7::3", 1, options), 0, PR_DROP_ND_INVALID);
	judged(claim("2001:db8:7::3", 2, options), 0, PR_DROP_ND_INVALID);
	judged(claim("2001:db8:7::3", 1, authentication), 0, PR_DROP_ND_INVALID);
	judged(claim("2001:db8:7::3", 2, fragment), 0, PR_DROP_ND_INVALID);
	/* What can not be seen does not pass. */
	judged(claim("2001:db8:7::3", 2, two), 0, PR_DROP_HEADER_TOO_LONG);
	judged(claim("2001:db8:7::3", 1, long_one), 0, PR_DROP_HEADER_TOO_LONG);
	f = claim("2001:db8:7::3", 2, fragment);
	f.bytes[57] = 1; /* the first of several, without the next header */
	f.length = 62;
	store_be16(f.bytes + 18, 8);
	judged(f, 0, PR_DROP_HEADER_TOO_LONG);
	/* Later ones tell nothing, and receivers take no discovery in fragments (RFC 6980). */
	f.bytes[57] = 8;
	judged(f, 0, PR_DROP_FLOOD_EMPTY);
	/* A checksum left to us changes nothing that was looked at. */
	judged(claim(PC, 0, NULL), OFFLOAD_CSUM, PR_DROP_FLOOD_EMPTY);
	for (unsigned at = 0; at < 30; at += 2) {
		csum_offset = (uint16_t)at;
		judged(claim(PC, 0, NULL), OFFLOAD_CSUM,
		        at == 2 ? PR_DROP_FLOOD_EMPTY : PR_DROP_BAD_OFFLOAD);
		judged(icmp(BRIDGED, PC, PA, 200, 40), OFFLOAD_CSUM,
		        at == 2 ? PR_DROP_FLOOD_EMPTY : PR_DROP_BAD_OFFLOAD);
	}
	f = packet(BRIDGED, PC, PA, IPPROTO_DSTOPTS, NULL, 40);
	memcpy(f.bytes + 54, (const uint8_t[]){IPPROTO_UDP, 0, 1, 4, 0, 0, 0, 0}, 8);
	csum_offset = 0;
	judged(f, OFFLOAD_CSUM, PR_DROP_BAD_OFFLOAD);
	csum_offset = 14;
	judged(f, OFFLOAD_CSUM, PR_DROP_FLOOD_EMPTY);
	csum_offset = 2;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(test_solicitations),
	        cmocka_unit_test(test_advertisements),
	        cmocka_unit_test(test_malformed_nd),
	        cmocka_unit_test(test_groups),
	        cmocka_unit_test(test_guard),
	};

	return cmocka_run_group_tests(tests, world_start, world_stop);
}
