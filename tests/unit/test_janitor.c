/* SPDX-License-Identifier: MIT */
/* What the worker keeps of the engine, and what it removes from it. */
#include <config.h>

#include "janitor.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "git.h"
#include "io.h"
#include "operator.h"
#include "testlib.h"
#include "workerfix.h"

#define REMOVE "DELETE /containers/*"

static struct kii_engine *engine;

static int open_all(void **state)
{
	struct kii_error err = { 0 };
	struct fix *f;

	fix_open(state);
	f = *state;
	must(worker_engine(&f->w, 0, &engine, &err));
	return 0;
}

static int close_all(void **state)
{
	kii_engine_free(engine);
	return fix_close(state);
}

/* --- the look --- */

/* "container=digest " of each row. Caller frees. */
static char *image_rows(struct fix *f)
{
	struct kii_version_image *list = NULL;
	struct kii_error err = { 0 };
	kii_autobuf text = KII_BUF_INIT(10000);
	size_t n = 0;

	must(kii_versions_images(f->w.versions, &list, &n, &err));
	for (size_t i = 0; i < n; i++)
		kii_buf_fmt(&text, "%s=%s ", list[i].container, list[i].digest);
	kii_version_images_free(list, n);
	return kii_buf_steal(&text);
}

static void expect_images(struct fix *f, size_t n, const char *want)
{
	kii_autofree char *rows = image_rows(f);

	assert_int_equal(f->w.n_images, n);
	assert_string_equal(rows, want);
}

static void a_look_finds_engine_and_images(void **state)
{
	struct fix *f = *state;
	int64_t before = kii_io_wall();

	toy_image(f->toy, "sha256:bb", "localhost/kiisrv-controller-050:latest", "");
	toy_image(f->toy, "sha256:cc", "debian:bookworm", "");
	janitor_look(&f->w, engine);
	assert_true(f->w.engine_up);
	assert_string_equal(f->w.engine_error, "");
	assert_true(f->w.engine_seen >= before);
	assert_string_equal(f->w.about.version, "20.10.24");
	assert_true(f->w.about.live_restore);
	assert_false(f->w.about.podman);
	expect_images(f, 2, "controller-050=sha256:bb controller-057=sha256:aa ");
	assert_string_equal(worker_image(&f->w, "controller-057")->user, "1000:1000");
	assert_null(worker_image(&f->w, "controller-056"));
}

static void what_the_engine_loses_is_forgotten(void **state)
{
	struct fix *f = *state;

	janitor_look(&f->w, engine);
	expect_images(f, 1, "controller-057=sha256:aa ");
	toy_image_gone(f->toy, FIX_IMAGE);
	toy_image(f->toy, "sha256:dd", "kiisrv-controller-057:latest", "");
	janitor_look(&f->w, engine);
	expect_images(f, 1, "controller-057=sha256:dd ");
	toy_image_gone(f->toy, "sha256:dd");
	janitor_look(&f->w, engine);
	expect_images(f, 0, "");
}

static void an_engine_that_is_down_is_no_error_and_its_images_stay(void **state)
{
	struct fix *f = *state;
	int64_t seen;

	janitor_look(&f->w, engine);
	seen = f->w.engine_seen;
	toy_down(f->toy);
	usleep(5000);
	janitor_look(&f->w, engine);
	assert_false(f->w.engine_up);
	assert_true(f->w.engine_seen > seen);
	assert_true(f->w.engine_error[0] != '\0');
	expect_images(f, 1, "controller-057=sha256:aa ");
	toy_up(f->toy);
	janitor_look(&f->w, engine);
	assert_true(f->w.engine_up);
	assert_string_equal(f->w.engine_error, "");
}

static void an_engine_that_answers_half_is_down(void **state)
{
	static const struct { const char *what; unsigned times; } asked[] = { { "GET /info", 1 },
		{ "GET /version", 1 }, { "GET /images/json", 3 }, { "GET /images/*/json", 3 } };
	struct fix *f = *state;

	janitor_look(&f->w, engine);
	for (size_t i = 0; i < KII_COUNT(asked); i++) {
		const struct toy_fault fault = { .match = asked[i].what, .trouble = TOY_REFUSE,
			.status = 500, .times = (int)asked[i].times };

		toy_fault(f->toy, &fault);
		f->w.about_at = 0;
		janitor_look(&f->w, engine);
		assert_false(f->w.engine_up);
		assert_non_null(strstr(f->w.engine_error, "500"));
		expect_images(f, 1, "controller-057=sha256:aa ");
		janitor_look(&f->w, engine);
		assert_true(f->w.engine_up);
	}
}

