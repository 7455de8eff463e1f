/* SPDX-License-Identifier: BSD-3-Clause */
/* Snooping, a frame at a time: the stages and the tables thread behind them. No packet leaves the
 * process. Frames of guests that are longer than a head have their rest where it lies. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include <rte_cycles.h>
#include <rte_malloc.h>
#include <rte_ring_elem.h>

#include "dataplane/dataplane.h"
#include "dataplane/multicast_control.h"
#include "dataplane/multicast_message.h"
#include "dataplane/stage/ip6.h"
#include "dataplane/stage/stage.h"

/* A to C: pods that are checked; ROUTER, OTHER: trusted ones; NEVER: trusted, but no router. Q is
 * in a network where we ask ourselves. */
enum { A, B, C, ROUTER, OTHER, NEVER, Q, PORTS };

#define BIT(port) (1u << (port))
#define ALL       (BIT(A) | BIT(B) | BIT(C) | BIT(ROUTER) | BIT(OTHER) | BIT(NEVER))
#define FRAME_MAX 1600

struct frame {
	uint8_t bytes[FRAME_MAX];
	unsigned length;
};

static struct worker *worker;
static char directory[] = "/tmp/podrail-multicast-XXXXXX";
static const struct device_ops *real_ops;
static unsigned went; /* bits of the ports that the frame went to */
static _Atomic unsigned asked[PORTS], asked_for_group[PORTS]; /* queries of ours */
static uint16_t network, quiet_network;

/* ---- the world ---- */

static unsigned no_rx(struct device *device, uint16_t queue, struct batch *batch, unsigned n)
{
	(void)device;
	(void)queue;
	(void)batch;
	(void)n;
	return 0;
}

static uint64_t keep_tx(
        struct device *device, struct worker *by, struct batch *batch, uint64_t mask)
{
	(void)device;
	BATCH_FOREACH (i, mask) {
		const uint8_t *head = batch->head[i];
		bool general = head[0] == 0x33 ? head[14 + 48 + 8] == 0 : head[14 + 24 + 4] == 0;

		if (by == worker)
			went |= BIT(batch->out_port[i]);
		else
			atomic_fetch_add(general ? &asked[batch->out_port[i]]
			                         : &asked_for_group[batch->out_port[i]],
			        1);
	}
	return mask;
}

static const struct device_ops keeping = {.rx = no_rx, .tx = keep_tx};

static void log_nothing(int priority, const char *message)
{
	(void)priority;
	(void)message;
}

static void add_port(unsigned n, uint16_t to)
{
	struct dp_port_spec spec = {
	        .index = DP_INDEX_ANY,
	        .kind = DP_PORT_VHOST_USER,
	        .network = to,
	        .mtu = 1500,
	        .mac = {{2, 0, 0, 0, 0, (uint8_t)(2 + n)}},
	        .trust = n == ROUTER || n == OTHER || n == NEVER,
	        .multicast_router = n == NEVER ? DP_MULTICAST_NEVER : DP_MULTICAST_AUTO,
	        .multicast_fast_leave = n == C,
	        .multicast_limit = n == C ? 4 : 0,
	        .server = true,
	        .socket_gid = -1,
	        .queues = 1,
	};
	struct dp_error error = {0};
	struct pr_mac mac;
	uint16_t index;

	snprintf(spec.name, sizeof(spec.name), "p%u", n);
	snprintf(spec.socket, sizeof(spec.socket), "%s/%u", directory, n);
	assert_int_equal(dp_port_add(&spec, &index, &mac, &error), 0);
	assert_int_equal(index, n);
	real_ops = shared->port[n].device->ops;
	shared->port[n].device->ops = &keeping;
	atomic_store(&shared->port[n].device->guest, 1);
}

static int set_second(void *arg)
{
	multicast_second = *(const uint32_t *)arg;
	return 0;
}

static void second_is(uint32_t ms)
{
	tables_call(set_second, &ms);
}

