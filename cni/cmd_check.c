/* SPDX-License-Identifier: BSD-3-Clause */
#include "cni/commands.h"

#include <strings.h>
#include <unistd.h>

#include "cni/ipam.h"
#include "cni/port.h"
#include "cni/result.h"

static const cJSON *get(const cJSON *object, const char *key)
{
	return cJSON_GetObjectItemCaseSensitive(object, key);
}

static const char *get_text(const cJSON *object, const char *key)
{
	const char *text = cJSON_GetStringValue(get(object, key));

	return text ? text : "";
}

/* Ours is the interface of that name in that sandbox; plugins after us may have added others.
 * Returns its index, or -1. */
static int find_interface(const struct cni_env *env, const cJSON *prev, const cJSON **found)
{
	const cJSON *interface;
	int index = 0;

	cJSON_ArrayForEach (interface, get(prev, "interfaces")) {
		if (!strcmp(get_text(interface, "name"), env->ifname) &&
		        !strcmp(get_text(interface, "sandbox"), env->netns)) {
			*found = interface;
			return index;
		}
		index++;
	}
	return -1;
}

static bool has_address(const cJSON *port, const char *address)
{
	struct pr_prefix wanted, have;
	const cJSON *item;

	if (pr_prefix_parse(address, &wanted))
		return false;
	cJSON_ArrayForEach (item, get(port, "addresses")) {
		if (cJSON_IsString(item) && !pr_prefix_parse(item->valuestring, &have) &&
		        pr_ip_equal(&wanted.addr, &have.addr))
			return true;
	}
	return false;
}

static int check_addresses(const struct cni_env *env, const cJSON *port, const cJSON *prev,
        int index, struct cni_error *err)
{
	const cJSON *ip;

	cJSON_ArrayForEach (ip, get(prev, "ips")) {
		const cJSON *interface = get(ip, "interface");

		if (interface && interface->valueint != index)
			continue;
		if (!has_address(port, get_text(ip, "address")))
			return cni_fail(err, CNI_ERR_CHECK,
			        "Failed to match addr %s on interface %s: port %s does not have it",
			        get_text(ip, "address"), env->ifname, env->port);
	}
	return 0;
}

static int compare(const struct cni_env *env, const struct cni_netconf *conf, const cJSON *port,
        const cJSON *prev, struct cni_error *err)
{
	const cJSON *interface = NULL;
	int index = find_interface(env, prev, &interface);

	if (index < 0)
		return cni_fail(err, CNI_ERR_CHECK,
		        "Interface %s missing from prevResult: no such name with sandbox %s",
		        env->ifname, env->netns);
	if (strcmp(get_text(get(port, "cni"), "containerId"), env->container_id))
		return cni_fail(
		        err, CNI_ERR_CHECK, "port %s belongs to another container", env->port);
	if (strcmp(get_text(port, "network"), conf->network))
		return cni_fail(err, CNI_ERR_CHECK, "port %s is in network %s, not in %s",
		        env->port, get_text(port, "network"), conf->network);
	if (get(interface, "mac") && strcasecmp(get_text(interface, "mac"), get_text(port, "mac")))
		return cni_fail(err, CNI_ERR_CHECK,
		        "Interface %s Mac %s doesn't match prevResult Mac: %s", env->ifname,
		        get_text(port, "mac"), get_text(interface, "mac"));
	return check_addresses(env, port, prev, index, err);
}

static int check_port(const struct cni_env *env, const struct cni_netconf *conf, const cJSON *prev,
        struct cni_error *err)
{
	struct pr_client_error error;
	cJSON *params, *answer;
	struct pr_client *client = pr_client_open(conf->daemon_socket, CNI_DAEMON_TIMEOUT, &error);
	int ret;

	if (!client)
		return cni_daemon_error(&error, "podraild", err);
	params = cJSON_CreateObject();
	cJSON_AddStringToObject(params, "name", env->port);
	answer = pr_client_call(client, "port.show", params, &error);
	if (answer) {
		ret = compare(env, conf, get(answer, "port"), prev, err);
	} else {
		ret = cni_daemon_error(&error, "port", err);
		/* the configuration is not to blame here */
		if (err->code == CNI_ERR_CONFIG)
			err->code = CNI_ERR_CHECK;
	}
	cJSON_Delete(answer);
	pr_client_close(client);
	return ret;
}

/* The socket may be missing: in client mode the application makes it when it likes. */
static int check_directory(
        const struct cni_env *env, const struct cni_netconf *conf, struct cni_error *err)
{
	struct cni_attachment att;
	int run = cni_run_open(conf, false), fd, ret;

	ret = run < 0 ? -ENOENT : cni_attachment_load(&att, run, env->port);
	if (run >= 0)
		close(run);
	if (ret && cni_attachment_plan(&att, env, conf, err))
		return -EINVAL;
	fd = cni_dir_open(&att.dir);
	ret = fd < 0 ? cni_fail(err, CNI_ERR_CHECK, "socket directory %s/%s: %s", att.dir.base,
	                       att.dir.below, strerror(-fd))
	             : 0;
	if (fd >= 0)
		close(fd);
	cni_attachment_free(&att);
	return ret;
}

int cni_cmd_check(const struct cni_env *env, const struct cni_netconf *conf, struct cni_error *err)
{
	cJSON *prev;
	int ret;

	if (!conf->prev_result)
		return cni_fail(err, CNI_ERR_CONFIG, "Required prevResult missing");
	if (cni_netns_check(env, err))
		return -EINVAL;
	prev = cni_result_import(conf->prev_result, conf->version, "prevResult", err);
	if (!prev)
		return -EINVAL;
	ret = check_port(env, conf, prev, err);
	ret = ret ? ret : check_directory(env, conf, err);
	cJSON_Delete(prev);
	return ret || !conf->ipam ? ret : cni_ipam_run(env, conf, "CHECK", err);
}
