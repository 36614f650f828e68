/* SPDX-License-Identifier: MIT */
/* Requests as they come over worker.sock, against real databases and our own layouts; no engine. */
#include <config.h>

#include "submit.h"

#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "attempt.h"
#include "collector.h"
#include "io.h"
#include "json.h"
#include "kll.h"
#include "ops.h"
#include "queue.h"
#include "start.h"
#include "testlib.h"

struct fixture {
	struct kii_conf conf;
	struct worker w;
	char *dir;
	int lock;
	json_t *config;     /* a layout to ask for */
	bool admin;
};

static int setup(void **state)
{
	struct fixture *f = kii_xcalloc(1, sizeof(*f));
	struct kii_error err = { 0 };
	kii_autofree char *schema = test_source("schema");
	kii_autofree char *layout = test_source("layouts/MD1-Standard.json");
	kii_autobuf text = KII_BUF_INIT(1u << 20);

	f->dir = test_dir_new();
	f->conf.paths.state_dir = kii_xfmt("%s/state", f->dir);
	f->conf.paths.run_dir = kii_xfmt("%s/run", f->dir);
	f->conf.paths.layouts[0] = test_source("layouts");
	f->conf.paths.n_layouts = 1;
	f->conf.firmware.image_prefix = kii_xstrdup("kiisrv-");
	f->conf.queue.slots = 2;
	f->conf.queue.max_waiting = 3;
	f->conf.queue.per_client = 2;
	f->conf.retention.artifacts = 1 << 30;
	f->conf.retention.artifact_days = f->conf.retention.log_days = 30;
	f->admin = true;
	must(start_worker(&f->w, &f->conf, schema, &f->lock, &err));
	f->w.images = kii_xcalloc(1, sizeof(*f->w.images));
	f->w.images[0].name = kii_xstrdup("kiisrv-controller-057:latest");
	snprintf(f->w.images[0].id, sizeof(f->w.images[0].id), "sha256:aa");
	f->w.n_images = 1;
	must(kii_io_read(layout, &text, &err));
	must(kii_json_parse(text.data, text.len, "layout", &f->config, &err));
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	start_release(&f->w);
	close(f->lock);
	json_decref(f->config);
	test_dir_remove(f->dir);
	free(f->dir);
	free(f->conf.paths.state_dir);
	free(f->conf.paths.run_dir);
	free(f->conf.paths.layouts[0]);
	free(f->conf.firmware.image_prefix);
	free(f);
	return 0;
}

/* A layout that nobody else asks for: its author is `n`. */
static void vary(struct fixture *f, int n)
{
	kii_autofree char *author = kii_xfmt("author %d", n);

	kii_json_set_str(json_object_get(f->config, "header"), "Author", author);
}

static json_t *ask(struct fixture *f, json_t *taken, char watch[KII_JOB_ID + 1])
{
	const struct peer peer = { .uid = 4711, .admin = f->admin };
	char *line = json_dumps(taken, 0);
	json_t *answer = ops_answer(&f->w, &peer, line, strlen(line), watch);

	free(line);
	json_decref(taken);
	return answer;
}

static json_t *submit(struct fixture *f, const char *env, const char *client, bool fresh,
	char watch[KII_JOB_ID + 1])
{
	return ask(f, json_pack("{s:s, s:i, s:s, s:s, s:b, s:{s:s, s:O}}", "op", "submit", "tag", 7,
		"kind", "firmware", "client", client, "fresh", fresh, "request", "env", env,
		"config", f->config), watch);
}

static json_t *ask_job(struct fixture *f, const char *op, const char *job)
{
	char watch[KII_JOB_ID + 1];

	return ask(f, json_pack("{s:s, s:s}", "op", op, "job", job), watch);
}

static void expect_no(json_t *answer, int status, const char *code, const char *field)
{
	const char *got = kii_json_str(answer, "field");

	assert_false(json_is_true(json_object_get(answer, "ok")));
	assert_int_equal(kii_json_int(answer, "status", 0), status);
	assert_string_equal(kii_json_str(answer, "code"), code);
	assert_non_null(kii_json_str(answer, "error"));
	assert_string_equal(got ? got : "", field);
	json_decref(answer);
}

