/* SPDX-License-Identifier: BSD-3-Clause */
#include "control/rpc.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <syslog.h>

#include "control/control.h"
#include "control/rpc_id.h"
#include "control/rpc_undo.h"
#include "control/state.h"
#include "control/verbs.h"

/* One request's answer, kept until the commit is known. */
struct answer {
	char *text;          /* NULL: a notification */
	struct rpc_slice id; /* of the line, or a constant */
	char *printed;       /* what id is a slice of when it had to be made */
	bool changed;        /* may have changed something: a failed commit takes it back */
};

/* A line that was handled, and whose answers wait for the commit. */
struct held {
	struct answer *answers;
	size_t n;
	bool array;
};

/* The line that is being handled; one at a time, in the control thread. */
static struct line {
	struct client *client;
	enum rpc_access access;
	size_t answers_size;
} line;

/* Lines that one commit is for. */
static struct {
	bool transaction;
	size_t n;
	size_t answers_size;
	struct held lines[RPC_LINES_MAX];
} group;

/* ---- answers ---- */

static const struct rpc_slice null_id = {"null", 4};

/* body is consumed. Returns {"jsonrpc":"2.0","<member>":body,"id":id}, NULL without memory. */
static char *envelope(struct rpc_slice id, const char *member, cJSON *body)
{
	char *text = cJSON_PrintUnformatted(body);
	char *answer = NULL;

	cJSON_Delete(body);
	if (text && asprintf(&answer, "{\"jsonrpc\":\"2.0\",\"%s\":%s,\"id\":%.*s}", member, text,
	                    (int)id.size, id.text) < 0)
		answer = NULL;
	cJSON_free(text);
	return answer;
}

static char *error_answer(struct rpc_slice id, int code, const char *field, const char *message)
{
	cJSON *error = cJSON_CreateObject();

	cJSON_AddNumberToObject(error, "code", code);
	cJSON_AddStringToObject(error, "message", message);
	if (field && field[0])
		cJSON_AddStringToObject(cJSON_AddObjectToObject(error, "data"), "field", field);
	return envelope(id, "error", error);
}

char *rpc_error_line(int code, const char *message)
{
	return error_answer(null_id, code, NULL, message);
}

/* ---- one request ---- */

/* The parts of a request object, as JSON-RPC 2.0 section 4 has them. */
struct call {
	const char *method;
	const cJSON *params;
	const cJSON *id; /* NULL: a notification */
};

static const cJSON **call_member(struct call *call, const cJSON *item, const cJSON **version,
        const cJSON **method, const cJSON **id)
{
	if (!strcmp(item->string, "jsonrpc"))
		return version;
	if (!strcmp(item->string, "method"))
		return method;
	if (!strcmp(item->string, "params"))
		return &call->params;
	if (!strcmp(item->string, "id"))
		return id;
	return NULL;
}

__attribute__((format(printf, 2, 0))) static int bad_call(
        struct verb_error *error, const char *format, const char *name)
{
	memset(error, 0, sizeof(*error));
	error->code = PR_ERR_REQUEST;
	snprintf(error->message, sizeof(error->message), format, name);
	return -EINVAL;
}

/* Fills call; returns 0, or -EINVAL with error filled. */
static int parse_call(const cJSON *json, struct call *call, struct verb_error *error)
{
	const cJSON *version = NULL, *method = NULL, *id = NULL, *item;
	const cJSON **member;

	memset(call, 0, sizeof(*call));
	if (!cJSON_IsObject(json))
		return bad_call(error, "a request is an object%s", "");
	call->id =
	        cJSON_GetObjectItemCaseSensitive(json, "id"); /* the answer's, whatever is wrong */
	cJSON_ArrayForEach (item, json) {
		member = call_member(call, item, &version, &method, &id);
		if (!member)
			return bad_call(
			        error, "unknown member \"%.64s\" of a request", item->string);
		if (*member)
			return bad_call(error, "member \"%.64s\" is there twice", item->string);
		*member = item;
	}
	if (call->id && !cJSON_IsString(call->id) && !cJSON_IsNumber(call->id) &&
	        !cJSON_IsNull(call->id))
		return bad_call(error, "%s must be a string, a number or null", "id");
	if (!cJSON_IsString(version) || strcmp(version->valuestring, "2.0"))
		return bad_call(error, "member %s must be \"2.0\"", "jsonrpc");
	if (!cJSON_IsString(method))
		return bad_call(error, "member %s must be a string", "method");
	call->method = method->valuestring;
	return 0;
}

