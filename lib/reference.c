/* SPDX-License-Identifier: MIT */
#include <config.h>

#include "reference.h"

#include <assert.h>
#include <stdlib.h>

#include "stats.h"
#include "store.h"
#include "versions.h"

#define SCHEMA "theirs"   /* what their database is called in ours */
#define MEMBERS "name, channel, container, git_tag"
#define REQUEST "uid, ip_addr, os, web, serial, hash, board, variant, layers, container, " \
	"success, request_time, build_duration"

/* As our columns would have them, so that the same row compares equal in both databases. */
#define TEXT(name) "CAST(" name " AS TEXT) AS " name ", "
#define FLAG(name) "iif(" name " IN ('0', '1'), CAST(" name " AS INTEGER), " name ") AS " name ", "
#define REQUESTS_OF(table) \
	"SELECT " REQUEST ", row_number() OVER (PARTITION BY " REQUEST ") AS time FROM (SELECT " \
	TEXT("uid") TEXT("ip_addr") TEXT("os") FLAG("web") TEXT("serial") TEXT("hash") \
	TEXT("board") TEXT("variant") "CAST(layers AS INTEGER) AS layers, " TEXT("container") \
	FLAG("success") TEXT("request_time") \
	"CAST(build_duration AS INTEGER) AS build_duration FROM " table ")"

enum { COLUMNS, COUNT, FRESH, PUT, MARK, STATEMENTS };
static const char *const version_statements[] = {
	[COLUMNS] = "SELECT count(*) = 4 FROM pragma_table_info('Versions', '" SCHEMA "') "
		"WHERE name IN ('name', 'channel', 'container', 'git_tag')",
	[COUNT] = "SELECT count(*) FROM " SCHEMA ".Versions",
	[FRESH] = "SELECT " MEMBERS " FROM " SCHEMA ".Versions "
		"EXCEPT SELECT " MEMBERS " FROM main.Imports ORDER BY name",
	[PUT] = "INSERT INTO main.Versions (" MEMBERS ") VALUES (?1, ?2, ?3, ?4) "
		"ON CONFLICT (name) DO UPDATE SET channel = excluded.channel, "
		"container = excluded.container, git_tag = excluded.git_tag "
		"WHERE (channel, container, git_tag) <> "
		"(excluded.channel, excluded.container, excluded.git_tag)",
	[MARK] = "INSERT OR REPLACE INTO main.Imports (" MEMBERS ") VALUES (?1, ?2, ?3, ?4)",
};
static_assert(KII_COUNT(version_statements) == STATEMENTS, "a text for every statement");

static const char *const request_statements[] = {
	[COLUMNS] = "SELECT count(*) = 13 FROM pragma_table_info('Requests', '" SCHEMA "') "
		"WHERE name IN ('uid', 'ip_addr', 'os', 'web', 'serial', 'hash', 'board', "
		"'variant', 'layers', 'container', 'success', 'request_time', 'build_duration')",
	[COUNT] = "SELECT count(*) FROM " SCHEMA ".Requests",
	/* Of what is the same several times, each time is a row of its own. */
	[PUT] = "INSERT INTO main.Requests (" REQUEST ") SELECT " REQUEST " FROM ("
		REQUESTS_OF(SCHEMA ".Requests") " EXCEPT " REQUESTS_OF("main.Requests")
		") ORDER BY request_time",
};

static int ask(struct kii_store *s, int i, int64_t *out, struct kii_error *err)
{
	int rc;

	if (kii_store_query(s, i, err, "") != 0)
		return -1;
	rc = kii_store_next(s, i, err);
	if (rc == 1)
		*out = kii_store_int(s, i, 0);
	kii_store_reset(s, i);
	return rc == 1 ? 0 : -1;
}

/* Attach theirs to ours, look at its table, begin, and count the rows. */
static int begin(struct kii_store *s, const char *theirs, int64_t *rows, struct kii_error *err)
{
	int64_t is_table = 0;

	if (kii_store_attach(s, theirs, SCHEMA, err) != 0) {
		if (err->code == KII_EDB)
			err->code = KII_EINVAL;
		return -1;
	}
	if (ask(s, COLUMNS, &is_table, err) != 0)
		return -1;
	if (!is_table)
		return kii_error_set(err, KII_EINVAL, 0, "%s is not of the reference server: its "
			"table, or a column of it, is missing", theirs);
	if (kii_store_begin(s, err) != 0)
		return -1;
	return ask(s, COUNT, rows, err);
}

/* --- versions --- */

static char *text_or_none(struct kii_store *s, int i, int column)
{
	const char *text = kii_store_text(s, i, column);

	return kii_xstrdup(text ? text : "");
}

static int load_fresh(struct kii_store *s, struct kii_version **list, size_t *n,
	struct kii_error *err)
{
	int rc;

