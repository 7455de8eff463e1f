/* SPDX-License-Identifier: BSD-3-Clause */
/* Routed networks of both families: what networks, ports, routes and neighbours accept, list, store
 * and bring back. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "control/object.h"
#include "fake_control.h"
#include "fake_dataplane.h"

static char dir[64];

/* The fake's devices have the MAC 02:de:00:00:00:01. */
#define OUR_UPLINK "fe80::de:ff:fe00:1"

static int setup(void **state)
{
	(void)state;
	fake_control_reset();
	directory_make(dir);
	call_ok("network.add", "{'name':'blue','mode':'routed',"
	                       "'subnets':['2001:db8:1::/64','198.18.0.0/24']}");
	call_ok("port.add",
	        "{'name':'p1','kind':'vhost-user','network':'blue','socket':'%s/1',"
	        "'addresses':['2001:db8:1::5/64','198.18.0.5/24'],"
	        "'allowedPrefixes':['2001:db8:77::/48']}",
	        dir);
	call_ok("port.add", "{'name':'up','kind':'eth','network':'blue','device':'net_null0',"
	                    "'addresses':['2001:db8:9::2/64','192.0.2.2/24']}");
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	directory_remove(dir);
	return 0;
}

#define R(prefix, rest) "{'network':'blue','prefix':'" prefix "'" rest "}"

static void gateways_of_both_families(void **state)
{
	const struct dp_network_spec *spec = fake_dp_network("blue");
	char text[PR_IP_STRLEN];

	(void)state;
	assert_int_equal(spec->n_gateways, 3);
	assert_string_equal(pr_ip_format(&spec->gateways[0], text), "2001:db8:1::1");
	assert_string_equal(pr_ip_format(&spec->gateways[1], text), "198.18.0.1");
	call_refused(PR_ERR_CONFLICT, "addresses[0]", "the gateway's address", "port.add",
	        "{'name':'p2','kind':'vhost-user','network':'blue','socket':'%s/2',"
	        "'addresses':['2001:db8:1::1/64']}",
	        dir);
	call_refused(PR_ERR_PARAMS, "addresses[0]", "none of the subnets", "port.add",
	        "{'name':'p2','kind':'vhost-user','network':'blue','socket':'%s/2',"
	        "'addresses':['2001:db8:2::2/64']}",
	        dir);
	call_refused(PR_ERR_CONFLICT, "addresses[0]", "p1", "port.add",
	        "{'name':'p2','kind':'vhost-user','network':'blue','socket':'%s/2',"
	        "'addresses':['2001:db8:1::5/128']}",
	        dir);
	call_refused(PR_ERR_PARAMS, "addresses[0]", "link-local", "port.add",
	        "{'name':'p2','kind':'vhost-user','network':'blue','socket':'%s/2',"
	        "'addresses':['fe80::5/64']}",
	        dir);
}

static void accepted_forms(void **state)
{
	(void)state;
	call_answers("{'created':true,'route':{'network':'blue','prefix':'2001:db8:aa::/48',"
	             "'gateway':'2001:db8:1::9','port':'','type':'via','owner':'static',"
	             "'state':'active'}}",
	        "route.add", R("2001:db8:aa::/48", ",'gateway':'2001:db8:1::9'"));
	call_ok("route.add", R("2001:db8:ab::/48", ",'port':'up'"));
	call_ok("route.add", R("2001:db8:ac::/48", ",'gateway':'2001:db8:9::1'"));
	call_ok("route.add", R("2001:db8:ad::/48", ",'gateway':'2001:db8:77::7','port':'p1'"));
	call_ok("route.add", R("2001:db8:ae::/48", ",'gateway':'2001:db8:1::5'"));
	call_ok("route.add", R("2001:db8:af::9/128", ",'type':'blackhole'"));
	call_ok("route.add", R("::/0", ",'gateway':'fe80::9','port':'up'"));
	call_ok("route.add", R("2001:db8:b0::/48", ",'gateway':'fe80::9','port':'p1'"));
	assert_int_equal(stored_count("route"), 8);
}

