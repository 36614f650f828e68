/* SPDX-License-Identifier: MIT */
#include <config.h>

#include "task.h"

#include <stdarg.h>
#include <string.h>
#include <unistd.h>

#include "io.h"
#include "json.h"
#include "log.h"
#include "run.h"

/* Times, shortened for tests. */
#ifndef PATIENCE_MS
#define PATIENCE_MS   60000   /* for an engine that is down when the work shall begin */
#endif
#ifndef LOOK_AGAIN_MS
#define LOOK_AGAIN_MS 300
#endif
#define TOLD_MS       500
#define ROW_ROOM      (128u << 10)

/* --- while it runs --- */

static void tell(struct task *t)
{
	struct kii_error err = { 0 };

	pthread_mutex_lock(&t->w->lock);
	if (kii_jobs_progress(t->lane->jobs, t->job->id, t->progress, &err) != 0)
		kii_log_warn("progress", "job=%s error=%s", t->job->id, kii_q(err.msg));
	pthread_mutex_unlock(&t->w->lock);
	t->told = kii_io_now();
	t->untold = false;
}

bool task_may_go_on(void *arg)
{
	struct task *t = arg;
	int64_t now = kii_io_now();

	if (t->untold && now - t->told >= TOLD_MS)
		tell(t);
	if (atomic_load(&t->w->stop) || t->stopped != STOPPED_NOT)
		return false;
	if (atomic_load(&t->slot->cancel))
		t->stopped = STOPPED_CANCELLED;
	else if (now >= t->deadline)
		t->stopped = STOPPED_TIMEOUT;
	else if (now - t->heard >= t->idle_ms)
		t->stopped = STOPPED_SILENCE;
	return t->stopped == STOPPED_NOT;
}

bool task_write(struct task *t, const char *data, size_t len)
{
	struct kii_error err = { 0 };

	t->heard = kii_io_now();
	if (kii_spool_feed(&t->spool, data, len, &err) != 0) {
		kii_log_error("log_write", "job=%s error=%s", t->job->id, kii_q(err.msg));
		t->stopped = STOPPED_DISK;
	}
	return task_may_go_on(t);
}

bool task_say(struct task *t, const char *fmt, ...)
{
	kii_autobuf line = KII_BUF_INIT(64u << 10);
	va_list ap;

	va_start(ap, fmt);
	kii_buf_vfmt(&line, fmt, ap);
	va_end(ap);
	kii_buf_char(&line, '\n');
	return task_write(t, line.data, line.len);
}

void task_progress(struct task *t, const char *fmt, ...)
{
	char text[sizeof(t->progress)];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	t->heard = kii_io_now();
	if (strcmp(text, t->progress) == 0)
		return;
	memcpy(t->progress, text, sizeof(text));
	t->untold = true;
	if (t->heard - t->told >= TOLD_MS)
		tell(t);
}

int task_image(struct task *t, const char *id, struct kii_error *err)
{
	int rc;

	pthread_mutex_lock(&t->w->lock);
	rc = kii_jobs_set_image(t->lane->jobs, t->job->id, id, err);
	pthread_mutex_unlock(&t->w->lock);
	return rc;
}

int (task_fail)(struct task *t, struct kii_error *err, const char *outcome, const char *fmt, ...)
{
	va_list ap;

	t->outcome = outcome;
	va_start(ap, fmt);
	vsnprintf(t->error, sizeof(t->error), fmt, ap);
	va_end(ap);
	kii_error_clear(err);
	return kii_error_set(err, KII_EREFUSED, 0, "%s", t->error);
}

/* The janitor may not have looked yet, or the image was made since. 1: found, 0: not there, -1. */
static int ask_for_helper(struct task *t, const char *name, char id[TASK_IMAGE],
	struct kii_error *err)
{
	struct kii_image *images = NULL;
	size_t n = 0;
	int found = worker_list_images(t->w, t->engine, &images, &n, err);

