/* SPDX-License-Identifier: BSD-3-Clause */
/* The neighbour state machine with a clock of our own, step by step and at random. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "dataplane/table/neighbour.h"

#define PACKETS 40000
#define NOT_YET 0
#define HELD    1
#define BACK    2

static uint64_t random_state = 0xbb67ae8584caa73b;

static uint32_t rnd(void)
{
	random_state ^= random_state << 13;
	random_state ^= random_state >> 7;
	random_state ^= random_state << 17;
	return (uint32_t)(random_state >> 16);
}

/* What the callbacks saw. A packet is a pointer into `packet`. */
struct world {
	struct neighbour_table *table;
	uint8_t packet[PACKETS];
	uint32_t next_packet;
	uint32_t broadcast, unicast, resolved, lost, removed, released;
	uint32_t dropped[3];
	bool in_use;
	void *last_released[64];
};

static struct world world;

static void on_probe(void *ctx, const struct neighbour *entry, bool unicast)
{
	struct world *w = ctx;

	assert_int_equal(entry->state, unicast ? NEIGHBOUR_PROBE : NEIGHBOUR_INCOMPLETE);
	assert_int_equal(pr_mac_is_zero(&entry->mac), !unicast);
	assert_in_range(entry->probes, 1, 3);
	*(unicast ? &w->unicast : &w->broadcast) += 1;
}

static void on_resolved(void *ctx, struct neighbour *entry)
{
	assert_true(neighbour_usable(entry));
	assert_false(pr_mac_is_zero(&entry->mac));
	entry->cookie++;
	((struct world *)ctx)->resolved++;
}

static void on_lost(void *ctx, struct neighbour *entry)
{
	assert_true(entry->cookie > 0);
	assert_false(neighbour_usable(entry));
	entry->cookie = 0;
	((struct world *)ctx)->lost++;
}

static void on_removed(void *ctx, struct neighbour *entry)
{
	/* Lost was said before. */
	assert_int_equal(entry->cookie, 0);
	assert_int_equal(entry->held, 0);
	((struct world *)ctx)->removed++;
}

static bool on_used(void *ctx, const struct neighbour *entry)
{
	struct world *w = ctx;

	(void)entry;
	return w->in_use;
}

static void give_back(struct world *w, uint8_t *packet)
{
	assert_in_range(packet - w->packet, 0, PACKETS - 1);
	assert_int_equal(*packet, HELD);
	*packet = BACK;
}

static void on_release(void *ctx, const struct neighbour *entry, void *packet)
{
	struct world *w = ctx;

	assert_true(neighbour_usable(entry));
	assert_true(entry->cookie > 0);
	give_back(w, packet);
	w->last_released[w->released++ % 64] = packet;
}

static void on_drop(
        void *ctx, const struct neighbour *entry, void *packet, enum neighbour_drop reason)
{
	struct world *w = ctx;

	assert_false(neighbour_usable(entry));
	give_back(w, packet);
	w->dropped[reason]++;
}

static const struct neighbour_ops ops = {
        .send_probe = on_probe,
        .resolved = on_resolved,
        .lost = on_lost,
        .removed = on_removed,
        .used = on_used,
        .release_held = on_release,
        .drop_held = on_drop,
};

static void world_start(const struct neighbour_config *config)
{
	memset(&world, 0, sizeof(world));
	world.table = neighbour_table_create(NULL, config, &ops, &world);
	assert_non_null(world.table);
}

static void world_end(void)
{
	neighbour_table_destroy(world.table);
	for (unsigned i = 0; i < world.next_packet; i++)
		assert_int_equal(world.packet[i], BACK);
}

static struct pr_ip ip_of(uint32_t n)
{
	struct pr_ip ip = pr_ip4_from_host(0xc6120000 + n);

	if (n % 3 == 2) {
		memset(&ip, 0, sizeof(ip));
		pr_ip_parse("2001:db8::", &ip);
		ip.v6[15] = (uint8_t)n;
	}
	return ip;
}

