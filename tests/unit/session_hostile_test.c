/* SPDX-License-Identifier: BSD-3-Clause */
/* Front ends that lie: each is refused with its sentence, keeps nothing open, and what ran before
 * goes on. */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

#include "tests/unit/session_fake.h"

#define FEATURES (BIT64(VIRTIO_F_VERSION_1) | BIT64(VIRTIO_NET_F_MRG_RXBUF))
#define PACKED   (FEATURES | BIT64(VIRTIO_F_RING_PACKED))

static void expect_refusal(enum session_answer answer, const char *part)
{
	const char *why;

	assert_int_equal(answer, SESSION_REFUSE);
	why = session.why ? session.why : "nothing";
	if (!strstr(why, part))
		fail_msg("\"%s\" has no \"%s\"", why, part);
}

/* Two queues that run. */
static void start(uint64_t features)
{
	assert_int_equal(say_number(VU_SET_FEATURES, features), SESSION_DONE);
	assert_int_equal(say_usual_memory(), SESSION_DONE);
	say_ring(0, 0x8000);
	say_ring(1, 0x8000);
	assert_non_null(seen[0]);
	assert_non_null(seen[1]);
}

static void test_flags(void **state)
{
	(void)state;
	expect_refusal(send_message(VU_GET_FEATURES, 2, 0, NULL, 0), "flags");
	expect_refusal(send_message(VU_GET_FEATURES, VU_REPLY, 0, NULL, 0), "flags");
}

static void test_unknown(void **state)
{
	static const uint32_t known[] = {
	        1, 2, 3, 4, 5, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 20, 39, 40};

	(void)state;
	for (uint32_t request = 0; request < 300; request++) {
		bool served = false;

		for (unsigned n = 0; n < sizeof(known) / sizeof(known[0]); n++)
			served |= known[n] == request;
		if (!served)
			expect_refusal(say(request), "not offered");
	}
	expect_refusal(say(UINT32_MAX), "not offered");
}

/* Every message with every size but its own, and with more descriptors than it takes. */
static void test_sizes(void **state)
{
	static const struct {
		uint32_t request, size, fds;
	} served[] = {{VU_GET_FEATURES, 0, 0}, {VU_SET_FEATURES, 8, 0}, {VU_SET_OWNER, 0, 0},
	        {VU_RESET_OWNER, 0, 0}, {VU_SET_VRING_NUM, 8, 0}, {VU_SET_VRING_ADDR, 40, 0},
	        {VU_SET_VRING_BASE, 8, 0}, {VU_GET_VRING_BASE, 8, 0}, {VU_SET_VRING_KICK, 8, 1},
	        {VU_SET_VRING_CALL, 8, 1}, {VU_SET_VRING_ERR, 8, 1},
	        {VU_GET_PROTOCOL_FEATURES, 0, 0}, {VU_SET_PROTOCOL_FEATURES, 8, 0},
	        {VU_GET_QUEUE_NUM, 0, 0}, {VU_SET_VRING_ENABLE, 8, 0}, {VU_NET_SET_MTU, 8, 0},
	        {VU_SET_STATUS, 8, 0}, {VU_GET_STATUS, 0, 0}};
	const int fds[2] = {memory_fd, memory_fd};

	(void)state;
	memset(&message, 0, sizeof(message));
	for (unsigned n = 0; n < sizeof(served) / sizeof(served[0]); n++) {
		for (uint32_t size = 0; size <= 64; size++)
			if (size != served[n].size)
				expect_refusal(
				        send_message(served[n].request, 0, size, NULL, 0), "size");
		expect_refusal(
		        send_message(served[n].request, 0, served[n].size, fds, served[n].fds + 1),
		        "descriptors");
	}
}

