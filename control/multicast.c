/* SPDX-License-Identifier: BSD-3-Clause */
/* Options of bridged networks and their ports about frames that go to many, and multicast.*. */
#include "control/object.h"

#include <stdlib.h>
#include <string.h>

#define QUERY_INTERVAL      125
#define MULTICAST_LIMIT_POD 256
#define PAUSE               1 /* 01:80:c2:00:00:01: IEEE 802.3 annex 31B, never beyond a link */

/* ---- link-local protocols of IEEE 802.1Q table 8-1 ---- */

static const struct {
	const char *name;
	unsigned number;
} link_local_names[] = {{"stp", 0x0}, {"lacp", 0x2}, {"dot1x", 0x3}, {"lldp", 0xe}};

#define N_NAMES (sizeof(link_local_names) / sizeof(link_local_names[0]))

/* The last digit of the address, or -1. */
static int link_local_number(const char *text)
{
	static const char digits[] = "0123456789abcdef";

	for (unsigned n = 0; n < N_NAMES; n++)
		if (!strcmp(text, link_local_names[n].name))
			return (int)link_local_names[n].number;
	if (strlen(text) != 2 || text[0] != '0' || !strchr(digits, text[1]))
		return -1;
	return (int)(strchr(digits, text[1]) - digits);
}

static int parse_link_local(struct request *request, struct dp_network_spec *spec)
{
	const cJSON *item;
	unsigned index = 0;

	cJSON_ArrayForEach (item, json_array(request->params, "linkLocalFrames")) {
		const char *text = cJSON_IsString(item) ? item->valuestring : "";
		int number = link_local_number(text);
		char field[32];

		snprintf(field, sizeof(field), "linkLocalFrames[%u]", index++);
		if (number < 0)
			return request_fail(request, PR_ERR_PARAMS, field,
			        "\"%s\" is no such protocol; \"stp\", \"lacp\", \"dot1x\", "
			        "\"lldp\", or the last byte of 01:80:c2:00:00:00 to 0f as \"00\" "
			        "to \"0f\"",
			        text);
		if (number == PAUSE)
			return request_fail(request, PR_ERR_PARAMS, field,
			        "01 is PAUSE: it would stop whoever is behind another port; leave "
			        "it out");
		spec->link_local |= (uint16_t)(1u << number);
	}
	return 0;
}

static void body_link_local(cJSON *body, const struct dp_network_spec *spec)
{
	cJSON *array = cJSON_AddArrayToObject(body, "linkLocalFrames");

	for (unsigned number = 0; number < 16; number++) {
		char text[8];

		if (!(spec->link_local >> number & 1))
			continue;
		snprintf(text, sizeof(text), "%02x", number);
		for (unsigned n = 0; n < N_NAMES; n++)
			if (link_local_names[n].number == number)
				strcpy(text, link_local_names[n].name);
		cJSON_AddItemToArray(array, cJSON_CreateString(text));
	}
}

int multicast_parse_network(struct request *request, struct dp_network_spec *spec)
{
	const cJSON *params = request->params;

	spec->snooping = json_bool(params, "multicastSnooping", true);
	spec->querier = json_bool(params, "multicastQuerier", false);
	spec->query_interval =
	        (uint16_t)json_integer(params, "multicastQueryInterval", QUERY_INTERVAL);
	if (spec->querier && !spec->snooping)
		return request_fail(request, PR_ERR_PARAMS, "multicastQuerier",
		        "a querier needs multicastSnooping: nobody else would listen to the "
		        "answers");
	return parse_link_local(request, spec);
}

void multicast_body_network(cJSON *body, const struct dp_network_spec *spec)
{
	cJSON_AddBoolToObject(body, "multicastSnooping", spec->snooping);
	cJSON_AddBoolToObject(body, "multicastQuerier", spec->querier);
	json_add_u64(body, "multicastQueryInterval", spec->query_interval);
	body_link_local(body, spec);
}

/* ---- ports ---- */

static const char *const class_rates[] = {"broadcastRate", "multicastRate", "unknownUnicastRate"};
static const char *const router_values[] = {"auto", "always", "never"};

