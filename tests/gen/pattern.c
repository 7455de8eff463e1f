/* SPDX-License-Identifier: BSD-3-Clause */
#include "pattern.h"

#include "checksum.h"

uint8_t pattern_bytes[PATTERN_BYTES];
uint32_t pattern_sums[PATTERN_BYTES / 2 + 1];

void pattern_init(void)
{
	uint64_t x = 0x9e3779b97f4a7c15u;

	for (unsigned i = 0; i < PATTERN_BYTES; i++) {
		x ^= x << 13;
		x ^= x >> 7;
		x ^= x << 17;
		pattern_bytes[i] = (uint8_t)(x >> 24);
	}
	for (unsigned i = 0; i < PATTERN_BYTES / 2; i++)
		pattern_sums[i + 1] = pattern_sums[i] + load16(&pattern_bytes[2 * i]);
}