static void test_numbers(void **state)
{
	(void)state;
	expect_refusal(say_number(VU_SET_FEATURES, BIT64(40)), "features");
	expect_refusal(say_number(VU_SET_PROTOCOL_FEATURES, BIT64(5)), "protocol features");
	expect_refusal(say_number(VU_NET_SET_MTU, 1501), "MTU");
	assert_int_equal(say_number(VU_NET_SET_MTU, 1500), SESSION_DONE);
	for (uint32_t q = 2 * PAIRS; q < 300; q++) {
		expect_refusal(say_state(VU_SET_VRING_NUM, q, 16), "queue");
		expect_refusal(say_state(VU_SET_VRING_BASE, q, 0), "queue");
		expect_refusal(say_state(VU_GET_VRING_BASE, q, 0), "queue");
		expect_refusal(say_state(VU_SET_VRING_ENABLE, q, 1), "queue");
		expect_refusal(say_address(q, 0, 0, 0), "queue");
	}
	expect_refusal(say_state(VU_SET_VRING_NUM, UINT32_MAX, 16), "queue");
	expect_refusal(say_state(VU_SET_VRING_ENABLE, 0, 2), "enabled");
	expect_refusal(say_state(VU_SET_VRING_NUM, 0, 0), "power of two");
	expect_refusal(say_state(VU_SET_VRING_NUM, 0, 3), "power of two");
	expect_refusal(say_state(VU_SET_VRING_NUM, 0, 65536), "power of two");
	assert_int_equal(say_state(VU_SET_VRING_NUM, 0, 32768), SESSION_DONE);
	assert_int_equal(say_number(VU_SET_FEATURES, PACKED), SESSION_DONE);
	assert_int_equal(say_state(VU_SET_VRING_NUM, 0, 3), SESSION_DONE);
	expect_refusal(say_state(VU_SET_VRING_NUM, 0, 32769), "32768");
}

/* Whoever asked for acknowledgements hears of a refusal and stays. */
static void test_reply_ack(void **state)
{
	(void)state;
	message.payload.number = BIT64(40);
	assert_int_equal(send_message(VU_SET_FEATURES, VU_NEED_REPLY, 8, NULL, 0), SESSION_REFUSE);
	say_number(VU_SET_PROTOCOL_FEATURES, BIT64(VU_PROTOCOL_REPLY_ACK));
	message.payload.number = BIT64(40);
	assert_int_equal(send_message(VU_SET_FEATURES, VU_NEED_REPLY, 8, NULL, 0), SESSION_REPLY);
	assert_int_equal(message.payload.number, 1);
	assert_non_null(session.why);
	message.payload.number = FEATURES;
	assert_int_equal(send_message(VU_SET_FEATURES, VU_NEED_REPLY, 8, NULL, 0), SESSION_REPLY);
	assert_int_equal(message.payload.number, 0);
	assert_null(session.why);
}

static void test_descriptors(void **state)
{
	int pipes[2], event = eventfd(0, EFD_CLOEXEC);

	(void)state;
	assert_int_equal(pipe(pipes), 0);
	for (uint32_t r = VU_SET_VRING_KICK; r <= VU_SET_VRING_ERR; r++) {
		expect_refusal(say_fd(r, 0, pipes[0]), "eventfd");
		expect_refusal(say_fd(r, 0, memory_fd), "eventfd");
		expect_refusal(say_fd(r, 0, -1), "missing");
		expect_refusal(say_fd(r, VU_NO_FD, event), "too many");
		expect_refusal(say_fd(r, BIT64(9), event), "");
		expect_refusal(say_fd(r, 2 * PAIRS, event), "queue");
		for (unsigned n = 0; n < 50; n++)
			assert_int_equal(say_fd(r, n % 8, event), SESSION_DONE);
		assert_int_equal(say_fd(r, VU_NO_FD | 3, -1), SESSION_DONE);
	}
	close(pipes[0]);
	close(pipes[1]);
	close(event);
}

/* ---- memory ---- */

static void refuse_memory(const struct vu_region *regions, unsigned n, int fd, const char *part)
{
	int fds[VU_FDS_MAX];

	for (unsigned k = 0; k < VU_FDS_MAX; k++)
		fds[k] = fd;
	expect_refusal(say_memory(regions, n, fds, n, 0), part);
	/* What was there before is still there. */
	assert_non_null(seen[0]);
	assert_non_null(seen[1]);
	assert_ptr_equal(seen[0]->memory, session.memory);
}

static void test_memory_places(void **state)
{
	const struct vu_region good = {0, 0x1000, 0x10000000, 0};
	struct vu_region r[2] = {good, {0x100000, 0x1000, 0x20000000, 0x1000}};

	(void)state;
	start(FEATURES);
	refuse_memory(r, 0, memory_fd, "1 to 8 regions");
	r[0].size = 0;
	refuse_memory(r, 1, memory_fd, "empty");
	r[0].size = BIT64(40) + 1;
	refuse_memory(r, 1, memory_fd, "larger");
	r[0].size = UINT64_MAX;
	refuse_memory(r, 1, memory_fd, "larger");
	r[0] = good;
	r[0].guest = UINT64_MAX - 0xffe;
	refuse_memory(r, 1, memory_fd, "wraps");
	r[0] = good;
	r[0].user = UINT64_MAX - 0x10;
	refuse_memory(r, 1, memory_fd, "wraps");
	r[0] = good;
	r[0].offset = UINT64_MAX - 0x10;
	refuse_memory(r, 1, memory_fd, "wraps");
	r[0] = good;
	r[0].offset = MEMORY_BYTES - 0xfff;
	refuse_memory(r, 1, memory_fd, "shorter");
	r[0].offset = (uint64_t)INT64_MAX - 10;
	refuse_memory(r, 1, memory_fd, "shorter");
	r[0] = good;
	r[1].guest = 0xfff;
	refuse_memory(r, 2, memory_fd, "overlap");
	r[1].guest = 0x1000;
	r[1].user = good.user - 0xfff;
	refuse_memory(r, 2, memory_fd, "overlap");
}

