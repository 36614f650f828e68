/* SPDX-License-Identifier: MIT */
/* The test is the worker: it listens, reads lines and answers by hand. */
#include <config.h>

#include "worklink.h"

#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "io.h"
#include "json.h"
#include "testlib.h"

#define JOB "0123456789abcdef0123456789abcdef"
#define CONTENT JOB JOB

struct fixture {
	char *dir, *path;
	int listener, fd;
	struct kii_buf in;
	struct kii_worklink *link;
	pthread_mutex_t lock;
	char events[2000];     /* "accepted 2;" ... */
	int n_events;
};

static void start_listening(struct fixture *f)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };

	unlink(f->path);
	snprintf(addr.sun_path, sizeof(addr.sun_path), "%s", f->path);
	f->listener = socket(AF_UNIX, SOCK_STREAM, 0);
	assert_int_equal(bind(f->listener, (struct sockaddr *)&addr, sizeof(addr)), 0);
	assert_int_equal(listen(f->listener, 4), 0);
}

static void take_connection(struct fixture *f)
{
	struct pollfd p = { f->listener, POLLIN, 0 };

	assert_int_equal(poll(&p, 1, 5000), 1);
	f->fd = accept(f->listener, NULL, NULL);
	assert_true(f->fd >= 0);
	kii_buf_reset(&f->in);
}

static void hang_up(struct fixture *f)
{
	close(f->fd);
	f->fd = -1;
}

/* The next line, parsed; caller owns it. */
static json_t *next_line(struct fixture *f)
{
	struct kii_error err = { 0 };
	json_t *j = NULL;
	char *end;

	while (!(end = memchr(f->in.data, '\n', f->in.len))) {
		struct pollfd p = { f->fd, POLLIN, 0 };
		char chunk[4096];
		ssize_t n;

		assert_int_equal(poll(&p, 1, 5000), 1);
		n = read(f->fd, chunk, sizeof(chunk));
		assert_true(n > 0);
		kii_buf_add(&f->in, chunk, (size_t)n);
	}
	must(kii_json_parse(f->in.data, (size_t)(end - f->in.data), "line", &j, &err));
	kii_buf_drop(&f->in, (size_t)(end - f->in.data) + 1);
	return j;
}

static void say(struct fixture *f, const char *fmt, ...) KII_PRINTF(2, 3);
static void say(struct fixture *f, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vdprintf(f->fd, fmt, ap);
	va_end(ap);
}

/* Read a submit or attach and give its tag. */
static int expect_op(struct fixture *f, const char *op)
{
	json_t *j = next_line(f);
	int tag = (int)kii_json_int(j, "tag", -1);

	assert_string_equal(kii_json_str(j, "op"), op);
	if (!strcmp(op, "attach"))
		assert_string_equal(kii_json_str(j, "job"), JOB);
	json_decref(j);
	return tag;
}

static void on_report(void *arg, const struct kii_link_report *r)
{
	static const char *const names[] = { "accepted", "ended", "refused", "lost" };
	struct fixture *f = arg;
	size_t len;

	pthread_mutex_lock(&f->lock);
	len = strlen(f->events);
	snprintf(f->events + len, sizeof(f->events) - len, "%s %s %s %d;", names[r->event],
		r->state,
		r->event == KII_LINK_REFUSED ? r->code : r->artifact,
		r->event == KII_LINK_REFUSED ? r->status : r->place);
	f->n_events++;
	pthread_mutex_unlock(&f->lock);
}

static void await_events(struct fixture *f, int n)
{
	for (int64_t until = kii_io_now() + 8000; kii_io_now() < until; usleep(2000)) {
		bool there;

		pthread_mutex_lock(&f->lock);
		there = f->n_events >= n;
		pthread_mutex_unlock(&f->lock);
		if (there)
			break;
	}
}

static void expect_events(struct fixture *f, int n, const char *want)
{
	char events[sizeof(f->events)];

	await_events(f, n);
	/* No assertion under the lock: after a failure the link's end takes it once more. */
	pthread_mutex_lock(&f->lock);
	memcpy(events, f->events, sizeof(events));
	f->events[0] = '\0';
	f->n_events = 0;
	pthread_mutex_unlock(&f->lock);
	assert_string_equal(events, want);
}

