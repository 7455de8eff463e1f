/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The generator's frames: Ethernet, maybe an 802.1Q tag, IPv4 (RFC 791) or IPv6 (RFC 8200), UDP
 * or TCP, and a payload that says which packet it is. No EAL. Any thread, after pattern_init.
 *
 * Payload (18 bytes, network order): magic, run, flow, the low half of the sequence number,
 * time stamp, and a check over these. A 60-byte IPv4/UDP frame has room for no more; the
 * receiver knows the high half. Payloads from 28 bytes go on with a body: the pattern's phase
 * (2 bytes), pattern, and 8 bytes that repeat who the packet is, so that a body under another
 * packet's head is found out. In shorter ones the rest is pattern of phase 0.
 */
#ifndef GEN_FRAME_H
#define GEN_FRAME_H

#include <stdbool.h>
#include <stdint.h>

#include <podrail/addr.h>

#define FRAME_MAGIC       0x7067u
#define FRAME_HEADERS_MAX 80 /* 18 + 40 + 20, rounded up */
#define FRAME_PAYLOAD     18
#define FRAME_WITH_BODY   28
#define FRAME_SIZE_MAX    (14 + 9600)
#define FRAME_PORT_SPAN   50000u /* source ports of one destination port */
#define FRAME_SPORT       10000u /* the first source port */
#define FRAME_DPORT       20562u /* the first destination port */
#define FRAME_DPORTS      32u
#define FRAME_TTL         64

enum frame_proto { FRAME_UDP = 17, FRAME_TCP = 6 };

/* Where the frames of one pair of ports go from and to. */
struct frame_spec {
	struct pr_mac src_mac, dst_mac;
	uint16_t vlan; /* 0: untagged */
	struct pr_ip src, dst;
	uint8_t dst_len; /* destinations are spread over this prefix of dst; full length: dst alone
	                  */
	uint32_t flows;
	bool scatter; /* neighbouring flows go to distant destinations; flows is a power of two */
	enum frame_proto proto;
};

/* The finished headers of a pair; flows differ in source port or destination. Read-only. */
struct frame_template {
	uint8_t headers[FRAME_HEADERS_MAX];
	uint8_t l3, l4, payload; /* offsets in the frame */
	uint8_t ipv6, tcp;
	uint8_t spread;
	uint64_t dst_base; /* the low 64 (IPv6) or 32 bits of the first destination, host order */
	uint64_t dst_step;
	uint32_t dst_factor; /* flow n goes to destination n * factor & mask */
	uint32_t dst_mask;
	uint8_t dst_shift; /* flows that share a destination differ in source port: n >> shift */
	uint64_t l3_sum;   /* of what does not change, memory order */
	uint64_t l4_sum;
};

/* What a transmit buffer remembers about the pattern that it holds. */
struct frame_slot {
	uint16_t phase;
	uint16_t trailer; /* where the last frame's trailer lies, 0: none */
	uint8_t mixed;    /* frames of several layouts or sizes use it */
};

/* Who a packet is. */
struct frame_id {
	uint16_t run;
	uint32_t flow;
	uint32_t seq; /* low half */
	uint32_t stamp;
};

/*
 * Makes the headers. With more flows than the prefix has addresses, flows share destinations.
 * Returns 0 or -EINVAL (families differ, a flow too many, or a number that can not be scattered).
 */
int frame_template_init(struct frame_template *t, const struct frame_spec *spec);

/* The smallest frame of a template, without its tag. */
uint16_t frame_size_min(const struct frame_template *t);

/* Fills a buffer of FRAME_SIZE_MAX + 4 or `room` bytes with pattern; once per buffer. */
void frame_slot_init(struct frame_slot *slot, uint8_t *buf, uint32_t room, uint32_t index);

/*
 * Writes the frame of flow `flow` (index in its pair) into buf, `size` bytes without the tag.
 * Returns the length.
 */
uint16_t frame_write(const struct frame_template *t, struct frame_slot *slot, uint8_t *buf,
        uint32_t flow, uint16_t size, const struct frame_id *id);

enum frame_class {
	FRAME_FOREIGN,   /* not of a generator */
	FRAME_NEIGHBOUR, /* ARP or neighbour discovery */
	FRAME_OURS,      /* who it is can be believed; it may be bad nevertheless */
	FRAME_BROKEN,    /* ours by its port or magic, but who it is can not be read */
};

enum frame_fault {
	FRAME_BAD_L3 = 1,      /* IPv4 header checksum */
	FRAME_BAD_L4 = 2,      /* UDP or TCP checksum */
	FRAME_BAD_LENGTH = 4,  /* lengths that contradict one another */
	FRAME_BAD_PAYLOAD = 8, /* the payload's own check */
	FRAME_BAD_BODY = 16,   /* pattern or trailer */
	FRAME_BAD_TTL = 32,    /* set by the receiver, which knows what it expects */
	FRAME_BAD_SIZE = 64,   /* likewise */
	FRAME_FAULTS = 7,
};

/* What a received frame is; offsets as in the template. */
struct frame_info {
	struct frame_id id;
	uint16_t vlan;
	uint8_t l3, l4, payload;
	uint8_t ipv6, tcp, ttl;
	uint32_t length; /* from the Ethernet header to the end of the IP packet */
	unsigned faults;
};

/* Looks at `len` bytes of a frame. */
enum frame_class frame_parse(const uint8_t *frame, uint32_t len, struct frame_info *info);

/*
 * Whether addresses and ports are those of flow `flow` of the template; swapped: of its
 * reflection.
 */
bool frame_matches(const struct frame_template *t, uint32_t flow, const uint8_t *frame,
        const struct frame_info *info, bool swapped);

/* Turns a frame of ours round: MAC and IP addresses and ports swapped, own MAC, fresh TTL. */
void frame_reflect(uint8_t *frame, const struct frame_info *info, const struct pr_mac *own);

#endif
