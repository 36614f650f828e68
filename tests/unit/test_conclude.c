/* SPDX-License-Identifier: MIT */
/* What an ended container means for its job: each row of the judgement, and the zip with it. */
#include <config.h>

#include "conclude.h"

#include <archive.h>
#include <archive_entry.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "io.h"
#include "testlib.h"
#include "workerfix.h"

#define GET "GET /containers/*/archive"

/* An attempt whose container has ended. */
struct over {
	struct kii_job job;
	struct running *slot;
	struct attempt a;
	char *name;
};

static void set_up(struct over *o, struct fix *f, enum toy_result result)
{
	const struct toy_plan plan = { .log = "words\n", .result = result };
	struct kii_error err = { 0 };

	memset(o, 0, sizeof(*o));
	toy_plan(f->toy, &plan);
	fix_queue(f);
	o->slot = fix_claim(f, &o->job);
	o->name = fix_name(f, f->made, 1);
	fix_container(f, f->made, 1, KII_CONTAINER_EXITED);
	must(attempt_init(&o->a, &f->w.lanes[LANE_PUBLIC], &o->job, o->slot, &err));
	must(kii_spool_feed(&o->a.spool, "words\n", 6, &err));
	o->a.seen.state = KII_CONTAINER_EXITED;
	o->a.seen.started_ms = kii_io_wall() - 5000;
	o->a.seen.finished_ms = kii_io_wall();
}

static void drop(struct over *o)
{
	attempt_release(&o->a);
	kii_job_release(&o->job);
	free(o->name);
}

static void read_file(const struct fix *f, const char *name, struct kii_buf *out)
{
	kii_autofree char *path = kii_xfmt("%s/%s", f->w.artifacts, name);
	struct kii_error err = { 0 };

	must(kii_io_read(path, out, &err));
}

/* No half-written file has been left. */
static void expect_no_part(const struct fix *f, const struct over *o)
{
	kii_autofree char *part = kii_xfmt(".part-%s", o->job.id);

	assert_false(fix_has_file(f->w.artifacts, part));
}

/* --- the zip that we make --- */

/* The entry's bytes, or NULL. Caller frees. */
static char *unzip(const struct kii_buf *zip, const char *name)
{
	struct archive *a = archive_read_new();
	struct archive_entry *e;
	char *text = NULL;

	archive_read_support_format_zip(a);
	assert_int_equal(archive_read_open_memory(a, zip->data, zip->len), ARCHIVE_OK);
	while (!text && archive_read_next_header(a, &e) == ARCHIVE_OK) {
		size_t size = (size_t)archive_entry_size(e);

		if (strcmp(archive_entry_pathname(e), name) != 0)
			continue;
		text = kii_xcalloc(1, size + 1);
		assert_int_equal(archive_read_data(a, text, size), size);
	}
	archive_read_free(a);
	return text;
}

static void expect_our_zip(const struct fix *f, const struct over *o, const char *log)
{
	kii_autobuf zip = KII_BUF_INIT(1u << 20);
	kii_autofree char *in_it = NULL, *spooled = fix_log(f, f->made, 0);

	assert_string_equal(o->a.end.artifact, o->a.error_zip);
	read_file(f, o->a.end.artifact, &zip);
	assert_int_equal(o->a.end.artifact_bytes, zip.len);
	in_it = unzip(&zip, "log/build.log");
	assert_non_null(in_it);
	assert_string_equal(in_it, spooled);
	assert_memory_equal(in_it, "words\n", 6);
	assert_non_null(strstr(in_it, log));
	assert_true(o->a.kll->n_files > 0);
	for (size_t i = 0; i < o->a.kll->n_files; i++) {
		kii_autofree char *kll = unzip(&zip, o->a.kll->files[i].name);

		assert_non_null(kll);
		assert_string_equal(kll, o->a.kll->files[i].text);
	}
}

/* --- the judgement --- */

enum zip { NO_ZIP, THEIR_ZIP, THEIR_ERROR_ZIP, OUR_ZIP };

struct row {
	enum stopped stopped;
	int exit_code;
	bool oom, cancel;
	int ran_ms;
	enum toy_result result;
	enum kii_job_state state;
	const char *outcome;
	enum zip zip;
};

