/* SPDX-License-Identifier: MIT */
#include <config.h>

#include "httpc.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "fakehttp.h"
#include "io.h"
#include "testlib.h"

#define JOB "0123456789abcdef0123456789abcdef"

/* What the server does with every request, and what it has seen. */
struct fixture {
	struct fake_http *server;
	struct kii_httpc *client;
	struct kii_httpc_answer answer;
	const char *reply;       /* raw bytes, */
	size_t endless;          /* then so many more of 'x', */
	int delay_ms;            /* then silence */
	bool stay;               /* and the connection stays open */
	char seen[1024];
	char seen_body[256];
	int connection;
};

static bool serve(void *arg, const struct fake_request *r, int fd)
{
	struct fixture *f = arg;
	char many[4096];
	size_t left = f->endless;

	f->connection = r->connection;
	snprintf(f->seen, sizeof(f->seen), "%s", r->head.data);
	snprintf(f->seen_body, sizeof(f->seen_body), "%s", r->body.data);
	memset(many, 'x', sizeof(many));
	fake_raw(fd, f->reply, strlen(f->reply));
	while (left) {
		size_t part = left < sizeof(many) ? left : sizeof(many);

		if (!fake_raw(fd, many, part))
			return false;
		left -= part;
	}
	usleep((useconds_t)f->delay_ms * 1000);
	return f->stay;
}

static int setup(void **state)
{
	struct fixture *f = kii_xcalloc(1, sizeof(*f));
	struct kii_error err = { 0 };

	/* Even so: this machine is asked directly. */
	setenv("http_proxy", "http://127.0.0.1:1", 1);
	unsetenv("no_proxy");
	f->stay = true;
	f->server = fake_http_start(serve, f);
	must(kii_httpc_new(fake_http_url(f->server), &f->client, &err));
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	kii_httpc_free(f->client);
	fake_http_stop(f->server);
	kii_httpc_answer_release(&f->answer);
	free(f);
	return 0;
}

static int ask_with(struct fixture *f, struct kii_httpc *client,
	const struct kii_httpc_request *request, struct kii_error *err)
{
	int rc;

	fake_http_sync(f->server);
	rc = kii_httpc_ask(client, request, &f->answer, err);
	fake_http_sync(f->server);
	return rc;
}
#define ask(f, ...) ask_with(f, (f)->client, &(struct kii_httpc_request){ __VA_ARGS__ }, &err)

static void a_get_brings_status_and_body(void **state)
{
	struct fixture *f = *state;
	struct kii_error err = { 0 };

	f->reply = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello";
	must(ask(f, .path = "/a?b=c"));
	assert_int_equal(f->answer.status, 200);
	assert_string_equal(f->answer.body.data, "hello");
	assert_int_equal(f->answer.retry_after, 0);
	assert_string_equal(f->answer.job, "");
	assert_ptr_equal(strstr(f->seen, "GET /a?b=c HTTP/1.1\r\n"), f->seen);
	assert_non_null(strstr(f->seen, "User-Agent: kiisrvctl/"));
	assert_null(strstr(f->seen, "Range:"));
}

static void a_post_sends_json(void **state)
{
	struct fixture *f = *state;
	struct kii_error err = { 0 };

	f->reply = "HTTP/1.1 202 Accepted\r\nContent-Length: 2\r\n\r\n{}";
	must(ask(f, .path = "/builds", .body = "{\"a\":1}", .body_len = 7));
	assert_int_equal(f->answer.status, 202);
	assert_string_equal(f->answer.body.data, "{}");
	assert_ptr_equal(strstr(f->seen, "POST /builds HTTP/1.1\r\n"), f->seen);
	assert_non_null(strstr(f->seen, "\r\nContent-Type: application/json\r\n"));
	assert_null(strstr(f->seen, "Expect:"));
	assert_string_equal(f->seen_body, "{\"a\":1}");
	/* A GET afterwards is one again. */
	must(ask(f, .path = "/"));
	assert_ptr_equal(strstr(f->seen, "GET / HTTP/1.1\r\n"), f->seen);
	assert_null(strstr(f->seen, "Content-Type:"));
}

static void a_connection_is_used_again(void **state)
{
	struct fixture *f = *state;
	struct kii_error err = { 0 };

	f->reply = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";
	must(ask(f, .path = "/"));
	must(ask(f, .path = "/"));
	assert_int_equal(f->connection, 1);
}

