/* SPDX-License-Identifier: BSD-3-Clause */
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

#include "dataplane/hop_group_deal.h"
#include "dataplane/liveness.h"
#include "dataplane/neighbour_control.h"
#include "dataplane/next_hop.h"
#include "dataplane/port/ports.h"

/* So many questions at once; the others follow at the rates of liveness.h. Answers come as the
 * questions went, and a port takes only so many of them at once. */
#define ASKED_AT_ONCE 64
#define QUESTION      1000 /* what one takes of the credit, which grows by the rates a millisecond */

struct watch {
	TAILQ_ENTRY(watch) link; /* in the queue of its state, or the free ones */
	uint32_t hop;
	uint16_t users; /* groups */
	bool silent, port_down;
	uint8_t unanswered; /* questions since it was last heard */
	uint64_t due_ms;
};

TAILQ_HEAD(watch_queue, watch);

static struct {
	struct watch *watch; /* [LIVENESS_WATCHES_MAX], 0 is unused */
	struct watch_queue unused;
	/* By due time: all of a queue have the same interval. */
	struct watch_queue heard, silent;
	unsigned n_heard, n_silent;
	uint64_t ports_ms, asked_ms;
	uint32_t credit;
} live;

int liveness_init(void)
{
	live.watch = calloc(LIVENESS_WATCHES_MAX, sizeof(*live.watch));
	TAILQ_INIT(&live.unused);
	TAILQ_INIT(&live.heard);
	TAILQ_INIT(&live.silent);
	live.n_heard = live.n_silent = 0;
	if (!live.watch)
		return -ENOMEM;
	for (unsigned n = 1; n < LIVENESS_WATCHES_MAX; n++)
		TAILQ_INSERT_TAIL(&live.unused, &live.watch[n], link);
	return 0;
}

void liveness_free(void)
{
	free(live.watch);
	live.watch = NULL;
}

static struct watch *watch_of(uint32_t hop)
{
	return hop_at(hop)->watch ? &live.watch[hop_at(hop)->watch] : NULL;
}

/* ---- the two queues ---- */

static uint64_t interval(const struct watch *watch)
{
	if (watch->silent)
		return RTE_MAX(LIVENESS_SILENT_MS, live.n_silent * 1000u / LIVENESS_RATE_SILENT);
	return RTE_MAX(LIVENESS_PROBE_MS, live.n_heard * 1000u / LIVENESS_RATE);
}

static void dequeue(struct watch *watch)
{
	if (watch->silent) {
		TAILQ_REMOVE(&live.silent, watch, link);
		live.n_silent--;
	} else {
		TAILQ_REMOVE(&live.heard, watch, link);
		live.n_heard--;
	}
}

static void enqueue(struct watch *watch, uint64_t due_ms)
{
	watch->due_ms = due_ms;
	if (watch->silent) {
		TAILQ_INSERT_TAIL(&live.silent, watch, link);
		live.n_silent++;
	} else {
		TAILQ_INSERT_TAIL(&live.heard, watch, link);
		live.n_heard++;
	}
}

/* ---- who is there ---- */

static bool is_alive(const struct watch *watch)
{
	return !watch->silent && !watch->port_down;
}

bool liveness_is_alive(uint32_t hop)
{
	const struct watch *watch = watch_of(hop);

	return watch && is_alive(watch);
}

enum dp_nexthop_state liveness_state(uint32_t hop)
{
	const struct watch *watch = watch_of(hop);
	const struct hop *member = hop_at(hop);
	struct pr_mac mac;

	if (!watch || watch->port_down)
		return DP_NEXTHOP_DOWN;
	if (watch->silent)
		return DP_NEXTHOP_SILENT;
	return neighbour_mac(member->network, member->port, &member->gateway, &mac) ==
	                       NEIGHBOUR_KNOWN
	               ? DP_NEXTHOP_UP
	               : DP_NEXTHOP_RESOLVING;
}

int liveness_take(uint32_t hop)
{
	struct watch *watch = watch_of(hop);

	if (watch) {
		watch->users++;
		return 0;
	}
	if (!hop_is_via(hop_at(hop)))
		return 0;
	watch = TAILQ_FIRST(&live.unused);
	if (!watch)
		return -ENOSPC;
	TAILQ_REMOVE(&live.unused, watch, link);
	*watch = (struct watch){.hop = hop, .users = 1};
	watch->port_down = !port_is_up(hop_at(hop)->port);
	hop_set_watch(hop, (uint16_t)(watch - live.watch));
	/* At once, before those who were asked a moment ago. */
	watch->due_ms = tables_now();
	TAILQ_INSERT_HEAD(&live.heard, watch, link);
	live.n_heard++;
	return 0;
}

