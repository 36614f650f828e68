/* SPDX-License-Identifier: MIT */
#include <config.h>

#include "submit.h"

#include <arpa/inet.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "io.h"
#include "json.h"
#include "kind.h"
#include "log.h"
#include "queue.h"

#define RETRY_DISK  300   /* seconds */
#define RETRY_MAX   600
#define ANSWERED_MS 60000   /* so exactly retention has to know when a result was last wanted */

json_t *submit_refusal(int status, const char *code, const char *field, int retry_after,
	const char *fmt, ...)
{
	json_t *answer = json_object();
	char text[300];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	json_object_set_new(answer, "ok", json_false());
	json_object_set_new(answer, "status", json_integer(status));
	kii_json_set_str(answer, "code", code);
	kii_json_set_str(answer, "error", text);
	kii_json_set_str(answer, "field", field && *field ? field : NULL);
	json_object_set_new(answer, "retry_after", json_integer(retry_after));
	return answer;
}

json_t *submit_error(const struct kii_error *err)
{
	switch (err->code) {
	case KII_EINVAL:
	case KII_ETOOBIG:
	case KII_ENOTFOUND:
	case KII_ECONFLICT:
		return submit_refusal(kii_code_status(err->code), kii_code_word(err->code),
			err->field, 0, "%s", err->msg);
	default:
		kii_log_error("submit_failed", "code=%s error=%s", kii_code_word(err->code),
			kii_q(err->msg));
		return submit_refusal(503, kii_code_word(err->code), NULL, 10,
			"the worker cannot take the request now");
	}
}

static json_t *no_such_job(void)
{
	return submit_refusal(404, "not_found", "job", 0, "there is no such job");
}

json_t *submit_no_job(const struct kii_error *err)
{
	return err->code == KII_ENOTFOUND ? no_such_job() : submit_error(err);
}

void submit_client(const char *address, char out[64])
{
	static const unsigned char mapped[12] = { [10] = 0xff, [11] = 0xff };
	struct in6_addr six;
	char text[INET6_ADDRSTRLEN];

	if (inet_pton(AF_INET6, address, &six) != 1) {
		snprintf(out, 64, "%s", address);
		return;
	}
	if (!memcmp(&six, mapped, sizeof(mapped))) {
		inet_ntop(AF_INET, six.s6_addr + 12, text, sizeof(text));
		snprintf(out, 64, "%s", text);
		return;
	}
	memset(six.s6_addr + 8, 0, 8);
	inet_ntop(AF_INET6, &six, text, sizeof(text));
	snprintf(out, 64, "%s/64", text);
}

/* --- what is known of a job --- */

/* Until its end, from the history of its kind and board; -1: no history. Under the lock. */
static int64_t estimate(struct lane *lane, const struct kii_job *job, int64_t place)
{
	struct kii_error err = { 0 };
	int64_t ms = -1;

	if (kii_jobs_forecast(lane->jobs, job, place, lane->slots[kind_group(job->kind)],
			kii_io_wall(), &ms, &err) != 0)
		kii_log_warn("forecast", "error=%s", kii_q(err.msg));
	return ms;
}

/* Under the lock: {"ok":true, ...} of a job. */
static json_t *describe(struct lane *lane, const struct kii_job *job, bool cached)
{
	struct kii_error err = { 0 };
	json_t *answer = json_object();
	int64_t place = 0;

	json_object_set_new(answer, "ok", json_true());
	kii_json_set_str(answer, "job", job->id);
	kii_json_set_str(answer, "key", job->key);
	kii_json_set_str(answer, "state", kii_job_state_name(job->state));
	if (kii_job_state_final(job->state)) {
		json_object_set_new(answer, "cached", json_boolean(cached));
		kii_json_set_str(answer, "artifact", job->artifact);
		kii_json_set_str(answer, "image", job->image);
		kii_json_set_str(answer, "outcome", job->outcome);
		kii_json_set_str(answer, "error", job->error);
		json_object_set_new(answer, "duration_ms", json_integer(worker_duration(job)));
		return answer;
	}
	if (job->state == KII_JOB_QUEUED && queue_place(lane, job->id, &place, &err) != 0)
		kii_log_warn("queue_place", "job=%s error=%s", job->id, kii_q(err.msg));
	json_object_set_new(answer, "place", json_integer(place));
	json_object_set_new(answer, "estimate_ms", json_integer(estimate(lane, job, place)));
	return answer;
}

/* --- admission --- */

