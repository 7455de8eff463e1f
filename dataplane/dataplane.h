/* SPDX-License-Identifier: BSD-3-Clause */
/* What control/ may ask of the data plane.
 *
 * Every function here is called from the control thread (one thread, the one that called dp_start),
 * may block for milliseconds (device set-up, a transaction of the tables thread, a grace period),
 * and never stops a worker. Functions that take a struct dp_error return 0, or a negative errno
 * with the error filled in; then nothing was changed. Specs are copied. */
#ifndef PODRAIL_DATAPLANE_H
#define PODRAIL_DATAPLANE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <podrail/addr.h>
#include <podrail/drop_reasons.h>
#include <podrail/limits.h>
#include <podrail/protocol.h>
#include <podrail/stages.h>

/* code: a pr_error_code; field: the member of the request at fault, or empty. */
struct dp_error {
	int code;
	char field[64];
	char message[256];
};

#define DP_INDEX_ANY UINT16_MAX

enum dp_idle {
	DP_IDLE_POLL,
	DP_IDLE_SLEEP,
};

/* What a configuration may set. All memory is taken by dp_start. */
struct dp_config {
	unsigned n_workers;
	int worker_cpu[PR_WORKERS_MAX]; /* may repeat (tests): workers then share a CPU */
	int control_cpu;
	enum dp_idle idle;
	unsigned memory_mib; /* hugepage memory; 0: just what the limits below need */
	bool no_huge; /* ordinary pages (tests only: slow, and no vhost-user mbuf sharing needed) */
	unsigned mbufs;         /* 0: default */
	unsigned max_routes;    /* IPv4 prefixes of all networks together */
	unsigned max_routes6;   /* the same for IPv6 */
	unsigned max_fib_nodes; /* 1 KiB each */
	unsigned max_fdb;       /* MAC addresses */
	unsigned max_neighbours;
	unsigned max_multicast;        /* groups of all bridged networks; 0: 1024 */
	unsigned max_reassemblies;     /* datagrams whose fragments wait for each other; 0: 64 */
	unsigned max_reassembly_bytes; /* of their fragments; 0: 1 MiB; in packets: a quarter of
	                                  mbufs */
	unsigned max_groups; /* of next hops; each 1,024 buckets, or several times that; 0: 16 */
	uint32_t flow_seed;  /* which member of a group a flow takes: flows stay if it does */
	char run_dir[256];   /* unique per instance: names the DPDK instance too */
	void (*log)(int priority, const char *message); /* syslog priorities; any thread */
};

/* Bytes of hugepage memory that dp_start takes: memory_mib, or what the limits need. Pure; any
 * thread. */
uint64_t dp_memory_needed(const struct dp_config *config);

/* Starts EAL, tables, tables thread and workers. error tells in one sentence what is missing and
 * what to do (hugepages, CPUs not in the cpuset). */
int dp_start(const struct dp_config *config, struct dp_error *error);

/* To be called once the ports of an earlier life were added: guests' packets are taken from now on
 * (or half a second later, when some guests are not back yet), so that none is lost because its
 * receiver came later than its sender. */
void dp_open(void);

/* Removes all ports, joins all threads, frees everything. */
void dp_stop(void);

/* ---- networks ---- */
struct dp_network_spec {
	char name[PR_NAME_MAX + 1];
	uint16_t index; /* DP_INDEX_ANY, or the index of an earlier life */
	bool routed;
	uint16_t mtu;
	struct pr_mac gateway_mac;
	uint32_t mac_ageing;           /* seconds, 0: never; bridged */
	uint32_t mac_limit;            /* learned addresses, 0: the table's size; bridged */
	bool snooping, querier;        /* bridged: multicast; querier: we ask, unless others do */
	uint16_t query_interval;       /* seconds, 0: 125; bridged */
	uint16_t link_local;           /* bit n: 01:80:c2:00:00:0n passes; bridged */
	bool proxy_arp, advertise;     /* routed */
	bool reassemble;               /* routed: fragments are put together on their way */
	uint8_t n_subnets, n_gateways; /* routed */
	struct pr_prefix subnets[PR_SUBNETS_MAX]; /* host bits clear */
	struct pr_ip gateways[PR_GATEWAYS_MAX];   /* addresses that answer */
};

/* index: filled with the network's index. -ENOSPC, -EEXIST (name or wanted index taken). */
int dp_network_add(const struct dp_network_spec *spec, uint16_t *index, struct dp_error *error);
/* -EBUSY while it has ports. Its routes and neighbours go with it. */
int dp_network_del(uint16_t index, struct dp_error *error);

/* ---- ports ---- */
enum dp_port_kind {
	DP_PORT_NONE,
	DP_PORT_VHOST_USER,
	DP_PORT_ETH,
};

