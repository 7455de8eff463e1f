/* SPDX-License-Identifier: BSD-3-Clause */
#include "control/ctl.h"

#include <ctype.h>
#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <podrail/protocol.h>

__attribute__((format(printf, 2, 3))) static int complain(
        struct ctl_line *line, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(line->error, sizeof(line->error), format, args);
	va_end(args);
	return -EINVAL;
}

const char *ctl_option_name(const char *field, char text[64])
{
	size_t n = 0;

	for (; *field && n < 62; field++) {
		if (isupper((unsigned char)*field))
			text[n++] = '-';
		text[n++] = (char)tolower((unsigned char)*field);
	}
	text[n] = '\0';
	return text;
}

static int take_timeout(struct ctl_options *options, const char *value, char *error, size_t size)
{
	char *end;
	double seconds = strtod(value, &end);

	if (!isdigit((unsigned char)*value) || *end || !(seconds >= 0.001 && seconds <= 86400)) {
		snprintf(error, size, "--timeout takes seconds of 0.001 to 86400, not \"%s\"",
		        value);
		return -EINVAL;
	}
	options->timeout_ms = (int)(seconds * 1000);
	return 0;
}

/* The value of option name in argv[0], or argv[1]; NULL if this is another option. */
static const char *value_of(char **argv, const char *name, int *taken)
{
	size_t n = strlen(name);

	if (strncmp(argv[0], name, n))
		return NULL;
	*taken = argv[0][n] == '=' ? 1 : 2;
	if (argv[0][n] == '=')
		return argv[0] + n + 1;
	return argv[0][n] ? NULL : argv[1] ? argv[1] : "";
}

int ctl_global(struct ctl_options *options, char **argv, int *taken, char *error, size_t size)
{
	const char *value;
	int n = 0;

	*taken = 1;
	if (!strcmp(argv[0], "--json")) {
		options->json = true;
		return 0;
	}
	if (!strcmp(argv[0], "--help") || !strcmp(argv[0], "-h")) {
		options->help = true;
		return 0;
	}
	value = value_of(argv, "--socket", &n);
	if (value) {
		*taken = n;
		if (!*value) {
			snprintf(error, size, "--socket takes a path");
			return -EINVAL;
		}
		options->socket = value;
		return 0;
	}
	value = value_of(argv, "--timeout", &n);
	*taken = value ? n : 0;
	return value ? take_timeout(options, value, error, size) : 0;
}

static cJSON *read_json(const char *path, struct ctl_line *line)
{
	FILE *in = !strcmp(path, "-") ? stdin : fopen(path, "re");
	struct verb_error error;
	char *text = NULL;
	size_t size = 0;
	cJSON *json = NULL;
	ssize_t n;

	if (!in) {
		complain(line, "can not read %s: %s", path, strerror(errno));
		return NULL;
	}
	n = getdelim(&text, &size, '\0', in);
	if (n > PR_MESSAGE_MAX) {
		complain(line, "%s is larger than %d bytes", path, PR_MESSAGE_MAX);
	} else {
		/* A file has lines; a message has none. */
		for (ssize_t i = 0; i < n; i++)
			if (text[i] == '\n')
				text[i] = ' ';
		json = n <= 0 ? NULL : verb_parse(text, (size_t)n, &error);
		if (n <= 0)
			complain(line, "%s is empty", path);
		else if (!json)
			complain(line, "%s: %s", path, error.message);
	}
	free(text);
	if (in != stdin)
		fclose(in);
	return json;
}

/* An object is given as JSON text, or as the name of a file that holds it. */
static cJSON *take_object(const char *text, struct ctl_line *line)
{
	struct verb_error error;
	cJSON *json;

	if (*text != '{' && *text != '[')
		return read_json(*text == '@' ? text + 1 : text, line);
	json = verb_parse(text, strlen(text), &error);
	if (!json)
		complain(line, "%s", error.message);
	return json;
}

static bool is_number(const char *text)
{
	text += *text == '-';
	if (!isdigit((unsigned char)*text) || strlen(text) > 16)
		return false;
	while (isdigit((unsigned char)*text))
		text++;
	return !*text;
}

static cJSON *convert(const struct verb_field *field, const char *text, struct ctl_line *line)
{
	char option[64];
	bool yes = !strcmp(text, "true");

	ctl_option_name(field->name, option);
	switch (field->type) {
	case VERB_INTEGER:
		if (is_number(text))
			return cJSON_CreateNumber(strtod(text, NULL));
		complain(line, "--%s takes a whole number, not \"%s\"", option, text);
		return NULL;
	case VERB_VLANS:
		return is_number(text) ? cJSON_CreateNumber(strtod(text, NULL))
		                       : cJSON_CreateString(text);
	case VERB_BOOL:
		if (yes || !strcmp(text, "false"))
			return cJSON_CreateBool(yes);
		complain(line, "--%s takes true or false, not \"%s\"", option, text);
		return NULL;
	case VERB_OBJECT:
		if (ctl_is_pairs(field, text))
			return ctl_pairs(field, text, line->error, sizeof(line->error));
		return take_object(text, line);
	default:
		return cJSON_CreateString(text);
	}
}

static int add_one(
        cJSON *array, const struct verb_field *field, const char *text, struct ctl_line *line)
{
	cJSON *value = convert(field, text, line);

	if (!value)
		return -EINVAL;
	if (!cJSON_IsArray(value)) {
		cJSON_AddItemToArray(array, value);
		return 0;
	}
	for (cJSON *item; (item = cJSON_DetachItemFromArray(value, 0));)
		cJSON_AddItemToArray(array, item);
	cJSON_Delete(value);
	return 0;
}

