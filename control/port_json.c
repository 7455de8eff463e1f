/* SPDX-License-Identifier: BSD-3-Clause */
/* A port's params to the data plane's form, and that to the normal form. */
#include "control/object.h"

#include <string.h>

#define MAC_LIMIT_POD 16
#define FLOOD_RATE    1000

static bool trunk_has(const uint64_t trunk[64], unsigned vlan)
{
	return trunk[vlan / 64] >> (vlan % 64) & 1;
}

static int parse_trunk(struct request *request, struct dp_port_spec *spec)
{
	const cJSON *item;
	unsigned index = 0;

	cJSON_ArrayForEach (item, json_array(request->params, "trunk")) {
		unsigned first = 0, last = 0;
		char field[32], rest;

		if (cJSON_IsNumber(item) && item->valuedouble >= 1 && item->valuedouble <= 4094)
			first = last = (unsigned)item->valuedouble;
		else if (cJSON_IsString(item) &&
		         sscanf(item->valuestring, "%u-%u%c", &first, &last, &rest) != 2)
			last = sscanf(item->valuestring, "%u%c", &first, &rest) == 1 ? first : 0;
		snprintf(field, sizeof(field), "trunk[%u]", index++);
		if (!first || first > last || last > 4094)
			return request_fail(request, PR_ERR_PARAMS, field,
			        "a VLAN is 1 to 4094, a range \"10-20\"");
		for (unsigned vlan = first; vlan <= last; vlan++)
			spec->trunk[vlan / 64] |= UINT64_C(1) << (vlan % 64);
		spec->has_trunk = true;
	}
	return 0;
}

static int parse_macs(struct request *request, struct dp_port_spec *spec)
{
	const cJSON *item;

	cJSON_ArrayForEach (item, json_array(request->params, "allowedMacs")) {
		char field[32];

		snprintf(field, sizeof(field), "allowedMacs[%u]", spec->n_allowed_macs);
		if (spec->n_allowed_macs == PR_ALLOWED_MAX)
			return request_fail(request, PR_ERR_PARAMS, field, "at most %u addresses",
			        PR_ALLOWED_MAX);
		if (!cJSON_IsString(item) ||
		        pr_mac_parse(
		                item->valuestring, &spec->allowed_macs[spec->n_allowed_macs]) ||
		        pr_mac_is_multicast(&spec->allowed_macs[spec->n_allowed_macs]))
			return request_fail(request, PR_ERR_PARAMS, field,
			        "a source address must be a unicast MAC address");
		spec->n_allowed_macs++;
	}
	return 0;
}

/* Fills out to max; returns how many or -1. */
static int parse_prefixes(
        struct request *request, const char *name, bool routed, struct pr_prefix *out, unsigned max)
{
	const cJSON *item;
	unsigned n = 0;

	cJSON_ArrayForEach (item, json_array(request->params, name)) {
		char field[48];

		snprintf(field, sizeof(field), "%s[%u]", name, n);
		if (n == max)
			return request_fail(
			        request, PR_ERR_PARAMS, field, "at most %u of them", max);
		if (!cJSON_IsString(item) || pr_prefix_parse(item->valuestring, &out[n]))
			return request_fail(request, PR_ERR_PARAMS, field, "this is no prefix");
		if (routed && pr_ip_is_link_local6(&out[n].addr))
			return request_fail(request, PR_ERR_PARAMS, field,
			        "%s is link-local: every pod may use such addresses on its link, "
			        "and they are not routed",
			        item->valuestring);
		n++;
	}
	return (int)n;
}

static int check_address(struct request *request, const struct port_wish *wish, unsigned i)
{
	const struct pr_prefix *address = &wish->spec.addresses[i];
	const char *fault = address_prefix_fault(address);
	char field[32], text[PR_PREFIX_STRLEN];

	snprintf(field, sizeof(field), "addresses[%u]", i);
	pr_prefix_format(address, text);
	if (fault)
		return request_fail(request, PR_ERR_PARAMS, field, "%s %s", text, fault);
	for (unsigned k = 0; k < i; k++) {
		if (pr_ip_equal(&wish->spec.addresses[k].addr, &address->addr))
			return request_fail(
			        request, PR_ERR_PARAMS, field, "%s is given twice", text);
	}
	if (wish->network->spec.routed && network_has_gateway(wish->network, &address->addr))
		return request_fail(request, PR_ERR_CONFLICT, field,
		        "%s is the gateway's address in network \"%s\"; choose another", text,
		        wish->network->spec.name);
	if (wish->spec.kind == DP_PORT_VHOST_USER && !wish->spec.trust &&
	        wish->network->spec.n_subnets && !network_subnet_of(wish->network, &address->addr))
		return request_fail(request, PR_ERR_PARAMS, field,
		        "%s is in none of the subnets of network \"%s\"; choose an address in one, "
		        "or set trust",
		        text, wish->network->spec.name);
	return 0;
}

