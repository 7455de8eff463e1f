/* SPDX-License-Identifier: BSD-3-Clause */
/* What the object files share: the accepted objects and how a method reads, stores and undoes them.
 * Everything here belongs to the control thread. */
#ifndef PODRAIL_OBJECT_H
#define PODRAIL_OBJECT_H

#include "control/control.h"
#include "control/json.h"
#include "control/map.h"

#define KIND_NETWORK   "network"
#define KIND_PORT      "port"
#define KIND_ROUTE     "route"
#define KIND_NEIGHBOUR "neighbour"
#define KIND_FDB       "fdb"

/* "network prefix", "network address", "network address%port" or "network vlan mac" */
#define OBJECT_KEY_MAX (2 * PR_NAME_MAX + PR_PREFIX_STRLEN + 8)

/* ---- object.c ---- */

/* Stores body under key and registers that `undo` is to be called with undo_params (consumed)
 * should the request fail later or not be committed. In a replay nothing is stored. Returns 0 or
 * -1. */
int object_store(struct request *request, const char *kind, const char *key, const cJSON *body,
        method_fn *undo, cJSON *undo_params);

/* The same without an undo: the caller has registered one. */
int object_put(struct request *request, const char *kind, const char *key, const cJSON *body);

/* Deletes what is stored under key, unless the request is a replay. Call it before the data plane
 * is touched: when the request fails afterwards, rpc takes the row back. Returns 0 or -1. */
int object_unstore(struct request *request, const char *kind, const char *key);

/* Registers that `undo` is called with params (consumed) as a replay if the request or its
 * commit fails. Does nothing in a replay. */
void object_on_rollback(struct request *request, method_fn *undo, cJSON *params);

/* Answers an add of something that is already there: the first time's answer when body equals
 * the old one, else PR_ERR_EXISTS. answer: what the answer shows under `member`; consumed. */
int object_repeat(struct request *request, const char *member, const char *what, const cJSON *body,
        const cJSON *old, cJSON *answer);

/* Fills the answer {"created": true, member: answer}; consumes answer. */
int object_created(struct request *request, const char *member, cJSON *answer);
int object_removed(struct request *request, bool removed);

/* Runs a method as replay with these params; returns what it returns, with its message logged on
 * failure when log_what is not NULL. */
int object_run(method_fn *run, const cJSON *params, const char *log_what);

/* An object that could not be restored stays stored until it is added again or removed. This tells
 * whether (kind, key) is such a one, and forgets it. */
bool replay_forget(const char *kind, const char *key);

/* ---- address.c: what may be the address of a host ---- */

/* NULL, or what is wrong: "is a multicast address". */
const char *address_fault(const struct pr_ip *ip);
/* The same for an address with its prefix length: network and broadcast address are none. */
const char *address_prefix_fault(const struct pr_prefix *prefix);
/* Whether the prefixes have an address in common. */
bool prefix_overlap(const struct pr_prefix *a, const struct pr_prefix *b);
/* Order of lists: family, address, length. */
int prefix_compare(const struct pr_prefix *a, const struct pr_prefix *b);
int ip_compare(const struct pr_ip *a, const struct pr_ip *b);

/* ---- network.c ---- */
struct network {
	struct dp_network_spec spec; /* index: the one it got */
	cJSON *body;                 /* normal form, without members that only answers have */
	unsigned ports;
};

struct network *network_find(const char *name);
/* NULL: no such index. */
struct network *network_by_index(uint16_t index);
/* The name of the network, "" for none. */
const char *network_name(uint16_t index);
/* The network that the request's member names; NULL with the request failed when there is none. */
struct network *network_wanted(struct request *request, const char *member);
/* The same, and it must be routed or bridged. */
struct network *network_wanted_mode(struct request *request, const char *member, bool routed);
/* All networks by name; the caller frees the array. */
struct network **network_sorted(size_t *n);
/* Whether ip is an address of the gateway. */
bool network_has_gateway(const struct network *network, const struct pr_ip *ip);
/* The subnet that covers ip, or NULL. */
const struct pr_prefix *network_subnet_of(const struct network *network, const struct pr_ip *ip);

method_fn network_add, network_del, network_list, network_show;
void network_free_all(void);

/* ---- port.c ---- */
struct port {
	struct dp_port_spec spec; /* index and mac: what it got */
	cJSON *body;              /* normal form, without members that only answers have */
	struct network *network;
	uint64_t serial; /* differs from that of every earlier port */
	bool mac_given;  /* eth: else the device's */
};

