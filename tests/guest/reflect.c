/* SPDX-License-Identifier: BSD-3-Clause */
#include <stdio.h>
#include <string.h>

#include "clock.h"
#include "exchange.h"
#include "wait.h"

static void answer(struct guest *guest, const struct exchange_options *options, struct queue *queue,
        const struct packet *packet, struct exchange_result *result)
{
	static struct packet reply;
	bool partial = guest->features & FEATURE(VIRTIO_NET_F_GUEST_CSUM);
	struct frame_path path = {.from_ip = guest->o.ip, .partial = guest->o.offload};
	struct frame_info info = {0};
	const char *fault = frame_udp_read(packet, partial, &info);

	if (fault && fault[0]) {
		result->mismatched++;
		snprintf(
		        result->reason, sizeof(result->reason), "frame %u: %s", info.number, fault);
	}
	if (fault && !frame_arp_answer(packet, guest->o.ip, guest->o.mac, &reply))
		return;
	if (!fault) {
		memcpy(path.from, guest->o.mac, 6);
		memcpy(path.to, options->routed ? guest->o.gateway : info.from, 6);
		path.to_ip = info.from_ip;
		path.flow = info.flow;
		frame_udp(&reply, &path, info.kind, info.number, info.size);
		result->received++;
	}
	buffers_reclaim(guest, queue + 1);
	if (buffer_send(guest, queue + 1, &reply))
		result->sent++;
	ring_publish(&queue[1].ring);
}

bool reflect_run(
        struct guest *guest, const struct exchange_options *options, struct exchange_result *result)
{
	static struct packet packet;
	double end = clock_now() + options->duration;

	memset(result, 0, sizeof(*result));
	while (!told_to_stop && (options->duration <= 0 || clock_now() < end)) {
		unsigned n = 0;

		for (unsigned q = 0; q < guest->n_queues; q += 2) {
			enum receive got;

			while ((got = buffer_receive(guest, &guest->queues[q], &packet)) ==
			        RECEIVE_PACKET) {
				answer(guest, options, &guest->queues[q], &packet, result);
				n++;
			}
			if (got == RECEIVE_BROKEN) {
				snprintf(
				        result->reason, sizeof(result->reason), "%s", guest->error);
				return false;
			}
			ring_publish(&guest->queues[q].ring);
			buffers_reclaim(guest, &guest->queues[q + 1]);
		}
		if (!n && wait_calls(&guest, 1, 100, &result->lost_calls)) {
			result->disconnected = true;
			break;
		}
	}
	return !result->reason[0];
}
