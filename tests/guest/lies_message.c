/* SPDX-License-Identifier: BSD-3-Clause */
/* Messages that are cut short, too long, unknown, repeated, out of order, or never read. */
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "clock.h"
#include "lies.h"

static void header(struct liar *liar, uint32_t request, uint32_t flags, uint32_t size)
{
	struct message_header h = {request, flags, size};

	message_send_raw(liar->guest->socket, &h, sizeof(h), NULL, 0);
}

static void hold(struct liar *liar)
{
	usleep((useconds_t)(liar->hold * 1e6));
}

static void half_header(struct liar *liar)
{
	struct message_header h = {SET_OWNER, MESSAGE_VERSION, 0};

	message_send_raw(liar->guest->socket, &h, 1 + liar_random(liar, 11), NULL, 0);
	hold(liar);
}

static void half_payload(struct liar *liar)
{
	struct {
		struct message_header h;
		struct memory_table_message table;
	} m = {{SET_MEM_TABLE, MESSAGE_VERSION, 40}, {0}};
	int fds[REGIONS_MAX];

	guest_memory_table(liar->guest, &m.table, fds);
	m.h.size = (uint32_t)(8 + m.table.n * sizeof(m.table.regions[0]));
	message_send_raw(liar->guest->socket, &m, sizeof(m.h) + 20, fds, m.table.n);
	hold(liar);
}

/* A whole message and a byte of the next. */
static void one_and_a_bit(struct liar *liar)
{
	uint8_t bytes[13] = {0};
	struct message_header h = {GET_FEATURES, MESSAGE_VERSION, 0};

	memcpy(bytes, &h, sizeof(h));
	message_send_raw(liar->guest->socket, bytes, sizeof(bytes), NULL, 0);
	hold(liar);
}

/* Byte by byte is slow, but no lie. */
static void dribble(struct liar *liar)
{
	struct message_header h = {GET_FEATURES, MESSAGE_VERSION, 0};

	for (unsigned i = 0; i < sizeof(h); i++) {
		message_send_raw(liar->guest->socket, (uint8_t *)&h + i, 1, NULL, 0);
		usleep(1000);
	}
}

static void huge_size(struct liar *liar)
{
	static const uint32_t sizes[] = {UINT32_MAX, INT32_MAX, 1 << 20, 4097, 520};

	header(liar, SET_FEATURES, MESSAGE_VERSION, sizes[liar_random(liar, 5)]);
	hold(liar);
}

static void unknown(struct liar *liar)
{
	static const uint32_t requests[] = {0, 6, 7, 41, 63, 64, 77, UINT16_MAX, UINT32_MAX};

	header(liar, requests[liar_random(liar, 9)], MESSAGE_VERSION, 0);
}

static void wrong_version(struct liar *liar)
{
	header(liar, GET_FEATURES, 2, 0);
}

static void is_reply(struct liar *liar)
{
	header(liar, GET_FEATURES, MESSAGE_VERSION | 4, 0);
}

static void short_payload(struct liar *liar)
{
	liar_say(liar, SET_VRING_ADDR, &(uint64_t){0}, 8, NULL, 0);
}

static void long_payload(struct liar *liar)
{
	uint8_t bytes[64] = {0};

	liar_say(liar, SET_FEATURES, bytes, sizeof(bytes), NULL, 0);
}

static void random_bytes(struct liar *liar)
{
	uint8_t bytes[4000];

	for (unsigned i = 0; i < sizeof(bytes); i++)
		bytes[i] = (uint8_t)liar_random(liar, 256);
	message_send_raw(liar->guest->socket, bytes, sizeof(bytes), NULL, 0);
}

static void random_messages(struct liar *liar)
{
	for (unsigned n = 0; n < 40; n++) {
		static const uint32_t sizes[] = {0, 8, 8, 8, 40, 72, 136};
		uint64_t words[17];
		int fd = liar->guest->memory.regions[0].fd;

		for (unsigned i = 0; i < 17; i++)
			words[i] = liar_random(liar, 4) ? liar_random(liar, 4) : liar->random;
		liar_say(liar, 1 + liar_random(liar, 41), words, sizes[liar_random(liar, 7)], &fd,
		        liar_random(liar, 2));
	}
}

static void repeated(struct liar *liar)
{
	for (unsigned n = 0; n < 300; n++) {
		liar_say(liar, SET_OWNER, NULL, 0, NULL, 0);
		liar_say_number(liar, SET_FEATURES, liar->guest->features);
		if (n % 3 == 0)
			guest_send_memory(liar->guest);
	}
}

static void enable_before_features(struct liar *liar)
{
	liar_say_state(liar, SET_VRING_ENABLE, 0, 1);
	liar_say_state(liar, SET_VRING_ENABLE, 1, 1);
}

static void kick_before_memory(struct liar *liar)
{
	for (unsigned q = 0; q < liar->guest->n_queues; q++) {
		struct vring_address address = guest_vring_address(liar->guest, q);
		uint64_t index = q;
		int kick = liar_ring(liar, q)->kick;

		liar_say(liar, SET_VRING_KICK, &index, 8, &kick, 1);
		liar_say_state(liar, SET_VRING_NUM, q, 256);
		liar_say(liar, SET_VRING_ADDR, &address, sizeof(address), NULL, 0);
		liar_say_state(liar, SET_VRING_ENABLE, q, 1);
	}
}

static void base_of_nothing(struct liar *liar)
{
	struct vring_state answer;

	message_send(
	        liar->guest->socket, GET_VRING_BASE, 0, &(struct vring_state){1, 0}, 8, NULL, 0);
	message_receive(liar->guest->socket, GET_VRING_BASE, &answer, sizeof(answer), 1000);
}

