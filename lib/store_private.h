/* SPDX-License-Identifier: MIT */
/* store_private: what the files of store share; nobody else includes it. */
#ifndef KII_STORE_PRIVATE_H
#define KII_STORE_PRIVATE_H

#include <sqlite3.h>

#include "store.h"

#define KII_STORE_BUSY_MS 5000

/* The error of a failed SQLite call, by its extended code; `path` names the database. Always -1. */
int kii_store_failed(sqlite3 *db, const char *path, int rc, const char *what,
	struct kii_error *err);
#define kii_store_failed(...) kii_failed(kii_store_failed(__VA_ARGS__))

/*
 * Open with our rules (`flags` are SQLite's), waiting `busy_ms` for locks, and read its
 * user_version. Caller closes *out, which stays untouched on failure. Fails: ENOTFOUND, EDB, EBUSY.
 */
int kii_store_connect(const char *path, int flags, int busy_ms, sqlite3 **out, int *version,
	struct kii_error *err) KII_MUST_CHECK;

/* One integer that a statement without values gives. */
int kii_store_ask(sqlite3 *db, const char *path, const char *sql, int64_t *out,
	struct kii_error *err) KII_MUST_CHECK;

/* A statement, or several, without values; rows are dropped. */
int kii_store_exec(sqlite3 *db, const char *path, const char *sql, struct kii_error *err)
	KII_MUST_CHECK;

#endif
