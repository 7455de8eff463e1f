/* SPDX-License-Identifier: BSD-3-Clause */
/* Adding and removing ports. The control thread opens and closes devices; the tables thread makes
 * ports visible and invisible (port_publish.c). */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "dataplane/network_control.h"
#include "dataplane/port/eth.h"
#include "dataplane/port/ports.h"
#include "dataplane/port/vhost_user/vhost.h"
#include "dataplane/polls.h"
#include "dataplane/tables.h"

static struct port_control ports[PR_PORTS_MAX];

/* Sums of the counters when the index was given to the port: indexes come again. */
static struct dp_port_counters base[PR_PORTS_MAX];

struct port_control *port_at(uint16_t index)
{
	return &ports[index];
}

static int find_index(const struct dp_port_spec *spec, struct dp_error *error)
{
	if (spec->index != DP_INDEX_ANY) {
		if (spec->index >= PR_PORTS_MAX || ports[spec->index].used)
			return dp_fail(error, PR_ERR_EXISTS, -EEXIST, "index",
			        "the port's index is taken");
		return spec->index;
	}
	for (int n = 0; n < PR_PORTS_MAX; n++)
		if (!ports[n].used)
			return n;
	return dp_fail(error, PR_ERR_FULL, -ENOSPC, "", "no room for another port (1024)");
}

static struct device *free_device(void)
{
	for (unsigned n = 0; n < PR_PORTS_MAX; n++)
		if (!shared->device[n].ports)
			return &shared->device[n];
	return NULL;
}

static struct device *find_eth(const char *text)
{
	for (unsigned n = 0; n < PR_PORTS_MAX; n++)
		if (shared->device[n].ports && eth_is(&shared->device[n], text))
			return &shared->device[n];
	return NULL;
}

static void reset_device(struct device *device)
{
	atomic_store(&device->untagged, ((struct link){NO_PORT, NO_SEGMENT}));
	atomic_store(&device->tagged, NULL);
	for (unsigned q = 0; q < PR_QUEUES_MAX; q++)
		rte_spinlock_init(&device->tx_lock[q]);
	for (unsigned q = 0; q < 2 * PR_QUEUES_MAX; q++)
		atomic_store(&device->ring[q], NULL);
	atomic_store(&device->accepts, 0);
	device->index = (uint16_t)(device - shared->device);
	device->numa = -1;
}

static int open_device(
        const struct dp_port_spec *spec, struct device **device, struct dp_error *error)
{
	int rc;

	if (spec->kind == DP_PORT_ETH) {
		*device = find_eth(spec->device);
		if (*device) {
			(*device)->ports++;
			return 0;
		}
	}
	*device = free_device();
	if (!*device)
		return dp_fail(error, PR_ERR_FULL, -ENOSPC, "", "no room for another device");
	reset_device(*device);
	rc = spec->kind == DP_PORT_ETH ? eth_open(*device, spec, error)
	                               : vhost_open(*device, spec, error);
	if (rc && !error->code)
		dp_fail(error, PR_ERR_FULL, rc, "", strerror(-rc));
	if (!rc)
		(*device)->ports = 1;
	return rc;
}

static void close_device(struct device *device)
{
	if (--device->ports)
		return;
	if (device->ops == &eth_ops)
		eth_close(device);
	else
		vhost_close(device);
	free(atomic_load(&device->tagged));
	atomic_store(&device->tagged, NULL);
}

struct publish_request {
	uint16_t index;
	bool first; /* of its device */
	struct dp_error *error;
};

static int publish(void *arg)
{
	struct publish_request *request = arg;
	int rc = port_publish(request->index, request->error);

	if (!rc && request->first) {
		rc = polls_add(shared->port[request->index].device);
		if (rc) {
			port_unpublish(request->index);
			dp_fail(request->error, PR_ERR_FULL, rc, "", "out of memory");
		}
	}
	if (!rc) {
		ports[request->index].used = true;
		network_at(ports[request->index].spec.network)->ports++;
	}
	return rc;
}

static int unpublish(void *arg)
{
	struct publish_request *request = arg;

	ports[request->index].used = false;
	if (request->first)
		polls_remove(shared->port[request->index].device);
	port_unpublish(request->index);
	network_at(ports[request->index].spec.network)->ports--;
	return 0;
}