static void what_it_is_is_asked_when_it_may_be_another(void **state)
{
	struct fix *f = *state;
	int first;

	janitor_look(&f->w, engine);
	first = toy_asked(f->toy, "GET /info");
	janitor_look(&f->w, engine);
	assert_int_equal(toy_asked(f->toy, "GET /info"), first);
	toy_down(f->toy);
	janitor_look(&f->w, engine);
	assert_false(f->w.engine_up);
	toy_up(f->toy);
	janitor_look(&f->w, engine);
	assert_true(f->w.engine_up);
	assert_int_equal(toy_asked(f->toy, "GET /info"), first + 1);
}

static void a_list_that_breaks_is_asked_for_again(void **state)
{
	const struct toy_fault fault = { .match = "GET /images/json", .trouble = TOY_REFUSE,
		.status = 500, .times = 2 };
	struct fix *f = *state;

	toy_fault(f->toy, &fault);
	janitor_look(&f->w, engine);
	assert_true(f->w.engine_up);
	expect_images(f, 1, "controller-057=sha256:aa ");
}

static void our_own_end_says_nothing_of_the_engine(void **state)
{
	struct fix *f = *state;

	janitor_look(&f->w, engine);
	atomic_store(&f->w.stop, true);
	kii_engine_stop_flag(engine, &f->w.stop);
	toy_down(f->toy);
	janitor_look(&f->w, engine);
	assert_true(f->w.engine_up);
	atomic_store(&f->w.stop, false);
	janitor_look(&f->w, engine);
	assert_false(f->w.engine_up);
}

static void a_table_that_cannot_be_written_hides_no_image(void **state)
{
	static const char *const drop[] = { "DROP TABLE Images" };
	struct fix *f = *state;
	kii_autofree char *path = kii_xfmt("%s/queue/config.sqlite", f->conf.paths.state_dir);
	struct kii_error err = { 0 };
	struct kii_store *other;

	must(kii_store_open(path, KII_STORE_WRITE, KII_VERSIONS_VERSION, drop, 1, &other, &err));
	must(kii_store_run(other, 0, NULL, &err, ""));
	kii_store_close(other);
	janitor_look(&f->w, engine);
	assert_true(f->w.engine_up);
	assert_non_null(worker_image(&f->w, "controller-057"));
}

/* --- an image that Podman has kept by half --- */

#define HALF  "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define OTHER "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"
#define FAR   "cccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccc"
#define COMPLAINT(id) "locating item named \"manifest\" for image with ID \"" id "\": no such file"

static void complains(struct fix *f, const char *message)
{
	toy_faults_clear(f->toy);
	if (message)
		toy_fault(f->toy, &(struct toy_fault){ .match = "GET /images/json",
			.trouble = TOY_REFUSE, .status = 500, .message = message });
}

/* A look some seconds later. */
static void look_later(struct fix *f)
{
	f->w.half_made_at -= 10000;
	janitor_look(&f->w, engine);
}

static void an_image_that_podman_kept_by_half_is_removed(void **state)
{
	struct fix *f = *state;

	toy_podman(f->toy);
	toy_layer(f->toy, HALF, "", NULL, 1, 0);
	complains(f, COMPLAINT(HALF));
	/* It may be one that is just being kept. */
	janitor_look(&f->w, engine);
	janitor_look(&f->w, engine);
	assert_string_equal(f->w.half_made, HALF);
	assert_true(toy_has_image(f->toy, HALF));
	look_later(f);
	assert_false(toy_has_image(f->toy, HALF));
	assert_string_equal(f->w.half_made, "");
	complains(f, NULL);
	janitor_look(&f->w, engine);
	assert_true(f->w.engine_up);
}

static void what_is_no_longer_wrong_stays(void **state)
{
	static const struct { const char *then, *half_made; } cases[] = {
		{ NULL, "" }, { "another trouble", "" }, { COMPLAINT(OTHER), OTHER },
	};
	struct fix *f = *state;

	toy_podman(f->toy);
	toy_layer(f->toy, HALF, "", NULL, 1, 0);
	for (size_t i = 0; i < KII_COUNT(cases); i++) {
		complains(f, COMPLAINT(HALF));
		janitor_look(&f->w, engine);
		complains(f, cases[i].then);
		look_later(f);
		assert_string_equal(f->w.half_made, cases[i].half_made);
	}
	complains(f, COMPLAINT(HALF));
	janitor_look(&f->w, engine);
	/* The list is asked for again, to see what is wrong. */
	toy_faults_clear(f->toy);
	toy_fault(f->toy, &(struct toy_fault){ .match = "GET /images/json", .trouble = TOY_REFUSE,
		.status = 500, .message = COMPLAINT(HALF), .times = 1 });
	toy_fault(f->toy, &(struct toy_fault){ .match = "GET /images/json", .trouble = TOY_DROP });
	look_later(f);
	assert_true(toy_has_image(f->toy, HALF));
}

