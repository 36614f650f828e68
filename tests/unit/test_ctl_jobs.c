/* SPDX-License-Identifier: MIT */
/* kiisrvctl jobs and gc as a process; the test plays the worker and writes the queue. */
#include <config.h>

#include <errno.h>
#include <jansson.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "ctl.h"
#include "ctlrun.h"
#include "io.h"
#include "jobs.h"
#include "json.h"
#include "operator.h"
#include "testlib.h"

#define ONE   "11111111111111111111111111111111"
#define TWO   "22222222222222222222222222222222"
#define THREE "33333333333333333333333333333333"
#define NONE  "99999999999999999999999999999999"
#define NONSENSE "makes no sense"
#define T0    INT64_C(1767225600000)   /* 2026-01-01T00:00:00Z */

static struct ctlrun r;
static struct kii_jobs *db;

/* --- the queue --- */

static void insert(const char *id, char key, int64_t created)
{
	struct kii_error err = { 0 };
	char board[] = "MD1", release[] = "controller-057", client[] = "192.0.2.1",
		image[] = "sha256:aa", request[] = "{\"env\":\"latest\"}";
	struct kii_job job = { .kind = "firmware", .created = created, .subject = board,
		.release = release, .client = client, .image = image, .request = request,
		.exit_code = -1 };

	snprintf(job.id, sizeof(job.id), "%s", id);
	memset(job.key, key, 64);
	must(kii_jobs_insert(db, &job, &err));
}

static void start(const char *id, int attempt)
{
	struct kii_error err = { 0 };

	must(kii_jobs_start(db, id, attempt, T0 + 1000, &err));
}

static void finish(const char *id, enum kii_job_state state, const char *error)
{
	struct kii_error err = { 0 };

	must(kii_jobs_finish(db, id, &(struct kii_job_end){ .state = state, .exit_code = 1,
		.outcome = kii_job_state_name(state), .error = error, .log_bytes = 2048,
		.artifact = state == KII_JOB_FAILED ? "MD1-x_error.zip" : NULL,
		.artifact_bytes = 1536, .finished = T0 + 5100 }, &err));
}

static int setup(void **state)
{
	struct kii_error err = { 0 };
	kii_autofree char *schema = test_source("schema");
	kii_autofree char *path = NULL;

	(void)state;
	ctlrun_init(&r);
	path = kii_xfmt("%s/state/queue/jobs.sqlite", r.dir);
	must(kii_jobs_migrate(path, schema, &err));
	must(kii_jobs_open(path, KII_STORE_WRITE, &db, &err));
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	kii_jobs_close(db);
	ctlrun_release(&r);
	return 0;
}

/* --- the worker: one connection, one line, one answer --- */

struct worker {
	int listener;
	pthread_t thread;
	const char *answer;
	const char *more[3];     /* answers on further connections */
	const char *ends_first;  /* a job that is cancelled before the answer */
	const char *finish;      /* a job that ends a moment later */
	enum kii_job_state state;
	char asked[512];
};

static void *work(void *arg)
{
	struct worker *w = arg;
	struct pollfd p = { w->listener, POLLIN, 0 };
	ssize_t n;
	int fd;

	if (poll(&p, 1, 10000) != 1)
		return NULL;
	fd = accept(w->listener, NULL, NULL);
	n = read(fd, w->asked, sizeof(w->asked) - 1);
	w->asked[n > 0 ? n : 0] = '\0';
	if (w->ends_first)
		finish(w->ends_first, KII_JOB_CANCELLED, NULL);
	if (w->answer)
		dprintf(fd, "%s\n", w->answer);
	close(fd);
	for (size_t i = 0; i < 3 && w->more[i]; i++) {
		if (poll(&p, 1, 10000) != 1)
			return NULL;
		fd = accept(w->listener, NULL, NULL);
		n = read(fd, w->asked, sizeof(w->asked) - 1);
		w->asked[n > 0 ? n : 0] = '\0';
		dprintf(fd, "%s\n", w->more[i]);
		close(fd);
	}
	if (w->finish) {
		usleep(300000);
		finish(w->finish, w->state, NULL);
	}
	return NULL;
}

