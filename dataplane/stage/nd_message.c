/* SPDX-License-Identifier: BSD-3-Clause */
#include "dataplane/stage/nd_message.h"

#define OPTION_SOURCE_MAC 1
#define OPTION_TARGET_MAC 2
#define TARGET_AT         8
#define TARGET_END        24
#define OPTIONS_MAX       64 /* of 8 bytes at least */

/* Bytes before the options. */
static unsigned fixed_bytes(uint8_t type)
{
	switch (type) {
	case ICMP6_ROUTER_SOLICITATION:
		return 8;
	case ICMP6_ROUTER_ADVERTISEMENT:
		return 16;
	case ICMP6_REDIRECT:
		return 40;
	default:
		return TARGET_END;
	}
}

static bool read_mac(const uint8_t *option, const uint8_t **mac)
{
	if (*mac || option[1] != 1)
		return false;
	*mac = option + 2;
	return true;
}

static bool read_options(const uint8_t *at, const uint8_t *end, struct nd_message *message)
{
	for (unsigned n = 0; at < end; n++) {
		unsigned bytes;

		if (end - at < 8 || n == OPTIONS_MAX)
			return false;
		bytes = at[1] * 8u;
		if (!bytes || bytes > (size_t)(end - at))
			return false;
		if (at[0] == OPTION_SOURCE_MAC && !read_mac(at, &message->source_mac))
			return false;
		if (at[0] == OPTION_TARGET_MAC && !read_mac(at, &message->target_mac))
			return false;
		at += bytes;
	}
	return true;
}

bool nd_read(const uint8_t *icmp, unsigned length, struct nd_message *message)
{
	unsigned fixed;

	*message = (struct nd_message){0};
	if (length < 8)
		return false;
	fixed = fixed_bytes(icmp[0]);
	if (length < fixed)
		return false;
	message->type = icmp[0];
	message->flags = icmp[4];
	if (fixed >= TARGET_END)
		message->target = icmp + TARGET_AT;
	return read_options(icmp + fixed, icmp + length, message);
}

bool nd_is_valid(const uint8_t *ip, const uint8_t *icmp, const struct nd_message *message)
{
	const uint8_t *source = ip + IP6_SOURCE, *destination = ip + IP6_DESTINATION;
	bool unspecified = ip6_is_unspecified(source);

	if (ip[IP6_HOP_LIMIT] != ND_HOP_LIMIT || icmp[1])
		return false;
	switch (message->type) {
	case ICMP6_ROUTER_SOLICITATION: /* 6.1.1 */
		return !unspecified || !message->source_mac;
	case ICMP6_NEIGHBOUR_SOLICITATION: /* 7.1.1 */
		return !ip6_is_multicast(message->target) &&
		       (!unspecified ||
		               (!message->source_mac && ip6_is_solicited_node(destination)));
	case ICMP6_NEIGHBOUR_ADVERTISEMENT: /* 7.1.2 */
		return !ip6_is_multicast(message->target) &&
		       !(ip6_is_multicast(destination) && message->flags & ND_SOLICITED);
	default: /* 6.1.2, 8.1 */
		return ip6_is_link_local(source);
	}
}

void nd_write_advertisement(uint8_t *frame, const uint8_t *own_mac, const uint8_t *own,
        const uint8_t *to_mac, const uint8_t *to, const uint8_t *target, uint8_t flags)
{
	static const uint8_t all_nodes[16] = {0xff, 2, [15] = 1};
	static const uint8_t all_nodes_mac[6] = {0x33, 0x33, 0, 0, 0, 1};
	uint8_t *ip = frame + RTE_ETHER_HDR_LEN, *icmp = ip + IP6_BYTES;
	uint16_t sum;

	memcpy(frame, to ? to_mac : all_nodes_mac, 6);
	memcpy(frame + 6, own_mac, 6);
	store_be16(frame + 12, RTE_ETHER_TYPE_IPV6);
	memset(ip, 0, ND_ADVERTISEMENT_BYTES - RTE_ETHER_HDR_LEN);
	ip[0] = 0x60;
	store_be16(ip + 4, ND_ADVERTISEMENT_BYTES - RTE_ETHER_HDR_LEN - IP6_BYTES);
	ip[IP6_NEXT] = IPPROTO_ICMPV6;
	ip[IP6_HOP_LIMIT] = ND_HOP_LIMIT;
	memcpy(ip + IP6_SOURCE, own, 16);
	memcpy(ip + IP6_DESTINATION, to ? to : all_nodes, 16);
	icmp[0] = ICMP6_NEIGHBOUR_ADVERTISEMENT;
	icmp[4] = to ? flags | ND_SOLICITED : flags;
	memcpy(icmp + TARGET_AT, target, 16);
	icmp[24] = OPTION_TARGET_MAC;
	icmp[25] = 1;
	memcpy(icmp + 26, own_mac, 6);
	sum = (uint16_t)~icmp6_sum(ip, icmp, 32);
	memcpy(icmp + 2, &sum, 2);
}