/* Events that workers posted about the port before they forgot it, and fragments of its packets. */
static int drain(void *arg)
{
	const struct publish_request *request = arg;

	tables_drain_events();
	reassembly_port_gone(request->index);
	return 0;
}

/* MAC for a routed eth port that none was given for, and for answers. */
static void complete_mac(struct port_control *control, const struct device *device)
{
	if (control->spec.kind == DP_PORT_ETH && pr_mac_is_zero(&control->spec.mac))
		eth_mac(device, &control->spec.mac);
}

int dp_port_add(const struct dp_port_spec *spec, uint16_t *index, struct pr_mac *mac,
        struct dp_error *error)
{
	int slot = find_index(spec, error), rc;
	struct publish_request request = {.error = error};
	struct port_control *control;
	struct device *device;

	if (slot < 0)
		return slot;
	control = &ports[slot];
	memset(control, 0, sizeof(*control));
	control->spec = *spec;
	control->spec.index = (uint16_t)slot;
	rc = open_device(spec, &device, error);
	if (rc)
		return rc;
	complete_mac(control, device);
	shared->port[slot].device = device;
	stats_port_sum((uint16_t)slot, &base[slot]);
	request.index = (uint16_t)slot;
	request.first = device->ports == 1;
	rc = tables_call(publish, &request);
	if (rc) {
		tables_grace();
		tables_call(drain, &request);
		close_device(device);
		free(control->links);
		memset(control, 0, sizeof(*control));
		return rc;
	}
	*index = (uint16_t)slot;
	*mac = control->spec.mac;
	return 0;
}

int dp_port_del(uint16_t index, struct dp_error *error)
{
	struct publish_request request = {.index = index, .error = error};
	struct device *device;

	if (index >= PR_PORTS_MAX || !ports[index].used)
		return dp_fail(error, PR_ERR_NOT_FOUND, -ENOENT, "name", "no such port");
	device = shared->port[index].device;
	request.first = device->ports == 1;
	tables_call(unpublish, &request);
	tables_settle();
	close_device(device);
	tables_call(drain, &request);
	free(ports[index].links);
	memset(&ports[index], 0, sizeof(ports[index]));
	return 0;
}

struct state_request {
	uint16_t index;
	struct dp_port_state *state;
};

/* In turn with the tables thread, which counts these and looks at links, too: a driver's link state
 * is for one thread at a time. */
static int fill_state(void *arg)
{
	const struct state_request *request = arg;
	struct dp_port_state *state = request->state;
	uint16_t index = request->index;
	const struct device *device = shared->port[index].device;

	state->learned_macs = ports[index].learned;
	state->multicast_groups = shared->mdb->port_groups[index];
	state->multicast_refused = ports[index].multicast_refused;
	if (device->ops == &eth_ops)
		eth_state(device, state);
	else
		vhost_state(device, state);
	return 0;
}

int dp_port_state(uint16_t index, struct dp_port_state *state)
{
	struct state_request request = {index, state};

	if (index >= PR_PORTS_MAX || !ports[index].used)
		return -ENOENT;
	memset(state, 0, sizeof(*state));
	state->numa = -1;
	state->mac = ports[index].spec.mac;
	return tables_call(fill_state, &request);
}

bool port_is_up(uint16_t index)
{
	const struct device *device = shared->port[index].device;
	struct dp_port_state state;

	if (device->ops != &eth_ops)
		return atomic_load_explicit(&device->guest, memory_order_relaxed) != 0;
	eth_state(device, &state);
	return state.up;
}

int dp_port_counters(uint16_t index, struct dp_port_counters *counters)
{
	if (index >= PR_PORTS_MAX || !ports[index].used)
		return -ENOENT;
	stats_port_sum(index, counters);
	counters->rx_packets -= base[index].rx_packets;
	counters->rx_bytes -= base[index].rx_bytes;
	counters->tx_packets -= base[index].tx_packets;
	counters->tx_bytes -= base[index].tx_bytes;
	for (unsigned r = 0; r < PR_DROP_COUNT; r++)
		counters->drops[r] -= base[index].drops[r];
	return 0;
}

void ports_stop(void)
{
	struct dp_error error;

	for (uint16_t n = 0; n < PR_PORTS_MAX; n++)
		if (ports[n].used)
			dp_port_del(n, &error);
}
