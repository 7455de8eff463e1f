/* SPDX-License-Identifier: BSD-3-Clause */
#include "control/notify.h"

#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

int notify_send(const char *assignments)
{
	const char *path = getenv("NOTIFY_SOCKET");
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	socklen_t size;
	int fd, rc = 1;

	if (!path || !*path)
		return 0;
	if ((path[0] != '/' && path[0] != '@') || !path[1])
		return -EAFNOSUPPORT;
	if (strlen(path) >= sizeof(address.sun_path))
		return -ENAMETOOLONG;
	memcpy(address.sun_path, path, strlen(path));
	if (path[0] == '@') /* the abstract namespace: its names have no end but their length */
		address.sun_path[0] = '\0';
	size = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + strlen(path));
	fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return -errno;
	if (sendto(fd, assignments, strlen(assignments), MSG_NOSIGNAL,
	            (const struct sockaddr *)&address, size) < 0)
		rc = -errno;
	close(fd);
	return rc;
}
