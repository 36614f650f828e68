/* SPDX-License-Identifier: MIT */
/* One attempt at a job, against the toy engine; times are shortened in the makefile. */
#include <config.h>

#include "attempt.h"

#include <archive.h>
#include <archive_entry.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "io.h"
#include "json.h"
#include "testlib.h"
#include "workerfix.h"

#define CREATE  "POST /containers/create"
#define INSPECT "GET /containers/*/json"
#define PUT     "PUT /containers/*/archive"
#define START   "POST /containers/*/start"
#define LOGS    "GET /containers/*/logs"
#define WAIT    "POST /containers/*/wait"
#define KILL    "POST /containers/*/kill"
#define GET     "GET /containers/*/archive"
#define REMOVE  "DELETE /containers/*"

static _Atomic int64_t clock_ahead_ms;   /* of the worker before the engine */

int64_t __real_kii_io_wall(void);
int64_t __wrap_kii_io_wall(void);
int64_t __wrap_kii_io_wall(void)
{
	return __real_kii_io_wall() + clock_ahead_ms;
}

/* A job and its attempt, run by a thread of its own so that the test can interfere. */
struct go {
	struct fix *f;
	struct kii_job job;
	struct running *slot;
	struct attempt a;
	struct kii_error err;
	enum verdict verdict;
	int64_t ended;
	char *name;
	pthread_t thread;
};

static void prepare(struct go *g, struct fix *f)
{
	struct kii_error err = { 0 };

	memset(g, 0, sizeof(*g));
	g->f = f;
	fix_queue(f);
	g->slot = fix_claim(f, &g->job);
	g->name = fix_name(f, f->made, 1);
	must(attempt_init(&g->a, &f->w.lanes[LANE_PUBLIC], &g->job, g->slot, &err));
}

/* As `prepare`, but a container of an earlier worker is there and its row says so. */
static void prepare_found(struct go *g, struct fix *f, enum kii_container_state state)
{
	struct kii_error err = { 0 };

	memset(g, 0, sizeof(*g));
	g->f = f;
	fix_queue(f);
	kii_job_release(&g->job);
	g->slot = fix_claim(f, &g->job);
	g->name = fix_name(f, f->made, 1);
	fix_container(f, f->made, 1, state);
	kii_job_release(&g->job);
	fix_job(f, f->made, &g->job);
	must(attempt_init(&g->a, &f->w.lanes[LANE_PUBLIC], &g->job, g->slot, &err));
}

static void *run_it(void *arg)
{
	struct go *g = arg;

	g->verdict = attempt_run(&g->a, &g->err);
	g->ended = kii_io_now();
	return NULL;
}

static void begin(struct go *g)
{
	assert_int_equal(pthread_create(&g->thread, NULL, run_it, g), 0);
}

static void end(struct go *g, enum verdict want)
{
	pthread_join(g->thread, NULL);
	if (g->verdict != want)
		fail_msg("verdict %d, not %d: %s", g->verdict, want, g->err.msg);
	if (want == VERDICT_ENDED)
		assert_int_equal(g->err.code, KII_OK);
}

static void run_to(struct go *g, enum verdict want)
{
	begin(g);
	end(g, want);
}

static void drop(struct go *g)
{
	attempt_release(&g->a);
	kii_job_release(&g->job);
	free(g->name);
}

static void plan(struct fix *f, const struct toy_plan *p)
{
	toy_plan(f->toy, p);
}

static void fault(struct fix *f, const char *match, enum toy_trouble trouble, int status, int times)
{
	const struct toy_fault t = { .match = match, .trouble = trouble, .status = status,
		.times = times };

	toy_fault(f->toy, &t);
}

static void expect_end(const struct go *g, enum kii_job_state state, const char *outcome)
{
	assert_string_equal(kii_job_state_name(g->a.end.state), kii_job_state_name(state));
	assert_string_equal(g->a.end.outcome, outcome);
	assert_true(g->a.end.finished > 0);
}

static void expect_log(const struct go *g, const char *want)
{
	kii_autofree char *got = fix_log(g->f, g->f->made, 0);

	assert_string_equal(got, want);
	assert_int_equal(g->a.end.log_bytes, strlen(want));
}

/* A whole success with this log. */
static void expect_built(const struct go *g, const char *log)
{
	expect_end(g, KII_JOB_SUCCEEDED, "built");
	expect_log(g, log);
	assert_true(fix_has_file(g->f->w.artifacts, g->a.end.artifact));
}

/* `n` numbered lines. */
static char *lines(int n)
{
	kii_autobuf text = KII_BUF_INIT(1u << 20);

	for (int i = 0; i < n; i++)
		kii_buf_fmt(&text, "[%05d] building something\n", i);
	return kii_buf_steal(&text);
}

/* --- a fresh job --- */

static void expect_body(const struct go *g)
{
	kii_autojson *body = toy_body(g->f->toy, g->name);
	const json_t *labels = json_object_get(body, "Labels");
	const json_t *cmd = json_object_get(body, "Cmd");
	const json_t *host = json_object_get(body, "HostConfig");

	assert_non_null(body);
	assert_string_equal(kii_json_str(labels, WORKER_LABEL_INSTANCE), g->f->w.instance);
	assert_string_equal(kii_json_str(labels, WORKER_LABEL_JOB), g->job.id);
	assert_string_equal(kii_json_str(labels, WORKER_LABEL_ATTEMPT), "1");
	assert_string_equal(kii_json_str(body, "Image"), FIX_IMAGE);
	assert_string_equal(kii_json_str(body, "User"), "1000:1000");
	assert_int_equal(json_array_size(cmd), 3);
	assert_string_equal(json_string_value(json_array_get(cmd, 1)), g->a.dir);
	assert_string_equal(json_string_value(json_array_get(cmd, 2)), g->a.zip);
	assert_int_equal(kii_json_int(host, "Memory", 0), g->f->conf.firmware.memory);
	assert_int_equal(kii_json_int(host, "PidsLimit", 0), 128);
	assert_int_equal(json_array_size(json_object_get(host, "Mounts")), 2);
	assert_non_null(kii_json_str(json_object_get(host, "Tmpfs"), "/tmp"));
	assert_true(json_is_true(json_object_get(body, "NetworkDisabled")));
}

