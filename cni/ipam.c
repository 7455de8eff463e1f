/* SPDX-License-Identifier: BSD-3-Clause */
#include "cni/ipam.h"

#include "cni/ipam_own.h"
#include "cni/result.h"

int cni_ipam_find(const struct cni_env *env, const struct cni_netconf *conf,
        char path[CNI_PATH_SIZE], struct cni_error *err)
{
	if (cni_ipam_is_own(conf) || !cni_exec_find(env->path, conf->ipam, path))
		return 0;
	cni_fail(err, CNI_ERR_CONFIG, "failed to find IPAM plugin \"%.64s\" in CNI_PATH",
	        conf->ipam);
	cni_fail_details(err, "CNI_PATH is %s", env->path);
	return -ENOENT;
}

char *cni_ipam_config(const struct cni_netconf *conf, size_t *length)
{
	cJSON *copy, *prev;
	char *text;

	if (conf->version < CNI_V110) {
		*length = conf->length;
		return strndup(conf->text, conf->length);
	}
	copy = cJSON_Duplicate(conf->root, true);
	cJSON_ReplaceItemInObjectCaseSensitive(
	        copy, "cniVersion", cJSON_CreateString(cni_version_name(CNI_V100)));
	if (conf->prev_result) {
		prev = cni_result_import(conf->prev_result, conf->version, "prevResult", NULL);
		if (prev)
			cJSON_ReplaceItemInObjectCaseSensitive(
			        copy, "prevResult", cni_result_export(prev, CNI_V100));
		else
			cJSON_DeleteItemFromObjectCaseSensitive(copy, "prevResult");
		cJSON_Delete(prev);
	}
	text = cJSON_PrintUnformatted(copy);
	cJSON_Delete(copy);
	*length = text ? strlen(text) : 0;
	return text;
}

/* The plugin's own error, or what can be said without one. */
static int failed(const struct cni_netconf *conf, const char *command, const struct cni_output *out,
        struct cni_error *err)
{
	cJSON *json = cJSON_ParseWithLength(out->text, out->length);
	const cJSON *code = cJSON_GetObjectItemCaseSensitive(json, "code");
	const char *msg = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(json, "msg"));
	const char *details =
	        cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(json, "details"));

	if (cJSON_IsNumber(code) && code->valueint > 0 && msg) {
		cni_fail(err, code->valueint, "IPAM plugin %.64s: %s", conf->ipam, msg);
		if (details)
			cni_fail_details(err, "%s", details);
	} else {
		cni_fail(err, CNI_ERR_INTERNAL, "IPAM plugin %.64s: %s failed with status %d",
		        conf->ipam, command, out->status);
		cni_fail_details(
		        err, "%.*s", (int)(out->length < 512 ? out->length : 512), out->text);
	}
	cJSON_Delete(json);
	return -EINVAL;
}

/* Why a plugin could not be run or did not end well. */
static int run_error(const struct cni_netconf *conf, const char *command, int ret,
        struct cni_output *out, struct cni_error *err)
{
	if (ret == -ETIMEDOUT)
		return cni_fail(err, CNI_ERR_TRY_LATER,
		        "IPAM plugin %.64s: %s did not end within %d s", conf->ipam, command,
		        conf->ipam_timeout / 1000);
	if (ret == -EFBIG)
		return cni_fail(err, CNI_ERR_DECODE,
		        "IPAM plugin %.64s: %s printed more than %d bytes", conf->ipam, command,
		        CNI_INPUT_MAX);
	if (ret)
		return cni_fail(err, CNI_ERR_IO, "IPAM plugin %.64s can not be run: %s", conf->ipam,
		        strerror(-ret));
	if (out->status) {
		failed(conf, command, out, err);
		free(out->text);
		return -EINVAL;
	}
	return 0;
}

/* Runs a command with the given configuration; its output is kept in out on success only. */
static int run(const struct cni_env *env, const struct cni_netconf *conf, const char *command,
        const char *text, size_t length, struct cni_output *out, struct cni_error *err)
{
	char path[CNI_PATH_SIZE];
	int ret = cni_ipam_find(env, conf, path, err);

	if (ret)
		return ret;
	ret = cni_exec(path, command, text, length, conf->ipam_timeout, out);
	return run_error(conf, command, ret, out, err);
}

static int import_result(
        const struct cni_netconf *conf, const cJSON *json, cJSON **result, struct cni_error *err)
{
	enum cni_version sent = conf->version < CNI_V110 ? conf->version : CNI_V100;
	char what[96];

	snprintf(what, sizeof(what), "result of IPAM plugin %.64s", conf->ipam);
	*result = cni_result_import(json, sent, what, err);
	if (!*result)
		return -EINVAL;
	if (cJSON_GetObjectItemCaseSensitive(*result, "ips")->child)
		return 0;
	cJSON_Delete(*result);
	*result = NULL;
	return cni_fail(err, CNI_ERR_DECODE, "IPAM plugin returned missing IP config");
}

