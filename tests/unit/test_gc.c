/* SPDX-License-Identifier: MIT */
#include <config.h>

#include "gc.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "io.h"
#include "json.h"
#include "layers.h"
#include "testlib.h"

#define HOUR 3600000LL
#define DAY  (24 * HOUR)

static struct kii_conf conf;

/* Whose rows and logs a test is about. */
static enum lane_name which;

static struct lane *lane(struct worker *w)
{
	return &w->lanes[which];
}

static void open_lane(struct worker *w, enum lane_name name)
{
	kii_autofree char *path = kii_xfmt("%s/jobs%d.sqlite", w->work, (int)name);
	kii_autofree char *schema = test_source("schema");
	struct lane *l = &w->lanes[name];
	struct kii_error err = { 0 };

	l->logs = kii_xfmt("%s/logs%d", w->work, (int)name);
	mkdir(l->logs, 0700);
	must(kii_store_migrate(path, schema, "jobs", KII_JOBS_VERSION, &err));
	must(kii_jobs_open(path, KII_STORE_WRITE, &l->jobs, &err));
}

static int setup(void **state)
{
	struct worker *w = kii_xcalloc(1, sizeof(*w));

	which = LANE_PUBLIC;
	conf.retention.artifacts = 1000;
	conf.retention.artifact_days = 30;
	conf.retention.log_days = 90;
	w->conf = &conf;
	w->work = test_dir_new();
	w->artifacts = kii_xfmt("%s/artifacts", w->work);
	mkdir(w->artifacts, 0700);
	w->layers = layers_new(w->work);
	pthread_mutex_init(&w->lock, NULL);
	open_lane(w, LANE_PUBLIC);
	open_lane(w, LANE_OPERATOR);
	*state = w;
	return 0;
}

static int teardown(void **state)
{
	struct worker *w = *state;

	for (size_t i = 0; i < LANE__MAX; i++) {
		kii_jobs_close(w->lanes[i].jobs);
		free(w->lanes[i].logs);
	}
	layers_free(w->layers);
	test_dir_remove(w->work);
	free(w->work);
	free(w->artifacts);
	free(w);
	return 0;
}

static void make_file(const char *folder, const char *name, size_t size, int64_t age_ms)
{
	kii_autofree char *path = kii_xfmt("%s/%s", folder, name);
	struct timespec times[2] = { { .tv_sec = (kii_io_wall() - age_ms) / 1000 } };
	int fd = open(path, O_CREAT | O_WRONLY, 0600);

	times[1] = times[0];
	assert_true(fd >= 0);
	assert_int_equal(ftruncate(fd, (off_t)size), 0);
	futimens(fd, times);
	close(fd);
}

static bool is_there(const char *folder, const char *name)
{
	kii_autofree char *path = kii_xfmt("%s/%s", folder, name);

	return access(path, F_OK) == 0;
}

/* A job that ended `age_ms` ago with an artifact of `bytes` (0: none) and a log. */
static void add_named(struct worker *w, int n, int64_t age_ms, const char *artifact, int64_t bytes)
{
	struct kii_error err = { 0 };
	struct kii_job job = { .kind = "firmware", .client = (char *)"c", .subject = (char *)"MD1",
		.release = (char *)"r", .image = (char *)"i", .request = (char *)"{}",
		.created = kii_io_wall() - age_ms };
	kii_autofree char *log = kii_xfmt("%032d.log", n);
	struct kii_job_end end = { .state = KII_JOB_SUCCEEDED, .outcome = "built",
		.artifact = bytes ? artifact : NULL, .artifact_bytes = bytes,
		.finished = kii_io_wall() - age_ms };

	snprintf(job.id, sizeof(job.id), "%032d", n);
	snprintf(job.key, sizeof(job.key), "%064d", n);
	must(kii_jobs_insert(lane(w)->jobs, &job, &err));
	must(kii_jobs_start(lane(w)->jobs, job.id, 1, job.created, &err));
	must(kii_jobs_finish(lane(w)->jobs, job.id, &end, &err));
	if (bytes)
		make_file(w->artifacts, artifact, (size_t)bytes, age_ms);
	make_file(lane(w)->logs, log, 10, age_ms);
}

static void add(struct worker *w, int n, int64_t age_ms, int64_t bytes)
{
	kii_autofree char *artifact = kii_xfmt("%d.zip", n);

	add_named(w, n, age_ms, artifact, bytes);
}

