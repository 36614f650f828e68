/* SPDX-License-Identifier: MIT */
/* firmware: the kind of job that the public asks for: a keyboard's layout becomes its firmware. */
#include <config.h>

#include <string.h>

#include "attempt.h"
#include "conclude.h"
#include "json.h"
#include "kind.h"
#include "kll.h"
#include "log.h"
#include "run.h"
#include "submit.h"

#define RETRY_IMAGE 30           /* seconds: the janitor has looked again by then */
/* Of a request as the row keeps it: the largest body, whose numbers may be longer there. */
#define REQUEST_MAX (KII_CONF_BODY_MAX + (1u << 20))

/* --- the request --- */

/* Under the lock: the release that an env means, or the refusal. */
static json_t *find_release(struct worker *w, const char *env, struct kii_job *job, char **git_tag)
{
	struct kii_error err = { 0 };
	struct kii_version version = { 0 };
	const struct kii_image *image;
	json_t *no = NULL;

	if (kii_versions_find(w->versions, env, &version, &err) != 0) {
		if (err.code == KII_ENOTFOUND)
			return submit_refusal(400, "bad_request", "env", 0,
				"env: there is no such version");
		return submit_error(&err);
	}
	image = worker_image(w, version.container);
	if (!image) {
		w->look_now = true;
		pthread_cond_signal(&w->janitor_wake);
		no = submit_refusal(503, "image_missing", "env", RETRY_IMAGE,
			"the image of this version is not there");
	} else {
		job->image = kii_xstrdup(image->id);
		job->release = kii_xstrdup(version.container);
		*git_tag = kii_xstrdup(version.git_tag);
	}
	kii_version_release(&version);
	return no;
}

/* What the row keeps of a request: enough to make everything again. */
static char *keep_request(const char *env, const char *git_tag, json_t *config)
{
	kii_autojson *kept = json_object();
	kii_autobuf text = KII_BUF_INIT(REQUEST_MAX);
	struct kii_error err = { 0 };

	kii_json_set_str(kept, "env", env);
	kii_json_set_str(kept, "git_tag", git_tag);
	json_object_set(kept, "config", config);
	if (kii_json_dump(kept, 0, &text, &err) != 0)
		return NULL;
	return kii_buf_steal(&text);
}

static json_t *prepare(struct worker *w, const json_t *request, struct kii_job *job)
{
	struct kii_error err = { 0 };
	const char *env = kii_json_str(request, "env");
	kii_autofree char *git_tag = NULL;
	struct kii_kll *kll = NULL;
	json_t *no;

	if (!env)
		return submit_refusal(400, "bad_request", "env", 0, "env: must be a string");
	pthread_mutex_lock(&w->lock);
	no = find_release(w, env, job, &git_tag);
	pthread_mutex_unlock(&w->lock);
	if (no)
		return no;
	if (kii_kll_make_parts(request, kii_kll_dialect(env, git_tag, false), w->layouts,
			KII_KLL_HASH, &kll, &err) != 0)
		return submit_error(&err);
	kii_kll_key(kll, job->image, job->key);
	job->subject = kii_xstrdup(kll->board);
	kii_kll_free(kll);
	job->request = keep_request(env, git_tag, json_object_get(request, "config"));
	if (!job->request)
		return submit_refusal(413, "too_big", "config", 0, "config: too big");
	return NULL;
}

static json_t *find(struct worker *w, const json_t *message, struct kii_job *job)
{
	const char *env = kii_json_str(message, "env");
	const char *content = kii_json_str(message, "content");
	kii_autofree char *git_tag = NULL;
	json_t *no;

	if (!env)
		return submit_refusal(400, "bad_request", "env", 0, "env: must be a string");
	if (!content)
		return submit_refusal(400, "bad_request", "content", 0,
			"content: must be a string");
	no = find_release(w, env, job, &git_tag);
	if (!no)
		kii_kll_key_of(content, job->image, job->key);
	return no;
}

/* The key holds the image: another one would be another build. */
static json_t *again(struct worker *w, const struct kii_job *old)
{
	const struct kii_image *image = worker_image(w, old->release ? old->release : "");

	if (image && strcmp(image->id, old->image) == 0)
		return NULL;
	return submit_refusal(409, "image_changed", "job", 0,
		"the job's image is no longer the release's: post the request again");
}

/* --- the job --- */

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

static void run(struct lane *lane, struct kii_job *job, struct running *slot)
{
	struct worker *w = lane->w;
	struct kii_error err = { 0 };
	struct attempt a;
	enum verdict verdict;

	kii_log_info("job_started", "job=%s attempt=%d board=%s image=%s", job->id, job->attempts,
		kii_q(job->subject), kii_q(job->release));
	if (attempt_init(&a, lane, job, slot, &err) != 0) {
		kii_log_error("job_unfit", "job=%s error=%s", job->id, kii_q(err.msg));
		conclude_without(&a, KII_JOB_LOST, "unfit", "the server cannot run the build");
		run_end(lane, job, &a.end, slot);
		attempt_release(&a);
		return;
	}
	if (job->attempts > 1)
		run_pause(w, job->attempts - 1);
	verdict = attempt_run(&a, &err);
	if (verdict == VERDICT_DETACHED) {
		run_leave(lane, slot);
		attempt_release(&a);
		return;
	}
	if (verdict == VERDICT_AGAIN && try_again(&a, &err)) {
		attempt_clean(&a);
		run_again(lane, job, slot);
		attempt_release(&a);
		return;
	}
	run_end(lane, job, &a.end, slot);
	attempt_clean(&a);
	attempt_release(&a);
}

const struct kind kind_firmware = {
	.name = "firmware", .lane = LANE_PUBLIC, .group = GROUP_WORK, .resumes = true,
	.keeps_image = true, .prepare = prepare, .find = find, .again = again, .run = run,
};
