/* SPDX-License-Identifier: BSD-3-Clause */
/* The configuration file: docs/configuration.md. Control thread. */
#ifndef PODRAIL_CONFIG_H
#define PODRAIL_CONFIG_H

#include <sched.h>
#include <stdbool.h>
#include <sys/types.h>

#include <cjson/cJSON.h>

#include "dataplane/dataplane.h"

#define CONFIG_DEFAULT_FILE "/etc/podrail/podraild.json"
#define CONFIG_FILE_MAX     (4 << 20) /* bytes */
#define CONFIG_PATH_MAX     256
#define CONFIG_NO_GROUP     ((gid_t)-1)

struct daemon_config {
	char run_dir[CONFIG_PATH_MAX];
	char state_dir[CONFIG_PATH_MAX];
	char socket_group[64], read_group[64]; /* as written; "" for none */
	gid_t socket_gid;                      /* CONFIG_NO_GROUP: the daemon's own */
	gid_t read_gid;                        /* CONFIG_NO_GROUP: nobody */
	mode_t socket_mode;
	bool durable;
	unsigned rebalance;               /* seconds, 0: only when asked */
	int log_level;                    /* a syslog priority */
	struct dp_config dp;              /* log is left NULL */
	cJSON *networks, *ports, *routes; /* arrays as in the file, owned */
};

struct config_error {
	char field[128];   /* "limits.routes", "ports[2].network" or empty */
	char message[512]; /* one sentence, without the field */
};

/* The CPUs that the process had at its first call: call it before the control thread is pinned. */
const cpu_set_t *config_cpus(void);

/* Fills config from a parsed file (NULL: defaults only). Returns 0, or -EINVAL with error filled
 * and nothing to free. Checks everything that can be checked without the data plane. */
int config_parse(const cJSON *json, struct daemon_config *config, struct config_error *error);

/* Reads path and parses it. A file that is missing is an error unless optional, then defaults hold.
 */
int config_load(
        const char *path, bool optional, struct daemon_config *config, struct config_error *error);

/* The effective configuration in the form of the file; owned by the caller, NULL without memory. */
cJSON *config_show(const struct daemon_config *config);

/* Safe on a zeroed one. */
void config_free(struct daemon_config *config);

#endif