static int hold_large(struct neighbour *entry, uint16_t from, uint16_t buffers)
{
	uint8_t *packet = &world.packet[world.next_packet++];

	assert_in_range(world.next_packet, 0, PACKETS);
	*packet = HELD;
	return neighbour_hold(world.table, entry, packet, from, buffers);
}

static int hold(struct neighbour *entry, uint16_t from)
{
	return hold_large(entry, from, 1);
}

static struct neighbour *entry_at(uint32_t n, uint64_t now)
{
	struct pr_ip ip = ip_of(n);
	struct neighbour *entry = NULL;

	assert_int_equal(neighbour_get_or_create(world.table, 1, &ip, 5, now, &entry), 0);
	return entry;
}

static int learn(uint32_t n, uint8_t mac, uint64_t now, unsigned flags)
{
	struct pr_ip ip = ip_of(n);
	struct pr_mac bytes = {{2, 0, 0, 0, 0, mac}};

	return neighbour_learn(world.table, 1, &ip, 5, &bytes, now, flags);
}

static void tick(uint64_t now)
{
	neighbour_tick(world.table, now, UINT32_MAX);
	assert_true(neighbour_next_timer(world.table) > now);
}

static void test_no_answer(void **state)
{
	const struct neighbour_config config = {0};
	struct neighbour *entry;
	struct pr_ip ip = ip_of(1);

	(void)state;
	world_start(&config);
	assert_true(neighbour_next_timer(world.table) == NEIGHBOUR_NEVER);
	entry = entry_at(1, 100);
	assert_int_equal(world.broadcast, 1);
	assert_int_equal(hold(entry, 3), 0);
	assert_true(neighbour_next_timer(world.table) == 1100);
	tick(1099);
	assert_int_equal(world.broadcast, 1);
	tick(1100);
	tick(2100);
	assert_int_equal(world.broadcast, 3);
	assert_int_equal(entry->state, NEIGHBOUR_INCOMPLETE);
	assert_int_equal(world.dropped[NEIGHBOUR_DROP_FAILED], 0);
	tick(3100);
	assert_int_equal(entry->state, NEIGHBOUR_FAILED);
	assert_int_equal(world.dropped[NEIGHBOUR_DROP_FAILED], 1);
	assert_int_equal(world.lost, 0);
	/* No new question while the failure is remembered. */
	assert_ptr_equal(entry_at(1, 4000), entry);
	assert_int_equal(hold(entry, 3), -EHOSTUNREACH);
	assert_int_equal(world.broadcast, 3);
	tick(8099);
	assert_ptr_equal(neighbour_find(world.table, 1, &ip), entry);
	tick(8100);
	assert_null(neighbour_find(world.table, 1, &ip));
	assert_int_equal(world.removed, 1);
	world_end();
}

