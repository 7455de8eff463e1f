/* SPDX-License-Identifier: BSD-3-Clause */
/* The IPv6 stages, a frame at a time: what goes in, what comes out at which port, and why the rest
 * dies. No packet leaves the process; each frame comes from a guest, head copied, rest where it
 * lies. */
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
#include "dataplane/stage/ip6.h"
#include "dataplane/stage/stage.h"

#define PORTS     4
#define FRAME_MAX 4096

enum { A, B, UPLINK, BRIDGED };

struct frame {
	uint8_t bytes[FRAME_MAX];
	unsigned length;
	unsigned port; /* where it came out */
};

static struct worker *worker;
static char directory[] = "/tmp/podrail-stages6-XXXXXX";
static const struct device_ops *real_ops;
static struct frame out[8];
static unsigned n_out;
static struct event told[8];
static unsigned n_told;
static struct fib6 *fib;
static uint16_t csum_start = 54, csum_offset = 2; /* of what is left to us */

static const uint8_t gateway_mac[6] = {0x02, 0x70, 0x72, 0, 0, 1};
static const uint8_t mac_of[PORTS][6] = {
        {2, 0, 0, 0, 0, 2}, {2, 0, 0, 0, 0, 3}, {2, 0, 0, 0, 9, 9}, {2, 0, 0, 0, 7, 2}};

/* ---- routes, by hand: their next hops are finished ---- */

static const uint8_t *address(const char *text)
{
	static struct pr_ip ip[8];
	static unsigned n;
	struct pr_ip *one = &ip[n++ % 8];

	assert_int_equal(pr_ip_parse(text, one), 0);
	return one->v6;
}

static struct {
	struct pr_prefix prefix;
	struct next_hop hop;
} routes[8];
static unsigned n_routes;

static void route(const char *text, uint8_t type, uint16_t port, uint16_t mtu)
{
	struct pr_prefix *prefix = &routes[n_routes].prefix;
	struct next_hop *hop = &routes[n_routes].hop;
	uint32_t index = 60000 + n_routes++;

	*hop = (struct next_hop){.type = type, .port = port, .mtu = mtu, .index = index};
	if (port < PORTS)
		memcpy(hop->rewrite, mac_of[port], 6);
	memcpy(hop->rewrite + 6, gateway_mac, 6);
	store_be16(hop->rewrite + 12, RTE_ETHER_TYPE_IPV6);
	atomic_store(&shared->next_hop[index], hop);
	assert_int_equal(pr_prefix_parse(text, prefix), 0);
	assert_int_equal(fib6_add(fib, prefix->addr.v6, prefix->len, index, 7), 0);
}

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
	(void)by;
	BATCH_FOREACH (i, mask) {
		struct cursor rest = batch_rest(batch, i);
		struct frame *frame = &out[n_out++ % 8];

		frame->length = batch->length[i];
		frame->port = batch->out_port[i];
		assert_true(frame->length <= FRAME_MAX);
		memcpy(frame->bytes, batch->head[i], batch->head_length[i]);
		cursor_copy(&rest, frame->bytes + batch->head_length[i],
		        frame->length - batch->head_length[i]);
	}
	return mask;
}

static const struct device_ops keeping = {.rx = no_rx, .tx = keep_tx};

static void log_nothing(int priority, const char *message)
{
	(void)priority;
	(void)message;
}

static void add_port(unsigned n, uint16_t network)
{
	struct dp_port_spec spec = {
	        .index = DP_INDEX_ANY,
	        .kind = DP_PORT_VHOST_USER,
	        .network = network,
	        .mtu = 1500,
	        .trust = n == UPLINK,
	        .server = true,
	        .socket_gid = -1,
	        .queues = 1,
	        .n_addresses = 2,
	};
	struct dp_error error = {0};
	struct pr_mac mac;
	uint16_t index;
	char text[32];

	memcpy(&spec.mac, mac_of[n], 6);
	snprintf(spec.name, sizeof(spec.name), "p%u", n);
	snprintf(spec.socket, sizeof(spec.socket), "%s/%u", directory, n);
	snprintf(text, sizeof(text), "2001:db8:1::%u/64", n + 2);
	spec.addresses[0] = (struct pr_prefix){pr_ip4_from_host(0xc6120002 + n), 24};
	assert_int_equal(pr_prefix_parse(text, &spec.addresses[1]), 0);
	assert_int_equal(dp_port_add(&spec, &index, &mac, &error), 0);
	assert_int_equal(index, n);
	real_ops = shared->port[n].device->ops;
	shared->port[n].device->ops = &keeping;
	atomic_store(&shared->port[n].device->guest, 1);
	if (n == UPLINK)
		atomic_fetch_or(&shared->port[n].flags, PORT_UPLINK);
}

