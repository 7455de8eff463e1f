/* SPDX-License-Identifier: BSD-3-Clause */
/* The world of the tests of IPv6 stages, a frame at a time: what goes in, what comes out at which
 * port, and why the rest dies. No packet leaves the process; each frame comes from a guest, head
 * copied, rest where it lies. */
#ifndef TESTS_UNIT_STAGES6_WORLD_H
#define TESTS_UNIT_STAGES6_WORLD_H

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "dataplane/stage/ip6.h"
#include "dataplane/stage/stage.h"

#define PORTS     4
#define FRAME_MAX 4096

enum { A, B, UPLINK, BRIDGED };

struct frame {
	uint8_t bytes[FRAME_MAX];
	unsigned length;
	unsigned port; /* where it came out */
};

#define PA "2001:db8:1::2"
#define PB "2001:db8:1::3"
#define GW "2001:db8:1::1"
#define PC "2001:db8:1::5" /* of the bridged port */

extern const uint8_t gateway_mac[6];
extern const uint8_t mac_of[PORTS][6];

/* What the last frame came to: frames that came out, and what workers told the tables thread. */
extern struct frame out[8];
extern unsigned n_out;
extern struct event told[8];
extern unsigned n_told;
/* Where the checksum is that is left to us, with OFFLOAD_CSUM. */
extern uint16_t csum_start, csum_offset;

/* For cmocka_run_group_tests. */
int world_start(void **state);
int world_stop(void **state);

/* The bytes of an address; eight at a time. */
const uint8_t *address(const char *text);

/* payload NULL: any bytes. */
struct frame packet(unsigned from, const char *source, const char *to, uint8_t next,
        const void *payload, unsigned length);
struct frame udp(unsigned from, const char *source, const char *to, unsigned length);
struct frame icmp(unsigned from, const char *source, const char *to, uint8_t type, unsigned length);
/* A neighbour discovery message with target and an option (0: none). */
struct frame nd(unsigned from, const char *source, const char *to, uint8_t type, const char *target,
        uint8_t option);
/* Its ICMPv6 checksum, after a change. */
void fix(struct frame *f);

/* Sends it in; returns why it died, PR_DROP_COUNT if it did not. */
unsigned world_run(unsigned from, const struct frame *f, uint8_t offload);
void dies(unsigned from, struct frame f, unsigned reason);
/* Comes out one hop later, otherwise as it was. */
void passes(unsigned from, struct frame f, unsigned to, uint8_t offload);
/* Dies of this and is told so. */
void refused(unsigned from, struct frame f, unsigned reason, uint8_t type, uint8_t code,
        uint32_t value, const char *source);

#endif
