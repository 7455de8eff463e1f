/* SPDX-License-Identifier: BSD-3-Clause */
/* Split and packed rings against a driver that does all that virtio 1.1 allows. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "dataplane/port/vhost_user/ring_io.h"
#include "tests/unit/guarded.h"
#include "tests/unit/ring_driver.h"

#define HEADER sizeof(struct virtio_net_hdr_mrg_rxbuf)

static struct driver driver;
static struct batch batch;
static uint8_t *frames[PR_BATCH]; /* what the batch's entries are made of */
static uint64_t seed;

static unsigned rx(unsigned n)
{
	return driver.packed ? packed_rx(&driver.ring, &batch, n)
	                     : split_rx(&driver.ring, &batch, n);
}

static uint64_t tx(uint64_t mask)
{
	return driver.packed ? packed_tx(&driver.ring, &batch, mask)
	                     : split_tx(&driver.ring, &batch, mask);
}

static void give_back(void)
{
	driver.packed ? packed_return(&driver.ring) : split_return(&driver.ring);
}

static void batch_clear(void)
{
	memset(&batch, 0, offsetof(struct batch, span));
}

static void fill_random(uint8_t *to, uint32_t n)
{
	uint64_t state = random_next(&seed) | 1;

	for (uint32_t k = 0; k < n; k++)
		to[k] = (uint8_t)(random_next(&state) >> 20);
}

static uint32_t random_size(void)
{
	switch (random_below(&seed, 8)) {
	case 0:
		return random_below(&seed, 20);
	case 1:
		return 110 + random_below(&seed, 40);
	case 2:
		return random_below(&seed, PR_FRAME_MAX + 1);
	case 3:
		return PR_FRAME_MAX - random_below(&seed, 3);
	default:
		return 60 + random_below(&seed, 1500);
	}
}

/* ---- guest to us ---- */

struct sent {
	uint32_t length;
	uint8_t *frame;
};

static struct sent sent[SLOTS];
static unsigned sent_first, sent_count;

static bool guest_sends(uint32_t length, unsigned pieces, bool indirect)
{
	static uint8_t bytes[HEADER + PR_FRAME_MAX];
	struct driver_buffer buffer;
	struct sent *one;

	if (!driver_cut(&driver, &buffer, (uint32_t)HEADER + length, pieces, indirect))
		return false;
	fill_random(bytes, (uint32_t)HEADER + length);
	driver_write(&driver, &buffer, bytes, (uint32_t)HEADER + length);
	driver_post(&driver, &buffer, false, indirect);
	one = &sent[(sent_first + sent_count++) % SLOTS];
	one->length = length;
	one->frame = malloc(length + 1);
	memcpy(one->frame, bytes + HEADER, length);
	return true;
}

static void check_entry(uint64_t i, const struct sent *one)
{
	struct cursor rest = batch_rest(&batch, i);
	static uint8_t bytes[PR_FRAME_MAX + 1];
	uint32_t head = one->length < PR_HEAD ? one->length : PR_HEAD;

	assert_int_equal(batch.length[i], one->length);
	assert_int_equal(batch.head_length[i], head);
	assert_null(batch.body[i]);
	assert_ptr_equal(batch.head[i], batch.heads[i] + HEAD_ROOM);
	assert_int_equal(batch.offload[i], 0);
	assert_memory_equal(batch.head[i], one->frame, head);
	assert_int_equal(cursor_copy(&rest, bytes, sizeof(bytes)), one->length - head);
	assert_memory_equal(bytes, one->frame + head, one->length - head);
}

