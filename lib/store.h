/* SPDX-License-Identifier: MIT */
/*
 * store: SQLite with our rules: WAL, foreign keys, busy timeout, prepared statements from a static
 * array, bound never printed. One handle per thread or under the caller's lock. Every call fails
 * with EDB (detail: extended code), ECONFLICT for a violated constraint, EBUSY when locked for
 * longer than the busy timeout (5 s). The words of ECONFLICT hold nothing of SQLite's own.
 */
#ifndef KII_STORE_H
#define KII_STORE_H

#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>

#include "error.h"

struct kii_store;

/* Where the numbered migrations lie: KIISRV_SCHEMA from the environment, else as installed. */
const char *kii_store_schema_dir(void);

/* KII_STORE_HURRY with either of the others: gives up on a lock after 0.3 s. */
enum kii_store_mode { KII_STORE_READ = 0, KII_STORE_WRITE = 1, KII_STORE_HURRY = 2 };

/*
 * Open an existing database (the actor that migrates makes it). `sql[i]` are the statements,
 * prepared at first use, borrowed for good. A database whose user_version is not `newest`:
 * ECONFLICT, naming both. Missing: ENOTFOUND.
 */
int kii_store_open(const char *path, enum kii_store_mode mode, int newest, const char *const *sql,
	size_t n_sql, struct kii_store **out, struct kii_error *err) KII_MUST_CHECK;
/*
 * Look a database over, reading all of it: its version, and whether SQLite finds damage. Fails
 * further with ENOTFOUND, ECONFLICT as kii_store_open.
 */
int kii_store_verify(const char *path, int newest, struct kii_error *err) KII_MUST_CHECK;
/* Rolls back what is open. NULL does nothing. */
void kii_store_close(struct kii_store *s);

/*
 * While a statement takes long, `call` is called now and then, many times a second; it must leave
 * the handle alone. NULL: no more.
 */
void kii_store_watch(struct kii_store *s, void (*call)(void *arg), void *arg);

/* Is the file that was opened no longer the one at its path? Then close and open again. */
bool kii_store_moved(struct kii_store *s);

/*
 * Make or bring up a database: runs `<schema_dir>/<name>.<n>.sql` for each n above its
 * user_version, one transaction each, after a copy `<path>.v<old>` when an old one had tables.
 * Sets WAL and its persistence, and the mode 0640. Safe to run from two processes at once. Fails
 * further with ECONFLICT (newer than `newest`), ENOTFOUND (a script is missing), EIO.
 */
int kii_store_migrate(const char *path, const char *schema_dir, const char *name, int newest,
	struct kii_error *err) KII_MUST_CHECK;

/*
 * A whole copy of a database as it is at one moment, whoever writes meanwhile, as the file
 * `copy`, which is new or empty. The database itself may be no link. Fails further with ENOTFOUND.
 */
int kii_store_copy(const char *path, const char *copy, struct kii_error *err) KII_MUST_CHECK;

/*
 * Another database, for reading only, as schema `name` of the statements that follow. No
 * transaction is open. Fails further with ENOTFOUND (no such file); what is no database: EDB.
 */
int kii_store_attach(struct kii_store *s, const char *path, const char *name,
	struct kii_error *err) KII_MUST_CHECK;

/* Takes a writer's lock and leaves it: could something be written now? Changes nothing. */
int kii_store_writable(struct kii_store *s, struct kii_error *err) KII_MUST_CHECK;

int kii_store_begin(struct kii_store *s, struct kii_error *err) KII_MUST_CHECK;   /* IMMEDIATE */
int kii_store_commit(struct kii_store *s, struct kii_error *err) KII_MUST_CHECK;
void kii_store_rollback(struct kii_store *s);   /* nothing when none is open */

/* synchronous=FULL (true) or NORMAL for the transactions that follow. */
int kii_store_durable(struct kii_store *s, bool full, struct kii_error *err) KII_MUST_CHECK;

/*
 * Run statement `i` with values by `types`, one letter each: 's' const char * (NULL: null), 'i'
 * int64_t, 'd' double, 'b' const void * and size_t, 'n' null without an argument. kii_store_run
 * expects no row; *changes may be NULL.
 */
int kii_store_run(struct kii_store *s, int i, int64_t *changes, struct kii_error *err,
	const char *types, ...) KII_MUST_CHECK;
int kii_store_vrun(struct kii_store *s, int i, int64_t *changes, struct kii_error *err,
	const char *types, va_list ap) KII_MUST_CHECK;

/* Start a query; rows follow by kii_store_next, and kii_store_reset must end it on every path. */
int kii_store_query(struct kii_store *s, int i, struct kii_error *err, const char *types, ...)
	KII_MUST_CHECK;
/* 1: a row, 0: no more, -1: error. */
int kii_store_next(struct kii_store *s, int i, struct kii_error *err) KII_MUST_CHECK;
void kii_store_reset(struct kii_store *s, int i);
/* Columns of the row at hand; texts are borrowed until the next step; NULL for null. */
int64_t kii_store_int(struct kii_store *s, int i, int column);
double kii_store_real(struct kii_store *s, int i, int column);
const char *kii_store_text(struct kii_store *s, int i, int column);
bool kii_store_null(struct kii_store *s, int i, int column);
const void *kii_store_blob(struct kii_store *s, int i, int column, size_t *len);

int64_t kii_store_last_id(struct kii_store *s);

#endif
