/* SPDX-License-Identifier: MIT */
#include <config.h>

#include "health.h"

#include <assert.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "io.h"
#include "jobs.h"
#include "json.h"
#include "stats.h"
#include "worklink.h"

static const char *const database_names[] = {
	[KII_HEALTH_JOBS]   = "jobs",
	[KII_HEALTH_CONFIG] = "config",
	[KII_HEALTH_STATS]  = "stats",
};
static_assert(KII_COUNT(database_names) == KII_HEALTH__DATABASES, "a name for every database");

const char *kii_health_database_name(enum kii_health_database which)
{
	return database_names[which];
}

static void add_reason(struct kii_health *h, const char *fmt, ...) KII_PRINTF(2, 3);
static void add_reason(struct kii_health *h, const char *fmt, ...)
{
	char text[200];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	json_array_append_new(h->reasons, json_string(text));
}

/* --- databases and images --- */

static const char *state_of(const struct kii_error *err)
{
	switch (err->code) {
	case KII_OK:        return "ok";
	case KII_ENOTFOUND: return "missing";
	case KII_ECONFLICT: return "other_version";
	case KII_EBUSY:     return "locked";
	default:            return "unreadable";
	}
}

static void set_database(struct kii_health *h, enum kii_health_database which, const char *state)
{
	h->databases[which] = state;
	if (strcmp(state, "ok") != 0)
		add_reason(h, "database %s: %s", database_names[which], state);
}

static void look_at_jobs(struct kii_health *h, const char *state_dir)
{
	kii_autofree char *path = kii_xfmt("%s/queue/jobs.sqlite", state_dir);
	struct kii_error err = { 0 };
	struct kii_jobs *jobs = NULL;
	int64_t n;

	if (kii_jobs_open(path, KII_STORE_READ | KII_STORE_HURRY, &jobs, &err) == 0 &&
	    kii_jobs_queued_count(jobs, &n, &err) != 0)
		n = -1;
	kii_jobs_close(jobs);
	set_database(h, KII_HEALTH_JOBS, state_of(&err));
}

void kii_health_images_free(struct kii_health_image *images, size_t n)
{
	for (size_t i = 0; i < n; i++)
		free(images[i].container);
	free(images);
}

/* The place of a container in the list, which has room for it; a new one is put at its end. */
static struct kii_health_image *image_of(struct kii_health_image *images, size_t *n,
	const char *container)
{
	for (size_t i = 0; i < *n; i++)
		if (strcmp(images[i].container, container) == 0)
			return &images[i];
	images[*n] = (struct kii_health_image){ .container = kii_xstrdup(container),
		.age_ms = -1 };
	return &images[(*n)++];
}

int kii_health_images(struct kii_versions *v, int64_t now, struct kii_health_image **out,
	size_t *n, struct kii_error *err)
{
	struct kii_version *versions = NULL;
	struct kii_version_image *there = NULL;
	struct kii_health_image *list;
	size_t n_versions = 0, n_there = 0, count = 0;

	if (kii_versions_list(v, &versions, &n_versions, err) != 0)
		return -1;
	if (kii_versions_images(v, &there, &n_there, err) != 0) {
		kii_version_list_free(versions, n_versions);
		return -1;
	}
	list = kii_xcalloc(n_versions + 1, sizeof(*list));
	for (size_t i = 0; i < n_versions; i++)
		image_of(list, &count, versions[i].container);
	for (size_t i = 0; i < count; i++)
		for (size_t k = 0; k < n_there; k++) {
			if (strcmp(there[k].container, list[i].container) != 0)
				continue;
			list[i].there = true;
			list[i].size = there[k].size;
			list[i].age_ms = now > there[k].seen ? now - there[k].seen : 0;
		}
	kii_version_images_free(there, n_there);
	kii_version_list_free(versions, n_versions);
	*out = list;
	*n = count;
	return 0;
}

