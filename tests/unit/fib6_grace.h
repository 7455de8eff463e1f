/* SPDX-License-Identifier: BSD-3-Clause */
/* For tests of fib6: what was retired waits until the test says that nobody reads it any more. */
#ifndef TESTS_UNIT_FIB6_GRACE_H
#define TESTS_UNIT_FIB6_GRACE_H

#include "dataplane/table/fib6.h"

/* A grace period that ends when the test says so. */
static struct {
	struct {
		table_free_fn free_fn;
		void *owner;
		uint32_t index;
	} wait[8192];
	unsigned n;
} grace;

static inline void grace_retire(void *ctx, table_free_fn free_fn, void *owner, uint32_t index)
{
	(void)ctx;
	assert_true(grace.n < 8192);
	grace.wait[grace.n].free_fn = free_fn;
	grace.wait[grace.n].owner = owner;
	grace.wait[grace.n++].index = index;
}

static inline void grace_end(void)
{
	for (unsigned i = 0; i < grace.n; i++)
		grace.wait[i].free_fn(grace.wait[i].owner, grace.wait[i].index);
	grace.n = 0;
}

#endif