	if (kii_store_query(s, FRESH, err, "") != 0)
		return -1;
	while ((rc = kii_store_next(s, FRESH, err)) == 1) {
		*list = kii_xrealloc(*list, (*n + 1) * sizeof(**list));
		(*list)[(*n)++] = (struct kii_version){ text_or_none(s, FRESH, 0),
			text_or_none(s, FRESH, 1), text_or_none(s, FRESH, 2),
			text_or_none(s, FRESH, 3) };
	}
	kii_store_reset(s, FRESH);
	return rc;
}

static int put_version(struct kii_store *s, const struct kii_version *v, int64_t *taken,
	struct kii_error *err)
{
	int64_t changes;

	if (kii_version_check(v, err) != 0)
		return -1;
	if (kii_store_run(s, PUT, &changes, err, "ssss", v->name, v->channel, v->container,
			v->git_tag) != 0)
		return -1;
	*taken += changes;
	return kii_store_run(s, MARK, NULL, err, "ssss", v->name, v->channel, v->container,
		v->git_tag);
}

static int take_versions(struct kii_store *s, const char *theirs, struct kii_reference *out,
	struct kii_error *err)
{
	struct kii_version *list = NULL;
	size_t n = 0;
	int rc;

	if (begin(s, theirs, &out->versions, err) != 0)
		return -1;
	rc = load_fresh(s, &list, &n, err);
	for (size_t i = 0; rc == 0 && i < n; i++) {
		rc = put_version(s, &list[i], &out->versions_taken, err);
		if (rc != 0)
			kii_error_wrap(err, "%s: version \"%s\"", theirs, list[i].name);
	}
	kii_version_list_free(list, n);
	return rc;
}

/* --- requests --- */

struct watched {
	const struct kii_reference_watch *watch;
	int64_t requests;
};

static void tell(void *arg)
{
	const struct watched *w = arg;

	w->watch->call(w->watch->arg, w->requests);
}

static int take_requests(struct kii_store *s, const char *theirs,
	const struct kii_reference_watch *watch, struct kii_reference *out, struct kii_error *err)
{
	struct watched watched = { .watch = watch };
	int rc;

	if (begin(s, theirs, &out->requests, err) != 0)
		return -1;
	watched.requests = out->requests;
	kii_store_watch(s, watch ? tell : NULL, &watched);
	rc = kii_store_run(s, PUT, &out->requests_taken, err, "");
	kii_store_watch(s, NULL, NULL);
	if (rc == 0)
		return 0;
	if (err->code != KII_ECONFLICT)
		return -1;
	kii_error_clear(err);
	return kii_error_set(err, KII_EINVAL, 0, "%s: a row of Requests lacks a value, or has one "
		"that makes no sense there", theirs);
}

/* --- both --- */

static int open_ours(const char *state_dir, const char *name, int version,
	const char *const *statements, size_t n, struct kii_store **out, struct kii_error *err)
{
	kii_autofree char *path = kii_xfmt("%s/%s", state_dir, name);

	if (kii_store_open(path, KII_STORE_WRITE, version, statements, n, out, err) == 0)
		return 0;
	if (err->code == KII_ENOTFOUND)
		kii_error_wrap(err, "start kiisrv once before");
	return -1;
}

static int take_all(struct kii_store *config, struct kii_store *stats, const char *dir,
	const struct kii_reference_watch *watch, struct kii_reference *out, struct kii_error *err)
{
	kii_autofree char *versions = kii_xfmt("%s/config.db", dir);
	kii_autofree char *requests = kii_xfmt("%s/stats.db", dir);

	if (take_versions(config, versions, out, err) != 0)
		return -1;
	return take_requests(stats, requests, watch, out, err);
}

int kii_reference_import(const char *dir, const char *state_dir, bool dry_run,
	const struct kii_reference_watch *watch, struct kii_reference *out, struct kii_error *err)
{
	struct kii_store *config = NULL;
	struct kii_store *stats = NULL;
	struct kii_reference done = { 0 };
	int rc = open_ours(state_dir, "queue/config.sqlite", KII_VERSIONS_VERSION,
		version_statements, KII_COUNT(version_statements), &config, err);

	if (rc == 0)
		rc = open_ours(state_dir, "public/stats.sqlite", KII_STATS_VERSION,
			request_statements, KII_COUNT(request_statements), &stats, err);
	if (rc == 0)
		rc = take_all(config, stats, dir, watch, &done, err);
	/* Should only one of them come to be, the next run adds the other one. */
	if (rc == 0 && !dry_run)
		rc = kii_store_commit(stats, err);
	if (rc == 0 && !dry_run)
		rc = kii_store_commit(config, err);
	kii_store_close(stats);    /* rolls back what is open */
	kii_store_close(config);
	if (rc == 0)
		*out = done;
	return rc;
}
