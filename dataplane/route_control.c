/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>

#include "dataplane/network_control.h"
#include "dataplane/route_control.h"

static const struct network *routed(uint16_t network)
{
	return network < PR_NETWORKS_MAX && network_at(network)->fib ? network_at(network) : NULL;
}

bool network_is_routed(uint16_t network)
{
	return routed(network) != NULL;
}

uint32_t routes_of(uint16_t network)
{
	const struct network *net = routed(network);

	return net ? net->fib->routes + net->fib6->routes : 0;
}

/* ---- one family or the other ---- */

static struct route_entry entry4(const struct fib4_route *route)
{
	return (struct route_entry){
	        {pr_ip4_from_host(route->addr), route->len}, route->nexthop, route->owner};
}

static struct route_entry entry6(const struct fib6_route *route)
{
	struct route_entry entry = {
	        {{.family = AF_INET6}, route->len}, route->nexthop, route->owner};

	memcpy(entry.prefix.addr.v6, route->addr, 16);
	return entry;
}

static int table_add(
        const struct network *net, const struct pr_prefix *prefix, uint32_t hop, uint16_t owner)
{
	if (prefix->addr.family == AF_INET6)
		return fib6_add(net->fib6, prefix->addr.v6, prefix->len, hop, owner);
	return fib4_add(net->fib, pr_ip4_host(&prefix->addr), prefix->len, hop, owner);
}

static void table_del(const struct network *net, const struct pr_prefix *prefix)
{
	if (prefix->addr.family == AF_INET6)
		fib6_del(net->fib6, prefix->addr.v6, prefix->len);
	else
		fib4_del(net->fib, pr_ip4_host(&prefix->addr), prefix->len);
}

static int find(
        const struct network *net, const struct pr_prefix *prefix, struct route_entry *entry)
{
	struct fib4_route route4;
	struct fib6_route route6;
	int rc;

	if (prefix->addr.family == AF_INET6) {
		rc = fib6_get(net->fib6, prefix->addr.v6, prefix->len, &route6);
		if (!rc && entry)
			*entry = entry6(&route6);
		return rc;
	}
	rc = fib4_get(net->fib, pr_ip4_host(&prefix->addr), prefix->len, &route4);
	if (!rc && entry)
		*entry = entry4(&route4);
	return rc;
}

int route_find(uint16_t network, const struct pr_prefix *prefix, struct route_entry *entry)
{
	const struct network *net = routed(network);

	return net && prefix->addr.family ? find(net, prefix, entry) : -ENOENT;
}

int route_match(uint16_t network, const struct pr_ip *address, struct route_entry *entry)
{
	const struct network *net = routed(network);
	struct fib4_route route4;
	struct fib6_route route6;
	int rc = -ENOENT;

	if (net && address->family == AF_INET6) {
		rc = fib6_match(net->fib6, address->v6, &route6);
		if (!rc && entry)
			*entry = entry6(&route6);
	} else if (net && address->family == AF_INET) {
		rc = fib4_match(net->fib, pr_ip4_host(address), &route4);
		if (!rc && entry)
			*entry = entry4(&route4);
	}
	return rc;
}

#define PAGE 256

static unsigned page4(const struct network *net, const struct pr_prefix *after,
        struct route_entry *entries, unsigned n)
{
	struct fib4_route page[PAGE], last = {0};
	unsigned count;

	if (after) {
		last.addr = pr_ip4_host(&after->addr);
		last.len = after->len;
	}
	count = fib4_list(net->fib, after ? &last : NULL, page, n < PAGE ? n : PAGE);
	for (unsigned k = 0; k < count; k++)
		entries[k] = entry4(&page[k]);
	return count;
}

static unsigned page6(const struct network *net, const struct pr_prefix *after,
        struct route_entry *entries, unsigned n)
{
	struct fib6_route page[PAGE], last = {0};
	unsigned count;

	if (after) {
		memcpy(last.addr, after->addr.v6, 16);
		last.len = after->len;
	}
	count = fib6_list(net->fib6, after ? &last : NULL, page, n < PAGE ? n : PAGE);
	for (unsigned k = 0; k < count; k++)
		entries[k] = entry6(&page[k]);
	return count;
}

unsigned route_page(
        uint16_t network, const struct pr_prefix *after, struct route_entry *entries, unsigned n)
{
	const struct network *net = routed(network);
	bool v6 = after && after->addr.family == AF_INET6;
	unsigned count = 0;

	while (net && count < n) {
		unsigned got = (v6 ? page6 : page4)(net, after, entries + count, n - count);

		count += got;
		after = got ? &entries[count - 1].prefix : after;
		if (got)
			continue;
		if (v6)
			break;
		v6 = true;
		after = NULL;
	}
	return count;
}

/* ---- changes ---- */

static int store(
        const struct network *net, const struct pr_prefix *prefix, uint32_t hop, uint16_t owner)
{
	struct route_entry old = {0};
	bool existed = find(net, prefix, &old) == 0;
	int rc;

	/* What was only a host that somebody looked for gives way; the rest of ours does not. */
	if (existed && old.owner >= ROUTE_OWNER_PORT && old.owner != ROUTE_OWNER_NEIGHBOUR &&
	        !(old.owner == ROUTE_OWNER_CONNECTED && owner == ROUTE_OWNER_CONNECTED))
		return -EEXIST;
	rc = table_add(net, prefix, hop, owner);
	if (!rc && existed)
		hop_release(old.nexthop);
	return rc;
}

int route_set(uint16_t network, const struct pr_prefix *prefix, uint32_t hop, uint16_t owner)
{
	const struct network *net = routed(network);
	int rc;

	if (!hop)
		return -ENOSPC;
	rc = net ? store(net, prefix, hop, owner) : -ENOENT;
	if (rc)
		hop_release(hop);
	return rc;
}

int route_unset(uint16_t network, const struct pr_prefix *prefix, uint16_t owner)
{
	const struct network *net = routed(network);
	struct route_entry old = {0};

	if (!net || find(net, prefix, &old) || old.owner != owner)
		return -ENOENT;
	table_del(net, prefix);
	hop_release(old.nexthop);
	return 0;
}
