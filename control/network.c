/* SPDX-License-Identifier: BSD-3-Clause */
#include "control/object.h"

#include <stdlib.h>
#include <errno.h>
#include <string.h>

static struct map networks;
static struct network *by_index[PR_NETWORKS_MAX];

/* The gateway of pods that have no subnet (Calico's way); always answered for. */
static const struct pr_ip link_local_gateway = {.family = AF_INET, .v4 = {169, 254, 1, 1}};

struct network *network_find(const char *name)
{
	return map_get(&networks, name);
}

struct network *network_by_index(uint16_t index)
{
	return index < PR_NETWORKS_MAX ? by_index[index] : NULL;
}

const char *network_name(uint16_t index)
{
	const struct network *network = network_by_index(index);

	return network ? network->spec.name : "";
}

struct network *network_wanted(struct request *request, const char *member)
{
	const char *name = json_string(request->params, member, "");
	struct network *network = network_find(name);

	if (!network)
		request_fail(request, PR_ERR_NOT_FOUND, member,
		        "there is no network \"%s\"; add it first (network.add)", name);
	return network;
}

struct network *network_wanted_mode(struct request *request, const char *member, bool routed)
{
	struct network *network = network_wanted(request, member);

	if (!network || network->spec.routed == routed)
		return network;
	request_fail(request, PR_ERR_PARAMS, member, "network \"%s\" is %s; this needs a %s one",
	        network->spec.name, routed ? "bridged" : "routed", routed ? "routed" : "bridged");
	return NULL;
}

struct network **network_sorted(size_t *n)
{
	return (struct network **)map_sorted(&networks, n);
}

bool network_has_gateway(const struct network *network, const struct pr_ip *ip)
{
	for (unsigned i = 0; i < network->spec.n_gateways; i++) {
		if (pr_ip_equal(&network->spec.gateways[i], ip))
			return true;
	}
	return false;
}

const struct pr_prefix *network_subnet_of(const struct network *network, const struct pr_ip *ip)
{
	for (unsigned i = 0; i < network->spec.n_subnets; i++) {
		if (pr_prefix_contains(&network->spec.subnets[i], ip))
			return &network->spec.subnets[i];
	}
	return NULL;
}

static int parse_subnet(struct request *request, struct dp_network_spec *spec, const char *text)
{
	struct pr_prefix *prefix = &spec->subnets[spec->n_subnets], masked;
	char field[32], right[PR_PREFIX_STRLEN];

	snprintf(field, sizeof(field), "subnets[%u]", spec->n_subnets);
	if (pr_prefix_parse(text, prefix))
		return request_fail(request, PR_ERR_PARAMS, field, "\"%s\" is no prefix", text);
	if (pr_ip_is_link_local6(&prefix->addr))
		return request_fail(request, PR_ERR_PARAMS, field,
		        "%s is link-local: every pod has such addresses, and they are not routed",
		        text);
	masked = *prefix;
	pr_prefix_mask(&masked);
	if (!pr_ip_equal(&masked.addr, &prefix->addr))
		return request_fail(request, PR_ERR_PARAMS, field,
		        "%s has bits set behind its length; you may mean %s", text,
		        pr_prefix_format(&masked, right));
	if (!prefix->len || (prefix->len >= 8 && address_fault(&prefix->addr)))
		return request_fail(
		        request, PR_ERR_PARAMS, field, "%s can not be a subnet of hosts", text);
	for (unsigned i = 0; i < spec->n_subnets; i++) {
		if (prefix_overlap(prefix, &spec->subnets[i]))
			return request_fail(request, PR_ERR_PARAMS, field,
			        "%s overlaps subnets[%u], %s", text, i,
			        pr_prefix_format(&spec->subnets[i], right));
	}
	spec->n_subnets++;
	return 0;
}

