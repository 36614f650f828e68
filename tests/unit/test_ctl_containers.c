/* SPDX-License-Identifier: MIT */
/* kiisrvctl containers as a process; the test is the server. */
#include <config.h>

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "ctl.h"
#include "ctlrun.h"
#include "events.h"
#include "fakehttp.h"
#include "io.h"
#include "json.h"
#include "testlib.h"

#define ANSWERS 8
#define SSE "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n" \
	"Transfer-Encoding: chunked\r\n\r\n"

/* What the server says, one after the other, and what it has heard. */
static struct server {
	struct { int status; const char *body; bool stream, cut; } answers[ANSWERS];
	int n;
	char heard[4096], bodies[4096], token[256];
} s;

static struct ctlrun r;
static struct fake_http *http;

static void send_stream(int fd, const char *body, bool cut)
{
	kii_autofree char *all = kii_xfmt(SSE "%zx\r\n%s\r\n%s", strlen(body), body,
		cut ? "" : "0\r\n\r\n");

	fake_raw(fd, all, strlen(all));
}

static bool serve(void *arg, const struct fake_request *q, int fd)
{
	int i = s.n++ < ANSWERS ? s.n - 1 : ANSWERS - 1;
	size_t used = strlen(s.heard);

	(void)arg;
	snprintf(s.heard + used, sizeof(s.heard) - used, "%s %s\n", q->method, q->target);
	used = strlen(s.bodies);
	snprintf(s.bodies + used, sizeof(s.bodies) - used, "%s\n", q->body.data);
	fake_header(q, "Authorization", s.token);
	if (s.answers[i].stream)
		send_stream(fd, s.answers[i].body, s.answers[i].cut);
	else if (s.answers[i].status == 204)
		fake_raw(fd, "HTTP/1.1 204 No\r\n\r\n", 19);
	else
		fake_json(fd, s.answers[i].status, "", s.answers[i].body);
	return !s.answers[i].stream;
}

static int setup(void **state)
{
	(void)state;
	s = (struct server){ .n = 0 };
	http = fake_http_start(serve, NULL);
	ctlrun_init(&r);
	setenv("KIISRV_URL", fake_http_url(http), 1);
	setenv("KIISRV_TOKEN", "kii_secret", 1);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	ctlrun_release(&r);
	fake_http_stop(http);
	unsetenv("KIISRV_URL");
	unsetenv("KIISRV_TOKEN");
	return 0;
}

static void answers(int i, int status, const char *body)
{
	s.answers[i].status = status;
	s.answers[i].body = body;
	fake_http_sync(http);
}

/* Events; and the end, or the connection breaks. */
static void streams(int i, bool whole, const char *body)
{
	s.answers[i].body = body;
	s.answers[i].stream = true;
	s.answers[i].cut = !whole;
	fake_http_sync(http);
}

static void heard(const char *want)
{
	fake_http_sync(http);
	assert_string_equal(s.heard, want);
}

/* Its exit status, its output and its messages. */
static void ran(int status, int want, const char *out, const char *err)
{
	if (status != want || (out && strcmp(r.out.data, out) != 0) ||
	    (err && !strstr(r.err.data, err)))
		fail_msg("%d, out: %s, err: %s", status, r.out.data, r.err.data);
}

/* --- looking --- */

#define ONE "{\"name\":\"we\\u001bb\",\"id\":\"0123456789abcdef\",\"state\":\"running\"," \
	"\"status\":\"Up\",\"image\":\"i\",\"ports\":[{\"host_ip\":\"::\",\"host_port\":80," \
	"\"container_port\":81,\"protocol\":\"udp\"},{\"host_ip\":null,\"host_port\":82," \
	"\"container_port\":83,\"protocol\":\"tcp\"}]}"

static void a_list_is_a_table(void **state)
{
	(void)state;
	answers(0, 200, "{\"containers\":[" ONE "]}");
	ran(ctlrun(&r, "containers", "list", "--all", "--state", "exited", "--label", "a=b&c",
		NULL), 0, NULL, NULL);
	heard("GET /api/v1/containers?all=1&state=exited&label=a%3Db%26c\n");
	assert_string_equal(s.token, "Bearer kii_secret");
	assert_non_null(strstr(r.out.data, "0123456789ab  running"));
	assert_non_null(strstr(r.out.data, ":::80->81/udp, 82->83/tcp"));
	assert_null(strchr(r.out.data, '\033'));
}

static void as_json_it_is_what_the_server_said(void **state)
{
	kii_autojson *j = NULL;

	(void)state;
	answers(0, 200, "{\"containers\":[" ONE "]}");
	ran(ctlrun(&r, "--json", "containers", "list", "--name", "x", NULL), 0, NULL, NULL);
	heard("GET /api/v1/containers?name=x\n");
	j = json_loads(r.out.data, 0, NULL);
	assert_int_equal(json_array_size(j), 1);
}