static int parse_addresses(struct request *request, struct port_wish *wish)
{
	struct dp_port_spec *spec = &wish->spec;
	bool routed = wish->network->spec.routed;
	int n = parse_prefixes(request, "addresses", routed, spec->addresses, PR_ADDRESSES_MAX);

	if (n < 0)
		return -1;
	if (n && spec->kind == DP_PORT_ETH && !routed)
		return request_fail(request, PR_ERR_PARAMS, "addresses",
		        "an eth port of a bridged network has no addresses; leave them out");
	spec->n_addresses = (uint8_t)n;
	for (unsigned i = 0; i < spec->n_addresses; i++) {
		if (check_address(request, wish, i))
			return -1;
	}
	n = parse_prefixes(
	        request, "allowedPrefixes", routed, spec->allowed_prefixes, PR_ALLOWED_MAX);
	if (n < 0)
		return -1;
	spec->n_allowed_prefixes = (uint8_t)n;
	for (unsigned i = 0; i < spec->n_allowed_prefixes; i++)
		pr_prefix_mask(&spec->allowed_prefixes[i]);
	return 0;
}

static int refuse_foreign(struct request *request, enum dp_port_kind kind)
{
	static const char *const vhost_only[] = {
	        "socket", "mode", "allowedPrefixes", "allowedMacs", "trust", "socketGroup", NULL};
	static const char *const eth_only[] = {"device", NULL};
	bool eth = kind == DP_PORT_ETH;

	for (const char *const *name = eth ? vhost_only : eth_only; *name; name++) {
		if (json_has(request->params, *name))
			return request_fail(request, PR_ERR_PARAMS, *name,
			        "only %s ports have %s; leave it out", eth ? "vhost-user" : "eth",
			        *name);
	}
	return 0;
}

static int parse_bridging(struct request *request, struct port_wish *wish)
{
	struct dp_port_spec *spec = &wish->spec;
	const char *name = wish->network->spec.name;

	spec->vlan = (uint16_t)json_integer(request->params, "vlan", 0);
	spec->isolated = json_bool(request->params, "isolated", false);
	if (parse_trunk(request, spec))
		return -1;
	if (!wish->network->spec.routed) {
		if (json_has(request->params, "gatewayMac"))
			return request_fail(request, PR_ERR_PARAMS, "gatewayMac",
			        "network \"%s\" is bridged and has no gateway; leave it out", name);
		return 0;
	}
	if (spec->has_trunk)
		return request_fail(request, PR_ERR_PARAMS, "trunk",
		        "network \"%s\" is routed; only ports of bridged networks have a trunk",
		        name);
	if (spec->vlan && spec->kind == DP_PORT_VHOST_USER)
		return request_fail(request, PR_ERR_PARAMS, "vlan",
		        "network \"%s\" is routed; only its eth ports may have a VLAN", name);
	if (spec->isolated)
		return request_fail(request, PR_ERR_PARAMS, "isolated",
		        "network \"%s\" is routed; only ports of bridged networks can be isolated",
		        name);
	return 0;
}

