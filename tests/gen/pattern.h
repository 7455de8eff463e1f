/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What fills the bodies of frames: a fixed pseudo-random string, read from a different place
 * ("phase") for each buffer, so that a body that belongs to another buffer, or is shifted, differs
 * in nearly every byte. Prefix sums make the checksum of any part of it two look-ups.
 */
#ifndef GEN_PATTERN_H
#define GEN_PATTERN_H

#include <stdint.h>

#define PATTERN_PHASES 4096  /* phases are even numbers below this, plus an offset in the frame */
#define PATTERN_BYTES  20480 /* the largest frame fits behind the largest phase */

/* Written once by pattern_init, before any other thread starts; read by all. */
extern uint8_t pattern_bytes[PATTERN_BYTES];
extern uint32_t pattern_sums[PATTERN_BYTES / 2 + 1];

/* Fills the tables. Call once, before any frame is written or checked. */
void pattern_init(void);

/* The checksum (unfolded, memory order) of `length` bytes from `from`; both even. */
static inline uint32_t pattern_sum(uint32_t from, uint32_t length)
{
	return pattern_sums[(from + length) / 2] - pattern_sums[from / 2];
}

#endif
