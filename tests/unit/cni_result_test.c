/* SPDX-License-Identifier: BSD-3-Clause */
/* Results in every version, against the examples of the specification's texts. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "cni/result.h"

/* SPEC.md 1.1.0, "Success", filled */
static const char v110[] =
        "{\"cniVersion\":\"1.1.0\",\"interfaces\":[{\"name\":\"eth0\",\"mac\":\"99:88:77:66:55:"
        "44\","
        "\"mtu\":1400,\"sandbox\":\"/var/run/netns/blue\",\"socketPath\":\"/run/x/eth0.sock\","
        "\"pciID\":\"0000:00:1f.6\"}],\"ips\":[{\"interface\":0,\"address\":\"10.1.0.5/16\","
        "\"gateway\":\"10.1.0.1\"},{\"interface\":0,\"address\":\"2001:db8::5/64\","
        "\"gateway\":\"2001:db8::1\"}],\"routes\":[{\"dst\":\"0.0.0.0/0\",\"gw\":\"10.1.0.1\","
        "\"mtu\":1400,\"advmss\":1360,\"priority\":7,\"table\":5,\"scope\":0},{\"dst\":\"::/0\"}],"
        "\"dns\":{\"nameservers\":[\"10.1.0.1\"],\"domain\":\"a.b\",\"search\":[\"b\"],"
        "\"options\":[\"ndots:1\"]}}";
static const char v100[] =
        "{\"cniVersion\":\"1.0.0\",\"interfaces\":[{\"name\":\"eth0\",\"mac\":\"99:88:77:66:55:"
        "44\","
        "\"sandbox\":\"/var/run/netns/blue\"}],\"ips\":[{\"interface\":0,"
        "\"address\":\"10.1.0.5/16\",\"gateway\":\"10.1.0.1\"},{\"interface\":0,"
        "\"address\":\"2001:db8::5/64\",\"gateway\":\"2001:db8::1\"}],\"routes\":[{"
        "\"dst\":\"0.0.0.0/0\",\"gw\":\"10.1.0.1\"},{\"dst\":\"::/0\"}],\"dns\":{"
        "\"nameservers\":[\"10.1.0.1\"],\"domain\":\"a.b\",\"search\":[\"b\"],"
        "\"options\":[\"ndots:1\"]}}";
static const char v040[] =
        "{\"cniVersion\":\"%s\",\"interfaces\":[{\"name\":\"eth0\",\"mac\":\"99:88:77:66:55:44\","
        "\"sandbox\":\"/var/run/netns/blue\"}],\"ips\":[{\"version\":\"4\",\"interface\":0,"
        "\"address\":\"10.1.0.5/16\",\"gateway\":\"10.1.0.1\"},{\"version\":\"6\",\"interface\":0,"
        "\"address\":\"2001:db8::5/64\",\"gateway\":\"2001:db8::1\"}],\"routes\":[{"
        "\"dst\":\"0.0.0.0/0\",\"gw\":\"10.1.0.1\"},{\"dst\":\"::/0\"}],\"dns\":{"
        "\"nameservers\":[\"10.1.0.1\"],\"domain\":\"a.b\",\"search\":[\"b\"],"
        "\"options\":[\"ndots:1\"]}}";
static const char v020[] =
        "{\"cniVersion\":\"%s\",\"ip4\":{\"ip\":\"10.1.0.5/16\",\"gateway\":\"10.1.0.1\","
        "\"routes\":[{\"dst\":\"0.0.0.0/0\",\"gw\":\"10.1.0.1\"}]},\"ip6\":{"
        "\"ip\":\"2001:db8::5/64\",\"gateway\":\"2001:db8::1\",\"routes\":[{\"dst\":\"::/0\"}]},"
        "\"dns\":{\"nameservers\":[\"10.1.0.1\"],\"domain\":\"a.b\",\"search\":[\"b\"],"
        "\"options\":[\"ndots:1\"]}}";

static const char *example(enum cni_version version, char text[2048])
{
	if (version == CNI_V110)
		return v110;
	if (version == CNI_V100)
		return v100;
	/* the two arrays hold one %s, for the version */
	const char *form = version >= CNI_V030 ? v040 : v020, *mark = strstr(form, "%s");

	snprintf(text, 2048, "%.*s%s%s", (int)(mark - form), form, cni_version_name(version),
	        mark + 2);
	return text;
}

static cJSON *import(const char *text, enum cni_version assumed)
{
	cJSON *json = cJSON_Parse(text), *result;
	struct cni_error err;

	result = cni_result_import(json, assumed, "test", &err);
	cJSON_Delete(json);
	return result;
}

