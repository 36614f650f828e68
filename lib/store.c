/* SPDX-License-Identifier: MIT */
#include <config.h>

#include "store.h"

#include <errno.h>
#include <limits.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "buf.h"
#include "log.h"
#include "store_private.h"

#define HURRY_MS 300

#define WATCH_STEPS 1000000   /* of its machine: some 30 ms */

struct kii_store {
	sqlite3 *db;
	char *path;
	const char *const *sql;
	size_t n_sql;
	sqlite3_stmt **stmts;
	bool full;               /* synchronous is FULL */
	void (*watch)(void *arg);
	void *watch_arg;
};

/* Clients may get to see the words of a conflict: none of SQLite's there. */
int (kii_store_failed)(sqlite3 *db, const char *path, int rc, const char *what,
	struct kii_error *err)
{
	switch (rc & 0xff) {
	case SQLITE_CONSTRAINT:
		return kii_error_set(err, KII_ECONFLICT, rc, "in conflict with what is stored");
	case SQLITE_BUSY:
	case SQLITE_LOCKED:
		return kii_error_set(err, KII_EBUSY, rc, "%s: %s: locked", path, what);
	default:
		return kii_error_set(err, KII_EDB, rc, "%s: %s: %s", path, what,
			db && sqlite3_extended_errcode(db) == rc ? sqlite3_errmsg(db)
				: sqlite3_errstr(rc));
	}
}

int kii_store_exec(sqlite3 *db, const char *path, const char *sql, struct kii_error *err)
{
	int rc = sqlite3_exec(db, sql, NULL, NULL, NULL);

	return rc == SQLITE_OK ? 0 : kii_store_failed(db, path, rc, sql, err);
}

int kii_store_ask(sqlite3 *db, const char *path, const char *sql, int64_t *out,
	struct kii_error *err)
{
	sqlite3_stmt *stmt = NULL;
	int rc = sqlite3_prepare_v2(db, sql, -1, &stmt, NULL);

	if (rc == SQLITE_OK)
		rc = sqlite3_step(stmt);
	if (rc == SQLITE_ROW)
		*out = sqlite3_column_int64(stmt, 0);
	else
		kii_store_failed(db, path, rc, sql, err);
	sqlite3_finalize(stmt);
	return rc == SQLITE_ROW ? 0 : -1;
}

/*
 * The writer keeps -wal and -shm when it closes: a reader of another user cannot make them. What
 * lies in the schema is not trusted with anything that reaches beyond the database.
 */
