/* SPDX-License-Identifier: BSD-3-Clause */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "tests/unit/guarded.h"
#include "tests/unit/ring_driver.h"

#define AVAIL (1u << VRING_PACKED_DESC_F_AVAIL)
#define USED  (1u << VRING_PACKED_DESC_F_USED)

/* Borders between regions lie within buffers. */
static const size_t data_bytes[DATA_REGIONS] = {25 * GUARD_PAGE, 200 * GUARD_PAGE,
        (SLOTS * SLOT_BYTES / GUARD_PAGE + 1 - 225) * GUARD_PAGE};

static void add_region(struct driver *driver, uint64_t guest, size_t size)
{
	struct region *region = &driver->memory.region[driver->memory.n++];

	region->guest = guest;
	region->size = size;
	region->host = guarded_map(size);
	memset(region->host, UNTOUCHED, size);
}

static size_t padded(size_t size)
{
	return (size + 15) / 16 * 16;
}

static void map_ring(struct driver *driver)
{
	struct guest_ring *ring = &driver->ring;
	size_t size = driver->size;

	driver->avail_bytes = driver->packed ? 16 : padded(6 + 2 * size);
	driver->used_bytes = driver->packed ? 16 : padded(6 + 8 * size);
	ring->desc.split = (void *)guarded_map(16 * size);
	ring->avail = (void *)guarded_map(driver->avail_bytes);
	ring->used = (void *)guarded_map(driver->used_bytes);
	if (driver->packed) {
		ring->driver_event = (void *)ring->avail;
		ring->device_event = (void *)ring->used;
	}
}

void driver_start(struct driver *driver, const struct driver_options *options)
{
	uint64_t at = DATA_BASE;

	memset(driver, 0, sizeof(*driver));
	driver->random = 88172645463325252u;
	driver->packed = driver->ring.is_packed = options->packed;
	driver->size = driver->ring.size = options->size;
	driver->ring.memory = &driver->memory;
	driver->ring.event_index = options->event_index;
	driver->ring.indirect = options->indirect;
	driver->ring.mergeable = options->mergeable;
	driver->ring.header = sizeof(struct virtio_net_hdr_mrg_rxbuf);
	atomic_store(&driver->ring.call_fd, -1);
	for (unsigned n = 0; n < DATA_REGIONS; at += data_bytes[n++])
		add_region(driver, at, data_bytes[n]);
	add_region(driver, TABLE_BASE, (size_t)SLOTS * TABLE_BYTES);
	map_ring(driver);
	driver->avail = driver->used = options->start;
	driver->avail_wrap = driver->used_wrap = options->start_wrap;
	driver->ring.next_avail = driver->ring.next_used = options->start;
	driver->ring.avail_wrap = driver->ring.used_wrap = options->start_wrap;
	if (!driver->packed)
		driver->ring.avail->idx = driver->ring.used->idx = options->start;
	/* As if used in the lap before. */
	for (unsigned n = 0; driver->packed && n < driver->size; n++) {
		bool wrap = options->start_wrap ^ (n >= options->start);

		driver->ring.desc.packed[n].flags = (uint16_t)(wrap ? AVAIL | USED : 0);
	}
	for (unsigned n = 0; n < driver->size; n++)
		driver->free_id[driver->n_free_id++] = (uint16_t)n;
	for (unsigned n = 0; n < SLOTS; n++)
		driver->free_slot[driver->n_free_slot++] = (uint16_t)n;
	driver->free_descriptors = driver->size;
}

void driver_stop(struct driver *driver)
{
	for (unsigned n = 0; n < driver->memory.n; n++)
		guarded_unmap(driver->memory.region[n].host, driver->memory.region[n].size);
	guarded_unmap((void *)driver->ring.desc.split, 16u * driver->size);
	guarded_unmap((void *)driver->ring.avail, driver->avail_bytes);
	guarded_unmap((void *)driver->ring.used, driver->used_bytes);
}

uint8_t *driver_byte(struct driver *driver, uint64_t address, uint32_t *left)
{
	uint64_t at = DATA_BASE;

	if (address < DATA_BASE) {
		*left = (uint32_t)(TABLE_BASE + SLOTS * TABLE_BYTES - address);
		return driver->memory.region[DATA_REGIONS].host + (address - TABLE_BASE);
	}
	for (unsigned n = 0; n < DATA_REGIONS; at += data_bytes[n++])
		if (address < at + data_bytes[n]) {
			*left = (uint32_t)(at + data_bytes[n] - address);
			return driver->memory.region[n].host + (address - at);
		}
	abort();
}

