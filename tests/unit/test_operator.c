/* SPDX-License-Identifier: MIT */
#include <config.h>

#include "operator.h"

#include <sqlite3.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "buf.h"
#include "hash.h"
#include "io.h"
#include "testlib.h"

#define NOW INT64_C(1700000000000)

struct place {
	char *dir;
	char *db;
	struct kii_operator *op;
};

static int set_up(void **state)
{
	struct place *p = kii_xcalloc(1, sizeof(*p));
	kii_autofree char *schema = test_source("schema");
	struct kii_error err = { 0 };

	p->dir = test_dir_new();
	p->db = kii_xfmt("%s/operator.sqlite", p->dir);
	must(kii_operator_migrate(p->db, schema, &err));
	must(kii_operator_open(p->db, KII_STORE_WRITE, &p->op, &err));
	*state = p;
	return 0;
}

static int tear_down(void **state)
{
	struct place *p = *state;

	kii_operator_close(p->op);
	test_dir_remove(p->dir);
	free(p->dir);
	free(p->db);
	free(p);
	return 0;
}

/* First columns of all rows, each with ';' behind it. */
static void rows(const char *file, const char *sql, struct kii_buf *out)
{
	sqlite3_stmt *stmt;
	sqlite3 *db;

	assert_int_equal(sqlite3_open(file, &db), SQLITE_OK);
	kii_buf_reset(out);
	assert_int_equal(sqlite3_prepare_v2(db, sql, -1, &stmt, NULL), SQLITE_OK);
	while (sqlite3_step(stmt) == SQLITE_ROW) {
		const unsigned char *text = sqlite3_column_text(stmt, 0);

		kii_buf_fmt(out, "%s;", text ? (const char *)text : "-");
	}
	sqlite3_finalize(stmt);
	sqlite3_close(db);
}

static void change(const char *file, const char *sql)
{
	sqlite3 *db;

	assert_int_equal(sqlite3_open(file, &db), SQLITE_OK);
	assert_int_equal(sqlite3_exec(db, sql, NULL, NULL, NULL), SQLITE_OK);
	sqlite3_close(db);
}

static void assert_rows(struct place *p, const char *sql, const char *want)
{
	kii_autobuf b = KII_BUF_INIT(100000);

	rows(p->db, sql, &b);
	assert_string_equal(b.data, want);
}

/* --- the database --- */

#define OBJECTS "SELECT name || ' ' || sql FROM sqlite_schema WHERE sql NOT NULL AND name " \
	"NOT LIKE 'sqlite_%' ORDER BY name"
#define JOBS_OBJECTS "SELECT name || ' ' || sql FROM sqlite_schema WHERE sql NOT NULL AND name " \
	"NOT LIKE 'sqlite_%' AND name NOT LIKE 'Audit%' AND name NOT LIKE 'Tokens%' ORDER BY name"

static void its_job_tables_are_those_of_the_public_jobs(void **state)
{
	struct place *p = *state;
	kii_autofree char *schema = test_source("schema");
	kii_autofree char *jobs = kii_xfmt("%s/jobs.sqlite", p->dir);
	kii_autobuf want = KII_BUF_INIT(100000);
	kii_autobuf got = KII_BUF_INIT(100000);
	struct kii_error err = { 0 };

	must(kii_jobs_migrate(jobs, schema, &err));
	rows(jobs, OBJECTS, &want);
	rows(p->db, JOBS_OBJECTS, &got);
	assert_string_equal(got.data, want.data);
	assert_non_null(strstr(got.data, "Jobs_end"));
	rows(jobs, "SELECT le FROM DurationBounds ORDER BY le", &want);
	rows(p->db, "SELECT le FROM DurationBounds ORDER BY le", &got);
	assert_string_equal(got.data, want.data);
}

