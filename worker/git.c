/* SPDX-License-Identifier: MIT */
#include <config.h>

#include "git.h"

#include <string.h>
#include <time.h>

#include "frames.h"
#include "io.h"
#include "json.h"
#include "log.h"
#include "submit.h"
#include "tags.h"

/* Times, shortened for tests. */
#ifndef RUN_MS
#define RUN_MS   600000
#endif
#ifndef RETRY_MS
#define RETRY_MS 600000   /* after a failure, where git_refresh is longer */
#endif
#ifndef LOOK_MS
#define LOOK_MS  10000    /* for the image, where there is none */
#endif
#define CLEAN_MS 10000
#define MEMORY   (INT64_C(512) << 20)
#define TMP      (INT64_C(64) << 20)
#define PIDS     64
#define SAID_MAX 160

char *git_name(const struct worker *w)
{
	return kii_xfmt("kiisrv-%s-git", w->instance);
}

/* --- one run --- */

static int create(struct worker *w, struct kii_engine *engine, const char *name, const char *image,
	char id[128], struct kii_error *err)
{
	const char *url = w->conf->firmware.git_url;
	const char *cmd[] = { "tags", "--", url, NULL };
	const struct kii_pair labels[] = { { WORKER_LABEL_INSTANCE, w->instance } };
	const struct kii_mount mounts[] = {
		{ .volume = name, .path = "/mirror" },
		{ .path = "/tmp", .size = TMP },
	};
	const struct kii_container_spec spec = {
		.name = name, .image = image, .cmd = cmd,
		.mounts = mounts, .n_mounts = KII_COUNT(mounts),
		.labels = labels, .n_labels = KII_COUNT(labels),
		.memory = MEMORY, .cpus = 1, .pids = PIDS,
		.network = strncmp(url, "file:", 5) != 0,
	};

	return kii_engine_create(engine, &spec, id, err);
}

/* What an earlier worker left, or we. The name alone does not make it ours. */
static int remove_own(struct worker *w, struct kii_engine *engine, const char *name,
	struct kii_error *err)
{
	struct kii_container c = { 0 };
	const char *instance;
	bool ours;

	if (kii_engine_inspect(engine, name, &c, err) != 0) {
		if (err->code != KII_ENOTFOUND)
			return -1;
		kii_error_clear(err);
		return 0;
	}
	instance = kii_json_str(c.labels, WORKER_LABEL_INSTANCE);
	ours = instance && strcmp(instance, w->instance) == 0;
	kii_container_release(&c);
	if (!ours)
		return kii_error_set(err, KII_EREFUSED, 0, "container %s is not ours", name);
	return kii_engine_remove(engine, c.id, err);
}

/* By a handle of its own: the other one ends when the worker does. */
static void clean(struct worker *w, const char *name)
{
	struct kii_engine *engine = NULL;
	struct kii_error err = { 0 };

	if (worker_engine(w, CLEAN_MS, &engine, &err) != 0 ||
	    remove_own(w, engine, name, &err) != 0) {
		kii_log_warn("clean_later", "container=%s error=%s", name, kii_q(err.msg));
		pthread_mutex_lock(&w->lock);
		w->untidy = true;
		pthread_mutex_unlock(&w->lock);
	}
	kii_engine_free(engine);
}

struct output {
	struct kii_buf *tags, *said;
};

static bool take(void *arg, int stream, const char *data, size_t len)
{
	struct output *o = arg;

	if (stream == KII_FRAME_OUT)
		kii_buf_add(o->tags, data, len);
	else
		kii_buf_add(o->said, data, len < SAID_MAX ? len : SAID_MAX);
	return !o->tags->overflow;
}

/* Its standard error's beginning, fit for a log and a terminal. */
static void printable(struct kii_buf *said)
{
	for (size_t i = 0; i < said->len; i++) {
		if (said->data[i] < ' ' || said->data[i] > '~')
			said->data[i] = i + 1 == said->len ? '\0' : ' ';
	}
}

static int read_output(struct worker *w, struct kii_engine *engine, const char *id, int code,
	size_t *tags, struct kii_error *err)
{
	kii_autobuf out = KII_BUF_INIT(KII_TAGS_BYTES);
	kii_autobuf said = KII_BUF_INIT(SAID_MAX);
	struct output o = { &out, &said };
	struct kii_release *list = NULL;
	size_t n = 0;
	int rc = kii_engine_logs(engine, id, false, take, NULL, &o, err);

	if (out.overflow) {
		kii_error_clear(err);
		return kii_error_set(err, KII_EBROKEN, 0, "it prints too much");
	}
	if (rc != 0)
		return -1;
	printable(&said);
	if (code != 0)
		return kii_error_set(err, KII_EBROKEN, code, "it ended with %d: %s", code,
			said.len ? said.data : "no word");
	if (kii_tags_parse(out.data, out.len, w->conf->firmware.git_url, &list, &n, err) != 0)
		return -1;
	pthread_mutex_lock(&w->lock);
	rc = kii_versions_set_releases(w->versions, list, n, err);
	pthread_mutex_unlock(&w->lock);
	kii_releases_free(list, n);
	if (rc == 0)
		*tags = n;
	return rc;
}

