/* SPDX-License-Identifier: BSD-3-Clause */
/* rewrite: TTL and header checksum (RFC 1624), or hop limit, and the MAC header that the next hop
 * keeps ready. */
#include "dataplane/stage/ip4.h"
#include "dataplane/stage/stage.h"

void stage_rewrite(struct worker *worker, struct batch *batch)
{
	uint64_t mask = batch_take(batch, PR_STAGE_REWRITE);

	(void)worker;
	BATCH_FOREACH (i, mask) {
		const struct next_hop *hop = batch->hop[i];
		uint8_t *head = batch->head[i];
		uint8_t *ip = head + L3_OFFSET;
		uint32_t sum;

#ifndef PR_MUTANT_TTL
		if (likely(ip[0] >> 4 == 4)) {
			ip[8]--;
			/* The TTL is the high byte of its word: the sum's complement grows by
			 * 0x0100. */
			sum = load_be16(ip + 10) + 0x0100u;
			store_be16(ip + 10, (uint16_t)(sum + (sum >> 16)));
		} else {
			ip[7]--;
		}
#else
		(void)ip;
		(void)sum;
#endif
		memcpy(head, hop->rewrite, sizeof(hop->rewrite));
#ifdef PR_MUTANT_SWAP
		if (batch->length[i] > 60) {
			uint8_t byte = head[58];

			head[58] = head[59];
			head[59] = byte;
		}
#endif
		batch->out_port[i] = hop->port;
		batch->out_tag[i] = hop->tag;
	}
	batch->todo[PR_STAGE_TX] |= mask;
}
