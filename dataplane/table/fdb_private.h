/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef DATAPLANE_TABLE_FDB_PRIVATE_H
#define DATAPLANE_TABLE_FDB_PRIVATE_H

#include "fdb.h"

struct fdb_place {
	uint32_t bucket[2]; /* always two different ones */
	uint64_t check;     /* the value's check bits, in place */
};

static inline struct fdb_place fdb_place(const struct fdb *fdb, uint64_t key)
{
	struct fdb_place place;
	uint64_t hash = (key ^ fdb->seed) * 0x9e3779b97f4a7c15ull;

	hash = (hash ^ hash >> 32) * 0xff51afd7ed558ccdull;
	hash ^= hash >> 29;
	place.bucket[0] = (uint32_t)hash & fdb->mask;
	place.bucket[1] = (uint32_t)(hash >> 32) & fdb->mask;
	if (place.bucket[0] == place.bucket[1])
		place.bucket[1] ^= 1;
	place.check = hash >> 24 << 40;
	return place;
}

#define FDB_CHECK_MASK (0xffffffull << 40)

#endif
