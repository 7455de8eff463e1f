/* SPDX-License-Identifier: BSD-3-Clause */
/* Our own IPAM, {"ipam": {"type": "podrail"}}: what host-local does, in this process. */
#ifndef CNI_IPAM_OWN_H
#define CNI_IPAM_OWN_H

#include "cni/netconf.h"

/* Whether the configuration asks for it. */
bool cni_ipam_is_own(const struct cni_netconf *conf);

/* Reserves one address of each range set. *result: inner form (cni/result.h), the caller's. All or
 * none: after an error nothing is reserved. Code 5, 7, 11 or 103. */
int cni_ipam_own_add(const struct cni_env *env, const struct cni_netconf *conf, cJSON **result,
        struct cni_error *err);

/* "DEL", "CHECK" or "STATUS"; errors as above, and 106. */
int cni_ipam_own_run(const struct cni_env *env, const struct cni_netconf *conf, const char *command,
        struct cni_error *err);

#endif
