/* SPDX-License-Identifier: MIT */
#include <config.h>

#include "image.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "hash.h"
#include "io.h"
#include "json.h"
#include "kind.h"
#include "layers.h"
#include "log.h"
#include "plan.h"
#include "secret.h"
#include "source.h"
#include "submit.h"

#define REQUEST_MAX (1u << 20)

/* --- the request --- */

static int check_limits(const struct kii_conf *conf, const struct kii_build_request *r,
	struct kii_error *err)
{
	if (r->memory > conf->build.memory)
		return kii_error_field(err, "limits.memory", "must be at most %lld",
			(long long)conf->build.memory);
	if (r->cpus > conf->build.cpus)
		return kii_error_field(err, "limits.cpus", "must be at most %g", conf->build.cpus);
	if (r->timeout_ms > conf->build.timeout_ms)
		return kii_error_field(err, "limits.timeout", "must be at most %lld",
			(long long)conf->build.timeout_ms / 1000);
	return 0;
}

static int check_secret(const struct kii_conf *conf, const char *name, const char *field,
	struct kii_error *err)
{
	kii_autosecret secret = KII_BUF_INIT(KII_SECRET_MAX);

	return name ? kii_secret_read(conf->paths.secrets, name, field, &secret, err) : 0;
}

static int check_request(const struct worker *w, const struct kii_build_request *r,
	struct kii_error *err)
{
	if (check_limits(w->conf, r, err) != 0 ||
	    check_secret(w->conf, r->git_auth, "git_auth", err) != 0 ||
	    check_secret(w->conf, r->registry_auth, "registry_auth", err) != 0)
		return -1;
	return source_check(w, r, err);
}

/* By the client's id, which stands for one request; without one each is another. */
static void set_key(struct kii_job *job, const char *id)
{
	struct kii_hash *hash;

	if (!id) {
		kii_io_random_hex(job->key, 32);
		return;
	}
	hash = kii_hash_new();
	kii_hash_part(hash, job->kind, id, strlen(id));
	kii_hash_hex(hash, job->key);
	kii_hash_free(hash);
}

static json_t *prepare_any(struct worker *w, const json_t *request, bool plan, struct kii_job *job)
{
	kii_autobuild r = { .doc = NULL };
	struct kii_error err = { 0 };

	if (kii_build_request_take(request, plan, &r, &err) != 0 ||
	    check_request(w, &r, &err) != 0)
		return submit_error(&err);
	if (plan && r.pack != KII_PACK_NIXPACKS && r.pack != KII_PACK_STATIC)
		return submit_refusal(400, "bad_request", "buildpack_type", 0,
			"buildpack_type: only nixpacks and static have a plan");
	job->request = kii_build_request_text(&r);
	if (strlen(job->request) > REQUEST_MAX)
		return submit_refusal(413, "too_big", NULL, 0, "the request is too big");
	job->subject = kii_xstrdup(r.image ? r.image : r.repo ? r.repo : "upload");
	set_key(job, plan ? NULL : r.id);
	return NULL;
}

static json_t *prepare(struct worker *w, const json_t *request, struct kii_job *job)
{
	return prepare_any(w, request, false, job);
}

static json_t *prepare_plan(struct worker *w, const json_t *request, struct kii_job *job)
{
	return prepare_any(w, request, true, job);
}

/* Under the lock. The id of another request cannot be had again. */
static json_t *collides(const struct kii_job *old, const struct kii_job *wanted)
{
	if (strcmp(old->request, wanted->request) == 0)
		return NULL;
	return submit_refusal(409, "conflict", "id", 0,
		"id: there was another build of this id: job %s", old->id);
}

/* --- the workspace --- */

static char *workspace_prefix(const struct worker *w)
{
	return kii_xfmt("kiisrv-%s-", w->instance);
}

/* Fails: EIO, naming the key. */
static int check_folder(const char *path, struct kii_error *err)
{
	if (kii_io_mkdirs(path, 0700, err) != 0)
		return kii_error_wrap(err, "docker.build_dir");
	if (access(path, R_OK | W_OK | X_OK) != 0)
		return kii_error_set(err, KII_EIO, errno, "docker.build_dir: write into %s: %s",
			path, strerror(errno));
	return 0;
}

void image_look(struct worker *w)
{
	struct kii_error err = { 0 };
	char before[sizeof(w->workspace_error)];
	bool fine = check_folder(w->conf->docker.build_dir, &err) == 0;

	pthread_mutex_lock(&w->lock);
	memcpy(before, w->workspace_error, sizeof(before));
	snprintf(w->workspace_error, sizeof(w->workspace_error), "%.299s", fine ? "" : err.msg);
	pthread_mutex_unlock(&w->lock);
	if (strncmp(before, fine ? "" : err.msg, sizeof(before) - 1) == 0)
		return;
	if (fine)
		kii_log_info("workspace", "error=");
	else
		kii_log_error("workspace", "error=%s", kii_q(err.msg));
}

