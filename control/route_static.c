/* SPDX-License-Identifier: BSD-3-Clause */
/* Static routes as they were accepted, whether the data plane has them or not. */
#include "control/object.h"

#include <stdlib.h>
#include <errno.h>
#include <string.h>
#include <syslog.h>

static struct map routes;
static size_t n_via; /* so that ports come and go without a walk when no route leads anywhere */

void route_key(char key[OBJECT_KEY_MAX], const char *network, const struct pr_prefix *prefix)
{
	char text[PR_PREFIX_STRLEN];

	snprintf(key, OBJECT_KEY_MAX, "%s %s", network, pr_prefix_format(prefix, text));
}

struct static_route *route_static_find(const char *network, const struct pr_prefix *prefix)
{
	char key[OBJECT_KEY_MAX];

	route_key(key, network, prefix);
	return map_get(&routes, key);
}

int route_static_put(const struct dp_route *route, const char *port, bool active)
{
	struct static_route *entry = calloc(1, sizeof(*entry));

	if (!entry)
		return -ENOMEM;
	route_key(entry->key, network_name(route->network), &route->prefix);
	snprintf(entry->port, sizeof(entry->port), "%s", port);
	entry->route = *route;
	entry->active = active;
	if (map_put(&routes, entry->key, entry)) {
		free(entry);
		return -ENOMEM;
	}
	dp_nexthops_hold(route->nexthops);
	n_via += entry->route.type == DP_ROUTE_VIA;
	return 0;
}

void route_static_replace(struct static_route *entry, const struct dp_route *route)
{
	struct dp_nexthops *old = entry->route.nexthops;

	entry->route = *route;
	dp_nexthops_hold(route->nexthops);
	dp_nexthops_release(old);
}

static void route_static_free(void *value)
{
	struct static_route *route = value;

	dp_nexthops_release(route->route.nexthops);
	free(route);
}

void route_static_drop(struct static_route *route)
{
	map_remove(&routes, route->key);
	n_via -= route->route.type == DP_ROUTE_VIA;
	route_static_free(route);
}

struct static_route **route_static_of(const struct network *network, size_t *n)
{
	struct static_route **all = (struct static_route **)map_sorted(&routes, n);
	size_t kept = 0;

	for (size_t i = 0; i < *n; i++) {
		if (all[i]->route.network == network->spec.index)
			all[kept++] = all[i];
	}
	*n = kept;
	return all;
}

static void route_activate(struct static_route *entry, const struct port *port)
{
	struct dp_error error = {.code = PR_ERR_CONFLICT};
	struct dp_route present;
	size_t failed;

	if (entry->port[0])
		entry->route.port = port->spec.index;
	if (route_exact(entry->route.network, &entry->route.prefix, &present))
		snprintf(error.message, sizeof(error.message), "owner \"%s\" has this prefix",
		        route_owner_name(&present));
	else if (!dp_route_add(&entry->route, 1, &failed, &error))
		entry->active = true;
	/* One that names no port only tries: its gateway may be behind another. */
	if (!entry->active && entry->port[0])
		log_message(LOG_WARNING, "static route %s through port %s stays inactive: %s",
		        entry->key, entry->port, error.message);
}

/* A route with several next hops is never without a place in the tables: those whose port is not
 * there are down. Adding it again gives the others' flows back to one that is. */
static void route_refresh(struct static_route *entry, const struct port *port)
{
	struct dp_nexthops *list = route_nexthops_refresh(entry->route.nexthops, port->network);
	struct dp_error error = {0};
	struct dp_route route = entry->route;
	size_t failed;

	if (!list)
		return;
	route.nexthops = list;
	route.waits = true;
	if (!entry->active) {
		route_static_replace(entry, &route);
		route_activate(entry, port);
	} else if (dp_route_add(&route, 1, &failed, &error)) {
		log_message(LOG_WARNING, "static route %s does not use port %s: %s", entry->key,
		        port->spec.name, error.message);
	} else {
		route_static_replace(entry, &route);
	}
	dp_nexthops_release(list);
}

static void route_deactivate(struct static_route *entry, const struct port *port)
{
	struct dp_error error = {0};
	size_t removed;

	(void)port;
	if (dp_route_del(&entry->route, 1, &removed, &error))
		log_message(LOG_WARNING, "static route %s: %s", entry->key, error.message);
	entry->active = false;
}

/* Whether the route leads through port, or might once it is there. */
static bool through_port(const struct static_route *entry, const struct port *port)
{
	struct dp_route present;

	if (entry->route.type != DP_ROUTE_VIA || entry->route.nexthops)
		return false;
	if (entry->port[0])
		return !strcmp(entry->port, port->spec.name);
	return !entry->active ||
	       (route_exact(entry->route.network, &entry->route.prefix, &present) &&
	               present.port == port->spec.index);
}

/* Calls change for every route through the port that is (not) active. */
static void route_each_of_port(struct port *port, bool active,
        void (*change)(struct static_route *entry, const struct port *port))
{
	size_t n;
	struct static_route **entries;

	if (!n_via)
		return;
	entries = route_static_of(port->network, &n);
	for (size_t i = 0; i < n; i++) {
		if (entries[i]->active == active && through_port(entries[i], port))
			change(entries[i], port);
		/* Those that are active, too. */
		else if (!active &&
		         route_nexthops_waits_for(entries[i]->route.nexthops, port->spec.name))
			route_refresh(entries[i], port);
	}
	free(entries);
}

void route_port_added(struct port *port)
{
	route_each_of_port(port, false, route_activate);
}

void route_port_removing(struct port *port)
{
	route_each_of_port(port, true, route_deactivate);
}

int route_network_unstore(struct request *request, const struct network *network)
{
	size_t n;
	struct static_route **entries = route_static_of(network, &n);
	int rc = 0;

	for (size_t i = 0; i < n && !rc; i++)
		rc = object_unstore(request, KIND_ROUTE, entries[i]->key);
	free(entries);
	return rc;
}

void route_network_gone(struct request *request, const struct network *network)
{
	size_t n;
	struct static_route **entries = route_static_of(network, &n);

	for (size_t i = 0; i < n; i++) {
		route_on_rollback(request, route_add, network->spec.name, &entries[i]->route,
		        entries[i]->port);
		route_static_drop(entries[i]);
	}
	free(entries);
}

void route_free_all(void)
{
	map_clear(&routes, route_static_free);
	route_nexthops_forget();
	n_via = 0;
}
