/* SPDX-License-Identifier: MIT */
/* A slot's thread, from the queue to the row's end; pauses are shortened in the makefile. */
#include <config.h>

#include "run.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "io.h"
#include "queue.h"
#include "testlib.h"
#include "workerfix.h"

#define START  "POST /containers/*/start"
#define PUT    "PUT /containers/*/archive"
#define LOGS   "GET /containers/*/logs"
#define REMOVE "DELETE /containers/*"

/* --- a database in trouble, on demand --- */

static atomic_int fail_finish, fail_requeue, fail_walk;   /* so many calls; below 0: all */
static enum kii_code failure = KII_EBUSY;

static bool fails(atomic_int *left)
{
	if (atomic_load(left) < 0)
		return true;
	if (atomic_load(left) == 0)
		return false;
	atomic_fetch_sub(left, 1);
	return true;
}

int __real_kii_jobs_finish(struct kii_jobs *jobs, const char *id, const struct kii_job_end *end,
	struct kii_error *err);
int __wrap_kii_jobs_finish(struct kii_jobs *jobs, const char *id, const struct kii_job_end *end,
	struct kii_error *err);
int __wrap_kii_jobs_finish(struct kii_jobs *jobs, const char *id, const struct kii_job_end *end,
	struct kii_error *err)
{
	if (fails(&fail_finish))
		return kii_error_set(err, failure, 0, "a test's trouble");
	return __real_kii_jobs_finish(jobs, id, end, err);
}

int __real_kii_jobs_requeue(struct kii_jobs *jobs, const char *id, struct kii_error *err);
int __wrap_kii_jobs_requeue(struct kii_jobs *jobs, const char *id, struct kii_error *err);
int __wrap_kii_jobs_requeue(struct kii_jobs *jobs, const char *id, struct kii_error *err)
{
	if (fails(&fail_requeue))
		return kii_error_set(err, failure, 0, "a test's trouble");
	return __real_kii_jobs_requeue(jobs, id, err);
}

int __real_kii_jobs_each_live(struct kii_jobs *jobs, kii_jobs_take *take, void *arg,
	struct kii_error *err);
int __wrap_kii_jobs_each_live(struct kii_jobs *jobs, kii_jobs_take *take, void *arg,
	struct kii_error *err);
int __wrap_kii_jobs_each_live(struct kii_jobs *jobs, kii_jobs_take *take, void *arg,
	struct kii_error *err)
{
	if (fails(&fail_walk))
		return kii_error_set(err, failure, 0, "a test's trouble");
	return __real_kii_jobs_each_live(jobs, take, arg, err);
}

/* --- slots --- */

static pthread_t threads[2];
static int n_threads;

static void begin(struct fix *f, int n)
{
	for (n_threads = 0; n_threads < n; n_threads++)
		assert_int_equal(pthread_create(&threads[n_threads], NULL, run_slot,
			&f->w.lanes[LANE_PUBLIC]), 0);
}

/* As the worker ends, and a new one could begin. */
static void end(struct fix *f)
{
	pthread_mutex_lock(&f->w.lock);
	atomic_store(&f->w.stop, true);
	pthread_cond_broadcast(&f->w.lanes[LANE_PUBLIC].work_to_do);
	pthread_mutex_unlock(&f->w.lock);
	while (n_threads)
		pthread_join(threads[--n_threads], NULL);
	atomic_store(&f->w.stop, false);
}

static bool is_over(void *arg)
{
	struct fix *f = arg;
	kii_autojob job = { 0 };

	fix_job(f, f->made, &job);
	return kii_job_state_final(job.state);
}

static bool is_left(void *arg)
{
	struct fix *f = arg;
	char id[KII_JOB_ID + 1];
	bool left;

	fix_id(f->made, id);
	pthread_mutex_lock(&f->w.lock);
	left = !queue_find(&f->w.lanes[LANE_PUBLIC], id);
	pthread_mutex_unlock(&f->w.lock);
	return left;
}

