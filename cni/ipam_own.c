/* SPDX-License-Identifier: BSD-3-Clause */
#include "cni/ipam_own.h"

#include <fcntl.h>
#include <unistd.h>

#include "cni/file.h"
#include "cni/leases.h"
#include "cni/result.h"

#define RESOLV_MAX (64 << 10)

bool cni_ipam_is_own(const struct cni_netconf *conf)
{
	return conf->ipam && !strcmp(conf->ipam, "podrail");
}

static const cJSON *ipam_member(const struct cni_netconf *conf, const char *key)
{
	const cJSON *ipam = cJSON_GetObjectItemCaseSensitive(conf->root, "ipam");
	const cJSON *item = cJSON_GetObjectItemCaseSensitive(ipam, key);

	return cJSON_IsNull(item) ? NULL : item;
}

/* ---- resolvConf ---- */

static void add_words(cJSON *list, char *words)
{
	char *save = NULL;

	for (char *word = strtok_r(words, " \t", &save); word; word = strtok_r(NULL, " \t", &save))
		cJSON_AddItemToArray(list, cJSON_CreateString(word));
}

/* resolv.conf(5): of domain the last counts, search replaces the one before. */
static void read_line(cJSON *dns, char *line)
{
	static const char *const keys[][2] = {
	        {"nameserver", "nameservers"}, {"search", "search"}, {"options", "options"}};
	char *value = line + strcspn(line, " \t");

	if (line[0] == '#' || line[0] == ';' || !*value)
		return;
	*value++ = '\0';
	if (!strcmp(line, "domain")) {
		cJSON_DeleteItemFromObjectCaseSensitive(dns, "domain");
		cJSON_AddStringToObject(dns, "domain", value + strspn(value, " \t"));
		return;
	}
	for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
		cJSON *list;

		if (strcmp(line, keys[i][0]))
			continue;
		if (!strcmp(line, "search"))
			cJSON_DeleteItemFromObjectCaseSensitive(dns, "search");
		list = cJSON_GetObjectItemCaseSensitive(dns, keys[i][1]);
		if (!list)
			list = cJSON_AddArrayToObject(dns, keys[i][1]);
		add_words(list, value);
	}
}

static int read_dns(const struct cni_netconf *conf, cJSON *dns, struct cni_error *err)
{
	const char *path = cJSON_GetStringValue(ipam_member(conf, "resolvConf")), *name;
	char *text = NULL, *save = NULL;
	size_t length;
	int dir;

	if (!path || !path[0])
		return 0;
	dir = cni_open_parent(path, false, &name);
	if (dir >= 0) {
		int fd = openat(dir, name, O_RDONLY | O_NONBLOCK | O_CLOEXEC);

		text = fd < 0 ? NULL : cni_fd_read(fd, RESOLV_MAX, &length);
		if (fd >= 0)
			close(fd);
		close(dir);
	}
	if (!text)
		return cni_fail(err, CNI_ERR_CONFIG, "ipam: resolvConf %.256s can not be read: %s",
		        path, strerror(dir < 0 ? -dir : errno));
	for (char *line = strtok_r(text, "\r\n", &save); line; line = strtok_r(NULL, "\r\n", &save))
		read_line(dns, line);
	free(text);
	return 0;
}

/* ---- ADD ---- */

struct taking {
	const struct cni_env *env;
	struct cni_ranges ranges;
	struct cni_leases leases;
	bool given[CNI_WANTED_MAX];
	cJSON *ips;
};

static void add_ip(struct taking *taking, const struct pr_ip *ip, const struct cni_range *range)
{
	struct pr_prefix address = {*ip, range->subnet.len};
	char text[PR_PREFIX_STRLEN], gateway[PR_IP_STRLEN];
	cJSON *item = cJSON_CreateObject();

	cJSON_AddStringToObject(item, "address", pr_prefix_format(&address, text));
	cJSON_AddStringToObject(item, "gateway", pr_ip_format(&range->gateway, gateway));
	cJSON_AddItemToArray(taking->ips, item);
}

static int refused(const struct taking *taking, unsigned index, const struct pr_ip *wanted, int ret,
        struct cni_error *err)
{
	char set[256], ip[PR_IP_STRLEN] = "";

	cni_range_set_format(&taking->ranges.set[index], set, sizeof(set));
	if (ret == -EBUSY)
		return cni_fail(err, CNI_ERR_TRY_LATER,
		        "requested IP address %s is not available in range set %s: it is a "
		        "gateway or another pod's",
		        pr_ip_format(wanted, ip), set);
	if (ret == -ENOSPC)
		return cni_fail(err, CNI_ERR_FULL,
		        "no IP addresses available in range set %s: enlarge it, or run GC", set);
	return cni_fail(err, CNI_ERR_IO, "reserving an address of %s: %s", set, strerror(-ret));
}