/* A yes; its job's id goes into `job`. */
static void expect_yes(json_t *answer, const char *state, char job[KII_JOB_ID + 1])
{
	assert_true(json_is_true(json_object_get(answer, "ok")));
	assert_string_equal(kii_json_str(answer, "state"), state);
	if (job)
		snprintf(job, KII_JOB_ID + 1, "%s", kii_json_str(answer, "job"));
	json_decref(answer);
}

/* The next job of the queue ends so; `artifact` may be NULL. */
static void end_next(struct fixture *f, enum kii_job_state state, const char *outcome,
	const char *artifact)
{
	struct kii_error err = { 0 };
	kii_autojob job = { 0 };
	struct running *slot;
	struct kii_job_end end = { .state = state, .outcome = outcome, .artifact = artifact,
		.finished = kii_io_wall() };
	kii_autofree char *path = kii_xfmt("%s/%s", f->w.artifacts, artifact ? artifact : "none");

	assert_int_equal(queue_claim(&f->w.lanes[LANE_PUBLIC], &job, &slot, &err), 1);
	must(kii_jobs_finish(f->w.lanes[LANE_PUBLIC].jobs, job.id, &end, &err));
	queue_leave(slot);
	if (artifact)
		must(kii_io_publish(path, "PK", 2, 0600, &err));
}

static void a_new_request_is_queued(void **state)
{
	struct fixture *f = *state;
	char watch[KII_JOB_ID + 1], job[KII_JOB_ID + 1];
	json_t *answer = submit(f, "latest", "192.0.2.1", false, watch);

	assert_int_equal(kii_json_int(answer, "tag", 0), 7);
	assert_int_equal(kii_json_int(answer, "place", 0), 1);
	assert_int_equal(kii_json_int(answer, "estimate_ms", 0), -1);
	assert_int_equal(strlen(kii_json_str(answer, "key")), 64);
	expect_yes(answer, "queued", job);
	assert_string_equal(watch, job);
}

static size_t count_values(const json_t *j)
{
	const char *name;
	const json_t *value;
	size_t i, n = 1;

	json_object_foreach((json_t *)j, name, value)
		n += count_values(value);
	json_array_foreach(j, i, value)
		n += count_values(value);
	return n;
}

/* A body that is as much as a client may send, by a member that nobody knows. */
static void fill_up(json_t *config, bool deep)
{
	json_t *pad = json_array();

	json_object_set_new(config, "pad", pad);
	/* The body's and the configuration's level, and the two values of {"env": ...}. */
	for (int i = 3; deep && i < KII_JSON_DEPTH; i++) {
		json_array_append_new(pad, json_array());
		pad = json_array_get(pad, 0);
	}
	for (size_t i = count_values(config) + 2; !deep && i < KII_JSON_VALUES; i++)
		json_array_append_new(pad, json_integer(0));
}

static void what_a_client_may_send_is_taken_and_read_again(void **state)
{
	struct fixture *f = *state;
	struct kii_error err = { 0 };

	f->conf.docker.socket_path = (char *)"unix:///nowhere";
	for (int deep = 0; deep < 2; deep++) {
		kii_autojob job = { 0 };
		kii_autojson *body = NULL, *parsed = NULL;
		char watch[KII_JOB_ID + 1];
		struct running *slot;
		struct attempt a;
		char *text;

		vary(f, deep);
		fill_up(f->config, deep);
		body = json_pack("{s:s, s:O}", "env", "latest", "config", f->config);
		text = json_dumps(body, 0);
		must(kii_json_parse(text, strlen(text), "body", &parsed, &err));
		free(text);
		expect_yes(submit(f, "latest", "192.0.2.1", false, watch), "queued", NULL);
		assert_int_equal(queue_claim(&f->w.lanes[LANE_PUBLIC], &job, &slot, &err), 1);
		must(attempt_init(&a, &f->w.lanes[LANE_PUBLIC], &job, slot, &err));
		attempt_release(&a);
		queue_leave(slot);
	}
}

static void the_same_request_shares_the_job(void **state)
{
	struct fixture *f = *state;
	char watch[KII_JOB_ID + 1], first[KII_JOB_ID + 1], second[KII_JOB_ID + 1];

	expect_yes(submit(f, "latest", "192.0.2.1", false, watch), "queued", first);
	/* Another name of the same image is the same build; sharing counts for nobody. */
	for (int i = 0; i < 9; i++) {
		expect_yes(submit(f, "nightly", "192.0.2.2", i % 2, watch), "queued", second);
		assert_string_equal(first, second);
	}
}

