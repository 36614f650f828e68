/* SPDX-License-Identifier: MIT */
/* image_base: base images, by pulls that any number of builds and requests share. */
#include <config.h>

#include <string.h>
#include <time.h>

#include "hash.h"
#include "image.h"
#include "io.h"
#include "registry_auth.h"
#include "secret.h"
#include "transfer_request.h"

#define LOOK_MS 100
#define LOOKS   3

/* Is there a pull's job to wait for? Under the lock; job->id is it. */
static int join(struct lane *lane, struct kii_job *wanted, struct kii_error *err)
{
	kii_autojob live = { .attempts = 0 };
	int rc = kii_jobs_live(lane->jobs, wanted->kind, wanted->key, &live, err);

	if (rc > 0)
		memcpy(wanted->id, live.id, sizeof(wanted->id));
	if (rc != 0)
		return rc < 0 ? -1 : 0;
	kii_io_random_hex(wanted->id, KII_JOB_ID / 2);
	wanted->created = kii_io_wall();
	if (kii_jobs_insert(lane->jobs, wanted, err) != 0)
		return -1;
	pthread_cond_broadcast(&lane->work_to_do);
	return 0;
}

/* The credentials are for the base images that they fit, and for no other. */
static bool fits_secret(const struct image_work *x, const struct kii_image_ref *ref)
{
	kii_autosecret secret = KII_BUF_INIT(KII_SECRET_MAX);
	kii_autosecret auth = KII_BUF_INIT(KII_SECRET_MAX);
	struct kii_error err = { 0 };

	return x->r.registry_auth &&
		kii_secret_read(x->t->w->conf->paths.secrets, x->r.registry_auth, "registry_auth",
			&secret, &err) == 0 &&
		kii_registry_auth(&secret, ref->domain, "registry_auth", &auth, &err) == 0;
}

static void make_job(struct image_work *x, const char *name, struct kii_job *job)
{
	kii_autotransfer r = { .image = kii_xstrdup(name) };
	struct kii_error ignored = { 0 };
	struct kii_hash *hash = kii_hash_new();

	memcpy(job->kind, "pull", 5);
	if (kii_image_ref_parse(name, "image", &r.ref, &ignored) == 0 && fits_secret(x, &r.ref))
		r.secret = kii_xstrdup(x->r.registry_auth);
	job->subject = kii_xstrdup(name);
	job->client = kii_xstrdup(x->t->job->client);
	job->request = kii_transfer_request_text(&r);
	kii_hash_part(hash, job->kind, job->request, strlen(job->request));
	kii_hash_hex(hash, job->key);
	kii_hash_free(hash);
}

/* Under the lock, which is left meanwhile: until the job has ended; it is then *job. */
static int await(struct image_work *x, struct kii_job *job, struct kii_error *err)
{
	struct worker *w = x->t->w;
	char id[KII_JOB_ID + 1];
	bool go_on;

	memcpy(id, job->id, sizeof(id));
	for (;;) {
		int64_t until = kii_io_now() + LOOK_MS;
		const struct timespec at = { .tv_sec = until / 1000,
			.tv_nsec = until % 1000 * 1000000 };

		kii_job_release(job);
		if (kii_jobs_get(x->t->lane->jobs, id, job, err) != 0)
			return -1;
		if (kii_job_state_final(job->state))
			return 0;
		pthread_cond_timedwait(&w->job_ended, &w->lock, &at);
		x->t->heard = kii_io_now();
		/* It may write progress down, which wants the lock. */
		pthread_mutex_unlock(&w->lock);
		go_on = task_may_go_on(x->t);
		pthread_mutex_lock(&w->lock);
		if (!go_on)
			return kii_error_set(err, KII_ETIMEOUT, 0, "told to end");
	}
}

static int pull(struct image_work *x, const char *name, struct kii_error *err)
{
	struct worker *w = x->t->w;
	kii_autojob job = { .attempts = 0 };
	int rc;

	make_job(x, name, &job);
	task_progress(x->t, "pull %s", name);
	pthread_mutex_lock(&w->lock);
	rc = join(x->t->lane, &job, err);
	if (rc == 0)
		rc = await(x, &job, err);
	pthread_mutex_unlock(&w->lock);
	if (rc != 0)
		return -1;
	if (!task_say(x->t, "[kiisrv: base image %s: %s, job %s]", name,
			job.outcome ? job.outcome : "", job.id))
		return -1;
	if (job.state == KII_JOB_SUCCEEDED)
		return 0;
	return task_fail(x->t, err, "base_image", "base image %s: %s", name,
		job.error ? job.error : "it could not be pulled");
}

/* Podman may say that it has none while another is removed, so it is asked again. */
static int look(struct image_work *x, const char *name, struct kii_image *out,
	struct kii_error *err)
{
	const struct timespec pause = { .tv_nsec = LOOK_MS * 1000000L };
	int rc = kii_engine_image_inspect(x->t->engine, name, out, err);

	for (int i = 0; i < LOOKS && x->about.podman && rc != 0 && err->code == KII_ENOTFOUND;
			i++) {
		nanosleep(&pause, NULL);
		kii_error_clear(err);
		rc = kii_engine_image_inspect(x->t->engine, name, out, err);
	}
	return rc;
}

/* 1: it is there, and its ID is added; 0: it is not; -1: error. */
static int is_there(struct image_work *x, const char *name, struct kii_texts *ids,
	struct kii_error *err)
{
	static const char kind[] = "sha256:";
	struct kii_image image = { .name = NULL };

	if (look(x, name, &image, err) != 0) {
		if (err->code != KII_ENOTFOUND)
			return -1;
		kii_error_clear(err);
		return 0;
	}
	kii_texts_once(ids, strncmp(image.id, kind, sizeof(kind) - 1) == 0 ?
		image.id + sizeof(kind) - 1 : image.id);
	kii_image_release(&image);
	return 1;
}

/* One that goes again just behind its pull is the engine's matter. */
static int have(struct image_work *x, const char *name, bool always, struct kii_texts *ids,
	struct kii_error *err)
{
	int there = always ? 0 : is_there(x, name, ids, err);

	if (there)
		return there > 0 ? 0 : -1;
	if (pull(x, name, err) != 0)
		return -1;
	return is_there(x, name, ids, err) < 0 ? -1 : 0;
}

int image_bases(struct image_work *x, const struct kii_texts *images, bool always,
	struct kii_texts *ids, struct kii_error *err)
{
	for (size_t i = 0; i < images->n; i++) {
		kii_autofree char *name = NULL;
		struct kii_image_ref ref;

		if (kii_image_ref_parse(images->items[i], "image", &ref, err) != 0)
			return -1;
		name = kii_image_ref_text(&ref);
		if (have(x, name, always, ids, err) != 0)
			return -1;
	}
	return 0;
}
