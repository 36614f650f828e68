/* SPDX-License-Identifier: MIT */
/* One request from environment and stdin: plain CGI. */
#include <config.h>

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "fcgi_world.h"
#include "io.h"
#include "testlib.h"

/* The program's standard output for this environment and body; *status is its exit status. */
static char *run(const struct world *w, const char *const *env, const char *body, int *status)
{
	kii_autofree char *in = kii_xfmt("%s/in", w->dir);
	kii_autofree char *out = kii_xfmt("%s/out", w->dir);
	kii_autofree char *config = kii_xfmt("KIISRV_CONFIG=%s", w->config);
	const char *top = getenv("KII_BUILDDIR");
	kii_autofree char *exe = kii_xfmt("%s/tests/unit/fcgi_app", top ? top : ".");
	kii_autobuf text = KII_BUF_INIT(1 << 20);
	struct kii_error err = { 0 };
	char *vars[20] = { config };
	int how;
	pid_t pid;

	must(kii_io_publish(in, body, strlen(body), 0600, &err));
	for (size_t i = 0; env[i]; i++)
		vars[i + 1] = (char *)env[i];
	pid = fork();
	if (pid == 0) {
		dup2(open(in, O_RDONLY), STDIN_FILENO);
		dup2(open(out, O_WRONLY | O_CREAT | O_TRUNC, 0600), STDOUT_FILENO);
		dup2(open(w->log, O_WRONLY | O_CREAT | O_APPEND, 0600), STDERR_FILENO);
		execle(exe, exe, (char *)NULL, vars);
		_exit(126);
	}
	assert_int_equal(waitpid(pid, &how, 0), pid);
	*status = WIFEXITED(how) ? WEXITSTATUS(how) : -1;
	must(kii_io_read(out, &text, &err));
	return kii_buf_steal(&text);
}

/* The exit status alone, without a body. */
static int status_of(const struct world *w, const char *const *env)
{
	int status;

	free(run(w, env, "", &status));
	return status;
}

static void has(const char *text, const char *words)
{
	if (!strstr(text, words))
		fail_msg("'%s' is not in: %s", words, text);
}

static void a_request_of_the_environment_is_answered(void **state)
{
	static const char *const env[] = {
		"REQUEST_METHOD=GET", "REQUEST_URI=/hello?x", "REMOTE_ADDR=192.0.2.9", NULL,
	};
	int status;
	kii_autofree char *out = run(*state, env, "not read", &status);

	assert_int_equal(status, 0);
	assert_memory_equal(out, "Status: 200 OK\r\nContent-Type: text/plain", 40);
	has(out, "\r\n\r\nhello\n");
	assert_true(world_logged(*state, "method=GET path=/hello status=200 bytes=6", 0));
	assert_true(world_logged(*state, "client=192.0.2.9", 0));
	assert_true(world_logged(*state, "event=quit", 0));
}

static void without_a_uri_the_parts_make_the_path(void **state)
{
	static const char *const env[] = {
		"REQUEST_METHOD=HEAD", "SCRIPT_NAME=/he", "PATH_INFO=llo", "QUERY_STRING=a=1", NULL,
	};
	int status;
	kii_autofree char *out = run(*state, env, "", &status);

	has(out, "Status: 200 OK\r\n");
	has(out, "Content-Length: 6\r\n");
	assert_string_equal(strstr(out, "\r\n\r\n"), "\r\n\r\n");
}

static void the_body_is_as_long_as_it_says(void **state)
{
	static const char *const env[] = {
		"REQUEST_METHOD=POST", "REQUEST_URI=/echo", "CONTENT_LENGTH=4", NULL,
	};
	static const char *const none[] = { "REQUEST_METHOD=POST", "REQUEST_URI=/echo", NULL };
	static const char *const more[] = {
		"REQUEST_METHOD=POST", "REQUEST_URI=/echo", "CONTENT_LENGTH=10", NULL,
	};
	static const char *const most[] = {
		"REQUEST_METHOD=POST", "REQUEST_URI=/echo", "CONTENT_LENGTH=200001", NULL,
	};
	int status;
	kii_autofree char *out = run(*state, env, "12345", &status);

	has(out, "\r\n\r\n1234");
	assert_null(strstr(out, "12345"));
	free(out);
	out = run(*state, none, "12345", &status);
	has(out, "Content-Length: 0\r\n");
	free(out);
	out = run(*state, more, "12345", &status);
	has(out, "Status: 400 ");
	has(out, "shorter than its Content-Length");
	free(out);
	out = run(*state, most, "12345", &status);
	has(out, "Status: 413 ");
	assert_int_equal(status, 0);
}

