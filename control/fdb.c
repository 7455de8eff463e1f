/* SPDX-License-Identifier: BSD-3-Clause */
#include "control/object.h"

#include <stdlib.h>
#include <string.h>
#include <syslog.h>

/* A static MAC address; it is in the data plane while its port is there. */
struct static_fdb {
	char key[OBJECT_KEY_MAX];
	char port[PR_NAME_MAX + 1];
	struct dp_fdb_entry entry;
	bool active;
};

static struct map statics;

/* VLANs are padded, so that keys sort as the list does. */
static void fdb_key(
        char key[OBJECT_KEY_MAX], const char *network, unsigned vlan, const struct pr_mac *mac)
{
	char text[PR_MAC_STRLEN];

	snprintf(key, OBJECT_KEY_MAX, "%s %04u %s", network, vlan, pr_mac_format(mac, text));
}

static cJSON *fdb_body(const char *network, const char *port, const struct dp_fdb_entry *entry)
{
	cJSON *body = cJSON_CreateObject();

	cJSON_AddStringToObject(body, "network", network);
	cJSON_AddStringToObject(body, "port", port);
	json_add_mac(body, "mac", &entry->mac);
	json_add_u64(body, "vlan", entry->vlan);
	return body;
}

/* As fdb.list shows it. */
static cJSON *fdb_json(const char *port, const struct dp_fdb_entry *entry, bool active)
{
	cJSON *answer = cJSON_CreateObject();

	cJSON_AddStringToObject(answer, "network", network_name(entry->network));
	json_add_u64(answer, "vlan", entry->vlan);
	json_add_mac(answer, "mac", &entry->mac);
	cJSON_AddStringToObject(answer, "port", port);
	cJSON_AddBoolToObject(answer, "static", entry->is_static);
	json_add_u64(answer, "age", entry->age);
	cJSON_AddStringToObject(answer, "state", active ? "active" : "inactive");
	return answer;
}

static int parse_mac(struct request *request, struct pr_mac *mac)
{
	if (!pr_mac_parse(json_string(request->params, "mac", ""), mac) &&
	        !pr_mac_is_multicast(mac) && !pr_mac_is_zero(mac))
		return 0;
	return request_fail(request, PR_ERR_PARAMS, "mac",
	        "the table holds unicast MAC addresses that are not zero");
}

/* A pod's port is in its access VLAN and the trunk's; an eth port's vlan is a tag on the wire only.
 */
static int check_vlan(
        struct request *request, const struct dp_port_spec *port, const struct dp_fdb_entry *entry)
{
	unsigned vlan = entry->vlan;
	bool native = vlan == (port->kind == DP_PORT_ETH && !port->has_trunk ? 0 : port->vlan);

	if (native || (port->trunk[vlan / 64] >> (vlan % 64) & 1))
		return 0;
	return request_fail(
	        request, PR_ERR_PARAMS, "vlan", "port \"%s\" is not in VLAN %u", port->name, vlan);
}

static int fdb_parse(struct request *request, const struct network *network,
        struct dp_fdb_entry *entry, bool *missing)
{
	const struct port *port = port_find(json_string(request->params, "port", ""));
	int64_t vlan = json_integer(request->params, "vlan", 0);

	*entry = (struct dp_fdb_entry){
	        .network = network->spec.index, .port = DP_INDEX_ANY, .is_static = true};
	*missing = request->replay && (!port || port->network != network);
	if (!*missing && !port_wanted_in(request, "port", network))
		return -1;
	if (vlan < 0 || vlan > 4094)
		return request_fail(request, PR_ERR_PARAMS, "vlan", "a VLAN is 0 to 4094");
	entry->vlan = (uint16_t)vlan;
	if (parse_mac(request, &entry->mac))
		return -1;
	if (*missing)
		return 0;
	entry->port = port->spec.index;
	return request->replay ? 0 : check_vlan(request, &port->spec, entry);
}

static cJSON *key_params(const struct dp_fdb_entry *entry)
{
	cJSON *params = cJSON_CreateObject();

	cJSON_AddStringToObject(params, "network", network_name(entry->network));
	json_add_mac(params, "mac", &entry->mac);
	json_add_u64(params, "vlan", entry->vlan);
	return params;
}

