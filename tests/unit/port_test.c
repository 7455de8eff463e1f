/* SPDX-License-Identifier: BSD-3-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

#include "control/object.h"
#include "fake_control.h"
#include "fake_dataplane.h"

static char dir[64];

#define VHOST "'kind':'vhost-user','network':'blue'"

static int setup(void **state)
{
	(void)state;
	fake_control_reset();
	directory_make(dir);
	call_ok("network.add", "{'name':'blue','mode':'routed','subnets':['198.18.0.0/24']}");
	call_ok("network.add", "{'name':'red','mode':'bridged'}");
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	directory_remove(dir);
	return 0;
}

static void defaults_are_filled_in(void **state)
{
	char expected[1024], *body;

	(void)state;
	snprintf(expected, sizeof(expected),
	        "{'created':true,'port':{'name':'p1','kind':'vhost-user','network':'blue',"
	        "'mtu':1500,'mac':'02:00:00:00:00:11','gatewayMac':'02:70:72:00:00:01','vlan':0,"
	        "'trunk':[],'isolated':false,'macLimit':16,'floodRate':1000,'socket':'%s/s',"
	        "'mode':'client','queues':1,'addresses':['198.18.0.2/32'],'allowedPrefixes':[],"
	        "'allowedMacs':[],'trust':false,'socketGroup':-1,'index':0,'state':'down',"
	        "'connected':false,'refusedConnects':0,"
	        "'protocolErrors':0,'ringErrors':0,'memoryErrors':0}}",
	        dir);
	call_answers(expected, "port.add",
	        "{'name':'p1'," VHOST ",'socket':'%s/s','mac':'02:00:00:00:00:11',"
	        "'addresses':['198.18.0.2/32']}",
	        dir);
	body = stored("port", "p1");
	assert_non_null(strstr(body, "\"index\":0"));
	assert_null(strstr(body, "\"state\""));
	free(body);
	assert_int_equal(fake_dp_port("p1")->network, 0);
	assert_int_equal(fake_dp_port("p1")->socket_gid, -1);
}

static void multicast_and_rates(void **state)
{
	const struct dp_port_spec *spec;

	(void)state;
	call_ok("port.add",
	        "{'name':'p','kind':'vhost-user','network':'red','socket':'%s/p',"
	        "'multicastRate':500,'unknownUnicastRate':0,'copyRate':9000,"
	        "'multicastRouter':'always','multicastFastLeave':true,'multicastLimit':7}",
	        dir);
	spec = fake_dp_port("p");
	assert_int_equal(spec->own_rates, 6);
	assert_int_equal(spec->class_rate[1], 500);
	assert_int_equal(spec->class_rate[2], 0);
	assert_int_equal(spec->copy_rate, 9000);
	assert_int_equal(spec->multicast_router, DP_MULTICAST_ALWAYS);
	assert_true(spec->multicast_fast_leave);
	assert_int_equal(spec->multicast_limit, 7);
	call_ok("port.add", "{'name':'q','kind':'vhost-user','network':'red','socket':'%s/q'}",
	        dir);
	spec = fake_dp_port("q");
	assert_int_equal(spec->own_rates + spec->copy_rate, 0);
	assert_int_equal(spec->multicast_router, DP_MULTICAST_AUTO);
	assert_int_equal(spec->multicast_limit, 256);
	call_ok("port.add", "{'name':'e','kind':'eth','network':'red','device':'net_null7'}");
	assert_int_equal(fake_dp_port("e")->multicast_limit, 0);
	call_ok("port.add", "{'name':'f','kind':'eth','network':'red','device':'net_null8',"
	                    "'multicastLimit':9}");
	assert_int_equal(fake_dp_port("f")->multicast_limit, 9);
	/* Not given is not 0. */
	call_refused(PR_ERR_EXISTS, "broadcastRate", "", "port.add",
	        "{'name':'q','kind':'vhost-user','network':'red','socket':'%s/q',"
	        "'broadcastRate':0}",
	        dir);
	call_refused(PR_ERR_PARAMS, "multicastRate", "routed", "port.add",
	        "{'name':'r'," VHOST ",'socket':'%s/r','multicastRate':5}", dir);
	call_refused(PR_ERR_PARAMS, "multicastRouter", "routed", "port.add",
	        "{'name':'r'," VHOST ",'socket':'%s/r','multicastRouter':'never'}", dir);
}

