/* SPDX-License-Identifier: BSD-3-Clause */
/* One function a CNI_COMMAND. Each returns 0, or -EINVAL with err filled. */
#ifndef CNI_COMMANDS_H
#define CNI_COMMANDS_H

#include "cni/netconf.h"

/* output: what goes to stdout, free() by the caller. */
int cni_cmd_add(const struct cni_env *env, const struct cni_netconf *conf, char **output,
        struct cni_error *err);
int cni_cmd_del(const struct cni_env *env, const struct cni_netconf *conf, struct cni_error *err);
int cni_cmd_check(const struct cni_env *env, const struct cni_netconf *conf, struct cni_error *err);
int cni_cmd_status(
        const struct cni_env *env, const struct cni_netconf *conf, struct cni_error *err);
int cni_cmd_gc(const struct cni_env *env, const struct cni_netconf *conf, struct cni_error *err);

#endif
