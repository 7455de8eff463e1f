/* SPDX-License-Identifier: BSD-3-Clause */
/* bridge: learns source MACs and looks destinations up (IEEE 802.1Q 8.7, 8.8). */
#include <limits.h>

#include "dataplane/stage/ip4.h"
#include "dataplane/stage/stage.h"

/* 01:80:c2:00:00:00 to 0f: not forwarded by a bridge (802.1Q table 8-1). */
static inline bool is_link_local(const uint8_t *mac)
{
	static const uint8_t reserved[5] = {0x01, 0x80, 0xc2, 0x00, 0x00};

	return !memcmp(mac, reserved, 5) && mac[5] < 0x10;
}

/* The network may let some of them pass between its ports; never PAUSE. */
static inline bool passes_link_local(const struct batch *batch, uint64_t i)
{
	return shared->segment[batch->segment[i]].link_local >> batch->head[i][5] & 1;
}

/* Tells the tables thread of a source that the table does not know at this port; the same one not
 * twice a second. */
static void learn(struct worker *worker, const struct batch *batch, uint64_t i, uint64_t key)
{
	unsigned place = (unsigned)((key ^ key >> 17 ^ key >> 31) % LEARN_CACHE);
	struct event event = {
	        .type = EVENT_MAC,
	        .port = batch->in_port[i],
	        .segment = batch->segment[i],
	};

	if (worker->learned[place].key == (key ^ (uint64_t)batch->in_port[i] << 32) &&
	        worker->learned[place].second == worker->seconds + 1)
		return;
	memcpy(&event.mac, batch->head[i] + 6, 6);
	/* Whoever makes up addresses takes half of the ring: packets that wait need the rest. */
	if (rte_ring_free_count(worker->events) < EVENT_RING / 2 || !worker_post(worker, &event)) {
		counter_add(&worker->counters.learn_lost, 1);
		return;
	}
	worker->learned[place].key = key ^ (uint64_t)batch->in_port[i] << 32;
	worker->learned[place].second = worker->seconds + 1;
}

/* Returns whether the frame goes to tx. */
static inline bool forward(struct batch *batch, uint64_t i, uint64_t value)
{
	uint16_t port = fdb_value_port(value);
	uint16_t in_port = batch->in_port[i];

	if (unlikely(port == in_port)) {
		batch_drop(batch, i, PR_DROP_SAME_PORT);
		return false;
	}
	if (unlikely(port_flags(&shared->port[port]) & port_flags(&shared->port[in_port]) &
	             PORT_ISOLATED)) {
		batch_drop(batch, i, PR_DROP_ISOLATED);
		return false;
	}
	batch->out_port[i] = port;
	batch->out_tag[i] = fdb_value_tag(value);
	return true;
}

/* Distinct keys of a batch, in the order in which they come; frames of one port come in runs and
 * mostly have one source. */
struct lookup {
	unsigned n;
	uint64_t key[PR_BATCH], value[PR_BATCH];
	uint32_t slot[PR_BATCH];
};

static inline uint8_t lookup_add(struct lookup *lookup, uint64_t key)
{
	if (!lookup->n || lookup->key[lookup->n - 1] != key)
		lookup->key[lookup->n++] = key;
	return (uint8_t)(lookup->n - 1);
}

void stage_bridge(struct worker *worker, struct batch *batch)
{
	uint64_t mask = batch_take(batch, PR_STAGE_BRIDGE), tx = 0;
	struct lookup source, destination;
	uint8_t from[PR_BATCH], to[PR_BATCH];
	unsigned seen = UINT_MAX;

	source.n = destination.n = 0;
	source.key[0] = destination.key[0] = 0;
	BATCH_FOREACH (i, mask) {
		from[i] = lookup_add(&source, fdb_key(batch->segment[i], batch->head[i] + 6));
		to[i] = lookup_add(&destination, fdb_key(batch->segment[i], batch->head[i]));
	}
	fdb_lookup_bulk(shared->fdb, source.key, source.value, source.slot, source.n);
	fdb_lookup_bulk(
	        shared->fdb, destination.key, destination.value, destination.slot, destination.n);
	BATCH_FOREACH (i, mask) {
		uint64_t known = source.value[from[i]], value = destination.value[to[i]];

		if (unlikely(!known || fdb_value_port(known) != batch->in_port[i])) {
			if (!known || !fdb_value_static(known))
				learn(worker, batch, i, source.key[from[i]]);
		} else if (from[i] != seen) {
			seen = from[i];
			fdb_touch(shared->fdb, source.slot[seen], worker->seconds);
		}
		if (likely(value)) {
			if (likely(forward(batch, i, value)))
				tx |= UINT64_C(1) << i;
		} else if (unlikely(
		                   is_link_local(batch->head[i]) && !passes_link_local(batch, i))) {
			batch_drop(batch, i, PR_DROP_LINK_LOCAL_FRAME);
		} else {
			batch_next(batch, i, PR_STAGE_POLICE);
		}
	}
	batch->todo[PR_STAGE_TX] |= tx;
}
