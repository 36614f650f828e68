/* SPDX-License-Identifier: MIT */
#include <config.h>

#include "jobs.h"

#include <sqlite3.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "buf.h"
#include "io.h"
#include "testlib.h"

/* What was promised last: the disk's word cannot be asked for. */
static int promised = -1;

int __real_kii_store_durable(struct kii_store *s, bool full, struct kii_error *err);
int __wrap_kii_store_durable(struct kii_store *s, bool full, struct kii_error *err);

int __wrap_kii_store_durable(struct kii_store *s, bool full, struct kii_error *err)
{
	promised = full;
	return __real_kii_store_durable(s, full, err);
}

struct place {
	char *dir;
	char *db;
	struct kii_jobs *jobs;
};

static int set_up(void **state)
{
	struct place *p = kii_xcalloc(1, sizeof(*p));
	kii_autofree char *schema = test_source("schema");
	struct kii_error err = { 0 };

	p->dir = test_dir_new();
	p->db = kii_xfmt("%s/jobs.sqlite", p->dir);
	must(kii_jobs_migrate(p->db, schema, &err));
	must(kii_jobs_open(p->db, KII_STORE_WRITE, &p->jobs, &err));
	*state = p;
	return 0;
}

static int tear_down(void **state)
{
	struct place *p = *state;

	kii_jobs_close(p->jobs);
	test_dir_remove(p->dir);
	free(p->dir);
	free(p->db);
	free(p);
	return 0;
}

/* The id of job `n`: "...0000n". */
static const char *id_of(int n)
{
	static char ids[4][KII_JOB_ID + 1];
	static int turn;
	char *id = ids[turn++ % 4];

	snprintf(id, sizeof(ids[0]), "%032x", (unsigned)n);
	return id;
}

static struct kii_job job_of(int n, const char *key)
{
	struct kii_job job = { .kind = "firmware", .client = (char *)"192.0.2.1",
		.subject = (char *)"MD1", .release = (char *)"controller-057",
		.image = (char *)"sha256:1", .request = (char *)"{\"a\":1}", .created = 1000 + n };

	snprintf(job.id, sizeof(job.id), "%s", id_of(n));
	snprintf(job.key, sizeof(job.key), "%s", key);
	return job;
}

static void insert(struct place *p, int n, const char *key)
{
	struct kii_job job = job_of(n, key);
	struct kii_error err = { 0 };

	must(kii_jobs_insert(p->jobs, &job, &err));
}

static int finish(struct place *p, int n, enum kii_job_state state, const char *outcome,
	const char *artifact, int64_t finished, struct kii_error *err)
{
	struct kii_job_end end = { .state = state, .exit_code = state == KII_JOB_FAILED ? 1 : -1,
		.outcome = outcome, .error = outcome, .artifact = artifact, .artifact_bytes = 70,
		.log_bytes = 9, .finished = finished };

	return kii_jobs_finish(p->jobs, id_of(n), &end, err);
}

/* Queue, run and end a job. */
static void whole(struct place *p, int n, const char *key, enum kii_job_state state,
	const char *outcome, const char *artifact, int64_t duration)
{
	struct kii_error err = { 0 };

	insert(p, n, key);
	must(kii_jobs_start(p->jobs, id_of(n), 1, 2000 + n, &err));
	must(finish(p, n, state, outcome, artifact, 2000 + n + duration, &err));
}

static void assert_state(struct place *p, int n, enum kii_job_state want)
{
	struct kii_error err = { 0 };
	kii_autojob job = { 0 };

	must(kii_jobs_get(p->jobs, id_of(n), &job, &err));
	assert_string_equal(kii_job_state_name(job.state), kii_job_state_name(want));
}

/* --- names --- */

static void states_have_names_both_ways(void **state)
{
	(void)state;
	for (int i = 0; i < KII_JOB__MAX; i++)
		assert_int_equal(kii_job_state_find(kii_job_state_name((enum kii_job_state)i)), i);
	assert_int_equal(kii_job_state_find("nowhere"), KII_JOB__MAX);
	assert_string_equal(kii_job_state_name(KII_JOB__MAX), "unknown");
	assert_false(kii_job_state_final(KII_JOB_QUEUED));
	assert_false(kii_job_state_final(KII_JOB_RUNNING));
	assert_true(kii_job_state_final(KII_JOB_SUCCEEDED));
	assert_true(kii_job_state_final(KII_JOB_LOST));
	assert_false(kii_job_state_final(KII_JOB__MAX));
}

static void ids_are_32_small_hex_digits(void **state)
{
	(void)state;
	assert_true(kii_job_id_valid("0123456789abcdef0123456789abcdef"));
	assert_false(kii_job_id_valid("0123456789abcdef0123456789abcde"));
	assert_false(kii_job_id_valid("0123456789abcdef0123456789abcdef0"));
	assert_false(kii_job_id_valid("0123456789ABCDEF0123456789abcdef"));
	assert_false(kii_job_id_valid("../3456789abcdef0123456789abcdef"));
	assert_false(kii_job_id_valid(""));
}

/* --- one job's life --- */

static void a_new_job_is_queued_with_what_was_given(void **state)
{
	struct place *p = *state;
	struct kii_job given = job_of(1, "k");
	struct kii_error err = { 0 };
	kii_autojob job = { 0 };

	given.fresh = true;
	must(kii_jobs_insert(p->jobs, &given, &err));
	must(kii_jobs_get(p->jobs, id_of(1), &job, &err));
	assert_string_equal(job.id, given.id);
	assert_string_equal(job.kind, "firmware");
	assert_string_equal(job.key, "k");
	assert_int_equal(job.state, KII_JOB_QUEUED);
	assert_string_equal(job.client, "192.0.2.1");
	assert_string_equal(job.subject, "MD1");
	assert_string_equal(job.release, "controller-057");
	assert_string_equal(job.image, "sha256:1");
	assert_string_equal(job.request, "{\"a\":1}");
	assert_int_equal(job.created, 1001);
	assert_int_equal(job.started, 0);
	assert_int_equal(job.finished, 0);
	assert_int_equal(job.attempts, 0);
	assert_int_equal(job.exit_code, -1);
	assert_null(job.container_id);
	assert_null(job.artifact);
	assert_int_equal(job.answered, 0);
	assert_int_equal(job.cancel, 0);
	assert_true(job.fresh);
}

