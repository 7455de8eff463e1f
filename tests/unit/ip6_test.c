/* SPDX-License-Identifier: BSD-3-Clause */
/* IPv6 header chains and neighbour discovery messages: what is read, what is refused. Messages lie
 * in buffers of just their size, so that a sanitizer sees a read behind them. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include <podrail/addr.h>

#include "dataplane/stage/ip6.h"
#include "dataplane/stage/nd_message.h"

#define SELF "2001:db8::5"

static const uint8_t *address(const char *text)
{
	static struct pr_ip ip[4];
	static unsigned n;
	struct pr_ip *one = &ip[n++ % 4];

	assert_int_equal(pr_ip_parse(text, one), 0);
	return one->v6;
}

static void test_addresses(void **state)
{
	const char *const martians[] = {"::", "::1", "::198.18.0.1", "::ffff:198.18.0.1", "ff02::1",
	        "ff0e::1:2", "::ffff:0:0", "::ffff"};
	const char *const fine[] = {"2001:db8::1", "fe80::1", "fc00::1", "64:ff9b::1",
	        "::1:0:0:0:0", "::1:0:0", "::fffe:0:1", "100::", "0:0:0:1::"};

	(void)state;
	for (unsigned n = 0; n < sizeof(martians) / sizeof(*martians); n++)
		assert_true(ip6_is_martian(address(martians[n])));
	for (unsigned n = 0; n < sizeof(fine) / sizeof(*fine); n++)
		assert_false(ip6_is_martian(address(fine[n])));
	assert_true(ip6_is_link_local(address("fe80::1")));
	assert_true(ip6_is_link_local(address("febf:1::1")));
	assert_false(ip6_is_link_local(address("fec0::1")));
	assert_false(ip6_is_link_local(address("ff80::1")));
	assert_true(ip6_is_solicited_node(address("ff02::1:ff12:3456")));
	assert_false(ip6_is_solicited_node(address("ff02::1:fe12:3456")));
	assert_false(ip6_is_solicited_node(address("ff02::2:ff12:3456")));
	assert_false(ip6_is_solicited_node(address("ff05::1:ff12:3456")));
	assert_true(ip6_is_unspecified(address("::")));
	assert_false(ip6_is_unspecified(address("::1")));
	assert_true(ip6_equal(address("2001:db8::1"), address("2001:db8:0::1")));
	assert_false(ip6_equal(address("2001:db8::1"), address("2001:db9::1")));
}

/* The naive sum, word by word. */
static uint16_t slow_sum(const uint8_t *p, unsigned n, uint32_t sum)
{
	for (unsigned i = 0; i < n; i++)
		sum += i % 2 ? p[i] : (uint32_t)p[i] << 8;
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t)sum;
}

static void test_checksum(void **state)
{
	uint8_t packet[IP6_BYTES + 101];

	(void)state;
	srandom(1);
	for (unsigned round = 0; round < 2000; round++) {
		unsigned length = 8 + (unsigned)random() % 93;
		uint32_t wanted;
		uint16_t sum;

		for (unsigned n = 0; n < sizeof(packet); n++)
			packet[n] = round % 3 ? (uint8_t)random() : 0xff;
		wanted = slow_sum(packet + IP6_SOURCE, 32, length + IPPROTO_ICMPV6);
		wanted = slow_sum(packet + IP6_BYTES, length, wanted);
		sum = icmp6_sum(packet, packet + IP6_BYTES, length);
		assert_int_equal(rte_be_to_cpu_16(sum), wanted);
	}
}

/* ---- chains ---- */

struct piece {
	uint8_t protocol, length; /* of the header, in its own units */
	uint16_t fragment;
};

/* A packet of these headers before `upper`, in a buffer of its size. */
static uint8_t *chain_of(const struct piece *piece, unsigned n, uint8_t upper, unsigned *size)
{
	uint8_t *packet = calloc(1, 4096), *exact;
	unsigned at = IP6_BYTES, named = IP6_NEXT;

	for (unsigned k = 0; k < n; k++) {
		packet[named] = piece[k].protocol;
		named = at;
		packet[at + 1] = piece[k].length;
		if (piece[k].protocol == IPPROTO_FRAGMENT)
			store_be16(packet + at + 2, piece[k].fragment);
		at += piece[k].protocol == IPPROTO_FRAGMENT ? 8u
		      : piece[k].protocol == IPPROTO_AH     ? (piece[k].length + 2u) * 4
		                                            : (piece[k].length + 1u) * 8;
	}
	packet[named] = upper;
	exact = malloc(at);
	memcpy(exact, packet, at);
	free(packet);
	*size = at;
	return exact;
}

