/* SPDX-License-Identifier: BSD-3-Clause */
/* What makes one daemon different from another: its directories' locks, the boot, the start.
 * boot_id and instance_id are in control.h. Control thread. */
#ifndef PODRAIL_INSTANCE_H
#define PODRAIL_INSTANCE_H

#include <sys/types.h>

struct instance_lock {
	int fd; /* -1: not held */
	char path[300];
};

/* Makes directory and its parents as needed (mode for the last one, 0755 above). Returns 0 or a
 * negative errno; -ENOTDIR when something else has the name. */
int instance_directory(const char *directory, mode_t mode);

/* Takes <directory>/podraild.lock. Returns 0, -EBUSY with *holder the pid in the file (0 unknown),
 * or a negative errno. */
int instance_lock(struct instance_lock *lock, const char *directory, pid_t *holder);

/* Removes the file, then lets go. Safe when not held. */
void instance_unlock(struct instance_lock *lock);

#endif
