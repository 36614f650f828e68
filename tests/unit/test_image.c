/* SPDX-License-Identifier: MIT */
/* The kinds "image" and "plan" on a toy engine, which builds whatever the test says. */
#include <config.h>

#include "image.h"

#include <archive.h>
#include <archive_entry.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "broken.h"
#include "io.h"
#include "janitor.h"
#include "json.h"
#include "kind.h"
#include "layers.h"
#include "operator.h"
#include "queue.h"
#include "testlib.h"
#include "upload.h"
#include "workerfix.h"

#define BASE    "docker.io/library/base:1"
#define BUILD   "POST /build"
#define INSPECT "GET /images/*/*/*/json"
#define BUILT   "sha256:bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"
#define FINE    "{\"stream\":\"Step 1/2 : FROM base:1\\n\"}\n" \
	"{\"stream\":\" ---> 000000000000\\n\"}\n" \
	"{\"stream\":\"Step 2/2 : RUN x\\n\"}\n{\"stream\":\"said\\n\"}\n" \
	"{\"aux\":{\"ID\":\"" BUILT "\"}}\n{\"stream\":\" ---> bbbbbbbbbbbb\\n\"}\n"

static struct fix *f;
static struct kii_job job;       /* the row, after the run */
static char source[KII_UPLOAD_ID + 1];

static struct lane *lane(void)
{
	return &f->w.lanes[LANE_OPERATOR];
}

static int open_all(void **state)
{
	struct kii_conf *c;

	fix_open(state);
	f = *state;
	c = &f->conf;
	c->build.memory = INT64_C(1) << 30;
	c->build.cpus = 2;
	c->build.timeout_ms = c->build.idle_timeout_ms = 20000;
	c->build.context = 1 << 20;
	c->build.context_files = 100;
	c->build.source_network = kii_xstrdup("default");
	toy_image(f->toy, "sha256:0000", BASE, "");
	toy_image(f->toy, "sha256:ff", "kiisrv-fetch:latest", "");
	toy_build(f->toy, FINE);
	memset(&job, 0, sizeof(job));
	return 0;
}

static int close_all(void **state)
{
	free(f->conf.build.source_network);
	kii_job_release(&job);
	return fix_close(state);
}

/* --- sources --- */

static void add(struct archive *a, const char *name, const char *text)
{
	struct archive_entry *e = archive_entry_new();

	archive_entry_set_pathname(e, name);
	archive_entry_set_filetype(e, AE_IFREG);
	archive_entry_set_perm(e, 0644);
	archive_entry_set_size(e, (la_int64_t)strlen(text));
	assert_int_equal(archive_write_header(a, e), ARCHIVE_OK);
	archive_write_data(a, text, strlen(text));
	archive_entry_free(e);
}

static struct archive *begin_upload(int *fd)
{
	struct archive *a = archive_write_new();
	struct kii_error err = { 0 };

	must(kii_upload_begin(f->conf.paths.state_dir, source, fd, &err));
	archive_write_set_format_ustar(a);
	assert_int_equal(archive_write_open_fd(a, *fd), ARCHIVE_OK);
	return a;
}

static void end_upload(struct archive *a, int fd)
{
	struct kii_error err = { 0 };

	assert_int_equal(archive_write_free(a), ARCHIVE_OK);
	close(fd);
	must(kii_upload_done(f->conf.paths.state_dir, source, true, &err));
}

/* An upload of these files: name, text, ..., NULL. */
static void upload(const char *name, ...)
{
	va_list ap;
	int fd = -1;
	struct archive *a = begin_upload(&fd);

	va_start(ap, name);
	for (; name; name = va_arg(ap, const char *))
		add(a, name, va_arg(ap, const char *));
	va_end(ap);
	end_upload(a, fd);
}

static char *request(const char *pack, const char *more)
{
	return kii_xfmt("{\"source\":\"%s\",\"buildpack_type\":\"%s\"%s}", source, pack, more);
}

/* Of a Dockerfile. */
static char *recipe(const char *text, const char *more)
{
	kii_autofree char *all = kii_xfmt(",\"image_tag\":\"x:1\"%s", more);

	upload("Dockerfile", text, "f", "x", NULL);
	return request("dockerfile", all);
}

/* --- runs --- */

static void insert(const char *kind, const char *text, char id[KII_JOB_ID + 1])
{
	struct kii_job wanted = { .client = (char *)"ci", .subject = (char *)"x",
		.request = (char *)text, .created = kii_io_wall() };
	struct kii_error err = { 0 };

	fix_id(++f->made, wanted.id);
	snprintf(wanted.kind, sizeof(wanted.kind), "%s", kind);
	snprintf(wanted.key, sizeof(wanted.key), "%d", f->made);
	must(kii_jobs_insert(lane()->jobs, &wanted, &err));
	memcpy(id, wanted.id, KII_JOB_ID + 1);
}

static void get(const char *id)
{
	struct kii_error err = { 0 };

	kii_job_release(&job);
	pthread_mutex_lock(&f->w.lock);
	must(kii_jobs_get(lane()->jobs, id, &job, &err));
	pthread_mutex_unlock(&f->w.lock);
}

static void *run_claimed(void *arg)
{
	struct running **slot = arg;
	struct kii_job claimed = { .attempts = 0 };
	struct kii_error err = { 0 };

	pthread_mutex_lock(&f->w.lock);
	assert_int_equal(queue_claim(lane(), &claimed, slot, &err), 1);
	pthread_mutex_unlock(&f->w.lock);
	kind_find(claimed.kind)->run(lane(), &claimed, *slot);
	kii_job_release(&claimed);
	return NULL;
}

/* Takes the request. What is queued again is not waited for, but cancelled. */
static void run_kind(const char *kind, char *text)
{
	const struct kii_job_end end = { .state = KII_JOB_CANCELLED };
	struct running *slot = NULL;
	struct kii_error err = { 0 };
	char id[KII_JOB_ID + 1];

	insert(kind, text, id);
	free(text);
	run_claimed(&slot);
	get(id);
	if (job.state == KII_JOB_QUEUED)
		must(kii_jobs_finish(lane()->jobs, id, &end, &err));
}

static void run(char *text)
{
	run_kind("image", text);
}

static void expect(enum kii_job_state state, const char *outcome, const char *words)
{
	const char *error = job.error ? job.error : "";

	if (job.state != state || strcmp(job.outcome ? job.outcome : "", outcome) != 0 ||
	    !strstr(error, words))
		fail_msg("%s, %s: %s; not %s, %s: %s", kii_job_state_name(job.state), job.outcome,
			error, kii_job_state_name(state), outcome, words);
	assert_false(fix_has_file(f->dir, "builds/kiisrv-"));
}

