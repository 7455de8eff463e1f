/* SPDX-License-Identifier: BSD-3-Clause */
#include "buffer.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define HOLE       8 /* bytes between two pieces: they are no neighbours */
#define SMALL      61
#define TX_BUFFERS 64
#define RX_LARGE   128 /* each for a whole frame */

const char *const layout_names[LAYOUT_N] = {
        [LAYOUT_ONE] = "one",
        [LAYOUT_TWO] = "two",
        [LAYOUT_MANY] = "many",
        [LAYOUT_SPLIT] = "split",
        [LAYOUT_THREE] = "three",
        [LAYOUT_STRADDLE] = "straddle",
};

/* Where a buffer of total bytes is cut. Returns the number of pieces. */
static unsigned cut(enum layout layout, uint32_t total, uint32_t *lengths)
{
	unsigned n = 0;
	uint32_t done = 0, step = total / (PIECES_MAX - 4) + 1;

	if (layout == LAYOUT_SPLIT || layout == LAYOUT_THREE)
		lengths[n++] = 5;
	if (layout == LAYOUT_THREE)
		lengths[n++] = HEADER_MAX - 5;
	if (layout == LAYOUT_TWO || layout == LAYOUT_MANY)
		lengths[n++] = HEADER_MAX;
	for (unsigned i = 0; i < n; i++)
		done += lengths[i];
	if (layout == LAYOUT_MANY)
		for (step = step > SMALL ? step : SMALL; total - done > step; done += step)
			lengths[n++] = step;
	lengths[n++] = total - done;
	return n;
}

static int make_one(struct guest *guest, struct buffer *buffer, uint32_t total)
{
	enum layout layout = guest->o.layout;
	uint32_t lengths[PIECES_MAX];
	uint8_t *at = NULL;

	buffer->n = cut(layout, total, lengths);
	if (layout == LAYOUT_STRADDLE)
		at = memory_take_straddling(&guest->memory, total);
	buffer->straddles = at;
	if (!at)
		at = memory_take(&guest->memory, total + buffer->n * HOLE, 4);
	if (!at)
		return -ENOMEM;
	buffer->length = total;
	for (unsigned i = 0; i < buffer->n; i++) {
		buffer->pieces[i] = (struct piece){at, lengths[i]};
		at += lengths[i] + HOLE;
	}
	return 0;
}

static bool post(struct queue *queue, unsigned i)
{
	struct buffer *buffer = &queue->buffers[i];

	if (!ring_add(&queue->ring, buffer->pieces, buffer->n, true, i))
		return false;
	buffer->busy = true;
	return true;
}

int buffers_make(struct guest *guest, struct queue *queue)
{
	bool rx = !(queue->index & 1);
	uint32_t total = guest->o.frame_max + HEADER_MAX;
	unsigned wanted = queue->ring.o.size;

	if (rx && guest->o.mergeable)
		total = guest->o.rx_buffer;
	if (!rx && wanted > TX_BUFFERS)
		wanted = TX_BUFFERS;
	if (rx && !guest->o.mergeable && wanted > RX_LARGE)
		wanted = RX_LARGE;
	queue->buffers = calloc(wanted, sizeof(*queue->buffers));
	if (!queue->buffers)
		return -ENOMEM;
	for (queue->n_buffers = 0; queue->n_buffers < wanted; queue->n_buffers++) {
		int rc = make_one(guest, &queue->buffers[queue->n_buffers], total);

		if (rc)
			return rc;
		if (rx && !post(queue, queue->n_buffers)) {
			queue->n_buffers++;
			break;
		}
	}
	ring_arm(&queue->ring, true);
	ring_publish(&queue->ring);
	return 0;
}

unsigned buffers_needed(const struct guest *guest, uint32_t frame)
{
	if (!guest->o.mergeable)
		return 1;
	return (frame + guest->header + guest->o.rx_buffer - 1) / guest->o.rx_buffer;
}

static uint32_t sum_pieces(const struct piece *pieces, unsigned n)
{
	uint32_t sum = 2166136261u;

	for (unsigned i = 0; i < n; i++)
		for (uint32_t k = 0; k < pieces[i].length; k++)
			sum = (sum ^ pieces[i].host[k]) * 16777619u;
	return sum;
}

/* Copies bytes in a row into a buffer; returns the pieces that it took. */
static unsigned scatter(
        const struct buffer *buffer, const void *from, uint32_t length, struct piece *pieces)
{
	const uint8_t *at = from;
	unsigned n = 0;

	for (unsigned i = 0; i < buffer->n && length; i++) {
		struct piece piece = buffer->pieces[i];

		if (piece.length > length)
			piece.length = length;
		memcpy(piece.host, at, piece.length);
		pieces[n++] = piece;
		at += piece.length;
		length -= piece.length;
	}
	return n;
}

static void gather(const struct buffer *buffer, uint32_t offset, void *to, uint32_t length)
{
	uint8_t *at = to;

	for (unsigned i = 0; i < buffer->n && length; i++) {
		struct piece piece = buffer->pieces[i];
		uint32_t part;

		if (offset >= piece.length) {
			offset -= piece.length;
			continue;
		}
		part = piece.length - offset < length ? piece.length - offset : length;
		memcpy(at, piece.host + offset, part);
		at += part;
		length -= part;
		offset = 0;
	}
}

