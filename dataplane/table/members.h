/* SPDX-License-Identifier: BSD-3-Clause */
/* Ports that a frame is copied to. Immutable once a pointer to it is published (release; workers
 * load with acquire), retired through QSBR. */
#ifndef DATAPLANE_TABLE_MEMBERS_H
#define DATAPLANE_TABLE_MEMBERS_H

#include <stdint.h>

struct members {
	uint16_t n;
	struct {
		uint16_t port, tag; /* tag: VLAN id to put on, 0: none */
	} member[];
};

#endif