static int add_gateway(struct request *request, struct dp_network_spec *spec,
        const struct pr_ip *gateway, const char *field)
{
	for (unsigned i = 0; i < spec->n_gateways; i++) {
		if (pr_ip_equal(&spec->gateways[i], gateway))
			return 0;
	}
	if (spec->n_gateways == PR_GATEWAYS_MAX)
		return request_fail(request, PR_ERR_PARAMS, field,
		        "at most %u addresses, of which 169.254.1.1 is always one",
		        PR_GATEWAYS_MAX);
	spec->gateways[spec->n_gateways++] = *gateway;
	return 0;
}

static int parse_gateway(
        struct request *request, struct dp_network_spec *spec, const char *text, unsigned index)
{
	char field[32];
	const char *fault;
	struct pr_ip ip;

	snprintf(field, sizeof(field), "gateways[%u]", index);
	if (pr_ip_parse(text, &ip))
		return request_fail(request, PR_ERR_PARAMS, field, "\"%s\" is no address", text);
	if (pr_ip_is_link_local6(&ip))
		return request_fail(request, PR_ERR_PARAMS, field,
		        "%s is link-local: the gateway is fe80::1 on every pod's link anyway",
		        text);
	fault = address_fault(&ip);
	if (fault)
		return request_fail(request, PR_ERR_PARAMS, field, "%s %s", text, fault);
	return add_gateway(request, spec, &ip, field);
}

/* Its first host address; a /32 or /128 has none to spare. */
static int derive_gateways(struct request *request, struct dp_network_spec *spec)
{
	for (unsigned i = 0; i < spec->n_subnets; i++) {
		const struct pr_prefix *subnet = &spec->subnets[i];
		size_t bytes = pr_ip_bytes(&subnet->addr);
		struct pr_ip ip = subnet->addr;

		/* RFC 3021, RFC 6164: of two addresses both are hosts. */
		if (subnet->len < 8 * bytes - 1)
			ip.b[bytes - 1] |= 1;
		if (!pr_prefix_is_host(subnet) && add_gateway(request, spec, &ip, "gateways"))
			return -1;
	}
	return 0;
}

static int parse_routed(struct request *request, struct dp_network_spec *spec)
{
	const cJSON *subnets = json_array(request->params, "subnets");
	const cJSON *gateways = json_array(request->params, "gateways");
	const cJSON *item;
	unsigned index = 0;

	if (cJSON_GetArraySize(subnets) > PR_SUBNETS_MAX)
		return request_fail(
		        request, PR_ERR_PARAMS, "subnets", "at most %u subnets", PR_SUBNETS_MAX);
	cJSON_ArrayForEach (item, subnets) {
		if (parse_subnet(request, spec, cJSON_IsString(item) ? item->valuestring : ""))
			return -1;
	}
	cJSON_ArrayForEach (item, gateways) {
		if (parse_gateway(
		            request, spec, cJSON_IsString(item) ? item->valuestring : "", index++))
			return -1;
	}
	if (!index && derive_gateways(request, spec))
		return -1;
	spec->proxy_arp = json_bool(request->params, "proxyArp", true);
	spec->advertise = json_bool(request->params, "routerAdvertisements", false);
	spec->reassemble = json_bool(request->params, "reassemble", false);
	return add_gateway(request, spec, &link_local_gateway, "gateways");
}

/* Members of the other mode have no meaning here: refused rather than ignored. */
static int refuse_foreign(struct request *request, bool routed)
{
	static const char *const bridged_only[] = {"macAgeing", "macLimit", "multicastSnooping",
	        "multicastQuerier", "multicastQueryInterval", "linkLocalFrames", NULL};
	static const char *const routed_only[] = {
	        "subnets", "gateways", "proxyArp", "routerAdvertisements", "reassemble", NULL};

	for (const char *const *name = routed ? bridged_only : routed_only; *name; name++) {
		if (json_has(request->params, *name))
			return request_fail(request, PR_ERR_PARAMS, *name,
			        "only %s networks have %s; leave it out",
			        routed ? "bridged" : "routed", *name);
	}
	return 0;
}

