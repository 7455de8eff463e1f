/* SPDX-License-Identifier: BSD-3-Clause */
/* Fragments through the stages: random datagrams of both families, cut at random, shuffled and
 * repeated, must come out as what was sent, cut no larger than it came; and what makes no sense
 * dies for its reason. No packet leaves the process. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include <rte_cycles.h>
#include <rte_malloc.h>
#include <rte_ring_elem.h>

#include "dataplane/stage/ip6.h"
#include "dataplane/stage/reassemble.h"
#include "dataplane/tables.h"
#include "tests/unit/guarded.h"

#define FRAME_MAX 21000
#define OUT_MAX   80
#define ROUNDS    3000
#define SMALL     300 /* MTU of C */

enum { A, B, C, PORTS };

struct frame {
	unsigned length, port;
	uint8_t bytes[FRAME_MAX];
};

static struct worker *worker;
static char directory[] = "/tmp/podrail-reassemble-XXXXXX";
static const struct device_ops *real_ops;
static struct frame out[OUT_MAX];
static unsigned n_out;
static uint64_t seed = 1;

static const uint8_t gateway_mac[6] = {0x02, 0x70, 0x72, 0, 0, 1};
static const uint8_t prefix6[16] = {0x20, 0x01, 0x0d, 0xb8};

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
		struct frame *frame = &out[n_out++];
		uint32_t left = batch->length[i] - batch->head_length[i];

		assert_true(n_out <= OUT_MAX);
		frame->length = batch->length[i];
		frame->port = batch->out_port[i];
		assert_true(frame->length <= FRAME_MAX);
		memcpy(frame->bytes, batch->head[i], batch->head_length[i]);
		assert_int_equal(
		        cursor_copy(&rest, frame->bytes + batch->head_length[i], left), left);
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
	        .mtu = n == C ? SMALL : 1500,
	        .server = true,
	        .socket_gid = -1,
	        .queues = 1,
	        .mac = {{2, 0, 0, 0, 0, (uint8_t)(2 + n)}},
	        .n_addresses = 2,
	};
	struct dp_error error = {0};
	struct pr_mac mac;
	uint16_t index;

	snprintf(spec.name, sizeof(spec.name), "p%u", n);
	snprintf(spec.socket, sizeof(spec.socket), "%s/%u", directory, n);
	spec.addresses[0] = (struct pr_prefix){pr_ip4_from_host(0xc6120002 + n), 24};
	spec.addresses[1].addr.family = AF_INET6;
	spec.addresses[1].len = 64;
	memcpy(spec.addresses[1].addr.v6, prefix6, 16);
	spec.addresses[1].addr.v6[15] = (uint8_t)(2 + n);
	assert_int_equal(dp_port_add(&spec, &index, &mac, &error), 0);
	assert_int_equal(index, n);
	real_ops = shared->port[n].device->ops;
	shared->port[n].device->ops = &keeping;
	atomic_store(&shared->port[n].device->guest, 1);
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
	        .max_reassemblies = 64,
	        .max_reassembly_bytes = 1u << 20,
	        .log = log_nothing,
	};
	struct dp_network_spec network = {
	        .index = DP_INDEX_ANY,
	        .routed = true,
	        .mtu = 1500,
	        .reassemble = true,
	        .name = "n",
	        .n_subnets = 2,
	        .n_gateways = 2,
	};
	struct dp_error error;
	uint16_t index = 0;

	(void)state;
	if (!mkdtemp(directory))
		return -1;
	snprintf(config.run_dir, sizeof(config.run_dir), "%s", directory);
	memcpy(&network.gateway_mac, gateway_mac, 6);
	pr_prefix_parse("198.18.0.0/24", &network.subnets[0]);
	pr_ip_parse("198.18.0.1", &network.gateways[0]);
	pr_prefix_parse("2001:db8::/64", &network.subnets[1]);
	pr_ip_parse("2001:db8::1", &network.gateways[1]);
	if (dp_start(&config, &error) || dp_network_add(&network, &index, &error)) {
		fprintf(stderr, "%s\n", error.message);
		return -1;
	}
	for (unsigned n = 0; n < PORTS; n++)
		add_port(n, index);
	worker = rte_zmalloc("test", sizeof(*worker), RTE_CACHE_LINE_SIZE);
	worker->events = rte_ring_create_elem("test-events", sizeof(struct event), 64,
	        SOCKET_ID_ANY, RING_F_SP_ENQ | RING_F_SC_DEQ);
	return worker->events ? 0 : -1;
}

