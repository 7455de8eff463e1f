/* SPDX-License-Identifier: BSD-3-Clause */
#include "control/object.h"

#include <string.h>

static const char *address4_fault(uint32_t address)
{
	if (address >> 24 == 0)
		return "is in 0.0.0.0/8, which no host may have";
	if (address >> 24 == 127)
		return "is a loopback address";
	if (address >> 28 == 0xe)
		return "is a multicast address";
	if (address == UINT32_MAX)
		return "is the broadcast address";
	if (address >> 28 == 0xf)
		return "is in the reserved range 240.0.0.0/4";
	return NULL;
}

const char *address_fault(const struct pr_ip *ip)
{
	static const uint8_t zero[15];

	if (ip->family == AF_INET)
		return address4_fault(pr_ip4_host(ip));
	if (ip->v6[0] == 0xff)
		return "is a multicast address";
	if (!memcmp(ip->v6, zero, 15) && ip->v6[15] <= 1)
		return ip->v6[15] ? "is the loopback address" : "is the unspecified address";
	/* RFC 4291 2.5.6. The data plane writes a port's number there. */
	if (pr_ip_is_link_local6(ip) && (ip->v6[2] || ip->v6[3]))
		return "is link-local and has bits set that must be zero";
	return NULL;
}

const char *address_prefix_fault(const struct pr_prefix *prefix)
{
	const char *fault = address_fault(&prefix->addr);
	uint32_t host, mask;

	/* RFC 3021: a /31 has two hosts and no broadcast address. */
	if (fault || prefix->addr.family != AF_INET || prefix->len > 30)
		return fault;
	mask = prefix->len ? UINT32_MAX << (32 - prefix->len) : 0;
	host = pr_ip4_host(&prefix->addr) & ~mask;
	if (!host)
		return "is the address of its subnet, not of a host in it";
	if (host == ~mask)
		return "is the broadcast address of its subnet";
	return NULL;
}

bool prefix_overlap(const struct pr_prefix *a, const struct pr_prefix *b)
{
	return a->len <= b->len ? pr_prefix_contains(a, &b->addr) : pr_prefix_contains(b, &a->addr);
}

int ip_compare(const struct pr_ip *a, const struct pr_ip *b)
{
	if (a->family != b->family)
		return a->family < b->family ? -1 : 1;
	return a->family ? memcmp(a->b, b->b, pr_ip_bytes(a)) : 0;
}

int prefix_compare(const struct pr_prefix *a, const struct pr_prefix *b)
{
	int order = ip_compare(&a->addr, &b->addr);

	return order ? order : (int)a->len - (int)b->len;
}
