/* SPDX-License-Identifier: MIT */
#include <config.h>

#include "metrics.h"

#include <string.h>

#include "jobs.h"
#include "json.h"
#include "log.h"
#include "stats.h"

/* --- the format --- */

static void add_escaped(struct kii_buf *out, const char *s, bool label)
{
	for (; *s; s++) {
		if (*s == '\n')
			kii_buf_str(out, "\\n");
		else if (*s == '\\' || (label && *s == '"'))
			kii_buf_fmt(out, "\\%c", *s);
		else
			kii_buf_char(out, *s);
	}
}

void kii_metrics_family(struct kii_buf *out, const char *name, const char *type, const char *help)
{
	kii_buf_fmt(out, "# HELP %s ", name);
	add_escaped(out, help, false);
	kii_buf_fmt(out, "\n# TYPE %s %s\n", name, type);
}

static void begin(struct kii_buf *out, const char *name, const char *const *labels)
{
	kii_buf_str(out, name);
	for (size_t i = 0; labels[i]; i += 2) {
		kii_buf_fmt(out, "%c%s=\"", i ? ',' : '{', labels[i]);
		add_escaped(out, labels[i + 1], true);
		kii_buf_char(out, '"');
	}
	kii_buf_str(out, labels[0] ? "} " : " ");
}

void kii_metrics_sample(struct kii_buf *out, const char *name, const char *const *labels,
	int64_t value)
{
	begin(out, name, labels);
	kii_buf_fmt(out, "%lld\n", (long long)value);
}

void kii_metrics_seconds(struct kii_buf *out, const char *name, const char *const *labels,
	int64_t ms)
{
	char room[32];

	begin(out, name, labels);
	kii_buf_fmt(out, "%s\n", kii_metrics_le(ms, room));
}

/* Neither rounded nor with an exponent; no zeros behind the point. */
const char *kii_metrics_le(int64_t ms, char room[32])
{
	size_t len;

	if (ms == INT64_MAX)
		return "+Inf";
	len = (size_t)snprintf(room, 32, "%lld.%03d", (long long)(ms / 1000), (int)(ms % 1000));
	while (room[len - 1] == '0')
		room[--len] = '\0';
	if (room[len - 1] == '.')
		room[--len] = '\0';
	return room;
}

static void gauge(struct kii_buf *out, const char *name, const char *help, int64_t value)
{
	kii_metrics_family(out, name, "gauge", help);
	kii_metrics_sample(out, name, KII_NO_LABELS, value);
}

/* --- what the databases have counted --- */

struct family {
	struct kii_buf *out;
	const char *name;
};

static void add_requests(void *arg, const struct kii_stats_count *c)
{
	const struct family *f = arg;

	kii_metrics_sample(f->out, f->name, KII_LABELS("board", c->board, "release",
		c->container, "success", c->success ? "true" : "false"), c->n);
}

static int write_requests(struct kii_stats *s, struct kii_buf *out, struct kii_error *err)
{
	struct family all = { out, "kiisrv_requests_total" };
	struct family cached = { out, "kiisrv_cache_hits_total" };

	kii_metrics_family(out, all.name, "counter",
		"Build requests that were answered with a zip.");
	if (kii_stats_each(s, false, add_requests, &all, err) != 0)
		return -1;
	kii_metrics_family(out, cached.name, "counter",
		"Those of them that needed no build.");
	return kii_stats_each(s, true, add_requests, &cached, err);
}

static void add_ends(void *arg, const struct kii_jobs_ends *e)
{
	const struct family *f = arg;

	kii_metrics_sample(f->out, f->name, KII_LABELS("board", e->subject, "release",
		e->release, "outcome", e->outcome), e->n);
}

static void add_durations(void *arg, const struct kii_jobs_durations *d)
{
	struct kii_buf *out = arg;
	char room[32];

	kii_metrics_sample(out, "kiisrv_build_duration_seconds_bucket", KII_LABELS("board",
		d->subject, "le", kii_metrics_le(d->le_ms, room)), d->n);
	if (d->le_ms != INT64_MAX)
		return;
	kii_metrics_seconds(out, "kiisrv_build_duration_seconds_sum", KII_LABELS("board",
		d->subject), d->sum_ms);
	kii_metrics_sample(out, "kiisrv_build_duration_seconds_count", KII_LABELS("board",
		d->subject), d->n);
}

static int write_builds(struct kii_jobs *jobs, struct kii_buf *out, struct kii_error *err)
{
	struct family ends = { out, "kiisrv_builds_total" };

	kii_metrics_family(out, ends.name, "counter", "Builds that have ended.");
	if (kii_jobs_each_ends(jobs, "firmware", add_ends, &ends, err) != 0)
		return -1;
	kii_metrics_family(out, "kiisrv_build_duration_seconds", "histogram",
		"From the start of a build's last attempt to its end.");
	return kii_jobs_each_durations(jobs, "firmware", add_durations, out, err);
}

/* A family is whole or not there: half of one would look like counters that were reset. */
static void keep(struct kii_buf *out, const struct kii_buf *part, int rc, struct kii_error *err)
{
	if (rc == 0 && kii_buf_check(part, "metrics", err) == 0)
		kii_buf_add(out, part->data, part->len);
	else
		kii_log_warn("metrics", "error=%s", kii_q(err->msg));
}