static void a_result_is_remembered_when_it_is_the_users(void **state)
{
	static const struct { enum kii_job_state state; const char *outcome; bool kept; } ends[] = {
		{ KII_JOB_SUCCEEDED, "built", true },
		{ KII_JOB_FAILED, "build_failed", true },
		{ KII_JOB_FAILED, "memory", false },
		{ KII_JOB_TIMED_OUT, "timeout", false },
		{ KII_JOB_LOST, "engine", false },
		{ KII_JOB_CANCELLED, "cancelled", false },
	};
	struct fixture *f = *state;
	char watch[KII_JOB_ID + 1];

	for (size_t i = 0; i < KII_COUNT(ends); i++) {
		json_t *answer;

		vary(f, (int)i);
		expect_yes(submit(f, "latest", "192.0.2.1", false, watch), "queued", NULL);
		end_next(f, ends[i].state, ends[i].outcome, "x.zip");
		answer = submit(f, "latest", "192.0.2.1", false, watch);
		if (ends[i].kept) {
			assert_true(json_is_true(json_object_get(answer, "cached")));
			assert_string_equal(kii_json_str(answer, "artifact"), "x.zip");
			assert_string_equal(watch, "");
		}
		expect_yes(answer, ends[i].kept ? kii_job_state_name(ends[i].state) : "queued",
			NULL);
		if (!ends[i].kept)
			end_next(f, KII_JOB_LOST, "engine", NULL);
	}
}

static void a_fresh_request_and_a_vanished_file_build_again(void **state)
{
	struct fixture *f = *state;
	kii_autofree char *path = kii_xfmt("%s/x.zip", f->w.artifacts);
	char watch[KII_JOB_ID + 1];

	expect_yes(submit(f, "latest", "192.0.2.1", false, watch), "queued", NULL);
	end_next(f, KII_JOB_SUCCEEDED, "built", "x.zip");
	expect_yes(submit(f, "latest", "192.0.2.1", false, watch), "succeeded", NULL);
	expect_yes(submit(f, "latest", "192.0.2.1", true, watch), "queued", NULL);
	end_next(f, KII_JOB_SUCCEEDED, "built", "x.zip");
	unlink(path);
	expect_yes(submit(f, "latest", "192.0.2.1", false, watch), "queued", NULL);
}

/* What kii_kll_content says of the request as it is now. */
static json_t *find(struct fixture *f, const char *env, char watch[KII_JOB_ID + 1])
{
	kii_autojson *request = json_pack("{s:s, s:O}", "env", env, "config", f->config);
	struct kii_error err = { 0 };
	struct kii_kll *kll = NULL;
	char content[KII_HASH_HEX];

	must(kii_kll_make(request, KII_KLL_LATEST, f->w.layouts, &kll, &err));
	kii_kll_content(kll, content);
	kii_kll_free(kll);
	return ask(f, json_pack("{s:s, s:i, s:s, s:s, s:s}", "op", "find", "tag", 8, "kind",
		"firmware", "env", env, "content", content), watch);
}

static void what_is_known_is_found_by_its_content(void **state)
{
	struct fixture *f = *state;
	char watch[KII_JOB_ID + 1], job[KII_JOB_ID + 1];
	json_t *answer;

	answer = find(f, "latest", watch);
	assert_int_equal(kii_json_int(answer, "tag", 0), 8);
	expect_no(answer, 404, "not_found", "content");
	assert_string_equal(watch, "");
	expect_yes(submit(f, "latest", "192.0.2.1", false, watch), "queued", job);
	expect_yes(find(f, "latest", watch), "queued", NULL);
	assert_string_equal(watch, job);
	end_next(f, KII_JOB_SUCCEEDED, "built", "x.zip");
	answer = find(f, "nightly", watch);
	assert_true(json_is_true(json_object_get(answer, "cached")));
	assert_string_equal(kii_json_str(answer, "artifact"), "x.zip");
	expect_yes(answer, "succeeded", NULL);
	assert_string_equal(watch, "");
	vary(f, 1);
	expect_no(find(f, "latest", watch), 404, "not_found", "content");
	assert_int_equal(f->w.look_now, false);
	expect_no(find(f, "lts", watch), 503, "image_missing", "env");
	expect_no(find(f, "v9", watch), 400, "bad_request", "env");
	expect_no(ask(f, json_pack("{s:s, s:s}", "op", "find", "kind", "cake"), watch), 400,
		"bad_request", "kind");
	expect_no(ask(f, json_pack("{s:s, s:s}", "op", "find", "kind", "firmware"), watch), 400,
		"bad_request", "env");
	expect_no(ask(f, json_pack("{s:s, s:s, s:s}", "op", "find", "kind", "firmware", "env",
		"latest"), watch), 400, "bad_request", "content");
}