static void features_unoffered(struct liar *liar)
{
	liar_say_number(liar, SET_FEATURES, liar->guest->features | 1ULL << 63 | 1ULL << 26);
}

static void protocol_unoffered(struct liar *liar)
{
	liar_say_number(liar, SET_PROTOCOL_FEATURES, ~0ULL);
}

/* The rings stay as they were, in another format. */
static void features_under_way(struct liar *liar)
{
	uint64_t other = liar->guest->features ^ FEATURE(VIRTIO_F_RING_PACKED);

	for (unsigned n = 0; n < 20; n++) {
		liar_say_number(liar, SET_FEATURES, n & 1 ? liar->guest->features : other);
		liar_traffic(liar, 0.003);
	}
}

static void never_reads(struct liar *liar)
{
	struct message_header h = {GET_FEATURES, MESSAGE_VERSION, 0};
	double end = clock_now() + (liar->hold > 0.5 ? liar->hold : 0.5);

	while (clock_now() < end)
		if (send(liar->guest->socket, &h, sizeof(h), MSG_NOSIGNAL | MSG_DONTWAIT) < 0)
			usleep(1000);
}

static void fds_too_many(struct liar *liar)
{
	int fds[30];

	for (unsigned i = 0; i < 30; i++)
		fds[i] = liar->guest->memory.regions[0].fd;
	liar_say(liar, SET_OWNER, NULL, 0, fds, 30);
}

static void fds_unasked(struct liar *liar)
{
	int fds[2] = {liar->guest->memory.regions[0].fd, liar_ring(liar, 0)->kick};

	liar_say(liar, GET_FEATURES, NULL, 0, fds, 2);
}

/* Each byte of a message comes with descriptors. */
static void fds_by_byte(struct liar *liar)
{
	struct message_header h = {SET_OWNER, MESSAGE_VERSION, 0};
	int fds[4];

	for (unsigned i = 0; i < 4; i++)
		fds[i] = liar->guest->memory.regions[0].fd;
	for (unsigned i = 0; i < sizeof(h); i++)
		message_send_raw(liar->guest->socket, (uint8_t *)&h + i, 1, fds, 4);
}

static void shut_down_half(struct liar *liar)
{
	shutdown(liar->guest->socket, SHUT_RD);
	for (unsigned n = 0; n < 20; n++)
		header(liar, GET_FEATURES, MESSAGE_VERSION, 0);
	hold(liar);
}

#define PROTOCOL(name_, stage_, function, help_)                                                   \
	{                                                                                          \
		.name = name_, .stage = stage_, .effect = EFFECT_PROTOCOL, .tell = function,       \
		.help = help_                                                                      \
	}
#define HARMLESS(name_, stage_, function, help_)                                                   \
	{                                                                                          \
		.name = name_, .stage = stage_, .tell = function, .help = help_                    \
	}

const struct lie lies_message[] = {
        PROTOCOL("half_header", STAGE_CONNECTED, half_header, "part of a header, held open"),
        PROTOCOL("half_payload", STAGE_NEGOTIATED, half_payload,
                "part of a memory table with its descriptors, held open"),
        PROTOCOL("half_payload_running", STAGE_RUNNING, half_payload, "the same with rings in use"),
        PROTOCOL("one_and_a_bit", STAGE_CONNECTED, one_and_a_bit, "a message and a byte more"),
        HARMLESS("dribble", STAGE_CONNECTED, dribble, "a message byte by byte"),
        PROTOCOL("huge_size", STAGE_NEGOTIATED, huge_size, "a size of up to 4 GiB"),
        PROTOCOL("unknown_request", STAGE_NEGOTIATED, unknown, "a request that does not exist"),
        PROTOCOL("wrong_version", STAGE_CONNECTED, wrong_version, "version 2"),
        PROTOCOL("is_reply", STAGE_CONNECTED, is_reply, "a request that says it is a reply"),
        PROTOCOL("short_payload", STAGE_NEGOTIATED, short_payload, "8 bytes instead of 40"),
        PROTOCOL("long_payload", STAGE_NEGOTIATED, long_payload, "64 bytes instead of 8"),
        HARMLESS("random_bytes", STAGE_CONNECTED, random_bytes, "4,000 random bytes"),
        HARMLESS("random_messages", STAGE_NEGOTIATED, random_messages, "40 random messages"),
        HARMLESS("repeated", STAGE_RUNNING, repeated, "owner, features and memory 300 times"),
        HARMLESS("enable_before_features", STAGE_CONNECTED, enable_before_features,
                "queues are enabled first"),
        HARMLESS("kick_before_memory", STAGE_NEGOTIATED, kick_before_memory,
                "queues are started without memory"),
        HARMLESS("base_of_nothing", STAGE_NEGOTIATED, base_of_nothing,
                "GET_VRING_BASE of a queue that was never set"),
        PROTOCOL("features_unoffered", STAGE_CONNECTED, features_unoffered,
                "features that were not offered"),
        PROTOCOL("protocol_unoffered", STAGE_CONNECTED, protocol_unoffered,
                "protocol features that were not offered"),
        HARMLESS("features_under_way", STAGE_RUNNING, features_under_way,
                "split becomes packed and back under traffic"),
        HARMLESS("never_reads", STAGE_CONNECTED, never_reads, "asks and asks, reads no answer"),
        PROTOCOL("fds_too_many", STAGE_NEGOTIATED, fds_too_many, "30 descriptors"),
        PROTOCOL("fds_unasked", STAGE_NEGOTIATED, fds_unasked, "descriptors with a question"),
        PROTOCOL("fds_by_byte", STAGE_NEGOTIATED, fds_by_byte, "four descriptors with each byte"),
        HARMLESS("shut_down_half", STAGE_NEGOTIATED, shut_down_half, "no answer can be sent"),
        {0},
};
