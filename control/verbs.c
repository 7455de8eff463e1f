/* SPDX-License-Identifier: BSD-3-Clause */
#include "control/verbs.h"

#include <podrail/limits.h>
#include <podrail/protocol.h>

/* One row a field and one row a verb is what makes a table readable. */
/* clang-format off */

#define FIELD(n, t, h, ...) {.name = (n), .type = (t), .help = (h), ##__VA_ARGS__}
#define COUNT(a)            (sizeof(a) / sizeof((a)[0]))
#define FIELDS(a)           .fields = (a), .n_fields = COUNT(a)
#define REQUIRED            .required = true
#define ARG(n)              .position = (n), .required = true
#define FILTER              .empty = true, .fallback = "any"
#define ARRAY(n)            .array = true, .max_items = (n)
#define RANGE(a, b)         .min = (a), .max = (b)
#define OUT(n, t, h)        {.name = (n), .type = (t), .help = (h), .out = true}

#define GID_MAX       INT64_C(4294967294)
#define RATE_MAX      1000000000
#define CNI_STRING    256
#define UNIX_TIME_MAX INT64_C(9007199254740991)

static const char *const network_modes[] = {"bridged", "routed", NULL};
static const char *const port_kinds[] = {"vhost-user", "eth", NULL};
static const char *const multicast_routers[] = {"auto", "always", "never", NULL};
static const char *const socket_modes[] = {"client", "server", NULL};
static const char *const route_types[] = {"via", "blackhole", "unreachable", NULL};
static const char *const sync_steps[] = {"begin", "chunk", "commit", "abort", NULL};

static const struct verb_field name_only[] = {
	FIELD("name", VERB_NAME, "name of the object", ARG(1)),
};

static const struct verb_field network_add[] = {
	FIELD("name", VERB_NAME, "name of the network", ARG(1)),
	FIELD("mode", VERB_ENUM, "switches frames or routes packets", REQUIRED, .values = network_modes),
	FIELD("mtu", VERB_INTEGER, "largest packet in bytes", RANGE(PR_MTU_MIN, PR_MTU_MAX), .fallback = "1500"),
	FIELD("gatewayMac", VERB_MAC, "MAC address of the gateway", .fallback = "02:70:72:00:00:01"),
	FIELD("macAgeing", VERB_INTEGER, "seconds until an unused MAC address is forgotten; 0: never", RANGE(0, 1000000), .only = "bridged", .fallback = "300"),
	FIELD("macLimit", VERB_INTEGER, "learned MAC addresses; 0: only the table bounds them", RANGE(0, 1000000), .only = "bridged", .fallback = "0"),
	FIELD("multicastSnooping", VERB_BOOL, "multicast groups go to their members and routers only, once somebody asks for them", .only = "bridged", .fallback = "true"),
	FIELD("multicastQuerier", VERB_BOOL, "ask hosts for their multicast groups, unless a router does", .only = "bridged", .fallback = "false"),
	FIELD("multicastQueryInterval", VERB_INTEGER, "seconds between these questions", RANGE(2, 3600), .only = "bridged", .fallback = "125"),
	FIELD("linkLocalFrames", VERB_STRING, "protocols on 01:80:c2:00:00:0X that pass between ports: stp, lacp, dot1x, lldp, or 00 to 0f", ARRAY(16), .max = 8, .only = "bridged", .fallback = "none"),
	FIELD("subnets", VERB_PREFIX, "connected prefixes; addresses in them that no port has are looked for on the uplinks", ARRAY(PR_SUBNETS_MAX), .only = "routed", .fallback = "none"),
	FIELD("gateways", VERB_IP, "addresses that the gateway answers for, besides 169.254.1.1 and fe80::1", ARRAY(PR_GATEWAYS_MAX), .only = "routed", .fallback = "first address of each subnet"),
	FIELD("routerAdvertisements", VERB_BOOL, "tell pods of their IPv6 gateway by router advertisements", .only = "routed", .fallback = "false"),
	FIELD("reassemble", VERB_BOOL, "put fragments together before they are routed; they leave cut as they came", .only = "routed", .fallback = "false"),
	FIELD("proxyArp", VERB_BOOL, "answer ARP for everything that is not on the asking port", .only = "routed", .fallback = "true"),
	OUT("uplinks", VERB_STRING, "names of the network's uplinks"),
	OUT("index", VERB_INTEGER, "number of the network"),
	OUT("ports", VERB_INTEGER, "how many ports it has"),
	OUT("routes", VERB_INTEGER, "how many routes it has"),
};

