/* SPDX-License-Identifier: BSD-3-Clause */
#include "cni/exec.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/mman.h>
#include <sys/pidfd.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "cni/attachment.h"

int cni_exec_find(const char *cni_path, const char *name, char path[CNI_PATH_SIZE])
{
	struct stat st;

	for (const char *dir = cni_path; *dir;) {
		int length = (int)strcspn(dir, ":");

		if (length &&
		        snprintf(path, CNI_PATH_SIZE, "%.*s/%s", length, dir, name) <
		                CNI_PATH_SIZE &&
		        !access(path, X_OK) && !stat(path, &st) && S_ISREG(st.st_mode))
			return 0;
		dir += length;
		dir += *dir == ':';
	}
	return -ENOENT;
}

static int64_t now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* A file and not a pipe: the child may leave it unread without anyone waiting for the other. */
static int input_file(const char *input, size_t length)
{
	int fd = memfd_create("cni-config", MFD_CLOEXEC);
	size_t done = 0;

	if (fd < 0)
		return -errno;
	while (done < length) {
		ssize_t n = pwrite(fd, input + done, length - done, (off_t)done);

		if (n < 0) {
			n = -errno;
			close(fd);
			return (int)n;
		}
		done += (size_t)n;
	}
	return fd;
}

/* The environment with another CNI_COMMAND; the strings stay the environment's. free() it.
 * Plugins are Go programs that live for milliseconds: a runtime with one processor starts a tenth
 * faster than one that prepares for all that the machine has. Whoever has set it keeps it. */
static char **environment(const char *command, char setting[32])
{
	static char one_processor[] = "GOMAXPROCS=1";
	bool given = getenv("GOMAXPROCS") != NULL;
	size_t n = 0, kept = 0;
	char **copy;

	while (environ[n])
		n++;
	copy = calloc(n + 3, sizeof(*copy));
	if (!copy)
		return NULL;
	snprintf(setting, 32, "CNI_COMMAND=%s", command);
	for (size_t i = 0; i < n; i++)
		if (strncmp(environ[i], "CNI_COMMAND=", 12))
			copy[kept++] = environ[i];
	copy[kept++] = setting;
	if (!given)
		copy[kept] = one_processor;
	return copy;
}

static int start(const char *path, const char *command, int in, int out, pid_t *pid)
{
	posix_spawn_file_actions_t actions;
	posix_spawnattr_t attr;
	sigset_t defaults;
	char setting[32], *argv[2] = {(char *)(uintptr_t)path, NULL};
	char **env = environment(command, setting);
	int ret;

	if (!env)
		return -ENOMEM;
	sigemptyset(&defaults);
	sigaddset(&defaults, SIGPIPE);
	posix_spawnattr_init(&attr);
	posix_spawnattr_setsigdefault(&attr, &defaults);
	posix_spawnattr_setpgroup(&attr, 0);
	posix_spawnattr_setflags(&attr, POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETPGROUP);
	posix_spawn_file_actions_init(&actions);
	posix_spawn_file_actions_adddup2(&actions, in, STDIN_FILENO);
	posix_spawn_file_actions_adddup2(&actions, out, STDOUT_FILENO);
	/* onto itself: it loses its close-on-exec flag */
	if (cni_lock_held() >= 0)
		posix_spawn_file_actions_adddup2(&actions, cni_lock_held(), cni_lock_held());
	ret = posix_spawn(pid, path, &actions, &attr, argv, env);
	posix_spawn_file_actions_destroy(&actions);
	posix_spawnattr_destroy(&attr);
	free(env);
	return -ret;
}

