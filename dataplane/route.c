/* SPDX-License-Identifier: BSD-3-Clause */
/* Routes as control asks for them. The functions without dp_ run in the tables thread. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "dataplane/ecmp_hash.h"
#include "dataplane/hop_group.h"
#include "dataplane/liveness.h"
#include "dataplane/neighbour_control.h"
#include "dataplane/network_control.h"
#include "dataplane/route_control.h"
#include "dataplane/tables.h"

#define PAGE 1024

/* The port through which a gateway is reached; NO_PORT: none. */
static uint16_t port_of_gateway(uint16_t network, const struct pr_ip *gateway)
{
	struct route_entry route;
	const struct hop *hop;

	if (route_match(network, gateway, &route))
		return NO_PORT;
	hop = hop_at(route.nexthop);
	if (hop->dead || (!hop_is_via(hop) && hop->kind != HOP_GLEAN))
		return NO_PORT;
	/* A gateway behind another gateway would need recursion that nobody asked for. */
	if (hop_is_via(hop) && !pr_ip_equal(&hop->gateway, gateway))
		return NO_PORT;
	return hop->port;
}

static int hop_over(const struct dp_route *route, uint32_t *hop, struct dp_error *error)
{
	struct pr_ip gateway = route->gateway;
	uint16_t port = route->port;
	enum hop_kind kind = HOP_VIA;

	/* A single host is its own neighbour: no prefix to look for others in. */
	if (!gateway.family && pr_prefix_is_host(&route->prefix)) {
		gateway = route->prefix.addr;
		kind = HOP_HOST;
	} else if (gateway.family && port == DP_INDEX_ANY) {
		port = port_of_gateway(route->network, &gateway);
	}
	if (port == NO_PORT)
		return dp_fail(error, PR_ERR_PARAMS, -EHOSTUNREACH, "gateway",
		        "the gateway is not reached directly: name the port, or an address "
		        "in a connected subnet");
	if (port >= PR_PORTS_MAX || !port_at(port)->used ||
	        port_at(port)->spec.network != route->network)
		return dp_fail(
		        error, PR_ERR_NOT_FOUND, -ENOENT, "port", "no such port in this network");
	gateway = scoped_ip(&gateway, port);
	*hop = hop_take(gateway.family ? kind : HOP_GLEAN, route->network, port, &gateway);
	return 0;
}

/* The next hop of a member; one that its port is missing for leads nowhere until the route is added
 * again. */
static int hop_of_member(
        const struct dp_route *route, unsigned k, uint32_t *hop, struct dp_error *error)
{
	const struct dp_nexthop *member = &route->nexthops->member[k];
	struct dp_route one = {
	        .network = route->network,
	        .prefix = route->prefix,
	        .port = member->port,
	        .gateway = member->gateway,
	};
	char field[16];
	/* A port that was named and is not there is not replaced by another that leads there, too.
	 */
	int rc = -ENOENT;

	if (!member->port_name[0] || member->port != DP_INDEX_ANY)
		rc = hop_over(&one, hop, error);
	if (rc && route->waits) {
		*hop = hop_take(HOP_UNREACHABLE, route->network, NO_PORT, NULL);
		rc = 0;
	}
	if (!rc && !*hop)
		return dp_fail(
		        error, PR_ERR_FULL, -ENOSPC, "", "the next-hop table is full (65535)");
	if (rc) {
		snprintf(field, sizeof(field), "nexthops[%u]", k);
		snprintf(error->field, sizeof(error->field), "%s", field);
	}
	return rc;
}

static int hop_of_group(const struct dp_route *route, uint32_t like, uint32_t last, uint32_t *hop,
        struct dp_error *error)
{
	uint32_t members[PR_NEXTHOPS_MAX];

	if (group_has(group_at(last), route->network, route->nexthops)) {
		hop_hold(last);
		*hop = last;
		return 0;
	}
	for (unsigned k = 0; k < route->nexthops->n; k++) {
		int rc = hop_of_member(route, k, &members[k], error);

		if (!rc)
			continue;
		while (k--)
			hop_release(members[k]);
		return rc;
	}
	return group_take(route->network, route->nexthops, members, like, hop, error);
}

/* Fills hop with a reference of its own; -EINPROGRESS as of group_take. like: the next hop that the
 * prefix has, 0: none; last: that of the last route of the same request. */
