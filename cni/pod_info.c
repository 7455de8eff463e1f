/* SPDX-License-Identifier: BSD-3-Clause */
#include "cni/pod_info.h"

#include <unistd.h>

#include "cni/file.h"
#include "cni/port.h"

static void pods_path(
        const struct cni_netconf *conf, const struct cni_attachment *att, char path[CNI_PATH_SIZE])
{
	if (conf->mount_path)
		snprintf(path, CNI_PATH_SIZE, "%s/%s", conf->mount_path, att->socket_name);
	else
		cni_socket_path(att, path);
}

cJSON *cni_device_info(const struct cni_netconf *conf, const struct cni_attachment *att)
{
	cJSON *info = cJSON_CreateObject(), *device;
	char path[CNI_PATH_SIZE];

	pods_path(conf, att, path);
	cJSON_AddStringToObject(info, "type", "vhost-user");
	cJSON_AddStringToObject(info, "version", "1.1.0");
	device = cJSON_AddObjectToObject(info, "vhost-user");
	cJSON_AddStringToObject(device, "mode", conf->server ? "client" : "server");
	cJSON_AddStringToObject(device, "path", path);
	return info;
}

static void copy(cJSON *to, const cJSON *from, const char *key)
{
	const cJSON *item = cJSON_GetObjectItemCaseSensitive(from, key);

	if (item)
		cJSON_AddItemToObject(to, key, cJSON_Duplicate(item, true));
}

cJSON *cni_pod_info(const struct cni_netconf *conf, const struct cni_attachment *att,
        const cJSON *port, const cJSON *result)
{
	cJSON *info = cJSON_CreateObject(), *addresses;
	const cJSON *ip;

	cJSON_AddItemToObject(info, "deviceInfo", cni_device_info(conf, att));
	cJSON_AddStringToObject(info, "ifname", att->ifname);
	cJSON_AddStringToObject(info, "port", att->port);
	cJSON_AddStringToObject(info, "networkName", att->network);
	cJSON_AddStringToObject(info, "network", conf->network);
	cJSON_AddStringToObject(info, "kind", "vhost-user");
	cJSON_AddStringToObject(info, "socket", att->socket_name);
	cJSON_AddStringToObject(info, "mode", conf->server ? "client" : "server");
	copy(info, port, "queues");
	copy(info, port, "mac");
	copy(info, port, "mtu");
	copy(info, port, "gatewayMac");
	copy(info, port, "vlan");
	copy(info, port, "trunk");
	addresses = cJSON_AddArrayToObject(info, "addresses");
	cJSON_ArrayForEach (ip, cJSON_GetObjectItemCaseSensitive(result, "ips")) {
		cJSON *entry = cJSON_CreateObject();

		copy(entry, ip, "address");
		copy(entry, ip, "gateway");
		cJSON_AddItemToArray(addresses, entry);
	}
	copy(info, result, "routes");
	copy(info, result, "dns");
	return info;
}

/* World readable: the application may run as any user. The directory decides who gets there. */
static int write_json(int dir, const char *name, const cJSON *json)
{
	char *text = cJSON_Print(json);
	int ret = text ? cni_file_write(dir, name, text, 0644, false) : -ENOMEM;

	cJSON_free(text);
	return ret;
}

int cni_pod_info_write(
        int dir, const struct cni_attachment *att, const cJSON *info, struct cni_error *err)
{
	int ret = write_json(dir, att->pod_file, info);

	if (ret)
		return cni_fail(err, CNI_ERR_IO, "the pod's file %s/%s/%s: %s", att->dir.base,
		        att->dir.below, att->pod_file, strerror(-ret));
	return 0;
}

int cni_device_info_write(
        const struct cni_netconf *conf, const struct cni_attachment *att, struct cni_error *err)
{
	const char *name;
	cJSON *info;
	int dir, ret;

	if (!conf->device_info)
		return 0;
	info = cni_device_info(conf, att);
	dir = cni_open_parent(conf->device_info, true, &name);
	ret = dir < 0 ? dir : write_json(dir, name, info);
	if (dir >= 0)
		close(dir);
	cJSON_Delete(info);
	if (ret)
		return cni_fail(err, CNI_ERR_IO, "device-info file %s: %s", conf->device_info,
		        strerror(-ret));
	return 0;
}