static void start_worker(struct worker *w)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };

	snprintf(addr.sun_path, sizeof(addr.sun_path), "%s/run/worker/worker.sock", r.dir);
	unlink(addr.sun_path);
	w->listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(w->listener, (struct sockaddr *)&addr, sizeof(addr)), 0);
	assert_int_equal(listen(w->listener, 4), 0);
	assert_int_equal(pthread_create(&w->thread, NULL, work, w), 0);
}

static void stop_worker(struct worker *w)
{
	pthread_join(w->thread, NULL);
	close(w->listener);
}

static void expect_question(const struct worker *w, const char *op, const char *job)
{
	json_t *question = json_loads(w->asked, JSON_DISABLE_EOF_CHECK, NULL);

	assert_string_equal(kii_json_str(question, "op"), op);
	if (job)
		assert_string_equal(kii_json_str(question, "job"), job);
	json_decref(question);
}

/* --- list and show --- */

static void the_list_is_aligned_newest_first(void **state)
{
	(void)state;
	insert(ONE, 'a', T0);
	insert(TWO, 'b', T0 + 60000);
	start(ONE, 1);
	finish(ONE, KII_JOB_FAILED, "no");
	assert_int_equal(ctlrun(&r, "jobs", "list"), CTL_OK);
	assert_string_equal(r.out.data,
		"ID                                STATE   KIND      BOARD  RELEASE         "
		"CREATED               TIME   CLIENT     OUTCOME\n"
		TWO "  queued  firmware  MD1    controller-057  2026-01-01T00:01:00Z  -      "
		"192.0.2.1  -\n"
		ONE "  failed  firmware  MD1    controller-057  2026-01-01T00:00:00Z  4.1 s  "
		"192.0.2.1  failed\n");
	assert_string_equal(r.err.data, "");
	assert_int_equal(ctlrun(&r, "jobs", "list", "--limit", "1"), CTL_OK);
	assert_non_null(strstr(r.out.data, TWO));
	assert_null(strstr(r.out.data, ONE));
	assert_int_equal(ctlrun(&r, "jobs", "list", "--state=failed"), CTL_OK);
	assert_non_null(strstr(r.out.data, ONE));
	assert_null(strstr(r.out.data, TWO));
	assert_int_equal(ctlrun(&r, "jobs", "list", "--state=lost"), CTL_OK);
	assert_string_equal(strchr(r.out.data, '\n'), "\n");
}

static void the_list_is_json_too(void **state)
{
	json_t *all;

	(void)state;
	assert_int_equal(ctlrun(&r, "--json", "jobs", "list"), CTL_OK);
	assert_string_equal(r.out.data, "[]\n");
	insert(ONE, 'a', T0);
	assert_int_equal(ctlrun(&r, "--json", "jobs", "list"), CTL_OK);
	all = json_loads(r.out.data, 0, NULL);
	assert_int_equal(json_array_size(all), 1);
	assert_string_equal(kii_json_str(json_array_get(all, 0), "id"), ONE);
	assert_string_equal(kii_json_str(json_array_get(all, 0), "created"),
		"2026-01-01T00:00:00Z");
	assert_true(json_is_null(json_object_get(json_array_get(all, 0), "duration_ms")));
	json_decref(all);
}

/* A job of the operator's, in the database of those. */
static void insert_operator(const char *id, int64_t created, const char *log)
{
	kii_autofree char *schema = test_source("schema");
	kii_autofree char *engine = kii_xfmt("%s/state/engine", r.dir);
	kii_autofree char *path = kii_xfmt("%s/operator.sqlite", engine);
	kii_autofree char *folder = kii_xfmt("%s/state/operator-logs", r.dir);
	kii_autofree char *file = kii_xfmt("%s/%s.log", folder, id);
	struct kii_jobs *public = db;
	struct kii_error err = { 0 };

	must(kii_io_mkdirs(engine, 0700, &err));
	must(kii_operator_migrate(path, schema, &err));
	must(kii_jobs_open_operator(path, KII_STORE_WRITE, &db, &err));
	insert(id, 'a', created);
	kii_jobs_close(db);
	db = public;
	must(kii_io_mkdirs(folder, 0700, &err));
	must(kii_io_publish(file, log, strlen(log), 0600, &err));
}

