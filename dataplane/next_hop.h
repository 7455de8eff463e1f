/* SPDX-License-Identifier: BSD-3-Clause */
/* Next hops as the tables thread knows them: shared by routes, counted, and published to workers as
 * immutable objects (shared.next_hop[]). Tables thread only. */
#ifndef DATAPLANE_NEXT_HOP_H
#define DATAPLANE_NEXT_HOP_H

#include <stdbool.h>
#include <stdint.h>

#include <podrail/addr.h>

enum hop_kind {
	HOP_NONE,
	HOP_VIA,   /* a neighbour's address on a port */
	HOP_HOST,  /* the same for a route to a single host that named only the port */
	HOP_GLEAN, /* a connected prefix: the destination itself is looked for on a port */
	HOP_LOCAL,
	HOP_BLACKHOLE,
	HOP_UNREACHABLE,
	HOP_GROUP, /* gateway: the group's number (hop_group.h), as an IPv4 address */
};

struct hop {
	uint8_t kind;
	bool dead; /* its port is gone: routes that still lead to it are unreachable */
	uint16_t network, port;
	uint16_t watch;       /* liveness.h; 0: none */
	struct pr_ip gateway; /* family 0: none; a link-local one has its port in it (tables.h) */
	uint32_t references;
	uint32_t chain; /* next index in the hash chain, or in the free list */
};

/* Whether gateway is a neighbour that it waits for. */
static inline bool hop_is_via(const struct hop *hop)
{
	return hop->kind == HOP_VIA || hop->kind == HOP_HOST;
}

/* Takes all memory. Control thread, before the tables thread runs. */
int hops_init(void);
void hops_free(void);

/* The next hop of these properties (gateway NULL: none), made if need be; its reference count grows
 * by one. Returns its index, or 0 when the table is full. */
uint32_t hop_take(enum hop_kind kind, uint16_t network, uint16_t port, const struct pr_ip *gateway);
/* One more reference to a next hop that has some. */
void hop_hold(uint32_t index);
/* Gives one reference back; the last one retires it. */
void hop_release(uint32_t index);
const struct hop *hop_at(uint32_t index);
/* Which watch the next hop has: liveness.c's to set. */
void hop_set_watch(uint32_t index, uint16_t watch);

/* The neighbour of that address became known, changed or failed: publishes its next hops anew. */
void hops_neighbour_changed(uint16_t network, const struct pr_ip *address);
/* It answered a question: for those who watch it. */
void hops_heard(uint16_t network, uint16_t port, const struct pr_ip *address);
/* Whether workers used the neighbour's next hops since the last call. */
bool hops_used(uint16_t network, const struct pr_ip *address);
/* A port is going: all next hops through it become unreachable. */
void hops_port_gone(uint16_t port);
uint32_t hops_count(void);

#endif
