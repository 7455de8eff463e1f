/* SPDX-License-Identifier: BSD-3-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

#include "fake_control.h"
#include "fake_dataplane.h"

static int setup(void **state)
{
	(void)state;
	fake_control_reset();
	return 0;
}

#define BLUE "'name':'blue','mode':'routed','subnets':['198.18.0.0/24']"
#define BLUE_ANSWER                                                                                \
	"'network':{'name':'blue','mode':'routed','mtu':1500,'gatewayMac':'02:70:72:00:00:01',"    \
	"'subnets':['198.18.0.0/"                                                                  \
	"24'],'gateways':['198.18.0.1','169.254.1.1'],'proxyArp':true,'routerAdvertisements':"     \
	"false,'reassemble':false,"                                                                \
	"'uplinks':[],'index':0,'ports':0,'routes':1}}"

static void defaults_are_filled_in(void **state)
{
	(void)state;
	call_answers("{'created':true," BLUE_ANSWER, "network.add", "{" BLUE "}");
	call_answers("{'created':false," BLUE_ANSWER, "network.add", "{" BLUE "}");
	call_answers("{" BLUE_ANSWER, "network.show", "{'name':'blue'}");
	call_answers("{'created':true,'network':{'name':'red','mode':'bridged','mtu':9000,"
	             "'gatewayMac':'02:70:72:00:00:01','macAgeing':60,'macLimit':0,"
	             "'multicastSnooping':true,'multicastQuerier':false,"
	             "'multicastQueryInterval':125,'linkLocalFrames':[],'index':1,"
	             "'ports':0,'routes':0}}",
	        "network.add", "{'name':'red','mode':'bridged','mtu':9000,'macAgeing':60}");
	assert_int_equal(fake_dp_networks(), 2);
	assert_int_equal(fake_dp_network("red")->mac_ageing, 60);
	assert_true(fake_dp_network("blue")->proxy_arp);
	assert_false(fake_dp_network("blue")->reassemble);
}

static void reassembly_is_asked_for(void **state)
{
	(void)state;
	call_ok("network.add", "{" BLUE ",'reassemble':true}");
	assert_true(fake_dp_network("blue")->reassemble);
	call_refused(
	        PR_ERR_EXISTS, "reassemble", "another reassemble", "network.add", "{" BLUE "}");
	call_refused(PR_ERR_PARAMS, "reassemble", "bridged", "network.add",
	        "{'name':'red','mode':'bridged','reassemble':true}");
}

/* What an answer shows is accepted again, once the members that only answers have are dropped. */
static void answers_are_accepted_again(void **state)
{
	(void)state;
	call_ok("network.add", "{" BLUE "}");
	call_answers("{'created':false," BLUE_ANSWER, "network.add",
	        "{'name':'blue','mode':'routed','mtu':1500,'gatewayMac':'02:70:72:00:00:01',"
	        "'subnets':['198.18.0.0/24'],'gateways':['198.18.0.1','169.254.1.1'],"
	        "'proxyArp':true}");
}

static void a_different_one_is_refused_by_field(void **state)
{
	(void)state;
	call_ok("network.add", "{" BLUE "}");
	call_refused(PR_ERR_EXISTS, "mtu", "another mtu", "network.add", "{" BLUE ",'mtu':1400}");
	call_refused(PR_ERR_EXISTS, "mode", "another mode", "network.add",
	        "{'name':'blue','mode':'bridged'}");
	assert_int_equal(fake_dp_networks(), 1);
	assert_int_equal(fake_dp_network("blue")->mtu, 1500);
}

