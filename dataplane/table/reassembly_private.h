/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef DATAPLANE_TABLE_REASSEMBLY_PRIVATE_H
#define DATAPLANE_TABLE_REASSEMBLY_PRIVATE_H

#include "reassembly.h"

#define REASSEMBLY_NONE    UINT32_MAX
#define REASSEMBLY_BUCKETS 64 /* of a port */
#define REASSEMBLY_SHARE   4  /* a port has at most 1/SHARE of everything */
/* What a port is sure of in bytes: a datagram of the largest size with its fragments' headers. */
#define REASSEMBLY_SURE_BYTES (REASSEMBLY_MAX + REASSEMBLY_PIECES * 60u)

/* Under the lock of its port; but next while it is free. */
struct reassembly_datagram {
	struct reassembly_key key;
	uint64_t since;        /* when its first fragment came */
	uint32_t next;         /* of the hash chain, or of the free ones; atomic */
	uint32_t older, newer; /* of the port */
	uint32_t bytes;        /* of its fragments' packets */
	uint32_t received;     /* bytes of the datagram */
	uint32_t total;        /* the same when it is whole, 0: unknown */
	uint16_t largest;
	uint8_t marks;
	uint8_t n;
	bool refused; /* only remembered, so that what still comes dies too */
	uint8_t why;
	struct reassembly_piece piece[REASSEMBLY_PIECES]; /* by offset */
};

/* What is bounded. */
enum reassembly_bound {
	REASSEMBLY_DATAGRAMS,
	REASSEMBLY_PACKETS,
	REASSEMBLY_BYTES,
	REASSEMBLY_BOUNDS
};

/* On lines of its own. */
struct reassembly_port {
	_Alignas(TABLE_CACHE_LINE) uint32_t lock;
	uint32_t oldest, newest;
	uint32_t count[REASSEMBLY_BOUNDS]; /* what it has; atomic: read by anybody */
	uint32_t bucket[REASSEMBLY_BUCKETS];
};

struct reassembly {
	const struct table_memory *memory;
	struct reassembly_config config;
	struct reassembly_datagram *datagram;
	struct reassembly_port *port;
	/* Of all ports together; and what each is sure of. Constant. */
	uint32_t max[REASSEMBLY_BOUNDS], sure[REASSEMBLY_BOUNDS];
	/* Index of the first free datagram, and in the upper half how often it changed (so that
	 * one that came back is not taken for one that never left). Any thread, compare and swap.
	 */
	_Alignas(TABLE_CACHE_LINE) uint64_t free;
	/* Sums over all ports; any thread, atomic. */
	_Alignas(TABLE_CACHE_LINE) uint32_t sum[REASSEMBLY_BOUNDS];
	/* A port that had much when somebody last looked; any thread, atomic. */
	uint32_t rich[REASSEMBLY_BOUNDS];
};

/* REASSEMBLY_NONE: all are taken. Any thread; the datagram is the caller's. */
uint32_t reassembly_take_free(struct reassembly *table);
void reassembly_give_free(struct reassembly *table, uint32_t index);

#endif
