/* SPDX-License-Identifier: MIT */
/* The frame as nginx meets it: requests on kept connections, and parked ones. */
#include <config.h>

#include <fcgiapp.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "fcgi_world.h"
#include "io.h"
#include "json.h"
#include "testlib.h"

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define SANITIZED 1
#endif
#endif

#define SOON_MS 30000

/* One request on an open connection: its status must be as given. */
static void expect(int fd, const struct ask *a, int status, const char *body)
{
	struct reply r;

	assert_int_equal(client_send(fd, a), 0);
	if (client_read(fd, SOON_MS, &r))
		fail_msg("%s %s: no reply", a->method, a->uri);
	assert_int_equal(r.status, status);
	if (body)
		assert_string_equal(r.body, body);
	reply_release(&r);
}

static void get(int fd, const char *uri, int status, const char *body)
{
	struct ask a = { "GET", uri, NULL, 0, NULL, NULL, KEEP };

	expect(fd, &a, status, body);
}

static void post(int fd, const char *uri, const char *text, int status, const char *body)
{
	static const char *const json[] = { "CONTENT_TYPE", "application/json", NULL };
	struct ask a = { "POST", uri, text, strlen(text), NULL, json, KEEP };

	expect(fd, &a, status, body);
}

static int park(const struct world *w, const char *uri)
{
	struct ask a = { "POST", uri, "{}", 2, NULL, NULL, KEEP };
	int fd = client_open(w->socket);

	assert_true(fd >= 0);
	assert_int_equal(client_send(fd, &a), 0);
	return fd;
}

/* Ask again and again until GET `uri` says `want`. */
static void becomes(int fd, const char *uri, const char *want)
{
	struct ask a = { "GET", uri, NULL, 0, NULL, NULL, KEEP };
	int64_t end = kii_io_now() + SOON_MS;
	struct reply r = { 0 };
	bool same = false;

	while (!same) {
		assert_int_equal(client_send(fd, &a), 0);
		assert_int_equal(client_read(fd, SOON_MS, &r), 0);
		same = !strcmp(r.body, want);
		if (!same && kii_io_now() > end)
			fail_msg("%s is %s, not %s", uri, r.body, want);
		reply_release(&r);
		poll(NULL, 0, same ? 0 : 5);
	}
}

/* --- libfcgi --- */
static void libfcgi_takes_a_connection_through_its_private_field(void **state)
{
	struct ask a = { "GET", "/x", NULL, 0, NULL, NULL, KEEP };
	FCGX_Request r;
	int ends[2];

	(void)state;
	assert_int_equal(FCGX_Init(), 0);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
	FCGX_InitRequest(&r, -1, 0);
	for (int i = 0; i < 2; i++) {
		assert_int_equal(client_send(ends[1], &a), 0);
		r.ipcFd = ends[0];
		r.keepConnection = 1;
		assert_int_equal(FCGX_Accept_r(&r), 0);
		assert_string_equal(FCGX_GetParam("REQUEST_URI", r.envp), "/x");
		assert_int_equal(r.keepConnection, 1);
		FCGX_Finish_r(&r);
		assert_int_equal(r.ipcFd, ends[0]);
		r.ipcFd = -1;
	}
	close(ends[1]);
	r.ipcFd = ends[0];
	assert_true(FCGX_Accept_r(&r) < 0);
	assert_int_equal(r.ipcFd, -1);
	assert_int_equal(close(ends[0]), -1);
}

/* --- requests --- */
static void a_kept_connection_serves_request_after_request(void **state)
{
	struct world *w = *state;
	kii_autoclose int fd = client_open(w->socket);

	for (int i = 0; i < 500; i++) {
		get(fd, "/hello", 200, "hello\n");
		post(fd, "/echo", "some text", 200, "some text");
	}
	get(fd, "/nothing", 404, NULL);
	get(fd, "/hello", 200, "hello\n");
}

static void a_connection_that_is_not_kept_is_closed(void **state)
{
	struct ask a = { "GET", "/hello", NULL, 0, NULL, NULL, 0 };
	struct world *w = *state;
	kii_autoclose int fd = client_open(w->socket);
	char byte;

	expect(fd, &a, 200, "hello\n");
	assert_int_equal(read(fd, &byte, 1), 0);
}

