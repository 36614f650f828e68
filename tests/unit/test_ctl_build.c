/* SPDX-License-Identifier: MIT */
/* kiisrvctl build as a process; the test is the server. */
#include <config.h>

#include <dirent.h>
#include <jansson.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "ctl.h"
#include "ctlrun.h"
#include "fakehttp.h"
#include "io.h"
#include "json.h"
#include "testlib.h"

#define JOB   "0123456789abcdef0123456789abcdef"
#define OTHER "ffffffffffffffffffffffffffffffff"
#define POSTED "{\"job\":\"" JOB "\",\"state\":\"queued\",\"place\":1,\"estimate\":4.2," \
	"\"artifact\":null}"
#define CACHED "{\"job\":\"" JOB "\",\"state\":\"succeeded\",\"artifact\":\"/tmp/MD1-x.zip\"," \
	"\"place\":null,\"estimate\":null}"
#define QUEUED "{\"id\":\"" JOB "\",\"state\":\"queued\",\"attempts\":0,\"place\":2," \
	"\"estimate\":8.4,\"artifact\":null}"
#define RUNNING(n) "{\"id\":\"" JOB "\",\"state\":\"running\",\"attempts\":" #n ",\"place\":0," \
	"\"estimate\":null,\"artifact\":null}"
#define ENDED(state, artifact, error) "{\"id\":\"" JOB "\",\"state\":\"" state "\"," \
	"\"attempts\":1,\"place\":null,\"estimate\":null,\"outcome\":\"built\"," \
	"\"artifact\":" artifact ",\"error\":" error "}"
#define BUILT ENDED("succeeded", "\"/tmp/MD1-x.zip\"", "null")
#define LOOKS 6

/* What the server says, and what it has heard. */
struct server {
	int post_status;
	const char *post_headers, *post;
	const char *looks[LOOKS];    /* of the job, one after the other; the last one stays; */
	int trouble;                 /* so many of them are a 502 before, */
	const char *logs[LOOKS];     /* and the log as it is after each */
	bool no_ranges;
	int zip_status;
	const char *zip;
	size_t zip_missing;          /* bytes that are promised and never come */

	int n_looks, n_logs;
	atomic_bool zip_asked;
	char target[256], body[2048], ranges[1024];
};

static struct ctlrun r;
static struct server s;
static struct fake_http *http;
static char *home;

static void give_job(int fd)
{
	int i = s.n_looks++ - s.trouble;

	if (i < 0) {
		fake_reply(fd, 502, "", "<html>", 6);
		return;
	}
	while (i && (i >= LOOKS || !s.looks[i]))
		i--;
	if (s.looks[i])
		fake_json(fd, 200, "", s.looks[i]);
	else
		fake_json(fd, 404, "", "{\"error\":\"there is no such job\"}");
}

static void give_log(const struct fake_request *q, int fd)
{
	int i = s.n_looks - 1 < LOOKS ? s.n_looks - 1 : LOOKS - 1;
	kii_autofree char *headers = NULL;
	char range[256];
	size_t from = 0, len;

	s.n_logs++;
	while (i > 0 && !s.logs[i])
		i--;
	fake_header(q, "Range", range);
	snprintf(s.ranges + strlen(s.ranges), sizeof(s.ranges) - strlen(s.ranges), "%s;", range);
	if (!s.logs[i]) {
		fake_json(fd, 404, "", "{\"error\":\"none\"}");
		return;
	}
	len = strlen(s.logs[i]);
	if (*range && !s.no_ranges)
		from = strtoul(range + strlen("bytes="), NULL, 10);
	headers = kii_xfmt("Content-Range: bytes %zu-%zu/%zu\r\n", from, len - 1, len);
	if (from >= len)
		fake_reply(fd, 416, "", "", 0);
	else
		fake_reply(fd, from ? 206 : 200, from ? headers : "", s.logs[i] + from,
			len - from);
}

static bool give_zip(int fd)
{
	size_t len = strlen(s.zip);
	kii_autofree char *head = kii_xfmt("HTTP/1.1 %d Said\r\nContent-Length: %zu\r\n\r\n",
		s.zip_status, len + s.zip_missing);

	fake_raw(fd, head, strlen(head));
	fake_raw(fd, s.zip, len);
	atomic_store(&s.zip_asked, true);
	return !s.zip_missing;
}

