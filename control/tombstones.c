/* SPDX-License-Identifier: BSD-3-Clause */
#include "control/tombstones.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <syslog.h>
#include <unistd.h>

#include "control/control.h"

#define TOMBSTONE_MAX 4096 /* bytes */

struct tombstone {
	char file[256];
	char port[PR_NAME_MAX + 1];
	char container_id[256];
};

static int copy_string(const cJSON *json, const char *name, char *text, size_t size)
{
	const cJSON *item = cJSON_GetObjectItemCaseSensitive(json, name);

	if (!cJSON_IsString(item) || !item->valuestring[0] || strlen(item->valuestring) >= size)
		return -EINVAL;
	strcpy(text, item->valuestring);
	return 0;
}

static int parse(const char *text, struct tombstone *stone)
{
	cJSON *json = cJSON_Parse(text);
	int rc = 0;

	if (!cJSON_IsObject(json) || copy_string(json, "port", stone->port, sizeof(stone->port)) ||
	        !pr_name_valid(stone->port) ||
	        copy_string(json, "containerId", stone->container_id, sizeof(stone->container_id)))
		rc = -EINVAL;
	cJSON_Delete(json);
	return rc;
}

/* Fills stone from a file of the directory; -EINVAL: malformed. */
static int read_stone(int directory, const char *file, struct tombstone *stone)
{
	char text[TOMBSTONE_MAX + 1];
	struct stat st;
	ssize_t n = -1;
	int fd;

	memset(stone, 0, sizeof(*stone));
	snprintf(stone->file, sizeof(stone->file), "%s", file);
	fd = openat(directory, file, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	if (fd < 0)
		return errno == ENOENT ? -ENOENT : -EINVAL;
	if (!fstat(fd, &st) && S_ISREG(st.st_mode))
		n = read(fd, text, sizeof(text));
	close(fd);
	if (n <= 0 || n > TOMBSTONE_MAX)
		return -EINVAL;
	text[n] = '\0';
	return strlen(text) == (size_t)n ? parse(text, stone) : -EINVAL;
}

static void move_aside(const char *state_dir, int directory, const char *file)
{
	char path[4200];
	int target;

	snprintf(path, sizeof(path), "%s/tombstones-malformed", state_dir);
	mkdir(path, 0700);
	target = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (target < 0 || renameat(directory, file, target, file))
		log_message(LOG_ERR, "tombstone %s is malformed and can not be moved to %s: %s",
		        file, path, strerror(errno));
	else
		log_message(LOG_ERR, "tombstone %s is malformed: moved to %s", file, path);
	if (target >= 0)
		close(target);
}

/* Reads the whole directory. Returns its fd, -ENOENT when there is none, or a negative errno. */
static int collect(const char *state_dir, struct tombstone **stones, size_t *n)
{
	struct dirent *entry;
	char path[4200];
	DIR *list;
	int fd, rc = 0;

	*stones = NULL;
	*n = 0;
	snprintf(path, sizeof(path), "%s/tombstones", state_dir);
	fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	list = fdopendir(dup(fd));
	if (!list) {
		close(fd);
		return -ENOMEM;
	}
	while ((entry = readdir(list)) && !rc) {
		struct tombstone *grown;

		if (entry->d_name[0] == '.') /* a file that is still being written, too */
			continue;
		grown = realloc(*stones, (*n + 1) * sizeof(**stones));
		if (!grown) {
			rc = -ENOMEM;
			break;
		}
		*stones = grown;
		switch (read_stone(fd, entry->d_name, &grown[*n])) {
		case 0:
			++*n;
			break;
		case -EINVAL:
			move_aside(state_dir, fd, entry->d_name);
			break;
		}
	}
	closedir(list);
	if (!rc)
		return fd;
	close(fd);
	free(*stones);
	return rc;
}

/* The port may have been made again for another container since. */
static bool stored_port_matches(const struct tombstone *stone)
{
	cJSON *body = state_get("port", stone->port);
	const cJSON *cni = cJSON_GetObjectItemCaseSensitive(body, "cni");
	const cJSON *id = cJSON_GetObjectItemCaseSensitive(cni, "containerId");
	bool matches = cJSON_IsString(id) && !strcmp(id->valuestring, stone->container_id);

	cJSON_Delete(body);
	return matches;
}

static int delete_stored(const struct tombstone *stones, size_t n)
{
	int rc, deleted = 0;

	rc = state_begin();
	if (rc)
		return rc;
	for (size_t i = 0; i < n; i++) {
		if (!stored_port_matches(&stones[i]))
			continue;
		rc = state_del("port", stones[i].port);
		if (rc) {
			state_rollback();
			return rc;
		}
		deleted++;
		log_message(LOG_INFO, "port %s was deleted by CNI while the daemon was down",
		        stones[i].port);
	}
	rc = state_commit();
	return rc ? rc : deleted;
}

int tombstones_apply(const char *state_dir)
{
	struct tombstone *stones;
	size_t n;
	int fd, rc;

	fd = collect(state_dir, &stones, &n);
	if (fd < 0)
		return fd == -ENOENT ? 0 : fd;
	rc = delete_stored(stones, n);
	for (size_t i = 0; i < n && rc >= 0; i++)
		unlinkat(fd, stones[i].file, 0);
	fsync(fd);
	close(fd);
	free(stones);
	return rc;
}

int tombstones_serve(const char *state_dir, int (*del)(const char *port, const char *container_id))
{
	struct tombstone *stones;
	int fd, served = 0;
	size_t n;

	fd = collect(state_dir, &stones, &n);
	if (fd < 0)
		return fd == -ENOENT ? 0 : fd;
	for (size_t i = 0; i < n; i++) {
		if (del(stones[i].port, stones[i].container_id))
			continue;
		unlinkat(fd, stones[i].file, 0);
		served++;
	}
	close(fd);
	free(stones);
	return served;
}
