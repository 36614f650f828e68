/* SPDX-License-Identifier: MIT */
#include <config.h>

#include "stats.h"

#include <sqlite3.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "json.h"
#include "testlib.h"

#define TEXT_MAX 100000
#define INSERT "INSERT INTO Requests (ip_addr, os, web, hash, board, variant, layers, container, " \
	"success, request_time, build_duration) "

struct place {
	char *dir;
	char *db;
	char *schema;
	struct kii_stats *s;
};

static int set_up(void **state)
{
	struct place *p = kii_xcalloc(1, sizeof(*p));
	struct kii_error err = { 0 };

	p->dir = test_dir_new();
	p->db = kii_xfmt("%s/stats.sqlite", p->dir);
	p->schema = test_source("schema");
	must(kii_stats_migrate(p->db, p->schema, &err));
	must(kii_stats_open(p->db, KII_STORE_READ, &p->s, &err));
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
	free(p->schema);
	free(p);
	return 0;
}

static void sql(struct place *p, const char *text)
{
	sqlite3 *db;

	assert_int_equal(sqlite3_open(p->db, &db), SQLITE_OK);
	if (sqlite3_exec(db, text, NULL, NULL, NULL) != SQLITE_OK)
		fail_msg("%s: %s", text, sqlite3_errmsg(db));
	sqlite3_close(db);
}

static void assert_text(struct place *p, const char *want)
{
	kii_autobuf text = KII_BUF_INIT(TEXT_MAX);
	struct kii_error err = { 0 };

	must(kii_stats_text(p->s, &text, &err));
	assert_string_equal(text.data, want);
}

static json_t *json_of(struct place *p)
{
	struct kii_error err = { 0 };
	json_t *json = NULL;

	must(kii_stats_json(p->s, &json, &err));
	return json;
}

/* The value at "a.b" or one member, as JSON text. */
static void assert_member(const json_t *json, const char *name, const char *want)
{
	kii_autobuf text = KII_BUF_INIT(TEXT_MAX);
	struct kii_error err = { 0 };
	const json_t *value = json_object_get(json, name);

	assert_non_null(value);
	must(kii_json_dump(value, 0, &text, &err));
	assert_string_equal(text.data, want);
}

static void nothing_was_built(void **state)
{
	struct place *p = *state;
	kii_autojson *json = json_of(p);
	kii_autobuf text = KII_BUF_INIT(TEXT_MAX);
	struct kii_error err = { 0 };

	assert_text(p,
		"Builds: 0 (0 unique)\n"
		"Cache ratio: 0.0\n"
		"Avg time: 0.000 s\n"
		"\n"
		"Users: 0 unique\n"
		"Avg builds per user: 0.0\n"
		"Average number of layers: 0\n"
		"\n"
		"OS Counts: {}\n"
		"Platform Counts: {}\n"
		"Keyboard Counts: {}\n"
		"Version Counts: {}\n"
		"\n");
	must(kii_json_dump(json, 0, &text, &err));
	assert_string_equal(text.data, "{\"builds\":0,\"unique\":0,\"cache_ratio\":0.0,"
		"\"users\":{\"unique\":0,\"average_builds\":0.0},\"average_layers\":0.0,"
		"\"cached\":0,\"outcomes\":{\"succeeded\":0,\"failed\":0},"
		"\"seconds\":{\"average\":0.0,\"p50\":null,\"p90\":null},"
		"\"os\":{},\"platforms\":{},\"keyboards\":{},\"containers\":{},\"boards\":{},"
		"\"releases\":{},\"days\":{}}");
}

static void insert_some(struct place *p)
{
	sql(p, INSERT "VALUES "
		"('192.0.2.1', 'Windows', 1, 'a', 'MD1', 'Standard', 1, 'c-057', 1, "
			"'2024-01-02T10:00:00Z', 4000), "
		"('192.0.2.1', 'Linux', 0, 'a', 'MD1', 'Standard', 1, 'c-057', 1, "
			"'2024-01-02T11:00:00Z', NULL), "
		"('192.0.2.1', 'Linux', 0, 'b', 'Kira', 'Standard', 3, 'c-050', 0, "
			"'2024-01-01T11:00:00Z', 5004)");
}

