/* SPDX-License-Identifier: BSD-3-Clause */
/* The control socket against clients that behave badly; requests are answered by an echo. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <fcntl.h>
#include <ftw.h>
#include <grp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

/* Deadlines are half a minute: the server's clock is ours. */
static int64_t clock_ahead_ms;

static int test_clock(clockid_t id, struct timespec *now)
{
	int rc = clock_gettime(id, now);

	now->tv_sec += clock_ahead_ms / 1000;
	return rc;
}

#define clock_gettime test_clock
#include "control/server.c"
#undef clock_gettime

static unsigned handled, flushed, gone;
static size_t largest;
static size_t answer_bytes; /* of each answer, 0: echo */
static enum rpc_access last_access;
static char directory[64], path[512];

/* rpc.c's, without the rest of it. */
char *rpc_error_line(int code, const char *message)
{
	char *text;

	return asprintf(&text, "{\"error\":{\"code\":%d,\"message\":\"%s\"}}", code, message) < 0
	               ? NULL
	               : text;
}

static char *held;
static size_t held_size;

static bool echo(struct client *client, enum rpc_access access, const char *line, size_t size)
{
	size_t answer = answer_bytes ? answer_bytes : size;

	assert_non_null(client);
	assert_null(memchr(line, '\n', size));
	handled++;
	largest = size > largest ? size : largest;
	last_access = access;
	if (size >= 5 && !memcmp(line, "quiet", 5))
		return true;
	held = realloc(held, held_size + answer + 1);
	assert_non_null(held);
	if (answer_bytes)
		memset(held + held_size, 'a', answer);
	else
		memcpy(held + held_size, line, size);
	held[held_size + answer] = '\n';
	held_size += answer + 1;
	return true;
}

static char *flush(size_t *size)
{
	char *answers = held;

	*size = held_size;
	held = NULL;
	held_size = 0;
	flushed++;
	return answers;
}

static void client_is_gone(struct client *client)
{
	free(*client_slot(client, CLIENT_STATS_BASE));
	gone++;
}

static int remove_entry(const char *name, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st;
	(void)type;
	(void)ftw;
	return remove(name);
}

static int start(const char *name)
{
	struct server_options options = {.path = path,
	        .mode = 0660,
	        .group = SERVER_NO_GROUP,
	        .read_group = SERVER_NO_GROUP,
	        .hold = echo,
	        .flush = flush,
	        .gone = client_is_gone};

	snprintf(path, sizeof(path), "%s/%s", directory, name);
	return server_start(&options);
}

static int set_up(void **test)
{
	(void)test;
	handled = flushed = gone = 0;
	largest = answer_bytes = 0;
	clock_ahead_ms = 0;
	strcpy(directory, "/tmp/podrail-server-XXXXXX");
	return mkdtemp(directory) ? start("control.sock") : -1;
}

static int tear_down(void **test)
{
	struct stat st;

	(void)test;
	server_stop();
	assert_int_equal(server.n_clients, 0);
	assert_int_equal(stat(path, &st), -1);
	return nftw(directory, remove_entry, 8, FTW_DEPTH | FTW_PHYS);
}

static void turns(unsigned n)
{
	while (n--)
		server_turn();
}

