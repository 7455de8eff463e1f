/* SPDX-License-Identifier: BSD-3-Clause */
#include "cni/socket_dir.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cni/file.h"

int cni_dir_locate(struct cni_dir *dir, const struct cni_env *env, const struct cni_netconf *conf,
        struct cni_error *err)
{
	memset(dir, 0, sizeof(*dir));
	if (!conf->socket_volume) {
		snprintf(dir->base, sizeof(dir->base), "%s", conf->socket_dir);
		snprintf(dir->below, sizeof(dir->below), "%s", env->id_prefix);
		dir->own = true;
		return 0;
	}
	/* the same alphabet as an id: it can be no path */
	if (!env->pod_uid[0] || !cni_container_id_valid(env->pod_uid))
		return cni_fail(err, CNI_ERR_ENV,
		        "socketVolume: K8S_POD_UID \"%s\" is no pod's uid", env->pod_uid);
	snprintf(dir->base, sizeof(dir->base), "%s", conf->kubelet_dir);
	snprintf(dir->below, sizeof(dir->below), "pods/%s/volumes/kubernetes.io~empty-dir/%s",
	        env->pod_uid, conf->socket_volume);
	return 0;
}

/* Component by component, so that it works on any kernel and under any seccomp filter. */
static int open_below(int fd, const char *below)
{
	while (*below) {
		size_t length = strcspn(below, "/");
		char name[CNI_NAME_SIZE * 2];
		int next;

		if (length >= sizeof(name)) {
			close(fd);
			return -ENAMETOOLONG;
		}
		memcpy(name, below, length);
		name[length] = '\0';
		next = openat(fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
		if (next < 0) {
			struct stat st;
			int saved = errno;

			/* with O_DIRECTORY a link answers "not a directory" */
			if (saved == ENOTDIR && !fstatat(fd, name, &st, AT_SYMLINK_NOFOLLOW) &&
			        S_ISLNK(st.st_mode))
				saved = ELOOP;
			close(fd);
			return -saved;
		}
		close(fd);
		fd = next;
		below += length;
		below += *below == '/';
	}
	return fd;
}

int cni_dir_open(const struct cni_dir *dir)
{
	int fd = cni_open_dir(dir->base, false);

	return fd < 0 ? fd : open_below(fd, dir->below);
}

/* A directory of a chosen group keeps it for what is made inside (set-group-ID). */
static int make_own(const struct cni_dir *dir, const struct cni_netconf *conf)
{
	mode_t mode = conf->server ? 0750 : 0770;
	struct stat st;
	int base, fd, ret = 0;
	gid_t gid;

	base = cni_open_dir(dir->base, true);
	if (base < 0)
		return base;
	if (mkdirat(base, dir->below, mode) && errno != EEXIST) {
		ret = -errno;
		close(base);
		return ret;
	}
	fd = fstat(base, &st) ? (close(base), -EIO) : open_below(base, dir->below);
	if (fd < 0)
		return fd;
	gid = conf->socket_gid >= 0 ? (gid_t)conf->socket_gid : st.st_gid;
	if (fstat(fd, &st))
		ret = -errno;
	else if (st.st_uid != geteuid())
		ret = -EPERM;
	else if (st.st_gid != gid && fchown(fd, (uid_t)-1, gid))
		ret = -errno;
	else if (fchmod(fd, gid ? mode | S_ISGID : mode))
		ret = -errno;
	if (!ret)
		return fd;
	close(fd);
	return ret;
}

int cni_dir_make(const struct cni_dir *dir, const struct cni_netconf *conf, gid_t *gid,
        struct cni_error *err)
{
	int fd = dir->own ? make_own(dir, conf) : cni_dir_open(dir);
	struct stat st;

	if (fd == -ELOOP)
		return cni_fail(err, CNI_ERR_UNUSABLE,
		        "socket directory %s/%s: a component is a symbolic link; links are not "
		        "followed in pods' directories",
		        dir->base, dir->below);
	if (fd == -ENOSPC || fd == -EDQUOT || fd == -EROFS || fd == -EIO)
		return cni_fail(err, CNI_ERR_IO, "socket directory %s/%s: %s", dir->base,
		        dir->below, strerror(-fd));
	if (fd < 0)
		return cni_fail(err, CNI_ERR_UNUSABLE, "socket directory %s/%s: %s", dir->base,
		        dir->below, strerror(-fd));
	*gid = fstat(fd, &st) ? 0 : st.st_gid;
	return fd;
}

int cni_dir_remove(const struct cni_dir *dir)
{
	int base, fd, ret;

	if (!dir->own)
		return 0;
	base = cni_open_dir(dir->base, false);
	if (base < 0)
		return base == -ENOENT || base == -ENOTDIR ? 0 : base;
	/* the usual case: our files were all that was in it */
	ret = unlinkat(base, dir->below, AT_REMOVEDIR) ? -errno : 0;
	if (ret == -ENOTEMPTY || ret == -EEXIST) {
		fd = openat(base, dir->below, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
		ret = fd < 0 ? -errno : cni_empty_dir(fd);
		if (fd >= 0)
			close(fd);
		if (!ret && unlinkat(base, dir->below, AT_REMOVEDIR))
			ret = -errno;
	}
	close(base);
	return ret == -ENOENT ? 0 : ret;
}
