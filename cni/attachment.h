/* SPDX-License-Identifier: BSD-3-Clause */
/* What one ADD leaves on this host, recorded in <run directory>/cni before anything is made, so
 * that DEL and GC find it whatever has become of the configuration or of an ADD that was killed.
 * The run directory is that of the daemon's socket. */
#ifndef CNI_ATTACHMENT_H
#define CNI_ATTACHMENT_H

#include "cni/socket_dir.h"

struct cni_attachment {
	cJSON *root; /* owns the strings */
	const char *port;
	const char *container_id;
	const char *ifname;
	const char *network; /* the configuration's name */
	const char *socket_name;
	const char *pod_file;
	const char *device_info; /* NULL: none */
	bool ipam;               /* an IPAM plugin was to be asked */
	struct cni_dir dir;
};

/* Opens <run directory>/cni. Returns a descriptor or a negative errno. */
int cni_run_open(const struct cni_netconf *conf, bool make);

/* From what the runtime says. Code 4 or 7 on error. */
int cni_attachment_plan(struct cni_attachment *att, const struct cni_env *env,
        const struct cni_netconf *conf, struct cni_error *err);

/* Reads the record of a port. Returns 0, -ENOENT, or -EINVAL for one that makes no sense. */
int cni_attachment_load(struct cni_attachment *att, int run, const char *port);

/* Returns 0 or a negative errno. */
int cni_attachment_save(const struct cni_attachment *att, int run);

/* Returns 0, also when there is none, or a negative errno. */
int cni_attachment_forget(int run, const char *port);

/* Removes socket, pod file and device-info file, and the directory when it is ours and no other
 * attachment has its socket in it. Returns 0 or the negative errno of what stayed. */
int cni_attachment_clean(const struct cni_attachment *att, int run);

/* Calls fn with the name of every recorded port; stops when it returns other than 0. */
int cni_attachment_each(int run, int (*fn)(const char *port, void *data), void *data);

void cni_attachment_free(struct cni_attachment *att);

/* Waits until no other operation on that container runs: a lock file, held until the process ends
 * or cni_unlock. Returns a descriptor, -ETIMEDOUT or another negative errno. */
int cni_lock(int run, const char *id_prefix, int timeout_ms);

/* Also removes the lock file when the container has no attachment left. */
void cni_unlock(int run, const char *id_prefix, int lock);

/* The lock that this process holds, or -1. A plugin that it starts inherits it: when we are killed,
 * the container stays locked until that plugin too has ended. */
int cni_lock_held(void);

/* Tells those who wait for the lock which process inherits it. */
void cni_lock_share(pid_t child);

#endif
