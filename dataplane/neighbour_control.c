/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include <rte_malloc.h>

#include "dataplane/neighbour_control.h"
#include "dataplane/network_control.h"
#include "dataplane/route_control.h"
#include "dataplane/table/neighbour.h"

#define TIMERS_A_TICK 1024

static struct neighbour_table *table;
static uint32_t table_max;
/* The entry that is on its way out: next hops are published as if it were gone. */
static const struct neighbour *leaving;

/* An entry's cookie. ROUTE: it has a route of its own because somebody looked for it in a connected
 * prefix, and its place in host_route is in the upper half. SEARCH: it has not answered yet and
 * counts against the port in bits 16 to 31. */
#define COOKIE_ROUTE      UINT64_C(1)
#define COOKIE_SEARCH     UINT64_C(2)
#define COOKIE_PORT       UINT64_C(0xffff0000)
#define COOKIE_PORT_SHIFT 16
#define COOKIE_PLACE      UINT64_C(0xffffffff00000000)
#define PLACE_SHIFT       32

/* Entries with COOKIE_ROUTE, in no order: a change of routes looks at them alone. */
static struct neighbour **host_route;
static uint32_t host_routes;

/* Of a request with more routes than this, all entries are looked at closely. */
#define ROUTES_COMPARED 64

/* So many unanswered questions may one port's packets cause: a pod that scans does not fill the
 * table for the others. */
#define SEARCHES_A_PORT 512

static void send_probe(void *ctx, const struct neighbour *entry, bool unicast)
{
	(void)ctx;
	neighbour_ask(entry, unicast); /* if it can not: again in a second */
}

/* ---- what the table tells ---- */

static void search_begins(struct neighbour *entry, uint16_t port)
{
	entry->cookie |= COOKIE_SEARCH | (uint64_t)port << COOKIE_PORT_SHIFT;
	port_at(port)->searched++;
}

static void search_ends(struct neighbour *entry)
{
	struct port_control *port = port_at((uint16_t)(entry->cookie >> COOKIE_PORT_SHIFT));

	if (!(entry->cookie & COOKIE_SEARCH))
		return;
	entry->cookie &= ~(COOKIE_SEARCH | COOKIE_PORT);
	/* The port may have gone and come back as another one. */
	if (port->searched)
		port->searched--;
}

static void changed(void *ctx, struct neighbour *entry)
{
	(void)ctx;
	if (neighbour_usable(entry))
		search_ends(entry);
	hops_neighbour_changed(entry->network, &entry->ip);
}

/* ---- routes of hosts in connected prefixes ---- */

static void host_route_add(struct neighbour *entry)
{
	entry->cookie |= COOKIE_ROUTE | (uint64_t)host_routes << PLACE_SHIFT;
	host_route[host_routes++] = entry;
}

/* The last one takes its place. */
static void host_route_remove(struct neighbour *entry)
{
	uint64_t place = entry->cookie & COOKIE_PLACE;
	struct neighbour *last = host_route[--host_routes];

	last->cookie = (last->cookie & ~COOKIE_PLACE) | place;
	host_route[place >> PLACE_SHIFT] = last;
	entry->cookie &= ~(COOKIE_ROUTE | COOKIE_PLACE);
}

/* 0: the host has a route of its own now; -EEXIST: somebody else's leads to it; -ENOSPC. */
static int give_route(struct neighbour *entry, uint16_t port)
{
	struct pr_prefix host = pr_prefix_host(&entry->ip);
	struct route_entry route;
	int rc;

	if (route_find(entry->network, &host, &route) == 0)
		return route.owner == ROUTE_OWNER_NEIGHBOUR ? 0 : -EEXIST;
	rc = route_set(entry->network, &host, hop_take(HOP_VIA, entry->network, port, &entry->ip),
	        ROUTE_OWNER_NEIGHBOUR);
	if (!rc && !(entry->cookie & COOKIE_ROUTE))
		host_route_add(entry);
	return rc;
}

static void take_route(struct neighbour *entry)
{
	struct pr_prefix host = pr_prefix_host(&entry->ip);

	if (!(entry->cookie & COOKIE_ROUTE))
		return;
	host_route_remove(entry);
	route_unset(entry->network, &host, ROUTE_OWNER_NEIGHBOUR);
}

/* Whether the longest route to the host, but for its own, is a connected prefix of its port. */
static bool is_connected(const struct neighbour *entry)
{
	struct pr_prefix prefix = pr_prefix_host(&entry->ip);
	struct route_entry route;

	while (prefix.len--) {
		pr_prefix_mask(&prefix);
		if (route_find(entry->network, &prefix, &route))
			continue;
		return hop_at(route.nexthop)->kind == HOP_GLEAN &&
		       hop_at(route.nexthop)->port == entry->port;
	}
	return false;
}

