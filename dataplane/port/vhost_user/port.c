/* SPDX-License-Identifier: BSD-3-Clause */
/* A guest from its first message to its last. Guests thread. */
#include <errno.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <rte_rcu_qsbr.h>

#include "dataplane/port/vhost_user/guests.h"
#include "dataplane/port/vhost_user/port.h"
#include "dataplane/tables.h"
#include "dataplane/worker_idle.h"

#define MESSAGES_A_TURN 32 /* of one guest before the others have theirs */

/* ---- what a session asks for ---- */

static void publish(void *arg, unsigned q, struct guest_ring *ring)
{
	struct vhost_port *port = arg;
	struct device *device = port->device;
	/* Even queues are those that the guest receives on. */
	uint64_t bit = UINT64_C(1) << ((q & 1 ? GUEST_TX_SHIFT : GUEST_RX_SHIFT) + q / 2);

	atomic_store_explicit(&device->ring[q], ring, memory_order_release);
	if (ring)
		atomic_store(&device->accepts, ring->accepts);
	if (!ring) {
		atomic_fetch_and(&device->guest, ~bit);
		return;
	}
	atomic_fetch_or(&device->guest, bit);
	/* Whoever waits does not wait for its kicks yet. */
	if (q & 1)
		workers_wake();
}

static uint64_t grace_start(void *arg)
{
	(void)arg;
	return rte_rcu_qsbr_start(shared->qsbr);
}

static bool grace_over(void *arg, uint64_t token)
{
	(void)arg;
	return rte_rcu_qsbr_check(shared->qsbr, token, false) == 1;
}

static void log_text(void *arg, int priority, const char *text)
{
	const struct vhost_port *port = arg;

	dp_log(priority, "port %s: %s", port->name, text);
}

static bool may_send(void *arg)
{
	(void)arg;
	return guests_settled();
}

bool port_is_settled(const struct vhost_port *port)
{
	if (port->connection.fd < 0)
		return !port->busy && !(port->try_at_ms && guests_now() >= port->try_at_ms);
	return GUEST_QUEUES(atomic_load(&port->device->guest), GUEST_RX_SHIFT);
}

static void unwatch(void *arg, unsigned worker, int fd)
{
	(void)arg;
	worker_unwatch(worker_at(worker), fd);
}

static const struct session_ops session_ops = {
        publish, grace_start, grace_over, may_send, unwatch, log_text};

/* ---- connection ---- */

void port_connected(struct vhost_port *port, int fd)
{
	connection_open(&port->connection, fd);
	port->refusal_told = port->up_told = port->paused = false;
	port->try_at_ms = 0;
	atomic_store(&port->connected, true);
	atomic_fetch_add(&port->connects, 1);
	guests_watch(port, fd, true);
}

void port_disconnect(struct vhost_port *port, const char *why)
{
	if (port->connection.fd < 0)
		return;
	if (why) {
		atomic_fetch_add(&port->protocol_errors, 1);
		dp_log(LOG_WARNING, "port %s: guest disconnected: %s", port->name, why);
	} else if (port->up_told) {
		dp_log(LOG_INFO, "port %s: guest left", port->name);
	}
	connection_close(&port->connection);
	port->leaving = true;
	port->paused = false;
	port_tick(port);
}

bool port_is_free(const struct vhost_port *port)
{
	return port->connection.fd < 0 && !port->leaving;
}

/* The first queue that the guest sends on is what makes it up. */
static void tell_up(struct vhost_port *port)
{
	unsigned queues = GUEST_QUEUES(atomic_load(&port->device->guest), GUEST_TX_SHIFT);

	if (port->up_told || !queues)
		return;
	port->up_told = true;
	dp_log(LOG_INFO, "port %s: guest is up (%s ring%s)", port->name,
	        port->session.features & UINT64_C(1) << VIRTIO_F_RING_PACKED ? "packed" : "split",
	        port->session.features & UINT64_C(1) << VIRTIO_NET_F_MRG_RXBUF ? ", mergeable"
	                                                                       : "");
}

/* False: the connection is gone, or waits. */
static bool handle(struct vhost_port *port)
{
	struct connection *c = &port->connection;
	enum session_answer answer = session_message(&port->session, &c->message, c->fds, c->n_fds);

	if (answer == SESSION_WAIT) {
		if (!port->paused)
			guests_pause(port, true);
		port->paused = true;
		return false;
	}
	if (port->paused)
		guests_pause(port, false);
	port->paused = false;
	/* The session has taken or closed the descriptors. */
	c->n_fds = 0;
	if (answer == SESSION_REFUSE) {
		port_disconnect(port, port->session.why);
		return false;
	}
	if (port->session.why && !port->refusal_told) {
		dp_log(LOG_WARNING, "port %s: a message was refused: %s", port->name,
		        port->session.why);
		port->refusal_told = true;
	}
	if (port->session.why)
		atomic_fetch_add(&port->protocol_errors, 1);
	if (answer == SESSION_REPLY && !connection_reply(c)) {
		port_disconnect(port, "it does not read replies");
		return false;
	}
	tell_up(port);
	connection_next(c);
	port->tries = 0;
	port->refused_since_ms = 0;
	return true;
}

void port_serve(struct vhost_port *port)
{
	struct connection *c = &port->connection;
	const char *why;

	for (unsigned n = 0; n < MESSAGES_A_TURN && c->fd >= 0; n++) {
		int rc = c->whole ? 1 : connection_read(c, guests_now(), &why);

		if (!rc)
			return;
		if (rc < 0) {
			port_disconnect(port, why);
			return;
		}
		if (!handle(port))
			return;
	}
}

/* A guest's file shrank: its memory is not what it was, so it has to begin anew. */
static void memory_broke(struct vhost_port *port)
{
	atomic_fetch_add(&port->memory_errors, 1);
	dp_log(LOG_WARNING,
	        "port %s: guest disconnected: its memory file became shorter or has no page left",
	        port->name);
	connection_close(&port->connection);
	port->leaving = true;
	port->paused = false;
}

bool port_tick(struct vhost_port *port)
{
	struct connection *c = &port->connection;
	unsigned broken = 0;

	if (port->leaving) {
		bool ended = session_end(&port->session, &broken);

		atomic_fetch_add(&port->ring_errors, broken);
		if (!ended)
			return true;
		port->leaving = false;
		atomic_store(&port->connected, false);
		if (!port->server && port->attached)
			port_try_again(port);
		return false;
	}
	if (c->fd < 0)
		return false;
	broken = session_tick(&port->session);
	if (broken)
		atomic_fetch_add(&port->ring_errors, broken);
	if (atomic_load(&port->session.memory_broken)) {
		memory_broke(port);
		return true;
	}
	if (c->deadline_ms && guests_now() > c->deadline_ms) {
		port_disconnect(port, "a message was not complete within a second");
		return port->leaving;
	}
	if (port->paused)
		port_serve(port);
	return port->paused || port->leaving || c->deadline_ms;
}

void port_session_init(struct vhost_port *port, uint16_t queues, uint16_t mtu)
{
	session_init(&port->session, &session_ops, port, queues, mtu);
	connection_init(&port->connection);
}