static const struct verb_field port_cni[] = {
	FIELD("containerId", VERB_STRING, "CNI_CONTAINERID", REQUIRED, .max = CNI_STRING),
	FIELD("ifname", VERB_STRING, "CNI_IFNAME", REQUIRED, .max = CNI_STRING),
	FIELD("netns", VERB_STRING, "CNI_NETNS", .empty = true, .max = 4095),
	FIELD("podNamespace", VERB_STRING, "namespace of the pod", .empty = true, .max = CNI_STRING),
	FIELD("podName", VERB_STRING, "name of the pod", .empty = true, .max = CNI_STRING),
	FIELD("podUid", VERB_STRING, "UID of the pod", .empty = true, .max = CNI_STRING),
	FIELD("networkName", VERB_STRING, "name of the CNI network", REQUIRED, .max = CNI_STRING),
	FIELD("socketDirectory", VERB_STRING, "directory made for the socket", .empty = true, .max = 4095),
	FIELD("created", VERB_INTEGER, "when, in seconds since 1970", RANGE(0, UNIX_TIME_MAX)),
};

static const struct verb_field port_add[] = {
	FIELD("name", VERB_NAME, "name of the port", ARG(1)),
	FIELD("kind", VERB_ENUM, "a pod's port, or a DPDK device", REQUIRED, .values = port_kinds),
	FIELD("network", VERB_NAME, "network that it joins", REQUIRED),
	FIELD("mtu", VERB_INTEGER, "largest packet in bytes", RANGE(PR_MTU_MIN, PR_MTU_MAX), .fallback = "the network's"),
	FIELD("mac", VERB_MAC, "MAC address of the pod, or of the device", .fallback = "made from the name, or the device's"),
	FIELD("gatewayMac", VERB_MAC, "MAC address of the gateway as this port sees it (routed networks)", .fallback = "the network's"),
	FIELD("vlan", VERB_INTEGER, "access VLAN; for eth: the tag on the wire; 0: untagged", RANGE(0, 4094), .fallback = "0"),
	FIELD("trunk", VERB_VLANS, "VLANs that keep their tag (bridged networks); vlan is the native one", ARRAY(4094), .fallback = "none"),
	FIELD("isolated", VERB_BOOL, "isolated ports do not reach one another (bridged networks)", .fallback = "false"),
	FIELD("macLimit", VERB_INTEGER, "MAC addresses learned behind it; 0: unlimited", RANGE(0, 1000000), .fallback = "16; eth: 0"),
	FIELD("floodRate", VERB_INTEGER, "broadcast, multicast and unknown unicast packets a second; 0: unlimited", RANGE(0, RATE_MAX), .fallback = "1000"),
	FIELD("broadcastRate", VERB_INTEGER, "broadcast packets a second; 0: unlimited (bridged networks)", RANGE(0, RATE_MAX), .fallback = "counts for floodRate"),
	FIELD("multicastRate", VERB_INTEGER, "multicast packets a second; 0: unlimited (bridged networks)", RANGE(0, RATE_MAX), .fallback = "counts for floodRate"),
	FIELD("unknownUnicastRate", VERB_INTEGER, "unknown unicast packets a second; 0: unlimited (bridged networks)", RANGE(0, RATE_MAX), .fallback = "counts for floodRate"),
	FIELD("copyRate", VERB_INTEGER, "copies a second that are made of all these; 0: unlimited (bridged networks)", RANGE(0, RATE_MAX), .fallback = "0"),
	FIELD("multicastRouter", VERB_ENUM, "whether multicast routers are behind it; auto: if one is heard, from a pod only if trusted (bridged networks)", .values = multicast_routers, .fallback = "auto"),
	FIELD("multicastFastLeave", VERB_BOOL, "one host is behind it: a leave ends its membership at once (bridged networks)", .fallback = "false"),
	FIELD("multicastLimit", VERB_INTEGER, "multicast groups that it may join; 0: unlimited (bridged networks)", RANGE(0, 65536), .fallback = "256; eth: 0"),
	FIELD("socket", VERB_PATH, "the vhost-user socket", REQUIRED, .only = "vhost-user"),
	FIELD("mode", VERB_ENUM, "client: the pod serves the socket; server: we do", .values = socket_modes, .only = "vhost-user", .fallback = "client"),
	FIELD("queues", VERB_INTEGER, "queue pairs", RANGE(1, PR_QUEUES_MAX), .only = "vhost-user", .fallback = "1"),
	FIELD("addresses", VERB_PREFIX, "the pod's own addresses", ARRAY(PR_ADDRESSES_MAX), .only = "vhost-user", .fallback = "none"),
	FIELD("allowedPrefixes", VERB_PREFIX, "further source addresses that the pod may use", ARRAY(PR_ALLOWED_MAX), .only = "vhost-user", .fallback = "none"),
	FIELD("allowedMacs", VERB_MAC, "further source MAC addresses that the pod may use", ARRAY(PR_ALLOWED_MAX), .only = "vhost-user", .fallback = "none"),
	FIELD("trust", VERB_BOOL, "check no source addresses at all", .only = "vhost-user", .fallback = "false"),
	FIELD("socketGroup", VERB_INTEGER, "group id of the socket (mode server); -1: the daemon's", RANGE(-1, GID_MAX), .only = "vhost-user", .fallback = "-1"),
	FIELD("device", VERB_STRING, "PCI address, devargs, or name of a device in use by another port", REQUIRED, .only = "eth", .max = 512),
	FIELD("addresses", VERB_PREFIX, "our own addresses on the uplink (routed networks)", ARRAY(PR_ADDRESSES_MAX), .only = "eth", .fallback = "none"),
	FIELD("queues", VERB_INTEGER, "queue pairs; 0: one a worker, at most what the device has", RANGE(0, 64), .only = "eth", .fallback = "0"),
	FIELD("cni", VERB_OBJECT, "set by the CNI plugin", FIELDS(port_cni)),
	OUT("uplink", VERB_BOOL, "leads to other nodes"),
	OUT("index", VERB_INTEGER, "number of the port"),
	OUT("state", VERB_STRING, "up or down"),
	OUT("connected", VERB_BOOL, "whether the guest is connected"),
	OUT("refusedConnects", VERB_INTEGER, "connections refused"),
	OUT("multicastGroups", VERB_INTEGER, "multicast groups that it has joined"),
	OUT("multicastRefused", VERB_INTEGER, "joins refused: its limit, or a full table"),
	OUT("protocolErrors", VERB_INTEGER, "messages of guests that were refused"),
	OUT("ringErrors", VERB_INTEGER, "queues stopped because their rings made no sense"),
	OUT("memoryErrors", VERB_INTEGER, "times that a guest's memory file shrank"),
	OUT("bootId", VERB_STRING, "boot in which CNI made it"),
};