static bool serve(void *arg, const struct fake_request *q, int fd)
{
	(void)arg;
	if (!strcmp(q->method, "POST")) {
		snprintf(s.target, sizeof(s.target), "%s", q->target);
		snprintf(s.body, sizeof(s.body), "%s", q->body.data);
		fake_json(fd, s.post_status, s.post_headers, s.post);
	} else if (!strcmp(q->target, "/api/v1/jobs/" JOB)) {
		give_job(fd);
	} else if (!strcmp(q->target, "/logs/" JOB ".log")) {
		give_log(q, fd);
	} else if (!strncmp(q->target, "/tmp/", 5)) {
		return give_zip(fd);
	} else {
		fake_json(fd, 404, "", "{\"error\":\"there is nothing here\"}");
	}
	return true;
}

static void write_file(const char *name, const char *text)
{
	struct kii_error err = { 0 };

	must(kii_io_publish(name, text, strlen(text), 0600, &err));
}

static int setup(void **state)
{
	(void)state;
	ctlrun_init(&r);
	s = (struct server){ .post_status = 202, .post_headers = "", .post = POSTED,
		.looks = { BUILT }, .zip_status = 200, .zip = "PK-zip" };
	http = fake_http_start(serve, NULL);
	home = getcwd(NULL, 0);
	assert_int_equal(chdir(r.dir), 0);
	setenv("KIISRV_URL", fake_http_url(http), 1);
	setenv("LC_ALL", "C.UTF-8", 1);
	write_file("request.json", "{\"env\":\"lts\",\"config\":{\"header\":{}}}");
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	fake_http_stop(http);
	unsetenv("KIISRV_URL");
	assert_int_equal(chdir(home), 0);
	free(home);
	ctlrun_release(&r);
	return 0;
}

static void expect_file(const char *path, const char *want)
{
	struct kii_error err = { 0 };
	kii_autobuf text = KII_BUF_INIT(1 << 20);

	must(kii_io_read(path, &text, &err));
	assert_string_equal(text.data, want);
}

/* Neither a zip nor a part of one is there. */
static void expect_nothing_saved(void)
{
	DIR *dir = opendir(".");
	struct dirent *entry;

	assert_non_null(dir);
	while ((entry = readdir(dir)) != NULL) {
		if (strstr(entry->d_name, ".zip") || !strncmp(entry->d_name, ".kii", 4))
			fail_msg("left: %s", entry->d_name);
	}
	closedir(dir);
}

static int run_args(int on_tty, const char *const args[CTLRUN_ARGS + 1])
{
	int status;

	fake_http_sync(http);
	ctlrun_start(&r, on_tty, args);
	status = ctlrun_wait(&r);
	fake_http_sync(http);
	return status;
}
#define run(...) run_args(0, (const char *const[CTLRUN_ARGS + 1]){ __VA_ARGS__ })

/* --- results --- */

static void a_build_is_posted_watched_and_saved(void **state)
{
	struct stat st;

	(void)state;
	s.looks[0] = QUEUED;
	s.looks[1] = RUNNING(1);
	s.looks[2] = BUILT;
	umask(022);
	assert_int_equal(run("build", "request.json"), CTL_OK);
	assert_string_equal(r.out.data, "MD1-x.zip\n");
	assert_string_equal(r.err.data, "");
	assert_string_equal(s.target, "/api/v1/builds");
	assert_string_equal(s.body, "{\"env\":\"lts\",\"config\":{\"header\":{}}}");
	assert_int_equal(s.n_looks, 3);
	assert_int_equal(s.n_logs, 0);
	expect_file("MD1-x.zip", "PK-zip");
	assert_int_equal(stat("MD1-x.zip", &st), 0);
	assert_int_equal(st.st_mode & 0777, 0644);
	assert_int_equal(unlink("MD1-x.zip"), 0);
	expect_nothing_saved();
}

