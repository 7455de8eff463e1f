/* SPDX-License-Identifier: BSD-3-Clause */
/* Moving queues between workers. Control thread, which is the only one that has lists changed: what
 * it saw in one transaction still holds in the next. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "dataplane/polls.h"
#include "dataplane/tables.h"

struct plan {
	struct placement_workers workers;
	struct placed_queue *queues; /* of all workers, in the order of their lists */
	uint16_t *from;              /* their workers before */
	unsigned n, room;
	/* What losing workers have until the others have let go, and what each has in the end;
	 * NULL: no change. */
	struct poll_list *kept[PR_WORKERS_MAX], *last[PR_WORKERS_MAX];
	struct dp_moves *moves;
};

static int count(void *arg)
{
	struct plan *plan = arg;

	plan->room = 0;
	for (unsigned w = 0; w < shared->n_workers; w++)
		plan->room += polls_of(w)->n;
	return 0;
}

static int look(void *arg)
{
	struct plan *plan = arg;

	loads_of_workers(&plan->workers);
	plan->n = 0;
	for (unsigned w = 0; w < shared->n_workers; w++) {
		const struct poll_list *list = polls_of(w);

		plan->moves->before[w] = plan->workers.load[w];
		for (unsigned n = 0; n < list->n && plan->n < plan->room; n++) {
			const struct device *device = list->queue[n].device;
			uint16_t queue = list->queue[n].queue;

			plan->from[plan->n] = (uint16_t)w;
			plan->queues[plan->n++] = (struct placed_queue){device->index, queue,
			        (uint16_t)w, device->numa, load_of(device, queue)};
		}
	}
	return 0;
}

static void list_moves(struct plan *plan)
{
	struct dp_moves *moves = plan->moves;

	for (unsigned n = 0; n < plan->n; n++) {
		const struct placed_queue *q = &plan->queues[n];

		if (q->worker == plan->from[n] || moves->n == DP_MOVES_MAX)
			continue;
		moves->move[moves->n++] = (struct dp_move){polls_port(&shared->device[q->device]),
		        q->queue, plan->from[n], q->worker, q->load};
	}
}

static void add(struct poll_list *list, const struct placed_queue *queue)
{
	list->queue[list->n].device = &shared->device[queue->device];
	list->queue[list->n++].queue = queue->queue;
}

/* Queues that stay on w, and those that it has in the end. */
static void count_lists(const struct plan *plan, unsigned w, unsigned *stay, unsigned *all)
{
	*stay = *all = 0;
	for (unsigned n = 0; n < plan->n; n++) {
		*all += plan->queues[n].worker == w;
		*stay += plan->queues[n].worker == w && plan->from[n] == w;
	}
}

static int make_lists(struct plan *plan, unsigned w)
{
	unsigned stay, all, had = polls_of(w)->n;

	count_lists(plan, w, &stay, &all);
	if (stay != had) {
		plan->kept[w] = polls_make(stay);
		if (!plan->kept[w])
			return -ENOMEM;
	}
	if (all != stay) {
		plan->last[w] = polls_make(all);
		if (!plan->last[w])
			return -ENOMEM;
	}
	for (unsigned n = 0; n < plan->n; n++) {
		if (plan->queues[n].worker != w)
			continue;
		if (plan->kept[w] && plan->from[n] == w)
			add(plan->kept[w], &plan->queues[n]);
		if (plan->last[w])
			add(plan->last[w], &plan->queues[n]);
	}
	return 0;
}

/* Takes the queues away from the workers that lose them. */
static int take(void *arg)
{
	struct plan *plan = arg;
	int rc = 0;

	for (unsigned w = 0; w < shared->n_workers && !rc; w++)
		rc = make_lists(plan, w);
	if (rc) {
		for (unsigned w = 0; w < shared->n_workers; w++) {
			polls_free(plan->kept[w]);
			polls_free(plan->last[w]);
		}
		return rc;
	}
	list_moves(plan);
	for (unsigned w = 0; w < shared->n_workers; w++)
		if (plan->kept[w])
			polls_publish(w, plan->kept[w]);
	return 0;
}

/* Gives them to the others: no worker is in them any more. */
static int give(void *arg)
{
	struct plan *plan = arg;

	for (unsigned w = 0; w < shared->n_workers; w++)
		if (plan->last[w])
			polls_publish(w, plan->last[w]);
	return 0;
}

static int apply(struct plan *plan)
{
	int rc = tables_call(take, plan);

	if (rc)
		return rc;
	tables_grace();
	return tables_call(give, plan);
}

static void end(struct plan *plan)
{
	for (unsigned w = 0; w < shared->n_workers; w++)
		plan->moves->after[w] = plan->workers.load[w];
	free(plan->queues);
	free(plan->from);
}

/* Fills the plan with what is. */
static int begin(struct plan *plan, struct dp_moves *moves)
{
	plan->moves = moves;
	memset(moves, 0, sizeof(*moves));
	moves->n_workers = shared->n_workers;
	tables_call(count, plan);
	plan->queues = calloc(plan->room + 1, sizeof(*plan->queues));
	plan->from = calloc(plan->room + 1, sizeof(*plan->from));
	if (!plan->queues || !plan->from)
		return -ENOMEM;
	return tables_call(look, plan);
}

static int out_of_memory(struct dp_error *error)
{
	return dp_fail(error, PR_ERR_FULL, -ENOMEM, "", "out of memory");
}

int dp_rebalance(uint32_t gain, struct dp_moves *moves, struct dp_error *error)
{
	struct plan plan = {0};
	int rc = begin(&plan, moves);

	if (!rc && placement_balance(&plan.workers, plan.queues, plan.n, gain, DP_MOVES_MAX))
		rc = apply(&plan);
	end(&plan);
	return rc ? out_of_memory(error) : 0;
}

static struct placed_queue *find(const struct plan *plan, uint16_t port, uint16_t queue)
{
	for (unsigned n = 0; n < plan->n; n++)
		if (shared->port[port].device == &shared->device[plan->queues[n].device] &&
		        plan->queues[n].queue == queue)
			return &plan->queues[n];
	return NULL;
}

int dp_queue_move(uint16_t port, uint16_t queue, uint16_t worker, struct dp_moves *moves,
        struct dp_error *error)
{
	struct plan plan = {0};
	int rc = begin(&plan, moves);
	struct placed_queue *found = rc ? NULL : find(&plan, port, queue);

	if (!rc && worker >= shared->n_workers)
		rc = dp_fail(error, PR_ERR_NOT_FOUND, -ENOENT, "worker",
		        "there is no such worker; worker.list names them");
	else if (!rc && !found)
		rc = dp_fail(error, PR_ERR_NOT_FOUND, -ENOENT, "queue",
		        "the port has no such queue; worker.list names them");
	else if (!rc && found->worker != worker) {
		placement_move(&plan.workers, found, worker);
		rc = apply(&plan);
	}
	end(&plan);
	return rc == -ENOMEM ? out_of_memory(error) : rc;
}
