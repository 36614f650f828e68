/* SPDX-License-Identifier: MIT */
#include <config.h>

#include "run.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "attempt.h"
#include "conclude.h"
#include "io.h"
#include "log.h"
#include "queue.h"

#ifndef PAUSE_MS        /* shortened for tests */
#define PAUSE_MS 1000   /* between attempts, and between tries of a database that is in trouble */
#endif

/* Sleep, but not past the worker's end. */
static void pause_for(struct worker *w, int64_t ms)
{
	for (int64_t until = kii_io_now() + ms; !atomic_load(&w->stop) && kii_io_now() < until;)
		usleep(20000);
}

/* The end goes into the row, whatever it takes: a full disk or a lock is waited for. */
static bool record_end(struct worker *w, const struct kii_job *job, const struct kii_job_end *end,
	struct running *slot)
{
	for (;;) {
		struct kii_error err = { 0 };
		int rc;

		pthread_mutex_lock(&w->lock);
		rc = kii_jobs_finish(w->jobs, job->id, end, &err);
		if (rc == 0 || err.code == KII_ECONFLICT || err.code == KII_ENOTFOUND) {
			worker_announce(w, job->id);
			queue_leave(slot);
			pthread_mutex_unlock(&w->lock);
			return rc == 0;
		}
		pthread_mutex_unlock(&w->lock);
		kii_log_error("job_end", "job=%s error=%s", job->id, kii_q(err.msg));
		if (atomic_load(&w->stop))
			return false;
		pause_for(w, PAUSE_MS);
	}
}

/* The attempt's log gets its number. One that stayed would count as the beginning of the next's. */
static void keep_log(const struct worker *w, const struct kii_job *job)
{
	kii_autofree char *from = worker_log_path(w, job->id, 0);
	kii_autofree char *to = worker_log_path(w, job->id, job->attempts);
	struct stat st;

	/* An earlier worker kept it, and died before the row said so. */
	if (stat(from, &st) == 0 && st.st_size == 0 && access(to, F_OK) == 0) {
		unlink(from);
	} else if (rename(from, to) != 0 && errno != ENOENT) {
		kii_log_warn("log_rename", "job=%s errno=%d", job->id, errno);
		unlink(from);
	}
}

/* Into the queue again, as patiently as an end is recorded. */
static void requeue(struct worker *w, const struct kii_job *job, struct running *slot)
{
	bool done = false;

	keep_log(w, job);
	while (!done) {
		struct kii_error err = { 0 };

		pthread_mutex_lock(&w->lock);
		done = kii_jobs_requeue(w->jobs, job->id, &err) == 0 || err.code == KII_ECONFLICT ||
			err.code == KII_ENOTFOUND || atomic_load(&w->stop);
		if (done) {
			queue_leave(slot);
			pthread_cond_signal(&w->work_to_do);
		}
		pthread_mutex_unlock(&w->lock);
		if (err.code != KII_OK)
			kii_log_error("requeue", "job=%s error=%s", job->id, kii_q(err.msg));
		if (!done)
			pause_for(w, PAUSE_MS);
	}
}

static void log_end(const struct kii_job *job, const struct kii_job_end *end)
{
	kii_log_info("job_ended", "job=%s state=%s outcome=%s attempt=%d exit=%d ms=%lld log=%lld "
		"artifact=%s", job->id, kii_job_state_name(end->state), end->outcome,
		job->attempts, end->exit_code, (long long)(end->finished - job->started),
		(long long)end->log_bytes, kii_q(end->artifact));
}

/* The engine failed this attempt. True when the job goes back into the queue. */
static bool try_again(struct attempt *a, const struct kii_error *why)
{
	kii_log_warn("attempt_failed", "job=%s attempt=%d code=%s error=%s", a->job->id,
		a->job->attempts, kii_code_word(why->code), kii_q(why->msg));
	if (atomic_load(&a->slot->cancel)) {
		conclude_without(a, KII_JOB_CANCELLED, "cancelled", "the build was cancelled");
		return false;
	}
	if (a->job->attempts < WORKER_ATTEMPTS)
		return true;
	conclude_without(a, KII_JOB_LOST, "engine",
		"the container engine failed the build %d times", a->job->attempts);
	return false;
}

static void run_job(struct worker *w, struct kii_job *job, struct running *slot)
{
	struct kii_error err = { 0 };
	struct attempt a;
	enum verdict verdict;

	kii_log_info("job_started", "job=%s attempt=%d board=%s image=%s", job->id, job->attempts,
		kii_q(job->subject), kii_q(job->release));
	if (attempt_init(&a, w, job, slot, &err) != 0) {
		kii_log_error("job_unfit", "job=%s error=%s", job->id, kii_q(err.msg));
		conclude_without(&a, KII_JOB_LOST, "unfit", "the server cannot run the build");
		record_end(w, job, &a.end, slot);
		attempt_release(&a);
		return;
	}
	if (job->attempts > 1)
		pause_for(w, PAUSE_MS * (job->attempts - 1));
	verdict = attempt_run(&a, &err);
	if (verdict == VERDICT_DETACHED) {
		pthread_mutex_lock(&w->lock);
		queue_leave(slot);
		pthread_mutex_unlock(&w->lock);
		attempt_release(&a);
		return;
	}
	if (verdict == VERDICT_AGAIN && try_again(&a, &err)) {
		attempt_clean(&a);
		requeue(w, job, slot);
		attempt_release(&a);
		return;
	}
	if (record_end(w, job, &a.end, slot))
		log_end(job, &a.end);
	attempt_clean(&a);
	attempt_release(&a);
}

void *run_slot(void *arg)
{
	struct worker *w = arg;

	for (;;) {
		struct kii_error err = { 0 };
		struct kii_job job = { 0 };
		struct running *slot = NULL;
		int rc = 0;

		pthread_mutex_lock(&w->lock);
		while (!atomic_load(&w->stop) && (rc = queue_claim(w, &job, &slot, &err)) == 0)
			pthread_cond_wait(&w->work_to_do, &w->lock);
		pthread_mutex_unlock(&w->lock);
		if (atomic_load(&w->stop) && !slot)
			return NULL;
		if (rc < 0) {
			kii_log_error("claim", "error=%s", kii_q(err.msg));
			pause_for(w, PAUSE_MS);
			continue;
		}
		run_job(w, &job, slot);
		kii_job_release(&job);
	}
}
