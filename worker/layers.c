/* SPDX-License-Identifier: MIT */
#include <config.h>

#include "layers.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "io.h"
#include "json.h"
#include "layers_notes.h"
#include "log.h"

#define NOTES_MAX 50000
#define FILE_MAX  (NOTES_MAX * 64u + 65536u)
#define BOXES_MAX WORKER_SLOTS_MAX
#define BOX_ID    64

/* A container that a step runs in. */
struct box {
	char id[BOX_ID + 1];
	int64_t since;           /* ms since 1970: it was made then or later */
};

struct layers {
	char *path;
	pthread_mutex_t lock;    /* of all below */
	struct layers_list list;
	size_t cap;
	bool changed, due;
	int64_t builds[WORKER_SLOTS_MAX];    /* when each has begun; 0: there is none */
	struct box boxes[WORKER_SLOTS_MAX];  /* of each; an ID of "": none */
	struct box left[BOXES_MAX];          /* that may have been left */
	size_t n_left;
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
	if (l->list.n == l->cap) {
		l->cap = l->cap * 2 + 64;
		l->list.notes = kii_xrealloc(l->list.notes, l->cap * sizeof(*l->list.notes));
	}
	note = &l->list.notes[i];
	memmove(note + 1, note, (l->list.n - i) * sizeof(*note));
	*note = (struct layers_note){ .since = since, .used = used };
	memcpy(note->id, id, KII_MADE_DIGITS);
	l->list.n++;
	return note;
}

/* --- the file --- */

/* Under the lock. */
static void leave(struct layers *l, const char *id, int64_t since)
{
	if (l->n_left == BOXES_MAX)
		return;
	l->left[l->n_left] = (struct box){ .since = since };
	snprintf(l->left[l->n_left++].id, BOX_ID + 1, "%s", id);
}

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

/* "run ID SINCE" */
static bool take_run(struct layers *l, const char *line)
{
	size_t len = strspn(line, "0123456789abcdef");
	kii_autofree char *id = kii_xstrndup(line, len);
	const char *at = line + len;
	int64_t since;

	if (len < KII_MADE_DIGITS || len > BOX_ID || !take_number(&at, &since) || since < 0)
		return false;
	leave(l, id, since);
	return true;
}

/* "0123456789a SINCE USED" */
static bool take_line(struct layers *l, const char *line)
{
	size_t len = strspn(line, "0123456789abcdef");
	const char *at = line + len;
	int64_t since, used;

	if (strncmp(line, "run ", 4) == 0)
		return take_run(l, line + 4);
	if (len != KII_MADE_DIGITS || !take_number(&at, &since) || !take_number(&at, &used) ||
	    since < 0 || used <= 0)
		return false;
	put(l, line, since, used);
	return true;
}

static void load(struct layers *l)
{
	kii_autobuf text = KII_BUF_INIT(FILE_MAX);
	struct kii_error err = { 0 };
	char *save = NULL;
	size_t odd = 0;

	if (kii_io_read(l->path, &text, &err) != 0) {
		if (err.code != KII_ENOTFOUND)
			kii_log_warn("layers", "error=%s", kii_q(err.msg));
		return;
	}
	for (char *line = text.len ? strtok_r(text.data, "\n", &save) : NULL; line;
			line = strtok_r(NULL, "\n", &save))
		odd += !take_line(l, line);
	if (odd)
		kii_log_warn("layers", "odd_lines=%zu", odd);
}

static void put_box(struct kii_buf *text, const struct box *box)
{
	if (box->id[0])
		kii_buf_fmt(text, "run %s %" PRId64 "\n", box->id, box->since);
}

