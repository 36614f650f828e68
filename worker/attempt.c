/* SPDX-License-Identifier: MIT */
#include <config.h>

#include "attempt.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "conclude.h"
#include "io.h"
#include "json.h"
#include "log.h"
#include "transport.h"

/* Times, shortened for tests. */
#ifndef PATIENCE_MS
#define PATIENCE_MS   60000   /* for an engine that is down, within one attempt */
#endif
#ifndef LOOK_AGAIN_MS
#define LOOK_AGAIN_MS 300
#endif
#ifndef GRACE_MS
#define GRACE_MS      10000   /* between TERM and KILL */
#endif
#ifndef KILLED_MS
#define KILLED_MS     20000   /* until a killed container must be gone */
#endif
#define PROCESSES_MAX 8192

/* --- beginning and end --- */

static int make_kll(struct attempt *a, struct kii_error *err)
{
	json_t *request = NULL;
	const char *env, *tag;
	int rc;

	if (kii_json_parse_wrapped(a->job->request, strlen(a->job->request), "request", &request,
			err) != 0)
		return -1;
	env = kii_json_str(request, "env");
	tag = kii_json_str(request, "git_tag");
	rc = kii_kll_make(request, kii_kll_dialect(env ? env : "", tag, false), a->w->layouts,
		&a->kll, err);
	json_decref(request);
	return rc;
}

int attempt_init(struct attempt *a, struct lane *lane, struct kii_job *job, struct running *slot,
	struct kii_error *err)
{
	kii_autofree char *log = worker_log_path(lane, job->id, 0);
	struct worker *w = lane->w;

	memset(a, 0, sizeof(*a));
	a->w = w;
	a->lane = lane;
	a->job = job;
	a->slot = slot;
	a->spool.fd = -1;
	a->name = worker_container_name(w, job->id, job->attempts);
	kii_buf_init(&a->processes, PROCESSES_MAX);
	memcpy(a->dir, job->key, 32);
	if (make_kll(a, err) != 0)
		return kii_error_wrap(err, "job %s", job->id);
	a->zip = kii_xfmt("%s-%s-%s.zip", a->kll->board, a->kll->layout, a->dir);
	a->error_zip = kii_xfmt("%s-%s-%s_error.zip", a->kll->board, a->kll->layout, a->dir);
	if (worker_engine(w, 0, &a->engine, err) != 0)
		return -1;
	kii_engine_stop_flag(a->engine, &w->stop);
	return kii_spool_open(&a->spool, log, (uint64_t)w->conf->limits.log, err);
}

void attempt_release(struct attempt *a)
{
	kii_spool_release(&a->spool);
	kii_engine_free(a->engine);
	kii_kll_free(a->kll);
	kii_container_release(&a->seen);
	kii_buf_release(&a->processes);
	free(a->name);
	free(a->zip);
	free(a->error_zip);
	free(a->user);
	free(a->artifact);
	memset(a, 0, sizeof(*a));
	a->spool.fd = -1;
}

/* --- the container --- */

static int create(struct attempt *a, struct kii_error *err)
{
	const struct kii_conf *conf = a->w->conf;
	struct transport t;
	char attempt[16], clock[64], boot[37], id[128] = "";
	char *env[5] = { NULL };
	const char *cmd[] = { a->kll->script, a->dir, a->zip, NULL };
	struct kii_mount mounts[TRANSPORT_MOUNTS + 1];
	const struct kii_pair labels[] = {
		{ WORKER_LABEL_INSTANCE, a->w->instance },
		{ WORKER_LABEL_JOB, a->job->id },
		{ WORKER_LABEL_ATTEMPT, attempt },
		{ WORKER_LABEL_CLOCK, clock },
	};
	struct kii_container_spec spec = {
		.name = a->name, .image = a->job->image, .cmd = cmd,
		.mounts = mounts, .n_mounts = KII_COUNT(mounts),
		.labels = labels, .n_labels = KII_COUNT(labels),
		.memory = conf->firmware.memory, .cpus = conf->firmware.cpus,
		.pids = conf->firmware.pids,
	};
	int rc;

	if (transport_init(&t, a, err) != 0) {
		transport_release(&t);
		return -1;
	}
	memcpy(mounts, t.mounts, sizeof(t.mounts));
	mounts[TRANSPORT_MOUNTS] = (struct kii_mount){ .path = "/tmp", .size = conf->firmware.tmp };
	snprintf(attempt, sizeof(attempt), "%d", a->job->attempts);
	kii_io_boot(boot);
	snprintf(clock, sizeof(clock), "%s/%lld", boot, (long long)kii_io_now());
	kii_kll_env(a->kll, env);
	spec.env = (const char *const *)env;
	spec.user = t.user[0] ? t.user : a->user;
	rc = kii_engine_create(a->engine, &spec, id, err);
	for (size_t i = 0; env[i]; i++)
		free(env[i]);
	transport_release(&t);
	if (rc != 0 && err->code != KII_ECONFLICT)
		return kii_error_wrap(err, "create container");
	kii_error_clear(err);
	a->made = rc == 0;
	if (!a->made)
		return 0;
	pthread_mutex_lock(&a->w->lock);
	rc = kii_jobs_set_container(a->lane->jobs, a->job->id, id, err);
	pthread_mutex_unlock(&a->w->lock);
	return rc;
}