static void test_chain(void **state)
{
	const struct piece pieces[] = {{IPPROTO_HOPOPTS, 1, 0}, {IPPROTO_ROUTING, 2, 0},
	        {IPPROTO_FRAGMENT, 200, 1}, {IPPROTO_AH, 4, 0}, {IPPROTO_DSTOPTS, 0, 0},
	        {IPPROTO_DSTOPTS, 0, 0}, {IPPROTO_DSTOPTS, 0, 0}, {IPPROTO_DSTOPTS, 0, 0},
	        {IPPROTO_DSTOPTS, 0, 0}};
	struct ip6_chain chain;

	(void)state;
	for (unsigned n = 0; n <= 9; n++) {
		unsigned size, named = 0;
		uint8_t *packet = chain_of(pieces, n, IPPROTO_UDP, &size);
		bool found = ip6_find_upper(packet, size, &chain);

		if (n > IP6_HEADERS_MAX) {
			assert_false(found);
			free(packet);
			continue;
		}
		assert_true(found);
		assert_int_equal(chain.protocol, IPPROTO_UDP);
		assert_int_equal(chain.at, size);
		assert_int_equal(chain.followed, n);
		assert_int_equal(chain.fragment, n > 2);
		assert_false(chain.later);
		named = chain.named_at;
		assert_int_equal(packet[named], IPPROTO_UDP);
		/* Cut anywhere in a header, it is found nowhere. */
		for (unsigned cut = IP6_BYTES; n && cut < size; cut++) {
			uint8_t *part = malloc(cut);

			memcpy(part, packet, cut);
			assert_false(ip6_find_upper(part, cut, &chain));
			free(part);
		}
		free(packet);
	}
}

static void test_fragments(void **state)
{
	const struct {
		uint16_t place;
		bool fragment, later;
	} rows[] = {{0, false, false}, {6, false, false}, {1, true, false}, {8, true, true},
	        {9, true, true}, {0xfff8, true, true}};

	(void)state;
	for (unsigned n = 0; n < sizeof(rows) / sizeof(*rows); n++) {
		struct piece piece[2] = {
		        {IPPROTO_FRAGMENT, 0, rows[n].place}, {IPPROTO_DSTOPTS, 0, 0}};
		struct ip6_chain chain;
		unsigned size;
		uint8_t *packet = chain_of(piece, 2, IPPROTO_TCP, &size);

		assert_true(ip6_find_upper(packet, size, &chain));
		assert_int_equal(chain.fragment, rows[n].fragment);
		assert_int_equal(chain.later, rows[n].later);
		/* What follows a later fragment's header is payload, not a header. */
		assert_int_equal(chain.protocol, rows[n].later ? IPPROTO_DSTOPTS : IPPROTO_TCP);
		assert_int_equal(chain.at, rows[n].later ? 48 : 56);
		free(packet);
	}
}

/* ---- messages ---- */

struct message {
	uint8_t ip[IP6_BYTES];
	uint8_t icmp[200];
	unsigned length;
};

static struct message make(uint8_t type, const char *from, const char *to)
{
	struct message m = {.length = 8};

	m.ip[0] = 0x60;
	m.ip[IP6_NEXT] = IPPROTO_ICMPV6;
	m.ip[IP6_HOP_LIMIT] = 255;
	memcpy(m.ip + IP6_SOURCE, address(from), 16);
	memcpy(m.ip + IP6_DESTINATION, address(to), 16);
	m.icmp[0] = type;
	if (type == ICMP6_ROUTER_ADVERTISEMENT)
		m.length = 16;
	if (type == ICMP6_REDIRECT)
		m.length = 40;
	if (type == ICMP6_NEIGHBOUR_SOLICITATION || type == ICMP6_NEIGHBOUR_ADVERTISEMENT)
		m.length = 24;
	if (m.length >= 24)
		memcpy(m.icmp + 8, address(SELF), 16);
	return m;
}

static void option(struct message *m, uint8_t type, uint8_t units)
{
	m->icmp[m->length] = type;
	m->icmp[m->length + 1] = units;
	memset(m->icmp + m->length + 2, 0xa0 + type, 6);
	m->length += units ? units * 8u : 8;
}

static bool accepted(const struct message *m, unsigned length, struct nd_message *said)
{
	uint8_t *exact = malloc(length);
	struct nd_message own;
	bool good;

	memcpy(exact, m->icmp, length);
	good = nd_read(exact, length, said ? said : &own) &&
	       nd_is_valid(m->ip, exact, said ? said : &own);
	free(exact);
	return good;
}

static void test_lengths(void **state)
{
	const struct {
		uint8_t type;
		unsigned least;
	} rows[] = {{133, 8}, {134, 16}, {135, 24}, {136, 24}, {137, 40}};

	(void)state;
	for (unsigned n = 0; n < 5; n++) {
		struct message m = make(rows[n].type, "fe80::9", "ff02::1:ff00:5");

		for (unsigned length = 1; length < rows[n].least; length++)
			assert_false(accepted(&m, length, NULL));
		assert_true(accepted(&m, rows[n].least, NULL));
		for (unsigned more = 1; more < 8; more++)
			assert_false(accepted(&m, rows[n].least + more, NULL));
	}
}

