/* SPDX-License-Identifier: MIT */
/* Clients that watch, over the frame's own table of connections; the engine is a scripted one. */
#include <config.h>

#include "follow.h"

#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "fakeengine.h"
#include "fcgi_private.h"
#include "io.h"
#include "json.h"
#include "testlib.h"

#define SOON_MS 20000

struct desk {
	struct fake *fake;
	struct kii_follow *follow;
	int epoll, stop, peer;
	pthread_t pump;
	struct kii_conn *c;
	struct kii_req req;
	struct kii_viewer *viewer;
	uint64_t ticket;
	struct kii_buf text;       /* what the client got */
};

static struct desk d;

/* What the frame's threads do with events. */
static void *pump(void *arg)
{
	struct epoll_event e;

	(void)arg;
	for (;;) {
		enum kii_conn_state was;
		struct kii_conn *c;

		if (epoll_wait(d.epoll, &e, 1, -1) != 1)
			continue;
		if (e.data.u64 == 0)
			return NULL;
		if (kii_stream_event(e.data.u64, e.events))
			continue;
		c = kii_conn_take(e.data.u64, &was);
		if (!c)
			continue;
		if (was == KII_CONN_PARKED) {
			kii_conn_gone(c);
		} else {
			kii_serve_reply(c, &c->res);
			kii_conn_drop(c);
		}
	}
}

static void open_desk(void)
{
	struct epoll_event e = { .events = EPOLLIN };
	struct kii_error err = { 0 };
	struct kii_conf conf = { .docker = { .timeout_ms = 2000 } };
	int ends[2];

	d = (struct desk){ .peer = -1 };
	kii_buf_init(&d.text, 16 << 20);
	d.fake = fake_new();
	conf.docker.socket_path = (char *)fake_address(d.fake);
	must(kii_follow_new(&conf, &d.follow, &err));
	d.epoll = epoll_create1(EPOLL_CLOEXEC);
	d.stop = eventfd(0, EFD_CLOEXEC);
	epoll_ctl(d.epoll, EPOLL_CTL_ADD, d.stop, &e);
	kii_conns_open(d.epoll);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
	d.peer = ends[0];
	d.c = kii_conn_new(ends[1]);
	d.c->method = "GET";
	d.req.conn = d.c;
	d.viewer = kii_viewer_new(d.follow, &err);
	assert_non_null(d.viewer);
	d.ticket = kii_park(&d.req, kii_viewer_gone, d.viewer);
	assert_true(kii_conn_settle(d.c));
	assert_int_equal(pthread_create(&d.pump, NULL, pump, NULL), 0);
}

static int setup(void **state)
{
	(void)state;
	open_desk();
	return 0;
}

static int teardown(void **state)
{
	uint64_t one = 1;
	int64_t end = kii_io_now() + SOON_MS;

	(void)state;
	if (d.peer >= 0)
		close(d.peer);
	while (kii_conns_count() && kii_io_now() < end)
		poll(NULL, 0, 2);
	assert_int_equal(kii_conns_count(), 0);
	assert_int_equal(write(d.stop, &one, sizeof(one)), sizeof(one));
	pthread_join(d.pump, NULL);
	kii_follow_free(d.follow);
	kii_conns_close();
	close(d.epoll);
	close(d.stop);
	fake_free(d.fake);
	kii_buf_release(&d.text);
	return 0;
}

/* --- the client --- */

static bool take(void *to, size_t len)
{
	struct pollfd p = { d.peer, POLLIN, 0 };
	size_t done = 0;

	while (done < len) {
		ssize_t n = poll(&p, 1, SOON_MS) > 0
			? read(d.peer, (char *)to + done, len - done) : -1;

		if (n <= 0)
			return false;
		done += (size_t)n;
	}
	return true;
}

/* One record: 1, 0 at the request's end, -1 when the connection ends. */
static int take_record(void)
{
	unsigned char head[8];
	char data[65536];
	size_t len;

	if (!take(head, sizeof(head)))
		return -1;
	len = (size_t)head[4] << 8 | head[5];
	if (!take(data, len))
		return -1;
	if (head[1] == 6)
		kii_buf_add(&d.text, data, len);
	return head[1] != 3;
}

/* Until the text is there. */
static void receives(const char *want)
{
	while (!strstr(d.text.data, want)) {
		if (take_record() != 1)
			fail_msg("'%s' is not in: %s", want, d.text.data);
	}
}

