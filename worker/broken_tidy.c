/* SPDX-License-Identifier: MIT */
/* broken_tidy: what builds that were broken off have left with a Podman. */
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

/* What carries our label: images of our builds, and what was made of them. */
struct labelled {
	struct kii_layer *images;
	size_t n;
};

static bool is_labelled(const struct labelled *l, const char *id)
{
	for (size_t i = 0; i < l->n; i++)
		if (strcmp(l->images[i].id, id) == 0)
			return true;
	return false;
}

/* Podman's list tells when an image was made in seconds. */
static void note_images(const struct worker *w, const struct labelled *l, int64_t before)
{
	for (size_t i = 0; i < l->n; i++) {
		const struct kii_layer *image = &l->images[i];
		int64_t at = image->created * SECOND_MS + SECOND_MS - 1;

		if (!image->named && broken_made(w->broken, before, at, NULL))
			layers_found(w->layers, image->id, at);
	}
}

/* One that cannot be removed does not keep the rest, unless the engine is away. */
static bool remove_containers(const struct worker *w, struct kii_engine *engine,
	const struct labelled *l, int64_t before)
{
	struct kii_working *list = NULL;
	struct kii_error err = { 0 };
	size_t n = 0;
	bool done = true;

	if (kii_engine_working(engine, &list, &n, &err) != 0) {
		kii_log_warn("clean_later", "error=%s", kii_q(err.msg));
		return false;
	}
	for (size_t i = 0; i < n && err.code != KII_EDOWN && err.code != KII_ETIMEOUT; i++) {
		const struct kii_working *c = &list[i];

		if (!broken_made(w->broken, before, c->created_ms,
				is_labelled(l, c->image) ? NULL : c->name))
			continue;
		kii_error_clear(&err);
		if (kii_engine_remove(engine, c->id, &err) == 0) {
			kii_log_info("container_removed", "id=%.12s of=%s", c->id, kii_q(c->name));
			continue;
		}
		kii_log_warn("clean_later", "container=%.12s error=%s", c->id, kii_q(err.msg));
		done = false;
	}
	kii_working_free(list, n);
	return done;
}

bool broken_tidy(const struct worker *w, struct kii_engine *engine)
{
	int64_t before = kii_io_wall() - w->conf->retention.working_containers_ms;
	struct labelled l = { .n = 0 };
	struct kii_error err = { 0 };
	bool done;

	if (!broken_any(w->broken, before))
		return true;
	done = kii_engine_layers(engine, WORKER_LABEL_INSTANCE, w->instance, &l.images, &l.n,
		&err) == 0;
	if (done) {
		note_images(w, &l, before);
		done = remove_containers(w, engine, &l, before);
	} else {
		kii_log_warn("clean_later", "error=%s", kii_q(err.msg));
	}
	free(l.images);
	if (done)
		broken_forget(w->broken, before);
	return !broken_any(w->broken, before);
}
