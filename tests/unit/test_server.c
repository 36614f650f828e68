/* SPDX-License-Identifier: MIT */
/* worker.sock as its peers see it; limits are lowered in the makefile. */
#include <config.h>

#include "server.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

#include "collector.h"
#include "io.h"
#include "json.h"
#include "layers.h"
#include "ops.h"
#include "queue.h"
#include "testlib.h"
#include "workerfix.h"
#include "worklink.h"

#define NOBODY 65534

/* --- the server's side --- */

static pthread_t thread, collector;
static int listener, result;

static void *run(void *arg)
{
	struct kii_error err = { 0 };

	result = server_run(arg, listener, &err);
	return NULL;
}

static int start(struct fix *f)
{
	struct kii_error err = { 0 };

	must(server_listen(&f->w, &listener, &err));
	return pthread_create(&collector, NULL, collector_run, &f->w) ||
		pthread_create(&thread, NULL, run, &f->w);
}

static void stop(struct fix *f)
{
	pthread_mutex_lock(&f->w.lock);
	atomic_store(&f->w.stop, true);
	pthread_cond_broadcast(&f->w.collector_wake);
	pthread_mutex_unlock(&f->w.lock);
	atomic_store(&f->w.closed, true);
	worker_wake_server(&f->w);
	pthread_join(thread, NULL);
	pthread_join(collector, NULL);
	assert_int_equal(result, 0);
}

/* The manager that the watchdog's messages go to. */
static int manager(const struct fix *f)
{
	kii_autofree char *path = kii_xfmt("%s/notify", f->conf.paths.run_dir);
	struct sockaddr_un at = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	snprintf(at.sun_path, sizeof(at.sun_path), "%s", path);
	assert_int_equal(bind(fd, (struct sockaddr *)&at, sizeof(at)), 0);
	setenv("NOTIFY_SOCKET", path, 1);
	setenv("WATCHDOG_USEC", "100000", 1);
	return fd;
}

static int serve(void **state)
{
	fix_open(state);
	return start(*state);
}

static int leave(void **state)
{
	struct fix *f = *state;

	if (!atomic_load(&f->w.closed))
		stop(f);
	return fix_close(state);
}

static char *sock_path(const struct fix *f)
{
	return kii_xfmt("%s/worker/worker.sock", f->conf.paths.run_dir);
}

/* --- a peer's side --- */

struct client {
	int fd;
	struct kii_buf in;
};

static void join(struct client *c, const struct fix *f)
{
	kii_autofree char *path = sock_path(f);
	struct kii_error err = { 0 };

	must(kii_io_connect_unix(path, &c->fd, &err));
	kii_buf_init(&c->in, 64u << 20);
}

static void quit(struct client *c)
{
	close(c->fd);
	kii_buf_release(&c->in);
}

static void say(struct client *c, const char *text)
{
	struct kii_error err = { 0 };

	must(kii_io_write_all(c->fd, text, strlen(text), &err));
}

/* More bytes: false at the end. Fails the test after ten seconds of silence. */
static bool hear(struct client *c)
{
	struct pollfd fd = { .fd = c->fd, .events = POLLIN };
	char chunk[65536];
	ssize_t n;

	if (poll(&fd, 1, 10000) <= 0)
		fail_msg("the server says nothing");
	n = recv(c->fd, chunk, sizeof(chunk), 0);
	if (n <= 0)
		return false;
	kii_buf_add(&c->in, chunk, (size_t)n);
	return true;
}

/* The next line; NULL at the end. Caller owns it. */
static json_t *next_line(struct client *c)
{
	struct kii_error err = { 0 };
	json_t *line = NULL;
	char *end;

	while (!(end = memchr(c->in.data, '\n', c->in.len))) {
		if (!hear(c))
			return NULL;
	}
	must(kii_json_parse(c->in.data, (size_t)(end - c->in.data), "line", &line, &err));
	kii_buf_drop(&c->in, (size_t)(end - c->in.data) + 1);
	return line;
}

/* The next line is a yes to the question `tag`. */
static void expect_yes(struct client *c, int tag)
{
	kii_autojson *line = next_line(c);

	assert_non_null(line);
	assert_int_equal(kii_json_int(line, "tag", -1), tag);
	assert_true(json_is_true(json_object_get(line, "ok")));
}

static void expect_no(struct client *c, const char *code)
{
	kii_autojson *line = next_line(c);

	assert_non_null(line);
	assert_false(json_is_true(json_object_get(line, "ok")));
	assert_string_equal(kii_json_str(line, "code"), code);
}

