/* SPDX-License-Identifier: BSD-3-Clause */
/* Fragments that waited in vain. Tables thread. */
#include <rte_cycles.h>

#include "dataplane/stage/reassemble.h"
#include "dataplane/tables.h"

#define PACKETS_A_TICK 512 /* far less than a millisecond */

static unsigned drop(const struct reassembly_taken *taken)
{
	for (unsigned k = 0; k < taken->n; k++)
		tables_drop(taken->piece[k].packet, reassemble_reason(taken->why));
	return taken->n;
}

void reassembly_tick(void)
{
	static uint16_t port; /* the next tick goes on where this one ends */
	struct reassembly_taken taken;
	struct reassembly_stats stats;
	uint64_t now = rte_rdtsc();
	unsigned done = 0;

	reassembly_stats(shared->reassembly, &stats);
	for (unsigned n = 0; stats.datagrams && n < PR_PORTS_MAX; n++) {
		while (done < PACKETS_A_TICK &&
		        reassembly_expire(shared->reassembly, port, now, &taken))
			done += drop(&taken) + 1;
		if (done >= PACKETS_A_TICK)
			return;
		port = (uint16_t)((port + 1) % PR_PORTS_MAX);
	}
}

void reassembly_port_gone(uint16_t port)
{
	struct reassembly_taken taken;

	while (reassembly_purge(shared->reassembly, port, &taken))
		drop(&taken);
}
