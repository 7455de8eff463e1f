/* SPDX-License-Identifier: BSD-3-Clause */
/* podraild: starts the parts in the order of one table, serves, stops them in reverse. */
#include <errno.h>
#include <getopt.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <syslog.h>
#include <unistd.h>

#include "control/config.h"
#include "control/control.h"
#include "control/file_objects.h"
#include "control/hugepages.h"
#include "control/instance.h"
#include "control/json.h"
#include "control/log.h"
#include "control/loop.h"
#include "control/notify.h"
#include "control/rpc.h"
#include "control/server.h"
#include "control/tombstones.h"

#define DESCRIPTORS 65536

enum { EXIT_CLEAN = 0, EXIT_START = 1, EXIT_USAGE = 2 };

static struct daemon_config config;
const struct daemon_config *daemon_config = &config;

static struct {
	const char *config_file;
	bool config_given;
	struct instance_lock run_lock, state_lock;
	bool ready;
} daemon_state = {.config_file = CONFIG_DEFAULT_FILE, .run_lock.fd = -1, .state_lock.fd = -1};

bool daemon_ready(void)
{
	return daemon_state.ready;
}

/* ---- the parts ---- */

static int load_config(void)
{
	struct config_error error;

	if (!config_load(daemon_state.config_file, !daemon_state.config_given, &config, &error))
		return 0;
	log_message(LOG_ERR, "%s: %s%s%s", daemon_state.config_file, error.field,
	        error.field[0] ? ": " : "", error.message);
	return -EINVAL;
}

static int start_config(void)
{
	log_level_set(config.log_level);
	return 0;
}

static void stop_config(void)
{
	config_free(&config);
}

static int lock_directory(
        const char *option, const char *directory, mode_t mode, struct instance_lock *lock)
{
	pid_t holder;
	int rc;

	rc = instance_directory(directory, mode);
	if (!rc)
		rc = instance_lock(lock, directory, &holder);
	if (rc == -EBUSY)
		log_message(LOG_ERR, "podraild is running already: process %ld holds %s (%s %s)",
		        (long)holder, lock->path, option, directory);
	else if (rc)
		log_message(LOG_ERR, "%s %s can not be used: %s", option, directory, strerror(-rc));
	return rc;
}

/* What a killed daemon left: we hold the lock, so nobody listens there. */
static void remove_stale_socket(void)
{
	char path[CONFIG_PATH_MAX + 16];
	struct stat st;

	snprintf(path, sizeof(path), "%s/control.sock", config.run_dir);
	if (!lstat(path, &st) && S_ISSOCK(st.st_mode))
		unlink(path);
}

static int start_instance(void)
{
	int rc;

	rc = lock_directory("runDir", config.run_dir, 0755, &daemon_state.run_lock);
	if (!rc && strcmp(config.run_dir, config.state_dir))
		rc = lock_directory("stateDir", config.state_dir, 0700, &daemon_state.state_lock);
	if (rc)
		instance_unlock(&daemon_state.run_lock);
	else
		remove_stale_socket();
	return rc;
}

static void stop_instance(void)
{
	instance_unlock(&daemon_state.state_lock);
	instance_unlock(&daemon_state.run_lock);
}

static int start_state(void)
{
	return state_open(config.state_dir, config.durable);
}

static int start_tombstones(void)
{
	int n = tombstones_apply(config.state_dir);

	if (n < 0)
		log_message(LOG_ERR, "tombstones of %s can not be applied: %s", config.state_dir,
		        strerror(-n));
	return n < 0 ? n : 0;
}

/* From here on threads that others start (SQLite, DPDK's) stay off the workers' CPUs. */
static int start_affinity(void)
{
	cpu_set_t cpu;

	CPU_ZERO(&cpu);
	CPU_SET(config.dp.control_cpu, &cpu);
	if (!sched_setaffinity(0, sizeof(cpu), &cpu))
		return 0;
	log_message(LOG_ERR, "the control thread can not run on CPU %d: %s", config.dp.control_cpu,
	        strerror(errno));
	return -errno;
}