static void a_base_may_have_a_path(void **state)
{
	struct fixture *f = *state;
	struct kii_error err = { 0 };
	kii_autofree char *base = kii_xfmt("%s/kii//", fake_http_url(f->server));
	struct kii_httpc *other = NULL;

	f->reply = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";
	must(kii_httpc_new(base, &other, &err));
	must(ask_with(f, other, &(struct kii_httpc_request){ .path = "/x" }, &err));
	assert_ptr_equal(strstr(f->seen, "GET /kii/x HTTP/1.1\r\n"), f->seen);
	kii_httpc_free(other);
}

static void bad_addresses_are_refused(void **state)
{
	static const char *const bad[] = { "", "/", "127.0.0.1:80", "ftp://h", "file:///etc/passwd",
		"http://", "http://h:port", "http://h/?a=b", "http://h/#f", "http://u:secret@h",
		"http://h h" };
	struct fixture *f = *state;
	struct kii_error err = { 0 };
	struct kii_httpc *other = NULL;

	for (size_t i = 0; i < KII_COUNT(bad); i++) {
		if (kii_httpc_new(bad[i], &other, &err) == 0)
			fail_msg("taken: '%s'", bad[i]);
		assert_int_equal(err.code, KII_EINVAL);
		assert_string_equal(err.field, "server");
		assert_null(strstr(err.msg, "secret"));
		kii_error_clear(&err);
	}
	must_fail(ask(f, .path = "/with blank"), KII_EINVAL);
	must_fail(ask(f, .path = "/with\nline"), KII_EINVAL);
}

static void the_headers_that_count_are_read(void **state)
{
	static const struct { const char *value; int seconds; } retries[] = {
		{ "7", 7 }, { "  12  ", 12 }, { "0", 0 }, { "-3", 0 }, { "", 0 }, { "7x", 0 },
		{ "Wed, 21 Oct 2026 07:28:00 GMT", 0 }, { "99999999999999999999", 86400 },
	};
	struct fixture *f = *state;
	struct kii_error err = { 0 };

	f->reply = "HTTP/1.1 100 Continue\r\nRetry-After: 5\r\nX-Kiisrv-Job: " JOB "\r\n\r\n"
		"HTTP/1.1 503 No\r\nContent-Length: 0\r\n\r\n";
	must(ask(f, .path = "/"));
	assert_int_equal(f->answer.status, 503);
	assert_int_equal(f->answer.retry_after, 0);
	assert_string_equal(f->answer.job, "");
	for (size_t i = 0; i < KII_COUNT(retries); i++) {
		kii_autofree char *reply = kii_xfmt("HTTP/1.1 429 No\r\nretry-after:%s\r\n"
			"x-kiisrv-job: " JOB "\r\nContent-Length: 0\r\n\r\n", retries[i].value);

		f->reply = reply;
		must(ask(f, .path = "/"));
		if (f->answer.retry_after != retries[i].seconds)
			fail_msg("'%s' is %d", retries[i].value, f->answer.retry_after);
		assert_string_equal(f->answer.job, JOB);
	}
	f->reply = "HTTP/1.1 200 OK\r\nX-Kiisrv-Job: ../../etc/passwd/0123456789abcdef\r\n"
		"Content-Length: 0\r\n\r\n";
	must(ask(f, .path = "/"));
	assert_string_equal(f->answer.job, "");
}

static void a_range_is_asked_for_and_told(void **state)
{
	struct fixture *f = *state;
	struct kii_error err = { 0 };

	f->reply = "HTTP/1.1 206 Part\r\nContent-Range: bytes 100-104/105\r\n"
		"Content-Length: 5\r\n\r\nhello";
	must(ask(f, .path = "/log", .from = 100));
	assert_non_null(strstr(f->seen, "\r\nRange: bytes=100-\r\n"));
	assert_int_equal(f->answer.status, 206);
	assert_int_equal(f->answer.start, 100);
	f->reply = "HTTP/1.1 416 No\r\nContent-Range: bytes */105\r\nContent-Length: 0\r\n\r\n";
	must(ask(f, .path = "/log", .from = 105));
	assert_int_equal(f->answer.status, 416);
	assert_int_equal(f->answer.start, 0);
}

static void a_redirect_is_an_answer(void **state)
{
	struct fixture *f = *state;
	struct kii_error err = { 0 };

	f->reply = "HTTP/1.1 302 There\r\nLocation: /there\r\nContent-Length: 2\r\n\r\nno";
	must(ask(f, .path = "/here"));
	assert_int_equal(f->answer.status, 302);
	assert_string_equal(f->answer.body.data, "no");
	assert_ptr_equal(strstr(f->seen, "GET /here "), f->seen);
}

