/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef DATAPLANE_PORT_PORTS_H
#define DATAPLANE_PORT_PORTS_H

#include "dataplane/dataplane.h"

/* Removes all ports. Control thread, at the end. */
void ports_stop(void);
/* Sums of all workers' counters of a port index, since start. Any thread. */
void stats_port_sum(uint16_t index, struct dp_port_counters *sum);

#endif