static void refused_forms(void **state)
{
	size_t before = fake_dp_routes();

	(void)state;
	call_refused(PR_ERR_PARAMS, "gateway", "our own address", "route.add",
	        R("2001:db8:aa::/48", ",'gateway':'2001:db8:1::1'"));
	call_refused(PR_ERR_PARAMS, "gateway", "our own address", "route.add",
	        R("2001:db8:aa::/48", ",'gateway':'2001:db8:9::2'"));
	/* Ours on the pod's link, not on the uplink's; and the other way round. */
	call_refused(PR_ERR_PARAMS, "gateway", "our own address", "route.add",
	        R("2001:db8:aa::/48", ",'gateway':'fe80::1','port':'p1'"));
	call_refused(PR_ERR_PARAMS, "gateway", "our own address", "route.add",
	        R("2001:db8:aa::/48", ",'gateway':'" OUR_UPLINK "','port':'up'"));
	call_refused(PR_ERR_PARAMS, "gateway", "bits set that must be zero", "route.add",
	        R("2001:db8:aa::/48", ",'gateway':'fe80:7::9','port':'up'"));
	call_refused(PR_ERR_PARAMS, "gateway", "name the port", "route.add",
	        R("2001:db8:aa::/48", ",'gateway':'fe80::9'"));
	call_refused(PR_ERR_PARAMS, "gateway", "multicast", "route.add",
	        R("2001:db8:aa::/48", ",'gateway':'ff02::9','port':'up'"));
	call_refused(PR_ERR_PARAMS, "gateway", "allowedPrefixes", "route.add",
	        R("2001:db8:aa::/48", ",'gateway':'2001:db8:1::9','port':'p1'"));
	call_refused(PR_ERR_PARAMS, "gateway", "not of the prefix's family", "route.add",
	        R("10.0.0.0/8", ",'gateway':'fe80::9','port':'up'"));
	assert_int_equal(fake_dp_routes(), before);
	assert_int_equal(stored_count("route"), 0);
	call_ok("route.add", R("2001:db8:aa::/48", ",'gateway':'fe80::1','port':'up'"));
	call_ok("route.add", R("2001:db8:ab::/48", ",'gateway':'" OUR_UPLINK "','port':'p1'"));
}

static void one_prefix_has_one_owner(void **state)
{
	(void)state;
	call_refused(PR_ERR_CONFLICT, "prefix", "\"port\"", "route.add",
	        R("2001:db8:1::5/128", ",'port':'up'"));
	call_refused(PR_ERR_CONFLICT, "prefix", "\"connected\"", "route.add",
	        R("2001:db8:1::/64", ",'port':'up'"));
	call_ok("route.add", R("2001:db8:1::7/128", ",'port':'up'"));
	call_refused(PR_ERR_CONFLICT, "addresses[0]", "2001:db8:1::7/128 (owner \"static\")",
	        "port.add",
	        "{'name':'p2','kind':'vhost-user','network':'blue','socket':'%s/2',"
	        "'addresses':['2001:db8:1::7/64']}",
	        dir);
	/* A shorter one is none of its business. */
	call_ok("route.add", R("2001:db8::/32", ",'port':'up'"));
	call_ok("port.add",
	        "{'name':'p2','kind':'vhost-user','network':'blue','socket':'%s/2',"
	        "'addresses':['2001:db8:1::8/64']}",
	        dir);
}