static void the_operators_jobs_are_told_too(void **state)
{
	const char *one, *two, *three;

	(void)state;
	insert(ONE, 'a', T0);
	insert_operator(TWO, T0 + 1000, "of two\n");
	insert(THREE, 'b', T0 + 2000);
	assert_int_equal(ctlrun(&r, "jobs", "list"), CTL_OK);
	one = strstr(r.out.data, ONE);
	two = strstr(r.out.data, TWO);
	three = strstr(r.out.data, THREE);
	if (!(three && two > three && one > two))
		fail_msg("%s", r.out.data);
	assert_int_equal(ctlrun(&r, "jobs", "list", "--limit", "2"), CTL_OK);
	assert_non_null(strstr(r.out.data, TWO));
	assert_null(strstr(r.out.data, ONE));
	assert_int_equal(ctlrun(&r, "jobs", "show", TWO), CTL_OK);
	assert_non_null(strstr(r.out.data, TWO "\n"));
	assert_int_equal(ctlrun(&r, "jobs", "log", TWO), CTL_OK);
	assert_string_equal(r.out.data, "of two\n");
	assert_int_equal(ctlrun(&r, "jobs", "show", NONE), CTL_FAILED);
	assert_non_null(strstr(r.err.data, "there is no such job"));
}

static void an_operators_database_of_another_version_is_an_error(void **state)
{
	kii_autofree char *path = kii_xfmt("%s/state/engine/operator.sqlite", r.dir);
	kii_autofree char *folder = kii_xfmt("%s/state/engine", r.dir);
	struct kii_error err = { 0 };

	(void)state;
	must(kii_io_mkdirs(folder, 0700, &err));
	must(kii_io_publish(path, "", 0, 0600, &err));
	assert_int_equal(ctlrun(&r, "jobs", "list"), CTL_FAILED);
	assert_non_null(strstr(r.err.data, "migrate it first"));
}

static void show_says_what_is_known(void **state)
{
	(void)state;
	insert(ONE, 'a', T0);
	start(ONE, 2);
	finish(ONE, KII_JOB_FAILED, "see\033[2J its log");
	insert(TWO, 'b', T0);
	insert(THREE, 'c', T0 + 1);
	assert_int_equal(ctlrun(&r, "jobs", "show", ONE), CTL_OK);
	assert_non_null(strstr(r.out.data, "job          " ONE "\nstate        failed\n"));
	assert_non_null(strstr(r.out.data, "\nerror        see^[[2J its log\n"));
	assert_non_null(strstr(r.out.data, "\nfinished     2026-01-01T00:00:05Z\n"));
	assert_non_null(strstr(r.out.data, "\nattempts     2\n"));
	assert_non_null(strstr(r.out.data, "\nexit code    1\n"));
	assert_non_null(strstr(r.out.data, "\nresult       MD1-x_error.zip\n"
		"result size  1.5 KiB\nlog size     2.0 KiB\n"));
	assert_null(strstr(r.out.data, "place"));
	assert_int_equal(ctlrun(&r, "jobs", "show", THREE), CTL_OK);
	assert_non_null(strstr(r.out.data, "\nplace     2\n"));
	assert_null(strstr(r.out.data, "exit code"));
}

static void the_worker_says_whose_turn_it_is(void **state)
{
	struct worker w = { .answer = "{\"ok\":true,\"state\":\"queued\",\"place\":7,"
		"\"estimate_ms\":61000}" };

	(void)state;
	insert(ONE, 'a', T0);
	start_worker(&w);
	assert_int_equal(ctlrun(&r, "jobs", "show", ONE), CTL_OK);
	stop_worker(&w);
	expect_question(&w, "attach", ONE);
	assert_non_null(strstr(r.out.data, "\nplace          7\n"));
	assert_non_null(strstr(r.out.data, "\nends in about  1 min 1 s\n"));
}

/* The row is read anew when the worker says that the job does not wait any more. */
static void a_job_whose_turn_came_meanwhile_is_told_as_it_is(void **state)
{
	struct worker w = { .answer = "{\"ok\":true,\"state\":\"cancelled\"}",
		.ends_first = ONE };

	(void)state;
	insert(ONE, 'a', T0);
	start_worker(&w);
	assert_int_equal(ctlrun(&r, "jobs", "show", ONE), CTL_OK);
	stop_worker(&w);
	assert_non_null(strstr(r.out.data, " cancelled\n"));
	assert_null(strstr(r.out.data, "place"));
}

