/* SPDX-License-Identifier: BSD-3-Clause */
/* Where the ids of a line's requests stand in its text: a number is echoed as it was written, which
 * a parsed double can not promise (12345678901234567890, 1.0). */
#ifndef PODRAIL_RPC_ID_H
#define PODRAIL_RPC_ID_H

#include <stddef.h>

struct rpc_slice {
	const char *text;
	size_t size;
};

/* The first value at or after text; both in a line that verb_parse accepted. */
struct rpc_slice rpc_value(const char *text, const char *end);
/* The element after `previous` (a slice of array, or one with text NULL for the first); text NULL
 * at the end. */
struct rpc_slice rpc_element(struct rpc_slice array, struct rpc_slice previous);
/* The value of the object's member "id" as written; text NULL when there is none (or its name is
 * written with escapes). */
struct rpc_slice rpc_id(struct rpc_slice object);

#endif
