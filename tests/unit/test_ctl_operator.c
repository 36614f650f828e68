/* SPDX-License-Identifier: MIT */
/* kiisrvctl token and audit as a process. */
#include <config.h>

#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "ctl.h"
#include "ctlrun.h"
#include "io.h"
#include "operator.h"
#include "testlib.h"

static struct ctlrun r;
static char *path;

static int set_up(void **state)
{
	kii_autofree char *schema = test_source("schema");
	kii_autofree char *engine = NULL;

	(void)state;
	ctlrun_init(&r);
	assert_int_equal(setenv("KIISRV_SCHEMA", schema, 1), 0);
	engine = kii_xfmt("%s/state/engine", r.dir);
	mkdir(engine, 0700);
	path = kii_xfmt("%s/operator.sqlite", engine);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	free(path);
	ctlrun_release(&r);
	return 0;
}

static struct kii_operator *open_it(void)
{
	struct kii_operator *op = NULL;
	struct kii_error err = { 0 };

	must(kii_operator_open(path, KII_STORE_WRITE, &op, &err));
	return op;
}

/* Exit status and a text of what it says. */
#define expect(code, text, ...) do { \
		int got_ = ctlrun(&r, __VA_ARGS__); \
		if (got_ != (code) || (!strstr(r.out.data, text) && !strstr(r.err.data, text))) \
			fail_msg("%d: %s%s", got_, r.out.data, r.err.data); \
	} while (0)

static void a_token_is_made_with_its_database_and_shown_once(void **state)
{
	struct kii_operator *op;
	struct kii_error err = { 0 };
	struct kii_token token;
	const char *why;
	struct stat st;

	(void)state;
	expect(CTL_OK, "shown this once", "token", "add", "--scope", "jobs:read,audit:read", "ci");
	r.out.data[strcspn(r.out.data, "\n")] = '\0';
	op = open_it();
	assert_int_equal(kii_token_find(op, r.out.data, kii_io_wall(), &token, &why, &err), 1);
	kii_operator_close(op);
	assert_string_equal(token.name, "ci");
	assert_int_equal(token.scopes, kii_scope_bit("jobs:read") | kii_scope_bit("audit:read"));
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0640);
	expect(CTL_OK, "good", "token", "list");
	assert_non_null(strstr(r.out.data, "jobs:read audit:read"));
	assert_null(strstr(r.out.data, "kii_"));
}

static void json_has_all_of_a_token(void **state)
{
	static const char *const members[] = { "\"name\": \"ci\"", "\"token\": \"kii_",
		"\"all\"", "\"expires\": \"2999-01-31T00:00:00Z\"", "\"used\": null",
		"\"revoked\": null", "\"created\": \"20" };

	(void)state;
	assert_int_equal(ctlrun(&r, "--json", "token", "add", "--scope", "all", "--expires",
		"2999-01-31", "ci"), CTL_OK);
	for (size_t i = 0; i < KII_COUNT(members); i++)
		if (!strstr(r.out.data, members[i]))
			fail_msg("%s: %s", members[i], r.out.data);
	assert_string_equal(r.err.data, "");
	expect(CTL_OK, "2999-01-31", "token", "list");
	assert_int_equal(ctlrun(&r, "--json", "token", "list"), CTL_OK);
	assert_null(strstr(r.out.data, "\"token\""));
	assert_non_null(strstr(r.out.data, "\"name\": \"ci\""));
}

static void days_from_now_are_an_end_too(void **state)
{
	struct kii_operator *op;

	(void)state;
	assert_int_equal(ctlrun(&r, "token", "add", "--scope", "all", "--expires", "30d", "ci"),
		CTL_OK);
	r.out.data[strcspn(r.out.data, "\n")] = '\0';
	op = open_it();
	for (int day = 29; day <= 31; day += 2) {
		struct kii_error err = { 0 };
		struct kii_token token;
		const char *why;
		int64_t then = kii_io_wall() + day * INT64_C(86400000);

		assert_int_equal(kii_token_find(op, r.out.data, then, &token, &why, &err),
			day < 30);
	}
	kii_operator_close(op);
}

static void what_is_wrong_is_said(void **state)
{
	static const char *const whens[] = { "", "d", "0d", "-3d", "36501d", "30", "30h",
		"2027-1-31x", "2027-02", "tomorrow", "99999999999999999999d", "+5d" };

	(void)state;
	for (size_t i = 0; i < KII_COUNT(whens); i++)
		expect(CTL_BAD_INPUT, "--expires", "token", "add", "--scope", "all", "--expires",
			whens[i], "ci");
	expect(CTL_BAD_INPUT, "must lie ahead", "token", "add", "--scope", "all", "--expires",
		"2001-01-31", "ci");
	expect(CTL_BAD_INPUT, "must be of: containers:read", "token", "add", "--scope", "x", "ci");
	expect(CTL_BAD_INPUT, "begin with a letter", "token", "add", "--scope", "all", "..");
	expect(CTL_USAGE, "usage", "token", "add", "ci");
	expect(CTL_USAGE, "usage", "token", "add", "--scope", "all");
	expect(CTL_USAGE, "usage", "token", "add", "--scope", "all", "a", "b");
	expect(CTL_USAGE, "missing value", "token", "add", "ci", "--scope");
	expect(CTL_USAGE, "bad option", "token", "add", "--scopes", "all", "ci", "--nonsense");
	expect(CTL_USAGE, "usage", "token", "revoke");
	expect(CTL_USAGE, "no arguments", "token", "list", "x");
	expect(CTL_BAD_INPUT, "\"field\":\"scope\"", "--json", "token", "add", "--scope", "x",
		"ci");
}

