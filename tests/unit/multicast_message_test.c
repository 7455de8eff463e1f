/* SPDX-License-Identifier: BSD-3-Clause */
/* IGMP and MLD: what is believed, what is refused, what the records say. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "dataplane/multicast_message.h"
#include "dataplane/stage/ip6.h"

static uint8_t packet[1500];
static unsigned length;

static struct pr_ip ip(const char *text)
{
	struct pr_ip one;

	assert_int_equal(pr_ip_parse(text, &one), 0);
	return one;
}

/* The bytes of a hexadecimal text; blanks do not count. */
static unsigned hex(uint8_t *to, const char *text)
{
	unsigned n = 0, value;

	for (; *text; text += *text == ' ' ? 1 : 2) {
		if (*text == ' ')
			continue;
		assert_int_equal(sscanf(text, "%2x", &value), 1);
		to[n++] = (uint8_t)value;
	}
	return n;
}

static void sum_at(uint8_t *at, unsigned n, unsigned field)
{
	uint16_t sum;

	memset(at + field, 0, 2);
	sum = (uint16_t)~bytes_sum(at, n);
	memcpy(at + field, &sum, 2);
}

/* An IPv4 header with router alert before the message, both checksums right. */
static void igmp(const char *to, const char *message)
{
	struct pr_ip destination = ip(to);
	unsigned n = hex(packet + 24, message);

	memset(packet, 0, 24);
	length = 24 + n;
	packet[0] = 0x46;
	store_be16(packet + 2, (uint16_t)length);
	packet[8] = 1;
	packet[9] = IPPROTO_IGMP;
	memcpy(packet + 12, (const uint8_t[]){198, 18, 0, 2}, 4);
	memcpy(packet + 16, destination.v4, 4);
	memcpy(packet + 20, (const uint8_t[]){0x94, 4, 0, 0}, 4);
	sum_at(packet + 24, n, 2);
	sum_at(packet, 24, 10);
}

static void mld(const char *from, const char *to, const char *message)
{
	struct pr_ip source = ip(from), destination = ip(to);
	unsigned n = hex(packet + 48, message);

	length = 48 + n;
	ip6_fill(packet, (uint16_t)(8 + n), 1);
	packet[6] = IPPROTO_HOPOPTS;
	memcpy(packet + 8, source.v6, 16);
	memcpy(packet + 24, destination.v6, 16);
	memcpy(packet + 40, (const uint8_t[]){IPPROTO_ICMPV6, 0, 5, 2, 0, 0, 1, 0}, 8);
	icmp6_finish(packet, packet + 48, n);
}

static struct multicast_message parse_offload(bool v6, uint32_t offload)
{
	struct multicast_message message;
	uint8_t *exact = malloc(length + !length); /* a sanitizer sees a read behind it */

	memcpy(exact, packet, length);
	multicast_parse(exact, length, v6, offload, &message);
	if (message.kind == MULTICAST_REPORT) {
		struct multicast_message copy = message;
		struct multicast_record record;

		while (multicast_next(&copy, &record))
			;
	}
	if (message.record)
		message.record = packet + (message.record - exact);
	free(exact);
	return message;
}

static struct multicast_message parse(bool v6)
{
	return parse_offload(v6, MULTICAST_NO_OFFLOAD);
}

#define expect_kind(v6, wanted) assert_int_equal(parse(v6).kind, wanted)

static void expect_record(struct multicast_message *m, const char *group, unsigned action)
{
	struct multicast_record record;
	struct pr_ip wanted = ip(group);

	assert_true(multicast_next(m, &record));
	assert_int_equal(record.action, action);
	assert_true(pr_ip_equal(&record.group, &wanted));
}

static void expect_no_record(struct multicast_message *m)
{
	struct multicast_record record;

	assert_false(multicast_next(m, &record));
}

