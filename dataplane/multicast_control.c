/* SPDX-License-Identifier: BSD-3-Clause */
#include "dataplane/multicast_control.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "dataplane/multicast_message.h"
#include "dataplane/router_advertisement.h"

#define AGE_SLOTS   16384u /* memberships looked at in a tick: well under a millisecond */
#define ASKED_LINKS 64     /* of a trunk; the others are asked with everybody */
#define LAST_MEMBER 2      /* seconds: RFC 3376 8.8, Last Member Query Interval times its count */

uint32_t multicast_second = 1000;

static struct multicast_segment *segments[PR_SEGMENTS_MAX];

struct multicast_segment *multicast_segment_at(uint16_t segment)
{
	return segments[segment];
}

bool multicast_link(uint16_t port, uint16_t segment, uint16_t *tag)
{
	const struct port_control *control = port_at(port);

	/* What a port that goes has still in the rings must not bring it back. */
	for (unsigned n = 0; control->used && control->links && n < control->n_links; n++) {
		if (control->links[n].segment == segment) {
			*tag = control->links[n].tag;
			return true;
		}
	}
	return false;
}

uint64_t multicast_membership_ms(const struct multicast_family *family)
{
	return (uint64_t)family->robustness * family->interval_s * multicast_second +
	       (uint64_t)family->response_ms * multicast_second / 1000;
}

uint64_t multicast_last_member_ms(void)
{
	return (uint64_t)LAST_MEMBER * multicast_second;
}

/* ---- what workers see ---- */

void multicast_publish(uint16_t index)
{
	const struct multicast_segment *segment = segments[index];
	uint64_t now = tables_now();
	uint8_t snoop = segment ? SNOOP_ON : 0;

	for (unsigned v6 = 0; segment && v6 < 2; v6++) {
		const struct multicast_family *family = &segment->family[v6];

		if (family->active_ms && now >= family->active_ms)
			snoop |= SNOOP_ACTIVE(v6);
		if (now < family->overflow_until)
			snoop |= SNOOP_OVERFLOW(v6);
		if (now < family->full_until)
			snoop |= SNOOP_FULL(v6);
	}
	if (atomic_load_explicit(&shared->segment[index].snoop, memory_order_relaxed) != snoop)
		atomic_store_explicit(&shared->segment[index].snoop, snoop, memory_order_relaxed);
}

/* A list that does not fit in memory now: the old one stays, and ports that are gone from it have
 * no device that takes a packet until the next change. Ports are removed with waiting. */
static void publish_routers(uint16_t index, bool v6, bool wait)
{
	const struct multicast_family *family = &segments[index]->family[v6];
	const struct members *old =
	        atomic_load_explicit(&shared->segment[index].routers[v6], memory_order_relaxed);
	struct members *list = NULL;
	unsigned n = family->n_routers;

	while (n && !(list = malloc(sizeof(*list) + n * sizeof(list->member[0])))) {
		if (!wait)
			return;
		tables_reclaim_wait();
	}
	if (list)
		list->n = (uint16_t)n;
	for (unsigned k = 0; k < n; k++) {
		list->member[k].port = family->router[k].port;
		list->member[k].tag = family->router[k].tag;
	}
	atomic_store_explicit(&shared->segment[index].routers[v6], list, memory_order_release);
	if (old)
		tables_retire(free, (void *)(uintptr_t)old);
}

/* ---- router ports ---- */

void multicast_router_add(uint16_t index, bool v6, uint16_t port, uint16_t tag, uint64_t until)
{
	struct multicast_family *family = &segments[index]->family[v6];
	struct multicast_router *more;
	unsigned at = 0;

	while (at < family->n_routers && family->router[at].port < port)
		at++;
	if (at < family->n_routers && family->router[at].port == port) {
		if (family->router[at].until < until)
			family->router[at].until = until;
		return;
	}
	more = realloc(family->router, (family->n_routers + 1) * sizeof(*more));
	if (!more)
		return; /* it is heard of again */
	family->router = more;
	memmove(&more[at + 1], &more[at], (family->n_routers - at) * sizeof(*more));
	more[at] = (struct multicast_router){.port = port, .tag = tag, .until = until};
	family->n_routers++;
	publish_routers(index, v6, false);
}

