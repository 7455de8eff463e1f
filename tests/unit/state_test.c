/* SPDX-License-Identifier: BSD-3-Clause */
/* The state database: what was committed comes back, in order, after every way of ending. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <fcntl.h>
#include <ftw.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "control/state.c"

static char directory[64];

static int remove_entry(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st;
	(void)type;
	(void)ftw;
	return remove(path);
}

static int set_up(void **test)
{
	(void)test;
	strcpy(directory, "/tmp/podrail-state-XXXXXX");
	return mkdtemp(directory) ? 0 : -1;
}

static int tear_down(void **test)
{
	(void)test;
	state_close();
	return nftw(directory, remove_entry, 8, FTW_DEPTH | FTW_PHYS);
}

static void put(const char *kind, const char *key, int value)
{
	cJSON *body = cJSON_CreateObject();

	cJSON_AddNumberToObject(body, "value", value);
	assert_int_equal(state_put(kind, key, body), 0);
	cJSON_Delete(body);
}

static int value_of(const cJSON *body)
{
	return cJSON_GetObjectItemCaseSensitive(body, "value")->valueint;
}

static int get(const char *kind, const char *key)
{
	cJSON *body = state_get(kind, key);
	int value = body ? value_of(body) : -1;

	cJSON_Delete(body);
	return value;
}

struct seen {
	unsigned n;
	char keys[4096];
	bool store;
};

static void see(void *arg, const char *key, const cJSON *body)
{
	struct seen *seen = arg;

	seen->n++;
	assert_true(cJSON_IsObject(body));
	if (seen->n <= 64)
		snprintf(seen->keys + strlen(seen->keys), 64, "%s ", key);
	if (seen->store) /* a replayed object may be written again while the list is read */
		put("other", key, 1);
}

static unsigned count(const char *kind)
{
	struct seen seen = {0};

	assert_int_equal(state_each(kind, see, &seen), 0);
	return seen.n;
}

static void test_round_trip(void **test)
{
	struct seen seen = {0};

	(void)test;
	assert_int_equal(state_open(directory, false), 0);
	assert_int_equal(state_begin(), 0);
	put("port", "c", 1);
	put("port", "a", 2);
	put("network", "a", 3);
	put("port", "b", 4);
	put("port", "c", 5); /* replaced: keeps its place */
	assert_int_equal(state_del("port", "never"), 0);
	assert_int_equal(state_commit(), 0);
	state_close();
	assert_int_equal(state_open(directory, true), 0);
	assert_int_equal(state_each("port", see, &seen), 0);
	assert_string_equal(seen.keys, "c a b ");
	assert_int_equal(get("port", "c"), 5);
	assert_int_equal(get("network", "a"), 3);
	assert_int_equal(get("network", "c"), -1);
	assert_int_equal(state_del("port", "a"), 0);
	assert_int_equal(count("port"), 2);
}

static void test_rollback_and_requests(void **test)
{
	(void)test;
	assert_int_equal(state_open(directory, false), 0);
	assert_int_equal(state_begin(), 0);
	assert_int_equal(state_begin(), -EALREADY);
	put("port", "gone", 1);
	state_rollback();
	assert_int_equal(count("port"), 0);
	assert_int_equal(state_begin(), 0);
	state_request_begin();
	put("port", "first", 1);
	state_request_end(false);
	state_request_begin();
	put("port", "second", 1);
	put("port", "first", 2);
	state_request_end(true);
	state_request_begin();
	state_request_end(true); /* without a row */
	state_request_begin();
	put("port", "third", 1);
	state_request_end(false);
	assert_int_equal(state_commit(), 0);
	assert_int_equal(count("port"), 2);
	assert_int_equal(get("port", "first"), 1);
	assert_int_equal(get("port", "second"), -1);
	assert_int_equal(state_begin(), 0);
	assert_int_equal(state_commit(), 0); /* empty */
}

static void test_pages(void **test)
{
	struct seen seen = {.store = true};
	char key[16];

	(void)test;
	assert_int_equal(state_open(directory, false), 0);
	assert_int_equal(state_begin(), 0);
	for (int i = 0; i < 2 * PAGE_ROWS; i++) {
		snprintf(key, sizeof(key), "k%d", i);
		put("port", key, i);
	}
	assert_int_equal(state_commit(), 0);
	assert_int_equal(state_each("port", see, &seen), 0);
	assert_int_equal(seen.n, 2 * PAGE_ROWS);
	assert_int_equal(count("other"), 2 * PAGE_ROWS);
}

/* A killed writer loses nothing that was committed and leaves nothing that was not. */
static void test_killed(void **test)
{
	int pipes[2], committed = -1, status;
	char key[16];
	pid_t pid;

	(void)test;
	assert_int_equal(pipe(pipes), 0);
	pid = fork();
	if (!pid) {
		if (state_open(directory, false))
			_exit(1);
		for (int i = 0;; i++) {
			snprintf(key, sizeof(key), "k%d", i);
			state_begin();
			put("port", key, i);
			if (state_commit() || write(pipes[1], &i, sizeof(i)) != sizeof(i))
				_exit(1);
		}
	}
	close(pipes[1]);
	for (int i = 0; i < 200; i++)
		assert_int_equal(read(pipes[0], &committed, sizeof(committed)), sizeof(committed));
	kill(pid, SIGKILL);
	while (read(pipes[0], &committed, sizeof(committed)) == sizeof(committed))
		;
	close(pipes[0]);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFSIGNALED(status));
	assert_int_equal(state_open(directory, false), 0);
	assert_in_range(count("port"), committed + 1, committed + 2);
	snprintf(key, sizeof(key), "k%d", committed);
	assert_int_equal(get("port", key), committed);
}

