/* SPDX-License-Identifier: BSD-3-Clause */
#include "frame_internal.h"

#include "pattern.h"

/* Headers, and frames too short for a body, end before this in every layout. */
#define MIXED_HEAD 128

/* Odd, so that it only changes the order; far from small multiples of powers of two. */
#define SCATTER 2654435761u

static int spread_init(struct frame_template *t, const struct frame_spec *spec)
{
	unsigned bits = t->ipv6 ? 128 : 32;
	unsigned host = spec->dst_len < bits ? bits - spec->dst_len : 0;
	struct pr_prefix prefix = {spec->dst, spec->dst_len};

	if (!host) {
		prefix.len = (uint8_t)bits;
		if (spec->flows > FRAME_PORT_SPAN * FRAME_DPORTS)
			return -EINVAL;
	} else if (host > 62) {
		host = 62;
	}
	pr_prefix_mask(&prefix);
	t->dst_base = t->ipv6 ? __builtin_bswap64(load64(prefix.addr.b + 8))
	                      : ntohl(load32(prefix.addr.b));
	if (!host)
		return 0;
	if (spec->scatter && (spec->flows & (spec->flows - 1)))
		return -EINVAL;
	t->spread = 1;
	t->dst_step = (1ull << host) / (spec->flows ? spec->flows : 1);
	t->dst_factor = spec->scatter ? SCATTER : 1;
	t->dst_mask = spec->scatter ? spec->flows - 1 : UINT32_MAX;
	t->dst_shift = 31;
	if (!t->dst_step) {
		t->dst_step = 1;
		t->dst_mask = (1u << host) - 1;
		t->dst_shift = (uint8_t)host;
	} else if (t->dst_step > 1) {
		t->dst_base++;
	}
	memcpy(t->headers + t->l3 + (t->ipv6 ? 24 : 16), prefix.addr.b, t->ipv6 ? 16 : 4);
	return 0;
}

static void ip_headers(struct frame_template *t, const struct frame_spec *spec)
{
	uint8_t *ip = t->headers + t->l3;

	if (t->ipv6) {
		ip[0] = 0x60;
		ip[6] = (uint8_t)spec->proto;
		ip[7] = FRAME_TTL;
		memcpy(ip + 8, spec->src.b, 16);
		memcpy(ip + 24, spec->dst.b, 16);
		return;
	}
	ip[0] = 0x45;
	ip[6] = 0x40; /* DF */
	ip[8] = FRAME_TTL;
	ip[9] = (uint8_t)spec->proto;
	memcpy(ip + 12, spec->src.b, 4);
	memcpy(ip + 16, spec->dst.b, 4);
}

/* Sums of what frames of one template share; destination, ports and lengths come per frame. */
static void template_sums(struct frame_template *t, const struct frame_spec *spec)
{
	const uint8_t *ip = t->headers + t->l3;

	t->l4_sum = htons((uint16_t)spec->proto);
	if (t->ipv6) {
		t->l4_sum = csum_add(t->l4_sum, ip + 8, 24);
	} else {
		t->l4_sum = csum_add(t->l4_sum, ip + 12, 4);
		t->l3_sum = csum_add(0, ip, 16);
	}
	if (t->tcp)
		t->l4_sum = csum_add(t->l4_sum, t->headers + t->l4 + 4, 12);
}

int frame_template_init(struct frame_template *t, const struct frame_spec *spec)
{
	uint8_t *p = t->headers;
	int rc;

	memset(t, 0, sizeof(*t));
	if (spec->src.family != spec->dst.family ||
	        (spec->src.family != AF_INET && spec->src.family != AF_INET6))
		return -EINVAL;
	t->ipv6 = spec->src.family == AF_INET6;
	t->tcp = spec->proto == FRAME_TCP;
	t->l3 = spec->vlan ? 18 : 14;
	t->l4 = (uint8_t)(t->l3 + (t->ipv6 ? 40 : 20));
	t->payload = (uint8_t)(t->l4 + (t->tcp ? 20 : 8));
	memcpy(p, spec->dst_mac.b, 6);
	memcpy(p + 6, spec->src_mac.b, 6);
	if (spec->vlan) {
		store16(p + 12, htons(ETHERTYPE_VLAN));
		store16(p + 14, htons(spec->vlan));
	}
	store16(p + t->l3 - 2, htons(t->ipv6 ? ETHERTYPE_6 : ETHERTYPE_4));
	ip_headers(t, spec);
	rc = spread_init(t, spec);
	if (rc < 0)
		return rc;
	if (t->tcp) {
		p[t->l4 + 12] = 0x50;
		p[t->l4 + 13] = 0x10; /* ACK */
		store16(p + t->l4 + 14, htons(65535));
	}
	template_sums(t, spec);
	return 0;
}

