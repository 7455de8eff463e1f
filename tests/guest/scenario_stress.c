/* SPDX-License-Identifier: BSD-3-Clause */
/* Two ports with traffic between them, while everything about them changes at random. */
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "buffer.h"
#include "clock.h"
#include "frame.h"
#include "scenario.h"

#define COME_MS 15000

enum action { TABLE, SHRINK, LEAVE, TOGGLE, STOP, CALLS, FEATURES, ACTIONS };

static const char *const names[ACTIONS] = {
        "memoryTables", "shrinks", "leaves", "toggles", "stops", "calls", "features"};

struct stress {
	struct guest guests[2];
	bool dirty[2]; /* its memory has shrunk: it leaves next */
	uint64_t random, counts[ACTIONS], frames, refused;
	char reason[200];
};

static uint32_t pick(struct stress *s, uint32_t below)
{
	s->random = s->random * 6364136223846793005ULL + 1442695040888963407ULL;
	return (uint32_t)(s->random >> 33) % below;
}

/* As many frames as the ring takes, both ways; what comes is thrown away. */
static void traffic(struct stress *s, unsigned rounds)
{
	static struct packet packet;

	for (unsigned n = 0; n < rounds; n++)
		for (unsigned i = 0; i < 2; i++) {
			struct guest *guest = &s->guests[i], *other = &s->guests[!i];
			struct frame_path path = {.from_ip = guest->o.ip, .to_ip = other->o.ip};

			if (s->dirty[i])
				continue;
			memcpy(path.from, guest->o.mac, 6);
			memcpy(path.to, other->o.mac, 6);
			while (buffer_receive(guest, &guest->queues[0], &packet) == RECEIVE_PACKET)
				s->frames++;
			ring_publish(&guest->queues[0].ring);
			buffers_reclaim(guest, &guest->queues[1]);
			for (unsigned k = 0; k < 16; k++) {
				frame_udp(&packet, &path, FRAME_HELLO, k, 60 + pick(s, 1400));
				if (!buffer_send(guest, &guest->queues[1], &packet))
					break;
			}
			ring_publish(&guest->queues[1].ring);
		}
}

/* The back end touches what is gone; we do not. */
static void shrink(struct stress *s, unsigned i)
{
	const struct memory *memory = &s->guests[i].memory;
	const struct region *r = &memory->regions[pick(s, memory->n)];
	uint64_t keep = pick(s, 3) ? (uint64_t)pick(s, (uint32_t)(r->size >> 12)) << 12 : 0;

	ring_kick(&s->guests[i].queues[1].ring);
	if (ftruncate(r->fd, (off_t)keep))
		snprintf(s->reason, sizeof(s->reason), "ftruncate failed");
	s->dirty[i] = true;
}

static int stop_start(struct guest *guest, unsigned q)
{
	uint32_t base;
	int rc = guest_stop_queue(guest, q, &base);

	if (!rc)
		rc = guest_start_queue(guest, q);
	return rc ? rc : guest_enable_queue(guest, q, true);
}

static int come(struct stress *s, unsigned i)
{
	struct guest_options *o = &s->guests[i].o;
	int rc;

	guest_leave(&s->guests[i]);
	o->ring.packed = pick(s, 2);
	o->ring.event_index = pick(s, 2);
	o->ring.indirect = pick(s, 2);
	o->mergeable = pick(s, 2);
	o->memory.regions = 1 + pick(s, REGIONS_MAX);
	o->memory.gaps = pick(s, 2);
	rc = guest_come(&s->guests[i], COME_MS);
	s->dirty[i] = false;
	if (rc)
		snprintf(s->reason, sizeof(s->reason), "port %u is not served any more: %.120s", i,
		        s->guests[i].error);
	return rc;
}

static int act(struct stress *s, unsigned i, enum action action)
{
	struct guest *guest = &s->guests[i];
	unsigned q = pick(s, guest->n_queues);
	uint64_t index = q;

	s->counts[action]++;
	switch (action) {
	case TABLE:
		return guest_send_memory(guest);
	case SHRINK:
		shrink(s, i);
		return 0;
	case LEAVE:
		return -1;
	case TOGGLE:
		return guest_enable_queue(guest, q, false) ?: guest_enable_queue(guest, q, true);
	case STOP:
		return stop_start(guest, q);
	case CALLS:
		return guest_tell(guest, SET_VRING_CALL, &index, 8, &guest->queues[q].ring.call, 1);
	default:
		return guest_tell(guest, SET_FEATURES, &guest->features, 8, NULL, 0);
	}
}

/* Leaving and shrinking are dearer than the others: they come one time in 40. */
static enum action choose(struct stress *s)
{
	static const enum action often[] = {TABLE, TABLE, TOGGLE, STOP, CALLS, FEATURES};

	if (pick(s, 40))
		return often[pick(s, 6)];
	return pick(s, 3) ? SHRINK : LEAVE;
}

static bool run(struct stress *s, double seconds)
{
	double end = clock_now() + seconds;

	if (come(s, 0) || come(s, 1))
		return false;
	while (clock_now() < end && !told_to_stop && !s->reason[0]) {
		unsigned i = pick(s, 2);

		traffic(s, 1 + pick(s, 3));
		if (s->dirty[i]) {
			usleep(pick(s, 1000));
			if (come(s, i))
				return false;
		} else if (act(s, i, choose(s))) {
			s->refused += s->guests[i].socket >= 0;
			if (come(s, i))
				return false;
		}
	}
	return !s->reason[0];
}

int scenario_stress(const struct options *options)
{
	static struct stress s;
	uint64_t all = 0;
	bool ok = true;

	s.random = options->exchange.seed;
	for (unsigned i = 0; i < 2; i++)
		ok &= guest_init(&s.guests[i], &options->ports[i]) == 0;
	ok = ok && run(&s, options->exchange.duration > 0 ? options->exchange.duration : 20);
	printf("{\"scenario\":\"stress\",\"ok\":%s,", ok ? "true" : "false");
	for (unsigned i = 0; i < ACTIONS; i++) {
		printf("\"%s\":%llu,", names[i], (unsigned long long)s.counts[i]);
		all += s.counts[i];
	}
	printf("\"actions\":%llu,\"frames\":%llu,\"reason\":", (unsigned long long)all,
	        (unsigned long long)s.frames);
	print_quoted(s.reason);
	puts("}");
	for (unsigned i = 0; i < 2; i++)
		guest_close(&s.guests[i]);
	return !ok;
}