static void expect_dropped(struct client *c)
{
	while (hear(c))
		continue;
}

/* Nothing has come that was not asked for. */
static void expect_answers(struct client *c)
{
	say(c, "{\"op\":\"status\",\"tag\":77}\n");
	expect_yes(c, 77);
	assert_int_equal(c->in.len, 0);
}

static void expect_end(struct client *c, int n)
{
	kii_autojson *line = next_line(c);
	char id[KII_JOB_ID + 1];

	fix_id(n, id);
	assert_non_null(line);
	assert_string_equal(kii_json_str(line, "end"), id);
	assert_string_equal(kii_json_str(line, "state"), "failed");
	assert_string_equal(kii_json_str(line, "outcome"), "build_failed");
}

static void attach(struct client *c, int n)
{
	kii_autofree char *text = kii_xfmt("{\"op\":\"attach\",\"tag\":%d,\"job\":\"%032d\"}\n", n,
		n);

	say(c, text);
	expect_yes(c, n);
}

/* --- lines --- */

static void a_line_is_answered_with_its_tag(void **state)
{
	struct client c;

	join(&c, *state);
	say(&c, "{\"op\":\"status\",\"tag\":3}\n");
	expect_yes(&c, 3);
	say(&c, "{\"tag\":4,\"op\":\"status\"}\n");
	expect_yes(&c, 4);
	quit(&c);
}

static void a_line_may_come_in_any_pieces(void **state)
{
	static const char line[] = "{\"op\":\"status\",\"tag\":5}\n{\"op\":\"status\",\"tag\":6}\n";
	struct client c;

	join(&c, *state);
	for (size_t i = 0; i < sizeof(line) - 1; i++) {
		const char byte[2] = { line[i], '\0' };

		say(&c, byte);
		usleep(500);
	}
	expect_yes(&c, 5);
	expect_yes(&c, 6);
	for (size_t cut = 1; cut < sizeof(line) - 1; cut += 7) {
		kii_autofree char *head = kii_xstrndup(line, cut);

		say(&c, head);
		usleep(2000);
		say(&c, line + cut);
		expect_yes(&c, 5);
		expect_yes(&c, 6);
	}
	expect_answers(&c);
	quit(&c);
}

static void many_lines_may_come_at_once(void **state)
{
	kii_autobuf text = KII_BUF_INIT(1u << 20);
	struct client c;

	join(&c, *state);
	for (int i = 0; i < 200; i++)
		kii_buf_fmt(&text, "{\"op\":\"status\",\"tag\":%d}\n", i);
	kii_buf_str(&text, "{\"op\":\"sta");
	say(&c, text.data);
	for (int i = 0; i < 200; i++)
		expect_yes(&c, i);
	say(&c, "tus\",\"tag\":200}\n");
	expect_yes(&c, 200);
	quit(&c);
}

static void a_bad_line_is_answered_and_the_next_one_too(void **state)
{
	struct client c;

	join(&c, *state);
	say(&c, "nonsense\n");
	expect_no(&c, "bad_request");
	say(&c, "\n");
	expect_no(&c, "bad_request");
	say(&c, "[1]\n{\"op\":\"dance\",\"tag\":1}\n");
	expect_no(&c, "bad_request");
	expect_no(&c, "bad_request");
	expect_answers(&c);
	quit(&c);
}

/* A line of `len` bytes with its newline. Caller frees. */
static char *long_line(size_t len, int tag)
{
	kii_autofree char *head = kii_xfmt("{\"op\":\"status\",\"tag\":%d", tag);
	char *line = kii_xmalloc(len + 1);

	memset(line, ' ', len);
	memcpy(line, head, strlen(head));
	memcpy(line + len - 2, "}\n", 3);
	return line;
}

static void a_line_may_be_long(void **state)
{
	kii_autofree char *line = long_line(KII_WORKLINK_LINE, 1);
	struct client c;

	join(&c, *state);
	say(&c, line);
	expect_yes(&c, 1);
	/* What follows at once is not counted to it. */
	for (int i = 0; i < 3; i++) {
		kii_autofree char *two = kii_xfmt("%s{\"op\":\"status\",\"tag\":2}\n", line);

		say(&c, two);
		expect_yes(&c, 1);
		expect_yes(&c, 2);
	}
	quit(&c);
}

