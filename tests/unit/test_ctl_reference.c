/* SPDX-License-Identifier: MIT */
/* kiisrvctl import-reference as a process. */
#include <config.h>

#include <jansson.h>
#include <sqlite3.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "ctl.h"
#include "ctlrun.h"
#include "io.h"
#include "stats.h"
#include "testlib.h"
#include "versions.h"

static struct ctlrun r;

static void make(const char *name, const char *sql)
{
	kii_autofree char *path = kii_xfmt("%s/%s", r.dir, name);
	sqlite3 *db;

	assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
	assert_int_equal(sqlite3_exec(db, sql, NULL, NULL, NULL), SQLITE_OK);
	sqlite3_close(db);
}

static int set_up(void **state)
{
	kii_autofree char *schema = test_source("schema");
	kii_autofree char *config = NULL;
	kii_autofree char *public = NULL;
	kii_autofree char *stats = NULL;
	struct kii_error err = { 0 };

	(void)state;
	ctlrun_init(&r);
	config = kii_xfmt("%s/state/queue/config.sqlite", r.dir);
	public = kii_xfmt("%s/state/public", r.dir);
	stats = kii_xfmt("%s/stats.sqlite", public);
	must(kii_io_mkdirs(public, 0700, &err));
	must(kii_versions_migrate(config, schema, &err));
	must(kii_stats_migrate(stats, schema, &err));
	make("config.db", "CREATE TABLE Versions (name, channel, container, git_tag); "
		"INSERT INTO Versions VALUES ('mine', 'beta', 'controller-058', 'v0.5.8')");
	make("stats.db", "CREATE TABLE Requests (id, uid, ip_addr, os, web, serial, hash, board, "
		"variant, layers, container, success, request_time, build_duration); "
		"INSERT INTO Requests VALUES (1, NULL, '192.0.2.1', 'Linux', 1, NULL, 'a', 'MD1', "
		"'Standard', 2, 'controller-057', 1, '2018-01-02T03:04:05Z', 4000), "
		"(2, NULL, '192.0.2.1', 'Linux', 1, NULL, 'a', 'MD1', "
		"'Standard', 2, 'controller-057', 1, '2018-01-02T03:04:06Z', NULL)");
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	ctlrun_release(&r);
	return 0;
}

static void it_tells_what_was_taken(void **state)
{
	(void)state;
	assert_int_equal(ctlrun(&r, "import-reference", "--dry-run", r.dir), CTL_OK);
	assert_string_equal(r.out.data, "versions: 1 found, 1 would be taken over\n"
		"requests: 2 found, 2 would be taken over\n");
	assert_int_equal(ctlrun(&r, "import-reference", r.dir), CTL_OK);
	assert_string_equal(r.out.data, "versions: 1 found, 1 taken over\n"
		"requests: 2 found, 2 taken over\n");
	assert_int_equal(ctlrun(&r, "versions", "list"), CTL_OK);
	assert_non_null(strstr(r.out.data, "controller-058"));
	assert_int_equal(ctlrun(&r, "--json", "import-reference", r.dir), CTL_OK);
	json_t *told = json_loads(r.out.data, 0, NULL);
	json_t *want = json_pack("{s:b, s:{s:i, s:i}, s:{s:i, s:i}}", "dry_run", 0, "versions",
		"found", 1, "taken", 0, "requests", "found", 2, "taken", 0);

	assert_true(json_equal(told, want));
	json_decref(told);
	json_decref(want);
}

static void a_terminal_sees_that_it_goes_on(void **state)
{
	const char *const args[CTLRUN_ARGS + 1] = { "import-reference", r.dir };

	(void)state;
	make("stats.db", "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n "
		"WHERE i < 20000) INSERT INTO Requests SELECT i, NULL, '192.0.2.1', 'Linux', 1, "
		"NULL, i, 'MD1', 'Standard', 2, 'controller-057', 1, '2018-01-02T03:04:05Z', 1 "
		"FROM n");
	ctlrun_start(&r, STDERR_FILENO, args);
	assert_int_equal(ctlrun_wait(&r), CTL_OK);
	assert_non_null(strstr(r.err.data, "kiisrvctl: 20002 requests are looked through: "));
	assert_non_null(strstr(r.out.data, "requests: 20002 found, 20002 taken over\n"));
	/* No terminal, no talk. */
	assert_int_equal(ctlrun(&r, "import-reference", r.dir), CTL_OK);
	assert_string_equal(r.err.data, "");
}

static void what_is_wrong_is_told(void **state)
{
	(void)state;
	assert_int_equal(ctlrun(&r, "import-reference", "/nonexistent"), CTL_FAILED);
	assert_non_null(strstr(r.err.data, "there is no database /nonexistent/config.db"));
	make("config.db", "ALTER TABLE Versions RENAME TO Others");
	assert_int_equal(ctlrun(&r, "import-reference", "--json", r.dir), CTL_BAD_INPUT);
	assert_non_null(strstr(r.err.data, "not of the reference server"));
	assert_non_null(strstr(r.err.data, "\"code\":\"bad_request\""));
}

static void a_wrong_command_line_is_told(void **state)
{
	struct kii_error err = { 0 };

	(void)state;
	assert_int_equal(ctlrun(&r, "import-reference"), CTL_USAGE);
	assert_int_equal(ctlrun(&r, "import-reference", "a", "b"), CTL_USAGE);
	assert_int_equal(ctlrun(&r, "import-reference", "--wet", "a"), CTL_USAGE);
	assert_non_null(strstr(r.err.data, "--wet"));
	must(kii_io_publish(r.conf, "[nowhere]\n", 10, 0600, &err));
	assert_int_equal(ctlrun(&r, "import-reference", r.dir), CTL_BAD_INPUT);
}

#define with_run(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		with_run(it_tells_what_was_taken),
		with_run(a_terminal_sees_that_it_goes_on),
		with_run(what_is_wrong_is_told),
		with_run(a_wrong_command_line_is_told),
	};

	return cmocka_run_group_tests_name("ctl_reference", tests, NULL, NULL);
}
