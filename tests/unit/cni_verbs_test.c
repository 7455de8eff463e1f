/* SPDX-License-Identifier: BSD-3-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

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
	call_ok("network.add", "{'name':'blue','mode':'routed'}");
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	directory_remove(dir);
	return 0;
}

/* A pod with a namespace file and a directory of its own. */
static void add_pod(const char *name, const char *network, long created)
{
	char path[160];
	FILE *file;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	mkdir(path, 0755);
	snprintf(path, sizeof(path), "%s/%s.ns", dir, name);
	file = fopen(path, "w");
	fclose(file);
	call_ok("port.add",
	        "{'name':'%s','kind':'vhost-user','network':'blue','socket':'%s/%s/net1',"
	        "'cni':{'containerId':'c-%s','ifname':'net1','netns':'%s/%s.ns',"
	        "'networkName':'%s','socketDirectory':'%s/%s','created':%ld}}",
	        name, dir, name, name, dir, name, network, dir, name, created);
}

static void gone(const char *name, const char *what)
{
	char path[160];

	snprintf(path, sizeof(path), "%s/%s%s", dir, name, what);
	assert_int_equal(remove(path), 0);
}

static void del_asks_for_the_container(void **state)
{
	(void)state;
	add_pod("a", "podnet", 1);
	call_answers("{'removed':false}", "port.del", "{'name':'a','cniContainerId':'other'}");
	assert_int_equal(fake_dp_ports(), 1);
	call_answers("{'removed':true}", "port.del", "{'name':'a','cniContainerId':'c-a'}");
	call_answers("{'removed':false}", "port.del", "{'name':'a','cniContainerId':'c-a'}");
}

static void a_retried_add_is_the_same(void **state)
{
	(void)state;
	add_pod("a", "podnet", 1);
	add_pod("a", "podnet", 2);
	assert_int_equal(fake_dp_ports(), 1);
}

static void gc_keeps_what_is_listed(void **state)
{
	(void)state;
	add_pod("a", "podnet", 1);
	add_pod("b", "podnet", 1);
	add_pod("c", "other", 1);
	call_answers("{'removed':['b']}", "cni.gc",
	        "{'network':'podnet','attachments':[{'containerId':'c-a','ifname':'net1'},"
	        "{'containerId':'c-b','ifname':'net2'}]}");
	assert_int_equal(fake_dp_ports(), 2);
	assert_int_equal(stored_count("port"), 2);
	call_answers("{'removed':['a']}", "cni.gc", "{'network':'podnet','attachments':[]}");
}

static void gc_that_fails_removes_nothing(void **state)
{
	(void)state;
	add_pod("a", "podnet", 1);
	add_pod("b", "podnet", 1);
	fake_dp.fail_at = 2;
	call_refused(PR_ERR_FULL, "", "", "cni.gc", "{'network':'podnet','attachments':[]}");
	assert_int_equal(fake_dp_ports(), 2);
	assert_int_equal(stored_count("port"), 2);
	call_answers("{'removed':['a','b']}", "cni.gc", "{'network':'podnet','attachments':[]}");
}

static void status_names_the_reason(void **state)
{
	(void)state;
	call_answers("{'ready':true,'portsFree':1024,'reason':''}", "cni.status",
	        "{'networks':['blue']}");
	call_answers("{'ready':false,'portsFree':1024,'reason':'there is no network \\'x\\''}",
	        "cni.status", "{'networks':['blue','x']}");
	call_ok("port.add", "{'name':'up','kind':'eth','network':'blue','device':'net_null0'}");
	call_answers("{'ready':false,'portsFree':1023,'reason':'uplink \\'up\\' of network "
	             "\\'blue\\' is down'}",
	        "cni.status", "{'networks':['blue']}");
	fake_dp.state[0].up = true;
	call_answers("{'ready':true,'portsFree':1023,'reason':''}", "cni.status",
	        "{'networks':['blue']}");
	fake_dp.totals.mbufs.size = fake_dp.totals.mbufs.used = 7;
	call_answers("{'ready':false,'portsFree':1023,'reason':'no packet buffer is free'}",
	        "cni.status", "{}");
}

static void a_pod_that_is_gone_loses_its_port(void **state)
{
	(void)state;
	add_pod("a", "podnet", 1);
	add_pod("b", "podnet", 1);
	call_ok("port.add", "{'name':'mine','kind':'vhost-user','network':'blue','socket':'%s/m'}",
	        dir);
	objects_tick();
	gone("a", ".ns");
	objects_tick();
	assert_int_equal(fake_dp_ports(), 3);
	gone("a", "");
	objects_tick();
	assert_int_equal(fake_dp_ports(), 2);
	assert_null(fake_dp_port("a"));
	assert_int_equal(stored_count("port"), 2);
	assert_non_null(strstr(fake_control.log, "port a removed"));
}

static void a_pod_that_went_while_we_were_down(void **state)
{
	(void)state;
	add_pod("a", "podnet", 1);
	gone("a", ".ns");
	gone("a", "");
	assert_int_equal(fake_restart(), 0);
	assert_int_equal(fake_dp_ports() + stored_count("port"), 0);
}

static void another_boot_drops_pods(void **state)
{
	(void)state;
	add_pod("a", "podnet", 1);
	call_ok("port.add", "{'name':'mine','kind':'vhost-user','network':'blue','socket':'%s/m'}",
	        dir);
	assert_int_equal(fake_restart(), 0);
	assert_int_equal(fake_dp_ports(), 2);
	strcpy(fake_control.boot_id, "boot-2");
	/* Restarting forgets the fake's counters, not the boot. */
	assert_int_equal(fake_restart(), 0);
	assert_int_equal(fake_dp_ports(), 1);
	assert_int_equal(stored_count("port"), 1);
	assert_non_null(strstr(fake_control.log, "another boot"));
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
	        TEST(del_asks_for_the_container),
	        TEST(a_retried_add_is_the_same),
	        TEST(gc_keeps_what_is_listed),
	        TEST(gc_that_fails_removes_nothing),
	        TEST(status_names_the_reason),
	        TEST(a_pod_that_is_gone_loses_its_port),
	        TEST(a_pod_that_went_while_we_were_down),
	        TEST(another_boot_drops_pods),
	};
	int failed = cmocka_run_group_tests(tests, NULL, NULL);

	fake_control_reset();
	return failed;
}