static void too_long_a_line_drops_its_peer_only(void **state)
{
	/* Whether its end comes or not. */
	static const size_t lengths[] = { KII_WORKLINK_LINE + 1, KII_WORKLINK_LINE + (1u << 20) };
	struct client good, bad;

	join(&good, *state);
	for (size_t i = 0; i < KII_COUNT(lengths); i++) {
		kii_autofree char *line = long_line(lengths[i], 1);

		join(&bad, *state);
		for (size_t done = 0; done < lengths[i];) {
			ssize_t n = send(bad.fd, line + done, lengths[i] - done, MSG_NOSIGNAL);

			if (n < 0)
				break;
			done += (size_t)n;
		}
		expect_dropped(&bad);
		assert_int_equal(bad.in.len, 0);
		expect_answers(&good);
		quit(&bad);
	}
	quit(&good);
}

/* --- output --- */

/* Answers to status become some 30 kB each. */
static void fatten(struct fix *f)
{
	pthread_mutex_lock(&f->w.lock);
	f->w.n_images = 300;
	f->w.images = kii_xcalloc(f->w.n_images, sizeof(*f->w.images));
	for (size_t i = 0; i < f->w.n_images; i++) {
		f->w.images[i].name = kii_xfmt("kiisrv-controller-%zu:latest", i);
		memset(f->w.images[i].id, 'a', 60);
	}
	pthread_mutex_unlock(&f->w.lock);
}

static void ask_often(struct client *c, int n)
{
	for (int i = 0; i < n; i++) {
		kii_autofree char *text = kii_xfmt("{\"op\":\"status\",\"tag\":%d}\n", i);

		if (send(c->fd, text, strlen(text), MSG_NOSIGNAL) < 0)
			return;
	}
}

static void who_reads_late_gets_all(void **state)
{
	struct client c;

	fatten(*state);
	join(&c, *state);
	ask_often(&c, 25);
	usleep(300000);
	for (int i = 0; i < 25; i++) {
		expect_yes(&c, i);
		usleep(1000);
	}
	expect_answers(&c);
	quit(&c);
}

/* One that has shut its side down reads on. */
static void who_has_said_its_last_gets_all(void **state)
{
	struct client c;

	fatten(*state);
	join(&c, *state);
	ask_often(&c, 25);
	assert_int_equal(shutdown(c.fd, SHUT_WR), 0);
	usleep(300000);
	for (int i = 0; i < 25; i++)
		expect_yes(&c, i);
	assert_false(hear(&c));
	quit(&c);
	/* Nobody waits for one that has gone with answers on their way. */
	join(&c, *state);
	ask_often(&c, 25);
	assert_int_equal(shutdown(c.fd, SHUT_WR), 0);
	usleep(100000);
	quit(&c);
	join(&c, *state);
	expect_answers(&c);
	quit(&c);
}

static void who_does_not_read_is_dropped(void **state)
{
	struct client good, bad;
	int before = 0;

	fatten(*state);
	join(&good, *state);
	join(&bad, *state);
	ask_often(&bad, 200);
	/* Others are answered meanwhile. */
	for (int i = 0; i < 5; i++)
		expect_answers(&good);
	for (json_t *line; (line = next_line(&bad)); before++) {
		assert_int_equal(kii_json_int(line, "tag", -1), before);
		json_decref(line);
	}
	assert_in_range(before, 1, 150);
	expect_answers(&good);
	quit(&good);
	quit(&bad);
}

/* --- connections --- */

static void there_are_only_so_many_connections(void **state)
{
	struct client c[8], more;

	for (size_t i = 0; i < KII_COUNT(c); i++) {
		join(&c[i], *state);
		expect_answers(&c[i]);
	}
	join(&more, *state);
	expect_dropped(&more);
	assert_int_equal(more.in.len, 0);
	quit(&more);
	for (size_t i = 0; i < KII_COUNT(c); i++)
		expect_answers(&c[i]);
	/* One that leaves makes room; the server may not have seen it yet. */
	quit(&c[3]);
	for (int tries = 0;; tries++) {
		struct pollfd fd = { .events = POLLIN };

		join(&c[3], *state);
		fd.fd = c[3].fd;
		say(&c[3], "{\"op\":\"status\",\"tag\":1}\n");
		if (poll(&fd, 1, 10000) > 0 && hear(&c[3]))
			break;
		assert_true(tries < 100);
		quit(&c[3]);
		usleep(10000);
	}
	expect_yes(&c[3], 1);
	for (size_t i = 0; i < KII_COUNT(c); i++)
		quit(&c[i]);
}