static int stop(void **state)
{
	(void)state;
	for (unsigned n = 0; n < PORTS; n++)
		shared->port[n].device->ops = real_ops;
	rte_ring_free(worker->events);
	rte_free(worker);
	dp_stop();
	rmdir(directory);
	return 0;
}

/* The tables thread counts, too: what it lets expire. */
static uint64_t held(void)
{
	const struct counters *c = &worker->counters, *t = tables_counters;

	return counter_get(&c->held) - counter_get(&c->released) - counter_get(&t->released);
}

static void assert_conserved(void)
{
	const struct counters *c = &worker->counters;
	struct reassembly_stats stats;

	reassembly_stats(shared->reassembly, &stats);
	assert_int_equal(held(), stats.packets);
	assert_int_equal(c->in + c->generated + c->replicated + c->fragments,
	        c->out + c->drops + counter_get(&tables_counters->drops) + c->consumed + c->merged +
	                held());
	assert_int_equal(rte_mempool_in_use_count(shared->mbufs), stats.packets);
}

/* Takes out what waits, as if it had died. */
static int clear(void **state)
{
	struct reassembly_taken taken;

	(void)state;
	while (reassembly_purge(shared->reassembly, A, &taken)) {
		for (unsigned k = 0; k < taken.n; k++)
			rte_pktmbuf_free(taken.piece[k].packet);
		counter_add(&worker->counters.released, taken.n);
		counter_add(&worker->counters.drops, taken.n);
	}
	return 0;
}

/* Sends it in, from a guest or in an mbuf; returns why it died, PR_DROP_COUNT if it did not. */
static unsigned run_with(unsigned from, const struct frame *f, bool mbuf, uint8_t offload)
{
	struct batch *batch = &worker->batch;
	uint64_t before[PR_DROP_COUNT];
	uint8_t *memory = malloc(f->length);
	unsigned reason = PR_DROP_COUNT;
	uint32_t i;

	memcpy(before, worker->counters.drop_reasons, sizeof(before));
	worker->now = rte_rdtsc();
	memcpy(memory, f->bytes, f->length);
	if (mbuf) {
		struct rte_mbuf *m = rte_pktmbuf_alloc(shared->mbufs);

		memcpy(rte_pktmbuf_append(m, (uint16_t)f->length), f->bytes, f->length);
		i = batch_add(batch, m);
	} else {
		i = batch_add_empty(batch);
		batch->length[i] = f->length;
		batch->head_length[i] = (uint16_t)RTE_MIN(f->length, (unsigned)PR_HEAD);
		memcpy(batch->head[i], memory, batch->head_length[i]);
		batch->rest[i] = memory + batch->head_length[i];
		batch->rest_length[i] = f->length - batch->head_length[i];
	}
	batch->in_device[i] = shared->port[from].device->index;
	batch->in_port[i] = NO_PORT;
	if (offload) {
		batch->offload[i] = offload;
		batch->offloads = true;
		batch->csum_start[i] = 34;
		batch->csum_offset[i] = 16;
		batch->gso_size[i] = 1400;
		batch->header_length[i] = 54;
	}
	batch_next(batch, i, PR_STAGE_PARSE);
	worker->counters.in++;
	pipeline_run(worker, batch);
	free(memory);
	for (unsigned r = 0; r < PR_DROP_COUNT; r++)
		if (worker->counters.drop_reasons[r] != before[r])
			reason = r;
	assert_conserved();
	return reason;
}

static unsigned run(unsigned from, const struct frame *f)
{
	return run_with(from, f, random_below(&seed, 2), 0);
}

/* ---- datagrams and their parts ---- */

struct datagram {
	bool v6;
	uint8_t protocol, to; /* last byte of the address: a port's, or 1 for the gateway */
	uint32_t id;
	uint16_t flags; /* IPv4: 0x4000 or nothing */
	unsigned extra; /* options or a header in front of the payload, in all parts */
	unsigned length;
	uint8_t ecn;
	uint8_t payload[FRAME_MAX];
};

static struct datagram datagram;

