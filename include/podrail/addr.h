/* SPDX-License-Identifier: BSD-3-Clause */
/* MAC and IP addresses and prefixes: types, parsing, printing. No allocation, any thread. */
#ifndef PODRAIL_ADDR_H
#define PODRAIL_ADDR_H

#include <arpa/inet.h>
#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct pr_mac {
	uint8_t b[6];
};

/* family: AF_INET, AF_INET6, or 0 for "none". Bytes are in network order. */
struct pr_ip {
	uint8_t family;
	union {
		uint8_t v4[4];
		uint8_t v6[16];
		uint8_t b[16];
	};
};

/* len: 0..32 or 0..128. pr_prefix_parse keeps host bits; pr_prefix_mask clears them. */
struct pr_prefix {
	struct pr_ip addr;
	uint8_t len;
};

#define PR_MAC_STRLEN    18
#define PR_IP_STRLEN     INET6_ADDRSTRLEN
#define PR_PREFIX_STRLEN (INET6_ADDRSTRLEN + 4)

/* Parses "02:70:72:00:00:01" and nothing looser. Returns 0 or -EINVAL. */
static inline int pr_mac_parse(const char *text, struct pr_mac *mac)
{
	for (int i = 0; i < 6; i++) {
		unsigned value = 0;

		for (int digit = 0; digit < 2; digit++) {
			char c = *text++;

			value <<= 4;
			if (c >= '0' && c <= '9')
				value |= (unsigned)(c - '0');
			else if (c >= 'a' && c <= 'f')
				value |= (unsigned)(c - 'a' + 10);
			else if (c >= 'A' && c <= 'F')
				value |= (unsigned)(c - 'A' + 10);
			else
				return -EINVAL;
		}
		mac->b[i] = (uint8_t)value;
		if (*text++ != (i < 5 ? ':' : '\0'))
			return -EINVAL;
	}
	return 0;
}

/* Writes lower-case text of PR_MAC_STRLEN bytes, returns it. */
static inline const char *pr_mac_format(const struct pr_mac *mac, char text[PR_MAC_STRLEN])
{
	snprintf(text, PR_MAC_STRLEN, "%02x:%02x:%02x:%02x:%02x:%02x", mac->b[0], mac->b[1],
	        mac->b[2], mac->b[3], mac->b[4], mac->b[5]);
	return text;
}

static inline bool pr_mac_is_zero(const struct pr_mac *mac)
{
	static const struct pr_mac zero;

	return memcmp(mac, &zero, sizeof(zero)) == 0;
}

static inline bool pr_mac_is_multicast(const struct pr_mac *mac)
{
	return mac->b[0] & 1;
}

/* Parses an IPv4 or IPv6 address in its usual text form. Returns 0 or -EINVAL. */
static inline int pr_ip_parse(const char *text, struct pr_ip *ip)
{
	memset(ip, 0, sizeof(*ip));
	if (inet_pton(AF_INET, text, ip->v4) == 1)
		ip->family = AF_INET;
	else if (inet_pton(AF_INET6, text, ip->v6) == 1)
		ip->family = AF_INET6;
	else
		return -EINVAL;
	return 0;
}

/* The decimal digits of a byte; returns what follows them. */
static inline char *pr_byte_format(unsigned value, char *text)
{
	if (value >= 100)
		*text++ = (char)('0' + value / 100);
	if (value >= 10)
		*text++ = (char)('0' + value / 10 % 10);
	*text++ = (char)('0' + value % 10);
	return text;
}

static inline const char *pr_ip_format(const struct pr_ip *ip, char text[PR_IP_STRLEN])
{
	char *end = text;

	if (ip->family == AF_INET) { /* inet_ntop takes ten times as long */
		for (unsigned i = 0; i < 4; i++) {
			end = pr_byte_format(ip->v4[i], end);
			*end++ = i < 3 ? '.' : '\0';
		}
		return text;
	}
	if (!ip->family || !inet_ntop(ip->family, ip->b, text, PR_IP_STRLEN))
		text[0] = '\0';
	return text;
}

static inline size_t pr_ip_bytes(const struct pr_ip *ip)
{
	return ip->family == AF_INET6 ? 16 : 4;
}

static inline bool pr_ip_equal(const struct pr_ip *a, const struct pr_ip *b)
{
	return a->family == b->family && (!a->family || !memcmp(a->b, b->b, pr_ip_bytes(a)));
}

