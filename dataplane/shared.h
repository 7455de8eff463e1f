/* SPDX-License-Identifier: BSD-3-Clause */
/* What workers read while they forward. One writer for all of it: the tables thread, except where a
 * field says otherwise. Pointers are published with release and read with acquire; what they
 * pointed to before is retired through QSBR (tables.h). */
#ifndef DATAPLANE_SHARED_H
#define DATAPLANE_SHARED_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include <rte_common.h>
#include <rte_mempool.h>
#include <rte_rcu_qsbr.h>
#include <rte_spinlock.h>

#include <podrail/addr.h>
#include <podrail/limits.h>

#include "dataplane/batch.h"
#include "dataplane/table/fdb.h"
#include "dataplane/table/fib4.h"
#include "dataplane/table/fib6.h"
#include "dataplane/table/mdb.h"
#include "dataplane/table/members.h"
#include "dataplane/table/reassembly.h"
#include "dataplane/table/token_bucket.h"

#define NEXT_HOPS_MAX (1 << 16)

/* Where a frame with a given tag belongs. port NO_PORT: not a member. */
struct link {
	uint16_t port;
	uint16_t segment;
};

struct device;
struct advertised;
struct worker;
struct guest_ring;

/* What a kind of device does on a worker. Never blocks. */
struct device_ops {
	/* Takes up to n packets of a receive queue: new entries of the batch, which has room. One
	 * that can not be understood is put to drop. Returns how many. */
	unsigned (*rx)(struct device *device, uint16_t queue, struct batch *batch, unsigned n);
	/* Sends the entries of the mask; returns those that went, and sets the others' reason. A
	 * device that keeps an mbuf takes it out of the entry. */
	uint64_t (*tx)(
	        struct device *device, struct worker *worker, struct batch *batch, uint64_t mask);
	/* Called for all devices of a batch before the first tx: fetches what that will look at.
	 * May be NULL. */
	void (*prepare)(struct device *device);
	/* Fetches what a poll of a queue that was silent for long will look at, one step a turn:
	 * turns says in how many it comes (POLL_AHEAD .. 1), so that each step finds the last one's
	 * pointer. May be NULL. */
	void (*approach)(struct device *device, uint16_t queue, unsigned turns);
	/* From now on packets of a receive queue wake the worker (worker_watch), until it takes
	 * some. False: it can not, the queue must be polled. May be NULL: none can. The caller
	 * puts a full fence behind it and polls once more. */
	bool (*arm)(struct device *device, uint16_t queue, struct worker *worker);
};

#define POLL_AHEAD 3

/* A thing with queues: a guest's connection or an ethdev. Several ports may share an eth device,
 * told apart by VLAN. Written by the tables thread before it is published in a poll list, then only
 * as the fields say. */
struct device {
	const struct device_ops *ops;
	uint16_t index;
	uint16_t n_queues; /* receive queues that are polled */
	uint16_t ports;    /* how many ports use it; tables and control only */
	/* Tables thread writes (single store), workers read. */
	_Atomic(struct link) untagged;
	struct link *_Atomic tagged; /* [4096], or NULL: no tagged frame is taken */
	/* One for each of the first PR_QUEUES_MAX transmit queues; taken only where fewer queues
	 * than workers make them share one. Workers. */
	rte_spinlock_t tx_lock[PR_QUEUES_MAX];
	void *driver; /* struct vhost_port or struct eth_device: control thread owns */
	/* vhost-user: queues that run (vhost.h), which says where to look in ring[]. Guests thread
	 * writes, workers read once a burst. 0: none. eth: always 1. */
	_Atomic uint64_t guest;
	/* vhost-user: what workers poll and send to; NULL: not running. Guests thread stores with
	 * release, workers load with acquire once a burst; reused after a grace period. */
	struct guest_ring *_Atomic ring[2 * PR_QUEUES_MAX];
	/* What may be left to whoever is behind it (enum offload). Guests thread writes before the
	 * rings, workers read. */
	_Atomic uint8_t accepts;
	uint16_t eth_id; /* eth: DPDK's number; constant */
	uint16_t n_tx;   /* eth: transmit queues; constant */
	int16_t numa;    /* node that it is on, -1: unknown; constant */
};

