/* SPDX-License-Identifier: BSD-3-Clause */
#include <stdlib.h>
#include <string.h>

#include <rte_malloc.h>

#include "dataplane/hop_group.h"
#include "dataplane/hop_group_deal.h"
#include "dataplane/liveness.h"
#include "dataplane/neighbour_control.h"
#include "dataplane/next_hop.h"
#include "dataplane/tables.h"

#define KEYS 1024

static struct {
	struct hop_group *group;  /* [max] */
	struct hop_group *making; /* between group_take and group_end */
	const struct hop_group *like;
	_Atomic uint16_t *buckets; /* [max * ECMP_BUCKETS_MIN] */
	uint8_t *home;             /* the same */
	bool *block_used;          /* [max] */
	unsigned max, used, blocks_used;
	uint16_t unused;     /* free list */
	uint16_t keys[KEYS]; /* hash chains */
} groups;

/* ---- lists of members ---- */

struct dp_nexthops *dp_nexthops_new(unsigned n)
{
	struct dp_nexthops *list = calloc(1, sizeof(*list) + n * sizeof(list->member[0]));

	if (list) {
		list->n = (uint16_t)n;
		atomic_init(&list->references, 1);
	}
	return list;
}

struct dp_nexthops *dp_nexthops_hold(struct dp_nexthops *nexthops)
{
	if (nexthops)
		atomic_fetch_add_explicit(&nexthops->references, 1, memory_order_relaxed);
	return nexthops;
}

void dp_nexthops_release(struct dp_nexthops *nexthops)
{
	if (nexthops &&
	        atomic_fetch_sub_explicit(&nexthops->references, 1, memory_order_acq_rel) == 1)
		free(nexthops);
}

static uint64_t hash_bytes(uint64_t hash, const void *data, size_t size)
{
	const uint8_t *at = data;

	while (size--)
		hash = (hash ^ *at++) * UINT64_C(0x100000001b3);
	return hash;
}

/* Who a member is, whatever index its port has now. */
static uint64_t member_id(const struct dp_nexthop *member)
{
	uint64_t hash = hash_bytes(
	        UINT64_C(0xcbf29ce484222325), member->gateway.b, pr_ip_bytes(&member->gateway));

	return hash_bytes(hash, member->port_name, strlen(member->port_name));
}

static bool same_members(const struct dp_nexthops *a, const struct dp_nexthops *b)
{
	if (a->n != b->n)
		return false;
	for (unsigned k = 0; k < a->n; k++)
		if (a->member[k].weight != b->member[k].weight ||
		        !pr_ip_equal(&a->member[k].gateway, &b->member[k].gateway) ||
		        strcmp(a->member[k].port_name, b->member[k].port_name))
			return false;
	return true;
}

/* ---- memory ---- */

uint64_t groups_memory(unsigned max)
{
	return max * (sizeof(struct hop_group) + ECMP_BUCKETS_MIN * (sizeof(uint16_t) + 1) + 1);
}

int groups_init(unsigned max)
{
	memset(&groups, 0, sizeof(groups));
	groups.max = max;
	groups.group = rte_zmalloc("groups", sizeof(*groups.group) * max, 64);
	groups.buckets = rte_zmalloc("groups", sizeof(uint16_t) * ECMP_BUCKETS_MIN * max, 64);
	groups.home = rte_zmalloc("groups", (size_t)ECMP_BUCKETS_MIN * max, 64);
	groups.block_used = rte_zmalloc("groups", max, 64);
	if (!groups.group || !groups.buckets || !groups.home || !groups.block_used)
		return -ENOMEM;
	for (unsigned n = 0; n < max; n++)
		groups.group[n].chain = n + 1 < max ? (uint16_t)(n + 2) : 0;
	groups.unused = max ? 1 : 0;
	deals_init(groups.group, max);
	return liveness_init();
}

void groups_free(void)
{
	liveness_free();
	deals_init(NULL, 0);
	rte_free(groups.group);
	rte_free((void *)groups.buckets);
	rte_free(groups.home);
	rte_free(groups.block_used);
	memset(&groups, 0, sizeof(groups));
}

/* First of n blocks in a row, or max. */
static unsigned blocks_find(unsigned n)
{
	unsigned run = 0;

	for (unsigned at = 0; at < groups.max; at++) {
		run = groups.block_used[at] ? 0 : run + 1;
		if (run == n)
			return at + 1 - n;
	}
	return groups.max;
}

