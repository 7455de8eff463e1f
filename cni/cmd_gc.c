/* SPDX-License-Identifier: BSD-3-Clause */
#include "cni/commands.h"

#include <unistd.h>

#include "cni/ipam.h"
#include "cni/ipam_own.h"
#include "cni/leases.h"
#include "cni/port.h"
#include "cni/tombstone.h"
#include "podrail/protocol.h"

/* SPEC.md 1.1.0, "GC": go on after errors, report them at the end (the first one here). */
struct gc {
	const struct cni_env *env;
	const struct cni_netconf *conf;
	const cJSON *valid; /* array, or null for an empty one */
	struct cni_error first;
	bool failed;
	bool daemon_gone;
	bool daemon_refused;
	int run;
	cJSON *stale; /* names of ports */
};

static void keep_error(struct gc *gc, const struct cni_error *err)
{
	if (gc->failed)
		cni_log("%s", err->msg);
	else
		gc->first = *err;
	gc->failed = true;
}

static const char *get(const cJSON *object, const char *key)
{
	const char *text = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(object, key));

	return text ? text : "";
}

/* An empty interface name (an old reservation without one) matches any of the container's. */
static bool is_valid(const struct gc *gc, const char *container_id, const char *ifname)
{
	const cJSON *entry;

	cJSON_ArrayForEach (entry, gc->valid) {
		if (!strcmp(get(entry, "containerID"), container_id) &&
		        (!ifname[0] || !strcmp(get(entry, "ifname"), ifname)))
			return true;
	}
	return false;
}

/* A list that is missing or damaged must not be taken for "nothing is valid". */
static int read_valid(struct gc *gc, struct cni_error *err)
{
	const cJSON *root = gc->conf->root, *entry;

	gc->valid = cJSON_GetObjectItemCaseSensitive(root, "cni.dev/valid-attachments");
	if (!gc->valid) /* the name in the first text of 1.1.0 */
		gc->valid = cJSON_GetObjectItemCaseSensitive(root, "cni.dev/attachments");
	if (!gc->valid)
		return cni_fail(err, CNI_ERR_CONFIG, "cni.dev/valid-attachments is missing");
	if (!cJSON_IsArray(gc->valid) && !cJSON_IsNull(gc->valid))
		return cni_fail(err, CNI_ERR_CONFIG, "cni.dev/valid-attachments is not an array");
	cJSON_ArrayForEach (entry, gc->valid) {
		if (!cni_container_id_valid(get(entry, "containerID")) ||
		        !cni_ifname_valid(get(entry, "ifname")))
			return cni_fail(err, CNI_ERR_CONFIG,
			        "cni.dev/valid-attachments: an entry has no valid containerID and "
			        "ifname");
	}
	return 0;
}

static cJSON *gc_params(const struct gc *gc)
{
	cJSON *params = cJSON_CreateObject(), *list;
	const cJSON *entry;

	cJSON_AddStringToObject(params, "network", gc->conf->name);
	list = cJSON_AddArrayToObject(params, "attachments");
	cJSON_ArrayForEach (entry, gc->valid) {
		cJSON *copy = cJSON_CreateObject();

		cJSON_AddStringToObject(copy, "containerId", get(entry, "containerID"));
		cJSON_AddStringToObject(copy, "ifname", get(entry, "ifname"));
		cJSON_AddItemToArray(list, copy);
	}
	return params;
}

static void sweep_daemon(struct gc *gc)
{
	struct pr_client_error error;
	struct pr_client *client =
	        pr_client_open(gc->conf->daemon_socket, CNI_DAEMON_TIMEOUT, &error);
	cJSON *answer = client ? pr_client_call(client, "cni.gc", gc_params(gc), &error) : NULL;
	struct cni_error err;

	pr_client_close(client);
	if (!answer) {
		gc->daemon_gone = cni_daemon_gone(&error) || error.code == PR_ERR_BUSY;
		gc->daemon_refused = !gc->daemon_gone;
		cni_daemon_error(&error, "podraild", &err);
		keep_error(gc, &err);
	}
	cJSON_Delete(answer);
}

static int note_stale(const char *port, void *data)
{
	struct gc *gc = data;
	struct cni_attachment att;

	if (!cni_attachment_load(&att, gc->run, port) && !strcmp(att.network, gc->conf->name) &&
	        !is_valid(gc, att.container_id, att.ifname))
		cJSON_AddItemToArray(gc->stale, cJSON_CreateString(port));
	cni_attachment_free(&att);
	return 0;
}

/* Without the daemon the port would be back at its next start. */
static bool port_is_gone(struct gc *gc, const char *port, const char *container_id)
{
	struct cni_error err;

	if (gc->daemon_refused)
		return false;
	if (!gc->daemon_gone)
		return true;
	if (!cni_tombstone_write(gc->conf, port, container_id, &err))
		return true;
	keep_error(gc, &err);
	return false;
}

static void remove_attachment(struct gc *gc, const char *port)
{
	char id_prefix[CNI_ID_PREFIX + 1];
	struct cni_attachment att;
	int lock, ret;

	if (cni_attachment_load(&att, gc->run, port))
		goto out;
	snprintf(id_prefix, sizeof(id_prefix), "%s", att.container_id);
	lock = cni_lock(gc->run, id_prefix, CNI_LOCK_TIMEOUT);
	if (lock < 0) {
		cni_log("port %s: %s", port, strerror(-lock));
		goto out;
	}
	if (port_is_gone(gc, port, att.container_id)) {
		ret = cni_attachment_clean(&att, gc->run);
		if (ret)
			cni_log("files of port %s: %s", port, strerror(-ret));
		cni_attachment_forget(gc->run, port);
	}
	cni_unlock(gc->run, id_prefix, lock);
out:
	cni_attachment_free(&att);
}

static void sweep_records(struct gc *gc)
{
	const cJSON *port;

	gc->run = cni_run_open(gc->conf, false);
	if (gc->run < 0)
		return;
	gc->stale = cJSON_CreateArray();
	cni_attachment_each(gc->run, note_stale, gc);
	cJSON_ArrayForEach (port, gc->stale)
		remove_attachment(gc, port->valuestring);
	cJSON_Delete(gc->stale);
	close(gc->run);
}

static bool reservation_is_stale(const char *container_id, const char *ifname, void *data)
{
	struct gc *gc = data;
	char port[CNI_NAME_SIZE];

	if (is_valid(gc, container_id, ifname))
		return false;
	cni_port_name(container_id, ifname, port);
	return port_is_gone(gc, port, container_id);
}

static void sweep_addresses(struct gc *gc)
{
	struct cni_error err;
	int ret = 0;

	if (!gc->conf->ipam)
		return;
	if (!cni_ipam_is_own(gc->conf) && cni_ipam_speaks_latest(gc->env, gc->conf))
		ret = cni_ipam_run(gc->env, gc->conf, "GC", &err);
	else if (cni_ipam_is_own(gc->conf) || !strcmp(gc->conf->ipam, "host-local"))
		ret = cni_leases_gc(gc->conf, reservation_is_stale, gc, &err);
	if (ret)
		keep_error(gc, &err);
}

int cni_cmd_gc(const struct cni_env *env, const struct cni_netconf *conf, struct cni_error *err)
{
	struct gc gc = {.env = env, .conf = conf};

	if (read_valid(&gc, err))
		return -EINVAL;
	sweep_daemon(&gc);
	sweep_records(&gc);
	sweep_addresses(&gc);
	if (!gc.failed)
		return 0;
	*err = gc.first;
	return -EINVAL;
}
