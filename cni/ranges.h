/* SPDX-License-Identifier: BSD-3-Clause */
/* The ranges of our own IPAM, {"ipam": {"type": "podrail", ...}}: the members of the host-local
 * plugin (subnet, rangeStart, rangeEnd, gateway; ranges; routes; resolvConf; dataDir) with its
 * rules: cni.dev, plugins/current/ipam/host-local. */
#ifndef CNI_RANGES_H
#define CNI_RANGES_H

#include "cni/netconf.h"

#define CNI_SETS_MAX   16
#define CNI_RANGES_MAX 64
#define CNI_WANTED_MAX 32

struct cni_range {
	struct pr_prefix subnet;
	struct pr_ip first, last; /* inclusive, both in the subnet */
	struct pr_ip gateway;     /* never given away */
};

/* One address is taken from each set. */
struct cni_range_set {
	unsigned n;
	struct cni_range *range; /* in cni_ranges.all */
};

struct cni_ranges {
	unsigned n_sets, n_wanted, n_all;
	struct cni_range_set set[CNI_SETS_MAX];
	struct pr_ip wanted[CNI_WANTED_MAX]; /* each must be given, from whatever set has it */
	struct cni_range all[CNI_RANGES_MAX];
};

/* Reads ipam, runtimeConfig.ipRanges (they come first), and the addresses that runtimeConfig.ips,
 * args.cni.ips and CNI_ARGS ask for. Code 7 on error, the message names the member. */
int cni_ranges_parse(struct cni_ranges *ranges, const struct cni_netconf *conf,
        const struct cni_env *env, struct cni_error *err);

/* The range of the set that has the address, or NULL. */
const struct cni_range *cni_range_of(const struct cni_range_set *set, const struct pr_ip *ip);

/* "198.18.1.1-198.18.1.254,..." for messages. */
const char *cni_range_set_format(const struct cni_range_set *set, char *text, size_t size);

/* The address behind it; the last one is followed by the first. */
struct pr_ip cni_ip_next(struct pr_ip ip);

#endif