/* Under the lock, so that what is older never comes after. */
static void save(struct layers *l)
{
	kii_autobuf text = KII_BUF_INIT(FILE_MAX);
	struct kii_error err = { 0 };

	for (size_t i = 0; i < l->list.n; i++)
		kii_buf_fmt(&text, "%s %" PRId64 " %" PRId64 "\n", l->list.notes[i].id,
			l->list.notes[i].since, l->list.notes[i].used);
	for (size_t i = 0; i < WORKER_SLOTS_MAX; i++)
		put_box(&text, &l->boxes[i]);
	for (size_t i = 0; i < l->n_left; i++)
		put_box(&text, &l->left[i]);
	if (kii_io_publish(l->path, text.data, text.len, 0600, &err) != 0)
		kii_log_warn("layers", "error=%s", kii_q(err.msg));
	l->changed = false;
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
	load(l);
	l->due = l->list.n > 0;
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

size_t layers_begin(struct layers *l)
{
	size_t i = 0;

	pthread_mutex_lock(&l->lock);
	while (l->builds[i])
		i++;
	l->builds[i] = kii_io_wall();
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

void layers_runs(struct layers *l, size_t build, const char *id, int64_t since)
{
	struct box *box = &l->boxes[build];

	pthread_mutex_lock(&l->lock);
	box->since = at_most_now(since);
	snprintf(box->id, sizeof(box->id), "%s", id);
	save(l);
	pthread_mutex_unlock(&l->lock);
}

void layers_end(struct layers *l, size_t build, bool badly)
{
	struct box box;

	pthread_mutex_lock(&l->lock);
	box = l->boxes[build];
	l->boxes[build].id[0] = '\0';
	l->builds[build] = 0;
	l->due = true;
	if (badly && box.id[0])
		leave(l, box.id, box.since);
	l->changed = l->changed || box.id[0];
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

/* Whoever prints a container's ID in a step does not get others' removed: it must be that young. */
static bool is_left(const struct box *box, const struct kii_container *c)
{
	int64_t began = c->started_ms ? c->started_ms : c->created_ms;

	return !kii_json_str(c->labels, WORKER_LABEL_JOB) && began >= box->since - LAYERS_SKEW_MS;
}

/* False: it could not be done now. */
static bool remove_box(const struct box *box, struct kii_engine *engine)
{
	struct kii_container c = { .labels = NULL };
	struct kii_error err = { 0 };

	if (kii_engine_inspect(engine, box->id, &c, &err) == 0) {
		if (is_left(box, &c) && kii_engine_remove(engine, c.id, &err) == 0)
			kii_log_info("container_removed", "id=%s of=build", box->id);
		kii_container_release(&c);
	}
	if (err.code == KII_OK || err.code == KII_ENOTFOUND)
		return true;
	kii_log_warn("clean_later", "container=%s error=%s", box->id, kii_q(err.msg));
	return false;
}

static void forget_box(struct layers *l, const char *id)
{
	for (size_t i = 0; i < l->n_left; i++) {
		if (strcmp(l->left[i].id, id) == 0) {
			l->left[i] = l->left[--l->n_left];
			return;
		}
	}
}

/* Each stays in the list until it is gone; the engine is not asked under the lock. */
void layers_tidy(struct layers *l, struct kii_engine *engine)
{
	struct box todo[BOXES_MAX];
	size_t n;

	pthread_mutex_lock(&l->lock);
	n = l->n_left;
	memcpy(todo, l->left, sizeof(todo));
	pthread_mutex_unlock(&l->lock);
	for (size_t i = 0; i < n; i++) {
		if (!remove_box(&todo[i], engine))
			continue;
		pthread_mutex_lock(&l->lock);
		forget_box(l, todo[i].id);
		save(l);
		pthread_mutex_unlock(&l->lock);
	}
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
		if (l->builds[i] && l->builds[i] < *oldest)
			*oldest = l->builds[i];
	pthread_mutex_unlock(&l->lock);
}

void layers_forget(struct layers *l, const struct layers_list *list)
{
	size_t kept = 0;

	pthread_mutex_lock(&l->lock);
	for (size_t i = 0; i < l->list.n; i++) {
		const struct layers_note *note = &l->list.notes[i];
		const struct layers_note *old = layers_find(list, note->id);

		if (!old || !old->gone || old->used != note->used)
			l->list.notes[kept++] = *note;
	}
	if (kept < l->list.n) {
		l->list.n = kept;
		save(l);
	}
	pthread_mutex_unlock(&l->lock);
}