static void a_parked_request_waits_for_its_answer(void **state)
{
	static const char *const later[] = { "REQUEST_METHOD=POST", "REQUEST_URI=/later", NULL };
	static const char *const early[] = { "REQUEST_METHOD=POST", "REQUEST_URI=/early", NULL };
	int status;
	kii_autofree char *out = run(*state, later, "", &status);

	has(out, "\r\n\r\nlater\n");
	assert_int_equal(status, 0);
	free(out);
	out = run(*state, early, "", &status);
	has(out, "Status: 201 Created\r\n");
	has(out, "\r\n\r\nearly\n");
}

static void a_stream_is_written_as_it_comes(void **state)
{
	static const char *const env[] = { "REQUEST_METHOD=GET", "REQUEST_URI=/feed/good/300",
		NULL };
	static const char *const early[] = { "REQUEST_METHOD=GET", "REQUEST_URI=/feed/early/5",
		NULL };
	static const char *const dropped[] = { "REQUEST_METHOD=GET", "REQUEST_URI=/feed/drop/5",
		NULL };
	int status;
	kii_autofree char *out = run(*state, env, "", &status);
	const char *body = strstr(out, "\r\n\r\n");

	assert_int_equal(status, 0);
	has(out, "Status: 200 OK\r\n");
	assert_non_null(body);
	assert_int_equal(strlen(body), 4 + 6 + 300 * 1000);
	assert_true(world_logged(*state, "path=/feed/good/300 status=200 bytes=300006", 0));
	free(out);
	out = run(*state, early, "", &status);
	assert_int_equal(strlen(strstr(out, "\r\n\r\n")), 4 + 6 + 5 * 1000);
	assert_int_equal(status_of(*state, dropped), 1);
	assert_true(world_logged(*state, "path=/feed/drop/5 status=499", 0));
}

static void started_by_hand_it_says_how_it_is_used(void **state)
{
	static const char *const env[] = { NULL };
	int status;
	kii_autofree char *out = run(*state, env, "", &status);

	assert_int_equal(status, 2);
	assert_string_equal(out, "");
	assert_true(world_logged(*state, "spawn-fcgi", 0));
}

static void what_cannot_start_says_why(void **state)
{
	static const char *const env[] = {
		"REQUEST_METHOD=GET", "REQUEST_URI=/hello", "FCGI_APP_INIT=fail", NULL,
	};

	assert_int_equal(status_of(*state, env), 1);
	assert_true(world_logged(*state, "event=start_refused", 0));
	world_write_config(*state, "[nothing]\n");
	assert_int_equal(status_of(*state, env), 78);
	assert_true(world_logged(*state, "event=bad_config", 0));
}

/* KIISRV_READY_FD from elsewhere must not make a child of it, nor close what is not its. */
static void a_foreign_ready_descriptor_is_ignored(void **state)
{
	static const char *const env[] = {
		"REQUEST_METHOD=GET", "REQUEST_URI=/hello", "KIISRV_READY_FD=1", NULL,
	};
	int status;
	kii_autofree char *out = run(*state, env, "", &status);

	has(out, "hello\n");
	assert_int_equal(status, 0);
}

#define prepared(test) cmocka_unit_test_setup_teardown(test, world_setup_only, world_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		prepared(a_request_of_the_environment_is_answered),
		prepared(without_a_uri_the_parts_make_the_path),
		prepared(the_body_is_as_long_as_it_says),
		prepared(a_parked_request_waits_for_its_answer),
		prepared(a_stream_is_written_as_it_comes),
		prepared(started_by_hand_it_says_how_it_is_used),
		prepared(what_cannot_start_says_why),
		prepared(a_foreign_ready_descriptor_is_ignored),
	};

	return cmocka_run_group_tests_name("fcgi_cgi", tests, NULL, NULL);
}
