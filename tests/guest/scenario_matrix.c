/* SPDX-License-Identifier: BSD-3-Clause */
/* Every kind of ring with every layout, each against another one, over connection after connection.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "scenario.h"

#define FLAGS        5 /* packed, in order, event index, indirect, mergeable */
#define COMBINATIONS ((1u << FLAGS) * LAYOUT_N)
#define COME_MS      10000
#define FRAME_LARGE  9014

struct matrix {
	const struct options *o;
	struct guest guests[2];
	struct exchange_result total;
	unsigned run, failed, unsupported;
};

static uint32_t mix(uint64_t seed, uint32_t n)
{
	uint64_t x = (seed + n) * 0x9e3779b97f4a7c15ULL;

	x ^= x >> 31;
	x *= 0xbf58476d1ce4e5b9ULL;
	return (uint32_t)(x >> 33);
}

/* What combination n is. What does not belong to the combination is taken by the seed. */
static void combine(struct guest_options *o, unsigned n, uint32_t random)
{
	static const uint16_t sizes[] = {64, 128, 256, 512};
	static const struct memory_options memories[] = {
	        {.size = 5 << 20, .regions = 8},
	        {.size = 5 << 20, .regions = 5, .gaps = true},
	        {.size = 5 << 20, .regions = 1},
	        {.size = 5 << 20, .regions = 3, .one_file = true},
	};

	o->layout = (enum layout)(n % LAYOUT_N);
	n /= LAYOUT_N;
	o->ring.packed = n & 1;
	o->ring.in_order = n & 2;
	o->ring.event_index = n & 4;
	o->ring.indirect = n & 8;
	o->mergeable = n & 16;
	/* A chain of many must fit. */
	o->ring.size = sizes[o->layout == LAYOUT_MANY ? random % 2 + 2 : random % 4];
	/* A packed ring's size need not be a power of two. */
	if (o->ring.packed && random & 4)
		o->ring.size = (uint16_t)(o->ring.size - 28);
	o->memory = memories[o->layout == LAYOUT_STRADDLE ? 0 : (random >> 3) % 4];
	o->frame_max = FRAME_LARGE;
	o->rx_buffer = random & 64 ? 1536 : 300;
}

static void describe(const struct guest_options *o, char *text, size_t size)
{
	snprintf(text, size, "%s%s%s%s%s layout=%s size=%u regions=%u%s%s rxbuf=%u",
	        o->ring.packed ? "packed" : "split", o->ring.in_order ? " inorder" : "",
	        o->ring.event_index ? " event" : "", o->ring.indirect ? " indirect" : "",
	        o->mergeable ? " mrg" : "", layout_names[o->layout], o->ring.size,
	        o->memory.regions, o->memory.gaps ? " gaps" : "",
	        o->memory.one_file ? " onefile" : "", o->rx_buffer);
}

static void say_failed(struct matrix *m, unsigned n, const char *reason)
{
	char text[2][160];

	for (unsigned i = 0; i < 2; i++)
		describe(&m->guests[i].o, text[i], sizeof(text[i]));
	printf("%s{\"combination\":%u,\"one\":\"%s\",\"other\":\"%s\",\"reason\":",
	        m->failed++ ? "," : "", n, text[0], text[1]);
	print_quoted(reason);
	putchar('}');
}

static void add_result(struct exchange_result *total, const struct exchange_result *one)
{
	total->sent += one->sent;
	total->received += one->received;
	total->missing += one->missing;
	total->mismatched += one->mismatched;
	total->reordered += one->reordered;
	total->lost_calls += one->lost_calls;
	total->strays += one->strays;
	total->disturbances += one->disturbances;
	total->kicks += one->kicks;
	total->not_one += one->not_one;
	total->disconnected |= one->disconnected;
	total->seconds += one->seconds;
}

static void run_one(struct matrix *m, unsigned n)
{
	struct guest *pair[2] = {&m->guests[0], &m->guests[1]};
	uint32_t random = mix(m->o->exchange.seed, n);
	struct exchange_result result;
	int rc = 0;

	combine(&pair[0]->o, n, random);
	combine(&pair[1]->o, (random >> 8) % COMBINATIONS, random >> 16);
	m->run++;
	for (unsigned i = 0; !rc && i < 2; i++) {
		rc = guest_come(pair[i], COME_MS);
		if (rc && rc != -EOPNOTSUPP)
			say_failed(m, n, pair[i]->error);
	}
	if (rc == -EOPNOTSUPP)
		m->unsupported++;
	if (!rc) {
		if (!exchange_run(pair, &m->o->exchange, &result))
			say_failed(m, n, result.reason);
		add_result(&m->total, &result);
	}
	for (unsigned i = 0; i < 2; i++)
		guest_leave(pair[i]);
}

int scenario_matrix(const struct options *options)
{
	static struct matrix m;
	int rc = 0;

	m.o = options;
	for (unsigned i = 0; !rc && i < 2; i++)
		rc = guest_init(&m.guests[i], &options->ports[i]);
	if (rc)
		return scenario_failed(options, m.guests[0].error);
	printf("{\"scenario\":\"matrix\",\"failures\":[");
	for (unsigned n = options->first; n < COMBINATIONS && m.run < options->count; n++)
		if (!told_to_stop)
			run_one(&m, n);
	printf("],\"ok\":%s,\"combinations\":%u,\"failed\":%u,\"unsupported\":%u,",
	        m.failed ? "false" : "true", m.run, m.failed, m.unsupported);
	print_result(&m.total);
	puts("}");
	for (unsigned i = 0; i < 2; i++)
		guest_close(&m.guests[i]);
	return m.failed != 0;
}
