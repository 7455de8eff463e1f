/* SPDX-License-Identifier: BSD-3-Clause */
#include "cni/netconf.h"

int cni_take_int(
        const char *key, const cJSON *item, int min, int max, int *to, struct cni_error *err)
{
	if (!cJSON_IsNumber(item) || item->valuedouble != (double)item->valueint ||
	        item->valueint < min || item->valueint > max)
		return cni_fail(err, CNI_ERR_CONFIG, "%s must be a whole number from %d to %d", key,
		        min, max);
	*to = item->valueint;
	return 0;
}

int cni_take_bool(const char *key, const cJSON *item, bool *to, struct cni_error *err)
{
	if (!cJSON_IsBool(item))
		return cni_fail(err, CNI_ERR_CONFIG, "%s must be true or false", key);
	*to = cJSON_IsTrue(item);
	return 0;
}

int cni_take_string(const char *key, const cJSON *item, const char **to, struct cni_error *err)
{
	if (!cJSON_IsString(item) || !item->valuestring[0])
		return cni_fail(err, CNI_ERR_CONFIG, "%s must be a string, not empty", key);
	*to = item->valuestring;
	return 0;
}

int cni_take_mac(const char *key, const cJSON *item, struct pr_mac *to, struct cni_error *err)
{
	struct pr_mac mac;

	if (!cJSON_IsString(item) || pr_mac_parse(item->valuestring, &mac) ||
	        pr_mac_is_zero(&mac) || pr_mac_is_multicast(&mac))
		return cni_fail(err, CNI_ERR_CONFIG,
		        "%s must be a unicast MAC address such as \"02:00:00:00:00:01\"", key);
	*to = mac;
	return 0;
}

static int take_path(const char *key, const cJSON *item, const char **to, struct cni_error *err)
{
	if (!cJSON_IsString(item) || item->valuestring[0] != '/' ||
	        strlen(item->valuestring) > CNI_PATH_SIZE / 2)
		return cni_fail(err, CNI_ERR_CONFIG, "%s must be an absolute path", key);
	*to = item->valuestring;
	return 0;
}

/* One component of a path that others may write to: nothing that leads elsewhere. */
static int take_file_name(
        const char *key, const cJSON *item, const char **to, struct cni_error *err)
{
	const char *name = cJSON_GetStringValue(item);

	if (!name || !name[0] || strlen(name) > CNI_SOCKET_MAX || strchr(name, '/') ||
	        !strcmp(name, ".") || !strcmp(name, ".."))
		return cni_fail(err, CNI_ERR_CONFIG,
		        "%s must be a file name of 1 to %d characters without /", key,
		        CNI_SOCKET_MAX);
	for (const char *c = name; *c; c++)
		if ((unsigned char)*c < 0x20 || *c == 0x7f)
			return cni_fail(err, CNI_ERR_CONFIG, "%s holds a control character", key);
	*to = name;
	return 0;
}

static int set_network(struct cni_netconf *conf, const cJSON *item, struct cni_error *err)
{
	return cni_take_string("network", item, &conf->network, err);
}

static int set_kind(struct cni_netconf *conf, const cJSON *item, struct cni_error *err)
{
	const char *kind = "";

	(void)conf;
	if (cni_take_string("kind", item, &kind, err))
		return -EINVAL;
	if (!strcmp(kind, "vhost-user"))
		return 0;
	return cni_fail(err, CNI_ERR_UNSUPPORTED,
	        "unsupported field kind: \"%.64s\" (supported: \"vhost-user\")", kind);
}

static int set_mode(struct cni_netconf *conf, const cJSON *item, struct cni_error *err)
{
	const char *mode = "";

	if (cni_take_string("mode", item, &mode, err))
		return -EINVAL;
	if (strcmp(mode, "client") && strcmp(mode, "server"))
		return cni_fail(err, CNI_ERR_CONFIG,
		        "mode must be \"client\" (the pod makes the socket) or \"server\"");
	conf->server = mode[0] == 's';
	return 0;
}

static int set_socket_name(struct cni_netconf *conf, const cJSON *item, struct cni_error *err)
{
	const char *name;

	if (take_file_name("socketName", item, &name, err))
		return -EINVAL;
	snprintf(conf->socket_name, sizeof(conf->socket_name), "%s", name);
	return 0;
}

