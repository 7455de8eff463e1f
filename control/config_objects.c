/* SPDX-License-Identifier: BSD-3-Clause */
/* Groups and objects of the configuration file, and the effective configuration as JSON. */
#include "control/config_internal.h"

#include <grp.h>
#include <stdio.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "control/verbs.h"

static int find_group(const char *field, const char *name, gid_t *gid, struct config_error *error)
{
	struct group *group;
	unsigned long value;
	char *end;

	if (!name[0])
		return 0;
	group = getgrnam(name);
	value = strtoul(name, &end, 10);
	if (group)
		*gid = group->gr_gid;
	else if (name[0] >= '0' && name[0] <= '9' && !*end && value < CONFIG_NO_GROUP)
		*gid = (gid_t)value;
	else
		return config_fail(error, field,
		        "there is no group \"%s\" on this machine: make it"
		        " with groupadd, or leave this out",
		        name);
	return 0;
}

int config_take_groups(struct daemon_config *config, struct config_error *error)
{
	int rc;

	rc = find_group("socketGroup", config->socket_group, &config->socket_gid, error);
	if (!rc)
		rc = find_group("readGroup", config->read_group, &config->read_gid, error);
	if (rc)
		return rc;
	/* The socket has one group; members of the other come in as "others" and are told apart by
	 * their credentials. */
	if (config->socket_mode == CONFIG_NO_MODE)
		config->socket_mode = config->read_group[0] ? 0666 : 0660;
	else if (config->read_group[0] && !(config->socket_mode & 0002) &&
	         config->read_gid != config->socket_gid)
		return config_fail(error, "socketMode",
		        "%04o keeps members of readGroup from connecting: leave it out or set"
		        " \"0666\" (who may call what is decided by the peer's groups)",
		        config->socket_mode);
	return 0;
}

static const char *text_of(const cJSON *object, const char *name)
{
	const cJSON *item = cJSON_GetObjectItemCaseSensitive(object, name);

	return cJSON_IsString(item) ? item->valuestring : "";
}

static bool named_before(const cJSON *array, const cJSON *until, const char *name)
{
	const cJSON *item;

	cJSON_ArrayForEach (item, array) {
		if (item == until)
			break;
		if (!strcmp(text_of(item, "name"), name))
			return true;
	}
	return false;
}

static int check_one(const char *kind, int i, const struct verb *verb, const cJSON *item,
        struct config_error *error)
{
	struct verb_error fault = {0};
	char field[128];

	snprintf(field, sizeof(field), "%s[%d]", kind, i);
	if (!cJSON_IsObject(item))
		return config_fail(error, field, "must be an object");
	if (!verb_check(verb, item, &fault))
		return 0;
	if (fault.field[0])
		snprintf(field, sizeof(field), "%s[%d].%.100s", kind, i, fault.field);
	return config_fail(error, field, "%s", fault.message);
}

static int check_port(const char *kind, int i, const char *member, const char *port,
        const struct daemon_config *config, struct config_error *error)
{
	char field[128];

	if (!port[0] || named_before(config->ports, NULL, port))
		return 0;
	snprintf(field, sizeof(field), "%s[%d].%s", kind, i, member);
	return config_fail(error, field,
	        "ports of this file has no \"%s\": objects of the file refer to the file's own",
	        port);
}

static int check_nexthops(const char *kind, int i, const cJSON *item,
        const struct daemon_config *config, struct config_error *error)
{
	const cJSON *hop;
	char member[32];
	int k = 0, rc = 0;

	cJSON_ArrayForEach (hop, cJSON_GetObjectItemCaseSensitive(item, "nexthops")) {
		snprintf(member, sizeof(member), "nexthops[%d].port", k++);
		rc = rc ? rc : check_port(kind, i, member, text_of(hop, "port"), config, error);
	}
	return rc;
}

