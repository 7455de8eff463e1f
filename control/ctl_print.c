/* SPDX-License-Identifier: BSD-3-Clause */
#include "control/ctl.h"

#include <stdlib.h>
#include <string.h>

void ctl_print_json(FILE *out, const cJSON *result)
{
	char *text = cJSON_Print(result);

	/* cJSON indents with tabs; two spaces read better in a terminal. */
	for (const char *c = text; c && *c; c++) {
		if (*c == '\t' && (c == text || c[-1] == '\n' || c[-1] == '\t'))
			fputs("  ", out);
		else if (*c == '\t')
			fputc(' ', out);
		else
			fputc(*c, out);
	}
	fputc('\n', out);
	free(text);
}

/* Strings of the answer that have lines of their own; other control characters are replaced. */
static void print_lines(FILE *out, const cJSON *text)
{
	const char *c = cJSON_IsString(text) ? text->valuestring : "";
	char last = '\n';

	for (; *c; c++) {
		last = *c;
		fputc((unsigned char)last < 0x20 && last != '\n' && last != '\t' ? '?' : last, out);
	}
	if (last != '\n')
		fputc('\n', out);
}

static size_t members_width(const cJSON *object, size_t prefix)
{
	const cJSON *item;
	size_t widest = 0;

	cJSON_ArrayForEach (item, object) {
		size_t n = prefix + strlen(item->string);

		if (cJSON_IsObject(item) && item->child)
			n = members_width(item, n + 1);
		if (n > widest)
			widest = n;
	}
	return widest;
}

static void print_members(FILE *out, const cJSON *object, const char *prefix, size_t width)
{
	char name[256], text[4096];
	const cJSON *item;

	cJSON_ArrayForEach (item, object) {
		snprintf(name, sizeof(name), "%s%s%s", prefix, *prefix ? "." : "", item->string);
		if (cJSON_IsObject(item) && item->child) {
			print_members(out, item, name, width);
			continue;
		}
		ctl_text(item, text, sizeof(text));
		fprintf(out, "%s:%*s%s\n", name,
		        (int)(width > strlen(name) ? width - strlen(name) : 0) + 1, "",
		        *text ? text : "-");
	}
}

void ctl_members(FILE *out, const cJSON *object)
{
	print_members(out, object, "", members_width(object, 0));
}

static const char *request_name(const cJSON *request)
{
	static const char *const keys[] = {"name", "prefix", "address", "mac"};

	for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
		const cJSON *value = cJSON_GetObjectItemCaseSensitive(request, keys[i]);

		if (cJSON_IsString(value))
			return value->valuestring;
	}
	return "";
}

/* "port pod1 added", "route 192.0.2.0/24 was not there", "3 entries removed". */
static void print_change(FILE *out, const struct verb *verb, const cJSON *request,
        const cJSON *value, const char *yes, const char *no)
{
	int object = (int)strcspn(verb->name, ".");
	const cJSON *item;

	if (cJSON_IsNumber(value)) {
		fprintf(out, "%.0f %s\n", value->valuedouble, yes);
	} else if (cJSON_IsArray(value)) {
		fprintf(out, "%d %s\n", cJSON_GetArraySize(value), yes);
		cJSON_ArrayForEach (item, value) {
			char text[256];

			fprintf(out, "  %s\n", ctl_text(item, text, sizeof(text)));
		}
	} else {
		fprintf(out, "%.*s %s %s\n", object, verb->name, request_name(request),
		        cJSON_IsTrue(value) ? yes : no);
	}
}

/* {"a": 1} as rows of the table "counts", under a title. */
static void print_counts(FILE *out, const char *title, const cJSON *counts)
{
	cJSON *rows;
	const cJSON *item;

	if (!counts || !counts->child)
		return;
	rows = cJSON_CreateArray();
	cJSON_ArrayForEach (item, counts) {
		cJSON *row = cJSON_CreateObject();
		char text[256];

		cJSON_AddStringToObject(row, "name", item->string);
		if (cJSON_IsNumber(item))
			cJSON_AddNumberToObject(row, "count", item->valuedouble);
		else
			cJSON_AddStringToObject(row, "count", ctl_text(item, text, sizeof(text)));
		cJSON_AddItemToArray(rows, row);
	}
	fprintf(out, "\n%s\n", title);
	ctl_table(out, "counts", rows, false);
	cJSON_Delete(rows);
}

