/* SPDX-License-Identifier: MIT */
/* Answers that come in pieces, as nginx meets them. */
#include <config.h>

#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "fcgi_world.h"
#include "io.h"
#include "testlib.h"

#define SOON_MS 30000

static int ask(const struct world *w, const char *method, const char *uri)
{
	struct ask a = { method, uri, NULL, 0, NULL, NULL, 0 };
	int fd = client_open(w->socket);

	assert_true(fd >= 0);
	assert_int_equal(client_send(fd, &a), 0);
	return fd;
}

/* Ask until /feeds says `want`. */
static void become(const struct world *w, const char *want)
{
	struct ask a = { "GET", "/feeds", NULL, 0, NULL, NULL, 0 };
	int64_t end = kii_io_now() + SOON_MS;
	struct reply r;
	bool same = false;

	while (!same) {
		assert_int_equal(client_once(w->socket, &a, &r), 200);
		same = strstr(r.body, want) != NULL;
		if (!same && kii_io_now() > end)
			fail_msg("/feeds is %s, not %s", r.body, want);
		reply_release(&r);
		poll(NULL, 0, same ? 0 : 5);
	}
}

/* "begin\n" and the pieces 0 to n - 1 are there, and no more. */
static void is_whole(const struct reply *r, long n)
{
	assert_int_equal(r->status, 200);
	assert_null(strstr(r->text, "Content-Length"));
	assert_non_null(strstr(r->text, "X-Accel-Buffering: no\r\n"));
	assert_int_equal(r->body_len, 6 + n * 1000);
	for (long i = 0; i < n; i++)
		assert_int_equal(strtol(r->body + 6 + i * 1000, NULL, 10), i);
}

static void whole(const struct world *w, const char *uri, long n)
{
	struct ask a = { "GET", uri, NULL, 0, NULL, NULL, 0 };
	struct reply r;

	assert_int_equal(client_once(w->socket, &a, &r), 200);
	is_whole(&r, n);
	reply_release(&r);
}

static void pieces_arrive_in_order_and_whole(void **state)
{
	const struct world *w = *state;

	whole(w, "/feed/good/0", 0);
	whole(w, "/feed/good/1", 1);
	whole(w, "/feed/good/3000", 3000);
	become(w, "\"now\":0,\"begun\":0,\"gone\":0");
	assert_true(world_logged(w, "path=/feed/good/3000 status=200 bytes=3000006", SOON_MS));
}

static void it_may_begin_and_end_before_the_handler_returns(void **state)
{
	const struct world *w = *state;

	for (int i = 0; i < 20; i++)
		whole(w, "/feed/early/9", 9);
	become(w, "\"now\":0,\"begun\":0,\"gone\":0");
}

static void a_head_is_all_that_was_asked_for(void **state)
{
	const struct world *w = *state;
	struct ask a = { "HEAD", "/feed/good/5", NULL, 0, NULL, NULL, 0 };
	struct reply r;

	assert_int_equal(client_once(w->socket, &a, &r), 200);
	assert_int_equal(r.body_len, 0);
	reply_release(&r);
	become(w, "\"now\":0,\"begun\":0,\"gone\":0");
}

static void a_slow_reader_holds_nobody_and_misses_nothing(void **state)
{
	const struct world *w = *state;
	enum { N = 12 };
	struct reply r;
	int fds[N];

	for (int i = 0; i < N; i++)
		fds[i] = ask(w, "GET", "/feed/good/2000");
	/* none of them reads, all of them are full */
	become(w, "\"now\":12,\"begun\":12,\"gone\":0,\"full\":12");
	for (int i = 0; i < 20; i++)
		whole(w, "/feed/good/1", 1);
	for (int i = 0; i < N; i++) {
		assert_int_equal(client_read(fds[i], SOON_MS, &r), 0);
		is_whole(&r, 2000);
		reply_release(&r);
		close(fds[i]);
	}
	become(w, "\"now\":0,\"begun\":0,\"gone\":0,\"full\":0");
}

static void who_has_too_much_waiting_is_hung_up_on(void **state)
{
	const struct world *w = *state;
	kii_autoclose int fd = ask(w, "GET", "/feed/rude/2000");
	struct reply r;

	become(w, "\"now\":0,\"begun\":0,\"gone\":1");
	assert_int_equal(client_read(fd, SOON_MS, &r), -1);
	reply_release(&r);
	assert_true(world_logged(w, "path=/feed/rude/2000 status=499", SOON_MS));
}

