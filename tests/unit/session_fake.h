/* SPDX-License-Identifier: BSD-3-Clause */
/* A session between a front end, played by the test, and workers that let go when they are told. */
#ifndef TESTS_UNIT_SESSION_FAKE_H
#define TESTS_UNIT_SESSION_FAKE_H

#include "dataplane/port/vhost_user/session.h"

#define MEMORY_BYTES 0x100000u
#define MEMORY_GUEST 0x40000000u
#define MEMORY_USER  0x7f0000000000u
#define RING_SIZE    16
#define PAIRS        4

#define BIT64(n) (UINT64_C(1) << (n))

extern struct session session;
/* Rings that session_end found broken, since the start. */
extern unsigned broken_at_end;
extern struct guest_ring *seen[RINGS_MAX]; /* what workers see */
extern bool grace_passes;                  /* at once; else by grace_pass() */
extern bool others_settled;                /* guests may send */
extern char last_log[256];
extern unsigned logs;
/* The worker that waits for kicks in the test, and how often it was told to stop that. */
extern unsigned watching_worker, unwatched;
extern struct vu_message message; /* and what it became */
extern uint8_t *memory;           /* the front end's own view of its memory */
extern int memory_fd;

int session_setup(void **state);
/* Ends the session; fails if it left a descriptor open. */
int session_teardown(void **state);
/* Everything unpublished until now is no worker's any more. */
void grace_pass(void);
unsigned open_fds(void);
bool end_session(void);

/* Sends what is in message, with descriptors (copies are sent: the front end keeps its own). */
enum session_answer send_message(
        uint32_t request, uint32_t flags, uint32_t size, const int *fds, unsigned n_fds);
/* The same message again, after SESSION_WAIT. */
enum session_answer send_again(void);
enum session_answer say(uint32_t request);
enum session_answer say_number(uint32_t request, uint64_t number);
enum session_answer say_state(uint32_t request, uint32_t queue, uint32_t number);
enum session_answer say_address(uint32_t queue, uint64_t desc, uint64_t avail, uint64_t used);
enum session_answer say_fd(uint32_t request, uint64_t number, int fd);
enum session_answer say_memory(const struct vu_region *regions, unsigned n, const int *fds,
        unsigned n_fds, uint32_t flags);
/* The one region of the test's memory. */
enum session_answer say_usual_memory(void);

/* Where a queue's ring lies in memory. */
uint64_t ring_user(unsigned queue);
struct vring_desc *ring_desc(unsigned queue);
struct vring_packed_desc *ring_packed(unsigned queue);
struct vring_used *ring_used(unsigned queue);
/* NUM, BASE, ADDR and KICK of a queue. */
void say_ring(unsigned queue, uint32_t base);

#endif