static int start(void **state)
{
	struct dp_config config = {
	        .n_workers = 1,
	        .idle = DP_IDLE_SLEEP,
	        .no_huge = true,
	        .mbufs = 1024,
	        .max_routes = 1024,
	        .max_routes6 = 1024,
	        .max_fib_nodes = 256,
	        .max_fdb = 1024,
	        .max_neighbours = 256,
	        .max_groups = 16,
	        .log = log_nothing,
	};
	struct dp_network_spec network = {
	        .index = DP_INDEX_ANY,
	        .routed = true,
	        .mtu = 1500,
	        .mac_ageing = 300,
	        .proxy_arp = true,
	        .name = "n",
	        .n_subnets = 2,
	        .n_gateways = 2,
	};
	struct dp_error error;
	uint16_t index = 0, segment;

	(void)state;
	if (!mkdtemp(directory))
		return -1;
	snprintf(config.run_dir, sizeof(config.run_dir), "%s", directory);
	memcpy(&network.gateway_mac, gateway_mac, 6);
	pr_prefix_parse("198.18.0.0/24", &network.subnets[0]);
	pr_ip_parse("198.18.0.1", &network.gateways[0]);
	pr_prefix_parse("2001:db8:1::/64", &network.subnets[1]);
	pr_ip_parse("2001:db8:1::1", &network.gateways[1]);
	if (dp_start(&config, &error) || dp_network_add(&network, &index, &error)) {
		fprintf(stderr, "%s\n", error.message);
		return -1;
	}
	for (unsigned n = 0; n < BRIDGED; n++)
		add_port(n, index);
	for (segment = 1; !shared->segment[segment].used; segment++)
		;
	fib = shared->segment[segment].fib6;
	route("2001:db8:9::1/128", NEXT_HOP_LOCAL, UPLINK, 0);
	route("2001:db8:2::/64", NEXT_HOP_FORWARD, B, 1280);
	route("2001:db8:3::/64", NEXT_HOP_BLACKHOLE, NO_PORT, 0);
	route("2001:db8:4::/64", NEXT_HOP_UNREACHABLE, NO_PORT, 0);
	route("2001:db8:5::/64", NEXT_HOP_FAILED, UPLINK, 1500);
	route("2001:db8:6::/64", NEXT_HOP_GLEAN, UPLINK, 1500);
	network = (struct dp_network_spec){
	        .index = DP_INDEX_ANY, .mtu = 1500, .mac_ageing = 300, .name = "l2"};
	if (dp_network_add(&network, &index, &error))
		return -1;
	add_port(BRIDGED, index);
	worker = rte_zmalloc("test", sizeof(*worker), RTE_CACHE_LINE_SIZE);
	worker->events = rte_ring_create_elem("test-events", sizeof(struct event), 64,
	        SOCKET_ID_ANY, RING_F_SP_ENQ | RING_F_SC_DEQ);
	return worker->events ? 0 : -1;
}

static int stop(void **state)
{
	(void)state;
	for (unsigned n = 0; n < n_routes; n++) {
		fib6_del(fib, routes[n].prefix.addr.v6, routes[n].prefix.len);
		atomic_store(&shared->next_hop[routes[n].hop.index], NULL);
	}
	for (unsigned n = 0; n < PORTS; n++)
		shared->port[n].device->ops = real_ops;
	rte_ring_free(worker->events);
	rte_free(worker);
	dp_stop();
	rmdir(directory);
	return 0;
}

/* ---- a frame in ---- */

static struct frame packet(unsigned from, const char *source, const char *to, uint8_t next,
        const void *payload, unsigned length)
{
	struct frame f = {.length = 54 + length};

	memcpy(f.bytes, gateway_mac, 6);
	memcpy(f.bytes + 6, mac_of[from], 6);
	store_be16(f.bytes + 12, RTE_ETHER_TYPE_IPV6);
	f.bytes[14] = 0x60;
	store_be16(f.bytes + 18, (uint16_t)length);
	f.bytes[20] = next;
	f.bytes[21] = 64;
	memcpy(f.bytes + 22, address(source), 16);
	memcpy(f.bytes + 38, address(to), 16);
	if (payload)
		memcpy(f.bytes + 54, payload, length);
	else
		memset(f.bytes + 54, 0x5a, length);
	return f;
}

static struct frame udp(unsigned from, const char *source, const char *to, unsigned length)
{
	return packet(from, source, to, IPPROTO_UDP, NULL, length);
}

static void fix(struct frame *f)
{
	uint16_t sum;

	memset(f->bytes + 56, 0, 2);
	sum = (uint16_t)~ip6_sum(f->bytes + 14, IPPROTO_ICMPV6, f->bytes + 54, f->length - 54);
	memcpy(f->bytes + 56, &sum, 2);
}

static struct frame icmp(
        unsigned from, const char *source, const char *to, uint8_t type, unsigned length)
{
	struct frame f = packet(from, source, to, IPPROTO_ICMPV6, NULL, length);

	f.bytes[54] = type;
	f.bytes[55] = 0;
	fix(&f);
	return f;
}

/* A neighbour discovery message with target and an option (0: none). */
static struct frame nd(unsigned from, const char *source, const char *to, uint8_t type,
        const char *target, uint8_t option)
{
	struct frame f = icmp(from, source, to, type, option ? 32 : 24);

	f.bytes[21] = 255;
	if (f.bytes[38] == 0xff) {
		memcpy(f.bytes, (const uint8_t[]){0x33, 0x33}, 2);
		memcpy(f.bytes + 2, f.bytes + 50, 4);
	}
	memset(f.bytes + 58, 0, 4);
	memcpy(f.bytes + 62, address(target), 16);
	if (option) {
		f.bytes[78] = option;
		f.bytes[79] = 1;
		memcpy(f.bytes + 80, mac_of[from], 6);
	}
	fix(&f);
	return f;
}