static void show_is_json_with_the_request(void **state)
{
	json_t *job;

	(void)state;
	insert(ONE, 'a', T0);
	assert_int_equal(ctlrun(&r, "--json", "jobs", "show", ONE), CTL_OK);
	job = json_loads(r.out.data, 0, NULL);
	assert_string_equal(kii_json_str(job, "state"), "queued");
	assert_int_equal(kii_json_int(job, "place", 0), 1);
	assert_string_equal(kii_json_str(json_object_get(job, "request"), "env"), "latest");
	json_decref(job);
}

/* --- log --- */

static void write_log(const char *id, const char *text, size_t len, const char *mode)
{
	kii_autofree char *path = kii_xfmt("%s/state/logs/%s.log", r.dir, id);
	FILE *f = fopen(path, mode);

	assert_non_null(f);
	assert_int_equal(fwrite(text, 1, len, f), len);
	assert_int_equal(fclose(f), 0);
}

static void a_log_is_printed_as_it_is(void **state)
{
	static const char text[] = "one\0\033[2J\377two";

	(void)state;
	insert(ONE, 'a', T0);
	write_log(ONE, text, sizeof(text) - 1, "w");
	assert_int_equal(ctlrun(&r, "jobs", "log", ONE), CTL_OK);
	assert_int_equal(r.out.len, sizeof(text) - 1);
	assert_memory_equal(r.out.data, text, sizeof(text) - 1);
}

static void a_terminal_gets_no_escapes(void **state)
{
	static const char *const args[CTLRUN_ARGS + 1] = { "jobs", "log", ONE };
	static const char text[] = "one\0\033[2J\377two\r";

	(void)state;
	insert(ONE, 'a', T0);
	write_log(ONE, text, sizeof(text) - 1, "w");
	ctlrun_start(&r, STDOUT_FILENO, args);
	assert_int_equal(ctlrun_wait(&r), CTL_OK);
	assert_string_equal(r.out.data, "one^@^[[2J?two\n");
}

static void wait_for_output(const char *part)
{
	struct kii_error err = { 0 };
	kii_autofree char *path = kii_xfmt("%s/out", r.dir);
	kii_autobuf text = KII_BUF_INIT(1 << 20);

	for (int i = 0; i < 1000; i++) {
		kii_buf_reset(&text);
		if (access(path, F_OK) == 0)
			must(kii_io_read(path, &text, &err));
		if (strstr(text.data, part))
			return;
		usleep(10000);
	}
	fail_msg("never: %s", part);
}

static void following_ends_with_the_job(void **state)
{
	static const char *const args[CTLRUN_ARGS + 1] = { "jobs", "log", "-f", ONE };
	kii_autofree char *path = kii_xfmt("%s/state/logs/%s.log", r.dir, ONE);
	kii_autofree char *older = kii_xfmt("%s/state/logs/%s.1.log", r.dir, ONE);
	struct kii_error err = { 0 };

	(void)state;
	insert(ONE, 'a', T0);
	ctlrun_start(&r, 0, args);
	usleep(300000);          /* there is none yet */
	start(ONE, 1);
	write_log(ONE, "first\n", 6, "w");
	wait_for_output("first\n");
	write_log(ONE, "second\n", 7, "a");
	/* A second attempt begins another log. */
	assert_int_equal(rename(path, older), 0);
	must(kii_jobs_requeue(db, ONE, &err));
	start(ONE, 2);
	write_log(ONE, "again\n", 6, "w");
	wait_for_output("again\n");
	write_log(ONE, "end\n", 4, "a");
	finish(ONE, KII_JOB_FAILED, NULL);
	assert_int_equal(ctlrun_wait(&r), CTL_OK);
	assert_string_equal(r.out.data, "first\nsecond\nagain\nend\n");
	assert_string_equal(r.err.data, "");
}

