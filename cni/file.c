/* SPDX-License-Identifier: BSD-3-Clause */
#include "cni/file.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#define TRIES       8
#define DEPTH_MAX   16
#define ENTRIES_MAX 100000

static int write_all(int fd, const char *text)
{
	size_t length = strlen(text);

	while (length) {
		ssize_t n = write(fd, text, length);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		text += n;
		length -= (size_t)n;
	}
	return 0;
}

/* The pod may write to the directory too: a name it can not guess, and never an existing file. */
static int open_temporary(int dir, char name[40], mode_t mode)
{
	for (int i = 0; i < TRIES; i++) {
		uint64_t random;
		int fd;

		if (getrandom(&random, sizeof(random), 0) != sizeof(random))
			return -EIO;
		snprintf(name, 40, ".podrail-%016llx.tmp", (unsigned long long)random);
		fd = openat(dir, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, mode);
		if (fd >= 0)
			return fd;
		if (errno != EEXIST)
			return -errno;
	}
	return -EEXIST;
}

int cni_file_write(int dir, const char *name, const char *text, mode_t mode, bool sync)
{
	char temporary[40];
	int fd = open_temporary(dir, temporary, mode), ret;

	if (fd < 0)
		return fd;
	ret = write_all(fd, text);
	if (!ret && (fchmod(fd, mode) || (sync && fsync(fd))))
		ret = -errno;
	if (close(fd) && !ret)
		ret = -errno;
	if (!ret && renameat(dir, temporary, dir, name))
		ret = -errno;
	if (ret)
		unlinkat(dir, temporary, 0);
	else if (sync && fsync(dir))
		ret = -errno;
	return ret;
}

int cni_file_create(int dir, const char *name, const char *text, mode_t mode)
{
	char temporary[40];
	int fd, ret;

	/* Most names that are looked at are taken. */
	if (!faccessat(dir, name, F_OK, AT_SYMLINK_NOFOLLOW))
		return -EEXIST;
	fd = open_temporary(dir, temporary, mode);
	if (fd < 0)
		return fd;
	ret = write_all(fd, text);
	if (close(fd) && !ret)
		ret = -errno;
	if (!ret && linkat(dir, temporary, dir, name, 0))
		ret = -errno;
	unlinkat(dir, temporary, 0);
	return ret;
}

char *cni_fd_read(int fd, size_t limit, size_t *length)
{
	size_t size = 0, room = 4096;
	char *text = malloc(room + 1);

	while (text) {
		ssize_t n = read(fd, text + size, room - size);
		char *more;

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			break;
		size += (size_t)n;
		if (n == 0) {
			text[size] = '\0';
			*length = size;
			return text;
		}
		if (size > limit) {
			errno = EFBIG;
			break;
		}
		if (size < room)
			continue;
		room *= 2;
		more = realloc(text, room + 1);
		if (!more)
			break;
		text = more;
	}
	free(text);
	return NULL;
}

char *cni_file_read(int dir, const char *name, size_t limit, size_t *length)
{
	int fd = openat(dir, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	char *text = NULL;
	struct stat st;
	int saved;

	if (fd < 0)
		return NULL;
	if (!fstat(fd, &st) && S_ISREG(st.st_mode))
		text = cni_fd_read(fd, limit, length);
	else
		errno = EINVAL;
	saved = errno;
	close(fd);
	errno = saved;
	return text;
}

int cni_make_path(const char *path)
{
	char part[CNI_PATH_SIZE];
	size_t length = strlen(path);

	if (length >= sizeof(part))
		return -ENAMETOOLONG;
	memcpy(part, path, length + 1);
	if (!mkdir(part, 0755) || errno == EEXIST)
		return 0;
	if (errno != ENOENT)
		return -errno;
	for (char *slash = strchr(part + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
		*slash = '\0';
		if (mkdir(part, 0755) && errno != EEXIST)
			return -errno;
		*slash = '/';
	}
	return mkdir(part, 0755) && errno != EEXIST ? -errno : 0;
}

int cni_open_dir(const char *path, bool make)
{
	int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0 && errno == ENOENT && make) {
		int ret = cni_make_path(path);

		if (ret)
			return ret;
		fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	}
	return fd < 0 ? -errno : fd;
}

int cni_open_parent(const char *path, bool make, const char **name)
{
	char parent[CNI_PATH_SIZE];
	const char *slash = strrchr(path, '/');

	if (!slash || !slash[1] || !strcmp(slash + 1, ".") || !strcmp(slash + 1, "..") ||
	        strlen(path) >= sizeof(parent))
		return -EINVAL;
	snprintf(parent, sizeof(parent), "%.*s", slash == path ? 1 : (int)(slash - path), path);
	*name = slash + 1;
	return cni_open_dir(parent, make);
}

static int empty(int dir, dev_t device, int depth, int *entries);

static int remove_entry(int dir, const char *name, dev_t device, int depth, int *entries)
{
	struct stat st;
	int fd, ret;

	if (!unlinkat(dir, name, 0) || errno == ENOENT)
		return 0;
	if (errno != EISDIR && errno != EPERM)
		return -errno;
	fd = openat(dir, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	if (fstat(fd, &st) || st.st_dev != device) {
		close(fd);
		return -EXDEV;
	}
	if (!depth) {
		close(fd);
		return -ELOOP;
	}
	ret = empty(fd, device, depth - 1, entries);
	if (!ret && unlinkat(dir, name, AT_REMOVEDIR))
		ret = -errno;
	return ret;
}

/* Takes over dir. */
static int empty(int dir, dev_t device, int depth, int *entries)
{
	DIR *list = fdopendir(dir);
	struct dirent *entry;
	int ret = 0;

	if (!list) {
		ret = -errno;
		close(dir);
		return ret;
	}
	while ((entry = readdir(list))) {
		int one;

		if (!strcmp(entry->d_name, ".") || !strcmp(entry->d_name, ".."))
			continue;
		if (--*entries < 0) {
			ret = -E2BIG;
			break;
		}
		one = remove_entry(dirfd(list), entry->d_name, device, depth, entries);
		ret = one ? one : ret;
	}
	closedir(list);
	return ret;
}

int cni_empty_dir(int dir)
{
	int entries = ENTRIES_MAX, again = openat(dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct stat st;

	if (again < 0)
		return -errno;
	if (fstat(again, &st)) {
		close(again);
		return -EIO;
	}
	return empty(again, st.st_dev, DEPTH_MAX, &entries);
}
