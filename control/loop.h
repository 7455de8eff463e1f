/* SPDX-License-Identifier: BSD-3-Clause */
/* The control thread's loop: signals, the control socket, what is due once a second. */
#ifndef PODRAIL_LOOP_H
#define PODRAIL_LOOP_H

#include <stdbool.h>

/* Blocks SIGTERM, SIGINT and SIGHUP (threads started later inherit it) and takes them by a file
 * descriptor. Returns 0 or a negative errno. */
int loop_start(void);

/* Takes the signals that have arrived. Returns true when it is time to stop. */
bool loop_must_stop(void);

/* Serves until it is time to stop. */
void loop_serve(const char *state_dir);

/* Safe when not started. */
void loop_stop(void);

#endif