static int set_rules(sqlite3 *db, const char *path, int busy_ms, struct kii_error *err)
{
	int on = 1;
	int rc;

	sqlite3_extended_result_codes(db, 1);
	rc = sqlite3_busy_timeout(db, busy_ms);
	if (rc == SQLITE_OK)
		rc = sqlite3_db_config(db, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
	if (rc == SQLITE_OK)
		rc = sqlite3_db_config(db, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, NULL);
	if (rc == SQLITE_OK)
		rc = sqlite3_db_config(db, SQLITE_DBCONFIG_ENABLE_FKEY, 1, NULL);
	if (rc == SQLITE_OK)
		rc = sqlite3_file_control(db, "main", SQLITE_FCNTL_PERSIST_WAL, &on);
	if (rc != SQLITE_OK)
		return kii_store_failed(db, path, rc, "set the rules", err);
	return 0;
}

int kii_store_connect(const char *path, int flags, int busy_ms, sqlite3 **out, int *version,
	struct kii_error *err)
{
	sqlite3 *db = NULL;
	int64_t found;
	int rc;

	if (access(path, F_OK) != 0 && errno == ENOENT)
		return kii_error_set(err, KII_ENOTFOUND, ENOENT, "there is no database %s", path);
	rc = sqlite3_open_v2(path, &db, flags | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_URI,
		NULL);
	if (rc != SQLITE_OK)
		kii_store_failed(db, path, rc, "open", err);
	else if (set_rules(db, path, busy_ms, err) == 0
		&& kii_store_ask(db, path, "PRAGMA user_version", &found, err) == 0) {
		*out = db;
		*version = (int)found;
		return 0;
	}
	sqlite3_close(db);
	return -1;
}

static int check_version(const char *path, int version, int newest, struct kii_error *err)
{
	if (version == newest)
		return 0;
	return kii_error_set(err, KII_ECONFLICT, 0, "%s has version %d, this program knows %d%s",
		path, version, newest, version < newest ? ": migrate it first" : "");
}

static int prepare_writer(sqlite3 *db, const char *path, struct kii_error *err)
{
	return kii_store_exec(db, path, "PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL",
		err);
}

int kii_store_open(const char *path, enum kii_store_mode mode, int newest, const char *const *sql,
	size_t n_sql, struct kii_store **out, struct kii_error *err)
{
	bool write = (mode & KII_STORE_WRITE) != 0;
	int flags = write ? SQLITE_OPEN_READWRITE : SQLITE_OPEN_READONLY;
	int busy_ms = mode & KII_STORE_HURRY ? HURRY_MS : KII_STORE_BUSY_MS;
	struct kii_store *s;
	sqlite3 *db;
	int version;

	if (kii_store_connect(path, flags, busy_ms, &db, &version, err) != 0)
		return -1;
	if (check_version(path, version, newest, err) != 0
		|| (write && prepare_writer(db, path, err) != 0)) {
		sqlite3_close(db);
		return -1;
	}
	s = kii_xcalloc(1, sizeof(*s));
	s->db = db;
	s->path = kii_xstrdup(path);
	s->sql = sql;
	s->n_sql = n_sql;
	s->stmts = kii_xcalloc(n_sql + 1, sizeof(sqlite3_stmt *));
	*out = s;
	return 0;
}

static int find_damage(sqlite3 *db, const char *path, struct kii_error *err)
{
	sqlite3_stmt *stmt = NULL;
	int rc = sqlite3_prepare_v2(db, "PRAGMA quick_check(1)", -1, &stmt, NULL);

	if (rc == SQLITE_OK)
		rc = sqlite3_step(stmt);
	if (rc != SQLITE_ROW)
		kii_store_failed(db, path, rc, "check", err);
	else if (strcmp((const char *)sqlite3_column_text(stmt, 0), "ok") != 0)
		kii_error_set(err, KII_EDB, SQLITE_CORRUPT, "%s is damaged: %s", path,
			(const char *)sqlite3_column_text(stmt, 0));
	sqlite3_finalize(stmt);
	return err->code == KII_OK ? 0 : -1;
}

int kii_store_verify(const char *path, int newest, struct kii_error *err)
{
	sqlite3 *db;
	int version;
	int rc;

	if (kii_store_connect(path, SQLITE_OPEN_READONLY, KII_STORE_BUSY_MS, &db, &version, err)
		!= 0)
		return -1;
	rc = check_version(path, version, newest, err);
	if (rc == 0)
		rc = find_damage(db, path, err);
	sqlite3_close(db);
	return rc;
}

void kii_store_close(struct kii_store *s)
{
	if (!s)
		return;
	for (size_t i = 0; i < s->n_sql; i++)
		sqlite3_finalize(s->stmts[i]);
	kii_store_rollback(s);
	sqlite3_close(s->db);
	free(s->stmts);
	free(s->path);
	free(s);
}

/* The only way to have an attached database read-only is a URI. */
static char *read_only_uri(const char *path)
{
	kii_autobuf uri = KII_BUF_INIT(4ul * PATH_MAX);

	kii_buf_str(&uri, "file:");
	for (; *path; path++) {
		if (strchr("?#%", *path))
			kii_buf_fmt(&uri, "%%%02x", (unsigned)*path);
		else
			kii_buf_char(&uri, *path);
	}
	kii_buf_str(&uri, "?mode=ro");
	return kii_buf_steal(&uri);
}

int kii_store_attach(struct kii_store *s, const char *path, const char *name,
	struct kii_error *err)
{
	kii_autofree char *uri = read_only_uri(path);
	sqlite3_stmt *stmt = NULL;
	int rc;

	if (access(path, F_OK) != 0)
		return kii_error_set(err, KII_ENOTFOUND, errno, "there is no database %s", path);
	rc = sqlite3_prepare_v2(s->db, "ATTACH ?1 AS ?2", -1, &stmt, NULL);
	if (rc == SQLITE_OK)
		rc = sqlite3_bind_text(stmt, 1, uri, -1, SQLITE_STATIC);
	if (rc == SQLITE_OK)
		rc = sqlite3_bind_text(stmt, 2, name, -1, SQLITE_STATIC);
	if (rc == SQLITE_OK)
		rc = sqlite3_step(stmt);
	if (rc != SQLITE_DONE)
		kii_store_failed(s->db, path, rc, "attach", err);
	sqlite3_finalize(stmt);
	return rc == SQLITE_DONE ? 0 : -1;
}

static int watched(void *arg)
{
	const struct kii_store *s = arg;

	s->watch(s->watch_arg);
	return 0;
}

void kii_store_watch(struct kii_store *s, void (*call)(void *arg), void *arg)
{
	s->watch = call;
	s->watch_arg = arg;
	sqlite3_progress_handler(s->db, WATCH_STEPS, call ? watched : NULL, s);
}

bool kii_store_moved(struct kii_store *s)
{
	int moved = 0;

	return sqlite3_file_control(s->db, "main", SQLITE_FCNTL_HAS_MOVED, &moved) != SQLITE_OK
		|| moved;
}

int kii_store_begin(struct kii_store *s, struct kii_error *err)
{
	return kii_store_exec(s->db, s->path, "BEGIN IMMEDIATE", err);
}

int kii_store_writable(struct kii_store *s, struct kii_error *err)
{
	/* BEGIN IMMEDIATE alone succeeds there. */
	if (sqlite3_db_readonly(s->db, "main"))
		return kii_error_set(err, KII_EDB, SQLITE_READONLY, "%s cannot be written",
			s->path);
	if (kii_store_begin(s, err) != 0)
		return -1;
	kii_store_rollback(s);
	return 0;
}

int kii_store_commit(struct kii_store *s, struct kii_error *err)
{
	return kii_store_exec(s->db, s->path, "COMMIT", err);
}

void kii_store_rollback(struct kii_store *s)
{
	if (!sqlite3_get_autocommit(s->db) &&
		sqlite3_exec(s->db, "ROLLBACK", NULL, NULL, NULL) != SQLITE_OK)
		kii_log_error("rollback_failed", "db=%s error=%s", kii_q(s->path),
			kii_q(sqlite3_errmsg(s->db)));
}

int kii_store_durable(struct kii_store *s, bool full, struct kii_error *err)
{
	if (full == s->full)
		return 0;
	if (kii_store_exec(s->db, s->path, full ? "PRAGMA synchronous = FULL"
		: "PRAGMA synchronous = NORMAL", err) != 0)
		return -1;
	s->full = full;
	return 0;
}

static int bind_blob(sqlite3_stmt *stmt, int i, const void *data, size_t len)
{
	if (len > INT_MAX)
		return SQLITE_TOOBIG;
	return sqlite3_bind_blob(stmt, i, data ? data : "", (int)len, SQLITE_TRANSIENT);
}

static int bind_all(sqlite3_stmt *stmt, const char *types, va_list ap)
{
	int rc = (size_t)sqlite3_bind_parameter_count(stmt) == strlen(types) ? SQLITE_OK
		: SQLITE_RANGE;

	for (int i = 1; rc == SQLITE_OK && types[i - 1]; i++) {
		switch (types[i - 1]) {
		case 's':
			rc = sqlite3_bind_text(stmt, i, va_arg(ap, const char *), -1,
				SQLITE_TRANSIENT);
			break;
		case 'i':
			rc = sqlite3_bind_int64(stmt, i, va_arg(ap, int64_t));
			break;
		case 'd':
			rc = sqlite3_bind_double(stmt, i, va_arg(ap, double));
			break;
		case 'b': {
			const void *data = va_arg(ap, const void *);

			rc = bind_blob(stmt, i, data, va_arg(ap, size_t));
			break;
		}
		case 'n':
			rc = sqlite3_bind_null(stmt, i);
			break;
		default:
			rc = SQLITE_MISUSE;
		}
	}
	return rc;
}

static int start(struct kii_store *s, int i, const char *types, va_list ap, struct kii_error *err)
{
	int rc = SQLITE_OK;

	if (!s->stmts[i])
		rc = sqlite3_prepare_v3(s->db, s->sql[i], -1, SQLITE_PREPARE_PERSISTENT,
			&s->stmts[i], NULL);
	if (rc != SQLITE_OK)
		return kii_store_failed(s->db, s->path, rc, "prepare", err);
	rc = bind_all(s->stmts[i], types, ap);
	if (rc != SQLITE_OK) {
		kii_store_failed(s->db, s->path, rc, "bind", err);
		kii_store_reset(s, i);
		return -1;
	}
	return 0;
}

int kii_store_vrun(struct kii_store *s, int i, int64_t *changes, struct kii_error *err,
	const char *types, va_list ap)
{
	int rc;

	if (start(s, i, types, ap, err) != 0)
		return -1;
	rc = sqlite3_step(s->stmts[i]);
	if (rc == SQLITE_DONE && changes)
		*changes = sqlite3_changes(s->db);
	if (rc != SQLITE_DONE)
		kii_store_failed(s->db, s->path, rc, "run", err);
	kii_store_reset(s, i);
	return rc == SQLITE_DONE ? 0 : -1;
}

int kii_store_run(struct kii_store *s, int i, int64_t *changes, struct kii_error *err,
	const char *types, ...)
{
	va_list ap;
	int rc;

	va_start(ap, types);
	rc = kii_store_vrun(s, i, changes, err, types, ap);
	va_end(ap);
	return rc;
}

int kii_store_query(struct kii_store *s, int i, struct kii_error *err, const char *types, ...)
{
	va_list ap;
	int rc;

	va_start(ap, types);
	rc = start(s, i, types, ap, err);
	va_end(ap);
	return rc;
}

int kii_store_next(struct kii_store *s, int i, struct kii_error *err)
{
	int rc = sqlite3_step(s->stmts[i]);

	if (rc == SQLITE_ROW)
		return 1;
	if (rc == SQLITE_DONE)
		return 0;
	return kii_store_failed(s->db, s->path, rc, "step", err);
}

void kii_store_reset(struct kii_store *s, int i)
{
	sqlite3_reset(s->stmts[i]);
	sqlite3_clear_bindings(s->stmts[i]);
}

int64_t kii_store_int(struct kii_store *s, int i, int column)
{
	return sqlite3_column_int64(s->stmts[i], column);
}

double kii_store_real(struct kii_store *s, int i, int column)
{
	return sqlite3_column_double(s->stmts[i], column);
}

const char *kii_store_text(struct kii_store *s, int i, int column)
{
	return (const char *)sqlite3_column_text(s->stmts[i], column);
}

bool kii_store_null(struct kii_store *s, int i, int column)
{
	return sqlite3_column_type(s->stmts[i], column) == SQLITE_NULL;
}

const void *kii_store_blob(struct kii_store *s, int i, int column, size_t *len)
{
	const void *data = sqlite3_column_blob(s->stmts[i], column);

	*len = (size_t)sqlite3_column_bytes(s->stmts[i], column);
	return data;
}

int64_t kii_store_last_id(struct kii_store *s)
{
	return sqlite3_last_insert_rowid(s->db);
}
