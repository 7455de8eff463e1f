/* SPDX-License-Identifier: BSD-3-Clause */
/* route.list: pages over networks by name, within one by address and length. Static routes that
 * wait for their port are not in the data plane's tables and are merged in. */
#include "control/object.h"

#include <stdlib.h>
#include <string.h>

#define PAGE        1024
#define MEMBERS_MAX 10000 /* next hops in one answer, or a few more: some 80 bytes each */

struct route_listing {
	cJSON *array;
	size_t left;       /* how many more may be listed */
	size_t members;    /* next hops so far */
	const char *owner; /* "" for all */
	struct dp_route last;
	bool more; /* something was left out: last is the last one listed */
};

static int static_compare(const void *a, const void *b)
{
	const struct static_route *const *x = a, *const *y = b;

	return prefix_compare(&(*x)->route.prefix, &(*y)->route.prefix);
}

/* Those that wait, in the order of prefixes. */
static struct static_route **inactive_of(const struct network *network, size_t *n)
{
	struct static_route **entries = route_static_of(network, n);
	size_t kept = 0;

	for (size_t i = 0; i < *n; i++) {
		if (!entries[i]->active)
			entries[kept++] = entries[i];
	}
	*n = kept;
	if (kept)
		qsort(entries, kept, sizeof(*entries), static_compare);
	return entries;
}

static bool list_one(
        struct route_listing *listing, const struct dp_route *route, const char *port, bool active)
{
	if (*listing->owner && strcmp(route_owner_name(route), listing->owner))
		return true;
	if (!listing->left || listing->members >= MEMBERS_MAX) {
		listing->more = true;
		return false;
	}
	cJSON_AddItemToArray(listing->array, route_json(route, port, active));
	listing->last = *route;
	listing->left--;
	if (route->nexthops)
		listing->members += route->nexthops->n;
	return true;
}

/* Lists the waiting ones up to `until` (NULL: all); returns false when the page is full. */
static bool list_inactive(struct route_listing *listing, struct static_route **waiting,
        size_t n_waiting, size_t *next, const struct pr_prefix *until)
{
	for (; *next < n_waiting; ++*next) {
		const struct static_route *entry = waiting[*next];

		if (until && prefix_compare(&entry->route.prefix, until) > 0)
			break;
		if (!list_one(listing, &entry->route, entry->port, false))
			return false;
	}
	return true;
}

/* A static route shows the port that it was given, if any; others the one that was found. */
static const char *listed_port(const struct network *network, const struct dp_route *route)
{
	const struct static_route *entry = NULL;

	if (!route->owner && route->type < DP_ROUTE_CONNECTED)
		entry = route_static_find(network->spec.name, &route->prefix);
	return entry ? entry->port : port_name(route->port);
}

static void list_network(struct route_listing *listing, const struct network *network,
        const struct pr_prefix *after, struct dp_route *page)
{
	size_t n_waiting, next = 0, n = 0;
	struct static_route **waiting = inactive_of(network, &n_waiting);
	int owner = owner_find(listing->owner);
	struct pr_prefix last;

	/* The data plane knows connected and ports' routes by type: sort those out here. */
	if (owner <= 0)
		owner = -1;
	while (after && next < n_waiting &&
	        prefix_compare(&waiting[next]->route.prefix, after) <= 0)
		next++;
	do {
		n = dp_route_list(network->spec.index, owner, after, page, PAGE);
		for (size_t i = 0; i < n; i++) {
			if (!list_inactive(listing, waiting, n_waiting, &next, &page[i].prefix) ||
			        !list_one(listing, &page[i], listed_port(network, &page[i]), true))
				goto out;
		}
		if (n) {
			last = page[n - 1].prefix;
			after = &last;
		}
	} while (n == PAGE);
	list_inactive(listing, waiting, n_waiting, &next, NULL);
out:
	free(waiting);
}

/* `after` is "network prefix", as `next` gives it. */
static int parse_after(struct request *request, char name[PR_NAME_MAX + 1], struct pr_prefix *after)
{
	const char *text = json_string(request->params, "after", "");
	const char *space = strchr(text, ' ');

	name[0] = '\0';
	if (!*text)
		return 0;
	if (!space || space - text > PR_NAME_MAX || pr_prefix_parse(space + 1, after))
		return request_fail(request, PR_ERR_PARAMS, "after",
		        "this is no `next` of an earlier route.list; start without it");
	memcpy(name, text, (size_t)(space - text));
	name[space - text] = '\0';
	return 0;
}

int route_list(struct request *request)
{
	const char *only = json_string(request->params, "network", "");
	struct route_listing listing = {
	        .left = (size_t)json_integer(request->params, "limit", 1000),
	        .owner = json_string(request->params, "owner", ""),
	};
	char start[PR_NAME_MAX + 1], next[OBJECT_KEY_MAX] = "";
	struct pr_prefix after;
	struct network **networks;
	struct dp_route *page;
	size_t n;

	if ((*only && !network_wanted_mode(request, "network", true)) ||
	        parse_after(request, start, &after))
		return -1;
	page = calloc(PAGE, sizeof(*page));
	if (!page)
		return request_fail(request, PR_ERR_INTERNAL, NULL, "out of memory");
	listing.array = cJSON_AddArrayToObject(request->result, "routes");
	networks = network_sorted(&n);
	for (size_t i = 0; i < n && !listing.more; i++) {
		const char *name = networks[i]->spec.name;
		int order = *start ? strcmp(name, start) : 1;

		if (networks[i]->spec.routed && order >= 0 && (!*only || !strcmp(name, only)))
			list_network(&listing, networks[i], order ? NULL : &after, page);
	}
	free(networks);
	free(page);
	if (listing.more)
		route_key(next, network_name(listing.last.network), &listing.last.prefix);
	cJSON_AddStringToObject(request->result, "next", next);
	return 0;
}
