/* SPDX-License-Identifier: BSD-3-Clause */
/* Bulk work: route sync from a file, and requests as they are. */
#include "control/ctl.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <podrail/protocol.h>

#define CHUNK_BYTES (PR_MESSAGE_MAX / 2)

static int wrong(char *error, size_t size, const char *what, const char *word)
{
	snprintf(error, size, "%s%s%.60s%s", what, word ? " \"" : "", word ? word : "",
	        word ? "\"" : "");
	return -EINVAL;
}

static const struct verb_field *member_named(
        const struct verb_field *fields, unsigned n, const char *name)
{
	while (strcmp(fields->name, name) && --n)
		fields++;
	return fields;
}

/* rest: "via=198.18.1.2,weight=2 via=198.18.1.3". */
static int nexthops_words(const char *prefix, char *rest, cJSON **route, char *error, size_t size)
{
	const struct verb *verb = verb_find("route.sync", NULL);
	const struct verb_field *routes = member_named(verb->fields, verb->n_fields, "routes");
	const struct verb_field *field = member_named(routes->fields, routes->n_fields, "nexthops");
	cJSON *array;
	char *word;

	*route = cJSON_CreateObject();
	cJSON_AddStringToObject(*route, "prefix", prefix);
	array = cJSON_AddArrayToObject(*route, "nexthops");
	while ((word = strsep(&rest, " \t\r"))) {
		cJSON *member = *word ? ctl_pairs(field, word, error, size) : NULL;

		if (member) {
			cJSON_AddItemToArray(array, member);
		} else if (*word) {
			cJSON_Delete(*route);
			*route = NULL;
			return -EINVAL;
		}
	}
	if (cJSON_GetArraySize(array))
		return 0;
	cJSON_Delete(*route);
	*route = NULL;
	return wrong(error, size, "behind \"nexthops\" there is none", NULL);
}

int ctl_route_line(char *line, cJSON **route, char *error, size_t size)
{
	char *word[5] = {NULL}, *rest = line, *token;
	unsigned n = 0;

	*route = NULL;
	line[strcspn(line, "#\n")] = '\0';
	while ((token = strsep(&rest, " \t\r"))) {
		if (!*token)
			continue;
		if (n == 5)
			return wrong(error, size, "too much in the line:", token);
		word[n++] = token;
		if (n == 2 && !strcmp(token, "nexthops"))
			return rest ? nexthops_words(word[0], rest, route, error, size)
			            : wrong(error, size, "behind \"nexthops\" there is none", NULL);
	}
	if (!n)
		return 0;
	if (n == 1)
		return wrong(error, size,
		        "\"via\", \"port\", \"blackhole\" or \"unreachable\" is missing", NULL);
	*route = cJSON_CreateObject();
	cJSON_AddStringToObject(*route, "prefix", word[0]);
	if (!strcmp(word[1], "via") && (n == 3 || n == 4)) {
		cJSON_AddStringToObject(*route, "gateway", word[2]);
		if (n == 4)
			cJSON_AddStringToObject(*route, "port", word[3]);
		return 0;
	}
	if (!strcmp(word[1], "port") && n == 3) {
		cJSON_AddStringToObject(*route, "port", word[2]);
		return 0;
	}
	if ((!strcmp(word[1], "blackhole") || !strcmp(word[1], "unreachable")) && n == 2) {
		cJSON_AddStringToObject(*route, "type", word[1]);
		return 0;
	}
	cJSON_Delete(*route);
	*route = NULL;
	return wrong(error, size,
	        "a route is \"PREFIX via GATEWAY [PORT]\", \"PREFIX nexthops via=GATEWAY...\", "
	        "\"PREFIX port PORT\", \"PREFIX blackhole\" or \"PREFIX unreachable\"; not",
	        word[1]);
}

struct sync {
	struct pr_client *client;
	const cJSON *base; /* owner, network */
	const char *file;
	unsigned line;
	cJSON *routes; /* of the chunk being filled */
	unsigned n_routes;
	size_t bytes; /* that they take at most in the message */
};

static cJSON *sync_step(struct sync *sync, const char *step, struct pr_client_error *error)
{
	cJSON *params = cJSON_Duplicate(sync->base, true);

	cJSON_DeleteItemFromObjectCaseSensitive(params, "step");
	cJSON_AddStringToObject(params, "step", step);
	if (sync->n_routes) {
		cJSON_AddItemToObject(params, "routes", sync->routes);
		sync->routes = cJSON_CreateArray();
		sync->n_routes = 0;
		sync->bytes = 0;
	}
	return pr_client_call(sync->client, "route.sync", params, error);
}

static int send_step(struct sync *sync, const char *step)
{
	struct pr_client_error error;
	cJSON *result = sync_step(sync, step, &error);

	if (!result)
		ctl_complain("route.sync", error.message, error.field);
	cJSON_Delete(result);
	return result ? CTL_OK : CTL_REFUSED;
}

