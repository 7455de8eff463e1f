/* SPDX-License-Identifier: BSD-3-Clause */
/* podrailctl: command lines to params, canned answers to text, help, manual and completion. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include "control/ctl.h"

#define WORDS_MAX 32

/* Runs the words behind "OBJECT VERB" through the parser. */
static int parse(const char *method, const char *const *words, struct ctl_options *options,
        struct ctl_line *line)
{
	char *argv[WORDS_MAX + 1] = {NULL};

	for (int i = 0; words[i]; i++)
		argv[i] = (char *)(uintptr_t)words[i];
	return ctl_parse(verb_find(method, NULL), argv, options, line);
}

static void expect_params(const char *method, const char *json, const char *const *words)
{
	struct ctl_options options = {0};
	struct ctl_line line;
	char *text;

	if (parse(method, words, &options, &line))
		fail_msg("%s: %s", method, line.error);
	text = cJSON_PrintUnformatted(line.params);
	assert_string_equal(text, json);
	free(text);
	ctl_line_free(&line);
}

static void expect_error(
        const char *method, const char *field, const char *part, const char *const *words)
{
	struct ctl_options options = {0};
	struct ctl_line line;

	assert_int_equal(parse(method, words, &options, &line), -EINVAL);
	if (strcmp(line.field, field) || !strstr(line.error, part))
		fail_msg("%s: field \"%s\": %s", method, line.field, line.error);
	ctl_line_free(&line);
}

#define LINE(...)                                                                                  \
	(const char *const[])                                                                      \
	{                                                                                          \
		__VA_ARGS__, NULL                                                                  \
	}

static void test_lines(void **state)
{
	(void)state;
	expect_params("port.add",
	        "{\"name\":\"p1\",\"kind\":\"vhost-user\",\"network\":\"blue\",\"socket\":\"/s\","
	        "\"addresses\":[\"198.18.0.2/32\",\"198.18.0.3/32\",\"2001:db8::2/128\"],"
	        "\"trust\":true,\"isolated\":false,\"socketGroup\":-1}",
	        LINE("p1", "--kind", "vhost-user", "--network=blue", "--socket", "/s",
	                "--addresses", "198.18.0.2/32,198.18.0.3/32", "--addresses=2001:db8::2/128",
	                "--trust", "--no-isolated", "--socket-group", "-1"));
	expect_params("port.add",
	        "{\"kind\":\"eth\",\"network\":\"n\",\"device\":\"net_af_packet0,iface=veth0\","
	        "\"trunk\":[10,\"20-30\"],\"gatewayMac\":\"02:00:00:00:00:01\",\"isolated\":false,"
	        "\"name\":\"u\"}",
	        LINE("--kind", "eth", "--network", "n", "--device", "net_af_packet0,iface=veth0",
	                "--trunk", "10,20-30", "--gatewayMac", "02:00:00:00:00:01", "--isolated",
	                "false", "--", "u"));
	expect_params("neighbour.add",
	        "{\"network\":\"n\",\"port\":\"u\",\"address\":\"192.0.2.1\","
	        "\"mac\":\"02:00:00:00:00:01\"}",
	        LINE("n", "u", "192.0.2.1", "02:00:00:00:00:01"));
	expect_params("cni.status", "{\"networks\":[\"a\",\"b\",\"c\"]}", LINE("a", "b,c"));
	expect_params("network.add", "{\"name\":\"n\",\"mode\":\"routed\",\"subnets\":[]}",
	        LINE("n", "--mode", "routed", "--subnets", ""));
	expect_params("cni.gc",
	        "{\"network\":\"w\",\"attachments\":[{\"containerId\":\"a\",\"ifname\":\"b\"},"
	        "{\"containerId\":\"c\",\"ifname\":\"d\"}]}",
	        LINE("--network", "w", "--attachments",
	                "[{\"containerId\":\"a\",\"ifname\":\"b\"}]", "--attachments",
	                "{\"containerId\":\"c\",\"ifname\":\"d\"}"));
	expect_params("route.sync", "{\"owner\":\"b\",\"network\":\"n\",\"step\":\"begin\"}",
	        LINE("--owner", "b", "--network", "n", "routes.txt"));
	expect_params("stats.get", "{\"zero\":true}", LINE("--zero", "--json"));
	expect_params("route.add",
	        "{\"network\":\"n\",\"prefix\":\"192.0.2.0/24\",\"nexthops\":["
	        "{\"via\":\"198.18.1.2\",\"weight\":2},{\"via\":\"198.18.1.3\",\"port\":\"u\"},"
	        "{\"via\":\"198.18.1.4\"}]}",
	        LINE("n", "192.0.2.0/24", "--nexthops", "via=198.18.1.2,weight=2",
	                "--nexthops=via=198.18.1.3,port=u", "--nexthops",
	                "[{\"via\":\"198.18.1.4\"}]"));
}

