/* SPDX-License-Identifier: BSD-3-Clause */
#include "mdb.h"

#include <errno.h>
#include <string.h>

static_assert(sizeof(struct mdb_group) == TABLE_CACHE_LINE, "a group is one line");

/* ---- memberships: found by {group, port} ---- */

static uint32_t *member_chain(const struct mdb *mdb, uint32_t group, uint16_t port)
{
	uint64_t h = (((uint64_t)group << 16 | port) ^ mdb->seed) * UINT64_C(0x9e3779b97f4a7c15);

	return &mdb->member_chains[(uint32_t)(h >> 32) & mdb->member_mask];
}

/* Where the membership's number is kept; what is there is MDB_NONE when there is none. */
static uint32_t *member_place(const struct mdb *mdb, uint32_t group, uint16_t port)
{
	uint32_t *at = member_chain(mdb, group, port);

	while (*at != MDB_NONE &&
	        (mdb->members[*at].group != group || mdb->members[*at].port != port))
		at = &mdb->members[*at].hash_next;
	return at;
}

/* ---- groups ---- */

static struct mdb_group *group_find(const struct mdb *mdb, const struct mdb_key *key)
{
	struct mdb_group *group = mdb->chains[mdb_hash(mdb, key)];

	while (group && !mdb_key_equal(&group->key, key))
		group = group->next;
	return group;
}

static void group_free(void *owner, uint32_t index)
{
	struct mdb *mdb = owner;

	mdb->groups[index].free_next = mdb->free_group;
	mdb->free_group = index;
}

static void list_free(void *owner, uint32_t index)
{
	(void)index;
	free(owner);
}

static void group_unlink(struct mdb *mdb, struct mdb_group *group)
{
	struct mdb_group **at = &mdb->chains[mdb_hash(mdb, &group->key)];

	while (*at != group)
		at = &(*at)->next;
	/* Its own next stays: a reader that stands in it goes on. */
	__atomic_store_n(at, group->next, __ATOMIC_RELEASE);
	mdb->n_groups--;
	mdb->retire(mdb->retire_ctx, list_free, (void *)(uintptr_t)group->members, 0);
	mdb->retire(mdb->retire_ctx, group_free, mdb, (uint32_t)(group - mdb->groups));
}

static void group_link(
        struct mdb *mdb, struct mdb_group *group, const struct mdb_key *key, struct members *list)
{
	struct mdb_group **at = &mdb->chains[mdb_hash(mdb, key)];

	group->key = *key;
	group->next = *at;
	group->members = list;
	__atomic_store_n(at, group, __ATOMIC_RELEASE);
	mdb->n_groups++;
}

/* ---- lists ---- */

static struct members *list_alloc(unsigned n)
{
	struct members *list = malloc(sizeof(*list) + n * sizeof(list->member[0]));

	if (list)
		list->n = (uint16_t)n;
	return list;
}

static struct members *list_with(const struct members *old, uint16_t port, uint16_t tag)
{
	unsigned n = old ? old->n : 0, at = 0;
	struct members *list = list_alloc(n + 1);

	if (!list)
		return NULL;
	while (at < n && old->member[at].port < port) {
		list->member[at] = old->member[at];
		at++;
	}
	list->member[at].port = port;
	list->member[at].tag = tag;
	for (; at < n; at++)
		list->member[at + 1] = old->member[at];
	return list;
}

static struct members *list_without(struct mdb *mdb, const struct members *old, uint16_t port)
{
	struct members *list;
	unsigned kept = 0;

	while (!(list = list_alloc(old->n - 1u)))
		if (mdb->reclaim)
			mdb->reclaim();
	for (unsigned n = 0; n < old->n; n++)
		if (old->member[n].port != port)
			list->member[kept++] = old->member[n];
	return list;
}

static void publish(struct mdb *mdb, struct mdb_group *group, struct members *list)
{
	const struct members *old = group->members;

	__atomic_store_n(&group->members, list, __ATOMIC_RELEASE);
	mdb->retire(mdb->retire_ctx, list_free, (void *)(uintptr_t)old, 0);
}

/* ---- what the tables thread calls ---- */

