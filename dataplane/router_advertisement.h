/* SPDX-License-Identifier: BSD-3-Clause */
/* Router advertisements (RFC 4861 sections 4.2 and 6.2) to the pods of networks that ask for them:
 * a default route by fe80::1, the MTU, and the subnets as on-link. Addresses come from CNI: nothing
 * is for autoconfiguration. */
#ifndef DATAPLANE_ROUTER_ADVERTISEMENT_H
#define DATAPLANE_ROUTER_ADVERTISEMENT_H

#include "dataplane/dataplane.h"
#include "dataplane/shared.h"

/* What a network advertises. Immutable; segment.advertised, freed with the segment. */
struct advertised {
	uint8_t n;
	struct {
		uint8_t address[16], len;
	} prefix[PR_SUBNETS_MAX];
};

#define RA_FRAME_MAX (14 + 40 + 16 + 8 + 8 + PR_SUBNETS_MAX * 32)

/* Of the network's IPv6 subnets; free(). NULL: no memory. Tables thread. */
struct advertised *advertised_make(const struct dp_network_spec *spec);

/* Writes a frame of at most RA_FRAME_MAX bytes from the port's link-local address to one of the
 * pod's (with its MAC), or NULL for all nodes. Returns its length. Any thread. */
uint16_t ra_fill(uint8_t *frame, const struct port *port, const struct advertised *advertised,
        const uint8_t *to, const uint8_t *mac);

/* Sends the unsolicited ones that are due: to each pod on its own schedule, which begins when its
 * guest listens. Tables thread, ten times a second. */
void ra_tick(uint64_t now_ms);

/* Whether a guest takes packets from the port. Tables thread. */
bool guest_listens(uint16_t port);

#endif
