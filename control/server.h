/* SPDX-License-Identifier: BSD-3-Clause */
/* The control socket: bytes, lines, clients, who may. Never blocks on a client. client_slot is in
 * control.h. Control thread. */
#ifndef PODRAIL_SERVER_H
#define PODRAIL_SERVER_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "control/rpc.h"

#define SERVER_NO_GROUP ((gid_t)-1)

struct server_options {
	const char *path; /* of any length; its directory exists and is locked by us */
	mode_t mode;
	gid_t group;      /* may call everything; SERVER_NO_GROUP: the daemon's own */
	gid_t read_group; /* may call what is marked read; SERVER_NO_GROUP: none */
	/* As rpc_hold and rpc_flush. */
	bool (*hold)(struct client *client, enum rpc_access access, const char *line, size_t size);
	char *(*flush)(size_t *size);
	/* The client's connection is over; its slots are the callee's to free. */
	void (*gone)(struct client *client);
};

/* Binds and listens; a socket left behind by a dead daemon is replaced. The strings are copied.
 * Returns 0 or a negative errno. */
int server_start(const struct server_options *options);

/* Serves an already connected socket (non-blocking from now on, owned) as a client: what accept
 * does, and tests. Returns 0 or a negative errno (fd closed). */
int server_adopt(int fd);

/* Readable when server_turn has something to do. */
int server_fd(void);

/* Serves what is ready, a bounded share for each client, and closes clients that are over their
 * time; call it at least once a second. Returns true when lines wait: call again without waiting.
 */
bool server_turn(void);

unsigned server_clients(void);

/* Sends what can be sent at once, closes all clients, removes the socket. Safe when not started. */
void server_stop(void);

#endif