/* They were all seen by the same look. */
static void judge_images(struct kii_health *h)
{
	int64_t age = -1;

	for (size_t i = 0; i < h->n_images; i++)
		if (h->images[i].there)
			age = h->images[i].age_ms;
	if (age < 0)
		add_reason(h, "images: none of a version is there");
	else if (age > KII_HEALTH_STALE_MS)
		add_reason(h, "images: last looked for %lld s ago", (long long)(age / 1000));
}

static void look_at_config(struct kii_health *h, const char *state_dir, int64_t now)
{
	kii_autofree char *path = kii_xfmt("%s/queue/config.sqlite", state_dir);
	struct kii_error err = { 0 };
	struct kii_versions *v = NULL;

	if (kii_versions_open(path, KII_STORE_READ | KII_STORE_HURRY, &v, &err) == 0 &&
	    kii_health_images(v, now, &h->images, &h->n_images, &err) == 0)
		judge_images(h);
	kii_versions_close(v);
	set_database(h, KII_HEALTH_CONFIG, state_of(&err));
}

/* The only one that the public zone writes. */
static void look_at_stats(struct kii_health *h, const char *state_dir)
{
	kii_autofree char *path = kii_xfmt("%s/public/stats.sqlite", state_dir);
	struct kii_error err = { 0 };
	struct kii_stats *s = NULL;
	const char *state;

	if (kii_stats_open(path, KII_STORE_WRITE | KII_STORE_HURRY, &s, &err) != 0)
		state = state_of(&err);
	else if (kii_stats_writable(s, &err) != 0)
		state = err.code == KII_EBUSY ? "locked" : "read_only";
	else
		state = "ok";
	kii_stats_close(s);
	set_database(h, KII_HEALTH_STATS, state);
}

/* --- disk, worker, engine --- */

static void look_at_disk(struct kii_health *h, const struct kii_conf *conf)
{
	struct kii_error err = { 0 };

	h->disk_floor = conf->limits.disk_floor;
	h->disk_known = kii_io_free(conf->paths.state_dir, &h->disk_free, &err) == 0;
	if (!h->disk_known)
		add_reason(h, "disk: the state folder is not there");
	else if (h->disk_free < (uint64_t)h->disk_floor)
		add_reason(h, "disk: %llu bytes are free, below the floor of %lld",
			(unsigned long long)h->disk_free, (long long)h->disk_floor);
}

int kii_health_ask(const struct kii_conf *conf, json_t **answer, struct kii_error *err)
{
	kii_autojson *question = json_pack("{s:s, s:i}", "op", "status", "tag", 1);
	struct kii_error first = { 0 };

	if (kii_worklink_ask(conf->paths.run_dir, question, KII_HEALTH_WORKER_MS, answer, &first)
		== 0)
		return 0;
	if (first.code != KII_EDOWN) {
		*err = first;
		return -1;
	}
	/* a worker that starts anew hangs up on whom it has not answered */
	return kii_worklink_ask(conf->paths.run_dir, question, KII_HEALTH_WORKER_MS, answer, err);
}

static void take_engine(struct kii_health *h, const json_t *answer, int64_t now)
{
	const char *version = kii_json_str(answer, "engine_version");
	const char *error = kii_json_str(answer, "engine_error");
	int64_t seen = kii_json_int(answer, "engine_seen", 0);

	h->engine_up = seen && json_is_true(json_object_get(answer, "engine_up"));
	h->podman = json_is_true(json_object_get(answer, "podman"));
	h->live_restore = json_is_true(json_object_get(answer, "live_restore"));
	snprintf(h->engine_version, sizeof(h->engine_version), "%s", version ? version : "");
	snprintf(h->engine_error, sizeof(h->engine_error), "%s", error ? error : "");
	h->engine_seen = seen;
	if (seen)
		h->engine_age_ms = now > seen ? now - seen : 0;
	if (!seen)
		add_reason(h, "engine: not looked at yet");
	else if (!h->engine_up)
		add_reason(h, "engine: down");
	if (h->engine_age_ms > KII_HEALTH_STALE_MS)
		add_reason(h, "engine: last looked at %lld s ago",
			(long long)(h->engine_age_ms / 1000));
}

