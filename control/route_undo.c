/* SPDX-License-Identifier: BSD-3-Clause */
/* How a change of one route is taken back. A request in a million is, so nothing is made of it but
 * a copy until then. */
#include "control/object.h"

#include <stdlib.h>
#include <string.h>
#include <syslog.h>

struct route_undo {
	method_fn *run;
	struct dp_route route;
	/* Names: numbers may mean something else by then. */
	char network[PR_NAME_MAX + 1], port[PR_NAME_MAX + 1], owner[PR_NAME_MAX + 1];
};

static void replace(cJSON *body, const char *name, const char *text)
{
	cJSON_ReplaceItemInObjectCaseSensitive(body, name, cJSON_CreateString(text));
}

static void route_undo_drop(void *arg)
{
	struct route_undo *undo = arg;

	dp_nexthops_release(undo->route.nexthops);
	free(undo);
}

static void route_undo_run(void *arg)
{
	const struct route_undo *undo = arg;
	cJSON *params = route_body(&undo->route, undo->port);

	replace(params, "network", undo->network);
	replace(params, "owner", undo->owner);
	object_run(undo->run, params, "taking back a request that could not be stored");
	cJSON_Delete(params);
}

void route_on_rollback(struct request *request, method_fn *run, const char *network,
        const struct dp_route *route, const char *port)
{
	struct route_undo *undo;

	if (request->replay)
		return;
	undo = malloc(sizeof(*undo));
	if (!undo) {
		log_message(LOG_ERR, "no memory: a change may outlive a failed commit");
		return;
	}
	undo->run = run;
	undo->route = *route; /* holds its next hops */
	dp_nexthops_hold(route->nexthops);
	snprintf(undo->network, sizeof(undo->network), "%s", network);
	snprintf(undo->port, sizeof(undo->port), "%s", port);
	snprintf(undo->owner, sizeof(undo->owner), "%s", route_owner_name(route));
	rpc_on_rollback_with(route_undo_run, undo, route_undo_drop);
}
