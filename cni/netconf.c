/* SPDX-License-Identifier: BSD-3-Clause */
#include "cni/netconf.h"

#include "podrail/protocol.h"

/* Members that are read here, by the runtime, or by the IPAM plugin. */
static const char *const common_keys[] = {
        "cniVersion",
        "name",
        "type",
        "ipam",
        "dns",
        "args",
        "runtimeConfig",
        "capabilities",
        "prevResult",
        "disableCheck",
        "disableGC",
        "loadOnlyInlinedPlugins",
};

static bool is_common_key(const char *key)
{
	for (size_t i = 0; i < sizeof(common_keys) / sizeof(common_keys[0]); i++)
		if (!strcmp(key, common_keys[i]))
			return true;
	return !strncmp(key, "cni.dev/", 8);
}

static int parse_json(struct cni_netconf *conf, struct cni_error *err)
{
	const char *end = NULL;

	if (memchr(conf->text, '\0', conf->length))
		return cni_fail(err, CNI_ERR_DECODE,
		        "error unmarshall network config: it holds a NUL character");
	conf->root = cJSON_ParseWithLengthOpts(conf->text, conf->length + 1, &end, true);
	if (!conf->root) {
		cni_fail(err, CNI_ERR_DECODE, "error unmarshall network config: no valid JSON");
		if (end)
			cni_fail_details(err, "at character %zu", (size_t)(end - conf->text));
		return -EINVAL;
	}
	if (!cJSON_IsObject(conf->root))
		return cni_fail(
		        err, CNI_ERR_DECODE, "error unmarshall network config: not an object");
	return 0;
}

/* Parsers differ in which of two equal keys they take; the IPAM plugin reads the same text. */
static int refuse_duplicates(const struct cni_netconf *conf, struct cni_error *err)
{
	const cJSON *item;

	cJSON_ArrayForEach (item, conf->root) {
		if (cJSON_GetObjectItemCaseSensitive(conf->root, item->string) != item)
			return cni_fail(err, CNI_ERR_CONFIG, "%.64s is given twice", item->string);
	}
	return 0;
}

static int parse_version(struct cni_netconf *conf, struct cni_error *err)
{
	const cJSON *item = cJSON_GetObjectItemCaseSensitive(conf->root, "cniVersion");
	int version;

	if (!item) {
		conf->version = CNI_V010;
		return 0;
	}
	if (!cJSON_IsString(item))
		return cni_fail(err, CNI_ERR_DECODE, "cniVersion is not a string");
	version = item->valuestring[0] ? cni_version_parse(item->valuestring) : CNI_V010;
	if (version >= 0) {
		conf->version = (enum cni_version)version;
		return 0;
	}
	cni_fail(err, CNI_ERR_VERSION, "incompatible CNI versions");
	cni_fail_details(err,
	        "config is \"%.64s\", plugin supports [\"0.1.0\" \"0.2.0\" \"0.3.0\" \"0.3.1\" "
	        "\"0.4.0\" \"1.0.0\" \"1.1.0\"]",
	        item->valuestring);
	return -EINVAL;
}

static int parse_name(struct cni_netconf *conf, struct cni_error *err)
{
	const cJSON *item = cJSON_GetObjectItemCaseSensitive(conf->root, "name");

	if (item && !cJSON_IsString(item))
		return cni_fail(err, CNI_ERR_DECODE, "name is not a string");
	if (!item || !item->valuestring[0])
		return cni_fail(err, CNI_ERR_CONFIG, "missing network name");
	/* the same alphabet as a container's id; it becomes a file name of the IPAM plugin's */
	if (!cni_container_id_valid(item->valuestring) || strlen(item->valuestring) > 255) {
		cni_fail(err, CNI_ERR_CONFIG, "invalid characters found in network name");
		cni_fail_details(err, "%s", item->valuestring);
		return -EINVAL;
	}
	conf->name = item->valuestring;
	return 0;
}

static int parse_ipam(struct cni_netconf *conf, struct cni_error *err)
{
	const cJSON *ipam = cJSON_GetObjectItemCaseSensitive(conf->root, "ipam");
	const cJSON *type;

	if (!ipam || cJSON_IsNull(ipam))
		return 0;
	if (!cJSON_IsObject(ipam))
		return cni_fail(err, CNI_ERR_CONFIG, "ipam is not an object");
	if (!ipam->child)
		return 0;
	type = cJSON_GetObjectItemCaseSensitive(ipam, "type");
	if (!type)
		return cni_fail(err, CNI_ERR_CONFIG, "ipam.type is missing");
	if (!cJSON_IsString(type) || !type->valuestring[0] || strchr(type->valuestring, '/') ||
	        !strcmp(type->valuestring, ".") || !strcmp(type->valuestring, ".."))
		return cni_fail(err, CNI_ERR_CONFIG, "ipam.type is not a plugin's name");
	/* "podrail" is our own IPAM; by another name this plugin would call itself */
	if (strcmp(type->valuestring, "podrail") && conf->type &&
	        !strcmp(type->valuestring, conf->type))
		return cni_fail(err, CNI_ERR_CONFIG, "ipam.type \"%.64s\" is this plugin itself",
		        type->valuestring);
	conf->ipam = type->valuestring;
	return 0;
}