static int start(void **state)
{
	struct dp_config config = {
	        .n_workers = 1,
	        .idle = DP_IDLE_SLEEP,
	        .no_huge = true,
	        .mbufs = 1024,
	        .max_routes = 64,
	        .max_routes6 = 64,
	        .max_fib_nodes = 256,
	        .max_fdb = 1024,
	        .max_neighbours = 256,
	        .max_multicast = 16,
	        .max_groups = 16,
	        .max_reassemblies = 64,
	        .max_reassembly_bytes = 1u << 20,
	        .log = log_nothing,
	};
	struct dp_network_spec spec = {
	        .index = DP_INDEX_ANY,
	        .mtu = 1500,
	        .mac_ageing = 300,
	        .snooping = true,
	        .query_interval = 3,
	        .link_local = 1u << 0xe | 1u << 1,
	        .gateway_mac = {{2, 0x70, 0x72, 0, 0, 1}},
	        .name = "n",
	};
	struct dp_error error;

	(void)state;
	if (!mkdtemp(directory))
		return -1;
	snprintf(config.run_dir, sizeof(config.run_dir), "%s", directory);
	if (dp_start(&config, &error) || dp_network_add(&spec, &network, &error)) {
		fprintf(stderr, "%s\n", error.message);
		return -1;
	}
	for (unsigned n = 0; n < Q; n++)
		add_port(n, network);
	snprintf(spec.name, sizeof(spec.name), "q");
	spec.querier = true;
	if (dp_network_add(&spec, &quiet_network, &error))
		return -1;
	worker = rte_zmalloc("test", sizeof(*worker), RTE_CACHE_LINE_SIZE);
	worker->events = rte_ring_create_elem("test-events", sizeof(struct event), EVENT_RING,
	        SOCKET_ID_ANY, RING_F_SP_ENQ | RING_F_SC_DEQ);
	return worker->events ? 0 : -1;
}

static int stop(void **state)
{
	(void)state;
	for (unsigned n = 0; n < PORTS; n++)
		if (shared->port[n].device && shared->port[n].device->ops == &keeping)
			shared->port[n].device->ops = real_ops;
	rte_ring_free(worker->events);
	rte_free(worker);
	dp_stop();
	rmdir(directory);
	return 0;
}

/* ---- frames ---- */

static struct frame frame4(unsigned from, const char *to, uint8_t protocol, unsigned payload)
{
	struct frame f = {.length = 34 + payload};
	struct pr_ip group;
	uint16_t sum;

	assert_int_equal(pr_ip_parse(to, &group), 0);
	memcpy(f.bytes, (const uint8_t[]){1, 0, 0x5e, group.v4[1] & 0x7f, group.v4[2], group.v4[3]},
	        6);
	memcpy(f.bytes + 6, (const uint8_t[]){2, 0, 0, 0, 0, (uint8_t)(2 + from)}, 6);
	store_be16(f.bytes + 12, RTE_ETHER_TYPE_IPV4);
	f.bytes[14] = 0x45;
	store_be16(f.bytes + 16, (uint16_t)(20 + payload));
	f.bytes[22] = 1;
	f.bytes[23] = protocol;
	memcpy(f.bytes + 26, (const uint8_t[]){198, 18, 0, (uint8_t)(2 + from)}, 4);
	memcpy(f.bytes + 30, group.v4, 4);
	sum = (uint16_t)~bytes_sum(f.bytes + 14, 20);
	memcpy(f.bytes + 24, &sum, 2);
	return f;
}

static struct frame data4(unsigned from, const char *to)
{
	return frame4(from, to, IPPROTO_UDP, 600);
}

static void finish_igmp(struct frame *f)
{
	uint16_t sum;

	memset(f->bytes + 36, 0, 2);
	sum = (uint16_t)~bytes_sum(f->bytes + 34, f->length - 34);
	memcpy(f->bytes + 36, &sum, 2);
}

/* A report (0x16), leave (0x17) or, with to = 224.0.0.1 or the group, query (0x11). */
static struct frame igmp(
        unsigned from, const char *to, uint8_t type, uint8_t code, const char *group)
{
	struct frame f = frame4(from, to, IPPROTO_IGMP, 8);
	struct pr_ip ip;

	assert_int_equal(pr_ip_parse(group, &ip), 0);
	f.bytes[34] = type;
	f.bytes[35] = code;
	memcpy(f.bytes + 38, ip.v4, 4);
	finish_igmp(&f);
	return f;
}

static struct frame report4(unsigned from, const char *group)
{
	return igmp(from, group, 0x16, 0, group);
}

static struct frame query4(unsigned from, const char *source, const char *group)
{
	bool general = !strcmp(group, "0.0.0.0");
	struct frame f = igmp(from, general ? "224.0.0.1" : group, 0x11, 1, group);
	struct pr_ip ip;
	uint16_t sum;

	assert_int_equal(pr_ip_parse(source, &ip), 0);
	memcpy(f.bytes + 26, ip.v4, 4);
	memset(f.bytes + 24, 0, 2);
	sum = (uint16_t)~bytes_sum(f.bytes + 14, 20);
	memcpy(f.bytes + 24, &sum, 2);
	return f;
}

static struct frame frame6(unsigned from, const char *to, unsigned payload)
{
	struct frame f = {.length = 54 + payload};
	struct pr_ip group;

