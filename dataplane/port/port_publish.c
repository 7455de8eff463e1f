/* SPDX-License-Identifier: BSD-3-Clause */
/* Makes a port part of its network: links, members, MACs, addresses and routes. Tables thread. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <rte_cycles.h>

#include "dataplane/multicast_control.h"
#include "dataplane/neighbour_control.h"
#include "dataplane/network_control.h"
#include "dataplane/route_control.h"
#include "dataplane/tables.h"

#define VLANS           4096
#define PUNT_RATE       5000 /* packets a second that may ask for neighbours */
#define PUNT_BURST      512
#define DISCOVERY_RATE  5000
#define DISCOVERY_BURST 512
#define ICMP_RATE       1000
#define ICMP_BURST      100
#define FLOOD_BURST     64
#define REPORT_RATE     512 /* records of multicast reports a second: all of a pod's groups at once */
#define REPORT_RATE_ETH 8192 /* many hosts are behind it */

/* ---- what it may send ---- */

static void guard_prefix6(struct guard *guard, const struct pr_prefix *prefix)
{
	struct pr_prefix mask = {.addr.family = AF_INET6, .len = prefix->len};

	memset(mask.addr.v6, 0xff, 16);
	pr_prefix_mask(&mask);
	memcpy(guard->prefix6[guard->n_prefix6].mask, mask.addr.v6, 16);
	memcpy(guard->prefix6[guard->n_prefix6++].address, prefix->addr.v6, 16);
}

static void guard_prefix(struct guard *guard, const struct pr_prefix *prefix, bool host_only)
{
	struct pr_prefix p = *prefix;

	if (host_only)
		p.len = (uint8_t)(8 * pr_ip_bytes(&p.addr));
	pr_prefix_mask(&p);
	guard->check_ip = true;
	if (p.addr.family == AF_INET6) {
		guard_prefix6(guard, &p);
		return;
	}
	guard->prefix4[guard->n_prefix4].mask = p.len ? ~0u << (32 - p.len) : 0;
	guard->prefix4[guard->n_prefix4++].address = pr_ip4_host(&p.addr);
}

static struct guard *guard_make(const struct dp_port_spec *spec, bool routed)
{
	static const struct pr_prefix link_local6 = {
	        .addr = {.family = AF_INET6, .v6 = {0xfe, 0x80}}, .len = 10};
	struct guard *guard = calloc(1, sizeof(*guard));

	if (!guard)
		return NULL;
	guard->check_mac = true;
	guard->check_ip = routed;
	guard->macs[guard->n_macs++] = spec->mac;
	for (unsigned n = 0; n < spec->n_allowed_macs; n++)
		guard->macs[guard->n_macs++] = spec->allowed_macs[n];
	for (unsigned n = 0; n < spec->n_addresses; n++)
		guard_prefix(guard, &spec->addresses[n], true);
	for (unsigned n = 0; n < spec->n_allowed_prefixes; n++)
		guard_prefix(guard, &spec->allowed_prefixes[n], false);
	if (guard->check_ip)
		guard_prefix6(guard, &link_local6);
	return guard;
}

/* ---- links: which tags belong to it ---- */

static bool tag_is_free(const struct device *device, uint16_t tag)
{
	struct link *tagged = atomic_load(&device->tagged);

	if (!tag)
		return atomic_load(&device->untagged).port == NO_PORT;
	return !tagged || tagged[tag].port == NO_PORT;
}

/* The table of tagged frames of a device, made when first needed. */
static struct link *tagged_links(struct device *device)
{
	struct link *tagged = atomic_load(&device->tagged);

	if (tagged)
		return tagged;
	tagged = malloc(VLANS * sizeof(*tagged));
	if (!tagged)
		return NULL;
	for (unsigned v = 0; v < VLANS; v++)
		tagged[v] = (struct link){NO_PORT, NO_SEGMENT};
	atomic_store_explicit(&device->tagged, tagged, memory_order_release);
	return tagged;
}