static void test_bad_lines(void **state)
{
	(void)state;
	expect_error("network.show", "name", "missing", LINE("--json"));
	expect_error("network.show", "", "no argument \"b\"", LINE("a", "b"));
	expect_error("network.show", "", "--name is given twice", LINE("a", "--name", "b"));
	expect_error("network.show", "name", "must be a name", LINE("a b"));
	expect_error("port.add", "", "did you mean --addresses?", LINE("p", "--adresses", "x"));
	expect_error("port.add", "", "has no option -x", LINE("p", "-x"));
	expect_error("port.add", "", "has no option --index", LINE("p", "--index", "1"));
	expect_error("port.add", "", "needs a value", LINE("p", "--kind"));
	expect_error("port.add", "", "whole number", LINE("p", "--mtu", "1500x"));
	expect_error("port.add", "", "whole number", LINE("p", "--mtu", "99999999999999999999"));
	expect_error("port.add", "", "true or false", LINE("p", "--trust=maybe"));
	expect_error("port.add", "", "has no option --no-mtu", LINE("p", "--no-mtu"));
	expect_error("port.add", "kind", "missing", LINE("p", "--network", "n"));
	expect_error("port.add", "mtu", "68 to 9000",
	        LINE("p", "--kind", "eth", "--network", "n", "--device", "d", "--mtu", "1"));
	expect_error("network.show", "", "--timeout takes", LINE("a", "--timeout", "never"));
	expect_error("network.show", "", "--timeout takes", LINE("a", "--timeout"));
	expect_error("route.sync", "", "has no option --step", LINE("--step", "commit"));
	expect_error("config.check", "", "can not read", LINE("/nonexistent/file"));
	expect_error("config.check", "", "not JSON", LINE("{'a': 1}"));
	expect_error("route.add", "", "wait is no via=... or port=... or weight=...",
	        LINE("n", "192.0.2.0/24", "--nexthops", "via=198.18.1.2,wait=2"));
	expect_error("route.add", "nexthops[0].weight", "1 to 256",
	        LINE("n", "192.0.2.0/24", "--nexthops", "via=198.18.1.2,weight=257"));
	expect_error("route.add", "nexthops[0].weight", "whole number",
	        LINE("n", "192.0.2.0/24", "--nexthops", "via=198.18.1.2,weight=-1"));
	expect_error("route.add", "nexthops[0].via", "missing",
	        LINE("n", "192.0.2.0/24", "--nexthops", "weight=2"));
}

static void test_global_options(void **state)
{
	struct ctl_options options = {0};
	struct ctl_line line;

	(void)state;
	assert_int_equal(parse("port.list", LINE("--socket", "/x", "--timeout=1.5", "--json"),
	                         &options, &line),
	        0);
	assert_string_equal(options.socket, "/x");
	assert_int_equal(options.timeout_ms, 1500);
	assert_true(options.json);
	ctl_line_free(&line);
	/* --help needs nothing else to be right. */
	assert_int_equal(parse("port.add", LINE("--help"), &options, &line), 0);
	assert_true(options.help);
	ctl_line_free(&line);
}

static void test_object_from_file(void **state)
{
	char path[] = "/tmp/podrail-ctl.XXXXXX";
	int fd = mkstemp(path);

	(void)state;
	assert_true(write(fd, "{\n\t\"workers\": [1,\n 2]\n}\n", 24) == 24);
	close(fd);
	expect_params("config.check", "{\"config\":{\"workers\":[1,2]}}", LINE(path));
	unlink(path);
}

static char *printed(const char *method, const char *request, const char *result)
{
	cJSON *params = cJSON_Parse(request), *json = cJSON_Parse(result);
	char *text = NULL;
	size_t size = 0;
	FILE *out = open_memstream(&text, &size);

	assert_non_null(params);
	assert_non_null(json);
	ctl_print(out, verb_find(method, NULL), params, json);
	fclose(out);
	cJSON_Delete(params);
	cJSON_Delete(json);
	return text;
}

static void expect_print(
        const char *method, const char *request, const char *result, const char *expected)
{
	char *text = printed(method, request, result);

	assert_string_equal(text, expected);
	free(text);
}

