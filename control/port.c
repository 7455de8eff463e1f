/* SPDX-License-Identifier: BSD-3-Clause */
#include "control/object.h"

#include <stdlib.h>
#include <errno.h>
#include <string.h>

static struct map ports;
static struct port *by_index[PR_PORTS_MAX];
static uint64_t next_serial;

struct port *port_find(const char *name)
{
	return map_get(&ports, name);
}

struct port *port_by_index(uint16_t index)
{
	return index < PR_PORTS_MAX ? by_index[index] : NULL;
}

const char *port_name(uint16_t index)
{
	const struct port *port = port_by_index(index);

	return port ? port->spec.name : "";
}

struct port *port_wanted(struct request *request, const char *member)
{
	const char *name = json_string(request->params, member, "");
	struct port *port = port_find(name);

	if (!port)
		request_fail(request, PR_ERR_NOT_FOUND, member, "there is no port \"%s\"", name);
	return port;
}

struct port *port_wanted_in(
        struct request *request, const char *member, const struct network *network)
{
	struct port *port = port_wanted(request, member);

	if (!port || port->network == network)
		return port;
	request_fail(request, PR_ERR_PARAMS, member,
	        "port \"%s\" is in network \"%s\", not in \"%s\"", port->spec.name,
	        port->network->spec.name, network->spec.name);
	return NULL;
}

struct port **port_sorted(size_t *n)
{
	return (struct port **)map_sorted(&ports, n);
}

size_t port_count(void)
{
	return ports.used;
}

struct port *port_with_address(const struct network *network, const struct pr_ip *ip)
{
	for (unsigned i = 0; i < PR_PORTS_MAX; i++) {
		struct port *port = by_index[i];

		if (!port || port->network != network)
			continue;
		for (unsigned k = 0; k < port->spec.n_addresses; k++) {
			if (pr_ip_equal(&port->spec.addresses[k].addr, ip))
				return port;
		}
	}
	return NULL;
}

struct pr_ip port_our_link_local(const struct port *port)
{
	if (port->spec.kind == DP_PORT_ETH)
		return pr_ip_link_local6(&port->spec.mac);
	return (struct pr_ip){.family = AF_INET6, .v6 = {0xfe, 0x80, [15] = 1}};
}

bool port_is_our_link_local(const struct port *port, const struct pr_ip *ip)
{
	struct pr_ip ours = port_our_link_local(port);

	return pr_ip_equal(&ours, ip);
}

const cJSON *port_cni(const struct port *port)
{
	return json_member(port->body, "cni");
}

cJSON *port_json(const struct port *port)
{
	cJSON *answer = cJSON_Duplicate(port->body, true);
	struct dp_port_state state = {0};

	if (port->spec.kind == DP_PORT_ETH)
		cJSON_AddBoolToObject(answer, "uplink", port->network->spec.routed);
	dp_port_state(port->spec.index, &state);
	json_add_u64(answer, "index", port->spec.index);
	cJSON_AddStringToObject(answer, "state", state.up ? "up" : "down");
	cJSON_AddBoolToObject(answer, "connected", state.connected);
	json_add_u64(answer, "refusedConnects", state.refused_connects);
	if (!port->network->spec.routed) {
		json_add_u64(answer, "multicastGroups", state.multicast_groups);
		json_add_u64(answer, "multicastRefused", state.multicast_refused);
	}
	if (port->spec.kind == DP_PORT_VHOST_USER) {
		json_add_u64(answer, "protocolErrors", state.protocol_errors);
		json_add_u64(answer, "ringErrors", state.ring_errors);
		json_add_u64(answer, "memoryErrors", state.memory_errors);
	}
	if (port_cni(port))
		cJSON_AddStringToObject(answer, "bootId", boot_id());
	return answer;
}

/* What is stored: an eth port's MAC address only if it was asked for, as a device may be replaced.
 */
static cJSON *port_stored(const struct port *port)
{
	cJSON *body = cJSON_Duplicate(port->body, true);

	if (!port->mac_given && port->spec.kind == DP_PORT_ETH)
		cJSON_DeleteItemFromObjectCaseSensitive(body, "mac");
	json_add_u64(body, "index", port->spec.index);
	if (port_cni(port))
		cJSON_AddStringToObject(body, "bootId", boot_id());
	return body;
}

static void port_free(void *value)
{
	struct port *port = value;

	cJSON_Delete(port->body);
	free(port);
}

/* Two wishes of CNI differ in their time of creation only when the runtime tried again. */
static void forget_created(cJSON *body)
{
	cJSON *cni = cJSON_GetObjectItemCaseSensitive(body, "cni");

	cJSON_DeleteItemFromObjectCaseSensitive(cni, "created");
}

static int port_repeat(struct request *request, struct port_wish *wish, const struct port *port)
{
	cJSON *body, *old = cJSON_Duplicate(port->body, true);
	int rc;

	if (!wish->mac_given) {
		if (wish->spec.kind == DP_PORT_VHOST_USER)
			port_make_mac(wish);
		else if (!port->mac_given)
			wish->spec.mac = port->spec.mac;
	}
	body = port_body(wish, json_member(request->params, "cni"));
	forget_created(body);
	forget_created(old);
	rc = object_repeat(request, "port", "the port", body, old, port_json(port));
	cJSON_Delete(body);
	cJSON_Delete(old);
	return rc;
}

