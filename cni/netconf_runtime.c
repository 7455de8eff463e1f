/* SPDX-License-Identifier: BSD-3-Clause */
#include "cni/netconf.h"

/* Whether anything is asked for: "", 0, false, null, [] and {} ask for nothing, and so does an
 * object of nothing else. */
static bool asks(const cJSON *item)
{
	const cJSON *member;

	if (cJSON_IsArray(item))
		return item->child != NULL;
	if (cJSON_IsObject(item)) {
		cJSON_ArrayForEach (member, item) {
			if (asks(member))
				return true;
		}
		return false;
	}
	if (cJSON_IsString(item))
		return item->valuestring[0] != '\0';
	if (cJSON_IsNumber(item))
		return item->valuedouble != 0;
	return cJSON_IsTrue(item);
}

static int refuse(const char *where, const cJSON *item, struct cni_error *err)
{
	char *value;

	if (!asks(item))
		return 0;
	value = cJSON_PrintUnformatted(item);
	cni_fail(err, CNI_ERR_UNSUPPORTED, "unsupported field %s.%s: %.200s", where, item->string,
	        value ? value : "");
	cJSON_free(value);
	return -EINVAL;
}

static int check_ips(
        const struct cni_netconf *conf, const char *key, const cJSON *item, struct cni_error *err)
{
	const cJSON *entry;
	struct pr_prefix prefix;

	if (!cJSON_IsArray(item))
		return cni_fail(err, CNI_ERR_CONFIG, "%s must be an array", key);
	cJSON_ArrayForEach (entry, item) {
		if (!cJSON_IsString(entry) || pr_prefix_parse(entry->valuestring, &prefix))
			return cni_fail(err, CNI_ERR_CONFIG,
			        "%s: an entry must be an address such as \"192.0.2.7\"", key);
	}
	if (item->child && !conf->ipam)
		return cni_fail(err, CNI_ERR_UNSUPPORTED,
		        "unsupported field %s: addresses come from an ipam section only", key);
	return 0;
}

static bool one_of(const char *key, const char *const *keys)
{
	for (; *keys; keys++)
		if (!strcmp(key, *keys))
			return true;
	return false;
}

static int runtime_key(struct cni_netconf *conf, const cJSON *item, struct cni_error *err)
{
	static const char *const refused[] = {
	        "portMappings", "bandwidth", "deviceID", "infinibandGUID", NULL};
	/* the IPAM plugin's, or hints that nothing depends on */
	static const char *const passed[] = {"ipRanges", "aliases", "cgroupPath", "podAnnotations",
	        "io.kubernetes.cri.pod-annotations", NULL};
	const char *key = item->string;

	if (cJSON_IsNull(item))
		return 0;
	if (!strcmp(key, "mac"))
		return cJSON_IsString(item) && !item->valuestring[0]
		               ? 0
		               : cni_take_mac("runtimeConfig.mac", item, &conf->mac, err);
	if (!strcmp(key, "ips"))
		return check_ips(conf, "runtimeConfig.ips", item, err);
	if (!strcmp(key, "CNIDeviceInfoFile")) {
		if (!cJSON_IsString(item) || (item->valuestring[0] && item->valuestring[0] != '/'))
			return cni_fail(err, CNI_ERR_CONFIG,
			        "runtimeConfig.CNIDeviceInfoFile must be an absolute path");
		conf->device_info = item->valuestring[0] ? item->valuestring : NULL;
		return 0;
	}
	if (!strcmp(key, "dns")) {
		if (cJSON_IsObject(item) && asks(item))
			conf->dns = item;
		return 0;
	}
	if (one_of(key, refused))
		return refuse("runtimeConfig", item, err);
	if (!one_of(key, passed))
		cni_log("network %s: key runtimeConfig.%.64s is not known, passed over", conf->name,
		        key);
	return 0;
}

static int args_key(struct cni_netconf *conf, const cJSON *item, struct cni_error *err)
{
	const char *key = item->string;
	bool relaxes = !strcmp(key, "trust") || !strcmp(key, "allowedPrefixes") ||
	               !strcmp(key, "allowedMACs");

	if (relaxes && !conf->pod_args)
		return refuse("args.cni", item, err);
	if (!strcmp(key, "mac"))
		return cni_take_mac("args.cni.mac", item, &conf->mac, err);
	if (!strcmp(key, "ips"))
		return check_ips(conf, "args.cni.ips", item, err);
	if (!strcmp(key, "queues"))
		return cni_take_int("args.cni.queues", item, 1, PR_QUEUES_MAX, &conf->queues, err);
	if (!strcmp(key, "trust"))
		return cni_take_bool("args.cni.trust", item, &conf->trust, err);
	if (!strcmp(key, "allowedPrefixes"))
		return cni_netconf_add_prefixes(conf, "args.cni.allowedPrefixes", item, err);
	if (!strcmp(key, "allowedMACs"))
		return cni_netconf_add_macs(conf, "args.cni.allowedMACs", item, err);
	if (strcmp(key, "labels"))
		cni_log("network %s: key args.cni.%.64s is not known, passed over", conf->name,
		        key);
	return 0;
}

typedef int (*key_fn)(struct cni_netconf *conf, const cJSON *item, struct cni_error *err);

static int each(struct cni_netconf *conf, const cJSON *object, const char *name, key_fn take,
        bool lenient, struct cni_error *err)
{
	const cJSON *item;

	if (!object || cJSON_IsNull(object))
		return 0;
	if (!cJSON_IsObject(object)) {
		cni_fail(err, CNI_ERR_CONFIG, "%s is not an object", name);
		return lenient ? 0 : -EINVAL;
	}
	cJSON_ArrayForEach (item, object) {
		if (!take(conf, item, err))
			continue;
		if (!lenient)
			return -EINVAL;
		cni_log("network %s: %s", conf->name, err->msg);
	}
	return 0;
}

/* Later sources win: configuration, CNI_ARGS, args.cni, runtimeConfig. */
int cni_netconf_runtime(
        struct cni_netconf *conf, const struct cni_env *env, bool lenient, struct cni_error *err)
{
	const cJSON *args = cJSON_GetObjectItemCaseSensitive(conf->root, "args");
	const cJSON *cni = cJSON_GetObjectItemCaseSensitive(args, "cni");
	const cJSON *runtime = cJSON_GetObjectItemCaseSensitive(conf->root, "runtimeConfig");
	int ret;

	if (!pr_mac_is_zero(&env->mac))
		conf->mac = env->mac;
	if (env->ip[0] && !conf->ipam && !lenient)
		return cni_fail(err, CNI_ERR_UNSUPPORTED,
		        "unsupported field CNI_ARGS IP=%.64s: addresses come from an ipam section "
		        "only",
		        env->ip);
	ret = each(conf, cni, "args.cni", args_key, lenient, err);
	return ret ? ret : each(conf, runtime, "runtimeConfig", runtime_key, lenient, err);
}