/* Takes the membership at its place in a chain out of its group. */
static void end_membership(struct mdb *mdb, uint32_t *place)
{
	uint32_t index = *place;
	struct mdb_member *member = &mdb->members[index];
	struct mdb_group *group = &mdb->groups[member->group];

	*place = member->hash_next;
	if (group->members->n == 1)
		group_unlink(mdb, group);
	else
		publish(mdb, group, list_without(mdb, group->members, member->port));
	mdb->port_groups[member->port]--;
	member->group = MDB_NONE;
	member->hash_next = mdb->free_member;
	mdb->free_member = index;
	mdb->n_members--;
}

static void end_slot(struct mdb *mdb, uint32_t slot)
{
	const struct mdb_member *member = &mdb->members[slot];

	end_membership(mdb, member_place(mdb, member->group, member->port));
}

int mdb_join(struct mdb *mdb, const struct mdb_key *key, uint16_t port, uint16_t tag,
        uint8_t version, uint64_t expires, uint32_t limit)
{
	struct mdb_group *group = group_find(mdb, key);
	struct mdb_member *member;
	struct members *list;
	uint32_t slot, *chain;

	slot = group ? *member_place(mdb, (uint32_t)(group - mdb->groups), port) : MDB_NONE;
	if (slot != MDB_NONE) {
		mdb->members[slot].expires = expires;
		mdb->members[slot].version = version;
		return 0;
	}
	if (mdb->port_groups[port] >= limit)
		return -EDQUOT;
	if (mdb->free_member == MDB_NONE || (!group && mdb->free_group == MDB_NONE))
		return -ENOSPC;
	list = list_with(group ? group->members : NULL, port, tag);
	if (!list)
		return -ENOMEM;
	if (group) {
		publish(mdb, group, list);
	} else {
		group = &mdb->groups[mdb->free_group];
		mdb->free_group = group->free_next;
		group_link(mdb, group, key, list);
	}
	slot = mdb->free_member;
	member = &mdb->members[slot];
	mdb->free_member = member->hash_next;
	*member = (struct mdb_member){
	        .expires = expires,
	        .group = (uint32_t)(group - mdb->groups),
	        .port = port,
	        .tag = tag,
	        .version = version,
	};
	chain = member_chain(mdb, member->group, port);
	member->hash_next = *chain;
	*chain = slot;
	mdb->port_groups[port]++;
	mdb->n_members++;
	return 1;
}

bool mdb_leave(struct mdb *mdb, const struct mdb_key *key, uint16_t port)
{
	struct mdb_group *group = group_find(mdb, key);
	uint32_t *place;

	if (!group)
		return false;
	place = member_place(mdb, (uint32_t)(group - mdb->groups), port);
	if (*place == MDB_NONE)
		return false;
	end_membership(mdb, place);
	return true;
}

bool mdb_lower(struct mdb *mdb, const struct mdb_key *key, uint16_t port, uint64_t expires)
{
	struct mdb_group *group = group_find(mdb, key);
	bool lowered = false;

	for (unsigned n = 0; group && n < group->members->n; n++) {
		uint16_t one = group->members->member[n].port;
		struct mdb_member *member;

		if (port != MDB_NO_PORT && one != port)
			continue;
		member = &mdb->members[*member_place(mdb, (uint32_t)(group - mdb->groups), one)];
		if (member->expires <= expires)
			continue;
		member->expires = expires;
		lowered = true;
	}
	return lowered;
}

uint32_t mdb_age(struct mdb *mdb, uint64_t now, uint32_t slots)
{
	uint32_t count = 0;

	if (slots > mdb->max_members)
		slots = mdb->max_members;
	for (; slots > 0; slots--) {
		uint32_t slot = mdb->age_cursor;

		mdb->age_cursor = slot + 1 == mdb->max_members ? 0 : slot + 1;
		if (mdb->members[slot].group == MDB_NONE || mdb->members[slot].expires > now)
			continue;
		end_slot(mdb, slot);
		count++;
	}
	return count;
}

uint32_t mdb_port_gone(struct mdb *mdb, uint16_t port)
{
	uint32_t count = 0;

	for (uint32_t slot = 0; mdb->port_groups[port] && slot < mdb->max_members; slot++) {
		if (mdb->members[slot].group == MDB_NONE || mdb->members[slot].port != port)
			continue;
		end_slot(mdb, slot);
		count++;
	}
	return count;
}