static void blocks_mark(const struct hop_group *group, bool used)
{
	unsigned n = group->layout.buckets / ECMP_BUCKETS_MIN;

	memset(groups.block_used + group->block, used, n);
	groups.blocks_used += used ? n : -n;
}

/* A group with room for so many buckets, NULL when there is none. */
static struct hop_group *group_alloc(uint32_t buckets)
{
	struct hop_group *group;
	unsigned block = blocks_find(buckets / ECMP_BUCKETS_MIN);

	/* Some may only wait for a grace period. */
	if (block == groups.max || !groups.unused) {
		tables_reclaim_wait();
		block = blocks_find(buckets / ECMP_BUCKETS_MIN);
	}
	if (block == groups.max || !groups.unused)
		return NULL;
	group = &groups.group[groups.unused - 1];
	groups.unused = group->chain;
	memset(group, 0, sizeof(*group));
	group->block = block;
	group->buckets = groups.buckets + (size_t)block * ECMP_BUCKETS_MIN;
	group->layout.buckets = buckets;
	group->layout.home = groups.home + (size_t)block * ECMP_BUCKETS_MIN;
	group->layout.member = group->member;
	blocks_mark(group, true);
	groups.used++;
	return group;
}

static void group_give_back(void *arg)
{
	struct hop_group *group = arg;

	blocks_mark(group, false);
	dp_nexthops_release(group->list);
	group->list = NULL;
	group->chain = groups.unused;
	groups.unused = (uint16_t)(group - groups.group + 1);
	groups.used--;
}

struct dp_table_fill groups_fill(void)
{
	return (struct dp_table_fill){groups.used, groups.max};
}

struct dp_table_fill group_buckets_fill(void)
{
	return (struct dp_table_fill){(uint64_t)groups.blocks_used * ECMP_BUCKETS_MIN,
	        (uint64_t)groups.max * ECMP_BUCKETS_MIN};
}

unsigned group_choose(const struct hop_group *group, uint32_t hash)
{
	return ecmp_owner(&group->layout, hash & (group->layout.buckets - 1), group->alive);
}

/* ---- finding and making ---- */

static struct pr_ip number_of(const struct hop_group *group)
{
	return pr_ip4_from_host((uint32_t)(group - groups.group));
}

static struct hop_group *group_by_number(const struct pr_ip *number)
{
	return &groups.group[pr_ip4_host(number)];
}

const struct hop_group *group_at(uint32_t hop)
{
	const struct hop *found = hop_at(hop);

	return hop && found->kind == HOP_GROUP ? group_by_number(&found->gateway) : NULL;
}

void group_fill(const struct pr_ip *gateway, struct next_hop *content)
{
	const struct hop_group *group = group_by_number(gateway);

	content->type = NEXT_HOP_GROUP;
	content->mask = group->layout.buckets - 1;
	content->buckets = group->buckets;
	content->port = hop_at(group->member_hop[0])->port;
	for (unsigned k = 1; k < group->layout.n; k++)
		if (hop_at(group->member_hop[k])->port != content->port)
			content->port = NO_PORT;
}

static uint64_t key_of(uint16_t network, const uint32_t *member_hop, const struct dp_nexthops *list)
{
	uint64_t key = network;

	for (unsigned k = 0; k < list->n; k++) {
		key = hash_bytes(key, &member_hop[k], sizeof(member_hop[k]));
		key = hash_bytes(key, &list->member[k].weight, sizeof(list->member[k].weight));
	}
	return key;
}

static struct hop_group *group_find(
        uint16_t network, uint64_t key, const uint32_t *member_hop, const struct dp_nexthops *list)
{
	struct hop_group *group;

	for (uint16_t at = groups.keys[key % KEYS]; at; at = group->chain) {
		bool same = true;

		group = &groups.group[at - 1];
		if (group->key != key || group->network != network ||
		        !same_members(group->list, list))
			continue;
		for (unsigned k = 0; k < list->n; k++)
			same &= group->member_hop[k] == member_hop[k];
		if (same)
			return group;
	}
	return NULL;
}

bool group_has(const struct hop_group *group, uint16_t network, const struct dp_nexthops *list)
{
	if (!group || group->network != network || !same_members(group->list, list))
		return false;
	for (unsigned k = 0; k < group->layout.n; k++) {
		const struct hop *hop = hop_at(group->member_hop[k]);

		if (hop->dead || !hop_is_via(hop) ||
		        (list->member[k].port != DP_INDEX_ANY && hop->port != list->member[k].port))
			return false;
	}
	return true;
}

