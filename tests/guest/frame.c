/* SPDX-License-Identifier: BSD-3-Clause */
#include "frame.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stddef.h>
#include <string.h>

#define MAGIC       0x70726775u
#define TCP_HEADERS 54 /* Ethernet, IPv4, TCP */
#define TTL         64

struct mark {
	uint32_t magic, number, check;
	uint16_t size;
	uint8_t kind, flow;
} __attribute__((packed));

static void put16(uint8_t *at, unsigned value)
{
	at[0] = (uint8_t)(value >> 8);
	at[1] = (uint8_t)value;
}

static void put32(uint8_t *at, uint32_t value)
{
	put16(at, value >> 16);
	put16(at + 2, value & 0xffff);
}

static unsigned get16(const uint8_t *at)
{
	return (unsigned)at[0] << 8 | at[1];
}

static uint32_t get32(const uint8_t *at)
{
	return (uint32_t)get16(at) << 16 | get16(at + 2);
}

static uint32_t add_up(uint32_t sum, const uint8_t *at, uint32_t length)
{
	uint64_t wide = sum;

	for (; length > 1; at += 2, length -= 2)
		wide += get16(at);
	if (length)
		wide += (uint32_t)at[0] << 8;
	while (wide >> 16)
		wide = (wide & 0xffff) + (wide >> 16);
	return (uint32_t)wide;
}

/* RFC 793 and 768: of the pseudo header, folded, not inverted. */
static uint32_t pseudo_sum(const uint8_t *ip, uint8_t protocol, uint32_t length)
{
	return add_up((uint32_t)protocol + length, ip + 12, 8);
}

static void put_ethernet_ip(struct packet *packet, const struct frame_path *path, uint8_t protocol)
{
	uint8_t *ip = packet->data + 14;

	memcpy(packet->data, path->to, 6);
	memcpy(packet->data + 6, path->from, 6);
	put16(packet->data + 12, 0x0800);
	memset(ip, 0, 20);
	ip[0] = 0x45;
	put16(ip + 2, packet->length - 14);
	ip[8] = TTL;
	ip[9] = protocol;
	put32(ip + 12, path->from_ip);
	put32(ip + 16, path->to_ip);
	put16(ip + 10, ~add_up(0, ip, 20) & 0xffff);
}

static void finish_checksum(struct packet *packet, bool partial, uint8_t protocol, unsigned offset)
{
	uint8_t *ip = packet->data + 14, *l4 = ip + 20;
	uint32_t length = packet->length - 34, sum = pseudo_sum(ip, protocol, length);

	memset(&packet->header, 0, sizeof(packet->header));
	if (partial) {
		put16(l4 + offset, sum);
		packet->header.hdr.flags = VIRTIO_NET_HDR_F_NEEDS_CSUM;
		packet->header.hdr.csum_start = 34;
		packet->header.hdr.csum_offset = (uint16_t)offset;
		return;
	}
	put16(l4 + offset, 0);
	sum = ~add_up(sum, l4, length) & 0xffff;
	put16(l4 + offset, sum ? sum : 0xffff);
}

static uint32_t pattern(uint32_t number, uint32_t at)
{
	return (number * 2654435761u + at * 40503u) >> 13;
}

static uint32_t check_of(const struct mark *mark, const uint8_t *rest, uint32_t length)
{
	uint32_t sum = mark->number * 31 + mark->size * 17 + mark->kind * 7 + mark->flow;

	for (uint32_t i = 0; i < length; i++)
		sum = (sum ^ rest[i]) * 16777619u;
	return sum;
}

void frame_udp(struct packet *packet, const struct frame_path *path, uint8_t kind, uint32_t number,
        uint32_t size)
{
	uint8_t *udp = packet->data + 34, *rest = udp + 8 + sizeof(struct mark);
	uint32_t length = size - FRAME_HEADERS - (uint32_t)sizeof(struct mark);
	struct mark mark = {MAGIC, number, 0, (uint16_t)size, kind, path->flow};

	packet->length = size;
	put_ethernet_ip(packet, path, IPPROTO_UDP);
	put16(udp, 40000u + path->flow);
	put16(udp + 2, 9000);
	put16(udp + 4, size - 34);
	for (uint32_t i = 0; i < length; i++)
		rest[i] = (uint8_t)pattern(number, i);
	mark.check = check_of(&mark, rest, length);
	memcpy(udp + 8, &mark, sizeof(mark));
	finish_checksum(packet, path->partial, IPPROTO_UDP, 6);
}

static const char *checksum_fault(
        const struct packet *packet, bool accepts_partial, uint8_t protocol, unsigned offset)
{
	const struct virtio_net_hdr *header = &packet->header.hdr;
	const uint8_t *ip = packet->data + 14, *l4 = ip + 20;
	uint32_t length = packet->length - 34, sum = pseudo_sum(ip, protocol, length);

	if (header->flags & VIRTIO_NET_HDR_F_NEEDS_CSUM) {
		if (!accepts_partial)
			return "a partial checksum was not negotiated";
		if (header->csum_start != 34 || header->csum_offset != offset)
			return "csum_start or csum_offset";
		return get16(l4 + offset) == sum ? NULL : "partial checksum";
	}
	return add_up(sum, l4, length) == 0xffff ? NULL : "checksum";
}

static const char *ip_fault(const struct packet *packet, uint32_t least)
{
	const uint8_t *ip = packet->data + 14;

	if (packet->length < least)
		return "";
	if (get16(packet->data + 12) != 0x0800 || ip[0] != 0x45)
		return "";
	if (add_up(0, ip, 20) != 0xffff)
		return "IP checksum";
	return NULL;
}

