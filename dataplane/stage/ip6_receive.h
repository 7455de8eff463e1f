/* SPDX-License-Identifier: BSD-3-Clause */
/* What a host makes of the extension headers of a packet to itself (RFC 8200 section 4). No state;
 * any thread. */
#ifndef DATAPLANE_STAGE_IP6_RECEIVE_H
#define DATAPLANE_STAGE_IP6_RECEIVE_H

#include "dataplane/stage/ip6.h"

/* Parameter problem codes (RFC 4443 section 3.4). */
enum ip6_problem {
	IP6_PROBLEM_HEADER = 0,
	IP6_PROBLEM_NEXT = 1,
	IP6_PROBLEM_OPTION = 2,
};

enum ip6_verdict {
	IP6_DELIVER,  /* TCP, UDP or ICMPv6 is at `upper` */
	IP6_DISCARD,  /* silently: fragments, options that ask for it, nothing in it */
	IP6_TOO_LONG, /* the chain does not end within the head, or has too many headers */
	IP6_PROBLEM,  /* the sender learns of it: code and pointer */
};

/* All offsets count from the IPv6 header's first byte. */
struct ip6_received {
	uint8_t protocol;
	uint8_t code; /* enum ip6_problem */
	uint16_t upper;
	uint16_t pointer;
};

/* room: bytes from the IPv6 header on that may be looked at, at least its own 40. Fragments are not
 * put together; one that is the whole packet (RFC 6946) is delivered. */
enum ip6_verdict ip6_receive(const uint8_t *ip6, unsigned room, struct ip6_received *received);

#endif
