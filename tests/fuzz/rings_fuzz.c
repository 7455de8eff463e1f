/* SPDX-License-Identifier: BSD-3-Clause */
/* A guest's ring, all of it from the input: descriptors, indexes, event fields, indirect tables,
 * headers. Rounds of rx, return, tx and notification over it must stay within the guest's memory,
 * which lies between pages that nobody may touch and bytes that nobody may change.
 *
 * Input: features (bits), ring size, first index (2 bytes), 8 operations, then the memory: the
 * descriptor ring, the available ring or the driver's event area, the used one or the device's, and
 * the first region. Seeds: make_seeds. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "dataplane/offload.h"
#include "dataplane/port/vhost_user/ring_io.h"
#include "tests/unit/guarded.h"

#define SIZE_MAX_FUZZ 64
#define OPERATIONS    8
#define FIXED         (4 + OPERATIONS)
#define REGIONS       3
#define AREAS         3
#define CANARY        0xc3
#define FRAME_BYTES   70000

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum {
	BIT_PACKED = 1,
	BIT_EVENT = 2,
	BIT_INDIRECT = 4,
	BIT_MERGEABLE = 8,
	BIT_CSUM = 16,
	BIT_SHORT_HEADER = 32,
	BIT_WRAP = 64,
};

/* No multiples of pages: what is left of the first one is canary. */
static const size_t region_size[REGIONS] = {0x1f38, 0x11000 + 0x123, 0x800};
/* The second follows the first; the third ends where addresses do. */
static const uint64_t region_guest[REGIONS] = {0x1000, 0x1000 + 0x1f38, 0 - (uint64_t)0x800};

static struct guest_memory memory;
static uint8_t *area_end[AREAS]; /* of descriptors, available and used: a page each */
static struct batch batch, cut;
static uint8_t *frame;
static unsigned sum; /* of all that is read */

static void need(bool condition, const char *what)
{
	if (condition)
		return;
	fprintf(stderr, "rings_fuzz: %s\n", what);
	abort();
}

static size_t slack(size_t size)
{
	return (GUARD_PAGE - size % GUARD_PAGE) % GUARD_PAGE;
}

static void fill_canary(uint8_t *at, size_t size)
{
	memset(at - slack(size), CANARY, slack(size));
}

static void check_canary(const void *at, size_t size)
{
	const uint8_t *bytes = (const uint8_t *)at - slack(size);

	for (size_t n = 0; n < slack(size); n++)
		need(bytes[n] == CANARY, "bytes before an area were written");
}

static void start(void)
{
	memory.n = REGIONS;
	for (unsigned n = 0; n < REGIONS; n++) {
		memory.region[n].guest = region_guest[n];
		memory.region[n].size = region_size[n];
		memory.region[n].host = guarded_map(region_size[n]);
		fill_canary(memory.region[n].host, region_size[n]);
	}
	for (unsigned n = 0; n < AREAS; n++)
		area_end[n] = guarded_map(GUARD_PAGE) + GUARD_PAGE;
	frame = malloc(FRAME_BYTES);
	for (unsigned n = 0; n < FRAME_BYTES; n++)
		frame[n] = (uint8_t)(n * 7);
}

/* ---- what came in ---- */

static void read_all(const uint8_t *at, uint32_t n)
{
	for (uint32_t k = 0; k < n; k++)
		sum += at[k];
}

static void check_frame(const struct batch *of, uint64_t i)
{
	struct cursor rest = batch_rest(of, i);
	uint32_t left;

	need(of->head_length[i] <= of->length[i], "a head is longer than its frame");
	need(of->length[i] <= PR_FRAME_MAX, "a frame is longer than any may be");
	need(of->head_length[i] <= PR_HEAD_MAX, "a head is longer than any may be");
	read_all(of->head[i], of->head_length[i]);
	left = of->length[i] - of->head_length[i];
	while (left) {
		struct span span = cursor_take(&rest, left);

		need(span.length, "a frame has fewer bytes than it says");
		read_all(span.at, span.length);
		left -= span.length;
	}
}