static void a_log_that_is_not_there_is_a_failure(void **state)
{
	kii_autofree char *path = kii_xfmt("%s/state/logs/%s.log", r.dir, ONE);

	(void)state;
	insert(ONE, 'a', T0);
	assert_int_equal(ctlrun(&r, "jobs", "log", ONE), CTL_FAILED);
	assert_non_null(strstr(r.err.data, "has no log yet"));
	finish(ONE, KII_JOB_CANCELLED, NULL);
	assert_int_equal(ctlrun(&r, "jobs", "log", "--follow", ONE), CTL_FAILED);
	assert_non_null(strstr(r.err.data, ONE " has no log\n"));
	assert_int_equal(ctlrun(&r, "jobs", "log", NONE), CTL_FAILED);
	assert_non_null(strstr(r.err.data, "no such job"));
	assert_int_equal(ctlrun(&r, "jobs", "log", "-f", NONE), CTL_FAILED);
	assert_non_null(strstr(r.err.data, "no such job"));
	/* Nothing is read through a link. */
	assert_int_equal(symlink("/etc/passwd", path), 0);
	assert_int_equal(ctlrun(&r, "jobs", "log", ONE), CTL_FAILED);
	assert_string_equal(r.out.data, "");
	unlink(path);
	assert_int_equal(mkdir(path, 0700), 0);
	assert_int_equal(ctlrun(&r, "jobs", "log", ONE), CTL_FAILED);
	assert_non_null(strstr(r.err.data, "read "));
}

static void a_log_that_cannot_be_written_is_a_failure(void **state)
{
	kii_autobuf many = KII_BUF_INIT(1 << 20);

	(void)state;
	insert(ONE, 'a', T0);
	write_log(ONE, "short\n", 6, "w");
	r.out_to = "/dev/full";
	assert_int_equal(ctlrun(&r, "jobs", "log", ONE), CTL_FAILED);
	assert_non_null(strstr(r.err.data, "log: write: No space"));
	while (many.len < 200000)
		kii_buf_str(&many, "a long one\n");
	write_log(ONE, many.data, many.len, "w");
	assert_int_equal(ctlrun(&r, "jobs", "log", ONE), CTL_FAILED);
	assert_non_null(strstr(r.err.data, "log: write: No space"));
}

/* --- cancel and retry --- */

static void a_queued_job_is_cancelled_at_once(void **state)
{
	struct worker w = { .answer = "{\"ok\":true,\"job\":\"" ONE "\",\"state\":\"cancelled\"}" };

	(void)state;
	insert(ONE, 'a', T0);
	start_worker(&w);
	assert_int_equal(ctlrun(&r, "jobs", "cancel", ONE), CTL_OK);
	stop_worker(&w);
	expect_question(&w, "cancel", ONE);
	assert_string_equal(r.out.data, ONE ": cancelled\n");
}

static void cancel_waits_for_the_end(void **state)
{
	struct worker w = { .answer = "{\"ok\":true,\"job\":\"" ONE "\",\"state\":\"running\"}",
		.finish = ONE, .state = KII_JOB_CANCELLED };
	struct worker late = { .answer = "{\"ok\":true,\"job\":\"" TWO "\",\"state\":\"running\"}",
		.finish = TWO, .state = KII_JOB_SUCCEEDED };

	(void)state;
	insert(ONE, 'a', T0);
	start(ONE, 1);
	start_worker(&w);
	assert_int_equal(ctlrun(&r, "--json", "jobs", "cancel", ONE), CTL_OK);
	stop_worker(&w);
	assert_non_null(strstr(r.out.data, "\"state\": \"cancelled\""));
	insert(TWO, 'b', T0);
	start(TWO, 1);
	start_worker(&late);
	assert_int_equal(ctlrun(&r, "jobs", "cancel", TWO), CTL_FAILED);
	stop_worker(&late);
	assert_string_equal(r.out.data, TWO ": succeeded\n");
}

static void cancel_does_not_wait_forever(void **state)
{
	struct worker w = { .answer = "{\"ok\":true,\"job\":\"" ONE "\",\"state\":\"running\"}" };

	(void)state;
	insert(ONE, 'a', T0);
	start(ONE, 1);
	start_worker(&w);
	assert_int_equal(ctlrun(&r, "jobs", "cancel", "--wait", "1", ONE), CTL_FAILED);
	stop_worker(&w);
	assert_string_equal(r.out.data, "");
	assert_non_null(strstr(r.err.data, "has not within 1 s"));
	/* Nor for one that the database does not know. */
	w.answer = "{\"ok\":true,\"job\":\"" NONE "\",\"state\":\"running\"}";
	start_worker(&w);
	assert_int_equal(ctlrun(&r, "jobs", "cancel", NONE), CTL_FAILED);
	stop_worker(&w);
	assert_non_null(strstr(r.err.data, "no such job"));
}

