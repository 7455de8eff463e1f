/* SPDX-License-Identifier: BSD-3-Clause */
/* The directory that holds a pod's sockets: <socketDir>/<id>, made by us, or an emptyDir of the
 * pod's. What is below `base` belongs to pods: no component of it may be a link. */
#ifndef CNI_SOCKET_DIR_H
#define CNI_SOCKET_DIR_H

#include <sys/types.h>

#include "cni/netconf.h"

struct cni_dir {
	char base[CNI_PATH_SIZE / 2 + 1]; /* configured by the administrator: links allowed */
	char below[512];                  /* components below it, '/' between them */
	bool own;                         /* we make and remove it */
};

/* Where the configuration puts the socket. Code 4 or 7 on error. */
int cni_dir_locate(struct cni_dir *dir, const struct cni_env *env, const struct cni_netconf *conf,
        struct cni_error *err);

/* Opens it. Returns a descriptor or a negative errno (-ELOOP: a component is a link). */
int cni_dir_open(const struct cni_dir *dir);

/* Makes it when it is ours, with a mode that lets the pod (by the directory's group) make sockets
 * in client mode and reach them in server mode, and opens it. gid is the directory's group.
 * Returns a descriptor, or -EINVAL with code 5 or 104. */
int cni_dir_make(const struct cni_dir *dir, const struct cni_netconf *conf, gid_t *gid,
        struct cni_error *err);

/* Removes our directory with all that is in it. Returns 0, also when there is none, or a negative
 * errno. Does nothing to a directory that is not ours. */
int cni_dir_remove(const struct cni_dir *dir);

#endif
