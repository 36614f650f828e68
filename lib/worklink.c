/* SPDX-License-Identifier: MIT */
#include <config.h>

#include "worklink.h"

#include <errno.h>
#include <malloc.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include "io.h"
#include "json.h"
#include "log.h"

#define NEW_PATIENCE_MS  2000    /* a request waits so long for a worker that restarts */
/* Lowered for tests. */
#ifndef JOB_PATIENCE_MS
#define JOB_PATIENCE_MS  25000   /* an accepted job so long for one that was lost */
#endif
#ifndef ANSWER_MS
#define ANSWER_MS        60000   /* a request for its answer, whatever becomes of connections */
#endif
#define RECONNECT_MS     100     /* from one connection to the next, at least */
#define SEND_S           10
#define RETRY_FULL       10      /* seconds */
#define TRIM_BYTES       (1u << 20)

struct call {
	struct call *next;
	uint64_t number;
	char *find;              /* the question that comes before it, until it is answered */
	char *line;              /* the submit, until it is accepted */
	size_t len;              /* of it */
	char job[40];            /* then its job */
	bool wait;
	bool sent, answered;     /* on this connection */
	int64_t asked;
	int64_t since;           /* without a worker */
	kii_link_call *call;
	void *arg;
};

struct kii_worklink {
	char *path;
	pthread_t thread;
	int wake;
	int fd;                  /* the thread's own */
	struct kii_buf in;       /* the thread's own */
	int64_t connect_at;      /* the thread's own: not before */
	bool heard;              /* the thread's own: something, on this connection */
	bool spurned;            /* the thread's own: nothing was, on the last one */
	size_t accepted;         /* the thread's own: bytes of lines that are no longer needed */
	atomic_bool stop;
	pthread_mutex_t lock;
	pthread_cond_t called;
	struct call *calls;
	size_t waiting;          /* bytes of their lines */
	uint64_t last_number;
	uint64_t in_call;        /* whose call is being made */
};

/* --- reports --- */

static const char *text_of(const json_t *j, const char *name)
{
	const char *s = kii_json_str(j, name);

	return s ? s : "";
}

static bool is_final(const char *state)
{
	return *state && strcmp(state, "queued") != 0 && strcmp(state, "running") != 0;
}

/* Borrowed from `j`, which may be NULL. */
static struct kii_link_report make_report(enum kii_link_event event, const json_t *j)
{
	const char *job = kii_json_str(j, "job");

	return (struct kii_link_report){
		.event = event,
		.job = job ? job : text_of(j, "end"),
		.key = text_of(j, "key"), .state = text_of(j, "state"),
		.outcome = text_of(j, "outcome"), .artifact = text_of(j, "artifact"),
		.error = text_of(j, "error"), .image = text_of(j, "image"),
		.code = text_of(j, "code"),
		.field = text_of(j, "field"),
		.cached = json_is_true(json_object_get(j, "cached")),
		.place = (int)kii_json_int(j, "place", 0),
		.estimate_ms = kii_json_int(j, "estimate_ms", -1),
		.duration_ms = kii_json_int(j, "duration_ms", 0),
		.status = (int)kii_json_int(j, "status", 503),
		.retry_after = (int)kii_json_int(j, "retry_after", 0),
	};
}

static void free_call(struct call *c)
{
	free(c->find);
	free(c->line);
	free(c);
}

/* Under the lock: its line is no longer needed. */
static void drop_line(struct kii_worklink *l, struct call *c)
{
	l->waiting -= c->len;
	free(c->line);
	c->line = NULL;
	c->len = 0;
}

/* Under the lock: take it out of the list. */
static void unlink_call(struct kii_worklink *l, struct call *c)
{
	drop_line(l, c);
	for (struct call **p = &l->calls; *p; p = &(*p)->next) {
		if (*p == c) {
			*p = c->next;
			return;
		}
	}
}

/* Under the lock, which is left for the call. With `last` the call is out of the list and freed. */
static void report(struct kii_worklink *l, struct call *c, enum kii_link_event event,
	const json_t *j, bool last)
{
	struct kii_link_report r = make_report(event, j);
	kii_link_call *call = c->call;
	void *arg = c->arg;

	l->in_call = c->number;
	if (last) {
		unlink_call(l, c);
		free_call(c);
	}
	pthread_mutex_unlock(&l->lock);
	call(arg, &r);
	pthread_mutex_lock(&l->lock);
	l->in_call = 0;
	pthread_cond_broadcast(&l->called);
}

/* --- what the worker says --- */