static void test_tables(void **state)
{
	(void)state;
	expect_print("port.list", "{}",
	        "{\"ports\":[{\"name\":\"p1\",\"kind\":\"vhost-user\",\"network\":\"blue\",\"mtu\":"
	        "1500,"
	        "\"state\":\"up\",\"addresses\":[\"198.18.0.2/32\",\"198.18.0.3/"
	        "32\"],\"socket\":\"/s\"},"
	        "{\"name\":\"uplink\",\"kind\":\"eth\",\"network\":\"blue\",\"mtu\":9000,"
	        "\"state\":\"down\",\"addresses\":[],\"device\":\"0000:01:00.0\"}]}",
	        "NAME    KIND        NETWORK  STATE   MTU  ADDRESSES                    "
	        "SOCKET/DEVICE\n"
	        "p1      vhost-user  blue     up     1500  198.18.0.2/32,198.18.0.3/32  /s\n"
	        "uplink  eth         blue     down   9000  -                            "
	        "0000:01:00.0\n");
	expect_print("network.list", "{}", "{\"networks\":[]}",
	        "NAME  MODE  MTU  SUBNETS  GATEWAYS  GATEWAY-MAC  UPLINKS  PORTS  ROUTES\n");
	expect_print("neighbour.list", "{}",
	        "{\"neighbours\":[{\"network\":\"n\",\"port\":\"u\",\"address\":\"192.0.2.1\","
	        "\"mac\":\"\","
	        "\"state\":\"incomplete\",\"held\":3,\"age\":3725}]}",
	        "NETWORK  ADDRESS    PORT  STATE       HELD  AGE\n"
	        "n        192.0.2.1  u     incomplete     3  1h02m\n");
	expect_print("multicast.list", "{}",
	        "{\"groups\":[{\"network\":\"n\",\"vlan\":7,\"group\":\"239.1.2.3\","
	        "\"port\":\"p1\",\"version\":3,\"expires\":255}],\"next\":\"\"}",
	        "NETWORK  VLAN  GROUP      PORT  VERSION  EXPIRES\n"
	        "n           7  239.1.2.3  p1          3  4m15s\n");
	expect_print("multicast.status", "{}",
	        "{\"segments\":[{\"network\":\"n\",\"vlan\":0,\"family\":\"ipv4\","
	        "\"state\":\"snooping\",\"querier\":\"192.0.2.1\",\"querierPort\":\"u\","
	        "\"routerPorts\":[\"u\",\"v\"]}]}",
	        "NETWORK  VLAN  FAMILY  STATE     QUERIER    PORT  ROUTER-PORTS\n"
	        "n           0  ipv4    snooping  192.0.2.1  u     u,v\n");
	expect_print("worker.list", "{}",
	        "{\"workers\":[{\"index\":0,\"cpu\":3,\"queues\":[{\"port\":\"a\",\"queue\":0},{"
	        "\"port\":"
	        "\"b\",\"queue\":1}],\"busyCycles\":25,\"idleCycles\":75,\"packets\":12345678901,"
	        "\"batches\":9,\"packetsPerPoll\":1.25,\"cyclesPerPacket\":80.06,\"sleeping\":true}"
	        "]}",
	        "WORKER  CPU  QUEUES     BUSY      PACKETS  BATCHES  PACKETS/POLL  CYCLES/PACKET  "
	        "SLEEPING\n"
	        "     0    3  a:0,b:1  25.0 %  12345678901        9           1.2           80.1  "
	        "yes\n");
}

static void test_changes(void **state)
{
	(void)state;
	expect_print("port.add", "{\"name\":\"p1\"}", "{\"created\":true,\"port\":{}}",
	        "port p1 added\n");
	expect_print("route.add", "{\"network\":\"n\",\"prefix\":\"192.0.2.0/24\"}",
	        "{\"created\":false,\"route\":{}}", "route 192.0.2.0/24 is there already\n");
	expect_print("port.del", "{\"name\":\"p1\"}", "{\"removed\":true}", "port p1 removed\n");
	expect_print(
	        "port.del", "{\"name\":\"p1\"}", "{\"removed\":false}", "port p1 was not there\n");
	expect_print("fdb.flush", "{}", "{\"removed\":12}", "12 removed\n");
	expect_print("cni.gc", "{}", "{\"removed\":[\"a\",\"b\"]}", "2 removed\n  a\n  b\n");
	expect_print("config.check", "{}", "{\"ok\":true}", "the configuration is good\n");
}

