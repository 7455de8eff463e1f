/* SPDX-License-Identifier: BSD-3-Clause */
/* Start-up: what is stored goes through the same methods as what the socket brings. */
#include "control/object.h"
#include "control/verbs.h"

#include <stdlib.h>
#include <string.h>
#include <syslog.h>

/* Objects that could not be restored: still stored, so that they can be added again or removed. */
static struct map failed;

struct replay_item {
	struct replay_item *next;
	char *key;
	cJSON *body;
};

struct replay_kind {
	const char *kind;
	const char *method;
	method_fn *run;
};

/* In the order in which they need one another. */
static const struct replay_kind replay_kinds[] = {
        {KIND_NETWORK, "network.add", network_add},
        {KIND_PORT, "port.add", port_add},
        {KIND_ROUTE, "route.add", route_add},
        {KIND_NEIGHBOUR, "neighbour.add", neighbour_add},
        {KIND_FDB, "fdb.add", fdb_add},
};

static char *failed_key(const char *kind, const char *key)
{
	char *text = NULL;

	return asprintf(&text, "%s %s", kind, key) < 0 ? NULL : text;
}

bool replay_forget(const char *kind, const char *key)
{
	char *text, *found;

	if (!failed.used)
		return false;
	text = failed_key(kind, key);
	found = text ? map_remove(&failed, text) : NULL;
	free(text);
	free(found);
	return found != NULL;
}

static void remember_failed(const char *kind, const char *key)
{
	char *text = failed_key(kind, key);

	if (text && (map_get(&failed, text) || map_put(&failed, text, text)))
		free(text);
}

struct replay_list {
	struct replay_item *first, **last;
};

/* The database is not touched while it is read: bodies are copied. */
static void collect(void *arg, const char *key, const cJSON *body)
{
	struct replay_list *list = arg;
	struct replay_item *item = calloc(1, sizeof(*item));

	if (!item)
		return;
	item->key = strdup(key);
	item->body = cJSON_Duplicate(body, true);
	*list->last = item;
	list->last = &item->next;
}

/* A body is checked as a request is: whatever wrote it, it can do no more than a client. */
static int check_body(const struct replay_kind *kind, const cJSON *body, struct verb_error *error)
{
	const struct verb *verb = verb_find(kind->method, error);
	cJSON *params;
	int rc;

	if (!verb)
		return -1;
	params = cJSON_Duplicate(body, true);
	verb_drop_out(verb, params);
	rc = verb_check(verb, params, error);
	cJSON_Delete(params);
	return rc;
}

static void forget_stored(const char *kind, const char *key)
{
	if (state_begin())
		return;
	if (state_del(kind, key))
		state_rollback();
	else
		state_commit();
}

/* Ports of CNI live as long as their pod: not beyond the boot. */
static bool outlived(const struct replay_kind *kind, const struct replay_item *item)
{
	const char *why = NULL;

	if (strcmp(kind->kind, KIND_PORT) || !json_has(item->body, "cni"))
		return false;
	if (strcmp(json_string(item->body, "bootId", ""), boot_id()))
		why = "it was made in another boot";
	else if (cni_pod_gone(item->body))
		why = "its pod's namespace and directory are gone";
	if (!why)
		return false;
	log_message(LOG_NOTICE, "port %s is dropped: %s", item->key, why);
	forget_stored(kind->kind, item->key);
	return true;
}

static int replay_one(const struct replay_kind *kind, const struct replay_item *item)
{
	struct verb_error error = {0};
	char what[OBJECT_KEY_MAX + 64];

	if (outlived(kind, item))
		return 0;
	snprintf(what, sizeof(what), "%s %s could not be restored and stays stored", kind->kind,
	        item->key);
	if (check_body(kind, item->body, &error))
		log_message(LOG_ERR, "%s: %s%s%s", what, error.field, error.field[0] ? ": " : "",
		        error.message);
	else if (!object_run(kind->run, item->body, what))
		return 0;
	remember_failed(kind->kind, item->key);
	return -1;
}

unsigned objects_replay(void)
{
	unsigned failures = 0;

	for (size_t i = 0; i < sizeof(replay_kinds) / sizeof(replay_kinds[0]); i++) {
		struct replay_list list = {.last = &list.first};
		int rc;

		list.first = NULL;
		rc = state_each(replay_kinds[i].kind, collect, &list);
		if (rc) {
			log_message(LOG_ERR, "the stored %ss can not be read: %s",
			        replay_kinds[i].kind, strerror(-rc));
			failures++;
		}
		while (list.first) {
			struct replay_item *item = list.first;

			list.first = item->next;
			failures += item->key && replay_one(&replay_kinds[i], item) != 0;
			cJSON_Delete(item->body);
			free(item->key);
			free(item);
		}
	}
	return failures;
}

void objects_client_gone(struct client *client)
{
	route_sync_client_gone(client);
	stats_client_gone(client);
}

void objects_free(void)
{
	fdb_free_all();
	neighbour_free_all();
	route_free_all();
	port_free_all();
	network_free_all();
	owner_free_all();
	map_clear(&failed, free);
}