static int parse_mac(struct request *request, struct port_wish *wish)
{
	struct dp_port_spec *spec = &wish->spec;
	const char *text = json_string(request->params, "mac", "");

	spec->gateway_mac = wish->network->spec.gateway_mac;
	if (json_has(request->params, "gatewayMac") &&
	        (pr_mac_parse(json_string(request->params, "gatewayMac", ""), &spec->gateway_mac) ||
	                pr_mac_is_multicast(&spec->gateway_mac) ||
	                pr_mac_is_zero(&spec->gateway_mac)))
		return request_fail(request, PR_ERR_PARAMS, "gatewayMac",
		        "the gateway needs a unicast MAC address that is not zero");
	if (!*text)
		return 0;
	if (pr_mac_parse(text, &spec->mac) || pr_mac_is_multicast(&spec->mac) ||
	        pr_mac_is_zero(&spec->mac))
		return request_fail(request, PR_ERR_PARAMS, "mac",
		        "a port needs a unicast MAC address that is not zero");
	if (wish->network->spec.routed &&
	        !memcmp(&spec->mac, &spec->gateway_mac, sizeof(spec->mac)))
		return request_fail(request, PR_ERR_CONFLICT, "mac",
		        "%s is the gateway's MAC address; choose another", text);
	wish->mac_given = true;
	return 0;
}

static int parse_vhost_user(struct request *request, struct dp_port_spec *spec)
{
	const cJSON *params = request->params;
	const char *path = json_string(params, "socket", "");
	int64_t queues = json_integer(params, "queues", 1);

	if (strlen(path) >= sizeof(spec->socket) || path[0] != '/')
		return request_fail(request, PR_ERR_PARAMS, "socket",
		        "a vhost-user port needs the absolute path of its socket, at most %zu "
		        "bytes",
		        sizeof(spec->socket) - 1);
	strcpy(spec->socket, path);
	spec->server = !strcmp(json_string(params, "mode", "client"), "server");
	spec->trust = json_bool(params, "trust", false);
	/* A gid above INT32_MAX keeps its bits. */
	spec->socket_gid = (int32_t)(uint32_t)json_integer(params, "socketGroup", -1);
	if (spec->socket_gid != -1 && !spec->server)
		return request_fail(request, PR_ERR_PARAMS, "socketGroup",
		        "in client mode the pod makes the socket; leave socketGroup out");
	if (queues < 1 || queues > PR_QUEUES_MAX)
		return request_fail(
		        request, PR_ERR_PARAMS, "queues", "1 to %u queue pairs", PR_QUEUES_MAX);
	spec->queues = (uint8_t)queues;
	return parse_macs(request, spec);
}

static int parse_eth(struct request *request, struct dp_port_spec *spec)
{
	const char *device = json_string(request->params, "device", "");
	int64_t queues = json_integer(request->params, "queues", 0);

	if (!*device || strlen(device) >= sizeof(spec->device))
		return request_fail(request, PR_ERR_PARAMS, "device",
		        "an eth port needs a PCI address or devargs, at most %zu bytes",
		        sizeof(spec->device) - 1);
	strcpy(spec->device, device);
	if (queues < 0 || queues > 64)
		return request_fail(request, PR_ERR_PARAMS, "queues", "0 to 64 queue pairs");
	spec->queues = (uint8_t)queues;
	spec->socket_gid = -1;
	return 0;
}

static int parse_mtu(struct request *request, struct port_wish *wish)
{
	int64_t mtu = json_integer(request->params, "mtu", wish->network->spec.mtu);

	if (mtu < PR_MTU_MIN || mtu > PR_MTU_MAX)
		return request_fail(request, PR_ERR_PARAMS, "mtu", "an MTU is %u to %u", PR_MTU_MIN,
		        PR_MTU_MAX);
	if (mtu > wish->network->spec.mtu)
		return request_fail(request, PR_ERR_PARAMS, "mtu",
		        "%d is above the MTU of network \"%s\", %u; choose less, or a network with "
		        "a larger one",
		        (int)mtu, wish->network->spec.name, wish->network->spec.mtu);
	wish->spec.mtu = (uint16_t)mtu;
	return 0;
}

