/* SPDX-License-Identifier: BSD-3-Clause */
#include "control/json.h"

#include <inttypes.h>

const cJSON *json_member(const cJSON *object, const char *name)
{
	return cJSON_GetObjectItemCaseSensitive(object, name);
}

bool json_has(const cJSON *object, const char *name)
{
	return json_member(object, name) != NULL;
}

const char *json_string(const cJSON *object, const char *name, const char *fallback)
{
	const cJSON *member = json_member(object, name);

	return cJSON_IsString(member) ? member->valuestring : fallback;
}

int64_t json_integer(const cJSON *object, const char *name, int64_t fallback)
{
	const cJSON *member = json_member(object, name);

	if (!cJSON_IsNumber(member) || !(member->valuedouble > -9.3e15) ||
	        !(member->valuedouble < 9.3e15))
		return fallback;
	return (int64_t)member->valuedouble;
}

bool json_bool(const cJSON *object, const char *name, bool fallback)
{
	const cJSON *member = json_member(object, name);

	return cJSON_IsBool(member) ? cJSON_IsTrue(member) : fallback;
}

const cJSON *json_array(const cJSON *object, const char *name)
{
	const cJSON *member = json_member(object, name);

	return cJSON_IsArray(member) ? member : NULL;
}

/* cJSON prints doubles from 1e15 on with an exponent, and they end being exact soon after. */
#define JSON_PLAIN_MAX INT64_C(999999999999999)

void json_add_u64(cJSON *object, const char *name, uint64_t value)
{
	char text[24];

	if (value <= (uint64_t)JSON_PLAIN_MAX) {
		cJSON_AddNumberToObject(object, name, (double)value);
		return;
	}
	snprintf(text, sizeof(text), "%" PRIu64, value);
	cJSON_AddRawToObject(object, name, text);
}

void json_add_i64(cJSON *object, const char *name, int64_t value)
{
	char text[24];

	if (value >= -JSON_PLAIN_MAX && value <= JSON_PLAIN_MAX) {
		cJSON_AddNumberToObject(object, name, (double)value);
		return;
	}
	snprintf(text, sizeof(text), "%" PRId64, value);
	cJSON_AddRawToObject(object, name, text);
}

void json_add_text(cJSON *object, const char *name, const char *text)
{
	cJSON *item = cJSON_CreateString(text);

	if (item && !cJSON_AddItemToObjectCS(object, name, item))
		cJSON_Delete(item);
}

void json_add_mac(cJSON *object, const char *name, const struct pr_mac *mac)
{
	char text[PR_MAC_STRLEN];

	json_add_text(object, name, pr_mac_format(mac, text));
}

void json_add_ip(cJSON *object, const char *name, const struct pr_ip *ip)
{
	char text[PR_IP_STRLEN];

	json_add_text(object, name, pr_ip_format(ip, text));
}

void json_add_prefix(cJSON *object, const char *name, const struct pr_prefix *prefix)
{
	char text[PR_PREFIX_STRLEN];

	json_add_text(object, name, pr_prefix_format(prefix, text));
}

void json_append_mac(cJSON *array, const struct pr_mac *mac)
{
	char text[PR_MAC_STRLEN];

	cJSON_AddItemToArray(array, cJSON_CreateString(pr_mac_format(mac, text)));
}

void json_append_ip(cJSON *array, const struct pr_ip *ip)
{
	char text[PR_IP_STRLEN];

	cJSON_AddItemToArray(array, cJSON_CreateString(pr_ip_format(ip, text)));
}

void json_append_prefix(cJSON *array, const struct pr_prefix *prefix)
{
	char text[PR_PREFIX_STRLEN];

	cJSON_AddItemToArray(array, cJSON_CreateString(pr_prefix_format(prefix, text)));
}

const char *json_difference(const cJSON *a, const cJSON *b)
{
	const cJSON *member;

	cJSON_ArrayForEach (member, a) {
		if (!cJSON_Compare(member, json_member(b, member->string), true))
			return member->string;
	}
	cJSON_ArrayForEach (member, b) {
		if (!json_has(a, member->string))
			return member->string;
	}
	return NULL;
}