static void a_token_is_revoked_by_its_name(void **state)
{
	(void)state;
	assert_int_equal(ctlrun(&r, "token", "add", "--scope", "all", "ci"), CTL_OK);
	expect(CTL_FAILED, "already", "token", "add", "--scope", "all", "ci");
	expect(CTL_OK, "", "token", "revoke", "ci");
	expect(CTL_OK, "revoked", "token", "list");
	expect(CTL_FAILED, "no such token", "token", "revoke", "ci");
}

static void before_the_first_start_there_is_nothing(void **state)
{
	kii_autofree char *engine = kii_xfmt("%s/state/engine", r.dir);

	(void)state;
	expect(CTL_FAILED, "no database", "token", "list");
	expect(CTL_FAILED, "no database", "token", "revoke", "ci");
	expect(CTL_FAILED, "no database", "audit");
	assert_int_equal(rmdir(engine), 0);
	expect(CTL_FAILED, "first start makes it", "token", "add", "--scope", "all", "ci");
	assert_int_equal(mkdir(engine, 0700), 0);
	assert_int_equal(setenv("KIISRV_SCHEMA", "/nowhere", 1), 0);
	expect(CTL_FAILED, "/nowhere", "token", "add", "--scope", "all", "ci");
}

/* Made by root, it is the engine's user's as its folder is. */
static void the_files_are_their_folders_owners(void **state)
{
	kii_autofree char *engine = kii_xfmt("%s/state/engine", r.dir);
	struct stat st;

	(void)state;
	if (geteuid() != 0)
		skip();
	assert_int_equal(chown(engine, 7, 9), 0);
	assert_int_equal(ctlrun(&r, "token", "add", "--scope", "all", "ci"), CTL_OK);
	for (int i = 0; i < 3; i++) {
		static const char *const suffixes[] = { "", "-wal", "-shm" };
		kii_autofree char *file = kii_xfmt("%s%s", path, suffixes[i]);

		assert_int_equal(stat(file, &st), 0);
		assert_int_equal(st.st_uid, 7);
		assert_int_equal(st.st_gid, 9);
	}
}

static void the_audit_is_listed(void **state)
{
	struct kii_audit row = { .time = INT64_C(1767225600000), .who = "anna", .verb = "POST",
		.target = "/api/v1/containers \x1b[31m", .client = "192.0.2.1", .request = "r" };
	struct kii_error err = { 0 };
	struct kii_operator *op;
	int64_t id;

	(void)state;
	assert_int_equal(ctlrun(&r, "token", "add", "--scope", "all", "ci"), CTL_OK);
	op = open_it();
	must(kii_audit_begin(op, &row, &id, &err));
	row.who = NULL;
	row.status = 401;
	row.client = "::1";
	must(kii_audit_begin(op, &row, &id, &err));
	kii_operator_close(op);
	expect(CTL_OK, "2026-01-01", "audit");
	assert_non_null(strstr(r.out.data, "401"));
	assert_null(strchr(r.out.data, '\x1b'));
	expect(CTL_OK, "?", "audit", "--who", "anna");
	assert_null(strstr(r.out.data, "401"));
	expect(CTL_OK, "anna", "audit", "--before", "2");
	assert_null(strstr(r.out.data, "401"));
	expect(CTL_OK, "401", "audit", "--limit", "1");
	assert_null(strstr(r.out.data, "anna"));
	expect(CTL_OK, "::1", "audit", "--client", "::1");
	expect(CTL_OK, "\"who\": \"anna\"", "--json", "audit");
	expect(CTL_BAD_INPUT, "--limit", "audit", "--limit", "0");
	expect(CTL_BAD_INPUT, "--before", "audit", "--before", "x");
	expect(CTL_USAGE, "bad option", "audit", "--nonsense");
	expect(CTL_USAGE, "usage", "audit", "x");
}

#define with_place(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		with_place(a_token_is_made_with_its_database_and_shown_once),
		with_place(json_has_all_of_a_token),
		with_place(days_from_now_are_an_end_too),
		with_place(what_is_wrong_is_said),
		with_place(a_token_is_revoked_by_its_name),
		with_place(before_the_first_start_there_is_nothing),
		with_place(the_files_are_their_folders_owners),
		with_place(the_audit_is_listed),
	};

	return cmocka_run_group_tests_name("ctl_operator", tests, NULL, NULL);
}
