/* SPDX-License-Identifier: BSD-3-Clause */
/* IPv6 and ICMPv6 header access that stages and the tables thread share (RFC 8200, 4443, 4861). */
#ifndef DATAPLANE_STAGE_IP6_H
#define DATAPLANE_STAGE_IP6_H

#include <netinet/in.h>

#include <rte_ip.h>

#include "dataplane/stage/ip4.h"

#define IP6_BYTES          40
#define IP6_MTU_MIN        1280 /* RFC 8200 section 5 */
#define ICMP6_BYTES        8
#define IP6_FRAGMENT_BYTES 8
#define ND_HOP_LIMIT       255
#define ND_LINK_BYTES      8 /* a link-layer address option on Ethernet (RFC 2464 section 6) */

enum icmp6_type {
	ICMP6_UNREACHABLE = 1,
	ICMP6_PACKET_TOO_BIG = 2,
	ICMP6_TIME_EXCEEDED = 3,
	ICMP6_PARAMETER = 4,
	ICMP6_FIRST_INFORMATIONAL = 128,
	ICMP6_ECHO = 128,
	ICMP6_ECHO_ANSWER = 129,
	ICMP6_LISTENER_QUERY = 130, /* RFC 2710, 3810 */
	ICMP6_LISTENER_DONE = 132,
	ICMP6_ROUTER_SOLICIT = 133,
	ICMP6_ROUTER_ADVERTISE = 134,
	ICMP6_NEIGHBOUR_SOLICIT = 135,
	ICMP6_NEIGHBOUR_ADVERTISE = 136,
	ICMP6_ND_REDIRECT = 137,
	ICMP6_LISTENER_REPORT2 = 143,
};

enum nd_option {
	ND_SOURCE_LINK = 1,
	ND_TARGET_LINK = 2,
	ND_PREFIX = 3,
	ND_MTU = 5,
};

enum nd_flag {
	ND_ROUTER = 0x80,
	ND_SOLICITED = 0x40,
	ND_OVERRIDE = 0x20,
};

static inline bool ip6_is_multicast(const uint8_t address[16])
{
	return address[0] == 0xff;
}

static inline bool ip6_is_link_local(const uint8_t address[16])
{
	return address[0] == 0xfe && (address[1] & 0xc0) == 0x80;
}

static inline bool ip6_is_unspecified(const uint8_t address[16])
{
	uint64_t words[2];

	memcpy(words, address, sizeof(words));
	return !(words[0] | words[1]);
}

/* 2000::/3: neither martian nor link-local nor multicast (RFC 4291 section 2.4). */
static inline bool ip6_is_global(const uint8_t address[16])
{
	return (address[0] & 0xe0) == 0x20;
}

/* Neither a source nor a destination of what is routed: unspecified, loopback, IPv4-mapped
 * (RFC 4291 sections 2.5.2, 2.5.3, 2.5.5.2; RFC 6890), multicast. */
static inline bool ip6_is_martian(const uint8_t address[16])
{
	uint64_t words[2];

	if (address[0])
		return ip6_is_multicast(address);
	memcpy(words, address, sizeof(words));
	return !words[0] &&
	       (rte_be_to_cpu_64(words[1]) <= 1 || rte_be_to_cpu_64(words[1]) >> 32 == 0xffff);
}

/* ff02::1:ffXX:XXXX (RFC 4291 section 2.7.1). */
static inline void ip6_solicited_node(uint8_t to[16], const uint8_t address[16])
{
	static const uint8_t prefix[13] = {0xff, 2, [11] = 1, [12] = 0xff};

	memcpy(to, prefix, sizeof(prefix));
	memcpy(to + 13, address + 13, 3);
}

/* 33:33 and the address's last four bytes (RFC 2464 section 7). */
static inline void ip6_multicast_mac(uint8_t mac[6], const uint8_t address[16])
{
	mac[0] = mac[1] = 0x33;
	memcpy(mac + 2, address + 12, 4);
}

/* Sum of the pseudo-header (RFC 8200 section 8.1) and n bytes behind the header, folded, in memory
 * order: 0xffff for a message whose checksum is right. */
static inline uint16_t ip6_sum(const uint8_t *ip6, uint8_t protocol, const uint8_t *at, uint32_t n)
{
	uint8_t tail[8] = {0};
	uint32_t sum;

	store_be32(tail, n);
	tail[7] = protocol;
	sum = (uint32_t)bytes_sum(ip6 + 8, 32) + bytes_sum(tail, sizeof(tail)) +
	      rte_raw_cksum(at, n);
	sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t)((sum & 0xffff) + (sum >> 16));
}

