/* SPDX-License-Identifier: BSD-3-Clause */
#include "fake_control.h"

#include <errno.h>
#include <ftw.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "control/config.h"
#include "control/verbs.h"
#include "fake_dataplane.h"

#define ROWS_MAX 300000
#define UNDO_MAX 4096

struct client {
	void *slots[CLIENT_SLOTS];
};

struct row {
	char *kind, *key, *body;
};

static struct client client;
static struct daemon_config config;
const struct daemon_config *daemon_config = &config;
struct fake_control fake_control;

static struct row rows[ROWS_MAX];
static size_t n_rows;

/* What the open transaction changed, newest last: the row as it was. */
static struct journal {
	struct row before;
	bool existed;
} journal[ROWS_MAX];
static size_t n_journal;

static struct {
	void (*run)(void *arg);
	void (*drop)(void *arg);
	void *arg;
} undos[UNDO_MAX];
static size_t n_undos;
static bool in_request;

/* ---- the database ---- */

static size_t row_find(const char *kind, const char *key)
{
	size_t i = 0;

	while (i < n_rows && (strcmp(rows[i].kind, kind) || strcmp(rows[i].key, key)))
		i++;
	return i;
}

static void row_free(struct row *row)
{
	free(row->kind);
	free(row->key);
	free(row->body);
}

static void row_delete(size_t at)
{
	row_free(&rows[at]);
	memmove(&rows[at], &rows[at + 1], (--n_rows - at) * sizeof(rows[0]));
}

static void row_set(const char *kind, const char *key, const char *body)
{
	size_t at = row_find(kind, key);

	if (at < n_rows) {
		free(rows[at].body);
		rows[at].body = strdup(body);
	} else {
		rows[n_rows++] = (struct row){strdup(kind), strdup(key), strdup(body)};
	}
}

static void remember(const char *kind, const char *key)
{
	size_t at = row_find(kind, key);
	bool existed = at < n_rows;

	journal[n_journal++] = (struct journal){
	        .before = {strdup(kind), strdup(key), existed ? strdup(rows[at].body) : NULL},
	        .existed = existed};
}

static void journal_end(size_t until, bool take_back)
{
	while (n_journal > until) {
		struct journal *entry = &journal[--n_journal];

		if (take_back && entry->existed)
			row_set(entry->before.kind, entry->before.key, entry->before.body);
		else if (take_back) {
			size_t at = row_find(entry->before.kind, entry->before.key);

			if (at < n_rows)
				row_delete(at);
		}
		row_free(&entry->before);
	}
}

int state_begin(void)
{
	return 0;
}

int state_commit(void)
{
	journal_end(0, fake_control.fail_commit);
	return fake_control.fail_commit ? -ENOSPC : 0;
}

void state_rollback(void)
{
	journal_end(0, true);
}

int state_put(const char *kind, const char *key, const cJSON *body)
{
	char *text;

	if (fake_control.fail_put)
		return -ENOSPC;
	remember(kind, key);
	text = cJSON_PrintUnformatted(body);
	row_set(kind, key, text);
	cJSON_free(text);
	return 0;
}

int state_del(const char *kind, const char *key)
{
	size_t at = row_find(kind, key);

	if (fake_control.fail_put)
		return -ENOSPC;
	if (at == n_rows)
		return 0;
	remember(kind, key);
	row_delete(at);
	return 0;
}

int state_each(
        const char *kind, void (*each)(void *arg, const char *key, const cJSON *body), void *arg)
{
	for (size_t i = 0; i < n_rows; i++) {
		cJSON *body;

		if (strcmp(rows[i].kind, kind))
			continue;
		body = cJSON_Parse(rows[i].body);
		each(arg, rows[i].key, body);
		cJSON_Delete(body);
	}
	return 0;
}

char *stored(const char *kind, const char *key)
{
	size_t at = row_find(kind, key);

	return at < n_rows ? strdup(rows[at].body) : NULL;
}

size_t stored_count(const char *kind)
{
	size_t count = 0;

	for (size_t i = 0; i < n_rows; i++)
		count += !strcmp(rows[i].kind, kind);
	return count;
}

static char *quotes(char *text)
{
	for (char *c = text; *c; c++)
		*c = *c == '\'' ? '"' : *c;
	return text;
}

void store_text(const char *kind, const char *key, const char *body)
{
	char *text = quotes(strdup(body));

	row_set(kind, key, text);
	free(text);
}

/* ---- rpc ---- */

int request_fail(struct request *request, enum pr_error_code code, const char *field,
        const char *format, ...)
{
	va_list arguments;

	request->code = code;
	snprintf(request->field, sizeof(request->field), "%s", field ? field : "");
	va_start(arguments, format);
	vsnprintf(request->message, sizeof(request->message), format, arguments);
	va_end(arguments);
	return -1;
}

int request_fail_dp(struct request *request, const struct dp_error *error)
{
	return request_fail(
	        request, (enum pr_error_code)error->code, error->field, "%s", error->message);
}

int request_fail_storage(struct request *request, int rc)
{
	return request_fail(request, PR_ERR_STORAGE, NULL, "not stored: %s", strerror(-rc));
}

void rpc_on_rollback(void (*undo)(void *arg), void *arg)
{
	rpc_on_rollback_with(undo, arg, free);
}

void rpc_on_rollback_with(void (*undo)(void *arg), void *arg, void (*drop)(void *arg))
{
	if (!in_request) {
		drop(arg);
		return;
	}
	assert_true(n_undos < UNDO_MAX);
	undos[n_undos].run = undo;
	undos[n_undos].drop = drop;
	undos[n_undos++].arg = arg;
}