uint16_t frame_size_min(const struct frame_template *t)
{
	uint16_t size = (uint16_t)(14 + t->payload - t->l3 + FRAME_PAYLOAD);

	return size < 60 ? 60 : size;
}

void frame_slot_init(struct frame_slot *slot, uint8_t *buf, uint32_t room, uint32_t index)
{
	uint32_t limit = PATTERN_BYTES - PATTERN_PHASES;

	slot->phase = (uint16_t)(index * 74 % PATTERN_PHASES & ~1u);
	slot->trailer = 0;
	slot->mixed = 0;
	memcpy(buf, pattern_bytes + slot->phase, room < limit ? room : limit);
}

/* Writes what follows the 18 bytes; returns its sum. Frames of one layout find their pattern. */
static uint64_t body_write(struct frame_slot *slot, uint8_t *buf, uint32_t payload, uint32_t length,
        const struct frame_id *id)
{
	uint8_t *p = buf + payload;
	uint32_t start = payload + FRAME_PAYLOAD + 2;
	uint32_t end;
	uint64_t sum, trailer;

	if (length < FRAME_WITH_BODY) {
		memcpy(p + FRAME_PAYLOAD, pattern_bytes, length - FRAME_PAYLOAD);
		return csum_add(0, pattern_bytes, length - FRAME_PAYLOAD);
	}
	end = trailer_at(length);
	if (slot->mixed) {
		memcpy(buf + start, pattern_bytes + slot->phase + start, MIXED_HEAD - start);
		if (slot->trailer > MIXED_HEAD - 10) /* or it was just overwritten */
			memcpy(buf + slot->trailer, pattern_bytes + slot->phase + slot->trailer,
			        10);
	}
	slot->trailer = (uint16_t)(payload + end);
	store16(p + FRAME_PAYLOAD, htons((uint16_t)(slot->phase + start)));
	trailer = payload_trailer(id);
	store64(p + end, trailer);
	sum = load16(p + FRAME_PAYLOAD) + csum_word64(trailer);
	sum += pattern_sum(slot->phase + start, payload + end - start);
	if (length & 1)
		sum = csum_add(sum, p + length - 1, 1);
	return sum;
}

/* The L3 lengths and checksum; returns what the destination adds to the L4 sum. */
static uint64_t l3_write(
        const struct frame_template *t, uint8_t *ip, uint32_t flow, uint32_t l4_len)
{
	uint64_t destination;

	if (t->ipv6) {
		store16(ip + 4, htons((uint16_t)l4_len));
		if (!t->spread)
			return csum_word64(load64(ip + 32));
		destination = flow_destination(t, flow);
		store64(ip + 32, destination);
		return csum_word64(destination);
	}
	store16(ip + 2, htons((uint16_t)(l4_len + 20)));
	if (t->spread)
		store32(ip + 16, (uint32_t)flow_destination(t, flow));
	destination = load32(ip + 16);
	store16(ip + 10, (uint16_t)~csum_fold(t->l3_sum + load16(ip + 2) + destination));
	return destination;
}

uint16_t frame_write(const struct frame_template *t, struct frame_slot *slot, uint8_t *buf,
        uint32_t flow, uint16_t size, const struct frame_id *id)
{
	uint16_t total = (uint16_t)(size + t->l3 - 14);
	uint32_t l4_len = total - t->l4;
	uint8_t *l4 = buf + t->l4;
	uint8_t *p = buf + t->payload;
	uint16_t sport, dport, check;
	uint64_t sum, low, high;

	memcpy(buf, t->headers, t->payload);
	flow_ports(t, flow, &sport, &dport);
	store16(l4, sport);
	store16(l4 + 2, dport);
	sum = t->l4_sum + sport + dport + l3_write(t, buf + t->l3, flow, l4_len);
	low = join32(htonl(FRAME_MAGIC << 16 | id->run), htonl(id->flow));
	high = join32(htonl(id->seq), htonl(id->stamp));
	check = payload_check(low, high);
	store64(p, low);
	store64(p + 8, high);
	store16(p + 16, check);
	sum += csum_word64(low) + csum_word64(high) + check;
	sum += body_write(slot, buf, t->payload, total - t->payload, id);
	sum += htons((uint16_t)l4_len);
	if (t->tcp) {
		store16(l4 + 16, (uint16_t)~csum_fold(sum));
		return total;
	}
	store16(l4 + 4, htons((uint16_t)l4_len));
	check = (uint16_t)~csum_fold(sum + htons((uint16_t)l4_len));
	store16(l4 + 6, check ? check : 0xffff);
	return total;
}
