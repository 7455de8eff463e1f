/* SPDX-License-Identifier: BSD-3-Clause */
/* The stages against frames that nobody should send: bridged with VLANs, and routed. Each frame
 * lies in a buffer of just its size, so that a sanitizer sees a read behind it; afterwards every
 * packet must be accounted for. The first byte of the input chooses the port (low 5 bits), whether
 * somebody asks for multicast groups (bit 5), whether the frame comes in an mbuf or from a guest
 * (bit 7: head copied, rest where it lies), and whether a guest's virtio_net_hdr comes before it
 * (bit 6). Bit 6 without bit 7: several frames in mbufs, each behind its length in two bytes (high
 * one first): fragments of one datagram, say. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <rte_cycles.h>
#include <rte_malloc.h>
#include <rte_ring_elem.h>

#include "dataplane/dataplane.h"
#include "dataplane/port/vhost_user/ring_io.h"
#include "dataplane/stage/stage.h"
#include "dataplane/tables.h"

#define PORTS    6
#define HEADROOM 128

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct worker *worker;
static uint64_t held;
static char directory[] = "/tmp/podrail-fuzz-XXXXXX";
static const struct device_ops *real_ops;

static void need(bool condition, const char *what)
{
	if (condition)
		return;
	fprintf(stderr, "frames_fuzz: %s\n", what);
	abort();
}

static unsigned no_rx(struct device *device, uint16_t queue, struct batch *batch, unsigned n)
{
	(void)device;
	(void)queue;
	(void)batch;
	(void)n;
	return 0;
}

/* So that what was read counts for something. */
static volatile unsigned bytes_seen;

/* Reads every byte that is sent, so that the sanitizer looks too; refuses some. */
static uint64_t checking_tx(
        struct device *device, struct worker *by, struct batch *batch, uint64_t mask)
{
	static unsigned calls;
	unsigned sum = 0;
	uint64_t sent = 0;

	(void)device;
	(void)by;
	BATCH_FOREACH (i, mask) {
		struct cursor rest = batch_rest(batch, i);
		uint32_t left = batch->length[i] - batch->head_length[i];

		need(batch->length[i] >= 14, "a frame became shorter than its header");
		need(batch->head_length[i] <= batch->length[i], "a head is longer than its frame");
		for (unsigned b = 0; b < batch->head_length[i]; b++)
			sum += batch->head[i][b];
		while (left) {
			struct span span = cursor_take(&rest, left);

			need(span.length > 0, "a frame has fewer bytes than it says");
			for (unsigned b = 0; b < span.length; b++)
				sum += span.at[b];
			left -= span.length;
		}
		batch->reason[i] = PR_DROP_EGRESS_FULL;
		if (++calls % 17)
			sent |= UINT64_C(1) << i;
	}
	bytes_seen = sum;
	return sent;
}

static const struct device_ops checking = {.rx = no_rx, .tx = checking_tx};

static void log_nothing(int priority, const char *message)
{
	(void)priority;
	(void)message;
}

static uint16_t add_network(const char *name, bool routed)
{
	struct dp_network_spec spec = {
	        .index = DP_INDEX_ANY,
	        .routed = routed,
	        .mtu = 1500,
	        .gateway_mac = {{0x02, 0x70, 0x72, 0, 0, 1}},
	        .mac_ageing = 300,
	        .proxy_arp = true,
	        .reassemble = routed,
	        .snooping = !routed,
	        .query_interval = 125,
	        .link_local = 0x4001,
	};
	struct dp_error error = {0};
	uint16_t index = 0;

	snprintf(spec.name, sizeof(spec.name), "%s", name);
	if (routed) {
		spec.n_subnets = spec.n_gateways = 2;
		pr_prefix_parse("198.18.0.0/24", &spec.subnets[0]);
		pr_ip_parse("198.18.0.1", &spec.gateways[0]);
		pr_prefix_parse("2001:db8::/64", &spec.subnets[1]);
		pr_ip_parse("2001:db8::1", &spec.gateways[1]);
	}
	need(dp_network_add(&spec, &index, &error) == 0, error.message);
	return index;
}