static void test_igmp_reports(void **state)
{
	static const struct {
		const char *message;
		unsigned version, action;
	} single[] = {
	        {"12 00 0000 ef010203", 1, MULTICAST_JOIN},
	        {"16 00 0000 ef010203", 2, MULTICAST_JOIN},
	        {"17 00 0000 ef010203", 2, MULTICAST_LEAVE},
	        {"22 00 0000 0000 0001 01000000 ef010203", 3, MULTICAST_LEAVE},
	        {"22 00 0000 0000 0001 02000000 ef010203", 3, MULTICAST_JOIN},
	        {"22 00 0000 0000 0001 03000000 ef010203", 3, MULTICAST_LEAVE},
	        {"22 00 0000 0000 0001 04000000 ef010203", 3, MULTICAST_JOIN},
	        {"22 00 0000 0000 0001 05000000 ef010203", 3, MULTICAST_NOTHING},
	        {"22 00 0000 0000 0001 06000000 ef010203", 3, MULTICAST_NOTHING},
	        {"22 00 0000 0000 0001 07000000 ef010203", 3, MULTICAST_NOTHING},
	        {"22 00 0000 0000 0001 01000001 ef010203 c6120001", 3, MULTICAST_JOIN},
	        {"22 00 0000 0000 0001 03000001 ef010203 c6120001", 3, MULTICAST_JOIN},
	        {"22 00 0000 0000 0001 05000001 ef010203 c6120001", 3, MULTICAST_JOIN},
	        {"22 00 0000 0000 0001 06000001 ef010203 c6120001", 3, MULTICAST_BLOCK},
	};

	(void)state;
	for (unsigned n = 0; n < sizeof(single) / sizeof(single[0]); n++) {
		struct multicast_message m;

		igmp("239.1.2.3", single[n].message);
		m = parse(false);
		assert_int_equal(m.kind, MULTICAST_REPORT);
		assert_int_equal(m.version, single[n].version);
		expect_record(&m, "239.1.2.3", single[n].action);
		expect_no_record(&m);
	}
}

static void test_igmp_many_records(void **state)
{
	struct multicast_message m;

	(void)state;
	igmp("224.0.0.22", "22 00 0000 0000 0004 04000000 ef010203  06 02 0001 ef010204 c6120001 "
	                   "aaaaaaaa bbbbbbbb  04000000 e00000fb  02000000 ef010205");
	m = parse(false);
	assert_int_equal(m.kind, MULTICAST_REPORT);
	expect_record(&m, "239.1.2.3", MULTICAST_JOIN);
	expect_record(&m, "239.1.2.4", MULTICAST_BLOCK);
	expect_record(&m, "224.0.0.251", MULTICAST_NOTHING); /* never registered */
	expect_record(&m, "239.1.2.5", MULTICAST_JOIN);
	expect_no_record(&m);
}

static void test_igmp_queries(void **state)
{
	struct multicast_message m;

	(void)state;
	igmp("224.0.0.1", "11 00 0000 00000000");
	m = parse(false);
	assert_int_equal(m.kind, MULTICAST_QUERY);
	assert_int_equal(m.version, 1);
	assert_int_equal(m.response_ms, 10000);
	assert_int_equal(m.group.family, 0);
	igmp("224.0.0.1", "11 64 0000 00000000");
	m = parse(false);
	assert_int_equal(m.version, 2);
	assert_int_equal(m.response_ms, 10000);
	igmp("239.1.2.3", "11 0a 0000 ef010203");
	m = parse(false);
	assert_int_equal(m.kind, MULTICAST_QUERY);
	assert_int_equal(m.response_ms, 1000);
	assert_int_equal(m.group.v4[3], 3);
	assert_false(m.sources);
	igmp("224.0.0.1", "11 64 0000 00000000 02 7d 0000");
	m = parse(false);
	assert_int_equal(m.version, 3);
	assert_int_equal(m.robustness, 2);
	assert_int_equal(m.interval_s, 125);
	/* RFC 3376 4.1.1: (mant | 0x10) << (exp + 3): 0x8f: 31 << 3, 0xff: 31 << 10. */
	igmp("224.0.0.1", "11 8f 0000 00000000 03 ff 0000");
	m = parse(false);
	assert_int_equal(m.response_ms, 24800);
	assert_int_equal(m.interval_s, 31744);
	/* With sources, or with S: nobody's time is shortened. */
	igmp("239.1.2.3", "11 0a 0000 ef010203 02 7d 0001 c6120001");
	assert_true(parse(false).sources);
	igmp("239.1.2.3", "11 0a 0000 ef010203 0a 7d 0000");
	assert_true(parse(false).sources);
}

