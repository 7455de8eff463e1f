/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/inotify.h>
#include <time.h>
#include <unistd.h>

#include "dataplane/port/vhost_user/guests.h"
#include "dataplane/port/vhost_user/port.h"
#include "dataplane/tables.h"

#define EVENTS     64
#define TICK_MS    100    /* when nothing waits */
#define SETTLE_MS  500    /* a guest that takes longer to come back does not hold up the others */
#define WAITING_NS 100000 /* while something waits for workers */

/* What an epoll event is about: a port's listener or guest, told apart by the lowest bit of the
 * pointer; or one of ours. */
#define IS_GUEST ((uintptr_t)1)

static struct {
	pthread_t thread;
	bool running;
	int epoll, wake, inotify; /* -1: none */
	_Atomic bool stop;
	uint64_t start_ms, now_ms;
	/* Control sets opened once all stored ports are there; this thread sees to the rest. */
	_Atomic bool opened;
	bool settled;
	uint64_t settle_by_ms; /* 0: not opened yet */
	struct vhost_port *port[PR_PORTS_MAX];
	unsigned n_ports;
	/* One call at a time: control writes fn and arg, this thread clears fn; under lock. */
	pthread_mutex_t lock;
	pthread_cond_t done;
	int (*fn)(void *arg);
	void *arg;
	int result;
} guests = {.epoll = -1,
        .wake = -1,
        .inotify = -1,
        .lock = PTHREAD_MUTEX_INITIALIZER,
        .done = PTHREAD_COND_INITIALIZER};

static uint64_t clock_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000;
}

uint64_t guests_now(void)
{
	return guests.now_ms;
}

int guests_call(int (*fn)(void *arg), void *arg)
{
	int result;

	pthread_mutex_lock(&guests.lock);
	guests.fn = fn;
	guests.arg = arg;
	eventfd_write(guests.wake, 1);
	while (guests.fn)
		pthread_cond_wait(&guests.done, &guests.lock);
	result = guests.result;
	pthread_mutex_unlock(&guests.lock);
	return result;
}

static void run_call(void)
{
	eventfd_t value;

	eventfd_read(guests.wake, &value);
	pthread_mutex_lock(&guests.lock);
	if (guests.fn) {
		guests.result = guests.fn(guests.arg);
		guests.fn = NULL;
		pthread_cond_signal(&guests.done);
	}
	pthread_mutex_unlock(&guests.lock);
}

/* ---- what is watched ---- */

static void watch(int fd, void *what)
{
	struct epoll_event event = {.events = EPOLLIN, .data.ptr = what};

	if (epoll_ctl(guests.epoll, EPOLL_CTL_ADD, fd, &event))
		dp_log(LOG_ERR, "a guest's socket can not be watched: %s", strerror(errno));
}

void guests_watch(struct vhost_port *port, int fd, bool is_guest)
{
	watch(fd, (void *)((uintptr_t)port | (is_guest ? IS_GUEST : 0)));
}

void guests_pause(struct vhost_port *port, bool pause)
{
	/* No event at all, not even that the peer left: it would be told again and again. */
	if (pause)
		epoll_ctl(guests.epoll, EPOLL_CTL_DEL, port->connection.fd, NULL);
	else
		guests_watch(port, port->connection.fd, true);
}

void guests_rest(struct vhost_port *port, uint64_t ms)
{
	epoll_ctl(guests.epoll, EPOLL_CTL_DEL, port->listener, NULL);
	port->listen_at_ms = guests.now_ms + ms;
}

/* Ports in one directory share its watch. */
void guests_watch_directory(struct vhost_port *port)
{
	char path[32];

	snprintf(path, sizeof(path), "/proc/self/fd/%d", port->directory);
	port->watch = inotify_add_watch(guests.inotify, path, IN_CREATE | IN_MOVED_TO);
}

static void unwatch_directory(const struct vhost_port *port)
{
	for (unsigned n = 0; n < guests.n_ports; n++)
		if (guests.port[n] != port && guests.port[n]->watch == port->watch)
			return;
	if (port->watch >= 0)
		inotify_rm_watch(guests.inotify, port->watch);
}

int guests_attach(struct vhost_port *port)
{
	if (guests.n_ports == PR_PORTS_MAX)
		return -ENOSPC;
	guests.port[guests.n_ports++] = port;
	port->attached = true;
	return 0;
}

void guests_detach(struct vhost_port *port)
{
	unwatch_directory(port);
	if (port->listener >= 0)
		epoll_ctl(guests.epoll, EPOLL_CTL_DEL, port->listener, NULL);
	port->watch = -1;
	port->attached = false;
	for (unsigned n = 0; n < guests.n_ports; n++)
		if (guests.port[n] == port) {
			guests.port[n] = guests.port[--guests.n_ports];
			break;
		}
}

