/* SPDX-License-Identifier: BSD-3-Clause */
#include "guest.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "buffer.h"
#include "clock.h"

#define ANSWER_MS 5000

static int failed(struct guest *guest, int rc, const char *what)
{
	if (rc)
		snprintf(guest->error, sizeof(guest->error), "%s: %s", what, strerror(-rc));
	return rc;
}

int guest_init(struct guest *guest, const struct guest_options *options)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};

	memset(guest, 0, sizeof(*guest));
	guest->o = *options;
	guest->listener = guest->socket = -1;
	if (options->connect)
		return 0;
	memcpy(address.sun_path, options->path, sizeof(address.sun_path));
	unlink(options->path);
	guest->listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (guest->listener < 0 ||
	        bind(guest->listener, (struct sockaddr *)&address, sizeof(address)) ||
	        listen(guest->listener, 4))
		return failed(guest, -errno, options->path);
	return 0;
}

void guest_close(struct guest *guest)
{
	guest_leave(guest);
	if (guest->listener < 0)
		return;
	close(guest->listener);
	guest->listener = -1;
	unlink(guest->o.path);
}

static int connect_once(struct guest *guest)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};

	memcpy(address.sun_path, guest->o.path, sizeof(address.sun_path));
	guest->socket = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (guest->socket < 0)
		return -errno;
	if (connect(guest->socket, (struct sockaddr *)&address, sizeof(address))) {
		int rc = -errno;

		close(guest->socket);
		guest->socket = -1;
		return rc;
	}
	return 0;
}

/* A back end that has stopped reading does not stop us. */
static int limit_sending(struct guest *guest, int rc)
{
	struct timeval limit = {.tv_sec = 2};

	if (!rc)
		setsockopt(guest->socket, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit));
	return rc;
}

int guest_connect(struct guest *guest, int timeout_ms)
{
	double end = clock_now() + timeout_ms / 1e3;
	int rc;

	if (guest->listener >= 0) {
		struct pollfd p = {guest->listener, POLLIN, 0};

		if (poll(&p, 1, timeout_ms) != 1)
			return failed(guest, -ETIMEDOUT, "nobody connects");
		guest->socket = accept4(guest->listener, NULL, NULL, SOCK_CLOEXEC);
		return failed(
		        guest, limit_sending(guest, guest->socket < 0 ? -errno : 0), "accept");
	}
	while ((rc = connect_once(guest)) && clock_now() < end)
		usleep(2000);
	return failed(guest, limit_sending(guest, rc), "connect");
}

void guest_leave(struct guest *guest)
{
	if (guest->socket >= 0)
		close(guest->socket);
	guest->socket = -1;
	for (unsigned q = 0; q < guest->n_queues; q++) {
		ring_destroy(&guest->queues[q].ring);
		free(guest->queues[q].buffers);
		guest->queues[q].buffers = NULL;
	}
	guest->n_queues = 0;
	memory_destroy(&guest->memory);
	guest->features = guest->protocol = guest->not_one = 0;
}

int guest_tell(struct guest *guest, uint32_t request, const void *payload, uint32_t size,
        const int *fds, unsigned n_fds)
{
	bool ack = guest->protocol & PROTOCOL_REPLY_ACK;
	char what[40];
	uint64_t answer = 0;
	int rc;

	snprintf(what, sizeof(what), "request %u", request);
	rc = message_send(
	        guest->socket, request, ack ? MESSAGE_NEED_REPLY : 0, payload, size, fds, n_fds);
	if (!rc && ack)
		rc = message_receive(guest->socket, request, &answer, sizeof(answer), ANSWER_MS);
	if (!rc && answer)
		rc = -EREMOTEIO;
	return failed(guest, rc, what);
}

int guest_ask(struct guest *guest, uint32_t request, const void *payload, uint32_t payload_size,
        void *value, uint32_t size)
{
	char what[40];
	int rc = message_send(guest->socket, request, 0, payload, payload_size, NULL, 0);

	snprintf(what, sizeof(what), "question %u", request);
	if (!rc)
		rc = message_receive(guest->socket, request, value, size, ANSWER_MS);
	return failed(guest, rc, what);
}