/* Fills, compares or copies guest memory, piece by piece. */
static bool each(struct driver *driver, uint64_t address, uint32_t n, uint8_t *to,
        const uint8_t *from, bool compare)
{
	while (n) {
		uint32_t left, part;
		uint8_t *at = driver_byte(driver, address, &left);

		part = left < n ? left : n;
		if (compare) {
			for (uint32_t k = 0; k < part; k++)
				if (at[k] != UNTOUCHED)
					return false;
		} else if (from) {
			memcpy(at, from, part);
			from += part;
		} else if (to) {
			memcpy(to, at, part);
			to += part;
		} else {
			memset(at, UNTOUCHED, part);
		}
		address += part;
		n -= part;
	}
	return true;
}

static uint64_t slot_address(uint16_t slot)
{
	return DATA_BASE + (uint64_t)slot * SLOT_BYTES;
}

bool driver_cut(struct driver *driver, struct driver_buffer *buffer, uint32_t capacity, unsigned n,
        bool indirect)
{
	unsigned need = indirect ? 1 : n;
	uint64_t at;

	if (!driver->n_free_slot || driver->free_descriptors < need || driver->n_free_id < need)
		return false;
	assert(n && n <= CHAIN_MAX && capacity + n * 16 <= SLOT_BYTES - 32);
	buffer->slot = driver->free_slot[--driver->n_free_slot];
	buffer->n = (uint16_t)n;
	buffer->capacity = capacity;
	at = slot_address(buffer->slot) + 1 + random_below(&driver->random, 8);
	for (unsigned k = 0; k < n; k++) {
		uint32_t part = k + 1 == n ? capacity : random_below(&driver->random, capacity + 1);

		/* Some small ones in front: the header in pieces. */
		if (k + 1 < n && random_below(&driver->random, 3) && part > 9)
			part = random_below(&driver->random, 10);
		buffer->piece[k] = (struct driver_piece){at, part};
		capacity -= part;
		at += part + 1 + random_below(&driver->random, 7);
	}
	buffer->extent = (uint32_t)(at - slot_address(buffer->slot)) + 16;
	each(driver, slot_address(buffer->slot), buffer->extent, NULL, NULL, false);
	return true;
}

void driver_write(
        struct driver *driver, const struct driver_buffer *buffer, const void *from, uint32_t n)
{
	const uint8_t *bytes = from;

	for (unsigned k = 0; k < buffer->n && n; k++) {
		uint32_t part = buffer->piece[k].length < n ? buffer->piece[k].length : n;

		each(driver, buffer->piece[k].address, part, NULL, bytes, false);
		bytes += part;
		n -= part;
	}
}

void driver_read(struct driver *driver, const struct driver_buffer *buffer, void *to, uint32_t n)
{
	uint8_t *bytes = to;

	for (unsigned k = 0; k < buffer->n && n; k++) {
		uint32_t part = buffer->piece[k].length < n ? buffer->piece[k].length : n;

		each(driver, buffer->piece[k].address, part, bytes, NULL, false);
		bytes += part;
		n -= part;
	}
	assert(!n);
}

bool driver_rest_untouched(struct driver *driver, const struct driver_buffer *buffer, uint32_t n)
{
	uint64_t at = slot_address(buffer->slot), end = at + buffer->extent;

	for (unsigned k = 0; k < buffer->n; k++) {
		const struct driver_piece *piece = &buffer->piece[k];
		uint32_t part = piece->length < n ? piece->length : n;

		if (!each(driver, at, (uint32_t)(piece->address - at), NULL, NULL, true))
			return false;
		at = piece->address + part;
		n -= part;
	}
	return each(driver, at, (uint32_t)(end - at), NULL, NULL, true);
}

/* ---- posting ---- */

/* What of next or flags is free to be anything is anything. */
static uint64_t write_table(
        struct driver *driver, const struct driver_buffer *buffer, bool writable)
{
	uint64_t address = TABLE_BASE + (uint64_t)buffer->slot * TABLE_BYTES;
	uint32_t left;
	void *table = driver_byte(driver, address, &left);
	uint16_t write = writable ? VRING_DESC_F_WRITE : 0;

	for (unsigned k = 0; k < buffer->n; k++) {
		const struct driver_piece *piece = &buffer->piece[k];
		/* A split table's chain may jump: backwards here. */
		unsigned place = driver->packed || !k ? k : buffer->n - k;
		unsigned next = k + 1u < buffer->n ? buffer->n - k - 1u : 0;

		if (driver->packed)
			((struct vring_packed_desc *)table)[place] = (struct vring_packed_desc){
			        piece->address, piece->length, 0xffff, write};
		else
			((struct vring_desc *)table)[place] = (struct vring_desc){piece->address,
			        piece->length, (uint16_t)(write | (next ? VRING_DESC_F_NEXT : 0)),
			        (uint16_t)next};
	}
	return address;
}

