/* SPDX-License-Identifier: BSD-3-Clause */
#include "neighbour.h"

#include "frame_internal.h"

#define ND_SOLICIT   135
#define ND_ADVERTISE 136

static uint8_t *ethernet(
        uint8_t *out, const struct neighbour_self *self, const uint8_t *dst, uint16_t type)
{
	memcpy(out, dst, 6);
	memcpy(out + 6, self->mac.b, 6);
	out += 12;
	if (self->vlan) {
		store16(out, htons(ETHERTYPE_VLAN));
		store16(out + 2, htons(self->vlan));
		out += 4;
	}
	store16(out, htons(type));
	return out + 2;
}

static uint32_t arp_write(const struct neighbour_self *self, uint16_t op, const uint8_t *dst_mac,
        const uint8_t *target_mac, const uint8_t *target_ip, uint8_t *out)
{
	static const uint8_t head[6] = {0, 1, 8, 0, 6, 4};
	uint8_t *p = ethernet(out, self, dst_mac, ETHERTYPE_ARP);

	memcpy(p, head, 6);
	store16(p + 6, htons(op));
	memcpy(p + 8, self->mac.b, 6);
	memcpy(p + 14, self->ip4.v4, 4);
	memcpy(p + 18, target_mac, 6);
	memcpy(p + 24, target_ip, 4);
	memset(p + 28, 0, 18);
	return (uint32_t)(p + 46 - out);
}

static uint32_t nd_write(const struct neighbour_self *self, uint8_t type, const uint8_t *dst_mac,
        const uint8_t *dst_ip, const uint8_t *target, uint32_t flags, uint8_t *out)
{
	uint8_t *ip = ethernet(out, self, dst_mac, ETHERTYPE_6);
	uint8_t *icmp = ip + 40;
	uint64_t sum;

	memset(ip, 0, 72);
	ip[0] = 0x60;
	ip[5] = 32;
	ip[6] = 58;
	ip[7] = 255;
	memcpy(ip + 8, self->ip6.v6, 16);
	memcpy(ip + 24, dst_ip, 16);
	icmp[0] = type;
	store32(icmp + 4, htonl(flags));
	memcpy(icmp + 8, target, 16);
	icmp[24] = type == ND_SOLICIT ? 1 : 2; /* source or target link-layer address */
	icmp[25] = 1;
	memcpy(icmp + 26, self->mac.b, 6);
	sum = csum_add(htons(58), ip + 8, 32) + htons(32);
	store16(icmp + 2, (uint16_t)~csum_fold(csum_add(sum, icmp, 32)));
	return (uint32_t)(icmp + 32 - out);
}

/* Where the ARP or ICMPv6 message of the frame begins, NULL when it is none or broken. */
static const uint8_t *message(const uint8_t *frame, uint32_t len, uint16_t type, uint32_t need)
{
	uint32_t at = 14;

	if (len < 18)
		return NULL;
	if (load16(frame + 12) == htons(ETHERTYPE_VLAN))
		at = 18;
	if (load16(frame + at - 2) != htons(type) || len < at + need)
		return NULL;
	return frame + at;
}

static const uint8_t *arp_message(const uint8_t *frame, uint32_t len)
{
	static const uint8_t head[6] = {0, 1, 8, 0, 6, 4};
	const uint8_t *arp = message(frame, len, ETHERTYPE_ARP, 28);

	return arp && !memcmp(arp, head, 6) ? arp : NULL;
}

/* A neighbour discovery message as RFC 4861 section 7.1 accepts it; the IPv6 header. */
static const uint8_t *nd_message(const uint8_t *frame, uint32_t len, uint8_t type)
{
	const uint8_t *ip = message(frame, len, ETHERTYPE_6, 64);
	uint32_t size;
	uint64_t sum;

	if (!ip || ip[6] != 58 || ip[7] != 255 || ip[40] != type || ip[41])
		return NULL;
	size = ntohs(load16(ip + 4));
	if (size < 24 || size > len - (uint32_t)(ip - frame) - 40)
		return NULL;
	sum = csum_add(htons(58), ip + 8, 32) + htons((uint16_t)size);
	return csum_fold(csum_add(sum, ip + 40, size)) == 0xffff ? ip : NULL;
}

uint32_t neighbour_answer(
        const struct neighbour_self *self, const uint8_t *frame, uint32_t len, uint8_t *out)
{
	static const uint8_t all_nodes[16] = {0xff, 2, [15] = 1};
	static const uint8_t none[16];
	const uint8_t *arp = arp_message(frame, len);
	const uint8_t *ip = nd_message(frame, len, ND_SOLICIT);

	if (arp && self->ip4.family && load16(arp + 6) == htons(1) &&
	        !memcmp(arp + 24, self->ip4.v4, 4) && memcmp(arp + 8, self->mac.b, 6))
		return arp_write(self, 2, arp + 8, arp + 8, arp + 14, out);
	if (ip && self->ip6.family && !memcmp(ip + 48, self->ip6.v6, 16)) {
		bool probe = !memcmp(ip + 8, none, 16);

		return nd_write(self, ND_ADVERTISE, frame + 6, probe ? all_nodes : ip + 8, ip + 48,
		        probe ? 0x20000000 : 0x60000000, out);
	}
	return 0;
}

uint32_t neighbour_announce(const struct neighbour_self *self, const struct pr_ip *ip, uint8_t *out)
{
	static const uint8_t broadcast[6] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff};
	static const uint8_t all_nodes_mac[6] = {0x33, 0x33, 0, 0, 0, 1};
	static const uint8_t all_nodes[16] = {0xff, 2, [15] = 1};
	static const uint8_t unknown[6];

	if (ip->family == AF_INET)
		return arp_write(self, 1, broadcast, unknown, ip->v4, out);
	if (ip->family == AF_INET6)
		return nd_write(
		        self, ND_ADVERTISE, all_nodes_mac, all_nodes, ip->v6, 0x20000000, out);
	return 0;
}

uint32_t neighbour_ask(const struct neighbour_self *self, const struct pr_ip *target, uint8_t *out)
{
	static const uint8_t broadcast[6] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff};
	static const uint8_t unknown[6];
	uint8_t mac[6] = {0x33, 0x33, 0xff};
	uint8_t group[16] = {0xff, 2, [11] = 1, [12] = 0xff};

	if (target->family == AF_INET && self->ip4.family)
		return arp_write(self, 1, broadcast, unknown, target->v4, out);
	if (target->family != AF_INET6 || !self->ip6.family)
		return 0;
	memcpy(mac + 3, target->v6 + 13, 3);
	memcpy(group + 13, target->v6 + 13, 3);
	return nd_write(self, ND_SOLICIT, mac, group, target->v6, 0, out);
}

bool neighbour_learn(const uint8_t *frame, uint32_t len, const struct pr_ip *ip, struct pr_mac *mac)
{
	const uint8_t *arp = arp_message(frame, len);
	const uint8_t *nd = nd_message(frame, len, ND_ADVERTISE);

	if (arp && ip->family == AF_INET && !memcmp(arp + 14, ip->v4, 4)) {
		memcpy(mac->b, arp + 8, 6);
		return true;
	}
	if (nd && ip->family == AF_INET6 && !memcmp(nd + 48, ip->v6, 16) &&
	        ntohs(load16(nd + 4)) >= 32 && nd[64] == 2 && nd[65] == 1) {
		memcpy(mac->b, nd + 66, 6);
		return true;
	}
	return false;
}