static uint64_t wanted_features(const struct guest *guest)
{
	const struct guest_options *o = &guest->o;
	uint64_t wanted = FEATURE(VIRTIO_F_VERSION_1) | FEATURE(VHOST_F_PROTOCOL_FEATURES_);

	if (o->pairs > 1)
		wanted |= FEATURE(VIRTIO_NET_F_MQ) | FEATURE(VIRTIO_NET_F_CTRL_VQ);
	if (o->mergeable)
		wanted |= FEATURE(VIRTIO_NET_F_MRG_RXBUF);
	if (o->ring.packed)
		wanted |= FEATURE(VIRTIO_F_RING_PACKED);
	if (o->ring.in_order)
		wanted |= FEATURE(VIRTIO_F_IN_ORDER);
	if (o->ring.indirect)
		wanted |= FEATURE(VIRTIO_RING_F_INDIRECT_DESC);
	if (o->ring.event_index)
		wanted |= FEATURE(VIRTIO_RING_F_EVENT_IDX);
	if (o->offload)
		wanted |= FEATURE(VIRTIO_NET_F_CSUM) | FEATURE(VIRTIO_NET_F_GUEST_CSUM) |
		          FEATURE(VIRTIO_NET_F_HOST_TSO4) | FEATURE(VIRTIO_NET_F_GUEST_TSO4);
	return wanted | o->features;
}

int guest_negotiate(struct guest *guest)
{
	uint64_t protocol, needed = wanted_features(guest);
	uint64_t number;
	int rc;

	rc = message_send(guest->socket, SET_OWNER, 0, NULL, 0, NULL, 0);
	if (!rc)
		rc = guest_ask(guest, GET_FEATURES, NULL, 0, &guest->offered, 8);
	if (!rc)
		rc = guest_ask(guest, GET_PROTOCOL_FEATURES, NULL, 0, &protocol, 8);
	if (rc)
		return rc;
	protocol &= PROTOCOL_MQ | (guest->o.no_ack ? 0 : PROTOCOL_REPLY_ACK);
	rc = message_send(guest->socket, SET_PROTOCOL_FEATURES, 0, &protocol, 8, NULL, 0);
	if (rc)
		return rc;
	guest->protocol = protocol;
	rc = guest_ask(guest, GET_QUEUE_NUM, NULL, 0, &number, 8);
	if (rc)
		return rc;
	guest->queue_max = (uint16_t)number;
	guest->features = guest->offered & needed;
	if ((guest->features & needed) != (needed & ~FEATURE(VIRTIO_NET_F_CTRL_VQ)) &&
	        guest->features != needed) {
		snprintf(guest->error, sizeof(guest->error), "features %#llx are not offered",
		        (unsigned long long)(needed & ~guest->offered));
		return -EOPNOTSUPP;
	}
	guest->header = HEADER_MAX;
	return guest_tell(guest, SET_FEATURES, &guest->features, 8, NULL, 0);
}

void guest_memory_table(const struct guest *guest, struct memory_table_message *table, int *fds)
{
	const struct memory *memory = &guest->memory;

	memset(table, 0, sizeof(*table));
	table->n = memory->n;
	for (unsigned i = 0; i < memory->n; i++) {
		/* Not in the order of addresses: nothing says that they are. */
		const struct region *region = &memory->regions[(i * 5 + 3) % memory->n];

		if (memory->n % 5 == 0)
			region = &memory->regions[memory->n - 1 - i];
		table->regions[i] = (struct memory_region_message){region->gpa, region->size,
		        (uint64_t)(uintptr_t)region->host, region->offset};
		fds[i] = region->fd;
	}
}

int guest_send_memory(struct guest *guest)
{
	struct memory_table_message table;
	int fds[REGIONS_MAX];

	guest_memory_table(guest, &table, fds);
	return guest_tell(guest, SET_MEM_TABLE, &table,
	        (uint32_t)(8 + table.n * sizeof(table.regions[0])), fds, table.n);
}

