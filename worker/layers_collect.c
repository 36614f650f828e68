/* SPDX-License-Identifier: MIT */
/* layers_collect: which of our layers go, and that they do. */
#include <config.h>

#include <stdlib.h>
#include <string.h>

#include "engine_layers.h"
#include "json.h"
#include "layers_notes.h"
#include "log.h"

#define NOBODY SIZE_MAX

struct cell {
	const struct kii_layer *image;
	struct layers_note *note;    /* NULL: it is not ours */
	size_t parent;
	int64_t own;                 /* bytes beyond its parent's */
	size_t children;             /* that are still there */
	bool needed;                 /* a named image is it, or is made of it */
	bool busy;                   /* a build that runs may use it */
	bool stuck, gone;
};

struct cache {
	struct cell *cells;          /* by their images' IDs */
	size_t n;
	int64_t bytes;               /* of ours that are not needed */
	int64_t oldest;              /* when the oldest build that runs has begun */
	layers_gone *tell;
	void *arg;
};

/* --- what there is --- */

static int by_id(const void *a, const void *b)
{
	const struct cell *first = a, *second = b;

	return strcmp(first->image->id, second->image->id);
}

static size_t find(const struct cache *c, const char *id)
{
	struct kii_layer wanted = { .named = false };
	const struct cell key = { .image = &wanted };
	const struct cell *found;

	memcpy(wanted.id, id, sizeof(wanted.id));
	found = bsearch(&key, c->cells, c->n, sizeof(key), by_id);
	return found ? (size_t)(found - c->cells) : NOBODY;
}

static struct layers_note *note_of(const struct layers_list *list, const struct kii_layer *image)
{
	struct layers_note *note = layers_find(list, image->id);

	return note && layers_means(note, image) ? note : NULL;
}

static void lay_out(struct cache *c, const struct kii_layer *images, size_t n,
	const struct layers_list *list)
{
	c->n = n;
	c->cells = kii_xcalloc(n + 1, sizeof(*c->cells));
	for (size_t i = 0; i < n; i++)
		c->cells[i] = (struct cell){ .image = &images[i],
			.note = note_of(list, &images[i]) };
	qsort(c->cells, n, sizeof(*c->cells), by_id);
	for (size_t i = 0; i < n; i++) {
		struct cell *cell = &c->cells[i];
		const struct kii_layer *image = cell->image;

		cell->parent = *image->parent ? find(c, image->parent) : NOBODY;
		cell->own = image->size;
		if (cell->parent == NOBODY)
			continue;
		c->cells[cell->parent].children++;
		cell->own -= c->cells[cell->parent].image->size;
		if (cell->own < 0)
			cell->own = 0;
	}
}

/*
 * The next on the way from an image down to its base, or NOBODY. The engine is trusted to have no
 * circles, but not to the end.
 */
static size_t below(const struct cache *c, size_t at, size_t *steps)
{
	return ++*steps > c->n ? NOBODY : c->cells[at].parent;
}

static bool is_busy(const struct cache *c, size_t i)
{
	for (size_t at = i, steps = 0; at != NOBODY; at = below(c, at, &steps)) {
		const struct layers_note *note = c->cells[at].note;

		if (note && note->used >= c->oldest)
			return true;
	}
	return false;
}

static void judge(struct cache *c)
{
	for (size_t i = 0; i < c->n; i++) {
		if (!c->cells[i].image->named)
			continue;
		for (size_t at = i, steps = 0; at != NOBODY; at = below(c, at, &steps)) {
			if (c->cells[at].needed)
				break;
			c->cells[at].needed = true;
		}
	}
	for (size_t i = 0; i < c->n; i++) {
		struct cell *cell = &c->cells[i];

		if (!cell->note || cell->needed)
			continue;
		c->bytes += cell->own;
		cell->busy = is_busy(c, i);
	}
}

/* --- what goes --- */

static struct cell *pick(const struct cache *c)
{
	struct cell *best = NULL;