static void an_unknown_job_is_not_found(void **state)
{
	struct place *p = *state;
	struct kii_job_end end = { .state = KII_JOB_LOST };
	struct kii_error err = { 0 };
	kii_autojob job = { 0 };
	int64_t place;

	must_fail(kii_jobs_get(p->jobs, id_of(1), &job, &err), KII_ENOTFOUND);
	must_fail(kii_jobs_place(p->jobs, id_of(1), &place, &err), KII_ENOTFOUND);
	must_fail(kii_jobs_start(p->jobs, id_of(1), 1, 1, &err), KII_ENOTFOUND);
	must_fail(kii_jobs_requeue(p->jobs, id_of(1), &err), KII_ENOTFOUND);
	must_fail(kii_jobs_finish(p->jobs, id_of(1), &end, &err), KII_ENOTFOUND);
	must_fail(kii_jobs_set_container(p->jobs, id_of(1), "c", &err), KII_ENOTFOUND);
	must_fail(kii_jobs_progress(p->jobs, id_of(1), "p", &err), KII_ENOTFOUND);
	must_fail(kii_jobs_cancel_wish(p->jobs, id_of(1), 1, &err), KII_ENOTFOUND);
	must_fail(kii_jobs_answered(p->jobs, id_of(1), 1, &err), KII_ENOTFOUND);
	must_fail(kii_jobs_forget_artifact(p->jobs, id_of(1), &err), KII_ENOTFOUND);
	must_fail(kii_jobs_delete(p->jobs, id_of(1), &err), KII_ENOTFOUND);
}

static void a_job_runs_is_queued_again_and_ends(void **state)
{
	struct place *p = *state;
	struct kii_error err = { 0 };
	kii_autojob again = { 0 };
	kii_autojob job = { 0 };

	insert(p, 1, "k");
	must(kii_jobs_start(p->jobs, id_of(1), 1, 2000, &err));
	must(kii_jobs_set_container(p->jobs, id_of(1), "c1", &err));
	must(kii_jobs_progress(p->jobs, id_of(1), "halfway", &err));
	must(kii_jobs_requeue(p->jobs, id_of(1), &err));
	must(kii_jobs_get(p->jobs, id_of(1), &again, &err));
	assert_int_equal(again.state, KII_JOB_QUEUED);
	assert_int_equal(again.attempts, 1);
	assert_int_equal(again.started, 0);
	assert_null(again.container_id);
	assert_null(again.progress);
	must(kii_jobs_start(p->jobs, id_of(1), 2, 3000, &err));
	must(kii_jobs_set_container(p->jobs, id_of(1), "c2", &err));
	must(kii_jobs_progress(p->jobs, id_of(1), "nearly", &err));
	must(kii_jobs_cancel_wish(p->jobs, id_of(1), 3100, &err));
	must(kii_jobs_cancel_wish(p->jobs, id_of(1), 3200, &err));
	must(finish(p, 1, KII_JOB_FAILED, "build_failed", "MD1_error.zip", 4000, &err));
	must(kii_jobs_answered(p->jobs, id_of(1), 4100, &err));
	must(kii_jobs_get(p->jobs, id_of(1), &job, &err));
	assert_int_equal(job.state, KII_JOB_FAILED);
	assert_int_equal(job.attempts, 2);
	assert_int_equal(job.started, 3000);
	assert_int_equal(job.finished, 4000);
	assert_string_equal(job.container_id, "c2");
	assert_string_equal(job.progress, "nearly");
	assert_int_equal(job.exit_code, 1);
	assert_string_equal(job.outcome, "build_failed");
	assert_string_equal(job.error, "build_failed");
	assert_string_equal(job.artifact, "MD1_error.zip");
	assert_int_equal(job.artifact_bytes, 70);
	assert_int_equal(job.log_bytes, 9);
	assert_int_equal(job.answered, 4100);
	assert_int_equal(job.cancel, 3100);
}

/* Put a fresh job into `from`, then try to get it to `to`. */
static int try_transition(struct place *p, int n, enum kii_job_state from, enum kii_job_state to,
	struct kii_error *why)
{
	kii_autofree char *key = kii_xfmt("key%d", n);
	struct kii_error err = { 0 };

	insert(p, n, key);
	if (from != KII_JOB_QUEUED)
		must(kii_jobs_start(p->jobs, id_of(n), 1, 1, &err));
	if (kii_job_state_final(from))
		must(finish(p, n, from, NULL, NULL, 2, &err));
	assert_state(p, n, from);
	if (to == KII_JOB_QUEUED)
		return kii_jobs_requeue(p->jobs, id_of(n), why);
	if (to == KII_JOB_RUNNING)
		return kii_jobs_start(p->jobs, id_of(n), 2, 3, why);
	return finish(p, n, to, NULL, NULL, 4, why);
}

