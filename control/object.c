/* SPDX-License-Identifier: BSD-3-Clause */
#include "control/object.h"

#include <stdlib.h>
#include <string.h>
#include <syslog.h>

struct object_undo {
	method_fn *run;
	char params[];
};

int object_run(method_fn *run, const cJSON *params, const char *log_what)
{
	struct request request = {.params = params, .result = cJSON_CreateObject(), .replay = true};
	int rc = run(&request);

	if (rc && log_what)
		log_message(LOG_ERR, "%s: %s%s%s", log_what, request.field,
		        request.field[0] ? ": " : "", request.message);
	cJSON_Delete(request.result);
	return rc;
}

static void object_undo_text(void *arg)
{
	struct object_undo *undo = arg;
	cJSON *params = cJSON_Parse(undo->params);

	object_run(undo->run, params, "taking back a request that could not be stored");
	cJSON_Delete(params);
}

void object_on_rollback(struct request *request, method_fn *run, cJSON *params)
{
	char *text = request->replay ? NULL : cJSON_PrintUnformatted(params);
	struct object_undo *undo;

	cJSON_Delete(params);
	if (!text)
		return;
	undo = malloc(sizeof(*undo) + strlen(text) + 1);
	if (undo) {
		undo->run = run;
		strcpy(undo->params, text);
		rpc_on_rollback(object_undo_text, undo);
	}
	cJSON_free(text);
}

int object_store(struct request *request, const char *kind, const char *key, const cJSON *body,
        method_fn *undo, cJSON *undo_params)
{
	object_on_rollback(request, undo, undo_params);
	return object_put(request, kind, key, body);
}

int object_put(struct request *request, const char *kind, const char *key, const cJSON *body)
{
	int rc = request->replay ? 0 : state_put(kind, key, body);

	if (rc)
		return request_fail_storage(request, rc);
	replay_forget(kind, key);
	return 0;
}

int object_unstore(struct request *request, const char *kind, const char *key)
{
	int rc = request->replay ? 0 : state_del(kind, key);

	return rc ? request_fail_storage(request, rc) : 0;
}

int object_repeat(struct request *request, const char *member, const char *what, const cJSON *body,
        const cJSON *old, cJSON *answer)
{
	const char *field = json_difference(body, old);

	if (field) {
		cJSON_Delete(answer);
		return request_fail(request, PR_ERR_EXISTS, field,
		        "%s exists with another %s; remove it first to change it", what, field);
	}
	cJSON_AddFalseToObject(request->result, "created");
	cJSON_AddItemToObject(request->result, member, answer);
	return 0;
}

int object_created(struct request *request, const char *member, cJSON *answer)
{
	cJSON_AddTrueToObject(request->result, "created");
	cJSON_AddItemToObject(request->result, member, answer);
	return 0;
}

int object_removed(struct request *request, bool removed)
{
	cJSON_AddBoolToObject(request->result, "removed", removed);
	return 0;
}
