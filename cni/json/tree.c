/* SPDX-License-Identifier: BSD-3-Clause */
/* The part of cJSON's interface that the plugin uses, so that it can be a static program: Debian
 * has libcjson as a shared library only, and finding and relocating libraries is a twentieth of an
 * ADD. Behaves as cJSON 1.7 does (tests/unit/cni_json_test.c compares them); not for other
 * programs. */
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "cni/json/json.h"

cJSON *json_new(int type)
{
	cJSON *item = calloc(1, sizeof(*item));

	if (item)
		item->type = type;
	return item;
}

void json_append(cJSON *parent, cJSON *item)
{
	cJSON *first = parent->child;

	item->next = NULL;
	if (!first) {
		parent->child = item->prev = item;
		return;
	}
	/* the first one's prev is the last one */
	item->prev = first->prev;
	first->prev->next = item;
	first->prev = item;
}

void cJSON_free(void *object)
{
	free(object);
}

void cJSON_Delete(cJSON *item)
{
	while (item) {
		cJSON *next = item->next;

		if (!(item->type & cJSON_IsReference)) {
			cJSON_Delete(item->child);
			free(item->valuestring);
		}
		if (!(item->type & cJSON_StringIsConst))
			free(item->string);
		free(item);
		item = next;
	}
}

/* ---- making ---- */

double cJSON_SetNumberHelper(cJSON *object, double number)
{
	object->valueint = number >= INT_MAX           ? INT_MAX
	                   : number <= (double)INT_MIN ? INT_MIN
	                                               : (int)number;
	return object->valuedouble = number;
}

cJSON *cJSON_CreateNumber(double number)
{
	cJSON *item = json_new(cJSON_Number);

	if (item)
		cJSON_SetNumberHelper(item, number);
	return item;
}

cJSON *cJSON_CreateString(const char *string)
{
	cJSON *item = json_new(cJSON_String);

	if (item)
		item->valuestring = string ? strdup(string) : NULL;
	if (item && !item->valuestring) {
		free(item);
		return NULL;
	}
	return item;
}

cJSON *cJSON_CreateArray(void)
{
	return json_new(cJSON_Array);
}

cJSON *cJSON_CreateObject(void)
{
	return json_new(cJSON_Object);
}

cJSON *cJSON_CreateStringArray(const char *const *strings, int count)
{
	cJSON *array = cJSON_CreateArray();

	for (int i = 0; array && i < count; i++) {
		if (!cJSON_AddItemToArray(array, cJSON_CreateString(strings[i]))) {
			cJSON_Delete(array);
			return NULL;
		}
	}
	return array;
}

cJSON_bool cJSON_AddItemToArray(cJSON *array, cJSON *item)
{
	if (!array || !item || array == item)
		return 0;
	json_append(array, item);
	return 1;
}

static cJSON_bool set_name(cJSON *item, const char *name)
{
	char *copy = name ? strdup(name) : NULL;

	if (!copy)
		return 0;
	if (!(item->type & cJSON_StringIsConst))
		free(item->string);
	item->string = copy;
	item->type &= ~cJSON_StringIsConst;
	return 1;
}

cJSON_bool cJSON_AddItemToObject(cJSON *object, const char *name, cJSON *item)
{
	return object && item && object != item && set_name(item, name) &&
	       cJSON_AddItemToArray(object, item);
}

static cJSON *add(cJSON *object, const char *name, cJSON *item)
{
	if (cJSON_AddItemToObject(object, name, item))
		return item;
	cJSON_Delete(item);
	return NULL;
}

cJSON *cJSON_AddTrueToObject(cJSON *object, const char *name)
{
	return add(object, name, json_new(cJSON_True));
}

cJSON *cJSON_AddBoolToObject(cJSON *object, const char *name, cJSON_bool boolean)
{
	return add(object, name, json_new(boolean ? cJSON_True : cJSON_False));
}

cJSON *cJSON_AddNumberToObject(cJSON *object, const char *name, double number)
{
	return add(object, name, cJSON_CreateNumber(number));
}

cJSON *cJSON_AddStringToObject(cJSON *object, const char *name, const char *string)
{
	return add(object, name, cJSON_CreateString(string));
}

cJSON *cJSON_AddObjectToObject(cJSON *object, const char *name)
{
	return add(object, name, cJSON_CreateObject());
}

cJSON *cJSON_AddArrayToObject(cJSON *object, const char *name)
{
	return add(object, name, cJSON_CreateArray());
}

