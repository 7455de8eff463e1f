/* SPDX-License-Identifier: BSD-3-Clause */
/* A stage takes the entries that wait for it and sends each on, to a later stage or to drop. Only
 * workers call stages; nothing here logs, allocates memory, locks, makes a system call or reads a
 * clock. How to add one: docs/extending.md. */
#ifndef DATAPLANE_STAGE_H
#define DATAPLANE_STAGE_H

#include "dataplane/worker.h"

typedef void stage_fn(struct worker *worker, struct batch *batch);

stage_fn stage_parse, stage_ingress_check, stage_bridge, stage_police, stage_flood, stage_arp,
        stage_nd, stage_route, stage_route6, stage_local, stage_local6, stage_icmp_error,
        stage_icmp6_error, stage_punt, stage_rewrite, stage_tx, stage_drop;

/* Runs all stages behind rx over a batch, then empties it. */
void pipeline_run(struct worker *worker, struct batch *batch);

/* Adds a packet that a stage made to the worker's second batch, at tx; runs that batch when it is
 * full. Returns the entry. The caller sets in_port, out_port and out_tag before the next call. */
uint32_t pipeline_add_copy(struct worker *worker, struct rte_mbuf *m);
/* The same with a second receiver of a shared entry (batch_share); sets in_port too. */
uint32_t pipeline_add_clone(struct worker *worker, const struct batch *batch, uint64_t i);
/* Runs what pipeline_add_copy left. */
void pipeline_flush_copies(struct worker *worker);

#endif
