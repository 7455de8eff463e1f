/* SPDX-License-Identifier: BSD-3-Clause */
#include "disturb.h"

#include <stdio.h>

static int toggle_queues(struct guest *guest)
{
	int rc = 0;

	for (unsigned q = 0; !rc && q < guest->n_queues; q++)
		rc = guest_enable_queue(guest, q, false);
	for (unsigned q = 0; !rc && q < guest->n_queues; q++)
		rc = guest_enable_queue(guest, q, true);
	return rc;
}

static int stop_and_start(struct guest *guest)
{
	int rc = 0;

	for (unsigned q = 0; !rc && q < guest->n_queues; q++) {
		uint32_t base, wanted = ring_base(&guest->queues[q].ring);

		rc = guest_stop_queue(guest, q, &base);
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
