/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "dataplane/neighbour_control.h"
#include "dataplane/network_control.h"
#include "dataplane/route_control.h"
#include "dataplane/router_advertisement.h"
#include "dataplane/tables.h"

#define PAGE 256

static struct network networks[PR_NETWORKS_MAX];

struct network *network_at(uint16_t index)
{
	return &networks[index];
}

struct network_request {
	const struct dp_network_spec *spec;
	uint16_t index;
	struct dp_error *error;
};

static int find_index(const struct dp_network_spec *spec, struct dp_error *error)
{
	if (spec->index != DP_INDEX_ANY) {
		if (spec->index >= PR_NETWORKS_MAX || networks[spec->index].used)
			return dp_fail(error, PR_ERR_EXISTS, -EEXIST, "index",
			        "the network's index is taken");
		return spec->index;
	}
	for (int n = 0; n < PR_NETWORKS_MAX; n++)
		if (!networks[n].used)
			return n;
	return dp_fail(error, PR_ERR_FULL, -ENOSPC, "", "no room for another network (256)");
}

/* Our own addresses, and the subnets: what nobody has in them is unreachable. */
static int add_own_routes(struct network *network, uint16_t index)
{
	const struct dp_network_spec *spec = &network->spec;
	int rc = 0;

	network->hop_local = hop_take(HOP_LOCAL, index, NO_PORT, NULL);
	network->hop_unreachable = hop_take(HOP_UNREACHABLE, index, NO_PORT, NULL);
	if (!network->hop_local || !network->hop_unreachable)
		return -ENOSPC;
	for (unsigned n = 0; !rc && n < spec->n_gateways; n++) {
		struct pr_prefix host = pr_prefix_host(&spec->gateways[n]);

		rc = route_set(
		        index, &host, hop_take(HOP_LOCAL, index, NO_PORT, NULL), ROUTE_OWNER_LOCAL);
	}
	for (unsigned n = 0; !rc && n < spec->n_subnets; n++)
		rc = route_set(index, &spec->subnets[n],
		        hop_take(HOP_UNREACHABLE, index, NO_PORT, NULL), ROUTE_OWNER_CONNECTED);
	return rc;
}

static void free_fib(void *arg)
{
	fib4_destroy(arg);
}

static void free_fib6(void *arg)
{
	fib6_destroy(arg);
}

static void free_routed_segment(void *arg)
{
	struct segment *segment = arg;

	segment->fib = NULL;
	segment->fib6 = NULL;
	segment->advertised = NULL;
	segment->used = false;
}

/* Where the emptying of a network has come to. */
struct emptying {
	uint16_t network;
	bool short_ones; /* the second walk */
	bool begun, done;
	struct pr_prefix last;
};

/* A short prefix is expensive to remove while longer ones are below it. */
static bool has_turn(const struct emptying *emptying, const struct pr_prefix *prefix)
{
	return emptying->short_ones || prefix->addr.family == AF_INET6 || prefix->len > 16;
}

/* Removes what a page of the walk has, and gives its next hops back. */
static int empty_page(void *arg)
{
	struct emptying *emptying = arg;
	struct route_entry page[PAGE];
	unsigned n =
	        route_page(emptying->network, emptying->begun ? &emptying->last : NULL, page, PAGE);

	for (unsigned k = 0; k < n; k++)
		if (has_turn(emptying, &page[k].prefix))
			route_unset(emptying->network, &page[k].prefix, page[k].owner);
	if (n)
		emptying->last = page[n - 1].prefix;
	emptying->begun = n == PAGE;
	emptying->done = n < PAGE && emptying->short_ones;
	emptying->short_ones |= n < PAGE;
	return 0;
}

