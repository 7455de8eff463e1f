/* SPDX-License-Identifier: BSD-3-Clause */
/* JSON-RPC 2.0 and the transaction of a line, over a small table of methods that only counts. The
 * state database is a fake that fails when told to. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "control/control.h"
#include "control/rpc.h"
#include "control/rpc_id.h"
#include "control/state.h"

/* ---- the fake state: what is stored, by line and by request ---- */

static int stored, in_line, in_request;
static int commit_result, put_result;
static bool transaction;

int state_begin(void)
{
	assert_false(transaction);
	transaction = true;
	in_line = in_request = 0;
	return 0;
}

int state_commit(void)
{
	assert_true(transaction);
	transaction = false;
	if (!commit_result)
		stored += in_line;
	return commit_result;
}

void state_rollback(void)
{
	transaction = false;
}

void state_request_begin(void)
{
	in_request = 0;
}

void state_request_end(bool failed)
{
	if (!failed)
		in_line += in_request;
}

static int fake_put(int n)
{
	assert_true(transaction);
	if (!put_result)
		in_request += n;
	return put_result;
}

/* ---- the methods ---- */

static int applied;     /* what the data plane would have */
static char undone[64]; /* the order of undoing */
static char seen_params[256];
static int fail_without_reason;

static void undo_add(void *arg)
{
	applied--;
	strncat(undone, arg, sizeof(undone) - strlen(undone) - 1);
}

static int network_add(struct request *request)
{
	const cJSON *name = cJSON_GetObjectItemCaseSensitive(request->params, "name");
	int rc;

	assert_true(transaction);
	if (!strcmp(name->valuestring, "taken"))
		return request_fail(
		        request, PR_ERR_EXISTS, "mtu", "a network of that name differs");
	applied++;
	rpc_on_rollback(undo_add, strndup(name->valuestring, 1));
	rc = fake_put(1);
	if (rc)
		return request_fail_storage(request, rc);
	cJSON_AddBoolToObject(request->result, "created", 1);
	return 0;
}

static int network_list(struct request *request)
{
	cJSON_AddArrayToObject(request->result, "networks");
	return fail_without_reason;
}

static int hello(struct request *request)
{
	char *text = cJSON_PrintUnformatted(request->params);

	snprintf(seen_params, sizeof(seen_params), "%s", text);
	cJSON_free(text);
	cJSON_AddNumberToObject(request->result, "protocol", 1);
	return 0;
}

/* An answer of 1 MiB. */
static int route_list(struct request *request)
{
	char *text = malloc((1 << 20) + 1);

	memset(text, 'r', 1 << 20);
	text[1 << 20] = '\0';
	cJSON_AddStringToObject(request->result, "routes", text);
	free(text);
	applied++;
	return 0;
}

static int network_del(struct request *request)
{
	struct dp_error error = {.code = PR_ERR_IN_USE, .field = "name", .message = "it has ports"};

	return request_fail_dp(request, &error);
}

const struct method methods[] = {
        {"network.add", network_add},
        {"network.del", network_del},
        {"network.list", network_list},
        {"hello", hello},
        {"route.list", route_list},
};
const unsigned n_methods = sizeof(methods) / sizeof(methods[0]);

/* ---- helpers ---- */

static enum rpc_access access_now = RPC_ALL;

static char *call_size(const char *line, size_t size)
{
	size_t out = 0;
	char *copy = malloc(size ? size : 1); /* no NUL behind it: overreads are seen */
	char *answer;

	memcpy(copy, line, size);
	answer = rpc_handle(NULL, access_now, copy, size, &out);
	free(copy);
	assert_false(transaction);
	if (answer) {
		assert_int_equal(strlen(answer), out);
		assert_null(strchr(answer, '\n'));
	}
	return answer;
}

static char *call(const char *line)
{
	return call_size(line, strlen(line));
}

static void expect(const char *line, const char *answer)
{
	char *got = call(line);

	if (answer)
		assert_string_equal(got ? got : "(none)", answer);
	else
		assert_null(got);
	free(got);
}

