/* SPDX-License-Identifier: MIT */
#include <config.h>

#include "reference.h"

#include <sqlite3.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "buf.h"
#include "house.h"
#include "testlib.h"

/* As the reference server makes them. */
#define VERSIONS "CREATE TABLE Versions (name TEXT PRIMARY KEY, channel TEXT, container TEXT, " \
	"git_tag TEXT); "
#define REQUESTS "CREATE TABLE Requests (id INTEGER PRIMARY KEY, uid INTEGER, ip_addr TEXT, " \
	"os TEXT, web BOOLEAN, serial INTEGER, hash TEXT, board TEXT, variant TEXT, " \
	"layers INTEGER, container TEXT, success BOOLEAN, request_time DATETIME, " \
	"build_duration INTEGER); "
#define ROW "INSERT INTO Requests VALUES (NULL, "
#define MD1 ROW "NULL, '192.0.2.1', 'Linux', 1, NULL, 'a', 'MD1', 'Standard', 2, " \
	"'controller-057', 1, "
#define ROWS \
	MD1 "'2018-01-02T03:04:05.678901Z', 4000); " \
	MD1 "'2018-01-02T03:04:06Z', NULL); " \
	MD1 "'2018-01-02T03:04:06Z', NULL); " \
	ROW "7, '192.0.2.2', 'Windows', 0, 8, 'b', 'Kira', 'Standard', 3, 'controller-050', 0, " \
		"'2018-01-03T03:04:05Z', 5000); "

struct place {
	struct house *h;
	char *dir, *config, *stats;   /* of the reference server */
};

/* A new file with these tables and rows. */
static void make(const char *path, const char *sql)
{
	sqlite3 *db;

	unlink(path);
	assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
	if (sqlite3_exec(db, sql, NULL, NULL, NULL) != SQLITE_OK)
		fail_msg("%s: %s", sql, sqlite3_errmsg(db));
	sqlite3_close(db);
}

static int set_up(void **state)
{
	struct place *p = kii_xcalloc(1, sizeof(*p));

	p->h = house_new();
	p->dir = kii_xfmt("%s/old?a%%20#b", p->h->dir);
	assert_int_equal(mkdir(p->dir, 0755), 0);
	p->config = kii_xfmt("%s/config.db", p->dir);
	p->stats = kii_xfmt("%s/stats.db", p->dir);
	make(p->config, VERSIONS "INSERT INTO Versions VALUES "
		"('latest', 'stable', 'controller-056', 'v0.5.6'), "
		"('mine', 'beta', 'controller-058', 'v0.5.8'), "
		"('v0.5.7', 'beta', 'controller-057', 'v0.5.7')");
	make(p->stats, REQUESTS ROWS);
	*state = p;
	return 0;
}

static int tear_down(void **state)
{
	struct place *p = *state;

	house_free(p->h);
	free(p->dir);
	free(p->config);
	free(p->stats);
	free(p);
	return 0;
}

/* Every row of the query, columns by '|', rows by ';'. */
static void assert_rows(const char *path, const char *text, const char *want)
{
	kii_autobuf out = KII_BUF_INIT(100000);
	sqlite3_stmt *stmt;
	sqlite3 *db;

	assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
	assert_int_equal(sqlite3_prepare_v2(db, text, -1, &stmt, NULL), SQLITE_OK);
	while (sqlite3_step(stmt) == SQLITE_ROW) {
		for (int i = 0; i < sqlite3_column_count(stmt); i++) {
			const unsigned char *s = sqlite3_column_text(stmt, i);

			kii_buf_fmt(&out, "%s%s", i ? "|" : "", s ? (const char *)s : "-");
		}
		kii_buf_char(&out, ';');
	}
	sqlite3_finalize(stmt);
	sqlite3_close(db);
	assert_string_equal(out.data, want);
}

static void assert_import(struct place *p, bool dry_run, const char *want)
{
	struct kii_reference done = { 0 };
	struct kii_error err = { 0 };
	kii_autofree char *told = NULL;

	must(kii_reference_import(p->dir, p->h->state, dry_run, NULL, &done, &err));
	told = kii_xfmt("%d of %d versions, %d of %d requests", (int)done.versions_taken,
		(int)done.versions, (int)done.requests_taken, (int)done.requests);
	assert_string_equal(told, want);
}

static void assert_refused(struct place *p, enum kii_code want, const char *words)
{
	struct kii_reference done;
	struct kii_error err = { 0 };

	assert_int_equal(kii_reference_import(p->dir, p->h->state, false, NULL, &done, &err), -1);
	assert_int_equal(err.code, want);
	if (!strstr(err.msg, words))
		fail_msg("%s", err.msg);
	/* Whatever it was, nothing was taken. */
	assert_rows(p->h->config, "SELECT container FROM Versions WHERE name IN ('latest', 'mine')",
		"controller-057;");
	assert_rows(p->h->stats, "SELECT count(*) FROM Requests", "0;");
}

