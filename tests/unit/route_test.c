/* SPDX-License-Identifier: BSD-3-Clause */
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

static int setup(void **state)
{
	(void)state;
	fake_control_reset();
	directory_make(dir);
	call_ok("network.add", "{'name':'blue','mode':'routed','subnets':['198.18.0.0/24']}");
	call_ok("network.add", "{'name':'red','mode':'bridged'}");
	call_ok("port.add",
	        "{'name':'p1','kind':'vhost-user','network':'blue','socket':'%s/1',"
	        "'addresses':['198.18.0.5/32'],'allowedPrefixes':['203.0.113.0/24']}",
	        dir);
	call_ok("port.add", "{'name':'up','kind':'eth','network':'blue','device':'net_null0',"
	                    "'addresses':['192.0.2.2/24']}");
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	directory_remove(dir);
	return 0;
}

#define R(prefix, rest) "{'network':'blue','prefix':'" prefix "'" rest "}"

static void accepted_forms(void **state)
{
	(void)state;
	call_answers("{'created':true,'route':{'network':'blue','prefix':'10.0.0.0/8',"
	             "'gateway':'198.18.0.9','port':'','type':'via','owner':'static',"
	             "'state':'active'}}",
	        "route.add", R("10.0.0.0/8", ",'gateway':'198.18.0.9'"));
	call_ok("route.add", R("10.1.0.0/16", ",'port':'up'"));
	call_ok("route.add", R("10.2.0.0/16", ",'gateway':'192.0.2.1'"));
	call_ok("route.add", R("10.3.0.0/16", ",'gateway':'203.0.113.7','port':'p1'"));
	call_ok("route.add", R("10.4.0.0/16", ",'gateway':'198.18.0.5'"));
	call_ok("route.add", R("10.5.0.0/16", ",'type':'blackhole'"));
	call_ok("route.add", R("0.0.0.0/0", ",'gateway':'198.18.0.77','port':'up'"));
	assert_int_equal(stored_count("route"), 7);
	assert_int_equal(fake_dp_routes(), 3 + 7);
}

static void refused_forms(void **state)
{
	(void)state;
	call_refused(PR_ERR_PARAMS, "prefix", "you may mean 10.0.0.0/8", "route.add",
	        R("10.0.0.1/8", ",'port':'up'"));
	call_refused(PR_ERR_PARAMS, "prefix", "you may mean 2001:db8::/32", "route.add",
	        R("2001:db8::1/32", ",'port':'up'"));
	call_refused(
	        PR_ERR_PARAMS, "prefix", "link-local", "route.add", R("fe80::/64", ",'port':'up'"));
	call_refused(PR_ERR_PARAMS, "gateway", "not of the prefix's family", "route.add",
	        R("2001:db8::/32", ",'gateway':'198.18.0.9'"));
	call_refused(PR_ERR_PARAMS, "gateway", "name the port", "route.add",
	        R("2001:db8::/32", ",'gateway':'fe80::9'"));
	call_refused(PR_ERR_PARAMS, "gateway", "in no subnet", "route.add",
	        R("2001:db8::/32", ",'gateway':'2001:db8::9'"));
	call_refused(PR_ERR_PARAMS, "gateway", "in no subnet", "route.add",
	        R("10.0.0.0/8", ",'gateway':'172.16.0.1'"));
	call_refused(PR_ERR_PARAMS, "gateway", "allowedPrefixes", "route.add",
	        R("10.0.0.0/8", ",'gateway':'198.18.0.9','port':'p1'"));
	call_refused(PR_ERR_PARAMS, "gateway", "our own address", "route.add",
	        R("10.0.0.0/8", ",'gateway':'198.18.0.1'"));
	call_refused(PR_ERR_PARAMS, "gateway", "our own address", "route.add",
	        R("10.0.0.0/8", ",'gateway':'192.0.2.2'"));
	call_refused(PR_ERR_PARAMS, "gateway", "multicast", "route.add",
	        R("10.0.0.0/8", ",'gateway':'224.0.0.1'"));
	call_refused(PR_ERR_PARAMS, "gateway", "give one", "route.add", R("10.0.0.0/8", ""));
	call_refused(PR_ERR_PARAMS, "port", "leads nowhere", "route.add",
	        R("10.0.0.0/8", ",'type':'unreachable','port':'up'"));
	call_refused(PR_ERR_NOT_FOUND, "port", "no port \"none\"", "route.add",
	        R("10.0.0.0/8", ",'port':'none'"));
	call_refused(PR_ERR_PARAMS, "network", "bridged", "route.add",
	        "{'network':'red','prefix':'10.0.0.0/8','type':'blackhole'}");
	call_refused(PR_ERR_PARAMS, "owner", "its own routes", "route.add",
	        R("10.0.0.0/8", ",'port':'up','owner':'connected'"));
	assert_int_equal(stored_count("route"), 0);
	assert_int_equal(fake_dp_routes(), 3);
}