static uint64_t submit_env(struct fixture *f, const char *env, bool wait)
{
	kii_autofree char *request = kii_xfmt("\n{\"env\":\n\"%s\"}\n", env);

	return kii_worklink_submit(f->link, &(struct kii_link_order){ .kind = "firmware",
		.client = "192.0.2.1", .text = request, .len = strlen(request) }, wait, on_report,
		f);
}

/* One whose content is known. */
static uint64_t submit_known(struct fixture *f, bool fresh)
{
	static const char request[] = "{\"env\":\"latest\"}";

	return kii_worklink_submit(f->link, &(struct kii_link_order){ .kind = "firmware",
		.client = "192.0.2.1", .fresh = fresh, .text = request, .len = strlen(request),
		.env = "latest", .content = CONTENT }, true, on_report, f);
}

static uint64_t submit(struct fixture *f, bool wait)
{
	return submit_env(f, "latest", wait);
}

static atomic_int trims;

int __wrap_malloc_trim(size_t pad);
int __wrap_malloc_trim(size_t pad)
{
	(void)pad;
	trims++;
	return 0;
}

/*
 * In the submitting thread, the second unlock (the request is in the list by then) takes as long as
 * the worker needs to answer: so long a thread may well be without the processor.
 */
static struct fixture *slow_submit;
static _Thread_local int unlocks;

int __real_pthread_mutex_unlock(pthread_mutex_t *m);
int __wrap_pthread_mutex_unlock(pthread_mutex_t *m);
int __wrap_pthread_mutex_unlock(pthread_mutex_t *m)
{
	int rc = __real_pthread_mutex_unlock(m);
	int64_t until = kii_io_now() + 2500;
	bool answered = !unlocks || --unlocks;

	while (!answered && kii_io_now() < until) {
		pthread_mutex_lock(&slow_submit->lock);
		answered = slow_submit->n_events > 0;
		__real_pthread_mutex_unlock(&slow_submit->lock);
		usleep(2000);
	}
	return rc;
}

static int setup(void **state)
{
	struct fixture *f = kii_xcalloc(1, sizeof(*f));
	struct kii_error err = { 0 };
	kii_autofree char *worker = NULL;

	f->dir = test_dir_new();
	worker = kii_xfmt("%s/worker", f->dir);
	mkdir(worker, 0700);
	f->path = kii_xfmt("%s/worker.sock", worker);
	f->fd = f->listener = -1;
	kii_buf_init(&f->in, 1u << 20);
	pthread_mutex_init(&f->lock, NULL);
	must(kii_worklink_new(f->dir, &f->link, &err));
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	kii_worklink_free(f->link);
	if (f->fd >= 0)
		close(f->fd);
	if (f->listener >= 0)
		close(f->listener);
	kii_buf_release(&f->in);
	test_dir_remove(f->dir);
	free(f->dir);
	free(f->path);
	free(f);
	return 0;
}

static void a_job_is_accepted_and_ends(void **state)
{
	struct fixture *f = *state;
	json_t *j;

	start_listening(f);
	submit(f, true);
	take_connection(f);
	j = next_line(f);
	assert_string_equal(kii_json_str(j, "op"), "submit");
	assert_string_equal(kii_json_str(j, "kind"), "firmware");
	assert_string_equal(kii_json_str(j, "client"), "192.0.2.1");
	assert_string_equal(kii_json_str(json_object_get(j, "request"), "env"), "latest");
	say(f, "{\"tag\":%d,\"ok\":true,\"job\":\"" JOB "\",\"state\":\"queued\",\"place\":2}\n",
		(int)kii_json_int(j, "tag", -1));
	json_decref(j);
	expect_events(f, 1, "accepted queued  2;");
	say(f, "{\"end\":\"" JOB "\",\"state\":\"failed\",");
	usleep(20000);
	say(f, "\"artifact\":\"x_error.zip\"}\n");
	expect_events(f, 1, "ended failed x_error.zip 0;");
}