static int fdb_create(struct request *request, const struct dp_fdb_entry *entry, const char *key,
        const char *port, bool active)
{
	struct static_fdb *fdb = calloc(1, sizeof(*fdb));
	struct dp_error error = {0};

	if (!fdb)
		return request_fail(request, PR_ERR_INTERNAL, NULL, "out of memory");
	strcpy(fdb->key, key);
	snprintf(fdb->port, sizeof(fdb->port), "%s", port);
	fdb->entry = *entry;
	fdb->active = active;
	if (active && dp_fdb_add(entry, &error)) {
		free(fdb);
		return request_fail_dp(request, &error);
	}
	if (map_put(&statics, fdb->key, fdb)) {
		if (active)
			dp_fdb_del(entry->network, entry->vlan, &entry->mac);
		free(fdb);
		return request_fail(request, PR_ERR_INTERNAL, NULL, "out of memory");
	}
	return 0;
}

int fdb_add(struct request *request)
{
	const struct network *network = network_wanted_mode(request, "network", false);
	const char *port = json_string(request->params, "port", "");
	const struct static_fdb *present;
	struct dp_fdb_entry entry;
	char key[OBJECT_KEY_MAX];
	bool missing;
	cJSON *body;
	int rc;

	if (!network || fdb_parse(request, network, &entry, &missing))
		return -1;
	fdb_key(key, network->spec.name, entry.vlan, &entry.mac);
	body = fdb_body(network->spec.name, port, &entry);
	present = map_get(&statics, key);
	if (present) {
		cJSON *old = fdb_body(network->spec.name, present->port, &present->entry);

		rc = object_repeat(request, "entry", "the entry", body, old,
		        fdb_json(present->port, &present->entry, present->active));
		cJSON_Delete(old);
	} else {
		rc = fdb_create(request, &entry, key, port, !missing);
		if (!rc)
			rc = object_store(
			        request, KIND_FDB, key, body, fdb_del, key_params(&entry));
		if (!rc)
			rc = object_created(request, "entry", fdb_json(port, &entry, !missing));
	}
	cJSON_Delete(body);
	return rc;
}

static int fdb_del_other(struct request *request, const struct network *network, uint16_t vlan,
        const struct pr_mac *mac, const char *key)
{
	bool kept = replay_forget(KIND_FDB, key);

	if (kept && object_unstore(request, KIND_FDB, key))
		return -1;
	return object_removed(request, !dp_fdb_del(network->spec.index, vlan, mac) || kept);
}

int fdb_del(struct request *request)
{
	const struct network *network = network_wanted_mode(request, "network", false);
	uint16_t vlan = (uint16_t)json_integer(request->params, "vlan", 0);
	struct static_fdb *fdb;
	char key[OBJECT_KEY_MAX];
	struct pr_mac mac;

	if (!network || parse_mac(request, &mac))
		return -1;
	fdb_key(key, network->spec.name, vlan, &mac);
	fdb = map_get(&statics, key);
	if (!fdb)
		return fdb_del_other(request, network, vlan, &mac, key);
	if (object_unstore(request, KIND_FDB, key))
		return -1;
	if (fdb->active)
		dp_fdb_del(network->spec.index, vlan, &mac);
	object_on_rollback(request, fdb_add, fdb_body(network->spec.name, fdb->port, &fdb->entry));
	map_remove(&statics, key);
	free(fdb);
	return object_removed(request, true);
}

int fdb_flush(struct request *request)
{
	uint16_t network = DP_INDEX_ANY, port = DP_INDEX_ANY;

	if (*json_string(request->params, "network", "")) {
		const struct network *named = network_wanted_mode(request, "network", false);

		if (!named)
			return -1;
		network = named->spec.index;
	}
	if (*json_string(request->params, "port", "")) {
		const struct port *named = port_wanted(request, "port");

		if (!named)
			return -1;
		port = named->spec.index;
	}
	json_add_u64(request->result, "removed", dp_fdb_flush(network, port));
	return 0;
}

/* ---- what hangs on ports and networks ---- */

static struct static_fdb **statics_of(const struct network *network, size_t *n)
{
	struct static_fdb **all = (struct static_fdb **)map_sorted(&statics, n);
	size_t kept = 0;

	for (size_t i = 0; i < *n; i++) {
		if (all[i]->entry.network == network->spec.index)
			all[kept++] = all[i];
	}
	*n = kept;
	return all;
}

