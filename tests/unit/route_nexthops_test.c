/* SPDX-License-Identifier: BSD-3-Clause */
/* Routes with several next hops as control sees them: what is accepted, what is said of them, what
 * comes back after ports, syncs and restarts, and that no list of members is lost or kept. */
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

static void add_up(void)
{
	call_ok("port.add", "{'name':'up','kind':'eth','network':'blue','device':'net_null0',"
	                    "'addresses':['192.0.2.2/24','2001:db8::2/64']}");
}

static int setup(void **state)
{
	(void)state;
	fake_control_reset();
	directory_make(dir);
	call_ok("network.add",
	        "{'name':'blue','mode':'routed','subnets':['198.18.0.0/24','2001:db8:1::/64']}");
	call_ok("network.add", "{'name':'green','mode':'routed','subnets':['198.18.7.0/24']}");
	call_ok("port.add",
	        "{'name':'p1','kind':'vhost-user','network':'blue','socket':'%s/1',"
	        "'addresses':['198.18.0.5/32']}",
	        dir);
	call_ok("port.add",
	        "{'name':'g1','kind':'vhost-user','network':'green','socket':'%s/2',"
	        "'addresses':['198.18.7.5/32']}",
	        dir);
	add_up();
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	/* Forgets everything: whoever held a list gave it back. */
	fake_control_reset();
	assert_int_equal(fake_dp_lists, 0);
	directory_remove(dir);
	return 0;
}

#define R(prefix, hops) "{'network':'blue','prefix':'" prefix "','nexthops':[" hops "]}"
#define A               "{'via':'192.0.2.10'}"
#define B               "{'via':'192.0.2.9','port':'up','weight':3}"
#define ROUTE_AB                                                                                   \
	"{'network':'blue','prefix':'10.0.0.0/8','nexthops':["                                     \
	"{'via':'192.0.2.9','port':'up','weight':3,'state':'up'},"                                 \
	"{'via':'192.0.2.10','port':'','weight':1,'state':'silent'}],"                             \
	"'type':'via','owner':'static','state':'active'}"

static void accepted(void **state)
{
	(void)state;
	call_answers(
	        "{'created':true,'route':" ROUTE_AB "}", "route.add", R("10.0.0.0/8", A "," B));
	/* In whatever order they are given. */
	call_answers(
	        "{'created':false,'route':" ROUTE_AB "}", "route.add", R("10.0.0.0/8", B "," A));
	call_ok("route.add", R("10.1.0.0/16", A));
	call_ok("route.add", R("10.2.0.0/16", "{'via':'198.18.0.5','weight':256}," A));
	call_ok("route.add", R("2001:db8:f::/48", "{'via':'2001:db8::9'},"
	                                          "{'via':'fe80::9','port':'up'},"
	                                          "{'via':'fe80::9','port':'p1'}"));
	/* An empty list is none. */
	call_ok("route.add", "{'network':'blue','prefix':'10.3.0.0/16','nexthops':[],"
	                     "'gateway':'192.0.2.9'}");
	assert_int_equal(stored_count("route"), 5);
}

