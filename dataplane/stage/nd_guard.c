/* SPDX-License-Identifier: BSD-3-Clause */
#include "dataplane/stage/nd_guard.h"

static bool mac_allowed(const struct guard *guard, const uint8_t *mac)
{
	return !guard->check_mac || !mac || guard_allows_mac(guard, mac);
}

enum pr_drop_reason nd_guard_check(const struct guard *guard, const uint8_t *ip,
        const struct nd_message *message, bool bridged)
{
	static const uint8_t any[16];

	/* A redirect's target is somebody else, and so is its MAC. */
	if (!mac_allowed(guard, message->source_mac) ||
	        (message->type != ICMP6_REDIRECT && !mac_allowed(guard, message->target_mac)))
		return PR_DROP_SPOOFED_MAC;
	if (!guard->check_ip)
		return PR_DROP_COUNT;
	switch (message->type) {
	case ICMP6_NEIGHBOUR_ADVERTISEMENT:
		break;
	case ICMP6_NEIGHBOUR_SOLICITATION:
		/* Duplicate address detection: who has the address would let go of it. */
		if (!bridged || !ip6_is_unspecified(ip + IP6_SOURCE))
			return PR_DROP_COUNT;
		break;
	case ICMP6_ROUTER_ADVERTISEMENT:
	case ICMP6_REDIRECT:
		/* A router is who may send from any address. */
		return !bridged || guard_allows_ip6(guard, any) ? PR_DROP_COUNT
		                                                : PR_DROP_SPOOFED_IP;
	default:
		return PR_DROP_COUNT;
	}
	return guard_allows_ip6(guard, message->target) ? PR_DROP_COUNT : PR_DROP_SPOOFED_IP;
}

/* A checksum that is left to us is written after this: in its own place, or behind all that was
 * looked at. */
static bool offload_is_harmless(
        const struct batch *batch, uint64_t i, const struct ip6_chain *chain)
{
	unsigned upper = L3_OFFSET + chain->at;
	unsigned field = (unsigned)batch->csum_start[i] + batch->csum_offset[i];

	if (!(batch->offload[i] & OFFLOAD_CSUM))
		return true;
	return chain->protocol == IPPROTO_ICMPV6 ? field == upper + 2 : field >= upper;
}

enum pr_drop_reason nd_guard_bridged(
        const struct guard *guard, const struct batch *batch, uint64_t i)
{
	const uint8_t *ip = batch->head[i] + L3_OFFSET;
	unsigned length = IP6_BYTES + load_be16(ip + 4);
	unsigned readable = RTE_MIN(batch->head_length[i] - (unsigned)L3_OFFSET, length);
	struct nd_message message;
	struct ip6_chain chain;

	if (!ip6_find_upper(ip, readable, &chain))
		return PR_DROP_HEADER_TOO_LONG;
	if (!offload_is_harmless(batch, i, &chain))
		return PR_DROP_BAD_OFFLOAD;
	if (chain.protocol != IPPROTO_ICMPV6 || chain.later)
		return PR_DROP_COUNT;
	if (chain.at >= readable)
		return PR_DROP_HEADER_TOO_LONG;
	if (!nd_is_type(ip[chain.at]))
		return PR_DROP_COUNT;
	if (chain.fragment)
		return PR_DROP_ND_INVALID;
	if (readable < length)
		return PR_DROP_HEADER_TOO_LONG;
	if (!nd_read(ip + chain.at, length - chain.at, &message))
		return PR_DROP_ND_INVALID;
	return nd_guard_check(guard, ip, &message, true);
}