static void the_newest_of_a_key_is_found_whatever_it_became(void **state)
{
	struct place *p = *state;
	const struct kii_job_end end = { .state = KII_JOB_LOST, .exit_code = -1, .finished = 9 };
	struct kii_error err = { 0 };
	kii_autojob job = { 0 };

	assert_int_equal(kii_jobs_newest(p->jobs, "firmware", "k", &job, &err), 0);
	insert(p, 1, "k");
	must(kii_jobs_start(p->jobs, id_of(1), 1, 5, &err));
	must(kii_jobs_set_image(p->jobs, id_of(1), "sha256:made", &err));
	must(kii_jobs_finish(p->jobs, id_of(1), &end, &err));
	must_fail(kii_jobs_set_image(p->jobs, id_of(1), "sha256:late", &err), KII_ECONFLICT);
	must_fail(kii_jobs_set_image(p->jobs, id_of(9), "x", &err), KII_ENOTFOUND);
	assert_int_equal(kii_jobs_newest(p->jobs, "firmware", "k", &job, &err), 1);
	assert_string_equal(job.id, id_of(1));
	assert_string_equal(job.image, "sha256:made");
	assert_non_null(job.request);
	kii_job_release(&job);
	insert(p, 2, "k");
	assert_int_equal(kii_jobs_newest(p->jobs, "firmware", "k", &job, &err), 1);
	assert_string_equal(job.id, id_of(2));
	kii_job_release(&job);
	assert_int_equal(kii_jobs_newest(p->jobs, "other", "k", &job, &err), 0);
}

static void only_legal_transitions_happen(void **state)
{
	static const char *const legal[KII_JOB__MAX] = {
		/* to: Queued Running Succeeded Failed Timed-out Cancelled Lost */
		[KII_JOB_QUEUED]  = "-R-F-CL",
		[KII_JOB_RUNNING] = "Q-SFTCL",
		[KII_JOB_SUCCEEDED] = "-------", [KII_JOB_FAILED] = "-------",
		[KII_JOB_TIMED_OUT] = "-------", [KII_JOB_CANCELLED] = "-------",
		[KII_JOB_LOST] = "-------",
	};
	struct place *p = *state;
	struct kii_error err = { 0 };
	int n = 0;

	for (int from = 0; from < KII_JOB__MAX; from++) {
		for (int to = 0; to < KII_JOB__MAX; to++) {
			enum kii_job_state a = (enum kii_job_state)from;
			enum kii_job_state b = (enum kii_job_state)to;

			if (legal[from][to] != '-') {
				must(try_transition(p, ++n, a, b, &err));
				assert_state(p, n, b);
			} else {
				must_fail(try_transition(p, ++n, a, b, &err), KII_ECONFLICT);
				assert_state(p, n, a);
			}
		}
	}
	insert(p, 99, "k");
	must_fail(finish(p, 99, KII_JOB_RUNNING, NULL, NULL, 1, &err), KII_EINVAL);
	must_fail(finish(p, 99, KII_JOB__MAX, NULL, NULL, 1, &err), KII_EINVAL);
}

static void a_refused_transition_names_the_state(void **state)
{
	struct place *p = *state;
	struct kii_error err = { 0 };

	insert(p, 1, "k");
	must_fail(kii_jobs_set_container(p->jobs, id_of(1), "c", &err), KII_ECONFLICT);
	must_fail(kii_jobs_progress(p->jobs, id_of(1), "p", &err), KII_ECONFLICT);
	must_fail(kii_jobs_forget_artifact(p->jobs, id_of(1), &err), KII_ECONFLICT);
	assert_int_equal(kii_jobs_delete(p->jobs, id_of(1), &err), -1);
	assert_string_equal(err.msg, "the job is queued");
	kii_error_clear(&err);
	must(finish(p, 1, KII_JOB_CANCELLED, NULL, NULL, 1, &err));
	assert_int_equal(kii_jobs_cancel_wish(p->jobs, id_of(1), 1, &err), -1);
	assert_string_equal(err.msg, "the job is cancelled");
}

/* --- keys --- */

static void a_key_has_one_live_job(void **state)
{
	struct place *p = *state;
	struct kii_job second = job_of(2, "k");
	struct kii_job other = job_of(3, "k");
	struct kii_error err = { 0 };
	kii_autojob live = { 0 };

	assert_int_equal(kii_jobs_live(p->jobs, "firmware", "k", &live, &err), 0);
	insert(p, 1, "k");
	must_fail(kii_jobs_insert(p->jobs, &second, &err), KII_ECONFLICT);
	must(kii_jobs_start(p->jobs, id_of(1), 1, 1, &err));
	must_fail(kii_jobs_insert(p->jobs, &second, &err), KII_ECONFLICT);
	snprintf(other.kind, sizeof(other.kind), "image");
	must(kii_jobs_insert(p->jobs, &other, &err));
	assert_int_equal(kii_jobs_live(p->jobs, "firmware", "k", &live, &err), 1);
	assert_string_equal(live.id, id_of(1));
	assert_int_equal(live.state, KII_JOB_RUNNING);
	assert_null(live.request);
	must(finish(p, 1, KII_JOB_LOST, NULL, NULL, 1, &err));
	must(kii_jobs_insert(p->jobs, &second, &err));
	must_fail(kii_jobs_insert(p->jobs, &second, &err), KII_ECONFLICT);
}

static void only_good_and_build_failed_ends_are_remembered(void **state)
{
	struct place *p = *state;
	struct kii_error err = { 0 };
	kii_autojob first = { 0 };
	kii_autojob second = { 0 };
	kii_autojob none = { 0 };

	whole(p, 1, "k", KII_JOB_TIMED_OUT, "timed_out", "a_error.zip", 5);
	whole(p, 2, "k", KII_JOB_FAILED, "out_of_memory", "b_error.zip", 5);
	whole(p, 3, "k", KII_JOB_LOST, "engine", NULL, 5);
	whole(p, 4, "k", KII_JOB_SUCCEEDED, NULL, NULL, 5);
	whole(p, 5, "other", KII_JOB_SUCCEEDED, NULL, "c.zip", 5);
	assert_int_equal(kii_jobs_remembered(p->jobs, "firmware", "k", &none, &err), 0);
	whole(p, 6, "k", KII_JOB_FAILED, "build_failed", "d_error.zip", 5);
	assert_int_equal(kii_jobs_remembered(p->jobs, "firmware", "k", &first, &err), 1);
	assert_string_equal(first.artifact, "d_error.zip");
	whole(p, 7, "k", KII_JOB_SUCCEEDED, NULL, "e.zip", 5);
	assert_int_equal(kii_jobs_remembered(p->jobs, "firmware", "k", &second, &err), 1);
	assert_string_equal(second.id, id_of(7));
	must(kii_jobs_forget_artifact(p->jobs, id_of(6), &err));
	must(kii_jobs_forget_artifact(p->jobs, id_of(7), &err));
	assert_int_equal(kii_jobs_remembered(p->jobs, "firmware", "k", &none, &err), 0);
	assert_int_equal(kii_jobs_remembered(p->jobs, "image", "other", &none, &err), 0);
}

