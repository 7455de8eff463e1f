/* SPDX-License-Identifier: BSD-3-Clause */
/* One guest's conversation: what its messages mean. Knows no sockets: whole messages come in,
 * replies go out. Guests thread only, but for what workers read of a published ring. */
#ifndef DATAPLANE_PORT_VHOST_USER_SESSION_H
#define DATAPLANE_PORT_VHOST_USER_SESSION_H

#include <podrail/limits.h>

#include "dataplane/port/vhost_user/message.h"
#include "dataplane/port/vhost_user/ring.h"

#define RINGS_MAX (2 * PR_QUEUES_MAX)

/* How a session shows rings to workers, and waits until they have let go. */
struct session_ops {
	/* ring NULL: takes it back. */
	void (*publish)(void *arg, unsigned queue, struct guest_ring *ring);
	/* A token for everything unpublished until now, and whether its time has come. */
	uint64_t (*grace_start)(void *arg);
	bool (*grace_over)(void *arg, uint64_t token);
	/* Whether guests may send already (guests_settled). */
	bool (*may_send)(void *arg);
	/* That worker shall not wait for kicks on fd any more: it is about to be closed. */
	void (*unwatch)(void *arg, unsigned worker, int fd);
	void (*log)(void *arg, int priority, const char *text);
};

struct session_queue {
	struct guest_ring ring;     /* filled by queue_refresh while no worker sees it */
	uint64_t desc, avail, used; /* the front end's addresses */
	uint32_t base;              /* as of SET_VRING_BASE, or where we stopped */
	bool has_base;
	uint16_t size;
	bool has_size, has_addr, kicked, enabled;
	bool fresh;     /* its driver set it up anew: indexes come from base or from the ring */
	bool published; /* workers see it */
	bool busy;      /* unpublished, but a worker may still be in it: until token's time */
	bool started;   /* in this session */
	bool broken;    /* by its guest; until that sets it up anew */
	bool misplaced; /* broken because it lies outside the memory; until that changes */
	uint64_t token;
	int kick_fd, err_fd; /* call_fd is the ring's */
};

struct session {
	const struct session_ops *ops;
	void *arg;
	uint16_t max_queues; /* pairs */
	uint16_t mtu;
	uint64_t features, protocol_features;
	uint8_t status;
	bool features_set;
	struct guest_memory *memory;
	_Atomic bool memory_broken; /* set by the SIGBUS handler */
	bool waiting;               /* a message waits until workers have let go */
	/* Descriptors that a worker may still signal: closed after a grace period. */
	int stale_fds[RINGS_MAX];
	unsigned n_stale;
	uint64_t stale_token;
	const char *why; /* a sentence, when a message was refused */
	struct session_queue queue[RINGS_MAX];
};

enum session_answer {
	SESSION_DONE,   /* nothing to send */
	SESSION_REPLY,  /* message holds it */
	SESSION_WAIT,   /* call again with the same message when workers have let go */
	SESSION_REFUSE, /* close the connection; session.why */
};

/* Features that are offered (virtio and vhost-user bits). */
uint64_t session_features(void);

void session_init(struct session *session, const struct session_ops *ops, void *arg,
        uint16_t max_queues, uint16_t mtu);

/* Handles one whole message. fds are the session's from then on, each used or closed. With
 * SESSION_WAIT nothing was used yet. session.why is not NULL when the message was refused, even if
 * the guest is only told so (REPLY_ACK). */
enum session_answer session_message(
        struct session *session, struct vu_message *message, int *fds, unsigned n_fds);

/* The guest is gone, or must go: unpublishes everything. False: not finished, call again. Then the
 * session is as new. *broken grows by the rings that were found broken on the way. */
bool session_end(struct session *session, unsigned *broken);

/* To be called now and then: stops rings that workers found broken, and logs why; returns how many
 * there were. Starts those that waited for a worker; closes what workers no longer need. */
unsigned session_tick(struct session *session);

#endif
