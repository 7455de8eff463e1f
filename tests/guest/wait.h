/* SPDX-License-Identifier: BSD-3-Clause */
/* Sleeping until a back end calls, as a guest with interrupts does. */
#ifndef GUEST_WAIT_H
#define GUEST_WAIT_H

#include "guest.h"

/* Sleeps until one of the guests' queues has used buffers, or the time is over. Counts in *lost the
 * buffers that came without the call that was asked for. Returns whether a connection has ended. */
bool wait_calls(struct guest *const *guests, unsigned n, int timeout_ms, uint64_t *lost);

#endif