static void fill(bool v6, unsigned to, unsigned length)
{
	struct datagram *d = &datagram;

	*d = (struct datagram){.v6 = v6,
	        .protocol = IPPROTO_UDP,
	        .to = (uint8_t)(2 + to),
	        .id = (uint32_t)random_next(&seed) & (v6 ? UINT32_MAX : 0xffff),
	        .length = length};
	for (unsigned n = 0; n < length; n++)
		d->payload[n] = (uint8_t)random_next(&seed);
}

static unsigned header_bytes(const struct datagram *d)
{
	return d->v6 ? 48 + d->extra : 20 + d->extra;
}

static void part_header6(const struct datagram *d, uint8_t *ip, unsigned at, unsigned n, bool more)
{
	uint8_t *fragment = ip + 40 + d->extra;

	ip[0] = 0x60;
	ip[1] = (uint8_t)(d->ecn << 4);
	store_be16(ip + 4, (uint16_t)(8 + d->extra + n));
	ip[6] = d->extra ? IPPROTO_DSTOPTS : IPPROTO_FRAGMENT;
	ip[7] = 64;
	memcpy(ip + 8, prefix6, 16);
	ip[23] = 2;
	memcpy(ip + 24, prefix6, 16);
	ip[39] = d->to;
	if (d->extra) {
		ip[40] = IPPROTO_FRAGMENT;
		ip[41] = (uint8_t)(d->extra / 8 - 1);
		ip[42] = 1; /* PadN */
		ip[43] = (uint8_t)(d->extra - 4);
	}
	fragment[0] = d->protocol;
	store_be16(fragment + 2, (uint16_t)(at | more));
	store_be32(fragment + 4, d->id);
}

static void part_header4(const struct datagram *d, uint8_t *ip, unsigned at, unsigned n, bool more)
{
	uint16_t sum;

	ip[0] = (uint8_t)(0x45 + d->extra / 4);
	ip[1] = d->ecn;
	store_be16(ip + 2, (uint16_t)(20 + d->extra + n));
	store_be16(ip + 4, (uint16_t)d->id);
	store_be16(ip + 6, (uint16_t)(at / 8 | (more ? 0x2000 : 0) | d->flags));
	ip[8] = 64;
	ip[9] = d->protocol;
	store_be32(ip + 12, 0xc6120002);
	store_be32(ip + 16, 0xc6120000u + d->to);
	for (unsigned k = 0; k < d->extra; k++)
		ip[20 + k] = 0x01;
	sum = (uint16_t)~bytes_sum(ip, 20 + d->extra);
	memcpy(ip + 10, &sum, 2);
}

static struct frame *part(const struct datagram *d, unsigned at, unsigned n, bool more)
{
	static struct frame frames[2];
	static unsigned turn;
	struct frame *f = &frames[turn++ % 2];
	uint8_t *ip = f->bytes + 14;

	memset(f->bytes, 0, 14 + header_bytes(d));
	memcpy(f->bytes, gateway_mac, 6);
	memcpy(f->bytes + 6, (const uint8_t[6]){2, 0, 0, 0, 0, 2}, 6);
	store_be16(f->bytes + 12, d->v6 ? RTE_ETHER_TYPE_IPV6 : RTE_ETHER_TYPE_IPV4);
	d->v6 ? part_header6(d, ip, at, n, more) : part_header4(d, ip, at, n, more);
	memcpy(ip + header_bytes(d), d->payload + at, n);
	f->length = 14 + header_bytes(d) + n;
	return f;
}

/* ---- what comes out ---- */

/* Puts together what came to a port; returns its length. Each piece must be as it should. */
static unsigned receive(unsigned port, unsigned limit, uint8_t *to, unsigned hops)
{
	const struct datagram *d = &datagram;
	unsigned sum = 0, total = 0, header = header_bytes(d);

	for (unsigned k = 0; k < n_out; k++) {
		const uint8_t *ip = out[k].bytes + 14;
		unsigned n = out[k].length - 14 - header, at;
		bool more;

		assert_int_equal(out[k].port, port);
		assert_true(out[k].length <= limit + 14);
		if (d->v6) {
			const uint8_t *fragment = ip + header - 8;

			assert_int_equal(40 + load_be16(ip + 4), out[k].length - 14);
			assert_int_equal(load_be32(fragment + 4), d->id);
			assert_int_equal(ip[7], 64 - hops);
			at = load_be16(fragment + 2) & 0xfff8;
			more = fragment[3] & 1;
		} else {
			assert_int_equal(load_be16(ip + 2), out[k].length - 14);
			assert_int_equal(load_be16(ip + 4), d->id);
			assert_int_equal(load_be16(ip + 6) & 0x4000, d->flags);
			assert_int_equal(bytes_sum(ip, (ip[0] & 15) * 4u), 0xffff);
			assert_int_equal(ip[8], 64 - hops);
			header = (ip[0] & 15) * 4u;
			n = out[k].length - 14 - header;
			at = (load_be16(ip + 6) & 0x1fff) * 8u;
			more = load_be16(ip + 6) & 0x2000;
		}
		memcpy(to + at, ip + header, n);
		sum += n;
		if (!more)
			total = at + n;
	}
	assert_int_equal(sum, total);
	return total;
}

