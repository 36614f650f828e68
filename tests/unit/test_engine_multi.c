/* SPDX-License-Identifier: MIT */
#include <config.h>

#include "engine_multi.h"

#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "fakeengine.h"
#include "io.h"
#include "testlib.h"

struct ear {
	struct kii_async *a;
	struct kii_buf got;
	struct kii_error err;
	bool done, paused;
	size_t enough;         /* the sink fails behind so many bytes; 0: never */
	int ends;
};

struct desk {
	struct fake *fake;
	struct kii_multi *multi;
	pthread_mutex_t lock;
	pthread_cond_t change;
	struct ear ear;
	int ticks;
	const char *path;
	bool log;
	int64_t silence_ms;
};

static struct desk d;

static int64_t tick(void *arg, int64_t now)
{
	(void)arg;
	(void)now;
	pthread_mutex_lock(&d.lock);
	d.ticks++;
	pthread_mutex_unlock(&d.lock);
	return 20;
}

static int sink(void *arg, const char *data, size_t len, struct kii_error *err)
{
	struct ear *ear = arg;
	int rc = 0;

	pthread_mutex_lock(&d.lock);
	kii_buf_add(&ear->got, data, len);
	if (ear->enough && ear->got.len >= ear->enough)
		rc = kii_error_set(err, KII_ETOOBIG, 0, "enough");
	pthread_cond_broadcast(&d.change);
	pthread_mutex_unlock(&d.lock);
	return rc;
}

static void done(void *arg, const struct kii_error *err)
{
	struct ear *ear = arg;

	pthread_mutex_lock(&d.lock);
	ear->done = true;
	ear->ends++;
	if (err)
		ear->err = *err;
	pthread_cond_broadcast(&d.change);
	pthread_mutex_unlock(&d.lock);
}

static int setup(void **state)
{
	struct kii_engine_opts opts = { .timeout_ms = 2000 };
	struct kii_error err = { 0 };

	(void)state;
	d = (struct desk){ .path = "/x" };
	pthread_mutex_init(&d.lock, NULL);
	pthread_cond_init(&d.change, NULL);
	kii_buf_init(&d.ear.got, 1 << 20);
	d.fake = fake_new();
	opts.address = fake_address(d.fake);
	must(kii_multi_new(&opts, tick, NULL, &d.multi, &err));
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	kii_multi_free(d.multi);
	fake_free(d.fake);
	kii_buf_release(&d.ear.got);
	pthread_cond_destroy(&d.change);
	pthread_mutex_destroy(&d.lock);
	return 0;
}

/* --- run in the thread --- */

static void begin(void *arg)
{
	struct ear *ear = arg;

	if (!ear->a)
		ear->a = kii_async_new(d.multi, sink, done, ear);
	assert_false(kii_async_runs(ear->a));
	kii_async_get(ear->a, "1.41", d.path, d.log, d.silence_ms);
}

static void begin_paused(void *arg)
{
	begin(arg);
	kii_async_pause(((struct ear *)arg)->a, true);
}

static void go_on(void *arg)
{
	kii_async_pause(((struct ear *)arg)->a, false);
}

static void give_up(void *arg)
{
	struct ear *ear = arg;

	kii_async_free(ear->a);
	ear->a = NULL;
	done(ear, NULL);
}

/* --- the test's side --- */

static void await_end(int n)
{
	pthread_mutex_lock(&d.lock);
	while (d.ear.ends < n)
		pthread_cond_wait(&d.change, &d.lock);
	pthread_mutex_unlock(&d.lock);
}

static void await_bytes(size_t n)
{
	pthread_mutex_lock(&d.lock);
	while (d.ear.got.len < n)
		pthread_cond_wait(&d.change, &d.lock);
	pthread_mutex_unlock(&d.lock);
}

static size_t bytes(void)
{
	size_t n;

	pthread_mutex_lock(&d.lock);
	n = d.ear.got.len;
	pthread_mutex_unlock(&d.lock);
	return n;
}

static void an_answer_comes_piece_by_piece(void **state)
{
	char *seen;

	(void)state;
	fake_stream(d.fake, "", "one two three", 13, 4);
	fake_reply(d.fake, 200, "", "!");
	kii_multi_post(d.multi, begin, &d.ear);
	await_end(1);
	assert_int_equal(d.ear.err.code, KII_OK);
	assert_string_equal(d.ear.got.data, "one two three");
	/* once more on the same, and on the same connection */
	kii_multi_post(d.multi, begin, &d.ear);
	await_end(2);
	assert_string_equal(d.ear.got.data, "one two three!");
	assert_int_equal(fake_connections(d.fake), 1);
	seen = fake_seen(d.fake);
	assert_string_equal(seen, "GET /v1.41/x\nGET /v1.41/x\n");
	free(seen);
}

static void a_refusal_is_an_error(void **state)
{
	(void)state;
	fake_reply(d.fake, 404, "", "{\"message\":\"no\"}");
	kii_multi_post(d.multi, begin, &d.ear);
	await_end(1);
	assert_int_equal(d.ear.err.code, KII_ENOTFOUND);
	assert_int_equal(d.ear.got.len, 0);
}

static void an_engine_that_hangs_up_is_down(void **state)
{
	(void)state;
	fake_text(d.fake, FAKE_HANGUP, "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf");
	kii_multi_post(d.multi, begin, &d.ear);
	await_end(1);
	assert_int_equal(d.ear.err.code, KII_EDOWN);
	assert_string_equal(d.ear.got.data, "half");
}