static void is_tried_again(void)
{
	assert_string_equal(kii_job_state_name(job.state), "queued");
	assert_int_equal(job.attempts, 1);
}

static char *log_of_it(void)
{
	kii_autobuf text = KII_BUF_INIT(1 << 20);
	kii_autofree char *path = worker_log_path(lane(), job.id, 0);
	struct kii_error err = { 0 };

	must(kii_io_read(path, &text, &err));
	return kii_buf_steal(&text);
}

static void asked(const char *words)
{
	kii_autofree char *seen = toy_seen(f->toy);

	if (!strstr(seen, words))
		fail_msg("%s is not in\n%s", words, seen);
}

/* --- a build --- */

static void a_build_ends_with_its_image_and_nothing_else(void **state)
{
	kii_autofree char *log = NULL;
	kii_autofree char *notes = kii_xfmt("%s/engine/layers", f->conf.paths.state_dir);
	kii_autofree char *id = NULL;
	kii_autobuf text = KII_BUF_INIT(1000);
	struct kii_error err = { 0 };
	struct stat st;

	(void)state;
	run(recipe("FROM base:1\nRUN x\n", ",\"limits\":{\"cpus\":0.5,\"memory\":33554432},"
		"\"network_mode\":\"none\",\"environment\":{\"A\":\"b\"}"));
	expect(KII_JOB_SUCCEEDED, "built", "");
	assert_string_equal(job.image, BUILT);
	assert_string_equal(job.progress, "step 2/2: RUN x");
	log = log_of_it();
	assert_non_null(strstr(log, "[kiisrv: the upload had 2 files, 19 bytes]\n"
		"[kiisrv: build docker.io/library/x:1]\nStep 1/2"));
	assert_non_null(strstr(log, "said\n"));
	assert_non_null(strstr(log, "[kiisrv: the context had 2 files, "));
	asked("&memory=33554432&memswap=33554432&cpuperiod=100000&cpuquota=50000");
	asked("networkmode=none");
	asked("nocache=0");
	asked("buildargs=%7B%22A%22%3A%22b%22%7D");
	assert_int_equal(toy_asked(f->toy, "POST /containers/create"), 0);
	must(kii_io_read(notes, &text, &err));
	assert_int_equal(strncmp(text.data, "00000000000 ", 12), 0);
	assert_non_null(strstr(text.data, "\nbbbbbbbbbbb "));
	id = kii_xfmt("%s/kiisrv-%s-%s", f->conf.docker.build_dir, f->w.instance, job.id);
	assert_int_equal(stat(id, &st), -1);
}

static void without_wishes_the_configuration_says_the_limits(void **state)
{
	(void)state;
	run(recipe("FROM base:1\n", ",\"no_cache\":true"));
	expect(KII_JOB_SUCCEEDED, "built", "");
	asked("&memory=1073741824&memswap=1073741824&cpuperiod=100000&cpuquota=200000");
	asked("nocache=1");
}

static void stages_are_progress(void **state)
{
	(void)state;
	toy_build(f->toy, "{\"stream\":\"[2/3] STEP 4/5: RUN x\\n\"}\n"
		"{\"aux\":{\"ID\":\"" BUILT "\"}}\n");
	run(recipe("FROM base:1\n", ""));
	assert_string_equal(job.progress, "step 4/5 of stage 2/3: RUN x");
}

/* --- how one fails --- */

static void a_failing_step_comes_with_its_last_lines(void **state)
{
	kii_autobuf stream = KII_BUF_INIT(1 << 20);

	(void)state;
	kii_buf_str(&stream, "{\"stream\":\"Step 1/3 : FROM base:1\\n\"}\n"
		"{\"stream\":\"of the first\\n\"}\n{\"stream\":\"Step 2/3 : RUN x\\n\"}\n"
		"{\"stream\":\"at its begin\\n\"}\n{\"stream\":\"");
	/* A piece that is longer than what is kept, behind a short one and before another. */
	for (unsigned i = 0; i < 1000; i++)
		kii_buf_fmt(&stream, "line %u\\n", i);
	kii_buf_str(&stream, "\"}\n{\"stream\":\"\\u0007the end\\r\\n\\n\"}\n"
		"{\"errorDetail\":{\"code\":7,\"message\":\"it\"},\"error\":\"it\"}\n");
	toy_build(f->toy, stream.data);
	run(recipe("FROM base:1\n", ""));
	expect(KII_JOB_FAILED, "build_failed",
		"step 2/3 failed: RUN x (exit code 7). Its last lines:\nline ");
	assert_string_equal(job.error + strlen(job.error) - 17, "line 999\n?the end");
	assert_null(strstr(job.error, "at its begin"));
	assert_null(strstr(job.error, "line 1\n"));
}

static void pieces_of_any_size_leave_the_last_lines(void **state)
{
	(void)state;
	for (size_t first = 0; first < 5000; first += 1249) {
		kii_autobuf stream = KII_BUF_INIT(1 << 20);

		kii_buf_str(&stream, "{\"stream\":\"Step 1/1 : RUN x\\n\"}\n");
		for (size_t size = first; size < 4200; size += 1025) {
			kii_buf_str(&stream, "{\"stream\":\"");
			for (size_t i = 0; i <= size; i++)
				kii_buf_char(&stream, 'x');
			kii_buf_fmt(&stream, "\\nline of %zu\\n\"}\n", size);
		}
		kii_buf_str(&stream, "{\"stream\":\"the last\\n\"}\n"
			"{\"errorDetail\":{\"code\":1},\"error\":\"it\"}\n");
		toy_build(f->toy, stream.data);
		run(recipe("FROM base:1\n", ""));
		expect(KII_JOB_FAILED, "build_failed", "\nthe last");
	}
}

static void what_the_engine_says_of_a_failure_is_said(void **state)
{
	(void)state;
	toy_build(f->toy, "{\"stream\":\"Step 1/2 : COPY a b\\n\"}\n{\"stream\":\"tail\\n\"}\n"
		"{\"error\":\"COPY failed: no a\"}\n");
	run(recipe("FROM base:1\n", ""));
	expect(KII_JOB_FAILED, "build_failed", "no a. The last lines:\nStep 1/2 : COPY a b\ntail");
	/* Before the first step. */
	toy_build(f->toy, "{\"error\":\"Dockerfile parse error\"}\n");
	run(recipe("FROM base:1\n", ""));
	expect(KII_JOB_FAILED, "build_failed", "Dockerfile parse error");
	toy_fault(f->toy, &(struct toy_fault){ .match = BUILD, .trouble = TOY_REFUSE,
		.status = 400 });
	run(recipe("FROM base:1\n", ""));
	expect(KII_JOB_FAILED, "build_failed", "toy trouble");
}

