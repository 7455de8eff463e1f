/* SPDX-License-Identifier: BSD-3-Clause */
/* The tables thread: the one writer of everything that workers read. It takes events from the
 * workers and its own timers; the control thread's transactions take turns with it (tables_call).
 * It never blocks for long. */
#ifndef DATAPLANE_TABLES_H
#define DATAPLANE_TABLES_H

#include <stdbool.h>
#include <stdint.h>
#include <syslog.h>

#include "dataplane/dataplane.h"
#include "dataplane/worker.h"

/* Starts the thread. shared exists, workers do not yet. Control thread. */
int tables_start(void);
/* Stops and joins it; workers are gone. Runs everything that is still to be retired. */
void tables_stop(void);

/* Runs fn(arg) as the tables' one writer and returns what it returned: in the caller, for a
 * hand-over to another thread would cost more than most transactions do. Until it returns the
 * tables thread waits, so fn takes 1 ms at most; what takes longer is done in several calls,
 * between which the thread has its turn. What is said of the tables thread here holds for fn.
 * Control thread. */
int tables_call(int (*fn)(void *arg), void *arg);

/* Makes the thread look at the workers' rings soon. Any thread; a system call only if it sleeps. */
void tables_wake(void);

/* Calls fn(arg) in the tables thread once no worker can still see what was unpublished before.
 * Tables thread. */
void tables_retire(void (*fn)(void *arg), void *arg);
/* The same for the FIB's nodes. */
void tables_retire_index(
        void *ctx, void (*fn)(void *owner, uint32_t index), void *owner, uint32_t index);
/* Waits for a grace period and runs what it frees. Tables thread, only when a pool is empty. */
void tables_reclaim_wait(void);
/* Waits for a grace period. Control and guests threads, never tables or a worker. */
void tables_grace(void);

/* The same once the workers have also taken what had been injected before: packets in those rings
 * still name ports and segments. Control thread. */
void tables_settle(void);

/* Handles all events that workers have posted so far. Tables thread. */
void tables_drain_events(void);

/* Milliseconds since start, as the tables thread last looked. Tables thread. */
uint64_t tables_now(void);

/* The empty list that a new worker starts with. */
struct poll_list *tables_empty_polls(void);

/* Counters of the tables thread: generated packets, drops of held ones. */
extern struct counters *tables_counters;

/* Sends a packet of our own, or a held one, into a worker's pipeline; the note is filled. Frees and
 * counts it when the ring is full: false. Tables thread. */
bool tables_inject(unsigned worker, struct rte_mbuf *m);
/* A held packet dies here. Tables thread. */
void tables_drop(struct rte_mbuf *m, enum pr_drop_reason reason);

/* What the parts of the tables thread do with events and time; implemented in fdb_control.c,
 * neighbour_control.c and reassembly_control.c. */
void fdb_learned(const struct event *event);
void fdb_tick(uint64_t now_ms);
void neighbour_event(const struct event *event);
void neighbour_punt(const struct event *event);
void neighbours_tick(uint64_t now_ms);
/* Drops datagrams whose time is over; a slice of them. */
void reassembly_tick(void);
/* Drops what waits of a port that no packet comes in by any more. */
void reassembly_port_gone(uint16_t port);

/* Rate-limited log line through dp_config.log; any thread but a worker. */
void dp_log(int priority, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Fills an error and returns rc. Any thread. */
static inline int dp_fail(
        struct dp_error *error, int code, int rc, const char *field, const char *message)
{
	error->code = code;
	snprintf(error->field, sizeof(error->field), "%s", field);
	snprintf(error->message, sizeof(error->message), "%s", message);
	return rc;
}

#endif
