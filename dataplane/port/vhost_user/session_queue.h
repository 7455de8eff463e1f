/* SPDX-License-Identifier: BSD-3-Clause */
/* One queue of a session: when it runs, and what workers then see. Guests thread only. */
#ifndef DATAPLANE_PORT_VHOST_USER_SESSION_QUEUE_H
#define DATAPLANE_PORT_VHOST_USER_SESSION_QUEUE_H

#include "dataplane/port/vhost_user/session.h"

void queue_init(struct session *session, unsigned q);
/* Closes its descriptors and forgets everything. No worker is in it. */
void queue_reset(struct session *session, unsigned q);
/* Takes it back from the workers, if they see it. */
void queue_unpublish(struct session *session, unsigned q);
/* No worker sees it or is in it; base says where it stopped. */
bool queue_is_quiet(struct session *session, unsigned q);
/* Starts it if everything is there that it needs, and it is not running. */
void queue_refresh(struct session *session, unsigned q);
/* 1 when a worker found it broken: stopped and logged. */
unsigned queue_check(struct session *session, unsigned q);

/* Its kick descriptor is another one (-1: none), the old one is closed. No worker is in it. */
void queue_set_kick(struct session *session, struct session_queue *queue, int fd);

/* Whether another descriptor can wait for the workers to let go of it. */
bool session_can_swap(struct session *session);
/* Gives the workers another call descriptor (-1: none); the old one is closed later. */
void queue_swap_call(struct session *session, struct session_queue *queue, int fd);
/* Closes what no worker signals any more. True: nothing is left. */
bool session_close_stale(struct session *session);

#endif
