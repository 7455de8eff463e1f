/* SPDX-License-Identifier: BSD-3-Clause */
#include "cni/tombstone.h"

#include <fcntl.h>
#include <unistd.h>

#include "cni/file.h"

static void read_boot_id(char boot[64])
{
	int fd = open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? 0 : read(fd, boot, 63);

	boot[n > 0 ? n : 0] = '\0';
	boot[strcspn(boot, "\n")] = '\0';
	if (fd >= 0)
		close(fd);
}

int cni_tombstone_write(const struct cni_netconf *conf, const char *port, const char *container_id,
        struct cni_error *err)
{
	char path[CNI_PATH_SIZE], boot[64], *text;
	cJSON *json = cJSON_CreateObject();
	int dir, ret;

	read_boot_id(boot);
	cJSON_AddStringToObject(json, "port", port);
	cJSON_AddStringToObject(json, "containerId", container_id);
	cJSON_AddStringToObject(json, "bootId", boot);
	text = cJSON_PrintUnformatted(json);
	cJSON_Delete(json);
	snprintf(path, sizeof(path), "%s/tombstones", conf->state_dir);
	dir = text ? cni_open_dir(path, true) : -ENOMEM;
	ret = dir < 0 ? dir : cni_file_write(dir, port, text, 0644, true);
	if (dir >= 0)
		close(dir);
	cJSON_free(text);
	if (ret)
		return cni_fail(err, CNI_ERR_IO,
		        "podraild does not answer and the tombstone %s/%s can not be written: %s",
		        path, port, strerror(-ret));
	return 0;
}
