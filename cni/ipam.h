/* SPDX-License-Identifier: BSD-3-Clause */
/* Addresses: delegation to the IPAM plugin of the configuration (SPEC.md section 4 "Plugin
 * Delegation"), or our own IPAM (ipam_own.h). */
#ifndef CNI_IPAM_H
#define CNI_IPAM_H

#include "cni/exec.h"
#include "cni/netconf.h"

/* The plugin is in CNI_PATH, or our own, which needs none. Code 7 if not. */
int cni_ipam_find(const struct cni_env *env, const struct cni_netconf *conf,
        char path[CNI_PATH_SIZE], struct cni_error *err);

/* An ADD under way. */
struct cni_ipam_add {
	struct cni_child child;
	bool running;
	cJSON *own; /* our own IPAM's answer, until it is heard */
};

/* Asks for addresses, and does not wait: the plugin takes most of an ADD's time. */
int cni_ipam_start(const struct cni_env *env, const struct cni_netconf *conf,
        struct cni_ipam_add *add, struct cni_error *err);

/* The result (inner form, at least one address; the caller's) as soon as the plugin has printed it
 * whole. It counts only when cni_ipam_finish, which must follow, returns 0. NULL when the plugin
 * ends without one, or prints something else: cni_ipam_finish says what is wrong. */
cJSON *cni_ipam_hear(const struct cni_netconf *conf, struct cni_ipam_add *add);

/* Waits for the plugin's end. *result: from cni_ipam_hear, or NULL and then set. Whatever comes of
 * it, something may be reserved: when it fails, "DEL" must follow. */
int cni_ipam_finish(const struct cni_netconf *conf, struct cni_ipam_add *add, cJSON **result,
        struct cni_error *err);

/* Runs "DEL", "CHECK", "STATUS" or "GC". The first two get a configuration of at most 1.0.0. */
int cni_ipam_run(const struct cni_env *env, const struct cni_netconf *conf, const char *command,
        struct cni_error *err);

/* Whether the plugin says in VERSION that it speaks 1.1.0 (STATUS and GC). */
bool cni_ipam_speaks_latest(const struct cni_env *env, const struct cni_netconf *conf);

/* The configuration as the IPAM plugin gets it for ADD, DEL and CHECK: 1.1.0 becomes 1.0.0, its
 * prevResult too, for Debian's plugins do not know 1.1.0. free() it. */
char *cni_ipam_config(const struct cni_netconf *conf, size_t *length);

#endif