/* Half lines of several peers, none of them too long. */
static void who_holds_most_goes_when_too_much_is_held(void **state)
{
	struct kii_error err = { 0 };
	const size_t part = 5u << 20;
	kii_autofree char *blanks = kii_xmalloc(part);
	struct client a, b, c;

	memset(blanks, ' ', part);
	join(&a, *state);
	join(&b, *state);
	join(&c, *state);
	must(kii_io_write_all(a.fd, blanks, part, &err));
	say(&a, "  ");
	must(kii_io_write_all(b.fd, blanks, part, &err));
	expect_answers(&c);
	must(kii_io_write_all(c.fd, blanks, part - 1, &err));
	expect_dropped(&a);
	say(&b, "{\"op\":\"status\",\"tag\":7}\n");
	expect_yes(&b, 7);
	say(&c, "{\"op\":\"status\",\"tag\":8}\n");
	expect_yes(&c, 8);
	quit(&a);
	quit(&b);
	quit(&c);
}

static void who_hangs_up_within_a_line_harms_nobody(void **state)
{
	struct client good, bad;

	join(&good, *state);
	for (int i = 0; i < 20; i++) {
		join(&bad, *state);
		say(&bad, "{\"op\":\"status\",\"tag\":1}\n{\"op\":");
		quit(&bad);
		expect_answers(&good);
	}
	quit(&good);
}

static void at_the_workers_end_connections_are_closed(void **state)
{
	struct client asked, silent;

	join(&asked, *state);
	join(&silent, *state);
	expect_answers(&asked);
	stop(*state);
	expect_dropped(&asked);
	expect_dropped(&silent);
	quit(&asked);
	quit(&silent);
}

/* --- ends --- */

/* Job `n` ends, and who waits is to be told. */
static void end_job(struct fix *f, int n)
{
	const struct kii_job_end failed = { .state = KII_JOB_FAILED, .outcome = "build_failed",
		.artifact = "x_error.zip", .finished = 5000 };
	struct kii_error err = { 0 };
	char id[KII_JOB_ID + 1];

	fix_id(n, id);
	pthread_mutex_lock(&f->w.lock);
	must(kii_jobs_finish(f->w.lanes[LANE_PUBLIC].jobs, id, &failed, &err));
	worker_announce(&f->w, id);
	pthread_mutex_unlock(&f->w.lock);
}

static void an_end_is_told_to_all_who_asked_and_only_to_them(void **state)
{
	struct fix *f = *state;
	struct client first, second, other, late;

	fix_queue(f);
	fix_queue(f);
	join(&first, f);
	join(&second, f);
	join(&other, f);
	join(&late, f);
	attach(&first, 1);
	attach(&first, 2);
	attach(&second, 1);
	attach(&second, 1);
	attach(&other, 2);
	end_job(f, 1);
	expect_end(&first, 1);
	expect_end(&second, 1);
	/* Once; and nobody else. */
	expect_answers(&first);
	expect_answers(&second);
	expect_answers(&other);
	/* Who asks when it is over has got the end as the answer. */
	attach(&late, 1);
	expect_answers(&late);
	end_job(f, 2);
	expect_end(&first, 2);
	expect_end(&other, 2);
	expect_answers(&second);
	quit(&first);
	quit(&second);
	quit(&other);
	quit(&late);
}

static void an_end_tells_what_became_of_the_job(void **state)
{
	struct fix *f = *state;
	kii_autojson *line = NULL;
	struct client c;

	fix_queue(f);
	join(&c, f);
	attach(&c, 1);
	end_job(f, 1);
	line = next_line(&c);
	assert_string_equal(kii_json_str(line, "artifact"), "x_error.zip");
	assert_string_equal(kii_json_str(line, "key"),
		"0000000000000000000000000000000100000000000000000000000000000001");
	assert_null(json_object_get(line, "tag"));
	quit(&c);
}

static void a_submitted_job_is_watched(void **state)
{
	struct fix *f = *state;
	kii_autojson *request = json_loads(f->request, 0, NULL);
	kii_autojson *ask = json_pack("{s:s, s:i, s:s, s:s, s:O}", "op", "submit", "tag", 9, "kind",
		"firmware", "client", "192.0.2.9", "request", request);
	char *text = json_dumps(ask, 0);
	kii_autojson *answer = NULL, *told = NULL;
	kii_autojob job = { 0 };
	struct kii_job_end end = { .state = KII_JOB_LOST, .outcome = "engine", .finished = 1 };
	struct kii_error err = { 0 };
	struct client c;

	f->w.images = kii_xcalloc(1, sizeof(*f->w.images));
	f->w.images[0].name = kii_xstrdup("kiisrv-controller-057:latest");
	snprintf(f->w.images[0].id, sizeof(f->w.images[0].id), "sha256:aa");
	f->w.n_images = 1;
	join(&c, f);
	say(&c, text);
	say(&c, "\n");
	free(text);
	answer = next_line(&c);
	assert_string_equal(kii_json_str(answer, "state"), "queued");
	pthread_mutex_lock(&f->w.lock);
	queue_leave(fix_claim(f, &job));
	must(kii_jobs_finish(f->w.lanes[LANE_PUBLIC].jobs, job.id, &end, &err));
	worker_announce(&f->w, job.id);
	pthread_mutex_unlock(&f->w.lock);
	told = next_line(&c);
	assert_string_equal(kii_json_str(told, "end"), kii_json_str(answer, "job"));
	assert_string_equal(kii_json_str(told, "outcome"), "engine");
	quit(&c);
}

