/* SPDX-License-Identifier: MIT */
#include <config.h>

#include "engine_multi.h"

#include <pthread.h>
#include <stdlib.h>

#include "engine_handle.h"
#include "io.h"

#define STACK_SIZE  (512u << 10)
#define BUFFER_SIZE 8192L       /* what one answer may bring at once */
#define IDLE_CONNS  8L          /* connections that are kept for later */
#define WAIT_MS     1000

struct posted {
	struct posted *next;
	kii_multi_fn *fn;
	void *arg;
};

struct kii_multi {
	struct kii_engine_opts opts;
	char *address, *cert_path;
	CURLM *curl;
	kii_multi_tick *tick;
	void *tick_arg;
	pthread_t thread;
	pthread_mutex_t lock;
	struct posted *first, **last;   /* under the lock */
	bool stop;                      /* likewise */
	struct kii_async *all;
};

struct kii_async {
	struct kii_multi *m;
	struct kii_async *next, **prev;
	struct kii_engine *e;           /* its transfers are driven by m->curl */
	struct kii_call call;
	struct kii_error err;
	kii_async_sink *sink;
	kii_async_done *done;
	void *arg;
	bool runs;
	bool unbegun;                   /* it could not begin: `done` is due */
	bool paused;
	int64_t silence_ms;
};

/* --- one --- */

static int take(void *arg, const char *data, size_t len, struct kii_error *err)
{
	struct kii_async *a = arg;

	return a->sink(a->arg, data, len, err);
}

struct kii_async *kii_async_new(struct kii_multi *m, kii_async_sink *sink, kii_async_done *done,
	void *arg)
{
	struct kii_async *a = kii_xcalloc(1, sizeof(*a));

	a->m = m;
	a->sink = sink;
	a->done = done;
	a->arg = arg;
	a->call = (struct kii_call)KII_CALL_INIT("GET");
	a->next = m->all;
	a->prev = &m->all;
	if (a->next)
		a->next->prev = &a->next;
	m->all = a;
	return a;
}

void kii_async_free(struct kii_async *a)
{
	if (!a)
		return;
	if (a->runs)
		kii_call_end(a->e, &a->call);
	kii_call_release(&a->call);
	kii_engine_free(a->e);
	*a->prev = a->next;
	if (a->next)
		a->next->prev = a->prev;
	free(a);
}

/* The request is made, or `a->err` says why not. */
static int begin(struct kii_async *a, const char *api, const char *path, bool log)
{
	struct kii_call *c = &a->call;

	/* an address that was taken once is taken again: what fails is curl */
	if (!a->e && kii_engine_new_shared(&a->m->opts, a->m->curl, &a->e, &a->err))
		return -1;
	kii_call_release(c);
	*c = (struct kii_call)KII_CALL_INIT("GET");
	c->plain = true;
	c->log = log;
	c->sink = take;
	c->sink_arg = a;
	c->paused = &a->paused;
	c->limit_ms = KII_LIMIT_NONE;
	c->err = &a->err;
	kii_call_path(c, "/v%s%s", api, path);
	if (kii_call_begin(a->e, c, &a->err))
		return -1;
	curl_easy_setopt(a->e->easy, CURLOPT_PRIVATE, a);
	curl_easy_setopt(a->e->easy, CURLOPT_BUFFERSIZE, BUFFER_SIZE);
	return 0;
}

void kii_async_get(struct kii_async *a, const char *api, const char *path, bool log,
	int64_t silence_ms)
{
	kii_error_clear(&a->err);
	a->runs = a->unbegun = false;
	a->paused = false;
	a->silence_ms = silence_ms;
	if (begin(a, api, path, log))
		a->unbegun = true;
	else
		a->runs = true;
	curl_multi_wakeup(a->m->curl);
}

bool kii_async_runs(const struct kii_async *a)
{
	return a->runs || a->unbegun;
}

void kii_async_pause(struct kii_async *a, bool pause)
{
	if (!a->runs || a->paused == pause)
		return;
	a->paused = pause;
	a->call.heard = kii_io_now();
	curl_easy_pause(a->e->easy, pause ? CURLPAUSE_RECV : CURLPAUSE_CONT);
}

static void conclude(struct kii_async *a, CURLcode rc)
{
	struct kii_error err;
	int bad = kii_call_conclude(a->e, &a->call, rc, &a->err);

	kii_call_end(a->e, &a->call);
	a->runs = false;
	err = a->err;
	a->done(a->arg, bad ? &err : NULL);
}

static void time_out(struct kii_async *a)
{
	struct kii_error err;

	kii_call_end(a->e, &a->call);
	a->runs = false;
	kii_error_set(&a->err, KII_ETIMEOUT, 0, "the engine took too long");
	err = a->err;
	a->done(a->arg, &err);
}