/* The address as a host-order integer; AF_INET only. */
static inline uint32_t pr_ip4_host(const struct pr_ip *ip)
{
	return (uint32_t)ip->v4[0] << 24 | (uint32_t)ip->v4[1] << 16 | (uint32_t)ip->v4[2] << 8 |
	       ip->v4[3];
}

static inline struct pr_ip pr_ip4_from_host(uint32_t address)
{
	struct pr_ip ip = {.family = AF_INET};

	for (int i = 0; i < 4; i++)
		ip.v4[i] = (uint8_t)(address >> (24 - 8 * i));
	return ip;
}

/* Parses "address/len", or a bare address as a host prefix; host bits are kept.
 * Returns 0 or -EINVAL. */
static inline int pr_prefix_parse(const char *text, struct pr_prefix *prefix)
{
	char address[PR_IP_STRLEN];
	const char *slash = strchr(text, '/');
	size_t size = slash ? (size_t)(slash - text) : strlen(text);

	if (size >= sizeof(address))
		return -EINVAL;
	memcpy(address, text, size);
	address[size] = '\0';
	if (pr_ip_parse(address, &prefix->addr))
		return -EINVAL;
	prefix->len = (uint8_t)(8 * pr_ip_bytes(&prefix->addr));
	if (slash) {
		unsigned len = 0;

		if (!slash[1] || strlen(slash + 1) > 3)
			return -EINVAL;
		for (const char *c = slash + 1; *c; c++) {
			if (*c < '0' || *c > '9')
				return -EINVAL;
			len = len * 10 + (unsigned)(*c - '0');
		}
		if (len > prefix->len)
			return -EINVAL;
		prefix->len = (uint8_t)len;
	}
	return 0;
}

static inline const char *pr_prefix_format(
        const struct pr_prefix *prefix, char text[PR_PREFIX_STRLEN])
{
	char *end;

	pr_ip_format(&prefix->addr, text);
	end = text + strlen(text);
	*end++ = '/';
	*pr_byte_format(prefix->len, end) = '\0';
	return text;
}

/* Clears the host bits. */
static inline void pr_prefix_mask(struct pr_prefix *prefix)
{
	unsigned bytes = (unsigned)pr_ip_bytes(&prefix->addr);

	for (unsigned i = 0; i < bytes; i++) {
		unsigned first_bit = 8 * i;

		if (prefix->len <= first_bit)
			prefix->addr.b[i] = 0;
		else if (prefix->len < first_bit + 8)
			prefix->addr.b[i] &= (uint8_t)(0xff00u >> (prefix->len - first_bit));
	}
}

/* The prefix that covers this address alone. */
static inline struct pr_prefix pr_prefix_host(const struct pr_ip *ip)
{
	return (struct pr_prefix){.addr = *ip, .len = (uint8_t)(8 * pr_ip_bytes(ip))};
}

static inline bool pr_prefix_is_host(const struct pr_prefix *prefix)
{
	return prefix->len == 8 * pr_ip_bytes(&prefix->addr);
}

/* fe80::/10 (RFC 4291 section 2.5.6). */
static inline bool pr_ip_is_link_local6(const struct pr_ip *ip)
{
	return ip->family == AF_INET6 && ip->v6[0] == 0xfe && (ip->v6[1] & 0xc0) == 0x80;
}

/* The link-local address that an interface with this MAC makes itself (RFC 4291 appendix A). */
static inline struct pr_ip pr_ip_link_local6(const struct pr_mac *mac)
{
	return (struct pr_ip){
	        .family = AF_INET6,
	        .v6 = {0xfe, 0x80, 0, 0, 0, 0, 0, 0, mac->b[0] ^ 2, mac->b[1], mac->b[2], 0xff,
	                0xfe, mac->b[3], mac->b[4], mac->b[5]},
	};
}

/* Whether the prefix covers the address; families that differ do not match. */
static inline bool pr_prefix_contains(const struct pr_prefix *prefix, const struct pr_ip *ip)
{
	unsigned whole = prefix->len / 8, rest = prefix->len % 8;

	if (prefix->addr.family != ip->family || memcmp(prefix->addr.b, ip->b, whole))
		return false;
	return !rest || !((prefix->addr.b[whole] ^ ip->b[whole]) >> (8 - rest));
}

#endif