static void add_port(unsigned n, uint16_t network, bool routed)
{
	struct dp_port_spec spec = {
	        .index = DP_INDEX_ANY,
	        .kind = DP_PORT_VHOST_USER,
	        .network = network,
	        .mtu = 1500,
	        .mac = {{0x02, 0, 0, 0, 0, (uint8_t)n}},
	        .trust = n % 3 == 2,
	        .isolated = n == 1,
	        .server = true,
	        .socket_gid = -1,
	        .queues = 1,
	        .n_addresses = 2,
	};
	struct dp_error error = {0};
	struct pr_mac mac;
	uint16_t index;

	snprintf(spec.name, sizeof(spec.name), "p%u", n);
	snprintf(spec.socket, sizeof(spec.socket), "%s/%u", directory, n);
	spec.addresses[0] = (struct pr_prefix){pr_ip4_from_host(0xc6120002 + n), 24};
	pr_prefix_parse("2001:db8::2/64", &spec.addresses[1]);
	spec.addresses[1].addr.v6[15] = (uint8_t)(2 + n);
	if (!routed && n == 2) {
		spec.has_trunk = true;
		spec.trunk[0] = 1u << 10 | 1u << 20;
	} else if (!routed && n == 1) {
		spec.vlan = 10;
	}
	need(dp_port_add(&spec, &index, &mac, &error) == 0, error.message);
	need(index == n, "ports are numbered as they come");
	real_ops = shared->port[index].device->ops;
	shared->port[index].device->ops = &checking;
	atomic_store(&shared->port[index].device->guest, 1);
	/* Some take checksums, some segments, some nothing. */
	atomic_store(&shared->port[index].device->accepts, n % 3 == 0 ? 7 : n % 3 == 1 ? 1 : 0);
}

static void add_routes(uint16_t network)
{
	const char *const prefixes[] = {"0.0.0.0/0", "192.0.2.0/25", "192.0.2.128/25",
	        "198.19.0.0/16", "::/0", "2001:db8:1::/48", "2001:db8:2::/48", "2001:db8:3::/48"};
	struct dp_error error = {0};
	size_t failed;

	for (unsigned n = 0; n < 8; n++) {
		struct dp_route route = {.network = network, .port = DP_INDEX_ANY};

		pr_prefix_parse(prefixes[n], &route.prefix);
		route.type = n % 4 == 1   ? DP_ROUTE_BLACKHOLE
		             : n % 4 == 2 ? DP_ROUTE_UNREACHABLE
		                          : DP_ROUTE_VIA;
		if (n == 4)
			pr_ip_parse("2001:db8::6", &route.gateway); /* port 4 */
		if (n == 0)
			pr_ip_parse("198.18.0.6", &route.gateway); /* port 4 */
		if (n % 4 == 3)
			route.port = 5; /* looked for: never answers */
		need(dp_route_add(&route, 1, &failed, &error) == 0, error.message);
	}
}

/* Somebody asks for groups, or nobody, and ports 0 and 1 are members of two: what the first byte's
 * bit 5 is for. */
static int set_snooping(void *arg)
{
	uint8_t snoop = SNOOP_ON | (arg ? SNOOP_ACTIVE(false) | SNOOP_ACTIVE(true) : 0);

	for (uint16_t s = 1; s < PR_SEGMENTS_MAX; s++)
		if (shared->segment[s].used && !shared->segment[s].routed)
			atomic_store(&shared->segment[s].snoop, snoop);
	return 0;
}

static int add_members(void *arg)
{
	const uint8_t group4[4] = {239, 0, 0, 1}, group6[16] = {0xff, 5, [15] = 1};

	(void)arg;
	for (uint16_t s = 1; s < PR_SEGMENTS_MAX; s++) {
		struct mdb_key key4 = mdb_key4(s, group4), key6 = mdb_key6(s, group6);

		if (!shared->segment[s].used || shared->segment[s].routed)
			continue;
		for (uint16_t port = 0; port < 2; port++) {
			mdb_join(shared->mdb, &key4, port, 0, 3, UINT64_MAX, 100);
			mdb_join(shared->mdb, &key6, port, 0, 2, UINT64_MAX, 100);
		}
	}
	return 0;
}

/* A leak check looks at what is left. */
static void stop(void)
{
	for (unsigned n = 0; n < PORTS; n++)
		shared->port[n].device->ops = real_ops;
	rte_ring_free(worker->events);
	rte_free(worker);
	dp_stop();
	rmdir(directory);
}

static void start(void)
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
	        .max_reassemblies = 64,
	        .max_reassembly_bytes = 1u << 20,
	        .max_groups = 16,
	        .log = log_nothing,
	};
	struct dp_error error;
	uint16_t bridged, routed;

	need(mkdtemp(directory) != NULL, "no directory in /tmp");
	snprintf(config.run_dir, sizeof(config.run_dir), "%s", directory);
	need(dp_start(&config, &error) == 0, error.message);
	bridged = add_network("bridged", false);
	routed = add_network("routed", true);
	for (unsigned n = 0; n < PORTS; n++)
		add_port(n, n < 3 ? bridged : routed, n >= 3);
	add_routes(routed);
	worker = rte_zmalloc("fuzz", sizeof(*worker), RTE_CACHE_LINE_SIZE);
	need(worker != NULL, "no memory");
	worker->events = rte_ring_create_elem("fuzz-events", sizeof(struct event), EVENT_RING,
	        SOCKET_ID_ANY, RING_F_SP_ENQ | RING_F_SC_DEQ);
	need(worker->events != NULL, "no ring");
	tables_call(add_members, NULL);
	atexit(stop);
}

