/* SPDX-License-Identifier: BSD-3-Clause */
/* A listening Unix socket at a path of any length. Any thread. */
#ifndef PODRAIL_LISTENER_H
#define PODRAIL_LISTENER_H

#include <sys/types.h>

/* Binds under a name of its own, sets group (-1: leave) and mode, then renames to path: nobody
 * meets the socket with other rights, and a dead daemon's socket is replaced. Refuses to replace
 * what is no socket (-EEXIST). Returns a non-blocking fd or a negative errno. */
int listener_open(const char *path, gid_t group, mode_t mode);

#endif