static void who_left_is_not_told(void **state)
{
	struct fix *f = *state;
	struct client gone, here;

	fix_queue(f);
	join(&gone, f);
	join(&here, f);
	attach(&gone, 1);
	attach(&here, 1);
	quit(&gone);
	end_job(f, 1);
	expect_end(&here, 1);
	expect_answers(&here);
	quit(&here);
}

static void many_ends_at_once_are_all_told(void **state)
{
	struct fix *f = *state;
	struct client c;
	bool told[24] = { false };

	join(&c, f);
	/* As many as may be watched; then as many again. */
	for (int first = 1; first <= 24; first += 8) {
		for (int i = first; i < first + 8; i++) {
			fix_queue(f);
			attach(&c, i);
		}
		for (int i = first; i < first + 8; i++)
			end_job(f, first + (i * 3) % 8);
		for (int i = first; i < first + 8; i++) {
			kii_autojson *line = next_line(&c);
			long n = strtol(kii_json_str(line, "end"), NULL, 10);

			assert_in_range(n, first, first + 7);
			assert_false(told[n - 1]);
			told[n - 1] = true;
		}
		expect_answers(&c);
	}
	quit(&c);
}

static void who_watches_too_many_jobs_is_dropped(void **state)
{
	struct fix *f = *state;
	struct client c, other;

	join(&c, f);
	join(&other, f);
	for (int i = 1; i <= 9; i++)
		fix_queue(f);
	for (int i = 1; i <= 8; i++)
		attach(&c, i);
	/* The same ones again are no more. */
	for (int i = 1; i <= 8; i++)
		attach(&c, i);
	say(&c, "{\"op\":\"attach\",\"job\":\"00000000000000000000000000000009\"}\n");
	expect_dropped(&c);
	end_job(f, 9);
	expect_answers(&other);
	quit(&c);
	quit(&other);
}

/* An end that is announced but is none: nothing is said, until there is one. */
static void an_end_that_is_none_is_not_told(void **state)
{
	struct fix *f = *state;
	struct client c;
	char id[KII_JOB_ID + 1];

	fix_queue(f);
	fix_id(1, id);
	join(&c, f);
	attach(&c, 1);
	pthread_mutex_lock(&f->w.lock);
	worker_announce(&f->w, id);
	worker_announce(&f->w, "ffffffffffffffffffffffffffffffff");
	pthread_mutex_unlock(&f->w.lock);
	expect_answers(&c);
	end_job(f, 1);
	expect_end(&c, 1);
	quit(&c);
}

static void announce(struct fix *f, int n)
{
	char id[KII_JOB_ID + 1];

	fix_id(n, id);
	pthread_mutex_lock(&f->w.lock);
	worker_announce(&f->w, id);
	pthread_mutex_unlock(&f->w.lock);
}

/* Of a row that is gone, or cannot be read: who asks again hears so. */
static void who_waits_for_an_end_that_cannot_be_told_has_to_ask_again(void **state)
{
	static const char *const drop[] = { "DROP TABLE Jobs" };
	struct fix *f = *state;
	kii_autofree char *path = kii_xfmt("%s/queue/jobs.sqlite", f->conf.paths.state_dir);
	struct kii_error err = { 0 };
	const struct kii_job_end end = { .state = KII_JOB_LOST, .outcome = "engine",
		.finished = 1 };
	struct client c[4];
	char id[KII_JOB_ID + 1];
	struct kii_store *other;
	int rc;

	for (int i = 0; i < 4; i++) {
		if (i % 2 == 0)
			fix_queue(f);
		join(&c[i], f);
		attach(&c[i], i / 2 + 1);
	}
	fix_id(1, id);
	pthread_mutex_lock(&f->w.lock);
	rc = kii_jobs_finish(f->w.lanes[LANE_PUBLIC].jobs, id, &end, &err);
	if (rc == 0)
		rc = kii_jobs_delete(f->w.lanes[LANE_PUBLIC].jobs, id, &err);
	pthread_mutex_unlock(&f->w.lock);
	must(rc);
	announce(f, 1);
	expect_dropped(&c[0]);
	expect_dropped(&c[1]);
	expect_answers(&c[2]);
	must(kii_store_open(path, KII_STORE_WRITE, KII_JOBS_VERSION, drop, 1, &other, &err));
	must(kii_store_run(other, 0, NULL, &err, ""));
	kii_store_close(other);
	announce(f, 2);
	for (int i = 0; i < 4; i++) {
		expect_dropped(&c[i]);
		assert_int_equal(c[i].in.len, 0);
		quit(&c[i]);
	}
}

