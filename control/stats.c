/* SPDX-License-Identifier: BSD-3-Clause */
#include "control/object.h"

#include <stdlib.h>
#include <string.h>

/* What a connection's counters are relative to: taken by its last stats.get with zero. */
struct stats_base {
	struct dp_totals totals;
	size_t n;
	struct stats_port {
		uint64_t serial;
		struct dp_port_counters counters;
	} ports[]; /* ordered by serial */
};

cJSON *stats_drops(const uint64_t drops[PR_DROP_COUNT])
{
	cJSON *object = cJSON_CreateObject();

	for (unsigned i = 0; i < PR_DROP_COUNT; i++) {
		if (drops[i])
			json_add_u64(object, pr_drop_name(i), drops[i]);
	}
	return object;
}

/* Never below 0: a worker may count while the sum is taken. */
static void subtract(uint64_t *value, uint64_t base)
{
	*value = *value > base ? *value - base : 0;
}

static int serial_compare(const void *a, const void *b)
{
	const struct stats_port *x = a, *y = b;

	return x->serial < y->serial ? -1 : x->serial > y->serial;
}

static void port_relative(
        const struct stats_base *base, const struct port *port, struct dp_port_counters *counters)
{
	struct stats_port key = {.serial = port->serial};
	const struct stats_port *from =
	        base ? bsearch(&key, base->ports, base->n, sizeof(key), serial_compare) : NULL;

	if (!from)
		return;
	subtract(&counters->rx_packets, from->counters.rx_packets);
	subtract(&counters->rx_bytes, from->counters.rx_bytes);
	subtract(&counters->tx_packets, from->counters.tx_packets);
	subtract(&counters->tx_bytes, from->counters.tx_bytes);
	for (unsigned i = 0; i < PR_DROP_COUNT; i++)
		subtract(&counters->drops[i], from->counters.drops[i]);
}

static cJSON *port_stats(const struct port *port, const struct dp_port_counters *counters)
{
	cJSON *object = cJSON_CreateObject();

	cJSON_AddStringToObject(object, "name", port->spec.name);
	json_add_u64(object, "index", port->spec.index);
	json_add_u64(object, "rxPackets", counters->rx_packets);
	json_add_u64(object, "rxBytes", counters->rx_bytes);
	json_add_u64(object, "txPackets", counters->tx_packets);
	json_add_u64(object, "txBytes", counters->tx_bytes);
	cJSON_AddItemToObject(object, "drops", stats_drops(counters->drops));
	return object;
}

#define TOTALS(X)                                                                                  \
	X(in)                                                                                      \
	X(generated)                                                                               \
	X(replicated)                                                                              \
	X(fragments)                                                                               \
	X(out)                                                                                     \
	X(drops)                                                                                   \
	X(consumed)                                                                                \
	X(merged)

/* held is how many there are, not a counter: its difference may be negative. */
static cJSON *conservation(const struct dp_totals *now, const struct dp_totals *base)
{
	cJSON *object = cJSON_CreateObject();

#define X(member) json_add_u64(object, #member, now->member - (base ? base->member : 0));
	TOTALS(X)
#undef X
	json_add_i64(object, "held", (int64_t)now->held - (base ? (int64_t)base->held : 0));
	return object;
}

static void add_fill(cJSON *tables, const char *name, const struct dp_table_fill *fill)
{
	cJSON *object = cJSON_AddObjectToObject(tables, name);

	json_add_u64(object, "used", fill->used);
	json_add_u64(object, "size", fill->size);
}

static void add_totals(cJSON *result, const struct dp_totals *now, const struct dp_totals *base)
{
	uint64_t drops[PR_DROP_COUNT];
	const struct dp_table_fill owners = owner_fill();
	cJSON *stages, *tables;

	memcpy(drops, now->drop_reasons, sizeof(drops));
	for (unsigned i = 0; base && i < PR_DROP_COUNT; i++)
		subtract(&drops[i], base->drop_reasons[i]);
	cJSON_AddItemToObject(result, "drops", stats_drops(drops));
	stages = cJSON_AddObjectToObject(result, "stages");
	for (unsigned i = 0; i < PR_STAGE_COUNT; i++)
		json_add_u64(stages, pr_stage_name(i),
		        now->stage_packets[i] - (base ? base->stage_packets[i] : 0));
	cJSON_AddItemToObject(result, "conservation", conservation(now, base));
	tables = cJSON_AddObjectToObject(result, "tables");
	add_fill(tables, "routes", &now->routes);
	add_fill(tables, "routes6", &now->routes6);
	add_fill(tables, "fibNodes", &now->fib_nodes);
	add_fill(tables, "nextHops", &now->next_hops);
	add_fill(tables, "groups", &now->groups);
	add_fill(tables, "groupBuckets", &now->group_buckets);
	add_fill(tables, "fdb", &now->fdb);
	add_fill(tables, "neighbours", &now->neighbours);
	add_fill(tables, "multicastGroups", &now->multicast_groups);
	add_fill(tables, "multicastMembers", &now->multicast_members);
	add_fill(tables, "reassemblies", &now->reassemblies);
	add_fill(tables, "reassemblyBytes", &now->reassembly_bytes);
	add_fill(tables, "ports", &now->ports);
	add_fill(tables, "networks", &now->networks);
	add_fill(tables, "segments", &now->segments);
	add_fill(tables, "owners", &owners);
	add_fill(tables, "mbufs", &now->mbufs);
	json_add_u64(result, "learnLost", now->learn_lost - (base ? base->learn_lost : 0));
	json_add_u64(
	        result, "multicastLost", now->multicast_lost - (base ? base->multicast_lost : 0));
}

static int stats_of(struct request *request, const char *only, const struct stats_base *base,
        struct stats_base *now)
{
	cJSON *array = cJSON_AddArrayToObject(request->result, "ports");
	size_t n;
	struct port **ports = port_sorted(&n);

	for (size_t i = 0; i < n; i++) {
		struct stats_port *entry = &now->ports[now->n++];
		struct dp_port_counters counters;

		*entry = (struct stats_port){.serial = ports[i]->serial};
		dp_port_counters(ports[i]->spec.index, &entry->counters);
		if (*only && strcmp(ports[i]->spec.name, only))
			continue;
		counters = entry->counters;
		port_relative(base, ports[i], &counters);
		cJSON_AddItemToArray(array, port_stats(ports[i], &counters));
	}
	free(ports);
	qsort(now->ports, now->n, sizeof(now->ports[0]), serial_compare);
	dp_totals(&now->totals);
	add_totals(request->result, &now->totals, base ? &base->totals : NULL);
	return 0;
}

int stats_get(struct request *request)
{
	const char *only = json_string(request->params, "port", "");
	bool zero = json_bool(request->params, "zero", false) && request->client;
	void **slot = zero ? client_slot(request->client, CLIENT_STATS_BASE) : NULL;
	struct stats_base *now;

	if (*only && !port_wanted(request, "port"))
		return -1;
	now = calloc(1, sizeof(*now) + (port_count() + 1) * sizeof(now->ports[0]));
	if (!now)
		return request_fail(request, PR_ERR_INTERNAL, NULL, "out of memory");
	stats_of(request, only, slot ? *slot : NULL, now);
	if (!slot) {
		free(now);
		return 0;
	}
	free(*slot);
	*slot = now;
	return 0;
}

void stats_client_gone(struct client *client)
{
	void **slot = client_slot(client, CLIENT_STATS_BASE);

	free(*slot);
	*slot = NULL;
}
