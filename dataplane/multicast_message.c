/* SPDX-License-Identifier: BSD-3-Clause */
#include "dataplane/multicast_message.h"

#include "dataplane/stage/ip6.h"

#define IP4_BYTES        20
#define IP4_TTL          8
#define IP4_PROTOCOL     9
#define IP6_HOP_LIMIT    7
#define PIM_HELLO        0x20 /* version 2, type 0 */
#define ROUTER_ALERT     5    /* RFC 2711 */
#define PAD_1            0
#define IGMP_V1_RESPONSE 10000
#define IGMP_RECORD      8
#define MLD_RECORD       20

enum igmp_type {
	IGMP_QUERY = 0x11,
	IGMP_REPORT1 = 0x12,
	IGMP_REPORT2 = 0x16,
	IGMP_LEAVE = 0x17,
	IGMP_REPORT3 = 0x22,
};

enum record_type { /* RFC 3376 4.2.12, RFC 3810 5.2.12 */
	IS_INCLUDE = 1,
	IS_EXCLUDE,
	TO_INCLUDE,
	TO_EXCLUDE,
	ALLOW,
	BLOCK,
};

/* RFC 3376 4.1.1 and 4.1.7: above 127 a mantissa and an exponent. */
static uint32_t code8(uint8_t code)
{
	if (code < 128)
		return code;
	return (uint32_t)((code & 0xf) | 0x10) << ((code >> 4 & 7) + 3);
}

/* RFC 3810 5.1.3. */
static uint32_t code16(uint16_t code)
{
	if (code < 32768)
		return code;
	return (uint32_t)((code & 0xfff) | 0x1000) << ((code >> 12 & 7) + 3);
}

static struct pr_ip group_at(const uint8_t *at, bool v6)
{
	struct pr_ip ip = {.family = v6 ? AF_INET6 : AF_INET};

	memcpy(ip.b, at, v6 ? 16 : 4);
	return ip;
}

static bool is_group(const uint8_t *at, bool v6)
{
	return v6 ? ip6_is_multicast(at) : at[0] >> 4 == 0xe;
}

static bool is_local(const struct pr_ip *group)
{
	return group->family == AF_INET6 ? multicast_is_local6(group->v6)
	                                 : multicast_is_local4(group->v4);
}

/* Records of one shape for both families: type, length of what is behind in words, sources, group.
 */
static unsigned record_bytes(const uint8_t *at, bool v6)
{
	unsigned address = v6 ? 16 : 4;

	return 4 + address * (1u + load_be16(at + 2)) + at[1] * 4u;
}

static void take_records(struct multicast_message *m, const uint8_t *at, unsigned n, unsigned room)
{
	const unsigned least = m->v6 ? MLD_RECORD : IGMP_RECORD;

	m->record = at;
	m->left = n;
	for (; n; n--) {
		unsigned bytes;

		if (room < least || (bytes = record_bytes(at, m->v6)) > room ||
		        !is_group(at + 4, m->v6)) {
			m->kind = MULTICAST_INVALID;
			return;
		}
		at += bytes;
		room -= bytes;
	}
	m->kind = MULTICAST_REPORT;
}

static enum multicast_action action_of(uint8_t type, unsigned sources)
{
	switch (type) {
	case IS_EXCLUDE:
	case TO_EXCLUDE:
		return MULTICAST_JOIN;
	case IS_INCLUDE:
	case TO_INCLUDE:
		return sources ? MULTICAST_JOIN : MULTICAST_LEAVE;
	case ALLOW:
		return sources ? MULTICAST_JOIN : MULTICAST_NOTHING;
	case BLOCK:
		return sources ? MULTICAST_BLOCK : MULTICAST_NOTHING;
	default:
		return MULTICAST_NOTHING;
	}
}

/* The one group of an older message is kept in m->group. */
static void take_single(struct multicast_message *m, const uint8_t *at)
{
	m->record = NULL;
	m->left = 1;
	m->group = group_at(at, m->v6);
	m->kind = is_group(at, m->v6) ? MULTICAST_REPORT : MULTICAST_INVALID;
}

bool multicast_next(struct multicast_message *m, struct multicast_record *record)
{
	if (!m->left)
		return false;
	m->left--;
	if (m->record) {
		record->group = group_at(m->record + 4, m->v6);
		record->action = action_of(m->record[0], load_be16(m->record + 2));
		m->record += record_bytes(m->record, m->v6);
	} else {
		record->group = m->group;
		record->action = m->sources ? MULTICAST_LEAVE : MULTICAST_JOIN;
	}
	if (is_local(&record->group))
		record->action = MULTICAST_NOTHING;
	return true;
}

