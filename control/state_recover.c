/* SPDX-License-Identifier: BSD-3-Clause */
/* What can be saved from a damaged state database. */
#include "control/state.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "control/control.h"

static const char *const suffixes[] = {"", "-wal", "-shm"};

int state_move_aside(const char *path, char *aside, size_t size)
{
	char from[4200], to[4200];

	if (snprintf(aside, size, "%s.corrupt-%lld", path, (long long)time(NULL)) >= (int)size)
		return -ENAMETOOLONG;
	for (unsigned i = 0; i < sizeof(suffixes) / sizeof(suffixes[0]); i++) {
		snprintf(from, sizeof(from), "%s%s", path, suffixes[i]);
		snprintf(to, sizeof(to), "%s%s", aside, suffixes[i]);
		if (rename(from, to) && (errno != ENOENT || !i))
			return -errno;
	}
	return 0;
}

struct salvage {
	int (*insert)(const char *kind, const char *key, const char *body);
	sqlite3_int64 low; /* seq: everything up to it was read from below */
	int kept;
};

static void keep(struct salvage *salvage, sqlite3_stmt *row)
{
	const char *kind = (const char *)sqlite3_column_text(row, 1);
	const char *key = (const char *)sqlite3_column_text(row, 2);
	const char *body = (const char *)sqlite3_column_text(row, 3);
	cJSON *json = kind && key && body ? cJSON_Parse(body) : NULL;

	if (cJSON_IsObject(json) && !salvage->insert(kind, key, body))
		salvage->kept++;
	cJSON_Delete(json);
}

/* Walks from one end until the end or the damage. Returns whether it met the damage. */
static bool walk(sqlite3 *db, struct salvage *salvage, bool upwards)
{
	const char *sql = upwards ? "SELECT seq, kind, key, body FROM object NOT INDEXED"
	                            " WHERE seq > ?1 ORDER BY seq"
	                          : "SELECT seq, kind, key, body FROM object NOT INDEXED"
	                            " WHERE seq > ?1 ORDER BY seq DESC";
	sqlite3_stmt *statement = NULL;
	int rc;

	if (sqlite3_prepare_v2(db, sql, -1, &statement, NULL)) {
		sqlite3_finalize(statement);
		return true;
	}
	sqlite3_bind_int64(statement, 1, salvage->low);
	while ((rc = sqlite3_step(statement)) == SQLITE_ROW) {
		if (upwards)
			salvage->low = sqlite3_column_int64(statement, 0);
		keep(salvage, statement);
	}
	sqlite3_finalize(statement);
	return rc != SQLITE_DONE;
}

int state_salvage(
        const char *aside, int (*insert)(const char *kind, const char *key, const char *body))
{
	struct salvage salvage = {.insert = insert};
	sqlite3 *db = NULL;
	int rc;

	rc = sqlite3_open_v2(aside, &db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX, NULL);
	if (!rc && walk(db, &salvage, true))
		walk(db, &salvage, false);
	sqlite3_close(db);
	return rc ? -EIO : salvage.kept;
}
