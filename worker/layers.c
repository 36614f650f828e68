/* SPDX-License-Identifier: MIT */
#include <config.h>

#include "layers.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine_layers.h"
#include "io.h"
#include "layers_notes.h"
#include "log.h"
#include "notes.h"

#define NOTES_MAX 50000
#define FILE_MAX  (NOTES_MAX * 64u + 65536u)
#define SKEW_MS   INT64_C(300000)    /* between our clock and the engine's */

struct build {
	int64_t began;           /* ms since 1970; 0: there is none */
	char mark[KII_MARK];     /* of its steps' containers */
};

struct layers {
	char *path;
	pthread_mutex_t lock;    /* of all below */
	struct layers_list list;
	size_t cap;
	bool changed, due;
	bool astray;             /* a step's container may have outlived its build */
	struct build builds[WORKER_SLOTS_MAX];
};

/* --- the list --- */

/* Where it is, or would be. */
static size_t place_of(const struct layers_list *list, const char *id)
{
	size_t from = 0, to = list->n;

	while (from < to) {
		size_t middle = from + (to - from) / 2;

		if (strncmp(list->notes[middle].id, id, KII_MADE_DIGITS) < 0)
			from = middle + 1;
		else
			to = middle;
	}
	return from;
}

struct layers_note *layers_find(const struct layers_list *list, const char *id)
{
	size_t i = place_of(list, id);

	return i < list->n && strncmp(list->notes[i].id, id, KII_MADE_DIGITS) == 0 ?
		&list->notes[i] : NULL;
}

/* Under the lock. Its first word on `since` holds. NULL: there is no room. */
static const struct layers_note *put(struct layers *l, const char *id, int64_t since, int64_t used)
{
	struct layers_note *note = layers_find(&l->list, id);
	size_t i = place_of(&l->list, id);

	if (note) {
		note->used = used;
		return note;
	}
	if (l->list.n == NOTES_MAX)
		return NULL;
	l->list.notes = kii_xgrow(l->list.notes, l->list.n, &l->cap, sizeof(*l->list.notes));
	note = &l->list.notes[i];
	memmove(note + 1, note, (l->list.n - i) * sizeof(*note));
	*note = (struct layers_note){ .since = since, .used = used };
	memcpy(note->id, id, KII_MADE_DIGITS);
	l->list.n++;
	return note;
}

/* --- the file --- */

/* Moves *at behind a number and the blanks before it; false where there is none. */
static bool take_number(const char **at, int64_t *out)
{
	char *end;

	errno = 0;
	*out = strtoll(*at, &end, 10);
	if (end == *at || errno == ERANGE)
		return false;
	*at = end;
	return true;
}

/* "0123456789a SINCE USED" */
static bool take_line(void *arg, char *line)
{
	struct layers *l = arg;
	size_t len = strspn(line, "0123456789abcdef");
	const char *at = line + len;
	int64_t since, used;

	if (len != KII_MADE_DIGITS || !take_number(&at, &since) || !take_number(&at, &used) ||
	    since < 0 || used <= 0)
		return false;
	put(l, line, since, used);
	return true;
}

/* Under the lock, so that what is older never comes after. */
static void save(struct layers *l)
{
	kii_autobuf text = KII_BUF_INIT(FILE_MAX);

	for (size_t i = 0; i < l->list.n; i++)
		kii_buf_fmt(&text, "%s %" PRId64 " %" PRId64 "\n", l->list.notes[i].id,
			l->list.notes[i].since, l->list.notes[i].used);
	l->changed = !notes_save(l->path, "layers", &text);
}

/* Under the lock: one line more, for a worker that comes after a kill. It is not waited for. */
static void append(struct layers *l, const struct layers_note *note)
{
	kii_autobuf line = KII_BUF_INIT(128);
	kii_autoclose int fd = open(l->path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600);
	struct kii_error err = { 0 };

	kii_buf_fmt(&line, "%s %" PRId64 " %" PRId64 "\n", note->id, note->since, note->used);
	if (fd < 0 || kii_io_write_all(fd, line.data, line.len, &err) != 0)
		kii_log_warn("layers", "errno=%d error=%s", errno, kii_q(err.msg));
}

/* --- builds --- */

struct layers *layers_new(const char *state_dir)
{
	struct layers *l = kii_xcalloc(1, sizeof(*l));

	l->path = kii_xfmt("%s/engine/layers", state_dir);
	pthread_mutex_init(&l->lock, NULL);
	notes_load(l->path, "layers", FILE_MAX, take_line, l);
	l->due = l->list.n > 0;
	l->astray = true;
	return l;
}

void layers_free(struct layers *l)
{
	if (!l)
		return;
	pthread_mutex_destroy(&l->lock);
	free(l->list.notes);
	free(l->path);
	free(l);
}

size_t layers_begin(struct layers *l, const char *mark)
{
	size_t i = 0;

	pthread_mutex_lock(&l->lock);
	while (l->builds[i].began)
		i++;
	l->builds[i].began = kii_io_wall();
	snprintf(l->builds[i].mark, sizeof(l->builds[i].mark), "%s", mark);
	pthread_mutex_unlock(&l->lock);
	return i;
}

/* A job whose clock was set back since it was asked for is none of the future. */
static int64_t at_most_now(int64_t since)
{
	int64_t now = kii_io_wall();

	return since < now ? since : now;
}

void layers_made(struct layers *l, const char *id, int64_t since)
{
	const struct layers_note *note;

	pthread_mutex_lock(&l->lock);
	note = put(l, id, at_most_now(since), kii_io_wall());
	if (note)
		append(l, note);
	l->changed = true;
	pthread_mutex_unlock(&l->lock);
}

