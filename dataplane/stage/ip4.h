/* SPDX-License-Identifier: BSD-3-Clause */
/* IPv4 header access that the stages share. All addresses in host order. */
#ifndef DATAPLANE_STAGE_IP4_H
#define DATAPLANE_STAGE_IP4_H

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include <rte_byteorder.h>
#include <rte_ether.h>

#define L3_OFFSET RTE_ETHER_HDR_LEN

static inline uint16_t load_be16(const uint8_t *p)
{
	uint16_t value;

	memcpy(&value, p, sizeof(value));
	return rte_be_to_cpu_16(value);
}

static inline uint32_t load_be32(const uint8_t *p)
{
	uint32_t value;

	memcpy(&value, p, sizeof(value));
	return rte_be_to_cpu_32(value);
}

static inline void store_be16(uint8_t *p, uint16_t value)
{
	value = rte_cpu_to_be_16(value);
	memcpy(p, &value, sizeof(value));
}

static inline void store_be32(uint8_t *p, uint32_t value)
{
	value = rte_cpu_to_be_32(value);
	memcpy(p, &value, sizeof(value));
}

/* "This network", loopback, multicast, class E and broadcast: neither a source nor a destination of
 * what is routed (RFC 1812 5.3.7). */
static inline bool ip4_is_martian(uint32_t address)
{
	return address >> 24 == 0 || address >> 24 == 127 || address >= 0xe0000000;
}

/* Whether a source route does not end here (RFC 791 section 3.1): the options say where else it
 * wants to go. The whole header can be read. */
static inline bool ip4_is_source_routed(const uint8_t *ip)
{
	unsigned end = (ip[0] & 15) * 4u, at = 20;

	while (at < end && ip[at] != 0) {
		unsigned n = ip[at] == 1 ? 1 : at + 1 < end ? ip[at + 1] : 0;

		if ((ip[at] == 131 || ip[at] == 137) && n >= 3 && at + n <= end)
			return ip[at + 2] <= n;
		if (!n || (n == 1 && ip[at] != 1))
			return false;
		at += n;
	}
	return false;
}

/* Sum of 20 bytes as 16-bit words in memory order, folded; 0xffff for a header whose checksum is
 * right (RFC 1071). */
static inline uint16_t ip4_sum20(const uint8_t *ip)
{
	uint64_t a, b;
	uint32_t c;
	uint64_t sum;

	memcpy(&a, ip, 8);
	memcpy(&b, ip + 8, 8);
	memcpy(&c, ip + 16, 4);
	sum = (a & 0xffffffff) + (a >> 32) + (b & 0xffffffff) + (b >> 32) + c;
	sum = (sum & 0xffff) + ((sum >> 16) & 0xffff) + (sum >> 32);
	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t)sum;
}

/* Sum of any even or odd number of bytes, folded; in memory order. */
static inline uint16_t bytes_sum(const uint8_t *p, unsigned n)
{
	uint64_t sum = 0;

	for (; n > 1; n -= 2, p += 2) {
		uint16_t word;

		memcpy(&word, p, 2);
		sum += word;
	}
	if (n) {
		uint16_t word = 0;

		memcpy(&word, p, 1);
		sum += word;
	}
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t)sum;
}

#endif
