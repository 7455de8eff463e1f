/* SPDX-License-Identifier: BSD-3-Clause */
/* Lists of next hops: their order, what they look like, when two are the same. */
#include "control/object.h"

#include <stdlib.h>
#include <string.h>

/* Routes of a controller come by the million and have few lists between them: the latest are kept,
 * so that they share memory. */
#define LISTS_KEPT 64

static struct dp_nexthops *kept[LISTS_KEPT];

static int compare(const void *a, const void *b)
{
	const struct dp_nexthop *x = a, *y = b;
	int order = ip_compare(&x->gateway, &y->gateway);

	return order ? order : strcmp(x->port_name, y->port_name);
}

void route_nexthops_sort(struct dp_nexthops *nexthops)
{
	qsort(nexthops->member, nexthops->n, sizeof(nexthops->member[0]), compare);
}

bool route_nexthops_equal(const struct dp_nexthops *a, const struct dp_nexthops *b)
{
	if (a == b || !a || !b)
		return a == b;
	for (unsigned k = 0; a->n == b->n && k < a->n; k++)
		if (compare(&a->member[k], &b->member[k]) ||
		        a->member[k].weight != b->member[k].weight)
			return false;
	return a->n == b->n;
}

bool route_nexthops_identical(const struct dp_nexthops *a, const struct dp_nexthops *b)
{
	if (!route_nexthops_equal(a, b))
		return false;
	for (unsigned k = 0; k < a->n; k++)
		if (a->member[k].port != b->member[k].port)
			return false;
	return true;
}

uint32_t route_nexthops_hash(const struct dp_nexthops *list)
{
	uint32_t hash = list->n;

	for (unsigned k = 0; k < list->n; k++) {
		uint32_t words[4] = {0};

		memcpy(words, list->member[k].gateway.b, pr_ip_bytes(&list->member[k].gateway));
		for (unsigned w = 0; w < 4; w++)
			hash = (hash ^ words[w]) * 2654435761u ^ hash >> 15;
		hash = (hash * 31 + list->member[k].weight) * 31 + list->member[k].port;
	}
	return hash * 2654435761u >> 6;
}

struct dp_nexthops *route_nexthops_share(struct dp_nexthops *nexthops)
{
	struct dp_nexthops **place = &kept[route_nexthops_hash(nexthops) % LISTS_KEPT];

	if (*place && route_nexthops_identical(*place, nexthops)) {
		dp_nexthops_release(nexthops);
		return dp_nexthops_hold(*place);
	}
	dp_nexthops_release(*place);
	*place = dp_nexthops_hold(nexthops);
	return nexthops;
}

void route_nexthops_forget(void)
{
	for (unsigned n = 0; n < LISTS_KEPT; n++) {
		dp_nexthops_release(kept[n]);
		kept[n] = NULL;
	}
}

bool route_nexthops_waits_for(const struct dp_nexthops *nexthops, const char *port)
{
	for (unsigned k = 0; nexthops && k < nexthops->n; k++)
		if (!nexthops->member[k].port_name[0] ||
		        !strcmp(nexthops->member[k].port_name, port))
			return true;
	return false;
}

bool route_nexthops_through(const struct dp_nexthops *nexthops, uint16_t port)
{
	for (unsigned k = 0; nexthops && k < nexthops->n; k++)
		if (nexthops->member[k].port == port)
			return true;
	return false;
}

struct dp_nexthops *route_nexthops_refresh(
        const struct dp_nexthops *nexthops, const struct network *network)
{
	struct dp_nexthops *list = dp_nexthops_new(nexthops->n);

	if (!list)
		return NULL;
	memcpy(list->member, nexthops->member, nexthops->n * sizeof(list->member[0]));
	for (unsigned k = 0; k < list->n; k++) {
		const char *name = list->member[k].port_name;
		const struct port *port = *name ? port_find(name) : NULL;

		list->member[k].port =
		        port && port->network == network ? port->spec.index : DP_INDEX_ANY;
	}
	return route_nexthops_share(list);
}

static const char *state_name(enum dp_nexthop_state state)
{
	static const char *const names[] = {
	        [DP_NEXTHOP_UP] = "up",
	        [DP_NEXTHOP_RESOLVING] = "resolving",
	        [DP_NEXTHOP_SILENT] = "silent",
	        [DP_NEXTHOP_DOWN] = "down",
	};

	return names[state];
}

cJSON *route_nexthops_json(const struct dp_nexthops *nexthops)
{
	cJSON *array = cJSON_CreateArray();

	for (unsigned k = 0; k < nexthops->n; k++) {
		cJSON *member = cJSON_CreateObject();

		json_add_ip(member, "via", &nexthops->member[k].gateway);
		cJSON_AddStringToObject(member, "port", nexthops->member[k].port_name);
		cJSON_AddNumberToObject(member, "weight", nexthops->member[k].weight);
		cJSON_AddItemToArray(array, member);
	}
	return array;
}

void route_nexthops_add_states(cJSON *array, const struct dp_route *route, bool active)
{
	static const char waiting[] = "down";
	enum dp_nexthop_state states[PR_NEXTHOPS_MAX];
	unsigned k = 0;
	cJSON *member;

	if (active)
		dp_nexthop_states(route, states);
	cJSON_ArrayForEach (member, array)
		cJSON_AddStringToObject(
		        member, "state", active ? state_name(states[k++]) : waiting);
}
