/* SPDX-License-Identifier: BSD-3-Clause */
/* The parts of podrailctl. Everything is made from the table of verbs; what they print goes to
 * the stream that is given. One thread. */
#ifndef PODRAIL_CTL_H
#define PODRAIL_CTL_H

#include <stdbool.h>
#include <stdio.h>

#include <podrail/client.h>

#include "control/verbs.h"

/* Exit status. */
enum ctl_status { CTL_OK = 0, CTL_REFUSED = 1, CTL_USAGE = 2 };

/* Options that belong to no verb. */
struct ctl_options {
	const char *socket;
	bool json;
	bool help;
	int timeout_ms; /* 0: the client's default */
};

/* A command line behind its verb. */
struct ctl_line {
	cJSON *params;    /* owned; free with ctl_line_free */
	const char *file; /* route.sync: FILE, "-" or NULL: stdin */
	char error[640];  /* a sentence, when parsing failed */
	char field[128];  /* the field at fault, or "" */
};

/* ---- ctl_args.c ---- */
/* "gatewayMac" as an option without dashes: "gateway-mac". Returns text. */
const char *ctl_option_name(const char *field, char text[64]);
/* Takes argument i if it is an option of no verb (and its value); sets *taken to how many
 * arguments that were. Returns 0, or -EINVAL with error filled. */
int ctl_global(struct ctl_options *options, char **argv, int *taken, char *error, size_t size);
/* Makes params from the arguments behind OBJECT VERB and checks them against the table.
 * Returns 0 (params may be incomplete when --help was among them) or -EINVAL with line->error. */
int ctl_parse(
        const struct verb *verb, char **argv, struct ctl_options *options, struct ctl_line *line);
void ctl_line_free(struct ctl_line *line);

/* ---- ctl_pairs.c ---- */
/* Whether text is an object of that field's as "name=value,name=value", not JSON or a file. */
bool ctl_is_pairs(const struct verb_field *field, const char *text);
/* The object, or NULL with a sentence in error. Values are not checked. */
cJSON *ctl_pairs(const struct verb_field *field, const char *text, char *error, size_t size);

/* ---- ctl_help.c ---- */
void ctl_help_all(FILE *out);
/* Lists the verbs of an object; false if there is no such object. */
bool ctl_help_object(FILE *out, const char *object);
void ctl_help_verb(FILE *out, const struct verb *verb);
void ctl_usage(FILE *out, const struct verb *verb);
/* "port.add" as it is typed: "port add". Returns text. */
const char *ctl_words(const struct verb *verb, char text[64]);
/* What stands for a value in help: "NAME", "client|server". Returns text. */
const char *ctl_value_word(const struct verb_field *field, char text[96]);
/* Whether the command line takes this field. */
bool ctl_typed(const struct verb *verb, const struct verb_field *field);

/* ---- ctl_man.c, ctl_completion.c ---- */
/* Copies the page's template to out with the verbs in place of the line @VERBS@. */
int ctl_man(FILE *out, FILE *header);
void ctl_completion_bash(FILE *out);

/* ---- ctl_print.c, ctl_table.c ---- */
void ctl_print_json(FILE *out, const cJSON *result);
/* For people. request: the params that were sent. */
void ctl_print(FILE *out, const struct verb *verb, const cJSON *request, const cJSON *result);
/* Prints the array as aligned columns; name picks the columns ("ports", "routes", ...). */
void ctl_table(FILE *out, const char *name, const cJSON *rows, bool header);
/* An object as aligned "member: value" lines, members of members as "a.b". */
void ctl_members(FILE *out, const cJSON *object);
/* A value as text for people: control characters replaced, arrays joined. Returns text. */
const char *ctl_text(const cJSON *value, char *text, size_t size);
const char *ctl_bytes(double bytes, char *text, size_t size);
const char *ctl_seconds(double seconds, char *text, size_t size);

/* ---- ctl_run.c ---- */
/* Runs a verb over the connection and prints its answer. Returns a ctl_status. */
int ctl_run(struct pr_client *client, const struct verb *verb, const cJSON *params,
        const struct ctl_options *options);
/* Prints "podrailctl: port.add: sentence (field x)" to stderr. */
void ctl_complain(const char *what, const char *message, const char *field);

/* ---- ctl_sync.c ---- */
/* One line of a routes file: "prefix via gateway [port]", "prefix port NAME", "prefix blackhole",
 * "prefix unreachable", "prefix nexthops via=...,weight=... ...". Returns 0 with *route (NULL for
 * blank lines and comments), or -EINVAL with a sentence. Changes line. */
int ctl_route_line(char *line, cJSON **route, char *error, size_t size);
int ctl_sync(
        struct pr_client *client, const struct ctl_line *line, const struct ctl_options *options);
/* Sends the lines of in as they are and prints the answers. */
int ctl_raw(struct pr_client *client, FILE *in, FILE *out);

#endif