static void the_complete_schema_is_what_migrations_make(void **state)
{
	struct place *p = *state;
	kii_autofree char *file = test_source("schema/operator.sqlite");
	kii_autofree char *whole = kii_xfmt("%s/whole.sqlite", p->dir);
	kii_autobuf script = KII_BUF_INIT(100000);
	kii_autobuf want = KII_BUF_INIT(100000);
	kii_autobuf got = KII_BUF_INIT(100000);
	struct kii_error err = { 0 };

	must(kii_io_read(file, &script, &err));
	for (int twice = 0; twice < 2; twice++)
		change(whole, script.data);
	rows(whole, OBJECTS, &got);
	rows(p->db, OBJECTS, &want);
	assert_string_equal(got.data, want.data);
	rows(whole, "PRAGMA user_version", &got);
	rows(p->db, "PRAGMA user_version", &want);
	assert_string_equal(got.data, want.data);
}

static void jobs_live_in_it_as_in_their_own(void **state)
{
	struct place *p = *state;
	struct kii_job job = { .kind = "pull", .client = (char *)"anna", .created = NOW,
		.request = (char *)"{}" };
	struct kii_job_end end = { .state = KII_JOB_SUCCEEDED, .exit_code = -1,
		.outcome = "pulled", .finished = NOW + 9 };
	struct kii_jobs *jobs = NULL;
	struct kii_error err = { 0 };
	kii_autojob got = { 0 };

	kii_io_random_hex(job.id, 16);
	memset(job.key, 'a', 64);
	must(kii_jobs_open_operator(p->db, KII_STORE_WRITE, &jobs, &err));
	must(kii_jobs_insert(jobs, &job, &err));
	must_fail(kii_jobs_insert(jobs, &job, &err), KII_ECONFLICT);
	must(kii_jobs_start(jobs, job.id, 1, NOW + 5, &err));
	must(kii_jobs_finish(jobs, job.id, &end, &err));
	must(kii_jobs_get(jobs, job.id, &got, &err));
	assert_int_equal(got.state, KII_JOB_SUCCEEDED);
	kii_jobs_close(jobs);
	assert_rows(p, "SELECT kind || outcome || n FROM EndCounts", "pullpulled1;");
}

static void a_missing_database_is_not_found(void **state)
{
	struct place *p = *state;
	kii_autofree char *none = kii_xfmt("%s/none.sqlite", p->dir);
	struct kii_error err = { 0 };
	struct kii_operator *op = NULL;
	struct kii_jobs *jobs = NULL;

	must_fail(kii_operator_open(none, KII_STORE_WRITE, &op, &err), KII_ENOTFOUND);
	must_fail(kii_jobs_open_operator(none, KII_STORE_WRITE, &jobs, &err), KII_ENOTFOUND);
	kii_operator_close(NULL);
}

static void a_database_that_was_replaced_is_noticed(void **state)
{
	struct place *p = *state;
	kii_autofree char *aside = kii_xfmt("%s/aside", p->dir);

	assert_false(kii_operator_moved(p->op));
	assert_int_equal(rename(p->db, aside), 0);
	assert_true(kii_operator_moved(p->op));
}

/* --- scopes --- */

static void scopes_are_words_of_one_table(void **state)
{
	static const struct { const char *text; const char *want; } good[] = {
		{ "containers:read", "containers:read" },
		{ "jobs:write,containers:read", "containers:read jobs:write" },
		{ " audit:read ,  images:build ", "images:build audit:read" },
		{ "all", "all" },
		{ "runtime:read all", "all" },
		{ "containers:read containers:write images:read images:write images:build "
			"jobs:read jobs:write runtime:read audit:read", "all" },
	};
	static const char *const bad[] = { "", " , ", "containers", "containers:reads", "ALL",
		"containers:read;jobs:read", "al", "jobs:read,x" };
	struct kii_error err = { 0 };
	char text[KII_SCOPES_TEXT];
	unsigned bits;

	(void)state;
	for (size_t i = 0; i < KII_COUNT(good); i++) {
		must(kii_scopes_parse(good[i].text, &bits, &err));
		kii_scopes_text(bits, text);
		assert_string_equal(text, good[i].want);
	}
	for (size_t i = 0; i < KII_COUNT(bad); i++) {
		must_fail(kii_scopes_parse(bad[i], &bits, &err), KII_EINVAL);
		assert_int_equal(kii_scope_bit(bad[i]), 0);
	}
	assert_int_equal(kii_scope_bit("all") & kii_scope_bit("audit:read"),
		kii_scope_bit("audit:read"));
	assert_int_equal(kii_scope_bit("jobs:read") & kii_scope_bit("jobs:write"), 0);
	kii_scopes_text(0, text);
	assert_string_equal(text, "");
}

