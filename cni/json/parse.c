/* SPDX-License-Identifier: BSD-3-Clause */
/* RFC 8259, with cJSON's liberties: what follows the value may be anything, and strings may hold
 * control characters. */
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "cni/json/json.h"

#define NUMBER_SIZE 64

struct input {
	const char *at, *end;
	unsigned depth;
};

static bool parse_value(struct input *in, cJSON *item);

static void skip_space(struct input *in)
{
	while (in->at < in->end && (unsigned char)*in->at <= ' ')
		in->at++;
}

static bool take(struct input *in, char c)
{
	if (in->at >= in->end || *in->at != c)
		return false;
	in->at++;
	return true;
}

static bool take_word(struct input *in, const char *word)
{
	size_t length = strlen(word);

	if ((size_t)(in->end - in->at) < length || memcmp(in->at, word, length))
		return false;
	in->at += length;
	return true;
}

static bool parse_number(struct input *in, cJSON *item)
{
	char text[NUMBER_SIZE], *end;
	size_t n = 0;
	double number;

	while (n < sizeof(text) - 1 && in->at + n < in->end && in->at[n] &&
	        strchr("0123456789+-eE.", in->at[n])) {
		text[n] = in->at[n];
		n++;
	}
	text[n] = '\0';
	number = strtod(text, &end);
	if (end == text)
		return false;
	in->at += end - text;
	item->type = cJSON_Number;
	cJSON_SetNumberHelper(item, number);
	return true;
}

/* Four hexadecimal digits at text, or -1. */
static int hex4(const char *text, const char *end)
{
	int value = 0;

	if (end - text < 4)
		return -1;
	for (int i = 0; i < 4; i++) {
		char c = text[i];
		int digit = c >= '0' && c <= '9'   ? c - '0'
		            : c >= 'a' && c <= 'f' ? c - 'a' + 10
		            : c >= 'A' && c <= 'F' ? c - 'A' + 10
		                                   : -1;

		if (digit < 0)
			return -1;
		value = value << 4 | digit;
	}
	return value;
}

static char *put_utf8(char *to, unsigned point)
{
	if (point < 0x80) {
		*to++ = (char)point;
	} else if (point < 0x800) {
		*to++ = (char)(0xc0 | point >> 6);
		*to++ = (char)(0x80 | (point & 0x3f));
	} else if (point < 0x10000) {
		*to++ = (char)(0xe0 | point >> 12);
		*to++ = (char)(0x80 | (point >> 6 & 0x3f));
		*to++ = (char)(0x80 | (point & 0x3f));
	} else {
		*to++ = (char)(0xf0 | point >> 18);
		*to++ = (char)(0x80 | (point >> 12 & 0x3f));
		*to++ = (char)(0x80 | (point >> 6 & 0x3f));
		*to++ = (char)(0x80 | (point & 0x3f));
	}
	return to;
}

/* After "\u", up to the string's end. A surrogate comes with its other half or is an error. */
static bool unescape_point(const char **from, const char *end, char **to)
{
	int high = hex4(*from, end), low;

	if (high < 0 || (high >= 0xdc00 && high <= 0xdfff))
		return false;
	*from += 4;
	if (high < 0xd800 || high > 0xdbff) {
		*to = put_utf8(*to, (unsigned)high);
		return true;
	}
	if (end - *from < 6 || (*from)[0] != '\\' || (*from)[1] != 'u')
		return false;
	low = hex4(*from + 2, end);
	if (low < 0xdc00 || low > 0xdfff)
		return false;
	*from += 6;
	*to = put_utf8(*to, 0x10000 + (((unsigned)high & 0x3ff) << 10 | ((unsigned)low & 0x3ff)));
	return true;
}