static int check_memory(uint64_t needed)
{
	uint64_t available;
	char advice[512];

	if (config.dp.no_huge) {
		log_message(LOG_WARNING,
		        "taking %.0f MiB of ordinary memory (hugepages: false): slow, for trying"
		        " out",
		        (double)needed / (1 << 20));
		return 0;
	}
	if (hugepages_check(needed, &available, advice, sizeof(advice))) {
		log_message(LOG_ERR, "%s", advice);
		return -ENOMEM;
	}
	log_message(LOG_INFO, "taking %.0f MiB of hugepage memory (%.0f MiB are free)",
	        (double)needed / (1 << 20), (double)available / (1 << 20));
	return 0;
}

/* Which member of a group of next hops a flow takes hangs on this number: it is made once. */
static uint32_t flow_seed(void)
{
	cJSON *body = state_get("daemon", "flowSeed");
	int64_t stored = json_integer(body, "seed", -1);
	bool known = stored >= 0 && stored <= UINT32_MAX;
	uint32_t seed = known ? (uint32_t)stored : 0;

	cJSON_Delete(body);
	if (known || getrandom(&seed, sizeof(seed), 0) != sizeof(seed) || state_begin())
		return seed;
	body = cJSON_CreateObject();
	cJSON_AddNumberToObject(body, "seed", seed);
	if (state_put("daemon", "flowSeed", body) || state_commit()) {
		state_rollback();
		log_message(LOG_WARNING, "flows over several next hops may move at the next start: "
		                         "their seed could not be stored");
	}
	cJSON_Delete(body);
	return seed;
}

static int start_dataplane(void)
{
	struct dp_error error = {0};
	int rc;

	rc = check_memory(dp_memory_needed(&config.dp));
	if (rc)
		return rc;
	config.dp.log = log_text;
	config.dp.flow_seed = flow_seed();
	rc = dp_start(&config.dp, &error);
	if (rc)
		log_message(LOG_ERR, "%s",
		        error.message[0] ? error.message : "the data plane does not start");
	return rc;
}

static int start_objects(void)
{
	struct config_error error = {0};
	unsigned failed;
	int rc;

	rc = file_objects_apply(&config, &error);
	if (rc) {
		log_message(LOG_ERR, "%s: %s: %s", daemon_state.config_file,
		        error.field[0] ? error.field : "its objects",
		        error.message[0] ? error.message : strerror(-rc));
		return rc;
	}
	failed = objects_replay();
	if (failed)
		log_message(LOG_ERR,
		        "%u stored objects could not be restored (the reasons are above); they stay"
		        " stored and are tried again at the next start",
		        failed);
	dp_open();
	return 0;
}

static int start_server(void)
{
	char path[CONFIG_PATH_MAX + 16];
	struct server_options options = {
	        .path = path,
	        .mode = config.socket_mode,
	        .group = config.socket_gid,
	        .read_group = config.read_gid,
	        .hold = rpc_hold,
	        .flush = rpc_flush,
	        .gone = objects_client_gone,
	};
	int rc;

	snprintf(path, sizeof(path), "%s/control.sock", config.run_dir);
	rc = server_start(&options);
	if (rc)
		log_message(LOG_ERR, "%s can not be made: %s", path, strerror(-rc));
	return rc;
}

static int start_ready(void)
{
	char text[512];
	int rc;

	daemon_state.ready = true;
	snprintf(text, sizeof(text),
	        "READY=1\nMAINPID=%ld\nSTATUS=serving %s/control.sock with %u workers",
	        (long)getpid(), config.run_dir, config.dp.n_workers);
	rc = notify_send(text);
	if (rc < 0)
		log_message(
		        LOG_WARNING, "the service manager could not be told: %s", strerror(-rc));
	log_message(
	        LOG_NOTICE, "podraild %s serves %s/control.sock", PODRAIL_VERSION, config.run_dir);
	return 0;
}

static void stop_ready(void)
{
	daemon_state.ready = false;
	notify_send("STOPPING=1\nSTATUS=stopping");
}