static uint64_t drops_of(unsigned reason)
{
	return worker->counters.drop_reasons[reason];
}

/* Sends it in; returns why it died, PR_DROP_COUNT if it did not. */
static unsigned run(unsigned from, const struct frame *f, uint8_t offload)
{
	struct batch *batch = &worker->batch;
	struct counters *c = &worker->counters;
	uint64_t before[PR_DROP_COUNT];
	uint8_t *memory = malloc(f->length + !f->length);
	unsigned reason = PR_DROP_COUNT;
	uint32_t i;

	memcpy(before, c->drop_reasons, sizeof(before));
	n_out = n_told = 0;
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
	if (offload) {
		batch->offload[i] = offload;
		batch->offloads = true;
		batch->csum_start[i] = csum_start;
		batch->csum_offset[i] = offload & OFFLOAD_TSO ? 16 : csum_offset;
		batch->header_length[i] = 74;
		batch->gso_size[i] = 1426;
	}
	batch_next(batch, i, PR_STAGE_PARSE);
	c->in++;
	pipeline_run(worker, batch);
	free(memory);
	while (rte_ring_sc_dequeue_elem(worker->events, &told[n_told % 8], sizeof(*told)) == 0)
		if (told[n_told++ % 8].type == EVENT_PUNT)
			rte_pktmbuf_free(told[(n_told - 1) % 8].packet);
	assert_int_equal(c->in + c->generated + c->replicated + c->fragments,
	        c->out + c->drops + c->consumed + c->held);
	assert_int_equal(rte_mempool_in_use_count(shared->mbufs), 0);
	for (unsigned r = 0; r < PR_DROP_COUNT; r++)
		if (drops_of(r) != before[r])
			reason = r;
	return reason;
}

static void dies(unsigned from, struct frame f, unsigned reason)
{
	assert_string_equal(pr_drop_name(run(from, &f, 0)), pr_drop_name(reason));
	assert_int_equal(n_out, 0);
}

/* Comes out one hop later, otherwise as it was. */
static void passes(unsigned from, struct frame f, unsigned to, uint8_t offload)
{
	assert_string_equal(pr_drop_name(run(from, &f, offload)), "?");
	assert_int_equal(n_out, 1);
	assert_int_equal(out[0].port, to);
	memcpy(f.bytes, mac_of[to], 6);
	memcpy(f.bytes + 6, gateway_mac, 6);
	f.bytes[21]--;
	f.length = 54 + load_be16(f.bytes + 18);
	assert_int_equal(out[0].length, f.length);
	if (!offload)
		assert_memory_equal(out[0].bytes, f.bytes, f.length);
}

/* Dies of this and is told so. */
static void error(unsigned from, struct frame f, unsigned reason, uint8_t type, uint8_t code,
        uint32_t value, const char *source)
{
	const uint8_t *ip = out[0].bytes + 14;
	unsigned quote = RTE_MIN(f.length - 14, 1232u);

	assert_string_equal(pr_drop_name(run(from, &f, 0)), pr_drop_name(reason));
	assert_int_equal(n_out, 1);
	assert_int_equal(out[0].port, from);
	assert_int_equal(out[0].length, 62 + quote);
	assert_memory_equal(out[0].bytes, mac_of[from], 6);
	assert_memory_equal(out[0].bytes + 6, gateway_mac, 6);
	assert_memory_equal(ip + 8, address(source), 16);
	assert_memory_equal(ip + 24, f.bytes + 22, 16);
	assert_int_equal(ip[7], 64);
	assert_int_equal(load_be16(ip + 4), 8 + quote);
	assert_int_equal(ip6_sum(ip, IPPROTO_ICMPV6, ip + 40, 8 + quote), 0xffff);
	assert_int_equal(ip[40], type);
	assert_int_equal(ip[41], code);
	assert_int_equal(load_be32(ip + 44), value);
	assert_memory_equal(ip + 48, f.bytes + 14, quote);
}

#define PA "2001:db8:1::2"
#define PB "2001:db8:1::3"
#define GW "2001:db8:1::1"
#define PC "2001:db8:1::5" /* of the bridged port */

static void test_forward(void **state)
{
	struct frame f = udp(A, PA, PB, 20);

	(void)state;
	passes(A, f, B, 0);
	passes(A, udp(A, PA, PB, 1460), B, 0);
	passes(A, udp(A, PA, PB, 0), B, 0);
	f.length += 9; /* padding */
	passes(A, f, B, 0);
	passes(UPLINK, udp(UPLINK, "2001:db8:99::1", PA, 300), A, 0);
	passes(A, packet(A, PA, PB, IPPROTO_HOPOPTS, NULL, 40), B, 0);
	passes(A, packet(A, PA, PB, IPPROTO_FRAGMENT, NULL, 40), B, 0);
	passes(A, packet(A, PA, PB, 253, NULL, 40), B, 0);
	f = udp(A, PA, PB, 20);
	f.bytes[21] = 2;
	passes(A, f, B, 0);
	f = packet(A, PA, PB, IPPROTO_TCP, NULL, 4000);
	f.bytes[66] = 0x50;
	run(A, &f, OFFLOAD_CSUM | OFFLOAD_TSO6);
	assert_int_equal(n_out, 3);
	for (unsigned n = 0; n < 3; n++) {
		assert_int_equal(out[n].bytes[21], 63);
		assert_int_equal(out[n].length, n < 2 ? 1500 : 54 + 20 + 4000 - 20 - 2 * 1426);
		assert_int_equal(load_be16(out[n].bytes + 18), out[n].length - 54);
	}
}