/* Whether multicast routers may be behind a port. */
enum dp_multicast_router {
	DP_MULTICAST_AUTO, /* where it is believed (eth, trusted pods), if one is heard */
	DP_MULTICAST_ALWAYS,
	DP_MULTICAST_NEVER,
};

struct dp_port_spec {
	char name[PR_NAME_MAX + 1];
	uint16_t index; /* DP_INDEX_ANY, or the index of an earlier life */
	enum dp_port_kind kind;
	uint16_t network;
	uint16_t mtu;
	struct pr_mac mac;         /* vhost-user: the pod's (required); eth: zero = the device's */
	struct pr_mac gateway_mac; /* routed: zero = the network's */
	uint16_t vlan;             /* 0 or 1..4094, see docs/protocol.md */
	bool has_trunk;
	uint64_t trunk[64]; /* bit v: VLAN v passes tagged */
	bool isolated;
	bool trust;
	uint32_t mac_limit;  /* learned addresses, 0: unlimited */
	uint32_t flood_rate; /* packets a second, 0: unlimited */
	/* Bridged: broadcast, multicast, unknown unicast. Bit n of own_rates: class n has a rate of
	 * its own, else it counts for flood_rate. */
	uint8_t own_rates;
	uint32_t class_rate[3];
	uint32_t copy_rate; /* copies of them a second, 0: unlimited */
	enum dp_multicast_router multicast_router;
	bool multicast_fast_leave; /* one host behind it: a leave ends the membership at once */
	uint32_t multicast_limit;  /* groups that it may join, 0: unlimited */
	uint8_t n_addresses, n_allowed_prefixes, n_allowed_macs;
	struct pr_prefix addresses[PR_ADDRESSES_MAX]; /* host bits kept */
	struct pr_prefix allowed_prefixes[PR_ALLOWED_MAX];
	struct pr_mac allowed_macs[PR_ALLOWED_MAX];
	/* vhost-user */
	char socket[512];   /* absolute path; may exceed sun_path */
	bool server;        /* podrail creates the socket */
	int32_t socket_gid; /* server mode: group of the socket, -1: leave */
	/* both; eth: 0 = as many as there are workers and the device has */
	uint8_t queues;
	/* eth */
	char device[256]; /* PCI address or devargs */
};

/* Creates the device or socket and publishes the port to the workers. index and mac: filled with
 * what the port got. Errors: -ENOSPC, -EEXIST (index or VLAN taken), -ENOENT (socket directory
 * missing, no such device), -ELOOP (a symbolic link in the socket's path), -EADDRINUSE (socket or
 * address taken by another port). */
int dp_port_add(const struct dp_port_spec *spec, uint16_t *index, struct pr_mac *mac,
        struct dp_error *error);
/* Returns after a grace period: no worker touches the port any more; learned MACs, neighbours and
 * the routes that lead to it are gone (static routes through it become unreachable and come back
 * with a port of the same index: control re-adds them). */
int dp_port_del(uint16_t index, struct dp_error *error);

struct dp_port_state {
	bool up; /* link up, or guest connected with an enabled queue */
	bool connected;
	uint8_t active_queues;
	uint32_t learned_macs;
	uint32_t multicast_groups;
	uint64_t multicast_refused; /* groups that it might not join: its limit, or a full table */
	uint64_t refused_connects;
	uint64_t connects;
	uint64_t protocol_errors; /* messages refused, connections ended for what was sent */
	uint64_t ring_errors;     /* queues stopped because their rings made no sense */
	uint64_t memory_errors;   /* memory files that shrank under us */
	struct pr_mac mac;
	uint8_t queues;
	char numa; /* node, -1 unknown */
};
int dp_port_state(uint16_t index, struct dp_port_state *state);

/* ---- routes ---- */
enum dp_route_type {
	DP_ROUTE_VIA,
	DP_ROUTE_BLACKHOLE,
	DP_ROUTE_UNREACHABLE,
	DP_ROUTE_CONNECTED, /* only in answers: a network's subnet */
	DP_ROUTE_PORT,      /* only in answers: a pod's own address */
	DP_ROUTE_LOCAL,     /* only in answers: a gateway address */
};

/* The next hops of a route that has several (or one that may become several). Immutable once a
 * route has it; counted, freed with the last reference. */
struct dp_nexthop {
	struct pr_ip gateway;
	uint16_t port;                   /* DP_INDEX_ANY: found through gateway, or not there */
	uint16_t weight;                 /* 1 .. PR_WEIGHT_MAX */
	char port_name[PR_NAME_MAX + 1]; /* as control was asked, "" for none */
};

