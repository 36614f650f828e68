/* SPDX-License-Identifier: MIT */
/*
 * operator: the operator's jobs: pulls, pushes, builds of images.
 *   GET  /api/v1/operator/jobs?kind=pull&state=running&limit=50
 *       scope jobs:read; 200 {"jobs": [...]}, newest first; 400 for a filter that is none
 *   GET  /api/v1/operator/jobs/{id}
 *       scope jobs:read; 200 the job with its "place" and "estimate"; 404
 *   GET  /api/v1/operator/jobs/{id}/log[?attempt=1]
 *       scope jobs:read; 200 text/plain, ranges too: nginx sends the file; 404
 *   POST /api/v1/operator/jobs/{id}/cancel
 *       scope jobs:write; 200 the job, which has ended; 202 it runs and is told to end; 404; 409
 *   POST /api/v1/operator/jobs/{id}/retry
 *       scope jobs:write; 202 a new job with the same request; 404, 409, 429
 * 503 while there is no worker, or before its first start.
 */
#include <config.h>

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "fcgi.h"
#include "guard.h"
#include "io.h"
#include "job_json.h"
#include "log.h"
#include "worklink.h"

#define LIMIT      50
#define LIMIT_MOST 500
#define ANSWER_MS  5000
#define PLACE_MS   1000

static kii_handler list_jobs, get_job, get_log, cancel_job, retry_job;

static const struct kii_route routes[] = {
	{ KII_GET, "/api/v1/operator/jobs", list_jobs, 0, "jobs:read" },
	{ KII_GET, "/api/v1/operator/jobs/{}", get_job, 0, "jobs:read" },
	{ KII_GET, "/api/v1/operator/jobs/{}/log", get_log, 0, "jobs:read" },
	{ KII_POST, "/api/v1/operator/jobs/{}/cancel", cancel_job, 0, "jobs:write" },
	{ KII_POST, "/api/v1/operator/jobs/{}/retry", retry_job, 0, "jobs:write" },
};

static const struct kii_conf *conf;
static char *path;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct kii_jobs *db;   /* under the lock; NULL: not open yet, or given up */

static void close_database(void)
{
	kii_jobs_close(db);
	db = NULL;
}

/* Whatever hinders: the client can but come again. */
static int open_database(struct kii_error *err)
{
	if (db && kii_jobs_moved(db))
		close_database();
	if (!db && kii_jobs_open_operator(path, KII_STORE_READ, &db, err) != 0)
		err->code = KII_EDOWN;
	return db ? 0 : -1;
}

/* --- list --- */

struct listing {
	const char *kind;        /* NULL: any */
	int64_t left;
	json_t *jobs;
};

static bool take(void *arg, const struct kii_job *job)
{
	struct listing *l = arg;

	if (!l->kind || strcmp(l->kind, job->kind) == 0) {
		json_array_append_new(l->jobs, kii_job_json(job));
		l->left--;
	}
	return l->left > 0;
}

static int list(enum kii_job_state state, struct listing *l, struct kii_error *err)
{
	int rc;

	pthread_mutex_lock(&lock);
	rc = open_database(err);
	if (rc == 0 && kii_jobs_list(db, INT64_MAX, state, take, l, err) != 0) {
		close_database();
		rc = -1;
	}
	pthread_mutex_unlock(&lock);
	return rc;
}

static int list_jobs(struct kii_req *req, struct kii_res *res, struct kii_error *err)
{
	kii_autofree char *kind = kii_query_get(req->query, "kind");
	kii_autofree char *word = kii_query_get(req->query, "state");
	enum kii_job_state state = word ? kii_job_state_find(word) : KII_JOB__MAX;
	kii_autojson *jobs = json_array();
	struct listing l = { .kind = kind, .jobs = jobs };
	json_t *body;

	if (word && state == KII_JOB__MAX)
		return kii_error_field(err, "state", "must be queued, running, succeeded, failed, "
			"timed_out, cancelled or lost");
	if (kii_query_number(req->query, "limit", 1, LIMIT_MOST, LIMIT, &l.left, err) != 0 ||
	    list(state, &l, err) != 0)
		return -1;
	body = json_object();
	json_object_set(body, "jobs", jobs);
	kii_res_json(res, 200, body);
	return KII_DONE;
}

/* --- one --- */

struct facts {
	struct kii_job job;
	int64_t place;
	int64_t estimate_ms;
};

/* Under the lock. */
static int find_open(const char *id, struct facts *f, struct kii_error *err)
{
	int64_t slots;

	if (open_database(err) != 0)
		return -1;
	if (kii_jobs_get(db, id, &f->job, err) == 0 &&
	    kii_jobs_place(db, id, &f->place, err) == 0) {
		slots = strcmp(f->job.kind, "pull") == 0 ? conf->docker.max_concurrent_pulls
			: conf->queue.operator_slots;
		if (kii_jobs_forecast(db, &f->job, f->place, slots, kii_io_wall(),
				&f->estimate_ms, err) == 0)
			return 0;
	}
	if (err->code != KII_ENOTFOUND)
		close_database();
	return -1;
}

