/* SPDX-License-Identifier: BSD-3-Clause */
/* One fragment: whether it makes sense, and what the table must know of it. */
#include "dataplane/stage/ip_header.h"
#include "dataplane/stage/reassemble.h"

#define DONT_FRAGMENT  0x4000
#define MORE_FRAGMENTS 0x2000
#define OFFSET_BITS    0x1fff
#define MORE6          0x0001
#define OFFSET6_BITS   0xfff8
#define FRAGMENT_BYTES 8
#define UNIT           8
#define TCP_BYTES      20
#define SCTP_BYTES     12

/* Whoever looks at ports later finds all of the header in the first fragment (RFC 1858, 7112). */
static bool transport_is_whole(uint8_t protocol, const uint8_t *at, unsigned room)
{
	switch (protocol) {
	case IPPROTO_TCP:
		return room >= TCP_BYTES && room >= (at[12] >> 4) * 4u;
	case IPPROTO_SCTP:
	case IPPROTO_DCCP:
		return room >= SCTP_BYTES;
	case IPPROTO_UDP:
	case IPPROTO_UDPLITE:
	case IPPROTO_ICMP:
	case IPPROTO_ICMPV6:
		return room >= 8;
	default:
		return true;
	}
}

/* What is the same in both families: no empty ones, all but the last end where the next can begin,
 * none ends where no datagram does, and none begins within a TCP header (RFC 1858, RFC 3128). */
static bool is_sound(const struct reassembly_fragment *fragment, unsigned length, uint8_t protocol)
{
	if (!length || (fragment->more && length % UNIT) ||
	        fragment->offset + length > REASSEMBLY_MAX)
		return false;
	return protocol != IPPROTO_TCP || fragment->offset != UNIT;
}

/* In one mbuf, all of it to be looked at. */
static enum pr_drop_reason land(struct batch *batch, uint64_t i, struct rte_mbuf **packet)
{
	*packet = batch_mbuf(batch, i);
	if (unlikely(!*packet))
		return PR_DROP_NO_MBUF;
	return (*packet)->nb_segs == 1 ? PR_DROP_COUNT : PR_DROP_FRAGMENT_INVALID;
}

enum pr_drop_reason reassemble_read4(
        struct batch *batch, uint64_t i, struct reassembly_fragment *fragment)
{
	enum pr_drop_reason reason = ip4_check_header(batch, i);
	unsigned header, length;
	struct rte_mbuf *packet;
	const uint8_t *ip;
	uint16_t bits;

	if (reason != PR_DROP_COUNT)
		return reason;
	/* A part of a packet has no checksum that could be left to us. */
	if (batch->offload[i])
		return PR_DROP_BAD_OFFLOAD;
	reason = land(batch, i, &packet);
	if (reason != PR_DROP_COUNT)
		return reason;
	ip = batch->head[i] + L3_OFFSET;
	header = (ip[0] & 15) * 4u;
	length = batch->length[i] - L3_OFFSET - header;
	bits = load_be16(ip + 6);
	fragment->packet = packet;
	fragment->offset = (uint16_t)((bits & OFFSET_BITS) * UNIT);
	fragment->length = (uint16_t)length;
	fragment->more = bits & MORE_FRAGMENTS;
	fragment->size = (uint16_t)(header + length);
	fragment->marks = (uint8_t)(1u << (ip[1] & 3) | (bits & DONT_FRAGMENT ? MARK_DF : 0));
	fragment->key.family = AF_INET;
	fragment->key.segment = batch->segment[i];
	fragment->key.protocol = ip[9];
	fragment->key.id = load_be16(ip + 4);
	memcpy(fragment->key.source, ip + 12, 4);
	memcpy(fragment->key.destination, ip + 16, 4);
	if (!is_sound(fragment, length, ip[9]) ||
	        (!fragment->offset && !transport_is_whole(ip[9], ip + header, length)))
		return PR_DROP_FRAGMENT_INVALID;
	return PR_DROP_COUNT;
}

