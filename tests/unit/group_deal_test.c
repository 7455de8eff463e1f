/* SPDX-License-Identifier: BSD-3-Clause */
/* Many groups of next hops behind one port that goes and comes: each is dealt out once, a few in
 * each turn of the tables thread, all of them soon. No packet is sent. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "dataplane/dataplane.h"
#include "dataplane/hop_group_deal.h"
#include "dataplane/network_control.h"
#include "dataplane/shared.h"

#define PORTS   2
#define GROUPS  200
#define MEMBERS PR_NEXTHOPS_MAX
#define MARGIN  (8 + 4 * MEMBERS + MEMBERS + 1) /* a turn may end with one group too many */

static char directory[] = "/tmp/podrail-deals-XXXXXX";
static uint16_t network;

static void log_nothing(int priority, const char *message)
{
	(void)priority;
	(void)message;
}

static void add_port(unsigned n)
{
	struct dp_port_spec spec = {.index = DP_INDEX_ANY,
	        .kind = DP_PORT_VHOST_USER,
	        .network = network,
	        .mtu = 1500,
	        .mac = {{2, 0, 0, 0, 0, (uint8_t)n}},
	        .n_addresses = 1,
	        .socket_gid = -1,
	        .queues = 1};
	struct dp_error error;
	struct pr_mac mac;
	uint16_t index;

	snprintf(spec.name, sizeof(spec.name), "p%u", n);
	snprintf(spec.socket, sizeof(spec.socket), "%s/%u", directory, n);
	spec.addresses[0] = (struct pr_prefix){pr_ip4_from_host(0xc6120002 + n), 24};
	assert_int_equal(dp_port_add(&spec, &index, &mac, &error), 0);
	assert_int_equal(index, n);
	atomic_store(&shared->port[n].device->guest, 1);
}

/* Nobody answers for the members: they would fall silent in the midst of it. */
static void add_neighbours(void)
{
	for (unsigned k = 0; k < MEMBERS; k++) {
		struct dp_neighbour neighbour = {.network = network,
		        .port = (uint16_t)(k % PORTS),
		        .address = pr_ip4_from_host(0xc6120040 + k),
		        .mac = {{2, 0, 0, 0, 1, (uint8_t)k}}};
		struct dp_error error;

		assert_int_equal(dp_neighbour_add(&neighbour, &error), 0);
	}
}

static int start(void **state)
{
	struct dp_config config = {.n_workers = 1,
	        .idle = DP_IDLE_SLEEP,
	        .no_huge = true,
	        .mbufs = 1024,
	        .max_routes = 1024,
	        .max_routes6 = 64,
	        .max_fib_nodes = 256,
	        .max_fdb = 64,
	        .max_neighbours = 256,
	        .max_groups = GROUPS + 16,
	        .max_reassemblies = 64,
	        .max_reassembly_bytes = 1u << 20,
	        .flow_seed = 12345,
	        .log = log_nothing};
	struct dp_network_spec spec = {.index = DP_INDEX_ANY,
	        .routed = true,
	        .mtu = 1500,
	        .name = "n",
	        .n_subnets = 1,
	        .n_gateways = 1,
	        .gateway_mac = {{2, 0x70, 0x72, 0, 0, 1}}};
	struct dp_error error;

	(void)state;
	if (!mkdtemp(directory))
		return -1;
	snprintf(config.run_dir, sizeof(config.run_dir), "%s", directory);
	pr_prefix_parse("198.18.0.0/24", &spec.subnets[0]);
	pr_ip_parse("198.18.0.1", &spec.gateways[0]);
	if (dp_start(&config, &error) || dp_network_add(&spec, &network, &error)) {
		fprintf(stderr, "%s\n", error.message);
		return -1;
	}
	for (unsigned n = 0; n < PORTS; n++)
		add_port(n);
	add_neighbours();
	return 0;
}

static int stop(void **state)
{
	(void)state;
	dp_stop();
	rmdir(directory);
	return 0;
}

/* Hosts behind the ports in turn. Lists of another number differ by the weight of one member. */
static struct dp_nexthops *list(unsigned number, uint16_t weight)
{
	struct dp_nexthops *nexthops = dp_nexthops_new(MEMBERS);

	for (unsigned k = 0; k < MEMBERS; k++) {
		struct dp_nexthop *member = &nexthops->member[k];

		member->gateway = pr_ip4_from_host(0xc6120040 + k);
		member->port = (uint16_t)(k % PORTS);
		snprintf(member->port_name, sizeof(member->port_name), "p%u", k % PORTS);
		member->weight = 1;
		if (k == number % MEMBERS)
			member->weight = (uint16_t)(2 + number / MEMBERS);
		else if (k != (number + 1) % MEMBERS)
			member->weight = weight;
	}
	return nexthops;
}

static struct dp_route route_to(unsigned number, struct dp_nexthops *nexthops)
{
	return (struct dp_route){.network = network,
	        .prefix = {pr_ip4_from_host(0x0a000000 + (number << 8)), 24},
	        .port = DP_INDEX_ANY,
	        .nexthops = nexthops};
}