static void post_split(struct driver *driver, struct driver_buffer *buffer, uint16_t write,
        const struct driver_piece *piece, uint16_t extra)
{
	struct guest_ring *ring = &driver->ring;
	uint16_t id[CHAIN_MAX] = {0};

	for (unsigned k = 0; k < buffer->slots; k++)
		id[k] = driver->free_id[--driver->n_free_id];
	buffer->id = id[0];
	for (unsigned k = 0; k < buffer->slots; k++) {
		bool last = k + 1u == buffer->slots;

		ring->desc.split[id[k]] = (struct vring_desc){piece[k].address, piece[k].length,
		        (uint16_t)(write | extra | (last ? 0 : VRING_DESC_F_NEXT)),
		        last ? 0xffff : id[k + 1]};
	}
	ring->avail->ring[driver->avail % driver->size] = buffer->id;
	driver->avail++;
	__atomic_store_n(&ring->avail->idx, driver->avail, __ATOMIC_RELEASE);
}

static void post_packed(struct driver *driver, struct driver_buffer *buffer, uint16_t write,
        const struct driver_piece *piece, uint16_t extra)
{
	struct vring_packed_desc *first = &driver->ring.desc.packed[driver->avail];
	uint16_t first_flags = 0;

	buffer->id = driver->free_id[--driver->n_free_id];
	for (unsigned k = 0; k < buffer->slots; k++) {
		struct vring_packed_desc *desc = &driver->ring.desc.packed[driver->avail];
		bool last = k + 1u == buffer->slots;
		uint16_t flags = (uint16_t)(write | extra | (last ? 0 : VRING_DESC_F_NEXT) |
		                            (driver->avail_wrap ? AVAIL : USED));

		desc->addr = piece[k].address;
		desc->len = piece[k].length;
		desc->id = last ? buffer->id : 0xffff;
		if (k)
			desc->flags = flags;
		else
			first_flags = flags;
		if (++driver->avail == driver->size) {
			driver->avail = 0;
			driver->avail_wrap = !driver->avail_wrap;
		}
	}
	__atomic_store_n(&first->flags, first_flags, __ATOMIC_RELEASE);
}

void driver_post(struct driver *driver, struct driver_buffer *buffer, bool writable, bool indirect)
{
	struct driver_piece table;
	const struct driver_piece *piece = buffer->piece;
	uint16_t write = writable ? VRING_DESC_F_WRITE : 0, extra = 0;

	buffer->slots = buffer->n;
	if (indirect) {
		table.address = write_table(driver, buffer, writable);
		table.length = buffer->n * 16u;
		piece = &table;
		buffer->slots = 1;
		extra = VRING_DESC_F_INDIRECT;
	}
	if (driver->packed)
		post_packed(driver, buffer, write, piece, extra);
	else
		post_split(driver, buffer, write, piece, extra);
	driver->free_descriptors -= buffer->slots;
	driver->queue[(driver->first + driver->count++) % SLOTS] = *buffer;
}

/* ---- what comes back ---- */

static bool used_split(struct driver *driver, uint32_t *id, uint32_t *length)
{
	struct vring_used *used = driver->ring.used;

	if (__atomic_load_n(&used->idx, __ATOMIC_ACQUIRE) == driver->used)
		return false;
	*id = used->ring[driver->used % driver->size].id;
	*length = used->ring[driver->used % driver->size].len;
	driver->used++;
	return true;
}

static bool used_packed(struct driver *driver, uint32_t *id, uint32_t *length)
{
	struct vring_packed_desc *desc = &driver->ring.desc.packed[driver->used];
	uint16_t flags = __atomic_load_n(&desc->flags, __ATOMIC_ACQUIRE);

	if (!(flags & AVAIL) == driver->used_wrap || !(flags & USED) == driver->used_wrap)
		return false;
	*id = desc->id;
	*length = flags & VRING_DESC_F_WRITE ? desc->len : 0;
	return true;
}

bool driver_take(struct driver *driver, struct driver_buffer *buffer, uint32_t *length)
{
	uint32_t id;

	if (driver->packed ? !used_packed(driver, &id, length) : !used_split(driver, &id, length))
		return false;
	/* In the order in which they were made available. */
	if (!driver->count || driver->queue[driver->first].id != id)
		abort();
	*buffer = driver->queue[driver->first];
	driver->first = (driver->first + 1) % SLOTS;
	driver->count--;
	if (driver->packed) {
		driver->used = (uint16_t)(driver->used + buffer->slots);
		if (driver->used >= driver->size) {
			driver->used = (uint16_t)(driver->used - driver->size);
			driver->used_wrap = !driver->used_wrap;
		}
		driver->free_id[driver->n_free_id++] = buffer->id;
	} else {
		uint16_t at = buffer->id;

		for (unsigned k = 0; k < buffer->slots; k++) {
			driver->free_id[driver->n_free_id++] = at;
			at = driver->ring.desc.split[at].next;
		}
	}
	driver->free_descriptors += buffer->slots;
	driver->free_slot[driver->n_free_slot++] = buffer->slot;
	return true;
}
