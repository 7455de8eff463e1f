/* SPDX-License-Identifier: BSD-3-Clause */
/* Memory that changes while it is read, or is gone. */
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <sys/mman.h>
#include <unistd.h>

#include "clock.h"
#include "lies.h"

static void scribble_ring(struct liar *liar, struct ring *ring)
{
	unsigned i = liar_random(liar, ring->o.size);
	volatile uint64_t *desc = (volatile uint64_t *)&ring->desc.split[i];
	uint64_t here = memory_gpa(&liar->guest->memory, liar->buffer);
	uint64_t addresses[] = {
	        here, here + liar_random(liar, 4096), UINT64_MAX - 100, liar->random};
	uint64_t lengths[] = {12, 72, 1526, liar_random(liar, 70000), UINT32_MAX, 0};
	uint64_t flags = liar_random(liar, 8), next = liar_random(liar, ring->o.size + 8);

	if (ring->o.packed)
		desc[1] = lengths[liar_random(liar, 6)] | next << 32 |
		          (flags | (uint64_t)liar_random(liar, 2) << 7 |
		                  (uint64_t)liar_random(liar, 2) << 15)
		                  << 48;
	else
		desc[1] = lengths[liar_random(liar, 6)] | flags << 32 | next << 48;
	desc[0] = addresses[liar_random(liar, 4)];
	if (!ring->o.packed && liar_random(liar, 8) == 0) {
		ring->avail->ring[i] = (uint16_t)next;
		__atomic_store_n(&ring->avail->idx,
		        (uint16_t)(ring->used->idx + liar_random(liar, ring->o.size)),
		        __ATOMIC_RELEASE);
	}
}

/* Stops and starts a queue that the back end has stopped for what it found. */
static void restart(struct liar *liar, unsigned q)
{
	uint64_t index = q;

	liar_say_state(liar, SET_VRING_BASE, q, 0);
	liar_say(liar, SET_VRING_KICK, &index, 8, &liar_ring(liar, q)->kick, 1);
}

static void scribble(struct liar *liar)
{
	double end = clock_now() + (liar->hold > 1 ? liar->hold : 1), next = 0;

	while (clock_now() < end) {
		for (unsigned n = 0; n < 1000; n++) {
			scribble_ring(liar, liar_ring(liar, n & 1));
			((volatile uint8_t *)liar->buffer)[liar_random(liar, LIE_BUFFER)] ^= 0x55;
		}
		if (clock_now() < next)
			continue;
		next = clock_now() + 0.01;
		restart(liar, 0);
		restart(liar, 1);
	}
}

/* Frames whose header changes after it was checked, again and again. */
static void *flip(void *argument)
{
	struct liar *liar = argument;
	double end = clock_now() + liar->hold;

	while (clock_now() < end)
		for (unsigned n = 0; n < 100000; n++) {
			/* Length of the IP header, total length, protocol; gso_size. */
			((volatile uint8_t *)liar->buffer)[12 + 14] ^= 0x0f;
			((volatile uint8_t *)liar->buffer)[12 + 16] ^= 0xff;
			((volatile uint8_t *)liar->buffer)[4] ^= 0xff;
		}
	return NULL;
}

static void rewritten(struct liar *liar)
{
	uint64_t here = memory_gpa(&liar->guest->memory, liar->buffer);
	double end = clock_now() + liar->hold;
	struct told chain = {here, 112, 0, 0};
	pthread_t thread;

	for (unsigned i = 0; i < 112; i++)
		liar->buffer[i] = i < 12 ? 0 : (uint8_t)i;
	liar->buffer[24] = 8;
	liar->buffer[25] = 0;
	liar->buffer[26] = 0x45;
	if (pthread_create(&thread, NULL, flip, liar))
		return;
	liar->queue = 1;
	while (clock_now() < end) {
		liar_chain(liar, &chain, 1);
		usleep(20);
	}
	pthread_join(thread, NULL);
}

/* ---- the file behind the memory ---- */

static const struct memory *own;

/* Our own reads and writes end there, too: they go into empty memory from then on. */
static void on_sigbus(int number, siginfo_t *info, void *context)
{
	uintptr_t page = (uintptr_t)info->si_addr & ~4095UL;

	(void)context;
	if (mmap((void *)page, 4096, PROT_READ | PROT_WRITE,
	            MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) == MAP_FAILED)
		signal(number, SIG_DFL);
}

struct cutter {
	struct liar *liar;
	uint64_t keep; /* bytes of each region's file */
	bool punch, grow;
};

