/* SPDX-License-Identifier: BSD-3-Clause */
/* Which member of a group of next hops a flow takes. Workers, and the tables thread for route.get.
 *
 * The same words as in flow_hash.h go through a CRC. That is linear: another start value would only
 * turn the same bits, and flows that met in a bucket would meet in a receiver's queue, and in the
 * next router's bucket, too (polarization). What follows it is not linear and has the daemon's seed
 * in it. */
#ifndef DATAPLANE_ECMP_HASH_H
#define DATAPLANE_ECMP_HASH_H

#include "dataplane/flow_hash.h"

static inline uint32_t ecmp_mix(uint32_t hash, uint32_t seed)
{
	hash ^= seed;
	hash = (hash ^ hash >> 16) * 0x85ebca6bu;
	hash = (hash ^ hash >> 13) * 0xc2b2ae35u;
	return hash ^ hash >> 16;
}

static inline uint64_t ecmp_l4(uint8_t protocol, const uint8_t *at)
{
	return (uint64_t)protocol << 32 | flow_ports(at);
}

static inline bool ecmp_has_ports(uint8_t protocol)
{
	return protocol == 6 || protocol == 17 || protocol == 132;
}

/* Addresses, protocol and ports; of other protocols than TCP, UDP and SCTP, of packets with
 * options, and of fragments (RFC 791), the first one too, addresses alone: all fragments go one
 * way. ip: an IPv4 header of which length bytes, at least 20, are there. */
static inline uint32_t ecmp_hash4(const uint8_t *ip, unsigned length, uint32_t seed)
{
	uint64_t l4 = 0;

	if (length >= 24 && ip[0] == 0x45 && !((ip[6] & 0x3f) | ip[7]) && ecmp_has_ports(ip[9]))
		l4 = ecmp_l4(ip[9], ip + 20);
	return ecmp_mix(rte_hash_crc_8byte(flow_word(ip + 12), rte_hash_crc_8byte(l4, 0)), seed);
}

/* The same; behind extension headers, a fragment's among them (RFC 8200 section 4.5), nothing is
 * looked for. Not the flow label: senders change it with each retransmission to get another path
 * (RFC 6438 has it for tunnels). ip: 40 bytes at least. */
static inline uint32_t ecmp_hash6(const uint8_t *ip, unsigned length, uint32_t seed)
{
	uint64_t l4 = 0;
	uint32_t hash;

	if (length >= 44 && ecmp_has_ports(ip[6]))
		l4 = ecmp_l4(ip[6], ip + 40);
	hash = rte_hash_crc_8byte(l4, 0);
	for (unsigned n = 8; n < 40; n += 8)
		hash = rte_hash_crc_8byte(flow_word(ip + n), hash);
	return ecmp_mix(hash, seed);
}

#endif
