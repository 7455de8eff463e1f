/* SPDX-License-Identifier: BSD-3-Clause */
#include "cni/commands.h"

#include <unistd.h>

#include "cni/ipam.h"
#include "cni/pod_info.h"
#include "cni/port.h"
#include "cni/result.h"
#include "cni/tombstone.h"

/* What one ADD has made so far; undo() takes it back in reverse. */
struct add {
	const struct cni_env *env;
	const struct cni_netconf *conf;
	struct pr_client *client;
	struct cni_attachment att;
	int run;
	int lock;
	int dir;
	gid_t gid;
	bool heard; /* network.show is answered */
	bool routed;
	bool recorded;
	bool made_port;
	bool asked_ipam;    /* some address may be reserved */
	bool has_addresses; /* and is */
	bool foreign;       /* an earlier port of that name lives: its files are not ours */
	struct cni_ipam_add asked;
	cJSON *ipam; /* inner form; NULL: none */
	cJSON *port; /* as the daemon has it */
	cJSON *prev; /* inner form; NULL: none */
};

/* From here on the daemon works while we do. */
static int ask_daemon(struct add *add, struct cni_error *err)
{
	if (!add->client)
		add->client = cni_network_ask(add->conf->daemon_socket, add->conf->network, err);
	return add->client ? 0 : -EINVAL;
}

static int hear_daemon(struct add *add, struct cni_error *err)
{
	if (add->heard)
		return 0;
	if (ask_daemon(add, err) || cni_network_answer(add->client, &add->routed, err))
		return -EINVAL;
	add->heard = true;
	if (add->routed && !add->conf->ipam)
		return cni_fail(err, CNI_ERR_CONFIG,
		        "ipam is missing: network \"%s\" is routed, its pods need addresses",
		        add->conf->network);
	return 0;
}

/* A record without a port is what a killed ADD left; with one, the interface exists. */
static int take_name(struct add *add, struct cni_error *err)
{
	struct cni_attachment earlier;
	int ret;

	add->run = cni_run_open(add->conf, true);
	if (add->run < 0)
		return cni_fail(err, CNI_ERR_IO, "run directory beside %s: %s",
		        add->conf->daemon_socket, strerror(-add->run));
	add->lock = cni_lock(add->run, add->env->id_prefix, CNI_LOCK_TIMEOUT);
	if (add->lock == -ETIMEDOUT)
		return cni_fail(
		        err, CNI_ERR_TRY_LATER, "another operation on this container is under way");
	if (add->lock < 0)
		return cni_fail(err, CNI_ERR_IO, "lock of the container: %s", strerror(-add->lock));
	ret = cni_attachment_load(&earlier, add->run, add->env->port);
	cni_attachment_free(&earlier);
	if (ret == -ENOENT)
		return 0;
	if (hear_daemon(add, err))
		return -EINVAL;
	ret = cni_port_exists(add->client, add->env->port, err);
	if (ret > 0)
		return cni_fail(err, CNI_ERR_EXISTS, "port %s exists already", add->env->port);
	return ret;
}

static int record(struct add *add, struct cni_error *err)
{
	int ret;

	if (cni_attachment_plan(&add->att, add->env, add->conf, err))
		return -EINVAL;
	ret = cni_attachment_save(&add->att, add->run);
	if (ret)
		return cni_fail(err, CNI_ERR_IO, "record of the attachment: %s", strerror(-ret));
	add->recorded = true;
	return 0;
}

static int ask_addresses(struct add *add, struct cni_error *err)
{
	if (!add->conf->ipam)
		return 0;
	/* no daemon, no addresses: it would only have to give them back */
	if (access(add->conf->daemon_socket, F_OK) && ask_daemon(add, err))
		return -EINVAL;
	if (cni_ipam_start(add->env, add->conf, &add->asked, err))
		return -EINVAL;
	add->asked_ipam = true;
	return 0;
}

static int make_directory(struct add *add, struct cni_error *err)
{
	add->dir = cni_dir_make(&add->att.dir, add->conf, &add->gid, err);
	return add->dir < 0 ? -EINVAL : 0;
}

static int get_addresses(struct add *add, struct cni_error *err)
{
	if (!add->asked.running)
		return 0;
	if (cni_ipam_finish(add->conf, &add->asked, &add->ipam, err))
		return -EINVAL;
	add->has_addresses = true;
	return 0;
}