/* A use is noted once a minute: an answer from memory waits for no disk. */
static void the_use_of_a_result_is_noted_now_and_then(void **state)
{
	struct fixture *f = *state;
	struct kii_error err = { 0 };
	char watch[KII_JOB_ID + 1], id[KII_JOB_ID + 1];
	kii_autojob job = { 0 };
	int64_t now = kii_io_wall();

	expect_yes(submit(f, "latest", "192.0.2.1", false, watch), "queued", id);
	end_next(f, KII_JOB_SUCCEEDED, "built", "x.zip");
	for (int i = 0; i < 2; i++) {
		int64_t noted = i ? now - 70000 : now - 50000;

		must(kii_jobs_answered(f->w.lanes[LANE_PUBLIC].jobs, id, noted, &err));
		expect_yes(find(f, "latest", watch), "succeeded", NULL);
		kii_job_release(&job);
		must(kii_jobs_get(f->w.lanes[LANE_PUBLIC].jobs, id, &job, &err));
		if (i)
			assert_true(job.answered >= now);
		else
			assert_int_equal(job.answered, noted);
	}
}

static void one_client_cannot_take_it_all(void **state)
{
	struct fixture *f = *state;
	char watch[KII_JOB_ID + 1];
	json_t *answer;

	for (int i = 0; i < 2; i++) {
		vary(f, i);
		expect_yes(submit(f, "latest", "2001:db8::1", false, watch), "queued", NULL);
	}
	vary(f, 2);
	answer = submit(f, "latest", "2001:db8::2", false, watch);
	assert_true(kii_json_int(answer, "retry_after", 0) > 0);
	expect_no(answer, 429, "too_many_jobs", "");
	assert_string_equal(watch, "");
	expect_yes(submit(f, "latest", "2001:db8:0:1::1", false, watch), "queued", NULL);
	vary(f, 3);
	answer = submit(f, "latest", "192.0.2.3", false, watch);
	assert_true(kii_json_int(answer, "retry_after", 0) > 0);
	expect_no(answer, 429, "queue_full", "");
}

static void below_the_disks_floor_nothing_new_is_taken_on(void **state)
{
	struct fixture *f = *state;
	char watch[KII_JOB_ID + 1];

	f->conf.limits.disk_floor = INT64_MAX;
	expect_no(submit(f, "latest", "192.0.2.1", false, watch), 503, "disk_full", "");
	f->conf.limits.disk_floor = 0;
	expect_yes(submit(f, "latest", "192.0.2.1", false, watch), "queued", NULL);
	end_next(f, KII_JOB_SUCCEEDED, "built", "x.zip");
	f->conf.limits.disk_floor = INT64_MAX;
	expect_yes(submit(f, "latest", "192.0.2.1", false, watch), "succeeded", NULL);
}

static void what_is_wrong_with_a_request_is_said(void **state)
{
	struct fixture *f = *state;
	char watch[KII_JOB_ID + 1];

	expect_no(submit(f, "v9", "192.0.2.1", false, watch), 400, "bad_request", "env");
	expect_no(submit(f, "lts", "192.0.2.1", false, watch), 503, "image_missing", "env");
	assert_true(f->w.look_now);
	kii_json_set_str(json_object_get(f->config, "header"), "Name", "Nothing");
	expect_no(submit(f, "latest", "192.0.2.1", false, watch), 400, "bad_request",
		"config.header.Name");
	expect_no(ask(f, json_pack("{s:s, s:s, s:{s:i}}", "op", "submit", "kind", "firmware",
		"request", "env", 5), watch), 400, "bad_request", "env");
	expect_no(ask(f, json_pack("{s:s, s:s, s:[]}", "op", "submit", "kind", "firmware",
		"request"), watch), 400, "bad_request", "request");
	expect_no(ask(f, json_pack("{s:s, s:s}", "op", "submit", "kind", "cake"), watch), 400,
		"bad_request", "kind");
	expect_no(ask(f, json_pack("{s:s}", "op", "explode"), watch), 400, "bad_request", "op");
	expect_no(ask(f, json_pack("{}"), watch), 400, "bad_request", "op");
	expect_no(ask(f, json_pack("[]"), watch), 400, "bad_request", "line");
	expect_no(ops_answer(&f->w, &(struct peer){ 0 }, "{", 1, watch), 400, "bad_request",
		"line");
}

