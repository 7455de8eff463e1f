/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Lines from standard input with --control: each ends the traffic and begins another ("flows 1024
 * size 60"), or ends it until another one comes ("hold"). All functions: the main thread.
 */
#ifndef GEN_CONTROL_H
#define GEN_CONTROL_H

#include "options.h"

struct control {
	char buffer[1024];
	unsigned length;
	bool ended;           /* nothing more will come */
	struct options first; /* as it was started: buffers are made for these sizes */
};

enum control_line { CONTROL_NONE, CONTROL_TRAFFIC, CONTROL_HOLD };

/*
 * What line has come that can be followed, if any; with CONTROL_TRAFFIC o is the new traffic. What
 * is wrong with a line is said on `out`, and nothing changes. Never blocks.
 */
enum control_line control_poll(struct control *c, struct options *o, FILE *out);

#endif