static void one_prefix_has_one_owner(void **state)
{
	(void)state;
	call_ok("route.add", R("10.0.0.0/8", ",'port':'up','owner':'bgp'"));
	assert_int_equal(stored_count("route"), 0);
	call_refused(
	        PR_ERR_CONFLICT, "prefix", "\"bgp\"", "route.add", R("10.0.0.0/8", ",'port':'up'"));
	call_refused(PR_ERR_CONFLICT, "prefix", "\"connected\"", "route.add",
	        R("198.18.0.0/24", ",'port':'up'"));
	call_refused(PR_ERR_CONFLICT, "prefix", "\"port\"", "route.add",
	        R("198.18.0.5/32", ",'port':'up'"));
	call_ok("route.add", R("10.0.0.0/8", ",'port':'up','owner':'bgp'"));
	call_refused(PR_ERR_EXISTS, "gateway", "", "route.add",
	        R("10.0.0.0/8", ",'port':'up','gateway':'192.0.2.1','owner':'bgp'"));
	call_answers("{'removed':false}", "route.del", R("10.0.0.0/8", ",'owner':'ospf'"));
	call_answers("{'removed':false}", "route.del", R("10.0.0.0/8", ""));
	call_answers("{'removed':true}", "route.del", R("10.0.0.0/8", ",'owner':'bgp'"));
	call_ok("route.add", R("198.18.0.7/32", ",'port':'up'"));
	call_refused(PR_ERR_CONFLICT, "addresses[0]", "owner \"static\"", "port.add",
	        "{'name':'p2','kind':'vhost-user','network':'blue','socket':'%s/2',"
	        "'addresses':['198.18.0.7/32']}",
	        dir);
}

static void routes_wait_for_their_port(void **state)
{
	(void)state;
	call_ok("route.add", R("10.0.0.0/8", ",'port':'p1'"));
	call_ok("port.del", "{'name':'p1'}");
	assert_int_equal(stored_count("route"), 1);
	call_answers("{'routes':[{'network':'blue','prefix':'10.0.0.0/8','gateway':'',"
	             "'port':'p1','type':'via','owner':'static','state':'inactive'}],'next':''}",
	        "route.list", "{'owner':'static'}");
	call_refused(PR_ERR_CONFLICT, "prefix", "\"static\"", "route.add",
	        R("10.0.0.0/8", ",'port':'up','owner':'bgp'"));
	/* The same after a restart. */
	assert_int_equal(fake_restart(), 0);
	assert_int_equal(fake_dp_routes(), 2);
	call_ok("port.add", "{'name':'p1','kind':'vhost-user','network':'blue','socket':'%s/1'}",
	        dir);
	assert_int_equal(fake_dp_routes(), 3);
	call_answers("{'routes':[{'network':'blue','prefix':'10.0.0.0/8','gateway':'',"
	             "'port':'p1','type':'via','owner':'static','state':'active'}],'next':''}",
	        "route.list", "{'owner':'static'}");
}

/* A gateway whose port is not named is behind whatever port it was found on. */
static void gateways_wait_for_a_port(void **state)
{
	cJSON *result;

	(void)state;
	call_ok("route.add", R("10.0.0.0/8", ",'gateway':'198.18.0.5'"));
	call_ok("route.add", R("10.0.0.0/8", ",'gateway':'198.18.0.5'"));
	call_ok("route.add", R("11.0.0.0/8", ",'gateway':'198.18.0.5','owner':'bgp'"));
	call_ok("route.add", R("11.0.0.0/8", ",'gateway':'198.18.0.5','owner':'bgp'"));
	call_ok("port.del", "{'name':'p1'}");
	call_ok("port.del", "{'name':'up'}");
	result = call("route.list", "{'owner':'static'}");
	assert_string_equal(
	        json_string(cJSON_GetArrayItem(json_array(result, "routes"), 0), "state", ""),
	        "inactive");
	cJSON_Delete(result);
	assert_int_equal(fake_restart(), 0);
	assert_int_equal(fake_dp_routes(), 1);
	call_ok("port.add",
	        "{'name':'p1','kind':'vhost-user','network':'blue','socket':'%s/1',"
	        "'addresses':['198.18.0.5/32']}",
	        dir);
	assert_int_equal(fake_dp_routes(), 3);
	call_answers("{'routes':[{'network':'blue','prefix':'10.0.0.0/8','gateway':'198.18.0.5',"
	             "'port':'','type':'via','owner':'static','state':'active'}],'next':''}",
	        "route.list", "{'owner':'static'}");
}