static void release_hops(const uint32_t *member_hop, unsigned n)
{
	for (unsigned k = 0; k < n; k++)
		hop_release(member_hop[k]);
}

static int watch_members(const struct hop_group *group)
{
	for (unsigned k = 0; k < group->layout.n; k++) {
		if (!liveness_take(group->member_hop[k]))
			continue;
		while (k--)
			liveness_release(group->member_hop[k]);
		return -ENOSPC;
	}
	return 0;
}

static int no_group(struct dp_error *error)
{
	return dp_fail(error, PR_ERR_FULL, -ENOSPC, "nexthops",
	        "the table of next-hop groups is full: raise limits.groups");
}

/* Takes what a new group needs but its next hop. */
static int group_begin(uint16_t network, uint64_t key, struct dp_nexthops *list,
        const uint32_t *member_hop, const struct hop_group *like, struct dp_error *error)
{
	struct ecmp_member member[PR_NEXTHOPS_MAX];
	struct hop_group *group;
	uint32_t buckets;

	for (unsigned k = 0; k < list->n; k++)
		member[k] =
		        (struct ecmp_member){member_id(&list->member[k]), list->member[k].weight};
	buckets = ecmp_buckets(member, list->n);
	/* Never fewer than before: flows of buckets that fall together would move. */
	group = group_alloc(like ? RTE_MAX(buckets, like->layout.buckets) : buckets);
	if (!group && like)
		group = group_alloc(buckets);
	if (!group)
		return no_group(error);
	memcpy(group->member, member, list->n * sizeof(member[0]));
	group->layout.n = list->n;
	group->network = network;
	group->key = key;
	group->list = dp_nexthops_hold(list);
	for (unsigned k = 0; k < list->n; k++)
		group->member_hop[k] = (uint16_t)member_hop[k];
	if (watch_members(group)) {
		group_give_back(group);
		return dp_fail(error, PR_ERR_FULL, -ENOSPC, "nexthops",
		        "too many different next hops in routes with several (4096)");
	}
	group->alive = group_alive_members(group);
	groups.making = group;
	groups.like = like;
	return -EINPROGRESS;
}

void group_lay_out(void)
{
	struct hop_group *group = groups.making;

	if (groups.like)
		ecmp_fill_from(&group->layout, &groups.like->layout);
	else
		ecmp_fill(&group->layout);
	group_deal(group, UINT32_MAX);
}

static void release_members(const struct hop_group *group)
{
	for (unsigned k = 0; k < group->layout.n; k++) {
		liveness_release(group->member_hop[k]);
		hop_release(group->member_hop[k]);
	}
}

int group_end(uint32_t *hop, struct dp_error *error)
{
	struct hop_group *group = groups.making;
	uint16_t *chain = &groups.keys[group->key % KEYS];
	struct pr_ip number = number_of(group);

	groups.making = NULL;
	group->hop = hop_take(HOP_GROUP, group->network, NO_PORT, &number);
	if (!group->hop) {
		release_members(group);
		group_give_back(group);
		return dp_fail(
		        error, PR_ERR_FULL, -ENOSPC, "", "the next-hop table is full (65535)");
	}
	group->chain = *chain;
	*chain = (uint16_t)(group - groups.group + 1);
	/* Somebody may have left or returned since its buckets were dealt. */
	if (group->alive != group_alive_members(group))
		groups_member_changed();
	*hop = group->hop;
	return 0;
}

int group_take(uint16_t network, struct dp_nexthops *list, const uint32_t *member_hop,
        uint32_t like, uint32_t *hop, struct dp_error *error)
{
	uint64_t key = key_of(network, member_hop, list);
	const struct hop_group *group = group_find(network, key, member_hop, list);
	int rc;

	if (group) {
		release_hops(member_hop, list->n);
		hop_hold(group->hop);
		*hop = group->hop;
		return 0;
	}
	rc = group_begin(network, key, list, member_hop, group_at(like), error);
	if (rc != -EINPROGRESS)
		release_hops(member_hop, list->n);
	return rc;
}

/* Routes led to it until now and workers may still be in it: its buckets stay a while. */
void group_released(const struct pr_ip *gateway)
{
	struct hop_group *group = group_by_number(gateway);
	uint16_t *link = &groups.keys[group->key % KEYS];

	while (*link != group - groups.group + 1)
		link = &groups.group[*link - 1].chain;
	*link = group->chain;
	group->hop = 0;
	release_members(group);
	tables_retire(group_give_back, group);
}