static void without_waiting_one_event_is_all(void **state)
{
	struct fixture *f = *state;

	start_listening(f);
	submit(f, false);
	take_connection(f);
	say(f, "{\"tag\":%d,\"ok\":true,\"job\":\"" JOB "\",\"state\":\"running\"}\n",
		expect_op(f, "submit"));
	expect_events(f, 1, "accepted running  0;");
	say(f, "{\"end\":\"" JOB "\",\"state\":\"succeeded\",\"artifact\":\"x.zip\"}\n");
	submit(f, false);
	say(f, "{\"tag\":%d,\"ok\":true,\"job\":\"" JOB "\",\"state\":\"succeeded\","
		"\"artifact\":\"x.zip\",\"cached\":true}\n", expect_op(f, "submit"));
	expect_events(f, 1, "ended succeeded x.zip 0;");
}

static void what_is_known_is_found_without_the_request(void **state)
{
	struct fixture *f = *state;
	json_t *j;

	start_listening(f);
	submit_known(f, false);
	take_connection(f);
	j = next_line(f);
	assert_string_equal(kii_json_str(j, "op"), "find");
	assert_string_equal(kii_json_str(j, "kind"), "firmware");
	assert_string_equal(kii_json_str(j, "env"), "latest");
	assert_string_equal(kii_json_str(j, "content"), CONTENT);
	assert_null(json_object_get(j, "request"));
	say(f, "{\"tag\":%d,\"ok\":true,\"job\":\"" JOB "\",\"state\":\"failed\","
		"\"artifact\":\"x_error.zip\",\"cached\":true}\n", (int)kii_json_int(j, "tag", -1));
	json_decref(j);
	expect_events(f, 1, "ended failed x_error.zip 0;");
	/* A job that is under way is waited for like one's own. */
	submit_known(f, false);
	say(f, "{\"tag\":%d,\"ok\":true,\"job\":\"" JOB "\",\"state\":\"running\"}\n",
		expect_op(f, "find"));
	expect_events(f, 1, "accepted running  0;");
	say(f, "{\"end\":\"" JOB "\",\"state\":\"succeeded\",\"artifact\":\"x.zip\"}\n");
	expect_events(f, 1, "ended succeeded x.zip 0;");
	/* Who wants it built anew does not ask. */
	submit_known(f, true);
	say(f, "{\"tag\":%d,\"ok\":true,\"job\":\"" JOB "\",\"state\":\"running\"}\n",
		expect_op(f, "submit"));
	expect_events(f, 1, "accepted running  0;");
}

static void what_is_not_found_is_submitted(void **state)
{
	struct fixture *f = *state;
	int tag;

	start_listening(f);
	submit_known(f, false);
	take_connection(f);
	tag = expect_op(f, "find");
	say(f, "{\"tag\":%d,\"ok\":false,\"status\":404,\"code\":\"not_found\","
		"\"error\":\"unknown\"}\n", tag);
	assert_int_equal(expect_op(f, "submit"), tag);
	say(f, "{\"tag\":%d,\"ok\":false,\"status\":429,\"code\":\"queue_full\","
		"\"error\":\"full\"}\n", tag);
	expect_events(f, 1, "refused  queue_full 429;");
	/* A worker that goes in between is asked from the beginning. */
	submit_known(f, false);
	expect_op(f, "find");
	hang_up(f);
	take_connection(f);
	tag = expect_op(f, "find");
	say(f, "{\"tag\":%d,\"ok\":true,\"job\":\"" JOB "\",\"state\":\"running\"}\n", tag);
	expect_events(f, 1, "accepted running  0;");
	hang_up(f);
	take_connection(f);
	expect_op(f, "attach");
}

static void a_refusal_says_why(void **state)
{
	struct fixture *f = *state;

	start_listening(f);
	submit(f, true);
	take_connection(f);
	say(f, "{\"tag\":%d,\"ok\":false,\"status\":429,\"code\":\"queue_full\","
		"\"error\":\"full\"}\n",
		expect_op(f, "submit"));
	expect_events(f, 1, "refused  queue_full 429;");
}

