/* SPDX-License-Identifier: BSD-3-Clause */
#include "control/verbs.h"

#include <ctype.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include <podrail/addr.h>
#include <podrail/protocol.h>

#define PATH_LEN 128 /* of error.field */

/* Where in params the check is: "cni.ifname", "routes[3].prefix". Nearly all requests are right and
 * need no names, so a check goes without them, and once more with them when something is wrong. */
struct place {
	bool named;
	char text[PATH_LEN];
};

__attribute__((format(printf, 3, 4))) static int refuse(
        struct verb_error *error, const struct place *place, const char *format, ...)
{
	va_list args;

	error->code = PR_ERR_PARAMS;
	snprintf(error->field, sizeof(error->field), "%s", place->text);
	va_start(args, format);
	vsnprintf(error->message, sizeof(error->message), format, args);
	va_end(args);
	return -EINVAL;
}

static struct place member(const struct place *base, const char *name)
{
	char word[VERB_CLIP];
	struct place place;
	int n;

	place.named = base->named;
	place.text[0] = '\0';
	if (!place.named)
		return place;
	n = snprintf(place.text, sizeof(place.text), "%.*s%s", PATH_LEN / 2, base->text,
	        *base->text ? "." : "");
	snprintf(place.text + n, sizeof(place.text) - (size_t)n, "%s", verb_clip(name, word));
	return place;
}

static struct place element(const struct place *base, unsigned index)
{
	struct place place;

	place.named = base->named;
	place.text[0] = '\0';
	if (place.named)
		snprintf(place.text, sizeof(place.text), "%.100s[%u]", base->text, index);
	return place;
}

/* The fields that a set of params may have. */
struct shape {
	const struct verb_field *fields;
	unsigned n_fields;
	const char *selector;
	const char *selected; /* value of the selector, or NULL */
};

static struct shape shape_of(const struct verb *verb, const cJSON *params)
{
	struct shape shape = {verb->fields, verb->n_fields, verb->selector, NULL};
	const cJSON *value;

	if (verb->selector) {
		value = cJSON_GetObjectItemCaseSensitive(params, verb->selector);
		shape.selected = cJSON_IsString(value) ? value->valuestring : NULL;
	}
	return shape;
}

static bool applies(const struct shape *shape, const struct verb_field *field)
{
	return !field->only || !shape->selected || !strcmp(field->only, shape->selected);
}

/* The field of that name that applies, else one that does not, else NULL. */
static const struct verb_field *lookup(const struct shape *shape, const char *name)
{
	const struct verb_field *other = NULL;

	for (unsigned i = 0; i < shape->n_fields; i++) {
		if (strcmp(shape->fields[i].name, name))
			continue;
		if (applies(shape, &shape->fields[i]))
			return &shape->fields[i];
		other = &shape->fields[i];
	}
	return other;
}

const struct verb_field *verb_field_find(
        const struct verb *verb, const char *name, const cJSON *params)
{
	struct shape shape = shape_of(verb, params);
	const struct verb_field *field = lookup(&shape, name);

	return field && applies(&shape, field) ? field : NULL;
}

/* An object of no fixed shape: bounded, and no member twice. */
static int check_any(
        const cJSON *item, unsigned depth, const struct place *place, struct verb_error *error)
{
	const cJSON *child, *other;
	char word[VERB_CLIP];
	unsigned n = 0;

	if (depth > VERB_DEPTH_MAX)
		return refuse(error, place, "nested more than %d levels deep", VERB_DEPTH_MAX);
	cJSON_ArrayForEach (child, item) {
		struct place here = *place;

		if (cJSON_IsObject(item)) {
			here = member(place, child->string);
			if (n >= VERB_ANY_MAX)
				return refuse(error, place, "more than %d members", VERB_ANY_MAX);
			for (other = item->child; other != child; other = other->next)
				if (!strcmp(other->string, child->string))
					return refuse(error, &here, "%s is given twice",
					        verb_clip(child->string, word));
		} else {
			here = element(place, n);
		}
		n++;
		if (child->child && check_any(child, depth + 1, &here, error))
			return -EINVAL;
	}
	return 0;
}

static int check_object(const cJSON *object, const struct shape *shape, const struct place *place,
        struct verb_error *error);

static bool has_control(const char *text)
{
	for (; *text; text++)
		if ((unsigned char)*text < 0x20 || *text == 0x7f)
			return true;
	return false;
}

static bool vlan_range(const char *text)
{
	unsigned value[2] = {0, 0};

	for (int i = 0; i < 2; i++) {
		int digits = 0;

		while (isdigit((unsigned char)*text) && digits++ < 4)
			value[i] = value[i] * 10 + (unsigned)(*text++ - '0');
		if (!digits || *text++ != (i ? '\0' : '-'))
			return false;
	}
	return value[0] >= 1 && value[0] <= value[1] && value[1] <= 4094;
}

