/* SPDX-License-Identifier: BSD-3-Clause */
/* The configuration file: defaults, every refusal by name, what the reference page promises. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <syslog.h>
#include <unistd.h>

#include "control/config.h"

static int cpus[4]; /* that this machine lets us use */
static int n_cpus;
static int forbidden_cpu;

static int group_set_up(void **test)
{
	const cpu_set_t *set = config_cpus();

	(void)test;
	for (int cpu = 0; cpu < CPU_SETSIZE && n_cpus < 4; cpu++)
		if (CPU_ISSET(cpu, set))
			cpus[n_cpus++] = cpu;
	for (forbidden_cpu = 0; CPU_ISSET(forbidden_cpu, set); forbidden_cpu++)
		;
	return n_cpus ? 0 : -1;
}

static int parse(const char *text, struct daemon_config *config, struct config_error *error)
{
	cJSON *json = cJSON_Parse(text);
	int rc;

	assert_non_null(json);
	rc = config_parse(json, config, error);
	cJSON_Delete(json);
	return rc;
}

static void refuse(const char *text, const char *field, const char *says)
{
	struct daemon_config config;
	struct config_error error;

	if (!parse(text, &config, &error))
		fail_msg("accepted: %s", text);
	if (strcmp(error.field, field) || !strstr(error.message, says))
		fail_msg("%s: got %s: %s", text, error.field, error.message);
	assert_null(config.networks);
	config_free(&config);
}

static void test_defaults(void **test)
{
	struct daemon_config config;
	struct config_error error;

	(void)test;
	assert_int_equal(config_parse(NULL, &config, &error), 0);
	assert_string_equal(config.run_dir, "/run/podrail");
	assert_string_equal(config.dp.run_dir, "/run/podrail");
	assert_string_equal(config.state_dir, "/var/lib/podrail");
	assert_int_equal(config.dp.n_workers, 1);
	assert_int_equal(config.dp.control_cpu, cpus[0]);
	if (n_cpus > 1)
		assert_int_not_equal(config.dp.worker_cpu[0], cpus[0]);
	assert_int_equal(config.dp.idle, DP_IDLE_POLL);
	assert_int_equal(config.dp.max_routes, 131072);
	assert_int_equal(config.dp.max_fib_nodes, 65536 + 131072 / 32);
	assert_int_equal(config.dp.max_fdb, 65536);
	assert_int_equal(config.dp.max_neighbours, 16384);
	assert_int_equal(config.dp.max_multicast, 4096);
	assert_int_equal(config.dp.max_reassemblies, 1024);
	assert_int_equal(config.dp.max_reassembly_bytes, 4 << 20);
	assert_int_equal(config.dp.max_groups, 512);
	assert_int_equal(config.dp.mbufs, 0);
	assert_false(config.dp.no_huge);
	assert_false(config.durable);
	assert_int_equal(config.rebalance, 0);
	assert_int_equal(config.socket_mode, 0660);
	assert_true(config.socket_gid == CONFIG_NO_GROUP);
	assert_int_equal(config.log_level, LOG_INFO);
	config_free(&config);
	assert_int_equal(config_load("/nonexistent/podraild.json", true, &config, &error), 0);
	config_free(&config);
	assert_int_equal(
	        config_load("/nonexistent/podraild.json", false, &config, &error), -EINVAL);
	assert_non_null(strstr(error.message, "No such file"));
}