static void one_that_cannot_be_removed_is_found_again(void **state)
{
	struct fix *f = *state;

	toy_podman(f->toy);
	toy_layer(f->toy, HALF, "", NULL, 1, 0);
	complains(f, COMPLAINT(HALF));
	toy_fault(f->toy, &(struct toy_fault){ .match = "DELETE /images/*", .trouble = TOY_REFUSE,
		.status = 409, .times = 1 });
	janitor_look(&f->w, engine);
	look_later(f);
	assert_true(toy_has_image(f->toy, HALF));
	janitor_look(&f->w, engine);
	look_later(f);
	assert_false(toy_has_image(f->toy, HALF));
}

static void docker_is_not_asked_for_one(void **state)
{
	struct fix *f = *state;

	toy_layer(f->toy, HALF, "", NULL, 1, 0);
	complains(f, COMPLAINT(HALF));
	janitor_look(&f->w, engine);
	look_later(f);
	assert_true(toy_has_image(f->toy, HALF));
	assert_string_equal(f->w.half_made, "");
}

/* --- reconciliation --- */

/* A running job with its number, and a container of its attempt. */
static void add_running(struct fix *f)
{
	kii_autojob job = { 0 };

	fix_queue(f);
	fix_claim(f, &job);
	fix_container(f, f->made, 1, KII_CONTAINER_RUNNING);
}

/* As a new worker begins. */
static void forget_slots(struct fix *f)
{
	struct lane *lane = &f->w.lanes[LANE_PUBLIC];

	memset(lane->running, 0, sizeof(lane->running));
}

/* A container with labels of ours; `job` and `attempt` may be NULL. */
static void add_container(struct fix *f, const char *name, const char *job, const char *attempt)
{
	struct kii_pair labels[4] = { { WORKER_LABEL_INSTANCE, f->w.instance } };
	size_t n = 1;

	if (job)
		labels[n++] = (struct kii_pair){ WORKER_LABEL_JOB, job };
	if (attempt)
		labels[n++] = (struct kii_pair){ WORKER_LABEL_ATTEMPT, attempt };
	toy_container(f->toy, name, labels, KII_CONTAINER_RUNNING);
}

/* Both volumes of job `n`'s attempt. */
static void add_volumes(struct fix *f, int n, int attempt)
{
	const struct kii_pair ours[] = { { WORKER_LABEL_INSTANCE, f->w.instance },
		{ NULL, NULL } };
	kii_autofree char *name = fix_name(f, n, attempt);
	kii_autofree char *config = kii_xfmt("%s-config", name);
	kii_autofree char *builds = kii_xfmt("%s-builds", name);

	toy_volume(f->toy, config, ours);
	toy_volume(f->toy, builds, ours);
}

static bool has(const struct fix *f, int n, int attempt)
{
	kii_autofree char *name = fix_name(f, n, attempt);

	return toy_has(f->toy, name);
}

static bool has_volumes(const struct fix *f, int n, int attempt)
{
	kii_autofree char *name = fix_name(f, n, attempt);
	kii_autofree char *config = kii_xfmt("%s-config", name);
	kii_autofree char *builds = kii_xfmt("%s-builds", name);
	bool there = toy_has_volume(f->toy, config);

	assert_int_equal(there, toy_has_volume(f->toy, builds));
	return there;
}

static void what_runs_is_kept(void **state)
{
	struct fix *f = *state;
	struct kii_error err = { 0 };

	add_running(f);
	add_volumes(f, 1, 1);
	/* An earlier worker's: no slot has it yet. */
	forget_slots(f);
	must(janitor_reconcile(&f->w, engine, &err));
	assert_true(has(f, 1, 1));
	assert_true(has_volumes(f, 1, 1));
}

static void what_has_ended_goes_with_its_volumes(void **state)
{
	const struct kii_job_end done = { .state = KII_JOB_FAILED, .finished = 1 };
	struct fix *f = *state;
	kii_autojob job = { 0 };
	struct kii_error err = { 0 };

	add_running(f);
	add_volumes(f, 1, 1);
	fix_job(f, 1, &job);
	must(kii_jobs_finish(f->w.lanes[LANE_PUBLIC].jobs, job.id, &done, &err));
	/* A slot is still busy with it. */
	must(janitor_reconcile(&f->w, engine, &err));
	assert_true(has(f, 1, 1));
	forget_slots(f);
	must(janitor_reconcile(&f->w, engine, &err));
	assert_false(has(f, 1, 1));
	assert_false(has_volumes(f, 1, 1));
}

