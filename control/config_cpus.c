/* SPDX-License-Identifier: BSD-3-Clause */
#include "control/config_internal.h"

#include <stdio.h>
#include <string.h>

const cpu_set_t *config_cpus(void)
{
	static cpu_set_t cpus;
	static bool known;

	if (!known && !sched_getaffinity(0, sizeof(cpus), &cpus))
		known = true;
	return &cpus;
}

/* "0-3,7" */
static const char *cpu_list(char *text, size_t size)
{
	const cpu_set_t *cpus = config_cpus();
	size_t used = 0;

	text[0] = '\0';
	for (int cpu = 0; cpu < CPU_SETSIZE && used < size; cpu++) {
		int first = cpu;

		if (!CPU_ISSET(cpu, cpus))
			continue;
		while (cpu + 1 < CPU_SETSIZE && CPU_ISSET(cpu + 1, cpus))
			cpu++;
		used += (size_t)snprintf(text + used, size - used,
		        first == cpu ? "%s%d" : "%s%d-%d", used ? "," : "", first, cpu);
	}
	return text;
}

static int take_cpu(const char *field, const cJSON *item, int *cpu, struct config_error *error)
{
	double value = cJSON_IsNumber(item) ? item->valuedouble : -1;
	char list[256];

	if (!(value >= 0 && value < CPU_SETSIZE) || value != (double)(int)value)
		return config_fail(error, field, "must be a CPU's number; this process may use %s",
		        cpu_list(list, sizeof(list)));
	*cpu = (int)value;
	if (!CPU_ISSET(*cpu, config_cpus()))
		return config_fail(error, field,
		        "CPU %d is not one that this process may use (%s): choose one of them, or"
		        " change the cpuset (systemd: AllowedCPUs=, CPUAffinity=)",
		        *cpu, cpu_list(list, sizeof(list)));
	return 0;
}

static int first_cpu(void)
{
	for (int cpu = 0; cpu < CPU_SETSIZE; cpu++)
		if (CPU_ISSET(cpu, config_cpus()))
			return cpu;
	return 0;
}

static bool is_worker(const struct dp_config *dp, unsigned n, int cpu)
{
	for (unsigned i = 0; i < n; i++)
		if (dp->worker_cpu[i] == cpu)
			return true;
	return false;
}

/* The last CPU but the control thread's; that one where there is no other. */
static void default_workers(struct dp_config *dp)
{
	dp->n_workers = 1;
	dp->worker_cpu[0] = dp->control_cpu;
	for (int cpu = CPU_SETSIZE - 1; cpu >= 0; cpu--)
		if (cpu != dp->control_cpu && CPU_ISSET(cpu, config_cpus())) {
			dp->worker_cpu[0] = cpu;
			return;
		}
}

static int take_workers(const cJSON *workers, struct dp_config *dp, struct config_error *error)
{
	int n = cJSON_IsArray(workers) ? cJSON_GetArraySize(workers) : 0;
	const cJSON *item;
	char field[32];

	if (n < 1 || n > PR_WORKERS_MAX)
		return config_fail(error, "workers",
		        "must be an array of 1 to %d CPU numbers, one a worker", PR_WORKERS_MAX);
	cJSON_ArrayForEach (item, workers) {
		int cpu, rc;

		snprintf(field, sizeof(field), "workers[%u]", dp->n_workers);
		rc = take_cpu(field, item, &cpu, error);
		if (rc)
			return rc;
		if (dp->idle != DP_IDLE_SLEEP && is_worker(dp, dp->n_workers, cpu))
			return config_fail(error, field,
			        "CPU %d has a worker already: two that poll starve each other"
			        " (allowed with idle \"sleep\")",
			        cpu);
		dp->worker_cpu[dp->n_workers++] = cpu;
	}
	return 0;
}

int config_take_cpus(struct parsed *parsed, struct config_error *error)
{
	struct dp_config *dp = &parsed->config.dp;
	int rc = 0;

	dp->control_cpu = first_cpu();
	if (parsed->control_cpu)
		rc = take_cpu("controlCpu", parsed->control_cpu, &dp->control_cpu, error);
	if (!rc && parsed->workers)
		rc = take_workers(parsed->workers, dp, error);
	if (rc)
		return rc;
	/* Only the worker's CPU was chosen: the control thread makes way. */
	for (int cpu = 0; cpu < CPU_SETSIZE && parsed->workers && !parsed->control_cpu &&
	                  is_worker(dp, dp->n_workers, dp->control_cpu);
	        cpu++)
		if (CPU_ISSET(cpu, config_cpus()) && !is_worker(dp, dp->n_workers, cpu))
			dp->control_cpu = cpu;
	if (!parsed->workers)
		default_workers(dp);
	if (dp->idle != DP_IDLE_SLEEP && CPU_COUNT(config_cpus()) > 1 &&
	        is_worker(dp, dp->n_workers, dp->control_cpu))
		return config_fail(error, "controlCpu",
		        "CPU %d has a worker: a worker that polls leaves nothing for the control"
		        " thread; choose another, leave a CPU without a worker, or set idle to"
		        " \"sleep\"",
		        dp->control_cpu);
	return 0;
}