static void a_head_has_all_headers_and_no_body(void **state)
{
	struct ask a = { "HEAD", "/hello", NULL, 0, NULL, NULL, KEEP };
	struct world *w = *state;
	struct reply r;

	assert_int_equal(client_once(w->socket, &a, &r), 200);
	assert_int_equal(r.body_len, 0);
	assert_non_null(strstr(r.text, "Content-Length: 6\r\n"));
	assert_non_null(strstr(r.text, "X-Content-Type-Options: nosniff\r\n"));
	assert_non_null(strstr(r.text, "Access-Control-Allow-Origin: *\r\n"));
	assert_non_null(strstr(r.text, "Cache-Control: no-cache\r\n"));
	reply_release(&r);
}

static void id_is(const struct world *w, const char *given, bool taken)
{
	const char *const params[] = {
		"HTTP_X_REQUEST_ID", given, "HTTP_USER_AGENT", "test/1", NULL,
	};
	struct ask a = { "GET", "/id%20x?q=1", NULL, 0, NULL, params, KEEP };
	struct kii_error err = { 0 };
	kii_autofree char *line = NULL;
	kii_autojson *j = NULL;
	struct reply r;
	const char *id;

	assert_int_equal(client_once(w->socket, &a, &r), 200);
	must(kii_json_parse(r.body, r.body_len, "body", &j, &err));
	id = kii_json_str(j, "id");
	assert_int_equal(strcmp(id, given) == 0, taken);
	assert_true(taken || strspn(id, "0123456789abcdef") == 16);
	assert_string_equal(kii_json_str(j, "client"), "192.0.2.7");
	assert_string_equal(kii_json_str(j, "agent"), "test/1");
	assert_string_equal(kii_json_str(j, "query"), "q=1");
	assert_string_equal(kii_json_str(j, "path"), "/id x");
	line = kii_xfmt("X-Request-Id: %s\r\n", id);
	assert_non_null(strstr(r.text, line));
	free(line);
	line = kii_xfmt("event=request id=%s method=GET path=\"/id x\" status=200 bytes=%zu ms=",
		id, r.body_len);
	assert_true(world_logged(w, line, SOON_MS));
	free(line);
	line = kii_xfmt("event=seen id=%s\n", id);
	assert_true(world_logged(w, line, SOON_MS));
	reply_release(&r);
}

/* Its threads write when they have nothing else to do, and at their end. */
static void a_quick_ones_log_has_every_request(void **state)
{
	struct ask a = { "GET", "/hello", NULL, 0, NULL, NULL, KEEP };
	struct world *w = *state;

	assert_int_equal(world_end(w, SIGTERM, SOON_MS), 0);
	setenv("FCGI_APP_QUICK", "1", 1);
	world_start(w, 0);
	unsetenv("FCGI_APP_QUICK");
	for (int i = 0; i < 50; i++) {
		struct reply r;

		assert_int_equal(client_once(w->socket, &a, &r), 200);
		reply_release(&r);
	}
	assert_int_equal(world_end(w, SIGTERM, SOON_MS), 0);
	assert_int_equal(world_log_count(w, "event=request "), 50);
}

static void every_request_has_an_id(void **state)
{
	char longest[66];

	memset(longest, 'a', 65);
	longest[65] = '\0';
	id_is(*state, longest, false);
	longest[64] = '\0';
	id_is(*state, longest, true);
	id_is(*state, "0123-Abc", true);
	id_is(*state, "0123Abc", false);
	id_is(*state, "0123456789 abc", false);
	id_is(*state, "", false);
}

static void a_large_reply_arrives_whole(void **state)
{
	struct ask a = { "GET", "/big/5000000", NULL, 0, NULL, NULL, KEEP };
	struct world *w = *state;
	struct reply r;

	assert_int_equal(client_once(w->socket, &a, &r), 200);
	assert_int_equal(r.body_len, 5000000);
	assert_int_equal(r.body[0], 'a' + 5000000 % 26);
	assert_int_equal(r.body[4999999], 'b');
	reply_release(&r);
}

static void a_reply_past_the_limit_is_500(void **state)
{
	struct world *w = *state;
	kii_autoclose int fd = client_open(w->socket);

	get(fd, "/big/20000000", 500, NULL);
	get(fd, "/hello", 200, NULL);
}

static void bad_requests_are_answered(void **state)
{
	struct ask length = { "POST", "/echo", "x", 1, "1x", NULL, KEEP };
	struct ask huge = { "POST", "/echo", "x", 1, "9999999999999999999", NULL, KEEP };
	struct ask cut = { "POST", "/echo", "x", 1, "2", NULL, KEEP };
	struct world *w = *state;
	kii_autoclose int fd = client_open(w->socket);

	get(fd, "/%zz", 400,
		"{\"error\":\"path: bad escape\",\"code\":\"bad_request\",\"field\":\"path\"}");
	expect(fd, &length, 400, NULL);
	expect(fd, &huge, 400, NULL);
	expect(fd, &cut, 400, NULL);
	post(fd, "/json", "{", 400, NULL);
	post(fd, "/json", "[1]", 200, "[1]");
}

