/* SPDX-License-Identifier: MIT */
#include <config.h>

#include "tasks.h"

#include <pthread.h>
#include <stdlib.h>
#include <time.h>

#include "io.h"

#define STACK_SIZE (512u << 10)
/* A thread without work ends after this; the tests' own build says less. */
#ifndef IDLE_MS
#define IDLE_MS    10000
#endif

struct waiting {
	struct waiting *next;
	int64_t due;           /* of kii_io_now */
	kii_task *run;
	void *arg;
};

struct kii_tasks {
	struct kii_engine_opts opts;
	char *address, *cert_path;
	pthread_mutex_t lock;
	pthread_cond_t change;
	struct waiting *first;    /* by `due` */
	size_t n_waiting;
	size_t threads, idle;
	size_t leaving;           /* threads that only tidy up */
	pthread_t gone;           /* the last that has: the next one joins it, or the end */
	bool has_gone;
	atomic_bool ending;
	atomic_bool stop;         /* the engine's calls end */
};

static int engine_new(struct kii_tasks *t, struct kii_engine **out, struct kii_error *err)
{
	if (kii_engine_new(&t->opts, out, err))
		return -1;
	kii_engine_stop_flag(*out, &t->stop);
	return 0;
}

int kii_tasks_new(const struct kii_conf *conf, struct kii_tasks **out, struct kii_error *err)
{
	struct kii_tasks *t = kii_xcalloc(1, sizeof(*t));
	struct kii_engine *e = NULL;
	pthread_condattr_t attr;

	t->address = kii_xstrdup(conf->docker.socket_path);
	t->cert_path = kii_xstrdup(conf->docker.cert_path);
	t->opts = (struct kii_engine_opts){ .address = t->address, .cert_path = t->cert_path,
		.tls = conf->docker.tls_verify, .timeout_ms = conf->docker.timeout_ms };
	pthread_mutex_init(&t->lock, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&t->change, &attr);
	pthread_condattr_destroy(&attr);
	/* what is wrong with the address is said at the start */
	if (engine_new(t, &e, err)) {
		kii_tasks_free(t, 0);
		return -1;
	}
	kii_engine_free(e);
	*out = t;
	return 0;
}

/* With the lock: until there is a change, `until` at the latest. */
static void wait_until(struct kii_tasks *t, int64_t until)
{
	struct timespec at = { .tv_sec = until / 1000, .tv_nsec = until % 1000 * 1000000 };

	pthread_cond_timedwait(&t->change, &t->lock, &at);
}

/* With the lock: what is due now, or NULL when there was nothing for so long. */
static struct waiting *next(struct kii_tasks *t)
{
	int64_t end = kii_io_now() + IDLE_MS;
	struct waiting *w;

	for (;;) {
		int64_t now = kii_io_now();

		w = t->first;
		if (w && (w->due <= now || atomic_load(&t->ending))) {
			t->first = w->next;
			t->n_waiting--;
			return w;
		}
		/* somebody has to stay for what is delayed */
		if (atomic_load(&t->ending) || (!w && now >= end))
			return NULL;
		t->idle++;
		wait_until(t, w ? w->due : end);
		t->idle--;
	}
}

/*
 * The end of a thread goes on behind its function: libcrypto frees what it keeps for it. So each
 * waits for the one before, and kii_tasks_free for the last.
 */
static void go(struct kii_tasks *t)
{
	pthread_t before;
	bool wait;

	pthread_mutex_lock(&t->lock);
	before = t->gone;
	wait = t->has_gone;
	t->gone = pthread_self();
	t->has_gone = true;
	t->leaving--;
	pthread_cond_broadcast(&t->change);
	pthread_mutex_unlock(&t->lock);
	if (wait)
		pthread_join(before, NULL);
}

static void *work(void *arg)
{
	struct kii_tasks *t = arg;
	struct kii_engine *e = NULL;
	struct kii_error err = { 0 };
	struct waiting *w;

	pthread_mutex_lock(&t->lock);
	while ((w = next(t))) {
		pthread_mutex_unlock(&t->lock);
		/* it worked at the start: there is no memory */
		if (!e && engine_new(t, &e, &err))
			abort();
		w->run(e, w->arg);
		free(w);
		pthread_mutex_lock(&t->lock);
	}
	t->threads--;
	t->leaving++;
	pthread_mutex_unlock(&t->lock);
	kii_engine_free(e);
	go(t);
	return NULL;
}

static int start_thread(struct kii_tasks *t)
{
	pthread_attr_t attr;
	pthread_t thread;
	int rc;

	pthread_attr_init(&attr);
	pthread_attr_setstacksize(&attr, STACK_SIZE);
	rc = pthread_create(&thread, &attr, work, t);
	pthread_attr_destroy(&attr);
	t->threads += rc == 0;
	return rc;
}

static void insert(struct kii_tasks *t, struct waiting *w)
{
	struct waiting **at = &t->first;

	while (*at && (*at)->due <= w->due)
		at = &(*at)->next;
	w->next = *at;
	*at = w;
	t->n_waiting++;
}

/* With the lock. Only the first thread must come; with others there, work waits for them. */
static int add(struct kii_tasks *t, struct waiting *w, struct kii_error *err)
{
	int rc = 0;

	if (t->n_waiting >= KII_TASKS_WAITING)
		return kii_error_set(err, KII_EBUSY, 0, "too much waits for the engine");
	if (t->n_waiting >= t->idle && t->threads < KII_TASKS_THREADS)
		rc = start_thread(t);
	if (rc && !t->threads)
		return kii_error_set(err, KII_EIO, rc, "no thread for the engine's work");
	insert(t, w);
	pthread_cond_broadcast(&t->change);
	return 0;
}

int kii_tasks_add(struct kii_tasks *t, int64_t delay_ms, kii_task *run, void *arg,
	struct kii_error *err)
{
	struct waiting *w = kii_xcalloc(1, sizeof(*w));
	int rc;

	w->due = kii_io_now() + delay_ms;
	w->run = run;
	w->arg = arg;
	pthread_mutex_lock(&t->lock);
	rc = add(t, w, err);
	pthread_mutex_unlock(&t->lock);
	if (rc)
		free(w);
	return rc;
}

bool kii_tasks_ending(const struct kii_tasks *t)
{
	return atomic_load(&t->ending);
}

void kii_tasks_free(struct kii_tasks *t, int64_t patience_ms)
{
	int64_t end = kii_io_now() + patience_ms;

	if (!t)
		return;
	pthread_mutex_lock(&t->lock);
	atomic_store(&t->ending, true);
	pthread_cond_broadcast(&t->change);
	while (t->threads || t->leaving) {
		wait_until(t, kii_io_now() + 50);
		if (kii_io_now() >= end)
			atomic_store(&t->stop, true);
	}
	pthread_mutex_unlock(&t->lock);
	if (t->has_gone)
		pthread_join(t->gone, NULL);
	pthread_cond_destroy(&t->change);
	pthread_mutex_destroy(&t->lock);
	free(t->address);
	free(t->cert_path);
	free(t);
}
