/* SPDX-License-Identifier: BSD-3-Clause */
/* What all files of the plugin share: errors, specification versions, limits, the environment. */
#ifndef CNI_H
#define CNI_H

#include <stdbool.h>
#include <stddef.h>

#include <cjson/cJSON.h>

#include "podrail/addr.h"

/* Codes of the CNI specification, then our own (docs/cni.md lists them). */
enum cni_code {
	CNI_ERR_VERSION = 1,
	CNI_ERR_UNSUPPORTED = 2,
	CNI_ERR_UNKNOWN_CONTAINER = 3,
	CNI_ERR_ENV = 4,
	CNI_ERR_IO = 5,
	CNI_ERR_DECODE = 6,
	CNI_ERR_CONFIG = 7,
	CNI_ERR_NETNS = 8,
	CNI_ERR_TRY_LATER = 11,
	CNI_ERR_UNAVAILABLE = 50,
	CNI_ERR_LIMITED = 51,
	CNI_ERR_EXISTS = 101,
	CNI_ERR_CONFLICT = 102,
	CNI_ERR_FULL = 103,
	CNI_ERR_UNUSABLE = 104,
	CNI_ERR_DENIED = 105,
	CNI_ERR_CHECK = 106,
	CNI_ERR_INTERNAL = 999,
};

/* Versions of the specification, oldest first. CNI_V110 is also the form that results have
 * inside the plugin. */
enum cni_version {
	CNI_V010,
	CNI_V020,
	CNI_V030,
	CNI_V031,
	CNI_V040,
	CNI_V100,
	CNI_V110,
	CNI_VERSIONS,
};
#define CNI_LATEST CNI_V110

#define CNI_INPUT_MAX      (1 << 20) /* bytes of a configuration or of a delegate's answer */
#define CNI_IFNAME_MAX     15
#define CNI_ID_PREFIX      12 /* characters of the container's id in names of ours */
#define CNI_SOCKET_MAX     64 /* characters of a socket's file name */
#define CNI_NAME_SIZE      64
#define CNI_PATH_SIZE      4096
#define CNI_DAEMON_TIMEOUT 10000 /* ms for one call of the daemon */
#define CNI_LOCK_TIMEOUT   10000 /* ms to wait for another operation on the same container */
#define CNI_LINK_GATEWAY   "169.254.1.1" /* every routed network answers for it */
#define CNI_LINK_GATEWAY6  "fe80::1"     /* and for this, on each pod's link */

struct cni_error {
	int code;
	char msg[512];
	char details[1024];
};

/* Fills the error and returns -EINVAL, so that callers can return it. err may be NULL. */
int cni_fail(struct cni_error *err, int code, const char *format, ...)
        __attribute__((format(printf, 3, 4)));

/* Adds the long text. */
void cni_fail_details(struct cni_error *err, const char *format, ...)
        __attribute__((format(printf, 2, 3)));

/* The error as the specification's JSON (section "Error"), free() by the caller; NULL: no memory.
 */
char *cni_error_json(const struct cni_error *err, enum cni_version version);

/* One line on stderr: libcni passes it through or logs it. */
void cni_log(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* "1.0.0" and the like; -1 when we do not speak it. */
int cni_version_parse(const char *text);
const char *cni_version_name(enum cni_version version);

/* {"cniVersion", "supportedVersions"}; free() by the caller. */
char *cni_version_json(enum cni_version echo);

enum cni_command {
	CNI_NONE,
	CNI_ADD,
	CNI_DEL,
	CNI_CHECK,
	CNI_STATUS,
	CNI_GC,
	CNI_VERSION,
};

/* CNI_* of the environment. Strings point into the environment, or are empty. */
struct cni_env {
	enum cni_command command;
	const char *container_id;
	const char *netns;
	const char *ifname;
	const char *args;
	const char *path;
	bool netns_override;
	char port[CNI_NAME_SIZE]; /* the port's name at the daemon */
	char id_prefix[CNI_ID_PREFIX + 1];
	/* of CNI_ARGS */
	char pod_namespace[256];
	char pod_name[256];
	char pod_uid[CNI_NAME_SIZE];
	char ip[256];
	struct pr_mac mac; /* zero: none */
};

/* Reads the command and checks that what it needs is there (code 4). */
int cni_env_read(struct cni_env *env, struct cni_error *err);

/* Checks the characters of the id and the name (code 4), reads CNI_ARGS and derives our names.
 * In DEL, CNI_ARGS that make no sense are passed over. */
int cni_env_validate(struct cni_env *env, struct cni_error *err);

/* The name of a container's port; ids and interface names as the specification allows them. */
void cni_port_name(const char *container_id, const char *ifname, char port[CNI_NAME_SIZE]);

bool cni_container_id_valid(const char *id);
bool cni_ifname_valid(const char *name);

/* CNI_NETNS is there (code 3) and not our own (code 8). */
int cni_netns_check(const struct cni_env *env, struct cni_error *err);

#endif
