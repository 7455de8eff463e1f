/* SPDX-License-Identifier: BSD-3-Clause */
/* Chains of descriptors that make no sense: in transmit and in receive rings, split and packed. */
#include "lies.h"

#define NEXT     VRING_DESC_F_NEXT
#define WRITE    VRING_DESC_F_WRITE
#define INDIRECT VRING_DESC_F_INDIRECT

static uint16_t direction(const struct liar *liar)
{
	return liar->queue & 1 ? 0 : WRITE;
}

static uint64_t here(const struct liar *liar)
{
	return memory_gpa(&liar->guest->memory, liar->buffer);
}

static unsigned one(struct liar *liar, struct told *chain, uint64_t address, uint32_t length)
{
	chain[0] = (struct told){address, length, direction(liar), 0};
	return 1;
}

static unsigned outside(struct liar *liar, struct told *chain)
{
	return one(liar, chain, liar->guest->memory.regions[0].gpa - 4096, 200);
}

static unsigned at_zero(struct liar *liar, struct told *chain)
{
	return one(liar, chain, 0, 200);
}

static unsigned wraps(struct liar *liar, struct told *chain)
{
	return one(liar, chain, UINT64_MAX - 15, 200);
}

static unsigned past_end(struct liar *liar, struct told *chain)
{
	const struct memory *memory = &liar->guest->memory;
	const struct region *last = &memory->regions[memory->n - 1];

	return one(liar, chain, last->gpa + last->size - 20, 2000);
}

/* What a user address is worth as a guest physical one. */
static unsigned user_address(struct liar *liar, struct told *chain)
{
	return one(liar, chain, (uint64_t)(uintptr_t)liar->buffer, 200);
}

static unsigned huge(struct liar *liar, struct told *chain)
{
	return one(liar, chain, here(liar), UINT32_MAX);
}

static unsigned empty(struct liar *liar, struct told *chain)
{
	return one(liar, chain, here(liar), 0);
}

static unsigned shorter_than_header(struct liar *liar, struct told *chain)
{
	return one(liar, chain, here(liar), 5);
}

static unsigned wrong_direction(struct liar *liar, struct told *chain)
{
	one(liar, chain, here(liar), 200);
	chain[0].flags ^= WRITE;
	return 1;
}

static unsigned mixed_direction(struct liar *liar, struct told *chain)
{
	chain[0] = (struct told){here(liar), 12, (uint16_t)(direction(liar) | NEXT), 1};
	chain[1] = (struct told){here(liar) + 64, 200, direction(liar) ^ WRITE, 0};
	return 2;
}

/* The second part is outside: the first has been looked at already. */
static unsigned second_outside(struct liar *liar, struct told *chain)
{
	chain[0] = (struct told){here(liar), 12, (uint16_t)(direction(liar) | NEXT), 1};
	chain[1] = (struct told){UINT64_MAX - 4095, 4000, direction(liar), 0};
	return 2;
}

static unsigned loop(struct liar *liar, struct told *chain, unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		chain[i] = (struct told){
		        here(liar), 1, (uint16_t)(direction(liar) | NEXT), (uint16_t)((i + 1) % n)};
	return n;
}

static unsigned loop_one(struct liar *liar, struct told *chain)
{
	return loop(liar, chain, 1);
}

static unsigned loop_three(struct liar *liar, struct told *chain)
{
	return loop(liar, chain, 3);
}

static unsigned loop_empty(struct liar *liar, struct told *chain)
{
	loop(liar, chain, 2);
	chain[0].length = chain[1].length = 0;
	return 2;
}

static unsigned long_chain(struct liar *liar, struct told *chain)
{
	loop(liar, chain, 200);
	chain[199].flags = direction(liar);
	return 200;
}

static unsigned next_outside(struct liar *liar, struct told *chain)
{
	chain[0] = (struct told){here(liar), 12, (uint16_t)(direction(liar) | NEXT), 65535};
	return 1;
}

static unsigned next_behind(struct liar *liar, struct told *chain)
{
	next_outside(liar, chain);
	chain[0].next = liar_ring(liar, liar->queue)->o.size;
	return 1;
}