/* The longest list of words still fits where it is written. */
static void every_set_of_scopes_can_be_written_down(void **state)
{
	struct kii_error err = { 0 };
	unsigned all = kii_scope_bit("all");
	char text[KII_SCOPES_TEXT];
	unsigned again;

	(void)state;
	for (unsigned bits = 1; bits <= all; bits++) {
		kii_scopes_text(bits, text);
		must(kii_scopes_parse(text, &again, &err));
		assert_int_equal(again, bits);
	}
}

/* --- tokens --- */

static void a_token_is_found_by_its_secret_alone(void **state)
{
	struct place *p = *state;
	struct kii_error err = { 0 };
	char secret[KII_TOKEN_SECRET], other[KII_TOKEN_SECRET];
	struct kii_token token;
	const char *why = "";

	must(kii_token_add(p->op, "ci", kii_scope_bit("jobs:read"), 0, NOW, secret, &err));
	must(kii_token_add(p->op, "anna", kii_scope_bit("all"), 0, NOW, other, &err));
	assert_int_equal(strlen(secret), 68);
	assert_memory_equal(secret, "kii_", 4);
	assert_int_equal(strspn(secret + 4, "0123456789abcdef"), 64);
	assert_string_not_equal(secret, other);
	assert_int_equal(kii_token_find(p->op, secret, NOW, &token, &why, &err), 1);
	assert_string_equal(token.name, "ci");
	assert_int_equal(token.scopes, kii_scope_bit("jobs:read"));
	assert_null(why);
	secret[67] ^= 1;
	assert_int_equal(kii_token_find(p->op, secret, NOW, &token, &why, &err), 0);
	assert_string_equal(why, "unknown");
	assert_int_equal(kii_token_find(p->op, "", NOW, &token, &why, &err), 0);
	assert_int_equal(kii_token_find(p->op, "' OR 1=1 --", NOW, &token, &why, &err), 0);
}

static void the_secret_is_nowhere_in_the_database(void **state)
{
	struct place *p = *state;
	struct kii_error err = { 0 };
	struct kii_hash *hash = kii_hash_new();
	char secret[KII_TOKEN_SECRET], hex[KII_HASH_HEX];
	kii_autofree char *want = NULL;

	must(kii_token_add(p->op, "ci", kii_scope_bit("all"), 0, NOW, secret, &err));
	kii_hash_add(hash, secret, strlen(secret));
	kii_hash_hex(hash, hex);
	kii_hash_free(hash);
	want = kii_xfmt("%s;", hex);
	assert_rows(p, "SELECT hash FROM Tokens", want);
	assert_rows(p, "SELECT count(*) FROM Tokens WHERE name || scopes || hash LIKE '%kii_%'",
		"0;");
}