/* What a port may send. Immutable; published by port.guard, retired through QSBR. */
struct guard {
	bool check_mac, check_ip;
	uint8_t n_macs, n_prefix4, n_prefix6;
	struct pr_mac macs[PR_ALLOWED_MAX + 1];
	struct {
		uint32_t address, mask; /* host order */
	} prefix4[PR_ADDRESSES_MAX + PR_ALLOWED_MAX];
	struct {
		uint64_t address[2], mask[2]; /* in memory order */
	} prefix6[PR_ADDRESSES_MAX + PR_ALLOWED_MAX + 1];
};

/* Whether the port may send from this address (host order). */
static inline bool guard_allows_ip4(const struct guard *guard, uint32_t address)
{
	for (unsigned n = 0; n < guard->n_prefix4; n++)
		if ((address & guard->prefix4[n].mask) == guard->prefix4[n].address)
			return true;
	return false;
}

/* The same for an IPv6 address. */
static inline bool guard_allows_ip6(const struct guard *guard, const uint8_t address[16])
{
	uint64_t words[2];

	memcpy(words, address, sizeof(words));
	for (unsigned n = 0; n < guard->n_prefix6; n++)
		if ((words[0] & guard->prefix6[n].mask[0]) == guard->prefix6[n].address[0] &&
		        (words[1] & guard->prefix6[n].mask[1]) == guard->prefix6[n].address[1])
			return true;
	return false;
}

enum port_flags {
	PORT_READY = 1 << 0,
	PORT_ISOLATED = 1 << 1,
	PORT_UPLINK = 1 << 2,    /* eth in a routed network: we are a host there */
	PORT_MAY_QUERY = 1 << 3, /* bridged: multicast queries and routers behind it are believed */
};

/* What is flooded, by its destination (storm control). */
enum flood_class {
	FLOOD_BROADCAST,
	FLOOD_MULTICAST,
	FLOOD_UNKNOWN, /* unicast */
	FLOOD_CLASSES,
};

/* What workers know of a port. The tables thread writes it before links lead to it; flags and guard
 * may change while it lives (single stores). */
struct port {
	struct device *device;
	const struct guard *_Atomic guard; /* NULL: trusted */
	_Atomic uint16_t flags;
	uint16_t index;
	uint16_t network;
	uint16_t mtu;
	uint16_t vlan;    /* tag of frames that leave a routed network through it, 0: none */
	uint8_t own_rate; /* bit of a flood_class: it has a bucket of its own */
	struct pr_mac gateway_mac; /* routed: frames to us are addressed to it */
	uint32_t own_address;      /* routed: source of our ICMP errors and ARP requests, 0: none */
	/* Routed: the same for ICMPv6 errors, all zero: none; and our address on that link: source
	 * of solicitations and advertisements. */
	uint8_t own_address6[16], link_local[16];
	/* Workers take tokens (compare and swap). On a line of their own: only packets that are
	 * rare by their nature pay for them. */
	struct token_bucket flood_bucket
	        __rte_cache_aligned; /* packets that are flooded, and ARP */
	/* Bridged: the same for one class of flooded frames each; used where own_rate says so. */
	struct token_bucket class_bucket[FLOOD_CLASSES];
	struct token_bucket copy_bucket;   /* copies of them */
	struct token_bucket report_bucket; /* what is told of its multicast reports */
	struct token_bucket punt_bucket;   /* packets that wait for a neighbour */
	/* ARP and neighbour discovery to ourselves: what answers our questions shall not die of
	 * packets that ask for others, nor of broadcasts. */
	struct token_bucket discovery_bucket;
	struct token_bucket icmp_bucket; /* errors sent because of it */
} __rte_cache_aligned;

/* What a segment's workers do with multicast (multicast_control.h); none of it: flooded. The family
 * is 0 for IPv4 and 1 for IPv6. */
#define SNOOP_ON           0x01
#define SNOOP_ACTIVE(v6)   (0x02u << (v6)) /* hosts are asked: groups go to members only */
#define SNOOP_OVERFLOW(v6) (0x08u << (v6)) /* some group has no room: unknown ones are flooded */
#define SNOOP_FULL(v6)     (0x20u << (v6)) /* some member of a known group has none: all are */