static void expect_zip(const struct fix *f, const struct over *o, enum zip zip)
{
	kii_autobuf got = KII_BUF_INIT(1u << 20);

	switch (zip) {
	case NO_ZIP:
		assert_null(o->a.end.artifact);
		assert_false(fix_has_file(f->w.artifacts, o->a.zip));
		assert_false(fix_has_file(f->w.artifacts, o->a.error_zip));
		break;
	case THEIR_ZIP:
	case THEIR_ERROR_ZIP:
		assert_string_equal(o->a.end.artifact,
			zip == THEIR_ZIP ? o->a.zip : o->a.error_zip);
		read_file(f, o->a.end.artifact, &got);
		assert_non_null(memmem(got.data, got.len, "a toy's zip", 11));
		assert_int_equal(o->a.end.artifact_bytes, got.len);
		break;
	case OUR_ZIP:
		expect_our_zip(f, o, o->a.seen.exit_code == 1 && !o->a.seen.oom ? "" : "[kiisrv: ");
		break;
	}
}

static void expect_row(struct fix *f, const struct row *r)
{
	struct kii_error err = { 0 };
	enum verdict verdict = VERDICT_DETACHED;
	struct over o;

	set_up(&o, f, r->result);
	o.a.stopped = r->stopped;
	o.a.seen.exit_code = r->exit_code;
	o.a.seen.oom = r->oom;
	o.a.seen.started_ms = o.a.seen.finished_ms - r->ran_ms;
	atomic_store(&o.slot->cancel, r->cancel);
	must(conclude(&o.a, &verdict, &err));
	assert_int_equal(verdict, VERDICT_ENDED);
	assert_int_equal(err.code, KII_OK);
	if (o.a.end.state != r->state || strcmp(o.a.end.outcome, r->outcome) != 0)
		fail_msg("stopped %d, exit %d: %s, %s", r->stopped, r->exit_code,
			kii_job_state_name(o.a.end.state), o.a.end.outcome);
	assert_int_equal(o.a.end.exit_code, r->exit_code);
	assert_int_equal(o.a.end.log_bytes, 6);
	assert_true(o.a.end.finished >= o.a.seen.finished_ms);
	assert_true((r->state == KII_JOB_SUCCEEDED) == !o.a.end.error);
	expect_zip(f, &o, r->zip);
	expect_no_part(f, &o);
	drop(&o);
}

static void expect_rows(struct fix *f, const struct row *rows, size_t n)
{
	f->conf.firmware.timeout_ms = 10000;
	for (size_t i = 0; i < n; i++)
		expect_row(f, &rows[i]);
}

static void what_the_build_says_of_itself_counts(void **state)
{
	static const struct row rows[] = {
		{ .exit_code = 0, .result = TOY_ZIP,
			.state = KII_JOB_SUCCEEDED, .outcome = "built", .zip = THEIR_ZIP },
		{ .exit_code = 0, .oom = true, .result = TOY_ZIP,
			.state = KII_JOB_SUCCEEDED, .outcome = "built", .zip = THEIR_ZIP },
		{ .exit_code = 1, .result = TOY_ERROR_ZIP, .state = KII_JOB_FAILED,
			.outcome = "build_failed", .zip = THEIR_ERROR_ZIP },
		{ .exit_code = 2, .result = TOY_ERROR_ZIP, .state = KII_JOB_FAILED,
			.outcome = "builder_failed", .zip = THEIR_ERROR_ZIP },
		{ .exit_code = 3, .result = TOY_NONE,
			.state = KII_JOB_FAILED, .outcome = "builder_failed", .zip = OUR_ZIP },
		{ .exit_code = 127, .result = TOY_NONE,
			.state = KII_JOB_FAILED, .outcome = "builder_failed", .zip = OUR_ZIP },
		{ .exit_code = 139, .result = TOY_NONE,
			.state = KII_JOB_FAILED, .outcome = "builder_failed", .zip = OUR_ZIP },
		/* The build knows that it ran out of memory; its zip is not asked for. */
		{ .exit_code = 4, .result = TOY_ERROR_ZIP,
			.state = KII_JOB_FAILED, .outcome = "memory", .zip = OUR_ZIP },
		{ .exit_code = 1, .oom = true, .result = TOY_ERROR_ZIP,
			.state = KII_JOB_FAILED, .outcome = "memory", .zip = OUR_ZIP },
		{ .exit_code = 137, .oom = true, .result = TOY_NONE,
			.state = KII_JOB_FAILED, .outcome = "memory", .zip = OUR_ZIP },
	};

	expect_rows(*state, rows, KII_COUNT(rows));
}

