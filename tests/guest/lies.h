/* SPDX-License-Identifier: BSD-3-Clause */
/* A lie is a function, or a chain of descriptors that makes no sense, in a table with name and
 * help. To add one: write the function, add a line to its file's table. */
#ifndef GUEST_LIES_H
#define GUEST_LIES_H

#include "guest.h"

/* How far an honest start goes before the lie. */
enum lie_stage { STAGE_CONNECTED, STAGE_NEGOTIATED, STAGE_MEMORY, STAGE_RUNNING };

/* Rings that it is told with. */
enum lie_rings { RINGS_ANY, RINGS_SPLIT, RINGS_PACKED, RINGS_BOTH };

/* What an honest back end counts then. */
enum lie_effect { EFFECT_NONE, EFFECT_PROTOCOL, EFFECT_RING, EFFECT_MEMORY, EFFECT_CAUGHT };

/* A descriptor as it is told; flags without those of packed rings. */
struct told {
	uint64_t address;
	uint32_t length;
	uint16_t flags, next;
};

#define CHAIN_TOLD_MAX 250

struct liar {
	struct guest *guest;
	double hold; /* seconds that it goes on, if it takes time */
	uint64_t random;
	uint8_t *buffer;  /* BUFFER_SIZE bytes of guest memory */
	uint8_t *buffer2; /* in another region, if there is one */
	unsigned queue;   /* that the chain is for */
};

#define LIE_BUFFER 4096

struct lie {
	const char *name;
	enum lie_stage stage;
	enum lie_rings rings;
	enum lie_effect effect;
	void (*tell)(struct liar *liar);
	/* Instead: fills a chain for queue. Returns its length. */
	unsigned (*chain)(struct liar *liar, struct told *chain);
	unsigned queue; /* 0: receive, 1: transmit */
	bool indirect;  /* needs VIRTIO_RING_F_INDIRECT_DESC */
	bool offload;   /* asks for checksum and segmentation offload */
	bool quiet;     /* nothing is sent before it */
	const char *help;
};

extern const struct lie lies_message[], lies_memory[], lies_queue[], lies_fd[], lies_chain[],
        lies_index[], lies_packed[], lies_offload[], lies_race[];

void lies_list(void);

/* ---- for lies ---- */
uint32_t liar_random(struct liar *liar, uint32_t below);
/* Sends a message and waits for nothing. */
void liar_say(struct liar *liar, uint32_t request, const void *payload, uint32_t size,
        const int *fds, unsigned n_fds);
void liar_say_number(struct liar *liar, uint32_t request, uint64_t number);
void liar_say_state(struct liar *liar, uint32_t request, uint32_t index, uint32_t number);
/* Puts a chain where the device will look next, and kicks. */
void liar_chain(struct liar *liar, const struct told *chain, unsigned n);
/* Sends honest frames to nobody for so long, or until memory or ring end. */
void liar_traffic(struct liar *liar, double seconds);
struct ring *liar_ring(struct liar *liar, unsigned queue);

#endif
