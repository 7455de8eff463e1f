/* SPDX-License-Identifier: BSD-3-Clause */
/* Whether this machine has the hugepage memory that a start takes. Control thread. */
#ifndef PODRAIL_HUGEPAGES_H
#define PODRAIL_HUGEPAGES_H

#include <stddef.h>
#include <stdint.h>

/* Compares needed bytes with the free, unreserved hugepages of all sizes. Returns 0, or -ENOMEM
 * with advice: one sentence that says what is missing and what to do. available: bytes. */
int hugepages_check(uint64_t needed, uint64_t *available, char *advice, size_t size);

#endif
