/* SPDX-License-Identifier: BSD-3-Clause */
#include "track.h"

#include <stdbool.h>
#include <string.h>

static bool bit_get(const uint64_t *bits, uint32_t width, uint64_t seq)
{
	uint64_t at = seq & (width - 1);

	return bits[at >> 6] >> (at & 63) & 1;
}

static void bit_set(uint64_t *bits, uint32_t width, uint64_t seq)
{
	uint64_t at = seq & (width - 1);

	bits[at >> 6] |= 1ull << (at & 63);
}

/* Forgets what the places of [from, to) said about numbers that have left the bitmap. */
static void bits_clear(uint64_t *bits, uint32_t width, uint64_t from, uint64_t to)
{
	if (to - from >= width) {
		memset(bits, 0, width / 8);
		return;
	}
	for (; from < to; from++) {
		uint64_t at = from & (width - 1);

		bits[at >> 6] &= ~(1ull << (at & 63));
	}
}

static void give_up_one(struct track *t, uint64_t seq, track_gone gone, void *arg)
{
	t->missing++;
	gone(arg, seq);
}

uint64_t track_give_up(struct track *t, const uint64_t *bits, uint32_t width, uint64_t upto,
        track_gone gone, void *arg)
{
	uint32_t before = t->missing;
	uint64_t seq = t->floor;

	while (seq < upto && seq < t->next) {
		uint64_t at = seq & (width - 1);
		uint64_t n = 64 - (at & 63);
		uint64_t unseen = ~(bits[at >> 6] >> (at & 63));

		n = n < upto - seq ? n : upto - seq;
		n = n < t->next - seq ? n : t->next - seq;
		if (n < 64)
			unseen &= (1ull << n) - 1;
		for (; unseen; unseen &= unseen - 1)
			give_up_one(t, seq + (uint64_t)__builtin_ctzll(unseen), gone, arg);
		seq += n;
	}
	for (; seq < upto; seq++)
		give_up_one(t, seq, gone, arg);
	if (upto > t->floor)
		t->floor = upto;
	return t->missing - before;
}

static enum track_verdict decided(struct track *t, uint64_t seq, enum track_verdict in_time)
{
	t->received++;
	if (seq >= t->floor) {
		t->reordered += in_time == TRACK_REORDERED;
		return in_time;
	}
	t->missing--;
	t->late++;
	return TRACK_LATE;
}

enum track_verdict track_receive(
        struct track *t, uint64_t *bits, uint32_t width, uint64_t seq, track_gone gone, void *arg)
{
	if (seq >= t->next) {
		uint64_t keep = seq + 1 > width ? seq + 1 - width : 0;

		if (keep > t->floor)
			track_give_up(t, bits, width, keep, gone, arg);
		bits_clear(bits, width, t->next, seq + 1);
		bit_set(bits, width, seq);
		t->next = seq + 1;
		return decided(t, seq, TRACK_NEW);
	}
	if (t->next - seq > width && t->missing) {
		t->late++;
		return TRACK_ANCIENT;
	}
	if (t->next - seq > width || bit_get(bits, width, seq)) {
		t->duplicated++;
		return TRACK_DUPLICATE;
	}
	bit_set(bits, width, seq);
	return decided(t, seq, TRACK_REORDERED);
}
