/* SPDX-License-Identifier: BSD-3-Clause */
#include "cni/cni.h"

#include <strings.h>
#include <sys/stat.h>

#include "podrail/protocol.h"

#define BIT(command) (1u << (command))

static const char *const commands[] = {
        [CNI_ADD] = "ADD",
        [CNI_DEL] = "DEL",
        [CNI_CHECK] = "CHECK",
        [CNI_STATUS] = "STATUS",
        [CNI_GC] = "GC",
        [CNI_VERSION] = "VERSION",
};

static const char *env_get(const char *name)
{
	const char *value = getenv(name);

	return value ? value : "";
}

static int missing(const struct cni_env *env, struct cni_error *err)
{
	const unsigned pod = BIT(CNI_ADD) | BIT(CNI_CHECK);
	const struct {
		const char *name, *value;
		unsigned needed_by;
	} variables[] = {
	        {"CNI_CONTAINERID", env->container_id, pod | BIT(CNI_DEL)},
	        {"CNI_NETNS", env->netns, pod},
	        {"CNI_IFNAME", env->ifname, pod | BIT(CNI_DEL)},
	        {"CNI_PATH", env->path, pod | BIT(CNI_DEL) | BIT(CNI_STATUS) | BIT(CNI_GC)},
	};
	char list[128] = "";

	for (size_t i = 0; i < sizeof(variables) / sizeof(variables[0]); i++) {
		if (variables[i].value[0] || !(variables[i].needed_by & BIT(env->command)))
			continue;
		if (list[0])
			strcat(list, ",");
		strcat(list, variables[i].name);
	}
	if (list[0])
		return cni_fail(err, CNI_ERR_ENV, "required env variables [%s] missing", list);
	return 0;
}

int cni_env_read(struct cni_env *env, struct cni_error *err)
{
	const char *command = env_get("CNI_COMMAND"), *override = env_get("CNI_NETNS_OVERRIDE");

	memset(env, 0, sizeof(*env));
	env->container_id = env_get("CNI_CONTAINERID");
	env->netns = env_get("CNI_NETNS");
	env->ifname = env_get("CNI_IFNAME");
	env->args = env_get("CNI_ARGS");
	env->path = env_get("CNI_PATH");
	env->netns_override = !strcmp(override, "1") || !strcasecmp(override, "true");
	if (!command[0])
		return 0;
	for (unsigned i = CNI_ADD; i <= CNI_VERSION; i++)
		if (!strcmp(command, commands[i]))
			env->command = i;
	if (env->command == CNI_NONE)
		return cni_fail(err, CNI_ERR_ENV, "unknown CNI_COMMAND: %.64s", command);
	return missing(env, err);
}

