/* SPDX-License-Identifier: BSD-3-Clause */
#include "control/ctl.h"

#include <string.h>

#include <podrail/protocol.h>

#define OPTION_COLUMN 34
#define WIDTH         96

static const char *const no_verb_help =
        "\n"
        "  completion bash            print the completion script for bash\n"
        "  raw                        send JSON lines from standard input, print the answers\n"
        "  help [OBJECT [VERB]]       print help\n"
        "\n"
        "Options:\n"
        "  --socket PATH              the daemon's socket (" PR_DEFAULT_SOCKET
        "; or PODRAIL_SOCKET)\n"
        "  --json                     print the answer as JSON\n"
        "  --timeout SECONDS          give up waiting for an answer (30)\n"
        "  --version, --help\n"
        "\n"
        "Exit status: 0 done, 1 refused or no connection, 2 wrong command line.\n";

const char *ctl_words(const struct verb *verb, char text[64])
{
	char *dot;

	snprintf(text, 64, "%s", verb->name);
	dot = strchr(text, '.');
	if (dot)
		*dot = ' ';
	return text;
}

bool ctl_typed(const struct verb *verb, const struct verb_field *field)
{
	bool sync = !strcmp(verb->name, "route.sync");

	/* route sync makes these of its file. */
	return !field->out &&
	       !(sync && (!strcmp(field->name, "step") || !strcmp(field->name, "routes")));
}

const char *ctl_value_word(const struct verb_field *field, char text[96])
{
	static const char *const words[] = {
	        [VERB_STRING] = "TEXT",
	        [VERB_NAME] = "NAME",
	        [VERB_BOOL] = "true|false",
	        [VERB_INTEGER] = "N",
	        [VERB_IP] = "ADDRESS",
	        [VERB_PREFIX] = "PREFIX",
	        [VERB_MAC] = "MAC",
	        [VERB_PATH] = "PATH",
	        [VERB_VLANS] = "VLANS",
	        [VERB_OBJECT] = "FILE|JSON",
	};
	size_t n = 0;

	if (field->type != VERB_ENUM) {
		snprintf(text, 96, "%s%s", words[field->type],
		        field->array && field->type != VERB_OBJECT ? ",..." : "");
		return text;
	}
	for (unsigned i = 0; field->values[i] && n < 96; i++)
		n += (size_t)snprintf(text + n, 96 - n, "%s%s", i ? "|" : "", field->values[i]);
	return text;
}

/* The name of an argument: NETWORK, PREFIX, MAC... */
static void argument_word(const struct verb_field *field, char text[64])
{
	ctl_option_name(field->name, text);
	for (char *c = text; *c; c++)
		if (*c >= 'a' && *c <= 'z')
			*c = (char)(*c - 'a' + 'A');
}

/* Whether an earlier field has the same name (for another kind). */
static bool seen_before(const struct verb *verb, unsigned i)
{
	for (unsigned j = 0; j < i; j++)
		if (!strcmp(verb->fields[j].name, verb->fields[i].name))
			return true;
	return false;
}

struct usage {
	FILE *out;
	size_t column;
	size_t indent;
};

static void usage_word(struct usage *usage, const char *word)
{
	size_t n = strlen(word) + 1;

	if (usage->column + n > WIDTH) {
		fprintf(usage->out, "\n%*s", (int)usage->indent, "");
		usage->column = usage->indent;
	}
	usage->column += n;
	fprintf(usage->out, " %s", word);
}