static void a_name_or_scope_or_time_that_is_none_is_refused(void **state)
{
	static const char *const names[] = { "", "-x", ".x", "_x", "A", "a b", "a/b", "a;b", "a\n",
		"0123456789012345678901234567890123456789012345678901234567890123" };
	struct place *p = *state;
	struct kii_error err = { 0 };
	char secret[KII_TOKEN_SECRET] = "untouched";
	unsigned all = kii_scope_bit("all");

	for (size_t i = 0; i < KII_COUNT(names); i++) {
		must_fail(kii_token_add(p->op, names[i], all, 0, NOW, secret, &err), KII_EINVAL);
	}
	must_fail(kii_token_add(p->op, "ok", 0, 0, NOW, secret, &err), KII_EINVAL);
	must_fail(kii_token_add(p->op, "ok", all, NOW, NOW, secret, &err), KII_EINVAL);
	assert_string_equal(secret, "untouched");
	must(kii_token_add(p->op, names[KII_COUNT(names) - 1] + 1, all, NOW + 1, NOW, secret,
		&err));
	assert_rows(p, "SELECT count(*) FROM Tokens", "1;");
}

static void a_name_is_free_again_once_its_token_is_revoked(void **state)
{
	struct place *p = *state;
	struct kii_error err = { 0 };
	char first[KII_TOKEN_SECRET], second[KII_TOKEN_SECRET];
	struct kii_token token;
	const char *why;

	must_fail(kii_token_revoke(p->op, "ci", NOW, &err), KII_ENOTFOUND);
	must(kii_token_add(p->op, "ci", kii_scope_bit("all"), 0, NOW, first, &err));
	if (kii_token_add(p->op, "ci", kii_scope_bit("all"), 0, NOW, second, &err) == 0)
		fail_msg("two tokens of one name");
	assert_int_equal(err.code, KII_ECONFLICT);
	assert_string_equal(err.msg, "there is a token ci already");
	kii_error_clear(&err);
	must(kii_token_revoke(p->op, "ci", NOW + 5, &err));
	must_fail(kii_token_revoke(p->op, "ci", NOW + 6, &err), KII_ENOTFOUND);
	assert_int_equal(kii_token_find(p->op, first, NOW + 9, &token, &why, &err), 0);
	assert_string_equal(why, "revoked");
	assert_string_equal(token.name, "ci");
	must(kii_token_add(p->op, "ci", kii_scope_bit("all"), 0, NOW, second, &err));
	assert_int_equal(kii_token_find(p->op, second, NOW + 9, &token, &why, &err), 1);
}

static void a_token_ends_at_its_time(void **state)
{
	struct place *p = *state;
	struct kii_error err = { 0 };
	char secret[KII_TOKEN_SECRET];
	struct kii_token token;
	const char *why;

	must(kii_token_add(p->op, "ci", kii_scope_bit("all"), NOW + 100, NOW, secret, &err));
	assert_int_equal(kii_token_find(p->op, secret, NOW + 99, &token, &why, &err), 1);
	assert_int_equal(kii_token_find(p->op, secret, NOW + 100, &token, &why, &err), 0);
	assert_string_equal(why, "expired");
}

static void use_is_recorded_at_most_once_a_minute(void **state)
{
	static const struct { int64_t at; const char *want; } all[] = {
		{ NOW + 10, "1700000000010;" }, { NOW + 60009, "1700000000010;" },
		{ NOW + 60010, "1700000060010;" },
	};
	struct place *p = *state;
	struct kii_error err = { 0 };
	char secret[KII_TOKEN_SECRET];
	struct kii_token token;
	const char *why;

	must(kii_token_add(p->op, "ci", kii_scope_bit("all"), 0, NOW, secret, &err));
	assert_rows(p, "SELECT used FROM Tokens", "-;");
	for (size_t i = 0; i < KII_COUNT(all); i++) {
		assert_int_equal(kii_token_find(p->op, secret, all[i].at, &token, &why, &err), 1);
		assert_rows(p, "SELECT used FROM Tokens", all[i].want);
	}
}