/* Until the end, whole (or not). */
static void ends(bool whole)
{
	int rc = 1;

	while (rc == 1)
		rc = take_record();
	assert_int_equal(rc, whole ? 0 : -1);
}

static void has(const char *want)
{
	if (!strstr(d.text.data, want))
		fail_msg("'%s' is not in: %s", want, d.text.data);
}

static void start(bool podman, bool stats)
{
	const struct kii_viewer_spec spec = { .id = "abc", .api = "1.41", .podman = podman,
		.stats = stats, .streams = 3, .timestamps = !podman };

	kii_viewer_start(d.viewer, d.ticket, &spec);
}

/* --- the engine --- */

#define T1 "2026-11-29T02:13:01Z"
#define T2 "2026-11-29T02:13:02Z"
#define OUT(n, time, text) "\1\0\0\0\0\0\0" n time " " text
#define ERR(n, time, text) "\2\0\0\0\0\0\0" n time " " text
#define ONE OUT("\x19", T1, "one\n")
#define TWO ERR("\x19", T2, "two\n")
#define LOG(text) fake_stream(d.fake, "", text, sizeof(text) - 1, 11)
#define STATE(word) fake_reply(d.fake, 200, "", "{\"State\":{\"Status\":\"" word "\"," \
	"\"ExitCode\":7}}")
#define SAMPLE(time, used, system) "{\"read\":\"" time "\",\"cpu_stats\":{\"cpu_usage\":" \
	"{\"total_usage\":" #used "},\"system_cpu_usage\":" #system ",\"online_cpus\":1}," \
	"\"precpu_stats\":{\"cpu_usage\":{\"total_usage\":0},\"system_cpu_usage\":100}}\n"
#define NONE "{\"read\":\"0001-01-01T00:00:00Z\",\"cpu_stats\":{}}\n"

static void was_asked(const char *want)
{
	kii_autofree char *seen = fake_seen(d.fake);

	assert_string_equal(seen, want);
}

#define LOGS "GET /v1.41/containers/abc/logs?stdout=1&stderr=1&timestamps=1&follow="
#define LOOK "GET /v1.41/containers/abc/json\n"

/* --- logs --- */

static void docker_s_log_is_followed_and_read_once_more(void **state)
{
	(void)state;
	LOG(ONE);
	STATE("exited");
	/* what it said last was missing */
	LOG(ONE TWO);
	start(false, false);
	ends(true);
	has("Status: 200 OK\r\nContent-Type: text/event-stream; charset=utf-8\r\n");
	has("id: 1795918381000000000.4-1795918371000000000.0\nevent: log\ndata: {\"stream\":"
		"\"stdout\",\"time\":\"" T1 "\",\"text\":\"one\\n\"}\n\n");
	has("event: log\ndata: {\"stream\":\"stderr\",\"time\":\"" T2 "\",\"text\":\"two\\n\"}\n\n"
		"event: end\ndata: {\"state\":\"exited\",\"exit_code\":7}\n\n");
	assert_null(strstr(strstr(d.text.data, "one") + 1, "one"));
	was_asked(LOGS "1\n" LOOK LOGS "0&since=1795918371.000000000\n");
}

static void a_container_that_starts_again_is_followed_on(void **state)
{
	(void)state;
	LOG(ONE);
	STATE("restarting");
	LOG(ONE TWO);
	STATE("exited");
	LOG(TWO);
	start(false, false);
	ends(true);
	has("one");
	has("two");
	was_asked(LOGS "1\n" LOOK LOGS "1&since=1795918371.000000000\n" LOOK
		LOGS "0&since=1795918381.000000000\n");
}

static void podman_s_log_is_read_again_and_again(void **state)
{
	(void)state;
	LOG(ONE ERR("\x18", T2, "tw\n"));
	/* it was half written, and is whole when it has been seen so twice */
	LOG(ONE TWO);
	STATE("running");
	LOG(ONE TWO);
	start(true, false);
	receives("two");
	has("one");
	assert_null(strstr(d.text.data, "tw\\n"));
}

