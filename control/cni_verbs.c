/* SPDX-License-Identifier: BSD-3-Clause */
/* What the CNI plugin's STATUS and GC need, and the end of ports whose pod is gone. */
#include "control/object.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <syslog.h>

/* ---- cni.status ---- */

/* A routed network whose uplinks are all down leads nowhere; one without uplinks is no fault. */
static const struct port *uplinks_down(const struct network *network)
{
	const struct port *down = NULL;

	for (uint16_t i = 0; i < PR_PORTS_MAX; i++) {
		const struct port *port = port_by_index(i);
		struct dp_port_state state = {0};

		if (!port || port->network != network || port->spec.kind != DP_PORT_ETH)
			continue;
		dp_port_state(i, &state);
		if (state.up)
			return NULL;
		down = port;
	}
	return down;
}

static void status_of_networks(const cJSON *names, char *reason, size_t size)
{
	const cJSON *name;

	cJSON_ArrayForEach (name, names) {
		const struct network *network = network_find(cJSON_GetStringValue(name));
		const struct port *down = network ? uplinks_down(network) : NULL;

		if (!network)
			snprintf(reason, size, "there is no network \"%s\"",
			        cJSON_GetStringValue(name));
		else if (down)
			snprintf(reason, size, "uplink \"%s\" of network \"%s\" is down",
			        down->spec.name, network->spec.name);
		if (*reason)
			return;
	}
}

int cni_status(struct request *request)
{
	struct dp_totals *totals = calloc(1, sizeof(*totals));
	uint64_t ports_free, mbufs_free;
	char reason[256] = "";

	if (!totals)
		return request_fail(request, PR_ERR_INTERNAL, NULL, "out of memory");
	dp_totals(totals);
	ports_free = totals->ports.size - totals->ports.used;
	mbufs_free = totals->mbufs.size - totals->mbufs.used;
	free(totals);
	if (!ports_free)
		snprintf(reason, sizeof(reason), "no port is free");
	else if (!mbufs_free)
		snprintf(reason, sizeof(reason), "no packet buffer is free");
	else
		status_of_networks(json_array(request->params, "networks"), reason, sizeof(reason));
	cJSON_AddBoolToObject(request->result, "ready", !*reason);
	json_add_u64(request->result, "portsFree", ports_free);
	cJSON_AddStringToObject(request->result, "reason", reason);
	return 0;
}

/* ---- cni.gc ---- */

static char *attachment_key(const char *container, const char *ifname)
{
	char *key = NULL;

	/* CNI ids and interface names hold no space. */
	return asprintf(&key, "%s %s", container, ifname) < 0 ? NULL : key;
}

static int collect_attachments(const cJSON *list, struct map *valid)
{
	const cJSON *item;

	cJSON_ArrayForEach (item, list) {
		char *key = attachment_key(
		        json_string(item, "containerId", ""), json_string(item, "ifname", ""));

		if (!key)
			return -ENOMEM;
		if (map_get(valid, key)) {
			free(key);
		} else if (map_put(valid, key, key)) {
			free(key);
			return -ENOMEM;
		}
	}
	return 0;
}

/* Of that CNI network and not listed. */
static bool leftover(const struct port *port, const char *network, const struct map *valid)
{
	const cJSON *cni = port_cni(port);
	bool listed;
	char *key;

	if (!cni || strcmp(json_string(cni, "networkName", ""), network))
		return false;
	key = attachment_key(json_string(cni, "containerId", ""), json_string(cni, "ifname", ""));
	listed = !key || map_get(valid, key);
	free(key);
	return !listed;
}

int cni_gc(struct request *request)
{
	const char *network = json_string(request->params, "network", "");
	cJSON *removed = cJSON_AddArrayToObject(request->result, "removed");
	struct map valid = {0};
	struct port **ports;
	int rc = 0;
	size_t n;

	if (collect_attachments(json_array(request->params, "attachments"), &valid)) {
		map_clear(&valid, free);
		return request_fail(request, PR_ERR_INTERNAL, NULL, "out of memory");
	}
	ports = port_sorted(&n);
	for (size_t i = 0; i < n && !rc; i++) {
		cJSON *name = cJSON_CreateString(ports[i]->spec.name);

		if (leftover(ports[i], network, &valid)) {
			rc = port_remove(request, ports[i]);
			cJSON_AddItemToArray(removed, name);
		} else {
			cJSON_Delete(name);
		}
	}
	free(ports);
	map_clear(&valid, free);
	return rc;
}

/* ---- ports whose pod is gone ---- */

#define TICK_PORTS 64 /* ports looked at in a second */

static bool path_gone(const char *path)
{
	struct stat status;

	return stat(path, &status) && (errno == ENOENT || errno == ENOTDIR);
}

bool cni_pod_gone(const cJSON *port)
{
	const cJSON *cni = json_member(port, "cni");
	const char *netns = json_string(cni, "netns", "");
	const char *directory = json_string(cni, "socketDirectory", "");
	const char *socket = json_string(port, "socket", "");
	char parent[sizeof(((struct dp_port_spec *)0)->socket)];

	if (!*directory) {
		const char *slash = strrchr(socket, '/');

		snprintf(parent, sizeof(parent), "%.*s", slash ? (int)(slash - socket) : 0, socket);
		directory = parent;
	}
	/* Where nothing is known, nothing can be said to be gone. */
	return cni && *netns && *directory && path_gone(netns) && path_gone(directory);
}

static void remove_gone(struct port *port)
{
	struct request request = {.result = cJSON_CreateObject()};
	char name[PR_NAME_MAX + 1];
	int rc;

	strcpy(name, port->spec.name);
	rc = state_begin();
	if (rc) {
		cJSON_Delete(request.result);
		return;
	}
	rc = port_remove(&request, port);
	if (rc)
		state_rollback();
	else
		rc = state_commit();
	if (rc)
		log_message(LOG_WARNING, "port %s, whose pod is gone, can not be removed: %s", name,
		        request.message[0] ? request.message : "the state could not be stored");
	else
		log_message(LOG_NOTICE,
		        "port %s removed: its pod's namespace and directory are gone", name);
	cJSON_Delete(request.result);
}

void objects_tick(void)
{
	static uint16_t next;

	for (unsigned seen = 0, i = 0; seen < TICK_PORTS && i < PR_PORTS_MAX; i++) {
		struct port *port = port_by_index(next);

		next = (uint16_t)((next + 1) % PR_PORTS_MAX);
		if (!port || !port_cni(port))
			continue;
		seen++;
		if (cni_pod_gone(port->body))
			remove_gone(port);
	}
}