static void repeating_is_harmless(void **state)
{
	unsigned changes;

	(void)state;
	call_ok("port.add", "{'name':'p1'," VHOST ",'socket':'%s/s'}", dir);
	changes = fake_dp.changes;
	call_ok("port.add", "{'name':'p1'," VHOST ",'socket':'%s/s','mode':'client'}", dir);
	assert_int_equal(fake_dp.changes, changes);
	call_refused(PR_ERR_EXISTS, "queues", "another queues", "port.add",
	        "{'name':'p1'," VHOST ",'socket':'%s/s','queues':2}", dir);
	call_refused(PR_ERR_EXISTS, "socket", "", "port.add",
	        "{'name':'p1'," VHOST ",'socket':'%s/t','queues':2}", dir);
	call_answers("{'removed':true}", "port.del", "{'name':'p1'}");
	call_answers("{'removed':false}", "port.del", "{'name':'p1'}");
	assert_int_equal(stored_count("port"), 0);
}

static void made_macs_are_stable_and_differ(void **state)
{
	struct pr_mac mac;

	(void)state;
	call_ok("port.add", "{'name':'p1'," VHOST ",'socket':'%s/1'}", dir);
	call_ok("port.add", "{'name':'p2'," VHOST ",'socket':'%s/2'}", dir);
	mac = fake_dp_port("p1")->mac;
	assert_int_equal(mac.b[0] & 3, 2);
	assert_memory_not_equal(&mac, &fake_dp_port("p2")->mac, sizeof(mac));
	call_ok("port.del", "{'name':'p1'}");
	call_ok("port.add", "{'name':'p1'," VHOST ",'socket':'%s/1'}", dir);
	assert_memory_equal(&mac, &fake_dp_port("p1")->mac, sizeof(mac));
}

static void socket_paths_that_can_not_be_used(void **state)
{
	char path[128];
	FILE *file;

	(void)state;
	call_refused(PR_ERR_UNUSABLE, "socket", "create it first", "port.add",
	        "{'name':'p'," VHOST ",'socket':'%s/missing/s'}", dir);
	call_refused(PR_ERR_PARAMS, "socket", "", "port.add",
	        "{'name':'p'," VHOST ",'socket':'relative/s'}");
	call_refused(PR_ERR_PARAMS, "socket", "", "port.add",
	        "{'name':'p'," VHOST ",'socket':'%s/../s'}", dir);
	snprintf(path, sizeof(path), "%s/file", dir);
	file = fopen(path, "w");
	fclose(file);
	call_refused(PR_ERR_UNUSABLE, "socket", "no socket", "port.add",
	        "{'name':'p'," VHOST ",'socket':'%s/file'}", dir);
	call_refused(PR_ERR_UNUSABLE, "socket", "no directory", "port.add",
	        "{'name':'p'," VHOST ",'socket':'%s/file/s'}", dir);
	snprintf(path, sizeof(path), "%s/link", dir);
	assert_int_equal(symlink(dir, path), 0);
	call_refused(PR_ERR_UNUSABLE, "socket", "symbolic link to", "port.add",
	        "{'name':'p'," VHOST ",'socket':'%s/link/s'}", dir);
	call_refused(PR_ERR_UNUSABLE, "socket", "symbolic link", "port.add",
	        "{'name':'p'," VHOST ",'socket':'%s/link'}", dir);
	call_refused(PR_ERR_UNUSABLE, "socket", "not in the pod's directory", "port.add",
	        "{'name':'p'," VHOST ",'socket':'%s/s','cni':{'containerId':'c','ifname':'net1',"
	        "'networkName':'n','socketDirectory':'%s-other'}}",
	        dir, dir);
	assert_int_equal(fake_dp_ports(), 0);
}

static void a_socket_that_is_there_is_used(void **state)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);

	(void)state;
	snprintf(address.sun_path, sizeof(address.sun_path), "%.60s/s", dir);
	assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	call_ok("port.add", "{'name':'p'," VHOST ",'socket':'%s/s'}", dir);
	call_refused(PR_ERR_CONFLICT, "socket", "\"p\"", "port.add",
	        "{'name':'q'," VHOST ",'socket':'%s/s'}", dir);
	close(fd);
}

