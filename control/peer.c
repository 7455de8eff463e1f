/* SPDX-License-Identifier: BSD-3-Clause */
#include "control/peer.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#define NO_GROUP       ((gid_t)-1)
#define PEERGROUPS_MAX 65536 /* NGROUPS_MAX of the kernel */

struct groups {
	gid_t *ids;
	size_t n;
};

static struct groups supplementary_groups(int fd)
{
	struct groups groups = {0};
	socklen_t size = 0;

	/* The first call says how much there is. */
	if (!getsockopt(fd, SOL_SOCKET, SO_PEERGROUPS, NULL, &size) || errno != ERANGE ||
	        size > PEERGROUPS_MAX * sizeof(gid_t))
		return groups;
	groups.ids = malloc(size);
	if (groups.ids && !getsockopt(fd, SOL_SOCKET, SO_PEERGROUPS, groups.ids, &size))
		groups.n = size / sizeof(gid_t);
	return groups;
}

static bool is_member(const struct ucred *peer, const struct groups *groups, gid_t group)
{
	if (group == NO_GROUP)
		return false;
	if (peer->gid == group)
		return true;
	for (size_t i = 0; i < groups->n; i++)
		if (groups->ids[i] == group)
			return true;
	return false;
}

enum rpc_access peer_access(int fd, gid_t group, gid_t read_group)
{
	enum rpc_access access = RPC_DENIED;
	socklen_t size = sizeof(struct ucred);
	struct groups groups;
	struct ucred peer;

	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size))
		return RPC_DENIED;
	if (peer.uid == 0 || peer.uid == geteuid())
		return RPC_ALL;
	groups = supplementary_groups(fd);
	if (is_member(&peer, &groups, group))
		access = RPC_ALL;
	else if (is_member(&peer, &groups, read_group))
		access = RPC_READ;
	free(groups.ids);
	return access;
}