/* --- the queue --- */

static bool note_id(void *arg, const struct kii_job *job)
{
	struct kii_buf *b = arg;

	kii_buf_fmt(b, "%s%ld", b->len ? " " : "", strtol(job->id, NULL, 16));
	return true;
}

static bool note_two(void *arg, const struct kii_job *job)
{
	struct kii_buf *b = arg;

	note_id(arg, job);
	return strchr(b->data, ' ') == NULL;
}

static void the_queue_is_counted_and_ordered(void **state)
{
	struct place *p = *state;
	struct kii_job job = job_of(4, "k4");
	struct kii_error err = { 0 };
	kii_autobuf order = KII_BUF_INIT(1000);
	int64_t n;

	whole(p, 9, "k9", KII_JOB_SUCCEEDED, NULL, "a.zip", 5);
	insert(p, 3, "k3");
	insert(p, 1, "k1");
	insert(p, 2, "k2");
	job.created = 1002;
	job.client = (char *)"192.0.2.2";
	must(kii_jobs_insert(p->jobs, &job, &err));
	must(kii_jobs_start(p->jobs, id_of(1), 1, 2000, &err));
	must(kii_jobs_queued_count(p->jobs, &n, &err));
	assert_int_equal(n, 3);
	must(kii_jobs_waiting_of(p->jobs, "192.0.2.1", &n, &err));
	assert_int_equal(n, 3);
	must(kii_jobs_waiting_of(p->jobs, "192.0.2.2", &n, &err));
	assert_int_equal(n, 1);
	must(kii_jobs_waiting_of(p->jobs, "192.0.2.3", &n, &err));
	assert_int_equal(n, 0);
	must(kii_jobs_each_live(p->jobs, note_id, &order, &err));
	assert_string_equal(order.data, "1 2 4 3");
	must(kii_jobs_place(p->jobs, id_of(1), &n, &err));
	assert_int_equal(n, 0);
	must(kii_jobs_place(p->jobs, id_of(2), &n, &err));
	assert_int_equal(n, 1);
	must(kii_jobs_place(p->jobs, id_of(4), &n, &err));
	assert_int_equal(n, 2);
	must(kii_jobs_place(p->jobs, id_of(3), &n, &err));
	assert_int_equal(n, 3);
	must(kii_jobs_place(p->jobs, id_of(9), &n, &err));
	assert_int_equal(n, 0);
	kii_buf_reset(&order);
	must(kii_jobs_each_live(p->jobs, note_two, &order, &err));
	assert_string_equal(order.data, "1 2");
}

static bool start_it(void *arg, const struct kii_job *job)
{
	struct place *p = arg;
	struct kii_error err = { 0 };

	assert_null(job->request);
	must(kii_jobs_start(p->jobs, job->id, 1, 1, &err));
	return true;
}

static void a_walk_may_change_what_it_walks_over(void **state)
{
	struct place *p = *state;
	struct kii_error err = { 0 };
	int64_t n;

	for (int i = 0; i < 200; i++) {
		kii_autofree char *key = kii_xfmt("k%d", i);

		insert(p, i, key);
	}
	must(kii_jobs_each_live(p->jobs, start_it, p, &err));
	must(kii_jobs_queued_count(p->jobs, &n, &err));
	assert_int_equal(n, 0);
}

static void estimates_are_medians_of_the_last_twenty(void **state)
{
	struct place *p = *state;
	struct kii_error err = { 0 };
	int64_t ms;

	must(kii_jobs_estimate(p->jobs, "firmware", "MD1", &ms, &err));
	assert_int_equal(ms, -1);
	whole(p, 1, "k", KII_JOB_FAILED, "build_failed", "x_error.zip", 7);
	must(kii_jobs_estimate(p->jobs, "firmware", NULL, &ms, &err));
	assert_int_equal(ms, -1);
	for (int i = 2; i < 22; i++)
		whole(p, i, "k", KII_JOB_SUCCEEDED, NULL, "a.zip", 100000 + i);
	must(kii_jobs_estimate(p->jobs, "firmware", "MD1", &ms, &err));
	assert_int_equal(ms, 100011);
	must(kii_jobs_estimate(p->jobs, "firmware", "Kira", &ms, &err));
	assert_int_equal(ms, 100011);
	must(kii_jobs_estimate(p->jobs, "image", "MD1", &ms, &err));
	assert_int_equal(ms, -1);
	for (int i = 22; i < 42; i++)
		whole(p, i, "k", KII_JOB_SUCCEEDED, NULL, "a.zip", 200000);
	must(kii_jobs_estimate(p->jobs, "firmware", "MD1", &ms, &err));
	assert_int_equal(ms, 200000);
	whole(p, 42, "k", KII_JOB_SUCCEEDED, NULL, "a.zip", -1000000);
	must(kii_jobs_estimate(p->jobs, "firmware", "MD1", &ms, &err));
	assert_true(ms >= 0);
}