struct dp_nexthops {
	_Atomic uint32_t references;
	uint16_t n; /* 1 .. PR_NEXTHOPS_MAX, by address and port name, no two of both the same */
	struct dp_nexthop member[];
};

/* Room for n with one reference, NULL: no memory. Any thread, as the other two. */
struct dp_nexthops *dp_nexthops_new(unsigned n);
/* One more reference; NULL stays NULL. */
struct dp_nexthops *dp_nexthops_hold(struct dp_nexthops *nexthops);
void dp_nexthops_release(struct dp_nexthops *nexthops);

enum dp_nexthop_state {
	DP_NEXTHOP_UP,
	DP_NEXTHOP_RESOLVING, /* its neighbour has not answered yet; takes packets */
	DP_NEXTHOP_SILENT,    /* its neighbour does not answer */
	DP_NEXTHOP_DOWN,      /* its port is down or not there */
};

struct dp_route {
	uint16_t network;
	struct pr_prefix prefix; /* host bits clear */
	enum dp_route_type type;
	uint16_t port;        /* DP_INDEX_ANY: found through gateway */
	struct pr_ip gateway; /* family 0: none */
	uint8_t owner;        /* control's number for the owner, 0 = static */
	bool waits;           /* next hops whose port is not there yet are no error */
	uint32_t next_hop;    /* in answers: index of the next hop */
	/* DP_ROUTE_VIA with several next hops; NULL: port and gateway. The caller's reference; in
	 * answers the table's, which lives until the route is changed. */
	struct dp_nexthops *nexthops;
};

/* Adds or replaces n routes in one transaction: all or none. failed: index of the route at fault.
 */
int dp_route_add(const struct dp_route *routes, size_t n, size_t *failed, struct dp_error *error);
/* removed: how many of them were there. */
int dp_route_del(const struct dp_route *routes, size_t n, size_t *removed, struct dp_error *error);

/* Copies up to n routes of a network behind `after` (NULL: from the first), IPv4 before IPv6,
 * ordered by address and length; returns how many. owner -1: all. */
size_t dp_route_list(uint16_t network, int owner, const struct pr_prefix *after,
        struct dp_route *routes, size_t n);
/* The route of exactly this prefix. -ENOENT: there is none. */
int dp_route_find(uint16_t network, const struct pr_prefix *prefix, struct dp_route *route);
/* How many prefixes the network has. */
size_t dp_route_count(uint16_t network);

enum dp_neighbour_state {
	DP_NEIGHBOUR_STATIC,
	DP_NEIGHBOUR_INCOMPLETE,
	DP_NEIGHBOUR_REACHABLE,
	DP_NEIGHBOUR_STALE,
	DP_NEIGHBOUR_PROBE,
	DP_NEIGHBOUR_FAILED,
};

/* Of a packet to somewhere: what decides which of several next hops it takes. */
struct dp_flow {
	struct pr_ip source; /* of the destination's family */
	uint8_t protocol;
	uint16_t source_port, destination_port;
};

struct dp_route_lookup {
	struct dp_route route;
	int member;    /* of route.nexthops, -1: no flow was given */
	uint16_t port; /* egress, DP_INDEX_ANY if none */
	struct pr_ip gateway;
	bool resolved;
	struct pr_mac mac;
};
/* What the tables would do with a packet to address; flow may be NULL. -ENOENT: no route. */
int dp_route_get(uint16_t network, const struct pr_ip *address, const struct dp_flow *flow,
        struct dp_route_lookup *answer);
/* States of the members of a route's next hops. route: as an answer has it. */
void dp_nexthop_states(const struct dp_route *route, enum dp_nexthop_state states[PR_NEXTHOPS_MAX]);

/* ---- neighbours and MAC table ---- */
struct dp_neighbour {
	uint16_t network, port;
	struct pr_ip address;
	struct pr_mac mac;
	enum dp_neighbour_state state;
	uint32_t held; /* packets */
	uint32_t age;  /* seconds since confirmed */
};
int dp_neighbour_add(const struct dp_neighbour *neighbour, struct dp_error *error);
/* port: DP_INDEX_ANY, or only if it is behind that port; a link-local address needs it, for it may
 * be on several. -ENOENT when there is none, -EPERM for a pod's own address. */
int dp_neighbour_del(uint16_t network, uint16_t port, const struct pr_ip *address);
/* All entries, copied into an array that the caller frees; NULL and *n = 0 when there are none. */
struct dp_neighbour *dp_neighbour_list(size_t *n);

