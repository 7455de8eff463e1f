/* SPDX-License-Identifier: BSD-3-Clause */
#include "dataplane/stage/ip6_receive.h"

#define FRAGMENT_BITS       0xfff9 /* offset, more fragments */
#define OPTION_PAD1         0
#define OPTION_PADN         1
#define OPTION_ROUTER_ALERT 5    /* RFC 2711 */
#define OPTION_ACTION       0xc0 /* of one that is not known, RFC 8200 section 4.2 */
#define ACTION_SKIP         0x00
#define ACTION_DISCARD      0x40
#define ACTION_TELL         0x80 /* even if it went to many */

static enum ip6_verdict problem(
        struct ip6_received *received, enum ip6_problem code, unsigned pointer)
{
	received->code = (uint8_t)code;
	received->pointer = (uint16_t)pointer;
	return IP6_PROBLEM;
}

static enum ip6_verdict unknown_option(
        const uint8_t *ip6, unsigned at, struct ip6_received *received)
{
	switch (ip6[at] & OPTION_ACTION) {
	case ACTION_SKIP:
		return IP6_DELIVER;
	case ACTION_DISCARD:
		return IP6_DISCARD;
	case ACTION_TELL:
		return problem(received, IP6_PROBLEM_OPTION, at);
	default:
		return ip6_is_multicast(ip6 + 24) ? IP6_DISCARD
		                                  : problem(received, IP6_PROBLEM_OPTION, at);
	}
}

static enum ip6_verdict read_options(
        const uint8_t *ip6, unsigned at, unsigned end, struct ip6_received *received)
{
	while (at < end) {
		enum ip6_verdict verdict = IP6_DELIVER;

		if (ip6[at] == OPTION_PAD1) {
			at++;
			continue;
		}
		if (at + 2 > end || at + 2 + ip6[at + 1] > end)
			return IP6_DISCARD;
		if (ip6[at] != OPTION_PADN && ip6[at] != OPTION_ROUTER_ALERT)
			verdict = unknown_option(ip6, at, received);
		if (verdict != IP6_DELIVER)
			return verdict;
		at += 2u + ip6[at + 1];
	}
	return IP6_DELIVER;
}

static bool is_extension(uint8_t protocol)
{
	return protocol == IPPROTO_HOPOPTS || protocol == IPPROTO_DSTOPTS ||
	       protocol == IPPROTO_ROUTING || protocol == IPPROTO_FRAGMENT;
}

/* One extension header from `at` to `end`; field names it. */
static enum ip6_verdict read_header(const uint8_t *ip6, unsigned at, unsigned end, unsigned field,
        struct ip6_received *received)
{
	switch (received->protocol) {
	case IPPROTO_HOPOPTS:
		if (at != IP6_BYTES)
			return problem(received, IP6_PROBLEM_NEXT, field);
		return read_options(ip6, at + 2, end, received);
	case IPPROTO_DSTOPTS:
		return read_options(ip6, at + 2, end, received);
	case IPPROTO_ROUTING:
		/* We are on nobody's way: no type is known here, least of all 0 (RFC 5095). */
		return ip6[at + 3] ? problem(received, IP6_PROBLEM_HEADER, at + 2) : IP6_DELIVER;
	default:
		return load_be16(ip6 + at + 2) & FRAGMENT_BITS ? IP6_DISCARD : IP6_DELIVER;
	}
}

static enum ip6_verdict judge_upper(struct ip6_received *received, unsigned field)
{
	switch (received->protocol) {
	case IPPROTO_ICMPV6:
	case IPPROTO_TCP:
	case IPPROTO_UDP:
		return IP6_DELIVER;
	case IPPROTO_NONE:
		return IP6_DISCARD;
	default:
		return problem(received, IP6_PROBLEM_NEXT, field);
	}
}

enum ip6_verdict ip6_receive(const uint8_t *ip6, unsigned room, struct ip6_received *received)
{
	unsigned at = IP6_BYTES, field = 6;

	*received = (struct ip6_received){.protocol = ip6[6]};
	for (unsigned n = 0; is_extension(received->protocol); n++) {
		enum ip6_verdict verdict;
		unsigned end;

		if (n == IP6_CHAIN_MAX || at + 8 > room)
			return IP6_TOO_LONG;
		end = at + 8;
		if (received->protocol != IPPROTO_FRAGMENT)
			end += ip6[at + 1] * 8u;
		if (end > room)
			return IP6_TOO_LONG;
		verdict = read_header(ip6, at, end, field, received);
		if (verdict != IP6_DELIVER)
			return verdict;
		received->protocol = ip6[at];
		field = at;
		at = end;
	}
	received->upper = (uint16_t)at;
	return judge_upper(received, field);
}
