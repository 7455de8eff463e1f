/* SPDX-License-Identifier: BSD-3-Clause */
/* Networks, ports and routes of the configuration file (docs/configuration.md, Objects). Control
 * thread, at start, before objects_replay. */
#ifndef PODRAIL_FILE_OBJECTS_H
#define PODRAIL_FILE_OBJECTS_H

#include "control/config.h"

/* Adds them through the methods of the socket. They are not stored, but the indexes that they get
 * are, so that they have the same ones after a restart. Returns 0, or -EINVAL (an object was
 * refused) with error filled, or a negative errno when the state can not be stored. */
int file_objects_apply(const struct daemon_config *config, struct config_error *error);

#endif