static void test_igmp_malformed(void **state)
{
	static const char *const wrong[] = {
	        "16 00 0000 c6120001",                    /* no group */
	        "17 00 0000 00000000",                    /* none */
	        "11 0a 0000 c6120001",                    /* asks for a host */
	        "11 64 0000 00000000 00",                 /* neither length */
	        "11 64 0000 00000000 027d00",             /* neither */
	        "11 64 0000 00000000 02 7d 0001",         /* a source is missing */
	        "22 00 0000 0000 0001",                   /* a record is missing */
	        "22 00 0000 0000 0002 04000000 ef010203", /* the second */
	        "22 00 0000 0000 0001 04000001 ef010203", /* its source */
	        "22 00 0000 0000 0001 04010000 ef010203", /* its rest */
	        "22 00 0000 0000 0001 0400ffff ef010203", /* 65535 of them */
	        "22 00 0000 0000 ffff 04000000 ef010203", /* 65535 records */
	        "22 00 0000 0000 0001 04000000 0a000001", /* no group */
	};

	(void)state;
	for (unsigned n = 0; n < sizeof(wrong) / sizeof(wrong[0]); n++) {
		igmp("224.0.0.1", wrong[n]);
		expect_kind(false, MULTICAST_INVALID);
	}
	igmp("239.1.2.3", "11 64 0000 00000000"); /* general, but not to all */
	expect_kind(false, MULTICAST_INVALID);
	igmp("224.0.0.1", "13 00 0000 00000000"); /* DVMRP */
	expect_kind(false, MULTICAST_OTHER);
	igmp("239.1.2.3", "16 00 0000 ef010203");
	expect_kind(false, MULTICAST_REPORT);
	for (unsigned at = 0; at < length; at++) { /* any byte wrong: a checksum notices */
		packet[at] ^= 0x11;
		if (at != 9) /* another protocol */
			expect_kind(false, MULTICAST_INVALID);
		packet[at] ^= 0x11;
	}
	for (unsigned n = length; n--;) {
		length = n;
		expect_kind(false, n < 20 ? MULTICAST_DATA : MULTICAST_INVALID);
	}
	igmp("239.1.2.3", "16 00 0000 ef010203");
	packet[8] = 2; /* a TTL that a router could have passed on */
	sum_at(packet, 24, 10);
	expect_kind(false, MULTICAST_INVALID);
	packet[8] = 1;
	packet[6] = 0x20; /* in fragments */
	sum_at(packet, 24, 10);
	expect_kind(false, MULTICAST_INVALID);
	packet[6] = 0x40; /* DF is none */
	sum_at(packet, 24, 10);
	expect_kind(false, MULTICAST_REPORT);
	length += 20; /* Ethernet's padding */
	expect_kind(false, MULTICAST_REPORT);
}

/* What the sender leaves to us is right once we have written it, if it is written there. */
static void test_offload(void **state)
{
	(void)state;
	igmp("239.1.2.3", "16 00 0000 ef010203");
	packet[26] ^= 1;
	expect_kind(false, MULTICAST_INVALID);
	assert_int_equal(parse_offload(false, 26).kind, MULTICAST_REPORT);
	assert_int_equal(parse_offload(false, 28).kind, MULTICAST_INVALID);
	mld("fe80::2", "ff02::16", "8f 00 0000 0000 0000");
	packet[50] ^= 1;
	expect_kind(true, MULTICAST_INVALID);
	assert_int_equal(parse_offload(true, 50).kind, MULTICAST_REPORT);
	assert_int_equal(parse_offload(true, 0).kind, MULTICAST_INVALID);
}

#define G6    "ff050000000000000000000000000007"
#define S6    "20010db8000000000000000000000001"
#define NONE6 "00000000000000000000000000000000"

static void test_mld(void **state)
{
	struct multicast_message m;

	(void)state;
	mld("fe80::2", "ff05::7", "83 00 0000 0000 0000 " G6);
	m = parse(true);
	assert_int_equal(m.kind, MULTICAST_REPORT);
	assert_int_equal(m.version, 1);
	expect_record(&m, "ff05::7", MULTICAST_JOIN);
	mld("fe80::2", "ff02::2", "84 00 0000 0000 0000 " G6);
	m = parse(true);
	expect_record(&m, "ff05::7", MULTICAST_LEAVE);
	expect_no_record(&m);
	mld("::", "ff02::16", "8f 00 0000 0000 0002 04000000 " G6 "06000001" G6 S6);
	m = parse(true);
	assert_int_equal(m.kind, MULTICAST_REPORT);
	assert_int_equal(m.version, 2);
	expect_record(&m, "ff05::7", MULTICAST_JOIN);
	expect_record(&m, "ff05::7", MULTICAST_BLOCK);
	mld("fe80::2", "ff02::16",
	        "8f 00 0000 0000 0001 04000000 ff020000000000000000000000000007");
	m = parse(true);
	expect_record(&m, "ff02::7", MULTICAST_NOTHING);
	mld("fe80::2", "ff02::1", "82 00 0000 03e8 0000 " NONE6);
	m = parse(true);
	assert_int_equal(m.kind, MULTICAST_QUERY);
	assert_int_equal(m.version, 1);
	assert_int_equal(m.response_ms, 1000);
	mld("fe80::2", "ff02::1", "82 00 0000 8fff 0000 " NONE6 "02 7d 0000");
	m = parse(true);
	assert_int_equal(m.version, 2);
	assert_int_equal(m.response_ms, 0x1fff << 3);
	assert_int_equal(m.interval_s, 125);
	mld("fe80::2", "ff05::7", "82 00 0000 03e8 0000 " G6 "02 7d 0000");
	m = parse(true);
	assert_int_equal(m.kind, MULTICAST_QUERY);
	assert_int_equal(m.group.v6[15], 7);
}