static void test_life(void **state)
{
	const struct neighbour_config config = {0};
	struct neighbour *entry;
	struct pr_ip ip = ip_of(2);

	(void)state;
	world_start(&config);
	entry = entry_at(2, 0);
	for (unsigned i = 0; i < 3; i++)
		hold(entry, 3);
	assert_int_equal(learn(2, 7, 500, NEIGHBOUR_SOLICITED), 0);
	assert_int_equal(entry->state, NEIGHBOUR_REACHABLE);
	assert_int_equal(world.resolved, 1);
	assert_int_equal(world.released, 3);
	for (unsigned i = 0; i < 3; i++)
		assert_ptr_equal(world.last_released[i], &world.packet[i]);
	assert_int_equal(hold(entry, 3), 0);
	assert_int_equal(world.released, 4);
	/* Its own requests confirm nothing; answers do. */
	assert_int_equal(learn(2, 7, 10000, 0), 0);
	tick(30499);
	assert_int_equal(entry->state, NEIGHBOUR_REACHABLE);
	tick(30500);
	assert_int_equal(entry->state, NEIGHBOUR_STALE);
	tick(60000);
	assert_int_equal(entry->state, NEIGHBOUR_STALE);
	assert_int_equal(world.unicast, 0);
	world.in_use = true;
	tick(61000);
	assert_int_equal(entry->state, NEIGHBOUR_PROBE);
	assert_int_equal(world.unicast, 1);
	assert_int_equal(learn(2, 7, 61100, NEIGHBOUR_SOLICITED), 0);
	assert_int_equal(entry->state, NEIGHBOUR_REACHABLE);
	assert_int_equal(world.resolved, 1);
	/* Another MAC, unasked: believed, but not confirmed. */
	assert_int_equal(learn(2, 8, 62000, 0), 0);
	assert_int_equal(world.resolved, 2);
	assert_int_equal(entry->state, NEIGHBOUR_STALE);
	tick(63000);
	assert_int_equal(entry->state, NEIGHBOUR_PROBE);
	tick(64000);
	tick(65000);
	assert_int_equal(world.unicast, 4);
	assert_int_equal(world.lost, 0);
	tick(66000);
	assert_int_equal(entry->state, NEIGHBOUR_FAILED);
	assert_int_equal(world.lost, 1);
	assert_int_equal(learn(2, 9, 66001, 0), 0);
	assert_int_equal(entry->state, NEIGHBOUR_STALE);
	assert_int_equal(world.resolved, 3);
	world.in_use = false;
	for (uint64_t now = 66001; now < 66001 + 600000; now += 500)
		tick(now);
	assert_ptr_equal(neighbour_find(world.table, 1, &ip), entry);
	tick(66001 + 601000);
	assert_null(neighbour_find(world.table, 1, &ip));
	assert_int_equal(world.lost, 2);
	world_end();
}

static void test_learn_rules(void **state)
{
	const struct neighbour_config config = {0};
	struct pr_ip ip = ip_of(4), none = {0};
	struct pr_mac mac = {{2, 1, 1, 1, 1, 1}}, multicast = {{1, 0, 0x5e, 0, 0, 1}};
	struct neighbour *entry;

	(void)state;
	world_start(&config);
	assert_int_equal(learn(4, 1, 0, NEIGHBOUR_SOLICITED), -ENOENT);
	assert_int_equal(learn(4, 1, 0, NEIGHBOUR_CREATE), 0);
	entry = neighbour_find(world.table, 1, &ip);
	assert_int_equal(entry->state, NEIGHBOUR_STALE);
	assert_null(neighbour_find(world.table, 2, &ip));
	assert_int_equal(neighbour_add_static(world.table, 1, &ip, 6, &mac, 5), 0);
	assert_int_equal(entry->state, NEIGHBOUR_STATIC);
	assert_int_equal(entry->port, 6);
	assert_int_equal(learn(4, 1, 10, NEIGHBOUR_SOLICITED), -EPERM);
	assert_memory_equal(&entry->mac, &mac, sizeof(mac));
	assert_true(neighbour_next_timer(world.table) == NEIGHBOUR_NEVER);
	assert_int_equal(neighbour_learn(world.table, 1, &ip, 6, &multicast, 0, 0), -EINVAL);
	assert_int_equal(neighbour_learn(world.table, 1, &ip, 1024, &mac, 0, 0), -EINVAL);
	assert_int_equal(neighbour_learn(world.table, 1, &none, 1, &mac, 0, 3), -EINVAL);
	assert_int_equal(neighbour_add_static(world.table, 1, &ip, 6, &multicast, 5), -EINVAL);
	assert_int_equal(neighbour_forget(world.table, 1, &ip), 0);
	assert_int_equal(neighbour_forget(world.table, 1, &ip), -ENOENT);
	assert_int_equal(world.lost, 1);
	world_end();
}