int git_look(struct worker *w, struct kii_engine *engine, const char *image, size_t *tags,
	struct kii_error *err)
{
	kii_autofree char *name = git_name(w);
	char id[128] = "";
	int code = 0, rc;

	if (remove_own(w, engine, name, err) != 0)
		return kii_error_wrap(err, "the container before");
	rc = create(w, engine, name, image, id, err);
	if (rc == 0)
		rc = kii_engine_start(engine, id, err);
	if (rc == 0)
		rc = kii_engine_wait(engine, id, RUN_MS, &code, err);
	if (rc == 0)
		rc = read_output(w, engine, id, code, tags, err);
	/* Even where its making failed: the answer may have been lost, not the container. */
	clean(w, name);
	return rc;
}

/* --- when --- */

/* Under the lock. The same trouble again is not news. */
static void conclude_run(struct worker *w, size_t tags, const struct kii_error *err)
{
	struct git_state *g = &w->git;
	bool good = err->code == KII_OK;

	if (!good && !g->error[0])
		kii_log_warn("git", "code=%s error=%s", kii_code_word(err->code), kii_q(err->msg));
	if (good)
		kii_log_info("git", "tags=%zu", tags);
	g->running = false;
	g->runs++;
	g->finished = kii_io_wall();
	if (good)
		g->tags = (int64_t)tags;
	snprintf(g->error, sizeof(g->error), "%.199s", good ? "" : err->msg);
}

/* Under the lock, which is left meanwhile. Returns when the next run is due. */
static int64_t run_once(struct worker *w, struct kii_engine *engine, const char *image)
{
	char id[sizeof(w->images->id)] = "";
	int64_t refresh = w->conf->firmware.git_refresh_ms;
	struct kii_error err = { 0 };
	size_t tags = 0;
	int rc;

	snprintf(id, sizeof(id), "%s", image);
	w->git.now = false;
	w->git.running = true;
	pthread_mutex_unlock(&w->lock);
	rc = git_look(w, engine, id, &tags, &err);
	pthread_mutex_lock(&w->lock);
	if (rc != 0 && atomic_load(&w->stop))
		return INT64_MAX;
	conclude_run(w, tags, &err);
	if (!refresh)
		return INT64_MAX;
	return kii_io_now() + (rc != 0 && refresh > RETRY_MS ? RETRY_MS : refresh);
}

static void wait_until(struct worker *w, int64_t until)
{
	struct timespec t = { .tv_sec = until / 1000, .tv_nsec = until % 1000 * 1000000 };

	while (!atomic_load(&w->stop) && !w->git.now && kii_io_now() < until)
		pthread_cond_timedwait(&w->git_wake, &w->lock, &t);
}

/* Under the lock: asked for, but there is no image (any more). */
static void give_up(struct worker *w)
{
	struct kii_error err = { 0 };

	kii_error_set(&err, KII_ENOTFOUND, 0, "the image to fetch with is gone");
	w->git.now = false;
	conclude_run(w, 0, &err);
}

void *git_run(void *arg)
{
	struct worker *w = arg;
	struct kii_engine *engine = NULL;
	struct kii_error err = { 0 };
	int64_t due = w->conf->firmware.git_refresh_ms ? 0 : INT64_MAX;

	if (worker_engine(w, 0, &engine, &err) != 0) {
		kii_log_error("engine", "error=%s", kii_q(err.msg));
		return NULL;
	}
	kii_engine_stop_flag(engine, &w->stop);
	pthread_mutex_lock(&w->lock);
	while (!atomic_load(&w->stop)) {
		const struct kii_image *image = worker_image(w, "fetch");
		int64_t now = kii_io_now();

		if (image && (w->git.now || (w->engine_up && now >= due)))
			due = run_once(w, engine, image->id);
		else if (w->git.now)
			give_up(w);
		now = kii_io_now();
		wait_until(w, due > now && due < now + LOOK_MS ? due : now + LOOK_MS);
	}
	pthread_mutex_unlock(&w->lock);
	kii_engine_free(engine);
	return NULL;
}

/* --- what others ask --- */

json_t *git_ask(struct worker *w)
{
	json_t *answer;

	pthread_mutex_lock(&w->lock);
	if (!worker_image(w, "fetch")) {
		answer = submit_refusal(409, "conflict", NULL, 0,
			"the engine has no image %sfetch:latest: kiisrvctl images build fetch",
			w->conf->firmware.image_prefix);
	} else {
		answer = json_pack("{s:b, s:I}", "ok", 1, "runs", (json_int_t)w->git.runs + 1);
		w->git.now = !w->git.running;
		pthread_cond_signal(&w->git_wake);
	}
	pthread_mutex_unlock(&w->lock);
	return answer;
}

json_t *git_status(const struct worker *w)
{
	json_t *git = json_pack("{s:b, s:I, s:I, s:I}", "running", (int)w->git.running,
		"runs", (json_int_t)w->git.runs, "finished", (json_int_t)w->git.finished,
		"tags", (json_int_t)w->git.tags);

	kii_json_set_str(git, "error", w->git.error);
	return git;
}
