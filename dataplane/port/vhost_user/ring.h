/* SPDX-License-Identifier: BSD-3-Clause */
/* A guest's queue as workers use it: virtio 1.1, 2.6 (split) and 2.7 (packed), the device's side.
 *
 * The guests thread fills a vring while it is published nowhere and publishes it by
 * device.ring[]; from then on everything but the worker's part is constant until it has been
 * unpublished and a grace period is over. Whatever lies in guest memory may change at any moment:
 * each field is read once, into a local, and checked there. Nothing here knows sockets, and memory
 * is reached through a region table only, so tests and fuzzers run it over buffers of their own. */
#ifndef DATAPLANE_PORT_VHOST_USER_RING_H
#define DATAPLANE_PORT_VHOST_USER_RING_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include <linux/virtio_net.h>
#include <linux/virtio_ring.h>

#include "dataplane/batch.h"
#include "dataplane/port/vhost_user/memory.h"

#define RING_SIZE_MAX 32768

/* Why a queue was stopped. One sentence each: ring_error_text. */
enum ring_error {
	RING_OK,
	RING_INDEX,    /* the available index jumped by more than the ring has */
	RING_ID,       /* no such descriptor */
	RING_ADDRESS,  /* outside the guest's memory */
	RING_CHAIN,    /* longer than CHAIN_MAX or than the ring, or it loops */
	RING_INDIRECT, /* a table that is nested, empty, misplaced, or was not negotiated */
	RING_ACCESS,   /* writable where it should be readable, or the other way round */
	RING_PLACE,    /* the ring itself is not in the guest's memory */
	RING_LENGTH,   /* shorter than its header, or longer than 64 KiB */
};

/* A descriptor, copied. */
struct descriptor {
	uint64_t address;
	uint32_t length;
	uint16_t flags;
	uint16_t next; /* packed: the buffer's id */
};

struct guest_ring {
	/* ---- constant while published ---- */
	const struct guest_memory *memory;
	union {
		struct vring_desc *split;
		struct vring_packed_desc *packed;
	} desc;
	struct vring_avail *avail;
	struct vring_used *used;
	struct vring_packed_desc_event *driver_event, *device_event;
	uint16_t size;
	bool is_packed, event_index, indirect, mergeable;
	bool csum_in;    /* the guest may leave checksums and segmentation to us */
	uint8_t accepts; /* enum offload that it takes */
	uint8_t header;  /* bytes of its virtio_net_hdr */
	int kick_fd;     /* an eventfd that its driver writes to; -1: none, it must be polled */
	/* Guests thread swaps, workers read: -1 none. An old one is closed after a grace period. */
	_Atomic int call_fd;
	/* Worker writes, guests thread reads and clears. */
	_Atomic uint8_t error;

	/* ---- the worker's; the guests thread's while not published ---- */
	uint16_t next_avail; /* split: index, not masked; packed: slot */
	uint16_t next_used;
	bool avail_wrap, used_wrap; /* packed */
	bool signalled_valid;
	uint16_t signalled; /* used index at the last notification */
	uint16_t n_taken;   /* buffers taken and not returned: in this batch */
	uint16_t taken_slots;
	/* Its driver was asked to kick. From the first packets on it is not (ring_disarm). */
	bool armed;
	/* 1 + index of the worker that waits for kick_fd, 0: none. The guests thread clears it when
	 * it takes the descriptor away, while no worker is in the ring. */
	uint8_t watcher;
	struct {
		uint16_t id, slots;
	} taken[PR_BATCH];
} __rte_cache_aligned;

const char *ring_error_text(unsigned error);

/* Marks a ring as broken: the guests thread stops it and says so. Returns 0. Worker. */
unsigned ring_fail(struct guest_ring *ring, enum ring_error error);

/* Asks the driver to kick when it makes a buffer available, or no longer (virtio 1.1, 2.6.10,
 * 2.7.10). Whoever arms a ring puts a full fence behind it and looks at the ring once more. The
 * worker that polls it, or the guests thread while no worker sees it. */
void ring_arm(struct guest_ring *ring);
void ring_disarm(struct guest_ring *ring);

/* Takes up to n packets (at most PR_BATCH - batch->count) that the guest sent: new entries whose
 * heads are copies and whose rest lies in the guest. Returns how many. The first packet that can
 * not be is where the ring is stopped. Their buffers belong to us until ring_return. Worker. */
unsigned split_rx(struct guest_ring *ring, struct batch *batch, unsigned n);
unsigned packed_rx(struct guest_ring *ring, struct batch *batch, unsigned n);

/* Gives all buffers back that rx has taken, in ring order. Worker. */
void split_return(struct guest_ring *ring);
void packed_return(struct guest_ring *ring);

/* Copies the entries of the mask into the guest's receive buffers and publishes them. Returns those
 * that went; for others sets batch->reason to PR_DROP_EGRESS_FULL or PR_DROP_GUEST_BUFFER. Worker,
 * under the queue's lock if others send to it too. */
uint64_t split_tx(struct guest_ring *ring, struct batch *batch, uint64_t mask);
uint64_t packed_tx(struct guest_ring *ring, struct batch *batch, uint64_t mask);

/* Whether the driver wants to be told of what was published since the last call. The caller has put
 * a full fence between that and this: the driver writes what it wants before it looks at the ring
 * for the last time (virtio 1.1, 2.6.7.1, 2.7.10). Worker, under the same lock. */
bool split_wants_signal(struct guest_ring *ring);
bool packed_wants_signal(struct guest_ring *ring);

#endif
