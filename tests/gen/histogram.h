/* SPDX-License-Identifier: BSD-3-Clause */
/* Times in a log-linear histogram: 32 buckets an octave, an error of at most 3 %. One writer. */
#ifndef GEN_HISTOGRAM_H
#define GEN_HISTOGRAM_H

#include <stdint.h>

#define HISTOGRAM_SUB     32
#define HISTOGRAM_BUCKETS (HISTOGRAM_SUB * 60)

struct histogram {
	uint64_t count;
	uint64_t min; /* exact; valid while count is not 0 */
	uint64_t max; /* exact */
	uint64_t bucket[HISTOGRAM_BUCKETS];
};

static inline unsigned histogram_bucket(uint64_t value)
{
	unsigned shift;

	if (value < HISTOGRAM_SUB)
		return (unsigned)value;
	shift = 58u - (unsigned)__builtin_clzll(value);
	return shift * HISTOGRAM_SUB + (unsigned)(value >> shift);
}

static inline void histogram_add(struct histogram *h, uint64_t value)
{
	if (!h->count || value < h->min)
		h->min = value;
	if (value > h->max)
		h->max = value;
	h->count++;
	h->bucket[histogram_bucket(value)]++;
}

/* The value that `share` (0 to 1) of all values do not exceed, within a bucket; 0 when empty. */
uint64_t histogram_quantile(const struct histogram *h, double share);

#endif
