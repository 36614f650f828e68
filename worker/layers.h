/* SPDX-License-Identifier: MIT */
/*
 * layers: the images of build steps, which stay with the engine as its cache. Which of them our
 * builds have made and when one was used last is noted in <state>/engine/layers, and the containers
 * that steps run in; the notes may get lost, then those are nobody's. May be used by several
 * threads.
 */
#ifndef KII_LAYERS_H
#define KII_LAYERS_H

#include "worker.h"

struct layers;

/* With the notes of an earlier worker; what makes no sense among them is left out. */
struct layers *layers_new(const char *state_dir);
void layers_free(struct layers *l);

/*
 * A build begins: what is used from now on stays until its end, with all that was made of it. The
 * result is for layers_end.
 */
size_t layers_begin(struct layers *l);
/*
 * A build of a job that was asked for at `since` (ms since 1970) has made or used this image. One
 * that is older and that no build of ours has made is not ours.
 */
void layers_made(struct layers *l, const char *id, int64_t since);
/* A step of it runs in this container, from now on; that is written down. */
void layers_runs(struct layers *l, size_t build, const char *id, int64_t since);
/* The notes are written down. `badly`: the container may have been left, by an engine that died. */
void layers_end(struct layers *l, size_t build, bool badly);

/*
 * Remove the containers that steps ran in when their engine or their worker died: an engine that
 * comes back knows nothing of the build, and lets them run. What cannot be done now is done later.
 */
void layers_tidy(struct layers *l, struct kii_engine *engine);

/* Has a build ended since this was asked last? */
bool layers_due(struct layers *l);

/* One has gone, or with a dry run would: 64 hex digits, and the bytes that were its own. */
typedef void layers_gone(void *arg, const char *id, int64_t bytes);
/*
 * While our layers that no named image is made of are more than retention.build_cache, remove those
 * that were not used for longest. One that a container needs stays. Fails as kii_engine_layers;
 * what went is gone.
 */
int layers_collect(struct worker *w, bool dry_run, layers_gone *gone, void *arg,
	struct kii_error *err) KII_MUST_CHECK;

#endif
