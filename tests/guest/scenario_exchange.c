/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "scenario.h"

#define COME_MS 20000

static int report(const struct options *options, bool ok, const struct exchange_result *result)
{
	printf("{\"scenario\":\"%s\",\"ok\":%s,", options->scenario, ok ? "true" : "false");
	print_result(result);
	puts("}");
	return !ok;
}

static int start_all(struct guest *guests, const struct options *options)
{
	int rc = 0;

	for (unsigned i = 0; i < options->n_ports; i++)
		guests[i].listener = guests[i].socket = -1;
	for (unsigned i = 0; !rc && i < options->n_ports; i++)
		rc = guest_init(&guests[i], &options->ports[i]);
	for (unsigned i = 0; !rc && i < options->n_ports; i++)
		rc = guest_come(&guests[i], COME_MS);
	if (!rc)
		return 0;
	for (unsigned i = 0; i < options->n_ports; i++)
		if (guests[i].error[0])
			scenario_failed(options, guests[i].error);
	return rc;
}

static void close_all(struct guest *guests, unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		guest_close(&guests[i]);
}

int scenario_exchange(const struct options *options)
{
	static struct guest guests[PORTS_MAX];
	struct guest *pair[2] = {&guests[0], options->n_ports > 1 ? &guests[1] : NULL};
	struct exchange_result result;
	int status = 1;

	if (!start_all(guests, options))
		status = report(options, exchange_run(pair, &options->exchange, &result), &result);
	close_all(guests, options->n_ports);
	return status;
}

int scenario_reflect(const struct options *options)
{
	static struct guest guest;
	struct exchange_result result;
	int status = 1;

	if (!start_all(&guest, options))
		status = report(options, reflect_run(&guest, &options->exchange, &result), &result);
	guest_close(&guest);
	return status;
}
