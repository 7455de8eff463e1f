/* SPDX-License-Identifier: BSD-3-Clause */
/* The driver's side of a virtqueue: virtio 1.1, 2.6 (split) and 2.7 (packed). One thread. */
#ifndef GUEST_RING_H
#define GUEST_RING_H

#include <stdbool.h>
#include <stdint.h>

#include <linux/virtio_ring.h>

#include "memory.h"

#define PIECES_MAX     64         /* of a chain */
#define LENGTH_UNKNOWN UINT32_MAX /* of a buffer that an in-order device returned in a batch */

/* A part of a buffer that gets a descriptor of its own. */
struct piece {
	uint8_t *host;
	uint32_t length;
};

struct ring_options {
	uint16_t size;
	bool packed, in_order, event_index, indirect;
};

struct outstanding {
	uint32_t token;
	uint16_t count; /* descriptors; 0: not with the device */
	bool indirect;
};

struct ring {
	struct ring_options o;
	struct memory *memory;
	int kick, call;
	union {
		struct vring_desc *split;
		struct vring_packed_desc *packed;
	} desc;
	struct vring_avail *avail;
	struct vring_used *used;
	struct vring_packed_desc_event *driver_event, *device_event;

	uint16_t free;                  /* descriptors */
	uint16_t next_avail, next_used; /* split: index, not masked; packed: slot */
	bool avail_wrap, used_wrap;
	uint16_t next_desc;               /* split, in order */
	uint16_t published;               /* split: next_avail at the last publish */
	uint16_t added;                   /* packed: slots since the last publish */
	uint16_t first_flags, first_slot; /* packed: what makes them available, written last */

	struct outstanding *out; /* by id */
	uint16_t *ids;           /* free ones; ids[n_ids - 1] is next */
	uint16_t n_ids;
	uint16_t *order; /* in order: ids as they were added */
	uint16_t order_head, order_tail;
	int batch_last; /* in order: id that ends the batch being returned, -1 none */
	void **tables;  /* indirect ones, by id */
	unsigned adds;
	uint64_t kicks;
};

/* Takes the areas from memory. Returns 0 or a negative errno. */
int ring_create(struct ring *ring, struct memory *memory, const struct ring_options *options);
/* Harmless on a zeroed one. */
void ring_destroy(struct ring *ring);

/* Adds a buffer; false when there is no room. The device sees it after ring_publish. */
bool ring_add(
        struct ring *ring, const struct piece *pieces, unsigned n, bool writable, uint32_t token);
/* Makes what was added available, and kicks when the device wants it. */
void ring_publish(struct ring *ring);
void ring_kick(struct ring *ring);
/* 1: a buffer came back; 0: none; -1: the device returned what it does not have. */
int ring_take(struct ring *ring, uint32_t *token, uint32_t *length);
/* Whether ring_take would return one. */
bool ring_has_used(const struct ring *ring);
/* Asks for a call at the next used buffer, or for none. */
void ring_arm(struct ring *ring, bool on);
/* What SET_VRING_BASE says so that the device continues here: with the first buffer that has not
 * come back. Packed: for the available and, in the upper half, the used side. */
uint32_t ring_base(const struct ring *ring);
/* Buffers with the device. */
unsigned ring_outstanding(const struct ring *ring);

/* ---- ring_packed.c and ring_split.c, for ring.c ---- */
bool split_add(
        struct ring *ring, const struct piece *pieces, unsigned n, bool writable, uint16_t id);
bool split_publish(struct ring *ring);
bool split_used(const struct ring *ring, uint16_t *id, uint32_t *length);
void split_advance(struct ring *ring, uint16_t id);
void split_arm(struct ring *ring, bool on);
bool packed_add(
        struct ring *ring, const struct piece *pieces, unsigned n, bool writable, uint16_t id);
bool packed_publish(struct ring *ring);
bool packed_used(const struct ring *ring, uint16_t *id, uint32_t *length);
void packed_advance(struct ring *ring, uint16_t id);
void packed_arm(struct ring *ring, bool on);

#endif