/* ---- queries ---- */

/* at: the group's address; to: the packet's destination. A general query goes to all nodes (RFC
 * 3376 9.1: hosts ignore others), one for a group to that group. */
static void take_query(
        struct multicast_message *m, const uint8_t *at, const uint8_t *to, unsigned n, unsigned old)
{
	static const uint8_t all4[4] = {224, 0, 0, 1}, all6[16] = {0xff, 2, [15] = 1}, none[16];
	const unsigned bytes = m->v6 ? 16 : 4;
	const uint8_t *more = at + bytes;
	bool general = !memcmp(at, none, bytes);

	m->kind = MULTICAST_INVALID;
	if (general ? memcmp(to, m->v6 ? all6 : all4, bytes) != 0 : !is_group(at, m->v6))
		return;
	if (!general)
		m->group = group_at(at, m->v6);
	if (n != old) {
		if (n < old + 4 || n < old + 4 + bytes * (unsigned)load_be16(more + 2))
			return;
		m->robustness = more[0] & 7;
		m->sources = more[0] & 8 || load_be16(more + 2);
		m->interval_s = code8(more[1]);
	}
	m->kind = MULTICAST_QUERY;
}

/* ---- IGMP ---- */

static void parse_igmp(
        struct multicast_message *m, const uint8_t *ip, const uint8_t *igmp, unsigned n)
{
	switch (igmp[0]) {
	case IGMP_QUERY:
		m->version = n >= 12 ? 3 : igmp[1] ? 2 : 1;
		m->response_ms = m->version == 1 ? IGMP_V1_RESPONSE
		                                 : 100 * (n >= 12 ? code8(igmp[1]) : igmp[1]);
		take_query(m, igmp + 4, ip + 16, n, 8);
		return;
	case IGMP_REPORT1:
	case IGMP_REPORT2:
	case IGMP_LEAVE:
		m->version = igmp[0] == IGMP_REPORT1 ? 1 : 2;
		m->sources = igmp[0] == IGMP_LEAVE;
		take_single(m, igmp + 4);
		return;
	case IGMP_REPORT3:
		m->version = 3;
		take_records(m, igmp + 8, load_be16(igmp + 6), n - 8);
		return;
	default:
		m->kind = MULTICAST_OTHER;
	}
}

static void parse4(
        const uint8_t *ip, unsigned length, uint32_t offload, struct multicast_message *m)
{
	static const uint8_t all_pim[4] = {224, 0, 0, 13};
	unsigned header, total;
	bool pim;

	if (length < IP4_BYTES ||
	        (ip[IP4_PROTOCOL] != IPPROTO_IGMP && ip[IP4_PROTOCOL] != IPPROTO_PIM))
		return;
	pim = ip[IP4_PROTOCOL] == IPPROTO_PIM;
	m->kind = pim ? MULTICAST_DATA : MULTICAST_INVALID;
	header = (ip[0] & 0xf) * 4u;
	total = load_be16(ip + 2);
	/* Neither is ever in fragments, nor does any router pass it on. */
	if (ip[0] >> 4 != 4 || header < IP4_BYTES || total < header + 8u || total > length ||
	        bytes_sum(ip, header) != 0xffff || load_be16(ip + 6) & 0x3fff || ip[IP4_TTL] != 1)
		return;
	if (offload == MULTICAST_NO_OFFLOAD ? bytes_sum(ip + header, total - header) != 0xffff
	                                    : offload != header + 2)
		return;
	m->source = group_at(ip + 12, false);
	if (!pim)
		parse_igmp(m, ip, ip + header, total - header);
	else if (ip[header] == PIM_HELLO && !memcmp(ip + 16, all_pim, 4))
		m->kind = MULTICAST_HELLO;
}

/* ---- MLD ---- */

/* RFC 2711: the option in the hop-by-hop header at ip6 + 40, which is all there. */
static bool has_router_alert(const uint8_t *ip6)
{
	unsigned end = IP6_BYTES + (ip6[IP6_BYTES + 1] + 1u) * 8, at = IP6_BYTES + 2;

	while (at + 2 <= end) {
		if (ip6[at] == PAD_1) {
			at++;
			continue;
		}
		if (ip6[at] == ROUTER_ALERT)
			return ip6[at + 1] == 2 && at + 4 <= end && !load_be16(ip6 + at + 2);
		at += 2u + ip6[at + 1];
	}
	return false;
}

