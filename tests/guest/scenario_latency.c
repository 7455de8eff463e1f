/* SPDX-License-Identifier: BSD-3-Clause */
/* How long a back end takes to serve a connection, a memory table, and the end of a connection. */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "clock.h"
#include "scenario.h"

#define TRIES_MAX 1000

struct series {
	double ms[TRIES_MAX];
	unsigned n;
};

static int compare(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return x < y ? -1 : x > y;
}

static void print_series(const char *name, struct series *s)
{
	qsort(s->ms, s->n, sizeof(s->ms[0]), compare);
	printf("\"%s\":{\"least\":%.3f,\"median\":%.3f,\"most\":%.3f},", name, s->ms[0],
	        s->ms[s->n / 2], s->ms[s->n - 1]);
}

static void add(struct series *s, double begin)
{
	s->ms[s->n++] = (clock_now() - begin) * 1e3;
}

/* Connects and asks; again while the connection before is not yet seen to have ended. */
static int serve(struct guest *guest)
{
	double end = clock_now() + 10;
	int rc;

	do {
		if (guest->socket >= 0)
			close(guest->socket);
		guest->socket = -1;
		rc = guest_connect(guest, 10000);
		if (!rc)
			rc = guest_ask(guest, GET_FEATURES, NULL, 0, &guest->offered, 8);
	} while (rc && clock_now() < end);
	return rc;
}

static int measure(struct guest *guest, struct series *s)
{
	double begin = clock_now();
	int rc = serve(guest);

	add(&s[0], begin);
	if (!rc)
		rc = guest_negotiate(guest);
	if (!rc)
		rc = guest_make_queues(guest);
	begin = clock_now();
	if (!rc)
		rc = guest_send_memory(guest);
	add(&s[1], begin);
	/* Gone, and back: the end of a connection with memory, and a new one. */
	begin = clock_now();
	close(guest->socket);
	guest->socket = -1;
	if (!rc)
		rc = serve(guest);
	add(&s[2], begin);
	guest_leave(guest);
	usleep(20000);
	return rc;
}

int scenario_latency(const struct options *options)
{
	static struct guest guest;
	static struct series series[3];
	int rc = guest_init(&guest, &options->ports[0]);

	for (unsigned n = 0; !rc && n < options->tries && n < TRIES_MAX; n++)
		rc = measure(&guest, series);
	guest_close(&guest);
	if (rc || !series[0].n)
		return scenario_failed(options, guest.error);
	printf("{\"scenario\":\"latency\",\"ok\":true,");
	print_series("connect", &series[0]);
	print_series("memoryTable", &series[1]);
	print_series("reconnect", &series[2]);
	printf("\"acknowledged\":%s,\"reason\":\"\"}\n", guest.o.no_ack ? "false" : "true");
	return 0;
}