static void a_layer_that_went_meanwhile_is_made_anew(void **state)
{
	kii_autofree char *mark = kii_xfmt("kiisrv-%s-x-1", f->w.instance);
	kii_autofree char *query = kii_xfmt("&extrahosts=kiisrv-%s-", f->w.instance);
	kii_autofree char *seen = NULL;
	struct kii_engine *engine = NULL;
	struct kii_error err = { 0 };

	(void)state;
	must(worker_engine(&f->w, 0, &engine, &err));
	layers_tidy(&f->w, engine);
	toy_build(f->toy, "{\"stream\":\"Step 2/2 : RUN x\\n\"}\n"
		"{\"error\":\"No such image: sha256:" "00" "\"}\n");
	run(recipe("FROM base:1\n", ""));
	is_tried_again();
	seen = toy_seen(f->toy);
	assert_non_null(strstr(seen, query));
	/* What its steps ran in is looked for. */
	toy_marked(f->toy, "left", mark);
	layers_tidy(&f->w, engine);
	assert_false(toy_has(f->toy, "left"));
	/* A program may say that too. */
	toy_build(f->toy, "{\"stream\":\"Step 2/2 : RUN x\\n\"}\n{\"errorDetail\":{\"code\":1},"
		"\"error\":\"No such image: sha256:" "00" "\"}\n");
	run(recipe("FROM base:1\n", ""));
	expect(KII_JOB_FAILED, "build_failed", "exit code 1");
	/* And the engine may, of what the recipe names. */
	toy_build(f->toy, "{\"stream\":\"Step 1/2 : FROM x\\n\"}\n"
		"{\"error\":\"No such image: sha256:" "00" "\"}\n");
	run(recipe("FROM base:1\n# sha256:00\n", ""));
	expect(KII_JOB_FAILED, "build_failed", "No such image");
	/* So it is whoever seems to be at fault: an engine that stops says that a step failed. */
	toy_marked(f->toy, "left", mark);
	layers_tidy(&f->w, engine);
	assert_false(toy_has(f->toy, "left"));
	kii_engine_free(engine);
}

static void an_engine_that_goes_is_tried_again(void **state)
{
	static const char *const calls[] = { "GET /version", "GET /info", INSPECT, BUILD };

	(void)state;
	for (size_t i = 0; i < KII_COUNT(calls); i++) {
		toy_faults_clear(f->toy);
		toy_fault(f->toy, &(struct toy_fault){ .match = calls[i], .trouble = TOY_DROP });
		run(recipe("FROM base:1\n", ""));
		is_tried_again();
	}
	toy_faults_clear(f->toy);
	toy_fault(f->toy, &(struct toy_fault){ .match = BUILD, .trouble = TOY_CUT, .after = 200 });
	run(recipe("FROM base:1\n", ""));
	is_tried_again();
}

static void contexts_and_recipes_that_cannot_be_are_refused(void **state)
{
	(void)state;
	upload("f", "x", NULL);
	run(request("dockerfile", ",\"image_tag\":\"x:1\""));
	expect(KII_JOB_FAILED, "bad_context", "Dockerfile");
	run(request("dockerfile", ",\"image_tag\":\"x:1\",\"context_root\":\"none\""));
	expect(KII_JOB_FAILED, "bad_context", "context_root");
	run(recipe("FROM base:1\nRUN --mount=type=cache,target=/x y\n", ""));
	expect(KII_JOB_FAILED, "needs_buildkit", "line 2");
	f->conf.build.context = 3;
	run(recipe("FROM base:1\n", ""));
	expect(KII_JOB_FAILED, "bad_source", "more than 3 bytes");
	assert_int_equal(toy_asked(f->toy, BUILD), 0);
}

static void a_context_that_grows_past_its_cap_ends_the_build(void **state)
{
	(void)state;
	/* The upload fits; with what the context adds to it it does not. */
	upload("Dockerfile", "FROM base:1\n", "Dockerfile.dockerignore", "x\n", NULL);
	f->conf.build.context = 14;
	run(request("dockerfile", ",\"image_tag\":\"x:1\""));
	expect(KII_JOB_FAILED, "bad_context", "larger than 14 bytes");
}

static void a_request_that_makes_no_sense_is_lost(void **state)
{
	(void)state;
	upload("f", "x", NULL);
	run(kii_xstrdup("{\"buildpack_type\":7}"));
	expect(KII_JOB_LOST, "unfit", "");
	run_kind("plan", kii_xstrdup("{}"));
	expect(KII_JOB_LOST, "unfit", "");
	run(kii_xfmt("{\"source\":\"%032d\",\"buildpack_type\":\"dockerfile\","
		"\"image_tag\":\"x:1\"}", 0));
	expect(KII_JOB_FAILED, "bad_source", "");
}

static void without_a_place_to_work_it_is_lost(void **state)
{
	char *text = recipe("FROM base:1\n", "");

	(void)state;
	free(f->conf.docker.build_dir);
	f->conf.docker.build_dir = kii_xstrdup("/dev/null/x");
	run(text);
	expect(KII_JOB_LOST, "server", "");
}

static void what_is_in_the_way_of_a_place_to_work_is_known(void **state)
{
	kii_autofree char *file = kii_xfmt("%s/file", f->dir);
	struct kii_error err = { 0 };

	(void)state;
	image_look(&f->w);
	assert_string_equal(f->w.workspace_error, "");
	must(kii_io_publish(file, "", 0, 0600, &err));
	free(f->conf.docker.build_dir);
	f->conf.docker.build_dir = kii_xfmt("%s/x", file);
	image_look(&f->w);
	assert_memory_equal(f->w.workspace_error, "docker.build_dir: ", 18);
	assert_non_null(strstr(f->w.workspace_error, file));
	/* Mended, it is known without a new start. */
	unlink(file);
	image_look(&f->w);
	assert_string_equal(f->w.workspace_error, "");
}

/* --- cancelled --- */

static void while_held(const char *call, char *text)
{
	struct running *slot = NULL;
	char id[KII_JOB_ID + 1];
	pthread_t thread;

	toy_fault(f->toy, &(struct toy_fault){ .match = call, .trouble = TOY_HOLD, .times = 1 });
	insert("image", text, id);
	free(text);
	assert_int_equal(pthread_create(&thread, NULL, run_claimed, &slot), 0);
	assert_true(toy_await(f->toy, call, 1));
	atomic_store(&slot->cancel, true);
	pthread_join(thread, NULL);
	get(id);
	expect(KII_JOB_CANCELLED, "cancelled", "");
}

static void a_build_that_is_cancelled_hangs_up(void **state)
{
	(void)state;
	while_held(BUILD, recipe("FROM base:1\n", ""));
}