static void options_make_the_request(void **state)
{
	kii_autofree char *url = kii_xfmt("%s/", fake_http_url(http));

	(void)state;
	setenv("KIISRV_URL", "http://127.0.0.1:1", 1);
	write_file("bare.json", "{\"header\":{\"Name\":\"MD1\"},\"matrix\":[]}");
	assert_int_equal(run("build", "--fresh", "--server", url, "bare.json"), CTL_OK);
	assert_string_equal(s.target, "/api/v1/builds?fresh=1");
	assert_non_null(strstr(s.body, "\"env\":\"latest\""));
	assert_non_null(strstr(s.body, "\"config\":{\"header\":{\"Name\":\"MD1\"}"));
	assert_int_equal(run("build", "--env=v0.5.5", "--server", url, "request.json"),
		CTL_OK);
	assert_non_null(strstr(s.body, "\"env\":\"v0.5.5\""));
}

static void a_result_that_was_there_is_fetched_at_once(void **state)
{
	(void)state;
	s.post_status = 200;
	s.post = CACHED;
	assert_int_equal(run("--json", "build", "request.json"), CTL_OK);
	assert_int_equal(s.n_looks, 0);
	assert_non_null(strstr(r.out.data, "\"job\": \"" JOB "\""));
	assert_non_null(strstr(r.out.data, "\"success\": true"));
	assert_non_null(strstr(r.out.data, "\"file\": \"MD1-x.zip\""));
	expect_file("MD1-x.zip", "PK-zip");
}

static void a_build_that_failed_leaves_its_error_zip(void **state)
{
	(void)state;
	s.looks[0] = ENDED("failed", "\"/tmp/MD1-x_error.zip\"", "\"see \\u001b[2J its log\"");
	assert_int_equal(run("build", "request.json"), CTL_FAILED);
	assert_string_equal(r.out.data, "MD1-x_error.zip\n");
	assert_string_equal(r.err.data, "kiisrvctl: job " JOB ": failed: see ^[[2J its log\n");
	expect_file("MD1-x_error.zip", "PK-zip");
	assert_int_equal(run("--json", "build", "request.json"), CTL_FAILED);
	assert_non_null(strstr(r.out.data, "\"success\": false"));
	assert_string_equal(r.err.data, "");
}

static void an_end_without_a_result_is_a_failure(void **state)
{
	(void)state;
	s.looks[0] = ENDED("cancelled", "null", "\"the build was cancelled\"");
	assert_int_equal(run("build", "request.json"), CTL_FAILED);
	assert_string_equal(r.out.data, "");
	assert_non_null(strstr(r.err.data, ": cancelled: the build was cancelled\n"));
	s.looks[0] = ENDED("succeeded", "null", "null");
	assert_int_equal(run("build", "request.json"), CTL_FAILED);
	assert_non_null(strstr(r.err.data, "its result is not there any more"));
	expect_nothing_saved();
}

static void out_is_a_file_or_a_folder(void **state)
{
	(void)state;
	assert_int_equal(mkdir("to", 0700), 0);
	write_file("old.zip", "an older one");
	assert_int_equal(run("build", "--out", "to", "request.json"), CTL_OK);
	assert_string_equal(r.out.data, "to/MD1-x.zip\n");
	expect_file("to/MD1-x.zip", "PK-zip");
	assert_int_equal(run("build", "-o", "to/", "request.json"), CTL_OK);
	assert_string_equal(r.out.data, "to/MD1-x.zip\n");
	assert_int_equal(run("build", "-oold.zip", "request.json"), CTL_OK);
	assert_string_equal(r.out.data, "old.zip\n");
	expect_file("old.zip", "PK-zip");
	assert_int_equal(run("build", "-o", "nowhere/", "request.json"), CTL_FAILED);
	assert_non_null(strstr(r.err.data, "write into nowhere/: No such"));
	assert_int_equal(unlink("old.zip"), 0);
	expect_nothing_saved();
}

static void a_target_that_cannot_be_replaced_stays(void **state)
{
	kii_autobuf name = KII_BUF_INIT(10000);

	(void)state;
	for (int i = 0; i < 4200; i++)
		kii_buf_char(&name, 'x');
	assert_int_equal(run("build", "-o", name.data, "request.json"), CTL_FAILED);
	assert_non_null(strstr(r.err.data, "name too long"));
	name.data[300] = '\0';
	assert_int_equal(run("build", "-o", name.data, "request.json"), CTL_FAILED);
	assert_non_null(strstr(r.err.data, "File name too long"));
	expect_nothing_saved();
	assert_int_equal(mkdir("MD1-x.zip", 0700), 0);
	assert_int_equal(run("build", "request.json"), CTL_FAILED);
	assert_non_null(strstr(r.err.data, "write MD1-x.zip: Is a directory"));
	assert_int_equal(rmdir("MD1-x.zip"), 0);
	expect_nothing_saved();
}