static void assert_arrived(unsigned port, unsigned limit)
{
	static uint8_t got[FRAME_MAX];

	assert_int_equal(receive(port, limit, got, 1), datagram.length);
	assert_memory_equal(got, datagram.payload, datagram.length);
}

/* A first part of at least 8 bytes, the largest one at most as large as the path takes. */
static unsigned cut(unsigned cuts[REASSEMBLY_PIECES + 1], unsigned limit)
{
	unsigned room = (limit - header_bytes(&datagram)) & ~7u, n = 0, at = 0;
	unsigned average = RTE_MAX(datagram.length / 24 & ~7u, 8u);

	while (at < datagram.length) {
		cuts[n++] = at;
		at += RTE_MIN(room, average + 8 * random_below(&seed, room / 8));
	}
	cuts[n] = datagram.length;
	return n;
}

static void test_random(void **state)
{
	unsigned cuts[REASSEMBLY_PIECES + 1], order[2 * REASSEMBLY_PIECES], whole = 0, again = 0;

	(void)state;
	for (unsigned round = 0; round < ROUNDS; round++) {
		unsigned to = 1 + random_below(&seed, 2), n, m, largest = 0, limit;
		unsigned mtu = to == C ? SMALL : 1500, size;

		fill(random_below(&seed, 2), to, 16 + random_below(&seed, 8000));
		datagram.extra = 8 * random_below(&seed, 3);
		if (!datagram.v6)
			datagram.flags = (uint16_t)(random_below(&seed, 2) * 0x4000);
		/* Larger ones could not go on, or were no longer the same size. */
		n = cut(cuts, datagram.v6 || datagram.flags ? SMALL : 1500);
		if (n < 2)
			continue;
		for (unsigned k = 0; k < n; k++) {
			order[k] = k;
			size = cuts[k + 1] - cuts[k] + header_bytes(&datagram);
			largest = RTE_MAX(largest, size);
		}
		for (m = n; m < n + random_below(&seed, RTE_MIN(n, 3u)); m++)
			order[m] = random_below(&seed, n);
		for (unsigned k = m - 1; k > 0; k--) {
			unsigned other = random_below(&seed, k + 1), swap = order[k];

			order[k] = order[other];
			order[other] = swap;
		}
		n_out = 0;
		for (unsigned k = 0; k < m; k++)
			run(A, part(&datagram, cuts[order[k]], cuts[order[k] + 1] - cuts[order[k]],
			               order[k] + 1 < n));
		size = header_bytes(&datagram) + datagram.length;
		limit = RTE_MIN(mtu, largest);
		if (!datagram.v6 && size <= mtu)
			limit = mtu;
		assert_arrived(to, limit);
		whole += n_out == 1;
		again += n_out > 1;
		assert_true(datagram.v6 ? n_out > 1 : (n_out == 1) == (size <= mtu));
		/* Repeated after it was whole, they wait for a datagram that will not come. */
		if (reassembly_port_count(shared->reassembly, A) > 8)
			clear(NULL);
	}
	assert_true(whole > 100 && again > 1000);
}

/* 64 fragments of equal size leave as 64. */
static void test_most_pieces(void **state)
{
	(void)state;
	for (unsigned v6 = 0; v6 < 2; v6++) {
		fill(v6, B, 64 * 64);
		n_out = 0;
		for (unsigned k = 0; k < 64; k++)
			assert_int_equal(
			        run(A, part(&datagram, 64 * k, 64, k < 63)), PR_DROP_COUNT);
		assert_arrived(B, v6 ? 112 : 84);
		assert_int_equal(n_out, 64);
	}
}

/* ---- what makes no sense ---- */

