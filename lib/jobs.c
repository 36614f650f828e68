/* SPDX-License-Identifier: MIT */
#include <config.h>

#include "jobs.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "jobs_private.h"

#define BATCH 64        /* rows that a walk holds at once */
#define HISTORY 20      /* durations that an estimate looks at */

static const char *const state_names[] = {
	[KII_JOB_QUEUED]    = "queued",
	[KII_JOB_RUNNING]   = "running",
	[KII_JOB_SUCCEEDED] = "succeeded",
	[KII_JOB_FAILED]    = "failed",
	[KII_JOB_TIMED_OUT] = "timed_out",
	[KII_JOB_CANCELLED] = "cancelled",
	[KII_JOB_LOST]      = "lost",
};
static_assert(KII_COUNT(state_names) == KII_JOB__MAX, "a name for every state");

/* In the order of load(); the request (or NULL: it is big) and a walk's position follow. */
#define COLUMNS \
	"id, kind, key, state, client, subject, release, image, created, started, finished, " \
	"attempts, container_id, exit_code, outcome, error, artifact, artifact_bytes, log_bytes, " \
	"progress, answered, cancel, fresh"
enum { REQUEST_COLUMN = 23, POSITION_COLUMN, ROWID_COLUMN };

/* The very words of the partial indices, or SQLite will not use them. */
#define IS_LIVE "state IN ('queued', 'running')"
#define IS_REMEMBERED "artifact IS NOT NULL AND (state = 'succeeded' OR outcome = 'build_failed')"

