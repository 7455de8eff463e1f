/* SPDX-License-Identifier: BSD-3-Clause */
/* What podrail-guest can be asked for. Each prints its line of JSON and returns the exit status. */
#ifndef GUEST_SCENARIO_H
#define GUEST_SCENARIO_H

#include "options.h"

int scenario_exchange(const struct options *options);
int scenario_reflect(const struct options *options);
int scenario_pump(const struct options *options);
int scenario_tso(const struct options *options);
int scenario_matrix(const struct options *options);
int scenario_latency(const struct options *options);
int scenario_stress(const struct options *options);
int scenario_lie(const struct options *options);

/* Says in JSON that it could not even start. Returns 1. */
int scenario_failed(const struct options *options, const char *reason);
/* Prints text as a JSON string. */
void print_quoted(const char *text);
/* The members of a result, without braces. */
void print_result(const struct exchange_result *result);

#endif