	assert_int_equal(pr_ip_parse(to, &group), 0);
	ip6_multicast_mac(f.bytes, group.v6);
	memcpy(f.bytes + 6, (const uint8_t[]){2, 0, 0, 0, 0, (uint8_t)(2 + from)}, 6);
	store_be16(f.bytes + 12, RTE_ETHER_TYPE_IPV6);
	ip6_fill(f.bytes + 14, (uint16_t)payload, 1);
	memcpy(f.bytes + 22, (const uint8_t[]){0xfe, 0x80}, 2);
	f.bytes[37] = (uint8_t)(2 + from);
	memcpy(f.bytes + 38, group.v6, 16);
	return f;
}

static struct frame data6(unsigned from, const char *to)
{
	struct frame f = frame6(from, to, 600);

	f.bytes[20] = IPPROTO_UDP;
	return f;
}

/* MLDv1: query 130, report 131, done 132. */
static struct frame mld(unsigned from, const char *to, uint8_t type, const char *group)
{
	struct frame f = frame6(from, to, 8 + 24);
	struct pr_ip ip;

	assert_int_equal(pr_ip_parse(group, &ip), 0);
	f.bytes[20] = IPPROTO_HOPOPTS;
	memcpy(f.bytes + 54, (const uint8_t[]){IPPROTO_ICMPV6, 0, 5, 2, 0, 0, 1, 0}, 8);
	f.bytes[62] = type;
	f.bytes[67] = 100;
	memcpy(f.bytes + 70, ip.v6, 16);
	icmp6_finish(f.bytes + 14, f.bytes + 62, 24);
	return f;
}

/* ---- a frame in ---- */

static int deliver_one(void *arg)
{
	const struct event *event = arg;

	if (event->type == EVENT_GROUP)
		multicast_group_event(event);
	else if (event->type == EVENT_QUERY)
		multicast_query_event(event);
	return 0;
}

static void deliver(void)
{
	struct event event;

	while (rte_ring_sc_dequeue_elem(worker->events, &event, sizeof(event)) == 0)
		tables_call(deliver_one, &event);
}

/* Sends it in; returns why it died, PR_DROP_COUNT if it did not. */
static unsigned run_quietly(unsigned from, const struct frame *f)
{
	struct batch *batch = &worker->batch;
	struct counters *c = &worker->counters;
	uint64_t before[PR_DROP_COUNT];
	uint8_t *memory = malloc(f->length);
	unsigned reason = PR_DROP_COUNT;
	uint32_t i;

	memcpy(before, c->drop_reasons, sizeof(before));
	went = 0;
	worker->now = rte_rdtsc();
	memcpy(memory, f->bytes, f->length);
	i = batch_add_empty(batch);
	batch->length[i] = f->length;
	batch->head_length[i] = (uint16_t)RTE_MIN(f->length, (unsigned)PR_HEAD);
	memcpy(batch->head[i], memory, batch->head_length[i]);
	batch->rest[i] = memory + batch->head_length[i];
	batch->rest_length[i] = f->length - batch->head_length[i];
	batch->in_device[i] = shared->port[from].device->index;
	batch->in_port[i] = NO_PORT;
	batch_next(batch, i, PR_STAGE_PARSE);
	c->in++;
	pipeline_run(worker, batch);
	free(memory);
	assert_int_equal(c->in + c->generated + c->replicated, c->out + c->drops + c->consumed);
	for (unsigned r = 0; r < PR_DROP_COUNT; r++)
		if (c->drop_reasons[r] != before[r])
			reason = r;
	return reason;
}

static unsigned run(unsigned from, struct frame f)
{
	unsigned reason = run_quietly(from, &f);

	deliver();
	return reason;
}

#define to_ports(from, f, ports)                                                                   \
	do {                                                                                       \
		assert_int_equal(run((from), (f)), PR_DROP_COUNT);                                 \
		assert_int_equal(went, (ports));                                                   \
	} while (0)
#define dies(from, f, why)                                                                         \
	do {                                                                                       \
		assert_int_equal(run((from), (f)), (why));                                         \
		assert_int_equal(went, 0);                                                         \
	} while (0)
/* Generous: nothing but a fault takes so long. */
#define eventually(condition)                                                                      \
	do {                                                                                       \
		unsigned tries_ = 0;                                                               \
		while (!(condition)) {                                                             \
			assert_true(tries_++ < 6000);                                              \
			usleep(10000);                                                             \
		}                                                                                  \
	} while (0)

static bool is_active(uint16_t of, bool v6)
{
	struct dp_multicast_segment *list;
	bool active = false;
	size_t n;

	list = dp_multicast_segments(&n);
	for (size_t k = 0; k < n; k++)
		if (list[k].network == of && list[k].v6 == v6)
			active = list[k].active;
	free(list);
	return active;
}

static struct dp_multicast_segment status(uint16_t of, bool v6)
{
	struct dp_multicast_segment *list, found = {0};
	size_t n;

