/* SPDX-License-Identifier: BSD-3-Clause */
#include "cni/attachment.h"

#include <dirent.h>
#include <fcntl.h>
#include <unistd.h>

#include "cni/file.h"

#define RECORD_MAX    65536
#define RECORD_SUFFIX ".json"

int cni_run_open(const struct cni_netconf *conf, bool make)
{
	char path[CNI_PATH_SIZE];
	const char *slash = strrchr(conf->daemon_socket, '/');

	snprintf(path, sizeof(path), "%.*s/cni", (int)(slash - conf->daemon_socket),
	        conf->daemon_socket);
	return cni_open_dir(path, make);
}

static const char *get(const cJSON *root, const char *key)
{
	return cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(root, key));
}

/* Points the members at root's strings. */
static int bind_record(struct cni_attachment *att)
{
	const char *base = get(att->root, "base"), *below = get(att->root, "below");

	att->port = get(att->root, "port");
	att->container_id = get(att->root, "containerId");
	att->ifname = get(att->root, "ifname");
	att->network = get(att->root, "network");
	att->socket_name = get(att->root, "socket");
	att->pod_file = get(att->root, "podFile");
	att->device_info = get(att->root, "deviceInfo");
	att->ipam = cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(att->root, "ipam"));
	att->dir.own = cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(att->root, "ownDirectory"));
	if (!att->port || !att->container_id || !att->ifname || !att->network ||
	        !att->socket_name || !att->pod_file || !base || !below ||
	        strlen(base) >= sizeof(att->dir.base) || strlen(below) >= sizeof(att->dir.below))
		return -EINVAL;
	strcpy(att->dir.base, base);
	strcpy(att->dir.below, below);
	return 0;
}

int cni_attachment_plan(struct cni_attachment *att, const struct cni_env *env,
        const struct cni_netconf *conf, struct cni_error *err)
{
	struct cni_dir dir;
	char pod_file[32];
	cJSON *root;

	memset(att, 0, sizeof(*att));
	if (cni_dir_locate(&dir, env, conf, err))
		return -EINVAL;
	snprintf(pod_file, sizeof(pod_file), "%s.json", env->ifname);
	if (!strcmp(pod_file, conf->socket_name))
		return cni_fail(err, CNI_ERR_CONFIG,
		        "socketName \"%s\" is the name of the pod's file", conf->socket_name);
	root = cJSON_CreateObject();
	cJSON_AddStringToObject(root, "port", env->port);
	cJSON_AddStringToObject(root, "containerId", env->container_id);
	cJSON_AddStringToObject(root, "ifname", env->ifname);
	cJSON_AddStringToObject(root, "network", conf->name);
	cJSON_AddStringToObject(root, "base", dir.base);
	cJSON_AddStringToObject(root, "below", dir.below);
	cJSON_AddBoolToObject(root, "ownDirectory", dir.own);
	cJSON_AddStringToObject(root, "socket", conf->socket_name);
	cJSON_AddStringToObject(root, "podFile", pod_file);
	if (conf->device_info)
		cJSON_AddStringToObject(root, "deviceInfo", conf->device_info);
	cJSON_AddBoolToObject(root, "ipam", conf->ipam != NULL);
	att->root = root;
	return bind_record(att);
}

int cni_attachment_load(struct cni_attachment *att, int run, const char *port)
{
	char name[CNI_NAME_SIZE + 8], *text;
	size_t length;

	memset(att, 0, sizeof(*att));
	snprintf(name, sizeof(name), "%s" RECORD_SUFFIX, port);
	text = cni_file_read(run, name, RECORD_MAX, &length);
	if (!text)
		return -errno;
	att->root = cJSON_ParseWithLength(text, length);
	free(text);
	if (att->root && !bind_record(att))
		return 0;
	cni_attachment_free(att);
	return -EINVAL;
}

int cni_attachment_save(const struct cni_attachment *att, int run)
{
	char name[CNI_NAME_SIZE + 8], *text = cJSON_PrintUnformatted(att->root);
	int ret;

	if (!text)
		return -ENOMEM;
	snprintf(name, sizeof(name), "%s" RECORD_SUFFIX, att->port);
	ret = cni_file_write(run, name, text, 0600, false);
	cJSON_free(text);
	return ret;
}

int cni_attachment_forget(int run, const char *port)
{
	char name[CNI_NAME_SIZE + 8];

	snprintf(name, sizeof(name), "%s" RECORD_SUFFIX, port);
	return unlinkat(run, name, 0) && errno != ENOENT ? -errno : 0;
}

int cni_attachment_each(int run, int (*fn)(const char *port, void *data), void *data)
{
	int fd = openat(run, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC), ret = 0;
	DIR *list = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *entry;

	if (!list) {
		ret = -errno;
		if (fd >= 0)
			close(fd);
		return ret;
	}
	while (!ret && (entry = readdir(list))) {
		size_t length = strlen(entry->d_name);
		size_t suffix = sizeof(RECORD_SUFFIX) - 1;
		char port[CNI_NAME_SIZE];

		if (entry->d_name[0] == '.' || length <= suffix ||
		        length - suffix >= sizeof(port) ||
		        strcmp(entry->d_name + length - suffix, RECORD_SUFFIX))
			continue;
		memcpy(port, entry->d_name, length - suffix);
		port[length - suffix] = '\0';
		ret = fn(port, data);
	}
	closedir(list);
	return ret;
}

struct sharing {
	const struct cni_attachment *att;
	int run;
};

/* The other interfaces of the same container may have their sockets in the same directory. */
static int shares_dir(const char *port, void *data)
{
	const struct sharing *sharing = data;
	const struct cni_attachment *att = sharing->att;
	size_t length = strlen(att->dir.below);
	struct cni_attachment other;
	int ret = 0;

	if (!strcmp(port, att->port) || strncmp(port, att->dir.below, length) ||
	        port[length] != '-')
		return 0;
	if (!cni_attachment_load(&other, sharing->run, port))
		ret = !strcmp(other.dir.base, att->dir.base) &&
		      !strcmp(other.dir.below, att->dir.below);
	cni_attachment_free(&other);
	return ret;
}

static int remove_file(int dir, const char *name)
{
	if (!unlinkat(dir, name, 0) || errno == ENOENT)
		return 0;
	return -errno;
}

int cni_attachment_clean(const struct cni_attachment *att, int run)
{
	struct sharing sharing = {att, run};
	int fd = cni_dir_open(&att->dir), ret = 0, one;
	const char *name;

	if (fd >= 0) {
		/* in its own directory the pod may have put anything: our names come first, the
		 * directory as a whole below */
		ret = remove_file(fd, att->socket_name);
		one = remove_file(fd, att->pod_file);
		ret = ret ? ret : one;
		close(fd);
	}
	if (att->dir.own && (run < 0 || !cni_attachment_each(run, shares_dir, &sharing)))
		ret = cni_dir_remove(&att->dir);
	if (att->device_info) {
		fd = cni_open_parent(att->device_info, false, &name);
		if (fd >= 0) {
			one = remove_file(fd, name);
			ret = ret ? ret : one;
			close(fd);
		}
	}
	return ret;
}

void cni_attachment_free(struct cni_attachment *att)
{
	cJSON_Delete(att->root);
	memset(att, 0, sizeof(*att));
}
