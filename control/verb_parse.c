/* SPDX-License-Identifier: BSD-3-Clause */
/* What cJSON lets pass and must not: bytes that are no UTF-8, NUL in strings (it would end them
 * early), control characters, text after the value, numbers that JSON does not know. */
#include "control/verbs.h"

#include <ctype.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <podrail/protocol.h>

struct scan {
	const unsigned char *at;
	const unsigned char *end;
	unsigned depth;
	struct verb_error *error;
	const unsigned char *start;
};

static bool fault(struct scan *scan, const char *what)
{
	scan->error->code = PR_ERR_PARSE;
	snprintf(scan->error->message, sizeof(scan->error->message), "byte %zu of the line: %s",
	        (size_t)(scan->at - scan->start) + 1, what);
	return false;
}

/* Bytes of the UTF-8 sequence at s (RFC 3629: no overlong forms, no surrogates), or 0. */
static size_t utf8_length(const unsigned char *s, size_t left)
{
	size_t n = s[0] < 0x80   ? 1
	           : s[0] < 0xc2 ? 0
	           : s[0] < 0xe0 ? 2
	           : s[0] < 0xf0 ? 3
	           : s[0] < 0xf5 ? 4
	                         : 0;

	if (n > left)
		return 0;
	for (size_t i = 1; i < n; i++)
		if ((s[i] & 0xc0) != 0x80)
			return 0;
	if ((s[0] == 0xe0 && s[1] < 0xa0) || (s[0] == 0xed && s[1] > 0x9f) ||
	        (s[0] == 0xf0 && s[1] < 0x90) || (s[0] == 0xf4 && s[1] > 0x8f))
		return 0;
	return n;
}

/* scan->at is behind the opening quote; ends behind the closing one. */
static bool scan_string(struct scan *scan)
{
	while (scan->at < scan->end) {
		size_t left = (size_t)(scan->end - scan->at), n;

		if (*scan->at == '"') {
			scan->at++;
			return true;
		}
		if (*scan->at < 0x20)
			return fault(scan, "a control character in a string");
		if (*scan->at == '\\') {
			if (left >= 6 && !memcmp(scan->at, "\\u0000", 6))
				return fault(scan, "NUL in a string");
			n = left >= 2 ? 2 : 1;
			if (n == 2 && scan->at[1] >= 0x80)
				return fault(scan, "an unknown escape");
		} else {
			n = utf8_length(scan->at, left);
		}
		if (!n)
			return fault(scan, "not valid UTF-8");
		scan->at += n;
	}
	return fault(scan, "the string does not end");
}

static void skip_digits(struct scan *scan, unsigned *n)
{
	for (*n = 0; scan->at < scan->end && isdigit(*scan->at); scan->at++)
		++*n;
}

/* RFC 8259 section 6: cJSON takes 01, 1. and 1e as well. */
static bool scan_number(struct scan *scan)
{
	const unsigned char *first;
	unsigned n;

	if (*scan->at == '-')
		scan->at++;
	first = scan->at;
	skip_digits(scan, &n);
	if (!n || (n > 1 && *first == '0'))
		return fault(scan, "not a JSON number");
	if (scan->at < scan->end && *scan->at == '.') {
		scan->at++;
		skip_digits(scan, &n);
		if (!n)
			return fault(scan, "not a JSON number");
	}
	if (scan->at < scan->end && (*scan->at == 'e' || *scan->at == 'E')) {
		scan->at++;
		if (scan->at < scan->end && (*scan->at == '+' || *scan->at == '-'))
			scan->at++;
		skip_digits(scan, &n);
		if (!n)
			return fault(scan, "not a JSON number");
	}
	return true;
}

static bool scan_line(struct scan *scan)
{
	while (scan->at < scan->end) {
		unsigned char c = *scan->at;

		if (c == '-' || isdigit(c)) {
			if (!scan_number(scan))
				return false;
			continue;
		}
		if (c < 0x20 && c != '\t' && c != '\r' && c != '\n')
			return fault(scan, "a control character");
		if (c >= 0x7f)
			return fault(scan, "not JSON");
		if (c == '[' || c == '{') {
			if (++scan->depth > VERB_DEPTH_MAX + 4)
				return fault(scan, "nested too deeply");
		} else if ((c == ']' || c == '}') && scan->depth) {
			scan->depth--;
		}
		scan->at++;
		if (c == '"' && !scan_string(scan))
			return false;
	}
	return true;
}

cJSON *verb_parse(const char *line, size_t size, struct verb_error *error)
{
	const unsigned char *start = (const unsigned char *)line;
	struct scan scan = {start, start + size, 0, error, start};
	const char *end = NULL;
	cJSON *json;

	memset(error, 0, sizeof(*error));
	if (!scan_line(&scan))
		return NULL;
	json = cJSON_ParseWithLengthOpts(line, size, &end, false);
	if (json)
		while (end < line + size &&
		        (*end == ' ' || *end == '\t' || *end == '\r' || *end == '\n'))
			end++;
	if (json && end == line + size)
		return json;
	cJSON_Delete(json);
	scan.at = end && end >= line && end <= line + size ? (const unsigned char *)end : start;
	fault(&scan, json ? "text behind the JSON value" : "not JSON");
	return NULL;
}
