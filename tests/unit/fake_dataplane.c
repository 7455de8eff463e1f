/* SPDX-License-Identifier: BSD-3-Clause */
#include "fake_dataplane.h"

#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#define FAKE_ENTRIES 4096

struct fake_dataplane fake_dp;
size_t fake_dp_lists;

static struct {
	bool network_used[PR_NETWORKS_MAX], port_used[PR_PORTS_MAX];
	struct dp_network_spec network[PR_NETWORKS_MAX];
	struct dp_port_spec port[PR_PORTS_MAX];
	struct dp_route *route;
	size_t routes;
	struct dp_neighbour neighbour[FAKE_ENTRIES];
	size_t neighbours;
	struct dp_fdb_entry fdb[FAKE_ENTRIES];
	size_t fdbs;
} dp;

void fake_dp_reset(void)
{
	for (size_t i = 0; i < dp.routes; i++)
		dp_nexthops_release(dp.route[i].nexthops);
	free(dp.route);
	memset(&dp, 0, sizeof(dp));
	memset(&fake_dp, 0, sizeof(fake_dp));
	fake_dp.fail_code = PR_ERR_FULL;
	fake_dp.device_mac = (struct pr_mac){{2, 0xde, 0, 0, 0, 1}};
}

static int fault(struct dp_error *error, int rc, enum pr_error_code code, const char *field,
        const char *message)
{
	if (error) {
		error->code = code;
		snprintf(error->field, sizeof(error->field), "%s", field);
		snprintf(error->message, sizeof(error->message), "%s", message);
	}
	return rc;
}

/* Every changing call comes here first. */
static int __attribute__((format(printf, 2, 3)))
change(struct dp_error *error, const char *format, ...)
{
	va_list arguments;

	if (fake_dp.fail_at && !--fake_dp.fail_at)
		return fault(error, -EIO, fake_dp.fail_code, "", "told to fail");
	va_start(arguments, format);
	vsnprintf(fake_dp.last, sizeof(fake_dp.last), format, arguments);
	va_end(arguments);
	fake_dp.changes++;
	return 0;
}

/* The wanted index when it is free, or the first free one. */
static int take_index(const bool *used, unsigned max, uint16_t wanted)
{
	if (wanted != DP_INDEX_ANY)
		return wanted < max && !used[wanted] ? wanted : -EEXIST;
	for (unsigned i = 0; i < max; i++) {
		if (!used[i])
			return (int)i;
	}
	return -ENOSPC;
}

static int route_compare(const void *a, const void *b)
{
	const struct dp_route *x = a, *y = b;
	int order = (int)x->network - (int)y->network;

	/* AF_INET is less than AF_INET6. */
	if (!order)
		order = (int)x->prefix.addr.family - (int)y->prefix.addr.family;
	if (!order && x->prefix.addr.family)
		order = memcmp(x->prefix.addr.b, y->prefix.addr.b, pr_ip_bytes(&x->prefix.addr));
	return order ? order : (int)x->prefix.len - (int)y->prefix.len;
}

