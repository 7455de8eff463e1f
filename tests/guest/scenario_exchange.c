/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "clock.h"
#include "scenario.h"
#include "wait.h"

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

/* Broadcasts, so that whoever is there receives something. */
int scenario_pump(const struct options *options)
{
	static struct guest guest;
	static struct packet packet;
	struct exchange_result result = {0};
	struct frame_path path = {.to = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff}};
	unsigned rate = options->exchange.rate ? options->exchange.rate : 1000;
	int status = 1;

	if (!start_all(&guest, options)) {
		struct queue *queues = guest.queues;
		double begin = clock_now();

		memcpy(path.from, guest.o.mac, 6);
		path.from_ip = path.to_ip = guest.o.ip;
		while (!told_to_stop && !guest_is_gone(&guest, 0)) {
			while (buffer_receive(&guest, &queues[0], &packet) == RECEIVE_PACKET)
				result.received++;
			ring_publish(&queues[0].ring);
			buffers_reclaim(&guest, &queues[1]);
			frame_udp(&packet, &path, FRAME_HELLO, (uint32_t)result.sent,
			        60 + (uint32_t)(result.sent * 97 % 1400));
			if ((double)result.sent < (clock_now() - begin) * rate &&
			        buffer_send(&guest, &queues[1], &packet))
				result.sent++;
			else
				usleep(1000);
			ring_publish(&queues[1].ring);
		}
		result.disconnected = !told_to_stop;
		status = report(options, !result.disconnected, &result);
	}
	guest_close(&guest);
	return status;
}