static void time_has_an_end(void **state)
{
	(void)state;
	f->conf.build.timeout_ms = 300;
	toy_fault(f->toy, &(struct toy_fault){ .match = BUILD, .trouble = TOY_HOLD });
	run(recipe("FROM base:1\n", ""));
	expect(KII_JOB_TIMED_OUT, "timeout", "");
	f->conf.build.timeout_ms = 20000;
	f->conf.build.idle_timeout_ms = 300;
	run(recipe("FROM base:1\n", ""));
	expect(KII_JOB_TIMED_OUT, "silence", "");
}

/* Patterns that take as long as they can, and leave out all that there is. */
static void a_context_that_takes_too_long_to_look_through_is_not_waited_for(void **state)
{
	kii_autobuf text = KII_BUF_INIT(256u << 10);
	int fd = -1;
	struct archive *a = begin_upload(&fd);
	int64_t begun;

	(void)state;
	for (int i = 0; i < 250; i++) {
		for (int k = 0; k < 500; k++)
			kii_buf_str(&text, "*?");
		kii_buf_fmt(&text, "%d\n", i);
	}
	kii_buf_str(&text, "*\n");
	add(a, "Dockerfile", "FROM base:1\n");
	add(a, ".dockerignore", text.data);
	for (int i = 0; i < 600; i++) {
		kii_autofree char *name = kii_xfmt("%099d", i);

		add(a, name, "");
	}
	end_upload(a, fd);
	f->conf.build.context_files = 1000;
	f->conf.build.timeout_ms = 500;
	begun = kii_io_now();
	run(request("dockerfile", ",\"image_tag\":\"x:1\""));
	expect(KII_JOB_TIMED_OUT, "timeout", "");
	/* All of it takes many times as long. */
	assert_true(kii_io_now() - begun < 8000);
}

/* --- base images --- */

/* The live job of a pull, as soon as there is one. */
static bool keep_pull(void *arg, const struct kii_job *live)
{
	if (strcmp(live->kind, "pull") == 0)
		memcpy(arg, live->id, KII_JOB_ID + 1);
	return true;
}

static bool has_pull(void *id)
{
	struct kii_error err = { 0 };

	pthread_mutex_lock(&f->w.lock);
	must(kii_jobs_each_live(lane()->jobs, keep_pull, id, &err));
	pthread_mutex_unlock(&f->w.lock);
	return *(char *)id;
}

static void end_pull(const char *id, enum kii_job_state state, const char *outcome,
	const char *error)
{
	const struct kii_job_end end = { .state = state, .outcome = outcome, .error = error,
		.finished = kii_io_wall() };
	struct kii_error err = { 0 };

	pthread_mutex_lock(&f->w.lock);
	must(kii_jobs_start(lane()->jobs, id, 1, kii_io_wall(), &err));
	must(kii_jobs_finish(lane()->jobs, id, &end, &err));
	pthread_cond_broadcast(&f->w.job_ended);
	pthread_mutex_unlock(&f->w.lock);
}

/* A build, which waits for a pull; that comes to this end. The pull's row is in `pulled`. */
static void with_pull(char *text, struct kii_job *pulled, enum kii_job_state state,
	const char *outcome, const char *error)
{
	struct running *slot = NULL;
	struct kii_error err = { 0 };
	char id[KII_JOB_ID + 1], pull[KII_JOB_ID + 1] = "";
	pthread_t thread;

	insert("image", text, id);
	free(text);
	assert_int_equal(pthread_create(&thread, NULL, run_claimed, &slot), 0);
	assert_true(fix_await(has_pull, pull));
	end_pull(pull, state, outcome, error);
	pthread_join(thread, NULL);
	kii_job_release(pulled);
	must(kii_jobs_get(lane()->jobs, pull, pulled, &err));
	get(id);
}

static void a_base_image_that_is_missing_is_pulled(void **state)
{
	kii_autojob pull = { .attempts = 0 };
	kii_autofree char *log = NULL;

	(void)state;
	with_pull(recipe("FROM r.x/other:2\n", ""), &pull, KII_JOB_SUCCEEDED, "pulled", NULL);
	expect(KII_JOB_SUCCEEDED, "built", "");
	assert_string_equal(pull.subject, "r.x/other:2");
	assert_string_equal(pull.client, "ci");
	log = log_of_it();
	assert_non_null(strstr(log, "[kiisrv: base image r.x/other:2: pulled, job "));
	with_pull(recipe("FROM r.x/other:2\n", ""), &pull, KII_JOB_FAILED, "denied",
		"it is secret");
	expect(KII_JOB_FAILED, "base_image", "base image r.x/other:2: it is secret");
	with_pull(recipe("FROM r.x/other:2\n", ""), &pull, KII_JOB_LOST, "engine", NULL);
	expect(KII_JOB_FAILED, "base_image", "it could not be pulled");
	/* One that is there is asked for all the same. */
	with_pull(recipe("FROM base:1\n", ",\"pull\":true"), &pull, KII_JOB_SUCCEEDED, "pulled",
		NULL);
	expect(KII_JOB_SUCCEEDED, "built", "");
	assert_string_equal(pull.subject, BASE);
}

static bool waits_for_pull(void *id)
{
	get(id);
	return job.progress && strstr(job.progress, "pull r.x/other:2");
}

static void a_pull_that_runs_is_shared(void **state)
{
	kii_autojson *wanted = json_pack("{s:s}", "image", "r.x/other:2");
	struct kii_job asked_for = { .kind = "pull", .client = (char *)"bob",
		.created = kii_io_wall() };
	const struct kii_job_end end = { .state = KII_JOB_SUCCEEDED, .outcome = "pulled" };
	struct running *slot = NULL, *pulls = NULL;
	kii_autojob claimed = { .attempts = 0 };
	struct kii_error err = { 0 };
	char id[KII_JOB_ID + 1], pull[KII_JOB_ID + 1] = "";
	kii_autofree char *text = recipe("FROM r.x/other:2\n", "");
	pthread_t thread;

	(void)state;
	assert_null(kind_find("pull")->prepare(&f->w, wanted, &asked_for));
	memset(asked_for.id, 'f', KII_JOB_ID);
	must(kii_jobs_insert(lane()->jobs, &asked_for, &err));
	free(asked_for.subject);
	free(asked_for.request);
	assert_int_equal(queue_claim(lane(), &claimed, &pulls, &err), 1);
	insert("image", text, id);
	assert_int_equal(pthread_create(&thread, NULL, run_claimed, &slot), 0);
	assert_true(fix_await(waits_for_pull, id));
	/* Where the machine is so slow that this is told before it waits. */
	usleep(100000);
	assert_true(has_pull(pull));
	assert_string_equal(pull, asked_for.id);
	pthread_mutex_lock(&f->w.lock);
	must(kii_jobs_finish(lane()->jobs, pull, &end, &err));
	queue_leave(pulls);
	pthread_cond_broadcast(&f->w.job_ended);
	pthread_mutex_unlock(&f->w.lock);
	pthread_join(thread, NULL);
	pull[0] = '\0';
	assert_false(has_pull(pull));
	get(id);
	expect(KII_JOB_SUCCEEDED, "built", "");
}