static int hop_of(const struct dp_route *route, uint32_t like, uint32_t last, uint32_t *hop,
        struct dp_error *error)
{
	int rc = 0;

	if (route->nexthops)
		return hop_of_group(route, like, last, hop, error);
	if (route->type == DP_ROUTE_BLACKHOLE)
		*hop = hop_take(HOP_BLACKHOLE, route->network, NO_PORT, NULL);
	else if (route->type == DP_ROUTE_UNREACHABLE)
		*hop = hop_take(HOP_UNREACHABLE, route->network, NO_PORT, NULL);
	else
		rc = hop_over(route, hop, error);
	if (!rc && !*hop)
		return dp_fail(error, PR_ERR_FULL, -ENOSPC, "",
		        "the next-hop table is full (65535): let more routes share their gateways");
	return rc;
}

/* ---- adding: all or none ---- */

struct undo {
	struct route_entry old;
	bool existed, done;
};

struct route_request {
	const struct dp_route *routes;
	struct undo *undo;
	size_t n, failed, removed;
	size_t at;         /* of routes: the next one */
	uint32_t last_hop; /* of the route before */
	bool making;       /* a group for it was begun */
	struct dp_error *error;
	/* lists */
	uint16_t network;
	int owner;
	const struct pr_prefix *after;
	struct pr_prefix last;
	struct dp_route *list;
	const struct pr_ip *address;
	const struct dp_flow *flow;
	struct dp_route_lookup *answer;
};

/* Which limit it was, and how large it is. */
static int table_full(const struct pr_prefix *prefix, int rc, struct dp_error *error)
{
	struct fib4_pool_stats fib;
	struct fib6_pool_stats fib6;

	fib4_pool_stats(shared->fib_pool, &fib);
	fib6_pool_stats(shared->fib6_pool, &fib6);
	dp_fail(error, PR_ERR_FULL, rc, "prefix", "");
	if (prefix->addr.family == AF_INET6)
		snprintf(error->message, sizeof(error->message),
		        "the tables hold %u IPv6 routes: raise limits.routes6 of the configuration",
		        fib6.routes_max);
	else if (fib.routes == fib.routes_max)
		snprintf(error->message, sizeof(error->message),
		        "the tables hold %u IPv4 routes: raise limits.routes of the configuration",
		        fib.routes_max);
	else
		snprintf(error->message, sizeof(error->message),
		        "the %u nodes of the IPv4 lookup tree are used up by %u routes: raise "
		        "limits.fibNodes of the configuration, or leave it out",
		        fib.nodes_max, fib.routes);
	return rc;
}

static int add_one(struct route_request *request)
{
	const struct dp_route *route = &request->routes[request->at];
	struct undo *undo = &request->undo[request->at];
	struct dp_error *error = request->error;
	uint32_t hop;
	int rc;

	if (!network_is_routed(route->network))
		return dp_fail(
		        error, PR_ERR_PARAMS, -EINVAL, "network", "the network is not routed");
	undo->existed = route_find(route->network, &route->prefix, &undo->old) == 0 &&
	                undo->old.owner != ROUTE_OWNER_NEIGHBOUR;
	if (request->making)
		rc = group_end(&hop, error);
	else
		rc = hop_of(route, undo->existed ? undo->old.nexthop : 0, request->last_hop, &hop,
		        error);
	request->making = rc == -EINPROGRESS;
	if (rc)
		return rc;
	request->last_hop = hop;
	if (undo->existed && undo->old.owner < 256 && undo->old.owner != route->owner) {
		hop_release(hop);
		return dp_fail(error, PR_ERR_CONFLICT, -EEXIST, "prefix",
		        "another owner has a route of this prefix");
	}
	if (undo->existed)
		/* The undo keeps the old next hop alive. */
		hop_hold(undo->old.nexthop);
	rc = route_set(route->network, &route->prefix, hop, route->owner);
	undo->done = !rc;
	if (rc && undo->existed)
		hop_release(undo->old.nexthop);
	if (rc == -EEXIST)
		return dp_fail(error, PR_ERR_CONFLICT, rc, "prefix",
		        "the prefix is a pod's address, a gateway or a connected subnet");
	return rc ? table_full(&route->prefix, rc, error) : 0;
}

