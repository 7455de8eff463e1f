/* SPDX-License-Identifier: BSD-3-Clause */
#include "control/rpc_undo.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <syslog.h>

#include "control/control.h"

/* What undoes one change of the data plane. */
struct undo {
	struct undo *earlier;
	void (*run)(void *arg);
	void (*drop)(void *arg);
	void *arg;
};

static struct {
	bool enabled;
	struct undo *newest;
} undos;

int request_fail(struct request *request, enum pr_error_code code, const char *field,
        const char *format, ...)
{
	va_list args;

	request->code = code;
	snprintf(request->field, sizeof(request->field), "%s", field ? field : "");
	va_start(args, format);
	vsnprintf(request->message, sizeof(request->message), format, args);
	va_end(args);
	return -1;
}

int request_fail_dp(struct request *request, const struct dp_error *error)
{
	return request_fail(request,
	        error->code ? (enum pr_error_code)error->code : PR_ERR_INTERNAL, error->field, "%s",
	        error->message[0] ? error->message : "the data plane refused");
}

int request_fail_storage(struct request *request, int rc)
{
	const char *advice = rc == -ENOSPC  ? ": free space in the state directory"
	                     : rc == -EBUSY ? ": another program holds the database, try again"
	                                    : "";

	return request_fail(request, PR_ERR_STORAGE, NULL,
	        "the change could not be stored (%s)%s; nothing was changed", strerror(-rc),
	        advice);
}

void rpc_undo_enable(bool on)
{
	undos.enabled = on;
}

struct undo *rpc_undo_mark(void)
{
	return undos.newest;
}

void rpc_on_rollback_with(void (*undo)(void *arg), void *arg, void (*drop)(void *arg))
{
	struct undo *entry = undos.enabled ? malloc(sizeof(*entry)) : NULL;

	if (!entry) {
		if (undos.enabled)
			log_message(LOG_ERR, "no memory: a change may outlive a failed commit");
		drop(arg);
		return;
	}
	*entry = (struct undo){.earlier = undos.newest, .run = undo, .drop = drop, .arg = arg};
	undos.newest = entry;
}

void rpc_on_rollback(void (*undo)(void *arg), void *arg)
{
	rpc_on_rollback_with(undo, arg, free);
}

void rpc_undo_until(struct undo *mark, bool run)
{
	while (undos.newest != mark) {
		struct undo *entry = undos.newest;

		undos.newest = entry->earlier;
		if (run)
			entry->run(entry->arg);
		entry->drop(entry->arg);
		free(entry);
	}
}
