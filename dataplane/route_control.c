/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>

#include "dataplane/network_control.h"
#include "dataplane/route_control.h"

static int store(struct fib4 *fib, uint32_t address, uint8_t len, uint32_t hop, uint16_t owner)
{
	struct fib4_route old;
	bool existed = fib4_get(fib, address, len, &old) == 0;
	int rc;

	/* What was only a host that somebody looked for gives way; the rest of ours does not. */
	if (existed && old.owner >= ROUTE_OWNER_PORT && old.owner != ROUTE_OWNER_NEIGHBOUR &&
	        !(old.owner == ROUTE_OWNER_CONNECTED && owner == ROUTE_OWNER_CONNECTED))
		return -EEXIST;
	rc = fib4_add(fib, address, len, hop, owner);
	if (rc)
		return rc;
	fib4_set_mark(fib, address, len, 0);
	if (existed)
		hop_release(old.nexthop);
	return 0;
}

int route_set(uint16_t network, uint32_t address, uint8_t len, uint32_t hop, uint16_t owner)
{
	struct fib4 *fib = network_fib(network);
	int rc;

	if (!hop)
		return -ENOSPC;
	rc = fib ? store(fib, address, len, hop, owner) : -ENOENT;
	if (rc)
		hop_release(hop);
	return rc;
}

int route_unset(uint16_t network, uint32_t address, uint8_t len, uint16_t owner)
{
	struct fib4 *fib = network_fib(network);
	struct fib4_route old;

	if (!fib || fib4_get(fib, address, len, &old) || old.owner != owner)
		return -ENOENT;
	fib4_del(fib, address, len);
	hop_release(old.nexthop);
	return 0;
}