static void an_older_attempt_goes_and_the_newer_stays(void **state)
{
	struct fix *f = *state;
	kii_autojob job = { 0 };
	struct kii_error err = { 0 };

	add_running(f);
	add_volumes(f, 1, 1);
	fix_job(f, 1, &job);
	must(kii_jobs_requeue(f->w.lanes[LANE_PUBLIC].jobs, job.id, &err));
	must(kii_jobs_start(f->w.lanes[LANE_PUBLIC].jobs, job.id, 2, 2, &err));
	fix_container(f, 1, 2, KII_CONTAINER_RUNNING);
	add_volumes(f, 1, 2);
	/* though a slot is busy with the job */
	must(janitor_reconcile(&f->w, engine, &err));
	assert_false(has(f, 1, 1));
	assert_false(has_volumes(f, 1, 1));
	assert_true(has(f, 1, 2));
	assert_true(has_volumes(f, 1, 2));
	forget_slots(f);
	/* In the queue again, nothing of it runs. */
	must(kii_jobs_requeue(f->w.lanes[LANE_PUBLIC].jobs, job.id, &err));
	must(janitor_reconcile(&f->w, engine, &err));
	assert_false(has(f, 1, 2));
	assert_false(has_volumes(f, 1, 2));
}

static void what_no_row_knows_goes(void **state)
{
	struct fix *f = *state;
	kii_autofree char *name = fix_name(f, 7, 1);
	kii_autofree char *without = kii_xfmt("kiisrv-%s-without-a-job", f->w.instance);
	char id[KII_JOB_ID + 1];
	struct kii_error err = { 0 };

	fix_id(7, id);
	add_container(f, name, id, "1");
	add_volumes(f, 7, 1);
	add_container(f, without, NULL, NULL);
	add_container(f, "made-of-an-image-of-ours", NULL, NULL);
	add_container(f, "with-a-strange-job", "no id", "1");
	add_running(f);
	fix_id(1, id);
	add_container(f, "without-an-attempt", id, NULL);
	forget_slots(f);
	must(janitor_reconcile(&f->w, engine, &err));
	assert_false(toy_has(f->toy, name));
	assert_false(has_volumes(f, 7, 1));
	assert_false(toy_has(f->toy, without));
	assert_true(toy_has(f->toy, "made-of-an-image-of-ours"));
	assert_false(toy_has(f->toy, "with-a-strange-job"));
	assert_false(toy_has(f->toy, "without-an-attempt"));
	assert_true(has(f, 1, 1));
}

static void the_look_at_the_repository_stays_while_it_runs_its_mirror_for_good(void **state)
{
	struct fix *f = *state;
	const struct kii_pair ours[] = { { WORKER_LABEL_INSTANCE, f->w.instance },
		{ NULL, NULL } };
	kii_autofree char *name = git_name(&f->w);
	kii_autofree char *other = kii_xfmt("%s2", name);
	struct kii_error err = { 0 };

	add_container(f, name, NULL, NULL);
	toy_volume(f->toy, name, ours);
	toy_volume(f->toy, other, ours);
	f->w.git.running = true;
	must(janitor_reconcile(&f->w, engine, &err));
	assert_true(toy_has(f->toy, name));
	assert_true(toy_has_volume(f->toy, name));
	assert_false(toy_has_volume(f->toy, other));
	f->w.git.running = false;
	must(janitor_reconcile(&f->w, engine, &err));
	assert_false(toy_has(f->toy, name));
	assert_true(toy_has_volume(f->toy, name));
}

static void what_is_others_is_left_alone(void **state)
{
	static const struct kii_pair other_instance[] = {
		{ WORKER_LABEL_INSTANCE, "0000000000000000" },
		{ WORKER_LABEL_JOB, "00000000000000000000000000000007" },
		{ WORKER_LABEL_ATTEMPT, "1" },
		{ NULL, NULL },
	};
	struct fix *f = *state;
	kii_autofree char *name = fix_name(f, 7, 1);
	struct kii_error err = { 0 };

	/* Even one that has a name of ours, but not the label. */
	toy_container(f->toy, name, NULL, KII_CONTAINER_RUNNING);
	toy_container(f->toy, "kiisrv-0000000000000000-00000000000000000000000000000007-1",
		other_instance, KII_CONTAINER_RUNNING);
	toy_container(f->toy, "database", NULL, KII_CONTAINER_RUNNING);
	toy_volume(f->toy, "data", NULL);
	toy_volume(f->toy, "kiisrv-0000000000000000-x-config", other_instance);
	must(janitor_reconcile(&f->w, engine, &err));
	assert_true(toy_has(f->toy, name));
	assert_true(toy_has(f->toy, "kiisrv-0000000000000000-00000000000000000000000000000007-1"));
	assert_true(toy_has(f->toy, "database"));
	assert_true(toy_has_volume(f->toy, "data"));
	assert_true(toy_has_volume(f->toy, "kiisrv-0000000000000000-x-config"));
}