static void refused(struct frame *f, unsigned reason)
{
	n_out = 0;
	assert_int_equal(run(A, f), reason);
	assert_int_equal(n_out, 0);
}

static void test_invalid(void **state)
{
	(void)state;
	for (unsigned v6 = 0; v6 < 2; v6++) {
		struct frame *f;

		fill(v6, B, 4000);
		refused(part(&datagram, 0, 0, true), PR_DROP_FRAGMENT_INVALID);
		refused(part(&datagram, 8, 0, false), PR_DROP_FRAGMENT_INVALID);
		refused(part(&datagram, 0, 1001, true), PR_DROP_FRAGMENT_INVALID);
		/* The ping of death. */
		f = part(&datagram, 0, 1000, false);
		store_be16(f->bytes + (v6 ? 56 : 20), v6 ? 0xfff8 : 0x1fff);
		if (!v6) {
			store_be16(f->bytes + 24, 0);
			store_be16(f->bytes + 24,
			        rte_cpu_to_be_16((uint16_t)~bytes_sum(f->bytes + 14, 20)));
		}
		refused(f, PR_DROP_FRAGMENT_INVALID);
		/* No whole UDP header could only be 8 bytes or none; TCP's is longer. */
		datagram.protocol = IPPROTO_TCP;
		refused(part(&datagram, 0, 16, true), PR_DROP_FRAGMENT_INVALID);
		refused(part(&datagram, 8, 800, true), PR_DROP_FRAGMENT_INVALID);
		datagram.payload[12] = 0xf0;
		refused(part(&datagram, 0, 56, true), PR_DROP_FRAGMENT_INVALID);
		assert_int_equal(run(A, part(&datagram, 0, 64, true)), PR_DROP_COUNT);
		assert_int_equal(run_with(A, part(&datagram, 64, 64, true), false, OFFLOAD_CSUM),
		        PR_DROP_BAD_OFFLOAD);
		if (v6) {
			datagram.protocol = IPPROTO_FRAGMENT;
			refused(part(&datagram, 0, 800, true), PR_DROP_FRAGMENT_INVALID);
			refused(part(&datagram, 800, 800, true), PR_DROP_FRAGMENT_INVALID);
			refused(part(&datagram, 0, 800, false), PR_DROP_FRAGMENT_INVALID);
			datagram.protocol = IPPROTO_UDP;
			datagram.extra = 192;
			refused(part(&datagram, 0, 800, true), PR_DROP_HEADER_TOO_LONG);
		}
	}
}

static void test_overlap(void **state)
{
	(void)state;
	for (unsigned v6 = 0; v6 < 2; v6++) {
		fill(v6, B, 2400);
		n_out = 0;
		assert_int_equal(run(A, part(&datagram, 0, 800, true)), PR_DROP_COUNT);
		assert_int_equal(run(A, part(&datagram, 0, 800, true)), PR_DROP_FRAGMENT_DUPLICATE);
		assert_int_equal(run(A, part(&datagram, 792, 16, true)), PR_DROP_FRAGMENT_OVERLAP);
		/* What comes of it later dies, too, even if it would have been right. */
		assert_int_equal(run(A, part(&datagram, 800, 800, true)), PR_DROP_FRAGMENT_OVERLAP);
		assert_int_equal(
		        run(A, part(&datagram, 1600, 800, false)), PR_DROP_FRAGMENT_OVERLAP);
		assert_int_equal(n_out, 0);
		/* The next one is none the worse for it. */
		datagram.id++;
		assert_int_equal(run(A, part(&datagram, 0, 800, true)), PR_DROP_COUNT);
		assert_int_equal(run(A, part(&datagram, 1600, 800, false)), PR_DROP_COUNT);
		assert_int_equal(run(A, part(&datagram, 800, 800, true)), PR_DROP_COUNT);
		assert_arrived(B, 1500);
	}
}

