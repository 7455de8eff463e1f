/* SPDX-License-Identifier: BSD-3-Clause */
/* Groups of next hops in the real tables: shared, counted, bounded, all or none, and which member a
 * flow takes while ports come and go. No packet is sent. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "dataplane/dataplane.h"
#include "dataplane/ecmp_hash.h"
#include "dataplane/network_control.h"
#include "dataplane/shared.h"

#define PORTS  3
#define GROUPS 16
#define FLOWS  500

static char directory[] = "/tmp/podrail-groups-XXXXXX";
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
	        .max_groups = GROUPS,
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
	return 0;
}

static int stop(void **state)
{
	(void)state;
	dp_stop();
	rmdir(directory);
	return 0;
}

/* n next hops: the pods, or as many hosts behind the first. */
static struct dp_nexthops *list(unsigned n, uint16_t first_weight, uint16_t weight)
{
	struct dp_nexthops *nexthops = dp_nexthops_new(n);

	for (unsigned k = 0; k < n; k++) {
		struct dp_nexthop *member = &nexthops->member[k];

		member->gateway = pr_ip4_from_host(0xc6120002 + k);
		member->port = n <= PORTS ? DP_INDEX_ANY : 0;
		if (n > PORTS)
			strcpy(member->port_name, "p0");
		member->weight = k ? weight : first_weight;
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

static int add(unsigned number, struct dp_nexthops *nexthops, struct dp_error *error)
{
	struct dp_route route = route_to(number, nexthops);
	size_t failed;
	int rc;

	memset(error, 0, sizeof(*error));
	rc = dp_route_add(&route, 1, &failed, error);
	dp_nexthops_release(nexthops);
	return rc;
}

static void del(unsigned number)
{
	struct dp_route route = route_to(number, NULL);
	struct dp_error error;
	size_t removed;

	assert_int_equal(dp_route_del(&route, 1, &removed, &error), 0);
	assert_int_equal(removed, 1);
}

static struct dp_totals totals_now(void)
{
	static struct dp_totals totals;

	memset(&totals, 0, sizeof(totals));
	dp_totals(&totals);
	return totals;
}

/* Groups that nobody leads to are free after a grace period. */
static void wait_groups(uint64_t groups)
{
	for (unsigned n = 0; totals_now().groups.used != groups; n++) {
		assert_true(n < 2000);
		usleep(5000);
	}
}

static void shared_and_freed(void **state)
{
	struct dp_error error;
	uint64_t hops = totals_now().next_hops.used;

	(void)state;
	for (unsigned n = 0; n < 50; n++)
		assert_int_equal(add(n, list(3, 1, 1), &error), 0);
	assert_int_equal(totals_now().groups.used, 1);
	/* Again, and with others, and back. */
	assert_int_equal(add(0, list(3, 1, 1), &error), 0);
	assert_int_equal(add(1, list(3, 5, 1), &error), 0);
	wait_groups(2);
	assert_int_equal(add(1, list(3, 1, 1), &error), 0);
	wait_groups(1);
	for (unsigned n = 0; n < 50; n++)
		del(n);
	wait_groups(0);
	assert_int_equal(totals_now().group_buckets.used, 0);
	assert_int_equal(totals_now().next_hops.used, hops);
}

static void bounded(void **state)
{
	struct dp_error error;
	uint64_t routes = totals_now().routes.used;

	(void)state;
	for (unsigned n = 0; n < GROUPS; n++)
		assert_int_equal(add(n, list(3, (uint16_t)(1 + n), 1), &error), 0);
	assert_int_equal(add(GROUPS, list(3, 100, 1), &error), -ENOSPC);
	assert_int_equal(error.code, PR_ERR_FULL);
	assert_string_equal(error.field, "nexthops");
	assert_non_null(strstr(error.message, "limits.groups"));
	/* Both, the old and the new, are there for a while. */
	assert_int_equal(add(0, list(3, 100, 1), &error), -ENOSPC);
	assert_int_equal(totals_now().routes.used, routes + GROUPS);
	assert_int_equal(totals_now().groups.used, GROUPS);
	/* What is there already needs no room, and what went makes some. */
	assert_int_equal(add(GROUPS, list(3, 1, 1), &error), 0);
	del(GROUPS - 1);
	assert_int_equal(add(GROUPS - 1, list(3, 100, 1), &error), 0);
	for (unsigned n = 0; n <= GROUPS; n++)
		del(n);
	wait_groups(0);
	/* One whose weights need all the buckets. */
	assert_int_equal(add(0, list(64, 1, 256), &error), 0);
	assert_int_equal(totals_now().group_buckets.used, GROUPS * 1024);
	assert_int_equal(add(1, list(1, 1, 1), &error), -ENOSPC);
	del(0);
	wait_groups(0);
}

static void all_or_none(void **state)
{
	struct dp_nexthops *good = list(3, 1, 1), *bad = list(3, 1, 1);
	struct dp_route routes[] = {route_to(0, good), route_to(1, good), route_to(2, bad)};
	uint64_t before = totals_now().routes.used;
	struct dp_error error = {0};
	size_t failed;

	(void)state;
	/* Nobody's address, and no port is named. */
	bad->member[2].gateway = pr_ip4_from_host(0xc6120099);
	assert_int_equal(dp_route_add(routes, 3, &failed, &error), -EHOSTUNREACH);
	assert_int_equal(failed, 2);
	assert_string_equal(error.field, "nexthops[2]");
	assert_int_equal(totals_now().routes.used, before);
	wait_groups(0);
	/* At start-up it waits for its port. */
	routes[2].waits = true;
	assert_int_equal(dp_route_add(routes, 3, &failed, &error), 0);
	assert_int_equal(dp_route_find(network, &routes[2].prefix, &routes[2]), 0);
	assert_true(routes[2].waits);
	assert_int_equal(dp_route_find(network, &routes[1].prefix, &routes[1]), 0);
	assert_false(routes[1].waits);
	for (unsigned n = 0; n < 3; n++)
		del(n);
	dp_nexthops_release(good);
	dp_nexthops_release(bad);
	wait_groups(0);
}

/* ---- flows ---- */

/* What dp_route_get says of each flow; a worker's own look at the buckets says the same. */
static void look(uint8_t member[FLOWS])
{
	uint16_t segment = 1;
	const struct next_hop *group;

	while (!shared->segment[segment].used)
		segment++;
	group = next_hop_get(fib4_lookup(shared->segment[segment].fib, 0x0a000007));
	assert_int_equal(group->type, NEXT_HOP_GROUP);
	for (uint16_t flow = 0; flow < FLOWS; flow++) {
		struct dp_flow asked = {pr_ip4_from_host(0xc0000207), 17, flow, 53};
		struct pr_ip to = pr_ip4_from_host(0x0a000007);
		uint8_t ip[28] = {0x45, [9] = 17, [12] = 192, 0, 2, 7, 10, 0, 0, 7,
		        (uint8_t)(flow >> 8), (uint8_t)flow, 0, 53};
		struct dp_route_lookup answer;
		const struct next_hop *hop;

		assert_int_equal(dp_route_get(network, &to, &asked, &answer), 0);
		member[flow] = (uint8_t)answer.member;
		hop = next_hop_get(atomic_load(
		        &group->buckets[ecmp_hash4(ip, sizeof(ip), 12345) & group->mask]));
		assert_int_equal(hop->port, answer.port);
		assert_true(pr_ip_equal(&hop->gateway, &answer.gateway));
	}
}

static void wait_state(unsigned member, enum dp_nexthop_state wanted)
{
	struct pr_prefix prefix = route_to(0, NULL).prefix;
	enum dp_nexthop_state states[PR_NEXTHOPS_MAX];
	struct dp_route route;
	unsigned n = 0;

	do {
		assert_true(n++ < 2000);
		usleep(5000);
		assert_int_equal(dp_route_find(network, &prefix, &route), 0);
		dp_nexthop_states(&route, states);
	} while (states[member] != wanted);
}

static void ports_come_and_go(void **state)
{
	uint8_t before[FLOWS], after[FLOWS];
	struct dp_error error;
	unsigned moved = 0;

	(void)state;
	assert_int_equal(add(0, list(3, 1, 2), &error), 0);
	look(before);
	atomic_store(&shared->port[1].device->guest, 0);
	wait_state(1, DP_NEXTHOP_DOWN);
	look(after);
	for (unsigned flow = 0; flow < FLOWS; flow++) {
		assert_int_not_equal(after[flow], 1);
		assert_true(after[flow] == before[flow] || before[flow] == 1);
		moved += after[flow] != before[flow];
	}
	assert_true(moved > FLOWS / 5);
	atomic_store(&shared->port[1].device->guest, 1);
	wait_state(1, DP_NEXTHOP_UP);
	look(after);
	assert_memory_equal(before, after, FLOWS);
	/* The port is removed, and comes again: the route is added anew then, as control does. */
	assert_int_equal(dp_port_del(1, &error), 0);
	wait_state(1, DP_NEXTHOP_DOWN);
	add_port(1);
	assert_int_equal(add(0, list(3, 1, 2), &error), 0);
	look(after);
	assert_memory_equal(before, after, FLOWS);
	/* All gone: to whom they belong. */
	for (unsigned n = 0; n < PORTS; n++)
		atomic_store(&shared->port[n].device->guest, 0);
	for (unsigned n = 0; n < PORTS; n++)
		wait_state(n, DP_NEXTHOP_DOWN);
	look(after);
	assert_memory_equal(before, after, FLOWS);
	for (unsigned n = 0; n < PORTS; n++)
		atomic_store(&shared->port[n].device->guest, 1);
	del(0);
	wait_groups(0);
}

/* Nobody is there: taken for alive until three questions went unanswered. */
static void silent(void **state)
{
	struct dp_nexthops *nexthops = list(2, 1, 1);
	struct dp_error error;

	(void)state;
	nexthops->member[1].gateway = pr_ip4_from_host(0xc6120099);
	nexthops->member[1].port = 0;
	assert_int_equal(add(0, nexthops, &error), 0);
	wait_state(1, DP_NEXTHOP_SILENT);
	wait_state(0, DP_NEXTHOP_UP);
	/* A person says where it is: there is nothing to ask any more. */
	assert_int_equal(dp_neighbour_add(&(struct dp_neighbour){.network = network,
	                                          .port = 0,
	                                          .address = pr_ip4_from_host(0xc6120099),
	                                          .mac = {{2, 0, 0, 0, 0, 0x99}}},
	                         &error),
	        0);
	wait_state(1, DP_NEXTHOP_UP);
	del(0);
	wait_groups(0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(shared_and_freed),
	        cmocka_unit_test(bounded),
	        cmocka_unit_test(all_or_none),
	        cmocka_unit_test(ports_come_and_go),
	        cmocka_unit_test(silent),
	};

	return cmocka_run_group_tests(tests, start, stop);
}
