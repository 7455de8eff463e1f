/* SPDX-License-Identifier: BSD-3-Clause */
#include "control/ctl.h"

#include <stdlib.h>
#include <string.h>

#define PAGE 10000

void ctl_complain(const char *what, const char *message, const char *field)
{
	fflush(stdout);
	fprintf(stderr, "podrailctl: %s%s%s%s%s%s\n", what ? what : "", what ? ": " : "", message,
	        *field ? " (field " : "", field, *field ? ")" : "");
}

/* Lists of routes and MAC addresses come in pages. */
static bool is_paged(const struct verb *verb, const cJSON *params)
{
	return verb->list && verb_field_find(verb, "after", NULL) &&
	       !cJSON_HasObjectItem(params, "after") && !cJSON_HasObjectItem(params, "limit");
}

static void page_json(FILE *out, const struct verb *verb, const cJSON *rows, bool first)
{
	const cJSON *row;

	if (first)
		fprintf(out, "{\n  \"%s\": [", verb->result);
	cJSON_ArrayForEach (row, rows) {
		char *text = cJSON_PrintUnformatted(row);

		fprintf(out, "%s\n    %s", first && row == rows->child ? "" : ",", text);
		free(text);
	}
}

/* Prints page after page, so that a million routes take no memory. */
static int run_pages(struct pr_client *client, const struct verb *verb, const cJSON *params,
        const struct ctl_options *options, FILE *out)
{
	char after[256] = "";
	bool first = true, any = false;

	do {
		cJSON *page = cJSON_Duplicate(params, true), *result, *rows;
		struct pr_client_error error;
		const cJSON *next;

		cJSON_AddNumberToObject(page, "limit", PAGE);
		cJSON_AddStringToObject(page, "after", after);
		result = pr_client_call(client, verb->name, page, &error);
		if (!result) {
			ctl_complain(verb->name, error.message, error.field);
			return CTL_REFUSED;
		}
		rows = cJSON_GetObjectItemCaseSensitive(result, verb->result);
		if (options->json)
			page_json(out, verb, rows, !any);
		else if (first || cJSON_GetArraySize(rows))
			ctl_table(out, verb->result, rows, first);
		any |= cJSON_GetArraySize(rows) > 0;
		if (options->json && first && !any)
			any = true;
		first = false;
		next = cJSON_GetObjectItemCaseSensitive(result, "next");
		/* A `next` that does not move on would never end. */
		if (!cJSON_IsString(next) || !strcmp(next->valuestring, after))
			after[0] = '\0';
		else
			snprintf(after, sizeof(after), "%s", next->valuestring);
		cJSON_Delete(result);
	} while (*after);
	if (options->json)
		fputs("\n  ],\n  \"next\": \"\"\n}\n", out);
	return CTL_OK;
}

int ctl_run(struct pr_client *client, const struct verb *verb, const cJSON *params,
        const struct ctl_options *options)
{
	struct pr_client_error error;
	cJSON *result;

	if (is_paged(verb, params))
		return run_pages(client, verb, params, options, stdout);
	result = pr_client_call(client, verb->name, cJSON_Duplicate(params, true), &error);
	if (!result) {
		ctl_complain(verb->name, error.message, error.field);
		return CTL_REFUSED;
	}
	if (options->json)
		ctl_print_json(stdout, result);
	else
		ctl_print(stdout, verb, params, result);
	cJSON_Delete(result);
	return CTL_OK;
}