static void a_container_is_shown(void **state)
{
	(void)state;
	answers(0, 200, "{\"id\":\"abc\",\"ports\":[],\"labels\":{\"a\":\"b\"},\"tty\":false}");
	answers(1, 404, "{\"error\":\"there is no such container\",\"code\":\"not_found\"}");
	ran(ctlrun(&r, "containers", "show", "../a b", NULL), 0, "id      abc\n"
		"labels  {\"a\":\"b\"}\n", NULL);
	ran(ctlrun(&r, "containers", "show", "x", NULL), 1, "", "there is no such container");
	heard("GET /api/v1/containers/..%2Fa%20b\nGET /api/v1/containers/x\n");
}

static void processes_are_listed(void **state)
{
	(void)state;
	answers(0, 200, "{\"processes\":[{\"pid\":\"1\",\"user\":\"root\",\"time\":\"0:00\","
		"\"command\":\"sleep 9\"}]}");
	ran(ctlrun(&r, "containers", "top", "web", NULL), 0,
		"PID  USER  TIME  COMMAND\n1    root  0:00  sleep 9\n", NULL);
	heard("GET /api/v1/containers/web/top\n");
}

/* --- doing --- */

static void a_container_is_made_of_a_file(void **state)
{
	kii_autofree char *file = kii_xfmt("%s/c.json", r.dir);
	struct kii_error err = { 0 };

	(void)state;
	must(kii_io_publish(file, "{\"image\":\"a\"}", 13, 0600, &err));
	answers(0, 201, "{\"id\":\"abc\",\"name\":\"n\",\"warnings\":[\"no swap\\u0007\"]}");
	ran(ctlrun(&r, "containers", "create", "--start", "--pull", "never", file, NULL), 0,
		"abc\n",
		"the engine warns: no swap^G");
	heard("POST /api/v1/containers\n");
	assert_string_equal(s.bodies, "{\"image\":\"a\",\"start\":true,\"pull\":\"never\"}\n");
	answers(1, 403, "{\"error\":\"privileged: no\",\"code\":\"policy\",\"field\":"
		"\"privileged\",\"rule\":\"privileged\"}");
	ran(ctlrun(&r, "containers", "create", file, NULL), 1, "", "privileged: no");
	must(kii_io_publish(file, "[]", 2, 0600, &err));
	ran(ctlrun(&r, "containers", "create", file, NULL), 2, "", "must be an object");
	must(kii_io_publish(file, "{", 1, 0600, &err));
	ran(ctlrun(&r, "containers", "create", file, NULL), 2, "", "body: line 1");
	ran(ctlrun(&r, "containers", "create", "/no/file", NULL), 1, "", "/no/file");
}

static void verbs_are_for_each(void **state)
{
	(void)state;
	for (int i = 0; i < 6; i++)
		answers(i, 204, "");
	ran(ctlrun(&r, "containers", "start", "a", "b", NULL), 0, "", NULL);
	ran(ctlrun(&r, "containers", "stop", "--timeout", "5", "a", NULL), 0, "", NULL);
	ran(ctlrun(&r, "containers", "restart", "a", NULL), 0, "", NULL);
	ran(ctlrun(&r, "containers", "kill", "--signal", "HUP", "a", NULL), 0, "", NULL);
	ran(ctlrun(&r, "containers", "rm", "--force", "--volumes", "a", NULL), 0, "", NULL);
	heard("POST /api/v1/containers/a/start\nPOST /api/v1/containers/b/start\n"
		"POST /api/v1/containers/a/stop?timeout=5\nPOST /api/v1/containers/a/restart\n"
		"POST /api/v1/containers/a/kill?signal=HUP\n"
		"DELETE /api/v1/containers/a?force=1&volumes=1\n");
}

static void the_first_that_fails_ends_it(void **state)
{
	(void)state;
	answers(0, 409, "{\"error\":\"ports: taken\",\"code\":\"conflict\",\"field\":\"ports\"}");
	ran(ctlrun(&r, "containers", "start", "a", "b", NULL), 1, "", "a: the server says: "
		"ports: taken");
	heard("POST /api/v1/containers/a/start\n");
}

static void wrong_command_lines_ask_nobody(void **state)
{
	(void)state;
	ran(ctlrun(&r, "containers", "stop", "--timeout", "-1", "a", NULL), 2, "", "--timeout");
	ran(ctlrun(&r, "containers", "logs", "--tail", "x", "a", NULL), 2, "", "--tail");
	ran(ctlrun(&r, "containers", "logs", NULL), 64, "", "usage:");
	ran(ctlrun(&r, "containers", "start", "--now", "a", NULL), 64, "", "bad option");
	unsetenv("KIISRV_TOKEN");
	ran(ctlrun(&r, "containers", "list", NULL), 2, "", "KIISRV_TOKEN");
	heard("");
}