static int check_integer(const cJSON *item, int64_t min, int64_t max, const struct place *place,
        struct verb_error *error)
{
	double value = item->valuedouble;

	if (!cJSON_IsNumber(item) || !isfinite(value) || value != floor(value))
		return refuse(error, place, "%s must be a whole number of %lld to %lld",
		        place->text, (long long)min, (long long)max);
	if (value < (double)min || value > (double)max)
		return refuse(error, place, "%s is %.0f; it must be %lld to %lld", place->text,
		        fabs(value) < 1e15 ? value : copysign(1e15, value), (long long)min,
		        (long long)max);
	return 0;
}

static int check_enum(const cJSON *item, const struct verb_field *field, const struct place *place,
        struct verb_error *error)
{
	char list[160] = "", word[VERB_CLIP];
	size_t n = 0;

	for (unsigned i = 0; field->values[i] && n < sizeof(list); i++) {
		if (!strcmp(item->valuestring, field->values[i]))
			return 0;
		n += (size_t)snprintf(list + n, sizeof(list) - n, "%s%s",
		        !i                     ? ""
		        : field->values[i + 1] ? ", "
		                               : " or ",
		        field->values[i]);
	}
	return refuse(error, place, "%s is \"%s\"; it must be %s", place->text,
	        verb_clip(item->valuestring, word), list);
}

static bool name_fits(const char *text, int64_t max)
{
	return pr_name_valid(text) && (!max || (int64_t)strlen(text) <= max);
}

static bool path_fits(const char *text)
{
	return text[0] == '/' && strlen(text) < 4096;
}

static bool mac_fits(const char *text)
{
	struct pr_mac mac;

	return !pr_mac_parse(text, &mac) && !pr_mac_is_zero(&mac) && !pr_mac_is_multicast(&mac);
}

/* What is wrong with the text, as the end of a sentence, or NULL. */
static const char *text_fault(const char *text, const struct verb_field *field)
{
	struct pr_prefix prefix;
	struct pr_ip ip;

	switch (field->type) {
	case VERB_NAME:
		return name_fits(text, field->max)
		               ? NULL
		               : "must be a name: letters, digits, _ . - and first a letter or "
		                 "digit, at most 63 (an owner: 31)";
	case VERB_IP:
		return pr_ip_parse(text, &ip) ? "must be an IP address such as 192.0.2.1" : NULL;
	case VERB_PREFIX:
		return !strchr(text, '/') || pr_prefix_parse(text, &prefix)
		               ? "must be address/length such as 192.0.2.0/24"
		               : NULL;
	case VERB_MAC:
		return mac_fits(text) ? NULL
		                      : "must be a unicast MAC address such as 02:00:00:00:00:01";
	case VERB_PATH:
		return path_fits(text) ? NULL : "must be an absolute path";
	case VERB_VLANS:
		return vlan_range(text) ? NULL : "must be a VLAN of 1 to 4094 or a range \"a-b\"";
	default:
		if (!*text)
			return "must not be empty";
		return strlen(text) > (size_t)(field->max ? field->max : VERB_STRING_MAX)
		               ? "is too long"
		               : NULL;
	}
}

static int check_text(const cJSON *item, const struct verb_field *field, const struct place *place,
        struct verb_error *error)
{
	char word[VERB_CLIP];
	const char *fault;

	if (!cJSON_IsString(item))
		return refuse(error, place, "%s must be a string", place->text);
	if (!*item->valuestring && field->empty)
		return 0;
	if (has_control(item->valuestring))
		return refuse(error, place, "%s has control characters in it", place->text);
	if (field->type == VERB_ENUM)
		return check_enum(item, field, place, error);
	fault = text_fault(item->valuestring, field);
	if (!fault)
		return 0;
	return refuse(error, place, "%s is \"%s\"; it %s", place->text,
	        verb_clip(item->valuestring, word), fault);
}

static int check_value(const cJSON *item, const struct verb_field *field, const struct place *place,
        struct verb_error *error)
{
	const struct shape shape = {field->fields, field->n_fields, NULL, NULL};

	switch (field->type) {
	case VERB_BOOL:
		if (!cJSON_IsBool(item))
			return refuse(error, place, "%s must be true or false", place->text);
		return 0;
	case VERB_INTEGER:
		return check_integer(item, field->min, field->max, place, error);
	case VERB_VLANS:
		if (cJSON_IsNumber(item))
			return check_integer(item, 1, 4094, place, error);
		return check_text(item, field, place, error);
	case VERB_OBJECT:
		if (!cJSON_IsObject(item))
			return refuse(error, place, "%s must be an object", place->text);
		if (!field->fields)
			return check_any(item, 2, place, error);
		return check_object(item, &shape, place, error);
	default:
		return check_text(item, field, place, error);
	}
}