static void refused(void **state)
{
	char many[4096] = "{'network':'blue','prefix':'10.0.0.0/8','nexthops':[";

	(void)state;
	for (int k = 0; k < 65; k++)
		snprintf(many + strlen(many), sizeof(many) - strlen(many), "%s{'via':'192.0.2.%d'}",
		        k ? "," : "", 10 + k);
	strcat(many, "]}");
	call_refused(PR_ERR_PARAMS, "nexthops", "more than 64", "route.add", "%s", many);
	call_refused(PR_ERR_PARAMS, "nexthops[0].weight", "1 to 256", "route.add",
	        R("10.0.0.0/8", "{'via':'192.0.2.9','weight':0}"));
	call_refused(PR_ERR_PARAMS, "nexthops[1].weight", "1 to 256", "route.add",
	        R("10.0.0.0/8", A ",{'via':'192.0.2.9','weight':257}"));
	call_refused(PR_ERR_PARAMS, "nexthops[0].via", "missing", "route.add",
	        R("10.0.0.0/8", "{'port':'up'}"));
	call_refused(PR_ERR_PARAMS, "nexthops[0].state", "can not be set", "route.add",
	        R("10.0.0.0/8", "{'via':'192.0.2.9','state':'up'}"));
	call_refused(PR_ERR_PARAMS, "nexthops[0].gateway", "no member", "route.add",
	        R("10.0.0.0/8", "{'gateway':'192.0.2.9'}"));
	call_refused(PR_ERR_PARAMS, "nexthops", "twice", "route.add", R("10.0.0.0/8", A "," A));
	call_refused(PR_ERR_PARAMS, "nexthops", "twice", "route.add",
	        R("10.0.0.0/8", A "," B ",{'via':'192.0.2.10','port':'up'}"));
	call_refused(PR_ERR_PARAMS, "nexthops[1].via", "not of the prefix's family", "route.add",
	        R("10.0.0.0/8", A ",{'via':'2001:db8::9'}"));
	call_refused(PR_ERR_PARAMS, "nexthops[0].via", "name the port", "route.add",
	        R("2001:db8:f::/48", "{'via':'fe80::9'}"));
	call_refused(PR_ERR_PARAMS, "nexthops[1].port", "not in \"blue\"", "route.add",
	        R("10.0.0.0/8", A ",{'via':'198.18.7.5','port':'g1'}"));
	call_refused(PR_ERR_NOT_FOUND, "nexthops[0].port", "no port", "route.add",
	        R("10.0.0.0/8", "{'via':'192.0.2.9','port':'none'}"));
	call_refused(PR_ERR_PARAMS, "nexthops[0].via", "in no subnet", "route.add",
	        R("10.0.0.0/8", "{'via':'172.16.0.1'}"));
	call_refused(PR_ERR_PARAMS, "nexthops[0].via", "our own address", "route.add",
	        R("10.0.0.0/8", "{'via':'192.0.2.2'}," A));
	call_refused(PR_ERR_PARAMS, "gateway", "not both", "route.add",
	        "{'network':'blue','prefix':'10.0.0.0/8','gateway':'192.0.2.9','nexthops':[" A
	        "]}");
	call_refused(PR_ERR_PARAMS, "port", "not both", "route.add",
	        "{'network':'blue','prefix':'10.0.0.0/8','port':'up','nexthops':[" A "]}");
	call_refused(PR_ERR_PARAMS, "nexthops", "leads nowhere", "route.add",
	        "{'network':'blue','prefix':'10.0.0.0/8','type':'blackhole','nexthops':[" A "]}");
	assert_int_equal(stored_count("route"), 0);
}

static unsigned weight_of(const char *prefix, int member)
{
	cJSON *result = call("route.get", "{'network':'blue','address':'%s'}", prefix);
	const cJSON *hops = json_array(json_member(result, "route"), "nexthops");
	unsigned weight = (unsigned)json_integer(cJSON_GetArrayItem(hops, member), "weight", 0);

	cJSON_Delete(result);
	return weight;
}

static void replaced(void **state)
{
	(void)state;
	call_ok("route.add", R("10.0.0.0/8", A));
	call_answers("{'created':false,'replaced':true,'route':" ROUTE_AB "}", "route.add",
	        R("10.0.0.0/8", A "," B));
	assert_int_equal(stored_count("route"), 1);
	assert_int_equal(weight_of("10.0.0.1", 0), 3);
	/* What is not stored is not done. */
	fake_control.fail_commit = true;
	call_refused(PR_ERR_STORAGE, "", "", "route.add", R("10.0.0.0/8", A));
	fake_control.fail_commit = false;
	assert_int_equal(weight_of("10.0.0.1", 0), 3);
	/* One gateway is no list of one. */
	call_refused(PR_ERR_EXISTS, "gateway", "", "route.add",
	        "{'network':'blue','prefix':'10.0.0.0/8','gateway':'192.0.2.9'}");
	call_ok("route.add", "{'network':'blue','prefix':'11.0.0.0/8','gateway':'192.0.2.9'}");
	call_refused(PR_ERR_EXISTS, "nexthops", "", "route.add", R("11.0.0.0/8", A));
	call_refused(PR_ERR_CONFLICT, "prefix", "static", "route.add",
	        "{'network':'blue','prefix':'10.0.0.0/8','owner':'bgp','nexthops':[" A "]}");
	call_answers("{'removed':true}", "route.del", "{'network':'blue','prefix':'10.0.0.0/8'}");
	assert_int_equal(stored_count("route"), 1);
}

