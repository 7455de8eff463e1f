/* SPDX-License-Identifier: BSD-3-Clause */
/* Multicast groups, routers and queriers of bridged networks with snooping, as the tables thread
 * keeps them (RFC 4541): who is a member, who routes, who asks, and whether that is enough for
 * groups to go to members only. Tables thread only, except where a function says otherwise. */
#ifndef DATAPLANE_MULTICAST_CONTROL_H
#define DATAPLANE_MULTICAST_CONTROL_H

#include "dataplane/network_control.h"
#include "dataplane/tables.h"

/* How many milliseconds a second of these protocols has: 1000. Tests set it, before ports are
 * there, to be done sooner. */
extern uint32_t multicast_second;

#define MULTICAST_FOREVER UINT64_MAX

/* A port that leads to a multicast router. */
struct multicast_router {
	uint16_t port, tag;
	uint64_t until; /* ms; MULTICAST_FOREVER: the port's option says so */
};

/* One family (IPv4, IPv6) in one segment. */
struct multicast_family {
	struct multicast_router *router; /* sorted by port; malloc'ed */
	unsigned n_routers;
	/* Who asks hosts, other than we: valid until `other_until`. */
	struct pr_ip querier;
	uint16_t querier_port;
	uint64_t other_until;
	/* Said by the querier, or our own. */
	uint8_t robustness;
	uint32_t interval_s, response_ms;
	bool querying;      /* we ask */
	uint8_t startup;    /* queries that come at shorter intervals */
	uint64_t query_ms;  /* our next one */
	uint64_t active_ms; /* from when on hosts have had time to answer; 0: nobody asks */
	/* Joins were refused, of unknown groups and of known ones: flooded until then. */
	uint64_t overflow_until, full_until;
};

struct multicast_segment {
	uint16_t ports;
	struct pr_mac mac; /* sender of our queries */
	struct multicast_family family[2];
};

/* NULL: no snooping there. */
struct multicast_segment *multicast_segment_at(uint16_t segment);

/* Takes a port into, and out of, the multicast state of all its segments. */
int multicast_port_joined(uint16_t port);
void multicast_port_gone(uint16_t port);

/* What workers told. */
void multicast_group_event(const struct event *event);
void multicast_query_event(const struct event *event);
/* Timers and ageing. */
void multicast_tick(uint64_t now_ms);

/* ---- between the files ---- */

/* multicast_control.c: computes and publishes segment.snoop. */
void multicast_publish(uint16_t segment);
/* multicast_control.c: a port leads to a router until then, at least. */
void multicast_router_add(uint16_t segment, bool v6, uint16_t port, uint16_t tag, uint64_t until);
/* multicast_control.c: the tag of a segment's frames on a port. False: it is no member. */
bool multicast_link(uint16_t port, uint16_t segment, uint16_t *tag);
/* How long a membership holds without being said again, in ms (RFC 3376 8.4). */
uint64_t multicast_membership_ms(const struct multicast_family *family);
/* How long to wait after a question about one group (RFC 3376 8.8). */
uint64_t multicast_last_member_ms(void);

/* multicast_querier.c: whether somebody asks, we or others. */
bool multicast_is_asked(const struct multicast_family *family, uint64_t now_ms);
/* multicast_querier.c: our own queries and the election. */
void multicast_query_tick(uint16_t segment, uint64_t now_ms);
/* multicast_querier.c: asks one port, for all groups or for one, where somebody asks. False: it
 * could not be sent. */
bool multicast_ask_port(uint16_t segment, bool v6, uint16_t port, const struct pr_ip *group);
/* multicast_querier.c: a new segment's family. */
void multicast_family_init(struct multicast_family *family, const struct network *network, bool v6);

#endif