/* Repeating the option and lists with commas both add elements; "" alone is the empty list. */
static int add_elements(
        cJSON *array, const struct verb_field *field, const char *text, struct ctl_line *line)
{
	char *copy, *rest, *word;
	int rc = 0;

	if (field->type == VERB_OBJECT)
		return add_one(array, field, text, line);
	if (!*text)
		return 0;
	copy = rest = strdup(text);
	while (!rc && copy && (word = strsep(&rest, ",")))
		rc = add_one(array, field, word, line);
	free(copy);
	return rc;
}

static int set_field(const struct verb_field *field, const char *text, struct ctl_line *line)
{
	cJSON *old = cJSON_GetObjectItemCaseSensitive(line->params, field->name), *value;
	char option[64];

	if (field->array) {
		if (!old)
			old = cJSON_AddArrayToObject(line->params, field->name);
		return add_elements(old, field, text, line);
	}
	if (old)
		return complain(line, "--%s is given twice", ctl_option_name(field->name, option));
	value = convert(field, text, line);
	if (!value)
		return -EINVAL;
	cJSON_AddItemToObject(line->params, field->name, value);
	return 0;
}

/* The field of an option: --gateway-mac and --gatewayMac are the same. size: without "=...". */
static const struct verb_field *field_of(const struct verb *verb, const char *option, size_t size)
{
	char name[64];

	for (unsigned i = 0; i < verb->n_fields; i++) {
		const struct verb_field *field = &verb->fields[i];

		if (!ctl_typed(verb, field))
			continue;
		ctl_option_name(field->name, name);
		if ((strlen(name) == size && !strncmp(name, option, size)) ||
		        (strlen(field->name) == size && !strncmp(field->name, option, size)))
			return field;
	}
	return NULL;
}

static int refuse_option(const struct verb *verb, const char *option, struct ctl_line *line)
{
	char names[64][64], words[64];
	const char *known[64], *nearest;
	unsigned n = 0;

	for (unsigned i = 0; i < verb->n_fields && n < 64; i++)
		if (ctl_typed(verb, &verb->fields[i])) {
			known[n] = ctl_option_name(verb->fields[i].name, names[n]);
			n++;
		}
	nearest = verb_nearest(option + 2, known, n);
	return complain(line, "%s has no option %.80s%s%s%s", ctl_words(verb, words), option,
	        nearest ? "; did you mean --" : "", nearest ? nearest : "", nearest ? "?" : "");
}

/* An option of the verb. Returns how many arguments it takes, 0 if it is none, or -EINVAL. */
static int take_option(const struct verb *verb, char **argv, struct ctl_line *line)
{
	const char *option = argv[0] + 2, *equals = strchr(option, '=');
	size_t size = equals ? (size_t)(equals - option) : strlen(option);
	const struct verb_field *field = field_of(verb, option, size);

	if (!field && !equals && !strncmp(option, "no-", 3)) {
		field = field_of(verb, option + 3, size - 3);
		if (field && field->type == VERB_BOOL)
			return set_field(field, "false", line) ? -EINVAL : 1;
		field = NULL;
	}
	if (!field)
		return 0;
	if (equals)
		return set_field(field, equals + 1, line) ? -EINVAL : 1;
	if (field->type == VERB_BOOL &&
	        (!argv[1] || (strcmp(argv[1], "true") && strcmp(argv[1], "false"))))
		return set_field(field, "true", line) ? -EINVAL : 1;
	if (!argv[1])
		return complain(line, "--%s needs a value", option);
	return set_field(field, argv[1], line) ? -EINVAL : 2;
}

static int take_positional(
        const struct verb *verb, const char *text, unsigned *position, struct ctl_line *line)
{
	char words[64];

	if (!strcmp(verb->name, "route.sync") && !line->file) {
		line->file = text;
		return 0;
	}
	for (unsigned i = 0; i < verb->n_fields; i++) {
		const struct verb_field *field = &verb->fields[i];

		if (!field->position || field->position != *position)
			continue;
		if (!field->array)
			++*position;
		return set_field(field, text, line);
	}
	return complain(line, "%s takes no argument \"%.80s\" there", ctl_words(verb, words), text);
}

static int check_line(const struct verb *verb, struct ctl_line *line)
{
	struct verb_error error;

	if (!strcmp(verb->name, "route.sync"))
		cJSON_AddStringToObject(line->params, "step", "begin");
	if (!verb_check(verb, line->params, &error))
		return 0;
	snprintf(line->field, sizeof(line->field), "%s", error.field);
	return complain(line, "%s", error.message);
}

int ctl_parse(
        const struct verb *verb, char **argv, struct ctl_options *options, struct ctl_line *line)
{
	unsigned position = 1;
	bool options_end = false;

	memset(line, 0, sizeof(*line));
	line->params = cJSON_CreateObject();
	while (*argv) {
		bool option = !options_end && argv[0][0] == '-' && argv[0][1];
		int taken = 1;

		if (option && !strcmp(*argv, "--")) {
			options_end = true;
		} else if (!option) {
			if (take_positional(verb, *argv, &position, line))
				return -EINVAL;
		} else {
			/* The verb's own option wins: port add has a --socket too. */
			taken = argv[0][1] == '-' ? take_option(verb, argv, line) : 0;
			if (taken < 0)
				return -EINVAL;
			if (!taken &&
			        ctl_global(options, argv, &taken, line->error, sizeof(line->error)))
				return -EINVAL;
			if (!taken)
				return refuse_option(verb, *argv, line);
		}
		argv += taken;
	}
	return options->help ? 0 : check_line(verb, line);
}

void ctl_line_free(struct ctl_line *line)
{
	cJSON_Delete(line->params);
	line->params = NULL;
}
