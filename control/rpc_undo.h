/* SPDX-License-Identifier: BSD-3-Clause */
/* What takes a line's changes of the data plane back: rpc_on_rollback (control.h) adds to a list,
 * rpc.c runs or forgets it. Control thread. */
#ifndef PODRAIL_RPC_UNDO_H
#define PODRAIL_RPC_UNDO_H

#include <stdbool.h>

struct undo;

/* From here on rpc_on_rollback registers (a line is being handled), or not. */
void rpc_undo_enable(bool on);

/* The newest entry, for rpc_undo_until. */
struct undo *rpc_undo_mark(void);

/* Removes the entries that are newer than mark (NULL: all), newest first; runs them if told to. */
void rpc_undo_until(struct undo *mark, bool run);

#endif
