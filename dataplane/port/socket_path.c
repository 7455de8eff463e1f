/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdarg.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

#include "dataplane/port/socket_path.h"

static int fail(struct dp_error *error, int rc, const char *format, ...)
        __attribute__((format(printf, 3, 4)));

static int fail(struct dp_error *error, int rc, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(error->message, sizeof(error->message), format, args);
	va_end(args);
	error->code = PR_ERR_UNUSABLE;
	snprintf(error->field, sizeof(error->field), "socket");
	return rc;
}

static int open_directory(const char *directory, struct dp_error *error)
{
	struct open_how how = {
	        .flags = O_PATH | O_DIRECTORY | O_CLOEXEC,
	        .resolve = RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS,
	};
	int fd = (int)syscall(SYS_openat2, AT_FDCWD, directory, &how, sizeof(how));

	if (fd >= 0)
		return fd;
	switch (errno) {
	case ENOENT:
		return fail(error, -ENOENT,
		        "directory %.150s does not exist: create it (the pod's volume) first",
		        directory);
	case ELOOP:
		return fail(error, -ELOOP,
		        "directory %.150s has a symbolic link in it: give the path without links",
		        directory);
	case ENOTDIR:
		return fail(error, -ENOTDIR, "%.150s is not a directory", directory);
	default:
		return fail(error, -errno, "directory %.150s can not be opened: %s", directory,
		        strerror(errno));
	}
}

/* Whether somebody listens on a socket that is in our way. */
static bool is_served(int directory, const char *name)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	bool served = false;

	if (fd < 0)
		return true;
	if (snprintf(address.sun_path, sizeof(address.sun_path), "/proc/self/fd/%d/%s", directory,
	            name) < (int)sizeof(address.sun_path))
		served = connect(fd, (void *)&address, sizeof(address)) == 0 || errno == EAGAIN;
	close(fd);
	return served;
}

static int check_name(int directory, const char *name, bool server, struct dp_error *error)
{
	struct stat st;

	if (fstatat(directory, name, &st, AT_SYMLINK_NOFOLLOW)) {
		if (errno == ENOENT)
			return 0;
		return fail(error, -errno, "socket %.100s: %s", name, strerror(errno));
	}
	if (S_ISLNK(st.st_mode))
		return fail(error, -ELOOP,
		        "%.100s is a symbolic link: it must be the socket itself", name);
	if (!S_ISSOCK(st.st_mode))
		return fail(error, -EEXIST, "%.100s exists and is not a socket: remove it", name);
	if (!server)
		return 0;
	if (is_served(directory, name))
		return fail(error, -EADDRINUSE,
		        "another process serves %.100s: stop it or choose another path", name);
	if (unlinkat(directory, name, 0))
		return fail(error, -errno, "stale socket %.100s can not be removed: %s", name,
		        strerror(errno));
	return 0;
}

int socket_path_open(const char *path, bool server, char name[108], struct dp_error *error)
{
	char directory[512];
	const char *slash = strrchr(path, '/');
	int fd, rc;

	if (path[0] != '/' || !slash[1] || strlen(path) >= sizeof(directory))
		return fail(error, -EINVAL, "the socket needs an absolute path to a file");
	if (strlen(slash + 1) >= 40)
		return fail(error, -ENAMETOOLONG,
		        "the socket's own name is longer than 39 characters: choose a shorter one");
	snprintf(name, 108, "%s", slash + 1);
	if (!strcmp(name, ".") || !strcmp(name, ".."))
		return fail(error, -EINVAL, "the socket's path ends in a directory");
	snprintf(directory, sizeof(directory), "%.*s", slash == path ? 1 : (int)(slash - path),
	        path);
	fd = open_directory(directory, error);
	if (fd < 0)
		return fd;
	rc = check_name(fd, name, server, error);
	if (rc) {
		close(fd);
		return rc;
	}
	return fd;
}
