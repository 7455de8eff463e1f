/* SPDX-License-Identifier: BSD-3-Clause */
#include "exchange.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "clock.h"
#include "disturb.h"
#include "wait.h"

#define BURST      32
#define PATIENCE_S 3.0 /* without any progress */
#define HELLO_S    15.0
#define SLOW_S     0.02
#define REFLECTED  32 /* frames on their way to a reflector and back */

volatile sig_atomic_t told_to_stop;

struct side {
	struct guest *guest;
	struct side *peer; /* itself, with a reflector */
	struct frame_path path;
	uint32_t next[FLOWS_MAX], expected[FLOWS_MAX];
	uint16_t sizes[FLOWS_MAX][256]; /* of frames on their way, by number */
	double at[FLOWS_MAX][256];      /* when they were sent */
	unsigned flows;
	uint64_t sent, received;
	unsigned cost, limit; /* receive buffers of the peer: taken, and how many may be */
	unsigned on_way;
	bool hello;
};

struct exchange {
	struct side sides[2];
	unsigned n;
	const struct exchange_options *o;
	struct exchange_result *result;
	uint64_t random;
	double progress, begin;
	bool pausing;
};

static void __attribute__((format(printf, 2, 3)))
complain(struct exchange *x, const char *format, ...)
{
	va_list arguments;

	if (x->result->reason[0])
		return;
	va_start(arguments, format);
	vsnprintf(x->result->reason, sizeof(x->result->reason), format, arguments);
	va_end(arguments);
}

static uint32_t random_below(struct exchange *x, uint32_t n)
{
	x->random = x->random * 6364136223846793005ULL + 1442695040888963407ULL;
	return (uint32_t)(x->random >> 33) % n;
}

static void fill_path(struct exchange *x, unsigned i)
{
	struct side *side = &x->sides[i];
	const struct guest_options *own = &side->guest->o;
	const uint8_t *to = x->n == 2 ? x->sides[!i].guest->o.mac : x->o->peer_mac;

	memcpy(side->path.from, own->mac, 6);
	memcpy(side->path.to, x->o->routed ? own->gateway : to, 6);
	side->path.from_ip = own->ip;
	side->path.to_ip = x->n == 2 ? x->sides[!i].guest->o.ip : x->o->peer_ip;
	side->path.partial = own->offload;
	side->flows = 2u * own->pairs;
}

static void set_limits(struct exchange *x)
{
	for (unsigned i = 0; i < x->n; i++) {
		struct side *side = &x->sides[i];
		const struct guest *peer = side->peer->guest;

		side->limit = UINT32_MAX;
		for (unsigned q = 0; q < peer->n_queues; q += 2)
			if (peer->queues[q].n_buffers / 2 < side->limit)
				side->limit = peer->queues[q].n_buffers / 2;
		/* A reflector has fewer transmit buffers than we have receive buffers. */
		if (x->n == 1 && side->limit > REFLECTED)
			side->limit = REFLECTED;
	}
}

/* ---- receiving ---- */

static void take_data(struct exchange *x, struct side *side, const struct frame_info *info)
{
	struct side *sender = side->peer;
	uint32_t *expected = &side->expected[info->flow];

	if (info->flow >= sender->flows || info->number >= sender->next[info->flow]) {
		x->result->mismatched++;
		complain(x, "frame %u of flow %u was never sent", info->number, info->flow);
		return;
	}
	if (info->number != *expected) {
		x->result->reordered++;
		complain(x, "flow %u: frame %u came instead of %u", info->flow, info->number,
		        *expected);
	}
	if (info->number < *expected)
		return;
	for (; *expected <= info->number; ++*expected) {
		uint16_t size = sender->sizes[info->flow][*expected % 256];

		if (*expected == info->number && size != info->size)
			complain(x, "frame %u has another size than was sent", info->number);
		x->result->slow += clock_now() - sender->at[info->flow][*expected % 256] > SLOW_S;
		sender->cost -= buffers_needed(side->guest, size);
		sender->on_way--;
	}
	side->received++;
}

static const char *address_fault(
        const struct exchange *x, const struct side *side, const struct frame_info *info)
{
	if (memcmp(info->to, side->guest->o.mac, 6))
		return "it was for another MAC";
	if (info->from_ip != side->path.to_ip)
		return "source address";
	if (memcmp(info->from, side->path.to, 6))
		return "source MAC";
	if (info->ttl != 64 - x->o->routed)
		return "TTL";
	return NULL;
}