static void test_newer_schema(void **test)
{
	(void)test;
	assert_int_equal(state_open(directory, false), 0);
	put("port", "a", 1);
	assert_int_equal(run("UPDATE meta SET value = '2' WHERE name = 'schema'"), 0);
	state_close();
	assert_int_equal(state_open(directory, false), -EPROTO);
	assert_int_equal(state_put("port", "b", NULL), -ENOMEM);
	assert_int_equal(state_del("port", "a"), -ENODEV);
}

/* SQLite refuses to grow: the request fails, what was stored before stays. */
static void test_full(void **test)
{
	cJSON *body = cJSON_CreateObject();
	char *large = calloc(1, 1 << 20);
	int rc;

	(void)test;
	memset(large, 'x', (1 << 20) - 1);
	cJSON_AddStringToObject(body, "large", large);
	assert_int_equal(state_open(directory, false), 0);
	put("port", "a", 1);
	assert_int_equal(run("PRAGMA max_page_count = 20"), 0);
	assert_int_equal(state_begin(), 0);
	state_request_begin();
	rc = state_put("port", "large", body);
	assert_int_equal(rc, -ENOSPC);
	state_request_end(true);
	/* The transaction may be gone: then commit says so, and all is undone. */
	rc = state_commit();
	assert_true(rc == 0 || rc == -EIO);
	assert_int_equal(get("port", "a"), 1);
	assert_int_equal(get("port", "large"), -1);
	assert_int_equal(state_begin(), 0);
	put("port", "b", 2);
	assert_int_equal(state_commit(), 0);
	assert_int_equal(get("port", "b"), 2);
	cJSON_Delete(body);
	free(large);
}

static void test_locked(void **test)
{
	char path[128];
	sqlite3 *other;

	(void)test;
	assert_int_equal(state_open(directory, false), 0);
	sqlite3_busy_timeout(state.db, 10);
	snprintf(path, sizeof(path), "%s/%s", directory, STATE_FILE);
	assert_int_equal(sqlite3_open(path, &other), 0);
	assert_int_equal(sqlite3_exec(other, "BEGIN IMMEDIATE", NULL, NULL, NULL), 0);
	assert_int_equal(state_begin(), 0);
	assert_int_equal(state_del("port", "a"), -EBUSY);
	state_rollback();
	sqlite3_close(other);
	put("port", "a", 1);
	assert_int_equal(get("port", "a"), 1);
}

static unsigned moved_aside(void)
{
	char command[160], text[16] = "";
	FILE *out;

	snprintf(command, sizeof(command), "ls %s | grep -c 'db.corrupt-[0-9]*$'", directory);
	out = popen(command, "r");
	assert_non_null(fgets(text, sizeof(text), out));
	pclose(out);
	return (unsigned)atoi(text);
}

static void fill_and_close(unsigned n)
{
	char key[16];

	assert_int_equal(state_open(directory, false), 0);
	state_begin();
	for (unsigned i = 0; i < n; i++) {
		snprintf(key, sizeof(key), "k%u", i);
		put("port", key, (int)i);
	}
	assert_int_equal(state_commit(), 0);
	state_close();
}

static void overwrite(off_t at, size_t size)
{
	char path[128], junk[4096];
	int fd;

	snprintf(path, sizeof(path), "%s/%s", directory, STATE_FILE);
	fd = open(path, O_WRONLY);
	memset(junk, 0xa5, sizeof(junk));
	for (size_t done = 0; done < size; done += sizeof(junk))
		assert_int_equal(pwrite(fd, junk, sizeof(junk), at + (off_t)done), sizeof(junk));
	close(fd);
}

static void test_no_database(void **test)
{
	(void)test;
	fill_and_close(10);
	overwrite(0, 4096);
	assert_int_equal(state_open(directory, false), 0);
	assert_int_equal(count("port"), 0);
	assert_int_equal(moved_aside(), 1);
	put("port", "new", 1);
	assert_int_equal(get("port", "new"), 1);
}

/* Some pages in the middle are destroyed: most objects come back, the file is kept. */
static void test_damaged(void **test)
{
	unsigned kept;

	(void)test;
	fill_and_close(4000);
	overwrite(24 * 4096, 8192);
	assert_int_equal(state_open(directory, false), 0);
	kept = count("port");
	assert_int_equal(moved_aside(), 1);
	assert_in_range(kept, 2000, 3999);
	for (unsigned i = 0; i < 4000; i++) {
		char key[16];
		int value;

		snprintf(key, sizeof(key), "k%u", i);
		value = get("port", key);
		assert_true(value == -1 || value == (int)i);
	}
	state_close();
	assert_int_equal(state_open(directory, false), 0);
	assert_int_equal(count("port"), kept);
}

static void test_bad_rows(void **test)
{
	(void)test;
	assert_int_equal(state_open(directory, false), 0);
	put("port", "a", 1);
	assert_int_equal(put_text("port", "b", "{\"value\":"), 0);
	assert_int_equal(put_text("port", "c", "[]"), 0);
	put("port", "d", 1);
	assert_int_equal(count("port"), 2);
}

static void test_no_directory(void **test)
{
	(void)test;
	assert_int_equal(state_open("/nonexistent/podrail", false), -EACCES);
	assert_int_equal(state_each("port", see, NULL), -ENODEV);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
	        TEST(test_round_trip),
	        TEST(test_rollback_and_requests),
	        TEST(test_pages),
	        TEST(test_killed),
	        TEST(test_newer_schema),
	        TEST(test_full),
	        TEST(test_locked),
	        TEST(test_no_database),
	        TEST(test_damaged),
	        TEST(test_bad_rows),
	        TEST(test_no_directory),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
