/* SPDX-License-Identifier: BSD-3-Clause */
#include "control/object.h"

#include <stdlib.h>
#include <string.h>
#include <syslog.h>

/* A static neighbour; it is in the data plane while its port is there. */
struct static_neighbour {
	char key[OBJECT_KEY_MAX];
	char port[PR_NAME_MAX + 1];
	struct dp_neighbour neighbour;
	bool active;
};

static struct map neighbours;

/* A link-local address means another neighbour on each link. */
static void neighbour_key(char key[OBJECT_KEY_MAX], const struct network *network,
        const struct pr_ip *address, const char *port)
{
	bool scoped = pr_ip_is_link_local6(address);
	char text[PR_IP_STRLEN];

	snprintf(key, OBJECT_KEY_MAX, "%s %s%s%s", network->spec.name, pr_ip_format(address, text),
	        scoped ? "%" : "", scoped ? port : "");
}

static cJSON *neighbour_body(
        const char *network, const char *port, const struct dp_neighbour *neighbour)
{
	cJSON *body = cJSON_CreateObject();

	cJSON_AddStringToObject(body, "network", network);
	cJSON_AddStringToObject(body, "port", port);
	json_add_ip(body, "address", &neighbour->address);
	json_add_mac(body, "mac", &neighbour->mac);
	return body;
}

static const char *neighbour_state_name(enum dp_neighbour_state state)
{
	static const char *const names[] = {
	        [DP_NEIGHBOUR_STATIC] = "static",
	        [DP_NEIGHBOUR_INCOMPLETE] = "incomplete",
	        [DP_NEIGHBOUR_REACHABLE] = "reachable",
	        [DP_NEIGHBOUR_STALE] = "stale",
	        [DP_NEIGHBOUR_PROBE] = "probe",
	        [DP_NEIGHBOUR_FAILED] = "failed",
	};

	return names[state];
}

static cJSON *neighbour_json(const char *network, const char *port,
        const struct dp_neighbour *neighbour, const char *state)
{
	cJSON *answer = neighbour_body(network, port, neighbour);

	cJSON_AddStringToObject(answer, "state", state);
	json_add_u64(answer, "held", neighbour->held);
	json_add_u64(answer, "age", neighbour->age);
	return answer;
}

static cJSON *static_json(const struct static_neighbour *entry)
{
	return neighbour_json(network_name(entry->neighbour.network), entry->port,
	        &entry->neighbour, entry->active ? "static" : "inactive");
}

static int parse_address(struct request *request, struct pr_ip *address)
{
	const char *text = json_string(request->params, "address", "");
	const char *fault;

	if (pr_ip_parse(text, address))
		return request_fail(
		        request, PR_ERR_PARAMS, "address", "\"%s\" is no address", text);
	fault = address_fault(address);
	return fault ? request_fail(request, PR_ERR_PARAMS, "address", "%s %s", text, fault) : 0;
}

static int neighbour_parse(struct request *request, const struct network *network,
        struct dp_neighbour *neighbour, bool *missing)
{
	const char *name = json_string(request->params, "port", "");
	const struct port *port = port_find(name), *holder;

	*neighbour = (struct dp_neighbour){
	        .network = network->spec.index, .port = DP_INDEX_ANY, .state = DP_NEIGHBOUR_STATIC};
	*missing = request->replay && (!port || port->network != network);
	if (!*missing && !port_wanted_in(request, "port", network))
		return -1;
	if (!*missing)
		neighbour->port = port->spec.index;
	if (parse_address(request, &neighbour->address))
		return -1;
	if (pr_mac_parse(json_string(request->params, "mac", ""), &neighbour->mac) ||
	        pr_mac_is_multicast(&neighbour->mac) || pr_mac_is_zero(&neighbour->mac))
		return request_fail(request, PR_ERR_PARAMS, "mac",
		        "a neighbour needs a unicast MAC address that is not zero");
	if (network_has_gateway(network, &neighbour->address))
		return request_fail(request, PR_ERR_CONFLICT, "address",
		        "this is the gateway's address in network \"%s\"", network->spec.name);
	if (!*missing && port_is_our_link_local(port, &neighbour->address))
		return request_fail(request, PR_ERR_CONFLICT, "address",
		        "this is our own address on the link of port \"%s\"", name);
	holder = request->replay ? NULL : port_with_address(network, &neighbour->address);
	if (holder)
		return request_fail(request, PR_ERR_CONFLICT, "address",
		        "port \"%s\" has this address, and its MAC address is known",
		        holder->spec.name);
	return 0;
}

static cJSON *key_params(const struct static_neighbour *entry)
{
	cJSON *params = cJSON_CreateObject();

	cJSON_AddStringToObject(params, "network", network_name(entry->neighbour.network));
	json_add_ip(params, "address", &entry->neighbour.address);
	cJSON_AddStringToObject(params, "port", entry->port);
	return params;
}

