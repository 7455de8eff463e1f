/* SPDX-License-Identifier: BSD-3-Clause */
/* A port that must not come back: written while the daemon is down, applied by it at its next start
 * (docs/protocol.md, "State directory"). */
#ifndef CNI_TOMBSTONE_H
#define CNI_TOMBSTONE_H

#include "cni/netconf.h"

/* On the disk when this returns 0. Code 5 when it can not be written. */
int cni_tombstone_write(const struct cni_netconf *conf, const char *port, const char *container_id,
        struct cni_error *err);

#endif
