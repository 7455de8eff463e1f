/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef DATAPLANE_PORT_PORTS_H
#define DATAPLANE_PORT_PORTS_H

#include "dataplane/dataplane.h"

/* Removes all ports. Control thread, at the end. */
void ports_stop(void);
/* Whether packets can leave through it: a guest's queues run, or a device has its link. A port that
 * is in use; tables thread. */
bool port_is_up(uint16_t index);
/* Sums of all workers' counters of a port index, since start. Any thread. */
void stats_port_sum(uint16_t index, struct dp_port_counters *sum);

#endif
