/* SPDX-License-Identifier: BSD-3-Clause */
/* Random numbers that are the same in each run. */
#ifndef TESTS_UNIT_GEN_RANDOM_H
#define TESTS_UNIT_GEN_RANDOM_H

#include <stdint.h>

static uint64_t random_state = 0x1234567;

static inline uint32_t random_below(uint32_t n)
{
	random_state ^= random_state << 13;
	random_state ^= random_state >> 7;
	random_state ^= random_state << 17;
	return (uint32_t)(random_state >> 16) % n;
}

#endif