/* --- logs --- */

static void a_log_is_printed_page_by_page(void **state)
{
	(void)state;
	answers(0, 200, "{\"entries\":[{\"stream\":\"stdout\",\"text\":\"a\\n\"},{\"stream\":"
		"\"stderr\",\"text\":\"b\\n\"}],\"cursor\":\"1.2-3.4\",\"more\":true}");
	answers(1, 200, "{\"entries\":[{\"stream\":\"stdout\",\"base64\":\"Yf8AYg==\"}],"
		"\"cursor\":\"5.2-3.4\",\"more\":false}");
	ran(ctlrun(&r, "containers", "logs", "--tail", "9", "--timestamps", "web", NULL), 0, NULL,
		"b\n");
	assert_int_equal(r.out.len, 6);
	assert_memory_equal(r.out.data, "a\na\xff\0b", 6);
	heard("GET /api/v1/containers/web/logs?follow=0&timestamps=1&tail=9\n"
		"GET /api/v1/containers/web/logs?follow=0&timestamps=1&cursor=1.2-3.4\n");
}

static void a_log_that_makes_no_sense_fails(void **state)
{
	(void)state;
	answers(0, 200, "{\"entries\":[{\"stream\":\"stdout\"}],\"cursor\":\"1.2-3.4\"}");
	answers(1, 200, "{\"entries\":[{\"stream\":\"stdout\",\"base64\":\"%%%%\"}]}");
	answers(2, 200, "{\"entries\":[]}");
	for (int i = 0; i < 3; i++)
		ran(ctlrun(&r, "containers", "logs", "web", NULL), 1, "", "makes no sense");
}

static void a_log_is_followed_where_it_broke_off(void **state)
{
	(void)state;
	streams(0, false, "id: 1.2-3.4\nevent: log\ndata: {\"stream\":\"stdout\",\"text\":"
		"\"one\\n\"}\n\n: x\n\n");
	answers(1, 503, "{\"error\":\"the server restarts\",\"code\":\"stopping\"}");
	answers(2, 504, "{\"error\":\"the engine took too long\",\"code\":\"timeout\"}");
	streams(3, true, "id: 5.2-3.4\nevent: log\ndata: {\"stream\":\"stdout\",\"text\":"
		"\"two\\n\"}\n\nevent: end\ndata: {\"state\":\"exited\","
		"\"exit_code\":3}\n\n");
	ran(ctlrun(&r, "containers", "logs", "-f", "--since", "5", "web", NULL), 0, "one\ntwo\n",
		NULL);
	heard("GET /api/v1/containers/web/logs?follow=1&since=5\n"
		"GET /api/v1/containers/web/logs?follow=1&cursor=1.2-3.4\n"
		"GET /api/v1/containers/web/logs?follow=1&cursor=1.2-3.4\n"
		"GET /api/v1/containers/web/logs?follow=1&cursor=1.2-3.4\n");
}

static void a_terminal_is_not_steered(void **state)
{
	static const char *const args[CTLRUN_ARGS + 1] = { "containers", "logs", "-f", "web" };

	(void)state;
	streams(0, true, "event: log\ndata: {\"stream\":\"stdout\",\"text\":\"a\\u001b[31mb"
		"\\u0007\\n\"}\n\nevent: \n\nevent: end\n\n");
	ctlrun_start(&r, STDOUT_FILENO, args);
	ran(ctlrun_wait(&r), 0, NULL, NULL);
	assert_non_null(strstr(r.out.data, "a^[[31mb^G"));
	assert_null(strchr(r.out.data, '\033'));
}

static void what_the_server_refuses_is_told(void **state)
{
	(void)state;
	answers(0, 404, "{\"error\":\"there is no such container\",\"code\":\"not_found\"}");
	ran(ctlrun(&r, "containers", "logs", "-f", "web", NULL), 1, "",
		"there is no such container");
	streams(1, true, "data: no JSON\n\n");
	ran(ctlrun(&r, "containers", "logs", "-f", "web", NULL), 1, "", "the server's event");
}

