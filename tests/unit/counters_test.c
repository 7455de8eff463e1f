/* SPDX-License-Identifier: BSD-3-Clause */
/* stats.get, worker.*, config.*. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "control/object.h"
#include "fake_control.h"
#include "fake_dataplane.h"

static int setup(void **state)
{
	(void)state;
	fake_control_reset();
	call_ok("network.add", "{'name':'red','mode':'bridged'}");
	call_ok("port.add", "{'name':'a','kind':'eth','network':'red','device':'net_null0'}");
	call_ok("port.add", "{'name':'b','kind':'eth','network':'red','device':'net_null1'}");
	return 0;
}

static cJSON *answer;

static const cJSON *get(const char *params)
{
	cJSON_Delete(answer);
	answer = call("stats.get", "%s", params);
	assert_non_null(answer);
	return answer;
}

static const cJSON *port_of(const cJSON *stats, const char *name)
{
	const cJSON *item;

	cJSON_ArrayForEach (item, json_array(stats, "ports")) {
		if (!strcmp(json_string(item, "name", ""), name))
			return item;
	}
	return NULL;
}

static void count(unsigned n)
{
	fake_dp.counters[0].rx_packets += n;
	fake_dp.counters[0].rx_bytes += 64 * n;
	fake_dp.counters[0].drops[PR_DROP_SPOOFED_IP] += n / 2;
	fake_dp.totals.in += n;
	fake_dp.totals.drops += n / 2;
	fake_dp.totals.out += n - n / 2 - 1;
	fake_dp.totals.held += 1;
	fake_dp.totals.drop_reasons[PR_DROP_SPOOFED_IP] += n / 2;
	fake_dp.totals.stage_packets[PR_STAGE_PARSE] += n;
}

static void only_reasons_that_are_not_0(void **state)
{
	const cJSON *stats, *port;
	char *text;

	(void)state;
	count(10);
	stats = get("{}");
	port = port_of(stats, "a");
	assert_int_equal(json_integer(port, "rxPackets", -1), 10);
	assert_int_equal(json_integer(port, "rxBytes", -1), 640);
	text = cJSON_PrintUnformatted(json_member(stats, "drops"));
	assert_string_equal(text, "{\"spoofed_ip\":5}");
	cJSON_free(text);
	assert_int_equal(json_integer(json_member(stats, "stages"), "parse", -1), 10);
	assert_int_equal(
	        json_integer(json_member(json_member(stats, "tables"), "ports"), "used", -1), 2);
	assert_int_equal(cJSON_GetArraySize(json_array(get("{'port':'b'}"), "ports")), 1);
	call_refused(PR_ERR_NOT_FOUND, "port", "", "stats.get", "{'port':'none'}");
}

static long balance(const cJSON *stats)
{
	const cJSON *c = json_member(stats, "conservation");

	return json_integer(c, "in", 0) + json_integer(c, "generated", 0) +
	       json_integer(c, "replicated", 0) + json_integer(c, "fragments", 0) -
	       json_integer(c, "out", 0) - json_integer(c, "drops", 0) -
	       json_integer(c, "consumed", 0) - json_integer(c, "merged", 0) -
	       json_integer(c, "held", 0);
}

static void zero_is_relative_to_the_last_zero(void **state)
{
	const cJSON *stats;

	(void)state;
	count(10);
	stats = get("{'zero':true}");
	assert_int_equal(json_integer(port_of(stats, "a"), "rxPackets", -1), 10);
	count(7);
	assert_int_equal(json_integer(port_of(get("{}"), "a"), "rxPackets", -1), 17);
	stats = get("{'zero':true}");
	assert_int_equal(json_integer(port_of(stats, "a"), "rxPackets", -1), 7);
	assert_int_equal(json_integer(json_member(stats, "drops"), "spoofed_ip", -1), 3);
	assert_int_equal(balance(stats), 0);
	/* Packets that were held went out: the balance holds with a negative difference. */
	fake_dp.totals.held -= 2;
	fake_dp.totals.out += 2;
	stats = get("{'zero':true}");
	assert_int_equal(json_integer(json_member(stats, "conservation"), "held", 0), -2);
	assert_int_equal(balance(stats), 0);
	fake_client_gone();
	stats = get("{'zero':true}");
	assert_int_equal(json_integer(port_of(stats, "a"), "rxPackets", -1), 17);
}

static void a_new_port_starts_at_0(void **state)
{
	(void)state;
	count(10);
	get("{'zero':true}");
	call_ok("port.del", "{'name':'a'}");
	call_ok("port.add", "{'name':'a','kind':'eth','network':'red','device':'net_null0'}");
	count(4);
	assert_int_equal(json_integer(port_of(get("{'zero':true}"), "a"), "rxPackets", -1), 4);
}

