/* SPDX-License-Identifier: BSD-3-Clause */
/* Our own IPAM: the store against a model, what a result holds, and what is swept. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cni/file.h"
#include "cni/ipam_own.h"
#include "cni/leases.h"
#include "cni_conf.h"

static char directory[] = "/tmp/podrail-ipam-XXXXXX";

/* ---- the store ---- */

#define PODS   40
#define FIRST  2 /* 198.18.1.2 .. 198.18.1.30; .1 is the gateway */
#define LAST   30
#define ROUNDS 4000

/* Who has which address; the last that was given. */
struct model {
	int owner[256];
	unsigned last;
};

static uint32_t random_state = 7;

static uint32_t random_below(uint32_t n)
{
	random_state = random_state * 1664525u + 1013904223u;
	return (random_state >> 8) % n;
}

static struct cni_env env_of(int pod, char id[32])
{
	struct cni_env env = {.command = CNI_ADD, .container_id = id, .ifname = "eth0"};

	snprintf(id, 32, "pod%d", pod);
	return env;
}

/* The address that host-local would give: the next one behind the last. 0: none. */
static unsigned model_next(const struct model *model)
{
	unsigned at = model->last;

	for (unsigned n = FIRST; n <= LAST; n++) {
		at = at >= LAST || at < FIRST ? FIRST : at + 1;
		if (!model->owner[at])
			return at;
	}
	return 0;
}

static unsigned address_of(cJSON *result)
{
	const cJSON *ips = cJSON_GetObjectItemCaseSensitive(result, "ips");
	struct pr_prefix prefix;

	assert_int_equal(cJSON_GetArraySize(ips), 1);
	assert_int_equal(
	        pr_prefix_parse(
	                cJSON_GetObjectItemCaseSensitive(ips->child, "address")->valuestring,
	                &prefix),
	        0);
	assert_int_equal(prefix.len, 27);
	return prefix.addr.v4[3];
}

static void take(struct model *model, const struct cni_netconf *conf, int pod)
{
	unsigned wanted = random_below(4) ? 0 : random_below(34), expected;
	struct cni_error err = {0};
	cJSON *result = NULL;
	char id[32];
	struct cni_env env = env_of(pod, id);
	int ret;

	if (wanted)
		snprintf(env.ip, sizeof(env.ip), "198.18.1.%u", wanted);
	expected = !wanted                           ? model_next(model)
	           : wanted < FIRST || wanted > LAST ? 0
	           : model->owner[wanted]            ? 0
	                                             : wanted;
	ret = cni_ipam_own_add(&env, conf, &result, &err);
	if (!expected) {
		assert_int_equal(ret, -EINVAL);
		assert_null(result);
		if (!wanted)
			assert_int_equal(err.code, CNI_ERR_FULL);
		/* It tried the set's next one before it saw that the wanted one is elsewhere. */
		else if (wanted > LAST)
			model->last = model_next(model) ? model_next(model) : model->last;
		else
			assert_int_equal(err.code, CNI_ERR_TRY_LATER);
		return;
	}
	if (ret)
		fail_msg("%s", err.msg);
	assert_int_equal(address_of(result), expected);
	cJSON_Delete(result);
	model->owner[expected] = pod;
	model->last = expected;
}

static void give(struct model *model, const struct cni_netconf *conf, int pod)
{
	struct cni_error err;
	char id[32];
	struct cni_env env = env_of(pod, id);

	assert_int_equal(cni_ipam_own_run(&env, conf, "DEL", &err), 0);
	for (unsigned n = 0; n < 256; n++)
		if (model->owner[n] == pod)
			model->owner[n] = 0;
}

static bool has_any(const struct model *model, int pod)
{
	for (unsigned n = 0; n < 256; n++)
		if (model->owner[n] == pod)
			return true;
	return false;
}

