/* SPDX-License-Identifier: BSD-3-Clause */
/* A stage takes the entries that wait for it and sends each on, to a later stage or to drop. Only
 * workers call stages; nothing here logs, allocates memory, locks, makes a system call or reads a
 * clock. How to add one: docs/extending.md. */
#ifndef DATAPLANE_STAGE_H
#define DATAPLANE_STAGE_H

#include "dataplane/worker.h"

typedef void stage_fn(struct worker *worker, struct batch *batch);

stage_fn stage_parse, stage_ingress_check, stage_bridge, stage_police, stage_multicast, stage_flood,
        stage_arp, stage_nd, stage_reassemble, stage_route, stage_route6, stage_local, stage_local6,
        stage_icmp_error, stage_icmp6_error, stage_punt, stage_rewrite, stage_tx, stage_drop;

/* Takes what must be put together first out of what goes to the routers. Only for batches with
 * packets of networks that ask for it. */
void reassemble_pick(struct batch *batch, uint64_t *route, uint64_t *route6);

/* Runs all stages behind rx over a batch, then empties it. */
void pipeline_run(struct worker *worker, struct batch *batch);

/* A packet that a stage made goes back out of the port that entry i came in by: by way of the
 * worker's second batch, at tx, which runs when it is full. */
void pipeline_answer(
        struct worker *worker, const struct batch *batch, uint64_t i, struct rte_mbuf *m);
/* A second receiver of a shared entry (batch_share), the same way. Returns its entry in
 * worker->copies; the caller sets out_port and out_tag there before the next call. */
uint32_t pipeline_add_clone(struct worker *worker, const struct batch *batch, uint64_t i);
/* Runs what they left. */
void pipeline_flush_copies(struct worker *worker);

#endif
