/* SPDX-License-Identifier: BSD-3-Clause */
/* Where a vhost-user socket may be. The data plane opens the name again, without following links,
 * at every connect; this check is for the sentence that a person reads at once. */
#include "control/object.h"

#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define FIELD "socket"

static int socket_path_form(struct request *request, const char *path)
{
	size_t size = strlen(path);

	if (path[0] != '/' || size >= sizeof(((struct dp_port_spec *)0)->socket))
		return request_fail(request, PR_ERR_PARAMS, FIELD,
		        "a vhost-user port needs the absolute path of its socket, at most %zu "
		        "bytes",
		        sizeof(((struct dp_port_spec *)0)->socket) - 1);
	if (path[size - 1] == '/' || strstr(path, "//"))
		return request_fail(request, PR_ERR_PARAMS, FIELD,
		        "the path has an empty component; write it without \"//\" and \"/\" at its "
		        "end");
	for (const char *part = path; part; part = strchr(part + 1, '/')) {
		size_t length = strcspn(part + 1, "/");

		if ((length == 1 && part[1] == '.') ||
		        (length == 2 && part[1] == '.' && part[2] == '.'))
			return request_fail(request, PR_ERR_PARAMS, FIELD,
			        "the path may not contain \"%.*s\"; write where it really leads",
			        (int)length, part + 1);
	}
	return 0;
}

/* part: the component at fault ends at path + length. */
static int socket_path_link(struct request *request, const char *path, size_t length)
{
	char prefix[PATH_MAX], *real;
	int rc;

	snprintf(prefix, sizeof(prefix), "%.*s", (int)length, path);
	real = realpath(prefix, NULL);
	rc = request_fail(request, PR_ERR_UNUSABLE, FIELD,
	        "%s is a symbolic link%s%s; give the path without links", prefix,
	        real ? " to " : "", real ? real : "");
	free(real);
	return rc;
}

/* Walks down to the socket's directory; returns its descriptor or -1 with the request failed. */
static int socket_path_walk(struct request *request, const char *path, const char *last)
{
	int fd = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
	const char *part = path + 1;

	while (fd >= 0 && part < last) {
		size_t length = strcspn(part, "/"), upto = (size_t)(part - path) + length;
		char name[NAME_MAX + 1];
		struct stat status;
		int next = -1;

		if (length <= NAME_MAX) {
			snprintf(name, sizeof(name), "%.*s", (int)length, part);
			next = openat(fd, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
		}
		close(fd);
		fd = next;
		if (fd < 0 || fstat(fd, &status)) {
			request_fail(request, PR_ERR_UNUSABLE, FIELD,
			        "the directory %.*s can not be used (%s); create it first",
			        (int)upto, path,
			        length > NAME_MAX ? strerror(ENAMETOOLONG) : strerror(errno));
		} else if (S_ISLNK(status.st_mode)) {
			socket_path_link(request, path, upto);
		} else if (!S_ISDIR(status.st_mode)) {
			request_fail(request, PR_ERR_UNUSABLE, FIELD, "%.*s is no directory",
			        (int)upto, path);
		} else {
			part += length + 1;
			continue;
		}
		if (fd >= 0)
			close(fd);
		return -1;
	}
	if (fd < 0)
		request_fail(
		        request, PR_ERR_UNUSABLE, FIELD, "the root directory can not be opened");
	return fd;
}

static int socket_path_last(struct request *request, int fd, const char *path, const char *name)
{
	struct stat status;

	if (fstatat(fd, name, &status, AT_SYMLINK_NOFOLLOW)) {
		if (errno == ENOENT)
			return 0; /* the pod, or we, will make it */
		return request_fail(
		        request, PR_ERR_UNUSABLE, FIELD, "%s: %s", path, strerror(errno));
	}
	if (S_ISLNK(status.st_mode))
		return socket_path_link(request, path, strlen(path));
	if (!S_ISSOCK(status.st_mode))
		return request_fail(request, PR_ERR_UNUSABLE, FIELD,
		        "%s exists and is no socket; remove it or choose another name", path);
	return 0;
}

int socket_path_check(struct request *request, const char *path, bool server, const char *directory)
{
	size_t size = strlen(directory);
	const char *last;
	int fd, rc;

	if (socket_path_form(request, path))
		return -1;
	while (size > 1 && directory[size - 1] == '/')
		size--;
	if (size && (strncmp(path, directory, size) || path[size] != '/'))
		return request_fail(request, PR_ERR_UNUSABLE, FIELD,
		        "%s is not in the pod's directory %s", path, directory);
	last = strrchr(path, '/') + 1;
	fd = socket_path_walk(request, path, last);
	if (fd < 0)
		return -1;
	rc = socket_path_last(request, fd, path, last);
	/* Our own rights, as the socket will be bound with them. */
	if (!rc && server) {
		char self[32];

		snprintf(self, sizeof(self), "/proc/self/fd/%d", fd);
		if (faccessat(AT_FDCWD, self, W_OK | X_OK, AT_EACCESS))
			rc = request_fail(request, PR_ERR_UNUSABLE, FIELD,
			        "the daemon may not create a socket in %.*s (%s)",
			        (int)(last - path), path, strerror(errno));
	}
	close(fd);
	return rc;
}
