/* SPDX-License-Identifier: BSD-3-Clause */
/* Routes: prefixes of all networks and both families, their owners and next hops. Tables thread
 * only. */
#ifndef DATAPLANE_ROUTE_CONTROL_H
#define DATAPLANE_ROUTE_CONTROL_H

#include "dataplane/dataplane.h"
#include "dataplane/next_hop.h"

/* Owners below 256 are control's (dp_route.owner); these are the data plane's own. */
enum route_owner {
	ROUTE_OWNER_PORT = 0x100, /* a pod's address */
	ROUTE_OWNER_CONNECTED,    /* a subnet */
	ROUTE_OWNER_LOCAL,        /* an address of ours */
	ROUTE_OWNER_NEIGHBOUR,    /* a host that was looked for: hidden from lists */
};

/* What a table has stored about a prefix. */
struct route_entry {
	struct pr_prefix prefix;
	uint32_t nexthop;
	uint16_t owner;
};

/* Stores prefix -> next hop; takes over the caller's reference to the next hop, also on failure.
 * -EEXIST: the data plane itself has a route of exactly this prefix; -ENOSPC: full. */
int route_set(uint16_t network, const struct pr_prefix *prefix, uint32_t hop, uint16_t owner);
/* Removes it if it belongs to the owner. -ENOENT. */
int route_unset(uint16_t network, const struct pr_prefix *prefix, uint16_t owner);

/* The route of exactly this prefix, or the longest that covers an address. 0 or -ENOENT; entry may
 * be NULL. */
int route_find(uint16_t network, const struct pr_prefix *prefix, struct route_entry *entry);
int route_match(uint16_t network, const struct pr_ip *address, struct route_entry *entry);
/* Up to n routes behind `after` (NULL: from the first): IPv4 before IPv6, by address and length.
 * Returns how many; fewer than n means the end. */
unsigned route_page(
        uint16_t network, const struct pr_prefix *after, struct route_entry *entries, unsigned n);
uint32_t routes_of(uint16_t network);
bool network_is_routed(uint16_t network);

#endif
