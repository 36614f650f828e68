/* SPDX-License-Identifier: MIT */
#include <config.h>

#include "ops.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "collector.h"
#include "git.h"
#include "io.h"
#include "json.h"
#include "kind.h"
#include "log.h"
#include "queue.h"
#include "submit.h"

int ops_peer(int fd, struct peer *peer, struct kii_error *err)
{
	struct ucred cred;
	socklen_t len = sizeof(cred);

	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &cred, &len) != 0)
		return kii_error_set(err, KII_EIO, errno, "who is there: %s", strerror(errno));
	peer->uid = cred.uid;
	peer->admin = cred.uid == 0 || cred.uid == geteuid();
	return 0;
}

/* The kind that a message is about; NULL, and why, where it is none of this peer's. */
static const struct kind *kind_of(const struct peer *peer, const json_t *message, json_t **no)
{
	const char *name = kii_json_str(message, "kind");
	const struct kind *kind = name ? kind_find(name) : NULL;

	/* What the public zone may ask for is all that it hears of. */
	if (!peer->admin && (!kind || kind->lane != LANE_PUBLIC))
		*no = submit_refusal(400, "bad_request", "kind", 0, "kind: must be firmware");
	else if (!kind)
		*no = submit_refusal(400, "bad_request", "kind", 0, "kind: unknown");
	return *no ? NULL : kind;
}

static json_t *op_find(struct worker *w, const struct peer *peer, const json_t *message,
	char watch[])
{
	json_t *no = NULL;
	const struct kind *kind = kind_of(peer, message, &no);

	return kind ? submit_find(w, kind, message, watch) : no;
}

static json_t *op_submit(struct worker *w, const struct peer *peer, const json_t *message,
	char watch[])
{
	json_t *no = NULL;
	const struct kind *kind = kind_of(peer, message, &no);

	if (!kind)
		return no;
	if (!json_is_object(json_object_get(message, "request")))
		return submit_refusal(400, "bad_request", "request", 0,
			"request: must be an object");
	return submit_new(w, kind, message, watch);
}

static const char *job_of(const json_t *message)
{
	const char *id = kii_json_str(message, "job");

	return id ? id : "";
}

static json_t *op_attach(struct worker *w, const struct peer *peer, const json_t *message,
	char watch[])
{
	return submit_attach(w, peer->admin, job_of(message), watch);
}

static json_t *op_retry(struct worker *w, const struct peer *peer, const json_t *message,
	char watch[])
{
	(void)peer;
	(void)watch;
	return submit_retry(w, job_of(message), kii_json_str(message, "client"));
}

/* Under the lock: a queued job ends at once, a running one is told. */
static json_t *cancel(struct lane *lane, const struct kii_job *job, struct kii_error *err)
{
	struct worker *w = lane->w;
	struct kii_job_end end = { .state = KII_JOB_CANCELLED, .exit_code = -1,
		.outcome = "cancelled", .error = lane == &w->lanes[LANE_PUBLIC] ?
			"the build was cancelled" : "the job was cancelled",
		.finished = kii_io_wall() };
	struct running *slot = queue_find(lane, job->id);

	if (kii_job_state_final(job->state))
		return submit_refusal(409, "conflict", "job", 0, "the job has ended: %s",
			kii_job_state_name(job->state));
	if (kii_jobs_cancel_wish(lane->jobs, job->id, kii_io_wall(), err) != 0)
		return submit_error(err);
	if (slot) {
		atomic_store(&slot->cancel, true);
	} else if (job->state == KII_JOB_QUEUED) {
		if (kii_jobs_finish(lane->jobs, job->id, &end, err) != 0)
			return submit_error(err);
		worker_announce(w, job->id);
	}
	kii_log_info("job_cancel", "job=%s", job->id);
	return NULL;
}

static json_t *op_cancel(struct worker *w, const struct peer *peer, const json_t *message,
	char watch[])
{
	struct kii_error err = { 0 };
	kii_autojob job = { 0 };
	const char *id = job_of(message);
	struct lane *lane = NULL;
	json_t *no;

	pthread_mutex_lock(&w->lock);
	if (worker_job(w, id, &job, &lane, &err) != 0)
		no = submit_no_job(&err);
	else
		no = cancel(lane, &job, &err);
	pthread_mutex_unlock(&w->lock);
	return no ? no : submit_attach(w, peer->admin, id, watch);
}

static json_t *image_list(const struct worker *w)
{
	json_t *list = json_array();

	for (size_t i = 0; i < w->n_images; i++) {
		json_t *one = json_object();

		kii_json_set_str(one, "name", w->images[i].name);
		kii_json_set_str(one, "id", w->images[i].id);
		json_array_append_new(list, one);
	}
	return list;
}

/* Under the lock. */
static void count_lane(struct lane *lane, json_t *out)
{
	struct kii_error err = { 0 };
	int64_t queued = -1, slots = 0;
	int running = 0;

	if (kii_jobs_queued_count(lane->jobs, &queued, &err) != 0)
		kii_log_warn("status", "error=%s", kii_q(err.msg));
	for (size_t i = 0; i < WORKER_SLOTS_MAX; i++)
		running += lane->running[i].used;
	for (size_t i = 0; i < GROUP__MAX; i++)
		slots += lane->slots[i];
	json_object_set_new(out, "queued", json_integer(queued));
	json_object_set_new(out, "running", json_integer(running));
	json_object_set_new(out, "slots", json_integer(slots));
}

/* What the jobs were about is nobody's business but the operator's. */
static void add_ends(void *arg, const struct kii_jobs_ends *ends)
{
	json_t *counts = arg;

	json_object_set_new(counts, ends->outcome, json_integer((json_int_t)ends->n +
		kii_json_int(counts, ends->outcome, 0)));
}

