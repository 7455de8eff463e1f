/* SPDX-License-Identifier: BSD-3-Clause */
/* What the writer and the reader of frames share. */
#ifndef GEN_FRAME_INTERNAL_H
#define GEN_FRAME_INTERNAL_H

#include "checksum.h"
#include "frame.h"

#define ETHERTYPE_4    0x0800
#define ETHERTYPE_6    0x86dd
#define ETHERTYPE_ARP  0x0806
#define ETHERTYPE_VLAN 0x8100

/*
 * The check over the first 16 bytes of the payload, as two words in memory order. Values, not a
 * pointer: the writer would wait for its own small stores to leave the store buffer.
 */
static inline uint16_t payload_check(uint64_t low, uint64_t high)
{
	uint64_t h = (low ^ 0x8ebc6af09c88c6e3u) * 0x589965cc75374cc3u;

	h ^= h >> 32;
	h = (h + high) * 0x1d8e4e27c47d124fu;
	return (uint16_t)(h >> 48);
}

/* Two 32-bit words as they follow one another in memory. */
static inline uint64_t join32(uint32_t first, uint32_t second)
{
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
	return (uint64_t)second << 32 | first;
#else
	return (uint64_t)first << 32 | second;
#endif
}

/* The 8 bytes at the end of a body. */
static inline uint64_t payload_trailer(const struct frame_id *id)
{
	uint64_t h = ((uint64_t)id->flow << 32 | id->seq) ^ 0xe7037ed1a0b428dbu;

	h = (h ^ h >> 29) * 0xa0761d6478bd642fu;
	return (h ^ h >> 32) + id->run;
}

/* Where in a payload of `length` bytes the trailer lies: even, so that its sum needs no swap. */
static inline uint32_t trailer_at(uint32_t length)
{
	return (length - 8) & ~1u;
}

static inline void flow_ports(
        const struct frame_template *t, uint32_t flow, uint16_t *sport, uint16_t *dport)
{
	uint32_t n = t->spread ? flow >> t->dst_shift : flow;

	*sport = htons((uint16_t)(FRAME_SPORT + n % FRAME_PORT_SPAN));
	*dport = htons((uint16_t)(FRAME_DPORT + n / FRAME_PORT_SPAN));
}

/* The low part of a flow's destination, network order: 4 bytes (IPv4) or 8. */
static inline uint64_t flow_destination(const struct frame_template *t, uint32_t flow)
{
	uint64_t low = t->dst_base + (flow * t->dst_factor & t->dst_mask) * t->dst_step;

	return t->ipv6 ? __builtin_bswap64(low) : htonl((uint32_t)low);
}

#endif
