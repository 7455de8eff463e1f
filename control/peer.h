/* SPDX-License-Identifier: BSD-3-Clause */
/* Who is at the other end of a Unix socket, and what that user may do. Any thread. */
#ifndef PODRAIL_PEER_H
#define PODRAIL_PEER_H

#include <sys/types.h>

#include "control/rpc.h"

/* From SO_PEERCRED and SO_PEERGROUPS: root and the daemon's own user and members of group may call
 * everything, members of read_group what is marked read. A group of -1 has no members. */
enum rpc_access peer_access(int fd, gid_t group, gid_t read_group);

#endif