	list = dp_multicast_segments(&n);
	for (size_t k = 0; k < n; k++)
		if (list[k].network == of && list[k].v6 == v6)
			found = list[k];
	free(list);
	return found;
}

/* ---- tests, in this order ---- */

/* Nobody asks: everything as without snooping, and a pod can not become the querier. */
static void test_no_querier(void **state)
{
	(void)state;
	to_ports(A, data4(A, "239.0.0.1"), ALL & ~BIT(A));
	to_ports(A, data6(A, "ff05::1"), ALL & ~BIT(A));
	to_ports(A, report4(A, "239.0.0.1"), ALL & ~BIT(A));
	to_ports(B, data4(B, "239.0.0.1"), ALL & ~BIT(B));
	dies(A, query4(A, "198.18.0.2", "0.0.0.0"), PR_DROP_MULTICAST_QUERIER);
	dies(A, query4(A, "0.0.0.0", "0.0.0.0"), PR_DROP_MULTICAST_QUERIER);
	dies(A, mld(A, "ff02::1", 130, "::"), PR_DROP_MULTICAST_QUERIER);
	dies(NEVER, query4(NEVER, "198.18.0.7", "0.0.0.0"), PR_DROP_MULTICAST_QUERIER);
	assert_false(status(network, false).other);
	assert_int_equal(status(network, false).n_routers, 0);
}

static void test_groups(void **state)
{
	(void)state;
	to_ports(ROUTER, query4(ROUTER, "198.18.0.5", "0.0.0.0"), ALL & ~BIT(ROUTER));
	/* Hosts have not had time to answer. */
	to_ports(A, data4(A, "239.0.0.9"), ALL & ~BIT(A));
	to_ports(A, report4(A, "239.0.0.1"), ALL & ~BIT(A));
	eventually(is_active(network, false));
	assert_false(is_active(network, true));
	to_ports(A, report4(A, "239.0.0.1"), BIT(ROUTER));
	to_ports(B, report4(B, "239.0.0.1"), BIT(ROUTER));
	to_ports(C, data4(C, "239.0.0.1"), BIT(A) | BIT(B) | BIT(ROUTER));
	to_ports(ROUTER, data4(ROUTER, "239.0.0.1"), BIT(A) | BIT(B));
	to_ports(A, data4(A, "239.0.0.1"), BIT(B) | BIT(ROUTER));
	to_ports(A, data4(A, "239.0.0.2"), BIT(ROUTER));
	dies(ROUTER, data4(ROUTER, "239.0.0.2"), PR_DROP_NO_MEMBER);
	/* The same MAC, another group. */
	to_ports(C, data4(C, "238.128.0.1"), BIT(ROUTER));
	/* Link-local ones are everybody's, and IPv6 has no querier. */
	to_ports(A, data4(A, "224.0.0.251"), ALL & ~BIT(A));
	to_ports(A, data6(A, "ff05::1"), ALL & ~BIT(A));
	assert_int_equal(shared->mdb->n_groups, 1);
}

static void test_groups6(void **state)
{
	(void)state;
	to_ports(ROUTER, mld(ROUTER, "ff02::1", 130, "::"), ALL & ~BIT(ROUTER));
	eventually(is_active(network, true));
	to_ports(B, mld(B, "ff05::1", 131, "ff05::1"), BIT(ROUTER));
	to_ports(A, data6(A, "ff05::1"), BIT(B) | BIT(ROUTER));
	to_ports(A, data6(A, "ff15::1"), BIT(ROUTER));
	to_ports(A, data6(A, "ff02::1:ff00:7"), ALL & ~BIT(A));
	to_ports(A, data6(A, "ff12::1"), ALL & ~BIT(A));
	/* A second node with that group. */
	to_ports(C, mld(C, "ff05::1", 131, "ff05::1"), BIT(ROUTER));
	to_ports(C, mld(C, "ff02::2", 132, "ff05::1"), BIT(ROUTER)); /* fast leave */
	to_ports(A, data6(A, "ff05::1"), BIT(B) | BIT(ROUTER));
}

/* Frames that are no IP multicast, or none that can be read, go to all. */
static void test_others(void **state)
{
	struct frame f = data4(A, "239.0.0.1");

	(void)state;
	f.bytes[30] = 198; /* a unicast address behind a group's MAC */
	to_ports(A, f, ALL & ~BIT(A));
	f = data4(A, "239.0.0.1");
	store_be16(f.bytes + 12, 0x88b5);
	to_ports(A, f, ALL & ~BIT(A));
	f.length = 30;
	store_be16(f.bytes + 12, RTE_ETHER_TYPE_IPV4);
	to_ports(A, f, ALL & ~BIT(A));
	memset(f.bytes, 0xff, 6);
	to_ports(A, f, ALL & ~BIT(A));
	/* An IGMP type that is not for us (RFC 4541 2.1.1). */
	to_ports(A, igmp(A, "224.0.0.4", 0x13, 0, "0.0.0.0"), ALL & ~BIT(A));
}

