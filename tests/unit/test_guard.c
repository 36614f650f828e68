/* SPDX-License-Identifier: MIT */
#include <config.h>

#include "guard.h"

#include <sqlite3.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "io.h"
#include "operator.h"
#include "testlib.h"

static struct {
	char *dir;
	char *db;
	struct kii_conf conf;
	char good[KII_TOKEN_SECRET];
} world;

static kii_handler look, turn, name_it;
static const struct kii_route routes[] = {
	{ KII_GET, "/door", look, 0, "containers:read" },
	{ KII_POST | KII_PUT | KII_DELETE, "/door", turn, 0, "containers:read" },
	{ KII_POST, "/name", name_it, 0, "containers:read" },
	{ KII_GET | KII_POST, "/cellar", turn, 0, "containers:write" },
};

static int look(struct kii_req *req, struct kii_res *res, struct kii_error *err)
{
	(void)err;
	kii_guard_target(req, "not to be written");
	kii_res_text(res, 200, req->who);
	return KII_DONE;
}

static int turn(struct kii_req *req, struct kii_res *res, struct kii_error *err)
{
	(void)err;
	kii_res_text(res, 201, req->who);
	return KII_DONE;
}

static int name_it(struct kii_req *req, struct kii_res *res, struct kii_error *err)
{
	(void)res;
	kii_guard_target(req, "%s %s", req->path, "web");
	return kii_error_set(err, KII_ECONFLICT, 0, "taken");
}

static void make_database(void)
{
	kii_autofree char *schema = test_source("schema");
	struct kii_error err = { 0 };
	struct kii_operator *op = NULL;

	must(kii_operator_migrate(world.db, schema, &err));
	must(kii_operator_open(world.db, KII_STORE_WRITE, &op, &err));
	must(kii_token_add(op, "anna", kii_scope_bit("containers:read"), 0, 1, world.good, &err));
	kii_operator_close(op);
}

static int set_up(void **state)
{
	kii_autofree char *engine = NULL;

	(void)state;
	world.dir = test_dir_new();
	engine = kii_xfmt("%s/engine", world.dir);
	assert_int_equal(mkdir(engine, 0700), 0);
	world.db = kii_xfmt("%s/operator.sqlite", engine);
	world.conf.paths.state_dir = world.dir;
	make_database();
	kii_guard_init(&world.conf);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	kii_guard_quit();
	test_dir_remove(world.dir);
	free(world.dir);
	free(world.db);
	return 0;
}

static void sql(const char *text)
{
	sqlite3 *db;

	assert_int_equal(sqlite3_open(world.db, &db), SQLITE_OK);
	assert_int_equal(sqlite3_exec(db, text, NULL, NULL, NULL), SQLITE_OK);
	sqlite3_close(db);
}

static int64_t count_rows(void)
{
	sqlite3_stmt *stmt;
	sqlite3 *db;
	int64_t n;

	assert_int_equal(sqlite3_open(world.db, &db), SQLITE_OK);
	assert_int_equal(sqlite3_prepare_v2(db, "SELECT count(*) FROM Audit", -1, &stmt, NULL),
		SQLITE_OK);
	assert_int_equal(sqlite3_step(stmt), SQLITE_ROW);
	n = sqlite3_column_int64(stmt, 0);
	sqlite3_finalize(stmt);
	sqlite3_close(db);
	return n;
}

static void assert_rows(const char *want)
{
	kii_autobuf out = KII_BUF_INIT(10000);
	sqlite3_stmt *stmt;
	sqlite3 *db;

	assert_int_equal(sqlite3_open(world.db, &db), SQLITE_OK);
	assert_int_equal(sqlite3_prepare_v2(db, "SELECT coalesce(who, '-') || ' ' || verb || ' ' "
		"|| target || ' ' || client || ' ' || request || ' ' || coalesce(status, '-') "
		"|| iif(refused, ' refused', '') FROM Audit ORDER BY id", -1, &stmt, NULL),
		SQLITE_OK);
	while (sqlite3_step(stmt) == SQLITE_ROW)
		kii_buf_fmt(&out, "%s;", (const char *)sqlite3_column_text(stmt, 0));
	sqlite3_finalize(stmt);
	sqlite3_close(db);
	assert_string_equal(out.data, want);
}