static void podman_s_end_is_read_whole(void **state)
{
	(void)state;
	LOG(ONE);
	STATE("stopped");   /* which is Podman's until it has cleaned up */
	LOG(ONE TWO);
	start(true, false);
	ends(true);
	has("\"text\":\"one\\n\"}\n\n");
	has("\"text\":\"two\\n\"}\n\nevent: end\ndata: {\"state\":\"exited\"");
	was_asked(LOGS "0\n" LOOK LOGS "0\n");
}

/* Docker refuses then. */
static void the_log_of_one_that_is_being_removed_ends(void **state)
{
	(void)state;
	LOG(ONE);
	STATE("removing");
	fake_reply(d.fake, 409, "", "{\"message\":\"can not get logs from container which is dead "
		"or marked for removal\"}");
	start(false, false);
	ends(true);
	has("event: end\ndata: {\"state\":\"removed\"}\n\n");
	assert_null(strstr(d.text.data, "failed"));
}

static void what_is_removed_ends(void **state)
{
	(void)state;
	LOG(ONE);
	fake_reply(d.fake, 404, "", "{\"message\":\"No such container\"}");
	start(false, false);
	ends(true);
	has("one");
	has("event: end\ndata: {\"state\":\"removed\"}\n\n");
}

static void an_engine_that_goes_away_is_told_and_can_be_gone_on_from(void **state)
{
	static const char cut[] = "HTTP/1.1 200 OK\r\nContent-Length: 999\r\n\r\n" ONE "\1\0\0";

	(void)state;
	fake_raw(d.fake, FAKE_HANGUP, cut, sizeof(cut) - 1);
	start(false, false);
	ends(true);
	has("one");
	has("event: failed\ndata: {\"error\":\"A service that this needs does not answer; try "
		"again "
		"later.\",\"code\":\"unavailable\"}\n\n");
}

static void what_is_no_log_is_told(void **state)
{
	(void)state;
	fake_reply(d.fake, 200, "", "nonsense that is no frame");
	start(false, false);
	ends(true);
	has("event: failed\ndata: {\"error\":");
	has("\"code\":\"broken_reply\"}");
}

static void a_state_that_makes_no_sense_is_told(void **state)
{
	(void)state;
	LOG(ONE);
	fake_reply(d.fake, 200, "", "{}");
	start(false, false);
	ends(true);
	has("\"code\":\"broken_reply\"}");
}

static void a_last_pass_that_is_cut_is_told(void **state)
{
	(void)state;
	LOG(ONE);
	STATE("exited");
	fake_reply(d.fake, 200, "", "\1");
	start(false, false);
	ends(true);
	has("one");
	has("\"code\":\"broken_reply\"}");
}

static void who_leaves_is_forgotten(void **state)
{
	static const char held[] = "HTTP/1.1 200 OK\r\nContent-Length: 999\r\n\r\n" ONE;

	(void)state;
	fake_raw(d.fake, FAKE_HOLD, held, sizeof(held) - 1);
	start(false, false);
	receives("one");
	close(d.peer);
	d.peer = -1;
}

static void who_has_left_before_it_began_is_forgotten(void **state)
{
	int64_t end = kii_io_now() + SOON_MS;

	(void)state;
	close(d.peer);
	d.peer = -1;
	while (kii_conns_count() && kii_io_now() < end)
		poll(NULL, 0, 2);
	start(false, false);
	was_asked("");
}

/* So much that it fits nowhere between. */
static void a_slow_client_gets_it_all_in_the_end(void **state)
{
	enum { N = 30000 };
	kii_autobuf log = KII_BUF_INIT(16 << 20);
	size_t found = 0;

	(void)state;
	for (int i = 0; i < N; i++)
		kii_buf_add(&log, ONE, sizeof(ONE) - 1);
	fake_stream(d.fake, "", log.data, log.len, 60000);
	STATE("exited");
	fake_stream(d.fake, "", log.data, log.len, 60000);
	start(false, false);
	poll(NULL, 0, 300);
	ends(true);
	/* ASan's strstr() measures all the rest each time. */
	for (const char *at = d.text.data; (at = strchr(at, 'o')); at++)
		found += strncmp(at, "one\\n", 5) == 0;
	assert_int_equal(found, N);
	has("event: end");
}