static bool is_mld(uint8_t type)
{
	return (type >= ICMP6_LISTENER_QUERY && type <= ICMP6_LISTENER_DONE) ||
	       type == ICMP6_LISTENER_REPORT2;
}

static void parse_mld(
        struct multicast_message *m, const uint8_t *ip6, const uint8_t *icmp, unsigned n)
{
	m->version = 1;
	switch (icmp[0]) {
	case ICMP6_LISTENER_QUERY:
		if (n < 24)
			return;
		if (ip6_is_unspecified(ip6 + 8))
			return;
		m->version = n == 24 ? 1 : 2;
		m->response_ms = n == 24 ? load_be16(icmp + 4) : code16(load_be16(icmp + 4));
		take_query(m, icmp + 8, ip6 + 24, n, 24);
		return;
	case ICMP6_LISTENER_REPORT2:
		m->version = 2;
		take_records(m, icmp + 8, load_be16(icmp + 6), n - 8);
		return;
	default:
		if (n < 24)
			return;
		m->sources = icmp[0] == ICMP6_LISTENER_DONE;
		take_single(m, icmp + 8);
	}
}

static bool sum6_is_right(
        const uint8_t *ip6, uint8_t protocol, unsigned at, unsigned total, uint32_t offload)
{
	if (offload != MULTICAST_NO_OFFLOAD)
		return offload == at + 2;
	return ip6_sum(ip6, protocol, ip6 + at, total - at) == 0xffff;
}

static void parse_pim6(
        const uint8_t *ip6, unsigned total, uint32_t offload, struct multicast_message *m)
{
	static const uint8_t all_pim[16] = {0xff, 2, [15] = 13};

	if (total < IP6_BYTES + 8 || ip6[IP6_BYTES] != PIM_HELLO || ip6[IP6_HOP_LIMIT] != 1 ||
	        memcmp(ip6 + 24, all_pim, 16) != 0 || !ip6_is_link_local(ip6 + 8) ||
	        !sum6_is_right(ip6, IPPROTO_PIM, IP6_BYTES, total, offload))
		return;
	m->source = group_at(ip6 + 8, true);
	m->kind = MULTICAST_HELLO;
}

/* A packet or first fragment that does not show which ICMPv6 message it is, or what it is at all
 * (RFC 7112, RFC 6980): hosts would find MLD in it once it is put together. Of later fragments the
 * first is what counts, unless one is in another. */
static bool is_hidden(const uint8_t *ip6, unsigned total, const struct ip6_upper *upper)
{
	if (upper->fragment)
		return !(load_be16(ip6 + ip6_find_fragment(ip6, total).at + 2) & 0xfff8);
	return !upper->offset || (upper->protocol == IPPROTO_ICMPV6 && upper->offset >= total);
}

/* RFC 3810 section 5: hop limit 1, a link-local source (or none, RFC 3590), router alert. */
static void parse6(
        const uint8_t *ip6, unsigned length, uint32_t offload, struct multicast_message *m)
{
	struct ip6_upper upper;
	unsigned total;

	if (length < IP6_BYTES || ip6[0] >> 4 != 6)
		return;
	total = IP6_BYTES + load_be16(ip6 + 4);
	if (total > length)
		return;
	if (ip6[6] == IPPROTO_PIM) {
		parse_pim6(ip6, total, offload, m);
		return;
	}
	upper = ip6_find_upper(ip6, total);
	if (is_hidden(ip6, total, &upper)) {
		m->kind = MULTICAST_INVALID;
		return;
	}
	if (upper.protocol != IPPROTO_ICMPV6 || upper.fragment || !is_mld(ip6[upper.offset]))
		return;
	m->kind = MULTICAST_INVALID;
	if (upper.field != IP6_BYTES || ip6[6] != IPPROTO_HOPOPTS || total < upper.offset + 8u ||
	        ip6[IP6_HOP_LIMIT] != 1 || !has_router_alert(ip6) ||
	        (!ip6_is_link_local(ip6 + 8) && !ip6_is_unspecified(ip6 + 8)) ||
	        !sum6_is_right(ip6, IPPROTO_ICMPV6, upper.offset, total, offload))
		return;
	m->source = group_at(ip6 + 8, true);
	parse_mld(m, ip6, ip6 + upper.offset, total - upper.offset);
}

