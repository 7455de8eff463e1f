/* SPDX-License-Identifier: BSD-3-Clause */
/* JSON-RPC 2.0 over one line: parsing, permission, dispatch, one transaction a line. request_fail
 * and rpc_on_rollback are in control.h. Control thread. */
#ifndef PODRAIL_RPC_H
#define PODRAIL_RPC_H

#include <stddef.h>

struct client;

enum rpc_access {
	RPC_DENIED, /* every request is answered with PR_ERR_DENIED */
	RPC_READ,   /* methods marked read only */
	RPC_ALL,
};

/* A batch whose answers grow beyond this runs no further: the rest is refused, unexecuted. */
#define RPC_ANSWERS_MAX (16u << 20)

/* Handles one line (without newline, no copy is kept). Returns the answer line without newline
 * (free), or NULL when nothing is to be answered. size_out: its length. */
char *rpc_handle(struct client *client, enum rpc_access access, const char *line, size_t size,
        size_t *size_out);

/* An error answer with id null, for what never became a request. Owned by the caller; NULL without
 * memory. */
char *rpc_error_line(int code, const char *message);

#endif