static void test_ecn(void **state)
{
	static const struct {
		uint8_t a, b;
		unsigned ecn; /* 4: they contradict each other */
	} rows[] = {{0, 0, 0}, {1, 1, 1}, {2, 2, 2}, {2, 3, 3}, {3, 1, 3}, {3, 3, 3}, {0, 3, 4},
	        {2, 0, 4}};

	(void)state;
	for (unsigned n = 0; n < 16; n++) {
		unsigned v6 = n % 2, row = n / 2, reason;

		fill(v6, B, 1600);
		n_out = 0;
		datagram.ecn = rows[row].a;
		assert_int_equal(run(A, part(&datagram, 0, 800, true)), PR_DROP_COUNT);
		datagram.ecn = rows[row].b;
		reason = run(A, part(&datagram, 800, 800, false));
		if (rows[row].ecn == 4) {
			assert_int_equal(reason, PR_DROP_FRAGMENT_INVALID);
			assert_int_equal(n_out, 0);
			continue;
		}
		assert_arrived(B, 1500);
		for (unsigned k = 0; k < n_out; k++)
			assert_int_equal(
			        v6 ? out[k].bytes[15] >> 4 : out[k].bytes[15], rows[row].ecn);
	}
}

/* One fragment is a packet (RFC 6946), forwarded as it is. */
static void test_atomic(void **state)
{
	struct frame *f;

	(void)state;
	fill(true, B, 800);
	n_out = 0;
	f = part(&datagram, 0, 800, false);
	assert_int_equal(run(A, f), PR_DROP_COUNT);
	assert_int_equal(n_out, 1);
	assert_int_equal(out[0].length, f->length);
	assert_memory_equal(out[0].bytes + 22, f->bytes + 22, f->length - 22);
}

/* ---- errors and answers ---- */

/* Larger than what is ahead: the sender is told of the first fragment as he sent it. */
static void test_too_big(void **state)
{
	(void)state;
	for (unsigned v6 = 0; v6 < 2; v6++) {
		struct frame first;
		unsigned quote = v6 ? 1280 - 48 : 548, at = v6 ? 62 : 42;

		fill(v6, C, 3000);
		datagram.flags = v6 ? 0 : 0x4000;
		n_out = 0;
		assert_int_equal(run(A, part(&datagram, 1400, 1400, true)), PR_DROP_COUNT);
		first = *part(&datagram, 0, 1400, true);
		assert_int_equal(run(A, &first), PR_DROP_COUNT);
		assert_int_equal(run(A, part(&datagram, 2800, 200, false)), PR_DROP_MTU_EXCEEDED);
		assert_int_equal(n_out, 1);
		assert_int_equal(out[0].port, A);
		assert_int_equal(out[0].length, at + quote);
		assert_int_equal(out[0].bytes[at - 8], v6 ? 2 : 3);
		assert_int_equal(load_be16(out[0].bytes + at - 2), SMALL);
		assert_memory_equal(out[0].bytes + at, first.bytes + 14, quote);
	}
}

/* Pings of the gateway: the answer's fragments are no larger than the question's. */
static void test_gateway_answers(void **state)
{
	static uint8_t got[FRAME_MAX];

	(void)state;
	for (unsigned v6 = 0; v6 < 2; v6++) {
		fill(v6, 0, 4000);
		datagram.to = 1;
		datagram.protocol = v6 ? IPPROTO_ICMPV6 : IPPROTO_ICMP;
		datagram.payload[0] = v6 ? 128 : 8;
		datagram.payload[1] = 0;
		datagram.extra = 8;
		n_out = 0;
		for (unsigned at = 0; at < 4000; at += 800)
			assert_int_equal(
			        run(A, part(&datagram, at, 800, at < 3200)), PR_DROP_COUNT);
		datagram.extra = v6 ? 0 : 8;
		assert_int_equal(receive(A, 864, got, 0), 4000);
		assert_int_equal(got[0], v6 ? 129 : 0);
		assert_memory_equal(got + 4, datagram.payload + 4, 3996);
		assert_true(n_out >= 5);
	}
}

/* TCP that was left to us to be cut: with DF clear in shorter segments, if these are not too many.
 */
static void test_segments(void **state)
{
	static const struct {
		unsigned payload;
		uint16_t flags;
		unsigned segments;
	} rows[] = {{4200, 0, 17}, {4200, 0x4000, 0}, {16640, 0, 64}, {16641, 0, 0}};

	(void)state;
	for (unsigned n = 0; n < 4; n++) {
		struct frame f;
		unsigned sum = 0;

		fill(false, C, 20 + rows[n].payload);
		datagram.protocol = IPPROTO_TCP;
		datagram.flags = rows[n].flags;
		datagram.payload[12] = 0x50;
		f = *part(&datagram, 0, datagram.length, false);
		n_out = 0;
		assert_int_equal(run_with(A, &f, false, OFFLOAD_CSUM | OFFLOAD_TSO4),
		        rows[n].segments ? PR_DROP_COUNT : PR_DROP_MTU_EXCEEDED);
		if (!rows[n].segments) {
			assert_int_equal(n_out, 1);
			assert_int_equal(out[0].port, A);
			assert_int_equal(out[0].bytes[34], 3);
			assert_int_equal(out[0].bytes[35], 4);
			continue;
		}
		assert_int_equal(n_out, rows[n].segments);
		for (unsigned k = 0; k < n_out; k++) {
			assert_true(out[k].length <= SMALL + 14);
			assert_memory_equal(
			        out[k].bytes + 54, datagram.payload + 20 + sum, out[k].length - 54);
			sum += out[k].length - 54;
		}
		assert_int_equal(sum, rows[n].payload);
	}
}