void ctl_usage(FILE *out, const struct verb *verb)
{
	char words[64], name[64], value[96], word[192];
	struct usage usage = {out, 0, 0};

	usage.column = (size_t)fprintf(out, "usage: podrailctl %s", ctl_words(verb, words));
	usage.indent = 8;
	for (unsigned i = 0; i < verb->n_fields; i++) {
		const struct verb_field *field = &verb->fields[i];

		if (!field->position)
			continue;
		argument_word(field, name);
		snprintf(word, sizeof(word), "%s%s%s", field->required ? "" : "[", name,
		        field->required ? ""
		        : field->array  ? "...]"
		                        : "]");
		usage_word(&usage, word);
	}
	for (unsigned i = 0; i < verb->n_fields; i++) {
		const struct verb_field *field = &verb->fields[i];
		bool always = field->required && !field->only;

		if (field->position || !ctl_typed(verb, field) || seen_before(verb, i))
			continue;
		ctl_value_word(field, value);
		snprintf(word, sizeof(word), "%s--%s%s%s%s", always ? "" : "[",
		        ctl_option_name(field->name, name), field->type == VERB_BOOL ? "" : " ",
		        field->type == VERB_BOOL ? "" : value, always ? "" : "]");
		usage_word(&usage, word);
	}
	if (!strcmp(verb->name, "route.sync"))
		usage_word(&usage, "[FILE]");
	fputc('\n', out);
}

static void help_field(FILE *out, const struct verb_field *field)
{
	char name[64], value[96], left[176];

	ctl_value_word(field, value);
	if (field->position)
		argument_word(field, left);
	else
		snprintf(left, sizeof(left), "--%s%s%s", ctl_option_name(field->name, name),
		        field->type == VERB_BOOL ? "" : " ", field->type == VERB_BOOL ? "" : value);
	if (strlen(left) + 4 > OPTION_COLUMN)
		fprintf(out, "  %s\n%*s", left, OPTION_COLUMN, "");
	else
		fprintf(out, "  %-*s", OPTION_COLUMN - 2, left);
	if (field->only)
		fprintf(out, "%s: ", field->only);
	fputs(field->help, out);
	if (field->type == VERB_INTEGER)
		fprintf(out, " [%lld to %lld]", (long long)field->min, (long long)field->max);
	if (field->required && !field->position)
		fputs(" (needed)", out);
	else if (field->fallback)
		fprintf(out, " (%s)", field->fallback);
	fputc('\n', out);
}

void ctl_help_verb(FILE *out, const struct verb *verb)
{
	bool any = false;

	ctl_usage(out, verb);
	fprintf(out, "\n%c%s.\n", verb->help[0] - 'a' + 'A', verb->help + 1);
	for (unsigned i = 0; i < verb->n_fields; i++) {
		if (!ctl_typed(verb, &verb->fields[i]))
			continue;
		if (!any)
			fputc('\n', out);
		any = true;
		help_field(out, &verb->fields[i]);
	}
	if (!strcmp(verb->name, "route.sync"))
		fputs("  FILE                            lines \"PREFIX via GATEWAY [PORT]\", "
		      "\"PREFIX port PORT\",\n"
		      "                                  \"PREFIX nexthops "
		      "via=ADDRESS[,port=NAME][,weight=N] ...\",\n"
		      "                                  \"PREFIX blackhole\" or \"PREFIX "
		      "unreachable\" "
		      "(standard input)\n",
		        out);
	fprintf(out, "\nExample: podrailctl %s\n", verb->example);
}

static void help_line(FILE *out, const struct verb *verb)
{
	char words[64];

	fprintf(out, "  %-26s %s\n", ctl_words(verb, words), verb->help);
}

bool ctl_help_object(FILE *out, const char *object)
{
	size_t n = strlen(object);
	bool any = false;

	for (unsigned i = 0; i < verb_count; i++) {
		if (strncmp(verb_table[i].name, object, n) || verb_table[i].name[n] != '.')
			continue;
		if (!any)
			fprintf(out, "usage: podrailctl %s VERB ...\n\n", object);
		any = true;
		help_line(out, &verb_table[i]);
	}
	if (any)
		fprintf(out, "\npodrailctl %s VERB --help tells more.\n", object);
	return any;
}

void ctl_help_all(FILE *out)
{
	fputs("usage: podrailctl [--socket PATH] [--json] [--timeout SECONDS] OBJECT VERB ...\n\n",
	        out);
	for (unsigned i = 0; i < verb_count; i++)
		help_line(out, &verb_table[i]);
	fputs(no_verb_help, out);
}