static void a_forecast_counts_the_turns_before(void **state)
{
	struct place *p = *state;
	struct kii_job job = job_of(50, "k50");
	struct kii_error err = { 0 };
	int64_t ms;

	must(kii_jobs_forecast(p->jobs, &job, 1, 2, 0, &ms, &err));
	assert_int_equal(ms, -1);
	whole(p, 1, "k", KII_JOB_SUCCEEDED, NULL, "a.zip", 4000);
	must(kii_jobs_forecast(p->jobs, &job, 1, 2, 0, &ms, &err));
	assert_int_equal(ms, 8000);
	must(kii_jobs_forecast(p->jobs, &job, 2, 2, 0, &ms, &err));
	assert_int_equal(ms, 8000);
	must(kii_jobs_forecast(p->jobs, &job, 3, 2, 0, &ms, &err));
	assert_int_equal(ms, 12000);
	job.state = KII_JOB_RUNNING;
	job.started = 1000;
	must(kii_jobs_forecast(p->jobs, &job, 0, 2, 2500, &ms, &err));
	assert_int_equal(ms, 2500);
	must(kii_jobs_forecast(p->jobs, &job, 0, 2, 500, &ms, &err));
	assert_int_equal(ms, 4000);
	must(kii_jobs_forecast(p->jobs, &job, 0, 2, 99999, &ms, &err));
	assert_int_equal(ms, 0);
	job.state = KII_JOB_LOST;
	must(kii_jobs_forecast(p->jobs, &job, 0, 2, 2500, &ms, &err));
	assert_int_equal(ms, -1);
}

/* --- lists and collecting --- */

static void lists_are_newest_first_by_state_and_limit(void **state)
{
	struct place *p = *state;
	struct kii_error err = { 0 };
	kii_autobuf all = KII_BUF_INIT(1000);
	kii_autobuf failed = KII_BUF_INIT(1000);
	kii_autobuf two = KII_BUF_INIT(1000);

	insert(p, 1, "k1");
	whole(p, 2, "k2", KII_JOB_FAILED, NULL, NULL, 5);
	whole(p, 3, "k3", KII_JOB_SUCCEEDED, NULL, "a.zip", 5);
	whole(p, 4, "k4", KII_JOB_FAILED, NULL, NULL, 5);
	must(kii_jobs_list(p->jobs, 100, KII_JOB__MAX, note_id, &all, &err));
	assert_string_equal(all.data, "4 3 2 1");
	must(kii_jobs_list(p->jobs, 100, KII_JOB_FAILED, note_id, &failed, &err));
	assert_string_equal(failed.data, "4 2");
	must(kii_jobs_list(p->jobs, 2, KII_JOB__MAX, note_id, &two, &err));
	assert_string_equal(two.data, "4 3");
	kii_buf_reset(&two);
	must(kii_jobs_list(p->jobs, 0, KII_JOB__MAX, note_id, &two, &err));
	assert_string_equal(two.data, "");
}

static void long_lists_come_whole(void **state)
{
	struct place *p = *state;
	struct kii_error err = { 0 };
	kii_autobuf order = KII_BUF_INIT(10000);
	kii_autobuf want = KII_BUF_INIT(10000);

	must(kii_jobs_begin(p->jobs, false, &err));
	for (int i = 1; i <= 150; i++) {
		whole(p, i, "k", KII_JOB_SUCCEEDED, NULL, "a.zip", 5);
		kii_buf_fmt(&want, "%s%d", i == 1 ? "" : " ", i);
	}
	must(kii_jobs_commit(p->jobs, &err));
	must(kii_jobs_ended_before(p->jobs, 99999, note_id, &order, &err));
	assert_string_equal(order.data, want.data);
	kii_buf_reset(&order);
	must(kii_jobs_oldest_artifacts(p->jobs, note_id, &order, &err));
	assert_string_equal(order.data, want.data);
}

static void artifacts_come_least_recently_answered_first(void **state)
{
	struct place *p = *state;
	struct kii_error err = { 0 };
	kii_autobuf order = KII_BUF_INIT(1000);
	int64_t n;

	whole(p, 1, "k1", KII_JOB_SUCCEEDED, NULL, "a.zip", 1);
	whole(p, 2, "k2", KII_JOB_SUCCEEDED, NULL, "b.zip", 1);
	whole(p, 3, "k3", KII_JOB_FAILED, "build_failed", "c_error.zip", 1);
	whole(p, 4, "k4", KII_JOB_SUCCEEDED, NULL, NULL, 1);
	whole(p, 5, "k1", KII_JOB_SUCCEEDED, NULL, "a.zip", 1);
	must(kii_jobs_answered(p->jobs, id_of(1), 9000, &err));
	must(kii_jobs_oldest_artifacts(p->jobs, note_id, &order, &err));
	assert_string_equal(order.data, "2 3 5 1");
	must(kii_jobs_artifact_users(p->jobs, "a.zip", &n, &err));
	assert_int_equal(n, 2);
	must(kii_jobs_artifact_bytes(p->jobs, &n, &err));
	assert_int_equal(n, 3 * 70);
	must(kii_jobs_forget_artifact(p->jobs, id_of(2), &err));
	must(kii_jobs_delete(p->jobs, id_of(3), &err));
	must(kii_jobs_artifact_bytes(p->jobs, &n, &err));
	assert_int_equal(n, 70);
	kii_buf_reset(&order);
	must(kii_jobs_oldest_artifacts(p->jobs, note_two, &order, &err));
	assert_string_equal(order.data, "5 1");
}

static void ended_jobs_come_oldest_first_up_to_a_time(void **state)
{
	struct place *p = *state;
	struct kii_error err = { 0 };
	kii_autobuf order = KII_BUF_INIT(1000);

	whole(p, 1, "k1", KII_JOB_SUCCEEDED, NULL, NULL, 5000);
	whole(p, 2, "k2", KII_JOB_LOST, NULL, NULL, 1);
	whole(p, 3, "k3", KII_JOB_FAILED, NULL, NULL, 1);
	insert(p, 4, "k4");
	must(kii_jobs_ended_before(p->jobs, 2005, note_id, &order, &err));
	assert_string_equal(order.data, "2 3");
	kii_buf_reset(&order);
	must(kii_jobs_ended_before(p->jobs, 99999, note_id, &order, &err));
	assert_string_equal(order.data, "2 3 1");
	kii_buf_reset(&order);
	must(kii_jobs_ended_before(p->jobs, 0, note_id, &order, &err));
	assert_string_equal(order.data, "");
}

