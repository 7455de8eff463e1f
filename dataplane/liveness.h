/* SPDX-License-Identifier: BSD-3-Clause */
/* Whether the members of groups are there: their ports are looked at, their neighbours asked all
 * the time, as long as a route leads to the group. Tables thread only.
 *
 * A neighbour is asked each LIVENESS_PROBE_MS by unicast (ARP, RFC 826; neighbour solicitation, RFC
 * 4861 section 7.3.1); LIVENESS_PROBES questions in a row without an answer, and it is silent: 600
 * to 800 ms after it last answered. Then it is asked once a second, in the end by broadcast, and is
 * back with the first answer. At most LIVENESS_RATE questions a second are sent to those who answer
 * (from 200 neighbours on the interval grows with their number) and LIVENESS_RATE_SILENT to others.
 * A static neighbour, a pod's own address among them, is not asked: its port says it. */
#ifndef DATAPLANE_LIVENESS_H
#define DATAPLANE_LIVENESS_H

#include "dataplane/dataplane.h"

#define LIVENESS_PROBE_MS    200
#define LIVENESS_PROBES      3
#define LIVENESS_SILENT_MS   1000
#define LIVENESS_PORTS_MS    100 /* how often ports are looked at */
#define LIVENESS_RATE        1000
#define LIVENESS_RATE_SILENT 200
#define LIVENESS_WATCHES_MAX 4096

int liveness_init(void);
void liveness_free(void);

/* A group has this next hop as a member, or no more. One that leads to no neighbour is never alive.
 * -ENOSPC. */
int liveness_take(uint32_t hop);
void liveness_release(uint32_t hop);
bool liveness_is_alive(uint32_t hop);
enum dp_nexthop_state liveness_state(uint32_t hop);

/* The neighbour answered; its port went for ever. watch: hop.watch. */
void liveness_heard(uint16_t watch);
void liveness_hop_dead(uint16_t watch);

/* Asks who is due, looks at ports. */
void liveness_tick(uint64_t now_ms);
/* Milliseconds until there is something to do again, at most max. */
int liveness_wait(uint64_t now_ms, int max);

#endif