/* Walks: ?1 and ?2 the last position, ?3 how many. */
static const char *const statements[] = {
	[JOBS_GET] = "SELECT " COLUMNS ", request FROM Jobs WHERE id = ?1",
	[JOBS_LIVE] = "SELECT " COLUMNS ", NULL FROM Jobs WHERE kind = ?1 AND key = ?2 AND "
		IS_LIVE,
	[JOBS_REMEMBERED] = "SELECT " COLUMNS ", NULL FROM Jobs WHERE kind = ?1 AND key = ?2 AND "
		IS_REMEMBERED " ORDER BY finished DESC, rowid DESC LIMIT 1",
	[JOBS_QUEUED] = "SELECT count(*) FROM Jobs WHERE state = 'queued'",
	[JOBS_WAITING] = "SELECT count(*) FROM Jobs WHERE client = ?1 AND " IS_LIVE,
	[JOBS_PLACE] = "SELECT CASE j.state WHEN 'queued' THEN (SELECT count(*) FROM Jobs q "
		"WHERE q.state = 'queued' AND (q.created, q.rowid) <= (j.created, j.rowid)) "
		"ELSE 0 END FROM Jobs j WHERE j.id = ?1",
	[JOBS_HISTORY] = "SELECT finished - started FROM Jobs WHERE kind = ?1 AND subject = ?2 "
		"AND state = 'succeeded' ORDER BY finished DESC LIMIT ?3",
	[JOBS_HISTORY_KIND] = "SELECT finished - started FROM Jobs WHERE kind = ?1 "
		"AND state = 'succeeded' ORDER BY finished DESC LIMIT ?2",
	[JOBS_WALK_LIVE] = "SELECT " COLUMNS ", NULL, created, rowid FROM Jobs WHERE " IS_LIVE
		" AND (created, rowid) > (?1, ?2) ORDER BY created, rowid LIMIT ?3",
	[JOBS_WALK_ALL] = "SELECT " COLUMNS ", NULL, created, rowid FROM Jobs "
		"WHERE (created, rowid) < (?1, ?2) ORDER BY created DESC, rowid DESC LIMIT ?3",
	[JOBS_WALK_STATE] = "SELECT " COLUMNS ", NULL, created, rowid FROM Jobs WHERE state = ?4 "
		"AND (created, rowid) < (?1, ?2) ORDER BY created DESC, rowid DESC LIMIT ?3",
	[JOBS_WALK_ARTIFACTS] = "SELECT " COLUMNS ", NULL, coalesce(answered, finished), rowid "
		"FROM Jobs WHERE artifact IS NOT NULL "
		"AND coalesce(answered, finished) >= ?1 "
		"AND (coalesce(answered, finished) > ?1 OR rowid > ?2) "
		"ORDER BY coalesce(answered, finished), rowid LIMIT ?3",
	[JOBS_WALK_ENDED] = "SELECT " COLUMNS ", NULL, finished, rowid FROM Jobs "
		"WHERE finished < ?4 AND (finished, rowid) > (?1, ?2) "
		"ORDER BY finished, rowid LIMIT ?3",
	[JOBS_USERS] = "SELECT count(*) FROM Jobs WHERE artifact = ?1",
	[JOBS_BYTES] = "SELECT coalesce(sum(bytes), 0) FROM (SELECT max(artifact_bytes) AS bytes "
		"FROM Jobs WHERE artifact IS NOT NULL GROUP BY artifact)",
	[JOBS_ENDS] = "SELECT subject, release, outcome, n FROM EndCounts WHERE kind = ?1 "
		"ORDER BY subject, release, outcome",
	[JOBS_DURATIONS] = "SELECT b.subject, b.le, b.n, s.ms FROM DurationBuckets b "
		"JOIN DurationSums s USING (kind, subject) WHERE b.kind = ?1 "
		"ORDER BY b.subject, b.le",
	[JOBS_STATE] = "SELECT state FROM Jobs WHERE id = ?1",
	[JOBS_INSERT] = "INSERT INTO Jobs (id, kind, key, client, subject, release, image, "
		"request, created, fresh) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)",
	[JOBS_START] = "UPDATE Jobs SET state = 'running', attempts = ?2, started = ?3, "
		"container_id = NULL, progress = NULL WHERE id = ?1 AND state = 'queued'",
	[JOBS_REQUEUE] = "UPDATE Jobs SET state = 'queued', started = NULL, container_id = NULL, "
		"progress = NULL WHERE id = ?1 AND state = 'running'",
	[JOBS_FINISH] = "UPDATE Jobs SET state = ?2, exit_code = nullif(?3, -1), outcome = ?4, "
		"error = ?5, artifact = ?6, artifact_bytes = ?7, log_bytes = ?8, finished = ?9 "
		"WHERE id = ?1 AND (state = 'running' "
		"OR (state = 'queued' AND ?2 IN ('cancelled', 'lost', 'failed')))",
	[JOBS_CONTAINER] = "UPDATE Jobs SET container_id = ?2 WHERE id = ?1 "
		"AND state = 'running'",
	[JOBS_IMAGE] = "UPDATE Jobs SET image = ?2 WHERE id = ?1 AND state = 'running'",
	[JOBS_PROGRESS] = "UPDATE Jobs SET progress = ?2 WHERE id = ?1 AND state = 'running'",
	[JOBS_CANCEL] = "UPDATE Jobs SET cancel = coalesce(cancel, ?2) WHERE id = ?1 AND " IS_LIVE,
	[JOBS_ANSWERED] = "UPDATE Jobs SET answered = ?2 WHERE id = ?1",
	[JOBS_FORGET] = "UPDATE Jobs SET artifact = NULL, artifact_bytes = NULL WHERE id = ?1 "
		"AND NOT " IS_LIVE,
	[JOBS_DELETE] = "DELETE FROM Jobs WHERE id = ?1 AND NOT " IS_LIVE,
};
static_assert(KII_COUNT(statements) == JOBS__MAX, "a text for every statement");

void kii_job_release(struct kii_job *job)
{
	char *texts[] = { job->client, job->subject, job->release, job->image, job->request,
		job->container_id, job->outcome, job->error, job->artifact, job->progress };

	for (size_t i = 0; i < KII_COUNT(texts); i++)
		free(texts[i]);
	memset(job, 0, sizeof(*job));
}

const char *kii_job_state_name(enum kii_job_state state)
{
	return (unsigned)state < KII_JOB__MAX ? state_names[state] : "unknown";
}

enum kii_job_state kii_job_state_find(const char *name)
{
	int i = 0;

	while (i < KII_JOB__MAX && strcmp(state_names[i], name) != 0)
		i++;
	return (enum kii_job_state)i;
}

bool kii_job_state_final(enum kii_job_state state)
{
	return state > KII_JOB_RUNNING && state < KII_JOB__MAX;
}