static void undo_one(const struct dp_route *route, const struct undo *undo)
{
	if (undo->existed)
		route_set(route->network, &route->prefix, undo->old.nexthop, undo->old.owner);
	else
		route_unset(route->network, &route->prefix, route->owner);
}

/* A request's routes come in runs of one network, mostly a single one. */
static void tell_neighbours(const struct route_request *request)
{
	const struct dp_route *routes = request->routes;

	for (size_t first = 0, end; first < request->n; first = end) {
		for (end = first + 1; end < request->n; end++)
			if (routes[end].network != routes[first].network)
				break;
		neighbours_routes_changed(&routes[first], end - first);
	}
}

/* A turn of its own for each new group: -EINPROGRESS before it. */
static int add(void *arg)
{
	struct route_request *request = arg;
	size_t n;
	int rc = 0;

	for (; request->at < request->n && !rc; request->at += !rc)
		rc = add_one(request);
	if (rc == -EINPROGRESS)
		return rc;
	if (!rc) {
		tell_neighbours(request);
		for (n = 0; n < request->n; n++)
			if (request->undo[n].existed)
				hop_release(request->undo[n].old.nexthop);
		return 0;
	}
	request->failed = n = request->at;
	while (n--)
		undo_one(&request->routes[n], &request->undo[n]);
	return rc;
}

int dp_route_add(const struct dp_route *routes, size_t n, size_t *failed, struct dp_error *error)
{
	struct route_request request = {.routes = routes, .n = n, .error = error};
	int rc;

	request.undo = calloc(n ? n : 1, sizeof(*request.undo));
	if (!request.undo)
		return dp_fail(error, PR_ERR_FULL, -ENOMEM, "", "out of memory");
	while ((rc = tables_call(add, &request)) == -EINPROGRESS)
		group_lay_out();
	free(request.undo);
	if (rc && failed)
		*failed = request.failed;
	return rc;
}

static int del(void *arg)
{
	struct route_request *request = arg;

	for (size_t n = 0; n < request->n; n++) {
		const struct dp_route *route = &request->routes[n];

		if (route_unset(route->network, &route->prefix, route->owner) == 0)
			request->removed++;
	}
	tell_neighbours(request);
	return 0;
}

int dp_route_del(const struct dp_route *routes, size_t n, size_t *removed, struct dp_error *error)
{
	struct route_request request = {.routes = routes, .n = n, .error = error};

	tables_call(del, &request);
	if (removed)
		*removed = request.removed;
	return 0;
}

/* ---- looking ---- */

static void describe(uint16_t network, const struct route_entry *from, struct dp_route *to)
{
	const struct hop *hop = hop_at(from->nexthop);
	const struct hop_group *group = group_at(from->nexthop);

	memset(to, 0, sizeof(*to));
	to->network = network;
	to->prefix = from->prefix;
	to->port = hop->port;
	to->next_hop = from->nexthop;
	to->owner = from->owner < 256 ? (uint8_t)from->owner : 0;
	if (group) {
		to->nexthops = group->list;
		to->waits = !group_has(group, network, group->list);
	}
	if (hop->kind == HOP_VIA)
		to->gateway = unscoped_ip(&hop->gateway);
	switch (from->owner) {
	case ROUTE_OWNER_PORT:
		to->type = DP_ROUTE_PORT;
		break;
	case ROUTE_OWNER_CONNECTED:
	case ROUTE_OWNER_NEIGHBOUR:
		to->type = DP_ROUTE_CONNECTED;
		break;
	case ROUTE_OWNER_LOCAL:
		to->type = DP_ROUTE_LOCAL;
		break;
	default:
		to->type = hop->kind == HOP_BLACKHOLE     ? DP_ROUTE_BLACKHOLE
		           : hop->kind == HOP_UNREACHABLE ? DP_ROUTE_UNREACHABLE
		                                          : DP_ROUTE_VIA;
	}
}

static int list(void *arg)
{
	struct route_request *request = arg;
	const struct pr_prefix *after = request->after;
	struct route_entry page[PAGE];
	unsigned n = PAGE;

	while (n == PAGE) {
		n = route_page(request->network, after, page, PAGE);
		for (unsigned k = 0; k < n; k++) {
			if (page[k].owner == ROUTE_OWNER_NEIGHBOUR ||
			        (request->owner >= 0 && page[k].owner != request->owner))
				continue;
			if (request->removed == request->n)
				return 0;
			describe(request->network, &page[k], &request->list[request->removed++]);
		}
		if (n)
			request->last = page[n - 1].prefix;
		after = &request->last;
	}
	return 0;
}

