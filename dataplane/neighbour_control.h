/* SPDX-License-Identifier: BSD-3-Clause */
/* Neighbours of routed networks: the table, ARP requests, held packets. Tables thread only. */
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

/* The neighbour's MAC if it is known on that port. address: host order. */
enum neighbour_answer neighbour_mac(
        uint16_t network, uint16_t port, uint32_t address, struct pr_mac *mac);

/* A pod's own address, or one that a person configured. -EEXIST: known on another port;
 * -ENOSPC: the table is full. */
int neighbour_set_static(
        uint16_t network, uint16_t port, uint32_t address, const struct pr_mac *mac);
/* -ENOENT. */
int neighbour_remove(uint16_t network, uint32_t address);
/* The port is going: its neighbours, their routes and held packets go. */
void neighbours_port_gone(uint16_t port);
/* Routes were added or removed: hosts of connected prefixes that something more specific now leads
 * to, or nothing any more, lose the routes of their own that looking for them made. */
void neighbours_routes_changed(uint16_t network);
void neighbours_network_gone(uint16_t network);
uint32_t neighbours_count(void);
uint32_t neighbours_max(void);

#endif