static void test_headers(void **state)
{
	struct frame good = udp(A, PA, PB, 20), f = good;

	(void)state;
	f.bytes[14] = 0x40;
	dies(A, f, PR_DROP_IP_HEADER);
	f = good;
	f.bytes[19]++;
	dies(A, f, PR_DROP_TOO_SHORT);
	f = good;
	f.length = 53;
	dies(A, f, PR_DROP_TOO_SHORT);
	f = packet(A, PA, PB, IPPROTO_HOPOPTS, NULL, 0);
	dies(A, f, PR_DROP_IP_HEADER);
	dies(A, udp(A, "::", PB, 20), PR_DROP_IP_MARTIAN);
	dies(A, udp(A, PA, "::1", 20), PR_DROP_IP_MARTIAN);
	dies(A, udp(A, PA, "ff0e::1", 20), PR_DROP_IP_MARTIAN);
	dies(A, udp(A, PA, "::ffff:198.18.0.2", 20), PR_DROP_IP_MARTIAN);
	dies(UPLINK, udp(UPLINK, "::1", PA, 20), PR_DROP_IP_MARTIAN);
	dies(UPLINK, udp(UPLINK, "ff02::1", PA, 20), PR_DROP_IP_MARTIAN);
	dies(A, udp(A, PB, PB, 20), PR_DROP_SPOOFED_IP);
	dies(A, udp(A, PA, "2001:db8:3::1", 20), PR_DROP_BLACKHOLE);
}

static void test_errors(void **state)
{
	struct frame f = udp(A, PA, PB, 20);

	(void)state;
	f.bytes[21] = 1;
	error(A, f, PR_DROP_TTL_EXPIRED, 3, 0, 0, GW);
	f = udp(A, PA, PB, 1440);
	f.bytes[21] = 0;
	error(A, f, PR_DROP_TTL_EXPIRED, 3, 0, 0, GW);
	error(A, udp(A, PA, "2001:db8:99::1", 20), PR_DROP_NO_ROUTE, 1, 0, 0, GW);
	error(UPLINK, udp(UPLINK, PA, "2001:db8:99::1", 20), PR_DROP_NO_ROUTE, 1, 0, 0, GW);
	error(A, udp(A, PA, "2001:db8:4::1", 20), PR_DROP_UNREACHABLE, 1, 3, 0, GW);
	error(A, udp(A, PA, "2001:db8:5::1", 20), PR_DROP_NEIGHBOUR_FAILED, 1, 3, 0, GW);
	error(A, udp(A, "fe80::2", PB, 20), PR_DROP_BEYOND_SCOPE, 1, 2, 0, "fe80::1");
	error(A, udp(A, "fe80::2", "fe80::3", 20), PR_DROP_UNREACHABLE, 1, 3, 0, "fe80::1");
	error(A, udp(A, PA, "2001:db8:2::1", 1241), PR_DROP_MTU_EXCEEDED, 2, 0, 1280, GW);
	passes(A, udp(A, PA, "2001:db8:2::1", 1240), B, 0);
	error(A, udp(A, PA, GW, 20), PR_DROP_LOCAL_UNHANDLED, 1, 4, 0, GW);
	error(A, udp(A, "fe80::2", "fe80::1", 20), PR_DROP_LOCAL_UNHANDLED, 1, 4, 0, "fe80::1");
	error(A, packet(A, PA, GW, 253, NULL, 20), PR_DROP_LOCAL_UNHANDLED, 4, 1, 6, GW);
	/* Hop limit 0 to ourselves is no fault. */
	f = udp(A, PA, GW, 20);
	f.bytes[21] = 0;
	error(A, f, PR_DROP_LOCAL_UNHANDLED, 1, 4, 0, GW);
}

static void test_no_errors(void **state)
{
	uint8_t fragment[16] = {IPPROTO_UDP, 0, 0, 9};

	(void)state;
	for (unsigned type = 0; type < 256; type++) {
		struct frame f = icmp(UPLINK, PA, "2001:db8:99::1", (uint8_t)type, 40);

		if (icmp6_is_nd((uint8_t)type))
			continue;
		if (type < 128)
			dies(UPLINK, f, PR_DROP_NO_ROUTE);
		else if (type % 16 == 0)
			error(UPLINK, f, PR_DROP_NO_ROUTE, 1, 0, 0, GW);
	}
	dies(A, packet(A, PA, "2001:db8:99::1", IPPROTO_FRAGMENT, fragment, 16), PR_DROP_NO_ROUTE);
	fragment[3] = 1;
	error(A, packet(A, PA, "2001:db8:99::1", IPPROTO_FRAGMENT, fragment, 16), PR_DROP_NO_ROUTE,
	        1, 0, 0, GW);
	dies(A, packet(A, PA, "2001:db8:99::1", IPPROTO_DSTOPTS, NULL, 100), PR_DROP_NO_ROUTE);
	dies(A, packet(A, PA, GW, IPPROTO_NONE, NULL, 20), PR_DROP_LOCAL_UNHANDLED);
	dies(A, icmp(A, PA, GW, ICMP6_ECHO_ANSWER, 20), PR_DROP_LOCAL_UNHANDLED);
}