/* One end for the test, the other served. */
static int new_client(void)
{
	int fds[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
	assert_int_equal(server_adopt(fds[1]), 0);
	assert_int_equal(fcntl(fds[0], F_SETFL, O_NONBLOCK), 0);
	return fds[0];
}

static void say(int fd, const char *text)
{
	assert_int_equal(send(fd, text, strlen(text), MSG_NOSIGNAL), strlen(text));
}

/* What has arrived; "(end)" at the end of it if the server closed. */
static const char *heard(int fd)
{
	static char text[65536];
	size_t used = 0;
	ssize_t n;

	while ((n = recv(fd, text + used, sizeof(text) - used - 8, 0)) > 0)
		used += (size_t)n;
	strcpy(text + used, !n || errno == ECONNRESET ? "(end)" : "");
	return text;
}

static void test_lines(void **test)
{
	int fd = new_client();

	(void)test;
	say(fd, "one\ntwo\nthr");
	turns(3);
	assert_string_equal(heard(fd), "one\ntwo\n");
	turns(3);
	assert_string_equal(heard(fd), "");
	say(fd, "ee\nquiet\nfour\n\n");
	turns(3);
	assert_string_equal(heard(fd), "three\nfour\n\n");
	assert_int_equal(handled, 6);
	close(fd);
	turns(2);
	assert_int_equal(gone, 1);
	assert_int_equal(server_clients(), 0);
}

static void test_byte_by_byte(void **test)
{
	int fd = new_client();

	(void)test;
	for (unsigned i = 0; i < 5; i++) {
		say(fd, "x");
		turns(1);
		assert_string_equal(heard(fd), "");
	}
	say(fd, "\n");
	turns(1);
	assert_string_equal(heard(fd), "xxxxx\n");
	close(fd);
}

/* A client that has said all it wants to say still gets its answers. */
static void test_half_close(void **test)
{
	int fd = new_client();

	(void)test;
	say(fd, "a\nb\nunfinished");
	shutdown(fd, SHUT_WR);
	turns(4);
	assert_string_equal(heard(fd), "a\nb\n(end)");
	assert_int_equal(handled, 2);
	close(fd);
}

static void test_half_message(void **test)
{
	int half = new_client(), drip = new_client(), other = new_client(), idle = new_client();

	(void)test;
	say(half, "{\"half\":");
	say(other, "served\n");
	turns(2);
	assert_string_equal(heard(other), "served\n");
	for (unsigned i = 0; i < 29; i++) {
		say(drip, "x"); /* more bytes buy no more time */
		clock_ahead_ms += 1000;
		turns(1);
	}
	assert_string_equal(heard(half), "");
	say(other, "again\n");
	clock_ahead_ms += 3000;
	turns(2);
	assert_non_null(strstr(heard(half), "-32600"));
	assert_string_equal(heard(half), "(end)");
	assert_non_null(strstr(heard(drip), "(end)"));
	assert_string_equal(heard(other), "again\n");
	assert_string_equal(heard(idle), ""); /* a connection may be idle for ever */
	assert_int_equal(server_clients(), 2);
	close(half);
	close(drip);
	close(other);
	close(idle);
}

static void fill_line(int fd, size_t size)
{
	static char block[4096];

	memset(block, 'z', sizeof(block));
	while (size) {
		ssize_t n =
		        send(fd, block, size < sizeof(block) ? size : sizeof(block), MSG_NOSIGNAL);

		if (n < 0 && errno == EAGAIN)
			server_turn();
		else if (n < 0)
			return;
		else
			size -= (size_t)n;
	}
}

static void test_largest(void **test)
{
	int fd = new_client();

	(void)test;
	answer_bytes = 2;
	fill_line(fd, PR_MESSAGE_MAX);
	turns(40);
	say(fd, "\n");
	turns(4);
	assert_string_equal(heard(fd), "aa\n");
	assert_int_equal(largest, PR_MESSAGE_MAX);
	fill_line(fd, PR_MESSAGE_MAX + 1);
	turns(40);
	assert_non_null(strstr(heard(fd), "larger than 1 MiB"));
	assert_int_equal(server_clients(), 0);
	close(fd);
}

/* 100 MB without a newline: refused after the first, and the sender is told. */
static void test_huge(void **test)
{
	int fd = new_client(), other = new_client();
	const char *text;

	(void)test;
	fill_line(fd, 100 << 20);
	text = heard(fd);
	assert_non_null(strstr(text, "-32600"));
	assert_non_null(strstr(text, "(end)"));
	assert_int_equal(handled, 0);
	say(other, "served\n");
	turns(2);
	assert_string_equal(heard(other), "served\n");
	close(fd);
	close(other);
}

static void test_never_reads(void **test)
{
	int fd = new_client(), other = new_client();
	unsigned i;

	(void)test;
	answer_bytes = 100000;
	for (i = 0; i < 1000 && server_clients() == 2; i++) {
		send(fd, "x\n", 2, MSG_NOSIGNAL);
		turns(2);
	}
	assert_in_range(handled, 40, 60); /* 4 MiB and what the kernel holds */
	assert_int_equal(gone, 1);
	answer_bytes = 0;
	say(other, "served\n");
	turns(2);
	assert_string_equal(heard(other), "served\n");
	close(fd);
	close(other);
}

/* Less than 4 MiB, but never read: a minute is enough. */
static void test_stuck(void **test)
{
	int fd = new_client();

	(void)test;
	answer_bytes = 1 << 20;
	say(fd, "x\n");
	turns(2);
	clock_ahead_ms += 50000;
	turns(2);
	assert_int_equal(server_clients(), 1);
	clock_ahead_ms += 20000;
	turns(2);
	assert_int_equal(server_clients(), 0);
	close(fd);
}

/* One answer may be larger than the backlog. */
static void test_large_answer(void **test)
{
	int fd = new_client();
	size_t got = 0;

	(void)test;
	answer_bytes = 3 * PR_REPLY_BACKLOG;
	say(fd, "x\n");
	for (unsigned i = 0; i < 10000 && got < answer_bytes + 1; i++) {
		static char block[65536];
		ssize_t n;

		turns(1);
		while ((n = recv(fd, block, sizeof(block), 0)) > 0)
			got += (size_t)n;
	}
	assert_int_equal(got, answer_bytes + 1);
	assert_int_equal(server_clients(), 1);
	assert_true(TAILQ_FIRST(&server.clients)->out.size <= BUFFER_KEEP);
	close(fd);
}

/* What comes in one piece has one commit, and its answers come in order. */
static void test_one_commit(void **test)
{
	int fd = new_client();

	(void)test;
	say(fd, "a\nquiet\nb\nc\nhal");
	turns(2);
	assert_string_equal(heard(fd), "a\nb\nc\n");
	assert_int_equal(handled, 4);
	assert_in_range(flushed, 1, 3); /* a turn without a line may end with one */
	say(fd, "f\n");
	turns(2);
	assert_string_equal(heard(fd), "half\n");
	close(fd);
}

/* A client with thousands of requests does not hold up one with a single request. */
static void test_fair(void **test)
{
	int busy = new_client(), other = new_client();
	char lines[4001];

	(void)test;
	for (unsigned i = 0; i < 2000; i++)
		memcpy(lines + 2 * i, "b\n", 3);
	say(busy, lines);
	say(other, "me\n");
	assert_true(server_turn());
	assert_string_equal(heard(other), "me\n");
	assert_in_range(handled, 2, 2 * LINES_A_TURN + 1);
	while (server_turn())
		;
	assert_int_equal(handled, 2001);
	assert_int_equal(strlen(heard(busy)), 4000);
	close(busy);
	close(other);
}

static int connect_socket(void)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);

	assert_true(strlen(path) < sizeof(address.sun_path));
	strcpy(address.sun_path, path);
	if (connect(fd, (struct sockaddr *)&address, sizeof(address))) {
		close(fd);
		return -1;
	}
	return fd;
}

