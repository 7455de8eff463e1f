/* SPDX-License-Identifier: BSD-3-Clause */
/* port.describe: the exact lines; that they work is for the smoke tests. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

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
	call_ok("network.add",
	        "{'name':'blue','mode':'routed','mtu':9000,'subnets':['198.18.0.0/24']}");
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	directory_remove(dir);
	return 0;
}

#define VHOST "'name':'Pod_1','kind':'vhost-user','network':'blue','mac':'02:00:00:00:00:11'"
#define EAL   "--in-memory --single-file-segments -m %d --no-pci --no-telemetry "

static cJSON *describe(void)
{
	cJSON *result = call("port.describe", "{'name':'Pod_1'}");

	assert_non_null(result);
	return result;
}

static void assert_line(const char *format, ...)
{
	char expected[1024];
	va_list arguments;
	cJSON *result = describe();

	va_start(arguments, format);
	vsnprintf(expected, sizeof(expected), format, arguments);
	va_end(arguments);
	assert_string_equal(json_string(result, "testpmd", ""), expected);
	cJSON_Delete(result);
}

static void client_mode(void **state)
{
	(void)state;
	call_ok("port.add",
	        "{" VHOST ",'socket':'%s/net1','mtu':1500,'addresses':['198.18.0.2/32']}", dir);
	assert_line("dpdk-testpmd --lcores 0@1,1@1 " EAL
	            "--vdev net_virtio_user0,path=%s/net1,server=1,queues=1,queue_size=1024,"
	            "mac=02:00:00:00:00:11 -- --forward-mode=icmpecho --rxq=1 --txq=1 "
	            "--nb-cores=1 --total-num-mbufs=8192 --auto-start --stats-period 5",
	        128, dir);
}

/* What answers on the port's link: the subnets' first addresses and what every network has. */
static void gateways_of_both_families(void **state)
{
	static const char *const wanted[] = {
	        "2001:db8:1::1", "198.18.1.1", "169.254.1.1", "fe80::1"};
	const cJSON *gateways;
	cJSON *result;

	(void)state;
	call_ok("network.add", "{'name':'green','mode':'routed','subnets':['2001:db8:1::/64',"
	                       "'198.18.1.0/24']}");
	call_ok("port.add",
	        "{'name':'Pod_1','kind':'vhost-user','network':'green','socket':'%s/net1',"
	        "'addresses':['2001:db8:1::5/64']}",
	        dir);
	result = describe();
	gateways = json_array(json_member(result, "info"), "gateways");
	assert_int_equal(cJSON_GetArraySize(gateways), 4);
	for (int i = 0; i < 4; i++)
		assert_string_equal(cJSON_GetArrayItem(gateways, i)->valuestring, wanted[i]);
	cJSON_Delete(result);
}

static void server_mode_jumbo_without_addresses(void **state)
{
	(void)state;
	call_ok("port.add", "{" VHOST ",'socket':'%s/net1','mode':'server','queues':8}", dir);
	assert_line("dpdk-testpmd --lcores 0@1,1@1 " EAL
	            "--vdev net_virtio_user0,path=%s/net1,queues=8,queue_size=1024,"
	            "mac=02:00:00:00:00:11 -- --forward-mode=rxonly --rxq=8 --txq=8 --nb-cores=1 "
	            "--total-num-mbufs=36864 --mbuf-size=9216 --max-pkt-len=9018 --auto-start "
	            "--stats-period 5",
	        448, dir);
}

