/* SPDX-License-Identifier: BSD-3-Clause */
/* Numbered frames that say themselves whether they are whole: UDP and TCP over IPv4, and ARP. */
#ifndef GUEST_FRAME_H
#define GUEST_FRAME_H

#include <stdbool.h>
#include <stdint.h>

#include "buffer.h"

#define FRAME_MIN     60
#define FRAME_HELLO   1
#define FRAME_DATA    2
#define FRAME_HEADERS 42 /* Ethernet, IPv4, UDP */

struct frame_path {
	uint8_t from[6], to[6];
	uint32_t from_ip, to_ip; /* host order */
	uint8_t flow;
	bool partial; /* leaves the checksum to the device */
};

struct frame_info {
	uint8_t kind, flow, ttl;
	uint16_t size;
	uint32_t number, from_ip;
	const uint8_t *from, *to;
};

void frame_udp(struct packet *packet, const struct frame_path *path, uint8_t kind, uint32_t number,
        uint32_t size);
/* NULL when all is as frame_udp made it, but for MAC addresses and TTL; else what is wrong. An
 * empty sentence: not one of ours. accepts_partial: the guest has VIRTIO_NET_F_GUEST_CSUM. */
const char *frame_udp_read(
        const struct packet *packet, bool accepts_partial, struct frame_info *info);

/* TCP whose payload follows from its sequence numbers. segment: gso_size, 0 for none. */
void frame_tcp(struct packet *packet, const struct frame_path *path, uint32_t sequence,
        uint32_t payload, uint16_t segment);
/* As frame_udp_read; *payload bytes from *sequence are as they should be. */
const char *frame_tcp_read(const struct packet *packet, bool accepts_partial, bool accepts_gso,
        uint32_t *sequence, uint32_t *payload);

/* An announcement of the path's sender. */
void frame_arp(struct packet *packet, const struct frame_path *path);
/* Whether it asks for ip; then reply is the answer. */
bool frame_arp_answer(
        const struct packet *packet, uint32_t ip, const uint8_t *mac, struct packet *reply);

#endif