static void who_waits_for_a_pull_may_be_cancelled(void **state)
{
	const struct kii_job_end gone = { .state = KII_JOB_CANCELLED };
	struct running *slot = NULL;
	struct kii_error err = { 0 };
	char id[KII_JOB_ID + 1], pull[KII_JOB_ID + 1] = "";
	kii_autofree char *text = recipe("FROM r.x/other:2\n", "");
	pthread_t thread;

	(void)state;
	insert("image", text, id);
	assert_int_equal(pthread_create(&thread, NULL, run_claimed, &slot), 0);
	assert_true(fix_await(has_pull, pull));
	atomic_store(&slot->cancel, true);
	pthread_join(thread, NULL);
	get(id);
	expect(KII_JOB_CANCELLED, "cancelled", "");
	assert_non_null(strstr(job.progress, "pull r.x/other:2"));
	/* Others may want it. */
	get(pull);
	assert_string_equal(kii_job_state_name(job.state), "queued");
	must(kii_jobs_finish(lane()->jobs, pull, &gone, &err));
}

static void put_secret(const char *name, const char *text)
{
	kii_autofree char *path = kii_xfmt("%s/%s", f->conf.paths.secrets, name);
	struct kii_error err = { 0 };

	must(kii_io_mkdirs(f->conf.paths.secrets, 0700, &err));
	must(kii_io_publish(path, text, strlen(text), 0600, &err));
}

static void credentials_are_for_the_registry_that_they_fit(void **state)
{
	kii_autojob pull = { .attempts = 0 };

	(void)state;
	put_secret("s", "{\"auths\":{\"r.x\":{\"auth\":\"dTpw\"}}}");
	with_pull(recipe("FROM r.x/other:2\n", ",\"registry_auth\":\"s\""), &pull,
		KII_JOB_SUCCEEDED, "pulled", NULL);
	assert_string_equal(pull.request, "{\"image\":\"r.x/other:2\",\"registry_auth\":\"s\"}");
	with_pull(recipe("FROM s.x/other:2\n", ",\"registry_auth\":\"s\""), &pull,
		KII_JOB_SUCCEEDED, "pulled", NULL);
	assert_string_equal(pull.request, "{\"image\":\"s.x/other:2\"}");
}

static void run_sql(const char *text)
{
	kii_autofree char *path = kii_xfmt("%s/engine/operator.sqlite", f->conf.paths.state_dir);
	const char *const statements[] = { text };
	struct kii_error err = { 0 };
	struct kii_store *other;

	must(kii_store_open(path, KII_STORE_WRITE, KII_OPERATOR_VERSION, statements, 1, &other,
		&err));
	must(kii_store_run(other, 0, NULL, &err, ""));
	kii_store_close(other);
}

static void a_pull_that_cannot_be_noted_is_the_servers_fault(void **state)
{
	(void)state;
	run_sql("CREATE TRIGGER no_pulls BEFORE INSERT ON Jobs WHEN new.kind = 'pull' BEGIN "
		"SELECT RAISE(ABORT, 'no'); END");
	run(recipe("FROM r.x/other:2\n", ""));
	assert_false(job.state == KII_JOB_SUCCEEDED);
	assert_int_equal(toy_asked(f->toy, BUILD), 0);
}

static void an_image_that_cannot_be_noted_is_the_servers_fault(void **state)
{
	(void)state;
	run_sql("CREATE TRIGGER no_images BEFORE UPDATE OF image ON Jobs BEGIN "
		"SELECT RAISE(ABORT, 'no'); END");
	run(recipe("FROM base:1\n", ""));
	assert_false(job.state == KII_JOB_SUCCEEDED);
	assert_int_equal(toy_asked(f->toy, BUILD), 1);
}

/* --- Podman's guard --- */

/* What the janitor knows of images. */
static void look(void)
{
	struct kii_engine *engine = NULL;
	struct kii_error err = { 0 };

	must(worker_engine(&f->w, 0, &engine, &err));
	janitor_look(&f->w, engine);
	kii_engine_free(engine);
}

static void podman(void)
{
	toy_podman(f->toy);
	look();
	toy_plan(f->toy, &(struct toy_plan){ .run_ms = TOY_FOR_EVER });
}

static void on_podman_the_steps_have_a_guard(void **state)
{
	(void)state;
	podman();
	run(recipe("FROM base:1\nRUN x\n", ""));
	expect(KII_JOB_SUCCEEDED, "built", "");
	asked("%2Fns%2Fpid");
	assert_int_equal(toy_asked(f->toy, "POST /containers/create"), 1);
	assert_int_equal(toy_asked(f->toy, "DELETE /containers/*"), 1);
	assert_false(f->w.untidy);
}

static void a_guard_that_cannot_be_had_is_said(void **state)
{
	static const char *const calls[] = { "POST /containers/create",
		"GET /containers/*/json", "POST /containers/*/start" };

	(void)state;
	podman();
	for (size_t i = 0; i < KII_COUNT(calls); i++) {
		toy_faults_clear(f->toy);
		toy_fault(f->toy, &(struct toy_fault){ .match = calls[i], .trouble = TOY_DROP });
		run(recipe("FROM base:1\nRUN x\n", ""));
		is_tried_again();
	}
	/* So is one that Podman knows without its storage. */
	toy_faults_clear(f->toy);
	toy_fault(f->toy, &(struct toy_fault){ .match = calls[1], .trouble = TOY_REFUSE,
		.status = 500,
		.message = "getting container from store \"c\": container not known" });
	run(recipe("FROM base:1\nRUN x\n", ""));
	is_tried_again();
	toy_faults_clear(f->toy);
	toy_image_gone(f->toy, "sha256:ff");
	look();
	run(recipe("FROM base:1\nRUN x\n", ""));
	expect(KII_JOB_FAILED, "no_helper", "kiisrvctl images build fetch");
	assert_int_equal(toy_asked(f->toy, BUILD), 0);
}

/* As from now on. */
static void nothing_was_broken(void)
{
	kii_autofree char *path = kii_xfmt("%s/engine/broken", f->conf.paths.state_dir);

	unlink(path);
	broken_free(f->w.broken);
	f->w.broken = broken_new(f->conf.paths.state_dir);
}