/* The answer is an error with that code, id (as text) and field. */
static void expect_error(const char *line, int code, const char *id, const char *field)
{
	char *got = call(line), tail[64];
	cJSON *json = cJSON_Parse(got);
	const cJSON *error = cJSON_GetObjectItemCaseSensitive(json, "error");
	const cJSON *data = cJSON_GetObjectItemCaseSensitive(error, "data");
	const cJSON *item;

	assert_non_null(got);
	assert_null(cJSON_GetObjectItemCaseSensitive(json, "result"));
	assert_string_equal(cJSON_GetObjectItemCaseSensitive(json, "jsonrpc")->valuestring, "2.0");
	item = cJSON_GetObjectItemCaseSensitive(error, "code");
	if (item->valueint != code)
		fail_msg("%s answered %s, not %d", line, got, code);
	item = cJSON_GetObjectItemCaseSensitive(error, "message");
	assert_true(strlen(item->valuestring) > 8);
	item = cJSON_GetObjectItemCaseSensitive(data, "field");
	assert_string_equal(item ? item->valuestring : "", field);
	snprintf(tail, sizeof(tail), ",\"id\":%s}", id);
	assert_string_equal(got + strlen(got) - strlen(tail), tail);
	cJSON_Delete(json);
	free(got);
}

static int set_up(void **test)
{
	(void)test;
	stored = in_line = in_request = commit_result = put_result = applied = 0;
	fail_without_reason = 0;
	undone[0] = '\0';
	access_now = RPC_ALL;
	return 0;
}

#define ADD(id, name)                                                                              \
	"{\"jsonrpc\":\"2.0\",\"id\":" id                                                          \
	",\"method\":\"network.add\",\"params\":{\"name\":\"" name "\",\"mode\":\"routed\"}}"
#define CREATED(id) "{\"jsonrpc\":\"2.0\",\"result\":{\"created\":true},\"id\":" id "}"
#define HELLO(id)   "{\"jsonrpc\":\"2.0\",\"id\":" id ",\"method\":\"hello\"}"
#define HI(id)      "{\"jsonrpc\":\"2.0\",\"result\":{\"protocol\":1},\"id\":" id "}"

/* ---- tests ---- */

static void test_single(void **test)
{
	(void)test;
	expect(ADD("7", "a"), CREATED("7"));
	assert_int_equal(stored, 1);
	expect(HELLO("1"), HI("1"));
	assert_string_equal(seen_params, "{}");
	expect("  {\"method\":\"hello\",\"params\":{},\"id\":1,\"jsonrpc\":\"2.0\"}\r", HI("1"));
	expect_error(ADD("8", "taken"), PR_ERR_EXISTS, "8", "mtu");
	expect_error("{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"network.del\",\"params\":{"
	             "\"name\":\"a\"}}",
	        PR_ERR_IN_USE, "1", "name");
	assert_int_equal(stored, 1);
	assert_int_equal(applied, 1);
	assert_string_equal(undone, "");
}

static void test_ids(void **test)
{
	static const char *const ids[] = {"0", "-1", "1.50", "12345678901234567890", "1e3", "\"\"",
	        "\"a\\\"},b\\u0041\"", "null", "\"\xc3\xa4\""};
	char line[256], answer[256];

	(void)test;
	for (unsigned i = 0; i < sizeof(ids) / sizeof(ids[0]); i++) {
		snprintf(line, sizeof(line),
		        "{\"jsonrpc\":\"2.0\",\"id\": %s , \"method\":\"hello\"}", ids[i]);
		snprintf(answer, sizeof(answer),
		        "{\"jsonrpc\":\"2.0\",\"result\":{\"protocol\":1},\"id\":%s}", ids[i]);
		expect(line, answer);
	}
	expect_error(HELLO("true"), PR_ERR_REQUEST, "null", "");
	expect_error(HELLO("[1]"), PR_ERR_REQUEST, "null", "");
	expect_error(HELLO("{\"id\":3}"), PR_ERR_REQUEST, "null", "");
	/* "id" in a nested object or as a value is not the id */
	expect_error("{\"params\":{\"id\":9},\"method\":\"hello\",\"jsonrpc\":\"2.0\",\"id\":5}",
	        PR_ERR_PARAMS, "5", "id");
	expect("{\"\\u0069d\":4,\"method\":\"hello\",\"jsonrpc\":\"2.0\"}", HI("4"));
}