static struct call *find_number(struct kii_worklink *l, uint64_t number)
{
	struct call *c = l->calls;

	while (c && c->number != number)
		c = c->next;
	return c;
}

static struct call *find_job(struct kii_worklink *l, const char *job)
{
	struct call *c = l->calls;

	while (c && strcmp(c->job, job) != 0)
		c = c->next;
	return c;
}

static void take_answer(struct kii_worklink *l, struct call *c, const json_t *j)
{
	bool again = c->job[0] != '\0';

	c->answered = true;
	if (!json_is_true(json_object_get(j, "ok")) && c->find) {
		/* Whatever the reason: to the request itself it will be said as well. */
		free(c->find);
		c->find = NULL;
		c->sent = false;
	} else if (!json_is_true(json_object_get(j, "ok"))) {
		/* Without its words it is no refusal that a client could be given. */
		report(l, c, again || !*text_of(j, "code") || !*text_of(j, "error") ?
			KII_LINK_LOST : KII_LINK_REFUSED, j, true);
	} else if (is_final(text_of(j, "state"))) {
		report(l, c, KII_LINK_ENDED, j, true);
	} else {
		snprintf(c->job, sizeof(c->job), "%s", text_of(j, "job"));
		l->accepted += c->len;
		drop_line(l, c);
		free(c->find);
		c->find = NULL;
		if (!again || !c->wait)
			report(l, c, KII_LINK_ACCEPTED, j, !c->wait);
	}
}

static void take_line(struct kii_worklink *l, const char *line, size_t len)
{
	struct kii_error err = { 0 };
	kii_autojson *j = NULL;
	struct call *c;
	const char *end;

	if (kii_json_parse(line, len, "line", &j, &err) != 0) {
		kii_log_error("worker_line", "error=%s", kii_q(err.msg));
		return;
	}
	end = kii_json_str(j, "end");
	pthread_mutex_lock(&l->lock);
	if (end) {
		while ((c = find_job(l, end)))
			report(l, c, KII_LINK_ENDED, j, true);
	} else {
		c = find_number(l, (uint64_t)kii_json_int(j, "tag", 0));
		if (c)
			take_answer(l, c, j);
	}
	pthread_mutex_unlock(&l->lock);
}

/* --- the connection --- */

/* One that takes a connection and hangs up is not there: what waits for it waits on. */
static void disconnect(struct kii_worklink *l)
{
	int64_t now = kii_io_now();

	close(l->fd);
	l->fd = -1;
	if (l->heard || !l->spurned)
		kii_log_warn("worker_gone", NULL);
	kii_buf_release(&l->in);
	pthread_mutex_lock(&l->lock);
	for (struct call *c = l->calls; c; c = c->next) {
		if (c->job[0] ? c->answered : l->heard)
			c->since = now;
		c->sent = c->answered = false;
	}
	pthread_mutex_unlock(&l->lock);
	l->spurned = !l->heard;
	l->heard = false;
}

static bool try_connect(struct kii_worklink *l)
{
	struct timeval limit = { .tv_sec = SEND_S };
	struct kii_error err = { 0 };

	if (kii_io_now() < l->connect_at)
		return false;
	l->connect_at = kii_io_now() + RECONNECT_MS;
	if (kii_io_connect_unix(l->path, &l->fd, &err) != 0) {
		l->fd = -1;
		return false;
	}
	setsockopt(l->fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit));
	return true;
}

static bool send_text(struct kii_worklink *l, const char *text)
{
	size_t len = strlen(text);

	while (len) {
		ssize_t n = send(l->fd, text, len, MSG_NOSIGNAL);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return false;
		text += n;
		len -= (size_t)n;
	}
	return true;
}

/* Under the lock: the next unsent call's line, or NULL. Caller frees. */
static char *next_line(struct kii_worklink *l)
{
	struct call *c = l->calls;

	while (c && c->sent)
		c = c->next;
	if (!c)
		return NULL;
	c->sent = true;
	if (c->job[0])
		return kii_xfmt("{\"op\":\"attach\",\"tag\":%llu,\"job\":\"%s\"}\n",
			(unsigned long long)c->number, c->job);
	return kii_xstrdup(c->find ? c->find : c->line);
}

static bool send_calls(struct kii_worklink *l)
{
	for (;;) {
		kii_autofree char *line = NULL;

		pthread_mutex_lock(&l->lock);
		line = next_line(l);
		pthread_mutex_unlock(&l->lock);
		if (!line)
			return true;
		if (!send_text(l, line))
			return false;
	}
}