/* "end BEGAN LAST AHEAD SET 0000": by a clock that is so many ms ahead of ours. */
static void noted_with(int64_t since, int64_t ahead)
{
	kii_autofree char *path = kii_xfmt("%s/engine/broken", f->conf.paths.state_dir);
	kii_autobuf text = KII_BUF_INIT(4096);
	struct kii_error err = { 0 };
	long long began, last, off, set;
	int used = 0;

	must(kii_io_read(path, &text, &err));
	/* NOLINTNEXTLINE(cert-err34-c): they are ours */
	assert_int_equal(sscanf(text.data, "end %lld %lld %lld %lld%n", &began, &last, &off, &set,
		&used), 4);
	assert_string_equal(text.data + used, " 0000\n");
	assert_in_range(off - ahead + 1000, 0, 2000);
	assert_in_range(set + 1000, 0, 2000);
	assert_in_range(began, since + ahead - 1000, kii_io_wall() + ahead);
	assert_in_range(last, began, kii_io_wall() + ahead + 130000);
}

/* What it leaves then is known by when the build ran by its clock, and of what. */
static void breaks_off_builds(void)
{
	static const int ahead[] = { 0, 3600000, -3600000 };
	int64_t now;

	for (size_t i = 0; i < KII_COUNT(ahead); i++) {
		/* That tells the time, or the guard that is made then. */
		toy_plan(f->toy, &(struct toy_plan){ .run_ms = TOY_FOR_EVER, .age_ms = -ahead[i] });
		toy_fault(f->toy, &(struct toy_fault){ .match = BUILD, .trouble = TOY_DROP,
			.times = 1 });
		now = kii_io_wall();
		run(recipe("FROM base:1\nRUN x\n", ""));
		noted_with(now, ahead[i]);
		nothing_was_broken();
	}
}

static void a_build_that_docker_breaks_off_is_noted(void **state)
{
	(void)state;
	breaks_off_builds();
}

static void a_build_that_podman_breaks_off_is_noted(void **state)
{
	(void)state;
	podman();
	breaks_off_builds();
}

static void a_docker_that_tells_no_time_is_asked_again(void **state)
{
	(void)state;
	toy_fault(f->toy, &(struct toy_fault){ .match = "GET /info", .trouble = TOY_ODD,
		.skip = 1 });
	run(recipe("FROM base:1\n", ""));
	is_tried_again();
	toy_faults_clear(f->toy);
	toy_fault(f->toy, &(struct toy_fault){ .match = "GET /info", .trouble = TOY_REFUSE,
		.status = 500, .skip = 1 });
	run(recipe("FROM base:1\n", ""));
	is_tried_again();
	assert_int_equal(toy_asked(f->toy, BUILD), 0);
}

static void one_whose_step_fails_is_not(void **state)
{
	static const struct { const char *stream; bool noted; } cases[] = {
		{ "{\"stream\":\"STEP 1/1: RUN x\\n\"}\n"
		  "{\"errorDetail\":{\"code\":1},\"error\":\"exit status 1\"}\n", false },
		{ "{\"stream\":\"STEP 1/1: RUN x\\n\"}\n"
		  "{\"errorDetail\":{},\"error\":\"no space left on device\"}\n", true },
		/* No step has begun. */
		{ "{\"error\":\"unknown instruction: RUNN\"}\n", false },
	};

	(void)state;
	for (size_t i = 0; i < 2 * KII_COUNT(cases); i++) {
		const size_t of = i % KII_COUNT(cases);

		if (i == KII_COUNT(cases))
			podman();
		toy_build(f->toy, cases[of].stream);
		run(recipe("FROM base:1\nRUN x\n", ""));
		expect(KII_JOB_FAILED, "build_failed", "");
		assert_int_equal(broken_look(f->w.broken, -86400000), cases[of].noted);
		nothing_was_broken();
	}
}

/* It says so of an image that it has, while another is removed. */
static void a_podman_that_knows_no_image_is_asked_again(void **state)
{
	(void)state;
	podman();
	toy_fault(f->toy, &(struct toy_fault){ .match = INSPECT, .trouble = TOY_REFUSE,
		.status = 404, .times = 2 });
	run(recipe("FROM base:1\nRUN x\n", ""));
	expect(KII_JOB_SUCCEEDED, "built", "");
	assert_int_equal(toy_asked(f->toy, INSPECT), 3);
}

static void a_guard_that_stays_is_the_janitors(void **state)
{
	struct kii_engine *engine = NULL;
	struct kii_error err = { 0 };
	kii_autofree char *name = fix_name(f, 1, 1);

	(void)state;
	podman();
	toy_fault(f->toy, &(struct toy_fault){ .match = "DELETE /containers/*",
		.trouble = TOY_REFUSE, .status = 500, .times = 1 });
	run(recipe("FROM base:1\nRUN x\n", ""));
	expect(KII_JOB_SUCCEEDED, "built", "");
	assert_true(f->w.untidy);
	assert_true(toy_has(f->toy, name));
	must(worker_engine(&f->w, 0, &engine, &err));
	must(janitor_reconcile(&f->w, engine, &err));
	kii_engine_free(engine);
	assert_false(toy_has(f->toy, name));
}

static void what_misleads_podmans_cache_is_built_without_it(void **state)
{
	static const struct { const char *text, *more; } rows[] = {
		{ "FROM base:1\nARG A\nENV B=$A\n",
		  ",\"dockerfile_config\":{\"build_args\":{\"A\":\"1\"}}" },
		{ "FROM base:1 AS a\nRUN x\nFROM a\n",
		  ",\"dockerfile_config\":{\"target\":\"a\"}" },
		{ "FROM base:1\nARG A\nRUN $A\n",
		  ",\"dockerfile_config\":{\"build_args\":{\"A\":\"1\"}}" },
	};

	(void)state;
	podman();
	for (size_t i = 0; i < KII_COUNT(rows); i++) {
		run(recipe(rows[i].text, rows[i].more));
		expect(KII_JOB_SUCCEEDED, "built", "");
	}
	asked("nocache=0");
	asked("nocache=1");
}

/* --- plans --- */

static void a_plan_is_kept_for_who_asked(void **state)
{
	kii_autofree char *path = NULL;
	kii_autobuf text = KII_BUF_INIT(1 << 20);
	kii_autojson *plan = NULL;
	struct kii_error err = { 0 };

	(void)state;
	upload("index.html", "x", NULL);
	run_kind("plan", request("static", ""));
	expect(KII_JOB_SUCCEEDED, "planned", "");
	path = image_plan_path(lane(), job.id);
	must(kii_io_read(path, &text, &err));
	must(kii_json_parse(text.data, text.len, "plan", &plan, &err));
	assert_non_null(kii_json_str(plan, "dockerfile"));
	assert_int_equal(toy_asked(f->toy, BUILD), 0);
}

