/* SPDX-License-Identifier: BSD-3-Clause */
/* A small blocking JSON-RPC client for the CLI and the CNI plugin. */
#ifndef PODRAIL_CLIENT_H
#define PODRAIL_CLIENT_H

#include <cjson/cJSON.h>

struct pr_client;

/* What went wrong: code is a pr_error_code, or a negative errno of the connection itself. */
struct pr_client_error {
	int code;
	char field[128];
	char message[512];
};

/* Connects to the daemon's socket and says hello.
 * timeout_ms bounds this and each later call (0: 30 s). The caller frees with pr_client_close.
 * Returns NULL with error filled: code -ENOENT or -ECONNREFUSED when no daemon listens. */
struct pr_client *pr_client_open(
        const char *socket_path, int timeout_ms, struct pr_client_error *error);

/* The same, but hello and a first request go out at once and nobody waits: do something else, then
 * take the answer with pr_client_started, before any other call. params is consumed, also on error.
 */
struct pr_client *pr_client_start(const char *socket_path, int timeout_ms, const char *method,
        cJSON *params, struct pr_client_error *error);

/* The result of pr_client_start's request, as from pr_client_call; waits for it. Once a client. */
cJSON *pr_client_started(struct pr_client *client, struct pr_client_error *error);

/* Calls method; params is consumed (NULL: {}). Returns the result, owned by the caller
 * (cJSON_Delete), or NULL with error filled. After a connection error only close is useful. */
cJSON *pr_client_call(
        struct pr_client *client, const char *method, cJSON *params, struct pr_client_error *error);

/* Sends one line as it is (without newline) and returns the answer line (free()), or NULL. */
char *pr_client_raw(struct pr_client *client, const char *line, struct pr_client_error *error);

/* Safe on NULL. */
void pr_client_close(struct pr_client *client);

#endif