void kii_health_take(struct kii_health *h, const json_t *answer, int64_t now)
{
	h->engine_age_ms = -1;
	if (!answer) {
		add_reason(h, "worker: does not answer");
		return;
	}
	h->worker_up = true;
	h->queued = kii_json_int(answer, "queued", -1);
	h->running = kii_json_int(answer, "running", 0);
	h->slots = kii_json_int(answer, "slots", 0);
	if (h->queued < 0)
		add_reason(h, "worker: cannot read its queue");
	take_engine(h, answer, now);
}

static void look_at_worker(struct kii_health *h, const struct kii_conf *conf, int64_t now)
{
	struct kii_error err = { 0 };
	kii_autojson *answer = NULL;

	if (kii_health_ask(conf, &answer, &err) != 0)
		answer = NULL;
	kii_health_take(h, answer, now);
}

void kii_health_look(const struct kii_conf *conf, struct kii_health *out)
{
	int64_t now = kii_io_wall();

	*out = (struct kii_health){ .reasons = json_array() };
	look_at_jobs(out, conf->paths.state_dir);
	look_at_config(out, conf->paths.state_dir, now);
	look_at_stats(out, conf->paths.state_dir);
	look_at_disk(out, conf);
	look_at_worker(out, conf, now);
}

void kii_health_release(struct kii_health *h)
{
	kii_health_images_free(h->images, h->n_images);
	json_decref(h->reasons);
	*h = (struct kii_health){ .reasons = NULL };
}

bool kii_health_ok(const struct kii_health *h)
{
	return json_array_size(h->reasons) == 0;
}

/* --- as JSON --- */

static json_t *seconds(int64_t ms)
{
	return ms < 0 ? json_null() : json_real((double)ms / 1000);
}

static json_t *describe_engine(const struct kii_health *h)
{
	json_t *o = json_object();
	bool known = h->engine_version[0] != '\0';

	json_object_set_new(o, "up", json_boolean(h->engine_up));
	kii_json_set_str(o, "kind", !known ? NULL : h->podman ? "podman" : "docker");
	kii_json_set_str(o, "version", known ? h->engine_version : NULL);
	json_object_set_new(o, "age", seconds(h->engine_age_ms));
	return o;
}

static json_t *describe_worker(const struct kii_health *h)
{
	json_t *o = json_object();

	json_object_set_new(o, "up", json_boolean(h->worker_up));
	json_object_set_new(o, "queued", h->worker_up && h->queued >= 0
		? json_integer(h->queued) : json_null());
	json_object_set_new(o, "running", h->worker_up ? json_integer(h->running) : json_null());
	json_object_set_new(o, "slots", h->worker_up ? json_integer(h->slots) : json_null());
	return o;
}

static json_t *describe_images(const struct kii_health *h)
{
	json_t *list = json_array();

	for (size_t i = 0; i < h->n_images; i++) {
		json_t *one = json_object();

		kii_json_set_str(one, "container", h->images[i].container);
		json_object_set_new(one, "there", json_boolean(h->images[i].there));
		json_object_set_new(one, "age", seconds(h->images[i].age_ms));
		json_array_append_new(list, one);
	}
	return list;
}

json_t *kii_health_json(const struct kii_health *h)
{
	json_t *all = json_object();
	json_t *checks = json_object();
	json_t *databases = json_object();
	json_t *disk = json_object();

	for (int i = 0; i < KII_HEALTH__DATABASES; i++)
		kii_json_set_str(databases, database_names[i], h->databases[i]);
	json_object_set_new(disk, "free", h->disk_known ? json_integer((json_int_t)h->disk_free)
		: json_null());
	json_object_set_new(disk, "floor", json_integer(h->disk_floor));
	json_object_set_new(checks, "databases", databases);
	json_object_set_new(checks, "disk", disk);
	json_object_set_new(checks, "worker", describe_worker(h));
	json_object_set_new(checks, "engine", describe_engine(h));
	json_object_set_new(checks, "images", describe_images(h));
	json_object_set_new(all, "ok", json_boolean(kii_health_ok(h)));
	json_object_set(all, "reasons", h->reasons);
	json_object_set_new(all, "checks", checks);
	return all;
}
