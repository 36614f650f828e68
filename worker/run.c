/* SPDX-License-Identifier: MIT */
#include <config.h>

#include "run.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "io.h"
#include "kind.h"
#include "log.h"
#include "queue.h"

#ifndef PAUSE_MS        /* shortened for tests */
#define PAUSE_MS 1000   /* between attempts, and between tries of a database that is in trouble */
#endif

void run_pause(struct worker *w, int n)
{
	int64_t until = kii_io_now() + (int64_t)PAUSE_MS * n;

	while (!atomic_load(&w->stop) && kii_io_now() < until)
		usleep(20000);
}

static void log_end(const struct kii_job *job, const struct kii_job_end *end)
{
	kii_log_info("job_ended", "job=%s state=%s outcome=%s attempt=%d exit=%d ms=%lld log=%lld "
		"artifact=%s", job->id, kii_job_state_name(end->state), end->outcome,
		job->attempts, end->exit_code, (long long)(end->finished - job->started),
		(long long)end->log_bytes, kii_q(end->artifact));
}

/* A full disk or a lock is waited for. */
bool run_end(struct lane *lane, const struct kii_job *job, const struct kii_job_end *end,
	struct running *slot)
{
	struct worker *w = lane->w;

	for (;;) {
		struct kii_error err = { 0 };
		int rc;

		pthread_mutex_lock(&w->lock);
		rc = kii_jobs_finish(lane->jobs, job->id, end, &err);
		if (rc == 0 || err.code == KII_ECONFLICT || err.code == KII_ENOTFOUND) {
			worker_announce(w, job->id);
			queue_leave(slot);
			pthread_mutex_unlock(&w->lock);
			if (rc == 0)
				log_end(job, end);
			return rc == 0;
		}
		pthread_mutex_unlock(&w->lock);
		kii_log_error("job_end", "job=%s error=%s", job->id, kii_q(err.msg));
		if (atomic_load(&w->stop))
			return false;
		run_pause(w, 1);
	}
}

/* One that stayed would count as the beginning of the next's. */
void run_keep_log(const struct lane *lane, const char *id, int attempt)
{
	kii_autofree char *from = worker_log_path(lane, id, 0);
	kii_autofree char *to = worker_log_path(lane, id, attempt);
	struct stat st;

	/* An earlier worker kept it, and died before the row said so. */
	if (stat(from, &st) == 0 && st.st_size == 0 && access(to, F_OK) == 0) {
		unlink(from);
	} else if (rename(from, to) != 0 && errno != ENOENT) {
		kii_log_warn("log_rename", "job=%s errno=%d", id, errno);
		unlink(from);
	}
}

void run_again(struct lane *lane, const struct kii_job *job, struct running *slot)
{
	struct worker *w = lane->w;
	bool done = false;

	run_keep_log(lane, job->id, job->attempts);
	while (!done) {
		struct kii_error err = { 0 };

		pthread_mutex_lock(&w->lock);
		done = kii_jobs_requeue(lane->jobs, job->id, &err) == 0 ||
			err.code == KII_ECONFLICT || err.code == KII_ENOTFOUND ||
			atomic_load(&w->stop);
		if (done) {
			queue_leave(slot);
			pthread_cond_signal(&lane->work_to_do);
		}
		pthread_mutex_unlock(&w->lock);
		if (err.code != KII_OK)
			kii_log_error("requeue", "job=%s error=%s", job->id, kii_q(err.msg));
		if (!done)
			run_pause(w, 1);
	}
}

void run_leave(struct lane *lane, struct running *slot)
{
	pthread_mutex_lock(&lane->w->lock);
	queue_leave(slot);
	pthread_mutex_unlock(&lane->w->lock);
}

/* Of a kind that this program does not know: a newer one's, before it was taken back. */
static void give_up(struct lane *lane, const struct kii_job *job, struct running *slot)
{
	const struct kii_job_end end = { .state = KII_JOB_LOST, .exit_code = -1,
		.outcome = "unfit", .error = "the server does not know this kind of job",
		.finished = kii_io_wall() };

	run_end(lane, job, &end, slot);
}

void *run_slot(void *arg)
{
	struct lane *lane = arg;
	struct worker *w = lane->w;

	for (;;) {
		struct kii_error err = { 0 };
		struct kii_job job = { 0 };
		struct running *slot = NULL;
		const struct kind *kind;
		int rc = 0;

		pthread_mutex_lock(&w->lock);
		while (!atomic_load(&w->stop) && (rc = queue_claim(lane, &job, &slot, &err)) == 0)
			pthread_cond_wait(&lane->work_to_do, &w->lock);
		pthread_mutex_unlock(&w->lock);
		if (atomic_load(&w->stop) && !slot)
			return NULL;
		if (rc < 0) {
			kii_log_error("claim", "error=%s", kii_q(err.msg));
			run_pause(w, 1);
			continue;
		}
		kind = kind_find(job.kind);
		if (kind)
			kind->run(lane, &job, slot);
		else
			give_up(lane, &job, slot);
		kii_job_release(&job);
	}
}
