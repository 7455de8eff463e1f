/* SPDX-License-Identifier: BSD-3-Clause */
#include "frame_internal.h"

#include "pattern.h"

/* Finds IP behind Ethernet and at most one tag. Returns the ethertype, 0 when too short. */
static uint16_t parse_ethernet(const uint8_t *frame, uint32_t len, struct frame_info *info)
{
	uint16_t type;

	if (len < 34)
		return 0;
	info->l3 = 14;
	info->vlan = 0;
	type = ntohs(load16(frame + 12));
	if (type == ETHERTYPE_VLAN) {
		info->vlan = ntohs(load16(frame + 14)) & 0xfff;
		info->l3 = 18;
		type = ntohs(load16(frame + 16));
	}
	return type;
}

/* Returns the protocol, 0 when the packet can not be one of ours. */
static uint8_t parse_ipv4(const uint8_t *frame, uint32_t len, struct frame_info *info)
{
	const uint8_t *ip = frame + info->l3;
	uint16_t total = ntohs(load16(ip + 2));

	if (ip[0] != 0x45)
		return 0;
	info->ipv6 = 0;
	info->l4 = (uint8_t)(info->l3 + 20);
	info->ttl = ip[8];
	if (load16(ip + 6) & htons(0x3fff))
		return 0;
	if (total < 20 || total > len - info->l3) {
		info->faults |= FRAME_BAD_LENGTH;
		total = (uint16_t)(len - info->l3);
	}
	info->length = (uint32_t)info->l3 + total;
	if (csum_fold(csum_add(0, ip, 20)) != 0xffff)
		info->faults |= FRAME_BAD_L3;
	return ip[9];
}

static uint8_t parse_ipv6(const uint8_t *frame, uint32_t len, struct frame_info *info)
{
	const uint8_t *ip = frame + info->l3;
	uint32_t total = 40u + ntohs(load16(ip + 4));

	if (len < info->l3 + 40u || ip[0] >> 4 != 6)
		return 0;
	info->ipv6 = 1;
	info->l4 = (uint8_t)(info->l3 + 40);
	info->ttl = ip[7];
	if (total > len - info->l3) {
		info->faults |= FRAME_BAD_LENGTH;
		total = len - info->l3;
	}
	info->length = (uint32_t)info->l3 + total;
	return ip[6];
}

/* The sum of pseudo header and L4 header. */
static uint64_t headers_sum(const uint8_t *frame, const struct frame_info *info)
{
	const uint8_t *ip = frame + info->l3;
	uint64_t sum = htons(info->tcp ? FRAME_TCP : FRAME_UDP);

	sum += htons((uint16_t)(info->length - info->l4));
	sum = info->ipv6 ? csum_add(sum, ip + 8, 32) : csum_add(sum, ip + 12, 8);
	return info->tcp ? csum_add(sum, frame + info->l4, 20) : csum_add(sum, frame + info->l4, 8);
}

/* Checks what follows the 18 bytes; returns its sum, right only when no fault is found. */
static uint64_t body_check(const uint8_t *p, uint32_t length, struct frame_info *info)
{
	uint32_t end = trailer_at(length); /* means nothing in a short one */
	uint32_t rest = FRAME_PAYLOAD + 2;
	uint32_t phase;
	uint64_t trailer, sum;

	if (length < FRAME_WITH_BODY) {
		if (memcmp(p + FRAME_PAYLOAD, pattern_bytes, length - FRAME_PAYLOAD))
			info->faults |= FRAME_BAD_BODY;
		return csum_add(0, p + FRAME_PAYLOAD, length - FRAME_PAYLOAD);
	}
	phase = ntohs(load16(p + FRAME_PAYLOAD));
	if (phase & 1 || phase + length > PATTERN_BYTES) {
		info->faults |= FRAME_BAD_BODY;
		return csum_add(0, p + FRAME_PAYLOAD, length - FRAME_PAYLOAD);
	}
	trailer = load64(p + end);
	sum = htons((uint16_t)phase) + csum_word64(trailer);
	if (length & 1) {
		if (p[length - 1] != pattern_bytes[phase + length - 1 - rest])
			info->faults |= FRAME_BAD_BODY;
		sum = csum_add(sum, p + length - 1, 1);
	}
	if (memcmp(p + rest, pattern_bytes + phase, end - rest)) {
		info->faults |= FRAME_BAD_BODY;
		return sum + csum_add(0, p + rest, end - rest);
	}
	if (trailer != payload_trailer(&info->id))
		info->faults |= FRAME_BAD_BODY;
	return sum + pattern_sum(phase, end - rest);
}

static enum frame_class parse_payload(const uint8_t *frame, struct frame_info *info)
{
	const uint8_t *p = frame + info->payload;
	const uint8_t *l4 = frame + info->l4;
	uint32_t length = info->length - info->payload;
	uint64_t sum = headers_sum(frame, info);

