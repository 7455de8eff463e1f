/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef DATAPLANE_PORT_VHOST_IO_H
#define DATAPLANE_PORT_VHOST_IO_H

#include "dataplane/shared.h"

extern const struct device_ops vhost_ops;

#endif