static bool unescape(const char *from, const char *end, char *to)
{
	static const char escapes[] = "\"\\/bfnrt", meant[] = "\"\\/\b\f\n\r\t";
	const char *escape;

	while (from < end) {
		if (*from != '\\') {
			*to++ = *from++;
			continue;
		}
		/* the string ends after it: there is a character */
		from++;
		if (*from == 'u') {
			from++;
			if (!unescape_point(&from, end, &to))
				return false;
			continue;
		}
		escape = *from ? strchr(escapes, *from) : NULL;
		if (!escape)
			return false;
		*to++ = meant[escape - escapes];
		from++;
	}
	*to = '\0';
	return true;
}

/* At the opening quote. Returns what is between the quotes, or NULL. No escape is shorter than what
 * it stands for. */
static char *parse_string(struct input *in)
{
	const char *start, *end;
	char *text;

	if (!take(in, '"'))
		return NULL;
	start = end = in->at;
	while (end < in->end && *end != '"')
		end += *end == '\\' ? 2 : 1;
	if (end >= in->end)
		return NULL;
	text = malloc((size_t)(end - start) + 1);
	if (text && !unescape(start, end, text)) {
		free(text);
		text = NULL;
	}
	in->at = end + 1;
	return text;
}

static bool parse_member(struct input *in, cJSON *item, bool named)
{
	skip_space(in);
	if (named) {
		item->string = parse_string(in);
		if (!item->string)
			return false;
		skip_space(in);
		if (!take(in, ':'))
			return false;
		skip_space(in);
	}
	return parse_value(in, item);
}

/* An array or an object, after its opening bracket. */
static bool parse_members(struct input *in, cJSON *parent, bool named)
{
	char closing = named ? '}' : ']';

	if (in->depth >= CJSON_NESTING_LIMIT)
		return false;
	in->depth++;
	parent->type = named ? cJSON_Object : cJSON_Array;
	skip_space(in);
	if (take(in, closing)) {
		in->depth--;
		return true;
	}
	do {
		cJSON *item = json_new(cJSON_Invalid);

		if (!item)
			return false;
		json_append(parent, item);
		if (!parse_member(in, item, named))
			return false;
		skip_space(in);
	} while (take(in, ','));
	in->depth--;
	return take(in, closing);
}

static bool parse_value(struct input *in, cJSON *item)
{
	if (take_word(in, "null")) {
		item->type = cJSON_NULL;
	} else if (take_word(in, "false")) {
		item->type = cJSON_False;
	} else if (take_word(in, "true")) {
		item->type = cJSON_True;
		item->valueint = 1;
	} else if (take(in, '{')) {
		return parse_members(in, item, true);
	} else if (take(in, '[')) {
		return parse_members(in, item, false);
	} else if (in->at < in->end && *in->at == '"') {
		item->type = cJSON_String;
		item->valuestring = parse_string(in);
		return item->valuestring != NULL;
	} else {
		return in->at < in->end && (*in->at == '-' || (*in->at >= '0' && *in->at <= '9')) &&
		       parse_number(in, item);
	}
	return true;
}

cJSON *cJSON_ParseWithLengthOpts(
        const char *text, size_t length, const char **parse_end, cJSON_bool require_end)
{
	struct input in = {.at = text, .end = text ? text + length : NULL};
	cJSON *item = text && length ? json_new(cJSON_Invalid) : NULL;
	bool good;

	take_word(&in, "\xef\xbb\xbf");
	skip_space(&in);
	good = item && parse_value(&in, item);
	if (good && require_end) {
		/* the NUL counts as space */
		const char *value_end = in.at;

		skip_space(&in);
		good = in.at == in.end && in.at > value_end && !in.at[-1];
	}
	if (parse_end)
		*parse_end = in.at;
	if (good)
		return item;
	cJSON_Delete(item);
	return NULL;
}

cJSON *cJSON_ParseWithLength(const char *text, size_t length)
{
	return cJSON_ParseWithLengthOpts(text, length, NULL, 0);
}

cJSON *cJSON_Parse(const char *text)
{
	return cJSON_ParseWithLength(text, text ? strlen(text) + 1 : 0);
}