static const struct part {
	const char *name;
	int (*start)(void); /* logs one sentence when it fails; NULL: nothing to do */
	void (*stop)(void);
} parts[] = {
        {"configuration", start_config, stop_config},
        {"instance lock", start_instance, stop_instance},
        {"control thread's CPU", start_affinity, NULL},
        {"state", start_state, state_close},
        {"tombstones", start_tombstones, NULL},
        {"what objects remember", NULL, objects_free},
        {"data plane", start_dataplane, dp_stop},
        {"objects", start_objects, NULL},
        {"server", start_server, server_stop},
        {"ready", start_ready, stop_ready},
};
#define N_PARTS (sizeof(parts) / sizeof(parts[0]))

static int run(void)
{
	unsigned started;
	int rc = 0;

	for (started = 0; started < N_PARTS && !rc; started++) {
		rc = parts[started].start ? parts[started].start() : 0;
		if (rc) {
			log_message(LOG_DEBUG, "start failed: %s", parts[started].name);
			break;
		}
		if (loop_must_stop()) {
			started++;
			goto stop;
		}
	}
	if (!rc) {
		workers_rebalance_every(config.rebalance);
		loop_serve(config.state_dir);
	}
stop:
	while (started--)
		if (parts[started].stop)
			parts[started].stop();
	loop_stop();
	return rc ? EXIT_START : EXIT_CLEAN;
}

/* ---- options ---- */

static void usage(FILE *out)
{
	fputs("usage: podraild [--config FILE] [--check]\n"
	      "  --config FILE  configuration (" CONFIG_DEFAULT_FILE "; without that file:"
	      " defaults)\n"
	      "  --check        say whether the configuration is right, and exit\n"
	      "  --version      print the version, and exit\n"
	      "  --help         print this, and exit\n"
	      "Exit status: 0 stopped cleanly, 1 start failed, 2 wrong use or configuration.\n",
	        out);
}

static int parse_options(int argc, char **argv, bool *check)
{
	static const struct option options[] = {
	        {"config", required_argument, NULL, 'c'},
	        {"check", no_argument, NULL, 'k'},
	        {"version", no_argument, NULL, 'v'},
	        {"help", no_argument, NULL, 'h'},
	        {NULL, 0, NULL, 0},
	};
	int option;

	while ((option = getopt_long(argc, argv, "c:h", options, NULL)) != -1) {
		switch (option) {
		case 'c':
			daemon_state.config_file = optarg;
			daemon_state.config_given = true;
			break;
		case 'k':
			*check = true;
			break;
		case 'v':
			puts("podraild " PODRAIL_VERSION);
			exit(EXIT_CLEAN);
		case 'h':
			usage(stdout);
			exit(EXIT_CLEAN);
		default:
			usage(stderr);
			return -EINVAL;
		}
	}
	if (optind == argc)
		return 0;
	fprintf(stderr, "podraild: unexpected argument \"%s\"\n", argv[optind]);
	usage(stderr);
	return -EINVAL;
}

/* A port with a guest takes a dozen descriptors and more, and the usual limit is 1,024. The system
 * unit asks for as many; this is for those who start it by hand. */
static void raise_descriptor_limit(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) || limit.rlim_cur >= DESCRIPTORS)
		return;
	limit.rlim_cur = limit.rlim_max < DESCRIPTORS ? limit.rlim_max : DESCRIPTORS;
	if (setrlimit(RLIMIT_NOFILE, &limit))
		log_message(LOG_WARNING, "the limit of descriptors stays: %s", strerror(errno));
}

int main(int argc, char **argv)
{
	bool check = false;

	if (parse_options(argc, argv, &check))
		return EXIT_USAGE;
	log_start();
	if (load_config())
		return EXIT_USAGE;
	if (check) {
		printf("%s: the configuration is right\n", daemon_state.config_file);
		config_free(&config);
		return EXIT_CLEAN;
	}
	raise_descriptor_limit();
	if (loop_start()) {
		log_message(LOG_ERR, "signals can not be taken: %s", strerror(errno));
		config_free(&config);
		return EXIT_START;
	}
	return run();
}
