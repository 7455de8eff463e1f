/* SPDX-License-Identifier: BSD-3-Clause */
#include "control/file_objects.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <syslog.h>

#include "control/control.h"

/* In the state database: kind "file-network" or "file-port", key the name, body {"index": N}. */
struct kind {
	const char *array;  /* "networks" */
	const char *member; /* "network": the answer's member and the kind of stored ones */
	const char *memory; /* "file-network" */
	const char *method;
	unsigned limit; /* indexes are below */
};

static const struct kind networks = {
        "networks", "network", "file-network", "network.add", PR_NETWORKS_MAX};
static const struct kind ports = {"ports", "port", "file-port", "port.add", PR_PORTS_MAX};
static const struct kind routes = {"routes", "route", NULL, "route.add", 0};

/* Indexes that objects of one kind have or had in an earlier life. */
struct indexes {
	const cJSON *array; /* the file's */
	cJSON *known;       /* name: index, of the file's objects: as before or as given by now */
	cJSON *forgotten;   /* names that the file has no more */
	bool stored[PR_PORTS_MAX > PR_NETWORKS_MAX ? PR_PORTS_MAX : PR_NETWORKS_MAX];
	bool any_stored;
	unsigned limit;
};

static bool in_file(const cJSON *array, const char *name)
{
	const cJSON *item;

	cJSON_ArrayForEach (item, array) {
		const cJSON *own = cJSON_GetObjectItemCaseSensitive(item, "name");

		if (cJSON_IsString(own) && !strcmp(own->valuestring, name))
			return true;
	}
	return false;
}

static int index_of(const cJSON *body, unsigned limit)
{
	const cJSON *item = cJSON_GetObjectItemCaseSensitive(body, "index");

	if (!cJSON_IsNumber(item) || item->valuedouble < 0 || item->valuedouble >= limit)
		return -1;
	return item->valueint;
}

static int known_index(const struct indexes *indexes, const char *name)
{
	const cJSON *known = cJSON_GetObjectItemCaseSensitive(indexes->known, name);

	return known ? known->valueint : -1;
}

/* A stored object that the file has too gives way to the file's, which gets its index; it comes
 * back with it when the file no longer has that name. */
static void see_stored(void *arg, const char *key, const cJSON *body)
{
	struct indexes *indexes = arg;
	int index = index_of(body, indexes->limit);
	bool ours = in_file(indexes->array, key);

	if (index < 0)
		return;
	if (ours && known_index(indexes, key) < 0)
		cJSON_AddNumberToObject(indexes->known, key, index);
	else if (!ours || known_index(indexes, key) != index)
		indexes->stored[index] = true;
	indexes->any_stored = true;
}

static void see_remembered(void *arg, const char *key, const cJSON *body)
{
	struct indexes *indexes = arg;
	int index = index_of(body, indexes->limit);

	if (index >= 0 && in_file(indexes->array, key))
		cJSON_AddNumberToObject(indexes->known, key, index);
	else
		cJSON_AddItemToArray(indexes->forgotten, cJSON_CreateString(key));
}

static bool is_taken(const struct indexes *indexes, int index)
{
	const cJSON *item;

	if (indexes->stored[index])
		return true;
	cJSON_ArrayForEach (item, indexes->known)
		if (item->valueint == index)
			return true;
	return false;
}

/* The index to ask for, or -1 when any will do. A new object must not take one that a stored
 * object, replayed later, comes back with. */
static int choose_index(const struct indexes *indexes, const char *name)
{
	int known = known_index(indexes, name);

	if (known >= 0 && !indexes->stored[known])
		return known;
	if (!indexes->any_stored && !indexes->known->child)
		return -1;
	for (int index = (int)indexes->limit - 1; index > 0; index--)
		if (is_taken(indexes, index) && index + 1 < (int)indexes->limit &&
		        !is_taken(indexes, index + 1))
			return index + 1;
	for (int index = (int)indexes->limit - 1; index > 0; index--)
		if (!is_taken(indexes, index))
			return index;
	return -1;
}

