/* SPDX-License-Identifier: BSD-3-Clause */
#include "podrail/client.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "podrail/protocol.h"

#define DEFAULT_TIMEOUT_MS 30000
#define ANSWER_MAX         (64u << 20)
#define FIRST_BUFFER       4096
#define CONNECT_RETRY_NS   5000000

struct pr_client {
	int fd;
	int timeout_ms;
	bool broken; /* bytes of an unfinished exchange may be under way: nothing can be matched */
	double next_id;
	double started; /* id of the request that pr_client_start sent */
	int sent;       /* and whether that went out: 0 or a negative errno */
	char *in;
	size_t in_len;
	size_t in_cap;
};

__attribute__((format(printf, 3, 4))) static void fail(
        struct pr_client_error *error, int code, const char *format, ...)
{
	va_list args;

	if (!error)
		return;
	memset(error, 0, sizeof(*error));
	error->code = code;
	va_start(args, format);
	vsnprintf(error->message, sizeof(error->message), format, args);
	va_end(args);
}

static int64_t now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* Waits for events until the deadline. Returns 0, -ETIMEDOUT or a negative errno. */
static int wait_for(int fd, short events, int64_t deadline)
{
	for (;;) {
		struct pollfd poll_fd = {.fd = fd, .events = events};
		int64_t left = deadline - now_ms();
		int ready;

		if (left <= 0)
			return -ETIMEDOUT;
		ready = poll(&poll_fd, 1, left > INT_MAX ? INT_MAX : (int)left);
		if (ready > 0)
			return 0;
		if (ready < 0 && errno != EINTR)
			return -errno;
	}
}

/* sun_path holds 107 characters; a longer path is reached through a descriptor of the socket's
 * directory, which the caller keeps open (*dir_fd) until it is connected. */
