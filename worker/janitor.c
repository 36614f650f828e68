/* SPDX-License-Identifier: MIT */
#include <config.h>

#include "janitor.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "broken.h"
#include "engine_working.h"
#include "gc.h"
#include "git.h"
#include "image.h"
#include "io.h"
#include "json.h"
#include "layers.h"
#include "log.h"
#include "mend.h"
#include "upload.h"
#include "operator.h"

#define LOOK_MS      10000
#define ABOUT_MS     300000
#define RECONCILE_MS 60000
#define LOOK_AGAIN_MS 2000   /* where an image has to be mended */
#define GC_MS        600000
#define DAY_MS       INT64_C(86400000)
#define AUDIT_ROWS   100000

/* --- engine and images --- */

static bool same_images(const struct worker *w, const struct kii_image *images, size_t n)
{
	if (n != w->n_images)
		return false;
	for (size_t i = 0; i < n; i++)
		if (strcmp(images[i].name, w->images[i].name) != 0 ||
		    strcmp(images[i].id, w->images[i].id) != 0)
			return false;
	return true;
}

/* Under the lock. */
static void keep_images(struct worker *w, struct kii_image *images, size_t n)
{
	struct kii_error err = { 0 };
	bool same = same_images(w, images, n);

	kii_images_free(w->images, w->n_images);
	w->images = images;
	w->n_images = n;
	if (kii_versions_set_images(w->versions, w->conf->firmware.image_prefix, images, n,
			kii_io_wall(), &err) != 0)
		kii_log_error("images", "error=%s", kii_q(err.msg));
	if (!same)
		kii_log_info("images", "n=%zu", n);
}

static void engine_state(struct worker *w, const struct kii_error *err)
{
	bool up = err->code == KII_OK;
	const char *error = up ? "" : err->msg;

	if (up != w->engine_up || !w->engine_seen ||
	    strncmp(error, w->engine_error, sizeof(w->engine_error) - 1) != 0)
		kii_log_info("engine", "up=%d version=%s error=%s", up, kii_q(w->about.version),
			kii_q(up ? NULL : err->msg));
	w->engine_up = up;
	w->engine_seen = kii_io_wall();
	snprintf(w->engine_error, sizeof(w->engine_error), "%.199s", error);
}

/*
 * What it is changes with the engine only, and costs Podman half a second of CPU: a ping tells
 * whether it is there.
 */
static int ask_engine(struct worker *w, struct kii_engine *engine, struct kii_error *err)
{
	struct kii_engine_about about = { 0 };

	if (w->engine_up && w->about_at && kii_io_now() < w->about_at + ABOUT_MS)
		return kii_engine_ping(engine, err);
	if (kii_engine_about(engine, &about, err) != 0)
		return -1;
	pthread_mutex_lock(&w->lock);
	w->about = about;
	w->about_at = kii_io_now();
	pthread_mutex_unlock(&w->lock);
	return 0;
}

void janitor_look(struct worker *w, struct kii_engine *engine)
{
	struct kii_image *images = NULL;
	struct kii_error err = { 0 };
	size_t n = 0;

	if (ask_engine(w, engine, &err) == 0 &&
	    worker_list_images(w, engine, &images, &n, &err) == 0) {
		pthread_mutex_lock(&w->lock);
		keep_images(w, images, n);
	} else {
		pthread_mutex_lock(&w->lock);
	}
	/* A look that our own end has cut short says nothing of the engine. */
	if (err.code == KII_OK)
		w->half_made[0] = '\0';
	if (err.code == KII_OK || !atomic_load(&w->stop))
		engine_state(w, &err);
	pthread_mutex_unlock(&w->lock);
	if (err.code == KII_EBROKEN && w->about.podman)
		mend_images(w, engine);
}

/* --- reconciliation --- */

/* Does a slot work on this attempt, or will one? Rows left running by an earlier worker count. */
static bool is_wanted(struct worker *w, const char *id, int attempt)
{
	kii_autojob job = { 0 };
	struct kii_error err = { 0 };
	bool wanted;

	pthread_mutex_lock(&w->lock);
	/* A database that cannot be read says nothing: leave the container alone. */
	if (worker_job(w, id, &job, NULL, &err) != 0)
		wanted = err.code != KII_ENOTFOUND;
	else
		/* The slot that has the job may be ahead of the row, never behind. */
		wanted = (attempt == job.attempts && job.state == KII_JOB_RUNNING) ||
			(attempt >= job.attempts && worker_running(w, id));
	pthread_mutex_unlock(&w->lock);
	return wanted;
}

