/* SPDX-License-Identifier: BSD-3-Clause */
/* neighbour.* and fdb.*: static entries that live with their port, learned ones beside them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

#include "control/object.h"
#include "fake_control.h"
#include "fake_dataplane.h"

static int setup(void **state)
{
	(void)state;
	fake_control_reset();
	call_ok("network.add", "{'name':'blue','mode':'routed','subnets':['198.18.0.0/24']}");
	call_ok("network.add", "{'name':'red','mode':'bridged'}");
	call_ok("port.add", "{'name':'up','kind':'eth','network':'blue','device':'net_null0',"
	                    "'addresses':['192.0.2.2/24']}");
	call_ok("port.add", "{'name':'b0','kind':'eth','network':'red','device':'net_null1'}");
	return 0;
}

#define N(address, mac) "{'network':'blue','port':'up','address':'" address "','mac':'" mac "'}"
#define N_SHOWN(state)                                                                             \
	"{'network':'blue','port':'up','address':'192.0.2.9','mac':'02:00:00:00:00:09',"           \
	"'state':'" state "','held':0,'age':0}"
#define N_ADD "neighbour.add", N("192.0.2.9", "02:00:00:00:00:09")

static void neighbour_life(void **state)
{
	(void)state;
	call_answers("{'created':true,'neighbour':" N_SHOWN("static") "}", N_ADD);
	call_answers("{'created':false,'neighbour':" N_SHOWN("static") "}", N_ADD);
	call_refused(
	        PR_ERR_EXISTS, "mac", "", "neighbour.add", N("192.0.2.9", "02:00:00:00:00:0a"));
	assert_int_equal(fake_dp_neighbours(), 1);
	assert_int_equal(stored_count("neighbour"), 1);
	call_answers(
	        "{'removed':true}", "neighbour.del", "{'network':'blue','address':'192.0.2.9'}");
	call_answers(
	        "{'removed':false}", "neighbour.del", "{'network':'blue','address':'192.0.2.9'}");
	assert_int_equal(fake_dp_neighbours() + stored_count("neighbour"), 0);
}

static void neighbour_refusals(void **state)
{
	(void)state;
	call_refused(PR_ERR_CONFLICT, "address", "gateway's", "neighbour.add",
	        N("198.18.0.1", "02:00:00:00:00:09"));
	call_refused(PR_ERR_CONFLICT, "address", "port \"up\" has", "neighbour.add",
	        N("192.0.2.2", "02:00:00:00:00:09"));
	call_refused(PR_ERR_PARAMS, "address", "is a multicast address", "neighbour.add",
	        N("ff02::1", "02:00:00:00:00:09"));
	call_refused(PR_ERR_PARAMS, "network", "bridged", "neighbour.add",
	        "{'network':'red','port':'b0','address':'192.0.2.9','mac':'02:00:00:00:00:09'}");
	call_refused(PR_ERR_PARAMS, "port", "is in network \"red\"", "neighbour.add",
	        "{'network':'blue','port':'b0','address':'192.0.2.9','mac':'02:00:00:00:00:09'}");
	fake_control.fail_put = true;
	call_refused(PR_ERR_STORAGE, "", "", N_ADD);
	assert_int_equal(fake_dp_neighbours(), 0);
}

static void neighbours_wait_for_their_port(void **state)
{
	(void)state;
	call_ok(N_ADD);
	call_ok("port.del", "{'name':'up'}");
	assert_int_equal(fake_dp_neighbours(), 0);
	call_answers("{'neighbours':[" N_SHOWN("inactive") "]}", "neighbour.list", "{}");
	assert_int_equal(fake_restart(), 0);
	assert_int_equal(fake_dp_neighbours(), 0);
	call_ok("port.add", "{'name':'up','kind':'eth','network':'blue','device':'net_null0'}");
	call_answers("{'neighbours':[" N_SHOWN("static") "]}", "neighbour.list", "{}");
	call_ok("port.del", "{'name':'up'}");
	call_ok("network.del", "{'name':'blue'}");
	assert_int_equal(stored_count("neighbour"), 0);
	call_answers("{'neighbours':[]}", "neighbour.list", "{}");
}

static void learned_neighbours_are_listed_in_order(void **state)
{
	struct dp_neighbour learned = {.state = DP_NEIGHBOUR_STALE, .held = 3, .age = 7};

	(void)state;
	call_ok(N_ADD);
	assert_int_equal(pr_ip_parse("192.0.2.3", &learned.address), 0);
	fake_dp_learn_neighbour(&learned);
	call_answers("{'neighbours':[{'network':'blue','port':'up','address':'192.0.2.3',"
	             "'mac':'00:00:00:00:00:00','state':'stale','held':3,'age':7}," N_SHOWN(
	                     "static") "]}",
	        "neighbour.list", "{'network':'blue','port':'up'}");
	call_answers("{'neighbours':[]}", "neighbour.list", "{'network':'red'}");
	call_answers(
	        "{'removed':true}", "neighbour.del", "{'network':'blue','address':'192.0.2.3'}");
}

#define F(mac, rest) "{'network':'red','port':'b0','mac':'" mac "'" rest "}"
#define F_SHOWN(state)                                                                             \
	"{'network':'red','vlan':0,'mac':'02:00:00:00:00:09','port':'b0','static':true,'age':0,"   \
	"'state':'" state "'}"
#define F_ADD "fdb.add", F("02:00:00:00:00:09", "")

static void fdb_life(void **state)
{
	(void)state;
	call_answers("{'created':true,'entry':" F_SHOWN("active") "}", F_ADD);
	call_answers("{'created':false,'entry':" F_SHOWN("active") "}", F_ADD);
	call_refused(PR_ERR_PARAMS, "vlan", "not in VLAN 5", "fdb.add",
	        F("02:00:00:00:00:09", ",'vlan':5"));
	call_refused(PR_ERR_PARAMS, "network", "routed", "fdb.add",
	        "{'network':'blue','port':'up','mac':'02:00:00:00:00:09'}");
	call_answers("{'removed':true}", "fdb.del", "{'network':'red','mac':'02:00:00:00:00:09'}");
	call_answers("{'removed':false}", "fdb.del", "{'network':'red','mac':'02:00:00:00:00:09'}");
	assert_int_equal(fake_dp_fdb() + stored_count("fdb"), 0);
	fake_dp.fail_at = 1;
	call_refused(PR_ERR_FULL, "", "", F_ADD);
	assert_int_equal(fake_dp_fdb() + stored_count("fdb"), 0);
}

static void fdb_waits_for_its_port(void **state)
{
	(void)state;
	call_ok(F_ADD);
	call_ok("port.del", "{'name':'b0'}");
	assert_int_equal(fake_dp_fdb(), 0);
	assert_int_equal(fake_restart(), 0);
	call_answers("{'entries':[" F_SHOWN("inactive") "],'next':''}", "fdb.list", "{}");
	call_ok("port.add", "{'name':'b0','kind':'eth','network':'red','device':'net_null1'}");
	call_answers("{'entries':[" F_SHOWN("active") "],'next':''}", "fdb.list", "{}");
}

static void fdb_pages_and_flush(void **state)
{
	uint16_t red = fake_dp_network("red")->index, b0 = fake_dp_port("b0")->index;
	char after[128] = "";
	unsigned seen = 0, pages = 0;

	(void)state;
	call_ok(F_ADD);
	for (unsigned i = 0; i < 20; i++) {
		struct dp_fdb_entry entry = {.network = red,
		        .port = b0,
		        .vlan = (uint16_t)(i % 3 * 100),
		        .mac = {{2, 1, 0, 0, 0, (uint8_t)(20 - i)}}};

		fake_dp_learn_mac(&entry);
	}
	do {
		cJSON *result = call("fdb.list", "{'limit':4,'after':'%s'}", after);

		assert_non_null(result);
		seen += (unsigned)cJSON_GetArraySize(json_array(result, "entries"));
		strcpy(after, json_string(result, "next", ""));
		cJSON_Delete(result);
		pages++;
	} while (*after);
	assert_int_equal(seen, 21);
	assert_int_equal(pages, 6);
	call_answers("{'removed':20}", "fdb.flush", "{'network':'red','port':'b0'}");
	assert_int_equal(fake_dp_fdb(), 1);
	call_refused(PR_ERR_NOT_FOUND, "port", "", "fdb.flush", "{'port':'none'}");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test_setup(neighbour_life, setup),
	        cmocka_unit_test_setup(neighbour_refusals, setup),
	        cmocka_unit_test_setup(neighbours_wait_for_their_port, setup),
	        cmocka_unit_test_setup(learned_neighbours_are_listed_in_order, setup),
	        cmocka_unit_test_setup(fdb_life, setup),
	        cmocka_unit_test_setup(fdb_waits_for_its_port, setup),
	        cmocka_unit_test_setup(fdb_pages_and_flush, setup),
	};
	int failed = cmocka_run_group_tests(tests, NULL, NULL);

	fake_control_reset();
	return failed;
}