static bool is_covered(const struct neighbour *entry, const struct dp_route *routes, size_t n)
{
	for (size_t k = 0; k < n; k++)
		if (pr_prefix_contains(&routes[k].prefix, &entry->ip))
			return true;
	return false;
}

void neighbours_routes_changed(const struct dp_route *routes, size_t n)
{
	/* Backwards: what goes is replaced by one that was looked at. */
	for (uint32_t at = host_routes; at-- > 0;) {
		struct neighbour *entry = host_route[at];

		if (entry->network == routes->network &&
		        (n > ROUTES_COMPARED || is_covered(entry, routes, n)) &&
		        !is_connected(entry))
			take_route(entry);
	}
}

static void removed(void *ctx, struct neighbour *entry)
{
	leaving = entry;
	search_ends(entry);
	take_route(entry);
	changed(ctx, entry);
	leaving = NULL;
}

static bool used(void *ctx, const struct neighbour *entry)
{
	(void)ctx;
	return hops_used(entry->network, &entry->ip);
}

static void release_held(void *ctx, const struct neighbour *entry, void *packet)
{
	(void)ctx;
	(void)entry;
	tables_inject(mbuf_note(packet)->worker, packet);
}

static void drop_held(
        void *ctx, const struct neighbour *entry, void *packet, enum neighbour_drop reason)
{
	(void)ctx;
	if (reason == NEIGHBOUR_DROP_FULL) {
		tables_drop(packet, PR_DROP_NEIGHBOUR_QUEUE);
		return;
	}
	if (reason == NEIGHBOUR_DROP_REMOVED) {
		tables_drop(packet, PR_DROP_NEIGHBOUR_FAILED);
		return;
	}
	/* Workers shall tell the next ones themselves. */
	hops_neighbour_changed(entry->network, &entry->ip);
	/* The sender learns of it (RFC 1812 5.2.7.1, RFC 4443 3.1). */
	mbuf_note(packet)->stage =
	        entry->ip.family == AF_INET6 ? PR_STAGE_ICMP6_ERROR : PR_STAGE_ICMP_ERROR;
	mbuf_note(packet)->reason = PR_DROP_NEIGHBOUR_FAILED;
	tables_inject(mbuf_note(packet)->worker, packet);
}

static const struct neighbour_ops ops = {
        .send_probe = send_probe,
        .resolved = changed,
        .lost = changed,
        .removed = removed,
        .used = used,
        .release_held = release_held,
        .drop_held = drop_held,
};

/* ---- events of workers ---- */

/* Nobody has the broadcast address of an uplink's subnet: it is not asked for, and its packets die
 * without a word (RFC 1812 sections 4.3.2.7 and 5.3.5.2, RFC 2644). With /31 there is none (RFC
 * 3021). */
static bool is_broadcast(const struct hop *hop, const struct pr_ip *ip)
{
	const struct dp_port_spec *spec = &port_at(hop->port)->spec;

	for (unsigned n = 0; ip->family == AF_INET && n < spec->n_addresses; n++) {
		const struct pr_prefix *subnet = &spec->addresses[n];
		uint32_t host = subnet->len < 31 ? UINT32_MAX >> subnet->len : 0;

		if (host && pr_prefix_contains(subnet, ip) && (~pr_ip4_host(ip) & host) == 0)
			return true;
	}
	return false;
}

void neighbour_punt(const struct event *event)
{
	const struct hop *hop = hop_at(event->next_hop);
	uint16_t network = shared->segment[event->segment].network;
	struct pr_ip ip = event->address;
	struct neighbour *entry = neighbour_find(table, network, &ip);
	int rc;

	/* The index may have become another next hop since the worker looked. */
	if ((hop->kind != HOP_GLEAN && (!hop_is_via(hop) || !pr_ip_equal(&hop->gateway, &ip))) ||
	        hop->dead || hop->network != network || !port_at(event->port)->used) {
		tables_drop(event->packet, PR_DROP_NO_ROUTE);
		return;
	}
	if (!entry && hop->kind == HOP_GLEAN && is_broadcast(hop, &ip)) {
		tables_drop(event->packet, PR_DROP_IP_MARTIAN);
		return;
	}
	if (!entry) {
		if (port_at(event->port)->searched >= SEARCHES_A_PORT ||
		        neighbour_get_or_create(
		                table, network, &ip, hop->port, tables_now(), &entry)) {
			tables_drop(event->packet, PR_DROP_NEIGHBOUR_QUEUE);
			return;
		}
		search_begins(entry, event->port);
	}
	if (entry->port != hop->port) {
		tables_drop(event->packet, PR_DROP_NEIGHBOUR_FAILED);
		return;
	}
	rc = hop->kind == HOP_GLEAN ? give_route(entry, hop->port) : 0;
	if (rc == -EEXIST) {
		tables_inject(mbuf_note(event->packet)->worker, event->packet);
		return;
	}
	if (rc && neighbour_usable(entry)) {
		/* Without a route it would come back here for ever. */
		tables_drop(event->packet, PR_DROP_NEIGHBOUR_QUEUE);
		return;
	}
	neighbour_hold(table, entry, event->packet, event->port, event->packet->nb_segs);
}