static struct frame to_all(struct frame f)
{
	memset(f.bytes, 0xff, 6);
	return f;
}

/* Hosts believe what comes by broadcast too: such messages die, data goes to all. */
static void test_broadcast(void **state)
{
	uint64_t events = shared->mdb->n_members;
	struct frame pim = frame4(ROUTER, "224.0.0.13", IPPROTO_PIM, 8);

	(void)state;
	dies(A, to_all(query4(A, "0.0.0.1", "0.0.0.0")), PR_DROP_MULTICAST_INVALID);
	dies(A, to_all(query4(A, "0.0.0.1", "239.0.0.1")), PR_DROP_MULTICAST_INVALID);
	dies(A, to_all(report4(A, "239.0.0.99")), PR_DROP_MULTICAST_INVALID);
	dies(A, to_all(igmp(A, "224.0.0.2", 0x17, 0, "239.0.0.1")), PR_DROP_MULTICAST_INVALID);
	dies(A, to_all(igmp(A, "224.0.0.4", 0x13, 0, "0.0.0.0")), PR_DROP_MULTICAST_INVALID);
	dies(A, to_all(mld(A, "ff02::1", 130, "::")), PR_DROP_MULTICAST_INVALID);
	dies(A, to_all(mld(A, "ff05::99", 131, "ff05::99")), PR_DROP_MULTICAST_INVALID);
	/* Nor from who may ask. */
	dies(ROUTER, to_all(query4(ROUTER, "198.18.0.5", "0.0.0.0")), PR_DROP_MULTICAST_INVALID);
	pim.bytes[34] = 0x20;
	finish_igmp(&pim);
	dies(ROUTER, to_all(pim), PR_DROP_MULTICAST_INVALID);
	to_ports(A, to_all(data4(A, "255.255.255.255")), ALL & ~BIT(A));
	to_ports(A, to_all(data4(A, "239.0.0.1")), ALL & ~BIT(A));
	to_ports(A, to_all(data6(A, "ff05::1")), ALL & ~BIT(A));
	assert_int_equal(shared->mdb->n_members, events);
	/* A group's address that only begins like it. */
	pim = to_all(data4(A, "239.0.0.2"));
	pim.bytes[5] = 1;
	to_ports(A, pim, BIT(ROUTER));
}

static void test_malformed(void **state)
{
	struct frame f = report4(A, "239.0.0.77");

	(void)state;
	f.bytes[41] ^= 1;
	dies(A, f, PR_DROP_MULTICAST_INVALID);
	f = mld(A, "ff05::77", 131, "ff05::77");
	f.bytes[21] = 2;
	dies(A, f, PR_DROP_MULTICAST_INVALID);
	to_ports(B, data4(B, "239.0.0.77"), BIT(ROUTER));
}

/* A report that is longer than a head: 10 records with sources. */
static void test_long_report(void **state)
{
	struct frame f = frame4(NEVER, "224.0.0.22", IPPROTO_IGMP, 8 + 10 * 28);
	uint8_t *igmp3 = f.bytes + 34;

	(void)state;
	memset(igmp3, 0, 8 + 10 * 28);
	igmp3[0] = 0x22;
	igmp3[7] = 10;
	for (unsigned n = 0; n < 10; n++) {
		uint8_t *record = igmp3 + 8 + 28 * n;

		record[0] = 4;
		record[3] = 5; /* sources */
		memcpy(record + 4, (const uint8_t[]){239, 1, 0, (uint8_t)n}, 4);
	}
	finish_igmp(&f);
	to_ports(NEVER, f, BIT(ROUTER));
	to_ports(A, data4(A, "239.1.0.0"), BIT(ROUTER) | BIT(NEVER));
	to_ports(A, data4(A, "239.1.0.9"), BIT(ROUTER) | BIT(NEVER));
	assert_int_equal(shared->mdb->port_groups[NEVER], 10);
	for (unsigned n = 0; n < 10; n++)
		igmp3[8 + 28 * n] = 3; /* with sources it stays a member */
	finish_igmp(&f);
	to_ports(NEVER, f, BIT(ROUTER));
	assert_int_equal(shared->mdb->port_groups[NEVER], 10);
	f.bytes[200] ^= 1; /* in the rest */
	dies(NEVER, f, PR_DROP_MULTICAST_INVALID);
}

