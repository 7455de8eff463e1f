/* SPDX-License-Identifier: BSD-3-Clause */
#include "control/rpc_id.h"

#include <stdbool.h>
#include <string.h>

static bool is_space(char c)
{
	return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

static const char *skip_space(const char *at, const char *end)
{
	while (at < end && is_space(*at))
		at++;
	return at;
}

/* at is on the opening quote; returns what follows the closing one. */
static const char *skip_string(const char *at, const char *end)
{
	for (at++; at < end && *at != '"'; at++)
		if (*at == '\\')
			at++;
	return at < end ? at + 1 : end;
}

static const char *skip_value(const char *at, const char *end)
{
	unsigned depth = 0;

	do {
		if (at >= end)
			return end;
		if (*at == '"') {
			at = skip_string(at, end);
			continue;
		}
		if (*at == '{' || *at == '[')
			depth++;
		else if ((*at == '}' || *at == ']') && depth)
			depth--;
		else if (!depth) {
			while (at < end && !strchr(",]} \t\r\n", *at))
				at++;
			return at;
		}
		at++;
	} while (depth);
	return at;
}

struct rpc_slice rpc_value(const char *text, const char *end)
{
	struct rpc_slice value = {.text = skip_space(text, end)};

	value.size = (size_t)(skip_value(value.text, end) - value.text);
	return value;
}

struct rpc_slice rpc_element(struct rpc_slice array, struct rpc_slice previous)
{
	const char *end = array.text + array.size;
	const char *at = previous.text ? previous.text + previous.size : array.text;

	at = skip_space(at, end);
	if (at < end && *at != ']' && (*at == ',' || !previous.text))
		at = skip_space(at + 1, end);
	if (at >= end || *at == ']')
		return (struct rpc_slice){.text = NULL};
	return rpc_value(at, end);
}

struct rpc_slice rpc_id(struct rpc_slice object)
{
	const char *end = object.text + object.size;
	const char *at = object.text;

	while (at < end && *at != '}') {
		struct rpc_slice name, value;

		name = rpc_value(at + 1, end); /* behind the brace or the comma */
		if (!name.size || *name.text != '"')
			break;
		at = skip_space(name.text + name.size, end);
		if (at >= end)
			break;
		value = rpc_value(at + 1, end); /* behind the colon */
		if (name.size == 4 && !memcmp(name.text, "\"id\"", 4))
			return value;
		at = skip_space(value.text + value.size, end);
	}
	return (struct rpc_slice){.text = NULL};
}