static int make_port(struct add *add, struct cni_error *err)
{
	cJSON *params = cni_port_params(add->env, add->conf, &add->att, add->ipam, add->gid);

	add->port = cni_port_add(add->client, params, &add->made_port, err);
	add->foreign = !add->port && err->code == CNI_ERR_EXISTS;
	if (!add->port)
		return -EINVAL;
	add->made_port = true;
	return 0;
}

/* The daemon makes the port while the IPAM plugin, which has said its addresses, ends: that takes
 * as long. How it ends still decides, and comes first when both have failed. */
static int get_port(struct add *add, struct cni_error *err)
{
	struct cni_error refused;
	int ret;

	if (add->asked.running)
		add->ipam = cni_ipam_hear(add->conf, &add->asked);
	if (!add->ipam)
		return get_addresses(add, err) ? -EINVAL : make_port(add, err);
	ret = make_port(add, &refused);
	if (get_addresses(add, err))
		return -EINVAL;
	if (ret)
		*err = refused;
	return ret;
}

static bool is_ip4(const cJSON *object, const char *key)
{
	const char *text = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(object, key));

	return text && !strchr(text, ':');
}

static void add_route(cJSON *routes, const char *dst, const char *gw)
{
	cJSON *route = cJSON_CreateObject();

	cJSON_AddStringToObject(route, "dst", dst);
	if (gw)
		cJSON_AddStringToObject(route, "gw", gw);
	cJSON_AddItemToArray(routes, route);
}

/* A routed pod without a gateway from IPAM uses the one that every network has, on its link. */
static void complete_routes(const struct add *add, cJSON *result)
{
	cJSON *routes = cJSON_GetObjectItemCaseSensitive(result, "routes"), *ip;
	bool given[2] = {false, false};
	const cJSON *route;

	cJSON_ArrayForEach (route, routes)
		given[is_ip4(route, "dst")] = true;
	cJSON_ArrayForEach (ip, cJSON_GetObjectItemCaseSensitive(result, "ips")) {
		bool ip4 = is_ip4(ip, "address");
		const cJSON *gateway = cJSON_GetObjectItemCaseSensitive(ip, "gateway");

		if (!gateway && add->routed) {
			gateway = cJSON_AddStringToObject(
			        ip, "gateway", ip4 ? CNI_LINK_GATEWAY : CNI_LINK_GATEWAY6);
			if (ip4)
				add_route(routes, CNI_LINK_GATEWAY "/32", NULL);
		}
		if (gateway && !given[ip4] && (add->routed || add->conf->default_gateway)) {
			add_route(routes, ip4 ? "0.0.0.0/0" : "::/0", gateway->valuestring);
			given[ip4] = true;
		}
	}
}

static void add_interface(const struct add *add, cJSON *result)
{
	const cJSON *mac = cJSON_GetObjectItemCaseSensitive(add->port, "mac");
	const cJSON *mtu = cJSON_GetObjectItemCaseSensitive(add->port, "mtu");
	cJSON *interface = cJSON_CreateObject();
	char path[CNI_PATH_SIZE];

	cni_socket_path(&add->att, path);
	cJSON_AddStringToObject(interface, "name", add->att.ifname);
	if (cJSON_IsString(mac))
		cJSON_AddStringToObject(interface, "mac", mac->valuestring);
	if (cJSON_IsNumber(mtu))
		cJSON_AddNumberToObject(interface, "mtu", mtu->valueint);
	cJSON_AddStringToObject(interface, "sandbox", add->env->netns);
	cJSON_AddStringToObject(interface, "socketPath", path);
	cJSON_AddItemToArray(cJSON_GetObjectItemCaseSensitive(result, "interfaces"), interface);
}

/* Our part of the result: one interface, its addresses, its routes. */
static cJSON *own_result(const struct add *add)
{
	cJSON *result = cni_result_new(), *ip;

	if (add->ipam)
		cni_result_append(result, add->ipam);
	while (cJSON_GetObjectItemCaseSensitive(result, "interfaces")->child)
		cJSON_DeleteItemFromArray(
		        cJSON_GetObjectItemCaseSensitive(result, "interfaces"), 0);
	add_interface(add, result);
	cJSON_ArrayForEach (ip, cJSON_GetObjectItemCaseSensitive(result, "ips")) {
		cJSON_DeleteItemFromObjectCaseSensitive(ip, "interface");
		cJSON_AddNumberToObject(ip, "interface", 0);
	}
	complete_routes(add, result);
	if (add->conf->dns)
		cJSON_ReplaceItemInObjectCaseSensitive(
		        result, "dns", cJSON_Duplicate(add->conf->dns, true));
	return result;
}

