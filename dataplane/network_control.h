/* SPDX-License-Identifier: BSD-3-Clause */
/* Networks, segments and ports as the tables thread knows them. Tables thread only, except where a
 * function says otherwise. */
#ifndef DATAPLANE_NETWORK_CONTROL_H
#define DATAPLANE_NETWORK_CONTROL_H

#include "dataplane/dataplane.h"
#include "dataplane/shared.h"

struct network {
	bool used;
	struct dp_network_spec spec;
	uint16_t routed_segment; /* routed networks have one */
	uint16_t ports;
	uint32_t learned; /* MAC addresses */
	struct fib4 *fib; /* routed: both */
	struct fib6 *fib6;
	struct advertised *advertised;       /* NULL: no router advertisements */
	uint32_t hop_local, hop_unreachable; /* next hops of its own addresses and empty subnets */
};

/* What the tables thread knows of a port beyond struct port. */
struct port_control {
	bool used;
	struct dp_port_spec spec;
	uint32_t learned;  /* MAC addresses */
	uint32_t searched; /* neighbours that were made for its packets and have not answered */
	/* Router advertisements since the guest listens, up to the first few; when the next is due.
	 */
	uint8_t advertised;
	uint64_t advertise_ms;
	/* Multicast: of how many of its links it has been taken into the segment's state, whether
	 * its guest was asked, and groups that it might not join. */
	uint16_t n_snooped;
	bool multicast_asked;
	uint64_t multicast_refused;
	uint16_t n_links;
	struct port_link {
		uint16_t segment, tag;
	} * links; /* malloc'ed */
};

struct network *network_at(uint16_t index);
/* Removes all networks; their ports are gone. Control thread, at the end. */
void networks_stop(void);
struct port_control *port_at(uint16_t index);

/* The segment of (network, vlan), made if need be; 0 when all are taken. */
uint16_t segment_take(uint16_t network, uint16_t vlan);
/* Undoes segment_take for a segment that nobody joined. */
void segment_give_back(uint16_t segment);
uint16_t segment_find(uint16_t network, uint16_t vlan);
/* Adds or removes a member; a bridged segment without members is freed after a grace period. */
int segment_join(uint16_t segment, uint16_t port, uint16_t tag);
void segment_leave(uint16_t segment, uint16_t port);

/* MAC table. -EPERM, -ENOSPC, -EINVAL as fdb_set. */
int fdb_set_static(uint16_t segment, uint16_t port, uint16_t tag, const struct pr_mac *mac);
void fdb_port_gone(uint16_t port);

/* Makes a port visible to workers, or hides it. */
int port_publish(uint16_t index, struct dp_error *error);
void port_unpublish(uint16_t index);

#endif
