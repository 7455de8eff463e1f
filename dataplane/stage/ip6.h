/* SPDX-License-Identifier: BSD-3-Clause */
/* IPv6 header access that the stages share (RFC 8200, RFC 4291). Addresses are 16 bytes in network
 * order. Any thread; nothing here keeps anything. */
#ifndef DATAPLANE_STAGE_IP6_H
#define DATAPLANE_STAGE_IP6_H

#include <netinet/in.h>

#include "dataplane/stage/ip4.h"

#define IP6_BYTES       40
#define IP6_NEXT        6 /* offsets in the header */
#define IP6_HOP_LIMIT   7
#define IP6_SOURCE      8
#define IP6_DESTINATION 24
#define IP6_MTU_MIN     1280 /* RFC 8200 section 5 */
#define IP6_HEADERS_MAX 8    /* extension headers that are followed */
#define ICMP6_BYTES     8

/* RFC 4443, 4861, 2710, 3810, 4286. */
enum icmp6_type {
	ICMP6_UNREACHABLE = 1,
	ICMP6_TOO_BIG = 2,
	ICMP6_TIME_EXCEEDED = 3,
	ICMP6_PARAMETER = 4,
	ICMP6_INFORMATION = 128, /* types from here on are no errors */
	ICMP6_ECHO_REQUEST = 128,
	ICMP6_ECHO_REPLY = 129,
	ICMP6_MLD_QUERY = 130,
	ICMP6_MLD_REPORT = 131,
	ICMP6_MLD_DONE = 132,
	ICMP6_ROUTER_SOLICITATION = 133,
	ICMP6_ROUTER_ADVERTISEMENT = 134,
	ICMP6_NEIGHBOUR_SOLICITATION = 135,
	ICMP6_NEIGHBOUR_ADVERTISEMENT = 136,
	ICMP6_REDIRECT = 137,
	ICMP6_MLD2_REPORT = 143,
	ICMP6_MRD_ADVERTISEMENT = 151,
	ICMP6_MRD_TERMINATION = 153,
};

/* The halves of an address, in host order. */
static inline uint64_t ip6_high(const uint8_t *address)
{
	uint64_t value;

	memcpy(&value, address, sizeof(value));
	return rte_be_to_cpu_64(value);
}

static inline uint64_t ip6_low(const uint8_t *address)
{
	return ip6_high(address + 8);
}

static inline bool ip6_equal(const uint8_t *a, const uint8_t *b)
{
	return ip6_high(a) == ip6_high(b) && ip6_low(a) == ip6_low(b);
}

static inline bool ip6_is_unspecified(const uint8_t *address)
{
	return !(ip6_high(address) | ip6_low(address));
}

static inline bool ip6_is_multicast(const uint8_t *address)
{
	return address[0] == 0xff;
}

/* fe80::/10 */
static inline bool ip6_is_link_local(const uint8_t *address)
{
	return address[0] == 0xfe && (address[1] & 0xc0) == 0x80;
}

/* Neither a source nor a destination of what is routed: unspecified, loopback, IPv4-compatible and
 * IPv4-mapped addresses (RFC 6890 section 2.2.3, RFC 4291 section 2.5), multicasts. */
static inline bool ip6_is_martian(const uint8_t *address)
{
	uint64_t high = ip6_high(address), top = ip6_low(address) >> 32;

	return high >> 56 == 0xff || (!high && (!top || top == 0xffff));
}

/* ff02::1:ffXX:XXXX (RFC 4291 section 2.7.1) */
static inline bool ip6_is_solicited_node(const uint8_t *address)
{
	return ip6_high(address) == UINT64_C(0xff02) << 48 && ip6_low(address) >> 24 == 0x1ff;
}

/* Sum of the pseudo-header (RFC 8200 section 8.1), folded, in memory order. addresses: source and
 * destination, as they follow one another in the header. length: of the upper-layer packet. */
static inline uint16_t ip6_pseudo_sum(const uint8_t *addresses, uint32_t length, uint8_t protocol)
{
	uint8_t tail[8];
	uint32_t sum;

	store_be32(tail, length);
	store_be32(tail + 4, protocol);
	sum = (uint32_t)bytes_sum(addresses, 32) + bytes_sum(tail, sizeof(tail));
	return (uint16_t)(sum + (sum >> 16));
}

/* Sum of an ICMPv6 message with its pseudo-header (RFC 4443 section 2.3): 0xffff when its checksum
 * is right. ip: the header whose addresses count; all of the message must be readable. */
static inline uint16_t icmp6_sum(const uint8_t *ip, const uint8_t *message, uint32_t length)
{
	uint32_t sum = (uint32_t)ip6_pseudo_sum(ip + IP6_SOURCE, length, IPPROTO_ICMPV6) +
	               bytes_sum(message, length);

	return (uint16_t)(sum + (sum >> 16));
}

/* A header of a packet's chain; all offsets count from the IPv6 header's first byte. */
struct ip6_chain {
	uint8_t protocol;  /* of the header at `at` */
	uint8_t followed;  /* extension headers before it */
	bool fragment;     /* the packet is a fragment of several */
	bool later;        /* and not the first: what is at `at` is no header */
	uint16_t at;       /* may lie at the end of what can be read */
	uint16_t named_at; /* where its protocol is written */
};

/* The first header behind the IPv6 header, which must be readable. */
static inline struct ip6_chain ip6_chain_begin(const uint8_t *ip)
{
	return (struct ip6_chain){.protocol = ip[IP6_NEXT], .at = IP6_BYTES, .named_at = IP6_NEXT};
}

enum ip6_step {
	IP6_FOLLOWED, /* an extension header was left behind */
	IP6_UPPER,    /* there is none: it is the upper layer, no next header, or unknown */
	IP6_BROKEN,   /* it does not end within what can be read, or there are too many */
};

/* Leaves one extension header behind (RFC 8200 section 4, RFC 4302, RFC 7045). readable: bytes from
 * the IPv6 header on that may be looked at. */
enum ip6_step ip6_chain_next(const uint8_t *ip, unsigned readable, struct ip6_chain *chain);

/* Follows the chain to its end. False: it has none within what can be read. */
bool ip6_find_upper(const uint8_t *ip, unsigned readable, struct ip6_chain *chain);

#endif
