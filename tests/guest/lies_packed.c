/* SPDX-License-Identifier: BSD-3-Clause */
/* What only packed rings can say. */
#include <unistd.h>

#include "clock.h"
#include "lies.h"

#define AVAIL (1u << VRING_PACKED_DESC_F_AVAIL)
#define USED  (1u << VRING_PACKED_DESC_F_USED)

static void random_flags(struct liar *liar)
{
	double end = clock_now() + liar->hold;

	while (clock_now() < end) {
		for (unsigned n = 0; n < 200; n++) {
			struct ring *ring = liar_ring(liar, liar_random(liar, 2));
			struct vring_packed_desc *d =
			        &ring->desc.packed[liar_random(liar, ring->o.size)];

			__atomic_store_n(
			        &d->flags, (uint16_t)liar_random(liar, 65536), __ATOMIC_RELEASE);
		}
		usleep(20);
	}
}

static void all_slots(struct liar *liar, unsigned queue, uint16_t flags, uint16_t id)
{
	struct ring *ring = liar_ring(liar, queue);
	unsigned first = queue & 1 ? ring->next_avail : 0;

	/* The slot that is looked at next becomes available last. */
	for (unsigned k = ring->o.size; k-- > 0;) {
		struct vring_packed_desc *d = &ring->desc.packed[(first + k) % ring->o.size];

		d->addr = memory_gpa(&liar->guest->memory, liar->buffer);
		d->len = 72;
		d->id = id;
		__atomic_store_n(&d->flags, flags, __ATOMIC_RELEASE);
	}
	ring_kick(ring);
}

static void endless(struct liar *liar)
{
	all_slots(liar, 1, AVAIL | VRING_DESC_F_NEXT, 0);
}

static void endless_rx(struct liar *liar)
{
	all_slots(liar, 0, AVAIL | VRING_DESC_F_NEXT | VRING_DESC_F_WRITE, 0);
}

static void bogus_id(struct liar *liar)
{
	all_slots(liar, 1, AVAIL, UINT16_MAX);
}

static void bogus_id_rx(struct liar *liar)
{
	all_slots(liar, 0, AVAIL | VRING_DESC_F_WRITE, UINT16_MAX);
}

/* The head of a chain is there, what should follow is not. */
static void cut_chain(struct liar *liar)
{
	struct told chain = {
	        memory_gpa(&liar->guest->memory, liar->buffer), 12, VRING_DESC_F_NEXT, 0};

	liar->queue = 1;
	liar_chain(liar, &chain, 1);
}

static void event_garbage(struct liar *liar)
{
	for (unsigned n = 0; n < 2000; n++)
		for (unsigned q = 0; q < 2; q++) {
			struct ring *ring = liar_ring(liar, q);

			ring->driver_event->flags = (uint16_t)liar_random(liar, 65536);
			ring->driver_event->off_wrap = (uint16_t)liar_random(liar, 65536);
			ring->device_event->flags = (uint16_t)liar_random(liar, 65536);
			ring->device_event->off_wrap = (uint16_t)liar_random(liar, 65536);
			if (n % 50 == 0)
				usleep(500);
		}
}

const struct lie lies_packed[] = {
        {.name = "packed_random_flags",
                .stage = STAGE_RUNNING,
                .rings = RINGS_PACKED,
                .tell = random_flags,
                .help = "flags of all slots change at random"},
        {.name = "packed_endless",
                .stage = STAGE_RUNNING,
                .rings = RINGS_PACKED,
                .effect = EFFECT_RING,
                .tell = endless,
                .help = "transmit: each slot has a next"},
        {.name = "packed_endless_rx",
                .stage = STAGE_RUNNING,
                .rings = RINGS_PACKED,
                .effect = EFFECT_RING,
                .tell = endless_rx,
                .help = "receive: each slot has a next"},
        {.name = "packed_bogus_id",
                .stage = STAGE_RUNNING,
                .rings = RINGS_PACKED,
                .tell = bogus_id,
                .help = "transmit: id 65535"},
        {.name = "packed_bogus_id_rx",
                .stage = STAGE_RUNNING,
                .rings = RINGS_PACKED,
                .tell = bogus_id_rx,
                .help = "receive: id 65535"},
        {.name = "packed_cut_chain",
                .stage = STAGE_RUNNING,
                .rings = RINGS_PACKED,
                .tell = cut_chain,
                .help = "transmit: a chain whose rest is not available"},
        {.name = "packed_event_garbage",
                .stage = STAGE_RUNNING,
                .rings = RINGS_PACKED,
                .tell = event_garbage,
                .help = "event areas change at random"},
        {0},
};
