/* SPDX-License-Identifier: MIT */
/*
 * transfer: the kinds "pull" and "push": an image comes from its registry, or goes to it. Any
 * number of requests for the same share one live job.
 */
#include <config.h>

#include <string.h>

#include "hash.h"
#include "kind.h"
#include "registry_auth.h"
#include "secret.h"
#include "submit.h"
#include "task.h"
#include "transfer_request.h"

#define LIMIT_MS (INT64_C(6) * 3600000)
#define MIB      (1024.0 * 1024)

/* --- the request --- */

/* What the secret has for the image's registry; "" without one. */
static int get_auth(const struct worker *w, const struct kii_transfer_request *r,
	struct kii_buf *out, struct kii_error *err)
{
	kii_autosecret secret = KII_BUF_INIT(KII_SECRET_MAX);

	if (!r->secret)
		return 0;
	if (kii_secret_read(w->conf->paths.secrets, r->secret, "registry_auth", &secret, err) != 0)
		return -1;
	return kii_registry_auth(&secret, r->ref.domain, "registry_auth", out, err);
}

static json_t *prepare(struct worker *w, const json_t *request, struct kii_job *job)
{
	kii_autotransfer r = { .image = NULL };
	kii_autosecret auth = KII_BUF_INIT(KII_SECRET_MAX);
	struct kii_error err = { 0 };
	struct kii_hash *hash;

	if (kii_transfer_request_take(request, strcmp(job->kind, "push") == 0, &r, &err) != 0 ||
	    get_auth(w, &r, &auth, &err) != 0)
		return submit_error(&err);
	job->subject = kii_xstrdup(r.image);
	job->request = kii_transfer_request_text(&r);
	hash = kii_hash_new();
	kii_hash_part(hash, job->kind, job->request, strlen(job->request));
	kii_hash_hex(hash, job->key);
	kii_hash_free(hash);
	return NULL;
}

/* --- the work --- */

static bool say(void *arg, const char *line, const struct kii_transfer_now *now)
{
	struct task *t = arg;

	if (now->layers && now->total)
		task_progress(t, "%zu of %zu layers, %.1f of %.1f MiB", now->done, now->layers,
			(double)now->bytes / MIB, (double)now->total / MIB);
	else if (now->layers)
		task_progress(t, "%zu of %zu layers", now->done, now->layers);
	return line ? task_say(t, "%s", line) : task_may_go_on(t);
}

static int refused(struct task *t, const struct kii_transfer *x, const char *domain,
	struct kii_error *err)
{
	static const struct {
		const char *outcome, *sentence;
	} words[] = {
		[KII_REGISTRY_REFUSED] = { "refused", "did not do it: the log says why" },
		[KII_REGISTRY_DENIED] = { "denied", "wants other credentials than it was given" },
		[KII_REGISTRY_NOT_FOUND] = { "not_found", "has no such image" },
		[KII_REGISTRY_DOWN] = { "registry_down", "cannot be reached by the engine" },
	};

	if (!task_say(t, "%s", err->msg))
		return -1;
	return task_fail(t, err, words[x->why].outcome, "registry %s %s", domain,
		words[x->why].sentence);
}

static int move(struct task *t, bool push, struct kii_transfer_request *r, struct kii_error *err)
{
	kii_autosecret auth = KII_BUF_INIT(KII_SECRET_MAX);
	struct kii_transfer x = { .image = r->image, .say = say, .tick = task_may_go_on,
		.arg = t };
	int rc;

	if (get_auth(t->w, r, &auth, err) != 0)
		return err->code == KII_EINVAL ? task_fail(t, err, "denied",
			"the secret is not what it was when it was asked for") : -1;
	x.auth = auth.len ? auth.data : NULL;
	rc = push ? kii_engine_push(t->engine, &x, err) : kii_engine_pull(t->engine, &x, err);
	if (rc != 0 && err->code == KII_EREFUSED)
		return refused(t, &x, r->ref.domain, err);
	return rc;
}

/* The image as the engine has it. */
static int note_image(struct task *t, const char *name, struct kii_error *err)
{
	struct kii_image image = { .name = NULL };
	int rc;

	if (kii_engine_image_inspect(t->engine, name, &image, err) != 0)
		return -1;
	rc = task_image(t, image.id, err);
	kii_image_release(&image);
	return rc;
}

static int pull(struct task *t, struct kii_error *err)
{
	kii_autotransfer r = { .image = NULL };

	if (kii_transfer_request_take(t->request, false, &r, err) != 0)
		return -1;
	if (!task_say(t, "pull %s", r.image) || move(t, false, &r, err) != 0)
		return -1;
	t->outcome = "pulled";
	return note_image(t, r.image, err);
}

static int push(struct task *t, struct kii_error *err)
{
	kii_autotransfer r = { .image = NULL };

	if (kii_transfer_request_take(t->request, true, &r, err) != 0)
		return -1;
	if (note_image(t, r.image, err) != 0)
		return err->code == KII_ENOTFOUND ? task_fail(t, err, "not_found",
			"the engine has no image %s", r.image) : -1;
	if (!task_say(t, "push %s", r.image) || move(t, true, &r, err) != 0)
		return -1;
	t->outcome = "pushed";
	return 0;
}

static void run_pull(struct lane *lane, struct kii_job *job, struct running *slot)
{
	task_run(lane, job, slot, &(const struct task_kind){ pull, LIMIT_MS, 0 });
}

static void run_push(struct lane *lane, struct kii_job *job, struct running *slot)
{
	task_run(lane, job, slot, &(const struct task_kind){ push, LIMIT_MS, 0 });
}

const struct kind kind_pull = {
	.name = "pull", .lane = LANE_OPERATOR, .group = GROUP_PULL, .prepare = prepare,
	.run = run_pull,
};

const struct kind kind_push = {
	.name = "push", .lane = LANE_OPERATOR, .group = GROUP_WORK, .prepare = prepare,
	.run = run_push,
};
