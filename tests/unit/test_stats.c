/* SPDX-License-Identifier: MIT */
#include <config.h>

#include "stats.h"

#include <sqlite3.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "buf.h"
#include "testlib.h"

struct place {
	char *dir;
	char *db;
	struct kii_stats *s;
};

static int set_up(void **state)
{
	struct place *p = kii_xcalloc(1, sizeof(*p));
	kii_autofree char *schema = test_source("schema");
	struct kii_error err = { 0 };

	p->dir = test_dir_new();
	p->db = kii_xfmt("%s/stats.sqlite", p->dir);
	must(kii_stats_migrate(p->db, schema, &err));
	must(kii_stats_open(p->db, KII_STORE_WRITE, &p->s, &err));
	*state = p;
	return 0;
}

static int tear_down(void **state)
{
	struct place *p = *state;

	kii_stats_close(p->s);
	test_dir_remove(p->dir);
	free(p->dir);
	free(p->db);
	free(p);
	return 0;
}

/* Every row of the query, columns by '|', rows by ';', null as "-". */
static void query(struct place *p, const char *sql, struct kii_buf *out)
{
	sqlite3_stmt *stmt;
	sqlite3 *db;

	assert_int_equal(sqlite3_open(p->db, &db), SQLITE_OK);
	assert_int_equal(sqlite3_prepare_v2(db, sql, -1, &stmt, NULL), SQLITE_OK);
	kii_buf_reset(out);
	while (sqlite3_step(stmt) == SQLITE_ROW) {
		for (int i = 0; i < sqlite3_column_count(stmt); i++) {
			const unsigned char *text = sqlite3_column_text(stmt, i);

			kii_buf_fmt(out, "%s%s", i ? "|" : "",
				text ? (const char *)text : "-");
		}
		kii_buf_char(out, ';');
	}
	sqlite3_finalize(stmt);
	sqlite3_close(db);
}

static void assert_rows(struct place *p, const char *sql, const char *want)
{
	kii_autobuf b = KII_BUF_INIT(100000);

	query(p, sql, &b);
	assert_string_equal(b.data, want);
}

static struct kii_stats_request request(void)
{
	return (struct kii_stats_request){ .ip_addr = "192.0.2.1",
		.user_agent = "Mozilla/5.0 (X11; Linux x86_64) Electron/1.1", .hash = "ab",
		.board = "MD1", .variant = "Standard", .layers = 3, .container = "controller-057",
		.success = true, .request_time_ms = INT64_C(1700000000000),
		.build_duration_ms = 4200 };
}

static void system_and_program_come_from_the_agent(void **state)
{
	static const struct { const char *agent; const char *os; bool web; } all[] = {
		{ "Mozilla/5.0 (Windows NT 10.0; Win64; x64) Chrome/120", "Windows", true },
		{ "Mozilla/5.0 (Windows NT 10.0) kiidrv/1.1.0 Electron/4.2 Safari", "Windows",
			false },
		{ "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) Safari", "macOS", true },
		{ "Mozilla/5.0 (X11; Linux x86_64; rv:1) Firefox", "Linux", true },
		{ "Mozilla/5.0 (Linux; Android 13; Pixel 7) Chrome", "Android", true },
		{ "Mozilla/5.0 (iPhone; CPU iPhone OS 17_0 like Mac OS X) Safari", "iOS", true },
		{ "Mozilla/5.0 (iPad; CPU OS 12_2 like Mac OS X) Safari", "iOS", true },
		{ "Mozilla/5.0 (iPod touch; CPU OS 12_2 like Mac OS X)", "iOS", true },
		{ "Mozilla/5.0 (Windows Phone 10.0; Android 6.0.1)", "Other", true },
		{ "curl/8.0", "Other", true },
		{ "", "Other", true },
		{ NULL, "Other", true },
	};

	(void)state;
	for (size_t i = 0; i < KII_COUNT(all); i++) {
		bool web = !all[i].web;

		assert_string_equal(kii_stats_agent(all[i].agent, &web), all[i].os);
		assert_int_equal(web, all[i].web);
	}
}

static void a_request_is_kept_as_the_reference_keeps_it(void **state)
{
	struct place *p = *state;
	struct kii_stats_request r = request();
	struct kii_error err = { 0 };

	must(kii_stats_record(p->s, &r, &err));
	r.user_agent = NULL;
	r.success = false;
	r.build_duration_ms = -1;
	must(kii_stats_record(p->s, &r, &err));
	assert_rows(p, "SELECT * FROM Requests ORDER BY id",
		"1|-|192.0.2.1|Linux|0|-|ab|MD1|Standard|3|controller-057|1|2023-11-14T22:13:20Z|"
		"4200;"
		"2|-|192.0.2.1|Other|1|-|ab|MD1|Standard|3|controller-057|0|2023-11-14T22:13:20Z|"
		"-;");
}