/* Takes up to n packets, compares them, gives their buffers back. */
static unsigned receive_and_check(unsigned n)
{
	struct driver_buffer buffer;
	uint32_t length;
	unsigned got;

	batch_clear();
	got = rx(n);
	assert_int_equal(atomic_load(&driver.ring.error), RING_OK);
	assert_int_equal(batch.count, got);
	for (unsigned i = 0; i < got; i++) {
		struct sent *one = &sent[(sent_first + i) % SLOTS];

		check_entry(i, one);
		free(one->frame);
	}
	sent_first = (sent_first + got) % SLOTS;
	sent_count -= got;
	assert_false(driver_take(&driver, &buffer, &length));
	give_back();
	for (unsigned i = 0; i < got; i++) {
		assert_true(driver_take(&driver, &buffer, &length));
		assert_int_equal(length, 0);
		/* Readable buffers are not written to. */
		assert_false(driver_rest_untouched(&driver, &buffer, 0) && buffer.capacity > 12);
		assert_true(driver_rest_untouched(&driver, &buffer, buffer.capacity));
	}
	assert_false(driver_take(&driver, &buffer, &length));
	return got;
}

/* ---- us to guest ---- */

static bool guest_offers(uint32_t capacity, unsigned pieces, bool indirect)
{
	struct driver_buffer buffer;

	if (!driver_cut(&driver, &buffer, capacity, pieces, indirect))
		return false;
	driver_post(&driver, &buffer, true, indirect);
	return true;
}

/* An entry as a sender's: head copied, the rest in up to 4 pieces. */
static uint64_t add_frame(uint32_t length)
{
	uint32_t i = batch_add_empty(&batch), head = PR_HEAD, done, more;

	if (random_below(&seed, 4) == 0)
		head = 1 + random_below(&seed, PR_HEAD_MAX);
	head = head < length ? head : length;
	free(frames[i]);
	frames[i] = malloc(length + 1);
	fill_random(frames[i], length);
	memcpy(batch.head[i], frames[i], head);
	batch.length[i] = length;
	batch.head_length[i] = (uint16_t)head;
	batch.rest[i] = frames[i] + head;
	batch.rest_length[i] = length - head;
	batch.more[i] = (uint16_t)batch.n_spans;
	if (random_below(&seed, 2))
		return i;
	done = random_below(&seed, length - head + 1);
	batch.rest_length[i] = done;
	for (more = random_below(&seed, 3) + 1; more; more--) {
		uint32_t left = length - head - done;
		uint32_t part = more == 1 ? left : random_below(&seed, left + 1);

		batch.span[batch.n_spans++] = (struct span){frames[i] + head + done, part};
		batch.n_more[i]++;
		done += part;
	}
	return i;
}

/* Which buffers the device must use for a frame, by the specification: 0 for none. */
static unsigned buffers_for(uint32_t total, unsigned from, uint8_t *reason)
{
	uint32_t room = 0;
	unsigned n = 0;

	*reason = PR_DROP_EGRESS_FULL;
	while (room < total) {
		if (from + n == driver.count)
			return 0;
		if (n == PR_BATCH || (n && !driver.ring.mergeable)) {
			*reason = PR_DROP_GUEST_BUFFER;
			return 0;
		}
		room += driver.queue[(driver.first + from + n++) % SLOTS].capacity;
	}
	return n;
}

static void check_header(const uint8_t *bytes, unsigned buffers)
{
	struct virtio_net_hdr_mrg_rxbuf header, wanted = {0};

	wanted.num_buffers = (uint16_t)buffers;
	memcpy(&header, bytes, sizeof(header));
	assert_memory_equal(&header, &wanted, sizeof(header));
}

static void check_received(uint64_t i, unsigned buffers)
{
	static uint8_t bytes[HEADER + PR_FRAME_MAX];
	uint32_t total = (uint32_t)HEADER + batch.length[i], done = 0;

	for (unsigned k = 0; k < buffers; k++) {
		struct driver_buffer buffer;
		uint32_t length, part;

		assert_true(driver_take(&driver, &buffer, &length));
		part = buffer.capacity < total - done ? buffer.capacity : total - done;
		assert_int_equal(length, part);
		driver_read(&driver, &buffer, bytes + done, part);
		assert_true(driver_rest_untouched(&driver, &buffer, part));
		done += part;
	}
	assert_int_equal(done, total);
	check_header(bytes, buffers);
	assert_memory_equal(bytes + HEADER, frames[i], batch.length[i]);
}

