/* SPDX-License-Identifier: BSD-3-Clause */
#include "control/object.h"

#include <unistd.h>

/* Requests are served only after start-up's replay: whoever gets this answer may go on. */
static int hello(struct request *request)
{
	cJSON *result = request->result;

	json_add_u64(result, "protocol", PR_PROTOCOL_VERSION);
	cJSON_AddStringToObject(result, "version", PODRAIL_VERSION);
	json_add_i64(result, "pid", getpid());
	cJSON_AddStringToObject(result, "bootId", boot_id());
	cJSON_AddStringToObject(result, "instance", instance_id());
	cJSON_AddTrueToObject(result, "ready");
	return 0;
}

const struct method methods[] = {
        {"hello", hello},
        {"network.add", network_add},
        {"network.del", network_del},
        {"network.list", network_list},
        {"network.show", network_show},
        {"port.add", port_add},
        {"port.del", port_del},
        {"port.list", port_list},
        {"port.show", port_show},
        {"port.describe", port_describe},
        {"route.add", route_add},
        {"route.del", route_del},
        {"route.list", route_list},
        {"route.get", route_get},
        {"route.sync", route_sync},
        {"neighbour.add", neighbour_add},
        {"neighbour.del", neighbour_del},
        {"neighbour.list", neighbour_list},
        {"fdb.add", fdb_add},
        {"fdb.del", fdb_del},
        {"fdb.flush", fdb_flush},
        {"fdb.list", fdb_list},
        {"multicast.list", multicast_list},
        {"multicast.status", multicast_status},
        {"stats.get", stats_get},
        {"worker.list", worker_list},
        {"worker.show", worker_show},
        {"worker.rebalance", worker_rebalance},
        {"worker.move", worker_move},
        {"config.show", config_show_verb},
        {"config.check", config_check_verb},
        {"cni.status", cni_status},
        {"cni.gc", cni_gc},
};

const unsigned n_methods = sizeof(methods) / sizeof(methods[0]);
