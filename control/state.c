/* SPDX-License-Identifier: BSD-3-Clause */
#include "control/state.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <syslog.h>

#include "control/control.h"

#define BUSY_MS   2000 /* how long another program (sqlite3, a backup) may hold the database */
#define PAGE_ROWS 256

enum statement { PUT, DEL, GET, PAGE, BEGIN, COMMIT, SAVEPOINT, RELEASE, N_STATEMENTS };

static const char *const statement_sql[N_STATEMENTS] = {
        [PUT] = "INSERT INTO object(kind, key, body) VALUES(?1, ?2, ?3)"
                " ON CONFLICT(kind, key) DO UPDATE SET body = excluded.body",
        [DEL] = "DELETE FROM object WHERE kind = ?1 AND key = ?2",
        [GET] = "SELECT body FROM object WHERE kind = ?1 AND key = ?2",
        [PAGE] = "SELECT seq, key, body FROM object WHERE kind = ?1 AND seq > ?2"
                 " ORDER BY seq LIMIT ?3",
        [BEGIN] = "BEGIN IMMEDIATE",
        [COMMIT] = "COMMIT",
        [SAVEPOINT] = "SAVEPOINT request",
        [RELEASE] = "RELEASE request",
};

static const char schema_sql[] =
        "BEGIN IMMEDIATE;"
        "CREATE TABLE IF NOT EXISTS meta(name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;"
        "CREATE TABLE IF NOT EXISTS object(seq INTEGER PRIMARY KEY, kind TEXT NOT NULL,"
        " key TEXT NOT NULL, body TEXT NOT NULL, UNIQUE(kind, key));"
        "CREATE INDEX IF NOT EXISTS object_order ON object(kind, seq);"
        "INSERT OR IGNORE INTO meta VALUES('schema', '1');"
        "COMMIT;";
_Static_assert(STATE_SCHEMA == 1, "schema_sql writes the schema's number");

static struct {
	sqlite3 *db;
	sqlite3_stmt *statements[N_STATEMENTS];
	bool transaction; /* between state_begin and commit or rollback */
	bool begun;       /* BEGIN was sent */
	bool request;     /* between state_request_begin and end */
	bool savepoint;   /* SAVEPOINT was sent */
	bool lost; /* SQLite rolled the whole transaction back by itself (disk full, I/O error) */
} state;

static int to_errno(int rc)
{
	switch (rc & 0xff) {
	case SQLITE_OK:
	case SQLITE_ROW:
	case SQLITE_DONE:
		return 0;
	case SQLITE_FULL:
		return -ENOSPC;
	case SQLITE_NOMEM:
		return -ENOMEM;
	case SQLITE_BUSY:
	case SQLITE_LOCKED:
		return -EBUSY;
	case SQLITE_READONLY:
		return -EROFS;
	case SQLITE_PERM:
	case SQLITE_AUTH:
	case SQLITE_CANTOPEN:
		return -EACCES;
	case SQLITE_TOOBIG:
		return -E2BIG;
	case SQLITE_CORRUPT:
	case SQLITE_NOTADB:
		return -EILSEQ;
	default:
		return -EIO;
	}
}

static int run(const char *sql)
{
	int rc = sqlite3_exec(state.db, sql, NULL, NULL, NULL);

	if (rc)
		log_message(LOG_ERR, "state database: %s", sqlite3_errmsg(state.db));
	return to_errno(rc);
}

/* The same for what every request needs, prepared once. */
static int run_prepared(enum statement which)
{
	int rc = sqlite3_step(state.statements[which]);

	if (rc != SQLITE_DONE)
		log_message(LOG_ERR, "state database: %s", sqlite3_errmsg(state.db));
	sqlite3_reset(state.statements[which]);
	return to_errno(rc);
}

/* Sends BEGIN and SAVEPOINT before the first row of a transaction and of a request. */
static int enter(void)
{
	int rc;

	if (!state.db)
		return -ENODEV;
	if (!state.transaction)
		return 0;
	if (state.lost)
		return -EIO;
	if (!state.begun) {
		rc = run_prepared(BEGIN);
		if (rc)
			return rc;
		state.begun = true;
	}
	if (state.request && !state.savepoint) {
		rc = run_prepared(SAVEPOINT);
		if (rc)
			return rc;
		state.savepoint = true;
	}
	return 0;
}

static void note_loss(void)
{
	if (state.begun && sqlite3_get_autocommit(state.db))
		state.lost = true;
}