/* An entry of the wanted state with MAC 1, or none, at a time that goes on from what was before. */
static struct neighbour *entry_in(enum neighbour_state wanted, uint64_t *now)
{
	struct pr_ip ip = ip_of(5);
	struct neighbour *entry;

	neighbour_forget(world.table, 1, &ip);
	*now += 100000;
	world.in_use = false;
	entry = entry_at(5, *now);
	if (wanted == NEIGHBOUR_INCOMPLETE)
		return entry;
	assert_int_equal(learn(5, 1, *now, NEIGHBOUR_SOLICITED), 0);
	if (wanted == NEIGHBOUR_REACHABLE)
		return entry;
	tick(*now += 30000);
	if (wanted == NEIGHBOUR_STALE)
		return entry;
	world.in_use = true;
	tick(*now += 1000);
	for (unsigned n = 0; wanted == NEIGHBOUR_FAILED && n < 3; n++)
		tick(*now += 1000);
	return entry;
}

/* RFC 4861 section 7.2.5 and its table in appendix C, line by line. mac 0: none was said. */
static void test_advertisements(void **state)
{
	enum {
		S = NEIGHBOUR_SOLICITED,
		K = NEIGHBOUR_KEEP,
		INCOMPLETE = NEIGHBOUR_INCOMPLETE,
		REACHABLE = NEIGHBOUR_REACHABLE,
		STALE = NEIGHBOUR_STALE,
		PROBE = NEIGHBOUR_PROBE,
		FAILED = NEIGHBOUR_FAILED,
	};
	static const struct {
		uint8_t before, flags, mac, after, known;
	} lines[] = {
	        {INCOMPLETE, S, 2, REACHABLE, 2},
	        {INCOMPLETE, S | K, 2, REACHABLE, 2},
	        {INCOMPLETE, 0, 2, STALE, 2},
	        {INCOMPLETE, K, 2, STALE, 2},
	        {INCOMPLETE, S, 0, INCOMPLETE, 0},
	        {INCOMPLETE, 0, 0, INCOMPLETE, 0},
	        {REACHABLE, S | K, 2, STALE, 1},
	        {STALE, S | K, 2, STALE, 1},
	        {PROBE, S | K, 2, PROBE, 1},
	        {REACHABLE, K, 2, STALE, 1},
	        {STALE, K, 2, STALE, 1},
	        {PROBE, K, 2, PROBE, 1},
	        {REACHABLE, S | K, 1, REACHABLE, 1},
	        {STALE, S | K, 1, REACHABLE, 1},
	        {PROBE, S | K, 1, REACHABLE, 1},
	        {REACHABLE, S, 1, REACHABLE, 1},
	        {STALE, S, 1, REACHABLE, 1},
	        {PROBE, S, 1, REACHABLE, 1},
	        {REACHABLE, S, 2, REACHABLE, 2},
	        {STALE, S, 2, REACHABLE, 2},
	        {PROBE, S, 2, REACHABLE, 2},
	        {REACHABLE, 0, 1, REACHABLE, 1},
	        {STALE, 0, 1, STALE, 1},
	        {PROBE, 0, 1, PROBE, 1},
	        {REACHABLE, 0, 2, STALE, 2},
	        {STALE, 0, 2, STALE, 2},
	        {PROBE, 0, 2, STALE, 2},
	        {REACHABLE, S, 0, REACHABLE, 1},
	        {STALE, S, 0, REACHABLE, 1},
	        {PROBE, S | K, 0, REACHABLE, 1},
	        {STALE, 0, 0, STALE, 1},
	        {PROBE, K, 0, PROBE, 1},
	        {FAILED, S | K, 2, REACHABLE, 2},
	        {FAILED, S, 0, FAILED, 0},
	};
	const struct neighbour_config config = {0};
	struct pr_ip ip = ip_of(5);
	uint64_t now = 0;

	(void)state;
	world_start(&config);
	for (unsigned n = 0; n < sizeof(lines) / sizeof(lines[0]); n++) {
		struct neighbour *entry = entry_in(lines[n].before, &now);
		struct pr_mac mac = {{2, 0, 0, 0, 0, lines[n].mac}};

		assert_int_equal(entry->state, lines[n].before);
		assert_int_equal(neighbour_learn(world.table, 1, &ip, 5, lines[n].mac ? &mac : NULL,
		                         now, lines[n].flags),
		        0);
		if (entry->state != lines[n].after || entry->mac.b[5] != lines[n].known)
			fail_msg("line %u: state %u, MAC %u", n, entry->state, entry->mac.b[5]);
	}
	/* Confirmed for as long as by any answer; from its own port only, and never made by it. */
	entry_in(NEIGHBOUR_STALE, &now);
	assert_int_equal(neighbour_learn(world.table, 1, &ip, 6, NULL, now, S), 0);
	assert_int_equal(neighbour_find(world.table, 1, &ip)->state, STALE);
	assert_int_equal(neighbour_learn(world.table, 1, &ip, 5, NULL, now, S), 0);
	tick(now + 29999);
	assert_int_equal(neighbour_find(world.table, 1, &ip)->state, REACHABLE);
	tick(now + 30000);
	assert_int_equal(neighbour_find(world.table, 1, &ip)->state, STALE);
	neighbour_forget(world.table, 1, &ip);
	assert_int_equal(
	        neighbour_learn(world.table, 1, &ip, 5, NULL, now, S | NEIGHBOUR_CREATE), -ENOENT);
	world_end();
}

