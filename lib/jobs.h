/* SPDX-License-Identifier: MIT */
/*
 * jobs: typed access to the jobs table (of jobs.sqlite, and of operator.sqlite). One handle per
 * thread or under the caller's lock. Every call that takes an error fails with EDB, EBUSY; further
 * codes are named at the call. Times are milliseconds since 1970, 0 for "never". Callbacks run with
 * no statement open, so they may use the same handle.
 */
#ifndef KII_JOBS_H
#define KII_JOBS_H

#include "store.h"

#define KII_JOBS_VERSION 2      /* the newest schema that this program knows */
#define KII_OPERATOR_VERSION 1  /* of operator.sqlite, which has the same tables among others */
#define KII_JOB_ID 32           /* hex digits of an id */

enum kii_job_state {
	KII_JOB_QUEUED,
	KII_JOB_RUNNING,
	KII_JOB_SUCCEEDED,
	KII_JOB_FAILED,
	KII_JOB_TIMED_OUT,
	KII_JOB_CANCELLED,
	KII_JOB_LOST,
	KII_JOB__MAX
};

/* Texts are heap strings or NULL; kii_job_release frees them. */
struct kii_job {
	char id[KII_JOB_ID + 1];
	char kind[16];           /* "firmware" */
	char key[65];
	enum kii_job_state state;
	char *client;            /* who asked first */
	char *subject;           /* what the estimate goes by: the board */
	char *release;           /* the container's name: "controller-057" */
	char *image;             /* image ID */
	char *request;           /* JSON; filled in by kii_jobs_get only: it is big */
	int64_t created;
	int64_t started;         /* of the last attempt */
	int64_t finished;
	int attempts;
	char *container_id;
	int exit_code;           /* -1: none */
	char *outcome;           /* a stable word: "build_failed" */
	char *error;             /* a sentence for a person */
	char *artifact;          /* file name; NULL once it was collected */
	int64_t artifact_bytes;
	int64_t log_bytes;
	char *progress;
	int64_t answered;        /* when its result was last given to somebody */
	int64_t cancel;          /* when somebody asked to cancel it */
	bool fresh;              /* asked for past the cache */
};

#define kii_autojob __attribute__((cleanup(kii_job_release))) struct kii_job

/* Free the texts and zero it; a zeroed one is fine. */
void kii_job_release(struct kii_job *job);

/* "queued", "running", ... Never NULL. */
const char *kii_job_state_name(enum kii_job_state state);
/* The state of that name, KII_JOB__MAX when there is none. */
enum kii_job_state kii_job_state_find(const char *name);
/* Neither queued nor running. */
bool kii_job_state_final(enum kii_job_state state);
/* Is `id` 32 lower-case hex digits? */
bool kii_job_id_valid(const char *id);

struct kii_jobs;

/* As kii_store_migrate: the worker, before it opens. */
int kii_jobs_migrate(const char *path, const char *schema_dir, struct kii_error *err)
	KII_MUST_CHECK;
/* As kii_store_open: ENOTFOUND when missing, ECONFLICT when newer than the program. */
int kii_jobs_open(const char *path, enum kii_store_mode mode, struct kii_jobs **out,
	struct kii_error *err) KII_MUST_CHECK;
/*
 * The same tables in operator.sqlite, whose versions are its own: kii_operator_migrate
 * (lib/operator.h) makes it.
 */
int kii_jobs_open_operator(const char *path, enum kii_store_mode mode, struct kii_jobs **out,
	struct kii_error *err) KII_MUST_CHECK;
void kii_jobs_close(struct kii_jobs *jobs);
/* As kii_store_moved. */
bool kii_jobs_moved(struct kii_jobs *jobs);

/*
 * Several calls as one transaction (IMMEDIATE), on disk at its end when `durable`. Without one,
 * each call is its own, and insert and finish are durable. After any failure inside: roll back.
 */