static void release_network(struct network *network)
{
	if (network->fib) {
		struct emptying emptying = {.network = (uint16_t)(network - networks)};

		while (!emptying.done)
			empty_page(&emptying);
		if (network->hop_local)
			hop_release(network->hop_local);
		if (network->hop_unreachable)
			hop_release(network->hop_unreachable);
		if (network->routed_segment)
			tables_retire(
			        free_routed_segment, &shared->segment[network->routed_segment]);
		tables_retire(free_fib, network->fib);
		tables_retire(free_fib6, network->fib6);
		tables_retire(free, network->advertised);
	}
	memset(network, 0, sizeof(*network));
}

/* Both tables or none. */
static int create_tables(struct network *network, uint16_t index)
{
	network->fib = fib4_create(shared->fib_pool, index);
	network->fib6 = network->fib ? fib6_create(shared->fib6_pool, index) : NULL;
	if (network->fib6 && network->spec.advertise)
		network->advertised = advertised_make(&network->spec);
	if (network->fib6 && (network->advertised || !network->spec.advertise))
		return 0;
	fib6_destroy(network->fib6);
	fib4_destroy(network->fib);
	network->fib = NULL;
	network->fib6 = NULL;
	return -ENOMEM;
}

static int add(void *arg)
{
	struct network_request *request = arg;
	int index = find_index(request->spec, request->error), rc = 0;
	struct network *network;

	if (index < 0)
		return index;
	network = &networks[index];
	network->used = true;
	network->spec = *request->spec;
	network->spec.index = (uint16_t)index;
	request->index = (uint16_t)index;
	if (!network->spec.routed)
		return 0;
	rc = create_tables(network, (uint16_t)index);
	if (!rc)
		rc = add_own_routes(network, (uint16_t)index);
	if (!rc) {
		network->routed_segment = segment_take((uint16_t)index, 0);
		rc = network->routed_segment ? 0 : -ENOSPC;
	}
	if (!rc)
		return 0;
	release_network(network);
	if (rc == -EEXIST)
		return dp_fail(request->error, PR_ERR_CONFLICT, rc, "subnets",
		        "two of the subnets or gateways are the same");
	return dp_fail(request->error, PR_ERR_FULL, rc, "",
	        "no room for another routed network: raise memory, limits.routes, "
	        "limits.routes6 or limits.fibNodes");
}

int dp_network_add(const struct dp_network_spec *spec, uint16_t *index, struct dp_error *error)
{
	struct network_request request = {.spec = spec, .error = error};
	int rc = tables_call(add, &request);

	if (!rc)
		*index = request.index;
	return rc;
}

static int del(void *arg)
{
	struct network_request *request = arg;
	struct network *network = &networks[request->index];

	if (request->index >= PR_NETWORKS_MAX || !network->used)
		return dp_fail(
		        request->error, PR_ERR_NOT_FOUND, -ENOENT, "name", "no such network");
	if (network->ports)
		return dp_fail(request->error, PR_ERR_IN_USE, -EBUSY, "name",
		        "the network still has ports: remove them first");
	neighbours_network_gone(request->index);
	release_network(network);
	return 0;
}

static int empties(void *arg)
{
	const struct network_request *request = arg;
	const struct network *network = &networks[request->index];

	return request->index < PR_NETWORKS_MAX && network->used && network->fib && !network->ports;
}

int dp_network_del(uint16_t index, struct dp_error *error)
{
	struct network_request request = {.index = index, .error = error};
	struct emptying emptying = {.network = index};
	int rc;

	/* A full table takes a second: in between the tables thread has its turns. Nobody adds
	 * routes or ports meanwhile, for that would be us. */
	emptying.done = !tables_call(empties, &request);
	while (!emptying.done)
		tables_call(empty_page, &emptying);
	rc = tables_call(del, &request);
	/* A new network may get the same segment: nobody may still think of the old one. */
	if (!rc)
		tables_grace();
	return rc;
}

static int stop(void *arg)
{
	(void)arg;
	for (uint16_t n = 0; n < PR_NETWORKS_MAX; n++) {
		if (!networks[n].used)
			continue;
		neighbours_network_gone(n);
		release_network(&networks[n]);
	}
	return 0;
}

void networks_stop(void)
{
	tables_call(stop, NULL);
	tables_grace();
}
