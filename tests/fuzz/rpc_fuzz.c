/* SPDX-License-Identifier: BSD-3-Clause */
/* Any line at all: the answer is JSON on one line, and what a line changed is stored or undone.
 * Every method of verbs.c is served; the bytes of the line decide which of them fail. */
#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "control/control.h"
#include "control/rpc.h"
#include "control/state.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static long applied, put, committed;
static unsigned luck; /* from the input */
static bool transaction;

int state_begin(void)
{
	if (transaction)
		abort();
	transaction = true;
	put = 0;
	return 0;
}

int state_commit(void)
{
	if (!transaction)
		abort();
	transaction = false;
	if (luck % 5 == 0)
		return -ENOSPC;
	committed += put;
	return 0;
}

static long before_request;

void state_request_begin(void)
{
	before_request = put;
}

void state_request_end(bool failed)
{
	if (failed)
		put = before_request;
}

static void undo(void *arg)
{
	applied -= *(int *)arg;
}

static int change(struct request *request)
{
	int *one = malloc(sizeof(*one));

	luck = luck * 1103515245 + 12345;
	*one = 1;
	applied++;
	put++;
	rpc_on_rollback(undo, one);
	if (luck >> 16 & 1)
		return request_fail(request, PR_ERR_CONFLICT, "name", "no luck");
	return 0;
}

static int show(struct request *request)
{
	cJSON_AddItemToObject(request->result, "params", cJSON_Duplicate(request->params, 1));
	return 0;
}

const struct method methods[] = {
        {"hello", show},
        {"network.list", show},
        {"port.show", show},
        {"route.list", show},
        {"network.add", change},
        {"network.del", change},
        {"port.add", change},
        {"port.del", change},
        {"route.add", change},
        {"route.sync", change},
        {"neighbour.add", change},
        {"fdb.add", change},
        {"config.check", show},
        {"cni.gc", change},
};
const unsigned n_methods = sizeof(methods) / sizeof(methods[0]);

void log_message(int priority, const char *format, ...)
{
	(void)priority;
	(void)format;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	enum rpc_access access = size % 7 == 0 ? RPC_DENIED : size % 7 == 1 ? RPC_READ : RPC_ALL;
	size_t length = 0;
	char *answer;
	cJSON *json;

	luck = (unsigned)size;
	for (size_t i = 0; i < size; i++)
		luck = luck * 31 + data[i];
	answer = rpc_handle(NULL, access, (const char *)data, size, &length);
	if (transaction || applied != committed || (access != RPC_ALL && applied))
		abort();
	applied = committed = 0;
	if (!answer)
		return 0;
	json = cJSON_Parse(answer);
	if (!json || strlen(answer) != length || strchr(answer, '\n'))
		abort();
	cJSON_Delete(json);
	free(answer);
	return 0;
}