bool kii_job_id_valid(const char *id)
{
	return strlen(id) == KII_JOB_ID && strspn(id, "0123456789abcdef") == KII_JOB_ID;
}

int kii_jobs_migrate(const char *path, const char *schema_dir, struct kii_error *err)
{
	return kii_store_migrate(path, schema_dir, "jobs", KII_JOBS_VERSION, err);
}

static int open_at(const char *path, enum kii_store_mode mode, int newest, struct kii_jobs **out,
	struct kii_error *err)
{
	struct kii_store *store;

	if (kii_store_open(path, mode, newest, statements, JOBS__MAX, &store, err) != 0)
		return -1;
	*out = kii_xcalloc(1, sizeof(**out));
	(*out)->store = store;
	return 0;
}

int kii_jobs_open(const char *path, enum kii_store_mode mode, struct kii_jobs **out,
	struct kii_error *err)
{
	return open_at(path, mode, KII_JOBS_VERSION, out, err);
}

int kii_jobs_open_operator(const char *path, enum kii_store_mode mode, struct kii_jobs **out,
	struct kii_error *err)
{
	return open_at(path, mode, KII_OPERATOR_VERSION, out, err);
}

void kii_jobs_close(struct kii_jobs *jobs)
{
	if (!jobs)
		return;
	kii_store_close(jobs->store);
	free(jobs);
}

bool kii_jobs_moved(struct kii_jobs *jobs)
{
	return kii_store_moved(jobs->store);
}

static char *text(struct kii_store *s, int i, int column)
{
	return kii_xstrdup(kii_store_text(s, i, column));
}

/* `out` must hold nothing. */
static void load(struct kii_store *s, int i, struct kii_job *out)
{
	snprintf(out->id, sizeof(out->id), "%s", kii_store_text(s, i, 0));
	snprintf(out->kind, sizeof(out->kind), "%s", kii_store_text(s, i, 1));
	snprintf(out->key, sizeof(out->key), "%s", kii_store_text(s, i, 2));
	out->state = kii_job_state_find(kii_store_text(s, i, 3));
	out->client = text(s, i, 4);
	out->subject = text(s, i, 5);
	out->release = text(s, i, 6);
	out->image = text(s, i, 7);
	out->created = kii_store_int(s, i, 8);
	out->started = kii_store_int(s, i, 9);
	out->finished = kii_store_int(s, i, 10);
	out->attempts = (int)kii_store_int(s, i, 11);
	out->container_id = text(s, i, 12);
	out->exit_code = kii_store_null(s, i, 13) ? -1 : (int)kii_store_int(s, i, 13);
	out->outcome = text(s, i, 14);
	out->error = text(s, i, 15);
	out->artifact = text(s, i, 16);
	out->artifact_bytes = kii_store_int(s, i, 17);
	out->log_bytes = kii_store_int(s, i, 18);
	out->progress = text(s, i, 19);
	out->answered = kii_store_int(s, i, 20);
	out->cancel = kii_store_int(s, i, 21);
	out->fresh = kii_store_int(s, i, 22) != 0;
	out->request = text(s, i, REQUEST_COLUMN);
}

/* End a query of one row at most: 1, 0 or -1, as kii_store_next. */
static int one_job(struct kii_store *s, int i, struct kii_job *out, struct kii_error *err)
{
	int rc = kii_store_next(s, i, err);

	if (rc == 1) {
		memset(out, 0, sizeof(*out));
		load(s, i, out);
	}
	kii_store_reset(s, i);
	return rc;
}

static int one_number(struct kii_store *s, int i, int64_t *out, struct kii_error *err)
{
	int rc = kii_store_next(s, i, err);

	if (rc == 1)
		*out = kii_store_int(s, i, 0);
	kii_store_reset(s, i);
	return rc;
}

int kii_jobs_get(struct kii_jobs *jobs, const char *id, struct kii_job *out,
	struct kii_error *err)
{
	int rc;

	if (kii_store_query(jobs->store, JOBS_GET, err, "s", id) != 0)
		return -1;
	rc = one_job(jobs->store, JOBS_GET, out, err);
	if (rc == 0)
		return kii_error_set(err, KII_ENOTFOUND, 0, "there is no such job");
	return rc == 1 ? 0 : -1;
}

