/* SPDX-License-Identifier: BSD-3-Clause */
#include "disturb.h"

#include <stdio.h>

#include "buffer.h"

static int toggle_queues(struct guest *guest)
{
	int rc = 0;

	for (unsigned q = 0; !rc && q < guest->n_queues; q++)
		rc = guest_enable_queue(guest, q, false);
	for (unsigned q = 0; !rc && q < guest->n_queues; q++)
		rc = guest_enable_queue(guest, q, true);
	return rc;
}

/* Takes what the back end returned before it stopped: a receiver has its frame before the sender
 * gets the buffer back, so that transmit buffers may return after all frames have arrived. On a
 * receive queue it can only be a neighbour's question. Returns 0 or -1 (guest->error). */
static int take_rest(struct guest *guest, unsigned q)
{
	static struct packet packet;
	struct queue *queue = &guest->queues[q];
	enum receive got;

	if (q & 1)
		return buffers_reclaim(guest, queue) < 0 ? -1 : 0;
	while ((got = buffer_receive(guest, queue, &packet)) == RECEIVE_PACKET)
		;
	return got == RECEIVE_BROKEN ? -1 : 0;
}

static int stop_and_start(struct guest *guest)
{
	int rc = 0;

	for (unsigned q = 0; !rc && q < guest->n_queues; q++) {
		uint32_t base, wanted;

		rc = guest_stop_queue(guest, q, &base);
		if (!rc)
			rc = take_rest(guest, q);
		wanted = ring_base(&guest->queues[q].ring);
		if (!rc && (base ^ wanted) & 0xffff) {
			snprintf(guest->error, sizeof(guest->error),
			        "queue %u stopped at %#x instead of %#x", q, base, wanted);
			return -1;
		}
	}
	for (unsigned q = 0; !rc && q < guest->n_queues; q++)
		rc = guest_start_queue(guest, q);
	for (unsigned q = 0; !rc && q < guest->n_queues; q++)
		rc = guest_enable_queue(guest, q, true);
	return rc;
}

static int new_calls(struct guest *guest)
{
	int rc = 0;

	for (unsigned q = 0; !rc && q < guest->n_queues; q++) {
		uint64_t index = q;

		rc = guest_tell(guest, SET_VRING_CALL, &index, 8, &guest->queues[q].ring.call, 1);
	}
	return rc;
}

bool disturb(struct guest *guest, unsigned which, struct exchange_result *result)
{
	static int (*const actions[])(struct guest *) = {
	        guest_send_memory, toggle_queues, stop_and_start, new_calls};
	static const char *const names[] = {
	        "SET_MEM_TABLE", "disable and enable", "stop and start", "SET_VRING_CALL"};
	int rc;

	which %= sizeof(actions) / sizeof(actions[0]);
	result->disturbances++;
	rc = actions[which](guest);
	if (!rc)
		/* Done when this is answered. */
		rc = guest_ask(guest, GET_QUEUE_NUM, NULL, 0, &(uint64_t){0}, 8);
	if (rc)
		snprintf(result->reason, sizeof(result->reason), "%s: %s", names[which],
		        guest->error);
	return !rc;
}