static void what_cannot_be_planned_says_why(void **state)
{
	(void)state;
	upload("README", "x", NULL);
	run_kind("plan", request("nixpacks", ""));
	expect(KII_JOB_FAILED, "no_plan", "package.json");
	run(request("nixpacks", ",\"image_tag\":\"x:1\""));
	expect(KII_JOB_FAILED, "no_plan", "package.json");
	run(request("nixpacks", ",\"image_tag\":\"x:1\",\"context_root\":\"none\""));
	expect(KII_JOB_FAILED, "no_plan", "context_root");
	upload("package.json", "{", NULL);
	run(request("nixpacks", ",\"image_tag\":\"x:1\""));
	expect(KII_JOB_FAILED, "bad_project", "package.json");
	assert_int_equal(toy_asked(f->toy, BUILD), 0);
}

static void a_plan_that_cannot_be_kept_is_the_servers_fault(void **state)
{
	(void)state;
	upload("index.html", "x", NULL);
	free(lane()->logs);
	lane()->logs = kii_xfmt("%s/none", f->dir);
	run_kind("plan", request("static", ""));
	assert_false(job.state == KII_JOB_SUCCEEDED);
}

static void a_plan_is_built_from_a_dockerfile_of_ours(void **state)
{
	kii_autofree char *log = NULL;

	(void)state;
	toy_image(f->toy, "sha256:0001", BASE, "");
	f->conf.images.sets = kii_xcalloc(1, sizeof(*f->conf.images.sets));
	f->conf.images.sets[0] = (struct kii_base_set){ .name = (char *)"nginx",
		.reference = (char *)"base:1" };
	f->conf.images.n = 1;
	upload("index.html", "x", "Dockerfile", "FROM theirs\n", NULL);
	run(request("static", ",\"image_tag\":\"x:1\""));
	expect(KII_JOB_SUCCEEDED, "built", "");
	asked("dockerfile=.kiisrv%2FDockerfile");
	log = log_of_it();
	assert_non_null(strstr(log, "[kiisrv: the plan's Dockerfile]\n"));
	assert_non_null(strstr(log, "FROM base:1"));
	free(f->conf.images.sets);
	memset(&f->conf.images, 0, sizeof(f->conf.images));
}

/* --- compose files --- */

static char *compose(const char *text, const char *more)
{
	upload("compose.yaml", text, "Dockerfile", "FROM base:1\n", NULL);
	return request("docker-compose", more);
}

static void services_are_built_one_by_one(void **state)
{
	kii_autofree char *log = NULL;

	(void)state;
	run(compose("services:\n  a: {build: .}\n  b: {build: ., image: 'r.x/b:2', odd: 1}\n",
		""));
	expect(KII_JOB_SUCCEEDED, "built", "");
	assert_int_equal(toy_asked(f->toy, BUILD), 2);
	asked("t=docker.io%2Flibrary%2Fapp-a%3Alatest");
	asked("t=r.x%2Fb%3A2");
	log = log_of_it();
	assert_non_null(strstr(log, "services.b.odd is not known and is left aside"));
	run(compose("services:\n  a: {build: .}\n  b: {build: .}\n",
		",\"compose_config\":{\"service\":\"b\"},\"image_tag\":\"own:3\""));
	expect(KII_JOB_SUCCEEDED, "built", "");
	assert_int_equal(toy_asked(f->toy, BUILD), 3);
	asked("t=docker.io%2Flibrary%2Fown%3A3");
}

static void the_first_that_fails_ends_it(void **state)
{
	(void)state;
	toy_build(f->toy, "{\"error\":\"no\"}\n");
	run(compose("services:\n  a: {build: .}\n  b: {build: .}\n", ""));
	expect(KII_JOB_FAILED, "build_failed", "no");
	assert_int_equal(toy_asked(f->toy, BUILD), 1);
}

static void what_is_wrong_with_a_compose_file_is_said(void **state)
{
	static const struct { const char *text, *words; } rows[] = {
		{ "a: b: c", "compose.yaml" },
		{ "services: {}", "build section" },
		{ "services: {a: {build: ., image: 'x@sha256:"
		  "0123456789012345678901234567890123456789012345678901234567890123'}}",
		  "services.a.image" },
		{ "services: {a: {build: ., image: 'A B'}}", "services.a.image" },
	};

	(void)state;
	for (size_t i = 0; i < KII_COUNT(rows); i++) {
		run(compose(rows[i].text, ""));
		expect(KII_JOB_FAILED, "bad_project", rows[i].words);
	}
	upload("Dockerfile", "FROM base:1\n", NULL);
	run(request("docker-compose", ""));
	expect(KII_JOB_FAILED, "bad_project", "compose_config.compose_file");
}

/* --- what is asked for --- */

static json_t *prepare(const char *kind, const char *text, struct kii_job *out)
{
	kii_autojson *j = json_loads(text, 0, NULL);

	memset(out, 0, sizeof(*out));
	snprintf(out->kind, sizeof(out->kind), "%s", kind);
	return kind_find(kind)->prepare(&f->w, j, out);
}

static void refused(const char *kind, const char *text, int status, const char *field)
{
	struct kii_job out;
	kii_autojson *answer = prepare(kind, text, &out);
	const char *got = kii_json_str(answer, "field");

	if (!answer || kii_json_int(answer, "status", 0) != status ||
	    strcmp(got ? got : "", field) != 0)
		fail_msg("%s: %lld %s", text, (long long)kii_json_int(answer, "status", 0), got);
	kii_job_release(&out);
}

