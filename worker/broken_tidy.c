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
	struct kii_layer *all;
	size_t n;
};

static bool later(const struct kii_error *err, const char *what)
{
	kii_log_warn("clean_later", "what=%s error=%s", what, kii_q(err->msg));
	return false;
}

/* When it was made at the latest, ms since 1970: that is told in whole seconds. */
static int64_t made_at(const struct kii_layer *image)
{
	return image->created * SECOND_MS + SECOND_MS - 1;
}

/*
 * What carries our label are images of our builds, and what was made of them. One that has a name
 * is noted too: that may be a build's last, which it is needed for until the name moves on.
 */
static bool note_labelled(const struct worker *w, struct kii_engine *engine, int64_t age)
{
	struct images labelled = { .n = 0 };
	struct kii_error err = { 0 };

	if (kii_engine_layers(engine, WORKER_LABEL_INSTANCE, w->instance, &labelled.all,
			&labelled.n, &err) != 0)
		return later(&err, "images");
	for (size_t i = 0; i < labelled.n; i++) {
		const struct kii_layer *image = &labelled.all[i];

		if (broken_covers(w->broken, age, made_at(image), NULL))
			layers_found(w->layers, image->id, made_at(image));
	}
	free(labelled.all);
	return true;
}

/* Of a Docker: no name, made while a build ran, of what that began with or of what we know. */
static bool is_left_step(const struct worker *w, const struct kii_layer *image, int64_t age)
{
	const char *base = *image->parent ? image->parent : BROKEN_SCRATCH;

	if (image->named || layers_knows(w->layers, image->id))
		return false;
	if (*image->parent && layers_knows(w->layers, image->parent))
		base = NULL;
	return broken_covers(w->broken, age, made_at(image), base);
}

/* A step's image is made of that of the step before. */
static void note_steps(const struct worker *w, const struct images *images, int64_t age)
{
	bool more = true;

	while (more) {
		more = false;
		for (size_t i = 0; i < images->n; i++) {
			const struct kii_layer *image = &images->all[i];

			if (!is_left_step(w, image, age))
				continue;
			layers_found(w->layers, image->id, made_at(image));
			more = more || layers_knows(w->layers, image->id);
		}
	}
}

/* Of a step: an image without a name, which our builds have made or found in the cache. */
static bool is_step(const struct worker *w, const struct images *images, const char *id)
{
	for (size_t i = 0; i < images->n; i++)
		if (strcmp(images->all[i].id, id) == 0)
			return !images->all[i].named && layers_knows(w->layers, id);
	return false;
}

static bool is_left(const struct worker *w, const struct images *images, int64_t age,
	const struct kii_working *c)
{
	const char *base = *c->image ? c->image : c->base;

	if (!c->builder)
		return false;
	if (is_step(w, images, base))
		base = NULL;
	return broken_covers(w->broken, age, c->created_ms, base);
}

/* One that cannot be removed does not keep the rest, unless the engine is away. */
static bool remove_containers(const struct worker *w, struct kii_engine *engine, int64_t age,
	const struct images *images)
{
	struct kii_working *list = NULL;
	struct kii_error err = { 0 };
	size_t n = 0;
	bool done = true;

	if (kii_engine_working(engine, &list, &n, &err) != 0)
		return later(&err, "working containers");
	for (size_t i = 0; i < n && err.code != KII_EDOWN && err.code != KII_ETIMEOUT; i++) {
		if (!is_left(w, images, age, &list[i]))
			continue;
		kii_error_clear(&err);
		if (kii_engine_remove(engine, list[i].id, &err) == 0)
			kii_log_info("container_removed", "id=%.12s of=%s", list[i].id,
				kii_q(list[i].base));
		else
			done = later(&err, list[i].id);
	}
	kii_working_free(list, n);
	return done;
}

bool broken_tidy(const struct worker *w, struct kii_engine *engine)
{
	int64_t age = w->conf->retention.working_containers_ms;
	struct images images = { .n = 0 };
	struct kii_error err = { 0 };
	bool done;

	if (!broken_any(w->broken, age))
		return true;
	if (kii_engine_layers(engine, NULL, NULL, &images.all, &images.n, &err) != 0)
		return later(&err, "images");
	done = note_labelled(w, engine, age);
	if (!w->about.podman)
		note_steps(w, &images, age);
	else if (done)
		done = remove_containers(w, engine, age, &images);
	free(images.all);
	if (done)
		broken_forget(w->broken, age);
	return !broken_any(w->broken, age);
}