/* --- transactions and handles --- */

static void a_transaction_is_whole_or_nothing(void **state)
{
	struct place *p = *state;
	struct kii_error err = { 0 };
	struct kii_jobs *reader;
	kii_autojob job = { 0 };
	int64_t n;

	must(kii_jobs_open(p->db, KII_STORE_READ, &reader, &err));
	must(kii_jobs_begin(p->jobs, true, &err));
	insert(p, 1, "k1");
	must(kii_jobs_queued_count(reader, &n, &err));
	assert_int_equal(n, 0);
	kii_jobs_rollback(p->jobs);
	must_fail(kii_jobs_get(p->jobs, id_of(1), &job, &err), KII_ENOTFOUND);
	must(kii_jobs_begin(p->jobs, false, &err));
	must_fail(kii_jobs_begin(p->jobs, false, &err), KII_EDB);
	insert(p, 2, "k2");
	must(kii_jobs_commit(p->jobs, &err));
	must_fail(kii_jobs_commit(p->jobs, &err), KII_EDB);
	must(kii_jobs_queued_count(reader, &n, &err));
	assert_int_equal(n, 1);
	kii_jobs_close(reader);
}

static void a_new_job_and_its_end_are_durable_the_rest_is_not(void **state)
{
	struct place *p = *state;
	struct kii_error err = { 0 };

	insert(p, 1, "k1");
	assert_int_equal(promised, 1);
	must(kii_jobs_start(p->jobs, id_of(1), 1, 1, &err));
	assert_int_equal(promised, 0);
	must(finish(p, 1, KII_JOB_LOST, NULL, NULL, 1, &err));
	assert_int_equal(promised, 1);
	must(kii_jobs_answered(p->jobs, id_of(1), 1, &err));
	assert_int_equal(promised, 0);
	must(kii_jobs_begin(p->jobs, true, &err));
	assert_int_equal(promised, 1);
	insert(p, 2, "k2");
	must(kii_jobs_start(p->jobs, id_of(2), 1, 1, &err));
	assert_int_equal(promised, 1);
	must(kii_jobs_commit(p->jobs, &err));
	must(kii_jobs_progress(p->jobs, id_of(2), "p", &err));
	assert_int_equal(promised, 0);
}

static void a_reader_cannot_write(void **state)
{
	struct place *p = *state;
	struct kii_job job = job_of(2, "k2");
	struct kii_error err = { 0 };
	struct kii_jobs *reader;

	insert(p, 1, "k1");
	must(kii_jobs_open(p->db, KII_STORE_READ, &reader, &err));
	must_fail(kii_jobs_insert(reader, &job, &err), KII_EDB);
	must_fail(kii_jobs_start(reader, id_of(1), 1, 1, &err), KII_EDB);
	must_fail(kii_jobs_requeue(reader, id_of(1), &err), KII_EDB);
	must_fail(kii_jobs_progress(reader, id_of(1), "p", &err), KII_EDB);
	must_fail(kii_jobs_answered(reader, id_of(1), 1, &err), KII_EDB);
	must_fail(kii_jobs_finish(reader, id_of(1),
		&(struct kii_job_end){ .state = KII_JOB_LOST }, &err), KII_EDB);
	kii_jobs_close(reader);
	assert_state(p, 1, KII_JOB_QUEUED);
}

static void a_missing_database_is_not_found(void **state)
{
	struct place *p = *state;
	struct kii_error err = { 0 };
	struct kii_jobs *jobs;
	kii_autofree char *path = kii_xfmt("%s/none.sqlite", p->dir);

	must_fail(kii_jobs_open(path, KII_STORE_READ, &jobs, &err), KII_ENOTFOUND);
	assert_false(kii_jobs_moved(p->jobs));
	assert_int_equal(unlink(p->db), 0);
	assert_true(kii_jobs_moved(p->jobs));
	kii_jobs_close(NULL);
}

/* Whatever goes wrong below comes out as an error, in every call that reads. */
static void a_table_that_is_gone_is_an_error_everywhere(void **state)
{
	struct place *p = *state;
	struct kii_error err = { 0 };
	kii_autobuf b = KII_BUF_INIT(100);
	kii_autojob job = { 0 };
	sqlite3 *db;
	int64_t n;

	assert_int_equal(sqlite3_open(p->db, &db), SQLITE_OK);
	assert_int_equal(sqlite3_exec(db, "DROP TABLE Jobs", NULL, NULL, NULL), SQLITE_OK);
	sqlite3_close(db);
	must_fail(kii_jobs_get(p->jobs, id_of(1), &job, &err), KII_EDB);
	must_fail(kii_jobs_live(p->jobs, "firmware", "k", &job, &err), KII_EDB);
	must_fail(kii_jobs_remembered(p->jobs, "firmware", "k", &job, &err), KII_EDB);
	must_fail(kii_jobs_queued_count(p->jobs, &n, &err), KII_EDB);
	must_fail(kii_jobs_waiting_of(p->jobs, "c", &n, &err), KII_EDB);
	must_fail(kii_jobs_artifact_users(p->jobs, "a", &n, &err), KII_EDB);
	must_fail(kii_jobs_artifact_bytes(p->jobs, &n, &err), KII_EDB);
	must_fail(kii_jobs_place(p->jobs, id_of(1), &n, &err), KII_EDB);
	must_fail(kii_jobs_estimate(p->jobs, "firmware", "MD1", &n, &err), KII_EDB);
	must_fail(kii_jobs_estimate(p->jobs, "firmware", NULL, &n, &err), KII_EDB);
	must_fail(kii_jobs_forecast(p->jobs, &job, 1, 1, 1, &n, &err), KII_EDB);
	must_fail(kii_jobs_each_live(p->jobs, note_id, &b, &err), KII_EDB);
	must_fail(kii_jobs_list(p->jobs, 9, KII_JOB_LOST, note_id, &b, &err), KII_EDB);
	must_fail(kii_jobs_oldest_artifacts(p->jobs, note_id, &b, &err), KII_EDB);
	must_fail(kii_jobs_ended_before(p->jobs, 9, note_id, &b, &err), KII_EDB);
	must_fail(kii_jobs_progress(p->jobs, id_of(1), "p", &err), KII_EDB);
}

