/* SPDX-License-Identifier: BSD-3-Clause */
/* Messages (QEMU's docs/interop/vhost-user.rst): one function each, in one table that says what may
 * come with it. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <syslog.h>
#include <unistd.h>

#include "dataplane/port/vhost_user/notify.h"
#include "dataplane/port/vhost_user/session_queue.h"

#define BIT(n) (UINT64_C(1) << (n))

#define PROTOCOL_FEATURES                                                                          \
	(BIT(VU_PROTOCOL_MQ) | BIT(VU_PROTOCOL_REPLY_ACK) | BIT(VU_PROTOCOL_NET_MTU) |             \
	        BIT(VU_PROTOCOL_STATUS))

uint64_t session_features(void)
{
	return BIT(VIRTIO_F_VERSION_1) | BIT(VIRTIO_F_ANY_LAYOUT) | BIT(VIRTIO_NET_F_MRG_RXBUF) |
	       BIT(VIRTIO_RING_F_INDIRECT_DESC) | BIT(VIRTIO_RING_F_EVENT_IDX) |
	       BIT(VIRTIO_F_RING_PACKED) | BIT(VIRTIO_F_IN_ORDER) | BIT(VIRTIO_NET_F_MQ) |
	       BIT(VIRTIO_NET_F_CTRL_VQ) | BIT(VIRTIO_NET_F_CTRL_RX) | BIT(VIRTIO_NET_F_MTU) |
	       BIT(VIRTIO_NET_F_CSUM) | BIT(VIRTIO_NET_F_GUEST_CSUM) | BIT(VIRTIO_NET_F_HOST_TSO4) |
	       BIT(VIRTIO_NET_F_HOST_TSO6) | BIT(VIRTIO_NET_F_GUEST_TSO4) |
	       BIT(VIRTIO_NET_F_GUEST_TSO6) | BIT(VU_F_PROTOCOL_FEATURES);
}

static int refuse(struct session *session, const char *why)
{
	session->why = why;
	return -EINVAL;
}

#define ALL_QUEUES UINT32_MAX

/* Takes rings back from the workers. -EAGAIN until they have let go; then the same call may change
 * what is asked for. */
static int quiesce(struct session *session, uint32_t queues)
{
	bool busy = false;

	for (unsigned q = 0; q < RINGS_MAX; q++)
		if (queues & 1u << q)
			queue_unpublish(session, q);
	for (unsigned q = 0; q < RINGS_MAX; q++)
		if (queues & 1u << q)
			busy |= !queue_is_quiet(session, q);
	return busy ? -EAGAIN : 0;
}

/* ---- the messages ---- */

typedef int handler(struct session *session, struct vu_message *m, int *fds, unsigned n_fds);

static int get_features(struct session *session, struct vu_message *m, int *fds, unsigned n_fds)
{
	(void)session;
	(void)fds;
	(void)n_fds;
	m->payload.number = session_features();
	return 0;
}

static int set_features(struct session *session, struct vu_message *m, int *fds, unsigned n_fds)
{
	uint64_t features = m->payload.number;
	int rc;

	(void)fds;
	(void)n_fds;
	if (features & ~session_features())
		return refuse(session, "it wants features that were not offered");
	if (features == session->features && session->features_set)
		return 0;
	rc = quiesce(session, ALL_QUEUES);
	if (rc)
		return rc;
	session->features = features;
	session->features_set = true;
	for (unsigned q = 0; q < RINGS_MAX; q++)
		session->queue[q].fresh = true;
	return 0;
}

static int set_owner(struct session *session, struct vu_message *m, int *fds, unsigned n_fds)
{
	(void)session;
	(void)m;
	(void)fds;
	(void)n_fds;
	return 0;
}

static int reset_owner(struct session *session, struct vu_message *m, int *fds, unsigned n_fds)
{
	int rc = quiesce(session, ALL_QUEUES);

	(void)m;
	(void)fds;
	(void)n_fds;
	if (rc)
		return rc;
	for (unsigned q = 0; q < RINGS_MAX; q++)
		queue_reset(session, q);
	return 0;
}

