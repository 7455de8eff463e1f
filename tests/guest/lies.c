/* SPDX-License-Identifier: BSD-3-Clause */
#include "lies.h"
#include "scenario.h"

void lies_list(void)
{
}
int scenario_lie(const struct options *options)
{
	return scenario_failed(options, "x");
}
int scenario_matrix(const struct options *options)
{
	return scenario_failed(options, "x");
}
int scenario_latency(const struct options *options)
{
	return scenario_failed(options, "x");
}
int scenario_stress(const struct options *options)
{
	return scenario_failed(options, "x");
}