static const struct verb_field port_del[] = {
	FIELD("name", VERB_NAME, "name of the port", ARG(1)),
	FIELD("cniContainerId", VERB_STRING, "remove it only if it is this container's", FILTER, .max = CNI_STRING),
};
static const struct verb_field port_list[] = {
	FIELD("network", VERB_NAME, "only ports of this network", FILTER, .position = 1),
	FIELD("cniNetwork", VERB_STRING, "only ports of this CNI network", FILTER, .max = CNI_STRING),
};

static const struct verb_field route_nexthop[] = {
	FIELD("via", VERB_IP, "address of the next router", REQUIRED),
	FIELD("port", VERB_NAME, "port that leads there", .empty = true, .fallback = "found by via"),
	FIELD("weight", VERB_INTEGER, "share of the flows", RANGE(1, PR_WEIGHT_MAX), .fallback = "1"),
	OUT("state", VERB_STRING, "up, resolving, silent or down"),
};

#define ROUTE_FIELDS                                                                               \
	FIELD("nexthops", VERB_OBJECT, "several next routers, which share the flows: via=ADDRESS[,port=NAME][,weight=N]", ARRAY(PR_NEXTHOPS_MAX), FIELDS(route_nexthop), .fallback = "none"), \
	FIELD("gateway", VERB_IP, "address of the next router", .empty = true, .fallback = "none"), \
	FIELD("port", VERB_NAME, "port that leads there", .empty = true, .fallback = "found by the gateway"), \
	FIELD("type", VERB_ENUM, "what happens to the packets", .values = route_types, .fallback = "via")