cJSON *cJSON_Duplicate(const cJSON *item, cJSON_bool recurse)
{
	cJSON *copy = item ? json_new(item->type & ~cJSON_IsReference) : NULL;
	const cJSON *child;

	if (!copy)
		return NULL;
	copy->valueint = item->valueint;
	copy->valuedouble = item->valuedouble;
	copy->valuestring = item->valuestring ? strdup(item->valuestring) : NULL;
	copy->type &= ~cJSON_StringIsConst;
	copy->string = item->string ? strdup(item->string) : NULL;
	if (!copy->valuestring != !item->valuestring || !copy->string != !item->string)
		goto fail;
	for (child = recurse ? item->child : NULL; child; child = child->next) {
		cJSON *one = cJSON_Duplicate(child, 1);

		if (!one)
			goto fail;
		json_append(copy, one);
	}
	return copy;
fail:
	cJSON_Delete(copy);
	return NULL;
}

/* ---- finding ---- */

int cJSON_GetArraySize(const cJSON *array)
{
	int size = 0;

	for (const cJSON *child = array ? array->child : NULL; child; child = child->next)
		size++;
	return size;
}

cJSON *cJSON_GetObjectItemCaseSensitive(const cJSON *object, const char *name)
{
	cJSON *child = object && name ? object->child : NULL;

	/* an array's items have no names */
	while (child && child->string && strcmp(child->string, name))
		child = child->next;
	return child && child->string ? child : NULL;
}

cJSON_bool cJSON_HasObjectItem(const cJSON *object, const char *name)
{
	const cJSON *child = object && name ? object->child : NULL;

	while (child && (!child->string || strcasecmp(child->string, name)))
		child = child->next;
	return child != NULL;
}

char *cJSON_GetStringValue(const cJSON *item)
{
	return cJSON_IsString(item) ? item->valuestring : NULL;
}

static cJSON_bool is(const cJSON *item, int type)
{
	return item && (item->type & 0xff) == type;
}

cJSON_bool cJSON_IsArray(const cJSON *item)
{
	return is(item, cJSON_Array);
}

cJSON_bool cJSON_IsBool(const cJSON *item)
{
	return item && (item->type & (cJSON_True | cJSON_False));
}

cJSON_bool cJSON_IsFalse(const cJSON *item)
{
	return is(item, cJSON_False);
}

cJSON_bool cJSON_IsTrue(const cJSON *item)
{
	return is(item, cJSON_True);
}

cJSON_bool cJSON_IsNull(const cJSON *item)
{
	return is(item, cJSON_NULL);
}

cJSON_bool cJSON_IsNumber(const cJSON *item)
{
	return is(item, cJSON_Number);
}

cJSON_bool cJSON_IsObject(const cJSON *item)
{
	return is(item, cJSON_Object);
}

cJSON_bool cJSON_IsString(const cJSON *item)
{
	return is(item, cJSON_String);
}

/* ---- changing ---- */

static cJSON *detach(cJSON *parent, cJSON *item)
{
	cJSON *first;

	if (!item)
		return NULL;
	first = parent->child;
	if (item != first)
		item->prev->next = item->next;
	if (item->next)
		item->next->prev = item->prev;
	else if (item != first)
		first->prev = item->prev;
	if (item == first)
		parent->child = item->next;
	item->prev = item->next = NULL;
	return item;
}

cJSON *cJSON_DetachItemFromObjectCaseSensitive(cJSON *object, const char *name)
{
	return detach(object, cJSON_GetObjectItemCaseSensitive(object, name));
}

void cJSON_DeleteItemFromObjectCaseSensitive(cJSON *object, const char *name)
{
	cJSON_Delete(cJSON_DetachItemFromObjectCaseSensitive(object, name));
}

void cJSON_DeleteItemFromArray(cJSON *array, int which)
{
	cJSON *child = array && which >= 0 ? array->child : NULL;

	while (child && which--)
		child = child->next;
	cJSON_Delete(detach(array, child));
}

cJSON_bool cJSON_ReplaceItemInObjectCaseSensitive(cJSON *object, const char *name, cJSON *item)
{
	cJSON *old = cJSON_GetObjectItemCaseSensitive(object, name);

	if (!item || !set_name(item, name) || !old)
		return 0;
	item->next = old->next;
	item->prev = old->prev == old ? item : old->prev;
	if (item->next)
		item->next->prev = item;
	else
		object->child->prev = item;
	if (object->child == old)
		object->child = item;
	else
		item->prev->next = item;
	old->next = NULL;
	cJSON_Delete(old);
	return 1;
}