/* Reads what is there. Returns 1 at the end, 0 when more may come, or a negative errno. */
static int read_some(int fd, struct cni_output *out)
{
	for (;;) {
		ssize_t n;

		if (out->length % 4096 == 0) {
			char *more = realloc(out->text, out->length + 4097);

			if (!more)
				return -ENOMEM;
			out->text = more;
		}
		n = read(fd, out->text + out->length, 4096 - out->length % 4096);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return errno == EAGAIN ? 0 : -errno;
		if (n == 0)
			return 1;
		out->length += (size_t)n;
		if (out->length > CNI_INPUT_MAX)
			return -EFBIG;
	}
}

/* Waits for more of its output. Returns 1 when the child has ended, 0 when it goes on, or a
 * negative errno. A grandchild that keeps stdout open is not waited for. */
static int collect(struct cni_child *child)
{
	struct pollfd fds[2] = {
	        {.fd = child->pidfd, .events = POLLIN}, {.fd = child->fd, .events = POLLIN}};
	int64_t left = child->deadline - now_ms();
	int ret;

	if (left <= 0)
		return -ETIMEDOUT;
	ret = poll(fds, 2, (int)left);
	if (ret < 0 && errno != EINTR)
		return -errno;
	if (ret <= 0)
		return 0;
	ret = child->fd >= 0 ? read_some(child->fd, &child->out) : 0;
	if (ret < 0)
		return ret;
	if (ret == 1) {
		close(child->fd);
		child->fd = -1;
	}
	return fds[0].revents ? 1 : 0;
}

static void advance(struct cni_child *child)
{
	int ret = collect(child);

	child->ended = ret != 0;
	child->failure = ret < 0 ? ret : 0;
}

static void reap(struct cni_child *child)
{
	int status;

	if (child->failure)
		kill(-child->pid, SIGKILL);
	while (waitpid(child->pid, &status, 0) < 0 && errno == EINTR)
		;
	child->out.status = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
	if (child->pidfd >= 0)
		close(child->pidfd);
	if (child->fd >= 0)
		close(child->fd);
}

int cni_exec_start(const char *path, const char *command, const char *input, size_t length,
        int timeout_ms, struct cni_child *child)
{
	int in = input_file(input, length), pipes[2] = {-1, -1}, ret;

	memset(child, 0, sizeof(*child));
	if (in < 0)
		return in;
	if (pipe2(pipes, O_CLOEXEC)) {
		ret = -errno;
		close(in);
		return ret;
	}
	fcntl(pipes[0], F_SETFL, O_NONBLOCK);
	ret = start(path, command, in, pipes[1], &child->pid);
	close(in);
	close(pipes[1]);
	if (ret) {
		close(pipes[0]);
		return ret;
	}
	cni_lock_share(child->pid);
	child->fd = pipes[0];
	child->deadline = now_ms() + timeout_ms;
	child->pidfd = pidfd_open(child->pid, 0);
	child->failure = child->pidfd < 0 ? -errno : 0;
	child->ended = child->failure != 0;
	return 0;
}

bool cni_exec_hear(struct cni_child *child,
        bool (*whole)(const char *text, size_t length, void *data), void *data)
{
	while (!child->ended) {
		size_t before = child->out.length;

		advance(child);
		if (!child->failure && child->out.length > before &&
		        whole(child->out.text, child->out.length, data))
			return true;
	}
	return false;
}

int cni_exec_finish(struct cni_child *child, struct cni_output *out)
{
	int ret;

	while (!child->ended)
		advance(child);
	reap(child);
	ret = child->failure;
	*out = child->out;
	if (!ret && !out->text)
		ret = (out->text = calloc(1, 1)) ? 0 : -ENOMEM;
	if (ret) {
		free(out->text);
		out->text = NULL;
	} else {
		out->text[out->length] = '\0';
	}
	return ret;
}

int cni_exec(const char *path, const char *command, const char *input, size_t length,
        int timeout_ms, struct cni_output *out)
{
	struct cni_child child;
	int ret = cni_exec_start(path, command, input, length, timeout_ms, &child);

	memset(out, 0, sizeof(*out));
	return ret ? ret : cni_exec_finish(&child, out);
}