static int add_trunk_range(struct cni_netconf *conf, int min, int max, struct cni_error *err)
{
	char text[32];

	if (min < 1 || max > 4094 || min > max)
		return cni_fail(err, CNI_ERR_CONFIG, "trunk: VLAN ids are 1 to 4094");
	if (!conf->trunk)
		conf->trunk = cJSON_CreateArray();
	if (min == max) {
		cJSON_AddItemToArray(conf->trunk, cJSON_CreateNumber(min));
		return 0;
	}
	snprintf(text, sizeof(text), "%d-%d", min, max);
	cJSON_AddItemToArray(conf->trunk, cJSON_CreateString(text));
	return 0;
}

static int set_trunk(struct cni_netconf *conf, const cJSON *item, struct cni_error *err)
{
	const cJSON *entry;

	if (!cJSON_IsArray(item))
		return cni_fail(err, CNI_ERR_CONFIG, "trunk must be an array");
	cJSON_ArrayForEach (entry, item) {
		int min = 0, max = 0, used = 0;

		if (cJSON_IsNumber(entry) && entry->valuedouble == (double)entry->valueint)
			min = max = entry->valueint;
		else if (!cJSON_IsString(entry) ||
		         sscanf(entry->valuestring, "%4d-%4d%n", &min, &max, &used) != 2 ||
		         entry->valuestring[used])
			return cni_fail(err, CNI_ERR_CONFIG,
			        "trunk: an entry is a VLAN id or a range \"a-b\"");
		if (add_trunk_range(conf, min, max, err))
			return -EINVAL;
	}
	return 0;
}

/* The bridge plugin's form: [{"minID": 1, "maxID": 9}, {"id": 12}]. */
static int set_vlan_trunk(struct cni_netconf *conf, const cJSON *item, struct cni_error *err)
{
	const cJSON *entry, *bound;

	if (!cJSON_IsArray(item))
		return cni_fail(err, CNI_ERR_CONFIG, "vlanTrunk must be an array");
	cJSON_ArrayForEach (entry, item) {
		int min = 0, max = 0, id = 0;

		cJSON_ArrayForEach (bound, entry) {
			int *to = !strcmp(bound->string, "minID")   ? &min
			          : !strcmp(bound->string, "maxID") ? &max
			          : !strcmp(bound->string, "id")    ? &id
			                                            : NULL;

			if (!to || cni_take_int("vlanTrunk", bound, 0, 4094, to, err))
				return cni_fail(err, CNI_ERR_CONFIG,
				        "vlanTrunk: an entry has minID and maxID, or id");
		}
		if (id && add_trunk_range(conf, id, id, err))
			return -EINVAL;
		if ((min || max || !id) && add_trunk_range(conf, min, max, err))
			return -EINVAL;
	}
	return 0;
}

int cni_netconf_add_prefixes(
        struct cni_netconf *conf, const char *key, const cJSON *item, struct cni_error *err)
{
	const cJSON *entry;
	struct pr_prefix prefix;

	if (!cJSON_IsArray(item))
		return cni_fail(err, CNI_ERR_CONFIG, "%s must be an array", key);
	if (!conf->allowed_prefixes)
		conf->allowed_prefixes = cJSON_CreateArray();
	cJSON_ArrayForEach (entry, item) {
		if (!cJSON_IsString(entry) || pr_prefix_parse(entry->valuestring, &prefix))
			return cni_fail(err, CNI_ERR_CONFIG,
			        "%s: an entry must be a prefix such as \"192.0.2.0/24\"", key);
		cJSON_AddItemToArray(
		        conf->allowed_prefixes, cJSON_CreateString(entry->valuestring));
	}
	if (cJSON_GetArraySize(conf->allowed_prefixes) > PR_ALLOWED_MAX)
		return cni_fail(
		        err, CNI_ERR_CONFIG, "%s: more than %d prefixes", key, PR_ALLOWED_MAX);
	return 0;
}

int cni_netconf_add_macs(
        struct cni_netconf *conf, const char *key, const cJSON *item, struct cni_error *err)
{
	const cJSON *entry;
	struct pr_mac mac;

	if (!cJSON_IsArray(item))
		return cni_fail(err, CNI_ERR_CONFIG, "%s must be an array", key);
	if (!conf->allowed_macs)
		conf->allowed_macs = cJSON_CreateArray();
	cJSON_ArrayForEach (entry, item) {
		if (cni_take_mac(key, entry, &mac, err))
			return -EINVAL;
		cJSON_AddItemToArray(conf->allowed_macs, cJSON_CreateString(entry->valuestring));
	}
	if (cJSON_GetArraySize(conf->allowed_macs) > PR_ALLOWED_MAX)
		return cni_fail(
		        err, CNI_ERR_CONFIG, "%s: more than %d MAC addresses", key, PR_ALLOWED_MAX);
	return 0;
}

