/* SPDX-License-Identifier: BSD-3-Clause */
/* Runs another plugin: configuration on stdin, answer from stdout, stderr passed through. */
#ifndef CNI_EXEC_H
#define CNI_EXEC_H

#include "cni/cni.h"

struct cni_output {
	char *text; /* NUL-terminated, free() */
	size_t length;
	int status; /* exit status; 128 + signal */
};

/* Looks for an executable file of that name in the directories of CNI_PATH.
 * Returns 0 or -ENOENT. */
int cni_exec_find(const char *cni_path, const char *name, char path[CNI_PATH_SIZE]);

/* A plugin that runs. */
struct cni_child {
	pid_t pid;
	int pidfd;
	int fd;           /* its stdout */
	int64_t deadline; /* ms of CLOCK_MONOTONIC */
	bool ended;       /* or has failed */
	int failure;      /* a negative errno */
	struct cni_output out;
};

/* Starts it with our environment and CNI_COMMAND=command. Returns 0 or a negative errno; after 0
 * cni_exec_finish must follow. */
int cni_exec_start(const char *path, const char *command, const char *input, size_t length,
        int timeout_ms, struct cni_child *child);

/* Waits until whole() is true of what it has printed so far, or until its end: then false, and
 * cni_exec_finish says how it ended. text has no NUL at its end. */
bool cni_exec_hear(struct cni_child *child,
        bool (*whole)(const char *text, size_t length, void *data), void *data);

/* Waits for its end. Kills its process group at the deadline (-ETIMEDOUT) and when it prints more
 * than CNI_INPUT_MAX (-EFBIG). out is filled on 0 only. */
int cni_exec_finish(struct cni_child *child, struct cni_output *out);

/* Both. */
int cni_exec(const char *path, const char *command, const char *input, size_t length,
        int timeout_ms, struct cni_output *out);

#endif