static void a_fresh_job_runs_to_its_result(void **state)
{
	struct fix *f = *state;
	kii_autofree char *config = NULL, *builds = NULL;
	kii_autojob row = { 0 };
	struct go g;

	prepare(&g, f);
	run_to(&g, VERDICT_ENDED);
	expect_built(&g, "hello\n");
	expect_body(&g);
	assert_string_equal(g.a.end.artifact, g.a.zip);
	assert_int_equal(g.a.end.exit_code, 0);
	fix_job(f, 1, &row);
	assert_int_equal(strlen(row.container_id), 64);
	config = kii_xfmt("%s-config", g.name);
	builds = kii_xfmt("%s-builds", g.name);
	assert_true(toy_has_volume(f->toy, config) && toy_has_volume(f->toy, builds));
	attempt_clean(&g.a);
	assert_false(toy_has(f->toy, g.name));
	assert_false(toy_has_volume(f->toy, config) || toy_has_volume(f->toy, builds));
	drop(&g);
}

static void the_kll_and_the_json_are_put_in(void **state)
{
	struct fix *f = *state;
	kii_autobuf tar = KII_BUF_INIT(1u << 20);
	struct archive *a = archive_read_new();
	struct archive_entry *e;
	size_t n = 0;
	struct go g;

	prepare(&g, f);
	run_to(&g, VERDICT_ENDED);
	toy_put(f->toy, g.name, &tar);
	archive_read_support_format_tar(a);
	assert_int_equal(archive_read_open_memory(a, tar.data, tar.len), ARCHIVE_OK);
	for (; archive_read_next_header(a, &e) == ARCHIVE_OK; n++) {
		assert_memory_equal(archive_entry_pathname(e), g.a.dir, 32);
		assert_int_equal(archive_entry_uid(e), 1000);
		if (n > 0 && n <= g.a.kll->n_files)
			assert_string_equal(archive_entry_pathname(e) + 33,
				g.a.kll->files[n - 1].name);
	}
	/* The folder, each layer, and the JSON. */
	assert_int_equal(n, g.a.kll->n_files + 2);
	archive_read_free(a);
	drop(&g);
}

static void podmans_log_is_read_by_passes(void **state)
{
	struct fix *f = *state;
	kii_autofree char *log = lines(40);
	const struct toy_plan p = { .log = log, .piece = 500, .pace_ms = 40, .run_ms = 300 };
	struct go g;

	toy_podman(f->toy);
	plan(f, &p);
	prepare(&g, f);
	run_to(&g, VERDICT_ENDED);
	expect_built(&g, log);
	drop(&g);
}

/* --- what an earlier worker left --- */

static void a_container_that_was_not_started_is_made_anew(void **state)
{
	struct fix *f = *state;
	struct go g;

	prepare_found(&g, f, KII_CONTAINER_CREATED);
	run_to(&g, VERDICT_ENDED);
	expect_built(&g, "hello\n");
	assert_int_equal(toy_asked(f->toy, CREATE), 1);
	assert_int_equal(toy_asked(f->toy, PUT), 1);
	assert_int_equal(toy_asked(f->toy, START), 1);
	drop(&g);
}

/* It ran, an earlier worker read of it, and the engine knows nothing of it any more. */
static void the_log_of_a_run_that_is_forgotten_goes_with_it(void **state)
{
	struct fix *f = *state;
	kii_autofree char *path = NULL;
	struct kii_error err = { 0 };
	char id[KII_JOB_ID + 1];
	struct go g;

	fix_id(1, id);
	path = worker_log_path(&f->w.lanes[LANE_PUBLIC], id, 0);
	must(kii_io_publish(path, "XYZ", 3, 0640, &err));
	prepare_found(&g, f, KII_CONTAINER_CREATED);
	assert_int_equal(g.a.spool.seen, 3);
	run_to(&g, VERDICT_ENDED);
	expect_built(&g, "hello\n");
	drop(&g);
}

/* It may have run, and written, without the engine's knowing it any more. */
static void a_container_whose_start_was_not_heard_of_is_made_anew(void **state)
{
	static const struct { enum toy_trouble trouble; int status, times, made, put; } cases[] = {
		{ TOY_DROP, 0, 1, 2, 2 },
		{ TOY_DROP, 0, 2, 3, 3 },
		{ TOY_REFUSE, 500, 2, 1, 3 },   /* heard of: it was not started */
	};
	struct fix *f = *state;

	for (size_t i = 0; i < KII_COUNT(cases); i++) {
		int made = toy_asked(f->toy, CREATE), put = toy_asked(f->toy, PUT);
		struct go g;

		prepare(&g, f);
		fault(f, START, cases[i].trouble, cases[i].status, cases[i].times);
		run_to(&g, VERDICT_ENDED);
		expect_built(&g, "hello\n");
		assert_int_equal(toy_asked(f->toy, CREATE) - made, cases[i].made);
		assert_int_equal(toy_asked(f->toy, PUT) - put, cases[i].put);
		attempt_clean(&g.a);
		drop(&g);
	}
}

