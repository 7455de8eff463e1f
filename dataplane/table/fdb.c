/* SPDX-License-Identifier: BSD-3-Clause */
#include "fdb_private.h"

static_assert(sizeof(struct fdb_bucket) == TABLE_CACHE_LINE, "a bucket is one line");

/* How many buckets a search for room may look at: three moves deep, and a bound on the work. */
#define SEARCH_MAX 160

static struct fdb_slot *slot_at(const struct fdb *fdb, uint32_t slot)
{
	return &fdb->buckets[slot / FDB_BUCKET_SLOTS].slot[slot % FDB_BUCKET_SLOTS];
}

static uint64_t make_value(const struct fdb_entry *entry, uint64_t check)
{
	uint64_t flags = FDB_FLAG_VALID | (entry->is_static ? FDB_FLAG_STATIC : 0);

	return entry->port | (uint64_t)entry->tag << 16 | flags << 32 | check;
}

static struct fdb_entry entry_of(const struct fdb *fdb, uint32_t slot)
{
	const struct fdb_slot *s = slot_at(fdb, slot);
	struct fdb_entry entry = {
	        .segment = (uint16_t)(s->key >> 48),
	        .port = fdb_value_port(s->value),
	        .tag = fdb_value_tag(s->value),
	        .is_static = fdb_value_static(s->value),
	        .seen = __atomic_load_n(&fdb->seen[slot], __ATOMIC_RELAXED),
	        .slot = slot,
	};

	for (int i = 0; i < 6; i++)
		entry.mac.b[i] = (uint8_t)(s->key >> (40 - 8 * i));
	return entry;
}

static uint32_t find(const struct fdb *fdb, const struct fdb_place *place, uint64_t key)
{
	for (unsigned b = 0; b < 2; b++)
		for (uint32_t i = 0; i < FDB_BUCKET_SLOTS; i++)
			if (fdb->buckets[place->bucket[b]].slot[i].key == key)
				return place->bucket[b] * FDB_BUCKET_SLOTS + i;
	return FDB_NO_SLOT;
}

static void slot_fill(struct fdb *fdb, uint32_t slot, uint64_t key, uint64_t value, uint32_t seen)
{
	struct fdb_slot *s = slot_at(fdb, slot);

	__atomic_store_n(&fdb->seen[slot], seen, __ATOMIC_RELAXED);
	/* Release: a reader that sees this value also sees that the slot was emptied before. */
	__atomic_store_n(&s->value, value, __ATOMIC_RELEASE);
	__atomic_store_n(&s->key, key, __ATOMIC_RELEASE);
}

static void slot_empty(struct fdb *fdb, uint32_t slot)
{
	__atomic_store_n(&slot_at(fdb, slot)->key, 0, __ATOMIC_RELEASE);
}

static uint32_t bucket_room(const struct fdb *fdb, uint32_t bucket)
{
	for (uint32_t i = 0; i < FDB_BUCKET_SLOTS; i++)
		if (!fdb->buckets[bucket].slot[i].key)
			return bucket * FDB_BUCKET_SLOTS + i;
	return FDB_NO_SLOT;
}

static uint32_t bucket_other(const struct fdb *fdb, uint32_t slot)
{
	struct fdb_place place = fdb_place(fdb, slot_at(fdb, slot)->key);

	return place.bucket[0] == slot / FDB_BUCKET_SLOTS ? place.bucket[1] : place.bucket[0];
}

static void slot_move(struct fdb *fdb, uint32_t from, uint32_t to)
{
	const struct fdb_slot *s = slot_at(fdb, from);

	slot_fill(fdb, to, s->key, s->value, __atomic_load_n(&fdb->seen[from], __ATOMIC_RELAXED));
	__atomic_store_n(&fdb->moves, fdb->moves + 1, __ATOMIC_RELEASE);
	slot_empty(fdb, from);
}

struct step {
	uint32_t bucket;
	uint32_t from; /* slot whose entry could move here */
	uint16_t parent;
};

/* Breadth first: the fewest moves that make room in one of the place's buckets. */
static uint32_t make_room(struct fdb *fdb, const struct fdb_place *place)
{
	struct step step[SEARCH_MAX];
	unsigned n = 2;

	step[0] = (struct step){.bucket = place->bucket[0], .from = FDB_NO_SLOT};
	step[1] = (struct step){.bucket = place->bucket[1], .from = FDB_NO_SLOT};
	for (unsigned at = 0; at < n; at++) {
		uint32_t room = bucket_room(fdb, step[at].bucket);

		if (room != FDB_NO_SLOT) {
			unsigned way = at;

			for (; step[way].from != FDB_NO_SLOT; way = step[way].parent) {
				slot_move(fdb, step[way].from, room);
				room = step[way].from;
			}
			return room;
		}
		for (uint32_t i = 0; i < FDB_BUCKET_SLOTS && n < SEARCH_MAX; i++) {
			uint32_t slot = step[at].bucket * FDB_BUCKET_SLOTS + i;
			uint32_t other = bucket_other(fdb, slot);
			unsigned seen = 0;

			/* A bucket met twice would have its entries moved twice. */
			while (seen < n && step[seen].bucket != other)
				seen++;
			if (seen == n)
				step[n++] = (struct step){other, slot, (uint16_t)at};
		}
	}
	return FDB_NO_SLOT;
}