static bool is_clean(void *arg)
{
	struct fix *f = arg;
	bool clean = true;

	for (int attempt = 1; attempt <= WORKER_ATTEMPTS; attempt++) {
		kii_autofree char *name = fix_name(f, f->made, attempt);
		kii_autofree char *config = kii_xfmt("%s-config", name);
		kii_autofree char *builds = kii_xfmt("%s-builds", name);

		clean = clean && !toy_has(f->toy, name) && !toy_has_volume(f->toy, config) &&
			!toy_has_volume(f->toy, builds);
	}
	return clean;
}

/* Run the last job with one slot to its end; its row, which the caller releases. */
static void run_to_end(struct fix *f, struct kii_job *job)
{
	begin(f, 1);
	/* Cleaning comes after the row: the worker's end would cut it off. */
	if (!fix_await(is_over, f) || !fix_await(is_left, f) || !fix_await(is_clean, f))
		fail_msg("the job does not end");
	end(f);
	fix_job(f, f->made, job);
}

static void expect_job(const struct kii_job *job, enum kii_job_state state, const char *outcome,
	int attempts)
{
	assert_string_equal(kii_job_state_name(job->state), kii_job_state_name(state));
	assert_string_equal(job->outcome, outcome);
	assert_int_equal(job->attempts, attempts);
}

/* Who waits is told of the last job, once. */
static void expect_announced(const struct fix *f)
{
	char id[KII_JOB_ID + 1];

	fix_id(f->made, id);
	assert_non_null(f->w.ended);
	assert_string_equal(f->w.ended->id, id);
	assert_null(f->w.ended->next);
}

static void fault(struct fix *f, const char *match, enum toy_trouble trouble, int status, int times)
{
	const struct toy_fault t = { .match = match, .trouble = trouble, .status = status,
		.times = times };

	toy_fault(f->toy, &t);
}

static bool has_container(const struct fix *f, int attempt)
{
	kii_autofree char *name = fix_name(f, f->made, attempt);

	return toy_has(f->toy, name);
}

static bool has_log(const struct fix *f, int attempt)
{
	char id[KII_JOB_ID + 1];
	kii_autofree char *path = NULL;

	fix_id(f->made, id);
	path = worker_log_path(&f->w.lanes[LANE_PUBLIC], id, attempt);
	return access(path, F_OK) == 0;
}

/* --- tests --- */

static void a_job_is_run_and_its_end_recorded(void **state)
{
	struct fix *f = *state;
	kii_autojob job = { 0 };

	fix_queue(f);
	run_to_end(f, &job);
	expect_job(&job, KII_JOB_SUCCEEDED, "built", 1);
	expect_announced(f);
	assert_non_null(job.artifact);
	assert_true(fix_has_file(f->w.artifacts, job.artifact));
	assert_int_equal(job.exit_code, 0);
	assert_int_equal(job.log_bytes, 6);
	assert_null(job.error);
	assert_false(has_log(f, 1));
}

static void slots_run_jobs_side_by_side_and_one_after_the_other(void **state)
{
	struct fix *f = *state;
	const struct toy_plan plan = { .log = "x\n", .run_ms = 300 };

	toy_plan(f->toy, &plan);
	begin(f, 2);
	for (int i = 0; i < 5; i++)
		fix_queue(f);
	/* Both have one, and neither has ended: only then the third. */
	assert_true(toy_await(f->toy, START, 2));
	assert_int_equal(toy_asked(f->toy, REMOVE), 0);
	assert_true(toy_await(f->toy, REMOVE, 5));
	end(f);
	for (int i = 1; i <= 5; i++) {
		kii_autojob job = { 0 };

		fix_job(f, i, &job);
		expect_job(&job, KII_JOB_SUCCEEDED, "built", 1);
	}
}

static void three_attempts_and_the_job_is_lost(void **state)
{
	struct fix *f = *state;
	const struct toy_plan plan = { .log = "cut sho", .run_ms = 30, .exit_code = 137 };
	kii_autojob job = { 0 };

	toy_plan(f->toy, &plan);
	fix_queue(f);
	run_to_end(f, &job);
	expect_job(&job, KII_JOB_LOST, "engine", 3);
	assert_string_equal(job.error, "the container engine failed the build 3 times");
	assert_null(job.artifact);
	assert_int_equal(job.exit_code, -1);
	expect_announced(f);
	assert_int_equal(toy_asked(f->toy, START), 3);
	for (int attempt = 0; attempt < 3; attempt++) {
		kii_autofree char *log = fix_log(f, 1, attempt);

		assert_string_equal(log, "cut sho");
	}
	assert_false(has_log(f, 3));
}