/* "kiisrv-<instance>-<job>-<attempt>[-config|-builds]" to its job and attempt. */
static bool parse_name(const struct worker *w, const char *name, char id[KII_JOB_ID + 1],
	int *attempt)
{
	kii_autofree char *prefix = kii_xfmt("kiisrv-%s-", w->instance);
	size_t len = strlen(prefix);
	char *end;

	if (strncmp(name, prefix, len) != 0 || strlen(name) < len + KII_JOB_ID + 2)
		return false;
	memcpy(id, name + len, KII_JOB_ID);
	id[KII_JOB_ID] = '\0';
	if (!kii_job_id_valid(id) || name[len + KII_JOB_ID] != '-')
		return false;
	*attempt = (int)strtol(name + len + KII_JOB_ID + 1, &end, 10);
	return *attempt > 0 && (!*end || *end == '-');
}

/* A container inherits its image's labels: of an image that was built here, the instance's. */
static bool is_named_ours(const struct worker *w, const char *name)
{
	kii_autofree char *prefix = kii_xfmt("kiisrv-%s-", w->instance);

	return strncmp(name, prefix, strlen(prefix)) == 0;
}

/* The look at the repository is no job; its container is wanted while it runs. */
static bool is_git_running(struct worker *w, const char *name)
{
	kii_autofree char *git = git_name(w);
	bool running;

	if (strcmp(name, git) != 0)
		return false;
	pthread_mutex_lock(&w->lock);
	running = w->git.running;
	pthread_mutex_unlock(&w->lock);
	return running;
}

/* What cannot be removed does not keep the rest, unless the engine itself is away. */
static bool may_go_on(const struct kii_error *err)
{
	return err->code != KII_EDOWN && err->code != KII_ETIMEOUT;
}

/* Their volumes and folders go by what the rows say of these. */
static int reconcile_containers(struct worker *w, struct kii_engine *engine,
	struct kii_error *err)
{
	struct kii_container *list = NULL;
	size_t n = 0;
	int rc = kii_engine_list(engine, WORKER_LABEL_INSTANCE, w->instance, &list, &n, err);

	for (size_t i = 0; i < n && may_go_on(err); i++) {
		const char *job = kii_json_str(list[i].labels, WORKER_LABEL_JOB);
		const char *text = kii_json_str(list[i].labels, WORKER_LABEL_ATTEMPT);
		int attempt = text ? (int)strtol(text, NULL, 10) : 0;

		if (job ? is_wanted(w, job, attempt) : !is_named_ours(w, list[i].name) ||
				is_git_running(w, list[i].name))
			continue;
		kii_log_info("container_removed", "name=%s job=%s", kii_q(list[i].name),
			kii_q(job));
		if (kii_engine_remove(engine, list[i].id, err) != 0)
			rc = -1;
	}
	kii_containers_free(list, n);
	return rc;
}

/* What Podman has of containers that it was killed over when it made or removed them. */
static int reconcile_storage(struct worker *w, struct kii_engine *engine, struct kii_error *err)
{
	struct kii_working *list = NULL;
	size_t n = 0;
	int rc = w->about.podman ? kii_engine_working(engine, &list, &n, err) : 0;

	for (size_t i = 0; i < n && may_go_on(err); i++) {
		char id[KII_JOB_ID + 1];
		int attempt;

		if (list[i].builder || !parse_name(w, list[i].name, id, &attempt) ||
		    is_wanted(w, id, attempt))
			continue;
		kii_log_info("container_removed", "name=%s job=%s of=storage", list[i].name, id);
		if (kii_engine_remove(engine, list[i].id, err) != 0)
			rc = -1;
	}
	kii_working_free(list, n);
	return rc;
}

static int reconcile_volumes(struct worker *w, struct kii_engine *engine, struct kii_error *err)
{
	kii_autofree char *mirror = git_name(w);
	char **names = NULL;
	size_t n = 0;
	int rc = kii_engine_volumes(engine, WORKER_LABEL_INSTANCE, w->instance, &names, &n, err);

	for (size_t i = 0; i < n && may_go_on(err); i++) {
		char id[KII_JOB_ID + 1];
		int attempt;

		if (strcmp(names[i], mirror) == 0 ||
		    (parse_name(w, names[i], id, &attempt) && is_wanted(w, id, attempt)))
			continue;
		if (kii_engine_volume_remove(engine, names[i], err) != 0)
			rc = -1;
	}
	kii_names_free(names, n);
	return rc;
}

/* Folders of the "bind" transport whose attempt is over. */
static int reconcile_folders(struct worker *w, const char *top, struct kii_error *err)
{
	DIR *dir = opendir(top);
	const struct dirent *d;
	int rc = 0;

	while (dir && (d = readdir(dir))) {
		kii_autofree char *path = kii_xfmt("%s/%s", top, d->d_name);
		char id[KII_JOB_ID + 1];
		int attempt;

		if (parse_name(w, d->d_name, id, &attempt) && !is_wanted(w, id, attempt) &&
		    kii_io_remove_tree(path, err) != 0)
			rc = -1;
	}
	if (dir)
		closedir(dir);
	return rc;
}