static void test_all_options(void **test)
{
	struct daemon_config config;
	struct config_error error;

	(void)test;
	assert_int_equal(
	        parse("{\"runDir\":\"/tmp/r//\",\"stateDir\":\"/tmp/s\",\"idle\":\"sleep\","
	              "\"memory\":512,\"hugepages\":false,\"socketGroup\":\"root\","
	              "\"readGroup\":\"1234\",\"durable\":true,\"rebalance\":30,\"logLevel\":"
	              "\"debug\","
	              "\"limits\":{\"routes\":1000,\"routes6\":500,\"fibNodes\":100,\"macs\":128,"
	              "\"neighbours\":32,\"multicastGroups\":64,\"groups\":64,"
	              "\"reassemblyDatagrams\":64,"
	              "\"reassemblyBytes\":1000000,\"mbufs\":2048},"
	              "\"networks\":[{\"name\":\"a\",\"mode\":\"routed\"}],"
	              "\"ports\":[{\"name\":\"p\",\"kind\":\"eth\",\"network\":\"a\","
	              "\"device\":\"net_null0\"}],"
	              "\"routes\":[{\"network\":\"a\",\"prefix\":\"192.0.2.0/24\","
	              "\"port\":\"p\"}]}",
	                &config, &error),
	        0);
	assert_string_equal(config.run_dir, "/tmp/r");
	assert_int_equal(config.dp.idle, DP_IDLE_SLEEP);
	assert_int_equal(config.dp.memory_mib, 512);
	assert_true(config.dp.no_huge);
	assert_int_equal(config.socket_gid, 0);
	assert_int_equal(config.read_gid, 1234);
	assert_int_equal(config.socket_mode, 0666);
	assert_true(config.durable);
	assert_int_equal(config.rebalance, 30);
	assert_int_equal(config.log_level, LOG_DEBUG);
	assert_int_equal(config.dp.max_routes, 1000);
	assert_int_equal(config.dp.max_routes6, 500);
	assert_int_equal(config.dp.max_fib_nodes, 100);
	assert_int_equal(config.dp.max_fdb, 128);
	assert_int_equal(config.dp.max_neighbours, 32);
	assert_int_equal(config.dp.max_multicast, 64);
	assert_int_equal(config.dp.max_reassemblies, 64);
	assert_int_equal(config.dp.max_reassembly_bytes, 1000000);
	assert_int_equal(config.dp.max_groups, 64);
	assert_int_equal(config.dp.mbufs, 2048);
	assert_int_equal(cJSON_GetArraySize(config.networks), 1);
	assert_int_equal(cJSON_GetArraySize(config.ports), 1);
	assert_int_equal(cJSON_GetArraySize(config.routes), 1);
	config_free(&config);
}

static void test_refusals(void **test)
{
	(void)test;
	refuse("[]", "", "object");
	refuse("{\"routez\":1}", "routez", "routes");
	refuse("{\"limits\":{\"routez\":1}}", "limits.routez", "routes");
	refuse("{\"limits\":{\"xyzzy\":1}}", "limits.xyzzy", "no option");
	refuse("{\"idle\":\"poll\",\"idle\":\"sleep\"}", "idle", "twice");
	refuse("{\"limits\":{\"macs\":100,\"macs\":100}}", "limits.macs", "twice");
	refuse("{\"limits\":[]}", "limits", "object");
	refuse("{\"limits\":{\"routes\":15}}", "limits.routes", "16");
	refuse("{\"limits\":{\"routes6\":15}}", "limits.routes6", "16");
	refuse("{\"limits\":{\"routes6\":4194305}}", "limits.routes6", "4194304");
	refuse("{\"networks\":[{\"name\":\"a\",\"mode\":\"routed\","
	       "\"subnets\":[\"2001:db8::/129\"]}]}",
	        "networks[0].subnets[0]", "");
	refuse("{\"networks\":[{\"name\":\"a\",\"mode\":\"bridged\","
	       "\"routerAdvertisements\":true}]}",
	        "networks[0].routerAdvertisements", "routed");
	refuse("{\"limits\":{\"routes\":1e12}}", "limits.routes", "whole number");
	refuse("{\"limits\":{\"routes\":16.5}}", "limits.routes", "whole number");
	refuse("{\"limits\":{\"routes\":-16}}", "limits.routes", "whole number");
	refuse("{\"limits\":{\"routes\":\"16\"}}", "limits.routes", "whole number");
	refuse("{\"limits\":{\"mbufs\":10}}", "limits.mbufs", "1024");
	refuse("{\"runDir\":\"relative\"}", "runDir", "absolute");
	refuse("{\"runDir\":7}", "runDir", "absolute");
	refuse("{\"idle\":\"doze\"}", "idle", "\"sleep\"");
	refuse("{\"hugepages\":0}", "hugepages", "true or false");
	refuse("{\"rebalance\":3601}", "rebalance", "3600");
	refuse("{\"durable\":\"yes\"}", "durable", "true or false");
	refuse("{\"memory\":-1}", "memory", "whole number");
	refuse("{\"socketMode\":660}", "socketMode", "octal");
	refuse("{\"socketMode\":\"0690\"}", "socketMode", "octal");
	refuse("{\"socketMode\":\"-660\"}", "socketMode", "octal");
	refuse("{\"socketMode\":\"6\"}", "socketMode", "octal");
	refuse("{\"socketGroup\":\"no-such-group\"}", "socketGroup", "no group");
	refuse("{\"readGroup\":\"4294967295\"}", "readGroup", "no group");
	refuse("{\"readGroup\":\"-1\"}", "readGroup", "no group");
	refuse("{\"readGroup\":\"1234\",\"socketMode\":\"0660\"}", "socketMode", "readGroup");
	refuse("{\"logLevel\":\"loud\"}", "logLevel", "warning");
}

