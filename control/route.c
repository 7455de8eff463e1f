/* SPDX-License-Identifier: BSD-3-Clause */
#include "control/object.h"

#include <stdlib.h>
#include <string.h>

bool route_exact(uint16_t network, const struct pr_prefix *prefix, struct dp_route *route)
{
	return dp_route_find(network, prefix, route) == 0;
}

static cJSON *key_params(const char *network, const struct pr_prefix *prefix, const char *owner)
{
	cJSON *params = cJSON_CreateObject();

	cJSON_AddStringToObject(params, "network", network);
	json_add_prefix(params, "prefix", prefix);
	cJSON_AddStringToObject(params, "owner", owner);
	return params;
}

static int route_conflict(struct request *request, const char *owner)
{
	return request_fail(request, PR_ERR_CONFLICT, "prefix",
	        "owner \"%s\" has a route for this prefix; a prefix has one owner", owner);
}

/* Whether a route with several next hops gets others, or the same whose port is back. */
static bool route_replaces(const struct dp_route *route, const struct dp_route *present)
{
	return route->nexthops && present->nexthops && !route_same(route, present);
}

enum presence { PRESENT_REFUSED = -1, PRESENT_EQUAL, PRESENT_NOT, PRESENT_OTHER };

/* Answers when the prefix is there already and stays as it is. PRESENT_OTHER: *undo brings back
 * what it is now. */
static int route_present(struct request *request, const struct network *network,
        const struct dp_route *route, const char *port, cJSON **undo)
{
	const struct static_route *entry = route_static_find(network->spec.name, &route->prefix);
	struct dp_route present;
	cJSON *body, *old;
	bool active = true;
	int rc;

	if (entry) {
		if (route->owner)
			return route_conflict(request, owner_name(0));
		active = entry->active;
		present = entry->route;
		present.waits = false;
		if (route->nexthops && active)
			route_exact(network->spec.index, &route->prefix, &present);
		old = route_body(&present, entry->port);
	} else {
		if (!route_exact(network->spec.index, &route->prefix, &present))
			return PRESENT_NOT;
		if (strcmp(route_owner_name(&present), owner_name(route->owner)))
			return route_conflict(request, route_owner_name(&present));
		/* Through whatever port the gateway is: as asked for. */
		old = route_body(&present,
		        !*port && route_same(route, &present) ? "" : port_name(present.port));
	}
	if (route_replaces(route, &present)) {
		*undo = old;
		return PRESENT_OTHER;
	}
	body = route_body(route, port);
	rc = object_repeat(request, "route", "the route", body, old,
	        route_json(&present, json_string(old, "port", ""), active));
	cJSON_Delete(body);
	cJSON_Delete(old);
	return rc;
}

static int route_install(
        struct request *request, const struct dp_route *route, const char *port, bool *active)
{
	struct static_route *entry =
	        route->owner ? NULL
	                     : route_static_find(network_name(route->network), &route->prefix);
	struct dp_error error = {0};
	size_t removed;
	int rc;

	if (*active && dp_route_add(route, 1, &removed, &error)) {
		/* At start-up the port behind the gateway may be missing: it waits for one. */
		if (!request->replay || route->owner || route->type != DP_ROUTE_VIA)
			return request_fail_dp(request, &error);
		*active = false;
	}
	if (route->owner)
		return 0;
	if (entry) {
		route_static_replace(entry, route);
		entry->active = *active;
		return 0;
	}
	rc = route_static_put(route, port, *active);
	if (rc && *active)
		dp_route_del(route, 1, &removed, &error);
	return rc ? request_fail(request, PR_ERR_INTERNAL, NULL, "out of memory") : 0;
}

/* The answer to an add that changed something: with the states of next hops, which only the tables
 * know. */
static int route_answer(struct request *request, const struct network *network,
        const struct dp_route *route, const char *port, bool active, bool replaced)
{
	struct dp_route present = *route;

	if (route->nexthops && active)
		route_exact(network->spec.index, &route->prefix, &present);
	if (!replaced)
		return object_created(request, "route", route_json(&present, port, active));
	cJSON_AddFalseToObject(request->result, "created");
	cJSON_AddTrueToObject(request->result, "replaced");
	cJSON_AddItemToObject(request->result, "route", route_json(&present, port, active));
	return 0;
}

static int route_put(struct request *request, const struct network *network,
        const struct dp_route *route, bool missing, const char *owner)
{
	const char *port = json_string(request->params, "port", "");
	cJSON *body, *undo = NULL;
	char key[OBJECT_KEY_MAX];
	bool active = !missing, replaced;
	method_fn *back;
	int rc = route_present(request, network, route, port, &undo);

	if (rc == PRESENT_REFUSED || rc == PRESENT_EQUAL)
		return rc;
	replaced = rc == PRESENT_OTHER;
	if (route_install(request, route, port, &active)) {
		cJSON_Delete(undo);
		return -1;
	}
	back = replaced ? route_add : route_del;
	if (!replaced)
		undo = key_params(network->spec.name, &route->prefix, owner);
	body = route_body(route, port);
	route_key(key, network->spec.name, &route->prefix);
	rc = 0;
	if (route->owner)
		object_on_rollback(request, back, undo);
	else
		rc = object_store(request, KIND_ROUTE, key, body, back, undo);
	cJSON_Delete(body);
	return rc < 0 ? rc : route_answer(request, network, route, port, active, replaced);
}

int route_add(struct request *request)
{
	const char *owner = json_string(request->params, "owner", "static");
	struct network *network = network_wanted_mode(request, "network", true);
	struct dp_route route;
	uint8_t number;
	bool missing;
	int rc;

	if (!network || owner_number(request, owner, &number) ||
	        route_parse(request, request->params, "", network, number, &route, &missing))
		return -1;
	rc = route_put(request, network, &route, missing, owner);
	dp_nexthops_release(route.nexthops);
	return rc;
}