static void addresses_and_macs_clash(void **state)
{
	(void)state;
	call_ok("port.add",
	        "{'name':'p'," VHOST ",'socket':'%s/p','addresses':['198.18.0.5/24'],"
	        "'mac':'02:00:00:00:00:05'}",
	        dir);
	call_refused(PR_ERR_CONFLICT, "addresses[1]", "\"p\" of the same network has 198.18.0.5",
	        "port.add",
	        "{'name':'q'," VHOST ",'socket':'%s/q','addresses':['198.18.0.6/32',"
	        "'198.18.0.5/32']}",
	        dir);
	call_refused(PR_ERR_CONFLICT, "mac", "\"p\"", "port.add",
	        "{'name':'q'," VHOST ",'socket':'%s/q','mac':'02:00:00:00:00:05'}", dir);
	/* Other networks do not meet. */
	call_ok("port.add",
	        "{'name':'q','kind':'vhost-user','network':'red','socket':'%s/q',"
	        "'addresses':['198.18.0.5/24'],'mac':'02:00:00:00:00:05'}",
	        dir);
	call_refused(PR_ERR_CONFLICT, "addresses[0]", "the gateway's address", "port.add",
	        "{'name':'r'," VHOST ",'socket':'%s/r','addresses':['198.18.0.1/24']}", dir);
	call_refused(PR_ERR_CONFLICT, "mac", "gateway's", "port.add",
	        "{'name':'r'," VHOST ",'socket':'%s/r','mac':'02:70:72:00:00:01'}", dir);
}

static void addresses_must_be_hosts_of_the_network(void **state)
{
	(void)state;
	call_refused(PR_ERR_PARAMS, "addresses[0]", "none of the subnets", "port.add",
	        "{'name':'p'," VHOST ",'socket':'%s/p','addresses':['192.0.2.5/32']}", dir);
	call_ok("port.add",
	        "{'name':'p'," VHOST ",'socket':'%s/p','addresses':['192.0.2.5/32'],'trust':true}",
	        dir);
	call_refused(PR_ERR_PARAMS, "addresses[0]", "broadcast address of its subnet", "port.add",
	        "{'name':'q'," VHOST ",'socket':'%s/q','addresses':['198.18.0.255/24']}", dir);
	call_refused(PR_ERR_PARAMS, "addresses[0]", "not of a host", "port.add",
	        "{'name':'q'," VHOST ",'socket':'%s/q','addresses':['198.18.0.0/24']}", dir);
	call_refused(PR_ERR_PARAMS, "addresses[0]", "none of the subnets", "port.add",
	        "{'name':'q'," VHOST ",'socket':'%s/q','addresses':['2001:db8::5/64']}", dir);
	call_refused(PR_ERR_PARAMS, "addresses[0]", "link-local", "port.add",
	        "{'name':'q'," VHOST ",'socket':'%s/q','addresses':['fe80::5/64']}", dir);
	call_refused(PR_ERR_PARAMS, "addresses[1]", "given twice", "port.add",
	        "{'name':'q'," VHOST ",'socket':'%s/q','addresses':['198.18.0.9/24',"
	        "'198.18.0.9/32']}",
	        dir);
	call_ok("port.add",
	        "{'name':'q','kind':'vhost-user','network':'red','socket':'%s/q',"
	        "'addresses':['2001:db8::5/64']}",
	        dir);
}

static void members_of_the_wrong_kind_or_mode(void **state)
{
	(void)state;
	call_refused(PR_ERR_PARAMS, "device", "", "port.add",
	        "{'name':'p'," VHOST ",'socket':'%s/p','device':'net_null0'}", dir);
	call_refused(PR_ERR_PARAMS, "trust", "", "port.add",
	        "{'name':'p','kind':'eth','network':'blue','device':'net_null0','trust':true}");
	call_refused(PR_ERR_PARAMS, "vlan", "only its eth ports", "port.add",
	        "{'name':'p'," VHOST ",'socket':'%s/p','vlan':5}", dir);
	call_refused(PR_ERR_PARAMS, "trunk", "routed", "port.add",
	        "{'name':'p'," VHOST ",'socket':'%s/p','trunk':[5]}", dir);
	call_refused(PR_ERR_PARAMS, "isolated", "routed", "port.add",
	        "{'name':'p'," VHOST ",'socket':'%s/p','isolated':true}", dir);
	call_refused(PR_ERR_PARAMS, "gatewayMac", "bridged", "port.add",
	        "{'name':'p','kind':'vhost-user','network':'red','socket':'%s/p',"
	        "'gatewayMac':'02:00:00:00:00:01'}",
	        dir);
	call_refused(PR_ERR_PARAMS, "socketGroup", "client mode", "port.add",
	        "{'name':'p'," VHOST ",'socket':'%s/p','socketGroup':7}", dir);
	call_refused(PR_ERR_PARAMS, "mtu", "above the MTU of network", "port.add",
	        "{'name':'p'," VHOST ",'socket':'%s/p','mtu':1501}", dir);
	call_refused(PR_ERR_NOT_FOUND, "network", "no network \"none\"", "port.add",
	        "{'name':'p','kind':'eth','network':'none','device':'net_null0'}");
	assert_int_equal(fake_dp_ports(), 0);
}

