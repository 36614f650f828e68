/* SPDX-License-Identifier: MIT */
#include <config.h>

#include "gc.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "io.h"
#include "json.h"
#include "layers.h"
#include "log.h"

#define HOUR_MS 3600000
#define DAY_MS  (24 * (int64_t)HOUR_MS)

struct gc {
	struct worker *w;
	struct lane *lane;       /* whose rows and files it is about */
	bool dry_run;
	int64_t now;
	json_t *items;
	int64_t bytes;
	/* what a walk has picked */
	struct pick {
		char id[KII_JOB_ID + 1];
		char *artifact;      /* NULL: it has none */
		int64_t bytes;
		const char *why;
	} *picks;
	size_t n, cap;
	int64_t left;            /* bytes of artifacts that stay */
	json_t *picked;          /* how many rows, by their artifact */
	struct kii_error *err;   /* of a walk */
	/* of a dry run: jobs that would have forgotten their artifact, and how many by its name */
	json_t *forgotten, *forgetters;
};

static pthread_mutex_t one_at_a_time = PTHREAD_MUTEX_INITIALIZER;

static void note(struct gc *gc, const char *kind, const char *name, int64_t bytes, const char *why)
{
	json_t *item = json_object();

	kii_json_set_str(item, "kind", kind);
	kii_json_set_str(item, "name", name);
	json_object_set_new(item, "bytes", json_integer(bytes));
	kii_json_set_str(item, "why", why);
	json_array_append_new(gc->items, item);
	gc->bytes += bytes;
	if (!gc->dry_run)
		kii_log_info("collected", "kind=%s name=%s bytes=%lld why=%s", kind, kii_q(name),
			(long long)bytes, why);
}

static void pick(struct gc *gc, const struct kii_job *job, const char *why)
{
	struct pick *p;

	gc->picks = kii_xgrow(gc->picks, gc->n, &gc->cap, sizeof(*gc->picks));
	p = &gc->picks[gc->n++];
	memcpy(p->id, job->id, sizeof(p->id));
	p->artifact = kii_xstrdup(job->artifact);
	p->bytes = job->artifact_bytes;
	p->why = why;
}

static void drop_picks(struct gc *gc)
{
	for (size_t i = 0; i < gc->n; i++)
		free(gc->picks[i].artifact);
	free(gc->picks);
	gc->picks = NULL;
	gc->n = gc->cap = 0;
}

/* --- artifacts --- */

static int64_t last_given(const struct kii_job *job)
{
	return job->answered > job->finished ? job->answered : job->finished;
}

/* A file that several rows name goes with the last of them. */
static bool has_last(struct gc *gc, const char *artifact)
{
	json_int_t n = kii_json_int(gc->picked, artifact, 0) + 1;
	int64_t users = 0;

	json_object_set_new(gc->picked, artifact, json_integer(n));
	return kii_jobs_artifact_users(gc->lane->jobs, artifact, &users, gc->err) == 0 &&
		users == n;
}

static bool pick_artifact(void *arg, const struct kii_job *job)
{
	struct gc *gc = arg;
	const struct kii_conf *conf = gc->w->conf;
	int64_t idle = gc->now - last_given(job);

	if (idle > conf->retention.artifact_days * DAY_MS)
		pick(gc, job, "age");
	else if (gc->left > conf->retention.artifacts && idle > HOUR_MS)
		pick(gc, job, "budget");
	else
		return true;
	if (has_last(gc, job->artifact))
		gc->left -= job->artifact_bytes;
	return gc->err->code == KII_OK;
}

/* The row first: then nobody is promised a file that is gone. 1: the file may go. */
static int forget_artifact(struct gc *gc, const struct pick *p, struct kii_error *err)
{
	struct worker *w = gc->w;
	kii_autojob job = { 0 };
	int64_t users = 0;
	int rc;

	pthread_mutex_lock(&w->lock);
	rc = kii_jobs_get(gc->lane->jobs, p->id, &job, err);
	/* Somebody was given it since the walk. */
	if (rc == 0 && last_given(&job) > gc->now) {
		pthread_mutex_unlock(&w->lock);
		return 0;
	}
	if (rc == 0)
		rc = kii_jobs_forget_artifact(gc->lane->jobs, p->id, err);
	if (rc == 0)
		rc = kii_jobs_artifact_users(gc->lane->jobs, p->artifact, &users, err);
	pthread_mutex_unlock(&w->lock);
	return rc != 0 ? -1 : users == 0;
}