static struct static_neighbour *neighbour_create(struct request *request,
        const struct dp_neighbour *neighbour, const char *key, const char *port, bool active)
{
	struct static_neighbour *entry = calloc(1, sizeof(*entry));
	struct dp_error error = {0};

	if (!entry) {
		request_fail(request, PR_ERR_INTERNAL, NULL, "out of memory");
		return NULL;
	}
	strcpy(entry->key, key);
	snprintf(entry->port, sizeof(entry->port), "%s", port);
	entry->neighbour = *neighbour;
	entry->active = active;
	if (active && dp_neighbour_add(neighbour, &error)) {
		request_fail_dp(request, &error);
		free(entry);
		return NULL;
	}
	if (map_put(&neighbours, entry->key, entry)) {
		if (active)
			dp_neighbour_del(neighbour->network, neighbour->port, &neighbour->address);
		request_fail(request, PR_ERR_INTERNAL, NULL, "out of memory");
		free(entry);
		return NULL;
	}
	return entry;
}

int neighbour_add(struct request *request)
{
	const struct network *network = network_wanted_mode(request, "network", true);
	const char *port = json_string(request->params, "port", "");
	struct static_neighbour *entry;
	struct dp_neighbour neighbour;
	char key[OBJECT_KEY_MAX];
	bool missing;
	cJSON *body;
	int rc;

	if (!network || neighbour_parse(request, network, &neighbour, &missing))
		return -1;
	neighbour_key(key, network, &neighbour.address, port);
	body = neighbour_body(network->spec.name, port, &neighbour);
	entry = map_get(&neighbours, key);
	if (entry) {
		cJSON *old = neighbour_body(network->spec.name, entry->port, &entry->neighbour);

		rc = object_repeat(
		        request, "neighbour", "the neighbour", body, old, static_json(entry));
		cJSON_Delete(old);
	} else {
		entry = neighbour_create(request, &neighbour, key, port, !missing);
		rc = !entry ? -1
		            : object_store(request, KIND_NEIGHBOUR, key, body, neighbour_del,
		                      key_params(entry));
		if (!rc)
			rc = object_created(request, "neighbour", static_json(entry));
	}
	cJSON_Delete(body);
	return rc;
}

/* name: of the port, "" for any. */
static int neighbour_del_learned(struct request *request, const struct network *network,
        const struct pr_ip *address, const char *key, const char *name)
{
	const struct port *port = port_find(name);
	bool kept = replay_forget(KIND_NEIGHBOUR, key), removed = false;

	if (kept && object_unstore(request, KIND_NEIGHBOUR, key))
		return -1;
	if (!*name || (port && port->network == network))
		removed = !dp_neighbour_del(
		        network->spec.index, port ? port->spec.index : DP_INDEX_ANY, address);
	return object_removed(request, removed || kept);
}

int neighbour_del(struct request *request)
{
	const struct network *network = network_wanted_mode(request, "network", true);
	const char *port = json_string(request->params, "port", "");
	struct static_neighbour *entry;
	char key[OBJECT_KEY_MAX];
	struct pr_ip address;

	if (!network || parse_address(request, &address))
		return -1;
	if (pr_ip_is_link_local6(&address) && !*port)
		return request_fail(request, PR_ERR_PARAMS, "port",
		        "%s is link-local: name the port whose link it is on",
		        json_string(request->params, "address", ""));
	neighbour_key(key, network, &address, port);
	entry = map_get(&neighbours, key);
	if (!entry)
		return neighbour_del_learned(request, network, &address, key, port);
	if (*port && strcmp(entry->port, port))
		return object_removed(request, false);
	if (object_unstore(request, KIND_NEIGHBOUR, key))
		return -1;
	if (entry->active)
		dp_neighbour_del(network->spec.index, entry->neighbour.port, &address);
	object_on_rollback(request, neighbour_add,
	        neighbour_body(network->spec.name, entry->port, &entry->neighbour));
	map_remove(&neighbours, key);
	free(entry);
	return object_removed(request, true);
}

/* One line of the list; entry NULL: learned. */
struct listed {
	struct dp_neighbour neighbour;
	const struct static_neighbour *entry;
};

static const char *listed_port(const struct listed *listed)
{
	return listed->entry ? listed->entry->port : port_name(listed->neighbour.port);
}

static int listed_compare(const void *a, const void *b)
{
	const struct listed *x = a, *y = b;
	int order = strcmp(network_name(x->neighbour.network), network_name(y->neighbour.network));

	if (!order)
		order = ip_compare(&x->neighbour.address, &y->neighbour.address);
	return order ? order : strcmp(listed_port(x), listed_port(y));
}

