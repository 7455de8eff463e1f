/* SPDX-License-Identifier: BSD-3-Clause */
/* Conversations as front ends hold them: virtio-user and QEMU, first connections, stops, and what
 * they say to a back end that was killed. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <cmocka.h>

#include "tests/unit/session_fake.h"

#define SPLIT                                                                                      \
	(BIT64(VIRTIO_F_VERSION_1) | BIT64(VIRTIO_NET_F_MRG_RXBUF) |                               \
	        BIT64(VIRTIO_RING_F_INDIRECT_DESC) | BIT64(VU_F_PROTOCOL_FEATURES) |               \
	        BIT64(VIRTIO_F_IN_ORDER))
#define PACKED (SPLIT | BIT64(VIRTIO_F_RING_PACKED))

static enum session_answer acked(uint32_t request, uint64_t number)
{
	message.payload.number = number;
	return send_message(request, VU_NEED_REPLY, 8, NULL, 0);
}

static void expect_number(enum session_answer answer, uint64_t number)
{
	assert_int_equal(answer, SESSION_REPLY);
	assert_int_equal(message.flags, VU_VERSION | VU_REPLY);
	assert_int_equal(message.size, 8);
	assert_int_equal(message.payload.number, number);
}

static void expect_base(unsigned queue, uint32_t base)
{
	assert_int_equal(say_state(VU_GET_VRING_BASE, queue, 0xdeadbeef), SESSION_REPLY);
	assert_int_equal(message.payload.state.queue, queue);
	assert_int_equal(message.payload.state.number, base);
}

static void say_calls(unsigned queues)
{
	int call = eventfd(0, EFD_CLOEXEC);

	for (unsigned q = 0; q < queues; q++)
		assert_int_equal(say_fd(VU_SET_VRING_CALL, q, call), SESSION_DONE);
	close(call);
}

/* ---- virtio-user ---- */

static void virtio_user_negotiates(bool again, uint64_t features, unsigned queues)
{
	const uint64_t protocol =
	        BIT64(VU_PROTOCOL_MQ) | BIT64(VU_PROTOCOL_REPLY_ACK) | BIT64(VU_PROTOCOL_STATUS);

	if (!again)
		assert_int_equal(say(VU_SET_OWNER), SESSION_DONE);
	expect_number(say(VU_GET_FEATURES), session_features());
	assert_int_equal(say(VU_GET_PROTOCOL_FEATURES), SESSION_REPLY);
	assert_int_equal(message.payload.number & protocol, protocol);
	assert_int_equal(say_number(VU_SET_PROTOCOL_FEATURES, protocol), SESSION_DONE);
	say_calls(queues);
	assert_int_equal(say_number(VU_SET_FEATURES, features), SESSION_DONE);
	expect_number(acked(VU_SET_STATUS, 0xb), 0);
	expect_number(say(VU_GET_STATUS), 0xb);
	assert_int_equal(say_usual_memory(), SESSION_DONE);
}

static void virtio_user_rings(unsigned queues, uint32_t base)
{
	for (unsigned q = 0; q < queues; q += 2)
		say_ring(q, base);
	for (unsigned q = 1; q < queues; q += 2)
		say_ring(q, base);
	for (unsigned q = 0; q < queues; q++)
		assert_null(seen[q]);
	say_state(VU_SET_VRING_ENABLE, 0, 1);
	say_state(VU_SET_VRING_ENABLE, 1, 1);
	assert_non_null(seen[0]);
	assert_non_null(seen[1]);
	expect_number(acked(VU_SET_STATUS, 0xf), 0);
	for (unsigned q = 2; q < queues; q++) {
		assert_null(seen[q]);
		say_state(VU_SET_VRING_ENABLE, q, 1);
		assert_non_null(seen[q]);
	}
}