static void test_notifications(void **test)
{
	(void)test;
	expect("{\"jsonrpc\":\"2.0\",\"method\":\"network.add\",\"params\":{\"name\":\"a\","
	       "\"mode\":\"routed\"}}",
	        NULL);
	assert_int_equal(stored, 1);
	expect("{\"jsonrpc\":\"2.0\",\"method\":\"no.such\"}", NULL);
	expect("{\"jsonrpc\":\"2.0\",\"method\":\"hello\",\"params\":{\"x\":1}}", NULL);
	expect("[{\"jsonrpc\":\"2.0\",\"method\":\"hello\"},{\"jsonrpc\":\"2.0\",\"method\":"
	       "\"hello\"}]",
	        NULL);
	expect("[{\"jsonrpc\":\"2.0\",\"method\":\"hello\"}," HELLO("2") "]", "[" HI("2") "]");
}

static void test_invalid(void **test)
{
	static const char *const parse[] = {"", " ", "{", "nonsense", "{\"a\":1}x", "[1,]",
	        "{\"jsonrpc\":\"2.0\",\"id\":01,\"method\":\"hello\"}", "\"\xff\"",
	        "{\"jsonrpc\": \"2.0\", \"method\": \"foobar, \"params\": \"bar\", \"baz]"};
	static const char *const request[] = {"1", "null", "\"hello\"", "{}", "[]",
	        "{\"jsonrpc\":\"2.0\",\"method\":1,\"params\":\"bar\"}",
	        "{\"jsonrpc\":\"1.0\",\"method\":\"hello\"}", "{\"method\":\"hello\"}",
	        "{\"jsonrpc\":2.0,\"method\":\"hello\"}", "{\"jsonrpc\":\"2.0\"}"};

	(void)test;
	for (unsigned i = 0; i < sizeof(parse) / sizeof(parse[0]); i++)
		expect_error(parse[i], PR_ERR_PARSE, "null", "");
	for (unsigned i = 0; i < sizeof(request) / sizeof(request[0]); i++)
		expect_error(request[i], PR_ERR_REQUEST, "null", "");
	expect_error("{\"jsonrpc\":\"2.0\",\"method\":\"hello\",\"id\":1,\"extra\":1}",
	        PR_ERR_REQUEST, "1", "");
	expect_error("{\"jsonrpc\":\"2.0\",\"method\":\"hello\",\"method\":\"hello\",\"id\":1}",
	        PR_ERR_REQUEST, "1", "");
	expect_error(
	        "{\"jsonrpc\":\"2.0\",\"method\":\"no.such\",\"id\":1}", PR_ERR_METHOD, "1", "");
	expect_error("{\"jsonrpc\":\"2.0\",\"method\":\"port.list\",\"id\":1}", PR_ERR_METHOD, "1",
	        ""); /* in verbs.c, but not in our table */
	expect_error("{\"jsonrpc\":\"2.0\",\"method\":\"hello\",\"params\":[],\"id\":1}",
	        PR_ERR_PARAMS, "1", "");
	expect_error("{\"jsonrpc\":\"2.0\",\"method\":\"network.add\",\"params\":{\"name\":\"a\","
	             "\"name\":\"b\",\"mode\":\"routed\"},\"id\":1}",
	        PR_ERR_PARAMS, "1", "name");
	assert_int_equal(applied, 0);
}

static void test_depth(void **test)
{
	size_t size = 200000;
	char *line = malloc(size);
	char *answer;

	(void)test;
	memset(line, '[', size);
	answer = call_size(line, size);
	assert_non_null(strstr(answer, "-32700"));
	free(answer);
	for (size_t i = 0; i < size; i += 5)
		memcpy(line + i, "{\"a\":", 5);
	answer = call_size(line, size);
	assert_non_null(strstr(answer, "-32700"));
	free(answer);
	free(line);
}

/* The example of the specification, section 7, in our methods. */
static void test_batch(void **test)
{
	char *got, *line;
	size_t n = 0;

	(void)test;
	got = call("[" ADD("\"1\"", "a") ", 1 ,{\"foo\":\"boo\"},"
	                                 "{\"jsonrpc\":\"2.0\",\"method\":\"hello\"}," ADD(
	                                         "2", "taken") ",[]," HELLO("9") "]");
	assert_non_null(strstr(got, CREATED("\"1\"")));
	assert_non_null(strstr(got, HI("9")));
	for (const char *at = got; (at = strstr(at, "-32600")); at++)
		n++;
	assert_int_equal(n, 3);
	assert_ptr_equal(strstr(got, "[" CREATED("\"1\"") ","), got);
	assert_non_null(strstr(got, "," HI("9") "]"));
	free(got);
	assert_int_equal(stored, 1);

	line = malloc(64 * 1002);
	strcpy(line, "[");
	for (unsigned i = 0; i < 1001; i++)
		strcat(line, i ? ",1" : "1");
	strcat(line, "]");
	expect_error(line, PR_ERR_REQUEST, "null", "");
	line[strlen(line) - 3] = ']'; /* 1000 */
	line[strlen(line) - 2] = '\0';
	got = call(line);
	assert_int_equal(got[0], '[');
	free(got);
	free(line);
}

