/* SPDX-License-Identifier: BSD-3-Clause */
/* A guest's port: connection, features, memory, queues. One thread. */
#ifndef GUEST_GUEST_H
#define GUEST_GUEST_H

#include <stdbool.h>
#include <stdint.h>

#include <linux/virtio_config.h>
#include <linux/virtio_net.h>

#include "memory.h"
#include "message.h"
#include "ring.h"

#define PAIRS_MAX  8
#define FRAME_MAX  (65535 + 14)
#define HEADER_MAX 12

#ifndef VIRTIO_F_IN_ORDER
#define VIRTIO_F_IN_ORDER 35
#endif
#ifndef VIRTIO_F_RING_PACKED
#define VIRTIO_F_RING_PACKED 34
#endif
#define FEATURE(bit)               (1ULL << (bit))
#define VHOST_F_PROTOCOL_FEATURES_ 30

/* How header and data are cut into descriptors. */
enum layout {
	LAYOUT_ONE,      /* all in one */
	LAYOUT_TWO,      /* header, data */
	LAYOUT_MANY,     /* header, and data in small ones */
	LAYOUT_SPLIT,    /* 5 bytes of the header; the rest of it and data */
	LAYOUT_THREE,    /* 5 bytes of the header, the rest of it, data */
	LAYOUT_STRADDLE, /* all in one, across a border between two regions */
	LAYOUT_N,
};

extern const char *const layout_names[LAYOUT_N];

struct guest_options {
	char path[108];
	bool connect; /* instead of serving the socket */
	uint8_t mac[6], gateway[6];
	uint32_t ip; /* host order */
	bool mergeable, offload, no_ack;
	uint64_t features; /* further ones that are asked for */
	struct ring_options ring;
	struct memory_options memory;
	enum layout layout;
	uint16_t pairs;
	uint32_t frame_max;
	uint32_t rx_buffer; /* bytes of a receive buffer when they merge */
};

struct buffer {
	struct piece pieces[PIECES_MAX];
	unsigned n;
	uint32_t length; /* of all pieces */
	uint32_t frame;  /* bytes of the frame in it */
	uint32_t check;  /* transmit: of what was written */
	bool busy, straddles;
};

struct queue {
	struct ring ring;
	struct buffer *buffers;
	unsigned n_buffers;
	unsigned index;
};

struct guest {
	struct guest_options o;
	int listener, socket; /* -1: none */
	uint64_t offered, features, protocol;
	uint16_t queue_max; /* GET_QUEUE_NUM */
	struct memory memory;
	struct queue queues[2 * PAIRS_MAX];
	unsigned n_queues; /* that are there */
	unsigned header;   /* bytes of the virtio header */
	uint64_t not_one;  /* packets whose num_buffers was not 1 though buffers do not merge */
	char error[160];   /* what failed last */
};

/* Serves the socket, if that is what it does. */
int guest_init(struct guest *guest, const struct guest_options *options);
/* Leaves and forgets all. Harmless on one that guest_init failed on. */
void guest_close(struct guest *guest);

int guest_connect(struct guest *guest, int timeout_ms);
/* Closes the connection and forgets the memory. */
void guest_leave(struct guest *guest);
/* Features and protocol features. */
int guest_negotiate(struct guest *guest);
/* Makes memory and queues, tells nobody. */
int guest_make_queues(struct guest *guest);
int guest_send_memory(struct guest *guest);
/* Tells where queue q is; it starts with its kick descriptor. */
int guest_start_queue(struct guest *guest, unsigned q);
int guest_enable_queue(struct guest *guest, unsigned q, bool on);
/* GET_VRING_BASE: the queue stops; *base is what the back end says. */
int guest_stop_queue(struct guest *guest, unsigned q, uint32_t *base);
/* All of the above from guest_negotiate on, for all queues. */
int guest_start(struct guest *guest);
/* Connects and starts; a back end that has not seen the last connection end refuses at first. */
int guest_come(struct guest *guest, int timeout_ms);

/* Sends a message, with an acknowledgement where that was negotiated. */
int guest_tell(struct guest *guest, uint32_t request, const void *payload, uint32_t size,
        const int *fds, unsigned n_fds);
/* Sends a message and waits for the answer of the same size as value. */
int guest_ask(struct guest *guest, uint32_t request, const void *payload, uint32_t payload_size,
        void *value, uint32_t size);
void guest_memory_table(const struct guest *guest, struct memory_table_message *table, int *fds);
struct vring_address guest_vring_address(const struct guest *guest, unsigned q);
/* Whether the back end closed the connection, waiting for it so long. */
bool guest_is_gone(const struct guest *guest, int timeout_ms);

#endif
