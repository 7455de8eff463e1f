/* SPDX-License-Identifier: BSD-3-Clause */
/* The verbs as mdoc(7), for podrailctl.8. */
#include "control/ctl.h"

#include <stdlib.h>
#include <string.h>

/* Text in a macro's arguments or in a line of its own: nothing in it may be taken for a request. */
static void put(FILE *out, const char *text)
{
	if (*text == '.' || *text == '\'')
		fputs("\\&", out);
	for (; *text; text++) {
		if (*text == '\\')
			fputs("\\e", out);
		else if (*text == '-')
			fputs("\\-", out);
		else if (*text == '"')
			fputs("\\(dq", out);
		else if (*text == '|')
			fputs("\\(ba", out);
		else
			fputc(*text, out);
	}
}

static void man_field(FILE *out, const struct verb_field *field)
{
	char name[64], value[96];

	ctl_value_word(field, value);
	fputs(field->position ? ".It Ar " : ".It Fl \\-", out);
	put(out, ctl_option_name(field->name, name));
	if (!field->position && field->type != VERB_BOOL) {
		fputs(" Ar \"", out);
		put(out, value);
		fputc('"', out);
	}
	fputc('\n', out);
	if (field->only)
		fprintf(out, "(%s only)\n", field->only);
	put(out, field->help);
	if (field->type == VERB_INTEGER)
		fprintf(out, " [%lld to %lld]", (long long)field->min, (long long)field->max);
	fputs(".\n", out);
	if (field->required && !field->position) {
		fputs("Needed.\n", out);
	} else if (field->fallback) {
		fputs("Default: ", out);
		put(out, field->fallback);
		fputs(".\n", out);
	}
}

static void man_verb(FILE *out, const struct verb *verb)
{
	char words[64];
	bool any = false;

	fprintf(out, ".Ss %s\n%c", ctl_words(verb, words), verb->help[0] - 'a' + 'A');
	put(out, verb->help + 1);
	fprintf(out, "%s.\n", verb->read_only ? " (read)" : "");
	for (unsigned i = 0; i < verb->n_fields; i++) {
		if (!ctl_typed(verb, &verb->fields[i]))
			continue;
		if (!any)
			fputs(".Bl -tag -width Ds -compact\n", out);
		any = true;
		man_field(out, &verb->fields[i]);
	}
	if (!strcmp(verb->name, "route.sync"))
		fputs(".It Ar FILE\nlines as in\n.Sx ROUTES FILE .\nDefault: standard input.\n",
		        out);
	if (any)
		fputs(".El\n", out);
	fputs(".Pp\n.Dl podrailctl ", out);
	put(out, verb->example);
	fputc('\n', out);
}

int ctl_man(FILE *out, FILE *header)
{
	char *line = NULL;
	size_t size = 0;
	bool found = false;

	while (getline(&line, &size, header) >= 0) {
		if (strcmp(line, "@VERBS@\n")) {
			fputs(line, out);
			continue;
		}
		found = true;
		for (unsigned i = 0; i < verb_count; i++)
			man_verb(out, &verb_table[i]);
	}
	free(line);
	return found && !ferror(header) ? CTL_OK : CTL_REFUSED;
}
