/* SPDX-License-Identifier: MIT */
/*
 * layers: the images of build steps, which stay with the engine as its cache, and the containers
 * that steps ran in when their engine or their worker died. Which images our builds have made and
 * when one was used last is noted in <state>/engine/layers; the notes may get lost, then those are
 * nobody's. May be used by several threads.
 */
#ifndef KII_LAYERS_H
#define KII_LAYERS_H

#include "worker.h"

struct layers;

/* With the notes of an earlier worker; what makes no sense among them is left out. */
struct layers *layers_new(const char *state_dir);
void layers_free(struct layers *l);

/*
 * A build begins, with a mark of its own for its steps' containers: "kiisrv-INSTANCE-" and
 * whatever. What is used from now on stays until its end, with all that was made of it. The result
 * is for layers_end.
 */
size_t layers_begin(struct layers *l, const char *mark);
/*
 * A build of a job that was asked for at `since` (ms since 1970) has made or used this image. One
 * that is older and that no build of ours has made is not ours.
 */
void layers_made(struct layers *l, const char *id, int64_t since);
/*
 * An image of a build that is over was found, made then (ms since 1970): it is ours as well, and
 * was not used since. False: nothing has changed by that.
 */
bool layers_found(struct layers *l, const char *id, int64_t made);
/* The notes are written down. False: they cannot be now. */
bool layers_save(struct layers *l);
/* Has a build of ours made or used it? Of what was only used that is forgotten some time. */
bool layers_knows(struct layers *l, const char *id);
/* Has one made it? */
struct kii_layer;
bool layers_owns(struct layers *l, const struct kii_layer *image);
/* The notes are written down. `badly`: a container may be left, by an engine that died. */
void layers_end(struct layers *l, size_t build, bool badly);

/*
 * After the start, and after a build that has ended badly: remove the containers that carry
 * a mark of ours and are of no build that runs. An engine that comes back knows nothing of its
 * builds, and leaves or even runs what they had made. Podman shows no container of a step here:
 * they are broken.h's. False: something could not be done yet, and will be at the next call.
 */
bool layers_tidy(const struct worker *w, struct kii_engine *engine);

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
