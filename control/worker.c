/* SPDX-License-Identifier: BSD-3-Clause */
#include "control/object.h"

#include <stdlib.h>
#include <syslog.h>

static double rounded(uint64_t a, uint64_t b, double steps)
{
	return b ? (double)(uint64_t)((double)a / (double)b * steps + 0.5) / steps : 0;
}

/* One decimal: more would be noise. */
static double ratio(uint64_t a, uint64_t b)
{
	return rounded(a, b, 10);
}

/* A share of a core. */
static void add_load(cJSON *object, const char *name, uint64_t millionths)
{
	cJSON_AddNumberToObject(object, name, rounded(millionths, 1000000, 1000));
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
		add_load(queue, "load", info->queue[i].load);
		cJSON_AddItemToArray(queues, queue);
	}
	add_load(object, "load", info->load);
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

/* ---- moving queues ---- */

/* Whoever asks wants the best; by itself a move must be worth a fiftieth of a core. */
#define GAIN_ASKED     0
#define GAIN_AUTOMATIC 20000

static unsigned every, left; /* seconds; every 0: never by itself */

static cJSON *moves_json(const struct dp_moves *moves)
{
	cJSON *array = cJSON_CreateArray();

	for (unsigned i = 0; i < moves->n; i++) {
		cJSON *move = cJSON_CreateObject();

		cJSON_AddStringToObject(move, "port", port_name(moves->move[i].port));
		json_add_u64(move, "queue", moves->move[i].queue);
		json_add_u64(move, "from", moves->move[i].from);
		json_add_u64(move, "to", moves->move[i].to);
		add_load(move, "load", moves->move[i].load);
		cJSON_AddItemToArray(array, move);
	}
	return array;
}

static cJSON *loads_json(const struct dp_moves *moves)
{
	cJSON *array = cJSON_CreateArray();

	for (unsigned i = 0; i < moves->n_workers; i++) {
		cJSON *worker = cJSON_CreateObject();

		json_add_u64(worker, "index", i);
		add_load(worker, "before", moves->before[i]);
		add_load(worker, "after", moves->after[i]);
		cJSON_AddItemToArray(array, worker);
	}
	return array;
}

static int answer(struct request *request, const struct dp_moves *moves)
{
	cJSON_AddItemToObject(request->result, "moves", moves_json(moves));
	cJSON_AddItemToObject(request->result, "loads", loads_json(moves));
	return 0;
}

int worker_rebalance(struct request *request)
{
	struct dp_moves *moves = malloc(sizeof(*moves));
	struct dp_error error = {0};
	int rc;

	if (!moves)
		return request_fail(request, PR_ERR_INTERNAL, NULL, "out of memory");
	rc = dp_rebalance(GAIN_ASKED, moves, &error) ? request_fail_dp(request, &error)
	                                             : answer(request, moves);
	free(moves);
	return rc;
}

int worker_move(struct request *request)
{
	uint16_t queue = (uint16_t)json_integer(request->params, "queue", 0);
	uint16_t worker = (uint16_t)json_integer(request->params, "worker", 0);
	const struct port *port = port_wanted(request, "port");
	struct dp_error error = {0};
	struct dp_moves *moves;
	int rc;

	if (!port)
		return -1;
	moves = malloc(sizeof(*moves));
	if (!moves)
		return request_fail(request, PR_ERR_INTERNAL, NULL, "out of memory");
	rc = dp_queue_move(port->spec.index, queue, worker, moves, &error)
	             ? request_fail_dp(request, &error)
	             : answer(request, moves);
	free(moves);
	return rc;
}

void workers_rebalance_every(unsigned seconds)
{
	every = left = seconds;
}

void workers_tick(void)
{
	struct dp_moves *moves;
	struct dp_error error;

	if (!every || --left)
		return;
	left = every;
	moves = malloc(sizeof(*moves));
	if (moves && !dp_rebalance(GAIN_AUTOMATIC, moves, &error) && moves->n)
		log_message(LOG_INFO, "%u queue%s moved to other workers", moves->n,
		        moves->n == 1 ? "" : "s");
	free(moves);
}
