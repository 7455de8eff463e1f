/* SPDX-License-Identifier: BSD-3-Clause */
/* What an honest guest may do at any time, while nothing is on its way. */
#ifndef GUEST_DISTURB_H
#define GUEST_DISTURB_H

#include "exchange.h"

/* which: any number. False: the back end did not play along; result->reason says how. */
bool disturb(struct guest *guest, unsigned which, struct exchange_result *result);

#endif