/* IPv4 first, each by address and length, whatever the page; those that wait are merged in. */
static void pages_of_both_families(void **state)
{
	char after[128] = "";
	unsigned seen = 0, pages = 0, turns = 0;
	struct pr_prefix before = {0};

	(void)state;
	for (int i = 0; i < 10; i++) {
		call_ok("route.add", R("2001:db8:%x::/48", ",'port':'%s'"), 0x100 * i + 0x100,
		        i % 3 ? "up" : "p1");
		call_ok("route.add", R("10.%d.0.0/16", ",'port':'%s'"), i, i % 3 ? "up" : "p1");
	}
	call_ok("port.del", "{'name':'p1'}");
	do {
		cJSON *result = call("route.list", "{'limit':3,'after':'%s'}", after);
		const cJSON *item;

		assert_non_null(result);
		cJSON_ArrayForEach (item, json_array(result, "routes")) {
			struct pr_prefix prefix;

			assert_int_equal(
			        pr_prefix_parse(json_string(item, "prefix", ""), &prefix), 0);
			assert_true(!seen || prefix_compare(&before, &prefix) < 0);
			turns += seen && before.addr.family != prefix.addr.family;
			before = prefix;
			seen++;
		}
		snprintf(after, sizeof(after), "%s", json_string(result, "next", ""));
		cJSON_Delete(result);
		pages++;
	} while (*after);
	assert_int_equal(turns, 1);
	assert_int_equal(seen, 20 + fake_dp_routes() - 12);
	assert_int_equal(pages, (seen + 2) / 3);
}

static void all_comes_back(void **state)
{
	size_t routes;
	cJSON *before, *after;

	(void)state;
	call_ok("route.add", R("::/0", ",'gateway':'fe80::9','port':'up'"));
	call_ok("route.add", R("2001:db8:aa::/48", ",'gateway':'fe80::9','port':'p1'"));
	call_ok("route.add", R("2001:db8:ab::/48", ",'gateway':'2001:db8:1::5'"));
	call_ok("neighbour.add", "{'network':'blue','port':'up','address':'fe80::9',"
	                         "'mac':'02:00:00:00:00:09'}");
	routes = fake_dp_routes();
	before = call("route.list", "{}");
	assert_int_equal(fake_restart(), 0);
	after = call("route.list", "{}");
	assert_true(cJSON_Compare(before, after, true));
	assert_int_equal(fake_dp_routes(), routes);
	assert_int_equal(fake_dp_neighbours(), 1);
	assert_int_equal(fake_dp_network("blue")->subnets[0].addr.family, AF_INET6);
	assert_int_equal(fake_dp_port("p1")->addresses[0].addr.family, AF_INET6);
	cJSON_Delete(before);
	cJSON_Delete(after);
	/* The same gateway on another link is another route. */
	call_refused(PR_ERR_EXISTS, "port", "", "route.add",
	        R("::/0", ",'gateway':'fe80::9','port':'p1'"));
	call_ok("port.del", "{'name':'p1'}");
	call_answers("{'routes':[{'network':'blue','prefix':'::/0','gateway':'fe80::9',"
	             "'port':'up','type':'via','owner':'static','state':'active'},"
	             "{'network':'blue','prefix':'2001:db8:aa::/48','gateway':'fe80::9',"
	             "'port':'p1','type':'via','owner':'static','state':'inactive'},"
	             "{'network':'blue','prefix':'2001:db8:ab::/48','gateway':'2001:db8:1::5',"
	             "'port':'','type':'via','owner':'static','state':'inactive'}],'next':''}",
	        "route.list", "{'owner':'static'}");
	assert_int_equal(fake_restart(), 0);
	call_ok("port.add",
	        "{'name':'p1','kind':'vhost-user','network':'blue','socket':'%s/1',"
	        "'addresses':['2001:db8:1::5/128']}",
	        dir);
	assert_int_equal(fake_dp_routes(), routes - 1);
}

