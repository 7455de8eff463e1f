/* SPDX-License-Identifier: BSD-3-Clause */
/* Whole messages from a socket, and replies to it; never waits. Guests thread only. */
#ifndef DATAPLANE_PORT_VHOST_USER_CONNECTION_H
#define DATAPLANE_PORT_VHOST_USER_CONNECTION_H

#include <stdbool.h>
#include <stdint.h>

#include "dataplane/port/vhost_user/message.h"

struct connection {
	int fd; /* -1: none */
	struct vu_message message;
	unsigned got; /* bytes of it */
	bool whole;   /* it is complete: to be handled before the next is read */
	int fds[VU_FDS_MAX];
	unsigned n_fds;
	uint64_t deadline_ms; /* of a message that has begun; 0: none */
};

#define MESSAGE_MS 1000 /* from its first byte to its last */

void connection_init(struct connection *connection);
/* Takes fd over; makes it non-blocking. */
void connection_open(struct connection *connection, int fd);
/* Closes socket and descriptors. */
void connection_close(struct connection *connection);
/* 1: a whole message is there; 0: not yet; -1: the peer left (*why NULL) or must go. */
int connection_read(struct connection *connection, uint64_t now_ms, const char **why);
/* The message was handled, its descriptors are gone. */
void connection_next(struct connection *connection);
/* Sends the message's reply. False: the peer does not read. */
bool connection_reply(struct connection *connection);

#endif