/* A port that came back makes the same routes of a controller work again. */
static void sync_repairs_routes_of_a_lost_port(void **state)
{
	(void)state;
	call_ok("route.sync", "{'owner':'bgp','network':'blue','step':'begin'}");
	call_ok("route.sync", "{'owner':'bgp','network':'blue','step':'chunk','routes':["
	                      "{'prefix':'10.0.0.0/8','gateway':'192.0.2.1'}]}");
	call_ok("route.sync", "{'owner':'bgp','network':'blue','step':'commit'}");
	call_ok("port.del", "{'name':'up'}");
	call_ok("port.add", "{'name':'up','kind':'eth','network':'blue','device':'net_null0',"
	                    "'addresses':['192.0.2.2/24']}");
	call_ok("route.sync", "{'owner':'bgp','network':'blue','step':'begin'}");
	call_ok("route.sync", "{'owner':'bgp','network':'blue','step':'chunk','routes':["
	                      "{'prefix':'10.0.0.0/8','gateway':'192.0.2.1'}]}");
	call_answers("{'added':1,'removed':0,'kept':0}", "route.sync",
	        "{'owner':'bgp','network':'blue','step':'commit'}");
}

static void pages_are_complete_and_ordered(void **state)
{
	char after[128] = "", last[64] = "";
	unsigned seen = 0, pages = 0;

	(void)state;
	call_ok("network.add", "{'name':'a','mode':'routed'}");
	for (int i = 0; i < 10; i++) {
		call_ok("route.add", R("10.%d.0.0/16", ",'port':'%s'"), i, i % 3 ? "up" : "p1");
		call_ok("route.add", "{'network':'a','prefix':'10.%d.0.0/16','type':'blackhole'}",
		        i);
	}
	call_ok("port.del", "{'name':'p1'}");
	do {
		cJSON *result = call("route.list", "{'limit':4,'after':'%s'}", after);
		const cJSON *item;

		assert_non_null(result);
		cJSON_ArrayForEach (item, json_array(result, "routes")) {
			struct pr_prefix prefix, before;
			const char *network = json_string(item, "network", "");

			if (strcmp(network, last))
				snprintf(last, sizeof(last), "%s", network);
			else {
				assert_int_equal(
				        pr_prefix_parse(json_string(item, "prefix", ""), &prefix),
				        0);
				assert_true(prefix_compare(&before, &prefix) < 0);
			}
			pr_prefix_parse(json_string(item, "prefix", ""), &before);
			seen++;
		}
		snprintf(after, sizeof(after), "%s", json_string(result, "next", ""));
		cJSON_Delete(result);
		pages++;
	} while (*after);
	/* 198.18.0.0/24 and the uplink's address besides; no page is shared by two networks' order.
	 */
	assert_int_equal(seen, 22);
	assert_int_equal(pages, 6);
	call_refused(PR_ERR_PARAMS, "after", "", "route.list", "{'after':'nonsense'}");
}

static void get_tells_what_the_tables_do(void **state)
{
	(void)state;
	call_answers("{'route':{'network':'blue','prefix':'198.18.0.5/32','gateway':'',"
	             "'port':'p1','type':'port','owner':'port','state':'active'},"
	             "'nextHop':{'type':'port','port':'p1','gateway':'198.18.0.5','mac':'',"
	             "'state':'unresolved'}}",
	        "route.get", "{'network':'blue','address':'198.18.0.5'}");
	call_refused(PR_ERR_NOT_FOUND, "address", "no route to 8.8.8.8", "route.get",
	        "{'network':'blue','address':'8.8.8.8'}");
}

/* ---- route.sync ---- */

#define SYNC(step, rest) "{'owner':'bgp','network':'blue','step':'" step "'" rest "}"

static void begin_with(const char *owner, const char *routes)
{
	call_ok("route.sync", "{'owner':'%s','network':'blue','step':'begin'}", owner);
	call_ok("route.sync", "{'owner':'%s','network':'blue','step':'chunk','routes':[%s]}", owner,
	        routes);
}

