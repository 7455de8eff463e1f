/* SPDX-License-Identifier: BSD-3-Clause */
/* route.sync: a client brings all routes of an owner. They are collected here and nothing changes
 * before the commit, which compares them with what is there and touches the difference only: a
 * controller that comes back with the same routes moves none. */
#include "control/route_sync.h"

#include <stdlib.h>
#include <errno.h>
#include <string.h>

static struct route_sync *syncs; /* the open ones */

bool route_sync_owner_busy(uint8_t owner)
{
	for (const struct route_sync *sync = syncs; sync; sync = sync->next) {
		if (sync->owner == owner)
			return true;
	}
	return false;
}

void route_sync_port_gone(const struct port *port)
{
	for (struct route_sync *sync = syncs; sync; sync = sync->next) {
		for (size_t i = 0; i < sync->n && !sync->lost[0]; i++) {
			if (sync->routes[i].port == port->spec.index ||
			        route_nexthops_through(sync->routes[i].nexthops, port->spec.index))
				strcpy(sync->lost, port->spec.name);
		}
	}
}

static void sync_drop(struct client *client)
{
	void **slot = client_slot(client, CLIENT_ROUTE_SYNC);
	struct route_sync *sync = *slot;

	if (!sync)
		return;
	for (struct route_sync **link = &syncs; *link; link = &(*link)->next) {
		if (*link == sync) {
			*link = sync->next;
			break;
		}
	}
	for (size_t i = 0; i < sync->n; i++)
		dp_nexthops_release(sync->routes[i].nexthops);
	free(sync->routes);
	route_lists_free(&sync->lists);
	free(sync);
	*slot = NULL;
}

void route_sync_client_gone(struct client *client)
{
	sync_drop(client);
}

static int sync_limits(struct request *request, struct route_sync *sync)
{
	struct dp_totals *totals = malloc(sizeof(*totals));

	if (!totals)
		return request_fail(request, PR_ERR_INTERNAL, NULL, "out of memory");
	dp_totals(totals);
	sync->limit[0] = totals->routes.size;
	sync->limit[1] = totals->routes6.size;
	sync->lists.limit = (uint32_t)totals->groups.size;
	free(totals);
	return 0;
}

static int sync_begin(struct request *request, const struct network *network, uint8_t owner)
{
	void **slot = client_slot(request->client, CLIENT_ROUTE_SYNC);
	struct route_sync *sync;

	if (*slot)
		return request_fail(request, PR_ERR_CONFLICT, "step",
		        "this connection has a sync open; commit or abort it first");
	sync = calloc(1, sizeof(*sync));
	if (!sync)
		return request_fail(request, PR_ERR_INTERNAL, NULL, "out of memory");
	if (sync_limits(request, sync)) {
		free(sync);
		return -1;
	}
	strcpy(sync->network, network->spec.name);
	sync->owner = owner;
	sync->next = syncs;
	syncs = sync;
	*slot = sync;
	return 0;
}

static int sync_full(struct request *request, const struct route_sync *sync, bool v6)
{
	return request_fail(request, PR_ERR_FULL, "routes",
	        "the tables hold %llu IPv%u routes; raise limits.routes%s of the configuration",
	        (unsigned long long)sync->limit[v6], v6 ? 6 : 4, v6 ? "6" : "");
}

/* Routes are counted, but each might have a list of its own, of 64 members. */
static int sync_share(struct request *request, struct route_sync *sync, struct dp_route *route)
{
	int rc = route->nexthops ? route_lists_share(&sync->lists, &route->nexthops) : 0;

	if (rc == -ENOSPC)
		return request_fail(request, PR_ERR_FULL, "routes",
		        "the tables hold %u groups of next hops and these routes have more"
		        " different lists; raise limits.groups of the configuration",
		        sync->lists.limit);
	return rc ? request_fail(request, PR_ERR_INTERNAL, NULL, "out of memory") : 0;
}

/* Room for more routes. Those of earlier chunks are no more than the tables hold, and a chunk is
 * bounded by the length of a message. */