static void a_use_that_cannot_be_recorded_keeps_nobody_out(void **state)
{
	struct place *p = *state;
	struct kii_error err = { 0 };
	char secret[KII_TOKEN_SECRET];
	struct kii_operator *reader = NULL;
	struct kii_token token;
	const char *why;

	must(kii_token_add(p->op, "ci", kii_scope_bit("all"), 0, NOW, secret, &err));
	must(kii_operator_open(p->db, KII_STORE_READ, &reader, &err));
	assert_int_equal(kii_token_find(reader, secret, NOW, &token, &why, &err), 1);
	assert_int_equal(token.used, 0);
	must_fail(kii_token_revoke(reader, "ci", NOW, &err), KII_EDB);
	must_fail(kii_token_add(reader, "x", 1, 0, NOW, secret, &err), KII_EDB);
	kii_operator_close(reader);
}

static void a_scope_of_another_time_opens_nothing(void **state)
{
	struct place *p = *state;
	struct kii_error err = { 0 };
	char secret[KII_TOKEN_SECRET];
	struct kii_token token;
	const char *why;

	must(kii_token_add(p->op, "ci", kii_scope_bit("all"), 0, NOW, secret, &err));
	change(p->db, "UPDATE Tokens SET scopes = 'moon:read jobs:read'");
	assert_int_equal(kii_token_find(p->op, secret, NOW, &token, &why, &err), 1);
	assert_int_equal(token.scopes, kii_scope_bit("jobs:read"));
}

static void append_token(void *arg, const struct kii_token *t)
{
	kii_buf_fmt(arg, "%s %lld %lld;", t->name, (long long)t->expires, (long long)t->revoked);
}

static void all_tokens_are_listed_by_name_and_age(void **state)
{
	struct place *p = *state;
	struct kii_error err = { 0 };
	char secret[KII_TOKEN_SECRET];
	kii_autobuf b = KII_BUF_INIT(1000);

	must(kii_token_add(p->op, "b", 1, 0, 5, secret, &err));
	must(kii_token_revoke(p->op, "b", 7, &err));
	must(kii_token_add(p->op, "b", 1, 20, 8, secret, &err));
	must(kii_token_add(p->op, "a", 1, 0, 9, secret, &err));
	must(kii_token_each(p->op, append_token, &b, &err));
	assert_string_equal(b.data, "a 0 0;b 0 7;b 20 0;");
}

/* --- audit --- */

static int64_t add_row(struct place *p, const char *who, const char *target, bool refused)
{
	struct kii_audit row = { .time = NOW, .who = who, .verb = "POST", .target = target,
		.client = "192.0.2.1", .request = "r", .status = refused ? 401 : 0,
		.refused = refused };
	struct kii_error err = { 0 };
	int64_t id = 0;

	must(kii_audit_begin(p->op, &row, &id, &err));
	return id;
}

static void append_row(void *arg, const struct kii_audit *r)
{
	kii_buf_fmt(arg, "%lld %s %s %s %s %d %lld%s;", (long long)r->id, r->who ? r->who : "-",
		r->verb, r->target, r->client, r->status, (long long)r->ended,
		r->refused ? " refused" : "");
}

static void list(struct place *p, struct kii_audit_filter filter, const char *want)
{
	kii_autobuf b = KII_BUF_INIT(10000);
	struct kii_error err = { 0 };

	must(kii_audit_list(p->op, &filter, append_row, &b, &err));
	assert_string_equal(b.data, want);
}

static void a_row_is_there_before_its_end(void **state)
{
	struct place *p = *state;
	struct kii_error err = { 0 };
	int64_t id = add_row(p, "anna", "/x", false);

	list(p, (struct kii_audit_filter){ .limit = 9 }, "1 anna POST /x 192.0.2.1 0 0;");
	must(kii_audit_target(p->op, id, "/x web", &err));
	must(kii_audit_end(p->op, id, 204, NOW + 3, &err));
	list(p, (struct kii_audit_filter){ .limit = 9 },
		"1 anna POST /x web 192.0.2.1 204 1700000000003;");
	must(kii_audit_end(p->op, 77, 204, NOW, &err));
	must(kii_audit_target(p->op, 77, "", &err));
	add_row(p, NULL, "/y", true);
	list(p, (struct kii_audit_filter){ .limit = 1 },
		"2 - POST /y 192.0.2.1 401 1700000000000 refused;");
}

