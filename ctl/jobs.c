/* SPDX-License-Identifier: MIT */
/* kiisrvctl jobs: show, and what its files share; the databases are read without the worker. */
#include <config.h>

#include "ctl_jobs.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "io.h"
#include "json.h"
#include "text.h"
#include "worklink.h"

#define PLACE_MS 1000   /* so long the worker is waited for */

/* One that is not there yet, or that this user cannot get at, has nothing to tell. */
static int open_operator(struct ctl_jobs *j, struct kii_error *err)
{
	kii_autofree char *folder = kii_xfmt("%s/engine", j->conf->paths.state_dir);
	kii_autofree char *path = kii_xfmt("%s/operator.sqlite", folder);

	if (access(folder, X_OK) != 0 ||
	    kii_jobs_open_operator(path, KII_STORE_READ, &j->operator, err) == 0)
		return 0;
	if (err->code != KII_ENOTFOUND)
		return -1;
	kii_error_clear(err);
	return 0;
}

int ctl_jobs_open(const struct ctl *ctl, struct ctl_jobs *j, struct kii_error *err)
{
	kii_autofree char *path = NULL;

	if (kii_conf_load(ctl->config_file, &j->conf, err) != 0)
		return -1;
	path = kii_xfmt("%s/queue/jobs.sqlite", j->conf->paths.state_dir);
	if (kii_jobs_open(path, KII_STORE_READ, &j->db, err) != 0)
		return -1;
	return open_operator(j, err);
}

int ctl_jobs_find(const struct ctl_jobs *j, const char *id, struct kii_job *out,
	struct kii_jobs **db, struct kii_error *err)
{
	struct kii_jobs *both[] = { j->db, j->operator };

	for (size_t i = 0; i < KII_COUNT(both) && both[i]; i++) {
		struct kii_error why = { 0 };

		if (kii_jobs_get(both[i], id, out, &why) == 0) {
			if (db)
				*db = both[i];
			return 0;
		}
		if (why.code != KII_ENOTFOUND)
			return kii_error_set(err, why.code, why.detail, "%s", why.msg);
	}
	return kii_error_set(err, KII_ENOTFOUND, 0, "there is no such job");
}

void ctl_jobs_close(struct ctl_jobs *j)
{
	kii_jobs_close(j->db);
	kii_jobs_close(j->operator);
	kii_conf_free(j->conf);
	*j = (struct ctl_jobs){ .db = NULL };
}

int ctl_jobs_check_id(const char *id, struct kii_error *err)
{
	return kii_job_id_valid(id) ? 0 : kii_error_field(err, "ID",
		"must be the 32 hex digits of a job");
}

int ctl_jobs_number(const char *text, const char *field, int64_t least, int64_t most,
	int64_t *out, struct kii_error *err)
{
	char *end;

	errno = 0;
	*out = strtoll(text, &end, 10);
	if (errno == 0 && *text >= '0' && *text <= '9' && !*end && *out >= least && *out <= most)
		return 0;
	return kii_error_field(err, field, "must be a number from %lld to %lld",
		(long long)least, (long long)most);
}

int64_t ctl_jobs_duration(const struct kii_job *job)
{
	if (!job->started)
		return -1;
	return (job->finished ? job->finished : kii_io_wall()) - job->started;
}

/* --- JSON --- */

static void set_number(json_t *o, const char *name, int64_t n, bool there)
{
	json_object_set_new(o, name, there ? json_integer(n) : json_null());
}

json_t *ctl_jobs_json(const struct kii_job *job)
{
	json_t *o = json_object();

	kii_json_set_str(o, "id", job->id);
	kii_json_set_str(o, "kind", job->kind);
	kii_json_set_str(o, "state", kii_job_state_name(job->state));
	kii_json_set_str(o, "board", job->subject);
	kii_json_set_str(o, "release", job->release);
	kii_json_set_str(o, "image", job->image);
	kii_json_set_str(o, "client", job->client);
	kii_json_set_str(o, "key", job->key);
	json_object_set_new(o, "fresh", json_boolean(job->fresh));
	kii_json_set_stamp(o, "created", job->created);
	kii_json_set_stamp(o, "started", job->started);
	kii_json_set_stamp(o, "finished", job->finished);
	kii_json_set_stamp(o, "answered", job->answered);
	kii_json_set_stamp(o, "cancel", job->cancel);
	set_number(o, "duration_ms", ctl_jobs_duration(job), job->started != 0);
	set_number(o, "attempts", job->attempts, true);
	set_number(o, "exit_code", job->exit_code, job->exit_code >= 0);
	kii_json_set_str(o, "outcome", job->outcome);
	kii_json_set_str(o, "error", job->error);
	kii_json_set_str(o, "artifact", job->artifact);
	set_number(o, "artifact_bytes", job->artifact_bytes, true);
	set_number(o, "log_bytes", job->log_bytes, true);
	kii_json_set_str(o, "progress", job->progress);
	kii_json_set_str(o, "container", job->container_id);
	return o;
}

/* --- show --- */

struct facts {
	struct kii_job job;
	int64_t place;
	int64_t estimate_ms;
};

