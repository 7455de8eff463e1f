/* SPDX-License-Identifier: BSD-3-Clause */
/* The traffic generator's accounting: what was sent, received, lost, doubled, late. No EAL. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>
#include <math.h>

#include "tests/gen/histogram.h"
#include "tests/gen/options.h"
#include "tests/gen/plan.h"
#include "tests/gen/sink.h"
#include "tests/unit/gen_random.h"

/* The naive model: what became of each number, remembered for ever. */
#define MODEL_MAX 200000

enum { UNSEEN, SEEN, GIVEN_UP };

struct model {
	uint8_t *what;
	uint64_t next, floor, received, missing, duplicated, reordered, late;
	uint64_t gone_calls;
};

static void model_give_up(struct model *m, uint64_t upto)
{
	for (; m->floor < upto; m->floor++) {
		if (m->what[m->floor] == UNSEEN) {
			m->what[m->floor] = GIVEN_UP;
			m->missing++;
		}
	}
}

static enum track_verdict model_receive(struct model *m, uint32_t width, uint64_t seq)
{
	bool older = seq < m->next;
	uint8_t was;

	if (older && seq + width < m->next) {
		if (m->missing) {
			m->late++;
			return TRACK_ANCIENT;
		}
		m->duplicated++;
		return TRACK_DUPLICATE;
	}
	if (!older) {
		m->next = seq + 1;
		if (m->next > width)
			model_give_up(m, m->next - width);
	}
	was = m->what[seq];
	if (was == SEEN) {
		m->duplicated++;
		return TRACK_DUPLICATE;
	}
	m->what[seq] = SEEN;
	m->received++;
	if (was == GIVEN_UP) {
		m->missing--;
		m->late++;
		return TRACK_LATE;
	}
	m->reordered += older;
	return older ? TRACK_REORDERED : TRACK_NEW;
}

static void gone_model(void *arg, uint64_t seq)
{
	struct model *m = arg;

	(void)seq;
	m->gone_calls++;
}

static void compare(const struct track *t, const struct model *m)
{
	assert_int_equal(t->received, m->received);
	assert_int_equal(t->missing, m->missing);
	assert_int_equal(t->duplicated, m->duplicated);
	assert_int_equal(t->reordered, m->reordered);
	assert_int_equal(t->late, m->late);
	assert_int_equal(t->next, m->next);
}

/* Random loss, duplication, delay and give-up, at several widths. */
static void track_run(uint32_t width, uint32_t loss, uint32_t spread)
{
	struct model m = {.what = calloc(MODEL_MAX, 1)};
	uint64_t *bits = calloc(width / 64, 8);
	struct track t = {0};
	uint64_t sent = 0, given_up = 0;

	assert_non_null(m.what);
	assert_non_null(bits);
	while (sent < MODEL_MAX - 5 * width) {
		uint64_t seq = sent;

		if (random_below(100) < 20)
			seq -= random_below(spread) % (sent + 1);
		else
			sent++;
		if (random_below(5000) == 0)
			sent += random_below(4 * width);
		if (random_below(100) >= loss) {
			uint64_t wide = track_expand(&t, (uint32_t)seq);

			assert_int_equal(wide, seq);
			assert_int_equal(track_receive(&t, bits, width, seq, gone_model, &m),
			        model_receive(&m, width, seq));
		}
		if (random_below(300) == 0) {
			uint64_t upto = m.floor + random_below((uint32_t)(sent - m.floor + 1));
			uint64_t before = m.missing;

			model_give_up(&m, upto);
			assert_int_equal(track_give_up(&t, bits, width, upto, gone_model, &m),
			        m.missing - before);
		}
		compare(&t, &m);
		given_up = m.gone_calls;
	}
	track_give_up(&t, bits, width, sent, gone_model, &m);
	model_give_up(&m, sent);
	compare(&t, &m);
	assert_int_equal(t.received + t.missing, sent > t.next ? sent : t.next);
	assert_true(given_up > 0 && m.duplicated && m.reordered && m.late);
	free(bits);
	free(m.what);
}

