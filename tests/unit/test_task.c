/* SPDX-License-Identifier: MIT */
/* What the operator's jobs share, with kinds of work that the tests make up; pauses are short. */
#include <config.h>

#include "task.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "io.h"
#include "queue.h"
#include "run.h"
#include "testlib.h"
#include "workerfix.h"

static struct lane *lane(struct fix *f)
{
	return &f->w.lanes[LANE_OPERATOR];
}

/* Into the operator's queue: job 1, 2, ... */
static void add(struct fix *f, const char *kind, const char *request)
{
	struct kii_error err = { 0 };
	struct kii_job job = { .client = (char *)"ci", .subject = (char *)"x",
		.request = (char *)request, .created = kii_io_wall() };

	fix_id(++f->made, job.id);
	snprintf(job.kind, sizeof(job.kind), "%s", kind);
	snprintf(job.key, sizeof(job.key), "%d", f->made);
	must(kii_jobs_insert(lane(f)->jobs, &job, &err));
}

static void get(struct fix *f, int n, struct kii_job *job)
{
	struct kii_error err = { 0 };
	char id[KII_JOB_ID + 1];

	kii_job_release(job);
	fix_id(n, id);
	must(kii_jobs_get(lane(f)->jobs, id, job, &err));
}

/* The number of the job that a slot got; 0: none. */
static int claim(struct fix *f, struct kii_job *job, struct running **slot)
{
	struct kii_error err = { 0 };
	int rc = queue_claim(lane(f), job, slot, &err);

	assert_true(rc >= 0);
	return rc ? (int)strtol(job->id, NULL, 10) : 0;
}

/* Claim the next job and do this work; the row afterwards. */
static void run(struct fix *f, const struct task_kind *kind, struct kii_job *after)
{
	kii_autojob job = { .attempts = 0 };
	struct running *slot = NULL;
	int n = claim(f, &job, &slot);

	assert_true(n > 0);
	task_run(lane(f), &job, slot, kind);
	assert_false(slot->used);
	get(f, n, after);
}

static void expect_log(struct fix *f, int n, int attempt, const char *want)
{
	kii_autobuf text = KII_BUF_INIT(1u << 20);
	kii_autofree char *path = NULL;
	struct kii_error err = { 0 };
	char id[KII_JOB_ID + 1];

	fix_id(n, id);
	path = worker_log_path(lane(f), id, attempt);
	must(kii_io_read(path, &text, &err));
	assert_string_equal(text.data, want);
}

static void expect(const struct kii_job *job, enum kii_job_state state, const char *outcome,
	const char *error)
{
	assert_string_equal(kii_job_state_name(job->state), kii_job_state_name(state));
	assert_string_equal(job->outcome ? job->outcome : "", outcome);
	if (!strstr(job->error ? job->error : "", error))
		fail_msg("%s, not %s", job->error, error);
}

/* --- kinds of work --- */

static int do_well(struct task *t, struct kii_error *err)
{
	assert_int_equal(json_integer_value(json_object_get(t->request, "x")), 1);
	assert_true(task_say(t, "line %d", 1));
	assert_true(task_write(t, "raw", 3));
	task_progress(t, "step 1/2");
	task_progress(t, "step 2/2");
	assert_int_equal(task_image(t, "sha256:bb", err), 0);
	t->outcome = "done";
	return 0;
}

static int do_badly(struct task *t, struct kii_error *err)
{
	kii_error_set(err, KII_EDOWN, 0, "what came first");
	return task_fail(t, err, "bad_luck", "it went %s", "wrong");
}

static enum kii_code trouble;

static int have_trouble(struct task *t, struct kii_error *err)
{
	task_say(t, "attempt %d", t->job->attempts);
	return kii_error_set(err, trouble, 0, "the engine's own words");
}

static int wait_for_end(struct task *t, struct kii_error *err)
{
	task_say(t, "begun");
	while (task_may_go_on(t))
		usleep(1000);
	assert_false(task_write(t, "", 0));
	return kii_error_set(err, KII_ETIMEOUT, 0, "told to end");
}

static int be_cancelled(struct task *t, struct kii_error *err)
{
	atomic_store(&t->slot->cancel, true);
	return wait_for_end(t, err);
}

static int see_the_worker_end(struct task *t, struct kii_error *err)
{
	atomic_store(&t->w->stop, true);
	return wait_for_end(t, err);
}

static int lose_the_disk(struct task *t, struct kii_error *err)
{
	close(t->spool.fd);
	t->spool.fd = open("/dev/full", O_WRONLY | O_CLOEXEC);
	return wait_for_end(t, err);
}

static const struct task_kind
	well = { do_well, 60000, 0 },
	badly = { do_badly, 60000, 0 },
	troubled = { have_trouble, 60000, 0 },
	short_of_time = { wait_for_end, 30, 60000 },
	silent = { wait_for_end, 60000, 30 },
	cancelled = { be_cancelled, 60000, 0 },
	ended = { see_the_worker_end, 60000, 0 },
	diskless = { lose_the_disk, 60000, 0 };

/* --- tests --- */