struct dp_fdb_entry {
	uint16_t network, vlan, port;
	struct pr_mac mac;
	bool is_static;
	uint32_t age; /* seconds since seen */
};
int dp_fdb_add(const struct dp_fdb_entry *entry, struct dp_error *error);
int dp_fdb_del(uint16_t network, uint16_t vlan, const struct pr_mac *mac);
/* Removes learned entries; DP_INDEX_ANY for any. Returns how many. */
size_t dp_fdb_flush(uint16_t network, uint16_t port);
struct dp_fdb_entry *dp_fdb_list(size_t *n);

/* ---- multicast ---- */
struct dp_multicast_member {
	uint16_t network, vlan, port;
	struct pr_ip group;
	uint8_t version;  /* of IGMP or MLD, as last said */
	uint32_t expires; /* seconds, unless it is said again */
};
/* All memberships, copied into an array that the caller frees; NULL and *n = 0 when there are none.
 */
struct dp_multicast_member *dp_multicast_list(size_t *n);

#define DP_MULTICAST_ROUTERS 64

struct dp_multicast_segment {
	uint16_t network, vlan;
	bool v6;
	bool active;   /* groups go to members only; else all is flooded */
	bool overflow; /* some group or member found no room: unknown or all ones are flooded */
	bool querying; /* we ask */
	bool other;    /* somebody else does, at querier behind querier_port */
	struct pr_ip querier;
	uint16_t querier_port; /* DP_INDEX_ANY: gone */
	uint32_t n_routers;    /* ports; the first ones are listed */
	uint16_t router[DP_MULTICAST_ROUTERS];
};
/* Both families of all segments with snooping; as above. */
struct dp_multicast_segment *dp_multicast_segments(size_t *n);

/* ---- counters ---- */
struct dp_port_counters {
	uint64_t rx_packets, rx_bytes, tx_packets, tx_bytes;
	uint64_t drops[PR_DROP_COUNT];
};
/* Sums over workers; monotonic while the port lives. */
int dp_port_counters(uint16_t index, struct dp_port_counters *counters);

struct dp_totals {
	/* in + generated + replicated + fragments == out + drops + consumed + merged + held once
	 * no packet moves */
	uint64_t in, generated, replicated, fragments, out, drops, consumed, merged, held;
	uint64_t drop_reasons[PR_DROP_COUNT];
	uint64_t stage_packets[PR_STAGE_COUNT];
	/* fill of the tables: used and size */
	struct dp_table_fill {
		uint64_t used, size;
	} routes, routes6, fib_nodes, next_hops, groups, group_buckets, fdb, neighbours,
	        multicast_groups, multicast_members, reassemblies, reassembly_bytes, ports,
	        networks, segments, mbufs;
	uint64_t learn_lost; /* learn events that found their ring full: repeated by the next packet
	                      */
	uint64_t multicast_lost; /* the same of multicast reports: repeated at the next query */
};
void dp_totals(struct dp_totals *totals);

/* Loads are shares of a core in millionths, the mean of the last seconds. */
struct dp_worker_queue {
	uint16_t port; /* DP_INDEX_ANY: none is visible */
	uint16_t queue;
	uint32_t load;
};

struct dp_worker_info {
	int cpu;
	int numa;      /* node of its CPU, -1 unknown */
	uint32_t load; /* that it was busy */
	uint64_t busy_cycles, idle_cycles, packets, batches;
	uint64_t polls; /* that found packets */
	bool sleeping;
	uint64_t tsc_hz;
	struct {
		uint64_t packets; /* sampled */
		uint64_t cycles;
	} stage[PR_STAGE_COUNT];
	unsigned n_queues;
	struct dp_worker_queue queue[PR_PORTS_MAX * PR_QUEUES_MAX];
};
/* -ENOENT: no such worker. info is large: allocate it. */
int dp_worker_info(unsigned worker, struct dp_worker_info *info);

#define DP_MOVES_MAX 256

struct dp_moves {
	unsigned n;
	struct dp_move {
		uint16_t port, queue;
		uint16_t from, to; /* workers */
		uint32_t load;
	} move[DP_MOVES_MAX];
	unsigned n_workers;
	uint64_t before[PR_WORKERS_MAX],
	        after[PR_WORKERS_MAX]; /* loads as they are, and expected */
};

/* Moves queues from workers that have more to do to such that have less, as long as the busier of
 * two gains more than gain millionths of a core; at most DP_MOVES_MAX. A queue's packets wait for
 * one turn of its old worker, none is lost, and flows keep their order. moves tells what was done.
 * -ENOMEM: nothing was. */
int dp_rebalance(uint32_t gain, struct dp_moves *moves, struct dp_error *error);
/* Gives one queue of a port to a worker, in the same way; moves is empty when it has it already.
 * -ENOENT: no such queue or worker. */
int dp_queue_move(uint16_t port, uint16_t queue, uint16_t worker, struct dp_moves *moves,
        struct dp_error *error);

#endif