static void test_mld_malformed(void **state)
{
	static const char *const wrong[] = {
	        "82 00 0000 03e8 0000 " NONE6 "00",         /* neither length */
	        "82 00 0000 03e8 0000 " NONE6 "02 7d 0001", /* a source is missing */
	        "82 00 0000 03e8 0000 " S6,                 /* no group */
	        "83 00 0000 0000 0000 " S6,                 /* no group */
	        "83 00 0000 0000 0000 ff05",                /* short */
	        "8f 00 0000 0000 0001 04000000 " S6,        /* no group */
	        "8f 00 0000 0000 0001 04000001 " G6,        /* a source is missing */
	        "8f 00 0000 0000 0002 04000000 " G6,        /* a record is missing */
	};
	static const char report[] = "83 00 0000 0000 0000 " G6;

	(void)state;
	for (unsigned n = 0; n < sizeof(wrong) / sizeof(wrong[0]); n++) {
		mld("fe80::2", "ff02::1", wrong[n]);
		expect_kind(true, MULTICAST_INVALID);
	}
	mld("2001:db8::2", "ff05::7", report); /* RFC 3810 section 5: from the link */
	expect_kind(true, MULTICAST_INVALID);
	mld("::", "ff02::1", "82 00 0000 03e8 0000 " NONE6);
	expect_kind(true, MULTICAST_INVALID);
	mld("fe80::2", "ff05::7", report);
	packet[7] = 2;
	expect_kind(true, MULTICAST_INVALID);
	packet[7] = 1;
	packet[42] = 1; /* no router alert: padding */
	expect_kind(true, MULTICAST_INVALID);
	packet[42] = 5;
	packet[45] = 1; /* RFC 2711: of something else */
	expect_kind(true, MULTICAST_INVALID);
	packet[45] = 0;
	expect_kind(true, MULTICAST_REPORT);
	for (unsigned n = length; n--;) {
		length = n;
		expect_kind(true, MULTICAST_DATA); /* it is not all there: nobody takes it */
	}
	/* Without the header that routers look for. */
	mld("fe80::2", "ff05::7", report);
	memmove(packet + 40, packet + 48, length - 48);
	length -= 8;
	store_be16(packet + 4, (uint16_t)(length - 40));
	packet[6] = IPPROTO_ICMPV6;
	expect_kind(true, MULTICAST_INVALID);
	/* Neighbour discovery is none of it. */
	packet[40] = ICMP6_NEIGHBOUR_SOLICIT;
	expect_kind(true, MULTICAST_DATA);
}

/* Headers behind one with router alert, of which the first is `next`; what is in a frame behind the
 * packet does not count. */
static void chain(uint8_t next, const char *headers)
{
	mld("fe80::2", "ff02::1", headers);
	hex(packet + 48, headers); /* without the checksum */
	packet[40] = next;
	memset(packet + length, 0x80, 8);
	length += 8;
}

