/* SPDX-License-Identifier: BSD-3-Clause */
/* Virtio headers that make no sense. Such a packet is dropped; the queue goes on. */
#include <string.h>

#include "buffer.h"
#include "frame.h"
#include "lies.h"

static void send_header(struct liar *liar, const struct virtio_net_hdr *header, uint32_t payload)
{
	static struct packet packet;
	struct guest *guest = liar->guest;
	struct frame_path path = {
	        .to = {2, 0, 0, 0, 0, 0xee}, .from_ip = guest->o.ip, .to_ip = guest->o.ip + 1};

	memcpy(path.from, guest->o.mac, 6);
	for (unsigned n = 0; n < 8; n++) {
		frame_tcp(&packet, &path, n, payload, 0);
		packet.header.hdr = *header;
		buffers_reclaim(guest, &guest->queues[1]);
		buffer_send(guest, &guest->queues[1], &packet);
	}
	ring_publish(&guest->queues[1].ring);
}

#define HEADER(function, payload_, ...)                                                            \
	static void function(struct liar *liar)                                                    \
	{                                                                                          \
		struct virtio_net_hdr header = {.flags = VIRTIO_NET_HDR_F_NEEDS_CSUM,              \
		        .gso_type = VIRTIO_NET_HDR_GSO_TCPV4,                                      \
		        .hdr_len = 54,                                                             \
		        .gso_size = 1000,                                                          \
		        .csum_start = 34,                                                          \
		        .csum_offset = 16};                                                        \
                                                                                                   \
		__VA_ARGS__;                                                                       \
		send_header(liar, &header, payload_);                                              \
	}

HEADER(gso_size_zero, 1400, header.gso_size = 0)
HEADER(gso_size_one, 1400, header.gso_size = 1)
HEADER(gso_segments, 1400, header.gso_size = 20)
HEADER(gso_size_huge, 1400, header.gso_size = UINT16_MAX)
HEADER(gso_udp, 1400, header.gso_type = VIRTIO_NET_HDR_GSO_UDP)
HEADER(gso_unknown, 1400, header.gso_type = 0x7f)
HEADER(gso_v6, 1400, header.gso_type = VIRTIO_NET_HDR_GSO_TCPV6)
HEADER(gso_without_checksum, 1400, header.flags = 0)
HEADER(gso_no_payload, 6, header.gso_size = 100)
HEADER(csum_start_beyond, 1400, header.gso_type = 0; header.csum_start = 1454)
HEADER(csum_start_huge, 1400, header.gso_type = 0; header.csum_start = UINT16_MAX)
HEADER(csum_wraps, 1400, header.csum_start = header.csum_offset = UINT16_MAX)
HEADER(csum_in_ethernet, 1400, header.gso_type = 0; header.csum_start = 0; header.csum_offset = 0)
HEADER(csum_in_ip, 1400, header.gso_type = 0; header.csum_start = 14; header.csum_offset = 10)
HEADER(csum_start_other, 1400, header.csum_start = 36)
HEADER(header_length_huge, 1400, header.hdr_len = UINT16_MAX)
HEADER(flags_all, 1400, memset(&header, 0xff, sizeof(header)))

static void headers_random(struct liar *liar)
{
	for (unsigned n = 0; n < 300; n++) {
		struct virtio_net_hdr header;

		for (unsigned i = 0; i < sizeof(header); i++)
			((uint8_t *)&header)[i] =
			        (uint8_t)(liar_random(liar, 3) ? liar_random(liar, 4)
			                                       : liar->random);
		send_header(liar, &header, 6 + liar_random(liar, 1400));
	}
}

#define OFFLOAD(name_, help_)                                                                      \
	{                                                                                          \
		.name = #name_, .stage = STAGE_RUNNING, .tell = name_, .offload = true,            \
		.help = "virtio header: " help_                                                    \
	}

const struct lie lies_offload[] = {
        OFFLOAD(gso_size_zero, "segments of no bytes"),
        OFFLOAD(gso_size_one, "1,400 segments of a byte"),
        OFFLOAD(gso_segments, "70 segments"),
        OFFLOAD(gso_size_huge, "one segment of 65535"),
        OFFLOAD(gso_udp, "UFO"),
        OFFLOAD(gso_unknown, "an unknown kind of segmentation"),
        OFFLOAD(gso_v6, "IPv4 said to be IPv6"),
        OFFLOAD(gso_without_checksum, "segmentation of finished checksums"),
        OFFLOAD(gso_no_payload, "segmentation of next to nothing"),
        OFFLOAD(csum_start_beyond, "the checksum begins at the end"),
        OFFLOAD(csum_start_huge, "the checksum begins at 65535"),
        OFFLOAD(csum_wraps, "start and offset of 65535"),
        OFFLOAD(csum_in_ethernet, "the checksum over the Ethernet header, in it"),
        OFFLOAD(csum_in_ip, "the checksum in the IP header"),
        OFFLOAD(csum_start_other, "the checksum begins within TCP"),
        OFFLOAD(header_length_huge, "headers of 65535 bytes"),
        OFFLOAD(flags_all, "all bits set"),
        OFFLOAD(headers_random, "2,400 random ones"),
        {0},
};
