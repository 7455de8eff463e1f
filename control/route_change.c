/* SPDX-License-Identifier: BSD-3-Clause */
#include "control/route_sync.h"

#include <stdlib.h>
#include <errno.h>
#include <string.h>
#include <syslog.h>

/* Routes of one transaction: well below 1 ms. New groups of next hops are turns of their own. */
#define SLICE 1024

static int route_compare(const void *a, const void *b)
{
	const struct dp_route *x = a, *y = b;

	return prefix_compare(&x->prefix, &y->prefix);
}

static bool same_wish(const struct dp_route *a, const struct dp_route *b)
{
	return a->type == b->type && a->port == b->port && pr_ip_equal(&a->gateway, &b->gateway) &&
	       route_nexthops_equal(a->nexthops, b->nexthops);
}

/* Sorts and drops repetitions. */
static int sync_sort(struct request *request, struct route_sync *sync)
{
	struct dp_route route;
	size_t kept = 0;

	if (sync->n)
		qsort(sync->routes, sync->n, sizeof(*sync->routes), route_compare);
	for (size_t i = 0; i < sync->n; i++) {
		const struct dp_route *last = kept ? &sync->routes[kept - 1] : NULL;
		char text[PR_PREFIX_STRLEN];

		if (last && !route_compare(last, &sync->routes[i])) {
			if (same_wish(last, &sync->routes[i])) {
				dp_nexthops_release(sync->routes[i].nexthops);
				sync->routes[i].nexthops = NULL;
				continue;
			}
			return request_fail(request, PR_ERR_PARAMS, "routes",
			        "%s was given twice, with different next hops",
			        pr_prefix_format(&last->prefix, text));
		}
		/* It takes its next hops along: nobody has them twice. */
		route = sync->routes[i];
		sync->routes[i].nexthops = NULL;
		sync->routes[kept++] = route;
	}
	sync->n = kept;
	return 0;
}

static int append(struct dp_route **routes, size_t *n, const struct dp_route *route)
{
	/* Doubles at powers of two: no size to keep. */
	if (!(*n & (*n - 1))) {
		struct dp_route *more = realloc(*routes, (*n ? 2 * *n : 1) * sizeof(**routes));

		if (!more)
			return -ENOMEM;
		*routes = more;
	}
	(*routes)[(*n)++] = *route;
	dp_nexthops_hold(route->nexthops);
	return 0;
}

static void release_nexthops(const struct dp_route *routes, size_t n)
{
	for (size_t i = 0; i < n; i++)
		dp_nexthops_release(routes[i].nexthops);
}

static bool owned(const struct route_change *change, const struct dp_route *route)
{
	return !strcmp(route_owner_name(route), owner_name(change->owner));
}

/* present: what the tables have at wanted's prefix, NULL for nothing. */
static int change_wanted(struct request *request, struct route_change *change,
        const struct dp_route *wanted, const struct dp_route *present)
{
	const struct static_route *waiting =
	        change->owner ? route_static_find(change->network->spec.name, &wanted->prefix)
	                      : NULL;
	char text[PR_PREFIX_STRLEN];
	int rc = 0;

	if (waiting || (present && !owned(change, present)))
		return request_fail(request, PR_ERR_CONFLICT, "routes",
		        "owner \"%s\" has a route for %s; a prefix has one owner",
		        waiting ? owner_name(0) : route_owner_name(present),
		        pr_prefix_format(&wanted->prefix, text));
	if (present && route_same(wanted, present)) {
		change->kept++;
		return 0;
	}
	if (present)
		rc = append(&change->old, &change->n_old, present);
	if (!rc)
		rc = append(&change->add, &change->n_add, wanted);
	return rc ? request_fail(request, PR_ERR_INTERNAL, NULL, "out of memory") : 0;
}

struct table_page {
	uint16_t network;
	struct dp_route *routes;
	size_t n, next;
	bool last;
};