/* Where there is room again, by the history: what Retry-After says. Under the lock. */
static int retry_after(struct lane *lane, const struct kii_job *job, int64_t waiting)
{
	int64_t ms = estimate(lane, job, waiting ? waiting : 1);

	if (ms < 0)
		return 10;
	ms = ms / 1000 + 1;
	return ms > RETRY_MAX ? RETRY_MAX : (int)ms;
}

/* Under the lock: NULL to go ahead, or why not. */
static json_t *admit(struct lane *lane, const struct kii_job *job, struct kii_error *err)
{
	const struct worker *w = lane->w;
	const char *what = lane == &w->lanes[LANE_PUBLIC] ? "builds" : "jobs";
	int64_t queued = 0, own = 0;
	uint64_t room = 0;

	if (kii_jobs_queued_count(lane->jobs, &queued, err) != 0 ||
	    kii_jobs_waiting_of(lane->jobs, job->client, &own, err) != 0 ||
	    kii_io_free(w->conf->paths.state_dir, &room, err) != 0)
		return submit_error(err);
	if (own >= w->conf->queue.per_client)
		return submit_refusal(429, "too_many_jobs", NULL, retry_after(lane, job, 1),
			"%lld %s of this client are waiting or running: that is the limit",
			(long long)own, what);
	if (queued >= w->conf->queue.max_waiting)
		return submit_refusal(429, "queue_full", NULL, retry_after(lane, job, queued),
			"the queue is full: %lld %s are waiting", (long long)queued, what);
	if (room < (uint64_t)w->conf->limits.disk_floor) {
		kii_log_error("disk_floor", "free=%llu", (unsigned long long)room);
		return submit_refusal(503, "disk_full", NULL, RETRY_DISK,
			"the server's disk is too full to build");
	}
	return NULL;
}

/* Of a kind whose key stands for one request for good. */
static json_t *find_former(struct lane *lane, const struct kind *kind,
	const struct kii_job *wanted, char watch[], struct kii_error *err)
{
	kii_autojob old = { 0 };
	int rc = kii_jobs_newest(lane->jobs, wanted->kind, wanted->key, &old, err);
	json_t *no;

	if (rc < 0)
		return submit_error(err);
	if (rc == 0)
		return NULL;
	no = kind->collides(&old, wanted);
	if (no)
		/* cppcheck-suppress returnDanglingLifetime ; it is an object of its own */
		return no;
	if (!kii_job_state_final(old.state))
		memcpy(watch, old.id, sizeof(old.id));
	return describe(lane, &old, true);
}

/* Under the lock: what answers the key already, or NULL. */
static json_t *find_known(struct lane *lane, const struct kii_job *wanted, char watch[],
	struct kii_error *err)
{
	kii_autojob job = { 0 };
	kii_autofree char *path = NULL;
	const struct kind *kind = kind_find(wanted->kind);
	int64_t now = kii_io_wall();
	int rc = kind->collides && !wanted->fresh ? 0
		: kii_jobs_live(lane->jobs, wanted->kind, wanted->key, &job, err);

	if (rc < 0)
		return submit_error(err);
	if (rc > 0) {
		memcpy(watch, job.id, sizeof(job.id));
		return describe(lane, &job, false);
	}
	if (wanted->fresh)
		return NULL;
	if (kind->collides)
		return find_former(lane, kind, wanted, watch, err);
	rc = kii_jobs_remembered(lane->jobs, wanted->kind, wanted->key, &job, err);
	if (rc < 0)
		return submit_error(err);
	if (rc == 0)
		return NULL;
	path = kii_xfmt("%s/%s", lane->w->artifacts, job.artifact);
	if (access(path, R_OK) != 0)
		return NULL;
	if (now - job.answered >= ANSWERED_MS &&
	    kii_jobs_answered(lane->jobs, job.id, now, err) != 0)
		return submit_error(err);
	return describe(lane, &job, true);
}

/* Under the lock, one transaction: refused, or queued. */
static json_t *queue_new(struct lane *lane, struct kii_job *job, struct kii_error *err)
{
	json_t *answer;

	if (kii_jobs_begin(lane->jobs, true, err) != 0)
		return submit_error(err);
	answer = admit(lane, job, err);
	if (!answer) {
		kii_io_random_hex(job->id, KII_JOB_ID / 2);
		job->created = kii_io_wall();
		if (kii_jobs_insert(lane->jobs, job, err) != 0)
			answer = submit_error(err);
	}
	if (err->code == KII_OK && kii_jobs_commit(lane->jobs, err) == 0)
		return answer;
	kii_jobs_rollback(lane->jobs);
	return answer ? answer : submit_error(err);
}