static int add_link(struct port_control *control, uint16_t tag, uint16_t segment_vlan)
{
	uint16_t segment = segment_take(control->spec.network, segment_vlan);

	if (!segment)
		return -ENOSPC;
	control->links[control->n_links].segment = segment;
	control->links[control->n_links++].tag = tag;
	return 0;
}

static bool in_trunk(const struct dp_port_spec *spec, unsigned vlan)
{
	return spec->trunk[vlan / 64] >> (vlan % 64) & 1;
}

/* Most ports have one link, and there may be a thousand ports. */
static void shrink_links(struct port_control *control)
{
	void *links = realloc(control->links, control->n_links * sizeof(*control->links));

	if (links)
		control->links = links;
}

/* An access or native VLAN of a guest is untagged on the wire; that of a NIC is its tag there. */
static int collect_links(struct port_control *control, const struct device *device)
{
	const struct dp_port_spec *spec = &control->spec;
	bool tagged_on_wire = spec->kind == DP_PORT_ETH && !spec->has_trunk;
	int rc;

	control->links = calloc(VLANS, sizeof(*control->links));
	if (!control->links)
		return -ENOMEM;
	control->n_links = 0;
	if (tagged_on_wire)
		rc = add_link(control, spec->vlan, 0);
	else
		rc = add_link(control, 0, spec->vlan);
	for (unsigned v = 1; !rc && spec->has_trunk && v < VLANS - 1; v++)
		if (in_trunk(spec, v) && v != spec->vlan)
			rc = add_link(control, (uint16_t)v, (uint16_t)v);
	for (unsigned n = 0; !rc && n < control->n_links; n++)
		if (!tag_is_free(device, control->links[n].tag))
			rc = -EADDRINUSE;
	for (unsigned n = 0; rc && n < control->n_links; n++)
		segment_give_back(control->links[n].segment);
	if (!rc)
		shrink_links(control);
	return rc;
}

static int store_links(struct port_control *control, struct device *device)
{
	uint16_t index = control->spec.index;

	for (unsigned n = 0; n < control->n_links; n++) {
		struct link link = {index, control->links[n].segment};
		struct link *tagged;

		if (!control->links[n].tag) {
			atomic_store_explicit(&device->untagged, link, memory_order_release);
			continue;
		}
		tagged = tagged_links(device);
		if (!tagged)
			return -ENOMEM;
		__atomic_store(&tagged[control->links[n].tag], &link, __ATOMIC_RELEASE);
	}
	return 0;
}

static void clear_links(const struct port_control *control, struct device *device)
{
	const struct link none = {NO_PORT, NO_SEGMENT};
	struct link *tagged = atomic_load(&device->tagged);
	uint16_t index = control->spec.index;

	if (atomic_load(&device->untagged).port == index)
		atomic_store(&device->untagged, none);
	for (unsigned v = 0; tagged && v < VLANS; v++)
		if (tagged[v].port == index)
			__atomic_store(&tagged[v], &none, __ATOMIC_RELEASE);
}

/* ---- bridged and routed halves ---- */

static int join_bridge(const struct port_control *control)
{
	const struct dp_port_spec *spec = &control->spec;
	int rc = 0;

	for (unsigned n = 0; !rc && n < control->n_links; n++)
		rc = segment_join(control->links[n].segment, spec->index, control->links[n].tag);
	if (!rc && spec->kind == DP_PORT_VHOST_USER)
		rc = fdb_set_static(
		        control->links[0].segment, spec->index, control->links[0].tag, &spec->mac);
	if (!rc)
		rc = multicast_port_joined(spec->index);
	return rc;
}