uint32_t mdb_walk(const struct mdb *mdb, uint32_t *cursor, struct mdb_entry *entries, uint32_t n)
{
	uint32_t count = 0, slot = *cursor;

	for (; slot < mdb->max_members && count < n; slot++) {
		const struct mdb_member *member = &mdb->members[slot];
		const struct mdb_key *key;
		struct mdb_entry *entry;

		if (member->group == MDB_NONE)
			continue;
		key = &mdb->groups[member->group].key;
		entry = &entries[count++];
		*entry = (struct mdb_entry){
		        .segment = (uint16_t)(key->word[0] >> 8),
		        .port = member->port,
		        .tag = member->tag,
		        .version = member->version,
		        .expires = member->expires,
		        .group.family = (key->word[0] & 0xff) == 6 ? AF_INET6 : AF_INET,
		};
		memcpy(entry->group.b, &key->word[1], pr_ip_bytes(&entry->group));
	}
	*cursor = slot < mdb->max_members ? slot : MDB_NONE;
	return count;
}

/* ---- start and end ---- */

static bool take_memory(struct mdb *mdb)
{
	uint32_t chains = mdb->mask + 1, member_chains = mdb->member_mask + 1;

	mdb->chains = table_alloc(mdb->memory, chains * sizeof(*mdb->chains));
	mdb->groups = table_alloc(mdb->memory, mdb->max_groups * sizeof(*mdb->groups));
	mdb->members = table_alloc(mdb->memory, mdb->max_members * sizeof(*mdb->members));
	mdb->member_chains = table_alloc(mdb->memory, member_chains * sizeof(*mdb->member_chains));
	if (!mdb->chains || !mdb->groups || !mdb->members || !mdb->member_chains)
		return false;
	memset(mdb->chains, 0, chains * sizeof(*mdb->chains));
	memset(mdb->groups, 0, mdb->max_groups * sizeof(*mdb->groups));
	memset(mdb->member_chains, 0xff, member_chains * sizeof(*mdb->member_chains));
	mdb->free_group = mdb->free_member = MDB_NONE;
	for (uint32_t n = mdb->max_groups; n-- > 0;)
		group_free(mdb, n);
	for (uint32_t n = mdb->max_members; n-- > 0; mdb->free_member = n)
		mdb->members[n] =
		        (struct mdb_member){.group = MDB_NONE, .hash_next = mdb->free_member};
	return true;
}

struct mdb *mdb_create(const struct table_memory *memory, uint32_t max_groups, uint32_t max_members,
        uint64_t seed, table_retire_fn retire, void *retire_ctx, void (*reclaim)(void))
{
	struct mdb *mdb;

	if (!max_groups || !max_members || max_groups > 1u << 24 || max_members > 1u << 26) {
		errno = EINVAL;
		return NULL;
	}
	mdb = table_alloc(memory, sizeof(*mdb));
	if (!mdb) {
		errno = ENOMEM;
		return NULL;
	}
	*mdb = (struct mdb){
	        .seed = seed,
	        .mask = table_pow2(max_groups) - 1,
	        .member_mask = table_pow2(max_members) - 1,
	        .max_groups = max_groups,
	        .max_members = max_members,
	        .memory = memory,
	        .retire = retire,
	        .retire_ctx = retire_ctx,
	        .reclaim = reclaim,
	};
	if (!take_memory(mdb)) {
		mdb_destroy(mdb);
		errno = ENOMEM;
		return NULL;
	}
	return mdb;
}

void mdb_destroy(struct mdb *mdb)
{
	if (!mdb)
		return;
	for (uint32_t n = 0; mdb->chains && n <= mdb->mask; n++)
		for (struct mdb_group *group = mdb->chains[n]; group; group = group->next)
			free((void *)(uintptr_t)group->members);
	table_release(mdb->memory, mdb->chains);
	table_release(mdb->memory, mdb->groups);
	table_release(mdb->memory, mdb->members);
	table_release(mdb->memory, mdb->member_chains);
	table_release(mdb->memory, mdb);
}
