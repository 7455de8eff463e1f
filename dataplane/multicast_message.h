/* SPDX-License-Identifier: BSD-3-Clause */
/* What hosts and routers say about group membership: IGMPv1-3 (RFC 1112, 2236, 3376), MLDv1 and v2
 * (RFC 2710, 3810), and PIM hellos (RFC 7761 4.9.2). Pure functions; any thread. */
#ifndef DATAPLANE_MULTICAST_MESSAGE_H
#define DATAPLANE_MULTICAST_MESSAGE_H

#include <stdbool.h>
#include <stdint.h>

#include <podrail/addr.h>

enum multicast_kind {
	MULTICAST_DATA,    /* none of ours: goes by its destination */
	MULTICAST_INVALID, /* one of ours, but malformed: nobody may learn from it */
	MULTICAST_QUERY,
	MULTICAST_REPORT, /* reports and leaves: records say what */
	MULTICAST_HELLO,  /* a PIM router */
	MULTICAST_OTHER,  /* an IGMP type that is not for us: RFC 4541 2.1.1 floods it */
};

enum multicast_action {
	MULTICAST_NOTHING, /* link-local group, unknown record: no news */
	MULTICAST_JOIN,
	MULTICAST_LEAVE,
	MULTICAST_BLOCK, /* fewer sources, perhaps none any more */
};

struct multicast_message {
	enum multicast_kind kind;
	bool v6;
	uint8_t version; /* of IGMP, or of MLD */
	struct pr_ip source;
	/* Queries */
	struct pr_ip group; /* family 0: a general one */
	bool sources;       /* asks for sources, or says that timers stay (S) */
	uint8_t robustness; /* 0: not said */
	uint32_t response_ms;
	uint32_t interval_s; /* 0: not said */
	/* Reports: where multicast_next stands. */
	const uint8_t *record;
	unsigned left; /* records */
};

struct multicast_record {
	struct pr_ip group;
	enum multicast_action action;
};

#define MULTICAST_NO_OFFLOAD UINT32_MAX

/* Reads a whole IP packet of length bytes (Ethernet's padding may be behind it). offload: where,
 * from l3, a checksum is still to be written for the sender, or MULTICAST_NO_OFFLOAD: the message's
 * own is then not looked at, and any other makes it invalid. message points into l3. */
void multicast_parse(const uint8_t *l3, unsigned length, bool v6, uint32_t offload,
        struct multicast_message *message);

/* The next record of a report. False: there is none. */
bool multicast_next(struct multicast_message *message, struct multicast_record *record);

/* Whether the group is one that is always flooded, never registered: link-local scope and narrower
 * (224.0.0.0/24, RFC 4541 2.1.2; ffx0 to ffx2, RFC 4541 section 3, RFC 4291 2.7). */
static inline bool multicast_is_local4(const uint8_t group[4])
{
	return group[0] == 224 && group[1] == 0 && group[2] == 0;
}

static inline bool multicast_is_local6(const uint8_t group[16])
{
	return (group[1] & 0xf) <= 2;
}

#define MULTICAST_QUERY_MAX 96 /* bytes of a frame */

struct multicast_query {
	const struct pr_mac *mac;  /* sender's */
	struct pr_ip source;       /* its family is the query's */
	const struct pr_ip *group; /* NULL: a general query */
	uint32_t response_ms;
	uint32_t interval_s;
	uint8_t robustness;
};

/* Writes an IGMPv3 or MLDv2 query; returns the frame's length. */
unsigned multicast_fill_query(uint8_t *frame, const struct multicast_query *query);

#endif