static int set_mem_table(struct session *session, struct vu_message *m, int *fds, unsigned n_fds)
{
	struct vu_memory table;
	struct region_request requests[REGIONS_MAX];
	struct guest_memory *memory;
	int rc;

	memcpy(&table, &m->payload.memory, sizeof(table));
	if (table.n != n_fds || m->size < 8 + (uint64_t)table.n * sizeof(table.region[0]))
		return refuse(session,
		        "a memory table and its descriptors do not agree (at most 8 regions: on "
		        "2 MiB pages start the application with --single-file-segments)");
	rc = quiesce(session, ALL_QUEUES);
	if (rc)
		return rc;
	for (unsigned n = 0; n < table.n; n++)
		requests[n] = (struct region_request){table.region[n].guest, table.region[n].size,
		        table.region[n].user, table.region[n].offset};
	memory = guest_memory_map(requests, fds, table.n, &session->memory_broken, &session->why);
	if (!memory)
		return -EINVAL;
	guest_memory_unmap(session->memory);
	session->memory = memory;
	atomic_store(&session->memory_broken, false);
	for (unsigned q = 0; q < RINGS_MAX; q++)
		if (session->queue[q].misplaced)
			session->queue[q].broken = session->queue[q].misplaced = false;
	return 0;
}

static struct session_queue *queue_of(struct session *session, uint32_t number)
{
	if (number >= 2u * session->max_queues) {
		refuse(session, "it names a queue that the port does not have");
		return NULL;
	}
	return &session->queue[number];
}

static int set_vring_num(struct session *session, struct vu_message *m, int *fds, unsigned n_fds)
{
	struct vu_vring_state state;
	struct session_queue *queue;
	int rc;

	(void)fds;
	(void)n_fds;
	memcpy(&state, &m->payload.state, sizeof(state));
	queue = queue_of(session, state.queue);
	if (!queue)
		return -EINVAL;
	if (!state.number || state.number > RING_SIZE_MAX ||
	        (state.number & (state.number - 1) &&
	                !(session->features & BIT(VIRTIO_F_RING_PACKED))))
		return refuse(session, "a ring's size is no power of two up to 32768");
	rc = quiesce(session, 1u << state.queue);
	if (rc)
		return rc;
	queue->size = (uint16_t)state.number;
	queue->has_size = queue->fresh = true;
	return 0;
}

static int set_vring_addr(struct session *session, struct vu_message *m, int *fds, unsigned n_fds)
{
	struct vu_vring_addr addr;
	struct session_queue *queue;
	int rc;

	(void)fds;
	(void)n_fds;
	memcpy(&addr, &m->payload.addr, sizeof(addr));
	queue = queue_of(session, addr.queue);
	if (!queue)
		return -EINVAL;
	rc = quiesce(session, 1u << addr.queue);
	if (rc)
		return rc;
	queue->desc = addr.desc;
	queue->avail = addr.avail;
	queue->used = addr.used;
	queue->has_addr = queue->fresh = true;
	queue->broken = false;
	return 0;
}

static int set_vring_base(struct session *session, struct vu_message *m, int *fds, unsigned n_fds)
{
	struct vu_vring_state state;
	struct session_queue *queue;
	int rc;

	(void)fds;
	(void)n_fds;
	memcpy(&state, &m->payload.state, sizeof(state));
	queue = queue_of(session, state.queue);
	if (!queue)
		return -EINVAL;
	rc = quiesce(session, 1u << state.queue);
	if (rc)
		return rc;
	queue->base = state.number;
	queue->has_base = true;
	queue->fresh = true;
	queue->broken = false;
	return 0;
}

static int get_vring_base(struct session *session, struct vu_message *m, int *fds, unsigned n_fds)
{
	struct vu_vring_state state;
	struct session_queue *queue;
	int rc;

	(void)fds;
	(void)n_fds;
	memcpy(&state, &m->payload.state, sizeof(state));
	queue = queue_of(session, state.queue);
	if (!queue)
		return -EINVAL;
	rc = quiesce(session, 1u << state.queue);
	if (rc)
		return rc;
	/* The ring stops here, until the next kick descriptor. */
	state.number = queue->base;
	queue->kicked = false;
	memcpy(&m->payload.state, &state, sizeof(state));
	return 0;
}

/* Queue and descriptor of SET_VRING_KICK, CALL and ERR. */
static struct session_queue *queue_fd(struct session *session, const struct vu_message *m,
        const int *fds, unsigned n_fds, int *fd)
{
	uint64_t number = m->payload.number;
	bool none = number & VU_NO_FD;
	struct session_queue *queue;

	if (number & ~(uint64_t)(VU_QUEUE_MASK | VU_NO_FD) || n_fds != !none) {
		refuse(session, "a descriptor is missing, or there is one too many");
		return NULL;
	}
	queue = queue_of(session, number & VU_QUEUE_MASK);
	if (!queue)
		return NULL;
	if (!none && notifier_check(fds[0])) {
		refuse(session, "a queue's descriptor is not an eventfd");
		return NULL;
	}
	*fd = none ? -1 : fds[0];
	return queue;
}

