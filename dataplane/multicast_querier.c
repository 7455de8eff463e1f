/* SPDX-License-Identifier: BSD-3-Clause */
/* Who asks hosts for their groups: others, or we (RFC 3376 6.6.2, RFC 3810 7.6.2). */
#include <string.h>

#include "dataplane/multicast_control.h"
#include "dataplane/multicast_message.h"

/* RFC 3376 section 8, RFC 3810 section 9. */
#define ROBUSTNESS  2
#define INTERVAL_S  125
#define RESPONSE_MS 10000
#define MARGIN_MS   500 /* for answers on their way */

#define ASKED_A_TICK 64 /* more would not fit the ring beside what else is injected */

static uint64_t scaled(uint64_t ms)
{
	return ms * multicast_second / 1000;
}

/* A second of answering at least, half of the interval at most. */
static uint32_t own_response(uint32_t interval_s)
{
	uint32_t half = interval_s * 1000 / 2;

	return half < RESPONSE_MS ? half : RESPONSE_MS;
}

static void own_values(struct multicast_family *family, const struct network *network)
{
	family->robustness = ROBUSTNESS;
	family->interval_s =
	        network->spec.query_interval ? network->spec.query_interval : INTERVAL_S;
	family->response_ms = own_response(family->interval_s);
}

void multicast_family_init(struct multicast_family *family, const struct network *network, bool v6)
{
	memset(family, 0, sizeof(*family));
	family->querier.family = v6 ? AF_INET6 : AF_INET;
	family->querier_port = NO_PORT;
	own_values(family, network);
}

bool multicast_is_asked(const struct multicast_family *family, uint64_t now_ms)
{
	return family->querying || now_ms < family->other_until;
}

/* ---- our questions ---- */

/* IPv4: 0.0.0.0, which wins no election and makes nobody a router (RFC 4541 2.1.1). */
static struct pr_ip own_source(const struct multicast_segment *segment, bool v6)
{
	if (v6)
		return pr_ip_link_local6(&segment->mac);
	return (struct pr_ip){.family = AF_INET};
}

static struct rte_mbuf *make_query(
        const struct multicast_segment *segment, bool v6, const struct pr_ip *group)
{
	const struct multicast_family *family = &segment->family[v6];
	struct multicast_query query = {
	        .mac = &segment->mac,
	        .source = own_source(segment, v6),
	        .group = group,
	        .response_ms = group ? 1000 : family->response_ms,
	        .interval_s = family->interval_s,
	        .robustness = family->robustness,
	};
	struct rte_mbuf *m = rte_pktmbuf_alloc(shared->mbufs);

	if (!m)
		return NULL; /* it is asked again */
	m->data_len = (uint16_t)multicast_fill_query(rte_pktmbuf_mtod(m, uint8_t *), &query);
	m->pkt_len = m->data_len;
	return m;
}

bool multicast_ask_port(uint16_t index, bool v6, uint16_t port, const struct pr_ip *group)
{
	const struct multicast_segment *segment = multicast_segment_at(index);
	const struct multicast_family *family = &segment->family[v6];
	struct rte_mbuf *m;
	uint16_t tag;

	/* IPv6 has no source that loses every election: a router must not hear of us while another
	 * asks. */
	if (!multicast_is_asked(family, tables_now()) || !multicast_link(port, index, &tag) ||
	        (v6 && !family->querying && port_at(port)->spec.trust))
		return true;
	m = make_query(segment, v6, group);
	if (!m)
		return false;
	*mbuf_note(m) = (struct note){
	        .stage = PR_STAGE_TX,
	        .in_port = NO_PORT,
	        .out_port = port,
	        .out_tag = tag,
	        .segment = index,
	        .generated = true,
	};
	return tables_inject(0, m);
}

static void ask_all(uint16_t index, bool v6)
{
	struct rte_mbuf *m = make_query(multicast_segment_at(index), v6, NULL);

	if (!m)
		return;
	*mbuf_note(m) = (struct note){
	        .stage = PR_STAGE_FLOOD,
	        .in_port = NO_PORT,
	        .out_port = NO_PORT,
	        .segment = index,
	        .generated = true,
	};
	tables_inject(0, m);
}

/* From when on groups go to members only: when whoever was asked must have answered. */
static void activate(struct multicast_family *family, uint32_t response_ms)
{
	if (!family->active_ms)
		family->active_ms = tables_now() + scaled(response_ms + MARGIN_MS) + 1;
}

