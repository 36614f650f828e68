/* SPDX-License-Identifier: MIT */
/* kiisrvctl backup and restore as a process. */
#include <config.h>

#include <fcntl.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "ctl.h"
#include "ctlrun.h"
#include "io.h"
#include "jobs.h"
#include "json.h"
#include "testlib.h"
#include "versions.h"

static struct ctlrun r;
static char *tar;

static char *at(const char *name)
{
	return kii_xfmt("%s/%s", r.dir, name);
}

static int set_up(void **state)
{
	kii_autofree char *schema = test_source("schema");
	kii_autofree char *jobs = NULL;
	kii_autofree char *config = NULL;
	struct kii_error err = { 0 };

	(void)state;
	setenv("KIISRV_SCHEMA", schema, 1);
	ctlrun_init(&r);
	jobs = at("state/queue/jobs.sqlite");
	config = at("state/queue/config.sqlite");
	must(kii_jobs_migrate(jobs, schema, &err));
	must(kii_versions_migrate(config, schema, &err));
	tar = at("backup.tar");
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	free(tar);
	ctlrun_release(&r);
	return 0;
}

static bool lists(const char *version)
{
	assert_int_equal(ctlrun(&r, "versions", "list"), CTL_OK);
	return strstr(r.out.data, version) != NULL;
}