/* Those of a port (NO_PORT: of none), and those whose time is over. */
static void drop_routers(uint16_t index, bool v6, uint16_t port, uint64_t now_ms)
{
	struct multicast_family *family = &segments[index]->family[v6];
	unsigned kept = 0;

	for (unsigned n = 0; n < family->n_routers; n++)
		if (family->router[n].port != port && family->router[n].until > now_ms)
			family->router[kept++] = family->router[n];
	if (kept == family->n_routers)
		return;
	family->n_routers = kept;
	publish_routers(index, v6, true);
}

/* ---- ports ---- */

static int segment_begin(uint16_t index, const struct network *network)
{
	struct multicast_segment *segment = calloc(1, sizeof(*segment));

	if (!segment)
		return -ENOMEM;
	segment->mac = network->spec.gateway_mac;
	multicast_family_init(&segment->family[0], network, false);
	multicast_family_init(&segment->family[1], network, true);
	segments[index] = segment;
	multicast_publish(index);
	return 0;
}

static void segment_end(uint16_t index)
{
	struct multicast_segment *segment = segments[index];

	for (unsigned v6 = 0; v6 < 2; v6++) {
		segment->family[v6].n_routers = 0;
		publish_routers(index, v6, true);
		free(segment->family[v6].router);
	}
	free(segment);
	segments[index] = NULL;
	multicast_publish(index);
}

/* What is behind a device has not been asked, nor may ever be by the querier that is there: until
 * then it gets everything, as a router would. Pods are asked when they begin to listen. */
static uint64_t router_until(const struct dp_port_spec *spec, const struct multicast_family *family)
{
	if (spec->multicast_router == DP_MULTICAST_ALWAYS)
		return MULTICAST_FOREVER;
	if (spec->multicast_router == DP_MULTICAST_AUTO && spec->kind == DP_PORT_ETH)
		return tables_now() + multicast_membership_ms(family);
	return 0;
}

int multicast_port_joined(uint16_t port)
{
	struct port_control *control = port_at(port);
	const struct network *network = network_at(control->spec.network);
	int rc = 0;

	for (unsigned n = 0; network->spec.snooping && !rc && n < control->n_links; n++) {
		uint16_t index = control->links[n].segment;
		struct multicast_segment *segment;

		rc = segments[index] ? 0 : segment_begin(index, network);
		segment = segments[index];
		if (rc)
			break;
		segment->ports++;
		control->n_snooped = (uint16_t)(n + 1);
		/* Others' switches learn whose it is: their own address would be best. */
		if (control->spec.kind == DP_PORT_ETH)
			segment->mac = control->spec.mac;
		for (unsigned v6 = 0; v6 < 2; v6++) {
			uint64_t until = router_until(&control->spec, &segment->family[v6]);

			if (until)
				multicast_router_add(index, v6, port, control->links[n].tag, until);
		}
	}
	return rc;
}

void multicast_port_gone(uint16_t port)
{
	struct port_control *control = port_at(port);

	mdb_port_gone(shared->mdb, port);
	for (unsigned n = 0; n < control->n_snooped; n++) {
		uint16_t index = control->links[n].segment;

		for (unsigned v6 = 0; v6 < 2; v6++) {
			drop_routers(index, v6, port, 0);
			if (segments[index]->family[v6].querier_port == port)
				segments[index]->family[v6].querier_port = NO_PORT;
		}
		if (!--segments[index]->ports)
			segment_end(index);
	}
	control->n_snooped = 0;
}

/* ---- what hosts say ---- */