static void test_memory_counts(void **state)
{
	struct vu_region r[VU_FDS_MAX];
	int fds[VU_FDS_MAX];

	(void)state;
	for (unsigned n = 0; n < VU_FDS_MAX; n++) {
		r[n] = (struct vu_region){n << 20, 0x1000, (uint64_t)(n + 1) << 24, n << 12};
		fds[n] = memory_fd;
	}
	expect_refusal(say_memory(r, 2, fds, 1, 0), "do not agree");
	expect_refusal(say_memory(r, 1, fds, 2, 0), "do not agree");
	expect_refusal(say_memory(r, 9, fds, 8, 0), "do not agree");
	expect_refusal(say_memory(r, UINT32_MAX, fds, 8, 0), "do not agree");
	message.payload.memory.n = 2;
	expect_refusal(send_message(VU_SET_MEM_TABLE, 0, 8 + 63, fds, 2), "do not agree");
	expect_refusal(send_message(VU_SET_MEM_TABLE, 0, 4, fds, 2), "size");
	for (unsigned n = 0; n < 100; n++)
		assert_int_equal(say_memory(r, 8, fds, 8, 0), SESSION_DONE);
	assert_int_equal(session.memory->n, 8);
	/* The last one is bad: the others are unmapped again. */
	r[7].offset = MEMORY_BYTES;
	for (unsigned n = 0; n < 2000; n++)
		expect_refusal(say_memory(r, 8, fds, 8, 0), "shorter");
}

static void test_memory_files(void **state)
{
	const struct vu_region r = {0, 0x1000, 0x10000000, 0};
	int pipes[2], event = eventfd(0, EFD_CLOEXEC), zero = open("/dev/zero", O_RDWR),
	              proc = open("/proc/self/mem", O_RDWR),
	              self = open("/proc/self/exe", O_RDONLY), path = open("/dev/shm", O_PATH),
	              sealed = memfd_create("sealed", MFD_ALLOW_SEALING);

	(void)state;
	start(FEATURES);
	assert_int_equal(pipe(pipes), 0);
	assert_int_equal(ftruncate(sealed, 0x1000), 0);
	assert_int_equal(fcntl(sealed, F_ADD_SEALS, F_SEAL_WRITE), 0);
	refuse_memory(&r, 1, pipes[0], "tmpfs");
	refuse_memory(&r, 1, event, "tmpfs");
	refuse_memory(&r, 1, zero, "tmpfs");
	refuse_memory(&r, 1, proc, "tmpfs");
	refuse_memory(&r, 1, self, "");
	refuse_memory(&r, 1, path, "");
	refuse_memory(&r, 1, sealed, "mapped");
	for (unsigned n = 0; n < 2; n++)
		close(pipes[n]);
	close(event);
	close(zero);
	close(proc);
	close(self);
	close(path);
	close(sealed);
}

/* A guest's file that shrinks hurts its guest. */
static void test_file_shrinks(void **state)
{
	const struct vu_region r = {0, 0x10000, 0x10000000, 0};
	int fd = memfd_create("shrinks", MFD_CLOEXEC);
	volatile uint8_t *at;

	(void)state;
	/* In the test itself: cmocka has a handler of its own. */
	assert_int_equal(guest_memory_init(), 0);
	assert_int_equal(ftruncate(fd, 0x10000), 0);
	assert_int_equal(say_memory(&r, 1, &fd, 1, 0), SESSION_DONE);
	at = guest_address(session.memory, 0x8000, 16);
	*at = 7;
	assert_false(atomic_load(&session.memory_broken));
	assert_int_equal(ftruncate(fd, 0x1000), 0);
	assert_int_equal(*at, 0);
	assert_true(atomic_load(&session.memory_broken));
	*at = 5;
	at[0x7fff] = 5;
	/* Another table mends it. */
	assert_int_equal(say_usual_memory(), SESSION_DONE);
	assert_false(atomic_load(&session.memory_broken));
	close(fd);
}

/* ---- rings ---- */

