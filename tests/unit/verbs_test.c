/* SPDX-License-Identifier: BSD-3-Clause */
/* The table of methods against docs/protocol.md, and the checks against hostile requests. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include <podrail/protocol.h>

#include "control/verbs.h"

#define LEVELS   200000
#define PAGE_MAX (1 << 20)

static char *read_protocol(void)
{
	FILE *in = fopen(PROTOCOL_MD, "re");
	char *text = calloc(1, PAGE_MAX + 1);
	size_t n;

	assert_non_null(in);
	assert_non_null(text);
	n = fread(text, 1, PAGE_MAX, in);
	assert_true(n > 0 && n < PAGE_MAX);
	fclose(in);
	return text;
}

/* Calls each for every `object.verb {` of the page (hello is a heading of its own). */
static unsigned each_method(char *text, void (*each)(const char *name))
{
	unsigned n = 0;

	for (char *at = strchr(text, '`'); at; at = strchr(at + 1, '`')) {
		char name[64];
		int end = 0;

		if (sscanf(at, "`%63[a-z.] {%n", name, &end) != 1 || !end || !strchr(name, '.'))
			continue;
		each(name);
		n++;
	}
	return n;
}

static void is_in_table(const char *name)
{
	struct verb_error error;

	if (!verb_find(name, &error))
		fail_msg("docs/protocol.md has %s: %s", name, error.message);
}

static void test_table_is_the_protocol(void **state)
{
	char *text = read_protocol();
	char quoted[80];

	(void)state;
	assert_int_equal(each_method(text, is_in_table), verb_count - 1);
	for (unsigned i = 0; i < verb_count; i++) {
		const struct verb *verb = &verb_table[i];

		snprintf(quoted, sizeof(quoted),
		        strchr(verb->name, '.') ? "`%s {" : "### %s (read)", verb->name);
		if (!strstr(text, quoted))
			fail_msg("%s is not in docs/protocol.md", verb->name);
		for (unsigned j = 0; j < verb->n_fields; j++)
			if (!strstr(text, verb->fields[j].name))
				fail_msg("%s: %s is not in docs/protocol.md", verb->name,
				        verb->fields[j].name);
	}
	free(text);
}

static void test_table_is_sound(void **state)
{
	(void)state;
	for (unsigned i = 0; i < verb_count; i++) {
		const struct verb *verb = &verb_table[i];
		unsigned positions = 0, seen = 0;

		assert_true(verb->n_fields <= 64);
		assert_true(verb->help && verb->help[0] >= 'a' && verb->help[0] <= 'z');
		assert_non_null(verb->example);
		for (unsigned j = 0; j < verb->n_fields; j++) {
			const struct verb_field *field = &verb->fields[j];

			assert_non_null(field->help);
			assert_true(field->type != VERB_ENUM || field->values);
			assert_true(field->type != VERB_INTEGER || field->out ||
			            field->min < field->max);
			/* Whoever may leave a member out wants to know what then holds. */
			assert_true(field->required || field->fallback || field->out ||
			            field->type == VERB_OBJECT);
			assert_true(!field->only || verb->selector);
			positions += field->position != 0;
			seen |= field->position ? 1u << field->position : 0;
		}
		assert_int_equal(seen, positions ? (2u << positions) - 2 : 0);
	}
}

static int check_text(const char *method, const char *params, struct verb_error *error)
{
	cJSON *json = verb_parse(params, strlen(params), error);
	int rc;

	if (!json)
		return 1;
	rc = verb_check(verb_find(method, NULL), json, error);
	cJSON_Delete(json);
	return rc;
}

#define VHOST "\"name\":\"p\",\"kind\":\"vhost-user\",\"network\":\"n\",\"socket\":\"/s\""
#define ETH   "\"name\":\"p\",\"kind\":\"eth\",\"network\":\"n\",\"device\":\"0000:01:00.0\""
#define CNI   "\"containerId\":\"c\",\"ifname\":\"e\",\"networkName\":\"w\""