void neighbour_event(const struct event *event)
{
	uint16_t network = shared->segment[event->segment].network;
	struct pr_ip ip = scoped_ip(&event->address, event->port);
	const struct neighbour *entry = neighbour_find(table, network, &ip);

	/* An entry is made only when somebody needs it, and only its own port may speak of it. */
	if (!entry || entry->port != event->port || !port_at(event->port)->used)
		return;
	neighbour_learn(table, network, &ip, event->port, event->confirms ? NULL : &event->mac,
	        tables_now(),
	        (event->solicited ? NEIGHBOUR_SOLICITED : 0) | (event->keep ? NEIGHBOUR_KEEP : 0));
	if (event->solicited)
		hops_heard(network, event->port, &ip);
}

void neighbours_tick(uint64_t now_ms)
{
	neighbour_tick(table, now_ms, TIMERS_A_TICK);
}

/* ---- for the other parts ---- */

static void *memory_alloc(size_t size)
{
	return rte_malloc("neighbours", size, RTE_CACHE_LINE_SIZE);
}

static const struct table_memory memory = {.alloc = memory_alloc, .release = rte_free};

int neighbours_init(unsigned max)
{
	struct neighbour_config config = {
	        .max = max,
	        .max_ports = PR_PORTS_MAX,
	        /* What waits must not starve what moves of packet buffers. */
	        .held_max = RTE_MIN(4096u, shared->mbufs->size / 8),
	};

	if (getrandom(&config.seed, sizeof(config.seed), 0) != sizeof(config.seed))
		return -EIO;
	table_max = max;
	host_routes = 0;
	host_route = memory_alloc(max * sizeof(struct neighbour *));
	if (!host_route)
		return -ENOMEM;
	table = neighbour_table_create(&memory, &config, &ops, NULL);
	return table ? 0 : -errno;
}

void neighbours_free(void)
{
	/* Held packets lie in a pool that goes as a whole. */
	neighbour_table_destroy(table);
	table = NULL;
	rte_free(host_route);
	host_route = NULL;
}

enum neighbour_answer neighbour_mac(
        uint16_t network, uint16_t port, const struct pr_ip *address, struct pr_mac *mac)
{
	const struct neighbour *entry = neighbour_find(table, network, address);

	if (!entry || entry == leaving || entry->port != port)
		return NEIGHBOUR_UNKNOWN;
	if (entry->state == NEIGHBOUR_FAILED)
		return NEIGHBOUR_SILENT;
	if (!neighbour_usable(entry))
		return NEIGHBOUR_UNKNOWN;
	*mac = entry->mac;
	return NEIGHBOUR_KNOWN;
}

int neighbour_set_static(
        uint16_t network, uint16_t port, const struct pr_ip *address, const struct pr_mac *mac)
{
	const struct neighbour *entry = neighbour_find(table, network, address);

	if (entry && entry->state == NEIGHBOUR_STATIC && entry->port != port)
		return -EEXIST;
	return neighbour_add_static(table, network, address, port, mac, tables_now());
}

void neighbours_port_gone(uint16_t port)
{
	neighbour_flush_port(table, port);
}

void neighbours_network_gone(uint16_t network)
{
	neighbour_flush_network(table, network);
}

uint32_t neighbours_count(void)
{
	struct neighbour_stats stats;

	neighbour_stats(table, &stats);
	return stats.entries;
}

uint32_t neighbours_max(void)
{
	return table_max;
}

enum neighbour_asked neighbour_probe(
        uint16_t network, uint16_t port, const struct pr_ip *address, bool seldom)
{
	struct neighbour *entry = neighbour_find(table, network, address);

	if (!entry) {
		/* A full table: as if it did not answer. */
		neighbour_get_or_create(table, network, address, port, tables_now(), &entry);
		return NEIGHBOUR_ASKED;
	}
	if (entry->port != port)
		return NEIGHBOUR_HAS_FAILED;
	if (entry->state == NEIGHBOUR_STATIC)
		return NEIGHBOUR_IS_STATIC;
	if ((entry->state != NEIGHBOUR_INCOMPLETE || !seldom) &&
	        !neighbour_ask(entry, neighbour_usable(entry)))
		return NEIGHBOUR_NOT_ASKED;
	return entry->state == NEIGHBOUR_FAILED ? NEIGHBOUR_HAS_FAILED : NEIGHBOUR_ASKED;
}