static bool receive(struct kii_worklink *l)
{
	char chunk[16384];
	ssize_t n = recv(l->fd, chunk, sizeof(chunk), 0);
	char *end;

	if (n < 0 && errno == EINTR)
		return true;
	if (n <= 0)
		return false;
	l->heard = true;
	kii_buf_add(&l->in, chunk, (size_t)n);
	if (l->in.overflow)
		return false;
	while ((end = memchr(l->in.data, '\n', l->in.len))) {
		size_t len = (size_t)(end - l->in.data);

		take_line(l, l->in.data, len);
		kii_buf_drop(&l->in, len + 1);
	}
	return true;
}

static bool is_lost(const struct kii_worklink *l, const struct call *c, int64_t now)
{
	if (l->fd < 0 && now - c->since >= (c->job[0] ? JOB_PATIENCE_MS : NEW_PATIENCE_MS))
		return true;
	return !c->job[0] && now - c->asked >= ANSWER_MS;
}

static void give_up_some(struct kii_worklink *l)
{
	int64_t now = kii_io_now();
	struct call *c;

	pthread_mutex_lock(&l->lock);
	do {
		c = l->calls;
		while (c && !is_lost(l, c, now))
			c = c->next;
		if (c)
			report(l, c, KII_LINK_LOST, NULL, true);
	} while (c);
	pthread_mutex_unlock(&l->lock);
}

static bool has_calls(struct kii_worklink *l)
{
	bool any;

	pthread_mutex_lock(&l->lock);
	any = l->calls != NULL;
	pthread_mutex_unlock(&l->lock);
	return any;
}

/*
 * A burst of requests is tens of kB each until the worker has accepted them; the waiters that were
 * made meanwhile lie among them and would keep all of it from the system for as long as they wait.
 */
static void give_back_memory(struct kii_worklink *l)
{
	const struct call *c;

	if (l->accepted < TRIM_BYTES)
		return;
	pthread_mutex_lock(&l->lock);
	for (c = l->calls; c && !c->line; c = c->next)
		;
	pthread_mutex_unlock(&l->lock);
	if (c)
		return;
	l->accepted = 0;
	malloc_trim(0);
}

static void *run(void *arg)
{
	struct kii_worklink *l = arg;

	while (!atomic_load(&l->stop)) {
		struct pollfd p[2] = { { l->wake, POLLIN, 0 }, { l->fd, POLLIN, 0 } };
		bool busy = has_calls(l);
		uint64_t n;

		if (l->fd < 0 && busy && try_connect(l))
			p[1].fd = l->fd;
		if (l->fd >= 0 && !send_calls(l)) {
			disconnect(l);
			continue;
		}
		if (poll(p, 2, !busy ? -1 : l->fd < 0 ? RECONNECT_MS : 1000) < 0 && errno != EINTR)
			break;
		if (p[0].revents && read(l->wake, &n, sizeof(n)) < 0 && errno != EAGAIN)
			break;
		if (p[1].revents && !receive(l))
			disconnect(l);
		give_up_some(l);
		give_back_memory(l);
	}
	return NULL;
}

/* --- the public part --- */

static void wake(struct kii_worklink *l)
{
	uint64_t one = 1;
	ssize_t n = write(l->wake, &one, sizeof(one));

	(void)n;
}

int kii_worklink_new(const char *run_dir, struct kii_worklink **out, struct kii_error *err)
{
	struct kii_worklink *l = kii_xcalloc(1, sizeof(*l));
	int rc;

	l->path = kii_xfmt("%s/worker/worker.sock", run_dir);
	l->fd = -1;
	l->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	kii_buf_init(&l->in, KII_WORKLINK_LINE);
	pthread_mutex_init(&l->lock, NULL);
	pthread_cond_init(&l->called, NULL);
	rc = l->wake < 0 ? errno : pthread_create(&l->thread, NULL, run, l);
	if (rc != 0) {
		kii_error_set(err, KII_EIO, rc, "worker link: %s", strerror(rc));
		if (l->wake >= 0)
			close(l->wake);
		free(l->path);
		free(l);
		return -1;
	}
	*out = l;
	return 0;
}

void kii_worklink_free(struct kii_worklink *l)
{
	if (!l)
		return;
	atomic_store(&l->stop, true);
	wake(l);
	pthread_join(l->thread, NULL);
	pthread_mutex_lock(&l->lock);
	while (l->calls)
		report(l, l->calls, KII_LINK_LOST, NULL, true);
	pthread_mutex_unlock(&l->lock);
	if (l->fd >= 0)
		close(l->fd);
	close(l->wake);
	kii_buf_release(&l->in);
	pthread_cond_destroy(&l->called);
	pthread_mutex_destroy(&l->lock);
	free(l->path);
	free(l);
}

