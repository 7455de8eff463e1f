/* SPDX-License-Identifier: BSD-3-Clause */
/* Rings of guests that lie: each lie stops the ring by its name, touches nothing outside the
 * guest's memory, and harms no packet that came before it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "dataplane/port/vhost_user/ring_io.h"
#include "tests/unit/guarded.h"
#include "tests/unit/ring_driver.h"

#define HEADER sizeof(struct virtio_net_hdr_mrg_rxbuf)
#define AVAIL  (1u << VRING_PACKED_DESC_F_AVAIL)
#define USED   (1u << VRING_PACKED_DESC_F_USED)
#define SIZE   16

static struct driver driver;
static struct batch batch;
static struct driver_buffer last;
static const uint8_t frame[2000] = {2, 1, 2, 3, 4, 5, 6, 7};

static unsigned rx(unsigned n)
{
	return driver.packed ? packed_rx(&driver.ring, &batch, n)
	                     : split_rx(&driver.ring, &batch, n);
}

/* A burst may end behind a chain. */
static unsigned rx_all(void)
{
	unsigned all = 0, got;

	while (atomic_load(&driver.ring.error) == RING_OK && (got = rx(PR_BATCH - all)))
		all += got;
	return all;
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

static void begin(bool packed, uint16_t size)
{
	const struct driver_options options = {
	        .packed = packed,
	        .indirect = true,
	        .mergeable = true,
	        .size = size,
	        .start_wrap = true,
	};

	driver_start(&driver, &options);
	memset(&batch, 0, offsetof(struct batch, span));
}

static void post(uint32_t capacity, unsigned n, bool writable, bool indirect)
{
	assert_true(driver_cut(&driver, &last, capacity, n, indirect));
	if (!writable)
		driver_write(&driver, &last, frame, capacity < 2000 ? capacity : 2000);
	driver_post(&driver, &last, writable, indirect);
	last = driver.queue[(driver.first + driver.count - 1) % SLOTS];
}

static uint64_t add_frame(uint32_t length)
{
	uint32_t i = batch_add_empty(&batch);

	memcpy(batch.head[i], frame, PR_HEAD);
	batch.length[i] = length;
	batch.head_length[i] = (uint16_t)RTE_MIN(length, (uint32_t)PR_HEAD);
	batch.rest[i] = frame + batch.head_length[i];
	batch.rest_length[i] = length - batch.head_length[i];
	return i;
}

/* ---- lies about the buffer that was posted last: its first descriptor ---- */

struct lie {
	enum ring_error error;
	void (*tell)(struct vring_desc *split, struct vring_packed_desc *packed);
	bool indirect; /* told in the indirect table */
};

static void outside(struct vring_desc *split, struct vring_packed_desc *packed)
{
	split ? (split->addr = 0x1000) : (packed->addr = 0x1000);
}

static void over_the_end(struct vring_desc *split, struct vring_packed_desc *packed)
{
	uint64_t end = DATA_BASE + SLOTS * SLOT_BYTES / 4096 * 4096 + 4096 - 99;

	split ? (split->addr = end) : (packed->addr = end);
}

static void wraps(struct vring_desc *split, struct vring_packed_desc *packed)
{
	split ? (split->addr = UINT64_MAX - 10) : (packed->addr = UINT64_MAX - 10);
}

static void empty(struct vring_desc *split, struct vring_packed_desc *packed)
{
	split ? (split->len = 0) : (packed->len = 0);
}

static void huge(struct vring_desc *split, struct vring_packed_desc *packed)
{
	split ? (split->len = UINT32_MAX) : (packed->len = UINT32_MAX);
}

static void longer(struct vring_desc *split, struct vring_packed_desc *packed)
{
	split ? (split->len = PR_FRAME_MAX + 13) : (packed->len = PR_FRAME_MAX + 13);
}

static void nested(struct vring_desc *split, struct vring_packed_desc *packed)
{
	if (split)
		split->flags |= VRING_DESC_F_INDIRECT;
	else
		packed->flags |= VRING_DESC_F_INDIRECT;
}

static void other_way(struct vring_desc *split, struct vring_packed_desc *packed)
{
	if (split)
		split->flags ^= VRING_DESC_F_WRITE;
	else
		packed->flags ^= VRING_DESC_F_WRITE;
}

static void half_entry(struct vring_desc *split, struct vring_packed_desc *packed)
{
	split ? (split->len -= 8) : (packed->len -= 8);
}

static void table_misaligned(struct vring_desc *split, struct vring_packed_desc *packed)
{
	split ? (split->addr += 4) : (packed->addr += 4);
}

static void table_and_next(struct vring_desc *split, struct vring_packed_desc *packed)
{
	if (split)
		split->flags |= VRING_DESC_F_NEXT;
	else
		packed->flags |= VRING_DESC_F_NEXT;
}

static const struct lie direct_lies[] = {
        {RING_ADDRESS, outside},
        {RING_ADDRESS, over_the_end},
        {RING_ADDRESS, wraps},
        {RING_LENGTH, empty},
        {RING_LENGTH, huge},
        {RING_LENGTH, longer},
        {RING_INDIRECT, nested},
        {RING_ACCESS, other_way},
};

static const struct lie table_lies[] = {
        {RING_INDIRECT, outside},
        {RING_INDIRECT, empty},
        {RING_INDIRECT, huge},
        {RING_INDIRECT, half_entry},
        {RING_INDIRECT, table_misaligned},
        {RING_INDIRECT, table_and_next},
        {RING_ADDRESS, outside, true},
        {RING_ADDRESS, wraps, true},
        {RING_LENGTH, huge, true},
        {RING_INDIRECT, nested, true},
        {RING_ACCESS, other_way, true},
};

static void tell(const struct lie *lie)
{
	unsigned slot = (unsigned)(driver.avail + driver.size - 1) % driver.size;
	uint32_t left;
	void *entry = driver.packed ? (void *)&driver.ring.desc.packed[slot]
	                            : (void *)&driver.ring.desc.split[last.id];

	if (lie->indirect)
		entry = driver_byte(&driver, TABLE_BASE + last.slot * TABLE_BYTES, &left);
	lie->tell(driver.packed ? NULL : entry, driver.packed ? entry : NULL);
}

/* Two good packets, the lie, and one more that nobody looks at. */
static void check_rx(bool packed, const struct lie *lie, bool indirect)
{
	struct driver_buffer buffer;
	uint32_t length;

	begin(packed, SIZE);
	post(100, 1, false, false);
	post(200, 3, false, false);
	post(300, indirect ? 3 : 1, false, indirect);
	tell(lie);
	post(100, 1, false, false);
	assert_int_equal(rx_all(), 2);
	assert_int_equal(batch.count, 2);
	assert_int_equal(batch.length[0], 100 - HEADER);
	assert_int_equal(batch.length[1], 200 - HEADER);
	assert_memory_equal(batch.head[0], frame + HEADER, 100 - HEADER);
	assert_int_equal(atomic_load(&driver.ring.error), lie->error);
	give_back();
	assert_true(driver_take(&driver, &buffer, &length));
	assert_true(driver_take(&driver, &buffer, &length));
	assert_false(driver_take(&driver, &buffer, &length));
	driver_stop(&driver);
}

static void check_tx(bool packed, const struct lie *lie, bool indirect)
{
	struct driver_buffer buffer;
	uint32_t length;

	begin(packed, SIZE);
	post(150, 1, true, false);
	post(150, 3, true, false);
	post(150, indirect ? 3 : 1, true, indirect);
	tell(lie);
	for (unsigned n = 0; n < 4; n++)
		add_frame(100);
	assert_int_equal(tx(0xf), 3);
	assert_int_equal(atomic_load(&driver.ring.error), lie->error);
	for (unsigned n = 0; n < 2; n++) {
		uint8_t bytes[112];

		assert_true(driver_take(&driver, &buffer, &length));
		assert_int_equal(length, 112);
		driver_read(&driver, &buffer, bytes, 112);
		assert_memory_equal(bytes + HEADER, frame, 100);
	}
	assert_false(driver_take(&driver, &buffer, &length));
	driver_stop(&driver);
}

static void test_lies(void **state)
{
	(void)state;
	for (unsigned packed = 0; packed < 2; packed++) {
		for (unsigned n = 0; n < sizeof(direct_lies) / sizeof(direct_lies[0]); n++) {
			check_rx(packed, &direct_lies[n], false);
			/* A receive buffer may be longer than any packet. */
			if (direct_lies[n].tell != longer)
				check_tx(packed, &direct_lies[n], false);
		}
		for (unsigned n = 0; n < sizeof(table_lies) / sizeof(table_lies[0]); n++) {
			/* DPDK's virtio marks what is to be read in packed tables as writable. */
			if (!packed || !table_lies[n].indirect || table_lies[n].tell != other_way)
				check_rx(packed, &table_lies[n], true);
			check_tx(packed, &table_lies[n], true);
		}
	}
}

/* Indirect tables that were not negotiated. */
static void test_not_negotiated(void **state)
{
	(void)state;
	for (unsigned packed = 0; packed < 2; packed++) {
		begin(packed, SIZE);
		driver.ring.indirect = false;
		post(100, 2, false, true);
		assert_int_equal(rx(32), 0);
		assert_int_equal(atomic_load(&driver.ring.error), RING_INDIRECT);
		driver_stop(&driver);
	}
}

static void test_index(void **state)
{
	(void)state;
	begin(false, SIZE);
	driver.ring.avail->idx = SIZE + 1;
	assert_int_equal(rx(32), 0);
	assert_int_equal(atomic_load(&driver.ring.error), RING_INDEX);
	atomic_store(&driver.ring.error, RING_OK);
	add_frame(100);
	assert_int_equal(tx(1), 0);
	assert_int_equal(batch.reason[0], PR_DROP_EGRESS_FULL);
	assert_int_equal(atomic_load(&driver.ring.error), RING_INDEX);
	driver_stop(&driver);
}

static void test_id(void **state)
{
	static const uint16_t ids[] = {SIZE, SIZE + 1, 0x7fff, 0xffff};

	(void)state;
	for (unsigned n = 0; n < 4; n++) {
		begin(false, SIZE);
		post(100, 1, false, false);
		post(100, 1, false, false);
		driver.ring.avail->ring[1] = ids[n];
		assert_int_equal(rx(32), 1);
		assert_int_equal(atomic_load(&driver.ring.error), RING_ID);
		driver_stop(&driver);
		begin(false, SIZE);
		post(150, 1, true, false);
		post(150, 2, true, false);
		driver.ring.avail->ring[n & 1] = ids[n];
		add_frame(100);
		add_frame(100);
		assert_int_equal(tx(3), n & 1);
		assert_int_equal(atomic_load(&driver.ring.error), RING_ID);
		driver_stop(&driver);
		/* The same as the next of a chain. */
		begin(false, SIZE);
		post(100, 2, false, false);
		driver.ring.desc.split[last.id].next = ids[n];
		assert_int_equal(rx(32), 0);
		assert_int_equal(atomic_load(&driver.ring.error), RING_ID);
		driver_stop(&driver);
	}
}

/* Chains without an end. */
static void test_loop(void **state)
{
	uint32_t left;
	struct vring_desc *table;

	(void)state;
	for (unsigned receives = 0; receives < 2; receives++) {
		begin(false, 128);
		post(100, 2, receives, false);
		driver.ring.desc.split[driver.ring.desc.split[last.id].next].flags |=
		        VRING_DESC_F_NEXT;
		driver.ring.desc.split[driver.ring.desc.split[last.id].next].next = last.id;
		add_frame(1900);
		batch.count = receives;
		assert_int_equal(receives ? tx(1) : rx(32), 0);
		assert_int_equal(atomic_load(&driver.ring.error), RING_CHAIN);
		driver_stop(&driver);
		begin(false, SIZE);
		post(100, 2, receives, true);
		table = (void *)driver_byte(&driver, TABLE_BASE + last.slot * TABLE_BYTES, &left);
		table[1].flags |= VRING_DESC_F_NEXT;
		table[1].next = 0;
		assert_int_equal(rx(32), 0);
		assert_int_not_equal(atomic_load(&driver.ring.error), RING_OK);
		driver_stop(&driver);
	}
	begin(true, SIZE);
	for (unsigned n = 0; n < SIZE; n++)
		driver.ring.desc.packed[n] =
		        (struct vring_packed_desc){DATA_BASE, 10, 0, AVAIL | VRING_DESC_F_NEXT};
	assert_int_equal(rx(32), 0);
	assert_int_equal(atomic_load(&driver.ring.error), RING_CHAIN);
	driver_stop(&driver);
}

/* The next of a split indirect table that it does not have. */
static void test_table_next(void **state)
{
	struct vring_desc *table;
	uint32_t left;

	(void)state;
	begin(false, SIZE);
	post(100, 3, false, true);
	table = (void *)driver_byte(&driver, TABLE_BASE + last.slot * TABLE_BYTES, &left);
	table[0].next = 3;
	assert_int_equal(rx(32), 0);
	assert_int_equal(atomic_load(&driver.ring.error), RING_INDIRECT);
	driver_stop(&driver);
}

/* A packet that takes more descriptors than a packed ring has: its place must stay in the ring. */
static void test_packed_laps(void **state)
{
	(void)state;
	for (uint16_t start = 0; start < 4; start++) {
		struct vring_packed_desc *desc;

		begin(true, 4);
		desc = driver.ring.desc.packed;
		driver.ring.next_avail = driver.ring.next_used = start;
		for (unsigned n = 0; n < 4; n++)
			desc[n] = (struct vring_packed_desc){DATA_BASE + n, 20, (uint16_t)n,
			        (uint16_t)(VRING_DESC_F_WRITE | VRING_DESC_F_NEXT |
			                   (n < start ? USED : AVAIL))};
		/* Three slots, then a chain that takes them once more. */
		desc[(start + 2) % 4].flags &= (uint16_t)~VRING_DESC_F_NEXT;
		add_frame(100);
		add_frame(100);
		tx(1);
		assert_true(driver.ring.next_avail < 4);
		assert_true(driver.ring.next_used < 4);
		tx(2);
		assert_true(driver.ring.next_avail < 4);
		assert_true(driver.ring.next_used < 4);
		driver_stop(&driver);
	}
}

/* 64 pieces, none of them empty. */
static void post_pieces(void)
{
	uint32_t left;
	uint8_t *table;

	post(2000, CHAIN_MAX, false, true);
	table = driver_byte(&driver, TABLE_BASE + last.slot * TABLE_BYTES, &left);
	for (unsigned n = 0; n < CHAIN_MAX; n++) {
		uint32_t length = 13;

		memcpy(table + n * 16 + 8, &length, sizeof(length));
	}
}

/* Chains of many pieces: no batch takes more than it has room for. */
static void test_span_budget(void **state)
{
	(void)state;
	for (unsigned packed = 0; packed < 2; packed++) {
		unsigned got, all = 0;

		begin(packed, 256);
		for (unsigned n = 0; n < SLOTS; n++)
			post_pieces();
		got = rx_all();
		assert_in_range(got, 1, SLOTS - 1);
		assert_int_equal(atomic_load(&driver.ring.error), RING_OK);
		assert_true(batch.n_spans <= BATCH_SPANS);
		for (all = got; all < SLOTS; all += got) {
			give_back();
			memset(&batch, 0, offsetof(struct batch, span));
			got = rx_all();
			assert_true(got);
		}
		assert_int_equal(all, SLOTS);
		driver_stop(&driver);
	}
}

/* 65 descriptors in one chain. */
static void test_long_chain(void **state)
{
	(void)state;
	for (unsigned packed = 0; packed < 2; packed++) {
		begin(packed, 128);
		for (unsigned n = 0; n < 65; n++) {
			uint16_t next = n < 64 ? VRING_DESC_F_NEXT : 0;

			if (packed)
				driver.ring.desc.packed[n] = (struct vring_packed_desc){
				        DATA_BASE, 10, 0, (uint16_t)(AVAIL | next)};
			else
				driver.ring.desc.split[n] =
				        (struct vring_desc){DATA_BASE, 10, next, (uint16_t)(n + 1)};
		}
		if (!packed)
			driver.ring.avail->idx = 1;
		assert_int_equal(rx(32), 0);
		assert_int_equal(atomic_load(&driver.ring.error), RING_CHAIN);
		driver_stop(&driver);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(test_lies),
	        cmocka_unit_test(test_not_negotiated),
	        cmocka_unit_test(test_index),
	        cmocka_unit_test(test_id),
	        cmocka_unit_test(test_loop),
	        cmocka_unit_test(test_table_next),
	        cmocka_unit_test(test_packed_laps),
	        cmocka_unit_test(test_span_budget),
	        cmocka_unit_test(test_long_chain),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