/* Whose container is this? Only ours is touched. */
static int check_owner(const struct attempt *a, const struct kii_container *c,
	struct kii_error *err)
{
	const char *instance = kii_json_str(c->labels, WORKER_LABEL_INSTANCE);
	const char *job = kii_json_str(c->labels, WORKER_LABEL_JOB);

	if (instance && job && !strcmp(instance, a->w->instance) && !strcmp(job, a->job->id))
		return 0;
	return kii_error_set(err, KII_EREFUSED, 0, "container %s is not this job's", a->name);
}

static int look(struct attempt *a, struct kii_error *err)
{
	kii_container_release(&a->seen);
	if (kii_engine_inspect(a->engine, a->name, &a->seen, err) != 0) {
		/* No patience helps, but another attempt, whose name is another. */
		if (err->code == KII_EBROKEN && err->detail == KII_LOST_STORAGE)
			err->code = KII_ECONFLICT;
		return -1;
	}
	return check_owner(a, &a->seen, err);
}

/* Remove what is there: the name alone does not make it ours. */
static int remove_own(struct attempt *a, struct kii_error *err)
{
	if (look(a, err) == 0) {
		if (kii_engine_remove(a->engine, a->name, err) != 0)
			return -1;
	} else if (err->code == KII_EREFUSED) {
		return 0;
	} else if (err->code != KII_ENOTFOUND) {
		return -1;
	}
	kii_error_clear(err);
	return transport_clean(a->w, a->engine, a->name, err);
}

void attempt_clean(struct attempt *a)
{
	struct kii_error err = { 0 };

	if (remove_own(a, &err) == 0)
		return;
	kii_log_warn("clean_later", "job=%s container=%s error=%s", a->job->id, a->name,
		kii_q(err.msg));
	pthread_mutex_lock(&a->w->lock);
	a->w->untidy = true;
	pthread_mutex_unlock(&a->w->lock);
}

static int image_user(struct attempt *a, struct kii_error *err)
{
	struct kii_image image = { 0 };

	if (a->user)
		return 0;
	if (kii_engine_image_inspect(a->engine, a->job->image, &image, err) != 0)
		return kii_error_wrap(err, "image of %s", a->job->release);
	a->user = kii_xstrdup(image.user ? image.user : "");
	kii_image_release(&image);
	return 0;
}

/* The container, made if there is none and was none. */
static int find_or_make(struct attempt *a, struct kii_error *err)
{
	int rc = look(a, err);

	if (rc == 0 || err->code != KII_ENOTFOUND || a->made || a->job->container_id)
		return rc;
	kii_error_clear(err);
	if (create(a, err) != 0)
		return -1;
	rc = look(a, err);
	if (rc != 0 && err->code == KII_ENOTFOUND && !a->made) {
		/* A call of a worker that died is still making it. */
		kii_error_clear(err);
		return kii_error_set(err, KII_EBROKEN, 0, "the container is not there yet");
	}
	a->made = true;
	return rc;
}

/*
 * A container that an earlier worker made and did not start is made anew: what broke off there may
 * have left its volumes half made (Podman: not yet its user's). So is one whose start was not heard
 * of: an engine that was killed over it knows nothing of a run that has written to the log, and a
 * second run would write behind it.
 */
