/* SPDX-License-Identifier: BSD-3-Clause */
/* Objects as people type them: "via=198.18.1.2,weight=2". */
#include "control/ctl.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

static const struct verb_field *member_of(const struct verb_field *field, const char *name)
{
	for (unsigned i = 0; i < field->n_fields; i++)
		if (!field->fields[i].out && !strcmp(field->fields[i].name, name))
			return &field->fields[i];
	return NULL;
}

static int wrong(const struct verb_field *field, const char *word, char *error, size_t size)
{
	int n = snprintf(error, size, "%.60s is no", word);

	for (unsigned i = 0; i < field->n_fields && (size_t)n < size; i++)
		if (!field->fields[i].out)
			n += snprintf(error + n, size - (size_t)n, "%s %s=...", i ? " or" : "",
			        field->fields[i].name);
	return -EINVAL;
}

/* Digits become a number; whatever else is there the check against the table refuses by name. */
static int add_pair(
        const struct verb_field *field, char *word, cJSON *object, char *error, size_t size)
{
	char *value = strchr(word, '=');
	const struct verb_field *member;

	if (!value)
		return wrong(field, word, error, size);
	*value++ = '\0';
	member = member_of(field, word);
	if (!member)
		return wrong(field, word, error, size);
	if (member->type == VERB_INTEGER && *value && strlen(value) < 10 &&
	        value[strspn(value, "0123456789")] == '\0')
		cJSON_AddNumberToObject(object, word, strtod(value, NULL));
	else
		cJSON_AddStringToObject(object, word, value);
	return 0;
}

bool ctl_is_pairs(const struct verb_field *field, const char *text)
{
	return field->n_fields && strchr(text, '=') && isalpha((unsigned char)*text);
}

cJSON *ctl_pairs(const struct verb_field *field, const char *text, char *error, size_t size)
{
	cJSON *object = cJSON_CreateObject();
	char *copy = strdup(text), *rest = copy, *word;
	int rc = copy ? 0 : -ENOMEM;

	while (!rc && (word = strsep(&rest, ",")))
		rc = add_pair(field, word, object, error, size);
	free(copy);
	if (!rc)
		return object;
	cJSON_Delete(object);
	return NULL;
}