static void test_bounds(void **state)
{
	const struct neighbour_config config = {
	        .max = 8, .max_ports = 16, .held_per_port = 20, .held_max = 30};
	struct neighbour *entry[8], *more;
	struct pr_ip ip = ip_of(100);
	struct neighbour_stats stats;

	(void)state;
	world_start(&config);
	for (unsigned i = 0; i < 8; i++)
		entry[i] = entry_at(i, i);
	assert_int_equal(neighbour_get_or_create(world.table, 1, &ip, 5, 9, &more), -ENOSPC);
	for (unsigned i = 0; i < 17; i++)
		assert_int_equal(hold(entry[0], 1), 0);
	/* The oldest made room. */
	assert_int_equal(world.packet[0], BACK);
	assert_int_equal(world.packet[1], HELD);
	for (unsigned i = 0; i < 4; i++)
		assert_int_equal(hold(entry[1], 1), 0);
	assert_int_equal(hold(entry[1], 1), -ENOBUFS); /* the port's 20 */
	assert_int_equal(hold(entry[0], 1), 0);        /* replaces one of its own */
	for (unsigned i = 0; i < 10; i++)
		assert_int_equal(hold(entry[2], 2), 0);
	assert_int_equal(hold(entry[3], 3), -ENOBUFS);  /* 30 in all */
	assert_int_equal(hold(entry[3], 16), -ENOBUFS); /* no such port */
	neighbour_stats(world.table, &stats);
	assert_int_equal(stats.held, 30);
	assert_int_equal(stats.dropped[NEIGHBOUR_DROP_FULL], 5);
	assert_int_equal(stats.full, 1);
	/* A port that goes takes its packets along, also from neighbours elsewhere. */
	assert_int_equal(neighbour_flush_port(world.table, 2), 0);
	assert_int_equal(entry[2]->held, 0);
	assert_int_equal(world.dropped[NEIGHBOUR_DROP_REMOVED], 10);
	/* The oldest failure makes room. */
	for (uint64_t now = 2000; now <= 4000; now += 1000)
		tick(now);
	assert_int_equal(entry[0]->state, NEIGHBOUR_FAILED);
	assert_int_equal(neighbour_get_or_create(world.table, 1, &ip, 5, 6000, &more), 0);
	neighbour_stats(world.table, &stats);
	assert_int_equal(stats.evicted, 1);
	assert_int_equal(neighbour_flush_port(world.table, 5), 8);
	assert_true(neighbour_next_timer(world.table) == NEIGHBOUR_NEVER);
	world_end();
}

