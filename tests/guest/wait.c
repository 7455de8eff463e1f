/* SPDX-License-Identifier: BSD-3-Clause */
#include "wait.h"

#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#define LATE_MS 300 /* for a call, after the buffer: the daemon may wait for a CPU in between */

static bool arm_all(struct guest *const *guests, unsigned n, bool on)
{
	bool has = false;

	for (unsigned i = 0; i < n; i++)
		for (unsigned q = 0; q < guests[i]->n_queues; q++) {
			ring_arm(&guests[i]->queues[q].ring, on);
			has |= ring_has_used(&guests[i]->queues[q].ring);
		}
	return has;
}

static unsigned fill(struct guest *const *guests, unsigned n, struct pollfd *p)
{
	unsigned k = 0;

	for (unsigned i = 0; i < n; i++) {
		p[k++] = (struct pollfd){guests[i]->socket, 0, 0};
		for (unsigned q = 0; q < guests[i]->n_queues; q++)
			p[k++] = (struct pollfd){guests[i]->queues[q].ring.call, POLLIN, 0};
	}
	return k;
}

static void clear_calls(struct guest *const *guests, unsigned n)
{
	eventfd_t value;

	for (unsigned i = 0; i < n; i++)
		for (unsigned q = 0; q < guests[i]->n_queues; q++)
			if (eventfd_read(guests[i]->queues[q].ring.call, &value) < 0)
				continue;
}

static bool any_used(struct guest *const *guests, unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		for (unsigned q = 0; q < guests[i]->n_queues; q++)
			if (ring_has_used(&guests[i]->queues[q].ring))
				return true;
	return false;
}

static bool any_hangup(struct guest *const *guests, unsigned n)
{
	for (unsigned i = 0; i < n; i++) {
		struct pollfd p = {guests[i]->socket, POLLRDHUP, 0};

		if (poll(&p, 1, 0) == 1 && p.revents & (POLLHUP | POLLRDHUP | POLLERR | POLLNVAL))
			return true;
	}
	return false;
}

bool wait_calls(struct guest *const *guests, unsigned n, int timeout_ms, uint64_t *lost)
{
	struct pollfd p[2 * (1 + 2 * PAIRS_MAX)];
	unsigned k = fill(guests, n, p);

	clear_calls(guests, n);
	if (!arm_all(guests, n, true) && poll(p, k, timeout_ms) == 0 && any_used(guests, n) &&
	        poll(p, k, LATE_MS) == 0)
		++*lost;
	clear_calls(guests, n);
	arm_all(guests, n, false);
	return any_hangup(guests, n);
}
