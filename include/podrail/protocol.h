/* SPDX-License-Identifier: BSD-3-Clause */
/* Names and limits of the control protocol (docs/protocol.md). */
#ifndef PODRAIL_PROTOCOL_H
#define PODRAIL_PROTOCOL_H

#define PR_PROTOCOL_VERSION 1

#define PR_DEFAULT_SOCKET "/run/podrail/control.sock"
#define PR_DEFAULT_RUN    "/run/podrail"
#define PR_DEFAULT_STATE  "/var/lib/podrail"

#define PR_NAME_MAX      63        /* characters of an object's name */
#define PR_MESSAGE_MAX   (1 << 20) /* bytes of one request line */
#define PR_BATCH_MAX     1000      /* requests of one line */
#define PR_REPLY_BACKLOG (4 << 20) /* bytes a client may leave unread */
#define PR_CLIENTS_MAX   256

enum pr_error_code {
	PR_ERR_PARSE = -32700,
	PR_ERR_REQUEST = -32600,
	PR_ERR_METHOD = -32601,
	PR_ERR_PARAMS = -32602,
	PR_ERR_INTERNAL = -32603,
	PR_ERR_DENIED = -32001,
	PR_ERR_EXISTS = -32010,
	PR_ERR_NOT_FOUND = -32011,
	PR_ERR_IN_USE = -32012,
	PR_ERR_FULL = -32013,
	PR_ERR_CONFLICT = -32014,
	PR_ERR_UNUSABLE = -32015,
	PR_ERR_BUSY = -32016,
	PR_ERR_STORAGE = -32017,
};

/* What an object's name may be: 1 to PR_NAME_MAX of [A-Za-z0-9_.-], the first a letter or digit. */
static inline int pr_name_valid(const char *name)
{
	int n = 0;

	for (; name[n]; n++) {
		char c = name[n];
		int alnum =
		        (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');

		if (n >= PR_NAME_MAX || !(alnum || (n && (c == '_' || c == '.' || c == '-'))))
			return 0;
	}
	return n > 0;
}

#endif