/* --- a hundred thousand rows --- */

static void fill(const char *path)
{
	static const char sql[] = "WITH RECURSIVE n(i) AS (VALUES (1) UNION ALL SELECT i + 1 "
		"FROM n WHERE i < 100000) INSERT INTO Jobs (id, kind, key, state, client, subject, "
		"created, started, finished, attempts, artifact, artifact_bytes, request) "
		"SELECT printf('%032x', i), 'firmware', 'key' || (i % 5000), 'succeeded', "
		"'192.0.2.1', 'MD1', i, i, i + 4000, 1, i || '.zip', 70, '{}' FROM n";
	sqlite3 *db;

	assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
	assert_int_equal(sqlite3_exec(db, "PRAGMA synchronous = OFF", NULL, NULL, NULL),
		SQLITE_OK);
	assert_int_equal(sqlite3_exec(db, sql, NULL, NULL, NULL), SQLITE_OK);
	sqlite3_close(db);
}

static bool count_ten(void *arg, const struct kii_job *job)
{
	(void)job;
	return ++*(int *)arg < 10;
}

/* What the worker asks for each request and each turn. */
static void ask_all(struct place *p)
{
	struct kii_error err = { 0 };
	kii_autojob remembered = { 0 };
	kii_autojob live = { 0 };
	int seen = 0;
	int64_t n;

	assert_int_equal(kii_jobs_remembered(p->jobs, "firmware", "key7", &remembered, &err), 1);
	assert_int_equal(kii_jobs_live(p->jobs, "firmware", "key7", &live, &err), 0);
	must(kii_jobs_queued_count(p->jobs, &n, &err));
	must(kii_jobs_waiting_of(p->jobs, "192.0.2.1", &n, &err));
	must(kii_jobs_place(p->jobs, id_of(7), &n, &err));
	must(kii_jobs_estimate(p->jobs, "firmware", "MD1", &n, &err));
	must(kii_jobs_estimate(p->jobs, "firmware", "none", &n, &err));
	must(kii_jobs_each_live(p->jobs, count_ten, &seen, &err));
	must(kii_jobs_list(p->jobs, 10, KII_JOB__MAX, count_ten, &seen, &err));
	seen = 0;
	must(kii_jobs_list(p->jobs, 10, KII_JOB_SUCCEEDED, count_ten, &seen, &err));
	seen = 0;
	must(kii_jobs_oldest_artifacts(p->jobs, count_ten, &seen, &err));
	must(kii_jobs_ended_before(p->jobs, 99999, count_ten, &seen, &err));
	must(kii_jobs_artifact_users(p->jobs, "7.zip", &n, &err));
}

static bool count_all(void *arg, const struct kii_job *job)
{
	(void)job;
	++*(int *)arg;
	return true;
}