static void test_too_many(void **test)
{
	int fds[PR_CLIENTS_MAX + 3];

	(void)test;
	for (unsigned i = 0; i < PR_CLIENTS_MAX + 3; i++) {
		fds[i] = connect_socket();
		assert_true(fds[i] >= 0);
		turns(1);
	}
	assert_int_equal(server_clients(), PR_CLIENTS_MAX);
	assert_non_null(strstr(heard(fds[PR_CLIENTS_MAX]), "-32016"));
	assert_string_equal(heard(fds[0]), "");
	close(fds[0]);
	turns(2);
	fds[0] = connect_socket();
	say(fds[0], "in\n");
	turns(3);
	assert_string_equal(heard(fds[0]), "in\n");
	for (unsigned i = 0; i < PR_CLIENTS_MAX + 3; i++)
		close(fds[i]);
	turns(10);
	assert_int_equal(server_clients(), 0);
	assert_int_equal(gone, PR_CLIENTS_MAX + 1);
}

static void test_slots(void **test)
{
	int fd = new_client();
	struct client *client = TAILQ_FIRST(&server.clients);

	(void)test;
	assert_null(*client_slot(client, CLIENT_ROUTE_SYNC));
	*client_slot(client, CLIENT_STATS_BASE) = malloc(1); /* freed by gone: no leak */
	close(fd);
	turns(2);
	assert_int_equal(gone, 1);
}