static void write_counters(const char *state_dir, struct kii_buf *out)
{
	kii_autofree char *stats_path = kii_xfmt("%s/public/stats.sqlite", state_dir);
	kii_autofree char *jobs_path = kii_xfmt("%s/queue/jobs.sqlite", state_dir);
	kii_autobuf requests = KII_BUF_INIT(out->limit);
	kii_autobuf builds = KII_BUF_INIT(out->limit);
	struct kii_error err = { 0 };
	struct kii_stats *stats = NULL;
	struct kii_jobs *jobs = NULL;
	int rc;

	rc = kii_stats_open(stats_path, KII_STORE_READ | KII_STORE_HURRY, &stats, &err);
	if (rc == 0)
		rc = write_requests(stats, &requests, &err);
	keep(out, &requests, rc, &err);
	kii_stats_close(stats);
	kii_error_clear(&err);
	rc = kii_jobs_open(jobs_path, KII_STORE_READ | KII_STORE_HURRY, &jobs, &err);
	if (rc == 0)
		rc = write_builds(jobs, &builds, &err);
	keep(out, &builds, rc, &err);
	kii_jobs_close(jobs);
}

/* --- what the look has seen --- */

static void write_worker(const struct kii_health *h, struct kii_buf *out)
{
	gauge(out, "kiisrv_worker_up", "Did the worker answer?", h->worker_up);
	if (!h->worker_up)
		return;
	if (h->queued >= 0)
		gauge(out, "kiisrv_jobs_queued", "Jobs that wait for a slot.", h->queued);
	gauge(out, "kiisrv_jobs_running", "Jobs that have a slot.", h->running);
	gauge(out, "kiisrv_slots", "Jobs that may run at a time.", h->slots);
}

/* Of what they were about nothing is told. */
static void write_operator(const struct kii_health *h, struct kii_buf *out)
{
	const json_t *ended = json_object_get(h->operators, "ended");
	json_int_t queued = kii_json_int(h->operators, "queued", -1);
	const char *kind, *outcome;
	const json_t *counts, *n;

	if (!h->operators)
		return;
	if (queued >= 0)
		gauge(out, "kiisrv_operator_jobs_queued", "Operator's jobs that wait for a slot.",
			queued);
	gauge(out, "kiisrv_operator_jobs_running", "Operator's jobs that have a slot.",
		kii_json_int(h->operators, "running", 0));
	gauge(out, "kiisrv_operator_slots", "Operator's jobs that may run at a time, pulls too.",
		kii_json_int(h->operators, "slots", 0));
	kii_metrics_family(out, "kiisrv_operator_jobs_total", "counter",
		"Operator's jobs that have ended.");
	json_object_foreach((json_t *)ended, kind, counts)
		json_object_foreach((json_t *)counts, outcome, n)
			kii_metrics_sample(out, "kiisrv_operator_jobs_total", KII_LABELS("kind",
				kind, "outcome", outcome), json_integer_value(n));
}

static void write_engine(const struct kii_health *h, struct kii_buf *out)
{
	gauge(out, "kiisrv_engine_up",
		"Did the engine answer the worker's last look? 0 while the worker is down.",
		h->engine_up);
	if (h->engine_version[0]) {
		kii_metrics_family(out, "kiisrv_engine_info", "gauge",
			"Which engine it is; always 1.");
		kii_metrics_sample(out, "kiisrv_engine_info", KII_LABELS("kind",
			h->podman ? "podman" : "docker", "version", h->engine_version), 1);
	}
	if (h->engine_seen) {
		kii_metrics_family(out, "kiisrv_engine_look_timestamp_seconds", "gauge",
			"When the worker last looked at the engine.");
		kii_metrics_seconds(out, "kiisrv_engine_look_timestamp_seconds", KII_NO_LABELS,
			h->engine_seen);
	}
}

static void write_images(const struct kii_health *h, struct kii_buf *out)
{
	if (strcmp(h->databases[KII_HEALTH_CONFIG], "ok") != 0)
		return;
	kii_metrics_family(out, "kiisrv_image_available", "gauge",
		"Did the engine have the image of a version's container?");
	for (size_t i = 0; i < h->n_images; i++)
		kii_metrics_sample(out, "kiisrv_image_available", KII_LABELS("release",
			h->images[i].container), h->images[i].there);
	kii_metrics_family(out, "kiisrv_image_size_bytes", "gauge", "How big the image is.");
	for (size_t i = 0; i < h->n_images; i++)
		if (h->images[i].there)
			kii_metrics_sample(out, "kiisrv_image_size_bytes", KII_LABELS("release",
				h->images[i].container), h->images[i].size);
}

void kii_metrics_text(const struct kii_health *h, const char *state_dir, struct kii_buf *out)
{
	kii_metrics_family(out, "kiisrv_info", "gauge", "Which kiisrv it is; always 1.");
	kii_metrics_sample(out, "kiisrv_info", KII_LABELS("version", PACKAGE_VERSION), 1);
	gauge(out, "kiisrv_healthy", "Does /healthz say 200?", kii_health_ok(h));
	kii_metrics_family(out, "kiisrv_database_up", "gauge", "Can the database be used?");
	for (int i = 0; i < KII_HEALTH__DATABASES; i++)
		kii_metrics_sample(out, "kiisrv_database_up", KII_LABELS("database",
			kii_health_database_name((enum kii_health_database)i)),
			strcmp(h->databases[i], "ok") == 0);
	if (h->disk_known)
		gauge(out, "kiisrv_disk_free_bytes", "Free where the state folder lies.",
			(int64_t)h->disk_free);
	gauge(out, "kiisrv_disk_floor_bytes", "Below so much, no new work is taken.",
		h->disk_floor);
	write_worker(h, out);
	write_operator(h, out);
	write_engine(h, out);
	write_images(h, out);
	write_counters(state_dir, out);
}