static void a_second_attempt_may_succeed(void **state)
{
	struct fix *f = *state;
	kii_autofree char *log = NULL;
	kii_autojob job = { 0 };

	fault(f, START, TOY_REFUSE, 400, 1);
	fix_queue(f);
	run_to_end(f, &job);
	expect_job(&job, KII_JOB_SUCCEEDED, "built", 2);
	expect_announced(f);
	log = fix_log(f, 1, 0);
	assert_string_equal(log, "hello\n");
	assert_true(has_log(f, 1));
}

/* The earlier attempt's log would hide the beginning of the next one's. */
static void a_log_that_cannot_be_kept_is_not_gone_on_with(void **state)
{
	struct fix *f = *state;
	kii_autofree char *path = NULL, *in_the_way = NULL, *log = NULL;
	struct kii_error err = { 0 };
	kii_autojob job = { 0 };
	char id[KII_JOB_ID + 1];

	fix_queue(f);
	fix_id(1, id);
	path = worker_log_path(&f->w.lanes[LANE_PUBLIC], id, 0);
	in_the_way = kii_xfmt("%s/%s.1.log/x", f->w.lanes[LANE_PUBLIC].logs, id);
	must(kii_io_publish(path, "old", 3, 0640, &err));
	must(kii_io_mkdirs(in_the_way, 0700, &err));
	fault(f, START, TOY_REFUSE, 400, 1);
	run_to_end(f, &job);
	expect_job(&job, KII_JOB_SUCCEEDED, "built", 2);
	log = fix_log(f, 1, 0);
	assert_string_equal(log, "hello\n");
}

/* An earlier worker died between the log and the row. */
static void a_log_that_is_kept_already_stays(void **state)
{
	struct fix *f = *state;
	kii_autofree char *kept = NULL, *log = NULL;
	struct kii_error err = { 0 };
	kii_autojob job = { 0 };
	char id[KII_JOB_ID + 1];

	fix_queue(f);
	fix_id(1, id);
	kept = worker_log_path(&f->w.lanes[LANE_PUBLIC], id, 1);
	must(kii_io_publish(kept, "of then\n", 8, 0640, &err));
	fault(f, START, TOY_REFUSE, 400, 1);
	run_to_end(f, &job);
	expect_job(&job, KII_JOB_SUCCEEDED, "built", 2);
	log = fix_log(f, 1, 1);
	assert_string_equal(log, "of then\n");
}

static void a_job_that_was_cancelled_is_not_tried_again(void **state)
{
	struct fix *f = *state;
	kii_autojob job = { 0 };
	struct running *slot;
	char id[KII_JOB_ID + 1];

	fault(f, PUT, TOY_HOLD, 0, 1);
	fault(f, START, TOY_REFUSE, 400, 1);
	fix_queue(f);
	fix_id(1, id);
	begin(f, 1);
	assert_true(toy_await(f->toy, PUT, 1));
	pthread_mutex_lock(&f->w.lock);
	slot = queue_find(&f->w.lanes[LANE_PUBLIC], id);
	if (slot)
		atomic_store(&slot->cancel, true);
	pthread_mutex_unlock(&f->w.lock);
	assert_non_null(slot);
	toy_release(f->toy);
	assert_true(fix_await(is_over, f));
	assert_true(toy_await(f->toy, REMOVE, 1));
	end(f);
	fix_job(f, 1, &job);
	expect_job(&job, KII_JOB_CANCELLED, "cancelled", 1);
	assert_string_equal(job.error, "the build was cancelled");
	expect_announced(f);
	assert_int_equal(toy_asked(f->toy, START), 1);
}