static void every_line_of_the_text_is_the_reference_s(void **state)
{
	struct place *p = *state;

	insert_some(p);
	assert_text(p,
		"Builds: 3 (2 unique)\n"
		"Cache ratio: 1.5\n"
		"Avg time: 4.502 s\n"
		"\n"
		"Users: 1 unique\n"
		"Avg builds per user: 3.0\n"
		"Average number of layers: 1.6666666666666667\n"
		"\n"
		"OS Counts: {\n"
		"    \"Linux\": 2,\n"
		"    \"Windows\": 1,\n"
		"}\n"
		"Platform Counts: {\n"
		"    \"Desktop\": 2,\n"
		"    \"Web\": 1,\n"
		"}\n"
		"Keyboard Counts: {\n"
		"    \"Kira-Standard\": 1,\n"
		"    \"MD1-Standard\": 2,\n"
		"}\n"
		"Version Counts: {\n"
		"    \"c-050\": 1,\n"
		"    \"c-057\": 2,\n"
		"}\n"
		"\n");
}

static void json_tells_more(void **state)
{
	struct place *p = *state;
	kii_autojson *json = NULL;

	insert_some(p);
	json = json_of(p);
	assert_member(json, "builds", "3");
	assert_member(json, "unique", "2");
	assert_member(json, "cache_ratio", "1.5");
	assert_member(json, "users", "{\"unique\":1,\"average_builds\":3.0}");
	assert_member(json, "average_layers", "1.66666666666667");
	assert_member(json, "cached", "1");
	assert_member(json, "outcomes", "{\"succeeded\":2,\"failed\":1}");
	assert_member(json, "seconds", "{\"average\":4.502,\"p50\":4.0,\"p90\":5.0}");
	assert_member(json, "os", "{\"Linux\":2,\"Windows\":1}");
	assert_member(json, "platforms", "{\"Desktop\":2,\"Web\":1}");
	assert_member(json, "keyboards", "{\"Kira-Standard\":1,\"MD1-Standard\":2}");
	assert_member(json, "containers", "{\"c-050\":1,\"c-057\":2}");
	assert_member(json, "boards", "{\"Kira\":{\"builds\":1,\"failed\":1,\"cached\":0},"
		"\"MD1\":{\"builds\":2,\"failed\":0,\"cached\":1}}");
	assert_member(json, "releases", "{\"c-050\":{\"builds\":1,\"failed\":1,\"cached\":0},"
		"\"c-057\":{\"builds\":2,\"failed\":0,\"cached\":1}}");
	assert_member(json, "days", "{\"2024-01-01\":{\"builds\":1,\"failed\":1,\"cached\":0},"
		"\"2024-01-02\":{\"builds\":2,\"failed\":0,\"cached\":1}}");
}

/* The line of the text that begins so. */
static void assert_line(struct place *p, const char *begin, const char *want)
{
	kii_autobuf text = KII_BUF_INIT(TEXT_MAX);
	struct kii_error err = { 0 };
	const char *line;

	must(kii_stats_text(p->s, &text, &err));
	line = strstr(text.data, begin);
	assert_non_null(line);
	line += strlen(begin);
	assert_int_equal(strcspn(line, "\n"), strlen(want));
	assert_memory_equal(line, want, strlen(want));
}

static void the_average_of_layers_has_no_needless_zeros(void **state)
{
	static const struct { int64_t layers, builds; const char *want; } all[] = {
		{ 4, 2, "2" }, { 1, 2, "0.5" }, { 1, 3, "0.3333333333333333" },
		{ 1, 10, "0.1" }, { 7, 3, "2.3333333333333335" }, { 100, 1, "100" },
		{ 1, INT64_C(10000000000), "0.0000000001" }, { 1, 7, "0.14285714285714285" },
	};
	struct place *p = *state;

	for (size_t i = 0; i < KII_COUNT(all); i++) {
		kii_autofree char *set = kii_xfmt("UPDATE Totals SET layers = %lld, builds = %lld",
			(long long)all[i].layers, (long long)all[i].builds);

		sql(p, set);
		assert_line(p, "Average number of layers: ", all[i].want);
	}
}

static void names_are_quoted(void **state)
{
	struct place *p = *state;
	kii_autojson *json = NULL;

	sql(p, "INSERT INTO Counts VALUES ('os', 'a\"b\\c' || char(10, 13, 9, 27, 127) || 'é', 2),"
		" ('container', CAST(x'63ff64' AS TEXT), 3)");
	assert_line(p, "OS Counts: {\n", "    \"a\\\"b\\\\c\\n\\r\\t\\u{1b}\\u{7f}é\": 2,");
	json = json_of(p);
	assert_member(json, "os", "{\"a\\\"b\\\\c\\n\\r\\t\\u001B\x7f\u00e9\":2}");
	assert_member(json, "containers", "{\"c?d\":3}");
}