static void a_refusal_without_words_is_none(void **state)
{
	static const char *const answers[] = { "\"ok\":false,\"code\":\"busy\"",
		"\"ok\":false,\"error\":\"no\"", "\"x\":1" };
	struct fixture *f = *state;

	start_listening(f);
	for (size_t i = 0; i < KII_COUNT(answers); i++) {
		submit(f, true);
		if (i == 0)
			take_connection(f);
		say(f, "{\"tag\":%d,%s}\n", expect_op(f, "submit"), answers[i]);
	}
	expect_events(f, 3, "lost   0;lost   0;lost   0;");
}

static void all_who_wait_for_a_job_hear_of_its_end(void **state)
{
	struct fixture *f = *state;

	start_listening(f);
	for (int i = 0; i < 3; i++)
		submit(f, true);
	take_connection(f);
	for (int i = 0; i < 3; i++)
		say(f, "{\"tag\":%d,\"ok\":true,\"job\":\"" JOB "\",\"state\":\"running\"}\n",
			expect_op(f, "submit"));
	expect_events(f, 3, "accepted running  0;accepted running  0;accepted running  0;");
	say(f, "{\"end\":\"" JOB "\",\"state\":\"lost\"}\n");
	expect_events(f, 3, "ended lost  0;ended lost  0;ended lost  0;");
}

static void after_a_restart_it_asks_again_for_what_it_waits_for(void **state)
{
	struct fixture *f = *state;

	start_listening(f);
	submit(f, true);
	take_connection(f);
	say(f, "{\"tag\":%d,\"ok\":true,\"job\":\"" JOB "\",\"state\":\"running\"}\n",
		expect_op(f, "submit"));
	expect_events(f, 1, "accepted running  0;");
	submit(f, true);
	expect_op(f, "submit");
	hang_up(f);
	take_connection(f);
	say(f, "{\"tag\":%d,\"ok\":true,\"job\":\"" JOB "\",\"state\":\"running\"}\n",
		expect_op(f, "attach"));
	say(f, "{\"tag\":%d,\"ok\":true,\"job\":\"" JOB "\",\"state\":\"running\"}\n",
		expect_op(f, "submit"));
	/* Accepted was said before for the first, so it is heard for the second alone. */
	expect_events(f, 1, "accepted running  0;");
	say(f, "{\"end\":\"" JOB "\",\"state\":\"succeeded\",\"artifact\":\"x.zip\"}\n");
	expect_events(f, 2, "ended succeeded x.zip 0;ended succeeded x.zip 0;");
}

static void a_job_that_the_new_worker_does_not_know_is_lost(void **state)
{
	struct fixture *f = *state;

	start_listening(f);
	submit(f, true);
	take_connection(f);
	say(f, "{\"tag\":%d,\"ok\":true,\"job\":\"" JOB "\",\"state\":\"running\"}\n",
		expect_op(f, "submit"));
	expect_events(f, 1, "accepted running  0;");
	hang_up(f);
	take_connection(f);
	say(f, "{\"tag\":%d,\"ok\":false,\"status\":404,\"code\":\"not_found\"}\n",
		expect_op(f, "attach"));
	expect_events(f, 1, "lost   0;");
}

static void without_a_worker_a_request_is_given_up(void **state)
{
	struct fixture *f = *state;
	int64_t since = kii_io_now();

	submit(f, true);
	expect_events(f, 1, "lost   0;");
	assert_true(kii_io_now() - since >= 1500);
}

static void a_worker_that_comes_in_time_gets_the_request(void **state)
{
	struct fixture *f = *state;

	submit(f, true);
	usleep(500000);
	start_listening(f);
	take_connection(f);
	say(f, "{\"tag\":%d,\"ok\":false,\"status\":503,\"code\":\"image_missing\","
		"\"error\":\"no\"}\n",
		expect_op(f, "submit"));
	expect_events(f, 1, "refused  image_missing 503;");
}

