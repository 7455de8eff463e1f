/* SPDX-License-Identifier: BSD-3-Clause */
/* Telling a guest that its ring has news. The guest gave us the eventfd and shares its flags: a
 * write() to one that is full and blocking would hold a worker for as long as the guest likes. The
 * kernel's asynchronous I/O signals an eventfd without ever waiting (IOCB_FLAG_RESFD:
 * eventfd_signal adds, and stops at the maximum), so that is what carries the signal: a read of no
 * bytes. */
#ifndef DATAPLANE_PORT_VHOST_USER_NOTIFY_H
#define DATAPLANE_PORT_VHOST_USER_NOTIFY_H

#include <linux/aio_abi.h>

#define NOTIFIER_EVENTS 64

/* One a thread that signals. */
struct notifier {
	aio_context_t context;
	int null; /* /dev/null */
	unsigned submitted;
};

/* -errno: no context (fs.aio-max-nr). */
int notifier_init(struct notifier *notifier);
void notifier_free(struct notifier *notifier);
/* Whether fd is an eventfd; anything else is refused before it comes here. */
int notifier_check(int fd);
/* At most one or two system calls, none of which waits. fd -1: nothing. */
void notifier_signal(struct notifier *notifier, int fd);

#endif
