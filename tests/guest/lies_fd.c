/* SPDX-License-Identifier: BSD-3-Clause */
/* Kick and call descriptors that are no eventfds, or would block whoever writes to them. */
#include <fcntl.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "clock.h"
#include "lies.h"

static void give(struct liar *liar, uint32_t request, int fd)
{
	uint64_t index = 1;

	liar_say(liar, request, &index, 8, &fd, 1);
}

/* A pipe that is full: a write to it blocks. */
static int full_pipe(void)
{
	static const char bytes[4096];
	int fds[2];

	if (pipe(fds))
		return -1;
	fcntl(fds[1], F_SETFL, O_NONBLOCK);
	while (write(fds[1], bytes, sizeof(bytes)) > 0)
		continue;
	fcntl(fds[1], F_SETFL, 0);
	/* The reading end stays open: no SIGPIPE, no end. */
	return fds[1];
}

static void call_pipe(struct liar *liar)
{
	give(liar, SET_VRING_CALL, full_pipe());
	liar_traffic(liar, 0.05);
}

static void kick_pipe(struct liar *liar)
{
	give(liar, SET_VRING_KICK, full_pipe());
}

/* Broken: a write raises SIGPIPE. */
static void call_broken_pipe(struct liar *liar)
{
	int fds[2];

	if (pipe(fds))
		return;
	give(liar, SET_VRING_CALL, fds[1]);
	close(fds[0]);
	liar_traffic(liar, 0.05);
}

/* Whoever writes to it waits for ever, unless he asked not to. */
static void call_full(struct liar *liar)
{
	int fd = eventfd(0, 0);

	eventfd_write(fd, UINT64_MAX - 1);
	give(liar, SET_VRING_CALL, fd);
	liar_traffic(liar, 0.1);
}

/* It is filled, and made blocking, only once it was accepted. */
static void call_filled_later(struct liar *liar)
{
	int fd = eventfd(0, EFD_NONBLOCK);

	give(liar, SET_VRING_CALL, fd);
	liar_traffic(liar, 0.02);
	fcntl(fd, F_SETFL, 0);
	for (unsigned n = 0; n < 50; n++) {
		eventfd_t value;

		fcntl(fd, F_SETFL, O_NONBLOCK);
		if (eventfd_read(fd, &value) == 0 || n == 0)
			eventfd_write(fd, UINT64_MAX - 1);
		fcntl(fd, F_SETFL, 0);
		liar_traffic(liar, 0.002);
	}
}

static void call_semaphore(struct liar *liar)
{
	give(liar, SET_VRING_CALL, eventfd(0, EFD_SEMAPHORE));
	liar_traffic(liar, 0.05);
}

static void call_file(struct liar *liar)
{
	give(liar, SET_VRING_CALL, memfd_create("call", 0));
	liar_traffic(liar, 0.05);
}

static void call_read_only(struct liar *liar)
{
	give(liar, SET_VRING_CALL, open("/dev/null", O_RDONLY));
	liar_traffic(liar, 0.05);
}

static void call_socket(struct liar *liar)
{
	int fds[2];

	if (socketpair(AF_UNIX, SOCK_STREAM, 0, fds))
		return;
	give(liar, SET_VRING_CALL, fds[0]);
	liar_traffic(liar, 0.05);
}

static void kick_null(struct liar *liar)
{
	give(liar, SET_VRING_KICK, open("/dev/null", O_RDWR));
}

static void kick_itself(struct liar *liar)
{
	give(liar, SET_VRING_KICK, dup(liar->guest->socket));
}

/* Kicks of an idle ring, with nothing behind them. */
static void kick_storm(struct liar *liar)
{
	double end = clock_now() + liar->hold;
	int fd = liar_ring(liar, 1)->kick;

	while (clock_now() < end)
		eventfd_write(fd, 1);
}

/* Nobody can be told by it any more; and it blocks whoever writes to it. */
static void kick_full(struct liar *liar)
{
	int fd = eventfd(0, EFD_NONBLOCK);

	eventfd_write(fd, UINT64_MAX - 1);
	give(liar, SET_VRING_KICK, fd);
	fcntl(fd, F_SETFL, 0);
	liar_traffic(liar, 0.05);
}

static void kick_semaphore(struct liar *liar)
{
	int fd = eventfd(1000000, EFD_SEMAPHORE);

	give(liar, SET_VRING_KICK, fd);
	liar_traffic(liar, 0.05);
}

/* Empty again before the device looks, blocking and not: whoever reads it may wait for ever. */
static void kick_taken_back(struct liar *liar)
{
	double end = clock_now() + liar->hold;
	int fd = liar_ring(liar, 1)->kick;

	for (unsigned n = 0; clock_now() < end; n++) {
		eventfd_t value;

		fcntl(fd, F_SETFL, O_NONBLOCK);
		eventfd_write(fd, 1);
		eventfd_read(fd, &value);
		fcntl(fd, F_SETFL, 0);
		if (n % 64 == 0)
			usleep(1000);
	}
	fcntl(fd, F_SETFL, O_NONBLOCK);
}