/* A worker that takes each connection and the request, says `words`, and hangs up. */
struct spurner {
	struct fixture *f;
	const char *words;
	atomic_bool stop;
	int n;
	pthread_t thread;
};

static void *spurn(void *arg)
{
	struct spurner *s = arg;
	struct pollfd p = { s->f->listener, POLLIN, 0 };
	char chunk[4096];

	while (!atomic_load(&s->stop)) {
		int fd;

		if (poll(&p, 1, 50) != 1)
			continue;
		fd = accept(s->f->listener, NULL, NULL);
		if (*s->words && read(fd, chunk, sizeof(chunk)) > 0)
			dprintf(fd, "%s", s->words);
		close(fd);
		s->n++;
	}
	return NULL;
}

static void start_spurning(struct spurner *s, struct fixture *f, const char *words)
{
	*s = (struct spurner){ .f = f, .words = words };
	assert_int_equal(pthread_create(&s->thread, NULL, spurn, s), 0);
}

/* When `n` events have come, or should have. How many connections there were. */
static int stop_spurning(struct spurner *s, int n)
{
	await_events(s->f, n);
	atomic_store(&s->stop, true);
	pthread_join(s->thread, NULL);
	return s->n;
}

/* In ms, as Makefile.am has them for this test. */
enum { PATIENT_FOR = 3000, ANSWERED_WITHIN = 6000 };

static void a_request_is_given_up_when_the_worker_hangs_up_each_time(void **state)
{
	/* Nothing is heard of the worker; or something is, but no answer. */
	static const struct { const char *words; int ms; } rows[] = {
		{ "", 2000 }, { "{\"end\":\"" JOB "\"}\n", ANSWERED_WITHIN },
	};
	struct fixture *f = *state;

	start_listening(f);
	for (size_t i = 0; i < KII_COUNT(rows); i++) {
		int64_t since = kii_io_now();
		struct spurner s;
		int n;

		start_spurning(&s, f, rows[i].words);
		submit(f, true);
		n = stop_spurning(&s, 1);
		expect_events(f, 1, "lost   0;");
		assert_true(kii_io_now() - since >= rows[i].ms);
		assert_in_range(n, 5, rows[i].ms / 100 + 5);
	}
}

static void a_job_is_given_up_when_the_worker_hangs_up_each_time(void **state)
{
	struct fixture *f = *state;
	struct spurner s;
	int n;

	start_listening(f);
	submit(f, true);
	take_connection(f);
	say(f, "{\"tag\":%d,\"ok\":true,\"job\":\"" JOB "\",\"state\":\"running\"}\n",
		expect_op(f, "submit"));
	expect_events(f, 1, "accepted running  0;");
	start_spurning(&s, f, "{\"x\":1}\n");
	hang_up(f);
	n = stop_spurning(&s, 1);
	expect_events(f, 1, "lost   0;");
	assert_in_range(n, 5, PATIENT_FOR / 100 + 5);
}

static void what_is_forgotten_is_not_called(void **state)
{
	struct fixture *f = *state;
	uint64_t number;
	int tag;

	start_listening(f);
	number = submit(f, true);
	take_connection(f);
	tag = expect_op(f, "submit");
	assert_true(kii_worklink_forget(f->link, number));
	assert_false(kii_worklink_forget(f->link, number));
	say(f, "{\"tag\":%d,\"ok\":true,\"job\":\"" JOB "\",\"state\":\"running\"}\n", tag);
	submit(f, false);
	say(f, "not json\n{\"tag\":%d,\"ok\":true,\"job\":\"" JOB "\",\"state\":\"running\"}\n",
		expect_op(f, "submit"));
	expect_events(f, 1, "accepted running  0;");
}

static void who_frees_the_link_leaves_nobody_waiting(void **state)
{
	struct fixture *f = *state;
	struct kii_error err = { 0 };

	start_listening(f);
	submit(f, true);
	take_connection(f);
	expect_op(f, "submit");
	kii_worklink_free(f->link);
	expect_events(f, 1, "lost   0;");
	must(kii_worklink_new(f->dir, &f->link, &err));
}