	info->id.run = ntohs(load16(p + 2));
	info->id.flow = ntohl(load32(p + 4));
	info->id.seq = ntohl(load32(p + 8));
	info->id.stamp = ntohl(load32(p + 12));
	if (!info->tcp && ntohs(load16(l4 + 4)) != (uint16_t)(info->length - info->l4))
		info->faults |= FRAME_BAD_LENGTH;
	if (load16(p + 16) != payload_check(load64(p), load64(p + 8)))
		info->faults |= FRAME_BAD_PAYLOAD;
	sum += csum_word64(load64(p)) + csum_word64(load64(p + 8)) + load16(p + 16);
	sum += body_check(p, length, info);
	if (csum_fold(sum) != 0xffff || (!info->tcp && !load16(l4 + 6)))
		info->faults |= FRAME_BAD_L4;
	if (info->faults & FRAME_BAD_PAYLOAD || load16(p) != htons(FRAME_MAGIC))
		return FRAME_BROKEN;
	return FRAME_OURS;
}

static bool our_port(uint16_t port)
{
	uint16_t n = ntohs(port);

	return n >= FRAME_DPORT && n < FRAME_DPORT + FRAME_DPORTS;
}

enum frame_class frame_parse(const uint8_t *frame, uint32_t len, struct frame_info *info)
{
	uint16_t type = parse_ethernet(frame, len, info);
	uint8_t proto = 0;
	bool marked;

	info->faults = 0;
	if (type == ETHERTYPE_ARP)
		return FRAME_NEIGHBOUR;
	if (type == ETHERTYPE_4 && len >= info->l3 + 20u)
		proto = parse_ipv4(frame, len, info);
	else if (type == ETHERTYPE_6 && len >= info->l3 + 40u)
		proto = parse_ipv6(frame, len, info);
	if (type == ETHERTYPE_6 && proto == 58)
		return FRAME_NEIGHBOUR;
	if (proto != FRAME_UDP && proto != FRAME_TCP)
		return FRAME_FOREIGN;
	info->tcp = proto == FRAME_TCP;
	info->payload = (uint8_t)(info->l4 + (info->tcp ? 20 : 8));
	if (len < info->l4 + 8u)
		return FRAME_FOREIGN;
	marked = our_port(load16(frame + info->l4)) || our_port(load16(frame + info->l4 + 2));
	if (len < info->payload + (uint32_t)FRAME_PAYLOAD)
		return marked ? FRAME_BROKEN : FRAME_FOREIGN;
	if (info->length < info->payload + (uint32_t)FRAME_PAYLOAD)
		return marked ? FRAME_BROKEN : FRAME_FOREIGN;
	if (!marked && load16(frame + info->payload) != htons(FRAME_MAGIC))
		return FRAME_FOREIGN;
	if (info->tcp && frame[info->l4 + 12] != 0x50)
		return FRAME_BROKEN;
	return parse_payload(frame, info);
}

bool frame_matches(const struct frame_template *t, uint32_t flow, const uint8_t *frame,
        const struct frame_info *info, bool swapped)
{
	const uint8_t *ip = frame + info->l3;
	const uint8_t *want = t->headers + t->l3;
	unsigned size = t->ipv6 ? 16 : 4;
	unsigned at = t->ipv6 ? 8 : 12;
	unsigned src = swapped ? at + size : at;
	unsigned dst = swapped ? at : at + size;
	uint16_t sport, dport;

	if (info->ipv6 != t->ipv6 || info->tcp != t->tcp)
		return false;
	flow_ports(t, flow, &sport, &dport);
	if (load16(frame + info->l4 + (swapped ? 2 : 0)) != sport ||
	        load16(frame + info->l4 + (swapped ? 0 : 2)) != dport)
		return false;
	if (memcmp(ip + src, want + at, size))
		return false;
	if (!t->spread)
		return !memcmp(ip + dst, want + at + size, size);
	if (!t->ipv6)
		return load32(ip + dst) == (uint32_t)flow_destination(t, flow);
	return load64(ip + dst) == load64(want + at + size) &&
	       load64(ip + dst + 8) == flow_destination(t, flow);
}

void frame_reflect(uint8_t *frame, const struct frame_info *info, const struct pr_mac *own)
{
	uint8_t *ip = frame + info->l3;
	uint8_t *l4 = frame + info->l4;
	unsigned size = info->ipv6 ? 16 : 4;
	unsigned at = info->ipv6 ? 8 : 12;
	uint32_t ports = load32(l4);
	uint8_t address[16];

	memcpy(frame, frame + 6, 6);
	memcpy(frame + 6, own->b, 6);
	memcpy(address, ip + at, size);
	memcpy(ip + at, ip + at + size, size);
	memcpy(ip + at + size, address, size);
	store32(l4, ports << 16 | ports >> 16);
	if (info->ipv6) {
		ip[7] = FRAME_TTL;
		return;
	}
	ip[8] = FRAME_TTL;
	store16(ip + 10, 0);
	store16(ip + 10, (uint16_t)~csum_fold(csum_add(0, ip, 20)));
}
