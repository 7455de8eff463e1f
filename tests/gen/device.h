/* SPDX-License-Identifier: BSD-3-Clause */
/* DPDK: starting it, opening and closing ports. All functions: the main thread. */
#ifndef GEN_DEVICE_H
#define GEN_DEVICE_H

#include <rte_mbuf.h>

#include "neighbour.h"
#include "options.h"

#define DEVICE_BURST 64

struct device {
	uint16_t ethdev;
	uint16_t queues;
	bool started;
	struct neighbour_self self;
	/* the rest: the worker's */
	struct rte_mbuf *pending[DEVICE_BURST]; /* made, but the ring was full */
	unsigned n_pending, pending_at;
	uint16_t pending_queue;
	struct pair *pending_pair;
	uint16_t pairs[OPTIONS_PAIRS_MAX]; /* those that send here */
	unsigned n_pairs;
	unsigned turn; /* the pair that may send next */
	bool gateway4_known, gateway6_known;
	struct pr_mac gateway4_mac, gateway6_mac; /* that answered; zero: none */
};

struct devices {
	struct device port[OPTIONS_PORTS_MAX];
	unsigned n;
	struct rte_mempool *rx_pool;
	struct rte_mempool *tx_pool;      /* buffers filled with pattern, each with a frame_slot */
	struct rte_mempool *segment_pool; /* what follows the first buffer of a chain; or NULL */
};

/*
 * Starts EAL with the ports of the options as vdevs. Returns 0 or a negative errno with a
 * sentence in error.
 */
int devices_eal(const struct options *o, char *error, size_t size);

/*
 * Opens and starts all ports; fills in MACs that were not given. Links may still be down.
 * Returns 0 or a negative errno with a sentence in error; devices_close undoes it in any case.
 */
int devices_open(struct devices *d, struct options *o, char *error, size_t size);
void devices_close(struct devices *d);

/* How many ports are up. */
unsigned devices_up(const struct devices *d);

/* Fills the transmit buffers with pattern; mixed: frames of several layouts will use them. */
void devices_fill(struct devices *d, bool mixed);

#endif
