/* SPDX-License-Identifier: BSD-3-Clause */
/* vhost-user messages as they are on the socket (QEMU's docs/interop/vhost-user.rst), in the
 * machine's byte order. */
#ifndef DATAPLANE_PORT_VHOST_USER_MESSAGE_H
#define DATAPLANE_PORT_VHOST_USER_MESSAGE_H

#include <stdint.h>

#define VU_VERSION      1u
#define VU_VERSION_MASK 3u
#define VU_REPLY        (1u << 2)
#define VU_NEED_REPLY   (1u << 3)
#define VU_FDS_MAX      8
#define VU_PAYLOAD_MAX  512 /* the longest that we serve has 264 bytes */

#define VU_F_PROTOCOL_FEATURES 30 /* feature bit */

/* Bits of SET_PROTOCOL_FEATURES. */
#define VU_PROTOCOL_MQ        0
#define VU_PROTOCOL_REPLY_ACK 3
#define VU_PROTOCOL_NET_MTU   4
#define VU_PROTOCOL_STATUS    16

/* Low 8 bits of the descriptor messages: queue; bit 8: no descriptor comes with it. */
#define VU_QUEUE_MASK 0xffu
#define VU_NO_FD      (1u << 8)

enum vu_request {
	VU_GET_FEATURES = 1,
	VU_SET_FEATURES = 2,
	VU_SET_OWNER = 3,
	VU_RESET_OWNER = 4,
	VU_SET_MEM_TABLE = 5,
	VU_SET_VRING_NUM = 8,
	VU_SET_VRING_ADDR = 9,
	VU_SET_VRING_BASE = 10,
	VU_GET_VRING_BASE = 11,
	VU_SET_VRING_KICK = 12,
	VU_SET_VRING_CALL = 13,
	VU_SET_VRING_ERR = 14,
	VU_GET_PROTOCOL_FEATURES = 15,
	VU_SET_PROTOCOL_FEATURES = 16,
	VU_GET_QUEUE_NUM = 17,
	VU_SET_VRING_ENABLE = 18,
	VU_NET_SET_MTU = 20,
	VU_SET_STATUS = 39,
	VU_GET_STATUS = 40,
	VU_REQUEST_MAX = 64,
};

struct vu_vring_state {
	uint32_t queue, number;
};

struct vu_vring_addr {
	uint32_t queue, flags;
	uint64_t desc, used, avail, log;
};

struct vu_region {
	uint64_t guest, size, user, offset;
};

struct vu_memory {
	uint32_t n, padding;
	struct vu_region region[VU_FDS_MAX];
};

struct vu_message {
	uint32_t request, flags, size;
	union {
		uint64_t number;
		struct vu_vring_state state;
		struct vu_vring_addr addr;
		struct vu_memory memory;
		uint8_t bytes[VU_PAYLOAD_MAX];
	} payload;
} __attribute__((packed, aligned(4)));

#define VU_HEADER 12

_Static_assert(__builtin_offsetof(struct vu_message, payload) == VU_HEADER,
        "the payload follows the header");
_Static_assert(sizeof(struct vu_memory) == 264, "vhost-user: memory regions description");

#endif