static void print_stats(FILE *out, const cJSON *request, const cJSON *result)
{
	const cJSON *ports = cJSON_GetObjectItemCaseSensitive(result, "ports"), *port;
	const cJSON *one = cJSON_GetObjectItemCaseSensitive(request, "port");
	char title[160], name[96];

	ctl_table(out, "stats", ports, true);
	cJSON_ArrayForEach (port, ports) {
		ctl_text(cJSON_GetObjectItemCaseSensitive(port, "name"), name, sizeof(name));
		snprintf(title, sizeof(title), "drops of %s", name);
		print_counts(out, title, cJSON_GetObjectItemCaseSensitive(port, "drops"));
	}
	if (cJSON_IsString(one) && *one->valuestring)
		return;
	print_counts(out, "drops", cJSON_GetObjectItemCaseSensitive(result, "drops"));
	print_counts(out, "stages (packets)", cJSON_GetObjectItemCaseSensitive(result, "stages"));
	print_counts(out, "conservation", cJSON_GetObjectItemCaseSensitive(result, "conservation"));
	print_counts(out, "tables", cJSON_GetObjectItemCaseSensitive(result, "tables"));
}

/* The worker, then the stages that packets went through, in their order. */
static void print_worker(FILE *out, const cJSON *result)
{
	cJSON *worker = cJSON_Duplicate(result, true), *rows = cJSON_CreateArray();
	cJSON *stages = cJSON_DetachItemFromObjectCaseSensitive(worker, "stages");
	const cJSON *stage, *packets;

	ctl_members(out, worker);
	cJSON_ArrayForEach (stage, stages) {
		cJSON *row;

		packets = cJSON_GetObjectItemCaseSensitive(stage, "packets");
		if (!cJSON_IsNumber(packets) || packets->valuedouble <= 0)
			continue;
		row = cJSON_Duplicate(stage, true);
		cJSON_AddStringToObject(row, "name", stage->string ? stage->string : "");
		cJSON_AddItemToArray(rows, row);
	}
	if (rows && rows->child) {
		fputc('\n', out);
		ctl_table(out, "stages", rows, true);
	}
	cJSON_Delete(rows);
	cJSON_Delete(stages);
	cJSON_Delete(worker);
}

static void print_describe(FILE *out, const cJSON *result)
{
	const cJSON *info = cJSON_GetObjectItemCaseSensitive(result, "info");

	fputs("# testpmd in the pod\n", out);
	print_lines(out, cJSON_GetObjectItemCaseSensitive(result, "testpmd"));
	fputs("\n# the pod\n", out);
	print_lines(out, cJSON_GetObjectItemCaseSensitive(result, "podSnippet"));
	if (info && info->child) {
		fputs("\n# the port\n", out);
		ctl_members(out, info);
	}
}

void ctl_print(FILE *out, const struct verb *verb, const cJSON *request, const cJSON *result)
{
	const cJSON *created = cJSON_GetObjectItemCaseSensitive(result, "created");
	const cJSON *removed = cJSON_GetObjectItemCaseSensitive(result, "removed");
	const cJSON *member =
	        verb->result ? cJSON_GetObjectItemCaseSensitive(result, verb->result) : NULL;

	if (!strcmp(verb->name, "stats.get"))
		print_stats(out, request, result);
	else if (!strcmp(verb->name, "worker.show"))
		print_worker(out, result);
	else if (!strcmp(verb->name, "port.describe"))
		print_describe(out, result);
	else if (!strcmp(verb->name, "config.show"))
		ctl_print_json(out, result);
	else if (!strcmp(verb->name, "config.check"))
		fputs("the configuration is good\n", out);
	else if (verb->list)
		ctl_table(out, verb->result, member, true);
	else if (cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(result, "replaced")))
		print_change(out, verb, request,
		        cJSON_GetObjectItemCaseSensitive(result, "replaced"), "changed", "");
	else if (cJSON_IsBool(created))
		print_change(out, verb, request, created, "added", "is there already");
	else if (removed && !cJSON_GetObjectItemCaseSensitive(result, "kept"))
		print_change(out, verb, request, removed, "removed", "was not there");
	else
		ctl_members(out, member ? member : result);
}