static void test_long_paths(void **test)
{
	struct daemon_config config;
	struct config_error error;
	char text[512];

	(void)test;
	for (int n = 190; n < 270; n++) {
		int rc;

		snprintf(text, sizeof(text), "{\"runDir\":\"/%0*d\"}", n, 0);
		rc = parse(text, &config, &error);
		assert_int_equal(rc, n + 1 <= CONFIG_PATH_MAX - 48 ? 0 : -EINVAL);
		config_free(&config);
	}
}

/* Formats with CPU numbers of this machine. */
static char *with_cpus(const char *format, int a, int b)
{
	static char text[256];

	snprintf(text, sizeof(text), format, a, b);
	return text;
}

static void test_cpus(void **test)
{
	struct daemon_config config;
	struct config_error error;

	(void)test;
	refuse("{\"workers\":[]}", "workers", "1 to 16");
	refuse("{\"workers\":1}", "workers", "1 to 16");
	refuse("{\"workers\":[0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0],\"idle\":\"sleep\"}", "workers",
	        "1 to 16");
	refuse("{\"workers\":[\"0\"]}", "workers[0]", "number");
	refuse("{\"workers\":[1.5]}", "workers[0]", "number");
	refuse("{\"controlCpu\":-1}", "controlCpu", "number");
	refuse("{\"controlCpu\":99999}", "controlCpu", "number");
	refuse(with_cpus("{\"workers\":[%d,%d]}", cpus[0], forbidden_cpu), "workers[1]",
	        "not one that this process may use");
	refuse(with_cpus("{\"controlCpu\":%d}", forbidden_cpu, 0), "controlCpu", "may use");
	refuse(with_cpus("{\"workers\":[%d,%d]}", cpus[0], cpus[0]), "workers[1]", "starve");
	if (n_cpus > 1) {
		refuse(with_cpus("{\"workers\":[%d],\"controlCpu\":%d}", cpus[0], cpus[0]),
		        "controlCpu", "idle");
		/* the control thread makes way when only the workers were chosen */
		assert_int_equal(
		        parse(with_cpus("{\"workers\":[%d]}", cpus[0], 0), &config, &error), 0);
		assert_int_equal(config.dp.control_cpu, cpus[1]);
		config_free(&config);
	}
	assert_int_equal(
	        parse(with_cpus("{\"workers\":[%d,%d],\"idle\":\"sleep\"}", cpus[0], cpus[0]),
	                &config, &error),
	        0);
	assert_int_equal(config.dp.n_workers, 2);
	config_free(&config);
}

#define NET "\"networks\":[{\"name\":\"a\",\"mode\":\"bridged\"}]"

static void test_objects(void **test)
{
	(void)test;
	refuse("{\"networks\":{}}", "networks", "array");
	refuse("{\"networks\":[1]}", "networks[0]", "object");
	refuse("{\"networks\":[{\"name\":\"a\",\"mode\":\"bridged\"},{\"name\":\"b\"}]}",
	        "networks[1].mode", "");
	refuse("{\"networks\":[{\"name\":\"a\",\"mode\":\"bridged\",\"mtux\":1500}]}",
	        "networks[0].mtux", "");
	refuse("{\"networks\":[{\"name\":\"a\",\"mode\":\"bridged\"},{\"name\":\"a\",\"mode\":"
	       "\"routed\"}]}",
	        "networks[1].name", "twice");
	refuse("{" NET ",\"ports\":[{\"name\":\"p\",\"kind\":\"eth\",\"network\":\"b\",\"device\":"
	       "\"d\"}]}",
	        "ports[0].network", "no \"b\"");
	refuse("{" NET ",\"routes\":[{\"network\":\"a\",\"prefix\":\"0.0.0.0/0\",\"port\":\"p\"}]}",
	        "routes[0].port", "no \"p\"");
}

