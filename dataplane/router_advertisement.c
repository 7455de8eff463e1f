/* SPDX-License-Identifier: BSD-3-Clause */
#include "dataplane/router_advertisement.h"

#include <stdlib.h>

#include <rte_random.h>

#include "dataplane/network_control.h"
#include "dataplane/port/vhost_user/vhost.h"
#include "dataplane/stage/ip6.h"
#include "dataplane/tables.h"

/* RFC 4861 sections 6.2.1 and 10. */
#define INTERVAL_MS     600000 /* MaxRtrAdvInterval */
#define INTERVAL_MIN_MS (INTERVAL_MS / 3)
#define LIFETIME_S      (3 * INTERVAL_MS / 1000)
#define INITIAL         3     /* MAX_INITIAL_RTR_ADVERTISEMENTS */
#define INITIAL_MS      16000 /* MAX_INITIAL_RTR_ADVERT_INTERVAL */

#define SENT_A_TICK   64 /* more would not fit the ring beside what else is injected */
#define HOP_LIMIT     64
#define RA_BYTES      16 /* without options */
#define MTU_BYTES     8
#define PREFIX_BYTES  32
#define PREFIX_ONLINK 0x80
#define FOREVER       UINT32_MAX

struct advertised *advertised_make(const struct dp_network_spec *spec)
{
	struct advertised *advertised = calloc(1, sizeof(*advertised));

	for (unsigned n = 0; advertised && n < spec->n_subnets; n++) {
		if (spec->subnets[n].addr.family != AF_INET6)
			continue;
		memcpy(advertised->prefix[advertised->n].address, spec->subnets[n].addr.v6, 16);
		advertised->prefix[advertised->n++].len = spec->subnets[n].len;
	}
	return advertised;
}

static unsigned fill_options(
        uint8_t *at, const struct port *port, const struct advertised *advertised)
{
	uint8_t *begin = at;

	nd_link_option(at, ND_SOURCE_LINK, port->gateway_mac.b);
	at += ND_LINK_BYTES;
	memset(at, 0, MTU_BYTES);
	at[0] = ND_MTU;
	at[1] = 1;
	store_be32(at + 4, port->mtu);
	at += MTU_BYTES;
	for (unsigned n = 0; n < advertised->n; n++, at += PREFIX_BYTES) {
		memset(at, 0, PREFIX_BYTES);
		at[0] = ND_PREFIX;
		at[1] = PREFIX_BYTES / 8;
		at[2] = advertised->prefix[n].len;
		at[3] = PREFIX_ONLINK;
		store_be32(at + 4, FOREVER);
		store_be32(at + 8, FOREVER);
		memcpy(at + 16, advertised->prefix[n].address, 16);
	}
	return (unsigned)(at - begin);
}

uint16_t ra_fill(uint8_t *frame, const struct port *port, const struct advertised *advertised,
        const uint8_t *to, const uint8_t *mac)
{
	static const uint8_t all_nodes[16] = {0xff, 2, [15] = 1};
	uint8_t *ip6 = frame + L3_OFFSET, *icmp = ip6 + IP6_BYTES;
	unsigned length;

	memset(icmp, 0, RA_BYTES);
	icmp[0] = ICMP6_ROUTER_ADVERTISE;
	icmp[4] = HOP_LIMIT;
	store_be16(icmp + 6, LIFETIME_S);
	length = RA_BYTES + fill_options(icmp + RA_BYTES, port, advertised);
	ip6_fill(ip6, (uint16_t)length, ND_HOP_LIMIT);
	memcpy(ip6 + 8, port->link_local, 16);
	memcpy(ip6 + 24, to ? to : all_nodes, 16);
	icmp6_finish(ip6, icmp, length);
	if (to)
		memcpy(frame, mac, 6);
	else
		ip6_multicast_mac(frame, all_nodes);
	memcpy(frame + 6, &port->gateway_mac, 6);
	store_be16(frame + 12, RTE_ETHER_TYPE_IPV6);
	return (uint16_t)(L3_OFFSET + IP6_BYTES + length);
}

static void send_unsolicited(uint16_t index, const struct advertised *advertised)
{
	struct rte_mbuf *m = rte_pktmbuf_alloc(shared->mbufs);

	if (!m || rte_pktmbuf_tailroom(m) < RA_FRAME_MAX) {
		rte_pktmbuf_free(m);
		return; /* there will be another, and every pod may ask */
	}
	rte_pktmbuf_append(m, ra_fill(rte_pktmbuf_mtod(m, uint8_t *), &shared->port[index],
	                              advertised, NULL, NULL));
	*mbuf_note(m) = (struct note){
	        .stage = PR_STAGE_TX,
	        .in_port = NO_PORT,
	        .out_port = index,
	        .out_tag = shared->port[index].vlan,
	        .generated = true,
	};
	tables_inject(0, m);
}

/* What the port's network advertises to it; NULL: nothing. */
static const struct advertised *advertised_to(const struct port_control *control)
{
	const struct segment *segment;

	if (!control->used || control->spec.kind != DP_PORT_VHOST_USER)
		return NULL;
	segment = &shared->segment[network_at(control->spec.network)->routed_segment];
	return segment->routed ? segment->advertised : NULL;
}

bool guest_listens(uint16_t index)
{
	uint64_t guest =
	        atomic_load_explicit(&shared->port[index].device->guest, memory_order_relaxed);

	return GUEST_QUEUES(guest, GUEST_RX_SHIFT) != 0;
}

/* RFC 4861 section 6.2.4: the first few follow one another quickly, then at random, so that many
 * pods are not told at once. */
static uint64_t interval_after(unsigned sent)
{
	if (sent < INITIAL)
		return INITIAL_MS;
	return INTERVAL_MIN_MS + rte_rand_max(INTERVAL_MS - INTERVAL_MIN_MS + 1);
}

void ra_tick(uint64_t now_ms)
{
	unsigned left = SENT_A_TICK;

	for (uint16_t n = 0; left && n < PR_PORTS_MAX; n++) {
		struct port_control *control = port_at(n);
		const struct advertised *advertised = advertised_to(control);

		if (!advertised)
			continue;
		if (!guest_listens(n)) {
			control->advertised = 0;
			control->advertise_ms = 0;
			continue;
		}
		if (now_ms < control->advertise_ms)
			continue;
		send_unsolicited(n, advertised);
		control->advertised += control->advertised < INITIAL;
		control->advertise_ms = now_ms + interval_after(control->advertised);
		left--;
	}
}