static void answered(struct worker *w, int n, int64_t age_ms)
{
	struct kii_error err = { 0 };
	char id[KII_JOB_ID + 1];

	snprintf(id, sizeof(id), "%032d", n);
	must(kii_jobs_answered(lane(w)->jobs, id, kii_io_wall() - age_ms, &err));
}

/* "kind name why;" of each item in order. */
static void expect(struct worker *w, bool dry_run, const char *want)
{
	struct kii_error err = { 0 };
	kii_autobuf got = KII_BUF_INIT(10000);
	json_t *report = NULL, *item;
	size_t i;

	must(gc_run(w, dry_run, &report, &err));
	json_array_foreach(json_object_get(report, "items"), i, item) {
		const char *name = kii_json_str(item, "name");

		kii_buf_fmt(&got, "%s %s %s;", kii_json_str(item, "kind"),
			name + strspn(name, "0"), kii_json_str(item, "why"));
	}
	json_decref(report);
	assert_string_equal(got.data, want);
}

static void nothing_to_collect_is_an_empty_report(void **state)
{
	struct worker *w = *state;

	add(w, 1, HOUR * 5, 500);
	add(w, 2, HOUR * 5, 500);
	expect(w, false, "");
}

static void the_budget_takes_the_least_recently_answered_first(void **state)
{
	struct worker *w = *state;
	struct kii_error err = { 0 };
	kii_autojob job = { 0 };

	add(w, 1, HOUR * 9, 400);
	add(w, 2, HOUR * 8, 400);
	add(w, 3, HOUR * 7, 400);
	answered(w, 1, HOUR * 2);
	expect(w, true, "artifact 2.zip budget;");
	assert_true(is_there(w->artifacts, "2.zip"));
	expect(w, false, "artifact 2.zip budget;");
	assert_false(is_there(w->artifacts, "2.zip"));
	assert_true(is_there(w->artifacts, "1.zip"));
	must(kii_jobs_get(lane(w)->jobs, "00000000000000000000000000000002", &job, &err));
	assert_null(job.artifact);
	expect(w, false, "");
}

static void what_was_just_promised_stays(void **state)
{
	struct worker *w = *state;

	add(w, 1, HOUR * 9, 900);
	add(w, 2, HOUR / 2, 900);
	answered(w, 1, HOUR / 2);
	expect(w, false, "");
}

static void old_artifacts_go_and_old_rows_with_their_logs(void **state)
{
	struct worker *w = *state;
	struct kii_error err = { 0 };
	kii_autojob job = { 0 };

	add(w, 1, DAY * 31, 10);
	add(w, 2, DAY * 91, 0);
	add(w, 3, DAY * 91, 10);
	answered(w, 3, DAY);
	make_file(lane(w)->logs, "00000000000000000000000000000002.1.log", 5, DAY * 91);
	expect(w, true, "artifact 1.zip age;log 2 age;job 2 age;log 3 age;");
	expect(w, false, "artifact 1.zip age;log 2 age;job 2 age;log 3 age;");
	assert_false(is_there(lane(w)->logs, "00000000000000000000000000000002.log"));
	assert_false(is_there(lane(w)->logs, "00000000000000000000000000000002.1.log"));
	assert_true(is_there(lane(w)->logs, "00000000000000000000000000000001.log"));
	/* A result that somebody asked for lately still answers its key. */
	assert_true(is_there(w->artifacts, "3.zip"));
	must_fail(kii_jobs_get(lane(w)->jobs, "00000000000000000000000000000002", &job, &err),
		KII_ENOTFOUND);
	expect(w, false, "");
}

static void a_dry_run_says_all_that_a_real_one_does(void **state)
{
	struct worker *w = *state;

	/* A row goes with its artifact where both are due. */
	add(w, 1, DAY * 95, 10);
	expect(w, true, "artifact 1.zip age;log 1 age;job 1 age;");
	expect(w, false, "artifact 1.zip age;log 1 age;job 1 age;");
}

static void an_artifact_of_two_jobs_goes_with_the_last(void **state)
{
	struct worker *w = *state;

	/* As fresh builds of one key leave it. */
	add(w, 1, DAY * 40, 10);
	add_named(w, 2, DAY * 40, "1.zip", 10);
	answered(w, 2, DAY);
	expect(w, true, "");
	expect(w, false, "");
	assert_true(is_there(w->artifacts, "1.zip"));
	add_named(w, 3, DAY * 40, "1.zip", 10);
	answered(w, 2, DAY * 31);
	expect(w, true, "artifact 1.zip age;");
	expect(w, false, "artifact 1.zip age;");
	assert_false(is_there(w->artifacts, "1.zip"));
}

