/* SPDX-License-Identifier: MIT */
/*
 * kiisrv-worker [-c FILE]: records jobs and drives the container engine. TERM or INT ends it;
 * containers go on and the next worker takes them over. HUP has it start anew, from what lies at
 * its path now and with the configuration as it is now, in the same process: its socket stays open
 * meanwhile. With a configuration that is wrong it goes on as it was.
 */
#include <config.h>

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <limits.h>
#include <signal.h>
#include <stdlib.h>
#include <stdint.h>
#include <stdio.h>
#include <unistd.h>

#include "collector.h"
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
	struct worker *w;
	pthread_t slots[LANE__MAX * WORKER_SLOTS_MAX];
	size_t n_slots;
	pthread_t janitor, collector, git, signals;
};

static void own_signals(sigset_t *set)
{
	sigemptyset(set);
	sigaddset(set, SIGHUP);
	sigaddset(set, SIGTERM);
	sigaddset(set, SIGINT);
}

/* Would a new worker take the configuration, and the layouts that it names? */
static bool may_start_again(const struct worker *w)
{
	struct kii_conf *conf = NULL;
	struct kii_layouts *layouts = NULL;
	struct kii_error err = { 0 };
	bool may = kii_conf_load(w->conf_file, &conf, &err) == 0 &&
		kii_layouts_load((const char *const *)conf->paths.layouts, conf->paths.n_layouts,
			&layouts, &err) == 0;

	if (!may)
		kii_log_error("reload_refused", "error=%s", kii_q(err.msg));
	kii_layouts_free(layouts);
	kii_conf_free(conf);
	return may;
}

static void end_server(struct worker *w)
{
	atomic_store(&w->closed, true);
	worker_wake_server(w);
}

static void join_threads(const struct threads *t)
{
	pthread_join(t->janitor, NULL);
	pthread_join(t->collector, NULL);
	pthread_join(t->git, NULL);
	for (size_t i = 0; i < t->n_slots; i++)
		pthread_join(t->slots[i], NULL);
}

/*
 * Waits for a signal that ends this worker, then for all threads. The server ends at once, or last
 * when another worker is to follow: what is submitted meanwhile is that one's.
 */
static void *await_signal(void *arg)
{
	const struct threads *t = arg;
	struct worker *w = t->w;
	sigset_t set;
	int sig;

	own_signals(&set);
	do
		sigwait(&set, &sig);
	while (sig == SIGHUP && !may_start_again(w));
	kii_log_info("stopping", "signal=%d", sig);
	if (sig == SIGHUP)
		kii_notify_reloading();
	else
		kii_notify("STOPPING=1");
	atomic_store(&w->again, sig == SIGHUP);
	pthread_mutex_lock(&w->lock);
	atomic_store(&w->stop, true);
	for (size_t i = 0; i < LANE__MAX; i++)
		pthread_cond_broadcast(&w->lanes[i].work_to_do);
	pthread_cond_broadcast(&w->janitor_wake);
	pthread_cond_broadcast(&w->collector_wake);
	pthread_cond_broadcast(&w->git_wake);
	pthread_cond_broadcast(&w->job_ended);
	pthread_mutex_unlock(&w->lock);
	if (sig != SIGHUP)
		end_server(w);
	join_threads(t);
	end_server(w);
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

/* *kept: the listening socket, for who comes after us. */
static int work(struct worker *w, int *kept, struct kii_error *err)
{
	struct threads t = { .w = w };
	int listener, rc;

	first_look(w);
	if (server_listen(w, &listener, err) != 0)
		return -1;
	start_thread(&t.janitor, janitor_run, w);
	start_thread(&t.collector, collector_run, w);
	start_thread(&t.git, git_run, w);
	for (size_t i = 0; i < LANE__MAX; i++)
		start_slots(&t, &w->lanes[i]);
	start_thread(&t.signals, await_signal, &t);
	kii_log_info("ready", "pid=%d instance=%s slots=%zu", (int)getpid(), w->instance,
		t.n_slots);
	kii_notify("READY=1");
	*kept = fcntl(listener, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
	rc = server_run(w, listener, err);
	if (!atomic_load(&w->again) && *kept >= 0) {
		close(*kept);
		*kept = -1;
	}
	if (rc != 0)
		kill(getpid(), SIGTERM);
	pthread_join(t.signals, NULL);
	return rc;
}

static void block_signals(void)
{
	sigset_t set;

	own_signals(&set);
	pthread_sigmask(SIG_BLOCK, &set, NULL);
	signal(SIGPIPE, SIG_IGN);
}

/* Ends with another program in our place, or with 1. */
static int start_again(char **argv, const char *self, int kept)
{
	char number[16];

	if (kept >= 0 && fcntl(kept, F_SETFD, 0) == 0) {
		snprintf(number, sizeof(number), "%d", kept);
		setenv(SERVER_LISTENER, number, 1);
	}
	execv(self, argv);
	kii_log_error("start_again", "errno=%d", errno);
	return 1;
}

int main(int argc, char **argv)
{
	struct kii_error err = { 0 };
	struct kii_conf *conf = NULL;
	struct worker w;
	const char *file = NULL;
	bool again;
	char self[PATH_MAX] = "";   /* before an upgrade takes the file away */
	ssize_t self_len = readlink("/proc/self/exe", self, sizeof(self) - 1);
	int lock = -1, kept = -1, c, rc;

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
	w.conf_file = file;
	if (rc == 0)
		rc = work(&w, &kept, &err);
	if (rc != 0)
		kii_log_error("ended", "code=%s error=%s", kii_code_word(err.code), kii_q(err.msg));
	again = rc == 0 && self_len > 0 && atomic_load(&w.again);
	start_release(&w);
	kii_conf_free(conf);
	if (lock >= 0)
		close(lock);
	return again ? start_again(argv, self, kept) : rc == 0 ? 0 : 1;
}