static void times_have_three_digits(void **state)
{
	static const struct { int ms; const char *want; } all[] = {
		{ 0, "0.0" }, { 7, "0.007" }, { 999, "0.999" }, { 1009, "1.0" },
		{ 9999, "9.99" }, { 10099, "10.0" }, { 99999, "99.9" }, { 100999, "100.0" },
		{ 4567890, "4567.0" },
	};
	struct place *p = *state;

	for (size_t i = 0; i < KII_COUNT(all); i++) {
		kii_autofree char *insert = kii_xfmt("DELETE FROM Requests; " INSERT
			"VALUES ('1', 'o', 1, 'h', 'b', 'v', 1, 'c', 1, 't', %d)", all[i].ms);
		kii_autojson *json = NULL;

		sql(p, insert);
		json = json_of(p);
		json_object_del(json_object_get(json, "seconds"), "average");
		kii_autofree char *want = kii_xfmt("{\"p50\":%s,\"p90\":%s}", all[i].want,
			all[i].want);
		assert_member(json, "seconds", want);
	}
}

static void times_are_those_of_half_and_nine_tenths(void **state)
{
	struct place *p = *state;
	kii_autojson *json = NULL;

	sql(p, "WITH RECURSIVE r(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM r WHERE i < 100) "
		INSERT "SELECT '1', 'o', 1, 'h', 'b', 'v', 1, 'c', 1, 't', i FROM r");
	sql(p, INSERT "VALUES ('1', 'o', 1, 'h', 'b', 'v', 1, 'c', 1, 't', NULL)");
	json = json_of(p);
	assert_member(json, "seconds", "{\"average\":5.05,\"p50\":0.05,\"p90\":0.09}");
}

static void only_the_newest_days_are_told(void **state)
{
	struct place *p = *state;
	kii_autojson *json = NULL;
	const json_t *days;

	sql(p, "WITH RECURSIVE r(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM r WHERE i < 400) "
		INSERT "SELECT '1', 'o', 1, 'h', 'b', 'v', 1, 'c', 1, "
		"date('2020-01-01', i || ' days') || 'T01:02:03Z', i FROM r");
	json = json_of(p);
	days = json_object_get(json, "days");
	assert_int_equal(json_object_size(days), 366);
	assert_null(json_object_get(days, "2020-02-04"));
	assert_non_null(json_object_get(days, "2020-02-05"));
	assert_non_null(json_object_get(days, "2021-02-04"));
	assert_string_equal(json_object_iter_key(json_object_iter((json_t *)days)), "2020-02-05");
}

/* Every row of the query, columns by '|', rows by ';'. */
static void query(struct place *p, const char *text, struct kii_buf *out)
{
	sqlite3_stmt *stmt;
	sqlite3 *db;

	assert_int_equal(sqlite3_open(p->db, &db), SQLITE_OK);
	assert_int_equal(sqlite3_prepare_v2(db, text, -1, &stmt, NULL), SQLITE_OK);
	kii_buf_reset(out);
	while (sqlite3_step(stmt) == SQLITE_ROW) {
		for (int i = 0; i < sqlite3_column_count(stmt); i++)
			kii_buf_fmt(out, "%s%s", i ? "|" : "",
				(const char *)sqlite3_column_text(stmt, i));
		kii_buf_char(out, ';');
	}
	sqlite3_finalize(stmt);
	sqlite3_close(db);
}

/* What the triggers keep is what a scan would find. */
static void assert_kept(struct place *p)
{
	static const struct { const char *kept, *scan; } all[] = {
		{ "SELECT * FROM Days ORDER BY 1",
			"SELECT substr(request_time, 1, 10), count(*), sum(success = 0), "
			"sum(build_duration IS NULL) FROM Requests GROUP BY 1 ORDER BY 1" },
		{ "SELECT * FROM Kinds ORDER BY 1, 2",
			"SELECT board, container, count(*), sum(success = 0), "
			"sum(build_duration IS NULL) FROM Requests GROUP BY 1, 2 ORDER BY 1, 2" },
		{ "SELECT ms, n FROM Durations ORDER BY 1",
			"SELECT CAST(substr(build_duration, 1, 3) || "
			"substr('000', 1, max(length(build_duration) - 3, 0)) AS INTEGER), "
			"count(*) FROM Requests WHERE build_duration >= 0 GROUP BY 1 ORDER BY 1" },
	};
	kii_autobuf kept = KII_BUF_INIT(TEXT_MAX);
	kii_autobuf scan = KII_BUF_INIT(TEXT_MAX);

	for (size_t i = 0; i < KII_COUNT(all); i++) {
		query(p, all[i].kept, &kept);
		query(p, all[i].scan, &scan);
		assert_string_equal(kept.data, scan.data);
	}
}

