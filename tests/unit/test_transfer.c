/* SPDX-License-Identifier: MIT */
/* The kinds "pull" and "push" against a scripted engine; a real registry: tests/api. */
#include <config.h>

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "fakeengine.h"
#include "io.h"
#include "kind.h"
#include "queue.h"
#include "testlib.h"
#include "workerfix.h"

#define INSPECT "{\"Id\":\"sha256:0a\",\"Size\":1,\"Created\":\"2026-01-01T00:00:00Z\"}"

static struct fake *fake;

static int setup(void **state)
{
	struct fix *f;

	if (fix_open(state) != 0)
		return -1;
	f = *state;
	fake = fake_new();
	free(f->conf.docker.socket_path);
	f->conf.docker.socket_path = kii_xstrdup(fake_address(fake));
	return 0;
}

static int teardown(void **state)
{
	fake_free(fake);
	return fix_close(state);
}

/* Run a job of this kind; the row afterwards. */
static void run(struct fix *f, const char *kind, const char *request, struct kii_job *after)
{
	struct lane *lane = &f->w.lanes[LANE_OPERATOR];
	struct kii_job wanted = { .client = (char *)"ci", .subject = (char *)"x",
		.request = (char *)request, .created = kii_io_wall() };
	kii_autojob job = { .attempts = 0 };
	struct running *slot = NULL;
	struct kii_error err = { 0 };

	kii_job_release(after);
	fix_id(++f->made, wanted.id);
	snprintf(wanted.kind, sizeof(wanted.kind), "%s", kind);
	snprintf(wanted.key, sizeof(wanted.key), "%d", f->made);
	must(kii_jobs_insert(lane->jobs, &wanted, &err));
	assert_int_equal(queue_claim(lane, &job, &slot, &err), 1);
	kind_find(kind)->run(lane, &job, slot);
	must(kii_jobs_get(lane->jobs, wanted.id, after, &err));
}

static void expect(const struct kii_job *job, enum kii_job_state state, const char *outcome,
	const char *error)
{
	assert_string_equal(kii_job_state_name(job->state), kii_job_state_name(state));
	assert_string_equal(job->outcome ? job->outcome : "", outcome);
	if (!strstr(job->error ? job->error : "", error))
		fail_msg("%s, not %s", job->error, error);
}

/* A ping that waits for the engine, and one before the first versioned call. */
static void script(const char *stream)
{
	fake_reset(fake);
	fake_ping(fake, "1.41", false);
	fake_ping(fake, "1.41", false);
	if (stream)
		fake_stream(fake, "", stream, strlen(stream), 20);
}

static void a_pull_notes_what_came(void **state)
{
	struct fix *f = *state;
	kii_autojob job = { 0 };

	script("{\"status\":\"Pulling fs layer\",\"progressDetail\":{},\"id\":\"a\"}\n"
		"{\"status\":\"Downloading\",\"progressDetail\":{\"current\":1048576,"
		"\"total\":2097152},\"id\":\"a\"}\n"
		"{\"status\":\"Pull complete\",\"progressDetail\":{},\"id\":\"a\"}\n");
	fake_reply(fake, 200, "", INSPECT);
	run(f, "pull", "{\"image\":\"r.x/a:1\"}", &job);
	expect(&job, KII_JOB_SUCCEEDED, "pulled", "");
	assert_string_equal(job.image, "sha256:0a");
	assert_string_equal(job.progress, "1 of 1 layers, 2.0 of 2.0 MiB");
}

static void reasons_become_outcomes(void **state)
{
	static const struct { const char *error, *outcome, *said; } cases[] = {
		{ "manifest unknown: manifest unknown", "not_found", "registry r.x has no such" },
		{ "unauthorized: authentication required", "denied", "wants other credentials" },
		{ "dial tcp 1.2.3.4:443: connection refused", "registry_down", "be reached" },
		{ "no space left on device", "refused", "the log says why" },
	};
	struct fix *f = *state;
	kii_autojob job = { 0 };

	for (size_t i = 0; i < KII_COUNT(cases); i++) {
		kii_autofree char *stream = kii_xfmt("{\"error\":\"%s\"}\n", cases[i].error);

		script(stream);
		run(f, "pull", "{\"image\":\"r.x/a:1\"}", &job);
		expect(&job, KII_JOB_FAILED, cases[i].outcome, cases[i].said);
		assert_null(strstr(job.error, cases[i].error));
	}
}

static void an_image_that_is_gone_again_is_no_success(void **state)
{
	struct fix *f = *state;
	kii_autojob job = { 0 };

	script("{\"status\":\"x\"}\n");
	fake_reply(fake, 404, "", "{\"message\":\"No such image\"}");
	run(f, "pull", "{\"image\":\"r.x/a:1\"}", &job);
	expect(&job, KII_JOB_FAILED, "failed", "");
}

static void a_push_needs_an_image(void **state)
{
	struct fix *f = *state;
	kii_autojob job = { 0 };

	script(NULL);
	fake_reply(fake, 404, "", "{\"message\":\"No such image\"}");
	run(f, "push", "{\"image\":\"r.x/a:1\"}", &job);
	expect(&job, KII_JOB_FAILED, "not_found", "no image r.x/a:1");
	script(NULL);
	fake_reply(fake, 200, "", INSPECT);
	fake_stream(fake, "", "{\"status\":\"x\"}\n", 15, 4);
	run(f, "push", "{\"image\":\"r.x/a:1\"}", &job);
	expect(&job, KII_JOB_SUCCEEDED, "pushed", "");
	script(NULL);
	fake_reply(fake, 500, "", "{\"message\":\"trouble\"}");
	run(f, "push", "{\"image\":\"r.x/a:1\"}", &job);
	assert_int_equal(job.state, KII_JOB_QUEUED);
}

static void a_secret_that_has_changed_is_denied(void **state)
{
	struct fix *f = *state;
	kii_autojob job = { 0 };
	kii_autofree char *path = kii_xfmt("%s/s", f->conf.paths.secrets);
	struct kii_error err = { 0 };

	script(NULL);
	run(f, "pull", "{\"image\":\"r.x/a:1\",\"registry_auth\":\"s\"}", &job);
	expect(&job, KII_JOB_FAILED, "denied", "the secret is not what it was");
	must(kii_io_mkdirs(f->conf.paths.secrets, 0700, &err));
	must(kii_io_publish(path, "{}", 2, 0600, &err));
	script(NULL);
	run(f, "pull", "{\"image\":\"r.x/a:1\",\"registry_auth\":\"s\"}", &job);
	expect(&job, KII_JOB_FAILED, "denied", "");
}

static void a_request_that_makes_no_sense_is_lost(void **state)
{
	struct fix *f = *state;
	kii_autojob job = { 0 };

	script(NULL);
	run(f, "pull", "{\"image\":7}", &job);
	expect(&job, KII_JOB_LOST, "unfit", "");
	script(NULL);
	run(f, "push", "{}", &job);
	expect(&job, KII_JOB_LOST, "unfit", "");
}

#define transfer_test(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		transfer_test(a_pull_notes_what_came),
		transfer_test(reasons_become_outcomes),
		transfer_test(an_image_that_is_gone_again_is_no_success),
		transfer_test(a_push_needs_an_image),
		transfer_test(a_secret_that_has_changed_is_denied),
		transfer_test(a_request_that_makes_no_sense_is_lost),
	};

	return cmocka_run_group_tests_name("transfer", tests, NULL, NULL);
}