/* Nor does it matter where the making breaks off again. */
static void what_is_made_anew_may_fail_as_well(void **state)
{
	static const char *const steps[] = { REMOVE, CREATE, INSPECT, PUT };
	struct fix *f = *state;

	for (size_t i = 0; i < KII_COUNT(steps); i++) {
		const struct toy_fault then = { .match = steps[i], .trouble = TOY_DROP, .times = 2,
			.skip = strcmp(steps[i], REMOVE) == 0 ? 0 : 1 };
		struct go g;

		prepare(&g, f);
		fault(f, START, TOY_DROP, 0, 2);
		toy_fault(f->toy, &then);
		run_to(&g, VERDICT_ENDED);
		expect_built(&g, "hello\n");
		attempt_clean(&g.a);
		toy_faults_clear(f->toy);
		drop(&g);
	}
}

static void a_running_container_is_gone_on_with(void **state)
{
	struct fix *f = *state;
	kii_autofree char *log = lines(100);
	const struct toy_plan p = { .log = log, .piece = 500, .pace_ms = 10, .run_ms = 200 };
	struct go g;

	plan(f, &p);
	prepare_found(&g, f, KII_CONTAINER_RUNNING);
	run_to(&g, VERDICT_ENDED);
	expect_built(&g, log);
	assert_int_equal(toy_asked(f->toy, PUT), 0);
	assert_int_equal(toy_asked(f->toy, START), 0);
	drop(&g);
}

static void a_log_goes_on_where_the_earlier_worker_stopped(void **state)
{
	struct fix *f = *state;
	kii_autofree char *log = lines(100);
	kii_autofree char *path = NULL;
	const struct toy_plan p = { .log = log, .run_ms = 50 };
	struct kii_error err = { 0 };
	char id[KII_JOB_ID + 1];
	struct go g;

	plan(f, &p);
	fix_id(1, id);
	path = worker_log_path(&f->w.lanes[LANE_PUBLIC], id, 0);
	must(kii_io_publish(path, log, 1234, 0640, &err));
	prepare_found(&g, f, KII_CONTAINER_RUNNING);
	run_to(&g, VERDICT_ENDED);
	expect_built(&g, log);
	drop(&g);
}

/* As Podman shows one that ran when the machine was restarted. */
static void a_created_container_that_ran_is_not_started_again(void **state)
{
	const struct toy_plan p = { .log = "words\n", .age_ms = 5000 };
	struct fix *f = *state;
	struct go g;

	plan(f, &p);
	prepare_found(&g, f, KII_CONTAINER_CREATED);
	run_to(&g, VERDICT_AGAIN);
	assert_int_equal(g.err.code, KII_ECONFLICT);
	assert_int_equal(toy_asked(f->toy, START), 0);
	drop(&g);
}

static void an_ended_container_is_concluded(void **state)
{
	struct fix *f = *state;
	struct go g;

	prepare_found(&g, f, KII_CONTAINER_EXITED);
	run_to(&g, VERDICT_ENDED);
	expect_built(&g, "hello\n");
	assert_int_equal(toy_asked(f->toy, START), 0);
	drop(&g);
}

static void a_container_that_is_gone_is_not_made_again(void **state)
{
	struct fix *f = *state;
	struct go g;

	prepare_found(&g, f, KII_CONTAINER_RUNNING);
	fault(f, INSPECT, TOY_VANISH, 0, 1);
	run_to(&g, VERDICT_AGAIN);
	assert_int_equal(g.err.code, KII_ENOTFOUND);
	assert_int_equal(toy_asked(f->toy, CREATE), 0);
	drop(&g);
}

/* --- whose is it? --- */

static void foreign_containers_are_left_alone(void **state)
{
	struct fix *f = *state;
	const struct kii_pair of_other_job[] = {
		{ WORKER_LABEL_INSTANCE, f->w.instance },
		{ WORKER_LABEL_JOB, "ffffffffffffffffffffffffffffffff" },
		{ NULL, NULL },
	};
	const struct kii_pair of_other_worker[] = {
		{ WORKER_LABEL_INSTANCE, "0000000000000000" },
		{ WORKER_LABEL_JOB, "00000000000000000000000000000002" },
		{ NULL, NULL },
	};
	const struct kii_pair *const labels[] = { of_other_job, of_other_worker, NULL };

	for (size_t i = 0; i < KII_COUNT(labels); i++) {
		struct go g;

		prepare(&g, f);
		toy_container(f->toy, g.name, labels[i], KII_CONTAINER_CREATED);
		run_to(&g, VERDICT_AGAIN);
		assert_int_equal(g.err.code, KII_EREFUSED);
		attempt_clean(&g.a);
		assert_true(toy_has(f->toy, g.name));
		assert_false(f->w.untidy);
		drop(&g);
	}
	assert_int_equal(toy_asked(f->toy, PUT), 0);
	assert_int_equal(toy_asked(f->toy, START), 0);
	assert_int_equal(toy_asked(f->toy, KILL), 0);
}

/* The call of a dead worker has the name, but it is not through yet. */
static void a_container_in_the_making_is_waited_for(void **state)
{
	struct fix *f = *state;
	struct go g;

	prepare(&g, f);
	fix_container(f, f->made, 1, KII_CONTAINER_CREATED);
	fault(f, INSPECT, TOY_REFUSE, 404, 3);
	run_to(&g, VERDICT_ENDED);
	expect_built(&g, "hello\n");
	assert_int_equal(toy_asked(f->toy, CREATE), 2);
	drop(&g);
}

