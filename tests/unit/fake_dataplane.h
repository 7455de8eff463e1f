/* SPDX-License-Identifier: BSD-3-Clause */
/* A data plane without packets for tests of control/: it keeps what it is told, refuses what the
 * real one refuses, writes down each call, and can be told to fail. */
#ifndef PODRAIL_FAKE_DATAPLANE_H
#define PODRAIL_FAKE_DATAPLANE_H

#include "dataplane/dataplane.h"

#define FAKE_ROUTES_MAX 300000

struct fake_dataplane {
	/* The n-th changing call from now on fails (1: the next one); 0: none does. */
	unsigned fail_at;
	enum pr_error_code fail_code;
	char last[128];          /* the last changing call: "port_add pod1" */
	unsigned changes;        /* changing calls that succeeded */
	struct dp_totals totals; /* what dp_totals answers; fills are added */
	struct dp_port_counters counters[PR_PORTS_MAX];
	struct dp_port_state state[PR_PORTS_MAX]; /* by index; reset by dp_port_add */
	struct dp_worker_info *worker;            /* of worker 0; NULL: there is none */
	struct dp_moves moves;                    /* what dp_rebalance answers */
	unsigned rebalances;                      /* how often it was called, */
	uint32_t gain;                            /* and with what */
	bool rebalance_fails;
	struct dp_multicast_member multicast[16]; /* what dp_multicast_list answers */
	size_t n_multicast;
	struct dp_multicast_segment segment[4]; /* and dp_multicast_segments */
	size_t n_segments;
	struct pr_mac device_mac; /* of every eth device */
};
extern struct fake_dataplane fake_dp;
/* Lists of next hops that somebody holds. */
extern size_t fake_dp_lists;

/* Forgets everything. */
void fake_dp_reset(void);
size_t fake_dp_networks(void);
size_t fake_dp_ports(void);
/* The spec that port was added with, NULL for none of that name. */
const struct dp_port_spec *fake_dp_port(const char *name);
const struct dp_network_spec *fake_dp_network(const char *name);
size_t fake_dp_routes(void);
size_t fake_dp_neighbours(void);
size_t fake_dp_fdb(void);
/* Learned entries. */
void fake_dp_learn_mac(const struct dp_fdb_entry *entry);
void fake_dp_learn_neighbour(const struct dp_neighbour *neighbour);

#endif
