/* SPDX-License-Identifier: BSD-3-Clause */
/* What a guarded port may say by neighbour discovery: as ARP, it speaks of the port's own addresses
 * and MACs only (in the way of RFC 6620, with configured bindings; RFC 6105 for routers). Workers.
 */
#ifndef DATAPLANE_STAGE_ND_GUARD_H
#define DATAPLANE_STAGE_ND_GUARD_H

#include "dataplane/shared.h"
#include "dataplane/stage/nd_message.h"

/* Whether the port may send this message; PR_DROP_COUNT: yes. ip: the IPv6 header, whose source was
 * checked. bridged: others hear it, to whom an advertisement of a router or a solicitation that
 * claims an address (RFC 4862 section 5.4.3) does harm. */
enum pr_drop_reason nd_guard_check(const struct guard *guard, const uint8_t *ip,
        const struct nd_message *message, bool bridged);

/* Finds a neighbour discovery message in an entry of a bridged network, behind extension headers
 * too, and checks it. Its IPv6 header lies within the head. PR_DROP_COUNT: it is none, or may
 * pass. One that can not be looked at wholly does not pass: nor one in fragments (RFC 6980), nor a
 * packet whose header chain does not end within the head (RFC 7112). */
enum pr_drop_reason nd_guard_bridged(
        const struct guard *guard, const struct batch *batch, uint64_t i);

#endif