/* --- a gc, which takes its time --- */

/* An engine that takes connections and says nothing, and a layer to ask it for. */
static int hang_engine(struct fix *f)
{
	kii_autofree char *path = kii_xfmt("%s/hung.sock", f->conf.paths.run_dir);
	struct sockaddr_un at = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	snprintf(at.sun_path, sizeof(at.sun_path), "%s", path);
	assert_int_equal(bind(fd, (struct sockaddr *)&at, sizeof(at)), 0);
	assert_int_equal(listen(fd, 5), 0);
	free(f->conf.docker.socket_path);
	f->conf.docker.socket_path = kii_xfmt("unix://%s", path);
	f->conf.docker.timeout_ms = 60000;
	layers_made(f->w.layers, "0123456789abcdef", 1);
	return fd;
}

/* The gc has come as far as that engine, whose connection this is. */
static int await_engine(int engine)
{
	struct pollfd p = { .fd = engine, .events = POLLIN };

	assert_int_equal(poll(&p, 1, 10000), 1);
	return accept(engine, NULL, NULL);
}

static const char gc[] = "{\"op\":\"gc\",\"tag\":1,\"dry_run\":true}\n";

static void others_are_served_while_a_gc_waits_for_the_engine(void **state)
{
	struct fix *f = *state;
	int engine = hang_engine(f), asked;
	struct client admin, other;
	int64_t since;

	join(&admin, f);
	join(&other, f);
	say(&admin, gc);
	asked = await_engine(engine);
	since = kii_io_now();
	say(&admin, "{\"op\":\"status\",\"tag\":2}\n{\"op\":\"gc\",\"tag\":3}\n");
	expect_answers(&other);
	say(&other, gc);
	expect_no(&other, "conflict");
	fix_queue(f);
	attach(&other, 1);
	end_job(f, 1);
	expect_end(&other, 1);
	assert_true(kii_io_now() - since < 5000);
	assert_int_equal(admin.in.len, 0);
	/* An engine that is away is no failure. What was asked behind it is answered behind it. */
	close(engine);
	close(asked);
	expect_yes(&admin, 1);
	expect_yes(&admin, 2);
	expect_yes(&admin, 3);
	say(&other, gc);
	expect_yes(&other, 1);
	quit(&admin);
	quit(&other);
}

static void who_has_said_its_last_hears_of_its_gc(void **state)
{
	struct fix *f = *state;
	int engine = hang_engine(f), asked;
	struct client c;

	join(&c, f);
	say(&c, gc);
	assert_int_equal(shutdown(c.fd, SHUT_WR), 0);
	asked = await_engine(engine);
	close(engine);
	close(asked);
	expect_yes(&c, 1);
	assert_false(hear(&c));
	quit(&c);
}

static void who_left_its_gc_harms_nobody(void **state)
{
	struct fix *f = *state;
	int engine = hang_engine(f), asked;
	kii_autojson *line = NULL;
	struct client gone, here;

	join(&gone, f);
	say(&gone, gc);
	asked = await_engine(engine);
	quit(&gone);
	join(&here, f);
	say(&here, gc);
	expect_no(&here, "conflict");
	close(engine);
	close(asked);
	for (int tries = 0; !json_is_true(json_object_get(line, "ok")); tries++) {
		assert_true(tries < 500);
		json_decref(line);
		usleep(10000);
		say(&here, gc);
		line = next_line(&here);
	}
	expect_answers(&here);
	quit(&here);
}

static void a_worker_that_stops_waits_for_no_engine(void **state)
{
	struct fix *f = *state;
	int engine = hang_engine(f), asked;
	int64_t since = kii_io_now();
	struct client c;

	join(&c, f);
	say(&c, gc);
	asked = await_engine(engine);
	stop(f);
	assert_true(kii_io_now() - since < 10000);
	expect_dropped(&c);
	quit(&c);
	close(engine);
	close(asked);
}