/* Takes the port into the tables; on failure nothing is left but the allocation. */
static int port_create(struct request *request, struct port *port)
{
	struct dp_error error = {0};
	struct pr_mac mac = port->spec.mac;
	int rc;

	if (dp_port_add(&port->spec, &port->spec.index, &mac, &error))
		return request_fail_dp(request, &error);
	port->spec.mac = mac;
	rc = port->spec.index < PR_PORTS_MAX ? map_put(&ports, port->spec.name, port) : -ERANGE;
	if (rc) {
		dp_port_del(port->spec.index, &error);
		return request_fail(request, PR_ERR_INTERNAL, NULL, "%s", strerror(-rc));
	}
	by_index[port->spec.index] = port;
	port->network->ports++;
	return 0;
}

static cJSON *name_params(const char *name)
{
	cJSON *params = cJSON_CreateObject();

	cJSON_AddStringToObject(params, "name", name);
	return params;
}

static int port_add_new(struct request *request, const struct port_wish *wish)
{
	struct port *port = calloc(1, sizeof(*port));
	struct port_wish got = *wish;
	cJSON *stored;
	int rc;

	if (!port)
		return request_fail(request, PR_ERR_INTERNAL, NULL, "out of memory");
	port->spec = wish->spec;
	port->network = wish->network;
	port->mac_given = wish->mac_given;
	port->serial = ++next_serial;
	if (port_create(request, port)) {
		port_free(port);
		return -1;
	}
	got.spec = port->spec;
	port->body = port_body(&got, json_member(request->params, "cni"));
	stored = port_stored(port);
	rc = object_store(request, KIND_PORT, port->spec.name, stored, port_del,
	        name_params(port->spec.name));
	cJSON_Delete(stored);
	if (rc)
		return rc;
	route_port_added(port);
	neighbour_port_added(port);
	fdb_port_added(port);
	return object_created(request, "port", port_json(port));
}

int port_add(struct request *request)
{
	const struct port *port;
	struct port_wish wish;

	if (port_parse(request, &wish))
		return -1;
	port = port_find(wish.spec.name);
	if (port)
		return port_repeat(request, &wish, port);
	if (!wish.mac_given && wish.spec.kind == DP_PORT_VHOST_USER)
		port_make_mac(&wish);
	if (port_check(request, &wish))
		return -1;
	return port_add_new(request, &wish);
}

int port_remove(struct request *request, struct port *port)
{
	struct dp_error error = {0};

	if (object_unstore(request, KIND_PORT, port->spec.name))
		return -1;
	route_port_removing(port);
	neighbour_port_removing(port);
	fdb_port_removing(port);
	if (dp_port_del(port->spec.index, &error)) {
		route_port_added(port);
		neighbour_port_added(port);
		fdb_port_added(port);
		return request_fail_dp(request, &error);
	}
	route_sync_port_gone(port);
	map_remove(&ports, port->spec.name);
	by_index[port->spec.index] = NULL;
	port->network->ports--;
	object_on_rollback(request, port_add, port_stored(port));
	port_free(port);
	return 0;
}

int port_del(struct request *request)
{
	const char *name = json_string(request->params, "name", "");
	const char *container = json_string(request->params, "cniContainerId", "");
	struct port *port = port_find(name);

	if (!port) {
		bool kept = replay_forget(KIND_PORT, name);

		if (kept && object_unstore(request, KIND_PORT, name))
			return -1;
		return object_removed(request, kept);
	}
	if (*container && strcmp(json_string(port_cni(port), "containerId", ""), container))
		return object_removed(request, false);
	if (port_remove(request, port))
		return -1;
	return object_removed(request, true);
}

int port_list(struct request *request)
{
	const char *network = json_string(request->params, "network", "");
	const char *cni = json_string(request->params, "cniNetwork", "");
	cJSON *array = cJSON_AddArrayToObject(request->result, "ports");
	size_t n;
	struct port **sorted;

	if (*network && !network_wanted(request, "network"))
		return -1;
	sorted = port_sorted(&n);
	for (size_t i = 0; i < n; i++) {
		if (*network && strcmp(sorted[i]->network->spec.name, network))
			continue;
		if (*cni && strcmp(json_string(port_cni(sorted[i]), "networkName", ""), cni))
			continue;
		cJSON_AddItemToArray(array, port_json(sorted[i]));
	}
	free(sorted);
	return 0;
}

int port_show(struct request *request)
{
	const struct port *port = port_wanted(request, "name");

	if (!port)
		return -1;
	cJSON_AddItemToObject(request->result, "port", port_json(port));
	return 0;
}

void port_free_all(void)
{
	map_clear(&ports, port_free);
	memset(by_index, 0, sizeof(by_index));
}