/* Each part is possible, all together are no frame. */
static unsigned too_much(struct liar *liar, struct told *chain)
{
	for (unsigned i = 0; i < 60; i++)
		chain[i] =
		        (struct told){here(liar), LIE_BUFFER, i < 59 ? NEXT : 0, (uint16_t)(i + 1)};
	return 60;
}

/* ---- indirect tables ---- */

static struct vring_desc *table_of(struct liar *liar, unsigned n)
{
	struct vring_desc *table = (struct vring_desc *)liar->buffer2;
	bool packed = liar->guest->o.ring.packed;

	for (unsigned i = 0; i < n; i++)
		table[i] = (struct vring_desc){here(liar), 100 / n + 12, direction(liar), 0};
	for (unsigned i = 0; i + 1 < n && !packed; i++) {
		table[i].flags |= NEXT;
		table[i].next = (uint16_t)(i + 1);
	}
	return table;
}

static unsigned refer(struct liar *liar, struct told *chain, const void *table, uint32_t length)
{
	chain[0] = (struct told){memory_gpa(&liar->guest->memory, table), length, INDIRECT, 0};
	return 1;
}

/* In a packed ring's table flags stand behind the id. */
static void add_flags(struct liar *liar, struct vring_desc *d, uint16_t flags)
{
	if (liar->guest->o.ring.packed)
		d->next |= flags;
	else
		d->flags |= flags;
}

static unsigned nested(struct liar *liar, struct told *chain)
{
	struct vring_desc *table = table_of(liar, 2);

	table[0].addr = memory_gpa(&liar->guest->memory, table);
	table[0].len = 32;
	add_flags(liar, &table[0], INDIRECT);
	return refer(liar, chain, table, 32);
}

static unsigned odd_table(struct liar *liar, struct told *chain)
{
	return refer(liar, chain, table_of(liar, 2), 20);
}

static unsigned empty_table(struct liar *liar, struct told *chain)
{
	return refer(liar, chain, table_of(liar, 2), 0);
}

static unsigned huge_table(struct liar *liar, struct told *chain)
{
	return refer(liar, chain, table_of(liar, 2), UINT32_MAX - 15);
}

static unsigned table_outside(struct liar *liar, struct told *chain)
{
	refer(liar, chain, table_of(liar, 2), 32);
	chain[0].address = UINT64_MAX - 15;
	return 1;
}

static unsigned table_across(struct liar *liar, struct told *chain)
{
	refer(liar, chain, table_of(liar, 2), 32);
	chain[0].address = liar->guest->memory.regions[1].gpa - 16;
	return 1;
}

static unsigned table_and_next(struct liar *liar, struct told *chain)
{
	refer(liar, chain, table_of(liar, 2), 32);
	chain[0].flags |= NEXT;
	chain[0].next = 1;
	chain[1] = (struct told){here(liar), 100, direction(liar), 0};
	return 2;
}

static unsigned table_loop(struct liar *liar, struct told *chain)
{
	struct vring_desc *table = table_of(liar, 3);

	table[2].flags |= NEXT;
	table[2].next = 0;
	return refer(liar, chain, table, 48);
}

static unsigned table_next_outside(struct liar *liar, struct told *chain)
{
	struct vring_desc *table = table_of(liar, 3);

	table[1].next = 4000;
	return refer(liar, chain, table, 48);
}

static unsigned table_long(struct liar *liar, struct told *chain)
{
	return refer(liar, chain, table_of(liar, 200), 200 * 16);
}

static unsigned table_entry_outside(struct liar *liar, struct told *chain)
{
	struct vring_desc *table = table_of(liar, 3);

	table[2].addr = UINT64_MAX - 50;
	return refer(liar, chain, table, 48);
}

#define BOTH_WAYS(name_, rings_, function, help_)                                                  \
	{.name = "tx_" name_,                                                                      \
	        .stage = STAGE_RUNNING,                                                            \
	        .rings = rings_,                                                                   \
	        .effect = EFFECT_RING,                                                             \
	        .chain = function,                                                                 \
	        .queue = 1,                                                                        \
	        .help = "transmit ring: " help_},                                                  \
	{                                                                                          \
		.name = "rx_" name_, .stage = STAGE_RUNNING, .rings = rings_,                      \
		.effect = EFFECT_RING, .chain = function, .queue = 0,                              \
		.help = "receive ring: " help_                                                     \
	}