static int read_row(struct ctl_jobs *j, const char *id, struct facts *f, struct kii_error *err)
{
	struct kii_jobs *db = NULL;
	int64_t slots;

	kii_job_release(&f->job);
	if (ctl_jobs_find(j, id, &f->job, &db, err) != 0 ||
	    kii_jobs_place(db, id, &f->place, err) != 0)
		return -1;
	slots = db == j->db ? j->conf->queue.slots : strcmp(f->job.kind, "pull") == 0 ?
		j->conf->docker.max_concurrent_pulls : j->conf->queue.operator_slots;
	return kii_jobs_forecast(db, &f->job, f->place, slots, kii_io_wall(), &f->estimate_ms,
		err);
}

/* The worker serves by turns, which it alone knows; without it the jobs' age has to do. */
static int find(struct ctl_jobs *j, const char *id, struct facts *f, struct kii_error *err)
{
	struct kii_error why = { 0 };

	if (read_row(j, id, f, err) != 0)
		return -1;
	if (f->job.state == KII_JOB_QUEUED && kii_worklink_place(j->conf->paths.run_dir, id,
			PLACE_MS, &f->place, &f->estimate_ms, &why) != 0 &&
	    why.code == KII_ECONFLICT)
		return read_row(j, id, f, err);
	return 0;
}

static void print_json(const struct facts *f)
{
	kii_autojson *o = ctl_jobs_json(&f->job);
	kii_autojson *request = NULL;
	struct kii_error ignored = { 0 };

	set_number(o, "place", f->place, !kii_job_state_final(f->job.state));
	set_number(o, "estimate_ms", f->estimate_ms, f->estimate_ms >= 0);
	if (f->job.request && kii_json_parse_wrapped(f->job.request, strlen(f->job.request),
			"request", &request, &ignored) == 0)
		json_object_set(o, "request", request);
	ctl_print_json(o);
}

/* A row, unless there is nothing to say. */
static void row(struct ctl_table *t, const char *name, const char *value)
{
	if (!value || !*value)
		return;
	ctl_table_add(t, name);
	ctl_table_add(t, value);
}

static void row_take(struct ctl_table *t, const char *name, char *value_take, bool there)
{
	if (there)
		row(t, name, value_take);
	free(value_take);
}

static void add_times(struct ctl_table *t, const struct facts *f)
{
	const struct kii_job *job = &f->job;

	row_take(t, "created", ctl_time(job->created), true);
	row_take(t, "started", ctl_time(job->started), job->started != 0);
	row_take(t, "finished", ctl_time(job->finished), job->finished != 0);
	row_take(t, "time", ctl_duration(ctl_jobs_duration(job)), job->started != 0);
	row_take(t, "place", kii_xfmt("%lld", (long long)f->place), f->place > 0);
	row_take(t, "ends in about", ctl_duration(f->estimate_ms), f->estimate_ms >= 0);
	row_take(t, "answered", ctl_time(job->answered), job->answered != 0);
	row_take(t, "cancel asked", ctl_time(job->cancel), job->cancel != 0);
}

static void print_text(const struct facts *f)
{
	const struct kii_job *job = &f->job;
	struct ctl_table t;

	ctl_table_init(&t, 2);
	row(&t, "job", job->id);
	row(&t, "state", kii_job_state_name(job->state));
	row(&t, "outcome", job->outcome);
	row(&t, "error", job->error);
	row(&t, "kind", job->kind);
	row(&t, strcmp(job->kind, "firmware") == 0 ? "board" : "subject", job->subject);
	row(&t, "release", job->release);
	row(&t, "client", job->client);
	add_times(&t, f);
	row_take(&t, "attempts", kii_xfmt("%d", job->attempts), true);
	row_take(&t, "exit code", kii_xfmt("%d", job->exit_code), job->exit_code >= 0);
	row(&t, "result", job->artifact);
	row_take(&t, "result size", ctl_bytes(job->artifact_bytes), job->artifact != NULL);
	row_take(&t, "log size", ctl_bytes(job->log_bytes), kii_job_state_final(job->state));
	row(&t, "progress", job->progress);
	row(&t, "fresh", job->fresh ? "yes" : NULL);
	row(&t, "key", job->key);
	row(&t, "image", job->image);
	row(&t, "container", job->container_id);
	ctl_table_print(&t, stdout);
	ctl_table_release(&t);
}

static int show(struct ctl *ctl, int argc, char **argv)
{
	struct facts f = { .estimate_ms = -1 };
	struct kii_error err = { 0 };
	struct ctl_jobs j = { .db = NULL };

	if (argc != 2)
		return ctl_usage("usage: kiisrvctl jobs show ID");
	if (ctl_jobs_check_id(argv[1], &err) == 0 && ctl_jobs_open(ctl, &j, &err) == 0 &&
	    find(&j, argv[1], &f, &err) == 0) {
		if (ctl->json)
			print_json(&f);
		else
			print_text(&f);
	}
	kii_job_release(&f.job);
	ctl_jobs_close(&j);
	return err.code == KII_OK ? CTL_OK : ctl_fail_as_asked(ctl, &err);
}

const struct ctl_command ctl_jobs[] = {
	{ "list", CTL_JOBS_LIST_ARGS, "Print the newest jobs", ctl_jobs_list, NULL },
	{ "show", "ID", "Print all that is known of a job", show, NULL },
	{ "log", CTL_JOBS_LOG_ARGS, "Print a job's log; -f: as it grows, until the job's end",
		ctl_jobs_log, NULL },
	{ "cancel", CTL_JOBS_CANCEL_ARGS, "End a job, and wait until it has ended",
		ctl_jobs_cancel, NULL },
	{ "retry", "ID", "Do the work of a job that has ended once more", ctl_jobs_retry, NULL },
	{ NULL },
};
