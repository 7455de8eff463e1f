/* SPDX-License-Identifier: BSD-3-Clause */
/* Tells a lie: an honest start up to its stage, the lie, and what became of the connection. */
#include "lies.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "buffer.h"
#include "clock.h"
#include "frame.h"
#include "scenario.h"

#define COME_MS 10000
#define TOLD_MS 40  /* after a lie, until what became of the connection is looked at */
#define RING_MS 200 /* the same for what a worker has to come upon */

static const struct lie *const tables[] = {lies_message, lies_memory, lies_queue, lies_fd,
        lies_chain, lies_index, lies_packed, lies_offload, lies_race};
static const char *const effects[] = {"none", "protocol", "ring", "memory", "caught"};

void lies_list(void)
{
	static const char *const rings[] = {"any", "split", "packed", "both"};

	for (unsigned t = 0; t < sizeof(tables) / sizeof(tables[0]); t++)
		for (const struct lie *lie = tables[t]; lie->name; lie++)
			printf("%s\t%s\t%s\t%s\n", lie->name, rings[lie->rings],
			        effects[lie->effect], lie->help);
}

static const struct lie *find(const char *name)
{
	for (unsigned t = 0; t < sizeof(tables) / sizeof(tables[0]); t++)
		for (const struct lie *lie = tables[t]; lie->name; lie++)
			if (!strcmp(lie->name, name))
				return lie;
	return NULL;
}

/* ---- for lies ---- */

uint32_t liar_random(struct liar *liar, uint32_t below)
{
	liar->random = liar->random * 6364136223846793005ULL + 1442695040888963407ULL;
	return (uint32_t)(liar->random >> 33) % below;
}

void liar_say(struct liar *liar, uint32_t request, const void *payload, uint32_t size,
        const int *fds, unsigned n_fds)
{
	message_send(liar->guest->socket, request, 0, payload, size, fds, n_fds);
}

void liar_say_number(struct liar *liar, uint32_t request, uint64_t number)
{
	liar_say(liar, request, &number, 8, NULL, 0);
}

void liar_say_state(struct liar *liar, uint32_t request, uint32_t index, uint32_t number)
{
	struct vring_state state = {index, number};

	liar_say(liar, request, &state, sizeof(state), NULL, 0);
}

struct ring *liar_ring(struct liar *liar, unsigned queue)
{
	return &liar->guest->queues[queue].ring;
}

static void split_chain(struct ring *ring, const struct told *chain, unsigned n, bool rx)
{
	for (unsigned i = 0; i < n; i++)
		ring->desc.split[i] = (struct vring_desc){
		        chain[i].address, chain[i].length, chain[i].flags, chain[i].next};
	for (unsigned i = 0; i < ring->o.size; i++)
		ring->avail->ring[i] = 0;
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	if (!rx)
		__atomic_store_n(&ring->avail->idx, ++ring->next_avail, __ATOMIC_RELEASE);
}

/* Receive slots are all made available in the first round: what is not used yet is replaced. */
static void packed_chain(struct ring *ring, const struct told *chain, unsigned n, bool rx)
{
	unsigned first = rx ? 0 : ring->next_avail, all = rx ? ring->o.size : n;

	for (unsigned k = all; k-- > 0;) {
		unsigned slot = (first + k) % ring->o.size;
		const struct told *told = &chain[k % n];
		struct vring_packed_desc *d = &ring->desc.packed[slot];
		uint16_t flags = (uint16_t)(told->flags | 1u << VRING_PACKED_DESC_F_AVAIL);

		if (rx && d->flags & 1u << VRING_PACKED_DESC_F_USED)
			continue;
		d->addr = told->address;
		d->len = told->length;
		d->id = (uint16_t)slot;
		__atomic_store_n(&d->flags, flags, __ATOMIC_RELEASE);
	}
}

void liar_chain(struct liar *liar, const struct told *chain, unsigned n)
{
	struct ring *ring = liar_ring(liar, liar->queue);
	bool rx = !(liar->queue & 1);

	(ring->o.packed ? packed_chain : split_chain)(ring, chain, n, rx);
	ring_kick(ring);
}

static void send_one(struct guest *guest, struct packet *packet, uint32_t number, uint32_t size)
{
	struct frame_path path = {
	        .to = {2, 0, 0, 0, 0, 0xee}, .from_ip = guest->o.ip, .to_ip = guest->o.ip + 1};

	memcpy(path.from, guest->o.mac, 6);
	if (number)
		frame_udp(packet, &path, FRAME_HELLO, number, size);
	else
		frame_arp(packet, &path);
	buffers_reclaim(guest, &guest->queues[1]);
	buffer_send(guest, &guest->queues[1], packet);
	ring_publish(&guest->queues[1].ring);
}