/* Milliseconds of work of this process: what else the machine does is not counted. */
static int64_t worked(void)
{
	struct timespec t;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static void a_long_history_costs_nothing(void **state)
{
	struct place *p = *state;
	int seen = 0;
	struct kii_error err = { 0 };
	int64_t begin;
	int64_t n;

	if (test_is_slow())
		skip();
	fill(p->db);
	ask_all(p);
	begin = worked();
	for (int i = 0; i < 200; i++)
		ask_all(p);
	/* About 100 ms; one query that scans makes it tens of seconds. */
	n = worked() - begin;
	if (n > 5000)
		fail_msg("200 rounds took %ld ms", (long)n);
	must(kii_jobs_artifact_bytes(p->jobs, &n, &err));
	assert_int_equal(n, 7000000);
	/* A walk goes on where it was: one that searched from its start takes ten times as long. */
	begin = worked();
	must(kii_jobs_ended_before(p->jobs, INT64_MAX, count_all, &seen, &err));
	n = worked() - begin;
	begin += n;
	must(kii_jobs_oldest_artifacts(p->jobs, count_all, &seen, &err));
	assert_int_equal(seen, 200000);
	if (worked() - begin > 6 * n + 2000)
		fail_msg("the walk took %ld ms", (long)(worked() - begin));
}

/* --- counts --- */

static void append_ends(void *arg, const struct kii_jobs_ends *e)
{
	kii_buf_fmt(arg, "%s %s %s %d;", e->subject, e->release, e->outcome, (int)e->n);
}

static void append_duration(void *arg, const struct kii_jobs_durations *d)
{
	if (d->le_ms == 500 || d->le_ms == 1000 || d->le_ms == INT64_MAX)
		kii_buf_fmt(arg, "%s %d %d %d;", d->subject,
			d->le_ms == INT64_MAX ? -1 : (int)d->le_ms, (int)d->n, (int)d->sum_ms);
}

static void change(struct place *p, const char *sql)
{
	sqlite3 *db;

	assert_int_equal(sqlite3_open(p->db, &db), SQLITE_OK);
	assert_int_equal(sqlite3_exec(db, sql, NULL, NULL, NULL), SQLITE_OK);
	sqlite3_close(db);
}

static void ends_are_counted_once_and_for_good(void **state)
{
	struct place *p = *state;
	struct kii_error err = { 0 };
	kii_autobuf ends = KII_BUF_INIT(10000);
	kii_autobuf times = KII_BUF_INIT(10000);

	whole(p, 1, "a", KII_JOB_SUCCEEDED, "built", "a.zip", 400);
	whole(p, 2, "b", KII_JOB_SUCCEEDED, "built", "b.zip", 500);
	whole(p, 3, "c", KII_JOB_FAILED, "build_failed", "c.zip", 501);
	whole(p, 4, "d", KII_JOB_LOST, NULL, NULL, -5);
	insert(p, 5, "e");
	must(finish(p, 5, KII_JOB_CANCELLED, "cancelled", NULL, 9000, &err));
	insert(p, 6, "f");
	must_fail(finish(p, 1, KII_JOB_FAILED, "again", NULL, 9000, &err), KII_ECONFLICT);
	must(kii_jobs_forget_artifact(p->jobs, id_of(1), &err));
	must(kii_jobs_delete(p->jobs, id_of(1), &err));
	must(kii_jobs_each_ends(p->jobs, "firmware", append_ends, &ends, &err));
	assert_string_equal(ends.data, "MD1 controller-057 build_failed 1;"
		"MD1 controller-057 built 2;MD1 controller-057 cancelled 1;"
		"MD1 controller-057 lost 1;");
	/* What ended in the queue took no time; a clock that went back counts as none. */
	must(kii_jobs_each_durations(p->jobs, "firmware", append_duration, &times, &err));
	assert_string_equal(times.data, "MD1 500 3 1401;MD1 1000 4 1401;MD1 -1 4 1401;");
	kii_buf_reset(&ends);
	must(kii_jobs_each_ends(p->jobs, "image", append_ends, &ends, &err));
	assert_string_equal(ends.data, "");
}

static void an_older_database_brings_its_counts_along(void **state)
{
	struct place *p = *state;
	struct kii_error err = { 0 };
	kii_autofree char *schema = test_source("schema");
	kii_autobuf ends = KII_BUF_INIT(10000);
	kii_autobuf times = KII_BUF_INIT(10000);

	kii_jobs_close(p->jobs);
	p->jobs = NULL;
	assert_int_equal(unlink(p->db), 0);
	must(kii_store_migrate(p->db, schema, "jobs", 1, &err));
	change(p, "INSERT INTO Jobs (id, kind, key, state, outcome, subject, release, created, "
		"started, finished) VALUES "
		"(printf('%032x', 1), 'firmware', 'a', 'succeeded', 'built', 'Kira', 'r', 1, 2, "
		"402), (printf('%032x', 2), 'firmware', 'b', 'succeeded', 'built', 'Kira', 'r', 1, "
		"2, 902), "
		"(printf('%032x', 3), 'firmware', 'c', 'lost', NULL, NULL, NULL, 1, NULL, 9), "
		"(printf('%032x', 4), 'firmware', 'd', 'running', NULL, 'Kira', 'r', 1, 2, NULL)");
	must(kii_jobs_migrate(p->db, schema, &err));
	must(kii_jobs_open(p->db, KII_STORE_WRITE, &p->jobs, &err));
	must(finish(p, 4, KII_JOB_SUCCEEDED, "built", "x.zip", 1502, &err));
	must(kii_jobs_each_ends(p->jobs, "firmware", append_ends, &ends, &err));
	assert_string_equal(ends.data, "  lost 1;Kira r built 3;");
	must(kii_jobs_each_durations(p->jobs, "firmware", append_duration, &times, &err));
	assert_string_equal(times.data, "Kira 500 1 2800;Kira 1000 2 2800;Kira -1 3 2800;");
}

static void counts_that_are_gone_are_an_error(void **state)
{
	struct place *p = *state;
	struct kii_error err = { 0 };
	kii_autobuf b = KII_BUF_INIT(10000);

	change(p, "DROP TABLE EndCounts; DROP TABLE DurationSums");
	must_fail(kii_jobs_each_ends(p->jobs, "firmware", append_ends, &b, &err), KII_EDB);
	must_fail(kii_jobs_each_durations(p->jobs, "firmware", append_duration, &b, &err),
		KII_EDB);
}

#define with_place(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(states_have_names_both_ways),
		cmocka_unit_test(ids_are_32_small_hex_digits),
		with_place(a_new_job_is_queued_with_what_was_given),
		with_place(an_unknown_job_is_not_found),
		with_place(a_job_runs_is_queued_again_and_ends),
		with_place(the_newest_of_a_key_is_found_whatever_it_became),
		with_place(only_legal_transitions_happen),
		with_place(a_refused_transition_names_the_state),
		with_place(a_key_has_one_live_job),
		with_place(only_good_and_build_failed_ends_are_remembered),
		with_place(the_queue_is_counted_and_ordered),
		with_place(a_walk_may_change_what_it_walks_over),
		with_place(estimates_are_medians_of_the_last_twenty),
		with_place(a_forecast_counts_the_turns_before),
		with_place(lists_are_newest_first_by_state_and_limit),
		with_place(long_lists_come_whole),
		with_place(artifacts_come_least_recently_answered_first),
		with_place(ended_jobs_come_oldest_first_up_to_a_time),
		with_place(a_transaction_is_whole_or_nothing),
		with_place(a_new_job_and_its_end_are_durable_the_rest_is_not),
		with_place(a_reader_cannot_write),
		with_place(a_missing_database_is_not_found),
		with_place(a_table_that_is_gone_is_an_error_everywhere),
		with_place(a_long_history_costs_nothing),
		with_place(ends_are_counted_once_and_for_good),
		with_place(an_older_database_brings_its_counts_along),
		with_place(counts_that_are_gone_are_an_error),
	};

	return cmocka_run_group_tests_name("jobs", tests, NULL, NULL);
}