int janitor_reconcile(struct worker *w, struct kii_engine *engine, struct kii_error *err)
{
	int rc = reconcile_containers(w, engine, err);

	if (may_go_on(err) && reconcile_storage(w, engine, err) != 0)
		rc = -1;
	if (may_go_on(err) && reconcile_volumes(w, engine, err) != 0)
		rc = -1;
	if (w->conf->firmware.bind && (reconcile_folders(w, "tmp_config", err) != 0 ||
			reconcile_folders(w, "tmp_builds", err) != 0))
		rc = -1;
	return rc != 0 ? kii_error_wrap(err, "reconcile") : 0;
}

static void sweep_parts(struct worker *w)
{
	DIR *dir = opendir(w->artifacts);
	const struct dirent *d;

	while (dir && (d = readdir(dir))) {
		if (strncmp(d->d_name, ".part-", 6) != 0)
			continue;
		if (unlinkat(dirfd(dir), d->d_name, 0) == 0)
			kii_log_info("part_removed", "name=%s", kii_q(d->d_name));
	}
	if (dir)
		closedir(dir);
}

void janitor_sweep(struct worker *w)
{
	sweep_parts(w);
	image_sweep(w);
}

static void collect(struct worker *w)
{
	struct kii_error err = { 0 };
	json_t *report = NULL;

	if (gc_run(w, false, &report, &err) != 0)
		kii_log_warn("gc", "error=%s", kii_q(err.msg));
	json_decref(report);
	kii_upload_collect(w->conf->paths.state_dir, kii_io_wall() - KII_UPLOAD_AGE_MS);
}

/* The executables write the audit, each a row at a time; what has to go, goes here. */
void janitor_trim_audit(struct worker *w)
{
	kii_autofree char *path = kii_xfmt("%s/engine/operator.sqlite", w->conf->paths.state_dir);
	int64_t before = kii_io_wall() - w->conf->retention.audit_days * DAY_MS;
	struct kii_operator *op = NULL;
	struct kii_error err = { 0 };
	int64_t n = 0;

	if (kii_operator_open(path, KII_STORE_WRITE, &op, &err) != 0 ||
	    kii_audit_trim(op, before, AUDIT_ROWS, &n, &err) != 0)
		kii_log_warn("audit", "error=%s", kii_q(err.msg));
	else if (n)
		kii_log_info("audit_trimmed", "n=%lld", (long long)n);
	kii_operator_close(op);
}

/* --- the thread --- */

static void wait_until(struct worker *w, int64_t until)
{
	struct timespec t = { .tv_sec = until / 1000, .tv_nsec = until % 1000 * 1000000 };

	pthread_mutex_lock(&w->lock);
	while (!atomic_load(&w->stop) && !w->look_now && kii_io_now() < until)
		pthread_cond_timedwait(&w->janitor_wake, &w->lock, &t);
	w->look_now = false;
	pthread_mutex_unlock(&w->lock);
}

/* Did a slot leave something that it could not remove? */
static bool take_untidy(struct worker *w)
{
	bool untidy;

	pthread_mutex_lock(&w->lock);
	untidy = w->untidy;
	w->untidy = false;
	pthread_mutex_unlock(&w->lock);
	return untidy;
}

/* What builds have left that were broken off. */
static bool tidy_builds(const struct worker *w, struct kii_engine *engine)
{
	bool marked = layers_tidy(w, engine);

	return broken_tidy(w, engine) && marked;
}

void *janitor_run(void *arg)
{
	struct worker *w = arg;
	struct kii_engine *engine = NULL;
	struct kii_error err = { 0 };
	int64_t reconcile_at = 0, tidy_at = 0, gc_at = 0;

	if (worker_engine(w, 0, &engine, &err) != 0) {
		kii_log_error("engine", "error=%s", kii_q(err.msg));
		return NULL;
	}
	kii_engine_stop_flag(engine, &w->stop);
	while (!atomic_load(&w->stop)) {
		image_look(w);
		janitor_look(w, engine);
		broken_beat(w->broken);
		if (w->engine_up && (take_untidy(w) || kii_io_now() >= reconcile_at)) {
			reconcile_at = 0;
			kii_error_clear(&err);
			if (janitor_reconcile(w, engine, &err) == 0)
				reconcile_at = kii_io_now() + RECONCILE_MS;
			else
				kii_log_warn("reconcile", "error=%s", kii_q(err.msg));
		}
		if (!w->engine_up)
			tidy_at = 0;
		else if (kii_io_now() >= tidy_at && !tidy_builds(w, engine))
			tidy_at = kii_io_now() + RECONCILE_MS;
		if (w->engine_up && layers_due(w->layers))
			gc_layers(w);
		if (kii_io_now() >= gc_at) {
			collect(w);
			janitor_trim_audit(w);
			gc_at = kii_io_now() + GC_MS;
		}
		wait_until(w, kii_io_now() + (*w->half_made ? LOOK_AGAIN_MS : LOOK_MS));
	}
	kii_engine_free(engine);
	return NULL;
}