#define MANY "WITH RECURSIVE r(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM r WHERE i < 500) " \
	INSERT "SELECT i % 7, 'o', i % 2, i % 50, 'b' || (i % 4), 'v', i % 3, 'c' || (i % 5), " \
	"i % 9 > 0, date('2024-01-01', (i % 30) || ' days') || 'T01:02:03Z', " \
	"iif(i % 6, i * i * 3, NULL) FROM r"

static void what_the_triggers_keep_is_what_a_scan_would_find(void **state)
{
	struct place *p = *state;
	kii_autobuf rest = KII_BUF_INIT(TEXT_MAX);

	sql(p, MANY);
	assert_kept(p);
	sql(p, "DELETE FROM Requests WHERE id % 3 = 0");
	assert_kept(p);
	sql(p, "DELETE FROM Requests");
	assert_kept(p);
	query(p, "SELECT (SELECT count(*) FROM Days) + (SELECT count(*) FROM Kinds) + "
		"(SELECT count(*) FROM Durations)", &rest);
	assert_string_equal(rest.data, "0;");
}

static void an_older_database_is_counted_once(void **state)
{
	struct place *p = *state;
	struct kii_error err = { 0 };

	kii_stats_close(p->s);
	p->s = NULL;
	assert_int_equal(unlink(p->db), 0);
	must(kii_store_migrate(p->db, p->schema, "stats", 2, &err));
	sql(p, MANY);
	must(kii_stats_migrate(p->db, p->schema, &err));
	must(kii_stats_migrate(p->db, p->schema, &err));
	assert_kept(p);
}

static void the_number_of_changes_tells_when_somebody_wrote(void **state)
{
	struct place *p = *state;
	struct kii_error err = { 0 };
	int64_t before, after;

	must(kii_stats_changes(p->s, &before, &err));
	must(kii_stats_changes(p->s, &after, &err));
	assert_int_equal(before, after);
	insert_some(p);
	must(kii_stats_changes(p->s, &after, &err));
	assert_int_not_equal(before, after);
}

static void a_table_that_is_missing_is_an_error(void **state)
{
	static const struct { const char *table; bool text; } all[] = {
		{ "Durations", false }, { "Days", false }, { "Kinds", false },
		{ "Counts", true }, { "Totals", true },
	};
	struct place *p = *state;
	kii_autobuf text = KII_BUF_INIT(TEXT_MAX);
	struct kii_error err = { 0 };
	kii_autojson *json = NULL;

	for (size_t i = 0; i < KII_COUNT(all); i++) {
		kii_autofree char *drop = kii_xfmt("DROP TABLE %s", all[i].table);

		sql(p, drop);
		must_fail(kii_stats_json(p->s, &json, &err), KII_EDB);
		assert_null(json);
		if (all[i].text)
			must_fail(kii_stats_text(p->s, &text, &err), KII_EDB);
		else
			must(kii_stats_text(p->s, &text, &err));
	}
}

static void totals_that_are_missing_are_an_error(void **state)
{
	struct place *p = *state;
	kii_autobuf text = KII_BUF_INIT(TEXT_MAX);
	struct kii_error err = { 0 };
	kii_autojson *json = NULL;

	sql(p, "DELETE FROM Totals");
	must_fail(kii_stats_text(p->s, &text, &err), KII_EDB);
	must_fail(kii_stats_json(p->s, &json, &err), KII_EDB);
}

static void a_text_past_its_limit_is_too_big(void **state)
{
	struct place *p = *state;
	kii_autobuf text = KII_BUF_INIT(100);
	struct kii_error err = { 0 };

	must_fail(kii_stats_text(p->s, &text, &err), KII_ETOOBIG);
}

#define with_place(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		with_place(nothing_was_built),
		with_place(every_line_of_the_text_is_the_reference_s),
		with_place(json_tells_more),
		with_place(the_average_of_layers_has_no_needless_zeros),
		with_place(names_are_quoted),
		with_place(times_have_three_digits),
		with_place(times_are_those_of_half_and_nine_tenths),
		with_place(only_the_newest_days_are_told),
		with_place(what_the_triggers_keep_is_what_a_scan_would_find),
		with_place(an_older_database_is_counted_once),
		with_place(the_number_of_changes_tells_when_somebody_wrote),
		with_place(a_table_that_is_missing_is_an_error),
		with_place(totals_that_are_missing_are_an_error),
		with_place(a_text_past_its_limit_is_too_big),
	};

	return cmocka_run_group_tests_name("stats_report", tests, NULL, NULL);
}