static void volumes_of_ours_with_strange_names_go(void **state)
{
	static const char *const ends[] = { "", "x", "00000000000000000000000000000001",
		"00000000000000000000000000000001-", "00000000000000000000000000000001-0-config",
		"00000000000000000000000000000001-1x", "0000000000000000000000000000000g-1-config",
		"00000000000000000000000000000001x1-config" };
	struct fix *f = *state;
	const struct kii_pair ours[] = { { WORKER_LABEL_INSTANCE, f->w.instance },
		{ NULL, NULL } };
	struct kii_error err = { 0 };

	add_running(f);
	for (size_t i = 0; i < KII_COUNT(ends); i++) {
		kii_autofree char *name = kii_xfmt("kiisrv-%s-%s", f->w.instance, ends[i]);

		toy_volume(f->toy, name, ours);
	}
	must(janitor_reconcile(&f->w, engine, &err));
	for (size_t i = 0; i < KII_COUNT(ends); i++) {
		kii_autofree char *name = kii_xfmt("kiisrv-%s-%s", f->w.instance, ends[i]);

		assert_false(toy_has_volume(f->toy, name));
	}
}

static void what_cannot_be_removed_does_not_keep_the_rest(void **state)
{
	struct fix *f = *state;
	kii_autofree char *stuck = NULL;
	struct toy_fault fault = { .trouble = TOY_REFUSE, .status = 500 };
	struct kii_error err = { 0 };
	char id[KII_JOB_ID + 1];

	for (int n = 1; n <= 3; n++) {
		kii_autofree char *name = fix_name(f, n, 1);

		fix_id(n, id);
		add_container(f, name, id, "1");
		add_volumes(f, n, 1);
		add_volumes(f, n + 10, 1);
	}
	/* The second of three, by its id. */
	stuck = kii_xfmt("DELETE /containers/%064d", 2);
	fault.match = stuck;
	toy_fault(f->toy, &fault);
	must_fail(janitor_reconcile(&f->w, engine, &err), KII_EBROKEN);
	assert_false(has(f, 1, 1) || has(f, 3, 1));
	assert_true(has(f, 2, 1));
	for (int n = 11; n <= 13; n++)
		assert_false(has_volumes(f, n, 1));
	/* And a volume. */
	add_volumes(f, 14, 1);
	add_volumes(f, 15, 1);
	fault.match = "DELETE /volumes/*";
	fault.times = 1;
	toy_faults_clear(f->toy);
	toy_fault(f->toy, &fault);
	must_fail(janitor_reconcile(&f->w, engine, &err), KII_EBROKEN);
	must(janitor_reconcile(&f->w, engine, &err));
	assert_false(has(f, 2, 1) || has_volumes(f, 14, 1) || has_volumes(f, 15, 1));
}

static void an_engine_that_is_away_is_not_asked_on(void **state)
{
	static const char *const asked[] = { "GET /containers/json", "GET /volumes", REMOVE,
		"DELETE /volumes/*" };
	struct fix *f = *state;
	struct kii_error err = { 0 };
	int before;

	for (size_t i = 0; i < KII_COUNT(asked); i++) {
		const struct toy_fault fault = { .match = asked[i], .trouble = TOY_DROP };

		for (int n = 1; n <= 3; n++) {
			kii_autofree char *name = fix_name(f, n, 1);

			add_container(f, name, NULL, NULL);
			add_volumes(f, n, 1);
		}
		toy_faults_clear(f->toy);
		toy_fault(f->toy, &fault);
		before = toy_asked(f->toy, asked[i]);
		must_fail(janitor_reconcile(&f->w, engine, &err), KII_EDOWN);
		/* Twice: curl itself asks once more on a new connection. */
		assert_in_range(toy_asked(f->toy, asked[i]) - before, 1, 2);
	}
	toy_faults_clear(f->toy);
	must(janitor_reconcile(&f->w, engine, &err));
	assert_false(has(f, 1, 1) || has_volumes(f, 3, 1));
}