/* The members stay when their port goes, and are there after a restart without it. */
static void ports_come_and_go(void **state)
{
	(void)state;
	call_ok("route.add", R("10.0.0.0/8", A "," B ",{'via':'198.18.0.5'}"));
	call_ok("port.del", "{'name':'up'}");
	assert_int_equal(weight_of("10.0.0.1", 0), 3);
	assert_int_equal(fake_restart(), 0);
	assert_int_equal(weight_of("10.0.0.1", 0), 3);
	add_up();
	call_answers("{'route':{'network':'blue','prefix':'10.0.0.0/8','nexthops':["
	             "{'via':'192.0.2.9','port':'up','weight':3,'state':'up'},"
	             "{'via':'192.0.2.10','port':'','weight':1,'state':'up'},"
	             "{'via':'198.18.0.5','port':'','weight':1,'state':'silent'}],"
	             "'type':'via','owner':'static','state':'active'},"
	             "'nextHop':{'type':'via','port':'','gateway':'192.0.2.10','mac':'',"
	             "'state':'none'}}",
	        "route.get",
	        "{'network':'blue','address':'10.1.2.3','source':'198.18.0.5','protocol':17,"
	        "'sourcePort':4,'destinationPort':9}");
	assert_int_equal(stored_count("route"), 1);
}

static void flows_are_asked_for_whole(void **state)
{
	(void)state;
	call_ok("route.add", R("10.0.0.0/8", A "," B));
	call_refused(PR_ERR_PARAMS, "source", "give it with", "route.get",
	        "{'network':'blue','address':'10.1.2.3','sourcePort':4}");
	call_refused(PR_ERR_PARAMS, "source", "family", "route.get",
	        "{'network':'blue','address':'10.1.2.3','source':'2001:db8::1'}");
	call_answers("{'route':" ROUTE_AB ",'nextHop':{'type':'group','port':'','gateway':'',"
	             "'mac':'','state':'none'}}",
	        "route.get", "{'network':'blue','address':'10.1.2.3'}");
}

static void sync_step(const char *step, const char *routes, const char *answer)
{
	char params[1024];

	snprintf(params, sizeof(params), "{'owner':'bgp','network':'blue','step':'%s'%s%s%s}", step,
	        routes ? ",'routes':[" : "", routes ? routes : "", routes ? "]" : "");
	if (answer)
		call_answers(answer, "route.sync", "%s", params);
	else
		call_ok("route.sync", "%s", params);
}

#define S(prefix, hops) "{'prefix':'" prefix "','nexthops':[" hops "]}"

static void synchronized(void **state)
{
	(void)state;
	sync_step("begin", NULL, NULL);
	sync_step("chunk", S("10.0.0.0/8", A "," B) "," S("11.0.0.0/8", A "," B), NULL);
	/* Twice the same is once. */
	sync_step("chunk", S("10.0.0.0/8", B "," A) "," S("12.0.0.0/8", A), NULL);
	sync_step("commit", NULL, "{'added':3,'removed':0,'kept':0}");
	sync_step("begin", NULL, NULL);
	sync_step("chunk", S("10.0.0.0/8", B "," A) "," S("12.0.0.0/8", B), NULL);
	sync_step("commit", NULL, "{'added':1,'removed':1,'kept':1}");
	/* Members whose port went are no equal ones. */
	call_ok("port.del", "{'name':'up'}");
	add_up();
	sync_step("begin", NULL, NULL);
	sync_step("chunk", S("10.0.0.0/8", B "," A) "," S("12.0.0.0/8", B), NULL);
	sync_step("commit", NULL, "{'added':2,'removed':0,'kept':0}");
	/* Different ones for a prefix fail the whole. */
	sync_step("begin", NULL, NULL);
	sync_step("chunk", S("10.0.0.0/8", B) "," S("12.0.0.0/8", B) "," S("10.0.0.0/8", A), NULL);
	call_refused(PR_ERR_PARAMS, "routes", "twice", "route.sync",
	        "{'owner':'bgp','network':'blue','step':'commit'}");
	/* A chunk with a fault is taken not at all. */
	sync_step("begin", NULL, NULL);
	call_refused(PR_ERR_PARAMS, "routes[1].nexthops[0].via", "in no subnet", "route.sync",
	        "{'owner':'bgp','network':'blue','step':'chunk','routes':[" S(
	                "10.0.0.0/8", A) "," S("10.0.0.0/8", "{'via':'172.16.0.1'}") "]}");
	/* A member's port goes meanwhile. */
	sync_step("chunk", S("10.0.0.0/8", B), NULL);
	call_ok("port.del", "{'name':'up'}");
	call_refused(PR_ERR_CONFLICT, "step", "\"up\"", "route.sync",
	        "{'owner':'bgp','network':'blue','step':'commit'}");
	assert_int_equal(weight_of("10.0.0.1", 0), 3);
}

