/* SPDX-License-Identifier: BSD-3-Clause */
/* Buffers of a queue: cut into descriptors by layout, filled and read piece by piece. */
#ifndef GUEST_BUFFER_H
#define GUEST_BUFFER_H

#include "guest.h"

/* A frame with its virtio header, contiguous. */
struct packet {
	struct virtio_net_hdr_mrg_rxbuf header;
	uint32_t length; /* of data */
	uint8_t data[FRAME_MAX];
};

/* What a receive queue has, or will have, of a packet. */
enum receive {
	RECEIVE_NONE,
	RECEIVE_PACKET,
	RECEIVE_BROKEN, /* the back end broke a rule: guest.error says which */
};

/* Takes them from memory and posts receive buffers. Returns 0 or a negative errno. */
int buffers_make(struct guest *guest, struct queue *queue);
/* Receive buffers that a frame of so many bytes takes. */
unsigned buffers_needed(const struct guest *guest, uint32_t frame);
/* Puts a packet into the transmit ring, unpublished. False: no room. */
bool buffer_send(struct guest *guest, struct queue *queue, const struct packet *packet);
/* Takes sent buffers back. Returns how many, or -1 when the back end broke a rule. */
int buffers_reclaim(struct guest *guest, struct queue *queue);
/* The next packet; its buffers are posted again, unpublished. */
enum receive buffer_receive(struct guest *guest, struct queue *queue, struct packet *packet);
/* Bytes changed behind the pieces of buffers. */
uint64_t buffers_strays(const struct guest *guest);

#endif
