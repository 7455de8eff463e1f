/* SPDX-License-Identifier: BSD-3-Clause */
/* A front end that says anything, on a real socket: bytes in any portions, descriptors of any kind.
 * After each message "workers" use what they see, and what was taken back from them as long as they
 * may; at the end everything must be closed.
 *
 * Input: chunks of [low 7 bits: n, top bit: descriptors][if so: how many and which, one byte each,
 * first the number][n bytes]. A chunk of no bytes is an event, by its second byte: see event().
 * Seeds: make_seeds. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "dataplane/port/vhost_user/connection.h"
#include "dataplane/port/vhost_user/session.h"

#define KINDS     8
#define MEMFD_MAX 0x200000

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct session session;
static struct connection connection;
static int peer = -1;
static int kinds[KINDS];
static const off_t sizes[4] = {0x1000, 0x20000, MEMFD_MAX, 0x1800};
/* What workers see, and what they may still be in: a ring that was taken back. */
static struct guest_ring *seen[RINGS_MAX], *held[RINGS_MAX];
static uint64_t token, passed;
static struct batch batch;
static uint64_t now_ms;

static void need(bool condition, const char *what)
{
	if (condition)
		return;
	fprintf(stderr, "messages_fuzz: %s\n", what);
	abort();
}

/* ---- workers ---- */

static void publish(void *arg, unsigned queue, struct guest_ring *ring)
{
	(void)arg;
	need(queue < RINGS_MAX && !ring != !seen[queue], "a ring is published twice or never");
	need(!ring || !held[queue], "a ring is published while a worker is in it");
	held[queue] = ring ? NULL : seen[queue];
	seen[queue] = ring;
}

static uint64_t grace_start(void *arg)
{
	(void)arg;
	return ++token;
}

static bool grace_over(void *arg, uint64_t of)
{
	(void)arg;
	return of <= passed;
}

static void log_text(void *arg, int priority, const char *text)
{
	(void)arg;
	(void)priority;
	need(text[0], "a log line without text");
}

static bool may_send(void *arg)
{
	(void)arg;
	return token % 4 != 3;
}

static void unwatch(void *arg, unsigned worker, int fd)
{
	(void)arg;
	(void)worker;
	(void)fd;
}

static const struct session_ops ops = {
        publish, grace_start, grace_over, may_send, unwatch, log_text};

static void grace_pass(void)
{
	passed = token;
	memset(held, 0, sizeof(held));
}

static void receive(struct guest_ring *ring)
{
	memset(&batch, 0, offsetof(struct batch, span));
	ring->is_packed ? packed_rx(ring, &batch, 32) : split_rx(ring, &batch, 32);
	ring->is_packed ? packed_return(ring) : split_return(ring);
}

static void transmit(struct guest_ring *ring)
{
	static const uint8_t bytes[PR_HEAD] = {2};

	memset(&batch, 0, offsetof(struct batch, span));
	for (unsigned n = 0; n < 4; n++) {
		uint32_t i = batch_add_empty(&batch);

		memcpy(batch.head[i], bytes, sizeof(bytes));
		batch.length[i] = batch.head_length[i] = sizeof(bytes);
	}
	ring->is_packed ? packed_tx(ring, &batch, 15) : split_tx(ring, &batch, 15);
	if (ring->is_packed ? packed_wants_signal(ring) : split_wants_signal(ring))
		need(atomic_load(&ring->call_fd) < 0 ||
		                fcntl(atomic_load(&ring->call_fd), F_GETFD) >= 0,
		        "a worker would signal a closed descriptor");
}

/* As workers would: even queues are sent to. */
static void work(void)
{
	for (unsigned q = 0; q < RINGS_MAX; q++) {
		struct guest_ring *ring = seen[q] ? seen[q] : held[q];

		if (!ring || atomic_load(&ring->error) != RING_OK)
			continue;
		need(ring->memory && ring->memory == session.memory, "a ring without its memory");
		q & 1 ? receive(ring) : transmit(ring);
	}
}

/* ---- the guest's end ---- */

static void make_kinds(void)
{
	int pipes[2];

	for (unsigned n = 0; n < 4; n++) {
		kinds[n] = memfd_create("fuzz", MFD_CLOEXEC);
		need(kinds[n] >= 0 && !ftruncate(kinds[n], sizes[n]), "no memory file");
	}
	kinds[4] = eventfd(0, EFD_CLOEXEC);
	need(pipe2(pipes, O_CLOEXEC) == 0, "no pipe");
	kinds[5] = pipes[0];
	kinds[6] = open("/dev/zero", O_RDWR | O_CLOEXEC);
	kinds[7] = open("/dev/shm", O_PATH | O_CLOEXEC);
}

/* Every input finds the files as the first one did. */
static void reset_kinds(void)
{
	for (unsigned n = 0; n < 4; n++)
		need(!ftruncate(kinds[n], 0) && !ftruncate(kinds[n], sizes[n]), "no memory file");
}

