/* SPDX-License-Identifier: BSD-3-Clause */
/* The store of the host-local IPAM plugin, which ours shares with it: <dataDir>/<network>/ with one
 * file an address, "<container id>\r\n<interface name>", last_reserved_ip.<set>, and the file that
 * is locked (flock) around everything. */
#ifndef CNI_LEASES_H
#define CNI_LEASES_H

#include "cni/ranges.h"

struct cni_leases {
	int dir, lock;
};

/* Opens the network's store, made first when asked for, and locks it. Returns 0; -ENOENT without a
 * store that was not to be made; another negative errno with code 5 or 11. */
int cni_leases_open(struct cni_leases *leases, const struct cni_netconf *conf, bool make,
        struct cni_error *err);
void cni_leases_close(struct cni_leases *leases);

/* Reserves an address of set number `index`: the wanted one, or with NULL the next free one behind
 * the last that was given, which comes last. `range` is the one that it is from. Returns 0; -EBUSY:
 * the wanted one is taken or a gateway; -ENOSPC: none is free; another negative errno. */
int cni_lease_take(struct cni_leases *leases, const struct cni_range_set *set, unsigned index,
        const struct cni_env *env, const struct pr_ip *wanted, struct pr_ip *ip,
        const struct cni_range **range);

/* Whether the reservation may go; called with the store's lock held. */
typedef bool (*cni_stale_fn)(const char *container_id, const char *ifname, void *data);

/* Removes the reservations that stale says so of, and files that a killed plugin has not finished.
 * Goes on after errors of single files; returns 0 or the last of them. */
int cni_leases_sweep(struct cni_leases *leases, cni_stale_fn stale, void *data);

/* How many reservations the attachment has. */
unsigned cni_leases_of(struct cni_leases *leases, const struct cni_env *env);

/* cni_leases_sweep over the network's store, if there is one. Host-local knows no GC before 1.2.
 * Code 5 or 11 on error. */
int cni_leases_gc(
        const struct cni_netconf *conf, cni_stale_fn stale, void *data, struct cni_error *err);

#endif