static int fill_address(const char *path, struct sockaddr_un *address, int *dir_fd)
{
	const char *name = strrchr(path, '/');
	char directory[PATH_MAX];
	int n;

	memset(address, 0, sizeof(*address));
	address->sun_family = AF_UNIX;
	*dir_fd = -1;
	if (!*path)
		return -ENOENT;
	if (strlen(path) < sizeof(address->sun_path)) {
		strcpy(address->sun_path, path);
		return 0;
	}
	if (!name || (size_t)(name - path) >= sizeof(directory))
		return -ENAMETOOLONG;
	memcpy(directory, path, (size_t)(name - path));
	directory[name - path] = '\0';
	*dir_fd = open(name == path ? "/" : directory, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (*dir_fd < 0)
		return -errno;
	n = snprintf(address->sun_path, sizeof(address->sun_path), "/proc/self/fd/%d/%s", *dir_fd,
	        name + 1);
	return n < (int)sizeof(address->sun_path) ? 0 : -ENAMETOOLONG;
}

/* A Unix socket whose backlog is full says EAGAIN and can not be polled for: try again. */
static int connect_until(int fd, const struct sockaddr_un *address, int64_t deadline)
{
	const struct timespec pause = {.tv_nsec = CONNECT_RETRY_NS};

	for (;;) {
		if (!connect(fd, (const struct sockaddr *)address, sizeof(*address)) ||
		        errno == EISCONN)
			return 0;
		if (errno != EAGAIN && errno != EINTR)
			return -errno;
		if (now_ms() >= deadline)
			return -ETIMEDOUT;
		nanosleep(&pause, NULL);
	}
}

static int connect_path(const char *path, int64_t deadline)
{
	struct sockaddr_un address;
	int dir_fd, rc, fd = -1;

	rc = fill_address(path, &address, &dir_fd);
	if (rc)
		goto out;
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	rc = fd < 0 ? -errno : connect_until(fd, &address, deadline);
out:
	if (dir_fd >= 0)
		close(dir_fd);
	if (rc && fd >= 0)
		close(fd);
	return rc ? rc : fd;
}

static int send_all(struct pr_client *client, const char *bytes, size_t size, int64_t deadline)
{
	while (size) {
		ssize_t n = send(client->fd, bytes, size, MSG_NOSIGNAL);
		int rc;

		if (n >= 0) {
			bytes += n;
			size -= (size_t)n;
			continue;
		}
		if (errno == EINTR)
			continue;
		if (errno != EAGAIN)
			return -errno;
		rc = wait_for(client->fd, POLLOUT, deadline);
		if (rc)
			return rc;
	}
	return 0;
}

static int grow(struct pr_client *client)
{
	size_t cap = client->in_cap ? 2 * client->in_cap : FIRST_BUFFER;
	char *in;

	if (client->in_len < client->in_cap)
		return 0;
	if (cap > ANSWER_MAX)
		return -EMSGSIZE;
	in = realloc(client->in, cap);
	if (!in)
		return -ENOMEM;
	client->in = in;
	client->in_cap = cap;
	return 0;
}

static char *take_line(struct pr_client *client, size_t length)
{
	char *line = malloc(length + 1);

	if (!line)
		return NULL;
	memcpy(line, client->in, length);
	line[length] = '\0';
	client->in_len -= length + 1;
	memmove(client->in, client->in + length + 1, client->in_len);
	return line;
}

/* Reads up to the next newline. Returns 0 with *line (free()) or a negative errno. */
static int read_line(struct pr_client *client, int64_t deadline, char **line)
{
	size_t scanned = 0;

	for (;;) {
		char *end = client->in_len > scanned
		                    ? memchr(client->in + scanned, '\n', client->in_len - scanned)
		                    : NULL;
		ssize_t n;
		int rc;

		if (end) {
			*line = take_line(client, (size_t)(end - client->in));
			return *line ? 0 : -ENOMEM;
		}
		scanned = client->in_len;
		rc = grow(client);
		if (rc)
			return rc;
		n = recv(client->fd, client->in + client->in_len, client->in_cap - client->in_len,
		        0);
		if (n > 0)
			client->in_len += (size_t)n;
		else if (n == 0)
			return -ECONNRESET;
		else if (errno == EAGAIN)
			rc = wait_for(client->fd, POLLIN, deadline);
		else if (errno != EINTR)
			rc = -errno;
		if (rc)
			return rc;
	}
}

static const char *reason(int rc)
{
	switch (rc) {
	case -ETIMEDOUT:
		return "podraild did not answer in time";
	case -ECONNRESET:
	case -EPIPE:
		return "podraild closed the connection";
	case -EMSGSIZE:
		return "the answer is larger than 64 MiB; ask for less with limit";
	default:
		return strerror(-rc);
	}
}

/* The next line of the daemon's. sent: what became of the request. */
static char *answer_line(
        struct pr_client *client, int64_t deadline, int sent, struct pr_client_error *error)
{
	char *answer = NULL;
	int rc = sent;

	client->broken = rc != 0;
	/* A daemon that hangs up has often said why first. */
	if (!rc || rc == -EPIPE || rc == -ECONNRESET) {
		int read_rc = read_line(client, deadline, &answer);

		rc = answer ? 0 : rc ? rc : read_rc;
	}
	if (rc) {
		client->broken = true;
		fail(error, rc, "%s", reason(rc));
	}
	return answer;
}

/* One line out, one line in. line ends with its newline. */
static char *exchange(struct pr_client *client, const char *line, size_t size, bool answered,
        struct pr_client_error *error)
{
	int64_t deadline = now_ms() + client->timeout_ms;
	int rc;

	if (client->broken) {
		fail(error, -EPIPE, "the connection failed before; open a new one");
		return NULL;
	}
	if (size > PR_MESSAGE_MAX) {
		fail(error, PR_ERR_REQUEST, "the request is larger than %d bytes", PR_MESSAGE_MAX);
		return NULL;
	}
	rc = send_all(client, line, size, deadline);
	if (!rc && !answered)
		return strdup("");
	return answer_line(client, deadline, rc, error);
}

static void copy_text(char *to, size_t size, const cJSON *item, const char *otherwise)
{
	snprintf(to, size, "%s", cJSON_IsString(item) ? item->valuestring : otherwise);
}

static void fail_remote(struct pr_client_error *error, const cJSON *object)
{
	const cJSON *code = cJSON_GetObjectItemCaseSensitive(object, "code");
	const cJSON *data = cJSON_GetObjectItemCaseSensitive(object, "data");

	if (!error)
		return;
	memset(error, 0, sizeof(*error));
	error->code = cJSON_IsNumber(code) && code->valueint ? code->valueint : PR_ERR_INTERNAL;
	copy_text(error->message, sizeof(error->message),
	        cJSON_GetObjectItemCaseSensitive(object, "message"), "error without a message");
	copy_text(error->field, sizeof(error->field),
	        cJSON_GetObjectItemCaseSensitive(data, "field"), "");
}

/* Takes the result out of an answer to request id. */
static cJSON *unwrap(
        struct pr_client *client, const char *line, double id, struct pr_client_error *error)
{
	cJSON *answer = cJSON_Parse(line), *result = NULL;
	const cJSON *failure, *got;

	got = cJSON_GetObjectItemCaseSensitive(answer, "id");
	failure = cJSON_GetObjectItemCaseSensitive(answer, "error");
	if (cJSON_IsObject(failure) && (cJSON_IsNull(got) || !got)) {
		/* About the connection, not about one request: the next line answers nothing. */
		client->broken = true;
		fail_remote(error, failure);
	} else if (!cJSON_IsNumber(got) || got->valuedouble != id) {
		client->broken = true;
		fail(error, -EPROTO, "what answered does not speak podrail's control protocol");
	} else if (cJSON_IsObject(failure)) {
		fail_remote(error, failure);
	} else {
		result = cJSON_DetachItemFromObjectCaseSensitive(answer, "result");
		if (!result) {
			client->broken = true;
			fail(error, -EPROTO, "the answer has neither result nor error");
		}
	}
	cJSON_Delete(answer);
	return result;
}

/* The request as text with its newline, or NULL. Consumes params. */
static char *request_text(const char *method, cJSON *params, double id)
{
	cJSON *request = cJSON_CreateObject();
	char *text, *line = NULL;
	size_t size;

	if (!params)
		params = cJSON_CreateObject();
	cJSON_AddStringToObject(request, "jsonrpc", "2.0");
	cJSON_AddNumberToObject(request, "id", id);
	cJSON_AddStringToObject(request, "method", method);
	if (!params || !cJSON_AddItemToObject(request, "params", params)) {
		cJSON_Delete(params);
		cJSON_Delete(request);
		return NULL;
	}
	text = cJSON_PrintUnformatted(request);
	cJSON_Delete(request);
	if (!text)
		return NULL;
	size = strlen(text);
	line = realloc(text, size + 2);
	if (!line) {
		free(text);
		return NULL;
	}
	memcpy(line + size, "\n", 2);
	return line;
}

cJSON *pr_client_call(
        struct pr_client *client, const char *method, cJSON *params, struct pr_client_error *error)
{
	double id = client->next_id++;
	char *line = request_text(method, params, id), *answer;
	cJSON *result = NULL;

	if (!line) {
		fail(error, -ENOMEM, "%s", strerror(ENOMEM));
		return NULL;
	}
	answer = exchange(client, line, strlen(line), true, error);
	free(line);
	if (answer)
		result = unwrap(client, answer, id, error);
	free(answer);
	return result;
}

/* Whether the daemon answers the line: all but notifications, and batches of nothing else. */
static bool is_answered(const char *line)
{
	cJSON *message = cJSON_Parse(line);
	const cJSON *one;
	bool answered = !message || !message->child;

	if (cJSON_IsObject(message))
		answered = cJSON_HasObjectItem(message, "id") ||
		           !cJSON_IsString(cJSON_GetObjectItemCaseSensitive(message, "method"));
	else
		cJSON_ArrayForEach (one, message)
			answered |= !cJSON_IsObject(one) || cJSON_HasObjectItem(one, "id");
	cJSON_Delete(message);
	return answered;
}

char *pr_client_raw(struct pr_client *client, const char *line, struct pr_client_error *error)
{
	size_t size = strlen(line);
	char *framed, *answer;

	if (memchr(line, '\n', size)) {
		fail(error, -EINVAL, "a request is one line");
		return NULL;
	}
	framed = malloc(size + 2);
	if (!framed) {
		fail(error, -ENOMEM, "%s", strerror(ENOMEM));
		return NULL;
	}
	memcpy(framed, line, size);
	memcpy(framed + size, "\n", 2);
	answer = exchange(client, framed, size + 1, is_answered(line), error);
	free(framed);
	return answer;
}

/* Consumes hello, the answer to it. */
static int check_hello(cJSON *hello, struct pr_client_error *error)
{
	const cJSON *protocol = cJSON_GetObjectItemCaseSensitive(hello, "protocol");
	int version = cJSON_IsNumber(protocol) ? protocol->valueint : 0;

	if (!hello)
		return -EPROTO;
	cJSON_Delete(hello);
	if (version == PR_PROTOCOL_VERSION)
		return 0;
	fail(error, -EPROTONOSUPPORT, "podraild speaks protocol %d, this program %d", version,
	        PR_PROTOCOL_VERSION);
	return -EPROTONOSUPPORT;
}

/* Connected, and nothing said yet. */
static struct pr_client *client_connect(
        const char *socket_path, int timeout_ms, struct pr_client_error *error)
{
	struct pr_client *client = calloc(1, sizeof(*client));
	int rc;

	if (!client) {
		fail(error, -ENOMEM, "%s", strerror(ENOMEM));
		return NULL;
	}
	client->timeout_ms = timeout_ms > 0 ? timeout_ms : DEFAULT_TIMEOUT_MS;
	client->next_id = 1;
	rc = connect_path(socket_path, now_ms() + client->timeout_ms);
	client->fd = rc < 0 ? -1 : rc;
	if (rc >= 0)
		return client;
	fail(error, rc, "can not connect to %s: %s%s", socket_path, strerror(-rc),
	        rc == -ENOENT || rc == -ECONNREFUSED ? " (is podraild running?)" : "");
	pr_client_close(client);
	return NULL;
}

struct pr_client *pr_client_open(
        const char *socket_path, int timeout_ms, struct pr_client_error *error)
{
	struct pr_client *client = client_connect(socket_path, timeout_ms, error);

	if (client && check_hello(pr_client_call(client, "hello", NULL, error), error)) {
		pr_client_close(client);
		return NULL;
	}
	return client;
}

struct pr_client *pr_client_start(const char *socket_path, int timeout_ms, const char *method,
        cJSON *params, struct pr_client_error *error)
{
	struct pr_client *client = client_connect(socket_path, timeout_ms, error);
	char *hello, *request, *both = NULL;

	if (!client) {
		cJSON_Delete(params);
		return NULL;
	}
	hello = request_text("hello", NULL, client->next_id++);
	request = request_text(method, params, client->next_id++);
	if (hello && request && asprintf(&both, "%s%s", hello, request) < 0)
		both = NULL;
	free(hello);
	free(request);
	if (!both) {
		fail(error, -ENOMEM, "%s", strerror(ENOMEM));
		pr_client_close(client);
		return NULL;
	}
	client->started = client->next_id - 1;
	client->sent = send_all(client, both, strlen(both), now_ms() + client->timeout_ms);
	free(both);
	return client;
}

cJSON *pr_client_started(struct pr_client *client, struct pr_client_error *error)
{
	int64_t deadline = now_ms() + client->timeout_ms;
	double request = client->started;
	cJSON *result = NULL;

	for (double id = request - 1; id <= request; id++) {
		char *answer = answer_line(client, deadline, client->sent, error);

		result = answer ? unwrap(client, answer, id, error) : NULL;
		free(answer);
		if (!result || (id < request && check_hello(result, error)))
			return NULL;
	}
	return result;
}

void pr_client_close(struct pr_client *client)
{
	if (!client)
		return;
	if (client->fd >= 0)
		close(client->fd);
	free(client->in);
	free(client);
}
