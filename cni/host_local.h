/* SPDX-License-Identifier: BSD-3-Clause */
/* Leaked addresses of the host-local IPAM plugin. Its versions before 1.2 know no GC; its store is
 * one file an address, <dataDir>/<network>/<address>, "<container id>\r\n<interface name>". */
#ifndef CNI_HOST_LOCAL_H
#define CNI_HOST_LOCAL_H

#include "cni/netconf.h"

/* Whether the reservation may go; called with the store's lock held. */
typedef bool (*cni_stale_fn)(const char *container_id, const char *ifname, void *data);

/* Removes the reservations of this network that stale says so of. Code 5 on error; goes on after
 * errors of single files. */
int cni_host_local_gc(
        const struct cni_netconf *conf, cni_stale_fn stale, void *data, struct cni_error *err);

#endif