/* --- bodies past the limit --- */
#define TOO_BIG "{\"error\":\"body: larger than 200000 bytes\",\"code\":\"too_big\"," \
	"\"field\":\"body\"}"

/* With nothing sent of the body. */
static void answers_the_head(int fd, const struct ask *a, const char *status)
{
	kii_autobuf bytes = KII_BUF_INIT(1 << 20);
	char first[200];
	ssize_t n;

	client_head(&bytes, a);
	assert_int_equal(write(fd, bytes.data, bytes.len), (ssize_t)bytes.len);
	n = recv(fd, first, sizeof(first) - 1, 0);
	assert_true(n > 20);
	first[n] = '\0';
	assert_non_null(strstr(first + 8, status));
}

static void a_length_past_the_limit_is_413_before_the_body(void **state)
{
	kii_autofree char *body = kii_xcalloc(1, BODY_MAX + 1);
	struct ask a = { "POST", "/echo", body, BODY_MAX + 1, NULL, NULL, KEEP };
	struct world *w = *state;
	kii_autoclose int fd = client_open(w->socket);

	answers_the_head(fd, &a, "Status: 413 ");
}

static void the_connection_lives_on_after_413(void **state)
{
	kii_autofree char *body = kii_xcalloc(1, BODY_MAX + 1);
	struct ask known = { "POST", "/echo", body, BODY_MAX + 1, NULL, NULL, KEEP };
	struct ask unknown = { "POST", "/echo", body, BODY_MAX + 1, "", NULL, KEEP };
	struct ask fits = { "POST", "/echo", body, BODY_MAX, "", NULL, KEEP };
	struct world *w = *state;
	kii_autoclose int fd = client_open(w->socket);

	memset(body, 'x', BODY_MAX);
	expect(fd, &known, 413, TOO_BIG);
	expect(fd, &unknown, 413, TOO_BIG);
	body[BODY_MAX] = '\0';
	expect(fd, &fits, 200, body);
	fits.length = NULL;
	expect(fd, &fits, 200, body);
}

static void a_body_without_end_is_hung_up_on(void **state)
{
	const size_t len = 3000000;
	kii_autofree char *body = kii_xcalloc(1, len);
	struct ask a = { "POST", "/echo", body, len, NULL, NULL, KEEP };
	struct world *w = *state;
	kii_autoclose int fd = client_open(w->socket);
	struct reply r;

	(void)client_send(fd, &a);
	assert_int_equal(client_read(fd, SOON_MS, &r), 0);
	assert_int_equal(r.status, 413);
	reply_release(&r);
	assert_int_equal(client_read(fd, SOON_MS, &r), -1);
	reply_release(&r);
}

/* Its reader may wait for the reply with the rest of the body. */
static void a_body_that_its_handler_does_not_want_is_not_waited_for(void **state)
{
	const size_t len = 3000000;   /* more than is read of what is not wanted */
	kii_autofree char *body = kii_xcalloc(1, len);
	struct ask taken = { "POST", "/upload?take", body, len, NULL, NULL, KEEP };
	struct ask refused = { "POST", "/upload", body, len, NULL, NULL, KEEP };
	struct world *w = *state;
	kii_autoclose int fd = client_open(w->socket);

	expect(fd, &taken, 200, "3000000");
	taken.length = "";
	expect(fd, &taken, 200, "3000000");
	answers_the_head(fd, &refused, "Status: 400 ");
}

/* --- half-sent requests --- */
static int half_sent(const struct world *w, bool in_body)
{
	struct ask a = { "POST", "/echo", "12345", 5, NULL, NULL, KEEP };
	kii_autobuf bytes = KII_BUF_INIT(1 << 20);
	int fd = client_open(w->socket);

	client_head(&bytes, &a);
	bytes.len -= in_body ? 0 : 20;
	assert_int_equal(write(fd, bytes.data, bytes.len), (ssize_t)bytes.len);
	return fd;
}

static void half_sent_requests_hold_nobody_for_long(void **state)
{
	struct world *w = *state;
	kii_autoclose int fd = client_open(w->socket);
	int64_t began = kii_io_now();
	int half[8];
	char byte;

	half[0] = half_sent(w, false);
	half[1] = half_sent(w, true);
	get(fd, "/hello", 200, NULL);
	assert_true(kii_io_now() - began < 12000);
	for (int i = 2; i < 8; i++)
		half[i] = half_sent(w, i % 2);
	get(fd, "/hello", 200, NULL);
	for (int i = 0; i < 8; i++) {
		struct pollfd p = { half[i], POLLIN, 0 };

		assert_int_equal(poll(&p, 1, 8000), 1);
		assert_int_equal(read(half[i], &byte, 1), 0);
		close(half[i]);
	}
	assert_true(world_logged(w, "status=499", SOON_MS));
}