static void a_database_that_cannot_be_read_removes_nothing(void **state)
{
	static const char *const drop[] = { "DROP TABLE Jobs" };
	struct fix *f = *state;
	kii_autofree char *path = kii_xfmt("%s/queue/jobs.sqlite", f->conf.paths.state_dir);
	struct kii_error err = { 0 };
	struct kii_store *other;

	add_running(f);
	add_volumes(f, 1, 1);
	forget_slots(f);
	must(kii_store_open(path, KII_STORE_WRITE, KII_JOBS_VERSION, drop, 1, &other, &err));
	must(kii_store_run(other, 0, NULL, &err, ""));
	kii_store_close(other);
	must(janitor_reconcile(&f->w, engine, &err));
	assert_true(has(f, 1, 1));
	assert_true(has_volumes(f, 1, 1));
}

static void what_is_left_in_podmans_storage_goes(void **state)
{
	struct fix *f = *state;
	kii_autofree char *wanted = fix_name(f, 1, 1), *gone = fix_name(f, 2, 1);
	struct kii_error err = { 0 };
	kii_autojob job = { .attempts = 0 };

	toy_podman(f->toy);
	fix_queue(f);
	fix_claim(f, &job);
	toy_remnant(f->toy, HALF, gone);
	toy_remnant(f->toy, OTHER, wanted);
	toy_remnant(f->toy, FAR, "kiisrv-0000000000000000-00000000000000000000000000000001-1");
	must(janitor_reconcile(&f->w, engine, &err));
	/* It is Podman's to have. */
	assert_true(toy_has_working(f->toy, HALF));
	f->w.about.podman = true;
	toy_fault(f->toy, &(struct toy_fault){ .match = REMOVE, .trouble = TOY_REFUSE,
		.status = 500, .times = 1 });
	assert_int_equal(janitor_reconcile(&f->w, engine, &err), -1);
	assert_true(toy_has_working(f->toy, HALF));
	kii_error_clear(&err);
	must(janitor_reconcile(&f->w, engine, &err));
	assert_false(toy_has_working(f->toy, HALF));
	assert_true(toy_has_working(f->toy, OTHER) && toy_has_working(f->toy, FAR));
}

/* --- folders --- */