/* Version, no traffic class or flow label, length, ICMPv6. The caller writes the addresses. */
static inline void ip6_fill(uint8_t *ip6, uint16_t payload, uint8_t hop_limit)
{
	memset(ip6, 0, IP6_BYTES);
	ip6[0] = 0x60;
	store_be16(ip6 + 4, payload);
	ip6[6] = IPPROTO_ICMPV6;
	ip6[7] = hop_limit;
}

/* Fills the checksum of an ICMPv6 message of n bytes behind the header. */
static inline void icmp6_finish(const uint8_t *ip6, uint8_t *icmp, uint32_t n)
{
	uint16_t sum;

	icmp[2] = icmp[3] = 0;
	sum = (uint16_t)~ip6_sum(ip6, IPPROTO_ICMPV6, icmp, n);
	memcpy(icmp + 2, &sum, sizeof(sum));
}

/* A source or target link-layer address option. */
static inline void nd_link_option(uint8_t *to, enum nd_option type, const uint8_t mac[6])
{
	to[0] = (uint8_t)type;
	to[1] = 1;
	memcpy(to + 2, mac, 6);
}

#define IP6_CHAIN_MAX 8 /* extension headers that are looked through */

/* What is behind a packet's extension headers. */
struct ip6_upper {
	uint8_t protocol;
	bool fragment;   /* not the first one: what is at offset is not a header */
	uint16_t offset; /* from the IPv6 header; 0: not found */
	uint16_t field;  /* offset of the next-header field that names the protocol */
};

/* Looks through at most IP6_CHAIN_MAX extension headers within room bytes (RFC 8200 section 4).
 * offset 0: the chain is longer, or ends beyond. */
static inline struct ip6_upper ip6_find_upper(const uint8_t *ip6, unsigned room)
{
	struct ip6_upper upper = {.protocol = ip6[6], .field = 6};
	unsigned at = IP6_BYTES;

	for (unsigned n = 0; n <= IP6_CHAIN_MAX; n++) {
		unsigned length;

		switch (upper.protocol) {
		case IPPROTO_HOPOPTS:
		case IPPROTO_ROUTING:
		case IPPROTO_DSTOPTS:
			if (at + 8 > room)
				return upper;
			length = (ip6[at + 1] + 1u) * 8;
			break;
		case IPPROTO_AH:
			if (at + 8 > room)
				return upper;
			length = (ip6[at + 1] + 2u) * 4; /* RFC 4302 section 2.2 */
			break;
		case IPPROTO_FRAGMENT:
			if (at + 8 > room)
				return upper;
			length = 8;
			if (load_be16(ip6 + at + 2) & 0xfff8)
				upper.fragment = true;
			break;
		default:
			if (at <= room)
				upper.offset = (uint16_t)at;
			return upper;
		}
		upper.protocol = ip6[at];
		upper.field = (uint16_t)at;
		if (upper.fragment) {
			upper.offset = (uint16_t)(at + length);
			return upper;
		}
		at += length;
	}
	return upper;
}

/* Where a packet's fragment header is. */
struct ip6_fragment {
	uint16_t at;    /* from the IPv6 header; 0: there is none */
	uint16_t field; /* offset of the next-header field that names it */
	bool hidden; /* the chain is longer than IP6_CHAIN_MAX, or ends beyond what can be seen */
};

/* Looks for a fragment header within room bytes (at least the IPv6 header's 40). */
static inline struct ip6_fragment ip6_find_fragment(const uint8_t *ip6, unsigned room)
{
	struct ip6_fragment found = {.field = 6};
	unsigned at = IP6_BYTES;
	uint8_t protocol = ip6[6];

	for (unsigned n = 0; n <= IP6_CHAIN_MAX; n++) {
		if (protocol != IPPROTO_HOPOPTS && protocol != IPPROTO_ROUTING &&
		        protocol != IPPROTO_DSTOPTS && protocol != IPPROTO_AH &&
		        protocol != IPPROTO_FRAGMENT)
			return found;
		if (at + 8 > room)
			break;
		if (protocol == IPPROTO_FRAGMENT) {
			found.at = (uint16_t)at;
			return found;
		}
		found.field = (uint16_t)at;
		/* RFC 4302 section 2.2: AH counts in words. */
		at += protocol == IPPROTO_AH ? (ip6[at + 1] + 2u) * 4 : (ip6[at + 1] + 1u) * 8;
		protocol = ip6[found.field];
	}
	found.hidden = true;
	return found;
}

static inline bool icmp6_is_nd(uint8_t type)
{
	return type >= ICMP6_ROUTER_SOLICIT && type <= ICMP6_ND_REDIRECT;
}

#endif