static void a_job_that_makes_no_kll_is_lost_at_once(void **state)
{
	struct fix *f = *state;
	kii_autojob job = { 0 };

	free(f->request);
	f->request = kii_xstrdup("{}");
	fix_queue(f);
	begin(f, 1);
	assert_true(fix_await(is_over, f));
	assert_true(fix_await(is_left, f));
	end(f);
	fix_job(f, 1, &job);
	expect_job(&job, KII_JOB_LOST, "unfit", 1);
	assert_string_equal(job.error, "the server cannot run the build");
	expect_announced(f);
	assert_int_equal(toy_asked(f->toy, START), 0);
}

static void the_next_worker_takes_over_what_runs(void **state)
{
	struct fix *f = *state;
	const struct toy_plan plan = { .log = "words\n", .run_ms = TOY_FOR_EVER };
	kii_autofree char *name = NULL, *log = NULL;
	kii_autojob job = { 0 };

	toy_plan(f->toy, &plan);
	fix_queue(f);
	name = fix_name(f, 1, 1);
	begin(f, 1);
	assert_true(toy_await(f->toy, LOGS, 1));
	end(f);
	fix_job(f, 1, &job);
	assert_int_equal(job.state, KII_JOB_RUNNING);
	assert_true(is_left(f));
	assert_true(toy_has(f->toy, name));
	assert_null(f->w.ended);
	kii_job_release(&job);
	begin(f, 1);
	assert_true(toy_await(f->toy, LOGS, 2));
	toy_end(f->toy, name, 0);
	assert_true(fix_await(is_over, f));
	end(f);
	fix_job(f, 1, &job);
	expect_job(&job, KII_JOB_SUCCEEDED, "built", 1);
	log = fix_log(f, 1, 0);
	assert_string_equal(log, "words\n");
	assert_int_equal(toy_asked(f->toy, START), 1);
}

/* --- the database --- */

static void an_end_is_recorded_however_often_it_fails(void **state)
{
	static const enum kii_code codes[] = { KII_EBUSY, KII_EDB };
	struct fix *f = *state;

	for (size_t i = 0; i < KII_COUNT(codes); i++) {
		kii_autojob job = { 0 };

		failure = codes[i];
		atomic_store(&fail_finish, 3);
		fix_queue(f);
		run_to_end(f, &job);
		assert_int_equal(atomic_load(&fail_finish), 0);
		expect_job(&job, KII_JOB_SUCCEEDED, "built", 1);
	}
}

static void an_end_is_recorded_when_the_lock_is_gone(void **state)
{
	struct fix *f = *state;
	kii_autofree char *path = kii_xfmt("%s/queue/jobs.sqlite", f->conf.paths.state_dir);
	const struct toy_plan plan = { .log = "hello\n", .run_ms = 200 };
	struct kii_error err = { 0 };
	struct kii_store *other;
	kii_autojob job = { 0 };

	toy_plan(f->toy, &plan);
	must(kii_store_open(path, KII_STORE_WRITE, KII_JOBS_VERSION, NULL, 0, &other, &err));
	fix_queue(f);
	begin(f, 1);
	assert_true(toy_await(f->toy, LOGS, 1));
	must(kii_store_begin(other, &err));
	/* It has ended; its row cannot. */
	assert_true(toy_await(f->toy, "GET /containers/*/archive", 1));
	usleep(300000);
	kii_store_rollback(other);
	assert_true(fix_await(is_over, f));
	assert_true(toy_await(f->toy, REMOVE, 1));
	end(f);
	fix_job(f, 1, &job);
	expect_job(&job, KII_JOB_SUCCEEDED, "built", 1);
	kii_store_close(other);
}

static void an_end_that_was_not_recorded_is_found_by_the_next_worker(void **state)
{
	struct fix *f = *state;
	kii_autojob job = { 0 };

	atomic_store(&fail_finish, -1);
	fix_queue(f);
	begin(f, 1);
	assert_true(toy_await(f->toy, "GET /containers/*/archive", 1));
	usleep(100000);
	end(f);
	atomic_store(&fail_finish, 0);
	fix_job(f, 1, &job);
	assert_int_equal(job.state, KII_JOB_RUNNING);
	assert_true(has_container(f, 1));
	assert_null(f->w.ended);
	kii_job_release(&job);
	/* A new process knows of no slot. */
	memset(f->w.lanes[LANE_PUBLIC].running, 0,
			sizeof(f->w.lanes[LANE_PUBLIC].running));
	run_to_end(f, &job);
	expect_job(&job, KII_JOB_SUCCEEDED, "built", 1);
	assert_int_equal(toy_asked(f->toy, START), 1);
}

