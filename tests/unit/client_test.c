/* SPDX-License-Identifier: BSD-3-Clause */
/* The client against a server that plays a script: one answer a line received. */
#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>
#include <cmocka.h>

#include <podrail/client.h>
#include <podrail/protocol.h>

#define SILENT "-" /* answer nothing */
#define HELLO  "{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":{\"protocol\":1}}\n"

static char directory[] = "/tmp/podrail-client.XXXXXX";

struct server {
	int fd;
	pthread_t thread;
	const char *const *script; /* NULL at the end: hang up */
	size_t piece;              /* bytes a write; 0: all */
	char path[600];
};

static void answer(const struct server *server, int fd, const char *text)
{
	size_t left = strlen(text);

	while (left) {
		size_t n = server->piece && server->piece < left ? server->piece : left;

		if (send(fd, text, n, MSG_NOSIGNAL) != (ssize_t)n)
			return;
		text += n;
		left -= n;
	}
}

static void *serve(void *arg)
{
	const struct server *server = arg;
	int fd = accept(server->fd, NULL, NULL);
	unsigned step = 0;
	char c;

	while (server->script[step] && read(fd, &c, 1) == 1) {
		if (c != '\n')
			continue;
		if (strcmp(server->script[step], SILENT))
			answer(server, fd, server->script[step]);
		step++;
	}
	close(fd);
	return NULL;
}

static void start(struct server *server, const char *path, const char *const *script)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};

	server->script = script;
	server->fd = socket(AF_UNIX, SOCK_STREAM, 0);
	snprintf(server->path, sizeof(server->path), "%s", path);
	snprintf(address.sun_path, sizeof(address.sun_path), "%.100s", path);
	unlink(path);
	assert_int_equal(bind(server->fd, (struct sockaddr *)&address, sizeof(address)), 0);
	assert_int_equal(listen(server->fd, 4), 0);
	assert_int_equal(pthread_create(&server->thread, NULL, serve, server), 0);
}

static void stop(struct server *server)
{
	pthread_join(server->thread, NULL);
	close(server->fd);
	unlink(server->path);
}

static struct pr_client *open_at(
        struct server *server, const char *const *script, int timeout_ms, struct pr_client_error *e)
{
	char path[128];

	snprintf(path, sizeof(path), "%s/s", directory);
	start(server, path, script);
	return pr_client_open(path, timeout_ms, e);
}

static void test_calls(void **state)
{
	static const char *const script[] = {HELLO,
	        "{\"jsonrpc\":\"2.0\",\"id\":2,\"result\":{\"created\":true}}\n",
	        "{\"jsonrpc\":\"2.0\",\"id\":3,\"error\":{\"code\":-32602,\"message\":\"no\","
	        "\"data\":{\"field\":\"addresses[0]\"}}}\n",
	        "{\"jsonrpc\":\"2.0\",\"id\":4,\"result\":{}}\n", NULL};
	struct pr_client_error error;
	struct server server = {.piece = 1};
	struct pr_client *client = open_at(&server, script, 5000, &error);
	cJSON *result;

	(void)state;
	assert_non_null(client);
	result = pr_client_call(client, "port.add", cJSON_CreateObject(), &error);
	assert_true(cJSON_IsTrue(cJSON_GetObjectItem(result, "created")));
	cJSON_Delete(result);
	assert_null(pr_client_call(client, "port.add", NULL, &error));
	assert_int_equal(error.code, PR_ERR_PARAMS);
	assert_string_equal(error.field, "addresses[0]");
	assert_string_equal(error.message, "no");
	result = pr_client_call(client, "hello", NULL, &error);
	assert_non_null(result);
	cJSON_Delete(result);
	pr_client_close(client);
	stop(&server);
}

static void test_no_daemon(void **state)
{
	struct pr_client_error error;
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);

	(void)state;
	assert_null(pr_client_open("/nonexistent/podrail.sock", 100, &error));
	assert_int_equal(error.code, -ENOENT);
	assert_non_null(strstr(error.message, "is podraild running?"));
	assert_null(pr_client_open("", 100, &error));
	assert_int_equal(error.code, -ENOENT);
	snprintf(address.sun_path, sizeof(address.sun_path), "%s/dead", directory);
	assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	close(fd);
	assert_null(pr_client_open(address.sun_path, 100, &error));
	assert_int_equal(error.code, -ECONNREFUSED);
	unlink(address.sun_path);
	pr_client_close(NULL);
}

/* Each of these first answers must be refused with that code. */
static void test_bad_greetings(void **state)
{
	static const struct {
		const char *answer;
		int code;
	} cases[] = {
	        {"{\"id\":1,\"result\":{\"protocol\":2}}\n", -EPROTONOSUPPORT},
	        {"{\"id\":1,\"result\":{}}\n", -EPROTONOSUPPORT},
	        {"{\"id\":7,\"result\":{\"protocol\":1}}\n", -EPROTO},
	        {"{\"id\":\"1\",\"result\":{\"protocol\":1}}\n", -EPROTO},
	        {"{\"id\":1}\n", -EPROTO},
	        {"[]\n", -EPROTO},
	        {"HTTP/1.1 400 Bad Request\n", -EPROTO},
	        {"\n", -EPROTO},
	        {"{\"id\":1,\"result\":", -ECONNRESET},
	        {"{\"id\":null,\"error\":{\"code\":-32016,\"message\":\"full\"}}\n", PR_ERR_BUSY},
	        {"{\"id\":1,\"error\":{}}\n", PR_ERR_INTERNAL},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		const char *script[] = {cases[i].answer, NULL};
		struct pr_client_error error;
		struct server server = {0};

		assert_null(open_at(&server, script, 5000, &error));
		if (error.code != cases[i].code)
			fail_msg("case %zu: code %d: %s", i, error.code, error.message);
		assert_true(*error.message != '\0');
		stop(&server);
	}
}