/* First one that is not before key. */
static size_t route_place(const struct dp_route *key)
{
	size_t low = 0, high = dp.routes;

	while (low < high) {
		size_t middle = (low + high) / 2;

		if (route_compare(&dp.route[middle], key) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

static int route_put(const struct dp_route *route)
{
	size_t at = route_place(route);

	if (!dp.route)
		dp.route = calloc(FAKE_ROUTES_MAX, sizeof(*dp.route));
	dp_nexthops_hold(route->nexthops);
	if (at < dp.routes && !route_compare(&dp.route[at], route)) {
		dp_nexthops_release(dp.route[at].nexthops);
		dp.route[at] = *route;
		return 0;
	}
	if (dp.routes == FAKE_ROUTES_MAX)
		return -ENOSPC;
	memmove(&dp.route[at + 1], &dp.route[at], (dp.routes - at) * sizeof(*route));
	dp.route[at] = *route;
	dp.routes++;
	return 0;
}

static bool route_take(const struct dp_route *route)
{
	size_t at = route_place(route);

	if (at == dp.routes || route_compare(&dp.route[at], route))
		return false;
	dp.routes--;
	dp_nexthops_release(dp.route[at].nexthops);
	memmove(&dp.route[at], &dp.route[at + 1], (dp.routes - at) * sizeof(*route));
	return true;
}

/* ---- networks ---- */

int dp_network_add(const struct dp_network_spec *spec, uint16_t *index, struct dp_error *error)
{
	int at = take_index(dp.network_used, PR_NETWORKS_MAX, spec->index);

	if (at < 0)
		return fault(error, at, PR_ERR_FULL, "", "no network index");
	if (change(error, "network_add %s", spec->name))
		return -EIO;
	dp.network_used[at] = true;
	dp.network[at] = *spec;
	dp.network[at].index = *index = (uint16_t)at;
	for (unsigned i = 0; i < spec->n_subnets; i++) {
		struct dp_route route = {.network = *index,
		        .prefix = spec->subnets[i],
		        .type = DP_ROUTE_CONNECTED,
		        .port = DP_INDEX_ANY};

		route_put(&route);
	}
	return 0;
}

int dp_network_del(uint16_t index, struct dp_error *error)
{
	for (unsigned i = 0; i < PR_PORTS_MAX; i++) {
		if (dp.port_used[i] && dp.port[i].network == index)
			return fault(error, -EBUSY, PR_ERR_IN_USE, "", "network has ports");
	}
	if (change(error, "network_del %s", dp.network[index].name))
		return -EIO;
	dp.network_used[index] = false;
	for (size_t i = dp.routes; i-- > 0;) {
		if (dp.route[i].network == index)
			route_take(&dp.route[i]);
	}
	for (size_t i = dp.neighbours; i-- > 0;) {
		if (dp.neighbour[i].network == index)
			dp.neighbour[i] = dp.neighbour[--dp.neighbours];
	}
	for (size_t i = dp.fdbs; i-- > 0;) {
		if (dp.fdb[i].network == index)
			dp.fdb[i] = dp.fdb[--dp.fdbs];
	}
	return 0;
}

size_t fake_dp_networks(void)
{
	size_t n = 0;

	for (unsigned i = 0; i < PR_NETWORKS_MAX; i++)
		n += dp.network_used[i];
	return n;
}

const struct dp_network_spec *fake_dp_network(const char *name)
{
	for (unsigned i = 0; i < PR_NETWORKS_MAX; i++) {
		if (dp.network_used[i] && !strcmp(dp.network[i].name, name))
			return &dp.network[i];
	}
	return NULL;
}

/* ---- ports ---- */

static struct dp_route port_route(const struct dp_port_spec *spec, unsigned i)
{
	return (struct dp_route){.network = spec->network,
	        .prefix = pr_prefix_host(&spec->addresses[i].addr),
	        .type = spec->kind == DP_PORT_ETH ? DP_ROUTE_LOCAL : DP_ROUTE_PORT,
	        .port = spec->index};
}

int dp_port_add(const struct dp_port_spec *spec, uint16_t *index, struct pr_mac *mac,
        struct dp_error *error)
{
	int at = take_index(dp.port_used, PR_PORTS_MAX, spec->index);

	if (at < 0)
		return fault(error, at, PR_ERR_FULL, "", "no port index");
	if (spec->network >= PR_NETWORKS_MAX || !dp.network_used[spec->network])
		return fault(error, -ENOENT, PR_ERR_INTERNAL, "network", "no such network");
	if (change(error, "port_add %s", spec->name))
		return -EIO;
	dp.port_used[at] = true;
	dp.port[at] = *spec;
	dp.port[at].index = *index = (uint16_t)at;
	if (spec->kind == DP_PORT_ETH && pr_mac_is_zero(&spec->mac))
		dp.port[at].mac = fake_dp.device_mac;
	*mac = dp.port[at].mac;
	memset(&fake_dp.state[at], 0, sizeof(fake_dp.state[at]));
	memset(&fake_dp.counters[at], 0, sizeof(fake_dp.counters[at]));
	for (unsigned i = 0; dp.network[spec->network].routed && i < spec->n_addresses; i++) {
		struct dp_route route = port_route(&dp.port[at], i);

		route_put(&route);
	}
	return 0;
}

int dp_port_del(uint16_t index, struct dp_error *error)
{
	if (index >= PR_PORTS_MAX || !dp.port_used[index])
		return fault(error, -ENOENT, PR_ERR_INTERNAL, "", "no such port");
	if (change(error, "port_del %s", dp.port[index].name))
		return -EIO;
	/* Its own routes go; others that lead to it stay and lead nowhere. */
	for (size_t i = dp.routes; i-- > 0;) {
		for (unsigned k = 0; dp.route[i].nexthops && k < dp.route[i].nexthops->n; k++)
			dp.route[i].waits |= dp.route[i].nexthops->member[k].port == index;
		if (dp.route[i].port != index || dp.route[i].network != dp.port[index].network)
			continue;
		if (dp.route[i].type >= DP_ROUTE_CONNECTED)
			route_take(&dp.route[i]);
		else
			dp.route[i].port = DP_INDEX_ANY;
	}
	dp.port_used[index] = false;
	return 0;
}

int dp_port_state(uint16_t index, struct dp_port_state *state)
{
	*state = fake_dp.state[index];
	return 0;
}

size_t fake_dp_ports(void)
{
	size_t n = 0;

	for (unsigned i = 0; i < PR_PORTS_MAX; i++)
		n += dp.port_used[i];
	return n;
}

const struct dp_port_spec *fake_dp_port(const char *name)
{
	for (unsigned i = 0; i < PR_PORTS_MAX; i++) {
		if (dp.port_used[i] && !strcmp(dp.port[i].name, name))
			return &dp.port[i];
	}
	return NULL;
}

/* ---- routes ---- */

/* As the real one, the port that has the gateway, or the uplink whose subnet it is in. */
static uint16_t port_of_gateway(const struct dp_route *route)
{
	uint16_t uplink = DP_INDEX_ANY;

	for (uint16_t i = 0; i < PR_PORTS_MAX; i++) {
		if (!dp.port_used[i] || dp.port[i].network != route->network)
			continue;
		if (dp.port[i].kind == DP_PORT_ETH)
			uplink = i;
		for (unsigned k = 0; k < dp.port[i].n_addresses; k++) {
			if (pr_ip_equal(&dp.port[i].addresses[k].addr, &route->gateway))
				return i;
		}
	}
	return uplink;
}

/* Whether a member's port is not there. */
static bool members_wait(const struct dp_route *route)
{
	for (unsigned k = 0; k < route->nexthops->n; k++) {
		const struct dp_nexthop *member = &route->nexthops->member[k];
		struct dp_route one = {.network = route->network, .gateway = member->gateway};

		if (member->port == DP_INDEX_ANY &&
		        (member->port_name[0] || port_of_gateway(&one) == DP_INDEX_ANY))
			return true;
	}
	return false;
}

int dp_route_add(const struct dp_route *routes, size_t n, size_t *failed, struct dp_error *error)
{
	if (dp.routes + n > FAKE_ROUTES_MAX) {
		*failed = 0;
		return fault(error, -ENOSPC, PR_ERR_FULL, "", "the route table is full");
	}
	if (change(error, "route_add %zu", n))
		return -EIO;
	for (size_t i = 0; i < n; i++) {
		struct dp_route route = routes[i];

		if (route.nexthops) {
			route.waits = members_wait(&route);
			if (route.waits && !routes[i].waits) {
				*failed = i;
				return fault(error, -EHOSTUNREACH, PR_ERR_PARAMS, "nexthops[0]",
				        "the gateway is not reached directly");
			}
			route_put(&route);
			continue;
		}
		if (route.type == DP_ROUTE_VIA && route.port == DP_INDEX_ANY)
			route.port = port_of_gateway(&route);
		if (route.type == DP_ROUTE_VIA && route.port == DP_INDEX_ANY) {
			*failed = i;
			return fault(error, -EHOSTUNREACH, PR_ERR_PARAMS, "gateway",
			        "the gateway is not reached directly");
		}
		route_put(&route);
	}
	return 0;
}

int dp_route_del(const struct dp_route *routes, size_t n, size_t *removed, struct dp_error *error)
{
	if (change(error, "route_del %zu", n))
		return -EIO;
	*removed = 0;
	for (size_t i = 0; i < n; i++)
		*removed += route_take(&routes[i]);
	return 0;
}

size_t dp_route_list(uint16_t network, int owner, const struct pr_prefix *after,
        struct dp_route *routes, size_t n)
{
	struct dp_route key = {.network = network};
	size_t at, count = 0;

	if (after)
		key.prefix = *after;
	at = route_place(&key);
	if (after && at < dp.routes && !route_compare(&dp.route[at], &key))
		at++;
	for (; at < dp.routes && dp.route[at].network == network && count < n; at++) {
		if (owner < 0 ||
		        (dp.route[at].owner == owner && dp.route[at].type < DP_ROUTE_CONNECTED))
			routes[count++] = dp.route[at];
	}
	return count;
}

int dp_route_find(uint16_t network, const struct pr_prefix *prefix, struct dp_route *route)
{
	struct dp_route key = {.network = network, .prefix = *prefix};
	size_t at = route_place(&key);

	if (at == dp.routes || route_compare(&dp.route[at], &key))
		return -ENOENT;
	*route = dp.route[at];
	return 0;
}

size_t dp_route_count(uint16_t network)
{
	size_t count = 0;

	for (size_t i = 0; i < dp.routes; i++)
		count += dp.route[i].network == network;
	return count;
}

/* Its members' ports are as they were found; the last is silent. */
void dp_nexthop_states(const struct dp_route *route, enum dp_nexthop_state states[PR_NEXTHOPS_MAX])
{
	for (unsigned k = 0; k < PR_NEXTHOPS_MAX; k++)
		states[k] = k + 1 == route->nexthops->n && k ? DP_NEXTHOP_SILENT : DP_NEXTHOP_UP;
}

struct dp_nexthops *dp_nexthops_new(unsigned n)
{
	struct dp_nexthops *list = calloc(1, sizeof(*list) + n * sizeof(list->member[0]));

	list->n = (uint16_t)n;
	list->references = 1;
	fake_dp_lists++;
	return list;
}

struct dp_nexthops *dp_nexthops_hold(struct dp_nexthops *nexthops)
{
	if (nexthops)
		nexthops->references++;
	return nexthops;
}

void dp_nexthops_release(struct dp_nexthops *nexthops)
{
	if (!nexthops || --nexthops->references)
		return;
	fake_dp_lists--;
	free(nexthops);
}

int dp_route_get(uint16_t network, const struct pr_ip *address, const struct dp_flow *flow,
        struct dp_route_lookup *answer)
{
	const struct dp_route *best = NULL;

	for (size_t i = 0; i < dp.routes; i++) {
		const struct dp_route *route = &dp.route[i];

		if (route->network == network && pr_prefix_contains(&route->prefix, address) &&
		        (!best || route->prefix.len > best->prefix.len))
			best = route;
	}
	if (!best)
		return -ENOENT;
	memset(answer, 0, sizeof(*answer));
	answer->route = *best;
	answer->member = best->nexthops && flow ? flow->source_port % best->nexthops->n : -1;
	answer->port = best->port;
	if (answer->member >= 0) {
		answer->gateway = best->nexthops->member[answer->member].gateway;
		return 0;
	}
	if (best->nexthops)
		return 0;
	answer->gateway = best->gateway.family ? best->gateway : *address;
	return 0;
}

size_t fake_dp_routes(void)
{
	return dp.routes;
}

/* ---- multicast ---- */

struct dp_multicast_member *dp_multicast_list(size_t *n)
{
	struct dp_multicast_member *list = calloc(fake_dp.n_multicast + 1, sizeof(*list));

	*n = fake_dp.n_multicast;
	memcpy(list, fake_dp.multicast, *n * sizeof(*list));
	return list;
}

struct dp_multicast_segment *dp_multicast_segments(size_t *n)
{
	struct dp_multicast_segment *list = calloc(fake_dp.n_segments + 1, sizeof(*list));

	*n = fake_dp.n_segments;
	memcpy(list, fake_dp.segment, *n * sizeof(*list));
	return list;
}

/* ---- neighbours ---- */

/* A link-local address is another neighbour on each port. */
static size_t neighbour_place(uint16_t network, uint16_t port, const struct pr_ip *address)
{
	size_t i = 0;

	while (i < dp.neighbours &&
	        (dp.neighbour[i].network != network ||
	                !pr_ip_equal(&dp.neighbour[i].address, address) ||
	                (pr_ip_is_link_local6(address) && dp.neighbour[i].port != port)))
		i++;
	return i;
}

void fake_dp_learn_neighbour(const struct dp_neighbour *neighbour)
{
	dp.neighbour[neighbour_place(neighbour->network, neighbour->port, &neighbour->address)] =
	        *neighbour;
	dp.neighbours++;
}

int dp_neighbour_add(const struct dp_neighbour *neighbour, struct dp_error *error)
{
	size_t at = neighbour_place(neighbour->network, neighbour->port, &neighbour->address);

	if (change(error, "neighbour_add"))
		return -EIO;
	dp.neighbour[at] = *neighbour;
	dp.neighbours += at == dp.neighbours;
	return 0;
}

int dp_neighbour_del(uint16_t network, uint16_t port, const struct pr_ip *address)
{
	size_t at = neighbour_place(network, port, address);

	if (at == dp.neighbours || (port != DP_INDEX_ANY && dp.neighbour[at].port != port))
		return -ENOENT;
	dp.neighbour[at] = dp.neighbour[--dp.neighbours];
	return 0;
}

struct dp_neighbour *dp_neighbour_list(size_t *n)
{
	struct dp_neighbour *list = NULL;

	*n = dp.neighbours;
	if (*n) {
		list = malloc(*n * sizeof(*list));
		memcpy(list, dp.neighbour, *n * sizeof(*list));
	}
	return list;
}

size_t fake_dp_neighbours(void)
{
	return dp.neighbours;
}

/* ---- MAC table ---- */

static size_t fdb_place(uint16_t network, uint16_t vlan, const struct pr_mac *mac)
{
	size_t i = 0;

	while (i < dp.fdbs && (dp.fdb[i].network != network || dp.fdb[i].vlan != vlan ||
	                              memcmp(&dp.fdb[i].mac, mac, sizeof(*mac))))
		i++;
	return i;
}

void fake_dp_learn_mac(const struct dp_fdb_entry *entry)
{
	size_t at = fdb_place(entry->network, entry->vlan, &entry->mac);

	dp.fdb[at] = *entry;
	dp.fdbs += at == dp.fdbs;
}

int dp_fdb_add(const struct dp_fdb_entry *entry, struct dp_error *error)
{
	if (change(error, "fdb_add"))
		return -EIO;
	fake_dp_learn_mac(entry);
	return 0;
}

int dp_fdb_del(uint16_t network, uint16_t vlan, const struct pr_mac *mac)
{
	size_t at = fdb_place(network, vlan, mac);

	if (at == dp.fdbs)
		return -ENOENT;
	dp.fdb[at] = dp.fdb[--dp.fdbs];
	return 0;
}

size_t dp_fdb_flush(uint16_t network, uint16_t port)
{
	size_t before = dp.fdbs;

	for (size_t i = dp.fdbs; i-- > 0;) {
		if (!dp.fdb[i].is_static &&
		        (network == DP_INDEX_ANY || dp.fdb[i].network == network) &&
		        (port == DP_INDEX_ANY || dp.fdb[i].port == port))
			dp.fdb[i] = dp.fdb[--dp.fdbs];
	}
	return before - dp.fdbs;
}

struct dp_fdb_entry *dp_fdb_list(size_t *n)
{
	struct dp_fdb_entry *list = NULL;

	*n = dp.fdbs;
	if (*n) {
		list = malloc(*n * sizeof(*list));
		memcpy(list, dp.fdb, *n * sizeof(*list));
	}
	return list;
}

size_t fake_dp_fdb(void)
{
	return dp.fdbs;
}

/* ---- counters ---- */

int dp_port_counters(uint16_t index, struct dp_port_counters *counters)
{
	*counters = fake_dp.counters[index];
	return 0;
}

void dp_totals(struct dp_totals *totals)
{
	*totals = fake_dp.totals;
	if (!totals->routes.size)
		totals->routes.size = FAKE_ROUTES_MAX;
	if (!totals->routes6.size)
		totals->routes6.size = FAKE_ROUTES_MAX;
	if (!totals->groups.size)
		totals->groups.size = 512;
	totals->routes.used = dp.routes;
	totals->ports.size = PR_PORTS_MAX;
	totals->ports.used = fake_dp_ports();
	if (!totals->mbufs.size)
		totals->mbufs.size = 1000;
}

int dp_rebalance(uint32_t gain, struct dp_moves *moves, struct dp_error *error)
{
	fake_dp.rebalances++;
	fake_dp.gain = gain;
	if (fake_dp.rebalance_fails) {
		*error = (struct dp_error){.code = PR_ERR_FULL, .message = "out of memory"};
		return -ENOMEM;
	}
	*moves = fake_dp.moves;
	return 0;
}

int dp_queue_move(uint16_t port, uint16_t queue, uint16_t worker, struct dp_moves *moves,
        struct dp_error *error)
{
	if (worker > 1) {
		*error = (struct dp_error){
		        .code = PR_ERR_NOT_FOUND, .field = "worker", .message = "no such worker"};
		return -ENOENT;
	}
	*moves = (struct dp_moves){.n = 1, .move = {{.port = port, .queue = queue, .to = worker}}};
	return 0;
}

int dp_worker_info(unsigned worker, struct dp_worker_info *info)
{
	if (worker || !fake_dp.worker)
		return -ENOENT;
	*info = *fake_dp.worker;
	return 0;
}