	for (size_t i = 0; i < n && found == 0; i++) {
		if (strcmp(images[i].name, name) == 0) {
			snprintf(id, TASK_IMAGE, "%s", images[i].id);
			found = 1;
		}
	}
	kii_images_free(images, n);
	return found;
}

int task_helper(struct task *t, char id[TASK_IMAGE], struct kii_error *err)
{
	struct worker *w = t->w;
	kii_autofree char *name = kii_xfmt("%sfetch:latest", w->conf->firmware.image_prefix);
	const struct kii_image *image;
	int found;

	pthread_mutex_lock(&w->lock);
	image = worker_image(w, "fetch");
	if (image)
		snprintf(id, TASK_IMAGE, "%s", image->id);
	pthread_mutex_unlock(&w->lock);
	found = image ? 1 : ask_for_helper(t, name, id, err);
	if (found != 0)
		return found < 0 ? -1 : 0;
	return task_fail(t, err, "no_helper", "the engine has no image %s: "
		"kiisrvctl images build fetch", name);
}

/* --- its end --- */

static void end_as(struct task *t, struct kii_job_end *end, enum kii_job_state state,
	const char *outcome, const char *sentence)
{
	end->state = state;
	t->outcome = outcome;
	if (sentence)
		snprintf(t->error, sizeof(t->error), "%s", sentence);
}

/* By what we did to it. False: nothing. */
static bool judge_stopped(struct task *t, struct kii_job_end *end)
{
	switch (t->stopped) {
	case STOPPED_CANCELLED:
		end_as(t, end, KII_JOB_CANCELLED, "cancelled", "the job was cancelled");
		return true;
	case STOPPED_TIMEOUT:
		end_as(t, end, KII_JOB_TIMED_OUT, "timeout", "the job took too long and was ended");
		return true;
	case STOPPED_SILENCE:
		end_as(t, end, KII_JOB_TIMED_OUT, "silence",
			"nothing happened for too long and the job was ended");
		return true;
	case STOPPED_DISK:
		end_as(t, end, KII_JOB_LOST, "disk", "the server's disk is full");
		return true;
	case STOPPED_NOT:
		break;
	}
	return false;
}

static bool is_trouble(const struct kii_error *err)
{
	return err->code == KII_EDOWN || err->code == KII_ETIMEOUT || err->code == KII_EBROKEN;
}

/* False: another attempt, or none by this worker. */
static bool judge(struct task *t, int rc, const struct kii_error *err, struct kii_job_end *end)
{
	if (rc == 0) {
		end_as(t, end, KII_JOB_SUCCEEDED, t->outcome, NULL);
		return true;
	}
	if (judge_stopped(t, end))
		return true;
	if (t->slot->spent) {
		end_as(t, end, KII_JOB_LOST, "interrupted", NULL);
		return true;
	}
	if (atomic_load(&t->w->stop))
		return false;
	if (t->outcome) {
		end_as(t, end, KII_JOB_FAILED, t->outcome, NULL);
		return true;
	}
	kii_log_warn("attempt_failed", "job=%s attempt=%d code=%s error=%s", t->job->id,
		t->job->attempts, kii_code_word(err->code), kii_q(err->msg));
	if (is_trouble(err) && t->job->attempts < WORKER_ATTEMPTS)
		return false;
	if (is_trouble(err))
		end_as(t, end, KII_JOB_LOST, "engine", "the container engine failed the job");
	else if (err->code == KII_EIO || err->code == KII_EDB || err->code == KII_EBUSY)
		end_as(t, end, KII_JOB_LOST, "server", "the server failed the job");
	else if (err->code == KII_EINVAL)
		end_as(t, end, KII_JOB_LOST, "unfit", "the server cannot run the job");
	else
		end_as(t, end, KII_JOB_FAILED, "failed", "the container engine refused the job");
	return true;
}

