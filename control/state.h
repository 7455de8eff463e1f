/* SPDX-License-Identifier: BSD-3-Clause */
/* The parts of state.c that only rpc and start-up use; the rest is in control.h. Control thread. */
#ifndef PODRAIL_STATE_H
#define PODRAIL_STATE_H

#include <stdbool.h>
#include <stddef.h>
#include <sqlite3.h>

#define STATE_SCHEMA 1
#define STATE_FILE   "podrail.db"

/* Within a transaction: brackets one request, so that its rows can be taken back alone. Nothing is
 * sent to the database before the first row. */
void state_request_begin(void);
/* Takes the rows of the request back if it failed. */
void state_request_end(bool failed);

/* state_recover.c: moves the unreadable database at path aside (path.corrupt-<time>) and copies the
 * objects that can still be read into `into`, which insert takes. Returns how many, or a negative
 * errno. */
int state_move_aside(const char *path, char *aside, size_t size);
int state_salvage(
        const char *aside, int (*insert)(const char *kind, const char *key, const char *body));

#endif