void multicast_parse(
        const uint8_t *l3, unsigned length, bool v6, uint32_t offload, struct multicast_message *m)
{
	*m = (struct multicast_message){.kind = MULTICAST_DATA, .v6 = v6};
	if (v6)
		parse6(l3, length, offload, m);
	else
		parse4(l3, length, offload, m);
}

/* ---- what we say ourselves ---- */

static uint8_t make_code8(uint32_t value)
{
	unsigned exponent = 0;

	if (value < 128)
		return (uint8_t)value;
	while (exponent < 7 && value >> (exponent + 3) > 0x1f)
		exponent++;
	value >>= exponent + 3;
	return value > 0x1f ? 0xff : (uint8_t)(0x80 | exponent << 4 | (value & 0xf));
}

static unsigned fill4(uint8_t *frame, const struct multicast_query *query)
{
	static const uint8_t all[4] = {224, 0, 0, 1};
	const uint8_t *to = query->group ? query->group->v4 : all;
	uint8_t *ip = frame + L3_OFFSET, *igmp = ip + IP4_BYTES + 4;
	uint16_t sum;

	memcpy(frame, (const uint8_t[]){0x01, 0x00, 0x5e, to[1] & 0x7f, to[2], to[3]}, 6);
	store_be16(frame + 12, RTE_ETHER_TYPE_IPV4);
	ip[0] = 0x46;
	ip[1] = 0xc0; /* RFC 3376 section 4 */
	store_be16(ip + 2, IP4_BYTES + 4 + 12);
	ip[IP4_TTL] = 1;
	ip[IP4_PROTOCOL] = IPPROTO_IGMP;
	memcpy(ip + 12, query->source.v4, 4);
	memcpy(ip + 16, to, 4);
	memcpy(ip + 20, (const uint8_t[]){0x94, 4, 0, 0}, 4); /* router alert, RFC 2113 */
	sum = (uint16_t)~bytes_sum(ip, IP4_BYTES + 4);
	memcpy(ip + 10, &sum, 2);
	igmp[0] = IGMP_QUERY;
	igmp[1] = make_code8(query->response_ms / 100);
	if (query->group)
		memcpy(igmp + 4, query->group->v4, 4);
	igmp[8] = query->robustness;
	igmp[9] = make_code8(query->interval_s);
	sum = (uint16_t)~bytes_sum(igmp, 12);
	memcpy(igmp + 2, &sum, 2);
	return RTE_ETHER_MIN_LEN - RTE_ETHER_CRC_LEN;
}

static unsigned fill6(uint8_t *frame, const struct multicast_query *query)
{
	static const uint8_t all[16] = {0xff, 2, [15] = 1},
	                     hop[8] = {IPPROTO_ICMPV6, 0, ROUTER_ALERT, 2, 0, 0, 1, 0};
	const uint8_t *to = query->group ? query->group->v6 : all;
	uint8_t *ip6 = frame + L3_OFFSET, *icmp = ip6 + IP6_BYTES + sizeof(hop);

	ip6_multicast_mac(frame, to);
	store_be16(frame + 12, RTE_ETHER_TYPE_IPV6);
	ip6_fill(ip6, sizeof(hop) + 28, 1);
	ip6[6] = IPPROTO_HOPOPTS;
	memcpy(ip6 + 8, query->source.v6, 16);
	memcpy(ip6 + 24, to, 16);
	memcpy(ip6 + IP6_BYTES, hop, sizeof(hop));
	icmp[0] = ICMP6_LISTENER_QUERY;
	store_be16(icmp + 4, (uint16_t)(query->response_ms < 32768 ? query->response_ms : 32767));
	if (query->group)
		memcpy(icmp + 8, query->group->v6, 16);
	icmp[24] = query->robustness;
	icmp[25] = make_code8(query->interval_s);
	icmp6_finish(ip6, icmp, 28);
	return L3_OFFSET + IP6_BYTES + (unsigned)sizeof(hop) + 28;
}

unsigned multicast_fill_query(uint8_t *frame, const struct multicast_query *query)
{
	memset(frame, 0, MULTICAST_QUERY_MAX);
	memcpy(frame + 6, query->mac, 6);
	return query->source.family == AF_INET6 ? fill6(frame, query) : fill4(frame, query);
}
