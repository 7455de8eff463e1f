/* SPDX-License-Identifier: BSD-3-Clause */
/* How a port and its guest find each other. Guests thread. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "dataplane/port/vhost_user/guests.h"
#include "dataplane/port/vhost_user/port.h"
#include "dataplane/tables.h"

#define TRY_FIRST_MS   1
#define TRY_MAX_MS     64    /* while its socket is there and nobody listens */
#define TRY_PATIENT    10000 /* so long; after that */
#define ACCEPT_REST_MS 200
#define TRY_SLOW_MS    1000 /* and where no socket is: a new one is seen at once */

static void refuse(struct vhost_port *port, const char *why)
{
	atomic_fetch_add(&port->refused, 1);
	if (!port->refusal_told)
		dp_log(LOG_WARNING, "port %s: connection refused: %s", port->name, why);
	port->refusal_told = true;
}

/* Opens the name without following a link, and connects to what was opened: nobody can put another
 * socket in between. Returns a descriptor or a negative errno. */
static int connect_to(struct vhost_port *port)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	struct stat st;
	int name, fd, rc;

	name = openat(port->directory, port->socket_name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
	if (name < 0)
		return -errno;
	if (fstat(name, &st) || !S_ISSOCK(st.st_mode)) {
		close(name);
		return -ENOTSOCK;
	}
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0) {
		rc = -errno;
		close(name);
		return rc;
	}
	snprintf(address.sun_path, sizeof(address.sun_path), "/proc/self/fd/%d", name);
	rc = connect(fd, (const struct sockaddr *)&address, sizeof(address)) ? -errno : fd;
	close(name);
	if (rc < 0)
		close(fd);
	return rc;
}

static uint64_t next_try(struct vhost_port *port)
{
	if (!port->refused_since_ms)
		port->refused_since_ms = guests_now() + 1;
	if (guests_now() > port->refused_since_ms + TRY_PATIENT)
		return TRY_SLOW_MS;
	return RTE_MIN((uint64_t)TRY_FIRST_MS << RTE_MIN(port->tries++, 6u), (uint64_t)TRY_MAX_MS);
}

void port_try_again(struct vhost_port *port)
{
	port->try_at_ms = guests_now() + next_try(port);
}

void port_connect(struct vhost_port *port)
{
	int fd = connect_to(port);
	uint64_t wait = TRY_SLOW_MS;

	port->busy = fd == -EAGAIN;
	if (fd >= 0) {
		port_connected(port, fd);
		return;
	}
	if (fd == -ECONNREFUSED || fd == -EAGAIN || fd == -EACCES)
		wait = next_try(port);
	else if (fd == -ENOTSOCK)
		refuse(port, "its name is no socket any more (a link or a file)");
	port->try_at_ms = guests_now() + wait;
}

void port_changed(struct vhost_port *port)
{
	port->tries = 0;
	port->refused_since_ms = 0;
	/* Once a turn of the loop, however often a pod touches its directory. */
	if (port_is_free(port))
		port->try_at_ms = RTE_MAX(guests_now(), UINT64_C(1));
}

void port_accept(struct vhost_port *port)
{
	int fd = accept4(port->listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

	if (fd < 0) {
		/* No descriptor or memory for it: it stays at the door, and so does the event. */
		if (errno != EAGAIN && errno != EINTR && errno != ECONNABORTED) {
			refuse(port, strerror(errno));
			guests_rest(port, ACCEPT_REST_MS);
		}
		return;
	}
	if (!port_is_free(port)) {
		close(fd);
		refuse(port, "another guest is connected already");
		return;
	}
	port_connected(port, fd);
}