static void *answer_next(void *arg)
{
	struct fixture *f = arg;

	say(f, "{\"tag\":%d,\"ok\":true,\"job\":\"" JOB "\",\"state\":\"running\"}\n",
		expect_op(f, "submit"));
	return NULL;
}

/* The link's thread looks for requests once a second while one waits: no wake-up is needed. */
static void a_request_may_be_answered_before_its_submit_returns(void **state)
{
	struct fixture *f = *state;
	pthread_t worker;

	start_listening(f);
	submit(f, true);
	take_connection(f);
	expect_op(f, "submit");
	pthread_create(&worker, NULL, answer_next, f);
	slow_submit = f;
	unlocks = 2;
	submit(f, true);
	pthread_join(worker, NULL);
	expect_events(f, 1, "accepted running  0;");
	say(f, "{\"end\":\"" JOB "\",\"state\":\"succeeded\",\"artifact\":\"x.zip\"}\n");
	expect_events(f, 1, "ended succeeded x.zip 0;");
}

static void accept_tag(struct fixture *f, int tag)
{
	say(f, "{\"tag\":%d,\"ok\":true,\"job\":\"" JOB "\",\"state\":\"running\"}\n", tag);
}

static void after_a_burst_its_memory_is_given_back_once(void **state)
{
	struct fixture *f = *state;
	char env[300001];
	int tags[5];

	memset(env, 'x', sizeof(env) - 1);
	env[sizeof(env) - 1] = '\0';
	trims = 0;
	start_listening(f);
	for (int i = 0; i < 5; i++)
		submit_env(f, env, true);
	take_connection(f);
	for (int i = 0; i < 5; i++)
		tags[i] = expect_op(f, "submit");
	for (int i = 0; i < 4; i++)
		accept_tag(f, tags[i]);
	expect_events(f, 4, "accepted running  0;accepted running  0;accepted running  0;"
		"accepted running  0;");
	/* One of them waits still. */
	assert_int_equal(trims, 0);
	accept_tag(f, tags[4]);
	expect_events(f, 1, "accepted running  0;");
	submit(f, false);
	accept_tag(f, expect_op(f, "submit"));
	expect_events(f, 1, "accepted running  0;");
	assert_int_equal(trims, 1);
}

/* Refused at once: it does not fit into a line, or is none. */
static void a_request_that_is_too_long_is_refused(void **state)
{
	struct fixture *f = *state;
	size_t len = KII_WORKLINK_LINE - 40;
	kii_autofree char *text = kii_xmalloc(len + 1);

	memset(text, ' ', len);
	text[len] = '\0';
	for (int i = 0; i < 2; i++) {
		kii_worklink_submit(f->link, &(struct kii_link_order){ .kind = "pull",
			.client = "token", .text = i ? NULL : text, .len = len }, true, on_report,
			f);
		expect_events(f, 1, "refused  too_big 413;");
	}
}

/* Read so many lines, whatever they say. */
static void skip_lines(struct fixture *f, int n)
{
	char chunk[65536];

	while (n > 0) {
		struct pollfd p = { f->fd, POLLIN, 0 };
		ssize_t got;

		assert_int_equal(poll(&p, 1, 5000), 1);
		got = read(f->fd, chunk, sizeof(chunk));
		assert_true(got > 0);
		for (ssize_t i = 0; i < got; i++)
			n -= chunk[i] == '\n';
	}
}