#define OWNER(...) FIELD("owner", VERB_NAME, "who brought the route", .max = PR_OWNER_MAX, __VA_ARGS__)

static const struct verb_field route_add[] = {
	FIELD("network", VERB_NAME, "routed network", ARG(1)),
	FIELD("prefix", VERB_PREFIX, "destinations", ARG(2)),
	ROUTE_FIELDS,
	OWNER(.fallback = "static"),
};
static const struct verb_field route_del[] = {
	FIELD("network", VERB_NAME, "routed network", ARG(1)),
	FIELD("prefix", VERB_PREFIX, "destinations", ARG(2)),
	OWNER(.fallback = "static"),
};
static const struct verb_field route_list[] = {
	FIELD("network", VERB_NAME, "only routes of this network", FILTER, .position = 1),
	OWNER(FILTER),
	FIELD("after", VERB_STRING, "go on after this `next` of an earlier answer", .empty = true, .fallback = "from the start"),
	FIELD("limit", VERB_INTEGER, "routes in one answer", RANGE(1, 10000), .fallback = "1000"),
};
static const struct verb_field route_get[] = {
	FIELD("network", VERB_NAME, "routed network", ARG(1)),
	FIELD("address", VERB_IP, "destination", ARG(2)),
	FIELD("source", VERB_IP, "source of a packet: which of several next hops takes it", .empty = true, .fallback = "none"),
	FIELD("protocol", VERB_INTEGER, "its protocol: 6 TCP, 17 UDP, 132 SCTP", RANGE(0, 255), .fallback = "0"),
	FIELD("sourcePort", VERB_INTEGER, "its source port", RANGE(0, 65535), .fallback = "0"),
	FIELD("destinationPort", VERB_INTEGER, "its destination port", RANGE(0, 65535), .fallback = "0"),
};
static const struct verb_field sync_route[] = {
	FIELD("prefix", VERB_PREFIX, "destinations", REQUIRED),
	ROUTE_FIELDS,
};
static const struct verb_field route_sync[] = {
	OWNER(REQUIRED),
	FIELD("network", VERB_NAME, "routed network", REQUIRED),
	FIELD("step", VERB_ENUM, "begin, chunk of routes, commit or abort", REQUIRED, .values = sync_steps),
	FIELD("routes", VERB_OBJECT, "routes of a chunk", .array = true, FIELDS(sync_route), .fallback = "none"),
};

static const struct verb_field neighbour_add[] = {
	FIELD("network", VERB_NAME, "routed network", ARG(1)),
	FIELD("port", VERB_NAME, "port behind which it is", ARG(2)),
	FIELD("address", VERB_IP, "its address", ARG(3)),
	FIELD("mac", VERB_MAC, "its MAC address", ARG(4)),
};
static const struct verb_field neighbour_del[] = {
	FIELD("network", VERB_NAME, "routed network", ARG(1)),
	FIELD("address", VERB_IP, "its address", ARG(2)),
	FIELD("port", VERB_NAME, "only if it is behind this port; a link-local address needs it", FILTER),
};
static const struct verb_field neighbour_list[] = {
	FIELD("network", VERB_NAME, "only neighbours in this network", FILTER, .position = 1),
	FIELD("port", VERB_NAME, "only neighbours behind this port", FILTER, .position = 2),
};

#define FDB_VLAN FIELD("vlan", VERB_INTEGER, "VLAN; 0: untagged", RANGE(0, 4094), .fallback = "0")

