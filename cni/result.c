/* SPDX-License-Identifier: BSD-3-Clause */
#include "cni/result.h"

/* Sections "ADD Success" of SPEC.md 1.0.0 and 1.1.0, "Result" of 0.4.0, 0.3.1 and 0.2.0. */

static const char *const dns_keys[] = {"nameservers", "domain", "search", "options", NULL};
static const char *const interface_keys[] = {
        "name", "mac", "mtu", "sandbox", "socketPath", "pciID", NULL};
static const char *const interface_keys_old[] = {"name", "mac", "sandbox", NULL};
static const char *const route_keys[] = {
        "dst", "gw", "mtu", "advmss", "priority", "table", "scope", NULL};
static const char *const route_keys_old[] = {"dst", "gw", NULL};

static const cJSON *get(const cJSON *object, const char *key)
{
	const cJSON *item = cJSON_GetObjectItemCaseSensitive(object, key);

	return cJSON_IsNull(item) ? NULL : item;
}

static const char *get_text(const cJSON *object, const char *key)
{
	const char *text = cJSON_GetStringValue(get(object, key));

	return text ? text : "";
}

static void copy_keys(cJSON *to, const cJSON *from, const char *const *keys)
{
	for (; *keys; keys++) {
		const cJSON *item = get(from, *keys);

		if (item)
			cJSON_AddItemToObject(to, *keys, cJSON_Duplicate(item, true));
	}
}

cJSON *cni_result_new(void)
{
	cJSON *result = cJSON_CreateObject();

	cJSON_AddArrayToObject(result, "interfaces");
	cJSON_AddArrayToObject(result, "ips");
	cJSON_AddArrayToObject(result, "routes");
	cJSON_AddObjectToObject(result, "dns");
	return result;
}

static int import_route(cJSON *to, const cJSON *route, const char *what, struct cni_error *err)
{
	struct pr_prefix prefix;
	struct pr_ip gw;
	const cJSON *via = get(route, "gw");
	cJSON *copy;

	if (!cJSON_IsObject(route) || pr_prefix_parse(get_text(route, "dst"), &prefix) ||
	        !strchr(get_text(route, "dst"), '/'))
		return cni_fail(err, CNI_ERR_DECODE, "%s: a route's dst is no prefix", what);
	if (via && (!cJSON_IsString(via) ||
	                   (via->valuestring[0] && pr_ip_parse(via->valuestring, &gw))))
		return cni_fail(err, CNI_ERR_DECODE, "%s: a route's gw is no address", what);
	copy = cJSON_CreateObject();
	copy_keys(copy, route, route_keys);
	if (via && !via->valuestring[0])
		cJSON_DeleteItemFromObjectCaseSensitive(copy, "gw");
	cJSON_AddItemToArray(to, copy);
	return 0;
}

static int import_routes(
        cJSON *result, const cJSON *routes, const char *what, struct cni_error *err)
{
	cJSON *to = cJSON_GetObjectItemCaseSensitive(result, "routes");
	const cJSON *route;

	if (!routes)
		return 0;
	if (!cJSON_IsArray(routes))
		return cni_fail(err, CNI_ERR_DECODE, "%s: routes is not an array", what);
	cJSON_ArrayForEach (route, routes) {
		if (import_route(to, route, what, err))
			return -EINVAL;
	}
	return 0;
}

/* address: "192.0.2.7/24". interface: index or NULL. */
static int import_ip(cJSON *result, const char *address, const cJSON *gateway,
        const cJSON *interface, const char *what, struct cni_error *err)
{
	struct pr_prefix prefix;
	struct pr_ip ip;
	cJSON *copy;

	if (!strchr(address, '/') || pr_prefix_parse(address, &prefix))
		return cni_fail(err, CNI_ERR_DECODE, "%s: \"%.64s\" is no address with a prefix",
		        what, address);
	if (gateway && (!cJSON_IsString(gateway) ||
	                       (gateway->valuestring[0] && pr_ip_parse(gateway->valuestring, &ip))))
		return cni_fail(err, CNI_ERR_DECODE, "%s: a gateway is no address", what);
	if (interface && (!cJSON_IsNumber(interface) || interface->valueint < 0))
		return cni_fail(err, CNI_ERR_DECODE, "%s: interface is no index", what);
	copy = cJSON_CreateObject();
	if (interface)
		cJSON_AddNumberToObject(copy, "interface", interface->valueint);
	cJSON_AddStringToObject(copy, "address", address);
	if (gateway && gateway->valuestring[0])
		cJSON_AddStringToObject(copy, "gateway", gateway->valuestring);
	cJSON_AddItemToArray(cJSON_GetObjectItemCaseSensitive(result, "ips"), copy);
	return 0;
}