static void what_we_did_to_it_counts(void **state)
{
	static const struct row rows[] = {
		{ .stopped = STOPPED_CANCELLED, .exit_code = 143, .result = TOY_ERROR_ZIP,
			.state = KII_JOB_CANCELLED, .outcome = "cancelled", .zip = NO_ZIP },
		{ .stopped = STOPPED_CANCELLED, .exit_code = 1, .result = TOY_ERROR_ZIP,
			.state = KII_JOB_CANCELLED, .outcome = "cancelled", .zip = NO_ZIP },
		{ .stopped = STOPPED_TIMEOUT, .exit_code = 137, .result = TOY_ERROR_ZIP,
			.state = KII_JOB_TIMED_OUT, .outcome = "timeout", .zip = OUR_ZIP },
		{ .stopped = STOPPED_SILENCE, .exit_code = 143, .result = TOY_NONE,
			.state = KII_JOB_TIMED_OUT, .outcome = "silence", .zip = OUR_ZIP },
		/* Killed, and its memory limit would have done it too: we were first. */
		{ .stopped = STOPPED_TIMEOUT, .exit_code = 137, .oom = true, .result = TOY_NONE,
			.state = KII_JOB_TIMED_OUT, .outcome = "timeout", .zip = OUR_ZIP },
		/* It was through before the signal came. */
		{ .stopped = STOPPED_CANCELLED, .exit_code = 0, .result = TOY_ZIP,
			.state = KII_JOB_SUCCEEDED, .outcome = "built", .zip = THEIR_ZIP },
		{ .stopped = STOPPED_TIMEOUT, .exit_code = 0, .result = TOY_ZIP,
			.state = KII_JOB_SUCCEEDED, .outcome = "built", .zip = THEIR_ZIP },
		{ .stopped = STOPPED_SILENCE, .exit_code = 0, .result = TOY_NONE,
			.state = KII_JOB_FAILED, .outcome = "no_result", .zip = OUR_ZIP },
	};

	expect_rows(*state, rows, KII_COUNT(rows));
}

static void what_an_earlier_worker_did_to_it_counts(void **state)
{
	static const struct row rows[] = {
		{ .exit_code = 137, .cancel = true, .result = TOY_NONE,
			.state = KII_JOB_CANCELLED, .outcome = "cancelled", .zip = NO_ZIP },
		{ .exit_code = 143, .cancel = true, .result = TOY_NONE,
			.state = KII_JOB_CANCELLED, .outcome = "cancelled", .zip = NO_ZIP },
		{ .exit_code = 137, .ran_ms = 10000, .result = TOY_NONE,
			.state = KII_JOB_TIMED_OUT, .outcome = "timeout", .zip = OUR_ZIP },
		/* The wish came too late for this one. */
		{ .exit_code = 1, .cancel = true, .result = TOY_ERROR_ZIP, .state = KII_JOB_FAILED,
			.outcome = "build_failed", .zip = THEIR_ERROR_ZIP },
	};

	expect_rows(*state, rows, KII_COUNT(rows));
}

static void a_result_that_is_none_is_not_a_success(void **state)
{
	static const struct row rows[] = {
		{ .result = TOY_NONE,
			.state = KII_JOB_FAILED, .outcome = "no_result", .zip = OUR_ZIP },
		{ .result = TOY_TEXT,
			.state = KII_JOB_FAILED, .outcome = "no_result", .zip = OUR_ZIP },
		{ .result = TOY_LINK,
			.state = KII_JOB_FAILED, .outcome = "no_result", .zip = OUR_ZIP },
		{ .result = TOY_BIG,
			.state = KII_JOB_FAILED, .outcome = "no_result", .zip = OUR_ZIP },
		/* And an error's zip is made where the build left none of use. */
		{ .exit_code = 1, .result = TOY_NONE,
			.state = KII_JOB_FAILED, .outcome = "build_failed", .zip = OUR_ZIP },
		{ .exit_code = 1, .result = TOY_TEXT,
			.state = KII_JOB_FAILED, .outcome = "build_failed", .zip = OUR_ZIP },
		{ .exit_code = 1, .result = TOY_LINK,
			.state = KII_JOB_FAILED, .outcome = "build_failed", .zip = OUR_ZIP },
		{ .exit_code = 1, .result = TOY_BIG,
			.state = KII_JOB_FAILED, .outcome = "build_failed", .zip = OUR_ZIP },
	};

	expect_rows(*state, rows, KII_COUNT(rows));
}