static void versions_and_requests_are_taken_over(void **state)
{
	struct place *p = *state;

	assert_import(p, false, "2 of 3 versions, 4 of 4 requests");
	assert_rows(p->h->config, "SELECT * FROM Versions WHERE name IN ('latest', 'mine', 'lts') "
		"ORDER BY 1", "latest|stable|controller-056|v0.5.6;lts|lts|controller-050|v0.5.0;"
		"mine|beta|controller-058|v0.5.8;");
	assert_rows(p->h->stats, "SELECT uid, ip_addr, os, web, serial, hash, board, variant, "
		"layers, container, success, request_time, build_duration FROM Requests "
		"ORDER BY id LIMIT 1",
		"-|192.0.2.1|Linux|1|-|a|MD1|Standard|2|controller-057|1|"
		"2018-01-02T03:04:05.678901Z|4000;");
	assert_rows(p->h->stats, "SELECT uid, typeof(uid), serial, web, success, build_duration "
		"FROM Requests ORDER BY id DESC LIMIT 1", "7|text|8|0|0|5000;");
	assert_rows(p->h->stats, "SELECT builds, hashes, users, layers, duration FROM Totals",
		"4|2|2|9|9000;");
	assert_rows(p->h->stats, "SELECT * FROM Days",
		"2018-01-02|3|0|2;2018-01-03|1|1|0;");
}

static void a_second_time_nothing_is_added(void **state)
{
	struct place *p = *state;

	assert_import(p, false, "2 of 3 versions, 4 of 4 requests");
	assert_import(p, false, "0 of 3 versions, 0 of 4 requests");
	assert_rows(p->h->stats, "SELECT count(*) FROM Requests", "4;");
}

static void later_only_what_is_new_is_added(void **state)
{
	struct place *p = *state;

	assert_import(p, false, "2 of 3 versions, 4 of 4 requests");
	house_sql(p->h->config, "DELETE FROM Versions WHERE name = 'mine'; "
		"UPDATE Versions SET git_tag = 'v0.5.9' WHERE name = 'v0.5.7'");
	house_sql(p->config, "UPDATE Versions SET git_tag = 'v0.5.66' WHERE name = 'latest'");
	house_sql(p->stats, ROWS);
	assert_import(p, false, "1 of 3 versions, 4 of 8 requests");
	assert_rows(p->h->config, "SELECT git_tag FROM Versions WHERE name IN ('mine', 'latest', "
		"'v0.5.7') ORDER BY name", "v0.5.66;v0.5.9;");
	assert_rows(p->h->stats, "SELECT count(*) FROM Requests", "8;");
	assert_import(p, false, "0 of 3 versions, 0 of 8 requests");
}

static void what_is_here_stays(void **state)
{
	struct place *p = *state;

	make(p->stats, REQUESTS);
	house_sql(p->h->stats, "INSERT INTO Requests (ip_addr, os, web, hash, board, variant, "
		"layers, container, success, request_time, build_duration) VALUES "
		"('1', 'Linux', 1, 'x', 'MD1', 'x', 1, 'c', 1, 't', 5)");
	assert_import(p, false, "2 of 3 versions, 0 of 0 requests");
	assert_rows(p->h->stats, "SELECT count(*) FROM Requests", "1;");
}

static void other_types_of_columns_do_not_double_rows(void **state)
{
	struct place *p = *state;

	make(p->stats, "CREATE TABLE Requests (id, uid TEXT, ip_addr, os, web TEXT, serial TEXT, "
		"hash, board, variant, layers TEXT, container, success, request_time INTEGER, "
		"build_duration TEXT); " ROW "'7', 1, 2, '1', '8', 3, 4, 5, '6', 7, 0, 9, '10')");
	assert_import(p, false, "2 of 3 versions, 1 of 1 requests");
	assert_import(p, false, "0 of 3 versions, 0 of 1 requests");
}

static void a_dry_run_changes_nothing(void **state)
{
	struct place *p = *state;

	assert_import(p, true, "2 of 3 versions, 4 of 4 requests");
	assert_rows(p->h->config, "SELECT count(*) FROM Versions WHERE name = 'mine'", "0;");
	assert_rows(p->h->config, "SELECT count(*) FROM Imports", "0;");
	assert_rows(p->h->stats, "SELECT count(*) FROM Requests", "0;");
	assert_import(p, false, "2 of 3 versions, 4 of 4 requests");
}

static void their_files_are_only_read(void **state)
{
	struct place *p = *state;
	struct stat before, after;

	assert_int_equal(stat(p->stats, &before), 0);
	assert_import(p, false, "2 of 3 versions, 4 of 4 requests");
	assert_int_equal(stat(p->stats, &after), 0);
	assert_int_equal(before.st_mtim.tv_nsec, after.st_mtim.tv_nsec);
	assert_int_equal(before.st_ino, after.st_ino);
}

static void a_missing_file_is_not_found(void **state)
{
	struct place *p = *state;

	assert_int_equal(unlink(p->stats), 0);
	assert_refused(p, KII_ENOTFOUND, "stats.db");
	assert_int_equal(unlink(p->config), 0);
	assert_refused(p, KII_ENOTFOUND, "config.db");
}