/* As many as there are threads, half of them in the parameters, half in the body. */
static void requests_that_trickle_in_are_hung_up_on(void **state)
{
	struct ask a = { "POST", "/echo", "12345", 5, "100", NULL, KEEP };
	struct world *w = *state;
	kii_autoclose int other = client_open(w->socket);
	int64_t until = kii_io_now() + 15000;
	kii_autobuf bytes = KII_BUF_INIT(1 << 20);
	int fds[4], open = 4;

	client_head(&bytes, &a);
	kii_buf_add(&bytes, "\1\5\0\1\0\x64\0\0", 8);   /* a body's record of 100 bytes */
	for (int i = 0; i < 4; i++) {
		size_t len = i % 2 ? bytes.len : 30;

		fds[i] = client_open(w->socket);
		assert_int_equal(write(fds[i], bytes.data, len), (ssize_t)len);
	}
	while (open && kii_io_now() < until) {
		poll(NULL, 0, 200);
		for (int i = 0; i < 4; i++) {
			if (fds[i] < 0 || send(fds[i], "\0", 1, MSG_NOSIGNAL) == 1)
				continue;
			close(fds[i]);
			fds[i] = -1;
			open--;
		}
	}
	assert_int_equal(open, 0);
	get(other, "/hello", 200, NULL);
}

static void what_is_no_fastcgi_is_hung_up_on(void **state)
{
	struct world *w = *state;
	kii_autoclose int fd = client_open(w->socket);
	kii_autoclose int silent = client_open(w->socket);
	kii_autoclose int other = client_open(w->socket);
	char byte;

	assert_int_equal(write(fd, "GET / HTTP/1.1\r\n\r\n", 18), 18);
	assert_true(recv(fd, &byte, 1, 0) <= 0);
	get(other, "/hello", 200, NULL);
	get(silent, "/hello", 200, NULL);
}

/* --- parking --- */
static void parked_requests_are_answered_from_elsewhere(void **state)
{
	struct world *w = *state;
	kii_autoclose int other = client_open(w->socket);
	struct reply r;
	int fds[50];

	for (int i = 0; i < 50; i++)
		fds[i] = park(w, i % 2 ? "/park/a" : "/park/b");
	becomes(other, "/parked", "50");
	post(other, "/answer/a", "done", 200, "25");
	for (int i = 1; i < 50; i += 2) {
		assert_int_equal(client_read(fds[i], SOON_MS, &r), 0);
		assert_int_equal(r.status, 200);
		assert_string_equal(r.body, "done");
		reply_release(&r);
		get(fds[i], "/hello", 200, NULL);
		close(fds[i]);
	}
	assert_int_equal(client_read(fds[0], 50, &r), -1);
	reply_release(&r);
	for (int i = 0; i < 50; i += 2)
		close(fds[i]);
	becomes(other, "/gone", "25");
}

static void a_parked_request_may_close_its_connection(void **state)
{
	struct ask a = { "POST", "/park/x", "", 0, NULL, NULL, 0 };
	struct world *w = *state;
	kii_autoclose int other = client_open(w->socket);
	kii_autoclose int fd = client_open(w->socket);
	struct reply r;

	assert_int_equal(client_send(fd, &a), 0);
	becomes(other, "/parked", "1");
	post(other, "/answer/x", "late", 200, "1");
	assert_int_equal(client_read(fd, SOON_MS, &r), 0);
	assert_string_equal(r.body, "late");
	reply_release(&r);
	assert_int_equal(client_read(fd, SOON_MS, &r), -1);
	reply_release(&r);
}

static void an_answer_may_come_before_the_handler_returns(void **state)
{
	struct world *w = *state;
	kii_autoclose int fd = client_open(w->socket);

	for (int i = 0; i < 50; i++)
		post(fd, "/early", "", 201, "early\n");
	post(fd, "/later", "", 200, "later\n");
}

static void a_hang_up_is_noticed_at_once(void **state)
{
	struct world *w = *state;
	kii_autoclose int other = client_open(w->socket);
	int64_t began;
	int fd = park(w, "/park/left");

	becomes(other, "/parked", "1");
	get(other, "/gone", 200, "0");
	began = kii_io_now();
	close(fd);
	becomes(other, "/gone", "1");
	assert_true(kii_io_now() - began < 12000);
	post(other, "/answer/left", "x", 200, "0");
	assert_true(world_logged(w, "path=/park/left status=499", SOON_MS));
}