static void test_socket_file(void **test)
{
	struct stat st;
	char long_name[160];
	int fd;

	(void)test;
	assert_int_equal(stat(path, &st), 0);
	assert_true(S_ISSOCK(st.st_mode));
	assert_int_equal(st.st_mode & 0777, 0660);
	/* What a killed daemon leaves is replaced. */
	close(server.listener);
	server.listener = -1;
	server_stop();
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(start("control.sock"), 0);
	fd = connect_socket();
	assert_true(fd >= 0);
	close(fd);
	server_stop();
	/* A file that is no socket is not. */
	snprintf(path, sizeof(path), "%s/file", directory);
	fd = open(path, O_CREAT | O_WRONLY, 0600);
	close(fd);
	assert_int_equal(start("file"), -EEXIST);
	assert_int_equal(stat(path, &st), 0);
	unlink(path);
	assert_int_equal(start("missing/control.sock"), -ENOENT);
	/* Longer than sun_path. */
	memset(long_name, 'd', sizeof(long_name));
	long_name[sizeof(long_name) - 3] = '\0';
	snprintf(path, sizeof(path), "%s/%s", directory, long_name);
	assert_int_equal(mkdir(path, 0755), 0);
	strcat(long_name, "/s");
	assert_int_equal(start(long_name), 0);
	assert_int_equal(stat(path, &st), 0);
	assert_true(S_ISSOCK(st.st_mode));
}

/* Connects as another user with these groups, says a line, and returns what the server granted. */
static int access_as(uid_t uid, gid_t gid, gid_t other)
{
	unsigned before = handled;
	int status = 0;
	pid_t pid = fork();

	if (!pid) {
		char text[8];
		int fd;

		alarm(20); /* whatever becomes of the parent */
		if (setgroups(1, &other) || setgid(gid) || setuid(uid))
			_exit(3);
		fd = connect_socket();
		if (fd < 0)
			_exit(2);
		fcntl(fd, F_SETFL, 0);
		_exit(send(fd, "who\n", 4, 0) != 4 || recv(fd, text, 4, 0) != 4);
	}
	for (unsigned i = 0; i < 5000 && !waitpid(pid, &status, WNOHANG); i++) {
		server_turn();
		usleep(1000);
	}
	if (WEXITSTATUS(status) == 2)
		return -1;
	assert_int_equal(WEXITSTATUS(status), 0);
	assert_int_equal(handled, before + 1);
	return (int)last_access;
}

static void test_peers(void **test)
{
	(void)test;
	if (geteuid()) {
		skip();
		return;
	}
	chmod(directory, 0755);
	chmod(path, 0666);
	server.options.group = 5001;
	server.options.read_group = 5002;
	assert_int_equal(access_as(0, 0, 0), RPC_ALL);
	assert_int_equal(access_as(1234, 5001, 1), RPC_ALL);
	assert_int_equal(access_as(1234, 1, 5001), RPC_ALL);
	assert_int_equal(access_as(1234, 5002, 1), RPC_READ);
	assert_int_equal(access_as(1234, 1, 5002), RPC_READ);
	assert_int_equal(access_as(1234, 1, 1), RPC_DENIED);
	server.options.group = server.options.read_group = SERVER_NO_GROUP;
	assert_int_equal(access_as(1234, 5001, 5002), RPC_DENIED);
	chmod(path, 0660);
	assert_int_equal(access_as(1234, 1, 1), -1);
}

/* Many clients that do anything at any time. */
static void test_random(void **test)
{
	int fds[32];
	unsigned seed = 7;

	(void)test;
	for (unsigned i = 0; i < 32; i++)
		fds[i] = new_client();
	for (unsigned round = 0; round < 20000; round++) {
		unsigned i = (unsigned)rand_r(&seed) % 32;

		switch (rand_r(&seed) % 8) {
		case 0:
			close(fds[i]);
			fds[i] = new_client();
			break;
		case 1:
			shutdown(fds[i], SHUT_WR);
			break;
		case 2:
		case 3:
			send(fds[i], "\n\nab\n", (size_t)rand_r(&seed) % 6, MSG_NOSIGNAL);
			break;
		case 4:
			heard(fds[i]);
			break;
		case 5:
			clock_ahead_ms += rand_r(&seed) % 3000;
			break;
		default:
			answer_bytes = (size_t)rand_r(&seed) % 30000;
			server_turn();
		}
	}
	for (unsigned i = 0; i < 32; i++)
		close(fds[i]);
	while (server_turn())
		;
	turns(4);
	assert_int_equal(server_clients(), 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
	        TEST(test_lines),
	        TEST(test_byte_by_byte),
	        TEST(test_half_close),
	        TEST(test_half_message),
	        TEST(test_largest),
	        TEST(test_huge),
	        TEST(test_never_reads),
	        TEST(test_stuck),
	        TEST(test_large_answer),
	        TEST(test_one_commit),
	        TEST(test_fair),
	        TEST(test_too_many),
	        TEST(test_slots),
	        TEST(test_socket_file),
	        TEST(test_peers),
	        TEST(test_random),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