/* What is bounded for a port and in all is buffers: large packets lie in several. */
static void test_buffers(void **state)
{
	const struct neighbour_config config = {.max = 8,
	        .max_ports = 16,
	        .held_per_neighbour = 2,
	        .held_per_port = 20,
	        .held_max = 30};
	struct neighbour *entry[4];
	struct neighbour_stats stats;

	(void)state;
	world_start(&config);
	for (unsigned i = 0; i < 4; i++)
		entry[i] = entry_at(i, i);
	assert_int_equal(hold_large(entry[0], 1, 8), 0);
	assert_int_equal(hold_large(entry[0], 1, 8), 0);
	assert_int_equal(hold_large(entry[1], 1, 8), -ENOBUFS); /* the port's 20 */
	assert_int_equal(hold_large(entry[1], 1, 4), 0);
	assert_int_equal(hold(entry[1], 1), -ENOBUFS);
	/* The oldest makes room for what is no larger. */
	assert_int_equal(hold_large(entry[0], 1, 9), -ENOBUFS);
	assert_int_equal(world.packet[0], HELD);
	assert_int_equal(hold_large(entry[0], 1, 2), 0);
	assert_int_equal(world.packet[0], BACK);
	/* 14 of port 1, and 16 more in all. */
	assert_int_equal(hold_large(entry[2], 2, 12), 0);
	assert_int_equal(hold_large(entry[2], 3, 5), -ENOBUFS);
	assert_int_equal(hold_large(entry[2], 3, 4), 0);
	assert_int_equal(hold(entry[3], 4), -ENOBUFS);
	/* In a neighbour's full queue another port's oldest goes, and its buffers with it. */
	assert_int_equal(hold_large(entry[2], 4, 13), -ENOBUFS);
	assert_int_equal(hold_large(entry[2], 4, 12), 0);
	neighbour_stats(world.table, &stats);
	assert_int_equal(stats.held, 5);
	/* Port 1's go, and its 14 are free again; what stays of others is counted on. */
	neighbour_flush_port(world.table, 1);
	assert_int_equal(hold_large(entry[3], 1, 15), -ENOBUFS);
	assert_int_equal(hold_large(entry[3], 1, 14), 0);
	neighbour_flush_port(world.table, 5);
	neighbour_stats(world.table, &stats);
	assert_int_equal(stats.held, 0);
	world_end();
}

static void test_budget(void **state)
{
	const struct neighbour_config config = {.max = 1000};
	uint32_t n, calls = 0, total = 0;

	(void)state;
	world_start(&config);
	for (unsigned i = 0; i < 700; i++) {
		struct pr_ip ip = pr_ip4_from_host(0xc6130000 + i);
		struct neighbour *entry;

		assert_int_equal(neighbour_get_or_create(world.table, 9, &ip, 5, 0, &entry), 0);
	}
	for (; (n = neighbour_tick(world.table, 1500, 64)) > 0; calls++) {
		assert_in_range(n, 1, 64);
		total += n;
	}
	assert_int_equal(total, 700);
	assert_int_equal(calls, 11);
	assert_int_equal(world.broadcast, 1400);
	assert_int_equal(neighbour_flush_network(world.table, 8), 0);
	assert_int_equal(neighbour_flush_network(world.table, 9), 700);
	world_end();
}