static void a_retry_names_the_new_job(void **state)
{
	struct worker w = { .answer = "{\"ok\":true,\"job\":\"" TWO "\",\"state\":\"queued\","
		"\"place\":1}" };
	struct worker again = w;

	(void)state;
	start_worker(&w);
	assert_int_equal(ctlrun(&r, "jobs", "retry", ONE), CTL_OK);
	stop_worker(&w);
	expect_question(&w, "retry", ONE);
	assert_string_equal(r.out.data, TWO ": queued\n");
	start_worker(&again);
	assert_int_equal(ctlrun(&r, "jobs", "retry", ONE, "--json"), CTL_OK);
	stop_worker(&again);
	assert_non_null(strstr(r.out.data, "\"job\": \"" TWO "\""));
}

static void the_workers_refusals_are_told(void **state)
{
	static const struct { const char *answer, *told; int status; } rows[] = {
		{ "{\"ok\":false,\"status\":409,\"error\":\"the job has ended: failed\"}",
			"kiisrvctl: the job has ended: failed\n", CTL_FAILED },
		{ "{\"ok\":false,\"status\":404,\"error\":\"there is no such job\"}",
			"kiisrvctl: there is no such job\n", CTL_FAILED },
		{ "{\"ok\":true}", NONSENSE, CTL_FAILED },
		{ "{\"ok\":true,\"job\":\"x\",\"state\":\"queued\"}", NONSENSE, CTL_FAILED },
		{ "{\"ok\":true,\"job\":\"" ONE "\",\"state\":\"x\"}", NONSENSE, CTL_FAILED },
		{ "nonsense", NONSENSE, CTL_FAILED },
		{ NULL, "hung up", CTL_FAILED },
	};

	(void)state;
	for (size_t i = 0; i < KII_COUNT(rows); i++) {
		struct worker w = { .answer = rows[i].answer };
		int status;

		start_worker(&w);
		status = ctlrun(&r, "jobs", i % 2 ? "cancel" : "retry", ONE);
		stop_worker(&w);
		if (status != rows[i].status || !strstr(r.err.data, rows[i].told))
			fail_msg("row %zu: %d: %s", i, status, r.err.data);
		assert_string_equal(r.out.data, "");
	}
	/* Nobody listens any more. */
	assert_int_equal(ctlrun(&r, "jobs", "retry", ONE), CTL_FAILED);
	assert_int_equal(ctlrun(&r, "gc"), CTL_FAILED);
}

/* --- gc --- */

static void gc_says_what_goes_and_why(void **state)
{
	struct worker dry = { .answer = "{\"ok\":true,\"dry_run\":true,\"bytes\":3145728,"
		"\"items\":[{\"kind\":\"artifact\",\"name\":\"MD1-a.zip\",\"bytes\":3144704,"
		"\"why\":\"budget\"},"
		"{\"kind\":\"log\",\"name\":\"" ONE ".log\",\"bytes\":1024,\"why\":\"age\"},"
		"{\"kind\":\"job\",\"name\":\"" TWO "\",\"bytes\":0,\"why\":\"later\"}]}" };
	struct worker none = { .answer = "{\"ok\":true,\"dry_run\":false,\"items\":[],"
		"\"bytes\":0}" };
	struct worker odd = { .answer = "{\"ok\":true}" };

	(void)state;
	start_worker(&dry);
	assert_int_equal(ctlrun(&r, "gc", "--dry-run"), CTL_OK);
	stop_worker(&dry);
	expect_question(&dry, "gc", NULL);
	assert_non_null(strstr(dry.asked, "\"dry_run\":true"));
	assert_string_equal(r.out.data,
		"KIND      SIZE     WHY              NAME\n"
		"artifact  3.0 MiB  over the budget  MD1-a.zip\n"
		"log       1.0 KiB  too old          " ONE ".log\n"
		"job       0 B      later            " TWO "\n"
		"would remove 3 items, 3.0 MiB\n");
	start_worker(&none);
	assert_int_equal(ctlrun(&r, "gc"), CTL_OK);
	stop_worker(&none);
	assert_non_null(strstr(none.asked, "\"dry_run\":false"));
	assert_string_equal(r.out.data, "removed 0 items, 0 B\n");
	start_worker(&odd);
	assert_int_equal(ctlrun(&r, "gc"), CTL_FAILED);
	stop_worker(&odd);
	assert_non_null(strstr(r.err.data, "makes no sense"));
}