static void get_tells_what_the_tables_do(void **state)
{
	(void)state;
	call_answers("{'route':{'network':'blue','prefix':'2001:db8:1::5/128','gateway':'',"
	             "'port':'p1','type':'port','owner':'port','state':'active'},"
	             "'nextHop':{'type':'port','port':'p1','gateway':'2001:db8:1::5','mac':'',"
	             "'state':'unresolved'}}",
	        "route.get", "{'network':'blue','address':'2001:db8:1::5'}");
	call_refused(PR_ERR_NOT_FOUND, "address", "no route to 2001:db8:ffff::1", "route.get",
	        "{'network':'blue','address':'2001:db8:ffff::1'}");
	call_ok("route.add", R("::/0", ",'gateway':'fe80::9','port':'up'"));
	call_answers("{'route':{'network':'blue','prefix':'::/0','gateway':'fe80::9','port':'up',"
	             "'type':'via','owner':'static','state':'active'},"
	             "'nextHop':{'type':'via','port':'up','gateway':'fe80::9','mac':'',"
	             "'state':'unresolved'}}",
	        "route.get", "{'network':'blue','address':'2001:db8:ffff::1'}");
	call_refused(PR_ERR_PARAMS, "address", "link-local", "route.get",
	        "{'network':'blue','address':'fe80::9'}");
}

static void sync_of_both_families(void **state)
{
	static const char chunk[] = "{'owner':'bgp','network':'blue','step':'chunk','routes':["
	                            "{'prefix':'2001:db8:aa::/48','gateway':'fe80::9','port':'up'},"
	                            "{'prefix':'10.0.0.0/8','gateway':'192.0.2.1'},"
	                            "{'prefix':'2001:db8:ab::/48','gateway':'2001:db8:9::1'}]}";

	(void)state;
	for (unsigned round = 0; round < 2; round++) {
		call_ok("route.sync", "{'owner':'bgp','network':'blue','step':'begin'}");
		call_ok("route.sync", "%s", chunk);
		call_answers(round ? "{'added':0,'removed':0,'kept':3}"
		                   : "{'added':3,'removed':0,'kept':0}",
		        "route.sync", "{'owner':'bgp','network':'blue','step':'commit'}");
	}
	call_ok("route.sync", "{'owner':'bgp','network':'blue','step':'begin'}");
	call_refused(PR_ERR_PARAMS, "routes[0].gateway", "name the port", "route.sync",
	        "{'owner':'bgp','network':'blue','step':'chunk','routes':["
	        "{'prefix':'2001:db8:aa::/48','gateway':'fe80::9'}]}");
	call_ok("route.sync", "{'owner':'bgp','network':'blue','step':'chunk','routes':["
	                      "{'prefix':'2001:db8:aa::/48','gateway':'fe80::9','port':'p1'}]}");
	call_answers("{'added':1,'removed':2,'kept':0}", "route.sync",
	        "{'owner':'bgp','network':'blue','step':'commit'}");
}

/* Each family has a limit of its own, and a chunk that goes beyond one is not taken at all. */
static void sync_of_too_many(void **state)
{
	(void)state;
	fake_dp.totals.routes.size = 3;
	fake_dp.totals.routes6.size = 2;
	call_ok("route.sync", "{'owner':'bgp','network':'blue','step':'begin'}");
	call_ok("route.sync", "{'owner':'bgp','network':'blue','step':'chunk','routes':["
	                      "{'prefix':'10.1.0.0/16','port':'up'},"
	                      "{'prefix':'10.2.0.0/16','port':'up'},"
	                      "{'prefix':'2001:db8:a1::/48','port':'up'}]}");
	call_refused(PR_ERR_FULL, "routes", "2 IPv6 routes; raise limits.routes6", "route.sync",
	        "{'owner':'bgp','network':'blue','step':'chunk','routes':["
	        "{'prefix':'10.3.0.0/16','port':'up'},"
	        "{'prefix':'2001:db8:a2::/48','port':'up'},"
	        "{'prefix':'2001:db8:a3::/48','port':'up'}]}");
	call_refused(PR_ERR_FULL, "routes", "3 IPv4 routes; raise limits.routes of", "route.sync",
	        "{'owner':'bgp','network':'blue','step':'chunk','routes':["
	        "{'prefix':'10.3.0.0/16','port':'up'},"
	        "{'prefix':'10.4.0.0/16','port':'up'}]}");
	call_ok("route.sync", "{'owner':'bgp','network':'blue','step':'chunk','routes':["
	                      "{'prefix':'10.3.0.0/16','port':'up'},"
	                      "{'prefix':'2001:db8:a2::/48','port':'up'}]}");
	call_answers("{'added':5,'removed':0,'kept':0}", "route.sync",
	        "{'owner':'bgp','network':'blue','step':'commit'}");
}

