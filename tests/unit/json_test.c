/* SPDX-License-Identifier: BSD-3-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

#include "control/json.h"
#include "control/map.h"

static void values_of_other_types_are_fallbacks(void **state)
{
	cJSON *object = cJSON_Parse("{\"s\":\"x\",\"n\":7,\"b\":true,\"a\":[1],\"huge\":1e300}");

	(void)state;
	assert_string_equal(json_string(object, "s", "f"), "x");
	assert_string_equal(json_string(object, "n", "f"), "f");
	assert_string_equal(json_string(object, "none", "f"), "f");
	assert_int_equal(json_integer(object, "n", -1), 7);
	assert_int_equal(json_integer(object, "s", -1), -1);
	assert_int_equal(json_integer(object, "huge", -1), -1);
	assert_true(json_bool(object, "b", false));
	assert_true(json_bool(object, "n", true));
	assert_null(json_array(object, "s"));
	assert_int_equal(cJSON_GetArraySize(json_array(object, "a")), 1);
	cJSON_Delete(object);
}

static void numbers_stay_exact(void **state)
{
	cJSON *object = cJSON_CreateObject();
	char *text;

	(void)state;
	json_add_u64(object, "a", UINT64_MAX);
	json_add_u64(object, "b", 999999999999999);
	json_add_u64(object, "c", 1000000000000000);
	json_add_i64(object, "d", -3);
	text = cJSON_PrintUnformatted(object);
	assert_string_equal(text, "{\"a\":18446744073709551615,\"b\":999999999999999,"
	                          "\"c\":1000000000000000,\"d\":-3}");
	cJSON_free(text);
	cJSON_Delete(object);
}

static const char *difference(const char *a, const char *b)
{
	static char name[16];
	cJSON *x = cJSON_Parse(a), *y = cJSON_Parse(b);
	const char *found = json_difference(x, y);

	if (found)
		strcpy(name, found);
	cJSON_Delete(x);
	cJSON_Delete(y);
	return found ? name : NULL;
}

static void first_difference_is_named(void **state)
{
	(void)state;
	assert_null(difference("{\"a\":1,\"b\":[1,2]}", "{\"b\":[1,2],\"a\":1}"));
	assert_string_equal(
	        difference("{\"a\":1,\"b\":2,\"c\":3}", "{\"a\":1,\"b\":0,\"c\":0}"), "b");
	assert_string_equal(difference("{\"a\":1}", "{\"a\":1,\"z\":1}"), "z");
	assert_string_equal(difference("{\"a\":1,\"z\":1}", "{\"a\":1}"), "z");
	assert_string_equal(difference("{\"a\":[1,2]}", "{\"a\":[2,1]}"), "a");
}

/* Against the naive model: an array of which keys are in. */
static void map_as_its_model(void **state)
{
	enum { KEYS = 1000 };
	static char keys[KEYS][16];
	static bool in[KEYS];
	struct map map = {0};
	size_t used = 0, n;
	void **sorted;

	(void)state;
	srand(7);
	for (int i = 0; i < KEYS; i++)
		snprintf(keys[i], sizeof(keys[i]), "key%d", i);
	for (int step = 0; step < 200000; step++) {
		int i = rand() % KEYS;

		assert_ptr_equal(map_get(&map, keys[i]), in[i] ? keys[i] : NULL);
		if (in[i]) {
			assert_ptr_equal(map_remove(&map, keys[i]), keys[i]);
			used--;
		} else {
			assert_null(map_remove(&map, keys[i]));
			assert_int_equal(map_put(&map, keys[i], keys[i]), 0);
			used++;
		}
		in[i] = !in[i];
		assert_int_equal(map.used, used);
	}
	sorted = map_sorted(&map, &n);
	assert_int_equal(n, used);
	for (size_t i = 1; i < n; i++)
		assert_true(strcmp(sorted[i - 1], sorted[i]) < 0);
	free(sorted);
	free(map.slots);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(values_of_other_types_are_fallbacks),
	        cmocka_unit_test(numbers_stay_exact),
	        cmocka_unit_test(first_difference_is_named),
	        cmocka_unit_test(map_as_its_model),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
