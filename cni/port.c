/* SPDX-License-Identifier: BSD-3-Clause */
#include "cni/port.h"

#include <time.h>

#include "podrail/protocol.h"

#define ERRNO_MAX 4095

bool cni_daemon_gone(const struct pr_client_error *error)
{
	return error->code >= -ERRNO_MAX && error->code < 0;
}

int cni_daemon_error(const struct pr_client_error *error, const char *doing, struct cni_error *err)
{
	static const struct {
		int daemon, cni;
	} codes[] = {
	        {PR_ERR_PARAMS, CNI_ERR_CONFIG},
	        {PR_ERR_NOT_FOUND, CNI_ERR_CONFIG},
	        {PR_ERR_EXISTS, CNI_ERR_EXISTS},
	        {PR_ERR_CONFLICT, CNI_ERR_CONFLICT},
	        {PR_ERR_IN_USE, CNI_ERR_CONFLICT},
	        {PR_ERR_FULL, CNI_ERR_FULL},
	        {PR_ERR_UNUSABLE, CNI_ERR_UNUSABLE},
	        {PR_ERR_DENIED, CNI_ERR_DENIED},
	        {PR_ERR_BUSY, CNI_ERR_TRY_LATER},
	        {PR_ERR_STORAGE, CNI_ERR_IO},
	};
	int code = cni_daemon_gone(error) ? CNI_ERR_TRY_LATER : CNI_ERR_INTERNAL;

	for (size_t i = 0; i < sizeof(codes) / sizeof(codes[0]); i++)
		if (codes[i].daemon == error->code)
			code = codes[i].cni;
	cni_fail(err, code, "%s: %s", doing, error->message);
	if (error->field[0])
		cni_fail_details(err, "field %s", error->field);
	return -EINVAL;
}

static const char *get(const cJSON *object, const char *key)
{
	const char *text = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(object, key));

	return text ? text : "";
}

struct pr_client *cni_network_ask(
        const char *daemon_socket, const char *network, struct cni_error *err)
{
	cJSON *params = cJSON_CreateObject();
	struct pr_client_error error;
	struct pr_client *client;

	cJSON_AddStringToObject(params, "name", network);
	client = pr_client_start(daemon_socket, CNI_DAEMON_TIMEOUT, "network.show", params, &error);
	if (!client)
		cni_daemon_error(&error, "podraild", err);
	return client;
}

int cni_network_answer(struct pr_client *client, bool *routed, struct cni_error *err)
{
	struct pr_client_error error;
	cJSON *answer = pr_client_started(client, &error);

	if (!answer)
		return cni_daemon_error(
		        &error, cni_daemon_gone(&error) ? "podraild" : "network", err);
	*routed =
	        !strcmp(get(cJSON_GetObjectItemCaseSensitive(answer, "network"), "mode"), "routed");
	cJSON_Delete(answer);
	return 0;
}

int cni_port_exists(struct pr_client *client, const char *port, struct cni_error *err)
{
	struct pr_client_error error;
	cJSON *params = cJSON_CreateObject(), *answer;

	cJSON_AddStringToObject(params, "name", port);
	answer = pr_client_call(client, "port.show", params, &error);
	if (!answer && error.code == PR_ERR_NOT_FOUND)
		return 0;
	if (!answer)
		return cni_daemon_error(&error, "port", err);
	cJSON_Delete(answer);
	return 1;
}

void cni_socket_path(const struct cni_attachment *att, char path[CNI_PATH_SIZE])
{
	snprintf(path, CNI_PATH_SIZE, "%s/%s/%s", att->dir.base, att->dir.below, att->socket_name);
}

static cJSON *cni_member(const struct cni_env *env, const struct cni_attachment *att)
{
	cJSON *cni = cJSON_CreateObject();
	char directory[CNI_PATH_SIZE];

	snprintf(directory, sizeof(directory), "%s/%s", att->dir.base, att->dir.below);
	cJSON_AddStringToObject(cni, "containerId", att->container_id);
	cJSON_AddStringToObject(cni, "ifname", att->ifname);
	cJSON_AddStringToObject(cni, "netns", env->netns);
	cJSON_AddStringToObject(cni, "podNamespace", env->pod_namespace);
	cJSON_AddStringToObject(cni, "podName", env->pod_name);
	cJSON_AddStringToObject(cni, "podUid", env->pod_uid);
	cJSON_AddStringToObject(cni, "networkName", att->network);
	cJSON_AddStringToObject(cni, "socketDirectory", directory);
	cJSON_AddNumberToObject(cni, "created", (double)time(NULL));
	return cni;
}