static void trunks_have_one_form(void **state)
{
	cJSON *result;
	char *text;

	(void)state;
	result = call("port.add",
	        "{'name':'p','kind':'vhost-user','network':'red','socket':'%s/p','vlan':9,"
	        "'trunk':['12-14',10,'11-12',4094]}",
	        dir);
	assert_non_null(result);
	text = cJSON_PrintUnformatted(json_member(json_member(result, "port"), "trunk"));
	assert_string_equal(text, "[\"10-14\",4094]");
	cJSON_free(text);
	cJSON_Delete(result);
	assert_true(fake_dp_port("p")->trunk[0] == UINT64_C(0x7c00));
	call_ok("port.add",
	        "{'name':'p','kind':'vhost-user','network':'red','socket':'%s/p','vlan':9,"
	        "'trunk':['10-14',4094]}",
	        dir);
}

static void vlans_of_one_device_may_not_overlap(void **state)
{
	(void)state;
	call_ok("port.add", "{'name':'a','kind':'eth','network':'red','device':'net_null0'}");
	call_refused(PR_ERR_CONFLICT, "vlan", "\"a\" takes the untagged", "port.add",
	        "{'name':'b','kind':'eth','network':'red','device':'net_null0'}");
	call_ok("port.add",
	        "{'name':'b','kind':'eth','network':'blue','device':'net_null0','vlan':7}");
	/* A trunk takes untagged frames, too: they are its native VLAN. */
	call_refused(PR_ERR_CONFLICT, "vlan", "\"a\" takes the untagged", "port.add",
	        "{'name':'c','kind':'eth','network':'red','device':'net_null0','trunk':['8-9']}");
	call_ok("port.add",
	        "{'name':'c','kind':'eth','network':'red','device':'net_null1','vlan':7}");
	call_ok("port.add",
	        "{'name':'d','kind':'eth','network':'red','device':'net_null1','vlan':6,"
	        "'trunk':['5-6',8]}");
	call_refused(PR_ERR_CONFLICT, "vlan", "\"d\" takes VLAN 8", "port.add",
	        "{'name':'e','kind':'eth','network':'red','device':'net_null1','vlan':8}");
	call_refused(PR_ERR_CONFLICT, "vlan", "\"d\" takes the untagged", "port.add",
	        "{'name':'e','kind':'eth','network':'blue','device':'net_null1'}");
	call_ok("port.add",
	        "{'name':'e','kind':'eth','network':'blue','device':'net_null1','vlan':6}");
}

static void an_eth_port_has_the_devices_mac(void **state)
{
	char *body;

	(void)state;
	call_ok("port.add", "{'name':'a','kind':'eth','network':'blue','device':'net_null0'}");
	body = stored("port", "a");
	assert_null(strstr(body, "\"mac\""));
	free(body);
	call_ok("port.add", "{'name':'a','kind':'eth','network':'blue','device':'net_null0',"
	                    "'mac':'02:de:00:00:00:01'}");
	call_refused(PR_ERR_EXISTS, "mac", "", "port.add",
	        "{'name':'a','kind':'eth','network':'blue','device':'net_null0',"
	        "'mac':'02:de:00:00:00:02'}");
}

static void a_failure_leaves_nothing(void **state)
{
	(void)state;
	fake_control.fail_put = true;
	call_refused(
	        PR_ERR_STORAGE, "", "", "port.add", "{'name':'p'," VHOST ",'socket':'%s/p'}", dir);
	assert_int_equal(fake_dp_ports(), 0);
	fake_control.fail_put = false;
	fake_control.fail_commit = true;
	call_refused(
	        PR_ERR_STORAGE, "", "", "port.add", "{'name':'p'," VHOST ",'socket':'%s/p'}", dir);
	assert_int_equal(fake_dp_ports() + stored_count("port"), 0);
	fake_control.fail_commit = false;
	fake_dp.fail_at = 1;
	call_refused(
	        PR_ERR_FULL, "", "", "port.add", "{'name':'p'," VHOST ",'socket':'%s/p'}", dir);
	assert_int_equal(fake_dp_ports() + stored_count("port"), 0);
	call_ok("port.add", "{'name':'p'," VHOST ",'socket':'%s/p'}", dir);
	fake_control.fail_commit = true;
	call_refused(PR_ERR_STORAGE, "", "", "port.del", "{'name':'p'}");
	assert_int_equal(fake_dp_ports(), 1);
	assert_int_equal(stored_count("port"), 1);
	fake_control.fail_commit = false;
	fake_dp.fail_at = 1;
	call_refused(PR_ERR_FULL, "", "", "port.del", "{'name':'p'}");
	assert_int_equal(fake_dp_ports(), 1);
	assert_int_equal(stored_count("port"), 1);
}