void liar_traffic(struct liar *liar, double seconds)
{
	static struct packet packet;
	double end = clock_now() + seconds;

	for (uint32_t n = 1; clock_now() < end; n++) {
		send_one(liar->guest, &packet, n, 60 + liar_random(liar, 1400));
		if (n % 16 == 0)
			usleep(200);
	}
}

/* ---- the scenario ---- */

static int start_to(struct liar *liar, const struct lie *lie)
{
	struct guest *guest = liar->guest;
	static struct packet packet;
	int rc = 0;

	guest_leave(guest);
	rc = guest_connect(guest, COME_MS);
	if (!rc && lie->stage == STAGE_RUNNING)
		rc = guest_start(guest);
	else if (!rc && lie->stage >= STAGE_NEGOTIATED)
		rc = guest_negotiate(guest);
	if (!rc && lie->stage != STAGE_RUNNING)
		rc = guest_make_queues(guest);
	if (!rc && lie->stage == STAGE_MEMORY)
		rc = guest_send_memory(guest);
	if (rc)
		return rc;
	liar->buffer = memory_take(&guest->memory, LIE_BUFFER, 64);
	liar->buffer2 = memory_take(&guest->memory, LIE_BUFFER, 64);
	if (!liar->buffer || !liar->buffer2)
		return -ENOMEM;
	if (lie->stage == STAGE_RUNNING && !lie->quiet) {
		send_one(guest, &packet, 0, 0);
		usleep(10000);
	}
	return 0;
}

static void tell(struct liar *liar, const struct lie *lie)
{
	struct told chain[CHAIN_TOLD_MAX] = {0};

	if (lie->tell) {
		lie->tell(liar);
		return;
	}
	liar->queue = lie->queue;
	liar_chain(liar, chain, lie->chain(liar, chain));
}

static bool answers(struct guest *guest)
{
	uint64_t features;

	return message_send(guest->socket, GET_FEATURES, 0, NULL, 0, NULL, 0) == 0 &&
	       message_receive(guest->socket, GET_FEATURES, &features, 8, 1000) == 0;
}

/* A back end that has not seen the last connection end refuses the next at first. */
static int come_to(struct liar *liar, const struct lie *lie)
{
	double end = clock_now() + COME_MS / 1e3;
	int rc;

	do {
		rc = start_to(liar, lie);
		/* It may yet be refused: only an answer says that it was not. */
		if (!rc && lie->stage == STAGE_CONNECTED && !answers(liar->guest))
			rc = -ECONNRESET;
		if (rc == -EOPNOTSUPP)
			return rc;
		if (rc)
			usleep(5000);
	} while (rc && clock_now() < end);
	return rc;
}

static void prepare(struct guest_options *o, const struct lie *lie)
{
	if (lie->indirect)
		o->ring.indirect = true;
	if (lie->rings == RINGS_SPLIT)
		o->ring.packed = false;
	if (lie->rings == RINGS_PACKED)
		o->ring.packed = true;
	if (lie->offload)
		o->offload = true;
}

int scenario_lie(const struct options *options)
{
	static struct guest guest;
	struct guest_options port = options->ports[0];
	const struct lie *lie = options->lie ? find(options->lie) : NULL;
	struct liar liar = {
	        .guest = &guest, .hold = options->hold, .random = options->exchange.seed};
	bool gone, alive;
	int rc;

	if (!lie)
		return scenario_failed(options, "there is no such lie (--list)");
	prepare(&port, lie);
	rc = guest_init(&guest, &port);
	if (!rc)
		rc = come_to(&liar, lie);
	if (rc) {
		printf("{\"scenario\":\"lie\",\"lie\":\"%s\",\"ok\":false,\"unsupported\":%s,"
		       "\"reason\":",
		        lie->name, rc == -EOPNOTSUPP ? "true" : "false");
		print_quoted(guest.error);
		puts("}");
		guest_close(&guest);
		return 1;
	}
	tell(&liar, lie);
	gone = guest_is_gone(&guest, lie->effect >= EFFECT_RING ? RING_MS : TOLD_MS);
	alive = !gone && answers(&guest);
	printf("{\"scenario\":\"lie\",\"lie\":\"%s\",\"ok\":true,\"effect\":\"%s\","
	       "\"disconnected\":%s,\"answers\":%s,\"reason\":\"\"}\n",
	        lie->name, effects[lie->effect], gone ? "true" : "false", alive ? "true" : "false");
	guest_close(&guest);
	return 0;
}