/* --- progress and log --- */

static void a_terminal_sees_progress_and_log(void **state)
{
	static const char *const args[CTLRUN_ARGS + 1] = { "build", "request.json" };

	(void)state;
	s.looks[0] = QUEUED;
	s.looks[1] = s.looks[2] = RUNNING(1);
	s.looks[3] = BUILT;
	s.logs[1] = "one\npart";
	s.logs[2] = "one\npart of \033[31ma line\r";
	s.logs[3] = "one\npart of \033[31ma line\r\nend";
	assert_int_equal(run_args(STDERR_FILENO, args), CTL_OK);
	assert_string_equal(r.err.data,
		"kiisrvctl: job " JOB ": queued, place 2, ends in about 8.4 s\n"
		"kiisrvctl: job " JOB ": running\n"
		"one\npart of ^[[31ma line\nend\n"
		"kiisrvctl: job " JOB ": succeeded\n");
	assert_string_equal(s.ranges, ";;bytes=8-;bytes=24-;");
	assert_string_equal(r.out.data, "MD1-x.zip\n");
}

static void verbose_tells_it_to_a_file_too(void **state)
{
	(void)state;
	s.looks[0] = RUNNING(1);
	s.looks[1] = BUILT;
	s.logs[0] = "a line\n";
	assert_int_equal(run("build", "-v", "request.json"), CTL_OK);
	assert_string_equal(r.err.data, "kiisrvctl: job " JOB ": running\na line\n"
		"kiisrvctl: job " JOB ": succeeded\n");
	assert_string_equal(s.ranges, ";bytes=7-;");
}

static void a_server_without_ranges_doubles_nothing(void **state)
{
	(void)state;
	s.no_ranges = true;
	s.looks[0] = s.looks[1] = RUNNING(1);
	s.looks[2] = BUILT;
	s.logs[0] = "one\n";
	s.logs[1] = "one\ntwo\n";
	s.logs[2] = "one\ntwo\nthree\n";
	assert_int_equal(run("build", "--verbose", "request.json"), CTL_OK);
	assert_non_null(strstr(r.err.data, ": running\none\ntwo\nthree\nkiisrvctl: "));
}

static void another_attempt_has_another_log(void **state)
{
	(void)state;
	s.looks[0] = RUNNING(1);
	s.looks[1] = RUNNING(2);
	s.looks[2] = BUILT;
	s.logs[0] = "the first one fails, rather late\n";
	s.logs[1] = "the second\n";
	assert_int_equal(run("build", "-v", "request.json"), CTL_OK);
	assert_non_null(strstr(r.err.data, "rather late\nkiisrvctl: job " JOB ": running, "
		"attempt 2\nthe second\nkiisrvctl: "));
	assert_string_equal(s.ranges, ";;bytes=11-;");
}

/* --- what is wrong with the request or the server --- */