static int add_pod_address(const struct dp_port_spec *spec, const struct pr_ip *address)
{
	struct pr_prefix host = pr_prefix_host(address);
	int rc = neighbour_set_static(spec->network, spec->index, address, &spec->mac);

	if (rc)
		return rc;
	return route_set(spec->network, &host,
	        hop_take(HOP_VIA, spec->network, spec->index, address), ROUTE_OWNER_PORT);
}

static int add_own_address(const struct dp_port_spec *spec, const struct pr_prefix *address)
{
	struct pr_prefix subnet = *address, host = pr_prefix_host(&address->addr);
	int rc;

	rc = route_set(spec->network, &host, hop_take(HOP_LOCAL, spec->network, spec->index, NULL),
	        ROUTE_OWNER_LOCAL);
	if (rc || pr_prefix_is_host(address))
		return rc;
	pr_prefix_mask(&subnet);
	return route_set(spec->network, &subnet,
	        hop_take(HOP_GLEAN, spec->network, spec->index, NULL), ROUTE_OWNER_CONNECTED);
}

static int join_router(const struct dp_port_spec *spec)
{
	int rc = 0;

	for (unsigned n = 0; !rc && n < spec->n_addresses; n++)
		rc = spec->kind == DP_PORT_ETH ? add_own_address(spec, &spec->addresses[n])
		                               : add_pod_address(spec, &spec->addresses[n].addr);
	return rc;
}

/* A subnet of the network that was this uplink's is nobody's again. */
static void restore_subnet(const struct network *network, const struct dp_port_spec *spec,
        const struct pr_prefix *prefix)
{
	for (unsigned n = 0; n < network->spec.n_subnets; n++) {
		const struct pr_prefix *subnet = &network->spec.subnets[n];

		if (pr_ip_equal(&subnet->addr, &prefix->addr) && subnet->len == prefix->len)
			route_set(spec->network, subnet,
			        hop_take(HOP_UNREACHABLE, spec->network, NO_PORT, NULL),
			        ROUTE_OWNER_CONNECTED);
	}
}

/* Removes a route only if it leads through this port. */
static void unset_own(
        const struct dp_port_spec *spec, const struct pr_prefix *prefix, enum route_owner owner)
{
	struct route_entry route;

	if (route_find(spec->network, prefix, &route) || route.owner != owner ||
	        hop_at(route.nexthop)->port != spec->index)
		return;
	route_unset(spec->network, prefix, (uint16_t)owner);
}

static void leave_router(const struct dp_port_spec *spec)
{
	const struct network *network = network_at(spec->network);

	for (unsigned n = 0; n < spec->n_addresses; n++) {
		struct pr_prefix subnet = spec->addresses[n];
		struct pr_prefix host = pr_prefix_host(&subnet.addr);

		unset_own(spec, &host,
		        spec->kind == DP_PORT_ETH ? ROUTE_OWNER_LOCAL : ROUTE_OWNER_PORT);
		if (spec->kind != DP_PORT_ETH || pr_prefix_is_host(&subnet))
			continue;
		pr_prefix_mask(&subnet);
		unset_own(spec, &subnet, ROUTE_OWNER_CONNECTED);
		restore_subnet(network, spec, &subnet);
	}
}

/* ---- the port itself ---- */

/* Whether a gateway lies in a pod's own subnet, or in the same subnet of the network: pods often
 * have a /32 of it. */
static bool shares_subnet(
        const struct network *network, const struct pr_prefix *address, const struct pr_ip *gateway)
{
	if (pr_prefix_contains(address, gateway))
		return true;
	for (unsigned n = 0; n < network->spec.n_subnets; n++)
		if (pr_prefix_contains(&network->spec.subnets[n], gateway) &&
		        pr_prefix_contains(&network->spec.subnets[n], &address->addr))
			return true;
	return false;
}

/* Errors and requests to a pod come from the gateway of its subnet, to an uplink from our address
 * there. Family 0: none. */
