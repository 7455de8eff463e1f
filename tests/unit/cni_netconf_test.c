/* SPDX-License-Identifier: BSD-3-Clause */
/* The configuration: truncated, hostile, and what its members become; environment and errors. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "cni/ipam.h"
#include "cni/netconf.h"

static const char full[] =
        "{\"cniVersion\":\"1.1.0\",\"name\":\"n\",\"type\":\"podrail\",\"network\":\"net\","
        "\"kind\":\"vhost-user\",\"mode\":\"server\",\"socketDir\":\"/"
        "s\",\"socketName\":\"a.sock\","
        "\"podArgs\":true,\"queues\":2,\"mtu\":9000,\"mac\":\"02:00:00:00:00:01\",\"vlan\":5,"
        "\"trunk\":[7,\"9-11\"],"
        "\"vlanTrunk\":[{\"id\":20},{\"minID\":30,\"maxID\":31}],\"isolated\":true,\"trust\":true,"
        "\"allowedPrefixes\":[\"192.0.2.0/24\"],\"allowedMACs\":[\"02:00:00:00:00:02\"],"
        "\"floodRate\":0,\"ipam\":{\"type\":\"static\"},\"dns\":{\"domain\":\"x\"},"
        "\"daemonSocket\":\"/d/s\",\"stateDir\":\"/st\",\"kubeletDir\":\"/k\",\"socketGroup\":7,"
        "\"capabilities\":{\"mac\":true},\"runtimeConfig\":{\"CNIDeviceInfoFile\":\"/f\","
        "\"ips\":[\"192.0.2.1\"]},\"args\":{\"cni\":{\"queues\":3,"
        "\"allowedMACs\":[\"02:00:00:00:00:03\"]}},"
        "\"prevResult\":{\"cniVersion\":\"1.1.0\",\"interfaces\":[{\"name\":\"a\",\"mtu\":1}]}}";

static struct cni_env add_env(void)
{
	struct cni_env env = {.command = CNI_ADD, .container_id = "abc", .ifname = "eth0"};

	return env;
}

static int parse(struct cni_netconf *conf, const char *text, size_t length, struct cni_error *err)
{
	struct cni_env env = add_env();

	memset(err, 0, sizeof(*err));
	return cni_netconf_parse(conf, strndup(text, length), length, &env, err);
}

static void reads_every_member(void **state)
{
	struct cni_netconf conf;
	struct cni_error err;
	char *trunk;

	(void)state;
	assert_int_equal(parse(&conf, full, sizeof(full) - 1, &err), 0);
	assert_int_equal(conf.version, CNI_V110);
	assert_string_equal(conf.network, "net");
	assert_true(conf.server && conf.isolated && conf.trust);
	assert_string_equal(conf.socket_name, "a.sock");
	assert_int_equal(conf.queues, 3);
	assert_int_equal(conf.mtu, 9000);
	assert_int_equal(conf.vlan, 5);
	assert_int_equal(conf.flood_rate, 0);
	assert_int_equal(conf.socket_gid, 7);
	assert_int_equal(conf.mac.b[5], 1);
	assert_int_equal(cJSON_GetArraySize(conf.allowed_macs), 2);
	trunk = cJSON_PrintUnformatted(conf.trunk);
	assert_string_equal(trunk, "[7,\"9-11\",20,\"30-31\"]");
	cJSON_free(trunk);
	assert_string_equal(conf.ipam, "static");
	assert_string_equal(conf.device_info, "/f");
	assert_non_null(conf.dns);
	cni_netconf_free(&conf);
}

static void truncated_is_code_6(void **state)
{
	struct cni_netconf conf;
	struct cni_error err;

	(void)state;
	for (size_t length = 0; length < sizeof(full) - 1; length++) {
		assert_int_equal(parse(&conf, full, length, &err), -EINVAL);
		assert_int_equal(err.code, CNI_ERR_DECODE);
		cni_netconf_free(&conf);
	}
}

/* One character wrong at each place: whatever comes of it, no crash, and a code with a sentence. */
static void damaged_never_crashes(void **state)
{
	static const char damage[] = {'"', '{', '[', '0', '\\', '\x80', '\x01', 'e'};
	struct cni_netconf conf;
	struct cni_error err;
	char text[sizeof(full)];

	(void)state;
	for (size_t at = 0; at < sizeof(full) - 1; at++) {
		for (size_t i = 0; i < sizeof(damage); i++) {
			memcpy(text, full, sizeof(full));
			text[at] = damage[i];
			if (parse(&conf, text, sizeof(full) - 1, &err)) {
				assert_true(err.code > 0);
				assert_true(err.msg[0] != '\0');
			}
			cni_netconf_free(&conf);
		}
	}
}

static void nul_and_depth_are_refused(void **state)
{
	static const char nul[] = "{\"name\":\"a\"}\0";
	char deep[5000];
	struct cni_netconf conf;
	struct cni_error err;

	(void)state;
	memset(deep, '[', sizeof(deep));
	assert_int_equal(parse(&conf, deep, sizeof(deep), &err), -EINVAL);
	assert_int_equal(err.code, CNI_ERR_DECODE);
	cni_netconf_free(&conf);

	struct cni_env env = add_env();
	char *copy = malloc(sizeof(nul));

	memcpy(copy, nul, sizeof(nul));
	assert_int_equal(cni_netconf_parse(&conf, copy, sizeof(nul) - 1, &env, &err), -EINVAL);
	assert_int_equal(err.code, CNI_ERR_DECODE);
	cni_netconf_free(&conf);
}