static void a_job_that_goes_well_says_what_it_made(void **state)
{
	struct fix *f = *state;
	kii_autojob job = { .attempts = 0 };

	add(f, "pull", "{\"x\":1}");
	run(f, &well, &job);
	expect(&job, KII_JOB_SUCCEEDED, "done", "");
	assert_null(job.error);
	assert_string_equal(job.image, "sha256:bb");
	assert_string_equal(job.progress, "step 2/2");
	assert_int_equal(job.log_bytes, 10);
	assert_int_equal(job.attempts, 1);
	assert_int_equal(job.exit_code, -1);
	expect_log(f, 1, 0, "line 1\nraw");
}

static void a_job_that_fails_says_why_in_its_log_too(void **state)
{
	struct fix *f = *state;
	kii_autojob job = { .attempts = 0 };

	add(f, "pull", "{}");
	run(f, &badly, &job);
	expect(&job, KII_JOB_FAILED, "bad_luck", "it went wrong");
	expect_log(f, 1, 0, "\n[kiisrv: it went wrong]\n");
}

static void an_engine_in_trouble_gets_three_attempts(void **state)
{
	static const enum kii_code codes[] = { KII_EDOWN, KII_EBROKEN, KII_ETIMEOUT };
	struct fix *f = *state;
	kii_autojob job = { .attempts = 0 };

	for (int i = 0; i < (int)KII_COUNT(codes); i++) {
		trouble = codes[i];
		add(f, "pull", "{}");
		for (int attempt = 1; attempt < WORKER_ATTEMPTS; attempt++) {
			run(f, &troubled, &job);
			assert_int_equal(job.state, KII_JOB_QUEUED);
			assert_int_equal(job.attempts, attempt);
			/* What the one before ran in is looked for. */
			assert_int_equal(f->w.untidy, attempt > 1);
			f->w.untidy = false;
		}
		run(f, &troubled, &job);
		assert_true(f->w.untidy);
		f->w.untidy = false;
		expect(&job, KII_JOB_LOST, "engine", "the container engine failed");
		assert_null(strstr(job.error, "own words"));
		expect_log(f, i + 1, 1, "attempt 1\n");
		expect_log(f, i + 1, 2, "attempt 2\n");
		expect_log(f, i + 1, 0, "attempt 3\n\n[kiisrv: the container engine failed the "
			"job]\n");
	}
}

static void other_errors_end_it_at_once(void **state)
{
	static const struct { enum kii_code code; enum kii_job_state state; const char *outcome; }
	cases[] = {
		{ KII_EREFUSED, KII_JOB_FAILED, "failed" },
		{ KII_ENOTFOUND, KII_JOB_FAILED, "failed" },
		{ KII_EIO, KII_JOB_LOST, "server" },
		{ KII_EDB, KII_JOB_LOST, "server" },
		{ KII_EBUSY, KII_JOB_LOST, "server" },
		{ KII_EINVAL, KII_JOB_LOST, "unfit" },
	};
	struct fix *f = *state;
	kii_autojob job = { .attempts = 0 };

	for (size_t i = 0; i < KII_COUNT(cases); i++) {
		trouble = cases[i].code;
		add(f, "pull", "{}");
		run(f, &troubled, &job);
		expect(&job, cases[i].state, cases[i].outcome, "");
		assert_null(strstr(job.error, "own words"));
	}
}

static void it_is_ended_by_wish_and_by_the_clock(void **state)
{
	static const struct { const struct task_kind *kind; enum kii_job_state state;
		const char *outcome; } cases[] = {
		{ &cancelled, KII_JOB_CANCELLED, "cancelled" },
		{ &short_of_time, KII_JOB_TIMED_OUT, "timeout" },
		{ &silent, KII_JOB_TIMED_OUT, "silence" },
		{ &diskless, KII_JOB_LOST, "disk" },
	};
	struct fix *f = *state;
	kii_autojob job = { .attempts = 0 };

	for (size_t i = 0; i < KII_COUNT(cases); i++) {
		add(f, "pull", "{}");
		run(f, cases[i].kind, &job);
		expect(&job, cases[i].state, cases[i].outcome, "");
	}
}

static void a_wish_from_before_is_heeded(void **state)
{
	struct fix *f = *state;
	kii_autojob job = { .attempts = 0 };
	struct kii_error err = { 0 };

	add(f, "pull", "{}");
	get(f, 1, &job);
	must(kii_jobs_cancel_wish(lane(f)->jobs, job.id, 7, &err));
	run(f, &well, &job);
	expect(&job, KII_JOB_CANCELLED, "cancelled", "");
}

static void what_the_worker_left_is_begun_anew_three_times(void **state)
{
	struct fix *f = *state;
	kii_autojob job = { .attempts = 0 };

	add(f, "pull", "{}");
	for (int attempt = 1; attempt <= WORKER_ATTEMPTS; attempt++) {
		run(f, &ended, &job);
		atomic_store(&f->w.stop, false);
		assert_int_equal(job.state, KII_JOB_RUNNING);
		assert_int_equal(job.attempts, attempt);
		expect_log(f, 1, 0, "begun\n");
	}
	run(f, &well, &job);
	expect(&job, KII_JOB_LOST, "interrupted", "the job was interrupted 3 times");
	assert_int_equal(job.attempts, 3);
	expect_log(f, 1, 1, "begun\n");
	expect_log(f, 1, 2, "begun\n");
}