static struct pr_ip own_address(
        const struct dp_port_spec *spec, const struct network *network, uint8_t family)
{
	if (spec->kind == DP_PORT_ETH) {
		for (unsigned n = 0; n < spec->n_addresses; n++)
			if (spec->addresses[n].addr.family == family)
				return spec->addresses[n].addr;
	}
	for (unsigned a = 0; a < spec->n_addresses; a++)
		for (unsigned n = 0; n < network->spec.n_gateways; n++)
			if (network->spec.gateways[n].family == family &&
			        shares_subnet(
			                network, &spec->addresses[a], &network->spec.gateways[n]))
				return network->spec.gateways[n];
	for (unsigned n = 0; n < network->spec.n_gateways; n++)
		if (network->spec.gateways[n].family == family)
			return network->spec.gateways[n];
	return (struct pr_ip){0};
}

/* semantics of the gateway: every pod has fe80::1 on its link; on an uplink we are a host. */
static void fill_addresses(
        struct port *port, const struct dp_port_spec *spec, const struct network *network)
{
	struct pr_ip ip4 = own_address(spec, network, AF_INET);
	struct pr_ip ip6 = own_address(spec, network, AF_INET6);
	struct pr_ip link = {.family = AF_INET6, .v6 = {0xfe, 0x80, [15] = 1}};

	if (spec->kind == DP_PORT_ETH)
		link = pr_ip_link_local6(&port->gateway_mac);
	port->own_address = ip4.family ? pr_ip4_host(&ip4) : 0;
	memcpy(port->own_address6, ip6.v6, sizeof(port->own_address6));
	memcpy(port->link_local, link.v6, sizeof(port->link_local));
}

static uint32_t burst_of(uint32_t rate)
{
	return rate / 10 > FLOOD_BURST ? rate / 10 : FLOOD_BURST;
}

static void fill_flood_limits(struct port *port, const struct dp_port_spec *spec, uint64_t now)
{
	uint32_t reports = spec->kind == DP_PORT_ETH ? REPORT_RATE_ETH : REPORT_RATE;

	token_bucket_init(&port->flood_bucket, now, shared->tsc_hz, spec->flood_rate,
	        burst_of(spec->flood_rate));
	port->own_rate = spec->own_rates;
	for (unsigned class = 0; class < FLOOD_CLASSES; class ++)
		token_bucket_init(&port->class_bucket[class], now, shared->tsc_hz,
		        spec->class_rate[class], burst_of(spec->class_rate[class]));
	token_bucket_init(&port->copy_bucket, now, shared->tsc_hz, spec->copy_rate,
	        burst_of(spec->copy_rate));
	token_bucket_init(&port->report_bucket, now, shared->tsc_hz, reports, reports);
}

static void fill_port(struct port *port, const struct dp_port_spec *spec)
{
	const struct network *network = network_at(spec->network);
	uint64_t now = rte_rdtsc();

	port->index = spec->index;
	port->network = spec->network;
	port->mtu = spec->mtu;
	port->vlan = spec->kind == DP_PORT_ETH && network->spec.routed ? spec->vlan : 0;
	port->gateway_mac = spec->kind == DP_PORT_ETH ? spec->mac : spec->gateway_mac;
	if (pr_mac_is_zero(&port->gateway_mac))
		port->gateway_mac = network->spec.gateway_mac;
	fill_addresses(port, spec, network);
	fill_flood_limits(port, spec, now);
	token_bucket_init(&port->punt_bucket, now, shared->tsc_hz, PUNT_RATE, PUNT_BURST);
	token_bucket_init(
	        &port->discovery_bucket, now, shared->tsc_hz, DISCOVERY_RATE, DISCOVERY_BURST);
	token_bucket_init(&port->icmp_bucket, now, shared->tsc_hz, ICMP_RATE, ICMP_BURST);
}

/* A hostile pod must not become the querier, nor have all multicast sent to it (as RFC 6105 has it
 * for routers). */