static void store_conf(struct cni_netconf *conf, const char *more)
{
	char rest[512];

	snprintf(rest, sizeof(rest), "\"ipam\":{\"type\":\"podrail\",\"dataDir\":\"%s\",%s}",
	        directory, more);
	parse(conf, "1.0.0", rest);
}

static void store_is_as_the_model_says(void **state)
{
	static struct model model;
	struct cni_netconf conf;
	struct cni_error err;
	char id[32];

	(void)state;
	store_conf(&conf, "\"subnet\":\"198.18.1.0/27\"");
	for (int i = 0; i < ROUNDS; i++) {
		int pod = 1 + (int)random_below(PODS);
		struct cni_env env = env_of(pod, id);

		/* A runtime never adds twice without a DEL. */
		if (!has_any(&model, pod))
			take(&model, &conf, pod);
		else if (random_below(2))
			give(&model, &conf, pod);
		assert_int_equal(
		        cni_ipam_own_run(&env, &conf, "CHECK", &err) == 0, has_any(&model, pod));
	}
	for (int pod = 1; pod <= PODS; pod++)
		give(&model, &conf, pod);
	cni_netconf_free(&conf);
}

static void both_families_or_none(void **state)
{
	char id[32];
	struct cni_env a = env_of(1, id), b = a;
	struct cni_netconf conf;
	struct cni_error err;
	cJSON *result;
	char *text;

	(void)state;
	b.container_id = "other";
	store_conf(&conf,
	        "\"ranges\":[[{\"subnet\":\"198.18.2.0/24\"}],[{\"subnet\":\"2001:db8::/64\","
	        "\"rangeStart\":\"2001:db8::5\",\"rangeEnd\":\"2001:db8::5\"}]],"
	        "\"routes\":[{\"dst\":\"192.0.2.0/24\",\"gw\":\"198.18.2.9\"}]");
	assert_int_equal(cni_ipam_own_add(&a, &conf, &result, &err), 0);
	text = cJSON_PrintUnformatted(result);
	assert_string_equal(text,
	        "{\"interfaces\":[],\"ips\":[{\"address\":\"198.18.2.2/24\",\"gateway\":\"198.18.2."
	        "1\"},{\"address\":\"2001:db8::5/64\",\"gateway\":\"2001:db8::1\"}],\"routes\":[{"
	        "\"dst\":\"192.0.2.0/24\",\"gw\":\"198.18.2.9\"}],\"dns\":{}}");
	cJSON_free(text);
	cJSON_Delete(result);
	assert_int_equal(cni_ipam_own_add(&b, &conf, &result, &err), -EINVAL);
	assert_int_equal(err.code, CNI_ERR_FULL);
	assert_non_null(strstr(err.msg, "2001:db8::5"));
	assert_int_equal(cni_ipam_own_run(&b, &conf, "CHECK", &err), -EINVAL);
	assert_int_equal(err.code, CNI_ERR_CHECK);
	assert_int_equal(cni_ipam_own_run(&a, &conf, "DEL", &err), 0);
	cni_netconf_free(&conf);
}