/* --- bodies that are too big, and where they go --- */

static void a_body_past_its_cap_is_too_big(void **state)
{
	struct fixture *f = *state;
	struct kii_error err = { 0 };

	f->stay = false;
	f->reply = "HTTP/1.1 200 OK\r\nContent-Length: 11\r\n\r\n";
	f->endless = 11;
	must_fail(ask(f, .path = "/", .cap = 10), KII_ETOOBIG);
	must(ask(f, .path = "/", .cap = 11));
	assert_int_equal(f->answer.body.len, 11);
	f->reply = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n7fffffff\r\n";
	f->endless = 64u << 20;
	must_fail(ask(f, .path = "/"), KII_ETOOBIG);
	assert_true(f->answer.body.len <= 1u << 20);
}

static void a_refusal_is_kept_in_part(void **state)
{
	struct fixture *f = *state;
	struct kii_error err = { 0 };

	f->reply = "HTTP/1.1 500 No\r\nContent-Length: 1000000\r\n\r\n";
	f->endless = 1000000;
	must(ask(f, .path = "/", .cap = 10));
	assert_int_equal(f->answer.status, 500);
	assert_int_equal(f->answer.body.len, 64 << 10);
	assert_false(f->answer.body.overflow);
}

static void a_body_goes_to_a_descriptor(void **state)
{
	struct fixture *f = *state;
	struct kii_error err = { 0 };
	kii_autofree char *dir = test_dir_new();
	kii_autofree char *path = kii_xfmt("%s/file", dir);
	kii_autobuf text = KII_BUF_INIT(100);
	int fd = open(path, O_RDWR | O_CREAT, 0600);

	assert_true(fd >= 0);
	f->reply = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello";
	must(ask(f, .path = "/", .sink = kii_httpc_to_fd, .sink_arg = &fd));
	assert_int_equal(f->answer.body.len, 0);
	/* A refusal does not. */
	f->reply = "HTTP/1.1 404 No\r\nContent-Length: 4\r\n\r\nnone";
	must(ask(f, .path = "/", .sink = kii_httpc_to_fd, .sink_arg = &fd));
	assert_string_equal(f->answer.body.data, "none");
	must(kii_io_read(path, &text, &err));
	assert_string_equal(text.data, "hello");
	close(fd);
	fd = open("/dev/full", O_WRONLY);
	f->reply = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello";
	must_fail(ask(f, .path = "/", .sink = kii_httpc_to_fd, .sink_arg = &fd), KII_EIO);
	close(fd);
	test_dir_remove(dir);
}

/* --- servers that are broken --- */

static void broken_answers_are_told_apart(void **state)
{
	static const struct { const char *reply; enum kii_code code; } bad[] = {
		{ "", KII_EDOWN },
		{ "HTTP/1.1 200 OK\r\nContent-Le", KII_EDOWN },
		{ "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello", KII_EDOWN },
		{ "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhel", KII_EDOWN },
		{ "HTTP/1.1 200 OK\r\n\r\nhello", KII_EBROKEN },
		{ "SSH-2.0-OpenSSH_9.2\r\n", KII_EBROKEN },
		{ "HTTP/1.1 200 OK\r\nContent-Length: none\r\n\r\n", KII_EBROKEN },
	};
	struct fixture *f = *state;
	struct kii_error err = { 0 };

	f->stay = false;
	for (size_t i = 0; i < KII_COUNT(bad); i++) {
		f->reply = bad[i].reply;
		if (ask(f, .path = "/") == 0)
			fail_msg("row %zu: taken", i);
		if (err.code != bad[i].code)
			fail_msg("row %zu: %s: %s", i, kii_code_word(err.code), err.msg);
		kii_error_clear(&err);
	}
}

static void an_endless_head_is_broken(void **state)
{
	struct fixture *f = *state;
	struct kii_error err = { 0 };
	kii_autobuf head = KII_BUF_INIT(1 << 20);

	kii_buf_str(&head, "HTTP/1.1 200 OK\r\n");
	for (int i = 0; i < 2000; i++)
		kii_buf_fmt(&head, "X-%d: and so on, and so on, and so on, and so on\r\n", i);
	f->stay = false;
	f->reply = head.data;
	must_fail(ask(f, .path = "/"), KII_EBROKEN);
}