static void who_leaves_is_noticed(void **state)
{
	const struct world *w = *state;
	int quiet = ask(w, "GET", "/feed/quiet/1");
	int full = ask(w, "GET", "/feed/good/2000");
	char byte;

	assert_int_equal(read(quiet, &byte, 1), 1);
	become(w, "\"now\":2,\"begun\":2,\"gone\":0");
	close(quiet);
	become(w, "\"now\":1,\"begun\":1,\"gone\":1");
	close(full);
	become(w, "\"now\":0,\"begun\":0,\"gone\":2");
}

static void who_feeds_can_hang_up(void **state)
{
	const struct world *w = *state;
	kii_autoclose int fd = ask(w, "GET", "/feed/drop/3");
	struct reply r;

	assert_int_equal(client_read(fd, SOON_MS, &r), -1);
	reply_release(&r);
	become(w, "\"now\":0,\"begun\":0,\"gone\":1");
}

/* All that a stream of two pieces says before it falls silent has come. */
static bool has_both(int fd)
{
	char bytes[8192];
	ssize_t n = recv(fd, bytes, sizeof(bytes), MSG_PEEK);

	assert_true(n > 0);
	return memmem(bytes, (size_t)n, "0001\n", 5) != NULL;
}

/* The clients see a whole answer, and go on at the next process. */
static void ended_by(struct world *w, int sig)
{
	int quiet = ask(w, "GET", "/feed/quiet/2");
	struct reply r;

	for (int64_t end = kii_io_now() + SOON_MS; !has_both(quiet); poll(NULL, 0, 5))
		assert_true(kii_io_now() < end);
	kill(w->keeper, sig);
	assert_int_equal(client_read(quiet, SOON_MS, &r), 0);
	is_whole(&r, 2);
	reply_release(&r);
	close(quiet);
	if (sig != SIGHUP)
		assert_int_equal(world_wait(w, SOON_MS), 0);
	assert_true(world_logged(w, "event=quit", SOON_MS));
}

static void streams_end_with_the_process(void **state)
{
	ended_by(*state, SIGTERM);
}

static void streams_end_when_it_drains(void **state)
{
	ended_by(*state, SIGQUIT);
}

static void streams_end_at_a_reload(void **state)
{
	struct world *w = *state;

	ended_by(w, SIGHUP);
	whole(w, "/feed/good/1", 1);
}

/* How many files the process has open. */
static long open_files(const struct world *w)
{
	struct ask a = { "GET", "/open", NULL, 0, NULL, NULL, 0 };
	struct reply r;
	long n;

	assert_int_equal(client_once(w->socket, &a, &r), 200);
	n = strtol(r.body, NULL, 10);
	reply_release(&r);
	assert_true(n > 0);
	return n;
}

static void streams_leave_nothing_behind(void **state)
{
	const struct world *w = *state;
	/* one more where the client before has not been seen off yet */
	long before = open_files(w);

	for (int i = 0; i < 50; i++) {
		int fd = ask(w, "GET", i % 2 ? "/feed/quiet/1" : "/feed/rude/300");

		whole(w, "/feed/good/20", 20);
		close(fd);
	}
	become(w, "\"now\":0");
	for (int64_t end = kii_io_now() + SOON_MS; open_files(w) > before; poll(NULL, 0, 5))
		assert_true(kii_io_now() < end);
}

#define served(test) cmocka_unit_test_setup_teardown(test, world_setup, world_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		served(pieces_arrive_in_order_and_whole),
		served(it_may_begin_and_end_before_the_handler_returns),
		served(a_head_is_all_that_was_asked_for),
		served(a_slow_reader_holds_nobody_and_misses_nothing),
		served(who_has_too_much_waiting_is_hung_up_on),
		served(who_leaves_is_noticed),
		served(who_feeds_can_hang_up),
		served(streams_end_with_the_process),
		served(streams_end_when_it_drains),
		served(streams_end_at_a_reload),
		served(streams_leave_nothing_behind),
	};

	return cmocka_run_group_tests_name("fcgi_stream", tests, NULL, NULL);
}