static void a_foreign_file_is_refused(void **state)
{
	static const struct { const char *sql, *words; } all[] = {
		{ "", "is not of the reference server" },
		{ "CREATE TABLE Requests (id, uid)", "is not of the reference server" },
	};
	struct place *p = *state;
	FILE *f;

	for (size_t i = 0; i < KII_COUNT(all); i++) {
		make(p->stats, all[i].sql);
		assert_refused(p, KII_EINVAL, all[i].words);
	}
	f = fopen(p->stats, "w");
	assert_non_null(f);
	assert_true(fputs("this is some text, but no database at all, as everybody can see", f)
		>= 0);
	assert_int_equal(fclose(f), 0);
	assert_refused(p, KII_EINVAL, "not a database");
	make(p->config, "CREATE TABLE Versions (name, channel, container)");
	assert_refused(p, KII_EINVAL, "config.db");
}

static void rows_that_make_no_sense_are_refused(void **state)
{
	static const char *const rows[] = {
		ROW "NULL, NULL, 'o', 1, NULL, 'a', 'b', 'v', 2, 'c', 1, 't', 4)",
		ROW "NULL, 'i', 'o', 2, NULL, 'a', 'b', 'v', 2, 'c', 1, 't', 4)",
		ROW "NULL, 'i', 'o', 1, NULL, 'a', 'b', 'v', 2, 'c', 'true', 't', 4)",
		ROW "NULL, 'i', 'o', 1, NULL, 'a', 'b', 'v', NULL, 'c', 1, 't', 4)",
	};
	static const char *const versions[] = {
		"('a/b', 'c', 'c', 't')", "('a', 'c', 'c', NULL)", "('a', 'c', '../x', 't')",
		"(NULL, 'c', 'c', 't')",
	};
	struct place *p = *state;

	for (size_t i = 0; i < KII_COUNT(rows); i++) {
		kii_autofree char *sql = kii_xfmt("%s%s", REQUESTS, rows[i]);

		make(p->stats, sql);
		assert_refused(p, KII_EINVAL, "a row of Requests");
	}
	for (size_t i = 0; i < KII_COUNT(versions); i++) {
		kii_autofree char *sql = kii_xfmt("%sINSERT INTO Versions VALUES %s", VERSIONS,
			versions[i]);

		make(p->config, sql);
		assert_refused(p, KII_EINVAL, "version \"");
	}
}

static void without_our_databases_there_is_nowhere_to_put_it(void **state)
{
	struct place *p = *state;
	struct kii_reference done;
	struct kii_error err = { 0 };

	assert_int_equal(unlink(p->h->stats), 0);
	must_fail(kii_reference_import(p->dir, p->h->state, false, NULL, &done, &err),
		KII_ENOTFOUND);
	assert_int_equal(unlink(p->h->config), 0);
	assert_int_equal(kii_reference_import(p->dir, p->h->state, false, NULL, &done, &err), -1);
	assert_int_equal(err.code, KII_ENOTFOUND);
	assert_non_null(strstr(err.msg, "start kiisrv once before"));
}

static void a_database_of_another_version_is_left_alone(void **state)
{
	struct place *p = *state;

	house_sql(p->h->stats, "PRAGMA user_version = 99");
	assert_refused(p, KII_ECONFLICT, "99");
}

static void a_broken_table_of_ours_is_an_error(void **state)
{
	static const char *const breaks[] = {
		"ALTER TABLE Imports RENAME COLUMN git_tag TO x", "DROP TABLE Imports" };
	struct place *p = *state;

	for (size_t i = 0; i < KII_COUNT(breaks); i++) {
		house_sql(p->h->config, breaks[i]);
		assert_refused(p, KII_EDB, "config.sqlite");
	}
}

static void their_database_that_is_locked_is_busy(void **state)
{
	struct place *p = *state;
	sqlite3 *db;

	assert_int_equal(sqlite3_open(p->config, &db), SQLITE_OK);
	assert_int_equal(sqlite3_exec(db, "BEGIN EXCLUSIVE", NULL, NULL, NULL), SQLITE_OK);
	assert_refused(p, KII_EBUSY, "config.db");
	sqlite3_close(db);
}

#define with_place(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		with_place(versions_and_requests_are_taken_over),
		with_place(a_second_time_nothing_is_added),
		with_place(later_only_what_is_new_is_added),
		with_place(what_is_here_stays),
		with_place(other_types_of_columns_do_not_double_rows),
		with_place(a_dry_run_changes_nothing),
		with_place(their_files_are_only_read),
		with_place(a_missing_file_is_not_found),
		with_place(a_foreign_file_is_refused),
		with_place(rows_that_make_no_sense_are_refused),
		with_place(without_our_databases_there_is_nowhere_to_put_it),
		with_place(a_database_of_another_version_is_left_alone),
		with_place(a_broken_table_of_ours_is_an_error),
		with_place(their_database_that_is_locked_is_busy),
	};

	return cmocka_run_group_tests_name("reference", tests, NULL, NULL);
}
