/* SPDX-License-Identifier: BSD-3-Clause */
/* Every stage of the pipeline, in the order in which a batch runs through it: one list. How to add
 * one: docs/extending.md. */
#ifndef PODRAIL_STAGES_H
#define PODRAIL_STAGES_H

#define PR_STAGES(X)                                                                               \
	X(RX, rx, "packets taken from ports and from the tables thread")                           \
	X(PARSE, parse, "Ethernet, VLAN and IP headers are read, the segment is found")            \
	X(INGRESS_CHECK, ingress_check, "source MAC and address against what the port may use")    \
	X(BRIDGE, bridge, "learning and MAC lookup in bridged networks")                           \
	X(POLICE, police, "broadcast, multicast and unknown unicast against the port's limit")     \
	X(MULTICAST, multicast, "IGMP and MLD snooping: groups to their members and routers")      \
	X(FLOOD, flood, "one copy for each other member of the segment")                           \
	X(ARP, arp, "ARP of routed networks: answers, and news for the tables thread")             \
	X(ND, nd, "the same for IPv6: neighbour discovery and router solicitations")               \
	X(REASSEMBLE, reassemble, "fragments wait for the rest of their datagram")                 \
	X(ROUTE, route, "RFC 1812 checks and longest-prefix match")                                \
	X(ROUTE6, route6, "RFC 8200 checks and longest-prefix match")                              \
	X(LOCAL, local, "packets to the gateway itself: echo")                                     \
	X(LOCAL6, local6, "the same for IPv6")                                                     \
	X(ICMP_ERROR, icmp_error, "time exceeded and unreachable, made from the refused packet")   \
	X(ICMP6_ERROR, icmp6_error, "the same for IPv6, and packet too big")                       \
	X(PUNT, punt, "packets that wait for a neighbour go to the tables thread")                 \
	X(REWRITE, rewrite, "TTL, checksum and MAC header of routed packets")                      \
	X(TX, tx, "grouped by egress queue and sent")                                              \
	X(DROP, drop, "counted by reason and freed")

enum pr_stage {
#define X(id, name, help) PR_STAGE_##id,
	PR_STAGES(X)
#undef X
	        PR_STAGE_COUNT
};

static inline const char *pr_stage_name(unsigned stage)
{
	static const char *const names[] = {
#define X(id, name, help) #name,
	        PR_STAGES(X)
#undef X
	};

	return stage < PR_STAGE_COUNT ? names[stage] : "?";
}

#endif