size_t dp_route_list(uint16_t network, int owner, const struct pr_prefix *after,
        struct dp_route *routes, size_t n)
{
	struct route_request request = {
	        .network = network,
	        .owner = owner,
	        .after = after,
	        .list = routes,
	        .n = n,
	};

	tables_call(list, &request);
	return request.removed;
}

static int find(void *arg)
{
	struct route_request *request = arg;
	struct route_entry route;

	if (route_find(request->network, request->after, &route) ||
	        route.owner == ROUTE_OWNER_NEIGHBOUR)
		return -ENOENT;
	describe(request->network, &route, request->list);
	return 0;
}

int dp_route_find(uint16_t network, const struct pr_prefix *prefix, struct dp_route *route)
{
	return tables_call(
	        find, &(struct route_request){.network = network, .after = prefix, .list = route});
}

static int count(void *arg)
{
	struct route_request *request = arg;

	request->n = routes_of(request->network);
	return 0;
}

size_t dp_route_count(uint16_t network)
{
	struct route_request request = {.network = network};

	tables_call(count, &request);
	return request.n;
}

/* As a worker would hash such a packet. */
static uint32_t flow_hash_of(const struct route_request *request)
{
	const struct dp_flow *flow = request->flow;
	uint8_t ip[44] = {0x45};
	bool v6 = request->address->family == AF_INET6;
	uint8_t *ports = ip + (v6 ? 40 : 20);
	unsigned bytes = (unsigned)pr_ip_bytes(request->address);

	ip[v6 ? 6 : 9] = flow->protocol;
	memcpy(ip + (v6 ? 8 : 12), flow->source.b, bytes);
	memcpy(ip + (v6 ? 24 : 16), request->address->b, bytes);
	ports[0] = (uint8_t)(flow->source_port >> 8);
	ports[1] = (uint8_t)flow->source_port;
	ports[2] = (uint8_t)(flow->destination_port >> 8);
	ports[3] = (uint8_t)flow->destination_port;
	return v6 ? ecmp_hash6(ip, sizeof(ip), shared->flow_seed)
	          : ecmp_hash4(ip, 24, shared->flow_seed);
}

static int look_up(void *arg)
{
	struct route_request *request = arg;
	struct dp_route_lookup *answer = request->answer;
	const struct hop_group *group;
	struct route_entry route;
	const struct hop *hop;
	struct pr_ip target;

	if (route_match(request->network, request->address, &route))
		return -ENOENT;
	memset(answer, 0, sizeof(*answer));
	describe(request->network, &route, &answer->route);
	hop = hop_at(route.nexthop);
	group = group_at(route.nexthop);
	answer->member = -1;
	if (group && request->flow) {
		answer->member = (int)group_choose(group, flow_hash_of(request));
		hop = hop_at(group->member_hop[answer->member]);
	}
	answer->port = hop->port;
	if (!hop_is_via(hop) && hop->kind != HOP_GLEAN)
		return 0;
	target = hop_is_via(hop) ? hop->gateway : *request->address;
	answer->gateway = unscoped_ip(&target);
	answer->resolved = neighbour_mac(request->network, hop->port, &target, &answer->mac) ==
	                   NEIGHBOUR_KNOWN;
	return 0;
}

int dp_route_get(uint16_t network, const struct pr_ip *address, const struct dp_flow *flow,
        struct dp_route_lookup *answer)
{
	return tables_call(look_up,
	        &(struct route_request){
	                .network = network, .address = address, .flow = flow, .answer = answer});
}

struct states_request {
	uint32_t hop;
	enum dp_nexthop_state *states;
};

static int states_of(void *arg)
{
	struct states_request *request = arg;
	const struct hop_group *group = group_at(request->hop);

	for (unsigned k = 0; group && k < group->layout.n; k++)
		request->states[k] = liveness_state(group->member_hop[k]);
	return 0;
}

void dp_nexthop_states(const struct dp_route *route, enum dp_nexthop_state states[PR_NEXTHOPS_MAX])
{
	for (unsigned k = 0; k < PR_NEXTHOPS_MAX; k++)
		states[k] = DP_NEXTHOP_DOWN;
	tables_call(states_of, &(struct states_request){route->next_hop, states});
}