struct port *port_find(const char *name);
struct port *port_by_index(uint16_t index);
const char *port_name(uint16_t index);
struct port *port_wanted(struct request *request, const char *member);
/* The port that the member names, which must be in that network. */
struct port *port_wanted_in(
        struct request *request, const char *member, const struct network *network);
struct port **port_sorted(size_t *n);
size_t port_count(void);
/* The port of the network that has this address as its own, or NULL. */
struct port *port_with_address(const struct network *network, const struct pr_ip *ip);
/* Our own link-local address on the port's link (routed networks): fe80::1 towards pods, made from
 * the MAC address on uplinks, as the data plane has it. And whether ip is that one. */
struct pr_ip port_our_link_local(const struct port *port);
bool port_is_our_link_local(const struct port *port, const struct pr_ip *ip);
/* The port as answers show it. */
cJSON *port_json(const struct port *port);
/* Removes the port with everything that a request does: fails the request or returns 0. */
int port_remove(struct request *request, struct port *port);
/* "cni" of the port, or NULL. */
const cJSON *port_cni(const struct port *port);

method_fn port_add, port_del, port_list, port_show, port_describe;
void port_free_all(void);

/* ---- port_json.c: params to spec, spec to normal form ---- */
struct port_wish {
	struct dp_port_spec spec;
	struct network *network;
	bool mac_given;
};
/* Everything that can be said of the params alone and of the network. */
int port_parse(struct request *request, struct port_wish *wish);
/* The normal form; cni is copied. */
cJSON *port_body(const struct port_wish *wish, const cJSON *cni);

/* ---- multicast.c: what goes to many in bridged networks ---- */
/* Parts of network.add and port.add, and of their normal form. */
int multicast_parse_network(struct request *request, struct dp_network_spec *spec);
void multicast_body_network(cJSON *body, const struct dp_network_spec *spec);
int multicast_parse_port(struct request *request, struct dp_port_spec *spec, bool routed);
void multicast_body_port(cJSON *body, const struct dp_port_spec *spec);
method_fn multicast_list, multicast_status;

/* ---- port_check.c: what depends on other ports ---- */
int port_check(struct request *request, const struct port_wish *wish);
/* A stable locally administered MAC address that no other port of the network has. */
void port_make_mac(struct port_wish *wish);

/* ---- socket_path.c ---- */
/* Whether a vhost-user socket can be at path: fails the request otherwise. directory: when not
 * empty, the pod's own directory, which the socket must be in. */
int socket_path_check(
        struct request *request, const char *path, bool server, const char *directory);

/* ---- route_nexthops.c: lists of next hops, immutable once a route has them ---- */
/* By address and port name. */
void route_nexthops_sort(struct dp_nexthops *nexthops);
/* Whether they say the same, wherever their ports are; NULL equals NULL. */
bool route_nexthops_equal(const struct dp_nexthops *a, const struct dp_nexthops *b);
/* Whether their ports are the same ones, too; the same hash then. */
bool route_nexthops_identical(const struct dp_nexthops *a, const struct dp_nexthops *b);
uint32_t route_nexthops_hash(const struct dp_nexthops *nexthops);
/* The same list, perhaps one that is in use already: takes over and returns one reference. */
struct dp_nexthops *route_nexthops_share(struct dp_nexthops *nexthops);
void route_nexthops_forget(void);
/* Whether a port of this name makes a difference. NULL: no. */
bool route_nexthops_waits_for(const struct dp_nexthops *nexthops, const char *port);
/* Whether a member names the port with this index. NULL: no. */
bool route_nexthops_through(const struct dp_nexthops *nexthops, uint16_t port);
/* The same members with the indexes that their ports have now. NULL: no memory. */
struct dp_nexthops *route_nexthops_refresh(
        const struct dp_nexthops *nexthops, const struct network *network);
cJSON *route_nexthops_json(const struct dp_nexthops *nexthops);
/* Adds `state` to each. route: from the data plane; active false: it is not there. */
void route_nexthops_add_states(cJSON *array, const struct dp_route *route, bool active);

/* ---- route.c, owner.c, route_sync.c ---- */
struct static_route {
	char key[OBJECT_KEY_MAX];
	char port[PR_NAME_MAX + 1]; /* as named by the request, "" for none */
	struct dp_route route;      /* port: valid while active */
	bool active;                /* the data plane has it: its port is there */
};

