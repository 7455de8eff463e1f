/* SPDX-License-Identifier: BSD-3-Clause */
#include "cni/commands.h"

#include "cni/ipam.h"
#include "cni/port.h"

static int judge(const cJSON *answer, struct cni_error *err)
{
	const char *reason =
	        cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(answer, "reason"));
	const cJSON *free_ports = cJSON_GetObjectItemCaseSensitive(answer, "portsFree");

	if (cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(answer, "ready")))
		return 0;
	/* no room for more pods is no trouble of those that run; anything else may be */
	if (cJSON_IsNumber(free_ports) && free_ports->valueint == 0)
		return cni_fail(err, CNI_ERR_UNAVAILABLE, "podraild: %s",
		        reason && reason[0] ? reason : "no port is free");
	return cni_fail(err, CNI_ERR_LIMITED, "podraild is not ready: %s",
	        reason && reason[0] ? reason : "no reason given");
}

static int ask_daemon(const struct cni_netconf *conf, struct cni_error *err)
{
	struct pr_client_error error;
	struct pr_client *client = pr_client_open(conf->daemon_socket, CNI_DAEMON_TIMEOUT, &error);
	cJSON *params, *networks, *answer = NULL;
	int ret;

	if (client) {
		params = cJSON_CreateObject();
		networks = cJSON_AddArrayToObject(params, "networks");
		cJSON_AddItemToArray(networks, cJSON_CreateString(conf->network));
		answer = pr_client_call(client, "cni.status", params, &error);
	}
	if (answer) {
		ret = judge(answer, err);
	} else {
		ret = cni_daemon_error(&error, "podraild", err);
		err->code = CNI_ERR_UNAVAILABLE;
	}
	cJSON_Delete(answer);
	pr_client_close(client);
	return ret;
}

int cni_cmd_status(const struct cni_env *env, const struct cni_netconf *conf, struct cni_error *err)
{
	char path[CNI_PATH_SIZE];

	if (ask_daemon(conf, err))
		return -EINVAL;
	if (!conf->ipam)
		return 0;
	if (cni_ipam_find(env, conf, path, err)) {
		err->code = CNI_ERR_UNAVAILABLE;
		return -EINVAL;
	}
	return cni_ipam_speaks_latest(env, conf) ? cni_ipam_run(env, conf, "STATUS", err) : 0;
}
