/* SPDX-License-Identifier: BSD-3-Clause */
#include "histogram.h"

/* The largest value of a bucket. */
static uint64_t bucket_top(unsigned i)
{
	unsigned shift;

	if (i < 2 * HISTOGRAM_SUB)
		return i;
	shift = i / HISTOGRAM_SUB - 1;
	return ((uint64_t)(i - shift * HISTOGRAM_SUB + 1) << shift) - 1;
}

uint64_t histogram_quantile(const struct histogram *h, double share)
{
	uint64_t need = (uint64_t)(share * (double)h->count + 0.999999);
	uint64_t seen = 0;

	if (!h->count)
		return 0;
	if (!need)
		need = 1;
	for (unsigned i = 0; i < HISTOGRAM_BUCKETS; i++) {
		seen += h->bucket[i];
		if (seen >= need) {
			uint64_t top = bucket_top(i);

			return top > h->max ? h->max : top;
		}
	}
	return h->max;
}
