/* SPDX-License-Identifier: BSD-3-Clause */
#include "cni/leases.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/file.h>
#include <time.h>
#include <unistd.h>

#include "cni/file.h"

#define DEFAULT_DIR  "/var/lib/cni/networks"
#define FILE_MAX     4096
#define LOCK_WAIT_MS 10000
#define PAUSE_NS     1000000
#define UNFINISHED   ".podrail-" /* names of cni_file_write's temporary files begin so */

static int lock_store(int dir)
{
	int fd = openat(dir, "lock", O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);

	if (fd < 0)
		return -errno;
	for (int waited = 0; flock(fd, LOCK_EX | LOCK_NB); waited++) {
		struct timespec pause = {.tv_nsec = PAUSE_NS};

		if ((errno != EWOULDBLOCK && errno != EINTR) || waited >= LOCK_WAIT_MS) {
			close(fd);
			return -ETIMEDOUT;
		}
		nanosleep(&pause, NULL);
	}
	return fd;
}

int cni_leases_open(
        struct cni_leases *leases, const struct cni_netconf *conf, bool make, struct cni_error *err)
{
	const cJSON *ipam = cJSON_GetObjectItemCaseSensitive(conf->root, "ipam");
	const char *base = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(ipam, "dataDir"));
	char path[CNI_PATH_SIZE];
	int length;

	*leases = (struct cni_leases){-1, -1};
	length = snprintf(
	        path, sizeof(path), "%s/%s", base && base[0] ? base : DEFAULT_DIR, conf->name);
	leases->dir = length < (int)sizeof(path) ? cni_open_dir(path, make) : -ENAMETOOLONG;
	if (leases->dir == -ENOENT && !make)
		return -ENOENT;
	leases->lock = leases->dir < 0 ? leases->dir : lock_store(leases->dir);
	if (leases->lock >= 0)
		return 0;
	cni_fail(err, leases->lock == -ETIMEDOUT ? CNI_ERR_TRY_LATER : CNI_ERR_IO,
	        "addresses in %.300s: %s", path,
	        leases->lock == -ETIMEDOUT ? "another plugin has held the lock for long"
	                                   : strerror(-leases->lock));
	length = leases->lock;
	cni_leases_close(leases);
	return length == -ENOENT ? -EIO : length;
}

void cni_leases_close(struct cni_leases *leases)
{
	if (leases->lock >= 0)
		close(leases->lock);
	if (leases->dir >= 0)
		close(leases->dir);
	*leases = (struct cni_leases){-1, -1};
}

/* ---- taking ---- */

/* A lease is there whole or not at all: the file gets its name once its text is written. */
static int reserve(int dir, const struct cni_env *env, const struct pr_ip *ip)
{
	char name[PR_IP_STRLEN], text[FILE_MAX];
	int length = snprintf(text, sizeof(text), "%s\r\n%s", env->container_id, env->ifname);

	if (length >= (int)sizeof(text))
		return -ENAMETOOLONG;
	return cni_file_create(dir, pr_ip_format(ip, name), text, 0600);
}

static void last_name(char name[32], unsigned index)
{
	snprintf(name, 32, "last_reserved_ip.%u", index);
}

/* The address that was given last from this set, if that can be known. */
static bool read_last(int dir, unsigned index, struct pr_ip *ip)
{
	char name[32], *text;
	size_t length;
	bool known;

	last_name(name, index);
	text = cni_file_read(dir, name, FILE_MAX, &length);
	if (!text)
		return false;
	text[strcspn(text, "\r\n")] = '\0';
	known = !pr_ip_parse(text, ip);
	free(text);
	return known;
}

static int write_last(int dir, unsigned index, const struct pr_ip *ip)
{
	char name[32], text[PR_IP_STRLEN];

	last_name(name, index);
	return cni_file_write(dir, name, pr_ip_format(ip, text), 0600, false);
}

static bool is_gateway(const struct cni_range_set *set, const struct pr_ip *ip)
{
	for (unsigned i = 0; i < set->n; i++)
		if (pr_ip_equal(&set->range[i].gateway, ip))
			return true;
	return false;
}

/* The address behind ip in the set, whose ranges follow one another in a ring. */
static struct pr_ip following(
        const struct cni_range_set *set, const struct pr_ip *ip, const struct cni_range **range)
{
	if (!pr_ip_equal(ip, &(*range)->last))
		return cni_ip_next(*ip);
	if (++*range == set->range + set->n)
		*range = set->range;
	return (*range)->first;
}

/* As host-local goes round: from behind the last one, gateways left out, to that one itself. */
static int take_next(struct cni_leases *leases, const struct cni_range_set *set, unsigned index,
        const struct cni_env *env, struct pr_ip *ip, const struct cni_range **range)
{
	const struct cni_range *at = NULL;
	struct pr_ip end;
	int ret;

	if (read_last(leases->dir, index, &end))
		at = cni_range_of(set, &end);
	if (!at) {
		at = &set->range[set->n - 1];
		end = at->last;
	}
	*ip = end;
	do {
		*ip = following(set, ip, &at);
		if (is_gateway(set, ip))
			continue;
		ret = reserve(leases->dir, env, ip);
		if (!ret)
			*range = at;
		if (ret != -EEXIST)
			return ret;
	} while (!pr_ip_equal(ip, &end));
	return -ENOSPC;
}

int cni_lease_take(struct cni_leases *leases, const struct cni_range_set *set, unsigned index,
        const struct cni_env *env, const struct pr_ip *wanted, struct pr_ip *ip,
        const struct cni_range **range)
{
	int ret;

	if (!wanted) {
		ret = take_next(leases, set, index, env, ip, range);
	} else {
		*ip = *wanted;
		*range = cni_range_of(set, wanted);
		ret = !*range || is_gateway(set, wanted) ? -EBUSY
		                                         : reserve(leases->dir, env, wanted);
		ret = ret == -EEXIST ? -EBUSY : ret;
	}
	return ret ? ret : write_last(leases->dir, index, ip);
}

/* ---- giving back ---- */

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

	/* Its writer holds the lock that we have. */
	if (!strncmp(name, UNFINISHED, strlen(UNFINISHED)))
		return unlinkat(dir, name, 0) && errno != ENOENT ? -errno : 0;
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

int cni_leases_sweep(struct cni_leases *leases, cni_stale_fn stale, void *data)
{
	int fd = openat(leases->dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC), ret = 0;
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

/* Counts, and lets everything stay. */
struct owner {
	const struct cni_env *env;
	unsigned n;
};

static bool count(const char *container_id, const char *ifname, void *data)
{
	struct owner *owner = data;

	owner->n += !strcmp(container_id, owner->env->container_id) &&
	            (!ifname[0] || !strcmp(ifname, owner->env->ifname));
	return false;
}

unsigned cni_leases_of(struct cni_leases *leases, const struct cni_env *env)
{
	struct owner owner = {env, 0};

	cni_leases_sweep(leases, count, &owner);
	return owner.n;
}

int cni_leases_gc(
        const struct cni_netconf *conf, cni_stale_fn stale, void *data, struct cni_error *err)
{
	struct cni_leases leases;
	int ret = cni_leases_open(&leases, conf, false, err);

	if (ret)
		return ret == -ENOENT ? 0 : -EINVAL;
	ret = cni_leases_sweep(&leases, stale, data);
	cni_leases_close(&leases);
	return ret ? cni_fail(err, CNI_ERR_IO, "giving back addresses of network %s: %s",
	                     conf->name, strerror(-ret))
	           : 0;
}
