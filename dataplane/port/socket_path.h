/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef DATAPLANE_PORT_SOCKET_PATH_H
#define DATAPLANE_PORT_SOCKET_PATH_H

#include "dataplane/dataplane.h"

/* Opens the directory of a socket without following any link in the path, and says whether the
 * socket's place can be used: in server mode a stale socket there is removed, anything else is an
 * error; in client mode the name may be missing or must be a socket. Control thread.
 * Returns an O_PATH descriptor that the caller owns and fills name (108 bytes), or a negative errno
 * with the error filled in. */
int socket_path_open(const char *path, bool server, char name[108], struct dp_error *error);

#endif