void neighbour_doubt(uint16_t network, const struct pr_ip *address)
{
	struct neighbour *entry = neighbour_find(table, network, address);

	if (entry)
		neighbour_confirm(table, entry, tables_now());
}

/* ---- what control asks for ---- */

struct neighbour_request {
	const struct dp_neighbour *neighbour;
	struct dp_error *error;
	uint16_t network, port;
	const struct pr_ip *address;
	struct dp_neighbour *list;
	size_t n;
};

static int add(void *arg)
{
	struct neighbour_request *request = arg;
	const struct dp_neighbour *wanted = request->neighbour;
	struct pr_ip address;
	int rc;

	if (wanted->port >= PR_PORTS_MAX || !port_at(wanted->port)->used ||
	        port_at(wanted->port)->spec.network != wanted->network)
		return dp_fail(request->error, PR_ERR_NOT_FOUND, -ENOENT, "port",
		        "no such port in this network");
	if (!network_is_routed(wanted->network))
		return dp_fail(request->error, PR_ERR_PARAMS, -EINVAL, "address",
		        "neighbours are addresses of routed networks");
	address = scoped_ip(&wanted->address, wanted->port);
	rc = neighbour_set_static(wanted->network, wanted->port, &address, &wanted->mac);
	if (rc == -EEXIST)
		return dp_fail(request->error, PR_ERR_CONFLICT, rc, "address",
		        "the address is known on another port");
	if (rc == -EINVAL)
		return dp_fail(
		        request->error, PR_ERR_PARAMS, rc, "mac", "not a unicast MAC address");
	if (rc)
		return dp_fail(request->error, PR_ERR_FULL, rc, "",
		        "the neighbour table is full: raise limits.neighbours");
	return 0;
}

int dp_neighbour_add(const struct dp_neighbour *neighbour, struct dp_error *error)
{
	return tables_call(
	        add, &(struct neighbour_request){.neighbour = neighbour, .error = error});
}

static int del(void *arg)
{
	struct neighbour_request *request = arg;
	struct pr_prefix host = pr_prefix_host(request->address);
	struct pr_ip address = scoped_ip(request->address, request->port);
	const struct neighbour *entry = neighbour_find(table, request->network, &address);
	struct route_entry route;

	/* A pod's own address goes with its port. */
	if (route_find(request->network, &host, &route) == 0 && route.owner == ROUTE_OWNER_PORT)
		return -EPERM;
	if (!entry || (request->port != DP_INDEX_ANY && entry->port != request->port))
		return -ENOENT;
	return neighbour_forget(table, request->network, &address);
}

int dp_neighbour_del(uint16_t network, uint16_t port, const struct pr_ip *address)
{
	return tables_call(del,
	        &(struct neighbour_request){.network = network, .port = port, .address = address});
}

static enum dp_neighbour_state public_state(uint8_t state)
{
	switch (state) {
	case NEIGHBOUR_STATIC:
		return DP_NEIGHBOUR_STATIC;
	case NEIGHBOUR_REACHABLE:
		return DP_NEIGHBOUR_REACHABLE;
	case NEIGHBOUR_STALE:
		return DP_NEIGHBOUR_STALE;
	case NEIGHBOUR_PROBE:
		return DP_NEIGHBOUR_PROBE;
	case NEIGHBOUR_FAILED:
		return DP_NEIGHBOUR_FAILED;
	default:
		return DP_NEIGHBOUR_INCOMPLETE;
	}
}

static int list(void *arg)
{
	struct neighbour_request *request = arg;
	const struct neighbour *entry;
	uint32_t cursor = 0;
	size_t max = neighbours_count();

	request->list = calloc(max + 1, sizeof(*request->list));
	if (!request->list)
		return -ENOMEM;
	while (request->n < max && (entry = neighbour_next(table, &cursor)))
		request->list[request->n++] = (struct dp_neighbour){
		        .network = entry->network,
		        .port = entry->port,
		        .address = unscoped_ip(&entry->ip),
		        .mac = entry->mac,
		        .state = public_state(entry->state),
		        .held = entry->held,
		        .age = (uint32_t)((tables_now() - entry->since) / 1000),
		};
	return 0;
}

struct dp_neighbour *dp_neighbour_list(size_t *n)
{
	struct neighbour_request request = {0};

	tables_call(list, &request);
	*n = request.n;
	if (request.n)
		return request.list;
	free(request.list);
	return NULL;
}