static void commit_answers(const char *owner, int added, int removed, int kept)
{
	char expected[128];

	snprintf(expected, sizeof(expected), "{'added':%d,'removed':%d,'kept':%d}", added, removed,
	        kept);
	call_answers(
	        expected, "route.sync", "{'owner':'%s','network':'blue','step':'commit'}", owner);
}

static void sync_touches_the_difference(void **state)
{
	unsigned changes;

	(void)state;
	begin_with("bgp", "{'prefix':'10.1.0.0/16','port':'up'},"
	                  "{'prefix':'10.2.0.0/16','gateway':'192.0.2.1'},"
	                  "{'prefix':'10.3.0.0/16','type':'blackhole'}");
	assert_int_equal(fake_dp_routes(), 3);
	commit_answers("bgp", 3, 0, 0);
	assert_int_equal(fake_dp_routes(), 6);
	changes = fake_dp.changes;
	begin_with("bgp", "{'prefix':'10.3.0.0/16','type':'blackhole'},"
	                  "{'prefix':'10.1.0.0/16','port':'up'},"
	                  "{'prefix':'10.1.0.0/16','port':'up'},"
	                  "{'prefix':'10.2.0.0/16','gateway':'192.0.2.1'}");
	commit_answers("bgp", 0, 0, 3);
	assert_int_equal(fake_dp.changes, changes);
	begin_with("bgp", "{'prefix':'10.1.0.0/16','type':'unreachable'},"
	                  "{'prefix':'10.9.0.0/16','port':'up'}");
	commit_answers("bgp", 2, 2, 0);
	assert_int_equal(fake_dp_routes(), 5);
	assert_int_equal(stored_count("route"), 0);
	begin_with("bgp", "");
	commit_answers("bgp", 0, 2, 0);
}

static void sync_is_all_or_nothing(void **state)
{
	cJSON *before, *after;

	(void)state;
	begin_with("bgp", "{'prefix':'10.1.0.0/16','port':'up'},"
	                  "{'prefix':'10.2.0.0/16','port':'up'}");
	commit_answers("bgp", 2, 0, 0);
	before = call("route.list", "{}");
	for (unsigned n = 1; n <= 2; n++) {
		begin_with("bgp", "{'prefix':'10.1.0.0/16','type':'blackhole'},"
		                  "{'prefix':'10.7.0.0/16','port':'up'}");
		fake_dp.fail_at = n;
		call_refused(PR_ERR_FULL, "", "told to fail", "route.sync", SYNC("commit", ""));
	}
	begin_with("bgp", "{'prefix':'10.1.0.0/16','type':'blackhole'},"
	                  "{'prefix':'10.7.0.0/16','port':'up'}");
	fake_control.fail_commit = true;
	call_refused(PR_ERR_STORAGE, "", "", "route.sync", SYNC("commit", ""));
	fake_control.fail_commit = false;
	call_ok("route.add", R("10.7.0.0/16", ",'port':'up'"));
	begin_with("bgp", "{'prefix':'10.7.0.0/16','port':'up'}");
	call_refused(
	        PR_ERR_CONFLICT, "routes", "owner \"static\"", "route.sync", SYNC("commit", ""));
	call_ok("route.del", R("10.7.0.0/16", ""));
	begin_with("bgp", "{'prefix':'10.7.0.0/16','port':'up'},"
	                  "{'prefix':'10.7.0.0/16','type':'blackhole'}");
	call_refused(PR_ERR_PARAMS, "routes", "given twice", "route.sync", SYNC("commit", ""));
	after = call("route.list", "{}");
	assert_true(cJSON_Compare(before, after, true));
	cJSON_Delete(before);
	cJSON_Delete(after);
}

static void sync_steps_out_of_order(void **state)
{
	(void)state;
	call_refused(PR_ERR_CONFLICT, "step", "begin one first", "route.sync", SYNC("commit", ""));
	call_ok("route.sync", SYNC("begin", ""));
	call_refused(PR_ERR_CONFLICT, "step", "open", "route.sync", SYNC("begin", ""));
	call_refused(PR_ERR_PARAMS, "routes[1].prefix", "you may mean", "route.sync",
	        SYNC("chunk", ",'routes':[{'prefix':'10.0.0.0/8','port':'up'},"
	                      "{'prefix':'10.0.0.1/8','port':'up'}]"));
	call_refused(PR_ERR_CONFLICT, "owner", "\"bgp\"", "route.sync",
	        "{'owner':'other','network':'blue','step':'chunk'}");
	commit_answers("bgp", 0, 0, 0);
	/* A connection that ends takes its sync along. */
	begin_with("bgp", "{'prefix':'10.0.0.0/8','port':'up'}");
	fake_client_gone();
	call_refused(PR_ERR_CONFLICT, "step", "", "route.sync", SYNC("commit", ""));
	assert_int_equal(fake_dp_routes(), 3);
	begin_with("bgp", "{'prefix':'10.0.0.0/8','port':'p1'}");
	call_ok("port.del", "{'name':'p1'}");
	call_refused(
	        PR_ERR_CONFLICT, "step", "\"p1\" was removed", "route.sync", SYNC("commit", ""));
	call_ok("route.sync", SYNC("abort", ""));
}