/* kind: the array's name; method: what adds one. Objects of the file refer to each other only. */
static int check_array(const cJSON *array, const char *kind, const char *method,
        const struct daemon_config *config, struct config_error *error)
{
	const struct verb *verb = verb_find(method, NULL);
	const cJSON *item;
	char field[128];
	int rc, i = 0;

	cJSON_ArrayForEach (item, array) {
		const char *name = text_of(item, "name"), *network = text_of(item, "network");

		rc = check_one(kind, i, verb, item, error);
		if (rc)
			return rc;
		snprintf(field, sizeof(field), "%s[%d].name", kind, i);
		if (name[0] && named_before(array, item, name))
			return config_fail(error, field, "\"%s\" is there twice", name);
		snprintf(field, sizeof(field), "%s[%d].network", kind, i);
		if (network[0] && !named_before(config->networks, NULL, network))
			return config_fail(error, field,
			        "networks of this file has no \"%s\": objects of the file refer to"
			        " the file's own",
			        network);
		rc = check_port(kind, i, "port", text_of(item, "port"), config, error);
		if (!rc)
			rc = check_nexthops(kind, i, item, config, error);
		if (rc)
			return rc;
		i++;
	}
	return 0;
}

int config_check_objects(struct daemon_config *config, struct config_error *error)
{
	int rc;

	rc = check_array(config->networks, "networks", "network.add", config, error);
	if (!rc)
		rc = check_array(config->ports, "ports", "port.add", config, error);
	if (!rc)
		rc = check_array(config->routes, "routes", "route.add", config, error);
	return rc;
}

/* ---- config.show ---- */

static void show_limits(cJSON *json, const struct dp_config *dp)
{
	cJSON *limits = cJSON_AddObjectToObject(json, "limits");

	cJSON_AddNumberToObject(limits, "routes", dp->max_routes);
	cJSON_AddNumberToObject(limits, "routes6", dp->max_routes6);
	cJSON_AddNumberToObject(limits, "fibNodes", dp->max_fib_nodes);
	cJSON_AddNumberToObject(limits, "macs", dp->max_fdb);
	cJSON_AddNumberToObject(limits, "neighbours", dp->max_neighbours);
	cJSON_AddNumberToObject(limits, "multicastGroups", dp->max_multicast);
	cJSON_AddNumberToObject(limits, "reassemblyDatagrams", dp->max_reassemblies);
	cJSON_AddNumberToObject(limits, "reassemblyBytes", dp->max_reassembly_bytes);
	cJSON_AddNumberToObject(limits, "groups", dp->max_groups);
	cJSON_AddNumberToObject(limits, "mbufs", dp->mbufs);
}

static void show_array(cJSON *json, const char *name, const cJSON *array)
{
	cJSON *copy = array ? cJSON_Duplicate(array, 1) : cJSON_CreateArray();

	if (copy && !cJSON_AddItemToObject(json, name, copy))
		cJSON_Delete(copy);
}

static const char *level_name(int priority)
{
	for (unsigned i = 0; config_levels[i].name; i++)
		if (config_levels[i].priority == priority)
			return config_levels[i].name;
	return "info";
}

cJSON *config_show(const struct daemon_config *config)
{
	cJSON *json = cJSON_CreateObject();
	cJSON *workers;
	char mode[8];

	cJSON_AddStringToObject(json, "runDir", config->run_dir);
	cJSON_AddStringToObject(json, "stateDir", config->state_dir);
	workers = cJSON_AddArrayToObject(json, "workers");
	for (unsigned i = 0; i < config->dp.n_workers; i++)
		cJSON_AddItemToArray(workers, cJSON_CreateNumber(config->dp.worker_cpu[i]));
	cJSON_AddNumberToObject(json, "controlCpu", config->dp.control_cpu);
	cJSON_AddStringToObject(json, "idle", config->dp.idle == DP_IDLE_SLEEP ? "sleep" : "poll");
	cJSON_AddNumberToObject(json, "rebalance", config->rebalance);
	cJSON_AddNumberToObject(json, "memory", config->dp.memory_mib);
	cJSON_AddBoolToObject(json, "hugepages", !config->dp.no_huge);
	cJSON_AddStringToObject(json, "socketGroup", config->socket_group);
	snprintf(mode, sizeof(mode), "%04o", config->socket_mode & 0777);
	cJSON_AddStringToObject(json, "socketMode", mode);
	cJSON_AddStringToObject(json, "readGroup", config->read_group);
	cJSON_AddBoolToObject(json, "durable", config->durable);
	cJSON_AddStringToObject(json, "logLevel", level_name(config->log_level));
	show_limits(json, &config->dp);
	show_array(json, "networks", config->networks);
	show_array(json, "ports", config->ports);
	show_array(json, "routes", config->routes);
	return json;
}