static int step(enum statement which, const char *kind, const char *key, const char *body)
{
	sqlite3_stmt *statement = state.statements[which];
	int rc;

	rc = enter();
	if (rc)
		return rc;
	sqlite3_bind_text(statement, 1, kind, -1, SQLITE_STATIC);
	sqlite3_bind_text(statement, 2, key, -1, SQLITE_STATIC);
	if (body)
		sqlite3_bind_text(statement, 3, body, -1, SQLITE_STATIC);
	rc = sqlite3_step(statement);
	if (rc != SQLITE_DONE)
		log_message(
		        LOG_ERR, "state database: %s %s: %s", kind, key, sqlite3_errmsg(state.db));
	sqlite3_reset(statement);
	sqlite3_clear_bindings(statement);
	note_loss();
	return to_errno(rc);
}

static int put_text(const char *kind, const char *key, const char *body)
{
	return step(PUT, kind, key, body);
}

int state_put(const char *kind, const char *key, const cJSON *body)
{
	char *text = cJSON_PrintUnformatted(body);
	int rc;

	if (!text)
		return -ENOMEM;
	rc = put_text(kind, key, text);
	cJSON_free(text);
	return rc;
}

int state_del(const char *kind, const char *key)
{
	return step(DEL, kind, key, NULL);
}

cJSON *state_get(const char *kind, const char *key)
{
	sqlite3_stmt *statement = state.statements[GET];
	cJSON *body = NULL;

	if (!state.db)
		return NULL;
	sqlite3_bind_text(statement, 1, kind, -1, SQLITE_STATIC);
	sqlite3_bind_text(statement, 2, key, -1, SQLITE_STATIC);
	if (sqlite3_step(statement) == SQLITE_ROW)
		body = cJSON_Parse((const char *)sqlite3_column_text(statement, 0));
	sqlite3_reset(statement);
	sqlite3_clear_bindings(statement);
	return body;
}

int state_begin(void)
{
	if (!state.db)
		return -ENODEV;
	if (state.transaction)
		return -EALREADY;
	state.transaction = true;
	return 0;
}

static void transaction_over(void)
{
	state.transaction = state.begun = state.request = state.savepoint = state.lost = false;
}

int state_commit(void)
{
	int rc = 0;

	if (state.lost)
		rc = -EIO;
	else if (state.begun)
		rc = run_prepared(COMMIT);
	if (rc)
		state_rollback();
	else
		transaction_over();
	return rc;
}

void state_rollback(void)
{
	if (state.begun && !sqlite3_get_autocommit(state.db))
		run("ROLLBACK");
	transaction_over();
}

void state_request_begin(void)
{
	state.request = true;
	state.savepoint = false;
}

void state_request_end(bool failed)
{
	if (state.savepoint && !state.lost) {
		if (failed && run("ROLLBACK TO request"))
			state.lost = true;
		if (!state.lost && run_prepared(RELEASE))
			state.lost = true;
	}
	state.request = state.savepoint = false;
}

/* A page of rows, copied: the callee may store and delete while it is called. */
struct row {
	sqlite3_int64 seq;
	char *key, *body;
};

static int read_page(const char *kind, sqlite3_int64 after, struct row rows[PAGE_ROWS], unsigned *n)
{
	sqlite3_stmt *statement = state.statements[PAGE];
	int rc;

	*n = 0;
	sqlite3_bind_text(statement, 1, kind, -1, SQLITE_STATIC);
	sqlite3_bind_int64(statement, 2, after);
	sqlite3_bind_int(statement, 3, PAGE_ROWS);
	while ((rc = sqlite3_step(statement)) == SQLITE_ROW) {
		struct row *row = &rows[*n];

		row->seq = sqlite3_column_int64(statement, 0);
		row->key = strdup((const char *)sqlite3_column_text(statement, 1));
		row->body = strdup((const char *)sqlite3_column_text(statement, 2));
		++*n;
		if (!row->key || !row->body) {
			rc = SQLITE_NOMEM;
			break;
		}
	}
	sqlite3_reset(statement);
	sqlite3_clear_bindings(statement);
	return to_errno(rc);
}

static void give_row(const char *kind, struct row *row,
        void (*each)(void *arg, const char *key, const cJSON *body), void *arg)
{
	cJSON *body = row->key && row->body ? cJSON_Parse(row->body) : NULL;

	if (cJSON_IsObject(body))
		each(arg, row->key, body);
	else
		log_message(LOG_ERR, "state database: %s %s is not readable and is left out", kind,
		        row->key ? row->key : "?");
	cJSON_Delete(body);
	free(row->key);
	free(row->body);
}

int state_each(
        const char *kind, void (*each)(void *arg, const char *key, const cJSON *body), void *arg)
{
	struct row rows[PAGE_ROWS];
	sqlite3_int64 after = 0;
	unsigned n;
	int rc;

	if (!state.db)
		return -ENODEV;
	do {
		rc = read_page(kind, after, rows, &n);
		for (unsigned i = 0; i < n; i++) {
			after = rows[i].seq;
			give_row(kind, &rows[i], each, arg);
		}
	} while (!rc && n == PAGE_ROWS);
	if (rc)
		log_message(LOG_ERR, "state database: %s", sqlite3_errmsg(state.db));
	return rc;
}