static void check_offload(uint64_t i)
{
	if (!batch.offload[i])
		return;
	need(batch.offload[i] & OFFLOAD_CSUM, "segmentation without a checksum");
	need(batch.csum_start[i] >= RTE_ETHER_HDR_LEN + 20, "a checksum over addresses");
	need((uint32_t)batch.csum_start[i] + batch.csum_offset[i] + 2 <= batch.head_length[i],
	        "a checksum outside the head");
	if (batch.offload[i] & OFFLOAD_TSO) {
		unsigned n;

		memset(&cut, 0, offsetof(struct batch, span));
		n = offload_segments(&cut, &batch, i, false);
		need(n > 1 && n <= PR_BATCH && cut.n_spans <= BATCH_SPANS, "segments");
		for (unsigned k = 0; k < n; k++) {
			check_frame(&cut, k);
			need(cut.length[k] <= (uint32_t)batch.header_length[i] + batch.gso_size[i],
			        "a segment is too long");
		}
	}
	offload_checksum(&batch, i);
}

static void check_ring(const struct guest_ring *ring)
{
	need(ring->next_avail == ring->next_used, "indexes differ after all was returned");
	need(!ring->n_taken, "a buffer was not returned");
	if (ring->is_packed)
		need(ring->next_avail < ring->size && ring->avail_wrap == ring->used_wrap,
		        "the ring's place is outside it");
}

static void receive(struct guest_ring *ring, unsigned n)
{
	unsigned got;

	memset(&batch, 0, offsetof(struct batch, span));
	for (unsigned polls = 0; polls < 3; polls++) {
		n = RTE_MIN(n, PR_BATCH - batch.count);
		got = ring->is_packed ? packed_rx(ring, &batch, n) : split_rx(ring, &batch, n);
		need(got <= n, "more packets than were asked for");
	}
	need(batch.n_spans <= BATCH_SPANS && batch.count <= PR_BATCH, "too much in a batch");
	need(ring->n_taken == batch.count, "buffers and packets differ in number");
	for (unsigned i = 0; i < batch.count; i++) {
		check_frame(&batch, i);
		if (!(batch.todo[PR_STAGE_DROP] >> i & 1))
			check_offload(i);
	}
	ring->is_packed ? packed_return(ring) : split_return(ring);
	check_ring(ring);
}

/* ---- what goes out ---- */

static void add_frames(unsigned n, uint8_t seed)
{
	static const uint32_t sizes[] = {60, 0, 1514, 14, 9000, 128, 129, PR_FRAME_MAX};

	memset(&batch, 0, offsetof(struct batch, span));
	while (n--) {
		uint32_t i = batch_add_empty(&batch), length = sizes[(seed + n) % 8];

		batch.length[i] = length;
		batch.head_length[i] = (uint16_t)RTE_MIN(length, (uint32_t)PR_HEAD);
		memcpy(batch.head[i], frame, batch.head_length[i]);
		batch.rest[i] = frame;
		batch.rest_length[i] = (length - batch.head_length[i]) / (seed & 1 ? 2 : 1);
		batch.more[i] = (uint16_t)batch.n_spans;
		batch.n_more[i] = 1;
		batch.span[batch.n_spans++] =
		        (struct span){frame, length - batch.head_length[i] - batch.rest_length[i]};
	}
}

static void transmit(struct guest_ring *ring, uint8_t how)
{
	uint64_t mask, sent;

	add_frames(1 + how % 40, how);
	mask = (UINT64_C(1) << batch.count) - 1;
	if (how & 0x40)
		mask &= 0x5555555555555555;
	memset(batch.reason, 0xff, sizeof(batch.reason));
	sent = ring->is_packed ? packed_tx(ring, &batch, mask) : split_tx(ring, &batch, mask);
	need(!(sent & ~mask), "packets were sent that nobody gave");
	BATCH_FOREACH (i, mask & ~sent)
		need(batch.reason[i] == PR_DROP_EGRESS_FULL ||
		                batch.reason[i] == PR_DROP_GUEST_BUFFER,
		        "a packet was refused without a reason");
	check_ring(ring);
}