/* ---- bounds and the end ---- */

/* A flood takes not all buffers, and what comes together becomes whole in spite of it. */
static void test_flood(void **state)
{
	struct reassembly_stats stats;

	(void)state;
	for (unsigned n = 0; n < 2000; n++) {
		unsigned reason;

		fill(n % 2, B, 800);
		datagram.id = n;
		reason = run(A, part(&datagram, 0, 400, true));
		assert_true(reason == PR_DROP_COUNT || reason == PR_DROP_REASSEMBLY_LIMIT);
		assert_true(reassembly_port_count(shared->reassembly, A) <= 16);
	}
	reassembly_stats(shared->reassembly, &stats);
	assert_in_range(stats.packets, 8, 64);
	n_out = 0;
	assert_int_equal(run(A, part(&datagram, 400, 400, false)), PR_DROP_COUNT);
	assert_arrived(B, 1500);
}

/* A batch has only so many places for pieces: who finds them taken loses his datagram. */
static void test_no_places(void **state)
{
	(void)state;
	for (unsigned v6 = 0; v6 < 2; v6++) {
		fill(v6, B, 800);
		n_out = 0;
		assert_int_equal(run(A, part(&datagram, 0, 400, true)), PR_DROP_COUNT);
		worker->batch.n_spans = BATCH_SPANS - REASSEMBLY_PIECES + 2;
		assert_int_equal(
		        run(A, part(&datagram, 400, 400, false)), PR_DROP_REASSEMBLY_LIMIT);
		assert_int_equal(n_out, 0);
		assert_int_equal(held(), 0);
	}
}

/* What waits goes by itself when its time is over (5 s), or with its port. */
static void test_end(void **state)
{
	struct dp_error error = {0};
	uint64_t before = counter_get(&tables_counters->drop_reasons[PR_DROP_REASSEMBLY_TIMEOUT]);

	(void)state;
	fill(true, B, 800);
	assert_int_equal(run(A, part(&datagram, 0, 400, true)), PR_DROP_COUNT);
	for (unsigned n = 0; n < 300 && reassembly_port_count(shared->reassembly, A); n++)
		usleep(100000);
	assert_int_equal(reassembly_port_count(shared->reassembly, A), 0);
	assert_true(
	        counter_get(&tables_counters->drop_reasons[PR_DROP_REASSEMBLY_TIMEOUT]) > before);
	assert_conserved();
	fill(false, B, 800);
	assert_int_equal(run(A, part(&datagram, 0, 400, true)), PR_DROP_COUNT);
	assert_int_equal(held(), 1);
	shared->port[A].device->ops = real_ops;
	assert_int_equal(dp_port_del(A, &error), 0);
	assert_int_equal(held(), 0);
	assert_int_equal(tables_counters->port[A].drops[PR_DROP_PORT_NOT_READY], 1);
	assert_conserved();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test_setup(test_random, clear),
	        cmocka_unit_test_setup(test_most_pieces, clear),
	        cmocka_unit_test_setup(test_invalid, clear),
	        cmocka_unit_test_setup(test_overlap, clear),
	        cmocka_unit_test_setup(test_ecn, clear),
	        cmocka_unit_test_setup(test_atomic, clear),
	        cmocka_unit_test_setup(test_too_big, clear),
	        cmocka_unit_test_setup(test_gateway_answers, clear),
	        cmocka_unit_test_setup(test_segments, clear),
	        cmocka_unit_test_setup(test_flood, clear),
	        cmocka_unit_test_setup(test_no_places, clear),
	        cmocka_unit_test_setup(test_end, clear),
	};

	return cmocka_run_group_tests(tests, start, stop);
}
