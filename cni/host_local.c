/* SPDX-License-Identifier: BSD-3-Clause */
#include "cni/host_local.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/file.h>
#include <time.h>
#include <unistd.h>

#include "cni/file.h"

#define DEFAULT_DIR  "/var/lib/cni/networks"
#define FILE_MAX     4096
#define LOCK_WAIT_MS 10000

/* Its lock is an flock on <dataDir>/<network>/lock. */
static int lock_store(int dir)
{
	int fd = openat(dir, "lock", O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);

	if (fd < 0)
		return -errno;
	for (int waited = 0; flock(fd, LOCK_EX | LOCK_NB); waited += 10) {
		struct timespec pause = {.tv_nsec = 10000000};

		if ((errno != EWOULDBLOCK && errno != EINTR) || waited >= LOCK_WAIT_MS) {
			close(fd);
			return -ETIMEDOUT;
		}
		nanosleep(&pause, NULL);
	}
	return fd;
}

/* Splits "id\r\nifname"; versions before 0.8 wrote the id alone. */
static void split(char *text, const char **id, const char **ifname)
{
	char *end = strstr(text, "\r\n");

	*id = text;
	*ifname = "";
	if (end) {
		*end = '\0';
		*ifname = end + 2;
		end += 2;
		end[strcspn(end, "\r\n")] = '\0';
	}
	text[strcspn(text, "\r\n")] = '\0';
}

static int examine(int dir, const char *name, cni_stale_fn stale, void *data)
{
	const char *id, *ifname;
	struct pr_ip ip;
	size_t length;
	char *text;
	int ret = 0;

	if (pr_ip_parse(name, &ip))
		return 0;
	text = cni_file_read(dir, name, FILE_MAX, &length);
	if (!text)
		return errno == ENOENT ? 0 : -errno;
	split(text, &id, &ifname);
	if (id[0] && stale(id, ifname, data) && unlinkat(dir, name, 0) && errno != ENOENT)
		ret = -errno;
	free(text);
	return ret;
}

static int sweep(int dir, cni_stale_fn stale, void *data)
{
	int fd = openat(dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC), ret = 0;
	DIR *list = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *entry;

	if (!list) {
		if (fd >= 0)
			close(fd);
		return -EIO;
	}
	while ((entry = readdir(list))) {
		int one = examine(fd, entry->d_name, stale, data);

		ret = one ? one : ret;
	}
	closedir(list);
	return ret;
}

int cni_host_local_gc(
        const struct cni_netconf *conf, cni_stale_fn stale, void *data, struct cni_error *err)
{
	const cJSON *ipam = cJSON_GetObjectItemCaseSensitive(conf->root, "ipam");
	const char *base = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(ipam, "dataDir"));
	char path[CNI_PATH_SIZE];
	int dir, lock, ret;

	snprintf(path, sizeof(path), "%s/%s", base && base[0] ? base : DEFAULT_DIR, conf->name);
	dir = cni_open_dir(path, false);
	if (dir == -ENOENT)
		return 0;
	lock = dir < 0 ? dir : lock_store(dir);
	ret = lock < 0 ? lock : sweep(dir, stale, data);
	if (lock >= 0)
		close(lock);
	if (dir >= 0)
		close(dir);
	if (ret)
		return cni_fail(
		        err, CNI_ERR_IO, "leaked addresses in %s: %s", path, strerror(-ret));
	return 0;
}
