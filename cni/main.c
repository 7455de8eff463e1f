/* SPDX-License-Identifier: BSD-3-Clause */
/* The CNI plugin: one command a process. stdout holds the result or the error as JSON and nothing
 * else; free text goes to stderr. */
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

#include "cni/commands.h"
#include "cni/file.h"

#define VERSION_WAIT_MS 50

/* In one piece, with a newline: whoever reads it is woken once. Consumes text. */
static int print_line(char *text)
{
	size_t length = text ? strlen(text) : 0;
	char *line = text ? realloc(text, length + 2) : NULL, *rest = line;
	int ret = 0;

	if (!line) {
		cJSON_free(text);
		return -ENOMEM;
	}
	memcpy(line + length++, "\n", 2);
	while (length) {
		ssize_t n = write(STDOUT_FILENO, rest, length);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0) {
			ret = -errno;
			break;
		}
		rest += n;
		length -= (size_t)n;
	}
	cJSON_free(line);
	return ret;
}

static int fail(const struct cni_error *err, enum cni_version version)
{
	print_line(cni_error_json(err, version));
	return 1;
}

/* VERSION answers in the version that was asked in, if that came at once; nobody has to write
 * anything to us, so this never waits for the end of stdin. */
static enum cni_version asked_version(void)
{
	struct pollfd in = {.fd = STDIN_FILENO, .events = POLLIN};
	char text[4096];
	const char *name;
	int version;
	ssize_t n;
	cJSON *json;

	if (isatty(STDIN_FILENO) || poll(&in, 1, VERSION_WAIT_MS) != 1)
		return CNI_LATEST;
	n = read(STDIN_FILENO, text, sizeof(text));
	json = cJSON_ParseWithLength(text, n > 0 ? (size_t)n : 0);
	name = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(json, "cniVersion"));
	version = name ? cni_version_parse(name) : -1;
	cJSON_Delete(json);
	return version < 0 ? CNI_LATEST : (enum cni_version)version;
}

static int about(void)
{
	fprintf(stderr,
	        "podrail CNI plugin " PODRAIL_VERSION " (CNI protocol versions supported: 0.1.0, "
	        "0.2.0, 0.3.0, 0.3.1, 0.4.0, 1.0.0, 1.1.0)\n");
	return 0;
}

static int answer_version(void)
{
	return print_line(cni_version_json(asked_version())) ? 1 : 0;
}

static int check_command_version(
        const struct cni_env *env, const struct cni_netconf *conf, struct cni_error *err)
{
	bool too_old = (env->command == CNI_CHECK && conf->version < CNI_V040) ||
	               ((env->command == CNI_STATUS || env->command == CNI_GC) &&
	                       conf->version < CNI_V110);

	if (!too_old)
		return 0;
	cni_fail(err, CNI_ERR_VERSION, "config version does not allow %s",
	        env->command == CNI_CHECK    ? "CHECK"
	        : env->command == CNI_STATUS ? "STATUS"
	                                     : "GC");
	cni_fail_details(err, "config is \"%s\", needed is \"%s\" or later",
	        cni_version_name(conf->version), env->command == CNI_CHECK ? "0.4.0" : "1.1.0");
	return -EINVAL;
}

static int dispatch(const struct cni_env *env, const struct cni_netconf *conf, char **output,
        struct cni_error *err)
{
	switch (env->command) {
	case CNI_ADD:
		return cni_cmd_add(env, conf, output, err);
	case CNI_DEL:
		return cni_cmd_del(env, conf, err);
	case CNI_CHECK:
		return cni_cmd_check(env, conf, err);
	case CNI_STATUS:
		return cni_cmd_status(env, conf, err);
	case CNI_GC:
		return cni_cmd_gc(env, conf, err);
	case CNI_NONE:
	case CNI_VERSION:
		break;
	}
	return cni_fail(err, CNI_ERR_INTERNAL, "command without a function");
}

static int run(struct cni_env *env, struct cni_netconf *conf, struct cni_error *err)
{
	char *output = NULL, *text;
	size_t length;
	int ret;

	text = cni_fd_read(STDIN_FILENO, CNI_INPUT_MAX, &length);
	if (!text && errno == EFBIG)
		return cni_fail(err, CNI_ERR_DECODE, "network config is larger than %d bytes",
		        CNI_INPUT_MAX);
	if (!text)
		return cni_fail(err, CNI_ERR_IO, "error reading from stdin: %s", strerror(errno));
	ret = cni_env_validate(env, err);
	if (ret) {
		/* the configuration still says in which version to answer */
		struct cni_error ignored;

		cni_netconf_parse(conf, text, length, env, &ignored);
		return ret;
	}
	ret = cni_netconf_parse(conf, text, length, env, err);
	ret = ret ? ret : check_command_version(env, conf, err);
	ret = ret ? ret : dispatch(env, conf, &output, err);
	if (output && !ret && print_line(output))
		return cni_fail(err, CNI_ERR_IO, "the result can not be written to stdout");
	return ret;
}

int main(void)
{
	struct cni_netconf conf = {.version = CNI_LATEST};
	struct cni_error err = {0};
	struct cni_env env;
	int ret;

	signal(SIGPIPE, SIG_IGN);
	if (cni_env_read(&env, &err))
		return fail(&err, CNI_LATEST);
	if (env.command == CNI_NONE)
		return about();
	if (env.command == CNI_VERSION)
		return answer_version();
	ret = run(&env, &conf, &err);
	if (ret)
		fail(&err, conf.version);
	cni_netconf_free(&conf);
	return ret ? 1 : 0;
}