static int refuse_in_routed(struct request *request, const char *network)
{
	static const char *const bridged_only[] = {"broadcastRate", "multicastRate",
	        "unknownUnicastRate", "copyRate", "multicastRouter", "multicastFastLeave",
	        "multicastLimit", NULL};

	for (const char *const *name = bridged_only; *name; name++) {
		if (json_has(request->params, *name))
			return request_fail(request, PR_ERR_PARAMS, *name,
			        "network \"%s\" is routed; only ports of bridged networks have %s",
			        network, *name);
	}
	return 0;
}

int multicast_parse_port(struct request *request, struct dp_port_spec *spec, bool routed)
{
	const cJSON *params = request->params;
	const char *router = json_string(params, "multicastRouter", router_values[0]);

	if (routed)
		return refuse_in_routed(request, json_string(params, "network", ""));
	for (unsigned n = 0; n < 3; n++) {
		if (!json_has(params, class_rates[n]))
			continue;
		spec->own_rates |= (uint8_t)(1u << n);
		spec->class_rate[n] = (uint32_t)json_integer(params, class_rates[n], 0);
	}
	spec->copy_rate = (uint32_t)json_integer(params, "copyRate", 0);
	for (unsigned n = 0; n < 3; n++)
		if (!strcmp(router, router_values[n]))
			spec->multicast_router = (enum dp_multicast_router)n;
	spec->multicast_fast_leave = json_bool(params, "multicastFastLeave", false);
	spec->multicast_limit = (uint32_t)json_integer(
	        params, "multicastLimit", spec->kind == DP_PORT_ETH ? 0 : MULTICAST_LIMIT_POD);
	return 0;
}

void multicast_body_port(cJSON *body, const struct dp_port_spec *spec)
{
	for (unsigned n = 0; n < 3; n++)
		if (spec->own_rates >> n & 1)
			json_add_u64(body, class_rates[n], spec->class_rate[n]);
	json_add_u64(body, "copyRate", spec->copy_rate);
	cJSON_AddStringToObject(body, "multicastRouter", router_values[spec->multicast_router]);
	cJSON_AddBoolToObject(body, "multicastFastLeave", spec->multicast_fast_leave);
	json_add_u64(body, "multicastLimit", spec->multicast_limit);
}

/* ---- multicast.list ---- */

#define KEY_MAX (2 * PR_NAME_MAX + PR_IP_STRLEN + 16)

/* What a page goes on behind: "network vlan group port". */
static void member_key(char key[KEY_MAX], const struct dp_multicast_member *member)
{
	char text[PR_IP_STRLEN];

	snprintf(key, KEY_MAX, "%s %u %s %s", network_name(member->network), member->vlan,
	        pr_ip_format(&member->group, text), port_name(member->port));
}

static int member_compare(const void *a, const void *b)
{
	const struct dp_multicast_member *x = a, *y = b;
	int order = strcmp(network_name(x->network), network_name(y->network));

	if (!order)
		order = (int)x->vlan - (int)y->vlan;
	if (!order) /* AF_INET is less */
		order = (int)x->group.family - (int)y->group.family;
	if (!order)
		order = memcmp(x->group.b, y->group.b, pr_ip_bytes(&x->group));
	return order ? order : strcmp(port_name(x->port), port_name(y->port));
}

static cJSON *member_json(const struct dp_multicast_member *member)
{
	cJSON *object = cJSON_CreateObject();

	cJSON_AddStringToObject(object, "network", network_name(member->network));
	json_add_u64(object, "vlan", member->vlan);
	json_add_ip(object, "group", &member->group);
	cJSON_AddStringToObject(object, "port", port_name(member->port));
	json_add_u64(object, "version", member->version);
	json_add_u64(object, "expires", member->expires);
	return object;
}

/* The first one behind the `after` of an earlier answer, whether that is still there or not. -1: it
 * is none that we gave. */
static int64_t begin_behind(const struct dp_multicast_member *list, size_t n, const char *after,
        struct request *request)
{
	char network[PR_NAME_MAX + 1], group[PR_IP_STRLEN], port[PR_NAME_MAX + 1];
	struct dp_multicast_member key = {0};
	size_t low = 0;
	unsigned vlan;

