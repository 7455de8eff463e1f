/* SPDX-License-Identifier: BSD-3-Clause */
/* The traffic generator's accounting, frames, answers and options. No EAL. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>
#include <math.h>
#include <unistd.h>

#include "tests/gen/checksum.h"
#include "tests/gen/histogram.h"
#include "tests/gen/neighbour.h"
#include "tests/gen/options.h"
#include "tests/gen/pattern.h"
#include "tests/gen/plan.h"
#include "tests/gen/sink.h"

static uint64_t random_state = 0x1234567;

static uint32_t random_below(uint32_t n)
{
	random_state ^= random_state << 13;
	random_state ^= random_state >> 7;
	random_state ^= random_state << 17;
	return (uint32_t)(random_state >> 16) % n;
}

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

/* A byte-wise checksum of its own: big-endian words, odd tail padded. */
static uint16_t naive_sum(const uint8_t *p, size_t n, uint32_t sum)
{
	for (size_t i = 0; i < n; i++)
		sum += i & 1 ? p[i] : (uint32_t)p[i] << 8;
	while (sum >> 16)
		sum = (sum >> 16) + (sum & 0xffff);
	return (uint16_t)sum;
}

static void naive_check(const uint8_t *f, uint16_t len, bool vlan, bool ipv6, bool tcp)
{
	const uint8_t *ip = f + (vlan ? 18 : 14);
	const uint8_t *l4 = ip + (ipv6 ? 40 : 20);
	uint32_t l4_len = (uint32_t)(f + len - l4);
	uint32_t pseudo = l4_len + (tcp ? 6 : 17);

	if (ipv6) {
		assert_int_equal(ip[4] << 8 | ip[5], l4_len);
		pseudo += naive_sum(ip + 8, 32, 0);
	} else {
		assert_int_equal(ip[2] << 8 | ip[3], l4_len + 20);
		assert_int_equal(naive_sum(ip, 20, 0), 0xffff);
		pseudo += naive_sum(ip + 12, 8, 0);
	}
	assert_int_equal(naive_sum(l4, l4_len, pseudo), 0xffff);
}

static struct frame_spec make_spec(unsigned kind)
{
	struct frame_spec s = {.src_mac = {{2, 0, 0, 0, 0, 1}},
	        .dst_mac = {{2, 0, 0, 0, 0, 2}},
	        .vlan = kind & 4 ? 77 : 0,
	        .dst_len = 128,
	        .flows = 64,
	        .proto = kind & 2 ? FRAME_TCP : FRAME_UDP};

	pr_ip_parse(kind & 1 ? "2001:db8::1" : "198.18.0.1", &s.src);
	pr_ip_parse(kind & 1 ? "2001:db8:1::" : "198.19.0.0", &s.dst);
	if (kind & 8)
		s.dst_len = kind & 1 ? 48 : 16;
	return s;
}

/* All layouts through one buffer, sizes jumping: what is written is correct and recognised. */
static void frames_round_trip(void **state)
{
	static uint8_t buf[FRAME_SIZE_MAX + 64];
	struct frame_template t[16];
	struct frame_slot slot;

	(void)state;
	frame_slot_init(&slot, buf, sizeof(buf), 5);
	slot.mixed = 1;
	for (unsigned k = 0; k < 16; k++) {
		struct frame_spec s = make_spec(k);

		assert_int_equal(frame_template_init(&t[k], &s), 0);
	}
	for (unsigned i = 0; i < 20000; i++) {
		unsigned k = random_below(16), flow = random_below(64);
		uint16_t min = frame_size_min(&t[k]);
		uint16_t size = (uint16_t)(min + random_below(i % 8 ? 64 : 9000));
		struct frame_id id = {.run = 9, .flow = flow, .seq = i, .stamp = i * 3};
		struct frame_info info;
		uint16_t len = frame_write(&t[k], &slot, buf, flow, size, &id);

		assert_int_equal(len, size + (k & 4 ? 4 : 0));
		naive_check(buf, len, k & 4, k & 1, k & 2);
		assert_int_equal(frame_parse(buf, len, &info), FRAME_OURS);
		assert_int_equal(info.faults, 0);
		assert_memory_equal(&info.id, &id, sizeof(id));
		assert_int_equal(info.vlan, k & 4 ? 77 : 0);
		assert_int_equal(info.length, len);
		assert_true(frame_matches(&t[k], flow, buf, &info, false));
		assert_false(frame_matches(&t[k], (flow + 1) % 64, buf, &info, false));
		assert_false(frame_matches(&t[k ^ 1], flow, buf, &info, false));
		frame_reflect(buf, &info, &(struct pr_mac){{2, 9, 9, 9, 9, 9}});
		naive_check(buf, len, k & 4, k & 1, k & 2);
		assert_int_equal(frame_parse(buf, len, &info), FRAME_OURS);
		assert_int_equal(info.faults, 0);
		assert_true(frame_matches(&t[k], flow, buf, &info, true));
		assert_false(frame_matches(&t[k], flow, buf, &info, false));
	}
}

