/* SPDX-License-Identifier: BSD-3-Clause */
/* Owners of routes: strings towards clients, numbers towards the data plane. 0 is "static". */
#include "control/object.h"

#include <stdlib.h>
#include <string.h>

#define OWNERS_MAX   254
#define OWNER_STATIC "static"

static char owners[OWNERS_MAX]
                  [PR_OWNER_MAX + 1]; /* "" is free; [0] stays so: it has its own name */

int owner_find(const char *name)
{
	if (!strcmp(name, OWNER_STATIC))
		return 0;
	for (int i = 1; *name && i < OWNERS_MAX; i++) {
		if (!strcmp(owners[i], name))
			return i;
	}
	return -1;
}

const char *owner_name(uint8_t number)
{
	if (!number)
		return OWNER_STATIC;
	return number < OWNERS_MAX ? owners[number] : "";
}

struct dp_table_fill owner_fill(void)
{
	struct dp_table_fill fill = {.size = OWNERS_MAX - 1};

	for (int i = 1; i < OWNERS_MAX; i++)
		fill.used += owners[i][0] != '\0';
	return fill;
}

static bool owner_unused(uint8_t number)
{
	size_t n;
	struct network **networks = network_sorted(&n);
	bool used = route_sync_owner_busy(number);

	for (size_t i = 0; i < n && !used; i++) {
		struct dp_route route;

		used = networks[i]->spec.routed &&
		       dp_route_list(networks[i]->spec.index, number, NULL, &route, 1);
	}
	free(networks);
	return !used;
}

/* A free number, if need be one whose routes are all gone. */
static int owner_free_number(void)
{
	for (int i = 1; i < OWNERS_MAX; i++) {
		if (!owners[i][0])
			return i;
	}
	for (int i = 1; i < OWNERS_MAX; i++) {
		if (owner_unused((uint8_t)i))
			return i;
	}
	return -1;
}

int owner_number(struct request *request, const char *name, uint8_t *number)
{
	int found;

	if (!strcmp(name, "port") || !strcmp(name, "connected"))
		return request_fail(request, PR_ERR_PARAMS, "owner",
		        "\"%s\" is what podrail calls its own routes; choose another owner", name);
	if (!pr_name_valid(name) || strlen(name) > PR_OWNER_MAX)
		return request_fail(request, PR_ERR_PARAMS, "owner",
		        "an owner is 1 to %u letters, digits, '_', '.' and '-'", PR_OWNER_MAX);
	found = owner_find(name);
	if (found < 0) {
		found = owner_free_number();
		if (found < 0)
			return request_fail(request, PR_ERR_FULL, "owner",
			        "%u owners have routes already; remove those of one first",
			        OWNERS_MAX - 1);
		strcpy(owners[found], name);
	}
	*number = (uint8_t)found;
	return 0;
}

void owner_free_all(void)
{
	memset(owners, 0, sizeof(owners));
}
