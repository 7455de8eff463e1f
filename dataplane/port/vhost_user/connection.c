/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include "dataplane/port/vhost_user/connection.h"

void connection_init(struct connection *connection)
{
	memset(connection, 0, sizeof(*connection));
	connection->fd = -1;
}

void connection_open(struct connection *connection, int fd)
{
	connection_init(connection);
	connection->fd = fd;
}

static void close_fds(struct connection *connection)
{
	for (unsigned n = 0; n < connection->n_fds; n++)
		if (connection->fds[n] >= 0)
			close(connection->fds[n]);
	connection->n_fds = 0;
}

void connection_close(struct connection *connection)
{
	if (connection->fd < 0)
		return;
	close_fds(connection);
	close(connection->fd);
	connection_init(connection);
}

void connection_next(struct connection *connection)
{
	connection->n_fds = 0;
	connection->got = 0;
	connection->whole = false;
	connection->deadline_ms = 0;
}

/* Takes descriptors out of a control message; false: more than a message may have. All that came
 * are in the list, or closed. */
static bool take_fds(struct connection *connection, struct msghdr *header)
{
	bool fits = !(header->msg_flags & MSG_CTRUNC);

	for (struct cmsghdr *c = CMSG_FIRSTHDR(header); c; c = CMSG_NXTHDR(header, c)) {
		unsigned n = (unsigned)((c->cmsg_len - CMSG_LEN(0)) / sizeof(int));

		if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
			continue;
		for (unsigned k = 0; k < n; k++) {
			int fd;

			memcpy(&fd, CMSG_DATA(c) + k * sizeof(fd), sizeof(fd));
			if (connection->n_fds < VU_FDS_MAX) {
				connection->fds[connection->n_fds++] = fd;
			} else {
				close(fd);
				fits = false;
			}
		}
	}
	return fits;
}

/* Reads until want bytes are there. 1: they are; 0: not yet; -1 as connection_read. */
static int read_to(struct connection *connection, unsigned want, const char **why)
{
	while (connection->got < want) {
		union {
			char bytes[CMSG_SPACE(sizeof(int) * VU_FDS_MAX)];
			struct cmsghdr align;
		} control;
		struct iovec io = {
		        (char *)&connection->message + connection->got, want - connection->got};
		struct msghdr header = {
		        .msg_iov = &io,
		        .msg_iovlen = 1,
		        .msg_control = control.bytes,
		        .msg_controllen = sizeof(control.bytes),
		};
		ssize_t n = recvmsg(connection->fd, &header, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return errno == EAGAIN ? 0 : -1;
		if (!take_fds(connection, &header)) {
			*why = "a message came with more than 8 descriptors (memory in more than 8 "
			       "regions: on 2 MiB pages start the application with "
			       "--single-file-segments)";
			return -1;
		}
		if (!n) {
			if (connection->got)
				*why = "it left in the middle of a message";
			return -1;
		}
		connection->got += (unsigned)n;
	}
	return 1;
}

int connection_read(struct connection *connection, uint64_t now_ms, const char **why)
{
	int rc;

	*why = NULL;
	rc = read_to(connection, VU_HEADER, why);
	if (rc == 1 && connection->message.size > VU_PAYLOAD_MAX) {
		*why = "a message is longer than any that is served";
		return -1;
	}
	if (rc == 1)
		rc = read_to(connection, VU_HEADER + connection->message.size, why);
	if (rc == 1) {
		connection->whole = true;
		connection->deadline_ms = 0;
		/* What a short payload leaves is not what an earlier one said. */
		memset(connection->message.payload.bytes + connection->message.size, 0,
		        VU_PAYLOAD_MAX - connection->message.size);
	} else if (!rc && connection->got && !connection->deadline_ms) {
		connection->deadline_ms = now_ms + MESSAGE_MS;
	}
	return rc;
}

bool connection_reply(struct connection *connection)
{
	size_t size = VU_HEADER + connection->message.size;

	return send(connection->fd, &connection->message, size, MSG_DONTWAIT | MSG_NOSIGNAL) ==
	       (ssize_t)size;
}
