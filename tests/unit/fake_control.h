/* SPDX-License-Identifier: BSD-3-Clause */
/* What the object files of control/ stand on, for their tests: requests as rpc.c runs them (checked
 * against the verbs, one transaction, undone when they fail), and a database in memory. */
#ifndef PODRAIL_FAKE_CONTROL_H
#define PODRAIL_FAKE_CONTROL_H

#include "control/control.h"

struct fake_control {
	bool fail_put; /* state_put and state_del fail */
	bool fail_commit;
	char boot_id[40];
	char log[512]; /* the last message */
	unsigned logs;
	/* of the last request */
	int code;
	char field[128];
	char message[512];
};
extern struct fake_control fake_control;

/* Empties everything, the objects and the fake data plane too. */
void fake_control_reset(void);

/* Runs one request, params as JSON text in which ' stands for ". Returns its result (the caller's
 * to delete), or NULL with the error in fake_control. */
cJSON *call(const char *method, const char *params, ...) __attribute__((format(printf, 2, 3)));
/* The same, and the test fails unless it succeeds; the result is dropped. */
void call_ok(const char *method, const char *params, ...) __attribute__((format(printf, 2, 3)));
/* The same, and the test fails unless it is refused so. The message must contain the words. */
void call_refused(enum pr_error_code code, const char *field, const char *words, const char *method,
        const char *params, ...) __attribute__((format(printf, 5, 6)));
/* The test fails unless the answer, as JSON text, is `expected` with ' for ". */
void call_answers(const char *expected, const char *method, const char *params, ...)
        __attribute__((format(printf, 3, 4)));

/* The connection that calls are made on is closed. */
void fake_client_gone(void);
/* What is stored, as text (free), or NULL. */
char *stored(const char *kind, const char *key);
size_t stored_count(const char *kind);
/* Stores a body as an earlier life left it. */
void store_text(const char *kind, const char *key, const char *body);
/* The daemon ends and starts: objects are forgotten, the data plane is empty, the database stays.
 */
unsigned fake_restart(void);

/* A fresh directory under /tmp, removed with all that is in it by directory_remove. */
void directory_make(char path[64]);
void directory_remove(const char *path);

#endif
