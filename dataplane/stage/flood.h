/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef DATAPLANE_STAGE_FLOOD_H
#define DATAPLANE_STAGE_FLOOD_H

#include "dataplane/stage/stage.h"

static inline bool frame_is_broadcast(const uint8_t *head)
{
	return head[0] == 0xff && !memcmp(head, head + 1, 5);
}

/* Sends entry i to all ports of both lists (NULL: none) that it may leave through, once to each;
 * two lists must be sorted by port. With no such port it dies of `empty` (PR_DROP_COUNT: it is
 * consumed). Stages before tx. */
void flood_to(struct worker *worker, struct batch *batch, uint64_t i, const struct members *a,
        const struct members *b, enum pr_drop_reason empty);

#endif
