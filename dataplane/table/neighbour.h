/* SPDX-License-Identifier: BSD-3-Clause */
/* Neighbours: which MAC an address on a port has, and the packets that wait for the answer.
 * States after RFC 4861 section 7.3, used for ARP (RFC 826) as well: no DELAY state, a stale entry
 * that is in use is probed at once.
 *
 * Who writes, who reads: the tables thread alone. What workers need (a finished next hop) the
 * callbacks publish. Times are milliseconds of one clock that does not go backwards. Callbacks must
 * not call back into the table, except for reading the entry they are given.
 */
#ifndef DATAPLANE_TABLE_NEIGHBOUR_H
#define DATAPLANE_TABLE_NEIGHBOUR_H

#include "memory.h"
#include "podrail/addr.h"

#define NEIGHBOUR_NEVER UINT64_MAX

enum neighbour_state {
	NEIGHBOUR_FREE, /* not an entry */
	NEIGHBOUR_STATIC,
	NEIGHBOUR_INCOMPLETE, /* asked, no answer yet; holds packets */
	NEIGHBOUR_REACHABLE,
	NEIGHBOUR_STALE,  /* has a MAC, not confirmed lately */
	NEIGHBOUR_PROBE,  /* the same, and being asked */
	NEIGHBOUR_FAILED, /* did not answer: no new question for a while */
};

enum neighbour_drop {
	NEIGHBOUR_DROP_FULL,    /* one of the bounds on held packets */
	NEIGHBOUR_DROP_FAILED,  /* no answer came */
	NEIGHBOUR_DROP_REMOVED, /* the entry was removed by request */
};

struct neighbour_held;

/* One entry. Callers may read all but the last group, and write `cookie` (0 at first). */
struct neighbour {
	struct pr_ip ip;
	struct pr_mac mac; /* zero in incomplete and failed */
	uint16_t network;
	uint16_t port;
	uint8_t state;  /* enum neighbour_state */
	uint8_t probes; /* sent in this state */
	uint16_t held;
	uint64_t cookie;
	uint64_t since; /* when the MAC was last confirmed; before that, when it was asked for */
	uint64_t due;   /* next timer */

	struct neighbour *chain;         /* hash chain or free list */
	struct neighbour *older, *newer; /* failed entries */
	struct neighbour_held *first, *last;
	uint64_t unused_since;
	uint32_t heap; /* place in the timer heap; UINT32_MAX: no timer */
};

/* Zero means the default in brackets, in create. */
struct neighbour_config {
	uint32_t max;                /* entries (4096) */
	uint32_t max_ports;          /* ports are 0..max_ports-1 (1024, at most 65536) */
	uint32_t reachable_ms;       /* (30000) */
	uint32_t probe_ms;           /* between probes (1000) */
	uint32_t probes;             /* questions before giving up (3) */
	uint32_t failed_ms;          /* how long failure is remembered (5000) */
	uint32_t stale_check_ms;     /* how often a stale entry's use is looked at (1000) */
	uint32_t stale_max_ms;       /* a stale entry not used for this long is removed (600000) */
	uint32_t held_per_neighbour; /* packets (16) */
	uint32_t held_per_port;      /* buffers, by the port that the packet came from (256) */
	uint32_t held_max;           /* buffers (4096) */
	uint64_t seed; /* of the hash: random, so that addresses can not be chosen to collide */
};

/* All are called on the tables thread from within the functions below. */
struct neighbour_ops {
	/* Ask for the address, by broadcast or to the known MAC. */
	void (*send_probe)(void *ctx, const struct neighbour *entry, bool unicast);
	/* The entry has a MAC, a new MAC, or a new port. */
	void (*resolved)(void *ctx, struct neighbour *entry);
	/* The entry has no MAC any more: it failed or is being removed after having had one. */
	void (*lost)(void *ctx, struct neighbour *entry);
	/* The entry will be freed after this: forget it. */
	void (*removed)(void *ctx, struct neighbour *entry);
	/* Whether the entry was used since the last call: reads and clears the workers' flag. */
	bool (*used)(void *ctx, const struct neighbour *entry);
	/* A held packet goes on; the caller owns it again. After resolved(). */
	void (*release_held)(void *ctx, const struct neighbour *entry, void *packet);
	/* A held packet dies; the caller owns it again and counts it. */
	void (*drop_held)(
	        void *ctx, const struct neighbour *entry, void *packet, enum neighbour_drop reason);
};

struct neighbour_stats {
	uint32_t entries;
	uint32_t held;
	uint64_t held_total;
	uint64_t released;
	uint64_t dropped[NEIGHBOUR_DROP_REMOVED + 1]; /* by reason */
	uint64_t full;                                /* entries refused */
	uint64_t evicted;                             /* failed entries that made room */
};