static void test_extensions(void **state)
{
	static const uint8_t skipped[8] = {IPPROTO_UDP, 0, 0x1e, 4}, /* unknown, to be skipped */
	        silent[8] = {IPPROTO_UDP, 0, 0x5e, 4}, loud[8] = {IPPROTO_UDP, 0, 0x9e, 4},
	                     loud2[8] = {IPPROTO_UDP, 0, 0xde, 4},
	                     again[16] = {IPPROTO_HOPOPTS, 0, 1, 4, 0, 0, 0, 0, IPPROTO_UDP, 0, 1,
	                             4},
	                     routing[24] = {IPPROTO_UDP, 2, 0, 1},
	                     done[24] = {IPPROTO_UDP, 2, 0, 0};

	(void)state;
	error(A, packet(A, PA, GW, IPPROTO_DSTOPTS, skipped, 8), PR_DROP_LOCAL_UNHANDLED, 1, 4, 0,
	        GW);
	dies(A, packet(A, PA, GW, IPPROTO_DSTOPTS, silent, 8), PR_DROP_LOCAL_UNHANDLED);
	error(A, packet(A, PA, GW, IPPROTO_DSTOPTS, loud, 8), PR_DROP_LOCAL_UNHANDLED, 4, 2, 42,
	        GW);
	error(A, packet(A, PA, GW, IPPROTO_HOPOPTS, loud2, 8), PR_DROP_LOCAL_UNHANDLED, 4, 2, 42,
	        GW);
	error(A, packet(A, PA, GW, IPPROTO_HOPOPTS, again, 16), PR_DROP_LOCAL_UNHANDLED, 4, 1, 40,
	        GW);
	error(A, packet(A, PA, GW, IPPROTO_ROUTING, routing, 24), PR_DROP_LOCAL_UNHANDLED, 4, 0, 42,
	        GW);
	error(A, packet(A, PA, GW, IPPROTO_ROUTING, done, 24), PR_DROP_LOCAL_UNHANDLED, 1, 4, 0,
	        GW);
}

static void replies(struct frame f, const char *from, unsigned extensions, uint8_t offload)
{
	const uint8_t *ip = out[0].bytes + 14;
	unsigned length = f.length - 54 - extensions;

	if (offload) {
		static const uint8_t zeros[FRAME_MAX];
		uint16_t sum = ip6_sum(f.bytes + 14, IPPROTO_ICMPV6, zeros, length);

		memcpy(f.bytes + 56, &sum, 2);
	}
	assert_string_equal(pr_drop_name(run(A, &f, offload)), "?");
	assert_int_equal(n_out, 1);
	assert_int_equal(out[0].port, A);
	assert_memory_equal(out[0].bytes, mac_of[A], 6);
	assert_memory_equal(out[0].bytes + 6, gateway_mac, 6);
	assert_int_equal(out[0].length, f.length - extensions);
	assert_memory_equal(ip + 8, address(from), 16);
	assert_memory_equal(ip + 24, f.bytes + 22, 16);
	assert_int_equal(ip[40], ICMP6_ECHO_ANSWER);
	assert_int_equal(ip6_sum(ip, IPPROTO_ICMPV6, ip + 40, length), 0xffff);
	assert_memory_equal(ip + 44, f.bytes + 58 + extensions, length - 4);
}

static void test_echo(void **state)
{
	struct frame f, whole = icmp(A, PA, GW, ICMP6_ECHO, 30);
	uint8_t extended[8 + 30] = {IPPROTO_ICMPV6, 0, 1, 4};

	(void)state;
	replies(whole, GW, 0, 0);
	for (unsigned n = 8; n < 1440; n += 51)
		replies(icmp(A, PA, GW, ICMP6_ECHO, n), GW, 0, 0);
	replies(icmp(A, "fe80::2", "fe80::1", ICMP6_ECHO, 64), "fe80::1", 0, 0);
	replies(icmp(A, "fe80::2", GW, ICMP6_ECHO, 64), GW, 0, 0);
	f = icmp(A, "fe80::2", "ff02::1", ICMP6_ECHO, 64);
	memcpy(f.bytes, "\x33\x33\0\0\0\1", 6);
	replies(f, "fe80::1", 0, 0);
	f = icmp(A, "fe80::2", "ff02::9", ICMP6_ECHO, 64);
	memcpy(f.bytes, "\x33\x33\0\0\0\x09", 6);
	dies(A, f, PR_DROP_MAC_NOT_OURS);
	memcpy(extended + 8, whole.bytes + 54, 30);
	replies(packet(A, PA, GW, IPPROTO_DSTOPTS, extended, 38), GW, 8, 0);
	memset(extended + 2, 0, 2);
	replies(packet(A, PA, GW, IPPROTO_FRAGMENT, extended, 38), GW, 8, 0);
	extended[3] = 1;
	dies(A, packet(A, PA, GW, IPPROTO_FRAGMENT, extended, 38), PR_DROP_LOCAL_UNHANDLED);
	/* The checksum is left to us: the field holds the pseudo-header's sum. */
	replies(whole, GW, 0, OFFLOAD_CSUM);
	replies(icmp(A, PA, GW, ICMP6_ECHO, 999), GW, 0, OFFLOAD_CSUM);
	/* A wrong checksum stays wrong. */
	f = whole;
	f.bytes[70] ^= 1;
	run(A, &f, 0);
	assert_int_not_equal(
	        ip6_sum(out[0].bytes + 14, IPPROTO_ICMPV6, out[0].bytes + 54, 30), 0xffff);
}