static int parse_network(struct request *request, struct dp_network_spec *spec)
{
	const cJSON *params = request->params;
	const char *name = json_string(params, "name", "");

	*spec = (struct dp_network_spec){.index = DP_INDEX_ANY};
	if (!pr_name_valid(name))
		return request_fail(request, PR_ERR_PARAMS, "name",
		        "a name is 1 to %u letters, digits, '_', '.' and '-'", PR_NAME_MAX);
	strcpy(spec->name, name);
	spec->routed = !strcmp(json_string(params, "mode", ""), "routed");
	spec->mtu = (uint16_t)json_integer(params, "mtu", 1500);
	if (pr_mac_parse(
	            json_string(params, "gatewayMac", "02:70:72:00:00:01"), &spec->gateway_mac) ||
	        pr_mac_is_multicast(&spec->gateway_mac) || pr_mac_is_zero(&spec->gateway_mac))
		return request_fail(request, PR_ERR_PARAMS, "gatewayMac",
		        "the gateway needs a unicast MAC address that is not zero");
	if (request->replay)
		spec->index = (uint16_t)json_integer(params, "index", DP_INDEX_ANY);
	if (refuse_foreign(request, spec->routed))
		return -1;
	if (spec->routed)
		return parse_routed(request, spec);
	spec->mac_ageing = (uint32_t)json_integer(params, "macAgeing", 300);
	spec->mac_limit = (uint32_t)json_integer(params, "macLimit", 0);
	return multicast_parse_network(request, spec);
}

static cJSON *network_body(const struct dp_network_spec *spec)
{
	cJSON *body = cJSON_CreateObject(), *array;

	cJSON_AddStringToObject(body, "name", spec->name);
	cJSON_AddStringToObject(body, "mode", spec->routed ? "routed" : "bridged");
	json_add_u64(body, "mtu", spec->mtu);
	json_add_mac(body, "gatewayMac", &spec->gateway_mac);
	if (!spec->routed) {
		json_add_u64(body, "macAgeing", spec->mac_ageing);
		json_add_u64(body, "macLimit", spec->mac_limit);
		multicast_body_network(body, spec);
		return body;
	}
	array = cJSON_AddArrayToObject(body, "subnets");
	for (unsigned i = 0; i < spec->n_subnets; i++)
		json_append_prefix(array, &spec->subnets[i]);
	array = cJSON_AddArrayToObject(body, "gateways");
	for (unsigned i = 0; i < spec->n_gateways; i++)
		json_append_ip(array, &spec->gateways[i]);
	cJSON_AddBoolToObject(body, "proxyArp", spec->proxy_arp);
	cJSON_AddBoolToObject(body, "routerAdvertisements", spec->advertise);
	cJSON_AddBoolToObject(body, "reassemble", spec->reassemble);
	return body;
}

static cJSON *network_json(const struct network *network)
{
	cJSON *answer = cJSON_Duplicate(network->body, true);

	if (network->spec.routed) {
		cJSON *uplinks = cJSON_AddArrayToObject(answer, "uplinks");
		size_t n;
		struct port **ports = port_sorted(&n);

		for (size_t i = 0; i < n; i++) {
			if (ports[i]->network == network && ports[i]->spec.kind == DP_PORT_ETH)
				cJSON_AddItemToArray(
				        uplinks, cJSON_CreateString(ports[i]->spec.name));
		}
		free(ports);
	}
	json_add_u64(answer, "index", network->spec.index);
	json_add_u64(answer, "ports", network->ports);
	json_add_u64(
	        answer, "routes", network->spec.routed ? dp_route_count(network->spec.index) : 0);
	return answer;
}

static cJSON *network_stored(const struct network *network)
{
	cJSON *body = cJSON_Duplicate(network->body, true);

	json_add_u64(body, "index", network->spec.index);
	return body;
}

static void network_free(void *value)
{
	struct network *network = value;

	cJSON_Delete(network->body);
	free(network);
}

