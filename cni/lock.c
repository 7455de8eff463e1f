/* SPDX-License-Identifier: BSD-3-Clause */
#include "cni/attachment.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define FIRST_PAUSE_US 500
#define PAUSE_MAX_US   20000

static void lock_name(const char *id_prefix, char name[32])
{
	snprintf(name, 32, "%s.lock", id_prefix);
}

/* Whoever held the lock may have removed the file: a lock on a file without a name locks nobody. */
static bool still_there(int run, const char *name, int fd)
{
	struct stat held, named;

	return !fstat(fd, &held) && !fstatat(run, name, &named, AT_SYMLINK_NOFOLLOW) &&
	       held.st_ino == named.st_ino && held.st_dev == named.st_dev;
}

static void pause_us(int us)
{
	struct timespec time = {.tv_nsec = us * 1000};

	nanosleep(&time, NULL);
}

/* This process's, for the plugins that it starts. */
static int held = -1;

int cni_lock_held(void)
{
	return held;
}

static void write_holders(int fd, pid_t child)
{
	char text[32];
	int length = snprintf(text, sizeof(text), "%10d %10d\n", (int)getpid(), (int)child);

	if (pwrite(fd, text, (size_t)length, 0) != length)
		cni_log("lock of the container: %s", strerror(errno));
}

void cni_lock_share(pid_t child)
{
	if (held >= 0)
		write_holders(held, child);
}

static bool gone(int pid)
{
	return pid <= 0 || (kill(pid, 0) && errno == ESRCH);
}

/* Neither the plugin nor its IPAM plugin lives: what still has the lock open is something that the
 * latter left behind, and works on this container no more. */
static bool abandoned(int fd)
{
	char text[32] = "";
	int plugin, child;

	return pread(fd, text, sizeof(text) - 1, 0) > 0 &&
	       sscanf(text, "%d %d", &plugin, &child) == 2 && gone(plugin) && gone(child);
}

int cni_lock(int run, const char *id_prefix, int timeout_ms)
{
	int wait = FIRST_PAUSE_US, left = timeout_ms * 1000;
	char name[32];

	lock_name(id_prefix, name);
	for (;;) {
		int fd = openat(run, name, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);

		if (fd < 0)
			return -errno;
		if (!flock(fd, LOCK_EX | LOCK_NB)) {
			if (still_there(run, name, fd)) {
				write_holders(fd, 0);
				held = fd;
				return fd;
			}
			close(fd);
			continue;
		}
		if (errno != EWOULDBLOCK && errno != EINTR) {
			int saved = errno;

			close(fd);
			return -saved;
		}
		/* only now: whoever has just got the lock has had time to say so */
		if (left <= 0 && (!abandoned(fd) || unlinkat(run, name, 0))) {
			close(fd);
			return -ETIMEDOUT;
		}
		close(fd);
		pause_us(wait);
		left -= wait;
		wait = wait * 2 < PAUSE_MAX_US ? wait * 2 : PAUSE_MAX_US;
	}
}

static int has_prefix(const char *port, void *data)
{
	const char *id_prefix = data;
	size_t length = strlen(id_prefix);

	return !strncmp(port, id_prefix, length) && port[length] == '-';
}

void cni_unlock(int run, const char *id_prefix, int lock)
{
	char name[32];

	if (lock < 0)
		return;
	held = -1;
	lock_name(id_prefix, name);
	if (!cni_attachment_each(run, has_prefix, (void *)(uintptr_t)id_prefix))
		unlinkat(run, name, 0);
	close(lock);
}
