/* SPDX-License-Identifier: BSD-3-Clause */
/* Bounds that daemon, CLI and plugin agree on. */
#ifndef PODRAIL_LIMITS_H
#define PODRAIL_LIMITS_H

#define PR_PORTS_MAX     1024
#define PR_NETWORKS_MAX  256
#define PR_SEGMENTS_MAX  4096
#define PR_WORKERS_MAX   16
#define PR_QUEUES_MAX    8  /* queue pairs of a vhost-user port */
#define PR_ADDRESSES_MAX 16 /* addresses of a port */
#define PR_ALLOWED_MAX   32 /* allowedPrefixes, allowedMacs of a port */
#define PR_SUBNETS_MAX   16 /* subnets of a network */
#define PR_GATEWAYS_MAX  16
#define PR_MTU_MIN       68
#define PR_MTU_MAX       9000
#define PR_BATCH         64  /* packets of a batch */
#define PR_HEAD          128 /* bytes of a guest's packet that are copied for stages to look at */
#define PR_HEAD_MAX      256 /* the most that a head can have: more is pulled at most once */
#define PR_FRAME_MAX     (65535 + 18) /* a frame with everything left to the receiver (TSO) */
#define PR_OWNER_MAX     31           /* characters of a route's owner */
#define PR_NEXTHOPS_MAX  64           /* next hops of a route */
#define PR_WEIGHT_MAX    256          /* of one of them */

#endif