static int route_del_static(
        struct request *request, const struct network *network, const struct pr_prefix *prefix)
{
	struct static_route *entry = route_static_find(network->spec.name, prefix);
	struct dp_error error = {0};
	char key[OBJECT_KEY_MAX];
	size_t removed;

	route_key(key, network->spec.name, prefix);
	if (!entry) {
		bool kept = replay_forget(KIND_ROUTE, key);

		if (kept && object_unstore(request, KIND_ROUTE, key))
			return -1;
		return object_removed(request, kept);
	}
	if (object_unstore(request, KIND_ROUTE, key))
		return -1;
	if (entry->active && dp_route_del(&entry->route, 1, &removed, &error))
		return request_fail_dp(request, &error);
	object_on_rollback(request, route_add, route_body(&entry->route, entry->port));
	route_static_drop(entry);
	return object_removed(request, true);
}

int route_del(struct request *request)
{
	const char *owner = json_string(request->params, "owner", "static");
	struct network *network = network_wanted_mode(request, "network", true);
	struct dp_error error = {0};
	struct pr_prefix prefix;
	struct dp_route route;
	size_t removed;
	cJSON *undo;

	if (!network)
		return -1;
	if (pr_prefix_parse(json_string(request->params, "prefix", ""), &prefix))
		return request_fail(request, PR_ERR_PARAMS, "prefix", "this is no prefix");
	pr_prefix_mask(&prefix);
	if (!strcmp(owner, "static"))
		return route_del_static(request, network, &prefix);
	if (!strcmp(owner, "port") || !strcmp(owner, "connected"))
		return request_fail(request, PR_ERR_PARAMS, "owner",
		        "routes of \"%s\" come and go with ports and networks", owner);
	if (owner_find(owner) < 0 || !route_exact(network->spec.index, &prefix, &route) ||
	        strcmp(route_owner_name(&route), owner))
		return object_removed(request, false);
	/* Made before: its next hops go with it. */
	undo = route_body(&route, port_name(route.port));
	if (dp_route_del(&route, 1, &removed, &error)) {
		cJSON_Delete(undo);
		return request_fail_dp(request, &error);
	}
	object_on_rollback(request, route_add, undo);
	return object_removed(request, true);
}

static const char *next_hop_state(const struct dp_route_lookup *answer)
{
	if (answer->port == DP_INDEX_ANY)
		return "none";
	return answer->resolved ? "resolved" : "unresolved";
}

/* The members that say which of several next hops a packet takes; *given: whether they are there.
 */
static int read_flow(
        struct request *request, const struct pr_ip *address, struct dp_flow *flow, bool *given)
{
	static const char *const parts[] = {"protocol", "sourcePort", "destinationPort"};
	const char *source = json_string(request->params, "source", "");

	*given = *source;
	for (unsigned i = 0; !*given && i < sizeof(parts) / sizeof(parts[0]); i++)
		if (json_has(request->params, parts[i]))
			return request_fail(request, PR_ERR_PARAMS, "source",
			        "a flow has a source address; give it with %s", parts[i]);
	if (!*given)
		return 0;
	if (pr_ip_parse(source, &flow->source) || flow->source.family != address->family)
		return request_fail(request, PR_ERR_PARAMS, "source",
		        "\"%s\" is no address of the destination's family", source);
	flow->protocol = (uint8_t)json_integer(request->params, "protocol", 0);
	flow->source_port = (uint16_t)json_integer(request->params, "sourcePort", 0);
	flow->destination_port = (uint16_t)json_integer(request->params, "destinationPort", 0);
	return 0;
}

static cJSON *next_hop_json(const struct dp_route_lookup *answer, const char *type)
{
	cJSON *hop = cJSON_CreateObject();

	cJSON_AddStringToObject(hop, "type", type);
	cJSON_AddStringToObject(hop, "port", port_name(answer->port));
	json_add_ip(hop, "gateway", &answer->gateway);
	if (answer->resolved)
		json_add_mac(hop, "mac", &answer->mac);
	else
		cJSON_AddStringToObject(hop, "mac", "");
	cJSON_AddStringToObject(hop, "state", next_hop_state(answer));
	return hop;
}

int route_get(struct request *request)
{
	const struct network *network = network_wanted_mode(request, "network", true);
	const char *text = json_string(request->params, "address", "");
	struct dp_route_lookup answer = {.port = DP_INDEX_ANY};
	struct dp_flow flow = {0};
	struct pr_ip address;
	bool has_flow;
	cJSON *route;

	if (!network)
		return -1;
	if (pr_ip_parse(text, &address))
		return request_fail(
		        request, PR_ERR_PARAMS, "address", "\"%s\" is no address", text);
	/* Whatever a default route says: it is never looked up (RFC 4291 2.5.6). */
	if (pr_ip_is_link_local6(&address))
		return request_fail(request, PR_ERR_PARAMS, "address",
		        "%s is link-local: such addresses are not routed", text);
	if (read_flow(request, &address, &flow, &has_flow))
		return -1;
	if (dp_route_get(network->spec.index, &address, has_flow ? &flow : NULL, &answer))
		return request_fail(request, PR_ERR_NOT_FOUND, "address",
		        "network \"%s\" has no route to %s", network->spec.name, text);
	route = route_json(&answer.route, port_name(answer.route.port), true);
	cJSON_AddItemToObject(request->result, "route", route);
	cJSON_AddItemToObject(request->result, "nextHop",
	        next_hop_json(&answer, answer.route.nexthops && answer.member < 0
	                                       ? "group"
	                                       : json_string(route, "type", "")));
	return 0;
}