static void a_row_that_has_ended_otherwise_stays_so(void **state)
{
	const struct kii_job_end cancelled = { .state = KII_JOB_CANCELLED, .outcome = "cancelled",
		.exit_code = -1, .finished = 1 };
	struct fix *f = *state;
	struct kii_error err = { 0 };
	kii_autojob job = { 0 };

	fault(f, "GET /containers/*/archive", TOY_HOLD, 0, 1);
	fix_queue(f);
	begin(f, 1);
	assert_true(toy_await(f->toy, "GET /containers/*/archive", 1));
	fix_job(f, 1, &job);
	pthread_mutex_lock(&f->w.lock);
	must(kii_jobs_finish(f->w.lanes[LANE_PUBLIC].jobs, job.id, &cancelled, &err));
	pthread_mutex_unlock(&f->w.lock);
	kii_job_release(&job);
	toy_release(f->toy);
	assert_true(fix_await(is_left, f));
	assert_true(toy_await(f->toy, REMOVE, 1));
	end(f);
	fix_job(f, 1, &job);
	expect_job(&job, KII_JOB_CANCELLED, "cancelled", 1);
	expect_announced(f);
}

static void a_queue_that_cannot_be_read_is_read_again(void **state)
{
	struct fix *f = *state;
	kii_autojob job = { 0 };

	atomic_store(&fail_walk, 3);
	fix_queue(f);
	run_to_end(f, &job);
	assert_int_equal(atomic_load(&fail_walk), 0);
	expect_job(&job, KII_JOB_SUCCEEDED, "built", 1);
}

static void a_queue_that_cannot_be_read_does_not_hold_up_the_end(void **state)
{
	struct fix *f = *state;

	atomic_store(&fail_walk, -1);
	fix_queue(f);
	begin(f, 2);
	usleep(50000);
	end(f);
	atomic_store(&fail_walk, 0);
	assert_int_equal(toy_asked(f->toy, START), 0);
}

static void a_job_is_queued_again_when_the_database_lets_it(void **state)
{
	struct fix *f = *state;
	kii_autojob job = { 0 };

	atomic_store(&fail_requeue, 1);
	fault(f, START, TOY_REFUSE, 400, 1);
	fix_queue(f);
	run_to_end(f, &job);
	assert_int_equal(atomic_load(&fail_requeue), 0);
	expect_job(&job, KII_JOB_SUCCEEDED, "built", 2);
	assert_int_equal(toy_asked(f->toy, START), 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		FIX_TEST(a_job_is_run_and_its_end_recorded),
		FIX_TEST(slots_run_jobs_side_by_side_and_one_after_the_other),
		FIX_TEST(three_attempts_and_the_job_is_lost),
		FIX_TEST(a_second_attempt_may_succeed),
		FIX_TEST(a_log_that_cannot_be_kept_is_not_gone_on_with),
		FIX_TEST(a_log_that_is_kept_already_stays),
		FIX_TEST(a_job_that_was_cancelled_is_not_tried_again),
		FIX_TEST(a_job_that_makes_no_kll_is_lost_at_once),
		FIX_TEST(the_next_worker_takes_over_what_runs),
		FIX_TEST(an_end_is_recorded_however_often_it_fails),
		FIX_TEST(an_end_is_recorded_when_the_lock_is_gone),
		FIX_TEST(an_end_that_was_not_recorded_is_found_by_the_next_worker),
		FIX_TEST(a_row_that_has_ended_otherwise_stays_so),
		FIX_TEST(a_queue_that_cannot_be_read_is_read_again),
		FIX_TEST(a_queue_that_cannot_be_read_does_not_hold_up_the_end),
		FIX_TEST(a_job_is_queued_again_when_the_database_lets_it),
	};

	return cmocka_run_group_tests_name("run", tests, NULL, NULL);
}
