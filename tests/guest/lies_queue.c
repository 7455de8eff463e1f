/* SPDX-License-Identifier: BSD-3-Clause */
/* Queues that are set up wrongly. */
#include <string.h>

#include "lies.h"

static void size_zero(struct liar *liar)
{
	liar_say_state(liar, SET_VRING_NUM, 0, 0);
}

static void size_odd(struct liar *liar)
{
	liar_say_state(liar, SET_VRING_NUM, 0, 100);
}

static void size_65535(struct liar *liar)
{
	liar_say_state(liar, SET_VRING_NUM, 0, 65535);
}

static void size_65536(struct liar *liar)
{
	liar_say_state(liar, SET_VRING_NUM, 0, 65536 + 256);
}

static void size_huge(struct liar *liar)
{
	liar_say_state(liar, SET_VRING_NUM, 0, 0x80000000);
}

static void index_outside(struct liar *liar)
{
	static const uint32_t requests[] = {
	        SET_VRING_NUM, SET_VRING_BASE, SET_VRING_ENABLE, GET_VRING_BASE};
	static const uint32_t indexes[] = {2, 16, 17, 255, 256, 0x7fffffff, UINT32_MAX};

	liar_say_state(liar, requests[liar_random(liar, 4)], indexes[liar_random(liar, 7)], 256);
}

static void address_index_outside(struct liar *liar)
{
	struct vring_address address = guest_vring_address(liar->guest, 0);

	address.index = 4711;
	liar_say(liar, SET_VRING_ADDR, &address, sizeof(address), NULL, 0);
}

static void enable_seven(struct liar *liar)
{
	liar_say_state(liar, SET_VRING_ENABLE, 0, 7);
}

/* Starts queue 1 with other addresses than it has. */
static void start_at(struct liar *liar, const struct vring_address *address, uint32_t size)
{
	struct ring *ring = liar_ring(liar, 1);
	uint64_t index = 1;

	liar_say_state(liar, SET_VRING_NUM, 1, size);
	liar_say_state(liar, SET_VRING_BASE, 1, ring_base(ring));
	liar_say(liar, SET_VRING_ADDR, address, sizeof(*address), NULL, 0);
	liar_say(liar, SET_VRING_CALL, &index, 8, &ring->call, 1);
	liar_say(liar, SET_VRING_KICK, &index, 8, &ring->kick, 1);
	liar_say_state(liar, SET_VRING_ENABLE, 1, 1);
}

#define AREA(name_, change)                                                                        \
	static void name_(struct liar *liar)                                                       \
	{                                                                                          \
		struct vring_address a = guest_vring_address(liar->guest, 1);                      \
		const struct region *r = liar->guest->memory.regions;                              \
                                                                                                   \
		(void)r;                                                                           \
		change;                                                                            \
		start_at(liar, &a, liar->guest->o.ring.size);                                      \
	}

AREA(area_misaligned, a.descriptors += 4)
AREA(area_odd, a.available += 1)
AREA(area_zero, a.descriptors = a.available = a.used = 0)
AREA(area_outside, a.used = (uint64_t)(uintptr_t)r[0].host - 4096)
AREA(area_wraps, a.descriptors = UINT64_MAX - 15)
AREA(area_past_end, a.descriptors = (uint64_t)(uintptr_t)(r[1].host + r[1].size - 64))
AREA(area_across, a.descriptors = (uint64_t)(uintptr_t)r[1].host - 64)
AREA(area_physical,
        a.descriptors = memory_gpa(&liar->guest->memory, (void *)(uintptr_t)a.descriptors))
AREA(area_same, a.available = a.used = a.descriptors)

static void size_beyond_memory(struct liar *liar)
{
	struct vring_address address = guest_vring_address(liar->guest, 1);
	const struct memory *memory = &liar->guest->memory;
	const struct region *last = &memory->regions[memory->n - 1];

	address.descriptors = (uint64_t)(uintptr_t)(last->host + last->size - 4096);
	start_at(liar, &address, 32768);
}

static void base_outside(struct liar *liar)
{
	liar_say_state(liar, GET_VRING_BASE, 1, 0);
	liar_say_state(liar, SET_VRING_BASE, 1, 0x7ffe7ffe);
	liar_say(liar, SET_VRING_KICK, &(uint64_t){1}, 8, &liar_ring(liar, 1)->kick, 1);
	liar_traffic(liar, 0.02);
}