static int present_next(struct table_page *page, const struct dp_route **present)
{
	if (page->next == page->n && !page->last) {
		struct pr_prefix after;
		bool first = !page->n;

		if (!first)
			after = page->routes[page->n - 1].prefix;
		page->n = dp_route_list(
		        page->network, -1, first ? NULL : &after, page->routes, SLICE);
		page->next = 0;
		page->last = page->n < SLICE;
	}
	*present = page->next < page->n ? &page->routes[page->next] : NULL;
	return *present != NULL;
}

/* Walks the wanted ones and the table's side by side: both are in the order of prefixes. */
static int change_merge(struct request *request, const struct route_sync *sync,
        struct route_change *change, struct table_page *page)
{
	const struct dp_route *present;
	size_t i = 0;

	while (present_next(page, &present) || i < sync->n) {
		int order = !present       ? -1
		            : i == sync->n ? 1
		                           : route_compare(&sync->routes[i], present);

		if (order <= 0 &&
		        change_wanted(request, change, &sync->routes[i], order ? NULL : present))
			return -1;
		if (order > 0 && owned(change, present) &&
		        append(&change->del, &change->n_del, present))
			return request_fail(request, PR_ERR_INTERNAL, NULL, "out of memory");
		i += order <= 0;
		page->next += order >= 0;
	}
	return 0;
}

int route_change_find(struct request *request, struct route_sync *sync, struct route_change *change)
{
	struct table_page page = {.network = change->network->spec.index};
	int rc;

	if (sync_sort(request, sync))
		return -1;
	page.routes = calloc(SLICE, sizeof(*page.routes));
	if (!page.routes)
		return request_fail(request, PR_ERR_INTERNAL, NULL, "out of memory");
	rc = change_merge(request, sync, change, &page);
	free(page.routes);
	return rc;
}

static int add_slices(const struct dp_route *routes, size_t n, size_t *done, struct dp_error *error)
{
	for (*done = 0; *done < n;) {
		size_t part = n - *done < SLICE ? n - *done : SLICE, failed;

		if (dp_route_add(routes + *done, part, &failed, error))
			return -1;
		*done += part;
	}
	return 0;
}

static int del_slices(const struct dp_route *routes, size_t n, struct dp_error *error)
{
	for (size_t done = 0; done < n;) {
		size_t part = n - done < SLICE ? n - done : SLICE, removed;

		if (dp_route_del(routes + done, part, &removed, error))
			return -1;
		done += part;
	}
	return 0;
}

/* Brings the tables back to what they were after `added` of the additions. */
static void change_undo(const struct route_change *change, size_t added)
{
	struct dp_error error = {0};
	size_t done;

	if (del_slices(change->add, added, &error) ||
	        add_slices(change->old, change->n_old, &done, &error) ||
	        add_slices(change->del, change->n_del, &done, &error))
		log_message(LOG_ERR, "taking back a route.sync of owner %s: %s",
		        owner_name(change->owner), error.message);
}

static int change_tables(struct request *request, const struct route_change *change)
{
	struct dp_error error = {0};
	size_t added;

	if (!add_slices(change->add, change->n_add, &added, &error) &&
	        !del_slices(change->del, change->n_del, &error))
		return 0;
	change_undo(change, added);
	return request_fail_dp(request, &error);
}

/* ---- the owner "static": stored, too ---- */

static int unstore_static(
        struct request *request, const struct network *network, const struct pr_prefix *prefix)
{
	char key[OBJECT_KEY_MAX];

	route_key(key, network->spec.name, prefix);
	return object_unstore(request, KIND_ROUTE, key);
}

static int store_static(struct request *request, const struct route_change *change)
{
	const struct network *network = change->network;
	int rc = 0;

	for (size_t i = 0; i < change->n_del && !rc; i++)
		rc = unstore_static(request, network, &change->del[i].prefix);
	for (size_t i = 0; i < change->n_add && !rc; i++) {
		cJSON *body = route_body(&change->add[i], port_name(change->add[i].port));
		char key[OBJECT_KEY_MAX];
		int error;

		route_key(key, network->spec.name, &change->add[i].prefix);
		error = state_put(KIND_ROUTE, key, body);
		cJSON_Delete(body);
		if (error)
			rc = request_fail_storage(request, error);
	}
	return rc;
}

