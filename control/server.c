/* SPDX-License-Identifier: BSD-3-Clause */
#include "control/server.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/queue.h>
#include <sys/socket.h>
#include <syslog.h>
#include <time.h>
#include <unistd.h>

#include "control/buffer.h"
#include "control/control.h"
#include "control/listener.h"
#include "control/peer.h"

#define READ_BYTES    65536 /* of one client in one turn */
#define LINES_A_TURN  256   /* of one client, so that a busy one does not hold up the others */
#define TURN_US       1000  /* and no further line is begun after that time */
#define ACCEPT_A_TURN 16
#define EVENTS        64
#define HALF_LINE_MS  30000 /* a line must be whole by then */
#define UNREAD_MS     60000 /* an answer must have moved by then */

struct client {
	TAILQ_ENTRY(client) link;
	int fd;
	enum rpc_access access;
	struct buffer in, out;
	size_t handled;      /* bytes of in whose answers are held back until the turn's commit */
	size_t scanned;      /* bytes behind them that hold no newline */
	int64_t half_since;  /* when the first byte of an unfinished line came, 0: none */
	int64_t stuck_since; /* when out last shrank, 0: it is empty */
	bool end_of_input;   /* the client will send no more */
	bool closing;        /* nothing more is read; closed when out is empty */
	bool lines;          /* a whole line may wait in in */
	uint32_t events;     /* what epoll watches */
	void *slots[CLIENT_SLOTS];
};

static struct {
	struct server_options options;
	char *path;
	int listener, epoll;
	bool paused; /* out of descriptors: the listener is not watched until the next second */
	int64_t swept;
	unsigned n_clients;
	TAILQ_HEAD(, client) clients;
} server = {.listener = -1, .epoll = -1};

void **client_slot(struct client *client, enum client_slot slot)
{
	return &client->slots[slot];
}

static int64_t now_us(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

static int64_t now_ms(void)
{
	return now_us() / 1000;
}

/* ---- clients ---- */

static void client_close(struct client *client)
{
	if (server.options.gone)
		server.options.gone(client);
	TAILQ_REMOVE(&server.clients, client, link);
	server.n_clients--;
	/* close alone leaves it in epoll while a forked process has the descriptor, too. */
	epoll_ctl(server.epoll, EPOLL_CTL_DEL, client->fd, NULL);
	close(client->fd);
	buffer_free(&client->in);
	buffer_free(&client->out);
	free(client);
}

static void client_watch(struct client *client)
{
	struct epoll_event event = {.data.ptr = client};

	if (!client->end_of_input && !client->closing && !client->lines)
		event.events |= EPOLLIN;
	if (buffer_used(&client->out))
		event.events |= EPOLLOUT;
	if (event.events == client->events)
		return;
	client->events = event.events;
	epoll_ctl(server.epoll, EPOLL_CTL_MOD, client->fd, &event);
}

/* Appends answers (NULL: none, or no memory). Returns -errno when the client is lost. */
static int client_answer(struct client *client, const char *text, size_t size)
{
	if (!text)
		return 0;
	if (buffer_reserve(&client->out, size))
		return -ENOMEM;
	memcpy(client->out.bytes + client->out.end, text, size);
	client->out.end += size;
	return 0;
}

static int client_send(struct client *client, int64_t now)
{
	struct buffer *out = &client->out;

	while (buffer_used(out)) {
		ssize_t n = send(client->fd, out->bytes + out->start, buffer_used(out),
		        MSG_NOSIGNAL | MSG_DONTWAIT);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno == EAGAIN) {
			if (!client->stuck_since)
				client->stuck_since = now;
			return 0;
		}
		if (n < 0)
			return -errno;
		buffer_consume(out, (size_t)n);
		client->stuck_since = 0;
	}
	return 0;
}

/* Answers id null and closes after that. */
static int client_refuse(struct client *client, int code, const char *message)
{
	char *text = rpc_error_line(code, message);
	int rc = text ? client_answer(client, text, strlen(text)) : -ENOMEM;

	if (!rc)
		rc = client_answer(client, "\n", 1);
	free(text);
	client->closing = true;
	client->lines = false;
	buffer_free(&client->in);
	client->scanned = 0;
	client->half_since = 0;
	return rc;
}