static void add_options(cJSON *params, const struct cni_netconf *conf)
{
	char mac[PR_MAC_STRLEN];

	if (conf->mtu)
		cJSON_AddNumberToObject(params, "mtu", conf->mtu);
	if (!pr_mac_is_zero(&conf->mac))
		cJSON_AddStringToObject(params, "mac", pr_mac_format(&conf->mac, mac));
	if (conf->vlan)
		cJSON_AddNumberToObject(params, "vlan", conf->vlan);
	if (conf->trunk)
		cJSON_AddItemToObject(params, "trunk", cJSON_Duplicate(conf->trunk, true));
	if (conf->isolated)
		cJSON_AddTrueToObject(params, "isolated");
	if (conf->flood_rate >= 0)
		cJSON_AddNumberToObject(params, "floodRate", conf->flood_rate);
	if (conf->queues)
		cJSON_AddNumberToObject(params, "queues", conf->queues);
	if (conf->trust)
		cJSON_AddTrueToObject(params, "trust");
	if (conf->allowed_prefixes)
		cJSON_AddItemToObject(
		        params, "allowedPrefixes", cJSON_Duplicate(conf->allowed_prefixes, true));
	if (conf->allowed_macs)
		cJSON_AddItemToObject(
		        params, "allowedMacs", cJSON_Duplicate(conf->allowed_macs, true));
}

cJSON *cni_port_params(const struct cni_env *env, const struct cni_netconf *conf,
        const struct cni_attachment *att, const cJSON *addresses, gid_t gid)
{
	cJSON *params = cJSON_CreateObject();
	char path[CNI_PATH_SIZE];
	const cJSON *ip;

	cni_socket_path(att, path);
	cJSON_AddStringToObject(params, "name", att->port);
	cJSON_AddStringToObject(params, "kind", "vhost-user");
	cJSON_AddStringToObject(params, "network", conf->network);
	cJSON_AddStringToObject(params, "socket", path);
	cJSON_AddStringToObject(params, "mode", conf->server ? "server" : "client");
	if (conf->server && gid)
		cJSON_AddNumberToObject(params, "socketGroup", gid);
	add_options(params, conf);
	if (addresses) {
		cJSON *to = cJSON_AddArrayToObject(params, "addresses");

		cJSON_ArrayForEach (ip, cJSON_GetObjectItemCaseSensitive(addresses, "ips"))
			cJSON_AddItemToArray(to, cJSON_CreateString(get(ip, "address")));
	}
	cJSON_AddItemToObject(params, "cni", cni_member(env, att));
	return params;
}

cJSON *cni_port_add(struct pr_client *client, cJSON *params, bool *unknown, struct cni_error *err)
{
	struct pr_client_error error;
	cJSON *answer = pr_client_call(client, "port.add", params, &error), *port;

	*unknown = false;
	if (!answer) {
		*unknown = cni_daemon_gone(&error) || error.code == PR_ERR_INTERNAL;
		cni_daemon_error(&error, "port", err);
		return NULL;
	}
	port = cJSON_DetachItemFromObjectCaseSensitive(answer, "port");
	if (!cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(answer, "created"))) {
		cni_fail(err, CNI_ERR_EXISTS, "port %s exists already", get(port, "name"));
		cJSON_Delete(port);
		port = NULL;
	} else if (!cJSON_IsObject(port)) {
		*unknown = true;
		cni_fail(err, CNI_ERR_INTERNAL, "port: the daemon's answer holds no port");
		cJSON_Delete(port);
		port = NULL;
	}
	cJSON_Delete(answer);
	return port;
}

int cni_port_del(const struct cni_netconf *conf, struct pr_client *client, const char *port,
        const char *container_id, struct cni_error *err)
{
	struct pr_client *opened = NULL;
	struct pr_client_error error;
	cJSON *params, *answer;

	if (!client)
		client = opened =
		        pr_client_open(conf->daemon_socket, CNI_DAEMON_TIMEOUT / 2, &error);
	if (!client)
		return cni_daemon_gone(&error) || error.code == PR_ERR_BUSY
		               ? -ENOTCONN
		               : cni_daemon_error(&error, "port", err);
	params = cJSON_CreateObject();
	cJSON_AddStringToObject(params, "name", port);
	cJSON_AddStringToObject(params, "cniContainerId", container_id);
	answer = pr_client_call(client, "port.del", params, &error);
	cJSON_Delete(answer);
	pr_client_close(opened);
	if (answer || error.code == PR_ERR_NOT_FOUND)
		return 0;
	if (cni_daemon_gone(&error) || error.code == PR_ERR_BUSY)
		return -ENOTCONN;
	return cni_daemon_error(&error, "port", err);
}