/* Known, or refused, or queued: the lock makes one of it, since there is no other writer. */
static json_t *take_on(struct lane *lane, struct kii_job *job, char watch[])
{
	struct worker *w = lane->w;
	struct kii_error err = { 0 };
	json_t *answer;

	pthread_mutex_lock(&w->lock);
	answer = find_known(lane, job, watch, &err);
	if (!answer)
		answer = queue_new(lane, job, &err);
	if (!answer) {
		memcpy(watch, job->id, sizeof(job->id));
		answer = describe(lane, job, false);
		pthread_cond_signal(&lane->work_to_do);
		kii_log_info("job_queued", "job=%s kind=%s board=%s image=%s client=%s", job->id,
			job->kind, kii_q(job->subject), kii_q(job->release), kii_q(job->client));
	}
	pthread_mutex_unlock(&w->lock);
	return answer;
}

/* --- the operations --- */

static void set_client(struct kii_job *job, const char *client)
{
	char counted[64];

	submit_client(client, counted);
	job->client = kii_xstrdup(counted);
}

json_t *submit_new(struct worker *w, const struct kind *kind, const json_t *message,
	char watch[KII_JOB_ID + 1])
{
	kii_autojob job = { .exit_code = -1 };
	const json_t *request = json_object_get(message, "request");
	const char *client = kii_json_str(message, "client");
	json_t *no;

	watch[0] = '\0';
	snprintf(job.kind, sizeof(job.kind), "%s", kind->name);
	no = kind->prepare(w, request, &job);
	if (no)
		/* cppcheck-suppress returnDanglingLifetime ; it is an object of its own */
		return no;
	set_client(&job, client ? client : "");
	job.fresh = json_is_true(json_object_get(message, "fresh"));
	return take_on(&w->lanes[kind->lane], &job, watch);
}

json_t *submit_find(struct worker *w, const struct kind *kind, const json_t *message,
	char watch[KII_JOB_ID + 1])
{
	struct kii_error err = { 0 };
	kii_autojob job = { .exit_code = -1 };
	json_t *answer;

	watch[0] = '\0';
	snprintf(job.kind, sizeof(job.kind), "%s", kind->name);
	pthread_mutex_lock(&w->lock);
	answer = kind->find ? kind->find(w, message, &job) : NULL;
	if (!answer)
		answer = find_known(&w->lanes[kind->lane], &job, watch, &err);
	pthread_mutex_unlock(&w->lock);
	return answer ? answer : submit_refusal(404, "not_found", "content", 0,
		"nothing is known of this content");
}

json_t *submit_attach(struct worker *w, bool admin, const char *id, char watch[KII_JOB_ID + 1])
{
	struct kii_error err = { 0 };
	kii_autojob job = { 0 };
	struct lane *lane = NULL;
	json_t *answer;

	watch[0] = '\0';
	pthread_mutex_lock(&w->lock);
	if (worker_job(w, id, &job, &lane, &err) != 0) {
		answer = submit_no_job(&err);
	} else if (!admin && lane != &w->lanes[LANE_PUBLIC]) {
		answer = no_such_job();
	} else {
		if (!kii_job_state_final(job.state))
			memcpy(watch, job.id, sizeof(job.id));
		answer = describe(lane, &job, false);
	}
	pthread_mutex_unlock(&w->lock);
	return answer;
}

json_t *submit_retry(struct worker *w, const char *id, const char *client)
{
	struct kii_error err = { 0 };
	kii_autojob old = { 0 };
	kii_autojob job = { .exit_code = -1, .fresh = true };
	const struct kind *kind = NULL;
	char watch[KII_JOB_ID + 1];
	struct lane *lane = NULL;
	json_t *no = NULL;

	pthread_mutex_lock(&w->lock);
	if (worker_job(w, id, &old, &lane, &err) != 0)
		no = submit_no_job(&err);
	else if (!kii_job_state_final(old.state))
		no = submit_refusal(409, "conflict", "job", 0, "the job has not ended");
	else if (!(kind = kind_find(old.kind)))
		no = submit_refusal(409, "conflict", "job", 0,
			"the server does not know this kind of job");
	else if (kind->again)
		no = kind->again(w, &old);
	pthread_mutex_unlock(&w->lock);
	if (no || !kind)
		/* cppcheck-suppress returnDanglingLifetime ; it is an object of its own */
		return no;
	memcpy(job.kind, old.kind, sizeof(job.kind));
	memcpy(job.key, old.key, sizeof(job.key));
	set_client(&job, client ? client : "retry");
	job.subject = kii_xstrdup(old.subject);
	job.release = kii_xstrdup(old.release);
	job.image = kii_xstrdup(kind->keeps_image ? old.image : NULL);
	job.request = kii_xstrdup(old.request);
	return take_on(lane, &job, watch);
}
