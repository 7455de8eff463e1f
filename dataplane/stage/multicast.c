/* SPDX-License-Identifier: BSD-3-Clause */
/* multicast: IGMP and MLD snooping (RFC 4541). Groups go to their members and to routers, reports
 * to routers; what hosts and routers say is told to the tables thread. Only frames to group
 * addresses, broadcasts among them, in networks with snooping come here. */
#include <rte_ether.h>

#include "dataplane/multicast_message.h"
#include "dataplane/stage/flood.h"
#include "dataplane/stage/ip6.h"

#define IP4_BYTES   20
#define MESSAGE_MAX PR_MTU_MAX

/* ---- what is told ---- */

/* At most half of the ring, as what is learned: packets that wait need the rest. What does not fit
 * is said again at the next query. */
static void tell(struct worker *worker, struct event *event)
{
	if (rte_ring_free_count(worker->events) < EVENT_RING / 2 || !worker_post(worker, event))
		counter_add(&worker->counters.multicast_lost, 1);
}

static struct event event_of(const struct batch *batch, uint64_t i, uint32_t type)
{
	return (struct event){
	        .type = type,
	        .port = batch->in_port[i],
	        .segment = batch->segment[i],
	};
}

/* False: the port has said more than it may, and only a part of this was told. */
static bool tell_report(struct worker *worker, const struct batch *batch, uint64_t i,
        struct multicast_message *message)
{
	struct token_bucket *bucket = &shared->port[batch->in_port[i]].report_bucket;
	struct event event = event_of(batch, i, EVENT_GROUP);
	struct multicast_record record;

	event.version = message->version;
	while (multicast_next(message, &record)) {
		if (record.action == MULTICAST_NOTHING)
			continue;
		if (!token_bucket_take(bucket, worker->now, 1)) {
			counter_add(&worker->counters.multicast_lost, message->left + 1);
			return false;
		}
		event.address = record.group;
		event.action = (uint8_t)record.action;
		tell(worker, &event);
	}
	return true;
}

static void tell_query(struct worker *worker, const struct batch *batch, uint64_t i,
        const struct multicast_message *message)
{
	struct event event = event_of(batch, i, EVENT_QUERY);

	if (!token_bucket_take(&shared->port[batch->in_port[i]].report_bucket, worker->now, 1)) {
		counter_add(&worker->counters.multicast_lost, 1);
		return;
	}
	event.version = message->version;
	event.address = message->group;
	event.source = message->source;
	event.response_ms = message->response_ms;
	event.interval_s = message->interval_s;
	event.robustness = message->robustness;
	event.keep = message->sources;
	event.action = message->kind == MULTICAST_HELLO;
	tell(worker, &event);
}

/* ---- control messages ---- */

static const struct members *load_list(const struct members *const _Atomic *list)
{
	return atomic_load_explicit(list, memory_order_acquire);
}

static void handle_report(struct worker *worker, struct batch *batch, uint64_t i,
        struct multicast_message *message, uint8_t snoop)
{
	const struct segment *segment = &shared->segment[batch->segment[i]];

	/* What we can not count must not count elsewhere: one pod would use up what the port to us
	 * may say on every other node, and silence all of ours there. */
	if (!tell_report(worker, batch, i, message))
		batch_drop(batch, i, PR_DROP_FLOOD_LIMIT);
	else if (!(snoop & SNOOP_ACTIVE(message->v6)))
		batch_next(batch, i, PR_STAGE_FLOOD);
	else /* RFC 4541 2.1.1 (1): other hosts would keep silent */
		flood_to(worker, batch, i, load_list(&segment->routers[message->v6]), NULL,
		        PR_DROP_COUNT);
}

/* Returns whether the frame is none of the messages that have an end here. */
static bool handle_message(struct worker *worker, struct batch *batch, uint64_t i,
        struct multicast_message *message, uint8_t snoop)
{
	bool may_query = port_flags(&shared->port[batch->in_port[i]]) & PORT_MAY_QUERY;

	/* Hosts believe these too, and everybody gets them: nobody says such things that way. */
	if (message->kind != MULTICAST_DATA && frame_is_broadcast(batch->head[i]))
		message->kind = MULTICAST_INVALID;
	switch (message->kind) {
	case MULTICAST_DATA:
		return true;
	case MULTICAST_INVALID:
		batch_drop(batch, i, PR_DROP_MULTICAST_INVALID);
		return false;
	case MULTICAST_REPORT:
		handle_report(worker, batch, i, message, snoop);
		return false;
	case MULTICAST_QUERY:
		if (!may_query) {
			batch_drop(batch, i, PR_DROP_MULTICAST_QUERIER);
			return false;
		}
		tell_query(worker, batch, i, message);
		break;
	case MULTICAST_HELLO:
		if (may_query)
			tell_query(worker, batch, i, message);
		break;
	case MULTICAST_OTHER:
		break;
	}
	batch_next(batch, i, PR_STAGE_FLOOD);
	return false;
}