static void answer_arp(struct side *side, const struct packet *packet)
{
	static struct packet reply;

	if (!frame_arp_answer(packet, side->guest->o.ip, side->guest->o.mac, &reply))
		return;
	buffer_send(side->guest, &side->guest->queues[1], &reply);
	ring_publish(&side->guest->queues[1].ring);
}

static void take_packet(struct exchange *x, struct side *side, const struct packet *packet)
{
	bool partial = side->guest->features & FEATURE(VIRTIO_NET_F_GUEST_CSUM);
	struct frame_info info = {0};
	const char *fault = frame_udp_read(packet, partial, &info);

	if (fault && !fault[0]) {
		answer_arp(side, packet);
		return;
	}
	if (!fault)
		fault = address_fault(x, side, &info);
	if (fault && info.kind == FRAME_HELLO)
		return;
	if (fault) {
		x->result->mismatched++;
		complain(x, "frame %u, %u bytes: %s", info.number, packet->length, fault);
		return;
	}
	if (info.kind == FRAME_HELLO)
		side->hello = true;
	else
		take_data(x, side, &info);
}

static unsigned receive_all(struct exchange *x, struct side *side)
{
	static struct packet packet;
	unsigned n = 0;

	for (unsigned q = 0; q < side->guest->n_queues; q++) {
		struct queue *queue = &side->guest->queues[q];
		enum receive got = RECEIVE_NONE;

		if (q & 1) {
			int back = buffers_reclaim(side->guest, queue);

			if (back < 0)
				got = RECEIVE_BROKEN;
			n += back > 0;
		} else {
			while ((got = buffer_receive(side->guest, queue, &packet)) ==
			        RECEIVE_PACKET) {
				take_packet(x, side, &packet);
				n++;
			}
			ring_publish(&queue->ring);
		}
		if (got == RECEIVE_BROKEN) {
			x->result->mismatched++;
			complain(x, "%s", side->guest->error);
			return 0;
		}
	}
	return n;
}

/* ---- sending ---- */

static bool may_send(const struct exchange *x, const struct side *side, unsigned cost)
{
	if (x->pausing || (x->o->frames && side->sent >= x->o->frames))
		return false;
	if (x->o->window && side->on_way >= x->o->window)
		return false;
	if (x->o->rate && (double)side->sent > (clock_now() - x->begin) * x->o->rate)
		return false;
	return side->on_way == 0 || side->cost + cost <= side->limit;
}

static unsigned send_some(struct exchange *x, struct side *side)
{
	static struct packet packet;
	unsigned n = 0;

	while (n < BURST) {
		unsigned flow = (unsigned)(side->sent % side->flows), cost;
		struct queue *queue = &side->guest->queues[flow % side->guest->o.pairs * 2 + 1];
		uint16_t size = x->o->sizes[random_below(x, x->o->n_sizes)];

		if (buffers_needed(side->peer->guest, size) > side->limit)
			size = FRAME_MIN; /* a ring of many small buffers has no room for it */
		cost = buffers_needed(side->peer->guest, size);
		if (!may_send(x, side, cost) || side->next[flow] - side->peer->expected[flow] > 255)
			break;
		side->path.flow = (uint8_t)flow;
		frame_udp(&packet, &side->path, FRAME_DATA, side->next[flow], size);
		if (!buffer_send(side->guest, queue, &packet))
			break;
		side->at[flow][side->next[flow] % 256] = clock_now();
		side->sizes[flow][side->next[flow]++ % 256] = size;
		side->sent++;
		side->cost += cost;
		side->on_way++;
		n++;
	}
	for (unsigned q = 1; q < side->guest->n_queues; q += 2)
		ring_publish(&side->guest->queues[q].ring);
	return n;
}

/* ---- the whole ---- */

static bool turn(struct exchange *x, int wait_ms)
{
	struct guest *guests[2];
	unsigned n = 0;

	for (unsigned i = 0; i < x->n; i++) {
		guests[i] = x->sides[i].guest;
		n += receive_all(x, &x->sides[i]);
		n += send_some(x, &x->sides[i]);
	}
	if (n) {
		x->progress = clock_now();
		return true;
	}
	if (wait_calls(guests, x->n, wait_ms, &x->result->lost_calls)) {
		x->result->disconnected = true;
		complain(x, "the back end closed a connection");
		return false;
	}
	return !x->result->mismatched;
}

