/* SPDX-License-Identifier: MIT */
/*
 * jobs: what has become of a build, for who knows its id.
 *   GET /api/v1/jobs/{id}
 *       200 {"id", "kind", "state", "created", "started", "finished", "attempts", "place",
 *       "estimate", "outcome", "error", "artifact", "log"}; 404 for what is no firmware job;
 *       503 before the worker's first start
 */
#include <config.h>

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "fcgi.h"
#include "io.h"
#include "jobs.h"
#include "worklink.h"

#define PLACE_MS 1000   /* so long the worker is waited for, then a place by age has to do */

static kii_handler get_job;

static const struct kii_route routes[] = {
	{ KII_GET, "/api/v1/jobs/{}", get_job, 0 },
};

static const struct kii_conf *conf;
static char *path;
static int64_t slots;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct kii_jobs *db;   /* under the lock; NULL: not open yet, or given up */

static void close_database(void)
{
	kii_jobs_close(db);
	db = NULL;
}

/* Whatever hinders: the client can but come again, and gets no name of a file. */
static int open_database(struct kii_error *err)
{
	if (db && kii_jobs_moved(db))
		close_database();
	if (!db && kii_jobs_open(path, KII_STORE_READ, &db, err) != 0)
		err->code = KII_EDOWN;
	return db ? 0 : -1;
}

struct facts {
	struct kii_job job;
	int64_t place;
	int64_t estimate_ms;
};

/* Under the lock. */
static int find(const char *id, struct facts *f, struct kii_error *err)
{
	if (open_database(err) != 0)
		return -1;
	if (kii_jobs_get(db, id, &f->job, err) == 0 && kii_jobs_place(db, id, &f->place, err) == 0
		&& kii_jobs_forecast(db, &f->job, f->place, slots, kii_io_wall(), &f->estimate_ms,
			err) == 0)
		return 0;
	if (err->code != KII_ENOTFOUND)
		close_database();
	return -1;
}

static int find_now(const char *id, struct facts *f, struct kii_error *err)
{
	int rc;

	pthread_mutex_lock(&lock);
	rc = find(id, f, err);
	pthread_mutex_unlock(&lock);
	return rc;
}

/* Who is served next goes by turns, which the worker alone knows; the rows tell but their age. */
static int find_and_place(const char *id, struct facts *f, struct kii_error *err)
{
	struct kii_error why = { 0 };

	if (find_now(id, f, err) != 0)
		return -1;
	if (f->job.state != KII_JOB_QUEUED || kii_worklink_place(conf->paths.run_dir, id, PLACE_MS,
			&f->place, &f->estimate_ms, &why) == 0)
		return 0;
	if (why.code != KII_ECONFLICT)
		return 0;
	/* It was its turn meanwhile. */
	kii_job_release(&f->job);
	return find_now(id, f, err);
}

static void set_path(json_t *o, const char *name, const char *folder, const char *file,
	const char *suffix)
{
	kii_autofree char *all = file ? kii_xfmt("%s%s%s", folder, file, suffix) : NULL;

	kii_json_set_str(o, name, all);
}

static json_t *describe(const struct facts *f)
{
	const struct kii_job *job = &f->job;
	json_t *o = json_object();

	kii_json_set_str(o, "id", job->id);
	kii_json_set_str(o, "kind", job->kind);
	kii_json_set_str(o, "state", kii_job_state_name(job->state));
	kii_json_set_stamp(o, "created", job->created);
	kii_json_set_stamp(o, "started", job->started);
	kii_json_set_stamp(o, "finished", job->finished);
	json_object_set_new(o, "attempts", json_integer(job->attempts));
	json_object_set_new(o, "place", kii_job_state_final(job->state) ? json_null()
		: json_integer(f->place));
	json_object_set_new(o, "estimate", f->estimate_ms < 0 ? json_null()
		: json_real((double)f->estimate_ms / 1000));
	kii_json_set_str(o, "outcome", job->outcome);
	kii_json_set_str(o, "error", job->error);
	set_path(o, "artifact", "/tmp/", job->artifact, "");
	set_path(o, "log", "/logs/", job->id, ".log");
	return o;
}

static int get_job(struct kii_req *req, struct kii_res *res, struct kii_error *err)
{
	struct facts f = { .place = 0 };
	int rc = -1;

	if (kii_job_id_valid(req->args[0]))
		rc = find_and_place(req->args[0], &f, err);
	if (rc == 0 && strcmp(f.job.kind, "firmware") == 0) {
		kii_res_json(res, 200, describe(&f));
		kii_res_etag(res, req);
	} else {
		rc = kii_error_set(err, KII_ENOTFOUND, 0, "there is no such job");
	}
	kii_job_release(&f.job);
	return rc;
}

static int init(const struct kii_conf *c, struct kii_error *err)
{
	(void)err;
	conf = c;
	path = kii_xfmt("%s/queue/jobs.sqlite", conf->paths.state_dir);
	slots = conf->queue.slots > 0 ? conf->queue.slots : 1;
	return 0;
}

static void quit(void)
{
	close_database();
	free(path);
}

int main(void)
{
	const struct kii_app app = { "jobs", routes, KII_COUNT(routes), init, quit };

	return kii_cgi_main(&app);
}
