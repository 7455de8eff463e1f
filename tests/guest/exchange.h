/* SPDX-License-Identifier: BSD-3-Clause */
/* Two guests, or a guest and a reflector, exchange numbered frames in a closed loop. */
#ifndef GUEST_EXCHANGE_H
#define GUEST_EXCHANGE_H

#include <signal.h>

#include "frame.h"
#include "guest.h"

#define SIZES_MAX 16
#define FLOWS_MAX (2 * PAIRS_MAX)

struct exchange_options {
	uint32_t frames; /* from each side; 0: until the duration is over or told to stop */
	double duration;
	uint16_t sizes[SIZES_MAX];
	unsigned n_sizes;
	unsigned window; /* frames of each side; 0: what the rings take */
	bool routed;
	unsigned disturb; /* frames between two disturbances; 0: none */
	uint32_t rate;    /* frames a second of each side; 0: as fast as it goes */
	uint64_t seed;
	uint8_t peer_mac[6]; /* with one guest: the reflector's */
	uint32_t peer_ip;
};

struct exchange_result {
	uint64_t sent, received, missing, mismatched, reordered, lost_calls, strays, disturbances;
	uint64_t kicks, not_one;
	uint64_t slow; /* frames that took longer than 20 ms */
	bool disconnected;
	double seconds;
	char reason[200]; /* what went wrong first; empty: nothing */
};

extern volatile sig_atomic_t told_to_stop;

/* Guests are started. guests[1] may be NULL: a reflector sends the frames back. Returns whether all
 * went as it should. */
bool exchange_run(struct guest *guests[2], const struct exchange_options *options,
        struct exchange_result *result);
/* Sends what comes back to where it came from, until told to stop. */
bool reflect_run(struct guest *guest, const struct exchange_options *options,
        struct exchange_result *result);

#endif