/* The line of a find; NULL where there is nothing to ask by. */
static char *find_line(uint64_t number, const struct kii_link_order *o)
{
	kii_autojson *message = NULL;
	kii_autobuf text = KII_BUF_INIT(KII_WORKLINK_LINE);
	struct kii_error err = { 0 };

	if (o->fresh || !o->content)
		return NULL;
	message = json_object();
	kii_json_set_str(message, "op", "find");
	json_object_set_new(message, "tag", json_integer((json_int_t)number));
	kii_json_set_str(message, "kind", o->kind);
	kii_json_set_str(message, "env", o->env);
	kii_json_set_str(message, "content", o->content);
	if (kii_json_dump(message, 0, &text, &err) != 0)
		return NULL;
	kii_buf_char(&text, '\n');
	return kii_buf_steal(&text);
}

/*
 * The submit's line; NULL when it, or the request alone, is too long. In JSON a newline is but a
 * blank, where it may be at all: as blanks the request's fit into a line.
 */
static char *submit_line(uint64_t number, const struct kii_link_order *o)
{
	kii_autojson *message = json_object();
	kii_autobuf text = KII_BUF_INIT(KII_WORKLINK_LINE - 1);
	struct kii_error err = { 0 };
	size_t head;

	kii_json_set_str(message, "op", "submit");
	json_object_set_new(message, "tag", json_integer((json_int_t)number));
	kii_json_set_str(message, "kind", o->kind);
	kii_json_set_str(message, "client", o->client);
	json_object_set_new(message, "fresh", json_boolean(o->fresh));
	if (!o->text || kii_json_dump(message, 0, &text, &err) != 0)
		return NULL;
	text.len--;   /* the brace */
	kii_buf_str(&text, ",\"request\":");
	head = text.len;
	kii_buf_add(&text, o->text, o->len);
	kii_buf_str(&text, "}\n");
	if (text.overflow)
		return NULL;
	for (char *at = text.data + head; (at = strchr(at, '\n')) && at[1];)
		*at = ' ';
	return kii_buf_steal(&text);
}

/* Put it last in the list, if there is room for its line. */
static bool add_call(struct kii_worklink *l, struct call *c)
{
	struct call **end = &l->calls;
	bool fits;

	pthread_mutex_lock(&l->lock);
	fits = c->len <= KII_WORKLINK_WAITING - l->waiting;
	while (fits && *end)
		end = &(*end)->next;
	if (fits) {
		*end = c;
		l->waiting += c->len;
	}
	pthread_mutex_unlock(&l->lock);
	return fits;
}

/* It is in no list: say so and free it. */
static void refuse_call(struct call *c)
{
	struct kii_link_report r = make_report(KII_LINK_REFUSED, NULL);

	r.status = c->line ? 503 : 413;
	r.code = c->line ? "overloaded" : "too_big";
	r.error = c->line ? "too many requests wait for the worker: try again soon"
		: "the request is too big";
	r.retry_after = c->line ? RETRY_FULL : 0;
	c->call(c->arg, &r);
	free_call(c);
}

uint64_t kii_worklink_submit(struct kii_worklink *l, const struct kii_link_order *order, bool wait,
	kii_link_call *call, void *arg)
{
	struct call *c = kii_xcalloc(1, sizeof(*c));
	uint64_t number;

	pthread_mutex_lock(&l->lock);
	number = ++l->last_number;
	pthread_mutex_unlock(&l->lock);
	c->number = number;
	c->wait = wait;
	c->call = call;
	c->arg = arg;
	c->asked = c->since = kii_io_now();
	c->line = submit_line(number, order);
	c->len = c->line ? strlen(c->line) : 0;
	c->find = find_line(number, order);
	/* Once it is in the list it is the thread's: it may be answered and freed by now. */
	if (c->line && add_call(l, c))
		wake(l);
	else
		refuse_call(c);
	return number;
}

bool kii_worklink_forget(struct kii_worklink *l, uint64_t number)
{
	struct call *c;

	pthread_mutex_lock(&l->lock);
	while (l->in_call == number && !pthread_equal(pthread_self(), l->thread))
		pthread_cond_wait(&l->called, &l->lock);
	c = find_number(l, number);
	if (c) {
		unlink_call(l, c);
		free_call(c);
	}
	pthread_mutex_unlock(&l->lock);
	return c != NULL;
}
