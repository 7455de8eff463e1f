/* SPDX-License-Identifier: BSD-3-Clause */
/* How the buckets of a group of next hops are shared out (resilient hashing, RFC 2992 section 1
 * turned round: what is counted is what moves). A bucket has a home, given by the configuration
 * alone, and an owner, which is the home while that is alive, else another member: a function of
 * the home, the members and who is alive, so that it does not matter in which order they left.
 *
 * - Homes are within one bucket of the weights.
 * - A member that leaves moves the buckets that it owned and no others, spread by weight; one that
 *   returns takes back exactly these.
 * - Another set of members moves as many homes as the new shares demand, no more.
 *
 * Pure functions, any thread. Nothing allocates. */
#ifndef DATAPLANE_TABLE_ECMP_H
#define DATAPLANE_TABLE_ECMP_H

#include <stdint.h>

#include <podrail/limits.h>

#define ECMP_BUCKETS_MIN 1024
#define ECMP_BUCKETS_MAX 16384 /* each member has a bucket at least, whatever the weights */

_Static_assert(ECMP_BUCKETS_MAX >= PR_NEXTHOPS_MAX * PR_WEIGHT_MAX, "a bucket for each weight");

struct ecmp_member {
	uint64_t id;     /* who it is; equal ones in two sets are the same member */
	uint16_t weight; /* 1 .. PR_WEIGHT_MAX */
};

struct ecmp_layout {
	uint32_t buckets; /* a power of two */
	unsigned n;       /* members: 1 .. PR_NEXTHOPS_MAX */
	const struct ecmp_member *member;
	uint8_t *home; /* [buckets]: index of a member */
};

/* How many buckets such members need: a power of two, so that who has the least weight has one. */
uint32_t ecmp_buckets(const struct ecmp_member *member, unsigned n);

/* How many buckets each member has: its exact share, rounded down or up. */
void ecmp_quotas(const struct ecmp_layout *layout, uint32_t quota[PR_NEXTHOPS_MAX]);

/* Fills home from the members alone: the same in every life of the daemon. About 4 ns a bucket and
 * member: 36 us for 8 members, 230 us for 64, 5 ms for 64 whose weights need 16,384 buckets. */
void ecmp_fill(struct ecmp_layout *layout);

/* Fills home so that as few buckets as possible differ from old, which may have other members and
 * another number of buckets: a bucket stands for those whose lower bits it has. */
void ecmp_fill_from(struct ecmp_layout *layout, const struct ecmp_layout *old);

/* Who owns the bucket while the members of the mask are alive; its home when none is. */
unsigned ecmp_owner(const struct ecmp_layout *layout, uint32_t bucket, uint64_t alive);

#endif