static void *cut(void *argument)
{
	struct cutter *cutter = argument;

	usleep(liar_random(cutter->liar, 20000));
	for (unsigned i = 0; i < own->n; i++) {
		const struct region *r = &own->regions[i];

		if (cutter->punch ? fallocate(r->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
		                            (off_t)cutter->keep, (off_t)(r->size - cutter->keep))
		                  : ftruncate(r->fd, (off_t)cutter->keep))
			break;
		if (cutter->grow && ftruncate(r->fd, (off_t)r->size))
			break;
	}
	return NULL;
}

static void cut_memory(struct liar *liar, struct cutter cutter)
{
	struct sigaction action = {.sa_sigaction = on_sigbus, .sa_flags = SA_SIGINFO};
	pthread_t thread;

	own = &liar->guest->memory;
	cutter.liar = &(struct liar){.random = liar->random};
	sigaction(SIGBUS, &action, NULL);
	if (pthread_create(&thread, NULL, cut, &cutter))
		return;
	liar_traffic(liar, 0.04);
	pthread_join(thread, NULL);
	liar_traffic(liar, 0.04);
}

static void truncate_all(struct liar *liar)
{
	cut_memory(liar, (struct cutter){0});
}

/* Rings stay, most buffers go. */
static void truncate_half(struct liar *liar)
{
	cut_memory(liar, (struct cutter){.keep = 64 << 10});
}

static void truncate_and_grow(struct liar *liar)
{
	cut_memory(liar, (struct cutter){.grow = true});
}

static void punch_all(struct liar *liar)
{
	cut_memory(liar, (struct cutter){.punch = true});
}

static void punch_buffers(struct liar *liar)
{
	cut_memory(liar, (struct cutter){.punch = true, .keep = 64 << 10});
}

/* It is too short by the time that it is mapped, or right after. */
static void truncate_at_table(struct liar *liar)
{
	struct sigaction action = {.sa_sigaction = on_sigbus, .sa_flags = SA_SIGINFO};
	int fds[REGIONS_MAX];
	struct memory_table_message table;

	own = &liar->guest->memory;
	sigaction(SIGBUS, &action, NULL);
	guest_memory_table(liar->guest, &table, fds);
	liar_say(liar, SET_MEM_TABLE, &table, (uint32_t)(8 + table.n * sizeof(table.regions[0])),
	        fds, table.n);
	for (unsigned i = 0; i < own->n; i++)
		if (ftruncate(own->regions[i].fd, 0))
			return;
	for (unsigned q = 0; q < 2; q++) {
		struct vring_address address = guest_vring_address(liar->guest, q);
		uint64_t index = q;

		liar_say_state(liar, SET_VRING_NUM, q, liar->guest->o.ring.size);
		liar_say(liar, SET_VRING_ADDR, &address, sizeof(address), NULL, 0);
		liar_say(liar, SET_VRING_KICK, &index, 8, &liar_ring(liar, q)->kick, 1);
		liar_say_state(liar, SET_VRING_ENABLE, q, 1);
	}
}

#define RACE(name_, rings_, effect_, function, help_)                                              \
	{                                                                                          \
		.name = name_, .stage = STAGE_RUNNING, .rings = rings_, .effect = effect_,         \
		.tell = function, .help = help_                                                    \
	}

const struct lie lies_race[] = {
        RACE("scribble", RINGS_BOTH, EFFECT_NONE, scribble, "rings are overwritten at full speed"),
        RACE("rewritten", RINGS_BOTH, EFFECT_NONE, rewritten, "frames change while they are read"),
        RACE("truncate_all", RINGS_BOTH, EFFECT_MEMORY, truncate_all, "its memory becomes empty"),
        RACE("truncate_half", RINGS_BOTH, EFFECT_MEMORY, truncate_half,
                "its buffers go, its rings stay"),
        RACE("truncate_and_grow", RINGS_BOTH, EFFECT_NONE, truncate_and_grow,
                "its memory goes and comes back empty"),
        RACE("punch_all", RINGS_BOTH, EFFECT_NONE, punch_all, "a hole in all of its memory"),
        RACE("punch_buffers", RINGS_BOTH, EFFECT_NONE, punch_buffers, "a hole in its buffers"),
        {.name = "truncate_at_table",
                .stage = STAGE_NEGOTIATED,
                .rings = RINGS_BOTH,
                .effect = EFFECT_CAUGHT,
                .tell = truncate_at_table,
                .help = "its memory becomes empty while it is mapped"},
        {0},
};
