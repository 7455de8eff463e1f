/* SPDX-License-Identifier: BSD-3-Clause */
/* A route's params to the data plane's form, and that to the normal form. */
#include "control/object.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

struct route_reading {
	struct request *request;
	const char *where; /* what the fields are called in front */
	const struct network *network;
	const struct port *port; /* NULL: none named, or not there */
	const char *gateway;     /* what the gateway is called: "via" in a list */
	struct dp_route *route;
};

static int __attribute__((format(printf, 4, 5))) route_fail(const struct route_reading *reading,
        enum pr_error_code code, const char *member, const char *format, ...)
{
	char field[64], message[400];
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(message, sizeof(message), format, arguments);
	va_end(arguments);
	snprintf(field, sizeof(field), "%s%s", reading->where, member);
	return request_fail(reading->request, code, field, "%s", message);
}

static int read_prefix(const struct route_reading *reading, const char *text)
{
	struct pr_prefix *prefix = &reading->route->prefix, given;
	char right[PR_PREFIX_STRLEN];

	if (pr_prefix_parse(text, prefix))
		return route_fail(reading, PR_ERR_PARAMS, "prefix", "\"%s\" is no prefix", text);
	if (pr_ip_is_link_local6(&prefix->addr) && prefix->len >= 10)
		return route_fail(reading, PR_ERR_PARAMS, "prefix",
		        "%s is link-local: such addresses are not routed", text);
	given = *prefix;
	pr_prefix_mask(prefix);
	if (!pr_ip_equal(&given.addr, &prefix->addr))
		return route_fail(reading, PR_ERR_PARAMS, "prefix",
		        "%s has bits set behind its length; you may mean %s", text,
		        pr_prefix_format(prefix, right));
	return 0;
}

/* Whether packets to ip leave through this port: its own subnet or address. */
static bool on_port(const struct dp_port_spec *spec, const struct pr_ip *ip)
{
	for (unsigned i = 0; i < spec->n_addresses; i++) {
		if (spec->kind == DP_PORT_ETH ? pr_prefix_contains(&spec->addresses[i], ip)
		                              : pr_ip_equal(&spec->addresses[i].addr, ip))
			return true;
	}
	return false;
}

/* What a named port may lead to besides: what its pod may send from, or all when it is trusted. */
static bool behind_port(const struct dp_port_spec *spec, const struct pr_ip *ip)
{
	for (unsigned i = 0; i < spec->n_allowed_prefixes; i++) {
		if (pr_prefix_contains(&spec->allowed_prefixes[i], ip))
			return true;
	}
	return spec->trust || on_port(spec, ip);
}

static bool reachable(const struct route_reading *reading, const struct pr_ip *ip)
{
	const struct network *network = reading->network;

	if (pr_ip_is_link_local6(ip))
		return true;
	if (reading->port)
		return behind_port(&reading->port->spec, ip) ||
		       (reading->port->spec.kind == DP_PORT_ETH && network_subnet_of(network, ip));
	if (network_subnet_of(network, ip))
		return true;
	for (uint16_t i = 0; i < PR_PORTS_MAX; i++) {
		const struct port *port = port_by_index(i);

		if (port && port->network == network && on_port(&port->spec, ip))
			return true;
	}
	return false;
}

static bool own_address(const struct network *network, const struct pr_ip *ip)
{
	const struct port *port = port_with_address(network, ip);

	return network_has_gateway(network, ip) || (port && port->spec.kind == DP_PORT_ETH);
}