static void test_objects(void **state)
{
	(void)state;
	expect_print("port.show", "{}",
	        "{\"port\":{\"name\":\"p\\u001b[31m\",\"addresses\":[],\"cni\":{\"ifname\":"
	        "\"net1\"},"
	        "\"trust\":false}}",
	        "name:       p?[31m\naddresses:  -\ncni.ifname: net1\ntrust:      false\n");
	expect_print("port.describe", "{}",
	        "{\"name\":\"p\",\"testpmd\":\"dpdk-testpmd -l 0\",\"podSnippet\":\"a:\\n  b\\n\","
	        "\"info\":{\"mtu\":1500}}",
	        "# testpmd in the pod\ndpdk-testpmd -l 0\n\n# the pod\na:\n  b\n\n# the port\n"
	        "mtu: 1500\n");
	expect_print("worker.show", "{\"index\":0}",
	        "{\"index\":0,\"idleShare\":0.25,\"packetsPerPoll\":30.5,\"stages\":{"
	        "\"rx\":{\"packets\":640,\"cyclesPerPacket\":20.04},"
	        "\"bridge\":{\"packets\":0,\"cyclesPerPacket\":0},"
	        "\"tx\":{\"packets\":64,\"cyclesPerPacket\":101}}}",
	        "index:          0\nidleShare:      0.25\npacketsPerPoll: 30.50\n"
	        "\nSTAGE  SAMPLED  CYCLES/PACKET\n"
	        "rx         640           20.0\n"
	        "tx          64          101.0\n");
	expect_print("worker.show", "{\"index\":0}", "{\"index\":0,\"stages\":{}}", "index: 0\n");
	expect_print("stats.get", "{}",
	        "{\"ports\":[{\"name\":\"p\",\"index\":1,\"rxPackets\":5,\"rxBytes\":1500000,"
	        "\"txPackets\":0,\"txBytes\":12,\"drops\":{\"spoofed\":2,\"no_route\":1}}],"
	        "\"drops\":{\"spoofed\":2},\"stages\":{},\"conservation\":{\"in\":5}}",
	        "PORT  RX-PACKETS  RX-BYTES  TX-PACKETS  TX-BYTES  DROPS\n"
	        "p              5   1.50 MB           0      12 B      3\n"
	        "\ndrops of p\nspoofed   2\nno_route  1\n"
	        "\ndrops\nspoofed  2\n\nconservation\nin  5\n");
}

/* Answers that are not what the protocol says must not crash. */
static void test_odd_answers(void **state)
{
	static const char *const answers[] = {"{}", "[]", "7", "\"x\"", "null",
	        "{\"ports\":{},\"workers\":7,\"removed\":{},\"created\":[]}",
	        "{\"ports\":[1,null,[],{\"name\":[[{}]]}],\"drops\":[[1]],\"info\":7}",
	        "{\"workers\":[{\"queues\":[7,{}],\"busyCycles\":\"x\"}]}"};

	(void)state;
	for (unsigned i = 0; i < verb_count; i++)
		for (size_t j = 0; j < sizeof(answers) / sizeof(answers[0]); j++)
			free(printed(verb_table[i].name, "{}", answers[j]));
}

static void test_units(void **state)
{
	char text[32];

	(void)state;
	assert_string_equal(ctl_bytes(999, text, sizeof(text)), "999 B");
	assert_string_equal(ctl_bytes(1000, text, sizeof(text)), "1.00 kB");
	assert_string_equal(ctl_bytes(2.5e12, text, sizeof(text)), "2.50 TB");
	assert_string_equal(ctl_seconds(59, text, sizeof(text)), "59s");
	assert_string_equal(ctl_seconds(61, text, sizeof(text)), "1m01s");
	assert_string_equal(ctl_seconds(90000, text, sizeof(text)), "1d01h");
	assert_string_equal(ctl_seconds(-1, text, sizeof(text)), "-");
}

