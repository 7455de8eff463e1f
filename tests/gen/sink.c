/* SPDX-License-Identifier: BSD-3-Clause */
#include "sink.h"

int sink_init(struct sink *s, struct counts *counts)
{
	memset(s, 0, sizeof(*s));
	s->counts = counts;
	s->flows = calloc(SINK_FLOWS, sizeof(*s->flows));
	s->bits = calloc(SINK_FLOWS, SINK_WIDTH / 8);
	return s->flows && s->bits ? 0 : -ENOMEM;
}

void sink_free(struct sink *s)
{
	free(s->flows);
	free(s->bits);
	memset(s, 0, sizeof(*s));
}

static void gone_one(void *arg, uint64_t seq)
{
	(void)arg; /* the track counts, sink_finish sums */
	(void)seq;
}

/* Finds or makes the flow; NULL when there are too many. */
static struct sink_flow *find(struct sink *s, const struct frame_id *id)
{
	uint64_t key = 1ull << 63 | (uint64_t)id->run << 32 | id->flow;
	uint32_t at = (uint32_t)(key * 0x9e3779b97f4a7c15u >> 40) % SINK_FLOWS;
	struct sink_flow *f;

	for (;; at = (at + 1) % SINK_FLOWS) {
		f = &s->flows[at];
		if (f->key == key)
			return f;
		if (!f->key)
			break;
	}
	if (s->used >= SINK_FLOWS / 4 * 3)
		return NULL;
	s->used++;
	f->key = key;
	if (id->seq >= SINK_WIDTH)
		f->track.next = f->track.floor = id->seq;
	return f;
}

void sink_receive(struct sink *s, const struct frame_id *id)
{
	struct sink_flow *f = find(s, id);
	enum track_verdict v;

	if (!f) {
		s->untracked++;
		return;
	}
	v = track_receive(&f->track, s->bits + (size_t)(f - s->flows) * (SINK_WIDTH / 64),
	        SINK_WIDTH, track_expand(&f->track, id->seq), gone_one, s);
	s->counts->reordered += v == TRACK_REORDERED;
	s->counts->duplicated += v == TRACK_DUPLICATE;
	s->counts->late += v == TRACK_LATE || v == TRACK_ANCIENT;
	s->counts->received += v == TRACK_NEW || v == TRACK_REORDERED || v == TRACK_LATE;
}

void sink_finish(struct sink *s)
{
	for (unsigned i = 0; i < SINK_FLOWS; i++) {
		struct sink_flow *f = &s->flows[i];

		if (!f->key)
			continue;
		track_give_up(&f->track, s->bits + (size_t)i * (SINK_WIDTH / 64), SINK_WIDTH,
		        f->track.next, gone_one, s);
		s->counts->missing += f->track.missing;
	}
}
