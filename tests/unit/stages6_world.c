/* SPDX-License-Identifier: BSD-3-Clause */
#include "tests/unit/stages6_world.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <rte_cycles.h>
#include <rte_malloc.h>
#include <rte_ring_elem.h>

#include "dataplane/dataplane.h"

static struct worker *worker;
static char directory[] = "/tmp/podrail-stages6-XXXXXX";
static const struct device_ops *real_ops;
struct frame out[8];
unsigned n_out;
struct event told[8];
unsigned n_told;
static struct fib6 *fib;
uint16_t csum_start = 54, csum_offset = 2;

const uint8_t gateway_mac[6] = {0x02, 0x70, 0x72, 0, 0, 1};
const uint8_t mac_of[PORTS][6] = {
        {2, 0, 0, 0, 0, 2}, {2, 0, 0, 0, 0, 3}, {2, 0, 0, 0, 9, 9}, {2, 0, 0, 0, 7, 2}};

/* ---- routes, by hand: their next hops are finished ---- */

const uint8_t *address(const char *text)
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

int world_start(void **state)
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
	        .max_reassemblies = 64,
	        .max_reassembly_bytes = 1u << 20,
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

int world_stop(void **state)
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

struct frame packet(unsigned from, const char *source, const char *to, uint8_t next,
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

struct frame udp(unsigned from, const char *source, const char *to, unsigned length)
{
	return packet(from, source, to, IPPROTO_UDP, NULL, length);
}

void fix(struct frame *f)
{
	uint16_t sum;

	memset(f->bytes + 56, 0, 2);
	sum = (uint16_t)~ip6_sum(f->bytes + 14, IPPROTO_ICMPV6, f->bytes + 54, f->length - 54);
	memcpy(f->bytes + 56, &sum, 2);
}

struct frame icmp(unsigned from, const char *source, const char *to, uint8_t type, unsigned length)
{
	struct frame f = packet(from, source, to, IPPROTO_ICMPV6, NULL, length);

	f.bytes[54] = type;
	f.bytes[55] = 0;
	fix(&f);
	return f;
}

struct frame nd(unsigned from, const char *source, const char *to, uint8_t type, const char *target,
        uint8_t option)
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

unsigned world_run(unsigned from, const struct frame *f, uint8_t offload)
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

void dies(unsigned from, struct frame f, unsigned reason)
{
	assert_string_equal(pr_drop_name(world_run(from, &f, 0)), pr_drop_name(reason));
	assert_int_equal(n_out, 0);
}

void passes(unsigned from, struct frame f, unsigned to, uint8_t offload)
{
	assert_string_equal(pr_drop_name(world_run(from, &f, offload)), "?");
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

void refused(unsigned from, struct frame f, unsigned reason, uint8_t type, uint8_t code,
        uint32_t value, const char *source)
{
	const uint8_t *ip = out[0].bytes + 14;
	unsigned quote = RTE_MIN(f.length - 14, 1232u);

	assert_string_equal(pr_drop_name(world_run(from, &f, 0)), pr_drop_name(reason));
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