static void refused(struct multicast_family *family, struct port_control *port, bool known, int rc)
{
	uint64_t now = tables_now(), until = now + multicast_membership_ms(family);
	bool began = now < family->overflow_until || now < family->full_until;

	port->multicast_refused++;
	/* One host's own matter; behind a device another may have used up what this one needs. */
	if (rc == -EDQUOT && port->spec.kind != DP_PORT_ETH)
		return;
	/* The member would get nothing: unknown groups, or if others are members of this one all
	 * groups, go to all until it may have been said again. */
	if (known)
		family->full_until = until;
	else
		family->overflow_until = until;
	if (began) /* guests could fill the log */
		return;
	if (rc == -EDQUOT)
		dp_log(LOG_WARNING, "port %s has all %u multicast groups of its multicastLimit",
		        port->spec.name, port->spec.multicast_limit);
	else
		dp_log(LOG_WARNING,
		        "multicast table is full (%u groups): raise limits.multicastGroups",
		        shared->mdb->max_groups);
}

/* RFC 3376 6.4.2: who asks gives others behind the port time to say that they are still there. When
 * another asks, his question is what shortens the time. */
static void leave(uint16_t index, const struct event *event, const struct mdb_key *key, bool v6)
{
	const struct multicast_family *family = &segments[index]->family[v6];

	if (event->action == MULTICAST_LEAVE && port_at(event->port)->spec.multicast_fast_leave) {
		mdb_leave(shared->mdb, key, event->port);
		return;
	}
	if (family->querying &&
	        mdb_lower(shared->mdb, key, event->port, tables_now() + multicast_last_member_ms()))
		multicast_ask_port(index, v6, event->port, &event->address);
}

void multicast_group_event(const struct event *event)
{
	struct port_control *port = port_at(event->port);
	bool v6 = event->address.family == AF_INET6, known;
	struct multicast_family *family;
	struct mdb_key key;
	uint16_t tag;
	int rc;

	if (!segments[event->segment] || !multicast_link(event->port, event->segment, &tag))
		return;
	family = &segments[event->segment]->family[v6];
	key = mdb_key_of(event->segment, &event->address);
	if (event->action != MULTICAST_JOIN) {
		leave(event->segment, event, &key, v6);
		return;
	}
	known = mdb_find(shared->mdb, &key);
	rc = mdb_join(shared->mdb, &key, event->port, tag, event->version,
	        tables_now() + multicast_membership_ms(family),
	        port->spec.multicast_limit ? port->spec.multicast_limit : UINT32_MAX);
	if (rc < 0) {
		refused(family, port, known, rc);
	} else if (rc && !known && family->full_until < family->overflow_until) {
		/* It may be one that was refused to others, who get it as an unknown one. */
		family->full_until = family->overflow_until;
	} else {
		return;
	}
	multicast_publish(event->segment);
}

/* ---- time ---- */

/* A guest that begins to listen may have members that said so to somebody else: our earlier life,
 * or nobody. False: not all could be sent, it is asked again at the next tick. */
static bool ask_guest(const struct port_control *control, uint16_t port)
{
	bool sent = true;

	for (unsigned k = 0; sent && k < control->n_snooped && k < ASKED_LINKS; k++)
		sent = multicast_ask_port(control->links[k].segment, false, port, NULL) &&
		       multicast_ask_port(control->links[k].segment, true, port, NULL);
	return sent;
}

static void ask_new_guests(void)
{
	for (uint16_t n = 0; n < PR_PORTS_MAX; n++) {
		struct port_control *control = port_at(n);
		bool listens;

		if (!control->used || !control->n_snooped)
			continue;
		listens = guest_listens(n);
		if (listens && !control->multicast_asked)
			control->multicast_asked = ask_guest(control, n);
		else if (!listens)
			control->multicast_asked = false;
	}
}

void multicast_tick(uint64_t now_ms)
{
	/* All of them every two seconds at least: a leave takes that long anyway. */
	mdb_age(shared->mdb, now_ms, RTE_MAX(AGE_SLOTS, shared->mdb->max_members / 20));
	for (uint16_t s = 1; s < PR_SEGMENTS_MAX; s++) {
		if (!segments[s])
			continue;
		drop_routers(s, false, NO_PORT, now_ms);
		drop_routers(s, true, NO_PORT, now_ms);
		multicast_query_tick(s, now_ms);
		multicast_publish(s);
	}
	ask_new_guests();
}
