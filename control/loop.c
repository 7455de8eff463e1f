/* SPDX-License-Identifier: BSD-3-Clause */
#include "control/loop.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <syslog.h>
#include <time.h>
#include <unistd.h>

#include "control/control.h"
#include "control/rpc.h"
#include "control/server.h"
#include "control/tombstones.h"

static int signals = -1;

int loop_start(void)
{
	sigset_t set;

	signal(SIGPIPE, SIG_IGN);
	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGHUP);
	if (sigprocmask(SIG_BLOCK, &set, NULL)) /* inherited by all threads */
		return -errno;
	signals = signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
	return signals < 0 ? -errno : 0;
}

bool loop_must_stop(void)
{
	struct signalfd_siginfo info;
	bool stop = false;

	while (read(signals, &info, sizeof(info)) == sizeof(info)) {
		if (info.ssi_signo == SIGHUP) {
			log_message(LOG_NOTICE, "SIGHUP ignored: the configuration file is read at"
			                        " start only");
			continue;
		}
		log_message(LOG_NOTICE, "%s: stopping", strsignal((int)info.ssi_signo));
		stop = true;
	}
	return stop;
}

static int delete_port(const char *port, const char *container_id)
{
	cJSON *request = cJSON_Parse("{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"port.del\"}");
	cJSON *params = cJSON_AddObjectToObject(request, "params");
	char *line, *answer = NULL;
	int rc = -EIO;
	size_t size;

	cJSON_AddStringToObject(params, "name", port);
	cJSON_AddStringToObject(params, "cniContainerId", container_id);
	line = cJSON_PrintUnformatted(request);
	if (line)
		answer = rpc_handle(NULL, RPC_ALL, line, strlen(line), &size);
	if (answer && strstr(answer, "\"result\":"))
		rc = 0;
	else
		log_message(LOG_WARNING, "tombstone of port %s: %s", port,
		        answer ? answer : "no memory");
	cJSON_free(line);
	cJSON_Delete(request);
	free(answer);
	return rc;
}

static void tick(const char *state_dir)
{
	static time_t last;
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	if (now.tv_sec == last)
		return;
	last = now.tv_sec;
	objects_tick();
	workers_tick();
	tombstones_serve(state_dir, delete_port);
}

void loop_serve(const char *state_dir)
{
	struct pollfd fds[] = {
	        {.fd = signals, .events = POLLIN},
	        {.fd = server_fd(), .events = POLLIN},
	};
	bool more = false;

	for (;;) {
		if (poll(fds, 2, more ? 0 : 1000) < 0 && errno != EINTR)
			log_message(LOG_ERR, "poll: %s", strerror(errno));
		if (loop_must_stop())
			return;
		more = server_turn();
		tick(state_dir);
	}
}

void loop_stop(void)
{
	if (signals >= 0)
		close(signals);
	signals = -1;
}