static void test_options(void **state)
{
	struct message m = make(135, "fe80::9", "ff02::1:ff00:5");
	struct nd_message said;

	(void)state;
	option(&m, 14, 1);
	option(&m, 1, 1);
	option(&m, 2, 1);
	option(&m, 200, 3);
	assert_true(nd_read(m.icmp, m.length, &said));
	assert_memory_equal(said.source_mac, "\xa1\xa1\xa1\xa1\xa1\xa1", 6);
	assert_memory_equal(said.target_mac, "\xa2\xa2\xa2\xa2\xa2\xa2", 6);
	assert_memory_equal(said.target, address(SELF), 16);
	for (unsigned cut = 25; cut < m.length; cut++)
		assert_int_equal(accepted(&m, cut, NULL), cut == 32 || cut == 40 || cut == 48);
	option(&m, 1, 1);
	assert_false(accepted(&m, m.length, NULL)); /* given twice */
	m = make(135, "fe80::9", "ff02::1:ff00:5");
	option(&m, 99, 0);
	assert_false(accepted(&m, m.length, NULL)); /* of no length */
	m = make(135, "fe80::9", "ff02::1:ff00:5");
	option(&m, 1, 2);
	assert_false(accepted(&m, m.length, NULL)); /* no Ethernet address */
}

static void test_validity(void **state)
{
	struct message good = make(135, "2001:db8::9", "ff02::1:ff00:5"), m = good;

	(void)state;
	assert_true(accepted(&m, m.length, NULL));
	m.ip[IP6_HOP_LIMIT] = 254;
	assert_false(accepted(&m, m.length, NULL));
	m = good;
	m.icmp[1] = 1;
	assert_false(accepted(&m, m.length, NULL));
	m = good;
	m.icmp[8] = 0xff;
	assert_false(accepted(&m, m.length, NULL));
	m = make(135, "::", "ff02::1:ff00:5");
	assert_true(accepted(&m, m.length, NULL));
	option(&m, 1, 1);
	assert_false(accepted(&m, m.length, NULL));
	m = make(135, "::", "2001:db8::5");
	assert_false(accepted(&m, m.length, NULL));
	m = make(136, "2001:db8::9", "ff02::1");
	assert_true(accepted(&m, m.length, NULL));
	m.icmp[4] = ND_SOLICITED;
	assert_false(accepted(&m, m.length, NULL));
	m = make(136, "2001:db8::9", "2001:db8::1");
	m.icmp[4] = ND_SOLICITED | ND_OVERRIDE;
	assert_true(accepted(&m, m.length, NULL));
	m.icmp[8] = 0xff;
	assert_false(accepted(&m, m.length, NULL));
	m = make(133, "::", "ff02::2");
	assert_true(accepted(&m, m.length, NULL));
	option(&m, 1, 1);
	assert_false(accepted(&m, m.length, NULL));
	m = make(134, "2001:db8::9", "ff02::1");
	assert_false(accepted(&m, m.length, NULL));
	m = make(137, "2001:db8::9", "2001:db8::1");
	assert_false(accepted(&m, m.length, NULL));
}

/* What we write, we read. */
static void test_advertisement(void **state)
{
	static const uint8_t own_mac[6] = {2, 0, 0, 0, 0, 1}, to_mac[6] = {2, 0, 0, 0, 0, 2};
	static const uint8_t all_nodes_mac[6] = {0x33, 0x33, 0, 0, 0, 1};
	uint8_t frame[ND_ADVERTISEMENT_BYTES], *ip = frame + RTE_ETHER_HDR_LEN;
	const uint8_t *icmp = ip + IP6_BYTES;
	struct nd_message said;

	(void)state;
	for (unsigned all = 0; all < 2; all++) {
		uint8_t to[16];

		memcpy(to, address("2001:db8::9"), 16);
		memset(frame, 0x5a, sizeof(frame));
		nd_write_advertisement(frame, own_mac, address("fe80::1"), to_mac, all ? NULL : to,
		        address(SELF), ND_ROUTER | ND_OVERRIDE);
		assert_memory_equal(frame, all ? all_nodes_mac : to_mac, 6);
		assert_memory_equal(frame + 6, own_mac, 6);
		assert_int_equal(load_be16(frame + 12), 0x86dd);
		assert_int_equal(load_be32(ip), 0x60000000);
		assert_int_equal(load_be16(ip + 4), 32);
		assert_memory_equal(ip + IP6_SOURCE, address("fe80::1"), 16);
		assert_memory_equal(ip + IP6_DESTINATION, all ? address("ff02::1") : to, 16);
		assert_int_equal(icmp6_sum(ip, icmp, 32), 0xffff);
		assert_true(nd_read(icmp, 32, &said) && nd_is_valid(ip, icmp, &said));
		assert_int_equal(said.type, 136);
		assert_int_equal(said.flags,
		        all ? ND_ROUTER | ND_OVERRIDE : ND_ROUTER | ND_OVERRIDE | ND_SOLICITED);
		assert_memory_equal(said.target, address(SELF), 16);
		assert_memory_equal(said.target_mac, own_mac, 6);
		assert_null(said.source_mac);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(test_addresses),
	        cmocka_unit_test(test_checksum),
	        cmocka_unit_test(test_chain),
	        cmocka_unit_test(test_fragments),
	        cmocka_unit_test(test_lengths),
	        cmocka_unit_test(test_options),
	        cmocka_unit_test(test_validity),
	        cmocka_unit_test(test_advertisement),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