static void sync_of_static_routes_is_stored(void **state)
{
	(void)state;
	call_ok("route.add", R("10.1.0.0/16", ",'port':'p1'"));
	call_ok("route.add", R("10.2.0.0/16", ",'port':'up'"));
	call_ok("route.add", R("10.3.0.0/16", ",'port':'up'"));
	call_ok("port.del", "{'name':'p1'}");
	begin_with("static", "{'prefix':'10.2.0.0/16','type':'blackhole'},"
	                     "{'prefix':'10.4.0.0/16','port':'up'}");
	fake_control.fail_commit = true;
	call_refused(PR_ERR_STORAGE, "", "", "route.sync",
	        "{'owner':'static','network':'blue','step':'commit'}");
	fake_control.fail_commit = false;
	assert_int_equal(stored_count("route"), 3);
	assert_int_equal(fake_dp_routes(), 2 + 2);
	begin_with("static", "{'prefix':'10.2.0.0/16','type':'blackhole'},"
	                     "{'prefix':'10.4.0.0/16','port':'up'}");
	commit_answers("static", 2, 1, 0);
	assert_int_equal(stored_count("route"), 2);
	assert_int_equal(fake_restart(), 0);
	assert_int_equal(fake_dp_routes(), 2 + 2);
}

static void many_routes_by_sync(void **state)
{
	enum { ROUTES = 100000, CHUNK = 4000 };
	char *text = malloc(CHUNK * 64 + 128);

	(void)state;
	for (int round = 0; round < 2; round++) {
		call_ok("route.sync", SYNC("begin", ""));
		for (int first = 0; first < ROUTES; first += CHUNK) {
			char *at = text;

			for (int i = first; i < first + CHUNK; i++)
				at += sprintf(at, "%s{'prefix':'%d.%d.%d.0/24','port':'up'}",
				        i > first ? "," : "", 20 + (i >> 16), i >> 8 & 255,
				        i & 255);
			call_ok("route.sync", SYNC("chunk", ",'routes':[%s]"), text);
		}
		commit_answers("bgp", round ? 0 : ROUTES, 0, round ? ROUTES : 0);
	}
	assert_int_equal(fake_dp_routes(), ROUTES + 3);
	free(text);
}

static void owners_run_out_and_come_back(void **state)
{
	(void)state;
	for (int i = 0; i < 253; i++)
		call_ok("route.add", R("10.0.%d.0/24", ",'type':'blackhole','owner':'owner%d'"), i,
		        i);
	call_refused(PR_ERR_FULL, "owner", "253 owners", "route.add",
	        R("10.1.0.0/24", ",'type':'blackhole','owner':'late'"));
	call_ok("route.del", R("10.0.7.0/24", ",'owner':'owner7'"));
	call_ok("route.add", R("10.1.0.0/24", ",'type':'blackhole','owner':'late'"));
	call_refused(PR_ERR_FULL, "owner", "", "route.add",
	        R("10.2.0.0/24", ",'type':'blackhole','owner':'later'"));
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
	        TEST(accepted_forms),
	        TEST(refused_forms),
	        TEST(one_prefix_has_one_owner),
	        TEST(routes_wait_for_their_port),
	        TEST(gateways_wait_for_a_port),
	        TEST(sync_repairs_routes_of_a_lost_port),
	        TEST(pages_are_complete_and_ordered),
	        TEST(get_tells_what_the_tables_do),
	        TEST(sync_touches_the_difference),
	        TEST(sync_is_all_or_nothing),
	        TEST(sync_steps_out_of_order),
	        TEST(sync_of_static_routes_is_stored),
	        TEST(many_routes_by_sync),
	        TEST(owners_run_out_and_come_back),
	};
	int failed = cmocka_run_group_tests(tests, NULL, NULL);

	fake_control_reset();
	return failed;
}
