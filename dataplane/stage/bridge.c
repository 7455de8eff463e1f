/* SPDX-License-Identifier: BSD-3-Clause */
/* bridge: learns source MACs and looks destinations up (IEEE 802.1Q 8.7, 8.8). */
#include "dataplane/stage/ip4.h"
#include "dataplane/stage/stage.h"

/* 01:80:c2:00:00:00 to 0f: never forwarded by a bridge (802.1Q table 8-1). */
static inline bool is_link_local(const uint8_t *mac)
{
	static const uint8_t reserved[5] = {0x01, 0x80, 0xc2, 0x00, 0x00};

	return !memcmp(mac, reserved, 5) && mac[5] < 0x10;
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

static inline void forward(struct batch *batch, uint64_t i, uint64_t value)
{
	uint16_t port = fdb_value_port(value);
	uint16_t in_port = batch->in_port[i];

	if (unlikely(port == in_port)) {
		batch_drop(batch, i, PR_DROP_SAME_PORT);
		return;
	}
	if (unlikely(port_flags(&shared->port[port]) & port_flags(&shared->port[in_port]) &
	             PORT_ISOLATED)) {
		batch_drop(batch, i, PR_DROP_ISOLATED);
		return;
	}
	batch->out_port[i] = port;
	batch->out_tag[i] = fdb_value_tag(value);
	batch_next(batch, i, PR_STAGE_TX);
}

void stage_bridge(struct worker *worker, struct batch *batch)
{
	uint64_t mask = batch_take(batch, PR_STAGE_BRIDGE);
	uint64_t keys[2][PR_BATCH], values[2][PR_BATCH];
	uint32_t slots[2][PR_BATCH];
	uint8_t entry[PR_BATCH];
	unsigned n = 0;

	keys[0][0] = keys[1][0] = 0;
	BATCH_FOREACH (i, mask) {
		keys[0][n] = fdb_key(batch->segment[i], batch->head[i] + 6);
		keys[1][n] = fdb_key(batch->segment[i], batch->head[i]);
		entry[n++] = (uint8_t)i;
	}
	fdb_lookup_bulk(shared->fdb, keys[0], values[0], slots[0], n);
	fdb_lookup_bulk(shared->fdb, keys[1], values[1], slots[1], n);
	for (unsigned k = 0; k < n; k++) {
		uint64_t i = entry[k];
		const uint8_t *head = batch->head[i];

		if (unlikely(!values[0][k] || fdb_value_port(values[0][k]) != batch->in_port[i])) {
			if (!values[0][k] || !fdb_value_static(values[0][k]))
				learn(worker, batch, i, keys[0][k]);
		} else {
			fdb_touch(shared->fdb, slots[0][k], worker->seconds);
		}
		if (likely(values[1][k]))
			forward(batch, i, values[1][k]);
		else if (unlikely(is_link_local(head)))
			batch_drop(batch, i, PR_DROP_LINK_LOCAL_FRAME);
		else
			batch_next(batch, i, PR_STAGE_POLICE);
	}
}