static void refusals_end_by_their_kind(void **state)
{
	static const struct { int code; const char *headers, *body, *told; int status; } rows[] = {
		{ 400, "", "{\"error\":\"env: unknown\",\"code\":\"bad_request\","
			"\"field\":\"env\"}", "kiisrvctl: env: unknown\n", CTL_BAD_INPUT },
		{ 413, "", "{\"error\":\"too big\"}", "kiisrvctl: too big\n", CTL_BAD_INPUT },
		{ 415, "", "{}", "status 415", CTL_BAD_INPUT },
		{ 400, "", "{\"error\":\"a\\u001b[2Jb\"}", "kiisrvctl: a^[[2Jb\n", CTL_BAD_INPUT },
		{ 429, "Retry-After: 9\r\n", "{\"error\":\"the queue is full\"}",
			"the queue is full (come again in 9 s)", CTL_FAILED },
		{ 503, "Retry-After: 10\r\n", "{\"error\":\"no\"}", "no (come again in 10 s)",
			CTL_FAILED },
		{ 503, "", "{\"error\":\"no\"}", "the server says: no\n", CTL_FAILED },
		{ 404, "", "{\"error\":\"nothing here\"}", "nothing here", CTL_FAILED },
		{ 500, "", "<html>", "the server says: status 500\n", CTL_FAILED },
		{ 302, "Location: /x\r\n", "", "status 302", CTL_FAILED },
		{ 202, "", "{}", "makes no sense", CTL_FAILED },
		{ 202, "", "no JSON", "makes no sense", CTL_FAILED },
		{ 202, "", "{\"job\":\"../x\",\"state\":\"queued\"}", "makes no sense",
			CTL_FAILED },
		{ 202, "", "{\"job\":\"" JOB "\",\"state\":\"dead\"}", "makes no sense",
			CTL_FAILED },
		{ 202, "", "{\"job\":\"" JOB "\"}", "makes no sense", CTL_FAILED },
	};

	(void)state;
	for (size_t i = 0; i < KII_COUNT(rows); i++) {
		int status;

		s.post_status = rows[i].code;
		s.post_headers = rows[i].headers;
		s.post = rows[i].body;
		status = run("build", "request.json");
		if (status != rows[i].status || !strstr(r.err.data, rows[i].told))
			fail_msg("row %zu: %d: %s", i, status, r.err.data);
		assert_string_equal(r.out.data, "");
	}
	s.post_status = 400;
	s.post = rows[0].body;
	assert_int_equal(run("build", "--json", "request.json"), CTL_BAD_INPUT);
	assert_string_equal(r.err.data, "{\"error\":\"env: unknown\",\"code\":\"bad_request\","
		"\"field\":\"env\"}\n");
	expect_nothing_saved();
}

static void names_that_leave_the_folder_are_refused(void **state)
{
	static const char *const bad[] = { "/tmp/../x.zip", "/tmp/.zip", "/tmp/.x.zip", "/x.zip",
		"/tmp/a/b.zip", "/tmp/x.exe", "/tmp/-x.zip", "/tmp/x\\u001b.zip", "" };

	(void)state;
	for (size_t i = 0; i < KII_COUNT(bad); i++) {
		kii_autofree char *end = kii_xfmt("{\"id\":\"" JOB "\",\"state\":\"succeeded\","
			"\"artifact\":\"%s\"}", bad[i]);

		s.looks[0] = end;
		if (run("build", "--patience=0", "request.json") != CTL_FAILED ||
		    !strstr(r.err.data, "makes no sense"))
			fail_msg("%s: %s", bad[i], r.err.data);
	}
	expect_nothing_saved();
}

static void bad_files_and_options_are_told(void **state)
{
	static const struct { const char *args[CTLRUN_ARGS + 1], *part; int status; } rows[] = {
		{ { "build" }, "usage: kiisrvctl build", CTL_USAGE },
		{ { "build", "a", "b" }, "usage: kiisrvctl build", CTL_USAGE },
		{ { "build", "--slow", "a" }, "bad option", CTL_USAGE },
		{ { "build", "--out" }, "missing value: --out", CTL_USAGE },
		{ { "build", "--patience", "no", "a" }, "--patience: must be", CTL_BAD_INPUT },
		{ { "build", "missing.json" }, "missing.json", CTL_FAILED },
		{ { "build", "broken.json" }, "broken.json: body: ", CTL_BAD_INPUT },
		{ { "build", "--server", "gopher://x", "request.json" }, "server: must be http",
			CTL_BAD_INPUT },
		{ { "build", "--server", "http://127.0.0.1:1", "request.json" }, "127.0.0.1:1",
			CTL_FAILED },
	};

	(void)state;
	write_file("broken.json", "{");
	for (size_t i = 0; i < KII_COUNT(rows); i++) {
		int status = run_args(0, rows[i].args);

		if (status != rows[i].status || !strstr(r.err.data, rows[i].part))
			fail_msg("row %zu: %d: %s", i, status, r.err.data);
	}
	assert_string_equal(s.target, "");
}