static int set_ipam_timeout(struct cni_netconf *conf, const cJSON *item, struct cni_error *err)
{
	int seconds = 0;

	if (cni_take_int("ipamTimeout", item, 1, 300, &seconds, err))
		return -EINVAL;
	conf->ipam_timeout = seconds * 1000;
	return 0;
}

/* Keys of the bridge plugin whose "on" we do not do. Their "off" is what we do anyway. */
static bool is_unsupported(const char *key)
{
	static const char *const keys[] = {"ipMasq", "hairpinMode", "promiscMode", "forceAddress",
	        "enabledad", "disableContainerInterface", "networkScaling"};

	for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++)
		if (!strcmp(key, keys[i]))
			return true;
	return false;
}

/* Keys whose every value agrees with what we do: gateways belong to podrail's networks, and
 * anti-spoofing is on unless trust says otherwise. */
static bool is_harmless(const char *key)
{
	static const char *const keys[] = {
	        "isGateway", "macspoofchk", "preserveDefaultVlan", "ipMasqBackend"};

	for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++)
		if (!strcmp(key, keys[i]))
			return true;
	return false;
}

static int refuse(const cJSON *item, struct cni_error *err)
{
	char *value;

	if (cJSON_IsFalse(item) || cJSON_IsNull(item))
		return 0;
	value = cJSON_PrintUnformatted(item);
	cni_fail(err, CNI_ERR_UNSUPPORTED, "unsupported field %s: %.200s", item->string,
	        value ? value : "");
	cJSON_free(value);
	return -EINVAL;
}

int cni_netconf_key(struct cni_netconf *conf, const cJSON *item, struct cni_error *err)
{
	const char *key = item->string;

#define KEY(name, call)                                                                            \
	if (!strcmp(key, name))                                                                    \
	return call
	KEY("network", set_network(conf, item, err));
	KEY("kind", set_kind(conf, item, err));
	KEY("mode", set_mode(conf, item, err));
	KEY("socketDir", take_path(key, item, &conf->socket_dir, err));
	KEY("socketVolume", take_file_name(key, item, &conf->socket_volume, err));
	KEY("kubeletDir", take_path(key, item, &conf->kubelet_dir, err));
	KEY("mountPath", take_path(key, item, &conf->mount_path, err));
	KEY("socketName", set_socket_name(conf, item, err));
	KEY("socketGroup", cni_take_int(key, item, 0, INT32_MAX, &conf->socket_gid, err));
	KEY("queues", cni_take_int(key, item, 1, PR_QUEUES_MAX, &conf->queues, err));
	KEY("mtu", item->valuedouble == 0 && cJSON_IsNumber(item)
	                   ? 0
	                   : cni_take_int(key, item, PR_MTU_MIN, PR_MTU_MAX, &conf->mtu, err));
	KEY("mac", cni_take_mac(key, item, &conf->mac, err));
	KEY("vlan", cni_take_int(key, item, 0, 4094, &conf->vlan, err));
	KEY("trunk", set_trunk(conf, item, err));
	KEY("vlanTrunk", set_vlan_trunk(conf, item, err));
	KEY("isolated", cni_take_bool(key, item, &conf->isolated, err));
	KEY("portIsolation", cni_take_bool(key, item, &conf->isolated, err));
	KEY("trust", cni_take_bool(key, item, &conf->trust, err));
	KEY("podArgs", cni_take_bool(key, item, &conf->pod_args, err));
	KEY("allowedPrefixes", cni_netconf_add_prefixes(conf, key, item, err));
	KEY("allowedMACs", cni_netconf_add_macs(conf, key, item, err));
	KEY("floodRate", cni_take_int(key, item, 0, INT32_MAX, &conf->flood_rate, err));
	KEY("isDefaultGateway", cni_take_bool(key, item, &conf->default_gateway, err));
	KEY("daemonSocket", take_path(key, item, &conf->daemon_socket, err));
	KEY("stateDir", take_path(key, item, &conf->state_dir, err));
	KEY("ipamTimeout", set_ipam_timeout(conf, item, err));
#undef KEY
	if (!strcmp(key, "bridge") || is_unsupported(key))
		return refuse(item, err);
	return is_harmless(key) ? 0 : -ENOENT;
}