struct neighbour_table;

/* Takes all memory. ops must outlive the table. Returns NULL with errno ENOMEM or EINVAL. */
struct neighbour_table *neighbour_table_create(const struct table_memory *memory,
        const struct neighbour_config *config, const struct neighbour_ops *ops, void *ctx);

/* Drops held packets (removed), calls lost and removed. Safe on NULL. */
void neighbour_table_destroy(struct neighbour_table *table);

void neighbour_stats(const struct neighbour_table *table, struct neighbour_stats *stats);

/* NULL if there is none. */
struct neighbour *neighbour_find(
        const struct neighbour_table *table, uint16_t network, const struct pr_ip *ip);

/* The entry of the address, made if need be: then incomplete and the first probe is sent on
 * `port`. Returns 0, -EINVAL for a bad port or address, -ENOSPC when full (the oldest failed entry
 * makes room first). */
int neighbour_get_or_create(struct neighbour_table *table, uint16_t network, const struct pr_ip *ip,
        uint16_t port, uint64_t now, struct neighbour **entry);

/* Takes over a packet that came from port `from` and wants to go to the entry. It is held while
 * incomplete, released at once when there is a MAC, dropped when the entry failed or a bound is
 * met (of one neighbour the oldest goes, else this one): each packet comes back through exactly
 * one of release_held and drop_held. buffers: how many the packet lies in, at least 1; they are
 * what is bounded for a port and in all. Returns 0 for held or released, -EHOSTUNREACH or -ENOBUFS
 * when this packet was dropped. */
int neighbour_hold(struct neighbour_table *table, struct neighbour *entry, void *packet,
        uint16_t from, uint16_t buffers);

#define NEIGHBOUR_SOLICITED 1u /* an answer to our question: confirms that it can be reached */
#define NEIGHBOUR_CREATE    2u /* make an entry if there is none */
#define NEIGHBOUR_KEEP      4u /* a MAC that is known stays: the override flag is clear */

/* Something said that ip has this MAC on this port. An existing entry believes it (RFC 4861 7.2.5);
 * static ones never change. Whether the sender may say so the caller has checked. mac NULL: it said
 * that it is there and not where; that makes no entry and confirms the MAC that one has. Returns 0;
 * -ENOENT if there is no entry and none was asked for; -EPERM for a static one that says otherwise;
 * -EINVAL for a multicast or zero MAC, bad port or address; -ENOSPC. */
int neighbour_learn(struct neighbour_table *table, uint16_t network, const struct pr_ip *ip,
        uint16_t port, const struct pr_mac *mac, uint64_t now, unsigned flags);

/* Adds, or makes an existing entry static. Returns 0, -EINVAL or -ENOSPC as above. */
int neighbour_add_static(struct neighbour_table *table, uint16_t network, const struct pr_ip *ip,
        uint16_t port, const struct pr_mac *mac, uint64_t now);

/* An entry that has a MAC is asked for it by unicast, from now on until it answers or fails (RFC
 * 4861 7.3.3, without waiting until it is stale). Others stay as they are. */
void neighbour_confirm(struct neighbour_table *table, struct neighbour *entry, uint64_t now);

/* Removes any entry. Returns 0 or -ENOENT. */
int neighbour_forget(struct neighbour_table *table, uint16_t network, const struct pr_ip *ip);

/* Remove all entries, static ones too, of a port or a network; the former also drops the packets
 * that came from the port. They return how many entries went. They scan the table. */
uint32_t neighbour_flush_port(struct neighbour_table *table, uint16_t port);
uint32_t neighbour_flush_network(struct neighbour_table *table, uint16_t network);

/* Serves up to budget timers that are due at now; returns how many it served. */
uint32_t neighbour_tick(struct neighbour_table *table, uint64_t now, uint32_t budget);

/* When the next timer is due, NEIGHBOUR_NEVER for none. */
uint64_t neighbour_next_timer(const struct neighbour_table *table);

/* Walks all entries: *cursor is 0 at first; NULL at the end. Entries that stay are met exactly
 * once, whatever is added or removed in between. */
struct neighbour *neighbour_next(const struct neighbour_table *table, uint32_t *cursor);

/* Whether the entry has a MAC to send to. */
static inline bool neighbour_usable(const struct neighbour *entry)
{
	return entry->state == NEIGHBOUR_STATIC || entry->state == NEIGHBOUR_REACHABLE ||
	       entry->state == NEIGHBOUR_STALE || entry->state == NEIGHBOUR_PROBE;
}

/* "static", "incomplete", ... */
const char *neighbour_state_name(enum neighbour_state state);

#endif