static void a_kill_of_nobodys_is_the_engines(void **state)
{
	static const int codes[] = { 137, 143 };
	struct fix *f = *state;

	for (size_t i = 0; i < KII_COUNT(codes); i++) {
		struct kii_error err = { 0 };
		enum verdict verdict = VERDICT_ENDED;
		struct over o;

		set_up(&o, f, TOY_ZIP);
		o.a.seen.exit_code = codes[i];
		assert_int_equal(conclude(&o.a, &verdict, &err), 0);
		assert_int_equal(verdict, VERDICT_AGAIN);
		assert_int_equal(err.code, KII_EDOWN);
		assert_int_equal(err.detail, codes[i]);
		assert_int_equal(toy_asked(f->toy, GET), 0);
		drop(&o);
	}
}

/* --- what is said about it --- */

/* Conclude so and say what the client is told. Caller frees. */
static char *told(struct fix *f, enum toy_result result, int exit_code)
{
	struct kii_error err = { 0 };
	enum verdict verdict;
	struct over o;
	char *text;

	set_up(&o, f, result);
	o.a.seen.exit_code = exit_code;
	must(conclude(&o.a, &verdict, &err));
	text = kii_xstrdup(o.a.end.error);
	drop(&o);
	return text;
}

static void the_client_is_told_what_is_wrong_but_not_in_the_engines_words(void **state)
{
	static const struct { enum toy_result result; const char *told; } cases[] = {
		{ TOY_NONE, "the build left no result" },
		{ TOY_TEXT, "the build's result is no zip" },
		{ TOY_LINK, "the build's result is no zip" },
		{ TOY_BIG, "the build's result is too big" },
	};
	struct fix *f = *state;

	for (size_t i = 0; i < KII_COUNT(cases); i++) {
		kii_autofree char *text = told(f, cases[i].result, 0);
		kii_autofree char *log = fix_log(f, f->made, 0);
		kii_autofree char *line = kii_xfmt("words\n\n[kiisrv: %s]\n", cases[i].told);

		assert_string_equal(text, cases[i].told);
		assert_string_equal(log, line);
	}
	for (size_t i = 0; i < KII_COUNT(cases); i++) {
		kii_autofree char *text = told(f, cases[i].result, 1);

		/* The build's own failure comes first. */
		assert_string_equal(text, "the build failed: see its log");
	}
}

static void a_builds_own_end_adds_nothing_to_its_log(void **state)
{
	struct fix *f = *state;

	for (int exit_code = 0; exit_code < 2; exit_code++) {
		kii_autofree char *log = NULL;

		free(told(f, TOY_ZIP, exit_code));
		log = fix_log(f, f->made, 0);
		assert_string_equal(log, "words\n");
	}
}

static void what_ran_when_it_was_stopped_is_in_the_log(void **state)
{
	struct fix *f = *state;
	struct kii_error err = { 0 };
	enum verdict verdict;
	struct over o;

	set_up(&o, f, TOY_NONE);
	o.a.stopped = STOPPED_SILENCE;
	o.a.seen.exit_code = 143;
	kii_buf_str(&o.a.processes, "PID CMD\n9 cc1\n");
	must(conclude(&o.a, &verdict, &err));
	expect_our_zip(f, &o, "[kiisrv: what ran when it was stopped]\nPID CMD\n9 cc1\n");
	expect_our_zip(f, &o, "[kiisrv: the build said nothing for too long and was ended]");
	drop(&o);
}

