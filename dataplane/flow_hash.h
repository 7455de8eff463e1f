/* SPDX-License-Identifier: BSD-3-Clause */
/* Which of a receiver's queues a flow goes to. All packets of a flow give one value, whichever
 * worker has them, so that they stay in order when a queue moves to another worker. */
#ifndef DATAPLANE_FLOW_HASH_H
#define DATAPLANE_FLOW_HASH_H

#include <stdint.h>
#include <string.h>

#include <rte_hash_crc.h>

#define FLOW_ETHERNET 14
#define FLOW_TAG      4

static inline uint64_t flow_word(const uint8_t *at)
{
	uint64_t word;

	memcpy(&word, at, sizeof(word));
	return word;
}

static inline uint32_t flow_ports(const uint8_t *at)
{
	uint32_t ports;

	memcpy(&ports, at, sizeof(ports));
	return ports;
}

/* Addresses, and ports of TCP, UDP and SCTP unless it is a fragment (RFC 791) or has options. */
static inline uint32_t flow_hash4(const uint8_t *ip, unsigned length)
{
	uint32_t ports = 0;
	uint8_t protocol = ip[9];

	if (length >= 24 && ip[0] == 0x45 && !((ip[6] & 0x3f) | ip[7]) &&
	        (protocol == 6 || protocol == 17 || protocol == 132))
		ports = flow_ports(ip + 20);
	return rte_hash_crc_8byte(flow_word(ip + 12), rte_hash_crc_4byte(ports, 0));
}

/* Addresses, and ports unless there are extension headers, fragments' among them (RFC 8200, 4.5).
 */
static inline uint32_t flow_hash6(const uint8_t *ip, unsigned length)
{
	uint32_t hash, ports = 0;
	uint8_t protocol = ip[6];

	if (length >= 44 && (protocol == 6 || protocol == 17 || protocol == 132))
		ports = flow_ports(ip + 40);
	hash = rte_hash_crc_4byte(ports, 0);
	for (unsigned n = 8; n < 40; n += 8)
		hash = rte_hash_crc_8byte(flow_word(ip + n), hash);
	return hash;
}

/* head: an Ethernet frame, with a tag or without, of which length bytes are there. What is no IP is
 * told apart by its MAC addresses. */
static inline uint32_t flow_hash(const uint8_t *head, unsigned length)
{
	unsigned l3 = FLOW_ETHERNET;

	if (length >= FLOW_ETHERNET + FLOW_TAG && head[12] == 0x81 && head[13] == 0x00)
		l3 += FLOW_TAG;
	if (length >= l3 + 20 && head[l3 - 2] == 0x08 && head[l3 - 1] == 0x00)
		return flow_hash4(head + l3, length - l3);
	if (length >= l3 + 40 && head[l3 - 2] == 0x86 && head[l3 - 1] == 0xdd)
		return flow_hash6(head + l3, length - l3);
	if (length < 12)
		return 0;
	return rte_hash_crc_8byte(flow_word(head), rte_hash_crc_4byte(flow_ports(head + 8), 0));
}

/* One of n queues. */
static inline unsigned flow_queue(uint32_t hash, unsigned n)
{
	return (hash >> 8) % n;
}

#endif
