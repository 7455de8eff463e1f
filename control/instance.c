/* SPDX-License-Identifier: BSD-3-Clause */
#include "control/instance.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <syslog.h>
#include <time.h>
#include <unistd.h>

#include "control/control.h"

#define BOOT_ID_FILE "/proc/sys/kernel/random/boot_id"

static int make_directory(const char *path, mode_t mode)
{
	struct stat st;

	if (!mkdir(path, mode))
		return chmod(path, mode) ? -errno : 0; /* whatever the umask */
	if (errno != EEXIST)
		return -errno;
	if (stat(path, &st))
		return -errno;
	return S_ISDIR(st.st_mode) ? 0 : -ENOTDIR;
}

int instance_directory(const char *directory, mode_t mode)
{
	char path[PATH_MAX];
	int rc = 0;

	if (snprintf(path, sizeof(path), "%s", directory) >= (int)sizeof(path))
		return -ENAMETOOLONG;
	for (char *slash = strchr(path + 1, '/'); slash && !rc; slash = strchr(slash + 1, '/')) {
		*slash = '\0';
		rc = make_directory(path, 0755);
		*slash = '/';
	}
	return rc ? rc : make_directory(path, mode);
}

static pid_t read_pid(int fd)
{
	char text[32];
	ssize_t n = pread(fd, text, sizeof(text) - 1, 0);

	if (n <= 0)
		return 0;
	text[n] = '\0';
	return (pid_t)strtol(text, NULL, 10);
}

static int write_pid(int fd)
{
	char text[32];
	int n = snprintf(text, sizeof(text), "%ld\n", (long)getpid());

	if (ftruncate(fd, 0) || pwrite(fd, text, (size_t)n, 0) != n)
		return errno ? -errno : -EIO;
	return 0;
}

int instance_lock(struct instance_lock *lock, const char *directory, pid_t *holder)
{
	struct stat mine, named;
	int fd, rc;

	*holder = 0;
	lock->fd = -1;
	rc = snprintf(lock->path, sizeof(lock->path), "%s/podraild.lock", directory);
	if (rc >= (int)sizeof(lock->path))
		return -ENAMETOOLONG;
	for (;;) {
		fd = open(lock->path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0644);
		if (fd < 0)
			return -errno;
		if (flock(fd, LOCK_EX | LOCK_NB)) {
			rc = errno == EWOULDBLOCK ? -EBUSY : -errno;
			*holder = read_pid(fd);
			close(fd);
			return rc;
		}
		/* A holder that was just leaving has removed the file that we opened. */
		if (!fstat(fd, &mine) && !stat(lock->path, &named) && mine.st_ino == named.st_ino &&
		        mine.st_dev == named.st_dev)
			break;
		close(fd);
	}
	rc = write_pid(fd);
	lock->fd = fd;
	if (rc)
		instance_unlock(lock);
	return rc;
}

void instance_unlock(struct instance_lock *lock)
{
	if (lock->fd < 0)
		return;
	unlink(lock->path);
	close(lock->fd);
	lock->fd = -1;
}

const char *boot_id(void)
{
	static char id[64];
	FILE *file;

	if (id[0])
		return id;
	file = fopen(BOOT_ID_FILE, "re");
	if (!file || !fgets(id, sizeof(id), file)) {
		log_message(LOG_ERR,
		        "%s can not be read: ports of CNI will not be told apart by boot",
		        BOOT_ID_FILE);
		strcpy(id, "unknown");
	}
	if (file)
		fclose(file);
	id[strcspn(id, "\n")] = '\0';
	return id;
}

const char *instance_id(void)
{
	static char id[33];
	uint64_t random[2];

	if (id[0])
		return id;
	if (getrandom(random, sizeof(random), 0) != sizeof(random)) {
		random[0] = (uint64_t)time(NULL);
		random[1] = (uint64_t)getpid();
	}
	snprintf(id, sizeof(id), "%016llx%016llx", (unsigned long long)random[0],
	        (unsigned long long)random[1]);
	return id;
}
