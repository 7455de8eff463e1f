/* SPDX-License-Identifier: BSD-3-Clause */
#include "control/config.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <syslog.h>
#include <unistd.h>

#include <podrail/protocol.h>

#include "control/config_internal.h"
#include "control/verbs.h"

#define FIB_NODES_MIN 64

const struct config_level config_levels[] = {
        {"error", LOG_ERR},
        {"warning", LOG_WARNING},
        {"info", LOG_INFO},
        {"debug", LOG_DEBUG},
        {NULL, 0},
};

int config_fail(struct config_error *error, const char *field, const char *format, ...)
{
	va_list args;

	snprintf(error->field, sizeof(error->field), "%s", field);
	va_start(args, format);
	vsnprintf(error->message, sizeof(error->message), format, args);
	va_end(args);
	return -EINVAL;
}

/* ---- one function a type ---- */

static int take_path(const struct config_option *option, const cJSON *item, void *target,
        struct config_error *error)
{
	const char *text = cJSON_IsString(item) ? item->valuestring : "";
	size_t size = strlen(text);

	/* Names of up to 48 characters are made in these directories. */
	if (text[0] != '/' || size > CONFIG_PATH_MAX - 48)
		return config_fail(error, option->path,
		        "must be an absolute path of at most %d"
		        " characters",
		        CONFIG_PATH_MAX - 48);
	while (size > 1 && text[size - 1] == '/')
		size--;
	memcpy(target, text, size);
	((char *)target)[size] = '\0';
	return 0;
}

static int take_bool(const struct config_option *option, const cJSON *item, void *target,
        struct config_error *error)
{
	if (!cJSON_IsBool(item))
		return config_fail(error, option->path, "must be true or false");
	*(bool *)target = cJSON_IsTrue(item);
	return 0;
}

/* hugepages is written the other way round than dp_config has it. */
static int take_not(const struct config_option *option, const cJSON *item, void *target,
        struct config_error *error)
{
	int rc = take_bool(option, item, target, error);

	if (!rc)
		*(bool *)target = !*(bool *)target;
	return rc;
}

static int take_unsigned(const struct config_option *option, const cJSON *item, void *target,
        struct config_error *error)
{
	double value = cJSON_IsNumber(item) ? item->valuedouble : -1;

	if (!(value >= option->min && value <= option->max) || value != (double)(unsigned)value)
		return config_fail(error, option->path, "must be a whole number from %u to %u",
		        option->min, option->max);
	*(unsigned *)target = (unsigned)value;
	return 0;
}

static int take_group(const struct config_option *option, const cJSON *item, void *target,
        struct config_error *error)
{
	if (!cJSON_IsString(item) || strlen(item->valuestring) >= 64)
		return config_fail(error, option->path, "must be a group's name or number as text");
	strcpy(target, item->valuestring);
	return 0;
}

static int take_mode(const struct config_option *option, const cJSON *item, void *target,
        struct config_error *error)
{
	const char *text = cJSON_IsString(item) ? item->valuestring : "";
	char *end;
	unsigned long mode = strtoul(text, &end, 8);

	if (strlen(text) < 3 || strlen(text) > 4 || *end || mode > 0777 || text[0] == '-' ||
	        text[0] == '+')
		return config_fail(error, option->path,
		        "must be an octal file mode as text, such as \"0660\"");
	*(mode_t *)target = (mode_t)mode;
	return 0;
}

static int take_idle(const struct config_option *option, const cJSON *item, void *target,
        struct config_error *error)
{
	const char *text = cJSON_IsString(item) ? item->valuestring : "";

	if (strcmp(text, "poll") && strcmp(text, "sleep"))
		return config_fail(error, option->path, "must be \"poll\" or \"sleep\"");
	*(enum dp_idle *)target = strcmp(text, "poll") ? DP_IDLE_SLEEP : DP_IDLE_POLL;
	return 0;
}

static int take_level(const struct config_option *option, const cJSON *item, void *target,
        struct config_error *error)
{
	for (unsigned i = 0; cJSON_IsString(item) && config_levels[i].name; i++)
		if (!strcmp(item->valuestring, config_levels[i].name)) {
			*(int *)target = config_levels[i].priority;
			return 0;
		}
	return config_fail(
	        error, option->path, "must be \"error\", \"warning\", \"info\" or \"debug\"");
}

/* Kept for config_cpus.c, which knows the other CPU options too. */
static int take_item(const struct config_option *option, const cJSON *item, void *target,
        struct config_error *error)
{
	(void)option;
	(void)error;
	*(const cJSON **)target = item;
	return 0;
}

static int take_array(const struct config_option *option, const cJSON *item, void *target,
        struct config_error *error)
{
	if (!cJSON_IsArray(item))
		return config_fail(error, option->path, "must be an array of objects");
	*(cJSON **)target = cJSON_Duplicate(item, 1);
	return *(cJSON **)target ? 0 : config_fail(error, option->path, "no memory");
}