method_fn route_add, route_del, route_list, route_get, route_sync;
/* Parses the route that object describes; its next hops are a reference of the caller's. where:
 * what its fields are called in front
 * ("routes[3]."). In a replay a port that is not there is allowed: then *port_missing. */
int route_parse(struct request *request, const cJSON *object, const char *where,
        struct network *network, uint8_t owner, struct dp_route *route, bool *port_missing);
/* The route with exactly this prefix in the data plane's table, whoever owns it. */
bool route_exact(uint16_t network, const struct pr_prefix *prefix, struct dp_route *route);
/* Its owner's name: "connected", "port", or as given. */
const char *route_owner_name(const struct dp_route *route);
/* Whether the table's route is what is wanted, and works. */
bool route_same(const struct dp_route *wanted, const struct dp_route *present);
cJSON *route_json(const struct dp_route *route, const char *port, bool active);
/* Registers that `run` (route_add or route_del) takes the change back, as object_on_rollback does.
 * Cheap: most changes stay. port: as named by the request, "" for none. */
void route_on_rollback(struct request *request, method_fn *run, const char *network,
        const struct dp_route *route, const char *port);
/* What is stored of a static route and what route.add takes. */
cJSON *route_body(const struct dp_route *route, const char *port);
void route_key(char key[OBJECT_KEY_MAX], const char *network, const struct pr_prefix *prefix);
struct static_route *route_static_find(const char *network, const struct pr_prefix *prefix);
/* Remembers or forgets a static route; the data plane is the caller's business. */
int route_static_put(const struct dp_route *route, const char *port, bool active);
/* It has other next hops now. */
void route_static_replace(struct static_route *entry, const struct dp_route *route);
void route_static_drop(struct static_route *route);
/* All static routes of the network, in the order of their keys; the caller frees the array. */
struct static_route **route_static_of(const struct network *network, size_t *n);

/* The number of an owner; makes one for a new name. Fails the request when there are too many, or
 * the name is reserved. Returns 0 or -1. */
int owner_number(struct request *request, const char *name, uint8_t *number);
/* -1: no such owner yet. */
int owner_find(const char *name);
const char *owner_name(uint8_t number);
/* Names in use ("static" is not counted), also of such whose routes are gone, until they are
 * needed; and how many there can be. */
struct dp_table_fill owner_fill(void);
void owner_free_all(void);

/* A sync that named a port which is gone can not be committed. */
void route_sync_port_gone(const struct port *port);
bool route_sync_owner_busy(uint8_t owner);
void route_sync_client_gone(struct client *client);

/* ---- what hangs on ports and networks ---- */
/* After port was added: static entries that name it become active. Before it is removed: they
 * become inactive. Either never fails: what the data plane refuses is logged. */
void route_port_added(struct port *port);
void route_port_removing(struct port *port);
void neighbour_port_added(struct port *port);
void neighbour_port_removing(struct port *port);
void fdb_port_added(struct port *port);
void fdb_port_removing(struct port *port);
/* Before a network is removed: deletes its static entries from the database. Returns 0 or -1. */
int route_network_unstore(struct request *request, const struct network *network);
int neighbour_network_unstore(struct request *request, const struct network *network);
int fdb_network_unstore(struct request *request, const struct network *network);
/* After it: forgets them, and registers what brings them back. */
void route_network_gone(struct request *request, const struct network *network);
void neighbour_network_gone(struct request *request, const struct network *network);
void fdb_network_gone(struct request *request, const struct network *network);

/* ---- neighbour.c, fdb.c ---- */
method_fn neighbour_add, neighbour_del, neighbour_list;
method_fn fdb_add, fdb_del, fdb_flush, fdb_list;
void route_free_all(void);
void neighbour_free_all(void);
void fdb_free_all(void);

/* ---- stats.c, worker.c, config_verbs.c, cni_verbs.c ---- */
method_fn stats_get, worker_list, worker_show, worker_rebalance, worker_move, config_show_verb,
        config_check_verb;
method_fn cni_status, cni_gc;
/* port: its stored form. Whether it is CNI's and neither the pod's namespace nor its directory is
 * there any more. */
bool cni_pod_gone(const cJSON *port);
void stats_client_gone(struct client *client);
/* {reason: count} of the reasons that are not 0. */
cJSON *stats_drops(const uint64_t drops[PR_DROP_COUNT]);

#endif
