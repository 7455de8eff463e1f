/* SPDX-License-Identifier: BSD-3-Clause */
#include "cni/commands.h"

#include <unistd.h>

#include "cni/ipam.h"
#include "cni/port.h"
#include "cni/tombstone.h"

/* The record says what ADD made; without one, what this configuration would have made. */
static void find_attachment(struct cni_attachment *att, const struct cni_env *env,
        const struct cni_netconf *conf, int run, bool *recorded)
{
	struct cni_error err;
	int ret = run < 0 ? -ENOENT : cni_attachment_load(att, run, env->port);

	*recorded = !ret;
	if (*recorded && !strcmp(att->container_id, env->container_id))
		return;
	cni_attachment_free(att);
	if (*recorded)
		cni_log("port %s is another container's: left alone", env->port);
	else if (!cni_attachment_plan(att, env, conf, &err))
		return;
	*recorded = false;
	cni_attachment_free(att);
}

static int remove_port(
        const struct cni_env *env, const struct cni_netconf *conf, struct cni_error *err)
{
	int ret = cni_port_del(conf, NULL, env->port, env->container_id, err);

	if (ret != -ENOTCONN)
		return ret;
	return cni_tombstone_write(conf, env->port, env->container_id, err);
}

/* The address is free for others only after the port is gone for certain. */
static int release_addresses(const struct cni_env *env, const struct cni_netconf *conf,
        bool recorded, struct cni_error *err)
{
	char path[CNI_PATH_SIZE];
	struct cni_error ignored;

	if (!conf->ipam)
		return 0;
	if (!recorded && cni_ipam_find(env, conf, path, &ignored)) {
		/* no ADD of ours has ever got as far as to reserve anything */
		cni_log("IPAM plugin %s is not in CNI_PATH, nothing to release", conf->ipam);
		return 0;
	}
	return cni_ipam_run(env, conf, "DEL", err);
}

static int lock_container(const struct cni_env *env, int run, int *lock, struct cni_error *err)
{
	*lock = run < 0 ? -1 : cni_lock(run, env->id_prefix, CNI_LOCK_TIMEOUT);
	if (*lock == -ETIMEDOUT)
		return cni_fail(
		        err, CNI_ERR_TRY_LATER, "another operation on this container is under way");
	if (*lock < 0 && run >= 0)
		cni_log("lock of the container: %s", strerror(-*lock));
	return 0;
}

static int take_away(
        const struct cni_env *env, const struct cni_netconf *conf, int run, struct cni_error *err)
{
	struct cni_attachment att = {0};
	bool recorded;
	int ret, one;

	find_attachment(&att, env, conf, run, &recorded);
	ret = remove_port(env, conf, err);
	if (att.root) {
		one = cni_attachment_clean(&att, run);
		if (one)
			cni_log("files of the pod: %s", strerror(-one));
	}
	ret = ret ? ret : release_addresses(env, conf, recorded, err);
	if (!ret && recorded) {
		one = cni_attachment_forget(run, env->port);
		if (one)
			cni_log("record of %s: %s", env->port, strerror(-one));
	}
	cni_attachment_free(&att);
	return ret;
}

int cni_cmd_del(const struct cni_env *env, const struct cni_netconf *conf, struct cni_error *err)
{
	int run = cni_run_open(conf, false), lock = -1, ret;

	/* without one no ADD has got anywhere since boot */
	if (run < 0 && run != -ENOENT)
		cni_log("run directory beside %s: %s", conf->daemon_socket, strerror(-run));
	ret = lock_container(env, run, &lock, err);
	ret = ret ? ret : take_away(env, conf, run, err);
	if (lock >= 0)
		cni_unlock(run, env->id_prefix, lock);
	if (run >= 0)
		close(run);
	/* as in the reference plugins: everything is taken away first, then it is told */
	if (!ret && env->netns[0] && cni_netns_check(env, err) && err->code == CNI_ERR_NETNS)
		ret = -EINVAL;
	return ret;
}