static void gc_is_json_too(void **state)
{
	struct worker w = { .answer = "{\"ok\":true,\"dry_run\":false,\"items\":[],\"bytes\":7}" };
	json_t *answer;

	(void)state;
	start_worker(&w);
	assert_int_equal(ctlrun(&r, "gc", "--json"), CTL_OK);
	stop_worker(&w);
	answer = json_loads(r.out.data, 0, NULL);
	assert_int_equal(kii_json_int(answer, "bytes", 0), 7);
	json_decref(answer);
}

/* --- versions refresh --- */

#define RAN(n, error) "{\"ok\":true,\"git\":{\"running\":false,\"runs\":" #n ",\"tags\":12," \
	"\"finished\":1,\"error\":\"" error "\"}}"

static void refresh_waits_for_its_run(void **state)
{
	struct worker good = { .answer = "{\"ok\":true,\"runs\":3}",
		.more = { RAN(2, "old trouble"), RAN(3, "") } };
	struct worker bad = { .answer = "{\"ok\":true,\"runs\":3}",
		.more = { RAN(3, "it ended with 3: no \\u001b[31mnetwork") } };
	struct worker json = { .answer = "{\"ok\":true,\"runs\":1}", .more = { RAN(1, "") } };

	(void)state;
	start_worker(&good);
	assert_int_equal(ctlrun(&r, "versions", "refresh"), CTL_OK);
	stop_worker(&good);
	assert_string_equal(r.out.data, "12 tags\n");
	expect_question(&good, "status", NULL);
	start_worker(&bad);
	assert_int_equal(ctlrun(&r, "versions", "refresh"), CTL_FAILED);
	stop_worker(&bad);
	assert_string_equal(r.err.data,
		"kiisrvctl: what is known stays: it ended with 3: no ^[[31mnetwork\n");
	start_worker(&json);
	assert_int_equal(ctlrun(&r, "--json", "versions", "refresh"), CTL_OK);
	stop_worker(&json);
	assert_non_null(strstr(r.out.data, "\"tags\": 12"));
}

static void a_refresh_that_cannot_be_is_told(void **state)
{
	struct worker no = { .answer = "{\"ok\":false,\"status\":409,\"error\":\"no image\"}" };
	struct worker odd = { .answer = "{\"ok\":true,\"runs\":1}", .more = { "{\"ok\":true}" } };

	(void)state;
	start_worker(&no);
	assert_int_equal(ctlrun(&r, "versions", "refresh"), CTL_FAILED);
	stop_worker(&no);
	expect_question(&no, "refresh", NULL);
	assert_string_equal(r.err.data, "kiisrvctl: no image\n");
	start_worker(&odd);
	assert_int_equal(ctlrun(&r, "versions", "refresh"), CTL_FAILED);
	stop_worker(&odd);
	assert_non_null(strstr(r.err.data, NONSENSE));
	assert_int_equal(ctlrun(&r, "versions", "refresh", "now"), CTL_USAGE);
	assert_int_equal(ctlrun(&r, "-c", "/nonexistent", "versions", "refresh"), CTL_FAILED);
	/* Nobody listens any more. */
	assert_int_equal(ctlrun(&r, "versions", "refresh"), CTL_FAILED);
}

/* --- what is wrong with a command --- */