/* The accepted one behind what the data plane has. */
static const struct static_neighbour *entry_of(const struct dp_neighbour *neighbour)
{
	const struct network *network = network_by_index(neighbour->network);
	char key[OBJECT_KEY_MAX];

	if (!network || neighbour->state != DP_NEIGHBOUR_STATIC)
		return NULL;
	neighbour_key(key, network, &neighbour->address, port_name(neighbour->port));
	return map_get(&neighbours, key);
}

/* What the data plane has, and those that wait for their port. The caller frees it. */
static struct listed *listed_all(size_t *n)
{
	size_t n_known, n_static;
	struct dp_neighbour *known = dp_neighbour_list(&n_known);
	struct static_neighbour **entries =
	        (struct static_neighbour **)map_sorted(&neighbours, &n_static);
	struct listed *all = calloc(n_known + n_static + 1, sizeof(*all));

	*n = 0;
	for (size_t i = 0; all && i < n_known; i++)
		all[(*n)++] = (struct listed){known[i], entry_of(&known[i])};
	for (size_t i = 0; all && i < n_static; i++)
		if (!entries[i]->active)
			all[(*n)++] = (struct listed){entries[i]->neighbour, entries[i]};
	free(entries);
	free(known);
	if (all)
		qsort(all, *n, sizeof(*all), listed_compare);
	return all;
}

static cJSON *listed_json(const struct listed *listed)
{
	const struct dp_neighbour *neighbour = &listed->neighbour;

	if (listed->entry)
		return static_json(listed->entry);
	return neighbour_json(network_name(neighbour->network), listed_port(listed), neighbour,
	        neighbour_state_name(neighbour->state));
}

int neighbour_list(struct request *request)
{
	const char *network = json_string(request->params, "network", "");
	const char *port = json_string(request->params, "port", "");
	struct listed *all;
	cJSON *array;
	size_t n;

	if ((*network && !network_wanted(request, "network")) ||
	        (*port && !port_wanted(request, "port")))
		return -1;
	all = listed_all(&n);
	array = cJSON_AddArrayToObject(request->result, "neighbours");
	for (size_t i = 0; i < n; i++) {
		if ((*network && strcmp(network_name(all[i].neighbour.network), network)) ||
		        (*port && strcmp(listed_port(&all[i]), port)))
			continue;
		cJSON_AddItemToArray(array, listed_json(&all[i]));
	}
	free(all);
	return 0;
}

/* ---- what hangs on ports and networks ---- */

static struct static_neighbour **neighbours_of(const struct network *network, size_t *n)
{
	struct static_neighbour **all = (struct static_neighbour **)map_sorted(&neighbours, n);
	size_t kept = 0;

	for (size_t i = 0; i < *n; i++) {
		if (all[i]->neighbour.network == network->spec.index)
			all[kept++] = all[i];
	}
	*n = kept;
	return all;
}

void neighbour_port_added(struct port *port)
{
	size_t n;
	struct static_neighbour **entries = neighbours_of(port->network, &n);

	for (size_t i = 0; i < n; i++) {
		struct dp_error error = {0};

		if (entries[i]->active || strcmp(entries[i]->port, port->spec.name))
			continue;
		entries[i]->neighbour.port = port->spec.index;
		entries[i]->active = !dp_neighbour_add(&entries[i]->neighbour, &error);
		if (!entries[i]->active)
			log_message(LOG_WARNING, "static neighbour %s stays inactive: %s",
			        entries[i]->key, error.message);
	}
	free(entries);
}

void neighbour_port_removing(struct port *port)
{
	size_t n;
	struct static_neighbour **entries = neighbours_of(port->network, &n);

	for (size_t i = 0; i < n; i++) {
		if (!entries[i]->active || strcmp(entries[i]->port, port->spec.name))
			continue;
		dp_neighbour_del(entries[i]->neighbour.network, port->spec.index,
		        &entries[i]->neighbour.address);
		entries[i]->active = false;
	}
	free(entries);
}

int neighbour_network_unstore(struct request *request, const struct network *network)
{
	size_t n;
	struct static_neighbour **entries = neighbours_of(network, &n);
	int rc = 0;

	for (size_t i = 0; i < n && !rc; i++)
		rc = object_unstore(request, KIND_NEIGHBOUR, entries[i]->key);
	free(entries);
	return rc;
}

void neighbour_network_gone(struct request *request, const struct network *network)
{
	size_t n;
	struct static_neighbour **entries = neighbours_of(network, &n);

	for (size_t i = 0; i < n; i++) {
		object_on_rollback(request, neighbour_add,
		        neighbour_body(
		                network->spec.name, entries[i]->port, &entries[i]->neighbour));
		map_remove(&neighbours, entries[i]->key);
		free(entries[i]);
	}
	free(entries);
}

void neighbour_free_all(void)
{
	map_clear(&neighbours, free);
}
