/* SPDX-License-Identifier: MIT */
#include <config.h>

#include "jobs.h"

#include <stdarg.h>

#include "jobs_private.h"

int kii_jobs_begin(struct kii_jobs *jobs, bool durable, struct kii_error *err)
{
	if (kii_store_durable(jobs->store, durable, err) != 0)
		return -1;
	if (kii_store_begin(jobs->store, err) != 0)
		return -1;
	jobs->in_transaction = true;
	return 0;
}

int kii_jobs_commit(struct kii_jobs *jobs, struct kii_error *err)
{
	if (kii_store_commit(jobs->store, err) != 0)
		return -1;
	jobs->in_transaction = false;
	return 0;
}

void kii_jobs_rollback(struct kii_jobs *jobs)
{
	kii_store_rollback(jobs->store);
	jobs->in_transaction = false;
}

/* Inside a transaction its own promise holds. */
static int promise(struct kii_jobs *jobs, bool durable, struct kii_error *err)
{
	return jobs->in_transaction ? 0 : kii_store_durable(jobs->store, durable, err);
}

/* An update that found no row in the state that it needs: say why. */
static int refused(struct kii_jobs *jobs, const char *id, struct kii_error *err)
{
	struct kii_store *s = jobs->store;
	int rc;

	if (kii_store_query(s, JOBS_STATE, err, "s", id) != 0)
		return -1;
	rc = kii_store_next(s, JOBS_STATE, err);
	if (rc == 1)
		kii_error_set(err, KII_ECONFLICT, 0, "the job is %s",
			kii_store_text(s, JOBS_STATE, 0));
	else if (rc == 0)
		kii_error_set(err, KII_ENOTFOUND, 0, "there is no such job");
	kii_store_reset(s, JOBS_STATE);
	return -1;
}

int kii_jobs_insert(struct kii_jobs *jobs, const struct kii_job *job, struct kii_error *err)
{
	if (promise(jobs, true, err) != 0)
		return -1;
	return kii_store_run(jobs->store, JOBS_INSERT, NULL, err, "ssssssssii", job->id, job->kind,
		job->key, job->client, job->subject, job->release, job->image, job->request,
		job->created, (int64_t)job->fresh);
}

/* A statement that changes the job `id`, or has nothing to change; its values follow. */
static int change(struct kii_jobs *jobs, bool durable, int stmt, const char *id,
	struct kii_error *err, const char *types, ...)
{
	int64_t changes = 0;
	va_list ap;
	int rc;

	if (promise(jobs, durable, err) != 0)
		return -1;
	va_start(ap, types);
	rc = kii_store_vrun(jobs->store, stmt, &changes, err, types, ap);
	va_end(ap);
	if (rc != 0)
		return -1;
	return changes ? 0 : refused(jobs, id, err);
}

int kii_jobs_start(struct kii_jobs *jobs, const char *id, int attempt, int64_t now,
	struct kii_error *err)
{
	return change(jobs, false, JOBS_START, id, err, "sii", id, (int64_t)attempt, now);
}

int kii_jobs_requeue(struct kii_jobs *jobs, const char *id, struct kii_error *err)
{
	return change(jobs, false, JOBS_REQUEUE, id, err, "s", id);
}

int kii_jobs_finish(struct kii_jobs *jobs, const char *id, const struct kii_job_end *end,
	struct kii_error *err)
{
	if (!kii_job_state_final(end->state))
		return kii_error_set(err, KII_EINVAL, 0, "no job ends as %s",
			kii_job_state_name(end->state));
	return change(jobs, true, JOBS_FINISH, id, err, "ssisssiii", id,
		kii_job_state_name(end->state), (int64_t)end->exit_code, end->outcome, end->error,
		end->artifact, end->artifact_bytes, end->log_bytes, end->finished);
}

int kii_jobs_set_container(struct kii_jobs *jobs, const char *id, const char *container_id,
	struct kii_error *err)
{
	return change(jobs, false, JOBS_CONTAINER, id, err, "ss", id, container_id);
}

int kii_jobs_set_image(struct kii_jobs *jobs, const char *id, const char *image,
	struct kii_error *err)
{
	return change(jobs, false, JOBS_IMAGE, id, err, "ss", id, image);
}

int kii_jobs_progress(struct kii_jobs *jobs, const char *id, const char *text,
	struct kii_error *err)
{
	return change(jobs, false, JOBS_PROGRESS, id, err, "ss", id, text);
}

int kii_jobs_cancel_wish(struct kii_jobs *jobs, const char *id, int64_t now,
	struct kii_error *err)
{
	return change(jobs, false, JOBS_CANCEL, id, err, "si", id, now);
}

int kii_jobs_answered(struct kii_jobs *jobs, const char *id, int64_t now, struct kii_error *err)
{
	return change(jobs, false, JOBS_ANSWERED, id, err, "si", id, now);
}

int kii_jobs_forget_artifact(struct kii_jobs *jobs, const char *id, struct kii_error *err)
{
	return change(jobs, false, JOBS_FORGET, id, err, "s", id);
}

int kii_jobs_delete(struct kii_jobs *jobs, const char *id, struct kii_error *err)
{
	return change(jobs, false, JOBS_DELETE, id, err, "s", id);
}