static int parse_result(const struct cni_netconf *conf, const struct cni_output *out,
        cJSON **result, struct cni_error *err)
{
	cJSON *json = cJSON_ParseWithLength(out->text, out->length);
	int ret;

	if (!json) {
		cni_fail(err, CNI_ERR_DECODE, "result of IPAM plugin %.64s is no valid JSON",
		        conf->ipam);
		cni_fail_details(
		        err, "%.*s", (int)(out->length < 512 ? out->length : 512), out->text);
		return -EINVAL;
	}
	ret = import_result(conf, json, result, err);
	cJSON_Delete(json);
	return ret;
}

int cni_ipam_start(const struct cni_env *env, const struct cni_netconf *conf,
        struct cni_ipam_add *add, struct cni_error *err)
{
	char path[CNI_PATH_SIZE], *text;
	size_t length;
	int ret;

	if (cni_ipam_is_own(conf)) {
		ret = cni_ipam_own_add(env, conf, &add->own, err);
		add->running = !ret;
		return ret;
	}
	ret = cni_ipam_find(env, conf, path, err);
	if (ret)
		return ret;
	text = cni_ipam_config(conf, &length);
	if (!text)
		return cni_fail(err, CNI_ERR_INTERNAL, "out of memory");
	ret = cni_exec_start(path, "ADD", text, length, conf->ipam_timeout, &add->child);
	free(text);
	add->running = !ret;
	return run_error(conf, "ADD", ret, &add->child.out, err);
}

/* An object is whole only with its last brace: what has begun is never taken for the answer. */
static bool whole_object(const char *text, size_t length, void *data)
{
	cJSON **json = data;

	*json = memchr(text, '}', length) ? cJSON_ParseWithLength(text, length) : NULL;
	if (cJSON_IsObject(*json))
		return true;
	cJSON_Delete(*json);
	*json = NULL;
	return false;
}

cJSON *cni_ipam_hear(const struct cni_netconf *conf, struct cni_ipam_add *add)
{
	cJSON *json = NULL, *result = NULL;
	struct cni_error ignored;

	if (cni_ipam_is_own(conf)) {
		result = add->own;
		add->own = NULL;
		return result;
	}
	if (cni_exec_hear(&add->child, whole_object, &json))
		import_result(conf, json, &result, &ignored);
	cJSON_Delete(json);
	return result;
}

int cni_ipam_finish(const struct cni_netconf *conf, struct cni_ipam_add *add, cJSON **result,
        struct cni_error *err)
{
	struct cni_output out = {0};
	int ret;

	add->running = false;
	if (cni_ipam_is_own(conf)) {
		*result = *result ? *result : cni_ipam_hear(conf, add);
		return 0;
	}
	ret = cni_exec_finish(&add->child, &out);
	ret = run_error(conf, "ADD", ret, &out, err);
	if (ret)
		return ret;
	ret = *result ? 0 : parse_result(conf, &out, result, err);
	free(out.text);
	return ret;
}

int cni_ipam_run(const struct cni_env *env, const struct cni_netconf *conf, const char *command,
        struct cni_error *err)
{
	struct cni_output out = {0};
	bool whole = !strcmp(command, "STATUS") || !strcmp(command, "GC");
	size_t length = conf->length;
	char *text;
	int ret;

	if (cni_ipam_is_own(conf))
		return cni_ipam_own_run(env, conf, command, err);
	text = whole ? strndup(conf->text, length) : cni_ipam_config(conf, &length);
	if (!text)
		return cni_fail(err, CNI_ERR_INTERNAL, "out of memory");
	ret = run(env, conf, command, text, length, &out, err);
	if (!ret)
		free(out.text);
	free(text);
	return ret;
}

bool cni_ipam_speaks_latest(const struct cni_env *env, const struct cni_netconf *conf)
{
	static const char input[] = "{\"cniVersion\":\"1.1.0\"}";
	struct cni_output out = {0};
	struct cni_error err;
	const cJSON *version;
	bool found = false;
	cJSON *json;

	if (cni_ipam_is_own(conf))
		return true;
	if (run(env, conf, "VERSION", input, sizeof(input) - 1, &out, &err))
		return false;
	json = cJSON_ParseWithLength(out.text, out.length);
	cJSON_ArrayForEach (version, cJSON_GetObjectItemCaseSensitive(json, "supportedVersions")) {
		if (cJSON_IsString(version) &&
		        !strcmp(version->valuestring, cni_version_name(CNI_V110)))
			found = true;
	}
	cJSON_Delete(json);
	free(out.text);
	return found;
}
