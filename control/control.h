/* SPDX-License-Identifier: BSD-3-Clause */
/* What the daemon's parts know of each other. Everything here runs in the control thread.
 *
 * Data flow of a request: server (bytes, clients, who may) -> rpc (JSON-RPC, verb_check against
 * verbs.c, batches) -> the object's method (validate wholly, dataplane call, state_put) -> one
 * commit a batch -> reply. Start-up replays stored objects through the same methods. */
#ifndef PODRAIL_CONTROL_H
#define PODRAIL_CONTROL_H

#include <stdbool.h>
#include <stdint.h>
#include <cjson/cJSON.h>

#include <podrail/protocol.h>

#include "dataplane/dataplane.h"

struct client; /* server.c */

/* One request on its way. A method fills result (an object) and returns 0, or calls one of the
 * request_fail functions and returns what they return; then it has changed nothing. */
struct request {
	const cJSON *params;   /* an object, already checked against verbs.c */
	cJSON *result;         /* an empty object at the start; owned by rpc */
	struct client *client; /* NULL in replay */
	/* From the state database or the configuration file: nothing is stored, params may carry
	 * the "index" of an earlier life, boot ids are checked by the caller. */
	bool replay;
	int code; /* pr_error_code of a failure, 0 */
	char field[128];
	char message[512];
};

/* Records the failure; field may be NULL. Return -1 always. */
int request_fail(struct request *request, enum pr_error_code code, const char *field,
        const char *format, ...) __attribute__((format(printf, 4, 5)));
int request_fail_dp(struct request *request, const struct dp_error *error);
/* PR_ERR_STORAGE with a sentence for what state_put and its kin returned. */
int request_fail_storage(struct request *request, int rc);

/* ---- objects: one file each, methods named object_verb; the table is in methods.c ---- */
typedef int method_fn(struct request *request);
struct method {
	const char *name; /* "port.add" */
	method_fn *run;
};
extern const struct method methods[];
extern const unsigned n_methods;

/* Called when a client's connection ends: drops its route.sync and the base of its counters. */
void objects_client_gone(struct client *client);
/* Replays everything stored (networks, ports, routes, neighbours, fdb), after tombstones were
 * applied; an object that can not be restored is logged with its reason, kept in the database and
 * tried no further. Returns how many failed. */
unsigned objects_replay(void);
/* Frees what the object files hold (after dp_stop). */
void objects_free(void);
/* Once a second: removes CNI ports whose namespace and pod directory are both gone. */
void objects_tick(void);
/* Queues move between workers by themselves every so many seconds; 0: never. */
void workers_rebalance_every(unsigned seconds);
/* Once a second. */
void workers_tick(void);

/* ---- state.c: the SQLite database ---- */
int state_open(const char *directory, bool durable);
void state_close(void);
/* Storage in the current transaction (rpc begins one for each line and commits before it replies;
 * when the commit fails rpc answers PR_ERR_STORAGE and calls the undo functions in reverse).
 * key: unique in its kind. body: the object's normal JSON. Return 0 or a negative errno. */
int state_begin(void);
int state_commit(void);
void state_rollback(void);
int state_put(const char *kind, const char *key, const cJSON *body);
/* 0 too when there was none. */
int state_del(const char *kind, const char *key);
/* The stored body, owned by the caller; NULL when there is none (or it can not be read). */
cJSON *state_get(const char *kind, const char *key);
/* Calls each for every object of the kind in the order of insertion. body is the callee's to read.
 */
int state_each(
        const char *kind, void (*each)(void *arg, const char *key, const cJSON *body), void *arg);

/* Registers what undoes this request's data plane change if its commit fails; run in reverse
 * order; freed (with free(arg)) after the commit. Register when the change is made: if the request
 * itself fails afterwards (state_put), rpc runs its undos and rolls its rows back, so a method
 * needs no second way to undo. In replay arg is freed at once and nothing is registered. */
void rpc_on_rollback(void (*undo)(void *arg), void *arg);
/* The same with something else than free(arg) for what arg holds. */
void rpc_on_rollback_with(void (*undo)(void *arg), void *arg, void (*drop)(void *arg));

/* ---- process-wide facts, set by main ---- */
struct daemon_config; /* config.h */
extern const struct daemon_config *daemon_config;
const char *boot_id(void);     /* /proc/sys/kernel/random/boot_id */
const char *instance_id(void); /* differs at each start */
/* Start-up is done: stored objects are back and requests are served. */
bool daemon_ready(void);
/* Syslog priorities; goes to stderr (with <N> prefixes under systemd); rate-limited a call site. */
void log_message(int priority, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* A pointer that each client carries for one purpose; cleared by objects_client_gone. */
enum client_slot { CLIENT_ROUTE_SYNC, CLIENT_STATS_BASE, CLIENT_SLOTS };
void **client_slot(struct client *client, enum client_slot slot);

#endif