static void workers(void **state)
{
	static struct dp_worker_info info = {.cpu = 3,
	        .busy_cycles = 1500,
	        .idle_cycles = 500,
	        .packets = 10,
	        .batches = 4,
	        .polls = 5,
	        .n_queues = 1};
	const cJSON *stages, *route;
	cJSON *shown;

	(void)state;
	call_answers("{'workers':[]}", "worker.list", "{}");
	info.queue[0].port = 1;
	info.queue[0].queue = 2;
	info.queue[0].load = 250000;
	info.load = 500000;
	fake_dp.worker = &info;
	call_answers("{'workers':[{'index':0,'cpu':3,'queues':[{'port':'b','queue':2,'load':0.25}],"
	             "'load':0.5,'busyCycles':1500,'idleCycles':500,'idleShare':0.25,'packets':10,'"
	             "batches':4,"
	             "'polls':5,'packetsPerPoll':2,'cyclesPerPacket':150,'sleeping':false}]}",
	        "worker.list", "{}");
	call_refused(PR_ERR_NOT_FOUND, "index", "no worker 1", "worker.show", "{'index':1}");
	info.stage[PR_STAGE_ROUTE].packets = 64;
	info.stage[PR_STAGE_ROUTE].cycles = 784;
	shown = call("worker.show", "%s", "{'index':0}");
	stages = cJSON_GetObjectItemCaseSensitive(shown, "stages");
	assert_int_equal(cJSON_GetArraySize(stages), PR_STAGE_COUNT);
	route = cJSON_GetObjectItemCaseSensitive(stages, "route");
	assert_int_equal(json_integer(route, "packets", -1), 64);
	route = cJSON_GetObjectItemCaseSensitive(route, "cyclesPerPacket");
	assert_true(cJSON_GetNumberValue(route) == 12.3);
	cJSON_Delete(shown);
}

static void rebalance(void **state)
{
	(void)state;
	call_answers("{'moves':[],'loads':[]}", "worker.rebalance", "{}");
	assert_int_equal(fake_dp.gain, 0);
	fake_dp.moves = (struct dp_moves){.n = 1,
	        .move = {{.port = 1, .queue = 3, .from = 0, .to = 1, .load = 125000}},
	        .n_workers = 2,
	        .before = {900000, 10000},
	        .after = {775000, 135000}};
	call_answers("{'moves':[{'port':'b','queue':3,'from':0,'to':1,'load':0.125}],'loads':["
	             "{'index':0,'before':0.9,'after':0.775},"
	             "{'index':1,'before':0.01,'after':0.135}]}",
	        "worker.rebalance", "{}");
	call_refused(PR_ERR_PARAMS, "now", "no member now", "worker.rebalance", "{'now':true}");
	fake_dp.rebalance_fails = true;
	call_refused(PR_ERR_FULL, "", "out of memory", "worker.rebalance", "{}");
}

static void move(void **state)
{
	(void)state;
	call_answers("{'moves':[{'port':'b','queue':3,'from':0,'to':1,'load':0}],'loads':[]}",
	        "worker.move", "{'port':'b','queue':3,'worker':1}");
	call_refused(PR_ERR_NOT_FOUND, "port", "no port \"none\"", "worker.move",
	        "{'port':'none','queue':0,'worker':1}");
	call_refused(PR_ERR_NOT_FOUND, "worker", "no such worker", "worker.move",
	        "{'port':'b','queue':0,'worker':2}");
	call_refused(
	        PR_ERR_PARAMS, "queue", "63", "worker.move", "{'port':'b','queue':64,'worker':1}");
}

/* By itself only every so many seconds, and for a gain that is worth it. */
static void rebalance_by_time(void **state)
{
	(void)state;
	for (unsigned n = 0; n < 5; n++)
		workers_tick();
	assert_int_equal(fake_dp.rebalances, 0);
	workers_rebalance_every(3);
	for (unsigned n = 0; n < 7; n++)
		workers_tick();
	assert_int_equal(fake_dp.rebalances, 2);
	assert_true(fake_dp.gain > 0);
	workers_rebalance_every(0);
	workers_tick();
	assert_int_equal(fake_dp.rebalances, 2);
}

static void configuration(void **state)
{
	(void)state;
	call_answers("{'controlCpu':1}", "config.show", "{}");
	call_answers("{'ok':true}", "config.check", "{'config':{}}");
	call_refused(PR_ERR_PARAMS, "config.wrong", "unknown member", "config.check",
	        "{'config':{'wrong':1}}");
}

static void hello_names_the_instance(void **state)
{
	cJSON *result = call("hello", "{}");

	(void)state;
	assert_int_equal(json_integer(result, "protocol", 0), 1);
	assert_string_equal(json_string(result, "bootId", ""), "boot-1");
	assert_true(json_bool(result, "ready", false));
	cJSON_Delete(result);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test_setup(only_reasons_that_are_not_0, setup),
	        cmocka_unit_test_setup(zero_is_relative_to_the_last_zero, setup),
	        cmocka_unit_test_setup(a_new_port_starts_at_0, setup),
	        cmocka_unit_test_setup(workers, setup),
	        cmocka_unit_test_setup(rebalance, setup),
	        cmocka_unit_test_setup(move, setup),
	        cmocka_unit_test_setup(rebalance_by_time, setup),
	        cmocka_unit_test_setup(configuration, setup),
	        cmocka_unit_test_setup(hello_names_the_instance, setup),
	};
	int failed = cmocka_run_group_tests(tests, NULL, NULL);

	cJSON_Delete(answer);
	fake_control_reset();
	return failed;
}