static const struct method *method_find(const char *name)
{
	for (unsigned i = 0; i < n_methods; i++)
		if (!strcmp(methods[i].name, name))
			return &methods[i];
	return NULL;
}

static int take_error(struct request *request, const struct verb_error *error)
{
	return request_fail(
	        request, (enum pr_error_code)error->code, error->field, "%s", error->message);
}

/* Everything that can be known without running it. */
static int admit(struct request *request, const struct call *call, const struct verb **verb,
        const struct method **method)
{
	struct verb_error error = {0};

	*verb = NULL;
	if (line.access == RPC_DENIED)
		return request_fail(request, PR_ERR_DENIED, NULL,
		        "the user of this connection is neither root nor in socketGroup or"
		        " readGroup");
	*verb = verb_find(call->method, &error);
	if (!*verb)
		return take_error(request, &error);
	if (line.access == RPC_READ && !(*verb)->read_only)
		return request_fail(request, PR_ERR_DENIED, NULL,
		        "%s changes something: only root and members of socketGroup may call it",
		        (*verb)->name);
	*method = method_find(call->method);
	if (!*method)
		return request_fail(request, PR_ERR_METHOD, NULL, "%s is not served by this daemon",
		        (*verb)->name);
	if (call->params && !cJSON_IsObject(call->params))
		return request_fail(request, PR_ERR_PARAMS, NULL,
		        "params must be an object: members are given by name");
	if (verb_check(*verb, call->params, &error))
		return take_error(request, &error);
	if (line.answers_size > RPC_ANSWERS_MAX)
		return request_fail(request, PR_ERR_REQUEST, NULL,
		        "the answers of this batch are too large: send smaller batches");
	return 0;
}

static int begin_transaction(struct request *request)
{
	int rc;

	if (group.transaction)
		return 0;
	rc = state_begin();
	if (rc)
		return request_fail_storage(request, rc);
	group.transaction = true;
	return 0;
}

/* Runs the method of an admitted request. */
static int run(struct request *request, const struct method *method, bool read_only)
{
	struct undo *before = rpc_undo_mark();
	int rc;

	if (!read_only && begin_transaction(request))
		return -1;
	if (!read_only)
		state_request_begin();
	rc = method->run(request);
	if (rc && !request->code) {
		log_message(LOG_ERR, "%s failed without a reason (%d)", method->name, rc);
		request_fail(request, PR_ERR_INTERNAL, NULL, "%s failed: see the daemon's log",
		        method->name);
	}
	if (rc)
		rpc_undo_until(before, true);
	if (!read_only)
		state_request_end(rc != 0);
	return rc;
}

static struct rpc_slice id_of(const struct call *call, struct rpc_slice text, char **printed)
{
	struct rpc_slice id = null_id;

	if (!call->id || !(cJSON_IsString(call->id) || cJSON_IsNumber(call->id)))
		return id;
	id = rpc_id(text);
	if (!id.text) { /* its name was written with escapes */
		*printed = cJSON_PrintUnformatted(call->id);
		id = *printed ? (struct rpc_slice){*printed, strlen(*printed)} : null_id;
	}
	return id;
}

/* text: where json stands in the line. */
static void handle_one(const cJSON *json, struct rpc_slice text, struct answer *answer)
{
	struct request request = {.client = line.client};
	const struct method *method = NULL;
	const struct verb *verb = NULL;
	cJSON *no_params = NULL;
	struct verb_error error;
	struct call call;
	int rc;

	if (parse_call(json, &call, &error)) {
		answer->id = id_of(&call, text, &answer->printed);
		answer->text = error_answer(answer->id, error.code, NULL, error.message);
		return;
	}
	answer->id = id_of(&call, text, &answer->printed);
	rc = admit(&request, &call, &verb, &method);
	if (!rc) {
		if (!call.params)
			no_params = cJSON_CreateObject();
		request.params = call.params ? call.params : no_params;
		request.result = cJSON_CreateObject();
		rc = request.params && request.result
		             ? run(&request, method, verb->read_only)
		             : request_fail(&request, PR_ERR_INTERNAL, NULL, "no memory");
		answer->changed = !rc && !verb->read_only;
	}
	if (call.id && rc)
		answer->text =
		        error_answer(answer->id, request.code, request.field, request.message);
	else if (call.id) {
		answer->text = envelope(answer->id, "result", request.result);
		request.result = NULL;
	}
	cJSON_Delete(request.result);
	cJSON_Delete(no_params);
}

/* ---- lines, and the commit that they wait for ---- */