/* 0.1.0 and 0.2.0: {"ip4": {"ip", "gateway", "routes"}, "ip6", "dns"}. */
static int import_old(cJSON *result, const cJSON *in, const char *what, struct cni_error *err)
{
	static const char *const families[] = {"ip4", "ip6"};

	for (int i = 0; i < 2; i++) {
		const cJSON *family = get(in, families[i]);

		if (!family)
			continue;
		if (import_ip(result, get_text(family, "ip"), get(family, "gateway"), NULL, what,
		            err) ||
		        import_routes(result, get(family, "routes"), what, err))
			return -EINVAL;
	}
	return 0;
}

static int import_new(cJSON *result, const cJSON *in, const char *what, struct cni_error *err)
{
	cJSON *to = cJSON_GetObjectItemCaseSensitive(result, "interfaces");
	const cJSON *interfaces = get(in, "interfaces"), *ips = get(in, "ips"), *item;

	if ((interfaces && !cJSON_IsArray(interfaces)) || (ips && !cJSON_IsArray(ips)))
		return cni_fail(err, CNI_ERR_DECODE, "%s: interfaces and ips must be arrays", what);
	cJSON_ArrayForEach (item, interfaces) {
		cJSON *copy;

		if (!cJSON_IsObject(item) || !cJSON_IsString(get(item, "name")))
			return cni_fail(err, CNI_ERR_DECODE, "%s: an interface has no name", what);
		copy = cJSON_CreateObject();
		copy_keys(copy, item, interface_keys);
		cJSON_AddItemToArray(to, copy);
	}
	cJSON_ArrayForEach (item, ips) {
		if (import_ip(result, get_text(item, "address"), get(item, "gateway"),
		            get(item, "interface"), what, err))
			return -EINVAL;
	}
	return import_routes(result, get(in, "routes"), what, err);
}

static int import_into(cJSON *result, const cJSON *in, enum cni_version assumed, const char *what,
        struct cni_error *err)
{
	const cJSON *version = get(in, "cniVersion"), *dns = get(in, "dns");
	int parsed = (int)assumed;

	if (!cJSON_IsObject(in))
		return cni_fail(err, CNI_ERR_DECODE, "%s is not an object", what);
	if (version && cJSON_IsString(version) && version->valuestring[0])
		parsed = cni_version_parse(version->valuestring);
	if (parsed < 0 || (version && !cJSON_IsString(version)))
		return cni_fail(err, CNI_ERR_DECODE, "%s: its cniVersion is not one we know", what);
	if (dns && !cJSON_IsObject(dns))
		return cni_fail(err, CNI_ERR_DECODE, "%s: dns is not an object", what);
	copy_keys(cJSON_GetObjectItemCaseSensitive(result, "dns"), dns, dns_keys);
	return parsed <= CNI_V020 ? import_old(result, in, what, err)
	                          : import_new(result, in, what, err);
}

cJSON *cni_result_import(
        const cJSON *in, enum cni_version assumed, const char *what, struct cni_error *err)
{
	cJSON *result = cni_result_new();

	if (!import_into(result, in, assumed, what, err))
		return result;
	cJSON_Delete(result);
	return NULL;
}

static int family_of(const char *prefix)
{
	return strchr(prefix, ':') ? AF_INET6 : AF_INET;
}

