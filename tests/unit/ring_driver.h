/* SPDX-License-Identifier: BSD-3-Clause */
/* The driver's side of one queue (virtio 1.1, 2.6 and 2.7), in guest memory of our own: what the
 * rings under test are compared with. Shares no code with them. */
#ifndef TESTS_UNIT_RING_DRIVER_H
#define TESTS_UNIT_RING_DRIVER_H

#include <stdbool.h>
#include <stdint.h>

#include "dataplane/port/vhost_user/ring.h"

#define DATA_REGIONS 3
#define DATA_BASE    0x40000000u
#define SLOT_BYTES   70000 /* of one buffer, gaps included */
#define SLOTS        40    /* buffers that the device may have at a time */
#define TABLE_BASE   0x10000000u
#define TABLE_BYTES  1024 /* of one indirect table */
#define UNTOUCHED    0xa5
#define DRIVER_MAX   256 /* entries of a ring */

struct driver_piece {
	uint64_t address;
	uint32_t length;
};

/* A buffer that the device has, or has just given back. */
struct driver_buffer {
	uint16_t id;
	uint16_t slots; /* descriptors of the ring that it takes */
	uint16_t slot;  /* where its bytes are */
	uint16_t n;
	uint32_t capacity, extent;
	struct driver_piece piece[CHAIN_MAX];
};

struct driver_options {
	bool packed, event_index, indirect, mergeable;
	uint16_t size, start; /* first index (split), first slot (packed) */
	bool start_wrap;
};

struct driver {
	struct guest_ring ring; /* the device's */
	struct guest_memory memory;
	bool packed;
	uint16_t size, avail, used; /* indexes (split) or slots (packed) */
	bool avail_wrap, used_wrap;
	uint16_t free_id[DRIVER_MAX], n_free_id;
	uint16_t free_slot[SLOTS], n_free_slot;
	unsigned free_descriptors;
	/* The device has these, in order. */
	struct driver_buffer queue[SLOTS];
	unsigned first, count;
	uint64_t random;
	size_t used_bytes, avail_bytes;
};

void driver_start(struct driver *driver, const struct driver_options *options);
void driver_stop(struct driver *driver);

/* Cuts capacity bytes into n pieces at random places of a slot; false: no room now. The buffer is
 * not the device's yet. */
bool driver_cut(struct driver *driver, struct driver_buffer *buffer, uint32_t capacity, unsigned n,
        bool indirect);
/* Makes it available. */
void driver_post(struct driver *driver, struct driver_buffer *buffer, bool writable, bool indirect);
/* Takes the next used buffer back; false: none. */
bool driver_take(struct driver *driver, struct driver_buffer *buffer, uint32_t *length);

/* Bytes of a buffer, from its first one, and of everything around it. */
void driver_write(
        struct driver *driver, const struct driver_buffer *buffer, const void *from, uint32_t n);
void driver_read(struct driver *driver, const struct driver_buffer *buffer, void *to, uint32_t n);
/* Whether all of the slot but the first n bytes of the buffer is as driver_cut left it. */
bool driver_rest_untouched(struct driver *driver, const struct driver_buffer *buffer, uint32_t n);

/* The host's address of a byte of guest memory, found in another way than the device does. */
uint8_t *driver_byte(struct driver *driver, uint64_t address, uint32_t *left);

#endif