static bool send_chunk(const uint8_t *bytes, size_t size, const uint8_t *which, unsigned n_fds)
{
	union {
		char bytes[CMSG_SPACE(sizeof(int) * 16)];
		struct cmsghdr align;
	} control = {0};
	struct iovec io = {(void *)(uintptr_t)bytes, size};
	struct msghdr header = {.msg_iov = &io, .msg_iovlen = 1};

	if (n_fds) {
		struct cmsghdr *c;

		header.msg_control = control.bytes;
		header.msg_controllen = CMSG_SPACE(sizeof(int) * n_fds);
		c = CMSG_FIRSTHDR(&header);
		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = SCM_RIGHTS;
		c->cmsg_len = CMSG_LEN(sizeof(int) * n_fds);
		for (unsigned n = 0; n < n_fds; n++)
			memcpy(CMSG_DATA(c) + n * sizeof(int), &kinds[which[n] % KINDS],
			        sizeof(int));
	}
	return sendmsg(peer, &header, MSG_DONTWAIT | MSG_NOSIGNAL) == (ssize_t)size;
}

/* Everything that happens beside messages. */
static void event(uint8_t what, const uint8_t *data, size_t size)
{
	off_t at;
	size_t n;

	switch (what % 8) {
	case 0:
		grace_pass();
		break;
	case 1:
		session_tick(&session);
		break;
	case 2: /* a file shrinks */
		need(!ftruncate(kinds[what / 8 % 4], 0x1000 * (what / 32)),
		        "a file can not shrink");
		break;
	case 3: /* the guest writes into its memory, where rings are */
		at = what / 8 % 4 * 0x1000;
		n = size < 0x1000 ? size : 0x1000;
		need(pwrite(kinds[1], data, n, at) == (ssize_t)n, "memory can not be written");
		break;
	default:
		work();
	}
}

/* ---- our end, as port.c does it ---- */

/* False: the guest must go. */
static bool handle(void)
{
	for (unsigned turns = 0;; turns++) {
		enum session_answer answer = session_message(
		        &session, &connection.message, connection.fds, connection.n_fds);

		work();
		if (answer == SESSION_WAIT) {
			need(turns < 3, "a message waits for nothing");
			session_tick(&session);
			if (turns)
				grace_pass();
			continue;
		}
		connection.n_fds = 0;
		if (answer == SESSION_REFUSE) {
			need(session.why && session.why[0], "refused without a reason");
			return false;
		}
		if (answer == SESSION_REPLY && !connection_reply(&connection))
			return false;
		connection_next(&connection);
		return true;
	}
}

static bool serve(void)
{
	const char *why;
	char replies[4096];
	int rc;

	while ((rc = connection_read(&connection, now_ms++, &why)) == 1) {
		if (!handle())
			return false;
		while (recv(peer, replies, sizeof(replies), MSG_DONTWAIT) > 0)
			;
	}
	return rc == 0;
}

/* False: the input, or the guest, is at its end. */
static bool chunk(const uint8_t **data, size_t *size)
{
	size_t n, n_fds = 0;
	const uint8_t *which = NULL;

	if (!*size)
		return false;
	n = **data & 0x7f;
	if (**data & 0x80) {
		if (*size < 2)
			return false;
		n_fds = (*data)[1] % 12;
		which = *data + 2;
		if (*size < 2 + n_fds)
			return false;
		*data += 1 + n_fds;
		*size -= 1 + n_fds;
	}
	++*data;
	--*size;
	if (!n) {
		if (*size)
			event(**data, *data, *size);
		*data += *size > 0;
		*size -= *size > 0;
		return true;
	}
	n = n < *size ? n : *size;
	if (n && (!send_chunk(*data, n, which, (unsigned)n_fds) || !serve()))
		return false;
	*data += n;
	*size -= n;
	return true;
}

static int next_fd(void)
{
	int fd = dup(kinds[4]);

	close(fd);
	return fd;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static bool started;
	unsigned broken = 0;
	int before, pair[2];

	if (!started) {
		make_kinds();
		need(guest_memory_init() == 0, "no signal handler");
		started = true;
	}
	reset_kinds();
	before = next_fd();
	need(!socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), "no socket");
	peer = pair[0];
	session_init(&session, &ops, NULL, 2, 1500);
	connection_init(&connection);
	connection_open(&connection, pair[1]);
	while (chunk(&data, &size))
		;
	connection_close(&connection);
	close(peer);
	if (!session_end(&session, &broken)) {
		work();
		grace_pass();
		need(session_end(&session, &broken), "a session does not end");
	}
	grace_pass();
	for (unsigned q = 0; q < RINGS_MAX; q++)
		need(!seen[q], "a ring is left published");
	need(!session.memory, "memory is left mapped");
	need(next_fd() == before, "a descriptor is left open");
	return 0;
}