static void there_and_back(void **state)
{
	struct stat st;

	(void)state;
	assert_int_equal(ctlrun(&r, "versions", "add", "kept", "beta", "controller-057", "v0.5.7"),
		CTL_OK);
	assert_int_equal(ctlrun(&r, "backup", "--artifacts", tar), CTL_OK);
	assert_non_null(strstr(r.out.data, "backup.tar: 3 files, "));
	assert_int_equal(stat(tar, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	assert_int_equal(ctlrun(&r, "versions", "remove", "kept"), CTL_OK);
	assert_int_equal(ctlrun(&r, "versions", "add", "zzz", "beta", "controller-057", "v0.5.7"),
		CTL_OK);
	assert_int_equal(ctlrun(&r, "restore", tar), CTL_OK);
	assert_int_equal(strncmp(r.out.data, "restored 3 files, ", 18), 0);
	assert_true(lists("kept"));
	assert_false(lists("zzz"));
	/* The packed form is smaller. */
	kii_autofree char *packed = kii_xfmt("%s.gz", tar);
	off_t plain = st.st_size;

	assert_int_equal(ctlrun(&r, "--json", "backup", packed), CTL_OK);
	assert_int_equal(stat(packed, &st), 0);
	assert_true(st.st_size < plain / 4);
	kii_autojson *told = json_loads(r.out.data, 0, NULL);

	assert_int_equal(kii_json_int(told, "files", 0), 3);
	assert_string_equal(kii_json_str(told, "file"), packed);
	assert_int_equal(ctlrun(&r, "restore", "--json", "--state-only", "--new-instance", packed),
		CTL_OK);
	assert_non_null(strstr(r.out.data, "\"files\": 2"));
}

/* A shell's pipe: the words about it do not get into it. */
static void through_a_pipe(void **state)
{
	kii_autofree char *script = kii_xfmt("%s backup - >%s && %s restore - <%s", r.program, tar,
		r.program, tar);
	struct ctlrun sh = r;

	(void)state;
	sh.program = (char *)"/bin/sh";
	assert_int_equal(ctlrun(&sh, "-c", script), CTL_OK);
	r.out = sh.out;
	r.err = sh.err;
	assert_non_null(strstr(r.err.data, "3 files, "));
	assert_int_equal(strncmp(r.out.data, "restored 3 files", 16), 0);
}

static void a_terminal_is_no_place_for_it(void **state)
{
	(void)state;
	ctlrun_start(&r, STDOUT_FILENO, (const char *const[CTLRUN_ARGS + 1]){ "backup", "-" });
	assert_int_equal(ctlrun_wait(&r), CTL_USAGE);
	assert_non_null(strstr(r.err.data, "terminal"));
}

static void what_is_wrong_is_told(void **state)
{
	kii_autofree char *queue = at("state/queue");
	kii_autofree char *away = at("away");
	kii_autofree char *lock = at("state/engine/lock");
	kii_autofree char *engine = at("state/engine");
	struct kii_error err = { 0 };
	struct stat st;
	int fd;

	(void)state;
	assert_int_equal(ctlrun(&r, "backup", "/nonexistent/b.tar"), CTL_FAILED);
	assert_non_null(strstr(r.err.data, "/nonexistent/b.tar.new"));
	assert_int_equal(ctlrun(&r, "backup", r.dir), CTL_FAILED);
	assert_int_equal(ctlrun(&r, "restore", tar), CTL_FAILED);
	assert_non_null(strstr(r.err.data, "backup.tar: No such file"));
	assert_int_equal(ctlrun(&r, "restore", "--json", r.conf), CTL_BAD_INPUT);
	assert_non_null(strstr(r.err.data, "\"code\":\"bad_request\""));
	assert_int_equal(ctlrun(&r, "backup", tar), CTL_OK);
	must(kii_io_mkdirs(engine, 0700, &err));
	fd = open(lock, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	assert_int_equal(flock(fd, LOCK_EX), 0);
	assert_int_equal(ctlrun(&r, "restore", tar), CTL_FAILED);
	assert_non_null(strstr(r.err.data, "stop kiisrv first"));
	close(fd);
	/* A backup that fails leaves the last one. */
	assert_int_equal(rename(queue, away), 0);
	assert_int_equal(ctlrun(&r, "backup", tar), CTL_FAILED);
	assert_non_null(strstr(r.err.data, "there is no database below"));
	assert_int_equal(stat(tar, &st), 0);
	assert_true(st.st_size > 10000);
	must(kii_io_publish(r.conf, "[nowhere]\n", 10, 0600, &err));
	assert_int_equal(ctlrun(&r, "backup", tar), CTL_BAD_INPUT);
	assert_int_equal(ctlrun(&r, "restore", tar), CTL_BAD_INPUT);
}

static void an_interrupted_one_is_finished(void **state)
{
	kii_autofree char *mark = at("state/restoring");
	kii_autofree char *from = at("state/queue.restore");
	kii_autofree char *queue = at("state/queue");
	kii_autofree char *text = kii_xfmt("[\"%s\"]", queue);
	struct kii_error err = { 0 };

	(void)state;
	assert_int_equal(ctlrun(&r, "backup", tar), CTL_OK);
	assert_int_equal(rename(queue, from), 0);
	must(kii_io_publish(mark, text, strlen(text), 0600, &err));
	assert_int_equal(ctlrun(&r, "restore", tar), CTL_FAILED);
	assert_non_null(strstr(r.err.data, "interrupted"));
	assert_int_equal(ctlrun(&r, "restore", "--finish"), CTL_OK);
	assert_true(lists("latest"));
	must(kii_io_publish(mark, "no list", 7, 0600, &err));
	assert_int_equal(ctlrun(&r, "restore", "--finish"), CTL_BAD_INPUT);
}

static void a_wrong_command_line_is_told(void **state)
{
	(void)state;
	assert_int_equal(ctlrun(&r, "backup"), CTL_USAGE);
	assert_int_equal(ctlrun(&r, "backup", ""), CTL_USAGE);
	assert_int_equal(ctlrun(&r, "backup", "a", "b"), CTL_USAGE);
	assert_int_equal(ctlrun(&r, "backup", "--wet", "a"), CTL_USAGE);
	assert_non_null(strstr(r.err.data, "--wet"));
	assert_int_equal(ctlrun(&r, "restore"), CTL_USAGE);
	assert_int_equal(ctlrun(&r, "restore", "--finish", "a"), CTL_USAGE);
	assert_int_equal(ctlrun(&r, "restore", "--wet", "a"), CTL_USAGE);
}

#define with_run(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		with_run(there_and_back),
		with_run(through_a_pipe),
		with_run(a_terminal_is_no_place_for_it),
		with_run(what_is_wrong_is_told),
		with_run(an_interrupted_one_is_finished),
		with_run(a_wrong_command_line_is_told),
	};

	return cmocka_run_group_tests_name("ctl_backup", tests, NULL, NULL);
}