static void test_virtio_user(void **state)
{
	(void)state;
	virtio_user_negotiates(false, SPLIT, 8);
	virtio_user_rings(8, 0);
	for (unsigned q = 0; q < 8; q++) {
		assert_int_equal(seen[q]->size, RING_SIZE);
		assert_false(seen[q]->is_packed);
		assert_true(seen[q]->mergeable);
		assert_true(seen[q]->indirect);
		assert_false(seen[q]->event_index);
		assert_int_equal(seen[q]->header, 12);
		assert_int_equal(ring_used(q)->flags, VRING_USED_F_NO_NOTIFY);
		seen[q]->next_avail = seen[q]->next_used = (uint16_t)(q + 5);
	}
	for (unsigned q = 0; q < 8; q++) {
		say_state(VU_SET_VRING_ENABLE, q, 0);
		assert_null(seen[q]);
	}
	for (unsigned q = 0; q < 8; q++)
		expect_base(q, q + 5);
}

/* Fewer queues and more again: their rings go on where they were. */
static void test_queues_come_and_go(void **state)
{
	(void)state;
	virtio_user_negotiates(false, SPLIT, 4);
	virtio_user_rings(4, 0);
	seen[2]->next_avail = seen[2]->next_used = 7;
	ring_used(2)->idx = 3; /* as a liar would have it: it is ours to know */
	say_state(VU_SET_VRING_ENABLE, 2, 0);
	assert_null(seen[2]);
	assert_non_null(seen[0]);
	say_state(VU_SET_VRING_ENABLE, 2, 1);
	assert_int_equal(seen[2]->next_avail, 7);
}

/* Another kick descriptor: the worker that waits for the old one is stopped from it while that is
 * open still, and the ring goes on with the new one. */
static void test_kick_changes(void **state)
{
	int first, kick = eventfd(0, EFD_CLOEXEC);

	(void)state;
	virtio_user_negotiates(false, SPLIT, 2);
	virtio_user_rings(2, 0);
	first = seen[1]->kick_fd;
	assert_true(first >= 0);
	assert_int_equal(seen[1]->watcher, 0);
	ring_arm(seen[1]);
	assert_int_equal(ring_used(1)->flags, 0);
	seen[1]->watcher = 4;
	seen[1]->next_avail = seen[1]->next_used = 9;
	watching_worker = 3;
	unwatched = 0;
	grace_passes = false;
	assert_int_equal(say_fd(VU_SET_VRING_KICK, 1, kick), SESSION_WAIT);
	assert_null(seen[1]);
	assert_int_equal(unwatched, 0);
	grace_pass();
	assert_int_equal(send_again(), SESSION_DONE);
	grace_passes = true;
	assert_int_equal(unwatched, 1);
	assert_non_null(seen[1]);
	assert_int_not_equal(seen[1]->kick_fd, first);
	assert_int_equal(seen[1]->watcher, 0);
	assert_false(seen[1]->armed);
	assert_int_equal(seen[1]->next_avail, 9);
	assert_int_equal(ring_used(1)->flags, VRING_USED_F_NO_NOTIFY);
	/* At the end, too; and none where nobody waits. */
	seen[1]->watcher = 4;
	assert_true(end_session());
	assert_int_equal(unwatched, 2);
	close(kick);
}

/* The daemon was killed: the first words are of queues that it does not know. */
static void test_virtio_user_again(void **state)
{
	(void)state;
	for (unsigned q = 0; q < 8; q++)
		assert_int_equal(say_state(VU_SET_VRING_ENABLE, q, 0), SESSION_DONE);
	for (unsigned q = 0; q < 8; q++)
		assert_int_equal(say_state(VU_GET_VRING_BASE, q, 0x12345678), SESSION_REPLY);
	for (unsigned q = 0; q < 8; q++)
		ring_used(q)->idx = (uint16_t)(65530 + q);
	virtio_user_negotiates(true, SPLIT, 8);
	virtio_user_rings(8, 0);
	for (unsigned q = 0; q < 8; q++) {
		assert_int_equal(seen[q]->next_avail, (uint16_t)(65530 + q));
		assert_int_equal(seen[q]->next_used, (uint16_t)(65530 + q));
	}
}