/* Chunks of routes that each have a list of their own. Returns how many are held then. */
static size_t chunk_of_lists(unsigned first, unsigned n, unsigned lists, const char *refused)
{
	char params[8192] = "{'owner':'bgp','network':'blue','step':'chunk','routes':[";

	for (unsigned k = first; k < first + n; k++)
		snprintf(params + strlen(params), sizeof(params) - strlen(params),
		        "%s{'prefix':'10.%u.0.0/16','nexthops':[{'via':'192.0.2.9','weight':%u}," A
		        "]}",
		        k > first ? "," : "", k, 1 + k % lists);
	strcat(params, "]}");
	if (refused)
		call_refused(PR_ERR_FULL, "routes", refused, "route.sync", "%s", params);
	else
		call_ok("route.sync", "%s", params);
	route_nexthops_forget();
	return fake_dp_lists;
}

/* As many different lists as there can be groups, no more; the others share them. */
static void lists_are_counted(void **state)
{
	(void)state;
	fake_dp.totals.groups.size = 20;
	sync_step("begin", NULL, NULL);
	assert_int_equal(chunk_of_lists(0, 60, 18, NULL), 18);
	/* All of a chunk or nothing of it: there is room for the next one. */
	assert_int_equal(chunk_of_lists(60, 21, 100, "limits.groups"), 18);
	assert_int_equal(chunk_of_lists(60, 2, 100, NULL), 20);
	assert_int_equal(chunk_of_lists(62, 1, 100, "limits.groups"), 20);
	assert_int_equal(chunk_of_lists(100, 60, 18, NULL), 20);
	sync_step("commit", NULL, "{'added':122,'removed':0,'kept':0}");
}

static void sync_is_taken_back(void **state)
{
	(void)state;
	sync_step("begin", NULL, NULL);
	sync_step("chunk", S("10.0.0.0/8", B "," A) "," S("11.0.0.0/8", A), NULL);
	sync_step("commit", NULL, NULL);
	sync_step("begin", NULL, NULL);
	sync_step("chunk", S("10.0.0.0/8", A), NULL);
	fake_control.fail_commit = true;
	call_refused(PR_ERR_STORAGE, "", "", "route.sync",
	        "{'owner':'bgp','network':'blue','step':'commit'}");
	fake_control.fail_commit = false;
	assert_int_equal(weight_of("10.0.0.1", 0), 3);
	assert_int_equal(weight_of("11.0.0.1", 0), 1);
}

/* Whatever call fails in between: nothing changes and nothing is kept. */
static void every_failure_is_undone(void **state)
{
	(void)state;
	call_ok("route.add", R("10.0.0.0/8", B "," A));
	for (unsigned at = 1; at < 3; at++) {
		fake_dp.fail_at = at;
		cJSON_Delete(call("route.add", R("10.0.0.0/8", A)));
		fake_dp.fail_at = 0;
		call_ok("route.add", R("10.0.0.0/8", B "," A));
	}
	assert_int_equal(stored_count("route"), 1);
}

#define T(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
	        T(accepted),
	        T(refused),
	        T(replaced),
	        T(ports_come_and_go),
	        T(flows_are_asked_for_whole),
	        T(synchronized),
	        T(lists_are_counted),
	        T(sync_is_taken_back),
	        T(every_failure_is_undone),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