static void test_route_lines(void **state)
{
	static const char *const good[][2] = {
	        {"192.0.2.0/24 via 198.18.0.9\n",
	                "{\"prefix\":\"192.0.2.0/24\",\"gateway\":\"198.18.0.9\"}"},
	        {"\t192.0.2.0/24  via 198.18.0.9 up0 # why\r\n",
	                "{\"prefix\":\"192.0.2.0/"
	                "24\",\"gateway\":\"198.18.0.9\",\"port\":\"up0\"}"},
	        {"0.0.0.0/0 port up0", "{\"prefix\":\"0.0.0.0/0\",\"port\":\"up0\"}"},
	        {"0.0.0.0/0 blackhole", "{\"prefix\":\"0.0.0.0/0\",\"type\":\"blackhole\"}"},
	        {"::/0 nexthops via=fe80::1,port=u0,weight=2  via=fe80::2,port=u0",
	                "{\"prefix\":\"::/0\",\"nexthops\":["
	                "{\"via\":\"fe80::1\",\"port\":\"u0\",\"weight\":2},"
	                "{\"via\":\"fe80::2\",\"port\":\"u0\"}]}"},
	};
	static const char *const bad[] = {"192.0.2.0/24", "192.0.2.0/24 via", "a b", "a via b c d",
	        "a blackhole b", "a port", "a via b c d e f g", "a nexthops", "a nexthops ",
	        "a nexthops b", "a nexthops via=b wait=1", "a nexthops via=b,"};
	char line[128], error[256];
	cJSON *route;

	(void)state;
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		char *text;

		strcpy(line, good[i][0]);
		assert_int_equal(ctl_route_line(line, &route, error, sizeof(error)), 0);
		text = cJSON_PrintUnformatted(route);
		assert_string_equal(text, good[i][1]);
		free(text);
		cJSON_Delete(route);
	}
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		strcpy(line, bad[i]);
		assert_int_equal(ctl_route_line(line, &route, error, sizeof(error)), -EINVAL);
		assert_null(route);
		assert_true(*error != '\0');
	}
	strcpy(line, "  # only a comment\n");
	assert_int_equal(ctl_route_line(line, &route, error, sizeof(error)), 0);
	assert_null(route);
}

/* Help, manual and completion have every verb and every option that can be typed. */
static void test_all_is_told(void **state)
{
	char *help = NULL, *man = NULL, *completion = NULL, words[64], name[64], option[160];
	size_t help_size, man_size, completion_size;
	FILE *out, *header = fmemopen((char[]){"a\n@VERBS@\nz\n"}, 12, "r");

	(void)state;
	out = open_memstream(&man, &man_size);
	assert_int_equal(ctl_man(out, header), CTL_OK);
	fclose(out);
	fclose(header);
	out = open_memstream(&completion, &completion_size);
	ctl_completion_bash(out);
	fclose(out);
	for (unsigned i = 0; i < verb_count; i++) {
		const struct verb *verb = &verb_table[i];

		out = open_memstream(&help, &help_size);
		ctl_help_verb(out, verb);
		fclose(out);
		assert_non_null(strstr(help, ctl_words(verb, words)));
		assert_non_null(strstr(help, "Example: podrailctl "));
		assert_non_null(strstr(man, words));
		assert_non_null(strstr(completion, words));
		for (unsigned j = 0; j < verb->n_fields; j++) {
			if (!ctl_typed(verb, &verb->fields[j]))
				continue;
			ctl_option_name(verb->fields[j].name, name);
			snprintf(option, sizeof(option), "%s --%s']", words, name);
			assert_non_null(strstr(completion, option));
			snprintf(option, sizeof(option), "--%s", name);
			if (!verb->fields[j].position)
				assert_non_null(strstr(help, option));
		}
		free(help);
	}
	free(man);
	free(completion);
}

/* The example in a verb's help is a good command line. */
static void test_examples(void **state)
{
	(void)state;
	for (unsigned i = 0; i < verb_count; i++) {
		char copy[256], *words[WORDS_MAX] = {NULL}, *rest = copy;
		struct ctl_options options = {0};
		struct ctl_line line;
		unsigned n = 0, skip = strchr(verb_table[i].name, '.') ? 2 : 1;

		/* Files that do not exist here, and the shell's quotes. */
		if (!strcmp(verb_table[i].name, "config.check") ||
		        !strcmp(verb_table[i].name, "cni.gc"))
			continue;
		snprintf(copy, sizeof(copy), "%s", verb_table[i].example);
		while (n < WORDS_MAX - 1 && (words[n] = strsep(&rest, " ")))
			n++;
		if (ctl_parse(&verb_table[i], words + skip, &options, &line))
			fail_msg("%s: %s", verb_table[i].example, line.error);
		ctl_line_free(&line);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(test_lines),
	        cmocka_unit_test(test_bad_lines),
	        cmocka_unit_test(test_global_options),
	        cmocka_unit_test(test_object_from_file),
	        cmocka_unit_test(test_tables),
	        cmocka_unit_test(test_changes),
	        cmocka_unit_test(test_objects),
	        cmocka_unit_test(test_odd_answers),
	        cmocka_unit_test(test_units),
	        cmocka_unit_test(test_route_lines),
	        cmocka_unit_test(test_all_is_told),
	        cmocka_unit_test(test_examples),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
