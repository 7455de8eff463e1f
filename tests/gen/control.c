/* SPDX-License-Identifier: BSD-3-Clause */
#include "control.h"

#include <poll.h>
#include <string.h>
#include <unistd.h>

/* More bytes, if there are any now. A line that does not fit is cut: it will be refused. */
static void more(struct control *c)
{
	struct pollfd in = {.fd = STDIN_FILENO, .events = POLLIN};
	size_t room = sizeof(c->buffer) - 1 - c->length;
	ssize_t n;

	if (c->ended || poll(&in, 1, 0) <= 0)
		return;
	if (!room)
		c->length = 0;
	n = read(STDIN_FILENO, c->buffer + c->length, room ? room : sizeof(c->buffer) - 1);
	if (n > 0)
		c->length += (unsigned)n;
	else
		c->ended = true;
}

enum control_line control_poll(struct control *c, struct options *o, FILE *out)
{
	char error[300] = "", line[sizeof(c->buffer)];
	char *end;
	unsigned used;

	more(c);
	c->buffer[c->length] = '\0';
	end = memchr(c->buffer, '\n', c->length);
	if (!end)
		return CONTROL_NONE;
	used = (unsigned)(end + 1 - c->buffer);
	*end = '\0';
	memcpy(line, c->buffer, used);
	c->length -= used;
	memmove(c->buffer, c->buffer + used, c->length);
	if (!strcmp(line, "hold"))
		return CONTROL_HOLD;
	if (!options_traffic(o, &c->first, line, error, sizeof(error)))
		return CONTROL_TRAFFIC;
	fprintf(out, "refused: %s\n", error);
	fflush(out);
	return CONTROL_NONE;
}