static unsigned query_tick_family(
        uint16_t index, bool v6, const struct network *network, uint64_t now_ms)
{
	struct multicast_family *family = &multicast_segment_at(index)->family[v6];
	bool other = now_ms < family->other_until;

	if (!other && family->other_until) {
		family->other_until = 0;
		family->querier_port = NO_PORT;
		memset(family->querier.b, 0, sizeof(family->querier.b));
		own_values(family, network);
	}
	if (network->spec.querier && !other && !family->querying) {
		family->querying = true;
		family->startup = ROBUSTNESS;
		family->query_ms = now_ms;
	}
	if (!multicast_is_asked(family, now_ms))
		family->active_ms = 0;
	if (!family->querying || now_ms < family->query_ms)
		return 0;
	ask_all(index, v6);
	activate(family, family->response_ms);
	/* RFC 3376 8.6: a quarter of the interval at first. */
	family->query_ms =
	        now_ms + scaled((uint64_t)family->interval_s * 1000 / (family->startup ? 4 : 1));
	family->startup -= family->startup != 0;
	return 1;
}

void multicast_query_tick(uint16_t index, uint64_t now_ms)
{
	const struct network *network = network_at(shared->segment[index].network);
	static unsigned asked;
	static uint64_t tick;

	if (tick != now_ms)
		asked = 0;
	tick = now_ms;
	for (unsigned v6 = 0; v6 < 2 && asked < ASKED_A_TICK; v6++)
		asked += query_tick_family(index, v6, network, now_ms);
}

/* ---- others' questions ---- */

static bool is_zero(const struct pr_ip *ip)
{
	static const struct pr_ip zero;

	return !memcmp(ip->b, zero.b, sizeof(zero.b));
}

/* Whether a query's sender is, or becomes, the querier: the lowest address (RFC 3376 6.6.2).
 * Without an address there is no election: such a one counts while there is no better. */
static bool is_elected(const struct multicast_segment *segment, const struct event *event, bool v6)
{
	const struct multicast_family *family = &segment->family[v6];
	struct pr_ip own = own_source(segment, v6);

	if (family->querying)
		return v6 ? memcmp(event->source.v6, own.v6, sizeof(own.v6)) < 0
		          : !is_zero(&event->source);
	if (tables_now() >= family->other_until || is_zero(&family->querier))
		return true;
	return !is_zero(&event->source) &&
	       memcmp(event->source.b, family->querier.b, pr_ip_bytes(&event->source)) <= 0;
}

/* RFC 3376 4.1.6, 4.1.7: who is not the querier takes its values. */
static void adopt(struct multicast_family *family, const struct event *event)
{
	if (event->version < (event->source.family == AF_INET6 ? 2 : 3))
		return;
	if (event->robustness)
		family->robustness = event->robustness;
	if (event->interval_s)
		family->interval_s = event->interval_s;
	if (!event->address.family && event->response_ms)
		family->response_ms = event->response_ms;
}

/* RFC 3376 8.5. */
static uint64_t other_present_ms(const struct multicast_family *family)
{
	return (uint64_t)family->robustness * family->interval_s * multicast_second +
	       scaled(family->response_ms) / 2;
}

static void take_query(uint16_t index, const struct event *event, uint16_t tag, bool v6)
{
	struct multicast_segment *segment = multicast_segment_at(index);
	struct multicast_family *family = &segment->family[v6];
	bool elected = is_elected(segment, event, v6);
	struct mdb_key key;

	if (elected) {
		family->querier = event->source;
		family->querier_port = event->port;
		adopt(family, event);
		family->other_until = tables_now() + other_present_ms(family);
		family->querying = false;
		activate(family, event->response_ms);
	}
	/* Also one without an address, unless a better one asks: it must hear of members, or what
	 * is behind it gets nothing from them and they nothing from there. */
	if ((elected || family->querying || !is_zero(&event->source)) &&
	        port_at(event->port)->spec.multicast_router != DP_MULTICAST_NEVER)
		multicast_router_add(
		        index, v6, event->port, tag, tables_now() + other_present_ms(family));
	if (!event->address.family || event->keep)
		return;
	key = mdb_key_of(index, &event->address);
	mdb_lower(shared->mdb, &key, MDB_NO_PORT,
	        tables_now() + scaled((uint64_t)event->response_ms * ROBUSTNESS));
}

void multicast_query_event(const struct event *event)
{
	bool v6 = event->source.family == AF_INET6;
	const struct multicast_segment *segment = multicast_segment_at(event->segment);
	uint16_t tag;

	if (!segment || !multicast_link(event->port, event->segment, &tag))
		return;
	if (!event->action)
		take_query(event->segment, event, tag, v6);
	else if (port_at(event->port)->spec.multicast_router != DP_MULTICAST_NEVER)
		multicast_router_add(event->segment, v6, event->port, tag,
		        tables_now() + other_present_ms(&segment->family[v6]));
	multicast_publish(event->segment);
}