/* First column of the first row as text. Returns SQLite's code; SQLITE_DONE: no row. */
static int query_text(const char *sql, char *text, size_t size)
{
	sqlite3_stmt *statement = NULL;
	int rc = sqlite3_prepare_v2(state.db, sql, -1, &statement, NULL);

	text[0] = '\0';
	if (!rc) {
		rc = sqlite3_step(statement);
		if (rc == SQLITE_ROW && sqlite3_column_text(statement, 0))
			snprintf(text, size, "%s", (const char *)sqlite3_column_text(statement, 0));
	}
	sqlite3_finalize(statement);
	return rc;
}

static int check_schema(const char *path)
{
	char text[64];
	int rc;

	rc = query_text("SELECT value FROM meta WHERE name = 'schema'", text, sizeof(text));
	if (rc != SQLITE_ROW)
		return rc == SQLITE_DONE ? -EILSEQ : to_errno(rc);
	if (strtol(text, NULL, 10) <= STATE_SCHEMA)
		return 0;
	log_message(LOG_ERR,
	        "%s was written by a newer podrail (schema %s, this one knows %d): install that"
	        " version again, or move the file away to start with nothing",
	        path, text, STATE_SCHEMA);
	return -EPROTO;
}

static int prepare(void)
{
	for (unsigned i = 0; i < N_STATEMENTS; i++) {
		int rc = sqlite3_prepare_v3(state.db, statement_sql[i], -1,
		        SQLITE_PREPARE_PERSISTENT, &state.statements[i], NULL);

		if (rc)
			return to_errno(rc);
	}
	return 0;
}

static int open_database(const char *path, bool durable)
{
	char text[64];
	int rc;

	rc = sqlite3_open_v2(path, &state.db,
	        SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX, NULL);
	if (rc)
		return to_errno(rc);
	sqlite3_extended_result_codes(state.db, 1);
	sqlite3_busy_timeout(state.db, BUSY_MS);
	rc = query_text("PRAGMA journal_mode = WAL", text, sizeof(text));
	if (rc != SQLITE_ROW)
		return to_errno(rc);
	rc = sqlite3_exec(state.db,
	        durable ? "PRAGMA synchronous = FULL" : "PRAGMA synchronous = NORMAL", NULL, NULL,
	        NULL);
	if (rc)
		return to_errno(rc);
	rc = query_text("PRAGMA quick_check(1)", text, sizeof(text));
	if (rc != SQLITE_ROW || strcmp(text, "ok"))
		return rc == SQLITE_ROW ? -EILSEQ : to_errno(rc);
	rc = sqlite3_exec(state.db, schema_sql, NULL, NULL, NULL);
	if (rc)
		return to_errno(rc);
	rc = check_schema(path);
	return rc ? rc : prepare();
}

/* The daemon must come up and the operator must know: what can be read is kept, the file too. */
static int start_over(const char *path, bool durable)
{
	char aside[PATH_MAX];
	int rc, kept;

	state_close();
	rc = state_move_aside(path, aside, sizeof(aside));
	if (rc) {
		log_message(LOG_ERR, "%s is damaged and can not be moved aside: %s", path,
		        strerror(-rc));
		return rc;
	}
	rc = open_database(path, durable);
	if (rc)
		return rc;
	state_begin();
	kept = state_salvage(aside, put_text);
	rc = state_commit();
	log_message(LOG_CRIT,
	        "%s was damaged: it is now %s, and %d objects could be read from it; compare"
	        " `podrailctl port list` and `network list` with what you expect",
	        path, aside, kept < 0 ? 0 : kept);
	return rc;
}

int state_open(const char *directory, bool durable)
{
	char path[PATH_MAX];
	int rc;

	if (snprintf(path, sizeof(path), "%s/%s", directory, STATE_FILE) >= (int)sizeof(path))
		return -ENAMETOOLONG;
	rc = open_database(path, durable);
	if (rc == -EILSEQ)
		rc = start_over(path, durable);
	if (!rc)
		return 0;
	if (rc != -EPROTO)
		log_message(LOG_ERR, "%s can not be used: %s", path,
		        state.db ? sqlite3_errmsg(state.db) : strerror(-rc));
	state_close();
	return rc;
}

void state_close(void)
{
	for (unsigned i = 0; i < N_STATEMENTS; i++)
		sqlite3_finalize(state.statements[i]);
	if (state.db && state.begun)
		state_rollback();
	sqlite3_close(state.db);
	memset(&state, 0, sizeof(state));
}