static void bad_values_are_refused(void **state)
{
	(void)state;
	call_refused(PR_ERR_PARAMS, "subnets[0]", "you may mean 198.18.0.0/24", "network.add",
	        "{'name':'a','mode':'routed','subnets':['198.18.0.7/24']}");
	call_refused(PR_ERR_PARAMS, "subnets[1]", "overlaps subnets[0], 198.18.0.0/16",
	        "network.add",
	        "{'name':'a','mode':'routed','subnets':['198.18.0.0/16','198.18.4.0/24']}");
	call_refused(PR_ERR_PARAMS, "subnets[0]", "link-local", "network.add",
	        "{'name':'a','mode':'routed','subnets':['fe80::/64']}");
	call_refused(PR_ERR_PARAMS, "gateways[0]", "fe80::1", "network.add",
	        "{'name':'a','mode':'routed','gateways':['fe80::1']}");
	call_refused(PR_ERR_PARAMS, "subnets[0]", "can not be a subnet", "network.add",
	        "{'name':'a','mode':'routed','subnets':['224.0.0.0/8']}");
	call_refused(PR_ERR_PARAMS, "gateways[0]", "multicast", "network.add",
	        "{'name':'a','mode':'routed','gateways':['224.0.0.1']}");
	call_refused(PR_ERR_PARAMS, "subnets", "", "network.add",
	        "{'name':'a','mode':'bridged','subnets':['198.18.0.0/24']}");
	call_refused(PR_ERR_PARAMS, "macLimit", "", "network.add",
	        "{'name':'a','mode':'routed','macLimit':4}");
	call_refused(PR_ERR_PARAMS, "gatewayMac", "", "network.add",
	        "{'name':'a','mode':'routed','gatewayMac':'01:00:00:00:00:01'}");
	assert_int_equal(fake_dp_networks(), 0);
	assert_int_equal(stored_count("network"), 0);
}

static void multicast_options(void **state)
{
	(void)state;
	call_ok("network.add", "{'name':'a','mode':'bridged','multicastQuerier':true,"
	                       "'multicastQueryInterval':60,'linkLocalFrames':['lldp','00','02',"
	                       "'stp','0f']}");
	call_answers("{'network':{'name':'a','mode':'bridged','mtu':1500,"
	             "'gatewayMac':'02:70:72:00:00:01','macAgeing':300,'macLimit':0,"
	             "'multicastSnooping':true,'multicastQuerier':true,"
	             "'multicastQueryInterval':60,'linkLocalFrames':['stp','lacp','lldp','0f'],"
	             "'index':0,'ports':0,'routes':0}}",
	        "network.show", "{'name':'a'}");
	assert_int_equal(fake_dp_network("a")->link_local, 1 | 1 << 2 | 1 << 14 | 1 << 15);
	assert_true(fake_dp_network("a")->querier);
	assert_int_equal(fake_dp_network("a")->query_interval, 60);
	call_refused(PR_ERR_EXISTS, "linkLocalFrames", "", "network.add",
	        "{'name':'a','mode':'bridged','multicastQuerier':true,"
	        "'multicastQueryInterval':60}");
	call_refused(PR_ERR_PARAMS, "linkLocalFrames[1]", "PAUSE", "network.add",
	        "{'name':'b','mode':'bridged','linkLocalFrames':['lldp','01']}");
	call_refused(PR_ERR_PARAMS, "linkLocalFrames[0]", "\"stp\"", "network.add",
	        "{'name':'b','mode':'bridged','linkLocalFrames':['1f']}");
	call_refused(PR_ERR_PARAMS, "multicastQuerier", "multicastSnooping", "network.add",
	        "{'name':'b','mode':'bridged','multicastQuerier':true,'multicastSnooping':false}");
	call_refused(PR_ERR_PARAMS, "multicastSnooping", "", "network.add",
	        "{'name':'b','mode':'routed','multicastSnooping':true}");
	call_refused(PR_ERR_PARAMS, "linkLocalFrames", "", "network.add",
	        "{'name':'b','mode':'routed','linkLocalFrames':[]}");
	assert_int_equal(fake_dp_networks(), 1);
}

static void small_subnets_have_gateways(void **state)
{
	(void)state;
	call_ok("network.add",
	        "{'name':'a','mode':'routed','subnets':['192.0.2.0/31','192.0.2.9/32']}");
	assert_int_equal(fake_dp_network("a")->n_gateways, 2);
	assert_int_equal(fake_dp_network("a")->gateways[0].v4[3], 0);
	assert_int_equal(fake_dp_network("a")->gateways[1].v4[0], 169);
	call_ok("network.add",
	        "{'name':'b','mode':'routed','subnets':['2001:db8::/64','2001:db8:1::4/127',"
	        "'2001:db8:2::9/128']}");
	assert_int_equal(fake_dp_network("b")->n_gateways, 3);
	assert_int_equal(fake_dp_network("b")->gateways[0].v6[15], 1);
	assert_int_equal(fake_dp_network("b")->gateways[1].v6[15], 4);
	assert_int_equal(fake_dp_network("b")->gateways[2].v4[0], 169);
}