static void track_against_model(void **state)
{
	(void)state;
	track_run(64, 10, 80);
	track_run(64, 1, 300);
	track_run(1024, 10, 1500);
	track_run(4096, 3, 4500);
}

static void sequence_numbers_wrap(void **state)
{
	struct track t = {.next = 0xfffffff0u, .floor = 0xfffffff0u};

	(void)state;
	assert_int_equal(track_expand(&t, 5), 0x100000005u);
	assert_int_equal(track_expand(&t, 0xffffffefu), 0xffffffefu);
	t.next = 0x100000002u;
	assert_int_equal(track_expand(&t, 0xfffffff0u), 0xfffffff0u);
	assert_int_equal(track_expand(&t, 3), 0x100000003u);
	t.next = 3;
	assert_int_equal(track_expand(&t, 0xfffffff0u), 0xfffffff0u);
}

/* A plan of one bridged pair of ports. */
static void plan_setup(struct options *o, struct plan *plan, const char *const *more)
{
	static const char *const base[] = {"gen", "--port", "a", "--mac", "02:00:00:00:00:01",
	        "--port", "b", "--mac", "02:00:00:00:00:02"};
	const char *argv[64];
	char error[256] = "";
	int argc = 0;

	for (unsigned i = 0; i < sizeof(base) / sizeof(base[0]); i++)
		argv[argc++] = base[i];
	for (; more && *more; more++)
		argv[argc++] = *more;
	argv[argc] = NULL;
	assert_int_equal(options_parse(argc, (char **)(uintptr_t)argv, o, error, sizeof(error)), 0);
	if (plan_init(plan, o, 77, error, sizeof(error)))
		fail_msg("%s", error);
}

/*
 * A whole pair: a lossy, duplicating, reordering wire between pair_sent and pair_received, time
 * going by, intervals beginning; in the end every packet of every interval is accounted for.
 */
static void pair_wire(uint32_t flows, unsigned sweep_limit)
{
	char text[16];
	const char *more[] = {"--pairs", "0>1", "--flows", text, NULL};
	uint64_t lost = 0, doubled = 0, wire[256];
	uint64_t sent[5] = {0};
	struct counts sum;
	struct options *o = calloc(1, sizeof(*o));
	struct plan plan;
	struct pair *p;
	unsigned n = 0;

	snprintf(text, sizeof(text), "%u", flows);
	plan_setup(o, &plan, more);
	p = &plan.pairs[0];
	for (uint64_t packet = 0, now = 1; packet < 100000; now++) {
		unsigned burst = random_below(8);

		for (; burst && n < 256; burst--, packet++) {
			pair_sent(&plan, p, 1);
			sent[plan.epoch]++;
			wire[n++] = packet;
			if (random_below(100) == 0) {
				n--;
				lost++;
			} else if (n < 256 && random_below(100) == 0) {
				wire[n++] = packet;
				doubled++;
			}
		}
		for (unsigned k = random_below(8); k && n; k--) {
			unsigned at = random_below(4) ? 0 : random_below(n < 10 ? n : 10);
			uint64_t it = wire[at];

			memmove(wire + at, wire + at + 1, (--n - at) * sizeof(*wire));
			pair_received(&plan, p, (uint32_t)(it % flows), it / flows);
		}
		if (now % 100 == 0)
			pair_mark(p, now, 5000);
		pair_sweep(&plan, p, sweep_limit);
		if (now % 5000 == 0 && plan.epoch < 4)
			plan_next_epoch(&plan);
		assert_true(pair_open(p) <= n + lost);
	}
	for (unsigned i = 0; i < n; i++)
		pair_received(&plan, p, (uint32_t)(wire[i] % flows), wire[i] / flows);
	pair_finish(&plan, p);
	sum = plan_sum(&plan, 0);
	assert_int_equal(sum.sent, p->sent);
	assert_int_equal(sum.missing, lost);
	assert_int_equal(sum.duplicated, doubled);
	assert_int_equal(sum.received + sum.missing, sum.sent);
	assert_int_equal(pair_open(p), 0);
	assert_int_equal(plan.total_open, 0);
	assert_int_equal(plan.epoch, 4);
	for (unsigned e = 0; e < 5; e++) {
		assert_int_equal(p->counts[e].sent, sent[e]);
		assert_int_equal(p->counts[e].sent, p->counts[e].received + p->counts[e].missing);
		assert_true(p->counts[e].missing > 0);
	}
	plan_free(&plan);
	free(o);
}

