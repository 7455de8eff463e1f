/* SPDX-License-Identifier: BSD-3-Clause */
/* When a driver wants to be told, against the specification's words. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "dataplane/port/vhost_user/ring_io.h"
#include "tests/unit/guarded.h"
#include "tests/unit/ring_driver.h"

static struct driver driver;
static uint64_t seed = 42;

static void begin(bool packed, uint16_t size, uint16_t start)
{
	const struct driver_options options = {
	        .packed = packed, .size = size, .start = start, .start_wrap = true};

	driver_start(&driver, &options);
}

static bool wants_signal(void)
{
	return driver.packed ? packed_wants_signal(&driver.ring) : split_wants_signal(&driver.ring);
}

/* 2.6.7.2, 2.6.8: without event index the flag counts. */
static void test_signal_flags(void **state)
{
	(void)state;
	begin(false, 8, 0);
	assert_true(wants_signal());
	driver.ring.avail->flags = VRING_AVAIL_F_NO_INTERRUPT;
	assert_false(wants_signal());
	driver_stop(&driver);
	begin(true, 8, 0);
	assert_true(wants_signal());
	driver.ring.driver_event->flags = VRING_PACKED_EVENT_FLAG_DISABLE;
	assert_false(wants_signal());
	driver_stop(&driver);
}

/* 2.6.7.2: told when the index passes used_event, whatever their places. */
static void test_split_event(void **state)
{
	(void)state;
	begin(false, 16, 65500);
	driver.ring.event_index = true;
	wants_signal();
	for (unsigned n = 0; n < 5000; n++) {
		uint16_t old = driver.ring.next_used, event;
		unsigned moved = random_below(&seed, 9);
		bool wanted = false;

		event = (uint16_t)(old + random_below(&seed, 20) - 5);
		driver.ring.avail->ring[16] = event;
		driver.ring.next_used = (uint16_t)(old + moved);
		for (unsigned k = 0; k < moved; k++)
			wanted |= (uint16_t)(old + k) == event;
		assert_int_equal(wants_signal(), wanted);
	}
	driver_stop(&driver);
}

/* 2.7.10, 2.7.14: told when the descriptor at off_wrap was used since the last time. */
static void test_packed_event(void **state)
{
	const uint16_t size = 7;

	(void)state;
	begin(true, size, 0);
	driver.ring.event_index = true;
	driver.ring.driver_event->flags = VRING_PACKED_EVENT_FLAG_DESC;
	wants_signal();
	for (unsigned n = 0; n < 5000; n++) {
		unsigned moved = 1 + random_below(&seed, size - 1);
		unsigned event = random_below(&seed, 2 * size); /* two laps: slot and wrap */
		uint16_t slot = driver.ring.next_used;
		bool wrap = driver.ring.used_wrap, wanted = false;

		/* An event of the lap before the last is none that a driver can write. */
		driver.ring.driver_event->off_wrap =
		        (uint16_t)(event % size | (event >= size ? 0x8000 : 0));
		for (unsigned k = 0; k < moved; k++) {
			wanted |= event % size == slot && (event >= size) == wrap;
			if (++slot == size) {
				slot = 0;
				wrap = !wrap;
			}
		}
		driver.ring.next_used = slot;
		driver.ring.used_wrap = wrap;
		assert_int_equal(wants_signal(), wanted);
	}
	driver_stop(&driver);
}

/* Makes n buffers available, as the driver's index says it; whether it would kick (2.6.10). */
static bool driver_kicks(uint16_t old, uint16_t n)
{
	const struct guest_ring *ring = &driver.ring;

	if (!ring->event_index)
		return !(ring->used->flags & VRING_USED_F_NO_NOTIFY);
	return vring_need_event(load16(&ring->used->ring[ring->size]), (uint16_t)(old + n), old);
}

/* 2.6.10: an armed ring is kicked for the next buffer, whatever its place; a disarmed one is not,
 * for as many buffers as a ring can have. */
static void test_split_arm(void **state)
{
	(void)state;
	for (unsigned start = 65530; start < 65542; start++) {
		begin(false, 16, (uint16_t)start);
		for (unsigned event = 0; event < 2; event++) {
			driver.ring.event_index = event;
			ring_arm(&driver.ring);
			assert_true(driver.ring.armed);
			assert_true(driver_kicks(driver.ring.next_avail, 1));
			assert_true(driver_kicks(driver.ring.next_avail, 16));
			ring_disarm(&driver.ring);
			assert_false(driver.ring.armed);
			for (uint16_t n = 1; n <= 16; n++)
				assert_false(driver_kicks(driver.ring.next_avail, n));
		}
		driver_stop(&driver);
	}
}

/* 2.7.10 */
static void test_packed_arm(void **state)
{
	(void)state;
	begin(true, 8, 0);
	ring_disarm(&driver.ring);
	assert_int_equal(driver.ring.device_event->flags, VRING_PACKED_EVENT_FLAG_DISABLE);
	ring_arm(&driver.ring);
	assert_int_equal(driver.ring.device_event->flags, VRING_PACKED_EVENT_FLAG_ENABLE);
	assert_true(driver.ring.armed);
	driver_stop(&driver);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(test_signal_flags),
	        cmocka_unit_test(test_split_event),
	        cmocka_unit_test(test_packed_event),
	        cmocka_unit_test(test_split_arm),
	        cmocka_unit_test(test_packed_arm),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