/* A worker that stands still: what waits for it has an end; what it takes or is given up is room */
static void what_waits_for_a_slow_worker_has_an_end(void **state)
{
	struct fixture *f = *state;
	size_t len = KII_WORKLINK_WAITING / 9;
	kii_autofree char *text = kii_xmalloc(len + 1);
	struct kii_link_order order = { .kind = "pull", .client = "token", .text = text,
		.len = len };
	uint64_t tags[9];

	memset(text, ' ', len);
	memcpy(text, "{}", 2);
	text[len] = '\0';
	start_listening(f);
	for (int i = 0; i < 8; i++)
		tags[i] = kii_worklink_submit(f->link, &order, true, on_report, f);
	kii_worklink_submit(f->link, &order, true, on_report, f);
	expect_events(f, 1, "refused  overloaded 503;");
	take_connection(f);
	assert_true(kii_worklink_forget(f->link, tags[7]));
	tags[7] = kii_worklink_submit(f->link, &order, true, on_report, f);
	kii_worklink_submit(f->link, &order, true, on_report, f);
	expect_events(f, 1, "refused  overloaded 503;");
	skip_lines(f, 8);
	accept_tag(f, (int)tags[0]);
	expect_events(f, 1, "accepted running  0;");
	tags[8] = kii_worklink_submit(f->link, &order, true, on_report, f);
	skip_lines(f, 1);
	for (int i = 1; i < 9; i++)
		assert_true(kii_worklink_forget(f->link, tags[i]));
	expect_events(f, 0, "");
}

/* --- one question, one answer --- */

static void *answer_one(void *arg)
{
	struct fixture *f = arg;

	take_connection(f);
	json_decref(next_line(f));
	if (f->events[0])
		say(f, "%s", f->events);
	hang_up(f);
	return NULL;
}

static int ask(struct fixture *f, const char *answer, json_t **out, struct kii_error *err)
{
	json_t *question = json_pack("{s:s}", "op", "status");
	pthread_t t;
	int rc;

	snprintf(f->events, sizeof(f->events), "%s", answer);
	pthread_create(&t, NULL, answer_one, f);
	rc = kii_worklink_ask(f->dir, question, 3000, out, err);
	pthread_join(t, NULL);
	json_decref(question);
	return rc;
}

static void a_question_gets_its_answer_or_the_reason(void **state)
{
	struct fixture *f = *state;
	struct kii_error err = { 0 };
	json_t *answer = NULL;

	start_listening(f);
	must(ask(f, "{\"ok\":true,\"pid\":7}\n", &answer, &err));
	assert_int_equal(kii_json_int(answer, "pid", 0), 7);
	json_decref(answer);
	must_fail(ask(f, "{\"ok\":false,\"status\":404}\n", &answer, &err), KII_ENOTFOUND);
	must_fail(ask(f, "{\"ok\":false,\"status\":409}\n", &answer, &err), KII_ECONFLICT);
	must_fail(ask(f, "{\"ok\":false,\"status\":400}\n", &answer, &err), KII_EINVAL);
	must_fail(ask(f, "{\"ok\":false,\"status\":403}\n", &answer, &err), KII_EREFUSED);
	must_fail(ask(f, "[1]\n", &answer, &err), KII_EBROKEN);
	must_fail(ask(f, "nonsense\n", &answer, &err), KII_EBROKEN);
	must_fail(ask(f, "", &answer, &err), KII_EDOWN);
}

struct place_row {
	const char *answer;
	int code;
	int64_t place, estimate_ms;
};

static void a_job_is_told_where_it_stands(void **state)
{
	static const struct place_row rows[] = {
		{ "{\"ok\":true,\"state\":\"queued\",\"place\":3,\"estimate_ms\":4000}\n",
		  KII_OK, 3, 4000 },
		{ "{\"ok\":true,\"state\":\"queued\",\"place\":1}\n", KII_OK, 1, -1 },
		{ "{\"ok\":true,\"state\":\"running\",\"place\":0}\n", KII_ECONFLICT, 0, 0 },
		{ "{\"ok\":true,\"state\":\"lost\"}\n", KII_ECONFLICT, 0, 0 },
		{ "{\"ok\":true,\"state\":\"queued\",\"place\":0}\n", KII_EBROKEN, 0, 0 },
		{ "{\"ok\":true}\n", KII_EBROKEN, 0, 0 },
		{ "{\"ok\":false,\"status\":404}\n", KII_ENOTFOUND, 0, 0 },
		{ "", KII_EDOWN, 0, 0 },
	};
	struct fixture *f = *state;

	start_listening(f);
	for (size_t i = 0; i < KII_COUNT(rows); i++) {
		struct kii_error err = { 0 };
		int64_t place = 0, estimate_ms = 0;
		pthread_t t;

		snprintf(f->events, sizeof(f->events), "%s", rows[i].answer);
		pthread_create(&t, NULL, answer_one, f);
		assert_int_equal(kii_worklink_place(f->dir, JOB, 3000, &place, &estimate_ms, &err),
			rows[i].code == KII_OK ? 0 : -1);
		pthread_join(t, NULL);
		assert_int_equal(err.code, rows[i].code);
		assert_int_equal(place, rows[i].place);
		assert_int_equal(estimate_ms, rows[i].estimate_ms);
	}
}