static void a_job_can_be_asked_for_by_its_id(void **state)
{
	struct fixture *f = *state;
	char watch[KII_JOB_ID + 1], job[KII_JOB_ID + 1];

	expect_no(ask_job(f, "attach", "nonsense"), 404, "not_found", "job");
	expect_no(ask_job(f, "attach", "00000000000000000000000000000000"), 404, "not_found",
		"job");
	expect_yes(submit(f, "latest", "192.0.2.1", false, watch), "queued", job);
	expect_yes(ask(f, json_pack("{s:s, s:s}", "op", "attach", "job", job), watch), "queued",
		NULL);
	assert_string_equal(watch, job);
	end_next(f, KII_JOB_FAILED, "build_failed", "x_error.zip");
	expect_yes(ask_job(f, "attach", job), "failed", NULL);
}

static void a_queued_job_is_cancelled_at_once_and_a_running_one_told(void **state)
{
	struct fixture *f = *state;
	struct kii_error err = { 0 };
	char watch[KII_JOB_ID + 1], job[KII_JOB_ID + 1];
	kii_autojob claimed = { 0 };
	struct running *slot;
	json_t *answer, *line;

	expect_yes(submit(f, "latest", "192.0.2.1", false, watch), "queued", job);
	answer = ask_job(f, "cancel", job);
	assert_int_equal(kii_json_int(answer, "duration_ms", -1), 0);
	expect_yes(answer, "cancelled", NULL);
	assert_non_null(f->w.ended);
	assert_string_equal(f->w.ended->id, job);
	assert_int_equal(ops_end(&f->w, job, &line), 1);
	assert_string_equal(kii_json_str(line, "state"), "cancelled");
	assert_int_equal(kii_json_int(line, "duration_ms", -1), 0);
	json_decref(line);
	expect_no(ask_job(f, "cancel", job), 409, "conflict", "job");
	expect_no(ask_job(f, "cancel", "x"), 404, "not_found", "job");

	expect_yes(submit(f, "latest", "192.0.2.1", false, watch), "queued", job);
	assert_int_equal(queue_claim(&f->w.lanes[LANE_PUBLIC], &claimed, &slot, &err), 1);
	assert_int_equal(ops_end(&f->w, job, &line), 0);
	expect_yes(ask_job(f, "cancel", job), "running", NULL);
	assert_true(atomic_load(&slot->cancel));
}

static void an_ended_job_can_be_tried_again(void **state)
{
	struct fixture *f = *state;
	char watch[KII_JOB_ID + 1], job[KII_JOB_ID + 1], again[KII_JOB_ID + 1];

	expect_no(ask_job(f, "retry", "x"), 404, "not_found", "job");
	expect_yes(submit(f, "latest", "192.0.2.1", false, watch), "queued", job);
	expect_no(ask_job(f, "retry", job), 409, "conflict", "job");
	end_next(f, KII_JOB_LOST, "engine", NULL);
	expect_yes(ask_job(f, "retry", job), "queued", again);
	assert_string_not_equal(job, again);
	end_next(f, KII_JOB_SUCCEEDED, "built", "x.zip");
	snprintf(f->w.images[0].id, sizeof(f->w.images[0].id), "sha256:bb");
	expect_no(ask_job(f, "retry", job), 409, "image_changed", "job");
}

/* --- the operator's kinds --- */

#define UPLOAD "0123456789abcdef0123456789abcdef"

static json_t *order(struct fixture *f, const char *kind, json_t *request_taken)
{
	char watch[KII_JOB_ID + 1];

	return ask(f, json_pack("{s:s, s:s, s:s, s:o}", "op", "submit", "kind", kind, "client",
		"anna", "request", request_taken), watch);
}

static json_t *build_request(const char *id, const char *tag)
{
	return json_pack("{s:s, s:s, s:s, s:s}", "id", id, "buildpack_type", "dockerfile",
		"image_tag", tag, "source", UPLOAD);
}

