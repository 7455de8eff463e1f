/* SPDX-License-Identifier: BSD-3-Clause */
/* The MAC table of all bridged networks: {segment, MAC} to {port, tag}, IEEE 802.1Q's filtering
 * database. A segment is whatever the caller learns apart: a network, or a network's VLAN.
 *
 * Who writes: the tables thread, except `seen`, which workers refresh (fdb_touch).
 * Who reads: workers, through fdb_lookup_bulk, fdb_key, fdb_value_* and fdb_touch.
 * How it is published: a slot's value is stored before its key (release); a slot is emptied by its
 * key. A reader checks the key again after the value and the value's check bits, so that a slot
 * that changed hands in between is no hit. An entry that moves to its other bucket is copied first,
 * then `moves` is raised, then the old slot is emptied: a reader that missed while `moves` changed
 * looks again. Nothing is retired; a stale slot number does no harm but a refreshed neighbour.
 */
#ifndef DATAPLANE_TABLE_FDB_H
#define DATAPLANE_TABLE_FDB_H

#include "memory.h"
#include "podrail/addr.h"

#define FDB_BUCKET_SLOTS 4
#define FDB_NO_SLOT      UINT32_MAX
#define FDB_BULK_MAX     64

/* A value: port, tag << 16, flags << 32, check bits << 40. Never 0 for an entry. */
#define FDB_FLAG_VALID  0x01u
#define FDB_FLAG_STATIC 0x02u

struct fdb_slot {
	uint64_t key; /* 0: empty */
	uint64_t value;
};

/* One cache line. */
struct fdb_bucket {
	struct fdb_slot slot[FDB_BUCKET_SLOTS];
};

/* An entry as people and callbacks see it. */
struct fdb_entry {
	struct pr_mac mac;
	uint16_t segment;
	uint16_t port;
	uint16_t tag; /* VLAN to push on egress, 0 for none */
	bool is_static;
	uint32_t seen; /* seconds, the clock of fdb_set and fdb_touch */
	uint32_t slot;
};

/* Workers read seed, mask, buckets, seen and moves. */
struct fdb {
	uint64_t seed;
	uint32_t mask; /* buckets - 1 */
	uint32_t max;
	struct fdb_bucket *buckets;
	uint32_t *seen; /* by slot */
	const struct table_memory *memory;
	uint32_t count;
	uint32_t age_cursor;
	_Alignas(TABLE_CACHE_LINE) uint32_t moves;
};

/* Takes the memory for max entries (20 to 50 bytes each). seed is random, so that guests can not
 * choose addresses that collide. Returns NULL with errno ENOMEM or EINVAL. */
struct fdb *fdb_create(const struct table_memory *memory, uint32_t max, uint64_t seed);

/* No reader may be left. Safe on NULL. */
void fdb_destroy(struct fdb *fdb);

/* Adds or changes an entry and sets its `seen` to now. A learned entry never replaces a static one.
 * Returns 0 for a new entry, 1 for one that existed (old, if not NULL, is what it was); -EPERM when
 * a static one stands in the way, -EINVAL for a multicast or zero MAC, -ENOSPC when the table is
 * full; then nothing changed. */
int fdb_set(struct fdb *fdb, const struct fdb_entry *entry, uint32_t now, struct fdb_entry *old);

/* Removes an entry, static or not; old (may be NULL) is what it was. Returns 0 or -ENOENT. */
int fdb_remove(struct fdb *fdb, uint16_t segment, const struct pr_mac *mac, struct fdb_entry *old);

/* Returns 0 or -ENOENT. Tables thread. */
int fdb_get(
        const struct fdb *fdb, uint16_t segment, const struct pr_mac *mac, struct fdb_entry *entry);

/* Ageing time of a segment in seconds, 0 for never. */
typedef uint32_t (*fdb_ageing_fn)(void *ctx, uint16_t segment);
/* Whether to remove the entry. */
typedef bool (*fdb_filter_fn)(void *ctx, const struct fdb_entry *entry);
/* Told of each entry after it has been removed; may be NULL. */
typedef void (*fdb_removed_fn)(void *ctx, const struct fdb_entry *entry);

/* Removes what was not seen for its segment's ageing time among the next `slots` slots; the next
 * call goes on from there. Static entries stay. Returns how many it removed. */
uint32_t fdb_age(struct fdb *fdb, uint32_t now, uint32_t slots, fdb_ageing_fn ageing,
        fdb_removed_fn removed, void *ctx);

/* Removes all entries, static ones too, that the filter chooses. Scans the whole table, about 3 ms
 * for a million slots. Returns how many it removed. */
uint32_t fdb_sweep(struct fdb *fdb, fdb_filter_fn filter, fdb_removed_fn removed, void *ctx);

/* Lists up to n entries from *cursor on (0 at first, then as it was left), in no order that means
 * anything; looks at no more than `slots` slots. *cursor is FDB_NO_SLOT at the end. An entry that
 * moves between two calls may be missed or come twice. Returns how many it listed. */
uint32_t fdb_walk(const struct fdb *fdb, uint32_t *cursor, uint32_t slots,
        struct fdb_entry *entries, uint32_t n);

static inline uint32_t fdb_slots(const struct fdb *fdb)
{
	return (fdb->mask + 1) * FDB_BUCKET_SLOTS;
}

/* The key of a MAC given as its six bytes. Any thread. */
static inline uint64_t fdb_key(uint16_t segment, const uint8_t *mac)
{
	return (uint64_t)segment << 48 | (uint64_t)mac[0] << 40 | (uint64_t)mac[1] << 32 |
	       (uint64_t)mac[2] << 24 | (uint64_t)mac[3] << 16 | (uint64_t)mac[4] << 8 | mac[5];
}

static inline uint16_t fdb_value_port(uint64_t value)
{
	return (uint16_t)value;
}

static inline uint16_t fdb_value_tag(uint64_t value)
{
	return (uint16_t)(value >> 16);
}

static inline bool fdb_value_static(uint64_t value)
{
	return value >> 32 & FDB_FLAG_STATIC;
}

/* Looks up n <= FDB_BULK_MAX keys. values[i] is 0 and slots[i] FDB_NO_SLOT where there is none.
 * Workers; keys of 0 are allowed and found nowhere. */
void fdb_lookup_bulk(
        const struct fdb *fdb, const uint64_t *keys, uint64_t *values, uint32_t *slots, unsigned n);

/* Says that the entry in this slot was heard of now (seconds): stores at most once a second. */
static inline void fdb_touch(const struct fdb *fdb, uint32_t slot, uint32_t now)
{
	/* Workers' clocks differ by less than a second: the later one wins, or two of them would
	 * store in turn at every packet. */
	if ((int32_t)(now - __atomic_load_n(&fdb->seen[slot], __ATOMIC_RELAXED)) > 0)
		__atomic_store_n(&fdb->seen[slot], now, __ATOMIC_RELAXED);
}

#endif