static void del_needs_no_ports(void **state)
{
	(void)state;
	call_ok("network.add", "{" BLUE "}");
	call_ok("port.add", "{'name':'up0','kind':'eth','network':'blue','device':'net_null0'}");
	call_refused(PR_ERR_IN_USE, "name", "\"up0\"", "network.del", "{'name':'blue'}");
	call_ok("port.del", "{'name':'up0'}");
	call_ok("route.add", "{'network':'blue','prefix':'192.0.2.0/24','type':'blackhole'}");
	call_answers("{'removed':true}", "network.del", "{'name':'blue'}");
	call_answers("{'removed':false}", "network.del", "{'name':'blue'}");
	assert_int_equal(stored_count("network") + stored_count("route"), 0);
	assert_int_equal(fake_dp_routes(), 0);
}

static void what_is_not_stored_is_not_there(void **state)
{
	(void)state;
	fake_control.fail_put = true;
	call_refused(PR_ERR_STORAGE, "", "", "network.add", "{" BLUE "}");
	assert_int_equal(fake_dp_networks(), 0);
	call_refused(PR_ERR_NOT_FOUND, "name", "blue", "network.show", "{'name':'blue'}");
	fake_control.fail_put = false;
	fake_control.fail_commit = true;
	call_refused(PR_ERR_STORAGE, "", "", "network.add", "{" BLUE "}");
	assert_int_equal(fake_dp_networks(), 0);
}

static void an_uncommitted_del_brings_all_back(void **state)
{
	(void)state;
	call_ok("network.add", "{" BLUE "}");
	call_ok("route.add", "{'network':'blue','prefix':'192.0.2.0/24','type':'blackhole'}");
	fake_control.fail_commit = true;
	call_refused(PR_ERR_STORAGE, "", "", "network.del", "{'name':'blue'}");
	fake_control.fail_commit = false;
	assert_int_equal(fake_dp_networks(), 1);
	assert_int_equal(fake_dp_routes(), 2);
	assert_int_equal(stored_count("route"), 1);
	call_answers("{'removed':true}", "route.del", "{'network':'blue','prefix':'192.0.2.0/24'}");
}

static void a_refusal_of_the_data_plane_changes_nothing(void **state)
{
	(void)state;
	fake_dp.fail_at = 1;
	call_refused(PR_ERR_FULL, "", "told to fail", "network.add", "{" BLUE "}");
	assert_int_equal(stored_count("network"), 0);
	call_ok("network.add", "{" BLUE "}");
	fake_dp.fail_at = 1;
	call_refused(PR_ERR_FULL, "", "told to fail", "network.del", "{'name':'blue'}");
	assert_int_equal(stored_count("network"), 1);
	call_answers("{" BLUE_ANSWER, "network.show", "{'name':'blue'}");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test_setup(defaults_are_filled_in, setup),
	        cmocka_unit_test_setup(reassembly_is_asked_for, setup),
	        cmocka_unit_test_setup(answers_are_accepted_again, setup),
	        cmocka_unit_test_setup(a_different_one_is_refused_by_field, setup),
	        cmocka_unit_test_setup(bad_values_are_refused, setup),
	        cmocka_unit_test_setup(multicast_options, setup),
	        cmocka_unit_test_setup(small_subnets_have_gateways, setup),
	        cmocka_unit_test_setup(del_needs_no_ports, setup),
	        cmocka_unit_test_setup(what_is_not_stored_is_not_there, setup),
	        cmocka_unit_test_setup(an_uncommitted_del_brings_all_back, setup),
	        cmocka_unit_test_setup(a_refusal_of_the_data_plane_changes_nothing, setup),
	};
	int failed = cmocka_run_group_tests(tests, NULL, NULL);

	fake_control_reset();
	return failed;
}