/* The whole packet where no guest can write: what is in the head, or a copy. */
static __rte_noinline bool parse_copy(struct worker *worker, struct batch *batch, uint64_t i,
        bool v6, uint32_t offload, uint8_t snoop)
{
	uint8_t copy[MESSAGE_MAX];
	struct multicast_message message;
	struct cursor rest = batch_rest(batch, i);
	unsigned head = batch->head_length[i] - L3_OFFSET;
	unsigned length = RTE_MIN(batch->length[i] - L3_OFFSET, (uint32_t)MESSAGE_MAX);

	memcpy(copy, batch->head[i] + L3_OFFSET, head);
	length = head + cursor_copy(&rest, copy + head, length - head);
	multicast_parse(copy, length, v6, offload, &message);
	return handle_message(worker, batch, i, &message, snoop);
}

static bool parse_message(
        struct worker *worker, struct batch *batch, uint64_t i, bool v6, uint8_t snoop)
{
	uint32_t offload = MULTICAST_NO_OFFLOAD;
	struct multicast_message message;

	if (unlikely(batch->offload[i]))
		offload =
		        batch->offload[i] == OFFLOAD_CSUM
		                ? (uint32_t)batch->csum_start[i] + batch->csum_offset[i] - L3_OFFSET
		                : 0;
	if (batch->head_length[i] < batch->length[i])
		return parse_copy(worker, batch, i, v6, offload, snoop);
	multicast_parse(
	        batch->head[i] + L3_OFFSET, batch->length[i] - L3_OFFSET, v6, offload, &message);
	return handle_message(worker, batch, i, &message, snoop);
}

/* ---- data ---- */

static void forward_group(struct worker *worker, struct batch *batch, uint64_t i,
        const struct mdb_key *key, bool v6, uint8_t snoop)
{
	const struct segment *segment = &shared->segment[batch->segment[i]];
	const struct members *members;

	/* Nobody asks hosts, they need not say what they want; or it was said and forgotten. */
	if ((snoop & (SNOOP_ACTIVE(v6) | SNOOP_FULL(v6))) != SNOOP_ACTIVE(v6)) {
		batch_next(batch, i, PR_STAGE_FLOOD);
		return;
	}
	members = mdb_find(shared->mdb, key);
	if (!members && snoop & SNOOP_OVERFLOW(v6))
		batch_next(batch, i, PR_STAGE_FLOOD);
	else
		flood_to(worker, batch, i, members, load_list(&segment->routers[v6]),
		        PR_DROP_NO_MEMBER);
}

static void multicast4(struct worker *worker, struct batch *batch, uint64_t i, uint8_t snoop)
{
	const uint8_t *ip = batch->head[i] + L3_OFFSET;
	struct mdb_key key;

	if (batch->head_length[i] < L3_OFFSET + IP4_BYTES) {
		batch_next(batch, i, PR_STAGE_FLOOD);
		return;
	}
	if (unlikely(ip[9] == IPPROTO_IGMP || ip[9] == IPPROTO_PIM) &&
	        !parse_message(worker, batch, i, false, snoop))
		return;
	/* A unicast packet to a group's MAC is what clusters send: to everybody, as before. */
	if (ip[16] >> 4 != 0xe || multicast_is_local4(ip + 16) ||
	        frame_is_broadcast(batch->head[i])) {
		batch_next(batch, i, PR_STAGE_FLOOD);
		return;
	}
	key = mdb_key4(batch->segment[i], ip + 16);
	forward_group(worker, batch, i, &key, false, snoop);
}

static void multicast6(struct worker *worker, struct batch *batch, uint64_t i, uint8_t snoop)
{
	const uint8_t *ip6 = batch->head[i] + L3_OFFSET;
	struct mdb_key key;

	if (batch->head_length[i] < L3_OFFSET + IP6_BYTES) {
		batch_next(batch, i, PR_STAGE_FLOOD);
		return;
	}
	if (ip6[6] != IPPROTO_UDP && ip6[6] != IPPROTO_TCP &&
	        !parse_message(worker, batch, i, true, snoop))
		return;
	if (!ip6_is_multicast(ip6 + 24) || multicast_is_local6(ip6 + 24) ||
	        frame_is_broadcast(batch->head[i])) {
		batch_next(batch, i, PR_STAGE_FLOOD);
		return;
	}
	key = mdb_key6(batch->segment[i], ip6 + 24);
	forward_group(worker, batch, i, &key, true, snoop);
}

void stage_multicast(struct worker *worker, struct batch *batch)
{
	uint64_t mask = batch_take(batch, PR_STAGE_MULTICAST);

	BATCH_FOREACH (i, mask) {
		uint8_t snoop = atomic_load_explicit(
		        &shared->segment[batch->segment[i]].snoop, memory_order_relaxed);

		if (batch->ethertype[i] == RTE_ETHER_TYPE_IPV4)
			multicast4(worker, batch, i, snoop);
		else if (batch->ethertype[i] == RTE_ETHER_TYPE_IPV6)
			multicast6(worker, batch, i, snoop);
		else
			batch_next(batch, i, PR_STAGE_FLOOD);
	}
}
