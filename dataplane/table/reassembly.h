/* SPDX-License-Identifier: BSD-3-Clause */
/* Fragments that wait for the rest of their datagram (RFC 791 section 3.2, RFC 8200 section 4.5).
 *
 * A datagram belongs to the port that its fragments came in by: each port has a part of the table
 * to itself, with a lock of its own (the second exception to "one writer", beside the flow table).
 * Fragments of one datagram may come by several queues and so at several workers; only they pay,
 * the lock is held for one insertion, never two at once, and a port that sends fragments at full
 * speed disturbs nobody else's.
 *
 * Who writes: workers and the tables thread, a port's part under its lock; the sums of all ports
 * and the list of free datagrams without any (atomic). Who reads: the same; `datagrams` of a port
 * and the sums by anybody. Packets are the table's while they wait, and come back in a struct
 * reassembly_taken: they are freed, or put together, with no lock held.
 *
 * Bounds: at most REASSEMBLY_PIECES fragments a datagram; datagrams, fragments and bytes in all;
 * and a port has at most a quarter of each, and never more than is still free: whoever floods
 * leaves as much as he takes, and the next one half of that. A port that wants more loses its own
 * oldest datagram. But with nothing left a port is still sure of REASSEMBLY_SURE datagrams,
 * REASSEMBLY_PIECES fragments and the bytes of one large datagram: the port that has most loses its
 * oldest for them, until all have the same. No two locks are held for that either. Time: a datagram
 * has REASSEMBLY_SECONDS from its first fragment on. */
#ifndef DATAPLANE_TABLE_REASSEMBLY_H
#define DATAPLANE_TABLE_REASSEMBLY_H

#include <stdbool.h>

#include "memory.h"

#define REASSEMBLY_PIECES  64 /* as many as one is cut into again */
#define REASSEMBLY_SECONDS 5  /* far more than a path reorders, far less than RFC 8200's 60 */
#define REASSEMBLY_MAX     65535
#define REASSEMBLY_SURE    4 /* datagrams that no other port's keep out */

/* All of it is compared: no padding, unused bytes are zero. */
struct reassembly_key {
	uint8_t source[16], destination[16];
	uint32_t id;
	uint16_t segment;
	uint8_t protocol; /* IPv4; 0 for IPv6 (RFC 8200 section 4.5) */
	uint8_t family;   /* AF_INET, AF_INET6 */
};

_Static_assert(sizeof(struct reassembly_key) == 40, "compared as five words");

struct reassembly_fragment {
	struct reassembly_key key;
	uint16_t port;
	void *packet;
	uint16_t offset; /* bytes; multiple of 8 */
	uint16_t length; /* bytes of the datagram in it, at least 1; multiple of 8 with more */
	bool more;       /* it is not the last one */
	uint16_t size;   /* IP packet's bytes */
	uint8_t marks;   /* or'ed over all fragments of a datagram; the caller's */
};

struct reassembly_piece {
	void *packet;
	uint16_t offset, length;
};

enum reassembly_why {
	REASSEMBLY_TIMEOUT, /* the rest did not come */
	REASSEMBLY_OVERLAP, /* fragments contradict each other: RFC 5722 */
	REASSEMBLY_LIMIT,   /* too many of the port's, or of this datagram's */
	REASSEMBLY_REMOVED, /* with its port */
};

/* What left the table: a whole datagram, or one that never will be. The caller's. */
struct reassembly_taken {
	enum reassembly_why why; /* not for a whole one */
	uint16_t port;           /* whose it was; with REASSEMBLY_AGAIN perhaps another port's */
	unsigned n;
	uint16_t largest; /* IP packet's bytes of the largest fragment */
	uint8_t marks;
	uint32_t length;                                  /* bytes of the whole datagram */
	struct reassembly_piece piece[REASSEMBLY_PIECES]; /* by offset */
};

enum reassembly_outcome {
	REASSEMBLY_HELD,      /* the table has the packet */
	REASSEMBLY_WHOLE,     /* taken is the datagram, this packet included */
	REASSEMBLY_DUPLICATE, /* it is here already: not taken */
	REASSEMBLY_REFUSED,   /* for taken->why: not taken; taken may hold what came before */
	REASSEMBLY_AGAIN,     /* taken had to go first, for taken->why: free it and try once more */
	REASSEMBLY_BUSY,      /* another thread has the port's part for too long: not taken */
};

struct reassembly;

struct reassembly_config {
	uint16_t ports;
	uint32_t datagrams, packets, bytes; /* of all ports together; at least 16 datagrams */
	uint64_t timeout;                   /* in the caller's units of time */
	uint64_t seed[2];                   /* of the hash: nobody may know it */
};

/* memory as in memory.h. NULL: none. */
struct reassembly *reassembly_create(
        const struct table_memory *memory, const struct reassembly_config *config);
/* Empty: purge all ports first. Safe on NULL. */
void reassembly_destroy(struct reassembly *table);

/* Bytes that reassembly_create takes. Pure. */
uint64_t reassembly_memory(uint32_t datagrams, uint16_t ports);

/* Adds a fragment at time now. After REASSEMBLY_AGAIN the same call again makes progress: each has
 * given up one datagram: of the port, or of the one that has most. Any worker. */
enum reassembly_outcome reassembly_insert(struct reassembly *table,
        const struct reassembly_fragment *fragment, uint64_t now, struct reassembly_taken *taken);

/* Takes the port's oldest datagram if its time is over. False: it is not, or there is none. taken
 * may be empty (n 0): one that was only remembered. Any thread. */
bool reassembly_expire(
        struct reassembly *table, uint16_t port, uint64_t now, struct reassembly_taken *taken);
/* The same whatever the time, for a port that no fragment comes in by any more. */
bool reassembly_purge(struct reassembly *table, uint16_t port, struct reassembly_taken *taken);

/* How many datagrams of a port are in the table. Any thread, no lock. */
uint32_t reassembly_port_count(const struct reassembly *table, uint16_t port);

/* What it was made with. Any thread. */
const struct reassembly_config *reassembly_limits(const struct reassembly *table);

struct reassembly_stats {
	uint32_t datagrams, packets, bytes;
};
/* What is in the table now. Any thread, no lock. */
void reassembly_stats(const struct reassembly *table, struct reassembly_stats *stats);

#endif
