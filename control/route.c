/* SPDX-License-Identifier: BSD-3-Clause */
#include "control/object.h"

#include <stdlib.h>
#include <string.h>

bool route_exact(uint16_t network, const struct pr_prefix *prefix, struct dp_route *route)
{
	return dp_route_find(network, prefix, route) == 0;
}

static int route_conflict(struct request *request, const char *owner)
{
	return request_fail(request, PR_ERR_CONFLICT, "prefix",
	        "owner \"%s\" has a route for this prefix; a prefix has one owner", owner);
}

/* Answers when the prefix is there already: 0 or -1; 1 when it is free. */
static int route_present(struct request *request, const struct network *network,
        const struct dp_route *route, const char *port)
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
		old = route_body(&present, entry->port);
	} else {
		if (!route_exact(network->spec.index, &route->prefix, &present))
			return 1;
		if (strcmp(route_owner_name(&present), owner_name(route->owner)))
			return route_conflict(request, route_owner_name(&present));
		/* Through whatever port the gateway is: as asked for. */
		old = route_body(&present,
		        !*port && route_same(route, &present) ? "" : port_name(present.port));
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
	rc = route_static_put(route, port, *active);
	if (rc && *active)
		dp_route_del(route, 1, &removed, &error);
	return rc ? request_fail(request, PR_ERR_INTERNAL, NULL, "out of memory") : 0;
}

int route_add(struct request *request)
{
	const char *owner = json_string(request->params, "owner", "static");
	const char *port = json_string(request->params, "port", "");
	struct network *network = network_wanted_mode(request, "network", true);
	char key[OBJECT_KEY_MAX];
	struct dp_route route;
	uint8_t number;
	bool missing, active;
	cJSON *body;
	int rc;

	if (!network || owner_number(request, owner, &number) ||
	        route_parse(request, request->params, "", network, number, &route, &missing))
		return -1;
	rc = route_present(request, network, &route, port);
	if (rc <= 0)
		return rc;
	active = !missing;
	if (route_install(request, &route, port, &active))
		return -1;
	route_on_rollback(request, route_del, network->spec.name, &route, port);
	if (!number) {
		body = route_body(&route, port);
		route_key(key, network->spec.name, &route.prefix);
		rc = object_put(request, KIND_ROUTE, key, body);
		cJSON_Delete(body);
		if (rc)
			return rc;
	}
	return object_created(request, "route", route_json(&route, port, active));
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
	route_on_rollback(request, route_add, network->spec.name, &entry->route, entry->port);
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
	if (dp_route_del(&route, 1, &removed, &error))
		return request_fail_dp(request, &error);
	route_on_rollback(request, route_add, network->spec.name, &route, port_name(route.port));
	return object_removed(request, true);
}

static const char *next_hop_state(const struct dp_route_lookup *answer)
{
	if (answer->port == DP_INDEX_ANY)
		return "none";
	return answer->resolved ? "resolved" : "unresolved";
}

int route_get(struct request *request)
{
	const struct network *network = network_wanted_mode(request, "network", true);
	const char *text = json_string(request->params, "address", "");
	struct dp_route_lookup answer = {.port = DP_INDEX_ANY};
	struct pr_ip address;
	cJSON *hop, *route;

	if (!network)
		return -1;
	if (pr_ip_parse(text, &address))
		return request_fail(
		        request, PR_ERR_PARAMS, "address", "\"%s\" is no address", text);
	/* Whatever a default route says: it is never looked up (RFC 4291 2.5.6). */
	if (pr_ip_is_link_local6(&address))
		return request_fail(request, PR_ERR_PARAMS, "address",
		        "%s is link-local: such addresses are not routed", text);
	if (dp_route_get(network->spec.index, &address, &answer))
		return request_fail(request, PR_ERR_NOT_FOUND, "address",
		        "network \"%s\" has no route to %s", network->spec.name, text);
	route = route_json(&answer.route, port_name(answer.route.port), true);
	hop = cJSON_CreateObject();
	cJSON_AddStringToObject(hop, "type", json_string(route, "type", ""));
	cJSON_AddStringToObject(hop, "port", port_name(answer.port));
	json_add_ip(hop, "gateway", &answer.gateway);
	if (answer.resolved)
		json_add_mac(hop, "mac", &answer.mac);
	else
		cJSON_AddStringToObject(hop, "mac", "");
	cJSON_AddStringToObject(hop, "state", next_hop_state(&answer));
	cJSON_AddItemToObject(request->result, "route", route);
	cJSON_AddItemToObject(request->result, "nextHop", hop);
	return 0;
}