/* Under the lock: {"pull": {"pulled": 4, "denied": 1}, ...}. */
static json_t *count_ends(struct lane *lane)
{
	json_t *all = json_object();
	const struct kind *kind;

	for (size_t i = 0; (kind = kind_at(i)); i++) {
		struct kii_error err = { 0 };
		json_t *counts;

		if (&lane->w->lanes[kind->lane] != lane)
			continue;
		counts = json_object();
		if (kii_jobs_each_ends(lane->jobs, kind->name, add_ends, counts, &err) != 0)
			kii_log_warn("status", "error=%s", kii_q(err.msg));
		json_object_set_new(all, kind->name, counts);
	}
	return all;
}

static json_t *op_status(struct worker *w, const struct peer *peer, const json_t *message,
	char watch[])
{
	json_t *answer = json_object();
	json_t *operator = json_object();

	(void)peer;
	(void)message;
	(void)watch;
	pthread_mutex_lock(&w->lock);
	json_object_set_new(answer, "ok", json_true());
	json_object_set_new(answer, "pid", json_integer(getpid()));
	count_lane(&w->lanes[LANE_PUBLIC], answer);
	count_lane(&w->lanes[LANE_OPERATOR], operator);
	json_object_set_new(operator, "ended", count_ends(&w->lanes[LANE_OPERATOR]));
	json_object_set_new(answer, "operator", operator);
	json_object_set_new(answer, "engine_up", json_boolean(w->engine_up));
	json_object_set_new(answer, "engine_seen", json_integer(w->engine_seen));
	json_object_set_new(answer, "podman", json_boolean(w->about.podman));
	json_object_set_new(answer, "live_restore", json_boolean(w->about.live_restore));
	kii_json_set_str(answer, "engine_address", w->conf->docker.socket_path);
	kii_json_set_str(answer, "engine_version", w->about.version);
	kii_json_set_str(answer, "engine_error", w->engine_error);
	kii_json_set_str(answer, "workspace_error", w->workspace_error);
	json_object_set_new(answer, "images", image_list(w));
	json_object_set_new(answer, "git", git_status(w));
	pthread_mutex_unlock(&w->lock);
	return answer;
}

static json_t *op_gc(struct worker *w, const struct peer *peer, const json_t *message,
	char watch[])
{
	(void)watch;
	return collector_ask(w, peer->number, message);
}

static json_t *op_refresh(struct worker *w, const struct peer *peer, const json_t *message,
	char watch[])
{
	(void)peer;
	(void)message;
	(void)watch;
	return git_ask(w);
}

/* An answer that is NULL comes later. */
static const struct op {
	const char *name;
	bool admin;
	json_t *(*answer)(struct worker *w, const struct peer *peer, const json_t *message,
		char watch[]);
} ops[] = {
	{ "submit", false, op_submit },
	{ "find", false, op_find },
	{ "attach", false, op_attach },
	{ "status", false, op_status },
	{ "cancel", true, op_cancel },
	{ "retry", true, op_retry },
	{ "gc", true, op_gc },
	{ "refresh", true, op_refresh },
};

static json_t *answer_message(struct worker *w, const struct peer *peer, const json_t *message,
	char watch[])
{
	const char *name = kii_json_str(message, "op");

	for (size_t i = 0; name && i < KII_COUNT(ops); i++) {
		if (strcmp(ops[i].name, name) != 0)
			continue;
		if (ops[i].admin && !peer->admin)
			return submit_refusal(403, "forbidden", "op", 0,
				"op: only root and the worker's user may %s", name);
		return ops[i].answer(w, peer, message, watch);
	}
	return submit_refusal(400, "bad_request", "op", 0, "op: unknown");
}

json_t *ops_answer(struct worker *w, const struct peer *peer, const char *line, size_t len,
	char watch[KII_JOB_ID + 1])
{
	struct kii_error err = { 0 };
	kii_autojson *message = NULL;
	json_t *answer;

	watch[0] = '\0';
	if (kii_json_parse_wrapped(line, len, "line", &message, &err) != 0)
		return submit_error(&err);
	if (!json_is_object(message))
		return submit_refusal(400, "bad_request", "line", 0, "line: must be an object");
	answer = answer_message(w, peer, message, watch);
	if (answer && json_is_integer(json_object_get(message, "tag")))
		json_object_set(answer, "tag", json_object_get(message, "tag"));
	return answer;
}

static json_t *end_line(const struct kii_job *job)
{
	json_t *line = json_object();

	kii_json_set_str(line, "end", job->id);
	kii_json_set_str(line, "key", job->key);
	kii_json_set_str(line, "state", kii_job_state_name(job->state));
	kii_json_set_str(line, "outcome", job->outcome);
	kii_json_set_str(line, "artifact", job->artifact);
	kii_json_set_str(line, "image", job->image);
	kii_json_set_str(line, "error", job->error);
	json_object_set_new(line, "duration_ms", json_integer(worker_duration(job)));
	return line;
}

int ops_end(struct worker *w, const char *id, json_t **line)
{
	struct kii_error err = { 0 };
	kii_autojob job = { 0 };
	int rc;

	pthread_mutex_lock(&w->lock);
	rc = worker_job(w, id, &job, NULL, &err);
	pthread_mutex_unlock(&w->lock);
	if (rc != 0) {
		kii_log_error("end_untold", "job=%s error=%s", id, kii_q(err.msg));
		return -1;
	}
	if (!kii_job_state_final(job.state))
		return 0;
	*line = end_line(&job);
	return 1;
}
