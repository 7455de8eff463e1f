/* SPDX-License-Identifier: BSD-3-Clause */
/* Neighbours of routed networks, of both families: the table, questions, held packets. Tables
 * thread only. */
#ifndef DATAPLANE_NEIGHBOUR_CONTROL_H
#define DATAPLANE_NEIGHBOUR_CONTROL_H

#include "dataplane/dataplane.h"
#include "dataplane/tables.h"

enum neighbour_answer {
	NEIGHBOUR_UNKNOWN,
	NEIGHBOUR_KNOWN,
	NEIGHBOUR_SILENT, /* asked, no answer: a negative cache */
};

int neighbours_init(unsigned max);
void neighbours_free(void);

/* One link-local address may be on several links of a network. In the tables it has its port's
 * index, plus one, in bytes 2 and 3, which are zero on the wire (RFC 4291 section 2.5.6). Other
 * addresses stay what they are. */
static inline struct pr_ip scoped_ip(const struct pr_ip *ip, uint16_t port)
{
	struct pr_ip scoped = *ip;

	if (pr_ip_is_link_local6(ip)) {
		scoped.v6[2] = (uint8_t)((port + 1) >> 8);
		scoped.v6[3] = (uint8_t)(port + 1);
	}
	return scoped;
}

static inline struct pr_ip unscoped_ip(const struct pr_ip *ip)
{
	struct pr_ip plain = *ip;

	if (pr_ip_is_link_local6(ip))
		plain.v6[2] = plain.v6[3] = 0;
	return plain;
}

struct neighbour;

/* Asks for the entry's address, by broadcast or multicast, or the MAC that is known. False: no
 * packet buffer, or no room on its way. */
bool neighbour_ask(const struct neighbour *entry, bool unicast);

enum neighbour_asked {
	NEIGHBOUR_ASKED,
	NEIGHBOUR_IS_STATIC,  /* there is nothing to ask */
	NEIGHBOUR_HAS_FAILED, /* it did not answer when it was looked for */
	NEIGHBOUR_NOT_ASKED,  /* the question could not be sent */
};

/* Asks a neighbour whether it is there (liveness.c): at the MAC that is known, else by broadcast,
 * and makes an entry if there is none. seldom: not while its entry asks by itself. address: scoped.
 */
enum neighbour_asked neighbour_probe(
        uint16_t network, uint16_t port, const struct pr_ip *address, bool seldom);
/* It did not answer for a while: it has to confirm its MAC. */
void neighbour_doubt(uint16_t network, const struct pr_ip *address);

/* The neighbour's MAC if it is known on that port. address: scoped, as in the next one. */
enum neighbour_answer neighbour_mac(
        uint16_t network, uint16_t port, const struct pr_ip *address, struct pr_mac *mac);

/* A pod's own address, or one that a person configured. -EEXIST: known on another port;
 * -ENOSPC: the table is full. */
int neighbour_set_static(
        uint16_t network, uint16_t port, const struct pr_ip *address, const struct pr_mac *mac);
/* The port is going: its neighbours, their routes and held packets go. */
void neighbours_port_gone(uint16_t port);
/* These routes, n of one network, were added or removed: hosts of connected prefixes that something
 * more specific now leads to, or nothing any more, lose the routes of their own that looking for
 * them made. */
void neighbours_routes_changed(const struct dp_route *routes, size_t n);
void neighbours_network_gone(uint16_t network);
uint32_t neighbours_count(void);
uint32_t neighbours_max(void);

#endif