int port_parse(struct request *request, struct port_wish *wish)
{
	const cJSON *params = request->params;
	const char *name = json_string(params, "name", "");
	struct dp_port_spec *spec = &wish->spec;
	bool eth = !strcmp(json_string(params, "kind", ""), "eth");

	*wish = (struct port_wish){.spec.index = DP_INDEX_ANY};
	if (!pr_name_valid(name))
		return request_fail(request, PR_ERR_PARAMS, "name",
		        "a name is 1 to %u letters, digits, '_', '.' and '-'", PR_NAME_MAX);
	strcpy(spec->name, name);
	spec->kind = eth ? DP_PORT_ETH : DP_PORT_VHOST_USER;
	if (refuse_foreign(request, spec->kind))
		return -1;
	wish->network = network_wanted(request, "network");
	if (!wish->network)
		return -1;
	spec->network = wish->network->spec.index;
	if (request->replay)
		spec->index = (uint16_t)json_integer(params, "index", DP_INDEX_ANY);
	spec->mac_limit = (uint32_t)json_integer(params, "macLimit", eth ? 0 : MAC_LIMIT_POD);
	spec->flood_rate = (uint32_t)json_integer(params, "floodRate", FLOOD_RATE);
	if (multicast_parse_port(request, spec, wish->network->spec.routed))
		return -1;
	if (parse_mtu(request, wish) || parse_bridging(request, wish) || parse_mac(request, wish))
		return -1;
	if (eth ? parse_eth(request, spec) : parse_vhost_user(request, spec))
		return -1;
	return parse_addresses(request, wish);
}

/* Ranges of two and more as "a-b", ordered. */
static void body_trunk(cJSON *body, const struct dp_port_spec *spec)
{
	cJSON *array = cJSON_AddArrayToObject(body, "trunk");

	for (unsigned vlan = 1; vlan <= 4094; vlan++) {
		unsigned last = vlan;
		char text[16];

		if (!trunk_has(spec->trunk, vlan))
			continue;
		while (last < 4094 && trunk_has(spec->trunk, last + 1))
			last++;
		snprintf(text, sizeof(text), "%u-%u", vlan, last);
		cJSON_AddItemToArray(
		        array, last == vlan ? cJSON_CreateNumber(vlan) : cJSON_CreateString(text));
		vlan = last;
	}
}

static void body_prefixes(
        cJSON *body, const char *name, const struct pr_prefix *prefixes, unsigned n)
{
	cJSON *array = cJSON_AddArrayToObject(body, name);

	for (unsigned i = 0; i < n; i++)
		json_append_prefix(array, &prefixes[i]);
}

static void body_vhost_user(cJSON *body, const struct dp_port_spec *spec)
{
	cJSON *array;

	cJSON_AddStringToObject(body, "socket", spec->socket);
	cJSON_AddStringToObject(body, "mode", spec->server ? "server" : "client");
	json_add_u64(body, "queues", spec->queues);
	body_prefixes(body, "addresses", spec->addresses, spec->n_addresses);
	body_prefixes(body, "allowedPrefixes", spec->allowed_prefixes, spec->n_allowed_prefixes);
	array = cJSON_AddArrayToObject(body, "allowedMacs");
	for (unsigned i = 0; i < spec->n_allowed_macs; i++)
		json_append_mac(array, &spec->allowed_macs[i]);
	cJSON_AddBoolToObject(body, "trust", spec->trust);
	json_add_i64(body, "socketGroup",
	        spec->socket_gid == -1 ? -1 : (int64_t)(uint32_t)spec->socket_gid);
}

cJSON *port_body(const struct port_wish *wish, const cJSON *cni)
{
	const struct dp_port_spec *spec = &wish->spec;
	cJSON *body = cJSON_CreateObject();
	bool eth = spec->kind == DP_PORT_ETH;

	cJSON_AddStringToObject(body, "name", spec->name);
	cJSON_AddStringToObject(body, "kind", eth ? "eth" : "vhost-user");
	cJSON_AddStringToObject(body, "network", wish->network->spec.name);
	json_add_u64(body, "mtu", spec->mtu);
	json_add_mac(body, "mac", &spec->mac);
	if (wish->network->spec.routed)
		json_add_mac(body, "gatewayMac", &spec->gateway_mac);
	json_add_u64(body, "vlan", spec->vlan);
	body_trunk(body, spec);
	cJSON_AddBoolToObject(body, "isolated", spec->isolated);
	json_add_u64(body, "macLimit", spec->mac_limit);
	json_add_u64(body, "floodRate", spec->flood_rate);
	if (!wish->network->spec.routed)
		multicast_body_port(body, spec);
	if (eth) {
		cJSON_AddStringToObject(body, "device", spec->device);
		body_prefixes(body, "addresses", spec->addresses, spec->n_addresses);
		json_add_u64(body, "queues", spec->queues);
	} else {
		body_vhost_user(body, spec);
	}
	if (cni)
		cJSON_AddItemToObject(body, "cni", cJSON_Duplicate(cni, true));
	return body;
}