static int take_one(struct taking *taking, unsigned index, struct cni_error *err)
{
	const struct cni_range_set *set = &taking->ranges.set[index];
	const struct cni_range *range = NULL;
	const struct pr_ip *wanted = NULL;
	struct pr_ip ip;
	int ret;

	for (unsigned i = 0; !wanted && i < taking->ranges.n_wanted; i++) {
		if (taking->given[i] || !cni_range_of(set, &taking->ranges.wanted[i]))
			continue;
		wanted = &taking->ranges.wanted[i];
		taking->given[i] = true;
	}
	ret = cni_lease_take(&taking->leases, set, index, taking->env, wanted, &ip, &range);
	if (ret)
		return refused(taking, index, wanted, ret, err);
	add_ip(taking, &ip, range);
	return 0;
}

static int take_all(struct taking *taking, struct cni_error *err)
{
	char ip[PR_IP_STRLEN];

	for (unsigned i = 0; i < taking->ranges.n_sets; i++)
		if (take_one(taking, i, err))
			return -EINVAL;
	for (unsigned i = 0; i < taking->ranges.n_wanted; i++)
		if (!taking->given[i])
			return cni_fail(err, CNI_ERR_CONFIG,
			        "ips: requested IP address %s is in no range set that is left",
			        pr_ip_format(&taking->ranges.wanted[i], ip));
	return 0;
}

static bool is_mine(const char *container_id, const char *ifname, void *data)
{
	const struct cni_env *env = data;

	return !strcmp(container_id, env->container_id) &&
	       (!ifname[0] || !strcmp(ifname, env->ifname));
}

/* Addresses, routes and DNS as a result of 1.0.0, checked as any plugin's would be. */
static int make_result(struct taking *taking, const struct cni_netconf *conf, cJSON **result,
        struct cni_error *err)
{
	const cJSON *routes = ipam_member(conf, "routes");
	cJSON *raw = cJSON_CreateObject(), *dns;
	int ret;

	cJSON_AddItemToObject(raw, "ips", taking->ips);
	taking->ips = NULL;
	if (routes)
		cJSON_AddItemToObject(raw, "routes", cJSON_Duplicate(routes, true));
	dns = cJSON_AddObjectToObject(raw, "dns");
	ret = read_dns(conf, dns, err);
	*result = ret ? NULL : cni_result_import(raw, CNI_V110, "ipam", err);
	if (!ret && !*result)
		err->code = CNI_ERR_CONFIG;
	cJSON_Delete(raw);
	return *result ? 0 : -EINVAL;
}

int cni_ipam_own_add(const struct cni_env *env, const struct cni_netconf *conf, cJSON **result,
        struct cni_error *err)
{
	struct taking *taking = calloc(1, sizeof(*taking));
	int ret;

	*result = NULL;
	if (!taking)
		return cni_fail(err, CNI_ERR_INTERNAL, "out of memory");
	taking->env = env;
	ret = cni_ranges_parse(&taking->ranges, conf, env, err);
	if (ret || cni_leases_open(&taking->leases, conf, true, err)) {
		free(taking);
		return -EINVAL;
	}
	taking->ips = cJSON_CreateArray();
	ret = take_all(taking, err);
	ret = ret ? ret : make_result(taking, conf, result, err);
	if (ret)
		cni_leases_sweep(&taking->leases, is_mine, (void *)(uintptr_t)env);
	cni_leases_close(&taking->leases);
	cJSON_Delete(taking->ips);
	free(taking);
	return ret;
}

/* ---- the others ---- */

static int check(const struct cni_env *env, const struct cni_netconf *conf, struct cni_error *err)
{
	struct cni_leases leases;
	int ret = cni_leases_open(&leases, conf, false, err);
	unsigned n = 0;

	if (ret && ret != -ENOENT)
		return -EINVAL;
	if (!ret) {
		n = cni_leases_of(&leases, env);
		cni_leases_close(&leases);
	}
	return n ? 0
	         : cni_fail(err, CNI_ERR_CHECK, "ipam: no address is reserved for %s of %s",
	                   env->ifname, env->container_id);
}

static int status(const struct cni_env *env, const struct cni_netconf *conf, struct cni_error *err)
{
	struct cni_ranges *ranges = calloc(1, sizeof(*ranges));
	int ret;

	if (!ranges)
		return cni_fail(err, CNI_ERR_INTERNAL, "out of memory");
	ret = cni_ranges_parse(ranges, conf, env, err);
	if (ret)
		err->code = CNI_ERR_UNAVAILABLE;
	free(ranges);
	return ret;
}

int cni_ipam_own_run(const struct cni_env *env, const struct cni_netconf *conf, const char *command,
        struct cni_error *err)
{
	if (!strcmp(command, "DEL"))
		return cni_leases_gc(conf, is_mine, (void *)(uintptr_t)env, err);
	return strcmp(command, "CHECK") ? status(env, conf, err) : check(env, conf, err);
}