static int tell_pod(struct add *add, const cJSON *result, struct cni_error *err)
{
	cJSON *info = cni_pod_info(add->conf, &add->att, add->port, result);
	int ret = cni_pod_info_write(add->dir, &add->att, info, err);

	cJSON_Delete(info);
	return ret ? ret : cni_device_info_write(add->conf, &add->att, err);
}

static int answer(struct add *add, cJSON *result, char **output, struct cni_error *err)
{
	cJSON *out;

	if (add->prev) {
		cni_result_append(add->prev, result);
		out = cni_result_export(add->prev, add->conf->version);
	} else {
		out = cni_result_export(result, add->conf->version);
	}
	*output = cJSON_PrintUnformatted(out);
	cJSON_Delete(out);
	return *output ? 0 : cni_fail(err, CNI_ERR_INTERNAL, "out of memory");
}

static int finish(struct add *add, char **output, struct cni_error *err)
{
	cJSON *result = own_result(add);
	int ret = tell_pod(add, result, err);

	ret = ret ? ret : answer(add, result, output, err);
	cJSON_Delete(result);
	return ret;
}

/* The record stays when a part could not be undone: the runtime's DEL tries again. */
static void undo(struct add *add)
{
	struct cni_error err;
	bool complete = true;
	int ret = 0;

	/* asked for and not heard of yet: it must have reserved before that is released */
	get_addresses(add, &err);
	if (add->made_port) {
		ret = cni_port_del(add->conf, NULL, add->env->port, add->env->container_id, &err);
		if (ret == -ENOTCONN)
			ret = cni_tombstone_write(
			        add->conf, add->env->port, add->env->container_id, &err);
		complete = !ret;
	}
	if (ret)
		cni_log("undoing ADD: %s", err.msg);
	if (add->asked_ipam && complete && cni_ipam_run(add->env, add->conf, "DEL", &err)) {
		cni_log("undoing ADD: %s", err.msg);
		/* one that refuses both has reserved nothing */
		complete = !add->has_addresses;
	}
	if (!add->recorded)
		return;
	ret = add->foreign ? 0 : cni_attachment_clean(&add->att, add->run);
	if (ret)
		cni_log("undoing ADD: files of the pod: %s", strerror(-ret));
	if (complete)
		cni_attachment_forget(add->run, add->env->port);
}

static int check_input(struct add *add, struct cni_error *err)
{
	const struct cni_netconf *conf = add->conf;
	char path[CNI_PATH_SIZE];

	if (cni_netns_check(add->env, err))
		return -EINVAL;
	if (conf->ipam && cni_ipam_find(add->env, conf, path, err))
		return -EINVAL;
	if (!conf->prev_result)
		return 0;
	add->prev = cni_result_import(conf->prev_result, conf->version, "prevResult", err);
	return add->prev ? 0 : -EINVAL;
}

int cni_cmd_add(const struct cni_env *env, const struct cni_netconf *conf, char **output,
        struct cni_error *err)
{
	struct add add = {.env = env, .conf = conf, .run = -1, .lock = -1, .dir = -1};
	int ret = check_input(&add, err);

	/* The IPAM plugin takes most of the time: it starts early, all else happens beside it. */
	ret = ret ? ret : take_name(&add, err);
	ret = ret ? ret : ask_addresses(&add, err);
	ret = ret ? ret : record(&add, err);
	ret = ret ? ret : make_directory(&add, err);
	ret = ret ? ret : hear_daemon(&add, err);
	ret = ret ? ret : get_port(&add, err);
	ret = ret ? ret : finish(&add, output, err);
	if (ret)
		undo(&add);
	pr_client_close(add.client);
	if (add.dir >= 0)
		close(add.dir);
	if (add.lock >= 0 && ret)
		cni_unlock(add.run, env->id_prefix, add.lock);
	else if (add.lock >= 0)
		close(add.lock); /* the container has a record now: the file stays */
	if (add.run >= 0)
		close(add.run);
	cJSON_Delete(add.ipam);
	cJSON_Delete(add.port);
	cJSON_Delete(add.prev);
	cni_attachment_free(&add.att);
	return ret;
}