static void silence_ends_a_request(void **state)
{
	static const struct kii_httpc_request soon = { .path = "/", .limit_ms = 200 };
	struct fixture *f = *state;
	struct kii_error err = { 0 };
	int64_t begin;

	f->stay = false;
	f->delay_ms = 2500;
	f->reply = "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello";
	fake_http_sync(f->server);
	begin = kii_io_now();
	must_fail(kii_httpc_ask(f->client, &soon, &f->answer, &err), KII_ETIMEOUT);
	assert_true(kii_io_now() - begin < 16000);
	/* Without a limit of its own: by the silence alone, which this test has shortened. */
	f->reply = "HTTP/1.1 200 OK\r\n";
	must_fail(ask(f, .path = "/"), KII_ETIMEOUT);
}

static void nobody_there_is_down(void **state)
{
	struct fixture *f = *state;
	struct kii_error err = { 0 };
	struct kii_httpc *other = NULL;

	must(kii_httpc_new("http://127.0.0.1:1", &other, &err));
	must_fail(ask_with(f, other, &(struct kii_httpc_request){ .path = "/" }, &err),
		KII_EDOWN);
	kii_httpc_free(other);
	kii_httpc_free(NULL);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

static void any_method_and_a_token_are_sent(void **state)
{
	struct fixture *f = *state;
	struct kii_error err = { 0 };

	f->reply = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}";
	must(ask(f, .path = "/x", .method = "DELETE", .token = "kii_0"));
	assert_ptr_equal(strstr(f->seen, "DELETE /x HTTP/1.1\r\n"), f->seen);
	assert_non_null(strstr(f->seen, "\r\nAuthorization: Bearer kii_0\r\n"));
	assert_null(strstr(f->seen, "Content-Type"));
	/* A POST without a body has none, and says so; it is JSON only where there is some. */
	must(ask(f, .path = "/x", .method = "POST", .token = "kii_0"));
	assert_ptr_equal(strstr(f->seen, "POST /x HTTP/1.1\r\n"), f->seen);
	assert_non_null(strstr(f->seen, "\r\nContent-Length: 0\r\n"));
	must(ask(f, .path = "/x", .method = "PUT", .body = "{}", .body_len = 2));
	assert_ptr_equal(strstr(f->seen, "PUT /x HTTP/1.1\r\n"), f->seen);
	assert_string_equal(f->seen_body, "{}");
	/* And no token where none is given. */
	assert_null(strstr(f->seen, "Authorization"));
	must(ask(f, .path = "/x"));
	assert_ptr_equal(strstr(f->seen, "GET /x HTTP/1.1\r\n"), f->seen);
}

static void what_leaves_the_machine_in_the_clear_is_known(void **state)
{
	static const struct { const char *base; bool want; } rows[] = {
		{ "http://127.0.0.1:3001", true }, { "http://localhost", true },
		{ "http://[::1]:80/x", true }, { "https://example.org", true },
		{ "HTTPS://example.org", true }, { "http://example.org", false },
		{ "http://10.0.0.1", false }, { "http://localhost.example.org", false },
		{ "http://127.0.0.1.example.org", false },
	};
	struct kii_error err = { 0 };

	(void)state;
	for (size_t i = 0; i < KII_COUNT(rows); i++) {
		struct kii_httpc *h = NULL;

		must(kii_httpc_new(rows[i].base, &h, &err));
		if (kii_httpc_is_private(h) != rows[i].want)
			fail_msg("%s", rows[i].base);
		kii_httpc_free(h);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_get_brings_status_and_body),
		TEST(a_post_sends_json),
		TEST(any_method_and_a_token_are_sent),
		TEST(what_leaves_the_machine_in_the_clear_is_known),
		TEST(a_connection_is_used_again),
		TEST(a_base_may_have_a_path),
		TEST(bad_addresses_are_refused),
		TEST(the_headers_that_count_are_read),
		TEST(a_range_is_asked_for_and_told),
		TEST(a_redirect_is_an_answer),
		TEST(a_body_past_its_cap_is_too_big),
		TEST(a_refusal_is_kept_in_part),
		TEST(a_body_goes_to_a_descriptor),
		TEST(broken_answers_are_told_apart),
		TEST(an_endless_head_is_broken),
		TEST(silence_ends_a_request),
		TEST(nobody_there_is_down),
	};

	return cmocka_run_group_tests_name("httpc", tests, NULL, NULL);
}
