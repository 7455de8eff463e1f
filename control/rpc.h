/* SPDX-License-Identifier: BSD-3-Clause */
/* JSON-RPC 2.0 over lines: parsing, permission, dispatch, one commit for the lines that wait.
 * request_fail and rpc_on_rollback are in control.h. Control thread. */
#ifndef PODRAIL_RPC_H
#define PODRAIL_RPC_H

#include <stdbool.h>
#include <stddef.h>

struct client;

enum rpc_access {
	RPC_DENIED, /* every request is answered with PR_ERR_DENIED */
	RPC_READ,   /* methods marked read only */
	RPC_ALL,
};

/* A batch whose answers grow beyond this runs no further: the rest is refused, unexecuted. */
#define RPC_ANSWERS_MAX (16u << 20)

/* Lines that one commit can be for, and bytes of their answers from which on no more are held. */
#define RPC_LINES_MAX 256
#define RPC_HELD_MAX  (1u << 20)

/* Handles one line (without newline). Its answer is held until rpc_flush, and until then text must
 * stay where it is. All lines between two flushes are of one client. Returns false when the next
 * call must be a flush. */
bool rpc_hold(struct client *client, enum rpc_access access, const char *text, size_t size);

/* Commits what the held lines changed. Returns their answers (free), each with its newline, or
 * NULL when nothing is to be answered; if the commit failed, all that they changed was taken back
 * and the answers say so. size: the length of all. */
char *rpc_flush(size_t *size);

/* Both for one line: handles it (without newline, no copy is kept). Returns the answer line without
 * newline (free), or NULL when nothing is to be answered. size_out: its length. */
char *rpc_handle(struct client *client, enum rpc_access access, const char *line, size_t size,
        size_t *size_out);

/* An error answer with id null, for what never became a request. Owned by the caller; NULL without
 * memory. */
char *rpc_error_line(int code, const char *message);

#endif