static int make_anew(struct attempt *a, struct kii_error *err)
{
	if (a->made && !a->unheard)
		return 0;
	a->unheard = false;
	a->made = false;
	if (kii_engine_remove(a->engine, a->name, err) != 0 ||
	    transport_clean(a->w, a->engine, a->name, err) != 0)
		return kii_error_wrap(err, "remove what was not started");
	if (kii_spool_empty(&a->spool, err) != 0)
		return -1;
	return create(a, err) != 0 ? -1 : look(a, err);
}

/*
 * How long the container of an earlier worker runs already. Its label knows, unless this machine
 * was started anew since: then the engine's clock and ours have to do, which may differ or be set.
 */
static int64_t runs_for(const struct attempt *a)
{
	const char *mark = kii_json_str(a->seen.labels, WORKER_LABEL_CLOCK);
	char boot[37];
	size_t n;

	kii_io_boot(boot);
	n = strlen(boot);
	if (mark && !strncmp(mark, boot, n) && mark[n] == '/')
		return kii_io_now() - strtoll(mark + n + 1, NULL, 10);
	return a->seen.started_ms ? kii_io_wall() - a->seen.started_ms : 0;
}

/* `gone`: how long it runs already. */
static void set_deadlines(struct attempt *a, int64_t gone)
{
	if (a->deadline)
		return;
	a->last_output = kii_io_now();
	a->deadline = a->last_output + a->w->conf->firmware.timeout_ms - (gone > 0 ? gone : 0);
}

/* Make sure that there is a container that runs or ran. */
static int bring_up(struct attempt *a, struct kii_error *err)
{
	if (image_user(a, err) != 0 || find_or_make(a, err) != 0)
		return -1;
	if (a->seen.state != KII_CONTAINER_CREATED)
		return 0;
	/* Podman, behind a restart of the machine. A second start would write to the same log. */
	if (a->seen.started_ms)
		return kii_error_set(err, KII_ECONFLICT, 0,
			"the engine has forgotten that the container ran");
	if (make_anew(a, err) != 0)
		return -1;
	if (transport_put(a, err) != 0)
		return kii_error_wrap(err, "put files");
	if (kii_engine_start(a->engine, a->name, err) != 0) {
		a->unheard = err->code == KII_EDOWN || err->code == KII_ETIMEOUT;
		return kii_error_wrap(err, "start");
	}
	set_deadlines(a, 0);
	return look(a, err);
}

/* --- while it runs --- */

/* False when the container has to be ended, or the worker ends. */
static bool may_go_on(void *arg)
{
	struct attempt *a = arg;
	int64_t now = kii_io_now();

	if (atomic_load(&a->w->stop))
		return false;
	if (a->stopped != STOPPED_NOT)
		return false;
	if (atomic_load(&a->slot->cancel))
		a->stopped = STOPPED_CANCELLED;
	else if (now >= a->deadline)
		a->stopped = STOPPED_TIMEOUT;
	else if (now - a->last_output >= a->w->conf->firmware.idle_timeout_ms)
		a->stopped = STOPPED_SILENCE;
	return a->stopped == STOPPED_NOT;
}

static bool take_output(void *arg, int stream, const char *data, size_t len)
{
	struct attempt *a = arg;
	struct kii_error err = { 0 };

	(void)stream;
	/* What an earlier reader took is not new output. */
	if (a->spool.skip < len)
		a->last_output = kii_io_now();
	if (kii_spool_feed(&a->spool, data, len, &err) != 0) {
		kii_log_error("log_write", "job=%s error=%s", a->job->id, kii_q(err.msg));
		a->stopped = STOPPED_DISK;
		return false;
	}
	return may_go_on(a);
}

/* The second pass must read to the end whatever the clock says. */
static bool take_rest(void *arg, int stream, const char *data, size_t len)
{
	struct attempt *a = arg;
	struct kii_error err = { 0 };

	(void)stream;
	if (a->stopped == STOPPED_DISK)
		return true;
	if (kii_spool_feed(&a->spool, data, len, &err) != 0) {
		kii_log_error("log_write", "job=%s error=%s", a->job->id, kii_q(err.msg));
		a->stopped = STOPPED_DISK;
	}
	return true;
}