static void replace_fd(int *place, int *fds, int fd)
{
	if (*place >= 0)
		close(*place);
	*place = fd;
	if (fd >= 0)
		fds[0] = -1; /* ours now */
}

static int set_vring_kick(struct session *session, struct vu_message *m, int *fds, unsigned n_fds)
{
	int fd, rc;
	struct session_queue *queue = queue_fd(session, m, fds, n_fds, &fd);

	if (!queue)
		return -EINVAL;
	/* A worker may be waiting for the old one. */
	rc = quiesce(session, 1u << (queue - session->queue));
	if (rc)
		return rc;
	queue_set_kick(session, queue, fd);
	if (fd >= 0)
		fds[0] = -1; /* ours now */
	queue->kicked = true;
	queue->broken = false;
	return 0;
}

static int set_vring_call(struct session *session, struct vu_message *m, int *fds, unsigned n_fds)
{
	int fd;
	struct session_queue *queue = queue_fd(session, m, fds, n_fds, &fd);

	if (!queue)
		return -EINVAL;
	if (!session_can_swap(session))
		return -EAGAIN;
	if (fd >= 0)
		fds[0] = -1;
	queue_swap_call(session, queue, fd);
	return 0;
}

static int set_vring_err(struct session *session, struct vu_message *m, int *fds, unsigned n_fds)
{
	int fd;
	struct session_queue *queue = queue_fd(session, m, fds, n_fds, &fd);

	if (!queue)
		return -EINVAL;
	replace_fd(&queue->err_fd, fds, fd);
	return 0;
}

static int get_protocol_features(
        struct session *session, struct vu_message *m, int *fds, unsigned n_fds)
{
	(void)session;
	(void)fds;
	(void)n_fds;
	m->payload.number = PROTOCOL_FEATURES;
	return 0;
}

static int set_protocol_features(
        struct session *session, struct vu_message *m, int *fds, unsigned n_fds)
{
	(void)fds;
	(void)n_fds;
	if (m->payload.number & ~PROTOCOL_FEATURES)
		return refuse(session, "it wants protocol features that were not offered");
	session->protocol_features = m->payload.number;
	return 0;
}

static int get_queue_num(struct session *session, struct vu_message *m, int *fds, unsigned n_fds)
{
	(void)fds;
	(void)n_fds;
	m->payload.number = session->max_queues;
	return 0;
}

static int set_vring_enable(struct session *session, struct vu_message *m, int *fds, unsigned n_fds)
{
	struct vu_vring_state state;
	struct session_queue *queue;

	(void)fds;
	(void)n_fds;
	memcpy(&state, &m->payload.state, sizeof(state));
	queue = queue_of(session, state.queue);
	if (!queue)
		return -EINVAL;
	if (state.number > 1)
		return refuse(session, "a queue can be enabled with 1 or disabled with 0");
	if (!state.number) {
		int rc = quiesce(session, 1u << state.queue);

		if (rc)
			return rc;
	}
	queue->enabled = state.number;
	return 0;
}

static int net_set_mtu(struct session *session, struct vu_message *m, int *fds, unsigned n_fds)
{
	(void)fds;
	(void)n_fds;
	if (m->payload.number > session->mtu)
		return refuse(session, "it wants a larger MTU than the port has");
	return 0;
}

static int set_status(struct session *session, struct vu_message *m, int *fds, unsigned n_fds)
{
	(void)fds;
	(void)n_fds;
	session->status = (uint8_t)m->payload.number;
	return 0;
}

static int get_status(struct session *session, struct vu_message *m, int *fds, unsigned n_fds)
{
	(void)fds;
	(void)n_fds;
	m->payload.number = session->status;
	return 0;
}