static int by_key(struct kii_jobs *jobs, int i, const char *kind, const char *key,
	struct kii_job *out, struct kii_error *err)
{
	if (kii_store_query(jobs->store, i, err, "ss", kind, key) != 0)
		return -1;
	return one_job(jobs->store, i, out, err);
}

int kii_jobs_live(struct kii_jobs *jobs, const char *kind, const char *key, struct kii_job *out,
	struct kii_error *err)
{
	return by_key(jobs, JOBS_LIVE, kind, key, out, err);
}

int kii_jobs_remembered(struct kii_jobs *jobs, const char *kind, const char *key,
	struct kii_job *out, struct kii_error *err)
{
	return by_key(jobs, JOBS_REMEMBERED, kind, key, out, err);
}

/* A number by a text, or by nothing: 1, 0 (no row) or -1. */
static int number(struct kii_jobs *jobs, int i, const char *value, int64_t *n,
	struct kii_error *err)
{
	int rc = value ? kii_store_query(jobs->store, i, err, "s", value)
		: kii_store_query(jobs->store, i, err, "");

	return rc != 0 ? -1 : one_number(jobs->store, i, n, err);
}

int kii_jobs_queued_count(struct kii_jobs *jobs, int64_t *n, struct kii_error *err)
{
	return number(jobs, JOBS_QUEUED, NULL, n, err) == 1 ? 0 : -1;
}

int kii_jobs_waiting_of(struct kii_jobs *jobs, const char *client, int64_t *n,
	struct kii_error *err)
{
	return number(jobs, JOBS_WAITING, client, n, err) == 1 ? 0 : -1;
}

int kii_jobs_artifact_users(struct kii_jobs *jobs, const char *artifact, int64_t *n,
	struct kii_error *err)
{
	return number(jobs, JOBS_USERS, artifact, n, err) == 1 ? 0 : -1;
}

int kii_jobs_artifact_bytes(struct kii_jobs *jobs, int64_t *bytes, struct kii_error *err)
{
	return number(jobs, JOBS_BYTES, NULL, bytes, err) == 1 ? 0 : -1;
}

int kii_jobs_place(struct kii_jobs *jobs, const char *id, int64_t *place, struct kii_error *err)
{
	int rc = number(jobs, JOBS_PLACE, id, place, err);

	if (rc == 0)
		return kii_error_set(err, KII_ENOTFOUND, 0, "there is no such job");
	return rc == 1 ? 0 : -1;
}

static int compare(const void *a, const void *b)
{
	const int64_t *x = a;
	const int64_t *y = b;

	return (*x > *y) - (*x < *y);
}

/* The median of a started query's first column, -1 without a row; ends the query. */
static int median(struct kii_store *s, int i, int64_t *out, struct kii_error *err)
{
	int64_t all[HISTORY];
	size_t n = 0;
	int rc;

	while ((rc = kii_store_next(s, i, err)) == 1 && n < HISTORY) {
		int64_t ms = kii_store_int(s, i, 0);

		all[n++] = ms > 0 ? ms : 0;
	}
	kii_store_reset(s, i);
	if (rc < 0)
		return -1;
	qsort(all, n, sizeof(all[0]), compare);
	*out = n == 0 ? -1 : (all[(n - 1) / 2] + all[n / 2]) / 2;
	return 0;
}

int kii_jobs_estimate(struct kii_jobs *jobs, const char *kind, const char *subject, int64_t *ms,
	struct kii_error *err)
{
	int64_t found = -1;

	if (subject && (kii_store_query(jobs->store, JOBS_HISTORY, err, "ssi", kind, subject,
			(int64_t)HISTORY) != 0
		|| median(jobs->store, JOBS_HISTORY, &found, err) != 0))
		return -1;
	if (found < 0 && (kii_store_query(jobs->store, JOBS_HISTORY_KIND, err, "si", kind,
			(int64_t)HISTORY) != 0
		|| median(jobs->store, JOBS_HISTORY_KIND, &found, err) != 0))
		return -1;
	*ms = found;
	return 0;
}