static void answered(unsigned from, struct frame f, const char *source, uint8_t flags)
{
	const uint8_t *ip = out[0].bytes + 14;
	bool probe = ip6_is_unspecified(f.bytes + 22);

	assert_string_equal(pr_drop_name(run(from, &f, 0)), "?");
	assert_int_equal(n_out, 1);
	assert_int_equal(out[0].port, from);
	assert_int_equal(out[0].length, 86);
	assert_memory_equal(
	        out[0].bytes, probe ? (const uint8_t *)"\x33\x33\0\0\0\1" : mac_of[from], 6);
	assert_memory_equal(ip + 8, address(source), 16);
	assert_memory_equal(ip + 24, probe ? address("ff02::1") : f.bytes + 22, 16);
	assert_int_equal(ip[7], 255);
	assert_int_equal(ip6_sum(ip, IPPROTO_ICMPV6, ip + 40, 32), 0xffff);
	assert_int_equal(ip[40], 136);
	assert_int_equal(ip[44], flags);
	assert_memory_equal(ip + 48, f.bytes + 62, 16);
	assert_memory_equal(ip + 64, "\2\1", 2);
	assert_memory_equal(ip + 66, gateway_mac, 6);
}

static void test_solicitations(void **state)
{
	(void)state;
	answered(A, nd(A, PA, "ff02::1:ff00:1", 135, GW, 1), GW, 0xe0);
	assert_int_equal(n_told, 1);
	assert_int_equal(told[0].type, EVENT_NEIGHBOUR);
	assert_memory_equal(told[0].address.v6, address(PA), 16);
	assert_memory_equal(&told[0].mac, mac_of[A], 6);
	assert_false(told[0].solicited);
	assert_false(told[0].keep);
	answered(A, nd(A, PA, GW, 135, GW, 0), GW, 0xe0);
	assert_int_equal(n_told, 0);
	answered(A, nd(A, "fe80::2", "ff02::1:ff00:1", 135, "fe80::1", 1), "fe80::1", 0xe0);
	answered(A, nd(A, "::", "ff02::1:ff00:1", 135, GW, 0), GW, 0xa0);
	answered(A, nd(A, "::", "ff02::1:ff00:1", 135, "fe80::1", 0), "fe80::1", 0xa0);
	answered(A, nd(A, PA, "ff02::1:ff00:3", 135, PB, 1), "fe80::1", 0xc0);
	answered(A, nd(A, PA, "ff02::1:ff00:7", 135, "2001:db8:6::7", 1), "fe80::1", 0xc0);
	answered(A, nd(A, PA, "ff02::1:ff00:1", 135, "2001:db8:9::1", 1), "2001:db8:9::1", 0xe0);
	dies(A, nd(A, PA, "ff02::1:ff00:2", 135, PA, 1), PR_DROP_ND_NOT_FOR_US);
	dies(A, nd(A, "::", "ff02::1:ff00:2", 135, PA, 0), PR_DROP_ND_NOT_FOR_US);
	answered(A, nd(A, "::", "ff02::1:ff00:3", 135, PB, 0), "fe80::1", 0x80);
	dies(A, nd(A, PA, "ff02::1:ff00:9", 135, "2001:db8:99::9", 1), PR_DROP_ND_NOT_FOR_US);
	dies(A, nd(A, PA, "ff02::1:ff00:9", 135, "2001:db8:3::9", 1), PR_DROP_ND_NOT_FOR_US);
	dies(A, nd(A, PA, "ff02::1:ff00:9", 135, "2001:db8:4::9", 1), PR_DROP_ND_NOT_FOR_US);
	dies(A, nd(A, PA, "ff02::1:ff00:9", 135, "fe80::9", 1), PR_DROP_ND_NOT_FOR_US);
	dies(A, nd(A, PA, "ff02::1:ff00:1", 135, "::1", 1), PR_DROP_ND_NOT_FOR_US);
	/* On an uplink we are a host. */
	answered(UPLINK, nd(UPLINK, "fe80::9", "ff02::1:ff00:1", 135, "2001:db8:9::1", 1),
	        "2001:db8:9::1", 0xe0);
	answered(UPLINK, nd(UPLINK, "fe80::9", "ff02::1:ff00:1", 135, "fe80::1", 1), "fe80::1",
	        0xe0);
	dies(UPLINK, nd(UPLINK, "fe80::9", "ff02::1:ff00:1", 135, GW, 1), PR_DROP_ND_NOT_FOR_US);
	dies(UPLINK, nd(UPLINK, "fe80::9", "ff02::1:ff00:2", 135, PA, 1), PR_DROP_ND_NOT_FOR_US);
}