static void wrong_commands_end_by_their_kind(void **state)
{
	static const struct { const char *args[CTLRUN_ARGS + 1], *part; int status; } rows[] = {
		{ { "jobs" }, "which command of kiisrvctl jobs?", CTL_USAGE },
		{ { "jobs", "list", "more" }, "usage: kiisrvctl jobs list", CTL_USAGE },
		{ { "jobs", "list", "--limit" }, "missing value: --limit", CTL_USAGE },
		{ { "jobs", "list", "-x" }, "bad option", CTL_USAGE },
		{ { "jobs", "list", "--limit", "0" }, "--limit: must be a number from 1",
			CTL_BAD_INPUT },
		{ { "jobs", "list", "--limit", "1x" }, "--limit: must be", CTL_BAD_INPUT },
		{ { "jobs", "list", "--limit", "-1" }, "--limit: must be", CTL_BAD_INPUT },
		{ { "jobs", "list", "--limit", "99999999999999999999" }, "--limit: must be",
			CTL_BAD_INPUT },
		{ { "jobs", "list", "--state", "dead" }, "--state: must be", CTL_BAD_INPUT },
		{ { "jobs", "show" }, "usage: kiisrvctl jobs show ID", CTL_USAGE },
		{ { "jobs", "show", "1" }, "ID: must be", CTL_BAD_INPUT },
		{ { "jobs", "show", NONE }, "no such job", CTL_FAILED },
		{ { "jobs", "log" }, "usage: kiisrvctl jobs log", CTL_USAGE },
		{ { "jobs", "log", "-x", ONE }, "bad option", CTL_USAGE },
		{ { "jobs", "log", "../../etc/passwd" }, "ID: must be", CTL_BAD_INPUT },
		{ { "jobs", "cancel" }, "usage: kiisrvctl jobs cancel", CTL_USAGE },
		{ { "jobs", "cancel", "-x", ONE }, "bad option", CTL_USAGE },
		{ { "jobs", "cancel", "--wait=soon", ONE }, "--wait: must be", CTL_BAD_INPUT },
		{ { "jobs", "cancel", "1" }, "ID: must be", CTL_BAD_INPUT },
		{ { "jobs", "retry" }, "usage: kiisrvctl jobs retry ID", CTL_USAGE },
		{ { "jobs", "retry", "1" }, "ID: must be", CTL_BAD_INPUT },
		{ { "gc", "all" }, "usage: kiisrvctl gc", CTL_USAGE },
		{ { "gc", "--wet" }, "bad option", CTL_USAGE },
		{ { "gc", "-c", "/no/such" }, "/no/such", CTL_FAILED },
		{ { "jobs", "list", "-c", "/no/such" }, "/no/such", CTL_FAILED },
	};

	(void)state;
	for (size_t i = 0; i < KII_COUNT(rows); i++) {
		int status;

		ctlrun_start(&r, 0, rows[i].args);
		status = ctlrun_wait(&r);
		if (status != rows[i].status || !strstr(r.err.data, rows[i].part))
			fail_msg("row %zu: %d: %s", i, status, r.err.data);
		assert_string_equal(r.out.data, "");
	}
	assert_int_equal(ctlrun(&r, "--json", "jobs", "show", "1"), CTL_BAD_INPUT);
	assert_non_null(strstr(r.err.data, "\"field\":\"ID\""));
}

static void without_a_database_nothing_is_listed(void **state)
{
	kii_autofree char *path = kii_xfmt("%s/state/queue/jobs.sqlite", r.dir);

	(void)state;
	assert_int_equal(unlink(path), 0);
	assert_int_equal(ctlrun(&r, "jobs", "list"), CTL_FAILED);
	assert_int_equal(ctlrun(&r, "jobs", "show", ONE), CTL_FAILED);
	assert_int_equal(ctlrun(&r, "jobs", "log", ONE), CTL_FAILED);
	assert_int_equal(ctlrun(&r, "jobs", "cancel", ONE), CTL_FAILED);
	assert_string_equal(r.out.data, "");
	/* It is never made by a reader. */
	assert_int_equal(access(path, F_OK), -1);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(the_list_is_aligned_newest_first),
		TEST(the_list_is_json_too),
		TEST(the_operators_jobs_are_told_too),
		TEST(an_operators_database_of_another_version_is_an_error),
		TEST(show_says_what_is_known),
		TEST(the_worker_says_whose_turn_it_is),
		TEST(a_job_whose_turn_came_meanwhile_is_told_as_it_is),
		TEST(show_is_json_with_the_request),
		TEST(a_log_is_printed_as_it_is),
		TEST(a_terminal_gets_no_escapes),
		TEST(following_ends_with_the_job),
		TEST(a_log_that_is_not_there_is_a_failure),
		TEST(a_log_that_cannot_be_written_is_a_failure),
		TEST(a_queued_job_is_cancelled_at_once),
		TEST(cancel_waits_for_the_end),
		TEST(cancel_does_not_wait_forever),
		TEST(a_retry_names_the_new_job),
		TEST(the_workers_refusals_are_told),
		TEST(gc_says_what_goes_and_why),
		TEST(gc_is_json_too),
		TEST(refresh_waits_for_its_run),
		TEST(a_refresh_that_cannot_be_is_told),
		TEST(wrong_commands_end_by_their_kind),
		TEST(without_a_database_nothing_is_listed),
	};

	return cmocka_run_group_tests_name("ctl_jobs", tests, NULL, NULL);
}
