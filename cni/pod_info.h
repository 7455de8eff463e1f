/* SPDX-License-Identifier: BSD-3-Clause */
/* What the pod's side is told: the device-info file (device-info specification 1.1.0) and the pod's
 * own file beside the socket. */
#ifndef CNI_POD_INFO_H
#define CNI_POD_INFO_H

#include "cni/attachment.h"

/* {"type", "version", "vhost-user": {"mode", "path"}}: mode is the application's side, path as the
 * application sees it. The caller frees it. */
cJSON *cni_device_info(const struct cni_netconf *conf, const struct cni_attachment *att);

/* Everything about the port. port: the daemon's; result: inner form, our part only. */
cJSON *cni_pod_info(const struct cni_netconf *conf, const struct cni_attachment *att,
        const cJSON *port, const cJSON *result);

/* Writes the pod's file into its directory (open in dir). Code 5 on error. */
int cni_pod_info_write(
        int dir, const struct cni_attachment *att, const cJSON *info, struct cni_error *err);

/* Writes runtimeConfig.CNIDeviceInfoFile, if there is one. Code 5 on error. */
int cni_device_info_write(
        const struct cni_netconf *conf, const struct cni_attachment *att, struct cni_error *err);

#endif
