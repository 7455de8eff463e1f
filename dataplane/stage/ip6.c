/* SPDX-License-Identifier: BSD-3-Clause */
#include "dataplane/stage/ip6.h"

#define FRAGMENT_BYTES  8
#define FRAGMENT_OFFSET 0xfff8
#define FRAGMENT_MORE   0x0001

enum ip6_step ip6_chain_next(const uint8_t *ip, unsigned readable, struct ip6_chain *chain)
{
	const uint8_t *header = ip + chain->at;
	unsigned bytes;
	uint16_t place;

	if (chain->later)
		return IP6_UPPER;
	switch (chain->protocol) {
	case IPPROTO_HOPOPTS:
	case IPPROTO_ROUTING:
	case IPPROTO_DSTOPTS:
	case IPPROTO_FRAGMENT:
	case IPPROTO_AH:
		break;
	default:
		return IP6_UPPER;
	}
	if (chain->followed == IP6_HEADERS_MAX || chain->at + 8u > readable)
		return IP6_BROKEN;
	bytes = (header[1] + 1u) * 8;
	if (chain->protocol == IPPROTO_AH) {
		bytes = (header[1] + 2u) * 4;
	} else if (chain->protocol == IPPROTO_FRAGMENT) {
		bytes = FRAGMENT_BYTES;
		place = load_be16(header + 2);
		chain->fragment |= (place & (FRAGMENT_OFFSET | FRAGMENT_MORE)) != 0;
		chain->later = place & FRAGMENT_OFFSET;
	}
	if (chain->at + bytes > readable)
		return IP6_BROKEN;
	chain->named_at = chain->at;
	chain->protocol = header[0];
	chain->at = (uint16_t)(chain->at + bytes);
	chain->followed++;
	return IP6_FOLLOWED;
}

bool ip6_find_upper(const uint8_t *ip, unsigned readable, struct ip6_chain *chain)
{
	enum ip6_step step;

	*chain = ip6_chain_begin(ip);
	do
		step = ip6_chain_next(ip, readable, chain);
	while (step == IP6_FOLLOWED);
	return step == IP6_UPPER;
}