/* Whether the rest of the header chain is there, the transport's header included, and has no second
 * fragment header (RFC 7112). */
static bool chain_is_whole(const uint8_t *ip6, unsigned fragment_at, unsigned room)
{
	uint8_t protocol = ip6[fragment_at];
	unsigned at = fragment_at + FRAGMENT_BYTES;

	for (unsigned n = 0; n <= IP6_CHAIN_MAX; n++) {
		unsigned bytes;

		switch (protocol) {
		case IPPROTO_HOPOPTS:
		case IPPROTO_ROUTING:
		case IPPROTO_DSTOPTS:
		case IPPROTO_AH:
			if (at + 8 > room)
				return false;
			bytes = protocol == IPPROTO_AH ? (ip6[at + 1] + 2u) * 4
			                               : (ip6[at + 1] + 1u) * 8;
			if (at + bytes > room)
				return false;
			break;
		case IPPROTO_FRAGMENT:
			return false;
		default:
			return transport_is_whole(protocol, ip6 + at, room - at);
		}
		protocol = ip6[at];
		at += bytes;
	}
	return false;
}

static void fill6(struct reassembly_fragment *fragment, const struct batch *batch, uint64_t i,
        const uint8_t *ip6, unsigned at)
{
	fragment->size = (uint16_t)(batch->length[i] - L3_OFFSET);
	fragment->marks = (uint8_t)(1u << (ip6[1] >> 4 & 3));
	fragment->key.family = AF_INET6;
	fragment->key.segment = batch->segment[i];
	fragment->key.id = load_be32(ip6 + at + 4);
	memcpy(fragment->key.source, ip6 + 8, 16);
	memcpy(fragment->key.destination, ip6 + 24, 16);
}

enum pr_drop_reason reassemble_read6(
        struct batch *batch, uint64_t i, struct reassembly_fragment *fragment)
{
	enum pr_drop_reason reason = ip6_check_header(batch, i);
	struct ip6_fragment found;
	unsigned room, length;
	struct rte_mbuf *packet;
	const uint8_t *ip6;
	uint16_t bits;

	if (reason == PR_DROP_COUNT)
		reason = land(batch, i, &packet);
	if (reason != PR_DROP_COUNT)
		return reason;
	ip6 = batch->head[i] + L3_OFFSET;
	room = batch->head_length[i] - (unsigned)L3_OFFSET;
	found = ip6_find_fragment(ip6, room);
	if (found.hidden)
		return PR_DROP_HEADER_TOO_LONG;
	if (!found.at)
		return PR_DROP_COUNT;
	bits = load_be16(ip6 + found.at + 2);
	fragment->offset = bits & OFFSET6_BITS;
	fragment->more = bits & MORE6;
	if (fragment->offset ? ip6[found.at] == IPPROTO_FRAGMENT
	                     : !chain_is_whole(ip6, found.at, room))
		return PR_DROP_FRAGMENT_INVALID;
	/* The whole packet (RFC 6946): nothing to wait for. */
	if (!fragment->offset && !fragment->more)
		return PR_DROP_COUNT;
	if (batch->offload[i])
		return PR_DROP_BAD_OFFLOAD;
	/* All that is in front of the payload is in the heads of what leaves. */
	if (L3_OFFSET + found.at + FRAGMENT_BYTES + RTE_VLAN_HLEN > PR_HEAD_MAX)
		return PR_DROP_HEADER_TOO_LONG;
	length = room - found.at - FRAGMENT_BYTES;
	if (!is_sound(fragment, length, ip6[found.at]))
		return PR_DROP_FRAGMENT_INVALID;
	fragment->packet = packet;
	fragment->length = (uint16_t)length;
	fill6(fragment, batch, i, ip6, found.at);
	return PR_DROP_COUNT;
}
