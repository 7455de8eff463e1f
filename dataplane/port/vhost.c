/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <linux/virtio_net.h>
#include <rte_vhost.h>

#include "dataplane/port/socket_path.h"
#include "dataplane/port/vhost.h"
#include "dataplane/port/vhost_io.h"
#include "dataplane/tables.h"

#define VIDS_MAX 1024 /* RTE_MAX_VHOST_DEVICE */

/* Features that librte_vhost offers and podrail does not serve: checksums and segmentation need
 * metadata that stages do not carry yet; announcements and dirty logging have nobody behind. */
#define UNSERVED                                                                                   \
	((1ULL << VIRTIO_NET_F_CSUM) | (1ULL << VIRTIO_NET_F_GUEST_CSUM) |                         \
	        (1ULL << VIRTIO_NET_F_GUEST_TSO4) | (1ULL << VIRTIO_NET_F_GUEST_TSO6) |            \
	        (1ULL << VIRTIO_NET_F_GUEST_ECN) | (1ULL << VIRTIO_NET_F_GUEST_UFO) |              \
	        (1ULL << VIRTIO_NET_F_HOST_TSO4) | (1ULL << VIRTIO_NET_F_HOST_TSO6) |              \
	        (1ULL << VIRTIO_NET_F_HOST_ECN) | (1ULL << VIRTIO_NET_F_HOST_UFO) |                \
	        (1ULL << VIRTIO_NET_F_GUEST_ANNOUNCE) | (1ULL << VHOST_F_LOG_ALL))

struct vhost_port {
	struct device *device;
	char name[PR_NAME_MAX + 1];
	char path[64];   /* /proc/self/fd/N/socket: as long as sun_path needs */
	char *path_name; /* last component of path */
	char *real_path; /* as configured, for messages */
	int directory;   /* O_PATH */
	bool server;
	/* The guests thread's: */
	bool running;
	uint8_t rx_queues, tx_queues; /* enabled, a bit each */
	int vid;
	/* The guests thread writes, control reads. */
	_Atomic bool connected;
	_Atomic uint64_t refused, connects;
	/* The guests thread sets, control takes: the library connects no more after a refusal. */
	_Atomic bool lost;
	bool refusal_told; /* the guests thread's: since the last guest */
};

/* Ports by their place in the device table: control stores, the guests thread reads. */
static struct vhost_port *_Atomic ports[PR_PORTS_MAX];
/* The guests thread's: which port a connection belongs to. */
static struct vhost_port *by_vid[VIDS_MAX];

static void publish(struct vhost_port *port)
{
	uint64_t guest = 0;

	if (port->running)
		guest = GUEST_CONNECTED | (uint64_t)port->rx_queues << GUEST_RX_SHIFT |
		        (uint64_t)port->tx_queues << GUEST_TX_SHIFT |
		        (uint64_t)(unsigned)port->vid << GUEST_VID_SHIFT;
	atomic_store_explicit(&port->device->guest, guest, memory_order_release);
}

static struct vhost_port *port_of(int vid)
{
	return vid >= 0 && vid < VIDS_MAX ? by_vid[vid] : NULL;
}

/* In client mode the name may have become something else than the pod's socket since the port was
 * made: a link would lead the daemon to somebody else's. */
