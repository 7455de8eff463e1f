/* SPDX-License-Identifier: BSD-3-Clause */
/* The multicast table of all bridged networks: {segment, group address} to the ports that have
 * members of the group (RFC 4541). The key is the group's address, not its MAC: 32 IPv4 groups have
 * one MAC, 224.0.0.1 among others, and who joins one of them must not get or lose the others.
 *
 * Who writes: the tables thread. Who reads: workers, through mdb_find.
 * How it is published: a group is filled, with its list of ports, before it is linked into its
 * chain (release); a list is replaced by one pointer store (release). Groups and lists that were
 * taken out go to the retire function; a reader that still stands in a group finds its way on.
 * Times are milliseconds of the caller's clock. */
#ifndef DATAPLANE_TABLE_MDB_H
#define DATAPLANE_TABLE_MDB_H

#include <stdbool.h>

#include "memory.h"
#include "members.h"
#include "podrail/addr.h"

#define MDB_PORTS   1024
#define MDB_NO_PORT UINT16_MAX

struct mdb_key {
	uint64_t word[3]; /* segment and family; the address in memory order */
};

/* One cache line. */
struct mdb_group {
	struct mdb_key key;
	struct mdb_group *next;        /* in its chain; workers read */
	const struct members *members; /* sorted by port, never empty; workers read */
	uint32_t free_next;            /* tables thread, while it is free */
	_Alignas(TABLE_CACHE_LINE) char end[];
};

/* A port's membership. Tables thread only. */
struct mdb_member {
	uint64_t expires;
	uint32_t group;     /* MDB_NONE: free */
	uint32_t hash_next; /* of its chain, or of the free ones */
	uint16_t port, tag;
	uint8_t version;
};

#define MDB_NONE UINT32_MAX

/* Workers read seed, mask, chains and what those lead to. */
struct mdb {
	uint64_t seed;
	uint32_t mask; /* chains - 1 */
	struct mdb_group **chains;
	/* The rest: tables thread only. */
	struct mdb_group *groups;
	struct mdb_member *members;
	uint32_t *member_chains;
	uint32_t member_mask;
	uint32_t max_groups, max_members, n_groups, n_members;
	uint32_t free_group, free_member;
	uint32_t age_cursor;
	uint32_t port_groups[MDB_PORTS]; /* how many groups the port is a member of */
	const struct table_memory *memory;
	table_retire_fn retire;
	void *retire_ctx;
	void (*reclaim)(void); /* waits until what was retired is free; may be NULL */
};

/* A membership as people and tests see it. */
struct mdb_entry {
	uint16_t segment, port, tag;
	uint8_t version;
	uint64_t expires;
	struct pr_ip group;
};

/* Takes the memory for max_groups groups (64 bytes each and more) and max_members memberships (32
 * bytes); lists of ports come from the C library. seed is random, so that guests can not choose
 * groups that collide. retire: see memory.h; reclaim: called when the C library has no memory for a
 * list that must shrink. Returns NULL with errno ENOMEM or EINVAL. */
struct mdb *mdb_create(const struct table_memory *memory, uint32_t max_groups, uint32_t max_members,
        uint64_t seed, table_retire_fn retire, void *retire_ctx, void (*reclaim)(void));

/* No reader may be left, and everything retired is given back. Safe on NULL. */
void mdb_destroy(struct mdb *mdb);

/* Key of a group. Any thread. */
static inline struct mdb_key mdb_key4(uint16_t segment, const uint8_t address[4])
{
	struct mdb_key key = {{(uint64_t)segment << 8 | 4}};
	uint32_t word;

	memcpy(&word, address, sizeof(word));
	key.word[1] = word;
	return key;
}

static inline struct mdb_key mdb_key6(uint16_t segment, const uint8_t address[16])
{
	struct mdb_key key = {{(uint64_t)segment << 8 | 6}};

	memcpy(&key.word[1], address, 16);
	return key;
}

static inline struct mdb_key mdb_key_of(uint16_t segment, const struct pr_ip *group)
{
	return group->family == AF_INET6 ? mdb_key6(segment, group->v6)
	                                 : mdb_key4(segment, group->v4);
}

/* Both halves of the product: the last bytes of an IPv6 group are the highest of its word, and a
 * product alone carries nothing down. The factor is as secret as the seed. */
static inline uint32_t mdb_hash(const struct mdb *mdb, const struct mdb_key *key)
{
	const uint64_t factor = (mdb->seed ^ UINT64_C(0x9e3779b97f4a7c15)) | 1;
	uint64_t h = mdb->seed;

	for (unsigned n = 0; n < 3; n++) {
		unsigned __int128 product = (unsigned __int128)(h ^ key->word[n]) * factor;

		h = (uint64_t)product ^ (uint64_t)(product >> 64);
	}
	return (uint32_t)h & mdb->mask;
}

static inline bool mdb_key_equal(const struct mdb_key *a, const struct mdb_key *b)
{
	return a->word[0] == b->word[0] && a->word[1] == b->word[1] && a->word[2] == b->word[2];
}

/* The ports that have members of the group, or NULL: it is not registered. Workers; valid until the
 * next quiescent state. */
static inline const struct members *mdb_find(const struct mdb *mdb, const struct mdb_key *key)
{
	const struct mdb_group *group =
	        __atomic_load_n(&mdb->chains[mdb_hash(mdb, key)], __ATOMIC_ACQUIRE);

	for (; group; group = __atomic_load_n(&group->next, __ATOMIC_ACQUIRE))
		if (mdb_key_equal(&group->key, key))
			return __atomic_load_n(&group->members, __ATOMIC_ACQUIRE);
	return NULL;
}

/* Makes the port a member until `expires`, or longer a member. Returns 1 for a new membership, 0
 * for one that was there; -EDQUOT: the port has `limit` groups already; -ENOSPC: no room for a
 * group or membership; -ENOMEM: none for a list. Then nothing changed. */
int mdb_join(struct mdb *mdb, const struct mdb_key *key, uint16_t port, uint16_t tag,
        uint8_t version, uint64_t expires, uint32_t limit);

/* Ends a membership. False: there was none. */
bool mdb_leave(struct mdb *mdb, const struct mdb_key *key, uint16_t port);

/* Memberships of the group (of one port, or of all: MDB_NO_PORT) expire at `expires` at the latest.
 * Returns whether any would have lived longer. */
bool mdb_lower(struct mdb *mdb, const struct mdb_key *key, uint16_t port, uint64_t expires);

/* Ends what expired up to now among the next `slots` slots of memberships; the next call goes on
 * from there. Returns how many. */
uint32_t mdb_age(struct mdb *mdb, uint64_t now, uint32_t slots);

/* Ends all memberships of a port. Looks at all slots, about 0.1 ms for 65536. Returns how many. */
uint32_t mdb_port_gone(struct mdb *mdb, uint16_t port);

/* Copies up to n memberships from slot *cursor on (0 at first; MDB_NONE at the end), in no order
 * that means anything. Returns how many. */
uint32_t mdb_walk(const struct mdb *mdb, uint32_t *cursor, struct mdb_entry *entries, uint32_t n);

#endif