/* What /stats would say, by scanning and by the totals: the same, whatever happened before. */
static void assert_totals_hold(struct place *p)
{
	kii_autobuf scan = KII_BUF_INIT(100000);
	kii_autobuf totals = KII_BUF_INIT(100000);

	query(p, "SELECT count(*), count(DISTINCT hash), count(DISTINCT ip_addr), "
		"coalesce(sum(layers), 0), coalesce(sum(build_duration), 0) FROM Requests", &scan);
	query(p, "SELECT builds, hashes, users, layers, duration FROM Totals", &totals);
	assert_string_equal(totals.data, scan.data);
	query(p, "SELECT 'container', container, count(*) FROM Requests GROUP BY container "
		"UNION ALL SELECT 'keyboard', board || '-' || variant AS k, count(*) FROM Requests "
		"GROUP BY k UNION ALL SELECT 'os', os, count(*) FROM Requests GROUP BY os "
		"UNION ALL SELECT 'platform', CASE web WHEN 1 THEN 'Web' ELSE 'Desktop' END AS w, "
		"count(*) FROM Requests GROUP BY w ORDER BY 1, 2", &scan);
	query(p, "SELECT what, name, n FROM Counts ORDER BY what, name", &totals);
	assert_string_equal(totals.data, scan.data);
}

static void record_many(struct place *p)
{
	static const char *const agents[] = { "Windows", "Linux Electron", "iPad", "x" };
	static const char *const boards[] = { "MD1", "Kira", "KType" };
	struct kii_error err = { 0 };

	for (int i = 0; i < 60; i++) {
		struct kii_stats_request r = request();
		kii_autofree char *client = kii_xfmt("192.0.2.%d", i % 7);
		kii_autofree char *hash = kii_xfmt("%x", (unsigned)i % 11);

		r.ip_addr = client;
		r.hash = hash;
		r.user_agent = agents[i % 4];
		r.board = boards[i % 3];
		r.variant = i % 2 ? "Standard" : "Blank";
		r.container = i % 5 ? "controller-057" : "controller-050";
		r.layers = i % 4;
		r.success = i % 6 != 0;
		r.build_duration_ms = i % 3 ? 1000 + i : -1;
		must(kii_stats_record(p->s, &r, &err));
	}
}

static void change(struct place *p, const char *sql, int want)
{
	sqlite3 *db;

	assert_int_equal(sqlite3_open(p->db, &db), SQLITE_OK);
	assert_int_equal(sqlite3_exec(db, sql, NULL, NULL, NULL), want);
	sqlite3_close(db);
}

static void totals_are_what_a_scan_would_give(void **state)
{
	struct place *p = *state;

	assert_totals_hold(p);
	record_many(p);
	assert_totals_hold(p);
	change(p, "DELETE FROM Requests WHERE id % 3 = 0", SQLITE_OK);
	assert_totals_hold(p);
	change(p, "DELETE FROM Requests WHERE board = 'Kira'", SQLITE_OK);
	assert_totals_hold(p);
	change(p, "UPDATE Requests SET layers = 9", SQLITE_CONSTRAINT);
	assert_totals_hold(p);
	change(p, "DELETE FROM Requests", SQLITE_OK);
	assert_totals_hold(p);
	assert_rows(p, "SELECT count(*) FROM Counts", "0;");
}

static void append_count(void *arg, const struct kii_stats_count *c)
{
	kii_buf_fmt(arg, "%s|%s|%d|%d;", c->board, c->container, c->success, (int)c->n);
}

static void assert_counts(struct place *p, bool cached, const char *want)
{
	struct kii_error err = { 0 };
	kii_autobuf all = KII_BUF_INIT(100000);

	must(kii_stats_each(p->s, cached, append_count, &all, &err));
	assert_string_equal(all.data, want);
}