static bool socket_is_sound(const struct vhost_port *port)
{
	struct stat st;

	return fstatat(port->directory, port->path_name, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
	       S_ISSOCK(st.st_mode);
}

static int refuse(struct vhost_port *port)
{
	atomic_fetch_add(&port->refused, 1);
	if (!port->refusal_told)
		dp_log(LOG_WARNING, "port %s: connection refused: %s", port->name,
		        atomic_load(&port->connected)
		                ? "another guest is connected already"
		                : "its name is no socket any more (a link or a file)");
	port->refusal_told = true;
	if (!port->server)
		atomic_store(&port->lost, true);
	return -1;
}

static int new_connection(int vid)
{
	char path[sizeof(((struct vhost_port *)0)->path)];

	if (vid < 0 || vid >= VIDS_MAX || rte_vhost_get_ifname(vid, path, sizeof(path)))
		return -1;
	for (unsigned n = 0; n < PR_PORTS_MAX; n++) {
		struct vhost_port *port = atomic_load(&ports[n]);

		if (!port || strcmp(port->path, path))
			continue;
		if (atomic_load(&port->connected) || !socket_is_sound(port))
			return refuse(port);
		port->vid = vid;
		port->rx_queues = port->tx_queues = 0;
		by_vid[vid] = port;
		atomic_store(&port->connected, true);
		atomic_fetch_add(&port->connects, 1);
		return 0;
	}
	return -1;
}

static void destroy_connection(int vid)
{
	struct vhost_port *port = port_of(vid);

	if (!port)
		return;
	by_vid[vid] = NULL;
	port->refusal_told = false;
	atomic_store(&port->connected, false);
	dp_log(LOG_INFO, "port %s: guest left", port->name);
}

static int new_device(int vid)
{
	struct vhost_port *port = port_of(vid);
	unsigned queues;

	if (!port)
		return -1;
	queues = rte_vhost_get_vring_num(vid);
	for (unsigned q = 0; q < queues; q++)
		rte_vhost_enable_guest_notification(vid, (uint16_t)q, 0);
	port->running = true;
	publish(port);
	dp_log(LOG_INFO, "port %s: guest is up with %u queues", port->name, queues / 2);
	return 0;
}

static void destroy_device(int vid)
{
	struct vhost_port *port = port_of(vid);

	if (!port)
		return;
	port->running = false;
	publish(port);
	/* The library unmaps the guest's memory when this returns. */
	tables_grace();
}

/* Runs under the queue's lock: calls nothing of the library. */
static int vring_state_changed(int vid, uint16_t queue, int enable)
{
	struct vhost_port *port = port_of(vid);
	uint8_t *queues, bit;

	if (!port || queue / 2 >= PR_QUEUES_MAX)
		return 0;
	queues = queue & 1 ? &port->tx_queues : &port->rx_queues;
	bit = (uint8_t)(1u << queue / 2);
	*queues = enable ? *queues | bit : *queues & (uint8_t)~bit;
	publish(port);
	return 0;
}

static const struct rte_vhost_device_ops callbacks = {
        .new_connection = new_connection,
        .destroy_connection = destroy_connection,
        .new_device = new_device,
        .destroy_device = destroy_device,
        .vring_state_changed = vring_state_changed,
};

static int start_driver(struct vhost_port *port)
{
	/* One buffer a packet: a guest whose descriptors say that one is gigabytes long would have
	 * the library fill a chain of all buffers with it. */
	uint64_t flags = RTE_VHOST_USER_NET_COMPLIANT_OL_FLAGS | RTE_VHOST_USER_LINEARBUF_SUPPORT;

	if (!port->server)
		flags |= RTE_VHOST_USER_CLIENT;
	if (rte_vhost_driver_register(port->path, flags))
		return -EADDRINUSE;
	if (rte_vhost_driver_disable_features(port->path, UNSERVED) ||
	        rte_vhost_driver_callback_register(port->path, &callbacks) ||
	        rte_vhost_driver_start(port->path)) {
		rte_vhost_driver_unregister(port->path);
		return -EACCES;
	}
	return 0;
}

/* A server's socket belongs to the daemon and the pod's group. The pod may have put something else
 * in its place: what is changed is what was looked at, and no link is followed. */
static int set_owner(const struct vhost_port *port, int32_t gid)
{
	int fd = openat(port->directory, port->path_name, O_PATH | O_NOFOLLOW | O_CLOEXEC), rc = 0;
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

static void free_port(struct vhost_port *port)
{
	if (!port)
		return;
	if (port->directory >= 0)
		close(port->directory);
	free(port->real_path);
	free(port);
}

static struct vhost_port *make_port(
        struct device *device, const struct dp_port_spec *spec, struct dp_error *error)
{
	struct vhost_port *port = calloc(1, sizeof(*port));
	char name[108];

	if (!port)
		return NULL;
	port->device = device;
	port->server = spec->server;
	snprintf(port->name, sizeof(port->name), "%s", spec->name);
	port->directory = socket_path_open(spec->socket, spec->server, name, error);
	if (port->directory < 0) {
		free(port);
		return NULL;
	}
	port->real_path = strdup(spec->socket);
	if (snprintf(port->path, sizeof(port->path), "/proc/self/fd/%d/%s", port->directory,
	            name) >= (int)sizeof(port->path)) {
		error->code = PR_ERR_UNUSABLE;
		snprintf(error->field, sizeof(error->field), "socket");
		snprintf(error->message, sizeof(error->message),
		        "the socket's own name is longer than 40 characters: choose a shorter one");
		free_port(port);
		return NULL;
	}
	port->path_name = strrchr(port->path, '/') + 1;
	return port;
}

int vhost_open(struct device *device, const struct dp_port_spec *spec, struct dp_error *error)
{
	struct vhost_port *port = make_port(device, spec, error);
	int rc;

	if (!port)
		return error->code ? -EINVAL : -ENOMEM;
	device->ops = &vhost_ops;
	device->driver = port;
	device->n_queues = spec->queues;
	device->multi_segment = true;
	atomic_store(&device->guest, 0);
	atomic_store(&ports[device->index], port);
	rc = start_driver(port);
	if (!rc && spec->server) {
		rc = set_owner(port, spec->socket_gid);
		if (rc)
			rte_vhost_driver_unregister(port->path);
	}
	if (rc) {
		atomic_store(&ports[device->index], NULL);
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
	rte_vhost_driver_unregister(port->path);
	atomic_store(&ports[device->index], NULL);
	atomic_store(&device->guest, 0);
	device->driver = NULL;
	free_port(port);
}

void vhost_tick(void)
{
	for (unsigned n = 0; n < PR_PORTS_MAX; n++) {
		struct vhost_port *port = atomic_load(&ports[n]);

		if (!port || !atomic_exchange(&port->lost, false))
			continue;
		rte_vhost_driver_unregister(port->path);
		if (start_driver(port))
			atomic_store(&port->lost, true);
	}
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
	state->queues = (uint8_t)device->n_queues;
}