static int read_gateway(const struct route_reading *reading, const char *text)
{
	struct pr_ip *gateway = &reading->route->gateway;
	const char *fault;

	if (pr_ip_parse(text, gateway))
		return route_fail(
		        reading, PR_ERR_PARAMS, reading->gateway, "\"%s\" is no address", text);
	if (gateway->family != reading->route->prefix.addr.family)
		return route_fail(reading, PR_ERR_PARAMS, reading->gateway,
		        "%s is not of the prefix's family", text);
	fault = address_fault(gateway);
	if (fault)
		return route_fail(reading, PR_ERR_PARAMS, reading->gateway, "%s %s", text, fault);
	/* What was accepted once is not judged by what is there at start-up. */
	if (reading->request->replay)
		return 0;
	if (pr_ip_is_link_local6(gateway) && !reading->port)
		return route_fail(reading, PR_ERR_PARAMS, reading->gateway,
		        "%s is link-local: name the port whose link it is on", text);
	if (own_address(reading->network, gateway) ||
	        (reading->port && port_is_our_link_local(reading->port, gateway)))
		return route_fail(reading, PR_ERR_PARAMS, reading->gateway,
		        "%s is our own address; a route must lead to another router", text);
	if (reachable(reading, gateway))
		return 0;
	if (reading->port)
		return route_fail(reading, PR_ERR_PARAMS, reading->gateway,
		        "%s is neither an address nor an allowed prefix of port \"%s\"; add it to "
		        "the "
		        "port's allowedPrefixes",
		        text, reading->port->spec.name);
	return route_fail(reading, PR_ERR_PARAMS, reading->gateway,
	        "%s is in no subnet of network \"%s\" and no pod's address; name the port that "
	        "leads to it",
	        text, reading->network->spec.name);
}

static int read_port(struct route_reading *reading, const char *name, bool *missing)
{
	const struct port *port = port_find(name);

	if (port && port->network == reading->network) {
		reading->port = port;
		reading->route->port = port->spec.index;
		return 0;
	}
	if (reading->request->replay) {
		*missing = true;
		return 0;
	}
	if (!port)
		return route_fail(
		        reading, PR_ERR_NOT_FOUND, "port", "there is no port \"%s\"", name);
	return route_fail(reading, PR_ERR_PARAMS, "port",
	        "port \"%s\" is in network \"%s\", not in \"%s\"", name, port->network->spec.name,
	        reading->network->spec.name);
}

static int read_type(const struct route_reading *reading, const char *text, const char *gateway,
        const char *port, bool nexthops)
{
	if (!strcmp(text, "via")) {
		reading->route->type = DP_ROUTE_VIA;
		if (nexthops && (*gateway || *port))
			return route_fail(reading, PR_ERR_PARAMS, *gateway ? "gateway" : "port",
			        "a route has %s or nexthops, not both",
			        *gateway ? "a gateway" : "a port");
		if (!*gateway && !*port && !nexthops)
			return route_fail(reading, PR_ERR_PARAMS, "gateway",
			        "a route leads to a gateway, a port or both; give one, or the type "
			        "blackhole or unreachable");
		return 0;
	}
	if (strcmp(text, "blackhole") && strcmp(text, "unreachable"))
		return route_fail(reading, PR_ERR_PARAMS, "type", "via, blackhole or unreachable");
	reading->route->type = text[0] == 'b' ? DP_ROUTE_BLACKHOLE : DP_ROUTE_UNREACHABLE;
	if (*gateway || *port || nexthops) {
		const char *what = *gateway ? "gateway" : *port ? "port" : "nexthops";

		return route_fail(reading, PR_ERR_PARAMS, what,
		        "a route of type %s leads nowhere; leave %s out", text, what);
	}
	return 0;
}

/* ---- several next hops ---- */

static int read_member(const struct route_reading *reading, const cJSON *object, unsigned k,
        struct dp_nexthop *member)
{
	const char *port = json_string(object, "port", "");
	char where[64];
	struct dp_route one = *reading->route;
	struct route_reading own = *reading;
	bool missing;

	snprintf(where, sizeof(where), "%snexthops[%u].", reading->where, k);
	own.where = where;
	own.gateway = "via";
	own.route = &one;
	if (*port && read_port(&own, port, &missing))
		return -1;
	if (read_gateway(&own, json_string(object, "via", "")))
		return -1;
	member->gateway = one.gateway;
	member->port = one.port;
	member->weight = (uint16_t)json_integer(object, "weight", 1);
	snprintf(member->port_name, sizeof(member->port_name), "%s", port);
	return 0;
}

/* Sorted, so equal addresses are neighbours. Link-local ones may be on several links. */
static int check_twice(const struct route_reading *reading, const struct dp_nexthops *list)
{
	for (unsigned k = 1; k < list->n; k++) {
		const struct dp_nexthop *a = &list->member[k - 1], *b = &list->member[k];
		char text[PR_IP_STRLEN];

		if (!pr_ip_equal(&a->gateway, &b->gateway) ||
		        (pr_ip_is_link_local6(&a->gateway) && strcmp(a->port_name, b->port_name)))
			continue;
		return route_fail(reading, PR_ERR_PARAMS, "nexthops",
		        "%s is given twice; give it once, with the sum of the weights",
		        pr_ip_format(&a->gateway, text));
	}
	return 0;
}