static void rows_are_listed_newest_first_by_what_is_asked(void **state)
{
	struct place *p = *state;

	add_row(p, "anna", "/1", false);
	add_row(p, "bert", "/2", false);
	add_row(p, "anna", "/3", false);
	change(p->db, "UPDATE Audit SET client = '::1', verb = 'PUT' WHERE id = 2");
	list(p, (struct kii_audit_filter){ .limit = 2 },
		"3 anna POST /3 192.0.2.1 0 0;2 bert PUT /2 ::1 0 0;");
	list(p, (struct kii_audit_filter){ .limit = 9, .before = 2 },
		"1 anna POST /1 192.0.2.1 0 0;");
	list(p, (struct kii_audit_filter){ .limit = 9, .who = "bert" }, "2 bert PUT /2 ::1 0 0;");
	list(p, (struct kii_audit_filter){ .limit = 9, .client = "::1" },
		"2 bert PUT /2 ::1 0 0;");
	list(p, (struct kii_audit_filter){ .limit = 9, .verb = "PUT" }, "2 bert PUT /2 ::1 0 0;");
	list(p, (struct kii_audit_filter){ .limit = 9, .who = "bert", .client = "192.0.2.1" }, "");
}

static void append_json(void *arg, const struct kii_audit *row)
{
	kii_autojson *o = kii_audit_json(row);
	struct kii_error err = { 0 };

	must(kii_json_dump(o, 0, arg, &err));
}

static void a_row_is_told_as_json(void **state)
{
	struct place *p = *state;
	struct kii_audit_filter filter = { .limit = 9 };
	kii_autobuf b = KII_BUF_INIT(10000);
	struct kii_error err = { 0 };

	must(kii_audit_end(p->op, add_row(p, "anna", "/x", false), 204, NOW + 3, &err));
	add_row(p, NULL, "/bad\xff", false);
	must(kii_audit_list(p->op, &filter, append_json, &b, &err));
	assert_string_equal(b.data,
		"{\"id\":2,\"time\":\"2023-11-14T22:13:20Z\",\"who\":null,\"verb\":\"POST\","
		"\"target\":\"/bad?\",\"client\":\"192.0.2.1\",\"request\":\"r\","
		"\"status\":null,\"duration_ms\":null,\"refused\":false}"
		"{\"id\":1,\"time\":\"2023-11-14T22:13:20Z\",\"who\":\"anna\",\"verb\":\"POST\","
		"\"target\":\"/x\",\"client\":\"192.0.2.1\",\"request\":\"r\","
		"\"status\":204,\"duration_ms\":3,\"refused\":false}");
}

static void a_thousand_refusals_push_nothing_else_out(void **state)
{
	struct place *p = *state;
	struct kii_error err = { 0 };
	int64_t n;

	add_row(p, "anna", "/first", false);
	change(p->db, "WITH n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 1005) "
		"INSERT INTO Audit (time, verb, target, client, request, status, refused) "
		"SELECT i, 'POST', '/', 'x', 'r', 401, 1 FROM n");
	add_row(p, NULL, "/last", true);
	assert_rows(p, "SELECT count(*) || min(time) FROM Audit WHERE refused", "10007;");
	assert_rows(p, "SELECT target FROM Audit WHERE NOT refused", "/first;");
	must(kii_audit_trim(p->op, 0, 2000, &n, &err));
	assert_int_equal(n, 0);
	assert_rows(p, "SELECT target FROM Audit WHERE NOT refused", "/first;");
}

static void rows_go_by_age_and_number(void **state)
{
	struct place *p = *state;
	struct kii_error err = { 0 };
	int64_t n;

	for (int i = 0; i < 6; i++)
		add_row(p, "anna", "/", false);
	change(p->db, "UPDATE Audit SET time = id");
	must(kii_audit_trim(p->op, 3, 100, &n, &err));
	assert_int_equal(n, 2);
	assert_rows(p, "SELECT id FROM Audit", "3;4;5;6;");
	must(kii_audit_trim(p->op, 0, 3, &n, &err));
	assert_int_equal(n, 1);
	assert_rows(p, "SELECT id FROM Audit", "4;5;6;");
}