static void test_advertisements(void **state)
{
	struct frame f = nd(UPLINK, "fe80::9", "2001:db8:9::1", 136, "2001:db8:6::7", 2);

	(void)state;
	f.bytes[58] = 0xe0;
	fix(&f);
	assert_string_equal(pr_drop_name(run(UPLINK, &f, 0)), "?");
	assert_int_equal(n_told, 1);
	assert_memory_equal(told[0].address.v6, address("2001:db8:6::7"), 16);
	assert_memory_equal(&told[0].mac, mac_of[UPLINK], 6);
	assert_true(told[0].solicited && !told[0].keep);
	f = nd(UPLINK, "fe80::9", "2001:db8:9::1", 136, "2001:db8:6::7", 0);
	f.bytes[58] = 0x40;
	fix(&f);
	assert_string_equal(pr_drop_name(run(UPLINK, &f, 0)), "?");
	assert_int_equal(n_told, 1);
	assert_true(told[0].solicited && told[0].keep);
	assert_memory_equal(&told[0].mac, "\0\0\0\0\0\0", 6);
	dies(A, nd(A, PA, GW, 136, PB, 2), PR_DROP_SPOOFED_IP);
	f = nd(A, PA, GW, 136, PA, 2);
	f.bytes[85] ^= 1;
	fix(&f);
	dies(A, f, PR_DROP_SPOOFED_MAC);
}

static void test_malformed_nd(void **state)
{
	struct frame good = nd(A, PA, "ff02::1:ff00:1", 135, GW, 1), f = good;

	(void)state;
	f.bytes[21] = 254;
	dies(A, f, PR_DROP_ND_INVALID);
	f = good;
	f.bytes[57] ^= 1;
	dies(A, f, PR_DROP_ND_INVALID);
	f = good;
	f.bytes[79] = 0;
	fix(&f);
	dies(A, f, PR_DROP_ND_INVALID);
	f = nd(A, "::", "ff02::1:ff00:1", 135, GW, 1);
	dies(A, f, PR_DROP_ND_INVALID);
	f = good;
	f.length--;
	dies(A, f, PR_DROP_ND_INVALID);
	/* Longer than a head: options of 1,016 bytes, the last of them checked. */
	f = nd(UPLINK, "fe80::9", "ff02::1:ff00:1", 135, "2001:db8:9::1", 1);
	f.length += 1016;
	store_be16(f.bytes + 18, 32 + 1016);
	memset(f.bytes + 86, 0, 1016);
	f.bytes[86] = 99;
	f.bytes[87] = 127;
	fix(&f);
	answered(UPLINK, f, "2001:db8:9::1", 0xe0);
	f.bytes[1000] ^= 1;
	dies(UPLINK, f, PR_DROP_ND_INVALID);
	f.bytes[87] = 126;
	f.bytes[1000] ^= 1;
	fix(&f);
	dies(UPLINK, f, PR_DROP_ND_INVALID);
}

static void test_groups(void **state)
{
	static const uint8_t report[8 + 28] = {IPPROTO_ICMPV6, 0, 5, 2, 0, 0, 1, 0, 143};
	struct frame f = packet(A, "fe80::2", "ff02::16", IPPROTO_HOPOPTS, report, sizeof(report));

	(void)state;
	memcpy(f.bytes, "\x33\x33\0\0\0\x16", 6);
	assert_string_equal(pr_drop_name(run(A, &f, 0)), "?");
	assert_int_equal(n_out, 0);
	f.bytes[62] = 200;
	dies(A, f, PR_DROP_MAC_NOT_OURS);
	f = udp(A, "fe80::2", "ff02::fb", 30);
	memcpy(f.bytes, "\x33\x33\0\0\0\xfb", 6);
	dies(A, f, PR_DROP_MAC_NOT_OURS);
	/* An IPv6 unicast in a frame to many. */
	f = icmp(A, PA, GW, ICMP6_ECHO, 30);
	memcpy(f.bytes, "\x33\x33\0\0\0\1", 6);
	dies(A, f, PR_DROP_MAC_NOT_OURS);
}

static void test_punt(void **state)
{
	struct frame f = udp(A, PA, "2001:db8:6::7", 500);

	(void)state;
	assert_string_equal(pr_drop_name(run(A, &f, 0)), "?");
	assert_int_equal(n_out, 0);
	assert_int_equal(n_told, 1);
	assert_int_equal(told[0].type, EVENT_PUNT);
	assert_int_equal(told[0].address.family, AF_INET6);
	assert_memory_equal(told[0].address.v6, address("2001:db8:6::7"), 16);
}