/* --- all --- */

/* Was there one? */
static bool conclude_all(struct kii_multi *m)
{
	CURLMsg *msg;
	bool any = false;
	int left;

	while ((msg = curl_multi_info_read(m->curl, &left))) {
		struct kii_async *a = NULL;
		CURLcode rc = msg->data.result;

		curl_easy_getinfo(msg->easy_handle, CURLINFO_PRIVATE, (char **)&a);
		if (a && a->runs) {
			conclude(a, rc);
			any = true;
		}
	}
	return any;
}

/* One that is due is concluded; a callback may change the list, so it is looked at anew. */
static bool conclude_due(struct kii_multi *m, int64_t now)
{
	for (struct kii_async *a = m->all; a; a = a->next) {
		if (a->unbegun) {
			struct kii_error err = a->err;

			a->unbegun = false;
			a->done(a->arg, &err);
			return true;
		}
		if (a->runs && a->silence_ms && !a->paused &&
		    now - a->call.heard >= a->silence_ms) {
			time_out(a);
			return true;
		}
	}
	return false;
}

static bool run_posted(struct kii_multi *m)
{
	struct posted *p, *next;
	bool stop;

	pthread_mutex_lock(&m->lock);
	p = m->first;
	m->first = NULL;
	m->last = &m->first;
	stop = m->stop;
	pthread_mutex_unlock(&m->lock);
	for (; p; p = next) {
		next = p->next;
		p->fn(p->arg);
		free(p);
	}
	return !stop;
}

static void *work(void *arg)
{
	struct kii_multi *m = arg;
	int running;

	while (run_posted(m)) {
		int64_t wait = m->tick(m->tick_arg, kii_io_now());

		/* What follows on an end is asked for the next tick. */
		while (conclude_due(m, kii_io_now()))
			wait = 0;
		curl_multi_perform(m->curl, &running);
		if (conclude_all(m))
			wait = 0;
		if (wait > 0)
			curl_multi_poll(m->curl, NULL, 0, (int)(wait < WAIT_MS ? wait : WAIT_MS),
				NULL);
	}
	return NULL;
}

static int start(struct kii_multi *m, struct kii_error *err)
{
	pthread_attr_t attr;
	int rc;

	pthread_attr_init(&attr);
	pthread_attr_setstacksize(&attr, STACK_SIZE);
	rc = pthread_create(&m->thread, &attr, work, m);
	pthread_attr_destroy(&attr);
	return rc ? kii_error_set(err, KII_EIO, rc, "no thread for the engine's streams") : 0;
}

static void release(struct kii_multi *m)
{
	for (struct kii_async *a = m->all, *next; a; a = next) {
		next = a->next;
		kii_async_free(a);
	}
	curl_multi_cleanup(m->curl);
	pthread_mutex_destroy(&m->lock);
	free(m->address);
	free(m->cert_path);
	free(m);
}

int kii_multi_new(const struct kii_engine_opts *opts, kii_multi_tick *tick, void *arg,
	struct kii_multi **out, struct kii_error *err)
{
	struct kii_multi *m = kii_xcalloc(1, sizeof(*m));
	struct kii_engine *e = NULL;

	m->opts = *opts;
	m->opts.address = m->address = kii_xstrdup(opts->address);
	m->opts.cert_path = m->cert_path = kii_xstrdup(opts->cert_path);
	m->tick = tick;
	m->tick_arg = arg;
	m->last = &m->first;
	pthread_mutex_init(&m->lock, NULL);
	/* curl is started by the first handle, and what is wrong with the address is said here */
	if (kii_engine_new(&m->opts, &e, err) == 0) {
		kii_engine_free(e);
		m->curl = curl_multi_init();
		if (m->curl)
			curl_multi_setopt(m->curl, CURLMOPT_MAXCONNECTS, IDLE_CONNS);
		else
			kii_error_set(err, KII_EIO, 0, "curl cannot start");
	}
	if (!m->curl || start(m, err)) {
		release(m);
		return -1;
	}
	*out = m;
	return 0;
}

void kii_multi_free(struct kii_multi *m)
{
	if (!m)
		return;
	pthread_mutex_lock(&m->lock);
	m->stop = true;
	pthread_mutex_unlock(&m->lock);
	curl_multi_wakeup(m->curl);
	pthread_join(m->thread, NULL);
	run_posted(m);
	release(m);
}

void kii_multi_post(struct kii_multi *m, kii_multi_fn *fn, void *arg)
{
	struct posted *p = kii_xcalloc(1, sizeof(*p));

	p->fn = fn;
	p->arg = arg;
	pthread_mutex_lock(&m->lock);
	*m->last = p;
	m->last = &p->next;
	pthread_mutex_unlock(&m->lock);
	curl_multi_wakeup(m->curl);
}
