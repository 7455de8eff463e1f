/* SPDX-License-Identifier: BSD-3-Clause */
#include <stdint.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "dataplane/port/vhost_user/notify.h"

void notifier_signal(struct notifier *notifier, int fd)
{
	struct iocb signal = {
	        .aio_lio_opcode = IOCB_CMD_PREAD,
	        .aio_fildes = (uint32_t)notifier->null,
	        .aio_flags = IOCB_FLAG_RESFD,
	        .aio_resfd = (uint32_t)fd,
	};
	struct iocb *list = &signal;
	struct io_event done[NOTIFIER_EVENTS];

	if (fd < 0)
		return;
	/* hot-path exception: at most once a burst and queue, only when the guest asked for it. */
	syscall(SYS_io_submit, notifier->context, 1, &list);
	if (++notifier->submitted < NOTIFIER_EVENTS / 2)
		return;
	notifier->submitted = 0;
	/* What is complete is taken, nothing is waited for. */
	/* hot-path exception: once in 32 signals */
	syscall(SYS_io_getevents, notifier->context, 0, NOTIFIER_EVENTS, done,
	        &(struct timespec){0});
}
