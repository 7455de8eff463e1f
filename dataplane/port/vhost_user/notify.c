/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <string.h>
#include <stdio.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "dataplane/port/vhost_user/notify.h"

int notifier_init(struct notifier *notifier)
{
	memset(notifier, 0, sizeof(*notifier));
	notifier->null = open("/dev/null", O_RDONLY | O_CLOEXEC);
	if (notifier->null < 0)
		return -errno;
	if (syscall(SYS_io_setup, NOTIFIER_EVENTS, &notifier->context)) {
		int rc = -errno;

		close(notifier->null);
		notifier->null = -1;
		return rc;
	}
	return 0;
}

void notifier_free(struct notifier *notifier)
{
	if (!notifier->context)
		return;
	syscall(SYS_io_destroy, notifier->context);
	close(notifier->null);
	notifier->context = 0;
}

int notifier_check(int fd)
{
	char path[32], name[32];
	ssize_t n;

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	n = readlink(path, name, sizeof(name) - 1);
	if (n < 0)
		return -errno;
	name[n] = '\0';
	return strcmp(name, "anon_inode:[eventfd]") ? -EINVAL : 0;
}