static int client_read(struct client *client)
{
	struct buffer *in = &client->in;
	ssize_t n;

	if (buffer_reserve(in, READ_BYTES))
		return -ENOMEM;
	n = recv(client->fd, in->bytes + in->end, READ_BYTES, MSG_DONTWAIT);
	if (n < 0)
		return errno == EAGAIN || errno == EINTR ? 0 : -errno;
	if (!n)
		client->end_of_input = true;
	in->end += (size_t)n;
	client->lines = true;
	return 0;
}

/* The first newline, or NULL; does not look twice at bytes that it has seen. */
static const char *find_line(struct client *client)
{
	struct buffer *in = &client->in;
	size_t seen = client->handled + client->scanned;
	const char *newline = NULL;

	if (buffer_used(in) > seen)
		newline = memchr(in->bytes + in->start + seen, '\n', buffer_used(in) - seen);
	if (!newline)
		client->scanned = buffer_used(in) - client->handled;
	return newline;
}

/* Commits what the lines that were handled have changed, and answers them. */
static int client_flush(struct client *client)
{
	size_t size;
	char *answers = server.options.flush(&size);
	int rc = client_answer(client, answers, size);

	free(answers);
	buffer_consume(&client->in, client->handled);
	client->handled = 0;
	return rc;
}

/* Hands on the lines that wait, as many as a turn may take. *too_large: the next one is. */
static void hold_lines(struct client *client, bool *too_large)
{
	int64_t end = now_us() + TURN_US;
	unsigned n = 0;
	bool room = true;

	do {
		const char *newline = find_line(client);
		const char *text = client->in.bytes + client->in.start + client->handled;
		size_t size = newline ? (size_t)(newline - text) : client->scanned;

		*too_large = size > PR_MESSAGE_MAX;
		if (*too_large)
			break;
		if (!newline) {
			client->lines = false;
			break;
		}
		room = server.options.hold(client, client->access, text, size);
		client->handled += size + 1;
		client->scanned = 0;
		client->half_since = 0;
	} while (room && ++n < LINES_A_TURN && now_us() < end);
}

/* Runs some of the lines that wait: one commit, and one answer that is sent at once. */
static int client_lines(struct client *client, int64_t now)
{
	bool too_large = false;
	int rc;

	if (!client->lines || client->closing)
		return 0;
	if (buffer_used(&client->out) > PR_REPLY_BACKLOG && find_line(client)) {
		log_message(LOG_WARNING, "a client does not read its answers: closed");
		return -EPIPE;
	}
	hold_lines(client, &too_large);
	rc = client_flush(client);
	if (rc)
		return rc;
	if (too_large)
		return client_refuse(
		        client, PR_ERR_REQUEST, "the request is larger than 1 MiB: split it");
	if (!client->lines && buffer_used(&client->in) && !client->half_since)
		client->half_since = now;
	return 0;
}

/* One turn of one client; closes it when it is over. Returns true while lines wait. */
static bool client_turn(struct client *client, uint32_t events, int64_t now)
{
	int rc = 0;

	if (events & (EPOLLIN | EPOLLHUP | EPOLLERR) && !client->lines && !client->closing &&
	        !client->end_of_input)
		rc = client_read(client);
	if (!rc)
		rc = client_lines(client, now);
	if (!rc)
		rc = client_send(client, now);
	/* The other end is gone altogether: nobody reads what is left. */
	if (!rc && events & (EPOLLHUP | EPOLLERR) && !client->lines)
		rc = client->end_of_input || client->closing ? -EPIPE : 0;
	if (!rc && (client->end_of_input || client->closing) && !client->lines &&
	        !buffer_used(&client->out))
		rc = -EPIPE;
	if (rc) {
		client_close(client);
		return false;
	}
	client_watch(client);
	return client->lines;
}

int server_adopt(int fd)
{
	struct epoll_event event = {.events = EPOLLIN};
	struct client *client = calloc(1, sizeof(*client));
	int flags = fcntl(fd, F_GETFL);
	int rc = -ENOMEM;

	if (!client)
		goto fail;
	event.data.ptr = client;
	client->fd = fd;
	client->events = event.events;
	client->access = peer_access(fd, server.options.group, server.options.read_group);
	if (flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) ||
	        epoll_ctl(server.epoll, EPOLL_CTL_ADD, fd, &event)) {
		rc = -errno;
		goto fail;
	}
	TAILQ_INSERT_TAIL(&server.clients, client, link);
	server.n_clients++;
	return 0;
