/* SPDX-License-Identifier: BSD-3-Clause */
/* The command line: finds the verb in the table, sends its request, prints the answer. */
#include "control/ctl.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <podrail/protocol.h>

static struct pr_client *connect_daemon(const struct ctl_options *options)
{
	struct pr_client_error error;
	struct pr_client *client = pr_client_open(options->socket, options->timeout_ms, &error);

	if (!client)
		ctl_complain(NULL, error.message, "");
	return client;
}

static int usage_error(const char *what, const char *message)
{
	ctl_complain(what, message, "");
	fputs("podrailctl help lists what there is.\n", stderr);
	return CTL_USAGE;
}

static int run_verb(const struct verb *verb, char **argv, struct ctl_options *options)
{
	struct ctl_line line;
	struct pr_client *client;
	int status = CTL_USAGE;

	if (ctl_parse(verb, argv, options, &line)) {
		ctl_complain(verb->name, line.error, line.field);
		ctl_usage(stderr, verb);
	} else if (options->help) {
		ctl_help_verb(stdout, verb);
		status = CTL_OK;
	} else {
		client = connect_daemon(options);
		status = CTL_REFUSED;
		if (client && !strcmp(verb->name, "route.sync"))
			status = ctl_sync(client, &line, options);
		else if (client)
			status = ctl_run(client, verb, line.params, options);
		pr_client_close(client);
	}
	ctl_line_free(&line);
	return status;
}

static int run_raw(char **argv, struct ctl_options *options)
{
	struct pr_client *client;
	int status;

	if (*argv)
		return usage_error("raw", "takes no arguments");
	client = connect_daemon(options);
	if (!client)
		return CTL_REFUSED;
	status = ctl_raw(client, stdin, stdout);
	pr_client_close(client);
	return status;
}

/* Names one a line, for completion: quick and without a word when there is no daemon. */
static int run_names(char **argv, struct ctl_options *options)
{
	const char *kind = argv[0] ? argv[0] : "";
	bool ports = !strcmp(kind, "port");
	struct pr_client_error error;
	struct pr_client *client = pr_client_open(options->socket, options->timeout_ms, &error);
	cJSON *result = NULL;
	const cJSON *item;

	if (client)
		result = pr_client_call(client, ports ? "port.list" : "network.list", NULL, &error);
	cJSON_ArrayForEach (
	        item, cJSON_GetObjectItemCaseSensitive(result, ports ? "ports" : "networks")) {
		const cJSON *name = cJSON_GetObjectItemCaseSensitive(item, "name");

		if (cJSON_IsString(name))
			puts(name->valuestring);
	}
	cJSON_Delete(result);
	pr_client_close(client);
	return result ? CTL_OK : CTL_REFUSED;
}

static int run_man(char **argv)
{
	FILE *header = argv[0] ? fopen(argv[0], "re") : NULL;
	int status;

	if (!header)
		return usage_error("--man", strerror(argv[0] ? errno : EINVAL));
	status = ctl_man(stdout, header);
	fclose(header);
	return status;
}

static int run_help(char **argv)
{
	const struct verb *verb;
	char method[160];

	if (!argv[0]) {
		ctl_help_all(stdout);
		return CTL_OK;
	}
	snprintf(method, sizeof(method), "%.64s%s%.64s", argv[0], argv[1] ? "." : "",
	        argv[1] ? argv[1] : "");
	verb = verb_find(method, NULL);
	if (verb)
		ctl_help_verb(stdout, verb);
	else if (argv[1] || !ctl_help_object(stdout, argv[0]))
		return usage_error("help", "there is no such object or verb");
	return CTL_OK;
}

/* OBJECT VERB, or OBJECT.VERB, or a verb of one word. */
static int run_object(char **argv, struct ctl_options *options)
{
	const struct verb *verb = verb_find(argv[0], NULL);
	struct verb_error error;
	char method[160];

	if (verb)
		return run_verb(verb, argv + 1, options);
	if (!argv[1] || !strcmp(argv[1], "--help") || !strcmp(argv[1], "-h") ||
	        !strcmp(argv[1], "help")) {
		bool help = argv[1] || options->help;

		if (ctl_help_object(help ? stdout : stderr, argv[0]))
			return help ? CTL_OK : CTL_USAGE;
	}
	snprintf(method, sizeof(method), "%.64s%s%.64s", argv[0], argv[1] ? "." : "",
	        argv[1] ? argv[1] : "");
	verb = verb_find(method, &error);
	return verb ? run_verb(verb, argv + 2, options) : usage_error(NULL, error.message);
}

static int run(char **argv, struct ctl_options *options)
{
	const char *word = argv[0];

	if (!word && options->help)
		return run_help(argv);
	if (!word) {
		ctl_help_all(stderr);
		return CTL_USAGE;
	}
	if (!strcmp(word, "--version") || !strcmp(word, "-V")) {
		puts("podrailctl " PODRAIL_VERSION);
		return CTL_OK;
	}
	if (!strcmp(word, "help"))
		return run_help(argv + 1);
	if (!strcmp(word, "raw"))
		return run_raw(argv + 1, options);
	if (!strcmp(word, "--names"))
		return run_names(argv + 1, options);
	if (!strcmp(word, "--man"))
		return run_man(argv + 1);
	if (!strcmp(word, "completion")) {
		if (!argv[1] || strcmp(argv[1], "bash"))
			return usage_error("completion", "the only shell is bash");
		ctl_completion_bash(stdout);
		return CTL_OK;
	}
	if (*word == '-')
		return usage_error(word, "unknown option");
	return run_object(argv, options);
}

int main(int argc, char **argv)
{
	const char *socket = getenv("PODRAIL_SOCKET");
	struct ctl_options options = {
	        .socket = socket && *socket ? socket : PR_DEFAULT_SOCKET,
	};
	char message[200];
	int taken, status;

	(void)argc;
	for (argv++; *argv && **argv == '-'; argv += taken) {
		if (ctl_global(&options, argv, &taken, message, sizeof(message)))
			return usage_error(NULL, message);
		if (!taken)
			break;
	}
	status = run(argv, &options);
	/* A full disk or a closed pipe must not look like success. */
	if (fflush(stdout) || ferror(stdout)) {
		fprintf(stderr, "podrailctl: can not write the output: %s\n", strerror(errno));
		status = status ? status : CTL_REFUSED;
	}
	return status;
}