/* The same without doing it: the last of those that name the file takes it along. */
static int would_forget(struct gc *gc, const struct pick *p, struct kii_error *err)
{
	json_int_t n = kii_json_int(gc->forgetters, p->artifact, 0) + 1;
	int64_t users = 0;
	int rc;

	json_object_set_new(gc->forgotten, p->id, json_true());
	json_object_set_new(gc->forgetters, p->artifact, json_integer(n));
	pthread_mutex_lock(&gc->w->lock);
	rc = kii_jobs_artifact_users(gc->lane->jobs, p->artifact, &users, err);
	pthread_mutex_unlock(&gc->w->lock);
	return rc != 0 ? -1 : users == n;
}

static int collect_artifacts(struct gc *gc, struct kii_error *err)
{
	struct worker *w = gc->w;
	int rc;

	pthread_mutex_lock(&w->lock);
	rc = kii_jobs_artifact_bytes(gc->lane->jobs, &gc->left, err);
	if (rc == 0)
		rc = kii_jobs_oldest_artifacts(gc->lane->jobs, pick_artifact, gc, err);
	pthread_mutex_unlock(&w->lock);
	if (err->code != KII_OK)
		rc = -1;
	for (size_t i = 0; rc == 0 && i < gc->n; i++) {
		const struct pick *p = &gc->picks[i];
		kii_autofree char *path = kii_xfmt("%s/%s", w->artifacts, p->artifact);
		int gone = gc->dry_run ? would_forget(gc, p, err) : forget_artifact(gc, p, err);

		if (gone < 0) {
			rc = -1;
		} else if (gone > 0) {
			if (!gc->dry_run && unlink(path) != 0 && errno != ENOENT)
				kii_log_warn("unlink", "name=%s errno=%d", kii_q(p->artifact),
					errno);
			note(gc, "artifact", p->artifact, p->bytes, p->why);
		}
	}
	drop_picks(gc);
	return rc;
}

/* --- logs and rows --- */

static bool pick_old(void *arg, const struct kii_job *job)
{
	pick(arg, job, "age");
	return true;
}

static int64_t remove_log(struct gc *gc, const char *id, int attempt)
{
	kii_autofree char *path = worker_log_path(gc->lane, id, attempt);
	struct stat st;

	if (stat(path, &st) != 0)
		return -1;
	if (!gc->dry_run && unlink(path) != 0)
		kii_log_warn("unlink", "job=%s errno=%d", id, errno);
	return st.st_size;
}

static void remove_logs(struct gc *gc, const char *id)
{
	int64_t bytes = 0;
	bool any = false;

	for (int attempt = 0; attempt <= WORKER_ATTEMPTS; attempt++) {
		int64_t size = remove_log(gc, id, attempt);

		any |= size >= 0;
		bytes += size > 0 ? size : 0;
	}
	if (any)
		note(gc, "log", id, bytes, "age");
}

static int collect_old(struct gc *gc, struct kii_error *err)
{
	struct worker *w = gc->w;
	int64_t before = gc->now - w->conf->retention.log_days * DAY_MS;
	int rc;

	pthread_mutex_lock(&w->lock);
	rc = kii_jobs_ended_before(gc->lane->jobs, before, pick_old, gc, err);
	pthread_mutex_unlock(&w->lock);
	for (size_t i = 0; rc == 0 && i < gc->n; i++) {
		const struct pick *p = &gc->picks[i];

		remove_logs(gc, p->id);
		/* A row that still answers its key stays, its log does not. */
		if (p->artifact && !json_object_get(gc->forgotten, p->id))
			continue;
		note(gc, "job", p->id, 0, "age");
		if (gc->dry_run)
			continue;
		pthread_mutex_lock(&w->lock);
		rc = kii_jobs_delete(gc->lane->jobs, p->id, err);
		pthread_mutex_unlock(&w->lock);
	}
	drop_picks(gc);
	return rc;
}

/* --- files that no row knows --- */

typedef int known_fn(struct gc *gc, const char *name, struct kii_error *err);

static int known_artifact(struct gc *gc, const char *name, struct kii_error *err)
{
	int64_t users = 0;

	if (kii_jobs_artifact_users(gc->lane->jobs, name, &users, err) != 0)
		return -1;
	return users > 0;
}

