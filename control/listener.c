/* SPDX-License-Identifier: BSD-3-Clause */
#include "control/listener.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define BACKLOG   128
#define TEMP_NAME ".control.new"

/* sun_path holds 107 characters; the directory's descriptor stands for a longer one. */
static int bind_in(int directory, int fd)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};

	snprintf(address.sun_path, sizeof(address.sun_path), "/proc/self/fd/%d/%s", directory,
	        TEMP_NAME);
	if (unlinkat(directory, TEMP_NAME, 0) && errno != ENOENT)
		return -errno;
	return bind(fd, (const struct sockaddr *)&address, sizeof(address)) ? -errno : 0;
}

static int publish(int directory, int fd, const char *name, gid_t group, mode_t mode)
{
	struct stat st;
	int rc;

	if (!fstatat(directory, name, &st, AT_SYMLINK_NOFOLLOW) && !S_ISSOCK(st.st_mode))
		return -EEXIST;
	rc = bind_in(directory, fd);
	if (rc)
		return rc;
	if ((group != (gid_t)-1 && fchownat(directory, TEMP_NAME, (uid_t)-1, group, 0)) ||
	        fchmodat(directory, TEMP_NAME, mode, 0) || listen(fd, BACKLOG) ||
	        renameat(directory, TEMP_NAME, directory, name)) {
		rc = -errno;
		unlinkat(directory, TEMP_NAME, 0);
	}
	return rc;
}

int listener_open(const char *path, gid_t group, mode_t mode)
{
	const char *slash = strrchr(path, '/');
	char parent[PATH_MAX];
	int directory, fd, rc;

	if (!slash || !slash[1])
		return -EINVAL;
	if (snprintf(parent, sizeof(parent), "%.*s/", (int)(slash - path), path) >=
	        (int)sizeof(parent))
		return -ENAMETOOLONG;
	directory = open(parent, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (directory < 0)
		return -errno;
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	rc = fd < 0 ? -errno : publish(directory, fd, slash + 1, group, mode);
	close(directory);
	if (rc && fd >= 0)
		close(fd);
	return rc ? rc : fd;
}