/* --- who is there --- */

/* The test goes on as root, but this connection is another user's. */
static void join_as_nobody(struct client *c, const struct fix *f)
{
	static const char *const folders[] = { "", "/run", "/run/worker",
		"/run/worker/worker.sock" };
	kii_autofree char *path = sock_path(f);
	struct kii_error err = { 0 };
	int rc;

	if (geteuid() != 0)
		skip();
	for (size_t i = 0; i < KII_COUNT(folders); i++) {
		kii_autofree char *open_up = kii_xfmt("%s%s", f->dir, folders[i]);

		assert_int_equal(chmod(open_up, 0777), 0);
	}
	kii_buf_init(&c->in, 1u << 20);
	/* The bare calls change this thread only. */
	syscall(SYS_setresuid, -1, NOBODY, -1);
	rc = kii_io_connect_unix(path, &c->fd, &err);
	syscall(SYS_setresuid, -1, 0, -1);
	if (rc != 0 && err.detail == EACCES)
		skip();   /* a folder above the test's */
	must(rc);
}

static void another_user_may_ask_but_not_manage(void **state)
{
	struct client c;

	join_as_nobody(&c, *state);
	expect_answers(&c);
	say(&c, "{\"op\":\"cancel\",\"job\":\"00000000000000000000000000000001\"}\n");
	expect_no(&c, "forbidden");
	say(&c, "{\"op\":\"gc\"}\n");
	expect_no(&c, "forbidden");
	say(&c, "{\"op\":\"refresh\"}\n");
	expect_no(&c, "forbidden");
	quit(&c);
	join(&c, *state);
	say(&c, "{\"op\":\"cancel\",\"job\":\"00000000000000000000000000000001\"}\n");
	expect_no(&c, "not_found");
	say(&c, "{\"op\":\"refresh\"}\n");
	expect_no(&c, "conflict");
	quit(&c);
}

static void another_user_cannot_have_all_connections(void **state)
{
	struct client c[7], more;

	for (size_t i = 0; i < KII_COUNT(c); i++) {
		join_as_nobody(&c[i], *state);
		expect_answers(&c[i]);
	}
	join_as_nobody(&more, *state);
	expect_dropped(&more);
	quit(&more);
	join(&more, *state);
	expect_answers(&more);
	quit(&more);
	for (size_t i = 0; i < KII_COUNT(c); i++)
		quit(&c[i]);
}

static void who_is_there_can_be_asked_of_sockets_only(void **state)
{
	struct kii_error err = { 0 };
	struct peer peer;
	int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);

	(void)state;
	must_fail(ops_peer(fd, &peer, &err), KII_EIO);
	close(fd);
}

/* --- the socket; no server runs --- */

static void expect_listening(struct fix *f)
{
	kii_autofree char *path = sock_path(f);
	struct kii_error err = { 0 };
	struct stat st;
	int server, client;

	must(server_listen(&f->w, &server, &err));
	assert_int_equal(stat(path, &st), 0);
	assert_true(S_ISSOCK(st.st_mode));
	assert_int_equal(st.st_mode & 0777, 0660);
	must(kii_io_connect_unix(path, &client, &err));
	close(client);
	close(server);
}

static void a_stale_socket_is_replaced(void **state)
{
	struct fix *f = *state;
	kii_autofree char *path = sock_path(f);
	struct kii_error err = { 0 };

	expect_listening(f);
	/* It is still there, but nobody is behind it. */
	expect_listening(f);
	unlink(path);
	must(kii_io_publish(path, "a file", 6, 0600, &err));
	expect_listening(f);
}

static void a_watchdog_is_told_while_nobody_asks(void **state)
{
	struct fix *f = *state;
	char got[20] = "";
	int fd = manager(f);
	struct pollfd p = { .fd = fd, .events = POLLIN };

	assert_int_equal(start(f), 0);
	for (int i = 0; i < 2; i++) {
		assert_int_equal(poll(&p, 1, 10000), 1);
		assert_int_equal(recv(fd, got, sizeof(got) - 1, 0), 10);
		assert_string_equal(got, "WATCHDOG=1");
	}
	stop(f);
	unsetenv("NOTIFY_SOCKET");
	unsetenv("WATCHDOG_USEC");
	close(fd);
}

