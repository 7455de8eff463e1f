/* SPDX-License-Identifier: BSD-3-Clause */
/* Routes: prefixes of all networks, their owners and next hops. Tables thread only. */
#ifndef DATAPLANE_ROUTE_CONTROL_H
#define DATAPLANE_ROUTE_CONTROL_H

#include "dataplane/dataplane.h"
#include "dataplane/next_hop.h"
#include "dataplane/table/fib4.h"

/* Owners below 256 are control's (dp_route.owner); these are the data plane's own. */
enum route_owner {
	ROUTE_OWNER_PORT = 0x100, /* a pod's address */
	ROUTE_OWNER_CONNECTED,    /* a subnet */
	ROUTE_OWNER_LOCAL,        /* an address of ours */
	ROUTE_OWNER_NEIGHBOUR,    /* a host that was looked for: hidden from lists */
};

/* Stores prefix -> next hop; takes over the caller's reference to the next hop, also on failure.
 * -EEXIST: the data plane itself has a route of exactly this prefix; -ENOSPC: full. */
int route_set(uint16_t network, uint32_t address, uint8_t len, uint32_t hop, uint16_t owner);
/* Removes it if it belongs to the owner. -ENOENT. */
int route_unset(uint16_t network, uint32_t address, uint8_t len, uint16_t owner);
/* The network's table, NULL if it is not routed. */
struct fib4 *network_fib(uint16_t network);

#endif