static void what_may_not_be_is_refused_before_there_is_a_job(void **state)
{
	static const struct { const char *more, *field; } rows[] = {
		{ ",\"limits\":{\"memory\":2000000000}", "limits.memory" },
		{ ",\"limits\":{\"cpus\":3}", "limits.cpus" },
		{ ",\"limits\":{\"timeout\":30}", "limits.timeout" },
		{ ",\"registry_auth\":\"none\"", "registry_auth" },
		{ ",\"odd\":1", "odd" },
	};
	kii_autobuf huge = KII_BUF_INIT(4 << 20);

	(void)state;
	upload("f", "x", NULL);
	for (size_t i = 0; i < KII_COUNT(rows); i++) {
		kii_autofree char *more = kii_xfmt(",\"image_tag\":\"x:1\"%s", rows[i].more);
		kii_autofree char *text = request("dockerfile", more);

		refused("image", text, 400, rows[i].field);
	}
	refused("image", "{\"git_repo\":\"https://h/a\",\"git_auth\":\"none\",\"buildpack_type\":"
		"\"static\",\"image_tag\":\"x\"}", 400, "git_auth");
	refused("image", "{\"git_repo\":\"file:///a\",\"buildpack_type\":\"static\","
		"\"image_tag\":\"x\"}", 400, "git_repo");
	refused("image", "{\"source\":\"00000000000000000000000000000000\",\"buildpack_type\":"
		"\"static\",\"image_tag\":\"x\"}", 400, "source");
	refused("plan", "{\"git_repo\":\"https://h/a\",\"buildpack_type\":\"dockerfile\"}", 400,
		"buildpack_type");
	kii_buf_str(&huge, "{\"git_repo\":\"https://h/a\",\"buildpack_type\":\"dockerfile\","
		"\"image_tag\":\"x\",\"environment\":{");
	for (unsigned i = 0; i < 40; i++) {
		kii_buf_fmt(&huge, "%s\"A%u\":\"", i ? "," : "", i);
		for (unsigned k = 0; k < 30000; k++)
			kii_buf_char(&huge, 'x');
		kii_buf_char(&huge, '"');
	}
	kii_buf_str(&huge, "}}");
	refused("image", huge.data, 413, "");
}

static void an_upload_that_cannot_be_looked_at_is_no_fault_of_the_request(void **state)
{
	kii_autofree char *folder = kii_xfmt("%s/engine/uploads", f->conf.paths.state_dir);
	kii_autofree char *text = NULL;
	struct kii_error err = { 0 };

	(void)state;
	upload("f", "x", NULL);
	text = request("static", ",\"image_tag\":\"x\"");
	must(kii_io_remove_tree(folder, &err));
	must(kii_io_publish(folder, "", 0, 0600, &err));
	refused("image", text, 503, "");
}

static void an_id_is_for_one_request(void **state)
{
	static const char one[] = "{\"git_repo\":\"https://h/a\",\"buildpack_type\":\"static\","
		"\"image_tag\":\"x\",\"id\":\"b\"}";
	static const char other[] = "{\"git_repo\":\"https://h/a\",\"buildpack_type\":\"static\","
		"\"image_tag\":\"y\",\"id\":\"b\"}";
	const struct kind *kind = kind_find("image");
	struct kii_job first, same, second, without;
	kii_autojson *answer = NULL;

	(void)state;
	assert_null(prepare("image", one, &first));
	assert_null(prepare("image", one, &same));
	assert_null(prepare("image", other, &second));
	assert_null(prepare("plan", one, &without));
	assert_string_equal(first.key, same.key);
	assert_string_equal(first.key, second.key);
	assert_string_not_equal(first.key, without.key);
	assert_null(kind->collides(&first, &same));
	answer = kind->collides(&first, &second);
	assert_int_equal(kii_json_int(answer, "status", 0), 409);
	assert_string_equal(kii_json_str(answer, "field"), "id");
	kii_job_release(&first);
	kii_job_release(&same);
	kii_job_release(&second);
	kii_job_release(&without);
}

/* --- what an earlier worker left --- */

static void workspaces_of_our_own_go(void **state)
{
	kii_autofree char *ours = kii_xfmt("%s/kiisrv-%s-x/a", f->conf.docker.build_dir,
		f->w.instance);
	kii_autofree char *others = kii_xfmt("%s/kiisrv-0-x", f->conf.docker.build_dir);
	struct kii_error err = { 0 };
	struct stat st;

	(void)state;
	must(kii_io_mkdirs(ours, 0700, &err));
	must(kii_io_mkdirs(others, 0700, &err));
	image_sweep(&f->w);
	assert_int_equal(stat(ours, &st), -1);
	assert_int_equal(stat(others, &st), 0);
	free(f->conf.docker.build_dir);
	f->conf.docker.build_dir = kii_xstrdup("/dev/null");
	image_sweep(&f->w);
}

#define image_test(name) cmocka_unit_test_setup_teardown(name, open_all, close_all)

int main(void)
{
	const struct CMUnitTest tests[] = {
		image_test(a_build_ends_with_its_image_and_nothing_else),
		image_test(without_wishes_the_configuration_says_the_limits),
		image_test(stages_are_progress),
		image_test(a_failing_step_comes_with_its_last_lines),
		image_test(pieces_of_any_size_leave_the_last_lines),
		image_test(what_the_engine_says_of_a_failure_is_said),
		image_test(a_layer_that_went_meanwhile_is_made_anew),
		image_test(an_engine_that_goes_is_tried_again),
		image_test(contexts_and_recipes_that_cannot_be_are_refused),
		image_test(a_context_that_grows_past_its_cap_ends_the_build),
		image_test(a_request_that_makes_no_sense_is_lost),
		image_test(without_a_place_to_work_it_is_lost),
		image_test(what_is_in_the_way_of_a_place_to_work_is_known),
		image_test(a_build_that_is_cancelled_hangs_up),
		image_test(time_has_an_end),
		image_test(a_context_that_takes_too_long_to_look_through_is_not_waited_for),
		image_test(a_base_image_that_is_missing_is_pulled),
		image_test(a_pull_that_runs_is_shared),
		image_test(who_waits_for_a_pull_may_be_cancelled),
		image_test(credentials_are_for_the_registry_that_they_fit),
		image_test(a_pull_that_cannot_be_noted_is_the_servers_fault),
		image_test(an_image_that_cannot_be_noted_is_the_servers_fault),
		image_test(on_podman_the_steps_have_a_guard),
		image_test(a_guard_that_cannot_be_had_is_said),
		image_test(a_build_that_docker_breaks_off_is_noted),
		image_test(a_build_that_podman_breaks_off_is_noted),
		image_test(a_docker_that_tells_no_time_is_asked_again),
		image_test(one_whose_step_fails_is_not),
		image_test(a_podman_that_knows_no_image_is_asked_again),
		image_test(a_guard_that_stays_is_the_janitors),
		image_test(what_misleads_podmans_cache_is_built_without_it),
		image_test(a_plan_is_kept_for_who_asked),
		image_test(what_cannot_be_planned_says_why),
		image_test(a_plan_that_cannot_be_kept_is_the_servers_fault),
		image_test(a_plan_is_built_from_a_dockerfile_of_ours),
		image_test(services_are_built_one_by_one),
		image_test(the_first_that_fails_ends_it),
		image_test(what_is_wrong_with_a_compose_file_is_said),
		image_test(what_may_not_be_is_refused_before_there_is_a_job),
		image_test(an_upload_that_cannot_be_looked_at_is_no_fault_of_the_request),
		image_test(an_id_is_for_one_request),
		image_test(workspaces_of_our_own_go),
	};

	return cmocka_run_group_tests_name("image", tests, NULL, NULL);
}
