/* SPDX-License-Identifier: BSD-3-Clause */
/* Tombstones against a real state database. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "control/control.h"
#include "control/tombstones.h"

static char directory[64];
static char deleted[256];
static int del_result;

static int remove_entry(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st;
	(void)type;
	(void)ftw;
	return remove(path);
}

static void write_stone(const char *file, const char *content, size_t size)
{
	char path[512];
	int fd;

	snprintf(path, sizeof(path), "%s/tombstones/%s", directory, file);
	fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, content, size), (ssize_t)size);
	close(fd);
}

static void stone(const char *port, const char *container)
{
	char text[512];
	int n;

	n = snprintf(text, sizeof(text),
	        "{\"port\": \"%s\", \"containerId\": \"%s\", \"bootId\": \"b\"}\n", port,
	        container);
	write_stone(port, text, (size_t)n);
}

static bool exists(const char *name)
{
	char path[512];
	struct stat st;

	snprintf(path, sizeof(path), "%s/%s", directory, name);
	return !lstat(path, &st);
}

static void store(const char *name, const char *container)
{
	cJSON *body = cJSON_CreateObject();

	cJSON_AddStringToObject(body, "name", name);
	if (container)
		cJSON_AddStringToObject(
		        cJSON_AddObjectToObject(body, "cni"), "containerId", container);
	assert_int_equal(state_put("port", name, body), 0);
	cJSON_Delete(body);
}

static bool stored(const char *name)
{
	cJSON *body = state_get("port", name);
	bool there = body != NULL;

	cJSON_Delete(body);
	return there;
}

static int set_up(void **test)
{
	char path[128];

	(void)test;
	strcpy(directory, "/tmp/podrail-stone-XXXXXX");
	if (!mkdtemp(directory))
		return -1;
	snprintf(path, sizeof(path), "%s/tombstones", directory);
	return mkdir(path, 0700) || state_open(directory, false);
}

static int tear_down(void **test)
{
	(void)test;
	state_close();
	return nftw(directory, remove_entry, 8, FTW_DEPTH | FTW_PHYS);
}

static void test_apply(void **test)
{
	(void)test;
	store("p1", "c1");
	store("p2", "c2");
	store("p3", NULL);
	stone("p1", "c1");
	stone("p2", "an-earlier-container"); /* the name was taken again since */
	stone("p3", "c3");                   /* made by hand since */
	stone("p4", "c4");                   /* gone already */
	assert_int_equal(tombstones_apply(directory), 1);
	assert_false(stored("p1"));
	assert_true(stored("p2"));
	assert_true(stored("p3"));
	for (unsigned i = 1; i <= 4; i++) {
		char name[32];

		snprintf(name, sizeof(name), "tombstones/p%u", i);
		assert_false(exists(name));
	}
	assert_int_equal(tombstones_apply(directory), 0);
}

static void test_malformed(void **test)
{
	char large[8192], path[256];

	(void)test;
	store("p1", "c1");
	memset(large, ' ', sizeof(large));
	write_stone("empty", "", 0);
	write_stone("half", "{\"port\": \"p1\", \"conta", 20);
	write_stone("array", "[1]", 3);
	write_stone("nul", "{\"port\":\"p1\",\"containerId\":\"c1\"}\0", 33);
	write_stone("large", large, sizeof(large));
	write_stone("types", "{\"port\":1,\"containerId\":2}", 26);
	write_stone("path", "{\"port\":\"../p1\",\"containerId\":\"c1\"}", 35);
	write_stone(".p1.tmp", "{", 1); /* still being written */
	snprintf(path, sizeof(path), "%s/tombstones/link", directory);
	assert_int_equal(symlink("/etc/passwd", path), 0);
	snprintf(path, sizeof(path), "%s/tombstones/fifo", directory);
	assert_int_equal(mkfifo(path, 0600), 0);
	snprintf(path, sizeof(path), "%s/tombstones/directory", directory);
	assert_int_equal(mkdir(path, 0700), 0);
	assert_int_equal(tombstones_apply(directory), 0);
	assert_true(stored("p1"));
	assert_true(exists("tombstones/.p1.tmp"));
	static const char *const bad[] = {"empty", "half", "array", "nul", "large", "types", "path",
	        "link", "fifo", "directory"};
	for (unsigned i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		snprintf(path, sizeof(path), "tombstones/%s", bad[i]);
		assert_false(exists(path));
		snprintf(path, sizeof(path), "tombstones-malformed/%s", bad[i]);
		assert_true(exists(path));
	}
}

static void test_storage_fails(void **test)
{
	(void)test;
	store("p1", "c1");
	stone("p1", "c1");
	state_close();
	assert_int_equal(tombstones_apply(directory), -ENODEV);
	assert_true(exists("tombstones/p1"));
	assert_int_equal(state_open(directory, false), 0);
	assert_true(stored("p1"));
	assert_int_equal(state_begin(), 0); /* another transaction is open: refused */
	assert_int_equal(tombstones_apply(directory), -EALREADY);
	state_rollback();
	assert_true(exists("tombstones/p1"));
	assert_int_equal(tombstones_apply(directory), 1);
	assert_false(stored("p1"));
}

static int fake_del(const char *port, const char *container_id)
{
	snprintf(deleted, sizeof(deleted), "%s/%s", port, container_id);
	return del_result;
}

static void test_serve(void **test)
{
	(void)test;
	assert_int_equal(tombstones_serve("/nonexistent", fake_del), 0);
	stone("p1", "c1");
	del_result = -EIO;
	assert_int_equal(tombstones_serve(directory, fake_del), 0);
	assert_true(exists("tombstones/p1"));
	del_result = 0;
	assert_int_equal(tombstones_serve(directory, fake_del), 1);
	assert_string_equal(deleted, "p1/c1");
	assert_false(exists("tombstones/p1"));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
	        TEST(test_apply),
	        TEST(test_malformed),
	        TEST(test_storage_fails),
	        TEST(test_serve),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