static int network_create(struct request *request, struct network *network)
{
	struct dp_error error = {0};
	int rc;

	if (dp_network_add(&network->spec, &network->spec.index, &error))
		return request_fail_dp(request, &error);
	rc = network->spec.index < PR_NETWORKS_MAX ? map_put(&networks, network->spec.name, network)
	                                           : -ERANGE;
	if (rc) {
		dp_network_del(network->spec.index, &error);
		return request_fail(request, PR_ERR_INTERNAL, NULL, "%s", strerror(-rc));
	}
	by_index[network->spec.index] = network;
	return 0;
}

static cJSON *name_params(const char *name)
{
	cJSON *params = cJSON_CreateObject();

	cJSON_AddStringToObject(params, "name", name);
	return params;
}

int network_add(struct request *request)
{
	struct dp_network_spec spec;
	struct network *network;
	cJSON *stored;
	int rc;

	if (parse_network(request, &spec))
		return -1;
	network = network_find(spec.name);
	if (network) {
		cJSON *body = network_body(&spec);

		rc = object_repeat(request, "network", "the network", body, network->body,
		        network_json(network));
		cJSON_Delete(body);
		return rc;
	}
	network = calloc(1, sizeof(*network));
	if (!network)
		return request_fail(request, PR_ERR_INTERNAL, NULL, "out of memory");
	network->spec = spec;
	network->body = network_body(&spec);
	if (network_create(request, network)) {
		network_free(network);
		return -1;
	}
	stored = network_stored(network);
	rc = object_store(
	        request, KIND_NETWORK, spec.name, stored, network_del, name_params(spec.name));
	cJSON_Delete(stored);
	return rc ? rc : object_created(request, "network", network_json(network));
}

static int network_in_use(struct request *request, const struct network *network)
{
	const char *name = "";
	size_t n;
	struct port **ports = port_sorted(&n);

	for (size_t i = 0; i < n && !*name; i++) {
		if (ports[i]->network == network)
			name = ports[i]->spec.name;
	}
	free(ports);
	return request_fail(request, PR_ERR_IN_USE, "name",
	        "network \"%s\" has %u ports, \"%s\" for one; remove them first",
	        network->spec.name, network->ports, name);
}

int network_del(struct request *request)
{
	const char *name = json_string(request->params, "name", "");
	struct network *network = network_find(name);
	struct dp_error error = {0};

	if (!network) {
		bool kept = replay_forget(KIND_NETWORK, name);

		if (kept && object_unstore(request, KIND_NETWORK, name))
			return -1;
		return object_removed(request, kept);
	}
	if (network->ports)
		return network_in_use(request, network);
	if (route_network_unstore(request, network) ||
	        neighbour_network_unstore(request, network) ||
	        fdb_network_unstore(request, network) ||
	        object_unstore(request, KIND_NETWORK, name))
		return -1;
	if (dp_network_del(network->spec.index, &error))
		return request_fail_dp(request, &error);
	map_remove(&networks, name);
	by_index[network->spec.index] = NULL;
	/* Taken back in reverse: the network first, then what was in it. */
	route_network_gone(request, network);
	neighbour_network_gone(request, network);
	fdb_network_gone(request, network);
	object_on_rollback(request, network_add, network_stored(network));
	network_free(network);
	return object_removed(request, true);
}

int network_list(struct request *request)
{
	cJSON *array = cJSON_AddArrayToObject(request->result, "networks");
	size_t n;
	struct network **sorted = network_sorted(&n);

	for (size_t i = 0; i < n; i++)
		cJSON_AddItemToArray(array, network_json(sorted[i]));
	free(sorted);
	return 0;
}

int network_show(struct request *request)
{
	const struct network *network = network_wanted(request, "name");

	if (!network)
		return -1;
	cJSON_AddItemToObject(request->result, "network", network_json(network));
	return 0;
}

void network_free_all(void)
{
	map_clear(&networks, network_free);
	memset(by_index, 0, sizeof(by_index));
}
