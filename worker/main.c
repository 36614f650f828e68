/* SPDX-License-Identifier: MIT */
/*
 * kiisrv-worker [-c FILE]: records jobs and drives the container engine. TERM or INT ends it;
 * containers go on and the next worker takes them over.
 */
#include <config.h>

#include <getopt.h>
#include <signal.h>
#include <stdlib.h>
#include <stdint.h>
#include <stdio.h>
#include <unistd.h>

#include "git.h"
#include "janitor.h"
#include "log.h"
#include "notify.h"
#include "run.h"
#include "server.h"
#include "start.h"

#define FIRST_LOOK_MS 5000   /* an engine that hangs does not keep the socket closed */

enum { EXIT_CONFIG = 78 };

struct threads {
	pthread_t slots[LANE__MAX * WORKER_SLOTS_MAX];
	size_t n_slots;
	pthread_t janitor, git, signals;
};

/* Waits for TERM or INT, then lets every thread know. */
static void *await_signal(void *arg)
{
	struct worker *w = arg;
	uint64_t one = 1;
	sigset_t set;
	ssize_t n;
	int sig;

	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigwait(&set, &sig);
	kii_log_info("stopping", "signal=%d", sig);
	kii_notify("STOPPING=1");
	pthread_mutex_lock(&w->lock);
	atomic_store(&w->stop, true);
	for (size_t i = 0; i < LANE__MAX; i++)
		pthread_cond_broadcast(&w->lanes[i].work_to_do);
	pthread_cond_broadcast(&w->janitor_wake);
	pthread_cond_broadcast(&w->git_wake);
	pthread_cond_broadcast(&w->job_ended);
	pthread_mutex_unlock(&w->lock);
	n = write(w->wake_server, &one, sizeof(one));
	(void)n;
	return NULL;
}

static void start_thread(pthread_t *t, void *(*run)(void *), void *arg)
{
	int rc = pthread_create(t, NULL, run, arg);

	if (rc != 0) {
		kii_log_error("thread", "errno=%d", rc);
		abort();
	}
}

/* The first look comes before the socket: a request at once must find its image. */
static void first_look(struct worker *w)
{
	struct kii_engine *engine = NULL;
	struct kii_error err = { 0 };

	janitor_sweep(w);
	if (worker_engine(w, FIRST_LOOK_MS, &engine, &err) != 0) {
		kii_log_error("engine", "error=%s", kii_q(err.msg));
		return;
	}
	janitor_look(w, engine);
	kii_engine_free(engine);
}

static void start_slots(struct threads *t, struct lane *lane)
{
	for (size_t i = 0; i < GROUP__MAX; i++)
		for (int64_t n = 0; n < lane->slots[i]; n++)
			start_thread(&t->slots[t->n_slots++], run_slot, lane);
}

static int work(struct worker *w, struct kii_error *err)
{
	struct threads t = { .n_slots = 0 };
	int listener, rc;

	first_look(w);
	if (server_listen(w, &listener, err) != 0)
		return -1;
	start_thread(&t.signals, await_signal, w);
	start_thread(&t.janitor, janitor_run, w);
	start_thread(&t.git, git_run, w);
	for (size_t i = 0; i < LANE__MAX; i++)
		start_slots(&t, &w->lanes[i]);
	kii_log_info("ready", "pid=%d instance=%s slots=%zu", (int)getpid(), w->instance,
		t.n_slots);
	kii_notify("READY=1");
	rc = server_run(w, listener, err);
	if (rc != 0)
		kill(getpid(), SIGTERM);
	pthread_join(t.signals, NULL);
	pthread_join(t.janitor, NULL);
	pthread_join(t.git, NULL);
	for (size_t i = 0; i < t.n_slots; i++)
		pthread_join(t.slots[i], NULL);
	return rc;
}

static void block_signals(void)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	pthread_sigmask(SIG_BLOCK, &set, NULL);
	signal(SIGPIPE, SIG_IGN);
}

int main(int argc, char **argv)
{
	struct kii_error err = { 0 };
	struct kii_conf *conf = NULL;
	struct worker w;
	const char *file = NULL;
	int lock = -1, c, rc;

	while ((c = getopt(argc, argv, "c:")) != -1) {
		if (c != 'c') {
			fprintf(stderr, "usage: kiisrv-worker [-c FILE]\n");
			return 64;
		}
		file = optarg;
	}
	kii_log_name("kiisrv-worker");
	block_signals();
	if (kii_conf_load(file, &conf, &err) != 0) {
		kii_log_error("config", "error=%s", kii_q(err.msg));
		return EXIT_CONFIG;
	}
	rc = start_worker(&w, conf, kii_store_schema_dir(), &lock, &err);
	if (rc == 0)
		rc = work(&w, &err);
	if (rc != 0)
		kii_log_error("ended", "code=%s error=%s", kii_code_word(err.code), kii_q(err.msg));
	start_release(&w);
	kii_conf_free(conf);
	if (lock >= 0)
		close(lock);
	return rc == 0 ? 0 : 1;
}
