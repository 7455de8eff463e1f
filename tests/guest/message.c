/* SPDX-License-Identifier: BSD-3-Clause */
#include "message.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

static int send_all(int socket, const uint8_t *at, size_t size)
{
	while (size) {
		ssize_t n = send(socket, at, size, MSG_NOSIGNAL);

		if (n < 0)
			return -errno;
		at += n;
		size -= (size_t)n;
	}
	return 0;
}

int message_send_raw(int socket, const void *data, size_t size, const int *fds, unsigned n_fds)
{
	char control[CMSG_SPACE(FDS_MAX * sizeof(int))] __attribute__((aligned(8))) = {0};
	struct iovec part = {(void *)(uintptr_t)data, size};
	struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1};
	ssize_t sent;

	if (n_fds) {
		struct cmsghdr *c = (struct cmsghdr *)control;

		message.msg_control = control;
		message.msg_controllen = CMSG_SPACE(n_fds * sizeof(int));
		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = SCM_RIGHTS;
		c->cmsg_len = CMSG_LEN(n_fds * sizeof(int));
		memcpy(CMSG_DATA(c), fds, n_fds * sizeof(int));
	}
	sent = sendmsg(socket, &message, MSG_NOSIGNAL);
	if (sent < 0)
		return -errno;
	return send_all(socket, (const uint8_t *)data + sent, size - (size_t)sent);
}

int message_send(int socket, uint32_t request, uint32_t flags, const void *payload, uint32_t size,
        const int *fds, unsigned n_fds)
{
	struct message_header header = {request, MESSAGE_VERSION | flags, size};
	uint8_t data[sizeof(header) + 4096];

	if (size > 4096)
		return -EINVAL;
	memcpy(data, &header, sizeof(header));
	if (size)
		memcpy(data + sizeof(header), payload, size);
	return message_send_raw(socket, data, sizeof(header) + size, fds, n_fds);
}

static int read_all(int socket, void *to, size_t size, int timeout_ms)
{
	uint8_t *at = to;

	while (size) {
		struct pollfd p = {socket, POLLIN, 0};
		int n = poll(&p, 1, timeout_ms);
		ssize_t got;

		if (n == 0)
			return -ETIMEDOUT;
		if (n < 0)
			return -errno;
		got = recv(socket, at, size, 0);
		if (got <= 0)
			return -ECONNRESET;
		at += got;
		size -= (size_t)got;
	}
	return 0;
}

int message_receive(int socket, uint32_t request, void *value, size_t size, int timeout_ms)
{
	struct message_header header;
	int rc = read_all(socket, &header, sizeof(header), timeout_ms);

	if (rc)
		return rc;
	if (header.request != request || header.size != size)
		return -EPROTO;
	return read_all(socket, value, size, timeout_ms);
}