int guest_make_queues(struct guest *guest)
{
	int rc = memory_create(&guest->memory, &guest->o.memory);

	for (unsigned q = 0; !rc && q < 2u * guest->o.pairs; q++) {
		struct queue *queue = &guest->queues[q];

		queue->index = q;
		guest->n_queues = q + 1;
		rc = ring_create(&queue->ring, &guest->memory, &guest->o.ring);
		if (!rc)
			rc = buffers_make(guest, queue);
	}
	return failed(guest, rc, "memory");
}

struct vring_address guest_vring_address(const struct guest *guest, unsigned q)
{
	const struct ring *ring = &guest->queues[q].ring;
	const void *driver = ring->avail, *device = ring->used;

	if (ring->o.packed) {
		driver = ring->driver_event;
		device = ring->device_event;
	}
	return (struct vring_address){
	        .index = q,
	        .descriptors = (uint64_t)(uintptr_t)ring->desc.split,
	        .available = (uint64_t)(uintptr_t)driver,
	        .used = (uint64_t)(uintptr_t)device,
	};
}

int guest_start_queue(struct guest *guest, unsigned q)
{
	struct ring *ring = &guest->queues[q].ring;
	struct vring_state number = {q, ring->o.size}, base = {q, ring_base(ring)};
	struct vring_address address = guest_vring_address(guest, q);
	uint64_t index = q;
	int rc = guest_tell(guest, SET_VRING_NUM, &number, sizeof(number), NULL, 0);

	if (!rc)
		rc = guest_tell(guest, SET_VRING_BASE, &base, sizeof(base), NULL, 0);
	if (!rc)
		rc = guest_tell(guest, SET_VRING_ADDR, &address, sizeof(address), NULL, 0);
	if (!rc)
		rc = guest_tell(guest, SET_VRING_CALL, &index, 8, &ring->call, 1);
	if (!rc)
		rc = guest_tell(guest, SET_VRING_KICK, &index, 8, &ring->kick, 1);
	return rc;
}

int guest_enable_queue(struct guest *guest, unsigned q, bool on)
{
	struct vring_state state = {q, on};

	return guest_tell(guest, SET_VRING_ENABLE, &state, sizeof(state), NULL, 0);
}

int guest_stop_queue(struct guest *guest, unsigned q, uint32_t *base)
{
	struct vring_state state = {q, 0}, answer;
	int rc = guest_ask(guest, GET_VRING_BASE, &state, sizeof(state), &answer, sizeof(answer));

	*base = answer.number;
	return rc;
}

int guest_start(struct guest *guest)
{
	int rc = guest_negotiate(guest);

	if (!rc)
		rc = guest_make_queues(guest);
	if (!rc)
		rc = guest_send_memory(guest);
	for (unsigned q = 0; !rc && q < guest->n_queues; q++)
		rc = guest_start_queue(guest, q);
	for (unsigned q = 0; !rc && q < guest->n_queues; q++)
		rc = guest_enable_queue(guest, q, true);
	if (!rc)
		/* Whatever came before is done when this is answered. */
		rc = guest_ask(guest, GET_QUEUE_NUM, NULL, 0, &(uint64_t){0}, 8);
	return rc;
}

int guest_come(struct guest *guest, int timeout_ms)
{
	double end = clock_now() + timeout_ms / 1e3;
	int rc;

	do {
		guest_leave(guest);
		rc = guest_connect(guest, timeout_ms);
		if (!rc)
			rc = guest_start(guest);
		if (rc == -EOPNOTSUPP || rc == -ENOMEM || rc == -EINVAL)
			return rc;
		if (rc)
			usleep(5000);
	} while (rc && clock_now() < end);
	return rc;
}

bool guest_is_gone(const struct guest *guest, int timeout_ms)
{
	double end = clock_now() + timeout_ms / 1e3;

	do {
		struct pollfd p = {guest->socket, POLLIN, 0};
		char answers[4096];
		int left = (int)((end - clock_now()) * 1e3);

		if (poll(&p, 1, left > 0 ? left : 0) == 1 &&
		        recv(guest->socket, answers, sizeof(answers), 0) <= 0)
			return true;
	} while (clock_now() < end);
	return false;
}