/* Release f->job whatever comes of it. */
static int find(const char *id, struct facts *f, struct kii_error *err)
{
	int rc;

	if (!kii_job_id_valid(id))
		return kii_error_set(err, KII_ENOTFOUND, 0, "there is no such job");
	pthread_mutex_lock(&lock);
	rc = find_open(id, f, err);
	pthread_mutex_unlock(&lock);
	return rc;
}

static int get_job(struct kii_req *req, struct kii_res *res, struct kii_error *err)
{
	struct facts f = { .estimate_ms = -1 };
	struct kii_error why = { 0 };
	int rc = find(req->args[0], &f, err);

	/* Who is next goes by turns, which the worker alone knows; the rows tell but their age. */
	if (rc == 0 && f.job.state == KII_JOB_QUEUED &&
	    kii_worklink_place(conf->paths.run_dir, f.job.id, PLACE_MS, &f.place, &f.estimate_ms,
			&why) != 0)
		kii_log_warn("place", "error=%s", kii_q(why.msg));
	if (rc == 0) {
		kii_res_json(res, 200, kii_job_json_whole(&f.job, f.place, f.estimate_ms));
		kii_res_etag(res, req);
	}
	kii_job_release(&f.job);
	return rc;
}

static int get_log(struct kii_req *req, struct kii_res *res, struct kii_error *err)
{
	struct facts f = { .estimate_ms = -1 };
	int64_t attempt = 0;
	int rc = kii_query_number(req->query, "attempt", 1, 999, 0, &attempt, err);

	if (rc == 0)
		rc = find(req->args[0], &f, err);
	if (rc == 0 && attempt && attempt != f.job.attempts)
		kii_res_header(res, "X-Accel-Redirect", "/kiisrv-operator-log/%s.%lld.log",
			f.job.id, (long long)attempt);
	else if (rc == 0)
		kii_res_header(res, "X-Accel-Redirect", "/kiisrv-operator-log/%s.log", f.job.id);
	kii_job_release(&f.job);
	return rc;
}

/* --- cancel and retry, which are the worker's to do --- */

/* The job that the worker's answer is about, as it is now. */
static int answer_job(struct kii_res *res, const json_t *answer, struct kii_error *err)
{
	struct facts f = { .estimate_ms = -1 };
	const char *id = kii_json_str(answer, "job");
	int rc = find(id ? id : "", &f, err);

	if (rc == 0) {
		kii_res_header(res, "Location", "/api/v1/operator/jobs/%s", f.job.id);
		kii_res_json(res, kii_job_state_final(f.job.state) ? 200 : 202,
			kii_job_json_whole(&f.job, f.place, f.estimate_ms));
	}
	kii_job_release(&f.job);
	return rc;
}

static int ask(struct kii_req *req, struct kii_res *res, const char *op, struct kii_error *err)
{
	kii_autojson *question = json_pack("{s:s, s:s, s:s}", "op", op, "job", req->args[0],
		"client", req->who);
	kii_autojson *answer = NULL;

	if (!question || !kii_job_id_valid(req->args[0]))
		return kii_error_set(err, KII_ENOTFOUND, 0, "there is no such job");
	if (kii_worklink_question(conf->paths.run_dir, question, ANSWER_MS, &answer, err) != 0) {
		err->code = KII_EDOWN;
		return -1;
	}
	if (json_is_true(json_object_get(answer, "ok")))
		return answer_job(res, answer, err);
	kii_res_fail(res, (int)kii_json_int(answer, "status", 503), kii_json_str(answer, "code"),
		NULL, (int)kii_json_int(answer, "retry_after", 0), "%s",
		kii_json_str(answer, "error"));
	return KII_DONE;
}

static int cancel_job(struct kii_req *req, struct kii_res *res, struct kii_error *err)
{
	return ask(req, res, "cancel", err);
}

static int retry_job(struct kii_req *req, struct kii_res *res, struct kii_error *err)
{
	return ask(req, res, "retry", err);
}

/* --- the process --- */

static int init(const struct kii_conf *c, struct kii_error *err)
{
	(void)err;
	conf = c;
	path = kii_xfmt("%s/engine/operator.sqlite", c->paths.state_dir);
	kii_guard_init(c);
	return 0;
}

static void quit(void)
{
	kii_guard_quit();
	close_database();
	free(path);
}

int main(void)
{
	const struct kii_app app = { "operator", routes, KII_COUNT(routes), init, quit };

	return kii_cgi_main(&app);
}