/* Every byte behind Ethernet, wrong in any bit: never taken for a faultless frame of its flow. */
static void corruption_is_seen(void **state)
{
	static uint8_t buf[2048];
	struct frame_info info;
	struct frame_slot slot;
	unsigned unseen = 0;

	(void)state;
	frame_slot_init(&slot, buf, sizeof(buf), 5);
	slot.mixed = 1;
	for (unsigned k = 0; k < 16; k++) {
		struct frame_spec s = make_spec(k);
		struct frame_template t;
		struct frame_id id = {.run = 9, .flow = 3, .seq = k};
		uint16_t len;

		assert_int_equal(frame_template_init(&t, &s), 0);
		len = frame_write(&t, &slot, buf, 3, k & 8 ? 300 : 95, &id);
		for (unsigned at = t.l3; at < len; at++) {
			/* IPv6 has no checksum for traffic class, flow label and hop limit */
			if (t.ipv6 && (at - t.l3 < 4 || at - t.l3 == 7))
				continue;
			for (unsigned bit = 0; bit < 8; bit++) {
				buf[at] ^= (uint8_t)(1 << bit);
				unseen += frame_parse(buf, len, &info) == FRAME_OURS &&
				          !info.faults && frame_matches(&t, 3, buf, &info, false);
				buf[at] ^= (uint8_t)(1 << bit);
			}
		}
		for (uint32_t cut = 0; cut < len; cut++)
			assert_false(frame_parse(buf, cut, &info) == FRAME_OURS && !info.faults);
	}
	assert_int_equal(unseen, 0);
}

/* A head that was joined to another packet's body, with all checksums put right. */
static void wrong_body_is_seen(void **state)
{
	static uint8_t a[2048], b[2048];
	struct frame_spec s = make_spec(0);
	struct frame_template t;
	struct frame_slot slot_a, slot_b;
	struct frame_info info;
	uint16_t len;

	(void)state;
	assert_int_equal(frame_template_init(&t, &s), 0);
	frame_slot_init(&slot_a, a, sizeof(a), 1);
	frame_slot_init(&slot_b, b, sizeof(b), 2);
	for (unsigned same_buffer = 0; same_buffer < 2; same_buffer++) {
		len = frame_write(&t, &slot_a, a, 1, 1000, &(struct frame_id){.flow = 1});
		frame_write(&t, same_buffer ? &slot_a : &slot_b, b, 2, 1000,
		        &(struct frame_id){.flow = 2});
		if (same_buffer)
			memcpy(b + 62, a + 62, 128 - 62);
		memcpy(b, a, 128);
		store16(b + 40, 0);
		store16(b + 40, (uint16_t)~htons(naive_sum(b + 34, len - 34u,
		                        17u + (len - 34u) + naive_sum(b + 26, 8, 0))));
		naive_check(b, len, false, false, false);
		assert_int_equal(frame_parse(b, len, &info), FRAME_OURS);
		assert_int_equal(info.faults, FRAME_BAD_BODY);
	}
}

/* Parsing never reads beyond the frame (run under ASan) and foreign frames stay foreign. */
static void hostile_frames(void **state)
{
	struct frame_spec s = make_spec(0);
	struct frame_template t;
	struct frame_slot slot;
	uint8_t base[512];

	(void)state;
	frame_slot_init(&slot, base, sizeof(base), 0);
	for (unsigned i = 0; i < 200000; i++) {
		uint32_t len = random_below(200) + 1;
		uint8_t *f = malloc(len), out[NEIGHBOUR_FRAME_MAX];
		struct neighbour_self self = {.ip4 = s.src};
		struct frame_info info;
		struct pr_mac mac;

		s = make_spec(i & 15);
		assert_int_equal(frame_template_init(&t, &s), 0);
		frame_write(&t, &slot, base, 1, 200, &(struct frame_id){.seq = i});
		memcpy(f, base, len);
		for (unsigned k = random_below(4); k; k--)
			f[random_below(len < 80 ? len : 80)] = (uint8_t)random_below(256);
		if (i % 3 == 0 && len > 14)
			store16(f + 12, htons(i % 2 ? 0x0806 : 0x86dd));
		frame_parse(f, len, &info);
		neighbour_answer(&self, f, len, out);
		neighbour_learn(f, len, &s.dst, &mac);
		free(f);
	}
}