/* The first look says that there is none; by then somebody has made one. */
static void a_name_that_is_taken_is_looked_at(void **state)
{
	struct fix *f = *state;
	struct go g;

	prepare(&g, f);
	toy_container(f->toy, g.name, NULL, KII_CONTAINER_RUNNING);
	fault(f, INSPECT, TOY_REFUSE, 404, 1);
	run_to(&g, VERDICT_AGAIN);
	assert_int_equal(toy_asked(f->toy, CREATE), 1);
	assert_int_equal(g.err.code, KII_EREFUSED);
	drop(&g);

	prepare(&g, f);
	fix_container(f, 2, 1, KII_CONTAINER_CREATED);
	fault(f, INSPECT, TOY_REFUSE, 404, 1);
	run_to(&g, VERDICT_ENDED);
	assert_int_equal(toy_asked(f->toy, CREATE), 2);
	expect_built(&g, "hello\n");
	drop(&g);
}

static void a_container_whose_making_was_not_heard_of_is_found(void **state)
{
	struct fix *f = *state;
	struct go g;

	prepare(&g, f);
	fault(f, CREATE, TOY_CUT, 0, 1);
	run_to(&g, VERDICT_ENDED);
	expect_built(&g, "hello\n");
	assert_int_equal(toy_asked(f->toy, START), 1);
	drop(&g);
}

/* --- refusals --- */

static void without_its_image_there_is_no_attempt(void **state)
{
	struct fix *f = *state;
	struct go g;

	toy_image_gone(f->toy, FIX_IMAGE);
	prepare(&g, f);
	run_to(&g, VERDICT_AGAIN);
	assert_int_equal(g.err.code, KII_ENOTFOUND);
	assert_non_null(strstr(g.err.msg, "controller-057"));
	drop(&g);
}

/* Each step is refused with each status: what helps, and what does not? */
static void a_refused_step_ends_the_attempt(void **state)
{
	static const struct { const char *step; int status; enum kii_code code; } cases[] = {
		{ CREATE, 404, KII_ENOTFOUND },
		{ CREATE, 400, KII_EREFUSED },
		{ PUT, 404, KII_ENOTFOUND },
		{ PUT, 403, KII_EREFUSED },
		{ START, 404, KII_ENOTFOUND },
		{ START, 409, KII_ECONFLICT },
		{ START, 400, KII_EREFUSED },
		{ LOGS, 404, KII_ENOTFOUND },
		{ WAIT, 404, KII_ENOTFOUND },
		{ GET, 409, KII_ECONFLICT },
	};
	const struct toy_plan p = { .log = "hello\n", .run_ms = 100 };
	struct fix *f = *state;

	plan(f, &p);
	for (size_t i = 0; i < KII_COUNT(cases); i++) {
		struct go g;

		prepare(&g, f);
		fault(f, cases[i].step, TOY_REFUSE, cases[i].status, 1);
		run_to(&g, VERDICT_AGAIN);
		if (g.err.code != cases[i].code)
			fail_msg("%s with %d: %s", cases[i].step, cases[i].status, g.err.msg);
		toy_faults_clear(f->toy);
		drop(&g);
	}
}

static void trouble_that_passes_is_waited_for(void **state)
{
	static const char *const steps[] = { "GET /images/*/json", INSPECT, CREATE,
		"POST /volumes/create", PUT, START, LOGS, WAIT, GET };
	static const enum toy_trouble troubles[] = { TOY_REFUSE, TOY_DROP };
	const struct toy_plan p = { .log = "hello\n", .run_ms = 100 };
	struct fix *f = *state;

	plan(f, &p);
	for (size_t i = 0; i < KII_COUNT(steps) * KII_COUNT(troubles); i++) {
		struct go g;

		prepare(&g, f);
		fault(f, steps[i / 2], troubles[i % 2], 500, 2);
		run_to(&g, VERDICT_ENDED);
		expect_built(&g, "hello\n");
		attempt_clean(&g.a);
		toy_faults_clear(f->toy);
		drop(&g);
	}
}

/* Of an engine that is there but always refuses less is expected than of one that is not. */
static void trouble_that_stays_ends_the_attempt(void **state)
{
	static const struct {
		enum toy_trouble trouble;
		enum kii_code code;
		int64_t least, most;
	} cases[] = {
		{ TOY_DROP, KII_EDOWN, 2000, 30000 },
		{ TOY_REFUSE, KII_EBROKEN, 333, 1900 },
	};
	struct fix *f = *state;

	for (size_t i = 0; i < KII_COUNT(cases); i++) {
		int64_t start = kii_io_now();
		int before = toy_asked(f->toy, START);
		struct go g;

		prepare(&g, f);
		fault(f, START, cases[i].trouble, 500, 0);
		run_to(&g, VERDICT_AGAIN);
		assert_int_equal(g.err.code, cases[i].code);
		assert_in_range(g.ended - start, cases[i].least, cases[i].most);
		assert_true(toy_asked(f->toy, START) - before > 2);
		toy_faults_clear(f->toy);
		drop(&g);
	}
}

/* A Podman that was killed when it made or removed a container may have lost what it is of. */
static void a_container_without_its_storage_is_not_waited_for(void **state)
{
	const struct toy_fault t = { .match = INSPECT, .trouble = TOY_REFUSE, .status = 500,
		.skip = 1, .message = "getting container from store \"c2\": container not known" };
	struct fix *f = *state;
	struct go g;

	toy_podman(f->toy);
	prepare(&g, f);
	toy_fault(f->toy, &t);
	run_to(&g, VERDICT_AGAIN);
	assert_int_equal(g.err.code, KII_ECONFLICT);
	assert_int_equal(toy_asked(f->toy, INSPECT), 2);
	drop(&g);
}

static void a_reply_without_sense_is_trouble_too(void **state)
{
	struct fix *f = *state;
	struct go g;

	prepare(&g, f);
	fault(f, INSPECT, TOY_ODD, 0, 1);
	run_to(&g, VERDICT_ENDED);
	expect_built(&g, "hello\n");
	drop(&g);
}

/* --- the log --- */

