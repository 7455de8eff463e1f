/* SPDX-License-Identifier: BSD-3-Clause */
#include "dataplane/hop_group_deal.h"

#include "dataplane/liveness.h"

/* A group that is not concerned: two lines of memory for each member, and some for itself. */
#define LOOKS_A_MEMBER 4
#define LOOKS_A_GROUP  8

/* Goes round the table: a change that comes while it is under way makes the round longer, but lets
 * no group wait for more than one. */
static struct {
	struct hop_group *group; /* [max] */
	unsigned max, at, left;
} sweep;

struct deal_stats deal_stats;

void deals_init(struct hop_group *group, unsigned max)
{
	sweep.group = group;
	sweep.max = max;
	sweep.at = sweep.left = 0;
}

uint64_t group_alive_members(const struct hop_group *group)
{
	uint64_t alive = 0;

	for (unsigned k = 0; k < group->layout.n; k++)
		alive |= (uint64_t)liveness_is_alive(group->member_hop[k]) << k;
	return alive;
}

/* Only what differs is stored: workers' copies of the other lines stay. */
uint32_t group_deal(struct hop_group *group, uint32_t looks)
{
	uint32_t searched = (uint32_t)__builtin_popcountll(group->alive), done = 0;

	while (group->dealt < group->layout.buckets && done < looks) {
		uint32_t b = group->dealt++;
		_Atomic uint16_t *bucket = &group->buckets[b];
		uint16_t hop = group->member_hop[ecmp_owner(&group->layout, b, group->alive)];

		if (atomic_load_explicit(bucket, memory_order_relaxed) != hop)
			atomic_store_explicit(bucket, hop, memory_order_release);
		done += group->alive >> group->layout.home[b] & 1 ? 1 : 1 + searched;
	}
	return done;
}

/* Returns how many looks it took; the group is done if all its buckets are dealt. */
static uint32_t look_at(struct hop_group *group, uint32_t looks)
{
	uint64_t alive = group_alive_members(group);
	uint32_t done = LOOKS_A_GROUP + LOOKS_A_MEMBER * group->layout.n;

	if (alive != group->alive) {
		group->alive = alive;
		group->dealt = 0;
	}
	if (group->dealt == group->layout.buckets)
		return done;
	done += group_deal(group, looks);
	if (group->dealt == group->layout.buckets)
		deal_stats.groups++;
	return done;
}

void groups_member_changed(void)
{
	sweep.left = sweep.max;
}

bool groups_deal_left(void)
{
	return sweep.left;
}

bool groups_deal(void)
{
	uint32_t done = 0;

	while (sweep.left && done < DEAL_BUDGET) {
		struct hop_group *group = &sweep.group[sweep.at];

		if (group->hop) {
			done += look_at(group, DEAL_BUDGET - done);
			if (group->dealt < group->layout.buckets)
				break;
		}
		done++;
		sweep.at = sweep.at + 1 < sweep.max ? sweep.at + 1 : 0;
		sweep.left--;
	}
	if (done > deal_stats.most)
		deal_stats.most = done;
	return sweep.left;
}