static const struct {
	handler *handle;
	uint16_t size; /* of its payload; memory tables: at least */
	uint8_t max_fds;
	bool replies;
} requests[VU_REQUEST_MAX] = {
        [VU_GET_FEATURES] = {get_features, 0, 0, true},
        [VU_SET_FEATURES] = {set_features, 8, 0, false},
        [VU_SET_OWNER] = {set_owner, 0, 0, false},
        [VU_RESET_OWNER] = {reset_owner, 0, 0, false},
        [VU_SET_MEM_TABLE] = {set_mem_table, 8, VU_FDS_MAX, false},
        [VU_SET_VRING_NUM] = {set_vring_num, 8, 0, false},
        [VU_SET_VRING_ADDR] = {set_vring_addr, 40, 0, false},
        [VU_SET_VRING_BASE] = {set_vring_base, 8, 0, false},
        [VU_GET_VRING_BASE] = {get_vring_base, 8, 0, true},
        [VU_SET_VRING_KICK] = {set_vring_kick, 8, 1, false},
        [VU_SET_VRING_CALL] = {set_vring_call, 8, 1, false},
        [VU_SET_VRING_ERR] = {set_vring_err, 8, 1, false},
        [VU_GET_PROTOCOL_FEATURES] = {get_protocol_features, 0, 0, true},
        [VU_SET_PROTOCOL_FEATURES] = {set_protocol_features, 8, 0, false},
        [VU_GET_QUEUE_NUM] = {get_queue_num, 0, 0, true},
        [VU_SET_VRING_ENABLE] = {set_vring_enable, 8, 0, false},
        [VU_NET_SET_MTU] = {net_set_mtu, 8, 0, false},
        [VU_SET_STATUS] = {set_status, 8, 0, false},
        [VU_GET_STATUS] = {get_status, 0, 0, true},
};

static void close_fds(int *fds, unsigned n)
{
	for (unsigned k = 0; k < n; k++)
		if (fds[k] >= 0)
			close(fds[k]);
}

static int dispatch(struct session *session, struct vu_message *m, int *fds, unsigned n_fds)
{
	uint32_t r = m->request;

	if ((m->flags & VU_VERSION_MASK) != VU_VERSION || m->flags & VU_REPLY)
		return refuse(session, "a message's flags are not those of a request of version 1");
	if (r >= VU_REQUEST_MAX || !requests[r].handle)
		return refuse(session, "it sent a request that was not offered");
	if (r == VU_SET_MEM_TABLE ? m->size < requests[r].size : m->size != requests[r].size)
		return refuse(session, "a message has the wrong size");
	if (n_fds > requests[r].max_fds)
		return refuse(session, "descriptors came with a message that takes none");
	return requests[r].handle(session, m, fds, n_fds);
}

static enum session_answer reply_number(struct vu_message *m, uint64_t number)
{
	m->payload.number = number;
	m->size = 8;
	m->flags = VU_VERSION | VU_REPLY;
	return SESSION_REPLY;
}

enum session_answer session_message(
        struct session *session, struct vu_message *message, int *fds, unsigned n_fds)
{
	uint32_t r = message->request;
	bool ack = message->flags & VU_NEED_REPLY &&
	           session->protocol_features & BIT(VU_PROTOCOL_REPLY_ACK);
	bool replies = r < VU_REQUEST_MAX && requests[r].replies;
	int rc;

	session->why = NULL;
	rc = dispatch(session, message, fds, n_fds);
	session->waiting = rc == -EAGAIN;
	if (session->waiting)
		return SESSION_WAIT;
	close_fds(fds, n_fds);
	for (unsigned q = 0; q < RINGS_MAX; q++)
		queue_refresh(session, q);
	if (rc)
		/* Whoever asked to be told is told, and may go on. */
		return ack && !replies ? reply_number(message, 1) : SESSION_REFUSE;
	if (replies) {
		message->size = 8;
		message->flags = VU_VERSION | VU_REPLY;
		return SESSION_REPLY;
	}
	return ack ? reply_number(message, 0) : SESSION_DONE;
}

void session_init(struct session *session, const struct session_ops *ops, void *arg,
        uint16_t max_queues, uint16_t mtu)
{
	memset(session, 0, sizeof(*session));
	session->ops = ops;
	session->arg = arg;
	session->max_queues = max_queues;
	session->mtu = mtu;
	for (unsigned q = 0; q < RINGS_MAX; q++)
		queue_init(session, q);
}

bool session_end(struct session *session, unsigned *broken)
{
	session->waiting = true;
	/* Whoever lies and leaves is found out all the same. */
	for (unsigned q = 0; q < RINGS_MAX; q++)
		*broken += queue_check(session, q);
	if (quiesce(session, ALL_QUEUES) || !session_close_stale(session))
		return false;
	for (unsigned q = 0; q < RINGS_MAX; q++)
		queue_reset(session, q);
	if (!session_close_stale(session))
		return false;
	guest_memory_unmap(session->memory);
	session_init(session, session->ops, session->arg, session->max_queues, session->mtu);
	return true;
}

unsigned session_tick(struct session *session)
{
	unsigned found = 0;

	session_close_stale(session);
	for (unsigned q = 0; q < RINGS_MAX; q++) {
		found += queue_check(session, q);
		if (!session->waiting)
			queue_refresh(session, q);
	}
	return found;
}
