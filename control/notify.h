/* SPDX-License-Identifier: BSD-3-Clause */
/* The service manager's ready protocol, sd_notify(3), without its library. Control thread. */
#ifndef PODRAIL_NOTIFY_H
#define PODRAIL_NOTIFY_H

/* Sends assignments such as "READY=1\nSTATUS=..." to $NOTIFY_SOCKET. Returns 1 when sent, 0 when
 * nobody asked for it, or a negative errno. Never blocks. */
int notify_send(const char *assignments);

#endif
