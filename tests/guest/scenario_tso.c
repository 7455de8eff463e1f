/* SPDX-License-Identifier: BSD-3-Clause */
/* A byte stream in TCP frames of up to 64 KiB, whose segmentation and checksum are left to the
 * device. The receiver takes them whole if it has negotiated that, in segments otherwise. */
#include <stdio.h>
#include <string.h>

#include "clock.h"
#include "scenario.h"
#include "wait.h"

#define COME_MS    20000
#define PATIENCE_S 3.0
#define WINDOW     2 /* frames on their way: segments of each must find receive buffers */
#define TCP_LARGE  65000

struct stream {
	struct guest guests[2];
	uint32_t sent, received; /* bytes, as sequence numbers */
	uint64_t frames, arrived, whole;
	uint64_t random;
	char reason[200];
};

static uint32_t pick(struct stream *s, uint32_t least, uint32_t most)
{
	s->random = s->random * 6364136223846793005ULL + 1442695040888963407ULL;
	return least + (uint32_t)(s->random >> 33) % (most - least + 1);
}

static void send_one(struct stream *s, const struct options *options)
{
	static struct packet packet;
	struct guest *guest = &s->guests[0];
	const struct guest_options *to = &s->guests[1].o;
	struct frame_path path = {.from_ip = guest->o.ip, .to_ip = to->ip, .partial = true};
	uint32_t most = guest->o.frame_max - 54;
	uint32_t payload = pick(s, 100, most < TCP_LARGE ? most : TCP_LARGE);
	uint16_t segment = (uint16_t)pick(s, 1100, 1400);

	memcpy(path.from, guest->o.mac, 6);
	memcpy(path.to, options->exchange.routed ? guest->o.gateway : to->mac, 6);
	frame_tcp(&packet, &path, s->sent, payload, payload > segment ? segment : 0);
	if (!buffer_send(guest, &guest->queues[1], &packet))
		return;
	ring_publish(&guest->queues[1].ring);
	s->sent += payload;
	s->frames++;
}

static bool receive(struct stream *s)
{
	static struct packet packet;
	struct guest *guest = &s->guests[1];
	bool csum = guest->features & FEATURE(VIRTIO_NET_F_GUEST_CSUM);
	bool gso = guest->features & FEATURE(VIRTIO_NET_F_GUEST_TSO4), any = false;
	enum receive got;

	while ((got = buffer_receive(guest, &guest->queues[0], &packet)) == RECEIVE_PACKET) {
		uint32_t sequence = 0, payload = 0;
		const char *fault = frame_tcp_read(&packet, csum, gso, &sequence, &payload);

		if (fault && !fault[0])
			continue;
		any = true;
		if (!fault && sequence != s->received)
			fault = "it is not the next";
		if (fault) {
			snprintf(s->reason, sizeof(s->reason),
			        "%u bytes from %u on, where %u is due: %s", payload, sequence,
			        s->received, fault);
			return false;
		}
		s->received += payload;
		s->arrived++;
		s->whole += packet.header.hdr.gso_type != VIRTIO_NET_HDR_GSO_NONE;
	}
	if (got == RECEIVE_BROKEN)
		snprintf(s->reason, sizeof(s->reason), "%s", guest->error);
	ring_publish(&guest->queues[0].ring);
	return any;
}

static void run(struct stream *s, const struct options *options)
{
	struct guest *both[2] = {&s->guests[0], &s->guests[1]};
	uint32_t edges[WINDOW] = {0};
	uint64_t lost = 0;
	double progress = clock_now();

	while (!s->reason[0] && (s->frames < options->exchange.frames || s->sent != s->received)) {
		buffers_reclaim(both[0], &both[0]->queues[1]);
		/* The frame before the last one must have arrived. */
		if (s->frames < options->exchange.frames &&
		        (int32_t)(s->received - edges[s->frames % WINDOW]) >= 0) {
			unsigned slot = (unsigned)(s->frames % WINDOW);

			send_one(s, options);
			edges[slot] = s->sent;
		}
		if (receive(s)) {
			progress = clock_now();
		} else if (clock_now() - progress > PATIENCE_S && !s->reason[0]) {
			snprintf(s->reason, sizeof(s->reason), "%u bytes of %u arrived",
			        s->received, s->sent);
		} else if (!s->reason[0] && wait_calls(both, 2, 5, &lost)) {
			snprintf(s->reason, sizeof(s->reason), "the back end closed a connection");
		}
	}
}

int scenario_tso(const struct options *options)
{
	static struct stream s;
	struct guest *both[2] = {&s.guests[0], &s.guests[1]};
	struct exchange_options hello = options->exchange;
	struct exchange_result result = {0};
	int rc = 0;

	s.guests[1].listener = s.guests[1].socket = -1;
	s.random = hello.seed;
	hello.frames = 8;
	for (unsigned i = 0; !rc && i < 2; i++) {
		rc = guest_init(both[i], &options->ports[i]);
		if (!rc)
			rc = guest_come(both[i], COME_MS);
		if (rc)
			snprintf(s.reason, sizeof(s.reason), "%s", both[i]->error);
	}
	if (!rc && !exchange_run(both, &hello, &result))
		snprintf(s.reason, sizeof(s.reason), "%.190s", result.reason);
	if (!s.reason[0])
		run(&s, options);
	if (!s.reason[0] && memory_strays(&s.guests[1].memory) + buffers_strays(&s.guests[1]))
		snprintf(s.reason, sizeof(s.reason), "guest memory changed that was in no buffer");
	printf("{\"scenario\":\"tso\",\"ok\":%s,\"frames\":%llu,\"bytes\":%u,\"arrived\":%llu,"
	       "\"whole\":%llu,\"reason\":",
	        s.reason[0] ? "false" : "true", (unsigned long long)s.frames, s.received,
	        (unsigned long long)s.arrived, (unsigned long long)s.whole);
	print_quoted(s.reason);
	puts("}");
	guest_close(both[0]);
	guest_close(both[1]);
	return s.reason[0] != 0;
}
