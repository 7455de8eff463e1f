/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef DATAPLANE_WORKER_LOOP_H
#define DATAPLANE_WORKER_LOOP_H

#include "dataplane/worker.h"

/* Polls, decides and moves until worker->stop. The worker's thread. */
void worker_loop(struct worker *worker);

#endif