static int sync_grow(struct request *request, struct route_sync *sync, size_t more)
{
	size_t size = sync->size ? sync->size : 1024;
	struct dp_route *routes;

	if (sync->n + more <= sync->size)
		return 0;
	while (size < sync->n + more)
		size *= 2;
	routes = realloc(sync->routes, size * sizeof(*routes));
	if (!routes)
		return request_fail(request, PR_ERR_INTERNAL, NULL, "out of memory");
	sync->routes = routes;
	sync->size = size;
	return 0;
}

/* Takes routes behind the sync's own: n, of both families of_family. */
static int sync_take(struct request *request, struct route_sync *sync, struct network *network,
        size_t *n, size_t of_family[2])
{
	const cJSON *routes = json_array(request->params, "routes"), *item;
	unsigned index = 0;
	bool missing, v6;

	cJSON_ArrayForEach (item, routes) {
		char where[32];

		snprintf(where, sizeof(where), "routes[%u].", index++);
		if (route_parse(request, item, where, network, sync->owner, &sync->routes[*n],
		            &missing))
			return -1;
		v6 = sync->routes[(*n)++].prefix.addr.family == AF_INET6;
		if (sync_share(request, sync, &sync->routes[*n - 1]))
			return -1;
		if (++of_family[v6] > sync->limit[v6])
			return sync_full(request, sync, v6);
	}
	return 0;
}

/* A chunk is taken wholly or not at all. */
static int sync_chunk(struct request *request, struct route_sync *sync, struct network *network)
{
	size_t n = sync->n, of_family[2] = {sync->of_family[0], sync->of_family[1]};
	uint32_t lists = sync->lists.n;

	if (sync_grow(request, sync,
	            (size_t)cJSON_GetArraySize(json_array(request->params, "routes"))))
		return -1;
	if (sync_take(request, sync, network, &n, of_family)) {
		while (n > sync->n)
			dp_nexthops_release(sync->routes[--n].nexthops);
		route_lists_cut(&sync->lists, lists);
		return -1;
	}
	sync->n = n;
	memcpy(sync->of_family, of_family, sizeof(of_family));
	return 0;
}

static int sync_answer(struct request *request, const struct route_change *change)
{
	json_add_u64(request->result, "added", change->n_add);
	json_add_u64(request->result, "removed", change->n_del);
	json_add_u64(request->result, "kept", change->kept);
	return 0;
}

static int sync_commit(
        struct request *request, struct route_sync *sync, const struct network *network)
{
	struct route_change change = {.network = network, .owner = sync->owner};
	int rc;

	if (sync->lost[0])
		rc = request_fail(request, PR_ERR_CONFLICT, "step",
		        "port \"%s\" was removed since this sync named it; begin again",
		        sync->lost);
	else
		rc = route_change_find(request, sync, &change);
	if (!rc)
		rc = route_change_apply(request, &change);
	if (!rc)
		rc = sync_answer(request, &change);
	route_change_free(&change);
	sync_drop(request->client);
	return rc;
}

int route_sync(struct request *request)
{
	const char *step = json_string(request->params, "step", "");
	const char *owner = json_string(request->params, "owner", "");
	struct network *network = network_wanted_mode(request, "network", true);
	struct route_sync *sync;
	uint8_t number;

	if (!network || owner_number(request, owner, &number))
		return -1;
	if (!request->client)
		return request_fail(request, PR_ERR_REQUEST, NULL, "route.sync needs a connection");
	if (json_has(request->params, "routes") && strcmp(step, "chunk") &&
	        cJSON_GetArraySize(json_array(request->params, "routes")))
		return request_fail(
		        request, PR_ERR_PARAMS, "routes", "only the step chunk brings routes");
	if (!strcmp(step, "begin"))
		return sync_begin(request, network, number);
	sync = *client_slot(request->client, CLIENT_ROUTE_SYNC);
	if (!strcmp(step, "abort")) {
		sync_drop(request->client);
		return 0;
	}
	if (!sync)
		return request_fail(
		        request, PR_ERR_CONFLICT, "step", "no sync is open; begin one first");
	if (strcmp(sync->network, network->spec.name) || sync->owner != number)
		return request_fail(request, PR_ERR_CONFLICT,
		        sync->owner != number ? "owner" : "network",
		        "the open sync is of owner \"%s\" in network \"%s\"",
		        owner_name(sync->owner), sync->network);
	if (!strcmp(step, "chunk"))
		return sync_chunk(request, sync, network);
	return sync_commit(request, sync, network);
}