static void counts_of_boards_only_grow(void **state)
{
	struct place *p = *state;
	struct kii_error err = { 0 };
	kii_autobuf all = KII_BUF_INIT(100000);
	kii_autobuf cached = KII_BUF_INIT(100000);

	assert_counts(p, false, "");
	record_many(p);
	query(p, "SELECT board, container, success, count(*) FROM Requests GROUP BY 1, 2, 3 "
		"ORDER BY 1, 2, 3", &all);
	query(p, "SELECT board, container, success, count(*) FROM Requests "
		"WHERE build_duration IS NULL GROUP BY 1, 2, 3 ORDER BY 1, 2, 3", &cached);
	assert_true(cached.len > 10 && all.len > cached.len);
	change(p, "DELETE FROM Requests", SQLITE_OK);
	assert_counts(p, false, all.data);
	assert_counts(p, true, cached.data);
	change(p, "DROP TABLE RequestCounts", SQLITE_OK);
	must_fail(kii_stats_each(p->s, false, append_count, &all, &err), KII_EDB);
}

static void an_older_database_brings_its_counts_along(void **state)
{
	struct place *p = *state;
	struct kii_error err = { 0 };
	kii_autofree char *schema = test_source("schema");

	kii_stats_close(p->s);
	p->s = NULL;
	assert_int_equal(unlink(p->db), 0);
	must(kii_store_migrate(p->db, schema, "stats", 1, &err));
	change(p, "INSERT INTO Requests (ip_addr, os, web, hash, board, variant, layers, "
		"container, success, request_time, build_duration) VALUES "
		"('1', 'Linux', 1, 'a', 'MD1', 'x', 1, 'c', 1, 't', 5), "
		"('1', 'Linux', 1, 'a', 'MD1', 'x', 1, 'c', 1, 't', 6), "
		"('1', 'Linux', 1, 'a', 'MD1', 'x', 1, 'c', 0, 't', NULL)", SQLITE_OK);
	must(kii_stats_migrate(p->db, schema, &err));
	must(kii_stats_open(p->db, KII_STORE_READ, &p->s, &err));
	assert_counts(p, false, "MD1|c|0|1;MD1|c|1|2;");
	assert_counts(p, true, "MD1|c|0|1;");
}

static void whether_it_can_be_written_is_told(void **state)
{
	struct place *p = *state;
	struct kii_error err = { 0 };
	struct kii_stats *s;
	sqlite3 *db;

	must(kii_stats_writable(p->s, &err));
	must(kii_stats_open(p->db, KII_STORE_WRITE | KII_STORE_HURRY, &s, &err));
	assert_int_equal(sqlite3_open(p->db, &db), SQLITE_OK);
	assert_int_equal(sqlite3_exec(db, "BEGIN IMMEDIATE", NULL, NULL, NULL), SQLITE_OK);
	must_fail(kii_stats_writable(s, &err), KII_EBUSY);
	sqlite3_close(db);
	must(kii_stats_writable(s, &err));
	kii_stats_close(s);
	must(kii_stats_open(p->db, KII_STORE_READ, &s, &err));
	must_fail(kii_stats_writable(s, &err), KII_EDB);
	kii_stats_close(s);
}

static void a_request_without_its_facts_is_refused(void **state)
{
	struct place *p = *state;
	struct kii_stats_request r = request();
	struct kii_error err = { 0 };

	r.board = NULL;
	must_fail(kii_stats_record(p->s, &r, &err), KII_ECONFLICT);
	assert_totals_hold(p);
}

static void a_reader_cannot_write(void **state)
{
	struct place *p = *state;
	struct kii_stats_request r = request();
	struct kii_error err = { 0 };
	struct kii_stats *reader;

	must(kii_stats_open(p->db, KII_STORE_READ, &reader, &err));
	must_fail(kii_stats_record(reader, &r, &err), KII_EDB);
	kii_stats_close(reader);
}

static void a_missing_database_is_not_found(void **state)
{
	struct place *p = *state;
	struct kii_error err = { 0 };
	struct kii_stats *s;

	assert_false(kii_stats_moved(p->s));
	assert_int_equal(unlink(p->db), 0);
	assert_true(kii_stats_moved(p->s));
	must_fail(kii_stats_open(p->db, KII_STORE_WRITE, &s, &err), KII_ENOTFOUND);
	kii_stats_close(NULL);
}

#define with_place(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(system_and_program_come_from_the_agent),
		with_place(a_request_is_kept_as_the_reference_keeps_it),
		with_place(totals_are_what_a_scan_would_give),
		with_place(counts_of_boards_only_grow),
		with_place(an_older_database_brings_its_counts_along),
		with_place(whether_it_can_be_written_is_told),
		with_place(a_request_without_its_facts_is_refused),
		with_place(a_reader_cannot_write),
		with_place(a_missing_database_is_not_found),
	};

	return cmocka_run_group_tests_name("stats", tests, NULL, NULL);
}
