/* SPDX-License-Identifier: BSD-3-Clause */
/* police: what goes to many, or to the tables thread, is held to the port's limits. */
#include <rte_ether.h>

#include "dataplane/stage/stage.h"

void stage_police(struct worker *worker, struct batch *batch)
{
	uint64_t mask = batch_take(batch, PR_STAGE_POLICE);

	BATCH_FOREACH (i, mask) {
		struct port *port = &shared->port[batch->in_port[i]];
		/* ARP to ourselves: answers to our questions do not die of somebody's broadcasts.
		 */
		bool to_us = !(batch->head[i][0] & 1) && shared->segment[batch->segment[i]].routed;
		struct token_bucket *bucket = to_us ? &port->punt_bucket : &port->flood_bucket;

		if (!token_bucket_take(bucket, worker->now, 1))
			batch_drop(batch, i, PR_DROP_FLOOD_LIMIT);
		else if (shared->segment[batch->segment[i]].routed)
			batch_next(batch, i,
			        batch->ethertype[i] == RTE_ETHER_TYPE_IPV6 ? PR_STAGE_ND
			                                                   : PR_STAGE_ARP);
		else
			batch_next(batch, i, PR_STAGE_FLOOD);
	}
}