static const struct method *find_method(const char *name)
{
	for (unsigned i = 0; i < n_methods; i++)
		if (!strcmp(methods[i].name, name))
			return &methods[i];
	return NULL;
}

static int remember(
        const struct kind *kind, struct indexes *indexes, const char *name, const cJSON *result)
{
	const cJSON *answer = cJSON_GetObjectItemCaseSensitive(result, kind->member);
	int rc, index = index_of(answer, kind->limit);
	cJSON *body;

	if (!indexes || index < 0)
		return 0;
	cJSON_DeleteItemFromObjectCaseSensitive(indexes->known, name);
	cJSON_AddNumberToObject(indexes->known, name, index);
	body = cJSON_CreateObject();
	cJSON_AddNumberToObject(body, "index", index);
	rc = state_put(kind->memory, name, body);
	cJSON_Delete(body);
	return rc;
}

static int refused(
        const struct kind *kind, int i, const struct request *request, struct config_error *error)
{
	snprintf(error->field, sizeof(error->field), "%s[%d]%s%.90s", kind->array, i,
	        request->field[0] ? "." : "", request->field);
	snprintf(error->message, sizeof(error->message), "%s", request->message);
	return -EINVAL;
}

static int apply_one(const struct kind *kind, struct indexes *indexes, const cJSON *item, int i,
        struct config_error *error)
{
	const cJSON *name = cJSON_GetObjectItemCaseSensitive(item, "name");
	const struct method *method = find_method(kind->method);
	struct request request = {.replay = true, .result = cJSON_CreateObject()};
	cJSON *params = cJSON_Duplicate(item, 1);
	int index = indexes && name ? choose_index(indexes, name->valuestring) : -1;
	int rc = -ENOMEM;

	if (params && request.result && method) {
		if (index >= 0)
			cJSON_AddNumberToObject(params, "index", index);
		request.params = params;
		rc = method->run(&request);
		if (rc)
			rc = refused(kind, i, &request, error);
		else if (name)
			rc = remember(kind, indexes, name->valuestring, request.result);
	}
	cJSON_Delete(params);
	cJSON_Delete(request.result);
	return rc;
}

static int load_indexes(const struct kind *kind, const cJSON *array, struct indexes *indexes)
{
	const cJSON *item;
	int rc = 0;

	*indexes = (struct indexes){.array = array,
	        .limit = kind->limit,
	        .known = cJSON_CreateObject(),
	        .forgotten = cJSON_CreateArray()};
	if (!indexes->known || !indexes->forgotten)
		return -ENOMEM;
	rc = state_each(kind->memory, see_remembered, indexes);
	if (!rc)
		rc = state_each(kind->member, see_stored, indexes);
	cJSON_ArrayForEach (item, indexes->forgotten)
		rc = rc ? rc : state_del(kind->memory, item->valuestring);
	return rc;
}

static int apply_kind(const struct kind *kind, const cJSON *array, struct config_error *error)
{
	struct indexes *indexes = NULL;
	const cJSON *item;
	int rc = 0, i = 0;

	if (kind->memory) {
		indexes = malloc(sizeof(*indexes));
		rc = indexes ? load_indexes(kind, array, indexes) : -ENOMEM;
	}
	cJSON_ArrayForEach (item, array) {
		if (rc)
			break;
		rc = apply_one(kind, indexes, item, i++, error);
	}
	if (indexes) {
		cJSON_Delete(indexes->known);
		cJSON_Delete(indexes->forgotten);
	}
	free(indexes);
	return rc;
}

int file_objects_apply(const struct daemon_config *config, struct config_error *error)
{
	int rc;

	memset(error, 0, sizeof(*error));
	rc = state_begin();
	if (rc)
		return rc;
	rc = apply_kind(&networks, config->networks, error);
	if (!rc)
		rc = apply_kind(&ports, config->ports, error);
	if (!rc)
		rc = apply_kind(&routes, config->routes, error);
	if (!rc)
		return state_commit();
	state_rollback();
	return rc;
}