static void test_accepted(void **state)
{
	static const char *const cases[][2] = {
	        {"hello", "{}"},
	        {"network.add",
	                "{\"name\":\"n\",\"mode\":\"routed\",\"mtu\":68,\"subnets\":"
	                "[\"198.18.0.0/24\",\"2001:db8::/64\"],\"gateways\":[\"198.18.0.1\"],"
	                "\"proxyArp\":false,\"gatewayMac\":\"02:70:72:00:00:01\"}"},
	        {"network.add", "{\"macAgeing\":0,\"mode\":\"bridged\",\"name\":\"n\"}"},
	        {"port.add", "{" VHOST "}"},
	        {"port.add", "{" VHOST ",\"trunk\":[10,\"20-30\",4094],\"vlan\":4094,"
	                     "\"socketGroup\":-1,\"queues\":8,\"cni\":{" CNI ",\"podUid\":\"\","
	                     "\"created\":1763840000}}"},
	        {"port.add", "{" ETH ",\"queues\":0,\"addresses\":[\"192.0.2.1/24\"]}"},
	        {"route.list", "{\"network\":\"\",\"owner\":\"\",\"after\":\"\",\"limit\":10000}"},
	        {"route.sync",
	                "{\"owner\":\"bgp\",\"network\":\"n\",\"step\":\"chunk\",\"routes\":[{"
	                "\"prefix\":\"0.0.0.0/0\",\"gateway\":\"198.18.0.1\"}]}"},
	        {"config.check", "{\"config\":{\"a\":{\"b\":[1,{\"c\":null}]}}}"},
	        {"cni.gc", "{\"network\":\"w\",\"attachments\":[]}"},
	};
	struct verb_error error;

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		if (check_text(cases[i][0], cases[i][1], &error))
			fail_msg("%s %s: %s", cases[i][0], cases[i][1], error.message);
}

/* method, params, the field at fault, words of the message */
static const char *const refused[][4] = {
        {"hello", "[]", "", "object"},
        {"hello", "{\"a\":1}", "a", "no member a"},
        {"port.add", "{\"name\":\"p\"}", "kind", "missing"},
        {"port.add", "{" VHOST ",\"adresses\":[]}", "adresses", "did you mean addresses?"},
        {"port.add", "{" VHOST ",\"allowed_macs\":[]}", "allowed_macs",
                "did you mean allowedMacs?"},
        {"port.add", "{" VHOST ",\"name\":\"q\"}", "name", "twice"},
        {"port.add", "{" VHOST ",\"kind\":\"eth\"}", "kind", "twice"},
        {"port.add", "{" VHOST ",\"device\":\"d\"}", "device", "for kind eth only"},
        {"port.add", "{" ETH ",\"trust\":true}", "trust", "for kind vhost-user only"},
        {"port.add", "{\"name\":\"p\",\"kind\":\"tap\",\"network\":\"n\"}", "kind",
                "vhost-user or eth"},
        {"port.add", "{\"name\":\"p\",\"kind\":\"vhost-user\",\"network\":\"n\"}", "socket",
                "missing"},
        {"port.add", "{\"name\":\"p\",\"kind\":7,\"network\":\"n\"}", "kind", "string"},
        {"port.add", "{" VHOST ",\"index\":3}", "index", "leave it out"},
        {"port.add", "{" VHOST ",\"mtu\":67}", "mtu", "68 to 9000"},
        {"port.add", "{" VHOST ",\"mtu\":9001}", "mtu", "68 to 9000"},
        {"port.add", "{" VHOST ",\"mtu\":1500.5}", "mtu", "whole number"},
        {"port.add", "{" VHOST ",\"mtu\":1e999}", "mtu", "whole number"},
        {"port.add", "{" VHOST ",\"mtu\":-1e300}", "mtu", "68 to 9000"},
        {"port.add", "{" VHOST ",\"mtu\":\"1500\"}", "mtu", "whole number"},
        {"port.add", "{" VHOST ",\"mtu\":null}", "mtu", "whole number"},
        {"port.add", "{" VHOST ",\"queues\":0}", "queues", "1 to 8"},
        {"port.add", "{" VHOST ",\"trust\":1}", "trust", "true or false"},
        {"port.add", "{" VHOST ",\"addresses\":\"198.18.0.1/32\"}", "addresses", "array"},
        {"port.add", "{" VHOST ",\"addresses\":[\"198.18.0.1/32\",\"198.18.0.1\"]}", "addresses[1]",
                "address/length"},
        {"port.add", "{" VHOST ",\"addresses\":[\"198.18.0.1/33\"]}", "addresses[0]",
                "address/length"},
        {"port.add", "{" VHOST ",\"addresses\":[[]]}", "addresses[0]", "string"},
        {"port.add", "{" VHOST ",\"mac\":\"01:00:5e:00:00:01\"}", "mac", "unicast"},
        {"port.add", "{" VHOST ",\"mac\":\"00:00:00:00:00:00\"}", "mac", "unicast"},
        {"port.add", "{" VHOST ",\"mac\":\"\"}", "mac", "unicast"},
        {"port.add", "{" VHOST ",\"trunk\":[\"30-20\"]}", "trunk[0]", "VLAN"},
        {"port.add", "{" VHOST ",\"trunk\":[\"1-4095\"]}", "trunk[0]", "VLAN"},
        {"port.add", "{" VHOST ",\"trunk\":[\"1-\"]}", "trunk[0]", "VLAN"},
        {"port.add", "{" VHOST ",\"trunk\":[0]}", "trunk[0]", "1 to 4094"},
        {"port.add", "{\"name\":\"../x\",\"kind\":\"eth\",\"network\":\"n\",\"device\":\"d\"}",
                "name", "must be a name"},
        {"port.add", "{\"name\":\"p\",\"kind\":\"vhost-user\",\"network\":\"n\",\"socket\":\"s\"}",
                "socket", "absolute"},
        {"port.add", "{" VHOST ",\"cni\":{" CNI ",\"pod\":\"x\"}}", "cni.pod", "no member pod"},
        {"port.add", "{" VHOST ",\"cni\":{\"ifname\":\"e\"}}", "cni.containerId", "missing"},
        {"port.add", "{" VHOST ",\"cni\":{" CNI ",\"created\":-1}}", "cni.created", "0 to"},
        {"port.add", "{" VHOST ",\"cni\":[]}", "cni", "object"},
        {"port.del", "{\"name\":\"p\",\"cniContainerId\":\"a\\nb\"}", "cniContainerId", "control"},
        {"network.add", "{\"name\":\"n\",\"mode\":\"bridged\",\"subnets\":[]}", "subnets",
                "for mode routed only"},
        {"route.add",
                "{\"network\":\"n\",\"prefix\":\"192.0.2.0/24\",\"owner\":"
                "\"abcdefghijklmnopqrstuvwxyzabcdef\"}",
                "owner", "must be a name"},
        {"route.sync",
                "{\"owner\":\"b\",\"network\":\"n\",\"step\":\"chunk\",\"routes\":[{\"prefix\":"
                "\"0.0.0.0/0\"},{\"gateway\":\"192.0.2.1\"}]}",
                "routes[1].prefix", "missing"},
        {"config.check", "{\"config\":{\"a\":{\"b\":1,\"b\":2}}}", "config.a.b", "twice"},
        {"route.get", "{\"network\":\"n\",\"address\":\"192.0.2.256\"}", "address", "IP address"},
        {"worker.show", "{\"index\":16}", "index", "0 to 15"},
};