static const struct verb_field fdb_add[] = {
	FIELD("network", VERB_NAME, "bridged network", ARG(1)),
	FIELD("port", VERB_NAME, "port behind which the address is", ARG(2)),
	FIELD("mac", VERB_MAC, "the MAC address", ARG(3)),
	FDB_VLAN,
};
static const struct verb_field fdb_del[] = {
	FIELD("network", VERB_NAME, "bridged network", ARG(1)),
	FIELD("mac", VERB_MAC, "the MAC address", ARG(2)),
	FDB_VLAN,
};
static const struct verb_field fdb_flush[] = {
	FIELD("network", VERB_NAME, "only entries of this network", FILTER, .position = 1),
	FIELD("port", VERB_NAME, "only entries of this port", FILTER, .position = 2),
};
static const struct verb_field fdb_list[] = {
	FIELD("network", VERB_NAME, "only entries of this network", FILTER, .position = 1),
	FIELD("port", VERB_NAME, "only entries of this port", FILTER, .position = 2),
	FIELD("after", VERB_STRING, "go on after this `next` of an earlier answer", .empty = true, .fallback = "from the start"),
	FIELD("limit", VERB_INTEGER, "entries in one answer", RANGE(1, 10000), .fallback = "1000"),
};

static const struct verb_field multicast_list[] = {
	FIELD("network", VERB_NAME, "only groups of this network", FILTER, .position = 1),
	FIELD("port", VERB_NAME, "only groups of this port", FILTER, .position = 2),
	FIELD("after", VERB_STRING, "go on after this `next` of an earlier answer", .empty = true, .fallback = "from the start"),
	FIELD("limit", VERB_INTEGER, "entries in one answer", RANGE(1, 10000), .fallback = "1000"),
};
static const struct verb_field multicast_status[] = {
	FIELD("network", VERB_NAME, "only this network", FILTER, .position = 1),
};

static const struct verb_field stats_get[] = {
	FIELD("port", VERB_NAME, "only this port", FILTER, .position = 1),
	FIELD("zero", VERB_BOOL, "count from here on, for this connection", .fallback = "false"),
};
static const struct verb_field worker_show[] = {
	FIELD("index", VERB_INTEGER, "number of the worker", ARG(1), RANGE(0, PR_WORKERS_MAX - 1)),
};
static const struct verb_field worker_move[] = {
	FIELD("port", VERB_NAME, "name of the port", ARG(1)),
	FIELD("queue", VERB_INTEGER, "number of its queue", ARG(2), RANGE(0, 63)),
	FIELD("worker", VERB_INTEGER, "number of the worker", ARG(3), RANGE(0, PR_WORKERS_MAX - 1)),
};
static const struct verb_field config_check[] = {
	FIELD("config", VERB_OBJECT, "a configuration", ARG(1)),
};
static const struct verb_field cni_status[] = {
	FIELD("networks", VERB_NAME, "networks that must exist", ARRAY(PR_NETWORKS_MAX), .position = 1, .fallback = "none"),
};
static const struct verb_field cni_attachment[] = {
	FIELD("containerId", VERB_STRING, "CNI_CONTAINERID", REQUIRED, .max = CNI_STRING),
	FIELD("ifname", VERB_STRING, "CNI_IFNAME", REQUIRED, .max = CNI_STRING),
};
static const struct verb_field cni_gc[] = {
	FIELD("network", VERB_STRING, "name of the CNI network", REQUIRED, .max = CNI_STRING),
	FIELD("attachments", VERB_OBJECT, "what is still in use", REQUIRED, .array = true, FIELDS(cni_attachment)),
};

#define READ    .read_only = true
#define ONE(r)  .result = (r)
#define LIST(r) .result = (r), .list = true
#define NONE    .fields = NULL, .n_fields = 0
#define VERB(n, h, e, ...) {.name = (n), .help = (h), .example = (e), __VA_ARGS__}

