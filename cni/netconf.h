/* SPDX-License-Identifier: BSD-3-Clause */
/* The network configuration of stdin: parsed, checked, with defaults and overrides applied. */
#ifndef CNI_NETCONF_H
#define CNI_NETCONF_H

#include "cni/cni.h"
#include "podrail/limits.h"

struct cni_netconf {
	cJSON *root; /* owns what the pointers below point at */
	char *text;  /* as it came, for the IPAM plugin */
	size_t length;
	enum cni_version version;
	const char *name;
	const char *type;
	const char *network; /* podrail's network */
	const char *daemon_socket;
	const char *state_dir;
	const char *socket_dir;
	const char *socket_volume; /* NULL: socket_dir is used */
	const char *kubelet_dir;
	const char *mount_path; /* where the pod sees the directory; NULL: unknown */
	char socket_name[CNI_SOCKET_MAX + 1];
	bool server; /* podrail's side: it makes the socket and waits */
	int queues;  /* 0: the daemon's default, as for mtu */
	int mtu;
	int vlan;
	int flood_rate; /* -1: the daemon's default */
	int socket_gid; /* -1: that of the directory */
	bool isolated;
	bool trust;
	bool pod_args; /* args.cni may relax anti-spoofing */
	bool default_gateway;
	cJSON *trunk;             /* owned */
	cJSON *allowed_prefixes;  /* owned */
	cJSON *allowed_macs;      /* owned */
	struct pr_mac mac;        /* zero: the daemon chooses */
	const char *ipam;         /* type; NULL: none */
	int ipam_timeout;         /* ms */
	const char *device_info;  /* path; NULL: not asked for */
	const cJSON *dns;         /* NULL: none */
	const cJSON *prev_result; /* NULL: none */
};

/* Parses and checks text (taken over, freed by cni_netconf_free also after an error).
 * A DEL or GC needs version and name only; whatever else is wrong then costs a line on stderr.
 * conf->version is the configuration's as soon as it is known. Code 1, 2, 6 or 7 on error. */
int cni_netconf_parse(struct cni_netconf *conf, char *text, size_t length,
        const struct cni_env *env, struct cni_error *err);

void cni_netconf_free(struct cni_netconf *conf);

/* The members that are podrail's own, and those of the reference plugins (netconf_keys.c).
 * Returns 0, or -EINVAL with err filled; -ENOENT for a key that is not known. */
int cni_netconf_key(struct cni_netconf *conf, const cJSON *item, struct cni_error *err);

/* runtimeConfig and args (netconf_runtime.c). A lenient caller goes on after errors. */
int cni_netconf_runtime(
        struct cni_netconf *conf, const struct cni_env *env, bool lenient, struct cni_error *err);

/* Appends checked copies of the array's prefixes or MAC addresses. */
int cni_netconf_add_prefixes(
        struct cni_netconf *conf, const char *key, const cJSON *item, struct cni_error *err);
int cni_netconf_add_macs(
        struct cni_netconf *conf, const char *key, const cJSON *item, struct cni_error *err);

/* Typed values; code 7 with the key in the message. */
int cni_take_int(
        const char *key, const cJSON *item, int min, int max, int *to, struct cni_error *err);
int cni_take_bool(const char *key, const cJSON *item, bool *to, struct cni_error *err);
int cni_take_string(const char *key, const cJSON *item, const char **to, struct cni_error *err);
int cni_take_mac(const char *key, const cJSON *item, struct pr_mac *to, struct cni_error *err);

#endif