int kii_jobs_begin(struct kii_jobs *jobs, bool durable, struct kii_error *err) KII_MUST_CHECK;
int kii_jobs_commit(struct kii_jobs *jobs, struct kii_error *err) KII_MUST_CHECK;
void kii_jobs_rollback(struct kii_jobs *jobs);   /* nothing when none is open */

/* --- reading --- */

/* *out is written on success only; release it. Fails further with ENOTFOUND. */
int kii_jobs_get(struct kii_jobs *jobs, const char *id, struct kii_job *out,
	struct kii_error *err) KII_MUST_CHECK;
/* The queued or running job of the key. 1: *out is it, 0: there is none, -1: error. */
int kii_jobs_live(struct kii_jobs *jobs, const char *kind, const char *key, struct kii_job *out,
	struct kii_error *err) KII_MUST_CHECK;
/*
 * The newest end that answers the key again: succeeded, or outcome "build_failed", and its
 * artifact not forgotten. 1, 0 or -1 as above.
 */
int kii_jobs_remembered(struct kii_jobs *jobs, const char *kind, const char *key,
	struct kii_job *out, struct kii_error *err) KII_MUST_CHECK;

int kii_jobs_queued_count(struct kii_jobs *jobs, int64_t *n, struct kii_error *err)
	KII_MUST_CHECK;
/* Queued and running jobs of the client. */
int kii_jobs_waiting_of(struct kii_jobs *jobs, const char *client, int64_t *n,
	struct kii_error *err) KII_MUST_CHECK;
/* From 1 among the queued, oldest first; 0 when it is not queued. ENOTFOUND for an unknown id. */
int kii_jobs_place(struct kii_jobs *jobs, const char *id, int64_t *place, struct kii_error *err)
	KII_MUST_CHECK;
/*
 * Median of the last 20 successful durations of the kind and subject, else of the kind alone;
 * -1: no history. `subject` may be NULL.
 */
int kii_jobs_estimate(struct kii_jobs *jobs, const char *kind, const char *subject, int64_t *ms,
	struct kii_error *err) KII_MUST_CHECK;

/*
 * ms until the job's end, -1: no history or it has ended. `place` among the queued as by
 * kii_jobs_place; `slots` run at a time.
 */
int kii_jobs_forecast(struct kii_jobs *jobs, const struct kii_job *job, int64_t place,
	int64_t slots, int64_t now, int64_t *ms, struct kii_error *err) KII_MUST_CHECK;

/* `job` is borrowed for the call. False ends the walk, which is no failure. */
typedef bool kii_jobs_take(void *arg, const struct kii_job *job);

/* Queued and running, in order of creation. */
int kii_jobs_each_live(struct kii_jobs *jobs, kii_jobs_take *take, void *arg,
	struct kii_error *err) KII_MUST_CHECK;
/* The newest `limit` of the state, or of all with KII_JOB__MAX, newest first. */
int kii_jobs_list(struct kii_jobs *jobs, int64_t limit, enum kii_job_state state,
	kii_jobs_take *take, void *arg, struct kii_error *err) KII_MUST_CHECK;
/* Ended jobs that have an artifact, least recently answered (else finished) first. */
int kii_jobs_oldest_artifacts(struct kii_jobs *jobs, kii_jobs_take *take, void *arg,
	struct kii_error *err) KII_MUST_CHECK;
/* Jobs that finished before `ms`, oldest first: whose logs are due. */
int kii_jobs_ended_before(struct kii_jobs *jobs, int64_t ms, kii_jobs_take *take, void *arg,
	struct kii_error *err) KII_MUST_CHECK;
/* How many jobs name this artifact: a fresh build of a key publishes the same name again. */
int kii_jobs_artifact_users(struct kii_jobs *jobs, const char *artifact, int64_t *n,
	struct kii_error *err) KII_MUST_CHECK;
/* Bytes of all artifacts that are not forgotten. */
int kii_jobs_artifact_bytes(struct kii_jobs *jobs, int64_t *bytes, struct kii_error *err)
	KII_MUST_CHECK;