/* Sends what the batch holds; compares with what should arrive. Returns what went. */
static uint64_t send_and_check(uint64_t mask)
{
	unsigned wanted[PR_BATCH] = {0}, at = 0;
	uint8_t reason[PR_BATCH] = {0};
	struct driver_buffer buffer;
	uint64_t should = 0, went;
	uint32_t length;

	BATCH_FOREACH (i, mask) {
		wanted[i] = buffers_for((uint32_t)HEADER + batch.length[i], at, &reason[i]);
		at += wanted[i];
		should |= (uint64_t)(wanted[i] > 0) << i;
	}
	went = tx(mask);
	assert_int_equal(atomic_load(&driver.ring.error), RING_OK);
	assert_int_equal(went, should);
	BATCH_FOREACH (i, mask) {
		if (wanted[i])
			check_received(i, wanted[i]);
		else
			assert_int_equal(batch.reason[i], reason[i]);
	}
	assert_false(driver_take(&driver, &buffer, &length));
	return went;
}

/* ---- tests ---- */

static void begin(bool packed, uint16_t size, uint16_t start, bool wrap, bool mergeable)
{
	const struct driver_options options = {
	        .packed = packed,
	        .indirect = true,
	        .mergeable = mergeable,
	        .size = size,
	        .start = start,
	        .start_wrap = wrap,
	};

	driver_start(&driver, &options);
	seed = 0x9e3779b97f4a7c15u + size + start;
	sent_first = sent_count = 0;
}

static void end(void)
{
	for (; sent_count; sent_count--, sent_first = (sent_first + 1) % SLOTS)
		free(sent[sent_first].frame);
	for (unsigned i = 0; i < PR_BATCH; i++) {
		free(frames[i]);
		frames[i] = NULL;
	}
	driver_stop(&driver);
}

/* Guests' sizes and layouts of all kinds, both ways, over several laps. */
static void random_operations(
        bool packed, uint16_t size, uint16_t start, bool wrap, bool mergeable, unsigned operations)
{
	begin(packed, size, start, wrap, mergeable);
	for (unsigned n = 0; n < operations; n++) {
		unsigned most = size < 20 ? size : 20;
		unsigned pieces = random_below(&seed, 3) ? 1 : 1 + random_below(&seed, most);
		bool indirect = random_below(&seed, 4) == 0;

		if (indirect && random_below(&seed, 3) == 0)
			pieces = CHAIN_MAX;
		if (random_below(&seed, 2))
			guest_sends(random_size(), pieces, indirect);
		else
			receive_and_check(random_below(&seed, 33));
	}
	while (receive_and_check(32))
		;
	assert_int_equal(driver.count, 0);
	for (unsigned n = 0; n < operations; n++) {
		unsigned most = size < 20 ? size : 20;
		unsigned pieces = random_below(&seed, 3) ? 1 : 1 + random_below(&seed, most);
		uint32_t capacity = (uint32_t)HEADER + random_size() / (mergeable ? 4 : 1);

		if (random_below(&seed, 3)) {
			guest_offers(capacity, pieces, random_below(&seed, 4) == 0);
			continue;
		}
		batch_clear();
		for (unsigned k = random_below(&seed, 5); k; k--)
			add_frame(random_size());
		send_and_check(random_next(&seed) & ((UINT64_C(1) << batch.count) - 1));
	}
	end();
}

static void test_split_random(void **state)
{
	(void)state;
	for (unsigned n = 0; n < 4; n++) {
		random_operations(false, 256, 65530, false, n & 1, 4000);
		random_operations(false, 8, 32760, false, n & 1, 2000);
		random_operations(false, 1, 0, false, n & 1, 500);
	}
}

static void test_packed_random(void **state)
{
	(void)state;
	for (unsigned n = 0; n < 4; n++) {
		random_operations(true, 256, 250, n & 2, n & 1, 4000);
		random_operations(true, 7, 0, n & 2, n & 1, 2000);
		random_operations(true, 39, 38, n & 2, n & 1, 2000);
		random_operations(true, 1, 0, n & 2, n & 1, 500);
	}
}