static void test_virtio_user_packed(void **state)
{
	(void)state;
	virtio_user_negotiates(false, PACKED, 2);
	virtio_user_rings(2, 0x8000);
	assert_true(seen[0]->is_packed);
	assert_int_equal(seen[0]->next_avail, 0);
	assert_true(seen[0]->avail_wrap);
	assert_true(seen[0]->used_wrap);
	assert_int_equal(seen[0]->device_event->flags, VRING_PACKED_EVENT_FLAG_DISABLE);
	seen[0]->next_avail = seen[0]->next_used = 4;
	seen[0]->avail_wrap = seen[0]->used_wrap = false;
	say_state(VU_SET_VRING_ENABLE, 0, 0);
	expect_base(0, 4 | 4 << 16);
	seen[1]->next_avail = seen[1]->next_used = 5;
	expect_base(1, 0x80058005);
	assert_null(seen[1]);
}

/* ---- QEMU ---- */

static void qemu_connects(unsigned pairs)
{
	int err = eventfd(0, EFD_CLOEXEC);

	for (unsigned pair = 0; pair < pairs; pair++) {
		expect_number(say(VU_GET_FEATURES), session_features());
		assert_int_equal(say(VU_GET_PROTOCOL_FEATURES), SESSION_REPLY);
		assert_int_equal(
		        say_number(VU_SET_PROTOCOL_FEATURES, message.payload.number), SESSION_DONE);
		if (!pair) {
			expect_number(say(VU_GET_QUEUE_NUM), PAIRS);
			assert_int_equal(say(VU_SET_OWNER), SESSION_DONE);
		}
		assert_int_equal(say(VU_GET_FEATURES), SESSION_REPLY);
		say_calls(2 * pair + 2);
		for (unsigned q = 2 * pair; q < 2 * pair + 2; q++)
			assert_int_equal(say_fd(VU_SET_VRING_ERR, q, err), SESSION_DONE);
	}
	close(err);
	for (unsigned n = 0; n < 3; n++)
		for (unsigned q = 0; q < 2 * pairs; q++)
			assert_int_equal(say_state(VU_SET_VRING_ENABLE, q, 1), SESSION_DONE);
}

static void qemu_starts(uint64_t features, uint32_t base0, uint32_t base1)
{
	int call = eventfd(0, EFD_CLOEXEC);

	assert_int_equal(say_number(VU_SET_FEATURES, features), SESSION_DONE);
	assert_int_equal(say(VU_GET_STATUS), SESSION_REPLY);
	assert_int_equal(say_number(VU_SET_STATUS, 8), SESSION_DONE);
	assert_int_equal(say_usual_memory(), SESSION_DONE);
	for (unsigned q = 0; q < 2; q++) {
		say_ring(q, q ? base1 : base0);
		assert_non_null(seen[q]); /* its last ENABLE was long ago */
		assert_int_equal(say_fd(VU_SET_VRING_CALL, q, call), SESSION_DONE);
	}
	close(call);
	expect_number(say(VU_GET_STATUS), 8);
	assert_int_equal(say_number(VU_SET_STATUS, 15), SESSION_DONE);
}

static void test_qemu_stop_and_go(void **state)
{
	const uint64_t features = SPLIT & ~BIT64(VIRTIO_F_IN_ORDER);

	(void)state;
	qemu_connects(2);
	qemu_starts(features | BIT64(VIRTIO_RING_F_EVENT_IDX), 0, 0);
	assert_true(seen[0]->event_index);
	seen[0]->next_avail = seen[0]->next_used = 9;
	ring_used(0)->idx = 9;
	assert_int_equal(say_number(VU_SET_STATUS, 0), SESSION_DONE);
	assert_non_null(seen[0]);
	expect_base(0, 9);
	expect_base(1, 0);
	assert_null(seen[0]);
	assert_null(seen[1]);
	qemu_starts(features | BIT64(VIRTIO_RING_F_EVENT_IDX), 9, 0);
	assert_int_equal(seen[0]->next_avail, 9);
	/* Once more the same features, while it runs. */
	assert_int_equal(say_number(VU_SET_FEATURES, session.features), SESSION_DONE);
	assert_non_null(seen[0]);
}