/* As the frame does: the number outlives the request; its end is told before the reply is sent. */
static int go(const char *method, const char *path, const char *header, struct kii_res *res)
{
	int64_t audit = 0;
	struct kii_req req = { .path = path, .query = "", .client = "192.0.2.7",
		.content_type = "", .authorization = header, .id = "req-1", .body = "",
		.audit = &audit };

	kii_res_init(res);
	assert_int_equal(kii_http_serve(routes, KII_COUNT(routes), method, &req, res), KII_DONE);
	kii_http_leave(audit, res->status);
	return res->status;
}

/* Answered so, with this in its head and body. */
static void expect(const char *method, const char *path, const char *header, int status,
	const char *head, const char *body)
{
	struct kii_res res;

	assert_int_equal(go(method, path, header, &res), status);
	if (!strstr(res.head.data, head) || !strstr(res.body.data, body))
		fail_msg("%s\n%s", res.head.data, res.body.data);
	kii_res_release(&res);
}

static char *bearer(const char *secret)
{
	return kii_xfmt("Bearer %s", secret);
}

static void a_good_token_comes_in_under_its_name(void **state)
{
	kii_autofree char *good = bearer(world.good);
	kii_autofree char *loose = kii_xfmt("bearer   %s", world.good);

	(void)state;
	expect("GET", "/door", good, 200, "", "anna");
	expect("HEAD", "/door", loose, 200, "", "anna");
	assert_rows("");
	expect("POST", "/door", good, 201, "", "anna");
	expect("PUT", "/door", good, 201, "", "anna");
	expect("DELETE", "/door", good, 201, "", "anna");
	assert_rows("anna POST /door 192.0.2.7 req-1 201;anna PUT /door 192.0.2.7 req-1 201;"
		"anna DELETE /door 192.0.2.7 req-1 201;");
}

static void who_brings_none_or_a_bad_one_gets_401(void **state)
{
	static const char *const bad[] = { "Bearer ", "Bearer kii_00", "Bearer x\x01y" };
	static const char *const none[] = { "", "Basic YTpi", "Bearer", "kii_00" };

	(void)state;
	for (size_t i = 0; i < KII_COUNT(none); i++)
		expect("GET", "/door", none[i], 401,
			"WWW-Authenticate: Bearer realm=\"kiisrv\"\r\n", "unauthorized");
	for (size_t i = 0; i < KII_COUNT(bad); i++)
		expect("GET", "/door", bad[i], 401, "error=\"invalid_token\"\r\n",
			"\"code\":\"unauthorized\"");
	assert_rows("");
	expect("POST", "/door", "", 401, "", "");
	assert_rows("- POST /door 192.0.2.7 req-1 401 refused;");
}

static void a_revoked_token_is_refused_and_named(void **state)
{
	kii_autofree char *good = bearer(world.good);

	(void)state;
	sql("UPDATE Tokens SET revoked = 5");
	expect("DELETE", "/door", good, 401, "invalid_token", "not any more");
	assert_rows("anna DELETE /door 192.0.2.7 req-1 401 refused;");
}

static void a_scope_beyond_is_403_and_told(void **state)
{
	kii_autofree char *good = bearer(world.good);

	(void)state;
	expect("GET", "/cellar", good, 403,
		"error=\"insufficient_scope\", scope=\"containers:write\"\r\n",
		"the scope containers:write");
	expect("POST", "/cellar", good, 403, "", "\"code\":\"forbidden\"");
	assert_rows("anna POST /cellar 192.0.2.7 req-1 403 refused;");
	sql("UPDATE Tokens SET scopes = 'all'");
	expect("POST", "/cellar", good, 201, "", "anna");
}

static void a_handler_says_what_it_is_about_and_its_failure_is_written(void **state)
{
	kii_autofree char *good = bearer(world.good);

	(void)state;
	expect("POST", "/name", good, 409, "", "taken");
	assert_rows("anna POST /name web 192.0.2.7 req-1 409;");
}