/* Somebody with a lower address asks now; both stay routers. One without address is no router. */
static void test_election(void **state)
{
	struct dp_multicast_segment seen;

	(void)state;
	to_ports(OTHER, query4(OTHER, "0.0.0.0", "0.0.0.0"), ALL & ~BIT(OTHER));
	assert_int_equal(status(network, false).querier_port, ROUTER);
	assert_int_equal(status(network, false).n_routers, 1);
	to_ports(OTHER, query4(OTHER, "198.18.0.9", "0.0.0.0"), ALL & ~BIT(OTHER));
	assert_int_equal(status(network, false).querier_port, ROUTER);
	to_ports(OTHER, query4(OTHER, "198.18.0.1", "0.0.0.0"), ALL & ~BIT(OTHER));
	seen = status(network, false);
	assert_int_equal(seen.querier_port, OTHER);
	assert_int_equal(seen.n_routers, 2);
	to_ports(A, report4(A, "239.0.0.1"), BIT(ROUTER) | BIT(OTHER));
	to_ports(C, data4(C, "239.0.0.1"), BIT(A) | BIT(B) | BIT(ROUTER) | BIT(OTHER));
	/* A member behind a router's port gets one copy. */
	to_ports(OTHER, report4(OTHER, "239.0.0.1"), BIT(ROUTER));
	to_ports(C, data4(C, "239.0.0.1"), BIT(A) | BIT(B) | BIT(ROUTER) | BIT(OTHER));
}

/* When another asks, a leave changes nothing until he asks for the group. */
static void test_leave(void **state)
{
	(void)state;
	to_ports(A, igmp(A, "224.0.0.2", 0x17, 0, "239.0.0.1"), BIT(ROUTER) | BIT(OTHER));
	to_ports(C, data4(C, "239.0.0.1"), BIT(A) | BIT(B) | BIT(ROUTER) | BIT(OTHER));
	to_ports(OTHER, query4(OTHER, "198.18.0.1", "239.0.0.1"), ALL & ~BIT(OTHER));
	to_ports(B, report4(B, "239.0.0.1"), BIT(ROUTER) | BIT(OTHER));
	eventually(run(C, data4(C, "239.0.0.1")) == PR_DROP_COUNT &&
	           went == (BIT(B) | BIT(ROUTER) | BIT(OTHER)));
	/* One host behind the port: at once. */
	to_ports(C, report4(C, "239.0.0.3"), BIT(ROUTER) | BIT(OTHER));
	to_ports(A, data4(A, "239.0.0.3"), BIT(C) | BIT(ROUTER) | BIT(OTHER));
	to_ports(C, igmp(C, "224.0.0.2", 0x17, 0, "239.0.0.3"), BIT(ROUTER) | BIT(OTHER));
	to_ports(A, data4(A, "239.0.0.3"), BIT(ROUTER) | BIT(OTHER));
}

/* As if each membership that the table has room for were there. */
static int join_without_room(void *arg)
{
	uint32_t kept = shared->mdb->free_member;

	shared->mdb->free_member = MDB_NONE;
	multicast_group_event(arg);
	shared->mdb->free_member = kept;
	return 0;
}

static uint16_t segment_of(uint16_t of)
{
	uint16_t s = 1;

	while (!shared->segment[s].used || shared->segment[s].network != of)
		s++;
	return s;
}

/* A new member of a known group is not forgotten, nor is who was refused before others joined. */
static void check_fail_open(void)
{
	struct event event = {.type = EVENT_GROUP,
	        .port = NEVER,
	        .segment = segment_of(network),
	        .action = MULTICAST_JOIN};

	to_ports(A, data6(A, "ff05::1"), BIT(B) | BIT(ROUTER));
	assert_false(status(network, true).overflow);
	assert_int_equal(pr_ip_parse("ff05::1", &event.address), 0);
	tables_call(join_without_room, &event);
	assert_true(status(network, true).overflow);
	to_ports(A, data6(A, "ff05::1"), ALL & ~BIT(A));
	to_ports(A, data6(A, "ff05::9"), ALL & ~BIT(A));
	to_ports(A, mld(A, "ff05::1", 131, "ff05::1"), BIT(ROUTER));
	to_ports(B, data4(B, "239.3.0.3"), BIT(C) | BIT(ROUTER) | BIT(OTHER));
	run(C, igmp(C, "224.0.0.2", 0x17, 0, "239.3.0.0"));
	eventually((run(A, report4(A, "239.4.0.15")), shared->mdb->n_groups == 16));
	to_ports(B, data4(B, "239.4.0.15"), ALL & ~BIT(B));
}