static void test_qemu_packed_stop_and_go(void **state)
{
	(void)state;
	qemu_connects(1);
	qemu_starts(PACKED, 0x80008000, 0x80008000);
	seen[0]->next_avail = seen[0]->next_used = 4;
	say_number(VU_SET_STATUS, 0);
	expect_base(0, 0x80048004);
	expect_base(1, 0x80008000);
	/* As librte_vhost answered, too: the half of used is not looked at. */
	qemu_starts(PACKED, 0x8004, 0x80008000);
	assert_int_equal(seen[0]->next_avail, 4);
	assert_int_equal(seen[0]->next_used, 4);
	assert_true(seen[0]->used_wrap);
}

/* ---- packed rings after the daemon was killed ---- */

#define AVAIL (1u << VRING_PACKED_DESC_F_AVAIL)
#define USED  (1u << VRING_PACKED_DESC_F_USED)

/* A ring whose place is so many descriptors from its beginning, some of them waiting, as seen by a
 * back end that is told any place. */
static void check_place(unsigned place, unsigned waiting, unsigned base)
{
	struct vring_packed_desc *desc = ring_packed(0);
	unsigned slot = place % RING_SIZE, laps = place / RING_SIZE;
	bool wrap = !(laps & 1);

	memset(desc, 0, RING_SIZE * sizeof(*desc));
	for (unsigned n = 0; n < RING_SIZE; n++) {
		bool this_lap = n < slot;

		if (laps || this_lap)
			desc[n].flags = (uint16_t)((this_lap ? wrap : !wrap) ? AVAIL | USED : 0);
	}
	for (unsigned n = 0; n < waiting; n++) {
		unsigned at = (slot + n) % RING_SIZE;
		bool lap = slot + n < RING_SIZE ? wrap : !wrap;

		desc[at].flags = (uint16_t)(lap ? AVAIL : USED);
	}
	qemu_connects(1);
	qemu_starts(PACKED, base % RING_SIZE | (base < RING_SIZE ? 0x8000 : 0), 0x80008000);
	assert_int_equal(seen[0]->next_avail, slot);
	assert_int_equal(seen[0]->next_used, slot);
	assert_int_equal(seen[0]->avail_wrap, wrap);
	assert_int_equal(seen[0]->used_wrap, wrap);
	assert_true(end_session());
}

static void test_packed_place(void **state)
{
	(void)state;
	for (unsigned place = 0; place < 5 * RING_SIZE; place++) {
		for (unsigned waiting = 0; waiting <= RING_SIZE; waiting++)
			for (unsigned base = 0; base < 2 * RING_SIZE; base += 5)
				check_place(place, waiting, base);
	}
}

/* ---- waiting for workers ---- */

static void test_wait(void **state)
{
	(void)state;
	qemu_connects(1);
	qemu_starts(SPLIT, 0, 0);
	grace_passes = false;
	seen[0]->next_avail = seen[0]->next_used = 3;
	assert_int_equal(say_state(VU_GET_VRING_BASE, 0, 0), SESSION_WAIT);
	assert_null(seen[0]);
	assert_int_equal(send_again(), SESSION_WAIT);
	/* Nothing starts it meanwhile. */
	session_tick(&session);
	assert_null(seen[0]);
	/* A worker was in it until now. */
	session.queue[0].ring.next_avail = session.queue[0].ring.next_used = 11;
	grace_pass();
	assert_int_equal(send_again(), SESSION_REPLY);
	assert_int_equal(message.payload.state.number, 11);
	assert_non_null(seen[1]);
	/* Memory: nothing is mapped or unmapped before. */
	assert_int_equal(say_usual_memory(), SESSION_WAIT);
	assert_null(seen[1]);
	assert_non_null(session.memory);
	grace_pass();
	assert_int_equal(send_again(), SESSION_DONE);
	assert_non_null(seen[1]);
	/* The guest leaves. */
	assert_false(end_session());
	assert_null(seen[1]);
	assert_false(end_session());
	grace_pass();
	assert_true(end_session());
	assert_null(session.memory);
	assert_true(end_session());
}