static void who_takes_nothing_is_hung_up_on(void **state)
{
	enum { N = 30000 };
	kii_autobuf log = KII_BUF_INIT(16 << 20);
	int64_t end = kii_io_now() + SOON_MS;

	(void)state;
	for (int i = 0; i < N; i++)
		kii_buf_add(&log, ONE, sizeof(ONE) - 1);
	fake_stream(d.fake, "", log.data, log.len, 60000);
	start(false, false);
	while (kii_conns_count() && kii_io_now() < end)
		poll(NULL, 0, 5);
	assert_int_equal(kii_conns_count(), 0);
	ends(false);
}

static void bytes_that_are_no_text_are_coded(void **state)
{
	(void)state;
	LOG(OUT("\x1c", T1, "a\xff\0b\n\xc3\xa4"));
	STATE("exited");
	LOG("");
	start(false, false);
	ends(true);
	has("\"base64\":\"Yf8AYgrDpA==\"}");
}

/* --- stats --- */

static void docker_s_stats_come_as_they_come(void **state)
{
	(void)state;
	fake_stream(d.fake, "", SAMPLE(T1, 50, 200) SAMPLE(T2, 150, 300) NONE,
		sizeof(SAMPLE(T1, 50, 200) SAMPLE(T2, 150, 300) NONE) - 1, 17);
	STATE("exited");
	start(false, true);
	ends(true);
	has("event: stats\ndata: {\"time\":\"" T1 "\",\"cpu_percent\":50.0,");
	has("event: stats\ndata: {\"time\":\"" T2 "\",\"cpu_percent\":75.0,");
	has("event: end\ndata: {\"state\":\"exited\",\"exit_code\":7}\n\n");
}

static void podman_s_stats_are_looked_at(void **state)
{
	(void)state;
	fake_reply(d.fake, 200, "", SAMPLE(T1, 50, 200));
	fake_reply(d.fake, 200, "", SAMPLE(T2, 150, 300));
	fake_reply(d.fake, 200, "", "");
	STATE("created");
	start(true, true);
	ends(true);
	has("event: stats\ndata: {\"time\":\"" T2 "\",\"cpu_percent\":100.0,");
	assert_null(strstr(d.text.data, "\"time\":\"" T1 "\""));
	has("event: end\ndata: {\"state\":\"created\"}\n\n");
}

static void figures_that_are_not_there_yet_are_waited_for(void **state)
{
	(void)state;
	fake_stream(d.fake, "", NONE, sizeof(NONE) - 1, 17);
	STATE("running");
	fake_stream(d.fake, "", SAMPLE(T1, 50, 200), sizeof(SAMPLE(T1, 50, 200)) - 1, 17);
	STATE("exited");
	start(false, true);
	ends(true);
	has("\"cpu_percent\":50.0");
}

/* --- how many --- */

static void too_many_are_too_many(void **state)
{
	struct kii_error err = { 0 };
	struct kii_viewer *all[1000];
	size_t n = 0;

	(void)state;
	while (n < KII_COUNT(all) && (all[n] = kii_viewer_new(d.follow, &err)))
		n++;
	assert_int_equal(n, 999);
	assert_int_equal(err.code, KII_EBUSY);
	/* their clients have gone */
	for (size_t i = 0; i < n; i++) {
		const struct kii_viewer_spec spec = { .id = "x", .api = "1.41" };

		kii_viewer_gone(0, all[i]);
		kii_viewer_start(all[i], 0, &spec);
	}
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(docker_s_log_is_followed_and_read_once_more),
		TEST(a_container_that_starts_again_is_followed_on),
		TEST(podman_s_log_is_read_again_and_again),
		TEST(podman_s_end_is_read_whole),
		TEST(the_log_of_one_that_is_being_removed_ends),
		TEST(what_is_removed_ends),
		TEST(an_engine_that_goes_away_is_told_and_can_be_gone_on_from),
		TEST(what_is_no_log_is_told),
		TEST(a_state_that_makes_no_sense_is_told),
		TEST(a_last_pass_that_is_cut_is_told),
		TEST(who_leaves_is_forgotten),
		TEST(who_has_left_before_it_began_is_forgotten),
		TEST(a_slow_client_gets_it_all_in_the_end),
		TEST(who_takes_nothing_is_hung_up_on),
		TEST(bytes_that_are_no_text_are_coded),
		TEST(docker_s_stats_come_as_they_come),
		TEST(podman_s_stats_are_looked_at),
		TEST(figures_that_are_not_there_yet_are_waited_for),
		TEST(too_many_are_too_many),
	};

	return cmocka_run_group_tests_name("follow", tests, NULL, NULL);
}