#define TABLE(name_, rings_, function, help_)                                                      \
	{                                                                                          \
		.name = name_, .stage = STAGE_RUNNING, .rings = rings_, .effect = EFFECT_RING,     \
		.chain = function, .queue = 1, .indirect = true, .help = "indirect table: " help_  \
	}

const struct lie lies_chain[] = {
        BOTH_WAYS("outside", RINGS_BOTH, outside, "a buffer before all memory"),
        BOTH_WAYS("at_zero", RINGS_ANY, at_zero, "a buffer at address 0"),
        BOTH_WAYS("wraps", RINGS_BOTH, wraps, "a buffer that ends behind 2^64"),
        BOTH_WAYS("past_end", RINGS_BOTH, past_end, "a buffer that begins in memory and leaves it"),
        BOTH_WAYS("user_address", RINGS_ANY, user_address, "a user address as a physical one"),
        BOTH_WAYS("huge", RINGS_BOTH, huge, "a buffer of 4 GiB - 1"),
        BOTH_WAYS("empty", RINGS_BOTH, empty, "a buffer of no bytes"),
        BOTH_WAYS("short", RINGS_BOTH, shorter_than_header, "a buffer shorter than a header"),
        BOTH_WAYS("wrong_direction", RINGS_BOTH, wrong_direction,
                "a buffer to write where one to read is due, or the reverse"),
        BOTH_WAYS("mixed_direction", RINGS_BOTH, mixed_direction,
                "the second descriptor goes the other way"),
        BOTH_WAYS(
                "second_outside", RINGS_BOTH, second_outside, "the second descriptor lies outside"),
        BOTH_WAYS("loop", RINGS_BOTH, loop_one, "a descriptor follows itself, or never ends"),
        BOTH_WAYS("loop_three", RINGS_SPLIT, loop_three, "three descriptors in a circle"),
        BOTH_WAYS("loop_empty", RINGS_SPLIT, loop_empty, "a circle of empty descriptors"),
        BOTH_WAYS("long_chain", RINGS_BOTH, long_chain, "200 descriptors"),
        BOTH_WAYS("next_outside", RINGS_SPLIT, next_outside, "the next descriptor is 65535"),
        BOTH_WAYS("next_behind", RINGS_SPLIT, next_behind, "the next one is just behind the ring"),
        {.name = "tx_too_much",
                .stage = STAGE_RUNNING,
                .rings = RINGS_BOTH,
                .effect = EFFECT_RING,
                .chain = too_much,
                .queue = 1,
                .help = "transmit ring: a frame of 240 KiB"},
        {.name = "indirect_unasked",
                .stage = STAGE_RUNNING,
                .rings = RINGS_BOTH,
                .effect = EFFECT_RING,
                .chain = odd_table,
                .queue = 1,
                .help = "indirect table: not negotiated"},
        TABLE("indirect_nested", RINGS_BOTH, nested, "in an indirect table"),
        TABLE("indirect_odd", RINGS_BOTH, odd_table, "20 bytes"),
        TABLE("indirect_empty", RINGS_BOTH, empty_table, "no bytes"),
        TABLE("indirect_huge", RINGS_BOTH, huge_table, "4 GiB"),
        TABLE("indirect_outside", RINGS_BOTH, table_outside, "outside memory"),
        TABLE("indirect_across", RINGS_BOTH, table_across, "half in each of two regions"),
        TABLE("indirect_and_next", RINGS_BOTH, table_and_next, "followed by a descriptor"),
        TABLE("indirect_loop", RINGS_SPLIT, table_loop, "its end leads to its begin"),
        TABLE("indirect_next_outside", RINGS_SPLIT, table_next_outside, "next is behind its end"),
        TABLE("indirect_long", RINGS_BOTH, table_long, "200 descriptors"),
        TABLE("indirect_entry_outside", RINGS_BOTH, table_entry_outside, "its third is outside"),
        {0},
};