/* Disabled and enabled at once: it starts when the workers have let go. */
static void test_enable_while_busy(void **state)
{
	(void)state;
	qemu_connects(1);
	qemu_starts(SPLIT, 0, 0);
	grace_passes = false;
	assert_int_equal(say_state(VU_SET_VRING_ENABLE, 0, 0), SESSION_WAIT);
	grace_pass();
	assert_int_equal(send_again(), SESSION_DONE);
	assert_int_equal(say_state(VU_SET_VRING_ENABLE, 0, 1), SESSION_DONE);
	assert_non_null(seen[0]);
}

/* A call descriptor that a worker may still signal is closed later. */
static void test_call_swap(void **state)
{
	int call = eventfd(0, EFD_CLOEXEC), old;
	unsigned before;

	(void)state;
	qemu_connects(1);
	qemu_starts(SPLIT, 0, 0);
	session_tick(&session);
	grace_passes = false;
	old = atomic_load(&seen[0]->call_fd);
	before = open_fds();
	assert_int_equal(say_fd(VU_SET_VRING_CALL, 0, call), SESSION_DONE);
	assert_int_not_equal(atomic_load(&seen[0]->call_fd), old);
	assert_int_equal(open_fds(), before + 1);
	session_tick(&session);
	assert_int_equal(open_fds(), before + 1);
	grace_pass();
	session_tick(&session);
	assert_int_equal(open_fds(), before);
	/* Somebody who does nothing else must wait. */
	for (unsigned n = 0; n < RINGS_MAX; n++)
		assert_int_equal(say_fd(VU_SET_VRING_CALL, 0, call), SESSION_DONE);
	assert_int_equal(say_fd(VU_SET_VRING_CALL, 0, call), SESSION_WAIT);
	grace_pass();
	assert_int_equal(send_again(), SESSION_DONE);
	/* None at all. */
	assert_int_equal(say_fd(VU_SET_VRING_CALL, VU_NO_FD | 0, -1), SESSION_DONE);
	assert_int_equal(atomic_load(&seen[0]->call_fd), -1);
	close(call);
}

/* After a restart guests do not send before others can receive; they receive at once. */
static void test_not_settled(void **state)
{
	(void)state;
	others_settled = false;
	qemu_connects(1);
	assert_int_equal(say_number(VU_SET_FEATURES, SPLIT), SESSION_DONE);
	assert_int_equal(say_usual_memory(), SESSION_DONE);
	say_ring(0, 0);
	say_ring(1, 0);
	assert_non_null(seen[0]);
	assert_null(seen[1]);
	session_tick(&session);
	assert_null(seen[1]);
	others_settled = true;
	session_tick(&session);
	assert_non_null(seen[1]);
}

static void test_reset_owner(void **state)
{
	(void)state;
	qemu_connects(1);
	qemu_starts(SPLIT, 0, 0);
	assert_int_equal(say(VU_RESET_OWNER), SESSION_DONE);
	assert_null(seen[0]);
	assert_null(seen[1]);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(test_##name, session_setup, session_teardown)
	const struct CMUnitTest tests[] = {
	        TEST(virtio_user),
	        TEST(queues_come_and_go),
	        TEST(kick_changes),
	        TEST(virtio_user_again),
	        TEST(virtio_user_packed),
	        TEST(qemu_stop_and_go),
	        TEST(qemu_packed_stop_and_go),
	        TEST(packed_place),
	        TEST(wait),
	        TEST(enable_while_busy),
	        TEST(call_swap),
	        TEST(not_settled),
	        TEST(reset_owner),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