bool layers_found(struct layers *l, const char *id, int64_t made)
{
	struct layers_note *note;
	bool news;

	pthread_mutex_lock(&l->lock);
	made = at_most_now(made);
	note = layers_find(&l->list, id);
	news = note ? made < note->since : put(l, id, made, made) != NULL;
	/* A build has used it since. */
	if (note && news)
		note->since = made;
	l->changed = l->changed || news;
	l->due = l->due || news;
	pthread_mutex_unlock(&l->lock);
	return news;
}

bool layers_save(struct layers *l)
{
	bool saved;

	pthread_mutex_lock(&l->lock);
	if (l->changed)
		save(l);
	saved = !l->changed;
	pthread_mutex_unlock(&l->lock);
	return saved;
}

bool layers_knows(struct layers *l, const char *id)
{
	bool knows;

	pthread_mutex_lock(&l->lock);
	knows = layers_find(&l->list, id);
	pthread_mutex_unlock(&l->lock);
	return knows;
}

bool layers_means(const struct layers_note *note, const struct kii_layer *image)
{
	return image->created * 1000 + 999 + SKEW_MS >= note->since;
}

bool layers_owns(struct layers *l, const struct kii_layer *image)
{
	const struct layers_note *note;
	bool owns;

	pthread_mutex_lock(&l->lock);
	note = layers_find(&l->list, image->id);
	owns = note && layers_means(note, image);
	pthread_mutex_unlock(&l->lock);
	return owns;
}

void layers_end(struct layers *l, size_t build, bool badly)
{
	pthread_mutex_lock(&l->lock);
	l->builds[build].began = 0;
	l->due = true;
	l->astray = l->astray || badly;
	if (l->changed)
		save(l);
	pthread_mutex_unlock(&l->lock);
}

bool layers_due(struct layers *l)
{
	bool due;

	pthread_mutex_lock(&l->lock);
	due = l->due;
	l->due = false;
	pthread_mutex_unlock(&l->lock);
	return due;
}

/* --- containers --- */

static bool set_astray(struct layers *l, bool astray)
{
	bool before;

	pthread_mutex_lock(&l->lock);
	before = l->astray;
	l->astray = astray;
	pthread_mutex_unlock(&l->lock);
	return before;
}

/* There is one worker of an instance: what has its mark and is of no build of ours is nobody's. */
static bool is_stray(const struct worker *w, const char *mark)
{
	kii_autofree char *prefix = kii_xfmt("kiisrv-%s-", w->instance);
	const struct build *builds = w->layers->builds;
	bool stray = strncmp(mark, prefix, strlen(prefix)) == 0;

	pthread_mutex_lock(&w->layers->lock);
	for (size_t i = 0; i < WORKER_SLOTS_MAX; i++)
		stray = stray && !(builds[i].began && strcmp(builds[i].mark, mark) == 0);
	pthread_mutex_unlock(&w->layers->lock);
	return stray;
}

static int tidy_one(const struct worker *w, struct kii_engine *engine, const char *id,
	struct kii_error *err)
{
	struct kii_container c = { .labels = NULL };
	int rc = kii_engine_inspect(engine, id, &c, err);

	if (rc == 0 && is_stray(w, c.mark)) {
		kii_log_info("container_removed", "id=%.12s of=%s", id, kii_q(c.mark));
		rc = kii_engine_remove(engine, id, err);
	}
	kii_container_release(&c);
	return rc == 0 || err->code == KII_ENOTFOUND ? 0 : -1;
}

/* One that cannot be looked at or removed does not keep the rest, unless the engine is away. */
static bool tidy(const struct worker *w, struct kii_engine *engine)
{
	struct kii_container *list = NULL;
	struct kii_error err = { 0 };
	size_t n = 0;
	bool done = kii_engine_list(engine, NULL, NULL, &list, &n, &err) == 0;

	if (!done)
		kii_log_warn("clean_later", "error=%s", kii_q(err.msg));
	for (size_t i = 0; i < n && err.code != KII_EDOWN && err.code != KII_ETIMEOUT; i++) {
		kii_error_clear(&err);
		if (tidy_one(w, engine, list[i].id, &err) == 0)
			continue;
		kii_log_warn("clean_later", "container=%.12s error=%s", list[i].id, kii_q(err.msg));
		done = false;
	}
	kii_containers_free(list, n);
	return done;
}

bool layers_tidy(const struct worker *w, struct kii_engine *engine)
{
	if (!set_astray(w->layers, false) || w->about.podman || tidy(w, engine))
		return true;
	set_astray(w->layers, true);
	return false;
}

/* --- for who collects --- */

void layers_copy(struct layers *l, struct layers_list *out, int64_t *oldest)
{
	pthread_mutex_lock(&l->lock);
	out->n = l->list.n;
	out->notes = kii_xcalloc(out->n + 1, sizeof(*out->notes));
	if (out->n)
		memcpy(out->notes, l->list.notes, out->n * sizeof(*out->notes));
	*oldest = INT64_MAX;
	for (size_t i = 0; i < WORKER_SLOTS_MAX; i++)
		if (l->builds[i].began && l->builds[i].began < *oldest)
			*oldest = l->builds[i].began;
	pthread_mutex_unlock(&l->lock);
}

void layers_forget(struct layers *l, const struct layers_list *list)
{
	size_t kept = 0;

	pthread_mutex_lock(&l->lock);
	for (size_t i = 0; i < l->list.n; i++) {
		const struct layers_note *note = &l->list.notes[i];
		const struct layers_note *old = layers_find(list, note->id);

		if (!old || !old->gone || old->used != note->used || old->since != note->since)
			l->list.notes[kept++] = *note;
	}
	if (kept < l->list.n) {
		l->list.n = kept;
		save(l);
	}
	pthread_mutex_unlock(&l->lock);
}