/* 100 answers of 1 MiB: what is over the bound is refused without being run. */
static void test_large_answers(void **test)
{
	static const char one[] = "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"route.list\"}";
	char *line = malloc(sizeof(one) * 101), *got;

	(void)test;
	line[0] = '\0';
	for (unsigned i = 0; i < 100; i++) {
		strcat(line, i ? "," : "[");
		strcat(line, one);
	}
	strcat(line, "]");
	got = call(line);
	assert_in_range(strlen(got), RPC_ANSWERS_MAX, RPC_ANSWERS_MAX + (2 << 20));
	assert_in_range(applied, 16, 17);
	free(got);
	free(line);
}

static void test_access(void **test)
{
	(void)test;
	access_now = RPC_READ;
	expect(HELLO("1"), HI("1"));
	expect_error(ADD("2", "a"), PR_ERR_DENIED, "2", "");
	expect_error(
	        "{\"jsonrpc\":\"2.0\",\"method\":\"no.such\",\"id\":1}", PR_ERR_METHOD, "1", "");
	access_now = RPC_DENIED;
	expect_error(HELLO("1"), PR_ERR_DENIED, "1", "");
	expect_error(
	        "{\"jsonrpc\":\"2.0\",\"method\":\"no.such\",\"id\":1}", PR_ERR_DENIED, "1", "");
	expect_error("nonsense", PR_ERR_PARSE, "null", "");
	assert_int_equal(applied, 0);
}

static void test_commit_fails(void **test)
{
	char *got;

	(void)test;
	commit_result = -ENOSPC;
	expect_error(ADD("1", "a"), PR_ERR_STORAGE, "1", "");
	assert_int_equal(applied, 0);
	got = call("[" ADD("1", "a") "," HELLO("2") "," ADD("3", "taken") "," ADD("4", "b") "]");
	assert_string_equal(undone, "aba");    /* the last first */
	assert_non_null(strstr(got, HI("2"))); /* what changed nothing stands */
	assert_non_null(strstr(got, "-32010"));
	assert_null(strstr(got, "created"));
	assert_int_equal(applied, 0);
	free(got);
	commit_result = 0;
	expect(ADD("1", "a"), CREATED("1"));
	assert_int_equal(applied, 1);
	assert_int_equal(stored, 1);
}

/* Several lines before a flush: one commit, a line for each in order, and notifications none. */
static void expect_held(const char *const *lines, unsigned n, const char *answers)
{
	size_t size = 1;
	char *got;

	for (unsigned i = 0; i < n; i++)
		assert_true(rpc_hold(NULL, access_now, lines[i], strlen(lines[i])));
	got = rpc_flush(&size);
	assert_false(transaction);
	if (answers) {
		assert_int_equal(size, strlen(answers));
		assert_memory_equal(got, answers, size);
	} else {
		assert_null(got);
		assert_int_equal(size, 0);
	}
	free(got);
}

static void test_held_lines(void **test)
{
	static const char *const lines[] = {ADD("1", "a"), "[" ADD("2", "b") "," HELLO("3") "]",
	        "{\"jsonrpc\":\"2.0\",\"method\":\"hello\"}", "nonsense", ADD("4", "taken"),
	        HELLO("5")};
	char *got;
	size_t size;

	(void)test;
	expect_held(NULL, 0, NULL);
	expect_held(&lines[2], 1, NULL);
	expect_held(&lines[5], 1, HI("5") "\n");
	for (unsigned i = 0; i < 6; i++)
		assert_true(rpc_hold(NULL, RPC_ALL, lines[i], strlen(lines[i])));
	assert_int_equal(stored, 0); /* not before the flush */
	got = rpc_flush(&size);
	assert_int_equal(stored, 2);
	assert_int_equal(applied, 2);
	assert_string_equal(undone, "");
	assert_true(!strncmp(got, CREATED("1") "\n[" CREATED("2") "," HI("3") "]\n{",
	        strlen(CREATED("1") CREATED("2") HI("3")) + 5));
	assert_non_null(strstr(got, "-32700"));
	assert_non_null(strstr(got, "-32010"));
	assert_int_equal(got[size - 1], '\n');
	assert_string_equal(strstr(got, HI("5")), HI("5") "\n");
	free(got);
	assert_null(rpc_flush(&size)); /* once */
}