void liveness_release(uint32_t hop)
{
	struct watch *watch = watch_of(hop);

	if (!watch || --watch->users)
		return;
	dequeue(watch);
	TAILQ_INSERT_TAIL(&live.unused, watch, link);
	hop_set_watch(hop, 0);
}

/* ---- news ---- */

static void set_silent(struct watch *watch, bool silent, uint64_t due_ms)
{
	bool was = is_alive(watch);

	dequeue(watch);
	watch->silent = silent;
	watch->unanswered = 0;
	enqueue(watch, due_ms);
	if (is_alive(watch) != was)
		groups_member_changed();
}

static void set_port_down(struct watch *watch, bool down)
{
	bool was = is_alive(watch);

	watch->port_down = down;
	/* What was asked while it was down says nothing. */
	watch->unanswered = 0;
	if (is_alive(watch) != was)
		groups_member_changed();
}

void liveness_heard(uint16_t index)
{
	struct watch *watch = &live.watch[index];

	watch->unanswered = 0;
	if (watch->silent)
		set_silent(watch, false, tables_now() + LIVENESS_PROBE_MS);
}

void liveness_hop_dead(uint16_t index)
{
	set_port_down(&live.watch[index], true);
}

static void look_at_ports(uint64_t now_ms)
{
	static uint8_t known[PR_PORTS_MAX]; /* 1: down, 2: up; many members share a port */
	struct watch_queue *queues[] = {&live.heard, &live.silent};
	struct watch *watch;

	live.ports_ms = now_ms;
	memset(known, 0, sizeof(known));
	for (unsigned q = 0; q < 2; q++)
		TAILQ_FOREACH (watch, queues[q], link) {
			const struct hop *hop = hop_at(watch->hop);

			if (hop->dead)
				continue;
			if (!known[hop->port])
				known[hop->port] = port_is_up(hop->port) ? 2 : 1;
			if (watch->port_down != (known[hop->port] == 1))
				set_port_down(watch, !watch->port_down);
		}
}

/* ---- questions ---- */

static void ask(struct watch *watch, uint64_t now_ms)
{
	const struct hop *hop = hop_at(watch->hop);
	enum neighbour_asked asked = NEIGHBOUR_ASKED;

	if (hop->dead || watch->port_down) {
		dequeue(watch);
		enqueue(watch, now_ms + interval(watch));
		return;
	}
	if (!watch->silent && watch->unanswered >= LIVENESS_PROBES) {
		neighbour_doubt(hop->network, &hop->gateway);
		set_silent(watch, true, now_ms + LIVENESS_SILENT_MS);
		return;
	}
	asked = neighbour_probe(hop->network, hop->port, &hop->gateway, watch->silent);
	if (asked == NEIGHBOUR_IS_STATIC && watch->silent) {
		set_silent(watch, false, now_ms + LIVENESS_PROBE_MS);
		return;
	}
	if (asked == NEIGHBOUR_HAS_FAILED && !watch->silent) {
		set_silent(watch, true, now_ms + LIVENESS_SILENT_MS);
		return;
	}
	if (asked == NEIGHBOUR_ASKED && watch->unanswered < LIVENESS_PROBES)
		watch->unanswered++;
	dequeue(watch);
	enqueue(watch, now_ms + interval(watch));
}

static void ask_due(struct watch_queue *queue, uint64_t now_ms)
{
	struct watch *watch;

	while (live.credit >= QUESTION && (watch = TAILQ_FIRST(queue)) && watch->due_ms <= now_ms) {
		ask(watch, now_ms);
		live.credit -= QUESTION;
	}
}

static void earn_credit(uint64_t now_ms)
{
	uint64_t passed = RTE_MIN(now_ms - live.asked_ms, UINT64_C(1000));

	live.asked_ms = now_ms;
	live.credit =
	        (uint32_t)RTE_MIN(live.credit + passed * (LIVENESS_RATE + LIVENESS_RATE_SILENT),
	                (uint64_t)ASKED_AT_ONCE * QUESTION);
}

void liveness_tick(uint64_t now_ms)
{
	earn_credit(now_ms);
	if (!live.n_heard && !live.n_silent)
		return;
	if (now_ms - live.ports_ms >= LIVENESS_PORTS_MS)
		look_at_ports(now_ms);
	ask_due(&live.heard, now_ms);
	ask_due(&live.silent, now_ms);
}

static int wait_for(const struct watch_queue *queue, uint64_t now_ms, int max)
{
	const struct watch *watch = TAILQ_FIRST(queue);

	if (!watch || watch->due_ms >= now_ms + (uint64_t)max)
		return max;
	/* Whoever is due and was not asked waits for credit. */
	return watch->due_ms <= now_ms ? 1 : (int)(watch->due_ms - now_ms);
}

int liveness_wait(uint64_t now_ms, int max)
{
	return wait_for(&live.silent, now_ms, wait_for(&live.heard, now_ms, max));
}