/* One that goes by is tried again, any other ends it: with the server's sentence, both. */
static void a_failure_in_the_stream_is_told(void **state)
{
	static const char passing[] = "event: failed\ndata: {\"error\":\"The container engine is "
		"down.\",\"code\":\"unavailable\"}\n\n";
	size_t lines = 0;

	(void)state;
	streams(0, true, "event: failed\ndata: {\"error\":\"The server failed.\",\"code\":"
		"\"internal\"}\n\n");
	ran(ctlrun(&r, "containers", "logs", "-f", "web", NULL), 1, "", "The server failed.");
	heard("GET /api/v1/containers/web/logs?follow=1\n");
	streams(1, true, "event: failed\ndata: {}\n\n");
	ran(ctlrun(&r, "containers", "stats", "-f", "web", NULL), 1, "", "could not go on");
	streams(2, true, passing);
	streams(3, true, "event: stats\ndata: {\"a\":1}\n\nevent: end\n\n");
	ran(ctlrun(&r, "--json", "containers", "stats", "-f", "web", NULL), 0, NULL, NULL);
	for (int i = 4; i < ANSWERS; i++)
		streams(i, true, passing);
	ran(ctlrun(&r, "containers", "logs", "-f", "web", NULL), 1, "", "engine is down.");
	fake_http_sync(http);
	for (const char *at = s.heard; (at = strchr(at, '\n')) != NULL; at++)
		lines++;
	assert_int_equal(lines, 4 + 21);
}

static void stats_are_a_line_each(void **state)
{
	(void)state;
	answers(0, 200, "{\"cpu_percent\":12.5,\"memory\":1048576,\"memory_limit\":2097152,"
		"\"pids\":3,\"network_received\":1,\"network_sent\":2,\"block_read\":3,"
		"\"block_written\":4}");
	ran(ctlrun(&r, "containers", "stats", "web", NULL), 0, "cpu 12.5 %  memory 1.0 MiB of 2.0 "
		"MiB  pids 3  network 1 B in, 2 B out  blocks 3 B read, 4 B written\n", NULL);
	streams(1, true, "event: stats\ndata: {\"a\":1}\n\nevent: end\n\n");
	ran(ctlrun(&r, "--json", "containers", "stats", "-f", "web", NULL), 0, NULL, NULL);
	assert_non_null(strstr(r.out.data, "\"a\""));
	heard("GET /api/v1/containers/web/stats\nGET /api/v1/containers/web/stats?stream=1\n");
}

/* --- events --- */

static int note(void *arg, const struct ctl_event *event, struct kii_error *err)
{
	struct kii_buf *out = arg;

	kii_buf_fmt(out, "%s|%s|%lld;", event->name, event->id,
		(long long)json_integer_value(event->data));
	return strcmp(event->name, "bad") ? 0 : kii_error_set(err, KII_EIO, 0, "no");
}

static void events_come_in_any_pieces(void **state)
{
	static const char text[] = ": hello\n\nid: 1\nevent: a\ndata: 5\n\nevent: b\n\ndata: "
		"6\n\n\n"
		"other: x\nevent: c\nevent: d\n\n";

	(void)state;
	for (size_t cut = 0; cut < sizeof(text); cut++) {
		kii_autobuf out = KII_BUF_INIT(4096);
		struct kii_error err = { 0 };
		struct ctl_events e;

		ctl_events_init(&e, note, &out);
		must(ctl_events_feed(&e, text, cut, &err));
		must(ctl_events_feed(&e, text + cut, sizeof(text) - 1 - (cut < sizeof(text) - 1
			? cut : sizeof(text) - 1), &err));
		assert_string_equal(out.data, "a|1|5;b||0;||6;d||0;");
		ctl_events_release(&e);
	}
}

static void events_that_make_no_sense_fail(void **state)
{
	kii_autofree char *endless = kii_xmalloc((1u << 20) + 10);
	kii_autobuf out = KII_BUF_INIT(4096);
	struct kii_error err = { 0 };
	struct ctl_events e;

	(void)state;
	memset(endless, 'x', (1u << 20) + 10);
	ctl_events_init(&e, note, &out);
	must_fail(ctl_events_feed(&e, "data: {\n\n", 9, &err), KII_EBROKEN);
	must_fail(ctl_events_feed(&e, "event: bad\n\n", 12, &err), KII_EIO);
	must_fail(ctl_events_feed(&e, endless, (1u << 20) + 10, &err), KII_ETOOBIG);
	ctl_events_release(&e);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(a_list_is_a_table),
		TEST(as_json_it_is_what_the_server_said),
		TEST(a_container_is_shown),
		TEST(processes_are_listed),
		TEST(a_container_is_made_of_a_file),
		TEST(verbs_are_for_each),
		TEST(the_first_that_fails_ends_it),
		TEST(wrong_command_lines_ask_nobody),
		TEST(a_log_is_printed_page_by_page),
		TEST(a_log_that_makes_no_sense_fails),
		TEST(a_log_is_followed_where_it_broke_off),
		TEST(a_terminal_is_not_steered),
		TEST(what_the_server_refuses_is_told),
		TEST(a_failure_in_the_stream_is_told),
		TEST(stats_are_a_line_each),
		cmocka_unit_test(events_come_in_any_pieces),
		cmocka_unit_test(events_that_make_no_sense_fail),
	};

	return cmocka_run_group_tests_name("ctl_containers", tests, NULL, NULL);
}