/* Fragments that only show what they are once they are together. */
static void test_mld_hidden(void **state)
{
	static const char *const hidden[] = {
	        "3a 00 0001 00000007",                      /* ends before the message */
	        "3a 00 0001 00000007 82 00 0000 03e8 0000", /* a query */
	        "3c 00 0001 00000007 3a 00 0104 00000000",  /* options, and nothing behind */
	        "3c 00 0001 00000007 3a 01 010c 00000000",  /* they end in the next one */
	        "2c 00 0001 00000007 3a 00 0008 00000008",  /* a fragment in a fragment */
	        "2c 00 0001 00000007 3a 00 0001 00000008",  /* the same, the first one */
	        "3a 00 0000 00000007",                      /* the only one */
	};
	static const char *const seen[] = {
	        "3a 00 0001 00000007 80 00 0000 0001 0001", /* an echo request */
	        "3a 00 0009 00000007 82 00 0000 03e8 0000", /* its second part, whatever is in it */
	        "11 00 0001 00000007",                      /* UDP */
	        "11 00 0009 00000007",
	        "3c 00 0001 00000007 3a 00 0104 00000000 80 00 0000 0001 0001",
	};

	(void)state;
	for (unsigned n = 0; n < sizeof(hidden) / sizeof(hidden[0]); n++) {
		chain(IPPROTO_FRAGMENT, hidden[n]);
		expect_kind(true, MULTICAST_INVALID);
	}
	for (unsigned n = 0; n < sizeof(seen) / sizeof(seen[0]); n++) {
		chain(IPPROTO_FRAGMENT, seen[n]);
		expect_kind(true, MULTICAST_DATA);
	}
	chain(IPPROTO_ICMPV6, "");
	expect_kind(true, MULTICAST_INVALID);
	chain(IPPROTO_DSTOPTS, "3a 09 0104 00000000");
	expect_kind(true, MULTICAST_INVALID);
	chain(IPPROTO_NONE, "");
	expect_kind(true, MULTICAST_DATA);
}

static void test_hello(void **state)
{
	(void)state;
	igmp("224.0.0.13", "20 00 0000 0001 0002 0069");
	packet[9] = IPPROTO_PIM;
	sum_at(packet, 24, 10);
	expect_kind(false, MULTICAST_HELLO);
	packet[24] = 0x23; /* join/prune */
	sum_at(packet + 24, length - 24, 2);
	expect_kind(false, MULTICAST_DATA);
}

/* Our own queries are such as we believe ourselves. */
static void test_own_queries(void **state)
{
	static const struct pr_mac mac = {{2, 0, 0, 0, 0, 1}};
	struct pr_ip group4 = ip("239.1.2.3"), group6 = ip("ff05::7");
	struct multicast_query query = {
	        .mac = &mac, .response_ms = 10000, .interval_s = 125, .robustness = 2};
	uint8_t frame[MULTICAST_QUERY_MAX];

	(void)state;
	for (unsigned n = 0; n < 4; n++) {
		bool v6 = n & 1, general = n < 2;
		struct multicast_message m;

		query.source = v6 ? ip("fe80::1") : ip("0.0.0.0");
		query.group = general ? NULL : v6 ? &group6 : &group4;
		length = multicast_fill_query(frame, &query) - 14;
		memcpy(packet, frame + 14, length);
		m = parse(v6);
		assert_int_equal(m.kind, MULTICAST_QUERY);
		assert_int_equal(m.version, v6 ? 2 : 3);
		assert_int_equal(m.response_ms, 10000);
		assert_int_equal(m.interval_s, 125);
		assert_int_equal(m.robustness, 2);
		assert_int_equal(m.group.family, general ? 0 : v6 ? AF_INET6 : AF_INET);
		assert_int_equal(frame[0], v6 ? 0x33 : 0x01);
		assert_int_equal(frame[5], general ? 1 : v6 ? 7 : 3);
	}
}

/* Random bytes with right checksums: nothing is read behind the end. */
static void test_random(void **state)
{
	unsigned reports = 0;

	(void)state;
	srandom(7);
	for (unsigned round = 0; round < 100000; round++) {
		static const uint8_t types[] = {0x11, 0x16, 0x17, 0x22, 0x22, 0x22};
		char text[2 * 120 + 1];
		unsigned n = 8 + (unsigned)random() % 100;

		for (unsigned k = 0; k < n; k++)
			sprintf(text + 2 * k, "%02x",
			        random() % 3 ? 0u : (unsigned)random() & 0xff);
		sprintf(text, "%02x", types[random() % 6]);
		text[2] = '0';
		if (round % 2)
			igmp("224.0.0.1", text);
		else
			mld("fe80::1", "ff02::1", text);
		if (round % 2 == 0) {
			packet[48] = round % 4 ? 0x8f : 0x82;
			icmp6_finish(packet, packet + 48, length - 48);
		}
		reports += parse(round % 2 == 0).kind == MULTICAST_REPORT;
	}
	assert_true(reports > 100);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(test_igmp_reports),
	        cmocka_unit_test(test_igmp_many_records),
	        cmocka_unit_test(test_igmp_queries),
	        cmocka_unit_test(test_igmp_malformed),
	        cmocka_unit_test(test_offload),
	        cmocka_unit_test(test_mld),
	        cmocka_unit_test(test_mld_malformed),
	        cmocka_unit_test(test_mld_hidden),
	        cmocka_unit_test(test_hello),
	        cmocka_unit_test(test_own_queries),
	        cmocka_unit_test(test_random),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
