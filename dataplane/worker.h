/* SPDX-License-Identifier: BSD-3-Clause */
/* Workers: threads pinned to one core each that poll queues and run batches through the stages. */
#ifndef DATAPLANE_WORKER_H
#define DATAPLANE_WORKER_H

#include <pthread.h>
#include <stdatomic.h>

#include <rte_ring.h>

#include "dataplane/port/vhost_user/notify.h"
#include "dataplane/shared.h"

/* Counters of one writer (a worker, or the tables thread as the last of them). The owner stores
 * with relaxed order, anybody loads; sums are made by stats.c. */
struct counters {
	uint64_t in, generated, replicated, fragments, out, drops, consumed, merged;
	/* To and from the tables thread; and fragments, into and out of the reassembly table. */
	uint64_t held, released;
	uint64_t learn_lost;
	uint64_t multicast_lost; /* records of reports, and queries, that were not told */
	uint64_t stage_packets[PR_STAGE_COUNT];
	uint64_t sampled_packets[PR_STAGE_COUNT], sampled_cycles[PR_STAGE_COUNT];
	uint64_t busy_cycles, idle_cycles, polls, full_polls, batches;
	struct {
		uint64_t rx_packets, rx_bytes, tx_packets, tx_bytes;
		uint64_t drops[PR_DROP_COUNT];
	} port[PR_PORTS_MAX];
	uint64_t drop_reasons[PR_DROP_COUNT];
};

static inline void counter_add(uint64_t *counter, uint64_t n)
{
	__atomic_store_n(counter, *counter + n, __ATOMIC_RELAXED);
}

static inline uint64_t counter_get(const uint64_t *counter)
{
	return __atomic_load_n(counter, __ATOMIC_RELAXED);
}

/* What a worker polls. Immutable; the tables thread publishes it, old ones are retired. */
struct poll_list {
	uint64_t generation; /* no two lists have the same: addresses come again */
	unsigned n;
	struct {
		struct device *device;
		uint16_t queue;
	} queue[];
};

#define SEEN_SHIFT 10
#define POLLS_MAX  (PR_PORTS_MAX * PR_QUEUES_MAX)

/* In which order a worker polls: queues that had packets lately each turn, the others a few at a
 * time, so that many silent ports cost the busy ones little. The worker's own. */
struct poll_order {
	uint64_t generation; /* of the list that the indexes below are about; stored last */
	uint16_t n_hot, n;   /* order[0 .. n_hot) are hot, the rest cold */
	uint16_t hot_next, cold_next;
	uint16_t order[POLLS_MAX]; /* indexes into the list */
	/* By index. The tables thread reads generation (acquire) and packets. */
	struct {
		uint32_t seen;    /* when it last had packets, TSC >> SEEN_SHIFT */
		uint32_t packets; /* since the list came; wraps */
	} queue[POLLS_MAX];
};

/* How a worker waits while there is nothing to do (worker_idle.c). The worker's own but for what
 * says otherwise. */
struct worker_idle {
	uint64_t busy_at;   /* TSC when a turn last found something */
	uint64_t looked_at; /* TSC of the last turn that polled everything while armed */
	uint64_t tsc_us;
	bool armed;  /* all queues that have kicks are to be told of by them */
	bool look;   /* the next turn polls all queues, silent or not */
	bool kicked; /* the last wait ended with a kick */
	unsigned vain;
	int epoll; /* kicks of its queues, and wake; the guests thread takes out what it closes */
	int wake;  /* eventfd: whoever clears waiting writes it */
	/* The worker sets it before it looks for news for the last time. */
	_Atomic bool waiting;
	uint64_t generation; /* of the list that the indexes below are about */
	unsigned n_unarmed;  /* queues without kicks: they are polled now and then */
	uint16_t unarmed[POLLS_MAX];
};

enum event_type {
	EVENT_MAC,       /* a source MAC that the MAC table does not know there */
	EVENT_NEIGHBOUR, /* an ARP sender, or the sender of neighbour discovery */
	EVENT_PUNT,      /* a packet that waits for its neighbour */
	EVENT_GROUP,     /* a host joins or leaves a multicast group (address) */
	EVENT_QUERY,     /* somebody asks hosts for groups, or says that he routes multicast */
};

