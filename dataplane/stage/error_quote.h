/* SPDX-License-Identifier: BSD-3-Clause */
/* What ICMP and ICMPv6 errors have in common. */
#ifndef DATAPLANE_STAGE_ERROR_QUOTE_H
#define DATAPLANE_STAGE_ERROR_QUOTE_H

#include "dataplane/stage/stage.h"

/* The packet of an error about entry i, whose quote is as much of it as there is and fits: Ethernet
 * header and `headers` bytes for the caller to fill, then *quote bytes. Takes a token of the port
 * that it came in by. NULL: no token, or no buffer. The caller owns the packet. Workers only. */
struct rte_mbuf *error_quote(struct worker *worker, struct batch *batch, uint64_t i,
        unsigned headers, unsigned quote_max, unsigned *quote);

#endif