int fdb_set(struct fdb *fdb, const struct fdb_entry *entry, uint32_t now, struct fdb_entry *old)
{
	uint64_t key = fdb_key(entry->segment, entry->mac.b);
	struct fdb_place place = fdb_place(fdb, key);
	uint64_t value = make_value(entry, place.check);
	uint32_t slot;

	if (pr_mac_is_multicast(&entry->mac) || pr_mac_is_zero(&entry->mac))
		return -EINVAL;
	slot = find(fdb, &place, key);
	if (slot != FDB_NO_SLOT) {
		struct fdb_entry before = entry_of(fdb, slot);

		if (before.is_static && !entry->is_static)
			return -EPERM;
		if (old)
			*old = before;
		__atomic_store_n(&fdb->seen[slot], now, __ATOMIC_RELAXED);
		__atomic_store_n(&slot_at(fdb, slot)->value, value, __ATOMIC_RELEASE);
		return 1;
	}
	if (fdb->count == fdb->max)
		return -ENOSPC;
	slot = make_room(fdb, &place);
	if (slot == FDB_NO_SLOT)
		return -ENOSPC;
	slot_fill(fdb, slot, key, value, now);
	fdb->count++;
	return 0;
}

int fdb_get(
        const struct fdb *fdb, uint16_t segment, const struct pr_mac *mac, struct fdb_entry *entry)
{
	uint64_t key = fdb_key(segment, mac->b);
	struct fdb_place place = fdb_place(fdb, key);
	uint32_t slot = key ? find(fdb, &place, key) : FDB_NO_SLOT;

	if (slot == FDB_NO_SLOT)
		return -ENOENT;
	*entry = entry_of(fdb, slot);
	return 0;
}

static void remove_slot(struct fdb *fdb, uint32_t slot)
{
	slot_empty(fdb, slot);
	fdb->count--;
}

int fdb_remove(struct fdb *fdb, uint16_t segment, const struct pr_mac *mac, struct fdb_entry *old)
{
	struct fdb_entry entry;

	if (fdb_get(fdb, segment, mac, &entry))
		return -ENOENT;
	remove_slot(fdb, entry.slot);
	if (old)
		*old = entry;
	return 0;
}

uint32_t fdb_age(struct fdb *fdb, uint32_t now, uint32_t slots, fdb_ageing_fn ageing,
        fdb_removed_fn removed, void *ctx)
{
	uint32_t total = fdb_slots(fdb), count = 0;

	if (slots > total)
		slots = total;
	for (; slots > 0; slots--) {
		uint32_t slot = fdb->age_cursor;
		struct fdb_entry entry;
		uint32_t limit;

		fdb->age_cursor = slot + 1 == total ? 0 : slot + 1;
		if (!slot_at(fdb, slot)->key)
			continue;
		entry = entry_of(fdb, slot);
		limit = entry.is_static ? 0 : ageing(ctx, entry.segment);
		/* A worker's clock may be ahead of ours by its last update. */
		if (!limit || (int32_t)(now - entry.seen) < 0 || now - entry.seen < limit)
			continue;
		remove_slot(fdb, slot);
		count++;
		if (removed)
			removed(ctx, &entry);
	}
	return count;
}

uint32_t fdb_sweep(struct fdb *fdb, fdb_filter_fn filter, fdb_removed_fn removed, void *ctx)
{
	uint32_t count = 0;

	for (uint32_t slot = 0; slot < fdb_slots(fdb); slot++) {
		struct fdb_entry entry;

		if (!slot_at(fdb, slot)->key)
			continue;
		entry = entry_of(fdb, slot);
		if (!filter(ctx, &entry))
			continue;
		remove_slot(fdb, slot);
		count++;
		if (removed)
			removed(ctx, &entry);
	}
	return count;
}

uint32_t fdb_walk(const struct fdb *fdb, uint32_t *cursor, uint32_t slots,
        struct fdb_entry *entries, uint32_t n)
{
	uint32_t count = 0, slot = *cursor;

	for (; slot < fdb_slots(fdb) && slots > 0 && count < n; slot++, slots--)
		if (slot_at(fdb, slot)->key)
			entries[count++] = entry_of(fdb, slot);
	*cursor = slot < fdb_slots(fdb) ? slot : FDB_NO_SLOT;
	return count;
}

struct fdb *fdb_create(const struct table_memory *memory, uint32_t max, uint64_t seed)
{
	struct fdb *fdb;
	uint32_t buckets;

	if (!max || max > 1u << 26) {
		errno = EINVAL;
		return NULL;
	}
	/* At most 4/5 full, where three moves all but always find room. */
	buckets = table_pow2((max + max / 4) / FDB_BUCKET_SLOTS + 2);
	fdb = table_alloc(memory, sizeof(*fdb));
	if (!fdb) {
		errno = ENOMEM;
		return NULL;
	}
	*fdb = (struct fdb){.seed = seed, .mask = buckets - 1, .max = max, .memory = memory};
	fdb->buckets = table_alloc(memory, buckets * sizeof(*fdb->buckets));
	fdb->seen = table_alloc(memory, buckets * FDB_BUCKET_SLOTS * sizeof(*fdb->seen));
	if (!fdb->buckets || !fdb->seen) {
		fdb_destroy(fdb);
		errno = ENOMEM;
		return NULL;
	}
	memset(fdb->buckets, 0, buckets * sizeof(*fdb->buckets));
	memset(fdb->seen, 0, buckets * FDB_BUCKET_SLOTS * sizeof(*fdb->seen));
	return fdb;
}

void fdb_destroy(struct fdb *fdb)
{
	if (!fdb)
		return;
	table_release(fdb->memory, fdb->buckets);
	table_release(fdb->memory, fdb->seen);
	table_release(fdb->memory, fdb);
}
