/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Just enough ARP (RFC 826, 5227) and neighbour discovery (RFC 4861) for a host: answers for the
 * own addresses, announcements, and asking for the gateway. No EAL. Any thread.
 */
#ifndef GEN_NEIGHBOUR_H
#define GEN_NEIGHBOUR_H

#include <stdbool.h>
#include <stdint.h>

#include <podrail/addr.h>

#define NEIGHBOUR_FRAME_MAX 96

struct neighbour_self {
	struct pr_mac mac;
	struct pr_ip ip4, ip6; /* family 0: none */
	uint16_t vlan;         /* 0: untagged */
};

/* Writes the answer to a request for one of our addresses. Returns its length, 0 when none. */
uint32_t neighbour_answer(
        const struct neighbour_self *self, const uint8_t *frame, uint32_t len, uint8_t *out);

/* Writes a gratuitous ARP request or an unsolicited advertisement for ip. Returns the length. */
uint32_t neighbour_announce(
        const struct neighbour_self *self, const struct pr_ip *ip, uint8_t *out);

/* Writes an ARP request or a solicitation for `target`. Returns the length, 0 without an own
 * address of that family. */
uint32_t neighbour_ask(const struct neighbour_self *self, const struct pr_ip *target, uint8_t *out);

/* Whether the frame says which MAC `ip` has (ARP of any kind, or an advertisement). */
bool neighbour_learn(
        const uint8_t *frame, uint32_t len, const struct pr_ip *ip, struct pr_mac *mac);

#endif