static void test_timeout(void **state)
{
	static const char *const script[] = {HELLO, SILENT, SILENT, NULL};
	struct pr_client_error error;
	struct server server = {0};
	struct pr_client *client = open_at(&server, script, 150, &error);
	struct timespec before, after;

	(void)state;
	assert_non_null(client);
	clock_gettime(CLOCK_MONOTONIC, &before);
	assert_null(pr_client_call(client, "port.list", NULL, &error));
	clock_gettime(CLOCK_MONOTONIC, &after);
	assert_int_equal(error.code, -ETIMEDOUT);
	assert_true((after.tv_sec - before.tv_sec) * 1000 +
	                    (after.tv_nsec - before.tv_nsec) / 1000000 >=
	            149);
	/* The late answer must not be taken for the next one's. */
	assert_null(pr_client_call(client, "port.list", NULL, &error));
	assert_int_equal(error.code, -EPIPE);
	pr_client_close(client);
	stop(&server);
}

static void test_hang_up(void **state)
{
	static const char *const script[] = {HELLO, NULL};
	struct pr_client_error error;
	struct server server = {0};
	struct pr_client *client = open_at(&server, script, 5000, &error);
	cJSON *params = cJSON_CreateObject();
	char *big = malloc(900000);

	(void)state;
	assert_non_null(client);
	pthread_join(server.thread, NULL);
	memset(big, 'x', 899999);
	big[899999] = '\0';
	cJSON_AddStringToObject(params, "a", big);
	/* Without MSG_NOSIGNAL this ends the process. */
	assert_null(pr_client_call(client, "port.add", params, &error));
	assert_true(error.code == -EPIPE || error.code == -ECONNRESET);
	free(big);
	pr_client_close(client);
	close(server.fd);
	unlink(server.path);
}

static void test_raw(void **state)
{
	static const char *const script[] = {HELLO, "[1]\n", SILENT, SILENT, "{\"a\":1}\n", NULL};
	struct pr_client_error error;
	struct server server = {0};
	struct pr_client *client = open_at(&server, script, 5000, &error);
	char *big = calloc(1, PR_MESSAGE_MAX + 1), *line;

	(void)state;
	assert_non_null(client);
	line = pr_client_raw(client, "[{\"method\":\"x\",\"id\":1}]", &error);
	assert_string_equal(line, "[1]");
	free(line);
	line = pr_client_raw(client, "{\"method\":\"x\"}", &error);
	assert_string_equal(line, "");
	free(line);
	line = pr_client_raw(client, "[{\"method\":\"x\"},{\"method\":\"y\"}]", &error);
	assert_string_equal(line, "");
	free(line);
	assert_null(pr_client_raw(client, "{}\n{}", &error));
	assert_int_equal(error.code, -EINVAL);
	memset(big, ' ', PR_MESSAGE_MAX);
	assert_null(pr_client_raw(client, big, &error));
	assert_int_equal(error.code, PR_ERR_REQUEST);
	line = pr_client_raw(client, "not json", &error);
	assert_string_equal(line, "{\"a\":1}");
	free(line);
	free(big);
	pr_client_close(client);
	stop(&server);
}

static void test_long_path(void **state)
{
	static const char *const script[] = {HELLO, NULL};
	char middle[128], deep[400], path[512], near[128];
	struct pr_client_error error;
	struct pr_client *client;
	struct server server = {0};

	(void)state;
	memset(middle, 'd', 120);
	middle[120] = '\0';
	snprintf(deep, sizeof(deep), "%s/%s", directory, middle);
	snprintf(path, sizeof(path), "%s/control.sock", deep);
	snprintf(near, sizeof(near), "%s/near", directory);
	assert_int_equal(mkdir(deep, 0700), 0);
	start(&server, near, script);
	assert_int_equal(rename(near, path), 0);
	client = pr_client_open(path, 5000, &error);
	if (!client)
		fail_msg("%s", error.message);
	pr_client_close(client);
	stop(&server);
	unlink(path);
	rmdir(deep);
	assert_null(pr_client_open(path, 100, &error));
	assert_int_equal(error.code, -ENOENT);
}

static int make_directory(void **state)
{
	(void)state;
	return mkdtemp(directory) ? 0 : -1;
}

static int remove_directory(void **state)
{
	(void)state;
	return rmdir(directory);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(test_calls),
	        cmocka_unit_test(test_no_daemon),
	        cmocka_unit_test(test_bad_greetings),
	        cmocka_unit_test(test_timeout),
	        cmocka_unit_test(test_hang_up),
	        cmocka_unit_test(test_raw),
	        cmocka_unit_test(test_long_path),
	};

	return cmocka_run_group_tests(tests, make_directory, remove_directory);
}