/* ---- the options: docs/configuration.md has the same list ---- */

#define CONFIG(member) offsetof(struct parsed, config.member)
#define PARSED(member) offsetof(struct parsed, member)

static const struct config_option limits[] = {
        {"routes", "limits.routes", take_unsigned, CONFIG(dp.max_routes), 16, 8u << 20},
        {"routes6", "limits.routes6", take_unsigned, CONFIG(dp.max_routes6), 16, 4u << 20},
        {"fibNodes", "limits.fibNodes", take_unsigned, CONFIG(dp.max_fib_nodes), 0, 4u << 20},
        {"macs", "limits.macs", take_unsigned, CONFIG(dp.max_fdb), 64, 4u << 20},
        {"neighbours", "limits.neighbours", take_unsigned, CONFIG(dp.max_neighbours), 16, 1u << 20},
        {"multicastGroups", "limits.multicastGroups", take_unsigned, CONFIG(dp.max_multicast), 16,
                65536},
        {"reassemblyDatagrams", "limits.reassemblyDatagrams", take_unsigned,
                CONFIG(dp.max_reassemblies), 16, 8192},
        {"reassemblyBytes", "limits.reassemblyBytes", take_unsigned,
                CONFIG(dp.max_reassembly_bytes), 1u << 19, 1u << 30},
        {"groups", "limits.groups", take_unsigned, CONFIG(dp.max_groups), 16, 32768},
        {"mbufs", "limits.mbufs", take_unsigned, CONFIG(dp.mbufs), 0, 16u << 20},
        {NULL},
};

static const struct config_option options[] = {
        {"runDir", "runDir", take_path, CONFIG(run_dir)},
        {"stateDir", "stateDir", take_path, CONFIG(state_dir)},
        {"workers", "workers", take_item, PARSED(workers)},
        {"controlCpu", "controlCpu", take_item, PARSED(control_cpu)},
        {"idle", "idle", take_idle, CONFIG(dp.idle)},
        {"rebalance", "rebalance", take_unsigned, CONFIG(rebalance), 0, 3600},
        {"memory", "memory", take_unsigned, CONFIG(dp.memory_mib), 0, 1u << 20},
        {"hugepages", "hugepages", take_not, CONFIG(dp.no_huge)},
        {"socketGroup", "socketGroup", take_group, CONFIG(socket_group)},
        {"socketMode", "socketMode", take_mode, CONFIG(socket_mode)},
        {"readGroup", "readGroup", take_group, CONFIG(read_group)},
        {"durable", "durable", take_bool, CONFIG(durable)},
        {"logLevel", "logLevel", take_level, CONFIG(log_level)},
        {"limits", "limits", take_item, PARSED(limits)},
        {"networks", "networks", take_array, CONFIG(networks)},
        {"ports", "ports", take_array, CONFIG(ports)},
        {"routes", "routes", take_array, CONFIG(routes)},
        {NULL},
};

static int unknown(const char *path, const struct config_option *table, const char *name,
        struct config_error *error)
{
	const char *names[32], *near;
	char field[128];
	unsigned n = 0;

	for (; table[n].name; n++)
		names[n] = table[n].name;
	snprintf(field, sizeof(field), "%s%.64s", path, name);
	near = verb_nearest(name, names, n);
	return near ? config_fail(error, field, "is no option (did you mean \"%s\"?)", near)
	            : config_fail(error, field, "is no option: see docs/configuration.md");
}

/* path: "" or "limits.". */
static int take_object(const cJSON *json, const char *path, const struct config_option *table,
        struct parsed *parsed, struct config_error *error)
{
	const struct config_option *option;
	unsigned seen = 0;
	const cJSON *item;
	int rc;

	cJSON_ArrayForEach (item, json) {
		for (option = table; option->name && strcmp(option->name, item->string); option++)
			;
		if (!option->name)
			return unknown(path, table, item->string, error);
		if (seen & 1u << (option - table))
			return config_fail(error, option->path, "is there twice");
		seen |= 1u << (option - table);
		rc = option->take(option, item, (char *)parsed + option->offset, error);
		if (rc)
			return rc;
	}
	return 0;
}

static int take_limits(struct parsed *parsed, struct config_error *error)
{
	unsigned *mbufs = &parsed->config.dp.mbufs;
	int rc;

	if (!parsed->limits)
		return 0;
	if (!cJSON_IsObject(parsed->limits))
		return config_fail(error, "limits", "must be an object");
	rc = take_object(parsed->limits, "limits.", limits, parsed, error);
	if (!rc && *mbufs && *mbufs < 1024)
		return config_fail(error, "limits.mbufs",
		        "must be 0 (what the ports need) or at"
		        " least 1024");
	return rc;
}

/* Enough for any routes up to /24, which need one node for each /16 that has such below it, and for
 * longer ones in one /24 for each 32 routes; a route needs two at most. */