static void a_file_of_several_jobs_counts_once_in_the_budget(void **state)
{
	struct worker *w = *state;

	add(w, 1, HOUR * 9, 400);
	add_named(w, 2, HOUR * 8, "1.zip", 400);
	for (int n = 3; n < 6; n++)
		add(w, n, HOUR * (10 - n), 400);
	expect(w, true, "artifact 1.zip budget;artifact 3.zip budget;");
	expect(w, false, "artifact 1.zip budget;artifact 3.zip budget;");
	expect(w, false, "");
}

static void files_that_no_row_knows_go_when_they_are_old(void **state)
{
	struct worker *w = *state;

	add(w, 1, HOUR * 9, 10);
	make_file(w->artifacts, "lost.zip", 7, HOUR * 2);
	make_file(w->artifacts, "new.zip", 7, 0);
	make_file(w->artifacts, ".part-x", 7, HOUR * 2);
	make_file(lane(w)->logs, "99999999999999999999999999999999.log", 7, HOUR * 2);
	make_file(lane(w)->logs, "README", 7, HOUR * 2);
	expect(w, false, "artifact lost.zip orphan;"
		"log 99999999999999999999999999999999.log orphan;");
	assert_true(is_there(w->artifacts, "1.zip"));
	assert_true(is_there(w->artifacts, "new.zip"));
	assert_true(is_there(w->artifacts, ".part-x"));
	assert_true(is_there(lane(w)->logs, "README"));
}

static void the_operators_jobs_are_collected_likewise(void **state)
{
	struct worker *w = *state;
	struct kii_error err = { 0 };
	kii_autojob job = { 0 };

	which = LANE_OPERATOR;
	add_named(w, 2, DAY * 91, NULL, 0);
	add_named(w, 3, DAY, NULL, 0);
	make_file(lane(w)->logs, "99999999999999999999999999999999.log", 7, HOUR * 2);
	expect(w, true, "log 2 age;job 2 age;log 99999999999999999999999999999999.log orphan;");
	expect(w, false, "log 2 age;job 2 age;log 99999999999999999999999999999999.log orphan;");
	assert_false(is_there(lane(w)->logs, "00000000000000000000000000000002.log"));
	assert_true(is_there(lane(w)->logs, "00000000000000000000000000000003.log"));
	must_fail(kii_jobs_get(lane(w)->jobs, "00000000000000000000000000000002", &job, &err),
		KII_ENOTFOUND);
}

static void a_missing_folder_is_an_error(void **state)
{
	struct worker *w = *state;
	struct kii_error err = { 0 };
	json_t *report = NULL;

	rmdir(lane(w)->logs);
	must_fail(gc_run(w, false, &report, &err), KII_EIO);
	assert_null(report);
}

static void a_broken_database_is_an_error(void **state)
{
	static const char *const drop[] = { "DROP TABLE Jobs" };
	struct worker *w = *state;
	struct kii_error err = { 0 };
	kii_autofree char *path = kii_xfmt("%s/jobs0.sqlite", w->work);
	struct kii_store *other;
	json_t *report = NULL;

	must(kii_store_open(path, KII_STORE_WRITE, KII_JOBS_VERSION, drop, 1, &other, &err));
	must(kii_store_run(other, 0, NULL, &err, ""));
	kii_store_close(other);
	must_fail(gc_run(w, false, &report, &err), KII_EDB);
}

#define gc_test(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		gc_test(nothing_to_collect_is_an_empty_report),
		gc_test(the_budget_takes_the_least_recently_answered_first),
		gc_test(what_was_just_promised_stays),
		gc_test(old_artifacts_go_and_old_rows_with_their_logs),
		gc_test(a_dry_run_says_all_that_a_real_one_does),
		gc_test(an_artifact_of_two_jobs_goes_with_the_last),
		gc_test(a_file_of_several_jobs_counts_once_in_the_budget),
		gc_test(files_that_no_row_knows_go_when_they_are_old),
		gc_test(the_operators_jobs_are_collected_likewise),
		gc_test(a_missing_folder_is_an_error),
		gc_test(a_broken_database_is_an_error),
	};

	return cmocka_run_group_tests_name("gc", tests, NULL, NULL);
}
