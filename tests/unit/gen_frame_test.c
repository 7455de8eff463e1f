/* SPDX-License-Identifier: BSD-3-Clause */
/* The traffic generator's frames, and its answers to neighbours. No EAL. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>

#include "tests/gen/checksum.h"
#include "tests/gen/frame.h"
#include "tests/gen/neighbour.h"
#include "tests/gen/pattern.h"
#include "tests/unit/gen_random.h"

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

static int setup(void **state)
{
	(void)state;
	pattern_init();
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(frames_round_trip),
	        cmocka_unit_test(corruption_is_seen),
	        cmocka_unit_test(wrong_body_is_seen),
	        cmocka_unit_test(hostile_frames),
	        cmocka_unit_test(spread_destinations),
	        cmocka_unit_test(shared_and_scattered_destinations),
	        cmocka_unit_test(neighbours),
	};

	return cmocka_run_group_tests(tests, setup, NULL);
}