/* A broadcast domain: (network, VLAN). Routed networks have exactly one. */
struct segment {
	bool used, routed, proxy; /* proxy: ARP and neighbour discovery */
	/* Bridged: SNOOP_*. Tables thread writes (single stores), workers read. */
	_Atomic uint8_t snoop;
	bool reassemble; /* routed: fragments are put together before they are routed */
	uint16_t network;
	uint16_t vlan;
	uint16_t n_members;  /* tables thread only */
	uint16_t link_local; /* bridged: bit n, 01:80:c2:00:00:0n is flooded; constant while used */
	/* Routed; they live until the network is gone and a grace period is over. */
	struct fib4 *fib;
	struct fib6 *fib6;
	const struct advertised *advertised; /* NULL: no router advertisements */
	/* Bridged: all; and those that lead to multicast routers, by family, sorted by port. */
	const struct members *_Atomic members;
	const struct members *_Atomic routers[2];
} __rte_cache_aligned;

enum next_hop_type {
	NEXT_HOP_NONE,
	NEXT_HOP_FORWARD,    /* rewrite is finished */
	NEXT_HOP_INCOMPLETE, /* waits for its neighbour: packets are punted and held */
	NEXT_HOP_GLEAN,      /* a connected prefix: punted, the tables thread makes a neighbour */
	NEXT_HOP_FAILED,     /* the neighbour does not answer */
	NEXT_HOP_BLACKHOLE,
	NEXT_HOP_UNREACHABLE,
	NEXT_HOP_LOCAL, /* one of our own addresses */
	NEXT_HOP_GROUP, /* one of several, by the flow's hash */
};

/* What a route leads to. Immutable; published by next_hop[], retired through QSBR, so that a change
 * of a neighbour's MAC is one pointer store. */
struct next_hop {
	uint8_t type;
	uint16_t port;
	uint16_t tag;
	uint16_t mtu;
	uint32_t index;
	struct pr_ip gateway; /* family 0: the destination itself; scoped (tables.h) */
	uint8_t rewrite[14];  /* destination MAC, source MAC, ethertype */
	/* A group: where its members' indexes are, mask + 1 of them. port: its members', NO_PORT if
	 * they have several. The array belongs to the group (hop_group.c) and lives as long as the
	 * index; the tables thread stores elements with release when members come and go, workers
	 * load them with acquire. */
	uint32_t mask;
	const _Atomic uint16_t *buckets;
} __rte_cache_aligned;

_Static_assert(sizeof(struct next_hop) == 64, "one cache line");
_Static_assert(NEXT_HOPS_MAX <= 1 << 16, "buckets hold an index in 16 bits");

struct shared {
	struct rte_rcu_qsbr *qsbr; /* workers report, tables and guests threads wait */
	struct rte_mempool *mbufs;
	struct fdb *fdb;
	struct mdb *mdb;
	struct fib4_pool *fib_pool;
	struct fib6_pool *fib6_pool;
	struct reassembly *reassembly; /* written by workers, too: see there */
	unsigned n_workers;
	uint64_t tsc_hz;
	uint32_t flow_seed; /* of ecmp_hash.h; constant */
	struct device device[PR_PORTS_MAX];
	struct port port[PR_PORTS_MAX];
	struct segment segment[PR_SEGMENTS_MAX];
	const struct next_hop *_Atomic next_hop[NEXT_HOPS_MAX];
	/* Set by workers when a next hop is used and the flag is clear; cleared by the tables
	 * thread when it wants to know whether a stale neighbour is still in use. */
	_Atomic uint8_t next_hop_used[NEXT_HOPS_MAX];
};

extern struct shared *shared;

static inline const struct next_hop *next_hop_get(uint32_t index)
{
	return atomic_load_explicit(&shared->next_hop[index], memory_order_acquire);
}

static inline uint16_t port_flags(const struct port *port)
{
	return atomic_load_explicit(&port->flags, memory_order_relaxed);
}

#endif