/* Names that appeared in pods' directories. */
static void directories_changed(void)
{
	char buffer[4096] __attribute__((aligned(__alignof__(struct inotify_event))));
	ssize_t size = read(guests.inotify, buffer, sizeof(buffer));

	for (ssize_t at = 0; at < size;) {
		const struct inotify_event *event = (const void *)(buffer + at);

		at += (ssize_t)(sizeof(*event) + event->len);
		for (unsigned n = 0; n < guests.n_ports; n++) {
			struct vhost_port *port = guests.port[n];

			if (event->mask & IN_Q_OVERFLOW ||
			        (port->watch == event->wd && event->len &&
			                !strcmp(event->name, port->socket_name)))
				port_changed(port);
		}
	}
}

/* ---- the loop ---- */

static void handle(const struct epoll_event *event)
{
	uintptr_t what = (uintptr_t)event->data.ptr;
	struct vhost_port *port = (struct vhost_port *)(what & ~IS_GUEST);

	if (event->data.ptr == &guests.inotify)
		directories_changed();
	else if (!(what & IS_GUEST))
		port_accept(port);
	else if (port->connection.fd >= 0)
		port_serve(port);
}

/* Everything that time brings. Returns whether something waits for workers. */
static bool tick(uint64_t *next_ms)
{
	bool soon = false;

	*next_ms = guests.now_ms + TICK_MS;
	for (unsigned n = 0; n < guests.n_ports; n++) {
		struct vhost_port *port = guests.port[n];

		port_tick(port);
		soon |= port->leaving || port->paused;
		if (port->listen_at_ms && guests.now_ms >= port->listen_at_ms) {
			port->listen_at_ms = 0;
			guests_watch(port, port->listener, false);
		}
		if (port->connection.deadline_ms)
			*next_ms = RTE_MIN(*next_ms, port->connection.deadline_ms);
		if (!port->try_at_ms || !port_is_free(port))
			continue;
		if (guests.now_ms >= port->try_at_ms)
			port_connect(port);
		if (port->try_at_ms)
			*next_ms = RTE_MIN(*next_ms, port->try_at_ms);
	}
	return soon;
}

bool guests_settled(void)
{
	return guests.settled;
}

/* Behind tick: what was due has been tried. */
static void settle(void)
{
	if (guests.settled || !atomic_load(&guests.opened))
		return;
	if (!guests.settle_by_ms)
		guests.settle_by_ms = guests.now_ms + SETTLE_MS;
	if (guests.now_ms < guests.settle_by_ms)
		for (unsigned n = 0; n < guests.n_ports; n++)
			if (!port_is_settled(guests.port[n]))
				return;
	guests.settled = true;
}

void guests_open(void)
{
	atomic_store(&guests.opened, true);
	eventfd_write(guests.wake, 1);
}

static void *guests_main(void *arg)
{
	struct epoll_event events[EVENTS];
	uint64_t next_ms = 0;
	bool called, settled, soon;

	(void)arg;
	pthread_setname_np(pthread_self(), "guests");
	while (!atomic_load(&guests.stop)) {
		struct timespec wait = {0, WAITING_NS};
		int n;

		guests.now_ms = clock_ms() - guests.start_ms;
		settled = guests.settled;
		soon = tick(&next_ms);
		settle();
		/* What has just settled goes on in the next turn. */
		if (!soon && settled) {
			uint64_t ms = next_ms > guests.now_ms ? next_ms - guests.now_ms : 0;

			wait.tv_nsec = (long)RTE_MIN(ms, (uint64_t)TICK_MS) * 1000000;
		}
		n = epoll_pwait2(guests.epoll, events, EVENTS, &wait, NULL);
		guests.now_ms = clock_ms() - guests.start_ms;
		called = false;
		for (int k = 0; k < n; k++) {
			if (events[k].data.ptr == &guests.wake)
				called = true;
			else
				handle(&events[k]);
		}
		/* Last: it may free a port that another event is about. */
		if (called)
			run_call();
	}
	return NULL;
}

int guests_start(void)
{
	int rc = guest_memory_init();

	if (rc)
		return rc;
	guests.epoll = epoll_create1(EPOLL_CLOEXEC);
	guests.wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	guests.inotify = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
	if (guests.epoll < 0 || guests.wake < 0 || guests.inotify < 0)
		return -errno;
	watch(guests.wake, &guests.wake);
	watch(guests.inotify, &guests.inotify);
	guests.start_ms = clock_ms() - 1; /* 0 is no time */
	guests.now_ms = 1;
	atomic_store(&guests.stop, false);
	atomic_store(&guests.opened, false);
	guests.settled = false;
	guests.settle_by_ms = 0;
	rc = -pthread_create(&guests.thread, NULL, guests_main, NULL);
	guests.running = !rc;
	return rc;
}

void guests_stop(void)
{
	int *fds[] = {&guests.epoll, &guests.wake, &guests.inotify};

	if (guests.running) {
		atomic_store(&guests.stop, true);
		eventfd_write(guests.wake, 1);
		pthread_join(guests.thread, NULL);
		guests.running = false;
	}
	for (unsigned n = 0; n < 3; n++) {
		if (*fds[n] >= 0)
			close(*fds[n]);
		*fds[n] = -1;
	}
}