	if (!*after)
		return 0;
	if (sscanf(after, "%63s %u %45s %63s", network, &vlan, group, port) != 4 ||
	        pr_ip_parse(group, &key.group) || !network_find(network) || !port_find(port)) {
		request_fail(request, PR_ERR_PARAMS, "after",
		        "this is no `next` of an answer, or its network or port is gone; begin "
		        "without it");
		return -1;
	}
	key.network = network_find(network)->spec.index;
	key.vlan = (uint16_t)vlan;
	key.port = port_find(port)->spec.index;
	while (low < n && member_compare(&list[low], &key) <= 0)
		low++;
	return (int64_t)low;
}

int multicast_list(struct request *request)
{
	const char *network = json_string(request->params, "network", "");
	const char *port = json_string(request->params, "port", "");
	int64_t left = json_integer(request->params, "limit", 1000), from;
	struct dp_multicast_member *list;
	char next[KEY_MAX] = "", last[KEY_MAX] = "";
	cJSON *array;
	size_t n;

	if ((*network && !network_wanted_mode(request, "network", false)) ||
	        (*port && !port_wanted(request, "port")))
		return -1;
	list = dp_multicast_list(&n);
	if (n)
		qsort(list, n, sizeof(*list), member_compare);
	from = begin_behind(list, n, json_string(request->params, "after", ""), request);
	array = cJSON_AddArrayToObject(request->result, "groups");
	for (size_t i = (size_t)from; from >= 0 && i < n; i++) {
		if ((*network && strcmp(network_name(list[i].network), network)) ||
		        (*port && strcmp(port_name(list[i].port), port)))
			continue;
		if (!left--) {
			strcpy(next, last);
			break;
		}
		cJSON_AddItemToArray(array, member_json(&list[i]));
		member_key(last, &list[i]);
	}
	free(list);
	cJSON_AddStringToObject(request->result, "next", next);
	return from < 0 ? -1 : 0;
}

/* ---- multicast.status ---- */

static cJSON *segment_json(const struct dp_multicast_segment *segment)
{
	cJSON *object = cJSON_CreateObject(), *routers;

	cJSON_AddStringToObject(object, "network", network_name(segment->network));
	json_add_u64(object, "vlan", segment->vlan);
	cJSON_AddStringToObject(object, "family", segment->v6 ? "ipv6" : "ipv4");
	cJSON_AddStringToObject(object, "state",
	        !segment->active    ? "flooding"
	        : segment->overflow ? "overflow"
	                            : "snooping");
	if (segment->other)
		json_add_ip(object, "querier", &segment->querier);
	else
		cJSON_AddStringToObject(object, "querier", segment->querying ? "self" : "");
	cJSON_AddStringToObject(
	        object, "querierPort", segment->other ? port_name(segment->querier_port) : "");
	routers = cJSON_AddArrayToObject(object, "routerPorts");
	for (unsigned n = 0; n < segment->n_routers && n < DP_MULTICAST_ROUTERS; n++)
		cJSON_AddItemToArray(routers, cJSON_CreateString(port_name(segment->router[n])));
	return object;
}

static int segment_compare(const void *a, const void *b)
{
	const struct dp_multicast_segment *x = a, *y = b;
	int order = strcmp(network_name(x->network), network_name(y->network));

	if (!order)
		order = (int)x->vlan - (int)y->vlan;
	return order ? order : (int)x->v6 - (int)y->v6;
}

int multicast_status(struct request *request)
{
	const char *network = json_string(request->params, "network", "");
	struct dp_multicast_segment *list;
	cJSON *array;
	size_t n;

	if (*network && !network_wanted_mode(request, "network", false))
		return -1;
	list = dp_multicast_segments(&n);
	if (n)
		qsort(list, n, sizeof(*list), segment_compare);
	array = cJSON_AddArrayToObject(request->result, "segments");
	for (size_t i = 0; i < n; i++)
		if (!*network || !strcmp(network_name(list[i].network), network))
			cJSON_AddItemToArray(array, segment_json(&list[i]));
	free(list);
	return 0;
}