const struct verb verb_table[] = {
	VERB("hello", "tell who serves the socket", "hello", READ, NONE),

	VERB("network.add", "add a bridged or routed network", "network add blue --mode routed --subnets 198.18.0.0/24", FIELDS(network_add), ONE("network"), .selector = "mode"),
	VERB("network.del", "remove a network that has no ports", "network del blue", FIELDS(name_only)),
	VERB("network.list", "list the networks", "network list", READ, NONE, LIST("networks")),
	VERB("network.show", "show one network", "network show blue", READ, FIELDS(name_only), ONE("network")),

	VERB("port.add", "add a pod's port or a device", "port add pod1 --kind vhost-user --network blue --socket /run/pods/pod1/vhost.sock --addresses 198.18.0.2/32", FIELDS(port_add), ONE("port"), .selector = "kind"),
	VERB("port.del", "remove a port", "port del pod1", FIELDS(port_del)),
	VERB("port.list", "list the ports", "port list --network blue", READ, FIELDS(port_list), LIST("ports")),
	VERB("port.show", "show one port", "port show pod1", READ, FIELDS(name_only), ONE("port")),
	VERB("port.describe", "print the testpmd line and the pod snippet that use the port", "port describe pod1", READ, FIELDS(name_only)),

	VERB("route.add", "add a route", "route add blue 192.0.2.0/24 --gateway 198.18.0.9", FIELDS(route_add), ONE("route")),
	VERB("route.del", "remove a route", "route del blue 192.0.2.0/24", FIELDS(route_del)),
	VERB("route.list", "list routes, connected ones and pods' included", "route list blue --owner static", READ, FIELDS(route_list), LIST("routes")),
	VERB("route.get", "tell where a packet to an address would go", "route get blue 192.0.2.7", READ, FIELDS(route_get)),
	VERB("route.sync", "replace all routes of an owner in a network", "route sync --owner bgp --network blue routes.txt", FIELDS(route_sync)),

	VERB("neighbour.add", "add a static neighbour", "neighbour add blue uplink0 192.0.2.1 02:00:00:00:00:01", FIELDS(neighbour_add), ONE("neighbour")),
	VERB("neighbour.del", "remove a neighbour", "neighbour del blue 192.0.2.1", FIELDS(neighbour_del)),
	VERB("neighbour.list", "list the neighbours", "neighbour list blue", READ, FIELDS(neighbour_list), LIST("neighbours")),

	VERB("fdb.add", "add a static MAC address", "fdb add red pod1 02:00:00:00:00:01 --vlan 10", FIELDS(fdb_add)),
	VERB("fdb.del", "remove a MAC address", "fdb del red 02:00:00:00:00:01 --vlan 10", FIELDS(fdb_del)),
	VERB("fdb.flush", "forget learned MAC addresses", "fdb flush red --port pod1", FIELDS(fdb_flush)),
	VERB("fdb.list", "list the MAC addresses", "fdb list red", READ, FIELDS(fdb_list), LIST("entries")),

	VERB("multicast.list", "list multicast groups and the ports that joined them", "multicast list red", READ, FIELDS(multicast_list), LIST("groups")),
	VERB("multicast.status", "tell who asks for multicast groups and where routers are", "multicast status red", READ, FIELDS(multicast_status), LIST("segments")),

	VERB("stats.get", "show counters and the reasons of drops", "stats get pod1", READ, FIELDS(stats_get)),

	VERB("worker.list", "list the workers and what they poll", "worker list", READ, NONE, LIST("workers")),
	VERB("worker.show", "show one worker with its stages", "worker show 0", READ, FIELDS(worker_show)),
	VERB("worker.rebalance", "move queues from busy workers to others", "worker rebalance", NONE, LIST("moves")),
	VERB("worker.move", "give a queue to another worker", "worker move pod1 0 1", FIELDS(worker_move), LIST("moves")),

	VERB("config.show", "show the effective configuration", "config show", READ, NONE),
	VERB("config.check", "check a configuration as start-up would", "config check /etc/podrail/podraild.json", READ, FIELDS(config_check)),

	VERB("cni.status", "tell whether CNI ADD would work", "cni status blue", READ, FIELDS(cni_status)),
	VERB("cni.gc", "remove CNI ports that are not listed", "cni gc --network podnet --attachments '[{\"containerId\": \"c1\", \"ifname\": \"net1\"}]'", FIELDS(cni_gc)),
};
/* clang-format on */

const unsigned verb_count = COUNT(verb_table);