static int parse_rest(struct cni_netconf *conf, struct cni_error *err)
{
	const cJSON *type = cJSON_GetObjectItemCaseSensitive(conf->root, "type");
	const cJSON *prev = cJSON_GetObjectItemCaseSensitive(conf->root, "prevResult");
	const cJSON *dns = cJSON_GetObjectItemCaseSensitive(conf->root, "dns");

	if (type && cJSON_IsString(type))
		conf->type = type->valuestring;
	if (prev && !cJSON_IsNull(prev)) {
		if (!cJSON_IsObject(prev))
			return cni_fail(err, CNI_ERR_DECODE, "prevResult is not an object");
		conf->prev_result = prev;
	}
	if (dns && !cJSON_IsNull(dns)) {
		if (!cJSON_IsObject(dns))
			return cni_fail(err, CNI_ERR_CONFIG, "dns is not an object");
		conf->dns = dns->child ? dns : NULL;
	}
	return parse_ipam(conf, err);
}

/* Errors of one member end an ADD, not a DEL: what can still be cleaned up is cleaned up. */
static int parse_keys(struct cni_netconf *conf, bool lenient, struct cni_error *err)
{
	const cJSON *item;

	cJSON_ArrayForEach (item, conf->root) {
		int ret;

		if (is_common_key(item->string))
			continue;
		ret = cni_netconf_key(conf, item, err);
		if (ret == -ENOENT)
			cni_log("network %s: key %.64s is not known, passed over", conf->name,
			        item->string);
		else if (ret && !lenient)
			return ret;
		else if (ret)
			cni_log("network %s: %s", conf->name, err->msg);
	}
	return 0;
}

static int check_together(
        struct cni_netconf *conf, const struct cni_env *env, struct cni_error *err)
{
	int length = 0;

	if (!conf->socket_name[0])
		length = snprintf(
		        conf->socket_name, sizeof(conf->socket_name), "%s.sock", env->ifname);
	if (length >= (int)sizeof(conf->socket_name))
		return cni_fail(err, CNI_ERR_CONFIG, "socketName is too long");
	if (conf->socket_volume && env->command == CNI_ADD && !env->pod_uid[0])
		return cni_fail(err, CNI_ERR_ENV,
		        "socketVolume \"%s\" needs the pod's K8S_POD_UID in CNI_ARGS",
		        conf->socket_volume);
	if (!pr_name_valid(conf->network))
		return cni_fail(err, CNI_ERR_CONFIG,
		        "network \"%.64s\": 1 to %d characters of A-Z a-z 0-9 _ . -, a letter or "
		        "digit first",
		        conf->network, PR_NAME_MAX);
	return 0;
}

static void set_defaults(struct cni_netconf *conf)
{
	conf->network = conf->name;
	conf->daemon_socket = PR_DEFAULT_SOCKET;
	conf->state_dir = PR_DEFAULT_STATE;
	conf->socket_dir = PR_DEFAULT_RUN "/pods";
	conf->kubelet_dir = "/var/lib/kubelet";
	conf->flood_rate = -1;
	conf->socket_gid = -1;
	conf->pod_args = false;
	conf->ipam_timeout = 30000;
}

int cni_netconf_parse(struct cni_netconf *conf, char *text, size_t length,
        const struct cni_env *env, struct cni_error *err)
{
	bool lenient = env->command == CNI_DEL || env->command == CNI_GC;
	int ret;

	memset(conf, 0, sizeof(*conf));
	conf->text = text;
	conf->length = length;
	conf->version = CNI_LATEST;
	ret = parse_json(conf, err);
	ret = ret ? ret : parse_version(conf, err);
	ret = ret ? ret : parse_name(conf, err);
	if (ret)
		return ret;
	set_defaults(conf);
	ret = refuse_duplicates(conf, err);
	ret = ret ? ret : parse_rest(conf, err);
	if (ret && !lenient)
		return ret;
	if (ret)
		cni_log("network %s: %s", conf->name, err->msg);
	ret = parse_keys(conf, lenient, err);
	ret = ret ? ret : cni_netconf_runtime(conf, env, lenient, err);
	ret = ret ? ret : check_together(conf, env, err);
	if (ret && lenient) {
		cni_log("network %s: %s", conf->name, err->msg);
		return 0;
	}
	return ret;
}

void cni_netconf_free(struct cni_netconf *conf)
{
	cJSON_Delete(conf->trunk);
	cJSON_Delete(conf->allowed_prefixes);
	cJSON_Delete(conf->allowed_macs);
	cJSON_Delete(conf->root);
	free(conf->text);
	memset(conf, 0, sizeof(*conf));
}