static void finish_log(struct task *t, const struct kii_job_end *end)
{
	kii_autofree char *note = end->state == KII_JOB_SUCCEEDED ? NULL
		: kii_xfmt("\n[kiisrv: %s]\n", t->error);
	struct kii_error err = { 0 };

	if (t->stopped == STOPPED_DISK)
		kii_spool_cut(&t->spool, ROW_ROOM);
	else if (kii_spool_finish(&t->spool, note, &err) != 0)
		kii_log_warn("log_end", "job=%s error=%s", t->job->id, kii_q(err.msg));
}

static void conclude_task(struct task *t, int rc, const struct kii_error *err)
{
	struct kii_job_end end = { .exit_code = t->exit_code };

	if (!judge(t, rc, err, &end)) {
		if (atomic_load(&t->w->stop))
			run_leave(t->lane, t->slot);
		else
			run_again(t->lane, t->job, t->slot);
		return;
	}
	if (t->spool.fd >= 0)
		finish_log(t, &end);
	if (t->progress[0])
		tell(t);
	end.outcome = t->outcome;
	end.error = t->error[0] ? t->error : NULL;
	end.log_bytes = (int64_t)t->spool.seen;
	end.finished = kii_io_wall();
	run_end(t->lane, t->job, &end, t->slot);
}

/* --- its course --- */

/* What the attempt before this one ran in may still run: the janitor shall see to it now. */
static void clear_up(struct worker *w)
{
	pthread_mutex_lock(&w->lock);
	w->untidy = w->look_now = true;
	pthread_cond_signal(&w->janitor_wake);
	pthread_mutex_unlock(&w->lock);
}

/* An engine that is just being restarted costs no attempt. */
static int await_engine(struct task *t, struct kii_error *err)
{
	int64_t until = kii_io_now() + PATIENCE_MS;

	while (kii_engine_ping(t->engine, err) != 0) {
		if (!task_may_go_on(t) || kii_io_now() >= until)
			return -1;
		kii_error_clear(err);
		usleep(LOOK_AGAIN_MS * 1000);
	}
	t->heard = kii_io_now();
	return 0;
}

static int prepare(struct task *t, struct kii_error *err)
{
	kii_autofree char *log = worker_log_path(t->lane, t->job->id, 0);

	if (t->slot->spent)
		return task_fail(t, err, "interrupted", "the job was interrupted %d times",
			t->job->attempts);
	if (t->job->attempts > 1)
		run_keep_log(t->lane, t->job->id, t->job->attempts - 1);
	if (kii_json_parse_wrapped(t->job->request, strlen(t->job->request), "request", &t->request,
			err) != 0 || worker_engine(t->w, 0, &t->engine, err) != 0)
		return -1;
	kii_engine_stop_flag(t->engine, &t->w->stop);
	return kii_spool_open(&t->spool, log, (uint64_t)t->w->conf->limits.log, err);
}

void task_run(struct lane *lane, struct kii_job *job, struct running *slot,
	const struct task_kind *kind)
{
	struct worker *w = lane->w;
	struct task t = { .w = w, .lane = lane, .job = job, .slot = slot, .spool = { .fd = -1 },
		.exit_code = -1, .heard = kii_io_now() };
	struct kii_error err = { 0 };
	int rc;

	kii_log_info("job_started", "job=%s kind=%s attempt=%d subject=%s", job->id, job->kind,
		job->attempts, kii_q(job->subject));
	t.deadline = t.heard + kind->limit_ms;
	t.idle_ms = kind->idle_ms ? kind->idle_ms : w->conf->docker.timeout_ms;
	rc = prepare(&t, &err);
	if (job->attempts > 1)
		clear_up(w);
	if (rc == 0 && job->attempts > 1)
		run_pause(w, job->attempts - 1);
	if (rc == 0 && !task_may_go_on(&t))
		rc = -1;
	if (rc == 0)
		rc = await_engine(&t, &err);
	if (rc == 0)
		rc = kind->work(&t, &err);
	conclude_task(&t, rc, &err);
	kii_spool_release(&t.spool);
	kii_engine_free(t.engine);
	json_decref(t.request);
}
