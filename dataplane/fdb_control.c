/* SPDX-License-Identifier: BSD-3-Clause */
/* Learning, limits and ageing of MAC addresses. Tables thread, but for the dp_ functions. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "dataplane/network_control.h"
#include "dataplane/tables.h"

#define AGE_SLOTS 16384 /* looked at in one tick: well under a millisecond */

static uint32_t seconds(void)
{
	return (uint32_t)(tables_now() / 1000);
}

static struct network *network_of(uint16_t segment)
{
	return network_at(shared->segment[segment].network);
}

static void removed(void *ctx, const struct fdb_entry *entry)
{
	(void)ctx;
	if (entry->is_static)
		return;
	port_at(entry->port)->learned--;
	network_of(entry->segment)->learned--;
}

/* The tag that frames of a segment carry on this port; false: it is no member (any more). */
static bool member_tag(uint16_t port, uint16_t segment, uint16_t *tag)
{
	const struct port_control *control = port_at(port);

	for (unsigned n = 0; control->used && n < control->n_links; n++) {
		if (control->links[n].segment == segment) {
			*tag = control->links[n].tag;
			return true;
		}
	}
	return false;
}

void fdb_learned(const struct event *event)
{
	struct port_control *port = port_at(event->port);
	struct network *network = network_of(event->segment);
	struct fdb_entry entry = {
	        .mac = event->mac,
	        .segment = event->segment,
	        .port = event->port,
	};
	struct fdb_entry old;
	int rc;

	if (!member_tag(event->port, event->segment, &entry.tag))
		return;
	rc = fdb_get(shared->fdb, event->segment, &event->mac, &old);
	if (rc == 0 && (old.is_static || old.port == event->port))
		return;
	if (port->spec.mac_limit && port->learned >= port->spec.mac_limit)
		return;
	if (rc && network->spec.mac_limit && network->learned >= network->spec.mac_limit)
		return;
	if (rc == 0)
		removed(NULL, &old);
	if (fdb_set(shared->fdb, &entry, seconds(), NULL) < 0) {
		dp_log(LOG_WARNING, "MAC table is full (%u): raise limits.macs", shared->fdb->max);
		return;
	}
	port->learned++;
	network->learned++;
}

int fdb_set_static(uint16_t segment, uint16_t port, uint16_t tag, const struct pr_mac *mac)
{
	struct fdb_entry entry = {
	        .mac = *mac,
	        .segment = segment,
	        .port = port,
	        .tag = tag,
	        .is_static = true,
	};
	struct fdb_entry old;
	int rc = fdb_get(shared->fdb, segment, mac, &old);

	if (rc == 0 && old.is_static && old.port != port)
		return -EEXIST;
	if (rc == 0)
		removed(NULL, &old);
	rc = fdb_set(shared->fdb, &entry, seconds(), NULL);
	return rc < 0 ? rc : 0;
}

static uint32_t ageing(void *ctx, uint16_t segment)
{
	(void)ctx;
	return network_of(segment)->spec.mac_ageing;
}

void fdb_tick(uint64_t now_ms)
{
	uint32_t slots = RTE_MIN((uint32_t)AGE_SLOTS, fdb_slots(shared->fdb));

	fdb_age(shared->fdb, (uint32_t)(now_ms / 1000), slots, ageing, removed, NULL);
}

static bool is_of_port(void *ctx, const struct fdb_entry *entry)
{
	return entry->port == *(const uint16_t *)ctx;
}

static void removed_of_port(void *ctx, const struct fdb_entry *entry)
{
	removed(NULL, entry);
	(void)ctx;
}

void fdb_port_gone(uint16_t port)
{
	fdb_sweep(shared->fdb, is_of_port, removed_of_port, &port);
}

/* ---- what control asks for ---- */

struct fdb_request {
	const struct dp_fdb_entry *entry;
	struct dp_error *error;
	uint16_t network, vlan, port;
	const struct pr_mac *mac;
	struct dp_fdb_entry *list;
	size_t n;
};

static int add(void *arg)
{
	struct fdb_request *request = arg;
	const struct dp_fdb_entry *entry = request->entry;
	uint16_t segment = segment_find(entry->network, entry->vlan), tag;
	int rc;

	if (!segment || !member_tag(entry->port, segment, &tag))
		return dp_fail(request->error, PR_ERR_PARAMS, -EINVAL, "vlan",
		        "the port is no member of that VLAN");
	rc = fdb_set_static(segment, entry->port, tag, &entry->mac);
	if (rc == -ENOSPC)
		return dp_fail(request->error, PR_ERR_FULL, rc, "",
		        "the MAC table is full: raise limits.macs");
	if (rc)
		return dp_fail(request->error, PR_ERR_CONFLICT, rc, "mac",
		        "the MAC belongs to another port");
	return 0;
}

int dp_fdb_add(const struct dp_fdb_entry *entry, struct dp_error *error)
{
	return tables_call(add, &(struct fdb_request){.entry = entry, .error = error});
}

static int del(void *arg)
{
	struct fdb_request *request = arg;
	uint16_t segment = segment_find(request->network, request->vlan);
	struct fdb_entry old;

	if (!segment || fdb_remove(shared->fdb, segment, request->mac, &old))
		return -ENOENT;
	removed(NULL, &old);
	return 0;
}

int dp_fdb_del(uint16_t network, uint16_t vlan, const struct pr_mac *mac)
{
	return tables_call(
	        del, &(struct fdb_request){.network = network, .vlan = vlan, .mac = mac});
}

static bool is_wanted(void *ctx, const struct fdb_entry *entry)
{
	const struct fdb_request *request = ctx;

	return !entry->is_static &&
	       (request->network == DP_INDEX_ANY ||
	               shared->segment[entry->segment].network == request->network) &&
	       (request->port == DP_INDEX_ANY || entry->port == request->port);
}

static int flush(void *arg)
{
	struct fdb_request *request = arg;

	request->n = fdb_sweep(shared->fdb, is_wanted, removed, request);
	return 0;
}

size_t dp_fdb_flush(uint16_t network, uint16_t port)
{
	struct fdb_request request = {.network = network, .port = port};

	tables_call(flush, &request);
	return request.n;
}

static int list(void *arg)
{
	struct fdb_request *request = arg;
	struct fdb_entry part[256];
	uint32_t cursor = 0, n;

	request->list = calloc(shared->fdb->count + 1, sizeof(*request->list));
	if (!request->list)
		return -ENOMEM;
	while (cursor != FDB_NO_SLOT) {
		n = fdb_walk(shared->fdb, &cursor, UINT32_MAX, part, 256);
		for (uint32_t k = 0; k < n && request->n < shared->fdb->count; k++)
			request->list[request->n++] = (struct dp_fdb_entry){
			        .network = shared->segment[part[k].segment].network,
			        .vlan = shared->segment[part[k].segment].vlan,
			        .port = part[k].port,
			        .mac = part[k].mac,
			        .is_static = part[k].is_static,
			        .age = part[k].seen < seconds() ? seconds() - part[k].seen : 0,
			};
	}
	return 0;
}

struct dp_fdb_entry *dp_fdb_list(size_t *n)
{
	struct fdb_request request = {0};

	tables_call(list, &request);
	*n = request.n;
	if (request.n)
		return request.list;
	free(request.list);
	return NULL;
}