static void test_refused(void **state)
{
	struct verb_error error;

	(void)state;
	for (size_t i = 0; i < sizeof(refused) / sizeof(refused[0]); i++) {
		int rc = check_text(refused[i][0], refused[i][1], &error);

		if (rc != -EINVAL || error.code != PR_ERR_PARAMS ||
		        strcmp(error.field, refused[i][2]) || !strstr(error.message, refused[i][3]))
			fail_msg("%s %s: %d, field %s: %s", refused[i][0], refused[i][1], rc,
			        error.field, error.message);
	}
}

/* Every field of every verb refuses every value that is not of its type. */
static void test_wrong_types(void **state)
{
	static const char *const values[] = {
	        "null", "true", "-7.25", "1e400", "\"\\t\"", "{\"\":{}}", "[{}]", "[[[]]]"};
	struct verb_error error;
	unsigned n = 0;

	(void)state;
	for (unsigned i = 0; i < verb_count; i++)
		for (unsigned j = 0; j < verb_table[i].n_fields; j++)
			for (size_t k = 0; k < sizeof(values) / sizeof(values[0]); k++) {
				const struct verb_field *field = &verb_table[i].fields[j];
				bool fits =
				        (field->type == VERB_BOOL && k == 1) ||
				        (field->type == VERB_OBJECT && !field->fields && k == 5);
				char params[128];

				snprintf(params, sizeof(params), "{\"%s\":%s}", field->name,
				        values[k]);
				if (fits)
					continue;
				assert_int_equal(
				        check_text(verb_table[i].name, params, &error), -EINVAL);
				if (strncmp(error.field, field->name, strlen(field->name)))
					fail_msg("%s %s: field %s", verb_table[i].name, params,
					        error.field);
				n++;
			}
	assert_true(n > 500);
}