/* Everything about a queue in use changes. */
static void size_under_way(struct liar *liar)
{
	for (unsigned n = 0; n < 20; n++) {
		liar_say_state(
		        liar, SET_VRING_NUM, liar_random(liar, 2), 1u << liar_random(liar, 9));
		liar_traffic(liar, 0.002);
	}
}

static void address_under_way(struct liar *liar)
{
	for (unsigned n = 0; n < 20; n++) {
		struct vring_address address = guest_vring_address(liar->guest, n & 1);

		address.index = liar_random(liar, 2);
		liar_say(liar, SET_VRING_ADDR, &address, sizeof(address), NULL, 0);
		liar_traffic(liar, 0.002);
	}
}

static void toggled(struct liar *liar)
{
	for (unsigned n = 0; n < 100; n++) {
		liar_say_state(liar, SET_VRING_ENABLE, liar_random(liar, 2), n & 1);
		liar_traffic(liar, 0.0005);
	}
}

#define PROTOCOL(name_, rings_, function, help_)                                                   \
	{                                                                                          \
		.name = name_, .stage = STAGE_MEMORY, .rings = rings_, .effect = EFFECT_PROTOCOL,  \
		.tell = function, .help = help_                                                    \
	}
#define PLACE(name_, rings_, function, help_)                                                      \
	{                                                                                          \
		.name = name_, .stage = STAGE_MEMORY, .rings = rings_, .effect = EFFECT_RING,      \
		.tell = function, .help = "ring: " help_                                           \
	}
#define UNDER_WAY(name_, function, help_)                                                          \
	{                                                                                          \
		.name = name_, .stage = STAGE_RUNNING, .rings = RINGS_BOTH, .tell = function,      \
		.help = help_                                                                      \
	}

const struct lie lies_queue[] = {
        PROTOCOL("ring_size_zero", RINGS_ANY, size_zero, "a ring of no entries"),
        PROTOCOL("ring_size_odd", RINGS_SPLIT, size_odd, "a split ring of 100 entries"),
        PROTOCOL("ring_size_65535", RINGS_BOTH, size_65535, "a ring of 65535 entries"),
        PROTOCOL("ring_size_65536", RINGS_ANY, size_65536, "a ring of 65792 entries"),
        PROTOCOL("ring_size_huge", RINGS_ANY, size_huge, "a ring of 2^31 entries"),
        PROTOCOL("queue_outside", RINGS_ANY, index_outside, "a queue that the port does not have"),
        PROTOCOL("address_queue_outside", RINGS_ANY, address_index_outside,
                "addresses of queue 4711"),
        PROTOCOL("enable_seven", RINGS_ANY, enable_seven, "a queue is enabled with 7"),
        PLACE("area_misaligned", RINGS_BOTH, area_misaligned, "descriptors not at 16 bytes"),
        PLACE("area_odd", RINGS_BOTH, area_odd, "an available (event) area at an odd address"),
        PLACE("area_zero", RINGS_ANY, area_zero, "all at address 0"),
        PLACE("area_outside", RINGS_BOTH, area_outside, "a used (event) area before memory"),
        PLACE("area_wraps", RINGS_ANY, area_wraps, "it ends behind 2^64"),
        PLACE("area_past_end", RINGS_BOTH, area_past_end, "it leaves memory"),
        PLACE("area_across", RINGS_BOTH, area_across, "it lies across two regions"),
        PLACE("area_physical", RINGS_ANY, area_physical, "a physical address as a user one"),
        {.name = "area_same",
                .stage = STAGE_MEMORY,
                .rings = RINGS_SPLIT,
                .tell = area_same,
                .help = "ring: all areas at one address"},
        PLACE("size_beyond_memory", RINGS_BOTH, size_beyond_memory, "32768 entries in a page"),
        UNDER_WAY("base_outside", base_outside, "it goes on at an index behind the ring"),
        UNDER_WAY("size_under_way", size_under_way, "a ring's size changes under traffic"),
        UNDER_WAY("address_under_way", address_under_way, "two queues swap rings under traffic"),
        UNDER_WAY("toggled", toggled, "queues are enabled and disabled under traffic"),
        {0},
};