void fdb_port_added(struct port *port)
{
	size_t n;
	struct static_fdb **entries = statics_of(port->network, &n);

	for (size_t i = 0; i < n; i++) {
		struct dp_error error = {0};

		if (entries[i]->active || strcmp(entries[i]->port, port->spec.name))
			continue;
		entries[i]->entry.port = port->spec.index;
		entries[i]->active = !dp_fdb_add(&entries[i]->entry, &error);
		if (!entries[i]->active)
			log_message(LOG_WARNING, "static MAC address %s stays inactive: %s",
			        entries[i]->key, error.message);
	}
	free(entries);
}

void fdb_port_removing(struct port *port)
{
	size_t n;
	struct static_fdb **entries = statics_of(port->network, &n);

	for (size_t i = 0; i < n; i++) {
		const struct dp_fdb_entry *entry = &entries[i]->entry;

		if (!entries[i]->active || strcmp(entries[i]->port, port->spec.name))
			continue;
		dp_fdb_del(entry->network, entry->vlan, &entry->mac);
		entries[i]->active = false;
	}
	free(entries);
}

int fdb_network_unstore(struct request *request, const struct network *network)
{
	size_t n;
	struct static_fdb **entries = statics_of(network, &n);
	int rc = 0;

	for (size_t i = 0; i < n && !rc; i++)
		rc = object_unstore(request, KIND_FDB, entries[i]->key);
	free(entries);
	return rc;
}

void fdb_network_gone(struct request *request, const struct network *network)
{
	size_t n;
	struct static_fdb **entries = statics_of(network, &n);

	for (size_t i = 0; i < n; i++) {
		object_on_rollback(request, fdb_add,
		        fdb_body(network->spec.name, entries[i]->port, &entries[i]->entry));
		map_remove(&statics, entries[i]->key);
		free(entries[i]);
	}
	free(entries);
}

void fdb_free_all(void)
{
	map_clear(&statics, free);
}

/* ---- fdb.list ---- */

static int fdb_compare(const void *a, const void *b)
{
	const struct dp_fdb_entry *x = a, *y = b;
	int order = strcmp(network_name(x->network), network_name(y->network));

	if (order)
		return order;
	if (x->vlan != y->vlan)
		return x->vlan < y->vlan ? -1 : 1;
	return memcmp(&x->mac, &y->mac, sizeof(x->mac));
}

static size_t append_inactive(struct dp_fdb_entry **list, size_t n)
{
	size_t n_static;
	struct static_fdb **entries = (struct static_fdb **)map_sorted(&statics, &n_static);
	struct dp_fdb_entry *more = realloc(*list, (n + n_static + 1) * sizeof(**list));

	for (size_t i = 0; more && i < n_static; i++) {
		if (entries[i]->active)
			continue;
		more[n] = entries[i]->entry;
		more[n++].port = DP_INDEX_ANY;
	}
	free(entries);
	if (more)
		*list = more;
	return n;
}

static cJSON *listed_json(const struct dp_fdb_entry *entry, const char *key)
{
	const struct static_fdb *fdb = entry->is_static ? map_get(&statics, key) : NULL;

	return fdb_json(
	        fdb ? fdb->port : port_name(entry->port), entry, entry->port != DP_INDEX_ANY);
}

int fdb_list(struct request *request)
{
	const char *network = json_string(request->params, "network", "");
	const char *port = json_string(request->params, "port", "");
	const char *after = json_string(request->params, "after", "");
	int64_t left = json_integer(request->params, "limit", 1000);
	char key[OBJECT_KEY_MAX], next[OBJECT_KEY_MAX] = "", last[OBJECT_KEY_MAX] = "";
	struct dp_fdb_entry *list;
	cJSON *array;
	size_t n;

	if ((*network && !network_wanted_mode(request, "network", false)) ||
	        (*port && !port_wanted(request, "port")))
		return -1;
	list = dp_fdb_list(&n);
	n = append_inactive(&list, n);
	if (n)
		qsort(list, n, sizeof(*list), fdb_compare);
	array = cJSON_AddArrayToObject(request->result, "entries");
	for (size_t i = 0; i < n; i++) {
		fdb_key(key, network_name(list[i].network), list[i].vlan, &list[i].mac);
		if (strcmp(key, after) <= 0 ||
		        (*network && strcmp(network_name(list[i].network), network)) ||
		        (*port && strcmp(port_name(list[i].port), port)))
			continue;
		if (!left--) {
			strcpy(next, last);
			break;
		}
		cJSON_AddItemToArray(array, listed_json(&list[i], key));
		strcpy(last, key);
	}
	free(list);
	cJSON_AddStringToObject(request->result, "next", next);
	return 0;
}