static void an_engine_that_comes_back_costs_no_attempt(void **state)
{
	struct fix *f = *state;
	kii_autojob job = { .attempts = 0 };
	struct toy_fault away = { .match = "GET /_ping", .trouble = TOY_DROP, .times = 3 };

	toy_fault(f->toy, &away);
	add(f, "pull", "{\"x\":1}");
	run(f, &well, &job);
	expect(&job, KII_JOB_SUCCEEDED, "done", "");
	assert_int_equal(job.attempts, 1);
	toy_faults_clear(f->toy);
	away.times = 0;
	toy_fault(f->toy, &away);
	add(f, "pull", "{}");
	run(f, &well, &job);
	assert_int_equal(job.state, KII_JOB_QUEUED);
}

static void a_job_that_cannot_be_prepared_is_lost(void **state)
{
	struct fix *f = *state;
	kii_autojob job = { .attempts = 0 };
	struct kii_error err = { 0 };

	add(f, "pull", "no json");
	run(f, &well, &job);
	expect(&job, KII_JOB_LOST, "unfit", "the server cannot run the job");
	must(kii_io_remove_tree(lane(f)->logs, &err));
	add(f, "pull", "{}");
	run(f, &well, &job);
	expect(&job, KII_JOB_LOST, "server", "the server failed the job");
}

static void pulls_and_other_work_have_slots_of_their_own(void **state)
{
	struct fix *f = *state;
	struct running *slots[6] = { NULL };
	kii_autojob job = { .attempts = 0 };
	int64_t place = -1;
	struct kii_error err = { 0 };
	char id[KII_JOB_ID + 1];

	lane(f)->slots[GROUP_WORK] = 1;
	lane(f)->slots[GROUP_PULL] = 2;
	for (int i = 0; i < 3; i++)
		add(f, "push", "{}");
	for (int i = 0; i < 3; i++)
		add(f, "pull", "{}");
	fix_id(5, id);
	must(queue_place(lane(f), id, &place, &err));
	assert_int_equal(place, 2);
	assert_int_equal(claim(f, &job, &slots[0]), 1);
	kii_job_release(&job);
	assert_int_equal(claim(f, &job, &slots[1]), 4);
	kii_job_release(&job);
	assert_int_equal(claim(f, &job, &slots[2]), 5);
	kii_job_release(&job);
	assert_int_equal(claim(f, &job, &slots[3]), 0);
	queue_leave(slots[1]);
	/* It is running still, and nobody has it. */
	assert_int_equal(claim(f, &job, &slots[1]), 4);
	assert_int_equal(job.attempts, 2);
	kii_job_release(&job);
	must(kii_jobs_finish(lane(f)->jobs, slots[2]->id, &(struct kii_job_end){
		.state = KII_JOB_SUCCEEDED, .finished = 1 }, &err));
	queue_leave(slots[2]);
	assert_int_equal(claim(f, &job, &slots[2]), 6);
}

static void a_slot_gives_up_what_no_kind_is(void **state)
{
	struct fix *f = *state;
	kii_autojob job = { .attempts = 0 };
	pthread_t thread;

	add(f, "newer", "{}");
	assert_int_equal(pthread_create(&thread, NULL, run_slot, lane(f)), 0);
	for (int64_t until = kii_io_now() + 10000; !kii_job_state_final(job.state) &&
			kii_io_now() < until; usleep(1000)) {
		pthread_mutex_lock(&f->w.lock);
		get(f, 1, &job);
		pthread_mutex_unlock(&f->w.lock);
	}
	pthread_mutex_lock(&f->w.lock);
	atomic_store(&f->w.stop, true);
	pthread_cond_broadcast(&lane(f)->work_to_do);
	pthread_mutex_unlock(&f->w.lock);
	pthread_join(thread, NULL);
	expect(&job, KII_JOB_LOST, "unfit", "does not know this kind");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		FIX_TEST(a_job_that_goes_well_says_what_it_made),
		FIX_TEST(a_job_that_fails_says_why_in_its_log_too),
		FIX_TEST(an_engine_in_trouble_gets_three_attempts),
		FIX_TEST(other_errors_end_it_at_once),
		FIX_TEST(it_is_ended_by_wish_and_by_the_clock),
		FIX_TEST(a_wish_from_before_is_heeded),
		FIX_TEST(what_the_worker_left_is_begun_anew_three_times),
		FIX_TEST(an_engine_that_comes_back_costs_no_attempt),
		FIX_TEST(a_job_that_cannot_be_prepared_is_lost),
		FIX_TEST(pulls_and_other_work_have_slots_of_their_own),
		FIX_TEST(a_slot_gives_up_what_no_kind_is),
	};

	return cmocka_run_group_tests_name("task", tests, NULL, NULL);
}
