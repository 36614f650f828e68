/* SPDX-License-Identifier: MIT */
/*
 * git: what /versions tells comes from the tags of the controller's repository. Every git_refresh,
 * or when asked, a container of image "fetch" brings its mirror up to date, in a volume that stays,
 * and prints them. Without that image nothing is done; where it fails, what is known stays.
 */
#ifndef KII_GIT_H
#define KII_GIT_H

#include <jansson.h>

#include "worker.h"

/* pthread_create's function; the worker as `arg`, until it stops. */
void *git_run(void *arg);

/*
 * One look, with the image of this ID: fills Releases and says how many tags there are. The
 * container is gone afterwards, or the janitor is told. Fails as the engine; EBROKEN (what the
 * container printed, or how it ended), EDB.
 */
int git_look(struct worker *w, struct kii_engine *engine, const char *image, size_t *tags,
	struct kii_error *err) KII_MUST_CHECK;

/* {"op":"refresh"}: {"ok":true,"runs":n}: it is done when status says that n runs have ended. */
json_t *git_ask(struct worker *w);
/* Under the lock: {"running","runs","finished","tags","error"}, for status. */
json_t *git_status(const struct worker *w);

/* Name of container and volume. Caller frees. */
char *git_name(const struct worker *w);

#endif
