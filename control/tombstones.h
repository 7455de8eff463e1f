/* SPDX-License-Identifier: BSD-3-Clause */
/* Ports that CNI DEL wanted gone while the daemon was down (docs/protocol.md, State directory).
 * Control thread. */
#ifndef PODRAIL_TOMBSTONES_H
#define PODRAIL_TOMBSTONES_H

/* Before replay: deletes the stored ports that tombstones name, commits, then removes the files.
 * Malformed files move to <stateDir>/tombstones-malformed. Returns how many ports were deleted, or
 * a negative errno when the state could not be stored (then the files stay). */
int tombstones_apply(const char *state_dir);

/* Once a second: a plugin that found no socket just before it opened leaves a file behind a running
 * daemon. Hands each to del (port, container id; 0: done) and removes it then. Returns how many. */
int tombstones_serve(const char *state_dir, int (*del)(const char *port, const char *container_id));

#endif