/* A guarded port of a bridged network that has no other: what may pass dies of that. */
static void judged(struct frame f, uint8_t offload, unsigned reason)
{
	assert_string_equal(pr_drop_name(run(BRIDGED, &f, offload)), pr_drop_name(reason));
}

/* An advertisement of `target` behind headers: pairs of a header's protocol and its bytes. */
static struct frame claim(const char *target, unsigned n, const unsigned (*header)[2])
{
	struct frame f = nd(BRIDGED, PC, "ff02::1", 136, target, 2);
	unsigned at = 54, named = 20;

	for (unsigned k = 0; k < n; k++) {
		unsigned bytes = header[k][1];

		memmove(f.bytes + at + bytes, f.bytes + at, f.length - at);
		memset(f.bytes + at, 0, bytes);
		f.bytes[at] = f.bytes[named];
		f.bytes[named] = (uint8_t)header[k][0];
		f.bytes[at + 1] =
		        (uint8_t)(header[k][0] == IPPROTO_AH ? bytes / 4 - 2 : bytes / 8 - 1);
		named = at;
		at += bytes;
		f.length += bytes;
	}
	store_be16(f.bytes + 18, (uint16_t)(f.length - 54));
	return f;
}

static void test_guard(void **state)
{
	static const unsigned options[][2] = {{IPPROTO_DSTOPTS, 8}, {IPPROTO_DSTOPTS, 8}},
	                      two[][2] = {{IPPROTO_DSTOPTS, 72}, {IPPROTO_DSTOPTS, 8}},
	                      long_one[][2] = {{IPPROTO_DSTOPTS, 120}},
	                      authentication[][2] = {{IPPROTO_AH, 24}},
	                      fragment[][2] = {{IPPROTO_FRAGMENT, 8}, {IPPROTO_DSTOPTS, 8}};
	struct frame f;

	(void)state;
	judged(claim(PC, 0, NULL), 0, PR_DROP_FLOOD_EMPTY);
	judged(claim("2001:db8:7::3", 0, NULL), 0, PR_DROP_SPOOFED_IP);
	judged(udp(BRIDGED, PC, PA, 700), 0, PR_DROP_FLOOD_EMPTY);
	judged(claim("2001:db8:7::3", 1, options), 0, PR_DROP_ND_INVALID);
	judged(claim("2001:db8:7::3", 2, options), 0, PR_DROP_ND_INVALID);
	judged(claim("2001:db8:7::3", 1, authentication), 0, PR_DROP_ND_INVALID);
	judged(claim("2001:db8:7::3", 2, fragment), 0, PR_DROP_ND_INVALID);
	/* What can not be seen does not pass. */
	judged(claim("2001:db8:7::3", 2, two), 0, PR_DROP_HEADER_TOO_LONG);
	judged(claim("2001:db8:7::3", 1, long_one), 0, PR_DROP_HEADER_TOO_LONG);
	f = claim("2001:db8:7::3", 2, fragment);
	f.bytes[57] = 1; /* the first of several, without the next header */
	f.length = 62;
	store_be16(f.bytes + 18, 8);
	judged(f, 0, PR_DROP_HEADER_TOO_LONG);
	/* Later ones tell nothing, and receivers take no discovery in fragments (RFC 6980). */
	f.bytes[57] = 8;
	judged(f, 0, PR_DROP_FLOOD_EMPTY);
	/* A checksum left to us changes nothing that was looked at. */
	judged(claim(PC, 0, NULL), OFFLOAD_CSUM, PR_DROP_FLOOD_EMPTY);
	for (unsigned at = 0; at < 30; at += 2) {
		csum_offset = (uint16_t)at;
		judged(claim(PC, 0, NULL), OFFLOAD_CSUM,
		        at == 2 ? PR_DROP_FLOOD_EMPTY : PR_DROP_BAD_OFFLOAD);
		judged(icmp(BRIDGED, PC, PA, 200, 40), OFFLOAD_CSUM,
		        at == 2 ? PR_DROP_FLOOD_EMPTY : PR_DROP_BAD_OFFLOAD);
	}
	f = packet(BRIDGED, PC, PA, IPPROTO_DSTOPTS, NULL, 40);
	memcpy(f.bytes + 54, (const uint8_t[]){IPPROTO_UDP, 0, 1, 4, 0, 0, 0, 0}, 8);
	csum_offset = 0;
	judged(f, OFFLOAD_CSUM, PR_DROP_BAD_OFFLOAD);
	csum_offset = 14;
	judged(f, OFFLOAD_CSUM, PR_DROP_FLOOD_EMPTY);
	csum_offset = 2;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(test_forward),
	        cmocka_unit_test(test_headers),
	        cmocka_unit_test(test_errors),
	        cmocka_unit_test(test_no_errors),
	        cmocka_unit_test(test_extensions),
	        cmocka_unit_test(test_echo),
	        cmocka_unit_test(test_solicitations),
	        cmocka_unit_test(test_advertisements),
	        cmocka_unit_test(test_malformed_nd),
	        cmocka_unit_test(test_groups),
	        cmocka_unit_test(test_punt),
	        cmocka_unit_test(test_guard),
	};

	return cmocka_run_group_tests(tests, start, stop);
}