static void a_log_that_is_cut_goes_on_byte_for_byte(void **state)
{
	struct fix *f = *state;
	kii_autofree char *log = lines(200);
	const struct toy_plan p = { .log = log, .piece = 700, .pace_ms = 20, .run_ms = 400 };
	struct go g;

	plan(f, &p);
	for (size_t after = 0; after < 4500; after += 531) {
		const struct toy_fault t = { .match = LOGS, .trouble = TOY_CUT, .after = after,
			.times = 1 };

		toy_fault(f->toy, &t);
	}
	prepare(&g, f);
	run_to(&g, VERDICT_ENDED);
	expect_built(&g, log);
	assert_true(toy_asked(f->toy, LOGS) >= 9);
	drop(&g);
}

static void a_log_past_its_cap_keeps_head_and_tail(void **state)
{
	struct fix *f = *state;
	kii_autofree char *log = lines(100);
	kii_autofree char *got = NULL;
	const struct toy_plan p = { .log = log, .run_ms = 100 };
	size_t len = strlen(log);
	struct go g;

	f->conf.limits.log = 1000;
	plan(f, &p);
	prepare(&g, f);
	run_to(&g, VERDICT_ENDED);
	expect_end(&g, KII_JOB_SUCCEEDED, "built");
	got = fix_log(f, 1, 0);
	assert_memory_equal(got, log, 500);
	assert_string_equal(got + strlen(got) - 500, log + len - 500);
	assert_non_null(strstr(got, "bytes left out]"));
	assert_int_equal(g.a.end.log_bytes, len);
	drop(&g);
}

static void a_log_that_cannot_be_written_ends_the_build(void **state)
{
	struct fix *f = *state;
	const struct toy_plan p = { .log = "words\n", .run_ms = TOY_FOR_EVER, .term_code = 143 };
	kii_autofree char *signals = NULL;
	struct go g;

	plan(f, &p);
	prepare(&g, f);
	close(g.a.spool.fd);
	g.a.spool.fd = open("/dev/full", O_RDWR | O_CLOEXEC);
	run_to(&g, VERDICT_ENDED);
	expect_end(&g, KII_JOB_LOST, "disk");
	assert_null(g.a.end.artifact);
	signals = toy_signals(f->toy, g.name);
	assert_string_equal(signals, "TERM ");
	drop(&g);

	/* Only in the last pass. */
	prepare_found(&g, f, KII_CONTAINER_EXITED);
	close(g.a.spool.fd);
	g.a.spool.fd = open("/dev/full", O_RDWR | O_CLOEXEC);
	run_to(&g, VERDICT_ENDED);
	expect_end(&g, KII_JOB_LOST, "disk");
	drop(&g);
}

/* --- an engine that goes away --- */

static void an_engine_that_comes_back_is_waited_for(void **state)
{
	struct fix *f = *state;
	kii_autofree char *log = lines(300);
	const struct toy_plan p = { .log = log, .piece = 1000, .pace_ms = 100, .run_ms = 1200 };
	struct go g;

	plan(f, &p);
	prepare(&g, f);
	begin(&g);
	assert_true(toy_await(f->toy, LOGS, 1));
	toy_down(f->toy);
	usleep(500000);
	toy_up(f->toy);
	end(&g, VERDICT_ENDED);
	expect_built(&g, log);
	assert_int_equal(toy_asked(f->toy, CREATE), 1);
	assert_int_equal(toy_asked(f->toy, START), 1);
	drop(&g);
}

static void an_engine_that_stays_away_ends_the_attempt(void **state)
{
	struct fix *f = *state;
	int64_t start = kii_io_now();
	struct go g;

	prepare(&g, f);
	toy_down(f->toy);
	run_to(&g, VERDICT_AGAIN);
	assert_int_equal(g.err.code, KII_EDOWN);
	assert_in_range(g.ended - start, 1900, 80000);
	drop(&g);
}

static void a_container_that_vanishes_ends_the_attempt(void **state)
{
	struct fix *f = *state;
	const struct toy_plan p = { .log = "words\n", .run_ms = 200 };
	struct go g;

	plan(f, &p);
	prepare(&g, f);
	fault(f, WAIT, TOY_VANISH, 0, 1);
	run_to(&g, VERDICT_AGAIN);
	assert_int_equal(g.err.code, KII_ENOTFOUND);
	assert_int_equal(toy_asked(f->toy, CREATE), 1);
	drop(&g);
}

static void a_container_that_the_engine_ended_is_tried_again(void **state)
{
	static const int codes[] = { 137, 143, 255 };
	struct fix *f = *state;
	const struct toy_plan p = { .log = "words\n", .run_ms = TOY_FOR_EVER };

	plan(f, &p);
	for (size_t i = 0; i < KII_COUNT(codes); i++) {
		struct go g;

		prepare(&g, f);
		begin(&g);
		assert_true(toy_await(f->toy, LOGS, (int)(2 * i + 1)));
		toy_end(f->toy, g.name, codes[i]);
		end(&g, VERDICT_AGAIN);
		assert_int_equal(g.err.code, KII_EDOWN);
		drop(&g);
	}
}

static void a_row_that_is_no_longer_running_ends_the_attempt(void **state)
{
	const struct kii_job_end lost = { .state = KII_JOB_LOST, .finished = 1 };
	struct fix *f = *state;
	struct kii_error err = { 0 };
	struct go g;

	prepare(&g, f);
	must(kii_jobs_finish(f->w.lanes[LANE_PUBLIC].jobs, g.job.id, &lost, &err));
	run_to(&g, VERDICT_AGAIN);
	assert_int_equal(g.err.code, KII_ECONFLICT);
	assert_int_equal(toy_asked(f->toy, START), 0);
	drop(&g);
}

/* --- the worker's end --- */