bool cni_container_id_valid(const char *id)
{
	char first[2] = {id[0], '\0'};

	if (!pr_name_valid(first))
		return false;
	return !id[strspn(id, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-")];
}

bool cni_ifname_valid(const char *name)
{
	size_t length = strlen(name);

	if (!length || length > CNI_IFNAME_MAX || !strcmp(name, ".") || !strcmp(name, ".."))
		return false;
	return !name[strcspn(name, "/: \t\n\v\f\r")];
}

void cni_port_name(const char *container_id, const char *ifname, char port[CNI_NAME_SIZE])
{
	snprintf(port, CNI_NAME_SIZE, "%.*s-%.*s", CNI_ID_PREFIX, container_id, CNI_IFNAME_MAX,
	        ifname);
	for (char *c = port; *c; c++)
		if (!strchr("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-",
		            *c))
			*c = '_';
}

static int take_text(const char *value, size_t length, char *to, size_t size, struct cni_error *err)
{
	if (length >= size)
		return cni_fail(err, CNI_ERR_ENV, "CNI_ARGS: a value is longer than %zu characters",
		        size - 1);
	memcpy(to, value, length);
	to[length] = '\0';
	return 0;
}

static int take_mac(const char *value, size_t length, struct pr_mac *mac, struct cni_error *err)
{
	char text[PR_MAC_STRLEN] = "";

	if (length < sizeof(text))
		memcpy(text, value, length);
	if (pr_mac_parse(text, mac) || pr_mac_is_zero(mac) || pr_mac_is_multicast(mac)) {
		memset(mac, 0, sizeof(*mac));
		return cni_fail(err, CNI_ERR_ENV, "CNI_ARGS: MAC=%.*s is no unicast MAC address",
		        (int)length, value);
	}
	return 0;
}

/* One K=V. Returns 1 for a key that we do not know. */
static int take_arg(struct cni_env *env, const char *pair, size_t length, bool *ignore_unknown,
        struct cni_error *err)
{
	const char *equals = memchr(pair, '=', length);
	size_t key, rest;
	const char *value;

	if (!equals)
		return cni_fail(err, CNI_ERR_ENV, "ARGS: invalid pair \"%.*s\"", (int)length, pair);
	key = (size_t)(equals - pair);
	value = equals + 1;
	rest = length - key - 1;
#define IS(name) (key == sizeof(name) - 1 && !memcmp(pair, name, key))
	if (IS("IgnoreUnknown")) {
		*ignore_unknown = (rest == 1 && *value == '1') ||
		                  (rest == 4 && !strncasecmp(value, "true", 4));
		return 0;
	}
	if (IS("K8S_POD_NAMESPACE"))
		return take_text(value, rest, env->pod_namespace, sizeof(env->pod_namespace), err);
	if (IS("K8S_POD_NAME"))
		return take_text(value, rest, env->pod_name, sizeof(env->pod_name), err);
	if (IS("K8S_POD_UID"))
		return take_text(value, rest, env->pod_uid, sizeof(env->pod_uid), err);
	if (IS("K8S_POD_INFRA_CONTAINER_ID"))
		return 0;
	if (IS("IP"))
		return take_text(value, rest, env->ip, sizeof(env->ip), err);
	if (IS("MAC"))
		return take_mac(value, rest, &env->mac, err);
#undef IS
	return 1;
}

/* "K=V;K=V". Unknown keys are an error without IgnoreUnknown=1, as in the reference plugins. */
static int read_args(struct cni_env *env, struct cni_error *err)
{
	bool lenient = env->command == CNI_DEL, ignore_unknown = false;
	const char *unknown = NULL;
	size_t unknown_length = 0;

	for (const char *pair = env->args; *pair;) {
		size_t length = strcspn(pair, ";");
		int ret = length ? take_arg(env, pair, length, &ignore_unknown, err) : 0;

		if (ret < 0 && !lenient)
			return ret;
		if (ret > 0 && !unknown) {
			unknown = pair;
			unknown_length = length;
		}
		pair += length;
		pair += *pair == ';';
	}
	if (unknown && !ignore_unknown && !lenient)
		return cni_fail(err, CNI_ERR_ENV, "ARGS: unknown args [\"%.*s\"]",
		        (int)unknown_length, unknown);
	return 0;
}

int cni_env_validate(struct cni_env *env, struct cni_error *err)
{
	if (env->command == CNI_STATUS || env->command == CNI_GC)
		return 0;
	if (!cni_container_id_valid(env->container_id)) {
		cni_fail(err, CNI_ERR_ENV, "invalid characters in containerID");
		cni_fail_details(err, "%s", env->container_id);
		return -EINVAL;
	}
	if (!cni_ifname_valid(env->ifname)) {
		cni_fail(err, CNI_ERR_ENV,
		        "CNI_IFNAME must have 1 to %d characters, not be . or .., and hold no "
		        "/, : or space",
		        CNI_IFNAME_MAX);
		cni_fail_details(err, "%s", env->ifname);
		return -EINVAL;
	}
	snprintf(env->id_prefix, sizeof(env->id_prefix), "%s", env->container_id);
	cni_port_name(env->container_id, env->ifname, env->port);
	return read_args(env, err);
}

int cni_netns_check(const struct cni_env *env, struct cni_error *err)
{
	struct stat theirs, ours;

	if (stat(env->netns, &theirs))
		return cni_fail(err, CNI_ERR_UNKNOWN_CONTAINER, "CNI_NETNS %s: %s", env->netns,
		        strerror(errno));
	if (!env->netns_override && !stat("/proc/self/ns/net", &ours) &&
	        ours.st_dev == theirs.st_dev && ours.st_ino == theirs.st_ino)
		return cni_fail(err, CNI_ERR_NETNS,
		        "plugin's netns and netns from CNI_NETNS should not be the same");
	return 0;
}