static struct buffer *idle_buffer(struct queue *queue, unsigned *index)
{
	for (unsigned i = 0; i < queue->n_buffers; i++)
		if (!queue->buffers[i].busy) {
			*index = i;
			return &queue->buffers[i];
		}
	return NULL;
}

bool buffer_send(struct guest *guest, struct queue *queue, const struct packet *packet)
{
	static uint8_t row[HEADER_MAX + FRAME_MAX];
	struct piece pieces[PIECES_MAX] = {0};
	unsigned i, n;
	struct buffer *buffer = idle_buffer(queue, &i);

	if (!buffer || queue->ring.free < buffer->n)
		return false;
	memcpy(row, &packet->header, guest->header);
	memcpy(row + guest->header, packet->data, packet->length);
	n = scatter(buffer, row, guest->header + packet->length, pieces);
	if (!ring_add(&queue->ring, pieces, n, false, i))
		return false;
	buffer->busy = true;
	buffer->frame = packet->length;
	buffer->check = sum_pieces(pieces, n);
	return true;
}

/* A buffer that is only to be read must come back as it was. */
static bool is_unchanged(const struct guest *guest, const struct buffer *buffer)
{
	struct piece pieces[PIECES_MAX];
	uint32_t left = guest->header + buffer->frame;
	unsigned n = 0;

	while (left && n < buffer->n) {
		pieces[n] = buffer->pieces[n];
		if (pieces[n].length > left)
			pieces[n].length = left;
		left -= pieces[n++].length;
	}
	return sum_pieces(pieces, n) == buffer->check;
}

static int broken(struct guest *guest, const struct queue *queue, const char *rule)
{
	snprintf(guest->error, sizeof(guest->error), "queue %u: %s", queue->index, rule);
	return -1;
}

int buffers_reclaim(struct guest *guest, struct queue *queue)
{
	uint32_t token, length;
	int rc, n = 0;

	while ((rc = ring_take(&queue->ring, &token, &length)) == 1) {
		struct buffer *buffer = &queue->buffers[token];

		buffer->busy = false;
		if (!is_unchanged(guest, buffer))
			return broken(guest, queue, "a transmit buffer was written to");
		n++;
	}
	return rc < 0 ? broken(guest, queue, "an id was returned that is not outstanding") : n;
}

/* One buffer's part of a packet, from offset on. Returns 0, or -1 when it can not be. */
static int take_part(struct guest *guest, struct queue *queue, struct packet *packet,
        uint32_t offset, uint32_t token, uint32_t length)
{
	struct buffer *buffer = &queue->buffers[token];

	buffer->busy = false;
	if (length > buffer->length || length < offset)
		return broken(guest, queue, "a used length is not possible");
	if (packet->length + length - offset > FRAME_MAX)
		return broken(guest, queue, "a packet is longer than 64 KiB");
	gather(buffer, offset, packet->data + packet->length, length - offset);
	packet->length += length - offset;
	return 0;
}

enum receive buffer_receive(struct guest *guest, struct queue *queue, struct packet *packet)
{
	uint32_t token, length;
	unsigned parts;
	int rc = ring_take(&queue->ring, &token, &length);

	if (rc == 0)
		return RECEIVE_NONE;
	packet->length = 0;
	if (rc < 0 || length == LENGTH_UNKNOWN) {
		broken(guest, queue, "a receive buffer was returned without length or unasked");
		return RECEIVE_BROKEN;
	}
	gather(&queue->buffers[token], 0, &packet->header, guest->header);
	if (take_part(guest, queue, packet, guest->header, token, length))
		return RECEIVE_BROKEN;
	post(queue, token);
	parts = packet->header.num_buffers;
	if (!guest->o.mergeable) {
		guest->not_one += parts != 1;
		return RECEIVE_PACKET;
	}
	if (parts == 0) {
		broken(guest, queue, "num_buffers is 0");
		return RECEIVE_BROKEN;
	}
	for (; parts > 1; parts--) {
		if (ring_take(&queue->ring, &token, &length) != 1) {
			broken(guest, queue, "fewer buffers came than num_buffers says");
			return RECEIVE_BROKEN;
		}
		if (take_part(guest, queue, packet, 0, token, length))
			return RECEIVE_BROKEN;
		post(queue, token);
	}
	return RECEIVE_PACKET;
}

uint64_t buffers_strays(const struct guest *guest)
{
	uint64_t strays = 0;

	for (unsigned q = 0; q < guest->n_queues; q++)
		for (unsigned i = 0; i < guest->queues[q].n_buffers; i++) {
			const struct buffer *buffer = &guest->queues[q].buffers[i];

			for (unsigned k = 0; k < buffer->n && !buffer->straddles; k++)
				for (unsigned h = 0; h < HOLE; h++)
					strays += buffer->pieces[k]
					                  .host[buffer->pieces[k].length + h] !=
					          MEMORY_FILL;
		}
	return strays;
}
