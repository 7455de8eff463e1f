/* SPDX-License-Identifier: BSD-3-Clause */
/* The different lists of next hops of one route.sync: each once, and no more of them than there can
 * be groups, however many routes there are. */
#include <errno.h>
#include <stdlib.h>

#include "control/route_sync.h"

static uint32_t *place_of(const struct route_lists *lists, const struct dp_nexthops *list)
{
	uint32_t mask = lists->size * 2 - 1, at = route_nexthops_hash(list) & mask;

	while (lists->place[at] &&
	        !route_nexthops_identical(lists->list[lists->place[at] - 1], list))
		at = (at + 1) & mask;
	return &lists->place[at];
}

static void fill_places(struct route_lists *lists)
{
	for (uint32_t at = 0; at < lists->size * 2; at++)
		lists->place[at] = 0;
	for (uint32_t k = 0; k < lists->n; k++)
		*place_of(lists, lists->list[k]) = k + 1;
}

static int grow(struct route_lists *lists)
{
	uint32_t size = lists->size ? lists->size * 2 : 16;
	struct dp_nexthops **list = realloc(lists->list, size * sizeof(*list));
	uint32_t *place;

	if (!list)
		return -ENOMEM;
	lists->list = list;
	place = realloc(lists->place, 2 * size * sizeof(*place));
	if (!place)
		return -ENOMEM;
	lists->place = place;
	lists->size = size;
	fill_places(lists);
	return 0;
}

int route_lists_share(struct route_lists *lists, struct dp_nexthops **list)
{
	uint32_t *place;

	if (lists->n == lists->size && grow(lists))
		return -ENOMEM;
	place = place_of(lists, *list);
	if (*place) {
		dp_nexthops_release(*list);
		*list = dp_nexthops_hold(lists->list[*place - 1]);
		return 0;
	}
	if (lists->n >= lists->limit)
		return -ENOSPC;
	lists->list[lists->n++] = dp_nexthops_hold(*list);
	*place = lists->n;
	return 0;
}

void route_lists_cut(struct route_lists *lists, uint32_t n)
{
	if (lists->n == n)
		return;
	while (lists->n > n)
		dp_nexthops_release(lists->list[--lists->n]);
	fill_places(lists);
}

void route_lists_free(struct route_lists *lists)
{
	route_lists_cut(lists, 0);
	free(lists->list);
	free(lists->place);
}
