/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Internet checksum (RFC 1071) in memory order: the sums of all parts are added as they lie in
 * memory, so that no byte is swapped; valid for parts that start at an even offset. Any thread.
 */
#ifndef GEN_CHECKSUM_H
#define GEN_CHECKSUM_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

static inline uint16_t load16(const void *p)
{
	uint16_t v;

	memcpy(&v, p, sizeof(v));
	return v;
}

static inline uint32_t load32(const void *p)
{
	uint32_t v;

	memcpy(&v, p, sizeof(v));
	return v;
}

static inline uint64_t load64(const void *p)
{
	uint64_t v;

	memcpy(&v, p, sizeof(v));
	return v;
}

static inline void store16(void *p, uint16_t v)
{
	memcpy(p, &v, sizeof(v));
}

static inline void store32(void *p, uint32_t v)
{
	memcpy(p, &v, sizeof(v));
}

static inline void store64(void *p, uint64_t v)
{
	memcpy(p, &v, sizeof(v));
}

/* A 64-bit word as two addends, so that sums of many of them can not overflow. */
static inline uint64_t csum_word64(uint64_t v)
{
	return (v >> 32) + (uint32_t)v;
}

/*
 * Adds n bytes (at most some 16 GiB in all) to an unfolded sum. Inline, so that the many sums of
 * headers, whose n is known, become a few loads.
 */
static inline __attribute__((always_inline)) uint64_t csum_add(
        uint64_t sum, const void *data, size_t n)
{
	const uint8_t *p = data;

	for (; n >= 8; n -= 8, p += 8)
		sum += csum_word64(load64(p));
	if (n >= 4) {
		sum += load32(p);
		p += 4;
		n -= 4;
	}
	if (n >= 2) {
		sum += load16(p);
		p += 2;
		n -= 2;
	}
	if (n) {
		uint8_t last[2] = {*p, 0};

		sum += load16(last);
	}
	return sum;
}

/* Folds to 16 bits; not inverted. A correct checksum folds to 0xffff with its data. */
static inline uint16_t csum_fold(uint64_t sum)
{
	sum = (sum >> 32) + (uint32_t)sum;
	sum = (sum >> 32) + (uint32_t)sum;
	sum = (sum >> 16) + (sum & 0xffff);
	sum = (sum >> 16) + (sum & 0xffff);
	return (uint16_t)sum;
}

#endif