static int read_nexthops(const struct route_reading *reading, const cJSON *array)
{
	struct dp_nexthops *list = dp_nexthops_new((unsigned)cJSON_GetArraySize(array));
	const cJSON *item;
	unsigned k = 0;

	if (!list)
		return request_fail(reading->request, PR_ERR_INTERNAL, NULL, "out of memory");
	cJSON_ArrayForEach (item, array) {
		if (read_member(reading, item, k, &list->member[k])) {
			dp_nexthops_release(list);
			return -1;
		}
		k++;
	}
	route_nexthops_sort(list);
	if (check_twice(reading, list)) {
		dp_nexthops_release(list);
		return -1;
	}
	reading->route->nexthops = route_nexthops_share(list);
	return 0;
}

int route_parse(struct request *request, const cJSON *object, const char *where,
        struct network *network, uint8_t owner, struct dp_route *route, bool *port_missing)
{
	const char *gateway = json_string(object, "gateway", "");
	const char *port = json_string(object, "port", "");
	const cJSON *nexthops = json_array(object, "nexthops");
	struct route_reading reading = {.request = request,
	        .where = where,
	        .network = network,
	        .route = route,
	        .gateway = "gateway"};
	bool several = nexthops && nexthops->child;

	*port_missing = false;
	*route = (struct dp_route){.network = network->spec.index,
	        .port = DP_INDEX_ANY,
	        .owner = owner,
	        .waits = request->replay};
	if (read_prefix(&reading, json_string(object, "prefix", "")) ||
	        read_type(&reading, json_string(object, "type", "via"), gateway, port, several))
		return -1;
	if (several)
		return read_nexthops(&reading, nexthops);
	if (*port && read_port(&reading, port, port_missing))
		return -1;
	return *gateway ? read_gateway(&reading, gateway) : 0;
}

static const char *route_type_name(enum dp_route_type type)
{
	static const char *const names[] = {
	        [DP_ROUTE_VIA] = "via",
	        [DP_ROUTE_BLACKHOLE] = "blackhole",
	        [DP_ROUTE_UNREACHABLE] = "unreachable",
	        [DP_ROUTE_CONNECTED] = "connected",
	        [DP_ROUTE_PORT] = "port",
	        [DP_ROUTE_LOCAL] = "local",
	};

	return names[type];
}

const char *route_owner_name(const struct dp_route *route)
{
	if (route->type == DP_ROUTE_PORT)
		return "port";
	if (route->type == DP_ROUTE_CONNECTED || route->type == DP_ROUTE_LOCAL)
		return "connected";
	return owner_name(route->owner);
}

cJSON *route_body(const struct dp_route *route, const char *port)
{
	cJSON *body = cJSON_CreateObject();

	json_add_text(body, "network", network_name(route->network));
	json_add_prefix(body, "prefix", &route->prefix);
	if (route->nexthops) {
		cJSON_AddItemToObject(body, "nexthops", route_nexthops_json(route->nexthops));
	} else {
		json_add_ip(body, "gateway", &route->gateway);
		json_add_text(body, "port", port);
	}
	json_add_text(body, "type", route_type_name(route->type));
	json_add_text(body, "owner", route_owner_name(route));
	return body;
}

cJSON *route_json(const struct dp_route *route, const char *port, bool active)
{
	cJSON *answer = route_body(route, port);

	if (route->nexthops)
		route_nexthops_add_states(
		        cJSON_GetObjectItemCaseSensitive(answer, "nexthops"), route, active);
	json_add_text(answer, "state", active ? "active" : "inactive");
	return answer;
}

bool route_same(const struct dp_route *wanted, const struct dp_route *present)
{
	if (wanted->nexthops || present->nexthops)
		return !present->waits && route_nexthops_equal(wanted->nexthops, present->nexthops);
	if (wanted->type != present->type || !pr_ip_equal(&wanted->gateway, &present->gateway))
		return false;
	if (wanted->type != DP_ROUTE_VIA)
		return true;
	/* The data plane names the port that it found for a gateway; none: that port is gone. */
	return present->port != DP_INDEX_ANY &&
	       (wanted->port == DP_INDEX_ANY || wanted->port == present->port);
}