/* Longer than sun_path, and with what a shell would take apart. */
static void awkward_paths(void **state)
{
	char deep[160];

	(void)state;
	snprintf(deep, sizeof(deep), "%s/it's %0*d", dir, 90, 0);
	assert_int_equal(mkdir(deep, 0755), 0);
	/* The test's ' stand for ", so the quote goes in as \u0027. */
	call_ok("port.add", "{" VHOST ",'socket':'%s/it\\u0027s %0*d/s 1','mtu':1500}", dir, 90, 0);
	assert_line("cd '%s/it'\\''s %0*d' && dpdk-testpmd --lcores 0@1,1@1 " EAL
	            "--vdev net_virtio_user0,path='s 1',server=1,queues=1,queue_size=1024,"
	            "mac=02:00:00:00:00:11 -- --forward-mode=rxonly --rxq=1 --txq=1 --nb-cores=1 "
	            "--total-num-mbufs=8192 --auto-start --stats-period 5",
	        dir, 90, 0, 128);
}

static void pod_snippet(void **state)
{
	char expected[2048];
	cJSON *result;

	(void)state;
	call_ok("port.add",
	        "{" VHOST ",'socket':'%s/net1','mtu':1500,'addresses':['198.18.0.2/32'],"
	        "'cni':{'containerId':'c','ifname':'net1','networkName':'podnet'}}",
	        dir);
	snprintf(expected, sizeof(expected),
	        "apiVersion: v1\nkind: Pod\nmetadata:\n  name: pod-1\n  annotations:\n"
	        "    k8s.v1.cni.cncf.io/networks: \"podnet\"\nspec:\n  containers:\n"
	        "  - name: app\n    image: YOUR-DPDK-IMAGE\n    command: [\"/bin/sh\", \"-c\"]\n"
	        "    args:\n    - >-\n      exec dpdk-testpmd " EAL
	        "--vdev net_virtio_user0,path=/run/podrail-port/net1,server=1,queues=1,"
	        "queue_size=1024,mac=02:00:00:00:00:11 -- --forward-mode=icmpecho --rxq=1 "
	        "--txq=1 --nb-cores=1 --total-num-mbufs=8192 --auto-start --stats-period 5\n"
	        "    securityContext:\n      capabilities:\n        add: [\"IPC_LOCK\"]\n"
	        "    resources:\n      requests:\n        cpu: \"2\"\n        memory: 256Mi\n"
	        "        hugepages-2Mi: 128Mi\n      limits:\n        cpu: \"2\"\n"
	        "        memory: 256Mi\n        hugepages-2Mi: 128Mi\n    volumeMounts:\n"
	        "    - name: port\n      mountPath: /run/podrail-port\n    - name: hugepages\n"
	        "      mountPath: /dev/hugepages\n  volumes:\n  - name: port\n    hostPath:\n"
	        "      path: \"%s\"\n      type: Directory\n  - name: hugepages\n"
	        "    emptyDir:\n      medium: HugePages\n",
	        128, dir);
	result = describe();
	assert_string_equal(json_string(result, "podSnippet", ""), expected);
	cJSON_Delete(result);
}

static void an_eth_port_has_no_line(void **state)
{
	(void)state;
	call_ok("network.add", "{'name':'red','mode':'bridged'}");
	call_ok("port.add",
	        "{'name':'up','kind':'eth','network':'red','device':'net_null0','vlan':7}");
	call_answers("{'name':'up','testpmd':'','podSnippet':'','info':{'kind':'eth',"
	             "'network':'red','mtu':1500,'mac':'02:de:00:00:00:01','vlan':7,'queues':0,'"
	             "addresses':[],"
	             "'device':'net_null0','note':'an eth port leads to a device; no pod uses it "
	             "directly'}}",
	        "port.describe", "{'name':'up'}");
	call_refused(PR_ERR_NOT_FOUND, "name", "", "port.describe", "{'name':'none'}");
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
	        TEST(client_mode),
	        TEST(gateways_of_both_families),
	        TEST(server_mode_jumbo_without_addresses),
	        TEST(awkward_paths),
	        TEST(pod_snippet),
	        TEST(an_eth_port_has_no_line),
	};
	int failed = cmocka_run_group_tests(tests, NULL, NULL);

	fake_control_reset();
	return failed;
}