static void put_upload(const struct fixture *f)
{
	kii_autofree char *folder = kii_xfmt("%s/engine/uploads", f->conf.paths.state_dir);
	kii_autofree char *path = kii_xfmt("%s/" UPLOAD, folder);
	struct kii_error err = { 0 };

	must(kii_io_mkdirs(folder, 0700, &err));
	must(kii_io_publish(path, "x", 1, 0600, &err));
}

static void operators_kinds_are_for_operators(void **state)
{
	static const char *const kinds[] = { "pull", "push", "image", "plan" };
	struct fixture *f = *state;
	char job[KII_JOB_ID + 1];

	f->admin = false;
	for (size_t i = 0; i < KII_COUNT(kinds); i++)
		expect_no(order(f, kinds[i], json_object()), 400, "bad_request", "kind");
	f->admin = true;
	expect_yes(order(f, "pull", json_pack("{s:s}", "image", "nginx")), "queued", job);
	expect_yes(ask_job(f, "attach", job), "queued", NULL);
	f->admin = false;
	expect_no(ask_job(f, "attach", job), 404, "not_found", "job");
	expect_no(ask_job(f, "cancel", job), 403, "forbidden", "op");
	f->admin = true;
	expect_yes(ask_job(f, "cancel", job), "cancelled", NULL);
	expect_no(ask_job(f, "cancel", job), 409, "conflict", "job");
	expect_yes(ask_job(f, "retry", job), "queued", NULL);
}

static void the_same_pull_is_one_job(void **state)
{
	struct fixture *f = *state;
	char one[KII_JOB_ID + 1], two[KII_JOB_ID + 1], three[KII_JOB_ID + 1];

	expect_yes(order(f, "pull", json_pack("{s:s}", "image", "nginx")), "queued", one);
	expect_yes(order(f, "pull", json_pack("{s:s}", "image", "docker.io/library/nginx:latest")),
		"queued", two);
	expect_yes(order(f, "push", json_pack("{s:s}", "image", "nginx")), "queued", three);
	assert_string_equal(one, two);
	assert_string_not_equal(one, three);
	/* Two of this client wait: that is the limit, and the public's jobs are others. */
	expect_no(order(f, "pull", json_pack("{s:s}", "image", "other")), 429, "too_many_jobs",
		"");
	expect_yes(submit(f, "latest", "anna", false, two), "queued", NULL);
}

static void a_pull_is_checked(void **state)
{
	struct fixture *f = *state;

	f->conf.paths.secrets = f->dir;
	expect_no(order(f, "pull", json_object()), 400, "bad_request", "image");
	expect_no(order(f, "pull", json_pack("{s:s, s:s}", "image", "a", "registry_auth", "none")),
		400, "bad_request", "registry_auth");
	f->conf.paths.secrets = NULL;
}

static void an_id_stands_for_one_build(void **state)
{
	struct fixture *f = *state;
	char one[KII_JOB_ID + 1], two[KII_JOB_ID + 1];

	put_upload(f);
	expect_yes(order(f, "image", build_request("b", "a:1")), "queued", one);
	expect_yes(order(f, "image", build_request("b", "a:1")), "queued", two);
	assert_string_equal(one, two);
	expect_no(order(f, "image", build_request("b", "a:2")), 409, "conflict", "id");
	expect_yes(ask_job(f, "cancel", one), "cancelled", NULL);
	expect_yes(order(f, "image", build_request("b", "a:1")), "cancelled", two);
	assert_string_equal(one, two);
	expect_no(order(f, "image", build_request("b", "a:2")), 409, "conflict", "id");
	expect_yes(ask_job(f, "retry", one), "queued", two);
	assert_string_not_equal(one, two);
	expect_yes(order(f, "image", build_request("b", "a:1")), "queued", one);
	assert_string_equal(one, two);
}

static void a_build_is_checked(void **state)
{
	struct fixture *f = *state;
	json_t *limits = json_pack("{s:I}", "memory", (json_int_t)1 << 40);
	json_t *request = build_request("b", "a:1");

	expect_no(order(f, "image", json_object()), 400, "bad_request", "buildpack_type");
	expect_no(order(f, "image", build_request("b", "a:1")), 400, "bad_request", "source");
	put_upload(f);
	json_object_set_new(request, "limits", limits);
	expect_no(order(f, "image", request), 400, "bad_request", "limits.memory");
	expect_no(order(f, "plan", build_request("b", "a:1")), 400, "bad_request",
		"buildpack_type");
}

