/* SPDX-License-Identifier: BSD-3-Clause */
/* What control asks of the multicast state. */
#include <errno.h>
#include <stdlib.h>

#include "dataplane/multicast_control.h"

struct list_request {
	struct dp_multicast_member *members;
	struct dp_multicast_segment *segments;
	size_t n;
};

static int list_members(void *arg)
{
	struct list_request *request = arg;
	uint64_t now = tables_now();
	uint32_t cursor = 0;

	request->members = calloc(shared->mdb->n_members + 1, sizeof(*request->members));
	if (!request->members)
		return -ENOMEM;
	while (cursor != MDB_NONE) {
		struct mdb_entry part[64];
		uint32_t n = mdb_walk(shared->mdb, &cursor, part, 64);

		for (uint32_t k = 0; k < n; k++)
			request->members[request->n++] = (struct dp_multicast_member){
			        .network = shared->segment[part[k].segment].network,
			        .vlan = shared->segment[part[k].segment].vlan,
			        .port = part[k].port,
			        .group = part[k].group,
			        .version = part[k].version,
			        .expires = part[k].expires > now
			                           ? (uint32_t)((part[k].expires - now) / 1000)
			                           : 0,
			};
	}
	return 0;
}

struct dp_multicast_member *dp_multicast_list(size_t *n)
{
	struct list_request request = {0};

	tables_call(list_members, &request);
	*n = request.n;
	if (request.n)
		return request.members;
	free(request.members);
	return NULL;
}

static void describe(struct dp_multicast_segment *to, uint16_t index, bool v6)
{
	const struct multicast_family *family = &multicast_segment_at(index)->family[v6];
	uint8_t snoop = atomic_load(&shared->segment[index].snoop);

	*to = (struct dp_multicast_segment){
	        .network = shared->segment[index].network,
	        .vlan = shared->segment[index].vlan,
	        .v6 = v6,
	        .active = snoop & SNOOP_ACTIVE(v6),
	        .overflow = snoop & (SNOOP_OVERFLOW(v6) | SNOOP_FULL(v6)),
	        .querying = family->querying,
	        .other = tables_now() < family->other_until,
	        .querier = family->querier,
	        .querier_port = family->querier_port,
	        .n_routers = family->n_routers,
	};
	for (unsigned n = 0; n < family->n_routers && n < DP_MULTICAST_ROUTERS; n++)
		to->router[n] = family->router[n].port;
}

static int list_segments(void *arg)
{
	struct list_request *request = arg;
	unsigned used = 0;

	for (uint16_t s = 1; s < PR_SEGMENTS_MAX; s++)
		used += multicast_segment_at(s) != NULL;
	request->segments = calloc(2 * used + 1, sizeof(*request->segments));
	if (!request->segments)
		return -ENOMEM;
	for (uint16_t s = 1; s < PR_SEGMENTS_MAX; s++) {
		if (!multicast_segment_at(s))
			continue;
		describe(&request->segments[request->n++], s, false);
		describe(&request->segments[request->n++], s, true);
	}
	return 0;
}

struct dp_multicast_segment *dp_multicast_segments(size_t *n)
{
	struct list_request request = {0};

	tables_call(list_segments, &request);
	*n = request.n;
	if (request.n)
		return request.segments;
	free(request.segments);
	return NULL;
}
