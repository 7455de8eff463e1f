/* SPDX-License-Identifier: BSD-3-Clause */
/* The parts of the reassemble stage. Workers only. */
#ifndef DATAPLANE_STAGE_REASSEMBLE_H
#define DATAPLANE_STAGE_REASSEMBLE_H

#include "dataplane/stage/stage.h"
#include "dataplane/table/reassembly.h"

/* What is remembered of fragments (reassembly_fragment.marks). */
enum reassemble_mark {
	MARK_NOT_ECT = 1 << 0, /* by the two bits of ECN (RFC 3168 section 5) */
	MARK_ECT1 = 1 << 1,
	MARK_ECT0 = 1 << 2,
	MARK_CE = 1 << 3,
	MARK_ECN = MARK_NOT_ECT | MARK_ECT1 | MARK_ECT0 | MARK_CE,
	MARK_DF = 1 << 4, /* IPv4: don't fragment */
};

/* Reads and checks a fragment, and lands it: fragment->packet is its mbuf, which the entry keeps.
 * PR_DROP_COUNT: it is sound. fragment->length 0 then: it is none, or a packet of its own. */
enum pr_drop_reason reassemble_read4(
        struct batch *batch, uint64_t i, struct reassembly_fragment *fragment);
enum pr_drop_reason reassemble_read6(
        struct batch *batch, uint64_t i, struct reassembly_fragment *fragment);

/* Makes entry i the whole packet: the first fragment's mbuf with the others' payload chained to it.
 * IPv6 keeps its fragment header, as that of a packet in one fragment, and is to be cut again
 * whoever gets it. Anything but PR_DROP_COUNT: it can not be, and nothing was changed. */
enum pr_drop_reason reassemble_join4(
        struct batch *batch, uint64_t i, const struct reassembly_taken *taken);
enum pr_drop_reason reassemble_join6(
        struct batch *batch, uint64_t i, const struct reassembly_taken *taken);

static inline enum pr_drop_reason reassemble_reason(enum reassembly_why why)
{
	switch (why) {
	case REASSEMBLY_TIMEOUT:
		return PR_DROP_REASSEMBLY_TIMEOUT;
	case REASSEMBLY_OVERLAP:
		return PR_DROP_FRAGMENT_OVERLAP;
	case REASSEMBLY_LIMIT:
		return PR_DROP_REASSEMBLY_LIMIT;
	default:
		return PR_DROP_PORT_NOT_READY;
	}
}

#endif