/* Go to the test's folder; the way back. */
static int go(struct fix *f)
{
	int home = open(".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	assert_int_equal(chdir(f->dir), 0);
	f->conf.firmware.bind = true;
	return home;
}

static void back(int home)
{
	assert_int_equal(fchdir(home), 0);
	close(home);
}

static void make_folders(const char *name)
{
	kii_autofree char *config = kii_xfmt("tmp_config/%s/sub", name);
	kii_autofree char *builds = kii_xfmt("tmp_builds/%s", name);
	struct kii_error err = { 0 };

	must(kii_io_mkdirs(config, 0700, &err));
	must(kii_io_mkdirs(builds, 0700, &err));
}

static bool has_folders(const char *name)
{
	bool there = fix_has_file("tmp_config", name);

	assert_int_equal(there, fix_has_file("tmp_builds", name));
	return there;
}

static void folders_of_what_has_ended_go(void **state)
{
	struct fix *f = *state;
	kii_autofree char *running = fix_name(f, 1, 1), *older = fix_name(f, 1, 3);
	kii_autofree char *unknown = fix_name(f, 7, 1), *removed = fix_name(f, 8, 1);
	struct kii_error err = { 0 };
	char id[KII_JOB_ID + 1];
	int home = go(f);

	must(janitor_reconcile(&f->w, engine, &err));
	add_running(f);
	fix_id(8, id);
	add_container(f, removed, id, "1");
	make_folders(running);
	make_folders(older);
	make_folders(unknown);
	make_folders(removed);
	make_folders("somebody-elses");
	make_folders("kiisrv-0000000000000000-00000000000000000000000000000001-1");
	must(janitor_reconcile(&f->w, engine, &err));
	assert_true(has_folders(running));
	assert_false(has_folders(unknown) || has_folders(removed));
	assert_true(has_folders("somebody-elses"));
	assert_true(has_folders("kiisrv-0000000000000000-00000000000000000000000000000001-1"));
	/* A slot has the job; which attempt, the row says, and the slot may be ahead of it. */
	assert_true(has_folders(older));
	forget_slots(f);
	must(janitor_reconcile(&f->w, engine, &err));
	assert_true(has_folders(running));
	assert_false(has_folders(older));
	back(home);
}

/* An engine may list one without a name while it is being removed. */
static void a_container_without_a_name_takes_no_folders_with_it(void **state)
{
	struct fix *f = *state;
	kii_autofree char *running = fix_name(f, 1, 1);
	struct kii_error err = { 0 };
	int home = go(f);

	add_running(f);
	make_folders(running);
	add_container(f, "", "no id", "1");
	must(janitor_reconcile(&f->w, engine, &err));
	assert_false(toy_has(f->toy, ""));
	assert_true(has_folders(running));
	back(home);
}

/* --- the sweep --- */

static void half_written_artifacts_are_swept(void **state)
{
	static const char *const names[] = { ".part-x", ".part-", "a.zip", "x.part-y", ".hidden" };
	struct fix *f = *state;
	kii_autofree char *folder = kii_xfmt("%s/.part-folder/x", f->w.artifacts);
	struct kii_error err = { 0 };

	for (size_t i = 0; i < KII_COUNT(names); i++) {
		kii_autofree char *path = kii_xfmt("%s/%s", f->w.artifacts, names[i]);

		must(kii_io_publish(path, "", 0, 0600, &err));
	}
	must(kii_io_mkdirs(folder, 0700, &err));
	janitor_sweep(&f->w);
	for (size_t i = 0; i < KII_COUNT(names); i++)
		assert_int_equal(fix_has_file(f->w.artifacts, names[i]), i >= 2);
	assert_true(fix_has_file(f->w.artifacts, ".part-folder/x"));
	must(kii_io_remove_tree(f->w.artifacts, &err));
	janitor_sweep(&f->w);
}

static void workspaces_of_an_earlier_worker_are_swept(void **state)
{
	struct fix *f = *state;
	const char *top = f->conf.docker.build_dir;
	kii_autofree char *ours = kii_xfmt("%s/kiisrv-%s-x/source/f", top, f->w.instance);
	kii_autofree char *theirs = kii_xfmt("%s/kiisrv-0000000000000000-x", top);
	struct kii_error err = { 0 };

	must(kii_io_mkdirs(ours, 0700, &err));
	must(kii_io_mkdirs(theirs, 0700, &err));
	janitor_sweep(&f->w);
	assert_int_not_equal(access(ours, F_OK), 0);
	assert_int_equal(access(theirs, F_OK), 0);
}

/* --- the thread --- */

static bool has_looked(void *arg)
{
	struct fix *f = arg;
	bool looked;

	pthread_mutex_lock(&f->w.lock);
	looked = f->w.engine_seen > 0;
	pthread_mutex_unlock(&f->w.lock);
	return looked;
}

static void stop(struct fix *f, pthread_t thread)
{
	pthread_mutex_lock(&f->w.lock);
	atomic_store(&f->w.stop, true);
	pthread_cond_broadcast(&f->w.janitor_wake);
	pthread_mutex_unlock(&f->w.lock);
	pthread_join(thread, NULL);
	atomic_store(&f->w.stop, false);
}

static void the_thread_looks_reconciles_and_collects_at_once(void **state)
{
	struct fix *f = *state;
	struct kii_error err = { 0 };
	kii_autofree char *old = kii_xfmt("%s/old.zip", f->w.artifacts);
	const struct timespec ago[2] = { { .tv_sec = 1000 }, { .tv_sec = 1000 } };
	pthread_t thread;

	add_container(f, "leftover", "no id", "1");
	must(kii_io_publish(old, "", 0, 0600, &err));
	assert_int_equal(utimensat(AT_FDCWD, old, ago, 0), 0);
	assert_int_equal(pthread_create(&thread, NULL, janitor_run, &f->w), 0);
	assert_true(fix_await(has_looked, f));
	assert_true(toy_await(f->toy, "GET /volumes", 1));
	assert_false(toy_has(f->toy, "leftover"));
	/* Its next look is far away, unless it is asked for. */
	pthread_mutex_lock(&f->w.lock);
	f->w.look_now = true;
	pthread_cond_signal(&f->w.janitor_wake);
	pthread_mutex_unlock(&f->w.lock);
	assert_true(toy_await(f->toy, "GET /images/json", 2));
	assert_false(fix_has_file(f->w.artifacts, "old.zip"));
	stop(f, thread);
	assert_int_equal(toy_asked(f->toy, "GET /volumes"), 1);
}

static void the_thread_ends_while_the_engine_hangs(void **state)
{
	struct fix *f = *state;
	const struct toy_fault fault = { .match = "GET /info", .trouble = TOY_HOLD };
	int64_t stopped;
	pthread_t thread;

	toy_fault(f->toy, &fault);
	assert_int_equal(pthread_create(&thread, NULL, janitor_run, &f->w), 0);
	assert_true(toy_await(f->toy, "GET /info", 1));
	stopped = kii_io_now();
	stop(f, thread);
	assert_in_range(kii_io_now() - stopped, 0, 16000);
	assert_false(f->w.engine_up);
}

static void without_an_engines_address_there_is_no_thread(void **state)
{
	struct fix *f = *state;

	free(f->conf.docker.socket_path);
	f->conf.docker.socket_path = kii_xstrdup("nonsense");
	assert_null(janitor_run(&f->w));
	assert_int_equal(f->w.engine_seen, 0);
}

/* --- the audit --- */

static void count_row(void *arg, const struct kii_audit *row)
{
	(void)row;
	++*(int *)arg;
}

static int audit_rows(const char *path)
{
	struct kii_audit_filter filter = { .limit = 9 };
	struct kii_operator *op = NULL;
	struct kii_error err = { 0 };
	int n = 0;

	must(kii_operator_open(path, KII_STORE_READ, &op, &err));
	must(kii_audit_list(op, &filter, count_row, &n, &err));
	kii_operator_close(op);
	return n;
}

static void the_audit_goes_back_so_many_days(void **state)
{
	struct fix *f = *state;
	kii_autofree char *path = kii_xfmt("%s/engine/operator.sqlite",
		f->conf.paths.state_dir);
	kii_autofree char *aside = kii_xfmt("%s.aside", path);
	int64_t day = INT64_C(86400000), now = kii_io_wall(), id;
	struct kii_audit row = { .verb = "POST", .target = "/", .client = "c", .request = "r" };
	struct kii_operator *op = NULL;
	struct kii_error err = { 0 };

	must(kii_operator_open(path, KII_STORE_WRITE, &op, &err));
	for (int days = 29; days < 32; days++) {
		row.time = now - days * day - 1000;
		must(kii_audit_begin(op, &row, &id, &err));
	}
	kii_operator_close(op);
	/* 30 days and a second are too old. */
	janitor_trim_audit(&f->w);
	assert_int_equal(audit_rows(path), 1);
	janitor_trim_audit(&f->w);
	assert_int_equal(audit_rows(path), 1);
	/* One that is away hinders nothing. */
	assert_int_equal(rename(path, aside), 0);
	janitor_trim_audit(&f->w);
	assert_int_equal(rename(aside, path), 0);
}

#define janitor_test(name) cmocka_unit_test_setup_teardown(name, open_all, close_all)

int main(void)
{
	const struct CMUnitTest tests[] = {
		janitor_test(a_look_finds_engine_and_images),
		janitor_test(what_the_engine_loses_is_forgotten),
		janitor_test(an_engine_that_is_down_is_no_error_and_its_images_stay),
		janitor_test(an_engine_that_answers_half_is_down),
		janitor_test(what_it_is_is_asked_when_it_may_be_another),
		janitor_test(a_list_that_breaks_is_asked_for_again),
		janitor_test(our_own_end_says_nothing_of_the_engine),
		janitor_test(a_table_that_cannot_be_written_hides_no_image),
		janitor_test(what_runs_is_kept),
		janitor_test(what_has_ended_goes_with_its_volumes),
		janitor_test(an_older_attempt_goes_and_the_newer_stays),
		janitor_test(what_no_row_knows_goes),
		janitor_test(the_look_at_the_repository_stays_while_it_runs_its_mirror_for_good),
		janitor_test(what_is_others_is_left_alone),
		janitor_test(volumes_of_ours_with_strange_names_go),
		janitor_test(what_cannot_be_removed_does_not_keep_the_rest),
		janitor_test(an_engine_that_is_away_is_not_asked_on),
		janitor_test(a_database_that_cannot_be_read_removes_nothing),
		janitor_test(folders_of_what_has_ended_go),
		janitor_test(a_container_without_a_name_takes_no_folders_with_it),
		janitor_test(half_written_artifacts_are_swept),
		janitor_test(what_is_left_in_podmans_storage_goes),
		janitor_test(workspaces_of_an_earlier_worker_are_swept),
		janitor_test(an_image_that_podman_kept_by_half_is_removed),
		janitor_test(what_is_no_longer_wrong_stays),
		janitor_test(one_that_cannot_be_removed_is_found_again),
		janitor_test(docker_is_not_asked_for_one),
		janitor_test(the_thread_looks_reconciles_and_collects_at_once),
		janitor_test(the_thread_ends_while_the_engine_hangs),
		janitor_test(without_an_engines_address_there_is_no_thread),
		janitor_test(the_audit_goes_back_so_many_days),
	};

	return cmocka_run_group_tests_name("janitor", tests, NULL, NULL);
}
