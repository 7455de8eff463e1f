/* SPDX-License-Identifier: BSD-3-Clause */
#include "control/object.h"

#include <stdlib.h>

static double rounded(uint64_t a, uint64_t b, double steps)
{
	return b ? (double)(uint64_t)((double)a / (double)b * steps + 0.5) / steps : 0;
}

/* One decimal: more would be noise. */
static double ratio(uint64_t a, uint64_t b)
{
	return rounded(a, b, 10);
}

static cJSON *worker_json(unsigned index, const struct dp_worker_info *info)
{
	cJSON *object = cJSON_CreateObject(), *queues;

	json_add_u64(object, "index", index);
	json_add_i64(object, "cpu", info->cpu);
	queues = cJSON_AddArrayToObject(object, "queues");
	for (unsigned i = 0; i < info->n_queues; i++) {
		cJSON *queue = cJSON_CreateObject();

		cJSON_AddStringToObject(queue, "port", port_name(info->queue[i].port));
		json_add_u64(queue, "queue", info->queue[i].queue);
		cJSON_AddItemToArray(queues, queue);
	}
	json_add_u64(object, "busyCycles", info->busy_cycles);
	json_add_u64(object, "idleCycles", info->idle_cycles);
	cJSON_AddNumberToObject(object, "idleShare",
	        rounded(info->idle_cycles, info->busy_cycles + info->idle_cycles, 1000));
	json_add_u64(object, "packets", info->packets);
	json_add_u64(object, "batches", info->batches);
	json_add_u64(object, "polls", info->polls);
	cJSON_AddNumberToObject(object, "packetsPerPoll", ratio(info->packets, info->polls));
	cJSON_AddNumberToObject(object, "cyclesPerPacket", ratio(info->busy_cycles, info->packets));
	cJSON_AddBoolToObject(object, "sleeping", info->sleeping);
	return object;
}

static void add_stages(cJSON *object, const struct dp_worker_info *info)
{
	cJSON *stages = cJSON_AddObjectToObject(object, "stages");

	for (unsigned i = 0; i < PR_STAGE_COUNT; i++) {
		cJSON *stage = cJSON_AddObjectToObject(stages, pr_stage_name(i));

		json_add_u64(stage, "packets", info->stage[i].packets);
		cJSON_AddNumberToObject(stage, "cyclesPerPacket",
		        ratio(info->stage[i].cycles, info->stage[i].packets));
	}
}

int worker_list(struct request *request)
{
	struct dp_worker_info *info = malloc(sizeof(*info));
	cJSON *array;

	if (!info)
		return request_fail(request, PR_ERR_INTERNAL, NULL, "out of memory");
	array = cJSON_AddArrayToObject(request->result, "workers");
	for (unsigned i = 0; i < PR_WORKERS_MAX && !dp_worker_info(i, info); i++)
		cJSON_AddItemToArray(array, worker_json(i, info));
	free(info);
	return 0;
}

int worker_show(struct request *request)
{
	unsigned index = (unsigned)json_integer(request->params, "index", 0);
	struct dp_worker_info *info = malloc(sizeof(*info));
	cJSON *object;
	int rc = 0;

	if (!info)
		return request_fail(request, PR_ERR_INTERNAL, NULL, "out of memory");
	if (dp_worker_info(index, info)) {
		rc = request_fail(request, PR_ERR_NOT_FOUND, "index",
		        "there is no worker %u; worker.list names them", index);
	} else {
		/* The members of the worker are the answer itself. */
		object = worker_json(index, info);
		add_stages(object, info);
		while (object->child)
			cJSON_AddItemToArray(
			        request->result, cJSON_DetachItemViaPointer(object, object->child));
		cJSON_Delete(object);
	}
	free(info);
	return rc;
}