static void a_sink_can_end_it(void **state)
{
	(void)state;
	d.ear.enough = 3;
	fake_text(d.fake, FAKE_ENDLESS, "HTTP/1.1 200 OK\r\nContent-Length: 99999999\r\n\r\none\n");
	kii_multi_post(d.multi, begin, &d.ear);
	await_end(1);
	assert_int_equal(d.ear.err.code, KII_ETOOBIG);
}

static void silence_ends_what_is_not_to_be_silent(void **state)
{
	int64_t start = kii_io_now();

	(void)state;
	d.silence_ms = 300;
	fake_text(d.fake, FAKE_HOLD, "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\none");
	kii_multi_post(d.multi, begin, &d.ear);
	await_end(1);
	assert_int_equal(d.ear.err.code, KII_ETIMEOUT);
	assert_true(kii_io_now() - start >= 290);
}

static void what_is_paused_waits_and_loses_nothing(void **state)
{
	enum { N = 1 << 20 };
	kii_autofree char *data = kii_xmalloc(N);
	kii_autofree char *head = kii_xfmt("HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n", N);
	kii_autobuf all = KII_BUF_INIT(2 << 20);
	size_t n;

	(void)state;
	d.silence_ms = 200;
	kii_buf_init(&d.ear.got, 2 << 20);
	for (int i = 0; i < N; i++)
		data[i] = (char)(i * 7 % 251);
	kii_buf_str(&all, head);
	kii_buf_add(&all, data, N);
	/* paused before a byte of it came: an engine's silence then is none */
	fake_raw(d.fake, 0, all.data, all.len);
	kii_multi_post(d.multi, begin_paused, &d.ear);
	poll(NULL, 0, 400);
	n = bytes();
	assert_true(n < N);
	poll(NULL, 0, 50);
	assert_int_equal(bytes(), n);
	kii_multi_post(d.multi, go_on, &d.ear);
	kii_multi_post(d.multi, go_on, &d.ear);
	await_end(1);
	assert_int_equal(d.ear.err.code, KII_OK);
	assert_int_equal(d.ear.got.len, N);
	assert_memory_equal(d.ear.got.data, data, N);
}

static void what_runs_can_be_given_up(void **state)
{
	(void)state;
	fake_text(d.fake, FAKE_HOLD, "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\none");
	kii_multi_post(d.multi, begin, &d.ear);
	await_bytes(3);
	kii_multi_post(d.multi, give_up, &d.ear);
	await_end(1);
	poll(NULL, 0, 50);
	assert_int_equal(d.ear.ends, 1);
}

static void what_cannot_begin_ends_like_all_else(void **state)
{
	kii_autofree char *path = kii_xmalloc(10001);

	(void)state;
	memset(path, 'x', 10000);
	path[0] = '/';
	path[10000] = '\0';
	d.path = path;
	kii_multi_post(d.multi, begin, &d.ear);
	await_end(1);
	assert_int_equal(d.ear.err.code, KII_ETOOBIG);
}

static void time_is_told(void **state)
{
	int64_t end = kii_io_now() + 20000;
	int ticks = 0;

	(void)state;
	while (ticks < 5 && kii_io_now() < end) {
		poll(NULL, 0, 10);
		pthread_mutex_lock(&d.lock);
		ticks = d.ticks;
		pthread_mutex_unlock(&d.lock);
	}
	assert_true(ticks >= 5);
}

static void a_log_that_is_a_refusal_is_an_error(void **state)
{
	static const char gone[] = "{\"cause\":\"no such container\",\"response\":500}";

	(void)state;
	d.log = true;
	fake_stream(d.fake, "", gone, sizeof(gone) - 1, 4);
	fake_reply(d.fake, 200, "", "1{");
	kii_multi_post(d.multi, begin, &d.ear);
	await_end(1);
	assert_int_equal(d.ear.err.code, KII_ENOTFOUND);
	assert_int_equal(d.ear.err.detail, 500);
	assert_int_equal(bytes(), 0);
	/* once more on the same */
	d.ear.err = (struct kii_error){ 0 };
	kii_multi_post(d.multi, begin, &d.ear);
	await_end(2);
	assert_int_equal(d.ear.err.code, KII_OK);
	assert_string_equal(d.ear.got.data, "1{");
}

static void an_address_that_is_none_is_refused(void **state)
{
	const struct kii_engine_opts opts = { .address = "ftp://x" };
	struct kii_error err = { 0 };
	struct kii_multi *m;

	(void)state;
	must_fail(kii_multi_new(&opts, tick, NULL, &m, &err), KII_EINVAL);
	kii_multi_free(NULL);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(a_log_that_is_a_refusal_is_an_error),
		TEST(an_answer_comes_piece_by_piece),
		TEST(a_refusal_is_an_error),
		TEST(an_engine_that_hangs_up_is_down),
		TEST(a_sink_can_end_it),
		TEST(silence_ends_what_is_not_to_be_silent),
		TEST(what_is_paused_waits_and_loses_nothing),
		TEST(what_runs_can_be_given_up),
		TEST(what_cannot_begin_ends_like_all_else),
		TEST(time_is_told),
		cmocka_unit_test(an_address_that_is_none_is_refused),
	};

	return cmocka_run_group_tests_name("engine_multi", tests, NULL, NULL);
}
