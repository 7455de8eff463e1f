/* SPDX-License-Identifier: BSD-3-Clause */
/* vhost-user messages, as the front end sends them. */
#ifndef GUEST_MESSAGE_H
#define GUEST_MESSAGE_H

#include <stddef.h>
#include <stdint.h>

enum request {
	GET_FEATURES = 1,
	SET_FEATURES = 2,
	SET_OWNER = 3,
	RESET_OWNER = 4,
	SET_MEM_TABLE = 5,
	SET_LOG_BASE = 6,
	SET_VRING_NUM = 8,
	SET_VRING_ADDR = 9,
	SET_VRING_BASE = 10,
	GET_VRING_BASE = 11,
	SET_VRING_KICK = 12,
	SET_VRING_CALL = 13,
	SET_VRING_ERR = 14,
	GET_PROTOCOL_FEATURES = 15,
	SET_PROTOCOL_FEATURES = 16,
	GET_QUEUE_NUM = 17,
	SET_VRING_ENABLE = 18,
};

#define MESSAGE_VERSION    1u
#define MESSAGE_NEED_REPLY 8u
#define NO_FD              (1u << 8) /* in the payload of SET_VRING_KICK and the like */
#define FDS_MAX            64

#define PROTOCOL_MQ        (1ULL << 0)
#define PROTOCOL_REPLY_ACK (1ULL << 3)

struct message_header {
	uint32_t request, flags, size;
};

struct vring_state {
	uint32_t index, number;
};

struct vring_address {
	uint32_t index, flags;
	uint64_t descriptors, used, available, log;
};

struct memory_region_message {
	uint64_t gpa, size, user, offset;
};

struct memory_table_message {
	uint32_t n, padding;
	struct memory_region_message regions[8];
};

/* Sends bytes as they are, the descriptors with the first. Returns 0 or a negative errno. */
int message_send_raw(int socket, const void *data, size_t size, const int *fds, unsigned n_fds);
int message_send(int socket, uint32_t request, uint32_t flags, const void *payload, uint32_t size,
        const int *fds, unsigned n_fds);
/* Waits for the answer to request; its payload is value. Returns 0, -ETIMEDOUT, -ECONNRESET when
 * the back end closed the connection, -EPROTO when the answer is another one or has another size.
 */
int message_receive(int socket, uint32_t request, void *value, size_t size, int timeout_ms);

#endif