static void every_size(bool packed)
{
	static const uint32_t sizes[] = {0, 1, 13, 14, 31, 32, 33, 59, 60, 63, 64, 65, 127, 128,
	        129, 191, 192, 193, 255, 256, 257, 1514, 1518, 9014, 32768, 65534, 65535, 65536,
	        65552, 65553};

	begin(packed, 64, packed ? 60 : 65530, true, true);
	for (unsigned n = 0; n < sizeof(sizes) / sizeof(sizes[0]); n++) {
		for (unsigned pieces = 1; pieces <= 3; pieces++) {
			assert_true(guest_sends(sizes[n], pieces, pieces == 3));
			assert_int_equal(receive_and_check(32), 1);
			assert_true(guest_offers((uint32_t)HEADER + sizes[n], pieces, pieces == 3));
			batch_clear();
			add_frame(sizes[n]);
			assert_int_equal(send_and_check(1), 1);
		}
	}
	end();
}

static void test_every_size(void **state)
{
	(void)state;
	every_size(false);
	every_size(true);
}

/* Nobody may send more than the batch has room for; what is left is still there. */
static void test_bursts(void **state)
{
	(void)state;
	for (unsigned packed = 0; packed < 2; packed++) {
		begin(packed, 32, packed ? 31 : 65535, false, false);
		for (unsigned n = 0; n < 32; n++)
			assert_true(guest_sends(60, 1, false));
		assert_int_equal(receive_and_check(5), 5);
		assert_int_equal(receive_and_check(1), 1);
		assert_int_equal(receive_and_check(64), 26);
		assert_int_equal(receive_and_check(64), 0);
		end();
	}
}

/* What is full: nothing is written, the reason is said, later it goes on. */
static void test_full(void **state)
{
	(void)state;
	for (unsigned packed = 0; packed < 2; packed++) {
		begin(packed, 4, 0, true, false);
		batch_clear();
		for (unsigned n = 0; n < 6; n++)
			add_frame(100);
		assert_int_equal(send_and_check(0x3f), 0);
		for (unsigned n = 0; n < 4; n++)
			assert_true(guest_offers(200, 1, false));
		assert_false(guest_offers(200, 1, false));
		assert_int_equal(send_and_check(0x3f), 0xf);
		assert_true(guest_offers(200, 2, false));
		assert_int_equal(send_and_check(0x30), 0x10);
		end();
	}
}

/* A frame that its buffer does not hold is dropped, and the buffer stays for the next. */
static void test_guest_buffer(void **state)
{
	(void)state;
	for (unsigned packed = 0; packed < 2; packed++) {
		begin(packed, 8, 7, true, false);
		batch_clear();
		add_frame(189);
		add_frame(188);
		assert_true(guest_offers(200, 1, false));
		assert_true(guest_offers(200, 3, false));
		assert_int_equal(send_and_check(3), 2);
		assert_int_equal(batch.reason[0], PR_DROP_GUEST_BUFFER);
		end();
	}
}

/* Mergeable: 64 buffers at the most. */
static void test_many_buffers(void **state)
{
	(void)state;
	for (unsigned packed = 0; packed < 2; packed++) {
		begin(packed, 64, 3, true, true);
		for (unsigned n = 0; n < SLOTS; n++)
			assert_true(guest_offers(20, 1, false));
		batch_clear();
		add_frame(20 * SLOTS - 12);
		add_frame(1);
		assert_int_equal(send_and_check(3), 1);
		end();
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(test_every_size),
	        cmocka_unit_test(test_bursts),
	        cmocka_unit_test(test_full),
	        cmocka_unit_test(test_guest_buffer),
	        cmocka_unit_test(test_many_buffers),
	        cmocka_unit_test(test_split_random),
	        cmocka_unit_test(test_packed_random),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
