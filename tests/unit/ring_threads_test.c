/* SPDX-License-Identifier: BSD-3-Clause */
/* A driver, a worker and the guests thread, each in a thread of its own, on one split ring: the
 * driver sends numbered frames, the worker takes them and returns their buffers, the guests thread
 * takes the ring back and shows it again. No frame may be lost, repeated or torn. Best with
 * meson setup build-tsan -Dsanitize=thread; what both sides touch in guest memory beside indexes is
 * ordered by these, so a race that is reported is one. */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "dataplane/port/vhost_user/ring_io.h"

#define SIZE   32
#define FRAMES 300000
#define BYTES  256
#define BASE   0x10000u
#define LONGER 200 /* frames of odd numbers have a rest behind the head */

static struct guest_memory memory;
static struct guest_ring ring;
static struct batch batch;
static uint8_t buffers[SIZE][BYTES];
static _Alignas(16) struct vring_desc desc[SIZE];
static _Alignas(4) uint8_t avail_bytes[6 + 2 * SIZE], used_bytes[6 + 8 * SIZE];
static struct vring_avail *const avail = (void *)avail_bytes;
static struct vring_used *const used = (void *)used_bytes;

static _Atomic(struct guest_ring *) published;
/* The worker's quiet moments: odd while it is in a ring. */
static _Atomic unsigned long turns;
static _Atomic bool stop;
/* The worker's, the driver's, the guests thread's. */
static unsigned long received, torn, returned, misreturned, swaps;

static uint32_t length_of(uint32_t number)
{
	return (uint32_t)sizeof(struct virtio_net_hdr_mrg_rxbuf) +
	       (number & 1 ? LONGER : 60 + number % 8);
}

static void send_one(uint32_t number)
{
	uint32_t slot = number % SIZE, length = length_of(number);

	memset(buffers[slot], 0, sizeof(struct virtio_net_hdr_mrg_rxbuf));
	memset(buffers[slot] + sizeof(struct virtio_net_hdr_mrg_rxbuf), (uint8_t)number,
	        length - sizeof(struct virtio_net_hdr_mrg_rxbuf));
	memcpy(buffers[slot] + sizeof(struct virtio_net_hdr_mrg_rxbuf), &number, sizeof(number));
	desc[slot] = (struct vring_desc){BASE + slot * BYTES, length, 0, 0};
	avail->ring[slot] = (uint16_t)slot;
	__atomic_store_n(&avail->idx, (uint16_t)(number + 1), __ATOMIC_RELEASE);
}

static void *drive(void *arg)
{
	uint32_t sent = 0;

	(void)arg;
	while (returned < FRAMES) {
		uint16_t index = __atomic_load_n(&used->idx, __ATOMIC_ACQUIRE);

		for (; (uint16_t)returned != index; returned++) {
			const struct vring_used_elem *element = &used->ring[returned % SIZE];

			misreturned += element->id != returned % SIZE || element->len;
		}
		if (sent < FRAMES && sent - returned < SIZE)
			send_one(sent++);
	}
	return NULL;
}

static void check_frame(uint64_t i)
{
	struct cursor rest = batch_rest(&batch, i);
	uint8_t bytes[BYTES];
	uint32_t number, length = batch.length[i];

	memcpy(bytes, batch.head[i], batch.head_length[i]);
	cursor_copy(&rest, bytes + batch.head_length[i], length - batch.head_length[i]);
	memcpy(&number, bytes, sizeof(number));
	torn += number != received || length != length_of(number) - ring.header;
	for (uint32_t k = sizeof(number); k < length; k++)
		torn += bytes[k] != (uint8_t)number;
	received++;
}

static void *work(void *arg)
{
	(void)arg;
	while (!atomic_load(&stop)) {
		struct guest_ring *now;

		atomic_fetch_add(&turns, 1);
		now = atomic_load(&published);
		if (now && atomic_load(&now->error) == RING_OK) {
			memset(&batch, 0, offsetof(struct batch, span));
			split_rx(now, &batch, 16);
			for (unsigned i = 0; i < batch.count; i++)
				check_frame(i);
			split_return(now);
			split_wants_signal(now);
		}
		atomic_fetch_add(&turns, 1);
	}
	return NULL;
}

static void wait_for_worker(void)
{
	unsigned long seen = atomic_load(&turns);

	while (seen & 1 && atomic_load(&turns) == seen)
		usleep(1);
}

/* What it does with a ring that no worker has: starts it anew from used->idx. */
static void *guests(void *arg)
{
	(void)arg;
	for (; !atomic_load(&stop); swaps++) {
		atomic_exchange(&published, NULL);
		wait_for_worker();
		ring.next_avail = ring.next_used = load16(&used->idx);
		ring.signalled_valid = false;
		atomic_store_explicit(&published, &ring, memory_order_release);
		usleep(50);
	}
	return NULL;
}

static void test_threads(void **state)
{
	pthread_t driver, worker, other;

	(void)state;
	memory.n = 1;
	memory.region[0] =
	        (struct region){.guest = BASE, .size = sizeof(buffers), .host = buffers[0]};
	ring.memory = &memory;
	ring.size = SIZE;
	ring.header = sizeof(struct virtio_net_hdr_mrg_rxbuf);
	ring.event_index = true;
	ring.desc.split = desc;
	ring.avail = avail;
	ring.used = used;
	assert_int_equal(pthread_create(&driver, NULL, drive, NULL), 0);
	assert_int_equal(pthread_create(&worker, NULL, work, NULL), 0);
	assert_int_equal(pthread_create(&other, NULL, guests, NULL), 0);
	pthread_join(driver, NULL);
	atomic_store(&stop, true);
	pthread_join(worker, NULL);
	pthread_join(other, NULL);
	assert_int_equal(atomic_load(&ring.error), RING_OK);
	assert_int_equal(torn, 0);
	assert_int_equal(misreturned, 0);
	assert_int_equal(received, FRAMES);
	assert_int_equal(returned, FRAMES);
	assert_true(swaps > 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(test_threads),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