/* All in one request, as a controller brings them. */
static void add(unsigned first, unsigned n, uint16_t weight)
{
	struct dp_route routes[GROUPS];
	struct dp_error error;
	size_t failed;

	for (unsigned k = 0; k < n; k++)
		routes[k] = route_to(first + k, list(first + k, weight));
	assert_int_equal(dp_route_add(routes, n, &failed, &error), 0);
	for (unsigned k = 0; k < n; k++)
		dp_nexthops_release(routes[k].nexthops);
}

static void del(unsigned first, unsigned n)
{
	struct dp_error error;
	size_t removed;

	for (unsigned k = 0; k < n; k++) {
		struct dp_route route = route_to(first + k, NULL);

		assert_int_equal(dp_route_del(&route, 1, &removed, &error), 0);
		assert_int_equal(removed, 1);
	}
}

static uint64_t now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000;
}

/* Until so many groups were dealt; then some while longer, in which none may be. Returns how long
 * the first part took. */
static uint64_t wait_deals(uint64_t wanted)
{
	uint64_t began = now_ms(), took;

	while (atomic_load(&deal_stats.groups) < wanted) {
		assert_true(now_ms() - began < 20000);
		usleep(1000);
	}
	took = now_ms() - began;
	usleep(50000);
	assert_int_equal(atomic_load(&deal_stats.groups), wanted);
	return took;
}

/* All buckets of the route's group lead through ports that are there. */
static void assert_dealt(unsigned number, unsigned without)
{
	uint32_t seen = 0;
	uint16_t segment = 1;
	const struct next_hop *group;

	while (!shared->segment[segment].used)
		segment++;
	group = next_hop_get(fib4_lookup(shared->segment[segment].fib, 0x0a000007 + (number << 8)));
	assert_int_equal(group->type, NEXT_HOP_GROUP);
	for (uint32_t b = 0; b <= group->mask; b++)
		seen |= 1u << next_hop_get(atomic_load(&group->buckets[b]))->port;
	assert_int_equal(seen, 3u & ~(1u << without));
}

/* The whole may take long on a busy machine, but never half of the groups in a turn. */
static void each_once_and_few_in_a_turn(void **state)
{
	uint64_t dealt;

	(void)state;
	add(0, GROUPS, 1);
	for (unsigned n = 0; n < GROUPS; n++)
		assert_dealt(n, PORTS);
	dealt = atomic_load(&deal_stats.groups);
	assert_int_equal(dealt, 0);
	for (unsigned up = 0; up < 2; up++) {
		/* All the members of a port at once. */
		atomic_store(&shared->port[0].device->guest, (int)up);
		dealt += GROUPS;
		print_message("%u groups in %lu ms\n", GROUPS, (unsigned long)wait_deals(dealt));
		for (unsigned n = 0; n < GROUPS; n++)
			assert_dealt(n, up ? PORTS : 0);
		assert_true(deal_stats.most <= DEAL_BUDGET + MARGIN);
	}
	/* Groups that are made meanwhile know of it. */
	atomic_store(&shared->port[1].device->guest, 0);
	dealt += GROUPS;
	wait_deals(dealt);
	del(0, 10);
	add(0, 10, 1);
	for (unsigned n = 0; n < GROUPS; n++)
		assert_dealt(n, 1);
	atomic_store(&shared->port[1].device->guest, 1);
	dealt += GROUPS;
	wait_deals(dealt);
	del(0, GROUPS);
}

/* One group of so many buckets takes several turns. */
static void a_large_one_in_parts(void **state)
{
	uint64_t dealt = atomic_load(&deal_stats.groups);

	(void)state;
	add(0, 1, PR_WEIGHT_MAX);
	assert_dealt(0, PORTS);
	deal_stats.most = 0;
	atomic_store(&shared->port[0].device->guest, 0);
	wait_deals(++dealt);
	assert_dealt(0, 0);
	assert_in_range(deal_stats.most, DEAL_BUDGET, DEAL_BUDGET + MARGIN);
	atomic_store(&shared->port[0].device->guest, 1);
	wait_deals(++dealt);
	assert_dealt(0, PORTS);
	del(0, 1);
}

/* A port that is removed: what fits into that turn at once, the others after it. */
static void a_port_is_removed(void **state)
{
	uint64_t dealt = atomic_load(&deal_stats.groups);
	struct dp_error error;

	(void)state;
	add(0, GROUPS, 1);
	deal_stats.most = 0;
	assert_int_equal(dp_port_del(1, &error), 0);
	wait_deals(dealt + GROUPS);
	assert_true(deal_stats.most <= DEAL_BUDGET + MARGIN);
	for (unsigned n = 0; n < GROUPS; n++)
		assert_dealt(n, 1);
	del(0, GROUPS);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(each_once_and_few_in_a_turn),
	        cmocka_unit_test(a_large_one_in_parts),
	        cmocka_unit_test(a_port_is_removed),
	};

	return cmocka_run_group_tests(tests, start, stop);
}