static void trouble_that_passes_is_waited_for(void **state)
{
	(void)state;
	s.trouble = 1;
	assert_int_equal(run("build", "-v", "request.json"), CTL_OK);
	assert_non_null(strstr(r.err.data, "the server does not answer well: asking again\n"));
	assert_string_equal(r.out.data, "MD1-x.zip\n");
}

static void trouble_that_stays_ends_it(void **state)
{
	int64_t begin = kii_io_now();

	(void)state;
	s.trouble = 1000;
	assert_int_equal(run("build", "--patience=1", "request.json"), CTL_FAILED);
	assert_true(kii_io_now() - begin >= 1000);
	assert_string_equal(r.err.data, "kiisrvctl: job " JOB ": the server says: status 502\n");
	assert_int_equal(s.n_looks, 2);
}

static void a_job_that_is_gone_is_not_waited_for(void **state)
{
	(void)state;
	s.looks[0] = NULL;
	assert_int_equal(run("build", "request.json"), CTL_FAILED);
	assert_non_null(strstr(r.err.data, "there is no such job"));
	assert_int_equal(s.n_looks, 1);
}

static void another_jobs_answer_is_not_taken(void **state)
{
	(void)state;
	s.looks[0] = "{\"id\":\"" OTHER "\",\"state\":\"succeeded\",\"artifact\":null}";
	assert_int_equal(run("build", "--patience=0", "request.json"), CTL_FAILED);
	assert_non_null(strstr(r.err.data, "makes no sense"));
}

/* --- downloads that break off --- */

static void a_download_that_fails_leaves_nothing(void **state)
{
	(void)state;
	s.zip_status = 404;
	s.zip = "{\"error\":\"it was collected\"}";
	assert_int_equal(run("build", "request.json"), CTL_FAILED);
	assert_string_equal(r.out.data, "");
	assert_non_null(strstr(r.err.data, "job " JOB ": the server says: it was collected\n"));
	s.zip_status = 200;
	s.zip_missing = 100;
	assert_int_equal(run("build", "request.json"), CTL_FAILED);
	assert_string_equal(r.out.data, "");
	expect_nothing_saved();
}

static bool hold_zip(void *arg, const struct fake_request *q, int fd)
{
	bool more = serve(arg, q, fd);

	if (!strncmp(q->target, "/tmp/", 5))
		sleep(2);
	return more;
}

static void a_signal_takes_the_part_with_it(void **state)
{
	static const char *const args[CTLRUN_ARGS + 1] = { "build", "request.json" };

	(void)state;
	fake_http_stop(http);
	http = fake_http_start(hold_zip, NULL);
	setenv("KIISRV_URL", fake_http_url(http), 1);
	s.zip_missing = 100;
	fake_http_sync(http);
	ctlrun_start(&r, 0, args);
	for (int i = 0; i < 1000 && !atomic_load(&s.zip_asked); i++)
		usleep(10000);
	usleep(200000);
	assert_int_equal(kill(r.pid, SIGTERM), 0);
	assert_int_equal(ctlrun_wait(&r), 128 + SIGTERM);
	expect_nothing_saved();
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_build_is_posted_watched_and_saved),
		TEST(options_make_the_request),
		TEST(a_result_that_was_there_is_fetched_at_once),
		TEST(a_build_that_failed_leaves_its_error_zip),
		TEST(an_end_without_a_result_is_a_failure),
		TEST(out_is_a_file_or_a_folder),
		TEST(a_target_that_cannot_be_replaced_stays),
		TEST(a_terminal_sees_progress_and_log),
		TEST(verbose_tells_it_to_a_file_too),
		TEST(a_server_without_ranges_doubles_nothing),
		TEST(another_attempt_has_another_log),
		TEST(refusals_end_by_their_kind),
		TEST(names_that_leave_the_folder_are_refused),
		TEST(bad_files_and_options_are_told),
		TEST(trouble_that_passes_is_waited_for),
		TEST(trouble_that_stays_ends_it),
		TEST(a_job_that_is_gone_is_not_waited_for),
		TEST(another_jobs_answer_is_not_taken),
		TEST(a_download_that_fails_leaves_nothing),
		TEST(a_signal_takes_the_part_with_it),
	};

	return cmocka_run_group_tests_name("ctl_build", tests, NULL, NULL);
}
