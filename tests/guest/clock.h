/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef GUEST_CLOCK_H
#define GUEST_CLOCK_H

#include <time.h>

/* Seconds, monotonic. */
static inline double clock_now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

#endif
