/* SPDX-License-Identifier: BSD-3-Clause */
/* The pod's port at the daemon (docs/protocol.md, "port" and "network"). */
#ifndef CNI_PORT_H
#define CNI_PORT_H

#include <sys/types.h>

#include "cni/attachment.h"
#include "podrail/client.h"

/* Whether the daemon could not be reached, or did not answer in time. */
bool cni_daemon_gone(const struct pr_client_error *error);

/* What the daemon said, as an error of the plugin's. */
int cni_daemon_error(const struct pr_client_error *error, const char *doing, struct cni_error *err);

/* Connects and asks for the network; the answer is taken later. NULL when there is no daemon. */
struct pr_client *cni_network_ask(
        const char *daemon_socket, const char *network, struct cni_error *err);

/* The answer: whether the network is routed. Code 7 when there is no such network. */
int cni_network_answer(struct pr_client *client, bool *routed, struct cni_error *err);

/* Whether the daemon has that port already. Returns 0 or 1, or -EINVAL. */
int cni_port_exists(struct pr_client *client, const char *port, struct cni_error *err);

/* Parameters of port.add. addresses: of an IPAM result in the inner form, or NULL.
 * gid: group of the socket's directory. */
cJSON *cni_port_params(const struct cni_env *env, const struct cni_netconf *conf,
        const struct cni_attachment *att, const cJSON *addresses, gid_t gid);

/* Makes the port and returns it as the daemon has it (cJSON_Delete).
 * NULL with err; *unknown says that the daemon may have made it all the same. A port that was
 * there before is code 101 and stays. */
cJSON *cni_port_add(struct pr_client *client, cJSON *params, bool *unknown, struct cni_error *err);

/* Removes a container's port. Returns 0, -ENOTCONN when the daemon is not there, or -EINVAL with
 * err for a daemon that refuses. client may be NULL: it is opened and closed. */
int cni_port_del(const struct cni_netconf *conf, struct pr_client *client, const char *port,
        const char *container_id, struct cni_error *err);

/* Host path of the socket. */
void cni_socket_path(const struct cni_attachment *att, char path[CNI_PATH_SIZE]);

#endif