/* Until each has heard of the other: addresses are learned, queues are polled. */
static bool say_hello(struct exchange *x)
{
	static struct packet packet;
	double end = clock_now() + HELLO_S, next = 0;
	bool all = false;

	x->pausing = true;
	while (!all && clock_now() < end && !told_to_stop) {
		for (unsigned i = 0; clock_now() >= next && i < x->n; i++) {
			struct side *side = &x->sides[i];

			frame_arp(&packet, &side->path);
			buffer_send(side->guest, &side->guest->queues[1], &packet);
			frame_udp(&packet, &side->path, FRAME_HELLO, 0, FRAME_MIN);
			buffer_send(side->guest, &side->guest->queues[1], &packet);
			ring_publish(&side->guest->queues[1].ring);
		}
		if (clock_now() >= next)
			next = clock_now() + 0.02;
		if (!turn(x, 10))
			return false;
		all = true;
		for (unsigned i = 0; i < x->n; i++)
			all &= x->sides[i].hello;
	}
	x->pausing = false;
	if (!all)
		complain(x, "nothing arrives: no hello in %.0f s", HELLO_S);
	return all;
}

static bool is_sent(const struct exchange *x)
{
	if (told_to_stop || (x->o->duration > 0 && clock_now() - x->begin > x->o->duration))
		return true;
	for (unsigned i = 0; i < x->n; i++)
		if (!x->o->frames || x->sides[i].sent < x->o->frames)
			return false;
	return true;
}

static unsigned on_way(const struct exchange *x)
{
	unsigned n = 0;

	for (unsigned i = 0; i < x->n; i++)
		n += x->sides[i].on_way;
	return n;
}

static bool run(struct exchange *x, bool until_empty)
{
	x->progress = clock_now();
	while (until_empty ? on_way(x) != 0 : !is_sent(x)) {
		uint64_t sent = x->sides[0].sent;

		if (!turn(x, x->o->rate ? 1 : 200) || x->result->mismatched || x->result->reordered)
			return false;
		if (clock_now() - x->progress > PATIENCE_S) {
			complain(
			        x, "%u frames did not arrive within %.0f s", on_way(x), PATIENCE_S);
			return false;
		}
		if (!x->o->disturb || until_empty ||
		        sent / x->o->disturb == x->sides[0].sent / x->o->disturb)
			continue;
		x->pausing = true;
		if (!run(x, true) || !disturb(x->sides[random_below(x, x->n)].guest,
		                             random_below(x, 1000), x->result))
			return false;
		x->pausing = false;
	}
	return true;
}

bool exchange_run(struct guest *guests[2], const struct exchange_options *options,
        struct exchange_result *result)
{
	static struct exchange x;

	memset(&x, 0, sizeof(x));
	memset(result, 0, sizeof(*result));
	x.o = options;
	x.result = result;
	x.random = options->seed;
	x.n = guests[1] ? 2 : 1;
	for (unsigned i = 0; i < x.n; i++)
		x.sides[i] = (struct side){.guest = guests[i], .peer = &x.sides[x.n == 2 ? !i : i]};
	for (unsigned i = 0; i < x.n; i++)
		fill_path(&x, i);
	set_limits(&x);
	x.begin = clock_now();
	if (say_hello(&x)) {
		x.begin = clock_now();
		run(&x, false);
		x.pausing = true;
		if (!result->reason[0])
			run(&x, true);
	}
	result->seconds = clock_now() - x.begin;
	result->missing = on_way(&x);
	for (unsigned i = 0; i < x.n; i++) {
		result->sent += x.sides[i].sent;
		result->received += x.sides[i].received;
		result->not_one += guests[i]->not_one;
		result->strays += memory_strays(&guests[i]->memory) + buffers_strays(guests[i]);
		for (unsigned q = 0; q < guests[i]->n_queues; q++)
			result->kicks += guests[i]->queues[q].ring.kicks;
	}
	if (result->strays)
		complain(&x, "%llu bytes of guest memory changed that were in no buffer",
		        (unsigned long long)result->strays);
	if (result->lost_calls)
		complain(&x, "%llu calls did not come", (unsigned long long)result->lost_calls);
	return !result->reason[0];
}