static bool may_query(const struct dp_port_spec *spec)
{
	if (spec->multicast_router == DP_MULTICAST_AUTO)
		return spec->kind == DP_PORT_ETH || spec->trust;
	return spec->multicast_router == DP_MULTICAST_ALWAYS;
}

static uint16_t flags_of(const struct dp_port_spec *spec)
{
	uint16_t flags = PORT_READY;

	if (may_query(spec))
		flags |= PORT_MAY_QUERY;

	if (spec->isolated)
		flags |= PORT_ISOLATED;
	if (spec->kind == DP_PORT_ETH && network_at(spec->network)->spec.routed)
		flags |= PORT_UPLINK;
	return flags;
}

static int explain(struct dp_error *error, int rc)
{
	switch (rc) {
	case -EADDRINUSE:
		return dp_fail(error, PR_ERR_CONFLICT, rc, "vlan",
		        "another port of the device has that VLAN already");
	case -EEXIST:
		return dp_fail(error, PR_ERR_CONFLICT, rc, "addresses",
		        "an address or MAC of the port belongs to another one in the network");
	case -ENOSPC:
		return dp_fail(error, PR_ERR_FULL, rc, "",
		        "a table is full (see stats): raise limits.macs, limits.routes, "
		        "limits.routes6, limits.fibNodes or limits.neighbours");
	default:
		return dp_fail(error, PR_ERR_FULL, rc, "", "out of memory");
	}
}

static int no_segment(struct dp_error *error)
{
	dp_fail(error, PR_ERR_FULL, -ENOSPC, "", "");
	snprintf(error->message, sizeof(error->message),
	        "no room for another VLAN: %u pairs of network and VLAN are in use; take VLANs out "
	        "of "
	        "other ports' trunk, or remove networks",
	        PR_SEGMENTS_MAX - 1);
	return -ENOSPC;
}

int port_publish(uint16_t index, struct dp_error *error)
{
	struct port_control *control = port_at(index);
	struct port *port = &shared->port[index];
	const struct dp_port_spec *spec = &control->spec;
	bool routed = network_at(spec->network)->spec.routed;
	struct guard *guard = NULL;
	int rc;

	if (spec->kind == DP_PORT_VHOST_USER && !spec->trust) {
		guard = guard_make(spec, routed);
		if (!guard)
			return explain(error, -ENOMEM);
	}
	fill_port(port, spec);
	atomic_store(&port->guard, guard);
	rc = collect_links(control, port->device);
	if (rc) {
		atomic_store(&port->guard, NULL);
		free(guard);
		return rc == -ENOSPC ? no_segment(error) : explain(error, rc);
	}
	atomic_store_explicit(&port->flags, flags_of(spec), memory_order_release);
	rc = routed ? join_router(spec) : join_bridge(control);
	if (!rc)
		rc = store_links(control, port->device);
	if (rc) {
		port_unpublish(index);
		return explain(error, rc);
	}
	return 0;
}

void port_unpublish(uint16_t index)
{
	struct port_control *control = port_at(index);
	struct port *port = &shared->port[index];
	const struct guard *guard = atomic_load(&port->guard);

	clear_links(control, port->device);
	if (network_at(control->spec.network)->spec.routed) {
		/* Flows of groups go elsewhere before packets to the port are refused. */
		leave_router(&control->spec);
		hops_port_gone(index);
		neighbours_port_gone(index);
		atomic_store_explicit(&port->flags, 0, memory_order_release);
	} else {
		atomic_store_explicit(&port->flags, 0, memory_order_release);
		multicast_port_gone(index);
		for (unsigned n = 0; n < control->n_links; n++)
			segment_leave(control->links[n].segment, index);
		fdb_port_gone(index);
	}
	/* The pointer stays: no link leads to the port any more, and whoever is still under way in
	 * it is done before the guard is freed. */
	if (guard)
		tables_retire(free, (void *)(uintptr_t)guard);
}