/* ---- neighbours ---- */

#define N(port, mac)                                                                               \
	"{'network':'blue','port':'" port "','address':'fe80::9','mac':'02:00:00:00:00:" mac "'}"
#define SHOWN(port, mac, state)                                                                    \
	"{'network':'blue','port':'" port "','address':'fe80::9','mac':'02:00:00:00:00:" mac       \
	"','state':'" state "','held':0,'age':0}"

static void one_address_on_two_links(void **state)
{
	(void)state;
	call_answers("{'created':true,'neighbour':" SHOWN("up", "0a", "static") "}",
	        "neighbour.add", N("up", "0a"));
	call_answers("{'created':true,'neighbour':" SHOWN("p1", "0b", "static") "}",
	        "neighbour.add", N("p1", "0b"));
	call_answers("{'created':false,'neighbour':" SHOWN("up", "0a", "static") "}",
	        "neighbour.add", N("up", "0a"));
	call_refused(PR_ERR_EXISTS, "mac", "", "neighbour.add", N("p1", "0a"));
	assert_int_equal(fake_dp_neighbours(), 2);
	assert_int_equal(stored_count("neighbour"), 2);
	call_answers(
	        "{'neighbours':[" SHOWN("p1", "0b", "static") "," SHOWN("up", "0a", "static") "]}",
	        "neighbour.list", "{}");
	/* One goes with its port and comes back with it; the other does not notice. */
	call_ok("port.del", "{'name':'p1'}");
	assert_int_equal(fake_dp_neighbours(), 1);
	call_answers("{'neighbours':[" SHOWN("p1", "0b", "inactive") "," SHOWN(
	                     "up", "0a", "static") "]}",
	        "neighbour.list", "{}");
	assert_int_equal(fake_restart(), 0);
	assert_int_equal(fake_dp_neighbours(), 1);
	call_ok("port.add",
	        "{'name':'p1','kind':'vhost-user','network':'blue','socket':'%s/1',"
	        "'addresses':['2001:db8:1::5/128']}",
	        dir);
	assert_int_equal(fake_dp_neighbours(), 2);
	call_refused(PR_ERR_PARAMS, "port", "name the port whose link", "neighbour.del",
	        "{'network':'blue','address':'fe80::9'}");
	call_answers("{'removed':true}", "neighbour.del",
	        "{'network':'blue','address':'fe80::9','port':'up'}");
	call_answers("{'removed':false}", "neighbour.del",
	        "{'network':'blue','address':'fe80::9','port':'up'}");
	call_answers("{'neighbours':[" SHOWN("p1", "0b", "static") "]}", "neighbour.list", "{}");
	assert_int_equal(stored_count("neighbour"), 1);
	call_ok("port.del", "{'name':'p1'}");
	call_answers("{'removed':true}", "neighbour.del",
	        "{'network':'blue','address':'fe80::9','port':'p1'}");
	assert_int_equal(stored_count("neighbour"), 0);
}

static void uncommitted_ones_of_one_link(void **state)
{
	(void)state;
	call_ok("neighbour.add", N("up", "0a"));
	fake_control.fail_commit = true;
	call_refused(PR_ERR_STORAGE, "", "", "neighbour.add", N("p1", "0b"));
	assert_int_equal(fake_dp_neighbours(), 1);
	call_refused(PR_ERR_STORAGE, "", "", "neighbour.del",
	        "{'network':'blue','address':'fe80::9','port':'up'}");
	fake_control.fail_commit = false;
	call_answers("{'neighbours':[" SHOWN("up", "0a", "static") "]}", "neighbour.list", "{}");
	assert_int_equal(fake_dp_neighbours(), 1);
}