/* How long it takes from the stop to the return, with the attempt held at `step`. */
static int64_t detach(struct fix *f, const char *step, enum toy_trouble trouble)
{
	const struct toy_plan p = { .log = "words\n", .run_ms = TOY_FOR_EVER };
	int64_t stopped;
	struct go g;
	int before = toy_asked(f->toy, step);

	plan(f, &p);
	prepare(&g, f);
	if (step[0] && trouble != TOY_VANISH)
		fault(f, step, trouble, 500, 0);
	begin(&g);
	assert_true(toy_await(f->toy, step, before + 1));
	usleep(30000);
	stopped = kii_io_now();
	atomic_store(&f->w.stop, true);
	end(&g, VERDICT_DETACHED);
	atomic_store(&f->w.stop, false);
	toy_faults_clear(f->toy);
	assert_int_equal(toy_asked(f->toy, KILL), 0);
	assert_int_equal(toy_asked(f->toy, REMOVE), 0);
	drop(&g);
	return g.ended - stopped;
}

static void the_workers_end_detaches_soon_at_every_step(void **state)
{
	/* TOY_VANISH stands for no trouble: the step itself takes its time. */
	static const struct { const char *step; enum toy_trouble trouble; } cases[] = {
		{ LOGS, TOY_VANISH },
		{ LOGS, TOY_HOLD },
		{ CREATE, TOY_HOLD },
		{ INSPECT, TOY_HOLD },
		{ PUT, TOY_HOLD },
		{ START, TOY_HOLD },
		{ START, TOY_REFUSE },
		{ "GET /images/*/json", TOY_HOLD },
	};
	struct fix *f = *state;

	for (size_t i = 0; i < KII_COUNT(cases); i++) {
		int64_t took = 1000;

		/* The machine may be busy: the best of five counts. */
		for (int n = 0; n < 5 && took > 300; n++)
			took = detach(f, cases[i].step, cases[i].trouble);
		if (took > 300)
			fail_msg("%s: %d ms", cases[i].step, (int)took);
	}
}

static void the_workers_end_detaches_from_an_engine_that_is_down(void **state)
{
	struct fix *f = *state;
	int64_t stopped;
	struct go g;

	prepare(&g, f);
	toy_down(f->toy);
	begin(&g);
	usleep(100000);
	stopped = kii_io_now();
	atomic_store(&f->w.stop, true);
	end(&g, VERDICT_DETACHED);
	assert_in_range(g.ended - stopped, 0, 12000);
	drop(&g);
}

static void the_workers_end_comes_before_a_kill(void **state)
{
	struct fix *f = *state;
	const struct toy_plan p = { .run_ms = TOY_FOR_EVER, .term_code = TOY_DEAF };
	kii_autofree char *signals = NULL;
	struct go g;

	plan(f, &p);
	prepare(&g, f);
	fault(f, WAIT, TOY_HOLD, 0, 1);
	atomic_store(&g.slot->cancel, true);
	begin(&g);
	assert_true(toy_await(f->toy, WAIT, 1));
	atomic_store(&f->w.stop, true);
	end(&g, VERDICT_DETACHED);
	signals = toy_signals(f->toy, g.name);
	assert_string_equal(signals, "TERM ");
	drop(&g);
}

/* --- endings of our own --- */

static void a_cancelled_build_is_told_to_stop(void **state)
{
	struct fix *f = *state;
	const struct toy_plan p = { .log = "words\n", .run_ms = TOY_FOR_EVER, .term_code = 143 };
	kii_autofree char *signals = NULL, *log = NULL;
	struct go g;

	plan(f, &p);
	prepare(&g, f);
	begin(&g);
	assert_true(toy_await(f->toy, LOGS, 1));
	atomic_store(&g.slot->cancel, true);
	end(&g, VERDICT_ENDED);
	expect_end(&g, KII_JOB_CANCELLED, "cancelled");
	assert_null(g.a.end.artifact);
	assert_int_equal(g.a.end.exit_code, 143);
	signals = toy_signals(f->toy, g.name);
	assert_string_equal(signals, "TERM ");
	log = fix_log(f, 1, 0);
	assert_memory_equal(log, "words\n", 6);
	assert_non_null(strstr(log, "toy-compiler -O2"));
	assert_non_null(strstr(log, "[kiisrv: the build was cancelled]"));
	drop(&g);
}

static void a_build_that_ignores_the_signal_is_killed(void **state)
{
	struct fix *f = *state;
	const struct toy_plan p = { .run_ms = TOY_FOR_EVER, .term_code = TOY_DEAF };
	kii_autofree char *signals = NULL;
	struct go g;

	plan(f, &p);
	prepare(&g, f);
	atomic_store(&g.slot->cancel, true);
	run_to(&g, VERDICT_ENDED);
	expect_end(&g, KII_JOB_CANCELLED, "cancelled");
	assert_int_equal(g.a.end.exit_code, 137);
	signals = toy_signals(f->toy, g.name);
	assert_string_equal(signals, "TERM KILL ");
	drop(&g);
}

static void a_build_that_ended_before_the_signal_has_succeeded(void **state)
{
	struct fix *f = *state;
	const struct toy_plan p = { .log = "words\n", .run_ms = TOY_FOR_EVER, .term_code = 143 };
	kii_autofree char *signals = NULL;
	struct go g;

	plan(f, &p);
	prepare(&g, f);
	fault(f, KILL, TOY_HOLD, 0, 1);
	atomic_store(&g.slot->cancel, true);
	begin(&g);
	assert_true(toy_await(f->toy, KILL, 1));
	toy_end(f->toy, g.name, 0);
	toy_release(f->toy);
	end(&g, VERDICT_ENDED);
	expect_end(&g, KII_JOB_SUCCEEDED, "built");
	assert_string_equal(g.a.end.artifact, g.a.zip);
	signals = toy_signals(f->toy, g.name);
	assert_string_equal(signals, "TERM ");
	drop(&g);
}

