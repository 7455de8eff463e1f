/* SPDX-License-Identifier: BSD-3-Clause */
/* Every reason for which a packet may die: one list. A packet can not be freed without one. */
#ifndef PODRAIL_DROP_REASONS_H
#define PODRAIL_DROP_REASONS_H

#define PR_DROP_REASONS(X)                                                                         \
	X(TOO_SHORT, too_short, "shorter than its headers say")                                    \
	X(HEADER_TOO_LONG, header_too_long, "header chain does not end within the head")           \
	X(BAD_SOURCE_MAC, bad_source_mac, "source MAC is zero or a group address")                 \
	X(VLAN_NOT_MEMBER, vlan_not_member, "the port is no member of the frame's VLAN")           \
	X(PORT_NOT_READY, port_not_ready, "the ingress port was being added or removed")           \
	X(SPOOFED_MAC, spoofed_mac, "source MAC is not the port's")                                \
	X(SPOOFED_IP, spoofed_ip, "source address is not the port's")                              \
	X(FLOOD_LIMIT, flood_limit, "above the port's limit for flooded frames")                   \
	X(FLOOD_EMPTY, flood_empty, "no other member to flood to")                                 \
	X(NO_MEMBER, no_member, "multicast group without a member and without a router")           \
	X(MULTICAST_INVALID, multicast_invalid, "malformed IGMP or MLD (RFC 4541 2.1.1)")          \
	X(MULTICAST_QUERIER, multicast_querier, "multicast query from a port that may not ask")    \
	X(LINK_LOCAL_FRAME, link_local_frame, "IEEE 802.1D link-local group: not forwarded")       \
	X(SAME_PORT, same_port, "would leave through the port it came from")                       \
	X(ISOLATED, isolated, "both ports are isolated")                                           \
	X(MAC_NOT_OURS, mac_not_ours, "routed network, but not to the gateway's MAC")              \
	X(NOT_IP, not_ip, "routed network, neither IP nor ARP")                                    \
	X(IP_HEADER, ip_header, "IP version, header length or total length is wrong")              \
	X(IP_CHECKSUM, ip_checksum, "IPv4 header checksum is wrong")                               \
	X(IP_MARTIAN, ip_martian, "source or destination may not appear here (RFC 1812 5.3.7)")    \
	X(TTL_EXPIRED, ttl_expired, "TTL ran out and no error may be or could be sent")            \
	X(NO_ROUTE, no_route, "no route to the destination")                                       \
	X(BEYOND_SCOPE, beyond_scope, "a link-local source, but not for its link (RFC 4291)")      \
	X(BLACKHOLE, blackhole, "a route says blackhole")                                          \
	X(UNREACHABLE, unreachable, "a route says unreachable")                                    \
	X(NEIGHBOUR_FAILED, neighbour_failed, "the next hop does not answer")                      \
	X(NEIGHBOUR_QUEUE, neighbour_queue, "too many packets wait for this neighbour")            \
	X(PUNT_FULL, punt_full, "the ring to the tables thread is full")                           \
	X(MTU_EXCEEDED, mtu_exceeded, "larger than the egress port's MTU")                         \
	X(ARP_INVALID, arp_invalid, "malformed ARP")                                               \
	X(ARP_NOT_FOR_US, arp_not_for_us, "ARP that asks for nothing we answer")                   \
	X(ND_INVALID, nd_invalid, "malformed neighbour discovery (RFC 4861 6.1, 7.1)")             \
	X(ND_ROUTER, nd_router, "a pod that is not trusted says that it is a router (RFC 6105)")   \
	X(ND_NOT_FOR_US, nd_not_for_us, "neighbour discovery that asks for nothing we answer")     \
	X(FRAGMENT_INVALID, fragment_invalid,                                                      \
	        "a fragment that no datagram has: empty, too far, headers cut (RFC 1858, 7112)")   \
	X(FRAGMENT_OVERLAP, fragment_overlap, "fragments that contradict each other (RFC 5722)")   \
	X(FRAGMENT_DUPLICATE, fragment_duplicate, "a fragment that is waiting here already")       \
	X(REASSEMBLY_LIMIT, reassembly_limit, "more fragments or datagrams than may wait")         \
	X(REASSEMBLY_TIMEOUT, reassembly_timeout, "the rest of the datagram did not come")         \
	X(LOCAL_UNHANDLED, local_unhandled, "to the gateway itself, but nothing it serves")        \
	X(EGRESS_DOWN, egress_down, "the egress port is down or gone")                             \
	X(EGRESS_FULL, egress_full, "the egress queue is full")                                    \
	X(GUEST_BUFFER, guest_buffer, "longer than the receiving guest's buffers")                 \
	X(BAD_OFFLOAD, bad_offload,                                                                \
	        "what the guest left to us (checksum, segments) makes no sense")                   \
	X(NO_MBUF, no_mbuf, "no packet buffer left")                                               \
	X(ICMP_LIMIT, icmp_limit, "ICMP error not sent: rate limit")                               \
	X(SHUTDOWN, shutdown, "held while the daemon stopped")

enum pr_drop_reason {
#define X(id, name, help) PR_DROP_##id,
	PR_DROP_REASONS(X)
#undef X
	        PR_DROP_COUNT
};

static inline const char *pr_drop_name(unsigned reason)
{
	static const char *const names[] = {
#define X(id, name, help) #name,
	        PR_DROP_REASONS(X)
#undef X
	};

	return reason < PR_DROP_COUNT ? names[reason] : "?";
}

#endif