/* A port's limit is its own matter; a full table lets unknown groups go to all. */
static void test_limits(void **state)
{
	struct dp_port_state port;
	char group[32];

	(void)state;
	run(OTHER, query4(OTHER, "198.18.0.1", "0.0.0.0"));
	run(ROUTER, query4(ROUTER, "198.18.0.5", "0.0.0.0"));
	run(ROUTER, mld(ROUTER, "ff02::1", 130, "::"));
	run(B, mld(B, "ff05::1", 131, "ff05::1"));
	for (unsigned n = 0; n < 6; n++) {
		snprintf(group, sizeof(group), "239.3.0.%u", n % 5);
		run(C, report4(C, group));
	}
	assert_int_equal(dp_port_state(C, &port), 0);
	assert_int_equal(port.multicast_groups, 4);
	assert_int_equal(port.multicast_refused, 1);
	assert_false(status(network, false).overflow);
	to_ports(A, data4(A, "239.3.0.3"), BIT(C) | BIT(ROUTER) | BIT(OTHER));
	to_ports(A, data4(A, "239.3.0.4"), BIT(ROUTER) | BIT(OTHER));
	for (unsigned n = 0; n < 16; n++) {
		snprintf(group, sizeof(group), "239.4.0.%u", n);
		run(A, report4(A, group));
	}
	assert_int_equal(shared->mdb->n_groups, 16);
	assert_true(status(network, false).overflow);
	to_ports(B, data4(B, "239.4.0.15"), ALL & ~BIT(B));
	to_ports(B, data4(B, "239.3.0.3"), BIT(C) | BIT(ROUTER) | BIT(OTHER));
	to_ports(B, data6(B, "ff05::9"),
	        BIT(ROUTER)); /* the other family has room, for all we know */
	check_fail_open();
}

/* More than a port may say in a second is neither told nor sent on, and counted. */
static void test_report_flood(void **state)
{
	struct frame f = report4(B, "239.0.0.1");
	uint64_t before = worker->counters.multicast_lost;
	unsigned passed = 0;

	(void)state;
	for (unsigned n = 0; n < 4000; n++) {
		unsigned reason = run_quietly(B, &f);

		assert_int_equal(went == 0, reason == PR_DROP_FLOOD_LIMIT);
		assert_true(reason == PR_DROP_COUNT || reason == PR_DROP_FLOOD_LIMIT);
		passed += reason == PR_DROP_COUNT;
	}
	assert_true(worker->counters.multicast_lost > before + 1000);
	assert_true(passed < 3000);
	assert_true(rte_ring_count(worker->events) <= EVENT_RING / 2);
	deliver();
	/* The others' reports are heard. */
	before = worker->counters.multicast_lost;
	run(A, report4(A, "239.0.0.1"));
	assert_int_equal(worker->counters.multicast_lost, before);
}

/* Memberships, routers and queriers that are not heard of any more: flooded as before. */
static void test_expiry(void **state)
{
	(void)state;
	second_is(20);
	to_ports(OTHER, query4(OTHER, "198.18.0.1", "0.0.0.0"), ALL & ~BIT(OTHER));
	run(A, report4(A, "239.0.0.1"));
	second_is(1000);
	run(ROUTER, mld(ROUTER, "ff02::1", 130, "::"));
	/* What was said before at 1000 ms a second holds for a quarter of a minute at most. */
	second_is(20);
	eventually(!is_active(network, false));
	to_ports(C, data4(C, "239.0.0.1"), ALL & ~BIT(C));
	eventually(status(network, false).n_routers == 0);
	eventually(!status(network, false).overflow);
	eventually(!is_active(network, true));
	eventually(shared->mdb->n_members == 0);
	second_is(1000);
}

/* A port that goes takes its memberships and its routers along. */
static void test_port_gone(void **state)
{
	struct dp_error error = {0};

	(void)state;
	to_ports(OTHER, query4(OTHER, "198.18.0.1", "0.0.0.0"), ALL & ~BIT(OTHER));
	to_ports(ROUTER, query4(ROUTER, "198.18.0.5", "0.0.0.0"), ALL & ~BIT(ROUTER));
	run(OTHER, report4(OTHER, "239.0.0.1"));
	run(A, report4(A, "239.0.0.1"));
	eventually(is_active(network, false));
	shared->port[OTHER].device->ops = real_ops;
	assert_int_equal(dp_port_del(OTHER, &error), 0);
	assert_int_equal(status(network, false).n_routers, 1);
	assert_int_equal(status(network, false).querier_port, DP_INDEX_ANY);
	to_ports(C, data4(C, "239.0.0.1"), BIT(A) | BIT(ROUTER));
	assert_int_equal(shared->mdb->n_members, 1);
}

static int set_kind(void *arg)
{
	port_at(C)->spec.kind = *(const enum dp_port_kind *)arg;
	return 0;
}

