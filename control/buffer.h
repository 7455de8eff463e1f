/* SPDX-License-Identifier: BSD-3-Clause */
/* Bytes on their way in or out of a connection: appended at the end, consumed from the start. A
 * zeroed one is empty. Not locked. */
#ifndef PODRAIL_BUFFER_H
#define PODRAIL_BUFFER_H

#include <stddef.h>

#define BUFFER_KEEP 65536 /* bytes: larger memory is given back once the buffer is empty */

struct buffer {
	char *bytes;
	size_t start, end, size; /* the content is bytes[start..end) */
};

static inline size_t buffer_used(const struct buffer *buffer)
{
	return buffer->end - buffer->start;
}

/* Makes room for n more bytes at the end (content may move). Returns 0 or -ENOMEM. */
int buffer_reserve(struct buffer *buffer, size_t n);

/* Drops n bytes, which are there, from the start. */
void buffer_consume(struct buffer *buffer, size_t n);

void buffer_free(struct buffer *buffer);

#endif