static void check_invariants(void)
{
	struct neighbour_stats stats;
	struct neighbour *entry;
	uint64_t first = NEIGHBOUR_NEVER;
	uint32_t cursor = 0, entries = 0, held = 0, waiting = 0;

	while ((entry = neighbour_next(world.table, &cursor))) {
		entries++;
		held += entry->held;
		assert_in_range(entry->held, 0, 16);
		assert_true(!entry->held || entry->state == NEIGHBOUR_INCOMPLETE);
		assert_int_equal(neighbour_usable(entry), entry->cookie > 0);
		assert_ptr_equal(neighbour_find(world.table, entry->network, &entry->ip), entry);
		assert_int_equal(entry->due == NEIGHBOUR_NEVER, entry->state == NEIGHBOUR_STATIC);
		if (entry->due < first)
			first = entry->due;
	}
	neighbour_stats(world.table, &stats);
	assert_int_equal(stats.entries, entries);
	assert_int_equal(stats.held, held);
	for (unsigned i = 0; i < world.next_packet; i++)
		waiting += world.packet[i] == HELD;
	assert_int_equal(waiting, held);
	assert_int_equal(stats.held_total, world.next_packet);
	assert_int_equal(stats.released, world.released);
	for (unsigned i = 0; i < 3; i++)
		assert_int_equal(stats.dropped[i], world.dropped[i]);
	assert_true(neighbour_next_timer(world.table) == first);
}

static void random_step(uint64_t now)
{
	struct pr_ip ip = ip_of(rnd() % 90);
	struct pr_mac mac = {{2, 0, 0, 0, 0, (uint8_t)(rnd() % 3)}};
	uint16_t network = (uint16_t)(rnd() % 2), port = (uint16_t)(rnd() % 12);
	unsigned what = rnd() % 100;
	struct neighbour *entry;

	if (what < 60) {
		if (!neighbour_get_or_create(world.table, network, &ip, port, now, &entry))
			for (unsigned n = rnd() % 4; n > 0; n--)
				hold_large(
				        entry, (uint16_t)(rnd() % 12), (uint16_t)(1 + rnd() % 2));
	} else if (what < 85) {
		neighbour_learn(
		        world.table, network, &ip, port, rnd() % 8 ? &mac : NULL, now, rnd() % 8);
	} else if (what < 88) {
		neighbour_add_static(world.table, network, &ip, port, &mac, now);
	} else if (what < 97) {
		bool known = neighbour_find(world.table, network, &ip) != NULL;

		assert_int_equal(neighbour_forget(world.table, network, &ip), known ? 0 : -ENOENT);
		assert_null(neighbour_find(world.table, network, &ip));
	} else if (what < 98) {
		neighbour_flush_port(world.table, port);
	} else {
		world.in_use = rnd() % 2;
	}
}

static void test_random(void **state)
{
	const struct neighbour_config config = {.max = 40,
	        .max_ports = 12,
	        .held_per_port = 5,
	        .held_max = 20,
	        .stale_max_ms = 20000,
	        .seed = 77};
	uint64_t now = 1;
	struct neighbour_stats stats;

	(void)state;
	world_start(&config);
	for (unsigned i = 0; i < 30000; i++) {
		random_step(now);
		if (rnd() % 4 == 0) {
			now += rnd() % 4000;
			if (rnd() % 2)
				tick(now);
			else
				neighbour_tick(world.table, now, 3);
		}
		if (i % 16 == 0)
			check_invariants();
	}
	neighbour_stats(world.table, &stats);
	/* Everything that can happen did. */
	assert_true(stats.released && stats.full && stats.evicted);
	for (unsigned i = 0; i < 3; i++)
		assert_true(stats.dropped[i] > 0);
	assert_true(world.unicast && world.broadcast && world.lost && world.resolved);
	print_message("held %u: released %u, dropped %u full, %u failed, %u removed\n",
	        world.next_packet, world.released, world.dropped[0], world.dropped[1],
	        world.dropped[2]);
	world_end();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(test_no_answer),
	        cmocka_unit_test(test_life),
	        cmocka_unit_test(test_learn_rules),
	        cmocka_unit_test(test_advertisements),
	        cmocka_unit_test(test_bounds),
	        cmocka_unit_test(test_buffers),
	        cmocka_unit_test(test_budget),
	        cmocka_unit_test(test_random),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