static void lists_are_ordered_and_filtered(void **state)
{
	cJSON *result;

	(void)state;
	call_ok("port.add", "{'name':'b'," VHOST ",'socket':'%s/b'}", dir);
	call_ok("port.add", "{'name':'a','kind':'eth','network':'red','device':'net_null0'}");
	result = call("port.list", "{}");
	assert_string_equal(
	        json_string(cJSON_GetArrayItem(json_array(result, "ports"), 0), "name", ""), "a");
	assert_int_equal(cJSON_GetArraySize(json_array(result, "ports")), 2);
	cJSON_Delete(result);
	result = call("port.list", "{'network':'blue'}");
	assert_int_equal(cJSON_GetArraySize(json_array(result, "ports")), 1);
	cJSON_Delete(result);
	call_answers("{'ports':[]}", "port.list", "{'cniNetwork':'x'}");
	call_refused(PR_ERR_NOT_FOUND, "network", "", "port.list", "{'network':'none'}");
}

static void a_restart_restores_index_and_mac(void **state)
{
	uint16_t index;
	struct pr_mac mac;

	(void)state;
	call_ok("port.add", "{'name':'p0'," VHOST ",'socket':'%s/0'}", dir);
	call_ok("port.add", "{'name':'p1'," VHOST ",'socket':'%s/1'}", dir);
	call_ok("port.del", "{'name':'p0'}");
	index = fake_dp_port("p1")->index;
	mac = fake_dp_port("p1")->mac;
	assert_int_equal(fake_restart(), 0);
	assert_int_equal(fake_dp_port("p1")->index, index);
	assert_memory_equal(&fake_dp_port("p1")->mac, &mac, sizeof(mac));
	call_ok("port.add", "{'name':'p1'," VHOST ",'socket':'%s/1'}", dir);
	assert_int_equal(stored_count("port"), 1);
}

static void what_can_not_be_restored_stays_stored(void **state)
{
	(void)state;
	store_text("port", "bad",
	        "{'name':'bad','kind':'vhost-user','network':'blue',"
	        "'socket':'/nonexistent/podrail/s','index':3}");
	store_text("port", "worse", "{'name':'worse','kind':7}");
	assert_int_equal(fake_restart(), 2);
	assert_non_null(strstr(fake_control.log, "worse"));
	assert_int_equal(stored_count("port"), 2);
	assert_int_equal(fake_dp_ports(), 0);
	call_answers("{'removed':true}", "port.del", "{'name':'bad'}");
	call_answers("{'removed':false}", "port.del", "{'name':'bad'}");
	call_ok("port.add", "{'name':'worse'," VHOST ",'socket':'%s/w'}", dir);
	assert_int_equal(stored_count("port"), 1);
	assert_int_equal(fake_restart(), 0);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
	        TEST(defaults_are_filled_in),
	        TEST(multicast_and_rates),
	        TEST(repeating_is_harmless),
	        TEST(made_macs_are_stable_and_differ),
	        TEST(socket_paths_that_can_not_be_used),
	        TEST(a_socket_that_is_there_is_used),
	        TEST(addresses_and_macs_clash),
	        TEST(addresses_must_be_hosts_of_the_network),
	        TEST(members_of_the_wrong_kind_or_mode),
	        TEST(trunks_have_one_form),
	        TEST(vlans_of_one_device_may_not_overlap),
	        TEST(an_eth_port_has_the_devices_mac),
	        TEST(a_failure_leaves_nothing),
	        TEST(lists_are_ordered_and_filtered),
	        TEST(a_restart_restores_index_and_mac),
	        TEST(what_can_not_be_restored_stays_stored),
	};
	int failed = cmocka_run_group_tests(tests, NULL, NULL);

	fake_control_reset();
	return failed;
}
