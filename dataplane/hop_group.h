/* SPDX-License-Identifier: BSD-3-Clause */
/* Groups of next hops: the members of a route that has several. Routes with the same members share
 * a group. Who its members are never changes: a route with other members gets another group, whose
 * layout comes from the old one. Which member a bucket leads to changes while it lives, by single
 * stores (shared.h). Tables thread only. */
#ifndef DATAPLANE_HOP_GROUP_H
#define DATAPLANE_HOP_GROUP_H

#include "dataplane/dataplane.h"
#include "dataplane/shared.h"
#include "dataplane/table/ecmp.h"

struct hop_group {
	uint32_t hop; /* index of its next hop, 0: the group is not in use */
	uint16_t network;
	struct dp_nexthops *list; /* a reference */
	uint32_t block;           /* first of its buckets, in units of ECMP_BUCKETS_MIN */
	_Atomic uint16_t *buckets;
	uint64_t alive; /* members that take packets; 0: all are gone */
	uint32_t dealt; /* so many buckets are as alive says; all but for a few turns */
	struct ecmp_layout layout;
	struct ecmp_member member[PR_NEXTHOPS_MAX];
	uint16_t member_hop[PR_NEXTHOPS_MAX]; /* next hops, a reference each */
	uint64_t key;
	uint16_t chain; /* next group in the hash chain or the free list, plus one; 0: none */
};

/* Takes all memory, room for max groups of ECMP_BUCKETS_MIN buckets. Control thread, before the
 * tables thread runs. */
int groups_init(unsigned max);
void groups_free(void);
/* Bytes that they take. Pure. */
uint64_t groups_memory(unsigned max);

/* The next hop of a group with these members in this network: one reference for the caller.
 * member_hop: next hops of the list's members, in its order; their references are taken over, also
 * on failure. Returns 0; -ENOSPC with error filled: a table is full; -EINPROGRESS: there is none
 * yet. Then the caller lets others have their turn, calls group_lay_out(), and group_end() in a new
 * turn, with no other group_take and no change of routes in between. The new group's layout comes
 * from that of the group `like` (index of a next hop with a reference until then; 0, or one that is
 * no group: none). */
int group_take(uint16_t network, struct dp_nexthops *list, const uint32_t *member_hop,
        uint32_t like, uint32_t *hop, struct dp_error *error);
/* What takes long, up to some 6 ms: control thread, outside the tables' turns. Nobody else knows
 * the group yet. */
void group_lay_out(void);
/* As group_take; never -EINPROGRESS. */
int group_end(uint32_t *hop, struct dp_error *error);

/* The group of a next hop, NULL when it is none. */
const struct hop_group *group_at(uint32_t hop);
/* Which member a flow with this hash goes to. */
unsigned group_choose(const struct hop_group *group, uint32_t hash);
/* Whether it is the group of that list, and all its members have their ports. */
bool group_has(const struct hop_group *group, uint16_t network, const struct dp_nexthops *list);

/* What next_hop.c asks for; gateway: as in struct hop. */
void group_fill(const struct pr_ip *gateway, struct next_hop *content);
void group_released(const struct pr_ip *gateway);

/* Fill of the tables. */
struct dp_table_fill groups_fill(void), group_buckets_fill(void);

#endif