int kii_jobs_forecast(struct kii_jobs *jobs, const struct kii_job *job, int64_t place,
	int64_t slots, int64_t now, int64_t *ms, struct kii_error *err)
{
	int64_t each = -1;
	int64_t gone = now > job->started ? now - job->started : 0;

	if (!kii_job_state_final(job->state)
		&& kii_jobs_estimate(jobs, job->kind, job->subject, &each, err) != 0)
		return -1;
	if (each < 0)
		*ms = -1;
	else if (job->state == KII_JOB_QUEUED)
		*ms = each * ((place + slots - 1) / slots + 1);
	else
		*ms = each > gone ? each - gone : 0;
	return 0;
}

/* A walk goes on from a position, so that no statement is open while the caller has its turn. */
struct walk {
	int stmt;
	int64_t position;
	int64_t rowid;
	const char *state;       /* or NULL */
	int64_t before;          /* or 0 */
};

/* One more batch: its size, or -1. */
static int walk_batch(struct kii_jobs *jobs, struct walk *w, struct kii_job *batch, int64_t max,
	struct kii_error *err)
{
	struct kii_store *s = jobs->store;
	int rc;
	int n = 0;

	if (w->state)
		rc = kii_store_query(s, w->stmt, err, "iiis", w->position, w->rowid, max,
			w->state);
	else if (w->before)
		rc = kii_store_query(s, w->stmt, err, "iiii", w->position, w->rowid, max,
			w->before);
	else
		rc = kii_store_query(s, w->stmt, err, "iii", w->position, w->rowid, max);
	if (rc != 0)
		return -1;
	while (n < max && (rc = kii_store_next(s, w->stmt, err)) == 1) {
		load(s, w->stmt, &batch[n++]);
		w->position = kii_store_int(s, w->stmt, POSITION_COLUMN);
		w->rowid = kii_store_int(s, w->stmt, ROWID_COLUMN);
	}
	kii_store_reset(s, w->stmt);
	if (rc >= 0)
		return n;
	while (n > 0)
		kii_job_release(&batch[--n]);
	return -1;
}

static int walk(struct kii_jobs *jobs, struct walk w, int64_t limit, kii_jobs_take *take,
	void *arg, struct kii_error *err)
{
	struct kii_job batch[BATCH] = { 0 };
	bool more = true;

	while (more && limit > 0) {
		int64_t max = limit < BATCH ? limit : BATCH;
		int n = walk_batch(jobs, &w, batch, max, err);

		if (n < 0)
			return -1;
		for (int i = 0; i < n; i++) {
			more = more && take(arg, &batch[i]);
			kii_job_release(&batch[i]);
		}
		more = more && n == max;
		limit -= n;
	}
	return 0;
}

int kii_jobs_each_live(struct kii_jobs *jobs, kii_jobs_take *take, void *arg,
	struct kii_error *err)
{
	return walk(jobs, (struct walk){ JOBS_WALK_LIVE, INT64_MIN }, INT64_MAX, take, arg, err);
}

int kii_jobs_list(struct kii_jobs *jobs, int64_t limit, enum kii_job_state state,
	kii_jobs_take *take, void *arg, struct kii_error *err)
{
	struct walk w = { JOBS_WALK_ALL, INT64_MAX, INT64_MAX };

	if (state != KII_JOB__MAX) {
		w.stmt = JOBS_WALK_STATE;
		w.state = kii_job_state_name(state);
	}
	return walk(jobs, w, limit, take, arg, err);
}

int kii_jobs_oldest_artifacts(struct kii_jobs *jobs, kii_jobs_take *take, void *arg,
	struct kii_error *err)
{
	return walk(jobs, (struct walk){ JOBS_WALK_ARTIFACTS, INT64_MIN }, INT64_MAX, take, arg,
		err);
}

int kii_jobs_ended_before(struct kii_jobs *jobs, int64_t ms, kii_jobs_take *take, void *arg,
	struct kii_error *err)
{
	struct walk w = { JOBS_WALK_ENDED, .position = INT64_MIN, .before = ms };

	if (ms <= 0)
		return 0;
	return walk(jobs, w, INT64_MAX, take, arg, err);
}