	for (size_t i = 0; i < c->n; i++) {
		struct cell *cell = &c->cells[i];

		if (!cell->note || cell->needed || cell->busy || cell->stuck || cell->gone ||
		    cell->children)
			continue;
		if (!best || cell->note->used < best->note->used)
			best = cell;
	}
	return best;
}

static void take_away(struct cache *c, size_t i)
{
	struct cell *cell = &c->cells[i];

	if (cell->gone)
		return;
	cell->gone = true;
	if (cell->parent != NOBODY)
		c->cells[cell->parent].children--;
	if (!cell->note || cell->needed)
		return;
	c->bytes -= cell->own;
	c->tell(c->arg, cell->image->id, cell->own);
}

/* The engine may take more along than was asked for. */
static int remove_cell(struct cache *c, struct kii_engine *engine, struct cell *cell,
	struct kii_error *err)
{
	struct kii_error why = { 0 };
	kii_autojson *gone = NULL;
	const json_t *id;
	size_t i;

	if (kii_engine_layer_remove(engine, cell->image->id, &gone, &why) != 0) {
		if (why.code == KII_EDOWN || why.code == KII_ETIMEOUT)
			return kii_error_set(err, why.code, why.detail, "%s", why.msg);
		/* In use. Whatever else it is, it does not keep the rest. */
		if (why.code != KII_ECONFLICT)
			kii_log_warn("layer", "image=%s error=%s", cell->image->id, kii_q(why.msg));
		cell->stuck = true;
		return 0;
	}
	json_array_foreach(gone, i, id) {
		size_t at = find(c, json_string_value(id));

		if (at != NOBODY)
			take_away(c, at);
	}
	take_away(c, (size_t)(cell - c->cells));
	return 0;
}

/* A budget of nothing is none for what adds no bytes either, as ENV and LABEL do. */
static int shrink(struct cache *c, struct kii_engine *engine, int64_t budget, struct kii_error *err)
{
	struct cell *cell;

	while ((c->bytes > budget || budget == 0) && (cell = pick(c))) {
		if (!engine)
			take_away(c, (size_t)(cell - c->cells));
		else if (remove_cell(c, engine, cell, err) != 0)
			return -1;
	}
	return 0;
}

static void note_gone(const struct cache *c, const struct layers_list *list)
{
	for (size_t i = 0; i < list->n; i++)
		list->notes[i].gone = true;
	for (size_t i = 0; i < c->n; i++)
		if (c->cells[i].note && !c->cells[i].gone)
			c->cells[i].note->gone = false;
}

static int collect(struct worker *w, struct kii_engine *engine, bool dry_run,
	const struct layers_list *list, struct cache *c, struct kii_error *err)
{
	struct kii_layer *images = NULL;
	size_t n = 0;
	int rc = kii_engine_layers(engine, NULL, NULL, &images, &n, err);

	if (rc != 0)
		return -1;
	lay_out(c, images, n, list);
	judge(c);
	rc = shrink(c, dry_run ? NULL : engine, w->conf->retention.build_cache, err);
	if (!dry_run) {
		note_gone(c, list);
		layers_forget(w->layers, list);
	}
	free(c->cells);
	free(images);
	return rc;
}

int layers_collect(struct worker *w, bool dry_run, layers_gone *gone, void *arg,
	struct kii_error *err)
{
	struct cache c = { .tell = gone, .arg = arg };
	struct kii_engine *engine = NULL;
	struct layers_list list;
	int rc = 0;

	layers_copy(w->layers, &list, &c.oldest);
	if (list.n)
		rc = worker_engine(w, 0, &engine, err);
	if (rc == 0 && engine) {
		kii_engine_stop_flag(engine, &w->stop);
		rc = collect(w, engine, dry_run, &list, &c, err);
	}
	kii_engine_free(engine);
	free(list.notes);
	return rc != 0 ? kii_error_wrap(err, "layers") : 0;
}