/* ---- one input ---- */

/* Copies what the input has; the rest is 0. */
static void take(const uint8_t **data, size_t *left, void *to, size_t n)
{
	size_t part = RTE_MIN(n, *left);

	memset(to, 0, n);
	memcpy(to, *data, part);
	*data += part;
	*left -= part;
}

/* An area of exactly its size, filled from the input. */
static void *place(unsigned n, size_t size, const uint8_t **data, size_t *left)
{
	uint8_t *at = area_end[n] - size;

	fill_canary(at, size);
	take(data, left, at, size);
	return at;
}

static void operate(
        struct guest_ring *ring, const uint8_t *operations, const uint8_t *data, size_t size)
{
	for (unsigned n = 0; n < OPERATIONS; n++) {
		uint8_t how = (uint8_t)(operations[n] >> 2);

		switch (operations[n] & 3) {
		case 0:
			receive(ring, 1 + how);
			break;
		case 1:
			transmit(ring, how);
			break;
		case 2:
			ring->is_packed ? packed_wants_signal(ring) : split_wants_signal(ring);
			break;
		default: /* the guest writes something else */
			if (size >= 16)
				memcpy(&ring->desc.split[how % ring->size],
				        data + (size_t)how * 16 % (size - 15), 16);
			if (!ring->is_packed)
				ring->avail->idx = (uint16_t)(ring->next_avail + how);
		}
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct guest_ring ring = {.memory = &memory};
	uint8_t fixed[FIXED];
	size_t avail_size, used_size;

	if (!frame)
		start();
	if (size < FIXED)
		return 0;
	take(&data, &size, fixed, FIXED);
	ring.is_packed = fixed[0] & BIT_PACKED;
	ring.event_index = fixed[0] & BIT_EVENT;
	ring.indirect = fixed[0] & BIT_INDIRECT;
	ring.mergeable = fixed[0] & BIT_MERGEABLE;
	ring.csum_in = fixed[0] & BIT_CSUM;
	ring.avail_wrap = ring.used_wrap = fixed[0] & BIT_WRAP;
	ring.header = ring.mergeable || !(fixed[0] & BIT_SHORT_HEADER) ? 12 : 10;
	ring.size = (uint16_t)(ring.is_packed ? 1u + fixed[1] % SIZE_MAX_FUZZ : 1u << fixed[1] % 7);
	ring.next_avail = (uint16_t)(fixed[2] << 8 | fixed[3]);
	if (ring.is_packed)
		ring.next_avail %= ring.size;
	ring.next_used = ring.next_avail;
	/* Multiples of 16, so that they begin aligned. */
	avail_size = ring.is_packed ? 16 : (6 + 2u * ring.size + 15) / 16 * 16;
	used_size = ring.is_packed ? 16 : (6 + 8u * ring.size + 15) / 16 * 16;
	ring.desc.split = place(0, 16u * ring.size, &data, &size);
	ring.avail = place(1, avail_size, &data, &size);
	ring.used = place(2, used_size, &data, &size);
	ring.driver_event = (void *)ring.avail;
	ring.device_event = (void *)ring.used;
	take(&data, &size, memory.region[0].host, region_size[0]);
	operate(&ring, fixed + 4, memory.region[0].host, region_size[0]);
	check_canary(ring.desc.split, 16u * ring.size);
	check_canary(ring.avail, avail_size);
	check_canary(ring.used, used_size);
	for (unsigned n = 0; n < REGIONS; n++)
		check_canary(memory.region[n].host, region_size[n]);
	return 0;
}