static void assert_export(const cJSON *result, enum cni_version version, const char *want)
{
	cJSON *out = cni_result_export(result, version), *wanted = cJSON_Parse(want);
	char *have = cJSON_PrintUnformatted(out), *text = cJSON_PrintUnformatted(wanted);

	assert_string_equal(have, text);
	cJSON_free(have);
	cJSON_free(text);
	cJSON_Delete(out);
	cJSON_Delete(wanted);
}

static void exports_every_version(void **state)
{
	cJSON *result = import(v110, CNI_V010);

	(void)state;
	assert_non_null(result);
	for (enum cni_version v = CNI_V010; v < CNI_VERSIONS; v++) {
		char text[2048];

		assert_export(result, v, example(v, text));
	}
	cJSON_Delete(result);
}

/* What a version can say survives the way in and out; without cniVersion the assumed one counts. */
static void imports_every_version(void **state)
{
	(void)state;
	for (enum cni_version v = CNI_V010; v < CNI_VERSIONS; v++) {
		char text[2048];
		cJSON *json = cJSON_Parse(example(v, text)), *result;
		struct cni_error err;

		cJSON_DeleteItemFromObject(json, "cniVersion");
		result = cni_result_import(json, v, "test", &err);
		assert_non_null(result);
		assert_export(result, v, example(v, text));
		cJSON_Delete(result);
		cJSON_Delete(json);
	}
}

static void refuses_what_is_wrong(void **state)
{
	static const char *const bad[] = {"[]", "7", "{\"cniVersion\":\"8.0\"}",
	        "{\"cniVersion\":1}", "{\"ips\":{}}", "{\"ips\":[1]}", "{\"ips\":[{}]}",
	        "{\"ips\":[{\"address\":\"10.0.0.1\"}]}",
	        "{\"ips\":[{\"address\":\"10.0.0.1/33\"}]}",
	        "{\"ips\":[{\"address\":\"10.0.0.1/8\",\"gateway\":\"x\"}]}",
	        "{\"ips\":[{\"address\":\"10.0.0.1/8\",\"interface\":-1}]}",
	        "{\"interfaces\":[{}]}", "{\"interfaces\":[{\"name\":1}]}", "{\"interfaces\":1}",
	        "{\"routes\":{}}", "{\"routes\":[{\"dst\":\"x\"}]}",
	        "{\"routes\":[{\"dst\":\"1.2.3.4\"}]}",
	        "{\"routes\":[{\"dst\":\"0.0.0.0/0\",\"gw\":\"y\"}]}", "{\"dns\":[]}",
	        "{\"cniVersion\":\"0.2.0\",\"ip4\":{}}", "{\"cniVersion\":\"0.2.0\",\"ip4\":7}"};

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		cJSON *json = cJSON_Parse(bad[i]);
		struct cni_error err = {0};

		assert_null(cni_result_import(json, CNI_V100, "result of x", &err));
		assert_int_equal(err.code, CNI_ERR_DECODE);
		assert_non_null(strstr(err.msg, "result of x"));
		cJSON_Delete(json);
	}
}

/* Every truncation of a valid text is refused by the parser or by us, and leaks nothing. */
static void survives_truncation(void **state)
{
	(void)state;
	for (size_t length = 0; length < sizeof(v110) - 1; length++) {
		cJSON *json = cJSON_ParseWithLength(v110, length);

		assert_null(cni_result_import(json, CNI_V110, "test", NULL));
		cJSON_Delete(json);
	}
}

static void append_moves_indexes(void **state)
{
	cJSON *a = import(v110, CNI_V110), *b = import(v100, CNI_V100), *ips;

	(void)state;
	cni_result_append(a, b);
	ips = cJSON_GetObjectItem(a, "ips");
	assert_int_equal(cJSON_GetArraySize(cJSON_GetObjectItem(a, "interfaces")), 2);
	assert_int_equal(cJSON_GetArraySize(ips), 4);
	assert_int_equal(cJSON_GetObjectItem(cJSON_GetArrayItem(ips, 1), "interface")->valueint, 0);
	assert_int_equal(cJSON_GetObjectItem(cJSON_GetArrayItem(ips, 2), "interface")->valueint, 1);
	cJSON_Delete(a);
	cJSON_Delete(b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(exports_every_version),
	        cmocka_unit_test(imports_every_version),
	        cmocka_unit_test(refuses_what_is_wrong),
	        cmocka_unit_test(survives_truncation),
	        cmocka_unit_test(append_moves_indexes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