static int known_log(struct gc *gc, const char *name, struct kii_error *err)
{
	kii_autofree char *id = kii_xstrndup(name, KII_JOB_ID);
	kii_autojob job = { 0 };

	if (!kii_job_id_valid(id) || kii_jobs_get(gc->lane->jobs, id, &job, err) == 0)
		return 1;
	if (err->code != KII_ENOTFOUND)
		return -1;
	kii_error_clear(err);
	return 0;
}

/* An old file that belongs to nobody goes. */
static int consider(struct gc *gc, int dir, const char *name, const char *kind, known_fn *known,
	struct kii_error *err)
{
	struct stat st;
	int rc;

	if (fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) != 0 || !S_ISREG(st.st_mode) ||
	    gc->now - (int64_t)st.st_mtime * 1000 < HOUR_MS)
		return 0;
	pthread_mutex_lock(&gc->w->lock);
	rc = known(gc, name, err);
	pthread_mutex_unlock(&gc->w->lock);
	if (rc != 0)
		return rc < 0 ? -1 : 0;
	if (!gc->dry_run && unlinkat(dir, name, 0) != 0)
		kii_log_warn("unlink", "name=%s errno=%d", kii_q(name), errno);
	note(gc, kind, name, st.st_size, "orphan");
	return 0;
}

static int collect_orphans(struct gc *gc, const char *folder, const char *kind, known_fn *known,
	struct kii_error *err)
{
	DIR *dir = opendir(folder);
	const struct dirent *d;
	int rc = 0;

	if (!dir)
		return kii_error_set(err, KII_EIO, errno, "open %s: %s", folder, strerror(errno));
	while (rc == 0 && (d = readdir(dir)))
		if (d->d_name[0] != '.')
			rc = consider(gc, dirfd(dir), d->d_name, kind, known, err);
	closedir(dir);
	return rc;
}

static int collect_lane(struct gc *gc, struct lane *lane, struct kii_error *err)
{
	gc->lane = lane;
	if (collect_old(gc, err) != 0)
		return -1;
	return collect_orphans(gc, lane->logs, "log", known_log, err);
}

/* Artifacts are the public's. */
static int collect_all(struct gc *gc, struct kii_error *err)
{
	struct worker *w = gc->w;

	gc->lane = &w->lanes[LANE_PUBLIC];
	if (collect_artifacts(gc, err) != 0 ||
	    collect_orphans(gc, w->artifacts, "artifact", known_artifact, err) != 0)
		return -1;
	for (size_t i = 0; i < LANE__MAX; i++)
		if (collect_lane(gc, &w->lanes[i], err) != 0)
			return -1;
	return 0;
}

/* --- what the engine keeps --- */

static void note_layer(void *arg, const char *id, int64_t bytes)
{
	note(arg, "layer", id, bytes, "budget");
}

/* An engine that is away keeps them until it is back. */
static void collect_layers(struct gc *gc)
{
	struct kii_error err = { 0 };

	if (layers_collect(gc->w, gc->dry_run, note_layer, gc, &err) != 0)
		kii_log_warn("gc", "error=%s", kii_q(err.msg));
}

void gc_layers(struct worker *w)
{
	struct gc gc = { .w = w, .items = json_array() };

	pthread_mutex_lock(&one_at_a_time);
	collect_layers(&gc);
	pthread_mutex_unlock(&one_at_a_time);
	json_decref(gc.items);
}

int gc_run(struct worker *w, bool dry_run, json_t **out, struct kii_error *err)
{
	struct gc gc = { .w = w, .dry_run = dry_run, .now = kii_io_wall(),
		.items = json_array(), .forgotten = json_object(), .forgetters = json_object(),
		.picked = json_object(), .err = err };
	int rc;

	pthread_mutex_lock(&one_at_a_time);
	rc = collect_all(&gc, err);
	if (rc == 0)
		collect_layers(&gc);
	pthread_mutex_unlock(&one_at_a_time);
	json_decref(gc.picked);
	json_decref(gc.forgotten);
	json_decref(gc.forgetters);
	if (rc != 0) {
		json_decref(gc.items);
		return kii_error_wrap(err, "collect");
	}
	*out = json_pack("{s:o, s:I}", "items", gc.items, "bytes", (json_int_t)gc.bytes);
	return 0;
}
