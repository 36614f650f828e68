/* SPDX-License-Identifier: MIT */
/* broken_tidy: what builds that were broken off have left with the engine. */
#include <config.h>

#include <stdlib.h>
#include <string.h>

#include "broken.h"
#include "engine_layers.h"
#include "engine_working.h"
#include "io.h"
#include "layers.h"
#include "log.h"

#define SECOND_MS INT64_C(1000)

struct images {
	struct kii_layer *list;
	size_t n;
};

struct look {
	const struct worker *w;
	struct kii_engine *engine;
	struct images all, labelled;     /* "labelled": with our label */
	bool away, done;
};

static bool later(const struct kii_error *err, const char *what)
{
	kii_log_warn("clean_later", "what=%s error=%s", what, kii_q(err->msg));
	return false;
}

static const struct kii_layer *find(const struct images *images, const char *id)
{
	for (size_t i = 0; i < images->n; i++)
		if (strcmp(images->list[i].id, id) == 0)
			return &images->list[i];
	return NULL;
}

/* --- images --- */

/* When it was made at the latest, ms since 1970: that is told in whole seconds. */
static int64_t made_at(const struct kii_layer *image)
{
	return image->created * SECOND_MS + SECOND_MS - 1;
}

/* Was it made while a build ran that was broken off? `base`: of this one; NULL: of any. */
static bool is_of_then(const struct look *k, const struct kii_layer *image, const char *base)
{
	return broken_covers(k->w->broken, made_at(image), base);
}

static bool note(const struct look *k, const struct kii_layer *image)
{
	return layers_found(k->w->layers, image->id, made_at(image));
}

/*
 * All steps' images carry our label, and what was made of them. One that has a name is noted too:
 * that may be a build's last, which it is needed for until the name moves on.
 */
static void note_podmans(const struct look *k)
{
	for (size_t i = 0; i < k->labelled.n; i++)
		if (is_of_then(k, &k->labelled.list[i], NULL))
			note(k, &k->labelled.list[i]);
}

/* Of nothing, as what is imported is, too. An engine that is away is not asked on. */
static bool is_first(struct look *k, const struct kii_layer *image)
{
	struct kii_error err = { 0 };
	bool is = false;

	if (k->away || !is_of_then(k, image, BROKEN_SCRATCH) ||
	    kii_engine_is_step(k->engine, image->id, &is, &err) == 0 ||
	    err.code == KII_ENOTFOUND)
		return is;
	k->away = err.code == KII_EDOWN || err.code == KII_ETIMEOUT;
	k->done = later(&err, image->id);
	return false;
}

/* Made of what a build began with then, or of a step's image of ours. */
static bool is_next(const struct look *k, const struct kii_layer *image)
{
	const struct kii_layer *parent = find(&k->all, image->parent);

	return (parent && !parent->named && layers_owns(k->w->layers, parent)) ||
		is_of_then(k, image, image->parent);
}

/*
 * Only a build's last image carries our label, before it has its name, and after: then it may lose
 * that again.
 */
static bool may_be_step(const struct look *k, const struct kii_layer *image)
{
	return (!image->named || find(&k->labelled, image->id)) &&
		!layers_owns(k->w->layers, image) && is_of_then(k, image, NULL);
}

/* A step's image is made of that of the step before, which may come later in the list. */
static void note_dockers(struct look *k)
{
	const struct kii_layer **left = kii_xcalloc(k->all.n + 1, sizeof(*left));
	size_t n = 0;
	bool more = true;

	for (size_t i = 0; i < k->all.n; i++) {
		const struct kii_layer *image = &k->all.list[i];

		if (!may_be_step(k, image))
			continue;
		if (*image->parent)
			left[n++] = image;
		else if (is_first(k, image))
			note(k, image);
	}
	while (more) {
		more = false;
		for (size_t i = 0; i < n; i++)
			if (!layers_owns(k->w->layers, left[i]) && is_next(k, left[i]))
				more = note(k, left[i]) || more;
	}
	free(left);
}

/* --- Podman's working containers --- */

/* Of a step: an image without a name, which our builds have made or found in the cache. */
static bool is_step(const struct look *k, const char *id)
{
	const struct kii_layer *image = find(&k->all, id);

	return image && !image->named && layers_knows(k->w->layers, id);
}

static bool is_left(const struct look *k, const struct kii_working *c)
{
	const char *base = *c->image ? c->image : c->base;

	if (!c->builder)
		return false;
	if (is_step(k, base))
		base = NULL;
	return broken_covers(k->w->broken, c->created_ms, base);
}

/* One that cannot be removed does not keep the rest, unless the engine is away. */
static void remove_containers(struct look *k)
{
	struct kii_working *list = NULL;
	struct kii_error err = { 0 };
	size_t n = 0;

	if (kii_engine_working(k->engine, &list, &n, &err) != 0)
		k->done = later(&err, "working containers");
	for (size_t i = 0; i < n && err.code != KII_EDOWN && err.code != KII_ETIMEOUT; i++) {
		if (!is_left(k, &list[i]))
			continue;
		kii_error_clear(&err);
		if (kii_engine_remove(k->engine, list[i].id, &err) == 0)
			kii_log_info("container_removed", "id=%.12s of=%s", list[i].id,
				kii_q(list[i].base));
		else
			k->done = later(&err, list[i].id);
	}
	kii_working_free(list, n);
}

/* --- all of it --- */

static void tidy(struct look *k)
{
	struct kii_error err = { 0 };

	if (kii_engine_layers(k->engine, WORKER_LABEL_INSTANCE, k->w->instance, &k->labelled.list,
			&k->labelled.n, &err) != 0 ||
	    kii_engine_layers(k->engine, NULL, NULL, &k->all.list, &k->all.n, &err) != 0) {
		k->done = later(&err, "images");
	} else if (k->w->about.podman) {
		note_podmans(k);
		remove_containers(k);
	} else {
		note_dockers(k);
	}
	free(k->labelled.list);
	free(k->all.list);
}

bool broken_tidy(const struct worker *w, struct kii_engine *engine)
{
	int64_t age = w->conf->retention.working_containers_ms;
	struct look k = { .w = w, .engine = engine, .done = true };

	if (!broken_look(w->broken, age))
		return true;
	tidy(&k);
	if (k.done && layers_save(w->layers))
		broken_forget(w->broken);
	return !broken_look(w->broken, age);
}