static void a_question_is_not_waited_on_for_ever(void **state)
{
	struct fixture *f = *state;
	struct kii_error err = { 0 };
	json_t *question = json_pack("{s:s}", "op", "status");
	json_t *answer = NULL;

	must_fail(kii_worklink_ask(f->dir, question, 100, &answer, &err), KII_EDOWN);
	start_listening(f);
	must_fail(kii_worklink_ask(f->dir, question, 100, &answer, &err), KII_ETIMEOUT);
	json_decref(question);
}

static void on_signal(int sig)
{
	(void)sig;
}

struct disturber {
	pthread_t whom;
	int listener;
};

static void *disturb(void *arg)
{
	const struct disturber *d = arg;

	usleep(100000);
	pthread_kill(d->whom, SIGALRM);
	/* Who waits on by then would wait for ever. */
	usleep(2400000);
	close(d->listener);
	return NULL;
}

static void a_signal_does_not_lengthen_a_question(void **state)
{
	const struct sigaction act = { .sa_handler = on_signal, .sa_flags = SA_RESTART };
	struct fixture *f = *state;
	struct disturber d = { .whom = pthread_self() };
	struct kii_error err = { 0 };
	kii_autojson *question = json_pack("{s:s}", "op", "status");
	json_t *answer = NULL;
	struct sigaction before;
	pthread_t thread;
	int rc;

	start_listening(f);
	d.listener = f->listener;
	f->listener = -1;
	assert_int_equal(sigaction(SIGALRM, &act, &before), 0);
	assert_int_equal(pthread_create(&thread, NULL, disturb, &d), 0);
	rc = kii_worklink_ask(f->dir, question, 1000, &answer, &err);
	pthread_join(thread, NULL);
	sigaction(SIGALRM, &before, NULL);
	must_fail(rc, KII_ETIMEOUT);
}

#define link_test(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		link_test(a_job_is_accepted_and_ends),
		link_test(without_waiting_one_event_is_all),
		link_test(what_is_known_is_found_without_the_request),
		link_test(what_is_not_found_is_submitted),
		link_test(a_refusal_says_why),
		link_test(a_refusal_without_words_is_none),
		link_test(all_who_wait_for_a_job_hear_of_its_end),
		link_test(after_a_restart_it_asks_again_for_what_it_waits_for),
		link_test(a_job_that_the_new_worker_does_not_know_is_lost),
		link_test(without_a_worker_a_request_is_given_up),
		link_test(a_worker_that_comes_in_time_gets_the_request),
		link_test(a_request_is_given_up_when_the_worker_hangs_up_each_time),
		link_test(a_job_is_given_up_when_the_worker_hangs_up_each_time),
		link_test(what_is_forgotten_is_not_called),
		link_test(a_request_may_be_answered_before_its_submit_returns),
		link_test(after_a_burst_its_memory_is_given_back_once),
		link_test(who_frees_the_link_leaves_nobody_waiting),
		link_test(a_request_that_is_too_long_is_refused),
		link_test(what_waits_for_a_slow_worker_has_an_end),
		link_test(a_question_gets_its_answer_or_the_reason),
		link_test(a_job_is_told_where_it_stands),
		link_test(a_question_is_not_waited_on_for_ever),
		link_test(a_signal_does_not_lengthen_a_question),
	};

	return cmocka_run_group_tests_name("worklink", tests, NULL, NULL);
}