static void a_job_without_a_container_ends_too(void **state)
{
	struct fix *f = *state;
	struct over o;

	set_up(&o, f, TOY_ZIP);
	conclude_without(&o.a, KII_JOB_LOST, "engine", "failed %d times", 3);
	assert_int_equal(o.a.end.state, KII_JOB_LOST);
	assert_string_equal(o.a.end.outcome, "engine");
	assert_string_equal(o.a.end.error, "failed 3 times");
	assert_int_equal(o.a.end.exit_code, -1);
	assert_int_equal(o.a.end.log_bytes, 6);
	assert_null(o.a.end.artifact);
	assert_true(o.a.end.finished > 0);
	drop(&o);
}

/* --- a disk in trouble --- */

static void expect_disk(struct fix *f, struct over *o, int exit_code)
{
	struct kii_error err = { 0 };
	enum verdict verdict = VERDICT_AGAIN;

	o->a.seen.exit_code = exit_code;
	must(conclude(&o->a, &verdict, &err));
	assert_int_equal(verdict, VERDICT_ENDED);
	assert_int_equal(err.code, KII_OK);
	assert_int_equal(o->a.end.state, KII_JOB_LOST);
	assert_string_equal(o->a.end.outcome, "disk");
	assert_string_equal(o->a.end.error, "the server's disk is full");
	assert_null(o->a.end.artifact);
	expect_no_part(f, o);
}

static void a_log_that_could_not_be_written_loses_the_job(void **state)
{
	static const int codes[] = { 0, 1, 143 };
	struct fix *f = *state;

	for (size_t i = 0; i < KII_COUNT(codes); i++) {
		struct over o;

		set_up(&o, f, TOY_ZIP);
		o.a.stopped = STOPPED_DISK;
		expect_disk(f, &o, codes[i]);
		drop(&o);
	}
	assert_int_equal(toy_asked(f->toy, GET), 0);
}

static void a_log_that_cannot_be_finished_loses_the_job(void **state)
{
	struct fix *f = *state;
	struct over o;

	set_up(&o, f, TOY_NONE);
	close(o.a.spool.fd);
	o.a.spool.fd = open("/dev/full", O_RDWR | O_CLOEXEC);
	expect_disk(f, &o, 0);
	drop(&o);
}

static void without_the_artifacts_folder_the_job_is_lost(void **state)
{
	static const int codes[] = { 0, 1, 4 };
	struct fix *f = *state;
	struct kii_error err = { 0 };

	for (int as_file = 0; as_file < 2; as_file++) {
		for (size_t i = 0; i < KII_COUNT(codes); i++) {
			struct over o;

			set_up(&o, f, TOY_ZIP);
			must(kii_io_remove_tree(f->w.artifacts, &err));
			if (as_file)
				must(kii_io_publish(f->w.artifacts, "", 0, 0600, &err));
			expect_disk(f, &o, codes[i]);
			drop(&o);
		}
	}
}

static void a_link_in_the_way_is_not_written_through(void **state)
{
	struct fix *f = *state;
	kii_autofree char *victim = kii_xfmt("%s/victim", f->dir);
	kii_autofree char *part = NULL;
	kii_autobuf text = KII_BUF_INIT(100);
	struct kii_error err = { 0 };
	enum verdict verdict;
	struct over o;

	must(kii_io_publish(victim, "precious", 8, 0600, &err));
	set_up(&o, f, TOY_ZIP);
	part = kii_xfmt("%s/.part-%s", f->w.artifacts, o.job.id);
	assert_int_equal(symlink(victim, part), 0);
	must(conclude(&o.a, &verdict, &err));
	assert_string_equal(o.a.end.outcome, "disk");
	must(kii_io_read(victim, &text, &err));
	assert_string_equal(text.data, "precious");
	drop(&o);
}

static void a_name_that_cannot_be_published_loses_the_job(void **state)
{
	static const int codes[] = { 0, 4 };
	struct fix *f = *state;

	for (size_t i = 0; i < KII_COUNT(codes); i++) {
		kii_autofree char *folder = NULL;
		struct over o;

		set_up(&o, f, TOY_ZIP);
		folder = kii_xfmt("%s/%s/x", f->w.artifacts, codes[i] ? o.a.error_zip : o.a.zip);
		struct kii_error err = { 0 };
		must(kii_io_mkdirs(folder, 0700, &err));
		expect_disk(f, &o, codes[i]);
		drop(&o);
	}
}