static void test_held_commit_fails(void **test)
{
	static const char *const lines[] = {
	        ADD("1", "a"), HELLO("2"), "[" ADD("3", "b") "]", ADD("4", "taken")};
	char *got;
	size_t size;

	(void)test;
	commit_result = -ENOSPC;
	for (unsigned i = 0; i < 4; i++)
		assert_true(rpc_hold(NULL, RPC_ALL, lines[i], strlen(lines[i])));
	got = rpc_flush(&size);
	assert_int_equal(applied, 0);
	assert_int_equal(stored, 0);
	assert_null(strstr(got, "created"));
	assert_non_null(strstr(got, HI("2") "\n["));
	assert_non_null(strstr(got, "\"id\":1}\n"));
	assert_non_null(strstr(got, "\"id\":3}]\n"));
	assert_non_null(strstr(got, "-32010"));
	free(got);
	commit_result = 0;
	expect(ADD("1", "a"), CREATED("1"));
}

/* No more lines are held than there is room for. */
static void test_held_bound(void **test)
{
	static const char line[] = HELLO("1");
	unsigned n = 1;
	char *got;
	size_t size;

	(void)test;
	while (rpc_hold(NULL, RPC_ALL, line, strlen(line)))
		n++;
	assert_int_equal(n, RPC_LINES_MAX);
	got = rpc_flush(&size);
	assert_int_equal(size, n * strlen(HI("1") "\n"));
	free(got);
}

/* A request that fails in the middle takes back its own change and nobody else's. */
static void test_put_fails(void **test)
{
	(void)test;
	expect(ADD("1", "a"), CREATED("1"));
	put_result = -EBUSY;
	expect_error(ADD("2", "b"), PR_ERR_STORAGE, "2", "");
	assert_int_equal(applied, 1);
	assert_int_equal(stored, 1);
	assert_string_equal(undone, "b");
}

static void test_without_reason(void **test)
{
	(void)test;
	fail_without_reason = -EIO;
	expect_error("{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"network.list\"}", PR_ERR_INTERNAL,
	        "1", "");
}

static void undo_never(void *arg)
{
	(void)arg;
	fail();
}

static void test_outside_of_a_line(void **test)
{
	(void)test;
	rpc_on_rollback(undo_never, strdup("freed at once"));
}

/* A thousand lines made from good ones by breaking a few bytes: every one is answered as JSON. */
static void test_mutations(void **test)
{
	static const char good[] =
	        "[" ADD("1", "a") "," HELLO("\"x\"") ",{\"jsonrpc\":\"2.0\",\"method\":\"hello\"}]";
	char line[sizeof(good)];
	unsigned seed = 1, accepted = 0;

	(void)test;
	for (unsigned round = 0; round < 20000; round++) {
		unsigned changes = 1 + rand_r(&seed) % 4;
		char *got;

		memcpy(line, good, sizeof(good));
		while (changes--)
			line[(unsigned)rand_r(&seed) % (sizeof(good) - 1)] =
			        changes & 1 ? (char)rand_r(&seed)
			                    : "{}[]\",:\\0 "[rand_r(&seed) % 10];
		got = call_size(line, sizeof(good) - 1 - (unsigned)rand_r(&seed) % 3 / 2);
		if (got) {
			cJSON *json = cJSON_Parse(got);

			assert_non_null(json);
			accepted += strstr(got, "created") != NULL;
			cJSON_Delete(json);
		}
		free(got);
	}
	assert_true(accepted > 100);
}

#define TEST(name) cmocka_unit_test_setup(name, set_up)

int main(void)
{
	const struct CMUnitTest tests[] = {
	        TEST(test_single),
	        TEST(test_ids),
	        TEST(test_notifications),
	        TEST(test_invalid),
	        TEST(test_depth),
	        TEST(test_batch),
	        TEST(test_large_answers),
	        TEST(test_access),
	        TEST(test_commit_fails),
	        TEST(test_held_lines),
	        TEST(test_held_commit_fails),
	        TEST(test_held_bound),
	        TEST(test_put_fails),
	        TEST(test_without_reason),
	        TEST(test_outside_of_a_line),
	        TEST(test_mutations),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
