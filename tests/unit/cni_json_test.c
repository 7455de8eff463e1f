/* SPDX-License-Identifier: BSD-3-Clause */
/* The plugin's JSON functions do what libcjson's do: both read, print and change the same texts,
 * random ones and broken ones, and must agree. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cjson/cJSON.h>
#include <cmocka.h>

#define TEXTS 20000

/* cni_json_names.h */
cJSON *own_Parse(const char *text);
cJSON *own_ParseWithLength(const char *text, size_t length);
cJSON *own_ParseWithLengthOpts(
        const char *text, size_t length, const char **parse_end, cJSON_bool require_end);
char *own_Print(const cJSON *item);
char *own_PrintUnformatted(const cJSON *item);
cJSON *own_Duplicate(const cJSON *item, cJSON_bool recurse);
void own_Delete(cJSON *item);
cJSON *own_GetObjectItemCaseSensitive(const cJSON *object, const char *name);
cJSON_bool own_HasObjectItem(const cJSON *object, const char *name);
int own_GetArraySize(const cJSON *array);
cJSON *own_DetachItemFromObjectCaseSensitive(cJSON *object, const char *name);
void own_DeleteItemFromArray(cJSON *array, int which);
cJSON_bool own_ReplaceItemInObjectCaseSensitive(cJSON *object, const char *name, cJSON *item);
cJSON_bool own_AddItemToArray(cJSON *array, cJSON *item);
cJSON *own_AddNumberToObject(cJSON *object, const char *name, double number);
cJSON *own_AddStringToObject(cJSON *object, const char *name, const char *string);
cJSON *own_CreateNumber(double number);
cJSON *own_CreateStringArray(const char *const *strings, int count);

static uint64_t seed = 0x9e3779b97f4a7c15;

static unsigned below(unsigned n)
{
	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;
	return (unsigned)(seed >> 33) % n;
}

static const char *const texts[] = {
        "",
        "{}",
        "[]",
        " [1, -2.5e3 ,0.1,1e300,-0,00,1.2.3,+1,12345678901234567890,1700000000,2147483648] ",
        "{\"a\":{\"b\":[true,false,null]},\"A\":\"x\",\"a\":2}",
        "\xef\xbb\xbf{\"\\u00e9\":\"\\ud83d\\ude00 \\\"\\\\\\/\\b\\f\\n\\r\\t \\u0001\"}",
        "\"\\ud83d\"",
        "\"\\ude00\"",
        "\"\\ud83d\\u0041\"",
        "\"\\u0000a\"",
        "\"\\x\"",
        "\"open",
        "\"open\\",
        "{\"a\":1,}",
        "{\"a\" 1}",
        "{a:1}",
        "[1,2",
        "[1,,2]",
        "nul",
        "truefalse",
        "-",
        "{} trailing",
        "{} \n\t ",
        "[[[[[[[[[[]]]]]]]]]]",
        "{\"cniVersion\":\"1.0.0\",\"name\":\"x\",\"ipam\":{\"type\":\"host-local\",\"ranges\":[[{"
        "\"subnet\":\"198.18.1.0/24\"}]]},\"mtu\":1500,\"deep\":{\"x\":[null,\"\xc3\xa9\\n\"]}}",
};

static void same_text(char *ours, char *theirs, const char *what)
{
	if (!ours != !theirs || (ours && strcmp(ours, theirs)))
		fail_msg("%s\nours   %s\ntheirs %s", what, ours, theirs);
	free(ours);
	cJSON_free(theirs);
}

static void same_numbers(const cJSON *a, const cJSON *b)
{
	for (; a && b; a = a->next, b = b->next) {
		assert_int_equal(a->type, b->type);
		assert_int_equal(a->valueint, b->valueint);
		assert_true(!memcmp(&a->valuedouble, &b->valuedouble, sizeof(double)));
		same_numbers(a->child, b->child);
	}
	assert_true(!a && !b);
}

static void same_value(const cJSON *ours, const cJSON *theirs, const char *what)
{
	if (!ours != !theirs)
		fail_msg("%s: only %s read it", what, ours ? "we" : "they");
	same_numbers(ours, theirs);
	same_text(own_Print(ours), cJSON_Print(theirs), what);
	same_text(own_PrintUnformatted(ours), cJSON_PrintUnformatted(theirs), what);
}

/* The one difference: cJSON takes "\\u" with something else than four digits for U+0000. */
static bool odd_escape(const char *text)
{
	while ((text = strstr(text, "\\u"))) {
		text += 2;
		if (strspn(text, "0123456789abcdefABCDEF") < 4)
			return true;
	}
	return false;
}

static void compare(const char *text, size_t length)
{
	char *exact = malloc(length + 1);
	cJSON *ours, *theirs, *copy;

	if (odd_escape(text)) {
		free(exact);
		return;
	}
	memcpy(exact, text, length);
	exact[length] = '\0';
	ours = own_ParseWithLengthOpts(exact, length + 1, NULL, 1);
	theirs = cJSON_ParseWithLengthOpts(exact, length + 1, NULL, 1);
	same_value(ours, theirs, exact);
	own_Delete(ours);
	cJSON_Delete(theirs);
	ours = own_Parse(exact);
	theirs = cJSON_Parse(exact);
	same_value(ours, theirs, exact);
	own_Delete(ours);
	cJSON_Delete(theirs);
	/* nothing behind the end is read: the sanitizer sees it */
	exact = realloc(exact, length ? length : 1);
	ours = own_ParseWithLength(exact, length);
	theirs = cJSON_ParseWithLength(exact, length);
	free(exact);
	same_value(ours, theirs, text);
	copy = own_Duplicate(ours, 1);
	same_value(copy, theirs, text);
	own_Delete(copy);
	own_Delete(ours);
	cJSON_Delete(theirs);
}