static void resolv_conf_is_read(void **state)
{
	static const char text[] = "# c\nnameserver 192.0.2.1\nnameserver\t192.0.2.2\ndomain a.b\n"
	                           "search x y\nsearch z w\noptions ndots:2 rotate\nnonsense\n";
	char id[32], more[256], *dns;
	struct cni_env env = env_of(1, id);
	int dir = open(directory, O_RDONLY | O_DIRECTORY);
	struct cni_netconf conf;
	struct cni_error err;
	cJSON *result;

	(void)state;
	assert_int_equal(cni_file_write(dir, "resolv", text, 0644, false), 0);
	for (int there = 1; there >= 0; there--) {
		snprintf(more, sizeof(more),
		        "\"subnet\":\"198.18.4.0/24\",\"resolvConf\":\"%s/resolv\"", directory);
		store_conf(&conf, more);
		if (there) {
			assert_int_equal(cni_ipam_own_add(&env, &conf, &result, &err), 0);
			dns = cJSON_PrintUnformatted(
			        cJSON_GetObjectItemCaseSensitive(result, "dns"));
			assert_string_equal(dns,
			        "{\"nameservers\":[\"192.0.2.1\",\"192.0.2.2\"],\"domain\":\"a.b\","
			        "\"search\":[\"z\",\"w\"],\"options\":[\"ndots:2\",\"rotate\"]}");
			cJSON_free(dns);
			cJSON_Delete(result);
			unlinkat(dir, "resolv", 0);
		} else {
			assert_int_equal(cni_ipam_own_add(&env, &conf, &result, &err), -EINVAL);
			assert_non_null(strstr(err.msg, "resolvConf"));
			/* Nothing of it stays reserved. */
			assert_int_equal(cni_ipam_own_run(&env, &conf, "CHECK", &err), -EINVAL);
		}
		assert_int_equal(cni_ipam_own_run(&env, &conf, "DEL", &err), 0);
		cni_netconf_free(&conf);
	}
	close(dir);
}

static bool all_but_one(const char *container_id, const char *ifname, void *data)
{
	(void)ifname;
	return strcmp(container_id, data) != 0;
}

/* What a plugin that was killed left, and what other programs may have put there. */
static void sweep_takes_leftovers_only(void **state)
{
	char path[128], id[32];
	struct cni_env env = env_of(1, id);
	struct cni_netconf conf;
	struct cni_error err;
	cJSON *result;
	int dir;

	(void)state;
	store_conf(&conf, "\"subnet\":\"198.18.3.0/24\"");
	assert_int_equal(cni_ipam_own_add(&env, &conf, &result, &err), 0);
	cJSON_Delete(result);
	snprintf(path, sizeof(path), "%s/n", directory);
	dir = open(path, O_RDONLY | O_DIRECTORY);
	assert_int_equal(cni_file_create(dir, ".podrail-0.tmp", "half", 0600), 0);
	assert_int_equal(cni_file_create(dir, "198.18.3.77", "gone\r\neth0", 0600), 0);
	assert_int_equal(cni_file_create(dir, "198.18.3.78", "", 0600), 0);
	assert_int_equal(cni_file_create(dir, "notes", "gone", 0600), 0);
	assert_int_equal(cni_file_create(dir, "notes", "again", 0600), -EEXIST);
	assert_int_equal(mkdirat(dir, "198.18.3.79", 0700), 0);
	cni_leases_gc(&conf, all_but_one, id, &err);
	assert_int_equal(faccessat(dir, ".podrail-0.tmp", F_OK, 0), -1);
	assert_int_equal(faccessat(dir, "198.18.3.77", F_OK, 0), -1);
	assert_int_equal(faccessat(dir, "198.18.3.78", F_OK, 0), 0);
	assert_int_equal(faccessat(dir, "notes", F_OK, 0), 0);
	assert_int_equal(cni_ipam_own_run(&env, &conf, "CHECK", &err), 0);
	unlinkat(dir, "198.18.3.79", AT_REMOVEDIR);
	assert_int_equal(cni_ipam_own_run(&env, &conf, "DEL", &err), 0);
	close(dir);
	cni_netconf_free(&conf);
}

static int make_directory(void **state)
{
	(void)state;
	return mkdtemp(directory) ? 0 : -1;
}

static int remove_directory(void **state)
{
	int dir = open(directory, O_RDONLY | O_DIRECTORY);

	(void)state;
	cni_empty_dir(dir);
	close(dir);
	return rmdir(directory);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(store_is_as_the_model_says),
	        cmocka_unit_test(both_families_or_none),
	        cmocka_unit_test(resolv_conf_is_read),
	        cmocka_unit_test(sweep_takes_leftovers_only),
	};

	return cmocka_run_group_tests(tests, make_directory, remove_directory);
}