/* --- counts of ended jobs, kept by a trigger: they only grow --- */

/* Texts are borrowed for the call and never NULL; the call must leave the handle alone. */
struct kii_jobs_ends {
	const char *subject, *release, *outcome;
	int64_t n;
};
typedef void kii_jobs_take_ends(void *arg, const struct kii_jobs_ends *ends);
/* Sorted by subject, release, outcome. */
int kii_jobs_each_ends(struct kii_jobs *jobs, const char *kind, kii_jobs_take_ends *take,
	void *arg, struct kii_error *err) KII_MUST_CHECK;

/* How many of a subject took at most `le_ms`; INT64_MAX is the last of each subject: all. */
struct kii_jobs_durations {
	const char *subject;
	int64_t le_ms;
	int64_t n;
	int64_t sum_ms;      /* of all of the subject */
};
typedef void kii_jobs_take_durations(void *arg, const struct kii_jobs_durations *d);
/* Sorted by subject and bound. */
int kii_jobs_each_durations(struct kii_jobs *jobs, const char *kind,
	kii_jobs_take_durations *take, void *arg, struct kii_error *err) KII_MUST_CHECK;

/* --- writing (the worker) --- */

/*
 * Queue a new job: takes id, kind, key, client, subject, release, image, request, created, fresh;
 * the rest starts empty. Durable. Fails further with ECONFLICT: the key has a live job, or the id
 * is taken.
 */
int kii_jobs_insert(struct kii_jobs *jobs, const struct kii_job *job, struct kii_error *err)
	KII_MUST_CHECK;

/*
 * Transitions are compare-and-set. Fail further with ECONFLICT (the state that the job is in does
 * not allow it) and ENOTFOUND. Legal: queued -> running, cancelled, lost, failed; running ->
 * queued and every final state.
 */
int kii_jobs_start(struct kii_jobs *jobs, const char *id, int attempt, int64_t now,
	struct kii_error *err) KII_MUST_CHECK;
/* Back into the queue, at its old place; started, container and progress are forgotten. */
int kii_jobs_requeue(struct kii_jobs *jobs, const char *id, struct kii_error *err)
	KII_MUST_CHECK;

/* How a job ended. Texts are borrowed and may be NULL. */
struct kii_job_end {
	enum kii_job_state state;
	int exit_code;           /* -1: none */
	const char *outcome, *error, *artifact;
	int64_t artifact_bytes;
	int64_t log_bytes;
	int64_t finished;
};
/* Durable. EINVAL for a state that is not final. */
int kii_jobs_finish(struct kii_jobs *jobs, const char *id, const struct kii_job_end *end,
	struct kii_error *err) KII_MUST_CHECK;

/* Running jobs only, else ECONFLICT. */
int kii_jobs_set_container(struct kii_jobs *jobs, const char *id, const char *container_id,
	struct kii_error *err) KII_MUST_CHECK;
/* What the job made or got: an image's ID. */
int kii_jobs_set_image(struct kii_jobs *jobs, const char *id, const char *image,
	struct kii_error *err) KII_MUST_CHECK;
int kii_jobs_progress(struct kii_jobs *jobs, const char *id, const char *text,
	struct kii_error *err) KII_MUST_CHECK;
/* Live jobs only, else ECONFLICT; the first wish's time stays. */
int kii_jobs_cancel_wish(struct kii_jobs *jobs, const char *id, int64_t now,
	struct kii_error *err) KII_MUST_CHECK;

/* Any job; ENOTFOUND. */
int kii_jobs_answered(struct kii_jobs *jobs, const char *id, int64_t now, struct kii_error *err)
	KII_MUST_CHECK;
/* Ended jobs only, else ECONFLICT. */
int kii_jobs_forget_artifact(struct kii_jobs *jobs, const char *id, struct kii_error *err)
	KII_MUST_CHECK;
int kii_jobs_delete(struct kii_jobs *jobs, const char *id, struct kii_error *err)
	KII_MUST_CHECK;

#endif