static void del_needs_little(void **state)
{
	static const char text[] = "{\"name\":\"n\",\"queues\":99,\"kind\":\"kernel\",\"ipam\":7,"
	                           "\"runtimeConfig\":3,\"trunk\":{},\"mac\":\"x\"}";
	struct cni_env env = add_env();
	struct cni_netconf conf;
	struct cni_error err;

	(void)state;
	env.command = CNI_DEL;
	assert_int_equal(cni_netconf_parse(&conf, strdup(text), sizeof(text) - 1, &env, &err), 0);
	assert_int_equal(conf.version, CNI_V010);
	assert_string_equal(conf.network, "n");
	assert_int_equal(conf.queues, 0);
	cni_netconf_free(&conf);
}

static void ipam_gets_1_0_0(void **state)
{
	struct cni_netconf conf;
	struct cni_error err;
	size_t length;
	char *text;
	cJSON *json, *prev;

	(void)state;
	assert_int_equal(parse(&conf, full, sizeof(full) - 1, &err), 0);
	text = cni_ipam_config(&conf, &length);
	json = cJSON_ParseWithLength(text, length);
	prev = cJSON_GetObjectItem(json, "prevResult");
	assert_string_equal(cJSON_GetStringValue(cJSON_GetObjectItem(json, "cniVersion")), "1.0.0");
	assert_string_equal(cJSON_GetStringValue(cJSON_GetObjectItem(prev, "cniVersion")), "1.0.0");
	assert_null(cJSON_GetObjectItem(
	        cJSON_GetArrayItem(cJSON_GetObjectItem(prev, "interfaces"), 0), "mtu"));
	assert_non_null(cJSON_GetObjectItem(json, "runtimeConfig"));
	cJSON_Delete(json);
	free(text);
	cni_netconf_free(&conf);
}

static void errors_are_json(void **state)
{
	struct cni_error err = {0};
	cJSON *json;
	char *text;

	(void)state;
	assert_int_equal(cni_fail(&err, 7, "a \"quoted\" \x80\x01 %d", 5), -EINVAL);
	cni_fail_details(&err, "more\n");
	text = cni_error_json(&err, CNI_V040);
	json = cJSON_Parse(text);
	assert_string_equal(cJSON_GetStringValue(cJSON_GetObjectItem(json, "cniVersion")), "0.4.0");
	assert_int_equal(cJSON_GetObjectItem(json, "code")->valueint, 7);
	assert_string_equal(
	        cJSON_GetStringValue(cJSON_GetObjectItem(json, "msg")), "a \"quoted\" ?? 5");
	assert_string_equal(cJSON_GetStringValue(cJSON_GetObjectItem(json, "details")), "more ");
	cJSON_Delete(json);
	cJSON_free(text);
}

static void environment(void **state)
{
	struct cni_env env;
	struct cni_error err = {0};
	char *format = getenv("CMOCKA_MESSAGE_OUTPUT");

	(void)state;
	format = format ? strdup(format) : NULL;
	clearenv();
	if (format)
		setenv("CMOCKA_MESSAGE_OUTPUT", format, 1); /* how cmocka reports */
	free(format);
	assert_int_equal(cni_env_read(&env, &err), 0);
	assert_int_equal(env.command, CNI_NONE);
	setenv("CNI_COMMAND", "ADD", 1);
	assert_int_equal(cni_env_read(&env, &err), -EINVAL);
	assert_string_equal(err.msg,
	        "required env variables [CNI_CONTAINERID,CNI_NETNS,CNI_IFNAME,CNI_PATH] missing");
	setenv("CNI_CONTAINERID", "0123456789abcdef", 1);
	setenv("CNI_NETNS", "/x", 1);
	setenv("CNI_IFNAME", "a@b", 1);
	setenv("CNI_PATH", "/y", 1);
	setenv("CNI_ARGS", "IgnoreUnknown=1;A=b;;MAC=02:00:00:00:00:09;K8S_POD_NAME=p", 1);
	assert_int_equal(cni_env_read(&env, &err), 0);
	assert_int_equal(cni_env_validate(&env, &err), 0);
	assert_string_equal(env.port, "0123456789ab-a_b");
	assert_string_equal(env.pod_name, "p");
	assert_int_equal(env.mac.b[5], 9);
	setenv("CNI_ARGS", "A=b;IgnoreUnknown=0", 1);
	assert_int_equal(cni_env_read(&env, &err), 0);
	assert_int_equal(cni_env_validate(&env, &err), -EINVAL);
	assert_int_equal(err.code, CNI_ERR_ENV);
	assert_string_equal(err.msg, "ARGS: unknown args [\"A=b\"]");
	setenv("CNI_COMMAND", "DEL", 1);
	unsetenv("CNI_NETNS");
	assert_int_equal(cni_env_read(&env, &err), 0);
	assert_int_equal(cni_env_validate(&env, &err), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(reads_every_member),
	        cmocka_unit_test(truncated_is_code_6),
	        cmocka_unit_test(damaged_never_crashes),
	        cmocka_unit_test(nul_and_depth_are_refused),
	        cmocka_unit_test(del_needs_little),
	        cmocka_unit_test(ipam_gets_1_0_0),
	        cmocka_unit_test(errors_are_json),
	        cmocka_unit_test(environment),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