static void an_end_that_the_engine_hinders_is_tried_until_it_works(void **state)
{
	struct fix *f = *state;
	const struct toy_plan p = { .run_ms = TOY_FOR_EVER, .term_code = TOY_DEAF };
	struct go g;

	plan(f, &p);
	prepare(&g, f);
	fault(f, KILL, TOY_REFUSE, 500, 3);
	fault(f, "GET /containers/*/top", TOY_REFUSE, 500, 0);
	atomic_store(&g.slot->cancel, true);
	run_to(&g, VERDICT_ENDED);
	expect_end(&g, KII_JOB_CANCELLED, "cancelled");
	drop(&g);

	prepare(&g, f);
	fault(f, KILL, TOY_REFUSE, 500, 0);
	atomic_store(&g.slot->cancel, true);
	run_to(&g, VERDICT_AGAIN);
	assert_int_equal(g.err.code, KII_EBROKEN);
	drop(&g);
}

static void a_build_that_takes_too_long_is_ended(void **state)
{
	struct fix *f = *state;
	struct toy_plan p = { .log = "words\n", .run_ms = TOY_FOR_EVER, .term_code = 143 };
	int64_t start;
	struct go g;

	f->conf.firmware.timeout_ms = 300;
	plan(f, &p);
	prepare(&g, f);
	run_to(&g, VERDICT_ENDED);
	expect_end(&g, KII_JOB_TIMED_OUT, "timeout");
	assert_non_null(g.a.end.artifact);
	drop(&g);

	/* The clock runs from its start, whoever watched. */
	f->conf.firmware.timeout_ms = 50000;
	p.age_ms = 60000;
	plan(f, &p);
	prepare_found(&g, f, KII_CONTAINER_RUNNING);
	start = kii_io_now();
	run_to(&g, VERDICT_ENDED);
	assert_in_range(g.ended - start, 0, 20000);
	expect_end(&g, KII_JOB_TIMED_OUT, "timeout");
	drop(&g);
}

/* An engine on another machine, or a clock that is set: what began just now has all its time. */
static void a_clock_that_is_ahead_ends_nothing(void **state)
{
	struct fix *f = *state;
	const struct toy_plan p = { .log = "words\n", .run_ms = 300 };
	struct go g;

	clock_ahead_ms = INT64_C(40) * 86400 * 1000;
	plan(f, &p);
	prepare(&g, f);
	run_to(&g, VERDICT_ENDED);
	clock_ahead_ms = 0;
	expect_built(&g, p.log);
	drop(&g);
}

/* Of an earlier worker, made `ago` by the clock that nobody sets, in this boot or another. */
static void prepare_marked(struct go *g, struct fix *f, int64_t ago, const char *boot)
{
	char mark[64], own[37];
	struct kii_pair labels[] = {
		{ WORKER_LABEL_INSTANCE, f->w.instance },
		{ WORKER_LABEL_JOB, NULL },
		{ WORKER_LABEL_ATTEMPT, "1" },
		{ WORKER_LABEL_CLOCK, mark },
		{ NULL, NULL },
	};

	kii_io_boot(own);
	assert_int_equal(strlen(own), 36);
	snprintf(mark, sizeof(mark), "%s/%lld", boot ? boot : own, (long long)(kii_io_now() - ago));
	prepare(g, f);
	labels[1].value = g->job.id;
	toy_container(f->toy, g->name, labels, KII_CONTAINER_RUNNING);
}

/* What clocks say that are set does not count for who can know better. */
static void a_clock_that_jumps_ends_no_build_of_an_earlier_worker(void **state)
{
	struct fix *f = *state;
	struct toy_plan p = { .log = "words\n", .run_ms = 300 };
	struct go g;

	f->conf.firmware.timeout_ms = 50000;
	p.age_ms = 60000;
	plan(f, &p);
	prepare_marked(&g, f, 1000, NULL);
	run_to(&g, VERDICT_ENDED);
	expect_built(&g, p.log);
	drop(&g);

	/* A clock that was set back lets none run on. */
	p = (struct toy_plan){ .log = "words\n", .run_ms = TOY_FOR_EVER, .term_code = 143 };
	plan(f, &p);
	prepare_marked(&g, f, 60000, NULL);
	run_to(&g, VERDICT_ENDED);
	expect_end(&g, KII_JOB_TIMED_OUT, "timeout");
	drop(&g);

	/* The mark of another boot says nothing. */
	p.age_ms = 60000;
	plan(f, &p);
	prepare_marked(&g, f, 0, "00000000-0000-0000-0000-000000000000");
	run_to(&g, VERDICT_ENDED);
	expect_end(&g, KII_JOB_TIMED_OUT, "timeout");
	drop(&g);
}

static void a_build_that_says_nothing_is_ended(void **state)
{
	struct fix *f = *state;
	const struct toy_plan p = { .log = "words\n", .run_ms = TOY_FOR_EVER, .term_code = 143 };
	struct go g;

	f->conf.firmware.idle_timeout_ms = 300;
	plan(f, &p);
	prepare(&g, f);
	run_to(&g, VERDICT_ENDED);
	expect_end(&g, KII_JOB_TIMED_OUT, "silence");
	assert_true(fix_has_file(f->w.artifacts, g.a.error_zip));
	drop(&g);
}

static void a_build_that_talks_goes_on(void **state)
{
	struct fix *f = *state;
	const struct toy_plan p = { .log = "a\nb\nc\nd\ne\nf\ng\nh\ni\nj\n", .piece = 2,
		.pace_ms = 200, .run_ms = 2000 };
	struct go g;

	f->conf.firmware.idle_timeout_ms = 1000;
	plan(f, &p);
	prepare(&g, f);
	run_to(&g, VERDICT_ENDED);
	expect_built(&g, p.log);
	drop(&g);
}

