/* SPDX-License-Identifier: BSD-3-Clause */
/* Opening and closing ports. Control thread, but for the functions that it hands to the guests
 * thread. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "dataplane/port/socket_path.h"
#include "dataplane/port/vhost_user/guests.h"
#include "dataplane/port/vhost_user/port.h"
#include "dataplane/tables.h"

#define BACKLOG 4

/* A server's socket belongs to the daemon and the pod's group. The pod may have put something else
 * in its place: what is changed is what was looked at, and no link is followed. */
static int set_owner(const struct vhost_port *port, int32_t gid)
{
	int fd = openat(port->directory, port->socket_name, O_PATH | O_NOFOLLOW | O_CLOEXEC),
	    rc = 0;
	char path[32];
	struct stat st;

	if (fd < 0)
		return -errno;
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	if (fstat(fd, &st))
		rc = -errno;
	else if (!S_ISSOCK(st.st_mode))
		rc = -ENOTSOCK;
	else if (chmod(path, 0660) ||
	         (gid >= 0 && fchownat(fd, "", (uid_t)-1, (gid_t)gid, AT_EMPTY_PATH)))
		rc = -errno;
	close(fd);
	return rc;
}

static int listen_at(struct vhost_port *port, int32_t gid)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0), rc;

	if (fd < 0)
		return -errno;
	snprintf(address.sun_path, sizeof(address.sun_path), "/proc/self/fd/%d/%s", port->directory,
	        port->socket_name);
	if (bind(fd, (const struct sockaddr *)&address, sizeof(address))) {
		rc = -errno;
		close(fd);
		return rc;
	}
	port->listener = fd;
	rc = set_owner(port, gid);
	if (!rc && listen(fd, BACKLOG))
		rc = -errno;
	return rc;
}

static void free_port(struct vhost_port *port)
{
	if (port->listener >= 0) {
		close(port->listener);
		unlinkat(port->directory, port->socket_name, 0);
	}
	if (port->directory >= 0)
		close(port->directory);
	free(port);
}

static struct vhost_port *make_port(
        struct device *device, const struct dp_port_spec *spec, struct dp_error *error)
{
	struct vhost_port *port = aligned_alloc(RTE_CACHE_LINE_SIZE, sizeof(*port));
	char name[108];

	if (!port)
		return NULL;
	memset(port, 0, sizeof(*port));
	port->device = device;
	port->server = spec->server;
	port->listener = port->watch = -1;
	snprintf(port->name, sizeof(port->name), "%s", spec->name);
	port_session_init(port, spec->queues, spec->mtu);
	port->directory = socket_path_open(spec->socket, spec->server, name, error);
	if (port->directory < 0) {
		free(port);
		return NULL;
	}
	snprintf(port->socket_name, sizeof(port->socket_name), "%.47s", name);
	return port;
}

static int attach(void *arg)
{
	struct vhost_port *port = arg;
	int rc = guests_attach(port);

	if (rc)
		return rc;
	if (port->server) {
		guests_watch(port, port->listener, false);
		return 0;
	}
	guests_watch_directory(port);
	port_changed(port);
	return 0;
}

/* -EAGAIN: workers may still be in its rings. */
static int detach(void *arg)
{
	struct vhost_port *port = arg;

	if (port->attached) {
		guests_detach(port);
		port->try_at_ms = 0;
		port_disconnect(port, NULL);
	}
	if (!port_is_free(port))
		port_tick(port);
	return port_is_free(port) ? 0 : -EAGAIN;
}

int vhost_open(struct device *device, const struct dp_port_spec *spec, struct dp_error *error)
{
	struct vhost_port *port = make_port(device, spec, error);
	int rc = 0;

	if (!port)
		return error->code ? -EINVAL : -ENOMEM;
	device->ops = &vhost_ops;
	device->driver = port;
	device->n_queues = spec->queues;
	atomic_store(&device->guest, 0);
	if (spec->server)
		rc = listen_at(port, spec->socket_gid);
	if (!rc)
		rc = guests_call(attach, port);
	if (rc) {
		device->driver = NULL;
		free_port(port);
		error->code = PR_ERR_UNUSABLE;
		snprintf(error->field, sizeof(error->field), "socket");
		snprintf(error->message, sizeof(error->message),
		        "socket %.120s can not be used: %s", spec->socket, strerror(-rc));
	}
	return rc;
}

void vhost_close(struct device *device)
{
	struct vhost_port *port = device->driver;

	if (!port)
		return;
	while (guests_call(detach, port) == -EAGAIN)
		tables_grace();
	atomic_store(&device->guest, 0);
	device->driver = NULL;
	free_port(port);
}

void vhost_state(const struct device *device, struct dp_port_state *state)
{
	const struct vhost_port *port = device->driver;
	uint64_t guest = atomic_load(&device->guest);

	state->connected = atomic_load(&port->connected);
	state->active_queues = (uint8_t)__builtin_popcount(GUEST_QUEUES(guest, GUEST_TX_SHIFT));
	state->up = state->active_queues > 0;
	state->refused_connects = atomic_load(&port->refused);
	state->connects = atomic_load(&port->connects);
	state->protocol_errors = atomic_load(&port->protocol_errors);
	state->ring_errors = atomic_load(&port->ring_errors);
	state->memory_errors = atomic_load(&port->memory_errors);
	state->queues = (uint8_t)device->n_queues;
}