static void a_full_disk_loses_the_job(void **state)
{
	struct fix *f = *state;
	const struct rlimit small = { .rlim_cur = 20000, .rlim_max = RLIM_INFINITY };
	struct rlimit before;
	struct over o;

	signal(SIGXFSZ, SIG_IGN);
	getrlimit(RLIMIT_FSIZE, &before);
	f->conf.limits.artifact = 200000;
	set_up(&o, f, TOY_BIG);
	setrlimit(RLIMIT_FSIZE, &small);
	expect_disk(f, &o, 0);
	setrlimit(RLIMIT_FSIZE, &before);
	drop(&o);
}

/* --- an engine in trouble --- */

static void an_engine_that_fails_is_asked_again(void **state)
{
	static const struct {
		enum toy_trouble trouble;
		int status;
		enum kii_code code;
	} cases[] = {
		{ TOY_DROP, 0, KII_EDOWN },
		{ TOY_REFUSE, 500, KII_EBROKEN },
		{ TOY_REFUSE, 409, KII_ECONFLICT },
		{ TOY_REFUSE, 403, KII_EREFUSED },
	};
	struct fix *f = *state;

	/* curl itself asks once more where a kept connection ends without a byte. */
	for (size_t i = 0; i < KII_COUNT(cases); i++) {
		const struct toy_fault fault = { .match = GET, .trouble = cases[i].trouble,
			.status = cases[i].status, .times = cases[i].status ? 1 : 2 };
		struct kii_error err = { 0 };
		enum verdict verdict;
		struct over o;

		set_up(&o, f, TOY_ZIP);
		toy_fault(f->toy, &fault);
		must_fail(conclude(&o.a, &verdict, &err), cases[i].code);
		expect_no_part(f, &o);
		must(conclude(&o.a, &verdict, &err));
		assert_int_equal(o.a.end.state, KII_JOB_SUCCEEDED);
		drop(&o);
	}
}

static void a_reply_that_is_cut_publishes_nothing(void **state)
{
	static const size_t cuts[] = { 0, 60, 150, 400, 900 };
	struct fix *f = *state;

	for (size_t i = 0; i < KII_COUNT(cuts); i++) {
		const struct toy_fault fault = { .match = GET, .trouble = TOY_CUT,
			.after = cuts[i], .times = cuts[i] ? 1 : 2 };
		struct kii_error err = { 0 };
		enum verdict verdict;
		struct over o;

		set_up(&o, f, TOY_ZIP);
		toy_fault(f->toy, &fault);
		assert_int_equal(conclude(&o.a, &verdict, &err), -1);
		assert_true(err.code == KII_EDOWN || err.code == KII_EBROKEN);
		assert_false(fix_has_file(f->w.artifacts, o.a.zip));
		expect_no_part(f, &o);
		drop(&o);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		FIX_TEST(what_the_build_says_of_itself_counts),
		FIX_TEST(what_we_did_to_it_counts),
		FIX_TEST(what_an_earlier_worker_did_to_it_counts),
		FIX_TEST(a_result_that_is_none_is_not_a_success),
		FIX_TEST(a_kill_of_nobodys_is_the_engines),
		FIX_TEST(the_client_is_told_what_is_wrong_but_not_in_the_engines_words),
		FIX_TEST(a_builds_own_end_adds_nothing_to_its_log),
		FIX_TEST(what_ran_when_it_was_stopped_is_in_the_log),
		FIX_TEST(a_job_without_a_container_ends_too),
		FIX_TEST(a_log_that_could_not_be_written_loses_the_job),
		FIX_TEST(a_log_that_cannot_be_finished_loses_the_job),
		FIX_TEST(without_the_artifacts_folder_the_job_is_lost),
		FIX_TEST(a_link_in_the_way_is_not_written_through),
		FIX_TEST(a_name_that_cannot_be_published_loses_the_job),
		FIX_TEST(a_full_disk_loses_the_job),
		FIX_TEST(an_engine_that_fails_is_asked_again),
		FIX_TEST(a_reply_that_is_cut_publishes_nothing),
	};

	return cmocka_run_group_tests_name("conclude", tests, NULL, NULL);
}