static void pair_accounting(void **state)
{
	(void)state;
	pair_wire(1, 64);
	pair_wire(7, 2);
	pair_wire(1024, 64);
}

/* With a timeout shorter than the delay, packets are given up, then late, and not missing. */
static void late_is_not_lost(void **state)
{
	const char *more[] = {"--pairs", "0>1", "--flows", "3", NULL};
	struct options *o = calloc(1, sizeof(*o));
	struct plan plan;
	struct pair *p;

	(void)state;
	plan_setup(o, &plan, more);
	p = &plan.pairs[0];
	pair_sent(&plan, p, 30);
	pair_mark(p, 10, 100);
	pair_mark(p, 109, 100);
	pair_sweep(&plan, p, 64);
	assert_int_equal(pair_open(p), 30);
	pair_mark(p, 111, 100);
	pair_sweep(&plan, p, 64);
	assert_int_equal(pair_open(p), 0);
	assert_int_equal(p->counts[0].missing, 30);
	for (uint64_t i = 0; i < 30; i++)
		pair_received(&plan, p, (uint32_t)(i % 3), i / 3);
	assert_int_equal(p->counts[0].missing, 0);
	assert_int_equal(p->counts[0].late, 30);
	assert_int_equal(p->counts[0].received, 30);
	assert_int_equal(p->counts[0].reordered, 0);
	assert_int_equal(pair_open(p), 0);
	plan_free(&plan);
	free(o);
}

static void sink_accounting(void **state)
{
	struct counts c = {0};
	struct sink s;

	(void)state;
	assert_int_equal(sink_init(&s, &c), 0);
	for (uint32_t i = 0; i < 5000; i++) {
		struct frame_id id = {.run = 1, .flow = i % 5, .seq = i / 5};

		if (i % 100 == 7)
			continue;
		sink_receive(&s, &id);
		if (i % 1000 == 0)
			sink_receive(&s, &id);
	}
	sink_finish(&s);
	assert_int_equal(c.missing, 50);
	assert_int_equal(c.received, 4950);
	assert_int_equal(c.duplicated, 5);
	assert_int_equal(c.reordered, 0);
	for (uint32_t i = 0; i < SINK_FLOWS; i++)
		sink_receive(&s, &(struct frame_id){.run = 2, .flow = i});
	assert_int_equal(s.untracked, SINK_FLOWS / 4 + 5);
	sink_free(&s);
}

static void histogram_quantiles(void **state)
{
	struct histogram *h = calloc(1, sizeof(*h));

	(void)state;
	assert_int_equal(histogram_quantile(h, 0.5), 0);
	for (uint64_t i = 1; i <= 100000; i++)
		histogram_add(h, i);
	assert_int_equal(h->min, 1);
	assert_int_equal(h->max, 100000);
	assert_true(fabs((double)histogram_quantile(h, 0.5) / 50000 - 1) < 0.032);
	assert_true(fabs((double)histogram_quantile(h, 0.99) / 99000 - 1) < 0.032);
	assert_int_equal(histogram_quantile(h, 1), 100000);
	histogram_add(h, UINT64_MAX);
	assert_int_equal(histogram_quantile(h, 1), UINT64_MAX);
	for (unsigned bit = 0; bit < 64; bit++)
		assert_true(histogram_bucket(1ull << bit) < HISTOGRAM_BUCKETS);
	free(h);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(track_against_model),
	        cmocka_unit_test(sequence_numbers_wrap),
	        cmocka_unit_test(pair_accounting),
	        cmocka_unit_test(late_is_not_lost),
	        cmocka_unit_test(sink_accounting),
	        cmocka_unit_test(histogram_quantiles),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