static void what_a_client_chose_is_cut(void **state)
{
	struct place *p = *state;
	struct kii_error err = { 0 };
	char text[601];
	int64_t id;

	memset(text, 'a', 600);
	text[600] = '\0';
	memcpy(text + 511, "\xc3\xa4", 2);
	id = add_row(p, "anna", text, false);
	assert_rows(p, "SELECT length(CAST(target AS BLOB)) FROM Audit", "511;");
	memset(text + 511, 'a', 2);
	must(kii_audit_target(p->op, id, text, &err));
	assert_rows(p, "SELECT length(CAST(target AS BLOB)) FROM Audit", "512;");
}

static void a_table_that_is_gone_is_an_error_everywhere(void **state)
{
	struct place *p = *state;
	struct kii_audit_filter filter = { .limit = 1 };
	struct kii_audit row = { .verb = "POST", .target = "", .client = "", .request = "" };
	struct kii_error err = { 0 };
	char secret[KII_TOKEN_SECRET];
	struct kii_token token;
	const char *why;
	int64_t n;

	change(p->db, "DROP TABLE Audit; DROP TABLE Tokens");
	must_fail(kii_token_add(p->op, "a", 1, 0, NOW, secret, &err), KII_EDB);
	assert_int_equal(kii_token_find(p->op, "x", NOW, &token, &why, &err), -1);
	assert_int_equal(err.code, KII_EDB);
	kii_error_clear(&err);
	must_fail(kii_token_revoke(p->op, "a", NOW, &err), KII_EDB);
	must_fail(kii_token_each(p->op, append_token, NULL, &err), KII_EDB);
	must_fail(kii_audit_begin(p->op, &row, &n, &err), KII_EDB);
	must_fail(kii_audit_target(p->op, 1, "", &err), KII_EDB);
	must_fail(kii_audit_end(p->op, 1, 200, NOW, &err), KII_EDB);
	must_fail(kii_audit_list(p->op, &filter, append_row, NULL, &err), KII_EDB);
	must_fail(kii_audit_trim(p->op, 0, 1, &n, &err), KII_EDB);
}

#define with_place(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		with_place(its_job_tables_are_those_of_the_public_jobs),
		with_place(the_complete_schema_is_what_migrations_make),
		with_place(jobs_live_in_it_as_in_their_own),
		with_place(a_missing_database_is_not_found),
		with_place(a_database_that_was_replaced_is_noticed),
		cmocka_unit_test(scopes_are_words_of_one_table),
		cmocka_unit_test(every_set_of_scopes_can_be_written_down),
		with_place(a_token_is_found_by_its_secret_alone),
		with_place(the_secret_is_nowhere_in_the_database),
		with_place(a_name_or_scope_or_time_that_is_none_is_refused),
		with_place(a_name_is_free_again_once_its_token_is_revoked),
		with_place(a_token_ends_at_its_time),
		with_place(use_is_recorded_at_most_once_a_minute),
		with_place(a_use_that_cannot_be_recorded_keeps_nobody_out),
		with_place(a_scope_of_another_time_opens_nothing),
		with_place(all_tokens_are_listed_by_name_and_age),
		with_place(a_row_is_there_before_its_end),
		with_place(rows_are_listed_newest_first_by_what_is_asked),
		with_place(a_row_is_told_as_json),
		with_place(a_thousand_refusals_push_nothing_else_out),
		with_place(rows_go_by_age_and_number),
		with_place(what_a_client_chose_is_cut),
		with_place(a_table_that_is_gone_is_an_error_everywhere),
	};

	return cmocka_run_group_tests_name("operator", tests, NULL, NULL);
}