static void connections_leave_nothing_behind(void **state)
{
	struct ask count = { "GET", "/open", NULL, 0, NULL, NULL, KEEP };
	struct world *w = *state;
	kii_autoclose int other = client_open(w->socket);
	struct reply r;

	assert_int_equal(client_send(other, &count), 0);
	assert_int_equal(client_read(other, SOON_MS, &r), 0);
	for (int i = 0; i < 100; i++) {
		int parked = park(w, "/park/z");
		int fd = client_open(w->socket);

		get(fd, "/hello", 200, NULL);
		close(fd);
		close(parked);
	}
	becomes(other, "/gone", "100");
	becomes(other, "/open", r.body);
	reply_release(&r);
}

#ifndef SANITIZED
static void a_parked_request_costs_little(void **state)
{
	enum { N = 500, SIZE = 150000 };
	struct world *w = *state;
	kii_autoclose int other = client_open(w->socket);
	static const char *const json[] = { "CONTENT_TYPE", "application/json", NULL };
	kii_autobuf body = KII_BUF_INIT(SIZE + 1);
	struct ask a = { "POST", "/parkjson/m", NULL, 0, NULL, json, KEEP };
	pid_t child = world_child(w);
	long before, cost;
	int fds[N];

	kii_buf_str(&body, "[0");
	while (body.len < SIZE / 6)
		kii_buf_str(&body, ",{\"k\":1}");
	while (body.len < SIZE - 100)
		kii_buf_str(&body, ",\"a key of a keyboard is longer than it looks\"");
	kii_buf_str(&body, "]");
	a.body = body.data;
	a.len = body.len;
	before = world_memory(child);
	for (int i = 0; i < N; i++) {
		fds[i] = client_open(w->socket);
		assert_int_equal(client_send(fds[i], &a), 0);
	}
	becomes(other, "/parked", "500");
	poll(NULL, 0, 200);
	cost = (world_memory(child) - before) / N;
	print_message("# %ld kB a parked request\n", cost);
	assert_true(cost <= 32);
	for (int i = 0; i < N; i++)
		close(fds[i]);
	becomes(other, "/gone", "500");
}
#endif

static void without_descriptors_it_waits_and_goes_on(void **state)
{
	struct world *w = *state;
	struct ask a = { "GET", "/hello", NULL, 0, NULL, NULL, KEEP };
	struct reply r;
	int fds[40];

	world_start(w, 30);
	for (int i = 0; i < 40; i++)
		fds[i] = client_open(w->socket);
	get(fds[0], "/hello", 200, NULL);
	assert_true(world_logged(w, "event=out_of_descriptors", SOON_MS));
	get(fds[0], "/hello", 200, NULL);
	assert_int_equal(client_send(fds[39], &a), 0);
	for (int i = 0; i < 39; i++)
		close(fds[i]);
	assert_int_equal(client_read(fds[39], SOON_MS, &r), 0);
	reply_release(&r);
	close(fds[39]);
}

#define served(test) cmocka_unit_test_setup_teardown(test, world_setup, world_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(libfcgi_takes_a_connection_through_its_private_field),
		served(a_kept_connection_serves_request_after_request),
		served(a_connection_that_is_not_kept_is_closed),
		served(a_head_has_all_headers_and_no_body),
		served(a_quick_ones_log_has_every_request),
		served(every_request_has_an_id),
		served(a_large_reply_arrives_whole),
		served(a_reply_past_the_limit_is_500),
		served(bad_requests_are_answered),
		served(a_length_past_the_limit_is_413_before_the_body),
		served(the_connection_lives_on_after_413),
		served(a_body_without_end_is_hung_up_on),
		served(a_body_that_its_handler_does_not_want_is_not_waited_for),
		served(half_sent_requests_hold_nobody_for_long),
		served(requests_that_trickle_in_are_hung_up_on),
		served(what_is_no_fastcgi_is_hung_up_on),
		served(parked_requests_are_answered_from_elsewhere),
		served(a_parked_request_may_close_its_connection),
		served(an_answer_may_come_before_the_handler_returns),
		served(a_hang_up_is_noticed_at_once),
		served(connections_leave_nothing_behind),
#ifndef SANITIZED
		served(a_parked_request_costs_little),
#endif
		cmocka_unit_test_setup_teardown(without_descriptors_it_waits_and_goes_on,
			world_setup_only, world_teardown),
	};

	return cmocka_run_group_tests_name("fcgi", tests, NULL, NULL);
}
