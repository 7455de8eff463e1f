/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What became of each sequence number of one flow. A bitmap remembers which of the last `width`
 * numbers arrived; `floor` is the line below which numbers that have not arrived are given up.
 * A number below the floor that arrives after all is late, and missing no more. What is older
 * than the bitmap can not be told from a duplicate: it is a duplicate while nothing is missing,
 * and else late, with `missing` left as it is, so that it never hides a loss.
 * No EAL. All functions: the one thread that owns the flow.
 */
#ifndef GEN_TRACK_H
#define GEN_TRACK_H

#include <stdint.h>

struct track {
	uint64_t next;     /* one past the highest number that arrived */
	uint64_t floor;    /* below it, all is decided; never below next - width */
	uint64_t received; /* distinct numbers that arrived */
	uint32_t missing;
	uint32_t duplicated;
	uint32_t reordered; /* arrived after a higher number, in time */
	uint32_t late;      /* arrived after being given up */
	uint32_t corrupted; /* kept by the caller */
};

enum track_verdict {
	TRACK_NEW,
	TRACK_REORDERED,
	TRACK_LATE,
	TRACK_DUPLICATE,
	TRACK_ANCIENT, /* late or a duplicate, too old to tell; counted late, nothing else changes
	                */
};

/* Called for each number that is given up. */
typedef void (*track_gone)(void *arg, uint64_t seq);

/* The 64-bit number nearest to what the flow expects whose low half is `low`. */
static inline uint64_t track_expand(const struct track *t, uint32_t low)
{
	int64_t distance = (int32_t)(low - (uint32_t)t->next);

	if (distance < 0 && (uint64_t)-distance > t->next)
		return low;
	return t->next + (uint64_t)distance;
}

/*
 * Takes note of the arrival of `seq`. bits: width / 64 words, zero at first; width: a power of
 * two from 64. gone may be called for numbers that leave the bitmap.
 */
enum track_verdict track_receive(
        struct track *t, uint64_t *bits, uint32_t width, uint64_t seq, track_gone gone, void *arg);

/* Gives up all numbers below `upto` that have not arrived. Returns how many. */
uint64_t track_give_up(struct track *t, const uint64_t *bits, uint32_t width, uint64_t upto,
        track_gone gone, void *arg);

#endif