static int check_field(const cJSON *item, const struct verb_field *field, const struct place *place,
        struct verb_error *error)
{
	const cJSON *child;
	unsigned n = 0;

	if (!field->array)
		return check_value(item, field, place, error);
	if (!cJSON_IsArray(item))
		return refuse(error, place, "%s must be an array", place->text);
	cJSON_ArrayForEach (child, item) {
		struct place here = element(place, n);

		if (field->max_items && n == field->max_items)
			return refuse(error, place, "%s has more than %u elements", place->text,
			        field->max_items);
		if (check_value(child, field, &here, error))
			return -EINVAL;
		n++;
	}
	return 0;
}

static int refuse_unknown(const struct shape *shape, const char *name, const struct place *place,
        struct verb_error *error)
{
	const char *known[64], *nearest;
	char word[VERB_CLIP];
	unsigned n = 0;

	for (unsigned i = 0; i < shape->n_fields && n < 64; i++)
		if (applies(shape, &shape->fields[i]) && !shape->fields[i].out)
			known[n++] = shape->fields[i].name;
	nearest = verb_nearest(name, known, n);
	return refuse(error, place, "there is no member %s%s%s%s", verb_clip(name, word),
	        nearest ? "; did you mean " : "", nearest ? nearest : "", nearest ? "?" : "");
}

static int check_member(const cJSON *item, const struct shape *shape, uint64_t *seen,
        const struct place *base, struct verb_error *error)
{
	const struct verb_field *field = lookup(shape, item->string);
	struct place place = member(base, item->string);
	uint64_t bit;

	if (!field)
		return refuse_unknown(shape, item->string, &place, error);
	bit = UINT64_C(1) << (field - shape->fields);
	if (*seen & bit)
		return refuse(error, &place, "%s is given twice", place.text);
	*seen |= bit;
	if (!applies(shape, field))
		return refuse(error, &place, "%s is for %s %s only, not for %s", place.text,
		        shape->selector, field->only, shape->selected);
	if (field->out)
		return refuse(error, &place,
		        "%s is told by the daemon and can not be set; leave it out", place.text);
	return check_field(item, field, &place, error);
}

static int check_object(const cJSON *object, const struct shape *shape, const struct place *place,
        struct verb_error *error)
{
	uint64_t seen = 0;
	const cJSON *item;

	cJSON_ArrayForEach (item, object)
		if (check_member(item, shape, &seen, place, error))
			return -EINVAL;
	for (unsigned i = 0; i < shape->n_fields; i++) {
		const struct verb_field *field = &shape->fields[i];
		struct place here;

		if (!field->required || seen & UINT64_C(1) << i)
			continue;
		/* Without the selector only that it is missing can be said. */
		if (field->only && (!shape->selected || strcmp(field->only, shape->selected)))
			continue;
		here = member(place, field->name);
		return refuse(error, &here, "%s is missing: %s", here.text, field->help);
	}
	return 0;
}

static int check_params(
        const struct verb *verb, const cJSON *params, bool named, struct verb_error *error)
{
	const struct place top = {.named = named};
	struct shape shape;

	memset(error, 0, sizeof(*error));
	if (params && !cJSON_IsObject(params))
		return refuse(error, &top, "params must be an object");
	shape = shape_of(verb, params);
	/* A selector of no known value is refused before it decides what applies. */
	if (shape.selected) {
		const struct verb_field *field = verb_field_find(verb, verb->selector, NULL);
		struct place place = member(&top, verb->selector);

		if (check_field(cJSON_GetObjectItemCaseSensitive(params, verb->selector), field,
		            &place, error))
			return -EINVAL;
	}
	return check_object(params, &shape, &top, error);
}

int verb_check(const struct verb *verb, const cJSON *params, struct verb_error *error)
{
	int rc = check_params(verb, params, false, error);

	return rc ? check_params(verb, params, true, error) : 0;
}

static void drop_out(const struct verb_field *fields, unsigned n, cJSON *object)
{
	cJSON *member, *item;

	for (unsigned i = 0; i < n; i++) {
		const struct verb_field *field = &fields[i];

		if (field->out)
			cJSON_DeleteItemFromObjectCaseSensitive(object, field->name);
		else if (field->array && field->n_fields) {
			member = cJSON_GetObjectItemCaseSensitive(object, field->name);
			cJSON_ArrayForEach (item, member)
				drop_out(field->fields, field->n_fields, item);
		}
	}
}

void verb_drop_out(const struct verb *verb, cJSON *params)
{
	drop_out(verb->fields, verb->n_fields, params);
}