static void spread_destinations(void **state)
{
	struct frame_spec s = make_spec(8);
	struct frame_template t;
	struct frame_slot slot;
	uint8_t buf[2048];
	uint32_t last = 0;

	(void)state;
	frame_slot_init(&slot, buf, sizeof(buf), 0);
	s.flows = 256;
	assert_int_equal(frame_template_init(&t, &s), 0);
	for (uint32_t f = 0; f < 256; f++) {
		frame_write(&t, &slot, buf, f, 100, &(struct frame_id){.flow = f});
		assert_int_equal(buf[30] << 8 | buf[31], 198 << 8 | 19);
		assert_int_equal(buf[32], f);
		assert_true(f == 0 || ntohl(load32(buf + 30)) > last);
		last = ntohl(load32(buf + 30));
	}
	s.src.family = AF_INET6;
	assert_int_equal(frame_template_init(&t, &s), -EINVAL);
}

/* Each flow of a prefix with too few addresses, and each scattered one, is another than all others.
 */
static void shared_and_scattered_destinations(void **state)
{
	static const struct {
		uint8_t len;
		uint32_t flows;
		bool scatter;
		unsigned destinations;
	} rows[] = {{25, 256, false, 128}, {30, 1000, false, 4}, {31, 4096, true, 2},
	        {24, 128, true, 128}, {20, 1024, true, 1024}};
	struct frame_spec s = make_spec(8);
	struct frame_template t;
	struct frame_slot slot;
	uint8_t buf[2048];

	(void)state;
	frame_slot_init(&slot, buf, sizeof(buf), 0);
	for (unsigned r = 0; r < sizeof(rows) / sizeof(rows[0]); r++) {
		uint64_t *seen = calloc(rows[r].flows, sizeof(*seen));
		unsigned destinations = 0, far = 0;

		s.dst_len = rows[r].len;
		s.flows = rows[r].flows;
		s.scatter = rows[r].scatter;
		assert_int_equal(frame_template_init(&t, &s), 0);
		for (uint32_t f = 0; f < s.flows; f++) {
			bool new = true;

			frame_write(&t, &slot, buf, f, 100, &(struct frame_id){.flow = f});
			assert_int_equal((ntohl(load32(buf + 30)) ^ 198u << 24 ^ 19u << 16) >>
			                         (32 - rows[r].len),
			        0);
			seen[f] = (uint64_t)load32(buf + 30) << 32 | load32(buf + 34);
			for (uint32_t k = 0; k < f; k++) {
				assert_true(seen[k] != seen[f]);
				new &= seen[k] >> 32 != seen[f] >> 32;
			}
			destinations += new;
			far += f && ntohl((uint32_t)(seen[f] >> 32)) -
			                            ntohl((uint32_t)(seen[f - 1] >> 32)) + 8 >
			                    16;
		}
		assert_int_equal(destinations, rows[r].destinations);
		if (rows[r].scatter && rows[r].destinations > 16)
			assert_true(far > s.flows / 2);
		free(seen);
	}
	s.flows = 1000;
	assert_int_equal(frame_template_init(&t, &s), -EINVAL);
}