/* --- before and after --- */

static void a_job_that_makes_no_kll_is_refused(void **state)
{
	static const char *const requests[] = { "{", "{\"env\":\"latest\",\"config\":{}}", "{}" };
	struct fix *f = *state;
	struct kii_error err = { 0 };
	struct attempt a;
	struct go g;

	prepare(&g, f);
	for (size_t i = 0; i < KII_COUNT(requests); i++) {
		struct kii_job job = g.job;

		job.request = (char *)requests[i];
		must_fail(attempt_init(&a, &f->w.lanes[LANE_PUBLIC], &job, g.slot, &err),
			KII_EINVAL);
		attempt_release(&a);
	}
	drop(&g);
}

static void a_log_that_cannot_be_opened_is_an_error(void **state)
{
	struct fix *f = *state;
	struct kii_error err = { 0 };
	struct attempt a;
	struct go g;

	prepare(&g, f);
	must(kii_io_remove_tree(f->w.lanes[LANE_PUBLIC].logs, &err));
	must_fail(attempt_init(&a, &f->w.lanes[LANE_PUBLIC], &g.job, g.slot, &err), KII_EIO);
	attempt_release(&a);
	free(f->conf.docker.socket_path);
	f->conf.docker.socket_path = kii_xstrdup("nonsense://");
	must_fail(attempt_init(&a, &f->w.lanes[LANE_PUBLIC], &g.job, g.slot, &err), KII_EINVAL);
	attempt_release(&a);
	drop(&g);
}

static void what_cannot_be_cleaned_stays_for_later(void **state)
{
	struct fix *f = *state;
	struct go g;

	prepare(&g, f);
	run_to(&g, VERDICT_ENDED);
	fault(f, REMOVE, TOY_REFUSE, 500, 1);
	attempt_clean(&g.a);
	assert_true(toy_has(f->toy, g.name));
	assert_true(f->w.untidy);
	f->w.untidy = false;
	attempt_clean(&g.a);
	assert_false(toy_has(f->toy, g.name));
	assert_false(f->w.untidy);
	attempt_clean(&g.a);
	assert_false(f->w.untidy);
	drop(&g);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		FIX_TEST(a_fresh_job_runs_to_its_result),
		FIX_TEST(the_kll_and_the_json_are_put_in),
		FIX_TEST(podmans_log_is_read_by_passes),
		FIX_TEST(a_container_that_was_not_started_is_made_anew),
		FIX_TEST(the_log_of_a_run_that_is_forgotten_goes_with_it),
		FIX_TEST(a_container_whose_start_was_not_heard_of_is_made_anew),
		FIX_TEST(what_is_made_anew_may_fail_as_well),
		FIX_TEST(a_running_container_is_gone_on_with),
		FIX_TEST(a_log_goes_on_where_the_earlier_worker_stopped),
		FIX_TEST(a_created_container_that_ran_is_not_started_again),
		FIX_TEST(an_ended_container_is_concluded),
		FIX_TEST(a_container_that_is_gone_is_not_made_again),
		FIX_TEST(foreign_containers_are_left_alone),
		FIX_TEST(a_container_in_the_making_is_waited_for),
		FIX_TEST(a_name_that_is_taken_is_looked_at),
		FIX_TEST(a_container_whose_making_was_not_heard_of_is_found),
		FIX_TEST(without_its_image_there_is_no_attempt),
		FIX_TEST(a_refused_step_ends_the_attempt),
		FIX_TEST(trouble_that_passes_is_waited_for),
		FIX_TEST(trouble_that_stays_ends_the_attempt),
		FIX_TEST(a_container_without_its_storage_is_not_waited_for),
		FIX_TEST(a_reply_without_sense_is_trouble_too),
		FIX_TEST(a_log_that_is_cut_goes_on_byte_for_byte),
		FIX_TEST(a_log_past_its_cap_keeps_head_and_tail),
		FIX_TEST(a_log_that_cannot_be_written_ends_the_build),
		FIX_TEST(an_engine_that_comes_back_is_waited_for),
		FIX_TEST(an_engine_that_stays_away_ends_the_attempt),
		FIX_TEST(a_container_that_vanishes_ends_the_attempt),
		FIX_TEST(a_container_that_the_engine_ended_is_tried_again),
		FIX_TEST(a_row_that_is_no_longer_running_ends_the_attempt),
		FIX_TEST(the_workers_end_detaches_soon_at_every_step),
		FIX_TEST(the_workers_end_detaches_from_an_engine_that_is_down),
		FIX_TEST(the_workers_end_comes_before_a_kill),
		FIX_TEST(a_cancelled_build_is_told_to_stop),
		FIX_TEST(a_build_that_ignores_the_signal_is_killed),
		FIX_TEST(a_build_that_ended_before_the_signal_has_succeeded),
		FIX_TEST(an_end_that_the_engine_hinders_is_tried_until_it_works),
		FIX_TEST(a_build_that_takes_too_long_is_ended),
		FIX_TEST(a_clock_that_is_ahead_ends_nothing),
		FIX_TEST(a_clock_that_jumps_ends_no_build_of_an_earlier_worker),
		FIX_TEST(a_build_that_says_nothing_is_ended),
		FIX_TEST(a_build_that_talks_goes_on),
		FIX_TEST(a_job_that_makes_no_kll_is_refused),
		FIX_TEST(a_log_that_cannot_be_opened_is_an_error),
		FIX_TEST(what_cannot_be_cleaned_stays_for_later),
	};

	return cmocka_run_group_tests_name("attempt", tests, NULL, NULL);
}