/* What config.show prints is a file that means the same. */
static void test_show(void **test)
{
	struct daemon_config config, again;
	struct config_error error;
	cJSON *first, *second;

	(void)test;
	assert_int_equal(
	        parse("{\"idle\":\"sleep\",\"limits\":{\"mbufs\":4096}," NET "}", &config, &error),
	        0);
	first = config_show(&config);
	assert_int_equal(config_parse(first, &again, &error), 0);
	second = config_show(&again);
	assert_true(cJSON_Compare(first, second, 1));
	assert_int_equal(again.dp.mbufs, 4096);
	cJSON_Delete(first);
	cJSON_Delete(second);
	config_free(&config);
	config_free(&again);
}

static char *write_file(const char *text, size_t size)
{
	static char path[64];
	int fd;

	strcpy(path, "/tmp/podrail-config-XXXXXX");
	fd = mkstemp(path);
	assert_int_equal(write(fd, text, size), (ssize_t)size);
	close(fd);
	return path;
}

static void test_files(void **test)
{
	static const char *const broken[] = {"", "{", "{}x", "{\n\n\"idle\" 7}", "\xff"};
	struct daemon_config config;
	struct config_error error;
	char *path, *large;

	(void)test;
	path = write_file("{\n\t\"idle\": \"sleep\"\n}\n", 21);
	assert_int_equal(config_load(path, false, &config, &error), 0);
	assert_int_equal(config.dp.idle, DP_IDLE_SLEEP);
	config_free(&config);
	unlink(path);
	for (unsigned i = 0; i < sizeof(broken) / sizeof(broken[0]); i++) {
		path = write_file(broken[i], strlen(broken[i]));
		assert_int_equal(config_load(path, false, &config, &error), -EINVAL);
		assert_non_null(strstr(error.message, i == 3 ? "line 3" : "line 1"));
		unlink(path);
	}
	large = malloc(CONFIG_FILE_MAX + 1);
	memset(large, ' ', CONFIG_FILE_MAX + 1);
	path = write_file(large, CONFIG_FILE_MAX + 1);
	assert_int_equal(config_load(path, false, &config, &error), -EINVAL);
	assert_non_null(strstr(error.message, "large"));
	unlink(path);
	free(large);
	assert_int_equal(config_load("/tmp", true, &config, &error), -EINVAL);
}

/* The example is right, and the reference page names every option that config.show knows. */
static void test_documents(void **test)
{
	static char page[65536];
	struct daemon_config config;
	struct config_error error;
	cJSON *shown, *limits, *item;
	FILE *file;

	(void)test;
	if (n_cpus > 1 && cpus[0] == 0 && cpus[1] == 1)
		assert_int_equal(
		        config_load(DOCS "/examples/podraild.json", false, &config, &error), 0);
	else
		assert_int_equal(config_parse(NULL, &config, &error), 0);
	file = fopen(DOCS "/configuration.md", "r");
	assert_non_null(file);
	assert_true(fread(page, 1, sizeof(page) - 1, file) > 1000);
	fclose(file);
	shown = config_show(&config);
	limits = cJSON_GetObjectItemCaseSensitive(shown, "limits");
	for (const cJSON *table = shown; table; table = table == shown ? limits : NULL)
		cJSON_ArrayForEach (item, table) {
			char row[64];

			snprintf(row, sizeof(row), "\n| `%s` |", item->string);
			if (!strstr(page, row))
				fail_msg("docs/configuration.md has no %s", item->string);
		}
	cJSON_Delete(shown);
	config_free(&config);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(test_defaults),
	        cmocka_unit_test(test_all_options),
	        cmocka_unit_test(test_refusals),
	        cmocka_unit_test(test_long_paths),
	        cmocka_unit_test(test_cpus),
	        cmocka_unit_test(test_objects),
	        cmocka_unit_test(test_show),
	        cmocka_unit_test(test_files),
	        cmocka_unit_test(test_documents),
	};

	return cmocka_run_group_tests(tests, group_set_up, NULL);
}