static void neighbours(void **state)
{
	struct neighbour_self a = {.mac = {{2, 0, 0, 0, 0, 1}}, .vlan = 5};
	struct neighbour_self b = {.mac = {{2, 0, 0, 0, 0, 2}}, .vlan = 5};
	uint8_t ask[NEIGHBOUR_FRAME_MAX], answer[NEIGHBOUR_FRAME_MAX];
	struct frame_info info;
	struct pr_mac mac;

	(void)state;
	pr_ip_parse("198.18.0.1", &a.ip4);
	pr_ip_parse("2001:db8::1", &a.ip6);
	pr_ip_parse("198.18.0.2", &b.ip4);
	pr_ip_parse("2001:db8::2", &b.ip6);
	for (unsigned v6 = 0; v6 < 2; v6++) {
		struct pr_ip *own = v6 ? &a.ip6 : &a.ip4;
		struct pr_ip *target = v6 ? &b.ip6 : &b.ip4;
		uint32_t n = neighbour_ask(&a, target, ask), m;

		assert_int_equal(frame_parse(ask, n, &info), FRAME_NEIGHBOUR);
		assert_int_equal(neighbour_answer(&a, ask, n, answer), 0);
		m = neighbour_answer(&b, ask, n, answer);
		assert_true(m >= 60);
		assert_memory_equal(answer, a.mac.b, 6);
		assert_int_equal(answer[15], 5);
		assert_false(neighbour_learn(answer, m, own, &mac));
		assert_true(neighbour_learn(answer, m, target, &mac));
		assert_memory_equal(&mac, &b.mac, sizeof(mac));
		for (uint32_t cut = 0; cut < n; cut++)
			assert_true(cut >= 46 || !neighbour_answer(&b, ask, cut, answer));
		m = neighbour_announce(&b, target, answer);
		assert_true(answer[0] & 1);
		assert_true(neighbour_learn(answer, m, target, &mac));
		assert_int_equal(neighbour_answer(&a, answer, m, ask), 0);
	}
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

static int parse(struct options *o, char *error, const char *line)
{
	char copy[512];
	char *rest = copy, *argv[64];
	int argc = 0;

	strcpy(copy, line);
	while (rest)
		argv[argc++] = strsep(&rest, " ");
	argv[argc] = NULL;
	*error = '\0';
	return options_parse(argc, argv, o, error, 256);
}

static void options_good(void **state)
{
	struct options *o = calloc(1, sizeof(*o));
	char error[256];

	(void)state;
	assert_int_equal(
	        parse(o, error,
	                "gen --port net_virtio_user0,path=/x,server=1 --mac 02:00:00:00:00:01 "
	                "--ip 198.18.0.1/24 --ip 2001:db8::1/64 --vlan 7 --port b --peer --mac "
	                "02:00:00:00:00:03 --pairs 0>1,1>r0 --rate 1e6 --window 64 --size "
	                "60,1514 --tolerate missing=3,late"),
	        -EINVAL);
	assert_non_null(strstr(error, "--tolerate"));
	assert_int_equal(
	        parse(o, error,
	                "gen --port net_virtio_user0,path=/x,server=1 --mac 02:00:00:00:00:01 "
	                "--ip 198.18.0.1/24 --ip 2001:db8::1/64 --vlan 7 --port b --peer --mac "
	                "02:00:00:00:00:03 --pairs 0>1,1>r0 --rate 1e6 --window 64 --size "
	                "60,1514 --tolerate missing=3"),
	        0);
	assert_int_equal(o->n_ports, 2);
	assert_int_equal(o->n_peers, 1);
	assert_string_equal(o->ports[0].devargs, "net_virtio_user0,path=/x,server=1");
	assert_int_equal(o->ports[0].vlan, 7);
	assert_int_equal(o->ports[0].ip6.family, AF_INET6);
	assert_int_equal(o->pairs[1].from, 1);
	assert_int_equal(o->pairs[1].to, 2);
	assert_int_equal(o->ports[2].mac.b[5], 3);
	assert_true(o->rate == 1e6);
	assert_int_equal(o->tolerate.missing, 3);
	assert_true(o->duration == 10);
	assert_int_equal(parse(o, error, "gen --port a --port b --port c"), 0);
	assert_int_equal(o->n_pairs, 6);
	assert_int_equal(parse(o, error, "gen --port a --reflect"), 0);
	assert_true(o->duration == 0);
	free(o);
}

static void options_bad(void **state)
{
	static const char *const bad[] = {"gen", "gen --mac 02:00:00:00:00:01", "gen --port",
	        "gen --nonsense", "gen --port a extra", "gen --port a --mac 01:00:00:00:00:01",
	        "gen --port a --vlan 4095", "gen --port a --size 59", "gen --port a --size 64,",
	        "gen --port a --rate -1", "gen --port a --rate nan", "gen --port a --pairs 0>1",
	        "gen --port a --pairs 0", "gen --port a --pairs r0>0", "gen --port a --pairs 0>r0",
	        "gen --port a --flows 0", "gen --port a --flows 9999999", "gen --port a --window 0",
	        "gen --port a --family 5", "gen --port a --proto icmp", "gen --port a --timeout 0",
	        "gen --port a --reflect --window 4", "gen --peer --port a",
	        "gen --port a --peer --one-way --window 4", "gen --port a --duration 1x",
	        "gen --port a --ip 198.18.0.1/33", "gen --file /nonexistent/options",
	        "gen --port a --family both --flows 1", "gen --port a --count 1e6"};
	struct options *o = calloc(1, sizeof(*o));
	char error[256];

	(void)state;
	for (unsigned i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		if (parse(o, error, bad[i]) != -EINVAL || !*error)
			fail_msg("accepted or no sentence: %s", bad[i]);
	}
	free(o);
}

static void options_from_file(void **state)
{
	char path[] = "/tmp/gen_test.XXXXXX", line[128], error[256];
	struct options *o = calloc(1, sizeof(*o));
	int fd = mkstemp(path);

	(void)state;
	assert_true(fd >= 0);
	dprintf(fd, "# ports\n\n  port net_memif0,socket=/x y \nmac 02:00:00:00:00:01\r\n"
	            "one-way\npeer\nmac 02:00:00:00:00:02\nflows 9");
	snprintf(line, sizeof(line), "gen --file %s --proto tcp", path);
	assert_int_equal(parse(o, error, line), 0);
	assert_string_equal(o->ports[0].devargs, "net_memif0,socket=/x y");
	assert_int_equal(o->flows, 9);
	assert_true(o->one_way && o->tcp && !o->udp);
	assert_int_equal(o->ports[1].mac.b[5], 2);
	dprintf(fd, "\nflows\n");
	assert_int_equal(parse(o, error, line), -EINVAL);
	assert_non_null(strstr(error, ":9: flows: needs a value"));
	close(fd);
	unlink(path);
	free(o);
}

/* Lines that change the traffic of a generator that runs. */
static void traffic_lines(void **state)
{
	static const struct {
		const char *line, *error;
	} rows[] = {
	        {"flows 1024 size 60 pairs 1>0", NULL},
	        {"family 6 size 92", NULL},
	        {" \r\n", NULL},
	        {"size 9014", NULL},
	        {"size 9015", "at most 9014"},
	        {"port x", "can not be changed"},
	        {"flows", "needs a value"},
	        {"flows 0", "not possible"},
	        {"pairs 2>0", "no such port"},
	        {"flows 7 size 60 mac 02:00:00:00:00:01", "can not be changed"},
	};
	struct options *o = calloc(2, sizeof(*o));
	char error[300];

	(void)state;
	assert_int_equal(
	        parse(o, error, "gen --port a --port b --size 9014 --flows 5 --control"), 0);
	o[1] = o[0];
	for (unsigned r = 0; r < sizeof(rows) / sizeof(rows[0]); r++) {
		char line[100];
		struct options *before = calloc(1, sizeof(*before));

		*before = *o;
		strcpy(line, rows[r].line);
		*error = '\0';
		assert_int_equal(options_traffic(o, &o[1], line, error, sizeof(error)),
		        rows[r].error ? -EINVAL : 0);
		if (rows[r].error) {
			assert_non_null(strstr(error, rows[r].error));
			assert_memory_equal(o, before, sizeof(*o)); /* all or nothing */
		}
		free(before);
	}
	assert_int_equal(o->flows, 1024);
	assert_int_equal(o->sizes[0], 9014);
	assert_int_equal(o->n_sizes, 1);
	assert_true(o->ip6 && !o->ip4);
	assert_int_equal(o->n_pairs, 1);
	assert_int_equal(o->pairs[0].from, 1);
	free(o);
}

static void plan_refuses(void **state)
{
	static const char *const bad[] = {
	        "gen --port a --mac 02:00:00:00:00:01 --peer --ip 198.18.0.2",
	        "gen --port a --mac 02:00:00:00:00:01 --family 6 --size 64",
	        "gen --port a --mac 02:00:00:00:00:01 --prefix 198.19.0.0/30 --flows 5 --scatter"};
	struct options *o = calloc(1, sizeof(*o));
	struct plan plan;
	char error[256];

	(void)state;
	for (unsigned i = 0; i < 3; i++) {
		assert_int_equal(parse(o, error, bad[i]), 0);
		assert_int_equal(plan_init(&plan, o, 1, error, sizeof(error)), -EINVAL);
		assert_true(strlen(error) > 10);
	}
	free(o);
}

static int setup(void **state)
{
	(void)state;
	pattern_init();
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(track_against_model),
	        cmocka_unit_test(sequence_numbers_wrap),
	        cmocka_unit_test(pair_accounting),
	        cmocka_unit_test(late_is_not_lost),
	        cmocka_unit_test(sink_accounting),
	        cmocka_unit_test(frames_round_trip),
	        cmocka_unit_test(corruption_is_seen),
	        cmocka_unit_test(wrong_body_is_seen),
	        cmocka_unit_test(hostile_frames),
	        cmocka_unit_test(spread_destinations),
	        cmocka_unit_test(shared_and_scattered_destinations),
	        cmocka_unit_test(traffic_lines),
	        cmocka_unit_test(neighbours),
	        cmocka_unit_test(histogram_quantiles),
	        cmocka_unit_test(options_good),
	        cmocka_unit_test(options_bad),
	        cmocka_unit_test(options_from_file),
	        cmocka_unit_test(plan_refuses),
	};

	return cmocka_run_group_tests(tests, setup, NULL);
}