/* Forgets a static route and registers that it comes back should the commit fail. */
static void forget_static(struct request *request, struct static_route *entry)
{
	route_on_rollback(
	        request, route_add, network_name(entry->route.network), &entry->route, entry->port);
	route_static_drop(entry);
}

static void remember_static(struct request *request, const struct route_change *change)
{
	const char *network = change->network->spec.name;

	/* Reverse order at rollback: removals of new ones first, then what was there before. */
	for (size_t i = 0; i < change->n_del; i++) {
		struct static_route *entry = route_static_find(network, &change->del[i].prefix);

		if (entry)
			forget_static(request, entry);
	}
	for (size_t i = 0; i < change->n_add; i++) {
		const struct dp_route *route = &change->add[i];
		struct static_route *entry = route_static_find(network, &route->prefix);

		if (entry)
			forget_static(request, entry);
		if (route_static_put(route, port_name(route->port), true))
			log_message(LOG_ERR, "out of memory: a static route is not listed");
		route_on_rollback(request, route_del, network, route, "");
	}
}

/* Static routes that wait for their port and are not in the new set: not in the tables either.
 * First with forget false, which deletes their rows, then with true. */
static int drop_waiting(struct request *request, const struct route_change *change, bool forget)
{
	size_t n;
	struct static_route **entries = route_static_of(change->network, &n);
	int rc = 0;

	for (size_t i = 0; i < n && !rc; i++) {
		struct dp_route key = {.prefix = entries[i]->route.prefix};

		if (entries[i]->active ||
		        (change->n_add && bsearch(&key, change->add, change->n_add, sizeof(key),
		                                  route_compare)))
			continue;
		if (forget)
			forget_static(request, entries[i]);
		else
			rc = object_unstore(request, KIND_ROUTE, entries[i]->key);
	}
	free(entries);
	return rc;
}

/* Owners other than static: taken back from here when the batch's commit fails. */
struct change_undo_arg {
	struct route_change change;
	size_t n;
	struct dp_route routes[]; /* added, old, deleted ones; they hold their next hops */
};

static void change_drop(void *arg)
{
	struct change_undo_arg *undo = arg;

	release_nexthops(undo->routes, undo->n);
	free(undo);
}

static void change_undo_commit(void *arg)
{
	struct change_undo_arg *undo = arg;

	undo->change.add = undo->routes;
	undo->change.old = undo->change.add + undo->change.n_add;
	undo->change.del = undo->change.old + undo->change.n_old;
	change_undo(&undo->change, undo->change.n_add);
}

static void change_on_rollback(const struct route_change *change)
{
	size_t n = change->n_add + change->n_old + change->n_del;
	struct change_undo_arg *undo = malloc(sizeof(*undo) + n * sizeof(undo->routes[0]));
	struct dp_route *to;

	if (!undo)
		return;
	undo->change = *change;
	undo->n = n;
	to = undo->routes;
	for (size_t i = 0; i < change->n_add; i++)
		*to++ = change->add[i];
	for (size_t i = 0; i < change->n_old; i++)
		*to++ = change->old[i];
	for (size_t i = 0; i < change->n_del; i++)
		*to++ = change->del[i];
	for (size_t i = 0; i < n; i++)
		dp_nexthops_hold(undo->routes[i].nexthops);
	rpc_on_rollback_with(change_undo_commit, undo, change_drop);
}

int route_change_apply(struct request *request, const struct route_change *change)
{
	if (change->owner) {
		if (change_tables(request, change))
			return -1;
		change_on_rollback(change);
		return 0;
	}
	if (store_static(request, change) || drop_waiting(request, change, false) ||
	        change_tables(request, change))
		return -1;
	remember_static(request, change);
	return drop_waiting(request, change, true);
}

void route_change_free(struct route_change *change)
{
	release_nexthops(change->add, change->n_add);
	release_nexthops(change->old, change->n_old);
	release_nexthops(change->del, change->n_del);
	free(change->add);
	free(change->old);
	free(change->del);
}