/* A port at its limit that leads to many hosts: those that come too late get what they want. */
static void test_limit_of_device(void **state)
{
	enum dp_port_kind kind = DP_PORT_ETH;
	char group[32];

	(void)state;
	run(ROUTER, query4(ROUTER, "198.18.0.5", "0.0.0.0"));
	for (unsigned n = 0; n < 5; n++) {
		snprintf(group, sizeof(group), "239.3.0.%u", n);
		run(C, report4(C, group));
	}
	assert_int_equal(shared->mdb->port_groups[C], 4);
	assert_false(status(network, false).overflow);
	tables_call(set_kind, &kind);
	run(C, report4(C, "239.3.0.4"));
	kind = DP_PORT_VHOST_USER;
	tables_call(set_kind, &kind);
	assert_true(status(network, false).overflow);
	to_ports(A, data4(A, "239.3.0.4"), ALL & ~(BIT(A) | BIT(OTHER)));
	to_ports(A, data4(A, "239.3.0.3"), BIT(C) | BIT(ROUTER));
}

/* Whoever sends LLDP here is heard; PAUSE and all else is not, whatever the network says. */
static void test_link_local_frames(void **state)
{
	struct frame f = data4(A, "239.0.0.1");

	(void)state;
	memcpy(f.bytes, (const uint8_t[]){1, 0x80, 0xc2, 0, 0, 0}, 6);
	store_be16(f.bytes + 12, 0x88cc);
	for (unsigned n = 0; n < 16; n++) {
		f.bytes[5] = (uint8_t)n;
		if (n == 0xe)
			to_ports(A, f, ALL & ~(BIT(A) | BIT(OTHER)));
		else
			dies(A, f, PR_DROP_LINK_LOCAL_FRAME);
	}
	f.bytes[5] = 0x10; /* none of them */
	to_ports(A, f, ALL & ~(BIT(A) | BIT(OTHER)));
}

/* We ask, until somebody better does. */
static void test_own_querier(void **state)
{
	unsigned before;

	(void)state;
	second_is(100);
	/* Port numbers come again: OTHER is free. */
	add_port(OTHER, quiet_network);
	add_port(Q, quiet_network);
	eventually(atomic_load(&asked[Q]) >= 2 && atomic_load(&asked[OTHER]) >= 2);
	eventually(is_active(quiet_network, false) && is_active(quiet_network, true));
	assert_true(status(quiet_network, false).querying);
	/* We are the router for all we know: reports end here. */
	assert_int_equal(run(Q, report4(Q, "239.0.0.1")), PR_DROP_COUNT);
	assert_int_equal(went, 0);
	to_ports(OTHER, data4(OTHER, "239.0.0.1"), BIT(Q));
	dies(OTHER, data4(OTHER, "239.0.0.2"), PR_DROP_NO_MEMBER);
	/* A leave is asked about, and who does not answer is gone. */
	before = atomic_load(&asked_for_group[Q]);
	run(Q, igmp(Q, "224.0.0.2", 0x17, 0, "239.0.0.1"));
	eventually(atomic_load(&asked_for_group[Q]) > before);
	assert_int_equal(atomic_load(&asked_for_group[OTHER]), 0);
	eventually(run(OTHER, data4(OTHER, "239.0.0.1")) == PR_DROP_NO_MEMBER);
	/* The election. */
	to_ports(OTHER, query4(OTHER, "0.0.0.0", "0.0.0.0"), BIT(Q));
	assert_true(status(quiet_network, false).querying);
	assert_int_equal(status(quiet_network, false).n_routers, 1);
	to_ports(OTHER, query4(OTHER, "198.18.0.200", "0.0.0.0"), BIT(Q));
	assert_false(status(quiet_network, false).querying);
	assert_int_equal(status(quiet_network, false).querier_port, OTHER);
	/* fe80::5 is lower than ours, which is made of a MAC. */
	to_ports(OTHER, mld(OTHER, "ff02::1", 130, "::"), BIT(Q));
	assert_false(status(quiet_network, true).querying);
	second_is(10);
	to_ports(OTHER, query4(OTHER, "198.18.0.200", "0.0.0.0"), BIT(Q));
	eventually(status(quiet_network, false).querying);
	second_is(1000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(test_no_querier),
	        cmocka_unit_test(test_groups),
	        cmocka_unit_test(test_groups6),
	        cmocka_unit_test(test_others),
	        cmocka_unit_test(test_broadcast),
	        cmocka_unit_test(test_malformed),
	        cmocka_unit_test(test_long_report),
	        cmocka_unit_test(test_election),
	        cmocka_unit_test(test_leave),
	        cmocka_unit_test(test_limits),
	        cmocka_unit_test(test_report_flood),
	        cmocka_unit_test(test_expiry),
	        cmocka_unit_test(test_port_gone),
	        cmocka_unit_test(test_limit_of_device),
	        cmocka_unit_test(test_link_local_frames),
	        cmocka_unit_test(test_own_querier),
	};

	return cmocka_run_group_tests(tests, start, stop);
}
