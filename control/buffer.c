/* SPDX-License-Identifier: BSD-3-Clause */
#include "control/buffer.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

void buffer_free(struct buffer *buffer)
{
	free(buffer->bytes);
	*buffer = (struct buffer){0};
}

void buffer_consume(struct buffer *buffer, size_t n)
{
	buffer->start += n;
	if (buffer->start < buffer->end)
		return;
	buffer->start = buffer->end = 0;
	if (buffer->size > BUFFER_KEEP)
		buffer_free(buffer);
}

int buffer_reserve(struct buffer *buffer, size_t n)
{
	size_t used = buffer_used(buffer), size = buffer->size;
	char *grown;

	if (buffer->size - buffer->end >= n)
		return 0;
	if (buffer->start) {
		memmove(buffer->bytes, buffer->bytes + buffer->start, used);
		buffer->start = 0;
		buffer->end = used;
	}
	if (size - used >= n)
		return 0;
	for (size = size ? size : 4096; size - used < n;)
		size *= 2;
	grown = realloc(buffer->bytes, size);
	if (!grown)
		return -ENOMEM;
	buffer->bytes = grown;
	buffer->size = size;
	return 0;
}
