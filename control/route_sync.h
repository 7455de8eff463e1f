/* SPDX-License-Identifier: BSD-3-Clause */
/* What route_sync.c (a client's routes) and route_change.c (bringing them into effect) share.
 * Control thread. */
#ifndef PODRAIL_ROUTE_SYNC_H
#define PODRAIL_ROUTE_SYNC_H

#include "control/object.h"

/* Lists of next hops that differ: a reference each. All zero but the limit at first. */
struct route_lists {
	struct dp_nexthops **list; /* [size], n in use, in the order in which they came */
	uint32_t *place;           /* [2 * size]: hash table of indices plus one; 0: none */
	uint32_t n, size, limit;
};

struct route_sync {
	char network[PR_NAME_MAX + 1];
	uint8_t owner;
	char lost[PR_NAME_MAX + 1]; /* a port that a route names and that was removed since */
	struct dp_route *routes;
	size_t n, size;
	size_t of_family[2]; /* IPv4, IPv6: how many of routes, and how many the tables hold */
	uint64_t limit[2];
	struct route_lists lists;
	struct route_sync *next;
};

struct route_change {
	const struct network *network;
	uint8_t owner;
	struct dp_route *add; /* new ones, and the new form of those that differ */
	struct dp_route *old; /* the old form of those that differ */
	struct dp_route *del;
	size_t n_add, n_old, n_del, kept;
};

/* Replaces the reference *list by one to the same list if there is one. -ENOSPC: there is none, and
 * no room for it; -ENOMEM. */
int route_lists_share(struct route_lists *lists, struct dp_nexthops **list);
/* Forgets all but the first n. */
void route_lists_cut(struct route_lists *lists, uint32_t n);
void route_lists_free(struct route_lists *lists);

/* Finds what a commit has to change. Sorts the sync's routes. Fails the request when a prefix is
 * given twice with different meaning or belongs to another owner. Returns 0 or -1. */
int route_change_find(
        struct request *request, struct route_sync *sync, struct route_change *change);
/* Brings it into effect: all or nothing. */
int route_change_apply(struct request *request, const struct route_change *change);
void route_change_free(struct route_change *change);

#endif