static void test_text(void **state)
{
	static const char *const bad[] = {"", "{", "{}x", "{} {}", "[1,]", "{\"a\":01}",
	        "{\"a\":1.}", "{\"a\":NaN}", "{\"a\":Infinity}", "{\"a\":-}", "{\"a\":\"\\u0000\"}",
	        "{\"a\":\"\xff\"}", "{\"a\":\"\xc0\xaf\"}", "{\"a\":\"\xed\xa0\x80\"}",
	        "{\"a\":\"\xf4\x90\x80\x80\"}", "{\"a\":\"\xe2\x82\"}", "{\"a\":\"\x01\"}",
	        "{\"a\":\"b", "{\"a\":\"\\", "{\"a\":\"\\ud800\"}", "{\"\\u0000\":1}", "\x01{}"};
	static const char good[] = " {\"a\":\"\xe2\x82\xac\\u20ac\",\"b\":-1.5e+3}\t\r";
	struct verb_error error;
	char *deep = malloc(LEVELS + 1);
	cJSON *json;

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		json = verb_parse(bad[i], strlen(bad[i]), &error);
		if (json || error.code != PR_ERR_PARSE || !*error.message)
			fail_msg("case %zu: %s", i, bad[i]);
	}
	assert_null(verb_parse("{\"a\":\"x\0y\"}", 11, &error));
	memset(deep, '[', LEVELS);
	assert_null(verb_parse(deep, LEVELS, &error));
	assert_non_null(strstr(error.message, "deep"));
	free(deep);
	json = verb_parse(good, strlen(good), &error);
	assert_non_null(json);
	cJSON_Delete(json);
}

/* Every prefix of a good request, and every request with one byte changed, ends without a crash
 * (the sanitizers watch) and, when cut, with an error. */
static void test_truncated_and_flipped(void **state)
{
	static const char good[] =
	        "{" VHOST ",\"trunk\":[10,\"20-30\"],\"cni\":{" CNI "},\"mtu\":1500}";
	struct verb_error error;
	char copy[sizeof(good)];

	(void)state;
	assert_int_equal(check_text("port.add", good, &error), 0);
	for (size_t n = 0; n < sizeof(good) - 1; n++)
		assert_null(verb_parse(good, n, &error));
	for (size_t n = 0; n < sizeof(good) - 1; n++)
		for (int c = 1; c < 256; c++) {
			memcpy(copy, good, sizeof(good));
			copy[n] = (char)c;
			if (check_text("port.add", copy, &error))
				assert_true(error.code && *error.message);
		}
}

static void test_long_words(void **state)
{
	struct verb_error error;
	char params[2100], *at = params;

	(void)state;
	at += sprintf(at, "{\"");
	for (int i = 0; i < 500; i++)
		at += sprintf(at, "\xe2\x82\xac");
	sprintf(at, "\":1}");
	assert_int_equal(check_text("port.list", params, &error), -EINVAL);
	/* What is repeated of it is still UTF-8. */
	cJSON *echo = cJSON_CreateString(error.message);
	char *text = cJSON_PrintUnformatted(echo);
	cJSON *back = verb_parse(text, strlen(text), &error);

	assert_non_null(back);
	cJSON_Delete(back);
	cJSON_Delete(echo);
	free(text);
}

static void test_find(void **state)
{
	struct verb_error error;
	const struct verb *add = verb_find("port.add", NULL);
	cJSON *eth = cJSON_Parse("{" ETH ",\"index\":1,\"state\":\"up\",\"uplink\":true}");

	(void)state;
	assert_null(verb_find("port.ad", &error));
	assert_int_equal(error.code, PR_ERR_METHOD);
	assert_non_null(strstr(error.message, "did you mean port.add?"));
	assert_null(verb_find("xyzzy", &error));
	assert_null(strstr(error.message, "did you mean"));
	assert_int_equal(verb_field_find(add, "queues", eth)->max, 64);
	assert_int_equal(verb_field_find(add, "queues", NULL)->max, 8);
	assert_null(verb_field_find(add, "socket", eth));
	assert_int_equal(verb_check(add, eth, &error), -EINVAL);
	verb_drop_out(add, eth);
	assert_int_equal(verb_check(add, eth, &error), 0);
	cJSON_Delete(eth);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(test_table_is_the_protocol),
	        cmocka_unit_test(test_table_is_sound),
	        cmocka_unit_test(test_accepted),
	        cmocka_unit_test(test_refused),
	        cmocka_unit_test(test_wrong_types),
	        cmocka_unit_test(test_text),
	        cmocka_unit_test(test_truncated_and_flipped),
	        cmocka_unit_test(test_long_words),
	        cmocka_unit_test(test_find),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