static void storage_failed(struct answer *answers, size_t n, int rc)
{
	struct request request = {0};

	request_fail_storage(&request, rc);
	for (size_t i = 0; i < n; i++) {
		if (!answers[i].changed || !answers[i].text)
			continue;
		free(answers[i].text);
		answers[i].text = error_answer(answers[i].id, request.code, NULL, request.message);
	}
}

static void finish_transaction(void)
{
	int rc = group.transaction ? state_commit() : 0;

	group.transaction = false;
	rpc_undo_until(NULL, rc != 0);
	for (size_t i = 0; rc && i < group.n; i++)
		storage_failed(group.lines[i].answers, group.lines[i].n, rc);
}

/* Room for the line's answers, its brackets and its end. */
static size_t room_of(const struct held *held)
{
	size_t total = 4;

	for (size_t i = 0; i < held->n; i++)
		total += held->answers[i].text ? strlen(held->answers[i].text) + 1 : 0;
	return total;
}

/* Appends the line's answers, which are freed: as an array, or the only one as it is. Nothing when
 * there is none, or no room (at is NULL). */
static char *join(struct held *held, char *at)
{
	bool any = false;

	for (size_t i = 0; i < held->n; i++) {
		struct answer *answer = &held->answers[i];

		if (at && answer->text) {
			if (held->array)
				*at++ = any ? ',' : '[';
			at = stpcpy(at, answer->text);
			any = true;
		}
		free(answer->text);
		free(answer->printed);
	}
	free(held->answers);
	if (any && held->array)
		*at++ = ']';
	if (any)
		*at++ = '\n';
	return at;
}

char *rpc_flush(size_t *size)
{
	char *text = NULL, *end;
	size_t room = 1;

	*size = 0;
	if (!group.n)
		return NULL;
	finish_transaction();
	rpc_undo_enable(false);
	for (size_t i = 0; i < group.n; i++)
		room += room_of(&group.lines[i]);
	text = malloc(room);
	end = text;
	for (size_t i = 0; i < group.n; i++)
		end = join(&group.lines[i], end);
	group.n = 0;
	group.answers_size = 0;
	if (end == text) {
		free(text);
		return NULL;
	}
	*end = '\0';
	*size = (size_t)(end - text);
	return text;
}

/* A line that became no request at all. */
static void refuse_line(struct held *held, int code, const char *message)
{
	held->answers = calloc(1, sizeof(*held->answers));
	held->n = held->answers ? 1 : 0;
	held->array = false;
	if (held->answers)
		held->answers->text = rpc_error_line(code, message);
}

static void handle_requests(const cJSON *json, struct rpc_slice whole, struct held *held)
{
	struct rpc_slice text = {NULL, 0};
	const cJSON *item;

	held->array = cJSON_IsArray(json);
	held->n = held->array ? (size_t)cJSON_GetArraySize(json) : 1;
	held->answers = calloc(held->n, sizeof(*held->answers));
	if (!held->answers) {
		refuse_line(held, PR_ERR_INTERNAL, "no memory");
		return;
	}
	item = held->array ? json->child : json;
	for (size_t i = 0; i < held->n; i++, item = item->next) {
		text = held->array ? rpc_element(whole, text) : whole;
		handle_one(item, text, &held->answers[i]);
		line.answers_size += held->answers[i].text ? strlen(held->answers[i].text) : 0;
	}
}

bool rpc_hold(struct client *client, enum rpc_access access, const char *text, size_t size)
{
	struct held *held = &group.lines[group.n++];
	struct verb_error error = {0};
	cJSON *json;

	line = (struct line){.client = client, .access = access};
	rpc_undo_enable(true);
	json = verb_parse(text, size, &error);
	if (!json)
		refuse_line(held, error.code, error.message);
	else if (cJSON_IsArray(json) && !json->child)
		refuse_line(held, PR_ERR_REQUEST, "an empty batch");
	else if (cJSON_IsArray(json) && cJSON_GetArraySize(json) > PR_BATCH_MAX)
		refuse_line(held, PR_ERR_REQUEST, "a batch of more than 1000 requests");
	else
		handle_requests(json, rpc_value(text, text + size), held);
	cJSON_Delete(json);
	group.answers_size += line.answers_size;
	return group.n < RPC_LINES_MAX && group.answers_size < RPC_HELD_MAX;
}

char *rpc_handle(struct client *client, enum rpc_access access, const char *text, size_t size,
        size_t *size_out)
{
	char *answer;

	rpc_hold(client, access, text, size);
	answer = rpc_flush(size_out);
	if (answer)
		answer[--*size_out] = '\0'; /* the line's end */
	return answer;
}
