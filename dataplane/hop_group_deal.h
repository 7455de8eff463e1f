/* SPDX-License-Identifier: BSD-3-Clause */
/* Which member each bucket of a group leads to while members leave and return. A change only says
 * that there is one; groups are then looked at one after the other, some in each turn, and those
 * whose members it concerned dealt out once, however many of them changed. Tables thread only. */
#ifndef DATAPLANE_HOP_GROUP_DEAL_H
#define DATAPLANE_HOP_GROUP_DEAL_H

#include <stdbool.h>
#include <stdint.h>

#include "dataplane/hop_group.h"

/* How much of it is done in one turn: looks at a bucket's member, 4 ns each or less. */
#define DEAL_BUDGET (1u << 16)

/* How much was done since the start. Written in the tables' turns, read by anybody. */
struct deal_stats {
	_Atomic uint64_t groups; /* dealt out wholly */
	_Atomic uint32_t most;   /* looks of one turn */
};

extern struct deal_stats deal_stats;

/* The table of groups: before there are any, and at its end. */
void deals_init(struct hop_group *group, unsigned max);

/* Mask of the group's members that are alive now. */
uint64_t group_alive_members(const struct hop_group *group);
/* Deals on where the last call stopped, as far as the looks reach, one bucket at least. Returns how
 * many looks that took. Also for a group that nobody knows yet, in any thread. */
uint32_t group_deal(struct hop_group *group, uint32_t looks);

/* Some member's liveness changed. */
void groups_member_changed(void);
/* One turn's share of what there is to do. Returns whether there is more. */
bool groups_deal(void);
bool groups_deal_left(void);

#endif