static void end_request(bool take_back)
{
	while (n_undos) {
		n_undos--;
		if (take_back)
			undos[n_undos].run(undos[n_undos].arg);
		undos[n_undos].drop(undos[n_undos].arg);
	}
	in_request = false;
}

static int run_method(struct request *request, const char *name)
{
	for (unsigned i = 0; i < n_methods; i++) {
		if (!strcmp(methods[i].name, name))
			return methods[i].run(request);
	}
	fail_msg("no method %s", name);
	return -1;
}

static int run_request(struct request *request, const char *method)
{
	struct verb_error error = {0};
	const struct verb *verb = verb_find(method, &error);
	int rc;

	if (!verb || verb_check(verb, request->params, &error))
		return request_fail(
		        request, (enum pr_error_code)error.code, error.field, "%s", error.message);
	in_request = true;
	rc = run_method(request, method);
	/* As rpc.c: undone before its rows are taken back. */
	end_request(rc || fake_control.fail_commit);
	if (rc)
		state_rollback();
	else if (state_commit())
		rc = request_fail(request, PR_ERR_STORAGE, NULL, "not committed");
	return rc;
}

static cJSON *run_text(const char *method, char *params)
{
	struct request request = {.client = &client};
	cJSON *json = cJSON_Parse(quotes(params));
	int rc;

	if (!json)
		fail_msg("the test's own JSON is wrong: %s", params);
	free(params);
	request.params = json;
	request.result = cJSON_CreateObject();
	rc = run_request(&request, method);
	cJSON_Delete(json);
	fake_control.code = request.code;
	strcpy(fake_control.field, request.field);
	strcpy(fake_control.message, request.message);
	if (!rc)
		return request.result;
	cJSON_Delete(request.result);
	return NULL;
}

static char *format_text(const char *format, va_list arguments)
{
	char *text = NULL;

	assert_true(vasprintf(&text, format, arguments) >= 0);
	return text;
}

cJSON *call(const char *method, const char *params, ...)
{
	va_list arguments;
	char *text;

	va_start(arguments, params);
	text = format_text(params, arguments);
	va_end(arguments);
	return run_text(method, text);
}

void call_ok(const char *method, const char *params, ...)
{
	va_list arguments;
	cJSON *result;
	char *text;

	va_start(arguments, params);
	text = format_text(params, arguments);
	va_end(arguments);
	result = run_text(method, text);
	if (!result)
		fail_msg("%s %s: %s: %s", method, params, fake_control.field, fake_control.message);
	cJSON_Delete(result);
}

void call_refused(enum pr_error_code code, const char *field, const char *words, const char *method,
        const char *params, ...)
{
	va_list arguments;
	cJSON *result;
	char *text;

	va_start(arguments, params);
	text = format_text(params, arguments);
	va_end(arguments);
	result = run_text(method, text);
	if (result)
		fail_msg("%s %s was not refused", method, params);
	if (fake_control.code != (int)code || strcmp(fake_control.field, field) ||
	        !strstr(fake_control.message, words))
		fail_msg("%s %s: refused with %d, \"%s\", \"%s\"", method, params,
		        fake_control.code, fake_control.field, fake_control.message);
}

void call_answers(const char *expected, const char *method, const char *params, ...)
{
	char *wanted = quotes(strdup(expected)), *text;
	va_list arguments;
	cJSON *result;

	va_start(arguments, params);
	text = format_text(params, arguments);
	va_end(arguments);
	result = run_text(method, text);
	if (!result)
		fail_msg("%s %s: %s: %s", method, params, fake_control.field, fake_control.message);
	text = cJSON_PrintUnformatted(result);
	assert_string_equal(text, wanted);
	cJSON_free(text);
	free(wanted);
	cJSON_Delete(result);
}

/* ---- facts of the process ---- */

const char *boot_id(void)
{
	return fake_control.boot_id;
}

const char *instance_id(void)
{
	return "instance";
}

void log_message(int priority, const char *format, ...)
{
	va_list arguments;

	(void)priority;
	va_start(arguments, format);
	vsnprintf(fake_control.log, sizeof(fake_control.log), format, arguments);
	va_end(arguments);
	fake_control.logs++;
}

void **client_slot(struct client *of, enum client_slot slot)
{
	return &of->slots[slot];
}

cJSON *config_show(const struct daemon_config *shown)
{
	cJSON *json = cJSON_CreateObject();

	cJSON_AddNumberToObject(json, "controlCpu", shown->dp.control_cpu);
	return json;
}

int config_parse(const cJSON *json, struct daemon_config *parsed, struct config_error *error)
{
	memset(parsed, 0, sizeof(*parsed));
	if (!cJSON_GetObjectItemCaseSensitive(json, "wrong"))
		return 0;
	strcpy(error->field, "wrong");
	strcpy(error->message, "unknown member");
	return -EINVAL;
}

void config_free(struct daemon_config *parsed)
{
	(void)parsed;
}

void fake_client_gone(void)
{
	objects_client_gone(&client);
}

unsigned fake_restart(void)
{
	fake_client_gone();
	objects_free();
	fake_dp_reset();
	return objects_replay();
}

void fake_control_reset(void)
{
	fake_client_gone();
	objects_free();
	fake_dp_reset();
	while (n_rows)
		row_free(&rows[--n_rows]);
	memset(&fake_control, 0, sizeof(fake_control));
	strcpy(fake_control.boot_id, "boot-1");
	config.dp.control_cpu = 1;
}

void directory_make(char path[64])
{
	strcpy(path, "/tmp/podrail-unit-XXXXXX");
	assert_non_null(mkdtemp(path));
}

static int remove_entry(const char *path, const struct stat *status, int flag, struct FTW *walk)
{
	(void)status;
	(void)flag;
	(void)walk;
	return remove(path);
}

void directory_remove(const char *path)
{
	nftw(path, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
}