static void texts_read_alike(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
		compare(texts[i], strlen(texts[i]));
}

static void broken_texts_read_alike(void **state)
{
	static const char bytes[] = "{}[]\",:\\u0019-+.eE \n\tdDaAtrulfsn8c\x01\xc3\xa9";
	char text[1024];

	(void)state;
	for (int i = 0; i < TEXTS; i++) {
		const char *from = texts[below(sizeof(texts) / sizeof(texts[0]))];
		size_t length = strlen(from);

		memcpy(text, from, length);
		for (unsigned n = below(4); n; n--) {
			unsigned at = below((unsigned)length + 1);

			switch (below(3)) {
			case 0: /* another byte */
				if (at < length)
					text[at] = bytes[below(sizeof(bytes) - 1)];
				break;
			case 1: /* one more */
				memmove(text + at + 1, text + at, length++ - at);
				text[at] = bytes[below(sizeof(bytes) - 1)];
				break;
			default: /* cut */
				length = at;
			}
		}
		text[length] = '\0';
		compare(text, length);
	}
}

static void nesting_has_the_same_limit(void **state)
{
	char text[4 * CJSON_NESTING_LIMIT];

	(void)state;
	for (int depth = CJSON_NESTING_LIMIT - 1; depth <= CJSON_NESTING_LIMIT + 1; depth++) {
		memset(text, '[', (size_t)depth);
		memset(text + depth, ']', (size_t)depth);
		text[2 * depth] = '\0';
		compare(text, (size_t)(2 * depth));
	}
}

static void numbers_print_alike(void **state)
{
	(void)state;
	for (int i = 0; i < TEXTS; i++) {
		uint64_t bits = seed;
		double number;
		cJSON *ours, *theirs;

		memcpy(&number, &bits, sizeof(number));
		if (i % 2)
			number = (double)((int64_t)bits >> below(64)) / (below(3) ? 1 : 8);
		below(1);
		ours = own_CreateNumber(number);
		theirs = cJSON_CreateNumber(number);
		assert_int_equal(ours->valueint, theirs->valueint);
		same_text(own_PrintUnformatted(ours), cJSON_PrintUnformatted(theirs), "number");
		own_Delete(ours);
		cJSON_Delete(theirs);
	}
}

/* Whatever is done to a list of members, its links stay right at both ends. */
static void changes_are_alike(void **state)
{
	static const char *const words[] = {"x", "y\n"};
	cJSON *ours = own_Parse("{}"), *theirs = cJSON_Parse("{}");
	char name[2] = "";

	(void)state;
	for (int i = 0; i < 20000; i++) {
		name[0] = (char)("abcdeABC"[below(8)]);
		assert_int_equal(own_HasObjectItem(ours, name), cJSON_HasObjectItem(theirs, name));
		switch (below(5)) {
		case 0:
			own_AddNumberToObject(ours, name, i);
			cJSON_AddNumberToObject(theirs, name, i);
			break;
		case 1:
			own_AddStringToObject(ours, name, "text");
			cJSON_AddStringToObject(theirs, name, "text");
			break;
		case 2:
			own_Delete(own_DetachItemFromObjectCaseSensitive(ours, name));
			cJSON_Delete(cJSON_DetachItemFromObjectCaseSensitive(theirs, name));
			break;
		case 3: {
			int which = (int)below(9) - 1;

			own_DeleteItemFromArray(ours, which);
			cJSON_DeleteItemFromArray(theirs, which);
			break;
		}
		default:
			if (!own_GetObjectItemCaseSensitive(ours, name))
				break;
			own_ReplaceItemInObjectCaseSensitive(
			        ours, name, own_CreateStringArray(words, 2));
			cJSON_ReplaceItemInObjectCaseSensitive(
			        theirs, name, cJSON_CreateStringArray(words, 2));
		}
		assert_int_equal(own_GetArraySize(ours), cJSON_GetArraySize(theirs));
		if (own_GetArraySize(ours))
			assert_null(ours->child->prev->next);
		same_value(ours, theirs, "changed");
	}
	own_Delete(ours);
	cJSON_Delete(theirs);
}

static void nothing_is_harmless(void **state)
{
	cJSON *array = own_Parse("[1]");

	(void)state;
	assert_null(own_Parse(NULL));
	assert_null(own_Parse("\"\\u12x4\""));
	assert_null(own_Print(NULL));
	assert_null(own_Duplicate(NULL, 1));
	assert_null(own_GetObjectItemCaseSensitive(NULL, "a"));
	assert_null(own_GetObjectItemCaseSensitive(array, "a"));
	assert_int_equal(own_GetArraySize(NULL), 0);
	assert_false(own_AddItemToArray(array, NULL));
	assert_false(own_AddItemToArray(array, array));
	assert_null(own_AddNumberToObject(NULL, "a", 1));
	own_DeleteItemFromArray(NULL, 0);
	own_Delete(array);
	own_Delete(NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(texts_read_alike),
	        cmocka_unit_test(broken_texts_read_alike),
	        cmocka_unit_test(nesting_has_the_same_limit),
	        cmocka_unit_test(numbers_print_alike),
	        cmocka_unit_test(changes_are_alike),
	        cmocka_unit_test(nothing_is_harmless),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