fail:
	free(client);
	close(fd);
	return rc;
}

/* ---- the listener ---- */

static void listener_watch(bool on)
{
	struct epoll_event event = {.events = on ? EPOLLIN : 0, .data.ptr = NULL};

	server.paused = !on;
	epoll_ctl(server.epoll, EPOLL_CTL_MOD, server.listener, &event);
}

static void turn_away(int fd)
{
	char *text = rpc_error_line(PR_ERR_BUSY, "256 clients are connected already: try later");
	char answer[256];
	int n = text ? snprintf(answer, sizeof(answer), "%s\n", text) : 0;

	if (n > 0 && send(fd, answer, (size_t)n, MSG_NOSIGNAL | MSG_DONTWAIT) < 0)
		log_message(LOG_DEBUG, "a client was turned away without an answer");
	free(text);
	close(fd);
}

static void accept_clients(void)
{
	for (unsigned i = 0; i < ACCEPT_A_TURN; i++) {
		int fd = accept4(server.listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);

		if (fd < 0) {
			if (errno == EAGAIN || errno == EINTR || errno == ECONNABORTED)
				return;
			log_message(LOG_ERR, "no client can be accepted: %s", strerror(errno));
			listener_watch(false);
			return;
		}
		if (server.n_clients >= PR_CLIENTS_MAX)
			turn_away(fd);
		else
			server_adopt(fd);
	}
}

static void sweep(int64_t now)
{
	struct client *client, *next;

	if (now - server.swept < 1000)
		return;
	server.swept = now;
	if (server.paused && server.listener >= 0)
		listener_watch(true);
	for (client = TAILQ_FIRST(&server.clients); client; client = next) {
		next = TAILQ_NEXT(client, link);
		if (client->stuck_since && now - client->stuck_since > UNREAD_MS) {
			client_close(client);
		} else if (client->half_since && now - client->half_since > HALF_LINE_MS) {
			client_refuse(client, PR_ERR_REQUEST,
			        "the rest of the request did not come within 30 s");
			client_turn(client, 0, now);
		}
	}
}

int server_fd(void)
{
	return server.epoll;
}

unsigned server_clients(void)
{
	return server.n_clients;
}

bool server_turn(void)
{
	struct epoll_event events[EVENTS];
	struct client *client, *next;
	int64_t now = now_ms();
	bool more = false;
	int n;

	n = epoll_wait(server.epoll, events, EVENTS, 0);
	/* A client is closed only in its own turn, so no event of this list is stale. */
	for (int i = 0; i < n; i++) {
		if (events[i].data.ptr)
			client_turn(events[i].data.ptr, events[i].events, now);
		else
			accept_clients();
	}
	for (client = TAILQ_FIRST(&server.clients); client; client = next) {
		next = TAILQ_NEXT(client, link);
		if (client->lines)
			more |= client_turn(client, 0, now);
	}
	sweep(now);
	return more || n == EVENTS;
}

int server_start(const struct server_options *options)
{
	struct epoll_event event = {.events = EPOLLIN, .data.ptr = NULL};
	int rc = -ENOMEM;

	TAILQ_INIT(&server.clients);
	server.options = *options;
	server.n_clients = 0;
	server.swept = now_ms();
	server.epoll = epoll_create1(EPOLL_CLOEXEC);
	if (server.epoll < 0)
		return -errno;
	if (!options->path)
		return 0;
	server.path = strdup(options->path);
	if (server.path)
		rc = server.listener = listener_open(options->path, options->group, options->mode);
	if (rc >= 0 && epoll_ctl(server.epoll, EPOLL_CTL_ADD, server.listener, &event))
		rc = -errno;
	if (rc < 0)
		server_stop();
	return rc < 0 ? rc : 0;
}

void server_stop(void)
{
	struct client *client;

	if (server.epoll < 0)
		return;
	while ((client = TAILQ_FIRST(&server.clients))) {
		client_send(client, 0);
		client_close(client);
	}
	if (server.listener >= 0) {
		unlink(server.path);
		close(server.listener);
	}
	close(server.epoll);
	free(server.path);
	server.path = NULL;
	server.listener = server.epoll = -1;
}
