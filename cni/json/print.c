/* SPDX-License-Identifier: BSD-3-Clause */
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cni/json/json.h"

#define FIRST_SIZE 1024

struct output {
	char *text;
	size_t length, size;
	bool formatted;
	bool failed; /* no memory */
};

static void put(struct output *out, const char *bytes, size_t n)
{
	while (!out->failed && out->size - out->length <= n) {
		size_t size = out->size ? 2 * out->size : FIRST_SIZE;
		char *more = realloc(out->text, size);

		out->failed = !more;
		out->text = more ? more : out->text;
		out->size = more ? size : out->size;
	}
	if (out->failed)
		return;
	memcpy(out->text + out->length, bytes, n);
	out->length += n;
}

static void put_text(struct output *out, const char *text)
{
	put(out, text, strlen(text));
}

static void put_tabs(struct output *out, unsigned n)
{
	while (n--)
		put(out, "\t", 1);
}

/* As short as brings the same number back. */
static void print_number(struct output *out, double number)
{
	char text[32];

	if (isnan(number) || isinf(number)) {
		put_text(out, "null");
		return;
	}
	snprintf(text, sizeof(text), "%1.15g", number);
	if (fabs(strtod(text, NULL) - number) > fabs(number) * 0x1p-52)
		snprintf(text, sizeof(text), "%1.17g", number);
	put_text(out, text);
}

static void print_string(struct output *out, const char *string)
{
	put(out, "\"", 1);
	for (const char *at = string ? string : "";; at++) {
		static const char special[] = "\"\\\b\f\n\r\t", letters[] = "\"\\bfnrt";
		const char *found, *plain = at;
		char escape[8];

		while ((unsigned char)*at >= ' ' && *at != '"' && *at != '\\')
			at++;
		put(out, plain, (size_t)(at - plain));
		if (!*at)
			break;
		found = strchr(special, *at);
		if (found)
			snprintf(escape, sizeof(escape), "\\%c", letters[found - special]);
		else
			snprintf(escape, sizeof(escape), "\\u%04x", (unsigned char)*at);
		put_text(out, escape);
	}
	put(out, "\"", 1);
}

static void print_value(struct output *out, const cJSON *item, unsigned depth);

static void print_array(struct output *out, const cJSON *array, unsigned depth)
{
	put(out, "[", 1);
	for (const cJSON *child = array->child; child; child = child->next) {
		print_value(out, child, depth + 1);
		if (child->next)
			put_text(out, out->formatted ? ", " : ",");
	}
	put(out, "]", 1);
}

static void print_object(struct output *out, const cJSON *object, unsigned depth)
{
	put_text(out, out->formatted ? "{\n" : "{");
	for (const cJSON *child = object->child; child; child = child->next) {
		put_tabs(out, out->formatted ? depth + 1 : 0);
		print_string(out, child->string);
		put_text(out, out->formatted ? ":\t" : ":");
		print_value(out, child, depth + 1);
		if (child->next)
			put(out, ",", 1);
		if (out->formatted)
			put(out, "\n", 1);
	}
	put_tabs(out, out->formatted ? depth : 0);
	put(out, "}", 1);
}

static void print_value(struct output *out, const cJSON *item, unsigned depth)
{
	switch (item->type & 0xff) {
	case cJSON_NULL:
		put_text(out, "null");
		break;
	case cJSON_False:
		put_text(out, "false");
		break;
	case cJSON_True:
		put_text(out, "true");
		break;
	case cJSON_Number:
		print_number(out, item->valuedouble);
		break;
	case cJSON_String:
		print_string(out, item->valuestring);
		break;
	case cJSON_Array:
		print_array(out, item, depth);
		break;
	case cJSON_Object:
		print_object(out, item, depth);
		break;
	default:
		out->failed = true;
	}
}

static char *print(const cJSON *item, bool formatted)
{
	struct output out = {.formatted = formatted};

	if (!item)
		return NULL;
	print_value(&out, item, 0);
	put(&out, "", 1);
	if (!out.failed)
		return out.text;
	free(out.text);
	return NULL;
}

char *cJSON_Print(const cJSON *item)
{
	return print(item, true);
}

char *cJSON_PrintUnformatted(const cJSON *item)
{
	return print(item, false);
}
