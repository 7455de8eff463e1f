/* SPDX-License-Identifier: BSD-3-Clause */
/* The one table of the control protocol's methods (docs/protocol.md), and the check of a request
 * against it. The daemon checks every request with it, podrailctl its command line; help,
 * completion and man page are made from it. Needs cJSON and include/ only. Read-only data, any
 * thread. */
#ifndef PODRAIL_VERBS_H
#define PODRAIL_VERBS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cjson/cJSON.h>

enum verb_type {
	VERB_STRING, /* max: bytes (0: VERB_STRING_MAX); never with control characters */
	VERB_NAME,   /* an object's name, pr_name_valid; max: characters (0: PR_NAME_MAX) */
	VERB_BOOL,
	VERB_INTEGER, /* min..max */
	VERB_ENUM,    /* one of values */
	VERB_IP,      /* an IPv4 or IPv6 address */
	VERB_PREFIX,  /* address/len */
	VERB_MAC,     /* a unicast MAC address, not zero */
	VERB_PATH,    /* an absolute path */
	VERB_VLANS,   /* 1..4094 or "a-b" with a <= b */
	VERB_OBJECT,  /* members as in fields; with no fields, any object */
};

#define VERB_STRING_MAX 255
#define VERB_DEPTH_MAX  16  /* levels of a request's JSON */
#define VERB_ANY_MAX    256 /* members of an object of no fixed shape */

#define VERB_CLIP 44 /* bytes of a word that a message repeats */

/* One member of a request's params. */
struct verb_field {
	const char *name; /* "gatewayMac"; the CLI's option is --gateway-mac */
	enum verb_type type;
	bool array; /* an array of type */
	bool required;
	bool empty;         /* "" is allowed and means: not given */
	bool out;           /* a member of answers only: refused here, dropped by verb_drop_out */
	unsigned max_items; /* of an array; 0: what fits in a message */
	unsigned position;  /* place on the command line, from 1; 0: an option only */
	int64_t min;
	int64_t max;
	const char *const *values;       /* of an enum, NULL at the end */
	const struct verb_field *fields; /* of an object */
	unsigned n_fields;
	const char *only;     /* applies only when the verb's selector has this value */
	const char *fallback; /* the default, as people read it; NULL: none */
	const char *help;     /* a phrase without capital and full stop */
};

struct verb {
	const char *name;     /* "port.add" */
	bool read_only;       /* members of readGroup may call it */
	const char *help;     /* a phrase that starts with a verb */
	const char *example;  /* what follows "podrailctl " */
	const char *selector; /* the enum field that `only` of others refers to ("kind"), or NULL */
	const struct verb_field *fields;
	unsigned n_fields;
	const char
	        *result; /* the answer's member that holds the object or list; NULL: the answer */
	bool list;       /* that member is an array of objects */
};

struct verb_error {
	int code;        /* a pr_error_code */
	char field[128]; /* "addresses[0]", or "" */
	char message[512];
};

extern const struct verb verb_table[];
extern const unsigned verb_count;

/* The verb of that method, or NULL with error (may be NULL) filled: code PR_ERR_METHOD and the
 * nearest method named. */
const struct verb *verb_find(const char *method, struct verb_error *error);

/* The field of that name that applies to these params (the selector's value decides between
 * fields of one name), or NULL. params may be NULL. */
const struct verb_field *verb_field_find(
        const struct verb *verb, const char *name, const cJSON *params);

/* Checks params (NULL or an object) of a request: no unknown, repeated or missing member, every
 * type and range. Returns 0, or -EINVAL with error filled (code PR_ERR_PARAMS). What depends on
 * other objects is the caller's to check. Time is linear in the size of params. */
int verb_check(const struct verb *verb, const cJSON *params, struct verb_error *error);

/* Deletes the members that only answers have, so that an object from an answer can be added. */
void verb_drop_out(const struct verb *verb, cJSON *params);

/* Parses one line (without its newline) more strictly than cJSON does: the whole line is one JSON
 * text in valid UTF-8, no control characters or NUL (escaped or not) in strings, at most
 * VERB_DEPTH_MAX + 4 levels. Returns it (cJSON_Delete) or NULL with error (code PR_ERR_PARSE). */
cJSON *verb_parse(const char *line, size_t size, struct verb_error *error);

/* A copy of a word for messages: at most VERB_CLIP bytes, never ending inside a UTF-8 sequence. */
const char *verb_clip(const char *word, char copy[VERB_CLIP]);

/* The known word that a mistyped one probably stands for, or NULL. */
const char *verb_nearest(const char *word, const char *const *known, unsigned n_known);

#endif
