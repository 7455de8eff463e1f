/* SPDX-License-Identifier: BSD-3-Clause */
/* multicast.list and multicast.status over what the data plane tells. */
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
	call_ok("network.add", "{'name':'ann','mode':'bridged'}");
	call_ok("port.add", "{'name':'b','kind':'eth','network':'red','device':'net_null1'}");
	call_ok("port.add", "{'name':'a','kind':'eth','network':'red','device':'net_null2'}");
	call_ok("port.add", "{'name':'c','kind':'eth','network':'ann','device':'net_null3'}");
	return 0;
}

static void joined(uint16_t network, uint16_t vlan, const char *group, uint16_t port)
{
	struct dp_multicast_member *member = &fake_dp.multicast[fake_dp.n_multicast++];

	*member = (struct dp_multicast_member){
	        .network = network, .vlan = vlan, .port = port, .version = 3, .expires = 9};
	pr_ip_parse(group, &member->group);
}

#define ROW(network, vlan, group, port)                                                            \
	"{'network':'" network "','vlan':" vlan ",'group':'" group "','port':'" port               \
	"','version':3,'expires':9}"

static void groups_are_listed_in_order_and_pages(void **state)
{
	(void)state;
	joined(1, 0, "ff05::1", 0);
	joined(1, 7, "239.0.0.1", 0);
	joined(1, 0, "239.0.0.1", 1);
	joined(1, 0, "239.0.0.1", 0);
	joined(2, 0, "239.0.0.9", 2);
	joined(1, 0, "238.0.0.1", 0);
	call_answers("{'groups':[" ROW("ann", "0", "239.0.0.9", "c") "," ROW(
	                     "red", "0", "238.0.0.1", "b") "," ROW("red", "0", "239.0.0.1",
	                     "a") "," ROW("red", "0", "239.0.0.1", "b") "," ROW("red", "0",
	                     "ff05::1", "b") "," ROW("red", "7", "239.0.0.1", "b") "],'next':''}",
	        "multicast.list", "{}");
	call_answers("{'groups':[" ROW("red", "0", "238.0.0.1", "b") "," ROW(
	                     "red", "0", "239.0.0.1", "a") "],'next':'red 0 239.0.0.1 a'}",
	        "multicast.list", "{'network':'red','limit':2}");
	call_answers("{'groups':[" ROW("red", "0", "239.0.0.1", "b") "," ROW(
	                     "red", "0", "ff05::1", "b") "],'next':'red 0 ff05::1 b'}",
	        "multicast.list", "{'network':'red','limit':2,'after':'red 0 239.0.0.1 a'}");
	call_answers("{'groups':[" ROW("red", "7", "239.0.0.1", "b") "],'next':''}",
	        "multicast.list", "{'network':'red','limit':2,'after':'red 0 ff05::1 b'}");
	call_answers("{'groups':[" ROW("red", "0", "239.0.0.1", "a") "],'next':''}",
	        "multicast.list", "{'port':'a'}");
	call_refused(PR_ERR_PARAMS, "after", "begin without it", "multicast.list",
	        "{'after':'nonsense'}");
	call_refused(PR_ERR_PARAMS, "network", "routed", "multicast.list", "{'network':'blue'}");
	call_refused(PR_ERR_NOT_FOUND, "port", "", "multicast.list", "{'port':'zz'}");
}

static void status_tells_who_asks(void **state)
{
	struct dp_multicast_segment *segment = fake_dp.segment;

	(void)state;
	segment[0] = (struct dp_multicast_segment){.network = 1, .v6 = true, .querying = true};
	segment[1] = (struct dp_multicast_segment){.network = 1,
	        .active = true,
	        .overflow = true,
	        .other = true,
	        .querier_port = 1,
	        .n_routers = 2,
	        .router = {0, 1}};
	pr_ip_parse("192.0.2.1", &segment[1].querier);
	fake_dp.n_segments = 2;
	call_answers("{'segments':[{'network':'red','vlan':0,'family':'ipv4','state':'overflow',"
	             "'querier':'192.0.2.1','querierPort':'a','routerPorts':['b','a']},"
	             "{'network':'red','vlan':0,'family':'ipv6','state':'flooding',"
	             "'querier':'self','querierPort':'','routerPorts':[]}]}",
	        "multicast.status", "{}");
	call_answers("{'segments':[]}", "multicast.status", "{'network':'ann'}");
	call_refused(PR_ERR_PARAMS, "network", "routed", "multicast.status", "{'network':'blue'}");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test_setup(groups_are_listed_in_order_and_pages, setup),
	        cmocka_unit_test_setup(status_tells_who_asks, setup),
	};
	int failed = cmocka_run_group_tests(tests, NULL, NULL);

	fake_control_reset();
	return failed;
}
