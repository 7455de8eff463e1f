/* SPDX-License-Identifier: BSD-3-Clause */
/* Indexes and ids of split rings. */
#include <unistd.h>

#include "lies.h"

static void jump(struct liar *liar, unsigned queue, uint16_t by)
{
	struct ring *ring = liar_ring(liar, queue);

	__atomic_store_n(&ring->avail->idx, (uint16_t)(ring->next_avail + by), __ATOMIC_RELEASE);
	ring_kick(ring);
}

static void jump_tx(struct liar *liar)
{
	jump(liar, 1, (uint16_t)(liar_ring(liar, 1)->o.size + 1));
}

static void jump_rx(struct liar *liar)
{
	jump(liar, 0, (uint16_t)(2 * liar_ring(liar, 0)->o.size));
}

static void step_back(struct liar *liar)
{
	jump(liar, 1, UINT16_MAX);
}

static void say_ids(struct liar *liar, unsigned queue, uint16_t id)
{
	struct ring *ring = liar_ring(liar, queue);

	for (unsigned i = 0; i < ring->o.size; i++)
		*(volatile uint16_t *)&ring->avail->ring[i] = id;
	if (queue & 1)
		jump(liar, queue, 1);
}

static void id_tx(struct liar *liar)
{
	say_ids(liar, 1, liar_ring(liar, 1)->o.size);
}

static void id_rx(struct liar *liar)
{
	say_ids(liar, 0, UINT16_MAX);
}

/* The same buffer many times: silly, but it can be served. */
static void same_id(struct liar *liar)
{
	struct told chain = {memory_gpa(&liar->guest->memory, liar->buffer), 72, 0, 0};

	liar->queue = 1;
	liar_chain(liar, &chain, 1);
	jump(liar, 1, 200);
}

static void used_tampered(struct liar *liar)
{
	for (unsigned n = 0; n < 2000; n++)
		for (unsigned q = 0; q < 2; q++) {
			struct ring *ring = liar_ring(liar, q);

			*(volatile uint16_t *)&ring->used->idx = (uint16_t)liar_random(liar, 65536);
			*(volatile uint16_t *)&ring->used->flags =
			        (uint16_t)liar_random(liar, 65536);
			ring->used->ring[liar_random(liar, ring->o.size)].id = UINT32_MAX;
			*(volatile uint16_t *)&ring->avail->flags =
			        (uint16_t)liar_random(liar, 65536);
			if (n % 50 == 0)
				usleep(500);
		}
}

const struct lie lies_index[] = {
        {.name = "avail_jump",
                .stage = STAGE_RUNNING,
                .rings = RINGS_SPLIT,
                .effect = EFFECT_RING,
                .tell = jump_tx,
                .help = "transmit: the index jumps by more than the ring has"},
        {.name = "avail_jump_rx",
                .stage = STAGE_RUNNING,
                .rings = RINGS_SPLIT,
                .effect = EFFECT_RING,
                .tell = jump_rx,
                .help = "receive: the index jumps by twice the ring"},
        {.name = "avail_back",
                .stage = STAGE_RUNNING,
                .rings = RINGS_SPLIT,
                .effect = EFFECT_RING,
                .tell = step_back,
                .help = "transmit: the index goes back by one"},
        {.name = "id_behind",
                .stage = STAGE_RUNNING,
                .rings = RINGS_SPLIT,
                .effect = EFFECT_RING,
                .tell = id_tx,
                .help = "transmit: a descriptor just behind the ring"},
        {.name = "id_outside",
                .stage = STAGE_RUNNING,
                .rings = RINGS_SPLIT,
                .effect = EFFECT_RING,
                .tell = id_rx,
                .help = "receive: descriptor 65535"},
        {.name = "same_id",
                .stage = STAGE_RUNNING,
                .rings = RINGS_SPLIT,
                .tell = same_id,
                .help = "transmit: one buffer 200 times at once"},
        {.name = "used_tampered",
                .stage = STAGE_RUNNING,
                .rings = RINGS_SPLIT,
                .tell = used_tampered,
                .help = "writes what only the device may write"},
        {0},
};