static void refuse_place(unsigned q, uint64_t desc, uint64_t avail, uint64_t used)
{
	unsigned before = logs;

	assert_int_equal(say_address(q, desc, avail, used), SESSION_DONE);
	assert_null(seen[q]);
	assert_int_equal(logs, before + 1);
	assert_non_null(strstr(last_log, "misaligned"));
}

static void check_places(unsigned queue, unsigned desc, unsigned avail, unsigned used)
{
	const uint64_t at = ring_user(queue), end = MEMORY_USER + MEMORY_BYTES;

	refuse_place(queue, at + 8, at + 0x1000, at + 0x2000);
	refuse_place(queue, at, at + 0x1001, at + 0x2000);
	refuse_place(queue, at, at + 0x1000, at + 0x2002);
	refuse_place(queue, end - desc + 16, at + 0x1000, at + 0x2000);
	refuse_place(queue, at, end - avail / 4 * 4 + 4 - avail % 4, at + 0x2000);
	refuse_place(queue, at, at + 0x1000, end - used / 4 * 4);
	refuse_place(queue, MEMORY_USER - 16, at + 0x1000, at + 0x2000);
	refuse_place(queue, 0, 0, 0);
	refuse_place(queue, UINT64_MAX - 15, at + 0x1000, at + 0x2000);
	assert_int_equal(say_address(queue, end - desc, at + 0x1000, at + 0x2000), SESSION_DONE);
	assert_non_null(seen[queue]);
}

static void test_ring_places(void **state)
{
	(void)state;
	start(FEATURES);
	check_places(1, 16 * RING_SIZE, 6 + 2 * RING_SIZE, 6 + 8 * RING_SIZE);
	assert_true(end_session());
	start(PACKED);
	check_places(1, 16 * RING_SIZE, 4, 0);
}

/* A ring that ends in another region. */
static void test_ring_over_two_regions(void **state)
{
	const struct vu_region r[2] = {{0, 0x1000, MEMORY_USER, 0},
	        {0x1000, MEMORY_BYTES - 0x1000, MEMORY_USER + 0x1000, 0x1000}};
	const int fds[2] = {memory_fd, memory_fd};

	(void)state;
	start(FEATURES);
	assert_int_equal(say_memory(r, 2, fds, 2, 0), SESSION_DONE);
	assert_non_null(seen[0]);
	refuse_place(0, MEMORY_USER + 0xff0, MEMORY_USER + 0x1000, MEMORY_USER + 0x2000);
}

/* A worker found it broken: it stops, is told once, and starts when it is set up anew. */
static void test_broken_ring(void **state)
{
	(void)state;
	start(FEATURES);
	ring_fail(seen[1], RING_ADDRESS);
	assert_int_equal(session_tick(&session), 1);
	assert_null(seen[1]);
	assert_non_null(seen[0]);
	assert_int_equal(logs, 1);
	assert_string_equal(last_log, "queue 1 stopped: a buffer lies outside the guest's memory");
	assert_int_equal(session_tick(&session), 0);
	say_state(VU_SET_VRING_ENABLE, 1, 0);
	say_state(VU_SET_VRING_ENABLE, 1, 1);
	assert_null(seen[1]);
	assert_int_equal(logs, 1);
	say_ring(1, 0);
	assert_non_null(seen[1]);
}

/* The size of a ring that became split after it was packed. */
static void test_odd_split(void **state)
{
	(void)state;
	start(PACKED);
	assert_int_equal(say_state(VU_SET_VRING_NUM, 0, 7), SESSION_DONE);
	assert_non_null(seen[0]);
	assert_int_equal(say_number(VU_SET_FEATURES, FEATURES), SESSION_DONE);
	assert_null(seen[0]);
	assert_non_null(seen[1]);
	assert_false(seen[1]->is_packed);
}

/* A base beyond the ring. */
static void test_base(void **state)
{
	(void)state;
	start(PACKED);
	for (unsigned base = 0; base < 0x10000; base += 0x7ff) {
		assert_int_equal(say_state(VU_SET_VRING_BASE, 0, base), SESSION_DONE);
		assert_true(seen[0]->next_avail < RING_SIZE);
		assert_true(seen[0]->next_used < RING_SIZE);
	}
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(test_##name, session_setup, session_teardown)
	const struct CMUnitTest tests[] = {
	        TEST(flags),
	        TEST(unknown),
	        TEST(sizes),
	        TEST(numbers),
	        TEST(reply_ack),
	        TEST(descriptors),
	        TEST(memory_places),
	        TEST(memory_counts),
	        TEST(memory_files),
	        TEST(file_shrinks),
	        TEST(ring_places),
	        TEST(ring_over_two_regions),
	        TEST(broken_ring),
	        TEST(odd_split),
	        TEST(base),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