/* As large as http.body may be: no step on the way is narrower. */
static void the_largest_body_is_taken(void **state)
{
	struct fixture *f = *state;
	char watch[KII_JOB_ID + 1];
	kii_autojson *body = json_pack("{s:O, s:s}", "config", f->config, "env", "latest");
	kii_autobuf text = KII_BUF_INIT(KII_CONF_BODY_MAX + 1);
	struct kii_error err = { 0 };
	kii_autofree char *filler = NULL;
	size_t left;

	json_object_set_new(f->config, "filler", json_string(""));
	must(kii_json_dump(body, 0, &text, &err));
	left = KII_CONF_BODY_MAX - text.len;
	filler = kii_xcalloc(left + 1, 1);
	memset(filler, 'x', left);
	json_object_set_new(f->config, "filler", json_string(filler));
	expect_yes(submit(f, "latest", "192.0.2.1", false, watch), "queued", NULL);
}

/* A dry one; its thread runs as long. */
static json_t *gc(struct fixture *f)
{
	struct pollfd p = { .fd = f->w.wake_server, .events = POLLIN };
	char watch[KII_JOB_ID + 1];
	pthread_t thread;
	json_t *answer;
	uint64_t peer;
	int ready;

	assert_null(ask(f, json_pack("{s:s, s:b, s:i}", "op", "gc", "dry_run", true, "tag", 8),
		watch));
	assert_int_equal(pthread_create(&thread, NULL, collector_run, &f->w), 0);
	ready = poll(&p, 1, 10000);
	pthread_mutex_lock(&f->w.lock);
	atomic_store(&f->w.stop, true);
	pthread_cond_broadcast(&f->w.collector_wake);
	pthread_mutex_unlock(&f->w.lock);
	pthread_join(thread, NULL);
	answer = collector_take(&f->w, &peer);
	assert_int_equal(ready, 1);
	assert_non_null(answer);
	return answer;
}

static void the_public_zone_may_not_manage(void **state)
{
	static const char *const ops[] = { "cancel", "retry", "gc" };
	struct fixture *f = *state;

	f->admin = false;
	for (size_t i = 0; i < KII_COUNT(ops); i++)
		expect_no(ask_job(f, ops[i], "00000000000000000000000000000000"), 403, "forbidden",
			"op");
}

static void the_status_tells_what_is_known(void **state)
{
	struct fixture *f = *state;
	char watch[KII_JOB_ID + 1];
	json_t *answer;

	expect_yes(submit(f, "latest", "192.0.2.1", false, watch), "queued", NULL);
	answer = ask(f, json_pack("{s:s}", "op", "status"), watch);
	assert_int_equal(kii_json_int(answer, "queued", -1), 1);
	assert_int_equal(kii_json_int(answer, "running", -1), 0);
	assert_int_equal(kii_json_int(answer, "slots", -1), 2);
	assert_int_equal(json_array_size(json_object_get(answer, "images")), 1);
	assert_false(json_is_true(json_object_get(answer, "engine_up")));
	assert_string_equal(kii_json_str(answer, "workspace_error"), "");
	json_decref(answer);
	answer = gc(f);
	assert_true(json_is_true(json_object_get(answer, "ok")));
	assert_true(json_is_true(json_object_get(answer, "dry_run")));
	assert_int_equal(kii_json_int(answer, "tag", -1), 8);
	assert_int_equal(json_array_size(json_object_get(answer, "items")), 0);
	json_decref(answer);
}

static void a_broken_database_refuses_and_keeps_nothing(void **state)
{
	static const char *const drop[] = { "DROP TABLE Jobs" };
	static const char *const ops[] = { "attach", "cancel", "retry" };
	struct fixture *f = *state;
	struct kii_error err = { 0 };
	kii_autofree char *path = kii_xfmt("%s/queue/jobs.sqlite", f->conf.paths.state_dir);
	char watch[KII_JOB_ID + 1];
	struct kii_store *other;

	must(kii_store_open(path, KII_STORE_WRITE, KII_JOBS_VERSION, drop, 1, &other, &err));
	must(kii_store_run(other, 0, NULL, &err, ""));
	kii_store_close(other);
	expect_no(submit(f, "latest", "192.0.2.1", false, watch), 503, "database", "");
	assert_string_equal(watch, "");
	/* Whether there is such a job is not known. */
	for (size_t i = 0; i < KII_COUNT(ops); i++)
		expect_no(ask_job(f, ops[i], "00000000000000000000000000000001"), 503, "database",
			"");
	expect_no(gc(f), 503, "database", "");
}