static unsigned fib_nodes_for(unsigned routes)
{
	unsigned nodes = 65536 + routes / 32;

	nodes = routes < nodes / 2 ? 2 * routes : nodes;
	return nodes < FIB_NODES_MIN ? FIB_NODES_MIN : nodes;
}

static int take_fib_nodes(struct dp_config *dp, struct config_error *error)
{
	if (dp->max_fib_nodes && dp->max_fib_nodes < FIB_NODES_MIN)
		return config_fail(error, "limits.fibNodes",
		        "must be 0 (what limits.routes needs) or at least %d", FIB_NODES_MIN);
	if (!dp->max_fib_nodes)
		dp->max_fib_nodes = fib_nodes_for(dp->max_routes);
	return 0;
}

static void set_defaults(struct daemon_config *config)
{
	memset(config, 0, sizeof(*config));
	strcpy(config->run_dir, PR_DEFAULT_RUN);
	strcpy(config->state_dir, PR_DEFAULT_STATE);
	config->socket_gid = config->read_gid = CONFIG_NO_GROUP;
	config->socket_mode = CONFIG_NO_MODE;
	config->log_level = LOG_INFO;
	config->dp.idle = DP_IDLE_POLL;
	config->dp.max_routes = 131072;
	config->dp.max_routes6 = 32768;
	config->dp.max_fdb = 65536;
	config->dp.max_neighbours = 16384;
	config->dp.max_multicast = 4096;
	config->dp.max_reassemblies = 1024;
	config->dp.max_reassembly_bytes = 4u << 20;
	config->dp.max_groups = 512;
}

int config_parse(const cJSON *json, struct daemon_config *config, struct config_error *error)
{
	struct parsed parsed = {0};
	int rc = 0;

	memset(error, 0, sizeof(*error));
	set_defaults(&parsed.config);
	if (json && !cJSON_IsObject(json))
		rc = config_fail(error, "", "the configuration must be one JSON object");
	if (!rc)
		rc = take_object(json, "", options, &parsed, error);
	if (!rc)
		rc = take_limits(&parsed, error);
	if (!rc)
		rc = take_fib_nodes(&parsed.config.dp, error);
	if (!rc)
		rc = config_take_cpus(&parsed, error);
	if (!rc)
		rc = config_take_groups(&parsed.config, error);
	if (!rc)
		rc = config_check_objects(&parsed.config, error);
	if (rc) {
		config_free(&parsed.config);
		memset(config, 0, sizeof(*config));
		return rc;
	}
	memcpy(parsed.config.dp.run_dir, parsed.config.run_dir, sizeof(parsed.config.dp.run_dir));
	*config = parsed.config;
	return 0;
}

/* Reads the whole file. Returns 0 or a negative errno; text is the caller's to free. */
static int read_file(const char *path, char **text, size_t *size)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	struct stat st;
	int rc = 0;

	*text = NULL;
	*size = 0;
	if (fd < 0)
		return -errno;
	if (fstat(fd, &st))
		rc = -errno;
	else if (S_ISDIR(st.st_mode))
		rc = -EISDIR;
	*text = rc ? NULL : malloc(CONFIG_FILE_MAX + 1);
	while (*text && *size <= CONFIG_FILE_MAX) {
		ssize_t n = read(fd, *text + *size, CONFIG_FILE_MAX + 1 - *size);

		if (n < 0)
			rc = -errno;
		if (n <= 0)
			break;
		*size += (size_t)n;
	}
	close(fd);
	if (!rc && !*text)
		rc = -ENOMEM;
	if (!rc && *size > CONFIG_FILE_MAX)
		rc = -EFBIG;
	return rc;
}

/* The parser counts bytes; people count lines. */
static unsigned line_of(const char *text, size_t size, const char *message)
{
	size_t byte = 0;
	unsigned number = 1;

	if (sscanf(message, "byte %zu", &byte) != 1)
		return 0;
	for (size_t i = 0; i + 1 < byte && i < size; i++)
		number += text[i] == '\n';
	return number;
}

int config_load(
        const char *path, bool optional, struct daemon_config *config, struct config_error *error)
{
	struct verb_error parse = {0};
	cJSON *json = NULL;
	char *text;
	size_t size;
	int rc;

	memset(error, 0, sizeof(*error));
	rc = read_file(path, &text, &size);
	if (rc == -ENOENT && optional)
		return config_parse(NULL, config, error);
	if (rc) {
		free(text);
		return config_fail(error, "", "the file can not be read: %s", strerror(-rc));
	}
	json = verb_parse(text, size, &parse);
	if (json)
		rc = config_parse(json, config, error);
	else
		rc = config_fail(error, "", "line %u: this is not JSON (%s)",
		        line_of(text, size, parse.message), parse.message);
	cJSON_Delete(json);
	free(text);
	return rc;
}

void config_free(struct daemon_config *config)
{
	cJSON_Delete(config->networks);
	cJSON_Delete(config->ports);
	cJSON_Delete(config->routes);
	config->networks = config->ports = config->routes = NULL;
}