/* A process that dies over it leaves a row without an end. */
static void a_row_is_there_before_the_handler(void **state)
{
	kii_autofree char *good = bearer(world.good);
	int64_t audit = 0;
	struct kii_req req = { .path = "/door", .query = "", .client = "c", .content_type = "",
		.authorization = good, .id = "i", .body = "", .audit = &audit };
	struct kii_res res;

	(void)state;
	kii_res_init(&res);
	kii_http_serve(routes, KII_COUNT(routes), "POST", &req, &res);
	kii_res_release(&res);
	assert_int_equal(audit, 1);
	assert_rows("anna POST /door c i -;");
}

/* Ten a second are written; a second may end in between. */
static void guessing_fills_no_table(void **state)
{
	int64_t from = kii_io_now();
	int64_t seconds;

	(void)state;
	for (int i = 0; i < 200; i++)
		expect("POST", "/door", "Bearer x", 401, "", "");
	seconds = kii_io_now() / 1000 - from / 1000 + 1;
	assert_in_range(count_rows(), 10, 10 * seconds);
}

static void without_a_database_nobody_comes_in(void **state)
{
	kii_autofree char *good = bearer(world.good);
	kii_autofree char *aside = kii_xfmt("%s.aside", world.db);

	(void)state;
	assert_int_equal(rename(world.db, aside), 0);
	expect("GET", "/door", good, 503, "Retry-After: 5", "\"code\":\"unavailable\"");
	assert_int_equal(rename(aside, world.db), 0);
	expect("GET", "/door", good, 200, "", "anna");
	/* One that was put in its place is seen. */
	assert_int_equal(rename(world.db, aside), 0);
	make_database();
	expect("GET", "/door", good, 401, "", "");
}

static void what_cannot_be_written_down_is_not_done(void **state)
{
	kii_autofree char *good = bearer(world.good);

	(void)state;
	sql("ALTER TABLE Audit RENAME TO Gone");
	expect("POST", "/door", good, 503, "Retry-After", "unavailable");
	expect("POST", "/door", "", 401, "", "");
	expect("GET", "/door", good, 200, "", "anna");
	sql("ALTER TABLE Tokens RENAME TO Lost");
	expect("GET", "/door", good, 503, "", "unavailable");
}

/* The work is done by then: the client hears of it all the same. */
static void an_end_that_cannot_be_written_is_only_logged(void **state)
{
	kii_autofree char *good = bearer(world.good);
	kii_autofree char *aside = kii_xfmt("%s.aside", world.db);
	int64_t audit = 0;
	struct kii_req req = { .path = "/door", .query = "", .client = "c", .content_type = "",
		.authorization = good, .id = "i", .body = "", .audit = &audit };
	struct kii_res res;

	(void)state;
	kii_res_init(&res);
	kii_http_serve(routes, KII_COUNT(routes), "POST", &req, &res);
	assert_int_equal(rename(world.db, aside), 0);
	kii_guard_target(&req, "nothing");
	kii_http_leave(audit, res.status);
	assert_int_equal(res.status, 201);
	kii_res_release(&res);
	assert_int_equal(rename(aside, world.db), 0);
	assert_rows("anna POST /door c i -;");
}

static void after_its_end_nobody_comes_in(void **state)
{
	kii_autofree char *good = bearer(world.good);

	(void)state;
	kii_guard_quit();
	expect("GET", "/door", good, 503, "", "unavailable");
	kii_guard_init(&world.conf);
}

#define with_world(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		with_world(a_good_token_comes_in_under_its_name),
		with_world(who_brings_none_or_a_bad_one_gets_401),
		with_world(a_revoked_token_is_refused_and_named),
		with_world(a_scope_beyond_is_403_and_told),
		with_world(a_handler_says_what_it_is_about_and_its_failure_is_written),
		with_world(a_row_is_there_before_the_handler),
		with_world(guessing_fills_no_table),
		with_world(without_a_database_nobody_comes_in),
		with_world(what_cannot_be_written_down_is_not_done),
		with_world(an_end_that_cannot_be_written_is_only_logged),
		with_world(after_its_end_nobody_comes_in),
	};

	return cmocka_run_group_tests_name("guard", tests, NULL, NULL);
}