static int open_workspace(struct image_work *x, struct kii_error *err)
{
	struct worker *w = x->t->w;
	kii_autofree char *prefix = workspace_prefix(w);

	x->folder = kii_xfmt("%s/%s%s", w->conf->docker.build_dir, prefix, x->t->job->id);
	if (kii_io_remove_tree(x->folder, err) != 0 ||
	    check_folder(w->conf->docker.build_dir, err) != 0)
		return -1;
	return kii_io_mkdirs(x->folder, 0700, err);
}

static void close_workspace(struct image_work *x)
{
	struct kii_error err = { 0 };

	if (x->source >= 0)
		close(x->source);
	if (x->folder && kii_io_remove_tree(x->folder, &err) != 0)
		kii_log_warn("workspace", "job=%s error=%s", x->t->job->id, kii_q(err.msg));
	free(x->folder);
	free(x->mark);
	kii_buf_release(&x->tail);
	kii_build_request_release(&x->r);
}

void image_sweep(const struct worker *w)
{
	kii_autofree char *prefix = workspace_prefix(w);
	DIR *dir = opendir(w->conf->docker.build_dir);
	const struct dirent *d;

	while (dir && (d = readdir(dir))) {
		kii_autofree char *path = kii_xfmt("%s/%s", w->conf->docker.build_dir, d->d_name);
		struct kii_error err = { 0 };

		if (strncmp(d->d_name, prefix, strlen(prefix)) != 0)
			continue;
		if (kii_io_remove_tree(path, &err) != 0)
			kii_log_warn("workspace", "name=%s error=%s", kii_q(d->d_name),
				kii_q(err.msg));
	}
	if (dir)
		closedir(dir);
}

char *image_plan_path(const struct lane *lane, const char *id)
{
	return kii_xfmt("%s/%s.plan", lane->logs, id);
}

/* --- the work --- */

/* The request again, the workspace, and the source in it. */
static int begin(struct image_work *x, bool plan, struct kii_error *err)
{
	struct task *t = x->t;

	if (kii_build_request_take(t->request, plan, &x->r, err) != 0)
		return -1;
	if (x->r.timeout_ms)
		t->deadline = kii_io_now() + x->r.timeout_ms;
	if (open_workspace(x, err) != 0 || kii_engine_about(t->engine, &x->about, err) != 0)
		return -1;
	task_progress(t, "source");
	return source_get(t, &x->r, x->folder, &x->source, err);
}

static int build_image(struct task *t, struct kii_error *err)
{
	struct image_work x = { .t = t, .source = -1 };
	int rc;

	kii_buf_init(&x.tail, 4096);
	x.mark = worker_container_name(t->w, t->job->id, t->job->attempts);
	x.layers = layers_begin(t->w->layers, x.mark);
	rc = begin(&x, false, err);
	if (rc == 0)
		rc = image_guard(&x, err);
	if (rc == 0)
		rc = image_pack(&x, err);
	image_unguard(&x);
	/* An engine cleans up where the project was at fault, which is not always seen. */
	layers_end(t->w->layers, x.layers, rc != 0);
	if (rc == 0)
		rc = task_image(t, x.image, err);
	if (rc == 0)
		t->outcome = "built";
	close_workspace(&x);
	return rc;
}

static int keep_plan(struct task *t, const struct kii_plan *plan, struct kii_error *err)
{
	kii_autofree char *path = image_plan_path(t->lane, t->job->id);
	kii_autobuf text = KII_BUF_INIT(4u << 20);
	kii_autojson *j = kii_plan_json(plan);

	if (kii_json_dump(j, 0, &text, err) != 0)
		return -1;
	return kii_io_publish(path, text.data, text.len, 0640, err);
}

static int make_plan(struct task *t, struct kii_error *err)
{
	struct image_work x = { .t = t, .source = -1 };
	struct kii_plan *plan = NULL;
	int rc;

	kii_buf_init(&x.tail, 4096);
	rc = begin(&x, true, err);
	if (rc == 0)
		rc = image_plan(&x, &plan, err);
	if (rc == 0)
		rc = keep_plan(t, plan, err);
	if (rc == 0)
		t->outcome = "planned";
	kii_plan_free(plan);
	close_workspace(&x);
	return rc;
}

static void run_image(struct lane *lane, struct kii_job *job, struct running *slot)
{
	const struct kii_conf *conf = lane->w->conf;

	task_run(lane, job, slot, &(const struct task_kind){ build_image, conf->build.timeout_ms,
		conf->build.idle_timeout_ms });
}

static void run_plan(struct lane *lane, struct kii_job *job, struct running *slot)
{
	const struct kii_conf *conf = lane->w->conf;

	task_run(lane, job, slot, &(const struct task_kind){ make_plan, conf->build.timeout_ms,
		conf->build.idle_timeout_ms });
}

const struct kind kind_image = {
	.name = "image", .lane = LANE_OPERATOR, .group = GROUP_WORK, .prepare = prepare,
	.collides = collides, .run = run_image,
};

const struct kind kind_plan = {
	.name = "plan", .lane = LANE_OPERATOR, .group = GROUP_WORK, .prepare = prepare_plan,
	.run = run_plan,
};
