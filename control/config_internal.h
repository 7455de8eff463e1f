/* SPDX-License-Identifier: BSD-3-Clause */
/* What the files of the configuration share with one another. */
#ifndef PODRAIL_CONFIG_INTERNAL_H
#define PODRAIL_CONFIG_INTERNAL_H

#include <stddef.h>

#include "control/config.h"

#define CONFIG_NO_MODE ((mode_t)-1)

/* A configuration on its way; the items are the file's. */
struct parsed {
	struct daemon_config config;
	const cJSON *workers, *control_cpu, *limits;
};

struct config_option {
	const char *name;
	const char *path; /* how errors name it */
	int (*take)(const struct config_option *option, const cJSON *item, void *target,
	        struct config_error *error);
	size_t offset; /* in struct parsed */
	unsigned min, max;
};

struct config_level {
	const char *name;
	int priority;
};
extern const struct config_level config_levels[]; /* NULL at the end */

/* Fills error; returns -EINVAL. */
int config_fail(struct config_error *error, const char *field, const char *format, ...)
        __attribute__((format(printf, 3, 4)));

/* config_cpus.c: workers and controlCpu against the process's CPUs. */
int config_take_cpus(struct parsed *parsed, struct config_error *error);

/* config_objects.c: groups and the socket's mode; networks, ports and routes. */
int config_take_groups(struct daemon_config *config, struct config_error *error);
int config_check_objects(struct daemon_config *config, struct config_error *error);

#endif