/* From a worker to the tables thread. */
struct event {
	uint32_t type;
	uint16_t port, segment;
	uint16_t tag;
	struct pr_mac mac;
	struct pr_ip address; /* the sender, or the neighbour that is looked for (scoped) */
	uint32_t next_hop;    /* EVENT_PUNT */
	uint8_t solicited;    /* EVENT_NEIGHBOUR: an answer to us */
	/* EVENT_NEIGHBOUR: a MAC that is known stays (RFC 4861 7.2.5, O = 0). EVENT_QUERY:
	 * memberships stay (it asks for sources). */
	uint8_t keep;
	uint8_t confirms; /* EVENT_NEIGHBOUR: said without a MAC, which is the one that is known */
	uint8_t action;  /* EVENT_GROUP: enum multicast_action; EVENT_QUERY: 1, no query but a hello
	                  */
	uint8_t version; /* both: of IGMP or MLD */
	uint8_t robustness; /* EVENT_QUERY, with those below; address is the group that is asked for
	                     */
	uint32_t response_ms, interval_s;
	struct pr_ip source;
	struct rte_mbuf *packet; /* EVENT_PUNT: owned by the receiver */
};

/* Lies in the mbuf's private area: what a packet from the tables thread should do, and where a
 * punted packet stood. */
struct note {
	uint8_t stage;  /* where it enters the pipeline */
	uint8_t reason; /* for PR_STAGE_ICMP_ERROR and PR_STAGE_DROP */
	uint8_t worker; /* who punted it: it comes back there, which keeps a flow in order */
	uint16_t in_port, out_port, out_tag, segment;
	uint32_t next_hop;
	uint8_t offload; /* as in struct batch, with the four below */
	uint16_t csum_start, csum_offset, gso_size, header_length;
	bool generated; /* counts as new; else as released from held */
};

static inline struct note *mbuf_note(struct rte_mbuf *m)
{
	return rte_mbuf_to_priv(m);
}

#define EVENT_RING   1024
#define INJECT_RING  1024
#define LEARN_CACHE  256
#define SAMPLE_EVERY 256 /* batches: cycles of stages are taken of one in so many */
#define RX_BURST     32

#define PUBLISHED_MAX (2 * PR_BATCH)

enum worker_state {
	WORKER_STARTS,
	WORKER_RUNS,
	WORKER_FAILED, /* its CPU can not be had */
};

struct worker {
	unsigned index;
	int cpu;
	int numa; /* node of its CPU, -1: unknown; before it runs */
	bool idle_sleep;
	pthread_t thread;
	unsigned qsbr_id;
	uint64_t now;     /* TSC at the start of the turn */
	uint32_t seconds; /* the same in seconds since start */
	uint32_t batch_number;
	bool posted;             /* events were put on the ring in this turn */
	struct rte_ring *events; /* this worker produces, the tables thread consumes */
	struct rte_ring *inject; /* the tables thread produces, this worker consumes */
	struct poll_order polling;
	struct worker_idle idle;
	struct batch batch;
	struct batch copies;   /* of floods, and packets made by stages: they start at tx */
	struct batch segments; /* of one packet that its receiver does not cut itself */
	struct notifier notifier;
	/* Rings that this batch has published something in; their guests are told at its end. */
	unsigned n_published;
	struct guest_ring *published[PUBLISHED_MAX];
	struct {
		uint64_t key;
		uint64_t second;
	} learned[LEARN_CACHE]; /* what was just told, so as not to repeat it per packet */
	_Atomic(struct poll_list *) polls; /* tables writes, this worker reads */
	_Atomic bool stop;                 /* control writes */
	_Atomic enum worker_state state;   /* worker writes, control reads */
	_Atomic bool sleeping;             /* worker writes; for people */
	struct counters counters;
} __rte_cache_aligned;

/* Written by control when a worker starts (release) and after everything stopped. */
extern struct worker *workers[PR_WORKERS_MAX];

/* A worker as the tables thread sees it while workers still start; NULL: not yet. */
static inline struct worker *worker_at(unsigned index)
{
	return __atomic_load_n(&workers[index], __ATOMIC_ACQUIRE);
}

/* Starts worker number index on a CPU. Control thread. */
int worker_start(unsigned index, int cpu, bool idle_sleep);
/* Stops and joins; frees nothing that others may still count. Control thread. */
void worker_stop(unsigned index);
void worker_free(unsigned index);

/* Tells the tables thread something. False: the ring is full. This worker only. */
bool worker_post(struct worker *worker, const struct event *event);

#endif
