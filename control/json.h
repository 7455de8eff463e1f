/* SPDX-License-Identifier: BSD-3-Clause */
/* Reading and writing members of cJSON objects. Any thread. */
#ifndef PODRAIL_JSON_H
#define PODRAIL_JSON_H

#include <stdbool.h>
#include <stdint.h>

#include <cjson/cJSON.h>

#include <podrail/addr.h>

/* The member, or NULL. */
const cJSON *json_member(const cJSON *object, const char *name);
bool json_has(const cJSON *object, const char *name);

/* The member's value, or the fallback when it is missing or of another type. The string is the
 * object's. */
const char *json_string(const cJSON *object, const char *name, const char *fallback);
int64_t json_integer(const cJSON *object, const char *name, int64_t fallback);
bool json_bool(const cJSON *object, const char *name, bool fallback);
/* The array member, or NULL: cJSON_ArrayForEach walks NULL as an empty one. */
const cJSON *json_array(const cJSON *object, const char *name);

/* Adds a member. In what follows name is not copied: it must outlive the object, as a literal does.
 */
void json_add_text(cJSON *object, const char *name, const char *text);
/* Exact beyond 2^53, where a double is not. */
void json_add_u64(cJSON *object, const char *name, uint64_t value);
void json_add_i64(cJSON *object, const char *name, int64_t value);
void json_add_mac(cJSON *object, const char *name, const struct pr_mac *mac);
/* "" for no address. */
void json_add_ip(cJSON *object, const char *name, const struct pr_ip *ip);
void json_add_prefix(cJSON *object, const char *name, const struct pr_prefix *prefix);
/* The same as elements of an array. */
void json_append_mac(cJSON *array, const struct pr_mac *mac);
void json_append_ip(cJSON *array, const struct pr_ip *ip);
void json_append_prefix(cJSON *array, const struct pr_prefix *prefix);

/* The name of the first member of a that b lacks or has otherwise, else of the first that only b
 * has; NULL when they are equal. */
const char *json_difference(const cJSON *a, const cJSON *b);

#endif
