/* SPDX-License-Identifier: BSD-3-Clause */
/* What workers run. */
#include "fdb_private.h"

static bool bucket_find(const struct fdb *fdb, uint32_t bucket, uint64_t key, uint64_t check,
        uint64_t *value, uint32_t *slot)
{
	const struct fdb_slot *slots = fdb->buckets[bucket].slot;

	for (uint32_t i = 0; i < FDB_BUCKET_SLOTS; i++) {
		uint64_t found;

		if (__atomic_load_n(&slots[i].key, __ATOMIC_ACQUIRE) != key)
			continue;
		/* Acquire, so that the second look at the key comes after the value. */
		found = __atomic_load_n(&slots[i].value, __ATOMIC_ACQUIRE);
		if (__atomic_load_n(&slots[i].key, __ATOMIC_RELAXED) != key ||
		        (found & FDB_CHECK_MASK) != check)
			continue;
		*value = found & ~FDB_CHECK_MASK;
		*slot = bucket * FDB_BUCKET_SLOTS + i;
		return true;
	}
	return false;
}

static bool place_find(const struct fdb *fdb, const struct fdb_place *place, uint64_t key,
        uint64_t *value, uint32_t *slot)
{
	return key && (bucket_find(fdb, place->bucket[0], key, place->check, value, slot) ||
	                      bucket_find(fdb, place->bucket[1], key, place->check, value, slot));
}

void fdb_lookup_bulk(
        const struct fdb *fdb, const uint64_t *keys, uint64_t *values, uint32_t *slots, unsigned n)
{
	struct fdb_place place[FDB_BULK_MAX];
	uint32_t moves = __atomic_load_n(&fdb->moves, __ATOMIC_ACQUIRE);
	uint32_t now;

	for (unsigned i = 0; i < n; i++) {
		place[i] = fdb_place(fdb, keys[i]);
		__builtin_prefetch(&fdb->buckets[place[i].bucket[0]]);
		__builtin_prefetch(&fdb->buckets[place[i].bucket[1]]);
	}
	for (unsigned i = 0; i < n; i++) {
		if (place_find(fdb, &place[i], keys[i], &values[i], &slots[i]))
			continue;
		values[i] = 0;
		slots[i] = FDB_NO_SLOT;
	}
	/* An entry may have moved from the bucket not yet read to the one already read. */
	while ((now = __atomic_load_n(&fdb->moves, __ATOMIC_ACQUIRE)) != moves) {
		moves = now;
		for (unsigned i = 0; i < n; i++)
			if (!values[i])
				place_find(fdb, &place[i], keys[i], &values[i], &slots[i]);
	}
}