/* End it: what runs is written down, then the stop signal, grace, kill, and seen to be down. */
static int stop_container(struct attempt *a, struct kii_error *err)
{
	int code;

	if (!a->processes.len && kii_engine_top(a->engine, a->name, &a->processes, err) != 0)
		kii_error_clear(err);
	if (kii_engine_kill(a->engine, a->name, "TERM", err) == 0 &&
	    kii_engine_wait(a->engine, a->name, GRACE_MS, &code, err) == 0)
		return 0;
	if (atomic_load(&a->w->stop))
		return -1;
	if (err->code == KII_ECONFLICT) {   /* it has ended by itself */
		kii_error_clear(err);
		return 0;
	}
	kii_error_clear(err);
	if (kii_engine_kill(a->engine, a->name, "KILL", err) != 0 && err->code != KII_ECONFLICT)
		return -1;
	kii_error_clear(err);
	return kii_engine_wait(a->engine, a->name, KILLED_MS, &code, err);
}

static int follow(struct attempt *a, struct kii_error *err)
{
	int code;

	set_deadlines(a, runs_for(a));
	if (a->seen.state == KII_CONTAINER_RUNNING) {
		kii_spool_rewind(&a->spool);
		if (kii_engine_logs(a->engine, a->name, true, take_output, may_go_on, a,
				err) != 0 && a->stopped == STOPPED_NOT)
			return kii_error_wrap(err, "follow the log");
		kii_error_clear(err);
		if (a->stopped != STOPPED_NOT && stop_container(a, err) != 0)
			return kii_error_wrap(err, "stop");
		if (kii_engine_wait(a->engine, a->name, KILLED_MS, &code, err) != 0)
			return kii_error_wrap(err, "wait");
	}
	kii_spool_rewind(&a->spool);
	if (kii_engine_logs(a->engine, a->name, false, take_rest, NULL, a, err) != 0)
		return kii_error_wrap(err, "read the log");
	return look(a, err);
}

/* --- patience with the engine --- */

static bool is_trouble(const struct kii_error *err)
{
	return err->code == KII_EDOWN || err->code == KII_ETIMEOUT || err->code == KII_EBROKEN;
}

/* Wait until the engine answers again; false when the worker stops or patience ends. */
static bool wait_for_engine(struct attempt *a, int64_t until)
{
	while (!atomic_load(&a->w->stop) && kii_io_now() < until) {
		struct kii_error err = { 0 };

		usleep(LOOK_AGAIN_MS * 1000);
		if (kii_engine_ping(a->engine, &err) == 0)
			return true;
	}
	return false;
}

struct trouble {
	int64_t last, until;
	int64_t broken_until;   /* 0: the last one was of another kind */
};

/* One that answers the same nonsense again and again gets less than one that is down. */
static bool has_patience(struct trouble *t, const struct kii_error *err)
{
	int64_t now = kii_io_now();

	if (now - t->last > PATIENCE_MS / 2) {
		t->until = now + PATIENCE_MS;
		t->broken_until = 0;
	}
	t->last = now;
	if (err->code != KII_EBROKEN)
		t->broken_until = 0;
	else if (!t->broken_until)
		t->broken_until = now + PATIENCE_MS / 6;
	return now < t->until && (!t->broken_until || now < t->broken_until);
}

enum verdict attempt_run(struct attempt *a, struct kii_error *err)
{
	struct trouble trouble = { .last = -PATIENCE_MS };

	for (;;) {
		enum verdict verdict = VERDICT_ENDED;
		int rc = bring_up(a, err);

		if (rc == 0)
			rc = follow(a, err);
		if (rc == 0)
			rc = conclude(a, &verdict, err);
		if (rc == 0)
			return verdict;
		if (atomic_load(&a->w->stop))
			return VERDICT_DETACHED;
		kii_log_warn("attempt_trouble", "job=%s attempt=%d code=%s error=%s", a->job->id,
			a->job->attempts, kii_code_word(err->code), kii_q(err->msg));
		if (!is_trouble(err))
			return VERDICT_AGAIN;
		if (!has_patience(&trouble, err) || !wait_for_engine(a, trouble.until))
			return atomic_load(&a->w->stop) ? VERDICT_DETACHED : VERDICT_AGAIN;
		kii_error_clear(err);
	}
}