const char *frame_udp_read(
        const struct packet *packet, bool accepts_partial, struct frame_info *info)
{
	const uint8_t *ip = packet->data + 14, *rest = ip + 28 + sizeof(struct mark);
	const char *fault = ip_fault(packet, FRAME_MIN);
	struct mark mark;
	uint32_t length;

	if (fault)
		return fault;
	memcpy(&mark, ip + 28, sizeof(mark));
	if (ip[9] != IPPROTO_UDP || get16(ip + 22) != 9000 || mark.magic != MAGIC)
		return "";
	*info = (struct frame_info){.kind = mark.kind,
	        .flow = mark.flow,
	        .ttl = ip[8],
	        .size = mark.size,
	        .number = mark.number,
	        .from_ip = get32(ip + 12),
	        .from = packet->data + 6,
	        .to = packet->data};
	if (packet->length != mark.size)
		return "length";
	if (get16(ip + 2) != packet->length - 14u || get16(ip + 24) != packet->length - 34u)
		return "length in a header";
	if (packet->header.hdr.gso_type != VIRTIO_NET_HDR_GSO_NONE)
		return "gso_type";
	length = mark.size - FRAME_HEADERS - (uint32_t)sizeof(mark);
	if (check_of(&mark, rest, length) != mark.check)
		return "content";
	for (uint32_t i = 0; i < length; i++)
		if (rest[i] != (uint8_t)pattern(mark.number, i))
			return "another frame's content";
	return checksum_fault(packet, accepts_partial, IPPROTO_UDP, 6);
}

void frame_tcp(struct packet *packet, const struct frame_path *path, uint32_t sequence,
        uint32_t payload, uint16_t segment)
{
	uint8_t *tcp = packet->data + 34;

	packet->length = TCP_HEADERS + payload;
	put_ethernet_ip(packet, path, IPPROTO_TCP);
	memset(tcp, 0, 20);
	put16(tcp, 40000u + path->flow);
	put16(tcp + 2, 9001);
	put32(tcp + 4, sequence);
	tcp[12] = 5 << 4;
	tcp[13] = 0x10; /* ACK */
	put16(tcp + 14, 0xffff);
	for (uint32_t i = 0; i < payload; i++)
		tcp[20 + i] = (uint8_t)pattern(9, sequence + i);
	finish_checksum(packet, path->partial || segment, IPPROTO_TCP, 16);
	if (!segment)
		return;
	packet->header.hdr.gso_type = VIRTIO_NET_HDR_GSO_TCPV4;
	packet->header.hdr.gso_size = segment;
	packet->header.hdr.hdr_len = TCP_HEADERS;
}

const char *frame_tcp_read(const struct packet *packet, bool accepts_partial, bool accepts_gso,
        uint32_t *sequence, uint32_t *payload)
{
	const struct virtio_net_hdr *header = &packet->header.hdr;
	const uint8_t *ip = packet->data + 14, *tcp = ip + 20;
	const char *fault = ip_fault(packet, TCP_HEADERS);
	uint32_t length;

	if (fault)
		return fault;
	if (ip[9] != IPPROTO_TCP || get16(tcp + 2) != 9001)
		return "";
	length = get16(ip + 2);
	if (length != packet->length - 14 && packet->length > FRAME_MIN)
		return "length in a header";
	*sequence = get32(tcp + 4);
	*payload = length - 40;
	for (uint32_t i = 0; i < *payload; i++)
		if (tcp[20 + i] != (uint8_t)pattern(9, *sequence + i))
			return "content";
	if (header->gso_type != VIRTIO_NET_HDR_GSO_NONE) {
		if (!accepts_gso)
			return "segmentation was not negotiated";
		if (header->gso_type != VIRTIO_NET_HDR_GSO_TCPV4 || !header->gso_size ||
		        !(header->flags & VIRTIO_NET_HDR_F_NEEDS_CSUM))
			return "gso_type or gso_size";
	}
	return checksum_fault(packet, accepts_partial, IPPROTO_TCP, 16);
}

void frame_arp(struct packet *packet, const struct frame_path *path)
{
	uint8_t *arp = packet->data + 14;

	memset(&packet->header, 0, sizeof(packet->header));
	memset(packet->data, 0, FRAME_MIN);
	packet->length = FRAME_MIN;
	memset(packet->data, 0xff, 6);
	memcpy(packet->data + 6, path->from, 6);
	put16(packet->data + 12, 0x0806);
	put32(arp, 0x00010800);
	put32(arp + 4, 0x06040001);
	memcpy(arp + 8, path->from, 6);
	put32(arp + 14, path->from_ip);
	put32(arp + 24, path->from_ip);
}

bool frame_arp_answer(
        const struct packet *packet, uint32_t ip, const uint8_t *mac, struct packet *reply)
{
	const uint8_t *arp = packet->data + 14;
	uint8_t *answer = reply->data + 14;

	if (packet->length < 42 || get16(packet->data + 12) != 0x0806 || get16(arp + 6) != 1 ||
	        get32(arp + 24) != ip)
		return false;
	memset(&reply->header, 0, sizeof(reply->header));
	memset(reply->data, 0, FRAME_MIN);
	reply->length = FRAME_MIN;
	memcpy(reply->data, packet->data + 6, 6);
	memcpy(reply->data + 6, mac, 6);
	memcpy(reply->data + 12, packet->data + 12, 8);
	put16(answer + 6, 2);
	memcpy(answer + 8, mac, 6);
	put32(answer + 14, ip);
	memcpy(answer + 18, arp + 8, 10);
	return true;
}