/* One address a family is all that the old form can say: the first. */
static void export_family(cJSON *out, const cJSON *result, const char *name, int family)
{
	const cJSON *ip, *route;
	cJSON *to = NULL, *routes;

	cJSON_ArrayForEach (ip, get(result, "ips")) {
		if (family_of(get_text(ip, "address")) != family)
			continue;
		to = cJSON_AddObjectToObject(out, name);
		cJSON_AddStringToObject(to, "ip", get_text(ip, "address"));
		if (get(ip, "gateway"))
			cJSON_AddStringToObject(to, "gateway", get_text(ip, "gateway"));
		break;
	}
	if (!to)
		return;
	routes = cJSON_CreateArray();
	cJSON_ArrayForEach (route, get(result, "routes")) {
		cJSON *copy;

		if (family_of(get_text(route, "dst")) != family)
			continue;
		copy = cJSON_CreateObject();
		copy_keys(copy, route, route_keys_old);
		cJSON_AddItemToArray(routes, copy);
	}
	if (routes->child)
		cJSON_AddItemToObject(to, "routes", routes);
	else
		cJSON_Delete(routes);
}

static void export_ips(cJSON *out, const cJSON *result, enum cni_version version)
{
	static const char *const keys[] = {"interface", "address", "gateway", NULL};
	cJSON *to = cJSON_AddArrayToObject(out, "ips");
	const cJSON *ip;

	cJSON_ArrayForEach (ip, get(result, "ips")) {
		cJSON *copy = cJSON_CreateObject();

		if (version < CNI_V100)
			cJSON_AddStringToObject(copy, "version",
			        family_of(get_text(ip, "address")) == AF_INET ? "4" : "6");
		copy_keys(copy, ip, keys);
		cJSON_AddItemToArray(to, copy);
	}
}

static void export_list(cJSON *out, const cJSON *result, const char *name, const char *const *keys)
{
	cJSON *to = cJSON_AddArrayToObject(out, name);
	const cJSON *item;

	cJSON_ArrayForEach (item, get(result, name)) {
		cJSON *copy = cJSON_CreateObject();

		copy_keys(copy, item, keys);
		cJSON_AddItemToArray(to, copy);
	}
}

cJSON *cni_result_export(const cJSON *result, enum cni_version version)
{
	cJSON *out = cJSON_CreateObject();
	bool full = version >= CNI_V110;

	cJSON_AddStringToObject(out, "cniVersion", cni_version_name(version));
	if (version <= CNI_V020) {
		export_family(out, result, "ip4", AF_INET);
		export_family(out, result, "ip6", AF_INET6);
	} else {
		export_list(out, result, "interfaces", full ? interface_keys : interface_keys_old);
		export_ips(out, result, version);
		export_list(out, result, "routes", full ? route_keys : route_keys_old);
	}
	cJSON_AddItemToObject(out, "dns", cJSON_Duplicate(get(result, "dns"), true));
	return out;
}

void cni_result_append(cJSON *result, const cJSON *more)
{
	cJSON *interfaces = cJSON_GetObjectItemCaseSensitive(result, "interfaces");
	cJSON *ips = cJSON_GetObjectItemCaseSensitive(result, "ips");
	cJSON *routes = cJSON_GetObjectItemCaseSensitive(result, "routes");
	int first = cJSON_GetArraySize(interfaces);
	const cJSON *item;

	cJSON_ArrayForEach (item, get(more, "interfaces"))
		cJSON_AddItemToArray(interfaces, cJSON_Duplicate(item, true));
	cJSON_ArrayForEach (item, get(more, "ips")) {
		cJSON *copy = cJSON_Duplicate(item, true);
		cJSON *index = cJSON_GetObjectItemCaseSensitive(copy, "interface");

		if (index)
			cJSON_SetNumberValue(index, first + index->valueint);
		cJSON_AddItemToArray(ips, copy);
	}
	cJSON_ArrayForEach (item, get(more, "routes"))
		cJSON_AddItemToArray(routes, cJSON_Duplicate(item, true));
	if (get(more, "dns") && get(more, "dns")->child)
		cJSON_ReplaceItemInObjectCaseSensitive(
		        result, "dns", cJSON_Duplicate(get(more, "dns"), true));
}