/* As between a worker and the one that it becomes: who has connected meanwhile is served. */
static void a_socket_that_was_left_is_taken(void **state)
{
	struct fix *f = *state;
	kii_autofree char *path = sock_path(f);
	kii_autofree char *number = NULL;
	struct kii_error err = { 0 };
	int left, client, taken;

	must(server_listen(&f->w, &left, &err));
	must(kii_io_connect_unix(path, &client, &err));
	number = kii_xfmt("%d", left);
	setenv(SERVER_LISTENER, number, 1);
	must(server_listen(&f->w, &taken, &err));
	assert_int_equal(taken, left);
	assert_int_equal(fcntl(taken, F_GETFD), FD_CLOEXEC);
	assert_null(getenv(SERVER_LISTENER));
	assert_true((taken = accept(taken, NULL, NULL)) >= 0);
	close(taken);
	close(client);
	/* what is no listening socket at this path is not taken, and closed */
	setenv(SERVER_LISTENER, number, 1);
	unlink(path);
	must(server_listen(&f->w, &taken, &err));
	assert_int_equal(access(path, F_OK), 0);
	must(kii_io_connect_unix(path, &client, &err));
	close(client);
	close(taken);
	setenv(SERVER_LISTENER, "none", 1);
	expect_listening(f);
}

static void a_path_that_is_no_use_is_an_error(void **state)
{
	struct fix *f = *state;
	kii_autofree char *path = sock_path(f);
	char *run_dir = f->conf.paths.run_dir;
	char longest[sizeof(((struct sockaddr_un *)NULL)->sun_path) + 1];
	struct kii_error err = { 0 };
	int fd;

	assert_int_equal(mkdir(path, 0700), 0);
	must_fail(server_listen(&f->w, &fd, &err), KII_EIO);
	memset(longest, 'x', sizeof(longest) - 1);
	longest[0] = '/';
	longest[sizeof(longest) - 1] = '\0';
	f->conf.paths.run_dir = longest;
	must_fail(server_listen(&f->w, &fd, &err), KII_EINVAL);
	f->conf.paths.run_dir = (char *)"/nowhere";
	must_fail(server_listen(&f->w, &fd, &err), KII_EIO);
	f->conf.paths.run_dir = run_dir;
}

static void a_listener_that_is_none_is_an_error(void **state)
{
	struct fix *f = *state;
	struct kii_error err = { 0 };

	int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);

	must_fail(server_run(&f->w, fd, &err), KII_EIO);
	/* It has taken the descriptor. */
	assert_int_equal(fcntl(fd, F_GETFD), -1);
}

#define server_test(name) cmocka_unit_test_setup_teardown(name, serve, leave)

int main(void)
{
	const struct CMUnitTest tests[] = {
		server_test(a_line_is_answered_with_its_tag),
		server_test(a_line_may_come_in_any_pieces),
		server_test(many_lines_may_come_at_once),
		server_test(a_bad_line_is_answered_and_the_next_one_too),
		server_test(a_line_may_be_long),
		server_test(too_long_a_line_drops_its_peer_only),
		server_test(who_reads_late_gets_all),
		server_test(who_has_said_its_last_gets_all),
		server_test(who_does_not_read_is_dropped),
		server_test(there_are_only_so_many_connections),
		server_test(who_holds_most_goes_when_too_much_is_held),
		server_test(who_hangs_up_within_a_line_harms_nobody),
		server_test(at_the_workers_end_connections_are_closed),
		server_test(an_end_is_told_to_all_who_asked_and_only_to_them),
		server_test(an_end_tells_what_became_of_the_job),
		server_test(a_submitted_job_is_watched),
		server_test(who_left_is_not_told),
		server_test(many_ends_at_once_are_all_told),
		server_test(who_watches_too_many_jobs_is_dropped),
		server_test(an_end_that_is_none_is_not_told),
		server_test(who_waits_for_an_end_that_cannot_be_told_has_to_ask_again),
		server_test(others_are_served_while_a_gc_waits_for_the_engine),
		server_test(who_has_said_its_last_hears_of_its_gc),
		server_test(who_left_its_gc_harms_nobody),
		server_test(a_worker_that_stops_waits_for_no_engine),
		server_test(another_user_may_ask_but_not_manage),
		server_test(another_user_cannot_have_all_connections),
		FIX_TEST(who_is_there_can_be_asked_of_sockets_only),
		FIX_TEST(a_stale_socket_is_replaced),
		FIX_TEST(a_watchdog_is_told_while_nobody_asks),
		FIX_TEST(a_socket_that_was_left_is_taken),
		FIX_TEST(a_path_that_is_no_use_is_an_error),
		FIX_TEST(a_listener_that_is_none_is_an_error),
	};

	return cmocka_run_group_tests_name("server", tests, NULL, NULL);
}