/* Checks one route as the daemon will, so that the error can name the line. */
static int check_route(const struct sync *sync, cJSON *route, char *message, size_t size)
{
	const struct verb *verb = verb_find("route.sync", NULL);
	cJSON *params = cJSON_Duplicate(sync->base, true), *one = cJSON_CreateArray();
	struct verb_error error;
	int rc;

	cJSON_AddItemReferenceToArray(one, route);
	cJSON_AddItemToObject(params, "routes", one);
	rc = verb_check(verb, params, &error);
	if (rc)
		snprintf(message, size, "%s", error.message);
	cJSON_Delete(params);
	return rc;
}

static int take_line(struct sync *sync, char *text)
{
	char message[600], where[320];
	cJSON *route;
	size_t length = strlen(text);
	int rc = ctl_route_line(text, &route, message, sizeof(message));

	sync->line++;
	if (!rc && !route)
		return CTL_OK;
	if (!rc)
		rc = check_route(sync, route, message, sizeof(message));
	if (rc) {
		cJSON_Delete(route);
		snprintf(where, sizeof(where), "%.255s:%u", sync->file, sync->line);
		ctl_complain(where, message, "");
		return CTL_USAGE;
	}
	cJSON_AddItemToArray(sync->routes, route);
	sync->n_routes++;
	/* Names of members and what stands around them: as much again per next hop. */
	sync->bytes += 100 + 3 * length;
	return sync->bytes >= CHUNK_BYTES ? send_step(sync, "chunk") : CTL_OK;
}

static int send_file(struct sync *sync, FILE *in)
{
	char *text = NULL;
	size_t size = 0;
	int status = send_step(sync, "begin");

	while (status == CTL_OK && getline(&text, &size, in) >= 0)
		status = take_line(sync, text);
	free(text);
	if (status == CTL_OK && ferror(in)) {
		ctl_complain(sync->file, strerror(errno), "");
		status = CTL_REFUSED;
	}
	if (status == CTL_OK && sync->n_routes)
		status = send_step(sync, "chunk");
	return status;
}

int ctl_sync(
        struct pr_client *client, const struct ctl_line *line, const struct ctl_options *options)
{
	bool standard = !line->file || !strcmp(line->file, "-");
	FILE *in = standard ? stdin : fopen(line->file, "re");
	struct sync sync = {.client = client, .base = line->params, .routes = cJSON_CreateArray()};
	struct pr_client_error error;
	cJSON *result = NULL;
	int status;

	sync.file = standard ? "standard input" : line->file;
	if (!in) {
		ctl_complain(line->file, strerror(errno), "");
		cJSON_Delete(sync.routes);
		return CTL_USAGE;
	}
	/* An error leaves without commit: the daemon drops the sync with the connection. */
	status = send_file(&sync, in);
	if (status == CTL_OK) {
		result = sync_step(&sync, "commit", &error);
		if (!result) {
			ctl_complain("route.sync", error.message, error.field);
			status = CTL_REFUSED;
		}
	}
	if (result && options->json)
		ctl_print_json(stdout, result);
	else if (result)
		ctl_members(stdout, result);
	cJSON_Delete(result);
	cJSON_Delete(sync.routes);
	if (!standard)
		fclose(in);
	return status;
}

static bool has_error(const char *answer)
{
	cJSON *json = cJSON_Parse(answer);
	const cJSON *one;
	bool found = cJSON_IsObject(json) && cJSON_HasObjectItem(json, "error");

	if (cJSON_IsArray(json))
		cJSON_ArrayForEach (one, json)
			found |= cJSON_HasObjectItem(one, "error");
	cJSON_Delete(json);
	return found;
}

int ctl_raw(struct pr_client *client, FILE *in, FILE *out)
{
	struct pr_client_error error;
	char *line = NULL;
	size_t size = 0;
	ssize_t n;
	int status = CTL_OK;

	while ((n = getline(&line, &size, in)) >= 0) {
		char *answer;

		if (n && line[n - 1] == '\n')
			line[--n] = '\0';
		if (!line[strspn(line, " \t\r")])
			continue;
		if (strlen(line) != (size_t)n) {
			ctl_complain("raw", "the line has a NUL byte in it", "");
			status = CTL_REFUSED;
			break;
		}
		answer = pr_client_raw(client, line, &error);
		if (!answer) {
			ctl_complain("raw", error.message, error.field);
			status = CTL_REFUSED;
			break;
		}
		if (*answer)
			fprintf(out, "%s\n", answer);
		fflush(out);
		if (has_error(answer))
			status = CTL_REFUSED;
		free(answer);
	}
	free(line);
	return status;
}