static void learned_ones_of_one_link(void **state)
{
	struct dp_neighbour learned = {.state = DP_NEIGHBOUR_STALE};

	(void)state;
	assert_int_equal(pr_ip_parse("fe80::9", &learned.address), 0);
	for (unsigned n = 0; n < 2; n++) {
		learned.port = fake_dp_port(n ? "p1" : "up")->index;
		fake_dp_learn_neighbour(&learned);
	}
	call_answers("{'removed':false}", "neighbour.del",
	        "{'network':'blue','address':'fe80::9','port':'none'}");
	call_answers("{'removed':true}", "neighbour.del",
	        "{'network':'blue','address':'fe80::9','port':'p1'}");
	assert_int_equal(fake_dp_neighbours(), 1);
	call_answers("{'removed':false}", "neighbour.del",
	        "{'network':'blue','address':'fe80::9','port':'p1'}");
}

static void a_named_port_bounds_any_removal(void **state)
{
	(void)state;
	call_ok("neighbour.add", "{'network':'blue','port':'up','address':'2001:db8:9::7',"
	                         "'mac':'02:00:00:00:00:07'}");
	call_answers("{'removed':false}", "neighbour.del",
	        "{'network':'blue','address':'2001:db8:9::7','port':'p1'}");
	call_answers("{'removed':true}", "neighbour.del",
	        "{'network':'blue','address':'2001:db8:9::7','port':'up'}");
	call_ok("neighbour.add", "{'network':'blue','port':'up','address':'2001:db8:9::7',"
	                         "'mac':'02:00:00:00:00:07'}");
	call_answers("{'removed':true}", "neighbour.del",
	        "{'network':'blue','address':'2001:db8:9::7'}");
}

static void our_own_are_no_neighbours(void **state)
{
	(void)state;
	call_refused(PR_ERR_CONFLICT, "address", "gateway's", "neighbour.add",
	        "{'network':'blue','port':'up','address':'2001:db8:1::1',"
	        "'mac':'02:00:00:00:00:07'}");
	call_refused(PR_ERR_CONFLICT, "address", "port \"p1\" has", "neighbour.add",
	        "{'network':'blue','port':'up','address':'2001:db8:1::5',"
	        "'mac':'02:00:00:00:00:07'}");
	call_refused(PR_ERR_CONFLICT, "address", "our own", "neighbour.add",
	        "{'network':'blue','port':'p1','address':'fe80::1','mac':'02:00:00:00:00:07'}");
	call_refused(PR_ERR_CONFLICT, "address", "our own", "neighbour.add",
	        "{'network':'blue','port':'up','address':'" OUR_UPLINK
	        "','mac':'02:00:00:00:00:07'}");
	call_refused(PR_ERR_PARAMS, "address", "bits set that must be zero", "neighbour.add",
	        "{'network':'blue','port':'up','address':'fe80:1::9',"
	        "'mac':'02:00:00:00:00:07'}");
	assert_int_equal(fake_dp_neighbours() + stored_count("neighbour"), 0);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
	        TEST(gateways_of_both_families),
	        TEST(accepted_forms),
	        TEST(refused_forms),
	        TEST(one_prefix_has_one_owner),
	        TEST(pages_of_both_families),
	        TEST(all_comes_back),
	        TEST(get_tells_what_the_tables_do),
	        TEST(sync_of_both_families),
	        TEST(sync_of_too_many),
	        TEST(one_address_on_two_links),
	        TEST(uncommitted_ones_of_one_link),
	        TEST(learned_ones_of_one_link),
	        TEST(a_named_port_bounds_any_removal),
	        TEST(our_own_are_no_neighbours),
	};
	int failed = cmocka_run_group_tests(tests, NULL, NULL);

	fake_control_reset();
	return failed;
}