/* --- the start --- */

static void a_second_worker_is_refused_and_the_first_named(void **state)
{
	struct fixture *f = *state;
	struct kii_error err = { 0 };
	kii_autofree char *schema = test_source("schema");
	kii_autofree char *pid = kii_xfmt("process %d", (int)getpid());
	struct worker second;
	int lock = -1;

	assert_int_equal(start_worker(&second, &f->conf, schema, &lock, &err), -1);
	assert_int_equal(err.code, KII_ECONFLICT);
	assert_non_null(strstr(err.msg, pid));
	start_release(&second);
}

static void the_instance_stays_the_same(void **state)
{
	struct fixture *f = *state;
	struct kii_error err = { 0 };
	kii_autofree char *schema = test_source("schema");
	kii_autofree char *path = kii_xfmt("%s/engine/instance", f->conf.paths.state_dir);
	char instance[17];

	memcpy(instance, f->w.instance, sizeof(instance));
	assert_int_equal(strspn(instance, "0123456789abcdef"), 16);
	start_release(&f->w);
	close(f->lock);
	must(start_worker(&f->w, &f->conf, schema, &f->lock, &err));
	assert_string_equal(f->w.instance, instance);
	start_release(&f->w);
	close(f->lock);
	must(kii_io_publish(path, "short", 5, 0600, &err));
	must_fail(start_worker(&f->w, &f->conf, schema, &f->lock, &err), KII_EIO);
	start_release(&f->w);
	close(f->lock);
	unlink(path);
	must(start_worker(&f->w, &f->conf, schema, &f->lock, &err));
}

static void folders_that_cannot_be_made_refuse_the_start(void **state)
{
	struct fixture *f = *state;
	struct kii_error err = { 0 };
	kii_autofree char *file = kii_xfmt("%s/file", f->dir);
	struct kii_conf conf = f->conf;
	struct worker w;
	int lock = -1;

	must(kii_io_publish(file, "", 0, 0600, &err));
	conf.paths.state_dir = file;
	assert_int_equal(start_worker(&w, &conf, "/nowhere", &lock, &err), -1);
	assert_int_equal(err.code, KII_EIO);
	assert_memory_equal(err.msg, "paths.state_dir: ", 17);
	kii_error_clear(&err);
	start_release(&w);
	conf.paths.state_dir = kii_xfmt("%s/other", f->dir);
	assert_int_equal(start_worker(&w, &conf, "/nowhere", &lock, &err), -1);
	start_release(&w);
	close(lock);
	free(conf.paths.state_dir);
}

#define submit_test(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		submit_test(a_new_request_is_queued),
		submit_test(what_a_client_may_send_is_taken_and_read_again),
		submit_test(the_same_request_shares_the_job),
		submit_test(a_result_is_remembered_when_it_is_the_users),
		submit_test(a_fresh_request_and_a_vanished_file_build_again),
		submit_test(what_is_known_is_found_by_its_content),
		submit_test(the_use_of_a_result_is_noted_now_and_then),
		submit_test(one_client_cannot_take_it_all),
		submit_test(below_the_disks_floor_nothing_new_is_taken_on),
		submit_test(what_is_wrong_with_a_request_is_said),
		submit_test(a_job_can_be_asked_for_by_its_id),
		submit_test(a_queued_job_is_cancelled_at_once_and_a_running_one_told),
		submit_test(an_ended_job_can_be_tried_again),
		submit_test(operators_kinds_are_for_operators),
		submit_test(the_same_pull_is_one_job),
		submit_test(a_pull_is_checked),
		submit_test(an_id_stands_for_one_build),
		submit_test(a_build_is_checked),
		submit_test(the_largest_body_is_taken),
		submit_test(the_public_zone_may_not_manage),
		submit_test(the_status_tells_what_is_known),
		submit_test(a_broken_database_refuses_and_keeps_nothing),
		submit_test(a_second_worker_is_refused_and_the_first_named),
		submit_test(the_instance_stays_the_same),
		submit_test(folders_that_cannot_be_made_refuse_the_start),
	};

	return cmocka_run_group_tests_name("submit", tests, NULL, NULL);
}
