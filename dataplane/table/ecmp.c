/* SPDX-License-Identifier: BSD-3-Clause */
#include "ecmp.h"

#include <stdbool.h>
#include <string.h>

#define NOBODY 0xff

_Static_assert(PR_NEXTHOPS_MAX <= 64, "alive is a mask of 64 bits, home a byte");

uint32_t ecmp_buckets(const struct ecmp_member *member, unsigned n)
{
	uint32_t sum = 0, least = PR_WEIGHT_MAX, buckets = ECMP_BUCKETS_MIN;

	for (unsigned k = 0; k < n; k++) {
		sum += member[k].weight;
		if (member[k].weight < least)
			least = member[k].weight;
	}
	while (buckets * least < sum)
		buckets *= 2;
	return buckets;
}

/* Largest remainders; of equal ones the first. */
void ecmp_quotas(const struct ecmp_layout *layout, uint32_t quota[PR_NEXTHOPS_MAX])
{
	uint64_t rest[PR_NEXTHOPS_MAX], sum = 0;
	uint32_t left = layout->buckets;

	for (unsigned k = 0; k < layout->n; k++)
		sum += layout->member[k].weight;
	for (unsigned k = 0; k < layout->n; k++) {
		uint64_t share = (uint64_t)layout->buckets * layout->member[k].weight;

		quota[k] = (uint32_t)(share / sum);
		rest[k] = share % sum + 1;
		left -= quota[k];
	}
	while (left--) {
		unsigned best = 0;

		for (unsigned k = 1; k < layout->n; k++)
			if (rest[k] > rest[best])
				best = k;
		rest[best] = 0;
		quota[best]++;
	}
}

/* ---- who would like a bucket how much: weighted rendezvous hashing ---- */

static uint32_t mix(uint64_t id, uint32_t bucket)
{
	uint64_t x = id ^ (bucket + UINT64_C(1)) * UINT64_C(0x9e3779b97f4a7c15);

	x = (x ^ x >> 32) * UINT64_C(0xd6e8feb86659fd93);
	x = (x ^ x >> 32) * UINT64_C(0xd6e8feb86659fd93);
	return (uint32_t)(x >> 32);
}

/* -log2(u / 2^32) in 1/2^24, from a parabola: within 0.6 %, and the same on every machine. */
static uint64_t minus_log2(uint32_t u)
{
	unsigned zeros;
	uint64_t x, log;

	u |= 1;
	zeros = (unsigned)__builtin_clz(u);
	x = ((uint64_t)u << zeros & 0x7fffffff) >> 7; /* the mantissa's fraction, 24 bits */
	/* log2(1 + x) is x + 0.3437 x (1 - x), nearly. */
	log = x + (((x * ((1u << 24) - x)) >> 24) * 22525 >> 16);
	return ((uint64_t)(zeros + 1) << 24) - log;
}

/* An exponential variable of rate `weight`: the least of several is this one's with a probability
 * of its share. */
static uint64_t distance(const struct ecmp_member *member, uint32_t bucket)
{
	return minus_log2(mix(member->id, bucket)) * ((UINT64_C(1) << 32) / member->weight);
}

static unsigned nearest(const struct ecmp_layout *layout, uint32_t bucket, uint64_t who)
{
	unsigned best = 0;
	uint64_t least = UINT64_MAX;

	for (; who; who &= who - 1) {
		unsigned k = (unsigned)__builtin_ctzll(who);
		uint64_t d = distance(&layout->member[k], bucket);

		if (d < least) {
			least = d;
			best = k;
		}
	}
	return best;
}

static uint64_t everybody(const struct ecmp_layout *layout)
{
	return UINT64_MAX >> (64 - layout->n);
}

unsigned ecmp_owner(const struct ecmp_layout *layout, uint32_t bucket, uint64_t alive)
{
	unsigned home = layout->home[bucket];

	alive &= everybody(layout);
	if (!alive || alive >> home & 1)
		return home;
	return nearest(layout, bucket, alive);
}

/* Each bucket's home is who is nearest and has not got his share yet: sets of members that differ
 * little have layouts that do. */
void ecmp_fill(struct ecmp_layout *layout)
{
	uint32_t quota[PR_NEXTHOPS_MAX];
	uint64_t hungry = everybody(layout);

	ecmp_quotas(layout, quota);
	for (uint32_t b = 0; b < layout->buckets; b++) {
		unsigned k = nearest(layout, b, hungry);

		layout->home[b] = (uint8_t)k;
		if (!--quota[k])
			hungry &= ~(UINT64_C(1) << k);
	}
}

/* ---- from what there was ---- */

/* Homes of members that stay, NOBODY elsewhere. count: how many each has. */
static void inherit(struct ecmp_layout *layout, const struct ecmp_layout *old, uint32_t *count)
{
	uint8_t now[PR_NEXTHOPS_MAX];

	for (unsigned o = 0; o < old->n; o++) {
		now[o] = NOBODY;
		for (unsigned k = 0; k < layout->n; k++)
			if (layout->member[k].id == old->member[o].id)
				now[o] = (uint8_t)k;
	}
	memset(count, 0, layout->n * sizeof(*count));
	for (uint32_t b = 0; b < layout->buckets; b++) {
		uint8_t k = now[old->home[b & (old->buckets - 1)]];

		layout->home[b] = k;
		if (k != NOBODY)
			count[k]++;
	}
}

/* Takes from those who have more than their share; first what they would not have had from the
 * members alone, so that a layout that grew tends to the one that a restart makes. */
static void give_up(struct ecmp_layout *layout, const uint8_t *fresh, uint32_t *count,
        const uint32_t *quota, bool any)
{
	for (uint32_t b = 0; b < layout->buckets; b++) {
		uint8_t k = layout->home[b];

		if (k == NOBODY || count[k] <= quota[k] || (!any && fresh[b] == k))
			continue;
		layout->home[b] = NOBODY;
		count[k]--;
	}
}

static void take(struct ecmp_layout *layout, const uint8_t *fresh, uint32_t *count,
        const uint32_t *quota, bool any)
{
	uint8_t next = 0;

	for (uint32_t b = 0; b < layout->buckets; b++) {
		uint8_t k = fresh[b];

		if (layout->home[b] != NOBODY)
			continue;
		if (any) {
			while (count[next] == quota[next])
				next++;
			k = next;
		}
		if (count[k] == quota[k])
			continue;
		layout->home[b] = k;
		count[k]++;
	}
}

void ecmp_fill_from(struct ecmp_layout *layout, const struct ecmp_layout *old)
{
	uint32_t count[PR_NEXTHOPS_MAX], quota[PR_NEXTHOPS_MAX];
	uint8_t fresh[ECMP_BUCKETS_MAX];
	struct ecmp_layout other = *layout;

	other.home = fresh;
	ecmp_fill(&other);
	ecmp_quotas(layout, quota);
	inherit(layout, old, count);
	give_up(layout, fresh, count, quota, false);
	give_up(layout, fresh, count, quota, true);
	take(layout, fresh, count, quota, false);
	take(layout, fresh, count, quota, true);
}
