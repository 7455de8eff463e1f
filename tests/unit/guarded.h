/* SPDX-License-Identifier: BSD-3-Clause */
/* Memory between pages that nobody may touch: a byte too far is a fault, with or without
 * sanitizers. */
#ifndef TESTS_UNIT_GUARDED_H
#define TESTS_UNIT_GUARDED_H

#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>

#define GUARD_PAGE 4096

/* size bytes whose last one is followed by the guard; the guard before them is up to a page away
 * unless size is a multiple of pages. Ends at a multiple of 16 from the page's end, so that sizes
 * that are multiples of an alignment begin aligned. */
static inline uint8_t *guarded_map(size_t size)
{
	size_t whole = (size + GUARD_PAGE - 1) / GUARD_PAGE * GUARD_PAGE;
	uint8_t *at =
	        mmap(NULL, whole + 2 * GUARD_PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (at == MAP_FAILED || mprotect(at + GUARD_PAGE, whole, PROT_READ | PROT_WRITE))
		abort();
	return at + GUARD_PAGE + whole - size;
}

static inline void guarded_unmap(uint8_t *at, size_t size)
{
	size_t whole = (size + GUARD_PAGE - 1) / GUARD_PAGE * GUARD_PAGE;

	munmap(at + size - whole - GUARD_PAGE, whole + 2 * GUARD_PAGE);
}

/* xorshift64: the same sequence everywhere. */
static inline uint64_t random_next(uint64_t *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 7;
	*state ^= *state << 17;
	return *state;
}

static inline uint32_t random_below(uint64_t *state, uint32_t n)
{
	return n ? (uint32_t)((random_next(state) >> 16) % n) : 0;
}

#endif
