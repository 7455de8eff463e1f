/* SPDX-License-Identifier: BSD-3-Clause */
/* Reading and writing neighbour discovery messages (RFC 4861). No state, no DPDK objects. */
#ifndef DATAPLANE_STAGE_ND_MESSAGE_H
#define DATAPLANE_STAGE_ND_MESSAGE_H

#include "dataplane/stage/ip6.h"

#define ND_HOP_LIMIT 255

/* Flags of an advertisement, first byte of its second word (RFC 4861 section 4.4). */
#define ND_ROUTER    0x80
#define ND_SOLICITED 0x40
#define ND_OVERRIDE  0x20

#define ND_ADVERTISEMENT_BYTES (RTE_ETHER_HDR_LEN + IP6_BYTES + 32)

/* What a message says; pointers lead into it. */
struct nd_message {
	uint8_t type;
	uint8_t flags;             /* of an advertisement */
	const uint8_t *target;     /* of solicitation, advertisement, redirect; NULL: has none */
	const uint8_t *source_mac; /* source link-layer address option, NULL: none */
	const uint8_t *target_mac; /* target link-layer address option, NULL: none */
};

static inline bool nd_is_type(uint8_t type)
{
	return type >= ICMP6_ROUTER_SOLICITATION && type <= ICMP6_REDIRECT;
}

/* Finds target and options in a message of an ND type with `length` bytes, all readable. False: too
 * short for its type, an option of no length or one that does not end within it (RFC 4861 section
 * 7.1), a link-layer address of another length than Ethernet's, or one given twice, of which
 * receivers may believe either. */
bool nd_read(const uint8_t *icmp, unsigned length, struct nd_message *message);

/* The other rules of RFC 4861 sections 6.1 and 7.1 but for the checksum: hop limit, code,
 * addresses. ip: the IPv6 header. */
bool nd_is_valid(const uint8_t *ip, const uint8_t *icmp, const struct nd_message *message);

/* Writes an advertisement of `target` with our MAC as its link-layer address, as a whole frame of
 * ND_ADVERTISEMENT_BYTES. own: source address. to NULL: to all nodes, else to this address at
 * `to_mac` (RFC 4861 section 7.2.4). */
void nd_write_advertisement(uint8_t *frame, const uint8_t *own_mac, const uint8_t *own,
        const uint8_t *to_mac, const uint8_t *to, const uint8_t *target, uint8_t flags);

#endif