static void free_buffer(void *address, void *arg)
{
	free(address);
	free(arg);
}

/* A packet whose buffer ends with its last byte. */
static struct rte_mbuf *make_packet(const uint8_t *frame, size_t size)
{
	struct rte_mbuf *m = rte_pktmbuf_alloc(shared->mbufs);
	char *buffer = malloc(HEADROOM + size);
	struct rte_mbuf_ext_shared_info *info = malloc(sizeof(*info));

	need(m && buffer && info, "no memory");
	memset(buffer, 0, HEADROOM);
	memcpy(buffer + HEADROOM, frame, size);
	info->free_cb = free_buffer;
	info->fcb_opaque = info;
	rte_mbuf_ext_refcnt_set(info, 1);
	rte_pktmbuf_attach_extbuf(m, buffer, 0, (uint16_t)(HEADROOM + size), info);
	m->data_off = HEADROOM;
	m->data_len = (uint16_t)size;
	m->pkt_len = (uint32_t)size;
	return m;
}

/* As split_rx adds it: one piece of guest memory of just this size. */
static uint8_t *add_guest_packet(const uint8_t *frame, size_t size, bool with_header)
{
	struct virtio_net_hdr header = {0};
	struct batch *batch = &worker->batch;
	uint8_t *memory;
	uint32_t i;

	if (with_header && size >= sizeof(header)) {
		memcpy(&header, frame, sizeof(header));
		frame += sizeof(header);
		size -= sizeof(header);
	}
	memory = malloc(size + !size);
	need(memory != NULL, "no memory");
	memcpy(memory, frame, size);
	i = batch_add_empty(batch);
	batch->length[i] = (uint32_t)size;
	batch->head_length[i] = (uint16_t)RTE_MIN(size, (size_t)PR_HEAD);
	memcpy(batch->head[i], memory, batch->head_length[i]);
	batch->rest[i] = memory + batch->head_length[i];
	batch->rest_length[i] = batch->length[i] - batch->head_length[i];
	if ((header.flags | header.gso_type) && !offload_parse(batch, i, &header)) {
		batch->in_port[i] = NO_PORT;
		batch_drop(batch, i, PR_DROP_BAD_OFFLOAD);
	}
	return memory;
}

/* What was told to the tables thread is taken back here. */
static void take_events(void)
{
	struct event event;

	while (rte_ring_sc_dequeue_elem(worker->events, &event, sizeof(event)) == 0) {
		if (event.type != EVENT_PUNT)
			continue;
		rte_pktmbuf_free(event.packet);
		held++;
	}
}

/* Fragments that wait for more are taken back, too: each input begins with nothing. */
static void take_fragments(void)
{
	struct reassembly_taken taken;

	for (uint16_t p = 0; p < PORTS; p++)
		while (reassembly_purge(shared->reassembly, p, &taken)) {
			for (unsigned k = 0; k < taken.n; k++)
				rte_pktmbuf_free(taken.piece[k].packet);
			held += taken.n;
		}
}

static void enter(uint32_t i, uint8_t port)
{
	struct batch *batch = &worker->batch;

	batch->in_device[i] = shared->port[(port & 0x1f) % PORTS].device->index;
	batch->in_port[i] = NO_PORT;
	if (!(batch->todo[PR_STAGE_DROP] >> i & 1))
		batch_next(batch, i, PR_STAGE_PARSE);
	worker->counters.in++;
}

static void add_frames(uint8_t port, const uint8_t *data, size_t size)
{
	while (size > 2 && worker->batch.count < PR_BATCH) {
		size_t n = RTE_MIN((size_t)data[0] << 8 | data[1], size - 2);

		enter(batch_add(&worker->batch, make_packet(data + 2, n)), port);
		data += 2 + n;
		size -= 2 + n;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const struct counters *c;
	uint8_t *memory = NULL;

	if (!worker)
		start();
	if (size < 1 || size > 4096)
		return 0;
	c = &worker->counters;
	worker->now = rte_rdtsc();
	/* In this thread: the tables thread would say at its next tick that nobody asks. */
	set_snooping(data[0] & 0x20 ? worker : NULL);
	if (data[0] & 0x80) {
		memory = add_guest_packet(data + 1, size - 1, data[0] & 0x40);
		enter(0, data[0]);
	} else if (data[0] & 0x40) {
		add_frames(data[0], data + 1, size - 1);
	} else {
		enter(batch_add(&worker->batch, make_packet(data + 1, size - 1)), data[0]);
	}
	pipeline_run(worker, &worker->batch);
	free(memory);
	take_events();
	take_fragments();
	need(c->held - c->released == held, "a punted packet or a fragment is missing");
	need(c->in + c->generated + c->replicated + c->fragments ==
	                c->out + c->drops + c->consumed + c->merged + held,
	        "packets are not conserved");
	need(rte_mempool_in_use_count(shared->mbufs) == 0, "a packet buffer leaked");
	return 0;
}