/* One after the other, idle and under traffic; some are the same, some were seen before. */
static void kick_many(struct liar *liar)
{
	int fds[3] = {eventfd(0, EFD_NONBLOCK), eventfd(1, EFD_NONBLOCK), eventfd(0, EFD_NONBLOCK)};

	for (unsigned n = 0; n < 300; n++) {
		int fd = fds[liar_random(liar, 3)];

		give(liar, SET_VRING_KICK, fd);
		eventfd_write(fd, 1);
		if (n % 25 == 0)
			liar_traffic(liar, 0.001);
		if (n % 50 == 0)
			usleep(3000);
	}
}

static void fd_missing(struct liar *liar)
{
	liar_say_number(liar, SET_VRING_KICK, 1);
}

static void fd_unasked(struct liar *liar)
{
	uint64_t index = 1 | NO_FD;

	liar_say(liar, SET_VRING_CALL, &index, 8, &liar_ring(liar, 1)->call, 1);
}

static void fd_three(struct liar *liar)
{
	int fd = liar_ring(liar, 1)->call, fds[3] = {fd, fd, fd};

	liar_say(liar, SET_VRING_CALL, &(uint64_t){1}, 8, fds, 3);
}

static void fd_queue_outside(struct liar *liar)
{
	uint64_t index = 200;

	liar_say(liar, SET_VRING_KICK, &index, 8, &liar_ring(liar, 1)->kick, 1);
}

static void fd_none(struct liar *liar)
{
	liar_say_number(liar, SET_VRING_CALL, 1 | NO_FD);
	liar_traffic(liar, 0.02);
	liar_say_number(liar, SET_VRING_KICK, 1 | NO_FD);
	liar_traffic(liar, 0.02);
}

/* One after the other, faster than grace periods end. */
static void call_many(struct liar *liar)
{
	for (unsigned n = 0; n < 500; n++) {
		int fd = eventfd(0, EFD_NONBLOCK);

		give(liar, SET_VRING_CALL, fd);
		close(fd);
		if (n % 25 == 0)
			liar_traffic(liar, 0.001);
	}
}

#define REFUSED(name_, function, help_)                                                            \
	{                                                                                          \
		.name = name_, .stage = STAGE_RUNNING, .effect = EFFECT_PROTOCOL,                  \
		.tell = function, .help = help_                                                    \
	}
#define SERVED(name_, function, help_)                                                             \
	{                                                                                          \
		.name = name_, .stage = STAGE_RUNNING, .tell = function, .help = help_             \
	}

const struct lie lies_fd[] = {
        REFUSED("call_pipe", call_pipe, "a call descriptor that is a full pipe"),
        REFUSED("call_broken_pipe", call_broken_pipe, "a call descriptor that is a broken pipe"),
        REFUSED("call_file", call_file, "a call descriptor that is a file"),
        REFUSED("call_read_only", call_read_only, "a call descriptor that can not be written"),
        REFUSED("call_socket", call_socket, "a call descriptor that is a socket"),
        SERVED("call_full", call_full, "a call descriptor that blocks: full"),
        SERVED("call_filled_later", call_filled_later, "a call descriptor that is filled later"),
        SERVED("call_semaphore", call_semaphore, "a call descriptor that is a semaphore"),
        SERVED("call_many", call_many, "500 call descriptors under traffic"),
        SERVED("kick_storm", kick_storm, "kicks for ever, with nothing behind them"),
        SERVED("kick_full", kick_full, "a kick descriptor that is full, and blocks"),
        SERVED("kick_semaphore", kick_semaphore, "a kick descriptor that is a semaphore"),
        SERVED("kick_taken_back", kick_taken_back, "kicks that the guest reads itself"),
        SERVED("kick_many", kick_many, "300 kick descriptors, idle and under traffic"),
        REFUSED("kick_pipe", kick_pipe, "a kick descriptor that is a pipe"),
        REFUSED("kick_null", kick_null, "a kick descriptor that is /dev/null"),
        REFUSED("kick_itself", kick_itself, "a kick descriptor that is the connection"),
        REFUSED("fd_missing", fd_missing, "a kick without descriptor that does not say so"),
        REFUSED("fd_with_none", fd_unasked, "a descriptor that says there is none"),
        REFUSED("fd_three", fd_three, "three call descriptors at once"),
        REFUSED("fd_queue_outside", fd_queue_outside, "a kick descriptor of queue 200"),
        SERVED("fd_none", fd_none, "no call, no kick descriptor: to be polled"),
        {0},
};
